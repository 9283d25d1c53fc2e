/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every command id in every platform state and every guest state. The expectations are typed from
 * the tables of the specification [sev 3, 4.1, 5.2, 15], not taken from the firmware's own table.
 */
#include "expectation.h"

/* Platform states: Uninit, Init, Working. Guest states: launch update (u), launch secret (s),
 * running (r), send update (S), receive update (R), sent (x). Answers are to a buffer of zeros but
 * for the handle: what the text of the command says of lengths, ASIDs and missing keys
 * [sev 4.3, 5.4, 5.5]. */
// clang-format off
static const struct expectation expectations[] = {
    {0x01, "INIT",                0x14, "U",   NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x02, "SHUTDOWN",            0,    "UIW", NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x03, "PLATFORM_RESET",      0,    "U",   NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x04, "PLATFORM_STATUS",     0x0c, "UIW", NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x05, "PEK_GEN",             0,    "I",   NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x06, "PEK_CSR",             0x0c, "IW",  NULL,     0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x07, "PEK_CERT_IMPORT",     0x1c, "I",   NULL,     0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x08, "PDH_CERT_EXPORT",     0x1c, "IW",  NULL,     0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x09, "PDH_GEN",             0,    "IW",  NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x0a, "DF_FLUSH",            0,    "IW",  NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x0b, "DOWNLOAD_FIRMWARE",   0x0c, "U",   NULL,     0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x0c, "GET_ID",              0x0c, "UIW", NULL,     0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x0d, "INIT_EX",             0x24, "U",   NULL,     0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x0e, "NOP",                 0,    "UIW", NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x0f, "RING_BUFFER",         0x28, "!",   NULL,     0, 24, SEV_STATUS_UNSUPPORTED},
    {0x20, "DECOMMISSION",        0x04, "W",   "usrSRx", 0, 0,  SEV_STATUS_SUCCESS},
    {0x21, "ACTIVATE",            0x08, "W",   "usrSR",  0, 0,  SEV_STATUS_INVALID_ASID},
    {0x22, "DEACTIVATE",          0x04, "W",   "usrSRx", 0, 0,  SEV_STATUS_INACTIVE},
    {0x23, "GUEST_STATUS",        0x0d, "W",   "usrSRx", 0, 0,  SEV_STATUS_SUCCESS},
    {0x24, "COPY",                0x18, "W",   "rS",     0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x25, "ACTIVATE_EX",         0x18, "W",   "usrSR",  4, 0,  SEV_STATUS_INVALID_ASID},
    {0x30, "LAUNCH_START",        0x24, "IW",  NULL,     0, 0,  SEV_STATUS_SUCCESS},
    {0x31, "LAUNCH_UPDATE_DATA",  0x14, "W",   "u",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x32, "LAUNCH_UPDATE_VMSA",  0x14, "W",   "u",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x33, "LAUNCH_MEASURE",      0x14, "W",   "u",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x34, "LAUNCH_SECRET",       0x34, "W",   "s",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x35, "LAUNCH_FINISH",       0x04, "W",   "s",      0, 0,  SEV_STATUS_SUCCESS},
    {0x36, "ATTESTATION",         0x24, "W",   "srS",    0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x40, "SEND_START",          0x44, "W",   "r",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x41, "SEND_UPDATE_DATA",    0x34, "W",   "S",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x42, "SEND_UPDATE_VMSA",    0x34, "W",   "S",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x43, "SEND_FINISH",         0x04, "W",   "S",      0, 0,  SEV_STATUS_SUCCESS},
    {0x44, "SEND_CANCEL",         0x04, "W",   "S",      0, 0,  SEV_STATUS_SUCCESS},
    {0x50, "RECEIVE_START",       0x24, "IW",  NULL,     0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x51, "RECEIVE_UPDATE_DATA", 0x34, "W",   "R",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x52, "RECEIVE_UPDATE_VMSA", 0x34, "W",   "R",      0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x53, "RECEIVE_FINISH",      0x04, "W",   "R",      0, 0,  SEV_STATUS_SUCCESS},
    {0x60, "DBG_DECRYPT",         0x1c, "W",   "usrSR",  0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x61, "DBG_ENCRYPT",         0x1c, "W",   "usrSR",  0, 0,  SEV_STATUS_INVALID_LENGTH},
    {0x70, "SWAP_OUT",            0x28, "!",   "",       0, 0,  SEV_STATUS_UNSUPPORTED},
    {0x71, "SWAP_IN",             0x20, "!",   "",       0, 0,  SEV_STATUS_UNSUPPORTED},
};

static const struct { char letter; enum sev_gstate state; } guest_letters[] = {
    {'u', SEV_GSTATE_LUPDATE}, {'s', SEV_GSTATE_LSECRET}, {'r', SEV_GSTATE_RUNNING},
    {'S', SEV_GSTATE_SUPDATE}, {'R', SEV_GSTATE_RUPDATE}, {'x', SEV_GSTATE_SENT},
};
// clang-format on

static const struct expectations all = {expectations, ARRAY_SIZE(expectations)};

