#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`softsev run` from outside: whole stories, told to the program and read from what it prints. TAP on standard output.

usage: run.py SOFTSEV OUT    OUT is the folder that tools/fetch-guest.sh filled; without it the stories are skipped
"""
import hashlib
import json
import mmap
import os
import subprocess
import sys
import tempfile

APPEND = "console=ttyS0 panic=-1 cryptomgr.notests"
SECRET = b"the owner's word: " + hashlib.sha256(b"story").hexdigest().encode() + b"\n"
TIMEOUT = int(os.environ.get("SOFTSEV_STORY_TIMEOUT", "240"))


class Story:
    def __init__(self, softsev, out, folder):
        self.softsev, self.out, self.folder = softsev, out, folder
        self.state = os.path.join(folder, "state")
        self.secret = os.path.join(folder, "secret")
        with open(self.secret, "wb") as f:
            f.write(SECRET)

    def run(self, *arguments, json_lines=True):
        """Exit code, events, error text."""
        command = [self.softsev, "run", "--state", self.state, *arguments] + (["--json"] if json_lines else [])
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")] if json_lines else []
        return done.returncode, events, done.stderr.decode("utf-8", "replace")

    def linux(self, mode, *more, initrd=True):
        arguments = ["--kernel", f"{self.out}/vmlinuz", "--append", APPEND, "--memory", "512", "--mode", mode]
        return self.run(*arguments, *(["--initrd", f"{self.out}/initrd.cpio.gz"] if initrd else []), *more)


def console(events, vm="vm1"):
    return "".join(e["text"] for e in events if e["event"] == "console" and e["vm"] == vm)


def steps(events, who):
    return " / ".join(e["text"] for e in events if e["event"] == "step" and e["who"] == who)


def summary(events):
    return events[-1]


def want(condition, what):
    if not condition:
        raise AssertionError(what)


def a_plain_kernel_boots_and_powers_off(s):
    code, events, error = s.linux("none")
    want(code == 0, error)
    want("guest: Linux 6." in console(events), "userland was not reached")
    want("Memory Encryption" not in console(events), "a plain guest believes in encryption")
    want(summary(events)["vms"][0]["state"] == "powered off", summary(events))


def an_encrypted_kernel_finds_its_owners_secret_and_nobody_else_does(s):
    dram, trace = os.path.join(s.folder, "dram"), os.path.join(s.folder, "trace")
    code, events, error = s.linux("sev", "--owner-secret", s.secret, "--virtio-console", "--dump", dram, "--trace", "all",
                                  "--trace-file", trace)
    want(code == 0, error)
    text = console(events)
    want("Memory Encryption Features active: AMD SEV" in text, "the guest does not see SEV")
    want(hashlib.sha256(SECRET).hexdigest() in text, "the guest does not print the secret's digest")
    want("hello on the virtio console" in text, "virtio does not work")
    private, shared = (e["text"] for e in events if e["event"] == "step" and e["who"] == "host")
    want("(private)" in private and '"console' in private.split(", where")[1], private)
    want("636f6e73" not in private, "the host reads the command line")
    want("guest: hello on" in shared, "the host does not read a shared page")
    word = SECRET[18:50]
    want(word.decode() not in text, "the console shows the secret")
    for path in (dram, trace):
        with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
            want(m.find(word) < 0, f"the secret is readable in {os.path.basename(path)}")
            if path == dram:
                want(m.find(b"guest: hello on the virtio") >= 0, "the search would not find anything")
    os.unlink(dram)


def two_boots_from_one_seed_are_equal_to_the_byte(s):
    hashes = set()
    for _ in range(2):
        command = [s.softsev, "run", "--kernel", f"{s.out}/vmlinuz", "--initrd", f"{s.out}/initrd.cpio.gz", "--append", APPEND,
                   "--mode", "sev", "--owner-secret", s.secret, "--seed", "story", "--trace-hash", "--json"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False,
                              env={**os.environ, "SOFTSEV_STATE": s.state})
        want(done.returncode == 0, done.stderr)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        hashes.add((summary(events)["trace_sha256"], summary(events)["instructions"], console(events)))
    want(len(hashes) == 1, "two runs differ")
    want(len(hashes.pop()[0]) == 64, "no trace hash")


def two_encrypted_vms_and_a_plain_one_share_a_machine(s):
    vm = {"kernel": f"{s.out}/vmlinuz", "initrd": f"{s.out}/initrd.cpio.gz", "append": APPEND, "memory": 256}
    path = os.path.join(s.folder, "machine.json")
    with open(path, "w", encoding="ascii") as f:
        json.dump({"vms": [dict(vm, name="alice", mode="sev", **{"owner-secret": s.secret}), dict(vm, name="bob", mode="sev"),
                           dict(vm, name="carol")]}, f)
    code, events, error = s.run("--machine", path)
    want(code == 0, error)
    digest = hashlib.sha256(SECRET).hexdigest()
    want(digest in console(events, "alice") and digest not in console(events, "bob") + console(events, "carol"),
         "the secret went to the wrong guest")
    want("AMD SEV" in console(events, "bob") and "AMD SEV" not in console(events, "carol"), "encryption is mixed up")
    want(all(v["state"] == "powered off" for v in summary(events)["vms"]), summary(events))
    first = {e["vm"]: i for i, e in reversed(list(enumerate(events))) if e["event"] == "console"}
    last = {e["vm"]: i for i, e in enumerate(events) if e["event"] == "console"}
    want(max(first.values()) < min(last.values()), "the VMs did not take turns")


def a_disk_is_there_and_read_only_means_it(s):
    disk = os.path.join(s.folder, "disk")
    with open(disk, "wb") as f:
        f.truncate(8 << 20)
    code, events, error = s.linux("sev", "--disk", disk, "--disk-read-only")
    want(code == 0, error)
    want("guest: disk of 16384 sectors" in console(events), "the guest sees no disk")


def an_evil_host_never_gets_the_secret_out_of_the_owner(s):
    code, events, error = s.linux("sev", "--owner-secret", s.secret, "--tamper")
    want(code == 4 and "measurement" in error, (code, error))
    want("sealed" not in steps(events, "owner") and console(events) == "", "the launch went on")


def what_cannot_be_done_has_its_own_exit_code_and_one_line(s):
    bad = os.path.join(s.folder, "bad")
    with open(bad, "wb") as f:
        f.write(b"no kernel\n" * 1000)
    kernel = f"{s.out}/vmlinuz"
    cases = [
        (2, ["--kernel", kernel, "--mode", "snp-es"]),
        (2, []),
        (2, ["--kernel", kernel, "--no-such-option"]),
        (2, ["--kernel", kernel, "--owner-secret", s.secret]),
        (2, ["--machine", bad]),
        (3, ["--kernel", bad]),
        (3, ["--kernel", bad + "-missing"]),
        (5, ["--kernel", kernel, "--mode", "sev", "--policy", "0x3c010001"]),
        (5, ["--kernel", kernel, "--mode", "sev", "--policy", "0x5"]),
        (6, ["--kernel", kernel, "--memory", "32"]),
    ]
    for expected, arguments in cases:
        code, _, error = s.run(*arguments)
        want(code == expected, (arguments, code, error))
        want(len([l for l in error.splitlines() if "taking" not in l and "takes a few" not in l]) == 1, (arguments, error))


def a_corrupt_state_directory_is_said_to_be_one(s):
    state = os.path.join(s.folder, "corrupt")
    kernel = ["--kernel", f"{s.out}/vmlinuz", "--mode", "sev", "--tamper"]
    subprocess.run(["cp", "-r", s.state, state], check=True)
    for name in ("fuses", "store"):
        with open(os.path.join(state, name), "r+b") as f:
            f.seek(-1, os.SEEK_END)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_END)
            f.write(bytes([byte ^ 1]))
        done = subprocess.run([s.softsev, "run", *kernel, "--state", state], capture_output=True, timeout=TIMEOUT, check=False)
        want(done.returncode == 7, (name, done.returncode, done.stderr))


STORIES = [
    a_plain_kernel_boots_and_powers_off,
    an_encrypted_kernel_finds_its_owners_secret_and_nobody_else_does,
    two_boots_from_one_seed_are_equal_to_the_byte,
    two_encrypted_vms_and_a_plain_one_share_a_machine,
    a_disk_is_there_and_read_only_means_it,
    an_evil_host_never_gets_the_secret_out_of_the_owner,
    what_cannot_be_done_has_its_own_exit_code_and_one_line,
    a_corrupt_state_directory_is_said_to_be_one,
]


def main():
    softsev, out = sys.argv[1:3]
    print(f"1..{len(STORIES)}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, story in enumerate(STORIES, 1):
            name = story.__name__
            if not os.path.exists(f"{out}/vmlinuz"):
                print(f"ok {number} - {name} # SKIP no guest in {out}: tools/fetch-guest.sh gets one")
                continue
            try:
                story(Story(softsev, out, folder))
                print(f"ok {number} - {name}", flush=True)
            except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError) as problem:
                failed += 1
                print(f"not ok {number} - {name}\n# {str(problem)[:800]}", flush=True)
    sys.exit(1 if failed else 0)


main()
