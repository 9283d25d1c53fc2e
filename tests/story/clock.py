#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time: no guest can stop it, a limit ends every loop at one and the same machine time, signals end
a run in order, and a guest that nobody wants repeated goes by the wall's clock.
"""
import json
import os
import re
import signal
import subprocess
import time

from story import APPEND, FEW, SAY_TEXT, console, quick, steps, summary, tell, want

ALL, PLAIN = ("none", "sev", "sev-es", "sev-snp"), ("none", "sev")

# 64-bit code with one exception handler for all vectors, on a stack of its own that does not grow.
FRAME = """
    .globl _start
_start:
    cld
    lea stack(%rip), %rsp
    lgdt gdt_pointer(%rip)
    lea tss(%rip), %rax
    lea gdt(%rip), %rbx
    mov %ax, 0x22(%rbx)
    shr $16, %rax
    mov %al, 0x24(%rbx)
    mov %ah, 0x27(%rbx)
    lea stack(%rip), %rax
    mov %rax, tss+36(%rip)
    mov $0x20, %eax
    ltr %ax
    lea idt(%rip), %rdi
    mov $256, %ecx
1:  movabs $HANDLER, %rax
    mov %ax, (%rdi)
    movl $0x8e010010, 2(%rdi)
    shr $16, %rax
    mov %ax, 6(%rdi)
    shr $16, %rax
    mov %eax, 8(%rdi)
    add $16, %rdi
    loop 1b
    lidt idt_pointer(%rip)
    call main
1:  hlt
    jmp 1b
    .balign 8
gdt: .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x0000890000000067, 0
gdt_pointer: .word . - gdt - 1
    .quad gdt
idt_pointer: .word LIMIT
    .quad idt
    .balign 4096
idt: .fill 4096, 1, 0
tss: .fill 128, 1, 0
    .balign 16
    .fill 4096, 1, 0
stack: .quad 0
"""

# What each does for ever: handler, main, length of the IDT less 1, modes. A SEV-ES guest has #VC
# where others exit, which comes
# to the same handler.
LOOPS = {
    "ud": ("ud2", "ud2", 4095, ALL),
    "gp": ("int $0x80", "int $0x80", 511, ALL),
    "pf": (None, "ud2", 4095, ALL),  # the handler itself is not mapped
    "bp": ("int3", "int3", 4095, ALL),
    "msr": ("rdmsr", "mov $0x12345678, %ecx; rdmsr", 4095, ALL),
    "cpuid": ("cpuid; jmp handler", "1: cpuid; jmp 1b", 4095, ALL),
    "hole": ("mov (%rdi), %al; jmp handler", "mov $0xc0000000, %edi; mov $-1, %rcx; rep stosb",
             4095, ALL),
    "read": ("mov (%rdi), %al; jmp handler", "mov $0xc0000000, %edi; 1: mov (%rdi), %eax; jmp 1b",
             4095, ALL),
    "vmmcall": ("vmmcall; jmp handler", "1: vmmcall; jmp 1b", 4095, ALL),
    "port": ("in $0x80, %al; jmp handler", "1: in $0x80, %al; jmp 1b", 4095, ALL),
    "string": ("hlt", "lea idt(%rip), %rsi; mov $0x80, %edx; mov $-1, %rcx; 1: mov $4096, %ecx; "
                      "rep outsb; jmp 1b", 4095, ("none",)),
    # A timer that goes off after every tick of its clock; HLT waits for it.
    "timer": ("movl $0, 0xb0(%rbx); iretq", "mov $0xfee00000, %ebx; movl $0x1ff, 0xf0(%rbx); movl "
                                            "$0xb, 0x3e0(%rbx); movl $0x20040, "
              "0x320(%rbx); movl $1, 0x380(%rbx); sti; 1: hlt; jmp 1b", 4095, PLAIN),
    "msr_protocol": ("hlt", "mov $0xc0010130, %ecx; xor %edx, %edx; 1: mov $2, %eax; wrmsr; .byte "
                            "0xf3, 0x0f, 0x01, 0xd9; jmp 1b", 4095,
                     ("sev-es", "sev-snp")),
}

HELLO = SAY_TEXT + """
    mov $0xf4, %edx
    out %al, %dx
