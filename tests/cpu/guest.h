/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small guest for tests of the cpu room: 16 MiB of memory, a VMCB, nested tables that put guest
 * address x at 8 MiB + x, guest tables, GDT, TSS and an IDT whose handler of vector n is a HLT at
 * HANDLERS + 16 n, so that where the guest halts says what was delivered.
 */
#ifndef SOFTSEV_TESTS_CPU_GUEST_H
#define SOFTSEV_TESTS_CPU_GUEST_H

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#ifdef GUEST_FOR_FUZZING /* linked without cmocka */
#define assert_true(holds)     ((holds) ? (void)0 : abort())
#define assert_non_null(p)     assert_true(p)
#define assert_int_equal(a, b) assert_true((a) == (b))
#else
#include <cmocka.h>
#endif

#include "assembly.h"
#include "choose_engine.h"
#include "cpu/internal.h"
#include "memory/rmp.h"

/* System addresses. */
#define VMCB       0x1000ull
#define HSAVE      0x2000ull
#define IOPM       0x3000ull
#define MSRPM      0x6000ull
#define NPT        0x10000ull /* PML4, PDPT, PD, PT of the first 2 MiB */
#define GUEST_BASE MIB(8)

/* Guest addresses. */
#define PML4     0x1000ull /* PDPT, PD and the PT of the first 2 MiB follow */
#define PT       0x4000ull
#define GDT      0x5000ull
#define TSS      0x5800ull
#define IDT      0x6000ull
#define STACK    0x8000ull /* top */
#define IST1     0xa000ull /* top */
#define USTACK   0xc000ull /* top */
#define CODE     0x10000ull
#define HANDLERS 0x11000ull
#define DATA     0x20000ull

enum {
    SEL_CODE64 = 0x08,
    SEL_DATA = 0x10,
    SEL_CODE32 = 0x18,
    SEL_USER_DATA = 0x20,
    SEL_USER64 = 0x28,
    SEL_TSS = 0x30
};

struct guest {
    struct memory *memory;
    struct clock clock;
    struct random_source random;
    struct cpu *cpu;
    struct vmcb vmcb;
    memory_key key;
};

static void count_up(void *context, void *out, size_t count)
{
    static u8 next;
    (void)context;
    for (size_t i = 0; i < count; i++)
        ((u8 *)out)[i] = ++next;
}

static inline void guest_write(struct guest *g, u64 gpa, const void *data, size_t size)
{
    assert_true(memory_write(g->memory, GUEST_BASE + gpa, g->key, data, size));
}

static inline void guest_write_code(struct guest *g, u64 gpa, struct code code)
{
    guest_write(g, gpa, code.bytes, code.size);
}

static inline void guest_write64(struct guest *g, u64 gpa, u64 value)
{
    guest_write(g, gpa, &value, sizeof value);
}

static inline u64 guest_read64(struct guest *g, u64 gpa)
{
    u64 value = 0;
    assert_true(memory_peek(g->memory, GUEST_BASE + gpa, g->key, &value, sizeof value));
    return value;
}

static inline void host_write64(struct guest *g, u64 spa, u64 value)
{
    assert_true(memory_write(g->memory, spa, KEY_RAW, &value, sizeof value));
}

static inline u64 host_read64(struct guest *g, u64 spa)
{
    u64 value = 0;
    assert_true(memory_read(g->memory, spa, KEY_RAW, &value, sizeof value));
    return value;
}

static void build_nested_tables(struct guest *g)
{
    u64 all = PTE_P | PTE_RW | PTE_US;
    host_write64(g, NPT, (NPT + 0x1000) | all);
    host_write64(g, NPT + 0x1000, (NPT + 0x2000) | all);
    host_write64(g, NPT + 0x2000, (NPT + 0x3000) | all);
    for (u64 i = 1; i < 4; i++)
        host_write64(g, NPT + 0x2000 + 8 * i, (GUEST_BASE + MIB(2 * i)) | all | PTE_PS);
    for (u64 i = 0; i < 512; i++)
        host_write64(g, NPT + 0x3000 + 8 * i, (GUEST_BASE + 4096 * i) | all);
}

