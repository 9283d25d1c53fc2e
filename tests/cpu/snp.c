/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RMP's checks of every kind of access, by the tables of the specification [cpu 8.1, 8.4]:
 * state of the page by kind of access, permissions by VMPL, sizes, guests without SNP, and the
 * processor's own accesses at VMRUN.
 */
#include "snp.h"

#define PAGE  DATA          /* the page under test */
#define FAR   0x40000000ull /* 1 GiB: its page table is the page under test */
#define SMALL (PTE_P | PTE_RW | PTE_US)

/* --- One access ------------------------------------------------------------------------------- */

/* What an access does, by letter:
 *   R W   private read, write          X U   fetch by the supervisor, by a user
 *   T D   the page is a page table: read by a walk, and written to set an accessed bit
 *   r w   shared read, write */
static void map(struct snp *p, u64 pte_bits)
{
    guest_write64(p->g, PT + PAGE / 4096 * 8, PAGE | SMALL | PTE_A | PTE_D | pte_bits);
}

static void aim_at_code(struct snp *p, bool user)
{
    guest_write_code(p->g, PAGE, ASM("ud2"));
    p->s.rip = PAGE;
    if (!user)
        return;
    p->s.cs = segment_64(SEL_USER64 | 3, 0xafb);
    p->s.ss = segment_64(SEL_USER_DATA | 3, 0xcf3);
    p->s.cpl = 3;
    p->s.rsp = USTACK;
}

static void aim_at_table(struct snp *p, bool accessed)
{
    u64 c = BIT(51);
    guest_write64(p->g, PML4 + 0x1000 + 8,
                  0x30000 | SMALL | c | PTE_A); /* 1 GiB: directory at 30000 */
    guest_write64(p->g, 0x30000, PAGE | SMALL | c | PTE_A);
    guest_write64(p->g, PAGE, 0x31000 | SMALL | c | (accessed ? PTE_A | PTE_D : 0));
    guest_write_code(p->g, CODE, ASM("mov rax, [0x40000000]; hlt")); /* mov rax, [FAR]; hlt */
}

static void prepare(struct snp *p, char kind)
{
    map(p, kind == 'r' || kind == 'w' ? 0 : BIT(51));
    if (kind == 'X' || kind == 'U')
        aim_at_code(p, kind == 'U');
    else if (kind == 'T' || kind == 'D')
        aim_at_table(p, kind == 'T');
    else if (kind == 'R' || kind == 'r')
        guest_write_code(p->g, CODE, ASM("mov rax, [0x20000]; hlt")); /* mov rax, [PAGE]; hlt */
    else
        guest_write_code(p->g, CODE, ASM("mov [0x20000], rax; hlt")); /* mov [PAGE], rax; hlt */
}

static bool went_through(const struct snp *p, char kind)
{
    if (kind == 'X' || kind == 'U')
        return snp_delivered(p) == VECTOR_UD;
    return p->g->vmcb.control.exit_code == EXIT_HLT && p->s.rip == CODE + 9;
}

static u64 npf_info(char kind, char what)
{
    bool table = kind == 'T' || kind == 'D';
    bool write = kind == 'W' || kind == 'w' || table; /* to the nested tables every walk is one */
    bool shared = kind == 'r' || kind == 'w';
    return BIT(0) | (write ? BIT(1) : 0) | BIT(2) | (kind == 'X' || kind == 'U' ? BIT(4) : 0) |
           BIT(31) | (table ? BIT(33) : BIT(32)) | (shared ? 0 : BIT(34)) |
           (what == 'V' ? BIT(36) : 0);
}

/* '.' it works, 'N' nested fault, 'V' the same for the VMPL, '4' #VC 404, '?' something else. */
static char outcome(struct snp *p, char kind)
{
    const struct vmcb_control *k = &p->g->vmcb.control;
    u64 address = kind == 'T' || kind == 'D' ? FAR : PAGE;
    if (went_through(p, kind))
        return '.';
    if (k->exit_code == EXIT_NPF && k->exit_info_2 == PAGE)
        for (const char *what = "NV"; *what; what++)
            if (k->exit_info_1 == npf_info(kind, *what))
                return *what;
    bool vc = snp_delivered(p) == VECTOR_VC && snp_error(p) == 0x404 && p->s.cr2 == address;
    return vc ? '4' : '?';
}

