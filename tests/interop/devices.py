#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays random register accesses to QEMU's PC (stopped, by its qtest protocol) and to our devices,
and compares every answer; prints TAP. Where QEMU differs from the data sheets the script keeps
away: the 8259's special mask mode (a masked input ends unasked), the 8254's mode 2 output and gate,
the UART's deltas in loopback and the reset of its transmit FIFO, the version of the I/O APIC.

    devices.py DEVICE_QTEST [SEED]
"""
import random
import shutil
import subprocess
import sys
import threading

QEMU = ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-S", "-nodefaults", "-display",
        "none", "-serial",
        "null", "-m", "64", "-qtest", "stdio", "-qtest-log", "/dev/null"]
ROUNDS = 300
SECONDS = 60


def play(command, lines):
    """The answers to the lines of a script, as far as they come."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    answers = []
    try:
        for line in lines:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            while answer and not answer.startswith(("OK", "FAIL")):
                answer = process.stdout.readline()
            if not answer:
                break
            words = answer.split()
            answers.append(int(words[1], 16) if words[0] == "OK" and len(words) > 1 else words[0])
    except BrokenPipeError:
        pass
    process.kill()
    process.wait()
    watchdog.cancel()
    return answers


def outb(port, value):
    return f"outb {port:#x} {value:#x}"


def inb(port):
    return f"inb {port:#x}"


def pic(r):
    """Requests from the UART (4) and the timer (0), masks, ends of interrupt, polls, level
    inputs."""
    yield from (outb(p, v) for p, v in [(0x20, 0x11), (0x21, 0x30), (0x21, 4), (0x21, 1),
                                        (0xa0, 0x11), (0xa1, 0x38),
                                        (0xa1, 2), (0xa1, 1), (0x3fc, 8)])
    for _ in range(ROUNDS):
        chip = r.choice([0x20, 0xa0])
        yield from r.choice([
            [outb(0x3f9, 0), outb(0x3f9, 2)],
            [inb(0x3fa)],
            [outb(0x43, 0x30)],
            [outb(chip + 1, r.choice([0, 0, 0xff, r.randrange(256)]))],
            [outb(chip, r.choice([0x20, 0x20, 0x60 + r.randrange(8), 0xa0, 0xe0 + r.randrange(8),
                                  0xc0 + r.randrange(8)]))],
            [outb(chip, 0x0c), inb(chip)],
            [outb(chip, 0x0c), inb(chip)],
            [outb(r.choice([0x4d0, 0x4d1]), r.choice([0, 0x10, 0xff]))],
        ])
        for base in (0x20, 0xa0):
            yield from [outb(base, 0x0a), inb(base), outb(base, 0x0b), inb(base), inb(base + 1)]
        yield from [inb(0x4d0), inb(0x4d1)]


def uart(r):
    """All registers but the modem status, outside loopback."""
    yield from [outb(0x3fc, 8), outb(0x3fa, 1), inb(0x3fe)]
    for _ in range(ROUNDS):
        register = r.choice([0, 1, 2, 3, 4, 5, 7])
        value = {2: r.randrange(256) & 0xc2 | 1, 3: r.choice([3, 3, 0x83]),
                 4: r.choice([8, 0xb])}.get(register, r.randrange(256))
        yield inb(0x3f8 + register) if r.random() < 0.5 else outb(0x3f8 + register, value)


def ioapic(r):
    """Masked redirection entries and the registers around them."""
    for _ in range(ROUNDS):
        index = r.choice([0, 2] + list(range(0x10, 0x42)))
        value = r.getrandbits(8) << 24 if index % 2 else r.getrandbits(17) | 0x10000
        yield f"writel 0xfec00000 {index:#x}"
        yield f"writel 0xfec00010 {value:#x}" if r.random() < 0.5 else "readl 0xfec00010"
        yield "readl 0xfec00010"


def pit(r):
    """Control words, counts, latches and read-back of counters whose time stands still."""
    yield outb(0x61, 1)
    for counter in range(3):
        yield from [outb(0x43, counter << 6 | 0x36), outb(0x40 + counter, 0x34),
                    outb(0x40 + counter, 0x12)]
    for _ in range(ROUNDS):
        counter = r.randrange(3)
        port, count = 0x40 + counter, r.choice([0, r.randrange(2, 65536)])
        yield from r.choice([
            [outb(0x43, counter << 6 | 0x30 | r.choice([0, 3]) << 1), outb(port, count & 255),
             outb(port, count >> 8)],
            [outb(0x43, counter << 6), inb(port), inb(port)],
            [outb(0x43, 0xc0 | 2 << counter), inb(port), inb(port), inb(port)],
            [outb(0x43, 0xd0 | 2 << counter), inb(port), inb(port)],
            [outb(0x43, 0xe0 | 2 << counter), inb(port), inb(port), inb(port)],
        ])


def main():
    if not shutil.which(QEMU[0]):
        print("1..0 # SKIP no qemu-system-x86_64")
        sys.exit(77)
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    scripts = [pic, uart, ioapic, pit]
    print(f"1..{len(scripts)}")
    failed = False
    for number, script in enumerate(scripts, 1):
        lines = list(script(random.Random(seed)))
        theirs, ours = play(QEMU, lines), play([sys.argv[1]], lines)
        wrong = [i for i in range(len(lines)) if theirs[i:i + 1] != ours[i:i + 1]
                 or ours[i:i + 1] in ([], ["FAIL"])]
        print(f"{'not ok' if wrong else 'ok'} {number} - {len(lines)} accesses of "
              f"{script.__name__}, seed {seed}")
        for i in wrong[:5]:
            print(f"#   {i}: {lines[i]}: QEMU {theirs[i:i + 1]} ours {ours[i:i + 1]} after "
                  f"{lines[max(0, i - 5):i]}")
        failed = failed or bool(wrong)
    sys.exit(1 if failed else 0)


main()
