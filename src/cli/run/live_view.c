/* SPDX-License-Identifier: Apache-2.0 */
/* The page that follows a run; see picture.h. */
#include "cli/run/picture.h"

#include "cli/run/session.h"
#include "cli/view/view_server.h"
#include "machine/debug.h"
#include "machine/machine.h"
#include "memory/frame.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define QUEUE_MAX   MIB(64) /* bytes of events that no browser has fetched yet */
#define AT_ONCE     20000u  /* events in one answer to a browser */
#define ANSWER_NS   2000000000ull
#define LOOK_MIN_NS 10000000ull /* the run looks no more often, whatever a browser asks */

/* An event in the queue: this, then its name and text, each with a NUL. */
struct queued {
    u64 time_ns;
    u32 category, size; /* bytes of name and text */
};

struct live_view {
    struct machine *machine; /* NULL: there is none now */
    void (*tell)(void *context, const char *text);
    void *tell_context;
    struct view_server server;
    struct trace_sink sink;
    pthread_mutex_t mutex; /* protects all that follows */
    pthread_cond_t answered;
    u8 *queue;
    size_t size, room;
    u64 lost;
    bool ended;
    _Atomic bool asked; /* a browser waits for the page at `spa` */
    bool done, good, keyed;
    u64 spa;
    u8 raw[PAGE_SIZE], plain[PAGE_SIZE];
    u64 looked_ns; /* used by the run's thread only */
    u8 *taken;     /* events taken from the queue; used by the server's thread only */
    size_t taken_size, taken_at;
};

/* --- Events: the run's side ------------------------------------------------------------------- */

static bool make_room(struct live_view *v, size_t size)
{
    if (v->room - v->size >= size)
        return true;
    const size_t room = v->room ? 2 * v->room : MIB(1);
    u8 *queue = room <= QUEUE_MAX ? realloc(v->queue, room) : NULL;
    if (!queue)
        return false;
    v->queue = queue;
    v->room = room;
    return true;
}

static void on_event(void *view, const struct trace_event *e)
{
    struct live_view *v = view;
    const size_t name = strlen(e->name) + 1, text = strlen(e->text) + 1;
    const struct queued q = {e->time_ns, e->category, (u32)(name + text)};
    pthread_mutex_lock(&v->mutex);
    if (v->lost || !make_room(v, sizeof q + q.size)) {
        v->lost++;
    } else {
        memcpy(v->queue + v->size, &q, sizeof q);
        memcpy(v->queue + v->size + sizeof q, e->name, name);
        memcpy(v->queue + v->size + sizeof q + name, e->text, text);
        v->size += sizeof q + q.size;
    }
    pthread_mutex_unlock(&v->mutex);
}

/* --- Events: the server's side ---------------------------------------------------------------- */

/* Adds events that were taken from the queue, up to a fixed number: a browser must not wait
 * long. */
static void add_taken(struct live_view *v, struct view_record *r)
{
    struct view_event e;
    struct queued q;
    for (u32 i = 0; i < AT_ONCE && v->taken_at < v->taken_size; i++) {
        memcpy(&q, v->taken + v->taken_at, sizeof q);
        const char *name = (const char *)v->taken + v->taken_at + sizeof q;
        const struct trace_event event = {.category = (enum trace_category)q.category,
                                          .time_ns = q.time_ns,
                                          .name = name,
                                          .text = name + strlen(name) + 1};
        view_take_event(&event, &e);
        view_record_add(r, &e);
        v->taken_at += sizeof q + q.size;
    }
}

/* Takes the whole queue once all that was taken before has been added. Returns false if the run has
 * ended. */
static bool take_queue(struct live_view *v, struct view_record *r)
{
    pthread_mutex_lock(&v->mutex);
    const bool runs = !v->ended;
    if (v->taken_at == v->taken_size) {
        free(v->taken);
        v->taken = v->queue;
        v->taken_size = v->size;
        v->taken_at = 0;
        v->queue = NULL;
        v->size = v->room = 0;
        if (!v->taken_size)
            /* Events that were dropped after the last one in the queue. */
            r->lost = max_u64(r->lost, v->lost);
    }
    pthread_mutex_unlock(&v->mutex);
    return runs;
}

static bool refill(void *view, struct view_record *r)
{
    struct live_view *v = view;
    const bool runs = take_queue(v, r);
    add_taken(v, r);
    r->waiting = v->taken_at < v->taken_size;
    return runs;
}

/* --- A page of memory ------------------------------------------------------------------------- */

