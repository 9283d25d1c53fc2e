/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The declarations that the files of the cpu room share. The folders, in the order in which an
 * instruction passes through them:
 *
 *   decode/  Turns bytes into a struct insn, by the table opcodes.def.
 *   engine/  block.c turns a run of insns at one physical address and mode into an array of uops,
 *            and caches and chains these blocks. lower.c turns an insn into uops: a common form
 *            gets a specialised handler (uop_*.c), everything else becomes one `uop_generic`.
 *            run_loop.c handles events, the budget and single steps.
 *   jit/     Translates blocks that run often into host code (on x86-64 hosts).
 *   exec/    Executes the instructions of programs: `exec_<name>(cpu, insn)`, built on the operand
 *            accessors below.
 *   system/  Executes the instructions of kernels: segments, control registers, MSRs, CPUID,
 *            interrupts and exceptions, ports, breakpoints.
 *   mmu/     Fills the TLB: guest tables, nested tables, C-bit, view of the frame, RMP checks.
 *   svm/     Does VMRUN and #VMEXIT in four named steps (vmrun.c), VMRUN's checks (check.c),
 *            intercepts, the encrypted half of the world switch (VMSA, SEV_FEATURES), and the RMP
 *            instructions of host and guest.
 *   bare/    A core on a board: runs the host's code, takes the board's interrupts, executes the
 *            SVM instructions, keeps the host's state in memory while a guest runs.
 *
 * A fault leaves an instruction by cpu_raise(), a #VMEXIT by cpu_exit(); neither returns. Commit
 * rule: an instruction makes all memory accesses that can fail before its first architectural write
 * (it calls probe_write() if it stores late), so nothing ever has to be undone.
 */
#ifndef SOFTSEV_CPU_INTERNAL_H
#define SOFTSEV_CPU_INTERNAL_H

#include "base/device_access.h"
#include "cpu/bare.h"
#include "cpu/cpu.h"
#include "cpu/decode/insn.h"
#include "cpu/engine/uop.h"
#include "cpu/svm/running_guest.h"
#include "cpu/system/arch.h"
#include "memory/memory.h"

#include <setjmp.h>

/* --- Lazy flags ----------------------------------------------------------------------------------
 * The engine keeps CF PF AF ZF SF OF in a form that is cheap to compute (engine.h). All other code
 * uses flags_get() and flags_set(). The other bits of RFLAGS are in arch.rflags. */

struct lazy_flags {
    u64 result;  /* result of the last operation, sign-extended: ZF, SF, PF */
    u64 carries; /* its carry vector, top-aligned: CF, OF, AF; bits 1:0 invert SF and PF */
};

/* --- Blocks and uops -------------------------------------------------------------------------- */

/* One macro ends every handler. In the tail form each handler jumps to the next one. In the loop
 * form it returns the next uop (for -O0, coverage and sanitizers, where gcc 12 makes no tail
 * calls). */
#ifdef CPU_DISPATCH_LOOP
#define GOTO(c, u) return (void)(c), (u)
#elif defined(__clang__)
#define GOTO(c, u) __attribute__((musttail)) return (u)->fn((c), (u))
#else
#define GOTO(c, u) return (u)->fn((c), (u))
#endif
#define NEXT(c, u) GOTO(c, (u) + 1)

struct block; /* engine/block.c */

/* A cache of (RIP, mode) -> first uop of the block, for jumps that cannot be linked. */
#define JUMPS 16384
struct jump {
    u64 rip, tag;
    const struct uop *uop;
    const u8 *code; /* of the host: the translated block, or code that looks for it (jit/) */
};

/* --- The TLB -------------------------------------------------------------------------------------
 * `va ^ tag` is the offset in the page on a hit and a huge number on a miss, so one comparison
 * tests for a hit and for a page crossing. An invalid tag has a wrong index bit. wtag is invalid
 * while a store must take the slow path: the page is clean (D bit), read-only, or holds code. The
 * current privilege selects the array: engine.tlb points at one of the three. While alignment is
 * checked, engine.tlb points at a fourth array that is never filled, so every access takes the slow
 * path, which checks it. */

#define TLB_ENTRIES 4096

/* Returns a tag that no address of this slot can match, canonical or not. */
static inline u64 tlb_invalid(u32 slot)
{
    return (u64)(slot ^ 1u) << PAGE_SHIFT;
}

