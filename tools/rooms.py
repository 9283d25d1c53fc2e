#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the table of rooms (src/rooms.txt), and makes the include folders of all rooms from it.

usage: rooms.py ROOMS.TXT SRC OUT    writes OUT/<room>/<allowed>/... as symbolic links
(OUT/cli_owner for `cli/owner`) An include that the table does not allow then does not exist for the
compiler. A room that has rooms inside it is linked entry by entry, without them: `cli` is not
`cli/owner`.
"""
import os
import shutil
import sys


def read_table(path):
    """Returns what each room may include, as its row says."""
    table = {}
    for line in open(path, encoding="ascii"):
        words = line.split("#")[0].split()
        if words:
            table[words[0]] = words[1:]
    return table


def allowed_to(room, table):
    """Returns the rooms and single headers that a room may include. `all` is every room above."""
    return list(table)[:list(table).index(room)] if table[room] == ["all"] else table[room]


def room_of(header, table):
    """Returns the innermost room that a header is in."""
    folder = os.path.dirname(header)
    while folder and folder not in table:
        folder = os.path.dirname(folder)
    return folder


def link(table, src, what, out):
    """Links a room, without the rooms inside it, or a header at the same place below `out`."""
    target, source = os.path.join(out, what), os.path.abspath(os.path.join(src, what))
    inside = {room for room in table if room.startswith(what + "/")}
    if not os.path.exists(source):
        return
    if what not in table or not inside:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(source, target)
        return
    os.makedirs(target, exist_ok=True)
    for entry in sorted(os.listdir(source)):
        if not any(room == f"{what}/{entry}" or room.startswith(f"{what}/{entry}/")
                   for room in inside):
            os.symlink(os.path.join(source, entry), os.path.join(target, entry))


def main():
    path, src, out = sys.argv[1:4]
    table = read_table(path)
    shutil.rmtree(out, ignore_errors=True)
    for room in table:
        for what in [room] + allowed_to(room, table):
            link(table, src, what, os.path.join(out, room.replace("/", "_")))


if __name__ == "__main__":
    main()
