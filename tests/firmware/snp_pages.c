/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page states: what each command demands of its pages, what they are afterwards, and that a refusal
 * leaves them as they were. The tables are typed from the specification's [snp 3.3, 4.4], not taken
 * from the firmware's code.
 */
#include "snp_rig.h"

#define GPA       0x1000u
#define ANY_STATE "HXRFCMPSIV"

// clang-format off
/* The encoding of every state [snp 4.4]; `guest` where an ASID and a gPA belong to it. */
static const struct page_state {
    char letter;
    enum rmp_state state;
    bool assigned, validated, guest, immutable, metadata, vmsa;
} page_states[] = {
    {'H', RMP_HYPERVISOR,    false, false, false, false, false, false},
    {'X', RMP_HV_FIXED,      false, false, false, true,  false, false},
    {'R', RMP_RECLAIM,       true,  false, false, false, false, false},
    {'F', RMP_FIRMWARE,      true,  false, false, true,  false, false},
    {'C', RMP_CONTEXT,       true,  false, false, true,  false, true},
    {'M', RMP_METADATA,      true,  false, false, true,  true,  false},
    {'P', RMP_PRE_GUEST,     true,  false, true,  true,  false, false},
    {'S', RMP_PRE_SWAP,      true,  true,  true,  true,  false, false},
    {'I', RMP_GUEST_INVALID, true,  false, true,  false, false, false},
    {'V', RMP_GUEST_VALID,   true,  true,  true,  false, false, false},
};
// clang-format on

static void page_put(struct rig *r, u64 spa, char letter, u32 asid, bool large)
{
    for (size_t i = 0; i < ARRAY_SIZE(page_states); i++) {
        const struct page_state *s = &page_states[i];
        if (s->letter != letter)
            continue;
        snp_page(r, spa,
                 (struct rmp_entry){.assigned = s->assigned,
                                    .large = large,
                                    .immutable = s->immutable,
                                    .validated = s->validated,
                                    .vmsa = s->vmsa,
                                    .asid = s->guest ? asid : 0,
                                    .gpa = s->metadata          ? AT_GCTX
                                           : s->guest && !large ? GPA
                                                                : 0});
        assert_int_equal(rmp_state(r->memory, spa), s->state);
    }
}

static char page_letter(struct rig *r, u64 spa)
{
    for (size_t i = 0; i < ARRAY_SIZE(page_states); i++)
        if (page_states[i].state == rmp_state(r->memory, spa))
            return page_states[i].letter;
    return '?';
}

/* --- Commands --------------------------------------------------------------------------------- */

static u32 swap_out(struct rig *r, u64 flags)
{
    struct snp_page_swap in = {AT_GCTX, AT_PAGE, AT_STATUS, AT_MDATA + 64, 0x5a5a, flags};
    return COMMAND(r, SNP_PAGE_SWAP_OUT, in);
}

/* What lies at AT_STATUS comes to AT_PAGE_2. */
static u32 swap_in(struct rig *r, u64 flags)
{
    struct snp_page_swap in = {AT_GCTX, AT_STATUS, AT_PAGE_2, AT_MDATA + 64, 0, flags};
    return COMMAND(r, SNP_PAGE_SWAP_IN, in);
}

static u32 move(struct rig *r, u32 flags)
{
    struct snp_page_move in = {AT_GCTX, flags, 0, AT_PAGE, AT_PAGE_2};
    return COMMAND(r, SNP_PAGE_MOVE, in);
}

static u32 send_gctx_create(struct rig *r)
{
    return snp_address(r, SEV_CMD_SNP_GCTX_CREATE, AT_STATUS);
}

static u32 send_launch_update(struct rig *r)
{
    return snp_update(r, AT_GCTX, SNP_PAGE_ZERO, AT_PAGE);
}

static u32 send_platform_status(struct rig *r)
{
    return snp_address(r, SEV_CMD_SNP_PLATFORM_STATUS, AT_STATUS);
}