struct tlb_entry {
    u64 rtag, wtag;
    u8 *host;
    u64 frame; /* 51:0 frame number; TLB_GLOBAL, TLB_LARGE */
};
#define TLB_GLOBAL   BIT(63)
#define TLB_LARGE    BIT(62) /* part of a 2 or 4 MiB page */
#define TLB_HUGE     BIT(61) /* part of a 1 GiB page */
#define TLB_WRITABLE BIT(60) /* writable, except that the frame may hold decoded code */
#define TLB_FRAME(e) (BITS(~0ull, 51, 0) & (e))

enum tlb_context { TLB_USER, TLB_KERNEL, TLB_KERNEL_AC, TLB_CONTEXTS };
#define TLB_NEVER_FILLED TLB_CONTEXTS /* of user accesses with alignment checks */

/* --- The mode word: what decoding and handlers depend on; part of a block's key --------------- */

#define MODE_CODE64  BIT(0) /* EFER.LMA and CS.L */
#define MODE_CODE32  BIT(1) /* CS.D (not in 64-bit mode); 16-bit code if both are clear */
#define MODE_STACK32 BIT(2) /* SS.B, not in 64-bit mode */
#define MODE_USER    BIT(3) /* engine.tlb is TLB_USER: CPL 3, alignment is not checked */
#define MODE_PE      BIT(4) /* CR0.PE */
#define MODE_V86     BIT(5) /* RFLAGS.VM */
#define MODE_LMA     BIT(6)
/* legacy and compatibility mode: CS DS ES SS have base 0, limit 4 GiB, are present and rw */
#define MODE_FLAT BIT(7)
/* SSE instructions raise neither #UD nor #NM: CR0.EM and TS clear, CR4.OSFXSR set */
#define MODE_SSE BIT(8)
/* VEX vector instructions raise neither #UD nor #NM: XCR0 enables SSE and AVX under CR4.OSXSAVE,
 * CR0.TS is clear */
#define MODE_AVX BIT(9)
/* CPL 3, and alignment is checked. Keeps the code that a user may run apart from the kernel's, as
 * MODE_USER does. */
#define MODE_CHECKED BIT(10)

/* --- The core --------------------------------------------------------------------------------- */

/* The host's answers to the device accesses of one instruction (engine/device.c). XSAVE has most:
 * 104 accesses of 8 bytes in one or two pages, and a probe of each piece in each page. */
#define DEVICE_ACCESSES 120

struct device_before { /* registers before the instruction that is executed again */
    bool kept;
    bool interrupt_shadow;
    u64 r[REGS];
    struct lazy_flags flags;
    u64 rflags;
    union vector_register vector[VECTORS];
    struct x87 x87;
};

struct device_log {
    bool assist; /* the host wants to finish device accesses */
    bool open;   /* the last access waits for its answer */
    u32 count, next;
    u64 rip, vmcb_spa, event; /* their instruction; `event`: EVENTINJ to be repeated */
    struct device_access access[DEVICE_ACCESSES];
    struct device_before before;
};

/* The settings under which the TLB was filled, as of the last #VMEXIT. */
#define JIT_WALKS 8

struct translated_under {
    u32 asid, pkru;
    bool sev;
    u64 np_control, n_cr3, cr0, cr3, cr4, efer;
};

/* The engine's state, none of it visible to software. The members that handlers use come first. */
struct engine {
    s64 left; /* instructions until the deadline; a block subtracts its count on entry */
    struct lazy_flags flags;
    struct tlb_entry *tlb; /* the array of the current privilege */
    struct block *block;   /* the running block, or NULL between blocks */
    u64 jump_tag;          /* tag of valid entries in `jumps`: generation and mode */
    u64 rmw;               /* operand of a read-modify-write that takes the slow path */
    /* State of emitted code (jit/): RIP of the running page, flags (AH and AL as LAHF and SETO set
     * them), a value of the current uop */
    u64 page_rip;
    u32 raw_flags;
    u64 jit_value;
    u64 jit_delta[GPRS]; /* of a base register: distance from linear to host addresses */
    /* Of accesses of the running loop: the page of the last one, and its bytes */
    struct jit_walk {
        u64 page;
        u8 *host;
    } jit_walk[JIT_WALKS];
    /* The page of the guest's stack, writable at the current privilege; `invalid` is 0 or all ones
     */
    u64 stack_page, stack_invalid, stack_delta;
    u64 jit_stack, jit_stack_limit; /* the host's stack: where calls begin, and may not go on */
    bool xmm_live;                  /* the XMM registers are in the host's */
    /* start of the current instruction, where cpu_sync() or uop_generic set it */
    u64 insn_rip;
    u32 mode; /* MODE_... */
    /* for tests: computes as on a host that has only the baseline's instructions */
    bool plain;
    bool mxcsr_live; /* the host's MXCSR holds the guest's value: exec/sse_float.c */
    /* which of DR0-DR3 are armed for code and for data (system/breakpoint.c); bit 4: a debugger
     * outside of the machine; bit 5: branches are recorded */
    u8 breakpoints, watchpoints;
    u8 watch_hits; /* data breakpoints hit by the current instruction or a MOV SS before it */
    /* the instruction went through the IDT or is SYSCALL: a TF set at its start does not trap */
    bool no_step_trap;
    struct cpu_debugger *debugger; /* NULL: nobody debugs (cpu/debugger.h) */

