#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An owner's secret for an SNP guest: the agent in its initramfs asks for it with a report of its
own, over a channel that the host carries, from an owner on this computer or on another.
SOFTSEV_AGENT is the agent; a kernel with a sev-guest driver is needed.
"""
import base64
import hashlib
import json
import os
import select
import shutil
import struct
import subprocess
import time

from story import (APPEND, TIMEOUT, SECRET, SECRET_WORD, Skip, console, occurs, quick, slow, steps,
                   tell, want)

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for list in order snp-order; do while read -r module; do insmod "/modules/$module"; done <"/modules/$list"; done
@ask@ && echo "guest: got $(sha256sum </secret/secret)"
echo "guest: agent ended with $?, $(ls -l /secret 2>/dev/null | grep -c -e '-rw-------') file"
poweroff -f
"""


def agent_program():
    program = os.environ.get("SOFTSEV_AGENT", "")
    if not os.path.exists(program):
        raise Skip("no agent: it needs a static libcrypto")
    return program


def guest(s, agent=True):
    """Options of a guest whose init asks, or does not."""
    kernel, initrd = f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz"
    program = agent_program()
    if not os.path.exists(kernel):
        raise Skip("no Linux 6.12")
    s.kernel, s.initrd, init = kernel, initrd, INIT.replace("@ask@", "softsev-agent" if agent
            else "false")
    with open(program, "rb") as f:
        files = [("bin/softsev-agent", 0o100755, f.read())]
    return ["--kernel", kernel, "--initrd", s.initrd_with("agent.cpio.gz", init, files), "--append",
            APPEND, "--memory", "512", "--mode",
            "sev-snp"]


def run(s, *more, agent=True):
    return s.run(*guest(s, agent), "--owner-secret", s.secret, *more)


# --- The owner's end in Python: the agent as a program inside a launched guest that needs no kernel
# ---

HELLO, EVIDENCE, SEALED, REFUSED, DONE, READY = range(1, 7)
NONCE = bytes(range(32))


def frame(kind, payload=b""):
    return b"SSX1" + struct.pack("<III", kind, len(payload), 0) + payload


class Port:
    """A terminal whose other end the agent has."""

    def __init__(self, s, *names):
        self.master, slave = os.openpty()
        self.file = s.path(*names)
        self.agent = subprocess.Popen([s.softsev, "with", "--state", s.state, "--guest",
                                       s.write("guest.json", b"{}"), "--", agent_program(),
                                       os.ttyname(slave), self.file], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
        self.slave = slave

    def read(self, size):
        data = b""
        while len(data) < size:
            want(select.select([self.master], [], [], 60)[0], "the agent says nothing")
            data += os.read(self.master, size - len(data))
        return data

    def take(self, kind):
        magic, got, size, zero = struct.unpack("<4sIII", self.read(16))
        want((magic, got, zero) == (b"SSX1", kind, 0), (magic, got, size))
        return self.read(size)

    def send(self, data):
        os.write(self.master, data)

    def end(self):
        out, error = self.agent.communicate(timeout=60)
        os.close(self.master)
        os.close(self.slave)
        return self.agent.returncode, (out + error).decode()


def evidence(port):
    """What came after our nonce: the agent's key and its report, which must bind both."""
    port.take(READY)
    port.send(frame(HELLO, NONCE))
    payload = port.take(EVIDENCE)
    key, report = payload[:96], payload[96:96 + 1184]
    bound = hashlib.sha384(b"softsev secret exchange 1: report\0" + NONCE + key).digest()
    want(report[0x50:0x80] == bound, "REPORT_DATA")
    want(report[0x80:0x90] == bytes(16), "REPORT_DATA's end")
    return key, report


@quick
def a_refused_agent_writes_nothing(s):
    port = Port(s, "refused", "secret")
    evidence(port)
    port.send(frame(REFUSED, b"measurement"))
    code, text = port.end()
    want(code == 2 and "the owner refuses: measurement" in text, (code, text))
    want(not os.path.exists(s.path("refused")), "a folder was made")


@quick
def an_owner_of_another_make_can_seal(s):
    try:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError:
        raise Skip("no python3-cryptography") from None
    port = Port(s, "given", "secret")
    key, report = evidence(port)
    x, y = (int.from_bytes(key[at:at + 48], "little") for at in (0, 48))
    mine = ec.generate_private_key(ec.SECP384R1())
    shared = mine.exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y,
            ec.SECP384R1()).public_key())
    numbers = mine.public_key().public_numbers()
    owner = numbers.x.to_bytes(48, "little") + numbers.y.to_bytes(48, "little")
    label = b"softsev secret exchange 1: key\0"
    transcript = hashlib.sha384(label + NONCE + key + report + owner).digest()
    both = HKDF(hashes.SHA256(), 44, transcript, label).derive(shared)
    sealed = AESGCM(both[:32]).encrypt(both[32:], SECRET, transcript)
    port.send(frame(SEALED, owner + sealed[-16:] + struct.pack("<I", len(SECRET)) + sealed[:-16]))
    port.take(DONE)
    code, text = port.end()
    want(code == 0, (code, text))
    with open(port.file, "rb") as f:
        want(f.read() == SECRET, "another secret")
    want(os.stat(port.file).st_mode & 0o777 == 0o600
         and os.stat(os.path.dirname(port.file)).st_mode & 0o777 == 0o700, "modes")


