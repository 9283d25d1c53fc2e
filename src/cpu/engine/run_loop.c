/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop: pending events, the budget, single steps, and the ways out of an instruction.
 *
 * The budget is exact. A block subtracts its number of instructions from `left` when it is entered;
 * code that leaves the block early gives back the instructions that were not done. An instruction
 * that faults or is intercepted does not count; the delivery of an event has a cost (base/clock.h).
 * A REP instruction counts its iterations.
 */
#include "cpu/debugger.h"
#include "cpu/engine/device.h"
#include "cpu/engine/engine.h"
#include "cpu/svm/vmsa_switch.h"

/* --- Accounting ------------------------------------------------------------------------------- */

/* Returns the number of the running block's instructions from the current one on, including it. */
static s64 not_done(const struct cpu *c)
{
    return c->engine.block ? c->engine.block->insns - uop_index(c->engine.uop) : 0;
}

static void give_back(struct cpu *c)
{
    c->engine.left += not_done(c);
    c->engine.block = NULL;
}

u64 cpu_time(struct cpu *c)
{
    return c->engine.run_end - (u64)(c->engine.left + not_done(c));
}

void cpu_sync(struct cpu *c, const struct uop *u)
{
    u64 mask = c->engine.mode & MODE_CODE64 ? ~0ull : 0xffffffffu;
    c->engine.uop = u;
    c->engine.insn_rip = (block_rip(c) + uop_offset(u)) & mask;
    c->arch.rip = (c->engine.insn_rip + u->len) & mask;
}

/* Returns true if the instruction may be alone for its access to a board: that may take time, and
 * bring interrupts, with each iteration. */
static bool asks_board(const struct cpu *c)
{
    return c->bare.wired && c->engine.block && c->engine.block->single;
}

u64 budget_left(const struct cpu *c)
{
    return (u64)c->engine.left + (c->engine.debugger ? c->engine.debugger->held : 0);
}

u64 rep_allowance(const struct cpu *c)
{
    if (c->arch.rflags & RFLAGS_TF || c->engine.watchpoints || c->engine.device.count ||
        debugger_steps(c) || asks_board(c))
        return 1;
    return (u64)c->engine.left + 1; /* the block counted one iteration and the rest */
}

void rep_account(struct cpu *c, u64 iterations)
{
    c->engine.left -= (s64)iterations - 1;
}

/* --- Ways out --------------------------------------------------------------------------------- */

void cpu_raise(struct cpu *c, u8 vector, u32 error)
{
    c->engine.vector = vector;
    c->engine.error = error;
    c->guest.next_rip = c->arch.rip; /* for BOUND, if #BR is intercepted */
    c->arch.rip = c->engine.insn_rip;
    give_back(c);
    longjmp(*c->engine.leave, LEAVE_RAISE);
}

/* Returns nRIP, which exists for intercepted instructions and for INT3, INTO and BOUND; otherwise
 * it is zero [APM2 15.7.1]. */
static u64 next_rip_at_exit(const struct cpu *c, u64 code)
{
    switch (code) {
    case EXIT_EXCEPTION + VECTOR_BP:
    case EXIT_EXCEPTION + VECTOR_OF:
        return c->arch.rip;
    case EXIT_EXCEPTION + VECTOR_BR:
        return c->guest.next_rip;
    case EXIT_TASK_SWITCH:
    case EXIT_SHUTDOWN:
    case EXIT_NPF:
        return 0;
    default:
        return code >= EXIT_EXCEPTION && code < EXIT_CR0_SEL_WRITE ? 0 : c->arch.rip;
    }
}

void cpu_exit(struct cpu *c, u64 code, u64 info_1, u64 info_2)
{
    if (c->guest.es && !exit_automatic(code, info_1))
        vmsa_raise_vc(c, code);
    c->guest.exit_code = code;
    c->guest.exit_info_1 = info_1;
    c->guest.exit_info_2 = info_2;
    c->guest.next_rip = next_rip_at_exit(c, code);
    if (c->guest.es && exit_completes(code)) {
        c->engine.left -= c->engine.block != NULL;
        c->arch.interrupt_shadow = false;
    } else {
        c->arch.rip = c->engine.insn_rip;
    }
    c->bare.exit = BARE_VMEXIT;
    give_back(c);
    longjmp(*c->engine.leave, LEAVE_EXIT);
}

/* The iterations done so far count; the instruction itself does not end here. */
void cpu_again(struct cpu *c)
{
    c->arch.rip = c->engine.insn_rip;
    if (c->engine.block)
        c->engine.left--;
    give_back(c);
    longjmp(*c->engine.leave, LEAVE_AGAIN);
}

void cpu_alone(struct cpu *c)
{
    if (!c->engine.block || c->engine.block->single)
        return;
    c->arch.rip = c->engine.insn_rip;
    give_back(c);
    longjmp(*c->engine.leave, LEAVE_ALONE);
}

