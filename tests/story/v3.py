#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program for x86-64-v3 in a guest, SOFTSEV_V3: AVX2, FMA, F16C, BMI, and a kernel that switches
vector registers."""
import os

from story import Skip, console, slow, tell, want

INIT = """#!/bin/sh
mount -t proc proc /proc
grep -o -w -m1 -e avx2 /proc/cpuinfo
v3
echo "guest: v3 ended with $?"
poweroff -f
"""

# What it prints on every processor that has the instructions.
LINES = """v3: integers 69b5566f4a1b07f1
v3: fused 3f17d67ce04b6003
v3: halves 930e003b76187a6a
v3: gathered 5e11b4ad50f5b185
v3: bits 4d87b051056a8bd3
v3: strings 310e6ef869746e25
v3: child 915e2b5423ea9aab
v3: parent f916e0f4ca41f59e
guest: v3 ended with 0""".splitlines()


def runs(s, mode):
    program = os.environ.get("SOFTSEV_V3", "")
    if not os.path.exists(program):
        raise Skip("no program for x86-64-v3: it needs a static C library")
    with open(program, "rb") as f:
        files = [("bin/v3", 0o100755, f.read())]
    code, events, error = s.linux(mode, initrd=s.initrd_with("v3.cpio.gz", INIT, files))
    want(code == 0, error)
    text = console(events).replace("\r", "")
    want([line for line in LINES if line not in text] == [], text[-2000:])


def a_program_for_v3_runs_in_a_plain_guest(s):
    runs(s, "none")


@slow
def a_program_for_v3_runs_in_a_sev_es_guest(s):
    runs(s, "sev-es")


tell(a_program_for_v3_runs_in_a_plain_guest, a_program_for_v3_runs_in_a_sev_es_guest)
