/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware's test platform with SNP: a guest with its context page, pages in any state, sealed
 * messages. */
#ifndef SOFTSEV_TESTS_FIRMWARE_SNP_RIG_H
#define SOFTSEV_TESTS_FIRMWARE_SNP_RIG_H

#include "base/bytes.h"
#include "rig.h"

#define AT_GCTX     0x50000u
#define AT_STATUS   0x51000u
#define AT_PAGE     0x52000u /* of the guest */
#define AT_PAGE_2   0x53000u
#define AT_REQUEST  0x54000u
#define AT_RESPONSE 0x55000u
#define AT_MDATA    0x56000u
#define AT_GCTX_2   0x57000u
#define AT_LIST     0x58000u
#define AT_ID_BLOCK 0x59000u
#define AT_ID_AUTH  0x5a000u
#define AT_LARGE    0x400000u /* 2 MiB */

#define SNP_ASID   2u
#define RIG_POLICY SNP_POLICY_QEMU_DEFAULT

/* Restarts the machine with another firmware. */
static inline void snp_rig_profile(struct rig *r, const char *profile)
{
    r->config.profile = firmware_profile_find(profile);
    assert_non_null(r->config.profile);
    rig_restart(r);
}

static inline void snp_rig_create(struct rig *r, const char *profile)
{
    rig_create(r);
    snp_rig_profile(r, profile);
}

static inline void snp_flush(struct rig *r)
{
    for (u32 core = 0; core < RIG_CORES; core++)
        firmware_wbinvd(r->fw, core);
    assert_status(SIMPLE(r, SNP_DF_FLUSH), SUCCESS);
}

static inline void snp_start(struct rig *r)
{
    assert_status(SIMPLE(r, SNP_INIT), SUCCESS);
    snp_flush(r);
}

/* What the host's RMPUPDATE would do. */
static inline void snp_page(struct rig *r, u64 spa, struct rmp_entry e)
{
    assert_true(rmp_set(r->memory, spa, &e));
}

static inline void snp_firmware_page(struct rig *r, u64 spa)
{
    snp_page(r, spa, (struct rmp_entry){.assigned = true, .immutable = true});
}

static inline void snp_pre_guest(struct rig *r, u64 spa, u32 asid, u64 gpa)
{
    snp_page(r, spa,
             (struct rmp_entry){.assigned = true, .immutable = true, .asid = asid, .gpa = gpa});
}

static inline u32 snp_address(struct rig *r, u32 id, u64 paddr)
{
    struct snp_address in = {paddr};
    return rig_command(r, id, &in, sizeof in);
}

static inline void snp_create_guest(struct rig *r, u64 gctx)
{
    snp_firmware_page(r, gctx);
    assert_status(snp_address(r, SEV_CMD_SNP_GCTX_CREATE, gctx), SUCCESS);
}

static inline u32 snp_launch_policy(struct rig *r, u64 gctx, u64 policy)
{
    struct snp_launch_start in = {.gctx_paddr = gctx, .policy = policy};
    return COMMAND(r, SNP_LAUNCH_START, in);
}

static inline u32 snp_activate_guest(struct rig *r, u64 gctx, u32 asid)
{
    struct snp_activate in = {gctx, asid};
    return COMMAND(r, SNP_ACTIVATE, in);
}

static inline u32 snp_update(struct rig *r, u64 gctx, u32 type, u64 spa)
{
    struct snp_launch_update in = {
        .gctx_paddr = gctx, .flags = SNP_LAUNCH_UPDATE_TYPE(type), .paddr = spa};
    return COMMAND(r, SNP_LAUNCH_UPDATE, in);
}

static inline u32 snp_finish(struct rig *r, u64 gctx)
{
    struct snp_launch_finish in = {.gctx_paddr = gctx};
    return COMMAND(r, SNP_LAUNCH_FINISH, in);
}

/* Platform and guest up to LAUNCH. */
static inline void snp_to_inactive(struct rig *r, u64 policy)
{
    snp_start(r);
    snp_create_guest(r, AT_GCTX);
    assert_status(snp_launch_policy(r, AT_GCTX, policy), SUCCESS);
}

