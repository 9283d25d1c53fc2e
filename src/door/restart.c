/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that a signal interrupts before the supervisor has seen them. They fail with EINTR if the
 * signal's handler was installed without SA_RESTART, although an ordinary stat or open never does.
 * A program with a repeating timer would see that all the time. So such a program is traced, and
 * before each signal is handled its call is made to start again afterwards.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)

#define ANSWER_SECONDS 1 /* how long a program waits to be traced before its timer starts */
/* What an interrupted call returns inside the kernel, before the kernel looks at the handler. */
#define KERNEL_ERESTARTSYS    512
#define KERNEL_ERESTARTNOINTR 513

struct restarter {
    struct supervisor *s;
    pthread_t thread;
    int signals, bell, stop; /* signalfd of SIGCHLD; eventfd: a request, the end */
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    pid_t wanted; /* 0: no request */
};

/* --- One stopped thread ----------------------------------------------------------------------- */

/* Returns true if the open may wait for the file that it names: a pipe or a serial line. Judges
 * what the supervisor can see. */
static bool open_waits(const struct restarter *r, pid_t id, int folder, u64 address)
{
    char name[256] = "", path[400];
    struct stat st;
    size_t size = min_u64(sizeof name - 1, PAGE_SIZE - (address & PAGE_MASK));
    if (!memory_copy(r->s->stuck, id, address, name, size, false))
        return false;
    if (name[0] == '/')
        snprintf(path, sizeof path, "%s", name);
    else if (folder == AT_FDCWD)
        snprintf(path, sizeof path, "/proc/%d/cwd/%s", (int)id, name);
    else
        snprintf(path, sizeof path, "/proc/%d/fd/%d/%s", (int)id, folder, name);
    return !strncmp(path, "/dev/tty", 8) || (stat(path, &st) == 0 && S_ISFIFO(st.st_mode));
}

static bool starts_again(const struct restarter *r, pid_t id, const struct user_regs_struct *regs)
{
    const u64 arguments[] = {regs->rdi, regs->rsi};
    const struct call_kind *k = call_find_kind((int)regs->orig_rax);
    if (!k || (s64)regs->rax != -KERNEL_ERESTARTSYS)
        return false;
    if (k->run != call_open)
        return true;
    int folder = k->folder >= 0 ? (int)arguments[k->folder] : AT_FDCWD;
    return !open_waits(r, id, folder, arguments[k->path]);
}

static void repair(const struct restarter *r, pid_t id)
{
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, id, NULL, &regs) || !starts_again(r, id, &regs))
        return;
    regs.rax = (u64)-KERNEL_ERESTARTNOINTR;
    ptrace(PTRACE_SETREGS, id, NULL, &regs);
}

static bool is_stop_signal(int number)
{
    return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

static void take_stop(const struct restarter *r, pid_t id, int status)
{
    const int event = status >> 16;
    int number = WSTOPSIG(status);
    if (!WIFSTOPPED(status))
        return;
    if (event == PTRACE_EVENT_EXEC) { /* no handler is left */
        ptrace(PTRACE_DETACH, id, NULL, NULL);
        return;
    }
    if (event == PTRACE_EVENT_STOP && is_stop_signal(number)) {
        ptrace(PTRACE_LISTEN, id, NULL, NULL);
        return;
    }
    if (event)
        number = 0;
    else
        repair(r, id);
    ptrace(PTRACE_CONT, id, NULL, (void *)(uintptr_t)number);
}

/* --- The thread ------------------------------------------------------------------------------- */

/* Traces all threads of a process, because the timer's signal may go to any of them. New threads
 * are traced by themselves. */
static void seize(pid_t thread)
{
    const uintptr_t options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/task", (int)thread);
    DIR *d = opendir(path);
    if (!d)
        return;
    for (const struct dirent *entry; (entry = readdir(d));) {
        pid_t id = atoi(entry->d_name);
        if (id > 0)
            ptrace(PTRACE_SEIZE, id, NULL, (void *)options);
    }
    closedir(d);
}

static void take_request(struct restarter *r)
{
    u64 rung;
    if (read(r->bell, &rung, sizeof rung) < 0)
        return;
    pthread_mutex_lock(&r->mutex);
    seize(r->wanted);
    r->wanted = 0;
    pthread_cond_signal(&r->answered);
    pthread_mutex_unlock(&r->mutex);
}

static void *restarter_run(void *argument)
{
    struct restarter *r = argument;
    struct signalfd_siginfo unused;
    struct pollfd fds[] = {{.fd = r->stop, .events = POLLIN},
                           {.fd = r->signals, .events = POLLIN},
                           {.fd = r->bell, .events = POLLIN}};
    while (!fds[0].revents) {
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
            continue;
        if (fds[2].revents)
            take_request(r);
        while (read(r->signals, &unused, sizeof unused) > 0)
            ;
        int status;
        for (pid_t id; (id = waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG)) > 0;)
            take_stop(r, id, status);
    }
    return NULL;
}

static void restarter_free(struct restarter *r)
{
    const int fds[] = {r->signals, r->bell, r->stop};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_cond_destroy(&r->answered);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

static struct restarter *restarter_create(struct supervisor *s)
{
    sigset_t child;
    struct restarter *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    r->s = s;
    r->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    r->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->stop = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->answered, NULL);
    if (r->signals >= 0 && r->bell >= 0 && r->stop >= 0 &&
        pthread_create(&r->thread, NULL, restarter_run, r) == 0)
        return r;
    restarter_free(r);
    return NULL;
}

/* --- From the thread that serves -------------------------------------------------------------- */

void restart_watch(struct supervisor *s, pid_t thread)
{
    const u64 one = 1;
    struct timespec until;
    if (!s->restarter)
        s->restarter = restarter_create(s);
    struct restarter *r = s->restarter;
    if (!r)
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ANSWER_SECONDS;
    pthread_mutex_lock(&r->mutex);
    r->wanted = thread;
    int late = write(r->bell, &one, sizeof one) < 0 ? ETIMEDOUT : 0;
    while (r->wanted && !late)
        late = pthread_cond_timedwait(&r->answered, &r->mutex, &until);
    pthread_mutex_unlock(&r->mutex);
}

void restart_end(struct supervisor *s)
{
    const u64 one = 1;
    struct restarter *r = s->restarter;
    if (!r)
        return;
    if (write(r->stop, &one, sizeof one) == (ssize_t)sizeof one)
        pthread_join(r->thread, NULL);
    restarter_free(r);
    s->restarter = NULL;
}

#else

void restart_watch(struct supervisor *s, pid_t thread)
{
    (void)s;
    (void)thread;
}

void restart_end(struct supervisor *s)
{
    (void)s;
}

#endif
