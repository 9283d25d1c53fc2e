/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals while guests run. The first signal that asks for an end is noted, and the run ends in
 * order; the second ends the program at once. A raw terminal is put back before a signal ends or
 * stops the program.
 */
#define _GNU_SOURCE /* ppoll */
#include "cli/cli.h"
#include "cli/log.h"
#include "cli/run/run.h"
#include "files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define STATUS_SIGNAL 128      /* plus the signal's number: the exit status, as shells report it */
#define LIMIT_SIGNAL  SIGRTMAX /* the timer of --limit sends it */

static volatile sig_atomic_t ending;       /* the first signal that asked for an end */
static volatile sig_atomic_t has_terminal; /* the two structures below are set */
static struct termios terminal_before, terminal_raw;

static void terminal_restore(void)
{
    if (has_terminal)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

/* Makes the terminal raw again, unless the program is in the background: the terminal is then
 * another program's, and writing to it would stop this one. A terminal that does not control this
 * process has no foreground. */
static void terminal_take(void)
{
    pid_t foreground = tcgetpgrp(STDIN_FILENO);
    if (has_terminal && (foreground == -1 || foreground == getpgrp()))
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_raw);
}

/* --- Output that nobody reads ----------------------------------------------------------------- */

/* Standard output and error, opened once more so that writing never blocks. -1: writing to this one
 * does not block anyway. */
static int impatient[2] = {-1, -1};
static const int outputs[2] = {STDOUT_FILENO, STDERR_FILENO};

static void outputs_prepare(void)
{
    struct stat s;
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
        if (!fstat(outputs[i], &s) && (S_ISFIFO(s.st_mode) || isatty(outputs[i])))
            impatient[i] = cli_open_impatient(outputs[i]);
}

/* A pipe or device that the run has opened itself, so that nobody shares its flags. */
struct stream {
    int fd; /* -1: closed */
    struct stream *next;
};

static struct stream *volatile streams;

void run_signals_output(FILE *file)
{
    struct stat s;
    struct stream *one;
    if (!file || fstat(fileno(file), &s) || !(S_ISFIFO(s.st_mode) || S_ISCHR(s.st_mode)))
        return;
    if (!(one = malloc(sizeof *one)))
        cli_end_without_memory();
    *one = (struct stream){fileno(file), streams};
    streams = one;
}

void run_signals_output_closes(FILE *file)
{
    for (struct stream *s = streams; file && s; s = s->next)
        if (s->fd == fileno(file))
            s->fd = -1;
}

void run_signals_outputs_leave(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
        const int fd = impatient[i];
        impatient[i] = -1;
        if (fd >= 0)
            close(fd);
    }
}

/* Stops waiting for readers. A write that waits now has been interrupted by the signal. */
static void outputs_hurry(void)
{
    for (const struct stream *s = streams; s; s = s->next)
        if (s->fd >= 0)
            fcntl(s->fd, F_SETFL, O_NONBLOCK);
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
        if (impatient[i] >= 0)
            dup2(impatient[i], outputs[i]);
}

/* --- What each signal does -------------------------------------------------------------------- */

static void on_end(int number)
{
    if (ending && number != SIGPIPE) {
        terminal_restore();
        _exit(STATUS_SIGNAL + number);
    }
    int saved = errno;
    if (!ending)
        outputs_hurry();
    if (!ending)
        ending = number;
    errno = saved;
}

static void on_limit(int number)
{
    int saved = errno;
    (void)number;
    outputs_hurry();
    errno = saved;
}

/* Puts the terminal back. The signal's default action follows when the handler returns. */
static void on_fatal(int number)
{
    terminal_restore();
    signal(number, SIG_DFL);
    raise(number);
}

static void on_stop(int number)
{
    struct sigaction before;
    sigset_t one;
    int saved = errno;
    terminal_restore();
    sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, &before);
    sigemptyset(&one);
    sigaddset(&one, number);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &one, NULL); /* the program stops here */
    sigaction(number, &before, NULL);
    errno = saved;
}

static void on_continue(int number)
{
    int saved = errno;
    (void)number;
    terminal_take();
    errno = saved;
}

struct signal_row {
    int number;
    bool terminal; /* only needed for a raw terminal */
    void (*handle)(int number);
};

