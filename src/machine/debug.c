/* SPDX-License-Identifier: Apache-2.0 */
/* What the owner of the simulation sees of guests; see debug.h. All reads peek: no frame changes
 * its view because somebody looked. */
#include "machine/debug.h"

#include "abi/vmsa.h"
#include "abi/x86.h"
#include "base/bytes.h"
#include "cpu/nested.h"
#include "machine/internal.h"
#include "memory/frame.h"
#include "memory/rmp.h"

#define NOWHERE (~0ull)

/* --- The cores -------------------------------------------------------------------------------- */

void machine_debug_attach(struct machine *m, struct cpu_debugger *d)
{
    for (u32 i = 0; i < m->host.core_count; i++)
        cpu_debug_attach(m->host.cores[i], d);
}

void machine_debug_changed(struct machine *m)
{
    for (u32 i = 0; i < m->host.core_count; i++)
        cpu_debug_changed(m->host.cores[i]);
}

u64 machine_debug_running(const struct machine *m, u32 core)
{
    return core < m->host.core_count ? cpu_debug_running(m->host.cores[core]) : 0;
}

void machine_debug_world(const struct machine *m, u32 core, struct debug_world *out)
{
    *out = (struct debug_world){.guest = false};
    if (core < m->host.core_count)
        cpu_debug_world(m->host.cores[core], out);
}

u64 machine_debug_time(const struct machine *m, u32 core, bool watched)
{
    return cpu_debug_time(m->host.cores[core], watched);
}

void machine_debug_get(const struct machine *m, u32 core, struct debug_registers *out)
{
    cpu_debug_get(m->host.cores[core], out);
}

bool machine_debug_set(struct machine *m, u32 core, const struct debug_registers *in)
{
    return cpu_debug_set(m->host.cores[core], in);
}

/* --- A processor that does not run ------------------------------------------------------------ */

bool debug_view_of_vmcb(struct machine *m, u64 vmcb_spa, struct debug_view *out, bool *es,
                        u64 *vmsa_spa)
{
    struct vmcb_control k;
    if (!memory_peek(m->host.memory, vmcb_spa, KEY_RAW, &k, sizeof k))
        return false;
    *out = (struct debug_view){.sev = k.np_control & NP_SEV,
                               .flat = !(k.np_control & NP_ENABLE),
                               .asid = k.asid,
                               .nested_cr3 = k.n_cr3};
    *es = out->sev && k.np_control & NP_SEV_ES;
    *vmsa_spa = k.vmsa;
    struct vmsa s;
    if (*es && memory_peek(m->host.memory, k.vmsa, (memory_key)k.asid, &s, sizeof s) &&
        s.sev_features & SEV_FEATURE_VTOM)
        out->virtual_tom = s.virtual_tom;
    return true;
}

void debug_view_of_world(const struct debug_world *w, struct debug_view *out)
{
    *out = (struct debug_view){.sev = w->sev,
                               .flat = !w->nested,
                               .asid = w->asid,
                               .nested_cr3 = w->nested_cr3,
                               .virtual_tom = w->virtual_tom};
}

void debug_view_paging(struct debug_view *v, const struct vmcb_save *save)
{
    v->cr0 = save->cr0;
    v->cr3 = save->cr3;
    v->cr4 = save->cr4;
    v->efer = save->efer;
}

bool debug_read_save(struct machine *m, u64 vmcb_spa, struct vmcb_save *out)
{
    return memory_peek(m->host.memory, vmcb_spa + offsetof(struct vmcb, save), KEY_RAW, out,
                       sizeof *out);
}

static void fx_of_vmsa(const struct vmsa *s, u8 fx[512])
{
    store_le16(fx, s->x87_fcw);
    store_le16(fx + 2, s->x87_fsw);
    fx[4] = (u8)s->x87_ftw;
    for (u32 i = 0; i < 8; i++) {
        store_le64(fx + 32 + 16 * i, s->x87_mantissa[i]);
        store_le16(fx + 40 + 16 * i, s->x87_exponent[i]);
    }
    store_le16(fx + 6, s->x87_fop);
    store_le64(fx + 8, s->x87_rip);
    store_le64(fx + 16, s->x87_dp);
    store_le32(fx + 24, s->mxcsr);
    memcpy(fx + 160, s->xmm, sizeof s->xmm);
}

