/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 arithmetic on the host's x87 unit: the guest's whole state is loaded, the very same
 * instruction runs, and the state is read back (x87_fast.c does so with the operands only). So
 * rounding, precision, stack faults, tags, condition codes and the partial results of unmasked
 * exceptions are the hardware's. FNSAVE does not wait, so an exception that the guest has unmasked
 * stays pending in the image and never reaches the host process.
 */
#include "cpu/exec/x87.h"

/* The image that FRSTOR and FNSAVE use in 64-bit code: the 32-bit protected-mode format [APM2
 * 11.4.4]. */
struct x87_image {
    u16 control, reserved_02, status, reserved_06, tag, reserved_0a;
    u32 ip;
    u16 cs, opcode;
    u32 dp;
    u16 ds, reserved_1a;
    u8 st[8][10];
};
ABI_SIZE(struct x87_image, 108);

/*
 * The host code of each instruction is `op; ret`, eight bytes apart: register forms by opcode
 * D8..DF and ModRM C0..FF, memory forms by opcode and ModRM.reg with their operand at (%rsi).
 * x87_host() runs one of them. AH passes CF PF AF ZF SF to FCMOVcc and returns them from FCOMI; AL
 * returns OF.
 */
u64 x87_host(struct x87_image *image, void *operand, const void *code, u64 flags);

__asm__(".pushsection .text\n"
        ".hidden x87_host, x87_register_forms, x87_memory_forms\n"
        ".globl x87_host, x87_register_forms, x87_memory_forms\n"
        ".balign 16\n"
        "x87_host:\n"
        "    frstor (%rdi)\n"
        "    movl %ecx, %eax\n"
        "    sahf\n"
        "    call *%rdx\n"
        "    lahf\n"
        "    seto %al\n"
        "    fnsave (%rdi)\n"
        "    ret\n"
        ".balign 8\n"
        "x87_register_forms:\n"
        "    .set form, 0\n"
        "    .rept 512\n"
        "    .byte 0xd8 + (form / 64), 0xc0 + (form & 63), 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc\n"
        "    .set form, form + 1\n"
        "    .endr\n"
        "x87_memory_forms:\n"
        "    .set form, 0\n"
        "    .rept 64\n"
        "    .byte 0xd8 + (form / 8), (form & 7) * 8 + 6, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc\n"
        "    .set form, form + 1\n"
        "    .endr\n"
        ".popsection\n");

/* --- The guest's unit to the host's and back -------------------------------------------------- */

static void image_fill(struct x87_image *image, struct x87 *x)
{
    memset(image, 0, offsetof(struct x87_image, st));
    image->control = x->control;
    image->status = x87_status(x);
    image->tag = x->tag;
    for (u32 i = 0; i < 8; i++)
        memcpy(image->st[i], x87_st(x, i), 10);
}

static void image_commit(struct x87 *x, const struct x87_image *image)
{
    x->control = image->control;
    x87_status_put(x, image->status);
    x->tag = image->tag;
    for (u32 i = 0; i < 8; i++)
        memcpy(x87_st(x, i), image->st[i], 10);
}

static const u8 *host_code(const struct insn *in)
{
    u32 opcode = in->opcode & 7u;
    return in->modrm >= 0xc0 ? x87_register_forms[opcode][in->modrm & 63]
                             : x87_memory_forms[opcode][in->modrm >> 3 & 7];
}

/* Updates the instruction and operand pointers for the handler of an exception. */
static void pointers_update(struct cpu *c, const struct insn *in)
{
    struct x87 *x = &c->arch.x87;
    x->opcode = (u16)((in->opcode & 7u) << 8 | in->modrm);
    x->ip = c->engine.insn_rip;
    x->ip_selector = c->arch.seg[SEG_CS].selector;
    if (in->modrm < 0xc0) {
        x->dp = operand_offset(c, in);
        x->dp_selector = c->arch.seg[in->segment].selector;
    }
}

static void compute(struct cpu *c, const struct insn *in, void *operand)
{
    struct x87_image image;
    image_fill(&image, &c->arch.x87);
    x87_host(&image, operand, host_code(in), 0);
    pointers_update(c, in);
    image_commit(&c->arch.x87, &image);
}

static void operand_load(struct cpu *c, const struct insn *in, u8 operand[16])
{
    u32 size = in->o[0].kind == OPERAND_MEM ? in->o[0].size : in->o[1].size;
    u64 linear = operand_address(c, in, size, false);
    if (size <= 8)
        store_le64(operand, load(c, linear, size));
    else
        load_bytes(c, linear, operand, size);
}

/* Executes an instruction on registers, or with a memory operand that is read. */
static void operate(struct cpu *c, const struct insn *in, x87_fast *fast)
{
    u8 operand[16] = {0};
    x87_wait(c);
    if (in->modrm < 0xc0)
        operand_load(c, in, operand);
    if (fast && x87_masked(&c->arch.x87) && fast(&c->arch.x87, in, operand))
        pointers_update(c, in);
    else
        compute(c, in, operand);
}

