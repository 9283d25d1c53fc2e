/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every SNP command in every platform state and every guest state. The expectations are typed from
 * the table of the specification [snp 3.2], not taken from the firmware's own.
 */
#include "expectation.h"
#include "snp_rig.h"

/* Platform states: Uninit, Init. Guest states: Init, Launch, Running. Answers are to the buffer of
 * try_command(), whose addresses are 0, a page of the host [snp 3.2, 3.3, 4.4]. */
// clang-format off
static const struct expectation expectations[] = {
    {0x81, "SNP_INIT",                 0,    "U",  NULL, 0, 0, SEV_STATUS_SUCCESS},
    {0x82, "SNP_SHUTDOWN",             0,    "UI", NULL, 0, 0, SEV_STATUS_SUCCESS},
    {0x83, "SNP_PLATFORM_STATUS",      8,    "UI", NULL, 0, 0, SEV_STATUS_SUCCESS},
    {0x84, "SNP_DF_FLUSH",             0,    "I",  NULL, 0, 0, SEV_STATUS_SUCCESS},
    {0x85, "SNP_INIT_EX",              0x40, "U",  NULL, 0, 52, SEV_STATUS_SUCCESS},
    {0x86, "SNP_SHUTDOWN_EX",          8,    "UI", NULL, 0, 0, SEV_STATUS_INVALID_LENGTH},
    {0x90, "SNP_DECOMMISSION",         8,    "I",  "ILR", 0, 0, SEV_STATUS_SUCCESS},
    {0x91, "SNP_ACTIVATE",             12,   "I",  "LR",  0, 0, SEV_STATUS_INVALID_ASID},
    {0x92, "SNP_GUEST_STATUS",         16,   "I",  "ILR", 0, 0, SEV_STATUS_INVALID_PAGE_STATE},
    {0x93, "SNP_GCTX_CREATE",          8,    "I",  NULL, 0, 0, SEV_STATUS_INVALID_ADDRESS},
    {0x94, "SNP_GUEST_REQUEST",        24,   "I",  "R",   0, 0, SEV_STATUS_INVALID_PAGE_STATE},
    {0x95, "SNP_ACTIVATE_EX",          0x20, "I",  "LR",  8, 0, SEV_STATUS_INVALID_ASID},
    {0x96, "SNP_HV_REPORT_REQ",        24,   "I",  "R",   8, 0, SEV_STATUS_INVALID_PAGE_STATE},
    {0xa0, "SNP_LAUNCH_START",         0x30, "I",  "I",   0, 0, SEV_STATUS_SUCCESS},
    {0xa1, "SNP_LAUNCH_UPDATE",        0x20, "I",  "L",   0, 0, SEV_STATUS_INACTIVE},
    {0xa2, "SNP_LAUNCH_FINISH",        0x40, "I",  "L",   0, 0, SEV_STATUS_SUCCESS},
    {0xb0, "SNP_DBG_DECRYPT",          24,   "I",  "LR",  0, 0, SEV_STATUS_INACTIVE},
    {0xb1, "SNP_DBG_ENCRYPT",          24,   "I",  "LR",  0, 0, SEV_STATUS_INACTIVE},
    {0xb2, "SNP_VERIFY_MITIGATION",    0x40, "I",  NULL, 0, 58, SEV_STATUS_INVALID_LENGTH},
    {0xc0, "SNP_PAGE_SWAP_OUT",        0x30, "I",  "LR",  0, 0, SEV_STATUS_INACTIVE},
    {0xc1, "SNP_PAGE_SWAP_IN",         0x30, "I",  "LR",  0, 0, SEV_STATUS_INACTIVE},
    {0xc2, "SNP_PAGE_MOVE",            0x20, "I",  "LR",  0, 0, SEV_STATUS_INACTIVE},
    {0xc3, "SNP_PAGE_MD_INIT",         16,   "I",  "ILR", 0, 0, SEV_STATUS_INVALID_PAGE_STATE},
    {0xc6, "SNP_PAGE_SET_STATE",       16,   "I",  NULL, 0, 0, SEV_STATUS_INVALID_LENGTH},
    {0xc7, "SNP_PAGE_RECLAIM",         8,    "I",  NULL, 0, 0, SEV_STATUS_INVALID_PAGE_STATE},
    {0xc8, "SNP_PAGE_UNSMASH",         8,    "I",  NULL, 0, 0, SEV_STATUS_INVALID_PAGE_STATE},
    {0xc9, "SNP_CONFIG",               0x40, "I",  NULL, 0, 0, SEV_STATUS_SUCCESS},
    {0xca, "SNP_DOWNLOAD_FIRMWARE_EX", 24,   "UI", NULL, 0, 0, SEV_STATUS_INVALID_LENGTH},
    {0xcb, "SNP_COMMIT",               4,    "UI", NULL, 0, 0, SEV_STATUS_INVALID_LENGTH},
    {0xcd, "SNP_VLEK_LOAD",            16,   "I",  NULL, 0, 0, SEV_STATUS_INVALID_LENGTH},
    {0xce, "SNP_FEATURE_INFO",         16,   "UI", NULL, 0, 0, SEV_STATUS_INVALID_LENGTH},
    {0xd0, "TIO_STATUS",               0,    "!",  NULL, 0, 0, SEV_STATUS_UNSUPPORTED},
    {0xd1, "TIO_INIT",                 0,    "!",  NULL, 0, 0, SEV_STATUS_UNSUPPORTED},
    {0xd2, "TIO_DEV_CREATE",           0,    "!",  NULL, 0, 0, SEV_STATUS_UNSUPPORTED},
    {0xd3, "TIO_DEV_RECLAIM",          0,    "!",  NULL, 0, 0, SEV_STATUS_UNSUPPORTED},
    {0xd4, "TIO_DEV_CONNECT",          0,    "!",  NULL, 0, 0, SEV_STATUS_UNSUPPORTED},
    {0xd5, "TIO_DEV_DISCONNECT",       0,    "!",  NULL, 0, 0, SEV_STATUS_UNSUPPORTED},
};
// clang-format on

