#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verifies both signatures of an SNP ID authentication block with python3-cryptography; prints the
digests of ID key and author key. id_auth.py ID_BLOCK ID_AUTH (bytes, or base64)."""
import base64
import hashlib
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils


def load(path, size):
    with open(path, "rb") as f:
        data = f.read()
    return data if len(data) == size else base64.b64decode(data)[:size]


def key(data):
    assert struct.unpack_from("<I", data)[0] == 2, "P-384"
    x, y = (int.from_bytes(data[at:at + 72], "little") for at in (4, 76))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP384R1()).public_key()


def verify(public, signature, message):
    r, s = (int.from_bytes(signature[at:at + 72], "little") for at in (0, 72))
    public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))


block, auth = load(sys.argv[1], 96), load(sys.argv[2], 4096)
id_key, author_key = auth[0x240:0x644], auth[0x880:0xC84]
verify(key(id_key), auth[0x40:0x240], block)
print(hashlib.sha384(id_key).hexdigest())
if any(author_key):
    verify(key(author_key), auth[0x680:0x880], id_key)
    print(hashlib.sha384(author_key).hexdigest())
