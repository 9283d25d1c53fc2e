/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the cpu room share. One instruction's way through the room, folder by folder:
 *
 *   decode/    bytes -> struct insn, by the table opcodes.def
 *   engine/    block.c: a run of insns at one physical address and mode -> an array of uops, cached
 *              and chained. lower.c: insn -> uops: common forms get a specialised handler
 * (uop_*.c), everything else is one `uop_generic`. run_loop.c: events, budget, single step exec/
 * the instructions of programs: `exec_<name>(cpu, insn)`, on the operand accessors below system/
 * those of kernels, and what they are about: segments, control registers, MSRs, CPUID, interrupts
 * and exceptions, ports, breakpoints mmu/       TLB fills: guest tables, nested tables, C-bit, view
 * of the frame, the RMP's checks svm/       VMRUN and #VMEXIT in four named steps (vmrun.c); what
 * VMRUN refuses (check.c); intercepts; the encrypted half of the world switch (VMSA, SEV_FEATURES);
 * host mode; the RMP's instructions, the host's and the guest's
 *
 * Faults leave an instruction by cpu_raise(), #VMEXITs by cpu_exit(); neither returns. Commit rule:
 * all memory accesses of an instruction that can fail come before its first architectural write
 * (use probe_write() where a store comes late), so nothing ever has to be undone.
 */
#ifndef SOFTSEV_CPU_INTERNAL_H
#define SOFTSEV_CPU_INTERNAL_H

#include "base/device_access.h"
#include "cpu/cpu.h"
#include "cpu/decode/insn.h"
#include "cpu/engine/uop.h"
#include "cpu/svm/running_guest.h"
#include "cpu/system/arch.h"
#include "memory/memory.h"

#include <setjmp.h>

/* --- Lazy flags ----------------------------------------------------------------------------------
 * CF PF AF ZF SF OF are kept in a form that is cheap to make (owner: engine.h). Everyone else uses
 * flags_get() and flags_set(). The other bits of RFLAGS are in arch.rflags. */

struct lazy_flags {
    u64 result;  /* of the last operation, sign-extended: ZF, SF, PF */
    u64 carries; /* its carry vector, top-aligned: CF, OF, AF; bits 1:0 invert SF and PF */
};

/* --- Blocks and uops -------------------------------------------------------------------------- */

/* One macro ends every handler. Tail form: each handler jumps to the next. Loop form:
 * returns it (for -O0, coverage and sanitizers, where gcc 12 keeps no tail calls). */
#ifdef CPU_DISPATCH_LOOP
#define GOTO(c, u) return (void)(c), (u)
#elif defined(__clang__)
#define GOTO(c, u) __attribute__((musttail)) return (u)->fn((c), (u))
#else
#define GOTO(c, u) return (u)->fn((c), (u))
#endif
#define NEXT(c, u) GOTO(c, (u) + 1)

struct block; /* engine/block.c */

/* Where RIP leads: a cache of (RIP, mode) -> first uop of a block,
 * for jumps that cannot be linked. */
#define JUMPS 4096
struct jump {
    u64 rip, tag;
    const struct uop *uop;
};

/* --- The TLB -------------------------------------------------------------------------------------
 * `va ^ tag` is the offset in the page on a hit and huge on a miss, so one comparison tests hit and
 * page crossing. An invalid tag has a wrong index bit. wtag is invalid while writing must take the
 * slow path: page clean (D bit), read-only, holding code. Entries are selected by privilege:
 * engine.tlb points at one of the three arrays. */

#define TLB_ENTRIES 2048

/* A tag that no address which selects this slot can match, canonical or not. */
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
#define TLB_WRITABLE BIT(60) /* only decoded code in the frame may stand against a store */
#define TLB_FRAME(e) (BITS(~0ull, 51, 0) & (e))

enum tlb_context { TLB_USER, TLB_KERNEL, TLB_KERNEL_AC, TLB_CONTEXTS };

/* --- The mode word: what decoding and handlers depend on; part of a block's key --------------- */