static const struct expectations all = {expectations, ARRAY_SIZE(expectations)};

static const struct expectation *expected(u32 id)
{
    return expected_of(all, id);
}

static int setup_1_58(void **state)
{
    rig_setup(state);
    snp_rig_profile(*state, "milan-1.58");
    return 0;
}

static void names_and_sizes_are_the_specifications(void **state)
{
    (void)state;
    check_names_and_sizes(all, SEV_CMD_SNP_INIT, 0x200, snp_command_name);
}

/* A buffer that gets past the checks of its own fields, wrong in the rest. */
static u32 try_command(struct rig *r, const struct expectation *x, u64 gctx)
{
    u8 buffer[0x44] = {0};
    store_le64(buffer + x->guest_at, x->guest ? gctx : 0);
    switch (x->id) {
    case SEV_CMD_SNP_ACTIVATE_EX:
        store_le32(buffer, 0x20);
        store_le32(buffer + 0x14, 1);
        break;
    case SEV_CMD_SNP_HV_REPORT_REQ:
        store_le32(buffer, 24);
        break;
    case SEV_CMD_SNP_LAUNCH_START:
        store_le64(buffer + 8, RIG_POLICY);
        break;
    case SEV_CMD_SNP_LAUNCH_UPDATE:
        store_le32(buffer + 8, SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_NORMAL));
        break;
    default:
        break;
    }
    return rig_command(r, x->id, buffer, x->size);
}

static void every_command_in_every_platform_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_SIZE(expectations); i++) {
        const struct expectation *x = &expectations[i / 2];
        char letter = "UI"[i % 2];
        struct rig r;
        snp_rig_create(&r, "milan-1.58");
        if (letter == 'I')
            snp_start(&r);
        u32 status = try_command(&r, x, AT_GCTX);
        if (*x->platform == '!') {
            assert_status(status, UNSUPPORTED);
        } else if (!strchr(x->platform, letter)) {
            assert_status(status, INVALID_PLATFORM_STATE);
            assert_rule(&r, "rule=\"not allowed in SNP platform state");
        } else if (x->id == SEV_CMD_SNP_PLATFORM_STATUS && letter == 'I') {
            assert_status(status, INVALID_PAGE_STATE); /* in UNINIT any page will do */
        } else {
            assert_int_equal(status, x->guest ? SEV_STATUS_INVALID_GUEST : x->answer);
        }
        rig_destroy(&r);
    }
}

static void to_guest_state(struct rig *r, char letter)
{
    snp_start(r);
    snp_create_guest(r, AT_GCTX);
    if (letter != 'I')
        assert_status(snp_launch_policy(r, AT_GCTX, RIG_POLICY | SNP_POLICY_DEBUG), SUCCESS);
    if (letter == 'R')
        assert_status(snp_finish(r, AT_GCTX), SUCCESS);
}

