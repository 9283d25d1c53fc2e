/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87 arithmetic, on the host's x87 unit: the guest's whole state goes in, the very instruction runs, the state comes
 * back. Rounding, precision, stack faults, tags, condition codes and the half-done results of unmasked exceptions are thus the
 * hardware's. FNSAVE does not wait, so an exception that the guest has unmasked stays pending in the image and
 * never reaches the host process.
 */
#include "cpu/x87.h"

/* What FRSTOR and FNSAVE work on in 64-bit code: the 32-bit protected-mode format [APM2 11.4.4]. */
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
 * The instructions: code that is `op; ret`, eight bytes apart. Register forms by opcode D8..DF and ModRM C0..FF, memory
 * forms by opcode and ModRM.reg with their operand at (%rsi). x87_host() runs one of them; AH carries CF PF AF ZF SF in
 * for FCMOVcc and out of FCOMI, AL carries OF out.
 */
u64 x87_host(struct x87_image *image, void *operand, const void *code, u64 flags);
extern const u8 x87_register_forms[8][64][8];
extern const u8 x87_memory_forms[8][8][8];

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

/* --- The guest's unit to the host's and back -------------------------------------------------------------------- */

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
    return in->modrm >= 0xc0 ? x87_register_forms[opcode][in->modrm & 63] : x87_memory_forms[opcode][in->modrm >> 3 & 7];
}

/* Instruction and operand pointers, kept for the handler of an exception. */
static void pointers_update(struct cpu *c, const struct insn *in)
{
    struct x87 *x = &c->x87;
    x->opcode = (u16)((in->opcode & 7u) << 8 | in->modrm);
    x->ip = c->insn_rip;
    x->ip_selector = c->seg[SEG_CS].selector;
    if (in->modrm < 0xc0) {
        x->dp = operand_offset(c, in);
        x->dp_selector = c->seg[in->segment].selector;
    }
}

static void compute(struct cpu *c, const struct insn *in, void *operand)
{
    struct x87_image image;
    image_fill(&image, &c->x87);
    x87_host(&image, operand, host_code(in), 0);
    pointers_update(c, in);
    image_commit(&c->x87, &image);
}

/* Registers only, or with a memory operand that is read. */
static void operate(struct cpu *c, const struct insn *in)
{
    u8 operand[16] = {0};
    x87_wait(c);
    if (in->modrm < 0xc0) {
        u32 size = in->o[0].kind == OPERAND_MEM ? in->o[0].size : in->o[1].size;
        load_bytes(c, operand_address(c, in, size, false), operand, size);
    }
    compute(c, in, operand);
}

/* A store is made unless an unmasked exception suppressed it, which shows in that the host's memory keeps either of two
 * fillings. */
static void store_result(struct cpu *c, const struct insn *in)
{
    x87_wait(c);
    if (in->modrm >= 0xc0) {
        compute(c, in, NULL);
        return;
    }
    u32 size = in->o[0].size;
    u64 linear = operand_address(c, in, size, true);
    struct x87_image image, again;
    u8 result[16], other[16];
    memset(result, 0, sizeof result);
    memset(other, 0xff, sizeof other);
    image_fill(&image, &c->x87);
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
    image_commit(&c->x87, &image);
}

/* FCMOVcc reads CF, PF, ZF. */
static void move_conditional(struct cpu *c, const struct insn *in)
{
    struct x87_image image;
    x87_wait(c);
    image_fill(&image, &c->x87);
    x87_host(&image, NULL, host_code(in), (flags_get(c) & 0xff) << 8);
    pointers_update(c, in);
    image_commit(&c->x87, &image);
}

/* FCOMI and its kin write ZF, PF, CF. An unmasked exception leaves them as they were. */
static void compare_to_flags(struct cpu *c, const struct insn *in)
{
    struct x87_image image;
    u64 before = flags_get(c);
    x87_wait(c);
    image_fill(&image, &c->x87);
    u64 flags = x87_host(&image, NULL, host_code(in), (before & 0xff) << 8);
    pointers_update(c, in);
    image_commit(&c->x87, &image);
    flags_set(c, (flags >> 8 & 0xff) | (flags & 1 ? RFLAGS_OF : 0));
}

// clang-format off
#define X87(name, meaning) void exec_##name(struct cpu *c, const struct insn *in) { meaning(c, in); }

X87(farith, operate)   X87(fcom, operate)     X87(fucom, operate)    X87(ftst, operate)     X87(fxam, operate)
X87(fld, operate)      X87(fild, operate)     X87(fbld, operate)     X87(fldconst, operate) X87(fxch, operate)
X87(fchs, operate)     X87(fabs, operate)     X87(fsqrt, operate)    X87(frndint, operate)  X87(fscale, operate)
X87(fxtract, operate)  X87(fprem, operate)    X87(f2xm1, operate)    X87(fyl2x, operate)    X87(fyl2xp1, operate)
X87(fptan, operate)    X87(fpatan, operate)   X87(fsin, operate)     X87(fcos, operate)     X87(fsincos, operate)
X87(fst, store_result) X87(fist, store_result) X87(fisttp, store_result) X87(fbstp, store_result)
X87(fincstp, operate)  X87(fdecstp, operate)  X87(ffree, operate)
X87(fcmov, move_conditional) X87(fcomi, compare_to_flags) X87(fucomi, compare_to_flags)
// clang-format on

/* FENI, FDISI and FSETPM of older coprocessors do nothing, not even wait. */
void exec_fnop(struct cpu *c, const struct insn *in)
{
    if (in->opcode == 0xd9)
        x87_wait(c);
}
