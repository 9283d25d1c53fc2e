/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes random programs. Functions come callee first, so that every call has its target. RBX, RBP,
 * RSI and RDI point into the data most of the time, R15 counts loops, R14 counts recursions; the
 * other registers hold anything. Programs need not end: who runs them counts instructions.
 */
#include "program_parts.h"

#define RESERVED (BIT(RSP) | BIT(R14) | BIT(R15))
#define POINTERS (BIT(RBX) | BIT(RBP) | BIT(RSI) | BIT(RDI))
#define END_ROOM 640u /* of code, for what is begun already */

#define PUT(p, ...) put((p), (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

u64 program_random(u64 *state)
{
    *state += 0x9e3779b97f4a7c15ull;
    u64 z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static u32 code_address(struct program *p, u32 offset)
{
    return (chance(p, 30) ? PROGRAM_ALIAS : PROGRAM_CODE) + offset;
}

/* --- Single instructions ---------------------------------------------------------------------- */

static u32 put(struct program *p, const u8 *bytes, size_t length)
{
    u32 offset = p->size;
    if (p->size + length > PROGRAM_CODE_SIZE || p->instructions == PROGRAM_INSTRUCTIONS)
        return offset;
    memcpy(p->code + p->size, bytes, length);
    p->instruction[p->instructions++] = (struct program_instruction){(u16)offset, (u8)length};
    p->size += (u32)length;
    return offset;
}

static void put32(struct program *p, const u8 *opcode, u32 size, u32 value)
{
    u8 bytes[16];
    memcpy(bytes, opcode, size);
    store_le32(bytes + size, value);
    put(p, bytes, size + 4);
}
#define PUT32(p, value, ...)                                                                       \
    put32((p), (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}), (value))

static void remember_patch(struct program *p, u32 offset, u8 flip)
{
    u32 n = p->patches++ % ARRAY_SIZE(p->patch);
    p->patch[n].offset = (u16)offset;
    p->patch[n].flip = flip;
}

static u8 pointer(struct program *p)
{
    static const u8 registers[] = {RBX, RBP, RSI, RDI};
    return registers[below(p, 4)];
}

u8 program_scratch(struct program *p)
{
    static const u8 registers[] = {RAX, RCX, RDX, R8, R9, R10, R11, R12, R13};
    return registers[below(p, p->compat ? 3 : ARRAY_SIZE(registers))];
}

static void aim(struct program *p, u8 reg) /* mov reg32, address */
{
    PUT32(p, program_data_address(p), (u8)(0xb8 | reg));
}

/* Stands for a displacement relative to RIP until the instruction's length is known. */
#define RIP_MARK 0x5aa5a55au

/* RBX ... RDI or the stack, where p has data; or R8 ... R13, which tame() makes point there. */
static u8 base_register(struct program *p)
{
    if (chance(p, 10))
        return RSP;
    return !p->compat && chance(p, 10) ? (u8)(R8 + below(p, 6)) : pointer(p);
}

static u32 put_displacement(struct program *p, u8 *out, u8 base, bool wide)
{
    u8 mask = chance(p, 60) ? 0xf0 : 0xff;
    if (!wide) {
        out[0] = (u8)(p->near ? below(p, 8) : below(p, 256) & mask);
        if (base == RSP && !chance(p, 5)) /* not the return addresses */
            out[0] |= 0x80;
        return 1;
    }
    s32 disp = (s32)below(p, 4096) - (base == RSP ? 4096 : 2048);
    store_le32(out, (u32)disp & (0xffffff00u | mask));
    return 4;
}

