/* SPDX-License-Identifier: Apache-2.0 */
/* A run in the background: the process that goes on without its terminal, and the file that has its
 * number. */
#include "cli/run/run.h"
#include "files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PID_TEXT_MAX 24u
#define OPEN_TRIES   10u

/* --- Into the background ---------------------------------------------------------------------- */

/* Waits until the guests are launched or the child has ended, and ends as it did. */
static NORETURN void wait_for(pid_t child, int fd)
{
    u8 byte;
    ssize_t got;
    int status = 0;
    do {
        got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1)
        _exit(ERROR_NONE);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int run_daemon_start(struct run *r, struct error *e)
{
    int ends[2];
    if (!r->options.daemonize)
        return 0;
    if (pipe(ends))
        return error_set(e, ERROR_INTERNAL, "--daemonize: no pipe: %s", strerror(errno));
    const pid_t child = fork();
    if (child < 0)
        return error_set(e, ERROR_INTERNAL, "--daemonize: no process: %s", strerror(errno));
    close(ends[child ? 1 : 0]);
    if (child)
        wait_for(child, ends[0]);
    r->daemon_fd = ends[1];
    fcntl(r->daemon_fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

/* Whoever reads a pipe or a terminal would wait for this process; a file is read later. */
static bool leave_outputs(void)
{
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct stat s;
    bool good = nowhere >= 0;
    fflush(stdout);
    run_signals_outputs_leave();
    for (int fd = STDIN_FILENO; good && fd <= STDERR_FILENO; fd++)
        if (fd == STDIN_FILENO || fstat(fd, &s) || !S_ISREG(s.st_mode))
            good = dup2(nowhere, fd) == fd;
    if (nowhere >= 0)
        close(nowhere);
    return good;
}

static int write_pid(struct run *r, struct error *e)
{
    char text[PID_TEXT_MAX];
    const int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (r->pid_fd < 0 ||
        (!ftruncate(r->pid_fd, 0) && run_write_at(r->pid_fd, 0, text, (size_t)size)))
        return 0;
    return error_set(e, ERROR_FILE, "--pid-file: %s cannot be written: %s", r->options.pid_file,
                     strerror(errno));
}

int run_daemon_launched(struct run *r, struct error *e)
{
    if (write_pid(r, e))
        return -1;
    if (r->daemon_fd < 0)
        return 0;
    setsid();
    if (!leave_outputs())
        return error_set(e, ERROR_INTERNAL, "--daemonize: /dev/null: %s", strerror(errno));
    const bool told = write(r->daemon_fd, "", 1) == 1;
    close(r->daemon_fd);
    r->daemon_fd = -1;
    return told ? 0
                : error_set(e, ERROR_INTERNAL,
                            "--daemonize: the command has ended before the guests were launched");
}

/* --- The file with the number of the process -------------------------------------------------- */

/* Whether nothing would be lost: the file is empty, or has a number that such a run has left. */
static bool holds_number(int fd)
{
    char text[PID_TEXT_MAX + 1];
    const ssize_t size = pread(fd, text, sizeof text, 0);
    const ssize_t digits = size > 0 && text[size - 1] == '\n' ? size - 1 : size;
    if (size < 0 || size > (ssize_t)PID_TEXT_MAX)
        return false;
    for (ssize_t i = 0; i < digits; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/* Returns 0 if the file is ours now, 1 if another run has just removed it. */
static int take_file(int fd, const char *path, struct error *e)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat s;
    if (fcntl(fd, F_SETLK, &lock)) {
        const bool known = !fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK;
        return error_set(e, ERROR_FILE, "--pid-file: %s is in use by process %ld", path,
                         known ? (long)lock.l_pid : 0l);
    }
    if (fstat(fd, &s) || !s.st_nlink)
        return 1;
    return holds_number(fd) ? 0
                            : error_set(e, ERROR_FILE,
                                        "--pid-file: %s has something else than the number of a "
                                        "process, and is not written over",
                                        path);
}

int run_pid_open(struct run *r, struct error *e)
{
    const char *path = r->options.pid_file;
    int taken = path ? 1 : 0;
    for (u32 i = 0; taken > 0 && i < OPEN_TRIES; i++) {
        const int fd = file_open_regular(AT_FDCWD, path, O_RDWR | O_CREAT);
        if (fd < 0)
            return error_set(e, ERROR_FILE, "--pid-file: %s: %s", path,
                             fd == -EIO ? "not a regular file" : strerror(-fd));
        taken = take_file(fd, path, e);
        if (taken)
            close(fd);
        else
            r->pid_fd = fd;
    }
    return taken > 0 ? error_set(e, ERROR_FILE, "--pid-file: %s: other runs come and go", path)
                     : taken;
}

void run_pid_close(struct run *r)
{
    if (r->pid_fd < 0)
        return;
    unlink(r->options.pid_file);
    close(r->pid_fd);
    r->pid_fd = -1;
}
