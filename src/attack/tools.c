/* SPDX-License-Identifier: Apache-2.0 */
/* What a malicious host does with a guest that it runs: VMRUN with a VMCB and nested tables that it
 * has changed. */
#include "attack/internal.h"

#include "abi/x86.h"
#include "base/bytes.h"

#define A_MOMENT_NS 3000u

bool tool_vmrun(struct experiment *b, u64 event, bool flush, struct vmcb *out)
{
    u64 at = vm_vmcb(b->vm, 0);
    if (!host_read(b->host, at, out, sizeof *out))
        return false;
    out->control.event_inject = event;
    if (flush)
        out->control.tlb_control = TLB_FLUSH_ALL;
    return host_write(b->host, at, &out->control, sizeof out->control) &&
           host_vmrun(b->host, 0, at, host_time_ns(b->host) + A_MOMENT_NS) &&
           host_read(b->host, at, out, sizeof *out);
}

bool tool_answer(struct experiment *b, u64 value)
{
    return host_write(b->host, vm_vmcb(b->vm, 0) + offsetof(struct vmcb, control.ghcb_gpa), &value,
                      sizeof value);
}

void tool_last_exit(struct experiment *b, struct vmcb_control *out)
{
    if (!host_read(b->host, vm_vmcb(b->vm, 0), out, sizeof *out))
        memset(out, 0, sizeof *out);
}

bool tool_fault_of_rmp(const struct vmcb_control *control)
{
    return control->exit_code == EXIT_NPF && control->exit_info_1 & NPF_RMP;
}

/* Returns the system address of the 2 MiB leaf that maps a guest address. */
static u64 find_leaf(struct experiment *b, u64 gpa, u64 *entry)
{
    u64 table = vm_nested_tables(b->vm), at = VM_NOWHERE;
    for (u32 shift = 39; shift >= 21; shift -= 9) {
        at = table + (gpa >> shift & 511) * 8;
        if (!host_read(b->host, at, entry, sizeof *entry) || !(*entry & PTE_P))
            return VM_NOWHERE;
        table = *entry & PTE_ADDRESS;
    }
    return *entry & PTE_PS ? at : VM_NOWHERE;
}

bool tool_exchange(struct experiment *b, u64 gpa, u64 other)
{
    u64 one, two, at_one = find_leaf(b, gpa, &one), at_two = find_leaf(b, other, &two);
    return at_one != VM_NOWHERE && at_two != VM_NOWHERE &&
           host_write(b->host, at_one, &two, sizeof two) &&
           host_write(b->host, at_two, &one, sizeof one);
}

bool tool_finds(const u8 *bytes, size_t size, u64 value)
{
    for (size_t i = 0; i + 8 <= size; i++)
        if (load_le64(bytes + i) == value)
            return true;
    return false;
}
