/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common x87 instructions in their simple cases: every exception is masked, a register that is
 * read is not empty, and a register that is pushed is. Then only the operands go to the host's
 * unit. If that is not enough and the whole state has to go (x87.c), a function here returns false
 * and has changed nothing.
 */
#include "cpu/exec/x87.h"

#define X87_C1    BIT(9)
#define X87_CODES (BIT(8) | BIT(9) | BIT(10) | BIT(14))

/*
 * Loads the registers b and a (or none: x87_fast_push) as the host's ST(1) and ST(0), and runs
 * `code` on them and (%rsi). The variant decides about results: drop stores none; st0 and push
 * store ST(0) to a; st1 stores ST(1) to b. Leaves the host's unit empty, with its flags clear and
 * the ABI's control word. Returns 15:0 status word; 31:24 AH of LAHF; 16 OF.
 */
typedef u64 x87_fast_fn(u8 *a, void *operand, u8 *b, const void *code, u32 control);
x87_fast_fn x87_fast_drop, x87_fast_st0, x87_fast_st1, x87_fast_push;

__asm__(".pushsection .text\n"
        ".hidden x87_fast_drop, x87_fast_st0, x87_fast_st1, x87_fast_push\n"
        ".globl x87_fast_drop, x87_fast_st0, x87_fast_st1, x87_fast_push\n"
        ".macro x87_fast name, before, first, second\n"
        "    .balign 16\n"
        "\\name:\n"
        "    cmpl $0x37f, %r8d\n"
        "    je 1f\n"
        "    push %r8\n"
        "    fldcw (%rsp)\n"
        "    pop %r8\n"
        "1:\n"
        "    .if \\before\n"
        "    fldt (%rdx)\n"
        "    fldt (%rdi)\n"
        "    .endif\n"
        "    call *%rcx\n"
        "    lahf\n"
        "    seto %al\n"
        "    movzwl %ax, %r9d\n"
        "    fnstsw %ax\n"
        "    \\first\n"
        "    \\second\n"
        "    emms\n"
        "    shll $16, %r9d\n"
        "    movzwl %ax, %eax\n"
        "    orl %r9d, %eax\n"
        "    testb $0x3f, %al\n"
        "    je 2f\n"
        "    fnclex\n"
        "2:\n"
        "    cmpl $0x37f, %r8d\n"
        "    je 3f\n"
        "    push $0x37f\n"
        "    fldcw (%rsp)\n"
        "    pop %r8\n"
        "3:\n"
        "    ret\n"
        ".endm\n"
        "x87_fast x87_fast_drop, 1, nop\n"
        "x87_fast x87_fast_st0, 1, \"fstpt (%rdi)\"\n"
        "x87_fast x87_fast_st1, 1, \"fstp %st(0)\", \"fstpt (%rdx)\"\n"
        "x87_fast x87_fast_push, 0, \"fstpt (%rdi)\"\n"
        ".popsection\n");

/* --- The register stack ----------------------------------------------------------------------- */

static bool is_empty(const struct x87 *x, u32 n)
{
    return (x->tag >> (2 * ((x->top + n) & 7)) & 3u) == X87_EMPTY;
}

/* Sets a tag. Only empty or not matters: x87_tags() looks at the contents. */
static void tag_put(struct x87 *x, u32 n, u32 tag)
{
    u32 shift = 2 * ((x->top + n) & 7);
    x->tag = (u16)((x->tag & ~(3u << shift)) | tag << shift);
}

static void pop(struct x87 *x)
{
    tag_put(x, 0, X87_EMPTY);
    x->top = (x->top + 1) & 7;
}

static void push(struct x87 *x, const u8 *value)
{
    x->top = (x->top - 1) & 7;
    tag_put(x, 0, 0);
    memcpy(x87_st(x, 0), value, 10);
}

static void codes_put(struct x87 *x, u64 status, u32 codes)
{
    x->status = (u16)((x->status & ~codes) | (status & (codes | X87_EXCEPTIONS)));
}

/* Returns the host code of the operation on ST(0) and ST(1), or on memory. */
static const u8 *host_code(const struct insn *in, u8 opcode)
{
    if (in->modrm < 0xc0)
        return x87_memory_forms[opcode & 7][in->modrm >> 3 & 7];
    return x87_register_forms[opcode & 7][(in->modrm & 0x38) | 1];
}

/* Reads ST(0) and, for register forms, ST(i), which must be another register. Returns false if one
 * is not usable. */
static bool operands(struct x87 *x, const struct insn *in, u8 a[16], u8 b[16])
{
    u32 i = in->modrm < 0xc0 ? 0 : in->modrm & 7u;
    if (is_empty(x, 0) || is_empty(x, i) || (in->modrm >= 0xc0 && i == 0))
        return false;
    memcpy(a, x87_st(x, 0), 10);
    memcpy(b, x87_st(x, i), 10);
    return true;
}

/* --- Groups of instructions ------------------------------------------------------------------- */

