/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry and exit of the instruction tests, in two worlds: a Linux process (NATIVE), or the first 64-bit code of a
 * virtual machine, identity mapped and at CPL 0, which has to turn x87 and SSE on. main() returns 0 for success.
 */
    .globl _start
_start:
    xor %ebp, %ebp
#ifdef NATIVE
    and $-16, %rsp
    call main
    mov %eax, %edi
    mov $231, %eax              # exit_group
    syscall
#else
    lea stack_end(%rip), %rsp
    mov %cr0, %rax
    and $~0xc, %rax             # EM, TS
    or $0x22, %rax              # MP, NE
    mov %rax, %cr0
    mov %cr4, %rax
    or $0x600, %rax             # OSFXSR, OSXMMEXCPT
    mov %rax, %cr4
    fninit
    call main
    mov $0xf4, %edx             # debug exit: the host sees (status << 1) | 1
    out %al, %dx
1:  hlt
    jmp 1b
    .bss
    .balign 16
    .skip 65536
stack_end:
#endif
    .section .note.GNU-stack, "", @progbits
