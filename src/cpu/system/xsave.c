/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XSAVE and its family [APM2 11.5, APM4 XSAVE]: the image is FXSAVE's 512 bytes, a header of 64,
 * then one area for each further component. In the standard form every component has its own
 * offset; in the compacted form those of XCOMP_BV follow each other. A component is in use if it
 * differs from its initial state.
 */
#include "cpu/exec/sse.h"
#include "cpu/exec/x87.h"
#include "cpu/system/xsave.h"

#define HEADER_XSTATE_BV XSTATE_LEGACY_SIZE
#define HEADER_XCOMP_BV  (XSTATE_LEGACY_SIZE + 8)
#define EXTENDED_BEGIN   (XSTATE_LEGACY_SIZE + XSTATE_HEADER_SIZE)
#define COMPACTED        BIT(63)

/* --- The components --------------------------------------------------------------------------- */

static bool zero(const void *bytes, u32 size)
{
    const u8 *b = bytes;
    for (u32 i = 0; i < size; i++)
        if (b[i])
            return false;
    return true;
}

static void avx_store(const struct cpu *c, u8 *to)
{
    for (u32 i = 0; i < XMM_REGISTERS; i++)
        memcpy(to + 16 * i, &c->arch.vector[i].lane[1], 16);
}

static void avx_load(struct cpu *c, const u8 *from)
{
    for (u32 i = 0; i < XMM_REGISTERS; i++)
        memcpy(&c->arch.vector[i].lane[1], from + 16 * i, 16);
}

static void pkru_store(const struct cpu *c, u8 *to)
{
    store_le64(to, c->arch.pkru);
}

static void pkru_load(struct cpu *c, const u8 *from)
{
    pkru_write(c, load_le32(from));
}

/* Those after the header, in the order of their bits. `size_32`: what exists outside 64-bit mode,
 * where there are eight YMM registers. */
static const struct component {
    u64 bit;
    u32 offset, size, size_32;
    void (*store)(const struct cpu *c, u8 *to);
    void (*load)(struct cpu *c, const u8 *from);
} components[] = {
    {XSTATE_AVX, XSTATE_AVX_OFFSET, XSTATE_AVX_SIZE, XSTATE_AVX_SIZE / 2, avx_store, avx_load},
    {XSTATE_PKRU, XSTATE_PKRU_OFFSET, XSTATE_PKRU_SIZE, XSTATE_PKRU_SIZE, pkru_store, pkru_load},
};
#define COMPONENT_SIZE_MAX XSTATE_AVX_SIZE

/* Returns where a component lies in an image whose XCOMP_BV is `layout`; in the standard form that
 * is without COMPACTED. */
static u32 component_offset(const struct component *k, u64 layout)
{
    u32 at = EXTENDED_BEGIN;
    if (!(layout & COMPACTED))
        return k->offset;
    for (const struct component *before = components; before < k; before++)
        if (layout & before->bit)
            at += before->size;
    return at;
}

/* Returns the bytes of an image with these components. */
static u32 image_size(u64 layout)
{
    u32 size = EXTENDED_BEGIN;
    for (u32 i = 0; i < ARRAY_SIZE(components); i++)
        if (layout & components[i].bit)
            size = component_offset(&components[i], layout) + components[i].size;
    return size;
}

/* Subleaf 0: EAX names the components, EBX is the size of what is enabled, ECX of everything.
 * Subleaf 1: the same of XSS, and the size in the compacted form. Then a subleaf for each
 * component: size, offset. */
void xsave_cpuid(const struct cpu *c, u64 shown, u32 subleaf, u32 out[4])
{
    if (subleaf == 0) {
        out[0] = (u32)shown;
        out[1] = image_size(c->arch.xcr0 & shown);
        out[2] = image_size(shown);
    } else if (subleaf == 1) {
        out[1] = image_size((c->arch.xcr0 & shown) | c->arch.xss | COMPACTED);
        out[2] = (u32)XSS_DEFINED;
    }
    for (u32 i = 0; i < ARRAY_SIZE(components); i++)
        if (subleaf < 64 && components[i].bit & shown & BIT(subleaf)) {
            out[0] = components[i].size;
            out[1] = components[i].offset;
        }
}

static bool x87_in_use(const struct x87 *x)
{
    return x->control != X87_CONTROL_RESET || x87_status(x) || x->tag != 0xffff || x->opcode ||
           x->ip || x->dp || x->ip_selector || x->dp_selector || !zero(x->st, sizeof x->st);
}

/* Returns the components that are not in their initial state. MXCSR counts as SSE's where only the
 * compacted form would lose it. */
