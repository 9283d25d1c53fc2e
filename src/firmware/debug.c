/* SPDX-License-Identifier: Apache-2.0 */
/* DBG_DECRYPT, DBG_ENCRYPT and COPY: move memory between a guest's key and another view [sev
 * 5.4]. */
#include "firmware/internal.h"

#include <inttypes.h>

struct move {
    u64 from, to; /* addresses without the C-bit */
    memory_key from_key, to_key;
    u64 len;
};

/* Moves the bytes in blocks, starting at the end if the ranges overlap that way. */
static void move_bytes(struct firmware *fw, const struct move *m)
{
    u8 piece[PAGE_SIZE];
    bool backwards = m->to > m->from;
    for (u64 done = 0; done < m->len;) {
        size_t n = (size_t)min_u64(sizeof piece, m->len - done);
        u64 at = backwards ? m->len - done - n : done;
        memory_read(fw->memory, m->from + at, m->from_key, piece, n);
        memory_write(fw->memory, m->to + at, m->to_key, piece, n);
        done += n;
    }
    crypto_wipe(piece, sizeof piece);
}

static enum sev_status check_blocks(struct call *c, u32 len)
{
    if (len && len % 16 == 0)
        return SEV_STATUS_SUCCESS;
    return refuse(c, SEV_STATUS_INVALID_LENGTH, "the length is %u, not a positive multiple of 16",
                  len);
}

static enum sev_status move_range(struct call *c, u64 src, u64 dst, const struct move *move)
{
    note(c, " src=0x%" PRIx64 " dst=0x%" PRIx64 " size=0x%" PRIx64, move->from, move->to,
         move->len);
    enum sev_status status = check_range(c, "source", src, move->len, 16);
    if (status == SEV_STATUS_SUCCESS)
        status = check_output(c, "destination", dst, move->len, 16);
    if (status == SEV_STATUS_SUCCESS)
        move_bytes(c->fw, move);
    return status;
}

enum sev_status debug_lengths(struct call *c)
{
    return check_blocks(c, c->in.debug.len);
}

static enum sev_status debug_move(struct call *c, memory_key from, memory_key to)
{
    const struct sev_debug *in = &c->in.debug;
    struct move move = {
        .from = real_address(c->fw, in->src_paddr),
        .to = real_address(c->fw, in->dst_paddr),
        .from_key = from,
        .to_key = to,
        .len = in->len,
    };
    return move_range(c, in->src_paddr, in->dst_paddr, &move);
}

enum sev_status dbg_decrypt(struct call *c)
{
    return debug_move(c, guest_key(c->guest), KEY_RAW);
}

enum sev_status dbg_encrypt(struct call *c)
{
    return debug_move(c, KEY_RAW, guest_key(c->guest));
}

enum sev_status copy_lengths(struct call *c)
{
    return check_blocks(c, c->in.copy.len);
}

enum sev_status copy(struct call *c)
{
    const struct sev_copy *in = &c->in.copy;
    struct move move = {
        .from = real_address(c->fw, in->src_paddr),
        .to = real_address(c->fw, in->dst_paddr),
        .from_key = guest_key(c->guest),
        .to_key = guest_key(c->guest),
        .len = in->len,
    };
    return move_range(c, in->src_paddr, in->dst_paddr, &move);
}