/* One guest for all of a table's accesses: what one leaves behind is undone before the next. */
static struct snp table_guest;
static struct vmsa table_start;

static int table_setup(void **state)
{
    (void)state;
    table_guest = snp_create();
    table_start = table_guest.s;
    return 0;
}

static int table_teardown(void **state)
{
    (void)state;
    snp_destroy(&table_guest);
    return 0;
}

static char try_access(u32 vmpl, char kind, const struct rmp_entry *e, bool warm)
{
    struct snp *p = &table_guest;
    struct rmp_entry open = snp_page(PAGE, false);
    snp_assign(p, PAGE, &open);
    p->s = table_start;
    p->s.vmpl = (u8)vmpl;
    p->g->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    prepare(p, kind);
    struct vmsa start = p->s;
    if (warm) { /* the page is in the TLB when the entry changes */
        open.assigned = kind != 'r' && kind != 'w';
        snp_assign(p, PAGE, &open);
        snp_run(p);
        assert_int_equal(outcome(p, kind), '.');
        p->s = start;
        if (kind == 'D') /* it has set its bits: they are to be set again */
            aim_at_table(p, false);
        if (kind == 'T' || kind == 'D') /* the leaf's translation outlives its table */
            p->g->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    }
    snp_assign(p, PAGE, e);
    snp_run(p);
    return outcome(p, kind);
}

static void check_row(u32 row, u32 vmpl, const char *kinds, const char *expected,
                      const struct rmp_entry *e)
{
    for (u32 i = 0; kinds[i]; i++)
        for (u32 warm = 0; warm < 2; warm++) {
            char what = try_access(vmpl, kinds[i], e, warm);
            if (what != expected[i])
                fail_msg("row %u, VMPL %u, access %c, %s: %c, not %c", row, vmpl, kinds[i],
                         warm ? "TLB full" : "TLB empty", what, expected[i]);
        }
}

/* --- The tables ------------------------------------------------------------------------------- */

#define OPEN .permissions = {RMP_ALL, RMP_ALL, RMP_ALL, RMP_ALL}
#define OURS .assigned = true, .validated = true, .asid = 1, .gpa = PAGE, OPEN

static void state_of_the_page_by_kind_of_access(void **state)
{
    (void)state;
    static const struct {
        struct rmp_entry e;
        const char *expected; /* R W X U T D r w */
    } rows[] = {
        {{OURS}, ".......N"},                                               /* guest-valid */
        {{.assigned = true, .asid = 1, .gpa = PAGE, OPEN}, "444444.N"},     /* guest-invalid */
        {{.assigned = false}, "NNNNNN.."},                                  /* hypervisor */
        {{.immutable = true}, "NNNNNN.."},                                  /* HV-fixed */
        {{.assigned = true}, "NNNNNN.N"},                                   /* reclaim */
        {{.assigned = true, .immutable = true}, "NNNNNN.N"},                /* firmware */
        {{.assigned = true, .immutable = true, .vmsa = true}, "NNNNNN.N"},  /* context */
        {{.assigned = true, .immutable = true, .gpa = 0x5000}, "NNNNNN.N"}, /* metadata */
        {{.assigned = true, .immutable = true, .asid = 1, .gpa = PAGE, OPEN},
         "NNNNNN.N"},                            /* pre-guest */
        {{OURS, .immutable = true}, "NNNNNN.N"}, /* pre-swap */
        {{.assigned = true, .validated = true, .asid = 2, .gpa = PAGE, OPEN},
         "NNNNNN.N"}, /* another guest's */
        {{.assigned = true, .validated = true, .asid = 1, .gpa = PAGE + 0x1000, OPEN},
         "NNNNNN.N"}, /* moved */
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        check_row(i, 0, "RWXUTDrw", rows[i].expected, &rows[i].e);
}

/* Permissions: 1 read, 2 write, 4 execute by users, 8 by the supervisor [cpu 8.1]. */
static void permissions_by_vmpl(void **state)
{
    (void)state;
    static const struct {
        u8 permissions;
        const char *expected; /* R W X U T D */
    } rows[] = {
        {0x0, "VVVVVV"}, {0x1, ".VVV.V"}, {0x2, "VVVVVV"}, {0x3, "..VV.."},
        {0x4, "VVV.VV"}, {0x8, "VV.VVV"}, {0x5, ".VV..V"}, {0x9, ".V.V.V"},
        {0x7, "..V..."}, {0xb, "...V.."}, {0xf, "......"},
    };
    for (u32 vmpl = 0; vmpl < RMP_VMPLS; vmpl++)
        for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
            struct rmp_entry e = {OURS};
            e.permissions[vmpl] = rows[i].permissions;
            check_row(i, vmpl, "RWXUTD", rows[i].expected, &e);
        }
}