    /* Faults and exits */
    jmp_buf *leave;   /* to the run loop */
    u64 fault_linear; /* linear address of the pending #PF; becomes CR2 on delivery */
    u8 vector;        /* pending exception */
    u32 error;
    const struct uop *uop; /* the last uop that called a slow path */

    u64 run_end;      /* clock value at which `left` reaches 0 */
    bool retranslate; /* the next guest must not use the TLB, whatever `translated` says */
    struct translated_under translated;
    struct cpu_statistics statistics;
    struct block_cache *blocks; /* engine/block.c */
    struct jit *jit;            /* jit/; NULL: the core interprets */
    u32 jit_threshold;
    const u8 *jit_arrive;       /* of a jump whose target may not be translated */
    const struct uop *jit_next; /* where emitted code left to */
    /* mmu/: nested TLB, fill lists, ... of the world that runs, and of the other one */
    struct mmu *mmu, *other_mmu;
    struct device_log device; /* engine/device.c */

    struct jump jumps[JUMPS];
    struct tlb_entry tlbs[TLB_CONTEXTS + 1][TLB_ENTRIES];
};

/* Why cpu_run_bare() comes out of an instruction. */
enum bare_exit { BARE_VMEXIT, BARE_VMRUN, BARE_STOP };

/* A core on a bare machine (cpu/bare.h). */
struct bare {
    bool wired;
    struct cpu_wires wires;
    bool intr, nmi, init; /* pins: a level, two edges */
    bool nmi_blocked;     /* until the next IRET */
    bool yield;
    bool step; /* TF was set when VMRUN began: #DB comes after the #VMEXIT */
    bool halted, shut_down, waits_for_start_up;
    enum bare_exit exit;
    enum cpu_stop stop; /* of BARE_STOP */
    u64 deadline;
    u64 vmcb_spa;                 /* of VMRUN */
    struct guest_identity before; /* of the guest that ran last */
    struct world_switch *world;   /* of the guest that runs */
};

/* CPUID 8000_000A EBX. More than there are keys: the rest are for guests without SEV. */
#define ASIDS 0x8000u

/* The core's MSRs that a world switch leaves alone. */
struct core_msrs {
    u64 vm_hsave_pa, vm_cr, syscfg, hwcr, rmp_base, rmp_end, apic_base, tsc_ratio;
};

struct cpu {
    struct arch arch; /* of the world that runs now */
    struct arch host; /* the host's, while a guest runs */
    struct running_guest guest;
    struct core_msrs msr;
    struct bare bare;
    u32 id;
    u32 asid_min; /* first ASID of a guest without SEV-ES */
    struct clock *clock;
    struct memory *memory;
    struct memory_listener listener;
    struct trace *trace;
    const struct random_source *random;
    struct engine engine;
    struct cpu_model model;
    u32 cores;                /* of the machine */
    u64 sev_features;         /* those that the model has */
    u32 svm_features;         /* CPUID 8000_000A EDX of the model */
    bool allows_sev_features; /* VMRUN looks at the VMCB's ALLOWED_SEV_FEATURES */
};

/* --- Leaving an instruction (engine/run_loop.c) ----------------------------------------------- */

enum {
    LEAVE_RAISE = 1,
    LEAVE_EXIT,
    LEAVE_AGAIN,
    LEAVE_ALONE
}; /* what longjmp() to engine.leave says */

/* Raises an exception at the current instruction (a fault: RIP = its start). The error code is
 * pushed only for the vectors that have one. Exception intercepts are checked on delivery
 * (system/event.c). */
