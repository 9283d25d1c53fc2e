/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one instruction on the host with given registers and says what it did; see host_cpu.h. */
#define _GNU_SOURCE
#include "host_cpu.h"
#include "assembly.h"

#if defined(__x86_64__) && defined(__linux__)

#include <asm/prctl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* What the thunk reads and writes, at an address that fits an absolute 32-bit operand. */
struct exchange {
    u64 gpr[16], rflags, host_rsp, target, exit;
    u32 mxcsr, unused;
    _Alignas(16) u8 fx[512];
    u64 gpr_out[16], rflags_out;
    _Alignas(16) u8 fx_out[512];
    u8 ymm[16][32], ymm_out[16][32];
};

#define EXCHANGE  0x70000000u
#define THUNK     (EXCHANGE + PAGE_SIZE)
#define AT(field) (EXCHANGE + (u32)offsetof(struct exchange, field))

static bool has_avx;
static u8 *code_page;
static sigjmp_buf fault_jump;
static struct host_state *fault_state;

static struct exchange *exchange(void)
{
    return (struct exchange *)(uintptr_t)EXCHANGE;
}

/* --- The thunk, assembled by hand ------------------------------------------------------------- */

static u8 *out_bytes(u8 *p, const void *bytes, size_t size)
{
    memcpy(p, bytes, size);
    return p + size;
}

static u8 *out_code(u8 *p, struct code code)
{
    return out_bytes(p, code.bytes, code.size);
}

/* REX.W? opcode modrm with an absolute operand. */
static u8 *out_absolute(u8 *p, u32 rex, u32 opcode, u32 reg, u32 address)
{
    if (rex)
        *p++ = (u8)(rex | (reg & 8 ? 4 : 0));
    if (opcode > 0xff)
        *p++ = (u8)(opcode >> 8);
    *p++ = (u8)opcode;
    *p++ = (u8)(4 | (reg & 7) << 3);
    *p++ = 0x25;
    memcpy(p, &address, 4);
    return p + 4;
}

/* VMOVUPS of all YMM registers: 10 loads, 11 stores. */
static u8 *out_ymm(u8 *p, u8 opcode, u32 address)
{
    for (u32 i = 0; i < 16 && has_avx; i++) {
        *p++ = 0xc5;
        *p++ = i & 8 ? 0x7c : 0xfc;
        p = out_absolute(p, 0, opcode, i, address + 32 * i);
    }
    return p;
}

static u8 *out_enter(u8 *p)
{
    p = out_code(p, ASM("push rbx; push rbp; push r12; push r13; push r14; push r15"));
    p = out_absolute(p, 0x48, 0x89, 4, AT(host_rsp));
    p = out_absolute(p, 0x48, 0x0fae, 1, AT(fx)); /* fxrstor64 */
    p = out_ymm(p, 0x10, AT(ymm));
    p = out_absolute(p, 0, 0xff, 6, AT(rflags)); /* push */
    *p++ = 0x9d;                                 /* popfq */
    for (u32 i = 0; i < 16; i++)
        p = out_absolute(p, 0x48, 0x8b, i, AT(gpr) + 8 * i);
    return out_absolute(p, 0, 0xff, 4, AT(target)); /* jmp */
}

static u8 *out_exit(u8 *p)
{
    for (u32 i = 0; i < 16; i++)
        p = out_absolute(p, 0x48, 0x89, i, AT(gpr_out) + 8 * i);
    p = out_absolute(p, 0x48, 0x8b, 4, AT(host_rsp));
    *p++ = 0x9c;                                      /* pushfq */
    p = out_absolute(p, 0, 0x8f, 0, AT(rflags_out));  /* pop */
    p = out_absolute(p, 0x48, 0x0fae, 0, AT(fx_out)); /* fxsave64 */
    p = out_ymm(p, 0x11, AT(ymm_out));
    if (has_avx)
        p = out_code(p, ASM("vzeroupper"));
    p = out_code(p, ASM("cld; fninit"));
    p = out_absolute(p, 0, 0x0fae, 2, AT(mxcsr)); /* ldmxcsr */
    return out_code(p, ASM("pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx; ret"));
}

/* --- Faults ----------------------------------------------------------------------------------- */

