# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of whole programs share: contenders run in turn, so that a busy machine
spoils all alike. What else runs can only add to a program's processor time, so the least of all
rounds counts; of the clock, the median of the rounds' ratios.
"""
import collections
import os
import statistics
import subprocess
import sys
import tempfile
import time

# Seconds on the clock, seconds of processor time with all children's, peak memory in KiB, what it
# printed.
Run = collections.namedtuple("Run", "wall cpu peak text")


def run(command, environment=None, allowed=(0,)):
    with tempfile.TemporaryFile() as output:
        start = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if process.returncode not in allowed:
        sys.exit(f"bench: {' '.join(command)} failed ({process.returncode}):\n{text[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, text)


def in_turn(contenders, rounds, environment=None, allowed=(0,)):
    """{name: command} -> {name: [Run of each round]}. Every other round goes backwards."""
    runs = {name: [] for name in contenders}
    for number in range(rounds):
        for name in (list(contenders) if number % 2 == 0 else reversed(contenders)):
            runs[name].append(run(contenders[name], environment, allowed))
    return runs


def least(runs):
    return min(r.cpu for r in runs)


def ratio(ours, peers, what):
    if what == "cpu":
        return least(ours) / least(peers)
    return statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(ours, peers))


def median(runs):
    return statistics.median(r.wall for r in runs)


def report(name, value, unit, goal=None, note=""):
    """One line; True if the goal, a most, is met or there is none."""
    met = goal is None or value <= goal
    limit = "no goal" if goal is None else f"goal: at most {goal}"
    print(f"{name:26} {value:5.2f}{unit} ({limit}){note}{'' if met else '   MISSED'}", flush=True)
    return met
