#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A run's machine goes into a file, and another process goes on with it."""
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess

from control import ask, finish, start
from story import TIMEOUT, console, one_line, quick, slow, steps, summary, tell, want

# Writes the letters, each after a million instructions, and ends.
ALPHABET = """
    .globl _start
_start:
    mov $'a', %ebx
1:  mov $500000, %ecx
2:  dec %ecx
    jnz 2b
    mov $0x3f8, %edx
    mov %ebx, %eax
    out %al, %dx
    inc %ebx
    cmp $'z' + 1, %ebx
    jne 1b
    mov $0x10, %eax
    out %al, $0xf4
    hlt
"""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENDS = 33  # its status


def resume(s, path, *more, seed="story"):
    """`taken` keeps the platform of NAME beside the file."""
    state = s.path("state-" + os.path.basename(path))
    if "--state" not in more and os.path.exists(state):
        more += ("--state", state)
    code, out, error = s.command("resume", path, "--json", *(("--seed", seed) if seed else ()),
                                 *more)
    return code, [json.loads(line) for line in out.splitlines()], error


def taken(s, name, at, *arguments):
    """A seeded run with a snapshot: its status, events, the file."""
    path = s.path(name)
    code, events, error = s.run("--seed", "story", "--trace-hash", "--snapshot", path,
                                "--snapshot-at", at, *arguments, state=s.path("state-" + name))
    want(os.path.exists(path), (code, error, events[-3:]))
    return code, events, path


def same_end(first, second):
    """What came after the snapshot is the same to the byte."""
    a, b = summary(first), summary(second)
    want(a["trace_sha256"] and a["trace_sha256"] == b["trace_sha256"], (a, b))
    want(console(first).endswith(console(second)), (console(first)[-300:], console(second)[-300:]))


@quick
def the_machine_goes_on_from_the_file(s):
    guest = s.build("alphabet", ALPHABET)
    for engine in ("interpreter", "auto"):
        code, first, path = taken(s, f"letters-{engine}", "0.0123", "--kernel", guest, "--memory",
                                  "16", "--engine", engine)
        want(code == ENDS and console(first) == LETTERS, (code, console(first)))
        want("machine time 0.0123" in steps(first, "snapshot"), steps(first, "snapshot"))
        want(os.stat(path).st_mode & 0o777 == 0o600, oct(os.stat(path).st_mode))
        code, second, error = resume(s, path, "--trace-hash")
        want(code == ENDS, (code, error))
        same_end(first, second)
        want(0 < len(console(second)) < len(LETTERS), console(second))


@quick
def a_resumed_machine_can_be_taken_again(s):
    guest = s.build("alphabet", ALPHABET)
    _, first, path = taken(s, "once", "0.005", "--kernel", guest, "--memory", "16")
    again, third = s.path("again"), s.path("third")
    _, plain, _ = taken(s, "late", "0.015", "--kernel", guest, "--memory", "16")
    code, second, error = resume(s, path, "--trace-hash", "--snapshot", again, "--snapshot-at",
                                 "0.015")
    want(code == ENDS, (code, error))
    code, last, error = resume(s, again, "--trace-hash", "--snapshot", third)
    want(code == ENDS, (code, error))
    hashes = {summary(events)["trace_sha256"] for events in (plain, second, last)}
    want(len(hashes) == 1, hashes)
    want(console(first) == LETTERS and not os.path.exists(third), "a snapshot nobody asked for")


@quick
def a_program_asks_for_a_snapshot(s):
    guest = s.build("ever", "    .globl _start\n_start:\n    jmp _start\n")
    path = s.path("asked")
    process, control = start(s, "--kernel", guest, "--snapshot", path)
    want(ask(s, "snapshot", control) == {"ok": True} and os.path.exists(path), "no snapshot")
    want(ask(s, "quit", control) == {"ok": True}, "it does not end")
    finish(process)
    code, events, error = resume(s, path, "--limit", "1", seed=None)
    want(code == 9 and "still running" in error, (code, error))
    want("is loaded" in steps(events, "snapshot"), steps(events, "snapshot"))
    process, control = start(s, "--kernel", guest)
    want("--snapshot FILE" in ask(s, "snapshot", control), "no reason")
    ask(s, "quit", control)
    finish(process)


@quick
def a_disk_must_fit(s):
    guest, disk = s.build("alphabet", ALPHABET), s.write("disk", bytes(4096))
    _, _, path = taken(s, "with-disk", "0.005", "--kernel", guest, "--memory", "16", "--disk", disk)
    want(resume(s, path, "--disk", disk)[0] == ENDS, "the same disk")
    for wrong, words in (((), "number of functions is"),
                         (("--disk", s.write("larger", bytes(8192))), "number of sectors is 8"),
                         (("--disk", disk + ",readonly"), "whether it is read-only"),
                         (("--disk", disk, "--virtio-rng"), "number of functions is"),
                         (("--disk", disk, "--cpus", "2"), "number of its processors is 1, not 2"),
                         (("--disk", disk, "--memory", "32"), "size in bytes")):
        code, _, error = resume(s, path, *wrong)
        want(code in (2, 3) and words in one_line(error), (code, words, error))
    code, _, error = s.run("--kernel", guest, "--snapshot", path, "--disk", disk + ",snapshot")
    want(code == 2 and ",snapshot" in one_line(error), (code, error))