u32 program_memory_operand(struct program *p, u8 *out, u8 reg, u8 *rex)
{
    u8 field = (u8)(reg << 3), base = base_register(p);
    *rex = 0;
    if (!p->compat && chance(p, 10)) { /* relative to RIP */
        out[0] = (u8)(field | 5);
        store_le32(out + 1, RIP_MARK);
        return 5;
    }
    if (chance(p, 6)) { /* absolute */
        out[0] = (u8)(field | 4), out[1] = 0x25;
        store_le32(out + 2, program_data_address(p));
        return 6;
    }
    u32 n = 1;
    bool wide = !p->near && chance(p, 15), index = !p->near && chance(p, 15);
    bool sib = (base & 7) == RSP || index;
    out[0] = (u8)((wide ? 0x80 : 0x40) | field | (sib ? 4 : base & 7));
    *rex = base >> 3;
    if (sib) {
        u8 i = index ? program_scratch(p) : 4;
        u8 scale = index && chance(p, 50) ? (u8)(below(p, 4) << 6) : 0;
        *rex |= (u8)(i >> 3 << 1);
        out[n++] = (u8)(scale | (i & 7) << 3 | (base & 7));
    }
    return n + put_displacement(p, out + n, base, wide);
}

static bool register_allowed(struct program *p, const struct operand *o)
{
    if (o->kind == OPERAND_GPR8H)
        return o->reg != 3 || chance(p, 5); /* BH */
    if (o->kind != OPERAND_GPR)
        return true;
    return !(BIT(o->reg) & RESERVED) && (!(BIT(o->reg) & POINTERS) || chance(p, 5));
}

/* Rejects what changes reserved registers and what no program here can use. Their places have
 * programs for them: jumps, strings, the stack. */
static bool usable(struct program *p, const struct insn *in)
{
    u32 id = in->op->id;
    if (id == INSN_push || id == INSN_pop || id == INSN_leave || id == INSN_enter ||
        id == INSN_maskmovdqu || id == INSN_maskmovq || in->op->attributes & OP_STRING)
        return false;
    bool tsc = id == INSN_rdtsc || id == INSN_rdtscp;
    if (!tsc && in->op->attributes & (OP_FUZZ_SKIP | OP_ENDS | OP_CPL0))
        return false;
    for (u32 i = 0; i < in->operands; i++) {
        if (!register_allowed(p, &in->o[i]))
            return false;
        if (in->o[i].kind == OPERAND_MEM && in->base == REG_ZERO && !in->rip_relative &&
            (in->disp < PROGRAM_DATA || in->disp > PROGRAM_ALIAS + 2 * PROGRAM_DATA_SIZE))
            return false;
        if (in->o[i].kind == OPERAND_MEM && in->op->attributes & OP_ALIGN16 && in->disp % 16 &&
            !in->rip_relative && !chance(p, 1))
            return false;
        if (in->o[i].kind == OPERAND_MEM && in->addrsize == 2)
            return false;
    }
    return true;
}

/* An index or bit offset of any size would leave the data: makes it small, most of the time. A base
 * that holds anything gets an address. */
static void tame(struct program *p, const struct insn *in)
{
    u8 reg = REG_ZERO, base = REG_ZERO;
    for (u32 i = 0; i < in->operands; i++)
        if (in->o[i].kind == OPERAND_MEM)
            reg = in->index, base = in->base;
    if (in->op->id >= INSN_bt && in->op->id <= INSN_btc && in->operands > 1 &&
        in->o[0].kind == OPERAND_MEM && in->o[1].kind == OPERAND_GPR)
        reg = in->o[1].reg;
    if (reg < GPRS && !(BIT(reg) & (RESERVED | POINTERS)) && !chance(p, 3)) {
        u8 rex = (u8)(0x40 | reg >> 3);
        u32 mask = in->op->attributes & OP_ALIGN16 ? 0x3f0 : 0x3ff;
        PUT32(p, (u32)below(p, 1024) & mask, rex, 0x81, (u8)(0xe0 | (reg & 7))); /* and reg32, n */
    }
    if (base >= R8 && base < R14 && base != reg)
        PUT32(p, program_data_address(p), 0x41, (u8)(0xb8 | (base & 7)));
}

/* Replaces RIP_MARK, now that the place of the next instruction is known. */
static void relate_to_rip(struct program *p, u8 *bytes, u32 length)
{
    u32 next = PROGRAM_CODE + p->size + length;
    for (u32 i = 1; i + 4 <= length; i++)
        if (load_le32(bytes + i) == RIP_MARK) {
            store_le32(bytes + i, program_data_address(p) - next);
            return;
        }
}

