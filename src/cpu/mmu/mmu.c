/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLB: hits are inline in internal.h, everything else is here. An entry points at the bytes of
 * a frame, in the view of its key. When the memory controller flips or removes a frame, it calls
 * frame_lost(), which drops all entries of the frame. Stores to frames with decoded code always
 * come through here.
 */
#include "cpu/engine/device.h"
#include "cpu/mmu/mmu.h"
#include "cpu/svm/vmsa_switch.h"

#include <stdlib.h>

/* --- Filled slots ----------------------------------------------------------------------------- */

static u32 slot_of(u64 linear)
{
    return (linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1);
}

static struct tlb_entry *entry_of(struct cpu *c, enum tlb_context context, u64 linear)
{
    return &c->engine.mmu->tlbs[context][slot_of(linear)];
}

static bool checks_alignment(const struct cpu *c)
{
    return UNLIKELY(c->engine.tlb == c->engine.tlbs[TLB_NEVER_FILLED]);
}

static enum tlb_context current_context(const struct cpu *c)
{
    if (checks_alignment(c))
        return TLB_USER;
    return (enum tlb_context)((size_t)(c->engine.tlb - c->engine.mmu->tlbs[0]) / TLB_ENTRIES);
}

struct tlb_entry *mmu_array(struct cpu *c, u32 context)
{
    return context == TLB_NEVER_FILLED ? c->engine.tlbs[context] : c->engine.mmu->tlbs[context];
}

static bool entry_valid(const struct tlb_entry *e, u32 slot)
{
    return e->rtag != tlb_invalid(slot);
}

static void entry_drop(struct tlb_entry *e, u32 slot)
{
    e->rtag = e->wtag = tlb_invalid(slot);
    e->host = NULL;
    e->frame = 0;
}

static void list_slot(struct fill_list *list, u32 slot)
{
    u64 bit = BIT(slot & 63);
    if (list->listed[slot / 64] & bit)
        return;
    list->listed[slot / 64] |= bit;
    list->slots[list->count++] = (u16)slot;
}

/* Calls `visit` for each valid entry, perhaps twice; `visit` may drop the entry. */
typedef void visit_fn(struct tlb_entry *e, u32 slot, u64 argument);

static void visit_listed(struct mmu *m, u32 context, const struct fill_list *list, visit_fn *visit,
                         u64 argument)
{
    for (u32 i = 0; i < list->count; i++) {
        struct tlb_entry *e = &m->tlbs[context][list->slots[i]];
        if (entry_valid(e, list->slots[i]))
            visit(e, list->slots[i], argument);
    }
}

static void for_each_entry(struct mmu *m, visit_fn *visit, u64 argument)
{
    for (u32 context = 0; context < TLB_CONTEXTS; context++)
        for (u32 global = 0; global < 2; global++)
            visit_listed(m, context, &m->fills[context][global], visit, argument);
}

/* --- Flushing --------------------------------------------------------------------------------- */

/* Drops the list's entries, but not global ones that took their slots later, if `local`. */
static void flush_list(struct mmu *m, u32 context, struct fill_list *list, bool local)
{
    for (u32 i = 0; i < list->count; i++) {
        u32 slot = list->slots[i];
        struct tlb_entry *e = &m->tlbs[context][slot];
        if (!(local && e->frame & TLB_GLOBAL))
            entry_drop(e, slot);
        list->listed[slot / 64] &= ~BIT(slot & 63);
    }
    list->count = 0;
}

static void flush_world(struct mmu *m, bool global_too)
{
    for (u32 context = 0; context < TLB_CONTEXTS; context++) {
        flush_list(m, context, &m->fills[context][0], !global_too);
        if (global_too)
            flush_list(m, context, &m->fills[context][1], false);
    }
    m->fetch_epoch[0]++;
    if (global_too) {
        m->fetch_epoch[1]++;
        m->large_seen = m->huge_seen = 0;
    }
}

void mmu_flush(struct cpu *c, bool global_too)
{
    flush_world(c->engine.mmu, global_too);
    stack_page_forget(c);
    c->engine.statistics.tlb_flushes++;
    if (global_too)
        blocks_forget_addresses(c);
    else
        blocks_forget_local_addresses(c);
}

