/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FXSAVE, FXRSTOR [APM2 11.4.4] and MXCSR. Offsets: 0 control, 2 status, 4 abridged tags, 6 opcode,
 * 8 IP, 16 DP, 24 MXCSR, 28 its mask, 32 ST(0)..ST(7) and 160 XMM, 16 bytes each. The rest of the
 * 512 bytes is left alone.
 */
#include "cpu/exec/sse.h"
#include "cpu/exec/x87.h"

#define OFFSET_MXCSR 24
#define OFFSET_ST    32
#define OFFSET_XMM   160
#define OFFSET_END   416

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
    memset(image, 0, OFFSET_END);
    store_le16(image, x->control);
    store_le16(image + 2, x87_status(x));
    for (u32 i = 0; i < 8; i++) {
        if ((x->tag >> (2 * i) & 3u) != X87_EMPTY)
            image[4] |= (u8)(1u << i);
        memcpy(image + OFFSET_ST + 16 * i, &x->st[(x->top + i) & 7], 10);
    }
    pointers_pack(x, image, wide);
    store_le32(image + OFFSET_MXCSR, mxcsr_get(c));
    store_le32(image + OFFSET_MXCSR + 4, MXCSR_VALID);
    xmm_store(&c->arch, image + OFFSET_XMM, XMM_REGISTERS);
}

static void x87_unpack(struct x87 *x, const u8 *image, bool wide)
{
    x87_status_put(x, load_le16(image + 2));
    x->control = (load_le16(image) & 0x1f3f) | 0x40;
    x87_update_pending(x);
    x->tag = 0;
    for (u32 i = 0; i < 8; i++) {
        if (!(image[4] >> i & 1))
            x->tag |= (u16)(X87_EMPTY << (2 * i));
        memcpy(x87_st(x, i), image + OFFSET_ST + 16 * i, 10);
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
    u32 mxcsr = load_le32(image + OFFSET_MXCSR);
    if (mxcsr & ~MXCSR_VALID)
        return false;
    bool live = mxcsr_suspend(c);
    c->arch.mxcsr = mxcsr;
    mxcsr_resume(c, live);
    x87_unpack(&c->arch.x87, image, wide);
    xmm_load(&c->arch, image + OFFSET_XMM, XMM_REGISTERS);
    return true;
}

/* --- The host's side -------------------------------------------------------------------------- */

static bool image_fits(u64 components, size_t size)
{
    return !(components & ~(XSTATE_X87 | XSTATE_SSE)) && size >= XSTATE_LEGACY_SIZE;
}

/* Copies those of the first 512 bytes that belong to the components. */
static void copy_components(u8 *to, const u8 *from, u64 components)
{
    if (components & XSTATE_X87) {
        memcpy(to, from, OFFSET_MXCSR);
        memcpy(to + OFFSET_ST, from + OFFSET_ST, OFFSET_XMM - OFFSET_ST);
    }
    if (components & XSTATE_SSE) {
        memcpy(to + OFFSET_MXCSR, from + OFFSET_MXCSR, OFFSET_ST - OFFSET_MXCSR);
        memcpy(to + OFFSET_XMM, from + OFFSET_XMM, OFFSET_END - OFFSET_XMM);
    }
}

bool cpu_xsave(const struct cpu *c, u64 components, void *image, size_t size)
{
    u8 all[XSTATE_LEGACY_SIZE];
    if (!image_fits(components, size))
        return false;
    fxsave_pack(c, all, true);
    memset(image, 0, XSTATE_LEGACY_SIZE);
    copy_components(image, all, components);
    return true;
}

/* Drops the bits of MXCSR that do not exist, since no #GP can be raised here. */
bool cpu_xrstor(struct cpu *c, u64 components, const void *image, size_t size)
{
    u8 all[XSTATE_LEGACY_SIZE];
    if (!image_fits(components, size))
        return false;
    fxsave_pack(c, all, true);
    copy_components(all, image, components);
    store_le32(all + OFFSET_MXCSR, load_le32(all + OFFSET_MXCSR) & MXCSR_VALID);
    return fxsave_unpack(c, all, true);
}

/* --- The instructions ------------------------------------------------------------------------- */

/* Returns how many bytes of the image are transferred: eight XMM registers outside 64-bit mode,
 * none in the fast form [APM2 11.4.4.3]. */
static u32 transfer_size(const struct cpu *c)
{
    if ((c->arch.efer & EFER_FFXSR) && c->arch.cpl == 0 && (c->engine.mode & MODE_CODE64))
        return OFFSET_XMM;
    return c->engine.mode & MODE_CODE64 ? OFFSET_END : OFFSET_XMM + 8 * 16;
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
    u8 now[OFFSET_END - OFFSET_XMM];
    u32 size = transfer_size(c);
    xmm_store(&c->arch, now, XMM_REGISTERS);
    memcpy(image + size, now + (size - OFFSET_XMM), OFFSET_END - size);
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
