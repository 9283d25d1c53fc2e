#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's table of attacks, out of `softsev attack list --markdown`.

usage: attack_table.py write|verify SOFTSEV README
"""
import subprocess
import sys

BEGIN, END = "<!-- softsev attack list --markdown -->\n", "<!-- end -->\n"


def main():
    action, program, path = sys.argv[1:4]
    table = subprocess.run([program, "attack", "list", "--markdown"], text=True,
                           capture_output=True, check=True).stdout
    text = open(path, encoding="utf-8").read()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    wanted = before + BEGIN + "\n" + table + "\n" + END + after
    if action == "write":
        open(path, "w", encoding="utf-8").write(wanted)
    elif text != wanted:
        sys.exit(f"{path}: the table of attacks is old; make it anew: tools/attack_table.py write "
                 f"{program} {path}")


main()