void mmu_flush_all(struct cpu *c)
{
    c->engine.mmu->nested_epoch++;
    mmu_flush(c, true);
    c->engine.mmu->fetched = false;
}

void mmu_flush_worlds(struct cpu *c)
{
    struct mmu *other = c->engine.other_mmu;
    mmu_flush_all(c);
    if (!other)
        return;
    other->nested_epoch++;
    flush_world(other, true);
    other->fetched = false;
    other->addresses.generation = 0;
}

static void drop_large(struct tlb_entry *e, u32 slot, u64 linear)
{
    /* compares 4 MiB regions for 2 MiB pages too: dropping a neighbour does no harm */
    if ((e->frame & TLB_LARGE && !((e->rtag ^ linear) >> 22)) ||
        (e->frame & TLB_HUGE && !((e->rtag ^ linear) >> 30)))
        entry_drop(e, slot);
}

void mmu_flush_page(struct cpu *c, u64 linear)
{
    struct mmu *m = c->engine.mmu;
    u64 page = linear & ~PAGE_MASK;
    u32 slot = slot_of(linear);
    stack_page_forget(c);
    for (u32 context = 0; context < TLB_CONTEXTS; context++) {
        struct tlb_entry *e = entry_of(c, context, linear);
        if (e->rtag == page)
            entry_drop(e, slot);
    }
    /* The fetch TLB holds the code of a large page as 4 KiB pages, so drop all of it. */
    bool large = m->large_seen & large_bit(linear) || m->huge_seen & huge_bit(linear);
    if (large) {
        for_each_entry(m, drop_large, page);
        m->fetch_epoch[0]++;
        m->fetch_epoch[1]++;
    } else {
        for (u32 user = 0; user < 2; user++)
            m->fetch[user][(page >> PAGE_SHIFT) & (FETCH_ENTRIES - 1)].epoch = 0;
    }
    blocks_forget_addresses(c);
}

/* --- What the memory controller says ---------------------------------------------------------- */

static void drop_frame(struct tlb_entry *e, u32 slot, u64 frame)
{
    if (TLB_FRAME(e->frame) == frame)
        entry_drop(e, slot);
}

static void lose_frame(struct mmu *m, u64 frame)
{
    for_each_entry(m, drop_frame, frame);
    for (u32 user = 0; m->fetched && user < 2; user++)
        for (u32 i = 0; i < FETCH_ENTRIES; i++)
            if (m->fetch[user][i].frame == frame)
                m->fetch[user][i].epoch = 0;
}

static void frame_lost(void *context, u64 frame)
{
    struct cpu *c = context;
    stack_page_forget(c);
    lose_frame(c->engine.mmu, frame);
    if (c->engine.other_mmu)
        lose_frame(c->engine.other_mmu, frame);
    if (blocks_in_page(c, frame))
        blocks_invalidate(c, frame, 0, PAGE_SIZE);
}

static void mappings_lost(void *context)
{
    mmu_flush_worlds(context);
}

static void code_written(void *context, u64 frame, u32 offset, u32 size)
{
    blocks_invalidate(context, frame, offset, size);
}

static void protect_code(struct tlb_entry *e, u32 slot, u64 frame)
{
    if (TLB_FRAME(e->frame) == frame)
        e->wtag = tlb_invalid(slot);
}

static void code_marked(void *context, u64 frame)
{
    struct cpu *c = context;
    stack_page_forget(c);
    for_each_entry(c->engine.mmu, protect_code, frame);
    if (c->engine.other_mmu)
        for_each_entry(c->engine.other_mmu, protect_code, frame);
}

/* --- Worlds ----------------------------------------------------------------------------------- */

static struct mmu *world_create(struct tlb_entry (*tlbs)[TLB_ENTRIES], u32 contexts)
{
    struct mmu *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->tlbs = tlbs;
    m->nested_epoch = m->fetch_epoch[0] = m->fetch_epoch[1] = 1;
    for (u32 context = 0; context < contexts; context++)
        for (u32 slot = 0; slot < TLB_ENTRIES; slot++)
            entry_drop(&tlbs[context][slot], slot);
    return m;
}

