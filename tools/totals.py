#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts tests over Meson's logs: every TAP line of a test program counts one, other programs count
one each. What failed is named before the totals, with the last lines that it printed: a reader who has
the end of a log has what matters.

usage: totals.py TESTLOG.JSON...    prints `N passed, N failed, N skipped` and exits 1 if any failed
"""
import json
import os
import re
import sys

BEFORE, LAST, WIDTH = 6, 12, 200  # lines about a failure, last lines, characters of a line
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


def tell(path, test):
    """names a test that failed: what its TAP lines say, and how its output ends"""
    print(f"failed: {test['name']} ({os.path.dirname(os.path.dirname(path))}): {test['result']}")
    for name in ("stdout", "stderr"):
        lines = test.get(name, "").splitlines()
        bad = [n for n, line in enumerate(lines) if line.startswith("not ok")]
        shown = {n for at in bad for n in range(max(at - BEFORE, 0), at + BEFORE)}
        shown |= set(range(max(len(lines) - LAST, 0), len(lines)))
        for n in sorted(shown):
            if n < len(lines):
                print(f"failed: | {lines[n][:WIDTH]}")


def main():
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sys.argv[1:]:
        for line in open(path, encoding="utf-8"):
            test = json.loads(line)
            count(test, totals)
            if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL"):
                tell(path, test)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**totals))
    sys.exit(1 if totals["failed"] or not totals["passed"] else 0)


main()
