/* SPDX-License-Identifier: Apache-2.0 */
/* x87 instructions that load, store or reset state: control and status words,
 * environments in their four formats, FNSAVE. */
#include "cpu/exec/x87.h"

void x87_status_put(struct x87 *x, u16 status)
{
    x->top = (status >> X87_TOP_SHIFT) & 7;
    x->status = (u16)(status & ~(7u << X87_TOP_SHIFT));
}

/* Sets the control word: bit 6 reads as one; 7 and 15:13 do not exist. */
static void control_put(struct x87 *x, u16 control)
{
    x->control = (control & 0x1f3f) | 0x40;
    x87_update_pending(x);
}

/* valid 0, zero 1, special 2: NaN, infinity, denormal, unsupported [APM2 11.4.4] */
static u16 register_tag(const long double *st)
{
    u64 mantissa = load_le64(st);
    u32 exponent = load_le16((const u8 *)st + 8) & 0x7fffu;
    if (exponent == 0 && mantissa == 0)
        return 1;
    return exponent == 0 || exponent == 0x7fff || !(mantissa >> 63) ? 2 : 0;
}

u16 x87_tags(const struct x87 *x)
{
    u32 tags = 0;
    for (u32 i = 0; i < 8; i++) {
        u32 tag = x->tag >> (2 * i) & 3u;
        tags |= (tag == X87_EMPTY ? tag : register_tag(&x->st[i])) << (2 * i);
    }
    return (u16)tags;
}

void x87_reset(struct x87 *x)
{
    x->control = X87_CONTROL_RESET;
    x->status = 0;
    x->top = 0;
    x->tag = 0xffff;
    x->opcode = x->ip_selector = x->dp_selector = 0;
    x->ip = x->dp = 0;
}

/* --- Words ------------------------------------------------------------------------------------ */

void exec_fninit(struct cpu *c, const struct insn *in)
{
    (void)in;
    x87_reset(&c->arch.x87);
}

void exec_fnclex(struct cpu *c, const struct insn *in)
{
    (void)in;
    c->arch.x87.status &= (u16) ~(X87_B | 0xff);
}

/* #NM needs both CR0.MP and TS. */
void exec_fwait(struct cpu *c, const struct insn *in)
{
    (void)in;
    if ((c->arch.cr0 & CR0_MP) && (c->arch.cr0 & CR0_TS))
        cpu_raise(c, VECTOR_NM, 0);
    x87_wait(c);
}

void exec_fldcw(struct cpu *c, const struct insn *in)
{
    x87_wait(c);
    control_put(&c->arch.x87, (u16)operand_read(c, in, 0));
}

void exec_fnstcw(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, c->arch.x87.control);
}

void exec_fnstsw(struct cpu *c, const struct insn *in)
{
    operand_write(c, in, 0, x87_status(&c->arch.x87));
}

/* --- Environments --------------------------------------------------------------------------------
 *
 *   protected, 32 bits: control, status, tag (a doubleword each, upper half ones),
 *                       IP, opcode:CS, DP, DS
 *   protected, 16 bits: control, status, tag, IP, CS, DP, DS
 *   real, 32 bits:      control, status, tag, IP 15:0, IP 31:16 << 12 | opcode,
 *                       DP 15:0, DP 31:16 << 12
 *   real, 16 bits:      control, status, tag, IP 15:0, IP 19:16 << 12 | opcode,
 *                       DP 15:0, DP 19:16 << 12 */

static bool real_format(const struct cpu *c)
{
    return !(c->engine.mode & MODE_PE) || (c->engine.mode & MODE_V86);
}

static u32 environment_size(const struct insn *in)
{
    return in->opsize == 2 ? 14 : 28;
}

static u32 real_address(u16 selector, u64 offset)
{
    return ((u32)selector << 4) + (u32)offset;
}

static void environment_pack(const struct cpu *c, const struct insn *in, u8 *out)
{
    const struct x87 *x = &c->arch.x87;
    u32 field[7] = {x->control,     x87_status(x), x87_tags(x),   (u32)x->ip,
                    x->ip_selector, (u32)x->dp,    x->dp_selector};
    bool narrow = in->opsize == 2;
    if (real_format(c)) {
        u32 ip = real_address(x->ip_selector, x->ip), dp = real_address(x->dp_selector, x->dp);
        field[3] = ip & 0xffff;
        field[4] = (ip >> 16) << 12 | x->opcode;
        field[5] = dp & 0xffff;
        field[6] = (dp >> 16) << 12;
    } else if (!narrow) {
        field[4] |= (u32)x->opcode << 16;
        field[6] |= 0xffff0000;
    }
    for (u32 i = 0; i < 7; i++) {
        if (narrow)
            store_le16(out + 2 * i, (u16)field[i]);
        else
            store_le32(out + 4 * i, i < 3 ? field[i] | 0xffff0000 : field[i]);
    }
}

static void environment_unpack(struct cpu *c, const struct insn *in, const u8 *data)
{
    struct x87 *x = &c->arch.x87;
    u32 field[7];
    for (u32 i = 0; i < 7; i++)
        field[i] = in->opsize == 2 ? load_le16(data + 2 * i) : load_le32(data + 4 * i);
    x87_status_put(x, (u16)field[1]);
    control_put(x, (u16)field[0]);
    x->tag = (u16)field[2];
    if (real_format(c)) {
        x->ip = (field[3] & 0xffff) | (field[4] >> 12 & 0xffff) << 16;
        x->dp = (field[5] & 0xffff) | (field[6] >> 12 & 0xffff) << 16;
        x->ip_selector = x->dp_selector = 0;
        x->opcode = field[4] & 0x7ff;
        return;
    }
    x->ip = field[3];
    x->dp = field[5];
    x->ip_selector = (u16)field[4];
    x->dp_selector = (u16)field[6];
    x->opcode = in->opsize == 2 ? 0 : field[4] >> 16 & 0x7ff;
}

/* Stores the environment, then masks every exception. */
void exec_fnstenv(struct cpu *c, const struct insn *in)
{
    u8 image[28];
    u32 size = environment_size(in);
    environment_pack(c, in, image);
    store_bytes(c, operand_address(c, in, size, true), image, size);
    control_put(&c->arch.x87, c->arch.x87.control | X87_EXCEPTIONS);
}

void exec_fldenv(struct cpu *c, const struct insn *in)
{
    u8 image[28];
    u32 size = environment_size(in);
    x87_wait(c);
    load_bytes(c, operand_address(c, in, size, false), image, size);
    environment_unpack(c, in, image);
}

void exec_fnsave(struct cpu *c, const struct insn *in)
{
    u8 image[108];
    u32 size = environment_size(in);
    environment_pack(c, in, image);
    for (u32 i = 0; i < 8; i++)
        memcpy(image + size + 10 * i, x87_st(&c->arch.x87, i), 10);
    store_bytes(c, operand_address(c, in, size + 80, true), image, size + 80);
    x87_reset(&c->arch.x87);
}

void exec_frstor(struct cpu *c, const struct insn *in)
{
    u8 image[108];
    u32 size = environment_size(in);
    x87_wait(c);
    load_bytes(c, operand_address(c, in, size + 80, false), image, size + 80);
    environment_unpack(c, in, image);
    for (u32 i = 0; i < 8; i++)
        memcpy(x87_st(&c->arch.x87, i), image + size + 10 * i, 10);
}