/* A page that is not validated is told to the guest, before its permissions are looked at; one that
 * is not the guest's to the host, before either. */
static void checks_come_in_their_order(void **state)
{
    (void)state;
    check_row(0, 1, "RWXUTD", "444444",
              &(struct rmp_entry){.assigned = true, .asid = 1, .gpa = PAGE});
    check_row(1, 1, "RWXUTD", "NNNNNN",
              &(struct rmp_entry){.assigned = true, .asid = 2, .gpa = PAGE});
}

/* A page that may only be read is in the TLB for reading when it is written to. */
static void a_write_behind_a_read_is_checked(void **state)
{
    (void)state;
    static const struct {
        struct rmp_entry e;
        u64 c_bit, fault; /* bits beyond present, write, user, RMP and final */
    } rows[] = {
        {{.assigned = true, .validated = true, .asid = 1, .gpa = PAGE, .permissions = {RMP_READ}},
         BIT(51),
         BIT(34) | BIT(36)},
        {{OURS}, 0, 0},
        {{.assigned = true, .immutable = true}, 0, 0},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        snp_assign(&p, PAGE, &rows[i].e);
        map(&p, rows[i].c_bit);
        host_write64(p.g, NPT + 0x3000 + PAGE / 4096 * 8,
                     (GUEST_BASE + PAGE) | SMALL | PTE_A | PTE_D);
        p.s.rsi = PAGE;
        assert_int_equal(SNP_RUN(&p, "mov rax, [rsi]; mov [rsi], rax"), EXIT_NPF);
        assert_int_equal(p.s.rip, CODE + 3);
        assert_int_equal(p.g->vmcb.control.exit_info_1,
                         BIT(0) | BIT(1) | BIT(2) | BIT(31) | BIT(32) | rows[i].fault);
        snp_destroy(&p);
    }
}

static u64 read_at(struct snp *p, u64 gpa)
{
    p->s.rsi = gpa;
    p->s.rip = CODE;
    return SNP_RUN(p, "mov rax, [rsi]");
}

/* Nested leaf and entry are of one size, or the access faults; SIZEM is not set for it
 * [cpu 3.5, 8.4]. */
static void sizes_of_page_and_entry_are_compared(void **state)
{
    (void)state;
    struct snp p = snp_create();
    u64 fault = BIT(0) | BIT(2) | BIT(31) | BIT(32) | BIT(34);
    assert_int_equal(read_at(&p, MIB(2)), EXIT_HLT);
    assert_int_equal(read_at(&p, MIB(2) + 0x5000), EXIT_HLT);
    assert_true(rmp_smash(p.g->memory, GUEST_BASE + MIB(2))); /* 4 KiB entries, 2 MiB leaf */
    assert_int_equal(read_at(&p, MIB(2) + 0x5000), EXIT_NPF);
    assert_int_equal(p.g->vmcb.control.exit_info_1, fault);
    assert_int_equal(p.g->vmcb.control.exit_info_2, MIB(2) + 0x5000);
    struct rmp_entry large = snp_page(MIB(4), true);
    snp_assign(&p, MIB(4), &large);
    host_write64(p.g, NPT + 0x2010, 0x20000 | SMALL); /* 4 KiB leaf, 2 MiB entry */
    host_write64(p.g, 0x20000 + 8, (GUEST_BASE + MIB(4) + 0x1000) | SMALL);
    p.g->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    assert_int_equal(read_at(&p, MIB(4) + 0x1000), EXIT_NPF);
    assert_int_equal(p.g->vmcb.control.exit_info_1, fault);
    snp_destroy(&p);
}

