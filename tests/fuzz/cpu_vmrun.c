/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest under a hostile host: VMRUN of a small guest whose VMCB, tables and code the
 * input changes. Whatever they hold, VMRUN comes back by its deadline and the core stays usable.
 *
 *   byte 0     bit 0 SEV; 2:1 how the guest starts: 64-bit, 64-bit again, 32-bit without paging, real mode;
 *              bit 3 SEV-ES: the save area as changed is the beginning of a VMSA launched with it
 *   then       three lists of changes {u16 offset, u8 value}, each behind a count byte: VMCB, guest tables, nested tables
 *   the rest   code
 */
#define GUEST_FOR_FUZZING
#include "../unit/cpu_guest.h"

#include "base/bytes.h"
#include "cpu/vmsa.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct input {
    const u8 *data;
    size_t size;
};

static u32 take(struct input *in)
{
    if (!in->size)
        return 0;
    in->size--;
    return *in->data++;
}

struct change {
    u32 offset;
    u8 value;
};

static bool take_change(struct input *in, u32 *left, struct change *c)
{
    if (!*left || in->size < 3)
        return false;
    --*left;
    c->offset = take(in);
    c->offset |= take(in) << 8;
    c->value = (u8)take(in);
    return true;
}

static void start(struct guest *g, u32 how)
{
    struct vmcb_save *s = &g->vmcb.save;
    if (how < 2)
        return;
    s->efer = EFER_SVME;
    s->cr0 = CR0_ET | (how == 2 ? CR0_PE : 0);
    s->cs = (struct vmcb_segment){how == 2 ? SEL_CODE32 : CODE >> 4, how == 2 ? 0xc9b : 0x9b,
                                  how == 2 ? 0xffffffff : 0xffff, how == 2 ? 0 : CODE};
    if (how == 2)
        return;
    s->ss = s->ds = s->es = s->fs = s->gs = (struct vmcb_segment){0, 0x93, 0xffff, 0};
    s->rip = 0;
}

#define VMSA_PAGE 0x9000ull

static void launch_vmsa(struct guest *g)
{
    struct vmsa s = {.mxcsr = 0x1f80, .x87_ftw = 0xffff, .x87_fcw = 0x37f};
    struct vmcb_control *k = &g->vmcb.control;
    memcpy(&s, &g->vmcb.save, VMSA_COMMON_SIZE);
    k->np_control |= NP_SEV_ES;
    k->lbr_control |= LBR_VIRTUALIZATION;
    k->vmsa ^= VMSA_PAGE;
    memory_write(g->memory, VMSA_PAGE, g->key, &s, sizeof s);
    memory_vmsa_seal(g->memory, VMSA_PAGE, g->key);
}

/* The host is to find nothing of a SEV-ES guest that ran. */
static void check_core_is_empty(struct guest *g)
{
    memory_read(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb);
    if (g->vmcb.control.exit_code == EXIT_INVALID)
        return;
    for (u32 i = 0; i < 16; i++)
        assert_true(cpu_gpr(g->cpu)[i] == 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, size};
    u32 flags = take(&in);
    struct guest *g = guest_create(flags & 1);
    start(g, flags >> 1 & 3);
    struct change c;
    for (u32 left = take(&in); take_change(&in, &left, &c);)
        ((u8 *)&g->vmcb)[c.offset % sizeof g->vmcb] = c.value;
    for (u32 left = take(&in); take_change(&in, &left, &c);)
        guest_write(g, 0x1000 + c.offset % 0x7000, &c.value, 1);
    for (u32 left = take(&in); take_change(&in, &left, &c);)
        memory_write(g->memory, NPT + c.offset % 0x4000, KEY_RAW, &c.value, 1);
    guest_write(g, CODE, in.data, min_u64(in.size, 0x800));

    bool es = flags & 8;
    if (es)
        launch_vmsa(g);
    memory_write(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb);
    cpu_vmload(g->cpu, VMCB);
    for (u32 i = 0; i < 3; i++) {
        u64 deadline = g->clock.now + 1000;
        assert_true(cpu_vmrun(g->cpu, VMCB, deadline));
        assert_true(g->clock.now <= deadline);
        if (es)
            check_core_is_empty(g);
    }
    cpu_vmsave(g->cpu, VMCB);
    guest_destroy(g);
    return 0;
}
