#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files as texts of a C program, each with a NUL at its end; several make one text.

usage: embed.py OUTPUT NAME=FILE[+FILE...]...
"""
import pathlib
import sys


def main():
    output, *files = sys.argv[1:]
    lines = ["/* SPDX-License-Identifier: Apache-2.0 */", '#include "view/story.h"']
    for name, paths in (pair.split("=", 1) for pair in files):
        data = b"\n".join(pathlib.Path(path).read_bytes() for path in paths.split("+"))
        lines.append(f"const char {name}[] = {{")
        for at in range(0, len(data), 20):
            lines.append(",".join(str(b if b < 128 else b - 256) for b in data[at:at + 20]) + ",")
        lines.append("0};")
    with open(output, "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
