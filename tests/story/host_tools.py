#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified programs on an unmodified kernel in host mode: sevctl and snphost ask /dev/sev, QEMU
launches a stock guest under SEV. They are this computer's, with the libraries that they need."""
import gzip
import json
import os
import re
import shutil
import subprocess

from story import Skip, archive, console, slow, summary, tell, want

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod /modules/$module; done </modules/host-order
cd /bin
{script}
poweroff -f
"""


def needed(program):
    """A program's path, and those of the libraries that it is linked with."""
    text = subprocess.run(["ldd", program], capture_output=True, check=True).stdout.decode()
    return [program, *re.findall(r"(?:=> |^\s+)(/\S+)", text, re.M)]


def with_folders(files):
    """Entries of an archive for {path: bytes}, each path's folders first."""
    folders = {os.path.join(*path.split("/")[:n]) for path in files
               for n in range(1, path.count("/") + 1)}
    return [(name, 0o40755, b"") for name in sorted(folders)] + [
        (path, 0o100755, content) for path, content in files.items()]


def content(path):
    with open(path, "rb") as f:
        return f.read()


def boot(s, script, programs, *arguments, files=None):
    """The host's console and the firmware's commands, after a script in the host's initramfs."""
    kernel, stock = f"{s.out}/vmlinuz-host", f"{s.out}/initrd-host.cpio.gz"
    if not os.path.exists(kernel) or not os.path.exists(stock):
        raise Skip(f"no host kernel in {s.out}: tools/fetch-guest.sh {s.out} host gets one")
    have = {"init": INIT.format(script=script).encode(), **(files or {})}
    for program in programs:
        path, *libraries = needed(program)
        have["bin/" + os.path.basename(path)] = content(path)
        have |= {library.lstrip("/"): content(library) for library in libraries}
    initrd, trace = s.path("initrd-tools"), s.path("tools.trace")
    with open(initrd, "wb") as f:
        f.write(gzip.decompress(content(stock)) + archive(with_folders(have)))
    code, out, error = s.command(
        "host", "--json", "--clock", "virtual", "--limit", "300", "--kernel", kernel, "--initrd",
        initrd, "--append", "console=ttyS0 quiet panic=-1 cryptomgr.notests nokaslr", "--memory",
        "2G", "--seed", "story", "--no-reboot", "--trace", "command", "--trace-file", trace,
        *arguments)
    events = [json.loads(line) for line in out.splitlines()]
    text = console(events, "host")
    want(code == 0 and summary(events)["state"] == "powered off", (code, error, text[-3000:]))
    with open(trace, encoding="utf-8") as f:
        return text, [json.loads(line) for line in f]


def oracle(s, name):
    path = f"{s.out}/oracles/bin/{name}"
    if not os.path.exists(path):
        raise Skip(f"no {name}: make interop builds it")
    return path


@slow
def sevctl_and_snphost_find_nothing_wrong(s):
    tools = [oracle(s, "sevctl"), oracle(s, "snphost")]
    text, _ = boot(s, "sevctl ok && echo sevctl agrees\nsevctl show flags\nsnphost ok && "
                   "echo snphost agrees\nsnphost show version\nsnphost config reset && echo reset",
                   tools)
    for words in ("sevctl agrees", "snphost agrees", "SEV-SNP enabled in KVM", "SNP initialized",
                  "RMP table initialized", "SEV-ES initialized", "\n1.55", "reset"):
        want(words in text.replace("\r", ""), (words, text[-5000:]))
    want("FAIL" not in text, text[-5000:])


QEMU = """qemu-system-x86_64 -L / -enable-kvm -cpu EPYC-v3 -smp 1 -m 256M -nodefaults \\
    -no-user-config -display none -serial stdio -no-reboot \\
    -machine q35,confidential-guest-support=sev0,vmport=off -bios /ovmf.fd \\
    -object sev-guest,id=sev0,cbitpos=51,reduced-phys-bits=6,policy=0x1,kernel-hashes=on \\
    -kernel /guest -initrd /guest-initrd -append 'console=ttyS0 quiet panic=-1' </dev/null
echo "qemu ends with $?"
"""


@slow
def qemu_launches_a_stock_guest_under_sev(s):
    qemu, firmware = shutil.which("qemu-system-x86_64"), f"{s.out}/oracles/OVMF.amdsev.fd"
    if not qemu or not os.path.exists(firmware):
        raise Skip("no qemu-system-x86_64, or no OVMF.amdsev.fd: make interop fetches that")
    text, commands = boot(s, QEMU, [qemu], files={
        "ovmf.fd": content(firmware), "guest": content(s.kernel),
        "guest-initrd": content(s.initrd), "kvmvapic.bin": content(find("kvmvapic.bin"))})
    want("Memory Encryption Features active: AMD SEV" in text and "qemu ends with 0" in text,
         text[-4000:])
    done = [c["event"] for c in commands if c["status"] == "SUCCESS"]
    for event in ("LAUNCH_START", "LAUNCH_UPDATE_DATA", "LAUNCH_MEASURE", "LAUNCH_FINISH",
                  "DEACTIVATE", "DECOMMISSION"):
        want(event in done, (event, done))


def find(name):
    for folder in ("/usr/share/qemu", "/usr/share/seabios"):
        if os.path.exists(f"{folder}/{name}"):
            return f"{folder}/{name}"
    raise Skip(f"QEMU's {name} is not installed")


tell(sevctl_and_snphost_find_nothing_wrong, qemu_launches_a_stock_guest_under_sev)
