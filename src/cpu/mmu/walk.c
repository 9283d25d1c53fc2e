/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translates a linear address to a system frame and a key, by the guest's own tables, the nested
 * tables and the C-bit [APM2 5, 15.25, 15.34.5; cpu 5.9]. A walk does not touch the frame that it
 * finds. It brings the frames of tables into the view that they are read in: the guest's key for
 * guest tables, raw for nested ones.
 */
#include "cpu/mmu/mmu.h"
#include "cpu/mmu/table.h"
#include "cpu/nested.h"
#include "abi/vmsa.h"

/* A generation that no table has: the RMP entry has not been read yet. */
#define NO_GENERATION (~0ull)

struct level {
    u8 shift, bits;
};

struct table_format {
    u8 levels, entry_bytes;
    struct level level[4]; /* from the root down */
};

// clang-format off
static const struct table_format long_format   = {4, 8, {{39, 9}, {30, 9}, {21, 9}, {12, 9}}};
static const struct table_format pae_format    = {3, 8, {{30, 2}, {21, 9}, {12, 9}}};
static const struct table_format legacy_format = {2, 4, {{22, 10}, {12, 10}}};
// clang-format on

/* Returns the C-bit's mask; with vTOM the C-bit is an ordinary reserved bit [cpu 5.7]. */
static u64 c_mask(const struct cpu *c)
{
    return c->guest.sev && !sev_feature(c, SEV_FEATURE_VTOM) ? BIT(C_BIT) : 0;
}

static memory_key table_key(const struct cpu *c)
{
    return c->guest.sev ? c->guest.key : KEY_RAW;
}

/* --- The nested tables [APM2 15.25.5; cpu 5.6] ------------------------------------------------ */

bool nested_fault(const struct nested_access *a, u64 gpa, u64 bits, struct access_fault *f)
{
    f->nested = true;
    f->gpa = gpa;
    f->info_1 = a->info | bits | NPF_USER | (a->write ? NPF_WRITE : 0) | (a->fetch ? NPF_FETCH : 0);
    return false;
}

static bool nested_permits(const struct nested_access *a, bool writable, bool no_execute)
{
    return (!a->write || writable) && (!a->fetch || !no_execute);
}

static bool nested_fill(struct cpu *c, u64 gpa, const struct nested_access *a,
                        struct nested_entry *e, struct access_fault *f)
{
    const struct nested_tables tables = {.memory = c->memory,
                                         .root = c->guest.control.n_cr3,
                                         .encrypting = c->msr.syscfg & SYSCFG_MEM_ENCRYPT,
                                         .no_execute = c->host.efer & EFER_NXE};
    struct nested_walk w;
    enum nested_result result = nested_descend(&tables, gpa, &w);
    if (result != NESTED_OK)
        return nested_fault(a, gpa, result == NESTED_RESERVED ? NPF_PRESENT | NPF_RSV : 0, f);
    if (!w.user || !nested_permits(a, w.writable, w.no_execute))
        return nested_fault(a, gpa, NPF_PRESENT, f);
    if (!nested_mark(&tables, &w, a->write))
        return nested_fault(a, gpa, NPF_PRESENT | NPF_RMP, f);
    *e = (struct nested_entry){
        .gpa_frame = gpa >> PAGE_SHIFT,
        .frame = w.spa >> PAGE_SHIFT,
        .epoch = c->engine.mmu->nested_epoch,
        .writable = w.writable,
        .dirty = a->write || w.entry[w.depth - 1] & PTE_D,
        .no_execute = w.no_execute,
        .large = w.large,
        .rmp_generation = NO_GENERATION,
    };
    return true;
}

/* Translates an address to itself, where there are no nested tables. A host's own mapping of 2 MiB
 * or more counts in full for the RMP [host 5.3]. */
static void nested_identity(struct nested_entry *e, u64 gpa, bool large)
{
    *e = (struct nested_entry){
        .gpa_frame = gpa >> PAGE_SHIFT,
        .frame = gpa >> PAGE_SHIFT,
        .writable = true,
        .dirty = true,
        .large = large,
        .rmp_generation = NO_GENERATION,
    };
}