static u32 send_guest_status(struct rig *r)
{
    struct snp_gctx_page in = {AT_GCTX, AT_STATUS};
    return COMMAND(r, SNP_GUEST_STATUS, in);
}

static u32 send_feature_info(struct rig *r)
{
    struct snp_feature_info in = {.len = 16, .paddr = AT_STATUS};
    return COMMAND(r, SNP_FEATURE_INFO, in);
}

static u32 send_verify_mitigation(struct rig *r)
{
    struct snp_verify_mitigation in = {.len = 0x40, .flags = 1, .dst_paddr = AT_STATUS};
    return COMMAND(r, SNP_VERIFY_MITIGATION, in);
}

static u32 send_hv_report(struct rig *r)
{
    struct snp_hv_report_req in = {.len = 24, .gctx_paddr = AT_GCTX, .report_paddr = AT_STATUS};
    assert_status(snp_finish(r, AT_GCTX), SUCCESS);
    return COMMAND(r, SNP_HV_REPORT_REQ, in);
}

static u32 send_dbg_decrypt(struct rig *r)
{
    struct snp_debug in = {AT_GCTX, AT_PAGE, AT_STATUS};
    return COMMAND(r, SNP_DBG_DECRYPT, in);
}

static u32 send_dbg_encrypt(struct rig *r)
{
    struct snp_debug in = {AT_GCTX, AT_STATUS, AT_PAGE};
    return COMMAND(r, SNP_DBG_ENCRYPT, in);
}

static u32 send_md_init(struct rig *r)
{
    struct snp_gctx_page in = {AT_GCTX, AT_STATUS};
    return COMMAND(r, SNP_PAGE_MD_INIT, in);
}

static u32 send_move(struct rig *r)
{
    return move(r, 0);
}

static u32 send_swap_out(struct rig *r)
{
    return swap_out(r, 0);
}

static u32 send_swap_in(struct rig *r)
{
    return swap_in(r, 0);
}

/* --- The table -------------------------------------------------------------------------------- */

// clang-format off
static const struct row {
    const char *name;
    u32 (*send)(struct rig *r);
    u64 page;          /* that is in one state after the other */
    const char *right; /* states in which it is taken */
    char after;        /* its state after success; 0: as before */
    bool swapped;      /* AT_PAGE has left by SWAP_OUT before */
} rows[] = {
    {"GCTX_CREATE",       send_gctx_create,       AT_STATUS, "F",       'C', false},
    {"LAUNCH_UPDATE",     send_launch_update,     AT_PAGE,   "P",       'V', false},
    {"PLATFORM_STATUS",   send_platform_status,   AT_STATUS, "F",       'R', false},
    {"GUEST_STATUS",      send_guest_status,      AT_STATUS, "F",       'R', false},
    {"FEATURE_INFO",      send_feature_info,      AT_STATUS, "F",       'R', false},
    {"VERIFY_MITIGATION", send_verify_mitigation, AT_STATUS, "F",       'R', false},
    {"HV_REPORT_REQ",     send_hv_report,         AT_STATUS, "F",       'R', false},
    {"DBG_DECRYPT, src",  send_dbg_decrypt,       AT_PAGE,   "SIV",     0,   false},
    {"DBG_DECRYPT, dst",  send_dbg_decrypt,       AT_STATUS, "F",       'R', false},
    {"DBG_ENCRYPT, src",  send_dbg_encrypt,       AT_STATUS, ANY_STATE, 0,   false},
    {"DBG_ENCRYPT, dst",  send_dbg_encrypt,       AT_PAGE,   "SIV",     0,   false},
    {"PAGE_MD_INIT",      send_md_init,           AT_STATUS, "F",       'M', false},
    {"PAGE_MOVE, src",    send_move,              AT_PAGE,   "SIV",     'F', false},
    {"PAGE_MOVE, dst",    send_move,              AT_PAGE_2, "P",       'V', false},
    {"SWAP_OUT, src",     send_swap_out,          AT_PAGE,   "S",       'F', false},
    {"SWAP_OUT, dst",     send_swap_out,          AT_STATUS, "F",       'R', false},
    {"SWAP_OUT, mdata",   send_swap_out,          AT_MDATA,  "M",       0,   false},
    {"SWAP_IN, src",      send_swap_in,           AT_STATUS, ANY_STATE, 0,   true},
    {"SWAP_IN, dst",      send_swap_in,           AT_PAGE_2, "P",       'V', true},
    {"SWAP_IN, mdata",    send_swap_in,           AT_MDATA,  "M",       0,   true},
};
// clang-format on

