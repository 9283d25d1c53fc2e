#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs the demonstration guest's initramfs: busybox, /init, and the kernel's virtio modules in dependency order.

usage: pack-initrd.py BUSYBOX INIT KERNEL-PACKAGE-ROOT OUT.cpio.gz
The same inputs give the same bytes: no times, no owners, inodes by count.
"""
import glob
import gzip
import os
import sys

APPLETS = ("sh mount insmod uname cut dmesg grep sed sha256sum cat mkdir setsid cttyhack switch_root poweroff sleep ls ps "
           "echo dd hexdump free head tail vi reboot").split()
MODULES = ["virtio_pci", "virtio_blk", "virtio_console"]


def modules_in_order(root):
    """Files of MODULES and what they depend on, dependencies first; from the modules' own `depends=` fields."""
    files = {}
    for path in glob.glob(os.path.join(root, "lib/modules/*/kernel/**/*.ko"), recursive=True):
        files[os.path.basename(path)[:-3].replace("-", "_")] = path
    order = []

    def add(name):
        if name in order or name not in files:
            return  # built in, or not in this kernel
        for field in open(files[name], "rb").read().split(b"\0"):
            if field.startswith(b"depends="):
                for other in field[8:].decode().split(","):
                    if other:
                        add(other)
        order.append(name)

    for name in MODULES:
        add(name)
    return [files[name] for name in order]


class Archive:
    def __init__(self):
        self.data = b""
        self.inode = 0

    def add(self, name, mode, content=b""):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self.data += b"\0" * (-len(self.data) % 4) + content
        self.data += b"\0" * (-len(self.data) % 4)

    def folder(self, name):
        self.add(name, 0o40755)

    def program(self, name, content):
        self.add(name, 0o100755, content)

    def link(self, name, target):
        self.add(name, 0o120777, target.encode())


def main():
    busybox, init, root, out = sys.argv[1:5]
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "modules"):
        archive.folder(name)
    archive.program("bin/busybox", open(busybox, "rb").read())
    for applet in APPLETS:
        archive.link("bin/" + applet, "busybox")
    archive.program("init", open(init, "rb").read())
    paths = modules_in_order(root)
    for path in paths:
        archive.add("modules/" + os.path.basename(path), 0o100644, open(path, "rb").read())
    archive.add("modules/order", 0o100644, "".join(os.path.basename(p) + "\n" for p in paths).encode())
    archive.add("TRAILER!!!", 0)
    with open(out + ".new", "wb") as f:
        with gzip.GzipFile("", "wb", 9, f, mtime=0) as g:
            g.write(archive.data)
    os.rename(out + ".new", out)


main()
