#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's QEMU on Debian's kernel on the bare machine launches stock guests, in each mode; their
owner verifies them from outside; and nothing that a host or a guest does leaks an ASID, a page or a
handle of the firmware.

usage: host.py SOFTSEV OUT [NAME...]    OUT: tools/fetch-guest.sh OUT host, tools/fetch-qemu.sh OUT,
tools/fetch-oracles.sh OUT images, tools/fetch-calculator.sh OUT
"""
import argparse
import collections
import contextlib
import glob
import importlib.util
import io
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


def run_vmm():
    spec = importlib.util.spec_from_file_location("run_vmm", f"{TOP}/tools/run-vmm.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needs(s):
    for path in (f"{s.out}/vmlinuz-host", f"{s.out}/qemu/usr/bin/qemu-system-x86_64",
                 f"{s.out}/oracles/OVMF.amdsev.fd"):
        if not os.path.exists(path):
            raise Skip(f"there is no {path}")
    if not glob.glob(f"{s.out}/guest/linux-image-6.12*"):
        raise Skip(f"there is no kernel 6.12 in {s.out}/guest")


def played(s, mode, *more):
    """The owner's verdict is run-vmm's status; what it did comes before."""
    needs(s)
    done = subprocess.run([f"{TOP}/tools/run-vmm.py", s.softsev, s.out, mode, "--state",
                           s.path("state"), "--work", s.path("vmm"), "--seed", "story", *more],
                          capture_output=True, text=True, timeout=story.TIMEOUT, check=False)
    text = done.stdout
    want(done.returncode == 0, (done.returncode, done.stderr, text[-3000:]))
    want("guest       Linux 6.1" in text, text[-4000:])
    want("BUG:" not in text and "Oops" not in text, text[-4000:])
    return text


def accepted(s, mode, *more):
    text = played(s, mode, *more)
    for words in (f"Memory Encryption Features active: {FEATURES[mode]}\n", "accepts the guest"):
        want(words in text, (words, text[-4000:]))
    if os.path.exists(f"{s.out}/sev-snp-measure-0.0.13"):
        want("sev-snp-measure" in text, text[-4000:])
    return text


def a_sev_guest_gets_its_owners_secret(s):
    text = accepted(s, "sev")
    for words in ("the measurement matches", "the guest has the secret", "LAUNCH_SECRET",
                  "ATTESTATION"):
        want(words in text, (words, text[-4000:]))


def a_sev_es_guest_gets_its_owners_secret(s):
    text = accepted(s, "sev-es", "--vcpus", "2")
    for words in ("LAUNCH_UPDATE_VMSA, 2 times", "the guest has the secret"):
        want(words in text, (words, text[-4000:]))


def a_plain_guest_starts_by_stock_firmware(s):
    """Nobody checks what KVM, QEMU and Debian's OVMF do without SEV, but the guest runs."""
    text = played(s, "none", "--vcpus", "2")
    for words in ("guest       processors: 2\n", "QEMU has ended with status 0"):
        want(words in text, (words, text[-4000:]))
    want("LAUNCH" not in text and "SNP_GUEST" not in text, text[-4000:])


def snpguest_in_the_guest(s):
    tool = f"{s.out}/oracles/bin/snpguest"
    if not os.path.exists(tool):
        raise Skip("snpguest is not built: tools/fetch-oracles.sh")
    text = accepted(s, "sev-snp", "--snpguest", tool)
    want("VEK signed the Attestation Report!" in text, text[-4000:])


def an_snp_guests_report_is_accepted_outside(s):
    text = accepted(s, "sev-snp")
    want("report of version" in text and "SNP_GUEST_REQUEST" in text, text[-4000:])


def an_snp_guest_with_two_processors_on_two_cores(s):
    accepted(s, "sev-snp", "--cpus", "2", "--vcpus", "2")


def another_kernel_is_refused(s):
    """The owner has other files than the host launches: under SEV no secret leaves, under SNP the
    report is refused."""
    vmm = run_vmm()
    for mode in ("sev", "sev-snp"):
        launch = prepared(s, vmm, mode)
        initrd = vmm.pack(launch)
        launch.append += " other"
        host = vmm.Host(launch, initrd, f"mode={mode}", "--seed", "story")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                lines = vmm.play(launch, host, vmm.Screen())
                vmm.check(launch, lines)
            raise AssertionError("the owner accepts another command line")
        except vmm.Wrong as problem:
            want("measurement" in str(problem), problem)
        finally:
            host.end()


def prepared(s, vmm, mode):
    needs(s)
    launch = vmm.Launch(argparse.Namespace(softsev=s.softsev, out=s.out, mode=mode,
                                           state=s.path("state"), work=s.path(f"vmm-{mode}"),
                                           vcpus=1, flash=None, snpguest=None))
    launch.prepare()
    return launch


def nothing_leaks(s):
    vmm = run_vmm()
    launch = prepared(s, vmm, "sev-snp")
    initrd = vmm.pack(launch, f"{TOP}/tests/slow/host_leaks.sh")
    trace, disk = s.path("leaks.trace"), s.write("flag", bytes(4096))
    code, out, error = s.command(
        "host", "--json", "--kernel", f"{s.out}/vmlinuz-host", "--initrd", initrd, "--memory", "2G",
        "--cpus", "2", "--seed", "story", "--limit", "900", "--disk", disk, "--trace", "command",
        "--trace-file", trace, "--append",
        "console=ttyS0 quiet panic=-1 nokaslr cryptomgr.notests")
    text = console([json.loads(line) for line in out.splitlines()], "host").replace("\r", "")
    want(code == 0, (code, error, text[-3000:]))
    for name in ("two-snp", "two-sev", "two-processors", "again", "after"):
        want(f"host: {name}: QEMU has ended with status 0" in text and
             f"host: {name}: guest: Linux 6.1" in text, (name, text[-4000:]))
    for name in ("two-sev", "two-processors"):
        want(f"host: {name}: guest: processors: 2" in text, (name, text[-4000:]))
    for words in ("host: the host has rebooted", "launched-snp: killed", "launched-sev: killed",
                  "running-snp: killed", "running-es: killed"):
        want(words in text, (words, text[-4000:]))
    want(text.count("host: kvm_amd is removed") == 3 and text.count("host: ccp is removed") == 3,
         text[-4000:])
    for words in ("eak", "BUG:", "Oops", "WARNING:"):
        want(words not in text, (words, text[-4000:]))
    with open(trace, encoding="utf-8") as f:
        balanced([json.loads(line) for line in f])


def balanced(commands):
    """Each guest that was begun is gone, and so is its ASID; each platform was shut down."""
    done = collections.Counter(c["event"] for c in commands if c["status"] == "SUCCESS")
    want(done["SNP_GCTX_CREATE"] == done["SNP_DECOMMISSION"] == 6, done)
    want(done["LAUNCH_START"] == done["DECOMMISSION"] == done["DEACTIVATE"] == 4, done)
    want(done["SNP_INIT_EX"] == done["SNP_SHUTDOWN_EX"] == 3, done)


tell(a_sev_guest_gets_its_owners_secret, a_sev_es_guest_gets_its_owners_secret,
     an_snp_guests_report_is_accepted_outside, snpguest_in_the_guest,
     a_plain_guest_starts_by_stock_firmware, an_snp_guest_with_two_processors_on_two_cores,
     another_kernel_is_refused, nothing_leaks)
