/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GDB that debugs the first VM of a run. The machine stops inside of the core, between two
 * instructions, and the debugger is served from there: no machine time passes, and nothing of the
 * stop can be seen in the guest or in a trace. Only if no processor runs is a stop between two
 * slices. While the guest runs, the socket is looked at as often as the keyboard.
 */
#include "cli/run/gdb.h"

#include <stdlib.h>

#define WAIT_NS CLOCK_HZ

/* --- The VM's processors ---------------------------------------------------------------------- */

struct vm *gdb_vm(const struct run_gdb *g)
{
    return g->run->vms[0].vm;
}

static u32 cores(const struct run_gdb *g)
{
    return host_cores(machine_host(g->run->machine));
}

bool gdb_cpu_runs(const struct run_gdb *g, u32 cpu, u32 *core)
{
    const u64 vmcb = vm_vmcb(gdb_vm(g), cpu);
    for (*core = 0; *core < cores(g); ++*core) {
        if (machine_debug_running(g->run->machine, *core) == vmcb)
            return true;
    }
    return false;
}

struct vm_debug_cpu gdb_cpu(struct run_gdb *g, u32 cpu)
{
    struct vm_debug_cpu c;
    bool busy = false;
    for (u32 core = 0; core < cores(g); core++)
        busy |= machine_debug_running(g->run->machine, core) != 0;
    vm_debug_cpu(gdb_vm(g), cpu, busy, &c);
    return c;
}

static bool sleeping_registers(struct run_gdb *g, u32 cpu, struct debug_registers *out)
{
    struct machine *m = g->run->machine;
    const struct vm_debug_cpu c = gdb_cpu(g, cpu);
    struct debug_view v;
    u64 vmsa;
    bool es;
    memset(out, 0, sizeof *out);
    if (*c.state == 'w') /* it has no registers yet */
        return true;
    if (!debug_view_of_vmcb(m, c.vmcb_spa, &v, &es, &vmsa))
        return false;
    if (es)
        return debug_read_vmsa(m, vmsa, v.asid, out);
    memcpy(out->gpr, c.gpr, sizeof out->gpr);
    memcpy(out->dr, c.dr, sizeof out->dr);
    memcpy(out->fx, c.fx, sizeof out->fx);
    out->xcr0 = c.xcr0;
    if (!debug_read_save(m, c.vmcb_spa, &out->save))
        return false;
    out->gpr[0] = out->save.rax;
    out->gpr[4] = out->save.rsp;
    return true;
}

bool gdb_cpu_registers(struct run_gdb *g, u32 cpu, struct debug_registers *out)
{
    u32 core;
    if (!gdb_cpu_runs(g, cpu, &core))
        return sleeping_registers(g, cpu, out);
    machine_debug_get(g->run->machine, core, out);
    return true;
}

bool gdb_cpu_view(struct run_gdb *g, u32 cpu, struct debug_view *out)
{
    struct debug_registers r;
    u64 vmsa;
    bool es;
    if (!gdb_cpu_registers(g, cpu, &r) ||
        !debug_view_of_vmcb(g->run->machine, vm_vmcb(gdb_vm(g), cpu), out, &es, &vmsa))
        return false;
    debug_view_paging(out, &r.save);
    return true;
}

/* --- What GDB asks for ------------------------------------------------------------------------ */

static u32 target_threads(void *context)
{
    const struct run_gdb *g = context;
    return vm_debug_cpus(gdb_vm(g));
}

static void target_describe(void *context, u32 thread, char *out, size_t size)
{
    struct run_gdb *g = context;
    u32 core;
    snprintf(out, size, "processor %u of %s: %s", thread - 1, g->run->vms[0].options->name,
             gdb_cpu_runs(g, thread - 1, &core) ? "runs" : gdb_cpu(g, thread - 1).state);
}

