#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Virtio disks: a root file system, made with e2fsprogs and read back with it; several disks,
read-only ones and snapshots; the locks of programs that share an image."""
import fcntl
import hashlib
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
import time

from story import Skip, console, one_line, quick, slow, tell, want

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
    text = boots_from(s, disk + ",readonly", "sev")
    want("disk: cannot be written" in text and "disk: was spoiled" not in text, text[-800:])
    with open(disk, "rb") as f:
        want(before == sha(f.read()), "a read-only disk was written")


def what_is_written_to_a_snapshot_ends_with_the_run(s):
    disk = make_disk(s)
    with open(disk, "rb") as f:
        before = sha(f.read())
    os.environ["TMPDIR"] = s.path()
    text = boots_from(s, disk + ",snapshot", "none")
    del os.environ["TMPDIR"]
    want(f"disk: twice {sha(BIG + BIG)}" in text and "was here before" not in text, text[-800:])
    with open(disk, "rb") as f:
        want(before == sha(f.read()), "the image of a snapshot was written")
    left = [name for name in os.listdir(s.folder) if name.startswith("softsev-")]
    want(not left, ("a snapshot leaves a file behind", left))


EIGHT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
for d in a b c d e f g h i; do
    [ -b /dev/vd$d ] && echo "disk: vd$d $(cat /sys/block/vd$d/size) $(head -c 5 /dev/vd$d)"
    echo "after" | dd of=/dev/vd$d conv=notrunc 2>/dev/null
done
sync
echo 3 >/proc/sys/vm/drop_caches
echo "disk: now $(head -c 5 /dev/vdb) $(head -c 5 /dev/vdc) $(head -c 5 /dev/vdd)"
poweroff -f
"""


def a_guest_has_eight_disks_and_no_more(s):
    disks = [s.write(f"disk-{i},x", f"disk{i}".encode().ljust(512 * (i + 8), b"."))
             for i in range(8)]
    words = ["", "", ",snapshot", ",readonly", "", "", "", ""]
    given = [a for at, word in zip(disks, words) for a in ("--disk", at.replace(",", ",,") + word)]
    initrd = s.initrd_with("eight.cpio.gz", EIGHT)
    for mode in ("none", "sev-snp"):
        code, events, error = s.linux(mode, *given, initrd=initrd)
        text = console(events)
        want(code == 0, (error, text[-800:]))
        for i, letter in enumerate("abcdefgh"):
            first = "after" if mode == "sev-snp" and not words[i] else f"disk{i}"
            want(f"disk: vd{letter} {i + 8} {first}" in text, (mode, text[-900:]))
        want("disk: vdi" not in text, "a ninth disk")
        want("disk: now after after disk3" in text, text[-900:])
        for i, (at, word) in enumerate(zip(disks, words)):
            with open(at, "rb") as f:
                first = f.read(5)
            want(first == (f"disk{i}".encode() if word else b"after"), (mode, at, first))
    code, _, error = s.command("run", "--kernel", s.kernel, *given, "--disk",
                               s.write("ninth", bytes(512)))
    want(code == 2 and "at most 8" in one_line(error), error)


HALT = ".globl _start\n_start: mov $0x10, %eax\nout %al, $0xf4\nhlt\n"
SPIN = ".globl _start\n_start: jmp _start\n"
OFD_GETLK, OFD_SETLK = 36, 37
NEEDS, REFUSES = 100, 200  # QEMU's bytes; beside them: 0 read, 1 write, 3 resize


def ofd(file, command, kind, start):
    lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, 1, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(file, command, lock))[0]


@quick
def a_disk_that_another_program_writes_is_refused(s):
    kernel, disk = s.build("halt", HALT), s.write("locked", bytes(4096))
    run = ["run", "--kernel", kernel, "--memory", "16", "--disk"]
    own = f"process {os.getpid()} ("
    with open(disk, "r+b") as f:  # as QEMU locks a disk that its guest reads
        for byte in (NEEDS, REFUSES + 1, REFUSES + 3):
            ofd(f, OFD_SETLK, fcntl.F_RDLCK, byte)
        code, _, error = s.command(*run, disk)
        want(code == 3 and own in error and "reads, so it cannot be written now" in error, error)
        for word in (",readonly", ",snapshot"):
            code, _, error = s.command(*run, disk + word)
            want(code == 33, ("readers share a disk", word, code, error))
        ofd(f, OFD_SETLK, fcntl.F_RDLCK, NEEDS + 1)  # ... and writes
        for word in ("", ",readonly", ",snapshot"):
            code, _, error = s.command(*run, disk + word)
            want(code == 3 and own in error and "writes" in one_line(error), (word, error))
    want(s.command(*run, disk)[0] == 33, "a lock stays after its holder")