void cpu_raise(struct cpu *c, u8 vector, u32 error) NORETURN;
static inline void cpu_raise_ud(struct cpu *c) NORETURN;
static inline void cpu_raise_gp(struct cpu *c, u32 error) NORETURN;
/* Makes a #VMEXIT at the current instruction, which does not count as retired. run_guest() returns
 * with rip = the start of the instruction and next_rip = the start of the next one, or 0 if no
 * instruction was intercepted. */
void cpu_exit(struct cpu *c, u64 code, u64 info_1, u64 info_2) NORETURN;
/* Leaves the current instruction, which is not done, to run it again in a block of its own: what
 * comes up in it is then seen right after it. Returns if it is in one already. */
void cpu_alone(struct cpu *c);
/* Ends run_guest() for cpu_run_bare(), with all instructions of the block done. */
void cpu_leave_bare(struct cpu *c, enum bare_exit exit) NORETURN;
/* Returns the RIP of the running block's first byte. */
static inline u64 block_rip(const struct cpu *c)
{
    return c->arch.r[REG_BLOCK];
}
/* Sets insn_rip, rip and uop from the uop. The slow path of a specialised handler calls this
 * first. */
void cpu_sync(struct cpu *c, const struct uop *u);
/* Recomputes the mode and the TLB pointer, after a change of CS, SS, CPL, CR0, EFER, RFLAGS.VM/AC
 * CR4 or XCR0. */
void cpu_update_mode(struct cpu *c);
bool avx_enabled(const struct cpu *c); /* by CR4.OSXSAVE and XCR0 */
/* Returns the machine time, exact within a block (RDTSC). run_guest() sets clock->now whenever it
 * returns. */
u64 cpu_time(struct cpu *c);
/* Returns what RDTSC reads in the guest. */
u64 cpu_guest_tsc(struct cpu *c);
/* Returns true if the running guest has this SEV_FEATURE_... */
static inline bool sev_feature(const struct cpu *c, u64 feature)
{
    return c->guest.sev_features & feature;
}

static inline void cpu_raise_ud(struct cpu *c)
{
    cpu_raise(c, VECTOR_UD, 0);
}

static inline void cpu_raise_gp(struct cpu *c, u32 error)
{
    cpu_raise(c, VECTOR_GP, error);
}

/* --- Memory by linear address (mmu/mmu.c) --------------------------------------------------------
 * Accesses have the current privilege (engine.tlb), except that `_system` accesses are supervisor
 * accesses at any CPL (descriptor tables, TSS, IDT, pushes during delivery). All may raise #PF or
 * exit with NPF. */

u64 mmu_load_slow(struct cpu *c, u64 linear, u32 size);
void mmu_store_slow(struct cpu *c, u64 linear, u32 size, u64 value);
/* at most 4 KiB; both pages are checked first */
void load_bytes(struct cpu *c, u64 linear, void *out, u32 size);
void store_bytes(struct cpu *c, u64 linear, const void *data, u32 size);
/* Faults as a store would; changes only the A and D bits. */
void probe_write(struct cpu *c, u64 linear, u32 size);
void probe_read(struct cpu *c, u64 linear, u32 size);
u64 load_system(struct cpu *c, u64 linear, u32 size);
void store_system(struct cpu *c, u64 linear, u32 size, u64 value);
void probe_write_system(struct cpu *c, u64 linear, u32 size);
/* Returns a pointer to [linear, end of its page) for reading or writing, for REP and block copies.
 * NULL: the bytes must go one access at a time (code page, MMIO). Valid until the next access. */
u8 *mmu_window(struct cpu *c, u64 linear, bool write);
/* Reads up to 15 instruction bytes at linear address CS.base + rip. Returns how many come before a
 * page that faults; raises only if the first byte faults. *spa becomes the system physical address
 * of the first byte. */
u32 mmu_fetch(struct cpu *c, u64 rip, u8 bytes[15], u64 *spa);
/* Returns the system physical address of the code at rip, to look up its block. Raises as a fetch
 * does. */
