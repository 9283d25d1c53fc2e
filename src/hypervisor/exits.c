/* SPDX-License-Identifier: Apache-2.0 */
/* Exits and what is done about each: one table, one function a kind [APM2 15.9, App. C]. */
#include <stdio.h>

#include "hypervisor/internal.h"
#include "hypervisor/mmio.h"

#define PORT_COST_NS 1000u /* of machine time: an ISA access */

enum exit_kind {
    KIND_IO,
    KIND_MMIO,
    KIND_MSR,
    KIND_CPUID,
    KIND_HLT,
    KIND_INTR,
    KIND_VINTR,
    KIND_OTHER,
    KIND_VMGEXIT,
    KIND_WRITE_TRAP,
    KINDS
};

static const char *const kind_names[KINDS] = {"io",   "mmio",  "msr",   "cpuid",   "hlt",
                                              "intr", "vintr", "other", "vmgexit", "write_trap"};

const char *exits_kind_name(u32 kind)
{
    return kind_names[kind];
}

u32 exits_kinds(const struct vm *vm)
{
    return vm_is_es(vm) ? KINDS : KIND_OTHER + 1;
}

/* Where a guest was, as far as we may know. */
static const char *exits_where(const struct vm *vm, char text[40])
{
    text[0] = 0;
    if (!vm_is_es(vm))
        snprintf(text, 40, " at RIP %#llx", (unsigned long long)vm->cpu.vmcb.save.rip);
    return text;
}

/* A register's low `size` bytes replaced, as the processor does it: 32 bits clear the upper half.
 * */
static u64 merge(u64 old, u64 value, u32 size)
{
    if (size >= 8)
        return value;
    if (size == 4)
        return value & 0xffffffff;
    u64 mask = BIT(8 * size) - 1;
    return (old & ~mask) | (value & mask);
}

void exits_nothing(struct vm *vm)
{
    (void)vm;
}

static void exit_skip(struct vm *vm)
{
    vcpu_advance(vm, vm->cpu.vmcb.control.next_rip);
}

void exits_undefined(struct vm *vm)
{
    vcpu_raise(vm, VECTOR_UD, false, 0);
}

void exits_protected(struct vm *vm)
{
    vcpu_raise(vm, VECTOR_GP, true, 0);
}

static void exit_shutdown(struct vm *vm)
{
    char where[40];
    vm_end(vm, VM_CRASHED, "triple fault%s", exits_where(vm, where));
}

void exits_cpuid(struct vm *vm)
{
    u32 out[4];
    cpuid_answer(vm, (u32)vcpu_get(vm, 0), (u32)vcpu_get(vm, 1), out);
    vcpu_set(vm, 0, out[0]);
    vcpu_set(vm, 3, out[1]);
    vcpu_set(vm, 1, out[2]);
    vcpu_set(vm, 2, out[3]);
    exit_skip(vm);
}

static void exit_hlt(struct vm *vm)
{
    char where[40];
    exit_skip(vm);
    if (!(vm->cpu.vmcb.save.rflags & RFLAGS_IF))
        vm_end(vm, VM_CRASHED, "halted for good%s: HLT with interrupts off",
               exits_where(vm, where));
    vm->cpu.halted = true;
}

void exits_msr(struct vm *vm)
{
    u32 msr = (u32)vcpu_get(vm, 1);
    u64 value = (vcpu_get(vm, 0) & 0xffffffff) | vcpu_get(vm, 2) << 32;
    bool write = vm->cpu.vmcb.control.exit_info_1 & 1;
    bool known = write ? vm_msr_write(vm, msr, value) : vm_msr_read(vm, msr, &value);
    if (!known) {
        trace_event(host_trace(vm->hv->host), TRACE_VM, "MSR_REFUSED", "vm=%s msr=%#x %s",
                    vm->config.name, msr, write ? "write" : "read");
        exits_protected(vm);
        return;
    }
    if (!write) {
        vcpu_set(vm, 0, value & 0xffffffff);
        vcpu_set(vm, 2, value >> 32);
    }
    exit_skip(vm);
}

/* No hypercalls: KVM's answer for those it does not know, -ENOSYS in its numbering. */
void exits_vmmcall(struct vm *vm)
{
    vcpu_set(vm, 0, (u64)-1000);
    exit_skip(vm);
}

/* --- Ports ------------------------------------------------------------------------------------ */

void exits_spend_port(struct vm *vm)
{
    host_spend(vm->hv->host, PORT_COST_NS);
    board_set_time(vm);
}

void exits_io_register(struct vm *vm)
{
    u64 info = vm->cpu.vmcb.control.exit_info_1;
    u64 port = info >> IOIO_PORT_SHIFT & 0xffff;
    u32 size = (u32)(info >> IOIO_SIZE_SHIFT & 7);
    if (info & IOIO_IN)
        vcpu_set(vm, 0, merge(vcpu_get(vm, 0), bus_read(&vm->board.ports, port, size), size));
    else
        bus_write(&vm->board.ports, port, size, bus_truncate(vcpu_get(vm, 0), size));
}

