// SPDX-License-Identifier: Apache-2.0
// How the live picture is drawn and driven; machine.js, before it, has what it shows. Everything
// foreign goes into text nodes and nowhere else.

// --- The map ---

const SIDE = 64; // cells in a row
let zoom = []; // of the levels: [first frame, count]
let cursor = 0,
    openFrame = -1;

function range() {
    return zoom.length ? zoom[zoom.length - 1] : [0, frames.length];
}

function grid() {
    const [first, count] = range();
    let per = 1;
    while (count / per > SIDE * SIDE) per *= 2;
    const cells = Math.ceil(count / per),
        columns = Math.max(1, Math.min(SIDE, Math.ceil(Math.sqrt(cells))));
    return { first, count, per, cells, columns, rows: Math.max(1, Math.ceil(cells / columns)) };
}

function most(first, count) {
    const seen = new Map();
    const step = Math.max(1, count >> 8); // of large cells a sample
    let best = frames[first],
        bestCount = 0;
    for (let i = first; i < first + count && i < frames.length; i += step) {
        const n = (seen.get(frames[i]) ?? 0) + 1;
        seen.set(frames[i], n);
        if (n > bestCount) [best, bestCount] = [frames[i], n];
    }
    return { best, mixed: seen.size > 1 };
}

function fit(canvas) {
    const ratio = window.devicePixelRatio || 1,
        box = canvas.getBoundingClientRect();
    canvas.width = Math.max(1, Math.round(box.width * ratio));
    canvas.height = Math.max(1, Math.round(box.height * ratio));
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return { context, width: box.width, height: box.height };
}

function drawMap() {
    const { context, width, height } = fit($("map")),
        g = grid();
    const cell = Math.min(width / g.columns, height / g.rows),
        gap = cell > 6 ? 1 : 0;
    const colours = new Map();
    for (let i = 0; i < g.cells; i++) {
        const { best, mixed } = most(
            g.first + i * g.per,
            Math.min(g.per, g.first + g.count - g.first - i * g.per),
        );
        if (!colours.has(best)) colours.set(best, colour(best));
        const x = (i % g.columns) * cell,
            y = Math.floor(i / g.columns) * cell;
        context.fillStyle = colours.get(best);
        context.fillRect(x, y, cell - gap, cell - gap);
        if (mixed && cell > 5) {
            context.fillStyle = style("--panel");
            context.fillRect(x + cell * 0.38, y + cell * 0.38, cell * 0.24, cell * 0.24);
        }
    }
    context.strokeStyle = style("--mark");
    context.lineWidth = 2;
    context.strokeRect(
        (cursor % g.columns) * cell,
        Math.floor(cursor / g.columns) * cell,
        cell,
        cell,
    );
    $("map").dataset.cells = g.cells;
    $("map").dataset.per = g.per;
    map.cell = cell;
}
const map = { cell: 1 };

function describeCell() {
    const g = grid(),
        first = g.first + cursor * g.per;
    if (!frames.length) {
        $("cell").textContent = "no event has said how large memory is";
        return;
    }
    const { best, mixed } = most(first, g.per),
        end = Math.min(first + g.per, frames.length);
    $("cell").textContent =
        `${hex(first * 4096)} to ${hex(end * 4096 - 1)}: ` +
        (mixed ? "mostly " : "") +
        kindName(best);
}

function drawCrumbs() {
    const levels = [[0, frames.length], ...zoom];
    $("crumbs").replaceChildren(
        ...levels.flatMap(([first, count], level) => {
            const made = element(
                "button",
                level
                    ? `${hex(first * 4096)} +${sizeName(count)}`
                    : `all of DRAM, ${sizeName(count)}`,
            );
            made.addEventListener("click", () => {
                zoom.length = level;
                cursor = 0;
                closePage();
                draw();
            });
            return [made, document.createTextNode(" ")];
        }),
    );
}

function sizeName(count) {
    const kib = count * 4;
    return kib >= 1024 && kib % 1024 === 0 ? kib / 1024 + " MiB" : kib + " KiB";
}

function drawLegend() {
    const seen = new Map();
    for (const f of frames) seen.set(f, (seen.get(f) ?? 0) + 1);
    const kinds = [...seen].sort((a, b) => b[1] - a[1]).slice(0, 16);
    $("legend").replaceChildren(
        ...kinds.map(([f, count]) => {
            const made = element("li", undefined, {
                "data-kind": kindName(f),
                "data-frames": count,
            });
            made.append(swatch(f), document.createTextNode(`${kindName(f)}: ${count}`));
            return made;
        }),
    );
}

