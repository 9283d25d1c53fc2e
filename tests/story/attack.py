#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""softsev attack: what it lists, what it plays, and its exit codes. That outcomes are right is
tests/attack/matrix.c's matter."""
import json

from story import one_line, quick, tell, want

MODES = ["none", "sev", "sev-es", "sev-snp"]


def attack(s, *arguments):
    code, out, error = s.command("attack", *arguments)
    return code, out.decode(), error


@quick
def the_list_is_complete_in_each_form(s):
    code, text, error = attack(s, "list")
    want(code == 0 and not error, (code, error))
    attacks = json.loads(attack(s, "list", "--json")[1])
    markdown = attack(s, "list", "--markdown")[1]
    want(len(attacks) >= 10, attacks)
    for row in attacks:
        want(list(row["expected"]) == MODES, row)
        want(row["name"] in text and f"| `{row['name']}`" in markdown, row)


@quick
def one_attack_in_one_mode_and_in_all(s):
    code, text, error = attack(s, "run", "remap", "--mode", "sev-snp")
    want(code == 0 and "stopped: nested fault, RMP" in text, (code, text, error))
    code, text, error = attack(s, "run", "remap", "--json")
    runs = [json.loads(line) for line in text.splitlines()]
    want(code == 0 and [r["mode"] for r in runs] == MODES, (code, text, error))
    want(all(r["as_expected"] for r in runs) and runs[3]["seen"]["verdict"] == "stopped", runs)


@quick
def two_runs_are_equal(s):
    first, second = (attack(s, "run", "move", "--mode", "sev-es", "--json") for _ in range(2))
    want(first == second, (first, second))


@quick
def wrong_command_lines(s):
    for arguments, word in ((["run", "no-such"], "no-such"), (["run", "remap", "--mode", "tdx"],
            "tdx")):
        code, _, error = attack(s, *arguments)
        want(code == 2 and word in one_line(error), (arguments, code, error))
    for arguments in ([], ["run"], ["list", "stray"], ["run", "remap", "stray"],
                      ["--no-such-option"]):
        code, _, error = attack(s, *arguments)
        want(code == 2 and error, (arguments, code))
    code, text, _ = attack(s, "--help")
    want(code == 0 and len(text.splitlines()) <= 24, text)


tell(the_list_is_complete_in_each_form, one_attack_in_one_mode_and_in_all, two_runs_are_equal,
     wrong_command_lines)
