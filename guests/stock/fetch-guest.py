#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fetches a stock kernel and busybox from an archive of Debian packages, and packs a guest of them.

usage: fetch-guest OUT SUITE PACKAGE MIRROR KEYRING INIT AGENT    (AGENT: a file, or an empty word)

The chain of trust is apt's: a key of KEYRING signs InRelease, which has the digest of the list of
packages, which has the digest of each package. A file is used only after its size and its digest
are those of the link above it. Nothing is installed. OUT/vmlinuz, OUT/initrd.cpio.gz and
OUT/guest.json, which says what they are made of, are replaced when all three are complete.
"""
import hashlib
import http.client
import io
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

COMPONENT = "main/binary-amd64"
RELEASE_MAX = 4 << 20
LIST_MAX = 1 << 30     # unpacked
PACKAGE_MAX = 1 << 29
MEMBERS_MAX = 1 << 31  # bytes unpacked from a package
TIMEOUT_S = 60
# What is taken out of the packages, and where to; nothing else is unpacked.
KERNEL = [re.compile(r"(?:\./)?boot/(vmlinuz)-[^/]+$"),
          re.compile(r"(?:\./)?(?:usr/)?"
                     r"(lib/modules/[\w.+-]+/kernel/(?:[\w.+-]+/)*[\w.+-]+\.ko(?:\.xz)?)$")]
BUSYBOX = [re.compile(r"(?:\./)?(?:usr/)?(bin/busybox)$")]


class Wrong(Exception):
    """What was wrong, where, and what would be right."""


def say(text):
    print(f"softsev guest: {text}", file=sys.stderr, flush=True)


# --- Download ---------------------------------------------------------------------------------


class Progress:
    """One line a download; on a terminal it is written again as it grows."""

    def __init__(self, name, size):
        self.name, self.size, self.last = name, size, 0.0
        self.terminal = sys.stderr.isatty()

    def at(self, done, end=False):
        now = time.monotonic()
        if not end and (not self.terminal or now - self.last < 0.2):
            return
        self.last = now
        text = f"softsev guest: {self.name}: {done / 1e6:.1f} of {self.size / 1e6:.1f} MB"
        print(f"\r{text}" if self.terminal else text, end="\n" if end or not self.terminal else "",
              file=sys.stderr, flush=True)


def read_all(url, most, progress=None):
    """Returns at most `most` bytes; more is an error."""
    data = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            while True:
                part = answer.read(1 << 18)
                if not part:
                    break
                data += part
                if len(data) > most:
                    raise Wrong(f"{url}: more than the {most} bytes that it should have")
                if progress:
                    progress.at(len(data))
    except (OSError, ValueError, http.client.HTTPException) as why:
        raise Wrong(f"{url}: cannot be fetched: {getattr(why, 'reason', None) or why}") from None
    return bytes(data)


def fetch(url, size, digest):
    """Returns the file of this size and SHA-256."""
    progress = Progress(url.rsplit("/", 1)[-1], size)
    data = read_all(url, size, progress)
    progress.at(len(data), end=True)
    found = hashlib.sha256(data).hexdigest()
    if len(data) != size or found != digest:
        raise Wrong(f"{url}: {len(data)} bytes with SHA-256 {found}; the archive's signed lists "
                    f"say {size} bytes with {digest}")
    return data


# --- The archive's lists ------------------------------------------------------------------------


def signed_text(data, url, keyring):
    """What a key of the keyring signed, without what stands around it."""
    with tempfile.TemporaryDirectory(prefix="softsev-guest-") as folder:
        signed, text = os.path.join(folder, "InRelease"), os.path.join(folder, "Release")
        with open(signed, "wb") as f:
            f.write(data)
        try:
            run = subprocess.run(["gpgv", "--status-fd", "1", "--keyring", keyring, "--output",
                                  text, signed], capture_output=True, text=True, errors="replace",
                                 check=False)
        except FileNotFoundError:
            raise Wrong("gpgv is missing, which checks the archive's signature; Debian has it in "
                        "the package gpgv") from None
        words = {line.split()[1] for line in run.stdout.splitlines()
                 if line.startswith("[GNUPG:] ")}
        if "VALIDSIG" not in words or "BADSIG" in words or not os.path.exists(text):
            last = (run.stderr.strip().splitlines() or ["gpgv said nothing"])[-1]
            raise Wrong(f"{url}: not signed by a key of {keyring}: {last}")
        with open(text, encoding="utf-8", errors="replace") as f:
            return f.read()


def field(text, name):
    found = re.search(rf"^{name}: *(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def link(release, name, url):
    """Size and SHA-256 of a file that a Release file lists."""
    part = re.search(r"^SHA256:\n((?: .*\n?)*)", release, re.MULTILINE)
    for line in part[1].splitlines() if part else []:
        words = line.split()
        if len(words) == 3 and words[2] == name and re.fullmatch(r"[0-9a-f]{64}", words[0]):
            return int(words[1]), words[0]
    raise Wrong(f"{url}: has no SHA-256 of {name}")


def unpacked_list(data, url):
    unpack = lzma.LZMADecompressor()
    try:
        text = unpack.decompress(data, LIST_MAX)
    except lzma.LZMAError as why:
        raise Wrong(f"{url}: is no xz file: {why}") from None
    if not unpack.eof:
        raise Wrong(f"{url}: unpacks to more than {LIST_MAX} bytes, or is cut off")
    return text.decode("utf-8", "replace")


class Archive:
    def __init__(self, mirror, suite, keyring):
        self.mirror, self.suite = mirror.rstrip("/"), suite
        top = f"{self.mirror}/dists/{suite}"
        data = read_all(f"{top}/InRelease", RELEASE_MAX)
        release = signed_text(data, f"{top}/InRelease", keyring)
        if suite not in (field(release, "Codename"), field(release, "Suite")):
            raise Wrong(f"{top}/InRelease: is of '{field(release, 'Codename')}', not of '{suite}'")
        say(f"{field(release, 'Origin')} {field(release, 'Version') or suite}: the signature is "
            f"valid, of {field(release, 'Date')}")
        url = f"{top}/{COMPONENT}/Packages.xz"
        self.list = unpacked_list(fetch(url, *link(release, f"{COMPONENT}/Packages.xz", url)), url)

    def about(self, package):
        """The package's paragraph of the list."""
        at = ("\n" + self.list).find(f"\nPackage: {package}\n")
        if at < 0:
            raise Wrong(f"{self.suite} has no package '{package}'")
        return self.list[at:].split("\n\n", 1)[0] + "\n"

    def package(self, package):
        """The package's file, and what is known of it."""
        about = self.about(package)
        size, digest, name = field(about, "Size"), field(about, "SHA256"), field(about, "Filename")
        if not size.isdigit() or not re.fullmatch(r"[0-9a-f]{64}", digest) or ".." in name:
            raise Wrong(f"the paragraph of '{package}' in {self.suite}'s list has no valid Size, "
                        "SHA256 and Filename")
        if int(size) > PACKAGE_MAX:
            raise Wrong(f"'{package}' has {size} bytes, more than {PACKAGE_MAX}")
        data = fetch(f"{self.mirror}/{name}", int(size), digest)
        return data, {"package": package, "version": field(about, "Version"), "sha256": digest}

    def kernel_of(self, package):
        """The package with the kernel: what a package without one, such as linux-image-amd64,
        depends on."""
        for other in field(self.about(package), "Depends").split(","):
            name = other.split("(")[0].strip()
            if re.fullmatch(r"linux-image-[\w.+-]+", name):
                return name
        return package


