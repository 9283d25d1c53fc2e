/* SPDX-License-Identifier: Apache-2.0 */
/* SSE and SSE2: packed integers, and floating point in every rounding mode with its flags. */
#include "insn.h"

#include <emmintrin.h>

// clang-format off
static const u32 singles[] = {0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x40490fdb,
                              0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00001, 0x7f800123, 0x4b7fffff, 0xcf000000};
static const u64 doubles[] = {0, 0x8000000000000000, 1, 0x000fffffffffffff, 0x0010000000000000, 0x3ff0000000000000,
                              0xbff0000000000000, 0x400921fb54442d18, 0x7fefffffffffffff, 0xffefffffffffffff,
                              0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000001, 0x7ff0000000000123,
                              0x41dfffffffc00000, 0xc1e0000000000000};
// clang-format on

/* Vector i of a set: four singles, two doubles or four doublewords of integers. */
static __m128i vector(u32 set, u32 i)
{
    i %= 16;
    if (set == 0)
        return _mm_set_epi32((int)singles[(i + 3) & 15], (int)singles[(i + 6) & 15],
                             (int)singles[(i + 9) & 15], (int)singles[i]);
    if (set == 1)
        return _mm_set_epi64x((long long)doubles[(i + 5) & 15], (long long)doubles[i]);
    return _mm_set_epi64x((long long)edges[(i + 4) & 15],
                          (long long)(edges[i + 2] * 0x0101010101010101u));
}

static u64 fold_vector(u64 h, __m128i v)
{
    u64 q[2];
    _mm_storeu_si128((__m128i *)(void *)q, v);
    return fold(fold(h, q[0]), q[1]);
}

/* Every pair of vectors, in the given MXCSR; its flags count. */
// clang-format off
#define BODY(set, mxcsr, text) \
    for (u32 i = 0; i < 16; i++) \
        for (u32 k = 0; k < 16; k++) { \
            __m128i a = vector(set, i), b = vector(set, k); \
            u32 control = (mxcsr), after; \
            __asm__ volatile("ldmxcsr %2\n\t" text "\n\tstmxcsr %1" : "+x"(a), "=m"(after) : "m"(control), "x"(b) : "cc"); \
            h = fold(fold_vector(h, a), after); \
        }
