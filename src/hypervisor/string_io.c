/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INS and OUTS of a guest whose memory the host can read: one element an exit, through a walk of
 * the guest's own page tables. An encrypted guest's tables are ciphertext to us, so its string I/O
 * ends it with a clear word.
 */
#include "hypervisor/internal.h"

/* Walks the guest's tables for a linear address; false: not mapped (the guest gets #PF). */
static bool translate(struct vcpu *c, u64 linear, u64 *gpa)
{
    const struct vmcb_save *save = &c->vmcb.save;
    if (!(save->cr0 & CR0_PG)) {
        *gpa = linear & 0xffffffff;
        return true;
    }
    bool wide = save->cr4 & CR4_PAE, long_mode = save->efer & EFER_LMA;
    u32 bits = wide ? 9 : 10, entry_size = wide ? 8 : 4, shift = long_mode ? 39 : wide ? 30 : 22;
    u64 table = save->cr3 & (long_mode ? PTE_ADDRESS
                             : wide    ? 0xffffffe0ull
                                       : 0xfffff000ull),
        entry = 0;
    for (;; shift -= bits) {
        u64 index = linear >> shift & (shift == 30 && !long_mode ? 3 : BIT(bits) - 1);
        entry = 0;
        if (!vm_read(c->vm, table + index * entry_size, &entry, entry_size) || !(entry & PTE_P))
            return false;
        bool leaf = shift == 12 || ((entry & PTE_PS) &&
                                    (shift == 21 || shift == 22 || (shift == 30 && long_mode)));
        if (leaf)
            break;
        table = entry & PTE_ADDRESS;
    }
    *gpa = (entry & PTE_ADDRESS & ~(BIT(shift) - 1)) | (linear & (BIT(shift) - 1));
    return true;
}

static u64 segment_base(struct vcpu *c, u32 segment)
{
    const struct vmcb_save *save = &c->vmcb.save;
    const struct vmcb_segment *plain[] = {&save->es, &save->cs, &save->ss, &save->ds};
    if (segment >= 4) {
        struct vmcb_segment s = {0};
        host_vmsave(c->vm->hv->host, c->core, c->vmcb_spa);
        host_read(
            c->vm->hv->host,
            c->vmcb_spa + 0x400 +
                (segment == 4 ? offsetof(struct vmcb_save, fs) : offsetof(struct vmcb_save, gs)),
            &s, sizeof s);
        return s.base;
    }
    if ((save->efer & EFER_LMA) && (save->cs.attributes & SEG_L))
        return 0;
    return plain[segment]->base;
}

static bool string_element(struct vcpu *c, u64 linear, u64 port, u32 size, bool in)
{
    u8 bytes[4] = {0};
    u64 gpa[4];
    for (u32 i = 0; i < size; i++) {
        if (!translate(c, linear + i, &gpa[i])) {
            c->vmcb.save.cr2 = linear + i;
            host_write(c->vm->hv->host, c->vmcb_spa + 0x400 + offsetof(struct vmcb_save, cr2),
                       &c->vmcb.save.cr2, 8);
            vcpu_raise(c, VECTOR_PF, true, in ? PF_WRITE : 0);
            return false;
        }
    }
    if (in)
        store_le32(bytes, (u32)bus_read(&c->vm->board.ports, port, size));
    for (u32 i = 0; i < size; i++) {
        if (in)
            vm_write(c->vm, gpa[i], &bytes[i], 1);
        else
            vm_read(c->vm, gpa[i], &bytes[i], 1);
    }
    if (!in)
        bus_write(&c->vm->board.ports, port, size, bus_truncate(load_le32(bytes), size));
    return true;
}

void string_io(struct vcpu *c, u64 info, u64 next_rip)
{
    const bool in = info & IOIO_IN, rep = info & IOIO_REP;
    const u32 size = (u32)(info >> IOIO_SIZE_SHIFT & 7), index = in ? 7 : 6;
    const u32 width = (u32)(info >> IOIO_ASIZE_SHIFT & 7) * 2; /* 2, 4 or 8 bytes */
    if (c->vm->config.plan->mode != IMAGE_NONE) {
        vm_end(c->vm, VM_CRASHED,
               "string I/O of an encrypted guest at RIP %#llx: its memory cannot be read",
               (unsigned long long)c->vmcb.save.rip);
        return;
    }
    const u64 mask = width == 8 ? ~0ull : BIT(8 * width) - 1, at = vcpu_get(c, index),
              count = vcpu_get(c, 1);
    if (rep && !(count & mask)) {
        vcpu_advance(c, next_rip);
        return;
    }
    u64 base = segment_base(c, in ? 0 : (u32)(info >> IOIO_SEG_SHIFT & 7));
    if (!string_element(c, base + (at & mask), info >> IOIO_PORT_SHIFT & 0xffff, size, in))
        return;
    u64 step = c->vmcb.save.rflags & RFLAGS_DF ? (u64)0 - size : size;
    vcpu_set(c, index, (at & ~mask) | ((at + step) & mask));
    if (rep)
        vcpu_set(c, 1, (count & ~mask) | ((count - 1) & mask));
    if (!rep || !((count - 1) & mask))
        vcpu_advance(c, next_rip);
}