#define MODE_CODE64  BIT(0) /* EFER.LMA and CS.L */
#define MODE_CODE32  BIT(1) /* CS.D (not in 64-bit mode); neither: 16-bit code */
#define MODE_STACK32 BIT(2) /* SS.B, not in 64-bit mode */
#define MODE_USER    BIT(3) /* CPL 3 */
#define MODE_PE      BIT(4) /* CR0.PE */
#define MODE_V86     BIT(5) /* RFLAGS.VM */
#define MODE_LMA     BIT(6)
/* legacy and compatibility: CS DS ES SS base 0, limit 4 GiB, present, rw */
#define MODE_FLAT BIT(7)
/* SSE instructions raise neither #UD nor #NM: CR0.EM and TS clear, CR4.OSFXSR set */
#define MODE_SSE BIT(8)

/* --- The core --------------------------------------------------------------------------------- */

/* What the host has answered to the accesses of one instruction to devices (engine/device.c). The
 * longest is FXSAVE's, 64 pieces of 8 bytes in one or two pages, and a probe of each. */
#define DEVICE_ACCESSES 72

struct device_before { /* of the instruction that is executed again */
    bool kept;
    bool interrupt_shadow;
    u64 r[REGS];
    struct lazy_flags flags;
    u64 rflags;
    union vector_register vector[VECTORS];
    struct x87 x87;
};

struct device_log {
    bool assist; /* the host wants it */
    bool open;   /* the last access waits for its answer */
    u32 count, next;
    u64 rip, vmcb_spa, event; /* whose they are; `event`: EVENTINJ of an event to be repeated */
    struct device_access access[DEVICE_ACCESSES];
    struct device_before before;
};

/* What the TLB was filled under, at the last #VMEXIT. */
struct translated_under {
    u32 asid;
    bool sev;
    u64 np_control, n_cr3, cr0, cr3, cr4, efer;
};

/* How the core runs what it runs; nothing here is visible to software. The first members are those
 * that handlers use. */
struct engine {
    s64 left; /* instructions until the deadline; a block takes its count on entry */
    struct lazy_flags flags;
    struct tlb_entry *tlb; /* the array of the current privilege */
    struct block *block;   /* running, or NULL between blocks */
    u64 jump_tag;          /* of valid entries in `jumps` now: generation and mode */
    u64 rmw;               /* operand of a read-modify-write that takes the slow path */
    /* start of the current instruction, where cpu_sync() or uop_generic set it */
    u64 insn_rip;
    u32 mode;        /* MODE_... */
    bool mxcsr_live; /* the host's MXCSR is the guest's now: exec/sse_float.c */
    /* which of DR0-DR3 are armed for code and for data (system/breakpoint.c) */
    u8 breakpoints, watchpoints;
    u8 watch_hits; /* of the data breakpoints, by the current instruction or a MOV SS before it */
    /* the instruction went through the IDT or is SYSCALL: TF at its start does not trap */
    bool no_step_trap;

    /* Faults and exits */
    jmp_buf *leave;   /* to the run loop */
    u64 fault_linear; /* of the pending #PF; CR2 once it is delivered */
    u8 vector;        /* pending exception */
    u32 error;
    const struct uop *uop; /* last uop that called a slow path */

    u64 run_end;      /* clock value at which left reaches 0 */
    bool retranslate; /* the TLB must not be used for the next guest, whatever `translated` says */
    struct translated_under translated;
    struct cpu_statistics statistics;
    struct block_cache *blocks; /* engine/block.c */
    struct mmu *mmu;            /* mmu/: nested TLB, fill lists, ... */
    struct device_log device;   /* engine/device.c */

    struct jump jumps[JUMPS];
    struct tlb_entry tlbs[TLB_CONTEXTS][TLB_ENTRIES];
};

/* MSRs of the core that no world switch exchanges. */
struct core_msrs {
    u64 vm_hsave_pa, vm_cr, syscfg, hwcr, rmp_base, rmp_end, apic_base;
};