text: .asciz "hello\\n"
"""


def looping(s, name):
    handler, main, limit, _ = LOOPS[name]
    place = "handler" if handler else "0x400000000000"
    source = FRAME.replace("HANDLER", place).replace("LIMIT",
            str(limit)) + f"handler: {handler or 'hlt'}\n jmp handler\nmain: {main}\n ret\n"
    return s.build(name, source)


@quick
def a_limit_ends_every_loop_at_one_machine_time(s):
    want(s.command("platform", "init", "--state", s.state)[0] == 0, "platform init")
    for name, (_, _, _, modes) in LOOPS.items():
        kernel = looping(s, name)
        for mode in modes if not FEW else modes[:1]:
            arguments = ("--kernel", kernel, "--memory", "16", "--mode", mode, "--seed", "loops",
                         "--time", "1", "--trace-hash", "--limit", "1")
            ends = []
            for _ in range(2 if name in ("ud", "hole", "timer") and not FEW else 1):
                code, events, error = s.run(*arguments)
                want(code == 9 and "still running after --limit" in error,
                     (name, mode, code, error))
                ends.append((summary(events)["vms"][0]["guest_ns"],
                             summary(events)["trace_sha256"]))
            want(ends[0] == ends[-1], (name, mode, ends))
            want(ends[0][0] <= 1001000000, (name, mode, ends))


@quick
def a_guest_that_loops_leaves_the_others_their_share(s):
    good = s.build("good", HELLO)
    for name in ("ud", "hole"):
        machine = s.write("machine.json", json.dumps({"vms": [{"name": "evil",
                "kernel": looping(s, name), "memory": 16},
                                                              {"name": "good", "kernel": good,
                                                                      "memory": 16}]}).encode())
        _, events, _ = s.run("--machine", machine, "--limit", "1")
        want(console(events, "good") == "hello\n", (name, events))


def start(s, *arguments, stdout=subprocess.PIPE):
    # nohup passes it on as ignored, and softsev would leave it so
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    return subprocess.Popen([s.softsev, "run", "--json", "--state", s.state, *arguments],
                            stdin=subprocess.DEVNULL, stdout=stdout,
                            stderr=subprocess.PIPE)


def processor_time(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
        used = f.read().rsplit(")", 1)[1].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


def until_it_runs(process):
    """The guest loops: what the process uses of a processor tells that it is there, on a computer
    of any speed."""
    latest = time.monotonic() + 60
    while processor_time(process) < 1 and time.monotonic() < latest and process.poll() is None:
        time.sleep(0.1)


@quick
def a_signal_ends_a_run_in_order(s):
    want(s.command("platform", "init", "--state", s.state)[0] == 0, "platform init")
    trace, record, dump = s.path("trace"), s.path("record"), s.path("dump")
    for name, mode, number in (("ud", "none", signal.SIGTERM), ("ud", "sev-snp", signal.SIGINT),
                               ("hole", "none", signal.SIGHUP),
                               ("timer", "none", signal.SIGTERM),
                               ("port", "sev-es", signal.SIGINT)):
        run = start(s, "--kernel", looping(s, name), "--memory", "16", "--mode", mode, "--trace",
                    "vm,command", "--trace-file", trace,
                    "--record", record, "--dump", dump)
        until_it_runs(run)
        began = time.monotonic()
        run.send_signal(number)
        try:
            out, error = run.communicate(timeout=60)
        finally:
            run.kill()
        want(time.monotonic() - began < 30, (name, mode, time.monotonic() - began))
        want(run.returncode == 128 + number, (name, mode, run.returncode, error))
        vm = json.loads(out.splitlines()[-1])["vms"][0]
        want(vm["state"] == "stopped while running", vm)
        want(mode == "none" or os.path.getsize(trace) > 100, "the trace is empty")
        want(open(record, "rb").read() == b"softsev recording 1\nend\n"
             and os.path.getsize(dump) >= 16 << 20, "recording and dump")
        os.unlink(dump)


@quick
def a_second_signal_ends_it_at_once(s):
    """The first cannot: nobody reads the dump, which has to be written to its end."""
    talk = s.build("talk", ".globl _start\n_start: mov $0x3f8, %edx\n mov $'x', %al\n1: out %al, "
                           "%dx\n jmp 1b\n")
    os.mkfifo(s.path("dump-pipe"))
    reader = os.open(s.path("dump-pipe"), os.O_RDONLY | os.O_NONBLOCK)
    run = start(s, "--kernel", talk, "--memory", "16", "--dump", s.path("dump-pipe"))
    time.sleep(2)
    run.send_signal(signal.SIGTERM)
    time.sleep(1)
    want(run.poll() is None, "it ended without writing its dump")
    run.send_signal(signal.SIGTERM)
    want(run.wait(timeout=20) == 128 + signal.SIGTERM, run.returncode)
    os.close(reader)


@quick
def outputs_that_cannot_be_written_are_errors(s):
    good = s.build("good", HELLO)
    for option in ("--trace-file", "--record", "--dump"):
        code, _, error = s.run("--kernel", good, "--memory", "16", "--trace", "all", option,
                               "/dev/full")
        want(code == 3 and "/dev/full" in error and "No space left on device" in error,
             (option, code, error))
        code, _, error = s.run("--kernel", good, "--memory", "16", "--trace", "all", option,
                               s.path("no", "such"))
        want(code == 3 and "such" in error, (option, code, error))


INIT = "#!/bin/sh\nmount -t proc proc /proc; mount -t devtmpfs dev /dev\n"


def idle_time_passes_as_on_the_wall(s):
    initrd = s.initrd_with("ticks.cpio", INIT + "for i in 0 1 2 3 4 5 6 7 8 9; do\n"
                           "read up rest </proc/uptime; echo \"tick $up\"; sleep 1; done\n"
                           "poweroff -f\n")
    ticks = []
    with subprocess.Popen([s.softsev, "run", "--quiet", "--kernel", s.kernel, "--initrd", initrd,
                           "--append", APPEND, "--memory", "256"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if line.startswith("tick"):
                ticks.append((time.monotonic(), float(line.split()[1]), processor_time(run)))
    want(run.returncode == 0 and len(ticks) == 10, (run.returncode, ticks))
    wall, guest, used = (last - first for first, last in zip(ticks[0], ticks[-1]))
    # A line comes late at times, never early: of several the one that came soonest tells how the
    # clocks differ.
    early, late = (min(seen - told for seen, told, _ in part) for part in (ticks[:5], ticks[5:]))
    # The bounds allow for a computer that does other work: one clock without the other, or a busy
    # loop, is far beyond.
    want(abs(late - early) < 1 and guest >= 9, (late - early, ticks))
    want(used < 0.3 * wall, f"{used} s of processor time in {wall} s of idleness")
    initrd = s.initrd_with("long.cpio", INIT + "sleep 1000\nread up rest </proc/uptime\necho "
                                               "\"slept until $up\"\npoweroff -f\n")
    for more in (("--clock", "virtual"), ("--seed", "a")):
        code, events, error = s.linux("none", *more, initrd=initrd)
        want(code == 0 and 1000 < float(re.search("slept until ([0-9.]+)",
                                                  console(events))[1]) < 1030, (code, error))


def a_plain_guest_reboots_in_place(s):
    initrd = s.initrd_with("reboot.cpio", INIT + "echo once more\nreboot -f\n")
    code, events, error = s.linux("none", "--clock", "virtual", "--limit", "10", initrd=initrd)
    want(code == 9 and "still running" in error, (code, error))
    vm = summary(events)["vms"][0]
    want(vm["reboots"] >= 2, vm)
    code, events, error = s.linux("none", "--clock", "virtual", "--no-reboot", initrd=initrd)
    want(code == 0 and summary(events)["vms"][0]["state"] == "reset"
         and console(events).count("once more") == 1, (code, error))
    code, events, error = s.linux("sev", "--clock", "virtual", initrd=initrd)
    want(code == 0 and "launched anew" in steps(events, "hypervisor"),
         (code, error, steps(events, "hypervisor")))


def a_panic_has_an_exit_status_of_its_own(s):
    initrd = s.initrd_with("panic.cpio", "#!/bin/sh\nexit 3\n")
    for mode in ("none", "sev-es"):
        code, _, error = s.linux(mode, initrd=initrd)
        want(code == 10 and "its kernel panicked: Attempted to kill init!" in error,
             (mode, code, error))


@quick
def requests_are_in_the_trace_with_what_they_ask(s):
    trace = s.path("requests")
    s.run("--kernel", looping(s, "msr_protocol"), "--memory", "16", "--mode", "sev-es", "--limit",
          "1", "--trace", "switch", "--trace-file", trace)
    with open(trace, encoding="utf-8") as f:
        text = f.read(20000)
    requests = [event for line in text.splitlines()[:-1]
                if (event := json.loads(line))["event"] == "VMGEXIT"]
    want(any(e["vm"] == "vm1" and e["cpu"] == "0" and e.get("msr") == "0x2" for e in requests),
         text[:2000])


def requests_in_a_ghcb_are_in_the_trace_with_exit_code_and_infos(s):
    trace = s.path("ghcb-requests")
    code, _, error = s.linux("sev-es", "--limit", "1", "--trace", "switch", "--trace-file", trace)
    want(code in (0, 9), (code, error))
    asked = {}
    with open(trace, encoding="utf-8") as f:
        for line in f:
            event = json.loads(line)
            if event["event"] == "VMGEXIT" and "code" in event:
                want(event["vm"] == "vm1" and "info1" in event and "info2" in event, event)
                asked.setdefault(int(event["code"], 16), set()).add(int(event["info1"], 16))
    want({0x72, 0x7b, 0x7c} <= set(asked), sorted(asked))  # CPUID, ports, MSRs
    want(any(info >> 16 == 0x3f8 for info in asked[0x7b]), "no request is for the serial port")


@quick
def a_kernel_that_knows_nothing_of_sev_is_told_of(s):
    ignorant = s.build("ignorant", ".globl _start\n_start: lidt none(%rip)\n ud2\nnone: .quad 0, "
                                   "0\n")
    for mode, words in (("none", "triple fault"), ("sev", "AMD SEV (CONFIG"),
                        ("sev-es", "AMD SEV-ES"), ("sev-snp", "AMD SEV-SNP")):
        code, _, error = s.run("--kernel", ignorant, "--memory", "16", "--mode", mode)
        want(code == 9 and words in error and (mode == "none") == ("kernel" not in error),
             (mode, code, error))


if __name__ == "__main__":
    tell(a_limit_ends_every_loop_at_one_machine_time,
         a_guest_that_loops_leaves_the_others_their_share, a_signal_ends_a_run_in_order,
         a_second_signal_ends_it_at_once, outputs_that_cannot_be_written_are_errors,
         idle_time_passes_as_on_the_wall,
         a_plain_guest_reboots_in_place, a_panic_has_an_exit_status_of_its_own,
         requests_are_in_the_trace_with_what_they_ask,
         requests_in_a_ghcb_are_in_the_trace_with_exit_code_and_infos,
         a_kernel_that_knows_nothing_of_sev_is_told_of)