@quick
def a_disk_is_locked_as_long_as_its_guest_runs(s):
    kernel, disk = s.build("spin", SPIN), s.write("held", bytes(4096))
    for word, held in (("", {NEEDS, NEEDS + 1, REFUSES + 1, REFUSES + 3}),
                       (",readonly", {NEEDS, REFUSES + 1, REFUSES + 3}),
                       (",snapshot", {NEEDS, REFUSES + 1, REFUSES + 3})):
        with subprocess.Popen([s.softsev, "run", "--kernel", kernel, "--memory", "16", "--disk",
                               disk + word, "--limit", "60"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            with open(disk, "r+b") as f:
                found = set()
                while not found >= held and p.poll() is None:
                    found = {b for b in range(NEEDS, REFUSES + 5)
                             if ofd(f, OFD_GETLK, fcntl.F_WRLCK, b) != fcntl.F_UNLCK}
            want(found == held, (word, found))
            code, _, error = s.command("run", "--kernel", kernel, "--memory", "16", "--disk", disk)
            want(code == 3 and f"process {p.pid} (softsev)" in one_line(error), error)
            p.terminate()


@quick
def a_wrong_disk_is_refused_by_what_is_wrong(s):
    kernel, disk = s.build("halt", HALT), s.write("plain", bytes(4096))
    for value, words in ((disk + ",readonly,snapshot", ["cannot be given together"]),
                         (disk + ",snapshot,snapshot", ["snapshot is given twice"]),
                         (disk + ",ro", ["'ro' should be readonly or snapshot"]),
                         (disk + ",", ["'' should be readonly or snapshot"]),
                         (",readonly", ["the name of a file should come first"])):
        code, _, error = s.command("run", "--kernel", kernel, "--memory", "16", "--disk", value)
        want(code == 2 and all(w in one_line(error) for w in words), (value, code, error))
    os.environ["TMPDIR"] = s.path("missing")
    code, _, error = s.command("run", "--kernel", kernel, "--memory", "16", "--disk",
                               disk + ",snapshot")
    del os.environ["TMPDIR"]
    want(code == 3 and "the snapshot of" in error and s.path("missing") in one_line(error), error)


class NbdServer:
    """A server with one disk, for one client after another; `answer` may spoil its answers."""
    def __init__(self, path, data, flags=5, hello=b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3),
                 go=1):
        self.data, self.flags, self.hello, self.go = bytearray(data), flags, hello, go
        self.kinds, self.path = [], path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                self.talk(client)
            except (OSError, struct.error):
                pass
            client.close()

    def talk(self, f):
        f.sendall(self.hello)
        need(f, 4)
        magic, option, size = struct.unpack(">QII", need(f, 16))
        need(f, size)
        for kind, data in ((3, struct.pack(">HQH", 0, len(self.data), self.flags)), (self.go, b"")):
            f.sendall(struct.pack(">QIII", 0x3e889045565a9, option, kind, len(data)) + data)
        while True:
            magic, _, kind, cookie, at, size = struct.unpack(">IHHQQI", need(f, 28))
            self.kinds.append(kind)
            if kind == 2 or magic != 0x25609513:
                return
            if kind == 1:
                self.data[at:at + size] = need(f, size)
            f.sendall(struct.pack(">IIQ", 0x67446698, 0, cookie)
                      + (self.data[at:at + size] if kind == 0 else b""))

    def close(self):
        self.listener.close()


def need(f, size):
    got = b""
    while len(got) < size:
        more = f.recv(size - len(got))
        if not more:
            raise OSError("the client is gone")
        got += more
    return got


@slow
def a_guest_lives_on_a_disk_of_an_nbd_server(s):
    disk = make_disk(s)
    with open(disk, "rb") as f:
        server = NbdServer(s.path("nbd"), f.read())
    before = bytes(server.data)
    for word in (",snapshot", ""):
        text = boots_from(s, "nbd:unix:" + server.path + word, "sev")
        want("was here before" not in text, "what was written to a snapshot stays")
        want((bytes(server.data) == before) == (word != ""), f"{word}: what is on the server")
    want(server.kinds[-2:] == [3, 2], "no flush at the end")
    server.close()
    with open(disk, "wb") as f:
        f.write(server.data)
    want(sha(inside(disk, "/data/twice")) == sha(BIG + BIG), "what was written is something else")


@slow
def a_qcow2_image_comes_by_a_server(s):
    if not shutil.which("qemu-storage-daemon") or not shutil.which("qemu-img"):
        raise Skip("qemu-storage-daemon or qemu-img is missing")
    image, path = s.path("image.qcow2"), s.path("storage")
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", make_disk(s), image], check=True)
    server = subprocess.Popen(["qemu-storage-daemon", "--blockdev",
                               f"driver=qcow2,node-name=d,file.driver=file,file.filename={image}",
                               "--nbd-server", f"addr.type=unix,addr.path={path}", "--export",
                               "type=nbd,id=e,node-name=d,name=,writable=on"])
    try:
        while not os.path.exists(path) and server.poll() is None:
            time.sleep(0.02)
        want("was here before" not in boots_from(s, "nbd:unix:" + path, "none"), "an old disk")
        want("was here before" in boots_from(s, f"nbd:unix:{path},readonly", "none"), "a new disk")
    finally:
        server.terminate()
        server.wait()


@quick
def a_server_that_is_none_is_refused(s):
    kernel = s.build("halt", HALT)
    hello = b"NBDMAGICIHAVEOPT"

    def run(value):
        return s.command("run", "--kernel", kernel, "--memory", "16", "--disk", value)
    for name, server, value, words in (
            ("old", {"hello": b"NBDMAGIC" + bytes(144)}, "", "should speak NBD"),
            ("style", {"hello": hello + bytes(2)}, "", "should speak NBD"),
            ("no", {"go": 0x80000006}, "", "should speak NBD"),
            ("only", {"flags": 7}, "", "lets nobody write"),
            ("odd", {"data": bytes(1000)}, "", "whole sectors of 512"),
            ("qcow2", {"data": b"QFI\xfb" + bytes(508)}, ",readonly", "qcow2")):
        n = NbdServer(s.path("nbd-" + name), **{"data": bytes(4096), **server})
        code, _, error = run("nbd:unix:" + n.path + value)
        want(code == 3 and words in one_line(error), (name, code, error))
        n.close()
    n = NbdServer(s.path("nbd-good"), bytes(4096), flags=7)
    for word in (",readonly", ",snapshot"):
        code, _, error = run("nbd:unix:" + n.path + word)
        want(code == 33, (word, code, error))
    n.close()
    code, _, error = run("nbd:unix:" + s.path("nowhere"))
    want(code == 3 and "nowhere" in one_line(error), (code, error))
    code, _, error = run("nbd:unix:/" + "x" * 200)
    want(code == 2 and "the path of a Unix socket" in one_line(error), (code, error))
    vm = {"kernel": kernel, "memory": 16, "disk": "nbd:unix:" + s.path("nbd-good")}
    machine = s.write("machine", json.dumps({"vms": [vm, vm]}).encode())
    code, _, error = s.command("run", "--machine", machine)
    want(code == 2 and "same disk" in one_line(error), (code, error))


if __name__ == "__main__":
    tell(
        an_encrypted_guest_lives_on_its_disk,
        an_snp_guest_does_so_through_pages_that_it_shares,
        a_plain_guest_does_so_too_and_what_was_written_stays,
        a_read_only_disk_is_read_and_not_written,
        what_is_written_to_a_snapshot_ends_with_the_run,
        a_guest_has_eight_disks_and_no_more,
        a_disk_that_another_program_writes_is_refused,
        a_disk_is_locked_as_long_as_its_guest_runs,
        a_wrong_disk_is_refused_by_what_is_wrong,
        a_guest_lives_on_a_disk_of_an_nbd_server,
        a_qcow2_image_comes_by_a_server,
        a_server_that_is_none_is_refused,
    )
