/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: a program that knows nothing of it (door_child.c) opens a device that the kernel
 * does not have and calls it, in every way a program can, and in ways that should not be. What the
 * supervisor must do is to be right and to stay alive.
 */
#define _GNU_SOURCE
#include "door/door.h"

#include "needs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ADD   _IOWR('S', 1, u64)
#define COUNT _IO('S', 2)
#define SLOW  _IOWR('S', 3, u64)

struct rig {
    int count, calls;
    bool made; /* the folder's `one` */
};

/* --- The device ------------------------------------------------------------------------------- */

static s64 add(struct door_caller *caller, u64 address)
{
    u64 value;
    if (!door_read(caller, address, &value, sizeof value))
        return -EFAULT;
    value++;
    if (!door_write(caller, address, &value, sizeof value))
        return -EFAULT;
    s64 digits = 0;
    for (; value; value /= 10)
        digits += (s64)(value % 10);
    return digits;
}

static s64 test_ioctl(void *context, struct door_caller *caller, bool writable, u32 request,
                      u64 argument)
{
    struct rig *rig = context;
    rig->calls++;
    assert_int_equal(BITS(request, 15, 8), 'S');
    switch (request) {
    case ADD:
        return add(caller, argument);
    case COUNT:
        return writable ? ++rig->count : -EPERM;
    case SLOW:
        nanosleep(&(struct timespec){0, 2000000}, NULL);
        return add(caller, argument);
    default:
        return -ENOTTY;
    }
}

/* --- The folder ------------------------------------------------------------------------------- */

static s64 test_stat(void *context, const char *path, u64 *size)
{
    const struct rig *rig = context;
    *size = 4096;
    if (!*path || (rig->made && !strcmp(path, "one")))
        return S_IFDIR | 0755;
    return !rig->made                 ? -ENOENT
           : !strcmp(path, "one/in")  ? S_IFREG | 0200
           : !strcmp(path, "one/out") ? S_IFREG | 0444
                                      : -ENOENT;
}

static const char *test_name(void *context, const char *path, u32 number)
{
    static const char *const names[] = {"in", "out"};
    (void)context;
    assert_string_equal(path, "one");
    return number < ARRAY_SIZE(names) ? names[number] : NULL;
}

static s64 test_make(void *context, const char *path)
{
    struct rig *rig = context;
    if (strcmp(path, "one"))
        return -EPERM;
    rig->made = true;
    return 0;
}

static s64 test_remove(void *context, const char *path)
{
    struct rig *rig = context;
    (void)path;
    rig->made = false;
    return 0;
}

static s64 test_open(void *context, const char *path, bool write, int file)
{
    (void)context;
    (void)path;
    return ftruncate(file, 0) || (!write && pwrite(file, "hello", 5, 0) != 5) ? -EIO : 0;
}

/* --- Running ---------------------------------------------------------------------------------- */

