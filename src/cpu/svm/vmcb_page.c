/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMCB in memory: what VMRUN reads and what #VMEXIT writes [APM2 15.5, 15.6]. #VMEXIT leaves
 * the rest of the page alone, since software on another core may change it while the guest runs.
 */
#include "cpu/svm/world_switch.h"

/* A part that #VMEXIT writes, with the condition that its registers are switched at all. */
struct vmcb_part {
    u16 first, end;
    bool save;             /* not of a SEV-ES guest */
    bool nested, branches; /* only with nested paging, only with LBR virtualization */
};

#define PART(member, after)                                                                        \
    .first = offsetof(struct vmcb, member), .end = offsetof(struct vmcb, after)

// clang-format off
static const struct vmcb_part parts[] = {
    {PART(control.v_intr, control.np_control)}, /* also interrupt shadow and reason of the exit */
    {PART(control.ghcb_gpa, control.n_cr3)},    /* also EVENTINJ */
    {PART(control.next_rip, control.avic_backing)},
    {PART(control.vmgexit_rax, control.reserved_119)},
    {PART(control.guest_sev_features, control.reserved_148)},
    {PART(save.es, save.fs), .save = true},
    {PART(save.gdtr, save.ldtr), .save = true},
    {PART(save.idtr, save.tr), .save = true},
    {PART(save.cpl, save.reserved_0cc), .save = true},
    {PART(save.efer, save.reserved_0d8), .save = true},
    {PART(save.cr4, save.reserved_180), .save = true}, /* also CR3, CR0, DR7, DR6, RFLAGS, RIP */
    {PART(save.rsp, save.s_cet), .save = true},
    {PART(save.rax, save.star), .save = true},
    {PART(save.cr2, save.reserved_248), .save = true},
    {PART(save.g_pat, save.dbgctl), .save = true, .nested = true},
    {PART(save.dbgctl, save.reserved_298), .save = true, .branches = true},
};
// clang-format on

void vmcb_read(const struct cpu *c, u64 spa, struct vmcb *v)
{
    memory_read(c->memory, spa, KEY_RAW, &v->control, VMCB_CONTROL_USED);
    memory_read(c->memory, spa + offsetof(struct vmcb, save), KEY_RAW, &v->save, VMSA_COMMON_SIZE);
}

/* `save`: of a guest that ran and has its state in the VMCB. */
void vmcb_write(const struct cpu *c, u64 spa, const struct vmcb *v, bool save)
{
    const bool branches = v->control.lbr_control & LBR_VIRTUALIZATION;
    const bool nested = v->control.np_control & NP_ENABLE;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        const struct vmcb_part *p = &parts[i];
        if ((p->save && !save) || (p->nested && !nested) || (p->branches && !branches))
            continue;
        memory_write(c->memory, spa + p->first, KEY_RAW, (const u8 *)v + p->first,
                     (size_t)(p->end - p->first));
    }
}
