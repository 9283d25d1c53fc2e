/* SPDX-License-Identifier: Apache-2.0 */
/* The state in which a random program begins: numbers, addresses, registers and data. */
#include "program_parts.h"

u64 program_number(struct program *p)
{
    static const u64 edges[] = {0,          1,          0x7f,        0x80,           0xff,
                                0x7fff,     0x8000,     0xffff,      0x7fffffff,     0x80000000,
                                0xffffffff, 0x7ffffffe, BIT(63) - 1, BIT(63),        ~0ull,
                                ~1ull,      0x10000,    0xffff0000,  0x100000000ull, 2};
    u64 r = program_random(&p->random);
    switch (below(p, 4)) {
    case 0:
        return edges[r % ARRAY_SIZE(edges)];
    case 1:
        return (u64)(s64)(s8)r;
    case 2:
        return r >> below(p, 64);
    default:
        return r;
    }
}

u32 program_data_address(struct program *p)
{
    u32 address = PROGRAM_DATA + (u32)below(p, PROGRAM_DATA_SIZE);
    if (chance(p, 15))
        address = PROGRAM_DATA + (u32)(1 + below(p, PROGRAM_DATA_SIZE / PAGE_SIZE)) * PAGE_SIZE -
                  (u32)below(p, 24);
    if (address - (p->stack & ~(u32)PAGE_MASK) < PAGE_SIZE && !chance(p, 3))
        address += PAGE_SIZE;
    if (chance(p, 75))
        address &= ~15u;
    if (chance(p, 10))
        address += PROGRAM_ALIAS + PROGRAM_CODE_SIZE - PROGRAM_DATA;
    return address;
}

void program_state(struct program *p)
{
    for (u32 i = 0; i < GPRS; i++)
        p->r[i] = program_number(p);
    p->r[RSP] = p->stack;
    for (u32 i = 0; i < 4; i++)
        p->r[(u8[]){RBX, RBP, RSI, RDI}[i]] = program_data_address(p);
    for (u32 i = 0; p->compat && i < GPRS; i++)
        p->r[i] = i < R8 ? (u32)p->r[i] : 0;
    p->rflags = (program_random(&p->random) & RFLAGS_ARITHMETIC) | RFLAGS_ONE;
    for (u32 i = 0; i < PROGRAM_DATA_SIZE; i += 8)
        store_le64(p->data + i, program_number(p));
    memset(p->fx, 0, sizeof p->fx);
    store_le16(p->fx, 0x37f);
    store_le32(p->fx + 24, 0x1f80);
    for (u32 i = 160; i < 416; i += 8)
        store_le64(p->fx + i,
                   chance(p, 60) ? 0x3ff0000000000000 | below(p, BIT(60)) : program_number(p));
}

u32 program_stack_top(struct program *p)
{
    static const u32 tops[] = {PROGRAM_DATA + PAGE_SIZE + 0x800,
                               PROGRAM_DATA + 2 * PAGE_SIZE + 0x20,
                               PROGRAM_HOLE + PAGE_SIZE + 0x30};
    u32 top = tops[chance(p, 50) ? 0 : below(p, ARRAY_SIZE(tops))];
    return top - (chance(p, 10) ? (u32)below(p, 16) : 0);
}