static void put_usable(struct program *p, candidate_fn *make)
{
    struct insn in;
    u8 bytes[32];
    for (u32 i = 0; i < 200; i++) {
        make(p, bytes);
        if (decode(&in, bytes, 15, p->mode) != DECODE_OK || !usable(p, &in))
            continue;
        tame(p, &in);
        relate_to_rip(p, bytes, in.length);
        u32 at = put(p, bytes, in.length);
        if (in.o[in.operands ? in.operands - 1 : 0].kind == OPERAND_IMM && in.operands > 1 &&
            in.length > 2 && chance(p, 30))
            remember_patch(p, at + in.length - 1u, 0);
        return;
    }
    PUT(p, 0x90);
}

static void put_plain(struct program *p)
{
    put_usable(p, program_candidate);
}

static void put_some(struct program *p, u32 most)
{
    for (u64 n = 1 + below(p, most); n; n--)
        put_plain(p);
}

/* Accesses around the end of a page. */
static void put_crossing(struct program *p)
{
    u32 page = 1 + (u32)below(p, PROGRAM_DATA_SIZE / PAGE_SIZE);
    for (u32 i = 0; i < 4; i++)
        PUT32(p, PROGRAM_DATA + page * PAGE_SIZE - (u32)below(p, 16),
              (u8)(0xb8 | (u8[]){RBX, RBP, RSI, RDI}[i]));
    p->near = true;
    put_some(p, 8);
    p->near = false;
    aim(p, RBX);
    aim(p, RSI);
}

/* --- Groups of instructions ------------------------------------------------------------------- */

static void put_unit(struct program *p, u32 depth);

static void branch_to(struct program *p, u32 offset, u8 opcode)
{
    s32 distance = (s32)offset - (s32)p->size - 2;
    if (distance >= -128 && opcode != 0xe8) {
        PUT(p, opcode, (u8)distance);
        return;
    }
    if (opcode == 0xe8 || opcode == 0xeb)
        PUT32(p, (u32)(distance - 3), (u8)(opcode == 0xeb ? 0xe9 : 0xe8));
    else
        PUT32(p, (u32)(distance - 4), 0x0f, (u8)(opcode + 0x10));
}

/* A branch over a few units, on any condition; its condition may be patched. */
static void put_forward_branch(struct program *p, u32 depth)
{
    u32 at = p->size;
    PUT32(p, 0, 0x0f, (u8)(0x80 | below(p, 16)));
    if (chance(p, 20))
        remember_patch(p, at + 1, (u8)(1 + below(p, 15)));
    for (u64 n = 1 + below(p, 3); n; n--)
        put_unit(p, depth + 1);
    if (p->size <= PROGRAM_CODE_SIZE - 16)
        store_le32(p->code + at + 2, p->size - at - 6);
}

/* Begins a loop, and returns where; its counter in R15 is on the stack. */
static u32 begin_loop(struct program *p, u32 times)
{
    PUT(p, 0x41, 0x57); /* push r15 */
    PUT32(p, times, 0x41, 0xbf);
    return p->size;
}

static void end_loop(struct program *p, u32 top)
{
    if (chance(p, 50))
        PUT(p, 0x41, 0xff, 0xcf); /* dec r15d */
    else
        PUT(p, 0x41, 0x83, 0xef, 1); /* sub r15d, 1 */
    branch_to(p, top, chance(p, 80) ? 0x75 : 0x7f);
}

static void put_loop(struct program *p, u32 depth)
{
    u32 top = begin_loop(p, 1 + (u32)below(p, 20));
    for (u64 n = 1 + below(p, 4); n; n--)
        put_unit(p, depth + 1);
    end_loop(p, top);
    PUT(p, 0x41, 0x5f);
}

/* LOOP and JRCXZ: their counter is saved on the stack, the body changes it. */
static void put_counted(struct program *p)
{
    PUT32(p, 1 + (u32)below(p, 12), 0xb9);
    u32 top = p->size;
    PUT(p, 0x51);
    put_some(p, 3);
    PUT(p, 0x59);
    if (p->size - top < 120) {
        PUT(p, 0xe3, 2); /* jrcxz over the loop */
        branch_to(p, top, (u8)(0xe0 | below(p, 3)));
    }
}

