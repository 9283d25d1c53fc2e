#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware: Debian's unmodified OVMF images start stock kernels by fw_cfg in every mode, are
launched as they are measured, start no kernel but the one that was measured with them, and hand the
owner's secret to it."""
import os
import re
import struct
import uuid

from owner import Host, Owner, good
from story import (APPEND, SECRET, SECRET_WORD, Skip, console, occurs, one_line, quick, slow, steps,
                   summary, tell, want)

PASSPHRASE = "736869e5-84f0-4973-92ec-06879ce3da0b"


def image(s, name):
    path = f"{s.out}/oracles/{name}"
    if not os.path.exists(path):
        raise Skip(f"no {path}: tools/fetch-oracles.sh gets it")
    return path


def ovmf(s, mode, *more, **options):
    return s.linux(mode, "--firmware", image(s, "OVMF.fd"), *more, **options)


def amdsev(s, mode, *more, **options):
    return s.linux(mode, "--firmware", image(s, "OVMF.amdsev.fd"), "--kernel-hashes", *more,
                   **options)


def want_linux(code, events, error, *words):
    want(code == 0 and summary(events)["vms"][0]["state"] == "powered off",
         (code, error, console(events)[-600:]))
    for word in ("efi: EFI v2", "guest: Linux", *words):
        want(word in console(events), (word, console(events)[-3000:]))


def ovmf_starts_a_kernel(s):
    disk = s.write("disk", bytes(1 << 20))
    code, events, error = ovmf(s, "none", "--cpus", "2", "--disk", disk)
    want_linux(code, events, error, "Brought up 1 node, 2 CPUs", "ACPI: RSDP", "SOFSEV",
               "guest: disk of 2048 sectors")
    want("can't claim" not in console(events), console(events))


def an_snp_guest_of_ovmf_is_measured_beforehand(s):
    code, events, error = amdsev(s, "sev-snp", "--cpus", "2")
    want_linux(code, events, error, "Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP",
               "Brought up 1 node, 2 CPUs")
    code, out, error = s.command("owner", "measure", "--mode", "snp", "--firmware",
                                 image(s, "OVMF.amdsev.fd"), "--kernel-hashes",
                                 "--kernel", s.kernel, "--initrd", s.initrd, "--append", APPEND,
                                 "--vcpus", "2", "--vcpu-type", "EPYC-Milan")
    want(code == 0 and out.decode().split()[0] == summary(events)["vms"][0]["measurement"],
         (code, out, error, summary(events)))


@slow
def sev_and_sev_es_guests_of_ovmf(s):
    for mode, words in (("sev", "features active: AMD SEV\n"),
                        ("sev-es", "Features active: AMD SEV SEV-ES")):
        code, events, error = amdsev(s, mode, "--cpus", "2")
        want_linux(code, events, error, "Brought up 1 node, 2 CPUs")
        want(words.lower() in console(events).lower().replace("\r", ""),
             (mode, console(events)[:3000]))


@slow
def a_kernel_that_was_not_measured_is_not_started(s):
    for more, starts in ((("--tamper",), False), ((), True)):
        code, events, _ = amdsev(s, "sev", "--limit", "5", *more)
        want(("guest: Linux" in console(events)) == starts and code == (0 if starts else 9),
             (more, code, console(events)[-600:]))
        want("Linux version" not in console(events) or starts, console(events)[-600:])
        want("equal" in steps(events, "owner"), steps(events, "owner"))


# --- The owner's secret: a table in the place that the image names, which firmware tells the kernel
# of ---

READ = """#!/bin/busybox sh
B=/bin/busybox
$B mkdir -p /dev /proc /sys
$B mount -t proc proc /proc; $B mount -t devtmpfs dev /dev; $B mount -t sysfs sys /sys
words() { i=0; while [ $i -lt $3 ]; do echo "$1 $($B devmem $(($2 + 8 * i)) 64)"; i=$((i + 1)); done; }
words told $($B cat /sys/firmware/efi/config_table) 40
words secret PLACE 24
$B poweroff -f
"""


def place_of_secrets(flash):
    """What the table at the end of the image says: address and size."""
    with open(flash, "rb") as f:
        data = f.read()
    guid = uuid.UUID("4c2eb361-7d9b-4cc3-8081-127c90d3d294").bytes_le
    at = data.rindex(guid)
    return struct.unpack("<II", data[at - 10:at - 2])


def newer(s, flash):
    """A 6.12 kernel, whose guest prints what it finds in memory and in the table of EFI's
    configuration."""
    if not os.path.exists(f"{s.out}/vmlinuz-6.12"):
        raise Skip("no kernel 6.12")
    s.kernel, s.initrd = f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz"
    address, size = place_of_secrets(flash)
    want((address, size) == (0x810000, 0xc00), "the image is not the one that is known")
    return s.initrd_with("reads.cpio", READ.replace("PLACE", hex(address)))


def words(text, name):
    return b"".join(struct.pack("<Q", int(word, 16))
                    for word in re.findall(f"^{name} 0x([0-9A-F]+)", text, re.M))


def want_secret(events, guid):
    table = words(console(events), "secret")
    entry = uuid.UUID(guid).bytes_le + struct.pack("<I", 20 + len(SECRET)) + SECRET
    head = uuid.UUID("1e74f542-71dd-4d66-963e-ef4287ff173b").bytes_le + struct.pack("<I",
            20 + len(entry))
    want(table.startswith(head + entry), (table, console(events)[-2000:]))
    want(uuid.UUID("adf956ad-e98c-484c-ae11-b51c7d336447").bytes_le in words(console(events),
            "told"), "EFI does not tell of the secret")