bool mmu_create_other(struct cpu *c)
{
    if (c->engine.other_mmu)
        return true;
    struct tlb_entry(*tlbs)[TLB_ENTRIES] = calloc(TLB_CONTEXTS, sizeof *tlbs);
    c->engine.other_mmu = tlbs ? world_create(tlbs, TLB_CONTEXTS) : NULL;
    if (!c->engine.other_mmu)
        free(tlbs);
    return c->engine.other_mmu;
}

void mmu_forget_other_addresses(struct cpu *c)
{
    if (c->engine.other_mmu)
        c->engine.other_mmu->addresses.generation = 0;
}

/* The privilege's array changes too: call cpu_update_mode() when the new world's is known. */
void mmu_switch(struct cpu *c)
{
    struct mmu *to = c->engine.other_mmu;
    c->engine.other_mmu = c->engine.mmu;
    c->engine.mmu = to;
    c->engine.other_mmu->addresses = blocks_addresses(c, to->addresses);
    stack_page_forget(c);
}

bool mmu_create(struct cpu *c)
{
    c->engine.mmu = world_create(c->engine.tlbs, ARRAY_SIZE(c->engine.tlbs));
    if (!c->engine.mmu)
        return false;
    stack_page_forget(c);
    c->engine.tlb = c->engine.tlbs[TLB_KERNEL];
    c->listener = (struct memory_listener){.frame_lost = frame_lost,
                                           .mappings_lost = mappings_lost,
                                           .code_written = code_written,
                                           .code_marked = code_marked,
                                           .context = c};
    memory_listen(c->memory, &c->listener);
    return true;
}

static void world_destroy(struct cpu *c, struct mmu *m)
{
    if (m && m->tlbs != c->engine.tlbs)
        free(m->tlbs);
    free(m);
}

void mmu_destroy(struct cpu *c)
{
    world_destroy(c, c->engine.mmu);
    world_destroy(c, c->engine.other_mmu);
    c->engine.mmu = c->engine.other_mmu = NULL;
}

/* --- Filling ---------------------------------------------------------------------------------- */

/* Fetches up to 15 bytes at the current instruction, if the host handles its fault: a nested fault,
 * or an intercepted #PF, as hosts with shadow tables use it [APM2 15.8.4]. */
static void fetch_for_assist(struct cpu *c)
{
    u64 linear = c->engine.mode & MODE_CODE64
                     ? c->engine.insn_rip
                     : (u32)(c->arch.seg[SEG_CS].base + c->engine.insn_rip);
    struct access access = {.fetch = true, .context = c->arch.cpl == 3 ? TLB_USER : TLB_KERNEL_AC};
    u32 count = 0;
    while (count < sizeof c->guest.control.fetched) {
        struct translation t;
        struct access_fault f;
        if (!mmu_translate(c, linear + count, access, &t, &f))
            break;
        u64 offset = (linear + count) & PAGE_MASK;
        u32 n = (u32)min_u64(sizeof c->guest.control.fetched - count, PAGE_SIZE - offset);
        const u8 *host = memory_map(c->memory, t.frame, t.key);
        if (!host)
            break;
        memcpy(c->guest.control.fetched + count, host + offset, n);
        count += n;
    }
    c->guest.control.fetched_count = (u8)count;
}

/* Raises #PF in host mode; PF_RMP in its error code says that the RMP denied the access. */
static void raise_in_host_mode(struct cpu *c, const struct access_fault *f,
                               const struct access *access) NORETURN;

static void raise_in_host_mode(struct cpu *c, const struct access_fault *f,
                               const struct access *access)
{
    u64 user = access->context == TLB_USER ? PF_USER : 0;
    u64 error = f->nested ? PF_PRESENT | PF_WRITE | PF_RMP | user : f->error;
    c->engine.fault_linear = f->linear;
    cpu_raise(c, VECTOR_PF, (u32)error);
}

/* The code-read bit of a nested fault's EXITINFO1, which needs the host's NXE or SMEP like that of
 * a #PF [APM2 15.25.6]. The host outside of the machine is told in any case. */
