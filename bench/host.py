#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""World switches a second of a stock kernel's KVM on the bare machine, against the same kernel and
program in QEMU's TCG, which has SVM, too. The guest asks for CPUID over and over; each time leaves
it and enters it again.

usage: host.py SOFTSEV HOST_KVM OUT [ROUNDS]    OUT: tools/fetch-guest.sh OUT host
The time on the clock between two lines of the host's console counts: that of the guest's start and
that of its end. Exits 1 if a goal is missed.
"""
import gzip
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from measure import report

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "story"))
# pylint: disable=wrong-import-position
from story import archive

EXITS = 20000
GOAL = 0.1  # times TCG's time
MODES = ("none", "sev", "sev-es", "sev-snp")
APPEND = "console=ttyS0 quiet panic=-1 nokaslr cryptomgr.notests"


def initrd(out, host_kvm, folder):
    """The stock host's initramfs, with this tree's /init and host-kvm."""
    files = []
    for name, path in (("init", f"{TOP}/tools/host-init.sh"), ("bin/host-kvm", host_kvm)):
        with open(path, "rb") as f:
            files.append((name, 0o100755, f.read()))
    path = os.path.join(folder, "initrd")
    with open(f"{out}/initrd-host.cpio.gz", "rb") as stock, open(path, "wb") as f:
        f.write(stock.read() + gzip.compress(archive(files), 1, mtime=0))
    return path


def microseconds(command):
    """{mode: microseconds that each exit took}"""
    began, took = {}, {}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        text = b""
        for line in process.stdout:
            text += line
            words = line.decode("utf-8", "replace").split()
            if words[:2] == ["host:", "kvm:"] and words[3:] == ["runs"]:
                began[words[2].rstrip(":")] = time.monotonic()
            elif words[:2] == ["host:", "kvm:"] and "CPUID," in words:
                took[words[2].rstrip(":")] = time.monotonic() - began[words[2].rstrip(":")]
    if process.returncode or "none" not in took:
        sys.exit(f"bench: {' '.join(command)} failed ({process.returncode}):\n"
                 f"{text[-2000:].decode('utf-8', 'replace')}")
    return {mode: seconds * 1e6 / EXITS for mode, seconds in took.items()}


def main():
    softsev, host_kvm, out = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    for path in (f"{out}/vmlinuz-host", f"{out}/initrd-host.cpio.gz", host_kvm):
        if not os.path.exists(path):
            print(f"world switches: {path} is not there: no ratio")
            return 0
    with tempfile.TemporaryDirectory() as folder:
        files = ["--kernel", f"{out}/vmlinuz-host", "--initrd", initrd(out, host_kvm, folder)]
        append = f"{APPEND} exits={EXITS}"
        contenders = {"ours": [softsev, "host", *files, "--append", append, "--memory", "1G",
                               "--seed", "bench", "--no-reboot", "--quiet"]}
        if shutil.which("qemu-system-x86_64"):
            contenders["qemu"] = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "EPYC,+svm", "-m",
                                  "1024", "-nographic", "-no-reboot", "-net", "none",
                                  *(word.replace("--", "-") for word in files), "-append", append]
        times = {name: [] for name in contenders}
        for number in range(rounds):
            for name in (list(contenders) if number % 2 == 0 else reversed(contenders)):
                times[name].append(microseconds(contenders[name]))
    met = True
    for mode in MODES:
        ours = [t[mode] for t in times["ours"]]
        note = f"{1e6 / statistics.median(ours):.0f} exits a second"
        if mode == "none" and "qemu" in times:
            ratio = statistics.median(a / b["none"] for a, b in zip(ours, times["qemu"]))
            met &= report("KVM's guest, an exit", ratio, "x qemu-system-x86_64 TCG wall time", GOAL,
                          f"; {note}")
        else:
            print(f"KVM's guest, mode {mode}: {note}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
