#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's gdb debugs a guest in every mode: breakpoints, steps, watchpoints, registers and memory
in plaintext, and what `monitor` shows beside. The guest and its trace never change, and a debugger
that disappears leaves the guest alone."""
import os
import shutil
import signal
import socket
import subprocess
import time

from debugged import Debugged
from story import TIMEOUT, Skip, quick, slow, tell, want

# Ends by the debug-exit port, and under SEV-ES by the MSR protocol's termination request.
GUEST = """
        .globl _start, again, work, store, report, secret, counter
_start: mov $5, %ebx
        lea secret(%rip), %rsi
again:  mov (%rsi), %rax
        call work
        dec %ebx
        jnz again
report: mov $7, %eax
        cmpb $0, es(%rip)
        jnz 1f
        mov $0xf4, %edx
        out %al, %dx
        hlt
1:      mov $0xc0010130, %ecx
        mov $0x100, %eax
        xor %edx, %edx
        wrmsr
        .byte 0xf3, 0x0f, 0x01, 0xd9    # VMGEXIT
        hlt
work:   add $3, %rax
store:  incq counter(%rip)
        ret
        .balign 8
secret: .quad 0x1122334455667788
counter:.quad 0
es:     .byte ES
"""

SESSION = """
break work
continue
printf "<at %lx of %lx>\\n", $rip, &work
printf "<rax %lx rbx %lx cs %x>\\n", $rax, $rbx, $cs
printf "<secret %lx>\\n", *(long*)&secret
delete
watch *(long*)&counter
continue
printf "<counter %ld, at %ld>\\n", *(long*)&counter, $rip - (long)&store
delete
stepi
printf "<stepped %d>\\n", $rip == (long)&again + 8
set var *(long*)&secret = 0x41
set var $rbx = 2
hbreak work
continue
printf "<rax %lx>\\n", $rax
delete
hbreak report
continue
printf "<end rax %lx counter %ld>\\n", $rax, *(long*)&counter
info threads
monitor walk 0x200000
monitor frame 0x200000
monitor rmp 0x200000
monitor policy
monitor ghcb
monitor writer 0x200000
monitor launch
monitor registers
monitor nonsense
continue
"""
SEEN = ("<rax 1122334455667788 rbx 5 cs 10>", "<secret 1122334455667788>", "<counter 1, at 7>",
        "<stepped 1>", "<rax 41>", "<end rax 44 counter 2>", "processor 0 of vm1: runs",
        "no such command")
MODES = {
    "none": ("not encrypted; system", "has no policy", "no guest with a GHCB", "has no RMP entry",
             "the guest of asid", "no command was given"),
    "sev": ("private; system", "policy 0x1: the firmware refuses", "by the key of asid",
            "has no RMP entry", "the guest of asid", "INIT",
            "LAUNCH_START [sev 5.4]: status=SUCCESS", "LAUNCH_FINISH"),
    "sev-es": ("private; system", "policy 0x5: the firmware refuses", "MSR protocol",
               "a host sees ciphertext", "the guest of asid", "LAUNCH_UPDATE_VMSA"),
    "sev-snp": ("private; system", "policy 0x30000", "Guest-Valid", "validated",
                "a host sees ciphertext", "the guest of asid", "SNP_LAUNCH_UPDATE [snp 5.2]",
                "SNP_LAUNCH_FINISH"),
}


# Goes back by steps, to breakpoints and to the writes of a variable, and to where it began; then
# changes the guest, which begins another history; and on to the end.
BACK = """
stepi
stepi
reverse-stepi
printf "<back at %d>\\n", $rip == (long)&_start + 5
reverse-stepi
reverse-stepi
printf "<begin %d>\\n", $rip == (long)&_start
break work
continue
continue
continue
printf "<rbx %ld counter %ld>\\n", $rbx, *(long*)&counter
reverse-continue
printf "<rbx %ld counter %ld>\\n", $rbx, *(long*)&counter
delete
hbreak report
continue
watch *(long*)&counter
reverse-continue
printf "<counter %ld before the write: %d>\\n", *(long*)&counter, $rip == (long)&store
reverse-continue
printf "<counter %ld>\\n", *(long*)&counter
delete
reverse-continue
printf "<begin again %d>\\n", $rip == (long)&_start
stepi
stepi
set var $rbx = 2
reverse-stepi
printf "<changed: rbx %ld>\\n", $rbx
stepi
reverse-stepi
printf "<rbx %ld>\\n", $rbx
continue
"""
WENT_BACK = ("<back at 1>", "<begin 1>", "<rbx 3 counter 2>", "<rbx 4 counter 1>",
             "<counter 4 before the write: 1>", "Old value = 4", "<counter 3>", "<begin again 1>",
             "<changed: rbx 2>", "<rbx 2>", "No more reverse-execution history")


# CPUID raises #VC; the handler asks the hypervisor for EAX by the MSR protocol.
VC_GUEST = """
        .globl _start, raises, handler, request, answered, answer
