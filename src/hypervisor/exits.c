/* SPDX-License-Identifier: Apache-2.0 */
/* Exit handling: one table, one function for each kind of exit [APM2 15.9, App. C]. */
#include <stdio.h>

#include "hypervisor/internal.h"

enum exit_kind {
    KIND_IO,
    KIND_MMIO,
    KIND_MSR,
    KIND_CPUID,
    KIND_HLT,
    KIND_INTR,
    KIND_VINTR,
    KIND_PAUSE,
    KIND_OTHER,
    KIND_VMGEXIT,
    KIND_WRITE_TRAP,
    KINDS
};

static const char *const kind_names[KINDS] = {"io",    "mmio",    "msr",       "cpuid",
                                              "hlt",   "intr",    "vintr",     "pause",
                                              "other", "vmgexit", "write_trap"};

const char *exits_kind_name(u32 kind)
{
    return kind_names[kind];
}

u32 exits_kinds(const struct vm *vm)
{
    return vm_is_es(vm) ? KINDS : KIND_OTHER + 1;
}

/* Describes where the guest was, as far as the host can know. */
static const char *exits_where(const struct vcpu *c, char text[40])
{
    text[0] = 0;
    if (!vm_is_es(c->vm))
        snprintf(text, 40, " at RIP %#llx", (unsigned long long)c->vmcb.save.rip);
    return text;
}

/* Replaces the low `size` bytes of a register as the processor does: a 32-bit write clears the
 * upper half. */
static u64 merge(u64 old, u64 value, u32 size)
{
    if (size >= 8)
        return value;
    if (size == 4)
        return value & 0xffffffff;
    u64 mask = BIT(8 * size) - 1;
    return (old & ~mask) | (value & mask);
}

void exits_nothing(struct vcpu *c)
{
    (void)c;
}

static void exit_skip(struct vcpu *c)
{
    vcpu_advance(c, c->vmcb.control.next_rip);
}

void exits_undefined(struct vcpu *c)
{
    vcpu_raise(c, VECTOR_UD, false, 0);
}

void exits_protected(struct vcpu *c)
{
    vcpu_raise(c, VECTOR_GP, true, 0);
}

static void exit_shutdown(struct vcpu *c)
{
    char where[40];
    vm_end(c->vm, VM_CRASHED, "triple fault%s", exits_where(c, where));
}

void exits_cpuid(struct vcpu *c)
{
    u32 out[4];
    cpuid_answer(c, (u32)vcpu_get(c, RAX), (u32)vcpu_get(c, RCX), out);
    vcpu_set(c, RAX, out[0]);
    vcpu_set(c, RBX, out[1]);
    vcpu_set(c, RCX, out[2]);
    vcpu_set(c, RDX, out[3]);
    exit_skip(c);
}

static void exit_hlt(struct vcpu *c)
{
    char where[40], what[80];
    exit_skip(c);
    c->halted = true;
    if (!(c->vmcb.save.rflags & RFLAGS_IF)) {
        snprintf(what, sizeof what, "%s: HLT with interrupts off", exits_where(c, where));
        vcpu_check_alive(c, what);
    }
}

/* Handles the IRET that ends an NMI handler. The next NMI waits until this IRET has retired. */
static void exit_iret(struct vcpu *c)
{
    c->vmcb.control.intercept_3 &= (u32)~INTERCEPT3_IRET;
    c->iret_seen = true;
    c->iret_rip = c->vmcb.save.rip;
}

static void exit_pause(struct vcpu *c)
{
    exit_skip(c);
    c->yields = true;
}

void exits_msr(struct vcpu *c)
{
    u32 msr = (u32)vcpu_get(c, RCX);
    u64 value = (vcpu_get(c, RAX) & 0xffffffff) | vcpu_get(c, RDX) << 32;
    bool write = c->vmcb.control.exit_info_1 & 1;
    bool known = write ? vcpu_msr_write(c, msr, value) : vcpu_msr_read(c, msr, &value);
    if (!known) {
        trace_event(host_trace(c->vm->hv->host), TRACE_VM, "MSR_REFUSED", "vm=%s msr=%#x %s",
                    c->vm->config.name, msr, write ? "write" : "read");
        exits_protected(c);
        return;
    }
    if (!write) {
        vcpu_set(c, RAX, value & 0xffffffff);
        vcpu_set(c, RDX, value >> 32);
    }
    exit_skip(c);
}

/* Answers a hypercall as KVM does: it knows one, for the kernel of a SEV or SEV-ES guest. */
void exits_vmmcall(struct vcpu *c)
{
    s64 answer = HYPERCALL_UNKNOWN;
    if (vcpu_get(c, RAX) == HYPERCALL_MAP_GPA_RANGE && c->vm->pages)
        answer = c->vmcb.save.cpl ? HYPERCALL_NOT_ALLOWED
                                  : guest_pages_tell(c->vm, vcpu_get(c, RBX), vcpu_get(c, RCX),
                                                     vcpu_get(c, RDX));
    vcpu_set(c, RAX, (u64)answer);
    exit_skip(c);
}

/* --- Ports ------------------------------------------------------------------------------------ */

