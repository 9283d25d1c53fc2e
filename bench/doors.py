#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `softsev with` costs programs that make no SEV call: the same command with and without, in turn, the best of each.
The last line is the worst case: a program that does nothing but open files, each of which the supervisor is asked about. Exits 1 if a goal is missed.

    doors.py SOFTSEV [ROUNDS]
"""
import os
import subprocess
import sys
import tempfile
import time

GOAL = 5  # percent
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = [f"{TOP}/src/{name}.c" for name in ("cpu/exec_sse_fp", "cpu/uop_alu", "hypervisor/vm", "cli/platform", "door/calls", "door/sev")]
COMPILE = f"for s; do CCACHE_DISABLE=1 cc -O2 -std=c11 -D_POSIX_C_SOURCE=200809L -I{TOP}/src -c -o /dev/null \"$s\"; done"
PROGRAMS = [
    ("cc of six files", ["sh", "-ec", COMPILE, "sh", *SOURCES], "overhead (goal: under 5 %)"),
    ("gzip of 64 MB", ["sh", "-c", "gzip -3 -c \"$1\" | wc -c", "sh", "{data}"], "overhead (goal: under 5 %)"),
    ("5000 opened files", ["sh", "-c", "i=0; while [ $i -lt 5000 ]; do : <\"$1\"; i=$((i+1)); done", "sh", "{data}"],
     "overhead (no goal)"),
]


def seconds(command, environment):
    start = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, check=True)
    return time.monotonic() - start


def main():
    softsev, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, SOFTSEV_STATE=os.path.join(folder, "state"))
        subprocess.run([softsev, "platform", "init", "--seed", "bench"], env=environment, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        data = os.path.join(folder, "data")
        with open(data, "wb") as f:
            line = b"".join(b"%d lines of something that can be packed\n" % n for n in range(20000))
            f.write(line * (64000000 // len(line)))
        missed = False
        for name, command, what in PROGRAMS:
            plain = [word.replace("{data}", data) for word in command]
            best = {"without": 1e9, "with": 1e9}
            for _ in range(rounds):
                best["without"] = min(best["without"], seconds(plain, environment))
                best["with"] = min(best["with"], seconds([softsev, "with", "--"] + plain, environment))
            overhead = (best["with"] / best["without"] - 1) * 100
            print(f"softsev with: {name:18} {overhead:5.1f} % {what}")
            missed = missed or ("goal: under" in what and overhead > GOAL)
    sys.exit(1 if missed else 0)


main()
