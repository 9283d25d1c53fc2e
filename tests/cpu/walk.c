/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page walks: every permission in every mode against the rules as the manual's tables state them
 * [APM2 5.6], nested faults with their exact bits [cpu 3.5], and the key of each kind of access
 * [cpu 5.1].
 */
#include "guest.h"

/* A core that has just left the guest gets back what decides about its translations: walks can be
 * asked for one by one. */
static struct guest *guest_at_rest(bool sev)
{
    struct guest *g = guest_create(sev);
    struct arch *a = &g->cpu->arch;
    assert_int_equal(RUN(g, "nop"), EXIT_HLT);
    a->cr0 = g->vmcb.save.cr0;
    a->cr3 = g->vmcb.save.cr3;
    a->cr4 = g->vmcb.save.cr4;
    a->efer = g->vmcb.save.efer;
    g->cpu->guest.running = true;
    return g;
}

static bool walk(struct guest *g, u64 linear, struct access a, struct translation *t,
                 struct access_fault *f)
{
    mmu_flush_all(g->cpu);
    memset(f, 0, sizeof *f);
    return mmu_translate(g->cpu, linear, a, t, f);
}

/* --- Permissions ------------------------------------------------------------------------------ */

struct setting {
    u64 upper, leaf; /* RW US NX */
    bool wp, smep, smap, nxe;
    struct access access;
};

/* The rules in the order of the manual's text: what the page allows, then who asks for what. */
static bool manual_allows(const struct setting *s)
{
    bool user_page = s->upper & s->leaf & PTE_US;
    bool writable = s->upper & s->leaf & PTE_RW;
    bool executable = !((s->upper | s->leaf) & PTE_NX);
    bool supervisor = s->access.context != TLB_USER;
    if (!supervisor && !user_page)
        return false;
    if (s->access.fetch)
        return executable && !(supervisor && user_page && s->smep);
    if (supervisor && user_page && s->smap && s->access.context != TLB_KERNEL_AC)
        return false;
    if (!s->access.write || writable)
        return true;
    return supervisor && !s->wp;
}

static u32 manual_error(const struct setting *s)
{
    return (u32)(PF_PRESENT | (s->access.write ? PF_WRITE : 0) |
                 (s->access.context == TLB_USER ? PF_USER : 0) |
                 (s->access.fetch && (s->nxe || s->smep) ? PF_FETCH : 0));
}

static void apply(struct guest *g, const struct setting *s)
{
    g->cpu->arch.cr0 = (g->cpu->arch.cr0 & ~CR0_WP) | (s->wp ? CR0_WP : 0);
    g->cpu->arch.cr4 = (g->cpu->arch.cr4 & ~(CR4_SMEP | CR4_SMAP)) | (s->smep ? CR4_SMEP : 0) |
                       (s->smap ? CR4_SMAP : 0);
    g->cpu->arch.efer = (g->cpu->arch.efer & ~EFER_NXE) | (s->nxe ? EFER_NXE : 0);
}

/* Bits 0..13 of `n` are a setting; false if it is none. */
static bool setting_of(u32 n, struct setting *s)
{
    static const struct access accesses[] = {
        {.context = TLB_USER},
        {.context = TLB_USER, .write = true},
        {.context = TLB_USER, .fetch = true},
        {.context = TLB_KERNEL},
        {.context = TLB_KERNEL, .write = true},
        {.context = TLB_KERNEL, .fetch = true},
        {.context = TLB_KERNEL_AC},
        {.context = TLB_KERNEL_AC, .write = true},
    };
    *s = (struct setting){
        .upper = (n & 1 ? PTE_RW : 0) | (n & 2 ? PTE_US : 0) | (n & 4 ? PTE_NX : 0),
        .leaf = (n & 8 ? PTE_RW : 0) | (n & 16 ? PTE_US : 0) | (n & 32 ? PTE_NX : 0),
        .wp = n & 64,
        .smep = n & 128,
        .smap = n & 256,
        .nxe = n & 512,
        .access = accesses[n >> 10 & 7],
    };
    return s->nxe || !((s->upper | s->leaf) & PTE_NX);
}

