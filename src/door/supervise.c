/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program under the filter and serves it: starts it, takes over the filter's notifications, answers them one at
 * a time, hands signals on, and collects what ends.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* Why a program did not start. */
enum start_step { START_FILTER = 1, START_RUN };

struct start_failure {
    u32 step;
    s32 number; /* errno */
};

struct session {
    struct supervisor s;
    pid_t child;
    int signals;     /* signalfd */
    sigset_t before; /* the mask to go back to */
    struct sigaction child_before;
    int was_reaper;
    bool ended; /* the program itself; others may live on */
    bool stop;
    int exit_code;
};

static const int session_signals[] = {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

/* --- Set up -------------------------------------------------------------------------------------- */

/* An anonymous file that nobody can change. Its permissions are what open checks. */
static int make_file(const char *path)
{
    int fd =
        (int)syscall(SYS_memfd_create, path, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = (int)syscall(SYS_memfd_create, path, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (fchmod(fd, 0600) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return fd;
    close(fd);
    return -1;
}

static int make_files(struct supervisor *s, struct error *e)
{
    for (const struct door_file *f = s->door->files; f->path; f++) {
        if (s->file_count == DOOR_FILES_MAX)
            return error_set(e, ERROR_INTERNAL, "more than %d doors", DOOR_FILES_MAX);
        int fd = make_file(f->path);
        if (fd < 0 || fstat(fd, &s->identity[s->file_count]))
            return error_set(e, ERROR_INTERNAL, "no file for %s (memfd_create): %s", f->path,
                             strerror(errno));
        s->files[s->file_count++] = fd;
    }
    return 0;
}

static int make_buffers(struct supervisor *s, struct error *e)
{
    struct seccomp_notif_sizes sizes;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes))
        return error_set(e, ERROR_INTERNAL,
                         "this system has no seccomp user notification (Linux 5.9 or newer, "
                         "CONFIG_SECCOMP_FILTER; "
                         "a sandbox may hide it): %s",
                         strerror(errno));
    s->request_size = max_u64(sizes.seccomp_notif, sizeof *s->request);
    s->response_size = max_u64(sizes.seccomp_notif_resp, sizeof *s->response);
    s->request = calloc(1, s->request_size);
    s->response = calloc(1, s->response_size);
    return s->request && s->response ? 0 : error_set(e, ERROR_INTERNAL, "out of memory");
}

/* Signals are read in the loop; SIGCHLD must not be ignored, or the kernel would collect children itself. An orphan of
 * the program's becomes ours: it is waited for, and stays a descendant, whose memory we may read (Yama). */
static int take_signals(struct session *x, struct error *e)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(session_signals); i++)
        sigaddset(&set, session_signals[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    x->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    if (x->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        return error_set(e, ERROR_INTERNAL, "signals cannot be watched: %s", strerror(errno));
    return 0;
}

static void session_end(struct session *x)
{
    struct supervisor *s = &x->s;
    for (u32 i = 0; i < s->file_count; i++)
        close(s->files[i]);
    free(s->request);
    free(s->response);
    if (s->listener >= 0)
        close(s->listener);
    if (x->signals >= 0)
        close(x->signals);
    prctl(PR_SET_CHILD_SUBREAPER, x->was_reaper, 0, 0, 0);
    sigaction(SIGCHLD, &x->child_before, NULL);
    sigprocmask(SIG_SETMASK, &x->before, NULL);
}

/* --- The program --------------------------------------------------------------------------------- */

static NORETURN void start_failed(int socket, enum start_step step)
{
    struct start_failure f = {.step = step, .number = errno};
    if (write(socket, &f, sizeof f) < 0)
        _exit(126);
    _exit(127);
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static bool send_descriptor(int socket, int fd)
{
    union control control = {0};
    char byte = 0;
    struct iovec data = {&byte, 1};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(h), &fd, sizeof fd);
    return sendmsg(socket, &m, 0) == 1;
}

/* In the child: from the filter on, opens and the like wait for the supervisor; until exec there are none. */
static NORETURN void child_run(const struct session *x, char *const argv[], int socket)
{
    sigaction(SIGCHLD, &x->child_before, NULL);
    sigprocmask(SIG_SETMASK, &x->before, NULL);
    int listener = filter_install(x->s.door->folders && x->s.door->folders->path);
    if (listener < 0 || !send_descriptor(socket, listener))
        start_failed(socket, START_FILTER);
    close(listener);
    execvp(argv[0], argv);
    start_failed(socket, START_RUN);
}

static int failure(const struct start_failure *f, const char *program, struct error *e)
{
    if (f->step == START_RUN)
        return error_set(e, ERROR_FILE, "%s cannot be run: %s", program, strerror(f->number));
    if (f->number == EBUSY)
        return error_set(e, ERROR_INTERNAL,
                         "system calls are already watched by another supervisor (softsev with "
                         "inside softsev with, or a "
                         "container's own): seccomp allows one listener");
    return error_set(e, ERROR_INTERNAL,
                     "the filter cannot be installed (seccomp user notification, Linux 5.9 or "
                     "newer on x86-64 or arm64, not "
                     "inside a sandbox that forbids it): %s",
                     strerror(f->number));
}

/* The filter's descriptor, then either the socket closes by a successful exec or a failure comes. */
static int take_program(struct session *x, const char *program, int socket, struct error *e)
{
    union control control = {0};
    struct start_failure f = {0};
    struct iovec data = {&f, sizeof f};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    struct cmsghdr *h = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
    if (h && h->cmsg_type == SCM_RIGHTS) {
        memcpy(&x->s.listener, CMSG_DATA(h), sizeof x->s.listener);
        n = read(socket, &f, sizeof f);
        if (n == 0)
            return 0;
    }
    if (n == (ssize_t)sizeof f)
        return failure(&f, program, e);
    return error_set(e, ERROR_INTERNAL, "%s ended before it had begun", program);
}

static int start(struct session *x, char *const argv[], struct error *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return error_set(e, ERROR_INTERNAL, "no socket: %s", strerror(errno));
    x->child = fork();
    if (x->child == 0)
        child_run(x, argv, pair[1]);
    int number = errno;
    close(pair[1]);
    int result = x->child < 0 ? error_set(e, ERROR_INTERNAL, "no process: %s", strerror(number))
                              : take_program(x, argv[0], pair[0], e);
    close(pair[0]);
    if (result && x->child > 0)
        waitpid(x->child, NULL, 0);
    return result;
}

/* --- The loop ------------------------------------------------------------------------------------ */

/* Collects what has ended; true while a process is left. */
static bool collect(struct session *x)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0)
            return true;
        if (pid < 0)
            return false;
        if (pid != x->child)
            continue;
        x->ended = true;
        x->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
}

/* The terminal sends its interrupts to the whole group, the program included; others' are handed on. */
static void take_signal(struct session *x, const struct signalfd_siginfo *i)
{
    if (i->ssi_signo == SIGCHLD)
        return;
    bool terminal = i->ssi_code == SI_KERNEL;
    if (x->ended)
        x->stop = i->ssi_signo != SIGUSR1 && i->ssi_signo != SIGUSR2;
    else if (!terminal || (i->ssi_signo != SIGINT && i->ssi_signo != SIGQUIT))
        kill(x->child, (int)i->ssi_signo);
}

static void take_all_signals(struct session *x)
{
    struct signalfd_siginfo i;
    while (read(x->signals, &i, sizeof i) == (ssize_t)sizeof i)
        take_signal(x, &i);
}

static void serve(struct session *x)
{
    struct pollfd fds[] = {{.fd = x->s.listener, .events = POLLIN},
                           {.fd = x->signals, .events = POLLIN}};
    while (!x->stop && collect(x)) {
        do {
            if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
                break;
            if (fds[0].revents & POLLIN)
                calls_serve(&x->s);
            else if (fds[0].revents)
                fds[0].fd = -1; /* nobody runs under the filter any more */
        } while (!fds[1].revents);
        take_all_signals(x);
    }
}

int door_run(const struct door *door, char *const argv[], struct error *error)
{
    struct session x = {.s = {.door = door, .listener = -1}, .signals = -1};
    sigprocmask(SIG_BLOCK, NULL, &x.before);
    sigaction(SIGCHLD, NULL, &x.child_before);
    prctl(PR_GET_CHILD_SUBREAPER, &x.was_reaper, 0, 0, 0);
    int result = make_files(&x.s, error) || make_buffers(&x.s, error) || take_signals(&x, error) ||
                         start(&x, argv, error)
                     ? -1
                     : 0;
    if (!result) {
        /* The answer is awaited by the very thread that asked: wake it where we are (since Linux 6.6). */
        ioctl(x.s.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
        serve(&x);
        result = x.exit_code;
    }
    session_end(&x);
    return result;
}
