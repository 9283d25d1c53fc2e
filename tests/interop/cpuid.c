/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library to preload: the program then finds AMD's part of $CPUID_FAMILY and $CPUID_MODEL in
 * CPUID, whatever processor is below. Linux makes CPUID fault where the processor can; the program
 * ends with exit code 77 where it cannot.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012 /* asm/prctl.h */
#define SKIPPED        77

static uint32_t signature; /* family, model and stepping as leaves 1 and 8000_0001h say them */
static uint32_t socket; /* leaf 8000_0001h, EBX[31:28]: which package; tells Bergamo from Siena */

static void answer(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    __cpuid_count(leaf, subleaf, r[0], r[1], r[2], r[3]);
    if (leaf == 0) {
        r[1] = signature_AMD_ebx;
        r[2] = signature_AMD_ecx;
        r[3] = signature_AMD_edx;
    } else if (leaf == 1 || leaf == 0x80000001) {
        r[0] = signature;
    }
    if (leaf == 0x80000001)
        r[1] = (r[1] & 0x0fffffff) | socket << 28;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const uint8_t cpuid[2] = {0x0f, 0xa2};
    uint32_t out[4];
    (void)info;
    if (memcmp((const void *)r[REG_RIP], cpuid, sizeof cpuid)) {
        signal(number, SIG_DFL); /* a fault of the program's own: it comes again */
        return;
    }
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    answer((uint32_t)r[REG_RAX], (uint32_t)r[REG_RCX], out);
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    r[REG_RAX] = out[0];
    r[REG_RBX] = out[1];
    r[REG_RCX] = out[2];
    r[REG_RDX] = out[3];
    r[REG_RIP] += (greg_t)sizeof cpuid;
}

static uint32_t number(const char *name)
{
    const char *text = getenv(name);
    return text ? (uint32_t)strtoul(text, NULL, 0) : 0;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    uint32_t family = number("CPUID_FAMILY"), model = number("CPUID_MODEL");
    signature = (family - 15) << 20 | (model >> 4) << 16 | 15 << 8 | (model & 15) << 4 | 1;
    socket = 4;
    if (sigaction(SIGSEGV, &action, NULL) || syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0))
        _exit(SKIPPED);
}