static void check_setting(struct guest *g, const struct setting *s, u64 linear, u32 n)
{
    struct translation t;
    struct access_fault f;
    apply(g, s);
    bool allowed = walk(g, linear, s->access, &t, &f);
    if (allowed != manual_allows(s) || (!allowed && (f.nested || f.error != manual_error(s))))
        fail_msg("setting %u: allowed %d error 0x%x, the manual says %d 0x%x", n, allowed, f.error,
                 manual_allows(s), manual_error(s));
    if (allowed)
        assert_int_equal(t.frame, (GUEST_BASE + linear) >> PAGE_SHIFT);
}

static void every_permission_in_long_mode(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(false);
    for (u32 n = 0; n < 8192; n++) {
        struct setting s;
        if (!setting_of(n, &s))
            continue;
        guest_write64(g, PML4, 0x2000 | PTE_P | s.upper);
        guest_write64(g, PT + 8 * (DATA >> 12), DATA | PTE_P | s.leaf);
        check_setting(g, &s, DATA, n);
    }
    guest_destroy(g);
}

/* PKRU restricts data accesses to user pages, whoever makes them; only CR0.WP binds the supervisor
 * to the bit for writes [APM2 5.6.7]. */
static void protection_keys_restrict_data_accesses(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(false);
    struct arch *a = &g->cpu->arch;
    a->cr4 |= CR4_PKE;
    guest_write64(g, PML4, 0x2000 | PTE_P | PTE_RW | PTE_US);
    for (u32 n = 0; n < 2048; n++) {
        struct setting s;
        u32 key = n & 15, rights = n >> 7 & 3;
        bool user_page = n & 512, enabled = n & 1024;
        assert_true(setting_of((n >> 4 & 7) << 10 | 512, &s));
        s.wp = key & 1;
        s.upper = PTE_RW | PTE_US;
        s.leaf = PTE_RW | (user_page ? PTE_US : 0);
        apply(g, &s);
        a->cr4 = (a->cr4 & ~CR4_PKE) | (enabled ? CR4_PKE : 0);
        a->pkru = rights << (2 * key);
        guest_write64(g, PT + 8 * (DATA >> 12), DATA | PTE_P | s.leaf | (u64)key << 59);
        bool obeys = s.access.context == TLB_USER || s.wp;
        bool denied = enabled && user_page && !s.access.fetch &&
                      (rights & 1 || (rights & 2 && s.access.write && obeys));
        struct translation t;
        struct access_fault f;
        bool allowed = walk(g, DATA, s.access, &t, &f);
        if (allowed != (manual_allows(&s) && !denied) ||
            (!allowed && f.error != (manual_error(&s) | (denied ? PF_PK : 0))))
            fail_msg("case %u: allowed %d error 0x%x", n, allowed, f.error);
        bool may_write = rights == 0 || rights == 2 ? !(rights & 2 && obeys) : false;
        if (allowed && enabled && user_page && s.access.write)
            assert_int_equal(!!(t.flags & TLB_WRITABLE), may_write);
    }
    guest_destroy(g);
}

static void wrpkru_takes_effect_at_once(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    u64 pte = guest_read64(g, PT + 8 * (DATA >> 12));
    guest_write64(g, PT + 8 * (DATA >> 12), pte | 3ull << 59);
    build_vmcb(g);
    g->vmcb.save.cr4 |= CR4_PKE;
    RUN(g, "mov bl, [0x20000]; xor ecx, ecx; xor edx, edx; mov eax, 0x40; wrpkru;"
           "mov bl, [0x20000]");
    assert_int_equal(g->vmcb.save.cr2, DATA);
    assert_int_equal(guest_read64(g, g->vmcb.save.rsp), PF_PRESENT | PF_PK);
    assert_int_equal(guest_read64(g, g->vmcb.save.rsp + 8), CODE + 19);
    guest_destroy(g);
}

/* Page directory pointers at 0x30000, directory 0x31000, table 0x32000. */
static void every_permission_in_pae_mode(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(false);
    g->cpu->arch.efer &= ~(EFER_LME | EFER_LMA);
    g->cpu->arch.cr3 = 0x30000;
    guest_write64(g, 0x30000, 0x31000 | PTE_P);
    for (u32 n = 0; n < 8192; n++) {
        struct setting s;
        if (!setting_of(n, &s))
            continue;
        guest_write64(g, 0x31000, 0x32000 | PTE_P | s.upper);
        guest_write64(g, 0x32000 + 8 * (DATA >> 12), DATA | PTE_P | s.leaf);
        check_setting(g, &s, DATA, n);
    }
    guest_destroy(g);
}

