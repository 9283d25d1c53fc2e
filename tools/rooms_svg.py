#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the rooms and who may include whom, from src/rooms.txt.

usage: rooms_svg.py draw ROOMS.TXT > docs/rooms.svg
       rooms_svg.py verify ROOMS.TXT docs/rooms.svg

A room stands above the rooms that it includes. A line that follows from others is left out. A
dashed line allows one header only. Colours tell the party that a room is part of, or for whom it is
written.
"""
import sys

from rooms import read_table

PARTIES = [
    ("the machine", "#dbe9f6", {"memory", "cpu", "firmware", "machine", "board", "device",
                                "state"}),
    ("its host: untrusted", "#f9dcd8", {"hypervisor", "attack", "door"}),
    ("the guest and its owner", "#dff0d8", {"guest", "owner"}),
    ("the manufacturer", "#fcf0cf", {"authority", "kds"}),
    ("the commands of softsev", "#e6dcf2", {"cli"}),
    ("used by several parties", "#ececec", set()),
]
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 104, 34, 18, 46, 20


def party(room):
    for number, (_, _, rooms) in enumerate(PARTIES):
        if room in rooms:
            return number
    return len(PARTIES) - 1


def edges(table):
    """Returns {room: {other: whole}}; rooms that may include everything have none to draw."""
    graph = {}
    for room, allowed in table.items():
        graph[room] = {}
        for what in allowed:
            other = what if what in table else what.rsplit("/", 1)[0]
            if other in table and other != room:
                graph[room][other] = graph[room].get(other, False) or what in table
    return graph


def reach(graph, room, seen=None):
    seen = set() if seen is None else seen
    for other in graph[room]:
        if other not in seen:
            seen.add(other)
            reach(graph, other, seen)
    return seen


def layers(graph):
    depth = {}

    def of(room):
        if room not in depth:
            depth[room] = 1 + max((of(other) for other in graph[room]), default=-1)
        return depth[room]

    for room in graph:
        of(room)
    rows = [[room for room in graph if depth[room] == n] for n in range(max(depth.values()) + 1)]
    return [row for row in rows if row]


def place(rows, graph):
    """Returns {room: x}, each row in the order of what its rooms stand on."""
    width = max(len(row) for row in rows) * (WIDTH + GAP_X) - GAP_X
    x = {}
    for row in rows:
        def weight(room):
            below = [x[other] for other in graph[room] if other in x]
            return sum(below) / len(below) if below else 0
        row.sort(key=weight)
        left = (width - (len(row) * (WIDTH + GAP_X) - GAP_X)) / 2
        for number, room in enumerate(row):
            x[room] = MARGIN + left + number * (WIDTH + GAP_X)
    return x, width + 2 * MARGIN


def draw(table):
    graph = edges(table)
    rows = layers(graph)
    x, width = place(rows, graph)
    y = {room: MARGIN + (len(rows) - 1 - n) * (HEIGHT + GAP_Y) for n, row in enumerate(rows)
         for room in row}
    bottom = MARGIN + len(rows) * (HEIGHT + GAP_Y) - GAP_Y
    height = bottom + 74
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
           'font-family="sans-serif" font-size="14" role="img" aria-label="The rooms of softsev">',
           f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>']
    for room, others in graph.items():
        for other, whole in others.items():
            if any(other in reach(graph, third) for third in others if third != other
                   and others[third]):
                continue
            x1, y1, x2, y2 = x[room] + WIDTH / 2, y[room] + HEIGHT, x[other] + WIDTH / 2, y[other]
            dash = "" if whole else ' stroke-dasharray="5 4"'
            out.append(f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + 26:.0f} {x2:.0f} '
                       f'{y2 - 26:.0f} {x2:.0f} {y2:.0f}" '
                       f'fill="none" stroke="#8a8a8a" stroke-width="1.2"{dash}/>')
    for room in graph:
        colour = PARTIES[party(room.split("/")[0])][1]
        out.append(f'<rect x="{x[room]:.0f}" y="{y[room]:.0f}" width="{WIDTH}" height="{HEIGHT}" '
                   f'rx="5" fill="{colour}" '
                   f'stroke="#555555"/><text x="{x[room] + WIDTH / 2:.0f}" y="{y[room] + 22:.0f}" '
                   f'text-anchor="middle">{room}</text>')
    for number, (name, colour, _) in enumerate(PARTIES):
        left, top = MARGIN + number % 3 * (width - 2 * MARGIN) / 3, bottom + 24 + number // 3 * 22
        out.append(f'<rect x="{left:.0f}" y="{top:.0f}" width="14" height="14" fill="{colour}" '
                   f'stroke="#555555"/>'
                   f'<text x="{left + 20:.0f}" y="{top + 12:.0f}" font-size="12">{name}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    if [*sys.argv[1:2], len(sys.argv)] not in (["draw", 3], ["verify", 4]):
        sys.exit(__doc__)
    table = {room: allowed for room, allowed in read_table(sys.argv[2]).items()
             if allowed != ["all"]}
    picture = draw(table)
    if sys.argv[1] == "draw":
        sys.stdout.write(picture)
    elif open(sys.argv[3], encoding="utf-8").read() != picture:
        sys.exit(f"{sys.argv[3]} is not what {sys.argv[2]} says; draw it anew: make docs")


main()
