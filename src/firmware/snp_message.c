/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP_GUEST_REQUEST: the sealed envelope of guest messages, and the table of the messages [snp 6.1,
 * 6.2]. An error in the envelope becomes the command's status and changes nothing; an error in the
 * request inside becomes a status in the sealed answer.
 */
#include "firmware/internal.h"

#include <inttypes.h>

struct message_type {
    const char *name;
    u8 version_max;
    u16 size_min, size_max; /* of the request's payload */
    message_handler *handler;
};

#define CONTEXT_MESSAGE (sizeof(struct snp_import_req) + sizeof(struct snp_identity))

// clang-format off
static const struct message_type types[] = {
    [SNP_MSG_CPUID_REQ]       = {"CPUID", 1, 16, 16 + 48 * SNP_CPUID_ENTRIES, message_cpuid},
    [SNP_MSG_KEY_REQ]         = {"KEY", 2, SNP_KEY_REQ_V1_SIZE, sizeof(struct snp_key_req), message_key},
    [SNP_MSG_REPORT_REQ]      = {"REPORT", 1, sizeof(struct snp_report_req), sizeof(struct snp_report_req), message_report},
    [SNP_MSG_EXPORT_REQ]      = {"EXPORT", 1, sizeof(struct snp_export_req), sizeof(struct snp_export_req), message_export},
    [SNP_MSG_IMPORT_REQ]      = {"IMPORT", 1, CONTEXT_MESSAGE, CONTEXT_MESSAGE, message_import},
    [SNP_MSG_ABSORB_REQ]      = {"ABSORB", 1, CONTEXT_MESSAGE, CONTEXT_MESSAGE, message_absorb},
    [SNP_MSG_VMRK_REQ]        = {"VMRK", 1, sizeof(struct snp_vmrk_req), sizeof(struct snp_vmrk_req), message_vmrk},
    [SNP_MSG_ABSORB_NOMA_REQ] = {"ABSORB_NOMA", 1, CONTEXT_MESSAGE, CONTEXT_MESSAGE, message_absorb_noma},
    [SNP_MSG_TSC_INFO_REQ]    = {"TSC_INFO", 1, SNP_TSC_INFO_REQ_SIZE, SNP_TSC_INFO_REQ_SIZE, message_tsc_info},
};
// clang-format on

/* Returns the highest message version. Version 2 of a key request came with the firmware generation
 * that has mitigation vectors. */
static u8 version_max(const struct firmware_profile *p, u8 type)
{
    return type == SNP_MSG_KEY_REQ && p->api_minor < 55 ? 1 : types[type].version_max;
}

/* Returns true if the payload's size is right. A key request is either short or long, never in
 * between. Version 1 is short; version 2 may be short as well, because Linux's ioctl did not grow
 * [snp 1]. */
static bool size_right(const struct snp_msg_header *h)
{
    const struct message_type *t = &types[h->type];
    if (h->type == SNP_MSG_KEY_REQ && h->size != t->size_min)
        return h->version >= 2 && h->size == t->size_max;
    return h->size >= t->size_min && h->size <= t->size_max;
}