u64 mmu_code_address(struct cpu *c, u64 rip);
/* Returns true if it is known that the code at rip is in a global page. */
bool mmu_code_global(const struct cpu *c, u64 rip);
void mmu_flush(struct cpu *c, bool global_too);
void mmu_flush_all(struct cpu *c); /* flushes nested translations too: another ASID or nested CR3 */
void mmu_flush_page(struct cpu *c, u64 linear); /* INVLPG */
void mmu_flush_worlds(struct cpu *c);           /* all translations of host and guest */
bool mmu_create(struct cpu *c);
void mmu_destroy(struct cpu *c);
/* Gives the core translations of its own for a second world; false: out of memory. */
bool mmu_create_other(struct cpu *c);
void mmu_forget_other_addresses(struct cpu *c);
void mmu_switch(struct cpu *c); /* to the translations of the other world */
struct tlb_entry *mmu_array(struct cpu *c, u32 context); /* an enum tlb_context, or never filled */

/* One access to a linear address, to be translated by the guest's and the nested tables
 * (mmu/walk.c). */
struct access {
    bool write, fetch;
    bool unchecked; /* the RMP does not check the final page: PVALIDATE, RMPADJUST, RMPQUERY */
    enum tlb_context context; /* privilege; TLB_KERNEL also for implicit supervisor accesses */
};

struct translation {
    u64 frame; /* of system memory */
    u64 flags; /* TLB_GLOBAL, TLB_LARGE, TLB_HUGE, TLB_WRITABLE */
    u64 gpa;   /* without the C-bit */
    memory_key key;
    bool nested_large; /* the nested page has 2 MiB or 1 GiB */
};

/* Why an access failed; mmu_raise() turns it into a #PF, a #VC or an NPF exit. */
struct access_fault {
    bool nested;
    bool not_validated; /* #VC 404 [cpu 6.2] */
    u64 linear;
    u32 error;  /* #PF */
    u64 info_1; /* NPF: EXITINFO1 [cpu 3.5] */
    u64 gpa;
};

/* Translates an address: checks permissions, sets accessed and dirty bits, finds the effective
 * C-bit [cpu 5.9]. Does not touch the frame itself. */
bool mmu_translate(struct cpu *c, u64 linear, struct access access, struct translation *t,
                   struct access_fault *f);
/* Translates a guest physical address that an instruction names, by the nested tables. */
bool mmu_translate_physical(struct cpu *c, u64 gpa, bool write, u64 *spa, struct access_fault *f);
void mmu_raise(struct cpu *c, const struct access_fault *f, const struct access *access) NORETURN;

/* Call when an entry of the TLB changes, or the array that counts. */
static inline void stack_page_forget(struct cpu *c)
{
    c->engine.stack_invalid = ~0ull;
}

static inline u64 load_inline(struct cpu *c, u64 linear, u32 size, bool *hit)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->rtag;
    u64 v = 0;
    *hit = LIKELY(offset <= PAGE_SIZE - size);
    if (*hit)
        memcpy(&v, e->host + offset, size);
    return v;
}

static inline bool store_inline(struct cpu *c, u64 linear, u32 size, u64 value)
{
    const struct tlb_entry *e = &c->engine.tlb[(linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1)];
    u64 offset = linear ^ e->wtag;
    if (UNLIKELY(offset > PAGE_SIZE - size))
        return false;
    memcpy(e->host + offset, &value, size);
    return true;
}

/* load() and store() are for exec_<name>() functions: insn_rip and rip are already set. Sizes are
 * 1, 2, 4, 8; values are zero-extended. */
static inline u64 load(struct cpu *c, u64 linear, u32 size)
{
    bool hit;
    u64 v = load_inline(c, linear, size, &hit);
    return LIKELY(hit) ? v : mmu_load_slow(c, linear, size);
}

static inline void store(struct cpu *c, u64 linear, u32 size, u64 value)
{
    if (UNLIKELY(!store_inline(c, linear, size, value)))
        mmu_store_slow(c, linear, size, value);
}

/* --- Breakpoints (system/breakpoint.c) [APM2 13.1] -------------------------------------------- */

void debug_update(struct cpu *c);         /* call after a change of DR0-DR3 or DR7 */
u64 debug_code_hits(const struct cpu *c); /* DR6 bits of the breakpoints at RIP */
bool debug_watches_page(const struct cpu *c, u64 page);
void debug_watch(struct cpu *c, u64 linear, u32 size, bool write);

/* --- Records of branches (system/branch.c) [APM2 13.1] ---------------------------------------- */

