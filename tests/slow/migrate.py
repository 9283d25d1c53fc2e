#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stock Linux moves to another platform and back while it counts and hashes its memory.

usage: migrate.py SOFTSEV OUT    OUT is the folder that tools/fetch-guest.sh filled
"""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "story"))
# pylint: disable=wrong-import-position
import migrate as small
from story import APPEND, Story, want

INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t devtmpfs dev /dev; mkdir /run; mount -t tmpfs run /run
dd if=/dev/urandom of=/run/file bs=1M count=20 2>/dev/null
first=$(sha256sum </run/file)
n=0
while [ $n -lt 300 ]; do
    [ "$(sha256sum </run/file)" = "$first" ] || echo "memory is damaged"
    read up rest </proc/uptime
    echo "tick $n $up"
    n=$((n+1))
    sleep 0.2
done
"""


def run(s, mode, cpus, state, *more):
    made = small.Run.__new__(small.Run)
    made.begin(s, ["--kernel", s.kernel, "--initrd", s.initrd_with("count.gz", INIT), "--append",
                   APPEND, "--memory", "512", "--mode", mode, "--cpus", cpus, "--state", state,
                   *more])
    return made


def ticks(made):
    return [(int(n), float(up)) for n, up in
            re.findall(r"^tick (\d+) ([0-9.]+)\r?$", made.digits(), re.MULTILINE)]


def comes_to(made, count):
    small.wait_until(lambda: len(ticks(made)) >= count, made.digits()[-300:])


def moves_and_comes_back(s, mode, cpus):
    here, there = small.platforms(s)
    control = [s.path(f"{mode}-{cpus}-control{n}") for n in range(3)]
    incoming = [s.path(f"{mode}-{cpus}-incoming{n}") for n in range(3)]
    runs = [run(s, mode, cpus, here, "--control", "unix:" + control[0])]
    comes_to(runs[0], 5)
    for n, state in ((1, there), (2, here)):
        runs.append(run(s, mode, cpus, state, "--incoming", "unix:" + incoming[n], "--control",
                        "unix:" + control[n]))
        runs[n].says(b"waits for its guest")
        code, out, error = s.command("migrate", "unix:" + control[n - 1], "unix:" + incoming[n])
        want(code == 0, error)
        print("# " + out.decode().splitlines()[0])
        want(runs[n - 1].end()[0] == 0, "the source fails")
        comes_to(runs[n], 5)
    runs[2].end(kill=True)
    told = [tick for made in runs for tick in ticks(made)]
    want([n for n, _ in told] == list(range(len(told))), told)
    want(all(a < b < a + 5 for (_, a), (_, b) in zip(told, told[1:])), told)
    want(not any("damaged" in made.digits() for made in runs), "memory is damaged")


def main():
    failed = False
    cases = [(mode, cpus) for mode in ("sev", "sev-es") for cpus in ("1", "4")]
    print(f"1..{len(cases)}")
    for number, (mode, cpus) in enumerate(cases, 1):
        with tempfile.TemporaryDirectory(prefix="softsev-migrate-") as folder:
            try:
                moves_and_comes_back(Story(sys.argv[1], sys.argv[2], folder), mode, cpus)
                print(f"ok {number} - {mode} {cpus}", flush=True)
            except AssertionError as problem:
                failed = True
                print(f"not ok {number} - {mode} {cpus}\n# {str(problem)[-1500:]}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
