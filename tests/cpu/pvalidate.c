/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVALIDATE, RMPADJUST and RMPQUERY, table by table [cpu 8.2, snp 4.3]: what each does to an entry,
 * which code or fault it ends in, and that what it changed holds for the next access.
 */
#include "snp.h"

#define PAGE  DATA
#define LARGE MIB(2)
#define OPEN  .permissions = {RMP_ALL, RMP_ALL, RMP_ALL, RMP_ALL}
#define OURS  .assigned = true, .validated = true, .asid = 1, .gpa = PAGE, OPEN

/* Bits of EXITINFO1 that every one of their nested faults has: present, user, RMP, final. */
#define FAULT (BIT(0) | BIT(2) | BIT(31) | BIT(32))
#define ENC   BIT(34)
#define SIZEM BIT(35)

/* How an instruction ends: EXIT_HLT with a code in EAX, a nested fault with bits, a vector with an
 * error code. */
struct end {
    u64 exit, info;
    s64 vector;
    u64 error;
    u32 eax;
    bool carry;
};
#define CODE_IS(eax_, carry_)                                                                      \
    {                                                                                              \
        .exit = EXIT_HLT, .vector = -1, .eax = (eax_), .carry = (carry_)                           \
    }
#define NESTED(bits)                                                                               \
    {                                                                                              \
        .exit = EXIT_NPF, .info = FAULT | (bits), .vector = -1                                     \
    }
#define RAISES(vector_, code)                                                                      \
    {                                                                                              \
        .exit = EXIT_HLT, .vector = (vector_), .error = (code)                                     \
    }

static struct end run(struct snp *p, struct code code, u64 rax, u64 rcx, u64 rdx)
{
    p->s.rax = rax;
    p->s.rcx = rcx;
    p->s.rdx = rdx;
    p->s.rbx = 0;
    snp_code(p, code);
    struct end e = {.exit = p->g->vmcb.control.exit_code, .vector = snp_delivered(p)};
    if (e.exit == EXIT_NPF)
        e.info = p->g->vmcb.control.exit_info_1;
    if (e.vector == VECTOR_GP || e.vector == VECTOR_VC)
        e.error = snp_error(p);
    if (e.exit == EXIT_HLT && e.vector < 0) {
        assert_int_equal(p->s.rax >> 32, 0);
        e.eax = (u32)p->s.rax;
        e.carry = p->s.rbx & 1;
        assert_int_equal(p->s.rflags >> 6 & 1, e.eax == 0); /* ZF */
    }
    return e;
}

/* The instruction, and its carry in BL. */
#define TRY(p, text, rax, rcx, rdx) run((p), ASM(text "; setc bl"), rax, rcx, rdx)

static void check(u32 row, const struct end *is, const struct end *wanted)
{
    if (is->exit == wanted->exit && is->info == wanted->info && is->vector == wanted->vector &&
        is->error == wanted->error && is->eax == wanted->eax && is->carry == wanted->carry)
        return;
    fail_msg("row %u: exit 0x%lx info 0x%lx vector %ld error 0x%lx EAX %u CF %d", row,
             (long)is->exit, (long)is->info, (long)is->vector, (long)is->error, is->eax, is->carry);
}

/* --- PVALIDATE -------------------------------------------------------------------------------- */

static void pvalidate_by_state_of_the_page(void **state)
{
    (void)state;
    static const struct {
        struct rmp_entry e;
        u64 pte; /* of the page, beyond present, writable, user */
        u32 validate;
        struct end end;
    } rows[] = {
        {{.assigned = true, .asid = 1, .gpa = PAGE, OPEN}, BIT(51), 1, CODE_IS(0, false)},
        {{.assigned = true, .asid = 1, .gpa = PAGE, OPEN}, BIT(51), 0, CODE_IS(0, true)},
        {{OURS}, BIT(51), 1, CODE_IS(0, true)},
        {{OURS}, BIT(51), 0, CODE_IS(0, false)},
        {{OURS}, 0, 0, NESTED(0)},                      /* shared */
        {{.assigned = false}, BIT(51), 1, NESTED(ENC)}, /* hypervisor */
        {{.assigned = false}, 0, 1, NESTED(0)},
        {{.assigned = true}, BIT(51), 1, NESTED(ENC)},                    /* reclaim */
        {{.assigned = true, .immutable = true}, BIT(51), 1, NESTED(ENC)}, /* firmware */
        {{OURS, .immutable = true}, BIT(51), 0, NESTED(ENC)},             /* pre-swap */
        {{.assigned = true, .asid = 1, .gpa = PAGE, .immutable = true}, BIT(51), 1, NESTED(ENC)},
        {{.assigned = true, .asid = 2, .gpa = PAGE, OPEN}, BIT(51), 1, NESTED(ENC)},
        {{.assigned = true, .asid = 1, .gpa = PAGE + 4096, OPEN}, BIT(51), 1, NESTED(ENC)},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        snp_assign(&p, PAGE, &rows[i].e);
        guest_write64(p.g, PT + PAGE / 4096 * 8, PAGE | PTE_P | PTE_RW | PTE_US | rows[i].pte);
        struct end end = TRY(&p, "pvalidate", PAGE + 0x123, 0, rows[i].validate);
        check(i, &end, &rows[i].end);
        bool done = end.exit == EXIT_HLT;
        assert_int_equal(snp_entry(&p, PAGE).validated,
                         done ? rows[i].validate : rows[i].e.validated);
        snp_destroy(&p);
    }
}

