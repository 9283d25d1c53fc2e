#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The kernel's own KVM selftests, on Debian's kernel in host mode on the bare machine: all in one
boot. tests/slow/kvm_selftests.txt says how each must end.

usage: host_selftests.py SOFTSEV OUT    OUT: tools/fetch-guest.sh OUT host,
tools/fetch-selftests.sh OUT
"""
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "story"))
# pylint: disable=wrong-import-position
from story import archive, console

LIMIT_S = 1800  # of the boot, by this computer's clock
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir /tmp /dev/shm; mount -t tmpfs tmp /tmp; mount -t tmpfs shm /dev/shm
while read -r module; do insmod "/modules/$module"; done </modules/host-order
cd /tmp
for name in $(busybox cat /tests/order); do
    busybox timeout 600 "/tests/$name" >"/tmp/log" 2>&1
    status=$?
    tail -n 6 /tmp/log | cut -c1-200 | sed "s/^/$name: /"
    echo "host: selftest $name $status"
done
dmesg | grep -e 'BUG:' -e 'Oops' -e 'WARNING:' | sed 's/^/host: /'
poweroff -f
"""


def expected():
    with open(f"{HERE}/kvm_selftests.txt", encoding="utf-8") as f:
        rows = [line.split("#")[0].split() for line in f]
    return {row[0]: int(row[1]) for row in rows if row}


def boot(softsev, out, names, folder):
    """The host's console, after it has run the tests."""
    files = [("tests", 0o40755, b""), ("init", 0o100755, INIT.encode()),
             ("tests/order", 0o100644, "".join(name + "\n" for name in names).encode())]
    for name in names:
        with open(f"{out}/kvm-selftests/{name}", "rb") as f:
            files.append((f"tests/{name}", 0o100755, f.read()))
    initrd = os.path.join(folder, "initrd")
    with open(f"{out}/initrd-host.cpio.gz", "rb") as f, open(initrd, "wb") as to:
        to.write(f.read() + gzip.compress(archive(files), 1, mtime=0))
    done = subprocess.run(
        [softsev, "host", "--json", "--seed", "story", "--no-reboot", "--cpus", "2", "--memory",
         "3G", "--limit", "3000", "--kernel", f"{out}/vmlinuz-host", "--initrd", initrd, "--append",
         "console=ttyS0 quiet panic=-1 nokaslr cryptomgr.notests"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=LIMIT_S, check=False)
    text = console([json.loads(line) for line in done.stdout.splitlines()], "host")
    return text.replace("\r", "") + f"softsev host: status {done.returncode}\n{done.stderr}"


def main():
    softsev, out = sys.argv[1:3]
    rows = {name: status for name, status in expected().items()
            if not sys.argv[3:] or name in sys.argv[3:]}
    names = [name for name in rows if os.path.exists(f"{out}/kvm-selftests/{name}")]
    print(f"1..{len(rows) + 1}")
    with tempfile.TemporaryDirectory() as folder:
        text = boot(softsev, out, names, folder) if names else ""
    ended = {name: int(status) for name, status in
             re.findall(r"^host: selftest (\S+) (\d+)$", text, re.M)}
    failed = False
    for number, (name, status) in enumerate(rows.items(), 1):
        if name not in names:
            print(f"ok {number} - {name} # SKIP it is not in {out}/kvm-selftests")
            continue
        good = ended.get(name) == status
        failed |= not good
        print(f"{'ok' if good else 'not ok'} {number} - {name} ends with {status}")
        for line in text.splitlines() if not good else ():
            if line.startswith(f"{name}: "):
                print("#", line)
        if not good:
            print(f"# it has ended with {ended.get(name)}")
    quiet = not re.search("^host: .*(BUG:|Oops|WARNING:)", text, re.M)
    failed |= not quiet
    print(f"{'ok' if quiet else 'not ok'} {len(rows) + 1} - the host's kernel complains of nothing")
    if failed:
        print("\n".join("# " + line for line in text.splitlines()[-30:]))
    sys.exit(1 if failed else 0)


main()
