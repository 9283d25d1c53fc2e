#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The console: a person at a terminal talks to the guest's shell and leaves; a pipe does; what was
recorded repeats."""
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

from story import APPEND, TIMEOUT, quick, slow, tell, want


class Terminal:
    """softsev on a terminal of its own."""

    def __init__(self, s, *arguments):
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.theirs, self.seen, self.at = theirs, b"", 0
        # A process group of its own: one whose parents are all of another session is never stopped.
        self.process = subprocess.Popen([s.softsev, "run", "--state", s.state, *arguments],
                                        stdin=theirs, stdout=theirs, stderr=theirs,
                                        process_group=0)

    def expect(self, pattern):
        """Waits for it, behind what was expected before."""
        end = time.monotonic() + TIMEOUT
        while True:
            m = re.compile(pattern).search(self.seen, self.at)
            if m:
                self.at = m.end()
                return m
            want(time.monotonic() < end and self.process.poll() is None,
                 (pattern, self.seen[-600:]))
            if select.select([self.ours], [], [], 0.2)[0]:
                self.seen += os.read(self.ours, 4096)

    def type(self, text):
        os.write(self.ours, text)

    def end(self):
        end = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            if select.select([self.ours], [], [], 0.1)[0]:
                self.seen += os.read(self.ours, 4096)
            want(time.monotonic() < end, "it does not end")
        want(termios.tcgetattr(self.theirs) == self.before, "the terminal was not put back")
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@quick
def whatever_ends_or_stops_the_program_puts_the_terminal_back(s):
    loop = s.build("loop", ".globl _start\n_start: jmp _start\n")
    # AddressSanitizer would turn a SIGSEGV into its own report
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"

    def until(condition, what):
        end = time.monotonic() + 60
        while not condition():
            want(time.monotonic() < end, what)
            time.sleep(0.02)

    def state(process):
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def run():
        t = Terminal(s, "--kernel", loop, "--memory", "16")
        until(lambda: termios.tcgetattr(t.theirs) != t.before, "the terminal is not raw")
        return t

    in_order = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    at_once = (signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV, signal.SIGUSR1, signal.SIGALRM,
               signal.SIGXCPU, signal.SIGIO, signal.SIGPWR, signal.SIGSTKFLT, signal.SIGRTMIN,
               signal.SIGRTMAX)
    for number in (*in_order, *at_once):
        signal.signal(number, signal.SIG_DFL)
        with run() as t:
            t.process.send_signal(number)
            code = t.end()  # the terminal, too
            want(code == (128 + number if number in in_order else -number), (number, code))
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        with run() as t:
            t.process.send_signal(number)
            until(lambda: state(t.process) == "T", "it does not stop")
            want(termios.tcgetattr(t.theirs) == t.before,
                 (number, "the terminal is raw while it is stopped"))
            t.process.send_signal(signal.SIGCONT)
            until(lambda: termios.tcgetattr(t.theirs) != t.before,
                  (number, "the terminal is not raw again"))
            t.process.send_signal(signal.SIGTERM)
            want(t.end() == 128 + signal.SIGTERM, number)


def linux(s, mode, append):
    return ["--kernel", s.kernel, "--initrd", s.initrd, "--append", f"{APPEND} {append}", "--mode",
            mode, "--memory", "256"]


def a_person_talks_to_the_guests_shell_and_leaves_with_ctrl_a_x(s):
    with Terminal(s, *linux(s, "sev", "shell")) as t:
        t.expect(rb"# ")
        t.type(b"echo $((6*7)) is; echo the answer\r")
        t.expect(rb"\n42 is\r*\nthe answer")
        t.type(b"cat; echo ended; sleep 1000\r")
        t.expect(rb"sleep 1000\r*\n")
        time.sleep(0.5)  # the shell gives the line discipline back before cat reads
        t.type(b"two words\r\x04")  # Ctrl-D is the guest's
        t.expect(rb"two words\r*\ntwo words\r*\nended")
        t.type(b"\x03")  # and so is Ctrl-C
        t.expect(rb"# ")
        t.type(b"\x01x")
        want(t.end() == 0, t.seen[-500:])
        t.expect(rb"stopped while running")


@slow
def what_a_person_typed_repeats_to_the_byte(s):
    record = s.path("record")
    with Terminal(s, *linux(s, "sev", "shell"), "--seed", "console", "--trace-hash", "--record",
                  record) as t:
        t.expect(rb"# ")
        t.type(b"echo $((6*7))\r")
        t.expect(rb"\n42\r*\n")
        t.type(b"poweroff -f\r")
        want(t.end() == 0, t.seen[-500:])
    hashes = {re.search(rb"sha256 ([0-9a-f]{64})", t.seen)[1]}
    for _ in range(2):
        code, out, error = s.command("run", "--state", s.state, *linux(s, "sev", "shell"), "--seed",
                                     "console", "--trace-hash", "--replay",
                                     record)
        want(code == 0 and b"\n42" in out, error)
        hashes.add(re.search(rb"sha256 ([0-9a-f]{64})", out)[1])
    want(len(hashes) == 1, hashes)


def input_from_a_pipe_reaches_the_guest(s):
    """From when it listens: what comes before, a serial port forgets when its driver starts."""
    process = subprocess.Popen([s.softsev, "run", "--state", s.state, "--quiet", "--clock",
                                "virtual", *linux(s, "none", "shell")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    out = b""
    while b"/ # " not in out:
        byte = os.read(process.stdout.fileno(), 4096)
        want(byte, out[-500:])
        out += byte
    lines = 600  # more than a serial port and what feeds it can hold
    rest, _ = process.communicate(b"".join(b"echo line $((%d+1))\n" % i
            for i in range(lines)) + b"poweroff -f\n", timeout=TIMEOUT)
    got = re.findall(rb"\nline (\d+)\r*\n", rest)
    want(process.returncode == 0 and got == [b"%d" % (i + 1) for i in range(lines)],
         (len(got), rest[-600:]))


def ctrl_a_n_goes_to_the_next_vm(s):
    vm = '{"kernel": "%s", "initrd": "%s", "append": "%s shell", "memory": 256}' % (s.kernel,
            s.initrd, APPEND)
    machine = s.write("machine.json", b'{"vms": [%s, %s]}' % (vm.encode(), vm.encode()))
    with Terminal(s, "--machine", machine) as t:
        t.expect(rb"\[vm1\] [^\n]*# ")
        t.type(b"echo I am $((1))\r")
        t.expect(rb"\[vm1\] I am 1")
        t.type(b"\x01n")
        t.expect(rb"keyboard goes to vm2")
        t.type(b"echo I am $((2))\r")
        t.expect(rb"\[vm2\] I am 2")
        t.type(b"\x01x")
        want(t.end() == 0, t.seen[-500:])


tell(
    whatever_ends_or_stops_the_program_puts_the_terminal_back,
    a_person_talks_to_the_guests_shell_and_leaves_with_ctrl_a_x,
    what_a_person_typed_repeats_to_the_byte,
    input_from_a_pipe_reaches_the_guest,
    slow(ctrl_a_n_goes_to_the_next_vm),
)