/* D8 writes ST(0); DC writes ST(i); DE writes ST(i) and pops. */
bool x87_fast_arithmetic(struct x87 *x, const struct insn *in, void *operand)
{
    u8 a[16], b[16];
    if (!operands(x, in, a, b))
        return false;
    bool to_sti = in->modrm >= 0xc0 && in->opcode != 0xd8,
         popping = in->modrm >= 0xc0 && in->opcode == 0xde;
    const u8 *code = host_code(in, popping ? 0xdc : in->opcode);
    u64 status = (to_sti ? x87_fast_st1 : x87_fast_st0)(a, operand, b, code, x->control);
    codes_put(x, status, X87_C1);
    memcpy(x87_st(x, to_sti ? in->modrm & 7u : 0), to_sti ? b : a, 10);
    if (popping)
        pop(x);
    return true;
}

/* FSQRT and FRNDINT, which use ST(0) alone. */
bool x87_fast_unary(struct x87 *x, const struct insn *in, void *operand)
{
    u8 a[16];
    if (is_empty(x, 0))
        return false;
    memcpy(a, x87_st(x, 0), 10);
    u64 status =
        x87_fast_st0(a, operand, a, x87_register_forms[in->opcode & 7][in->modrm & 63], x->control);
    codes_put(x, status, X87_C1);
    memcpy(x87_st(x, 0), a, 10);
    return true;
}

static u32 compare_pops(const struct insn *in)
{
    switch (in->op->id) {
    case INSN_fcomp:
    case INSN_ficomp:
    case INSN_fucomp:
    case INSN_fcomip:
    case INSN_fucomip:
        return 1;
    case INSN_fcompp:
    case INSN_fucompp:
        return 2;
    default:
        return 0;
    }
}

static bool compare(struct x87 *x, const struct insn *in, void *operand, u32 codes, u64 *status)
{
    u8 a[16], b[16];
    if (!operands(x, in, a, b))
        return false;
    *status = x87_fast_drop(a, operand, b, host_code(in, in->opcode), x->control);
    codes_put(x, *status, codes);
    for (u32 n = compare_pops(in); n; n--)
        pop(x);
    return true;
}

bool x87_fast_compare(struct x87 *x, const struct insn *in, void *operand)
{
    u64 status;
    return compare(x, in, operand, X87_CODES, &status);
}

/* The condition codes do not change. */
bool x87_fast_compare_flags(struct x87 *x, const struct insn *in, u64 *flags)
{
    u64 status;
    if (!compare(x, in, NULL, 0, &status))
        return false;
    *flags = status >> 24 & 0xff;
    return true;
}

/* FLD and FILD from memory, the constants, FLD ST(i). */
bool x87_fast_load(struct x87 *x, const struct insn *in, void *operand)
{
    u8 a[16];
    if (!is_empty(x, 7))
        return false;
    if (in->modrm >= 0xc0 && in->modrm < 0xc8) {
        if (is_empty(x, in->modrm & 7u))
            return false;
        memcpy(a, x87_st(x, in->modrm & 7u), 10);
        codes_put(x, 0, X87_C1);
    } else {
        const u8 *code = in->modrm < 0xc0 ? host_code(in, in->opcode)
                                          : x87_register_forms[in->opcode & 7][in->modrm & 63];
        u64 status = x87_fast_push(a, operand, NULL, code, x->control);
        codes_put(x, status, X87_C1);
    }
    push(x, a);
    return true;
}

/* Stores to memory (FST, FIST and similar): the bytes are in `result`; the caller writes them and
 * then calls x87_fast_stored(). */
bool x87_fast_store(struct x87 *x, const struct insn *in, void *result, u64 *status)
{
    u8 a[16];
    if (is_empty(x, 0))
        return false;
    memcpy(a, x87_st(x, 0), 10);
    *status = x87_fast_drop(a, result, a, host_code(in, in->opcode), x->control);
    return true;
}

void x87_fast_stored(struct x87 *x, const struct insn *in, u64 status)
{
    codes_put(x, status, X87_C1);
    if (in->op->id != INSN_fst && in->op->id != INSN_fist)
        pop(x);
}

/* FST and FSTP ST(i) */
bool x87_fast_copy(struct x87 *x, const struct insn *in)
{
    u32 i = in->modrm & 7u;
    if (is_empty(x, 0))
        return false;
    memmove(x87_st(x, i), x87_st(x, 0), 10);
    tag_put(x, i, 0);
    codes_put(x, 0, X87_C1);
    if (in->op->id == INSN_fstp)
        pop(x);
    return true;
}

bool x87_fast_exchange(struct x87 *x, const struct insn *in, void *operand)
{
    u8 a[16], b[16];
    (void)operand;
    if (!operands(x, in, a, b))
        return false;
    memcpy(x87_st(x, 0), b, 10);
    memcpy(x87_st(x, in->modrm & 7u), a, 10);
    codes_put(x, 0, X87_C1);
    return true;
}

/* FCHS (E0) and FABS (E1) */
bool x87_fast_sign(struct x87 *x, const struct insn *in, void *operand)
{
    u8 *sign = x87_st(x, 0) + 9;
    (void)operand;
    if (is_empty(x, 0))
        return false;
    *sign = in->modrm == 0xe0 ? *sign ^ 0x80 : *sign & 0x7f;
    codes_put(x, 0, X87_C1);
    return true;
}
