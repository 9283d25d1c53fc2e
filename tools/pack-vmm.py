#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs the initramfs of a host that runs QEMU: busybox, /init, KVM's modules, QEMU with its
libraries, and files for the guest. It is not compressed: the host would spend more time on it.

usage: pack-vmm.py BUSYBOX INIT KERNEL-PACKAGE-ROOT QEMU-ROOT OUT.cpio FILE=NAME...
"""
import importlib.util
import os
import subprocess
import sys

LIBRARIES = "usr/lib/x86_64-linux-gnu"


def load_packer():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pack-initrd.py")
    spec = importlib.util.spec_from_file_location("pack_initrd", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def libraries_of(root, program):
    """Paths of what the program is linked with, by its own root's loader."""
    loader = os.path.realpath(f"{root}/usr/lib64/ld-linux-x86-64.so.2")
    said = subprocess.run([loader, "--library-path", f"{root}/{LIBRARIES}", "--list", program],
                          text=True, capture_output=True, check=True).stdout
    if "not found" in said:
        sys.exit("pack-vmm: QEMU lacks a library:\n" + said)
    return loader, [line.split()[2] for line in said.splitlines() if " => /" in line]


def main():
    busybox, init, kernel, qemu, out = sys.argv[1:6]
    qemu = os.path.abspath(qemu)  # the loader prints paths as it was given them
    packer = load_packer()
    archive = packer.Archive()
    folders = set()

    def add(path, name, mode):
        parts = name.split("/")[:-1]
        for i in range(1, len(parts) + 1):
            folder = "/".join(parts[:i])
            if folder not in folders:
                folders.add(folder)
                archive.folder(folder)
        with open(path, "rb") as f:
            archive.add(name, mode, f.read())

    for name in ("dev", "proc", "sys", "tmp", "modules"):
        folders.add(name)
        archive.folder(name)
    add(busybox, "bin/busybox", 0o100755)
    for applet in [*packer.APPLETS, "mkfifo", "stty", "timeout"]:
        archive.link("bin/" + applet, "busybox")
    add(init, "init", 0o100755)
    modules = []
    names = packer.modules_in_order(kernel, packer.HOST_MODULES + packer.MODULES, modules)
    archive.add("modules/host-order", 0o100644, "".join(n + "\n" for n in names).encode())
    for name, content in modules:
        archive.add(f"modules/{name}.ko", 0o100644, content)
    program = f"{qemu}/usr/bin/qemu-system-x86_64"
    loader, libraries = libraries_of(qemu, program)
    add(program, "usr/bin/qemu-system-x86_64", 0o100755)
    add(loader, "lib64/ld-linux-x86-64.so.2", 0o100755)
    for path in libraries:
        add(path, f"{LIBRARIES}/{os.path.basename(path)}", 0o100755)
    for pair in sys.argv[6:]:
        path, name = pair.split("=")
        add(path, name, 0o100644)
    archive.add("TRAILER!!!", 0)
    with open(out + ".new", "wb") as f:
        f.write(archive.data)
    os.rename(out + ".new", out)


main()