@slow
def an_agent_gets_its_owners_secret_and_nobody_else_does(s):
    dram = s.path("dram")
    code, events, error = run(s, "--dump", dram)
    want(code == 0, error)
    text = console(events)
    want(f"guest: got {hashlib.sha256(SECRET).hexdigest()}" in text, text[-2000:])
    want("guest: agent ended with 0, 1 file" in text, text[-500:])
    want("sealed to that key" in steps(events, "owner"), steps(events, "owner"))
    want("the agent has the secret" in steps(events, "guest"), steps(events, "guest"))
    want(occurs(dram, SECRET_WORD) == [], "the secret is readable in DRAM")
    os.unlink(dram)


@slow
def a_secret_that_nobody_asks_for_is_not_given(s):
    code, events, error = run(s, agent=False)
    want(code == 9 and "no agent in the guest" in error, (code, error))
    want("sealed" not in steps(events, "owner"), steps(events, "owner"))


# --- An owner elsewhere: softsev owner hello and answer, with only files passing between ---


class Owner:
    def __init__(self, s, name):
        self.s, self.home = s, s.path(name)
        self.root = s.path("certs")
        if not os.path.exists(self.root):
            self.good(s.command("platform", "init", "--state", s.state))
            self.good(s.command("platform", "certs", "--state", s.state, "--out", self.root))

    @staticmethod
    def good(result):
        want(result[0] == 0, result)
        return result[1].decode()

    def file(self, name):
        return os.path.join(self.home, name)

    def hello(self):
        self.good(self.s.command("owner", "hello", "--out-dir", self.home))
        with open(self.file("hello.b64"), "rb") as f:
            return base64.b64decode(f.read())

    def answer(self, evidence_file, *more):
        return self.s.command("owner", "answer", "--state", self.file("hello.state"), "--evidence",
                              evidence_file, "--secret", self.s.secret,
                              "--root", os.path.join(self.root, "ark.pem"), "--out-dir", self.home,
                              *more)


def asked(s, owner, name):
    """An agent that has got the owner's HELLO and sent its evidence, which is in a file."""
    port = Port(s, name, "secret")
    port.take(READY)
    port.send(owner.hello())
    payload = port.take(EVIDENCE)
    return port, s.write(name + ".b64", base64.b64encode(frame(EVIDENCE,
            payload))), payload[96 + 0x90:96 + 0xC0].hex()


@quick
def an_owner_answers_from_files(s):
    owner = Owner(s, "home")
    port, evidence_file, digest = asked(s, owner, "filed")
    code, _, error = owner.answer(evidence_file)
    want(code == 2 and "which guest may have the secret" in error, (code, error))
    for wrong in (b"", b"AAAA", base64.b64encode(frame(READY)), b"\xff" * 60000):
        code, _, error = owner.answer(s.write("wrong.b64", wrong), "--digest", digest)
        want(code == 3 and "wrong.b64" in error, (wrong[:20], code, error))
    want(os.stat(owner.file("hello.state")).st_mode & 0o777 == 0o600, "the nonce is anybody's")
    said = owner.good(owner.answer(evidence_file, "--digest", digest))
    want("report of version 3: verifies" in said and "answer.b64 for the host" in said, said)
    with open(owner.file("answer.b64"), "rb") as f:
        answer = f.read()
    want(SECRET_WORD not in answer and SECRET_WORD not in base64.b64decode(answer),
         "it is not sealed")
    code, _, error = owner.answer(evidence_file, "--digest", digest)  # a nonce is for one answer
    want(code == 3 and "hello.state" in error, (code, error))
    port.send(base64.b64decode(answer))
    port.take(DONE)
    code, text = port.end()
    want(code == 0, (code, text))
    with open(port.file, "rb") as f:
        want(f.read() == SECRET, "another secret")


@quick
def an_owner_refuses_from_files(s):
    owner = Owner(s, "home2")
    for name, options, check in (("other-digest", ["--digest", "11" * 48], "measurement"),
                                 ("old", ["--min-tcb", "9.9.99.255"], "minimum-tcb")):
        port, evidence_file, digest = asked(s, owner, name)
        code, said, error = owner.answer(evidence_file, "--json",
                *(options if check == "measurement" else options + ["--digest", digest]))
        want(code == 4 and f": {check}: " in error and json.loads(said)["check"] == check,
             (code, said, error))
        with open(owner.file("answer.b64"), "rb") as f:
            port.send(base64.b64decode(f.read()))
        code, text = port.end()
        want(code == 2 and f"the owner refuses: {check}" in text, (code, text))
    # The evidence of one exchange says nothing to another nonce.
    owner.hello()
    code, _, error = owner.answer(evidence_file, "--digest", digest)
    want(code == 4 and ": report-data: " in error, (code, error))