static bool target_get(void *context, u32 thread, struct gdb_registers *out)
{
    struct debug_registers r;
    if (!gdb_cpu_registers(context, thread - 1, &r))
        return false;
    gdb_registers_to(&r, out);
    return true;
}

/* What GDB changes was not in the run so far: going back over it would lose it. */
static void changed(struct run_gdb *g)
{
    if (g->history)
        history_restarts(g);
}

/* Only the processor that has stopped can be written: the others' registers belong to the
 * hypervisor, or to their VMSAs. */
static bool target_set(void *context, u32 thread, const struct gdb_registers *in)
{
    struct run_gdb *g = context;
    struct debug_registers r;
    u32 core;
    if (!gdb_cpu_runs(g, thread - 1, &core) || !gdb_cpu_registers(g, thread - 1, &r) ||
        !gdb_registers_from(in, &r) || !machine_debug_set(g->run->machine, core, &r))
        return false;
    changed(g);
    return true;
}

static bool target_read(void *context, u32 thread, u64 address, void *out, size_t size)
{
    struct run_gdb *g = context;
    struct debug_view v;
    return gdb_cpu_view(g, thread - 1, &v) && debug_read(g->run->machine, &v, address, out, size);
}

static bool target_write(void *context, u32 thread, u64 address, const void *data, size_t size)
{
    struct run_gdb *g = context;
    struct debug_view v;
    if (!gdb_cpu_view(g, thread - 1, &v) || !debug_write(g->run->machine, &v, address, data, size))
        return false;
    changed(g);
    return true;
}

static const enum debug_point_kind kinds[GDB_POINT_TYPES] = {
    [GDB_SOFTWARE] = DEBUG_CODE, [GDB_HARDWARE] = DEBUG_CODE, [GDB_WRITE] = DEBUG_WRITE,
    [GDB_READ] = DEBUG_READ,     [GDB_ACCESS] = DEBUG_ACCESS,
};

static struct debug_point point_of(const struct gdb_point *p)
{
    const enum debug_point_kind kind = kinds[p->type];
    return (struct debug_point){.kind = kind,
                                .linear = p->address,
                                .size = kind == DEBUG_CODE ? 1 : p->size,
                                .tag = p->type};
}

static struct debug_point *find_point(struct cpu_debugger *d, const struct debug_point *p)
{
    for (u32 i = 0; i < d->point_count; i++) {
        struct debug_point *q = &d->points[i];
        if (q->tag == p->tag && q->linear == p->linear && q->size == p->size)
            return q;
    }
    return NULL;
}

static bool target_insert(void *context, const struct gdb_point *point)
{
    struct run_gdb *g = context;
    struct cpu_debugger *d = &g->debugger;
    const struct debug_point p = point_of(point);
    if (find_point(d, &p))
        return true;
    if (d->point_count == DEBUG_POINTS_MAX || !p.size || p.size > DEBUG_WATCH_MAX ||
        p.linear + p.size - 1 < p.linear)
        return false;
    d->points[d->point_count++] = p;
    machine_debug_changed(g->run->machine);
    return true;
}

static bool target_remove(void *context, const struct gdb_point *point)
{
    struct run_gdb *g = context;
    const struct debug_point p = point_of(point);
    struct debug_point *found = find_point(&g->debugger, &p);
    if (found)
        *found = g->debugger.points[--g->debugger.point_count];
    machine_debug_changed(g->run->machine);
    return true;
}

static void target_resume(void *context, u32 step)
{
    struct run_gdb *g = context;
    g->debugger.step = step ? vm_vmcb(gdb_vm(g), step - 1) : 0;
    g->stepping = step != 0;
    g->wish = FORWARD;
    if (g->history)
        history_resume(g);
    machine_debug_changed(g->run->machine);
}

static void target_reverse(void *context, bool one_instruction)
{
    struct run_gdb *g = context;
    g->wish = one_instruction ? BACK_STEP : BACK_RUN;
}

static void target_interrupt(void *context)
{
    struct run_gdb *g = context;
    g->debugger.interrupt = true;
    machine_debug_changed(g->run->machine);
}

