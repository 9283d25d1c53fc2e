#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tries every include that rooms.txt forbids: the compiler must not find it. Prints TAP, one line a
room.

usage: check_rooms.py ROOMS.TXT SRC FOLDERS CC    FOLDERS/<room> is the room's include folder
The allowed includes are tried too, so that a broken folder does not pass for a strict one.
"""
import os
import subprocess
import sys

from rooms import allowed_to, read_table


def headers(src, table):
    for room in table:
        folder = os.path.join(src, room)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if name.endswith(".h") and name not in ("internal.h", "exec_list.h"):
                yield f"{room}/{name}"


def finds(cc, folder, includes):
    """The set of includes that the compiler finds; one run."""
    text = "".join(f'#if __has_include("{name}")\nFOUND {number}\n#endif\n' for number,
                   name in enumerate(includes))
    run = subprocess.run([cc, "-E", "-P", "-I", folder, "-x", "c", "-"], input=text, text=True,
                         capture_output=True, check=True)
    return {includes[int(line.split()[1])] for line in run.stdout.splitlines()
            if line.startswith("FOUND")}


def main():
    path, src, folders, cc = sys.argv[1:5]
    table = read_table(path)
    every = list(headers(src, table))
    print(f"1..{len(table)}")
    failed = False
    for number, room in enumerate(table, 1):
        allowed = allowed_to(room, table) + [room]
        legal = {h for h in every if h in allowed or os.path.dirname(h) in allowed}
        found = finds(cc, os.path.join(folders, room.replace("/", "_")), every)
        wrong = sorted(found ^ legal)
        print(f"{'not ok' if wrong else 'ok'} {number} - {room} finds its {len(legal)} headers "
              f"and none of the other {len(every) - len(legal)}")
        for name in wrong:
            print(f"#   {name}")
        failed = failed or bool(wrong)
    sys.exit(1 if failed else 0)


main()