static const struct signal_row rows[] = {
    {SIGTERM, false, on_end},     {SIGINT, false, on_end},   {SIGHUP, false, on_end},
    {SIGPIPE, false, on_end},     {SIGQUIT, true, on_fatal}, {SIGABRT, true, on_fatal},
    {SIGUSR1, true, on_fatal},    {SIGUSR2, true, on_fatal}, {SIGALRM, true, on_fatal},
    {SIGVTALRM, true, on_fatal},  {SIGPROF, true, on_fatal}, {SIGXCPU, true, on_fatal},
    {SIGIO, true, on_fatal},      {SIGPWR, true, on_fatal},  {SIGSTKFLT, true, on_fatal},
    {SIGSEGV, true, on_fatal},    {SIGBUS, true, on_fatal},  {SIGFPE, true, on_fatal},
    {SIGILL, true, on_fatal},     {SIGSYS, true, on_fatal},  {SIGTRAP, true, on_fatal},
    {SIGTSTP, true, on_stop},     {SIGTTIN, true, on_stop},  {SIGTTOU, true, on_stop},
    {SIGCONT, true, on_continue},
};

/* Installs a handler. A signal that the parent process ignores stays ignored (nohup), except for
 * the two that end runs. Handlers that others installed (a sanitizer) stay, too. */
static void install(const struct signal_row *row)
{
    struct sigaction action = {.sa_handler = row->handle}, old;
    sigaction(row->number, NULL, &old);
    bool ours = old.sa_handler == SIG_DFL || row->number == SIGTERM || row->number == SIGINT;
    if (ours)
        sigaction(row->number, &action, NULL);
}

static void install_real_time(void)
{
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        install(&(struct signal_row){number, true, on_fatal});
}

void run_signals_limit(u64 ns)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = LIMIT_SIGNAL};
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(ns / CLOCK_HZ), .tv_nsec = 1}};
    timer_t timer;
    sigaction(LIMIT_SIGNAL, &(struct sigaction){.sa_handler = on_limit}, NULL);
    if (!timer_create(CLOCK_MONOTONIC, &event, &timer))
        timer_settime(timer, 0, &when, NULL);
}

void run_signals_start(void)
{
    outputs_prepare();
    file_stop_waiting(run_signals_ending);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!rows[i].terminal)
            install(&rows[i]);
}

void run_signals_terminal(const struct termios *before, const struct termios *raw)
{
    terminal_before = *before;
    terminal_raw = *raw;
    has_terminal = true;
    install_real_time();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].terminal)
            install(&rows[i]);
    terminal_take();
}

void run_signals_terminal_done(void)
{
    terminal_restore();
    has_terminal = false;
}

/* --- Asking ----------------------------------------------------------------------------------- */

bool run_signals_ending(void)
{
    return ending;
}

const char *run_signals_name(void)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGHUP, "SIGHUP"}, {SIGPIPE, "SIGPIPE"}};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].number == ending)
            return names[i].name;
    return "a signal";
}

int run_signals_status(void)
{
    return ending ? STATUS_SIGNAL + ending : 0;
}

bool run_signals_reader_gone(void)
{
    return ending == SIGPIPE;
}

static int watched = -1; /* a wait ends when this descriptor can be read; -1: none */

void run_signals_watch(int fd)
{
    watched = fd;
}

static struct pollfd *watch_list;
static size_t watch_count;

void run_signals_watch_list(struct pollfd *fds, size_t count)
{
    watch_list = fds;
    watch_count = count;
}

bool run_signals_wait(int fd, u64 ns)
{
    sigset_t block, before;
    struct pollfd own[RUN_WAIT_OWN], *fds = watch_list ? watch_list : own;
    const size_t count = watch_list ? watch_count : RUN_WAIT_OWN;
    const struct timespec t = {.tv_sec = (time_t)(ns / CLOCK_HZ), .tv_nsec = (long)(ns % CLOCK_HZ)};
    sigemptyset(&block);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].handle == on_end)
            sigaddset(&block, rows[i].number);
    fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = watched, .events = POLLIN};
    sigprocmask(SIG_BLOCK, &block, &before);
    bool ready = !ending && ppoll(fds, count, &t, &before) > 0 && fd >= 0 && fds[0].revents;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ready;
}