void cpu_leave_bare(struct cpu *c, enum bare_exit exit)
{
    c->bare.exit = exit;
    c->engine.block = NULL;
    longjmp(*c->engine.leave, LEAVE_EXIT);
}

/* --- Slow halves of specialised handlers ------------------------------------------------------ */

static void check_linear(struct cpu *c, const struct uop *u, u64 linear, u32 size, bool stack)
{
    cpu_sync(c, u);
    if (UNLIKELY(!canonical(linear) || !canonical(linear + size - 1)) &&
        c->engine.mode & MODE_CODE64)
        cpu_raise(c, stack ? VECTOR_SS : VECTOR_GP, 0);
}

static bool on_stack(const struct uop *u)
{
    return u->b == RSP || u->b == RBP;
}

NOINLINE u64 uop_load_slow(struct cpu *c, const struct uop *u, u64 linear, u32 size)
{
    check_linear(c, u, linear, size, on_stack(u));
    return mmu_load_slow(c, linear, size);
}

NOINLINE void uop_store_slow(struct cpu *c, const struct uop *u, u64 linear, u32 size, u64 v)
{
    check_linear(c, u, linear, size, on_stack(u));
    mmu_store_slow(c, linear, size, v);
}

NOINLINE void uop_store_bytes_slow(struct cpu *c, const struct uop *u, u64 linear, const void *data,
                                   u32 size)
{
    check_linear(c, u, linear, size, on_stack(u));
    store_bytes(c, linear, data, size);
}

NOINLINE void uop_push_slow(struct cpu *c, const struct uop *u, u64 linear, u64 v)
{
    check_linear(c, u, linear, 8, true);
    mmu_store_slow(c, linear, 8, v);
}

NOINLINE u8 *uop_rmw_slow(struct cpu *c, const struct uop *u, u64 linear, u32 size)
{
    check_linear(c, u, linear, size, on_stack(u));
    probe_write(c, linear, size);
    c->engine.rmw = load(c, linear, size);
    return (u8 *)&c->engine.rmw;
}

NOINLINE void uop_rmw_end_slow(struct cpu *c, u64 linear, u32 size)
{
    store(c, linear, size, c->engine.rmw);
}

/* --- The loop --------------------------------------------------------------------------------- */

static void run_uops(struct cpu *c, const struct uop *u)
{
#ifdef CPU_DISPATCH_LOOP
    while (u)
        u = u->fn(c, u);
#else
    u->fn(c, u);
#endif
    c->engine.block = NULL;
}

static void run_block(struct cpu *c, const struct block *b)
{
    c->arch.r[REG_BLOCK] = c->arch.rip;
    run_uops(c, b->uop);
}

/* Runs one instruction, then returns to the loop. */
static void run_single(struct cpu *c)
{
    run_block(c, block_single(c));
}

static bool loads_ss(const struct block *b)
{
    const struct insn *in = b->uop[1].form & FORM_INSN ? b->uop[1].insn : NULL;
    return in && (in->op->id == INSN_mov_to_sreg || in->op->id == INSN_pop_sreg) &&
           in->o[0].reg == SEG_SS;
}

static bool is_sti(const struct block *b)
{
    return b->uop[1].form & FORM_INSN && b->uop[1].insn->op->id == INSN_sti;
}

/* Raises the traps after an instruction; a load of SS delays them by one instruction [APM2
 * 8.2.1]. */
static void debug_traps(struct cpu *c, bool step)
{
    u64 dr6 = c->engine.watch_hits | (step ? DR6_BS : 0);
    c->engine.watch_hits = 0;
    if (dr6)
        event_debug_trap(c, dr6);
}

/* Records the branch from `from`, if the single instruction was one. Returns whether the single
 * step traps after it: BTF leaves that to branches. */
static bool branch_ends(struct cpu *c, u64 from, u64 debugctl)
{
    if (LIKELY(!(debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF))))
        return true;
    bool taken = branch_taken(c, block_single_insn(c));
    if (taken && debugctl & DEBUGCTL_LBR)
        branch_record(c, from);
    return taken || !(debugctl & DEBUGCTL_BTF);
}

/* Runs one instruction and handles what may come between two: interrupt shadows, breakpoints,
 * single steps, records of branches, the stops of a debugger. */