/* Returns the page after the checks of the nested tables and of the RMP. *store_ready: a store
 * needs no further check. */
static struct nested_entry *nested_translate(struct cpu *c, u64 gpa, const struct nested_access *a,
                                             bool *store_ready, struct access_fault *f)
{
    struct mmu *m = c->engine.mmu;
    struct nested_entry *e = c->guest.nested_paging
                                 ? &m->nested[(gpa >> PAGE_SHIFT) & (NESTED_ENTRIES - 1)]
                                 : &m->identity;
    bool hit = c->guest.nested_paging && e->gpa_frame == gpa >> PAGE_SHIFT &&
               e->epoch == m->nested_epoch &&
               nested_permits(a, e->writable && e->dirty, e->no_execute);
    if (!c->guest.nested_paging)
        nested_identity(e, gpa, a->large);
    else if (!hit && !nested_fill(c, gpa, a, e, f))
        return NULL;
    *store_ready = e->writable && e->dirty;
    if (rmp_enabled(c->memory) && !a->unchecked && !rmp_permits(c, e, gpa, a, store_ready, f))
        return NULL;
    return e;
}

bool mmu_translate_physical(struct cpu *c, u64 gpa, bool write, u64 *spa, struct access_fault *f)
{
    const struct nested_access a = {.write = write, .info = NPF_FINAL};
    bool store_ready;
    f->not_validated = false;
    const struct nested_entry *page = nested_translate(c, gpa, &a, &store_ready, f);
    *spa = page ? page->frame << PAGE_SHIFT | (gpa & PAGE_MASK) : 0;
    return page;
}

/* --- The guest's tables ----------------------------------------------------------------------- */

struct guest_walk {
    u64 gpa; /* of the access, without the C-bit */
    u64 entry_gpa[4], entry[4];
    u32 depth; /* entries read */
    u8 page_shift;
    bool writable, user, no_execute, global, shared;
    u32 key; /* protection key */
};

static const struct table_format *guest_format(const struct cpu *c)
{
    if (c->arch.efer & EFER_LMA)
        return &long_format;
    return c->arch.cr4 & CR4_PAE ? &pae_format : &legacy_format;
}

static bool leaf_at(const struct cpu *c, const struct table_format *format, u32 n, u64 entry)
{
    if (n == format->levels - 1u)
        return true;
    if (!(entry & PTE_PS))
        return false;
    if (format == &legacy_format)
        return c->arch.cr4 & CR4_PSE;
    return format->level[n].shift <= (format == &long_format ? 30 : 21);
}

/* Returns the reserved bits of an entry [APM2 5.3-5.4]; the C-bit is not reserved while SEV is
 * on. */
static u64 guest_reserved(const struct cpu *c, const struct table_format *format, u32 n, u64 entry)
{
    u32 shift = format->level[n].shift;
    if (format == &legacy_format)
        return shift == 22 && leaf_at(c, format, n, entry) ? BIT(21) : 0;
    u64 reserved = PTE_BEYOND & ~c_mask(c);
    if (!(c->arch.efer & EFER_NXE))
        reserved |= PTE_NX;
    if (format == &pae_format && n == 0)
        return reserved | PAE_POINTER_RESERVED;
    if (format == &pae_format)
        reserved |= BITS(~0ull, 62, 52) << 52;
    if (shift == 39)
        return reserved | PTE_PS | PTE_G;
    if (shift == 30 && !(entry & PTE_PS))
        return reserved | PTE_G;
    if (shift > 12 && entry & PTE_PS)
        reserved |= BITS(~0ull, shift - 1, 13) << 13;
    return reserved;
}

