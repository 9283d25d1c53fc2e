/* SPDX-License-Identifier: Apache-2.0 */
/* x87 and MMX: arithmetic in every precision and rounding mode, conversions, the stack, state
 * images. Functions that processors approximate differently (FSIN ...) are left out. */
#include "insn.h"

struct extended {
    u64 mantissa;
    u16 exponent;
};

static const struct extended values[] = {
    // clang-format off
    {0, 0}, {0, 0x8000}, {1, 0}, {0x8000000000000000, 0}, {0x7fffffffffffffff, 0x8000}, {0x8000000000000000, 1},
    {0x8000000000000000, 0x3fff}, {0x8000000000000000, 0xbfff}, {0xc90fdaa22168c235, 0x4000}, {0xffffffffffffffff, 0x7ffe},
    {0x8000000000000000, 0x7fff}, {0x8000000000000000, 0xffff}, {0xc000000000000001, 0x7fff}, {0x8000000000000123, 0x7fff},
    {0x4000000000000000, 0x4000}, {0xaaaaaaaaaaaaaaab, 0x3ffd}, {0xfffffffffffffffe, 0x403d}, {0x8000000000000001, 0xc01e},
    // clang-format on
};

/* FNSAVE's image but for the pointers, which hold addresses, and condition codes that are undefined
 * (C0 C2 C3 but after comparisons and the like). */
#define CODES 0x45
static u64 fold_state(u64 h, u8 codes)
{
    u8 image[108];
    __asm__ volatile("fnsave %0" : "=m"(image));
    image[5] &= (u8)(~CODES | codes);
    for (u32 i = 0; i < sizeof image; i++)
        if (i < 12 || i >= 28)
            h = fold(h, image[i]);
    return h;
}

// clang-format off
#define TWO_CODES(name, text, codes) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        for (u32 mode = 0; mode < 16; mode++) \
            for (u32 i = 0; i < COUNT(values); i++) \
                for (u32 k = 0; k < COUNT(values); k++) { \
                    u16 control = (u16)(0x7f | mode << 8); \
                    __asm__ volatile("fninit\n\tfldcw %0\n\tfldt %1\n\tfldt %2\n\t" text \
                                     : : "m"(control), "m"(values[i]), "m"(values[k]) : "cc"); \
                    h = fold_state(h, codes); \
                } \
        return h; \
    }
#define TWO(name, text) TWO_CODES(name, text, 0)
TWO(fadd, "faddp") TWO(fsub, "fsubp") TWO(fsubr, "fsubrp") TWO(fmul, "fmulp") TWO(fdiv, "fdivp") TWO(fdivr, "fdivrp")
TWO_CODES(fcom, "fcompp", CODES) TWO_CODES(fucom, "fucom %%st(1)", CODES) TWO(fsqrt, "fsqrt") TWO(frndint, "frndint") TWO(fxtract, "fxtract")
TWO(fscale, "fscale") TWO_CODES(fprem, "fprem", CODES) TWO_CODES(fprem1, "fprem1", CODES) TWO_CODES(fxam, "fxam", CODES) TWO_CODES(ftst, "ftst", CODES)
TWO(fchs, "fchs\n\tfxch\n\tfabs") TWO(constants, "fld1\n\tfldl2t\n\tfldl2e\n\tfldpi\n\tfldlg2\n\tfldln2")
TWO(overflow, "fldz\n\tfldz\n\tfldz\n\tfldz\n\tfldz\n\tfldz\n\tfldz")
TWO(underflow, "fstp %%st(0)\n\tfstp %%st(0)\n\tfadd %%st(1), %%st")
TWO(stack, "fincstp\n\tfdecstp\n\tffree %%st(1)\n\tfdecstp\n\tfld1")

/* Flags by FCOMI, then a move by them. */
static u64 fcomi(void)
{
    u64 h = 0;
    for (u32 i = 0; i < COUNT(values); i++)
        for (u32 k = 0; k < COUNT(values); k++) {
            u64 flags;
            __asm__ volatile("fninit\n\tfldt %1\n\tfldt %2\n\tfcomi %%st(1), %%st\n\tpushfq\n\tpop %0\n\t"
                             "fcmovb %%st(1), %%st\n\tfcmovu %%st(1), %%st\n\tfucomip %%st(1), %%st"
                             : "=r"(flags) : "m"(values[i]), "m"(values[k]) : "cc");
            h = fold_state(fold(h, flags & (CF | PF | ZF)), 0);
        }
    return h;
}

#define STORE(name, text, size) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        for (u32 mode = 0; mode < 16; mode++) \
            for (u32 i = 0; i < COUNT(values); i++) { \
                u16 control = (u16)(0x7f | mode << 8); \
                u64 out[2] = {0, 0}; \
                __asm__ volatile("fninit\n\tfldcw %1\n\tfldt %2\n\t" text " %0" \
                                 : "+m"(out) : "m"(control), "m"(values[i])); \
                h = fold_state(fold(fold(h, out[0]), out[1]), 0); \
            } \
        return h; \
    }
STORE(fsts, "fsts", 4) STORE(fstpl, "fstpl", 8) STORE(fstpt, "fstpt", 10) STORE(fists, "fists", 2) STORE(fistl, "fistl", 4)
STORE(fistpll, "fistpll", 8) STORE(fbstp, "fbstp", 10)