function zoomIn() {
    const g = grid(),
        first = g.first + cursor * g.per;
    if (g.per > 1) {
        zoom.push([first, Math.min(Math.max(g.per, 64), frames.length - first)]);
        cursor = 0;
    } else if (first < frames.length) {
        openPage(first);
    }
    draw();
}

function zoomOut() {
    if (openFrame >= 0) closePage();
    else if (zoom.pop()) cursor = 0;
    draw();
}

// --- One page ---

function closePage() {
    openFrame = -1;
    $("page").hidden = true;
}

function touches(e, frame) {
    return (e[6] ?? []).some(
        ([what, first, count]) =>
            (what === KEY || what === RMP) && frame >= first && frame < first + count,
    );
}

function openPage(frame) {
    openFrame = frame;
    $("page").hidden = false;
    $("plain").textContent = $("cipher").textContent = live
        ? "..."
        : "a recorded trace has no bytes of memory; those of a live run are here";
    drawPage();
    if (live) fetchPage(frame);
}

function drawPage() {
    if (openFrame < 0) return;
    $("page-title").textContent = "Page " + hex(openFrame * 4096);
    $("page-state").textContent = kindName(frames[openFrame]);
    const list = [];
    for (let i = 0; i < events.length && list.length < 200; i++)
        if (touches(events[i], openFrame)) list.push(i);
    $("page-events").replaceChildren(
        ...list.map((i) => link(i, `${seconds(events[i][0])} ${events[i][2]} ${events[i][3]}`)),
    );
}

function link(index, text, more = {}) {
    const made = element("li", text, { tabIndex: 0, ...more });
    made.classList.add(index === at - 1 ? "now" : index >= at ? "later" : "done");
    made.addEventListener("click", () => show(index));
    made.addEventListener("keydown", (k) => {
        if (k.key === "Enter") show(index);
    });
    return made;
}

function hexDump(bytes) {
    const lines = [];
    for (let i = 0; i < bytes.length; i += 32) {
        const part = bytes.slice(i, i + 32).match(/../g) ?? [];
        const text = part.map((b) => {
            const c = parseInt(b, 16);
            return c > 31 && c < 127 ? String.fromCharCode(c) : ".";
        });
        lines.push(
            (i / 2).toString(16).padStart(3, "0") + " " + part.join("") + " " + text.join(""),
        );
    }
    return lines.join("\n");
}

// --- The parts of the machine ---

function drawParts() {
    const slots = new Map(),
        firmware = new Map(),
        owner = [],
        steps = [],
        vms = new Map();
    for (const index of notable) {
        if (index >= at) break;
        const e = events[index],
            name = e[2];
        if (name === "LOAD") slots.set(+value(e, "asid"), index);
        else if (name === "UNLOAD") slots.delete(+value(e, "asid"));
        else if (CATEGORIES[e[1]] === "owner") owner.push([index, value(e, "text") ?? e[3]]);
        else if (CATEGORIES[e[1]] === "command") onCommand(e, index, firmware, steps);
        else if (CATEGORIES[e[1]] === "vm") onVm(e, vms);
    }
    drawSlots(slots, vms);
    const found = [...firmware];
    $("firmware").replaceChildren(
        ...pairs(found.length ? found : [["state", "no command yet"]]),
    );
    $("launch").replaceChildren(
        ...steps.map((s, i) =>
            link(
                s.index,
                s.name +
                    (s.count > 1 ? ` (${s.count} times)` : "") +
                    (s.status === "SUCCESS" ? "" : ` ${s.status}`) +
                    (s.section ? ` ${s.section}` : ""),
                { "data-step": i + 1, className: s.status === "SUCCESS" ? "" : "refused" },
            ),
        ),
    );
    $("owner").replaceChildren(...owner.map(([index, text]) => link(index, text)));
    drawVms(vms);
}

const LAUNCH =
    /^(SNP_)?(LAUNCH_|GCTX_CREATE|ACTIVATE|HV_REPORT_REQ|GUEST_REQUEST|RECEIVE_|SEND_|INIT)/;

