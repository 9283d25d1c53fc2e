#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line while one call of the system or one allocation fails; prints TAP, one line for
each command and kind.

usage: faults.py SOFTSEV LIBRARY [--all] [WORDS]    LIBRARY: faults.c as a library; --all: every
call, not a sample; WORDS: only commands whose name begins so

A command is run again and again, each time with another call failing. Whatever fails: it does not
crash, it says what was wrong and ends with an exit code, or it does what it does without a fault;
what it writes is there whole or not at all; the platform's identity stays.
"""
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

# mov $0x10,%eax; out %al,$0xf4; hlt: softsev ends with 33
KERNEL = bytes.fromhex("b810000000e6f4f4")


def elf(code, at=0x200000):
    """A kernel with one segment."""
    header = b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x3e\0\1\0\0\0" + at.to_bytes(8,
            "little") + (64).to_bytes(8, "little")
    header += bytes(12) + b"\x40\0\x38\0\1\0" + bytes(6)
    segment = b"\1\0\0\0\5\0\0\0" + b"".join(v.to_bytes(8, "little")
                                             for v in (0x100, at, at, 0x100, 0x100, 0x1000))
    return (header + segment).ljust(0x100, b"\0") + code.ljust(0x100, b"\0")


def content(folder):
    """Names and contents of all that is in a folder; None: there is none. Leftovers of a killed
    write do not count."""
    if not os.path.isdir(folder):
        return None
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            if name != "lock" and not name.endswith(".new"):
                with open(os.path.join(path, name), "rb") as f:
                    found[os.path.relpath(os.path.join(path, name), folder)] = f.read()
    return found


class Command:
    """One command line. `changes`: files of the state that it may replace; `new_keys`: so that the
    PEK is another one. `serves`: it goes on until a signal ends it. `every`: of a kind's calls only
    each n-th fails. `code`: how it ends well."""

    def __init__(self, name, arguments, changes=(), new_keys=False, prepare=lambda state: None,
                 every=None, serves=False, code=0):
        self.name, self.arguments, self.changes = name, arguments, set(changes)
        self.new_keys, self.prepare = new_keys, prepare
        self.every, self.serves, self.code = every or {}, serves, code


class Bench:
    def __init__(self, softsev, library, folder):
        self.softsev, self.library, self.folder = softsev, library, folder
        self.state, self.pek = os.path.join(folder, "state"), None

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *arguments, cwd=None, fault=None, serves=False):
        """Exit code, output, error text, number of calls."""
        env = dict(os.environ)
        count = tempfile.TemporaryFile()
        if fault:
            env.update(FAULT=fault, FAULT_COUNT=str(count.fileno()), LD_PRELOAD=self.library)
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE}
        with subprocess.Popen([self.softsev, *arguments], cwd=cwd or self.folder, env=env,
                              pass_fds=[count.fileno()], **streams) as child:
            first = child.stdout.readline() if serves else b""
            if first:
                child.terminate()
            try:
                out, err = child.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                child.kill()
                return "it hangs", b"", "", 0
        count.seek(0)
        return child.returncode, b"" if serves else out, err.decode("utf-8",
                "replace"), int(count.read() or 0)

    def identity(self, state):
        """The platform's PEK, as it exports it without a fault."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            code, _, err, _ = self.run("platform", "export", "--state", state, "--out", out)
            return (content(out) or {}).get("pek.cert") if code == 0 else f"exit code {code}: {err}"

    def trial(self, command, fault, reference):
        """What is wrong; None: nothing is. `reference`: what comes without a fault."""
        with tempfile.TemporaryDirectory(dir=self.folder) as cwd:
            state = os.path.join(cwd, "state")
            shutil.copytree(self.state, state)
            command.prepare(state)
            before = content(state)
            code, out, err, _ = self.run(*command.arguments, cwd=cwd, fault=fault,
                                         serves=command.serves)
            return self.judge(command, reference, before, cwd, (code, out, err))

    def judge(self, command, reference, before, cwd, result):
        code, out, err = result
        state, written = os.path.join(cwd, "state"), content(os.path.join(cwd, "out"))
        after = content(state)
        if code == 127 and "thread-local data: ABORT" in err:
            return None  # the C library ends the program itself, wherever it has no memory for that
        if not isinstance(code, int) or not 0 <= code < 64:
            return f"exit code {code}: {err}"
        if code == command.code and (out != reference[0] or (set(written or ()) != set(reference[1]
                or ()))):
            return f"success, but another output: {out} {sorted(written or ())}"
        if code != command.code and not err.strip():
            return f"exit code {code}, and nothing is said"
        if written and set(written) != set(reference[1] or ()):
            return f"a part of the files is there: {sorted(written)}"
        for name in set(before) | set(after):
            if name not in command.changes and before.get(name) != after.get(name):
                return f"{name} has changed; exit code {code}: {err}"
        if before != after:
            pek = self.identity(state)
            if isinstance(pek, str) or (pek != self.pek and not command.new_keys):
                return f"the platform is another one: {pek}"
        return None