static u64 in_use(const struct cpu *c, bool with_mxcsr)
{
    u8 bytes[COMPONENT_SIZE_MAX];
    u64 used = x87_in_use(&c->arch.x87) ? XSTATE_X87 : 0;
    bool sse = with_mxcsr && mxcsr_get(c) != MXCSR_RESET;
    for (u32 i = 0; i < XMM_REGISTERS; i++)
        sse = sse || !zero(&c->arch.vector[i].xmm, sizeof(union xmm));
    used |= sse ? XSTATE_SSE : 0;
    for (u32 i = 0; i < ARRAY_SIZE(components); i++) {
        components[i].store(c, bytes);
        used |= zero(bytes, components[i].size) ? 0 : components[i].bit;
    }
    return used;
}

/* --- The host's side -------------------------------------------------------------------------- */

static bool image_fits(u64 mask, size_t size)
{
    u64 extended = mask & ~(XSTATE_X87 | XSTATE_SSE);
    return !(mask & ~(XCR0_DEFINED | XSS_DEFINED)) &&
           size >= (extended ? image_size(mask) : XSTATE_LEGACY_SIZE);
}

/* Copies those of the first 512 bytes that belong to the components. */
static void copy_legacy(u8 *to, const u8 *from, u64 mask)
{
    if (mask & XSTATE_X87) {
        memcpy(to, from, FXSAVE_MXCSR);
        memcpy(to + FXSAVE_ST, from + FXSAVE_ST, FXSAVE_XMM - FXSAVE_ST);
    }
    if (mask & XSTATE_SSE) {
        memcpy(to + FXSAVE_MXCSR, from + FXSAVE_MXCSR, FXSAVE_ST - FXSAVE_MXCSR);
        memcpy(to + FXSAVE_XMM, from + FXSAVE_XMM, FXSAVE_END - FXSAVE_XMM);
    }
}

bool cpu_xsave(const struct cpu *c, u64 mask, void *image, size_t size)
{
    u8 all[XSTATE_LEGACY_SIZE];
    if (!image_fits(mask, size))
        return false;
    memset(image, 0, size);
    fxsave_pack(c, all, true);
    copy_legacy(image, all, mask);
    if (size >= EXTENDED_BEGIN)
        store_le64((u8 *)image + HEADER_XSTATE_BV, mask);
    for (u32 i = 0; i < ARRAY_SIZE(components); i++)
        if (mask & components[i].bit)
            components[i].store(c, (u8 *)image + components[i].offset);
    return true;
}

/* Ignores the header: the caller wants what it saved. Drops the bits of MXCSR that do not exist,
 * since no #GP can be raised here. */
bool cpu_xrstor(struct cpu *c, u64 mask, const void *image, size_t size)
{
    u8 all[XSTATE_LEGACY_SIZE];
    if (!image_fits(mask, size))
        return false;
    fxsave_pack(c, all, true);
    copy_legacy(all, image, mask);
    store_le32(all + FXSAVE_MXCSR, load_le32(all + FXSAVE_MXCSR) & MXCSR_VALID);
    for (u32 i = 0; i < ARRAY_SIZE(components); i++)
        if (mask & components[i].bit)
            components[i].load(c, (const u8 *)image + components[i].offset);
    return fxsave_unpack(c, all, true);
}

/* --- XCR0 ------------------------------------------------------------------------------------- */

static void require_osxsave(struct cpu *c)
{
    if (!(c->arch.cr4 & CR4_OSXSAVE))
        cpu_raise_ud(c);
}

bool xcr0_valid(u64 value)
{
    return !(value & ~XCR0_DEFINED) && value & XSTATE_X87 &&
           !(value & XSTATE_AVX && !(value & XSTATE_SSE));
}

void exec_xgetbv(struct cpu *c, const struct insn *in)
{
    (void)in;
    require_osxsave(c);
    u32 which = (u32)c->arch.r[RCX];
    if (which > 1)
        cpu_raise_gp(c, 0);
    u64 value = which ? c->arch.xcr0 & in_use(c, false) : c->arch.xcr0;
    c->arch.r[RAX] = (u32)value;
    c->arch.r[RDX] = value >> 32;
}

void exec_xsetbv(struct cpu *c, const struct insn *in)
{
    (void)in;
    require_osxsave(c);
    u64 value = (u64)(u32)c->arch.r[RDX] << 32 | (u32)c->arch.r[RAX];
    if (c->arch.cpl || (u32)c->arch.r[RCX] || !xcr0_valid(value))
        cpu_raise_gp(c, 0);
    intercept(c, EXIT_XSETBV);
    c->arch.xcr0 = value;
    cpu_update_mode(c);
}