static void nested_permissions_come_before_the_rmp(void **state)
{
    (void)state;
    struct snp p = snp_create();
    host_write64(p.g, NPT + 0x3000 + PAGE / 4096 * 8, (GUEST_BASE + PAGE) | PTE_P | PTE_US);
    struct rmp_entry e = {.assigned = false};
    snp_assign(&p, PAGE, &e);
    map(&p, BIT(51));
    assert_int_equal(SNP_RUN(&p, "mov [0x20000], rax"), EXIT_NPF);
    assert_int_equal(p.g->vmcb.control.exit_info_1, BIT(0) | BIT(1) | BIT(2) | BIT(32) | BIT(34));
    snp_destroy(&p);
}

/* --- Guests without SNP, and the host --------------------------------------------------------- */

static u64 plain_access(bool sev, char kind, const struct rmp_entry *e)
{
    struct guest *g = guest_create(sev);
    g->vmcb.control.asid = 1;
    guest_snp(g, RMP_TABLE);
    guest_write_code(g, PAGE, ASM("hlt"));
    assert_true(rmp_set(g->memory, GUEST_BASE + PAGE, e));
    if (kind == 'X')
        g->vmcb.save.rip = PAGE;
    u64 code = kind == 'X'   ? guest_vmrun(g)
               : kind == 'R' ? RUN(g, "mov rax, [0x20000]")
                             : RUN(g, "mov rax, [0x20000]; mov [0x20000], rax");
    if (code == EXIT_NPF) {
        assert_int_equal(g->vmcb.control.exit_info_1,
                         BIT(0) | BIT(1) | BIT(2) | BIT(31) | BIT(32) | (sev ? BIT(34) : 0));
        assert_int_equal(g->vmcb.control.exit_info_2, PAGE);
    }
    guest_destroy(g);
    return code;
}

/* They read and run what they like, and write only what is the hypervisor's [cpu 8.4]. */
static void guests_without_snp_write_only_the_hypervisors_pages(void **state)
{
    (void)state;
    static const struct rmp_entry host = {.assigned = false}, fixed = {.immutable = true},
                                  reclaim = {.assigned = true}, guest = {OURS},
                                  firmware = {.assigned = true, .immutable = true};
    const struct rmp_entry *const entries[] = {&host, &fixed, &reclaim, &guest, &firmware};
    for (u32 sev = 0; sev < 2; sev++)
        for (u32 i = 0; i < ARRAY_SIZE(entries); i++) {
            assert_int_equal(plain_access(sev, 'R', entries[i]), EXIT_HLT);
            assert_int_equal(plain_access(sev, 'X', entries[i]), EXIT_HLT);
            assert_int_equal(plain_access(sev, 'W', entries[i]), i < 2 ? EXIT_HLT : EXIT_NPF);
        }
}

