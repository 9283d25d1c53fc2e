/* SPDX-License-Identifier: Apache-2.0 */
/* Exits and what is done about each: one table, one function a kind [APM2 15.9, App. C]. */
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
    KINDS
};

static const char *const kind_names[KINDS] = {"io",  "mmio", "msr",   "cpuid",
                                              "hlt", "intr", "vintr", "other"};

const char *exits_kind_name(u32 kind)
{
    return kind_names[kind];
}

u32 exits_kinds(void)
{
    return KINDS;
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

static void exit_nothing(struct vm *vm)
{
    (void)vm;
}

static void exit_skip(struct vm *vm)
{
    vcpu_advance(vm, vm->cpu.vmcb.control.next_rip);
}

static void exit_undefined(struct vm *vm)
{
    vcpu_raise(vm, VECTOR_UD, false, 0);
}

static void exit_protected(struct vm *vm)
{
    vcpu_raise(vm, VECTOR_GP, true, 0);
}

static void exit_shutdown(struct vm *vm)
{
    vm_end(vm, VM_CRASHED, "triple fault at RIP %#llx", (unsigned long long)vm->cpu.vmcb.save.rip);
}

static void exit_cpuid(struct vm *vm)
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
    exit_skip(vm);
    if (!(vm->cpu.vmcb.save.rflags & RFLAGS_IF))
        vm_end(vm, VM_CRASHED, "halted for good at RIP %#llx: HLT with interrupts off",
               (unsigned long long)vm->cpu.vmcb.save.rip);
    vm->cpu.halted = true;
}

static void exit_msr(struct vm *vm)
{
    u32 msr = (u32)vcpu_get(vm, 1);
    u64 value = (vcpu_get(vm, 0) & 0xffffffff) | vcpu_get(vm, 2) << 32;
    bool write = vm->cpu.vmcb.control.exit_info_1 & 1;
    bool known = write ? vm_msr_write(vm, msr, value) : vm_msr_read(vm, msr, &value);
    if (!known) {
        trace_event(host_trace(vm->hv->host), TRACE_VM, "MSR_REFUSED", "vm=%s msr=%#x %s",
                    vm->config.name, msr, write ? "write" : "read");
        exit_protected(vm);
        return;
    }
    if (!write) {
        vcpu_set(vm, 0, value & 0xffffffff);
        vcpu_set(vm, 2, value >> 32);
    }
    exit_skip(vm);
}

/* No hypercalls: KVM's answer for those it does not know, -ENOSYS in its numbering. */
static void exit_vmmcall(struct vm *vm)
{
    vcpu_set(vm, 0, (u64)-1000);
    exit_skip(vm);
}

/* --- Ports ------------------------------------------------------------------------------------ */

static void exit_io(struct vm *vm)
{
    const struct vmcb_control *control = &vm->cpu.vmcb.control;
    u64 info = control->exit_info_1, next = control->exit_info_2;
    u64 port = info >> IOIO_PORT_SHIFT & 0xffff;
    u32 size = (u32)(info >> IOIO_SIZE_SHIFT & 7);
    host_spend(vm->hv->host, PORT_COST_NS);
    board_set_time(vm);
    if (info & IOIO_STRING) {
        string_io(vm, info, next);
        return;
    }
    if (info & IOIO_IN)
        vcpu_set(vm, 0, merge(vcpu_get(vm, 0), bus_read(&vm->board.ports, port, size), size));
    else
        bus_write(&vm->board.ports, port, size, bus_truncate(vcpu_get(vm, 0), size));
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

static void exit_npf(struct vm *vm)
{
    const struct vmcb_control *control = &vm->cpu.vmcb.control;
    u64 gpa = control->exit_info_2, info = control->exit_info_1, left;
    unsigned long long rip = vm->cpu.vmcb.save.rip;
    struct mmio_instruction i;
    if (vm_spa(vm, gpa, &left) != FRAME_NONE || (info & (NPF_FETCH | NPF_TABLE)))
        vm_end(vm, VM_CRASHED, "nested page fault %#llx at guest address %#llx, RIP %#llx",
               (unsigned long long)info, (unsigned long long)gpa, rip);
    else if (vm->config.plan->mode != IMAGE_NONE && (info & NPF_ENC))
        vm_end(vm, VM_CRASHED, "encrypted access to a device at guest address %#llx, RIP %#llx",
               (unsigned long long)gpa, rip);
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

/* --- The table -------------------------------------------------------------------------------- */

struct exit_row {
    enum exit_kind kind;
    void (*handle)(struct vm *vm);
};

// clang-format off
static const struct exit_row rows[] = {
    [EXIT_INTR]     = {KIND_INTR,  exit_nothing},
    [EXIT_NMI]      = {KIND_OTHER, exit_nothing},
    [EXIT_SMI]      = {KIND_OTHER, exit_nothing},
    [EXIT_INIT]     = {KIND_OTHER, exit_nothing},
    [EXIT_VINTR]    = {KIND_VINTR, exit_nothing},
    [EXIT_RDPMC]    = {KIND_OTHER, exit_protected},
    [EXIT_CPUID]    = {KIND_CPUID, exit_cpuid},
    [EXIT_RSM]      = {KIND_OTHER, exit_undefined},
    [EXIT_INVD]     = {KIND_OTHER, exit_skip},
    [EXIT_HLT]      = {KIND_HLT,   exit_hlt},
    [EXIT_INVLPGA]  = {KIND_OTHER, exit_undefined},
    [EXIT_IOIO]     = {KIND_IO,    exit_io},
    [EXIT_MSR]      = {KIND_MSR,   exit_msr},
    [EXIT_SHUTDOWN] = {KIND_OTHER, exit_shutdown},
    [EXIT_VMRUN]    = {KIND_OTHER, exit_undefined},
    [EXIT_VMMCALL]  = {KIND_OTHER, exit_vmmcall},
    [EXIT_VMLOAD]   = {KIND_OTHER, exit_undefined},
    [EXIT_VMSAVE]   = {KIND_OTHER, exit_undefined},
    [EXIT_STGI]     = {KIND_OTHER, exit_undefined},
    [EXIT_CLGI]     = {KIND_OTHER, exit_undefined},
    [EXIT_SKINIT]   = {KIND_OTHER, exit_undefined},
    [EXIT_MONITOR]  = {KIND_OTHER, exit_undefined},
    [EXIT_MWAIT]    = {KIND_OTHER, exit_undefined},
    [EXIT_RDPRU]    = {KIND_OTHER, exit_undefined},
};
// clang-format on

static const struct exit_row row_npf = {KIND_MMIO, exit_npf};

void exits_handle(struct vm *vm)
{
    u64 code = vm->cpu.vmcb.control.exit_code;
    const struct exit_row *row = code < ARRAY_SIZE(rows) ? &rows[code]
                                 : code == EXIT_NPF      ? &row_npf
                                                         : NULL;
    if (!row || !row->handle) {
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