static u64 leaf_address(const struct cpu *c, const struct table_format *format, u64 entry,
                        u64 linear, u32 shift)
{
    u64 offset = linear & (BIT(shift) - 1);
    if (format == &legacy_format && shift == 22) /* PSE-36: bits 20:13 are address bits 39:32 */
        return (entry & 0xffc00000u) | BITS(entry, 20, 13) << 32 | offset;
    return (entry & PTE_ADDRESS & ~c_mask(c) & ~(BIT(shift) - 1)) | offset;
}

static bool page_fault(const struct cpu *c, u64 linear, const struct access *a, u32 bits,
                       struct access_fault *f)
{
    bool reports_fetch =
        (c->arch.cr4 & CR4_PAE && c->arch.efer & EFER_NXE) || c->arch.cr4 & CR4_SMEP;
    f->nested = false;
    f->linear = linear;
    f->error = bits | (a->write ? PF_WRITE : 0) | (a->context == TLB_USER ? PF_USER : 0) |
               (a->fetch && reports_fetch ? PF_FETCH : 0);
    return false;
}

/* Returns true if PKRU denies a data access to a user page: bit 0 of a key's two denies all, bit 1
 * writes [APM2 5.6.7]. */
static bool key_denies(const struct cpu *c, const struct guest_walk *w, const struct access *a)
{
    u32 denied = c->arch.pkru >> (2 * w->key);
    if (!(c->arch.cr4 & CR4_PKE) || !(c->arch.efer & EFER_LMA) || !w->user || a->fetch)
        return false;
    bool obeys_writable = a->context == TLB_USER || c->arch.cr0 & CR0_WP;
    return denied & 1 || (denied & 2 && a->write && obeys_writable);
}

static bool guest_permits(const struct cpu *c, const struct guest_walk *w, const struct access *a)
{
    if (UNLIKELY(key_denies(c, w, a)))
        return false;
    if (a->context == TLB_USER)
        return w->user && (!a->write || w->writable) && (!a->fetch || !w->no_execute);
    if (a->fetch)
        return !w->no_execute && !(w->user && c->arch.cr4 & CR4_SMEP);
    if (w->user && a->context == TLB_KERNEL && c->arch.cr4 & CR4_SMAP)
        return false;
    return !a->write || w->writable || !(c->arch.cr0 & CR0_WP);
}

static bool guest_descend(struct cpu *c, u64 linear, const struct access *a, struct guest_walk *w,
                          struct access_fault *f)
{
    const struct table_format *format = guest_format(c);
    u64 table = c->arch.cr3 & ~c_mask(c) &
                (format == &long_format  ? PTE_ADDRESS
                 : format == &pae_format ? PAE_POINTERS_ADDRESS
                                         : 0xfffff000u);
    /* The nested tables treat every read of a guest's table as a write [APM2 15.25.5]; softsev does
     * not support read-only guest tables. */
    const struct nested_access access = {
        .write = c->guest.running, .walk = true, .info = NPF_TABLE | (c->guest.sev ? NPF_ENC : 0)};
    for (u32 n = 0;; n++) {
        const struct level *level = &format->level[n];
        w->entry_gpa[n] = table + BITS(linear, level->shift + level->bits - 1, level->shift) *
                                      format->entry_bytes;
        bool store_ready;
        const struct nested_entry *page =
            nested_translate(c, w->entry_gpa[n], &access, &store_ready, f);
        if (!page)
            return false;
        u64 entry = table_read(c->memory, page->frame << PAGE_SHIFT | (w->entry_gpa[n] & PAGE_MASK),
                               table_key(c), format->entry_bytes);
        w->entry[n] = entry;
        w->depth = n + 1;
        if (!(entry & PTE_P))
            return page_fault(c, linear, a, 0, f);
        if (entry & guest_reserved(c, format, n, entry))
            return page_fault(c, linear, a, PF_PRESENT | PF_RSV, f);
        if (format != &pae_format || n > 0) { /* PAE page-directory pointers hold no permissions */
            w->writable &= !!(entry & PTE_RW);
            w->user &= !!(entry & PTE_US);
            w->no_execute |= format != &legacy_format && entry & PTE_NX;
        }
        if (leaf_at(c, format, n, entry)) {
            w->page_shift = level->shift;
            w->key = (u32)PTE_KEY(entry);
            w->global = entry & PTE_G && c->arch.cr4 & CR4_PGE;
            w->shared = c_mask(c) && format != &legacy_format && !(entry & BIT(C_BIT));
            w->gpa = leaf_address(c, format, entry, linear, level->shift);
            return true;
        }
        table = entry & ~c_mask(c) & (format == &legacy_format ? 0xfffff000u : PTE_ADDRESS);
    }
}

