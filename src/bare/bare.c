/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a bare machine: the state that a BIOS leaves, the loaded kernel, and the turns of the
 * cores. */
#include "bare/internal.h"

#include "abi/x86.h"
#include "base/clock.h"
#include "device/lapic.h"
#include "memory/rmp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A turn while other cores can run, too, in machine time: code that waits for another core spins
 * for this long at most. */
#define QUANTUM_NS 50000ull

/* ... and of a core that runs alone: after each turn the program looks at signals and keys, and
 * some instructions take this computer a thousand times as long as the machine. */
#define ALONE_NS COST_COMMAND_NS

#define CPUID_SNP BIT(4) /* Fn8000_001F EAX */
/* Linux reserves whole regions of this size around the table [host 2.3]. */
#define RMP_ALIGN MIB(2)

/* --- What a BIOS leaves ----------------------------------------------------------------------- */

/* SYSCFG: MtrrFixDramEn, MtrrVarDramEn, MtrrTom2En, Tom2ForceMemTypeWB and MemEncryptionModEn [host
 * 2.1]. */
#define SYSCFG_BIOS      (BIT(18) | BIT(20) | BIT(21) | BIT(22) | SYSCFG_MEM_ENCRYPT)
#define HWCR_TSC_FREQSEL BIT(24)

static bool has_snp(struct host *h)
{
    u32 out[4];
    host_cpuid(h, 0, 0x8000001f, 0, out);
    return out[0] & CPUID_SNP;
}

/* The RMP covers all of DRAM, and lies at its end. */
static u64 rmp_size(struct host *h)
{
    return has_snp(h) ? ALIGN_UP(rmp_table_size(host_memory_size(h)), RMP_ALIGN) : 0;
}

static int set_core(struct bare *b, u32 core, struct error *error)
{
    const u64 end = host_memory_size(b->host), rmp = b->plan->reserved_size;
    const struct {
        u32 msr;
        u64 value;
    } rows[] = {
        {MSR_SYSCFG, SYSCFG_BIOS},
        {MSR_HWCR, HWCR_SMM_LOCK | HWCR_TSC_FREQSEL},
        {MSR_RMP_BASE, end - rmp},
        {MSR_RMP_END, end - 1},
    };
    const size_t count = rmp ? ARRAY_SIZE(rows) : 2;
    for (size_t i = 0; i < count; i++)
        if (!host_wrmsr(b->host, core, rows[i].msr, rows[i].value))
            return error_set(error, ERROR_INTERNAL, "core %u refuses MSR %#x = %#llx", core,
                             rows[i].msr, (unsigned long long)rows[i].value);
    return 0;
}

static int load(struct bare *b, struct error *error)
{
    static const u8 zeros[PAGE_SIZE];
    const struct image_plan *plan = b->plan;
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        bool good = !p->data_size || host_write(b->host, p->gpa, p->data, p->data_size);
        for (u64 at = p->data_size; good && at < p->size; at += PAGE_SIZE - at % PAGE_SIZE)
            good = host_write(b->host, p->gpa + at, zeros,
                              min_u64(p->size - at, PAGE_SIZE - at % PAGE_SIZE));
        if (!good)
            return error_set(error, ERROR_MEMORY, "%s does not fit the memory", p->name);
    }
    return 0;
}

static int power_on(struct bare *b, struct error *error)
{
    struct vmcb_save registers = b->plan->registers;
    registers.efer &= ~EFER_SVME; /* the plan is written for VMRUN, which wants it set */
    for (u32 i = 0; i < b->count; i++)
        if (set_core(b, i, error))
            return -1;
    cpu_load_state(b->cores[0].cpu, &registers, b->plan->gpr);
    return 0;
}

/* --- Life ------------------------------------------------------------------------------------- */

static struct trace *trace_of(const struct bare *b)
{
    return host_trace(b->host);
}