struct cpu {
    struct arch arch; /* of the world that has the core */
    struct arch host; /* the host's while a guest has it */
    struct running_guest guest;
    struct core_msrs msr;
    u32 id;
    u32 asid_min; /* first ASID of a guest without SEV-ES */
    struct clock *clock;
    struct memory *memory;
    struct memory_listener listener;
    struct trace *trace;
    const struct random_source *random;
    struct engine engine;
};

/* --- Leaving an instruction (engine/run_loop.c) ----------------------------------------------- */

/* Raises an exception at the current instruction (fault semantics: RIP = its start). The error code
 * is pushed only for the vectors that have one. Exception intercepts are looked at on delivery
 * (system/event.c). */
void cpu_raise(struct cpu *c, u8 vector, u32 error) NORETURN;
static inline void cpu_raise_ud(struct cpu *c) NORETURN;
static inline void cpu_raise_gp(struct cpu *c, u32 error) NORETURN;
/* #VMEXIT at the current instruction, which does not count as retired: run_guest() returns with rip
 * = its start and next_rip = the next one's, or 0 where it is not an instruction that exits. */
void cpu_exit(struct cpu *c, u64 code, u64 info_1, u64 info_2) NORETURN;
/* RIP of the running block's first byte. */
static inline u64 block_rip(const struct cpu *c)
{
    return c->arch.r[REG_BLOCK];
}
/* Sets insn_rip, rip and uop from the uop: the first thing a specialised
 * handler's slow path does. */
void cpu_sync(struct cpu *c, const struct uop *u);
/* Recomputes mode, cpl-dependent TLB pointer after a change of CS, SS, CPL, CR0, EFER,
 * RFLAGS.VM/AC, CR4. */
void cpu_update_mode(struct cpu *c);
/* Machine time now, exact within a block (RDTSC).
 * run_guest() sets clock->now whenever it returns. */
u64 cpu_time(struct cpu *c);
/* What RDTSC says in the guest. */
u64 cpu_guest_tsc(struct cpu *c);
/* The running guest has this SEV_FEATURE_... */
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
 * Privilege is the current one (engine.tlb), `_system` accesses are supervisor accesses whatever
 * the CPL (descriptor tables, TSS, IDT, pushes during delivery go through them). All may raise #PF
 * or exit with NPF. */

u64 mmu_load_slow(struct cpu *c, u64 linear, u32 size);
void mmu_store_slow(struct cpu *c, u64 linear, u32 size, u64 value);
/* up to 4 KiB, both pages checked first */
void load_bytes(struct cpu *c, u64 linear, void *out, u32 size);
void store_bytes(struct cpu *c, u64 linear, const void *data, u32 size);
/* faults as a store would; changes nothing (but A/D) */
void probe_write(struct cpu *c, u64 linear, u32 size);
void probe_read(struct cpu *c, u64 linear, u32 size);
u64 load_system(struct cpu *c, u64 linear, u32 size);
void store_system(struct cpu *c, u64 linear, u32 size, u64 value);
void probe_write_system(struct cpu *c, u64 linear, u32 size);
/* A pointer to [linear, end of its page) for reading or writing, for REP and block copies; NULL
 * where bytes must go one access at a time (code page, MMIO). Good until the next access. */
u8 *mmu_window(struct cpu *c, u64 linear, bool write);
/* Up to 15 instruction bytes at linear address CS.base + rip; returns how many before a page that
 * faults, raising only if the first byte faults. Gives the system physical address of the first
 * byte. */
u32 mmu_fetch(struct cpu *c, u64 rip, u8 bytes[15], u64 *spa);
/* The system physical address of code at rip, for block look-up; raises as a fetch. */
u64 mmu_code_address(struct cpu *c, u64 rip);
void mmu_flush(struct cpu *c, bool global_too);
void mmu_flush_all(struct cpu *c); /* nested translations too: another ASID or nested CR3 */
void mmu_flush_page(struct cpu *c, u64 linear); /* INVLPG */
bool mmu_create(struct cpu *c);
void mmu_destroy(struct cpu *c);