static void every_permission_in_32_bit_mode(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(false);
    g->cpu->arch.efer &= ~(EFER_LME | EFER_LMA);
    g->cpu->arch.cr4 &= ~CR4_PAE;
    g->cpu->arch.cr3 = 0x30000;
    for (u32 n = 0; n < 8192; n++) {
        struct setting s;
        if (!setting_of(n, &s) || (s.upper | s.leaf) & PTE_NX)
            continue;
        u32 upper = (u32)(0x31000 | PTE_P | s.upper), leaf = (u32)(DATA | PTE_P | s.leaf);
        guest_write(g, 0x30000, &upper, 4);
        guest_write(g, 0x31000 + 4 * (DATA >> 12), &leaf, 4);
        s.nxe = false; /* does not count without PAE */
        check_setting(g, &s, DATA, n);
    }
    guest_destroy(g);
}

/* --- Sizes, reserved bits, A and D ------------------------------------------------------------ */

static void large_pages_of_every_size(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(false);
    struct translation t;
    struct access_fault f;
    u64 all = PTE_P | PTE_RW | PTE_US | PTE_PS | PTE_G;
    struct access read = {.context = TLB_KERNEL};
    assert_true(walk(g, MIB(2) + 0x12345, read, &t, &f));
    assert_int_equal(t.frame, (GUEST_BASE + MIB(2) + 0x12000) >> 12);
    assert_true(t.flags & TLB_LARGE);
    guest_write64(g, PML4 + 0x1000 + 8, all); /* 1 GiB at 1 GiB -> 0 */
    assert_true(walk(g, GIB(1) + 0x345678, read, &t, &f));
    assert_int_equal(t.frame, (GUEST_BASE + 0x345000) >> 12);
    assert_int_equal(t.flags, TLB_HUGE | TLB_GLOBAL);
    g->cpu->arch.efer &= ~(EFER_LME | EFER_LMA);
    g->cpu->arch.cr4 &= ~CR4_PAE;
    g->cpu->arch.cr4 |= CR4_PSE;
    g->cpu->arch.cr3 = 0x30000;
    u32 entry = (u32)all | 0x400000;
    guest_write(g, 0x30000 + 4 * 3, &entry, 4); /* 4 MiB at 12 MiB -> 4 MiB */
    assert_true(walk(g, MIB(12) + 0x54321, read, &t, &f));
    assert_int_equal(t.frame, (GUEST_BASE + MIB(4) + 0x54000) >> 12);
    guest_destroy(g);
}

static void reserved_bits_fault_and_the_c_bit_is_one_without_sev(void **state)
{
    (void)state;
    static const struct {
        u64 where, bits;
    } bad[] = {
        {PT + 8 * (DATA >> 12), BIT(48)},
        {PT + 8 * (DATA >> 12), BIT(51)},
        {PML4, PTE_PS},
        {PML4, BIT(50)},
        {PML4 + 0x2000 + 8, BIT(13)}, /* 2 MiB page, address not aligned */
        {PML4 + 0x1000 + 8, PTE_PS | BIT(20) | PTE_P},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct guest *g = guest_at_rest(false);
        struct translation t;
        struct access_fault f;
        u64 linear = bad[i].where == PML4 + 0x2000 + 8   ? MIB(2)
                     : bad[i].where == PML4 + 0x1000 + 8 ? GIB(1)
                                                         : DATA;
        guest_write64(g, bad[i].where, guest_read64(g, bad[i].where) | bad[i].bits);
        assert_false(walk(g, linear, (struct access){.context = TLB_KERNEL}, &t, &f));
        assert_int_equal(f.error, PF_PRESENT | PF_RSV);
        guest_destroy(g);
    }
    struct guest *g = guest_at_rest(true); /* under SEV every entry of the tables has the C-bit */
    struct translation t;
    struct access_fault f;
    assert_true(walk(g, DATA, (struct access){.context = TLB_KERNEL}, &t, &f));
    guest_destroy(g);
}

