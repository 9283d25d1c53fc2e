#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several processors: stock kernels start them all in every mode, runs stay equal to the byte, and
what hostile guests do with INIT and STARTUP ends with a word."""
import json
import re

from story import console, quick, slow, steps, summary, tell, want

# A 64-bit guest that has more than one processor: APIC registers through the page, messages with
# ICR, output to the UART.
PRELUDE = """
        .globl _start
_start: mov $0xfee00000, %ebx
        movl $0x1ff, 0xf0(%rbx)
        call main
        hlt
icr:    mov %edi, 0x310(%rbx)   # EDI: destination << 24, ESI: the rest
        mov %esi, 0x300(%rbx)
        ret
say:    mov $0x3f8, %edx        # AL
        out %al, %dx
        ret
leave:  mov $0xf4, %edx         # AL: the debug-exit code
        out %al, %dx
        hlt
copy:   lea ap(%rip), %rsi      # the trampoline to 0x8000
        mov $0x28000, %edi
        mov $ap_end - ap, %ecx
        rep movsb
        ret
"""
# Real mode at 2800:0000: says its letter, and that it is done at 2800:0ff8.
TRAMPOLINE = """
        .code16
ap:     mov $0x3f8, %dx
        mov $'a', %al
        out %al, %dx
        mov $1, %al
        movb %al, %cs:0xff8
1:      hlt
        jmp 1b
ap_end: .code64
"""
START = """
main:   call copy
        mov $0x01000000, %edi
        mov $0x4500, %esi
        call icr
        mov $0x4628, %esi
        call icr
1:      pause
        cmpb $0, 0x28ff8
        je 1b
        mov $'b', %al
        call say
        mov $5, %al
        call leave
"""
STORM = """
main:   call copy
        mov $0x40000, %edi      # where they all start: HLT, in each page
3:      movl $0xfdebf4, (%rdi)
        add $0x1000, %edi
        cmp $0x80000, %edi
        jb 3b
        mov $20000, %r12d
1:      mov %r12d, %esi
        imul $0x9e3779b1, %esi
        mov %esi, %edi
        shr $13, %esi
        and $0x3f, %esi
        or $0xc4640, %esi       # STARTUP to all others, many vectors
        test $1, %r12d
        jz 2f
        and $0x7f000000, %edi   # or INIT to anybody but oneself, most of whom are not there
        or $0x01000000, %edi
        mov $0x4500, %esi
2:      call icr
        dec %r12d
        jnz 1b
        mov $6, %al
        call leave
"""
TRIPLE = """
main:   call copy
        mov $0x01000000, %edi
        mov $0x4500, %esi
        call icr
        mov $0x4628, %esi
        call icr
1:      pause
        jmp 1b
"""
TRIPLE_AP = """
        .code16
ap:     lidtl %cs:zero - ap
        ud2
zero:   .word 0
        .long 0
ap_end: .code64
"""


def boots(s, mode, cpus, *more):
    code, events, error = s.linux(mode, "--cpus", str(cpus), *more)
    want(code == 0, error)
    text = console(events)
    want(f"Brought up 1 node, {cpus} CPUs" in text,
         f"--mode {mode}: the kernel did not start {cpus} processors")
    want(f"guest: processors: {cpus}\r\n" in text,
         f"--mode {mode}: userland does not see {cpus} processors")
    want(re.search(r"BUG|WARNING|Call Trace|stall", text) is None, text[-2000:])
    want(summary(events)["vms"][0]["state"] == "powered off", summary(events))
    return events, text


def a_stock_kernel_starts_its_other_processors_by_the_jump_table(s):
    events, text = boots(s, "sev-es", 2, "--owner-secret", s.secret)
    want("Memory Encryption Features active: AMD SEV SEV-ES" in text,
         "the guest does not see SEV-ES")
    want("registers of 2 processors" in steps(events, "hypervisor"),
         "the registers were not launched")
    want("equal" in steps(events, "owner"), "the owner did not compare measurements")
    want(summary(events)["vms"][0]["vmgexits"]["jump_table"] > 0,
         "the kernel did not ask for the jump table")


def a_stock_snp_kernel_creates_its_other_processors(s):
    events, text = boots(s, "sev-snp", 2)
    want("Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP" in text,
         "the guest does not see SEV-SNP")
    want(summary(events)["vms"][0]["vmgexits"]["ap_creation"] == 1,
         "the kernel did not create its second processor")


@slow
def stock_kernels_start_2_4_and_8_processors_in_every_mode(s):
    for mode in ("none", "sev", "sev-es", "sev-snp"):
        for cpus in (2, 4, 8):
            if cpus > 2 or mode in ("none", "sev"):
                boots(s, mode, cpus)


@slow
def two_boots_of_four_processors_are_equal_to_the_byte(s):
    def boot():
        events, text = boots(s, "sev-es", 4, "--seed", "processors", "--time", "1000000000",
                             "--trace-hash")
        return summary(events)["trace_sha256"], summary(events)["instructions"], text

    want(boot() == boot(), "two runs differ")


WORK = """#!/bin/sh
mount -t proc proc /proc; mount -t devtmpfs dev /dev
work() { { echo $1; head -c 100000 /dev/zero; } | sha256sum | cut -d' ' -f1 >/out.$1; }
for i in 1 2 3 4 5 6 7 8; do
    for again in 1 2 3; do work $i & done
