/* SPDX-License-Identifier: Apache-2.0 */
/* The assembly of the hostile host: a call that survives any exception, a world switch to a SEV-ES
 * or SNP guest, and the guest that it attacks. */
    .code64
    .globl survives, on_survivable, world_switch_es

/* Those that a C function gets back as they were. */
    .macro keep_registers
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm
    .macro give_registers_back
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    .endm

/* bool survives(void (*f)(u64, u64), u64 a, u64 b): calls f(a, b). Returns false if that raised an
 * exception; the error code, if there was one, is then in fault_code. */
survives:
    keep_registers
    mov %rsp, resume(%rip)
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    call *%rax
    mov $1, %eax
resumed:
    movq $0, resume(%rip)
    give_registers_back
    ret

/* Every exception comes here. Where nothing is to survive it, it is a fault of the host's own. */
on_survivable:
    mov (%rsp), %rax
    mov %rax, fault_code(%rip)
    mov resume(%rip), %rax
    test %rax, %rax
    jz 1f
    mov %rax, %rsp
    stgi
    xor %eax, %eax
    jmp resumed
1:  call host_fault
2:  hlt
    jmp 2b

/* void world_switch_es(void *vmcb, void *save_area): the processor keeps class A of the host's
 * state in the save area; the rest is for software to put there, which #VMEXIT loads. */
    .set HOST, 0x400
world_switch_es:
    keep_registers
    mov %rsi, %rax
    vmsave %rax
    mov %rbx, HOST + 0x318(%rsi)
    mov %rbp, HOST + 0x328(%rsi)
    mov %rsi, HOST + 0x330(%rsi)
    mov %rdi, HOST + 0x338(%rsi)
    movq $1, HOST + 0x3e8(%rsi) /* XCR0 */
    movl $0x1f80, HOST + 0x408(%rsi) /* MXCSR */
    movw $0x37f, HOST + 0x410(%rsi) /* x87's control word */
    mov %rdi, %rax
    clgi
    sti
    vmrun %rax
    stgi
    nop
    cli
    give_registers_back
    ret

/* --- The guest ----------------------------------------------------------------------------------
 *
 * 16-bit code at guest address 1000h. It comes to a checkpoint (a request for the host's SEV
 * information), changes the page at 2000h, comes to another, and reports as the reason of a GHCB
 * termination what it finds there: 1 its own change, 2 the other page's contents, 3 its old
 * contents, 4 #VC "page not validated", 5 anything else; 6: R12 is not what it was.
 */
    .section .rodata
    .globl victim, victim_end
    .code16
victim:
    mov $2, %eax
    call tell
    movw $0x1111, 0x2000
    mov $2, %eax
    call tell
    mov 0x2000, %bx
    mov $1, %eax
    cmp $0x1111, %bx
    je report
    inc %eax
    cmp $0xbbbb, %bx
    je report
    inc %eax
    cmp $0xaaaa, %bx
    je report
    mov $5, %eax
    jmp report
    .org victim + 0x80 /* vector 29 of the guest's table leads here */
    mov $4, %eax
report:
    shl $16, %eax
    or $0x2100, %eax
    call tell
1:  hlt
    jmp 1b
tell:
    xor %edx, %edx
    mov $0xc0010130, %ecx
    wrmsr
    rep; vmmcall
    ret
victim_end:
    .section .note.GNU-stack, "", @progbits
