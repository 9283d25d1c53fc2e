/* SPDX-License-Identifier: Apache-2.0 */
/* Measurement and packets: TIK authenticates them, TEK encrypts them [sev 7.5 to 7.7]. */
#include "protocol/internal.h"

#include "base/bytes.h"

#define MEASURE_CONTEXT 4

void measurement_compute(const struct measurement *m, const u8 tik[16], u8 measure[32])
{
    u8 message[56];
    struct writer w = writer_of(message, sizeof message);
    write_u8(&w, MEASURE_CONTEXT);
    write_u8(&w, m->api_major);
    write_u8(&w, m->api_minor);
    write_u8(&w, m->build);
    write_u32(&w, m->policy);
    write_bytes(&w, m->digest, sizeof m->digest);
    write_bytes(&w, m->mnonce, sizeof m->mnonce);
    crypto_hmac_sha256(tik, 16, message, sizeof message, measure);
}

/* Computes an HMAC with TIK over context, header, lengths, data and a secret's measurement. It
 * takes the parts separately, so that long data need not be copied. */
static void packet_mac(const struct session_keys *keys, const struct packet_binding *b,
                       const struct sev_packet_header *header, const void *data, size_t size,
                       u8 mac[32])
{
    u8 front[1 + 4 + 16 + 4 + 4];
    struct writer w = writer_of(front, sizeof front);
    write_u8(&w, (u8)b->kind);
    write_u32(&w, header->flags);
    write_bytes(&w, header->iv, sizeof header->iv);
    write_u32(&w, b->guest_length);
    write_u32(&w, b->trans_length);
    const struct crypto_piece pieces[] = {
        {front, sizeof front},
        {data, size},
        {b->measure, b->measure ? 32 : 0},
    };
    crypto_hmac_sha256_pieces(keys->tik, 16, pieces, ARRAY_SIZE(pieces), mac);
}

void packet_seal(const struct session_keys *keys, const struct packet_binding *binding,
                 const u8 iv[16], const void *plain, void *data, size_t size,
                 struct sev_packet_header *header)
{
    memset(header, 0, sizeof *header);
    memcpy(header->iv, iv, sizeof header->iv);
    crypto_aes128_ctr(keys->tek, iv, plain, data, size);
    packet_mac(keys, binding, header, data, size, header->mac);
}

bool packet_open(const struct session_keys *keys, const struct packet_binding *binding,
                 const struct sev_packet_header *header, const void *data, void *plain, size_t size)
{
    u8 mac[32];
    packet_mac(keys, binding, header, data, size, mac);
    if (!crypto_equal(mac, header->mac, sizeof mac))
        return false;
    crypto_aes128_ctr(keys->tek, header->iv, data, plain, size);
    return true;
}