# --- Packages ---------------------------------------------------------------------------------


def member(data, name, package):
    """A file of an ar archive, which a package is."""
    if data[:8] != b"!<arch>\n":
        raise Wrong(f"'{package}' is no Debian package")
    at = 8
    while at + 60 <= len(data):
        head = data[at:at + 60]
        try:
            size = int(head[48:58])
        except ValueError:
            size = -1
        if size < 0 or at + 60 + size > len(data):
            break
        if head[:16].decode("ascii", "replace").strip().rstrip("/").startswith(name):
            return data[at + 60:at + 60 + size]
        at += 60 + size + size % 2
    raise Wrong(f"'{package}' has no {name} that can be read")


def unpack(data, package, wanted, root):
    """Writes the regular files that one of `wanted` matches below root, by the name that it gives
    them. Returns the names."""
    names, total = [], 0
    try:
        with tarfile.open(fileobj=io.BytesIO(member(data, "data.tar", package)), mode="r:*") as tar:
            for entry in tar:
                found = next(filter(None, (w.match(entry.name) for w in wanted)), None)
                total += entry.size
                if total > MEMBERS_MAX:
                    raise Wrong(f"'{package}' unpacks to more than {MEMBERS_MAX} bytes")
                if not found or not entry.isreg():
                    continue
                path = os.path.join(root, found[1])
                if ".." in found[1].split("/"):
                    raise Wrong(f"'{package}' has a file that leads out of it: {found[1]}")
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with tar.extractfile(entry) as source, open(path, "wb") as out:
                    shutil.copyfileobj(source, out)
                names.append(found[1])
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, ValueError) as why:
        raise Wrong(f"'{package}' cannot be unpacked: {why}") from None
    return names