static u64 c_of(const struct guest *g)
{
    return g->key ? BIT(51) : 0;
}

static void build_guest_tables(struct guest *g)
{
    u64 all = PTE_P | PTE_RW | PTE_US | c_of(g);
    guest_write64(g, PML4, 0x2000 | all);
    guest_write64(g, PML4 + 0x1000, 0x3000 | all);
    guest_write64(g, PML4 + 0x2000, PT | all);
    for (u64 i = 1; i < 4; i++)
        guest_write64(g, PML4 + 0x2000 + 8 * i, MIB(2 * i) | all | PTE_PS);
    for (u64 i = 0; i < 512; i++)
        guest_write64(g, PT + 8 * i, (4096 * i) | all);
}

static void build_descriptors(struct guest *g)
{
    static const u64 gdt[] = {
        0,
        0x00af9b000000ffff, /* code64 */
        0x00cf93000000ffff, /* data */
        0x00cf9b000000ffff, /* code32 */
        0x00cff3000000ffff, /* user data */
        0x00affb000000ffff, /* user code64 */
        0x0000890000000067 | (TSS & 0xffffff) << 16,
        0,
    };
    guest_write(g, GDT, gdt, sizeof gdt);
    u8 tss[104] = {0};
    store_le64(tss + 4, STACK);
    store_le64(tss + 0x24, IST1);
    store_le16(tss + 0x66, 104);
    guest_write(g, TSS, tss, sizeof tss);
    for (u64 vector = 0; vector < 256; vector++) {
        u64 handler = HANDLERS + 16 * vector;
        guest_write64(g, IDT + 16 * vector,
                      (handler & 0xffff) | SEL_CODE64 << 16 | 0xeeull << 40 |
                          (handler >> 16) << 48);
        guest_write64(g, IDT + 16 * vector + 8, 0);
    }
    u8 halts[4096];
    memset(halts, 0xf4, sizeof halts);
    guest_write(g, HANDLERS, halts, sizeof halts);
}

static inline struct vmcb_segment segment_64(u16 selector, u16 attributes)
{
    return (struct vmcb_segment){selector, attributes, 0xffffffff, 0};
}

static void build_vmcb(struct guest *g)
{
    struct vmcb_control *k = &g->vmcb.control;
    struct vmcb_save *s = &g->vmcb.save;
    memset(&g->vmcb, 0, sizeof g->vmcb);
    k->intercept_3 = (u32)(INTERCEPT3_INTR | INTERCEPT3_HLT | INTERCEPT3_SHUTDOWN);
    k->intercept_4 = (u32)INTERCEPT4_VMRUN;
    k->iopm_base = IOPM;
    k->msrpm_base = MSRPM;
    k->asid = 1;
    k->v_intr = (u32)V_INTR_MASKING;
    k->np_control = NP_ENABLE | (g->key ? NP_SEV : 0);
    k->n_cr3 = NPT;
    s->cs = segment_64(SEL_CODE64, 0xa9b);
    s->ss = s->ds = s->es = s->fs = s->gs = segment_64(SEL_DATA, 0xc93);
    s->gdtr = (struct vmcb_segment){.limit = 0x3f, .base = GDT};
    s->idtr = (struct vmcb_segment){.limit = 0xfff, .base = IDT};
    s->tr = (struct vmcb_segment){SEL_TSS, 0x8b, 0x67, TSS};
    s->ldtr = (struct vmcb_segment){.attributes = 0x82, .limit = 0xffff};
    s->efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    s->cr3 = PML4;
    s->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR;
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
    s->rflags = RFLAGS_ONE;
    s->g_pat = 0x0007040600070406ull;
    s->rip = CODE;
    s->rsp = STACK;
}

