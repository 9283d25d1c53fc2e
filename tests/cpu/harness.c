/* SPDX-License-Identifier: Apache-2.0 */
/* The core that runs snippets; see cpu_harness.h. */
#include "harness.h"
#include "choose_engine.h"

#define TABLES 0x1000u /* PML4, PDPT, PD, two page tables */

static void fill_counting(void *context, void *out, size_t count)
{
    (void)context;
    for (u8 *p = out; count; count--)
        *p++ = (u8)count;
}

static void put_entry(struct harness *h, u32 table, u32 index, u64 value)
{
    harness_write(h, TABLES + table * PAGE_SIZE + index * 8, &value, 8);
}

/* Identity: 4 KiB pages up to 4 MiB, 2 MiB pages above. */
static void make_tables(struct harness *h)
{
    u64 bits = PTE_P | PTE_RW | PTE_US;
    put_entry(h, 0, 0, (TABLES + 1 * PAGE_SIZE) | bits);
    put_entry(h, 1, 0, (TABLES + 2 * PAGE_SIZE) | bits);
    for (u32 i = 0; i < HARNESS_MEMORY >> 21; i++)
        put_entry(h, 2, i,
                  i < 2 ? (TABLES + (3 + i) * PAGE_SIZE) | bits : (u64)i << 21 | PTE_PS | bits);
    for (u32 i = 0; i < 1024; i++)
        put_entry(h, 3 + i / 512, i % 512, (u64)i << PAGE_SHIFT | bits);
}

u64 harness_page_entry(u64 address)
{
    return TABLES + 3 * PAGE_SIZE + (address >> PAGE_SHIFT) * 8;
}

void harness_page(struct harness *h, u64 address, u64 bits)
{
    u32 i = (u32)(address >> PAGE_SHIFT);
    put_entry(h, 3 + i / 512, i % 512, (address & ~PAGE_MASK) | bits);
    mmu_flush(h->cpu, true);
}

bool harness_create(struct harness *h)
{
    const struct cpu_config chosen = with_engine((struct cpu_config){.id = 0});
    return harness_create_engine(h, chosen.engine, chosen.jit_threshold);
}

bool harness_create_engine(struct harness *h, enum cpu_engine engine, u32 jit_threshold)
{
    *h = (struct harness){.random = {.fill = fill_counting}};
    struct memory_config memory = {.size = HARNESS_MEMORY, .asids = 4, .random = &h->random};
    h->memory = memory_create(&memory);
    if (!h->memory)
        return false;
    struct cpu_config config = {.memory = h->memory,
                                .clock = &h->clock,
                                .random = &h->random,
                                .engine = engine,
                                .jit_threshold = jit_threshold};
    h->cpu = cpu_create(&config);
    if (!h->cpu) {
        memory_destroy(h->memory);
        return false;
    }
    make_tables(h);
    return true;
}

void harness_destroy(struct harness *h)
{
    cpu_destroy(h->cpu);
    memory_destroy(h->memory);
}

static void set_segments(struct cpu *c, enum harness_mode mode)
{
    u16 dpl = mode == HARNESS_64_USER ? 3u << SEG_DPL_SHIFT : 0;
    u16 common =
        (u16)(SEG_P | SEG_S | SEG_RW | SEG_A | dpl | (mode == HARNESS_16 ? 0 : SEG_G | SEG_DB));
    u32 limit = mode == HARNESS_16 ? 0xffff : 0xffffffffu;
    for (u32 i = 0; i < SEGS; i++)
        c->arch.seg[i] = (struct segment){
            .selector = (u16)(0x10 | (dpl ? 3 : 0)), .attributes = common, .limit = limit};
    u16 code = (u16)(common | SEG_CODE);
    if (mode >= HARNESS_64)
        code = (u16)((code & ~SEG_DB) | SEG_L);
    c->arch.seg[SEG_CS].selector = (u16)(8 | (dpl ? 3 : 0));
    c->arch.seg[SEG_CS].attributes = code;
    if (mode == HARNESS_16) { /* real mode: base from the selector */
        c->arch.seg[SEG_CS].selector = HARNESS_CODE >> 4;
        c->arch.seg[SEG_CS].base = HARNESS_CODE;
        for (u32 i = 0; i < SEGS; i++)
            if (i != SEG_CS)
                c->arch.seg[i].selector = 0;
    }
}

void harness_reset(struct harness *h, enum harness_mode mode)
{
    struct cpu *c = h->cpu;
    memset(c->arch.r, 0, sizeof c->arch.r);
    memset(c->arch.vector, 0, sizeof c->arch.vector);
    set_segments(c, mode);
    c->arch.cpl = mode == HARNESS_64_USER ? 3 : 0;
    c->arch.cr0 = CR0_ET | CR0_NE | CR0_MP | (mode == HARNESS_16 ? 0 : CR0_PE) |
                  (mode >= HARNESS_64 ? CR0_PG : 0);
    c->arch.cr3 = TABLES;
    c->arch.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PAE;
    c->arch.efer = mode >= HARNESS_64 ? EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE : 0;
    c->arch.rflags = RFLAGS_ONE;
    flags_set(c, 0);
    c->arch.mxcsr = 0x1f80;
    c->arch.x87 = (struct x87){.control = 0x37f, .tag = 0xffff};
    c->guest.control.intercept_exceptions = ~0u;
    c->guest.control.intercept_3 = INTERCEPT3_HLT | INTERCEPT3_INTR | INTERCEPT3_SHUTDOWN;
    c->guest.control.intercept_4 = INTERCEPT4_VMMCALL;
    c->guest.running = c->arch.gif = true;
    c->arch.interrupt_shadow = false;
    c->guest.exit_int_info = 0;
    c->arch.r[RSP] = mode == HARNESS_16 ? 0x8000 : HARNESS_STACK;
    c->arch.rip = mode == HARNESS_16 ? 0 : HARNESS_CODE;
    segment_update(c);
    cpu_update_mode(c);
    mmu_flush(c, true);
}

void harness_write(struct harness *h, u64 address, const void *bytes, size_t size)
{
    memory_write(h->memory, address, KEY_RAW, bytes, size);
}

void harness_write_code(struct harness *h, u64 address, struct code code)
{
    harness_write(h, address, code.bytes, code.size);
}

void harness_read(struct harness *h, u64 address, void *bytes, size_t size)
{
    memory_read(h->memory, address, KEY_RAW, bytes, size);
}

u64 harness_run(struct harness *h, u64 budget, u64 *done)
{
    struct cpu *c = h->cpu;
    u64 before = h->clock.now;
    c->engine.left = (s64)budget;
    c->engine.run_end = before + budget;
    run_guest(c);
    if (done)
        *done = h->clock.now - before;
    return c->guest.exit_code;
}

u64 harness_code(struct harness *h, struct code code, u64 *done)
{
    harness_write_code(h, HARNESS_CODE, code);
    harness_write_code(h, HARNESS_CODE + code.size, ASM("hlt"));
    return harness_run(h, 100000000, done);
}
