#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs to be watched: a stock kernel's boot as an SNP guest with --gdb that nobody uses,
with --view that nobody looks at, and with a page that asks four times a second, over the same boot
alone; then how long reverse-continue takes over the way forward (both interpreted). Exits 1 if a goal is missed.

    watching.py SOFTSEV OUT [ROUNDS]
"""
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

from measure import in_turn, ratio, report, Run

IDLE, LIVE = 1.01, 1.10
ASKS_SECONDS = 0.25
LOOP = 50_000_000  # turns of two instructions

GUEST = f"""
        .globl _start, early, late
_start: nop
early:  mov ${LOOP}, %ecx
        jmp 1f
        .balign 4096    # a breakpoint slows the page that it is in
1:      dec %ecx
        jnz 1b
        jmp late
        .balign 4096
late:   mov $7, %eax
        mov $0xf4, %edx
        out %al, %dx
        hlt
"""
BACK = """
set confirm off
set pagination off
target remote {socket}
hbreak early
continue
hbreak late
python import time; began = time.monotonic()
continue
python print("<on %f>" % (time.monotonic() - began))
python began = time.monotonic()
reverse-continue
python print("<back %f>" % (time.monotonic() - began))
printf "<early %d>\\n", $rip == (long)&early
kill
"""


def follow(url, ended):
    """Asks for events as the page does, until the run has ended."""
    host, path = url[7:].split("/", 1)
    count = 0
    while not ended.wait(ASKS_SECONDS):
        more = True
        while more and not ended.is_set():
            try:
                link = http.client.HTTPConnection(host, timeout=30)
                link.request("GET", f"/{path}events?from={count}")
                answer = json.loads(link.getresponse().read())
                link.close()
            except (OSError, http.client.HTTPException):
                return
            count += len(answer["events"])
            more = answer["more"]


def watched(command):
    """Runs it with a page that follows it."""
    ended = threading.Event()
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    page, text = None, b""
    for line in process.stdout:
        text += line
        found = re.search(rb"http://\S+", line)
        if found and not page:
            page = threading.Thread(target=follow, args=(found[0].decode(), ended))
            page.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    ended.set()
    page.join()
    if status:
        sys.exit(f"bench: {' '.join(command)} failed:\n{text[-2000:].decode()}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, text)


def back(softsev, folder):
    """Seconds of continue, and of reverse-continue, for a second of guest time."""
    source, program, socket = (f"{folder}/{name}" for name in ("back.S", "back", "socket"))
    with open(source, "w", encoding="utf-8") as f:
        f.write(GUEST)
    subprocess.run(["as", "-o", program + ".o", source], check=True)
    subprocess.run(["ld", "-Ttext", "0x200000", "-o", program, program + ".o"], check=True)
    with open(f"{folder}/commands", "w", encoding="utf-8") as f:
        f.write(BACK.format(socket=socket))
    with subprocess.Popen([softsev, "run", "--kernel", program, "--memory", "16M", "--mode", "none",
                           "--seed", "back", "--gdb", "unix:" + socket, "--gdb-wait",
                           "--gdb-reverse"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          stderr=subprocess.STDOUT, text=True) as run:
        while "listens" not in run.stdout.readline():
            pass
        done = subprocess.run(["gdb", "-q", "-nx", "-batch", "-x", f"{folder}/commands", program],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        run.communicate()
    if "<early 1>" not in done.stdout:
        sys.exit(f"bench: reverse-continue came elsewhere:\n{done.stdout}{done.stderr}")
    return [float(re.search(f"<{way} ([\\d.]+)>", done.stdout)[1]) / (2 * LOOP / 1e9)
            for way in ("on", "back")]


def main():
    softsev, out = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    good = True
    with tempfile.TemporaryDirectory(prefix="softsev-bench-") as folder:
        boot = [softsev, "run", "--kernel", f"{out}/vmlinuz-6.12", "--initrd",
                f"{out}/initrd-6.12.cpio.gz", "--append", "console=ttyS0 quiet", "--mode",
                "sev-snp", "--seed", "watching"]
        with_gdb = boot + ["--gdb", f"unix:{folder}/gdb"]
        with_view = boot + ["--view", "127.0.0.1:0"]
        runs = in_turn({"alone": boot, "gdb": with_gdb, "view": with_view}, rounds)
        live = [watched(with_view) for _ in range(rounds)]
        for name, goal, ours in (("--gdb, idle", IDLE, runs["gdb"]),
                                 ("--view, idle", IDLE, runs["view"]),
                                 ("--view, live", LIVE, live)):
            good &= report(f"boot with {name}, processor time", ratio(ours, runs["alone"], "cpu"),
                           "x the boot alone", goal)
        forth, away = back(softsev, folder)
        report("reverse-continue", away / forth, "x the way forward",
               note=f"; {away:.1f} s for a second of guest time, {forth:.1f} s forward")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
