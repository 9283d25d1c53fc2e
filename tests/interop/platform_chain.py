#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A platform's exported certificates, verified by another implementation (python3-cryptography).

platform_chain.py verify FOLDER          prints TAP
platform_chain.py own CSR PEK OCA        makes an owner: signs the request CSR, writes PEK and OCA
"""
import struct
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

SIGNED = 0x414
USAGE = {"oca": 0x1001, "pek": 0x1002, "pdh": 0x1003, "cek": 0x1004}


def little(data):
    return int.from_bytes(data, "little")


class SevCert:
    def __init__(self, data):
        assert len(data) == 0x824
        self.data = data
        self.version, _, self.usage, self.algorithm = struct.unpack_from("<IIII", data)
        assert struct.unpack_from("<I", data, 0x10)[0] == 2, "curve"
        x, y = little(data[0x14:0x5C]), little(data[0x5C:0xA4])
        self.key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()

    def slot(self, parent_usage):
        for at in (0x414, 0x61C):
            if struct.unpack_from("<I", self.data, at)[0] == parent_usage:
                return self.data[at + 8 : at + 0x208]
        raise InvalidSignature("no slot")

    def check(self, parent):
        raw = self.slot(parent.usage)
        der = utils.encode_dss_signature(little(raw[:72]), little(raw[72:144]))
        parent.key.verify(der, self.data[:SIGNED], ec.ECDSA(hashes.SHA256()))


class AmdCert:
    def __init__(self, data):
        self.data = data
        self.usage = struct.unpack_from("<I", data, 0x24)[0]
        bits = struct.unpack_from("<I", data, 0x3C)[0]
        size = self.size = bits // 8
        exponent = little(data[0x40 : 0x40 + size])
        modulus = little(data[0x40 + size : 0x40 + 2 * size])
        self.signed = data[: 0x40 + 2 * size]
        self.signature = data[0x40 + 2 * size : 0x40 + 3 * size]
        self.hash = hashes.SHA384() if bits == 4096 else hashes.SHA256()
        self.key = rsa.RSAPublicNumbers(exponent, modulus).public_key()

    def verify(self, signature, message):
        pss = padding.PSS(padding.MGF1(self.hash), self.hash.digest_size)
        self.key.verify(signature, message, pss, self.hash)


def verify(folder):
    label = folder.rstrip("/").split("/")[-1]

    def load(name):
        with open(f"{folder}/{name}", "rb") as f:
            return f.read()

    sev = {name: SevCert(load(f"{name}.cert")) for name in USAGE}
    ask, ark = AmdCert(load("ask.cert")), AmdCert(load("ark.cert"))
    checks = [
        ("usages are the manual's", lambda: [check(sev[n].usage == u) for n, u in USAGE.items()]),
        ("chain is PDH, PEK, OCA, CEK",
         lambda: check(load("chain") == b"".join(sev[n].data for n in ("pdh", "pek", "oca",
                 "cek")))),
        ("root is ASK, ARK", lambda: check(load("root") == ask.data + ark.data)),
        ("ARK signs itself", lambda: ark.verify(ark.signature[::-1], ark.signed)),
        ("ARK signs ASK", lambda: ark.verify(ask.signature[::-1], ask.signed)),
        ("ASK signs CEK", lambda: ask.verify(sev["cek"].slot(0x13)[: ask.size][::-1],
                                             sev["cek"].data[:SIGNED])),
        ("CEK signs PEK", lambda: sev["pek"].check(sev["cek"])),
        ("OCA signs PEK", lambda: sev["pek"].check(sev["oca"])),
        ("OCA signs itself", lambda: sev["oca"].check(sev["oca"])),
        ("PEK signs PDH", lambda: sev["pdh"].check(sev["pek"])),
    ]
    for title, run in checks:
        try:
            run()
            print(f"ok - {label}: {title}")
        except (InvalidSignature, AssertionError) as wrong:
            print(f"not ok - {label}: {title}: {wrong!r}")


def check(condition):
    assert condition


def sign(cert, at, key):
    r, s = utils.decode_dss_signature(key.sign(bytes(cert[:SIGNED]), ec.ECDSA(hashes.SHA256())))
    raw = r.to_bytes(72, "little") + s.to_bytes(72, "little")
    cert[at : at + 8 + len(raw)] = struct.pack("<II", USAGE["oca"], 2) + raw


def own(csr, pek, oca):
    key = ec.generate_private_key(ec.SECP384R1())
    point = key.public_key().public_numbers()
    cert = bytearray(0x824)
    struct.pack_into("<IIIII", cert, 0, 1, 0, USAGE["oca"], 2, 2)
    cert[0x14:0x5C] = point.x.to_bytes(72, "little")
    cert[0x5C:0xA4] = point.y.to_bytes(72, "little")
    struct.pack_into("<II", cert, 0x61C, 0x1000, 0)
    sign(cert, 0x414, key)
    with open(csr, "rb") as f:
        request = bytearray(f.read())
    sign(request, 0x414, key)
    for name, data in ((pek, request), (oca, cert)):
        with open(name, "wb") as f:
            f.write(data)


if __name__ == "__main__":
    {"verify": verify, "own": own}[sys.argv[1]](*sys.argv[2:])
