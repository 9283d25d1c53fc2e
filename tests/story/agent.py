#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An owner's secret for an SNP guest: the agent in its initramfs asks for it with a report of its own, over a channel that the
host carries. SOFTSEV_AGENT is the agent; a kernel with a sev-guest driver is needed.
"""
import hashlib
import os
import select
import struct
import subprocess

from story import SECRET, SECRET_WORD, Skip, console, occurs, quick, slow, steps, tell, want

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


def run(s, *more, agent=True):
    kernel, initrd, program = f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz", agent_program()
    if not os.path.exists(kernel):
        raise Skip("no Linux 6.12")
    s.initrd, init = initrd, INIT.replace("@ask@", "softsev-agent" if agent else "false")
    with open(program, "rb") as f:
        files = [("bin/softsev-agent", 0o100755, f.read())]
    return s.run("--kernel", kernel, "--initrd", s.initrd_with("agent.cpio.gz", init, files), "--append",
                 "console=ttyS0 panic=-1 cryptomgr.notests", "--memory", "512", "--mode", "sev-snp", "--owner-secret", s.secret, *more)


# --- The owner's end in Python: the agent as a program inside a launched guest that needs no kernel ---

HELLO, EVIDENCE, SEALED, REFUSED, DONE, READY = range(1, 7)
NONCE = bytes(range(32))


def frame(kind, payload=b""):
    return b"SSX1" + struct.pack("<III", kind, len(payload), 0) + payload


class Port:
    """A terminal whose other end the agent has."""

    def __init__(self, s, *names):
        self.master, slave = os.openpty()
        self.file = s.path(*names)
        self.agent = subprocess.Popen([s.softsev, "with", "--state", s.state, "--guest", s.write("guest.json", b"{}"), "--", agent_program(),
                                       os.ttyname(slave), self.file], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
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
    want(report[0x50:0x80] == hashlib.sha384(b"softsev secret exchange 1: report\0" + NONCE + key).digest(), "REPORT_DATA")
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
    shared = mine.exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key())
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
    want(os.stat(port.file).st_mode & 0o777 == 0o600 and os.stat(os.path.dirname(port.file)).st_mode & 0o777 == 0o700, "modes")


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


tell(a_refused_agent_writes_nothing, an_owner_of_another_make_can_seal, an_agent_gets_its_owners_secret_and_nobody_else_does,
     a_secret_that_nobody_asks_for_is_not_given)
