#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Live migration: a guest that counts goes from one platform to another and goes on counting; it
stays where policies, options or a lost peer say so."""
import atexit
import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from story import TIMEOUT, one_line, quick, slow, tell, want

# Writes 0 to 7 again and again; `counter` in memory must agree with a register, or it says '!'.
COUNTS = """
    xor %ebx, %ebx
1:  mov %ebx, %eax
    and $7, %eax
    add $'0', %eax
    call put
    inc %ebx
    incl counter(%rip)
    cmp %ebx, counter(%rip)
    jne 3f
    mov $500000, %ecx
2:  dec %ecx
    jnz 2b
    jmp 1b
3:  mov $'!', %al
    call put
    hlt
"""
DATA = """
    .data
counter: .long 0
    .space 40000, 0x5a
"""
PLAIN_PUT = """
put:
    mov $0x3f8, %edx
    out %al, %dx
    ret
"""
# Shares 2 MiB at 600000h for its GHCB.
SHARES = """
    mov %cr3, %rdi
    shl $13, %rdi
    shr $13, %rdi
    and $~0xfff, %rdi
    btrq $51, 0x2000+8*3(%rdi)
    mov %cr3, %rdi
    mov %rdi, %cr3
    mov $0x600000, %eax
    xor %edx, %edx
    mov $0xc0010130, %ecx
    wrmsr
"""
GHCB_PUT = """
put:
    mov $0x600000, %esi
    mov %rax, 0x1f8(%rsi)
    movq $0x7b, 0x390(%rsi)
    movq $0x3f80210, 0x398(%rsi)
    movq $0, 0x3a0(%rsi)
    movb $0x80, 0x3f7(%rsi)
    movb $0x1c, 0x3fe(%rsi)
    movw $1, 0xffa(%rsi)
    .byte 0xf3, 0x0f, 0x01, 0xd9 # VMGEXIT
    ret