def remote(s, name, *more):
    """softsev run with an owner elsewhere, and its folder; what it prints goes into a file, for
    nobody reads meanwhile."""
    wire = s.path(name)
    started = [s.softsev, "run", "--json", "--state", s.state, *guest(s), "--owner-dir", wire,
               *more]
    with open(wire + ".out", "wb") as out:
        return wire, subprocess.Popen(started, stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=subprocess.PIPE)


def end(wire, process):
    """Exit code, events, error text."""
    _, error = process.communicate(timeout=TIMEOUT)
    with open(wire + ".out", "rb") as f:
        return process.returncode, [json.loads(line) for line in f], error.decode()


def wait_for(process, path):
    end = time.monotonic() + TIMEOUT
    while not os.path.exists(path):
        want(process.poll() is None, f"the host has ended: "
                                     f"{process.stderr.read() if process.poll() else ''}")
        want(time.monotonic() < end, f"no {path}")
        time.sleep(0.05)
    return path


def put(source, folder):
    name = os.path.join(folder, os.path.basename(source))
    shutil.copy(source, name + ".part")
    os.rename(name + ".part", name)


def exchange_elsewhere(s, name, append, *more):
    """The host's exit code, events and error; the owner's answer."""
    owner = Owner(s, "home-" + name)
    wire, process = remote(s, "wire-" + name, *more)
    try:
        os.makedirs(wire, exist_ok=True)
        owner.hello()
        put(owner.file("hello.b64"), wire)
        evidence_file = wait_for(process, os.path.join(wire, "evidence.b64"))
        verdict = owner.answer(evidence_file, "--mode", "snp", "--kernel", s.kernel, "--initrd",
                               s.path("agent.cpio.gz"), "--append", append)
        put(owner.file("answer.b64"), wire)
        result = end(wire, process)
    finally:
        process.kill()
    want(set(os.listdir(wire)) == {"evidence.b64"}, os.listdir(wire))
    return *result, verdict


@slow
def an_agent_gets_the_secret_of_an_owner_elsewhere(s):
    dram = s.path("dram")
    code, events, error, verdict = exchange_elsewhere(s, "right", APPEND, "--dump", dram)
    want(verdict[0] == 0 and code == 0, (verdict, code, error))
    want(f"guest: got {hashlib.sha256(SECRET).hexdigest()}" in console(events),
         console(events)[-2000:])
    want("elsewhere" in steps(events, "owner") and occurs(dram, SECRET_WORD) == [],
         steps(events, "owner"))
    os.unlink(dram)


@slow
def an_owner_elsewhere_who_expects_another_guest_refuses(s):
    code, events, error, verdict = exchange_elsewhere(s, "wrong", APPEND + " quiet")
    want(verdict[0] == 4 and "measurement: the report has" in verdict[2], verdict)
    want(code == 4 and "the owner refuses vm1: measurement" in error, (code, error))
    want("guest: agent ended with 2, 0 file" in console(events), console(events)[-500:])


@slow
def an_owner_elsewhere_who_says_nothing_is_not_waited_for(s):
    wire, process = remote(s, "silent", "--owner-wait", "1")
    code, _, error = end(wire, process)
    want(code == 4 and "the owner has sent no hello.b64 after 1 s" in error
         and os.listdir(wire) == [], (code, error))


@slow
def an_exchange_that_is_none_ends_the_run(s):
    sealed = base64.b64encode(frame(SEALED))
    for name, content, words in (("garbage", b"gar bage", "a text in base64 that was cut"),
                                 ("frame", sealed, "hello.b64 is not what"),
                                 ("file", None, "is not a folder")):
        wire = s.path("wire-" + name)
        if content:
            os.makedirs(wire)
            with open(os.path.join(wire, "hello.b64"), "wb") as f:
                f.write(content)
        else:
            s.write("wire-" + name, b"")
        code, _, error = end(*remote(s, "wire-" + name, "--owner-wait", "1"))
        want(code == 3 and words in error, (name, code, error))


tell(a_refused_agent_writes_nothing, an_owner_of_another_make_can_seal,
     an_agent_gets_its_owners_secret_and_nobody_else_does,
     a_secret_that_nobody_asks_for_is_not_given, an_owner_answers_from_files,
     an_owner_refuses_from_files,
     an_agent_gets_the_secret_of_an_owner_elsewhere,
     an_owner_elsewhere_who_expects_another_guest_refuses,
     an_owner_elsewhere_who_says_nothing_is_not_waited_for, an_exchange_that_is_none_ends_the_run)