static void accessed_and_dirty_are_set_by_what_is_done(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(true);
    struct translation t;
    struct access_fault f;
    u64 leaf = PT + 8 * (DATA >> 12);
    assert_false(guest_read64(g, leaf) & (PTE_A | PTE_D));
    assert_true(walk(g, DATA, (struct access){.context = TLB_KERNEL}, &t, &f));
    assert_int_equal(guest_read64(g, leaf) & (PTE_A | PTE_D), PTE_A);
    assert_false(t.flags & TLB_WRITABLE);
    assert_int_equal(guest_read64(g, PML4) & (PTE_A | PTE_D), PTE_A);
    assert_true(walk(g, DATA, (struct access){.write = true, .context = TLB_KERNEL}, &t, &f));
    assert_int_equal(guest_read64(g, leaf) & (PTE_A | PTE_D), PTE_A | PTE_D);
    assert_true(t.flags & TLB_WRITABLE);
    assert_true(host_read64(g, NPT + 0x3000 + 8 * (DATA >> 12)) & PTE_D); /* nested tables too */
    guest_destroy(g);
}

/* --- Nested faults ---------------------------------------------------------------------------- */

static void nested_faults_have_the_exact_bits(void **state)
{
    (void)state;
    u64 all = PTE_P | PTE_RW | PTE_US;
    const struct {
        u64 page;  /* whose nested entry changes */
        u64 flags; /* its new flags */
        struct access access;
        u64 info, gpa;
    } rows[] = {
        {DATA, 0, {.context = TLB_KERNEL}, NPF_FINAL | NPF_USER, DATA + 0x123},
        {DATA,
         0,
         {.context = TLB_KERNEL, .write = true},
         NPF_FINAL | NPF_USER | NPF_WRITE,
         DATA + 0x123},
        {DATA,
         0,
         {.context = TLB_KERNEL, .fetch = true},
         NPF_FINAL | NPF_USER | NPF_FETCH,
         DATA + 0x123},
        {DATA,
         all & ~PTE_RW,
         {.context = TLB_KERNEL, .write = true},
         NPF_FINAL | NPF_USER | NPF_WRITE | NPF_PRESENT,
         DATA + 0x123},
        {DATA,
         all & ~PTE_US,
         {.context = TLB_KERNEL},
         NPF_FINAL | NPF_USER | NPF_PRESENT,
         DATA + 0x123},
        {DATA,
         all | PTE_NX,
         {.context = TLB_USER, .fetch = true},
         NPF_FINAL | NPF_USER | NPF_FETCH | NPF_PRESENT,
         DATA + 0x123},
        {DATA,
         all | BIT(50),
         {.context = TLB_USER},
         NPF_FINAL | NPF_USER | NPF_RSV | NPF_PRESENT,
         DATA + 0x123},
        {PT,
         0,
         {.context = TLB_KERNEL, .write = true},
         NPF_TABLE | NPF_USER | NPF_WRITE,
         PT + 8 * (DATA >> 12)},
        /* for the nested tables every walk is a write */
        {PT,
         all & ~PTE_RW,
         {.context = TLB_KERNEL},
         NPF_TABLE | NPF_USER | NPF_WRITE | NPF_PRESENT,
         PT + 8 * (DATA >> 12)},
    };
    for (int sev = 0; sev < 2; sev++)
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            struct guest *g = guest_at_rest(sev);
            struct translation t;
            struct access_fault f;
            u64 frame = GUEST_BASE + rows[i].page;
            host_write64(g, NPT + 0x3000 + 8 * (rows[i].page >> 12),
                         rows[i].flags ? frame | rows[i].flags : 0);
            assert_false(walk(g, DATA + 0x123, rows[i].access, &t, &f));
            assert_true(f.nested);
            if (f.info_1 != (rows[i].info | (sev ? NPF_ENC : 0)) || f.gpa != rows[i].gpa)
                fail_msg("row %zu: 0x%llx 0x%llx", i, (unsigned long long)f.info_1,
                         (unsigned long long)f.gpa);
            guest_destroy(g);
        }
}

/* [APM2 15.25.5] */
static void a_walk_through_a_guests_table_is_a_write_for_the_host(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(false);
    struct translation t;
    struct access_fault f;
    u64 entry = NPT + 0x3000 + 8 * (PT >> 12), page = (GUEST_BASE + PT) | PTE_P | PTE_US;
    struct access read = {.context = TLB_KERNEL};
    assert_true(walk(g, DATA, read, &t, &f)); /* its accessed bits are set from now on */
    host_write64(g, entry, page | PTE_RW);
    assert_true(walk(g, DATA, read, &t, &f));
    assert_true(host_read64(g, entry) & PTE_D);
    host_write64(g, entry, page);
    assert_false(walk(g, DATA, read, &t, &f));
    assert_true(f.nested);
    assert_true(f.info_1 == (NPF_TABLE | NPF_USER | NPF_WRITE | NPF_PRESENT));
    guest_destroy(g);
}