/* A guest in LAUNCH: AT_PAGE waits for SWAP_OUT, AT_PAGE_2 for a page that arrives, AT_STATUS for
 * an answer. */
static void rig_of_pages(struct rig *r, u64 policy)
{
    snp_rig_create(r, "milan-1.58");
    snp_to_launch(r, policy);
    snp_firmware_page(r, AT_MDATA);
    struct snp_gctx_page metadata = {AT_GCTX, AT_MDATA};
    assert_status(COMMAND(r, SNP_PAGE_MD_INIT, metadata), SUCCESS);
    page_put(r, AT_PAGE, 'S', SNP_ASID, false);
    page_put(r, AT_PAGE_2, 'P', SNP_ASID, false);
    page_put(r, AT_STATUS, 'F', 0, false);
}

static void try_page(const struct row *row, char letter)
{
    struct rig r;
    rig_of_pages(&r, RIG_POLICY | SNP_POLICY_DEBUG);
    if (row->swapped)
        assert_status(swap_out(&r, 0), SUCCESS);
    page_put(&r, row->page, letter, SNP_ASID, false);
    u32 status = row->send(&r);
    bool right = strchr(row->right, letter);
    char after = right && row->after ? row->after : letter;
    if (status != (right ? SEV_STATUS_SUCCESS : SEV_STATUS_INVALID_PAGE_STATE) ||
        page_letter(&r, row->page) != after)
        print_message("# %s of %c: %s, then %c\n", row->name, letter, sev_status_name(status),
                      page_letter(&r, row->page));
    assert_int_equal(status, right ? SEV_STATUS_SUCCESS : SEV_STATUS_INVALID_PAGE_STATE);
    assert_int_equal(page_letter(&r, row->page), after);
    if (!right)
        assert_rule(&r, ", not ");
    rig_destroy(&r);
}

static void every_command_with_its_page_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (const char *letter = ANY_STATE; *letter; letter++)
            try_page(&rows[i], *letter);
}

static void a_guests_page_must_be_this_guests(void **state)
{
    (void)state;
    static const struct {
        u32 (*send)(struct rig *r);
        u64 page;
        char letter;
    } cases[] = {
        {send_launch_update, AT_PAGE, 'P'}, {send_dbg_decrypt, AT_PAGE, 'V'},
        {send_dbg_encrypt, AT_PAGE, 'V'},   {send_move, AT_PAGE, 'V'},
        {send_move, AT_PAGE_2, 'P'},        {send_swap_out, AT_PAGE, 'S'},
    };
    struct rig r;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        rig_of_pages(&r, RIG_POLICY | SNP_POLICY_DEBUG);
        page_put(&r, cases[i].page, cases[i].letter, SNP_ASID + 1, false);
        assert_status(cases[i].send(&r), INVALID_PAGE_OWNER);
        assert_rule(&r, "belongs to ASID 3, the guest has 2");
        rig_destroy(&r);
    }
    rig_of_pages(&r, RIG_POLICY);
    snp_create_guest(&r, AT_GCTX_2);
    snp_page(&r, AT_MDATA,
             (struct rmp_entry){.assigned = true, .immutable = true, .gpa = AT_GCTX_2});
    assert_status(swap_out(&r, 0), INVALID_PAGE_OWNER);
    rig_destroy(&r);
}

/* --- PAGE_RECLAIM, PAGE_UNSMASH --------------------------------------------------------------- */

