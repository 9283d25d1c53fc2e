/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-1 and SHA-256 [APM4, FIPS 180-4]. A vector has four words; of SHA-1's, the highest is the
 * first. SHA-256's state is in two vectors: A B E F and C D G H, from the highest word on.
 */
#include "cpu/exec/sse_shuffle.h"

static u32 left(u32 v, u32 n)
{
    return v << n | v >> (32 - n);
}

static u32 right(u32 v, u32 n)
{
    return v >> n | v << (32 - n);
}

/* --- SHA-1 ------------------------------------------------------------------------------------ */

static u32 sha1_function(u32 which, u32 b, u32 c, u32 d)
{
    switch (which) {
    case 0:
        return (b & c) ^ (~b & d);
    case 2:
        return (b & c) ^ (b & d) ^ (c & d);
    default:
        return b ^ c ^ d;
    }
}

/* Four rounds. a: A B C D; b: the words of the message, E is added to the first already. */
static union xmm sha1rnds4(union xmm a, union xmm b, u32 imm)
{
    static const u32 constant[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    u32 which = imm & 3, e = 0;
    for (u32 i = 0; i < 4; i++) {
        u32 word = b.d[3 - i];
        u32 next = sha1_function(which, a.d[2], a.d[1], a.d[0]) + left(a.d[3], 5) + word + e +
                   constant[which];
        e = a.d[0];
        a = (union xmm){.d = {a.d[1], left(a.d[2], 30), a.d[3], next}};
    }
    return a;
}

/* The E of four rounds later, added to the first word. */
static union xmm sha1nexte(union xmm a, union xmm b, u32 imm)
{
    (void)imm;
    b.d[3] += left(a.d[3], 30);
    return b;
}

static union xmm sha1msg1(union xmm a, union xmm b, u32 imm)
{
    (void)imm;
    return (union xmm){.d = {a.d[0] ^ b.d[2], a.d[1] ^ b.d[3], a.d[2] ^ a.d[0], a.d[3] ^ a.d[1]}};
}

static union xmm sha1msg2(union xmm a, union xmm b, u32 imm)
{
    (void)imm;
    u32 w16 = left(a.d[3] ^ b.d[2], 1), w17 = left(a.d[2] ^ b.d[1], 1);
    u32 w18 = left(a.d[1] ^ b.d[0], 1), w19 = left(a.d[0] ^ w16, 1);
    return (union xmm){.d = {w19, w18, w17, w16}};
}

/* --- SHA-256 ---------------------------------------------------------------------------------- */

/* Two rounds. a: C D G H, b: A B E F; the words and their constants are in XMM0. */
static union xmm sha256rnds2(union xmm cdgh, union xmm abef, union xmm words)
{
    u32 a = abef.d[3], b = abef.d[2], e = abef.d[1], f = abef.d[0];
    u32 c = cdgh.d[3], d = cdgh.d[2], g = cdgh.d[1], h = cdgh.d[0];
    for (u32 i = 0; i < 2; i++) {
        u32 t1 =
            h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + words.d[i];
        u32 t2 = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    return (union xmm){.d = {f, e, b, a}};
}

static union xmm sha256msg1(union xmm a, union xmm b, u32 imm)
{
    union xmm r;
    (void)imm;
    for (u32 i = 0; i < 4; i++) {
        u32 next = i < 3 ? a.d[i + 1] : b.d[0];
        r.d[i] = a.d[i] + (right(next, 7) ^ right(next, 18) ^ next >> 3);
    }
    return r;
}

static u32 sigma1(u32 v)
{
    return right(v, 17) ^ right(v, 19) ^ v >> 10;
}

static union xmm sha256msg2(union xmm a, union xmm b, u32 imm)
{
    union xmm r;
    (void)imm;
    for (u32 i = 0; i < 4; i++)
        r.d[i] = a.d[i] + sigma1(i < 2 ? b.d[i + 2] : r.d[i - 2]);
    return r;
}

/* --- The instructions ------------------------------------------------------------------------- */

static void run(struct cpu *c, const struct insn *in, imm_fn *leaf)
{
    union xmm b = read_xmm(c, in, 1, 16);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    *d = leaf(*d, b, (u8)in->imm);
}

// clang-format off
#define SHA(name) void exec_##name(struct cpu *c, const struct insn *in) { run(c, in, name); }
SHA(sha1rnds4) SHA(sha1nexte) SHA(sha1msg1) SHA(sha1msg2) SHA(sha256msg1) SHA(sha256msg2)
    // clang-format on

    void exec_sha256rnds2(struct cpu *c, const struct insn *in)
{
    union xmm b = read_xmm(c, in, 1, 16);
    union xmm *d = &c->arch.vector[in->o[0].reg].xmm;
    *d = sha256rnds2(*d, b, c->arch.vector[0].xmm);
}
