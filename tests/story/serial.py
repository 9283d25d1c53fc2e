#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where a guest's serial port leads: a file, a Unix socket; and the entropy source."""
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time

from story import (APPEND, SAY_TEXT, TIMEOUT, Skip, console, one_line, quick, slow, summary, tell,
                   want)

HERE = os.path.dirname(os.path.abspath(__file__))

END = """
3:  mov $0x10, %eax
    out %al, $0xf4
    hlt
text:
    .asciz "hello on the serial port\\n"
"""
# Says hello, then sends back what comes, until it is a q.
ECHO = SAY_TEXT + """
    mov $0x3fd, %edx
    in %dx, %al
    test $1, %al
    jz 2b
    mov $0x3f8, %edx
    in %dx, %al
    cmp $'q', %al
    je 3f
    out %al, %dx
    jmp 2b
""" + END
HELLO = b"hello on the serial port\n"
TALKER = """
.globl _start
_start:
    mov $0x3f8, %edx
    mov $'x', %al
1:  out %al, %dx
    jmp 1b
"""


def start(s, *arguments):
    return subprocess.Popen([s.softsev, "run", "--memory", "16", "--json", *arguments],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def finish(process):
    out, error = process.communicate(timeout=TIMEOUT)
    return process.returncode, [json.loads(line) for line in out.splitlines()], error.decode()


def connect(process, path):
    until = time.monotonic() + TIMEOUT / 4
    while True:
        f = socket.socket(socket.AF_UNIX)
        f.settimeout(TIMEOUT / 4)
        try:
            f.connect(path)
            return f
        except OSError:
            f.close()
            want(process.poll() is None and time.monotonic() < until, "there is no socket")
            time.sleep(0.02)


def receive(f, size):
    got = b""
    while len(got) < size and (data := f.recv(size - len(got))):
        got += data
    return got


@quick
def a_file_gets_what_the_guest_writes(s):
    kernel, path = s.build("echo", ECHO), s.path("serial")
    code, events, error = s.run("--kernel", kernel, "--memory", "16", "--serial", path, "--limit",
                                "1", data=b"q")
    want(code == 9 and "still running after --limit" in error, (code, error))
    want(console(events) == "", "the terminal has it, too, or the keyboard reaches the guest")
    with open(path, "rb") as f:
        want(f.read() == HELLO, "the file has something else")
    brief = s.build("brief", SAY_TEXT + END)
    code, _, error = s.run("--kernel", brief, "--memory", "16", "--serial", "/dev/full")
    want(code == 3 and "/dev/full" in error, (code, error))
    code, events, error = s.run("--kernel", kernel, "--memory", "16", "--serial", "stdio",
                                data=b"q")
    want(code == 33 and HELLO.decode() in console(events), (code, error))


@quick
def a_socket_is_both_ways_and_takes_one_client_after_another(s):
    kernel, path = s.build("echo", ECHO), s.path("sock")
    process = start(s, "--kernel", kernel, "--serial", "unix:" + path)
    with connect(process, path) as f:
        want(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "others may connect")
        want(receive(f, len(HELLO)) == HELLO, "what came before the client is lost")
        f.sendall(b"one and two")
        want(receive(f, 11) == b"one and two", "no answer")
    with connect(process, path) as f:
        f.sendall(b"three")
        want(receive(f, 5) == b"three", "no answer to a second client")
        f.sendall(b"q")
        code, events, error = finish(process)
        want(code == 33 and console(events) == "", (code, error))
        want(f.recv(1) == b"", "the socket is not closed")
    want(not os.path.exists(path), "the socket's name stays")


@quick
def a_client_that_does_not_read_holds_nothing_up(s):
    kernel, path = s.build("talker", TALKER), s.path("slow")
    process = start(s, "--kernel", kernel, "--serial", "unix:" + path, "--limit", "3")
    with connect(process, path) as f:
        f.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        began = time.monotonic()
        code, _, error = finish(process)
        want(code == 9 and "still running" in error, (code, error))
        want(time.monotonic() - began < 20, "the client holds the run up")


@quick
def input_from_a_socket_is_recorded(s):
    kernel, path, recording = s.build("echo", ECHO), s.path("recorded"), s.path("recording")
    seeded = ("--kernel", kernel, "--seed", "serial", "--trace-hash", "--serial")
    process = start(s, *seeded, "unix:" + path, "--record", recording)
    with connect(process, path) as f:
        receive(f, len(HELLO))
        f.sendall(b"twice")
        want(receive(f, 5) == b"twice", "no answer")
        f.sendall(b"q")
        code, events, error = finish(process)
    want(code == 33, error)
    code, again, error = finish(start(s, *seeded, s.path("replayed"), "--replay", recording))
    want(code == 33, error)
    want(summary(events)["trace_sha256"] == summary(again)["trace_sha256"], "another trace")
    with open(s.path("replayed"), "rb") as f:
        want(f.read() == HELLO + b"twice", "other output")


@quick
def what_cannot_be_is_refused(s):
    kernel, there = s.build("echo", ECHO), s.write("there", b"")
    run = ("run", "--kernel", kernel, "--memory", "16", "--serial")
    for place, status, words in ((s.path("missing", "file"), 3, "missing"),
                                 ("unix:" + there, 3, "no socket can be made at"),
                                 ("unix:", 2, "the path of a Unix socket"),
                                 ("unix:/" + "x" * 200, 2, "the path of a Unix socket"),
                                 (kernel, 2, "would be overwritten")):
        code, _, error = s.command(*run, place)
        want(code == status and words in one_line(error), (place, code, error))
    with open(kernel, "rb") as f:
        want(f.read(4) == b"\x7fELF", "the kernel was overwritten")
    want(os.path.exists(there), "a file that is no socket of ours is gone")
    vm = {"kernel": kernel, "memory": 16, "serial": s.path("same")}
    machine = s.write("machine", json.dumps({"vms": [vm, vm]}).encode())
    code, _, error = s.command("run", "--machine", machine)
    want(code == 2 and "same 'serial'" in one_line(error), (code, error))


RANDOM = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
load() { while read -r module; do insmod "/modules/$module"; done <"$1"; }
load /modules/order; load /modules/rng-order
echo "random: $(cat /sys/class/misc/hw_random/rng_current)"
echo "random: $(dd if=/dev/hwrng bs=16 count=4 2>/dev/null | sha256sum)"
poweroff -f
"""


@slow
def an_entropy_source_draws_from_the_seed(s):
    root = next((r for r in os.listdir(f"{s.out}/guest") if r.startswith("linux-image-6.1")), None)
    if not root:
        raise Skip("there is no Linux 6.1")
    initrd = s.path("random.cpio.gz")
    subprocess.run([sys.executable, os.path.join(HERE, "../../tools/pack-initrd.py"),
                    f"{s.out}/guest/busybox-static/bin/busybox", s.write("init", RANDOM.encode()),
                    f"{s.out}/guest/{root}", initrd], check=True)
    drawn = []
    for seed in ("one", "one", "two"):
        code, events, error = s.run("--kernel", s.kernel, "--initrd", initrd, "--append", APPEND,
                                    "--mode", "sev", "--memory", "256", "--virtio-rng", "--seed",
                                    seed)
        want(code == 0 and "random: virtio_rng.0" in console(events),
             (error, console(events)[-600:]))
        drawn.append(re.search("random: ([0-9a-f]{64})", console(events)).group(1))
    want(drawn[0] == drawn[1] != drawn[2], drawn)


if __name__ == "__main__":
    tell(
        a_file_gets_what_the_guest_writes,
        a_socket_is_both_ways_and_takes_one_client_after_another,
        a_client_that_does_not_read_holds_nothing_up,
        input_from_a_socket_is_recorded,
        what_cannot_be_is_refused,
        an_entropy_source_draws_from_the_seed,
    )
