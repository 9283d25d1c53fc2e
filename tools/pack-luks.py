#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs the initramfs of a guest with an encrypted root (docs/encrypted-root.md): busybox,
tools/luks-init.sh, cryptsetup, the kernel's modules for both, and softsev-agent.

usage: pack-luks.py BUSYBOX MODULES CRYPTSETUP OUT.cpio.gz [AGENT]
    MODULES     the root of a kernel package, or a folder lib/modules/VERSION
    CRYPTSETUP  what tools/fetch-cryptsetup.sh has unpacked
"""
import glob
import gzip
import importlib.util
import os
import re
import subprocess
import sys

TOOLS = os.path.dirname(os.path.abspath(__file__))
LUKS_MODULES = ["dm_mod", "dm_crypt", "algif_skcipher", "xts", "ecb", "aesni_intel",
                "crc32c_generic", "ext4"]


def packer():
    spec = importlib.util.spec_from_file_location("pack_initrd", f"{TOOLS}/pack-initrd.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def linked(root, program):
    """The shared libraries of a program in an unpacked root: names that the loader looks for."""
    needed, done = [program], {}
    while needed:
        path = needed.pop()
        said = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True)
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", said.stdout):
            found = [p for top in ("lib", "usr/lib")
                     for p in glob.glob(f"{root}/{top}/x86_64-linux-gnu/{name}")]
            if name not in done and found:
                done[name] = os.path.realpath(found[0])
                needed.append(done[name])
    return done


def main():
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    busybox, modules, root, out = sys.argv[1:5]
    pack = packer()
    archive = pack.Archive()
    for folder in ("bin", "dev", "modules", "proc", "root", "run", "sys"):
        archive.folder(folder)
    pack.add_file(archive, "bin/busybox", busybox)
    for applet in (*pack.APPLETS, "mkdir", "rm", "mount", "dd", "sync"):
        archive.link("bin/" + applet, "busybox")
    pack.add_file(archive, "init", f"{TOOLS}/luks-init.sh")
    pack.add_file(archive, "bin/cryptsetup", f"{root}/sbin/cryptsetup")
    for name, path in linked(root, f"{root}/sbin/cryptsetup").items():
        pack.add_file(archive, f"lib/x86_64-linux-gnu/{name}", path)
    loader = glob.glob(f"{root}/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")[0]
    pack.add_file(archive, "lib64/ld-linux-x86-64.so.2", os.path.realpath(loader))
    if len(sys.argv) == 6:
        pack.add_file(archive, "bin/softsev-agent", sys.argv[5])
    contents = {}
    for name, wanted in (("order", pack.MODULES), ("snp-order", pack.SNP_MODULES),
                         ("luks-order", LUKS_MODULES)):
        order = []
        names = pack.modules_in_order(modules, wanted, order)
        archive.add("modules/" + name, 0o100644, "".join(n + "\n" for n in names).encode())
        contents.update(order)
    for name, content in contents.items():
        archive.add(f"modules/{name}.ko", 0o100644, content)
    archive.add("TRAILER!!!", 0)
    pack.write_file(out, gzip.compress(archive.data, 6, mtime=0))


main()