/* Where a frame has the upper halves: behind the header, if that says so [Linux: sigcontext.h]. */
static void frame_ymm(const u8 *frame, u8 *out)
{
    bool extended = load_le32(frame + 464) == FP_XSTATE_MAGIC1;
    memset(out, 0, 256);
    if (extended && load_le64(frame + 512) & 4)
        memcpy(out, frame + HOST_YMM, 256);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                  REG_R12, REG_R13, REG_R14, REG_R15};
    const ucontext_t *u = context;
    struct host_state *s = fault_state;
    (void)info;
    if (!s) { /* not ours */
        signal(number, SIG_DFL);
        return;
    }
    for (u32 i = 0; i < 16; i++)
        s->gpr[i] = (u64)u->uc_mcontext.gregs[order[i]];
    s->rflags = (u64)u->uc_mcontext.gregs[REG_EFL];
    s->vector = (u64)u->uc_mcontext.gregs[REG_TRAPNO];
    s->error = (u64)u->uc_mcontext.gregs[REG_ERR];
    s->address = (u64)u->uc_mcontext.gregs[REG_CR2];
    memcpy(s->fx, u->uc_mcontext.fpregs, 512);
    frame_ymm((const u8 *)u->uc_mcontext.fpregs, s->fx + HOST_YMM);
    siglongjmp(fault_jump, 1);
}

static bool catch_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    static u8 bytes[65536];
    stack_t stack = {.ss_size = sizeof bytes, .ss_sp = bytes};
    if (sigaltstack(&stack, NULL))
        return false;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    action.sa_sigaction = on_fault;
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (sigaction(signals[i], &action, NULL))
            return false;
    return true;
}

/* --- Running ---------------------------------------------------------------------------------- */

static u8 *map_at(u64 address, u64 size, int protection)
{
    void *p = mmap((void *)(uintptr_t)address, size, protection,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return p == MAP_FAILED || (uintptr_t)p != address ? NULL : p;
}

bool host_cpu_open(u64 code, u64 data, u64 size)
{
    if (code_page) /* cmocka takes its handlers back between tests */
        return catch_faults();
    has_avx = __builtin_cpu_supports("avx");
    int all = PROT_READ | PROT_WRITE | PROT_EXEC;
    code_page = map_at(code, PAGE_SIZE, all);
    if (!code_page || !map_at(data, size, PROT_READ | PROT_WRITE) ||
        !map_at(EXCHANGE, 2 * PAGE_SIZE, all) || !catch_faults())
        return false;
    u8 *exit = out_enter((u8 *)(uintptr_t)THUNK);
    out_exit(exit);
    exchange()->exit = (uintptr_t)exit;
    exchange()->mxcsr = 0x1f80;
    return true;
}

static void run_thunk(void)
{
    void (*thunk)(void);
    u64 address = THUNK;
    memcpy(&thunk, &address, sizeof thunk);
    thunk();
}

void host_cpu_run(u64 offset, const u8 *bytes, u32 size, const struct host_state *in,
                  struct host_state *out)
{
    struct exchange *e = exchange();
    u8 *p = out_bytes(code_page + offset, bytes, size);
    out_absolute(p, 0, 0xff, 4, AT(exit)); /* jmp */
    memcpy(e->gpr, in->gpr, sizeof e->gpr);
    e->rflags = in->rflags | 0x202;
    e->target = (uintptr_t)code_page + offset;
    memcpy(e->fx, in->fx, sizeof e->fx);
    for (u32 i = 0; i < 16; i++) {
        memcpy(e->ymm[i], in->fx + 160 + 16 * i, 16);
        memcpy(e->ymm[i] + 16, in->fx + HOST_YMM + 16 * i, 16);
    }
    fault_state = out;
    if (!sigsetjmp(fault_jump, 0)) {
        run_thunk();
        memcpy(out->gpr, e->gpr_out, sizeof out->gpr);
        out->rflags = e->rflags_out;
        out->vector = HOST_NO_FAULT;
        out->error = out->address = 0;
        memcpy(out->fx, e->fx_out, sizeof e->fx_out);
        for (u32 i = 0; i < 16; i++)
            memcpy(out->fx + HOST_YMM + 16 * i, e->ymm_out[i] + 16, 16);
    }
    fault_state = NULL;
}

u64 host_cpu_fs_base(void)
{
    u64 base = 0;
    syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
    return base;
}

u16 host_cpu_selector(u32 segment)
{
    u16 v[6];
    __asm__("mov %%es, %0; mov %%cs, %1; mov %%ss, %2; mov %%ds, %3; mov %%fs, %4; mov %%gs, %5"
            : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]), "=r"(v[4]), "=r"(v[5]));
    return v[segment];
}

#else

bool host_cpu_open(u64 code, u64 data, u64 size)
{
    (void)code;
    (void)data;
    (void)size;
    return false;
}

void host_cpu_run(u64 offset, const u8 *bytes, u32 size, const struct host_state *in,
                  struct host_state *out)
{
    (void)offset;
    (void)bytes;
    (void)size;
    *out = *in;
}

u64 host_cpu_fs_base(void)
{
    return 0;
}

u16 host_cpu_selector(u32 segment)
{
    (void)segment;
    return 0;
}

#endif
