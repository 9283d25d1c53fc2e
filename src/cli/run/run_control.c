/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: other programs of this user ask how the run is, pause it, press a guest's
 * buttons, end it. Bytes are received while the run waits, and answered between two slices of
 * machine time. A client that does not read its answers is not read from either; nothing waits for
 * it.
 */
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/run/run.h"
#include "cli/run/snapshot.h"
#include "cli/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 8u
#define NO_POLL     SIZE_MAX

struct control_client {
    int fd; /* -1: none */
    size_t poll;
    char in[CONTROL_LINE_MAX + 1];
    size_t in_count;
    bool skips;       /* what comes belongs to a line that was too long */
    bool ended;       /* it sends no more */
    bool awaits;      /* it has asked for a migration, whose end is its answer */
    u64 told_ns;      /* ... of the host's clock: when it heard of the progress */
    json_t *await_id; /* ... and the request's id; NULL: none */
    char *out;        /* an answer that is not sent yet; NULL: none */
    size_t out_at, out_size;
};

struct run_control {
    int listener;
    const char *path; /* NULL: no socket was made */
    size_t poll;
    struct control_client clients[CLIENTS_MAX];
};

int run_control_open(struct run *r, struct error *e)
{
    const char *place = r->options.control;
    if (!place)
        return 0;
    struct run_control *c = r->control = calloc(1, sizeof *c);
    if (!c)
        return error_set(e, ERROR_MEMORY, "no memory for a control socket");
    for (u32 i = 0; i < CLIENTS_MAX; i++)
        c->clients[i].fd = -1;
    const char *path = place + strlen(UNIX_PREFIX);
    c->listener = -1;
    if (unix_socket_make("--control", path, &c->listener, e))
        return -1;
    c->path = path;
    return listen(c->listener, CLIENTS_MAX)
               ? error_set(e, ERROR_FILE, "--control: %s: %s", path, strerror(errno))
               : 0;
}

static void drop(struct control_client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->out);
    json_decref(c->await_id);
    *c = (struct control_client){.fd = -1};
}

void run_control_close(struct run *r)
{
    struct run_control *c = r->control;
    if (!c)
        return;
    for (u32 i = 0; i < CLIENTS_MAX; i++)
        drop(&c->clients[i]);
    if (c->listener >= 0)
        close(c->listener);
    if (c->path)
        unlink(c->path);
    free(c);
    r->control = NULL;
}

/* --- Commands --------------------------------------------------------------------------------- */

static const char *state_name(const struct run_vm *v, enum vm_state state)
{
    return state == VM_RUNNABLE && !run_panicked(v, state) ? "running" : run_ending_name(v, state);
}

static json_t *status_of_guest(const struct run_vm *v)
{
    struct vm_summary s;
    vm_get_summary(v->vm, &s);
    return json_pack("{s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:I}", "vm",
                     cli_json_text(v->options->name), "mode", image_mode_name(v->options->mode),
                     "state", state_name(v, s.state), "reason", cli_json_text(s.reason), "cpus",
                     (json_int_t)v->options->cpus, "memory", (json_int_t)v->options->memory,
                     "guest_ns", (json_int_t)s.guest_ns, "reboots", (json_int_t)v->reboots);
}

static void add_status(const struct run *r, json_t *answer)
{
    json_t *vms = json_array();
    for (u32 i = 0; i < r->vm_count; i++)
        json_array_append_new(vms, status_of_guest(&r->vms[i]));
    json_object_set_new(answer, "state", json_string(r->paused ? "paused" : "running"));
    json_object_set_new(answer, "pid", json_integer(getpid()));
    json_object_set_new(answer, "machine_ns",
                        json_integer((json_int_t)host_time_ns(machine_host(r->machine))));
    json_object_set_new(answer, "vms", vms);
}

/* Which guest is meant: the one that is named, or the only one. NULL: none. */
static struct run_vm *find_guest(struct run *r, const char *name, char wrong[400])
{
    for (u32 i = 0; i < r->vm_count; i++)
        if (*name ? !strcmp(name, r->vms[i].options->name) : r->vm_count == 1)
            return &r->vms[i];
    if (*name)
        snprintf(wrong, 400, "there is no guest '%s'", name);
    else
        snprintf(wrong, 400, "\"vm\" should say which of the %u guests is meant", r->vm_count);
    return NULL;
}

