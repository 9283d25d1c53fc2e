#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The engines (`--engine`) differ in speed alone: from one seed they give the same events at the
same times, the same output and the same number of instructions. An engine that a build lacks is
left out by name.
"""

import os
import shutil
import subprocess

from story import Skip, console, quick, slow, summary, tell, want

ENGINES = ("interpreter", "jit")
BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench")
FLAGS = [
    "-std=gnu11",
    "-O2",
    "-ffreestanding",
    "-nostdlib",
    "-static",
    "-fno-pie",
    "-mno-red-zone",
    "-fno-stack-protector",
    "-Wl,--build-id=none",
    "-Wl,-Ttext=0x200000",
    "-Wl,-e,start",
]
SEED = ("--seed", "engines", "--time", "1000000000", "--trace-hash")


def engines(s):
    """Those of this build; fewer than two are nothing to compare."""
    found = []
    for name in ENGINES:
        code, events, error = s.run(
            "--kernel", tiny(s), "--memory", "16", "--engine", name, state=s.path("tiny-state")
        )
        if code == 2 and "--engine" in error:
            raise Skip("this program has one engine and no --engine")
        want(bool(events) or f"--engine {name}: this build has none" in error, (name, code, error))
        if events:
            found.append(name)
    if len(found) < 2:
        raise Skip(f"this build has no engine but {' '.join(found)}")
    return found


def tiny(s):
    return s.build(
        "tiny", ".globl _start\n_start: mov $0xf4, %edx\n xor %eax, %eax\n out %al, %dx\n"
    )


def kernels(s):
    """The benchmarks' kernels as a guest without an operating system."""
    path = s.path("kernels")
    sources = [os.path.join(BENCH, name) for name in ("kernels.c", "bare_main.c")]
    subprocess.run([*os.environ.get("CC", "cc").split(), *FLAGS, *sources, "-o", path], check=True)
    return path


def outcome(events):
    s = summary(events)
    return {
        "console": console(events),
        "hash": s["trace_sha256"],
        "instructions": s["instructions"],
        "time": s["vms"][0]["guest_ns"],
    }


def new_platform(s):
    """A state folder with the identity of all runs. A run changes its platform's store."""
    if not os.path.exists(s.state):
        want(s.command("platform", "init", "--state", s.state)[0] == 0, "platform init")
    path = s.path("state-of-this-run")
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(s.state, path)
    return path


def the_same(s, names, *arguments, code):
    found = {}
    for name in names:
        done, events, error = s.run(*arguments, *SEED, "--engine", name, state=new_platform(s))
        want(done == code, (name, done, error))
        found[name] = outcome(events)
    first = found[names[0]]
    for name in names[1:]:
        want(found[name] == first, (names[0], first, name, found[name], arguments))


@quick
def programs_at_work_do_the_same(s):
    names, kernel = engines(s), kernels(s)
    for mode in ("none", "sev"):
        the_same(s, names, "--kernel", kernel, "--memory", "64", "--mode", mode, code=1)


def linux(s, names, mode, cpus):
    the_same(
        s,
        names,
        "--kernel",
        s.kernel,
        "--initrd",
        s.initrd,
        "--append",
        "console=ttyS0 panic=-1 cryptomgr.notests",
        "--memory",
        "512",
        "--mode",
        mode,
        "--cpus",
        str(cpus),
        code=0,
    )


@slow
def a_stock_kernel_boots_the_same(s):
    names = engines(s)
    for mode, cpus in (
        ("none", 1),
        ("none", 4),
        ("sev", 1),
        ("sev-es", 4),
        ("sev-snp", 1),
        ("sev-snp", 4),
    ):
        linux(s, names, mode, cpus)


tell(programs_at_work_do_the_same, a_stock_kernel_boots_the_same)
