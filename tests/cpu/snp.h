/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small guest of cpu_guest.h as an SNP guest: its first 2 MiB are 4 KiB pages, the rest 2 MiB
 * pages, all of them validated and open to every VMPL; its VMSA lies outside its own memory, as the
 * firmware leaves one.
 */
#ifndef SOFTSEV_TESTS_CPU_SNP_H
#define SOFTSEV_TESTS_CPU_SNP_H

#include "cpu/svm/vmsa_switch.h"
#include "guest.h"

#define VMSA      0x9000ull
#define RMP_TABLE MIB(4)

struct snp {
    struct guest *g;
    struct vmsa s;
};

static inline struct rmp_entry snp_page(u64 gpa, bool large)
{
    return (struct rmp_entry){.assigned = true,
                              .validated = true,
                              .large = large,
                              .asid = 1,
                              .gpa = gpa,
                              .permissions = {RMP_ALL, RMP_ALL, RMP_ALL, RMP_ALL}};
}

static inline void snp_assign(struct snp *p, u64 gpa, const struct rmp_entry *e)
{
    assert_true(rmp_set(p->g->memory, GUEST_BASE + gpa, e));
}

static inline struct rmp_entry snp_entry(struct snp *p, u64 gpa)
{
    struct rmp_entry e;
    rmp_get(p->g->memory, GUEST_BASE + gpa, &e);
    return e;
}

static inline void snp_vmsa_page(struct snp *p, u64 spa, u64 gpa)
{
    struct rmp_entry e = snp_page(gpa, false);
    e.vmsa = true;
    assert_true(rmp_set(p->g->memory, spa, &e));
}

/* SNP on, and every page in its place. */
static inline void snp_populate(struct snp *p)
{
    guest_snp(p->g, RMP_TABLE);
    for (u64 gpa = 0; gpa < MIB(8); gpa += gpa < MIB(2) ? PAGE_SIZE : MIB(2)) {
        struct rmp_entry e = snp_page(gpa, gpa >= MIB(2));
        snp_assign(p, gpa, &e);
    }
    snp_vmsa_page(p, VMSA, 0xfffffffff000ull);
}

/* The state of the VMCB, now in a VMSA. */
static inline void snp_vmsa(struct snp *p)
{
    struct vmcb_control *k = &p->g->vmcb.control;
    p->s = (struct vmsa){.xcr0 = 1,
                         .mxcsr = 0x1f80,
                         .x87_fcw = 0x37f,
                         .x87_ftw = 0xffff,
                         .sev_features = SEV_FEATURE_SNP};
    memcpy(&p->s, &p->g->vmcb.save, VMSA_COMMON_SIZE);
    k->np_control |= NP_SEV_ES;
    k->lbr_control |= LBR_VIRTUALIZATION;
    k->vmsa = VMSA;
}

static inline struct snp snp_create(void)
{
    struct snp p = {.g = guest_create(true)};
    snp_vmsa(&p);
    snp_populate(&p);
    return p;
}

/* VMRUN with the VMSA as it is in memory. */
static inline u64 snp_resume(struct snp *p)
{
    struct guest *g = p->g;
    assert_true(memory_write(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb));
    assert_true(cpu_vmrun(g->cpu, VMCB, g->clock.now + 100000));
    assert_true(memory_read(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb));
    assert_true(memory_peek(g->memory, g->vmcb.control.vmsa, g->key, &p->s, sizeof p->s));
    return g->vmcb.control.exit_code;
}

/* VMRUN with the VMSA of the test. */
static inline u64 snp_run(struct snp *p)
{
    assert_true(memory_write(p->g->memory, p->g->vmcb.control.vmsa, p->g->key, &p->s, sizeof p->s));
    return snp_resume(p);
}

static inline u64 snp_code(struct snp *p, struct code code)
{
    guest_write_code(p->g, p->s.rip, code);
    guest_write_code(p->g, p->s.rip + code.size, ASM("hlt"));
    return snp_run(p);
}
#define SNP_RUN(p, text) snp_code((p), ASM(text))

/* The vector whose handler halted; -1: the guest halted elsewhere, or not at all. */
static inline s64 snp_delivered(const struct snp *p)
{
    u64 rip = p->s.rip - 1;
    bool halted = p->g->vmcb.control.exit_code == EXIT_HLT && rip >= HANDLERS &&
                  rip < HANDLERS + 4096 && rip % 16 == 0;
    return halted ? (s64)(rip - HANDLERS) / 16 : -1;
}

/* The error code that a handler at CPL 0 found. */
static inline u64 snp_error(struct snp *p)
{
    return guest_read64(p->g, p->s.rsp);
}

static inline void snp_destroy(struct snp *p)
{
    guest_destroy(p->g);
}

#endif