static u64 nested_info(const struct cpu *c, u64 info)
{
    bool tells = c->host.efer & EFER_NXE || c->host.cr4 & CR4_SMEP;
    return c->bare.wired && !tells ? info & ~NPF_FETCH : info;
}

void mmu_raise(struct cpu *c, const struct access_fault *f, const struct access *access)
{
    if (!c->guest.running)
        raise_in_host_mode(c, f, access);
    if (f->not_validated) {
        c->arch.cr2 = f->linear;
        vmsa_raise_vc(c, EXIT_PAGE_NOT_VALIDATED);
    }
    bool exits = f->nested || c->guest.control.intercept_exceptions & BIT(VECTOR_PF);
    if (exits && !access->fetch && !c->guest.es)
        fetch_for_assist(c);
    if (!f->nested) {
        c->engine.fault_linear = f->linear;
        cpu_raise(c, VECTOR_PF, f->error);
    }
    cpu_exit(c, EXIT_NPF, nested_info(c, f->info_1), f->gpa);
}

/* Makes the entry of `linear` valid. Returns NULL if no memory answers at the address. */
static struct tlb_entry *tlb_fill(struct cpu *c, enum tlb_context context, u64 linear,
                                  const struct translation *t)
{
    u8 *host = memory_map(c->memory, t->frame, t->key);
    struct tlb_entry *e = entry_of(c, context, linear);
    u32 slot = slot_of(linear);
    u64 page = linear & ~PAGE_MASK;
    bool watched = UNLIKELY(c->engine.watchpoints) && debug_watches_page(c, page);
    stack_page_forget(c);
    if (!host || watched)
        entry_drop(e, slot);
    if (!host)
        return NULL;
    if (watched)
        e = &c->engine.mmu->watched;
    else
        list_slot(&c->engine.mmu->fills[context][(t->flags & TLB_GLOBAL) != 0], slot);
    e->rtag = page;
    e->host = host;
    e->frame = t->frame | t->flags;
    bool fast = t->flags & TLB_WRITABLE && !memory_holds_code(c->memory, t->frame) &&
                !memory_has_witness(c->memory);
    e->wtag = fast ? page : tlb_invalid(slot);
    if (t->flags & TLB_LARGE)
        c->engine.mmu->large_seen |= large_bit(linear);
    if (t->flags & TLB_HUGE)
        c->engine.mmu->huge_seen |= huge_bit(linear);
    c->engine.statistics.tlb_fills++;
    return e;
}

/* --- Devices ---------------------------------------------------------------------------------- */

/* Returns the valid entry for reading or writing at `linear`, after a walk if necessary. Returns
 * NULL if no memory answers; f->nested is then set if it may be a device, and *f is the fault. On
 * a bare machine f->gpa is the address on the board's bus. */
static struct tlb_entry *entry_or_device(struct cpu *c, enum tlb_context context, u64 linear,
                                         bool write, struct access_fault *f)
{
    struct access access = {.write = write, .context = context};
    struct translation t;
    struct tlb_entry *e = entry_of(c, context, linear);
    f->nested = false;
    if (e->rtag == (linear & ~PAGE_MASK) && (!write || e->frame & TLB_WRITABLE))
        return e;
    if (mmu_translate(c, linear, access, &t, f)) {
        f->nested = UNLIKELY(bare_is_device(c, t.frame));
        if (!f->nested)
            return tlb_fill(c, context, linear, &t);
        f->gpa = t.frame << PAGE_SHIFT | (linear & PAGE_MASK);
        return NULL;
    }
    if (!device_faults(c, f))
        mmu_raise(c, f, &access);
    return NULL;
}

/* Makes one device access of at most 8 bytes; exits until the host has answered it. */
static u64 device_access(struct cpu *c, enum tlb_context context, const struct access_fault *f,
                         struct device_access a)
{
    struct access access = {.write = a.write, .context = context};
    u64 value = 0;
    if (c->bare.wired)
        return bare_access(c, a);
    if (!device_answered(c, &a, &value))
        mmu_raise(c, f, &access);
    return value;
}

static struct device_access device_piece(const struct access_fault *f, u32 done, u32 size,
                                         bool write)
{
    return (struct device_access){
        .address = f->gpa + done, .size = (u8)min_u64(size - done, 8), .write = write};
}

