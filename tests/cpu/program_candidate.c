/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes that may be an instruction. */
#include "program_parts.h"

static const u8 sse_opcodes[] = {
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e,
    0x2f, 0x50, 0x51, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f,
    0x60, 0x61, 0x62, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73, 0x74, 0x76, 0x7e, 0x7f,
    0xc2, 0xc4, 0xc5, 0xc6, 0xd4, 0xd6, 0xd7, 0xdb, 0xe6, 0xe7, 0xeb, 0xef, 0xfa, 0xfe};

void program_candidate(struct program *p, u8 bytes[32])
{
    static const u8 prefixes[] = {0, 0x66, 0xf3, 0xf2};
    u32 n = 0, rex_at;
    u8 opcode = (u8)below(p, 256), rex;
    u64 kind = p->vector ? 12 + below(p, 4) : below(p, 20);
    bool sse = kind >= 12 && kind < 16;
    u8 prefix = prefixes[sse || kind >= 18 ? below(p, 4) : (u32)chance(p, 15)];
    if (prefix)
        bytes[n++] = prefix;
    if (chance(p, 6))
        bytes[n++] = (u8[]){0xf0, 0x64, 0x65, 0x67}[below(p, 4)]; /* LOCK, FS, GS, address size */
    rex_at = n;
    bytes[n++] = (u8)(0x40 | below(p, 16));
    if (kind < 9)
        opcode = below(p, 3) ? (u8)(below(p, 8) << 3 | below(p, 6)) : (u8)(0x80 | below(p, 12));
    else if (kind >= 10)
        bytes[n++] = 0x0f;
    if (kind >= 10 && kind < 12)
        opcode = (u8)((chance(p, 50) ? 0x40 : 0x90) | below(p, 16)); /* CMOVcc, SETcc */
    else if (sse)
        opcode = sse_opcodes[below(p, ARRAY_SIZE(sse_opcodes))];
    else if (kind == 16)
        opcode = (u8)(0xa0 | below(p, 32)); /* BT..., SHLD, MOVZX, IMUL */
    else if (kind == 9 && chance(p, 50))
        opcode = (u8[]){0xc0, 0xc1, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe, 0xff}[below(p, 10)];
    else if (kind == 18)
        bytes[n++] = chance(p, 60) ? 0x38 : 0x3a;
    bytes[n++] = opcode;
    if (chance(p, 45)) {
        n += program_memory_operand(p, bytes + n, (u8)below(p, 8), &rex);
        bytes[rex_at] = (u8)((bytes[rex_at] & 0x4c) | rex);
    } else {
        bytes[n++] = (u8)(0xc0 | below(p, 64));
    }
    while (n < 32)
        bytes[n++] = (u8)(chance(p, 30) ? below(p, 4) : below(p, 256));
    if (p->compat || (bytes[rex_at] == 0x40 && chance(p, 80))) /* AH ... BH */
        memmove(bytes + rex_at, bytes + rex_at + 1, 31 - rex_at);
}