/* Returns true if the instruction, which is done, branched. */
bool branch_taken(const struct cpu *c, const struct insn *in);
/* Record a branch to RIP, or an interrupt or exception whose handler is at RIP. */
void branch_record(struct cpu *c, u64 from);
void branch_record_event(struct cpu *c, u64 from);
/* #DB switches recording and the single step of branches off. */
void branch_debug_exception(struct cpu *c);

/* --- A debugger outside of the machine (system/debugger.c) ------------------------------------ */

bool debugger_steps(const struct cpu *c); /* stops soon, at whatever instruction comes */
/* Before a guest runs; and at the end of its budget: false: the deadline has come. */
void debugger_hold(struct cpu *c);
bool debugger_release(struct cpu *c);
bool debugger_watches(const struct cpu *c);
bool debugger_in_code_page(const struct cpu *c); /* RIP's page has a breakpoint */
bool debugger_watches_page(const struct cpu *c, u64 page);
void debugger_watch(struct cpu *c, u64 linear, u32 size, bool write);
/* Before and after an instruction of run_carefully(). True: the guest was stopped, and RIP and
 * breakpoints may have changed. */
bool debugger_before(struct cpu *c);
void debugger_after(struct cpu *c);

/* --- Operand accessors for exec_<name>() (exec/operand.c) ------------------------------------- */

/* Reads a GPR, MEM, IMM or SREG operand, zero-extended from its size. */
u64 operand_read(struct cpu *c, const struct insn *in, u32 n);
/* Writes an operand; a write to a 32-bit GPR clears the upper half. */
void operand_write(struct cpu *c, const struct insn *in, u32 n, u64 value);
/* Returns the linear address of the memory operand for an access of `size` bytes, after all segment
 * checks. */
u64 operand_address(struct cpu *c, const struct insn *in, u32 size, bool write);
/* Returns the offset alone (for LEA, BT and string instructions), truncated to the address size. */
u64 operand_offset(struct cpu *c, const struct insn *in);
/* Turns a segment offset into a linear address. Checks limit, type and canonical form, and raises
 * #GP or #SS (system/segment.c). */
u64 linear_address(struct cpu *c, enum segment_index seg, u64 offset, u32 size, bool write);

/* Reads and writes general registers by width. */
u64 gpr_read(const struct cpu *c, u8 reg, u32 size);
void gpr_write(struct cpu *c, u8 reg, u32 size, u64 value);

/* flags_get() returns CF PF AF ZF SF OF at their places in RFLAGS; flags_set() sets those bits from
 * `value`. */
u64 flags_get(const struct cpu *c);
void flags_set(struct cpu *c, u64 value);
u64 rflags_read(const struct cpu *c); /* the whole register */
/* Writes the bits in `mask`; updates the mode if VM or AC changed. */
void rflags_write(struct cpu *c, u64 value, u64 mask);
bool condition(const struct cpu *c, u8 cc); /* the sixteen conditions of Jcc */

/* The stack at the current stack size (SS.B or 64-bit) and privilege; sizes 2, 4, 8. A pop is
 * stack_peek(), then stack_adjust(): by the commit rule the load comes before RSP moves. */
void stack_push(struct cpu *c, u64 value, u32 size);
u64 stack_peek(struct cpu *c, u64 offset, u32 size); /* at SS:SP + offset */
void stack_adjust(struct cpu *c, s64 delta);

/* Between mxcsr_enter() and mxcsr_leave() the host's MXCSR holds the guest's value, if that masks
 * all exceptions, so that floating point costs nothing extra. softsev's own code must not compute
 * in floating point in between (exec/sse_float.c). */
void mxcsr_enter(struct cpu *c);
void mxcsr_leave(struct cpu *c);

/* --- Engine (engine/block.c, engine/run_loop.c) ----------------------------------------------- */

bool blocks_create(struct cpu *c);
void blocks_destroy(struct cpu *c);
/* Drops the decoded blocks that these bytes touch, when the bytes of a frame with code change or
 * the frame goes away. If the running block is among them, it ends after the current
 * instruction. */
void blocks_invalidate(struct cpu *c, u64 frame, u32 offset, u32 size);
bool blocks_in_page(const struct cpu *c, u64 frame); /* true if this core has blocks in the frame */
/* Forgets which address leads to which block, but keeps the blocks: virtual addresses may now mean
 * other frames. */
