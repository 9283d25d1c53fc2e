/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile answers and certificate tables, as a guest reads them. The first byte says what the rest
 * is: 0 a page as it comes, 1 the authenticated header and a payload that are sealed with the right
 * key, 2 a certificate table.
 */
#include "crypto/crypto.h"
#include "guest/guest.h"

#include "base/bytes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static const u8 vmpck[SNP_VMPCK_SIZE] = {1, 2, 3};

static void seal(u8 page[PAGE_SIZE], struct reader *r)
{
    struct snp_msg_header h = {.seqno = read_u8(r)};
    u8 iv[12];
    read_bytes(r, (u8 *)&h + SNP_MSG_AAD_OFFSET, SNP_MSG_AAD_SIZE);
    size_t size = min_u64(h.size, SNP_MSG_PAYLOAD_MAX);
    read_bytes(r, page + sizeof h, size);
    snp_msg_iv(h.seqno, iv);
    crypto_aes256_gcm_seal(vmpck, iv, (u8 *)&h + SNP_MSG_AAD_OFFSET, SNP_MSG_AAD_SIZE,
                           page + sizeof h, page + sizeof h, size, h.tag);
    memcpy(page, &h, sizeof h);
}

static void open_page(const u8 page[PAGE_SIZE], bool sealed)
{
    struct guest_channel c = {.number = 0};
    u8 payload[SNP_MSG_PAYLOAD_MAX];
    memcpy(c.vmpck, vmpck, sizeof vmpck);
    s32 size = guest_message_open(&c, SNP_MSG_REPORT_REQ, 1, page, payload);
    if (size > (s32)SNP_MSG_PAYLOAD_MAX || (size < 0) != c.wiped || (size >= 0 && !sealed) ||
        (size >= 0 && c.seqno != 2))
        abort();
}

static void read_table(const u8 *table, size_t size)
{
    struct guest_certificate out[GUEST_CERTIFICATES_MAX];
    s32 count = guest_certificates_read(table, size, out);
    for (s32 i = 0; i < count; i++) {
        const u8 *first = out[i].data;
        if (!range_fits((u64)(first - table), out[i].size, size))
            abort();
        u8 sum = 0;
        for (size_t k = 0; k < out[i].size; k++)
            sum ^= first[k];
        if (sum && !out[i].size)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct reader r = reader_of(data, size);
    u8 page[PAGE_SIZE] = {0};
    switch (read_u8(&r)) {
    case 0:
        read_bytes(&r, page, min_u64(sizeof page, reader_left(&r)));
        open_page(page, false);
        break;
    case 1:
        seal(page, &r);
        open_page(page, true);
        break;
    case 2:
        read_table(size ? data + 1 : data, reader_left(&r));
        break;
    default:
        break;
    }
    return 0;
}