static bool press(struct run *r, const struct control_request *q, char wrong[400])
{
    struct run_vm *v = find_guest(r, q->vm, wrong);
    if (!v)
        return false;
    const enum vm_state state = vm_get_state(v->vm);
    if (state != VM_RUNNABLE)
        snprintf(wrong, 400, "%s has ended: %s", v->options->name, state_name(v, state));
    else if (r->replay)
        snprintf(wrong, 400, "the run replays a recording, which says what happens in it");
    else if (r->options.seed && !r->record)
        snprintf(wrong, 400,
                 "a run with --seed repeats exactly; with --record it can be given "
                 "what does not");
    else {
        run_input_button(r, (u32)(v - r->vms),
                         q->command == CONTROL_RESET ? INPUT_RESET : INPUT_POWER_BUTTON);
        return true;
    }
    return false;
}

static bool migrate(struct run *r, const struct control_request *q, char wrong[400])
{
    struct run_vm *v = find_guest(r, q->vm, wrong);
    if (!v)
        return false;
    const enum vm_state state = vm_get_state(v->vm);
    if (state != VM_RUNNABLE)
        snprintf(wrong, 400, "%s has ended: %s", v->options->name, state_name(v, state));
    else if (r->options.seed || r->record || r->replay)
        snprintf(wrong, 400,
                 "a run with --seed, --record or --replay repeats exactly; a guest that leaves it "
                 "does not");
    else if (run_migrate_is_on(r))
        snprintf(wrong, 400, "a guest is on its way already");
    else
        return run_migrate_start(r, v, q->to, wrong);
    return false;
}

static bool take_snapshot(struct run *r, char wrong[400])
{
    struct error e = {.code = ERROR_NONE};
    if (!r->options.snapshot)
        snprintf(wrong, 400, "the run was started without --snapshot FILE, where it would go");
    else if (run_snapshot_take(r, &e))
        snprintf(wrong, 400, "none was taken: %.350s", e.text);
    else
        return true;
    return false;
}

static bool carry_out(struct run *r, const struct control_request *q, json_t *answer,
                      char wrong[400])
{
    switch (q->command) {
    case CONTROL_STATUS:
        add_status(r, answer);
        return true;
    case CONTROL_PAUSE:
        r->paused = true;
        return true;
    case CONTROL_RESUME:
        if (r->paused)
            run_clock_resume(r);
        r->paused = false;
        return true;
    case CONTROL_POWER_BUTTON:
    case CONTROL_RESET:
        return press(r, q, wrong);
    case CONTROL_SNAPSHOT:
        return take_snapshot(r, wrong);
    case CONTROL_QUIT:
        r->quit = true;
        return true;
    case CONTROL_MIGRATE:
        return migrate(r, q, wrong);
    case CONTROL_COMMANDS:
        break;
    }
    return false;
}

/* Completes an answer and gives it to the client; drops the reference. */
static void give_answer(struct control_client *c, json_t *answer, json_t *id, bool good,
                        const char *wrong)
{
    json_object_set_new(answer, "ok", json_boolean(good));
    if (!good)
        json_object_set_new(answer, "error", cli_json_text(wrong));
    if (id)
        json_object_set(answer, "id", id);
    c->out_size = json_dumpb(answer, NULL, 0, JSON_COMPACT) + 1;
    c->out = malloc(c->out_size);
    c->out_at = 0;
    if (c->out) {
        json_dumpb(answer, c->out, c->out_size, JSON_COMPACT);
        c->out[c->out_size - 1] = '\n';
    } else {
        drop(c);
    }
    json_decref(answer);
}

static void answer_line(struct run *r, struct control_client *c, const char *line, size_t size)
{
    struct control_request q;
    char wrong[400] = "";
    json_t *members = json_object();
    const bool good = control_parse(line, size, &q, wrong) && carry_out(r, &q, members, wrong);
    if (good && q.command == CONTROL_MIGRATE) {
        c->awaits = true;
        c->told_ns = run_clock_ns();
        c->await_id = json_incref(q.id);
        json_decref(members);
    } else {
        give_answer(c, members, q.id, good, wrong);
    }
    control_free(&q);
}

#define PROGRESS_NS 500000000ull

