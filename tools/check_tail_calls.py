#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_tail_calls.py LIBRARY: in a build with tail dispatch, instruction handlers end in a jump to
the next one.

C promises no tail calls: a handler that calls the next one would work, eat the stack, and be slow.
Every object of handlers is disassembled; an indirect call is allowed only where a generic uop calls
its exec function.
"""
import re
import subprocess
import sys

ALLOWED = {"uop_generic", "uop_generic_checked", "uop_generic_end"}


def main():
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", sys.argv[1]],
                             capture_output=True, text=True, check=True).stdout
    handlers = jumps = 0
    bad = []
    in_handlers, function = False, ""
    for line in listing.splitlines():
        member = re.match(r"(\S+\.o):\s+file format", line)
        if member:
            in_handlers = "uop_" in member.group(1)
        start = re.match(r"[0-9a-f]+ <(\w+)", line)
        if start:
            function = start.group(1)
            handlers += in_handlers
        if not in_handlers:
            continue
        if re.search(r"\tjmp\s+\*", line):
            jumps += 1
        if re.search(r"\tcall\s+\*", line) and function.split(".")[0] not in ALLOWED:
            bad.append(function)
    ok = not bad and jumps >= 1000 and handlers >= 1000
    print("1..1")
    for name in sorted(set(bad)):
        print("# %s calls the next handler" % name)
    print("%s 1 - %d handlers end in %d jumps" % ("ok" if ok else "not ok", handlers, jumps))
    return not ok


sys.exit(main())
