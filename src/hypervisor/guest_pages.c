/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host knows of a SEV or SEV-ES guest's pages. The C-bit is in the guest's own page
 * tables, which the host cannot read. So the guest says by hypercall which pages it shares, as on
 * KVM [cpu 9.8]. Until it says something of a page, the page is private, unless the host has itself
 * used it for the guest: a GHCB, a page of KVM's clock, a device's buffer. Migration needs this: a
 * private page goes through the firmware, a shared one does not.
 */
#include "hypervisor/internal.h"

#include <stdlib.h>

bool guest_pages_create(struct vm *vm)
{
    if (vm->config.plan->mode == IMAGE_NONE || vm_is_snp(vm))
        return true;
    vm->page_count = (vm->chunk_count + vm->snp.flash_chunks) * (CHUNK_SIZE / PAGE_SIZE);
    vm->pages = calloc(vm->page_count, sizeof *vm->pages);
    return vm->pages;
}

u64 guest_page_address(const struct vm *vm, u64 page)
{
    const u64 offset = page * PAGE_SIZE, ram = vm->chunk_count * CHUNK_SIZE;
    if (offset >= ram)
        return vm->snp.flash_gpa + (offset - ram);
    return offset < BOARD_LOW_RAM_END ? offset : offset - BOARD_LOW_RAM_END + BOARD_HIGH_RAM;
}

u64 guest_page_index(const struct vm *vm, u64 gpa)
{
    const u64 chunk = vm->pages ? vm_chunk(vm, gpa) : FRAME_NONE;
    return chunk == FRAME_NONE ? FRAME_NONE
                               : chunk * (CHUNK_SIZE / PAGE_SIZE) + gpa % CHUNK_SIZE / PAGE_SIZE;
}

/* Changes the bits of all pages of a range, which a guest may have chosen. */
static void change(struct vm *vm, u64 gpa, u64 size, u8 clear, u8 set)
{
    if (!vm->pages || !size || size - 1 > UINT64_MAX - gpa)
        return;
    for (u64 at = gpa / PAGE_SIZE; at <= (gpa + (size - 1)) / PAGE_SIZE; at++) {
        const u64 page = guest_page_index(vm, at * PAGE_SIZE);
        if (page != FRAME_NONE)
            vm->pages[page] = (u8)((vm->pages[page] & ~clear) | set);
    }
}

void guest_pages_note(struct vm *vm, u64 gpa, u64 size, u8 what)
{
    change(vm, gpa, size, 0, what);
}

void guest_pages_launched(struct vm *vm, u64 gpa, u64 size)
{
    change(vm, gpa, size, 0xff, 0);
}

bool guest_page_is_shared(const struct vm *vm, u64 page)
{
    const u8 known = vm->pages[page];
    return known & PAGE_TOLD ? known & PAGE_TOLD_SHARED : known & PAGE_USED;
}

/* Records what the guest says of the pages of one chunk from `gpa` to `end`. */
static void tell_chunk(struct vm *vm, u64 chunk, u64 gpa, u64 end, u8 told)
{
    u8 *pages = vm->pages + chunk * (CHUNK_SIZE / PAGE_SIZE);
    const u64 start = guest_page_address(vm, chunk * (CHUNK_SIZE / PAGE_SIZE));
    for (u64 i = 0; i < CHUNK_SIZE / PAGE_SIZE; i++) {
        const u64 at = start + i * PAGE_SIZE;
        if (at >= gpa && at < end)
            pages[i] = (u8)((pages[i] & ~PAGE_TOLD) | told);
    }
}

/* Carries out KVM_HC_MAP_GPA_RANGE. Addresses without memory are of no interest. */
s64 guest_pages_tell(struct vm *vm, u64 gpa, u64 count, u64 attributes)
{
    const u64 limit = BIT(52);
    if (!vm->pages)
        return HYPERCALL_UNKNOWN;
    if (gpa % PAGE_SIZE || !count || gpa >= limit || count > (limit - gpa) / PAGE_SIZE)
        return HYPERCALL_INVALID;
    const u64 end = gpa + count * PAGE_SIZE, chunks = vm->chunk_count + vm->snp.flash_chunks;
    const bool private = attributes & HYPERCALL_RANGE_ENCRYPTED;
    for (u64 i = 0; i < chunks; i++) {
        const u64 start = guest_page_address(vm, i * (CHUNK_SIZE / PAGE_SIZE));
        if (start < end && start + CHUNK_SIZE > gpa)
            tell_chunk(vm, i, gpa, end, private ? PAGE_TOLD_PRIVATE : PAGE_TOLD_SHARED);
    }
    return 0;
}