function onCommand(e, index, firmware, steps) {
    for (const part of e[3].matchAll(/(?:^| )(platform|snp|guest|rmp|store|owner)=([^ ]+)/g))
        firmware.set(part[1], part[2].split(">").pop());
    const status = value(e, "status") ?? "?";
    firmware.set("last command", `${e[2]}: ${status}`);
    const last = steps[steps.length - 1];
    if (!LAUNCH.test(e[2])) return;
    if (last && last.name === e[2] && last.status === status) last.count++;
    else steps.push({ name: e[2], index, count: 1, status, section: e[4] });
}

function onVm(e, vms) {
    const name = value(e, "vm");
    if (name === undefined) return;
    if (e[2] === "CREATED")
        vms.set(name, {
            asid: value(e, "asid"),
            mode: value(e, "mode"),
            state: "launching",
            cpus: [],
        });
    const vm = vms.get(name);
    if (!vm) return;
    if (e[2] === "PROCESSOR")
        vm.cpus[+value(e, "cpu")] = { vmcb: value(e, "vmcb"), vmsa: value(e, "vmsa") };
    else if (e[2] === "AP_CREATION" && vm.cpus[+value(e, "cpu")])
        vm.cpus[+value(e, "cpu")].vmsa = value(e, "vmsa");
    else if (e[2] === "ENDED") vm.state = "ended: " + value(e, "why");
}

function drawSlots(slots, vms) {
    const held = new Map();
    for (const f of frames) held.set(f & 0xffff, (held.get(f & 0xffff) ?? 0) + 1);
    const rows = [
        [0, "no key"],
        ...[...slots.keys()].map((asid) => [asid, whose(asid, vms)]),
        [CHIP, "the secure processor's own"],
    ].filter(([key]) => key !== CHIP || held.get(CHIP));
    if (held.get(GONE)) rows.push([GONE, "keys that were unloaded"]);
    $("slots").replaceChildren(
        ...rows.map(([key, text]) => {
            const made = element("li", undefined, { "data-key": keyName(key) });
            made.append(
                swatch(key | (key && key < GONE ? 10 << 16 : 0)),
                document.createTextNode(
                    `${keyName(key)}: ${text}, ${held.get(key) ?? 0} frames`,
                ),
            );
            return made;
        }),
    );
}

function whose(asid, vms) {
    for (const [name, vm] of vms) if (+vm.asid === asid) return name;
    return "loaded";
}

function ghcbAt(vmcb) {
    const list = (ghcbs.get(vmcb) ?? []).filter(([index]) => index < at);
    return list.length ? list[list.length - 1][1] : undefined;
}

function drawVms(vms) {
    const counts = [
        ["exits", 3],
        ["#VC", 4],
        ["VMGEXITs", 5],
    ].map(([name, lane]) => `${countBefore(lanes[lane], at)} ${name}`);
    const ran = countBefore(lanes[3], at) > 0;
    const made = [...vms].map(([name, vm]) => {
        const box = element("div", undefined, { className: "vm", "data-vm": name });
        const rows = [
            ["mode", vm.mode],
            ["ASID", vm.asid],
            ["state", vm.state === "launching" && ran ? "running" : vm.state],
        ];
        vm.cpus.forEach((c, i) => {
            const ghcb = ghcbAt(c.vmcb);
            rows.push([
                `processor ${i}`,
                `VMCB ${c.vmcb}` +
                    (+c.vmsa ? `, VMSA ${c.vmsa}` : "") +
                    (ghcb ? `, GHCB ${ghcb} (guest's)` : ""),
            ]);
        });
        const list = element("dl");
        list.append(...pairs(rows));
        box.append(element("strong", name), list);
        return box;
    });
    $("vms").replaceChildren(element("p", counts.join(", ")), ...made);
}

// --- Events ---

function drawEvent() {
    const e = events[at - 1];
    $("event-name").textContent = e
        ? `${CATEGORIES[e[1]]} ${e[2]}${e[5] ? ": " + e[5] : ""}`
        : "before the first event";
    $("event-line").textContent = e
        ? `${String(e[0]).padStart(12)} ${CATEGORIES[e[1]].padEnd(7)} ${e[2]} ${e[3]}`
        : "";
    $("event-section").textContent = e && e[4] ? `${e[4]} of docs/spec` : "";
}

let span = null; // of the time line: [first, end) event; null: all
let byTime = false;

function lineRange() {
    return span ?? [0, Math.max(events.length, 1)];
}

function place(index, width) {
    const [first, end] = lineRange();
    if (!byTime) return ((index - first + 0.5) / (end - first)) * width;
    const from = events[first]?.[0] ?? 0,
        to = events[Math.min(end, events.length) - 1]?.[0] ?? 1;
    return (((events[index]?.[0] ?? 0) - from) / Math.max(to - from, 1)) * width;
}

