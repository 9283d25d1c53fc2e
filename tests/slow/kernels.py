#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every named kernel in every mode: Debian's 6.1 and 6.12, cloud and ordinary, alone and with other
processors, from a disk, behind OVMF; and with a secure TSC the newest that apt knows.

usage: kernels.py SOFTSEV OUT [WORD...]    boots those whose names have all the words; OUT:
tools/fetch-guest.sh OUT all, and OUT secure-tsc. One TAP line for each boot with how long it took,
then the totals.
"""
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "story"))
# pylint: disable=wrong-import-position
import story
from disk import make_disk
from story import APPEND, Skip, Story, console, summary, want

FEATURES = {"none": None, "sev": "AMD SEV", "sev-es": "AMD SEV SEV-ES",
            "sev-snp": "AMD SEV SEV-ES SEV-SNP"}
# name: suffix of files in OUT, what `uname -r` is. The ordinary 6.1 unpacks itself for 4.5 G
# instructions.
KERNELS = {"6.1 cloud": ("", r"6\.1\.\S+-cloud-amd64"), "6.12 cloud": ("-6.12",
        r"6\.12\.\S+-cloud-amd64"),
           "6.1": ("-6.1-ordinary", r"6\.1\.[0-9-]+-amd64"), "6.12": ("-6.12-ordinary",
                   r"6\.12\.[0-9]+\+deb\S+(?<!-cloud)-amd64")}
SECURE_TSC = "6.14 or later cloud"  # Linux knows secure TSC from there on
NAMED = {**KERNELS, SECURE_TSC: ("-secure-tsc",
        r"(?:6\.1[4-9]|6\.[2-9]\d|[7-9]\.\d)\S*-cloud-amd64")}
TSC_KHZ = 2500000
story.TIMEOUT = int(os.environ.get("SOFTSEV_STORY_TIMEOUT", "1800"))  # of one boot


@dataclass
class Boot:
    kernel: str
    mode: str
    cpus: int = 1
    disk: bool = False  # its root: of a disk, not the initramfs
    ovmf: str = ""  # the flash image that starts it

    def __str__(self):
        cpus = f"{self.cpus} processor{'s' if self.cpus > 1 else ''}"
        disk = ", disk" if self.disk else ""
        ovmf = ", " + self.ovmf if self.ovmf else ""
        tsc = ", secure TSC" if self.secure_tsc() else ""
        return f"Linux {self.kernel}, {self.mode}, {cpus}{disk}{ovmf}{tsc}"

    def secure_tsc(self):
        return self.kernel == SECURE_TSC

    def stops(self):
        """OVMF 2022.11 writes to its variables before it has asked for their page
        (docs/fidelity.md)."""
        return self.ovmf == "OVMF.fd" and self.mode == "sev-snp"

    def arguments(self, s):
        suffix = NAMED[self.kernel][0]
        kernel, initrd = f"{s.out}/vmlinuz{suffix}", f"{s.out}/initrd{suffix}.cpio.gz"
        if not os.path.exists(kernel):
            which = "secure-tsc" if self.secure_tsc() else "all"
            raise Skip(f"no {os.path.basename(kernel)}: tools/fetch-guest.sh OUT {which} gets it "
                       "where apt knows one")
        more = []
        if self.secure_tsc():
            more += ["--guest-features", "secure-tsc,debug-swap", "--tsc-frequency", str(TSC_KHZ)]
        if self.disk:
            more += ["--disk", make_disk(s)]
        if self.ovmf:
            firmware = f"{s.out}/oracles/{self.ovmf}"
            if not os.path.exists(firmware):
                raise Skip(f"no {self.ovmf}: tools/fetch-oracles.sh OUT images gets it")
            more += ["--firmware", firmware, *(["--kernel-hashes"] if "amdsev" in self.ovmf
                                               else [])]
        return ["--kernel", kernel, "--initrd", initrd, "--append",
                APPEND + (" root=/dev/vda" if self.disk else ""),
                "--memory", "512", "--mode", self.mode, "--cpus", str(self.cpus), *more]

    def run(self, s):
        """Boots it; what it took in words."""
        arguments = self.arguments(s)
        begin = time.monotonic()
        code, events, error = s.run(*arguments)
        seconds = time.monotonic() - begin
        if self.stops():
            want(code == 9 and "firmware has not asked for it yet" in error,
                 f"exit code {code}: {error}")
            return "stops where it is known to"
        text = console(events).replace("\r", "") if events else ""
        want(code == 0, f"exit code {code}: {error}\n{text[-800:]}")
        self.look_at(text)
        last = summary(events)
        want(last["vms"][0]["state"] == "powered off", last)
        return f"{seconds:.0f} s, {last['instructions'] / 1e9:.2f} G instructions"

    def look_at(self, text):
        """The boot log: is it this kernel, in this mode, with these processors, to the end?"""
        want(not self.ovmf or "efi: EFI v2" in text, "the firmware did not start it")
        want(re.search(f"Linux version {NAMED[self.kernel][1]} ", text),
             "another kernel: " + text[:300])
        active = re.search("Memory Encryption Features active: (.*)\n", text)
        want((active and active[1].strip()) == FEATURES[self.mode],
             f"active: {active and active[1]}")
        want(f"Brought up 1 node, {self.cpus} CPU" in text,
             "the kernel did not start its processors")
        want(f"guest: processors: {self.cpus}\n" in text, "userland does not see the processors")
        want("reboot: Power down" in text, text[-800:])
        wrong = re.search(r".*(BUG:|WARNING:|Call Trace:| stall).*", text)
        want(wrong is None, wrong and text[wrong.start():wrong.start() + 1500])
        if self.disk:
            want(re.search("disk: root is /dev/(root|vda) / ext4", text), text[-800:])
        if self.secure_tsc():
            want("SEV: Status: SEV SEV-ES SEV-SNP DebugSwap SecureTSC" in text,
                 "the guest does not see secure TSC")
            want(f"tsc: Detected {TSC_KHZ / 1000:.3f} MHz processor" in text,
                 "the frequency is another")
        if self.mode == "sev-snp" and self.kernel.startswith("6.12"):
            want("guest: report over 'softsev': " in text, "no report: " + text[-800:])


def boots():
    for cpus in (1, 4):
        yield from (Boot(kernel, mode, cpus) for kernel in KERNELS for mode in FEATURES)
    yield from (Boot("6.1 cloud", mode, 8) for mode in FEATURES)
    yield from (Boot(kernel, mode, disk=True) for kernel in KERNELS for mode in FEATURES)
    for kernel in ("6.1 cloud", "6.12 cloud"):
        # Of 2022.11's boots under SEV and SEV-ES some end (docs/fidelity.md): they prove nothing.
        yield from (Boot(kernel, mode, ovmf="OVMF.fd") for mode in ("none", "sev-snp"))
        yield from (Boot(kernel, mode, ovmf="OVMF.amdsev.fd") for mode in FEATURES
                    if mode != "none")
    yield from (Boot(SECURE_TSC, "sev-snp", cpus) for cpus in (1, 4))


def main():
    softsev, out, *words = sys.argv[1:]
    chosen = [b for b in boots() if all(word in str(b) for word in words)]
    passed = failed = skipped = 0
    print(f"1..{len(chosen)}")
    with tempfile.TemporaryDirectory(prefix="softsev-slow-") as folder:
        for number, boot in enumerate(chosen, 1):
            try:
                took = boot.run(Story(softsev, out, folder))
                print(f"ok {number} - {boot} ({took})", flush=True)
                passed += 1
            except Skip as why:
                print(f"ok {number} - {boot} # SKIP {why}", flush=True)
                skipped += 1
            except (AssertionError, OSError, ValueError, KeyError, IndexError,
                    story.subprocess.SubprocessError) as problem:
                lines = f"{type(problem).__name__}: {problem}"[:2500].splitlines()
                print(f"not ok {number} - {boot}" + "".join(f"\n# {line}" for line in lines),
                      flush=True)
                failed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


main()
