#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `softsev with` costs programs that make no SEV call. The compiler, which opens hundreds of files a second, is run by two
shells that live throughout, one of them under softsev, on each file in turn: starting is counted apart, and what else the machine
does between two compilations of a file is little. The other programs run with and without in turn (measure.py). The last but one
line is the worst case: a program that does nothing but open files, each of which the supervisor is asked about. Exits 1 if a goal
is missed.

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
COMPILATIONS = 3  # of each file in a round
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = [f"{TOP}/src/{name}.c" for name in ("cpu/exec_sse_fp", "hypervisor/vm", "cli/platform", "door/calls", "door/sev")]
COMPILE = f"CCACHE_DISABLE=1 cc -O2 -std=c11 -D_POSIX_C_SOURCE=200809L -I{TOP}/src -c -o /dev/null \"$s\""
SHELL = ["sh", "-ec", f"while read -r s; do {COMPILE}; echo; done"]
PROGRAMS = [
    ("gzip of 128 MB", ["sh", "-c", "gzip -3 -c \"$1\" \"$1\" | wc -c", "sh", "{data}"], GOAL),
    ("5000 opened files", ["sh", "-c", "i=0; while [ $i -lt 5000 ]; do : <\"$1\"; i=$((i+1)); done", "sh", "{data}"], None),
]


def compile_one(shell, source):
    """Seconds that a shell's compilation takes; nothing else runs meanwhile."""
    start = time.monotonic()
    shell.stdin.write(f"{source}\n".encode())
    if not shell.stdout.readline():
        sys.exit(f"bench: the compilation of {source} failed")
    return time.monotonic() - start


def compilations(prefixes, rounds, environment):
    """{name: what stands before the shell} -> {name: {file: seconds of each round}}"""
    shells = {name: subprocess.Popen([*prefix, *SHELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment)
              for name, prefix in prefixes.items()}
    times = {name: {source: [] for source in SOURCES} for name in shells}
    for shell in shells.values():
        compile_one(shell, SOURCES[-1])  # the start, and the files into the kernel's memory
    for number in range(COMPILATIONS * rounds):
        for source in SOURCES:
            for name in (list(shells) if number % 2 == 0 else reversed(shells)):
                times[name][source].append(compile_one(shells[name], source))
    for shell in shells.values():
        shell.stdin.close()
        shell.wait()
    return times


def overhead(ours, plain):
    """Percent that all files take longer: each by the median of its rounds' ratios, and as much as it takes."""
    weights = {source: min(plain[source]) for source in SOURCES}
    ratios = {source: statistics.median(a / b for a, b in zip(ours[source], plain[source])) for source in SOURCES}
    return (sum(weights[s] * ratios[s] for s in SOURCES) / sum(weights.values()) - 1) * 100


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
        cc = compilations({"with": [softsev, "with", "--"], "without": []}, rounds, environment)
        met &= report("with: cc of five files", overhead(cc["with"], cc["without"]), " % more time", GOAL)
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
