/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest messages seen from inside a guest: what a kernel does with the VMPCKs of its secrets page. Pure; the carrier
 * of the sealed pages is whoever calls [snp 6]. Also built into the agent that runs inside guests.
 */
#ifndef SOFTSEV_GUEST_GUEST_H
#define SOFTSEV_GUEST_GUEST_H

#include "abi/snp.h"
#include "crypto/crypto.h"

/* One VMPCK and its counter. A guest that loses count loses the key [snp 6.1]. */
struct guest_channel {
    u8 vmpck[SNP_VMPCK_SIZE];
    u8 number;  /* which VMPCK: 0 to 3 */
    u64 seqno;  /* of the last answer; 0: none yet */
    bool wiped; /* an answer was not what it must be: the key is given up, as Linux does */
};

/* The channel of VMPCK `number` out of the secrets page; false: the page has no such key (all zero). */
bool guest_channel_open(const struct snp_secrets_page *secrets, u32 number,
                        struct guest_channel *out);

/* Seals a request into a page. `payload_size` up to SNP_MSG_PAYLOAD_MAX. */
void guest_message_seal(const struct guest_channel *channel, enum snp_msg_type type, u8 version,
                        const void *payload, size_t payload_size, u8 page[PAGE_SIZE]);

/* Opens the answer and moves the counter on. Returns the payload's size; -1: the answer is not one to this request,
 * and the channel is wiped. `payload` has SNP_MSG_PAYLOAD_MAX bytes. */
s32 guest_message_open(struct guest_channel *channel, enum snp_msg_type request_type, u8 version,
                       const u8 page[PAGE_SIZE], void *payload);

#endif
