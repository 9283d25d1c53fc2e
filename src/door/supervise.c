/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program under the filter: starts its keeper and the program, receives the filter's
 * notifications, has them answered until all processes have ended, and passes signals on.
 */
#define _GNU_SOURCE
#include "door/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
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

/* The step at which a program failed to start. */
enum start_step { START_FILTER = 1, START_RUN };

struct start_failure {
    u32 step;
    s32 number; /* errno */
};

struct session {
    struct supervisor s;
    pid_t keeper;
    int link;                 /* to the keeper: signals out, the program's exit code in */
    int signals;              /* signalfd */
    sigset_t watched, before; /* signals that the keeper reads; the mask to restore at the end */
    struct sigaction child_before;
    int was_reaper;
    int exit_code;
};

static const int session_signals[] = {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

/* --- Set up ----------------------------------------------------------------------------------- */

/* Makes an anonymous file that nobody can change. open() checks its permissions. */
static int make_file(const char *path)
{
    int fd =
        (int)syscall(SYS_memfd_create, path, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = (int)syscall(SYS_memfd_create, path, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (fchmod(fd, DOOR_FILE_MODE) == 0 &&
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

static int make_mirrors(struct supervisor *s, struct error *e)
{
    struct mirror *m = s->mirrors;
    for (const struct door_folder *f = s->door->folders; f && f->path; f++, m++) {
        if (m == s->mirrors + DOOR_FOLDERS_MAX)
            return error_set(e, ERROR_INTERNAL, "more than %d folders", DOOR_FOLDERS_MAX);
        if (mirror_make(m, f, e))
            return -1;
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
    s->request_size = max_u64(sizes.seccomp_notif, sizeof(struct seccomp_notif));
    s->response_size = max_u64(sizes.seccomp_notif_resp, sizeof *s->response);
    s->response = calloc(1, s->response_size);
    s->stuck = stuck_create();
    if (!s->response || !s->stuck)
        return error_set(e, ERROR_MEMORY, "no memory for system calls");
    s->stop = eventfd(0, EFD_CLOEXEC);
    s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return s->stop >= 0 && s->bell >= 0
               ? 0
               : error_set(e, ERROR_INTERNAL, "no eventfd: %s", strerror(errno));
}

/* Blocks the signals that the loop reads. SIGCHLD must not be ignored, or the kernel would collect
 * children itself. If the keeper is killed, its children become children of this process. */
static int take_signals(struct session *x, struct error *e)
{
    sigemptyset(&x->watched);
    for (size_t i = 0; i < ARRAY_SIZE(session_signals); i++)
        sigaddset(&x->watched, session_signals[i]);
    sigprocmask(SIG_BLOCK, &x->watched, NULL);
    /* Without SIGCHLD: the children are the keeper's, and restart.c watches traced processes. */
    sigset_t relayed = x->watched;
    sigdelset(&relayed, SIGCHLD);
    x->signals = signalfd(-1, &relayed, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    if (x->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        return error_set(e, ERROR_INTERNAL, "signals cannot be watched: %s", strerror(errno));
    return 0;
}

static void close_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void session_end(struct session *x)
{
    struct supervisor *s = &x->s;
    server_end(s);
    restart_end(s);
    mirrors_remove(s->mirrors);
    for (u32 i = 0; i < s->file_count; i++)
        close(s->files[i]);
    free(s->response);
    stuck_drop(s->stuck);
    close_open(s->listener);
    close_open(s->stop);
    close_open(s->bell);
    close_open(x->signals);
    prctl(PR_SET_CHILD_SUBREAPER, x->was_reaper, 0, 0, 0);
    sigaction(SIGCHLD, &x->child_before, NULL);
    sigprocmask(SIG_SETMASK, &x->before, NULL);
}

/* --- The program ------------------------------------------------------------------------------ */

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

/* Runs in the program's process. From the filter on, opens wait for the supervisor, so there must
 * be none before exec. If the keeper is killed, the program ends with it. */
static NORETURN void program_run(const struct session *x, char *const argv[], int socket,
                                 pid_t keeper)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != keeper)
        _exit(127);
    sigaction(SIGCHLD, &x->child_before, NULL);
    sigprocmask(SIG_SETMASK, &x->before, NULL);
    int listener = filter_install(x->s.door->folders && x->s.door->folders->path);
    if (listener < 0 || !send_descriptor(socket, listener))
        start_failed(socket, START_FILTER);
    close(listener);
    execvp(argv[0], argv);
    start_failed(socket, START_RUN);
}

/* Runs in the keeper's process. If the supervisor ends while the keeper is stopped, the keeper
 * continues. */
static NORETURN void keeper_run(const struct session *x, char *const argv[], int socket, int link)
{
    const pid_t self = getpid();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGCONT, 0, 0, 0))
        start_failed(socket, START_FILTER);
    pid_t child = fork();
    if (child < 0)
        start_failed(socket, START_FILTER);
    if (child == 0)
        program_run(x, argv, socket, self);
    close(socket);
    /* A name of its own: killing `softsev` by name spares the keeper, which then cleans up. */
    prctl(PR_SET_NAME, KEEPER_NAME, 0, 0, 0);
    keep_run(child, link, &x->watched, x->s.mirrors);
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

/* Receives the filter's descriptor. Then the socket closes by a successful exec, or a failure
 * comes. */
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

/* Starts keeper and program. One pair of sockets closes with the program's exec; the other stays
 * between supervisor and keeper. */
static int start(struct session *x, char *const argv[], struct error *e)
{
    int pair[2], link[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return error_set(e, ERROR_INTERNAL, "no socket: %s", strerror(errno));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link)) {
        error_set(e, ERROR_INTERNAL, "no socket: %s", strerror(errno));
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    x->keeper = fork();
    if (x->keeper == 0) {
        close(pair[0]);
        close(link[0]);
        keeper_run(x, argv, pair[1], link[1]);
    }
    int number = errno;
    close(pair[1]);
    close(link[1]);
    x->link = link[0];
    int result = x->keeper < 0 ? error_set(e, ERROR_INTERNAL, "no process: %s", strerror(number))
                               : take_program(x, argv[0], pair[0], e);
    close(pair[0]);
    return result;
}

/* --- The loop --------------------------------------------------------------------------------- */

/* Passes signals on to the keeper, except those of the terminal: the keeper gets them itself. */
static void relay_signals(struct session *x)
{
    struct signalfd_siginfo i;
    while (read(x->signals, &i, sizeof i) == (ssize_t)sizeof i) {
        s32 number = (s32)i.ssi_signo;
        if (x->s.door->signalled && number != SIGUSR1 && number != SIGUSR2)
            *x->s.door->signalled = true;
        if (i.ssi_code == SI_KERNEL)
            continue;
        if (send(x->link, &number, sizeof number, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return; /* the keeper is about to end */
    }
}

/* Reads the program's exit code. Returns false if the keeper has ended, because no process is
 * left. */
static bool take_report(struct session *x)
{
    s32 code;
    ssize_t n = read(x->link, &code, sizeof code);
    if (n == (ssize_t)sizeof code)
        x->exit_code = code;
    return n > 0 || (n < 0 && errno == EINTR);
}

static int serve(struct session *x, struct error *e)
{
    struct supervisor *s = &x->s;
    u64 rung;
    struct pollfd fds[] = {{.fd = x->link, .events = POLLIN},
                           {.fd = x->signals, .events = POLLIN},
                           {.fd = s->bell, .events = POLLIN}};
    for (;;) {
        int ready = poll(fds, ARRAY_SIZE(fds), atomic_load(&s->watching) ? SERVER_TICK_MS : -1);
        if (ready < 0)
            continue;
        if (ready == 0 && server_watch(s, e))
            return -1;
        if (fds[0].revents && !take_report(x))
            return 0;
        if (fds[1].revents)
            relay_signals(x);
        if (fds[2].revents && read(s->bell, &rung, sizeof rung) < 0)
            return error_set(e, ERROR_INTERNAL, "an eventfd cannot be read: %s", strerror(errno));
    }
}

/* Ends the keeper by closing its link; it first ends all its processes. If it was killed, this
 * process ends them. */
static void end_keeper(struct session *x)
{
    if (x->link >= 0)
        close(x->link);
    if (x->keeper > 0)
        keep_kill_all(x->keeper);
}

int door_run(const struct door *door, char *const argv[], struct error *error)
{
    struct session x = {.s = {.door = door, .listener = -1, .stop = -1, .bell = -1},
                        .link = -1,
                        .signals = -1,
                        .exit_code = 128 + SIGKILL};
    /* Whoever can read this process can read the platform's keys. This is never undone: processes
     * that the program started may live on. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    sigprocmask(SIG_BLOCK, NULL, &x.before);
    sigaction(SIGCHLD, NULL, &x.child_before);
    prctl(PR_GET_CHILD_SUBREAPER, &x.was_reaper, 0, 0, 0);
    int result = make_files(&x.s, error) || make_mirrors(&x.s, error) ||
                         make_buffers(&x.s, error) || take_signals(&x, error) ||
                         start(&x, argv, error) || server_start(&x.s, error)
                     ? -1
                     : 0;
    if (!result) {
        /* Wakes the waiting thread on this processor: it waits for exactly this answer (since Linux
         * 6.6). */
        ioctl(x.s.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
        result = serve(&x, error);
    }
    end_keeper(&x);
    session_end(&x);
    return result ? -1 : x.exit_code;
}