static void exit_io(struct vm *vm)
{
    u64 info = vm->cpu.vmcb.control.exit_info_1, next = vm->cpu.vmcb.control.exit_info_2;
    exits_spend_port(vm);
    if (info & IOIO_STRING) {
        string_io(vm, info, next);
        return;
    }
    exits_io_register(vm);
    vcpu_advance(vm, next);
}

/* --- Memory-mapped registers ------------------------------------------------------------------ */

static bool in_lapic(const struct vm *vm, u64 gpa)
{
    const struct lapic *l = &vm->board.lapic;
    return lapic_mmio_enabled(l) && (gpa & ~PAGE_MASK) == lapic_mmio_base(l);
}

u64 mmio_read(struct vm *vm, u64 gpa, u32 size)
{
    if (in_lapic(vm, gpa))
        return lapic_mmio_read(&vm->board.lapic, (u32)(gpa & PAGE_MASK), size);
    return bus_read(&vm->board.memory, gpa, size);
}

void mmio_write(struct vm *vm, u64 gpa, u32 size, u64 value)
{
    if (in_lapic(vm, gpa))
        lapic_mmio_write(&vm->board.lapic, (u32)(gpa & PAGE_MASK), size, bus_truncate(value, size));
    else
        bus_write(&vm->board.memory, gpa, size, bus_truncate(value, size));
}

static u64 operand_get(struct vm *vm, const struct mmio_instruction *i)
{
    if (i->immediate)
        return i->value;
    return vcpu_get(vm, i->reg) >> (i->high ? 8 : 0);
}

static void operand_set(struct vm *vm, const struct mmio_instruction *i, u64 value, u32 size)
{
    u64 old = vcpu_get(vm, i->reg);
    vcpu_set(vm, i->reg,
             i->high ? (old & ~0xff00ull) | (value & 0xff) << 8 : merge(old, value, size));
}

static u64 extend(const struct mmio_instruction *i, u64 value)
{
    u32 shift = 64 - 8u * i->size;
    return i->sign ? (u64)((s64)(value << shift) >> shift) : value;
}

static void mmio_alu(struct vm *vm, const struct mmio_instruction *i, u64 gpa)
{
    u64 memory = mmio_read(vm, gpa, i->size), other = operand_get(vm, i),
        *flags = &vm->cpu.vmcb.save.rflags;
    u64 result = i->to_register ? mmio_compute(i->alu, i->size, other, memory, flags)
                                : mmio_compute(i->alu, i->size, memory, other, flags);
    vm->cpu.save_changed = true;
    if (i->alu == MMIO_CMP || i->alu == MMIO_TEST)
        return;
    if (i->to_register)
        operand_set(vm, i, result, i->size);
    else
        mmio_write(vm, gpa, i->size, result);
}

/* One element an exit; a repeat prefix leaves RIP where it is until RCX runs out. True: the
 * instruction is done. */
static bool mmio_stos(struct vm *vm, const struct mmio_instruction *i, u64 gpa)
{
    u64 step = vm->cpu.vmcb.save.rflags & RFLAGS_DF ? (u64)0 - i->size : i->size;
    mmio_write(vm, gpa, i->size, vcpu_get(vm, 0));
    vcpu_set(vm, 7, merge(vcpu_get(vm, 7), vcpu_get(vm, 7) + step, i->address_size));
    if (!i->rep)
        return true;
    u64 left = bus_truncate(vcpu_get(vm, 1), i->address_size) - 1;
    vcpu_set(vm, 1, merge(vcpu_get(vm, 1), left, i->address_size));
    return !bus_truncate(left, i->address_size);
}

static void mmio_execute(struct vm *vm, const struct mmio_instruction *i, u64 gpa)
{
    bool done = true;
    u64 old;
    switch (i->kind) {
    case MMIO_LOAD:
        operand_set(vm, i, extend(i, mmio_read(vm, gpa, i->size)), i->to_size);
        break;
    case MMIO_STORE:
        mmio_write(vm, gpa, i->size, operand_get(vm, i));
        break;
    case MMIO_ALU:
        mmio_alu(vm, i, gpa);
        break;
    case MMIO_XCHG:
        old = mmio_read(vm, gpa, i->size);
        mmio_write(vm, gpa, i->size, operand_get(vm, i));
        operand_set(vm, i, old, i->size);
        break;
    case MMIO_STOS:
        done = mmio_stos(vm, i, gpa);
        break;
    }
    if (done)
        vcpu_advance(vm, vm->cpu.vmcb.save.rip + i->length);
}

static u32 code_bits(const struct vmcb_save *save)
{
    if ((save->efer & EFER_LMA) && (save->cs.attributes & SEG_L))
        return 64;
    return (save->cs.attributes & SEG_DB) && (save->cr0 & CR0_PE) ? 32 : 16;
}