static void reclaim_gives_a_page_back_by_its_state(void **state)
{
    (void)state;
    static const struct {
        char before, after;
    } edges[] = {{'R', 'R'}, {'F', 'R'}, {'M', 'R'}, {'P', 'I'}, {'S', 'V'},
                 {'H', 0},   {'X', 0},   {'C', 0},   {'I', 0},   {'V', 0}};
    struct rig r;
    rig_of_pages(&r, RIG_POLICY);
    for (size_t i = 0; i < 2 * ARRAY_SIZE(edges); i++) {
        char before = edges[i / 2].before, after = edges[i / 2].after;
        bool large =
            i % 2 && before != 'H' && before != 'X'; /* a page that is nobody's has no size */
        u64 page = large ? AT_LARGE : MIB(2);
        page_put(&r, page, before, SNP_ASID, large);
        if (after)
            assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, page | !large),
                          INVALID_PAGE_SIZE);
        assert_int_equal(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, page | large),
                         after ? SEV_STATUS_SUCCESS : SEV_STATUS_INVALID_PAGE_STATE);
        assert_int_equal(page_letter(&r, page), after ? after : before);
        page_put(&r, page, 'H', 0, false);
    }
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, AT_LIST + 2), INVALID_ADDRESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, AT_LARGE + 0x1001), INVALID_ADDRESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, RIG_MEMORY), INVALID_ADDRESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, AT_RMP), INVALID_ADDRESS);
    rig_destroy(&r);
}

static void unsmash_joins_512_pages_that_are_alike(void **state)
{
    (void)state;
    struct rig r;
    struct rmp_entry e = {
        .assigned = true, .validated = true, .asid = SNP_ASID, .gpa = MIB(4), .permissions = {0xf}};
    rig_of_pages(&r, RIG_POLICY);
    for (u64 at = 0; at < RMP_LARGE_SIZE; at += PAGE_SIZE, e.gpa += PAGE_SIZE)
        snp_page(&r, AT_LARGE + at, e);
    assert_true(rmp_get(r.memory, AT_LARGE + 0x7000, &e));
    struct rmp_entry odd = e;
    odd.validated = false;
    snp_page(&r, AT_LARGE + 0x7000, odd);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_UNSMASH, AT_LARGE | 1), INVALID_PAGE_STATE);
    odd = e, odd.gpa += PAGE_SIZE;
    snp_page(&r, AT_LARGE + 0x7000, odd);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_UNSMASH, AT_LARGE | 1), INVALID_PAGE_STATE);
    snp_page(&r, AT_LARGE + 0x7000, e);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_UNSMASH, AT_LARGE + PAGE_SIZE), INVALID_ADDRESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_UNSMASH, AT_LARGE | 1), SUCCESS);
    assert_true(rmp_get(r.memory, AT_LARGE, &e));
    assert_true(e.large && e.validated && e.gpa == MIB(4) && e.permissions[0] == 0xf);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_UNSMASH, AT_LARGE | 1), INVALID_PAGE_SIZE);
    rig_destroy(&r);
}

/* --- PAGE_MOVE, SWAP -------------------------------------------------------------------------- */

static void guest_writes(struct rig *r, u64 spa, const char *text)
{
    assert_true(memory_write(r->memory, spa, SNP_ASID, text, strlen(text)));
}

static void guest_reads(struct rig *r, u64 spa, const char *text)
{
    char found[32] = "";
    assert_true(memory_read(r->memory, spa, SNP_ASID, found, strlen(text)));
    assert_string_equal(found, text);
}

