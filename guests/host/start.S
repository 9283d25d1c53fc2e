/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a small host: of the first core by Multiboot 1, of the others by STARTUP. Both end
 * in 64-bit mode with the first 4 GiB mapped one to one, and call C. */
#define MAGIC   0x1badb002
#define FLAGS   0
#define CODE64  8
#define DATA    16
#define CODE32  24

    .section .start, "ax"
    .code32
    .balign 4
    .long MAGIC, FLAGS, -(MAGIC + FLAGS)

    .globl start
start:
    cli
    lgdt gdt_register
    mov $stack_end, %esp
    mov %ebx, %esi /* what Multiboot tells */
    mov $host_main, %edi
    jmp enter_long

/* To 64-bit mode, and on to the function in EDI. */
enter_long:
    mov %cr4, %eax
    or $0x620, %eax /* PAE, and SSE */
    mov %eax, %cr4
    mov $page_tables, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax /* LME */
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax
    and $~4, %eax
    mov %eax, %cr0
    ljmp $CODE64, $long_mode

    .code64
long_mode:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %ebp, %ebp
    mov %edi, %eax
    mov %esi, %edi
    call *%rax
1:  hlt
    jmp 1b

/* --- The other cores: copied to a page below 1 MiB, from which STARTUP begins ------------------- */

    .globl trampoline, trampoline_end
    .code16
trampoline:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl gdt_register_real - trampoline
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $CODE32, $other_core
gdt_register_real:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .code32
other_core:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $other_stack_end, %esp
    mov $host_other, %edi
    jmp enter_long

/* --- Interrupts --------------------------------------------------------------------------------- */

    .code64
    .globl on_timer, on_fault
on_timer:
    push %rax
    incl timer_count(%rip)
    mov $0xfee000b0, %eax
    movl $0, (%rax) /* end of interrupt */
    pop %rax
    iretq

on_fault:
    call host_fault
1:  hlt
    jmp 1b

/* --- A guest, and the world switch to it -------------------------------------------------------- */

    .globl guest, guest_loop, world_switch
guest:
    mov $40, %eax
    add %ebx, %eax /* the general registers but RAX and RSP are the host's */
    vmmcall
guest_loop:
    jmp guest_loop

/* VMRUN of the VMCB at RDI, with RBX 2 in the guest. GIF is set by VMRUN and cleared by #VMEXIT. */
world_switch:
    push %rbx
    push %rbp
    mov %rdi, %rax
    mov $2, %ebx
    clgi
    sti
    vmrun %rax
    stgi /* what is pending comes here */
    nop
    cli
    pop %rbp
    pop %rbx
    ret

    .balign 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
    .quad 0x00cf9a000000ffff
gdt_end:
gdt_register:
    .word gdt_end - gdt - 1
    .long gdt

/* Nested tables are the host's own: every entry lets user code in, as nested accesses count. */
    .data
    .balign 4096
    .globl page_tables
page_tables:
    .quad pointers + 7
    .fill 511, 8, 0
pointers:
    .set i, 0
    .rept 4
    .quad directories + i * 4096 + 7
    .set i, i + 1
    .endr
    .fill 508, 8, 0
directories:
    .set i, 0
    .rept 2048
    .quad i * 0x200000 + 0x87
    .set i, i + 1
    .endr

    .bss
    .balign 16
    .fill 16384
stack_end:
    .fill 8192
other_stack_end:
    .section .note.GNU-stack, "", @progbits
