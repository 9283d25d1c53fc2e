/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FXSAVE, FXRSTOR [APM2 11.4.4] and MXCSR. The offsets of the image are in x87.h; the rest of the
 * 512 bytes is left alone.
 */
#include "cpu/exec/sse.h"
#include "cpu/exec/x87.h"

/* Stores the pointers as AMD processors do: only while an exception is pending, else zeros. */
static void pointers_pack(const struct x87 *x, u8 *image, bool wide)
{
    if (!(x->status & X87_ES))
        return;
    store_le16(image + 6, x->opcode);
    store_le64(image + 8, wide ? x->ip : (u32)x->ip | (u64)x->ip_selector << 32);
    store_le64(image + 16, wide ? x->dp : (u32)x->dp | (u64)x->dp_selector << 32);
}

void fxsave_pack(const struct cpu *c, u8 image[512], bool wide)
{
    const struct x87 *x = &c->arch.x87;
    memset(image, 0, FXSAVE_END);
    store_le16(image, x->control);
    store_le16(image + 2, x87_status(x));
    for (u32 i = 0; i < 8; i++) {
        if ((x->tag >> (2 * i) & 3u) != X87_EMPTY)
            image[4] |= (u8)(1u << i);
        memcpy(image + FXSAVE_ST + 16 * i, &x->st[(x->top + i) & 7], 10);
    }
    pointers_pack(x, image, wide);
    store_le32(image + FXSAVE_MXCSR, mxcsr_get(c));
    store_le32(image + FXSAVE_MXCSR + 4, MXCSR_VALID);
    xmm_store(&c->arch, image + FXSAVE_XMM, XMM_REGISTERS);
}

void fxsave_unpack_x87(struct x87 *x, const u8 image[512], bool wide)
{
    x87_status_put(x, load_le16(image + 2));
    x->control = (load_le16(image) & 0x1f3f) | 0x40;
    x87_update_pending(x);
    x->tag = 0;
    for (u32 i = 0; i < 8; i++) {
        if (!(image[4] >> i & 1))
            x->tag |= (u16)(X87_EMPTY << (2 * i));
        memcpy(x87_st(x, i), image + FXSAVE_ST + 16 * i, 10);
    }
    u64 ip = load_le64(image + 8), dp = load_le64(image + 16);
    x->opcode = load_le16(image + 6) & 0x7ff;
    x->ip = wide ? canonical_of(ip) : (u32)ip;
    x->dp = wide ? canonical_of(dp) : (u32)dp;
    x->ip_selector = wide ? 0 : (u16)(ip >> 32);
    x->dp_selector = wide ? 0 : (u16)(dp >> 32);
}

bool fxsave_unpack(struct cpu *c, const u8 image[512], bool wide)
{
    u32 mxcsr = load_le32(image + FXSAVE_MXCSR);
    if (mxcsr & ~MXCSR_VALID)
        return false;
    bool live = mxcsr_suspend(c);
    c->arch.mxcsr = mxcsr;
    mxcsr_resume(c, live);
    fxsave_unpack_x87(&c->arch.x87, image, wide);
    xmm_load(&c->arch, image + FXSAVE_XMM, XMM_REGISTERS);
    return true;
}

/* --- The instructions ------------------------------------------------------------------------- */

/* Returns how many bytes of the image are transferred: eight XMM registers outside 64-bit mode,
 * none in the fast form [APM2 11.4.4.3]. */
static u32 transfer_size(const struct cpu *c)
{
    if ((c->arch.efer & EFER_FFXSR) && c->arch.cpl == 0 && (c->engine.mode & MODE_CODE64))
        return FXSAVE_XMM;
    return c->engine.mode & MODE_CODE64 ? FXSAVE_END : FXSAVE_XMM + 8 * 16;
}

static u64 image_address(struct cpu *c, const struct insn *in, bool write)
{
    u64 linear = operand_address(c, in, 512, write);
    if (linear & 15)
        cpu_raise_gp(c, 0);
    return linear;
}

void exec_fxsave(struct cpu *c, const struct insn *in)
{
    u8 image[512];
    u64 linear = image_address(c, in, true);
    fxsave_pack(c, image, rex_w(in));
    probe_write(c, linear, 512);
    store_bytes(c, linear, image, transfer_size(c));
}

void exec_fxrstor(struct cpu *c, const struct insn *in)
{
    u8 image[512];
    load_bytes(c, image_address(c, in, false), image, 512);
    u8 now[FXSAVE_END - FXSAVE_XMM];
    u32 size = transfer_size(c);
    xmm_store(&c->arch, now, XMM_REGISTERS);
    memcpy(image + size, now + (size - FXSAVE_XMM), FXSAVE_END - size);
    if (!fxsave_unpack(c, image, rex_w(in)))
        cpu_raise_gp(c, 0);
}

void exec_ldmxcsr(struct cpu *c, const struct insn *in)
{
    u32 v = (u32)load(c, operand_address(c, in, 4, false), 4);
    if (v & ~MXCSR_VALID)
        cpu_raise_gp(c, 0);
    bool live = mxcsr_suspend(c);
    c->arch.mxcsr = v;
    mxcsr_resume(c, live);
}

void exec_stmxcsr(struct cpu *c, const struct insn *in)
{
    store(c, operand_address(c, in, 4, true), 4, mxcsr_get(c));
}