/* Writes C4, [~R ~X ~B map], [W ~vvvv L pp], an opcode and its operands. Returns the length. */
static u32 vex_candidate(struct program *p, u8 *bytes, u8 map, u8 pp, u8 opcode, u8 reg)
{
    u8 other = program_scratch(p), rex, rm = program_scratch(p);
    bytes[0] = 0xc4;
    bytes[2] = (u8)((chance(p, 50) ? 0x80 : 0) | (~other & 15) << 3 | pp);
    bytes[3] = opcode;
    u32 n = 5;
    if (chance(p, 45)) {
        n = 4 + program_memory_operand(p, bytes + 4, reg & 7, &rex);
    } else {
        bytes[4] = (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
        rex = rm >> 3;
    }
    rex = (u8)(rex | (reg >> 3) << 2);
    bytes[1] = (u8)((~rex & 7) << 5 | map);
    return n;
}

void program_bit_candidate(struct program *p, u8 bytes[32])
{
    static const struct {
        u8 map, pp, opcode;
    } rows[] = {{2, 0, 0xf2}, {2, 0, 0xf3}, {2, 0, 0xf5}, {2, 3, 0xf5}, {2, 2, 0xf5}, {2, 3, 0xf6},
                {3, 3, 0xf0}, {2, 0, 0xf7}, {2, 1, 0xf7}, {2, 2, 0xf7}, {2, 3, 0xf7}};
    u32 n, row = (u32)below(p, ARRAY_SIZE(rows) + 4);
    u8 reg = program_scratch(p);
    if (row < ARRAY_SIZE(rows)) {
        u8 opcode = rows[row].opcode;
        reg = opcode == 0xf3 ? (u8)(1 + below(p, 3)) : reg;
        n = vex_candidate(p, bytes, rows[row].map, rows[row].pp, opcode, reg);
    } else {
        u8 rm = program_scratch(p),
           rex = (u8)(0x40 | reg >> 3 << 2 | rm >> 3 | (chance(p, 50) ? 8 : 0));
        n = chance(p, 60) ? 1 : 0;
        bytes[0] = 0xf3;
        bytes[n] = rex;
        bytes[n + 1] = 0x0f;
        bytes[n + 2] = (u8[]){0xb8, 0xbc, 0xbd, 0xab, 0xb3, 0xbb}[below(p, 6)];
        bytes[n + 3] = (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
        n += 4;
    }
    while (n < 32)
        bytes[n++] = (u8)below(p, 256);
}

/* Moves and packed integers of 16 and 32 bytes, and VZEROUPPER. */
void program_avx_candidate(struct program *p, u8 bytes[32])
{
    static const struct {
        u8 pp, opcode;
        bool two; /* VEX.vvvv must be 1111 */
    } rows[] = {{0, 0x10, true},  {0, 0x11, true},  {0, 0x28, true},  {0, 0x29, true},
                {1, 0x6f, true},  {1, 0x7f, true},  {2, 0x6f, true},  {2, 0x7f, true},
                {1, 0xe7, true},  {3, 0xf0, true},  {1, 0xd7, true},  {0, 0x77, true},
                {1, 0xef, false}, {1, 0xfc, false}, {1, 0xfe, false}, {1, 0x74, false},
                {1, 0xdb, false}, {1, 0xdf, false}, {1, 0x60, false}, {1, 0x6d, false},
                {1, 0x63, false}, {1, 0xda, false}, {0, 0x57, false}, {1, 0xd4, false}};
    const u32 row = (u32)below(p, ARRAY_SIZE(rows));
    u32 n = vex_candidate(p, bytes, 1, rows[row].pp, rows[row].opcode, (u8)below(p, 16));
    bool zero = rows[row].opcode == 0x77;
    if (rows[row].opcode == 0xd7)
        bytes[1] = (u8)(0x80 | (bytes[1] & 0x7f)); /* not into R8 to R15 */
    bytes[2] =
        (u8)((bytes[2] & 0x7b) | (rows[row].two ? 0x78 : 0) | (chance(p, 60) && !zero ? 4 : 0));
    if (zero)
        n = 4;
    while (n < 32)
        bytes[n++] = (u8)below(p, 256);
}

/* Moves and arithmetic that compilers make loops of, on registers and memory. */
void program_simple_candidate(struct program *p, u8 bytes[32])
{
    static const u8 two[] = {0xaf, 0xb6, 0xb7, 0xbe, 0xbf};
    u32 n = 0;
    u8 rex, opcode = (u8)(below(p, 8) << 3 | below(p, 4)); /* ADD ... CMP */
    u64 kind = below(p, 9);
    bytes[n++] = (u8)(0x40 | below(p, 16));
    if (kind == 3)
        opcode = (u8)(0x88 | below(p, 4)); /* MOV */
    else if (kind == 4)
        opcode = chance(p, 70) ? 0x83 : 0x80;
    else if (kind == 5)
        opcode = chance(p, 60) ? 0x8d : 0x63; /* LEA, MOVSXD */
    else if (kind == 6)
        opcode = chance(p, 70) ? 0xc1 : 0xd1;
    else if (kind > 6)
        bytes[n++] = 0x0f;
    if (kind == 7)
        opcode = two[below(p, ARRAY_SIZE(two))];
    else if (kind == 8)
        opcode = (u8)((chance(p, 50) ? 0x40 : 0x90) | below(p, 16)); /* CMOVcc, SETcc */
    bytes[n++] = opcode;
    if (opcode == 0x8d || (kind != 6 && chance(p, 40))) {
        n += program_memory_operand(p, bytes + n, (u8)below(p, 8), &rex);
        bytes[0] = (u8)((bytes[0] & 0x4c) | rex);
    } else {
        bytes[n++] = (u8)(0xc0 | below(p, 64));
    }
    while (n < 32)
        bytes[n++] = (u8)below(p, 256);
    if (p->compat)
        memmove(bytes, bytes + 1, 31);
}

u32 program_walk_access(struct program *p, u8 bytes[5], u8 base)
{
    static const struct {
        u8 size, bytes[3];
    } accesses[] = {{2, {0x48, 0x8b}},       {2, {0x48, 0x89}},       {2, {0x48, 0x03}},
                    {2, {0x40, 0x88}},       {3, {0x40, 0x0f, 0xb6}}, {2, {0x40, 0x30}},
                    {3, {0x66, 0x0f, 0x6f}}, {3, {0x66, 0x0f, 0x7f}}, {3, {0xf3, 0x0f, 0x6f}},
                    {3, {0x66, 0x0f, 0xfe}}, {3, {0xc5, 0xfe, 0x6f}}, {3, {0xc5, 0xfe, 0x7f}},
                    {3, {0xc5, 0xfd, 0x6f}}, {3, {0xc5, 0xfd, 0xef}}, {2, {0x48, 0x39}}};
    const u32 i = (u32)below(p, ARRAY_SIZE(accesses));
    u32 n = accesses[i].size;
    memcpy(bytes, accesses[i].bytes, n);
    bytes[n++] = (u8)(0x40 | below(p, 2) << 4 | base); /* RAX, RDX, XMM0 or XMM2 */
    bytes[n++] = (u8)(chance(p, 60) ? 0 : below(p, 128));
    return n;
}