#define INTEGER(op) \
    static u64 op(void) { u64 h = 0; BODY(2, 0x1f80, #op " %3, %0") return h; }
#define FLOAT(op, set) \
    static u64 op(void) \
    { \
        u64 h = 0; \
        for (u32 mode = 0; mode < 16; mode++) \
            BODY(set, 0x1f80 | (mode & 3) << 13 | (mode & 4 ? 0x8000u : 0) | (mode & 8 ? 0x40u : 0), #op " %3, %0") \
        return h; \
    }
#define INTEGER_OPS(X) \
    X(paddb) X(paddw) X(paddd) X(paddq) X(psubb) X(psubw) X(psubd) X(psubq) X(paddsb) X(paddsw) X(paddusb) X(paddusw) \
    X(psubsb) X(psubsw) X(psubusb) X(psubusw) X(pmullw) X(pmulhw) X(pmulhuw) X(pmuludq) X(pmaddwd) X(psadbw) X(pavgb) \
    X(pavgw) X(pminub) X(pmaxub) X(pminsw) X(pmaxsw) X(pcmpeqb) X(pcmpeqw) X(pcmpeqd) X(pcmpgtb) X(pcmpgtw) X(pcmpgtd) \
    X(pand) X(pandn) X(por) X(pxor) X(punpcklbw) X(punpcklwd) X(punpckldq) X(punpcklqdq) X(punpckhbw) X(punpckhwd) \
    X(punpckhdq) X(punpckhqdq) X(packsswb) X(packssdw) X(packuswb) X(psllw) X(pslld) X(psllq) X(psrlw) X(psrld) \
    X(psrlq) X(psraw) X(psrad)
#define SINGLE_OPS(X) \
    X(addps) X(subps) X(mulps) X(divps) X(minps) X(maxps) X(sqrtps) X(addss) X(subss) X(mulss) X(divss) X(minss) X(maxss) \
    X(sqrtss) X(cvtps2pd) X(cvtss2sd) X(cvtps2dq) X(cvttps2dq) X(cmpeqps) X(cmpltps) X(cmpleps) X(cmpunordps) \
    X(cmpneqps) X(cmpnltps) X(cmpnleps) X(cmpordps) X(cmpltss) X(unpcklps) X(unpckhps) X(movss) X(movhlps) X(movlhps)
#define DOUBLE_OPS(X) \
    X(addpd) X(subpd) X(mulpd) X(divpd) X(minpd) X(maxpd) X(sqrtpd) X(addsd) X(subsd) X(mulsd) X(divsd) X(minsd) X(maxsd) \
    X(sqrtsd) X(cvtpd2ps) X(cvtsd2ss) X(cvtpd2dq) X(cvttpd2dq) X(cmpeqpd) X(cmpltpd) X(cmplepd) X(cmpunordpd) \
    X(cmpneqpd) X(cmpnltpd) X(cmpnlepd) X(cmpordpd) X(cmpltsd) X(unpcklpd) X(unpckhpd)
#define CONVERT_OPS(X) X(cvtdq2ps) X(cvtdq2pd)
#define SINGLE(op) FLOAT(op, 0)
#define DOUBLE(op) FLOAT(op, 1)
#define CONVERT(op) FLOAT(op, 2)
INTEGER_OPS(INTEGER) SINGLE_OPS(SINGLE) DOUBLE_OPS(DOUBLE) CONVERT_OPS(CONVERT)

#define ORDER(name, set, op) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        for (u32 i = 0; i < 16; i++) \
            for (u32 k = 0; k < 16; k++) { \
                u64 flags; \
                u32 control = 0x1f80, after; \
                __asm__ volatile("ldmxcsr %2\n\t" op " %3, %4\n\tpushfq\n\tpop %0\n\tstmxcsr %1" \
                                 : "=r"(flags), "=m"(after) : "m"(control), "x"(vector(set, i)), "x"(vector(set, k)) : "cc"); \
                h = fold(fold(h, flags & ARITHMETIC), after); \
            } \
        return h; \
    }
ORDER(ucomiss, 0, "ucomiss") ORDER(comiss, 0, "comiss") ORDER(ucomisd, 1, "ucomisd") ORDER(comisd, 1, "comisd")

#define TO_REGISTER(name, set, op) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        for (u32 i = 0; i < 64; i++) { \
            u64 wide; \
            u32 narrow, control = 0x1f80 | (i / 16) << 13, after; \
            __asm__ volatile("ldmxcsr %3\n\t" op " %4, %q0\n\t" op " %4, %k1\n\tstmxcsr %2" \
                             : "=&r"(wide), "=&r"(narrow), "=m"(after) : "m"(control), "x"(vector(set, i))); \
            h = fold(fold(fold(h, wide), narrow), after); \
        } \
        return h; \
    }
TO_REGISTER(cvtss2si, 0, "cvtss2si") TO_REGISTER(cvttss2si, 0, "cvttss2si")
TO_REGISTER(cvtsd2si, 1, "cvtsd2si") TO_REGISTER(cvttsd2si, 1, "cvttsd2si")

#define SHUFFLE(op, imm) \
    static u64 op##_##imm(void) { u64 h = 0; BODY(2, 0x1f80, #op " $" #imm ", %3, %0") return h; }
SHUFFLE(pshufd, 0x1b) SHUFFLE(pshuflw, 0x39) SHUFFLE(pshufhw, 0xc6) SHUFFLE(shufps, 0x72) SHUFFLE(shufpd, 0x2)
// clang-format on

static u64 from_registers(void)
{
    u64 h = 0;
    for (u32 i = 0; i < COUNT(edges); i++) {
        __m128i v = _mm_setzero_si128();
        u64 back;
        u32 mask;
        __asm__ volatile("movq %1, %0" : "=x"(v) : "r"(edges[i]));
        h = fold_vector(h, v);
        __asm__ volatile("cvtsi2sdq %1, %0" : "+x"(v) : "r"(edges[i]));
        h = fold_vector(h, v);
        __asm__ volatile("cvtsi2ssl %k1, %0" : "+x"(v) : "r"(edges[i]));
        h = fold_vector(h, v);
        __asm__ volatile("movd %k1, %0\n\tpinsrw $5, %k1, %0" : "+x"(v) : "r"(edges[i]));
        h = fold_vector(h, v);
        __asm__ volatile("movq %2, %0\n\tpmovmskb %2, %1" : "=r"(back), "=r"(mask) : "x"(v));
        h = fold(fold(h, back), mask);
        __asm__ volatile("pextrw $5, %2, %k0\n\tmovmskps %2, %1" : "=r"(back), "=r"(mask) : "x"(v));
        h = fold(fold(h, (u32)back), mask);
    }
    return h;
}

