/* SPDX-License-Identifier: Apache-2.0 */
/* The helper programs of `softsev guest`: where they are, and how they are run. */
#include "cli/stock/stock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_FOUND 127 /* env: there is no interpreter */

/* Gets the folder that this program is in; empty if /proc cannot tell. */
static void own_folder(char out[PATH_MAX])
{
    const ssize_t size = readlink("/proc/self/exe", out, PATH_MAX - 1);
    out[size > 0 ? size : 0] = '\0';
    char *last = strrchr(out, '/');
    if (last)
        *last = '\0';
}

/* Finds a helper. Looks beside this program first: an installation may have been moved as a
 * whole. */
static bool find(const char *name, const char *in_build, char path[PATH_MAX])
{
    char own[PATH_MAX];
    own_folder(own);
    const struct {
        const char *top, *folder;
    } places[] = {
        {own, "/../libexec/softsev"},
        {SOFTSEV_LIBEXEC, ""},
        {own, in_build},
    };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const int size = snprintf(path, PATH_MAX, "%s%s/%s", places[i].top, places[i].folder, name);
        if (places[i].top[0] && size < PATH_MAX && !access(path, R_OK))
            return true;
    }
    return false;
}

int stock_find(const char *name, char path[PATH_MAX], struct error *e)
{
    if (find(name, "/guests/stock", path))
        return 0;
    return error_set(e, ERROR_FILE,
                     "the helper program '%s' is missing: it should be in " SOFTSEV_LIBEXEC
                     ", where `make install` puts it",
                     name);
}

bool stock_find_agent(char path[PATH_MAX])
{
    return find("softsev-agent", "/guests/agent", path);
}

int stock_run(char *const argv[], struct error *e)
{
    int status;
    const pid_t parent = getpid(), child = fork();
    if (!child) {
        /* It must not outlive this program, which a signal may end. */
        if (!prctl(PR_SET_PDEATHSIG, SIGTERM) && getppid() != parent)
            _exit(EXIT_NOT_FOUND);
        execv(argv[0], argv);
        _exit(EXIT_NOT_FOUND);
    }
    if (child < 0)
        return error_set(e, ERROR_INTERNAL, "no process for '%s': %s", argv[0], strerror(errno));
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return error_set(e, ERROR_INTERNAL, "'%s': %s", argv[0], strerror(errno));
    if (WIFSIGNALED(status))
        return error_set(e, ERROR_INTERNAL, "'%s' was ended by signal %d", argv[0],
                         WTERMSIG(status));
    if (WEXITSTATUS(status) == EXIT_NOT_FOUND)
        return error_set(e, ERROR_FILE, "'%s' cannot be run: it needs Python 3 as python3 in $PATH",
                         argv[0]);
    if (!WEXITSTATUS(status))
        return 0;
    e->code = ERROR_FILE;
    e->text[0] = '\0';
    return -1;
}
