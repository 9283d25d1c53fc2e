#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts tests over Meson's logs: every TAP line of a test program counts one, other programs count
one each.

usage: totals.py TESTLOG.JSON...    prints `N passed, N failed, N skipped` and exits 1 if any failed
"""
import json
import re
import sys

TAP = re.compile(r"^(not )?ok\b\s*\d*(.*)$", re.IGNORECASE)


def count(test, totals):
    lines = [m for m in map(TAP.match, test.get("stdout", "").splitlines()) if m]
    result = test["result"]
    for line in lines:
        if re.search(r"#\s*skip", line.group(2), re.IGNORECASE):
            totals["skipped"] += 1
        else:
            totals["failed" if line.group(1) else "passed"] += 1
    if lines and result in ("OK", "SKIP"):
        return
    if result == "OK":
        totals["passed"] += 1
    elif result == "SKIP":
        totals["skipped"] += 1
    elif not any(line.group(1) for line in lines):
        totals["failed"] += 1


def main():
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sys.argv[1:]:
        for line in open(path, encoding="utf-8"):
            count(json.loads(line), totals)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**totals))
    sys.exit(1 if totals["failed"] or not totals["passed"] else 0)


main()