/* Nested tables have the host's modes: without NXE the bit is reserved [APM2 15.25.7]. */
static void nested_no_execute_asks_the_hosts_efer(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(false);
    struct translation t;
    struct access_fault f;
    struct access fetch = {.context = TLB_KERNEL, .fetch = true};
    host_write64(g, NPT + 0x3000 + 8 * (DATA >> 12),
                 (GUEST_BASE + DATA) | PTE_P | PTE_RW | PTE_US | PTE_NX);
    assert_false(walk(g, DATA, fetch, &t, &f));
    assert_true(f.nested && !(f.info_1 & NPF_RSV));
    g->cpu->host.efer &= ~EFER_NXE;
    assert_false(walk(g, DATA, fetch, &t, &f));
    assert_true(f.nested && f.info_1 & NPF_RSV);
    guest_destroy(g);
}

/* Bit 8 is G in a leaf alone; in a PML4E and in a PDPE that leads on it is reserved [APM2
 * 5.3.3]. */
static void bit_8_is_reserved_above_the_page_directory(void **state)
{
    (void)state;
    static const struct {
        u64 table;
        bool nested, reserved;
    } rows[] = {
        {PML4, false, true}, {PML4 + 0x1000, false, true}, {PML4 + 0x2000, false, false},
        {NPT, true, true},   {NPT + 0x1000, true, true},   {NPT + 0x2000, true, false},
    };
    const struct access read = {.context = TLB_KERNEL};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest *g = guest_at_rest(false);
        struct translation t;
        struct access_fault f;
        if (rows[i].nested)
            host_write64(g, rows[i].table, host_read64(g, rows[i].table) | BIT(8));
        else
            guest_write64(g, rows[i].table, guest_read64(g, rows[i].table) | BIT(8));
        if (walk(g, DATA, read, &t, &f) == rows[i].reserved)
            fail_msg("row %zu", i);
        if (rows[i].reserved)
            assert_true(rows[i].nested ? f.nested && f.info_1 & NPF_RSV
                                       : !f.nested && f.error & PF_RSV);
        guest_destroy(g);
    }
}

static void a_guests_fault_comes_before_the_nested_one_of_the_final_address(void **state)
{
    (void)state;
    struct guest *g = guest_at_rest(false);
    struct translation t;
    struct access_fault f;
    guest_write64(g, PT + 8 * (DATA >> 12), DATA | PTE_P);
    host_write64(g, NPT + 0x3000 + 8 * (DATA >> 12), 0);
    assert_false(walk(g, DATA, (struct access){.write = true, .context = TLB_KERNEL}, &t, &f));
    assert_false(f.nested);
    guest_destroy(g);
}

static void a_device_access_exits_with_the_bytes_of_its_instruction(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    guest_write64(g, PT + 8 * (DATA >> 12),
                  0xfee00000 | PTE_P | PTE_RW); /* shared, no memory there */
    assert_int_equal(RUN(g, "nop; mov [0x20030], eax"), EXIT_NPF);
    assert_int_equal(g->vmcb.control.exit_info_1, NPF_FINAL | NPF_USER | NPF_WRITE);
    assert_int_equal(g->vmcb.control.exit_info_2, 0xfee00030);
    assert_int_equal(g->vmcb.save.rip, CODE + 1);
    assert_int_equal(g->vmcb.control.fetched_count, 15);
    struct code fetched = ASM("mov [0x20030], eax; hlt");
    assert_memory_equal(g->vmcb.control.fetched, fetched.bytes, fetched.size);
    guest_destroy(g);
}

/* --- Keys ------------------------------------------------------------------------------------- */