#define LOAD(name, text) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        for (u32 i = 0; i < COUNT(edges); i++) { \
            __asm__ volatile("fninit\n\t" text " %0" : : "m"(edges[i])); \
            h = fold_state(h, 0); \
        } \
        return h; \
    }
LOAD(flds, "flds") LOAD(fldl, "fldl") LOAD(filds, "filds") LOAD(fildl, "fildl") LOAD(fildll, "fildll")
LOAD(arithmetic, "fld1\n\tfadds %0\n\tfmull %0\n\tfiaddl %0\n\tfimuls %0\n\tficoms")
// clang-format on

static u64 fbld(void)
{
    static const u8 digits[][10] = {{0},
                                    {0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x80},
                                    {0x12, 0x34, 0x56, 0x78}};
    u64 h = 0;
    for (u32 i = 0; i < COUNT(digits); i++) {
        __asm__ volatile("fninit\n\tfbld %0" : : "m"(digits[i]));
        h = fold_state(h, 0);
    }
    return h;
}

/* MMX writes set TOP to 0 and all tags valid; EMMS empties them. */
static u64 mmx(void)
{
    u64 h = 0;
    for (u32 i = 0; i < COUNT(edges); i++) {
        u64 out;
        __asm__ volatile("fninit\n\tfld1\n\tmovq %1, %%mm3\n\tpaddb %1, %%mm3\n\tpunpckhbw %%mm3, "
                         "%%mm3\n\tpacksswb %1, %%mm3\n\t"
                         "psllw $3, %%mm3\n\tmovq %%mm3, %0"
                         : "=m"(out)
                         : "m"(edges[i]));
        h = fold_state(fold(h, out), 0);
        __asm__ volatile("fninit\n\tmovd %k0, %%mm1\n\temms\n\tfldz" : : "r"(edges[i]));
        h = fold_state(h, 0);
    }
    return h;
}

/* FXSAVE's legacy part and back. */
static u64 fxsave(void)
{
    _Alignas(16) u8 image[512], again[512];
    u64 h = 0;
    for (u32 i = 0; i + 1 < COUNT(values); i++) {
        __asm__ volatile(
            "fninit\n\tfldt %2\n\tfldt %3\n\tfxsave64 %0\n\tfninit\n\tfxrstor64 %0\n\tfxsave64 %1"
            : "=m"(image), "=m"(again)
            : "m"(values[i]), "m"(values[i + 1])
            : "memory");
        for (u32 k = 0; k < 160; k++)
            if (k < 3 || (k >= 4 && k < 6) || k >= 32)
                h = fold(fold(h, image[k]), again[k]);
    }
    return fold_state(h, 0);
}

/* clang-format off */
static const struct test_case cases[] = {
    {"fadd", fadd, 0xead652a8ae215b3b},
    {"fsub", fsub, 0xd3e4fe24e021381c},
    {"fsubr", fsubr, 0xf3faa9099385694f},
    {"fmul", fmul, 0x9f471b3c7de69a13},
    {"fdiv", fdiv, 0x4c366bb09551de65},
    {"fdivr", fdivr, 0xd445ddbfc4f5eb9f},
    {"fcom", fcom, 0x2cb162ae755edf0d},
    {"fucom", fucom, 0xb8bf67c922bd2aaf},
    {"fsqrt", fsqrt, 0x5fa05b846f9714e2},
    {"frndint", frndint, 0x7278972f5f5fb10c},
    {"fxtract", fxtract, 0x1dd2e32db53d914b},
    {"fscale", fscale, 0x34a5b3bfec61a8fd},
    {"fprem", fprem, 0xc219ea46918d855d},
    {"fprem1", fprem1, 0x689532e600eaa0bc},
    {"fxam", fxam, 0x9d02298ca4fc2bac},
    {"ftst", ftst, 0xc76e44b7729862cd},
    {"fchs", fchs, 0x94b5440cfe74aff5},
    {"constants", constants, 0xe00b0fdd0dfe7591},
    {"overflow", overflow, 0x90c41ac6f405be9c},
    {"underflow", underflow, 0xbf6e3724a5b929b7},
    {"stack", stack, 0x48b1b83099afda0d},
    {"fcomi", fcomi, 0xe39a56c67759d978},
    {"fsts", fsts, 0x831f99bd63144c8a},
    {"fstpl", fstpl, 0xc80d8ef6e5909d34},
    {"fstpt", fstpt, 0xd3ec3db26a9e4e74},
    {"fists", fists, 0x5750e578c8978709},
    {"fistl", fistl, 0x1d00b7dacbf96650},
    {"fistpll", fistpll, 0x5788c18d7e6e54e0},
    {"fbstp", fbstp, 0xe7725131e798bb2c},
    {"flds", flds, 0xaa2eeaace8d1b325},
    {"fldl", fldl, 0x4fca674886c37db7},
    {"filds", filds, 0xcd2d092dc28546af},
    {"fildl", fildl, 0xac53f07327af376f},
    {"fildll", fildll, 0x431441a5f1a534b0},
    {"arithmetic", arithmetic, 0x8d5669ee3dd48ae9},
    {"fbld", fbld, 0x5347800a70e0f758},
    {"mmx", mmx, 0x5d9a0052eed0c960},
    {"fxsave", fxsave, 0xbcad34b763c19b10},
};
/* clang-format on */

int main(void)
{
    return run_cases(cases, COUNT(cases));
}
