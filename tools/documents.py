#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the program's own tables of options say, in docs/man/ and completions/.

usage: documents.py write|verify SOFTSEV TOP
A manual page has such a part between the lines `.\\" Begin: softsev documents man NAME` and `.\\" End`.
"""
import os
import re
import subprocess
import sys

PART = re.compile(r'(\.\\" Begin: softsev (documents man [a-z-]+)\n)(?:.*?\n)??(\.\\" End\n)', re.DOTALL)


def main():
    action, program, top = sys.argv[1:4]

    def said(words):
        return subprocess.run([program, *words.split()], text=True, capture_output=True, check=True).stdout

    pages = [os.path.join(top, "docs/man", name) for name in sorted(os.listdir(os.path.join(top, "docs/man")))]
    wanted = {os.path.join(top, "completions/softsev"): said("documents completion")}
    for path in pages:
        with open(path, encoding="utf-8") as f:
            wanted[path] = PART.sub(lambda part: part[1] + said(part[2]) + part[3], f.read())
    old = []
    for path, text in wanted.items():
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                continue
        old.append(path)
        if action == "write":
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
    if action == "verify" and old:
        sys.exit(f"{', '.join(old)}: older than the program's options; make them anew: tools/documents.py write {program} {top}")


main()
