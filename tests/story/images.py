#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small guests made here: ELF64, multiboot, crashes; each plain and, where it can be, encrypted."""
import json
import resource

from story import console, one_line, quick, summary, tell, want

PRINT = """
    mov $0x3f8, %edx
    mov $text, %esi
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  mov $0xf4, %edx
    mov $5, %al
    out %al, %dx
3:  hlt
    jmp 3b
"""

ELF64 = """
    .globl _start
_start: cld
""" + PRINT + """
text: .asciz "ELF64 says hello\\n"
"""

# A multiboot 1 image: prints its loader's magic, its command line and its module's first bytes.
MULTIBOOT = """
    .set FLAGS, 2
    .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
    .globl _start
_start: cld
    cmp $0x2badb002, %eax
    jne 9f
    mov $0x3f8, %edx
    mov 16(%ebx), %esi          # command line
7:  lodsb
    test %al, %al
    jz 8f
    out %al, %dx
    jmp 7b
8:  mov 24(%ebx), %edi          # modules
    mov (%edi), %esi
    mov 4(%edi), %ecx
    sub %esi, %ecx
6:  lodsb
    out %al, %dx
    loop 6b
""" + PRINT + """
9:  hlt
text: .asciz " multiboot says hello\\n"
"""

# A stand-in for Linux's vmlinux: a PVH entry in Xen's note, and an entry for the 64-bit boot
# protocol.
VMLINUX = """
    .section .note.Xen, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long pvh_start
    .text
    .globl _start
_start:
    mov $'L', %al
    cmpl $0x53726448, 0x202(%rsi)           # HdrS
    jne wrong
    mov 0x228(%rsi), %esi                   # the command line
    jmp say
    .code32
pvh_start:
    mov $'P', %al
    cmpl $0x336ec578, (%ebx)
    jne wrong
    mov 24(%ebx), %esi
say:
    mov $0x3f8, %edx
    out %al, %dx
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  mov $10, %al
    out %al, %dx
    mov $5, %al
    jmp end
wrong:
    mov $9, %al
end:
    mov $0xf4, %edx
    out %al, %dx
    hlt
"""

# Ends with the number of processors that fw_cfg tells, and the byte that the test device has kept.
TESTDEV = """
    .globl _start
_start:
    mov $0x510, %edx
    mov $5, %eax
    out %ax, %dx
    inc %edx
    in %dx, %al
    mov %al, %bl
    mov $0xe3, %edx
    mov $0x20, %al
    out %al, %dx
    mov $0, %al
    mov $0xeb, %edx                         # the same byte again
    in %dx, %al
    or %bl, %al
    mov $0xf4, %edx
    out %al, %dx
    hlt
"""

TRIPLE_FAULT = """
    .globl _start
_start:
    lidt nothing
    ud2
    .balign 8
nothing: .quad 0, 0
"""


def runs(s, kernel, mode, text, *more):
    code, events, error = s.run("--kernel", kernel, "--mode", mode, "--memory", "32", *more)
    want(code == 2 * 5 + 1, error)
    want(console(events) == text, console(events))
    vm = summary(events)["vms"][0]
    want(vm["state"] == "debug exit" and vm["debug_exit_code"] == 5, vm)


@quick
def an_elf64_program_runs_plain_and_encrypted(s):
    kernel = s.build("elf64", ELF64)
    for mode in ("none", "sev"):
        runs(s, kernel, mode, "ELF64 says hello\n")


@quick
def a_multiboot_kernel_finds_its_command_line_and_module(s):
    kernel = s.build("multiboot", MULTIBOOT, wide=False)
    module = s.write("module", b"a module;")
    for mode in ("none", "sev"):
        runs(s, kernel, mode, f"an argument|a module; multiboot says hello\n", "--append",
             "an argument|", "--initrd", module)


@quick
def a_vmlinux_starts_by_pvh_or_encrypted_by_the_boot_protocol(s):
    kernel = s.build("vmlinux", VMLINUX)
    for mode, text in (("none", "P: an argument\n"), ("sev", "L: an argument\n")):
        runs(s, kernel, mode, text, "--append", ": an argument")


@quick
def a_program_without_firmware_has_fw_cfg_and_the_test_device_if_asked_for(s):
    kernel = s.build("testdev", TESTDEV)
    for more, value in ((("--device", "pc-testdev"), 0x23), ((), 0xff)):
        code, _, error = s.run("--kernel", kernel, "--memory", "16", "--cpus", "3", *more)
        want(code == (2 * value + 1) & 0xff, (code, error))


@quick
def a_module_that_does_not_fit_is_refused_by_host_and_owner(s):
    kernel = s.build("multiboot", MULTIBOOT, wide=False)
    module = s.write("module", bytes(16 << 20))
    for command in (("run", "--quiet"), ("owner", "measure")):
        code, _, error = s.command(*command, "--mode", "sev", "--kernel", kernel, "--initrd",
                                   module, "--memory", "16")
        want(code == 6 and "module" in one_line(error), (code, error))


# Says a word and sleeps.
SLEEPER = """
    .set FLAGS, 0
    .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
    .globl _start
_start:
    mov $0x3f8, %edx
    mov $'z', %al
    out %al, %dx
    sti
1:  hlt
    jmp 1b
"""


@quick
def hundreds_of_sleeping_guests_fit_a_machine_and_cost_little(s):
    kernel = s.build("sleeper", SLEEPER, wide=False)
    vms = [{"name": f"vm{i}", "kernel": kernel, "memory": "4M", "mode": "sev" if i % 10 == 0
            else "none"} for i in range(300)]
    machine = s.write("machine.json", json.dumps({"vms": vms}).encode())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, events, error = s.run("--machine", machine, "--limit", "1000", "--clock", "virtual")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    want(code == 9 and "after --limit" in one_line(error), (code, error))
    want(all(console(events, f"vm{i}") == "z" for i in range(300)), "not every guest has spoken")
    want(summary(events)["instructions"] < 300 * 20, summary(events)["instructions"])
    want(after.ru_utime - before.ru_utime < 20, "sleeping guests cost time")


@quick
def a_triple_fault_ends_the_run_with_its_own_exit_code(s):
    kernel = s.build("triple", TRIPLE_FAULT)
    for mode in ("none", "sev"):
        code, events, error = s.run("--kernel", kernel, "--mode", mode, "--memory", "16")
        want(code == 9 and "triple fault" in one_line(error), (code, error))
        want(summary(events)["vms"][0]["state"] == "crashed", summary(events))


tell(
    an_elf64_program_runs_plain_and_encrypted,
    a_multiboot_kernel_finds_its_command_line_and_module,
    a_vmlinux_starts_by_pvh_or_encrypted_by_the_boot_protocol,
    a_program_without_firmware_has_fw_cfg_and_the_test_device_if_asked_for,
    a_module_that_does_not_fit_is_refused_by_host_and_owner,
    hundreds_of_sleeping_guests_fit_a_machine_and_cost_little,
    a_triple_fault_ends_the_run_with_its_own_exit_code,
)
