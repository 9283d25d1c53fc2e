#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`softsev guest`: a guest from an archive of packages that the test makes and signs, and every way
in which a mirror could hand out something else."""
import functools
import glob
import gzip
import hashlib
import http.server
import json
import lzma
import os
import shutil
import socket
import stat
import subprocess
import threading

from story import Skip, quick, tell, want

KERNEL, META, SUITE = "linux-image-6.99-test", "linux-image-cloud-amd64", "testing-suite"


def package(s, name, files):
    """Builds a package of (path, content) with dpkg-deb."""
    root = s.path("packages", name)
    os.makedirs(f"{root}/DEBIAN", exist_ok=True)
    with open(f"{root}/DEBIAN/control", "w", encoding="ascii") as f:
        f.write(f"Package: {name}\nVersion: 1\nArchitecture: amd64\n"
                "Maintainer: nobody <n@invalid>\nDescription: a test\n")
    for path, content in files:
        os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
        with open(f"{root}/{path}", "wb") as f:
            f.write(content)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root, s.path("archive", "pool")],
                   check=True, capture_output=True)
    with open(s.path("archive", "pool", f"{name}_1_amd64.deb"), "rb") as f:
        data = f.read()
    return (f"Package: {name}\nVersion: 1\nFilename: pool/{name}_1_amd64.deb\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n")


class Archive:
    """An archive in a folder, signed by a key of its own."""

    def __init__(self, s):
        for tool in ("gpg", "gpgv", "dpkg-deb", "gcc"):
            if not shutil.which(tool):
                raise Skip(f"no {tool}")
        self.s, self.top = s, s.path("archive")
        self.keys, self.keyring = s.path("keys"), s.path("keyring.gpg")
        os.makedirs(f"{self.top}/pool", exist_ok=True)
        os.makedirs(self.keys, mode=0o700, exist_ok=True)
        s.write("static.c", b"int main(void) { return 0; }\n")
        subprocess.run(["gcc", "-static", "-o", s.path("busybox"), s.path("static.c")], check=True)
        with open(s.path("busybox"), "rb") as f:
            busybox = f.read()
        module = lzma.compress(b"\0depends=virtio_ring\0")
        folder = "usr/lib/modules/6.99/kernel/drivers"
        self.list = (package(s, KERNEL, [("boot/vmlinuz-6.99", b"a kernel"),
                                         (f"{folder}/virtio_blk.ko.xz", module),
                                         (f"{folder}/virtio_ring.ko.xz", lzma.compress(b"\0"))]) +
                     f"Package: {META}\nVersion: 1\nDepends: {KERNEL} (= 1)\nFilename: none\n\n" +
                     package(s, "busybox-static", [("usr/bin/busybox", busybox)]))
        if not os.path.exists(self.keyring):
            self.gpg("--quick-gen-key", "archive@invalid", "rsa2048", "sign", "never")
            self.gpg("--output", self.keyring, "--export", "archive@invalid")
        self.write(self.list)

    def gpg(self, *words):
        subprocess.run(["gpg", "--batch", "--yes", "--homedir", self.keys, "--passphrase", "",
                        "--pinentry-mode", "loopback", *words], check=True, capture_output=True)

    def write(self, packages, suite=SUITE, folder=SUITE):
        """The lists, signed."""
        lists = f"{self.top}/dists/{folder}"
        os.makedirs(f"{lists}/main/binary-amd64", exist_ok=True)
        data = lzma.compress(packages.encode())
        with open(f"{lists}/main/binary-amd64/Packages.xz", "wb") as f:
            f.write(data)
        release = (f"Origin: Test\nSuite: {suite}\nCodename: {suite}\nDate: today\nSHA256:\n"
                   f" {hashlib.sha256(data).hexdigest()} {len(data)} "
                   "main/binary-amd64/Packages.xz\n")
        self.s.write("Release", release.encode())
        self.gpg("--output", f"{lists}/InRelease", "--clearsign", self.s.path("Release"))

    def url(self):
        return f"file://{self.top}"


def fetch(s, archive, *more, mirror=None, suite=SUITE, out="guest"):
    return subprocess.run([s.softsev, "guest", "fetch", "--out", s.path(out), "--suite", suite,
                           "--mirror", mirror or archive.url(), "--keyring", archive.keyring,
                           *more], capture_output=True, text=True, timeout=120, check=False)


def refused(s, archive, why, *more, **options):
    """The command ends with 3 and says why; nothing is left."""
    run = fetch(s, archive, *more, out="refused", **options)
    want(run.returncode == 3 and why in run.stderr and "Traceback" not in run.stderr,
         (why, run.returncode, run.stderr))
    want(not glob.glob(s.path("refused", "*")), "a file was written")
    return run.stderr


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@quick
def a_guest_is_fetched_from_a_signed_archive(s):
    archive = Archive(s)
    handler = functools.partial(Quiet, directory=archive.top)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run = fetch(s, archive, mirror=f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    want(run.returncode == 0, run.stderr)
    with open(s.path("guest", "vmlinuz"), "rb") as f:
        want(f.read() == b"a kernel", "another kernel")
    with gzip.open(s.path("guest", "initrd.cpio.gz")) as f:
        text = f.read()
    # the metapackage led to the kernel, and its modules came in the order of their dependencies
    want(b"virtio_ring.ko\nvirtio_blk.ko\n" in text and b"guest: Linux" in text,
         "another initramfs")
    with open(s.path("guest", "guest.json"), encoding="utf-8") as f:
        want([p["package"] for p in json.load(f)["packages"]] == [KERNEL, "busybox-static"],
             "another guest.json")
    # the same packages give the same bytes
    first = open(s.path("guest", "initrd.cpio.gz"), "rb").read()
    want(fetch(s, archive).returncode == 0 and
         open(s.path("guest", "initrd.cpio.gz"), "rb").read() == first, "other bytes")


@quick
def a_mirror_that_lies_is_refused(s):
    archive = Archive(s)
    lists = f"{archive.top}/dists/{SUITE}"
    deb = f"{archive.top}/pool/{KERNEL}_1_amd64.deb"
    with open(deb, "rb") as f:
        good = f.read()
    for bad in (good[:-1] + bytes([good[-1] ^ 1]), good[:-1], b""):
        with open(deb, "wb") as f:
            f.write(bad)
        refused(s, archive, "the archive's signed lists say")
    with open(deb, "wb") as f:
        f.write(good + b"more")
    refused(s, archive, "should have")
    with open(deb, "wb") as f:
        f.write(good)

    with open(f"{lists}/main/binary-amd64/Packages.xz", "ab") as f:
        f.write(b"x")
    refused(s, archive, "Packages.xz: more than")
    archive.write(archive.list)
    # text around what was signed, and text that was changed
    with open(f"{lists}/InRelease", encoding="ascii") as f:
        signed = f.read()
    for text in (signed.replace("Origin: Test", "Origin: Fake"),
                 signed.split("-----BEGIN PGP SIG")[0], "", "SHA256:\n"):
        with open(f"{lists}/InRelease", "w", encoding="ascii") as f:
            f.write(text)
        refused(s, archive, "not signed by a key of")
    archive.write(archive.list, folder="other")
    refused(s, archive, "not of 'other'", suite="other")
    archive.write(archive.list)
    refused(s, archive, "cannot be fetched", suite="nowhere")
    want(fetch(s, archive).returncode == 0, "the archive is good again")


@quick
def a_key_that_is_not_in_the_keyring_is_refused(s):
    archive = Archive(s)
    own, archive.keyring = archive.keyring, s.path("stranger.gpg")
    s.write("Release", b"x")
    keys, archive.keys = archive.keys, s.path("stranger")
    os.makedirs(archive.keys, mode=0o700, exist_ok=True)
    archive.gpg("--quick-gen-key", "stranger@invalid", "rsa2048", "sign", "never")
    archive.gpg("--output", archive.keyring, "--export", "stranger@invalid")
    archive.keys = keys
    refused(s, archive, "not signed by a key of")
    archive.keyring = s.path("none.gpg")
    refused(s, archive, "there is no keyring")
    archive.keyring = own
    want(fetch(s, archive).returncode == 0, "the archive's own key")


@quick
def packages_that_are_no_guest_are_refused_by_name(s):
    archive = Archive(s)
    refused(s, archive, "has no package 'linux-image-none'", "--package", "linux-image-none")
    refused(s, archive, "'busybox-static' has no kernel", "--package", "busybox-static")
    with open(f"{archive.top}/pool/junk", "wb") as f:
        f.write(b"!<arch>\n" + b"data.tar.xz     0           0     0     100644  99999999  `\n")
    size, digest = 68, hashlib.sha256(open(f"{archive.top}/pool/junk", "rb").read()).hexdigest()
    archive.write(f"Package: junk\nFilename: pool/junk\nSize: {size}\nSHA256: {digest}\n\n"
                  f"Package: out\nFilename: ../{os.path.basename(s.path('x'))}\nSize: 1\n"
                  f"SHA256: {digest}\n\nPackage: large\nFilename: pool/junk\nSize: 99999999999\n"
                  f"SHA256: {digest}\n\n")
    refused(s, archive, "has no data.tar that can be read", "--package", "junk")
    refused(s, archive, "has no valid Size, SHA256 and Filename", "--package", "out")
    refused(s, archive, "more than 536870912", "--package", "large")
    archive.write(archive.list)


@quick
def wrong_arguments_are_refused_by_name(s):
    def usage(words, code, why):
        run = subprocess.run([s.softsev, "guest", *words], capture_output=True, text=True,
                             check=False)
        want(run.returncode == code and why in run.stderr and "Traceback" not in run.stderr,
             (words, run.returncode, run.stderr))

    usage(["fetch"], 2, "--out")
    usage(["fetch", "--out", s.path("x"), "--suite", "../x"], 2, "lower-case letters")
    usage(["fetch", "--out", s.path("x"), "--package", "--x"], 2, "lower-case letters")
    usage(["fetch", "--out", s.path("x"), "--agent", "a", "--no-agent"], 2, "--no-agent")
    pack = ["pack", "--initrd", s.path("i"), "--modules", s.path("m")]
    usage([*pack, "--add", "x"], 2, "PATH=FILE")
    Archive(s)
    usage([*pack, "--busybox", s.path("busybox")], 3, "has the modules of 0 kernels")
    os.makedirs(s.path("m", "kernel"), exist_ok=True)
    usage([*pack, "--busybox", s.path("static.c")], 3, "no 64-bit ELF program")
    usage([*pack, "--busybox", s.softsev], 3, "is not static")
    usage([*pack, "--busybox", s.path("busybox"), "--init", s.path("none")], 3, "none")
    want(not os.path.exists(s.path("i")), "an initramfs was written")


@quick
def packing_waits_for_no_pipe_and_overwrites_none_of_its_parts(s):
    Archive(s)
    os.makedirs(s.path("m", "kernel"), exist_ok=True)
    pipe, busybox, part = s.path("pipe"), s.path("busybox"), s.write("part", b"mine")
    os.mkfifo(pipe)

    def pack(code, why, *words, out="i"):
        run = subprocess.run([s.softsev, "guest", "pack", "--modules", s.path("m"), "--no-agent",
                              "--initrd", s.path(out), "--init", part, *words],
                             capture_output=True, text=True, timeout=60, check=False)
        want(run.returncode == code and why in run.stderr and "Traceback" not in run.stderr,
             (words, run.returncode, run.stderr))

    pack(0, "", "--busybox", busybox)
    for words in (("--busybox", pipe), ("--busybox", busybox, "--add", f"a={pipe}"),
                  ("--busybox", busybox, "--add", "a=/dev/zero")):
        pack(3, "is no regular file", *words)
    pack(3, "no regular file", "--busybox", busybox, out="pipe")
    want(stat.S_ISFIFO(os.lstat(pipe).st_mode), "the pipe is gone")
    pack(2, "overwritten", "--busybox", busybox, "--add", "a=" + busybox, out="busybox")
    os.link(part, s.path("twin"))
    pack(2, "overwritten", "--busybox", busybox, "--add", "a=" + part, out="twin")
    with open(part, "rb") as f:
        want(f.read() == b"mine", "a part was overwritten")
    want(not [n for n in os.listdir(s.folder) if n.endswith(".new")], os.listdir(s.folder))


@quick
def a_signal_ends_the_helper_too(s):
    """A mirror that says nothing; the program that asks it must not stay behind."""
    archive = Archive(s)
    with socket.create_server(("127.0.0.1", 0)) as mirror:
        run = subprocess.Popen([s.softsev, "guest", "fetch", "--out", s.path("never"), "--mirror",
                                f"http://127.0.0.1:{mirror.getsockname()[1]}", "--keyring",
                                archive.keyring], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        mirror.settimeout(60)
        asked, _ = mirror.accept()
        asked.settimeout(60)
        want(asked.recv(1000).startswith(b"GET"), "no question")
        run.terminate()
        run.wait(60)
        while asked.recv(1000):
            pass  # until the other end is closed; TimeoutError if that never happens


tell(a_guest_is_fetched_from_a_signed_archive, a_mirror_that_lies_is_refused,
     a_key_that_is_not_in_the_keyring_is_refused, packages_that_are_no_guest_are_refused_by_name,
     wrong_arguments_are_refused_by_name,
     packing_waits_for_no_pipe_and_overwrites_none_of_its_parts, a_signal_ends_the_helper_too)
