/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time travel for the debugger. A seeded run is the same each time, so an earlier state is reached
 * by running to its machine time again. Such a run starts from a *moment*: a copy of this process
 * that the kernel made at some time in the run (fork) and that sleeps. To travel, the process that
 * debugs saves GDB's state in memory that all processes share, wakes a moment and ends. The moment
 * makes a copy of itself, which becomes the process that debugs. All processes have the same
 * sockets and outputs.
 *
 * A search runs once through the time before GDB's stop and notes the last place where GDB wants to
 * stop. An arrival then runs to that place. What the guest prints again on the way is not shown.
 *
 * The process that the user started is the *front*: the parent of all the others. It passes signals
 * on and ends with the status of the process that debugs.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "cli/run/gdb.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOMENTS_MADE_MAX 16384u /* in one run; an entry of the list is not used twice */
#define MOMENTS_MAX      24u    /* moments that sleep at one time */
#define MOMENT_NS        100000000ull
#define STATE_MAX        KIB(128) /* bytes of a session's state */
#define STATUS_SIGNAL    128

/* A step back searches this much machine time before GDB's stop first, and then longer and longer
 * windows. */
#define WINDOW_NS     20000ull
#define WINDOW_GROWTH 32u

struct moment {
    sem_t call;
    u64 ns;
    bool sleeps; /* it can be woken for a journey */
    bool over;   /* it must end */
};

enum journey { NO_JOURNEY, SEARCH_STEP, SEARCH_POINT, ARRIVAL };

/* The state in memory that all processes share. */
struct history {
    pid_t front;
    volatile pid_t active; /* the process that debugs; 0 while the next one takes over */
    u64 furthest_ns;       /* output up to this machine time has been shown */
    enum journey journey;
    bool one_step;
    u64 from_ns;   /* machine time of GDB's stop, where the journey began */
    u64 search_ns; /* the search ends at this machine time */
    u64 window_ns; /* a step back searches only this much time before search_ns */
    u64 found_ns;  /* the last place found; 0: none yet */
    struct gdb_stop stop;
    /* GDB's state, which the next process takes over. */
    struct debug_point points[DEBUG_POINTS_MAX];
    u32 point_count;
    u8 session[STATE_MAX];
    u32 count;
    struct moment moments[MOMENTS_MADE_MAX];
};

/* --- Processes -------------------------------------------------------------------------------- */

/* Forks a process whose parent is the front. Returns 0 in the new process, 1 in this one, and -1 if
 * no process can be made. */
static int fork_away(void)
{
    int status = 1;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        return status ? -1 : 1;
    }
    const pid_t child = fork();
    if (child)
        _exit(child < 0);
    return 0;
}

static void hold_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, before);
}

static void end_moment(struct moment *m)
{
    m->sleeps = false;
    m->over = true;
    sem_post(&m->call);
}

/* Ends the front as the process that debugs ended: with its status or by its signal. */
static void front_ends(struct history *h, pid_t pid, int status)
{
    const bool killed = WIFSIGNALED(status);
    if (pid != h->active && !killed)
        return;
    for (u32 i = 0; i < h->count; i++)
        end_moment(&h->moments[i]);
    _exit(killed ? STATUS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status));
}

static void front_waits(struct history *h) NORETURN;

static void front_waits(struct history *h)
{
    sigset_t wanted, before;
    int status;
    hold_signals(&before);
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGHUP);
    for (;;) {
        siginfo_t info;
        const int number = sigwaitinfo(&wanted, &info);
        if (number > 0 && number != SIGCHLD && info.si_code <= 0 && h->active)
            kill(h->active, number); /* the terminal has sent it to every process already */
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            front_ends(h, pid, status);
    }
}