static void device_read(struct cpu *c, enum tlb_context context, const struct access_fault *f,
                        u8 *out, u32 size)
{
    for (u32 done = 0; done < size; done += 8) {
        struct device_access a = device_piece(f, done, size, false);
        u64 value = device_access(c, context, f, a);
        memcpy(out + done, &value, a.size);
    }
}

static void device_write(struct cpu *c, enum tlb_context context, const struct access_fault *f,
                         const u8 *data, u32 size)
{
    for (u32 done = 0; done < size; done += 8) {
        struct device_access a = device_piece(f, done, size, true);
        memcpy(&a.value, data + done, a.size);
        device_access(c, context, f, a);
    }
}

/* --- A witness of stores ---------------------------------------------------------------------- */

static void tell_of_store(struct cpu *c, u64 frame)
{
    const struct memory_store store = {.core = c->id,
                                       .asid = c->guest.running ? c->guest.control.asid : 0,
                                       .guest = c->guest.running,
                                       .rip = c->engine.insn_rip,
                                       .time_ns = cpu_time(c)};
    memory_stored(c->memory, frame, &store);
}

/* --- Loads and stores ------------------------------------------------------------------------- */

static void read_part(struct cpu *c, enum tlb_context context, u64 linear, void *out, u32 size)
{
    struct access_fault f;
    const struct tlb_entry *e = entry_or_device(c, context, linear, false, &f);
    if (e)
        memcpy(out, e->host + (linear & PAGE_MASK), size);
    else if (f.nested)
        device_read(c, context, &f, out, size);
    else
        memset(out, 0xff, size);
}

static void write_part(struct cpu *c, enum tlb_context context, u64 linear, const void *data,
                       u32 size)
{
    struct access_fault f;
    struct tlb_entry *e = entry_or_device(c, context, linear, true, &f);
    if (!e && f.nested)
        device_write(c, context, &f, data, size);
    if (!e)
        return;
    u32 offset = (u32)(linear & PAGE_MASK);
    u64 frame = TLB_FRAME(e->frame);
    u8 *host = e->host;
    if (UNLIKELY(memory_has_witness(c->memory)))
        tell_of_store(c, frame);
    if (memory_holds_code(c->memory, frame))
        memory_code_write(c->memory, frame, offset, size);
    if (!memory_holds_code(c->memory, frame))
        e->wtag = e->rtag;
    memcpy(host + offset, data, size);
}

/* Returns the next page; linear addresses wrap at 4 GiB outside 64-bit mode. */
static u64 next_page(const struct cpu *c, u64 linear)
{
    u64 next = (linear & ~PAGE_MASK) + PAGE_SIZE;
    return c->engine.mode & MODE_CODE64 ? next : next & 0xffffffffu;
}

static u32 first_part(u64 linear, u32 size)
{
    return (u32)min_u64(size, PAGE_SIZE - (linear & PAGE_MASK));
}

/* Checks an access to one page. Returns true if it is a device's page. Such a page is then part of
 * the instruction's device log, since a write to it may come late. */
static bool probe_part(struct cpu *c, enum tlb_context context, u64 linear, u32 size, bool write)
{
    struct access_fault f;
    if (entry_or_device(c, context, linear, write, &f) || !f.nested)
        return false;
    struct device_access a = device_piece(&f, 0, size, write);
    a.probe = true;
    if (write)
        device_access(c, context, &f, a);
    return true;
}

/* Checks an access to one or two pages. Returns true if the first one is a device's. */
static bool probe(struct cpu *c, enum tlb_context context, u64 linear, u32 size, bool write)
{
    u32 n = first_part(linear, size);
    bool device = probe_part(c, context, linear, n, write);
    if (n < size)
        probe_part(c, context, next_page(c, linear), size - n, write);
    return device;
}

static void read_bytes(struct cpu *c, enum tlb_context context, u64 linear, void *out, u32 size)
{
    u32 n = first_part(linear, size);
    if (n < size) {
        probe(c, context, linear, n, false);
        read_part(c, context, next_page(c, linear), (u8 *)out + n, size - n);
    }
    read_part(c, context, linear, out, n);
}