/* Sets A in every entry and D in the leaf; for the nested tables each is a write to the table's
 * page. */
static bool guest_mark(struct cpu *c, const struct guest_walk *w, const struct access *a,
                       struct access_fault *f)
{
    const struct nested_access write = {.write = true,
                                        .info = NPF_TABLE | (c->guest.sev ? NPF_ENC : 0)};
    bool pae = guest_format(c) == &pae_format;
    for (u32 i = 0; i < w->depth; i++) {
        u64 bits = PTE_A | (a->write && i == w->depth - 1 ? PTE_D : 0);
        if ((w->entry[i] & bits) == bits || (pae && i == 0))
            continue;
        bool store_ready;
        const struct nested_entry *page =
            nested_translate(c, w->entry_gpa[i], &write, &store_ready, f);
        if (!page)
            return false;
        table_mark(c->memory, page->frame << PAGE_SHIFT | (w->entry_gpa[i] & PAGE_MASK),
                   table_key(c), bits);
    }
    return true;
}

static bool guest_walk(struct cpu *c, u64 linear, const struct access *a, struct guest_walk *w,
                       struct access_fault *f)
{
    *w = (struct guest_walk){
        .gpa = linear, .writable = true, .user = true, .page_shift = PAGE_SHIFT};
    if (!(c->arch.cr0 & CR0_PG))
        return true;
    if (!guest_descend(c, linear, a, w, f))
        return false;
    u32 key = key_denies(c, w, a) ? PF_PK : 0;
    return guest_permits(c, w, a) || page_fault(c, linear, a, PF_PRESENT | key, f);
}

bool mmu_translate(struct cpu *c, u64 linear, struct access access, struct translation *t,
                   struct access_fault *f)
{
    struct guest_walk w;
    f->linear = linear;
    f->not_validated = false;
    if (!guest_walk(c, linear, &access, &w, f))
        return false;
    /* Fetches are private whatever the leaf says [cpu 5.1]; without paging and without PAE,
     * `shared` is never set. */
    bool above_vtom = sev_feature(c, SEV_FEATURE_VTOM) && w.gpa >= c->guest.virtual_tom;
    bool private = c->guest.sev && (access.fetch || !(w.shared || above_vtom));
    const struct nested_access nested = {.write = access.write,
                                         .fetch = access.fetch,
                                         .user = access.context == TLB_USER,
                                         .unchecked = access.unchecked,
                                         .large = !c->guest.running && w.page_shift > PAGE_SHIFT,
                                         .info = NPF_FINAL | (private ? NPF_ENC : 0)};
    bool store_ready;
    const struct nested_entry *page = nested_translate(c, w.gpa, &nested, &store_ready, f);
    if (!page)
        return false;
    t->frame = page->frame;
    t->nested_large = page->large;
    t->gpa = w.gpa;
    if (!guest_mark(c, &w, &access, f))
        return false;
    struct access store = {.write = true, .context = access.context};
    bool dirty = w.depth == 0 || access.write || w.entry[w.depth - 1] & PTE_D;
    t->key = private ? c->guest.key : KEY_RAW;
    t->flags = (w.global ? TLB_GLOBAL : 0) | (w.page_shift == 30          ? TLB_HUGE
                                              : w.page_shift > PAGE_SHIFT ? TLB_LARGE
                                                                          : 0);
    if (!access.fetch && store_ready && dirty && guest_permits(c, &w, &store))
        t->flags |= TLB_WRITABLE;
    return true;
}
