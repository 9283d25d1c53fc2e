/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O ports: the permission check (IOPL, the TSS's bitmap), and the exit that passes every access
 * to the hypervisor [APM2 12.2.4, 15.10]. The core itself has no devices: a port that is not
 * intercepted is the board's, and reads as ones where there is no board.
 */
#include "cpu/engine/device.h"
#include "cpu/system/segment.h"

/* Checks a program's right to a port: IOPL, or a clear bit per byte in the TSS's bitmap. */
static void check_permission(struct cpu *c, u16 port, u32 size)
{
    bool v86 = c->engine.mode & MODE_V86;
    if (!(c->engine.mode & MODE_PE) || (!v86 && c->arch.cpl <= BITS(c->arch.rflags, 13, 12)))
        return;
    bool wide_tss = c->arch.tr.attributes & SEG_P && c->arch.tr.attributes & BIT(3);
    if (!wide_tss || c->arch.tr.limit < 0x67)
        cpu_raise_gp(c, 0);
    u32 offset = (u32)load_system(c, c->arch.tr.base + 0x66, 2) + port / 8;
    if (offset + 1 > c->arch.tr.limit)
        cpu_raise_gp(c, 0);
    u64 bits = load_system(c, c->arch.tr.base + offset, 2) >> (port & 7);
    if (bits & (BIT(size) - 1))
        cpu_raise_gp(c, 0);
}

/* Returns true if the access exits; in an SNP guest every access is a #VC, intercepted or not [cpu
 * 6.1]. */
static bool port_intercepted(struct cpu *c, u16 port, u32 size)
{
    if (c->guest.snp)
        return true;
    if (!intercepts(c, EXIT_IOIO))
        return false;
    u8 bitmap[2] = {0xff, 0xff};
    memory_read(c->memory, (c->guest.control.iopm_base & ~PAGE_MASK) + port / 8, KEY_RAW, bitmap,
                sizeof bitmap);
    return (u64)load_le16(bitmap) >> (port & 7) & (BIT(size) - 1);
}

static u64 exit_info(const struct insn *in, u16 port, u32 size, u64 kind)
{
    return kind | (u64)size << IOIO_SIZE_SHIFT | (u64)(in->addrsize >> 1) << IOIO_ASIZE_SHIFT |
           (u64)port << IOIO_PORT_SHIFT;
}

static void access_port(struct cpu *c, const struct insn *in, u16 port, u32 size, u64 kind)
{
    check_permission(c, port, size);
    if (port_intercepted(c, port, size))
        cpu_exit(c, EXIT_IOIO, exit_info(in, port, size, kind), c->arch.rip);
}

static u64 board_port(struct cpu *c, u16 port, u32 size, bool write, u64 value)
{
    return bare_access(
        c, (struct device_access){
               .address = port, .value = value, .size = (u8)size, .port = true, .write = write});
}

void exec_in(struct cpu *c, const struct insn *in)
{
    u16 port = (u16)operand_read(c, in, 1);
    u32 size = in->o[0].size;
    access_port(c, in, port, size, IOIO_IN);
    operand_write(c, in, 0, c->bare.wired ? board_port(c, port, size, false, 0) : ~0ull);
}

void exec_out(struct cpu *c, const struct insn *in)
{
    u16 port = (u16)operand_read(c, in, 0);
    u32 size = in->o[1].size;
    access_port(c, in, port, size, 0);
    if (c->bare.wired)
        board_port(c, port, size, true, operand_read(c, in, 1));
}

/* --- Strings ---------------------------------------------------------------------------------- */

static u64 string_kind(const struct insn *in)
{
    return IOIO_STRING | (in->prefixes & (PREFIX_REP | PREFIX_REPNE) ? IOIO_REP : 0);
}

static u64 read_index(const struct cpu *c, const struct insn *in, u8 reg)
{
    return gpr_read(c, reg, in->addrsize);
}

/* Moves the index by one element and ends or repeats the instruction. */
static void string_step(struct cpu *c, const struct insn *in, u8 reg, u32 size)
{
    u64 step = c->arch.rflags & RFLAGS_DF ? 0 - (u64)size : size;
    gpr_write(c, reg, in->addrsize, read_index(c, in, reg) + step);
    if (!(in->prefixes & (PREFIX_REP | PREFIX_REPNE)))
        return;
    u64 count = read_index(c, in, RCX) - 1;
    gpr_write(c, RCX, in->addrsize, count);
    rep_account(c, 1);
    if (truncate(count, in->addrsize))
        cpu_again(c);
}

/* Exits for one element. If the host finishes device accesses, it answers with a value, and the
 * instruction itself accesses memory. Otherwise the host does both and moves RIP [APM2 15.10.2]. */
static u64 string_exit(struct cpu *c, const struct insn *in, u16 port, u32 size, u64 kind,
                       u64 value)
{
    struct device_access a = {.address = port,
                              .value = value,
                              .size = (u8)size,
                              .port = true,
                              .write = !(kind & IOIO_IN)};
    if (device_assists(c) && device_answered(c, &a, &value))
        return value;
    cpu_exit(c, EXIT_IOIO, exit_info(in, port, size, string_kind(in) | kind), c->arch.rip);
}

/* Returns where INS writes, after checking that it may: nothing is read from the port before that
 * is certain. */
static u64 checked_destination(struct cpu *c, const struct insn *in, u32 size)
{
    u64 linear = linear_address(c, SEG_ES, read_index(c, in, RDI), size, true);
    probe_write(c, linear, size);
    return linear;
}

static bool string_done(const struct cpu *c, const struct insn *in)
{
    return in->prefixes & (PREFIX_REP | PREFIX_REPNE) && read_index(c, in, RCX) == 0;
}

void exec_ins(struct cpu *c, const struct insn *in)
{
    if (string_done(c, in))
        return;
    u32 size = in->o[0].size;
    u16 port = (u16)c->arch.r[RDX];
    u64 to = 0, value = ~0ull;
    check_permission(c, port, size);
    if (device_assists(c))
        to = checked_destination(c, in, size);
    if (port_intercepted(c, port, size)) {
        value = string_exit(c, in, port, size, IOIO_IN, 0);
    } else if (c->bare.wired) {
        to = checked_destination(c, in, size);
        value = board_port(c, port, size, false, 0);
    }
    if (!device_assists(c))
        to = checked_destination(c, in, size);
    store(c, to, size, value);
    string_step(c, in, RDI, size);
}

void exec_outs(struct cpu *c, const struct insn *in)
{
    if (string_done(c, in))
        return;
    u32 size = in->o[1].size;
    u16 port = (u16)c->arch.r[RDX];
    u64 value = 0;
    check_permission(c, port, size);
    if (device_assists(c) || (c->bare.wired && !port_intercepted(c, port, size)))
        value = load(c, linear_address(c, in->segment, read_index(c, in, RSI), size, false), size);
    if (port_intercepted(c, port, size))
        string_exit(c, in, port, size, (u64)in->segment << IOIO_SEG_SHIFT, value);
    else if (c->bare.wired)
        board_port(c, port, size, true, value);
    string_step(c, in, RSI, size);
}
