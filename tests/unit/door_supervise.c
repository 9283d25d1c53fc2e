/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: a program that knows nothing of it (door_child.c) opens a device that the kernel does not have and
 * calls it, in every way a program can, and in ways that should not be. What the supervisor must do is to be right and
 * to stay alive.
 */
#define _GNU_SOURCE
#include "door/door.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define ADD   _IOWR('S', 1, u64)
#define COUNT _IO('S', 2)
#define SLOW  _IOWR('S', 3, u64)

struct rig {
    int count, calls;
    bool made; /* the folder's `one` */
    int in;    /* memory behind `one/in` */
};

/* --- The device ---------------------------------------------------------------------------------- */

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

/* --- The folder ---------------------------------------------------------------------------------- */

static s64 test_stat(void *context, const char *path)
{
    const struct rig *rig = context;
    if (!*path || (rig->made && !strcmp(path, "one")))
        return S_IFDIR | 0755;
    return rig->made && !strcmp(path, "one/in") ? S_IFREG | 0644 : -ENOENT;
}

static s64 test_make(void *context, const char *path)
{
    struct rig *rig = context;
    if (strcmp(path, "one"))
        return -EPERM;
    if (rig->made)
        return -EEXIST;
    rig->made = true;
    rig->in = memfd_create("in", MFD_CLOEXEC);
    return rig->in < 0 ? -errno : 0;
}

static s64 test_remove(void *context, const char *path)
{
    struct rig *rig = context;
    (void)path;
    rig->made = false;
    close(rig->in);
    return 0;
}

static s64 test_open(void *context, const char *path, bool write)
{
    const struct rig *rig = context;
    (void)path;
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", rig->in);
    int fd = open(link, write ? O_WRONLY : O_RDONLY);
    return fd < 0 ? -errno : fd;
}

/* --- Running ------------------------------------------------------------------------------------- */

static int run_program(struct rig *rig, bool folder, char *const argv[], struct error *e)
{
    const struct door_file files[] = {{"/dev/softsev-test", test_ioctl, rig},
                                      {"/dev/softsev-other", test_ioctl, rig},
                                      {NULL, NULL, NULL}};
    const struct door_folder folders[] = {
        {"/sys/kernel/config/softsev-above/folder", test_make, test_remove, test_open, test_stat,
         rig},
        {NULL, NULL, NULL, NULL, NULL, NULL},
    };
    struct door door = {.files = files, .folders = folder ? folders : NULL};
    return door_run(&door, argv, e);
}

static int run_mode(struct rig *rig, const char *mode)
{
    char *argv[] = {getenv("DOOR_CHILD"), (char *)(uintptr_t)mode, NULL};
    assert_non_null(argv[0]);
    struct error e = {.code = ERROR_NONE};
    int code = run_program(rig, !strcmp(mode, "folder"), argv, &e);
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

/* Once the program has ended, a signal ends the service of what it has left behind. */
static void test_lingering(void **state)
{
    (void)state;
    struct rig rig = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    char *argv[] = {getenv("DOOR_CHILD"), "linger", NULL};
    assert_int_equal(run_program(&rig, false, argv, &e), 5);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), 0); /* it is there yet */
    assert_true(waitpid(-1, NULL, 0) > 0);
}

/* A parent may have left SIGCHLD ignored (nohup, daemons): the children still are ours to wait for. */
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
        MODE("folder"),
        cmocka_unit_test(test_daemon),
        cmocka_unit_test(test_lingering),
        cmocka_unit_test(test_child_signal_ignored),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_signal_handed_on),
        cmocka_unit_test(test_ordinary_programs),
        cmocka_unit_test(test_nested),
    };
    return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