static void each_kind_of_access_has_its_key(void **state)
{
    (void)state;
    enum { LONG, PAE, LEGACY, OFF };
    static const struct {
        u8 mode;
        bool c, fetch;
        memory_key key;
    } rows[] = {
        {LONG, true, false, 1}, {LONG, false, false, 0},   {LONG, true, true, 1},
        {LONG, false, true, 1}, {PAE, true, false, 1},     {PAE, false, false, 0},
        {PAE, false, true, 1},  {LEGACY, false, false, 1}, {LEGACY, false, true, 1},
        {OFF, false, false, 1}, {OFF, false, true, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest *g = guest_at_rest(true);
        struct translation t;
        struct access_fault f;
        u64 leaf = DATA | PTE_P | PTE_RW | (rows[i].c ? BIT(51) : 0);
        u32 small = (u32)leaf;
        guest_write64(g, PT + 8 * (DATA >> 12), leaf);
        guest_write64(g, 0x30000, 0x31000 | PTE_P);
        guest_write64(g, 0x31000, 0x32000 | PTE_P);
        guest_write64(g, 0x32000 + 8 * (DATA >> 12), leaf);
        guest_write(g, 0x31000 + 4 * (DATA >> 12), &small, 4);
        if (rows[i].mode != LONG) {
            g->cpu->arch.efer &= ~(EFER_LME | EFER_LMA);
            g->cpu->arch.cr3 = 0x30000 | BIT(51);
        }
        if (rows[i].mode == LEGACY)
            g->cpu->arch.cr4 &= ~CR4_PAE;
        if (rows[i].mode == OFF)
            g->cpu->arch.cr0 &= ~CR0_PG;
        assert_true(
            walk(g, DATA, (struct access){.fetch = rows[i].fetch, .context = TLB_KERNEL}, &t, &f));
        if (t.key != rows[i].key)
            fail_msg("row %zu: key %u", i, t.key);
        guest_destroy(g);
    }
}

static void code_of_a_shared_page_is_fetched_private(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    guest_write64(g, PT + 8 * (CODE >> 12), CODE | PTE_P | PTE_RW);
    assert_int_equal(RUN(g, "mov eax, 7"), EXIT_HLT);
    assert_int_equal(g->vmcb.save.rax, 7);
    guest_destroy(g);
}

static void a_shared_page_is_what_the_host_writes(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    guest_write64(g, PT + 8 * (DATA >> 12), DATA | PTE_P | PTE_RW);
    host_write64(g, GUEST_BASE + DATA, 0x1122334455667788);
    /* mov rax, [0x20000]; inc qword [0x20008] */
    assert_int_equal(RUN(g, "mov rax, [0x20000]; inc qword ptr [0x20008]"), EXIT_HLT);
    assert_true(g->vmcb.save.rax == 0x1122334455667788);
    assert_int_equal(host_read64(g, GUEST_BASE + DATA + 8), 1);
    guest_destroy(g);
}

static void the_host_sees_ciphertext_of_private_memory(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    guest_write64(g, DATA, 5);
    assert_true(host_read64(g, GUEST_BASE + DATA) != 5);
    assert_int_equal(RUN(g, "inc qword ptr [0x20000]"), EXIT_HLT);
    assert_true(host_read64(g, GUEST_BASE + DATA) != 6);
    assert_int_equal(guest_read64(g, DATA), 6);
    /* What the host overwrites, the guest finds as garbage, and still finds the rest. */
    host_write64(g, GUEST_BASE + DATA, 6);
    build_vmcb(g);
    assert_int_equal(RUN(g, "mov rax, [0x20000]"), EXIT_HLT);
    assert_true(g->vmcb.save.rax != 6);
    guest_destroy(g);
}

/* --- The TLB ---------------------------------------------------------------------------------- */

/* Reads DATA, changes its entry from `old` to `new`, runs `flush`, reads again. */
static u64 second_read(struct guest *g, struct code flush, u64 old, u64 new)
{
    struct code change = ASM("mov rax, [0x20000]; mov [rdi], rsi");
    guest_write_code(g, CODE, change);
    guest_write_code(g, CODE + change.size, flush);
    guest_write_code(g, CODE + change.size + flush.size, ASM("mov rbx, [0x20000]; hlt"));
    guest_write64(g, DATA, 0xaaaa);
    guest_write64(g, DATA + 0x1000, 0xbbbb);
    guest_write64(g, PT + 8 * (DATA >> 12), old);
    g->cpu->arch.r[RDI] = PT + 8 * (DATA >> 12);
    g->cpu->arch.r[RSI] = new;
    assert_int_equal(guest_vmrun(g), EXIT_HLT);
    return g->cpu->arch.r[RBX];
}

static void the_tlb_keeps_what_it_may_and_loses_what_it_must(void **state)
{
    (void)state;
    u64 old = DATA | PTE_P | PTE_RW | PTE_A | PTE_D, new = (DATA + 0x1000) | PTE_P | PTE_RW;
    const struct {
        struct code flush;
        u64 flags, value;
    } rows[] = {
        {ASM("nop"), 0, 0xaaaa},
        {ASM("mov rcx, cr3; mov cr3, rcx"), 0, 0xbbbb},
        {ASM("mov rcx, cr3; mov cr3, rcx"), PTE_G, 0xaaaa}, /* a global page stays */
        {ASM("invlpg [0x20000]"), 0, 0xbbbb},
        {ASM("invlpg [0x20000]"), PTE_G, 0xbbbb},
        {ASM("invlpg [0x21000]"), 0, 0xaaaa}, /* of another page */
        /* global pages go with CR4.PGE */
        {ASM("mov rcx, cr4; btr ecx, 7; mov cr4, rcx"), PTE_G, 0xbbbb},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct guest *g = guest_create(false);
        u64 value = second_read(g, rows[i].flush, old | rows[i].flags, new | rows[i].flags);
        if (value != rows[i].value)
            fail_msg("row %zu: 0x%llx", i, (unsigned long long)value);
        guest_destroy(g);
    }
}

static void invlpg_inside_a_large_page_drops_all_of_it(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write64(g, MIB(2) + 0x5000, 0xaaaa);
    guest_write64(g, MIB(4) + 0x5000, 0xbbbb);
    g->cpu->arch.r[RDI] = PML4 + 0x2000 + 8;
    g->cpu->arch.r[RSI] = MIB(4) | PTE_P | PTE_RW | PTE_PS;
    assert_int_equal(
        RUN(g, "mov rax, [0x205000]; mov [rdi], rsi; invlpg [0x3ff000]; mov rbx, [0x205000]"),
        EXIT_HLT);
    assert_int_equal(g->vmcb.save.rax, 0xaaaa);
    assert_int_equal(g->cpu->arch.r[RBX], 0xbbbb);
    guest_destroy(g);
}

static void a_nested_change_is_seen_after_a_flush_by_asid(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write64(g, DATA, 0xaaaa);
    guest_write64(g, DATA + 0x1000, 0xbbbb);
    RUN(g, "mov rax, [0x20000]");
    assert_int_equal(g->vmcb.save.rax, 0xaaaa);
    host_write64(g, NPT + 0x3000 + 8 * (DATA >> 12),
                 (GUEST_BASE + DATA + 0x1000) | PTE_P | PTE_RW | PTE_US);
    g->vmcb.save.rip = CODE;
    g->vmcb.control.tlb_control = TLB_FLUSH_ASID;
    guest_vmrun(g);
    assert_int_equal(g->vmcb.save.rax, 0xbbbb);
    guest_destroy(g);
}

static void a_store_across_pages_changes_nothing_if_one_of_them_faults(void **state)
{
    (void)state;
    struct guest *g = guest_create(false);
    guest_write64(g, DATA + 0xff8, 0x1111111111111111);
    guest_write64(g, PT + 8 * ((DATA >> 12) + 1), 0);
    g->vmcb.save.rax = ~0ull;
    RUN(g, "mov [0x20ffc], rax");
    assert_int_equal(delivered(g), VECTOR_PF);
    assert_int_equal(g->vmcb.save.cr2, DATA + 0x1000);
    assert_int_equal(guest_read64(g, STACK - 48), PF_WRITE);
    assert_true(guest_read64(g, DATA + 0xff8) == 0x1111111111111111);
    guest_destroy(g);
}

static void code_that_writes_itself_runs_as_written(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    /* mov byte [0x10009], 0x22; mov al, 0x11 with its immediate at 0x10009;
     * again through a second mapping */
    guest_write64(g, PT + 8 * (DATA >> 12), CODE | PTE_P | PTE_RW | BIT(51));
    assert_int_equal(RUN(g, "mov byte ptr [0x10009], 0x22; mov al, 0x11"), EXIT_HLT);
    assert_int_equal(g->vmcb.save.rax & 0xff, 0x22);
    build_vmcb(g);
    assert_int_equal(RUN(g, "mov byte ptr [0x20009], 0x33; mov al, 0x11"), EXIT_HLT);
    assert_int_equal(g->vmcb.save.rax & 0xff, 0x33);
    guest_destroy(g);
}

static u64 run_on(struct guest *g, struct cpu *core, u64 rip)
{
    g->cpu = core;
    build_vmcb(g);
    g->vmcb.save.rip = rip;
    g->vmcb.save.rax = 0;
    assert_int_equal(guest_vmrun(g), EXIT_HLT);
    return g->vmcb.save.rax & 0xff;
}

/* Whoever of the two decodes or writes first. */
static void code_that_another_core_writes_runs_as_written(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    struct cpu_config config = with_engine((struct cpu_config){
        .id = 1, .memory = g->memory, .clock = &g->clock, .random = &g->random});
    struct cpu *one = g->cpu, *two = cpu_create(&config);
    assert_non_null(two);
    assert_true(cpu_host_wrmsr(two, MSR_EFER, EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE));
    assert_true(cpu_host_wrmsr(two, MSR_VM_HSAVE_PA, HSAVE));
    assert_true(cpu_host_wrmsr(two, MSR_SYSCFG, SYSCFG_MEM_ENCRYPT));
    assert_true(cpu_host_wrmsr(two, MSR_HWCR, HWCR_SMM_LOCK));
    guest_write_code(g, CODE, ASM("mov al, 0x11; hlt"));
    /* inc byte [CODE + 1]; mov al, [CODE + 1]; hlt */
    guest_write_code(g, DATA, ASM("inc byte ptr [0x10001]; mov al, [0x10001]; hlt"));
    assert_int_equal(run_on(g, two, DATA), 0x12); /* may write without asking, until it is code */
    for (u64 i = 0x12; i < 0x20; i++) {
        assert_int_equal(run_on(g, one, CODE), i);
        assert_int_equal(run_on(g, one, CODE), i);
        if (i & 1) /* now code of both */
            assert_int_equal(run_on(g, two, CODE), i);
        assert_int_equal(run_on(g, i & 2 ? two : one, DATA), i + 1);
    }
    /* One core's last block there goes; the other's is still reported to. */
    guest_write_code(g, CODE, ASM("mov al, 0x77"));
    assert_int_equal(run_on(g, one, CODE), 0x77);
    assert_int_equal(run_on(g, two, CODE), 0x77);
    g->cpu = one;
    guest_destroy(g);
    cpu_destroy(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_permission_in_long_mode),
        cmocka_unit_test(protection_keys_restrict_data_accesses),
        cmocka_unit_test(wrpkru_takes_effect_at_once),
        cmocka_unit_test(every_permission_in_pae_mode),
        cmocka_unit_test(every_permission_in_32_bit_mode),
        cmocka_unit_test(large_pages_of_every_size),
        cmocka_unit_test(reserved_bits_fault_and_the_c_bit_is_one_without_sev),
        cmocka_unit_test(bit_8_is_reserved_above_the_page_directory),
        cmocka_unit_test(accessed_and_dirty_are_set_by_what_is_done),
        cmocka_unit_test(nested_faults_have_the_exact_bits),
        cmocka_unit_test(a_walk_through_a_guests_table_is_a_write_for_the_host),
        cmocka_unit_test(nested_no_execute_asks_the_hosts_efer),
        cmocka_unit_test(a_guests_fault_comes_before_the_nested_one_of_the_final_address),
        cmocka_unit_test(a_device_access_exits_with_the_bytes_of_its_instruction),
        cmocka_unit_test(each_kind_of_access_has_its_key),
        cmocka_unit_test(code_of_a_shared_page_is_fetched_private),
        cmocka_unit_test(a_shared_page_is_what_the_host_writes),
        cmocka_unit_test(the_host_sees_ciphertext_of_private_memory),
        cmocka_unit_test(the_tlb_keeps_what_it_may_and_loses_what_it_must),
        cmocka_unit_test(invlpg_inside_a_large_page_drops_all_of_it),
        cmocka_unit_test(a_nested_change_is_seen_after_a_flush_by_asid),
        cmocka_unit_test(a_store_across_pages_changes_nothing_if_one_of_them_faults),
        cmocka_unit_test(code_that_writes_itself_runs_as_written),
        cmocka_unit_test(code_that_another_core_writes_runs_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
