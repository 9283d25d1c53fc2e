#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `softsev with` costs programs that make no SEV call. A compiler, which opens hundreds of
files a second, and gzip, which opens one, are run by two shells that live throughout, one of them
under softsev, on each file in turn: starting is counted apart, and what else the machine does
between two runs is little. The last but one line is the worst case: a program that does nothing but
open files, each of which the supervisor is asked about. Exits 1 if a goal is missed.

    doors.py SOFTSEV [ROUNDS]
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

from measure import in_turn, least, ratio, report, run

GOAL = 5  # percent
REPEATS = 3  # of each file in a round
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = [f"{TOP}/src/{name}.c" for name in ("cpu/exec/sse_float", "hypervisor/vm", "cli/platform",
                                              "door/calls", "door/sev")]
COMPILE = (f"CCACHE_DISABLE=1 cc -O2 -std=c11 -D_POSIX_C_SOURCE=200809L -I{TOP}/src "
           "-c -o /dev/null \"$s\"")
GZIP = "gzip -3 -c \"$s\" >/dev/null"
OPENS = ["sh", "-c", "i=0; while [ $i -lt 5000 ]; do : <\"$1\"; i=$((i+1)); done", "sh"]


def run_one(shell, file):
    """Seconds that a shell's program takes with a file; nothing else runs meanwhile."""
    start = time.monotonic()
    shell.stdin.write(f"{file}\n".encode())
    if not shell.stdout.readline():
        sys.exit(f"bench: the program failed with {file}")
    return time.monotonic() - start


def run_in_turn(program, files, prefixes, rounds, environment):
    """{name: what stands before the shell} -> {name: {file: seconds of each run}}"""
    command = ["sh", "-ec", f"while read -r s; do {program}; echo; done"]
    shells = {name: subprocess.Popen([*prefix, *command], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, bufsize=0, env=environment)
              for name, prefix in prefixes.items()}
    times = {name: {file: [] for file in files} for name in shells}
    for shell in shells.values():
        run_one(shell, files[-1])  # the start, and the files into the kernel's memory
    for number in range(REPEATS * rounds):
        for file in files:
            for name in (list(shells) if number % 2 == 0 else reversed(shells)):
                times[name][file].append(run_one(shells[name], file))
    for shell in shells.values():
        shell.stdin.close()
        shell.wait()
    return times


def overhead(ours, plain):
    """Percent that all files take longer: each by the median of its runs' ratios, and as much as it
    takes."""
    weights = {file: min(times) for file, times in plain.items()}
    ratios = {file: statistics.median(a / b for a, b in zip(ours[file], plain[file]))
              for file in plain}
    return (sum(weights[f] * ratios[f] for f in plain) / sum(weights.values()) - 1) * 100


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
        for name, program, files in (("cc of five files", COMPILE, SOURCES),
                                     ("gzip of 64 MB", GZIP, [data])):
            times = run_in_turn(program, files, {"with": [softsev, "with", "--"], "without": []},
                                rounds, environment)
            met &= report(f"with: {name}", overhead(times["with"], times["without"]),
                          " % more time", GOAL)
        runs = in_turn({"with": [softsev, "with", "--", *OPENS, data], "without": [*OPENS, data]},
                       rounds, environment)
        report("with: 5000 opened files", (ratio(runs["with"], runs["without"], "cpu") - 1) * 100,
               " % more processor time")
        runs = in_turn({"with": [softsev, "with", "--", "true"], "peer": ["openssl", "version"]},
                       2 * rounds, environment)
        report("with: start", ratio(runs["with"], runs["peer"], "cpu"), "x `openssl version`", None,
               f"; {least(runs['with']) * 1e3:.1f} ms, once a program")
    sys.exit(0 if met else 1)


main()
