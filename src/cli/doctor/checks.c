/* SPDX-License-Identifier: Apache-2.0 */
/* Checks what each feature needs from this computer, by trying it where a try leaves no trace. */
#define _GNU_SOURCE /* memfd_create(), process_vm_readv() */
#include "cli/doctor/doctor.h"

#include "base/error.h"
#include "state/state.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define GUEST_MIB 512u /* `softsev run --memory` by default */

static bool say(char found[DOCTOR_TEXT], bool good, const char *what, const char *detail)
{
    snprintf(found, DOCTOR_TEXT, "%.90s%.200s", what, detail);
    return good;
}

/* --- run -------------------------------------------------------------------------------------- */

static bool memory(char found[DOCTOR_TEXT])
{
    unsigned long long available = 0;
    char line[200];
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu kB", &available) == 1)
            break;
    if (f)
        fclose(f);
    struct rlimit limit;
    if (!getrlimit(RLIMIT_AS, &limit) && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur / 1024 < available)
        available = limit.rlim_cur / 1024;
    snprintf(found, DOCTOR_TEXT, "%llu MiB may be used", available / 1024);
    return available / 1024 >= GUEST_MIB + GUEST_MIB / 4;
}

static bool executable_memory(char found[DOCTOR_TEXT])
{
#ifdef __x86_64__
    const int fd = memfd_create("softsev-doctor", MFD_CLOEXEC);
    void *code = MAP_FAILED;
    if (fd >= 0 && !ftruncate(fd, 4096))
        code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    const int why = errno;
    if (fd >= 0)
        close(fd);
    if (code == MAP_FAILED)
        return say(found, false, "memory files cannot be executed: ", strerror(why));
    munmap(code, 4096);
    return say(found, true, "memory files can be executed", "");
#else
    return say(found, false, "this computer has no x86-64 processor", "");
#endif
}

/* --- with ------------------------------------------------------------------------------------- */

/* Runs a check in a child process, which may get a filter that the parent must not have. Returns 0
 * or an errno. */