static void put_call(struct program *p)
{
    if (!p->functions)
        return;
    u32 target = p->function[below(p, p->functions)];
    if (chance(p, 60)) {
        branch_to(p, target, 0xe8);
    } else if (chance(p, 50)) {
        PUT32(p, code_address(p, target), 0xb8);
        PUT(p, 0xff, 0xd0); /* call rax */
    } else {
        PUT32(p, code_address(p, target), 0x68); /* push, call through the stack */
        PUT(p, 0xff, 0x14, 0x24);
        PUT(p, 0x48, 0x8d, 0x64, 0x24, 8); /* lea rsp, [rsp + 8] */
    }
}

/* Returns that have no call, and calls whose return never comes. */
static void put_odd_return(struct program *p)
{
    u32 at = p->size;
    switch (below(p, 4)) {
    case 0:
        PUT32(p, 0, 0x68); /* push the address after RET */
        PUT(p, 0xc3);
        store_le32(p->code + at + 1, code_address(p, p->size));
        break;
    case 1:
        PUT(p, 0xe8, 0, 0, 0, 0); /* call the next instruction */
        PUT(p, 0x58);
        break;
    case 2: /* the callee returns two bytes further on */
        PUT(p, 0xe8, 4, 0, 0, 0);
        PUT(p, 0x90, 0x90);
        PUT(p, 0xeb, 6);
        PUT(p, 0x48, 0x83, 0x04, 0x24, 2); /* add qword [rsp], 2 */
        PUT(p, 0xc3);
        break;
    default:
        PUT(p, 0x5a); /* to the caller by a jump, or further up: pop rdx */
        if (chance(p, 50))
            PUT(p, 0xff, 0xe2); /* jmp rdx */
    }
}

/* jmp to one of four places of 16 bytes each. */
static void put_switch(struct program *p)
{
    PUT(p, 0x83, 0xe1, 3);                                /* and ecx, 3 */
    PUT(p, 0xc1, 0xe1, 4);                                /* shl ecx, 4 */
    PUT32(p, PROGRAM_CODE + p->size + 6 + 2, 0x8d, 0x91); /* lea edx, [rcx + table] */
    PUT(p, 0xff, 0xe2);                                   /* jmp rdx */
    u32 base = p->size;
    for (u32 i = 0; i < 4; i++) {
        PUT32(p, (u32)program_number(p), (u8)(i & 1 ? 0x05 : 0x2d)); /* add or sub eax, n */
        PUT(p, 0x0f, (u8)(0x90 | below(p, 16)), 0xc2);               /* setcc dl */
        while (p->size < base + 16 * i + 14 && p->size < PROGRAM_CODE_SIZE - 2)
            PUT(p, 0x90);
        PUT(p, 0xeb, (u8)(16 * (3 - i))); /* to the end of the four */
    }
}

static void put_string(struct program *p)
{
    static const u8 opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
    aim(p, RSI);
    aim(p, RDI);
    if (chance(p, 20))
        PUT(p, 0x8d, 0x7e, (u8)below(p, 32)); /* lea edi, [rsi + n]: they overlap */
    PUT32(p, (u32)(chance(p, 80) ? below(p, 40) : below(p, 1500)), 0xb9);
    bool down = chance(p, 15), wide = chance(p, 25);
    if (down)
        PUT(p, 0xfd);
    u8 opcode = (u8)(opcodes[below(p, ARRAY_SIZE(opcodes))] | below(p, 2));
    u8 rep = chance(p, 60) ? 0xf3 : 0xf2;
    if (chance(p, 15))
        PUT(p, opcode);
    else if (wide)
        PUT(p, rep, 0x48, opcode);
    else
        PUT(p, rep, opcode);
    if (down)
        PUT(p, 0xfc);
    if (chance(p, 30))
        aim(p, RSI);
    aim(p, RDI);
}