/* Tells whoever has asked for a migration how it goes on, and how it has ended. */
static void tell_of_migration(struct run *r, struct control_client *c)
{
    char wrong[400] = "";
    const u64 now = run_clock_ns();
    if (!c->awaits || c->out || (run_migrate_is_on(r) && now - c->told_ns < PROGRESS_NS))
        return;
    json_t *members = json_object();
    const enum run_migrate_answer how = run_migrate_tell(r, members, wrong);
    json_t *id = c->await_id;
    c->told_ns = now;
    c->awaits = how == MIGRATE_GOES_ON;
    c->await_id = c->awaits ? id : NULL;
    if (c->awaits)
        json_object_set_new(members, "progress", json_true());
    give_answer(c, members, id, how != MIGRATE_FAILED, wrong);
    if (!c->awaits)
        json_decref(id);
}

/* --- Lines ------------------------------------------------------------------------------------ */

static void consume(struct control_client *c, size_t size)
{
    memmove(c->in, c->in + size, c->in_count - size);
    c->in_count -= size;
}

/* Answers the first line that has come, if it is whole. Returns false if there is none. */
static bool take_line(struct run *r, struct control_client *c)
{
    const char *end = memchr(c->in, '\n', c->in_count);
    const bool full = c->in_count == sizeof c->in, last = c->ended && c->in_count;
    const bool skipped = c->skips;
    if (c->awaits)
        return false;
    if (!end && !full && !last)
        return false;
    const size_t size = end ? (size_t)(end - c->in) : c->in_count;
    c->skips = !end && full;
    if (!skipped && size)
        answer_line(r, c, c->in, size);
    if (c->fd >= 0)
        consume(c, end ? size + 1 : size);
    return true;
}

static void send_out(struct control_client *c)
{
    while (c->out) {
        const ssize_t sent =
            send(c->fd, c->out + c->out_at, c->out_size - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (sent <= 0) {
            drop(c);
            return;
        }
        c->out_at += (size_t)sent;
        if (c->out_at == c->out_size) {
            free(c->out);
            c->out = NULL;
        }
    }
}

void run_control_give(struct run *r)
{
    for (u32 i = 0; r->control && i < CLIENTS_MAX; i++) {
        struct control_client *c = &r->control->clients[i];
        tell_of_migration(r, c);
        send_out(c);
        while (c->fd >= 0 && !c->out && take_line(r, c))
            send_out(c);
        if (c->fd >= 0 && c->ended && !c->out && !c->awaits)
            drop(c);
    }
}

/* --- Around a wait ---------------------------------------------------------------------------- */

static struct control_client *free_place(struct run_control *c)
{
    for (u32 i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd < 0)
            return &c->clients[i];
    return NULL;
}

void run_control_prepare(struct run *r)
{
    struct run_control *control = r->control;
    if (!control)
        return;
    for (u32 i = 0; i < CLIENTS_MAX; i++) {
        struct control_client *c = &control->clients[i];
        const short bits = (short)((!c->ended && c->in_count < sizeof c->in ? POLLIN : 0) |
                                   (c->out ? POLLOUT : 0));
        c->poll = r->polls.count;
        if (c->fd < 0 || !bits || !net_polls_add(&r->polls, c->fd, bits))
            c->poll = NO_POLL;
    }
    control->poll = r->polls.count;
    if (!free_place(control) || !net_polls_add(&r->polls, control->listener, POLLIN))
        control->poll = NO_POLL;
}

static void receive(struct control_client *c)
{
    const size_t room = sizeof c->in - c->in_count;
    const ssize_t got = room ? recv(c->fd, c->in + c->in_count, room, MSG_DONTWAIT) : -1;
    if (got > 0)
        c->in_count += (size_t)got;
    else if (!got)
        c->ended = true;
    else if (room && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        drop(c);
}

static void accept_client(struct run_control *control)
{
    struct control_client *c = free_place(control);
    c->fd = accept(control->listener, NULL, NULL);
    if (c->fd >= 0)
        fcntl(c->fd, F_SETFD, FD_CLOEXEC);
}

void run_control_serve(struct run *r)
{
    struct run_control *control = r->control;
    if (!control)
        return;
    for (u32 i = 0; i < CLIENTS_MAX; i++) {
        struct control_client *c = &control->clients[i];
        const short found = c->fd < 0 || c->poll == NO_POLL ? 0 : r->polls.fds[c->poll].revents;
        if (found & (POLLIN | POLLHUP | POLLERR))
            receive(c);
        if (c->fd >= 0 && found)
            send_out(c);
    }
    if (control->poll != NO_POLL && r->polls.fds[control->poll].revents)
        accept_client(control);
}
