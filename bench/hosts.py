#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stock host kernel on the bare machine: its boot against QEMU's TCG booting the same files, and the
time from reset to an SNP guest's first program.

usage: hosts.py SOFTSEV OUT [ROUNDS]    OUT: tools/fetch-guest.sh OUT host, and for the last row
tools/fetch-qemu.sh OUT, tools/fetch-oracles.sh OUT images. What is not there is named and left out.
"""
import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile

from measure import in_turn, median, ratio, report, run

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
APPEND = "console=ttyS0 quiet panic=-1 cryptomgr.notests nokaslr"
BOOT_GOAL = None   # times QEMU's wall time
GUEST_GOAL = 60    # seconds from reset to the SNP guest's first program


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
        met &= snp_guest(softsev, out, state, folder, min(rounds, 3))
    sys.exit(0 if met else 1)


main()