/* Executes a store. An unmasked exception suppresses it; that shows in the host's buffer, which
 * then keeps either of two fillings. */
static void store_slowly(struct cpu *c, const struct insn *in, u64 linear, u32 size)
{
    struct x87_image image, again;
    u8 result[16], other[16];
    memset(result, 0, sizeof result);
    memset(other, 0xff, sizeof other);
    image_fill(&image, &c->arch.x87);
    again = image;
    x87_host(&image, result, host_code(in), 0);
    bool stored = true;
    if (image.status & X87_ES) {
        x87_host(&again, other, host_code(in), 0);
        stored = memcmp(result, other, size) == 0;
    }
    if (stored)
        store_bytes(c, linear, result, size);
    else
        probe_write(c, linear, size);
    pointers_update(c, in);
    image_commit(&c->arch.x87, &image);
}

static void store_result(struct cpu *c, const struct insn *in)
{
    u8 result[16];
    u64 status;
    x87_wait(c);
    if (in->modrm >= 0xc0) {
        if (x87_masked(&c->arch.x87) && x87_fast_copy(&c->arch.x87, in))
            pointers_update(c, in);
        else
            compute(c, in, NULL);
        return;
    }
    u32 size = in->o[0].size;
    u64 linear = operand_address(c, in, size, true);
    if (!x87_masked(&c->arch.x87) || !x87_fast_store(&c->arch.x87, in, result, &status)) {
        store_slowly(c, in, linear, size);
        return;
    }
    if (size <= 8)
        store(c, linear, size, load_le64(result));
    else
        store_bytes(c, linear, result, size);
    pointers_update(c, in);
    x87_fast_stored(&c->arch.x87, in, status);
}

/* Executes FCMOVcc, which reads CF, PF and ZF. */
static void move_conditional(struct cpu *c, const struct insn *in)
{
    struct x87_image image;
    x87_wait(c);
    image_fill(&image, &c->arch.x87);
    x87_host(&image, NULL, host_code(in), (flags_get(c) & 0xff) << 8);
    pointers_update(c, in);
    image_commit(&c->arch.x87, &image);
}

/* Executes FCOMI and similar, which write ZF, PF and CF. An unmasked exception leaves these flags
 * unchanged. */
static void compare_to_flags(struct cpu *c, const struct insn *in)
{
    struct x87_image image;
    u64 before = flags_get(c), after;
    x87_wait(c);
    if (x87_masked(&c->arch.x87) && x87_fast_compare_flags(&c->arch.x87, in, &after)) {
        pointers_update(c, in);
        flags_set(c, after);
        return;
    }
    image_fill(&image, &c->arch.x87);
    u64 flags = x87_host(&image, NULL, host_code(in), (before & 0xff) << 8);
    pointers_update(c, in);
    image_commit(&c->arch.x87, &image);
    flags_set(c, (flags >> 8 & 0xff) | (flags & 1 ? RFLAGS_OF : 0));
}

// clang-format off
#define X87(name, fast) void exec_##name(struct cpu *c, const struct insn *in) { operate(c, in, fast); }
X87(farith, x87_fast_arithmetic) X87(fcom, x87_fast_compare) X87(fucom, x87_fast_compare)
X87(fld, x87_fast_load) X87(fild, x87_fast_load) X87(fldconst, x87_fast_load) X87(fxch, x87_fast_exchange)
X87(fchs, x87_fast_sign) X87(fabs, x87_fast_sign) X87(fsqrt, x87_fast_unary) X87(frndint, x87_fast_unary)
X87(ftst, NULL)   X87(fxam, NULL)  X87(fbld, NULL)  X87(fscale, NULL)  X87(fxtract, NULL) X87(fprem, NULL)
X87(f2xm1, NULL)  X87(fyl2x, NULL) X87(fyl2xp1, NULL) X87(fptan, NULL) X87(fpatan, NULL)  X87(fsin, NULL)
X87(fcos, NULL)   X87(fsincos, NULL) X87(fincstp, NULL) X87(fdecstp, NULL) X87(ffree, NULL)

#define X87_OTHER(name, meaning) void exec_##name(struct cpu *c, const struct insn *in) { meaning(c, in); }
X87_OTHER(fst, store_result) X87_OTHER(fist, store_result) X87_OTHER(fisttp, store_result) X87_OTHER(fbstp, store_result)
X87_OTHER(fcmov, move_conditional) X87_OTHER(fcomi, compare_to_flags) X87_OTHER(fucomi, compare_to_flags)
// clang-format on

/* FENI, FDISI and FSETPM of older coprocessors do nothing; they do not even wait. */
void exec_fnop(struct cpu *c, const struct insn *in)
{
    if (in->opcode == 0xd9)
        x87_wait(c);
}