static void write_bytes(struct cpu *c, enum tlb_context context, u64 linear, const void *data,
                        u32 size)
{
    u32 n = first_part(linear, size);
    /* Check both pages before changing either. Write a device's page first: the instruction may
     * have to run again for it. */
    bool device = n < size && probe(c, context, linear, size, true);
    if (device)
        write_part(c, context, linear, data, n);
    if (n < size)
        write_part(c, context, next_page(c, linear), (const u8 *)data + n, size - n);
    if (!device)
        write_part(c, context, linear, data, n);
}

/* Returns the alignment that #AC asks of an operand [APM2 8.2.17]: far pointers that of their
 * offset, x87 images that of their fields. */
static u64 alignment_of(u32 size)
{
    if (size == 6 || size == 10)
        return size - 2;
    return min_u64(size & (0u - size), 8);
}

/* Raises #AC before any #PF of the access. Accesses of the processor itself are not checked. */
static void check_alignment(struct cpu *c, u64 linear, u32 size)
{
    if (checks_alignment(c) && linear & (alignment_of(size) - 1))
        cpu_raise(c, VECTOR_AC, 0);
}

u64 mmu_load_slow(struct cpu *c, u64 linear, u32 size)
{
    u64 value = 0;
    check_alignment(c, linear, size);
    read_bytes(c, current_context(c), linear, &value, size);
    if (UNLIKELY(c->engine.watchpoints))
        debug_watch(c, linear, size, false);
    return value;
}

void mmu_store_slow(struct cpu *c, u64 linear, u32 size, u64 value)
{
    check_alignment(c, linear, size);
    write_bytes(c, current_context(c), linear, &value, size);
    if (UNLIKELY(c->engine.watchpoints))
        debug_watch(c, linear, size, true);
}

void load_bytes(struct cpu *c, u64 linear, void *out, u32 size)
{
    check_alignment(c, linear, size);
    read_bytes(c, current_context(c), linear, out, size);
    if (UNLIKELY(c->engine.watchpoints))
        debug_watch(c, linear, size, false);
}

void store_bytes(struct cpu *c, u64 linear, const void *data, u32 size)
{
    check_alignment(c, linear, size);
    write_bytes(c, current_context(c), linear, data, size);
    if (UNLIKELY(c->engine.watchpoints))
        debug_watch(c, linear, size, true);
}

u64 load_system(struct cpu *c, u64 linear, u32 size)
{
    u64 value = 0;
    read_bytes(c, TLB_KERNEL, linear, &value, size);
    return value;
}

void store_system(struct cpu *c, u64 linear, u32 size, u64 value)
{
    write_bytes(c, TLB_KERNEL, linear, &value, size);
}

void probe_read(struct cpu *c, u64 linear, u32 size)
{
    probe(c, current_context(c), linear, size, false);
}

void probe_write(struct cpu *c, u64 linear, u32 size)
{
    check_alignment(c, linear, size);
    probe(c, current_context(c), linear, size, true);
}

void probe_write_system(struct cpu *c, u64 linear, u32 size)
{
    probe(c, TLB_KERNEL, linear, size, true);
}

u8 *mmu_window(struct cpu *c, u64 linear, bool write)
{
    struct access_fault f;
    if (checks_alignment(c))
        return NULL;
    struct tlb_entry *e = entry_or_device(c, current_context(c), linear, write, &f);
    if (!e || e == &c->engine.mmu->watched ||
        (write && memory_holds_code(c->memory, TLB_FRAME(e->frame))))
        return NULL;
    if (UNLIKELY(write && memory_has_witness(c->memory))) {
        tell_of_store(c, TLB_FRAME(e->frame));
        e->wtag = e->rtag;
    }
    return e->host + (linear & PAGE_MASK);
}

/* --- Instruction fetch ------------------------------------------------------------------------ */

/* Finds the frame of the code at `linear` and brings it into the private view. False: *f says why
 * it could not. */
