#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's QEMU on Debian's kernel on the bare machine launches a stock guest, in each mode.

usage: host.py SOFTSEV OUT [NAME...]    OUT: tools/fetch-guest.sh OUT host, tools/fetch-qemu.sh OUT,
tools/fetch-oracles.sh OUT images
"""
import glob
import json
import os
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests", "story"))
# pylint: disable=wrong-import-position
import story
from story import Skip, console, tell, want

story.TIMEOUT = int(os.environ.get("SOFTSEV_STORY_TIMEOUT", "1800"))  # of one boot
FEATURES = {"sev": "AMD SEV", "sev-es": "AMD SEV SEV-ES", "sev-snp": "AMD SEV SEV-ES SEV-SNP"}
DONE = {"sev": "LAUNCH_FINISH", "sev-es": "LAUNCH_UPDATE_VMSA", "sev-snp": "SNP_LAUNCH_FINISH"}


def launches(s, mode, cpus="1"):
    firmware = f"{s.out}/oracles/OVMF.amdsev.fd"
    kernels = glob.glob(f"{s.out}/guest/linux-image-6.12*[0-9]-amd64")
    for path in (f"{s.out}/vmlinuz-host", f"{s.out}/qemu/usr/bin/qemu-system-x86_64", firmware,
                 *(kernels or [f"{s.out}/guest/linux-image-6.12"])):
        if not os.path.exists(path):
            raise Skip(f"there is no {path}")
    initrd, trace = s.path("vmm.cpio"), s.path("vmm.trace")
    subprocess.run([f"{TOP}/tools/pack-vmm.py", f"{s.out}/guest/busybox-static/bin/busybox",
                    f"{TOP}/tools/vmm-init.sh", kernels[0], f"{s.out}/qemu", initrd,
                    f"{s.kernel}=guest/vmlinuz", f"{s.initrd}=guest/initrd.gz",
                    f"{firmware}=guest/OVMF.fd"], check=True)
    code, out, error = s.command(
        "host", "--json", "--kernel", f"{s.out}/vmlinuz-host", "--initrd", initrd, "--memory", "2G",
        "--cpus", cpus, "--seed", "story", "--no-reboot", "--limit", "400", "--trace", "command",
        "--trace-file", trace, "--append",
        f"console=ttyS0 quiet panic=-1 nokaslr cryptomgr.notests mode={mode}")
    text = console([json.loads(line) for line in out.splitlines()], "host")
    want(code == 0, (code, error, text[-3000:]))
    want(f"Memory Encryption Features active: {FEATURES[mode]}\r\n" in text, text[-4000:])
    want("guest: Linux 6.1" in text and "host: QEMU has ended with status 0" in text, text[-4000:])
    want("BUG:" not in text and "Oops" not in text, text[-4000:])
    with open(trace, encoding="utf-8") as f:
        commands = [json.loads(line) for line in f]
    done = {c["event"] for c in commands if c["status"] == "SUCCESS"}
    want({DONE[mode], "SNP_SHUTDOWN_EX"} <= done, sorted(done))


def a_sev_guest(s):
    launches(s, "sev")


def a_sev_es_guest(s):
    launches(s, "sev-es")


def an_snp_guest(s):
    launches(s, "sev-snp")


def an_snp_guest_on_two_cores(s):
    launches(s, "sev-snp", cpus="2")


tell(a_sev_guest, a_sev_es_guest, an_snp_guest, an_snp_guest_on_two_cores)
