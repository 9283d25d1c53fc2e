/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program for the tests of the doors: what argv[1] names. It ends with 0 if all was as it should
 * be, otherwise with the number of the line that was not (modulo 200, plus 1). Linked statically;
 * `raw` makes its system calls by itself, as Go programs do.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

#define DOOR   "/dev/softsev-test"
#define FOLDER "/sys/kernel/config/softsev-above/folder"
#define ADD                                                                                        \
    _IOWR('S', 1, uint64_t) /* adds one to the number; the answer is the sum of \ its digits */
#define COUNT _IO('S', 2)   /* counts on; -EPERM on a descriptor that is read-only */
#define SLOW  _IOWR('S', 3, uint64_t) /* takes 2 ms */

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            _exit(__LINE__ % 200 + 1);                                                             \
    } while (0)
#define CHECK_ERROR(x, number) CHECK((x) == -1 && errno == (number))

static int open_door(void)
{
    int fd = open(DOOR, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static void check_add(int fd)
{
    uint64_t value = 1998;
    CHECK(ioctl(fd, ADD, &value) == 28 && value == 1999);
}

static void run_plain(void)
{
    int fd = open_door();
    check_add(fd);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    CHECK(ioctl(fd, COUNT) == 1);
    int reader = open(DOOR, O_RDONLY);
    CHECK(reader > fd && fcntl(reader, F_GETFD) == 0);
    CHECK((fcntl(reader, F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK_ERROR(ioctl(reader, COUNT), EPERM);
    close(reader);
    CHECK_ERROR(ioctl(reader, COUNT), EBADF);
    CHECK(write(fd, "x", 1) == -1 && ftruncate(fd, 1) == -1);
    CHECK_ERROR(open(DOOR, O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERROR(open(DOOR, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERROR(open(DOOR "/below", O_RDONLY), ENOENT);
    CHECK_ERROR(open(DOOR "2", O_RDONLY), ENOENT);
    /* At the limit of descriptors the answer is the kernel's. */
    int last = dup(fd);
    while (dup(fd) >= 0)
        last++;
    CHECK_ERROR(open(DOOR, O_RDWR), EMFILE);
    close(last);
    CHECK(open(DOOR, O_RDWR) >= 0);
}

static long raw(long number, long a, long b, long c, long d)
{
#ifdef __x86_64__
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
#else
    long result = syscall(number, a, b, c, d);
    return result == -1 ? -errno : result;
#endif
}

static void run_raw(void)
{
    uint64_t value = 5;
    long fd = raw(SYS_openat, AT_FDCWD, (long)DOOR, O_RDWR, 0);
    CHECK(fd >= 0 && raw(SYS_ioctl, fd, (long)ADD, (long)&value, 0) == 6 && value == 6);
    struct open_how how = {.flags = O_RDWR};
    long other = raw(SYS_openat2, AT_FDCWD, (long)DOOR, (long)&how, sizeof how);
    CHECK(other >= 0 && raw(SYS_ioctl, other, (long)ADD, (long)&value, 0) == 7);
#ifdef SYS_open
    CHECK((other = raw(SYS_open, (long)DOOR, O_RDWR, 0, 0)) >= 0);
    CHECK(raw(SYS_ioctl, other, (long)ADD, (long)&value, 0) == 8);
    /* x32: another kind of call, never looked at; where the kernel has none it says so. */
    CHECK(raw(0x40000000 | SYS_open, (long)DOOR, O_RDWR, 0, 0) < 0);
#endif
#ifdef __x86_64__
    /* The 32-bit call, too: whatever the kernel says, it is no door. */
    static char low[] = DOOR;
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    CHECK(page != MAP_FAILED);
    memcpy(page, low, sizeof low);
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(5), "b"(page), "c"(O_RDWR), "d"(0)
                     : "memory");
    CHECK(result < 0);
#endif
    CHECK(raw(SYS_ioctl, fd, (long)(0xabcd00000000 | ADD), (long)&value, 0) == 9);
}

static void run_paths(void)
{
    CHECK(chdir("/dev") == 0);
    check_add(open("softsev-test", O_RDWR));
    check_add(open("./softsev-test", O_RDWR));
    check_add(open("/dev/../dev//./softsev-test", O_RDWR));
    CHECK(chdir("/") == 0);
    check_add(open("dev/softsev-test", O_RDWR));
    CHECK_ERROR(open("softsev-test", O_RDWR), ENOENT);
    int folder = open("/dev", O_RDONLY | O_DIRECTORY);
    check_add(openat(folder, "softsev-test", O_RDWR));
    check_add(openat(folder, "../../../dev/softsev-test", O_RDWR));
    CHECK_ERROR(openat(12345, "softsev-test", O_RDWR), EBADF);
    check_add(openat(12345, DOOR, O_RDWR));
    /* Up to the last byte of a page that nothing follows; and one that does not end. */
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && munmap(pages + 4096, 4096) == 0);
    memcpy(pages + 4096 - sizeof DOOR, DOOR, sizeof DOOR);
    check_add(open(pages + 4096 - sizeof DOOR, O_RDWR));
    memset(pages, 'a', 4096);
    CHECK_ERROR(open(pages + 4000, O_RDWR), EFAULT);
    CHECK(raw(SYS_openat, AT_FDCWD, 0, O_RDWR, 0) == -EFAULT);
    CHECK_ERROR(open("", O_RDWR), ENOENT);
    char *longest = malloc(10000);
    memset(longest, '/', 9999);
    longest[9999] = 0;
    CHECK_ERROR(open(longest, O_RDWR), ENAMETOOLONG);
    int null = open("/dev/null", O_RDWR);
    CHECK(null >= 0 && write(null, "x", 1) == 1);
}

static void run_stat(void)
{
    struct stat st;
    CHECK(stat(DOOR, &st) == 0 && S_ISCHR(st.st_mode) && lstat(DOOR, &st) == 0);
    CHECK(S_ISCHR(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1 && st.st_rdev);
    struct statx x;
    CHECK(statx(AT_FDCWD, DOOR, 0, STATX_ALL, &x) == 0 && S_ISCHR(x.stx_mode));
    CHECK(access(DOOR, R_OK | W_OK) == 0 && faccessat(AT_FDCWD, DOOR, R_OK, AT_EACCESS) == 0);
    CHECK_ERROR(access(DOOR, X_OK), EACCES);
    CHECK_ERROR(syscall(SYS_newfstatat, AT_FDCWD, DOOR, (void *)8, 0), EFAULT);
    int fd = open_door();
    CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
    CHECK(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    CHECK_ERROR(stat("/nowhere/softsev-test", &st), ENOENT);
}

/* What a character device of root's answers to whoever wants to change it. */
static void run_change(void)
{
    char link[40];
    int fd = open_door();
    CHECK_ERROR(fchmod(fd, 0), EPERM);
    CHECK_ERROR(fchown(fd, getuid(), getgid()), EPERM);
    CHECK_ERROR(ftruncate(fd, 1), EINVAL);
    CHECK_ERROR(fallocate(fd, 0, 0, 1), ENODEV);
    CHECK_ERROR(fsetxattr(fd, "user.x", "y", 1, 0), EPERM);
    CHECK_ERROR(fremovexattr(fd, "user.x"), EPERM);
    CHECK(flock(fd, LOCK_EX) == 0);
    CHECK_ERROR(chmod(DOOR, 0), EPERM);
    CHECK_ERROR(fchmodat(AT_FDCWD, DOOR, 0, 0), EPERM);
    CHECK_ERROR(chown(DOOR, getuid(), getgid()), EPERM);
    CHECK_ERROR(fchownat(AT_FDCWD, DOOR, getuid(), getgid(), AT_SYMLINK_NOFOLLOW), EPERM);
    CHECK_ERROR(truncate(DOOR, 0), EINVAL);
    CHECK_ERROR(setxattr(DOOR, "user.x", "y", 1, 0), EPERM);
    /* Ordinary files stay the kernel's; and a way round the refusal locks nobody out. */
    int other = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    if (other >= 0)
        CHECK(fchmod(other, 0644) == 0 && ftruncate(other, 5) == 0);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    CHECK(chmod(link, 0) == 0);
    check_add(open_door());
}

/* A descriptor is a door wherever it goes: duplicated, inherited, passed, without any
 * book-keeping. */
static void run_pass(void)
{
    int fd = open_door(), pair[2], passed;
    check_add(dup(fd));
    check_add(fcntl(fd, F_DUPFD, 200));
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    pid_t child = fork();
    union {
        struct cmsghdr h;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char byte = 0;
    struct iovec data = {&byte, 1};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    if (child == 0) {
        check_add(fd);
        int own = open_door();
        control.h = (struct cmsghdr){CMSG_LEN(sizeof own), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.h), &own, sizeof own);
        CHECK(sendmsg(pair[1], &m, 0) == 1);
        _exit(0);
    }
    CHECK(recvmsg(pair[0], &m, 0) == 1);
    memcpy(&passed, CMSG_DATA(&control.h), sizeof passed);
    close(fd);
    check_add(passed);
    CHECK(dup2(open("/dev/null", O_RDWR), passed) == passed);
    CHECK_ERROR(ioctl(passed, COUNT), ENOTTY);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void run_pointers(void)
{
    int fd = open_door();
    CHECK_ERROR(ioctl(fd, ADD, NULL), EFAULT);
    CHECK_ERROR(ioctl(fd, ADD, (void *)-8), EFAULT);
    CHECK_ERROR(ioctl(fd, ADD, (void *)0xffff800000000000), EFAULT);
    CHECK_ERROR(ioctl(fd, ADD, (void *)0x8000000000000000), EFAULT);
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED && mprotect(page + 4096, 4096, PROT_NONE) == 0);
    CHECK_ERROR(ioctl(fd, ADD, page + 4092), EFAULT);
    CHECK(ioctl(fd, ADD, page + 4088) == 1);
    CHECK(mprotect(page, 4096, PROT_READ) == 0);
    CHECK_ERROR(ioctl(fd, ADD, page), EFAULT); /* read, but not to be written */
    /* Ioctls that are not ours: of another type, of an unknown number, of another file. */
    struct termios t;
    CHECK_ERROR(tcgetattr(fd, &t), ENOTTY);
    CHECK_ERROR(ioctl(fd, _IO('S', 99)), ENOTTY);
    int null = open("/dev/null", O_RDWR);
    CHECK_ERROR(ioctl(null, COUNT), ENOTTY);
    CHECK_ERROR(ioctl(-1, COUNT), EBADF);
    CHECK_ERROR(ioctl(1 << 30, COUNT), EBADF);
}

static int shared;

static void *one_call(void *argument)
{
    uint64_t value = 1;
    ioctl(shared, SLOW, &value);
    return argument;
}

/* The process ends, is killed or unmaps its memory while its call is being answered. */
static void run_die(void)
{
    for (int round = 0; round < 30; round++) {
        pid_t child = fork();
        if (child == 0) {
            shared = open_door();
            pthread_t threads[4];
            for (int i = 0; i < 4; i++)
                pthread_create(&threads[i], NULL, one_call, NULL);
            if (round % 3 == 0)
                _exit(0);
            if (round % 3 == 1)
                execl("/proc/self/exe", "door_child", "nothing", NULL);
            raise(SIGKILL);
        }
        CHECK(waitpid(child, NULL, 0) == child);
    }
    check_add(open_door());
}

static void *many_calls(void *argument)
{
    for (int i = 0; i < 200; i++) {
        uint64_t value = 41;
        CHECK(ioctl(shared, ADD, &value) == 6 && value == 42);
        int fd = open_door();
        CHECK(close(fd) == 0);
    }
    return argument;
}

static void run_threads(void)
{
    shared = open_door();
    for (int i = 0; i < 3; i++)
        fork();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, many_calls, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    int status;
    while (wait(&status) > 0)
        CHECK(status == 0);
}

static void on_alarm(int number)
{
    (void)number;
}

/* Signals all the time: each call is answered once. */
static void run_signals(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 200}, {0, 200}};
    int fd = open_door();
    setitimer(ITIMER_REAL, &timer, NULL);
    int start = ioctl(fd, COUNT);
    for (int i = 1; i <= 500; i++)
        CHECK(ioctl(fd, COUNT) == start + i);
}

static void *idle(void *argument)
{
    for (;;)
        pause();
    return argument;
}

/* A timer without SA_RESTART: what never is interrupted by itself is not here either; what is,
 * is. */
static void run_timer(void)
{
    char path[] = "/tmp/softsev-door-XXXXXX", byte;
    int ends[2];
    struct stat st;
    pthread_t other;
    struct sigaction action = {.sa_handler = on_alarm};
    CHECK(mkdtemp(path) && chdir(path) == 0 && mkfifo("fifo", 0600) == 0 && pipe(ends) == 0);
    CHECK(pthread_create(&other, NULL, idle, NULL) == 0);
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 1000}, {0, 1000}}, none = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    CHECK(pthread_create(&other, NULL, idle, NULL) == 0);
    for (int i = 0; i < 100000; i++)
        CHECK(stat("/dev/null", &st) == 0);
    for (int i = 0; i < 5000; i++) {
        int fd = open("/dev/zero", O_RDONLY);
        CHECK(fd >= 0 && close(fd) == 0);
        CHECK_ERROR(stat("/nowhere", &st), ENOENT);
        check_add(fd = open_door());
        close(fd);
    }
    CHECK_ERROR(open("fifo", O_RDONLY), EINTR);
    CHECK_ERROR(read(ends[0], &byte, 1), EINTR);
    CHECK(setitimer(ITIMER_REAL, &none, NULL) == 0);
    CHECK(unlink("fifo") == 0 && chdir("/") == 0 && rmdir(path) == 0);
    /* Children and stops are as ever. */
    pid_t child = fork();
    int status;
    if (child == 0) {
        raise(SIGSTOP);
        _exit(3);
    }
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
    CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 3);
    setitimer(ITIMER_REAL, &timer, NULL);
    setitimer(ITIMER_REAL, &none, NULL);
    execl("/proc/self/exe", "door_child", "plain", NULL);
}

static void run_daemon(void)
{
    if (fork())
        _exit(7);
    usleep(100000);
    CHECK(ioctl(open_door(), COUNT) >= 1);
    usleep(1000);
}

/* Tells the test that this process is there. */
static void tell_ready(void)
{
    CHECK(write(atoi(getenv("DOOR_PIPE")), "", 1) == 1);
}

/* Stays behind and does not listen. */
static void run_linger(void)
{
    signal(SIGTERM, SIG_IGN);
    if (fork())
        _exit(5);
    usleep(100000);
    kill(getppid(), SIGTERM);
    tell_ready();
    for (;;)
        pause();
}

/* The program, a child with a session of its own, an orphan. */
static void run_family(void)
{
    if (fork() == 0 && fork() == 0)
        usleep(50000);
    else if (getppid() != getpgrp())
        setsid();
    tell_ready();
    for (;;)
        pause();
}

/* A page that whoever reads it waits for, until `held` gets what is to be in it. */
static char *hold_page(int *held)
{
    struct uffdio_api api = {.api = UFFD_API};
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(uintptr_t)page, 4096},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    *held = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    CHECK(*held >= 0);
    CHECK(ioctl(*held, UFFDIO_API, &api) == 0 && ioctl(*held, UFFDIO_REGISTER, &range) == 0);
    return page;
}

static void *open_held(void *page)
{
    int fd = open(page, O_RDONLY);
    CHECK(fd >= 0);
    return NULL;
}

/* A path and an argument in such a page: others are served meanwhile, and the path is read in the
 * end. */
static void run_hold(void)
{
    static char text[4096] = "/dev/null";
    int held, fd = open_door();
    char *page = hold_page(&held);
    pthread_t opener;
    CHECK(pthread_create(&opener, NULL, open_held, page) == 0);
    usleep(20000);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 50; i++)
            check_add(open_door());
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK_ERROR(ioctl(fd, ADD, page), EFAULT);
    check_add(fd);
    struct uffdio_copy copy = {.dst = (uintptr_t)page, .src = (uintptr_t)text, .len = 4096};
    CHECK(ioctl(held, UFFDIO_COPY, &copy) == 0 && pthread_join(opener, NULL) == 0);
    check_add(fd);
}

/* More of them than the supervisor has threads for. */
static void run_held(void)
{
    int held;
    char *page = hold_page(&held);
    pthread_t opener;
    for (int i = 0; i < 40; i++)
        CHECK(pthread_create(&opener, NULL, open_held, page) == 0);
    tell_ready();
    for (;;)
        pause();
}

static void run_kill(void)
{
    raise(SIGKILL);
}

/* Waits for a signal and says so. */
static void run_term(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGTERM, &action, NULL);
    sigset_t before, blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    kill(getppid(), SIGTERM);
    alarm(10);
    sigsuspend(&before);
    _exit(9);
}

static bool lists(const char *path, const char *name)
{
    bool found = false;
    DIR *d = opendir(path);
    CHECK(d);
    for (const struct dirent *e; (e = readdir(d));)
        found = found || !strcmp(e->d_name, name);
    closedir(d);
    return found;
}

/* Folders can be listed, opened, entered and left, and what is in them found from there. */
static void check_entering(void)
{
    char path[4096];
    struct stat st, same;
    CHECK(lists(FOLDER, "one") && lists(FOLDER "/one", "in") && lists(FOLDER "/one", "out"));
    CHECK(lists("/sys/kernel/config/softsev-above", "folder"));
    int at = open(FOLDER, O_PATH | O_DIRECTORY), null = open("/dev/null", O_RDWR);
    CHECK(at >= 0 && fstat(at, &st) == 0 && stat(FOLDER, &same) == 0 && st.st_ino == same.st_ino);
    CHECK(S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0755);
    CHECK(openat(at, "one/out", O_RDONLY) >= 0);
    CHECK(faccessat(at, "one", X_OK, 0) == 0);
    CHECK_ERROR(mkdirat(at, "two", 0700), EPERM);
    CHECK_ERROR(renameat(at, "one", at, "two"), EPERM);
    CHECK_ERROR(renameat(AT_FDCWD, "/dev/softsev-none", at, "two"), EPERM);
    CHECK_ERROR(mknodat(at, "two", S_IFREG | 0600, 0), EPERM);
    CHECK_ERROR(chdir(FOLDER "/none"), ENOENT);
    CHECK_ERROR(chdir(FOLDER "/one/in"), ENOTDIR);
    /* No descriptor is left open on the way. */
    CHECK(chdir(FOLDER "/one") == 0 && dup(0) == null + 2);
    CHECK(getcwd(path, sizeof path) && !strcmp(path, FOLDER "/one"));
    CHECK_ERROR(syscall(SYS_getcwd, path, 5), ERANGE);
    struct statfs fs;
    CHECK(realpath("../one/out", path) && !strcmp(path, FOLDER "/one/out"));
    CHECK(readlink("/proc/self/cwd", path, 5) == 5 && !memcmp(path, FOLDER, 5));
    CHECK_ERROR(readlink("out", path, sizeof path), EINVAL);
    CHECK_ERROR(readlink("none", path, sizeof path), ENOENT);
    CHECK(statfs(FOLDER, &fs) == 0 && fs.f_type == 0x62656570);
    CHECK(open("out", O_RDONLY) >= 0 && lists(".", "in") && lists("..", "one"));
    pid_t child = fork();
    if (child == 0)
        execl("/proc/self/exe", "door_child", "inside", NULL);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(chdir("..") == 0 && stat("one/out", &st) == 0 && stat("../folder/one", &st) == 0);
    /* Above it all is the kernel's again. */
    CHECK(stat("../../../..", &st) == 0 && stat("/sys", &same) == 0 && st.st_ino == same.st_ino);
    CHECK(chdir("../../../..") == 0 && getcwd(path, sizeof path) && !strcmp(path, "/sys"));
    CHECK(fchdir(at) == 0 && open("one/out", O_RDONLY) >= 0);
    CHECK(chdir("/sys/kernel") == 0);
}

static void run_folder(void)
{
    char text[20];
    struct stat st;
    CHECK(stat(FOLDER, &st) == 0 && S_ISDIR(st.st_mode));
    CHECK(stat("/sys/kernel/config/softsev-above", &st) == 0 && S_ISDIR(st.st_mode));
    /* What is there already stays the kernel's, up to the root. */
    struct stat same;
    CHECK(stat("/sys/kernel", &st) == 0 && fstat(open("/sys/kernel", O_RDONLY), &same) == 0);
    CHECK(st.st_ino == same.st_ino && st.st_dev == same.st_dev);
    CHECK(stat("/", &st) == 0 && fstat(open("/", O_RDONLY), &same) == 0);
    CHECK(st.st_ino == same.st_ino && st.st_dev == same.st_dev);
    CHECK_ERROR(mkdir(FOLDER, 0777), EEXIST);
    CHECK_ERROR(stat(FOLDER "/one", &st), ENOENT);
    CHECK(mkdir(FOLDER "/one", 0777) == 0);
    CHECK_ERROR(mkdir(FOLDER "/one", 0777), EEXIST);
    CHECK(stat(FOLDER "/one/in", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 4096);
    int fd = open(FOLDER "/one/in", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    CHECK(fd >= 0 && write(fd, "hello", 5) == 5 && close(fd) == 0);
    CHECK_ERROR(open(FOLDER "/one/in", O_RDONLY), EACCES);
    CHECK_ERROR(open(FOLDER "/one/out", O_RDWR), EACCES);
    CHECK_ERROR(open(FOLDER "/one/none", O_WRONLY | O_CREAT, 0600), EACCES);
    CHECK_ERROR(open(FOLDER "/two/none", O_WRONLY | O_CREAT, 0600), ENOENT);
    CHECK(chdir("/sys/kernel") == 0);
    fd = open("config/softsev-above/folder//one/./out", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text) == 5 && !memcmp(text, "hello", 5));
    /* A file is the same by its path and by its descriptor, as cp wants it. */
    CHECK(fstat(fd, &same) == 0 && stat(FOLDER "/one/out", &st) == 0);
    CHECK(same.st_ino == st.st_ino && same.st_dev == st.st_dev);
    check_entering();
    CHECK_ERROR(unlink(FOLDER "/one/in"), EPERM);
    CHECK_ERROR(unlink(FOLDER "/one"), EISDIR);
    CHECK_ERROR(rmdir(FOLDER "/one/in"), ENOTDIR);
    CHECK_ERROR(rmdir(FOLDER), EPERM);
    CHECK_ERROR(rename(FOLDER "/one", FOLDER "/two"), EPERM);
    CHECK_ERROR(link("/dev/null", FOLDER "/two"), EPERM);
    CHECK_ERROR(symlink("/dev/null", FOLDER "/two"), EPERM);
    CHECK(rmdir(FOLDER "/one") == 0);
    CHECK_ERROR(rmdir(FOLDER "/one"), ENOENT);
    CHECK_ERROR(mkdir("/nowhere/folder", 0777), ENOENT);
}

/* The supervisor's files for the folder are the same user's: another program has put a pipe in the
 * place of one. */
static void run_swapped(void)
{
    struct stat st;
    char sign[200];
    snprintf(sign, sizeof sign, "%s/swapped", getenv("TMPDIR"));
    CHECK(mkdir(FOLDER "/one", 0777) == 0);
    for (int i = 0; i < 1000 && stat(sign, &st); i++)
        usleep(10000);
    CHECK(stat(sign, &st) == 0);
    CHECK_ERROR(open(FOLDER "/one/out", O_PATH), EIO);
    CHECK_ERROR(open(FOLDER "/one/out", O_RDONLY), EIO);
}

/* A new program in the folder that its parent has entered. */
static void run_inside(void)
{
    CHECK(open("out", O_RDONLY) >= 0);
}

static void run_nothing(void)
{
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"plain", run_plain},       {"raw", run_raw},         {"paths", run_paths},
    {"stat", run_stat},         {"change", run_change},   {"pass", run_pass},
    {"pointers", run_pointers}, {"die", run_die},         {"threads", run_threads},
    {"signals", run_signals},   {"timer", run_timer},     {"daemon", run_daemon},
    {"linger", run_linger},     {"kill", run_kill},       {"family", run_family},
    {"hold", run_hold},         {"held", run_held},       {"term", run_term},
    {"folder", run_folder},     {"nothing", run_nothing}, {"inside", run_inside},
    {"swapped", run_swapped},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof modes[0]; i++) {
        if (!strcmp(argv[1], modes[i].name)) {
            modes[i].run();
            return 0;
        }
    }
    return 255;
}