/* A store into code that was or will be executed. */
static void put_patch(struct program *p)
{
    u32 n = p->patches < ARRAY_SIZE(p->patch) ? p->patches : ARRAY_SIZE(p->patch);
    if (n && chance(p, 70)) {
        u32 i = (u32)below(p, n);
        u8 address[4];
        store_le32(address, code_address(p, p->patch[i].offset));
        if (p->patch[i].flip)
            PUT(p, 0x80, 0x34, 0x25, address[0], address[1], address[2], address[3],
                p->patch[i].flip); /* xor byte [address], flip */
        else if (chance(p, 50))
            PUT(p, 0x88, 0x04, 0x25, address[0], address[1], address[2], address[3]); /* al */
        else
            PUT(p, 0xfe, 0x04, 0x25, address[0], address[1], address[2], address[3]); /* inc */
        return;
    }
    /* the immediate of the next instruction but `between` */
    u32 at = p->size;
    PUT(p, 0xc6, 0x04, 0x25, 0, 0, 0, 0, (u8)below(p, 256));
    if (chance(p, 50))
        put_some(p, 3);
    store_le32(p->code + at + 3, code_address(p, p->size + 1));
    PUT32(p, (u32)program_number(p),
          (u8)(chance(p, 50) ? 0x05 : 0xb8)); /* add eax, n; mov eax, n */
    remember_patch(p, p->size - 4, 0);
}

/* Data between code: stores into it hit a page with code, not the code. */
static void put_pool(struct program *p)
{
    u32 size = 8 + (u32)below(p, chance(p, 20) ? 110 : 32);
    PUT(p, 0xeb, (u8)size);
    u32 at = p->size;
    for (u32 i = 0; i < size && p->size < PROGRAM_CODE_SIZE - END_ROOM / 2; i++)
        p->code[p->size++] = (u8)below(p, 256);
    p->code[at - 1] = (u8)(p->size - at);
    u8 address[4];
    store_le32(address, code_address(p, at));
    PUT(p, 0x48, 0x01, 0x04, 0x25, address[0], address[1], address[2], address[3]); /* add, rax */
    PUT(p, 0x8b, 0x14, 0x25, address[0], address[1], address[2], address[3]);       /* mov edx */
}

static void put_stack(struct program *p)
{
    u8 a = program_scratch(p), b = program_scratch(p);
    switch (below(p, 9)) {
    case 6:
        PUT(p, 0x54); /* push rsp */
        PUT(p, 0x58);
        break;
    case 7:
        PUT(p, 0x50);
        PUT(p, 0x51);
        PUT(p, 0x8f, 0x04, 0x24); /* pop [rsp]: the address after the increment */
        PUT(p, 0x5a);
        break;
    case 8:
        PUT(p, 0xff, 0x34, 0x24);       /* push [rsp] */
        PUT(p, 0x48, 0x83, 0xc4, 0x08); /* add rsp, 8 */
        break;
    case 0:
        PUT(p, (u8)(0x40 | a >> 3), (u8)(0x50 | (a & 7)));
        put_some(p, 2);
        PUT(p, (u8)(0x40 | b >> 3), (u8)(0x58 | (b & 7)));
        break;
    case 1:
        PUT(p, 0xff, (u8)(0x70 | pointer(p)), (u8)below(p, 64)); /* push [pointer + n] */
        PUT(p, 0x8f, (u8)(0x40 | pointer(p)), (u8)below(p, 64));
        break;
    case 2:
        PUT(p, 0x6a, (u8)below(p, 256));
        PUT(p, (u8)(0x40 | b >> 3), (u8)(0x58 | (b & 7)));
        break;
    case 3: /* two bytes */
        PUT(p, 0x66, 0x50), PUT(p, 0x66, 0x5a);
        break;
    case 4:
        PUT(p, 0xc8, (u8)below(p, 64), 0, 0); /* enter */
        PUT(p, 0x48, 0x01, 0x45, 0xf0);       /* add [rbp - 16], rax */
        PUT(p, 0xc9);                         /* leave */
        aim(p, RBP);
        break;
    default:
        PUT(p, 0x55);                                        /* push rbp */
        PUT(p, 0x48, 0x8d, 0xac, 0x24, 0, 0xff, 0xff, 0xff); /* lea rbp, [rsp - 256] */
        PUT(p, 0x48, 0x83, 0xec, 0x20);                      /* sub rsp, 32 */
        put_some(p, 3);
        PUT(p, 0x48, 0x83, 0xc4, 0x20); /* add rsp, 32 */
        PUT(p, 0x5d);
    }
}

