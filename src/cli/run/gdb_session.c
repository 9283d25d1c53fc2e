/* SPDX-License-Identifier: Apache-2.0 */
/* A GDB and the machine that it debugs; see gdb_session.h. */
#include "cli/run/gdb_session.h"

#include "base/clock.h"
#include "cli/run/session.h"
#include "machine/machine.h"
#include "machine/writers.h"

#define WAIT_NS CLOCK_HZ

/* --- What GDB asks for ------------------------------------------------------------------------ */

static u32 target_threads(void *session)
{
    const struct gdb_session *s = session;
    return s->subject->count(s->context);
}

static void target_describe(void *session, u32 thread, char *out, size_t size)
{
    const struct gdb_session *s = session;
    s->subject->describe(s->context, thread - 1, out, size);
}

static bool target_get(void *session, u32 thread, struct gdb_registers *out)
{
    const struct gdb_session *s = session;
    struct debug_registers r;
    if (!s->subject->get(s->context, thread - 1, &r))
        return false;
    gdb_registers_to(&r, out);
    return true;
}

static void changed(const struct gdb_session *s)
{
    if (s->subject->changed)
        s->subject->changed(s->context);
}

static bool target_set(void *session, u32 thread, const struct gdb_registers *in)
{
    const struct gdb_session *s = session;
    struct debug_registers r;
    if (!s->subject->get(s->context, thread - 1, &r) || !gdb_registers_from(in, &r) ||
        !s->subject->set(s->context, thread - 1, &r))
        return false;
    changed(s);
    return true;
}

static bool target_read(void *session, u32 thread, u64 address, void *out, size_t size)
{
    const struct gdb_session *s = session;
    struct debug_view v;
    return s->subject->view(s->context, thread - 1, &v) &&
           debug_read(s->machine, &v, address, out, size);
}

static bool target_write(void *session, u32 thread, u64 address, const void *data, size_t size)
{
    const struct gdb_session *s = session;
    struct debug_view v;
    if (!s->subject->view(s->context, thread - 1, &v) ||
        !debug_write(s->machine, &v, address, data, size))
        return false;
    changed(s);
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

static bool target_insert(void *session, const struct gdb_point *point)
{
    struct gdb_session *s = session;
    struct cpu_debugger *d = &s->debugger;
    const struct debug_point p = point_of(point);
    if (find_point(d, &p))
        return true;
    if (d->point_count == DEBUG_POINTS_MAX || !p.size || p.size > DEBUG_WATCH_MAX ||
        p.linear + p.size - 1 < p.linear)
        return false;
    d->points[d->point_count++] = p;
    machine_debug_changed(s->machine);
    return true;
}

static bool target_remove(void *session, const struct gdb_point *point)
{
    struct gdb_session *s = session;
    const struct debug_point p = point_of(point);
    struct debug_point *found = find_point(&s->debugger, &p);
    if (found)
        *found = s->debugger.points[--s->debugger.point_count];
    machine_debug_changed(s->machine);
    return true;
}

static void target_resume(void *session, u32 step)
{
    struct gdb_session *s = session;
    s->debugger.step = step ? s->subject->name(s->context, step - 1) : 0;
    if (s->subject->goes_on)
        s->subject->goes_on(s->context, step != 0);
    machine_debug_changed(s->machine);
}

static void target_reverse(void *session, bool one_instruction)
{
    const struct gdb_session *s = session;
    s->subject->reverse(s->context, one_instruction);
}

static void target_interrupt(void *session)
{
    struct gdb_session *s = session;
    s->debugger.interrupt = true;
    machine_debug_changed(s->machine);
}

/* Removes all points and requests: the machine goes on as if nobody had looked. */
static void let_go(struct gdb_session *s)
{
    s->debugger.point_count = 0;
    s->debugger.step = 0;
    s->debugger.interrupt = false;
    if (s->machine)
        machine_debug_changed(s->machine);
}

static void target_detach(void *session)
{
    struct gdb_session *s = session;
    s->subject->tell(s->context, "GDB has detached");
    let_go(s);
}

static void target_kill(void *session)
{
    struct gdb_session *s = session;
    s->subject->tell(s->context, "GDB ends the run");
    let_go(s);
    s->subject->end(s->context);
    s->debugger.leave = true;
}

static void target_send(void *session, const void *data, size_t size)
{
    struct gdb_session *s = session;
    gdb_socket_send(&s->socket, data, size);
}

/* --- The client ------------------------------------------------------------------------------- */

static bool client_open(struct gdb_session *s, const struct gdb_stop *stop)
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
        .reverse = s->subject->reverse ? target_reverse : NULL,
        .interrupt = target_interrupt,
        .detach = target_detach,
        .kill = target_kill,
        .monitor = gdb_monitor,
        .send = target_send,
        .context = s,
    };
    s->gdb = gdb_open(&target, stop);
    return s->gdb;
}