static const struct expectation *expected(u32 id)
{
    return expected_of(all, id);
}

static void names_and_sizes_are_the_specifications(void **state)
{
    (void)state;
    check_names_and_sizes(all, 0, SEV_CMD_SNP_INIT, sev_command_name);
}

/* [sev 2, snp 9], by code. */
static void statuses_are_the_specifications(void **state)
{
    (void)state;
    static const char *const names[] = {"SUCCESS",
                                        "INVALID_PLATFORM_STATE",
                                        "INVALID_GUEST_STATE",
                                        "INVALID_CONFIG",
                                        "INVALID_LENGTH",
                                        "ALREADY_OWNED",
                                        "INVALID_CERTIFICATE",
                                        "POLICY_FAILURE",
                                        "INACTIVE",
                                        "INVALID_ADDRESS",
                                        "BAD_SIGNATURE",
                                        "BAD_MEASUREMENT",
                                        "ASID_OWNED",
                                        "INVALID_ASID",
                                        "WBINVD_REQUIRED",
                                        "DFFLUSH_REQUIRED",
                                        "INVALID_GUEST",
                                        "INVALID_COMMAND",
                                        "ACTIVE",
                                        "HWERROR_PLATFORM",
                                        "HWERROR_UNSAFE",
                                        "UNSUPPORTED",
                                        "INVALID_PARAM",
                                        "RESOURCE_LIMIT",
                                        "SECURE_DATA_INVALID",
                                        "INVALID_PAGE_SIZE",
                                        "INVALID_PAGE_STATE",
                                        "INVALID_MDATA_ENTRY",
                                        "INVALID_PAGE_OWNER",
                                        "AEAD_OFLOW",
                                        "?",
                                        "RB_MODE_EXITED",
                                        "RMP_INIT_REQUIRED",
                                        "BAD_SVN",
                                        "BAD_VERSION",
                                        "SHUTDOWN_REQUIRED",
                                        "UPDATE_FAILED",
                                        "RESTORE_REQUIRED",
                                        "RMP_INIT_FAILED",
                                        "INVALID_KEY",
                                        "SHUTDOWN_INCOMPLETE",
                                        "?",
                                        "?",
                                        "?",
                                        "?",
                                        "?",
                                        "?",
                                        "?",
                                        "INCORRECT_BUFFER_LENGTH",
                                        "EXPAND_BUFFER_LENGTH_REQUEST",
                                        "SPDM_REQUEST",
                                        "SPDM_ERROR",
                                        "?",
                                        "ERR_IN_DEV_CONN",
                                        "INVALID_DEV_CTX",
                                        "INVALID_TDI_CTX",
                                        "INVALID_TDI",
                                        "RECLAIM_REQUIRED",
                                        "IN_USE",
                                        "INVALID_DEV_STATE",
                                        "INVALID_TDI_STATE",
                                        "DEV_CERT_CHANGED",
                                        "RESYNC_REQ",
                                        "RESPONSE_TOO_LARGE",
                                        "?"};
    for (u32 code = 0; code < ARRAY_SIZE(names); code++)
        assert_string_equal(sev_status_name(code), names[code]);
}

static void an_unknown_id_is_an_invalid_command(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    for (u32 id = 0; id < 0x900; id++) {
        if (expected(id) || *snp_command_name(id) != '?')
            continue;
        assert_status(firmware_mailbox(r.fw, id, AT_BUFFER), INVALID_COMMAND);
        assert_rule(&r, "rule=\"there is no command");
    }
    assert_status(firmware_mailbox(r.fw, 0xffffffff, AT_BUFFER), INVALID_COMMAND);
    rig_destroy(&r);
}

/* [sev 1.5]: the ring buffer came with API 0.24. */
static void a_command_is_known_since_its_api(void **state)
{
    (void)state;
    struct rig r;
    u8 buffer[0x28] = {0};
    rig_create(&r);
    r.config.profile = firmware_profile_find("naples"); /* 0.17 */
    rig_restart(&r);
    assert_status(rig_command(&r, SEV_CMD_RING_BUFFER, buffer, sizeof buffer), INVALID_COMMAND);
    r.config.profile = firmware_profile_find("rome"); /* 0.24 */
    rig_restart(&r);
    assert_status(rig_command(&r, SEV_CMD_RING_BUFFER, buffer, sizeof buffer), UNSUPPORTED);
    rig_destroy(&r);
}

/* A buffer of zeros but for the handle: right enough to get past the states, wrong in the rest. */
static u32 try_command(struct rig *r, const struct expectation *x, u32 handle)
{
    u8 buffer[0x44] = {0};
    store_le32(buffer + x->guest_at, x->guest ? handle : 0);
    return rig_command(r, x->id, buffer, x->size);
}

static void to_platform_state(struct rig *r, char letter)
{
    if (letter != 'U')
        rig_init(r, false);
    if (letter == 'W')
        rig_launch(r, 0);
}