void exits_spend_port(struct vcpu *c)
{
    host_spend(c->vm->hv->host, COST_PORT_NS);
    vm_board_set_time(c->vm);
}

void exits_io_register(struct vcpu *c)
{
    u64 info = c->vmcb.control.exit_info_1;
    u64 port = info >> IOIO_PORT_SHIFT & 0xffff;
    u32 size = (u32)(info >> IOIO_SIZE_SHIFT & 7);
    if (info & IOIO_IN)
        vcpu_set(c, RAX, merge(vcpu_get(c, RAX), board_port_read(c->vm->board, port, size), size));
    else
        board_port_write(c->vm->board, port, size, vcpu_get(c, RAX));
}

/* --- Memory-mapped registers ------------------------------------------------------------------ */

u64 mmio_read(struct vcpu *c, u64 gpa, u32 size)
{
    u64 left, value = 0;
    if (!board_is_lapic(c->vm->board, c->index, gpa) && vm_spa(c->vm, gpa, &left) != FRAME_NONE)
        return vm_read(c->vm, gpa, &value, size) ? value : ~0ull;
    return board_memory_read(c->vm->board, c->index, gpa, size);
}

void mmio_write(struct vcpu *c, u64 gpa, u32 size, u64 value)
{
    board_memory_write(c->vm->board, c->index, gpa, size, value);
}

/* --- Instructions that the core finishes ------------------------------------------------------ */

/* Carries out one device access of an instruction that the core then continues (machine/host.h).
 * Returns false if the exit was not for such an access. */
static bool device_exit(struct vcpu *c)
{
    struct host *h = c->vm->hv->host;
    struct device_access a;
    u64 value = 0;
    if (!host_device_access(h, c->core, &a))
        return false;
    if (a.port && a.write)
        board_port_write(c->vm->board, a.address, a.size, a.value);
    else if (a.port)
        value = board_port_read(c->vm->board, a.address, a.size);
    else if (a.write && !a.probe)
        mmio_write(c, a.address, a.size, a.value);
    else if (!a.write)
        value = mmio_read(c, a.address, a.size);
    host_device_answer(h, c->core, value);
    c->completing = true;
    return true;
}

/* Refuses string I/O of an encrypted guest: no host can emulate it, because it cannot read the
 * guest's memory. Such guests use single INs and OUTs. */
static void string_io(struct vcpu *c)
{
    char where[40];
    if (c->vm->config.plan->mode != IMAGE_NONE)
        vm_end(c->vm, VM_CRASHED, "string I/O of an encrypted guest%s: its memory cannot be read",
               exits_where(c, where));
    else if (!device_exit(c))
        vm_end(c->vm, VM_CRASHED, "string I/O%s that the core does not finish",
               exits_where(c, where));
}

static void exit_io(struct vcpu *c)
{
    u64 info = c->vmcb.control.exit_info_1, next = c->vmcb.control.exit_info_2;
    exits_spend_port(c);
    if (info & IOIO_STRING) {
        string_io(c);
        return;
    }
    exits_io_register(c);
    vcpu_advance(c, next);
}

/* Marks addresses without RAM as device memory at the first access. The instruction is executed
 * again; from now on the guest gets a #VC. */
static void mmio_mark(struct vcpu *c, u64 gpa)
{
    if (gpa >> 48 || !npt_mark_mmio(&c->vm->npt, c->vm->hv->host, &c->vm->hv->frames, gpa))
        vm_end(c->vm, VM_CRASHED, "no nested page tables for a device at guest address %#llx",
               (unsigned long long)gpa);
}

/* Returns true for a write to the flash image, which is read-only: the instruction completes, the
 * byte does not change. */
static bool writes_rom(const struct vm *vm, u64 gpa, u64 info)
{
    bool flash = vm->snp.flash_chunks && gpa >= vm->snp.flash_gpa && gpa < GIB(4);
    return flash && !vm_is_es(vm) && (info & NPF_WRITE) && !(info & NPF_TABLE);
}

static void exit_npf(struct vcpu *c)
{
    const struct vmcb_control *control = &c->vmcb.control;
    u64 gpa = control->exit_info_2, info = control->exit_info_1, left;
    char where[40];
    if (info & NPF_RMP && snp_page_fault(c, gpa, info))
        return;
    bool rom = writes_rom(c->vm, gpa, info);
    if ((vm_spa(c->vm, gpa, &left) != FRAME_NONE && !rom) || (info & (NPF_FETCH | NPF_TABLE)))
        vm_end(c->vm, VM_CRASHED, "nested page fault %#llx on guest address %#llx%s",
               (unsigned long long)info, (unsigned long long)gpa, exits_where(c, where));
    else if (vm_is_es(c->vm))
        mmio_mark(c, gpa);
    else if (!device_exit(c))
        vm_end(c->vm, VM_CRASHED, "nested page fault %#llx on the device at %#llx%s",
               (unsigned long long)info, (unsigned long long)gpa, exits_where(c, where));
}

/* --- Writes of a SEV-ES guest to its own registers: RIP is already past the instruction ------- */