/* A linear address on its way through the guest's and the nested tables (mmu/walk.c). */
struct access {
    bool write, fetch;
    bool unchecked;           /* not by the RMP, where it leads: PVALIDATE and its sisters */
    enum tlb_context context; /* who asks; TLB_KERNEL is also every implicit supervisor access */
};

struct translation {
    u64 frame; /* of system memory */
    u64 flags; /* TLB_GLOBAL, TLB_LARGE, TLB_HUGE, TLB_WRITABLE */
    u64 gpa;   /* without the C-bit */
    memory_key key;
    bool nested_large; /* the nested page is of 2 MiB or 1 GiB */
};

/* Why an access failed; mmu_raise() makes a #PF, a #VC or an NPF exit of it. */
struct access_fault {
    bool nested;
    bool not_validated; /* #VC 404 [cpu 6.2] */
    u64 linear;
    u32 error;  /* #PF */
    u64 info_1; /* NPF: EXITINFO1 [cpu 3.5] */
    u64 gpa;
};

/* Permissions, accessed and dirty bits, effective C-bit [cpu 5.9];
 * does not touch the frame itself. */
bool mmu_translate(struct cpu *c, u64 linear, struct access access, struct translation *t,
                   struct access_fault *f);
void mmu_raise(struct cpu *c, const struct access_fault *f, const struct access *access) NORETURN;

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

/* For exec_<name>() functions: insn_rip and rip are set already. Sizes 1, 2, 4, 8;
 * zero-extended. */
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

/* --- Breakpoints (system/breakpoint.c) [APM2 13.1]
 *
 * --------------------------------------------------------- */

void debug_update(struct cpu *c);         /* after a change of DR0-DR3 or DR7 */
u64 debug_code_hits(const struct cpu *c); /* DR6 bits of the breakpoints at RIP */
bool debug_watches_page(const struct cpu *c, u64 page);
void debug_watch(struct cpu *c, u64 linear, u32 size, bool write);

/* --- Operand accessors for exec_<name>() (exec/operand.c) ------------------------------------- */

/* GPR, MEM, IMM, SREG; zero-extended from its size */
u64 operand_read(struct cpu *c, const struct insn *in, u32 n);
/* 32-bit GPR writes clear the upper half */
void operand_write(struct cpu *c, const struct insn *in, u32 n, u64 value);
/* Linear address of the memory operand for an access of `size` bytes, all segment checks done. */
u64 operand_address(struct cpu *c, const struct insn *in, u32 size, bool write);
/* Offset part only (LEA, and what BT and string instructions build on),
 * truncated to the address size. */
u64 operand_offset(struct cpu *c, const struct insn *in);
/* Segment offset to linear address: limit, type and canonical checks,
 * raising #GP or #SS (system/segment.c). */
u64 linear_address(struct cpu *c, enum segment_index seg, u64 offset, u32 size, bool write);

/* Registers by width. */
u64 gpr_read(const struct cpu *c, u8 reg, u32 size);
void gpr_write(struct cpu *c, u8 reg, u32 size, u64 value);

/* Flags. flags_get: CF PF AF ZF SF OF, at their places in RFLAGS. flags_set:
 * those bits of `value`. */
u64 flags_get(const struct cpu *c);
void flags_set(struct cpu *c, u64 value);
u64 rflags_read(const struct cpu *c); /* the whole register */
/* bits in mask; updates the mode if VM or AC changed */
void rflags_write(struct cpu *c, u64 value, u64 mask);
bool condition(const struct cpu *c, u8 cc); /* the sixteen conditions of Jcc */

/* Stack at the current stack size (SS.B or 64-bit), current privilege; size 2, 4, 8. pop reads
 * without moving: the commit rule needs the load first; then stack_adjust. */
void stack_push(struct cpu *c, u64 value, u32 size);
u64 stack_peek(struct cpu *c, u64 offset, u32 size); /* at SS:SP + offset */
void stack_adjust(struct cpu *c, s64 delta);