/* A large nested page is the hypervisor's if all of it is [APM2 15.36.10]. */
static void a_shared_write_asks_for_all_of_a_large_page(void **state)
{
    (void)state;
    static const struct rmp_entry host = {.assigned = false};
    struct snp p = snp_create();
    struct rmp_entry ours = snp_page(MIB(2) + 0x5000, false);
    guest_write64(p.g, PML4 + 0x2000 + 8, MIB(2) | PTE_P | PTE_RW | PTE_US | PTE_PS);
    snp_assign(&p, MIB(2), &host);
    snp_assign(&p, MIB(2) + 0x5000, &ours);
    assert_int_equal(SNP_RUN(&p, "mov [0x201000], rax"), EXIT_NPF);
    assert_true(p.g->vmcb.control.exit_info_1 ==
                (NPF_PRESENT | NPF_WRITE | NPF_USER | NPF_RMP | NPF_FINAL));
    snp_assign(&p, MIB(2) + 0x5000, &host);
    assert_int_equal(snp_resume(&p), EXIT_HLT);
    snp_destroy(&p);
}

/* The processor sets A and D bits of nested tables by the host's right. */
static void nested_tables_are_written_only_where_the_host_may(void **state)
{
    (void)state;
    struct snp p = snp_create();
    struct rmp_entry reclaim = {.assigned = true};
    assert_true(rmp_set(p.g->memory, NPT + 0x3000, &reclaim));
    assert_int_equal(SNP_RUN(&p, "nop"), EXIT_NPF);
    assert_true(p.g->vmcb.control.exit_info_1 & BIT(31));
    snp_destroy(&p);
}

static void guest_pages_read_as_ciphertext_outside(void **state)
{
    (void)state;
    struct snp p = snp_create();
    guest_write64(p.g, PAGE, 0x1122334455667788ull);
    u64 seen = host_read64(p.g, GUEST_BASE + PAGE);
    assert_int_not_equal(seen, 0x1122334455667788ull);
    assert_int_equal(read_at(&p, PAGE), EXIT_HLT); /* and the guest still finds its own */
    assert_int_equal(p.s.rax, 0x1122334455667788ull);
    snp_destroy(&p);
}

/* --- The processor's own pages at VMRUN [cpu 4.5] --------------------------------------------- */

static void vmrun_wants_its_vmcb_and_hsave_from_the_host(void **state)
{
    (void)state;
    static const u64 pages[] = {VMCB, HSAVE};
    static const struct rmp_entry taken[] = {
        {OURS}, {.assigned = true}, {.assigned = true, .immutable = true}};
    for (u32 i = 0; i < ARRAY_SIZE(pages); i++)
        for (u32 n = 0; n < ARRAY_SIZE(taken); n++) {
            struct snp p = snp_create();
            assert_true(memory_write(p.g->memory, VMSA, p.g->key, &p.s, sizeof p.s));
            assert_true(memory_write(p.g->memory, VMCB, KEY_RAW, &p.g->vmcb, sizeof p.g->vmcb));
            assert_true(rmp_set(p.g->memory, pages[i], &taken[n]));
            assert_false(cpu_vmrun(p.g->cpu, VMCB, 1000));
            assert_int_equal(cpu_vmsave(p.g->cpu, VMCB), pages[i] != VMCB);
            snp_destroy(&p);
        }
}

static void vmrun_wants_a_vmsa_page_of_this_guest(void **state)
{
    (void)state;
    static const struct {
        struct rmp_entry e;
        bool runs;
    } rows[] = {
        {{OURS, .vmsa = true}, true},
        {{OURS}, false},
        {{.assigned = true, .asid = 1, .gpa = PAGE, OPEN, .vmsa = true}, true}, /* not validated */
        {{OURS, .vmsa = true, .immutable = true}, false},
        {{.assigned = true, .validated = true, .vmsa = true, .asid = 2, .gpa = PAGE, OPEN}, false},
        {{.assigned = false}, false},
        {{.assigned = true, .immutable = true, .vmsa = true}, false},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp p = snp_create();
        guest_write_code(p.g, CODE, ASM("hlt"));
        assert_true(rmp_set(p.g->memory, VMSA, &rows[i].e));
        u64 expected = rows[i].runs ? EXIT_HLT : EXIT_INVALID;
        if (snp_run(&p) != expected)
            fail_msg("row %u", i);
        snp_destroy(&p);
    }
}