def sweep(bench, command, kind, how, all_of_them):
    """Every call of a kind, or a sample of them, fails in its turn."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as cwd:
        state = os.path.join(cwd, "state")
        shutil.copytree(bench.state, state)
        command.prepare(state)
        code, out, err, count = bench.run(*command.arguments, cwd=cwd, fault=f"{kind}:0:{how}",
                                          serves=command.serves)
        if code != command.code:
            return [f"without a fault: exit code {code}: {err}"], 0
        reference = (out, content(os.path.join(cwd, "out")))
    sample = {"files": 60, "memory": 30, "library": 10}[kind] // (4 if how == str(errno.EINTR)
            else 1)
    every = 1 if all_of_them else max(command.every.get(kind, 1), count // sample)
    faults = [f"{kind}:{n}:{how}" for n in range(1, count + 1, every)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda f: bench.trial(command, f, reference), faults))
    return [f"{f}: {wrong}" for f, wrong in zip(faults, found) if wrong], len(faults)


def unfinished(state):
    """As far as a first start had come before it signed the CEK: the store has no keys yet."""
    os.unlink(os.path.join(state, "cek"))
    frame = b"SOFTSEV\n" + (2).to_bytes(4, "little") + b"store".ljust(16, b"\0") + (7).to_bytes(4,
            "little") + b"no keys"
    with open(os.path.join(state, "store"), "wb") as f:
        f.write(frame + hashlib.sha256(frame).digest())


COMMANDS = [
    Command("platform status", ["platform", "status", "--state", "state"]),
    Command("platform init that makes CEK and store", ["platform", "init", "--state", "state"],
            {"cek", "store"}, True, prepare=unfinished),
    Command("platform export", ["platform", "export", "--state", "state", "--out", "out"],
            every={"files": 3}),
    Command("platform certs", ["platform", "certs", "--state", "state", "--out", "out"],
            every={"files": 17, "memory": 5}),
    Command("platform pdh-gen", ["platform", "pdh-gen", "--state", "state", "--json"], {"store"},
            every={"files": 2}),
    Command("platform reset", ["platform", "reset", "--state", "state"], {"store"}, True,
            every={"files": 2}),
    Command("owner session", ["owner", "session", "--chain", "../chain", "--root", "../root",
                              "--out-dir", "out", "--seed", "s"]),
    Command("kds", ["kds", "--listen", "127.0.0.1:0", "--state", "state"], serves=True,
            every={"files": 3}),
    Command("run of a SEV guest", ["run", "--kernel", "../kernel", "--mode", "sev", "--memory",
                                   "16", "--state", "state", "--quiet"],
            code=33, every={"files": 5, "memory": 3}),
    Command("run with files", ["run", "--kernel", "../kernel", "--memory", "16", "--disk",
                               "../disk,snapshot", "--serial", "serial", "--trace", "all",
                               "--trace-file", "trace", "--map", "map", "--quiet"],
            code=33, every={"files": 5, "memory": 7}),
    Command("host", ["host", "--kernel", "../kernel", "--state", "state", "--memory", "16",
                     "--quiet"], code=33, every={"files": 7, "memory": 7}),
    Command("view", ["view", "../trace", "--export", "page"], every={"files": 3}),
]


def main():
    softsev, library = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    every = "--all" in sys.argv
    words = " ".join(w for w in sys.argv[3:] if w != "--all")
    commands = [c for c in COMMANDS if c.name.startswith(words)]
    kinds = [("files", str(errno.EIO)), ("files", str(errno.EINTR)), ("files", "short"),
             ("memory", "0"), ("library", "0")]
    failed, number = False, 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(softsev, library, folder)
        code, _, err, _ = bench.run("platform", "init", "--state", "state", "--seed", "faults")
        if code:
            sys.exit(f"no platform: {err}")
        bench.pek = bench.identity(bench.state)
        bench.run("platform", "export", "--state", "state", "--out", folder)
        with open(bench.path("kernel"), "wb") as f:
            f.write(elf(KERNEL))
        with open(bench.path("disk"), "wb") as f:
            f.write(bytes(4096))
        bench.run("run", "--kernel", "kernel", "--memory", "16", "--trace", "all", "--trace-file",
                  "trace")
        print(f"1..{len(commands) * len(kinds)}")
        for command in commands:
            for kind, how in kinds:
                number += 1
                wrong, count = sweep(bench, command, kind, how, every)
                cause = how if kind != "files" or how == "short" else errno.errorcode[int(how)]
                what = kind if kind != "files" else f"files ({cause})"
                print(f"{'not ok' if wrong else 'ok'} {number} - {command.name}: {count} faults in "
                      f"{what}", flush=True)
                for line in wrong[:8]:
                    print(f"#   {line}")
                failed = failed or bool(wrong)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