static void a_moved_page_keeps_what_it_says_and_may(void **state)
{
    (void)state;
    struct rig r;
    struct rmp_entry e = {.assigned = true,
                          .validated = true,
                          .vmsa = true,
                          .asid = SNP_ASID,
                          .gpa = GPA,
                          .permissions = {0xf, 3, 1, 0}};
    rig_of_pages(&r, RIG_POLICY);
    snp_page(&r, AT_PAGE, e);
    guest_writes(&r, AT_PAGE, "moves");
    snp_pre_guest(&r, AT_PAGE_2, SNP_ASID, GPA + PAGE_SIZE);
    assert_status(move(&r, 0), INVALID_PARAM);
    assert_rule(&r, "the destination is for gPA 0x2000");
    snp_pre_guest(&r, AT_PAGE_2, SNP_ASID, GPA);
    assert_status(move(&r, 1), INVALID_ADDRESS); /* no multiple of 2 MiB */
    assert_status(move(&r, 0), SUCCESS);
    guest_reads(&r, AT_PAGE_2, "moves");
    assert_true(rmp_get(r.memory, AT_PAGE_2, &e));
    assert_true(e.validated && e.vmsa && !e.immutable && e.asid == SNP_ASID && e.gpa == GPA);
    assert_memory_equal(e.permissions, ((u8[]){0xf, 3, 1, 0}), 4);
    rig_destroy(&r);
}

static void a_swapped_page_comes_back_once_as_it_was(void **state)
{
    (void)state;
    struct rig r;
    struct rmp_entry e = {.assigned = true,
                          .immutable = true,
                          .validated = true,
                          .asid = SNP_ASID,
                          .gpa = GPA,
                          .permissions = {0xf, 7, 0, 1}};
    struct snp_mdata_entry entry;
    u8 byte;
    rig_of_pages(&r, RIG_POLICY);
    snp_page(&r, AT_PAGE, e);
    guest_writes(&r, AT_PAGE, "swapped");
    assert_status(swap_out(&r, SNP_SWAP_TYPE(SNP_SWAP_VMSA)), INVALID_PARAM);
    assert_status(swap_out(&r, 0), SUCCESS);
    assert_true(memory_peek(r.memory, AT_MDATA + 64, KEY_FIRMWARE, &entry, sizeof entry));
    assert_int_equal(entry.software_data, 0x5a5a);
    assert_int_equal(entry.iv, 1);
    assert_int_equal(entry.info, GPA | 1 | 1 << 1); /* valid, page_validated */
    assert_memory_equal(entry.permissions, e.permissions, 4);
    assert_true(all_zero(entry.reserved_2c, 4) && all_zero(entry.reserved_30, 16));

    snp_pre_guest(&r, AT_PAGE_2, SNP_ASID, GPA + PAGE_SIZE);
    assert_status(swap_in(&r, 0), INVALID_PARAM);
    snp_pre_guest(&r, AT_PAGE_2, SNP_ASID, GPA);
    assert_status(swap_in(&r, SNP_SWAP_TYPE(SNP_SWAP_VMSA)), INVALID_MDATA_ENTRY);
    assert_true(memory_read(r.memory, AT_STATUS + 99, KEY_RAW, &byte, 1));
    byte ^= 1;
    rig_put(&r, AT_STATUS + 99, &byte, 1);
    assert_status(swap_in(&r, 0), BAD_MEASUREMENT);
    byte ^= 1;
    rig_put(&r, AT_STATUS + 99, &byte, 1);
    assert_status(swap_in(&r, 0), SUCCESS);
    guest_reads(&r, AT_PAGE_2, "swapped");
    struct rmp_entry back;
    assert_true(rmp_get(r.memory, AT_PAGE_2, &back));
    assert_true(back.validated && !back.vmsa && !back.immutable);
    assert_memory_equal(back.permissions, e.permissions, 4);
    snp_pre_guest(&r, AT_PAGE_2, SNP_ASID, GPA);
    assert_status(swap_in(&r, 0), INVALID_MDATA_ENTRY); /* a second time: the entry is used */
    rig_destroy(&r);
}

/* The root entry is in the context; a metadata page goes out by it, and comes in where the host put
 * the bytes. */