int history_open(struct run_gdb *g, struct error *e)
{
    struct history *h =
        mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (h == MAP_FAILED || gdb_state_size() > STATE_MAX)
        return error_set(e, ERROR_MEMORY, "--gdb-reverse: no memory for the history");
    h->front = getpid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid < 0)
        return error_set(e, ERROR_MEMORY, "--gdb-reverse: no process can be made: %s",
                         strerror(errno));
    if (pid) {
        h->active = pid;
        front_waits(h);
    }
    h->active = getpid();
    g->history = h;
    return 0;
}

/* --- Output ----------------------------------------------------------------------------------- */

static void mute(struct run_gdb *g)
{
    if (g->muted)
        return;
    fflush(NULL);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        g->outputs[i] = fcntl(STDOUT_FILENO + i, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        dup2(nowhere, STDOUT_FILENO + i);
    }
    close(nowhere);
    g->muted = true;
}

static void unmute(struct run_gdb *g)
{
    if (!g->muted)
        return;
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(g->outputs[i], STDOUT_FILENO + i);
        close(g->outputs[i]);
    }
    g->muted = false;
}

/* --- Moments ---------------------------------------------------------------------------------- */

static u64 now_ns(const struct run_gdb *g)
{
    u32 core;
    for (u32 i = 0; i < vm_debug_cpus(gdb_vm(g)); i++)
        if (gdb_cpu_runs(g, i, &core))
            return machine_debug_time(g->run->machine, core, false);
    return host_time_ns(machine_host(g->run->machine));
}

/* Ends the moments at this machine time and later. */
static void forget_from(struct history *h, u64 ns)
{
    for (u32 i = 0; i < h->count; i++)
        if (h->moments[i].sleeps && h->moments[i].ns >= ns)
            end_moment(&h->moments[i]);
}

/* Returns the last moment before `ns`, or NULL if there is none. */
static struct moment *moment_before(struct history *h, u64 ns)
{
    struct moment *best = NULL;
    for (u32 i = 0; i < h->count; i++) {
        struct moment *m = &h->moments[i];
        if (m->sleeps && m->ns < ns && (!best || m->ns > best->ns))
            best = m;
    }
    return best;
}

static struct moment *first_moment(struct history *h)
{
    struct moment *best = NULL;
    for (u32 i = 0; i < h->count; i++) {
        struct moment *m = &h->moments[i];
        if (m->sleeps && (!best || m->ns < best->ns))
            best = m;
    }
    return best;
}

/* Ends the moment that is least useful, if there are too many: old moments may lie further apart
 * than recent ones. The first moment always stays. The list is in the order of time. */
static void thin_out(struct history *h, u64 now)
{
    struct moment *list[MOMENTS_MAX + 1], *victim = NULL;
    u32 n = 0;
    double least = 0;
    for (u32 i = 0; i < h->count && n <= MOMENTS_MAX; i++)
        if (h->moments[i].sleeps)
            list[n++] = &h->moments[i];
    for (u32 i = 1; n == MOMENTS_MAX && i + 1 < n; i++) {
        const double cost =
            (double)(list[i + 1]->ns - list[i - 1]->ns) / (double)(now - list[i]->ns + MOMENT_NS);
        if (!victim || cost < least) {
            victim = list[i];
            least = cost;
        }
    }
    if (victim)
        end_moment(victim);
}