def a_kernel_behind_firmware_finds_its_owners_secret(s):
    initrd, dump = newer(s, image(s, "OVMF.amdsev.fd")), s.path("dump")
    code, events, error = amdsev(s, "sev", "--owner-secret", s.secret, "--dump", dump,
                                 initrd=initrd)
    want(code == 0, (error, console(events)[-600:]))
    want_secret(events, PASSPHRASE)
    want(not occurs(dump, SECRET_WORD), "the secret is in DRAM")
    large = s.write("large", bytes(0xc00 - 39))
    code, _, error = s.run("--firmware", image(s, "OVMF.amdsev.fd"), "--mode", "sev",
                           "--owner-secret", large, "--limit", "1")
    want(code == 2 and "at most 3072 with" in one_line(error), (code, error))


@slow
def an_owner_elsewhere_gives_a_secret_to_a_guest_behind_firmware(s):
    flash, guid = image(s, "OVMF.amdsev.fd"), "0b5c8f3e-3c3d-4c8a-9a52-7a0e7c5b9d11"
    initrd, owner = newer(s, flash), Owner(s, "home")
    with Host(s, "wire", initrd=initrd, mode="sev-es", more=("--firmware", flash, "--kernel-hashes",
            "--clock", "virtual")) as host:
        good(owner.session(host.get("chain"), "--policy", "5"))
        host.send(owner.file("godh.b64"), owner.file("session.b64"))
        good(owner.measure(host, "--mode", "sev-es", "--firmware", flash, "--kernel-hashes",
                           "--vcpu-type", "EPYC-Milan",
                           "--kernel", s.kernel, "--initrd", initrd, "--append", APPEND))
        good(owner.seal("--guid", guid))
        host.send(owner.file("secret-header.b64"), owner.file("secret-payload.b64"))
        code, events, error = host.end()
    want(code == 0, (error, console(events)[-600:]))
    want_secret(events, guid)


@slow
def an_snp_guest_behind_firmware_asks_for_its_secret(s):
    newer(s, image(s, "OVMF.amdsev.fd"))
    if not os.path.exists(f"{s.out}/initrd-6.12.agent"):
        raise Skip("the initramfs has no agent")
    code, events, error = amdsev(s, "sev-snp", "--owner-secret", s.secret, append="agent")
    want(code == 0 and f"{len(SECRET)} bytes from the owner" in console(events),
         (code, error, console(events)[-600:]))


@quick
def firmware_that_uses_memory_too_early_is_told_so(s):
    code, events, error = s.run("--firmware", image(s, "OVMF.fd"), "--mode", "sev-snp", "--limit",
                                "5")
    want(code == 9 and "firmware has not asked for it yet" in one_line(error), (code, error))
    want(summary(events)["vms"][0]["state"] == "crashed", summary(events))


@quick
def ovmf_is_given_no_kernel_that_it_cannot_start(s):
    elf = s.build("elf", ".globl _start\n_start: hlt\n")
    code, _, error = s.run("--firmware", image(s, "OVMF.fd"), "--kernel", elf)
    want(code == 3 and "an ELF file, which OVMF cannot start" in one_line(error), (code, error))
    for action in ("measure", "id-block"):
        more = ("--new-id-key", "--out-dir", s.path("id")) if action == "id-block" else ()
        code, _, error = s.command("owner", action, "--mode", "sev-snp", "--firmware",
                                   image(s, "OVMF.amdsev.fd"), "--cpu", "milan", "--kernel-hashes",
                                   "--kernel", s.write("nothing", b""), *more)
        want(code == 3 and "is empty" in one_line(error), (action, code, error))


@quick
def what_firmware_cannot_use_is_refused(s):
    reset = b"\xeb\xfe" + bytes(14)  # a jump to itself, where processors start
    flash, kernel = s.write("bare.fd", bytes(65520) + reset), s.write("kernel", b"MZ")
    for arguments, code, words in ((("--firmware", flash, "--append", "quiet"), 2, "--kernel"),
                                   (("--firmware", flash, "--kernel-hashes"), 2, "needs --kernel"),
                                   (("--firmware", flash, "--kernel-hashes", "--kernel", kernel,
                                     "--mode", "sev"), 3, "no place for kernel hashes"),
                                   (("--firmware", flash, "--mode", "sev", "--owner-secret",
                                     s.secret), 3, "no place for an owner's secret"),
                                   (("--firmware", flash, "--mode", "sev", "--owner-secret",
                                     s.secret, "--secret-guid", "7"), 2, PASSPHRASE),
                                   (("--firmware", flash, "--mode", "sev-es", "--cpus", "2"), 3,
                                    "no reset block"),
                                   (("--firmware", flash, "--kernel", s.write("nothing", b"")), 3,
                                    "is empty")):
        got, _, error = s.run(*arguments)
        want(got == code and words in one_line(error), (arguments, got, error))


if __name__ == "__main__":
    tell(ovmf_starts_a_kernel, an_snp_guest_of_ovmf_is_measured_beforehand,
         sev_and_sev_es_guests_of_ovmf,
         a_kernel_that_was_not_measured_is_not_started,
         a_kernel_behind_firmware_finds_its_owners_secret,
         an_owner_elsewhere_gives_a_secret_to_a_guest_behind_firmware,
         an_snp_guest_behind_firmware_asks_for_its_secret,
         firmware_that_uses_memory_too_early_is_told_so,
         ovmf_is_given_no_kernel_that_it_cannot_start, what_firmware_cannot_use_is_refused)