static bool fetch_frame(struct cpu *c, u64 linear, u64 *frame, struct access_fault *f)
{
    bool user = c->arch.cpl == 3;
    struct mmu *m = c->engine.mmu;
    struct fetch_entry *e = &m->fetch[user][(linear >> PAGE_SHIFT) & (FETCH_ENTRIES - 1)];
    u64 page = linear >> PAGE_SHIFT;
    if (LIKELY(e->page == page && e->epoch == m->fetch_epoch[e->global])) {
        *frame = e->frame;
        return true;
    }
    struct access access = {.fetch = true, .context = user ? TLB_USER : TLB_KERNEL};
    struct translation t;
    if (!mmu_translate(c, linear, access, &t, f))
        return false;
    *frame = t.frame;
    if (!memory_map(c->memory, t.frame, t.key))
        return true;
    bool global = t.flags & TLB_GLOBAL;
    *e = (struct fetch_entry){
        .page = page, .frame = t.frame, .epoch = m->fetch_epoch[global], .global = global};
    m->fetched = true;
    if (t.flags & TLB_LARGE)
        m->large_seen |= large_bit(linear);
    if (t.flags & TLB_HUGE)
        m->huge_seen |= huge_bit(linear);
    return true;
}

/* In 64-bit mode only, where RIP is the linear address. */
bool mmu_code_global(const struct cpu *c, u64 rip)
{
    const struct mmu *m = c->engine.mmu;
    u64 page = rip >> PAGE_SHIFT;
    const struct fetch_entry *e = &m->fetch[c->arch.cpl == 3][page & (FETCH_ENTRIES - 1)];
    return c->engine.mode & MODE_CODE64 && e->global && e->page == page &&
           e->epoch == m->fetch_epoch[1];
}

static u64 fetch_frame_or_raise(struct cpu *c, u64 linear)
{
    u64 frame;
    struct access_fault f;
    if (!fetch_frame(c, linear, &frame, &f))
        mmu_raise(c, &f, &(struct access){.fetch = true});
    if (frame >= memory_size(c->memory) >>
        PAGE_SHIFT) /* nothing answers: FF FF is not an instruction */
        cpu_raise_ud(c);
    return frame;
}

/* Returns the linear address of the code at rip; *room is the number of bytes up to the end of the
 * segment or of the canonical half. */
static u64 code_linear(struct cpu *c, u64 rip, u64 *room)
{
    if (c->engine.mode & MODE_CODE64) {
        if (!canonical(rip))
            cpu_raise_gp(c, 0);
        *room = rip < CANONICAL_LOW_END ? CANONICAL_LOW_END - rip : 0 - rip;
        if (*room == 0)
            *room = ~0ull;
        return rip;
    }
    const struct segment *cs = &c->arch.seg[SEG_CS];
    rip &= 0xffffffffu;
    if (rip > cs->limit)
        cpu_raise_gp(c, 0);
    *room = (u64)cs->limit - rip + 1;
    return (u32)(cs->base + rip);
}

u64 mmu_code_address(struct cpu *c, u64 rip)
{
    u64 room;
    u64 linear = code_linear(c, rip, &room);
    return fetch_frame_or_raise(c, linear) << PAGE_SHIFT | (linear & PAGE_MASK);
}

static void fetch_part(struct cpu *c, u64 frame, u64 linear, u8 *out, u32 size)
{
    memory_key key = c->guest.sev ? c->guest.key : KEY_RAW;
    const u8 *host = memory_map(c->memory, frame, key);
    if (!host)
        return;
    memcpy(out, host + (linear & PAGE_MASK), size);
}

u32 mmu_fetch(struct cpu *c, u64 rip, u8 bytes[15], u64 *spa)
{
    u64 room;
    u64 linear = code_linear(c, rip, &room);
    u64 frame = fetch_frame_or_raise(c, linear);
    *spa = frame << PAGE_SHIFT | (linear & PAGE_MASK);
    u32 wanted = (u32)min_u64(15, room);
    u32 n = first_part(linear, wanted);
    fetch_part(c, frame, linear, bytes, n);
    if (n == wanted)
        return n;
    struct access_fault f;
    u64 next = next_page(c, linear);
    if (!fetch_frame(c, next, &frame, &f) || frame >= memory_size(c->memory) >> PAGE_SHIFT)
        return n;
    fetch_part(c, frame, next, bytes + n, wanted - n);
    return wanted;
}