static void check_guest_state(const struct expectation *x, char letter)
{
    struct rig r;
    snp_rig_create(&r, "milan-1.58");
    to_guest_state(&r, letter);
    u32 before = snp_look(&r, AT_GCTX).state, status = try_command(&r, x, AT_GCTX);
    if (!strchr(x->guest, letter)) {
        assert_status(status, INVALID_GUEST_STATE);
        assert_rule(&r, "rule=\"not allowed in guest state");
        assert_int_equal(snp_look(&r, AT_GCTX).state, before);
    } else {
        assert_int_equal(status, x->answer);
    }
    rig_destroy(&r);
}

static void every_guest_command_in_every_guest_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(expectations); i++)
        for (const char *letter = "ILR"; *letter && expectations[i].guest; letter++)
            check_guest_state(&expectations[i], *letter);
}

static void a_guest_is_named_by_a_page_in_context_state(void **state)
{
    struct rig *r = *state;
    snp_start(r);
    snp_create_guest(r, AT_GCTX);
    snp_firmware_page(r, AT_STATUS);
    for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
        const struct expectation *x = &expectations[i];
        if (!x->guest)
            continue;
        assert_status(try_command(r, x, AT_PAGE), INVALID_GUEST);
        assert_rule(r, "is Hypervisor, not Context");
        assert_status(try_command(r, x, AT_STATUS), INVALID_GUEST);
        assert_status(try_command(r, x, AT_GCTX + 16), INVALID_ADDRESS);
        assert_status(try_command(r, x, RIG_MEMORY), INVALID_ADDRESS);
        assert_status(try_command(r, x, AT_RMP), INVALID_ADDRESS);
    }
}

/* What a probe on the bus may do to a context, or a host that puts a copy elsewhere. */
static void a_damaged_context_is_no_guest(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    struct snp_context g = snp_look(&r, AT_GCTX), copy = g;
    snp_firmware_page(&r, AT_STATUS);
    struct snp_gctx_page in = {AT_GCTX, AT_STATUS};
    u8 junk[16] = {1};
    rig_put(&r, AT_GCTX, junk, sizeof junk); /* raw: the first block decrypts to garbage */
    assert_status(COMMAND(&r, SNP_GUEST_STATUS, in), INVALID_GUEST);
    assert_rule(&r, "is damaged");
    snp_create_guest(&r, AT_GCTX_2);
    assert_true(memory_write(r.memory, AT_GCTX_2, KEY_FIRMWARE, &copy, sizeof copy));
    in.gctx_paddr = AT_GCTX_2;
    assert_status(COMMAND(&r, SNP_GUEST_STATUS, in), INVALID_GUEST);
    copy.self = AT_GCTX_2; /* even so: the ASID is another's */
    assert_true(memory_write(r.memory, AT_GCTX_2, KEY_FIRMWARE, &copy, sizeof copy));
    assert_status(COMMAND(&r, SNP_GUEST_STATUS, in), INVALID_GUEST);
    rig_destroy(&r);
}

static void a_command_needs_the_firmware_that_has_it(void **state)
{
    (void)state;
    static const char *const without[] = {"naples", "rome"};
    struct rig r;
    for (size_t p = 0; p < ARRAY_SIZE(without); p++) {
        snp_rig_create(&r, without[p]);
        for (size_t i = 0; i < ARRAY_SIZE(expectations); i++)
            assert_status(try_command(&r, &expectations[i], 0), INVALID_COMMAND);
        rig_destroy(&r);
    }
    snp_rig_create(&r, "milan-1.51");
    assert_status(try_command(&r, expected(SEV_CMD_SNP_INIT_EX), 0), INVALID_COMMAND);
    assert_status(try_command(&r, expected(SEV_CMD_SNP_FEATURE_INFO), 0), INVALID_COMMAND);
    assert_status(try_command(&r, expected(SEV_CMD_SNP_INIT), 0), SUCCESS);
    assert_status(try_command(&r, expected(SEV_CMD_SNP_VERIFY_MITIGATION), 0), INVALID_COMMAND);
    rig_destroy(&r);
}

static void aliased_memory(struct rig *r, const char *profile)
{
    snp_rig_create(r, profile);
    struct memory *old = r->memory;
    struct random_source random = crypto_random_source(r->crypto);
    r->memory = memory_create(&(struct memory_config){
        .size = RIG_MEMORY, .asids = RIG_ASIDS, .aliased = true, .random = &random});
    assert_non_null(r->memory);
    r->config.memory = r->memory;
    rig_restart(r);
    memory_destroy(old);
}