_start: lea handler(%rip), %rax
        lea table+29*16(%rip), %rdi
        mov %ax, (%rdi)
        mov %cs, 2(%rdi)
        movw $0x8e00, 4(%rdi)
        shr $16, %rax
        mov %ax, 6(%rdi)
        lidt limit(%rip)
        lea stack(%rip), %rsp
        xor %eax, %eax
raises: cpuid
        mov %eax, answer(%rip)
        mov $0xc0010130, %ecx
        mov $0x100, %eax
        xor %edx, %edx
        wrmsr
        .byte 0xf3, 0x0f, 0x01, 0xd9
        hlt
handler:mov $0xc0010130, %ecx
        mov $4, %eax
        xor %edx, %edx
        wrmsr
request:.byte 0xf3, 0x0f, 0x01, 0xd9    # VMGEXIT
answered:
        rdmsr
        mov %edx, %eax
        add $8, %rsp
        addq $2, (%rsp)
        iretq
limit:  .word 30*16-1
        .quad table
        .balign 16
answer: .quad 0
table:  .skip 30*16
        .skip 256
stack:
"""

VC_SESSION = """
hbreak handler
continue
printf "<handler %d, code %x>\\n", $rip == (long)&handler, *(int*)$rsp
reverse-stepi
printf "<raised %d by %x>\\n", $rip == (long)&raises, *(unsigned short*)$rip
stepi
printf "<handler again %d>\\n", $rip == (long)&handler
delete
hbreak request
continue
monitor ghcb
stepi
printf "<answered %d>\\n", $rip == (long)&answered
stepi
printf "<at least %d>\\n", $rdx >= 7
delete
watch *(int*)&answer
continue
delete
continue
"""
VC_SEEN = ("<handler 1, code 72>", "<raised 1 by a20f>", "<handler again 1>",
           "a request of the MSR protocol", "<answered 1>", "<at least 1>", "Old value = 0")


def guest(s, es):
    name = f"guest-es{es:d}"
    if os.path.exists(s.path(name)):
        return s.path(name)
    return s.build(name, GUEST.replace("ES\n", f"{es:d}\n"))


class Run(Debugged):
    """A guest that waits for a debugger."""

    def __init__(self, s, address, *arguments, memory="32"):
        super().__init__(s, "run", address, "--state", s.state, "--memory", memory, *arguments)


def debugged(s, mode):
    es = mode in ("sev-es", "sev-snp")
    program = guest(s, es)
    r = Run(s, "unix:" + s.path("socket"), "--gdb-wait", "--kernel", program, "--mode", mode)
    said = r.gdb(SESSION, program)
    code, error = r.end()
    for text in (*SEEN, *MODES[mode]):
        want(text in said, (mode, text, said))
    want(code == (9 if es else 15), (mode, code, error))
    want(f"exited with code 0{code:o}" in said, (mode, said))
    want(not os.path.exists(s.path("socket")), "the socket is still there")


@quick
def a_plain_guest(s):
    debugged(s, "none")


@quick
def a_sev_guest(s):
    debugged(s, "sev")


@quick
def a_sev_es_guest(s):
    debugged(s, "sev-es")


@quick
def an_snp_guest(s):
    debugged(s, "sev-snp")


@quick
def stops_are_not_in_the_trace(s):
    """A run from a seed with breakpoints, steps and a watchpoint has the trace, and takes the time,
    of one without."""
    program = guest(s, True)
    common = ("--kernel", program, "--mode", "sev-snp", "--seed", "gdb", "--trace-hash")
    _, events, _ = s.run("--memory", "32", *common)
    r = Run(s, ":0", "--gdb-wait", *common)
    said = r.gdb("break work\ncontinue\ndelete\nstepi\nstepi\nwatch *(long*)&counter\n"
                 "continue\ncontinue\nx/4gx &secret\ndetach\n", program)
    r.end()
    want("New value = 2" in said, said)
    alone, watched = events[-1], r.events[-1]
    for name in ("trace_sha256", "instructions", "flips", "touched_pages"):
        want(alone[name] == watched[name], (name, alone[name], watched[name]))
    want(alone["vms"][0]["guest_ns"] == watched["vms"][0]["guest_ns"], (alone, watched))


def goes_back(s, mode):
    es = mode in ("sev-es", "sev-snp")
    program = guest(s, es)
    common = ("--kernel", program, "--mode", mode, "--seed", "gdb", "--trace-hash")
    r = Run(s, "unix:" + s.path("socket"), "--gdb-wait", "--gdb-reverse", *common)
    said = r.gdb(BACK, program)
    code, error = r.end()
    for text in WENT_BACK:
        want(text in said, (mode, text, said))
    want(code == (9 if es else 15), (mode, code, error))
    want(r.events[-1]["instructions"] < 41 + 4 * es, r.events[-1])  # RBX was 2, not 5


@quick
def back_in_a_plain_guest(s):
    goes_back(s, "none")


@quick
def back_in_an_snp_guest(s):
    goes_back(s, "sev-snp")


def from_the_vc_handler(s, mode):
    program = s.build("vc", VC_GUEST)
    r = Run(s, "unix:" + s.path("socket"), "--gdb-wait", "--gdb-reverse", "--kernel", program,
            "--mode", mode, "--seed", "gdb")
    said = r.gdb(VC_SESSION, program)
    code, error = r.end()
    for text in VC_SEEN:
        want(text in said, (mode, text, said))
    want(code == 9 and "terminated itself" in error, (mode, code, error))


@quick
def back_from_a_sev_es_guest_s_vc_handler(s):
    """To the instruction that raised #VC; then by a step over VMGEXIT, to the answer."""
    from_the_vc_handler(s, "sev-es")


