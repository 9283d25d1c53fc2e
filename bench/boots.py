#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole boots, as ratios in one run: the same kernel, initramfs and command line in softsev and in QEMU's TCG.

usage: boots.py SOFTSEV OUT [ROUNDS]    OUT is the folder that tools/fetch-guest.sh filled
Each round runs every contender once, in turn; the best time of each counts. Prints what CI and people read; exits 1 if a
goal is missed.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

APPEND = "console=ttyS0 panic=-1 cryptomgr.notests"
MEMORY_MIB = 512
BOOT_GOAL = 2.5       # times QEMU's wall time
MODE_GOALS = {"sev": 1.2, "sev-es": 1.3, "sev-snp": 1.3}  # times a plain guest's wall time
START_GOAL = 10       # times `openssl version`
CPUS_GOAL = 1.3       # times one processor's wall time
OVERHEAD_GOAL = 96    # MiB beyond what the guest touched


def run(command):
    """Wall seconds, peak memory in KiB, output."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if status:
        sys.exit(f"bench: {' '.join(command)} failed:\n{text[-2000:]}")
    return seconds, usage.ru_maxrss, text


def softsev_command(softsev, out, state, mode, *more):
    return [softsev, "run", "--kernel", f"{out}/vmlinuz", "--initrd", f"{out}/initrd.cpio.gz", "--append", APPEND,
            "--memory", f"{MEMORY_MIB}M", "--mode", mode, "--state", state, *more]


def summary(text):
    for line in reversed(text.splitlines()):
        if line.startswith("{") and '"event":"summary"' in line:
            return json.loads(line)
    return {}


def boots(softsev, out, state, rounds):
    contenders = {f"softsev --mode {mode}": softsev_command(softsev, out, state, mode) for mode in ("none", *MODE_GOALS)}
    for cpus in (2, 4):
        contenders[f"softsev --cpus {cpus}"] = softsev_command(softsev, out, state, "none", "--cpus", str(cpus))
    if shutil.which("qemu-system-x86_64"):
        contenders["qemu"] = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "EPYC", "-m", str(MEMORY_MIB), "-nographic",
                              "-no-reboot", "-net", "none", "-kernel", f"{out}/vmlinuz", "-initrd",
                              f"{out}/initrd.cpio.gz", "-append", APPEND]
    best = {name: (1e9, 0, "") for name in contenders}
    for _ in range(rounds):
        for name, command in contenders.items():
            result = run(command)
            best[name] = min(best[name], result, key=lambda r: r[0])
    return best


def report(name, value, unit, goal, better):
    met = value <= goal if better == "less" else value >= goal
    limit = f" (goal: at {'most' if better == 'less' else 'least'} {goal})"
    print(f"{name:26} {value:5.2f}{unit}{limit}{'' if met else '   MISSED'}")
    return met


def tiny_guest(folder):
    """An ELF64 kernel whose first instruction writes to the debug-exit port: mov $0xf4, %dx; xor %al, %al; out."""
    code = bytes.fromhex("66baf40030c0ee" + "f4ebfd")
    base, entry = 0x200000, 0x200000 + 0x78
    header = bytes.fromhex("7f454c4602010100" + "00" * 8) + (2).to_bytes(2, "little") + (62).to_bytes(2, "little")
    header += (1).to_bytes(4, "little") + entry.to_bytes(8, "little") + (64).to_bytes(8, "little") + bytes(8)
    header += bytes(4) + b"".join(n.to_bytes(2, "little") for n in (64, 56, 1, 0, 0, 0))
    size = 0x78 + len(code)
    segment = (1).to_bytes(4, "little") + (5).to_bytes(4, "little") + bytes(8) + base.to_bytes(8, "little") * 2
    segment += size.to_bytes(8, "little") * 2 + (0x1000).to_bytes(8, "little")
    path = os.path.join(folder, "tiny.elf")
    with open(path, "wb") as elf:
        elf.write(header + segment + code)
    return path


def start_times(softsev, state, folder, rounds):
    """Best wall time of a whole run of a tiny SEV guest with an existing identity, and of `openssl version`."""
    kernel = tiny_guest(folder)
    command = [softsev, "run", "--kernel", kernel, "--memory", "16M", "--mode", "sev", "--state", state, "--quiet"]
    ours = peers = 1e9
    for _ in range(rounds):
        start = time.monotonic()
        status = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode
        ours = min(ours, time.monotonic() - start)
        if status not in (0, 1):
            sys.exit(f"bench: the tiny guest ended with exit code {status}")
        start = time.monotonic()
        subprocess.run(["openssl", "version"], capture_output=True, check=True)
        peers = min(peers, time.monotonic() - start)
    return ours, peers


def main():
    softsev, out = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    met = True
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "state")
        run([softsev, "platform", "init", "--state", state])
        best = boots(softsev, out, state, rounds)
        if "qemu" in best:
            for mode in ("none", *MODE_GOALS):
                ratio = best[f"softsev --mode {mode}"][0] / best["qemu"][0]
                met &= report(f"boot, --mode {mode}", ratio, "x qemu-system-x86_64 TCG wall time", BOOT_GOAL, "less")
        for mode, goal in MODE_GOALS.items():
            ratio = best[f"softsev --mode {mode}"][0] / best["softsev --mode none"][0]
            met &= report(f"boot, --mode {mode}", ratio, "x --mode none", goal, "less")
        if "qemu" not in best:
            print("boot: qemu-system-x86_64 is not installed: no ratio")
        for cpus in (2, 4):
            ratio = best[f"softsev --cpus {cpus}"][0] / best["softsev --mode none"][0]
            met &= report(f"boot, {cpus} processors", ratio, "x one processor's wall time", CPUS_GOAL, "less")
        _, peak, text = run(softsev_command(softsev, out, state, "sev", "--json"))
        s = summary(text)
        touched = s.get("touched_pages", 0) * 4 / 1024
        met &= report("memory beyond the guest's", peak / 1024 - touched, " MiB", OVERHEAD_GOAL, "less")
        ours, peers = start_times(softsev, state, folder, 20)
        met &= report("start to first instruction", ours / peers, "x `openssl version`", START_GOAL, "less")
        print("where a boot's time goes:", ", ".join(f"{k} {v / 1e9:.3f} s" for k, v in s.get("phases_ns", {}).items()))
    sys.exit(0 if met else 1)


main()