/* Loads and stores of every width, aligned and across a page. */
static u64 memory_moves(void)
{
    static _Alignas(4096) u8 buffer[3 * 4096];
    u64 h = 0;
    for (u32 i = 0; i < sizeof buffer; i++)
        buffer[i] = (u8)(i * 7 + i / 256);
    for (u32 i = 0; i < 64; i++) {
        u8 *p = buffer + 4096 - 32 + i;
        __m128i v = vector(2, i);
        __asm__ volatile("movdqu %1, %0\n\tmovups %0, %2"
                         : "=&x"(v), "+m"(p[0]), "=m"(p[600])
                         :
                         : "memory");
        h = fold_vector(h, v);
        __asm__ volatile("movlps %1, %0\n\tmovhps %2, %0"
                         : "+x"(v)
                         : "m"(p[3]), "m"(p[100])
                         : "memory");
        __asm__ volatile("movss %0, %1\n\tmovsd %0, %2"
                         :
                         : "x"(v), "m"(p[200]), "m"(p[300])
                         : "memory");
        __asm__ volatile("movhps %1, %2\n\tmovq %1, %0"
                         : "+m"(p[400])
                         : "x"(v), "m"(p[500])
                         : "memory");
    }
    for (u32 i = 0; i < 3; i++) {
        __m128i *p = (__m128i *)(void *)(buffer + 4096 * i);
        __m128i v;
        __asm__ volatile("movdqa %1, %0\n\tmovntdq %0, %2\n\tmovaps %0, %3"
                         : "=&x"(v)
                         : "m"(p[0]), "m"(p[4]), "m"(p[8])
                         : "memory");
        __asm__ volatile("maskmovdqu %1, %0"
                         :
                         : "x"(v), "x"(vector(2, i)), "D"(buffer + 8000)
                         : "memory");
    }
    for (u32 i = 0; i < sizeof buffer; i += 8)
        h = fold(h, *(u64 *)(void *)(buffer + i));
    return h;
}

