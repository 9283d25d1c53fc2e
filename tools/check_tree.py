#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the tree that no compiler checks; prints TAP.

- a source starts with its SPDX line and a comment that says what it is
- nobody includes another room's internal.h or a header of a folder in it, or reaches out of the
  room with a relative path
- a test is skipped by what its head needs (tests/needs.h), never from its middle
- sources stay under 800 lines unless they are pure tables (*.def)
- their lines have at most 100 columns, except tables whose rows read better whole (*.def, and
  what stands between clang-format off and on: an opcode, a command, a case a line)
- lines of Python, shell and Meson files have at most 100 columns, too, except text in quotes that
  would change if it were broken, and the files in WIDE
- and so have lines of prose in Markdown files: not tables, pictures and what programs print
"""
import io
import os
import re
import sys
import tokenize

from rooms import read_table, room_of

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
LINES_MAX = 800
COLUMNS_MAX = 100
# Files with longer lines, and why.
WIDE = {
    "tools/fetch-vectors.sh": "a table of addresses with digests, a file a row",
    "tests/interop/snphost.sh": "programs in Python between lines of shell",
    "tests/interop/snpguest.sh": "programs in Python between lines of shell",
    "tests/interop/virt_qemu_sev_validate.sh": "programs in Python between lines of shell",
    "src/cpu/meson.build": "lists of sources and a command, a row each",
}
QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")


def sources(top):
    for folder in ("src", "tests", "bench"):
        for path, _, names in os.walk(os.path.join(top, folder)):
            for name in names:
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.relpath(os.path.join(path, name), top)


def scripts(top):
    for path, folders, names in os.walk(top):
        at = os.path.relpath(path, top)
        if at == ".":
            folders[:] = [f for f in folders
                          if f in ("src", "tests", "bench", "tools", "guests", "examples")]
        for name in names:
            if name.endswith((".py", ".sh")) or name in ("meson.build", "meson_options.txt"):
                yield os.path.normpath(os.path.join(at, name))


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


def text_lines(text):
    """The lines of a Python file that a string over several lines covers."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING and token.start[0] != token.end[0]:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def script_width(top, path, text):
    if path in WIDE:
        return True
    free = text_lines(text) if path.endswith(".py") else set()
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) <= COLUMNS_MAX or number in free:
            continue
        code = QUOTED.sub("", line)
        if not path.endswith(".sh") or '"' not in line and "'" not in line or len(code) > 80:
            return False
    return True


def documents(top):
    for path, folders, names in os.walk(top):
        at = os.path.relpath(path, top)
        if at == ".":
            folders[:] = [f for f in folders
                          if f in ("docs", "src", "tests", "guests", "examples", "packaging",
                                   "python")]
        for name in names:
            if name.endswith(".md"):
                yield os.path.normpath(os.path.join(at, name))


def prose_width(top, path, text):
    fenced = False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        free = fenced or line.startswith(("    ", "![", "#")) or line.lstrip().startswith("|")
        if not free and len(line) > COLUMNS_MAX:
            return False
    return True


def report(number, top, paths, check, title):
    bad = [p for p in paths
           if not check(top, p, open(os.path.join(top, p), encoding="utf-8").read())]
    print(f"{'not ok' if bad else 'ok'} {number} - each of {len(paths)} {title}")
    for path in bad:
        print(f"#   {path}")
    return not bad


def main():
    top = sys.argv[1]
    checks = [(spdx, "starts with SPDX and what it is"),
              (includes, "includes its own room's insides only"),
              (skips, "skips no test from its middle"),
              (length, f"has at most {LINES_MAX} lines"),
              (width, f"has lines of at most {COLUMNS_MAX} columns")]
    paths = sorted(sources(top))
    print(f"1..{len(checks) + 2}")
    good = True
    for number, (check, title) in enumerate(checks, 1):
        good = report(number, top, paths, check, "sources " + title) and good
    title = f"scripts and build files has lines of at most {COLUMNS_MAX} columns"
    good = report(len(checks) + 1, top, sorted(scripts(top)), script_width, title) and good
    title = f"documents has prose of at most {COLUMNS_MAX} columns"
    good = report(len(checks) + 2, top, sorted(documents(top)), prose_width, title) and good
    sys.exit(0 if good else 1)


main()