static void firmware_that_looks_for_aliases_refuses_them(void **state)
{
    (void)state;
    u8 before[16], after[16];
    struct rig r;
    aliased_memory(&r, "milan-1.52");
    assert_status(SIMPLE(&r, SNP_INIT), SUCCESS);
    rig_destroy(&r);
    aliased_memory(&r, "milan-1.55");
    assert_true(memory_write(r.memory, 0, KEY_RAW, "left as they are", 16));
    assert_true(memory_read(r.memory, 0, KEY_RAW, before, sizeof before));
    assert_status(SIMPLE(&r, SNP_INIT), INVALID_CONFIG);
    assert_non_null(strstr(firmware_rule(r.fw), "has a second address, 0x800000"));
    assert_true(memory_read(r.memory, 0, KEY_RAW, after, sizeof after));
    assert_memory_equal(before, after, sizeof after);
    rig_destroy(&r);
}

/* By its second address the host writes what the RMP guards, the RMP itself included: guests
 * suffer, the firmware goes on. */
static void a_forged_rmp_does_not_end_the_firmware(void **state)
{
    (void)state;
    struct rig r;
    const u8 hypervisor[RMP_ENTRY_SIZE] = {0}, firmware[RMP_ENTRY_SIZE] = {5};
    const u64 entry = RIG_MEMORY + AT_RMP + RMP_BOOKKEEPING + (AT_GCTX >> 12) * RMP_ENTRY_SIZE;
    aliased_memory(&r, "milan-1.52");
    snp_to_launch(&r, RIG_POLICY);
    assert_true(memory_write(r.memory, entry, KEY_RAW, hypervisor, sizeof hypervisor));
    assert_int_equal(rmp_state(r.memory, AT_GCTX), RMP_HYPERVISOR);
    assert_status(snp_finish(&r, AT_GCTX), INVALID_GUEST);
    assert_true(memory_write(r.memory, entry, KEY_RAW, firmware, sizeof firmware));
    assert_status(snp_address(&r, SEV_CMD_SNP_GCTX_CREATE, AT_GCTX), SUCCESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_DECOMMISSION, AT_GCTX), SUCCESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_DECOMMISSION, AT_GCTX), INVALID_GUEST);
    rig_destroy(&r);
}

static void a_buffer_outside_memory_is_an_invalid_address(void **state)
{
    check_buffers_outside_memory(all, *state);
}

/* Everything is wrong at first; what is checked first is mended first [snp 3.2]. */
static void checks_come_in_their_order(void **state)
{
    struct rig *r = *state;
    struct snp_page_swap wrong = {.gctx_paddr = AT_GCTX + 8,
                                  .src_paddr = RIG_MEMORY,
                                  .flags = 1 << 5},
                         in;
#define SWAP_OUT() (in = wrong, COMMAND(r, SNP_PAGE_SWAP_OUT, in))
    assert_status(SWAP_OUT(), INVALID_PLATFORM_STATE);
    snp_start(r);
    assert_status(SWAP_OUT(), INVALID_PARAM);
    wrong.flags = 0;
    assert_status(SWAP_OUT(), INVALID_ADDRESS);
    wrong.gctx_paddr = AT_GCTX;
    assert_status(SWAP_OUT(), INVALID_GUEST);
    snp_create_guest(r, AT_GCTX);
    assert_status(SWAP_OUT(), INVALID_GUEST_STATE);
    assert_status(snp_launch_policy(r, AT_GCTX, RIG_POLICY | SNP_POLICY_PAGE_SWAP_DISABLE),
                  SUCCESS);
    assert_status(SWAP_OUT(), POLICY_FAILURE);
    assert_status(snp_address(r, SEV_CMD_SNP_DECOMMISSION, AT_GCTX), SUCCESS);
    snp_create_guest(r, AT_GCTX);
    assert_status(snp_launch_policy(r, AT_GCTX, RIG_POLICY), SUCCESS);
    assert_status(SWAP_OUT(), INACTIVE);
    assert_status(snp_activate_guest(r, AT_GCTX, SNP_ASID), SUCCESS);
    assert_status(SWAP_OUT(), INVALID_ADDRESS);
    wrong.src_paddr = AT_PAGE;
    assert_status(SWAP_OUT(), INVALID_PAGE_STATE);
#undef SWAP_OUT
}

static u32 activate_ex_of(struct rig *r, u64 ids, u32 count, u32 first, u32 second)
{
    u32 list[2] = {first, second};
    rig_put(r, AT_LIST, list, sizeof list);
    struct snp_activate_ex in = {
        .len = 0x20, .gctx_paddr = AT_GCTX, .asid = SNP_ASID, .num_ids = count, .ids_paddr = ids};
    return COMMAND(r, SNP_ACTIVATE_EX, in);
}