/* The first access to addresses without RAM: from now on the guest hears of it by #VC. The
 * instruction is executed again. */
static void mmio_mark(struct vm *vm, u64 gpa)
{
    if (gpa >> 48 || !npt_mark_mmio(&vm->npt, vm->hv->host, &vm->hv->frames, gpa))
        vm_end(vm, VM_CRASHED, "no nested page tables for a device at guest address %#llx",
               (unsigned long long)gpa);
}

static void exit_npf(struct vm *vm)
{
    const struct vmcb_control *control = &vm->cpu.vmcb.control;
    u64 gpa = control->exit_info_2, info = control->exit_info_1, left;
    unsigned long long rip = vm->cpu.vmcb.save.rip;
    char where[40];
    struct mmio_instruction i;
    if (vm_spa(vm, gpa, &left) != FRAME_NONE || (info & (NPF_FETCH | NPF_TABLE)))
        vm_end(vm, VM_CRASHED, "nested page fault %#llx on guest address %#llx%s",
               (unsigned long long)info, (unsigned long long)gpa, exits_where(vm, where));
    else if (vm->config.plan->mode != IMAGE_NONE && (info & NPF_ENC))
        vm_end(vm, VM_CRASHED, "encrypted access to a device on guest address %#llx%s",
               (unsigned long long)gpa, exits_where(vm, where));
    else if (vm_is_es(vm))
        mmio_mark(vm, gpa);
    else if (!mmio_decode(control->fetched, control->fetched_count, code_bits(&vm->cpu.vmcb.save),
                          &i))
        vm_end(vm, VM_CRASHED,
               "cannot emulate the %u-byte instruction %02x %02x %02x %02x at RIP %#llx on a "
               "device at %#llx",
               control->fetched_count, control->fetched[0], control->fetched[1],
               control->fetched[2], control->fetched[3], rip, (unsigned long long)gpa);
    else
        mmio_execute(vm, &i, gpa);
}

/* --- What a SEV-ES guest did to registers of its own: RIP is already past it -------------------- */

static void trap_efer(struct vm *vm)
{
    vm->cpu.vmcb.save.efer = vm->cpu.vmcb.control.exit_info_1;
}

static void trap_cr0(struct vm *vm)
{
    vm->cpu.vmcb.save.cr0 = vm->cpu.vmcb.control.exit_info_1;
}

static void trap_cr4(struct vm *vm)
{
    vm->cpu.vmcb.save.cr4 = vm->cpu.vmcb.control.exit_info_1;
}

static void trap_cr8(struct vm *vm)
{
    lapic_set_cr8(&vm->board.lapic, (u8)(vm->cpu.vmcb.control.exit_info_1 & 0xf));
}

/* --- The table -------------------------------------------------------------------------------- */

struct exit_row {
    enum exit_kind kind;
    void (*handle)(struct vm *vm);
    bool automatic; /* an exit of a SEV-ES guest too; the others are #VC in the guest [cpu 6.1] */
};

// clang-format off
static const struct exit_row rows[] = {
    [EXIT_INTR]                = {KIND_INTR,       exits_nothing,  true},
    [EXIT_NMI]                 = {KIND_OTHER,      exits_nothing,  true},
    [EXIT_SMI]                 = {KIND_OTHER,      exits_nothing,  true},
    [EXIT_INIT]                = {KIND_OTHER,      exits_nothing,  true},
    [EXIT_VINTR]               = {KIND_VINTR,      exits_nothing,  true},
    [EXIT_RDPMC]               = {KIND_OTHER,      exits_protected, false},
    [EXIT_CPUID]               = {KIND_CPUID,      exits_cpuid,    false},
    [EXIT_RSM]                 = {KIND_OTHER,      exits_undefined, false},
    [EXIT_INVD]                = {KIND_OTHER,      exit_skip,      false},
    [EXIT_HLT]                 = {KIND_HLT,        exit_hlt,       true},
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

static const struct exit_row *exit_row(const struct vm *vm, u64 code)
{
    const struct exit_row *row = code < ARRAY_SIZE(rows)                ? &rows[code]
                                 : code == EXIT_NPF                     ? &row_npf
                                 : code == EXIT_VMGEXIT && vm_is_es(vm) ? &row_vmgexit
                                                                        : NULL;
    return row && row->handle && (row->automatic || !vm_is_es(vm)) ? row : NULL;
}

void exits_handle(struct vm *vm)
{
    u64 code = vm->cpu.vmcb.control.exit_code;
    const struct exit_row *row = exit_row(vm, code);
    if (!row) {
        vm->exits[KIND_OTHER]++;
        if (code == EXIT_INVALID)
            vm_end(vm, VM_CRASHED, "VMRUN refused the state of the guest (INVALID)");
        else
            vm_end(vm, VM_CRASHED, "exit %#llx that nobody asked for", (unsigned long long)code);
        return;
    }
    vm->exits[row->kind]++;
    row->handle(vm);
}
