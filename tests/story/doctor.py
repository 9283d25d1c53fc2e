#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`softsev doctor`: what it says on a computer that has everything it names, and on one that lacks
something."""
import json
import os
import resource
import subprocess

from story import quick, tell, want

ALL = ["run", "speed", "with", "net", "state", "guest", "kds", "ask-kds", "gdb"]


def doctor(s, *words, before=(), preexec=None, **environment):
    run = subprocess.run([*before, s.softsev, "doctor", *words], capture_output=True, text=True,
                         timeout=120, check=False, preexec_fn=preexec,
                         env={**os.environ, **environment})
    want("Traceback" not in run.stderr, run.stderr)
    return run


def checks(s, *words, **options):
    run = doctor(s, *words, "--json", **options)
    return run.returncode, json.loads(run.stdout)


def lacking(s, feature, needs, **options):
    """The feature lacks what it needs; the exit code and the remedy say so."""
    code, found = checks(s, "--feature", feature, **options)
    bad = [c for c in found if not c["good"]]
    want(code == 1 and any(needs in c["needs"] and c["remedy"] for c in bad), (needs, found))
    text = doctor(s, "--feature", feature, **options)
    want(text.returncode == 1 and "lacks" in text.stdout and bad[0]["remedy"] in text.stdout,
         text.stdout)


@quick
def each_feature_is_looked_at(s):
    code, found = checks(s)
    want(list(dict.fromkeys(c["feature"] for c in found)) == ALL, found)
    want(code == (0 if all(c["good"] for c in found) else 1), (code, found))
    for c in found:
        want(c["found"] and ("remedy" in c) == (not c["good"]), c)
    text = doctor(s)
    want(text.returncode == code and len(text.stdout.splitlines()) ==
         len(found) + sum(not c["good"] for c in found), text.stdout)


@quick
def what_works_here_is_not_called_lacking(s):
    """This test's computer runs guests and programs under a supervisor: other stories show it."""
    code, found = checks(s, "--feature", "run", "--feature", "with", "--feature", "state")
    want(code == 0 and {c["feature"] for c in found} == {"run", "with", "state"}, found)


@quick
def what_is_lacking_is_named(s):
    empty = s.path("no-programs")
    os.makedirs(empty, exist_ok=True)
    lacking(s, "guest", "Python 3", PATH=empty)
    lacking(s, "guest", "gpgv", PATH=empty)
    lacking(s, "gdb", "GDB", PATH=empty)
    lacking(s, "state", "a folder", HOME="/proc/1", SOFTSEV_STATE="/proc/none/softsev")
    # a program under a supervisor cannot have another one
    lacking(s, "with", "a supervisor", before=[s.softsev, "with", "--seed", "doctor",
                                             "--state", s.path("platform"), "--"])
    if not os.environ.get("SOFTSEV_STORY"):  # sanitizers need the address space
        limit = 256 << 20
        lacking(s, "run", "memory",
                preexec=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))


@quick
def a_feature_that_is_none_is_refused(s):
    run = doctor(s, "--feature", "kvm")
    want(run.returncode == 2 and "ask-kds" in run.stderr, run.stderr)


tell(each_feature_is_looked_at, what_works_here_is_not_called_lacking, what_is_lacking_is_named,
     a_feature_that_is_none_is_refused)