static void run_carefully(struct cpu *c)
{
    if (UNLIKELY(c->engine.debugger != NULL) && debugger_before(c))
        return;
    u64 hits = c->engine.breakpoints && !(c->arch.rflags & RFLAGS_RF) ? debug_code_hits(c) : 0;
    if (hits) {
        event_debug_trap(c, hits);
        return;
    }
    bool shadow = c->arch.interrupt_shadow, step = c->arch.rflags & RFLAGS_TF,
         open = c->arch.rflags & RFLAGS_IF;
    const struct block *b = block_single(c);
    bool ss = loads_ss(b), opens = is_sti(b) && !open;
    const u64 from = c->arch.rip, debugctl = c->arch.debugctl;
    if (!shadow)
        c->engine.watch_hits = 0;
    c->arch.rflags &= ~RFLAGS_RF;
    c->engine.no_step_trap = false;
    run_block(c, b);
    step &= branch_ends(c, from, debugctl);
    if (shadow && !ss && !opens)
        c->arch.interrupt_shadow = false;
    if (!ss)
        debug_traps(c, step && !c->engine.no_step_trap);
    if (UNLIKELY(c->engine.debugger != NULL))
        debugger_after(c);
}

static void run_next(struct cpu *c)
{
    const struct jump *j = &c->engine.jumps[jump_slot(c->arch.rip)];
    if (j->rip == c->arch.rip && j->tag == c->engine.jump_tag && c->engine.left >= BLOCK_INSNS &&
        j->uop->op != UOP_STALE) {
        c->arch.r[REG_BLOCK] = c->arch.rip;
        run_uops(c, j->uop);
        return;
    }
    if (UNLIKELY(c->engine.debugger != NULL) && debugger_in_code_page(c)) {
        run_carefully(c);
        return;
    }
    const struct block *b = block_at(c);
    if (!b || b->insns > c->engine.left) {
        run_single(c);
        return;
    }
    block_remember(c, c->arch.rip, b);
    run_block(c, b);
}

/* Runs the instruction or delivery again whose device accesses the host has answered. Its
 * breakpoints were checked before. */
static void device_step(struct cpu *c)
{
    device_keep(c);
    if (c->guest.control.event_inject & EVENT_VALID) {
        event_take(c);
    } else {
        c->arch.rflags |= RFLAGS_RF;
        run_carefully(c);
    }
    device_done(c);
}

static void run_loop(struct cpu *c)
{
    for (;;) {
        blocks_new_tag(c);
        c->engine.insn_rip = c->arch.rip;
        if (UNLIKELY(c->engine.device.count && c->engine.left > 0)) {
            device_step(c);
            continue;
        }
        if (UNLIKELY(c->arch.interrupt_shadow && c->engine.left > 0 &&
                     !(c->guest.control.event_inject & EVENT_VALID))) {
            run_carefully(c);
            continue;
        }
        if (UNLIKELY(c->engine.left <= 0) && debugger_release(c))
            continue;
        if (UNLIKELY(c->engine.left <= 0 || event_pending(c))) {
            event_take(c);
            continue;
        }
        if (UNLIKELY(c->arch.rflags & (RFLAGS_TF | RFLAGS_RF) ||
                     c->engine.breakpoints | c->engine.watchpoints)) {
            run_carefully(c);
            continue;
        }
        run_next(c);
    }
}

static void after_leaving(struct cpu *c, int how)
{
    if (how)
        device_done(c);
    if (how == LEAVE_RAISE) {
        event_deliver_exception(c, c->engine.vector, c->engine.error);
        c->arch.interrupt_shadow = false;
        c->engine.watch_hits = 0; /* an instruction that faults has no trap */
    } else if (how == LEAVE_AGAIN) {
        debug_traps(c, c->arch.rflags & RFLAGS_TF && !(c->arch.debugctl & DEBUGCTL_BTF));
        if (UNLIKELY(c->engine.debugger != NULL))
            debugger_after(c);
    } else if (how == LEAVE_ALONE) {
        run_carefully(c);
    }
}

void run_guest(struct cpu *c)
{
    jmp_buf leave;
    jmp_buf *outer = c->engine.leave;
    u64 before = c->clock->now - c->engine.statistics.event_ns;
    c->engine.leave = &leave;
    c->engine.block = NULL;
    c->arch.r[REG_ZERO] = 0;
    mxcsr_enter(c);
    int how = setjmp(leave);
    if (how != LEAVE_EXIT) {
        after_leaving(c, how);
        run_loop(c);
    }
    if (!c->arch.interrupt_shadow) /* what a MOV SS hit waits for the next instruction */
        c->engine.watch_hits = 0;
    device_undo(c);
    mxcsr_leave(c);
    c->engine.leave = outer;
    c->clock->now = c->engine.run_end - (u64)c->engine.left;
    c->engine.statistics.instructions += c->clock->now - c->engine.statistics.event_ns - before;
}

void run_until(struct cpu *c, u64 deadline_ns)
{
    u64 now = c->clock->now;
    u64 left = deadline_ns > now ? min_u64(deadline_ns - now, INT64_MAX / 2) : 0;
    c->engine.left = (s64)left;
    c->engine.run_end = now + left;
    debugger_hold(c);
    run_guest(c);
}
