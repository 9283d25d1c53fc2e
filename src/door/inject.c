/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A system call that a thread makes for the supervisor: chdir into a folder that only the
 * supervisor knows becomes fchdir into the folder's mirror. The thread is traced between its own
 * call and the return to the program.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#if defined(__x86_64__)

#define SYSCALL_STOP   (SIGTRAP | 0x80)
#define SYSCALL_SIZE   2u /* bytes of the instruction, which the thread has just executed */
#define NO_SYSTEM_CALL (~0ull)

struct thread {
    pid_t id;
    int signal; /* a signal that came in the meantime; 0: none */
};

static bool wait_stop(struct thread *t, int *signal)
{
    int status;
    while (waitpid(t->id, &status, __WALL) < 0)
        if (errno != EINTR)
            return false;
    *signal = WSTOPSIG(status);
    if (!WIFSTOPPED(status))
        return false;
    if (!(status >> 16) && *signal != SYSCALL_STOP)
        t->signal = *signal;
    return true;
}

/* Lets the thread run until it enters or leaves a system call. */
static bool run_to_call(struct thread *t)
{
    int signal = 0;
    do {
        if (ptrace(PTRACE_SYSCALL, t->id, NULL, NULL) || !wait_stop(t, &signal))
            return false;
    } while (signal != SYSCALL_STOP);
    return true;
}

/* Makes the thread do one call with one argument. The thread stands after a system call
 * instruction. */
static bool run_call(struct thread *t, const struct user_regs_struct *at, u64 number, u64 argument,
                     s64 *result)
{
    struct user_regs_struct r = *at;
    r.rip -= SYSCALL_SIZE;
    r.orig_rax = NO_SYSTEM_CALL;
    r.rax = number;
    r.rdi = argument;
    if (ptrace(PTRACE_SETREGS, t->id, NULL, &r) || !run_to_call(t) || !run_to_call(t) ||
        ptrace(PTRACE_GETREGS, t->id, NULL, &r))
        return false;
    *result = (s64)r.rax;
    return true;
}

bool inject_prepare(pid_t thread)
{
    const uintptr_t options = PTRACE_O_TRACESYSGOOD;
    if (ptrace(PTRACE_SEIZE, thread, NULL, (void *)options))
        return false;
    ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
    return true;
}

void inject_fchdir(pid_t thread, int fd)
{
    struct thread t = {.id = thread};
    struct user_regs_struct saved;
    s64 result = -EACCES, closed;
    int signal;
    if (!wait_stop(&t, &signal) || ptrace(PTRACE_GETREGS, thread, NULL, &saved))
        return;
    if (fd >= 0 && (!run_call(&t, &saved, SYS_fchdir, (u64)fd, &result) ||
                    !run_call(&t, &saved, SYS_close, (u64)fd, &closed)))
        return;
    saved.rax = (u64)result;
    saved.orig_rax = NO_SYSTEM_CALL;
    ptrace(PTRACE_SETREGS, thread, NULL, &saved);
    ptrace(PTRACE_DETACH, thread, NULL, (void *)(uintptr_t)t.signal);
}

#else

bool inject_prepare(pid_t thread)
{
    (void)thread;
    return false;
}

void inject_fchdir(pid_t thread, int fd)
{
    (void)thread;
    (void)fd;
}

#endif
