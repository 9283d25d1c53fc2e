/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile host on a bare machine: it enters guests by VMRUN, with a VMCB, tables, a host save
 * page and code that the input changes, while the board's pins go up and down. Whatever they hold,
 * the core comes back by its deadline, and works after a reset.
 *
 *   byte 0     bit 0 SEV, bit 1 SEV-ES, bit 2 SNP in force
 *   byte 1     what an access takes, in ns; its low bits also pin, yield and shorten
 *   then       four lists of changes {u16 offset, u8 value}, each behind a count byte: VMCB, guest
 *              tables, nested tables, host save page (these while the guest is at work)
 *   then       16 bytes: what happens to the pins before each round
 *   then       a byte with the size of the guest's code, the code, and the host's
 */
#define GUEST_FOR_FUZZING
#include "../cpu/bare_machine.h"
#include "changes.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define ROUNDS 16
/* An event at the deadline is still delivered, with what its delivery raises; and a world may be
 * switched. */
#define LATE_NS (4 * (u64)COST_EVENT_NS + 2 * (u64)COST_WORLD_NS + COST_RMPUPDATE_NS + 2 * 255)
#define RMP     MIB(6)

static void change_memory(struct bare_machine *m, struct input *in, u64 base, u32 size)
{
    struct change c;
    for (u32 left = take(in); take_change(in, &left, &c);)
        memory_write(m->g->memory, base + c.offset % size, KEY_RAW, &c.value, 1);
}

/* The host's loop: around VMRUN as kernels have it, then the input's code. */
static void write_host_code(struct bare_machine *m, const struct input *in)
{
    const struct code loop = ASM("mov eax, 0x1000; vmload; clgi; sti; vmrun; cli; vmsave; stgi");
    host_code(m, H_CODE, loop);
    host_code(m, H_CODE + loop.size,
              (struct code){in->data, (size_t)min_u64(in->size, H_STACK - H_CODE - 0x1000)});
}

static void pins(struct bare_machine *m, u32 what)
{
    cpu_pin_interrupt(m->cpu, what & 1);
    if (what & 2)
        cpu_pin_nmi(m->cpu);
    if (what & 4)
        cpu_pin_init(m->cpu);
    if (what & 8)
        cpu_start_up(m->cpu, (u8)(what >> 4));
}

static void check_it_works(struct bare_machine *m)
{
    cpu_reset(m->cpu);
    cpu_pin_interrupt(m->cpu, false);
    memset(&m->board, 0, sizeof m->board);
    m->board.g = m->g;
    build_host(m->g);
    host_code(m, H_CODE, ASM("mov eax, 5; add eax, 2; hlt"));
    host_at(m, H_CODE);
    assert_true(run_on(m) == CPU_STOP_HALT);
    assert_true(m->cpu->arch.r[RAX] == 7);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, size};
    u32 flags = take(&in), board = take(&in);
    struct bare_machine *m = bare_create(flags & 1);
    struct change c;
    m->board.takes_ns = board;
    m->board.raises = board & 1;
    m->board.yields = board & 2;
    if (flags & 4)
        guest_snp(m->g, RMP);
    if (flags & 2)
        launch_with_vmsa(m->g);
    for (u32 left = take(&in); take_change(&in, &left, &c);)
        ((u8 *)&m->g->vmcb)[c.offset % sizeof m->g->vmcb] = c.value;
    memory_write(m->g->memory, VMCB, KEY_RAW, &m->g->vmcb, sizeof m->g->vmcb);
    change_memory(m, &in, GUEST_BASE + 0x1000, 0x7000);
    change_memory(m, &in, NPT, 0x4000);
    struct input area = in; /* read again in each round */
    size_t area_size = min_u64((u64)take(&in) * 3, in.size);
    in.data += area_size;
    in.size -= area_size;
    u8 what[ROUNDS];
    for (u32 i = 0; i < ROUNDS; i++)
        what[i] = (u8)take(&in);
    size_t guest_size = min_u64(take(&in), in.size);
    guest_write(m->g, CODE, in.data, guest_size);
    in.data += guest_size;
    in.size -= guest_size;
    write_host_code(m, &in);
    for (u32 i = 0; i < ROUNDS; i++) {
        u64 deadline = m->g->clock.now + 3000;
        m->board.shortens = board & 4 ? m->g->clock.now + 100 : 0;
        pins(m, what[i]);
        cpu_run_bare(m->cpu, deadline);
        assert_true(m->g->clock.now <= deadline + LATE_NS);
        if (i % 4 == 1) {
            struct input again = area;
            change_memory(m, &again, HSAVE, PAGE_SIZE);
        }
    }
    check_it_works(m);
    bare_destroy(m);
    return 0;
}
