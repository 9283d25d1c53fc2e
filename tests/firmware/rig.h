/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform for the firmware's tests: 8 MiB of memory, a store in memory, seeded randomness, and
 * the last trace line. Commands go through the mailbox as a host would send them.
 */
#ifndef SOFTSEV_TESTS_FIRMWARE_RIG_H
#define SOFTSEV_TESTS_FIRMWARE_RIG_H

#include "firmware/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define RIG_MEMORY   MIB(8)
#define RIG_ASID_MIN 5u
#define RIG_ASIDS    15u
#define RIG_C_BIT    BIT(51)
#define RIG_CORES    2u

/* Where things are in the rig's memory. */
#define AT_BUFFER  0x1000u  /* command buffer */
#define AT_CERT    0x10000u /* certificates: PDH, or the owner's */
#define AT_CHAIN   0x14000u /* PEK, OCA, CEK */
#define AT_AMD     0x18000u /* ASK, ARK */
#define AT_SESSION 0x1c000u
#define AT_HEADER  0x1d000u
#define AT_PACKET  0x20000u
#define AT_OUT     0x30000u
#define AT_GUEST   0x40000u
#define AT_TMR     0x100000u /* 1 MiB */
#define AT_NV      0x200000u /* 32 KiB */
#define AT_RMP     0x700000u

struct rig {
    struct memory *memory;
    struct crypto *crypto;
    struct firmware *fw;
    struct firmware_config config;
    struct trace trace;
    struct trace_sink sink;
    char line[1200]; /* the last command's trace line */
    u8 blob[FIRMWARE_STORE_MAX];
    size_t blob_size;
    unsigned saves;
    bool store_fails;                     /* a save does */
    enum firmware_store_answer load_says; /* FIRMWARE_STORE_LOADED: a load works */
};

static inline void rig_event(void *context, const struct trace_event *event)
{
    struct rig *r = context;
    snprintf(r->line, sizeof r->line, "%s %s", event->name, event->text);
}

static inline enum firmware_store_answer rig_load(void *context, void *out, size_t size,
                                                  size_t *got)
{
    struct rig *r = context;
    if (r->load_says != FIRMWARE_STORE_LOADED)
        return r->load_says;
    assert_true(r->blob_size <= size);
    memcpy(out, r->blob, r->blob_size);
    *got = r->blob_size;
    return r->blob_size ? FIRMWARE_STORE_LOADED : FIRMWARE_STORE_ABSENT;
}

static inline bool rig_save(void *context, const void *data, size_t size)
{
    struct rig *r = context;
    if (r->store_fails)
        return false;
    assert_true(size <= sizeof r->blob);
    if (size)
        memcpy(r->blob, data, size);
    r->blob_size = size;
    r->saves++;
    return true;
}

/* A machine with its power off: nothing in memory, nothing in the store. */
static inline void rig_create(struct rig *r)
{
    memset(r, 0, sizeof *r);
    r->crypto = crypto_create("rig", 3);
    assert_non_null(r->crypto);
    struct random_source random = crypto_random_source(r->crypto);
    r->memory = memory_create(
        &(struct memory_config){.size = RIG_MEMORY, .asids = RIG_ASIDS, .random = &random});
    assert_non_null(r->memory);
    r->trace = (struct trace){.enabled = 1u << TRACE_COMMAND};
    r->sink = (struct trace_sink){.event = rig_event, .context = r};
    trace_add_sink(&r->trace, &r->sink);
    r->config = (struct firmware_config){
        .memory = r->memory,
        .crypto = r->crypto,
        .trace = &r->trace,
        .store = {.load = rig_load, .save = rig_save, .context = r},
        .c_bit = RIG_C_BIT,
        .asid_min = RIG_ASID_MIN,
        .asid_max = RIG_ASIDS,
        .cores = RIG_CORES,
        .rmp_base = AT_RMP,
        .rmp_end = AT_RMP + rmp_table_size(RIG_MEMORY) - 1,
    };
    for (u8 i = 0; i < 32; i++)
        r->config.fuses[i] = i;
    r->fw = firmware_create(&r->config);
    assert_non_null(r->fw);
}

static inline void rig_destroy(struct rig *r)
{
    firmware_destroy(r->fw);
    memory_destroy(r->memory);
    crypto_destroy(r->crypto);
}

/* Power off and on: what is not in the store is gone. */
static inline void rig_restart(struct rig *r)
{
    firmware_destroy(r->fw);
    r->fw = firmware_create(&r->config);
    assert_non_null(r->fw);
}

static inline void rig_put(struct rig *r, u64 at, const void *data, size_t size)
{
    assert_true(memory_write(r->memory, at, KEY_RAW, data, size));
}

static inline void rig_get(struct rig *r, u64 at, void *out, size_t size)
{
    assert_true(memory_read(r->memory, at, KEY_RAW, out, size));
}

/* One command; `buffer` comes back as the firmware left it. */
static inline u32 rig_command(struct rig *r, u32 id, void *buffer, size_t size)
{
    if (size)
        rig_put(r, AT_BUFFER, buffer, size);
    u32 status = firmware_mailbox(r->fw, id, AT_BUFFER);
    if (size)
        rig_get(r, AT_BUFFER, buffer, size);
    return status;
}

#define COMMAND(r, id, buffer) rig_command(r, SEV_CMD_##id, &(buffer), sizeof(buffer))
#define SIMPLE(r, id)          rig_command(r, SEV_CMD_##id, NULL, 0)