/* The guest goes on as if nobody had ever looked. */
static void let_go(struct run_gdb *g)
{
    g->debugger.point_count = 0;
    g->debugger.step = 0;
    g->debugger.interrupt = false;
    machine_debug_changed(g->run->machine);
}

static void target_detach(void *context)
{
    struct run_gdb *g = context;
    run_step(g->run, "debugger", "GDB has detached");
    let_go(g);
}

static void target_kill(void *context)
{
    struct run_gdb *g = context;
    run_step(g->run, "debugger", "GDB ends the run");
    let_go(g);
    g->run->quit = g->debugger.leave = true;
}

static void target_send(void *context, const void *data, size_t size)
{
    struct run_gdb *g = context;
    gdb_socket_send(&g->socket, data, size);
}

/* --- The session ------------------------------------------------------------------------------ */

static bool session_open(struct run_gdb *g, const struct gdb_stop *stop)
{
    const struct gdb_target target = {
        .threads = target_threads,
        .describe = target_describe,
        .get_registers = target_get,
        .set_registers = target_set,
        .read = target_read,
        .write = target_write,
        .insert = target_insert,
        .remove = target_remove,
        .resume = target_resume,
        .reverse = g->history ? target_reverse : NULL,
        .interrupt = target_interrupt,
        .detach = target_detach,
        .kill = target_kill,
        .monitor = gdb_monitor,
        .send = target_send,
        .context = g,
    };
    g->gdb = gdb_open(&target, stop);
    return g->gdb;
}

static void watch_socket(const struct run_gdb *g)
{
    run_signals_watch(g->socket.client >= 0 ? g->socket.client : g->socket.listener);
}

static void session_close(struct run_gdb *g)
{
    gdb_close(g->gdb);
    g->gdb = NULL;
    gdb_socket_drop(&g->socket);
    let_go(g);
    if (g->history)
        history_restarts(g);
    watch_socket(g);
}

/* Takes what the client has sent. A client that is gone leaves the guest alone. */
static void session_receive(struct run_gdb *g)
{
    u8 bytes[4096];
    const ssize_t got = gdb_socket_receive(&g->socket, bytes, sizeof bytes);
    if (got > 0)
        gdb_feed(g->gdb, bytes, (size_t)got);
    if (!got || gdb_ended(g->gdb))
        session_close(g);
}

/* Serves the client until it lets the guest go on, or wants to go back. */
static void serve_client(struct run_gdb *g)
{
    g->serving = true;
    while (g->gdb && !gdb_target_runs(g->gdb) && !run_signals_ending()) {
        run_signals_wait(-1, WAIT_NS);
        session_receive(g);
    }
    g->serving = false;
}

/* Returns true if GDB is to be told of another stop: the beginning, from where there is no way
 * back. */
static bool travels(struct run_gdb *g, struct gdb_stop *stop)
{
    if (!g->history || !g->gdb || run_signals_ending())
        return false;
    if (g->wish == FORWARD)
        return history_begins(g, stop);
    *stop =
        (struct gdb_stop){.thread = stop->thread, .signal = GDB_SIGNAL_TRAP, .at_beginning = true};
    return !history_travel(g, g->wish == BACK_STEP);
}

/* The wall's clock does not run while GDB is served. */
static void serve(struct run_gdb *g, struct gdb_stop *stop)
{
    const u64 since = run_clock_ns();
    if (g->gdb)
        gdb_stopped(g->gdb, stop);
    else if (!session_open(g, stop))
        session_close(g);
    serve_client(g);
    while (travels(g, stop)) {
        gdb_stopped(g->gdb, stop);
        serve_client(g);
    }
    g->debugger.leave |= run_signals_ending();
    g->run->wall_start_ns += run_clock_ns() - since;
}

