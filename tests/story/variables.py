#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""UEFI variables that stay: Debian's OVMF_CODE and a copy of its OVMF_VARS in a flash that the guest
writes. A guest makes a boot entry, and later ones boot by it, from a disk, encrypted too."""
import json
import os
import shutil
import struct
import subprocess

from control import module_files
from firmware import image
from story import APPEND, Skip, console, one_line, quick, slow, summary, tell, want

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
OURS = "5f5e1e5a-5f3c-4d0c-9c52-5e2b8a0f7d11"
ENTRY = "0042"
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in $modules; do insmod "/$m.ko"; done
cd /sys/firmware/efi/efivars
mount -t efivarfs efivarfs . && cd . || echo "vars: no efivarfs"
cd /sys/firmware/efi/efivars
echo "vars: active $(dmesg | sed -n 's/.*ncryption .eatures active: //p')"
echo "vars: line $(cat /proc/cmdline)"
echo "vars: ours $(busybox tail -c +5 Mine-$ours)"
echo "vars: current $(busybox hexdump -v -e '1/1 "%02x"' BootCurrent-$global)"
for name in Boot$entry-$global BootOrder-$global Mine-$ours; do
    [ ! -f "/$name" ] || { cat "/$name" >"$name" && echo "vars: wrote $name"; }
done
n=0
while [ -f "Seen$n-$ours" ]; do n=$((n + 1)); done
echo "vars: seen $n"
cat /seen >"Seen$n-$ours"
poweroff -f
"""
MODULES = ["efivarfs"]


def variable(data):
    return struct.pack("<I", 7) + data  # non-volatile, for boot services and the running system


def boot_entry(arguments):
    """A load option [UEFI 3.1.3]: \\linux.efi on the first disk, PciRoot(0)/Pci(3,0)."""
    def node(kind, sub, data):
        return struct.pack("<BBH", kind, sub, 4 + len(data)) + data
    path = (node(2, 1, struct.pack("<II", 0x0a0341d0, 0)) + node(1, 1, bytes([0, 3]))
            + node(4, 4, "\\linux.efi\0".encode("utf-16le")) + node(0x7f, 0xff, b""))
    return (struct.pack("<IH", 1, len(path)) + "softsev\0".encode("utf-16le") + path
            + arguments.encode("utf-16le") + b"\0\0")


def initrd(s, name, files):
    modules = module_files(s, MODULES)
    init = INIT.replace("$modules", " ".join(n for n, _ in modules)).replace("$entry", ENTRY)
    init = init.replace("$global", GLOBAL).replace("$ours", OURS)
    return s.initrd_with(name, init, [("seen", 0o100644, variable(b"here"))]
                         + [(n + ".ko", 0o100644, content) for n, content in modules]
                         + [(n, 0o100644, content) for n, content in files.items()])


def system_disk(s, init):
    """A FAT file system with the kernel as an EFI program, and its initramfs."""
    if not shutil.which("mformat"):
        raise Skip("mtools is missing")
    disk = s.write("system", bytes(48 << 20))
    subprocess.run(["mformat", "-i", disk, "-F", "::"], check=True, capture_output=True)
    for source, target in ((s.kernel, "linux.efi"), (init, "initrd")):
        subprocess.run(["mcopy", "-i", disk, source, f"::{target}"], check=True,
                       capture_output=True)
    return disk


def variables(s):
    shutil.copy(image(s, "OVMF_VARS.fd"), s.path("vars"))
    return s.path("vars")


def run(s, mode, *more):
    return s.run("--firmware", image(s, "OVMF_CODE.fd"), "--firmware-vars", s.path("vars"),
                 "--memory", "512", "--mode", mode, "--limit", "100", *more)


@slow
def a_boot_entry_stays_and_is_booted(s):
    first = initrd(s, "first.cpio.gz",
                   {f"Boot{ENTRY}-{GLOBAL}": variable(boot_entry(f"initrd=\\initrd {APPEND}")),
                    f"BootOrder-{GLOBAL}": variable(struct.pack("<H", int(ENTRY, 16))),
                    f"Mine-{OURS}": variable(b"first")})
    later = initrd(s, "later.cpio.gz", {})
    variables(s)
    with open(s.path("vars"), "rb") as f:
        blank = f.read()
    code, events, error = run(s, "none", "--kernel", s.kernel, "--initrd", first, "--append",
                              APPEND)
    text = console(events)
    want(code == 0 and f"vars: wrote Boot{ENTRY}" in text and "vars: wrote Mine" in text,
         (code, error, text[-1500:]))
    with open(s.path("vars"), "rb") as f:
        kept = f.read()
    want(len(kept) == len(blank) and kept != blank, "the file is as it was")
    disk = system_disk(s, later)
    for seen, mode, active in ((1, "none", ""), (2, "sev", "AMD SEV"),
                               (3, "sev-es", "AMD SEV SEV-ES")):
        code, events, error = run(s, mode, "--disk", disk + ",readonly")
        text = console(events).replace("\r", "")
        want(code == 0 and "vars: ours first\n" in text, (mode, code, error, text[-1500:]))
        want("initrd=\\initrd" in text and "vars: current 060000004200" in text, text[-1500:])
        want(f"vars: active {active}\n" in text, (mode, text[-1500:]))
        want(f"vars: seen {seen}\n" in text, (mode, text[-1500:]))
    want(os.stat(s.path("vars")).st_mode & 0o777 == 0o600, "others may read it")


@quick
def what_is_no_flash_is_refused(s):
    code_file, path = image(s, "OVMF_CODE.fd"), variables(s)
    whole = image(s, "OVMF.fd")
    small = s.write("small", open(path, "rb").read()[:65536])
    for arguments, code, words in (
            (("--firmware", code_file, "--firmware-vars", s.path("missing")), 3, "missing"),
            (("--firmware", code_file, "--firmware-vars", code_file), 2, "would be overwritten"),
            (("--firmware", code_file, "--firmware-vars", s.write("other", bytes(8192))), 3,
             "not the variables of firmware"),
            (("--firmware", code_file, "--firmware-vars", small), 3, "one build"),
            (("--firmware", whole, "--firmware-vars", path), 3, "variables of its own"),
            (("--firmware", code_file, "--firmware-vars", path, "--mode", "sev-snp"), 2,
             "its own memory"),
            (("--kernel", s.build("halt", ".globl _start\n_start: hlt\n"), "--firmware-vars", path),
             2, "needs --firmware")):
        got, _, error = s.run(*arguments)
        want(got == code and words in one_line(error), (arguments, got, error))
    vm = {"firmware": code_file, "firmware-vars": path}
    machine = s.write("machine", json.dumps({"vms": [vm, vm]}).encode())
    got, _, error = s.run("--machine", machine)
    want(got == 2 and "same 'firmware-vars'" in one_line(error), (got, error))


if __name__ == "__main__":
    tell(a_boot_entry_stays_and_is_booted, what_is_no_flash_is_refused)