/* With a key, the guest is a SEV guest whose memory is encrypted under ASID 1. */
static struct guest *guest_create(bool sev)
{
    static const u8 key[16] = "key of ASID one";
    mallopt(M_PERTURB,
            0); /* meson has malloc fill a core's large arenas, which is all a test would do */
    struct guest *g = calloc(1, sizeof *g);
    g->random.fill = count_up;
    g->memory =
        memory_create(&(struct memory_config){.size = MIB(16), .asids = 4, .random = &g->random});
    assert_non_null(g->memory);
    if (sev) {
        assert_true(memory_key_load(g->memory, 1, key));
        g->key = 1;
    }
    struct cpu_config config = with_engine(
        (struct cpu_config){.memory = g->memory, .clock = &g->clock, .random = &g->random});
    g->cpu = cpu_create(&config);
    assert_non_null(g->cpu);
    assert_true(cpu_host_wrmsr(g->cpu, MSR_EFER, EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE));
    assert_true(cpu_host_wrmsr(g->cpu, MSR_VM_HSAVE_PA, HSAVE));
    assert_true(cpu_host_wrmsr(g->cpu, MSR_SYSCFG, SYSCFG_MEM_ENCRYPT));
    assert_true(cpu_host_wrmsr(g->cpu, MSR_HWCR, HWCR_SMM_LOCK));
    build_nested_tables(g);
    build_guest_tables(g);
    build_descriptors(g);
    build_vmcb(g);
    return g;
}

/* SNP is on: a table for all of memory at `table`, every page the hypervisor's. */
static inline void guest_snp(struct guest *g, u64 table)
{
    u64 end = table + rmp_table_size(memory_size(g->memory)) - 1;
    assert_true(cpu_host_wrmsr(g->cpu, MSR_RMP_BASE, table));
    assert_true(cpu_host_wrmsr(g->cpu, MSR_RMP_END, end));
    assert_true(
        cpu_host_wrmsr(g->cpu, MSR_SYSCFG, SYSCFG_MEM_ENCRYPT | SYSCFG_SNP_EN | SYSCFG_VMPL_EN));
    assert_true(rmp_enable(g->memory, table, end));
    rmp_clear(g->memory);
}

static void guest_destroy(struct guest *g)
{
    cpu_destroy(g->cpu);
    memory_destroy(g->memory);
    free(g);
}

/* VMRUN with the registers VMLOAD carries, for so long at most; the exit code. */
static u64 guest_vmrun_for(struct guest *g, u64 ns)
{
    assert_true(memory_write(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb));
    assert_true(cpu_vmload(g->cpu, VMCB));
    assert_true(cpu_vmrun(g->cpu, VMCB, g->clock.now + ns));
    assert_true(cpu_vmsave(g->cpu, VMCB));
    assert_true(memory_read(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb));
    return g->vmcb.control.exit_code;
}

static u64 guest_vmrun(struct guest *g)
{
    return guest_vmrun_for(g, 100000);
}

/* Runs this code, with HLT behind it, at the guest's RIP. */
static inline u64 guest_run_code(struct guest *g, struct code code)
{
    guest_write_code(g, g->vmcb.save.rip, code);
    guest_write_code(g, g->vmcb.save.rip + code.size, ASM("hlt"));
    return guest_vmrun(g);
}
#define RUN(g, text) guest_run_code((g), ASM(text))

/* The vector whose handler halted; fails if the guest halted elsewhere. */
static inline u64 delivered(const struct guest *g)
{
    assert_int_equal(g->vmcb.control.exit_code, EXIT_HLT);
    u64 rip = g->vmcb.save.rip;
    assert_true(rip >= HANDLERS && rip < HANDLERS + 4096 && rip % 16 == 0);
    return (rip - HANDLERS) / 16;
}

#endif
