/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guests that are attacked: programs of a few instructions. Each runs to a checkpoint, waits
 * there, checks its own state and reports what it found: through the debug-exit port, or, where
 * port accesses are #VC, as the reason of a GHCB termination.
 */
#include "attack/internal.h"

#include "base/bytes.h"

/*
 * Stands before each program, at VICTIM_LOAD: 8 bytes of mode, 8 unused bytes, the entry, and the
 * functions that the program calls. 90 reports AL and ends, 91 is a checkpoint, 92 waits 100,000
 * instructions, 93 sets gate EAX of the IDT to RBX. Without SEV-ES a checkpoint is a write to a
 * port; with SEV-ES it is a request for the host's SEV information [cpu 7.1].
 */
#define VICTIM(name, code)                                                                         \
    extern const u8 victim_##name[], victim_##name##_end[];                                        \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 4096\n"                                                                       \
            "victim_" #name ":\n"                                                                  \
            "    .quad 0, 0\n"                                                                     \
            "    jmp 99f\n"                                                                        \
            "90: movzbl %al, %eax\n"                                                               \
            "    cmpl $2, 0x200000\n"                                                              \
            "    jae 1f\n"                                                                         \
            "    out %eax, $0xf4\n"                                                                \
            "1:  shl $16, %eax\n"                                                                  \
            "    or $0x2100, %eax\n"                                                               \
            "    xor %edx, %edx\n"                                                                 \
            "    mov $0xc0010130, %ecx\n"                                                          \
            "    wrmsr\n"                                                                          \
            "    rep; vmmcall\n"                                                                   \
            "2:  hlt\n"                                                                            \
            "    jmp 2b\n"                                                                         \
            "91: push %rax\n"                                                                      \
            "    push %rcx\n"                                                                      \
            "    push %rdx\n"                                                                      \
            "    cmpl $2, 0x200000\n"                                                              \
            "    jae 1f\n"                                                                         \
            "    out %al, $0x80\n"                                                                 \
            "    jmp 2f\n"                                                                         \
            "1:  mov $2, %eax\n"                                                                   \
            "    xor %edx, %edx\n"                                                                 \
            "    mov $0xc0010130, %ecx\n"                                                          \
            "    wrmsr\n"                                                                          \
            "    rep; vmmcall\n"                                                                   \
            "2:  pop %rdx\n"                                                                       \
            "    pop %rcx\n"                                                                       \
            "    pop %rax\n"                                                                       \
            "    ret\n"                                                                            \
            "92: mov $100000, %ecx\n"                                                              \
            "1:  loop 1b\n"                                                                        \
            "    ret\n"                                                                            \
            "93: shl $4, %eax\n"                                                                   \
            "    movw $0xfff, 0x2ff000\n"                                                          \
            "    movq $0x300000, 0x2ff002\n"                                                       \
            "    lidt 0x2ff000\n"                                                                  \
            "    mov %bx, 0x300000(%rax)\n"                                                        \
            "    movl $0x8e000010, 0x300002(%rax)\n"                                               \
            "    shr $16, %rbx\n"                                                                  \
            "    mov %bx, 0x300006(%rax)\n"                                                        \
            "    movq $0, 0x300008(%rax)\n"                                                        \
            "    ret\n"                                                                            \
            "99:\n" code "victim_" #name "_end:\n"                                                 \
            ".popsection\n")

VICTIM(registers, "    movabs $0x5ec2e7c0ffee1234, %r12\n"
                  "    call 91b\n"
                  "    call 92b\n"
                  "    movabs $0x5ec2e7c0ffee1234, %rbx\n"
                  "    mov $1, %al\n"
                  "    cmp %rbx, %r12\n"
                  "    je 90b\n"
                  "    mov $2, %al\n"
                  "    jmp 90b\n");

/* Its #VC handler knows a single cause: a page that is not validated [cpu 8.4]. */
VICTIM(pages, "    mov $29, %eax\n"
              "    lea 5f(%rip), %rbx\n"
              "    call 93b\n"
              "    movq $1, 0x400000\n"
              "    movq $2, 0x600000\n"
              "    call 91b\n"
              "    call 92b\n"
              "    mov 0x400000, %rax\n"
              "    cmp $2, %rax\n"
              "    jbe 90b\n"
              "    mov $3, %al\n"
              "    jmp 90b\n"
              "5:  cmpq $0x404, (%rsp)\n"
              "    mov $4, %al\n"
              "    je 90b\n"
              "    mov $6, %al\n"
              "    jmp 90b\n");

VICTIM(state, "    movb $2, 0x400000\n"
              "    call 91b\n"
              "    call 92b\n"
              "    movb $1, 0x400000\n"
              "    call 91b\n"
              "    call 92b\n"
              "    mov 0x400000, %al\n"
              "    jmp 90b\n");

VICTIM(blocks, "    call 5f\n"
               "    jmp 90b\n"
               "    .org victim_blocks + 0x1000\n"
               "5:  mov $1, %al\n"
               "    ret\n"
               "    .org victim_blocks + 0x2000\n"
               "    mov $2, %al\n"
               "    ret\n"
               "    .org victim_blocks + 0x3000\n");

VICTIM(hole, "    mov 0x202000, %al\n"
             "    test %al, %al\n"
             "    jne 90b\n"
             "    mov $1, %al\n"
             "    cmpb $0, 0x201000\n"
             "    jne 90b\n"
             "    mov $5, %al\n"
             "    jmp 90b\n"
             "    .org victim_hole + 0x3000\n");

/* Reads bit 3 of leaf 1 ECX: by CPUID, by the MSR protocol, or from the CPUID page that the CC
 * blob in RSI names [cpu 1.6]. */