void blocks_forget_addresses(struct cpu *c);
/* The same, but not of addresses in global pages. */
void blocks_forget_local_addresses(struct cpu *c);
/* Which addresses lead to blocks. Generation 0: none yet. */
struct block_addresses {
    u64 generation;
    u64 code_base; /* the base of CS that they are for, outside of 64-bit mode */
};
/* Exchanges the addresses that are known for another world's, before its mode is. */
struct block_addresses blocks_addresses(struct cpu *c, struct block_addresses to);
/* Runs the loaded world until cpu_exit(), or until machine time `deadline_ns`. */
void run_guest(struct cpu *c);
void run_until(struct cpu *c, u64 deadline_ns);
/* A REP instruction may do rep_allowance() (>= 1) iterations before it must stop. After
 * `iterations` (>= 1) of them it updates its registers and calls rep_account(). If iterations are
 * left, it calls cpu_again(), which returns to the same instruction after pending events. */
u64 rep_allowance(const struct cpu *c);
/* Returns the instructions that are left after the current block. */
u64 budget_left(const struct cpu *c);
void rep_account(struct cpu *c, u64 iterations);
void cpu_again(struct cpu *c) NORETURN;

/* --- A bare machine (bare/) ----------------------------------------------------------------- */

/* True in host mode of a core on a board: the SVM and RMP instructions work here. */
static inline bool bare_host(const struct cpu *c)
{
    return c->bare.wired && !c->guest.running;
}
void bare_stop(struct cpu *c, enum cpu_stop stop) NORETURN;
void bare_halt(struct cpu *c);
/* True if a pin or cpu_yield() has something to say before the next instruction. */
bool bare_event_pending(const struct cpu *c);
void bare_event_take(struct cpu *c);
/* True where the board answers, not memory. */
bool bare_is_device(const struct cpu *c, u64 frame);
/* Asks the board; returns the value of a read. */
u64 bare_access(struct cpu *c, struct device_access a);
bool bare_read_msr(struct cpu *c, u32 msr, u64 *value);
bool bare_write_msr(struct cpu *c, u32 msr, u64 value);
/* True if CR8 is the board's task priority, and not the guest's own. */
bool bare_has_tpr(const struct cpu *c);
u64 bare_read_tpr(struct cpu *c);
void bare_write_tpr(struct cpu *c, u64 cr8);
void bare_wbinvd(struct cpu *c);

/* --- Architecture (system/, svm/) ---------------------------- */

/* Loads a segment register with all checks: MOV Sreg, POP Sreg, LDS ... */
void segment_load(struct cpu *c, enum segment_index seg, u16 selector);
void segment_load_real(struct cpu *c, enum segment_index seg, u16 selector);
void segment_update(struct cpu *c); /* call after a VMCB load: updates cached state */
/* Delivers the pending exception, an external interrupt, or a software interrupt through the IDT
 * [APM2 8]. Sets exit_int_info meanwhile. Handles #DF and shutdown. */
void event_deliver_exception(struct cpu *c, u8 vector, u32 error);
void event_deliver_interrupt(struct cpu *c, u8 vector);
void event_deliver_nmi(struct cpu *c);
void event_software_interrupt(struct cpu *c, u8 vector); /* INT n, at an exec function */
void event_software_exception(struct cpu *c, u8 vector); /* INT3, INTO, INT1 */
/* Raises #DB after the instruction that just retired; `dr6` has DR6_BS and other bits. */
void event_debug_trap(struct cpu *c, u64 dr6);
/* Between instructions: event_pending() returns true if EVENTINJ, the deadline or V_IRQ is pending;
 * event_take() takes it. */
bool event_pending(const struct cpu *c);
bool event_virtual(const struct cpu *c); /* V_NMI or V_IRQ, which the guest can take now */
void event_take(struct cpu *c);
void pkru_write(struct cpu *c, u32 value);
bool pat_valid(u64 value); /* all eight memory types exist */
/* Reads or writes an MSR, after the intercepts were checked. False: #GP(0). */
bool msr_read(struct cpu *c, u32 msr, u64 *value);
bool msr_write(struct cpu *c, u32 msr, u64 value);
void cpuid(struct cpu *c, u32 leaf, u32 subleaf, u32 out[4]);
/* intercepts() returns true if the host intercepts this exit, whose code is below 0xc0; intercept()
 * then exits. */
bool intercepts(const struct cpu *c, u32 exit_code);
void intercept(struct cpu *c, u32 exit_code);

/* Declares every exec_<name> that opcodes.def names. */
#define EXEC(name) exec_fn exec_##name;
#include "cpu/decode/exec_list.h"
#undef EXEC

#endif