#define assert_status(actual, expected)                                                            \
    do {                                                                                           \
        u32 assert_status_value = (actual);                                                        \
        if (assert_status_value != SEV_STATUS_##expected)                                          \
            print_message("# %s:%d status is %s\n", __FILE__, __LINE__,                            \
                          sev_status_name(assert_status_value));                                   \
        assert_int_equal(assert_status_value, SEV_STATUS_##expected);                              \
    } while (0)

/* The refusal's rule, as the trace tells it, contains these words. */
#define assert_rule(r, words) assert_non_null(strstr((r)->line, words))

static inline void rig_flush(struct rig *r)
{
    for (u32 core = 0; core < RIG_CORES; core++)
        firmware_wbinvd(r->fw, core);
    assert_status(SIMPLE(r, DF_FLUSH), SUCCESS);
}

/* INIT with the ASIDs flushed, as Linux does it. */
static inline void rig_init(struct rig *r, bool es)
{
    struct sev_init in = {
        .options = es ? SEV_OPTIONS_ES : 0, .tmr_paddr = AT_TMR, .tmr_len = MIB(1)};
    assert_status(COMMAND(r, INIT, in), SUCCESS);
    rig_flush(r);
}

/* --- One platform for each test: ON_RIG(test, rig_setup_init), and *state is the rig ---------- */

static inline int rig_setup(void **state)
{
    static struct rig rig;
    rig_create(&rig);
    *state = &rig;
    return 0;
}

static inline int rig_setup_init(void **state)
{
    rig_setup(state);
    rig_init(*state, false);
    return 0;
}

static inline int rig_setup_init_es(void **state)
{
    rig_setup(state);
    rig_init(*state, true);
    return 0;
}

static inline int rig_teardown(void **state)
{
    rig_destroy(*state);
    return 0;
}

#define ON_RIG(test, setup) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

/* --- Commands --------------------------------------------------------------------------------- */

static inline u32 rig_launch(struct rig *r, u32 policy)
{
    struct sev_start in = {.policy = policy};
    assert_status(COMMAND(r, LAUNCH_START, in), SUCCESS);
    return in.handle;
}

static inline u32 rig_activate(struct rig *r, u32 handle, u32 asid)
{
    struct sev_activate in = {.handle = handle, .asid = asid};
    return COMMAND(r, ACTIVATE, in);
}

static inline u32 rig_handle(struct rig *r, u32 id, u32 handle)
{
    struct sev_handle in = {handle};
    return rig_command(r, id, &in, sizeof in);
}

static inline u32 rig_update(struct rig *r, u32 handle, u64 spa, u32 size)
{
    struct sev_launch_range in = {.handle = handle, .paddr = spa, .len = size};
    return COMMAND(r, LAUNCH_UPDATE_DATA, in);
}

static inline u32 rig_measure(struct rig *r, u32 handle, struct sev_measure *out)
{
    struct sev_launch_range in = {.handle = handle, .paddr = AT_OUT, .len = sizeof *out};
    u32 status = COMMAND(r, LAUNCH_MEASURE, in);
    rig_get(r, AT_OUT, out, sizeof *out);
    return status;
}

/* Puts this platform's PDH and chain where SEND_START and RECEIVE_START look. */
static inline void rig_export(struct rig *r)
{
    struct sev_pdh_cert_export in = {.pdh_paddr = AT_CERT,
                                     .pdh_len = SEV_CERT_SIZE,
                                     .chain_paddr = AT_CHAIN,
                                     .chain_len = SEV_CERT_CHAIN_SIZE};
    assert_status(COMMAND(r, PDH_CERT_EXPORT, in), SUCCESS);
}

/* Sends a running guest to the platform whose chain rig_export() has put there. */
static inline u32 rig_send_start(struct rig *r, u32 handle)
{
    struct sev_send_start in = {
        .handle = handle,
        .pdh_paddr = AT_CERT,
        .pdh_len = SEV_CERT_SIZE,
        .plat_certs_paddr = AT_CHAIN,
        .plat_certs_len = SEV_CERT_CHAIN_SIZE,
        .amd_certs_paddr = AT_AMD,
        .amd_certs_len = 2 * AMD_CERT_SIZE(2048),
        .session_paddr = AT_SESSION,
        .session_len = SEV_SESSION_SIZE,
    };
    return COMMAND(r, SEND_START, in);
}

static inline u32 rig_receive_start(struct rig *r, u32 policy, u32 *handle)
{
    struct sev_start in = {
        .policy = policy,
        .dh_cert_paddr = AT_CERT,
        .dh_cert_len = SEV_CERT_SIZE,
        .session_paddr = AT_SESSION,
        .session_len = SEV_SESSION_SIZE,
    };
    u32 status = COMMAND(r, RECEIVE_START, in);
    *handle = in.handle;
    return status;
}

static inline enum sev_gstate rig_gstate(struct rig *r, u32 handle)
{
    struct sev_guest_status in = {.handle = handle};
    assert_status(COMMAND(r, GUEST_STATUS, in), SUCCESS);
    return (enum sev_gstate)in.state;
}

static inline enum sev_pstate rig_pstate(struct rig *r)
{
    struct sev_platform_status in = {.state = 0xff};
    assert_status(COMMAND(r, PLATFORM_STATUS, in), SUCCESS);
    return (enum sev_pstate)in.state;
}

#endif