def make(out, suite, package, mirror, keyring, init, agent):
    archive = Archive(mirror, suite, keyring)
    package = archive.kernel_of(package)
    with tempfile.TemporaryDirectory(prefix="softsev-guest-") as root:
        kernel, what = archive.package(package)
        if unpack(kernel, package, KERNEL, root).count("vmlinuz") != 1:
            raise Wrong(f"'{package}' has no kernel /boot/vmlinuz-...; `--package` names one "
                        "that has, or one that depends on one")
        busybox, more = archive.package("busybox-static")
        if unpack(busybox, "busybox-static", BUSYBOX, root) != ["bin/busybox"]:
            raise Wrong("'busybox-static' has no /bin/busybox")
        say("packing the initramfs")
        pack = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pack-initrd")
        initrd = os.path.join(root, "initrd.cpio.gz")
        run = subprocess.run([sys.executable, pack, os.path.join(root, "bin/busybox"), init, root,
                              initrd, *([agent] if agent else [])], check=False)
        if run.returncode:
            raise Wrong("the initramfs cannot be packed")
        with open(os.path.join(root, "guest.json"), "w", encoding="utf-8") as f:
            json.dump({"archive": mirror, "suite": suite, "packages": [what, more]}, f, indent=2)
            f.write("\n")
        put(root, out, ("vmlinuz", "initrd.cpio.gz", "guest.json"))
    return what


def put(root, out, names):
    """Replaces the files in `out`, after all of them are there under other names."""
    os.makedirs(out, exist_ok=True)
    try:
        for name in names:
            new, old = os.path.join(out, f".{name}.new"), os.path.join(out, name)
            if os.path.lexists(old) and not os.path.isfile(old):
                raise Wrong(f"{old} is there already, and no regular file")
            if os.path.lexists(new):
                os.unlink(new)
            shutil.copyfile(os.path.join(root, name), new)
        for name in names:
            os.replace(os.path.join(out, f".{name}.new"), os.path.join(out, name))
    finally:
        for name in names:
            if os.path.lexists(os.path.join(out, f".{name}.new")):
                os.unlink(os.path.join(out, f".{name}.new"))


def main():
    out, suite, package, mirror, keyring, init, agent = sys.argv[1:]
    if not os.path.exists(keyring):
        raise Wrong(f"there is no keyring {keyring}; Debian has it in the package "
                    "debian-archive-keyring, and --keyring names another")
    what = make(out, suite, package, mirror, os.path.abspath(keyring), init, agent)
    print(f"{out}/vmlinuz         {what['package']} {what['version']}\n"
          f"{out}/initrd.cpio.gz  busybox{', softsev-agent' if agent else ''}\n"
          f"\n  softsev run --kernel {out}/vmlinuz --initrd {out}/initrd.cpio.gz "
          f"--append console=ttyS0 --memory 512M --mode sev")


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # temporary files go
try:
    main()
except Wrong as problem:
    say(problem)
    sys.exit(3)
except OSError as problem:
    say(f"{problem.filename or 'the system'}: {problem.strerror or problem}")
    sys.exit(3)
except KeyboardInterrupt:
    sys.exit(130)
