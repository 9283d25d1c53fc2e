#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole boots, as ratios in one run: the same kernel, initramfs and command line in softsev and in
QEMU's TCG.

usage: boots.py SOFTSEV OUT [ROUNDS]    OUT is the folder that tools/fetch-guest.sh filled
Each round runs every contender once (measure.py). Against QEMU, which has several threads, the
clock counts; between softsev's modes, which have one, processor time does. Prints what CI and
people read; exits 1 if a goal is missed.
"""
import json
import os
import shutil
import sys
import tempfile

from measure import in_turn, least, median, ratio, report, run

APPEND = "console=ttyS0 panic=-1 cryptomgr.notests"
MEMORY_MIB = 512
WALL = "x qemu-system-x86_64 TCG wall time"
BOOT_GOAL = 2.5       # times QEMU's wall time
PLAIN_GOAL = 0.35     # the same, --mode none
NEWER_GOAL = 0.5      # the same, Linux 6.12 as an SNP guest
FIRMWARE_GOAL = 0.4   # the same, through OVMF
MODE_GOALS = {"sev": 1.2, "sev-es": 1.3, "sev-snp": 1.3}  # times a plain guest's processor time
START_GOAL = 10       # times `openssl version`
CPUS_GOAL = 1.3       # times one processor's
OVERHEAD_GOAL = 96    # MiB beyond what the guest touched


def softsev_command(softsev, out, state, mode, *more, version=""):
    return [softsev, "run", "--kernel", f"{out}/vmlinuz{version}", "--initrd",
            f"{out}/initrd{version}.cpio.gz", "--append", APPEND, "--memory", f"{MEMORY_MIB}M",
            "--mode", mode, "--state", state, *more]


def qemu_command(out, *more, version=""):
    return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "EPYC", "-m", str(MEMORY_MIB),
            "-nographic", "-no-reboot", "-net", "none", "-kernel", f"{out}/vmlinuz{version}",
            "-initrd", f"{out}/initrd{version}.cpio.gz", "-append", APPEND, *more]


def summary(text):
    for line in reversed(text.splitlines()):
        if line.startswith("{") and '"event":"summary"' in line:
            return json.loads(line)
    return {}


def contenders(softsev, out, state):
    commands = {mode: softsev_command(softsev, out, state, mode) for mode in ("none", *MODE_GOALS)}
    for cpus in (2, 4):
        commands[cpus] = softsev_command(softsev, out, state, "none", "--cpus", str(cpus))
    if shutil.which("qemu-system-x86_64"):
        commands["qemu"] = qemu_command(out)
    return commands


def boots(softsev, out, state, rounds):
    runs = in_turn(contenders(softsev, out, state), rounds)
    met = True
    for mode in ("none", *MODE_GOALS) if "qemu" in runs else ():
        note = f"; {median(runs[mode]):.2f} s against {median(runs['qemu']):.2f} s"
        met &= report(f"boot, --mode {mode}", ratio(runs[mode], runs["qemu"], "wall"), WALL,
                      PLAIN_GOAL if mode == "none" else BOOT_GOAL, note)
    if "qemu" not in runs:
        print("boot: qemu-system-x86_64 is not installed: no ratio")
    for mode, goal in MODE_GOALS.items():
        note = f"; {least(runs[mode]):.2f} s against {least(runs['none']):.2f} s"
        met &= report(f"boot, --mode {mode}", ratio(runs[mode], runs["none"], "cpu"),
                      "x --mode none", goal, note)
    for cpus in (2, 4):
        met &= report(f"boot, {cpus} processors", ratio(runs[cpus], runs["none"], "cpu"),
                      "x one processor", CPUS_GOAL)
    return met


def against_qemu(name, commands, rounds, goal):
    runs = in_turn(commands, rounds)
    note = f"; {median(runs['ours']):.2f} s against {median(runs['qemu']):.2f} s"
    return report(name, ratio(runs["ours"], runs["qemu"], "wall"), WALL, goal, note), runs


def other_boots(softsev, out, state, rounds):
    """A newer kernel, and one that firmware starts, where they are there."""
    met = True
    if not shutil.which("qemu-system-x86_64"):
        return met
    if os.path.exists(f"{out}/vmlinuz-6.12"):
        commands = {"ours": softsev_command(softsev, out, state, "sev-snp", version="-6.12"),
                    "qemu": qemu_command(out, version="-6.12"),
                    "none": softsev_command(softsev, out, state, "none", version="-6.12")}
        met, runs = against_qemu("boot of 6.12, sev-snp", commands, rounds, NEWER_GOAL)
        met &= report("boot of 6.12, sev-snp", ratio(runs["ours"], runs["none"], "cpu"),
                      "x --mode none", MODE_GOALS["sev-snp"])
        report("boot of 6.12, none", ratio(runs["none"], runs["qemu"], "wall"), WALL)
    else:
        print(f"boot of 6.12: {out}/vmlinuz-6.12 is not there: no ratio")
    flash = f"{out}/oracles/OVMF.fd"
    if os.path.exists(flash):
        commands = {"ours": softsev_command(softsev, out, state, "none", "--firmware", flash),
                    "qemu": qemu_command(out, "-bios", flash)}
        met &= against_qemu("boot through OVMF, none", commands, rounds, FIRMWARE_GOAL)[0]
    else:
        print(f"boot through OVMF: {flash} is not there: no ratio")
    return met


def tiny_guest(folder):
    """An ELF64 kernel whose first instruction writes to the debug-exit port: mov $0xf4, %dx; xor
    %al, %al; out."""
    code = bytes.fromhex("66baf40030c0ee" + "f4ebfd")
    base, entry = 0x200000, 0x200000 + 0x78
    header = bytes.fromhex("7f454c4602010100" + "00" * 8) + (2).to_bytes(2,
            "little") + (62).to_bytes(2, "little")
    header += (1).to_bytes(4, "little") + entry.to_bytes(8, "little") + (64).to_bytes(8,
            "little") + bytes(8)
    header += bytes(4) + b"".join(n.to_bytes(2, "little") for n in (64, 56, 1, 0, 0, 0))
    size = 0x78 + len(code)
    segment = (1).to_bytes(4, "little") + (5).to_bytes(4, "little") + bytes(8) + base.to_bytes(8,
            "little") * 2
    segment += size.to_bytes(8, "little") * 2 + (0x1000).to_bytes(8, "little")
    path = os.path.join(folder, "tiny.elf")
    with open(path, "wb") as elf:
        elf.write(header + segment + code)
    return path


def start(softsev, state, folder, rounds):
    """A whole run of a tiny SEV guest with an existing identity against `openssl version`."""
    guest = [softsev, "run", "--kernel", tiny_guest(folder), "--memory", "16M", "--mode", "sev",
             "--state", state, "--quiet"]
    runs = in_turn({"ours": guest, "peer": ["openssl", "version"]}, rounds, allowed=(0, 1))
    return report("start to first instruction", ratio(runs["ours"], runs["peer"], "cpu"),
                  "x `openssl version`", START_GOAL,
                  f"; {least(runs['ours']) * 1e3:.1f} ms")


def main():
    softsev, out = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "state")
        run([softsev, "platform", "init", "--state", state])
        met = boots(softsev, out, state, rounds)
        met &= other_boots(softsev, out, state, min(rounds, 3))
        once = run(softsev_command(softsev, out, state, "sev", "--json"))
        s = summary(once.text)
        touched = s.get("touched_pages", 0) * 4 / 1024
        met &= report("memory beyond the guest's", once.peak / 1024 - touched, " MiB",
                      OVERHEAD_GOAL)
        met &= start(softsev, state, folder, 20)
        print("where a boot's time goes:", ", ".join(f"{k} {v / 1e9:.3f} s" for k,
                                                     v in s.get("phases_ns", {}).items()))
    sys.exit(0 if met else 1)


main()
