/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic, logic, shifts, bits and moves on general registers, all operand sizes,
 * with carry clear and set. */
#include "insn.h"

/* One pair of operands and a carry: `text` works on %0 (d) and %2 (s);
 * flags outside `mask` are undefined. */
// clang-format off
#define RUN(text, d, s, carry, flags) \
    __asm__ volatile("bt $0, %3\n\t" text "\n\tpushfq\n\tpop %1" \
                     : "+&q"(d), "=&r"(flags) : "q"(s), "r"((u64)(carry)) : "cc", "memory")

#define TWO(name, text, type, mask) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        for (u32 i = 0; i < COUNT(edges); i++) \
            for (u32 k = 0; k < COUNT(edges); k++) \
                for (u32 carry = 0; carry < 2; carry++) { \
                    u64 flags; \
                    u64 wide = edges[i]; \
                    type d = (type)wide, s = (type)edges[k]; \
                    RUN(text, d, s, carry, flags); \
                    h = fold(fold(h, d), flags & (mask)); \
                } \
        return h; \
    }

#define SIZES_TWO(op, mask) \
    TWO(op##_8, #op "b %2, %0", u8, mask) TWO(op##_16, #op "w %2, %0", u16, mask) \
    TWO(op##_32, #op "l %2, %0", u32, mask) TWO(op##_64, #op "q %2, %0", u64, mask)

#define LOGIC (ARITHMETIC & ~AF)
SIZES_TWO(add, ARITHMETIC) SIZES_TWO(adc, ARITHMETIC) SIZES_TWO(sub, ARITHMETIC) SIZES_TWO(sbb, ARITHMETIC)
SIZES_TWO(cmp, ARITHMETIC) SIZES_TWO(and, LOGIC) SIZES_TWO(or, LOGIC) SIZES_TWO(xor, LOGIC) SIZES_TWO(test, LOGIC)

#define SIZES_ONE(op, mask) \
    TWO(op##_8, #op "b %0", u8, mask) TWO(op##_16, #op "w %0", u16, mask) \
    TWO(op##_32, #op "l %0", u32, mask) TWO(op##_64, #op "q %0", u64, mask)
SIZES_ONE(inc, ARITHMETIC) SIZES_ONE(dec, ARITHMETIC) SIZES_ONE(neg, ARITHMETIC) SIZES_ONE(not, CF)

TWO(imul2_16, "imulw %2, %0", u16, CF | OF) TWO(imul2_32, "imull %2, %0", u32, CF | OF)
TWO(imul2_64, "imulq %2, %0", u64, CF | OF) TWO(imul3_32, "imull $-77, %2, %0", u32, CF | OF)
TWO(bswap_32, "bswapl %0", u32, CF) TWO(bswap_64, "bswapq %0", u64, CF)
TWO(bt_16, "btw %2, %0", u16, CF) TWO(bts_32, "btsl %2, %0", u32, CF) TWO(btr_64, "btrq %2, %0", u64, CF)
TWO(btc_64, "btcq %2, %0", u64, CF) TWO(movsx, "movsbw %2, %w0\n\tmovswl %w0, %k0", u8, CF)

/* Shifts: the flags are left alone by a count of 0; OF is defined for 1 only, AF never. */
#define SHIFT(name, text, type, defined) \
    static u64 name(void) \
    { \
        u64 h = 0; \
        for (u32 i = 0; i < COUNT(edges); i++) \
            for (u32 count = 0; count < 70; count++) \
                for (u32 carry = 0; carry < 2; carry++) { \
                    u32 used = count & (sizeof(type) == 8 ? 63 : 31); \
                    u32 mask = (defined) & (used > 1 ? ~OF : ~0u) & (used ? ~0u : CF); \
                    if (used > 8 * sizeof(type)) \
                        mask &= ~CF; \
                    u64 flags, other = edges[COUNT(edges) - 1 - i]; \
                    type d = (type)edges[i]; \
                    __asm__ volatile("bt $0, %3\n\t" text "\n\tpushfq\n\tpop %1" \
                                     : "+&r"(d), "=&r"(flags) : "c"(count), "r"((u64)carry), "r"(other) : "cc"); \
                    h = fold(fold(h, d), flags & mask); \
                } \
        return h; \
    }
#define SIZES_SHIFT(op, mask) \
    SHIFT(op##_8, #op "b %%cl, %b0", u8, mask) SHIFT(op##_16, #op "w %%cl, %w0", u16, mask) \
    SHIFT(op##_32, #op "l %%cl, %k0", u32, mask) SHIFT(op##_64, #op "q %%cl, %q0", u64, mask)
SIZES_SHIFT(shl, LOGIC) SIZES_SHIFT(shr, LOGIC) SIZES_SHIFT(sar, LOGIC)
SIZES_SHIFT(rol, CF | OF) SIZES_SHIFT(ror, CF | OF) SIZES_SHIFT(rcl, CF | OF) SIZES_SHIFT(rcr, CF | OF)
SHIFT(shld_32, "shldl %%cl, %k4, %k0", u32, LOGIC) SHIFT(shld_64, "shldq %%cl, %q4, %q0", u64, LOGIC)
SHIFT(shrd_32, "shrdl %%cl, %k4, %k0", u32, LOGIC) SHIFT(shrd_64, "shrdq %%cl, %q4, %q0", u64, LOGIC)
// clang-format on

static u64 bit_scans(void)
{
    u64 h = 0;
    for (u32 i = 1; i < COUNT(edges); i++) {
        u64 first, last;
        __asm__ volatile("bsfq %1, %0" : "=r"(first) : "r"(edges[i]) : "cc");
        __asm__ volatile("bsrq %1, %0" : "=r"(last) : "r"(edges[i]) : "cc");
        h = fold(fold(h, first), last);
    }
    return h;
}

static u64 multiplications(void)
{
    u64 h = 0;
    for (u32 i = 0; i < COUNT(edges); i++)
        for (u32 k = 0; k < COUNT(edges); k++) {
            u64 low = edges[i], high, flags, narrow = edges[i];
            __asm__ volatile("mulq %3\n\tpushfq\n\tpop %2"
                             : "+a"(low), "=d"(high), "=r"(flags)
                             : "r"(edges[k])
                             : "cc");
            h = fold(fold(fold(h, low), high), flags & (CF | OF));
            low = edges[i];
            __asm__ volatile("imulq %3\n\tpushfq\n\tpop %2"
                             : "+a"(low), "=d"(high), "=r"(flags)
                             : "r"(edges[k])
                             : "cc");
            h = fold(fold(fold(h, low), high), flags & (CF | OF));
            __asm__ volatile("mulb %b2\n\tpushfq\n\tpop %1"
                             : "+a"(narrow), "=&r"(flags)
                             : "q"(edges[k])
                             : "cc");
            h = fold(fold(h, narrow), flags & (CF | OF));
        }
    return h;
}

/* Dividends are made from a quotient and a remainder, so nothing overflows. */
static u64 divisions(void)
{
    u64 h = 0;
    for (u32 i = 0; i < COUNT(edges); i++)
        for (u32 k = 1; k < COUNT(edges); k++) {
            u64 low, high;
            __asm__ volatile("mulq %2"
                             : "=a"(low), "=d"(high)
                             : "r"(edges[k]), "0"(edges[i])
                             : "cc");
            __asm__ volatile("divq %2" : "+a"(low), "+d"(high) : "r"(edges[k]) : "cc");
            h = fold(fold(h, low), high);
            u32 a = (u32)edges[i] >> 1, d = 0, by = (u32)edges[k] | 3;
            __asm__ volatile("cltd\n\tidivl %2" : "+a"(a), "+d"(d) : "r"(by) : "cc");
            h = fold(fold(h, a), d);
        }
    return h;
}

static u64 exchanges(void)
{
    u64 h = 0;
    for (u32 i = 0; i < COUNT(edges); i++)
        for (u32 k = 0; k < COUNT(edges); k++) {
            _Alignas(16) u64 pair[2] = {edges[i], edges[k]};
            u64 a = edges[(i + k) % COUNT(edges)], flags, add = edges[k];
            __asm__ volatile("lock cmpxchgq %3, %1\n\tpushfq\n\tpop %2"
                             : "+a"(a), "+m"(pair[0]), "=&r"(flags)
                             : "r"(edges[k])
                             : "cc");
            h = fold(fold(fold(h, a), pair[0]), flags & ARITHMETIC);
            __asm__ volatile("lock xaddq %0, %1\n\txchgq %0, %2"
                             : "+r"(add), "+m"(pair[0]), "+m"(pair[1])
                             :
                             : "cc");
            h = fold(fold(h, pair[0]), pair[1]);
            u64 low = i & 1 ? pair[0] : 5, high = pair[1];
            __asm__ volatile("lock cmpxchg16b %0\n\tpushfq\n\tpop %3"
                             : "+m"(pair), "+a"(low), "+d"(high), "=&r"(flags)
                             : "b"(0x1111ul), "c"(0x2222ul)
                             : "cc");
            h = fold(fold(fold(fold(fold(h, pair[0]), pair[1]), low), high), flags & ZF);
        }
    return h;
}

/* All sixteen conditions on all settings of the flags. */
// clang-format off
#define CONDITION(cc) \
    __asm__ volatile("push %2\n\tpopfq\n\tset" cc " %b0\n\tcmov" cc "q %3, %1" \
                     : "+&q"(set), "+&r"(moved) : "r"(flags), "r"(~flags) : "cc"); \
    h = fold(fold(h, set & 0xff), moved);
// clang-format on

static u64 conditions(void)
{
    u64 h = 0;
    for (u32 i = 0; i < 64; i++) {
        u64 flags = 2 | (i & 1 ? CF : 0) | (i & 2 ? PF : 0) | (i & 4 ? AF : 0) | (i & 8 ? ZF : 0) |
                    (i & 16 ? SF : 0) | (i & 32 ? OF : 0);
        u64 set = 0, moved = i;
        // clang-format off
        CONDITION("o") CONDITION("no") CONDITION("b") CONDITION("nb") CONDITION("z") CONDITION("nz") CONDITION("be")
        CONDITION("nbe") CONDITION("s") CONDITION("ns") CONDITION("p") CONDITION("np") CONDITION("l") CONDITION("nl")
        CONDITION("le") CONDITION("nle")
        // clang-format on
        __asm__ volatile("push %1\n\tpopfq\n\tlahf\n\tsahf\n\tcmc\n\tpushfq\n\tpop %0"
                         : "=a"(set)
                         : "r"(flags)
                         : "cc");
        h = fold(h, set & ARITHMETIC);
    }
    return h;
}

static u64 widenings(void)
{
    u64 h = 0;
    for (u32 i = 0; i < COUNT(edges); i++) {
        u64 a = edges[i], b = 0;
        __asm__ volatile("cbtw\n\tcwtl\n\tcltq\n\tcqto" : "+a"(a), "=d"(b));
        h = fold(fold(h, a), b);
        __asm__ volatile("movzbl %b1, %k0" : "=r"(a) : "q"(edges[i]));
        __asm__ volatile("movswq %w1, %q0" : "=r"(b) : "r"(edges[i]));
        h = fold(fold(h, a), b);
        __asm__ volatile("movslq %k1, %q0" : "=r"(b) : "r"(edges[i]));
        __asm__ volatile("leaq 0x123(%1, %2, 4), %0" : "=r"(a) : "r"(edges[i]), "r"(b));
        h = fold(fold(h, a), b);
        __asm__ volatile("leal -7(%q1, %q2, 8), %k0" : "=r"(a) : "r"(edges[i]), "r"(b));
        h = fold(h, a);
    }
    return h;
}

/* clang-format off */
static const struct test_case cases[] = {
    {"add 8", add_8, 0xdcd21a6de815d8b6},
    {"add 16", add_16, 0xb1da56967605c06f},
    {"add 32", add_32, 0xc4f8edc408ecc2a0},
    {"add 64", add_64, 0xf58947e2c690b41f},
    {"adc 8", adc_8, 0xb5b5de3037716b27},
    {"adc 16", adc_16, 0x8698e327a21c0476},
    {"adc 32", adc_32, 0xf13a433e23e26880},
    {"adc 64", adc_64, 0x6ac83adc0087b8d3},
    {"sub 8", sub_8, 0x7fa14664251684a2},
    {"sub 16", sub_16, 0xf2005474dedc848d},
    {"sub 32", sub_32, 0x9d1f682fba67b140},
    {"sub 64", sub_64, 0x478fccb69f9a19ce},
    {"sbb 8", sbb_8, 0xcd18a6289201c827},
    {"sbb 16", sbb_16, 0x8262f2bc9d3e8766},
    {"sbb 32", sbb_32, 0x5e68f9d5dde0fa5f},
    {"sbb 64", sbb_64, 0xb6b833eba70ecc8f},
    {"cmp 8", cmp_8, 0xed2c1dab58d84677},
    {"cmp 16", cmp_16, 0xff2955dfbe313e12},
    {"cmp 32", cmp_32, 0x21f8a9ded7810419},
    {"cmp 64", cmp_64, 0x18561e0c63df8e7c},
    {"and 8", and_8, 0xdb1627e229e076e0},
    {"and 16", and_16, 0x2d3fe9c8c0eaa5bd},
    {"and 32", and_32, 0x86bd50ca8927c762},
    {"and 64", and_64, 0x7e19f4fda876597f},
    {"or 8", or_8, 0xb173baaee17f7a74},
    {"or 16", or_16, 0x22503d90c3f32af2},
    {"or 32", or_32, 0x24cd8985cf9ad699},
    {"or 64", or_64, 0x114ecf2acf6882ba},
    {"xor 8", xor_8, 0x52b59fc066839535},
    {"xor 16", xor_16, 0x4d834afdb7ce5a03},
    {"xor 32", xor_32, 0x0cded5b63b1e9922},
    {"xor 64", xor_64, 0x02e37c39745e54a7},
    {"test 8", test_8, 0x9e250706491ec511},
    {"test 16", test_16, 0x12ab6683aa231a2f},
    {"test 32", test_32, 0x7e010039ed01e872},
    {"test 64", test_64, 0xd1f33b6fe2f785c5},
    {"inc 8", inc_8, 0x7d325084b71258a0},
    {"inc 16", inc_16, 0x080de9b23036e1ae},
    {"inc 32", inc_32, 0x9c7ac9ee46a18d91},
    {"inc 64", inc_64, 0x93b46e2d4ade3caf},
    {"dec 8", dec_8, 0x7c590a9b24ae9b7a},
    {"dec 16", dec_16, 0xbdebc05b70957630},
    {"dec 32", dec_32, 0xf91057ec550e61b6},
    {"dec 64", dec_64, 0x00f763ba025cd16a},
    {"neg 8", neg_8, 0x08dbbbadb7c39f20},
    {"neg 16", neg_16, 0x90e972a3a1ddbcec},
    {"neg 32", neg_32, 0xf1aebfbe0482bfc2},
    {"neg 64", neg_64, 0x131ad0f55a702c25},
    {"not 8", not_8, 0x05a976046de2bc89},
    {"not 16", not_16, 0xcdfedab204f529b2},
    {"not 32", not_32, 0x3f5246ae40f7066e},
    {"not 64", not_64, 0x4a28fe9736a5ed7c},
    {"shl 8", shl_8, 0x306afbedd6eccfb4},
    {"shl 16", shl_16, 0x76198f084dc2513e},
    {"shl 32", shl_32, 0x575f7e6abf156979},
    {"shl 64", shl_64, 0x99f1639479350099},
    {"shr 8", shr_8, 0x14b541b58e7f78d7},
    {"shr 16", shr_16, 0xb28052f27d5e582a},
    {"shr 32", shr_32, 0x83694acb87c51079},
    {"shr 64", shr_64, 0x544990e281b90e5d},
    {"sar 8", sar_8, 0xd2f3e50fe46f8e2c},
    {"sar 16", sar_16, 0x56b58275b84939ad},
    {"sar 32", sar_32, 0x846364c593c82ef9},
    {"sar 64", sar_64, 0xd0a9c966c29e1cb5},
    {"rol 8", rol_8, 0x88f1997452f65abb},
    {"rol 16", rol_16, 0xa77636f7baacfc62},
    {"rol 32", rol_32, 0xca4f9fabed46688b},
    {"rol 64", rol_64, 0x369fa9e3ee48707b},
    {"ror 8", ror_8, 0x464aff94957e42fe},
    {"ror 16", ror_16, 0x113f97862590f42b},
    {"ror 32", ror_32, 0xc6261f13e51f8f12},
    {"ror 64", ror_64, 0x68cca8525c71abeb},
    {"rcl 8", rcl_8, 0x83ec6018573699b5},
    {"rcl 16", rcl_16, 0x81e507ccc5af4f67},
    {"rcl 32", rcl_32, 0xf4e8eddc158b61e4},
    {"rcl 64", rcl_64, 0x2b6bda31d4de28d2},
    {"rcr 8", rcr_8, 0x467530c9c2dbfd75},
    {"rcr 16", rcr_16, 0xc415bc88e4c49025},
    {"rcr 32", rcr_32, 0xb3e28f5e57063156},
    {"rcr 64", rcr_64, 0x20b86c7ce5dd74a7},
    {"shld_32", shld_32, 0x4776044b8690b5c2},
    {"shld_64", shld_64, 0xa98953e74b86aab4},
    {"shrd_32", shrd_32, 0x5a91886c0d7749f3},
    {"shrd_64", shrd_64, 0x5f3dfcb5b1da8f76},
    {"imul2_16", imul2_16, 0x58c73002088a26e4},
    {"imul2_32", imul2_32, 0x2c400e1c192c5871},
    {"imul2_64", imul2_64, 0xa0574511193da6d6},
    {"imul3_32", imul3_32, 0xd8aec6a14e5c265e},
    {"bswap_32", bswap_32, 0x6f747368ac5defc9},
    {"bswap_64", bswap_64, 0x592491344c5ab2cd},
    {"bt_16", bt_16, 0x1a72f1daea6da81b},
    {"bts_32", bts_32, 0x03d5daa52bbf78f4},
    {"btr_64", btr_64, 0x409a58bb04623957},
    {"btc_64", btc_64, 0x351e1673756bc04f},
    {"movsx", movsx, 0xf6d2843de3baa738},
    {"bit_scans", bit_scans, 0x2f5440c60a247bfc},
    {"multiplications", multiplications, 0x5aa09f212c92cf99},
    {"divisions", divisions, 0x1665e04e798c665e},
    {"exchanges", exchanges, 0x4c6ffcdd97598e80},
    {"conditions", conditions, 0x02f3580b1cdd8826},
    {"widenings", widenings, 0x6882b086cbb46b52},
};
/* clang-format on */

int main(void)
{
    return run_cases(cases, COUNT(cases));
}