/* 4 KiB of a large entry is for the host to smash, 2 MiB of small entries for the guest to do in
 * pieces. */
static void pvalidate_by_size(void **state)
{
    (void)state;
    static const struct {
        u64 va;
        u32 size;
        bool smashed;
        struct end end;
    } rows[] = {
        {LARGE, 1, false, CODE_IS(0, false)},
        {LARGE + 0x1000, 1, false, CODE_IS(RMP_FAIL_INPUT, false)},
        {LARGE + 1, 1, false, CODE_IS(RMP_FAIL_INPUT, false)},
        {LARGE, 0, false, NESTED(ENC | SIZEM)},
        {LARGE + 0x5000, 0, false, NESTED(ENC | SIZEM)},
        {LARGE, 1, true, CODE_IS(RMP_FAIL_SIZEMISMATCH, false)},
        {LARGE, 0, true, NESTED(ENC)}, /* nested leaf of 2 MiB */
        {0, 1, false, CODE_IS(RMP_FAIL_SIZEMISMATCH, false)},
        {PAGE, 0, false, CODE_IS(0, false)},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        if (rows[i].smashed)
            assert_true(rmp_smash(p.g->memory, GUEST_BASE + LARGE));
        struct end end = TRY(&p, "pvalidate", rows[i].va, rows[i].size, 0);
        check(i, &end, &rows[i].end);
        if (end.exit == EXIT_NPF)
            assert_int_equal(p.g->vmcb.control.exit_info_2, rows[i].va);
        snp_destroy(&p);
    }
}

static void pvalidate_by_privilege(void **state)
{
    (void)state;
    static const struct {
        u32 vmpl;
        bool user;
        struct end end;
    } rows[] = {
        {0, false, CODE_IS(0, false)},
        {1, false, RAISES(VECTOR_GP, 0)},
        {3, false, RAISES(VECTOR_GP, 0)},
        {0, true, RAISES(VECTOR_GP, 0)},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        p.s.vmpl = (u8)rows[i].vmpl;
        if (rows[i].user) {
            p.s.cs = segment_64(SEL_USER64 | 3, 0xafb);
            p.s.ss = segment_64(SEL_USER_DATA | 3, 0xcf3);
            p.s.cpl = 3;
        }
        struct end end = TRY(&p, "pvalidate", PAGE, 0, 0);
        check(i, &end, &rows[i].end);
        snp_destroy(&p);
    }
}

static void guests_without_snp_and_hosts_instructions_are_undefined(void **state)
{
    (void)state;
    const struct code all[] = {ASM("pvalidate"), ASM("rmpadjust"), ASM("rmpquery")};
    const struct code of_host[] = {ASM("rmpupdate"), ASM("psmash"),
                                   ASM(".byte 0xf2, 0x0f, 0x01, 0xfd")}; /* RMPREAD */
    for (u32 i = 0; i < ARRAY_SIZE(all); i++)
        for (u32 sev = 0; sev < 2; sev++) {
            struct guest *g = guest_create(sev);
            guest_run_code(g, all[i]);
            assert_int_equal(delivered(g), VECTOR_UD);
            guest_destroy(g);
        }
    for (u32 i = 0; i < ARRAY_SIZE(of_host); i++) {
        struct snp p = snp_create();
        snp_code(&p, of_host[i]);
        assert_int_equal(snp_delivered(&p), VECTOR_UD);
        snp_destroy(&p);
    }
}