VICTIM(feature, "    cmpl $2, 0x200000\n"
                "    je 5f\n"
                "    ja 6f\n"
                "    mov $1, %eax\n"
                "    cpuid\n"
                "    jmp 8f\n"
                "5:  mov $0xc0010130, %ecx\n"
                "    mov $0x80000004, %eax\n"
                "    mov $1, %edx\n"
                "    wrmsr\n"
                "    rep; vmmcall\n"
                "    rdmsr\n"
                "    mov %edx, %ecx\n"
                "    jmp 8f\n"
                "6:  mov 24(%rsi), %rbx\n"
                "    add $16, %rbx\n"
                "7:  cmpl $1, (%rbx)\n"
                "    lea 48(%rbx), %rbx\n"
                "    jne 7b\n"
                "    mov -16(%rbx), %ecx\n"
                "8:  mov $1, %al\n"
                "    bt $3, %ecx\n"
                "    jnc 90b\n"
                "    mov $2, %al\n"
                "    jmp 90b\n");

VICTIM(interrupt, "    mov $0x80, %eax\n"
                  "    lea 5f(%rip), %rbx\n"
                  "    call 93b\n"
                  "    xor %eax, %eax\n"
                  "    call 91b\n"
                  "    call 92b\n"
                  "    inc %eax\n"
                  "    jmp 90b\n"
                  "5:  mov $1, %eax\n"
                  "    iretq\n");

/* Waits with RAX set, and with a handler of #VC in the modes that have #VC. */
#define WITH_HANDLER                                                                               \
    "    cmpl $2, 0x200000\n"                                                                      \
    "    jb 4f\n"                                                                                  \
    "    mov $29, %eax\n"                                                                          \
    "    lea 5f(%rip), %rbx\n"                                                                     \
    "    call 93b\n"                                                                               \
    "4:  mov $0xffee1234, %eax\n"                                                                  \
    "    call 91b\n"                                                                               \
    "    call 92b\n"                                                                               \
    "    mov $0xffee1234, %ebx\n"                                                                  \
    "    cmp %ebx, %eax\n"                                                                         \
    "    mov $1, %al\n"                                                                            \
    "    je 90b\n"                                                                                 \
    "    mov $2, %al\n"                                                                            \
    "    jmp 90b\n"                                                                                \
    "5:  cmpq $0x72, (%rsp)\n"                                                                     \
    "    jne 6f\n"
/* Asks the host for the leaf in RAX, and takes the answer into RAX. */
#define HANDLES_CPUID                                                                              \
    "    push %rcx\n"                                                                              \
    "    push %rdx\n"                                                                              \
    "    mov %eax, %edx\n"                                                                         \
    "    mov $4, %eax\n"                                                                           \
    "    mov $0xc0010130, %ecx\n"                                                                  \
    "    wrmsr\n"                                                                                  \
    "    rep; vmmcall\n"                                                                           \
    "    rdmsr\n"                                                                                  \
    "    mov %edx, %eax\n"                                                                         \
    "    pop %rdx\n"                                                                               \
    "    pop %rcx\n"                                                                               \
    "6:  add $8, %rsp\n"                                                                           \
    "    iretq\n"

/* The first victim believes its error code that the cause was a CPUID; the second checks that there
 * is one at RIP [cpu 6.3]. */
VICTIM(exception, WITH_HANDLER HANDLES_CPUID);
VICTIM(careful, WITH_HANDLER "    push %rbx\n"
                             "    mov 16(%rsp), %rbx\n"
                             "    cmpw $0xa20f, (%rbx)\n"
                             "    pop %rbx\n"
                             "    je 7f\n"
                             "    mov $7, %al\n"
                             "    jmp 90b\n"
                             "7:\n" HANDLES_CPUID);

static const struct {
    const u8 *begin, *end;
} programs[VICTIMS] = {
    [VICTIM_REGISTERS] = {victim_registers, victim_registers_end},
    [VICTIM_PAGES] = {victim_pages, victim_pages_end},
    [VICTIM_STATE] = {victim_state, victim_state_end},
    [VICTIM_BLOCKS] = {victim_blocks, victim_blocks_end},
    [VICTIM_HOLE] = {victim_hole, victim_hole_end},
    [VICTIM_FEATURE] = {victim_feature, victim_feature_end},
    [VICTIM_INTERRUPT] = {victim_interrupt, victim_interrupt_end},
    [VICTIM_EXCEPTION] = {victim_exception, victim_exception_end},
    [VICTIM_CAREFUL] = {victim_careful, victim_careful_end},
};

#define ELF_HEADERS 120u

size_t victim_elf(enum victim victim, enum image_mode mode, u8 out[VICTIM_ELF_MAX])
{
    static const u8 identity[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    size_t size = (size_t)(programs[victim].end - programs[victim].begin);
    memset(out, 0, ELF_HEADERS);
    memcpy(out, identity, sizeof identity);
    store_le16(out + 16, 2);
    store_le16(out + 18, 62);
    store_le64(out + 24, VICTIM_LOAD + 16);
    store_le64(out + 32, 64);
    store_le16(out + 54, 56);
    store_le16(out + 56, 1);
    store_le32(out + 64, 1);
    store_le64(out + 72, ELF_HEADERS);
    store_le64(out + 88, VICTIM_LOAD);
    store_le64(out + 96, size);
    store_le64(out + 104, size);
    memcpy(out + ELF_HEADERS, programs[victim].begin, size);
    store_le64(out + ELF_HEADERS, (u64)mode);
    return ELF_HEADERS + size;
}