static void watch_socket(const struct gdb_session *s)
{
    run_signals_watch(s->socket.client >= 0 ? s->socket.client : s->socket.listener);
}

static void client_close(struct gdb_session *s)
{
    gdb_close(s->gdb);
    s->gdb = NULL;
    gdb_socket_drop(&s->socket);
    let_go(s);
    if (s->subject->left)
        s->subject->left(s->context);
    watch_socket(s);
}

/* Takes what the client has sent. If the client is gone, the machine goes on without it. */
static void client_receive(struct gdb_session *s)
{
    u8 bytes[4096];
    const ssize_t got = gdb_socket_receive(&s->socket, bytes, sizeof bytes);
    if (got > 0)
        gdb_feed(s->gdb, bytes, (size_t)got);
    if (!got || gdb_ended(s->gdb))
        client_close(s);
}

/* Serves the client until it lets the machine go on or asks to go back in time. */
static void client_serve(struct gdb_session *s)
{
    s->serving = true;
    while (s->gdb && !gdb_target_runs(s->gdb) && !run_signals_ending()) {
        run_signals_wait(-1, WAIT_NS);
        client_receive(s);
    }
    s->serving = false;
}

static bool again(struct gdb_session *s, struct gdb_stop *stop)
{
    return s->subject->again && s->gdb && !run_signals_ending() &&
           s->subject->again(s->context, stop);
}

/* Serves GDB at a stop, and tells the subject how long the machine stood still. */
static void serve(struct gdb_session *s, struct gdb_stop *stop)
{
    const u64 since = run_clock_ns();
    if (s->gdb)
        gdb_stopped(s->gdb, stop);
    else if (!client_open(s, stop))
        client_close(s);
    client_serve(s);
    while (again(s, stop)) {
        gdb_stopped(s->gdb, stop);
        client_serve(s);
    }
    s->debugger.leave |= run_signals_ending();
    s->subject->served(s->context, run_clock_ns() - since);
}

static void stopped(void *session, u32 core, enum debug_why why, const struct debug_point *hit)
{
    struct gdb_session *s = session;
    struct gdb_stop stop = {
        .thread = s->subject->in_core(s->context, core) + 1,
        .signal = why == DEBUG_INTERRUPTED && s->gdb ? GDB_SIGNAL_INT : GDB_SIGNAL_TRAP,
        .at_point = hit != NULL,
    };
    if (hit)
        stop.point = (struct gdb_point){(enum gdb_point_type)hit->tag, hit->linear, hit->size};
    if (!s->subject->stopped || s->subject->stopped(s->context, core, why, &stop))
        serve(s, &stop);
}

static void welcome(struct gdb_session *s)
{
    gdb_socket_accept(&s->socket);
    if (s->socket.client < 0)
        return;
    s->subject->tell(s->context, "GDB has connected");
    watch_socket(s);
    target_interrupt(s);
}

/* --- For the run ------------------------------------------------------------------------------ */

int gdb_session_open(struct gdb_session *s, const struct gdb_subject *subject, void *context,
                     const char *address, struct error *e)
{
    s->subject = subject;
    s->context = context;
    s->debugger.stopped = stopped;
    s->debugger.context = s;
    return gdb_socket_open(&s->socket, address, e);
}

int gdb_session_machine(struct gdb_session *s, struct machine *m, struct error *e)
{
    s->machine = m;
    launch_log_free(s->launches);
    s->launches = launch_log_create(machine_trace(m));
    return s->launches && debug_note_writers(m)
               ? 0
               : error_set(e, ERROR_MEMORY, "no memory for the debugger");
}

void gdb_session_start(struct gdb_session *s, bool wait)
{
    char text[200];
    machine_debug_attach(s->machine, &s->debugger);
    watch_socket(s);
    snprintf(text, sizeof text, "listens: (gdb) target remote %s", s->socket.name);
    s->subject->tell(s->context, text);
    while (wait && s->socket.client < 0 && !run_signals_ending()) {
        run_signals_wait(-1, WAIT_NS);
        welcome(s);
    }
}

void gdb_session_look(struct gdb_session *s, bool idle)
{
    if (s->serving)
        return;
    if (s->socket.client < 0)
        welcome(s);
    else if (s->gdb)
        client_receive(s);
    if (idle && s->debugger.interrupt) {
        struct gdb_stop stop = {.thread = 1, .signal = s->gdb ? GDB_SIGNAL_INT : GDB_SIGNAL_TRAP};
        s->debugger.interrupt = false;
        serve(s, &stop);
    }
}

/* Ends the session. The machine has ended before. */
void gdb_session_close(struct gdb_session *s, int status)
{
    run_signals_watch(-1);
    if (s->gdb)
        gdb_exited(s->gdb, (u8)status);
    gdb_close(s->gdb);
    gdb_socket_close(&s->socket);
    launch_log_free(s->launches);
    s->launches = NULL;
    s->gdb = NULL;
}