@quick
def back_from_an_snp_guest_s_vc_handler(s):
    from_the_vc_handler(s, "sev-snp")


@quick
def lldb_connects(s):
    if not shutil.which("lldb"):
        raise Skip("lldb is missing (Debian: apt-get install lldb)")
    program = guest(s, True)
    r = Run(s, "127.0.0.1:0", "--gdb-wait", "--kernel", program, "--mode", "sev-snp")
    done = subprocess.run(
        ["lldb", "--no-lldbinit", "--batch", "-o", f"target create {program}",
         "-o", f"gdb-remote {r.name}", "-o", "breakpoint set --name work", "-o", "continue",
         "-o", "register read rip rbx", "-o", "memory read --format x --size 8 --count 1 $rsi",
         "-o", "thread step-inst", "-o", "register read rax", "-o", "breakpoint delete --force",
         "-o", "continue"],
        capture_output=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    code, error = r.end()
    for text in ("work", "rbx = 0x0000000000000005", "0x1122334455667788",
                 "rax = 0x112233445566778b", "exited with status = 9"):
        want(text in said, (text, said, error))
    want(code == 9, (code, error))


@quick
def journeys_are_not_in_the_trace(s):
    """A run that went back and forth ends as one that nobody debugged."""
    program = guest(s, False)
    common = ("--kernel", program, "--seed", "gdb", "--trace-hash")
    _, events, _ = s.run("--memory", "32", *common)
    r = Run(s, ":0", "--gdb-wait", "--gdb-reverse", *common)
    r.gdb("break report\ncontinue\nreverse-stepi\nreverse-stepi\nstepi\nreverse-stepi\n"
          "delete\ndetach\n", program)
    code, error = r.end()
    want(code == 15, (code, error))
    for name in ("trace_sha256", "instructions", "flips", "touched_pages"):
        want(events[-1][name] == r.events[-1][name], (name, events[-1], r.events[-1]))


@slow
def back_in_linux(s):
    """A kernel that has run for a while: steps back, and there again."""
    r = Run(s, ":0", "--gdb-wait", "--gdb-reverse", "--kernel", s.kernel, "--initrd", s.initrd,
            "--append", "console=ttyS0", "--mode", "sev-snp", "--seed", "linux", memory="256M")
    with subprocess.Popen(["gdb", "-q", "-nx"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as gdb:
        gdb.stdin.write(f"set confirm off\nset pagination off\ntarget remote {r.name}\n"
                        "echo <ready>\\n\ncontinue\n")
        gdb.stdin.flush()
        for line in gdb.stdout:
            if "<ready>" in line:
                break
        time.sleep(3)
        gdb.send_signal(signal.SIGINT)
        gdb.stdin.write("set $there = $rip\nset $sp = $rsp\n" + "reverse-stepi\n" * 40 +
                        'printf "<moved %d>\\n", $rip != $there\n' + "stepi\n" * 40 +
                        'printf "<there %d %d>\\n", $rip == $there, $rsp == $sp\nkill\nquit\n')
        gdb.stdin.close()
        said = gdb.stdout.read()
    code, error = r.end()
    want("<moved 1>" in said and "<there 1 1>" in said, (said, error))
    want(code == 0, (code, error))


@quick
def what_cannot_be_taken_back_is_refused(s):
    program, disk = guest(s, False), s.write("disk", bytes(4096))
    common = ("run", "--kernel", program, "--gdb", ":0", "--gdb-reverse")
    for arguments, why in (((), "--seed"), (("--seed", "x", "--record", s.path("r")), "--record"),
                           (("--seed", "x", "--engine", "jit"), "interpreter"),
                           (("--seed", "x", "--disk", disk), "readonly"),
                           (("--seed", "x", "--disk", disk + ",snapshot"), "readonly")):
        code, _, error = s.command(*common, *arguments)
        want(code == 2 and why in error, (arguments, code, error))


@quick
def a_debugger_that_disappears_or_sends_rubbish(s):
    r = Run(s, "127.0.0.1:0", "--gdb-wait", "--kernel", guest(s, False))
    host, port = r.name.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as c:
        c.sendall(b"\0\xff$#$" + b"A" * 100000 + b"#00$qSupported#37")
        c.recv(10)
    code, error = r.end()
    want(code == 15, (code, error))


@quick
def a_debugger_that_does_not_read_keeps_no_signal_waiting(s):
    program = s.build("forever", ".globl _start\n_start: jmp _start\n")
    r = Run(s, "127.0.0.1:0", "--kernel", program)
    host, port = r.name.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=1) as c:
        try:
            while True:
                c.sendall(b"$m200000,1000#7c" * 1000)
        except TimeoutError:
            pass  # the run waits until somebody takes its answers, ten seconds at most
        began = time.monotonic()
        r.process.send_signal(signal.SIGTERM)
        code, error = r.end()
    want(code == 128 + signal.SIGTERM and time.monotonic() - began < 8, (code, error))


@quick
def a_debugger_may_end_the_run(s):
    program = s.build("forever", ".globl _start\n_start: jmp _start\n")
    r = Run(s, ":0", "--gdb-wait", "--kernel", program)
    said = r.gdb("stepi\nkill\n", program)
    code, error = r.end()
    want(code == 0 and "killed" in said, (code, error, said))


@quick
def addresses_are_checked(s):
    program = guest(s, False)
    for address, why in ((":", "should be"), ("1234", "should be"), ("unix:", "path"),
                         (":x", "port 'x'"), (":70000", "port '70000'"), (":-1", "port '-1'"),
                         ("unix:" + program, "Address already in use"),
                         ("unix:" + "x" * 200, "bytes")):
        code, _, error = s.command("run", "--kernel", program, "--gdb", address)
        want(code and why in error, (address, code, error))
    code, _, error = s.command("run", "--kernel", program, "--gdb-wait")
    want(code == 2 and "--gdb" in error, error)
    want(os.path.exists(program), "the file in the socket's place was removed")


if __name__ == "__main__":
    tell(a_plain_guest, a_sev_guest, a_sev_es_guest, an_snp_guest, stops_are_not_in_the_trace,
         back_in_a_plain_guest, back_in_an_snp_guest, back_from_a_sev_es_guest_s_vc_handler,
         back_from_an_snp_guest_s_vc_handler, lldb_connects, journeys_are_not_in_the_trace,
         back_in_linux,
         what_cannot_be_taken_back_is_refused,
         a_debugger_that_disappears_or_sends_rubbish,
         a_debugger_that_does_not_read_keeps_no_signal_waiting, a_debugger_may_end_the_run,
         addresses_are_checked)