static void put_flags(struct program *p)
{
    u32 flags = (u32)below(p, 1u << 12) & RFLAGS_ARITHMETIC;
    if (chance(p, 3))
        flags |= RFLAGS_TF;
    if (chance(p, 3))
        flags |= RFLAGS_AC;
    switch (below(p, 4)) {
    case 0:
        PUT32(p, flags | 2, 0x68);
        PUT(p, 0x9d); /* popf */
        break;
    case 1:
        PUT(p, 0x9c);                           /* pushf */
        PUT(p, 0x41, (u8)(0x58 | below(p, 4))); /* pop r8 ... r11 */
        break;
    default:
        PUT(p, (u8[]){0x9e, 0x9f, 0xf5, 0xf8, 0xf9}[below(p, 5)]); /* sahf, lahf, cmc, clc, stc */
    }
}

/* A count in CL, sometimes 0 or beyond the operand, and flags read afterwards. */
static void put_shift(struct program *p)
{
    u8 reg = program_scratch(p), reg2 = program_scratch(p);
    u8 rex = (u8)(0x40 | reg >> 3 | (reg2 >> 3) << 2 | (chance(p, 50) ? 8 : 0));
    if (chance(p, 60))
        PUT(p, 0xb1, (u8)(chance(p, 30) ? 0 : below(p, 70))); /* mov cl, n */
    if (chance(p, 25))
        PUT(p, rex, 0x0f, (u8)(chance(p, 50) ? 0xa5 : 0xad),
            (u8)(0xc0 | (reg2 & 7) << 3 | (reg & 7)));
    else
        PUT(p, rex, (u8)(0xd2 | below(p, 2)), (u8)(0xc0 | below(p, 8) << 3 | (reg & 7)));
    PUT(p, 0x0f, (u8)(0x90 | below(p, 16)), 0xc2);                           /* setcc dl */
    PUT(p, 0x48, 0x0f, (u8)(0x40 | below(p, 16)), (u8)(0xc0 | below(p, 3))); /* cmovcc rax */
}

/* Bit instructions, flags from before them, and flags read afterwards. */
static void put_bits(struct program *p)
{
    for (u64 n = 1 + below(p, 4); n; n--)
        put_usable(p, p->compat ? program_candidate : program_bit_candidate);
    PUT(p, 0x0f, (u8)(0x90 | below(p, 16)), 0xc2);                           /* setcc dl */
    PUT(p, 0x48, 0x0f, (u8)(0x40 | below(p, 16)), (u8)(0xc0 | below(p, 3))); /* cmovcc rax */
}

static void put_vector(struct program *p)
{
    if (!p->compat && chance(p, 50)) {
        for (u64 n = 1 + below(p, 8); n; n--)
            put_usable(p, chance(p, 75) ? program_avx_candidate : program_candidate);
        return;
    }
    p->vector = true;
    put_some(p, 8);
    p->vector = false;
}

static void put_mxcsr(struct program *p)
{
    u32 value = 0x1f80 | ((u32)below(p, 0x10000) & 0xe040);
    if (chance(p, 30))
        value &= ~((u32)below(p, 0x10000) & 0x1f80); /* exceptions that are not masked */
    PUT32(p, value, 0x68);
    PUT(p, 0x0f, 0xae, 0x14, 0x24); /* ldmxcsr [rsp] */
    if (chance(p, 50))
        PUT(p, 0x0f, 0xae, 0x1c, 0x24); /* stmxcsr [rsp] */
    PUT(p, 0x41, 0x5b);
    put_vector(p);
}

