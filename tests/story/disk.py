#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A root file system on a virtio disk, made with e2fsprogs and read back with it: contents, writes,
and read-only."""
import hashlib
import os
import random
import shutil
import subprocess

from story import Skip, console, slow, tell, want

BIG = random.Random(2).randbytes(3 << 20)
INIT = """#!/bin/sh
PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
echo "disk: root is $(grep ' / ' /proc/mounts | grep -v rootfs)"
echo "disk: ACCESS_PLATFORM $(cut -c34 /sys/block/vda/device/features)"
echo "disk: big $(sha256sum </data/big | cut -d' ' -f1)"
[ -f /data/boots ] && echo "disk: was here before"
if echo once more >>/data/boots; then
    cat /data/big /data/big >/data/twice
    sync
    echo 3 >/proc/sys/vm/drop_caches
    echo "disk: twice $(sha256sum </data/twice | cut -d' ' -f1)"
else
    echo "disk: cannot be written"
fi
dd if=/proc/version of=/dev/vda bs=512 seek=1 count=1 conv=notrunc 2>/dev/null && [ "$1" = spoil ] && echo "disk: was spoiled"
mount -o remount,ro / 2>/dev/null
poweroff -f
"""


def sha(data):
    return hashlib.sha256(data).hexdigest()


def make_disk(s, name="disk"):
    if not shutil.which("mke2fs", path="/sbin:/usr/sbin:/usr/bin"):
        raise Skip("e2fsprogs is missing")
    root, disk = s.path("root"), s.path(name)
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "sbin", "data", "proc", "sys", "dev"):
        os.makedirs(os.path.join(root, folder))
    shutil.copy(f"{s.out}/guest/busybox-static/bin/busybox", f"{root}/bin/busybox")
    for applet in "sh mount grep cut sha256sum cat sync dd poweroff".split():
        os.symlink("busybox", f"{root}/bin/{applet}")
    for path, data in (("sbin/init", INIT.encode()), ("data/big", BIG)):
        with open(os.path.join(root, path), "wb") as f:
            f.write(data)
    os.chmod(f"{root}/sbin/init", 0o755)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", root, "-E", "root_owner=0:0",
                    disk, "24M"], capture_output=True,
                   check=True)
    return disk


def inside(disk, path):
    return subprocess.run(["/sbin/debugfs", "-R", f"cat {path}", disk], capture_output=True,
                          check=True).stdout


def boots_from(s, disk, mode, *more):
    code, events, error = s.linux(mode, "--disk", disk, *more, append="root=/dev/vda")
    want(code == 0, (error, console(events)[-500:]))
    text = console(events)
    want("disk: root is /dev/root / ext4" in text or "disk: root is /dev/vda / ext4" in text,
         text[-1500:])
    want(f"disk: big {sha(BIG)}" in text, f"--mode {mode}: the guest reads something else")
    return text


def an_encrypted_guest_lives_on_its_disk(s):
    disk = make_disk(s)
    text = boots_from(s, disk, "sev")
    want("active: AMD SEV" in text, "the guest is not encrypted")
    want("disk: ACCESS_PLATFORM 1" in text, "the driver does not go through shared pages")
    want(f"disk: twice {sha(BIG + BIG)}" in text and "was here before" not in text, text[-800:])
    check = subprocess.run(["/sbin/e2fsck", "-fn", disk], capture_output=True, check=False)
    want(check.returncode == 0, check.stdout)
    want(sha(inside(disk, "/data/twice")) == sha(BIG + BIG), "what was written is something else")
    want(inside(disk, "/data/boots") == b"once more\n", inside(disk, "/data/boots"))


@slow
def an_snp_guest_does_so_through_pages_that_it_shares(s):
    disk = make_disk(s)
    text = boots_from(s, disk, "sev-snp")
    want("active: AMD SEV SEV-ES SEV-SNP" in text, "the guest does not see SNP")
    want("disk: ACCESS_PLATFORM 1" in text, "the driver does not go through shared pages")
    want(sha(inside(disk, "/data/twice")) == sha(BIG + BIG), "what was written is something else")


@slow
def a_plain_guest_does_so_too_and_what_was_written_stays(s):
    disk = make_disk(s)
    want("was here before" not in boots_from(s, disk, "none"), "a new disk is old")
    want("was here before" in boots_from(s, disk, "sev"), "what was written is gone")
    want(inside(disk, "/data/boots") == b"once more\n" * 2, inside(disk, "/data/boots"))


def a_read_only_disk_is_read_and_not_written(s):
    disk = make_disk(s)
    os.chmod(disk, 0o444)
    with open(disk, "rb") as f:
        before = sha(f.read())
    text = boots_from(s, disk, "sev", "--disk-read-only")
    want("disk: cannot be written" in text and "disk: was spoiled" not in text, text[-800:])
    with open(disk, "rb") as f:
        want(before == sha(f.read()), "a read-only disk was written")


if __name__ == "__main__":
    tell(
        an_encrypted_guest_lives_on_its_disk,
        an_snp_guest_does_so_through_pages_that_it_shares,
        a_plain_guest_does_so_too_and_what_was_written_stays,
        a_read_only_disk_is_read_and_not_written,
    )
