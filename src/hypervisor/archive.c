/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves and loads what the hypervisor holds of a VM. What is loaded is hostile: VMRUN checks the
 * registers that it loads, and refuses them; everything that the hypervisor itself works with is
 * checked here.
 */
#include "hypervisor/internal.h"

#define YEARS_LIMIT BIT(40) /* seconds since 1970 */

/* --- A processor ------------------------------------------------------------------------------ */

/* The bits of intercept_3 that follow the guest's state. */
#define INTERCEPTS_THAT_MOVE ((u32)(INTERCEPT3_IRET | INTERCEPT3_VINTR | INTERCEPT3_PAUSE))

/* The registers of the VMCB. VMLOAD's are in memory only. */
static void save_area_archive(struct vcpu *c, struct archive *a)
{
    struct host *h = c->vm->hv->host;
    struct vmcb page;
    if (a->loading || vm_is_es(c->vm)) {
        archive_bytes(a, &c->vmcb.save, sizeof c->vmcb.save);
        return;
    }
    vcpu_write_vmcb(c);
    if (!host_read(h, c->vmcb_spa, &page, sizeof page))
        archive_fail(a, ERROR_INTERNAL, "the VMCB cannot be read");
    archive_bytes(a, &page.save, sizeof page.save);
}

static void control_archive(struct vcpu *c, struct archive *a)
{
    struct vmcb_control *control = &c->vmcb.control;
    u32 intercepts = control->intercept_3 & INTERCEPTS_THAT_MOVE;
    archive_u32(a, &intercepts);
    archive_u64(a, &control->exit_int_info);
    archive_u64(a, &control->interrupt_shadow);
    archive_u64(a, &control->ghcb_gpa);
    if (!a->loading || a->failed)
        return;
    control->intercept_3 &= ~INTERCEPTS_THAT_MOVE;
    control->intercept_3 |= intercepts & INTERCEPTS_THAT_MOVE;
    control->tlb_control = TLB_FLUSH_ASID;
}

/* The state that VMRUN does not switch. */
static void extended_archive(struct vcpu *c, struct archive *a)
{
    archive_u64s(a, c->gpr, ARRAY_SIZE(c->gpr));
    archive_u64s(a, c->dr, ARRAY_SIZE(c->dr));
    archive_u64(a, &c->xcr0);
    archive_check(a, vm_is_es(c->vm) || vcpu_xcr0_is_right(c->xcr0), "XCR0");
    archive_u64(a, &c->tsc_aux);
    archive_bytes(a, c->xsave, sizeof c->xsave);
    archive_u64s(a, c->mtrr, MTRR_COUNT);
    archive_u64(a, &c->mtrr_default);
    archive_u64(a, &c->kvm_clock);
}

static void progress_archive(struct vcpu *c, struct archive *a)
{
    bool *const flags[] = {&c->halted, &c->yields,          &c->waiting,     &c->init,
                           &c->nmi,    &c->ghcb_registered, &c->nmi_blocked, &c->iret_seen};
    const struct host *h = c->vm->hv->host;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        archive_bool(a, flags[i]);
    archive_u32_below(a, &c->startup, 0x200, "a STARTUP");
    archive_u64_below(a, &c->created, host_memory_size(h), "the address of a VMSA");
    archive_u8(a, &c->creation);
    archive_check(a, c->creation < STARTUP_CREATIONS && (!c->created || vm_is_snp(c->vm)),
                  "AP creation");
    archive_u64(a, &c->hold);
    archive_u64(a, &c->exception);
    archive_u64(a, &c->ghcb_gpa);
    archive_u64(a, &c->iret_rip);
}

void vcpu_archive(struct vcpu *c, struct archive *a)
{
    archive_section(a, "vcpu", 1);
    if (c->completing)
        archive_fail(a, ERROR_INTERNAL, "the processor is in the middle of an instruction");
    vcpu_leave_core(c);
    control_archive(c, a);
    save_area_archive(c, a);
    extended_archive(c, a);
    progress_archive(c, a);
    c->save_changed = false;
    if (a->loading && !a->failed &&
        !host_write(c->vm->hv->host, c->vmcb_spa, &c->vmcb, sizeof c->vmcb))
        archive_fail(a, ERROR_INTERNAL, "the VMCB cannot be written");
}

/* --- A VM ------------------------------------------------------------------------------------- */

static void pages_archive(struct vm *vm, struct archive *a)
{
    archive_section(a, "pages", 1);
    archive_bool(a, &vm->migration_ready);
    archive_same(a, vm->page_count, "the number of pages");
    archive_bytes(a, vm->pages, vm->page_count);
    for (u64 i = 0; a->loading && i < vm->page_count; i++)
        vm->pages[i] &= PAGE_TOLD | PAGE_USED;
}

static void ending_archive(struct vm *vm, struct archive *a)
{
    archive_enum(a, vm->state, VM_CRASHED + 1u, "the VM's state");
    archive_bytes(a, vm->reason, sizeof vm->reason);
    vm->reason[sizeof vm->reason - 1] = '\0';
    for (char *at = vm->reason; a->loading && *at; at++)
        *at = *at < ' ' || *at > '~' ? '?' : *at;
    archive_u32(a, &vm->debug_exit_code);
    archive_bool(a, &vm->terminated);
    archive_u32(a, &vm->terminate_set);
    archive_u32(a, &vm->terminate_reason);
}

static void counters_archive(struct vm *vm, struct archive *a)
{
    archive_u64(a, &vm->guest_ns);
    archive_u64s(a, vm->exits, ARRAY_SIZE(vm->exits));
    archive_u64s(a, vm->vmgexits, ARRAY_SIZE(vm->vmgexits));
    archive_u64s(a, vm->page_changes, ARRAY_SIZE(vm->page_changes));
    archive_u64(a, &vm->dma_page);
}

void vm_archive(struct vm *vm, struct archive *a)
{
    bool hidden = vm->flash_hidden;
    archive_section(a, "vm", 1);
    archive_same(a, vm->config.plan->mode, "the VM's mode");
    archive_same(a, vm->cpu_count, "the number of processors");
    archive_u64_below(a, &vm->config.rtc_seconds, YEARS_LIMIT, "the time of day");
    archive_u32_below(a, &vm->turn, vm->cpu_count, "whose turn it is");
    archive_u64(a, &vm->jump_table);
    archive_bool(a, &hidden);
    ending_archive(vm, a);
    counters_archive(vm, a);
    pages_archive(vm, a);
    for (u32 i = 0; i < vm->cpu_count; i++)
        vcpu_archive(&vm->cpus[i], a);
    board_archive(vm->board, a);
    if (a->loading && !a->failed && vm->config.flash.bytes)
        vm_flash_shows(vm, !hidden);
    vm_wake(vm);
}
