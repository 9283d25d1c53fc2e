/* SPDX-License-Identifier: Apache-2.0 */
/* Converts a processor's registers between the core's form and GDB's. */
#include "cli/run/gdb_session.h"

#include "base/bytes.h"

/* The encodings of GDB's general registers: RAX RBX RCX RDX RSI RDI RBP RSP R8 ... */
static const u8 order[16] = {0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15};

enum { FCTRL, FSTAT, FTAG, FISEG, FIOFF, FOSEG, FOOFF, FOP };

#define TAG_EMPTY 3u

/* Returns the x87 tag word. FXSAVE has one tag bit for each physical register; GDB wants two. */
static u32 tags_to(u8 valid)
{
    u32 tags = 0;
    for (u32 i = 0; i < 8; i++)
        tags |= (valid >> i & 1u ? 0 : TAG_EMPTY) << 2 * i;
    return tags;
}

static u8 tags_from(u32 tags)
{
    u8 valid = 0;
    for (u32 i = 0; i < 8; i++)
        valid |= (u8)(((tags >> 2 * i & 3u) != TAG_EMPTY) << i);
    return valid;
}

static void fx_to(const u8 *fx, struct gdb_registers *out)
{
    for (u32 i = 0; i < 8; i++)
        memcpy(out->st[i], fx + 32 + 16 * i, sizeof out->st[i]);
    out->x87[FCTRL] = load_le16(fx);
    out->x87[FSTAT] = load_le16(fx + 2);
    out->x87[FTAG] = tags_to(fx[4]);
    out->x87[FOP] = load_le16(fx + 6);
    out->x87[FIOFF] = load_le32(fx + 8);
    out->x87[FISEG] = load_le16(fx + 12);
    out->x87[FOOFF] = load_le32(fx + 16);
    out->x87[FOSEG] = load_le16(fx + 20);
    out->mxcsr = load_le32(fx + 24);
    memcpy(out->xmm, fx + 160, sizeof out->xmm);
}

static void fx_from(const struct gdb_registers *in, u8 *fx)
{
    for (u32 i = 0; i < 8; i++)
        memcpy(fx + 32 + 16 * i, in->st[i], sizeof in->st[i]);
    store_le16(fx, (u16)in->x87[FCTRL]);
    store_le16(fx + 2, (u16)in->x87[FSTAT]);
    fx[4] = tags_from(in->x87[FTAG]);
    store_le16(fx + 6, (u16)in->x87[FOP]);
    store_le32(fx + 8, in->x87[FIOFF]);
    store_le16(fx + 12, (u16)in->x87[FISEG]);
    store_le32(fx + 16, in->x87[FOOFF]);
    store_le16(fx + 20, (u16)in->x87[FOSEG]);
    store_le32(fx + 24, in->mxcsr);
    memcpy(fx + 160, in->xmm, sizeof in->xmm);
}

static void system_to(const struct vmcb_save *s, u64 *out)
{
    out[GDB_K_GS_BASE] = s->kernel_gs_base;
    out[GDB_CR0] = s->cr0;
    out[GDB_CR2] = s->cr2;
    out[GDB_CR3] = s->cr3;
    out[GDB_CR4] = s->cr4;
    out[GDB_EFER] = s->efer;
    out[GDB_GDT_BASE] = s->gdtr.base;
    out[GDB_GDT_LIMIT] = s->gdtr.limit;
    out[GDB_IDT_BASE] = s->idtr.base;
    out[GDB_IDT_LIMIT] = s->idtr.limit;
    out[GDB_TR_BASE] = s->tr.base;
    out[GDB_CPL] = s->cpl;
    out[GDB_STAR] = s->star;
    out[GDB_LSTAR] = s->lstar;
    out[GDB_CSTAR] = s->cstar;
    out[GDB_SFMASK] = s->sfmask;
    out[GDB_PAT] = s->g_pat;
}

void gdb_registers_to(const struct debug_registers *in, struct gdb_registers *out)
{
    const struct vmcb_save *s = &in->save;
    const u32 selectors[6] = {s->cs.selector, s->ss.selector, s->ds.selector,
                              s->es.selector, s->fs.selector, s->gs.selector};
    memset(out, 0, sizeof *out);
    for (u32 i = 0; i < 16; i++)
        out->gpr[i] = in->gpr[order[i]];
    out->rip = s->rip;
    out->eflags = (u32)s->rflags;
    memcpy(out->segment, selectors, sizeof selectors);
    fx_to(in->fx, out);
    out->segment_base[0] = s->fs.base;
    out->segment_base[1] = s->gs.base;
    system_to(s, out->system);
    out->system[GDB_CR8] = in->cr8;
}

bool gdb_registers_from(const struct gdb_registers *in, struct debug_registers *inout)
{
    struct gdb_registers now;
    gdb_registers_to(inout, &now);
    if (memcmp(now.segment, in->segment, sizeof now.segment) ||
        memcmp(now.system, in->system, sizeof now.system))
        return false;
    for (u32 i = 0; i < 16; i++)
        inout->gpr[order[i]] = in->gpr[i];
    inout->save.rip = in->rip;
    inout->save.rflags = in->eflags;
    inout->save.fs.base = in->segment_base[0];
    inout->save.gs.base = in->segment_base[1];
    fx_from(in, inout->fx);
    return true;
}