/* Sleeps until a journey needs this moment; then returns in a copy, the traveller. */
static void moment_sleeps(struct history *h, struct moment *m)
{
    sigset_t before;
    int made = 1;
    hold_signals(&before);
    while (made == 1) {
        struct timespec until = {.tv_sec = time(NULL) + 2};
        if (sem_timedwait(&m->call, &until)) {
            if (getppid() != h->front)
                _exit(0); /* the front was killed */
            continue;
        }
        if (m->over)
            _exit(0);
        made = fork_away();
    }
    /* No process can be made: this moment travels itself and cannot be used again. */
    if (made < 0) {
        m->sleeps = false;
        m->over = true;
    }
    h->active = getpid();
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Makes a moment of the present state. Returns true in a traveller that woke there. */
static bool make_moment(struct run_gdb *g)
{
    struct history *h = g->history;
    const u64 now = now_ns(g);
    if (h->count == MOMENTS_MADE_MAX)
        return false;
    thin_out(h, now);
    struct moment *m = &h->moments[h->count];
    *m = (struct moment){.ns = now};
    if (sem_init(&m->call, 1, 0))
        return false;
    h->count++;
    g->moment_ns = now;
    m->sleeps = true;
    const int made = fork_away();
    if (made < 0)
        end_moment(m);
    if (made)
        return false;
    moment_sleeps(h, m);
    return true;
}

/* --- Journeys --------------------------------------------------------------------------------- */

static void depart(struct run_gdb *g, struct moment *m)
{
    struct history *h = g->history;
    fflush(NULL);
    forget_from(h, m->ns + 1);
    h->active = 0;
    sem_post(&m->call);
    _exit(0);
}

static void search(struct run_gdb *g, struct moment *m, u64 before_ns)
{
    struct history *h = g->history;
    h->journey = h->one_step ? SEARCH_STEP : SEARCH_POINT;
    h->search_ns = before_ns;
    h->found_ns = 0;
    depart(g, m);
}

/* Ends a search. Goes to the place that it found; if it found none, searches the time before; if
 * there is no time before, goes to the beginning. */
static void search_ends(struct run_gdb *g)
{
    struct history *h = g->history;
    struct moment *m = moment_before(h, h->search_ns);
    if (!h->found_ns && m) {
        if (h->one_step && h->search_ns - m->ns > h->window_ns) {
            h->window_ns *= WINDOW_GROWTH;
            search(g, m, h->search_ns);
        }
        struct moment *earlier = moment_before(h, m->ns);
        if (earlier)
            search(g, earlier, h->one_step ? h->search_ns : m->ns);
    }
    h->journey = ARRIVAL;
    h->stop.at_beginning = !h->found_ns;
    depart(g, h->found_ns ? moment_before(h, h->search_ns) : first_moment(h));
}

/* Begins a journey: takes over GDB's state and runs. */
static void arrive_at_moment(struct run_gdb *g)
{
    struct history *h = g->history;
    struct cpu_debugger *d = &g->session.debugger;
    mute(g);
    gdb_restore(g->session.gdb, h->session);
    memcpy(d->points, h->points, sizeof d->points);
    d->point_count = h->journey == SEARCH_POINT ? h->point_count : 0;
    d->step = 0;
    d->interrupt = d->trail = false;
    g->moment_ns = now_ns(g);
    if (h->journey == ARRIVAL)
        d->until_ns = h->found_ns;
    else if (h->journey == SEARCH_POINT)
        d->until_ns = h->search_ns;
    else
        d->until_ns = h->search_ns > h->window_ns ? h->search_ns - h->window_ns : 1;
    machine_debug_changed(g->run->machine);
}

bool history_travel(struct run_gdb *g, bool one_instruction)
{
    struct history *h = g->history;
    const u64 now = now_ns(g);
    struct moment *m = moment_before(h, now);
    if (!m)
        return false;
    h->one_step = one_instruction;
    h->from_ns = now;
    h->furthest_ns = max_u64(h->furthest_ns, now);
    h->window_ns = WINDOW_NS;
    memset(&h->stop, 0, sizeof h->stop);
    memcpy(h->points, g->session.debugger.points, sizeof h->points);
    h->point_count = g->session.debugger.point_count;
    gdb_save(g->session.gdb, h->session);
    search(g, m, now);
    return true;
}

/* Ends a journey at the place where GDB wanted to go. */
static void journey_ends(struct run_gdb *g)
{
    struct history *h = g->history;
    h->journey = NO_JOURNEY;
    g->session.debugger.until_ns = 0;
    g->session.debugger.point_count = h->point_count;
    machine_debug_changed(g->run->machine);
}

/* Breaks a journey off, because GDB's user does not want to wait: goes on to where it began. */
static void give_up(struct run_gdb *g)
{
    struct history *h = g->history;
    h->journey = ARRIVAL;
    memset(&h->stop, 0, sizeof h->stop);
    h->stop.signal = GDB_SIGNAL_INT;
    g->session.debugger.point_count = 0;
    g->session.debugger.until_ns = h->from_ns;
    machine_debug_changed(g->run->machine);
}

/* Lets the core leave a trail from the beginning of the window on. The next step back will probably
 * search the same window, so its beginning becomes a moment. */
static void search_step(struct run_gdb *g, u64 now)
{
    struct history *h = g->history;
    struct cpu_debugger *d = &g->session.debugger;
    if (now >= h->search_ns) {
        h->found_ns = d->trail ? d->begun_ns : 0;
        search_ends(g);
    }
    if (now - g->moment_ns > WINDOW_NS && make_moment(g)) {
        arrive_at_moment(g);
        return;
    }
    d->begun_ns = 0;
    d->trail = true;
    d->until_ns = h->search_ns;
}

bool history_stopped(struct run_gdb *g, u32 core, enum debug_why why, struct gdb_stop *stop)
{
    struct history *h = g->history;
    const u64 now = machine_debug_time(g->run->machine, core, false);
    const bool watched = why == DEBUG_HIT && stop->point.type >= GDB_WRITE;
    const u64 at = watched ? machine_debug_time(g->run->machine, core, true) : now;
    switch (h->journey) {
    case NO_JOURNEY:
        if (why != DEBUG_REACHED)
            return true;
        unmute(g); /* the journey is back where it began */
        return g->stepping;
    case SEARCH_STEP:
        search_step(g, now);
        return false;
    case SEARCH_POINT:
        if (why == DEBUG_HIT && at < h->search_ns) {
            h->found_ns = at;
            h->stop = *stop;
        }
        if (why == DEBUG_INTERRUPTED)
            give_up(g);
        else if (why == DEBUG_REACHED || now >= h->search_ns)
            search_ends(g);
        return false;
    case ARRIVAL:
        if (why != DEBUG_REACHED)
            return false;
        stop->signal = h->stop.signal ? h->stop.signal : GDB_SIGNAL_TRAP;
        stop->at_point = h->stop.at_point;
        stop->point = h->stop.point;
        journey_ends(g);
        return true;
    }
    return true;
}

bool history_begins(struct run_gdb *g, struct gdb_stop *stop)
{
    struct history *h = g->history;
    if (g->history_made || !make_moment(g)) {
        g->history_made = true;
        return false;
    }
    g->history_made = true;
    arrive_at_moment(g);
    if (h->journey != ARRIVAL || !h->stop.at_beginning)
        return false;
    journey_ends(g);
    stop->at_beginning = true;
    stop->at_point = false;
    return true;
}

void history_grows(struct run_gdb *g)
{
    struct history *h = g->history;
    if (!g->history_made || h->journey != NO_JOURNEY || now_ns(g) - g->moment_ns < MOMENT_NS)
        return;
    if (make_moment(g))
        arrive_at_moment(g);
}

void history_resume(struct run_gdb *g)
{
    const u64 furthest = g->history->furthest_ns;
    g->session.debugger.until_ns = now_ns(g) < furthest ? furthest : 0;
    if (!g->session.debugger.until_ns)
        unmute(g);
}

void history_restarts(struct run_gdb *g)
{
    struct history *h = g->history;
    forget_from(h, 0);
    h->furthest_ns = now_ns(g);
    unmute(g);
    g->history_made = false;
}

void history_ends(struct run_gdb *g)
{
    struct history *h = g->history;
    if (h->journey == SEARCH_STEP || h->journey == SEARCH_POINT)
        search_ends(g); /* GDB's stop was in idle time, which comes after the end */
    unmute(g);
}