/* The other way round: a guest without SNP whose VMSA the RMP gives to somebody. */
static void vmrun_wants_a_vmsa_without_snp_from_the_host(void **state)
{
    (void)state;
    struct snp p = snp_create();
    p.s.sev_features = 0;
    guest_write_code(p.g, CODE, ASM("hlt"));
    assert_true(memory_write(p.g->memory, VMSA, p.g->key, &p.s, sizeof p.s));
    memory_vmsa_seal(p.g->memory, VMSA, p.g->key);
    assert_int_equal(snp_resume(&p), EXIT_INVALID);
    struct rmp_entry host = {.assigned = false};
    assert_true(rmp_set(p.g->memory, VMSA, &host));
    for (u64 gpa = 0; gpa < MIB(8); gpa += gpa < MIB(2) ? PAGE_SIZE : MIB(2))
        snp_assign(&p, gpa, &host);
    assert_int_equal(snp_resume(&p), EXIT_HLT);
    snp_destroy(&p);
}

static void vmrun_of_snp_needs_the_platform(void **state)
{
    (void)state;
    struct snp p = snp_create();
    guest_write_code(p.g, CODE, ASM("hlt"));
    p.s.vmpl = 4;
    assert_int_equal(snp_run(&p), EXIT_INVALID);
    p.s.vmpl = 3;
    assert_int_equal(snp_run(&p), EXIT_HLT);
    rmp_disable(p.g->memory);
    assert_int_equal(snp_run(&p), EXIT_INVALID);
    snp_destroy(&p);
}

/* --- Several virtual CPUs of one guest on a core ---------------------------------------------- */

/* Both run code at one address in one address space; what VMPL 1 may not, VMPL 0 may, with nothing
 * flushed by the host in between. */
static void a_core_that_changes_its_vmpl_forgets_the_old_one(void **state)
{
    (void)state;
    struct snp p = snp_create();
    struct rmp_entry e = snp_page(PAGE, false);
    e.permissions[1] = RMP_READ;
    snp_assign(&p, PAGE, &e);
    snp_vmsa_page(&p, 0xa000, 0xfffffffff000ull);
    guest_write_code(p.g, CODE, ASM("mov [0x20000], rax; hlt")); /* mov [PAGE], rax; hlt */
    p.s.pcpu_id = 1;                                             /* neither has moved */
    struct vmsa start = p.s;
    for (u32 round = 0; round < 3; round++) {
        p.s = start;
        p.g->vmcb.control.vmsa = VMSA;
        assert_int_equal(snp_run(&p), EXIT_HLT);
        p.s = start;
        p.s.vmpl = 1;
        p.g->vmcb.control.vmsa = 0xa000;
        assert_int_equal(snp_run(&p), EXIT_NPF);
        assert_true(p.g->vmcb.control.exit_info_1 & BIT(36));
    }
    snp_destroy(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(state_of_the_page_by_kind_of_access, table_setup,
                                        table_teardown),
        cmocka_unit_test_setup_teardown(permissions_by_vmpl, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(checks_come_in_their_order, table_setup, table_teardown),
        cmocka_unit_test(a_write_behind_a_read_is_checked),
        cmocka_unit_test(sizes_of_page_and_entry_are_compared),
        cmocka_unit_test(nested_permissions_come_before_the_rmp),
        cmocka_unit_test(guests_without_snp_write_only_the_hypervisors_pages),
        cmocka_unit_test(a_shared_write_asks_for_all_of_a_large_page),
        cmocka_unit_test(nested_tables_are_written_only_where_the_host_may),
        cmocka_unit_test(guest_pages_read_as_ciphertext_outside),
        cmocka_unit_test(vmrun_wants_its_vmcb_and_hsave_from_the_host),
        cmocka_unit_test(vmrun_wants_a_vmsa_page_of_this_guest),
        cmocka_unit_test(vmrun_wants_a_vmsa_without_snp_from_the_host),
        cmocka_unit_test(vmrun_of_snp_needs_the_platform),
        cmocka_unit_test(a_core_that_changes_its_vmpl_forgets_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