"""
START = ".globl _start\n_start:\n"
GUESTS = {"sev": START + COUNTS + PLAIN_PUT + DATA,
          "sev-es": START + SHARES + COUNTS + GHCB_PUT + DATA}
GENUINE, DOMAIN, NOSEND = 0x20, 0x10, 0x08
KINDS = {2: "CONFIGURATION", 5: "START", 6: "PAGE_PRIVATE", 9: "ROUND", 11: "STATE", 12: "END",
         13: "RELEASED", 15: "GO"}


class Run:
    """A run in the background. Its console goes into a file that can be read meanwhile."""
    count = 0
    running = []

    def __init__(self, s, mode, state, *more):
        kernel = s.path(mode)
        if not os.path.exists(kernel):
            s.build(mode, GUESTS[mode])
        self.begin(s, ["--kernel", kernel, "--memory", "16", "--mode", mode, "--state", state,
                       *more])

    def begin(self, s, arguments):
        Run.count += 1
        self.serial = s.path(f"serial{Run.count}")
        self.process = subprocess.Popen(
            [s.softsev, "run", "--json", "--serial", self.serial, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        Run.running.append(self.process)
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def digits(self):
        try:
            with open(self.serial, encoding="ascii") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def says(self, word):
        wait_until(lambda: any(word in line for line in self.lines) or
                   self.process.poll() is not None, word)
        want(self.process.poll() is None, "it ended early")

    def counts_on(self):
        """Waits until it has written more."""
        before = len(self.digits())
        wait_until(lambda: len(self.digits()) > before + 3 or self.process.poll() is not None,
                   "it stands")
        want(self.process.poll() is None, "it ended")

    def end(self, kill=False):
        if kill:
            self.process.terminate()
        self.process.wait(TIMEOUT)
        self.reader.join()
        events = [json.loads(line) for line in self.lines]
        with self.process.stderr as f:
            return self.process.returncode, events, f.read().decode()


@atexit.register
def end_all():
    """Nothing stays behind a story that has failed."""
    for process in Run.running:
        if process.poll() is None:
            process.kill()


def wait_until(what, otherwise):
    until = time.monotonic() + TIMEOUT / 4
    while not what():
        want(time.monotonic() < until, otherwise)
        time.sleep(0.02)


def source(s, mode, state, *more):
    path = s.path(f"control{Run.count}")
    run = Run(s, mode, state, "--control", "unix:" + path, *more)
    run.control = path
    run.says(b"VMRUN")
    run.counts_on()
    return run


def target(s, mode, state, *more):
    path = s.path(f"incoming{Run.count}")
    run = Run(s, mode, state, "--incoming", "unix:" + path, *more)
    run.incoming = path
    run.says(b"waits for its guest")
    return run


def migrate(s, run, path, *more):
    return s.command("migrate", "unix:" + run.control, "unix:" + path, *more)


def platforms(s):
    """Two platforms of one manufacturer."""
    here, there = s.path("here"), s.path("there")
    if not os.path.exists(here):
        code, _, error = s.command("platform", "init", "--state", here)
        want(code == 0, error)
        os.mkdir(there, 0o700)
        for name in ("authority", "profile", "committed", "fuses"):
            shutil.copy(os.path.join(here, name), there)
        with open(os.path.join(there, "fuses"), "r+b") as f:  # of another chip
            data = f.read(32) + os.urandom(32)
            f.seek(0)
            f.write(data + hashlib.sha256(data).digest())
        code, _, error = s.command("platform", "reset", "--state", there)
        want(code == 0, error)
    return here, there


def one_count(first, second):
    """What one guest wrote at two places."""
    text = first + second
    want(text and all(int(b) == (int(a) + 1) % 8 for a, b in zip(text, text[1:])),
         (first[-40:], second[:40]))


def one_that_counts_goes_on(s, mode):
    here, there = platforms(s)
    one, two = source(s, mode, here), target(s, mode, there)
    code, out, error = migrate(s, one, two.incoming, "--json")
    want(code == 0, (code, error))
    told = json.loads(out.splitlines()[-1])
    want(told["ok"] and told["private_pages"] > 10 and told["rounds"] >= 2, told)
    want((told["source"]["guests"], told["target"]["guests"]) == (0, 1), told)
    want(mode == "sev" or told["shared_pages"] >= 1, told)
    code, events, error = one.end()
    want(code == 0 and events[-1]["vms"][0]["state"] == "moved", (code, error, events[-1]))
    two.counts_on()
    code, events, error = two.end(kill=True)
    one_count(one.digits(), two.digits())
    want(events[-1]["vms"][0]["state"] == "stopped while running", events[-1])


@quick
def a_sev_guest_goes_on_at_the_target(s):
    one_that_counts_goes_on(s, "sev")


@quick
def a_sev_es_guest_goes_on_at_the_target(s):
    one_that_counts_goes_on(s, "sev-es")


def goes_or_stays(s, policy, state, words):
    """Whether a guest with this policy may go to that platform."""
    here, _ = platforms(s)
    one = source(s, "sev", here, "--policy", str(policy))
    two = target(s, "sev", state, "--policy", str(policy))
    code, _, error = migrate(s, one, two.incoming)
    if not words:
        want(code == 0, error)
        one.end()
        two.counts_on()
        two.end(kill=True)
        one_count(one.digits(), two.digits())
        return
    want(code == 5 and words in one_line(error) and "SEND_START" in error, (words, error))
    one.counts_on()
    code, _, error = two.end()
    want(code == 3 and "the other end refuses" in error and words in error, (code, error))
    one.end(kill=True)
    one_count(one.digits(), "")


@quick
def a_policy_says_where_a_guest_may_go(s):
    _, there = platforms(s)
    goes_or_stays(s, NOSEND | 1, there, "NOSEND")
    goes_or_stays(s, DOMAIN | 1, there, "OCA")
    goes_or_stays(s, GENUINE | 1, there, None)


@quick
@slow
def another_manufacturers_chip_is_not_genuine(s):
    elsewhere = s.path("elsewhere")
    code, _, error = s.command("platform", "init", "--state", elsewhere)
    want(code == 0, error)
    goes_or_stays(s, GENUINE | 1, elsewhere, "root")
    goes_or_stays(s, 1, elsewhere, None)


class Proxy:
    """Stands between source and target, and breaks both connections before a message of the
    source, of the kind that is named; empty: never."""
    def __init__(self, s, to, before):
        Run.count += 1
        self.path, self.before = s.path(f"proxy{Run.count}"), before
        self.broke = False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.to = socket.socket(socket.AF_UNIX)
        self.to.connect(to)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def back(self, near):
        try:
            while data := self.to.recv(65536):
                near.sendall(data)
            near.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def work(self):
        near, _ = self.listener.accept()
        back = threading.Thread(target=self.back, args=(near,), daemon=True)
        back.start()
        with near.makefile("rb") as stream:
            while len(head := stream.read(8)) == 8:
                kind, size = struct.unpack("<II", head)
                if KINDS.get(kind) == self.before:
                    self.broke = True
                    break
                self.to.sendall(head + stream.read(size))
        for end in (near, self.to):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        back.join()
        near.close()
        self.to.close()
        self.listener.close()

    def end(self):
        self.thread.join(TIMEOUT / 4)
        want(self.broke == bool(self.before), f"no message {self.before}")


@quick
def a_guest_stays_if_the_peer_disappears(s):
    here, there = platforms(s)
    one = source(s, "sev-es", here)
    for kind in [k for k in KINDS.values() if k != "GO"]:
        two = target(s, "sev-es", there)
        proxy = Proxy(s, two.incoming, kind)
        code, _, error = migrate(s, one, proxy.path)
        proxy.end()
        want(code == 5 and "gone" in one_line(error), (kind, code, error))
        code, events, error = two.end()
        want(code == 3 and "gone" in error and not two.digits(), (kind, code, error))
        one.counts_on()
    two = target(s, "sev-es", there)
    proxy = Proxy(s, two.incoming, "")
    code, _, error = migrate(s, one, proxy.path)
    want(code == 0, error)
    one.end()
    two.counts_on()
    two.end(kill=True)
    proxy.end()
    one_count(one.digits(), two.digits())


@quick
def a_guest_that_was_handed_over_runs_nowhere_else(s):
    here, there = platforms(s)
    one, two = source(s, "sev", here), target(s, "sev", there)
    proxy = Proxy(s, two.incoming, "GO")
    code, _, error = migrate(s, one, proxy.path)
    proxy.end()
    want(code == 5 and "lost since: the other end is gone" in one_line(error), (code, error))
    code, events, error = one.end()
    want(code == 0 and events[-1]["vms"][0]["state"] == "moved", (code, error))
    code, _, error = two.end()
    want(code == 3 and not two.digits(), (code, error))


@quick
def killed_ends_leave_the_other_in_order(s):
    here, there = platforms(s)
    one, two = source(s, "sev", here), target(s, "sev", there)
    two.process.kill()
    two.process.wait()
    code, _, error = migrate(s, one, two.incoming)
    want(code == 5 and "no run waits there" in one_line(error), (code, error))
    one.counts_on()
    os.remove(two.incoming)
    two = target(s, "sev", there)
    with socket.socket(socket.AF_UNIX) as f:
        f.connect(two.incoming)
    code, _, error = two.end()
    want(code == 3 and "gone" in error, (code, error))
    two = target(s, "sev", there)
    with socket.socket(socket.AF_UNIX) as f:
        f.connect(two.incoming)
        f.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(100))
        code, _, error = two.end()
    want(code == 3 and "none of a migration" in error, (code, error))
    two = target(s, "sev", there)
    code, _, error = two.end(kill=True)
    want(code == 128 + 15 and not os.path.exists(two.incoming), (code, error))
    one.end(kill=True)


@quick
def a_disk_is_open_at_one_end_alone(s):
    here, there = platforms(s)
    disk = s.write("disk", bytes(8192))
    one = source(s, "sev", here, "--disk", disk)
    two = target(s, "sev", there, "--disk", disk)
    code, out, error = migrate(s, one, two.incoming)
    want(code == 0 and b"moved: " in out, (code, error))
    one.end()
    two.counts_on()
    code, _, error = s.command("run", "--kernel", s.path("sev"), "--memory", "16", "--disk", disk)
    want(code == 3 and f"process {two.process.pid}" in error, (code, error))
    two.end(kill=True)
    one = source(s, "sev", here, "--disk", disk + ",snapshot")
    two = target(s, "sev", there, "--disk", disk)
    code, _, error = migrate(s, one, two.incoming)
    want(code == 5 and "without ',snapshot'" in one_line(error), (code, error))
    one.counts_on()
    one.end(kill=True)
    two.end()


@quick
def differences_are_told_by_name(s):
    here, there = platforms(s)
    one = source(s, "sev", here)
    for more, words in ((("--cpus", "2"), "number of processors is 1, not 2"),
                        (("--policy", "0"), "policy is 1, not 0"),
                        (("--virtio-rng",), "entropy source is 0, not 1"),
                        (("--cpu", "milan,-rdrand"), "CPUID leaf 00000001_0 ECX")):
        two = target(s, "sev", there, *more)
        code, _, error = migrate(s, one, two.incoming)
        want(code == 5 and words in one_line(error), (words, error))
        code, _, error = two.end()
        want(code == 3 and words in error, (words, code, error))
    one.counts_on()
    code, _, error = migrate(s, one, "x", "--vm", "other")
    want(code == 5 and "there is no guest 'other'" in one_line(error), (code, error))
    one.end(kill=True)
    run = ("run", "--kernel", s.path("sev"), "--memory", "16", "--incoming")
    for more, words in ((("unix:x", "--mode", "none", "--state", there), "a plain guest"),
                        (("unix:x", "--mode", "sev-snp", "--state", there), "migration agent"),
                        (("unix:x", "--mode", "sev"), "--state"),
                        (("x", "--mode", "sev", "--state", there), "unix:PATH")):
        code, _, error = s.command(*run, *more)
        want(code == 2 and words in one_line(error), (more, code, error))
    code, _, error = s.command("migrate", "one")
    want(code == 2 and "two sockets" in one_line(error), (code, error))


if __name__ == "__main__":
    tell(
        a_sev_guest_goes_on_at_the_target,
        a_sev_es_guest_goes_on_at_the_target,
        a_policy_says_where_a_guest_may_go,
        another_manufacturers_chip_is_not_genuine,
        a_guest_stays_if_the_peer_disappears,
        a_guest_that_was_handed_over_runs_nowhere_else,
        killed_ends_leave_the_other_in_order,
        a_disk_is_open_at_one_end_alone,
        differences_are_told_by_name,
    )