static void addresses_are_translated_as_for_a_read(void **state)
{
    (void)state;
    struct snp p = snp_create();
    guest_write64(p.g, PT + PAGE / 4096 * 8, 0);
    TRY(&p, "pvalidate", PAGE, 0, 0);
    assert_int_equal(snp_delivered(&p), VECTOR_PF);
    assert_int_equal(snp_error(&p), 0);
    assert_int_equal(p.s.cr2, PAGE);
    snp_destroy(&p);

    p = snp_create();
    struct end end = TRY(&p, "pvalidate", 0x800000000000ull, 0, 0); /* not canonical */
    check(0, &end, &(struct end)RAISES(VECTOR_GP, 0));
    snp_destroy(&p);

    p = snp_create();
    host_write64(p.g, NPT + 0x3000 + PAGE / 4096 * 8, 0);
    end = TRY(&p, "pvalidate", PAGE, 0, 0);
    assert_int_equal(end.info, BIT(2) | BIT(32) | ENC);
    snp_destroy(&p);
}

/* The translation is in the TLB when PVALIDATE takes the page away, and comes back with it. */
static void a_rescinded_page_is_gone_at_once(void **state)
{
    (void)state;
    struct snp p = snp_create();
    guest_write64(p.g, PAGE, 77);
    p.s.rax = p.s.rsi = PAGE;
    p.s.rcx = p.s.rdx = 0;
    SNP_RUN(&p, "mov rbx, [rsi]; pvalidate; mov rdi, [rsi]");
    assert_int_equal(p.s.rbx, 77);
    assert_int_equal(snp_delivered(&p), VECTOR_VC);
    assert_int_equal(snp_error(&p), 0x404);
    assert_int_equal(p.s.cr2, PAGE);
    snp_destroy(&p);

    p = snp_create();
    guest_write64(p.g, PAGE, 77);
    p.s.rax = p.s.rsi = PAGE;
    p.s.rcx = p.s.rdx = 0;
    assert_int_equal(SNP_RUN(&p, "pvalidate; mov rax, rsi; inc edx; pvalidate; mov rdi, [rsi]"),
                     EXIT_HLT);
    assert_int_equal(p.s.rdi, 77);
    snp_destroy(&p);
}

/* What runs may rescind itself: the instruction behind is not fetched any more. */
static void code_can_rescind_the_page_it_runs_on(void **state)
{
    (void)state;
    struct snp p = snp_create();
    p.s.rax = CODE;
    p.s.rcx = p.s.rdx = 0;
    SNP_RUN(&p, "pvalidate");
    assert_int_equal(snp_delivered(&p), VECTOR_VC);
    assert_int_equal(p.s.cr2, CODE + 4);
    snp_destroy(&p);
}

/* --- RMPADJUST -------------------------------------------------------------------------------- */

static void rmpadjust_by_target_and_permissions(void **state)
{
    (void)state;
    static const struct {
        u32 vmpl; /* at work */
        u8 own;   /* its permissions */
        u64 rdx;  /* 7:0 target, 15:8 permissions, 16 VMSA */
        struct end end;
    } rows[] = {
        {0, 0xf, 0x0f01, CODE_IS(0, false)},
        {0, 0xf, 0x0003, CODE_IS(0, false)},
        {0, 0xf, 0x10001, CODE_IS(0, false)},
        {0, 0xf, 0x0f00, CODE_IS(RMP_FAIL_PERMISSION, false)},
        {0, 0xf, 0x0f04, CODE_IS(RMP_FAIL_INPUT, false)},
        {0, 0x7, 0x0f01, CODE_IS(RMP_FAIL_PERMISSION, false)},
        {0, 0xf, 0x1f01, CODE_IS(RMP_FAIL_PERMISSION, false)},
        {1, 0xf, 0x0f01, CODE_IS(RMP_FAIL_PERMISSION, false)},
        {1, 0xf, 0x0f00, CODE_IS(RMP_FAIL_PERMISSION, false)},
        {1, 0xb, 0x0b02, CODE_IS(0, false)},
        {1, 0xb, 0x0f02, CODE_IS(RMP_FAIL_PERMISSION, false)},
        {3, 0xf, 0x0103, CODE_IS(RMP_FAIL_PERMISSION, false)},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        struct rmp_entry e = {OURS}, after;
        memset(e.permissions, 0, sizeof e.permissions);
        e.permissions[rows[i].vmpl] = rows[i].own;
        snp_assign(&p, PAGE, &e);
        p.s.vmpl = (u8)rows[i].vmpl;
        struct end end = TRY(&p, "rmpadjust", PAGE, 0, rows[i].rdx);
        check(i, &end, &rows[i].end);
        after = snp_entry(&p, PAGE);
        u32 target = rows[i].rdx & 0xff;
        if (end.eax == 0)
            assert_int_equal(after.permissions[target], (u8)(rows[i].rdx >> 8));
        assert_int_equal(after.vmsa, end.eax == 0 && rows[i].rdx >> 16 & 1);
        snp_destroy(&p);
    }
}

