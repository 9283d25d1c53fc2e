#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program inside a launched guest, with no processor to run one: this file again, under `softsev
with --guest`. It asks for reports as any program does, and what it gets verifies outside.
"""
import ctypes
import errno
import fcntl
import json
import os
import struct
import sys

from story import one_line, quick, tell, want

GET_REPORT, GET_DERIVED_KEY, GET_EXT_REPORT = 0xC0205300, 0xC0205301, 0xC0205302
REPORTS = "/sys/kernel/config/tsm/report"
DATA = bytes(range(64))


# --- Inside
# ---------------------------------------------------------------------------------------------


def call(device, number, request, size, version=1):
    """One ioctl: error number, exitinfo2, request and response as they are afterwards."""
    request, response = ctypes.create_string_buffer(request,
                                                    len(request)), ctypes.create_string_buffer(size)
    io = bytearray(struct.pack("<B7xQQQ", version, ctypes.addressof(request),
                               ctypes.addressof(response), 0))
    error = 0
    try:
        fcntl.ioctl(device, number, io)
    except OSError as why:
        error = why.errno
    return error, struct.unpack("<B7xQQQ", io)[3], request.raw, response.raw


def ext_request(certificates):
    return DATA + struct.pack("<II24xQI4x", 1, 0, ctypes.addressof(certificates) if certificates
                              else 0,
                              len(certificates) if certificates else 0)


def inside(folder):
    found = {}
    with open("/dev/sev-guest", "r+b", buffering=0) as device:
        error, _, _, response = call(device, GET_REPORT, DATA + struct.pack("<II24x", 1, 0), 4000)
        found["report"] = [error, *struct.unpack("<II", response[:8])]
        keep(folder, "report", response[32:32 + 1184])
        keys = [call(device, GET_DERIVED_KEY, struct.pack("<IIQIIQ", 0, 0, fields, 0, 0, 0), 64)
                for fields in (0, 0, 8)]
        found["keys"] = [[k[0], k[3][32:].hex()] for k in keys]
        error, info, request, _ = call(device, GET_EXT_REPORT, ext_request(None), 4000)
        needed = struct.unpack("<I", request[104:108])[0]
        found["small"] = [error, info, needed]
        certificates = ctypes.create_string_buffer(needed)
        error, _, _, response = call(device, GET_EXT_REPORT, ext_request(certificates), 4000)
        found["extended"] = [error, *struct.unpack("<II", response[:8])]
        keep(folder, "table", certificates.raw)
        keep(folder, "report2", response[32:32 + 1184])
    os.mkdir(f"{REPORTS}/one")
    with open(f"{REPORTS}/one/inblob", "wb") as f:
        f.write(DATA)
    with open(f"{REPORTS}/one/outblob", "rb") as f:
        keep(folder, "report3", f.read())
    with open(f"{REPORTS}/one/auxblob", "rb") as f:
        found["auxblob"] = len(f.read())
    found["texts"] = [open(f"{REPORTS}/one/{name}", encoding="ascii").read()
                      for name in ("provider", "generation", "privlevel_floor")]
    os.rmdir(f"{REPORTS}/one")
    found["left"] = os.path.exists(f"{REPORTS}/one")
    # The key is gone after a message that the firmware does not know.
    with open("/dev/sev-guest", "r+b", buffering=0) as device:
        found["lost"] = [call(device, GET_REPORT, DATA + bytes(32), 4000, version)[:2]
                         for version in (9, 1)]
    keep(folder, "found", json.dumps(found).encode())


def keep(folder, name, data):
    with open(f"{folder}/{name}", "wb") as f:
        f.write(data)


# --- Outside
# --------------------------------------------------------------------------------------------


def split(s, table):
    """The certificates of the table, a file each."""
    names, at = [], 0
    while table[at:at + 24] != bytes(24):
        offset, size = struct.unpack("<II", table[at + 16:at + 24])
        names.append(s.write(f"cert{len(names)}.der", table[offset:offset + size]))
        at += 24
    return names


def read(s, name):
    with open(s.path(name), "rb") as f:
        return f.read()


def with_guest(s, description, *command):
    return s.command("with", "--state", s.state, "--guest", s.write("guest.json",
            json.dumps(description).encode()), "--", *command)


@quick
def a_program_inside_gets_reports_that_verify(s):
    host_data = "ab" * 32
    code, out, error = with_guest(s, {"host-data": host_data}, sys.executable, __file__, "inside",
                                  s.folder)
    want(code == 0, (code, out, error))
    found = json.loads(read(s, "found"))
    want(found["report"] == [0, 0, 1184] and found["extended"] == [0, 0, 1184], found)
    want(found["small"] == [errno.EIO, 1 << 32, 8192], found)
    want(all(k[0] == 0 for k in found["keys"])
            and found["keys"][0] == found["keys"][1] != found["keys"][2], found)
    want(found["texts"] == ["sev_guest\n", "1\n", "0\n"] and not found["left"], found)
    want(found["lost"] == [[errno.EIO, 0x16], [errno.ENOTTY, 0xFF]], found)
    certificates = split(s, read(s, "table"))
    want(len(certificates) == 3 and found["auxblob"] <= 8192, found)
    vcek, ask, ark = certificates
    for name, vmpl in (("report", 1), ("report2", 1), ("report3", 0)):
        code, out, error = s.command("owner", "verify", "--report", s.path(name), "--certs",
                                     f"{vcek},{ask}", "--root", ark,
                                     "--report-data", DATA.hex(), "--host-data", host_data,
                                     "--vmpl", str(vmpl))
        want(code == 0, (name, out, error))
    code, out, error = s.command("owner", "verify", "--report", s.path("report"), "--certs",
                                 f"{vcek},{ask}", "--root", ark,
                                 "--host-data", "ac" * 32, "--vmpl", "1")
    want(code == 4 and "host-data: the report has abab" in error, (code, error))


@quick
def certificates_of_the_platform_verify_them_too(s):
    code, out, error = with_guest(s, {}, sys.executable, __file__, "inside", s.folder)
    want(code == 0, (code, out, error))
    code, out, error = s.command("platform", "certs", "--state", s.state, "--out", s.path("certs"))
    want(code == 0, (code, out, error))
    code, out, error = s.command("owner", "verify", "--report", s.path("report"), "--certs",
                                 s.path("certs"), "--root",
                                 s.path("certs", "ark.pem"), "--vmpl", "1")
    want(code == 0, (code, out, error))


@quick
def a_guest_of_softsev_run_measures_as_the_owner_expects(s):
    kernel = s.build("halts", ".globl _start\n_start: hlt\njmp _start\n")
    code, out, error = s.command("owner", "measure", "--mode", "snp", "--kernel", kernel,
                                 "--append", "quiet", "--memory", "64")
    want(code == 0, (code, out, error))
    code, _, error = with_guest(s, {"kernel": kernel, "append": "quiet", "memory": 64},
                                sys.executable, __file__, "inside", s.folder)
    want(code == 0, (code, error))
    want(read(s, "report")[0x90:0xC0].hex() == out.decode().strip(), (out, error))


@quick
def descriptions_that_are_wrong_say_so(s):
    for description, code, words in (({"cpus": 1}, 2, "no member 'cpus'"),
                                     ({"firmware": "/no/such"}, 3, "/no/such"),
                                     ({"policy": "0x3ff00"}, 5,
                                      "SNP_LAUNCH_START: POLICY_FAILURE")):
        got, _, error = with_guest(s, description, "true")
        want(got == code and words in one_line(error), (got, error))
    got, _, error = s.command("with", "--state", s.state, "--profile", "rome", "--guest",
                              s.path("guest.json"), "--", "true")
    want(got == 2 and "has no SNP" in error, (got, error))


if __name__ == "__main__":
    if sys.argv[1] == "inside":
        inside(sys.argv[2])
    else:
        tell(a_program_inside_gets_reports_that_verify,
             certificates_of_the_platform_verify_them_too,
             a_guest_of_softsev_run_measures_as_the_owner_expects,
             descriptions_that_are_wrong_say_so)
