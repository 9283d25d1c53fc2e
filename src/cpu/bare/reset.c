/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a core that a board puts in place: power-on, INIT, SIPI, an entry of a kernel. */
#include "cpu/bare/bare.h"
#include "cpu/exec/x87.h"
#include "cpu/svm/world_switch.h"

#define CODE_RESET  (SEG_P | SEG_S | SEG_CODE | SEG_RW | SEG_A)
#define DATA_RESET  (SEG_P | SEG_S | SEG_RW | SEG_A)
#define SEGMENT_TSS 0x8b
#define SEGMENT_LDT 0x82

/* What power-on and INIT have in common. */
static void begin_at_the_reset_vector(struct cpu *c)
{
    struct arch *a = &c->arch;
    memset(a->r, 0, sizeof a->r);
    a->r[RDX] = c->model.signature;
    a->rip = 0xfff0;
    for (u32 i = 0; i < SEGS; i++)
        a->seg[i] = (struct segment){.attributes = DATA_RESET, .limit = 0xffff};
    a->seg[SEG_CS] = (struct segment){0xf000, CODE_RESET, 0xffff, 0xffff0000};
    a->gdtr = a->idtr = (struct segment){.limit = 0xffff};
    a->tr = (struct segment){.attributes = SEGMENT_TSS, .limit = 0xffff};
    a->ldtr = (struct segment){.attributes = SEGMENT_LDT, .limit = 0xffff};
    a->cr0 = CR0_ET | (a->cr0 & (CR0_CD | CR0_NW));
    a->cr2 = a->cr3 = a->cr4 = a->efer = 0;
    memset(a->dr, 0, sizeof a->dr);
    a->dr6 = DR6_RESET;
    a->dr7 = DR7_RESET;
    a->cpl = 0;
    a->interrupt_shadow = false;
    a->gif = true;
    rflags_write(c, RFLAGS_ONE, ~0ull);
    bare_no_guest(c);
    c->bare.halted = c->bare.shut_down = c->bare.nmi = c->bare.nmi_blocked = false;
    c->bare.step = false;
    bare_refresh(c);
}

void bare_init(struct cpu *c)
{
    begin_at_the_reset_vector(c);
    c->bare.waits_for_start_up = true;
}

void cpu_reset(struct cpu *c)
{
    struct arch *a = &c->arch;
    *a = (struct arch){.cr0 = CR0_CD | CR0_NW};
    a->pat = PAT_RESET;
    a->xcr0 = XSTATE_X87;
    a->mxcsr = MXCSR_RESET;
    a->x87.control = 0x40;
    c->msr = (struct core_msrs){.apic_base = 0xfee00000u | BIT(11) | (c->id == 0 ? BIT(8) : 0),
                                .tsc_ratio = TSC_RATIO_ONE};
    c->bare.before = (struct guest_identity){0};
    c->bare.init = c->bare.yield = c->bare.waits_for_start_up = false;
    begin_at_the_reset_vector(c);
}

void cpu_start_up(struct cpu *c, u8 vector)
{
    c->arch.seg[SEG_CS].selector = (u16)(vector << 8);
    c->arch.seg[SEG_CS].base = (u32)vector << 12;
    c->arch.rip = 0;
    c->bare.waits_for_start_up = false;
    segment_update(c);
}

void cpu_load_state(struct cpu *c, const struct vmcb_save *s, const u64 gpr[16])
{
    bare_no_guest(c);
    memcpy(c->arch.r, gpr, 16 * sizeof gpr[0]);
    save_area_load(c, s);
    save_area_load_rest(c, s);
    if (pat_valid(s->g_pat))
        c->arch.pat = s->g_pat;
    x87_reset(&c->arch.x87); /* firmware has executed FNINIT: programs expect masked exceptions */
    c->arch.gif = true;
    c->bare.waits_for_start_up = c->bare.halted = c->bare.shut_down = c->bare.step = false;
    bare_refresh(c);
}