static void rmpadjust_by_state_of_the_page(void **state)
{
    (void)state;
    static const struct {
        struct rmp_entry e;
        struct end end;
    } rows[] = {
        {{OURS}, CODE_IS(0, false)},
        {{.assigned = true, .asid = 1, .gpa = PAGE, OPEN}, RAISES(VECTOR_VC, 0x404)},
        {{.assigned = false}, NESTED(ENC)},
        {{OURS, .immutable = true}, NESTED(ENC)},
        {{.assigned = true, .validated = true, .asid = 2, .gpa = PAGE, OPEN}, NESTED(ENC)},
        {{.assigned = true, .validated = true, .asid = 1, .gpa = 0, OPEN}, NESTED(ENC)},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        snp_assign(&p, PAGE, &rows[i].e);
        struct end end = TRY(&p, "rmpadjust", PAGE, 0, 0x0101);
        check(i, &end, &rows[i].end);
        if (end.vector == VECTOR_VC)
            assert_int_equal(p.s.cr2, PAGE);
        snp_destroy(&p);
    }
    struct snp p = snp_create();
    struct end end = TRY(&p, "rmpadjust", LARGE, 1, 0x0101);
    check(0, &end, &(struct end)CODE_IS(0, false));
    assert_int_equal(snp_entry(&p, LARGE + 0x7000).permissions[1], 1);
    end = TRY(&p, "rmpadjust", LARGE, 0, 0x0101);
    check(1, &end, &(struct end)NESTED(ENC | SIZEM));
    p.s.rip = CODE;
    end = TRY(&p, "rmpadjust", LARGE + 0x1000, 1, 0x0101);
    check(2, &end, &(struct end)CODE_IS(RMP_FAIL_INPUT, false));
    snp_destroy(&p);
}

/* As an SVSM does it: VMPL 0 takes a right away from VMPL 1, which holds at once. */
static void what_a_vmpl_lost_it_has_no_more(void **state)
{
    (void)state;
    struct snp p = snp_create();
    snp_vmsa_page(&p, 0xa000, 0xfffffffff000ull);
    struct vmsa lesser = p.s;
    lesser.vmpl = 1;
    lesser.rip = CODE + 0x100;
    guest_write_code(p.g, lesser.rip, ASM("mov [0x20000], rax; hlt")); /* mov [PAGE], rax; hlt */
    assert_true(memory_write(p.g->memory, 0xa000, p.g->key, &lesser, sizeof lesser));
    p.g->vmcb.control.vmsa = 0xa000;
    assert_int_equal(snp_resume(&p), EXIT_HLT);
    struct vmsa upper = lesser;
    upper.vmpl = 0;
    upper.rip = CODE;
    upper.rax = PAGE;
    upper.rcx = 0;
    upper.rdx = 1 | RMP_READ << 8;
    p.s = upper;
    p.g->vmcb.control.vmsa = VMSA;
    assert_int_equal(SNP_RUN(&p, "rmpadjust"), EXIT_HLT);
    assert_int_equal(p.s.rax, 0);
    p.s = lesser;
    p.g->vmcb.control.vmsa = 0xa000;
    assert_int_equal(snp_run(&p), EXIT_NPF);
    assert_int_equal(p.g->vmcb.control.exit_info_1, FAULT | BIT(1) | ENC | BIT(36));
    snp_destroy(&p);
}

/* AP creation: the guest makes a VMSA of a page of its own, the host runs it, the guest takes it
 * back. */
