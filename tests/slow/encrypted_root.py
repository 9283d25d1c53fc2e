#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A root file system that only the owner's guest can open: LUKS, and the passphrase comes with the
attestation (docs/encrypted-root.md).

usage: encrypted_root.py SOFTSEV OUT    OUT: tools/fetch-guest.sh OUT all,
tools/fetch-cryptsetup.sh OUT; SOFTSEV_AGENT is softsev-agent
"""
import glob
import os
import secrets
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "story"))
# pylint: disable=wrong-import-position
import story
from story import Skip, console, occurs, steps, tell, want

WORDS = b"what is on this disk is the owner's alone"
DISK = 48 << 20
KEY_SIZE = 64


class Guest:
    """The files: an initramfs, a key, a root file system, the disk that is made of both."""
    made = None

    def __init__(self, s):
        kernels = glob.glob(f"{s.out}/guest/linux-image-6.12*-cloud-*")
        if not kernels or not os.path.exists(f"{s.out}/cryptsetup/sbin/cryptsetup"):
            raise Skip("no cloud kernel 6.12, or no cryptsetup: tools/fetch-cryptsetup.sh")
        self.s, self.kernel = s, f"{s.out}/vmlinuz-6.12"
        self.initrd, self.disk = s.path("luks.gz"), s.path("disk")
        self.key = s.write("key", secrets.token_hex(KEY_SIZE // 2).encode())
        self.key_disk = s.write("key.disk", open(self.key, "rb").read().ljust(512, b"\0"))
        agent = os.environ.get("SOFTSEV_AGENT")
        busybox = f"{s.out}/guest/busybox-static/bin/busybox"
        subprocess.run([f"{HERE}/../../tools/pack-luks.py", busybox, kernels[0],
                        f"{s.out}/cryptsetup", self.initrd, *([agent] if agent else [])],
                       check=True)
        self.make_root(busybox)
        with open(self.disk, "wb") as f:
            f.truncate(DISK)
        code, events, error = self.run("none", f"install={KEY_SIZE}", "--disk", self.root, "--disk",
                                       self.key_disk)
        text = console(events)
        want(code == 0 and "the encrypted disk is made" in text, (code, error, text[-1000:]))

    def make_root(self, busybox):
        s = self.s
        for name in ("tree", "tree/sbin", "tree/bin", "tree/dev"):
            os.mkdir(s.path(name))
        s.write("tree/words", WORDS)
        s.write("tree/sbin/init", b"#!/bin/busybox sh\n/bin/busybox cat /words\n"
                b"/bin/busybox sync\n/bin/busybox poweroff -f\n")
        with open(busybox, "rb") as f:
            s.write("tree/bin/busybox", f.read())
        os.chmod(s.path("tree/sbin/init"), 0o755)
        os.chmod(s.path("tree/bin/busybox"), 0o755)
        self.root = s.path("root.ext4")
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", s.path("tree"), self.root, "24M"],
                       check=True)

    def run(self, mode, append, *more):
        return self.s.run("--kernel", self.kernel, "--initrd", self.initrd, "--append",
                          f"{story.APPEND} quiet {append}", "--memory", "512M", "--mode", mode,
                          "--disk", self.disk, *more)


def guest(s):
    Guest.made = Guest.made or Guest(s)
    return Guest.made


def nobody_reads_it_on_the_host(s):
    g = guest(s)
    want(occurs(g.root, WORDS) and not occurs(g.disk, WORDS), "the disk is not encrypted")
    code, events, error = g.run("none", "")
    want(code == 0 and "the root stays closed" in console(events), (code, error))


def the_owners_guest_opens_it(s):
    g = guest(s)
    for mode in ("sev", "sev-es"):
        dump = s.path("dump")
        code, events, error = g.run(mode, "", "--owner-secret", g.key, "--dump", dump)
        text = console(events)
        want(code == 0 and WORDS.decode() in text, (mode, code, error, text[-800:]))
        with open(g.key, "rb") as f:
            want(not occurs(dump, f.read(), WORDS), f"{mode}: the host finds them in memory")


def an_snp_guests_agent_fetches_the_key(s):
    g = guest(s)
    if not os.environ.get("SOFTSEV_AGENT"):
        raise Skip("SOFTSEV_AGENT names no softsev-agent")
    code, events, error = g.run("sev-snp", "agent", "--virtio-console", "--owner-secret", g.key)
    text = console(events)
    want(code == 0 and WORDS.decode() in text, (code, error, text[-800:]))


def another_kernel_or_key_opens_nothing(s):
    g = guest(s)
    code, events, _ = g.run("sev", "", "--owner-secret", g.key, "--tamper")
    want(code == 4 and WORDS.decode() not in console(events), (code, steps(events, "owner")))
    wrong = s.write("wrong", b"0" * KEY_SIZE)
    code, events, error = g.run("sev", "", "--owner-secret", wrong)
    want(code == 0 and "does not open the root" in console(events), (code, error))


tell(nobody_reads_it_on_the_host, the_owners_guest_opens_it, an_snp_guests_agent_fetches_the_key,
     another_kernel_or_key_opens_nothing)
