#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hostile host on the bare machine: the attack table's host actions by real instructions and the
secure processor's mailbox end as the table says; random ones end nothing but the host itself."""
import json
import os

from story import Skip, console, quick, slow, summary, tell, want

ATTACKS = ("registers-read", "registers-write", "remap", "remap-assigned", "replay", "move",
           "secret", "cpuid")


def hostile(s, *arguments):
    path = os.environ.get("SOFTSEV_HOSTILE_HOST")
    if not path:
        raise Skip("the hostile host is not built here: it needs x86-64 and objcopy")
    code, out, error = s.command("host", "--json", "--kernel", path, "--memory", "64M", "--seed",
                                 "story", "--no-reboot", "--limit", "60", *arguments)
    return code, [json.loads(line) for line in out.splitlines()], error


@quick
def attacks_of_a_real_host_end_as_the_table_says(s):
    code, out, error = s.command("attack", "list", "--json")
    want(code == 0, error)
    table = {row["name"]: row["expected"]["sev-snp"] for row in json.loads(out)}
    code, events, error = hostile(s)
    want(code == 0 and summary(events)["state"] == "powered off", (code, error, events[-1]))
    said = dict(line.split(": ", 2)[1:] for line in console(events, "host").splitlines())
    want(tuple(said) == ATTACKS, said)
    for name in ATTACKS:
        row = table[name]
        want(said[name].startswith(row["verdict"] + ": ") and row["event"] in said[name],
             (name, said[name], row))


@quick
def either_engine_sees_the_same(s):
    hashes = {summary(hostile(s, "--trace-hash", "--engine", engine, "--append",
                              "storm=500 seed=9")[1])["trace_sha256"]
              for engine in ("auto", "interpreter")}
    want(len(hashes) == 1, hashes)


@slow
def a_storm_of_commands_and_instructions_ends_nothing_else(s):
    """A host may harm itself: then its board resets, which ends the run with status 9."""
    whole = 0
    for seed in range(1, 9):
        code, events, error = hostile(s, "--append", f"storm=5000 seed={seed}")
        want(code in (0, 9) and summary(events)["event"] == "summary", (seed, code, error))
        whole += "a storm is over" in console(events, "host")
    want(whole >= 4, whole)


tell(attacks_of_a_real_host_end_as_the_table_says, either_engine_sees_the_same,
     a_storm_of_commands_and_instructions_ends_nothing_else)