static void a_guest_makes_a_vmsa_of_its_own_page(void **state)
{
    (void)state;
    struct snp p = snp_create();
    struct vmsa first = p.s, second = p.s;
    second.rip = CODE + 0x200;
    second.r8_15[0] = 5;
    guest_write_code(p.g, second.rip, ASM("inc r8; hlt"));
    guest_write(p.g, PAGE, &second, sizeof second);
    p.g->vmcb.control.vmsa = GUEST_BASE + PAGE;
    assert_int_equal(snp_resume(&p), EXIT_INVALID);
    p.s = first;
    p.g->vmcb.control.vmsa = VMSA;
    TRY(&p, "rmpadjust", PAGE, 0, 0x10001);
    assert_int_equal(p.s.rax, 0);
    p.g->vmcb.control.vmsa = GUEST_BASE + PAGE;
    assert_int_equal(snp_resume(&p), EXIT_HLT);
    assert_int_equal(p.s.r8_15[0], 6);
    p.s = first;
    p.g->vmcb.control.vmsa = VMSA;
    TRY(&p, "rmpadjust", PAGE, 0, 0x00001);
    p.g->vmcb.control.vmsa = GUEST_BASE + PAGE;
    assert_int_equal(snp_resume(&p), EXIT_INVALID);
    snp_destroy(&p);
}

static void the_vmsa_at_work_is_in_use(void **state)
{
    (void)state;
    struct snp p = snp_create();
    struct rmp_entry e = {OURS, .vmsa = true};
    snp_assign(&p, PAGE, &e);
    p.g->vmcb.control.vmsa = GUEST_BASE + PAGE;
    struct end end = TRY(&p, "pvalidate", PAGE, 0, 0);
    check(0, &end, &(struct end)CODE_IS(RMP_FAIL_INUSE, false));
    p.s.rip = CODE;
    end = TRY(&p, "rmpadjust", PAGE, 0, 0x00001);
    check(1, &end, &(struct end)CODE_IS(RMP_FAIL_INUSE, false));
    snp_destroy(&p);
}

/* --- RMPQUERY --------------------------------------------------------------------------------- */

static void rmpquery_reads_what_is_there(void **state)
{
    (void)state;
    static const struct {
        u32 vmpl, target;
        struct end end;
        u64 rdx;
    } rows[] = {
        {0, 0, CODE_IS(0, false), 0x10f00},        {0, 1, CODE_IS(0, false), 0x10301},
        {1, 3, CODE_IS(0, false), 0x10003},        {1, 0, CODE_IS(RMP_FAIL_PERMISSION, false), 0},
        {0, 4, CODE_IS(RMP_FAIL_INPUT, false), 4},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        struct rmp_entry e = {.assigned = true,
                              .validated = true,
                              .vmsa = true,
                              .asid = 1,
                              .gpa = PAGE,
                              .permissions = {0xf, 3, 1, 0}};
        snp_assign(&p, PAGE, &e);
        p.s.vmpl = (u8)rows[i].vmpl;
        struct end end = TRY(&p, "rmpquery", PAGE, 77, rows[i].target);
        check(i, &end, &rows[i].end);
        assert_int_equal(p.s.rdx, rows[i].rdx);
        assert_int_equal(p.s.rcx, end.eax == 0 ? 0 : 77);
        snp_destroy(&p);
    }
    struct snp p = snp_create();
    struct end end = TRY(&p, "rmpquery", LARGE + 0x3000, 0, 2);
    check(0, &end, &(struct end)CODE_IS(0, false));
    assert_int_equal(p.s.rcx, 1);
    assert_int_equal(p.s.rdx, 0xf02);
    snp_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pvalidate_by_state_of_the_page),
        cmocka_unit_test(pvalidate_by_size),
        cmocka_unit_test(pvalidate_by_privilege),
        cmocka_unit_test(guests_without_snp_and_hosts_instructions_are_undefined),
        cmocka_unit_test(addresses_are_translated_as_for_a_read),
        cmocka_unit_test(a_rescinded_page_is_gone_at_once),
        cmocka_unit_test(code_can_rescind_the_page_it_runs_on),
        cmocka_unit_test(rmpadjust_by_target_and_permissions),
        cmocka_unit_test(rmpadjust_by_state_of_the_page),
        cmocka_unit_test(what_a_vmpl_lost_it_has_no_more),
        cmocka_unit_test(a_guest_makes_a_vmsa_of_its_own_page),
        cmocka_unit_test(the_vmsa_at_work_is_in_use),
        cmocka_unit_test(rmpquery_reads_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