/* --- Saving ----------------------------------------------------------------------------------- */

/* Returns the address of the image, after the checks that the six instructions share. */
static u64 image_address(struct cpu *c, const struct insn *in, bool write)
{
    u32 id = in->op->id;
    require_osxsave(c);
    if (c->arch.cr0 & CR0_TS)
        cpu_raise(c, VECTOR_NM, 0);
    if ((id == INSN_xsaves || id == INSN_xrstors) && c->arch.cpl)
        cpu_raise_gp(c, 0);
    u64 linear = operand_address(c, in, EXTENDED_BEGIN, write);
    if (linear & (XSTATE_HEADER_SIZE - 1))
        cpu_raise_gp(c, 0);
    return linear;
}

/* Returns the components that the instruction is asked for and may touch. */
static u64 requested(const struct cpu *c, const struct insn *in)
{
    u32 id = in->op->id;
    bool supervisor = id == INSN_xsaves || id == INSN_xrstors;
    u64 wanted = (u64)(u32)c->arch.r[RDX] << 32 | (u32)c->arch.r[RAX];
    return wanted & (c->arch.xcr0 | (supervisor ? c->arch.xss : 0));
}

static bool long_mode_code(const struct cpu *c)
{
    return c->engine.mode & MODE_CODE64;
}

/* The bytes to store: pieces of a local image, all of them checked before the first is stored. */
struct pieces {
    struct {
        u32 at, size;
    } piece[5 + ARRAY_SIZE(components)];
    u32 count;
};

static void add_piece(struct pieces *p, u32 at, u32 size)
{
    p->piece[p->count].at = at;
    p->piece[p->count++].size = size;
}

static void store_pieces(struct cpu *c, u64 linear, const struct pieces *p, const u8 *image)
{
    for (u32 i = 0; i < p->count; i++)
        probe_write(c, linear + p->piece[i].at, p->piece[i].size);
    for (u32 i = 0; i < p->count; i++)
        store_bytes(c, linear + p->piece[i].at, image + p->piece[i].at, p->piece[i].size);
}

/* Adds the pieces of the components in `saved`. MXCSR also belongs to AVX in the standard form. */
static void pack(const struct cpu *c, const struct insn *in, u64 saved, u64 mxcsr_of, u64 layout,
                 u8 *image, struct pieces *p)
{
    bool mode64 = long_mode_code(c);
    fxsave_pack(c, image, rex_w(in));
    if (saved & XSTATE_X87) {
        add_piece(p, 0, FXSAVE_MXCSR);
        add_piece(p, FXSAVE_ST, FXSAVE_XMM - FXSAVE_ST);
    }
    if (mxcsr_of)
        add_piece(p, FXSAVE_MXCSR, FXSAVE_ST - FXSAVE_MXCSR);
    if (saved & XSTATE_SSE)
        add_piece(p, FXSAVE_XMM, (mode64 ? 16 : 8) * sizeof(union xmm));
    for (u32 i = 0; i < ARRAY_SIZE(components); i++) {
        const struct component *k = &components[i];
        u32 at = component_offset(k, layout);
        if (!(saved & k->bit))
            continue;
        k->store(c, image + at);
        add_piece(p, at, mode64 ? k->size : k->size_32);
    }
}

/* XSAVE and XSAVEOPT: the standard form. They differ in components that are not in use. */
static void save_standard(struct cpu *c, const struct insn *in, u64 linear)
{
    u8 image[XSTATE_SIZE];
    struct pieces p = {.count = 0};
    u64 mask = requested(c, in), used = in_use(c, false);
    u64 saved = in->op->id == INSN_xsaveopt ? mask & used : mask;
    u64 header = load(c, linear + HEADER_XSTATE_BV, 8);
    pack(c, in, saved, mask & (XSTATE_SSE | XSTATE_AVX), 0, image, &p);
    store_le64(image + HEADER_XSTATE_BV, (header & ~mask) | (mask & used));
    add_piece(&p, HEADER_XSTATE_BV, 8);
    store_pieces(c, linear, &p, image);
}

/* XSAVEC and XSAVES: the compacted form. */
static void save_compacted(struct cpu *c, const struct insn *in, u64 linear)
{
    u8 image[XSTATE_SIZE];
    struct pieces p = {.count = 0};
    u64 mask = requested(c, in), saved = mask & in_use(c, true);
    pack(c, in, saved, saved & XSTATE_SSE, mask | COMPACTED, image, &p);
    store_le64(image + HEADER_XSTATE_BV, saved);
    store_le64(image + HEADER_XCOMP_BV, mask | COMPACTED);
    add_piece(&p, HEADER_XSTATE_BV, 16);
    store_pieces(c, linear, &p, image);
}

