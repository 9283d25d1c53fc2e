// SPDX-License-Identifier: Apache-2.0
// What the live picture knows: the events so far, and the machine after the first `at` of them.
// Events come as arrays that src/view/story.c wrote: time, category, name, text, section, label,
// changes of the map. The page is this file and view.js behind it.
"use strict";

const CATEGORIES = ["command", "switch", "key", "view", "page", "vm", "owner", "device"];
const STATES = [
    "Default",
    "Hypervisor",
    "HV-Fixed",
    "Reclaim",
    "Firmware",
    "Context",
    "Metadata",
    "Pre-Guest",
    "Pre-Swap",
    "Guest-Invalid",
    "Guest-Valid",
];
const SIZE = 0,
    KEY = 1,
    RMP = 2,
    REKEY = 3; // enum view_change
const HYPERVISOR = 1,
    PRE_GUEST = 7,
    GUEST_INVALID = 9;
const GONE = 0xfffe,
    CHIP = 0xffff;
const FRAMES_MAX = 1 << 26;
const LANES = ["command", "owner", "vm", "exit", "#VC", "VMGEXIT", "page", "view"];
const $ = (id) => document.getElementById(id);

// --- Events, and the state after the first `at` of them ---

const events = [];
const notable = []; // indices of events that the panels on the right are made of
const lanes = LANES.map(() => []); // indices, ascending
const ghcbs = new Map(); // address of a VMCB: [[index, GHCB]]
let at = 0,
    following = true,
    live = false,
    ended = false,
    lost = 0;
let frames = new Uint32Array(0); // key | RMP state << 16 | ASID of the RMP's entry << 20
const undo = []; // of event i: how to take its changes back

function value(event, key) {
    const found = new RegExp(`(?:^| )${key}=(?:"([^"]*)"|([^ ]*))`).exec(event[3]);
    return found ? (found[1] ?? found[2]) : undefined;
}

function laneOf(e) {
    switch (CATEGORIES[e[1]]) {
        case "command":
            return 0;
        case "owner":
            return 1;
        case "switch":
            return e[2] === "VC" ? 4 : e[2] === "VMGEXIT" ? 5 : 3;
        case "page":
            return 6;
        case "view":
        case "key":
            return 7;
        default:
            return 2;
    }
}

function take(e) {
    const index = events.push(e) - 1,
        lane = laneOf(e);
    lanes[lane].push(index);
    if (lane <= 2 || CATEGORIES[e[1]] === "key" || e[2].startsWith("RMP_")) notable.push(index);
    const ghcb = lane === 5 && value(e, "ghcb");
    if (ghcb) {
        const list = ghcbs.get(value(e, "vmcb")) ?? [];
        if (!list.length || list[list.length - 1][1] !== ghcb) list.push([index, ghcb]);
        ghcbs.set(value(e, "vmcb"), list);
    }
}

function change([what, first, count, to]) {
    if (what === SIZE) {
        const before = frames;
        frames = new Uint32Array(Math.min(count, FRAMES_MAX));
        return () => {
            frames = before;
        };
    }
    if (what === REKEY) {
        const changed = [];
        for (let i = 0; i < frames.length; i++)
            if ((frames[i] & 0xffff) === first) {
                changed.push(i);
                frames[i] = ((frames[i] & ~0xffff) | to) >>> 0;
            }
        return () => {
            for (const i of changed) frames[i] = ((frames[i] & ~0xffff) | first) >>> 0;
        };
    }
    const before = frames.slice(first, first + count),
        end = Math.min(first + count, frames.length);
    for (let i = first; i < end; i++)
        frames[i] =
            (what === KEY
                ? (frames[i] & ~0xffff) | to
                : (frames[i] & 0xffff) | ((to & 0xff) << 16) | ((to >> 8) << 20)) >>> 0;
    return () => {
        frames.set(before, first);
    };
}

function go(to) {
    to = Math.max(0, Math.min(to, events.length));
    for (; at < to; at++) undo[at] = (events[at][6] ?? []).map(change);
    while (at > to) for (const back of undo[--at].reverse()) back();
}

function countBefore(list, index) {
    let low = 0,
        high = list.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (list[middle] < index) low = middle + 1;
        else high = middle;
    }
    return low;
}

// --- Words and colours ---

const hex = (n) => "0x" + n.toString(16);
const seconds = (ns) => (ns / 1e9).toFixed(9) + " s";
const frameKey = (f) => f & 0xffff,
    frameState = (f) => (f >>> 16) & 0xf,
    frameAsid = (f) => f >>> 20;

function keyName(key) {
    return key === 0 ? "raw" : key === CHIP ? "firmware" : key === GONE ? "gone" : "asid" + key;
}

function kindName(f) {
    const asid = frameAsid(f);
    const state = STATES[frameState(f)] ?? "?";
    return `${keyName(frameKey(f))}, ${state}${asid ? " of asid" + asid : ""}`;
}

const style = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const isDark = () => document.documentElement.classList.contains("dark");

// The key gives the hue. Frames without one are grey, or sand if the RMP has a use for them.
function colour(f) {
    const key = frameKey(f),
        state = frameState(f);
    if (key === CHIP) return style("--firmware");
    if (key === GONE) return style("--gone");
    const dark = isDark(),
        owner = key || frameAsid(f);
    if (!owner) return state >= 3 ? `hsl(40 45% ${dark ? 42 : 66}%)` : style("--raw");
    const hue = (205 + (owner - 1) * 137.5) % 360;
    // A guest's page that was last read as it lies there has little colour. Pale is one that was
    // last used under the guest's key, but is shared by now as the RMP says.
    if (!key) return `hsl(${hue} 14% ${dark ? 48 : 62}%)`;
    if (state === HYPERVISOR) return `hsl(${hue} 55% ${dark ? 26 : 82}%)`;
    const light = state === GUEST_INVALID ? 68 : state === PRE_GUEST ? 60 : 46;
    return `hsl(${hue} 55% ${dark ? light + 8 : light}%)`;
}

function element(name, text, more = {}) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, what] of Object.entries(more))
        if (key.startsWith("data-")) made.setAttribute(key, what);
        else made[key] = what;
    return made;
}

function pairs(rows) {
    return rows.flatMap(([term, text]) => [element("dt", term), element("dd", text)]);
}

function swatch(f) {
    const made = element("span", undefined, { className: "swatch" });
    made.style.setProperty("background", colour(f));
    return made;
}