const LABELS = 70; // pixels

function drawLine() {
    const { context, width, height } = fit($("line")),
        lane = height / LANES.length,
        [first, end] = lineRange();
    if (width <= LABELS) return;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    lanes.forEach((list, row) => {
        const y = row * lane,
            columns = new Uint32Array(Math.ceil(width - LABELS) + 1);
        context.fillStyle = style("--soft");
        context.fillText(LANES[row], 0, y + lane / 2);
        for (let i = countBefore(list, first); i < list.length && list[i] < end; i++)
            columns[
                Math.max(
                    0,
                    Math.min(columns.length - 1, Math.floor(place(list[i], width - LABELS))),
                )
            ]++;
        const most = columns.reduce((a, b) => Math.max(a, b), 1);
        context.fillStyle = style("--accent");
        columns.forEach((n, x) => {
            if (n) {
                const tall = lane * (0.2 + 0.7 * Math.sqrt(n / most));
                context.fillRect(LABELS + x, y + (lane - tall) / 2, 1.5, tall);
            }
        });
    });
    context.fillStyle = style("--mark");
    if (at) context.fillRect(LABELS + place(at - 1, width - LABELS) - 0.75, 0, 1.5, height);
    drawScale(first, Math.min(end, events.length));
}

function drawScale(first, end) {
    const from = events[first]?.[0] ?? 0,
        to = events[end - 1]?.[0] ?? 0;
    $("scale").textContent =
        `${byTime ? "by machine time" : "by order"}: ` +
        `${seconds(from)} to ${seconds(to)}, ${end - first} events`;
}

function pick(x, y) {
    const box = $("line").getBoundingClientRect(),
        lane = Math.min(
            LANES.length - 1,
            Math.max(0, Math.floor(y / (box.height / LANES.length))),
        );
    let best = -1,
        near = Infinity;
    for (const index of lanes[lane]) {
        const far = Math.abs(LABELS + place(index, box.width - LABELS) - x);
        if (far < near) [best, near] = [index, far];
    }
    if (best >= 0) show(best);
}

function zoomLine(factor) {
    const [first, end] = lineRange(),
        middle = Math.min(Math.max(at, first), end);
    const half = Math.max(20, ((end - first) * factor) / 2);
    const from = Math.max(0, Math.floor(middle - half)),
        to = Math.min(events.length, Math.ceil(middle + half));
    span = to - from >= events.length ? null : [from, to];
    draw();
}

// --- All of it ---

let waiting = false;

function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
        waiting = false;
        drawCrumbs();
        drawMap();
        describeCell();
        drawLegend();
        drawPage();
        drawParts();
        drawEvent();
        drawLine();
        $("slider").max = events.length;
        $("slider").value = at;
        $("where").textContent =
            `event ${at} of ${events.length}` + (at ? `, ${seconds(events[at - 1][0])}` : "");
        $("status").textContent =
            (live
                ? ended
                    ? "the run has ended"
                    : following
                      ? "live"
                      : "live, stopped here"
                : "recorded") + (lost ? `; ${lost} events were not kept` : "");
        document.body.dataset.at = at;
        document.body.dataset.events = events.length;
    });
}

function show(index) {
    following = false;
    go(index + 1);
    if (span && (index < span[0] || index >= span[1])) span = null;
    draw();
}

function move(by) {
    following = false;
    playing = false;
    go(at + by);
    draw();
}

let playing = false;

function play() {
    if (live && !ended && at >= events.length) {
        following = !following;
    } else {
        playing = !playing;
        if (playing && at >= events.length) go(0);
        requestAnimationFrame(tick);
    }
    draw();
}

function tick() {
    if (!playing) return;
    go(at + Math.max(1, Math.ceil(events.length / 1200)));
    playing = at < events.length;
    following = live && !playing;
    draw();
    requestAnimationFrame(tick);
}

function moveCursor(by) {
    const g = grid();
    cursor = Math.max(0, Math.min(g.cells - 1, cursor + by));
    draw();
}