static void trap_efer(struct vcpu *c)
{
    c->vmcb.save.efer = c->vmcb.control.exit_info_1;
}

static void trap_cr0(struct vcpu *c)
{
    c->vmcb.save.cr0 = c->vmcb.control.exit_info_1;
}

static void trap_cr4(struct vcpu *c)
{
    c->vmcb.save.cr4 = c->vmcb.control.exit_info_1;
}

static void trap_cr8(struct vcpu *c)
{
    lapic_set_cr8(c->lapic, (u8)(c->vmcb.control.exit_info_1 & 0xf));
}

/* --- The table -------------------------------------------------------------------------------- */

struct exit_row {
    enum exit_kind kind;
    void (*handle)(struct vcpu *c);
    bool automatic; /* SEV-ES guests have this exit too; others are a #VC there [cpu 6.1] */
};

// clang-format off
static const struct exit_row rows[] = {
    [EXIT_INTR]                = {KIND_INTR,       exits_nothing,  true},
    [EXIT_NMI]                 = {KIND_OTHER,      exits_nothing,  true},
    [EXIT_SMI]                 = {KIND_OTHER,      exits_nothing,  true},
    [EXIT_INIT]                = {KIND_OTHER,      exits_nothing,  true},
    [EXIT_VINTR]               = {KIND_VINTR,      exits_nothing,  true},
    [EXIT_RDPMC]               = {KIND_OTHER,      exits_protected, false},
    [EXIT_IRET]                = {KIND_OTHER,      exit_iret,      false},
    [EXIT_CPUID]               = {KIND_CPUID,      exits_cpuid,    false},
    [EXIT_RSM]                 = {KIND_OTHER,      exits_undefined, false},
    [EXIT_INVD]                = {KIND_OTHER,      exit_skip,      false},
    [EXIT_HLT]                 = {KIND_HLT,        exit_hlt,       true},
    [EXIT_PAUSE]               = {KIND_PAUSE,      exit_pause,     true},
    [EXIT_INVLPGA]             = {KIND_OTHER,      exits_undefined, false},
    [EXIT_IOIO]                = {KIND_IO,         exit_io,        false},
    [EXIT_MSR]                 = {KIND_MSR,        exits_msr,      false},
    [EXIT_SHUTDOWN]            = {KIND_OTHER,      exit_shutdown,  true},
    [EXIT_VMRUN]               = {KIND_OTHER,      exits_undefined, false},
    [EXIT_VMMCALL]             = {KIND_OTHER,      exits_vmmcall,  false},
    [EXIT_VMLOAD]              = {KIND_OTHER,      exits_undefined, false},
    [EXIT_VMSAVE]              = {KIND_OTHER,      exits_undefined, false},
    [EXIT_STGI]                = {KIND_OTHER,      exits_undefined, false},
    [EXIT_CLGI]                = {KIND_OTHER,      exits_undefined, false},
    [EXIT_SKINIT]              = {KIND_OTHER,      exits_undefined, false},
    [EXIT_MONITOR]             = {KIND_OTHER,      exits_undefined, false},
    [EXIT_MWAIT]               = {KIND_OTHER,      exits_undefined, false},
    [EXIT_RDPRU]               = {KIND_OTHER,      exits_undefined, false},
    [EXIT_EFER_WRITE_TRAP]     = {KIND_WRITE_TRAP, trap_efer,      true},
    [EXIT_CR_WRITE_TRAP + 0] = {KIND_WRITE_TRAP, trap_cr0,  true},
    [EXIT_CR_WRITE_TRAP + 4] = {KIND_WRITE_TRAP, trap_cr4,  true},
    [EXIT_CR_WRITE_TRAP + 8] = {KIND_WRITE_TRAP, trap_cr8,  true},
};
// clang-format on

static const struct exit_row row_npf = {KIND_MMIO, exit_npf, true};
static const struct exit_row row_vmgexit = {KIND_VMGEXIT, ghcb_handle, true};

static const struct exit_row *exit_row(const struct vcpu *c, u64 code)
{
    const struct exit_row *row = code < ARRAY_SIZE(rows)                   ? &rows[code]
                                 : code == EXIT_NPF                        ? &row_npf
                                 : code == EXIT_VMGEXIT && vm_is_es(c->vm) ? &row_vmgexit
                                                                           : NULL;
    return row && row->handle && (row->automatic || !vm_is_es(c->vm)) ? row : NULL;
}

void exits_handle(struct vcpu *c)
{
    u64 code = c->vmcb.control.exit_code;
    const struct exit_row *row = exit_row(c, code);
    if (!row) {
        c->vm->exits[KIND_OTHER]++;
        if (code == EXIT_INVALID && c->created)
            vm_end(c->vm, VM_CRASHED,
                   "VMRUN refused processor %u with the registers that the guest made for it",
                   c->index);
        else if (code == EXIT_INVALID)
            vm_end(c->vm, VM_CRASHED, "VMRUN refused the state of the guest (INVALID)");
        else
            vm_end(c->vm, VM_CRASHED, "exit %#llx that nobody asked for", (unsigned long long)code);
        return;
    }
    c->vm->exits[row->kind]++;
    row->handle(c);
}
