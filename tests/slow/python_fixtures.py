#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""softsev.verify() against the manifest of `softsev fixtures`: each SNP report must be accepted, or
be refused by the check that the manifest names.

usage: python_fixtures.py FIXTURES
"""
import glob
import json
import os
import sys

import softsev

BYTES = ("measurement", "report_data", "host_data", "chip_id", "id_key_digest",
         "author_key_digest")


def demands(policy):
    """The keywords of verify() for a manifest's policy."""
    words = {}
    for name, value in policy.items():
        if name in BYTES:
            words[name] = bytes.fromhex(value)
        elif name == "minimum_tcb":
            numbers = [int(n) for n in value.split(".")]
            fmc = numbers.pop(0) if len(numbers) == 5 else None
            words[name] = softsev.Tcb(*numbers, fmc)
        elif name == "minimum_api":
            words[name] = tuple(int(n) for n in value.split("."))
        else:
            words[name] = int(value, 0) if isinstance(value, str) else value
    return words


def main():
    top, tried, wrong = sys.argv[1], 0, []

    def read(name):
        with open(os.path.join(top, name), "rb") as f:
            return f.read()

    with open(os.path.join(top, "manifest.json"), encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    for case in cases:
        if case["kind"] != "snp-report" or "id_block" in case:
            continue  # the wheel has no ID blocks
        files = [read(os.path.relpath(path, top))
                 for path in glob.glob(os.path.join(top, case["certificates"], "*.pem"))]
        files += [read(case["crl"])] if "crl" in case else []
        try:
            softsev.verify(read(case["report"]), roots=[read(case["root"])], certificates=files,
                           **demands(case["policy"]))
            check = "ok"
        except softsev.Refused as refused:
            check = refused.check
        tried += 1
        if check != case["check"]:
            wrong.append(f"{case['name']}: {check}, not {case['check']}")
    print(f"{tried} reports\n" + "\n".join(wrong))
    sys.exit(1 if wrong or tried < 50 else 0)


main()