/* Removes the nonce of register protection [cpu 6.9]. */
static void unmask(struct vmsa *s)
{
    u64 quad;
    for (u32 i = 0; i < PAGE_SIZE / 8; i++) {
        if (!(vmsa_protected[i / 8] & BIT(i % 8)))
            continue;
        memcpy(&quad, (const u8 *)s + 8 * i, 8);
        quad ^= s->reg_prot_nonce;
        memcpy((u8 *)s + 8 * i, &quad, 8);
    }
}

bool debug_read_vmsa(struct machine *m, u64 spa, u32 asid, struct debug_registers *out)
{
    struct vmsa s;
    memset(out, 0, sizeof *out);
    if (!memory_peek(m->host.memory, spa, (memory_key)asid, &s, sizeof s))
        return false;
    if (s.sev_features & SEV_FEATURE_VMSA_REG_PROT)
        unmask(&s);
    memcpy(&out->save, &s, offsetof(struct vmsa, pkru));
    const u64 low[8] = {s.rax, s.rcx, s.rdx, s.rbx, s.rsp, s.rbp, s.rsi, s.rdi};
    memcpy(out->gpr, low, sizeof low);
    memcpy(&out->gpr[8], s.r8_15, sizeof s.r8_15);
    memcpy(out->dr, s.dr, sizeof out->dr);
    out->xcr0 = s.xcr0;
    fx_of_vmsa(&s, out->fx);
    return true;
}

/* --- Walks ------------------------------------------------------------------------------------ */

/* Walks the nested tables without setting accessed or dirty bits. *spa is the address found. */
static bool nested(struct machine *m, const struct debug_view *v, u64 gpa, u64 *spa)
{
    if (v->flat) {
        *spa = gpa;
        return gpa < memory_size(m->host.memory);
    }
    const struct nested_tables tables = {
        .memory = m->host.memory, .root = v->nested_cr3, .encrypting = true};
    struct nested_walk w;
    if (gpa & ~PHYSICAL_MASK || nested_descend(&tables, gpa, &w) != NESTED_OK ||
        w.spa >= memory_size(m->host.memory))
        return false;
    *spa = w.spa;
    return true;
}

static u64 read_entry(struct machine *m, const struct debug_view *v, u64 gpa, u32 size,
                      struct debug_walk *w)
{
    u64 spa, entry = 0;
    if (!nested(m, v, gpa, &spa) ||
        !memory_peek(m->host.memory, spa, v->sev ? (memory_key)v->asid : KEY_RAW, &entry, size))
        w->wrong = v->flat ? "the table is not in memory"
                           : "the nested tables have no page for this table";
    return entry;
}

/* The three forms of paging: levels, bits of an index, bytes of an entry. */
struct paging {
    u32 levels, bits, entry_size;
    u64 root;
};

static struct paging paging_of(const struct debug_view *v)
{
    if (v->efer & EFER_LMA)
        return (struct paging){4, 9, 8, PTE_ADDRESS};
    if (v->cr4 & CR4_PAE)
        return (struct paging){3, 9, 8, 0xffffffe0u};
    return (struct paging){2, 10, 4, 0xfffff000u};
}

static bool is_leaf(const struct debug_view *v, const struct paging *p, u32 n, u32 shift, u64 entry)
{
    if (n == p->levels - 1)
        return true;
    if (!(entry & PTE_PS))
        return false;
    return p->levels == 2 ? v->cr4 & CR4_PSE : shift <= (p->levels == 4 ? 30u : 21u);
}

static u64 leaf_address(const struct paging *p, u64 entry, u64 c_bit, u32 shift, u64 linear)
{
    const u64 inside = linear & (BIT(shift) - 1);
    if (p->levels == 2 && shift == 22)
        return (entry & 0xffc00000u) | BITS(entry, 20, 13) << 32 | inside;
    return (entry & PTE_ADDRESS & ~c_bit & ~(BIT(shift) - 1)) | inside;
}

