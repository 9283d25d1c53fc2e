/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile guests (and hosts that change what they carry): SNP_GUEST_REQUEST pages against a running
 * guest's firmware. The input is a list of messages: a byte of flags, the header's bytes from 20h
 * on, and the payload's bytes.
 *
 *   flags  bit 0  the message is sealed with the right key    bit 1  its number is the expected one
 *          bit 2  as much payload as MSG_SIZE says; else up to 64 bytes
 */
#include "base/bytes.h"
#include "firmware/internal.h"
#include "key_store.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define MEMORY_SIZE MIB(4)
#define AT_BUFFER   0x1000u
#define AT_GCTX     0x2000u
#define AT_REQUEST  0x3000u
#define AT_RESPONSE 0x4000u
#define AT_RMP      0x300000u
#define ASID        2u
#define MESSAGES    16u /* of one input */

#define SEALED    BIT(0)
#define IN_ORDER  BIT(1)
#define FULL_SIZE BIT(2)

struct rig {
    struct crypto *crypto;
    struct memory *memory;
    struct firmware *fw;
};

static u32 command(struct rig *r, u32 id, const void *buffer, size_t size)
{
    if (size)
        memory_write(r->memory, AT_BUFFER, KEY_RAW, buffer, size);
    u32 status = firmware_mailbox(r->fw, id, AT_BUFFER);
    if (!firmware_sound(r->fw))
        abort();
    return status;
}

static void must(u32 status)
{
    if (status != SEV_STATUS_SUCCESS)
        abort();
}

static void firmware_page(struct rig *r, u64 spa)
{
    struct rmp_entry e = {.assigned = true, .immutable = true};
    if (!rmp_set(r->memory, spa, &e))
        abort();
}

/* A guest that runs, may be migrated and debugged, so that most messages mean something to it. */
static void rig_create(struct rig *r)
{
    struct snp_address gctx = {AT_GCTX};
    struct snp_launch_start start = {.gctx_paddr = AT_GCTX, .policy = SNP_POLICY_QEMU_DEFAULT};
    struct snp_activate activate = {AT_GCTX, ASID};
    struct snp_launch_finish finish = {.gctx_paddr = AT_GCTX};
    r->crypto = crypto_create("fuzz", 4);
    struct random_source random = crypto_random_source(r->crypto);
    r->memory =
        memory_create(&(struct memory_config){.size = MEMORY_SIZE, .asids = 15, .random = &random});
    r->fw = firmware_create(
        &(struct firmware_config){.memory = r->memory,
                                  .crypto = r->crypto,
                                  .store = first_keys,
                                  .fuses = {1},
                                  .c_bit = BIT(51),
                                  .asid_min = 5,
                                  .asid_max = 15,
                                  .cores = 1,
                                  .rmp_base = AT_RMP,
                                  .rmp_end = AT_RMP + rmp_table_size(MEMORY_SIZE) - 1});
    if (!r->fw)
        abort();
    must(command(r, SEV_CMD_SNP_INIT, NULL, 0));
    firmware_wbinvd(r->fw, 0);
    must(command(r, SEV_CMD_SNP_DF_FLUSH, NULL, 0));
    firmware_page(r, AT_GCTX);
    firmware_page(r, AT_RESPONSE);
    must(command(r, SEV_CMD_SNP_GCTX_CREATE, &gctx, sizeof gctx));
    must(command(r, SEV_CMD_SNP_LAUNCH_START, &start, sizeof start));
    must(command(r, SEV_CMD_SNP_ACTIVATE, &activate, sizeof activate));
    must(command(r, SEV_CMD_SNP_LAUNCH_FINISH, &finish, sizeof finish));
}

static void rig_destroy(struct rig *r)
{
    firmware_destroy(r->fw);
    memory_destroy(r->memory);
    crypto_destroy(r->crypto);
}

static struct snp_context look(struct rig *r)
{
    struct snp_context g;
    if (!memory_peek(r->memory, AT_GCTX, KEY_FIRMWARE, &g, sizeof g))
        abort();
    return g;
}

static void one_message(struct rig *r, struct reader *in)
{
    struct {
        struct snp_msg_header header;
        u8 payload[SNP_MSG_PAYLOAD_MAX];
    } m = {0};
    u8 flags = read_u8(in), iv[12];
    struct snp_context g = look(r);
    read_bytes(in, (u8 *)&m.header + 0x20, sizeof m.header - 0x20);
    size_t size = min_u64(m.header.size, flags & FULL_SIZE ? SNP_MSG_PAYLOAD_MAX : 64);
    read_bytes(in, m.payload, min_u64(size, reader_left(in)));
    u32 key = m.header.vmpck % SNP_VMPCKS;
    if (flags & IN_ORDER)
        m.header.seqno = g.id.seqno[key] + 1;
    snp_msg_iv(m.header.seqno, iv);
    if (flags & SEALED)
        crypto_aes256_gcm_seal(g.id.vmpck[key], iv, (u8 *)&m.header + SNP_MSG_AAD_OFFSET,
                               SNP_MSG_AAD_SIZE, m.payload, m.payload,
                               min_u64(m.header.size, SNP_MSG_PAYLOAD_MAX), m.header.tag);
    struct snp_guest_request request = {AT_GCTX, AT_REQUEST, AT_RESPONSE};
    memory_write(r->memory, AT_REQUEST, KEY_RAW, &m, sizeof m);
    u32 status = command(r, SEV_CMD_SNP_GUEST_REQUEST, &request, sizeof request);
    if ((status == SEV_STATUS_SUCCESS) != (firmware_rule(r->fw)[0] == 0))
        abort();
    struct snp_context after = look(r);
    bool moved = memcmp(after.id.seqno, g.id.seqno, sizeof g.id.seqno) != 0;
    if ((status == SEV_STATUS_SUCCESS) != moved || (moved && !(flags & SEALED)) ||
        rmp_state(r->memory, AT_RESPONSE) != RMP_FIRMWARE)
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct rig r;
    struct reader in = reader_of(data, size);
    rig_create(&r);
    for (u32 i = 0; i < MESSAGES && reader_left(&in); i++)
        one_message(&r, &in);
    rig_destroy(&r);
    return 0;
}
