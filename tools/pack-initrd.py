#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs the demonstration guest's initramfs: busybox, /init, and the kernel's virtio, SNP, network
and ext4 modules in dependency order.

usage: pack-initrd.py BUSYBOX INIT MODULES OUT.cpio.gz [AGENT [PATH=FILE...] | --host [PROGRAM...]]
    MODULES   the root of a kernel package, or a folder lib/modules/VERSION
    AGENT     softsev-agent; an empty word: none
    PATH=FILE adds a file to the archive, with the mode that it has
With --host it is the initramfs of a host: KVM's modules and the secure processor's driver as well,
and programs that go to /bin.
The same inputs give the same bytes: no times, no owners, inodes by count.
"""
import glob
import gzip
import io
import lzma
import os
import signal
import stat
import sys
import tempfile

APPLETS = ("sh mount insmod uname cut dmesg grep sed sha256sum cat mkdir setsid cttyhack "
           "switch_root poweroff sleep ls ps "
           "echo dd hexdump free head tail vi reboot base64 printf "
           "ip udhcpc ping wget nc nslookup").split()
MODULES = ["virtio_pci", "virtio_blk", "virtio_console"]
# of no use without SNP: /init loads them where it sees that
SNP_MODULES = ["ctr", "gcm", "ghash_generic", "sev_guest"]
HOST_MODULES = ["ccp", "kvm_amd", "msr"]  # for a kernel that runs in host mode
NET_MODULES = ["virtio_net"]  # where there is a network card
RNG_MODULES = ["virtio_rng"]  # where there is an entropy source
DISK_MODULES = ["crc32c_generic", "ext4"]  # with root= only; built into cloud kernels


# What udhcpc calls with the lease.
DHCP_SCRIPT = b"""#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
mkdir -p /etc
echo "nameserver $dns" >/etc/resolv.conf
"""


def read_file(path):
    """Reads a regular file. Opening never blocks: a pipe may stand there, or an endless device."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as f:
        if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
            sys.exit(f"pack-initrd: {path} is no regular file")
        return f.read()


def write_file(path, data):
    """Replaces a file as a whole; another kind of file stays what it is."""
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        sys.exit(f"pack-initrd: {path} is there already, and no regular file")
    handle, new = tempfile.mkstemp(prefix=os.path.basename(path), suffix=".new",
                                   dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data)
        os.chmod(new, 0o644)
        os.rename(new, path)
    except BaseException:
        os.unlink(new)
        raise


def content_of(path):
    data = read_file(path)
    return lzma.decompress(data) if path.endswith(".xz") else data


def module_folder(root):
    """Returns the one folder of modules below the root, or the root if it is one."""
    if os.path.isdir(os.path.join(root, "kernel")):
        return root
    found = sorted({os.path.realpath(os.path.dirname(path)) for top in ("", "usr/")
                    for path in glob.glob(os.path.join(root, top, "lib/modules/*/kernel"))})
    if len(found) != 1:
        sys.exit(f"pack-initrd: {root}: has the modules of {len(found)} kernels; it should be a "
                 "folder lib/modules/VERSION, or the root of one kernel package")
    return found[0]


def needs_loader(program):
    """Whether an ELF64 file asks for a dynamic loader (PT_INTERP, 3)."""
    if program[:5] != b"\x7fELF\2" or len(program) < 64:
        sys.exit("pack-initrd: busybox is no 64-bit ELF program")
    table, size, count = (int.from_bytes(program[a:b], "little")
                          for a, b in ((32, 40), (54, 56), (56, 58)))
    return any(program[table + i * size:table + i * size + 4] == b"\3\0\0\0"
               for i in range(count))


def modules_in_order(root, wanted, order):
    """Adds files of the wanted modules and what they depend on, dependencies first; from the
    modules' own `depends=` fields. `order`: (name, content)."""
    root = module_folder(root)
    files = {}
    for path in glob.glob(os.path.join(root, "kernel/**/*.ko*"), recursive=True):
        files[os.path.basename(path).split(".ko")[0].replace("-", "_")] = path
    done = {name for name, _ in order}
    first = len(order)

    def add(name):
        if name in done or name not in files:
            return  # built in, or not in this kernel
        done.add(name)
        content = content_of(files[name])
        for field in content.split(b"\0"):
            if field.startswith(b"depends="):
                for other in field[8:].decode().split(","):
                    if other:
                        add(other)
        order.append((name, content))

    for name in wanted:
        add(name)
    return [name + ".ko" for name, _ in order[first:]]


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


def add_file(archive, path, file):
    """Adds a file and the folders that it is in; the kernel takes a folder twice."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        archive.folder("/".join(parts[:depth]))
    mode = 0o100755 if os.access(file, os.X_OK) else 0o100644
    archive.add(path, mode, read_file(file))


def main():
    busybox, init, root, out = sys.argv[1:5]
    host = sys.argv[5:6] == ["--host"]
    agent = sys.argv[5] if len(sys.argv) > 5 and not host else None
    if needs_loader(read_file(busybox)):
        sys.exit(f"pack-initrd: {busybox} is not static; Debian's package busybox-static has one "
                 "that is")
    root = module_folder(root)
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "modules"):
        archive.folder(name)
    archive.program("bin/busybox", read_file(busybox))
    for applet in APPLETS:
        archive.link("bin/" + applet, "busybox")
    if agent:
        archive.program("bin/softsev-agent", read_file(agent))
    for path in sys.argv[6:] if host else []:
        archive.program("bin/" + os.path.basename(path), read_file(path))
    archive.program("init", read_file(init))
    archive.program("bin/dhcp-script", DHCP_SCRIPT)
    modules = []
    driver = glob.glob(os.path.join(root, "kernel/**/sev-guest.ko*"), recursive=True)
    for list_name, wanted in (("order", MODULES), ("snp-order", SNP_MODULES if driver else []),
                              ("net-order", NET_MODULES), ("rng-order", RNG_MODULES),
                              ("disk-order", DISK_MODULES),
                              *((("host-order", HOST_MODULES),) if host else ())):
        names = modules_in_order(root, wanted, modules)
        archive.add("modules/" + list_name, 0o100644, "".join(name + "\n"
                for name in names).encode())
    for name, content in modules:
        archive.add(f"modules/{name}.ko", 0o100644, content)
    for word in [] if host else sys.argv[6:]:
        path, file = word.split("=", 1)
        add_file(archive, path.strip("/"), file)
    archive.add("TRAILER!!!", 0)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, packed, mtime=0) as g:
        g.write(archive.data)
    write_file(out, packed.getvalue())


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except (OSError, lzma.LZMAError) as problem:
        sys.exit(f"pack-initrd: {problem}")