void exec_xsave(struct cpu *c, const struct insn *in)
{
    u64 linear = image_address(c, in, true);
    if (in->op->id == INSN_xsavec || in->op->id == INSN_xsaves)
        save_compacted(c, in, linear);
    else
        save_standard(c, in, linear);
}

/* --- Restoring -------------------------------------------------------------------------------- */

/* Raises #GP for a header that the instruction refuses. Returns the layout: XCOMP_BV. */
static u64 check_header(struct cpu *c, const struct insn *in, const u8 *image)
{
    u64 state = load_le64(image + HEADER_XSTATE_BV), layout = load_le64(image + HEADER_XCOMP_BV);
    bool supervisor = in->op->id == INSN_xrstors;
    u64 enabled = c->arch.xcr0 | (supervisor ? c->arch.xss : 0);
    u32 reserved = layout & COMPACTED ? XSTATE_HEADER_SIZE - 16 : 8;
    bool wrong = layout & COMPACTED
                     ? layout & ~(enabled | COMPACTED) || state & (~layout | COMPACTED)
                     : layout || state & ~enabled || supervisor;
    if (wrong || !zero(image + HEADER_XCOMP_BV + 8, reserved))
        cpu_raise_gp(c, 0);
    return layout;
}

static void restore_x87(struct cpu *c, const u8 *image, bool present, bool wide)
{
    static const u8 initial[XSTATE_LEGACY_SIZE] = {X87_CONTROL_RESET & 0xff,
                                                   X87_CONTROL_RESET >> 8};
    fxsave_unpack_x87(&c->arch.x87, present ? image : initial, wide);
}

static void restore_xmm(struct cpu *c, const u8 *image, bool present)
{
    static const u8 initial[FXSAVE_END - FXSAVE_XMM];
    xmm_load(&c->arch, present ? image + FXSAVE_XMM : initial, long_mode_code(c) ? 16 : 8);
}

static void restore_component(struct cpu *c, const struct component *k, const u8 *from)
{
    u8 bytes[COMPONENT_SIZE_MAX];
    k->store(c, bytes);
    u32 size = long_mode_code(c) ? k->size : k->size_32;
    if (from)
        memcpy(bytes, from, size);
    else
        memset(bytes, 0, size);
    k->load(c, bytes);
}

/* Returns the MXCSR that the instruction loads: in the standard form always memory's, in the
 * compacted form the initial one if SSE is not in the image. */
static u32 restored_mxcsr(struct cpu *c, const u8 *image, u64 present, u64 layout)
{
    u32 value = MXCSR_RESET;
    if (!(layout & COMPACTED) || present & XSTATE_SSE)
        value = load_le32(image + FXSAVE_MXCSR);
    if (value & ~MXCSR_VALID)
        cpu_raise_gp(c, 0);
    return value;
}

void exec_xrstor(struct cpu *c, const struct insn *in)
{
    u8 image[XSTATE_SIZE] = {0};
    u64 linear = image_address(c, in, false), mask = requested(c, in);
    load_bytes(c, linear + HEADER_XSTATE_BV, image + HEADER_XSTATE_BV, XSTATE_HEADER_SIZE);
    u64 layout = check_header(c, in, image);
    u64 present = mask & load_le64(image + HEADER_XSTATE_BV);
    load_bytes(c, linear, image, XSTATE_LEGACY_SIZE);
    if (present & ~(XSTATE_X87 | XSTATE_SSE))
        load_bytes(c, linear + EXTENDED_BEGIN, image + EXTENDED_BEGIN,
                   image_size(present | (layout & COMPACTED ? layout : 0)) - EXTENDED_BEGIN);
    bool has_mxcsr = mask & (layout & COMPACTED ? XSTATE_SSE : XSTATE_SSE | XSTATE_AVX);
    u32 mxcsr = has_mxcsr ? restored_mxcsr(c, image, present, layout) : 0;

    bool live = mxcsr_suspend(c);
    c->arch.mxcsr = has_mxcsr ? mxcsr : c->arch.mxcsr;
    mxcsr_resume(c, live);
    if (mask & XSTATE_X87)
        restore_x87(c, image, present & XSTATE_X87, rex_w(in));
    if (mask & XSTATE_SSE)
        restore_xmm(c, image, present & XSTATE_SSE);
    for (u32 i = 0; i < ARRAY_SIZE(components); i++) {
        const struct component *k = &components[i];
        if (mask & k->bit)
            restore_component(c, k, present & k->bit ? image + component_offset(k, layout) : NULL);
    }
}
