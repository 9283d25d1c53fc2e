#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs by which others test a processor from user space, inside guests on Debian's ordinary
kernel. QEMU's must print what they print on this computer; the kernel's selftests say themselves
whether they pass.

usage: programs.py SOFTSEV OUT [NAME...]    OUT: tools/fetch-guest.sh OUT all, tools/fetch-programs.sh
OUT
"""
import gzip
import os
import re
import subprocess
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "story"))
# pylint: disable=wrong-import-position
import story
from story import Skip, archive, console, tell, want

story.TIMEOUT = int(os.environ.get("SOFTSEV_STORY_TIMEOUT", "1800"))
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir /tmp /dev/shm; mount -t tmpfs tmp /tmp; mount -t tmpfs shm /dev/shm
ip link set lo up
while read -r module; do insmod "/modules/$module"; done </modules/order
mkdir /tmp/out; cd /tmp
for program in /tests/*; do
    name=${program##*/}
    busybox timeout 300 "$program" >"/tmp/out/$name" 2>&1 </dev/null
    echo "program $name $?"
done
busybox tar -cf /dev/vda -C /tmp/out .
poweroff -f
"""
DISK = 256 << 20
# Without the second, Linux runs no 32-bit program in an encrypted guest.
WORDS = "vsyscall=emulate ia32_emulation=on"
# What they print has addresses, the time, or how fast they are.
DIFFERS = {"test-mmap", "vsyscall", "signals", "testthread"}
# 66 MB of results, a minute: once is enough.
LONG = {"test-i386-fprem-32"}
# SHLD and SHRD of 16 bits by 17 to 31: AMD shifts through the third word, Intel's result differs.
VENDORS = re.compile(rb"^sh[lr]dw .*\n", re.M)
# Features that the processor lacks: the test says so, and ends with 4, or with 1.
SKIPS = {"amx_64": 4, "lam_64": 4, "test_shadow_stack_64": 1}
# Linux's #VC handler looks at the bitmap of ioperm() alone, and refuses the ports that iopl() gave.
ENCRYPTED = {"iopl_32": 1, "iopl_64": 1}


def run(s, mode, folder, names):
    """The programs' statuses in a guest, and where what they printed is."""
    files = [("tests", 0o40755, b""), ("init", 0o100755, INIT.encode())]
    for name in names:
        with open(os.path.join(folder, name), "rb") as f:
            files.append((f"tests/{name}", 0o100755, f.read()))
    initrd, disk = s.path(f"initrd-{mode}"), s.path(f"disk-{mode}")
    with open(f"{s.out}/initrd-6.12-ordinary.cpio.gz", "rb") as f, open(initrd, "wb") as to:
        to.write(f.read() + gzip.compress(archive(files), 1, mtime=0))
    with open(disk, "wb") as f:
        f.truncate(DISK)
    code, events, error = s.run("--kernel", f"{s.out}/vmlinuz-6.12-ordinary", "--initrd", initrd,
                                "--append", f"{story.APPEND} quiet {WORDS}", "--memory",
                                "1G", "--mode", mode, "--disk", disk)
    text = console(events).replace("\r", "")
    want(code == 0, (code, error, text[-1000:]))
    with tarfile.open(disk) as results:
        results.extractall(s.path(f"out-{mode}"))
    statuses = {name: int(status) for name, status in
                re.findall(r"^program (\S+) (\d+)$", text, re.M)}
    want(set(statuses) == set(names), set(names) - set(statuses))
    return statuses


def programs(s, kind):
    folder = f"{s.out}/programs/{kind}"
    if not os.path.isdir(folder):
        raise Skip(f"there is no {folder}: tools/fetch-programs.sh")
    if not os.path.exists(f"{s.out}/vmlinuz-6.12-ordinary"):
        raise Skip("there is no ordinary kernel 6.12")
    return folder, sorted(os.listdir(folder))


def content(path):
    with open(path, "rb") as f:
        return VENDORS.sub(b"", f.read())


def like_this_computer(s, mode):
    folder, there = programs(s, "qemu")
    names = [name for name in there if mode == "none" or name not in LONG]
    statuses = run(s, mode, folder, names)
    for name in names:
        with open(s.path("here"), "wb") as f:
            here = subprocess.run([os.path.join(folder, name)], stdin=subprocess.DEVNULL, stdout=f,
                                  stderr=subprocess.STDOUT, timeout=300, check=False).returncode
        want(statuses[name] == here, (name, statuses[name], here))
        want(name in DIFFERS or content(s.path("here")) == content(s.path(f"out-{mode}", name)),
             f"{name} prints something else than on this computer")


def selftests_pass(s, mode):
    folder, names = programs(s, "kernel")
    ends = SKIPS if mode == "none" else SKIPS | ENCRYPTED
    for name, status in run(s, mode, folder, names).items():
        with open(s.path(f"out-{mode}", name), encoding="utf-8", errors="replace") as f:
            want(status == ends.get(name, 0), (name, status, f.read()[-500:]))


def qemus_programs_in_a_plain_guest(s):
    like_this_computer(s, "none")


def qemus_programs_in_an_snp_guest(s):
    like_this_computer(s, "sev-snp")


def the_kernels_selftests_in_a_plain_guest(s):
    selftests_pass(s, "none")


def the_kernels_selftests_in_an_snp_guest(s):
    selftests_pass(s, "sev-snp")


tell(qemus_programs_in_a_plain_guest, the_kernels_selftests_in_a_plain_guest,
     qemus_programs_in_an_snp_guest, the_kernels_selftests_in_an_snp_guest)