static void activate_ex_lists_cores_that_are_there(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_inactive(&r, RIG_POLICY);
    assert_status(activate_ex_of(&r, AT_LIST, 0, 0, 0), INVALID_PARAM);
    assert_status(activate_ex_of(&r, AT_LIST, RIG_CORES + 1, 0, 1), INVALID_PARAM);
    assert_status(activate_ex_of(&r, AT_LIST, 2, 0, RIG_CORES), INVALID_PARAM);
    assert_status(activate_ex_of(&r, RIG_MEMORY - 4, 2, 0, 1), INVALID_ADDRESS);
    assert_status(activate_ex_of(&r, ~(u64)RIG_C_BIT - 3, 2, 0, 1), INVALID_ADDRESS);
    assert_status(activate_ex_of(&r, AT_LIST, 2, 0, 1), SUCCESS);
    assert_int_equal(snp_look(&r, AT_GCTX).asid, SNP_ASID);
    rig_destroy(&r);
}

/* Wrong LEN fields and reserved bits of every buffer that has them [snp 3.2]. */
static void lengths_and_reserved_bits(void **state)
{
    struct rig *r = *state;
    static const struct {
        u32 id, at, value;
        enum sev_status status;
    } rows[] = {
        {SEV_CMD_SNP_SHUTDOWN_EX, 0, 7, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_COMMIT, 0, 8, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_VLEK_LOAD, 0, 15, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_FEATURE_INFO, 0, 15, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_DOWNLOAD_FIRMWARE_EX, 0, 23, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_PAGE_SET_STATE, 0, 8, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_VERIFY_MITIGATION, 0, 8, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_ACTIVATE_EX, 0, 8, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_HV_REPORT_REQ, 0, 8, SEV_STATUS_INVALID_LENGTH},
        {SEV_CMD_SNP_CONFIG, 8, 4, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_CONFIG, 0x3c, 1, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_LAUNCH_START, 0x18, 4, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_LAUNCH_UPDATE, 8, 0, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_LAUNCH_UPDATE, 8, 7 << 1, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_LAUNCH_UPDATE, 8, 1 << 1 | 1 << 5, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_LAUNCH_UPDATE, 0x1c, 1, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_LAUNCH_FINISH, 0x18, 8, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_LAUNCH_FINISH, 0x18, 2, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_PAGE_MOVE, 8, 2, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_PAGE_SWAP_OUT, 0x28, 8, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_PAGE_SWAP_OUT, 0x28, 6, SEV_STATUS_INVALID_PARAM},
        {SEV_CMD_SNP_PAGE_SWAP_OUT, 0x28, 3, SEV_STATUS_INVALID_PAGE_SIZE},
        {SEV_CMD_SNP_PAGE_SWAP_IN, 0x20, 1, SEV_STATUS_INVALID_PARAM},
    };
    snp_to_launch(r, RIG_POLICY);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u8 buffer[0x44] = {0};
        const struct expectation *x = expected(rows[i].id);
        store_le64(buffer + x->guest_at, x->guest ? AT_GCTX : 0);
        if (x->id == SEV_CMD_SNP_LAUNCH_START)
            store_le64(buffer + 8, RIG_POLICY);
        if (x->id == SEV_CMD_SNP_LAUNCH_UPDATE)
            store_le32(buffer + 8, SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_NORMAL));
        store_le32(buffer + rows[i].at, rows[i].value);
        u32 status = rig_command(r, x->id, buffer, x->size);
        if (status != rows[i].status)
            print_message("# row %zu, %s: %s\n", i, x->name, sev_status_name(status));
        assert_int_equal(status, rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_sizes_are_the_specifications),
        cmocka_unit_test(every_command_in_every_platform_state),
        cmocka_unit_test(every_guest_command_in_every_guest_state),
        ON_RIG(a_guest_is_named_by_a_page_in_context_state, setup_1_58),
        cmocka_unit_test(a_damaged_context_is_no_guest),
        cmocka_unit_test(a_command_needs_the_firmware_that_has_it),
        cmocka_unit_test(firmware_that_looks_for_aliases_refuses_them),
        cmocka_unit_test(a_forged_rmp_does_not_end_the_firmware),
        ON_RIG(a_buffer_outside_memory_is_an_invalid_address, setup_1_58),
        ON_RIG(checks_come_in_their_order, setup_1_58),
        cmocka_unit_test(activate_ex_lists_cores_that_are_there),
        ON_RIG(lengths_and_reserved_bits, setup_1_58),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