/* The same, with its ASID. */
static inline void snp_to_launch(struct rig *r, u64 policy)
{
    snp_to_inactive(r, policy);
    assert_status(snp_activate_guest(r, AT_GCTX, SNP_ASID), SUCCESS);
}

static inline void snp_to_running(struct rig *r, u64 policy)
{
    snp_to_launch(r, policy);
    assert_status(snp_finish(r, AT_GCTX), SUCCESS);
    snp_firmware_page(r, AT_RESPONSE);
}

/* The firmware's own words on a guest: what its context page holds. */
static inline struct snp_context snp_look(struct rig *r, u64 gctx)
{
    struct snp_context g;
    assert_true(memory_peek(r->memory, gctx, KEY_FIRMWARE, &g, sizeof g));
    return g;
}

static inline void snp_digest_is(struct rig *r, const char *hex)
{
    char text[97];
    struct snp_context g = snp_look(r, AT_GCTX);
    hex_encode(text, g.id.ld, sizeof g.id.ld);
    assert_string_equal(text, hex);
}

/* --- Messages: the guest's part --------------------------------------------------------------- */

struct sealed {
    struct snp_msg_header header;
    u8 payload[SNP_MSG_PAYLOAD_MAX];
};

static inline struct snp_msg_header snp_header(u8 type, u16 size, u8 vmpck, u64 seqno)
{
    return (struct snp_msg_header){.seqno = seqno,
                                   .algo = 1,
                                   .header_version = 1,
                                   .header_size = 0x60,
                                   .type = type,
                                   .version = 1,
                                   .size = size,
                                   .vmpck = vmpck};
}

static inline void snp_seal(const u8 key[32], struct sealed *m)
{
    u8 iv[12];
    snp_msg_iv(m->header.seqno, iv);
    crypto_aes256_gcm_seal(key, iv, (u8 *)&m->header + 0x30, 0x30, m->payload, m->payload,
                           m->header.size, m->header.tag);
}

static inline u32 snp_send(struct rig *r, u64 gctx, const struct sealed *m)
{
    struct snp_guest_request in = {gctx, AT_REQUEST, AT_RESPONSE};
    rig_put(r, AT_REQUEST, m, sizeof *m);
    return COMMAND(r, SNP_GUEST_REQUEST, in);
}

/* One message to and fro; the answer's payload in `out`. Returns its size; the command succeeds. */
static inline u32 snp_ask_as(struct rig *r, u64 gctx, u8 type, u8 version, u8 vmpck,
                             const void *payload, u16 size, void *out)
{
    struct snp_context g = snp_look(r, gctx);
    struct sealed m = {.header = snp_header(type, size, vmpck, g.id.seqno[vmpck] + 1)};
    m.header.version = version;
    memcpy(m.payload, payload, size);
    snp_seal(g.id.vmpck[vmpck], &m);
    u64 seqno = m.header.seqno;
    assert_status(snp_send(r, gctx, &m), SUCCESS);
    rig_get(r, AT_RESPONSE, &m, sizeof m);
    assert_int_equal(m.header.seqno, seqno + 1);
    assert_int_equal(m.header.type, type + 1);
    assert_int_equal(m.header.version, version);
    assert_int_equal(m.header.vmpck, vmpck);
    u8 iv[12];
    snp_msg_iv(m.header.seqno, iv);
    assert_true(crypto_aes256_gcm_open(g.id.vmpck[vmpck], iv, (u8 *)&m.header + 0x30, 0x30,
                                       m.payload, out, m.header.size, m.header.tag));
    assert_int_equal(rmp_state(r->memory, AT_RESPONSE), RMP_FIRMWARE);
    return m.header.size;
}

static inline u32 snp_ask(struct rig *r, u8 type, const void *payload, u16 size, void *out)
{
    return snp_ask_as(r, AT_GCTX, type, 1, 0, payload, size, out);
}

#endif
