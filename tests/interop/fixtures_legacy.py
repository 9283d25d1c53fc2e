#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The legacy cases of `softsev fixtures` (chains, attestation reports, measurements), judged by a
verifier over python3-cryptography that shares nothing with softsev. Of a report it must name the
very check that the manifest names; prints TAP lines.

    fixtures_legacy.py FOLDER
"""
import hashlib
import hmac
import json
import os
import struct
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from platform_chain import SIGNED, USAGE, AmdCert, SevCert, little

CERT_SIZE = 0x824
NODBG = 1


class Refused(Exception):
    """Its text is the check's name."""


def demand(name, condition):
    if not condition:
        raise Refused(name)


def signed(name, verify, *arguments):
    try:
        verify(*arguments)
    except InvalidSignature as e:
        raise Refused(name) from e


class Chain:
    def __init__(self, chain, root):
        demand("size", len(chain) == 4 * CERT_SIZE)
        try:
            for i, name in enumerate(("pdh", "pek", "oca", "cek")):
                cert = SevCert(chain[i * CERT_SIZE:(i + 1) * CERT_SIZE])
                demand(name, cert.usage == USAGE[name])
                setattr(self, name, cert)
        except ValueError as e:  # a point that is not on the curve
            raise Refused(name) from e
        self.ask = AmdCert(root)
        self.ark = AmdCert(root[0x40 + 3 * self.ask.size:])
        demand("root", (self.ask.usage, self.ark.usage) == (0x13, 0))

    def check_root(self):
        signed("root-chain", self.ark.verify, self.ark.signature[::-1], self.ark.signed)
        signed("root-chain", self.ark.verify, self.ask.signature[::-1], self.ask.signed)

    def check_chip(self):
        signed("chip-chain", lambda: self.ask.verify(self.cek.slot(0x13)[:self.ask.size][::-1],
                                                     self.cek.data[:SIGNED]))
        signed("chip-chain", self.pek.check, self.cek)
        signed("chip-chain", self.pdh.check, self.pek)

    def check_owner(self):
        signed("owner-chain", self.oca.check, self.oca)
        signed("owner-chain", self.pek.check, self.oca)


def check_report(report, chain, policy):
    demand("report-size", len(report) == 0xD0)
    mnonce, digest, guest_policy, usage, algorithm, reserved = struct.unpack_from("<16s32sIIII",
            report)
    demand("report-form", (usage, algorithm, reserved) == (USAGE["pek"], 2, 0))
    chain.check_root()
    chain.check_chip()
    chain.check_owner()
    r, s = little(report[0x40:0x88]), little(report[0x88:0xD0])
    # A number of another length than the curve's is no signature, and DER could not say so.
    demand("report-signature", 0 < r < 1 << 384 and 0 < s < 1 << 384)
    signed("report-signature", chain.pek.key.verify, utils.encode_dss_signature(r, s),
           report[:0x34], ec.ECDSA(hashes.SHA256()))
    demand("nonce", mnonce.hex() == policy.get("mnonce", mnonce.hex()))
    demand("debug-policy", policy["allow_debug"] or guest_policy & NODBG)
    demand("guest-policy", guest_policy == policy.get("guest_policy", guest_policy))
    demand("launch-digest", digest.hex() == policy.get("launch_digest", digest.hex()))


def judge_report(read, case):
    check_report(read(case["report"]), Chain(read(case["chain"]), read(case["root"])),
                 case["policy"])


def judge_chain(read, case):
    chain = Chain(read(case["chain"]), read(case["root"]))
    chain.check_root()
    chain.check_chip()
    chain.check_owner()


def judge_measurement(_, case):
    message = struct.pack("<BBBBI", 4, case["api_major"], case["api_minor"], case["build"],
                          case["policy"])
    if (case["api_major"], case["api_minor"]) < (0, 17):  # what older firmware left out
        message = message[4:]
    message += bytes.fromhex(case["digest"]) + bytes.fromhex(case["mnonce"])
    mac = hmac.new(bytes.fromhex(case["tik"]), message, hashlib.sha256).hexdigest()
    demand("measurement", mac == case["measure"])


def judge(kind, case, read):
    """What this verifier says, and what it should."""
    try:
        {"sev-report": judge_report, "sev-chain": judge_chain,
         "sev-measurement": judge_measurement}[kind](read, case)
        said = "ok"
    except Refused as e:
        said = str(e)
    if kind == "sev-chain":  # checks of a chain are named by certificates; the verdict is compared
        return "accept" if said == "ok" else "reject", case["expect"]
    return said, case["check"]


def main():
    folder = sys.argv[1]

    def read(name):
        with open(os.path.join(folder, name), "rb") as f:
            return f.read()

    cases = json.loads(read("manifest.json"))["cases"]
    for kind in ("sev-chain", "sev-report", "sev-measurement"):
        counts = {"accept": 0, "reject": 0}
        for case in (c for c in cases if c["kind"] == kind):
            said, wanted = judge(kind, case, read)
            if said == wanted:
                counts[case["expect"]] += 1
            else:
                print(f"not ok - python3-cryptography: {case['name']}: {said}; the manifest says "
                      f"{wanted}")
        good = "ok" if counts["accept"] and counts["reject"] else "not ok"
        print(f"{good} - python3-cryptography: {kind}: {counts['accept']} accepted, "
              f"{counts['reject']} refused")


main()