/* clang-format off */
static const struct test_case cases[] = {
    {"paddb", paddb, 0x56893f6b48ce4fab},
    {"paddw", paddw, 0xb7a4d094654a3305},
    {"paddd", paddd, 0xbcb0b7e703261cc9},
    {"paddq", paddq, 0x80ebafca76f8a068},
    {"psubb", psubb, 0xde4417d6cd3bccf7},
    {"psubw", psubw, 0xad7f4da3a90539c7},
    {"psubd", psubd, 0x950a3aabddb7944b},
    {"psubq", psubq, 0x117027f6cc966f94},
    {"paddsb", paddsb, 0x7e8242d7a45a7db6},
    {"paddsw", paddsw, 0x53ed0a3b5b7b12cc},
    {"paddusb", paddusb, 0xafb25e08fb6ff970},
    {"paddusw", paddusw, 0x7cc90115e19ce02b},
    {"psubsb", psubsb, 0xf68c2be3853ae560},
    {"psubsw", psubsw, 0x7d31ab14946c3c9c},
    {"psubusb", psubusb, 0xd0727e4267c7c9d0},
    {"psubusw", psubusw, 0xd9cd6d7bcf55e477},
    {"pmullw", pmullw, 0xab622e04acf07ee4},
    {"pmulhw", pmulhw, 0xa20080d42bde6093},
    {"pmulhuw", pmulhuw, 0x8604eefee176a7d5},
    {"pmuludq", pmuludq, 0x927e3bd9b8ef3ebd},
    {"pmaddwd", pmaddwd, 0xabc56d447f216c2f},
    {"psadbw", psadbw, 0xfd45fb9539663213},
    {"pavgb", pavgb, 0x0b9222c92f6b1c92},
    {"pavgw", pavgw, 0xe0a2cf7dbbf18fac},
    {"pminub", pminub, 0xbfc0d2f38cd68fd6},
    {"pmaxub", pmaxub, 0x01c9d065e6341b4e},
    {"pminsw", pminsw, 0x5d2c567c0aca04c1},
    {"pmaxsw", pmaxsw, 0x85d6300224d68d4a},
    {"pcmpeqb", pcmpeqb, 0x1866ad9b0eb632fb},
    {"pcmpeqw", pcmpeqw, 0x903f03baa89178de},
    {"pcmpeqd", pcmpeqd, 0x930ce24327cd1c7f},
    {"pcmpgtb", pcmpgtb, 0xc90635d8cafb62ec},
    {"pcmpgtw", pcmpgtw, 0xeb337c933337937b},
    {"pcmpgtd", pcmpgtd, 0x026bbe32a5097b25},
    {"pand", pand, 0x55811b968ac5baf2},
    {"pandn", pandn, 0xdfd012fba3a7356f},
    {"por", por, 0xf872c2efd3e25bfa},
    {"pxor", pxor, 0x51da728ff12f5543},
    {"punpcklbw", punpcklbw, 0x2ed31160fe9b25b0},
    {"punpcklwd", punpcklwd, 0xedd98561a95fed4c},
    {"punpckldq", punpckldq, 0xa26ca9ecb4a577ae},
    {"punpcklqdq", punpcklqdq, 0xcfd358a9ca986922},
    {"punpckhbw", punpckhbw, 0x4e042f8c90390f19},
    {"punpckhwd", punpckhwd, 0xd2dee91603e114e5},
    {"punpckhdq", punpckhdq, 0x32a823a0549f3769},
    {"punpckhqdq", punpckhqdq, 0x5017eb9a4e195c30},
    {"packsswb", packsswb, 0x22df0f52b3d0c381},
    {"packssdw", packssdw, 0x1274e446d7347c60},
    {"packuswb", packuswb, 0xe5ffa303fd8be99b},
    {"psllw", psllw, 0x14f3dc3ed400b726},
    {"pslld", pslld, 0x14f3dc3ed400b726},
    {"psllq", psllq, 0x14f3dc3ed400b726},
    {"psrlw", psrlw, 0x14f3dc3ed400b726},
    {"psrld", psrld, 0x14f3dc3ed400b726},
    {"psrlq", psrlq, 0x14f3dc3ed400b726},
    {"psraw", psraw, 0xae4952ba372117a1},
    {"psrad", psrad, 0x997efcdaade1b97f},
    {"addps", addps, 0xb6eacbc5f03f5a5a},
    {"subps", subps, 0x17a544bb8ce5dba2},
    {"mulps", mulps, 0xad29e3991a1caa3b},
    {"divps", divps, 0x84bd660a5c3665e3},
    {"minps", minps, 0xd4651613d9935c15},
    {"maxps", maxps, 0xc4a46fa648173779},
    {"sqrtps", sqrtps, 0xd48e9085d14d9d3c},
    {"addss", addss, 0x517affa1f55e1f8b},
    {"subss", subss, 0x5c83a164ea88b337},
    {"mulss", mulss, 0x0aaa1689ed44cfa5},
    {"divss", divss, 0x89077fa25041e2a9},
    {"minss", minss, 0x1ded9e28a070374c},
    {"maxss", maxss, 0x636ed6fcda3baf40},
    {"sqrtss", sqrtss, 0xa3c1336e36eaf6dd},
    {"cvtps2pd", cvtps2pd, 0x5097ed5ba249aaea},
    {"cvtss2sd", cvtss2sd, 0xc7f35ff2a3f8b580},
    {"cvtps2dq", cvtps2dq, 0x61f53ad90151d129},
    {"cvttps2dq", cvttps2dq, 0xdd76b2c4f70af3e7},
    {"cmpeqps", cmpeqps, 0x174da11e1748a3e1},
    {"cmpltps", cmpltps, 0x3f8503e6b7ec5aff},
    {"cmpleps", cmpleps, 0xcc0081cb1bf23f53},
    {"cmpunordps", cmpunordps, 0xfe5afcd53fa180de},
    {"cmpneqps", cmpneqps, 0x247106a0d50ab82e},
    {"cmpnltps", cmpnltps, 0xc5e01f8d874e8d44},
    {"cmpnleps", cmpnleps, 0x7ae295d4b4e2a579},
    {"cmpordps", cmpordps, 0x522eaa2e5f9d13f9},
    {"cmpltss", cmpltss, 0xa6d3d360ba6b9025},
    {"unpcklps", unpcklps, 0x84b256d37979f220},
    {"unpckhps", unpckhps, 0xc05166771eb08bce},
    {"movss", movss, 0xebeac5c61b7071e8},
    {"movhlps", movhlps, 0x88baca8902b75a52},
    {"movlhps", movlhps, 0xb26cebcd096a27dc},
    {"addpd", addpd, 0xeea1b7d7ec0457bb},
    {"subpd", subpd, 0xd765776923d39966},
    {"mulpd", mulpd, 0x174aa33d0a434c41},
    {"divpd", divpd, 0x7a9e34ecb1c9ca95},
    {"minpd", minpd, 0xc75e41ccfec80deb},
    {"maxpd", maxpd, 0x1c5c923bee08ac35},
    {"sqrtpd", sqrtpd, 0x7f4e918e1a9f2afa},
    {"addsd", addsd, 0xf200c2bd1e0494f5},
    {"subsd", subsd, 0xc37062845e772589},
    {"mulsd", mulsd, 0x89251393d5786657},
    {"divsd", divsd, 0x8d411621e694b9cc},
    {"minsd", minsd, 0x8bc71359bdaccc46},
    {"maxsd", maxsd, 0x70ea0ae1adea7979},
    {"sqrtsd", sqrtsd, 0x669049abcdc3da88},
    {"cvtpd2ps", cvtpd2ps, 0xaaf1f45bad959273},
    {"cvtsd2ss", cvtsd2ss, 0x9189bd21a21c6f8f},
    {"cvtpd2dq", cvtpd2dq, 0xf845718c62b9c512},
    {"cvttpd2dq", cvttpd2dq, 0xc6f8fcd5ab972d71},
    {"cmpeqpd", cmpeqpd, 0x0ea9d36bc2a2611c},
    {"cmpltpd", cmpltpd, 0x17e5db443b457e64},
    {"cmplepd", cmplepd, 0x3c8bba33094c0529},
    {"cmpunordpd", cmpunordpd, 0xd776a1a8756becb5},
    {"cmpneqpd", cmpneqpd, 0xdf392d10b27da35c},
    {"cmpnltpd", cmpnltpd, 0x9a81c8c6e5042e5e},
    {"cmpnlepd", cmpnlepd, 0xef6a7e300ee0d5b7},
    {"cmpordpd", cmpordpd, 0x3f424f4f07f489b6},
    {"cmpltsd", cmpltsd, 0xed5c0a2f18a50757},
    {"unpcklpd", unpcklpd, 0x7171e31cef1606b9},
    {"unpckhpd", unpckhpd, 0x0ec563fc2243cec1},
    {"cvtdq2ps", cvtdq2ps, 0xf7254c2205e22bd4},
    {"cvtdq2pd", cvtdq2pd, 0x3a21a5b9aa4d7bd5},
    {"ucomiss", ucomiss, 0x1239195e1bce0b36},
    {"comiss", comiss, 0x57d525ff30057a3c},
    {"ucomisd", ucomisd, 0x687cc2795d7260fb},
    {"comisd", comisd, 0x09f8d47d9aa12921},
    {"cvtss2si", cvtss2si, 0x88abe9e57a219e53},
    {"cvttss2si", cvttss2si, 0xfc03db5eb325c155},
    {"cvtsd2si", cvtsd2si, 0xa655abf881e97dde},
    {"cvttsd2si", cvttsd2si, 0x5ef630b38e83c3c1},
    {"pshufd_0x1b", pshufd_0x1b, 0x9466b871f63b386d},
    {"pshuflw_0x39", pshuflw_0x39, 0xd53655837a74fe7b},
    {"pshufhw_0xc6", pshufhw_0xc6, 0xd0ecc163ee3a4e6e},
    {"shufps_0x72", shufps_0x72, 0x7bc197e1540dab3e},
    {"shufpd_0x2", shufpd_0x2, 0x7d61094c0f32e5d3},
    {"from_registers", from_registers, 0x964d3821ba0836d0},
    {"memory_moves", memory_moves, 0x6ed2f286b4bb9fdd},
};
/* clang-format on */

int main(void)
{
    int failed = run_cases(cases, COUNT(cases));
    _mm_setcsr(0x1f80);
    return failed;
}