static enum sev_status check_header(struct call *c, const struct snp_msg_header *h)
{
    RULE_CHECK(c, h->algo == SNP_MSG_ALGO_AES_256_GCM, INVALID_PARAM,
               "the message's ALGO is %u, not 1", h->algo);
    RULE_CHECK(c,
               h->header_version == SNP_MSG_HEADER_VERSION && h->header_size == SNP_MSG_HEADER_SIZE,
               INVALID_PARAM, "the header has version %u and 0x%x bytes, not 1 and 0x60",
               h->header_version, h->header_size);
    RULE_CHECK(c,
               !h->reserved_28 && !h->reserved_38 && all_zero(h->tag_high, sizeof h->tag_high) &&
                   all_zero(h->reserved_3d, sizeof h->reserved_3d),
               INVALID_PARAM, "the header has reserved bytes set");
    RULE_CHECK(c, h->vmpck < SNP_VMPCKS, INVALID_PARAM, "there is no VMPCK%u", h->vmpck);
    RULE_CHECK(c, h->type < ARRAY_SIZE(types) && types[h->type].handler, INVALID_PARAM,
               "a message of type %u is not a request", h->type);
    const struct message_type *t = &types[h->type];
    RULE_CHECK(c, h->version && h->version <= version_max(c->fw->profile, h->type), INVALID_PARAM,
               "%s_REQ has no version %u", t->name, h->version);
    RULE_CHECK(c, size_right(h), INVALID_PARAM,
               "%s_REQ of version %u has %u bytes, or up to %u, not %u", t->name, h->version,
               t->size_min, t->size_max, h->size);
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_seqno(struct call *c, const struct snp_msg_header *h)
{
    u64 count = c->context.id.seqno[h->vmpck];
    RULE_CHECK(c, count <= ~0ull - 2, AEAD_OFLOW, "the message counter of VMPCK%u is at its end",
               h->vmpck);
    RULE_CHECK(c, h->seqno == count + 1, INVALID_PARAM,
               "the message's number on VMPCK%u is %" PRIu64 ", expected is %" PRIu64, h->vmpck,
               h->seqno, count + 1);
    return SEV_STATUS_SUCCESS;
}

struct page_message {
    struct snp_msg_header header;
    u8 payload[SNP_MSG_PAYLOAD_MAX];
};
_Static_assert(sizeof(struct page_message) == PAGE_SIZE, "a message fills its page");

static const u8 *authenticated(const struct page_message *p)
{
    return (const u8 *)&p->header + SNP_MSG_AAD_OFFSET;
}

static enum sev_status open_request(struct call *c, struct page_message *p)
{
    const struct snp_msg_header *h = &p->header;
    u8 iv[12];
    enum sev_status status = check_header(c, h);
    if (status == SEV_STATUS_SUCCESS)
        status = check_seqno(c, h);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    snp_msg_iv(h->seqno, iv);
    RULE_CHECK(c,
               crypto_aes256_gcm_open(c->context.id.vmpck[h->vmpck], iv, authenticated(p),
                                      SNP_MSG_AAD_SIZE, p->payload, p->payload, h->size, h->tag),
               INVALID_PARAM, "the message's tag is wrong: it is not sealed with VMPCK%u",
               h->vmpck);
    return SEV_STATUS_SUCCESS;
}

static void seal_response(struct call *c, const struct snp_msg_header *request,
                          struct page_message *p, u32 size)
{
    u8 iv[12];
    p->header = (struct snp_msg_header){
        .seqno = request->seqno + 1,
        .algo = SNP_MSG_ALGO_AES_256_GCM,
        .header_version = SNP_MSG_HEADER_VERSION,
        .header_size = SNP_MSG_HEADER_SIZE,
        .type = (u8)(request->type + 1),
        .version = request->version,
        .size = (u16)size,
        .vmpck = request->vmpck,
    };
    snp_msg_iv(p->header.seqno, iv);
    crypto_aes256_gcm_seal(c->context.id.vmpck[request->vmpck], iv, authenticated(p),
                           SNP_MSG_AAD_SIZE, p->payload, p->payload, size, p->header.tag);
}

enum sev_status snp_guest_request(struct call *c)
{
    const struct snp_guest_request *in = &c->in.snp_guest_request;
    struct firmware *fw = c->fw;
    struct page_message request, response;
    enum sev_status status =
        check_range(c, "request page", in->request_paddr, PAGE_SIZE, PAGE_SIZE);
    if (status == SEV_STATUS_SUCCESS)
        status = page_check(c, "response page", in->response_paddr, false, PAGE(FIRMWARE), NULL);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    memory_read(fw->memory, real_address(fw, in->request_paddr), KEY_RAW, &request, sizeof request);
    status = open_request(c, &request);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    const struct snp_msg_header *h = &request.header;
    memset(&response, 0, sizeof response);
    struct message m = {.in = request.payload,
                        .in_size = h->size,
                        .version = h->version,
                        .vmpck = h->vmpck,
                        .out = response.payload};
    u32 inner = types[h->type].handler(c, &m);
    note(c, " message=%s vmpck=%u seqno=%" PRIu64, types[h->type].name, h->vmpck, h->seqno);
    note_answer(c, inner);
    /* Reads the counter from the context again, because ABSORB_NOMA replaces the caller's own
     * counters. */
    if (c->context.id.seqno[h->vmpck] < h->seqno + 1)
        c->context.id.seqno[h->vmpck] = h->seqno + 1;
    seal_response(c, h, &response, m.out_size);
    memory_write(fw->memory, real_address(fw, in->response_paddr), KEY_RAW, &response,
                 sizeof response);
    crypto_wipe(&request, sizeof request);
    return SEV_STATUS_SUCCESS;
}