static int in_child(int (*try)(void))
{
    int status;
    const pid_t child = fork();
    if (!child)
        _exit(try());
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    if (child < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

static int try_notification(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return errno;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                   &program) < 0
               ? errno
               : 0;
}

static bool notification(char found[DOCTOR_TEXT])
{
    const int why = in_child(try_notification);
    if (why == EBUSY)
        return say(found, false, "this process has a supervisor already", "");
    return why ? say(found, false, "seccomp: ", strerror(why))
               : say(found, true, "seccomp tells of system calls", "");
}

static bool kernel(char found[DOCTOR_TEXT])
{
    struct utsname u;
    unsigned major = 0, minor = 0;
    if (uname(&u) || sscanf(u.release, "%u.%u", &major, &minor) != 2)
        return say(found, false, "the kernel's version cannot be read", "");
    return say(found, major > 5 || (major == 5 && minor >= 9), "Linux ", u.release);
}

static volatile int probed = 7;

/* Reads a child's memory and registers, as the doors do. */
static bool other_process(char found[DOCTOR_TEXT])
{
    int value = 0, status;
    const pid_t child = fork();
    if (!child)
        for (;;)
            pause();
    if (child < 0)
        return say(found, false, "no process: ", strerror(errno));
    struct iovec mine = {&value, sizeof value}, theirs = {(void *)&probed, sizeof probed};
    bool good = process_vm_readv(child, &mine, 1, &theirs, 1, 0) == (ssize_t)sizeof value;
    const char *what = "process_vm_readv: ";
    if (good) {
        what = "ptrace: ";
        good = !ptrace(PTRACE_SEIZE, child, NULL, NULL);
    }
    const int why = errno;
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return good ? say(found, true, "memory and threads of a child can be reached", "")
                : say(found, false, what, strerror(why));
}

/* --- Files, programs, libraries --------------------------------------------------------------- */

#define PROBE "/.softsev-doctor-XXXXXX"

static bool state_folder(char found[DOCTOR_TEXT])
{
    char folder[STATE_DIRECTORY_MAX];
    struct error e = {.code = ERROR_NONE};
    struct stat s;
    if (state_default(folder, sizeof folder, &e))
        return say(found, false, e.text, "");
    /* The folder is made when it is needed, so the nearest folder that exists decides. The check
     * writes to it: permissions alone do not tell of read-only file systems. */
    char parent[STATE_DIRECTORY_MAX + sizeof PROBE];
    snprintf(parent, STATE_DIRECTORY_MAX, "%s", folder);
    for (char *end; stat(parent, &s) && (end = strrchr(parent, '/')) && end != parent;)
        *end = '\0';
    strcat(parent, PROBE);
    if (!mkdtemp(parent)) {
        const int why = errno;
        *strrchr(parent, '/') = '\0';
        snprintf(found, DOCTOR_TEXT, "%.140s: %.100s", parent, strerror(why));
        return false;
    }
    rmdir(parent);
    return say(found, true, "", folder);
}

static bool in_path(const char *name, char found[DOCTOR_TEXT])
{
    const char *path = getenv("PATH");
    char full[DOCTOR_TEXT];
    for (const char *at = path ? path : ""; *at; at += strspn(at, ":")) {
        const size_t size = strcspn(at, ":");
        const int length = snprintf(full, sizeof full, "%.*s/%s", (int)size, at, name);
        if (length < (int)sizeof full && !access(full, X_OK))
            return say(found, true, full, "");
        at += size;
    }
    return say(found, false, "not in $PATH: ", name);
}

static bool python(char found[DOCTOR_TEXT])
{
    return in_path("python3", found);
}

static bool gpgv(char found[DOCTOR_TEXT])
{
    return in_path("gpgv", found);
}

static bool gdb(char found[DOCTOR_TEXT])
{
    return in_path("gdb", found);
}

static bool keyring(char found[DOCTOR_TEXT])
{
    static const char path[] = "/usr/share/keyrings/debian-archive-keyring.gpg";
    return say(found, !access(path, R_OK), access(path, R_OK) ? "there is no " : "", path);
}

static bool library(const char *name, char found[DOCTOR_TEXT])
{
    void *handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (!handle)
        return say(found, false, "", dlerror());
    dlclose(handle);
    return say(found, true, name, "");
}

static bool slirp(char found[DOCTOR_TEXT])
{
    return library("libslirp.so.0", found);
}

static bool microhttpd(char found[DOCTOR_TEXT])
{
    return library("libmicrohttpd.so.12", found);
}

static bool curl(char found[DOCTOR_TEXT])
{
    return library("libcurl.so.4", found);
}

const struct doctor_check doctor_checks[] = {
    {DOCTOR_RUN, "memory for a guest of 512 MiB", memory,
     "close programs, raise `ulimit -v`, or give the guest less by --memory"},
    {DOCTOR_SPEED, "memory for translated code", executable_memory,
     "guests run by the interpreter, several times slower; a sandbox or policy of this computer "
     "forbids it"},
    {DOCTOR_WITH, "Linux 5.9", kernel, "a newer kernel"},
    {DOCTOR_WITH, "a supervisor for system calls", notification,
     "leave the other supervisor, or let the container's seccomp profile allow seccomp()"},
    {DOCTOR_WITH, "a look into child processes", other_process,
     "let the container's seccomp profile allow ptrace() and process_vm_readv(), and set "
     "kernel.yama.ptrace_scope to 0 or 1"},
    {DOCTOR_NET, "libslirp", slirp, "install libslirp0 (Debian's name)"},
    {DOCTOR_STATE, "a folder for the platform", state_folder,
     "name another by --state or $SOFTSEV_STATE"},
    {DOCTOR_GUEST, "Python 3", python, "install python3"},
    {DOCTOR_GUEST, "gpgv", gpgv, "install gpgv"},
    {DOCTOR_GUEST, "Debian's keys", keyring,
     "install debian-archive-keyring, or name a keyring by --keyring"},
    {DOCTOR_KDS, "libmicrohttpd", microhttpd, "install libmicrohttpd12 (Debian's name)"},
    {DOCTOR_ASK_KDS, "libcurl", curl, "install libcurl4 (Debian's name)"},
    {DOCTOR_GDB, "GDB", gdb, "install gdb"},
};
const size_t doctor_check_count = ARRAY_SIZE(doctor_checks);
