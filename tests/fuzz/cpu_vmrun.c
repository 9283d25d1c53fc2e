/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest under a hostile host: VMRUN of a small guest whose VMCB, tables and code the
 * input changes. Whatever they hold, VMRUN comes back by its deadline and the core stays usable.
 *
 *   byte 0     bit 0 SEV; 2:1 how the guest starts: 64-bit, 64-bit again, 32-bit without paging,
 *              real mode; bit 3 SEV-ES: the save area as changed is the beginning of a VMSA; bit 4
 *              SNP: the same with the RMP in force
 *   SNP        two bytes: SEV_FEATURES 8:1 and 16:9; behind a count byte a list of changes {u16
 *              page, u8 what} that the host makes to the RMP while the guest is at work
 *   then       three lists of changes {u16 offset, u8 value}, each behind a count byte: VMCB, guest
 *              tables, nested tables
 *   the rest   code
 */
#define GUEST_FOR_FUZZING
#include "../cpu/snp.h"
#include "changes.h"

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* An event that comes up at the deadline is still delivered, and so is what its delivery raises:
 * three deep. */
#define LATE_NS (4 * (u64)COST_EVENT_NS)

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

/* The host is to find nothing of a SEV-ES guest that ran. */
static void check_core_is_empty(struct guest *g)
{
    memory_read(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb);
    if (g->vmcb.control.exit_code == EXIT_INVALID)
        return;
    for (u32 i = 0; i < 16; i++)
        assert_true(cpu_gpr(g->cpu)[i] == 0);
}

/* --- SNP -------------------------------------------------------------------------------------- */

/* What ring 0 of a host can do to an entry, and a launch command of the firmware. */
static void change_entry(struct snp *p, u32 page, u8 what)
{
    u64 spa = page % 4096 * PAGE_SIZE;
    u64 gpa = spa - GUEST_BASE;
    u32 shift = what >> 4;
    struct rmp_update u = {
        .gpa = gpa + shift % 3 * PAGE_SIZE, .assigned = 1, .asid = shift == 15 ? 2 : 1};
    struct rmp_entry e = snp_page(gpa, what & 8);
    switch (what & 7) {
    case 0:
        u = (struct rmp_update){.gpa = 0};
        break;
    case 1:
        u.page_size = 1;
        break;
    case 2:
        u.immutable = 1;
        break;
    case 3:
        cpu_psmash(p->g->cpu, spa);
        return;
    case 4:
        cpu_rmpread(p->g->cpu, spa, &u);
        return;
    case 5:
        e.permissions[0] = (u8)shift;
        if (!rmp_is_table(p->g->memory, spa, PAGE_SIZE) && spa != VMCB && spa != HSAVE)
            rmp_set(p->g->memory, spa & (e.large ? ~(RMP_LARGE_SIZE - 1) : ~0ull), &e);
        return;
    default:
        break;
    }
    if (spa != VMCB && spa != HSAVE)
        cpu_rmpupdate(p->g->cpu, spa, &u);
}

static bool may_be_written(struct snp *p, u64 spa)
{
    const struct cpu *c = p->g->cpu;
    struct rmp_entry e;
    rmp_get(p->g->memory, spa, &e);
    bool guests = e.validated && !e.immutable && e.asid == c->guest.control.asid &&
                  (e.permissions[c->guest.vmpl] & 3) == 3;
    return e.assigned ? guests : !rmp_is_table(p->g->memory, spa, PAGE_SIZE);
}

/* Nothing that the core would store to without asking again is closed to the guest. */
static void check_tlb(struct snp *p)
{
    const struct cpu *c = p->g->cpu;
    for (u32 context = 0; context < TLB_CONTEXTS; context++)
        for (u32 slot = 0; slot < TLB_ENTRIES; slot++) {
            const struct tlb_entry *e = &c->engine.tlbs[context][slot];
            if (e->rtag != tlb_invalid(slot) && e->frame & TLB_WRITABLE)
                assert_true(may_be_written(p, TLB_FRAME(e->frame) << PAGE_SHIFT));
        }
}

static void snp_rounds(struct snp *p, struct input changes)
{
    struct guest *g = p->g;
    u32 left = 255;
    struct change c;
    memory_write(g->memory, VMSA, g->key, &p->s, sizeof p->s);
    for (u32 i = 0; i < 8; i++) {
        u64 deadline = g->clock.now + 500;
        if (!cpu_vmrun(g->cpu, VMCB,
                       deadline)) /* its pages are nobody's but the host's: see change_entry */
            assert_true(!rmp_host_may_write(g->memory, VMCB, PAGE_SIZE) ||
                        !rmp_host_may_write(g->memory, HSAVE, PAGE_SIZE));
        assert_true(g->clock.now <= deadline + LATE_NS);
        check_core_is_empty(g);
        check_tlb(p);
        for (u32 n = 0; n < 2 && take_change(&changes, &left, &c); n++) {
            change_entry(p, c.offset, c.value);
            check_tlb(p);
        }
    }
}

static struct input take_list(struct input *in)
{
    size_t size = min_u64((u64)take(in) * 3, in->size);
    struct input list = {in->data, size};
    in->data += size;
    in->size -= size;
    return list;
}

/* --- The input -------------------------------------------------------------------------------- */

static void apply_changes(struct guest *g, struct input *in)
{
    struct change c;
    for (u32 left = take(in); take_change(in, &left, &c);)
        ((u8 *)&g->vmcb)[c.offset % sizeof g->vmcb] = c.value;
    for (u32 left = take(in); take_change(in, &left, &c);)
        guest_write(g, 0x1000 + c.offset % 0x7000, &c.value, 1);
    for (u32 left = take(in); take_change(in, &left, &c);)
        memory_write(g->memory, NPT + c.offset % 0x4000, KEY_RAW, &c.value, 1);
    guest_write(g, CODE, in->data, min_u64(in->size, 0x800));
}

static void plain_rounds(struct guest *g, bool es)
{
    cpu_vmload(g->cpu, VMCB);
    for (u32 i = 0; i < 3; i++) {
        u64 deadline = g->clock.now + 1000;
        assert_true(cpu_vmrun(g->cpu, VMCB, deadline));
        assert_true(g->clock.now <= deadline + LATE_NS);
        if (es)
            check_core_is_empty(g);
    }
    cpu_vmsave(g->cpu, VMCB);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, size};
    u32 flags = take(&in);
    bool snp = flags & 16, es = flags & 8;
    struct guest *g = guest_create(flags & 1 || snp);
    struct snp p = {.g = g};
    u64 features = snp ? (u64)take(&in) << 1 | (u64)take(&in) << 9 : 0;
    struct input rmp_changes = {0};
    if (snp)
        rmp_changes = take_list(&in);
    start(g, flags >> 1 & 3);
    apply_changes(g, &in);
    if (snp) {
        snp_populate(&p);
        snp_vmsa(&p);
        p.s.sev_features |= features;
    } else if (es) {
        launch_with_vmsa(g);
    }
    memory_write(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb);
    if (snp)
        snp_rounds(&p, rmp_changes);
    else
        plain_rounds(g, es);
    guest_destroy(g);
    return 0;
}