/* From enter to leave the host's MXCSR is the guest's, if that masks all exceptions, so that
 * floating point costs nothing extra. In between nothing of ours may compute in floating point
 * (exec/sse_float.c). */
void mxcsr_enter(struct cpu *c);
void mxcsr_leave(struct cpu *c);

/* --- Engine (engine/block.c, engine/run_loop.c) ----------------------------------------------- */

bool blocks_create(struct cpu *c);
void blocks_destroy(struct cpu *c);
/* Bytes of a frame that holds code change or the frame goes away: drop the decoded blocks they
 * touch. If the running block is among them, it is left after the current instruction. */
void blocks_invalidate(struct cpu *c, u64 frame, u32 offset, u32 size);
bool blocks_in_page(const struct cpu *c, u64 frame); /* this core holds some */
/* Virtual addresses may mean other frames now:
 * forget address -> block associations (not the blocks). */
void blocks_forget_addresses(struct cpu *c);
/* Runs the loaded world until cpu_exit(), or until machine time `deadline_ns`. */
void run_guest(struct cpu *c);
void run_until(struct cpu *c, u64 deadline_ns);
/* Host mode (svm/host_mode.c): the core runs its own state, with no VMCB, no nested tables and the
 * RMP's checks of a host. Until the deadline (EXIT_INTR) or what only the board can do: EXIT_HLT,
 * EXIT_IOIO, EXIT_SHUTDOWN. The exit code; details are in c->guest, as at a #VMEXIT. */
u64 cpu_run_host(struct cpu *c, u64 deadline_ns);
/* A REP instruction may do rep_allowance() (>= 1) iterations before it must stop. After
 * `iterations` (>= 1) of them, with its registers updated: rep_account(). If it is not done yet it
 * is left by cpu_again(), which comes back to the same instruction after pending events. */
u64 rep_allowance(const struct cpu *c);
void rep_account(struct cpu *c, u64 iterations);
void cpu_again(struct cpu *c) NORETURN;

/* --- Architecture (system/, svm/) ---------------------------- */

/* MOV Sreg, POP Sreg, LDS ...: all checks */
void segment_load(struct cpu *c, enum segment_index seg, u16 selector);
void segment_load_real(struct cpu *c, enum segment_index seg, u16 selector);
void segment_update(struct cpu *c); /* after a VMCB load: cached derived state */
/* Delivers the pending exception, an external interrupt, or a software interrupt through the IDT
 * [APM2 8]. Sets exit_int_info while doing so. #DF and shutdown are handled inside. */
void event_deliver_exception(struct cpu *c, u8 vector, u32 error);
void event_deliver_interrupt(struct cpu *c, u8 vector);
void event_software_interrupt(struct cpu *c, u8 vector); /* INT n, at an exec function */
void event_software_exception(struct cpu *c, u8 vector); /* INT3, INTO, INT1 */
/* #DB behind the instruction that just retired: DR6_BS and friends. */
void event_debug_trap(struct cpu *c, u64 dr6);
/* Between instructions: V_IRQ, deadline, single-step trap...
 * Returns true if it changed where execution goes on. */
bool event_pending(const struct cpu *c);
void event_take(struct cpu *c);
bool pat_valid(u64 value); /* eight memory types that exist */
/* False: #GP(0). Called with intercepts already done. */
bool msr_read(struct cpu *c, u32 msr, u64 *value);
bool msr_write(struct cpu *c, u32 msr, u64 value);
void cpuid(struct cpu *c, u32 leaf, u32 subleaf, u32 out[4]);
/* The host wants this exit, which is one below 0xc0; intercept() takes it. */
bool intercepts(const struct cpu *c, u32 exit_code);
void intercept(struct cpu *c, u32 exit_code);

/* Declarations of every exec_<name> named by opcodes.def. */
#define EXEC(name) exec_fn exec_##name;
#include "cpu/decode/exec_list.h"
#undef EXEC

#endif
