/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare machine for tests: the memory and the guest of guest.h, a core that is wired to a board
 * that notes what it is asked, and a host in 64-bit mode at H_CODE.
 */
#ifndef SOFTSEV_TESTS_CPU_BARE_MACHINE_H
#define SOFTSEV_TESTS_CPU_BARE_MACHINE_H

#include "cpu/bare/bare.h"
#include "cpu/svm/vmsa_switch.h"

#include "snp.h"

/* System addresses of the host, beside those of guest.h. */
#define H_PML4     0x20000ull /* PDPT and PD follow: 2 MiB pages, one more than there is memory */
#define H_GDT      0x23000ull
#define H_IDT      0x24000ull
#define H_HANDLERS 0x25000ull /* of vector n at + 64 n, HLT all over */
#define H_CODE     0x30000ull
#define H_STACK    0x38000ull /* top */
#define H_DATA     0x40000ull
#define H_DEVICE   MIB(16) /* beyond memory */
#define H_APIC     0x50000ull

struct board {
    struct guest *g;
    struct device_access last;
    u32 accesses, wbinvds, acknowledged;
    u64 value;           /* what a read returns */
    u64 takes_ns;        /* what an access takes */
    bool raises, yields; /* an access pins INTR, or yields */
    u64 shortens;        /* an access shortens the deadline to this */
    u8 vector;
    u64 tpr, tsc_deadline;
    u64 rip; /* at the last access */
};

static void on_access(void *context, u32 core, struct device_access *a)
{
    struct board *b = context;
    assert_int_equal(core, 0);
    b->accesses++;
    b->last = *a;
    b->rip = b->g->cpu->engine.insn_rip;
    if (!a->write)
        a->value = b->value;
    b->g->clock.now += b->takes_ns;
    if (b->raises)
        cpu_pin_interrupt(b->g->cpu, true);
    if (b->yields)
        cpu_yield(b->g->cpu);
    if (b->shortens)
        cpu_shorten(b->g->cpu, b->shortens);
}

static u8 on_acknowledge(void *context, u32 core)
{
    struct board *b = context;
    (void)core;
    b->acknowledged++;
    cpu_pin_interrupt(b->g->cpu, false);
    return b->vector;
}

static u64 on_read_tpr(void *context, u32 core)
{
    (void)core;
    return ((struct board *)context)->tpr;
}

static void on_write_tpr(void *context, u32 core, u64 cr8)
{
    (void)core;
    ((struct board *)context)->tpr = cr8;
}

static bool on_read_msr(void *context, u32 core, u32 msr, u64 *value)
{
    (void)core;
    *value = ((struct board *)context)->tsc_deadline;
    return msr == 0x6e0;
}

static bool on_write_msr(void *context, u32 core, u32 msr, u64 value)
{
    (void)core;
    if (msr == 0x6e0)
        ((struct board *)context)->tsc_deadline = value;
    return msr == 0x6e0 || msr == MSR_APIC_BASE;
}

static void on_wbinvd(void *context, u32 core)
{
    (void)core;
    ((struct board *)context)->wbinvds++;
}

/* A guest's fixture whose core is wired, in 64-bit host mode at H_CODE. */
struct bare_machine {
    struct guest *g;
    struct cpu *cpu;
    struct board board;
};

static void build_host(struct guest *g)
{
    static const u64 gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};
    host_write64(g, H_PML4, (H_PML4 + 0x1000) | PTE_P | PTE_RW | PTE_US);
    host_write64(g, H_PML4 + 0x1000, (H_PML4 + 0x2000) | PTE_P | PTE_RW | PTE_US);
    for (u64 i = 0; i < 9; i++)
        host_write64(g, H_PML4 + 0x2000 + 8 * i, MIB(2) * i | PTE_P | PTE_RW | PTE_US | PTE_PS);
    memory_write(g->memory, H_GDT, KEY_RAW, gdt, sizeof gdt);
    for (u64 v = 0; v < 256; v++) {
        u64 at = H_HANDLERS + 64 * v;
        host_write64(g, H_IDT + 16 * v,
                     (at & 0xffff) | SEL_CODE64 << 16 | 0x8eull << 40 | (at >> 16) << 48);
        host_write64(g, H_IDT + 16 * v + 8, 0);
    }
    u8 halts[64 * 256];
    memset(halts, 0xf4, sizeof halts);
    memory_write(g->memory, H_HANDLERS, KEY_RAW, halts, sizeof halts);
}

static void host_at(struct bare_machine *m, u64 rip)
{
    static const u64 gpr[16];
    struct vmcb_save s = {.efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE,
                          .cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG,
                          .cr3 = H_PML4,
                          .cr4 = CR4_PAE | CR4_OSFXSR,
                          .rflags = RFLAGS_ONE,
                          .rip = rip,
                          .rsp = H_STACK,
                          .g_pat = PAT_RESET};
    s.cs = segment_64(SEL_CODE64, 0xa9b);
    s.ss = s.ds = s.es = s.fs = s.gs = segment_64(SEL_DATA, 0xc93);
    s.gdtr = (struct vmcb_segment){.limit = 0x17, .base = H_GDT};
    s.idtr = (struct vmcb_segment){.limit = 0xfff, .base = H_IDT};
    cpu_load_state(m->cpu, &s, gpr);
}

static struct bare_machine *bare_create(bool sev)
{
    struct bare_machine *m = calloc(1, sizeof *m);
    m->g = guest_create(sev);
    m->cpu = m->g->cpu;
    m->board.g = m->g;
    const struct cpu_wires wires = {.access = on_access,
                                    .acknowledge = on_acknowledge,
                                    .read_tpr = on_read_tpr,
                                    .write_tpr = on_write_tpr,
                                    .read_msr = on_read_msr,
                                    .write_msr = on_write_msr,
                                    .wbinvd = on_wbinvd,
                                    .context = &m->board,
                                    .cpuid_1_ecx = (u32)BIT(24)};
    assert_true(cpu_wire(m->cpu, &wires));
    m->cpu->msr.vm_hsave_pa = HSAVE;
    m->cpu->msr.syscfg = SYSCFG_MEM_ENCRYPT;
    m->cpu->msr.hwcr = HWCR_SMM_LOCK;
    build_host(m->g);
    host_at(m, H_CODE);
    return m;
}

static void bare_destroy(struct bare_machine *m)
{
    guest_destroy(m->g);
    free(m);
}

static void host_code(struct bare_machine *m, u64 at, struct code code)
{
    memory_write(m->g->memory, at, KEY_RAW, code.bytes, code.size);
}

static inline enum cpu_stop run_on(struct bare_machine *m)
{
    return cpu_run_bare(m->cpu, m->g->clock.now + 100000);
}

/* Runs this code, with HLT behind it, from H_CODE. */
static inline enum cpu_stop host_run(struct bare_machine *m, struct code code)
{
    host_code(m, H_CODE, code);
    host_code(m, H_CODE + code.size, ASM("hlt"));
    host_at(m, H_CODE);
    return run_on(m);
}
#define HOST(m, text) host_run((m), ASM(text))

/* The vector whose handler halted; its frame is at RSP. */
static inline u64 halted_in(const struct bare_machine *m)
{
    u64 rip = m->cpu->arch.rip - 1;
    assert_true(rip >= H_HANDLERS && rip < H_HANDLERS + 64 * 256 && rip % 64 == 0);
    return (rip - H_HANDLERS) / 64;
}

static inline u64 stacked(const struct bare_machine *m, u64 n)
{
    return host_read64(m->g, m->cpu->arch.r[RSP] + 8 * n);
}

#endif
