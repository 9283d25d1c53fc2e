#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware: Debian's unmodified OVMF images start stock kernels by fw_cfg in every mode, are launched as they are measured, and
start no kernel but the one that was measured with them."""
import os

from story import APPEND, Skip, console, one_line, quick, slow, steps, summary, tell, want


def image(s, name):
    path = f"{s.out}/oracles/{name}"
    if not os.path.exists(path):
        raise Skip(f"no {path}: tools/fetch-oracles.sh gets it")
    return path


def ovmf(s, mode, *more, **options):
    return s.linux(mode, "--firmware", image(s, "OVMF.fd"), *more, **options)


def amdsev(s, mode, *more, **options):
    return s.linux(mode, "--firmware", image(s, "OVMF.amdsev.fd"), "--kernel-hashes", *more, **options)


def want_linux(code, events, error, *words):
    want(code == 0 and summary(events)["vms"][0]["state"] == "powered off", (code, error, console(events)[-600:]))
    for word in ("efi: EFI v2", "guest: Linux", *words):
        want(word in console(events), (word, console(events)[-3000:]))


def ovmf_starts_a_kernel(s):
    disk = s.write("disk", bytes(1 << 20))
    code, events, error = ovmf(s, "none", "--cpus", "2", "--disk", disk)
    want_linux(code, events, error, "Brought up 1 node, 2 CPUs", "ACPI: RSDP", "SOFSEV", "guest: disk of 2048 sectors")
    want("can't claim" not in console(events), console(events))


def an_snp_guest_of_ovmf_is_measured_beforehand(s):
    code, events, error = amdsev(s, "sev-snp", "--cpus", "2")
    want_linux(code, events, error, "Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP", "Brought up 1 node, 2 CPUs")
    code, out, error = s.command("owner", "measure", "--mode", "snp", "--firmware", image(s, "OVMF.amdsev.fd"), "--kernel-hashes",
                                 "--kernel", s.kernel, "--initrd", s.initrd, "--append", APPEND, "--vcpus", "2", "--vcpu-type", "EPYC-Milan")
    want(code == 0 and out.decode().split()[0] == summary(events)["vms"][0]["measurement"], (code, out, error, summary(events)))


@slow
def sev_and_sev_es_guests_of_ovmf(s):
    for mode, words in (("sev", "features active: AMD SEV\n"), ("sev-es", "Features active: AMD SEV SEV-ES")):
        code, events, error = amdsev(s, mode, "--cpus", "2")
        want_linux(code, events, error, "Brought up 1 node, 2 CPUs")
        want(words.lower() in console(events).lower().replace("\r", ""), (mode, console(events)[:3000]))


@slow
def a_kernel_that_was_not_measured_is_not_started(s):
    for more, starts in ((("--tamper",), False), ((), True)):
        code, events, _ = amdsev(s, "sev", "--limit", "5", *more)
        want(("guest: Linux" in console(events)) == starts and code == (0 if starts else 9), (more, code, console(events)[-600:]))
        want("Linux version" not in console(events) or starts, console(events)[-600:])
        want("equal" in steps(events, "owner"), steps(events, "owner"))


@quick
def firmware_that_uses_memory_too_early_is_told_so(s):
    code, events, error = s.run("--firmware", image(s, "OVMF.fd"), "--mode", "sev-snp", "--limit", "5")
    want(code == 9 and "firmware has not asked for it yet" in one_line(error), (code, error))
    want(summary(events)["vms"][0]["state"] == "crashed", summary(events))


@quick
def what_firmware_cannot_use_is_refused(s):
    flash, kernel = s.write("blank.fd", bytes(65536)), s.write("kernel", b"MZ")
    for arguments, code, words in ((("--firmware", flash, "--append", "quiet"), 2, "--kernel"),
                                   (("--firmware", flash, "--kernel-hashes"), 2, "needs --kernel"),
                                   (("--firmware", flash, "--kernel-hashes", "--kernel", kernel, "--mode", "sev"), 3, "no place for kernel hashes"),
                                   (("--firmware", flash, "--mode", "sev", "--owner-secret", s.secret), 2, "not to firmware"),
                                   (("--firmware", flash, "--mode", "sev-es", "--cpus", "2"), 3, "no reset block")):
        got, _, error = s.run(*arguments)
        want(got == code and words in one_line(error), (arguments, got, error))


if __name__ == "__main__":
    tell(ovmf_starts_a_kernel, an_snp_guest_of_ovmf_is_measured_beforehand, sev_and_sev_es_guests_of_ovmf,
         a_kernel_that_was_not_measured_is_not_started, firmware_that_uses_memory_too_early_is_told_so, what_firmware_cannot_use_is_refused)