/* What only a kernel may do: flushes, CR0.TS, CR4, the accessed bits. */
static void put_system(struct program *p)
{
    if (p->user) {
        put_plain(p);
        return;
    }
    switch (below(p, 6)) {
    case 0:
        PUT(p, 0x0f, 0x01, (u8)(0x78 | (pointer(p) & 7)), (u8)below(p, 128)); /* invlpg */
        break;
    case 1:
        PUT(p, 0x0f, 0x20, 0xd8); /* mov rax, cr3 and back */
        PUT(p, 0x0f, 0x22, 0xd8);
        break;
    case 2:
        PUT(p, (u8)(0xfa | below(p, 2))); /* cli, sti */
        break;
    case 3:
        PUT(p, 0x0f, 0x20, 0xc0); /* cr0: TS, for a while */
        PUT(p, 0x48, 0x0f, 0xba, 0xe8, 3);
        PUT(p, 0x0f, 0x22, 0xc0);
        put_some(p, 2);
        PUT(p, 0x0f, 0x06);
        break;
    case 4:
        PUT(p, 0x0f, 0x01, 0xf8); /* swapgs */
        break;
    default:
        PUT(p, 0x0f, 0x31); /* rdtsc */
    }
}

static void put_compare(struct program *p)
{
    u8 a = program_scratch(p), b = program_scratch(p);
    u8 rex = (u8)(0x40 | a >> 3 | (b >> 3) << 2 | (chance(p, 60) ? 8 : 0));
    u8 modrm = (u8)(0xc0 | (b & 7) << 3 | (a & 7));
    PUT(p, rex, (u8)(chance(p, 50) ? 0x39 : chance(p, 50) ? 0x85 : 0x29), modrm);
    put_forward_branch(p, 3);
}

static void put_simple(struct program *p, u32 most)
{
    bool vectors = !p->compat && chance(p, 10);
    for (u64 n = 1 + below(p, most); n; n--)
        put_usable(p, vectors && chance(p, 40) ? program_avx_candidate : program_simple_candidate);
}

/* A branch over simple instructions, mostly after a comparison. */
static void put_simple_branch(struct program *p)
{
    u8 a = program_scratch(p), b = program_scratch(p);
    if (chance(p, 70))
        PUT(p, (u8)(0x48 | a >> 3 | (b >> 3) << 2), chance(p, 60) ? 0x39 : 0x85,
            (u8)(0xc0 | (b & 7) << 3 | (a & 7)));
    u32 at = p->size;
    PUT32(p, 0, 0x0f, (u8)(0x80 | below(p, 16)));
    put_simple(p, 5);
    if (p->size <= PROGRAM_CODE_SIZE - 16)
        store_le32(p->code + at + 2, p->size - at - 6);
}

/* A loop of several blocks that runs often and needs no handler, sometimes with one in it, and with
 * a way out. */
static void put_hot_loop(struct program *p)
{
    bool way_out = chance(p, 40);
    u32 top = begin_loop(p, 1 + (u32)below(p, chance(p, 50) ? 300 : 30)), out = 0;
    for (u64 n = 1 + below(p, 4); n; n--) {
        u64 kind = below(p, 10);
        if (kind < 4)
            put_simple(p, 6);
        else if (kind < 8)
            put_simple_branch(p);
        else if (kind < 9)
            PUT(p, 0x48, 0x83, (u8)(0xc0 | pointer(p)), (u8)(1 + below(p, 16))); /* add, n */
        else if (way_out) {
            out = p->size;
            PUT32(p, 0, 0x0f, (u8)(0x80 | below(p, 16)));
            way_out = false;
        } else {
            u32 inner = begin_loop(p, 1 + (u32)below(p, 9));
            put_simple(p, 3);
            end_loop(p, inner);
            PUT(p, 0x41, 0x5f);
        }
    }
    end_loop(p, top);
    if (out && p->size <= PROGRAM_CODE_SIZE - 16)
        store_le32(p->code + out + 2, p->size - out - 6);
    PUT(p, 0x41, 0x5f);
    for (u32 i = 0; i < 4; i++)
        aim(p, (u8[]){RBX, RBP, RSI, RDI}[i]);
}

/* A loop that goes through pages of the data in small steps. */
static void put_walk(struct program *p)
{
    static const u8 step[] = {1, 4, 8, 16, 32, 64, 0x80, 0xff, 0xf0};
    const u8 reg = pointer(p);
    aim(p, reg);
    if (chance(p, 60))
        PUT(p, 0x48, 0x83, (u8)(0xe0 | reg), 0xe0); /* and reg, -32 */
    u32 top = begin_loop(p, 1 + (u32)below(p, 300));
    for (u64 n = 1 + below(p, 4); n; n--) {
        u8 bytes[5];
        put(p, bytes, program_walk_access(p, bytes, reg));
        if (chance(p, 20))
            put_simple_branch(p);
    }
    PUT(p, 0x48, 0x83, (u8)(0xc0 | reg), step[below(p, sizeof step)]); /* add reg, step */
    end_loop(p, top);
    PUT(p, 0x41, 0x5f);
    aim(p, reg);
}

