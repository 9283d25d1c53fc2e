#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes, for each room, an include folder that holds what rooms.txt allows it and nothing else.

usage: rooms.py ROOMS.TXT SRC OUT    writes OUT/<room>/<allowed>/... as symbolic links
An include that the table does not allow then does not exist for the compiler.
"""
import os
import shutil
import sys


def read_table(path):
    table = {}
    for line in open(path, encoding="ascii"):
        words = line.split("#")[0].split()
        if words:
            table[words[0]] = words[1:]
    return table


def main():
    path, src, out = sys.argv[1:4]
    table = read_table(path)
    shutil.rmtree(out, ignore_errors=True)
    for room, allowed in table.items():
        if allowed == ["all"]:
            allowed = [other for other in table if other != room]
        for what in [room] + allowed:
            target = os.path.join(out, room, what)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(os.path.abspath(os.path.join(src, what)), target)


if __name__ == "__main__":
    main()