static int build(struct bare *b, struct error *error)
{
    struct image_description d = b->config.image;
    d.mode = IMAGE_NONE;
    d.iommu = true;
    d.memory_size = host_memory_size(b->host);
    d.reserved_size = rmp_size(b->host);
    d.cpus = b->count;
    if (d.memory_size > BARE_MEMORY_MAX)
        return error_set(error, ERROR_USAGE,
                         "a bare machine has at most %llu MiB of memory, not %llu: all of it is "
                         "below the window of PCI",
                         (unsigned long long)(BARE_MEMORY_MAX >> 20),
                         (unsigned long long)(d.memory_size >> 20));
    if (b->count > IMAGE_CPUS_MAX)
        return error_set(error, ERROR_USAGE, "a bare machine has 1 to %u cores, not %u",
                         IMAGE_CPUS_MAX, b->count);
    b->plan = image_build(&d, error);
    return b->plan ? 0 : -1;
}

struct bare *bare_create(const struct bare_config *config, struct error *error)
{
    struct bare *b = calloc(1, sizeof *b);
    if (!b) {
        error_set(error, ERROR_MEMORY, "no memory for a bare machine");
        return NULL;
    }
    b->config = *config;
    b->host = machine_host(config->machine);
    b->count = host_cores(b->host);
    if (build(b, error) || bare_wire(b, error) || load(b, error) || power_on(b, error)) {
        bare_destroy(b);
        return NULL;
    }
    trace_event(trace_of(b), TRACE_VM, "HOST", "pieces=%u cores=%u rmp=%#llx", b->plan->piece_count,
                b->count,
                (unsigned long long)(b->plan->reserved_size
                                         ? b->plan->memory_size - b->plan->reserved_size
                                         : 0));
    return b;
}

void bare_destroy(struct bare *b)
{
    if (!b)
        return;
    for (u32 i = 0; i < b->count && i < IMAGE_CPUS_MAX; i++)
        if (b->cores[i].cpu)
            cpu_wire(b->cores[i].cpu, NULL);
    if (b->board) /* the firmware lives on without this board's IOMMU */
        firmware_connect_iommu(machine_firmware(b->config.machine), &(struct firmware_iommu){0});
    board_destroy(b->board);
    image_free(b->plan);
    free(b);
}

void bare_end(struct bare *b, enum bare_state state, const char *format, ...)
{
    struct bare_summary *s = &b->summary;
    if (s->state != BARE_RUNNING)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(s->reason, sizeof s->reason, format, arguments);
    va_end(arguments);
    s->state = state;
    trace_event(trace_of(b), TRACE_VM, "ENDED", "why=\"%s\"", s->reason);
}

void bare_set_stop(struct bare *b, bool (*stop)(void *context), void *context)
{
    b->stop = stop;
    b->stop_context = context;
}

void bare_end_turn(struct bare *b)
{
    if (b->running)
        cpu_yield(b->running->cpu);
}

size_t bare_console_input(struct bare *b, const u8 *data, size_t size)
{
    return board_console_input(b->board, data, size);
}

const char *bare_core_state(const struct bare *b, u32 core)
{
    const struct bare_core *c = &b->cores[core];
    return c->waiting ? "waits for STARTUP" : c->halted ? "halted" : "runs";
}

bool bare_net_input(struct bare *b, const void *frame, size_t size)
{
    return board_net_input(b->board, frame, size);
}

void bare_get_summary(const struct bare *b, struct bare_summary *out)
{
    *out = b->summary;
}

/* --- INIT and STARTUP [APM2 16.5] ------------------------------------------------------------- */

/* Handles a core that took INIT. There is no firmware at the reset vector, so the first core cannot
 * start again. */
static void on_reset_core(struct bare_core *c)
{
    struct bare *b = c->bare;
    lapic_init_signal(board_lapic(b->board, c->index));
    c->waiting = true;
    if (!c->index)
        bare_end(b, BARE_RESET, "the host sent INIT to its first core");
}

static void carry_out_startup(struct bare_core *c)
{
    const u32 vector = c->startup & 0xff;
    c->startup = 0;
    c->waiting = false;
    cpu_start_up(c->cpu, (u8)vector);
    trace_event(trace_of(c->bare), TRACE_VM, "STARTUP", "core=%u vector=%#x", c->index, vector);
}

/* --- Turns ------------------------------------------------------------------------------------ */