static int run_program(struct rig *rig, bool folder, char *const argv[], struct error *e)
{
    const struct door_file files[] = {{"/dev/softsev-test", test_ioctl, rig},
                                      {"/dev/softsev-other", test_ioctl, rig},
                                      {NULL, NULL, NULL}};
    const struct door_folder folders[] = {
        {"/sys/kernel/config/softsev-above/folder", test_make, test_remove, test_open, test_stat,
         test_name, rig},
        {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
    };
    struct door door = {.files = files, .folders = folder ? folders : NULL};
    return door_run(&door, argv, e);
}

static int run_mode(struct rig *rig, const char *mode)
{
    char *argv[] = {getenv("DOOR_CHILD"), (char *)(uintptr_t)mode, NULL};
    assert_non_null(argv[0]);
    struct error e = {.code = ERROR_NONE};
    int code = run_program(rig, !strcmp(mode, "folder") || !strcmp(mode, "swapped"), argv, &e);
    if (code < 0)
        print_message("# %s\n", e.text);
    /* Nothing is left behind: no child, no signal blocked. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
    return code;
}

static void check_mode(void **state)
{
    struct rig rig = {.count = 0};
    assert_int_equal(run_mode(&rig, *state), 0);
}

static void test_daemon(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    assert_int_equal(run_mode(&rig, "daemon"), 7);
    assert_int_equal(rig.count, 1); /* by the process that lived on */
}

static void test_killed(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    assert_int_equal(run_mode(&rig, "kill"), 128 + SIGKILL);
}

static void test_signal_handed_on(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    assert_int_equal(run_mode(&rig, "term"), 9);
}

static void test_ordinary_programs(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    char *shell[] = {"sh", "-c",
                     "test -c /dev/softsev-test && ls -l /dev/softsev-test >/dev/null && exec "
                     "3<>/dev/softsev-test && "
                     "test -e /proc/self/fd/3 && exit 42",
                     NULL};
    assert_int_equal(run_program(&rig, false, shell, &e), 42);
    char *missing[] = {"no-such-program-anywhere", NULL};
    assert_int_equal(run_program(&rig, false, missing, &e), -1);
    assert_int_equal(e.code, ERROR_FILE);
    assert_non_null(strstr(e.text, "no-such-program-anywhere cannot be run"));
    assert_int_equal(rig.calls, 0);
}

/* Another process of the user's, not under the supervisor, swaps a file of the folder. */
static void test_swapped_file(void **state)
{
    char folder[] = "/tmp/door-test-XXXXXX";
    struct rig rig = {.count = 0};
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(setenv("TMPDIR", folder, 1), 0);
    pid_t other = fork();
    if (other == 0) {
        if (fork()) /* a child of nobody's here */
            _exit(0);
        execlp("sh", "sh", "-c",
               "until f=$(find $TMPDIR -name out) && test -n \"$f\"; do sleep 0.02; done;"
               "rm $f && mkfifo $f && touch $TMPDIR/swapped",
               NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(other, NULL, 0), other);
    alarm(30); /* a supervisor that waits for the pipe's other end */
    int code = run_mode(&rig, "swapped");
    alarm(0);
    unsetenv("TMPDIR");
    assert_int_equal(code, 0);
    char sign[sizeof folder + 8];
    snprintf(sign, sizeof sign, "%s/swapped", folder);
    assert_int_equal(unlink(sign), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* --- What ends with what ---------------------------------------------------------------------- */

/* All of `mode`'s processes have the pipe's other end: it is at its end when they all are. */
static bool all_ended(int reader)
{
    struct pollfd fd = {.fd = reader, .events = POLLIN};
    char byte;
    while (poll(&fd, 1, 10000) > 0)
        if (read(reader, &byte, 1) == 0)
            return true;
    return false;
}

/* The supervisor in a process of its own; `ready` bytes come first, one from each process of the
 * program's. */
static pid_t start_supervisor(const char *mode, int ready, int *reader)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t supervisor = fork();
    if (supervisor == 0) {
        struct rig rig = {.count = 0};
        struct error e = {.code = ERROR_NONE};
        char *argv[] = {getenv("DOOR_CHILD"), (char *)(uintptr_t)mode, NULL}, number[20];
        close(ends[0]);
        snprintf(number, sizeof number, "%d", ends[1]);
        setenv("DOOR_PIPE", number, 1);
        _exit(run_program(&rig, false, argv, &e));
    }
    close(ends[1]);
    *reader = ends[0];
    for (int i = 0; i < ready; i++)
        assert_int_equal(read(*reader, &byte, 1), 1);
    return supervisor;
}

static pid_t only_child(pid_t parent)
{
    char path[64];
    int child = -1;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &child) != 1)
        child = -1;
    if (f)
        fclose(f);
    return child;
}

static bool is_named(pid_t pid, const char *name)
{
    char path[64], comm[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *f = fopen(path, "r");
    if (f && !fgets(comm, sizeof comm, f))
        comm[0] = 0;
    if (f)
        fclose(f);
    return !strcmp(comm, name);
}

/* The program has a child in a session of its own and an orphan. Without a supervisor they would
 * get ENOSYS. */
static void test_supervisor_killed(void **state)
{
    int reader;
    (void)state;
    pid_t supervisor = start_supervisor("family", 3, &reader);
    kill(supervisor, SIGKILL);
    assert_true(all_ended(reader));
    assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
    close(reader);
}

static void test_keeper_killed(void **state)
{
    int reader, status;
    (void)state;
    pid_t supervisor = start_supervisor("family", 3, &reader);
    pid_t keeper = only_child(supervisor);
    assert_true(keeper > 0);
    assert_true(is_named(keeper, "door-keeper\n"));
    kill(keeper, SIGKILL);
    assert_true(all_ended(reader));
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    assert_int_equal(WEXITSTATUS(status), 128 + SIGKILL);
    close(reader);
}

static void test_supervisor_killed_with_the_keeper_stopped(void **state)
{
    int reader;
    (void)state;
    pid_t supervisor = start_supervisor("family", 3, &reader);
    kill(only_child(supervisor), SIGSTOP);
    kill(supervisor, SIGKILL);
    assert_true(all_ended(reader));
    assert_int_equal(waitpid(supervisor, NULL, 0), supervisor);
    close(reader);
}

/* Once the program has ended, a signal is for what it has left behind; what ignores it is
 * killed. */
static void test_lingering(void **state)
{
    int reader, status;
    (void)state;
    pid_t supervisor = start_supervisor("linger", 1, &reader);
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    assert_int_equal(WEXITSTATUS(status), 5);
    assert_true(all_ended(reader));
    close(reader);
}

/* --- Who may look at the supervisor ----------------------------------------------------------- */

static bool may_look(pid_t pid)
{
    char path[64], byte;
    struct iovec to = {&byte, 1}, from = {&from, 1};
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    if (open(path, O_RDONLY) >= 0)
        return true;
    snprintf(path, sizeof path, "/proc/%d/fd/0", (int)pid);
    if (readlink(path, &byte, 1) > 0 || open(path, O_RDONLY) >= 0)
        return true;
    return process_vm_readv(pid, &to, 1, &from, 1, 0) == 1 ||
           ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
}

/* As a program under the supervisor: neither it nor the keeper can be read. */
static int spy(void)
{
    pid_t supervisor = atoi(getenv("DOOR_SUPERVISOR"));
    return may_look(supervisor) || may_look(getppid()) ? 1 : 44;
}

/* An ordinary user with an ordinary process, whoever runs the test. */
static void become_ordinary(void)
{
    if (!getuid() && (setgid(65534) || setuid(65534)))
        _exit(2);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int run_spy(void)
{
    struct rig rig = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    char *self[] = {"/proc/self/exe", "spy", NULL}, number[20];
    become_ordinary();
    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("DOOR_SUPERVISOR", number, 1);
    return run_program(&rig, false, self, &e);
}

static void test_supervisor_cannot_be_read(void **state)
{
    int status;
    (void)state;
    pid_t supervisor = fork();
    if (supervisor == 0)
        _exit(run_spy());
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    assert_int_equal(WEXITSTATUS(status), 44);
}

/* --- Changing a door -------------------------------------------------------------------------- */

/* The program's own file is opened here: an ordinary user may not reach it by its path. */
static int run_change(void)
{
    struct rig rig = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    char path[40], *argv[] = {path, "change", NULL};
    int fd = open(getenv("DOOR_CHILD"), O_RDONLY);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    become_ordinary();
    return run_program(&rig, false, argv, &e);
}

static void test_doors_cannot_be_changed(void **state)
{
    int status;
    (void)state;
    pid_t supervisor = fork();
    if (supervisor == 0)
        _exit(run_change());
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- Memory that the program holds back ------------------------------------------------------- */

/* Without privilege a kernel lets nobody hold back memory that the kernel itself reads. */
static bool memory_can_be_held_back(void)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

test_that_needs(test_memory_held_back, .host = memory_can_be_held_back)
{
    struct rig rig = {.count = 0};
    (void)state;
    alarm(60);
    int code = run_mode(&rig, "hold");
    alarm(0);
    assert_int_equal(code, 0);
}

test_that_needs(test_signal_while_memory_is_held_back, .host = memory_can_be_held_back)
{
    int reader, status;
    (void)state;
    pid_t supervisor = start_supervisor("held", 1, &reader);
    usleep(100000);
    kill(supervisor, SIGTERM);
    assert_true(all_ended(reader));
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    close(reader);
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
}

/* A parent may have left SIGCHLD ignored (nohup, daemons): the children still are ours to wait
 * for. */
static void test_child_signal_ignored(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before, after;
    sigaction(SIGCHLD, &ignore, &before);
    alarm(20);
    assert_int_equal(run_mode(&rig, "daemon"), 7);
    alarm(0);
    sigaction(SIGCHLD, &before, &after);
    assert_ptr_equal(after.sa_handler, SIG_IGN);
}

/* A door inside a door: seccomp has one listener, and that is said. */
static void test_nested(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    char *self[] = {"/proc/self/exe", "nested", NULL};
    assert_int_equal(run_program(&rig, false, self, &e), 33);
}

static int nested(void)
{
    struct rig rig = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    char *argv[] = {"true", NULL};
    return run_program(&rig, false, argv, &e) == -1 && e.code == ERROR_INTERNAL &&
                   strstr(e.text, "another supervisor")
               ? 33
               : 1;
}

#define MODE(name)                                                                                 \
    {                                                                                              \
        "test_" name, check_mode, NULL, NULL, (char[])                                             \
        {                                                                                          \
            name                                                                                   \
        }                                                                                          \
    }

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "nested"))
        return nested();
    if (argc > 1 && !strcmp(argv[1], "spy"))
        return spy();
    const struct CMUnitTest tests[] = {
        MODE("plain"),
        MODE("raw"),
        MODE("paths"),
        MODE("stat"),
        MODE("pass"),
        MODE("pointers"),
        MODE("die"),
        MODE("threads"),
        MODE("signals"),
        MODE("timer"),
        MODE("folder"),
        cmocka_unit_test(test_swapped_file),
        cmocka_unit_test(test_daemon),
        cmocka_unit_test(test_supervisor_killed),
        cmocka_unit_test(test_keeper_killed),
        cmocka_unit_test(test_supervisor_killed_with_the_keeper_stopped),
        cmocka_unit_test(test_lingering),
        cmocka_unit_test(test_supervisor_cannot_be_read),
        cmocka_unit_test(test_doors_cannot_be_changed),
        cmocka_unit_test(test_memory_held_back),
        cmocka_unit_test(test_signal_while_memory_is_held_back),
        cmocka_unit_test(test_child_signal_ignored),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_signal_handed_on),
        cmocka_unit_test(test_ordinary_programs),
        cmocka_unit_test(test_nested),
    };
    return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
