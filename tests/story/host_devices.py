#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people attach to a server: disks, a network, an entropy source and a serial port of
`softsev host`, which are those of `softsev run`."""
import gzip
import hashlib
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import threading

from story import Skip, archive, console, one_line, quick, slow, summary, tell, want

BIG = random.Random(5).randbytes(2 << 20)
APPEND = "console=ttyS0 quiet panic=-1 cryptomgr.notests nokaslr"

# SNP is on when the disk and the network are first used: kvm_amd is loaded before.
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for list in host-order order net-order rng-order disk-order; do
    while read -r module; do
        grep -q "^${module%.ko} " /proc/modules || insmod "/modules/$module"
    done <"/modules/$list"
done
dmesg | grep -o 'SEV-SNP enabled'
http=$(sed 's/.*http=\\([0-9]*\\).*/\\1/' /proc/cmdline)
sum() { sha256sum | cut -d' ' -f1; }
echo "host: vda $(cat /sys/block/vda/size) vdb $(cat /sys/block/vdb/ro) vdc $(cat /sys/block/vdc/size)"
mkdir /disk
mount -t ext4 /dev/vda /disk
echo "host: big $(sum </disk/big)"
cat /disk/big /disk/big >/disk/twice
umount /disk
mount -t ext4 -o ro /dev/vdb /disk && echo "host: readonly $(sum </disk/big)"
umount /disk
dd if=/init of=/dev/vdb bs=512 count=1 2>/dev/null && echo "host: a readonly disk was written"
mount -t ext4 /dev/vdc /disk && echo lost >/disk/lost && umount /disk
ip link set lo up; ip link set eth0 up
udhcpc -i eth0 -n -q -s /bin/dhcp-script >/dev/null 2>&1
echo "host: network $(ip -4 addr show eth0 | sed -n 's/ *inet \\([^ ]*\\).*/\\1/p')"
wget -q -O - "http://10.0.2.2:$http/big" | sum | sed 's/^/host: tcp /'
echo "host: entropy $(dd if=/dev/hwrng bs=16 count=1 2>/dev/null | base64)"
poweroff -f
"""

# The root is a disk; the program there asks for nothing that the initramfs had.
ROOT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
while read -r module; do insmod "/modules/$module"; done </modules/disk-order
mkdir /disk && mount -t ext4 /dev/vda /disk && exec switch_root /disk /sbin/init
"""
LIVES = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "host: root $(/bin/busybox grep ' / ext4' /proc/mounts)"
/bin/busybox sync
/bin/busybox poweroff -f
"""


def make_disk(s, name, files, size="24M"):
    if not shutil.which("mke2fs", path="/sbin:/usr/sbin:/usr/bin"):
        raise Skip("e2fsprogs is missing")
    root = s.path("root")
    shutil.rmtree(root, ignore_errors=True)
    for path, data in files.items():
        path = os.path.join(root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, 0o755)
    for folder in ("proc", "sys", "dev"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", root, "-E", "root_owner=0:0",
                    s.path(name), size], capture_output=True, check=True)
    return s.path(name)


def inside(disk, path):
    return subprocess.run(["/sbin/debugfs", "-R", f"cat {path}", disk], capture_output=True,
                          check=True).stdout


def sha(data):
    return hashlib.sha256(data).hexdigest()


def linux(s, init, *arguments, append=""):
    kernel, stock = f"{s.out}/vmlinuz-host", f"{s.out}/initrd-host.cpio.gz"
    if not os.path.exists(kernel) or not os.path.exists(stock):
        raise Skip(f"no host kernel in {s.out}: tools/fetch-guest.sh {s.out} host gets one")
    initrd = s.path("initrd-devices")
    with open(stock, "rb") as f, open(initrd, "wb") as to:
        to.write(f.read() + gzip.compress(archive([("init", 0o100755, init.encode())]), 1,
                                          mtime=0))
    code, out, error = s.command(
        "host", "--json", "--clock", "virtual", "--limit", "300", "--kernel", kernel, "--initrd",
        initrd, "--append", f"{APPEND} {append}", "--memory", "512M", "--seed", "story",
        "--no-reboot", *arguments)
    events = [json.loads(line) for line in out.splitlines()]
    text = console(events, "host").replace("\r", "")
    want(code == 0 and summary(events)["state"] == "powered off", (code, error, text[-3000:]))
    return text


