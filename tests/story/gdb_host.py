#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's gdb debugs a bare machine: its cores are threads, steps lead from a host's VMRUN into
the guest and from the exit back, breakpoints count in the world that was chosen. The machine and
its trace never change."""
import json
import os
import socket

from debugged import Debugged
from story import TIMEOUT, Skip, console, one_line, quick, summary, tell, want


def small_host():
    """The image that runs, and the program with its symbols."""
    path = os.environ.get("SOFTSEV_SMALL_HOST")
    if not path:
        raise Skip("the small host is not built here: it needs x86-64 and objcopy")
    return path, os.path.join(os.path.dirname(path), "host_wide.elf")


def small(s, *arguments):
    return Debugged(s, "host", "unix:" + s.path("socket"), "--gdb-wait", "--kernel",
                    small_host()[0], "--memory", "64M", "--seed", "story", "--cpus", "2",
                    "--no-reboot", *arguments)


# VMRUN comes after six instructions of world_switch().
WORLDS = """
set architecture i386:x86-64
hbreak world_switch
continue
printf "<switch %d>\\n", $rip == (long)&world_switch
delete
stepi 6
printf "<before vmrun %x>\\n", *(int*)$rip & 0xffffff
set $vmrun = $rip
monitor info
stepi
printf "<in the guest %d>\\n", $rip == (long)&guest
monitor info
monitor registers
info threads
monitor walk $vmrun
monitor walk 0x200000
stepi 2
printf "<rax %ld>\\n", $rax
stepi
printf "<after vmrun %d>\\n", $rip == $vmrun + 3
monitor info
monitor world host
hbreak guest_loop
hbreak on_timer
continue
printf "<timer %d>\\n", $rip == (long)&on_timer
delete
watch timer_count
continue
printf "<timer_count %d>\\n", timer_count
print &timer_count
delete
monitor world nowhere
monitor world guest
monitor world
monitor writer 0x200000
monitor frame 0x200000
monitor rmp 0x200000
monitor launch
set var timer_count = 9
monitor world both
continue
"""
SEEN = ("<switch 1>", "<before vmrun d8010f>", "core 0, host: runs", "core 1, host: halted",
        "<in the guest 1>", "core 0, plain guest, asid 1, VMCB at 0x",
        "#VMEXIT leads to the host's rip", "<rax 42>", "<after vmrun 1>", "<timer 1>",
        "<timer_count 6>", "no such world; breakpoints and watchpoints count in host mode alone",
        "count in guests alone", "has no RMP entry: SNP is off", "no command was given yet",
        "count in host mode and in guests", "exited normally")


@quick
def steps_lead_into_the_guest_and_back(s):
    r = small(s)
    said = r.gdb(WORLDS, small_host()[1])
    code, error = r.end()
    for text in SEEN:
        want(text in said, (text, said))
    want(code == 0, (code, error))
    # timer_count was 5 before the guest's interrupt, and 9 is what GDB wrote
    want("host: interrupts while a guest ran: 4" in console(r.events, "host"), r.events[-5:])
    want(not os.path.exists(s.path("socket")), "the socket is still there")


@quick
def stops_are_not_in_the_trace(s):
    path, symbols = small_host()
    common = ("--kernel", path, "--memory", "64M", "--seed", "story", "--cpus", "2",
              "--no-reboot", "--trace-hash")
    code, out, error = s.command("host", "--json", "--clock", "virtual", *common)
    want(code == 0, error)
    r = small(s, "--trace-hash")
    said = r.gdb("set architecture i386:x86-64\nhbreak guest\ncontinue\ndelete\nstepi 9\n"
                 "watch timer_count\ncontinue\ndelete\ndetach\n", symbols)
    code, error = r.end()
    want(code == 0 and "New value = 6" in said, (code, error, said))
    alone, watched = json.loads(out.splitlines()[-1]), summary(r.events)
    for name in ("trace_sha256", "instructions", "flips", "touched_pages", "busy_ns"):
        want(alone[name] == watched[name], (name, alone, watched))


@quick
def a_reset_machine_is_debugged_again(s):
    kernel = s.build("resets", ".globl _start\n_start: nop\nlidt nothing(%rip)\nud2\n"
                     "nothing: .word 0\n.quad 0\n")
    r = Debugged(s, "host", ":0", "--gdb-wait", "--kernel", kernel, "--memory", "16M", "--seed",
                 "a")
    said = r.gdb("hbreak *_start\ncontinue\ncontinue\nprintf \"<rip %d>\\n\", "
                 "$rip == (long)&_start\nkill\n", kernel)
    code, error = r.end()
    want("<rip 1>" in said and code == 0, (code, error, said))
    want(summary(r.events)["reboots"] == 2, r.events[-1])


def packet(text):
    return f"${text}#{sum(text.encode()) & 0xff:02x}".encode()


@quick
def a_machine_that_sleeps_can_be_stopped(s):
    """All cores halt, and no timer will wake them: GDB's Ctrl-C is answered between two slices."""
    kernel = s.build("sleeps", ".globl _start\n_start: sti\n1: hlt\njmp 1b\n")
    r = Debugged(s, "host", "127.0.0.1:0", "--gdb-wait", "--kernel", kernel, "--memory", "16M",
                 "--seed", "a")
    host, port = r.name.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as c, c.makefile("rb") as f:
        c.sendall(packet("QStartNoAckMode"))
        want(f.read(7) == b"+$OK#9a", "no acknowledgement")
        c.sendall(b"+" + packet("vCont;s:1"))
        want(f.read(3) == b"$T0", "no stop after a step")
        c.sendall(packet("c") + b"\x03")
        answer = b""
        while b"$T02" not in answer:
            byte = f.read(1)
            want(byte, answer)
            answer += byte
        c.sendall(packet("k"))
    code, error = r.end()
    want(code == 0, (code, error))


@quick
def words_that_do_not_go_together(s):
    path, _ = small_host()
    for arguments, why in ((("--gdb", "1234"), "should be"), (("--gdb-wait",), "--gdb"),
                           (("--view-keep",), "--view"), (("--view", "0.0.0.0:1"), "loopback"),
                           (("--view", "127.0.0.1:0", "--quiet"), "--quiet")):
        code, _, error = s.command("host", "--kernel", path, *arguments)
        want(code == 2 and why in one_line(error), (arguments, code, error))


if __name__ == "__main__":
    tell(steps_lead_into_the_guest_and_back, stops_are_not_in_the_trace,
         a_reset_machine_is_debugged_again, a_machine_that_sleeps_can_be_stopped,
         words_that_do_not_go_together)