static void a_metadata_page_is_swapped_by_the_root_entry(void **state)
{
    (void)state;
    const u64 root = SNP_SWAP_ROOT_MDATA_EN | SNP_SWAP_TYPE(SNP_SWAP_METADATA);
    struct rig r;
    u8 sealed[PAGE_SIZE];
    rig_of_pages(&r, RIG_POLICY);
    guest_writes(&r, AT_PAGE, "deep");
    assert_status(swap_out(&r, 0), SUCCESS);
    u8 page[PAGE_SIZE];
    rig_get(&r, AT_STATUS, page, sizeof page);
    snp_firmware_page(&r, AT_LIST);
    struct snp_page_swap out = {AT_GCTX, AT_MDATA, AT_LIST, 0, 0, root};
    assert_status(COMMAND(&r, SNP_PAGE_SWAP_OUT, out), SUCCESS);
    assert_int_equal(snp_look(&r, AT_GCTX).id.root_mdata.info, 1 | 1 << 3);
    assert_int_equal(page_letter(&r, AT_MDATA), 'F');
    rig_get(&r, AT_LIST, sealed, sizeof sealed);
    rig_put(&r, AT_MDATA, sealed, sizeof sealed);
    struct snp_page_swap in = {AT_GCTX, 0, AT_MDATA, 0, 0, root | SNP_SWAP_IN_PLACE};
    assert_status(COMMAND(&r, SNP_PAGE_SWAP_IN, in), SUCCESS);
    assert_int_equal(page_letter(&r, AT_MDATA), 'M');
    assert_int_equal(snp_look(&r, AT_GCTX).id.root_mdata.info, 0);
    rig_put(&r, AT_STATUS, page, sizeof page);
    assert_status(swap_in(&r, 0), SUCCESS);
    guest_reads(&r, AT_PAGE_2, "deep");
    rig_destroy(&r);
}

static void swapping_obeys_policy_and_counter(void **state)
{
    (void)state;
    struct rig r;
    rig_of_pages(&r, RIG_POLICY | SNP_POLICY_PAGE_SWAP_DISABLE);
    assert_status(swap_out(&r, 0), POLICY_FAILURE);
    assert_status(swap_in(&r, 0), POLICY_FAILURE);
    assert_status(move(&r, 0), POLICY_FAILURE);
    assert_rule(&r, "PAGE_SWAP_DISABLE");
    rig_destroy(&r);
    rig_of_pages(&r, RIG_POLICY);
    struct snp_context g = snp_look(&r, AT_GCTX);
    g.id.oek_iv = ~0ull;
    snp_context_save(r.fw, &g);
    assert_status(swap_out(&r, 0), AEAD_OFLOW);
    assert_status(send_dbg_decrypt(&r), POLICY_FAILURE);
    assert_status(send_dbg_encrypt(&r), POLICY_FAILURE);
    rig_destroy(&r);
}

static void large_pages_move_and_swap_whole(void **state)
{
    (void)state;
    struct rig r;
    struct rmp_entry e = {
        .assigned = true, .large = true, .validated = true, .asid = SNP_ASID, .gpa = MIB(2)};
    rig_of_pages(&r, RIG_POLICY);
    snp_page(&r, AT_LARGE, e);
    guest_writes(&r, AT_LARGE + MIB(2) - 16, "the end");
    struct rmp_entry target = {
        .assigned = true, .large = true, .immutable = true, .asid = SNP_ASID, .gpa = MIB(2)};
    snp_page(&r, MIB(2), target);
    struct snp_page_move m = {AT_GCTX, 1, 0, AT_LARGE, MIB(2)};
    assert_status(COMMAND(&r, SNP_PAGE_MOVE, m), SUCCESS);
    guest_reads(&r, MIB(4) - 16, "the end");
    assert_true(rmp_get(r.memory, AT_LARGE, &e));
    assert_true(e.large && page_letter(&r, AT_LARGE) == 'F');
    /* Out to where it came from, and in again. */
    target.validated = true;
    snp_page(&r, MIB(2), target);
    struct snp_page_swap out = {AT_GCTX, MIB(2), AT_LARGE, 0, 0, 1 | SNP_SWAP_ROOT_MDATA_EN};
    assert_status(COMMAND(&r, SNP_PAGE_SWAP_OUT, out), SUCCESS);
    target.validated = false;
    snp_page(&r, MIB(2), target);
    struct snp_page_swap in = {AT_GCTX, AT_LARGE, MIB(2), 0, 0, SNP_SWAP_ROOT_MDATA_EN};
    assert_status(COMMAND(&r, SNP_PAGE_SWAP_IN, in), INVALID_PAGE_SIZE);
    in.flags |= 1;
    assert_status(COMMAND(&r, SNP_PAGE_SWAP_IN, in), SUCCESS);
    guest_reads(&r, MIB(4) - 16, "the end");
    rig_destroy(&r);
}