@quick
def a_file_that_is_not_right_is_refused(s):
    guest = s.build("alphabet", ALPHABET)
    _, _, path = taken(s, "right", "0.005", "--kernel", guest, "--memory", "16")
    with open(path, "rb") as f:
        whole = f.read()
    middle = len(whole) // 2
    cases = [("short", whole[:middle], "ends too early"),
             ("head", whole[:30], "ends too early"),
             ("empty", b"", "ends too early"),
             ("longer", whole + b"x", "SHA-256"),
             ("changed", whole[:middle] + b"?" + whole[middle + 1:], "SHA-256"),
             ("another", b"ELF " * 1000, "no snapshot of softsev"),
             ("option", whole.replace(b"--memory=16", b"--record=16"), "no option that a snapshot"),
             ("state", whole.replace(b"--memory=16", b"--state=abcd"), "no option that a snapshot")]
    for name, data, words in cases:
        code, _, error = resume(s, s.write("bad-" + name, data))
        want(code == 3 and words in one_line(error), (name, code, error))
    code, _, error = resume(s, s.path("absent"))
    want(code == 3 and "No such file" in one_line(error), (code, error))
    os.mkfifo(s.path("pipe"))
    code, _, error = resume(s, s.path("pipe"))
    want(code == 3, (code, error))
    code, _, error = resume(s, s.folder)
    want(code == 3 and "folder" in one_line(error), (code, error))
    for seed, words in ((None, "another seed"), ("x", "another seed")):
        code, _, error = resume(s, path, seed=seed)
        want(code == 3 and words in one_line(error), (seed, code, error))
    s.build("alphabet", ALPHABET.replace("500000", "400000"))
    code, _, error = resume(s, path)
    want(code == 3 and "changed since" in one_line(error), (code, error))


@quick
def a_file_that_cannot_be_written_costs_the_run_nothing(s):
    guest, path = s.build("alphabet", ALPHABET), s.path("full")

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    done = subprocess.run([s.softsev, "run", "--kernel", guest, "--memory", "16", "--seed", "x",
                           "--snapshot", path, "--snapshot-at", "0.005"],
                          preexec_fn=small_files, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=TIMEOUT, check=False)
    want("abc" in done.stdout and "xyz" in done.stdout, done.stdout)
    want(done.returncode == 3 and "no snapshot was taken" in one_line(done.stderr), done)
    want(not [name for name in os.listdir(s.folder) if name.startswith("full")], "a rest of it")
    code, _, error = s.run("--kernel", guest, "--memory", "16", "--snapshot", s.folder,
                           "--snapshot-at", "0.005")
    want(code == 3 and "folder" in one_line(error), (code, error))
    code, _, error = s.run("--kernel", guest, "--snapshot", path, "--snapshot-at", "100",
                           "--memory", "16")
    want(code == 3 and "ended before 100.000000000 s" in one_line(error), (code, error))
    code, _, error = s.run("--kernel", guest, "--snapshot-at", "0.005")
    want(code == 2 and "--snapshot" in one_line(error), (code, error))
    for time in ("0", "x", "1.", "-1", "0x10", "1000001", "1.0000000001"):
        code, _, error = s.run("--kernel", guest, "--snapshot", path, "--snapshot-at", time)
        want(code == 2 and "seconds of machine time" in one_line(error), (time, code, error))


@slow
def linux_goes_on_in_every_mode(s):
    modes = [("none", "1"), ("sev", "1"), ("sev-es", "2")]
    newer = (f"{s.out}/vmlinuz-6.12", f"{s.out}/initrd-6.12.cpio.gz")
    if os.path.exists(newer[0]):
        modes.append(("sev-snp", "2"))
    another = s.path("another")
    want(s.command("platform", "init", "--state", another)[0] == 0, "no other platform")
    for mode, cpus in modes:
        kernel, initrd = newer if mode == "sev-snp" else (s.kernel, s.initrd)
        code, first, path = taken(s, mode, "0.7", "--kernel", kernel, "--initrd", initrd,
                                  "--append", "console=ttyS0 panic=-1 quiet", "--memory", "256",
                                  "--cpus", cpus, "--mode", mode)
        want(code == 0, (mode, code))
        code, second, error = resume(s, path, "--trace-hash")
        want(code == 0, (mode, code, error))
        same_end(first, second)
        if mode != "none":
            changed = s.path(f"changed-{mode}")
            shutil.copy(path, changed)
            with open(changed, "r+b") as f:  # a byte of memory, and a SHA-256 that fits
                whole = f.read()[:-32]
                whole = whole[:len(whole) // 2] + b"?" + whole[len(whole) // 2 + 1:]
                f.seek(0)
                f.write(whole + hashlib.sha256(whole).digest())
            code, _, error = resume(s, changed, "--state", s.path("state-" + mode))
            want(code == 3 and "was changed" in one_line(error), (mode, code, error))
            os.unlink(changed)
            code, _, error = resume(s, path, "--state", another)
            want(code == 3 and "another platform" in error.splitlines()[-1], (mode, code, error))
        with open(path, "rb") as f:
            want((mode == "none") == (b"Memory Encryption Features" in f.read()), mode)
        os.unlink(path)


if __name__ == "__main__":
    tell(the_machine_goes_on_from_the_file, a_resumed_machine_can_be_taken_again,
         a_program_asks_for_a_snapshot, a_disk_must_fit, a_file_that_is_not_right_is_refused,
         a_file_that_cannot_be_written_costs_the_run_nothing, linux_goes_on_in_every_mode)
