/* SPDX-License-Identifier: Apache-2.0 */
/* A packet from outside: header, GUEST_LENGTH, TRANS_LENGTH, data;
 * opened as each kind under known keys. */
#include "base/bytes.h"
#include "protocol/protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define PACKET_MAX KIB(16)

static void open_as(enum packet_kind kind, const struct sev_packet_header *header, u32 guest_length,
                    u32 trans_length, const u8 *data, size_t size)
{
    static const struct session_keys keys = {.tek = "sixteen byte TEK", .tik = "sixteen byte TIK"};
    static const u8 measure[32] = "thirty-two bytes of measurement";
    static u8 plain[PACKET_MAX], sealed[PACKET_MAX];
    struct packet_binding b = {kind, guest_length, trans_length,
                               kind == PACKET_SECRET ? measure : NULL};
    struct sev_packet_header again;
    if (!packet_open(&keys, &b, header, data, plain, size))
        return;
    packet_seal(&keys, &b, header->iv, plain, sealed, size, &again);
    if (memcmp(sealed, data, size) || (!header->flags && memcmp(&again, header, sizeof again)))
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct sev_packet_header header;
    struct reader r = reader_of(data, size);
    read_bytes(&r, &header, sizeof header);
    u32 guest_length = read_u32(&r), trans_length = read_u32(&r);
    size_t left = reader_left(&r);
    if (r.bad || left > PACKET_MAX)
        return 0;
    for (u32 kind = PACKET_SECRET; kind <= PACKET_VMSA; kind++)
        open_as((enum packet_kind)kind, &header, guest_length, trans_length, data + r.at, left);
    return 0;
}