static void put_unit(struct program *p, u32 depth)
{
    if (p->size > PROGRAM_CODE_SIZE - END_ROOM)
        return;
    u64 kind = below(p, 114);
    if (kind < 40 || depth > 3)
        put_some(p, 6);
    else if (kind < 50)
        put_forward_branch(p, depth);
    else if (kind < 56)
        put_compare(p);
    else if (kind < 64)
        put_loop(p, depth);
    else if (kind < 66)
        put_counted(p);
    else if (kind < 72)
        put_call(p);
    else if (kind < 73)
        put_switch(p);
    else if (kind < 74)
        put_odd_return(p);
    else if (kind < 78)
        put_string(p);
    else if (kind < 80)
        put_patch(p);
    else if (kind < 81)
        put_pool(p);
    else if (kind < 85)
        put_stack(p);
    else if (kind < 88)
        put_flags(p);
    else if (kind < 91)
        put_shift(p);
    else if (kind < 92)
        put_mxcsr(p);
    else if (kind < 93)
        put_system(p);
    else if (kind < 95)
        put_crossing(p);
    else if (kind < 97)
        put_vector(p);
    else if (kind < 101)
        put_bits(p);
    else if (kind < 109)
        put_hot_loop(p);
    else if (kind < 111 && !p->compat)
        put_walk(p);
    else
        aim(p, pointer(p));
}

/* A function that calls itself R14 times. */
static void put_recursion(struct program *p)
{
    u32 start = p->size;
    PUT(p, 0x49, 0xff, 0xce); /* dec r14 */
    u32 at = p->size;
    PUT(p, 0x78, 0); /* js end */
    put_some(p, 3);
    branch_to(p, start, 0xe8);
    put_some(p, 3);
    if (p->size - at - 2 < 128)
        p->code[at + 1] = (u8)(p->size - at - 2);
    PUT(p, 0xc3);
}

static void put_function(struct program *p)
{
    u32 start = p->size;
    if (p->functions && chance(p, 20)) {
        put_recursion(p);
    } else {
        for (u64 n = 2 + below(p, 8); n; n--)
            put_unit(p, 0);
        PUT(p, 0xc3);
    }
    p->function[p->functions++] = start;
}

static void put_main(struct program *p)
{
    u32 start = p->size;
    for (u32 i = 0; i < 4; i++)
        aim(p, (u8[]){RBX, RBP, RSI, RDI}[i]);
    PUT32(p, (u32)below(p, chance(p, 20) ? 500 : 8), 0x41, 0xbe); /* mov r14d, n */
    for (u64 n = 6 + below(p, 12); n; n--)
        put_unit(p, 0);
    PUT(p, 0xf4);
    p->function[p->functions++] = start;
}

void program_make(struct program *p, u64 seed)
{
    *p = (struct program){.random = seed * 0x2545f4914f6cdd1dull + 1};
    p->user = chance(p, 60);
    p->compat = chance(p, 15);
    p->stack = program_stack_top(p);
    p->mode = MODE_LMA | MODE_PE | MODE_SSE | (p->user ? MODE_USER : 0) |
              (p->compat ? MODE_CODE32 | MODE_STACK32 | MODE_FLAT : MODE_CODE64);
    /* Somewhere in the first page, so that the others begin anywhere in a function. */
    p->size = (u32)below(p, PAGE_SIZE);
    memset(p->code, 0xcc, sizeof p->code);
    u64 functions = 1 + below(p, PROGRAM_FUNCTIONS - 1);
    while (p->functions < functions)
        put_function(p);
    put_main(p);
    program_state(p);
}

void program_drop(struct program *p, u32 instruction)
{
    const struct program_instruction *i = &p->instruction[instruction];
    memset(p->code + i->offset, 0x90, i->length);
}
