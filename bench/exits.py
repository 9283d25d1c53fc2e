#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""World switches a second of a stock kernel's KVM on the bare machine, against the same kernel and
program in QEMU's TCG, which has SVM, too. The guest asks for CPUID over and over; each time leaves
it and enters it again.

usage: exits.py SOFTSEV HOST_KVM OUT [ROUNDS]    OUT: tools/fetch-guest.sh OUT host
The processor time of a boot whose guest leaves a few times is taken from that of one whose guest
leaves often. Exits 1 if a goal is missed.
"""
import gzip
import os
import shutil
import sys
import tempfile

from measure import in_turn, least, report

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "story"))
# pylint: disable=wrong-import-position
from story import archive

FEW = 1000
MORE = {"softsev": 300000, "qemu": 100000}
GOAL = 0.3  # times TCG's processor time
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


def command(program, kernel, ramdisk, mode, exits):
    append = f"{APPEND} mode={mode} exits={exits}"
    if os.path.basename(program).startswith("qemu"):
        return [program, "-accel", "tcg", "-cpu", "EPYC,+svm", "-m", "1024", "-nographic",
                "-no-reboot", "-net", "none", "-kernel", kernel, "-initrd", ramdisk,
                "-append", append]
    return [program, "host", "--kernel", kernel, "--initrd", ramdisk, "--append", append,
            "--memory", "1G", "--seed", "bench", "--no-reboot", "--quiet"]


def contenders(softsev, kernel, ramdisk):
    programs = [(softsev, "softsev", mode) for mode in MODES]
    if shutil.which("qemu-system-x86_64"):
        programs.append(("qemu-system-x86_64", "qemu", "none"))
    return {(name, mode, exits): command(program, kernel, ramdisk, mode, exits)
            for program, name, mode in programs for exits in (FEW, FEW + MORE[name])}


def microseconds(runs, name, mode):
    """What an exit takes, the host's work included."""
    few, many = (runs[name, mode, exits] for exits in (FEW, FEW + MORE[name]))
    for run in few + many:
        if f"kvm: {mode}: " not in run.text or "times CPUID" not in run.text:
            sys.exit(f"bench: {name}: no guest in mode {mode}:\n{run.text[-2000:]}")
    return (least(many) - least(few)) * 1e6 / MORE[name]


def main():
    softsev, host_kvm, out = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    kernel = f"{out}/vmlinuz-host"
    for path in (kernel, f"{out}/initrd-host.cpio.gz", host_kvm):
        if not os.path.exists(path):
            print(f"world switches: {path} is not there: no ratio")
            return 0
    with tempfile.TemporaryDirectory() as folder:
        runs = in_turn(contenders(softsev, kernel, initrd(out, host_kvm, folder)), rounds)
    met = True
    for mode in MODES:
        ours = microseconds(runs, "softsev", mode)
        note = f"{ours:.2f} microseconds, {1e6 / ours:.0f} a second"
        if mode == "none" and ("qemu", mode, FEW) in runs:
            met = report("KVM's guest, an exit", ours / microseconds(runs, "qemu", mode),
                         "x qemu-system-x86_64 TCG processor time", GOAL, f"; {note}")
        else:
            print(f"KVM's guest, mode {mode}, an exit: {note}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