static void four_kib_of_a_large_page_are_debugged(void **state)
{
    (void)state;
    struct rig r;
    char found[16] = "";
    rig_of_pages(&r, RIG_POLICY | SNP_POLICY_DEBUG);
    snp_page(
        &r, AT_LARGE,
        (struct rmp_entry){.assigned = true, .large = true, .validated = true, .asid = SNP_ASID});
    guest_writes(&r, AT_LARGE + 0x5000, "inside");
    struct snp_debug in = {AT_GCTX, AT_LARGE + 0x5000, AT_STATUS};
    assert_status(COMMAND(&r, SNP_DBG_DECRYPT, in), SUCCESS);
    rig_get(&r, AT_STATUS, found, 6);
    assert_string_equal(found, "inside");
    in = (struct snp_debug){AT_GCTX, AT_STATUS, AT_LARGE + 0x6000};
    assert_status(COMMAND(&r, SNP_DBG_ENCRYPT, in), SUCCESS);
    guest_reads(&r, AT_LARGE + 0x6000, "inside");
    rig_destroy(&r);
}

/* --- PAGE_SET_STATE --------------------------------------------------------------------------- */

static u32 set_state(struct rig *r, u64 base, u32 pages, u32 reserved)
{
    struct {
        struct snp_range_list head;
        struct snp_range range;
    } list = {{1, 0}, {base, pages, reserved}};
    rig_put(r, AT_LIST, &list, sizeof list);
    struct snp_page_set_state in = {.len = 16, .list_paddr = AT_LIST};
    return COMMAND(r, SNP_PAGE_SET_STATE, in);
}

static void set_state_fixes_firmware_pages_alone(void **state)
{
    (void)state;
    struct rig r;
    rig_of_pages(&r, RIG_POLICY);
    for (const char *letter = "HXRCMPSIV"; *letter; letter++) {
        page_put(&r, AT_LARGE, 'F', 0, false);
        page_put(&r, AT_LARGE + PAGE_SIZE, *letter, SNP_ASID, false);
        assert_status(set_state(&r, AT_LARGE, 2, 0), INVALID_PAGE_STATE);
        assert_int_equal(page_letter(&r, AT_LARGE), 'F');
        assert_int_equal(page_letter(&r, AT_LARGE + PAGE_SIZE), *letter);
    }
    page_put(&r, AT_LARGE + PAGE_SIZE, 'F', 0, false);
    assert_status(set_state(&r, AT_LARGE + PAGE_SIZE, 1, 0), INVALID_ADDRESS);
    assert_status(set_state(&r, AT_LARGE, 2, 1), INVALID_PARAM);
    assert_status(set_state(&r, AT_LARGE, 2, 0), SUCCESS);
    assert_int_equal(page_letter(&r, AT_LARGE), 'X');
    assert_int_equal(page_letter(&r, AT_LARGE + PAGE_SIZE), 'X');
    assert_int_equal(page_letter(&r, AT_LARGE + 2 * PAGE_SIZE), 'H');
    u32 count = 256;
    rig_put(&r, AT_LIST, &count, sizeof count);
    struct snp_page_set_state in = {.len = 16, .list_paddr = AT_LIST};
    assert_status(COMMAND(&r, SNP_PAGE_SET_STATE, in), INVALID_PARAM);
    rig_destroy(&r);
}

