/* SPDX-License-Identifier: Apache-2.0 */
/* The sealed envelope of guest messages, and the channel it goes through [snp 6.1]. */
#include "guest/guest.h"

#include "crypto/crypto.h"

struct page_message {
    struct snp_msg_header header;
    u8 payload[SNP_MSG_PAYLOAD_MAX];
};
_Static_assert(sizeof(struct page_message) == PAGE_SIZE, "a message fills its page");

static const u8 *authenticated(const struct snp_msg_header *h)
{
    return (const u8 *)h + SNP_MSG_AAD_OFFSET;
}

/* --- The channel ------------------------------------------------------------------------------ */

/* Where the guest keeps the low halves of its counters in the secrets page [snp 5.5]. */
static u8 *stored_seqno(struct snp_secrets_page *secrets, u32 number)
{
    return secrets->guest_area_0a0 + number * sizeof(u32);
}

bool guest_channel_open(const struct snp_secrets_page *secrets, u32 number,
                        struct guest_channel *out)
{
    static const u8 none[SNP_VMPCK_SIZE];
    struct snp_secrets_page copy;
    if (number >= SNP_VMPCKS || !memcmp(secrets->vmpck[number], none, sizeof none))
        return false;
    memcpy(&copy, secrets, sizeof copy);
    *out = (struct guest_channel){.number = (u8)number,
                                  .seqno = load_le32(stored_seqno(&copy, number))};
    memcpy(out->vmpck, copy.vmpck[number], sizeof out->vmpck);
    crypto_wipe(&copy, sizeof copy);
    return true;
}

void guest_channel_store(const struct guest_channel *channel, struct snp_secrets_page *secrets)
{
    store_le32(stored_seqno(secrets, channel->number), (u32)channel->seqno);
    if (channel->wiped)
        crypto_wipe(secrets->vmpck[channel->number], SNP_VMPCK_SIZE);
}

void guest_channel_wipe(struct guest_channel *channel)
{
    crypto_wipe(channel->vmpck, sizeof channel->vmpck);
    channel->wiped = true;
}

void guest_wipe(void *secret, size_t size)
{
    crypto_wipe(secret, size);
}

/* --- The envelope ----------------------------------------------------------------------------- */

void guest_message_seal(const struct guest_channel *channel, enum snp_msg_type type, u8 version,
                        const void *payload, size_t payload_size, u8 page[PAGE_SIZE])
{
    struct page_message m = {.header = {
                                 .seqno = channel->seqno + 1,
                                 .algo = SNP_MSG_ALGO_AES_256_GCM,
                                 .header_version = SNP_MSG_HEADER_VERSION,
                                 .header_size = SNP_MSG_HEADER_SIZE,
                                 .type = (u8)type,
                                 .version = version,
                                 .size = (u16)payload_size,
                                 .vmpck = channel->number,
                             }};
    u8 iv[12];
    snp_msg_iv(m.header.seqno, iv);
    crypto_aes256_gcm_seal(channel->vmpck, iv, authenticated(&m.header), SNP_MSG_AAD_SIZE, payload,
                           m.payload, payload_size, m.header.tag);
    memcpy(page, &m, sizeof m);
}

/* Reserved bytes are not looked at: genuine answers do not always have zeros there [snp 6.1]. */
static bool answers(const struct guest_channel *channel, enum snp_msg_type request_type, u8 version,
                    const struct snp_msg_header *h)
{
    return h->seqno == channel->seqno + 2 && h->algo == SNP_MSG_ALGO_AES_256_GCM &&
           h->header_version == SNP_MSG_HEADER_VERSION && h->header_size == SNP_MSG_HEADER_SIZE &&
           h->type == (u8)request_type + 1 && h->version == version &&
           h->vmpck == channel->number && h->size <= SNP_MSG_PAYLOAD_MAX;
}

s32 guest_message_open(struct guest_channel *channel, enum snp_msg_type request_type, u8 version,
                       const u8 page[PAGE_SIZE], void *payload)
{
    struct page_message m;
    u8 iv[12];
    memcpy(&m, page, sizeof m); /* once: the host may change the page while it is read */
    snp_msg_iv(m.header.seqno, iv);
    if (channel->wiped || !answers(channel, request_type, version, &m.header) ||
        !crypto_aes256_gcm_open(channel->vmpck, iv, authenticated(&m.header), SNP_MSG_AAD_SIZE,
                                m.payload, payload, m.header.size, m.header.tag)) {
        guest_channel_wipe(channel);
        return -1;
    }
    channel->seqno += 2;
    return m.header.size;
}