done
wait
sum=$(cat /out.* | sha256sum | cut -d' ' -f1)
one=$(for i in 1 2 3 4 5 6 7 8; do work $i; cat /out.$i; done | sha256sum | cut -d' ' -f1)
[ "$sum" = "$one" ] && echo "guest: work agrees"
while read -r name user nice system rest; do
    case $name in cpu[0-9]*) [ $((user + system)) -gt 0 ] && echo "guest: $name worked" ;; esac
done </proc/stat
poweroff -f
"""


@slow
def processes_work_on_all_processors(s):
    for mode in ("none", "sev-es"):
        code, events, error = s.linux(mode, "--cpus", "4", "--limit", "20",
                                      initrd=s.initrd_with("work.cpio", WORK))
        want(code == 0, error)
        text = console(events)
        want("guest: work agrees" in text, text[-1500:])
        want(all(f"guest: cpu{i} worked" in text for i in range(4)), text[-1500:])


@slow
def guests_of_several_processors_share_a_machine(s):
    vm = {"kernel": s.kernel, "initrd": s.initrd,
          "append": "console=ttyS0 panic=-1 cryptomgr.notests", "memory": 256}
    machine = s.write("machine.json", json.dumps({"vms": [dict(vm, name="alice", mode="sev-es",
            cpus=2),
                                                          dict(vm, name="bob", cpus=3),
                                                          dict(vm, name="carol")]}).encode())
    code, events, error = s.run("--machine", machine)
    want(code == 0, error)
    for name, cpus in (("alice", 2), ("bob", 3), ("carol", 1)):
        want(f"guest: processors: {cpus}\r\n" in console(events, name),
             f"{name} has another number of processors")


@quick
def a_processor_starts_in_real_mode_where_it_is_told_to(s):
    guest = s.build("start", PRELUDE + START + TRAMPOLINE)
    code, events, error = s.run("--kernel", guest, "--memory", "16", "--cpus", "2", "--limit", "5")
    want(code == 11 and console(events) == "ab", (code, console(events), error))
    code, events, error = s.run("--kernel", guest, "--memory", "16", "--cpus", "1", "--limit", "1")
    want(code == 9 and console(events) == "", (code, console(events), error))


@quick
def a_storm_of_init_and_startup_is_weathered(s):
    guest = s.build("storm", PRELUDE + STORM + TRAMPOLINE)
    code, events, error = s.run("--kernel", guest, "--memory", "16", "--cpus", "8", "--limit", "5")
    want(code == 13, (code, error, summary(events)))


@quick
def a_triple_fault_of_any_processor_ends_the_guest_with_a_word(s):
    guest = s.build("triple", PRELUDE + TRIPLE + TRIPLE_AP)
    code, _, error = s.run("--kernel", guest, "--memory", "16", "--cpus", "2", "--limit", "5")
    want(code == 9 and "triple fault" in error, (code, error))


@quick
def numbers_of_processors_that_cannot_be_are_refused(s):
    for number in ("0", "9", "two", "-1"):
        code, _, error = s.run("--kernel", s.kernel, "--cpus", number)
        want(code == 2 and f"cpus '{number}': expected a number from 1 to 8" in error,
             (code, error))


if __name__ == "__main__":
    tell(
        a_stock_kernel_starts_its_other_processors_by_the_jump_table,
        a_stock_snp_kernel_creates_its_other_processors,
        stock_kernels_start_2_4_and_8_processors_in_every_mode,
        two_boots_of_four_processors_are_equal_to_the_byte,
        processes_work_on_all_processors,
        guests_of_several_processors_share_a_machine,
        a_processor_starts_in_real_mode_where_it_is_told_to,
        a_storm_of_init_and_startup_is_weathered,
        a_triple_fault_of_any_processor_ends_the_guest_with_a_word,
        numbers_of_processors_that_cannot_be_are_refused,
    )