static void a_large_page_is_fixed_whole_or_not_at_all(void **state)
{
    (void)state;
    struct rig r;
    rig_of_pages(&r, RIG_POLICY);
    page_put(&r, AT_LARGE, 'F', 0, true);
    assert_status(set_state(&r, AT_LARGE, 3, 0), INVALID_PAGE_SIZE);
    assert_int_equal(page_letter(&r, AT_LARGE + MIB(1)), 'F');
    assert_status(set_state(&r, AT_LARGE, 512, 0), SUCCESS);
    for (u64 at = 0; at < RMP_LARGE_SIZE; at += PAGE_SIZE)
        assert_int_equal(page_letter(&r, AT_LARGE + at), 'X');
    rig_destroy(&r);
}

/* The TMR is the firmware's until SHUTDOWN, although its pages look like any Firmware page. */
static void the_tmr_stays_the_firmwares(void **state)
{
    (void)state;
    struct rig r;
    rig_of_pages(&r, RIG_POLICY);
    page_put(&r, MIB(2), 'F', 0, true);
    struct sev_init init = {.options = 1, .tmr_paddr = MIB(2), .tmr_len = (u32)MIB(2)};
    assert_status(COMMAND(&r, INIT, init), SUCCESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, MIB(2) | 1), INVALID_ADDRESS);
    assert_status(set_state(&r, MIB(2), 512, 0), INVALID_ADDRESS);
    assert_rule(&r, "TMR");
    assert_int_equal(page_letter(&r, MIB(2)), 'F');
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, MIB(2) | 1), SUCCESS);
    rig_destroy(&r);
}

/* The area that INIT_EX was given may have become somebody else's: the firmware writes only to what
 * is its own to write. */
static void the_store_is_not_written_over_a_guests_page(void **state)
{
    (void)state;
    struct rig r;
    rig_of_pages(&r, RIG_POLICY);
    for (u64 at = 0; at < KIB(32); at += PAGE_SIZE)
        snp_firmware_page(&r, AT_NV + at);
    struct sev_init_ex in = {.length = 0x24, .nv_paddr = AT_NV, .nv_len = (u32)KIB(32)};
    assert_status(COMMAND(&r, INIT_EX, in), SUCCESS);
    assert_status(SIMPLE(&r, PDH_GEN), SUCCESS);
    page_put(&r, AT_NV, 'V', SNP_ASID, false);
    guest_writes(&r, AT_NV, "mine");
    assert_status(SIMPLE(&r, PDH_GEN), INVALID_PAGE_STATE);
    assert_status(SIMPLE(&r, PEK_GEN), INVALID_PAGE_STATE);
    assert_rule(&r, "store area");
    assert_status(SIMPLE(&r, SHUTDOWN), SUCCESS);
    assert_status(SIMPLE(&r, PLATFORM_RESET), INVALID_PAGE_STATE);
    guest_reads(&r, AT_NV, "mine");
    page_put(&r, AT_NV, 'F', 0, false);
    assert_status(SIMPLE(&r, PLATFORM_RESET), SUCCESS);
    rig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_with_its_page_in_every_state),
        cmocka_unit_test(a_guests_page_must_be_this_guests),
        cmocka_unit_test(reclaim_gives_a_page_back_by_its_state),
        cmocka_unit_test(unsmash_joins_512_pages_that_are_alike),
        cmocka_unit_test(a_moved_page_keeps_what_it_says_and_may),
        cmocka_unit_test(a_swapped_page_comes_back_once_as_it_was),
        cmocka_unit_test(a_metadata_page_is_swapped_by_the_root_entry),
        cmocka_unit_test(swapping_obeys_policy_and_counter),
        cmocka_unit_test(large_pages_move_and_swap_whole),
        cmocka_unit_test(four_kib_of_a_large_page_are_debugged),
        cmocka_unit_test(set_state_fixes_firmware_pages_alone),
        cmocka_unit_test(a_large_page_is_fixed_whole_or_not_at_all),
        cmocka_unit_test(the_tmr_stays_the_firmwares),
        cmocka_unit_test(the_store_is_not_written_over_a_guests_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
