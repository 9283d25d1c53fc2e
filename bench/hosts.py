#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stock host kernel on the bare machine: its boot against QEMU's TCG booting the same files, world
switches a second as its KVM makes them, and the time from reset to an SNP guest's first program.

usage: hosts.py SOFTSEV OUT [ROUNDS]    OUT: tools/fetch-guest.sh OUT host, and for the last row
tools/fetch-qemu.sh OUT, tools/fetch-oracles.sh OUT images. What is not there is named and left out.
"""
import argparse
import gzip
import importlib.util
import json
import os
import shutil
import statistics
import sys
import tempfile

from measure import in_turn, median, ratio, report, run

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
APPEND = "console=ttyS0 quiet panic=-1 cryptomgr.notests nokaslr"
BOOT_GOAL = None   # times QEMU's wall time
GUEST_GOAL = 60    # seconds from reset to the SNP guest's first program
CALLS = 200000     # of CPUID by a guest of KVM

# Runs what host-kvm runs, so often as the kernel's command line says.
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/host-order
host-kvm none "$(sed 's/.*calls=\\([0-9]*\\).*/\\1/' /proc/cmdline)"
poweroff -f
"""


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def host_command(softsev, out, initrd, append, *more, output="--json"):
    return [softsev, "host", output, "--clock", "virtual", "--no-reboot", "--kernel",
            f"{out}/vmlinuz-host", "--initrd", initrd, "--append", append, *more]


def summary(text):
    for line in reversed(text.splitlines()):
        if line.startswith("{") and '"event":"summary"' in line:
            return json.loads(line)
    return {}


def boot(softsev, out, state, rounds):
    """To the first program of the initramfs, which loads no module and powers off."""
    initrd, append = f"{out}/initrd-host.cpio.gz", f"{APPEND} load=no guests=no"
    commands = {"ours": host_command(softsev, out, initrd, append, "--memory", "1G", "--state",
                                     state)}
    if shutil.which("qemu-system-x86_64"):
        commands["qemu"] = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "EPYC", "-m", "1024",
                            "-nographic", "-no-reboot", "-net", "none", "-kernel",
                            f"{out}/vmlinuz-host", "-initrd", initrd, "-append", append]
    runs = in_turn(commands, rounds)
    instructions = summary(runs["ours"][0].text).get("instructions", 0)
    note = f"; {median(runs['ours']):.2f} s, {instructions / 1e9:.2f} G instructions"
    if "qemu" not in runs:
        print(f"host boot: no qemu-system-x86_64, no ratio{note}")
        return True
    return report("host boot", ratio(runs["ours"], runs["qemu"], "wall"),
                  "x qemu-system-x86_64 TCG wall time", BOOT_GOAL,
                  f"{note}, against {median(runs['qemu']):.2f} s")


def world_switches(softsev, out, state, folder, rounds):
    """Each CPUID of the guest is one exit and one entry."""
    initrd = os.path.join(folder, "initrd")
    packer = load("pack_initrd", f"{TOP}/tools/pack-initrd.py")
    archive = packer.Archive()
    archive.program("init", INIT.encode())
    archive.add("TRAILER!!!", 0)
    with open(f"{out}/initrd-host.cpio.gz", "rb") as f, open(initrd, "wb") as to:
        to.write(f.read() + gzip.compress(archive.data, mtime=0))
    commands = {calls: host_command(softsev, out, initrd, f"{APPEND} calls={calls}", "--memory",
                                    "1G", "--state", state, output="--quiet")
                for calls in (CALLS, 1)}
    runs = in_turn(commands, rounds)
    if "times CPUID" not in runs[CALLS][0].text:
        print("world switches: no host-kvm in the host's initramfs")
        return True
    spent = statistics.median(a.wall - b.wall for a, b in zip(runs[CALLS], runs[1]))
    return report("exits of KVM's guest", CALLS / spent / 1e3, " thousand a second", None,
                  f"; {spent:.2f} s for {CALLS}")


def snp_guest(softsev, out, state, folder, rounds):
    vmm = load("run_vmm", f"{TOP}/tools/run-vmm.py")
    given = argparse.Namespace(softsev=softsev, out=out, mode="sev-snp", state=state, vcpus=1,
                               work=os.path.join(folder, "vmm"))
    try:
        launch = vmm.Launch(given)
        initrd = vmm.pack(launch)
    except (vmm.Wrong, OSError) as problem:
        print(f"reset to an SNP guest: {problem}")
        return True
    command = host_command(softsev, out, initrd, f"{APPEND} mode=sev-snp", "--memory", "2G",
                           "--state", state, "--expect", "guest: Linux")
    runs = [run(command) for _ in range(rounds)]
    instructions = summary(runs[0].text).get("instructions", 0)
    return report("reset to an SNP guest", median(runs), " s", GUEST_GOAL,
                  f"; {instructions / 1e9:.2f} G instructions")


def main():
    softsev, out = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    if not os.path.exists(f"{out}/vmlinuz-host"):
        print(f"hosts: no {out}/vmlinuz-host: tools/fetch-guest.sh {out} host gets it")
        return
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "state")
        run([softsev, "platform", "init", "--state", state])
        met = boot(softsev, out, state, rounds)
        met &= world_switches(softsev, out, state, folder, rounds)
        met &= snp_guest(softsev, out, state, folder, min(rounds, 3))
    sys.exit(0 if met else 1)


main()
