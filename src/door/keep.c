/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: a small process between the supervisor and the program. It is the program's parent,
 * adopts each process of the program that loses its parent, passes signals on, and reports how the
 * program ended. When the supervisor has ended, nobody answers the filter any more, so the keeper
 * ends every process that is left.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARTING_NS                                                                                 \
    2000000000ull /* how long processes that the program left behind may go on after a signal */

struct keeper {
    pid_t child;
    int link; /* to the supervisor: signals in, the exit code out; when it closes, the keeper ends
               */
    int signals; /* signalfd */
    const struct mirror *mirrors;
    bool ended; /* the program itself; processes that it has left behind may live on */
    u64 end_ns; /* when they are killed; 0: not yet */
};

static u64 now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000ull + (u64)t.tv_nsec;
}

/* Sends a signal to each child of this process. The file in /proc lists the forked and the adopted
 * ones. */
static void signal_children(pid_t known, int number)
{
    char path[64];
    int pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    if (!f) {
        kill(known, number);
        return;
    }
    while (fscanf(f, "%d", &pid) == 1)
        kill(pid, number);
    fclose(f);
}

/* Each round kills the children. Their children then become children of this process. */
void keep_kill_all(pid_t known)
{
    do {
        signal_children(known, SIGKILL);
    } while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

static NORETURN void keeper_end(struct keeper *k)
{
    keep_kill_all(k->child);
    mirrors_remove(k->mirrors);
    _exit(0);
}

/* Collects processes that have ended. Returns false if none is left. */
static bool collect(struct keeper *k)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0)
            return true;
        if (pid < 0)
            return false;
        if (pid != k->child)
            continue;
        k->ended = true;
        s32 code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (send(k->link, &code, sizeof code, MSG_NOSIGNAL) != (ssize_t)sizeof code)
            keeper_end(k);
    }
}

/* The terminal sends its interrupts to the whole group, which includes the program. Interrupts from
 * elsewhere are passed on. */
static void take_signal(struct keeper *k, int number, bool terminal)
{
    if (number == SIGCHLD || (k->ended && (number == SIGUSR1 || number == SIGUSR2)))
        return;
    if (k->ended && k->end_ns)
        keeper_end(k);
    if (k->ended) {
        k->end_ns = now_ns() + PARTING_NS;
        signal_children(k->child, number);
    } else if (!terminal || (number != SIGINT && number != SIGQUIT)) {
        kill(k->child, number);
    }
}

static void take_signals(struct keeper *k)
{
    struct signalfd_siginfo i;
    while (read(k->signals, &i, sizeof i) == (ssize_t)sizeof i)
        take_signal(k, (int)i.ssi_signo, i.ssi_code == SI_KERNEL);
}

/* Reads a signal that the supervisor got, or notices that the supervisor has ended. */
static void take_message(struct keeper *k)
{
    s32 number;
    ssize_t n = read(k->link, &number, sizeof number);
    if (n == (ssize_t)sizeof number)
        take_signal(k, number, false);
    else if (n >= 0 || (errno != EINTR && errno != EAGAIN))
        keeper_end(k);
}

static int time_left_ms(const struct keeper *k)
{
    u64 now = now_ns();
    if (!k->end_ns)
        return -1;
    return k->end_ns <= now ? 0 : (int)((k->end_ns - now) / 1000000) + 1;
}

NORETURN void keep_run(pid_t child, int link, const sigset_t *signals, const struct mirror *mirrors)
{
    struct keeper k = {.child = child, .link = link, .mirrors = mirrors};
    k.signals = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (k.signals < 0)
        keeper_end(&k);
    struct pollfd fds[] = {{.fd = k.signals, .events = POLLIN}, {.fd = link, .events = POLLIN}};
    while (collect(&k)) {
        int left = time_left_ms(&k);
        if (left == 0 || (poll(fds, ARRAY_SIZE(fds), left) < 0 && errno != EINTR))
            keeper_end(&k);
        if (fds[1].revents)
            take_message(&k);
        take_signals(&k);
    }
    _exit(0);
}