static void walk_guest(struct machine *m, const struct debug_view *v, u64 linear,
                       struct debug_walk *w)
{
    const struct paging p = paging_of(v);
    const u64 c_bit = v->sev && !v->virtual_tom ? BIT(C_BIT) : 0;
    u64 table = v->cr3 & p.root & ~c_bit;
    for (u32 n = 0; n < p.levels; n++) {
        const u32 shift = 12 + p.bits * (p.levels - 1 - n);
        const u64 index = linear >> shift & (p.levels == 3 && !n ? 3u : BIT(p.bits) - 1);
        w->entry_gpa[n] = table + index * p.entry_size;
        w->entry[n] = read_entry(m, v, w->entry_gpa[n], p.entry_size, w);
        w->depth = n + 1;
        if (!w->wrong && !(w->entry[n] & PTE_P))
            w->wrong = "not present in the guest's tables";
        if (w->wrong)
            return;
        if (is_leaf(v, &p, n, shift, w->entry[n])) {
            w->page_size = BIT(shift);
            w->gpa = leaf_address(&p, w->entry[n], c_bit, shift, linear);
            w->private &= p.levels == 2 || !c_bit || w->entry[n] & BIT(C_BIT);
            return;
        }
        table = w->entry[n] & ~c_bit & (p.levels == 2 ? 0xfffff000u : PTE_ADDRESS);
    }
}

bool debug_walk(struct machine *m, const struct debug_view *v, u64 linear, struct debug_walk *w)
{
    *w = (struct debug_walk){
        .gpa = linear, .page_size = PAGE_SIZE, .private = v->sev, .spa = NOWHERE};
    if (v->efer & EFER_LMA && !canonical(linear))
        w->wrong = "the address is not canonical";
    else if (v->cr0 & CR0_PG)
        walk_guest(m, v, v->efer & EFER_LMA ? linear : (u32)linear, w);
    if (v->virtual_tom)
        w->private = v->sev && w->gpa < v->virtual_tom;
    if (!w->wrong && !nested(m, v, w->gpa, &w->spa))
        w->wrong =
            v->flat ? "not in memory: a device, or nothing" : "not present in the nested tables";
    return !w->wrong;
}

/* --- Memory ----------------------------------------------------------------------------------- */

static memory_key key_of(const struct debug_view *v, bool private)
{
    return v->sev && private ? (memory_key)v->asid : KEY_RAW;
}

static size_t in_page(u64 linear, size_t size)
{
    return (size_t)min_u64(size, PAGE_SIZE - (linear & PAGE_MASK));
}

bool debug_read(struct machine *m, const struct debug_view *v, u64 linear, void *out, size_t size)
{
    struct debug_walk w;
    for (size_t at = 0, part; at < size; at += part) {
        part = in_page(linear + at, size - at);
        if (!debug_walk(m, v, linear + at, &w) ||
            !memory_peek(m->host.memory, w.spa, key_of(v, w.private), (u8 *)out + at, part))
            return false;
    }
    return true;
}

bool debug_write(struct machine *m, const struct debug_view *v, u64 linear, const void *data,
                 size_t size)
{
    struct debug_walk w;
    for (size_t at = 0; at < size; at += in_page(linear + at, size - at)) {
        if (!debug_walk(m, v, linear + at, &w))
            return false;
    }
    const enum debug_party before = m->host.writing;
    bool good = true;
    m->host.writing = WRITER_DEBUGGER;
    for (size_t at = 0, part; good && at < size; at += part) {
        part = in_page(linear + at, size - at);
        good =
            debug_walk(m, v, linear + at, &w) &&
            memory_write(m->host.memory, w.spa, key_of(v, w.private), (const u8 *)data + at, part);
    }
    m->host.writing = before;
    return good;
}

u64 debug_read_physical(struct machine *m, const struct debug_view *v, u64 gpa, bool private,
                        void *out, size_t size)
{
    u64 spa;
    return nested(m, v, gpa, &spa) &&
                   memory_peek(m->host.memory, spa, key_of(v, private), out, size)
               ? spa
               : NOWHERE;
}

bool debug_read_system(struct machine *m, u64 spa, u32 asid, void *out, size_t size)
{
    return asid <= memory_asids(m->host.memory) &&
           memory_peek(m->host.memory, spa, (memory_key)asid, out, size);
}

u16 debug_frame_key(struct machine *m, u64 spa)
{
    return spa < memory_size(m->host.memory) ? memory_view(m->host.memory, spa >> PAGE_SHIFT)
                                             : KEY_RAW;
}

bool debug_rmp(struct machine *m, u64 spa, struct rmp_entry *out)
{
    return rmp_enabled(m->host.memory) && rmp_get(m->host.memory, spa, out);
}
