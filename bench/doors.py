#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `softsev with` costs programs that make no SEV call: the same command with and without, in turn (measure.py).
The last but one line is the worst case: a program that does nothing but open files, each of which the supervisor is asked about;
the last what starting costs. Exits 1 if a goal is missed.

    doors.py SOFTSEV [ROUNDS]
"""
import os
import sys
import tempfile

from measure import in_turn, least, ratio, report, run

GOAL = 5  # percent
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = [f"{TOP}/src/{name}.c" for name in ("cpu/exec_sse_fp", "cpu/uop_alu", "hypervisor/vm", "cli/platform", "door/calls", "door/sev")]
COMPILE = f"for s; do CCACHE_DISABLE=1 cc -O2 -std=c11 -D_POSIX_C_SOURCE=200809L -I{TOP}/src -c -o /dev/null \"$s\"; done"
PROGRAMS = [
    ("cc of six files", ["sh", "-ec", COMPILE, "sh", *SOURCES], GOAL),
    ("gzip of 128 MB", ["sh", "-c", "gzip -3 -c \"$1\" \"$1\" | wc -c", "sh", "{data}"], GOAL),
    ("5000 opened files", ["sh", "-c", "i=0; while [ $i -lt 5000 ]; do : <\"$1\"; i=$((i+1)); done", "sh", "{data}"], None),
]


def main():
    softsev, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    met = True
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, SOFTSEV_STATE=os.path.join(folder, "state"))
        run([softsev, "platform", "init", "--seed", "bench"], environment)
        data = os.path.join(folder, "data")
        with open(data, "wb") as f:
            line = b"".join(b"%d lines of something that can be packed\n" % n for n in range(20000))
            f.write(line * (64000000 // len(line)))
        for name, command, goal in PROGRAMS:
            plain = [word.replace("{data}", data) for word in command]
            runs = in_turn({"with": [softsev, "with", "--", *plain], "without": plain}, rounds, environment)
            percent = {what: (ratio(runs["with"], runs["without"], what) - 1) * 100 for what in ("cpu", "wall")}
            met &= report(f"with: {name}", percent["cpu"], " % more processor time", goal, f"; {percent['wall']:.1f} % by the clock")
        runs = in_turn({"with": [softsev, "with", "--", "true"], "peer": ["openssl", "version"]}, 2 * rounds, environment)
        report("with: start", ratio(runs["with"], runs["peer"], "cpu"), "x `openssl version`", None,
               f"; {least(runs['with']) * 1e3:.1f} ms, once a program")
    sys.exit(0 if met else 1)


main()
