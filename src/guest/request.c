/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the firmware: sealed, carried, and the answer opened; when a VMPCK is lost as Linux
 * loses it [snp 6.2, 10.1]. */
#include "guest/guest.h"

#define RESULT_TEXT(name, text) [GUEST_##name] = text,
static const char *const result_texts[] = {GUEST_RESULTS(RESULT_TEXT)};
#undef RESULT_TEXT

const char *guest_result_text(enum guest_result result)
{
    return (unsigned)result < GUEST_RESULT_COUNT ? result_texts[result] : "?";
}

/* Nothing has reached the firmware: the counter may stand where it is. */
static bool not_carried(u64 exitinfo2)
{
    return exitinfo2 == GUEST_EXITINFO2(GUEST_VMM_INVALID_LEN, 0) ||
           exitinfo2 == GUEST_EXITINFO2(GUEST_VMM_BUSY, 0);
}

enum guest_result guest_ask(struct guest_channel *channel, const struct guest_carrier *carrier,
                            enum snp_msg_type type, u8 version, const void *payload,
                            size_t payload_size, void *answer, size_t answer_size, u64 *exitinfo2)
{
    u8 request[PAGE_SIZE], response[PAGE_SIZE] = {0}, opened[SNP_MSG_PAYLOAD_MAX];
    u64 ignored;
    u64 *info = exitinfo2 ? exitinfo2 : &ignored;
    *info = 0;
    if (channel->wiped)
        return GUEST_NO_KEY;
    if (channel->seqno + 1 >= GUEST_SEQNO_LIMIT)
        return GUEST_NO_COUNT;
    guest_message_seal(channel, type, version, payload, payload_size, request);
    *info = carrier->carry(carrier->context, request, response);
    if (not_carried(*info))
        return GUEST_AGAIN;
    if (*info) {
        guest_channel_wipe(channel);
        return GUEST_REFUSED;
    }
    s32 size = guest_message_open(channel, type, version, response, opened);
    enum guest_result result = GUEST_OK;
    if (size < 0 || (size_t)size < answer_size)
        result = GUEST_BAD_ANSWER;
    else
        memcpy(answer, opened, answer_size);
    guest_wipe(opened, sizeof opened);
    if (result != GUEST_OK)
        guest_channel_wipe(channel);
    return result;
}

enum guest_result guest_report(struct guest_channel *channel, const struct guest_carrier *carrier,
                               const struct snp_report_req *request, struct snp_report_rsp *answer,
                               u64 *exitinfo2)
{
    return guest_ask(channel, carrier, SNP_MSG_REPORT_REQ, 1, request, sizeof *request, answer,
                     sizeof *answer, exitinfo2);
}

enum guest_result guest_derived_key(struct guest_channel *channel,
                                    const struct guest_carrier *carrier, u8 version,
                                    const struct snp_key_req *request, struct snp_key_rsp *answer,
                                    u64 *exitinfo2)
{
    size_t size = version < 2 ? SNP_KEY_REQ_V1_SIZE : sizeof *request;
    return guest_ask(channel, carrier, SNP_MSG_KEY_REQ, version, request, size, answer,
                     sizeof *answer, exitinfo2);
}

enum guest_result guest_tsc_info(struct guest_channel *channel, const struct guest_carrier *carrier,
                                 struct snp_tsc_info_rsp *answer, u64 *exitinfo2)
{
    static const u8 zeros[SNP_TSC_INFO_REQ_SIZE];
    return guest_ask(channel, carrier, SNP_MSG_TSC_INFO_REQ, 1, zeros, sizeof zeros, answer,
                     sizeof *answer, exitinfo2);
}