const MAP_KEYS = {
    ArrowLeft: () => moveCursor(-1),
    ArrowRight: () => moveCursor(1),
    ArrowUp: () => moveCursor(-grid().columns),
    ArrowDown: () => moveCursor(grid().columns),
    Enter: zoomIn,
    Escape: zoomOut,
    Backspace: zoomOut,
};
const KEYS = {
    ArrowLeft: (k) => move(k.shiftKey ? -100 : -1),
    ArrowRight: (k) => move(k.shiftKey ? 100 : 1),
    Home: () => move(-events.length),
    End: () => move(events.length),
    " ": play,
    "+": () => zoomLine(0.5),
    "-": () => zoomLine(2),
    o: () => {
        byTime = !byTime;
        draw();
    },
    t: theme,
    Escape: zoomOut,
};

function onKey(k) {
    if (
        k.ctrlKey ||
        k.altKey ||
        k.metaKey ||
        (k.target.tagName === "BUTTON" && (k.key === " " || k.key === "Enter"))
    )
        return;
    const handler =
        (k.target === $("map") && MAP_KEYS[k.key]) || (k.target !== $("slider") && KEYS[k.key]);
    if (!handler) return;
    k.preventDefault();
    handler(k);
}

function theme() {
    document.documentElement.classList.toggle("dark");
    draw();
}

function cellAt(k) {
    const box = $("map").getBoundingClientRect(),
        g = grid();
    const x = Math.floor((k.clientX - box.left) / map.cell),
        y = Math.floor((k.clientY - box.top) / map.cell);
    const cell = y * g.columns + x;
    return x >= 0 && x < g.columns && cell >= 0 && cell < g.cells ? cell : -1;
}

function wire() {
    $("first").addEventListener("click", () => move(-events.length));
    $("back").addEventListener("click", () => move(-1));
    $("play").addEventListener("click", play);
    $("next").addEventListener("click", () => move(1));
    $("last").addEventListener("click", () => {
        move(events.length);
        following = live;
        draw();
    });
    $("slider").addEventListener("input", () => show(+$("slider").value - 1));
    $("theme").addEventListener("click", theme);
    $("map").addEventListener("click", (k) => {
        const cell = cellAt(k);
        if (cell >= 0) {
            cursor = cell;
            zoomIn();
        }
    });
    $("map").addEventListener("mousemove", (k) => {
        const cell = cellAt(k);
        if (cell >= 0 && cell !== cursor) {
            cursor = cell;
            draw();
        }
    });
    $("line").addEventListener("click", (k) => {
        const box = $("line").getBoundingClientRect();
        pick(k.clientX - box.left, k.clientY - box.top);
    });
    $("line").addEventListener(
        "wheel",
        (k) => {
            k.preventDefault();
            zoomLine(k.deltaY < 0 ? 0.8 : 1.25);
        },
        { passive: false },
    );
    document.addEventListener("keydown", onKey);
    window.addEventListener("resize", draw);
    if (window.matchMedia("(prefers-color-scheme: dark)").matches)
        document.documentElement.classList.add("dark");
}

// --- Where events come from ---

async function ask(what) {
    const answer = await fetch(what, { cache: "no-store" });
    if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
    return answer.json();
}

async function fetchPage(frame) {
    try {
        const got = await ask(`page?spa=${hex(frame * 4096)}`);
        if (frame !== openFrame) return;
        $("cipher").textContent = hexDump(got.raw);
        $("plain").textContent = got.plain
            ? hexDump(got.plain)
            : "no guest's key is loaded for this page: everybody reads it as it is";
    } catch (problem) {
        $("plain").textContent = $("cipher").textContent =
            `the run does not answer: ${problem.message}`;
    }
}

function takeAll(got) {
    const wasAtEnd = at >= events.length;
    got.events.forEach(take);
    lost = got.lost ?? 0;
    ended = got.ended ?? false;
    live = got.live ?? false;
    if (!live && !got.more) {
        // At the very end the guests' memory has been given back, and there is little to see.
        const end = events.findIndex((e) => e[2] === "MACHINE_ENDS");
        go(end < 0 ? events.length : end);
    } else if (following && wasAtEnd) {
        go(events.length);
    }
    draw();
}

async function poll() {
    for (let failures = 0; failures < 3;) {
        try {
            const got = await ask(`events?from=${events.length}`);
            takeAll(got);
            failures = 0;
            if (got.more) continue;
            if (!got.live || got.ended) return;
        } catch {
            failures++;
        }
        await new Promise((done) => setTimeout(done, 250));
    }
    ended = true;
    draw();
}

wire();
const recorded = $("recorded");
if (recorded) {
    takeAll(JSON.parse(recorded.textContent));
} else {
    poll();
}