class Web:
    """Serves BIG under any name to the host, which knows this computer as 10.0.2.2."""

    def __enter__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                self.send_response(200)
                self.send_header("Content-Length", str(len(BIG)))
                self.end_headers()
                self.wfile.write(BIG)

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_address[1]

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@slow
def a_stock_host_uses_disks_network_and_entropy(s):
    files = {"big": BIG}
    first, second, third = (make_disk(s, name, files) for name in ("first", "second", "third"))
    with open(second, "rb") as f, open(third, "rb") as g:
        before = sha(f.read()), sha(g.read())
    with Web() as port:
        text = linux(s, INIT, "--disk", first, "--disk", f"{second},readonly", "--disk",
                     f"{third},snapshot", "--net", "user", "--virtio-rng", append=f"http={port}")
    for words in ("SEV-SNP enabled", "host: vda 49152 vdb 1 vdc 49152", f"host: big {sha(BIG)}",
                  f"host: readonly {sha(BIG)}", "host: network 10.0.2.15/24",
                  f"host: tcp {sha(BIG)}", "host: entropy "):
        want(words in text, (words, text[-3000:]))
    want("a readonly disk was written" not in text and "I/O error" not in text, text[-3000:])
    want(sha(inside(first, "/twice")) == sha(BIG + BIG), "what was written is something else")
    with open(second, "rb") as f, open(third, "rb") as g:
        want((sha(f.read()), sha(g.read())) == before, "readonly or snapshot was written")


@slow
def the_root_of_a_stock_host_is_on_a_disk(s):
    with open(f"{s.out}/guest/busybox-static/bin/busybox", "rb") as f:
        disk = make_disk(s, "root.img", {"bin/busybox": f.read(), "sbin/init": LIVES.encode()})
    serial = s.path("serial.txt")
    text = linux(s, ROOT, "--disk", disk, "--serial", serial)
    want(not text, ("the serial port is elsewhere", text))
    with open(serial, encoding="utf-8", errors="replace") as f:
        said = f.read()
    want("host: root /dev/vda / ext4" in said, said[-2000:])


def small(s, *arguments):
    path = os.environ.get("SOFTSEV_SMALL_HOST")
    if not path:
        raise Skip("the small host is not built here: it needs x86-64 and objcopy")
    return s.command("host", "--json", "--kernel", path, "--memory", "64M", "--seed", "story",
                     "--no-reboot", *arguments)


@quick
def devices_change_nothing_else(s):
    """The small host asks no device that it does not know: its events stay what they are."""
    disk = s.write("plain", bytes(1 << 20))
    hashes = set()
    for more in ((), ("--disk", disk, "--virtio-rng")):
        code, out, error = small(s, "--trace-hash", *more)
        want(code == 0, (code, error))
        hashes.add(json.loads(out.splitlines()[-1])["trace_sha256"])
    want(len(hashes) == 1, hashes)


@quick
def a_serial_port_is_a_file_or_a_socket(s):
    path = s.path("serial")
    code, out, error = small(s, "--serial", path)
    with open(path, encoding="utf-8") as f:
        said = f.read()
    want(code == 0 and "host: runs" in said and b"host: runs" not in out, (code, said, error))
    place = s.path("socket")
    with subprocess.Popen([s.softsev, "host", "--kernel", s.build("echoes", ECHO), "--memory",
                           "16M", "--seed", "a", "--limit", "1000000", "--serial",
                           f"unix:{place}"], stdout=subprocess.DEVNULL,
                          stdin=subprocess.DEVNULL) as run:
        try:
            want(talk(place, run) == b"x", "the host answers something else")
        finally:
            run.kill()


def talk(place, run):
    """Sends a byte to a host that sends it back."""
    while not os.path.exists(place) and run.poll() is None:
        pass
    with socket.socket(socket.AF_UNIX) as to:
        to.settimeout(60)
        while True:
            try:
                to.connect(place)
                break
            except ConnectionRefusedError:
                want(run.poll() is None, "the host has ended")
        to.sendall(b"x")
        return to.recv(1)


ECHO = """
    .globl _start
_start:
    mov $0x3fd, %edx
1:  pause
    inb %dx, %al
    test $1, %al
    jz 1b
    mov $0x3f8, %edx
    inb %dx, %al
    outb %al, %dx
    mov $0x3fd, %edx
    jmp 1b
"""


@quick
def wrong_devices(s):
    odd = s.write("odd", bytes(100))
    for arguments, code, words in (
            (("--disk", s.path("none")), 3, "none"),
            (("--disk", odd), 3, "whole sectors"),
            (("--disk", odd + ",wrong"), 2, "should be readonly or snapshot"),
            (("--net", "tap"), 2, "tap"),
            (("--serial", "unix:"), 2, "path of a Unix socket"),
            (("--disk", s.write("ok", bytes(512))) * 9, 2, "at most 8")):
        got, _, error = small(s, *arguments)
        want(got == code and words in one_line(error), (arguments, got, error))


tell(a_stock_host_uses_disks_network_and_entropy, the_root_of_a_stock_host_is_on_a_disk,
     devices_change_nothing_else, a_serial_port_is_a_file_or_a_socket, wrong_devices)