static void check_platform_state(const struct expectation *x, char letter)
{
    struct rig r;
    rig_create(&r);
    to_platform_state(&r, letter);
    u32 status = try_command(&r, x, 1);
    if (*x->platform == '!') {
        assert_status(status, UNSUPPORTED);
    } else if (!strchr(x->platform, letter)) {
        assert_status(status, INVALID_PLATFORM_STATE);
        assert_rule(&r, "rule=\"not allowed in platform state");
        assert_int_equal(rig_pstate(&r), letter == 'U'   ? SEV_PSTATE_UNINIT
                                         : letter == 'I' ? SEV_PSTATE_INIT
                                                         : SEV_PSTATE_WORKING);
    } else { /* WORKING by a guest in LUPDATE */
        bool fits = !x->guest || strchr(x->guest, 'u');
        assert_int_equal(status, fits ? x->answer : SEV_STATUS_INVALID_GUEST_STATE);
    }
    rig_destroy(&r);
}

static void every_command_in_every_platform_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(expectations); i++)
        for (const char *letter = "UIW"; *letter; letter++)
            check_platform_state(&expectations[i], *letter);
}

/* A guest in the state, by the commands that lead there. Returns its handle. */
static u32 to_guest_state(struct rig *r, enum sev_gstate wanted)
{
    rig_init(r, false);
    u32 handle = rig_launch(r, 0);
    struct sev_measure measure;
    if (wanted == SEV_GSTATE_LUPDATE)
        return handle;
    assert_status(rig_measure(r, handle, &measure), SUCCESS);
    if (wanted == SEV_GSTATE_LSECRET)
        return handle;
    assert_status(rig_handle(r, SEV_CMD_LAUNCH_FINISH, handle), SUCCESS);
    if (wanted == SEV_GSTATE_RUNNING)
        return handle;
    rig_export(r);
    assert_status(rig_send_start(r, handle), SUCCESS);
    if (wanted == SEV_GSTATE_SUPDATE)
        return handle;
    if (wanted == SEV_GSTATE_SENT) {
        assert_status(rig_handle(r, SEV_CMD_SEND_FINISH, handle), SUCCESS);
        return handle;
    }
    u32 received;
    assert_status(rig_receive_start(r, 0, &received), SUCCESS);
    return received;
}

static void check_guest_state(const struct expectation *x, char letter, enum sev_gstate state)
{
    struct rig r;
    rig_create(&r);
    u32 handle = to_guest_state(&r, state);
    assert_int_equal(rig_gstate(&r, handle), state);
    u32 status = try_command(&r, x, handle);
    if (*x->platform == '!') {
        assert_status(status, UNSUPPORTED);
    } else if (!strchr(x->guest, letter)) {
        assert_status(status, INVALID_GUEST_STATE);
        assert_rule(&r, "rule=\"not allowed in guest state");
        assert_int_equal(rig_gstate(&r, handle), state);
    } else {
        assert_int_equal(status, x->answer);
    }
    rig_destroy(&r);
}

static void every_guest_command_in_every_guest_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(expectations); i++)
        for (size_t k = 0; k < ARRAY_SIZE(guest_letters) && expectations[i].guest; k++)
            check_guest_state(&expectations[i], guest_letters[k].letter, guest_letters[k].state);
}

static void a_guest_command_wants_a_handle_that_is_known(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    rig_init(&r, false);
    u32 handle = rig_launch(&r, 0);
    for (size_t i = 0; i < ARRAY_SIZE(expectations); i++) {
        const struct expectation *x = &expectations[i];
        if (!x->guest || *x->platform == '!')
            continue;
        assert_status(try_command(&r, x, handle + 1), INVALID_GUEST);
        assert_status(try_command(&r, x, 0), INVALID_GUEST);
    }
    rig_destroy(&r);
}

static void a_buffer_outside_memory_is_an_invalid_address(void **state)
{
    check_buffers_outside_memory(all, *state);
}

static void the_c_bit_of_an_address_is_masked_and_zero_is_an_address(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    struct sev_platform_status status = {.build = 0};
    assert_status(firmware_mailbox(r.fw, SEV_CMD_PLATFORM_STATUS, 0x3000 | RIG_C_BIT), SUCCESS);
    rig_get(&r, 0x3000, &status, sizeof status);
    assert_int_equal(status.api_major, 1);
    assert_int_equal(status.api_minor, 55);
    assert_int_equal(status.build, 25);
    assert_status(firmware_mailbox(r.fw, SEV_CMD_PLATFORM_STATUS, 0), SUCCESS);
    rig_get(&r, 0, &status, sizeof status);
    assert_int_equal(status.build, 25);
    rig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_sizes_are_the_specifications),
        cmocka_unit_test(statuses_are_the_specifications),
        cmocka_unit_test(an_unknown_id_is_an_invalid_command),
        cmocka_unit_test(a_command_is_known_since_its_api),
        cmocka_unit_test(every_command_in_every_platform_state),
        cmocka_unit_test(every_guest_command_in_every_guest_state),
        cmocka_unit_test(a_guest_command_wants_a_handle_that_is_known),
        ON_RIG(a_buffer_outside_memory_is_an_invalid_address, rig_setup),
        cmocka_unit_test(the_c_bit_of_an_address_is_masked_and_zero_is_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