bool bare_can_run(const struct bare_core *c)
{
    if (c->init || (c->waiting && c->startup))
        return true;
    if (c->waiting)
        return false;
    return !c->halted || c->nmi || (!c->deaf && board_interrupt_pending(c->bare->board, c->index));
}

/* Returns true if only an NMI, INIT or STARTUP can wake the core. These come from cores that
 * run. */
static bool sleeps_for_good(const struct bare_core *c)
{
    return (c->waiting || c->deaf) && !bare_can_run(c);
}

/* Returns the next core in turn, or NULL if all are halted. */
static struct bare_core *pick(struct bare *b)
{
    for (u32 i = 0; i < b->count; i++) {
        struct bare_core *c = &b->cores[(b->turn + i) % b->count];
        if (c->waiting && c->startup && !c->init)
            carry_out_startup(c);
        if (bare_can_run(c))
            return c;
    }
    return NULL;
}

static bool others_can_run(const struct bare_core *c)
{
    const struct bare *b = c->bare;
    for (u32 i = 0; i < b->count; i++)
        if (i != c->index && bare_can_run(&b->cores[i]))
            return true;
    return false;
}

/* Handles a core that executed HLT. */
static void on_halt(struct bare_core *c)
{
    struct bare *b = c->bare;
    c->halted = true;
    c->nmi = false;
    c->deaf = !cpu_takes_interrupts(c->cpu);
    for (u32 i = 0; i < b->count; i++)
        if (!sleeps_for_good(&b->cores[i]))
            return;
    bare_end(b, BARE_CRASHED, "halted for good: every core waits for another to wake it");
}

static void run_core(struct bare_core *c, u64 deadline_ns)
{
    struct bare *b = c->bare;
    const u64 before = host_time_ns(b->host);
    c->halted = c->deaf = c->nmi = c->init = false;
    bare_pin(c);
    b->running = c;
    b->deadline_ns = deadline_ns;
    const enum cpu_stop stop = cpu_run_bare(c->cpu, deadline_ns);
    b->running = NULL;
    b->summary.busy_ns += host_time_ns(b->host) - before;
    board_set_time(b->board, host_time_ns(b->host));
    if (stop == CPU_STOP_HALT)
        on_halt(c);
    if (stop == CPU_STOP_INIT)
        on_reset_core(c);
    if (stop == CPU_STOP_SHUTDOWN) {
        b->summary.shutdown = true;
        bare_end(b, BARE_RESET, "triple fault on core %u: the board resets", c->index);
    }
}

/* Runs a core's turn: until it halts, its time is over, or an event may have woken another core. */
static void run_turn(struct bare_core *c, u64 end_ns)
{
    struct bare *b = c->bare;
    const u64 now = host_time_ns(b->host);
    b->turn = (c->index + 1) % b->count;
    end_ns = min_u64(end_ns, now + (others_can_run(c) ? QUANTUM_NS : ALONE_NS));
    run_core(c, max_u64(min_u64(end_ns, board_next_event_ns(b->board)), now + 1));
}

static bool stops(const struct bare *b)
{
    return b->stop && b->stop(b->stop_context);
}

bool bare_run_busy(struct bare *b, u64 until_ns, u64 *next_ns)
{
    *next_ns = 0;
    board_set_time(b->board, host_time_ns(b->host));
    while (b->summary.state == BARE_RUNNING && host_time_ns(b->host) < until_ns) {
        struct bare_core *c = pick(b);
        if (!c && b->summary.state == BARE_RUNNING)
            *next_ns = board_next_event_ns(b->board);
        if (!c)
            break;
        run_turn(c, until_ns);
        if (stops(b))
            break;
    }
    return b->summary.state == BARE_RUNNING;
}

/* Waking a core for a timer costs time: otherwise a timer with a tiny period would fire for ever
 * while no time passes. */
bool bare_run(struct bare *b, u64 until_ns)
{
    u64 next_ns;
    bool alive;
    while ((alive = bare_run_busy(b, until_ns, &next_ns)) && next_ns && !stops(b)) {
        host_idle_until(b->host, min_u64(until_ns, next_ns));
        if (next_ns < until_ns)
            host_spend(b->host, COST_WAKE_NS);
    }
    return alive;
}