static struct timespec after_ns(u64 ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const u64 sum = (u64)t.tv_nsec + ns;
    return (struct timespec){t.tv_sec + (time_t)(sum / 1000000000), (long)(sum % 1000000000)};
}

static bool ask_page(void *view, u64 spa, u8 raw[PAGE_SIZE], u8 plain[PAGE_SIZE], bool *keyed)
{
    struct live_view *v = view;
    const struct timespec until = after_ns(ANSWER_NS);
    pthread_mutex_lock(&v->mutex);
    v->spa = spa;
    v->done = false;
    v->asked = !v->ended;
    while (v->asked && pthread_cond_timedwait(&v->answered, &v->mutex, &until) == 0)
        ;
    v->asked = false;
    const bool good = v->done && v->good;
    if (good) {
        memcpy(raw, v->raw, PAGE_SIZE);
        memcpy(plain, v->plain, PAGE_SIZE);
        *keyed = v->keyed;
    }
    pthread_mutex_unlock(&v->mutex);
    return good;
}

/* Returns the key under which the page is held. For a page in the raw view, returns the key of its
 * owner in the RMP. */
static u32 key_of(struct machine *m, u64 spa)
{
    struct rmp_entry entry;
    const u32 key = debug_frame_key(m, spa);
    if (key != KEY_RAW && key != KEY_GONE && key != KEY_FIRMWARE)
        return key;
    return debug_rmp(m, spa, &entry) && entry.assigned ? entry.asid : KEY_RAW;
}

static void read_page(struct live_view *v)
{
    struct machine *m = v->machine;
    const u32 key = key_of(m, v->spa);
    v->good = debug_read_system(m, v->spa, KEY_RAW, v->raw, sizeof v->raw);
    v->keyed =
        v->good && key != KEY_RAW && debug_read_system(m, v->spa, key, v->plain, sizeof v->plain);
}

/* --- For the run ------------------------------------------------------------------------------ */

void live_view_look(struct live_view *v)
{
    if (!v || !v->asked || !v->machine)
        return;
    const u64 now = run_clock_ns();
    if (now - v->looked_ns < LOOK_MIN_NS)
        return;
    v->looked_ns = now;
    pthread_mutex_lock(&v->mutex);
    if (v->asked) {
        read_page(v);
        v->done = true;
        v->asked = false;
        pthread_cond_signal(&v->answered);
    }
    pthread_mutex_unlock(&v->mutex);
}

static void make_lock(struct live_view *v)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&v->answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&v->mutex, NULL);
}

struct live_view *live_view_open(const char *listen, void (*tell)(void *context, const char *text),
                                 void *context, struct error *e)
{
    char url[120], text[200];
    struct live_view *v = calloc(1, sizeof *v);
    if (!v) {
        error_set(e, ERROR_MEMORY, "no memory for the view");
        return NULL;
    }
    make_lock(v);
    v->tell = tell;
    v->tell_context = context;
    view_record_init(&v->server.record);
    v->server.refill = refill;
    v->server.page = ask_page;
    v->server.context = v;
    if (view_server_start(&v->server, listen, e)) {
        live_view_close(v);
        return NULL;
    }
    view_server_url(&v->server, listen, url, sizeof url);
    snprintf(text, sizeof text, "shows this run at %s", url);
    tell(context, text);
    return v;
}

void live_view_start(struct live_view *v, struct machine *m)
{
    v->machine = m;
    v->sink = (struct trace_sink){.event = on_event, .context = v};
    trace_add_sink(machine_trace(m), &v->sink);
}

void live_view_no_machine(struct live_view *v)
{
    if (v)
        v->machine = NULL;
}

void live_view_end(struct live_view *v, bool keep)
{
    if (!v)
        return;
    if (keep && !run_signals_ending())
        v->tell(v->tell_context, "the run has ended; the page stays until a signal comes");
    while (keep && !run_signals_ending()) {
        run_signals_wait(-1, LOOK_MIN_NS);
        live_view_look(v);
    }
    pthread_mutex_lock(&v->mutex);
    v->ended = true;
    v->asked = false;
    pthread_cond_signal(&v->answered);
    pthread_mutex_unlock(&v->mutex);
}

void live_view_close(struct live_view *v)
{
    if (!v)
        return;
    view_server_stop(&v->server);
    view_record_free(&v->server.record);
    pthread_cond_destroy(&v->answered);
    pthread_mutex_destroy(&v->mutex);
    free(v->queue);
    free(v->taken);
    free(v);
}
