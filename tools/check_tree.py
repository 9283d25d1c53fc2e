#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the tree that no compiler checks; prints TAP.

- a source starts with its SPDX line and a comment that says what it is
- nobody includes another room's internal.h or a header of a folder in it, or reaches out of the room with a relative path
- a test is skipped by what its head needs (tests/needs.h), never from its middle
- sources stay under 800 lines unless they are pure tables (*.def)
- their lines have at most 100 columns, but for tables (*.def, and what stands between clang-format off and on)
"""
import os
import re
import sys

from rooms import read_table, room_of

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
LINES_MAX = 800
COLUMNS_MAX = 100


def sources(top):
    for folder in ("src", "tests", "bench"):
        for path, _, names in os.walk(os.path.join(top, folder)):
            for name in names:
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.relpath(os.path.join(path, name), top)


def spdx(top, path, text):
    return text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n/*")


def includes(top, path, text):
    if not path.startswith("src/"):
        return True
    table = read_table(os.path.join(top, "src/rooms.txt"))
    room = room_of(path[len("src/"):], table)
    for include in INCLUDE.findall(text):
        theirs = room_of(include, table)
        inside = include.endswith("internal.h") or os.path.dirname(include) != theirs
        if ".." in include or (inside and theirs and theirs != room):
            return False
    return True


def skips(top, path, text):
    return path.endswith("/needs.h") or not re.search(r"\bskip\(\)", text)


def length(top, path, text):
    return path.endswith(".def") or text.count("\n") <= LINES_MAX


def width(top, path, text):
    table = path.endswith(".def")
    for line in text.split("\n"):
        if line.lstrip().startswith(("// clang-format o", "/* clang-format o")):
            table = "clang-format off" in line
        if not table and len(line) > COLUMNS_MAX:
            return False
    return True


def main():
    top = sys.argv[1]
    checks = [(spdx, "starts with SPDX and what it is"), (includes, "includes its own room's insides only"),
              (skips, "skips no test from its middle"),
              (length, f"has at most {LINES_MAX} lines"), (width, f"has lines of at most {COLUMNS_MAX} columns")]
    paths = sorted(sources(top))
    print(f"1..{len(checks)}")
    failed = False
    for number, (check, title) in enumerate(checks, 1):
        bad = [p for p in paths if not check(top, p, open(os.path.join(top, p), encoding="utf-8").read())]
        print(f"{'not ok' if bad else 'ok'} {number} - each of {len(paths)} sources {title}")
        for path in bad:
            print(f"#   {path}")
        failed = failed or bool(bad)
    sys.exit(1 if failed else 0)


main()