static void stopped(void *context, u32 core, enum debug_why why, const struct debug_point *hit)
{
    struct run_gdb *g = context;
    struct gdb_stop stop = {
        .thread = 1,
        .signal = why == DEBUG_INTERRUPTED && g->gdb ? GDB_SIGNAL_INT : GDB_SIGNAL_TRAP,
        .at_point = hit != NULL,
    };
    for (u32 i = 0; i < vm_debug_cpus(gdb_vm(g)); i++) {
        if (vm_vmcb(gdb_vm(g), i) == machine_debug_running(g->run->machine, core))
            stop.thread = i + 1;
    }
    if (hit)
        stop.point = (struct gdb_point){(enum gdb_point_type)hit->tag, hit->linear, hit->size};
    if (!g->history || history_stopped(g, core, why, &stop))
        serve(g, &stop);
}

/* --- For the run ------------------------------------------------------------------------------ */

int run_gdb_open(struct run *r, struct error *e)
{
    if (!r->options.gdb)
        return 0;
    r->gdb = calloc(1, sizeof *r->gdb);
    if (!r->gdb)
        return error_set(e, ERROR_MEMORY, "no memory for the debugger");
    r->gdb->run = r;
    r->gdb->debugger.stopped = stopped;
    r->gdb->debugger.context = r->gdb;
    return gdb_socket_open(&r->gdb->socket, r->options.gdb, e);
}

/* A plain guest that has reset its machine has new VMCBs. */
static void find_processors(struct run_gdb *g)
{
    struct cpu_debugger *d = &g->debugger;
    d->vmcb_count = (u32)min_u64(vm_debug_cpus(gdb_vm(g)), DEBUG_PROCESSORS_MAX);
    for (u32 i = 0; i < d->vmcb_count; i++)
        d->vmcbs[i] = vm_vmcb(gdb_vm(g), i);
}

static void welcome(struct run_gdb *g)
{
    gdb_socket_accept(&g->socket);
    if (g->socket.client < 0)
        return;
    run_step(g->run, "debugger", "GDB has connected");
    watch_socket(g);
    target_interrupt(g);
}

int run_gdb_start(struct run *r, struct error *e)
{
    struct run_gdb *g = r->gdb;
    if (!g)
        return 0;
    if (gdb_socket_listen(&g->socket, e) || (r->options.gdb_reverse && history_open(g, e)))
        return -1;
    find_processors(g);
    machine_debug_attach(r->machine, &g->debugger);
    watch_socket(g);
    run_step(r, "debugger", "listens: (gdb) target remote %s", g->socket.name);
    while (r->options.gdb_wait && g->socket.client < 0 && !run_signals_ending()) {
        run_signals_wait(-1, WAIT_NS);
        welcome(g);
    }
    return 0;
}

void run_gdb_look(struct run *r, bool idle)
{
    struct run_gdb *g = r->gdb;
    if (!g || g->serving)
        return;
    if (g->socket.client < 0)
        welcome(g);
    else if (g->gdb)
        session_receive(g);
    if (idle && g->debugger.interrupt && vm_get_state(gdb_vm(g)) == VM_RUNNABLE) {
        struct gdb_stop stop = {.thread = 1, .signal = g->gdb ? GDB_SIGNAL_INT : GDB_SIGNAL_TRAP};
        g->debugger.interrupt = false;
        serve(g, &stop);
    }
}

void run_gdb_slice(struct run *r)
{
    if (r->gdb && r->gdb->history)
        history_grows(r->gdb);
}

void run_gdb_rebooted(struct run *r)
{
    if (r->gdb)
        find_processors(r->gdb);
}

void run_gdb_close(struct run *r, int status)
{
    struct run_gdb *g = r->gdb;
    if (!g)
        return;
    run_signals_watch(-1);
    if (g->history)
        history_ends(g);
    if (g->gdb)
        gdb_exited(g->gdb, (u8)status);
    gdb_close(g->gdb);
    gdb_socket_close(&g->socket);
    free(g);
    r->gdb = NULL;
}
