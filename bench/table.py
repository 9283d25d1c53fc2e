#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints how long programs at work take under each engine, as factors over native time.

usage: bench/table.py [--softsev PROGRAM] [--engines LIST] [--kernel NAME]... [--quick]

Each kernel of bench/kernels.c runs natively, in a guest under QEMU's TCG and in a guest under
softsev. It is the same static program everywhere; in a guest it is the only one. It prints a line
when a kernel begins and ends, and this script stamps the lines by its own clock, so what a guest
believes of time does not matter. The engines take turns; the best of all runs counts.

  bench/table.py --quick                                a first look, about a minute
  bench/table.py --bare --engines native,softsev-none   guests without an operating system
  bench/table.py --quick --engines native,softsev-none --kernel fib --kernel lz
  bench/table.py --softsev build/softsev --softsev-args '--engine jit' \\
                 --other build/softsev --other-args '--engine interpreter' \\
                 --engines native,softsev-none,other-none

Exit code: 0; 1 if an engine failed, computed something else, or (without --quick) missed a goal;
2 for a wrong command line.
"""

import argparse
import json
import math
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ["kernels.c", "linux_main.c"]
FLAGS = ["-std=gnu11", "-O2", "-static", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
BARE_SOURCES = ["kernels.c", "bare_main.c"]
BARE_FLAGS = [
    "-ffreestanding",
    "-nostdlib",
    "-mno-red-zone",
    "-fno-stack-protector",
    "-fno-pie",
    "-Wl,--build-id=none",
    "-Wl,-Ttext=0x200000",
    "-Wl,-e,start",
]
# The mean is over these.
SEVEN = {
    "sha256": "SHA-256 in C",
    "sieve": "sieve",
    "qsort": "qsort",
    "bytecode": "byte-code loop",
    "tree": "binary tree",
    "fib": "fib(27)",
    "lz": "LZ copy",
}
OTHERS = {
    "matrix": "matrix product, double",
    "memcpy": "memcpy of 8 MiB",
    "getppid": "getppid",
    "fork": "fork and wait",
}
TITLES = {**SEVEN, **OTHERS}
# At most this factor over native, with --engine jit.
GOALS = {**{name: 4 for name in SEVEN}, "matrix": 3, "memcpy": 2, "getppid": 3, "fork": 3}
MEAN_GOAL = 2.0
BARE = [name for name in TITLES if name not in ("getppid", "fork")]
MODES = ("none", "sev", "sev-es", "sev-snp")
ENGINES = ["native", "tcg", *(f"softsev-{m}" for m in MODES), *(f"other-{m}" for m in MODES)]
# A guest without an operating system has no handler for #VC.
BARE_ENGINES = ["native", "softsev-none", "softsev-sev", "other-none", "other-sev"]
APPEND = "console=ttyS0 quiet panic=-1 cryptomgr.notests"
MEMORY_MIB = 512


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--softsev", default="build/softsev", metavar="PROGRAM", help="default: build/softsev"
    )
    parser.add_argument(
        "--softsev-args", default="", metavar="ARGS", help="more options for `softsev run`"
    )
    parser.add_argument(
        "--other",
        metavar="PROGRAM",
        help="a second softsev to compare with: the engines other-MODE",
    )
    parser.add_argument("--other-args", default="", metavar="ARGS")
    parser.add_argument(
        "--engines",
        default="native,tcg,softsev-none,softsev-sev-snp",
        metavar="LIST",
        help="of " + ", ".join(ENGINES) + " (default: %(default)s)",
    )
    parser.add_argument(
        "--kernel",
        action="append",
        choices=list(TITLES),
        metavar="NAME",
        help="only this one; may be repeated: " + ", ".join(TITLES),
    )
    parser.add_argument(
        "--out", default="out", help="the folder that tools/fetch-guest.sh filled (default: out)"
    )
    parser.add_argument(
        "--linux", default="vmlinuz", help="the kernel in that folder (default: vmlinuz)"
    )
    parser.add_argument(
        "--bare", action="store_true", help="guests without a kernel, modes none and sev, not tcg"
    )
    parser.add_argument("--quick", action="store_true", help="less work in fewer rounds")
    parser.add_argument("--rounds", type=int, help="turns of every engine (default: 4; quick: 2)")
    parser.add_argument(
        "--scale", type=int, help="how often a kernel does its work (default: 4; quick: 2)"
    )
    parser.add_argument(
        "--timeout", type=float, default=300, help="seconds until a run is given up (default: 300)"
    )
    parser.add_argument(
        "--cpu",
        action="store_true",
        help="count the engine's processor time, not the wall's: for a computer that is busy with "
        "other things; the clock is coarse, so the default scale is larger; not for fork",
    )
    parser.add_argument("--json", metavar="FILE", help="write every measured time there, too")
    options = parser.parse_args()
    options.engines = options.engines.split(",")
    for name in options.engines:
        if name not in ENGINES:
            parser.error(f"--engines: '{name}' is none of {', '.join(ENGINES)}")
        if name.startswith("other-") and not options.other:
            parser.error(f"--engines: '{name}' needs --other PROGRAM")
    if options.bare:
        options.engines = [name for name in options.engines if name in BARE_ENGINES]
    options.kernels = options.kernel or list(BARE if options.bare else TITLES)
    options.rounds = options.rounds or (2 if options.quick else 4)
    options.scale = options.scale or (2 if options.quick else 4) * (4 if options.cpu else 1)
    options.repeats = 2
    options.lower_priority = be_prompt()
    if not set(options.kernels) <= set(BARE if options.bare else TITLES):
        parser.error("--kernel: getppid and fork need an operating system")
    if not options.engines or min(options.rounds, options.scale) < 1:
        parser.error("no engine, round or scale is left to measure")
    return options


def archive_of(program):
    """An initramfs (newc) of /dev/console and the program as /init."""
    data = b""

    def add(name, mode, content=b"", device=(0, 0)):
        nonlocal data
        raw = name.encode() + b"\0"
        fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(raw), 0)
        data += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        data += b"\0" * (-len(data) % 4) + content
        data += b"\0" * (-len(data) % 4)

    add("dev", 0o40755)
    add("dev/console", 0o20600, device=(5, 1))
    with open(program, "rb") as file:
        add("init", 0o100755, file.read())
    add("TRAILER!!!", 0)
    return data


def compile_to(path, sources, flags):
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run(
        [*compiler, *FLAGS, *flags, *(os.path.join(HERE, s) for s in sources), "-o", path],
        check=True,
    )


def build(options, folder):
    compile_to(os.path.join(folder, "kernels"), SOURCES, [])
    if options.bare:
        names = ",".join(f'"{name}"' for name in options.kernels)
        work = [f"-DSCALE={options.scale}", f"-DREPEATS={options.repeats}", f"-DKERNELS={names}"]
        compile_to(os.path.join(folder, "bare"), BARE_SOURCES, BARE_FLAGS + work)
    with open(os.path.join(folder, "initrd"), "wb") as file:
        file.write(archive_of(os.path.join(folder, "kernels")))


def commands(options, folder):
    """{engine: command}. Linux gives its first program what follows `--` on the command line."""
    words = [str(options.scale), str(options.repeats), *options.kernels]
    kernel, initrd = os.path.join(options.out, options.linux), os.path.join(folder, "initrd")
    append = " ".join([APPEND, "--", *words])
    result = {
        "native": [
            os.path.join(folder, "kernels"),
            words[0],
            str(4 * options.repeats),
            *options.kernels,
        ],
        "tcg": [
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-cpu",
            "EPYC",
            "-m",
            str(MEMORY_MIB),
            "-nographic",
            "-no-reboot",
            "-net",
            "none",
            "-kernel",
            kernel,
            "-initrd",
            initrd,
            "-append",
            append,
        ],
    }
    for prefix, program, more in (
        ("softsev", options.softsev, options.softsev_args),
        ("other", options.other, options.other_args),
    ):
        guest = ["--kernel", kernel, "--initrd", initrd, "--append", append]
        if options.bare:
            guest = ["--kernel", os.path.join(folder, "bare")]
        for mode in MODES:
            result[f"{prefix}-{mode}"] = [
                program,
                "run",
                *guest,
                "--memory",
                f"{MEMORY_MIB}M",
                "--mode",
                mode,
                "--quiet",
                "--clock",
                "virtual",
                *more.split(),
            ]
    return {name: result[name] for name in options.engines}


def processor_time(pid):
    """Seconds of processor time that all threads of a process have taken."""
    return time.clock_gettime(
        (~pid << 3) | 2
    )  # the process's clock, as clock_getcpuclockid(3) has it


def be_prompt():
    """Makes the observer first in line for a processor, and what it starts as patient as before."""
    try:
        os.nice(-10)
    except PermissionError:
        return None
    return lambda: os.nice(10)


def stamped_lines(command, options):
    """Runs the command; yields (seconds, line) of what it prints."""
    start = time.monotonic()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=options.lower_priority,
    ) as process:
        rest, end = b"", start + options.timeout
        try:
            while select.select([process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                now = processor_time(process.pid) if options.cpu else time.monotonic() - start
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield now, line.decode("utf-8", "replace").strip()
            yield options.timeout, f"bench: no end after {options.timeout} seconds"
        finally:
            process.kill()


def measure(command, options):
    """One run: {"boot": seconds, "times": {kernel: [seconds]}, "sums": {kernel: text}}. Exits with
    the end of what the command printed if it does not finish."""
    result = {"boot": None, "times": {}, "sums": {}}
    began, said = {}, []
    for when, line in stamped_lines(command, options):
        said.append(line)
        words = line.split()
        if words == ["up"] and result["boot"] is None:
            result["boot"] = when
        elif words[:1] == ["begin"] and len(words) == 2:
            began[words[1]] = when
        elif words[:1] == ["end"] and len(words) == 3 and words[1] in began:
            result["times"].setdefault(words[1], []).append(when - began.pop(words[1]))
            result["sums"][words[1]] = words[2]
        elif words == ["done"]:
            return result
    sys.exit(f"bench: {' '.join(command)} did not finish; it printed:\n" + "\n".join(said[-25:]))


def check_sums(sums, engine, found):
    for kernel, text in found.items():
        other_engine, other = sums.setdefault(kernel, (engine, text))
        if text != other:
            sys.exit(
                f"bench: {kernel} gives {text} under {engine} and {other} under {other_engine}"
            )


def play(options, folder):
    """{engine: {kernel: [seconds]}}, "boot" among the kernels. Every other round goes backwards."""
    runs = {name: {} for name in options.engines}
    sums = {}
    todo = commands(options, folder)
    for number in range(options.rounds):
        for name in (options.engines if number % 2 == 0 else reversed(options.engines)):
            found = measure(todo[name], options)
            check_sums(sums, name, found["sums"])
            runs[name].setdefault("boot", []).append(found["boot"])
            for kernel, times in found["times"].items():
                runs[name].setdefault(kernel, []).extend(times)
    return runs


def print_row(title, cells):
    print("| " + " | ".join([f"{title:28}", *(f"{cell:>16}" for cell in cells)]) + " |", flush=True)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def print_table(options, runs):
    """Prints factors over the first engine, which is native by default. Returns whether softsev's
    columns meet the goals."""
    first, others = options.engines[0], options.engines[1:]
    best = {name: {k: min(t) for k, t in kernels.items()} for name, kernels in runs.items()}
    factor = {name: {k: best[name][k] / best[first][k] for k in options.kernels} for name in runs}
    met = True

    def row(title, left, factors, goal):
        nonlocal met
        missed = [
            n
            for n, f in zip(others, factors)
            if n.startswith("softsev") and first == "native" and f > goal
        ]
        met &= not missed
        print_row(
            title, [left, *(f"{f:.2f}" for f in factors), f"{goal}{' MISSED' if missed else ''}"]
        )

    print_row(f"factors over {first}", [*options.engines, "goal, at most"])
    print_row("-" * 28, ["-" * 15 + ":"] * (len(runs) + 1))
    for kernel in options.kernels:
        row(
            TITLES[kernel],
            f"{best[first][kernel] * 1e3:.1f} ms",
            [factor[n][kernel] for n in others],
            GOALS[kernel],
        )
    seven = [k for k in options.kernels if k in SEVEN]
    if len(seven) > 1:
        title = "geometric mean of " + (
            "the seven" if len(seven) == len(SEVEN) else str(len(seven))
        )
        row(title, "1", [geometric_mean([factor[n][k] for k in seven]) for n in others], MEAN_GOAL)
    print_row("start to first program", [*(f"{best[n]['boot'] * 1e3:.0f} ms" for n in runs), "-"])
    return met


def main():
    options = arguments()
    if "tcg" in options.engines and not shutil.which("qemu-system-x86_64"):
        print(
            "bench: qemu-system-x86_64 is not installed; the column tcg is left out",
            file=sys.stderr,
        )
        options.engines.remove("tcg")
    linux = os.path.join(options.out, options.linux)
    if options.engines != ["native"] and not options.bare and not os.path.exists(linux):
        sys.exit(f"bench: {linux} is not there; tools/fetch-guest.sh {options.out} fetches it")
    with tempfile.TemporaryDirectory() as folder:
        build(options, folder)
        runs = play(options, folder)
    met = print_table(options, runs)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(runs, file, indent=1)
    sys.exit(0 if met or options.quick else 1)


main()
