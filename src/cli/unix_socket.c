/* SPDX-License-Identifier: Apache-2.0 */
/* Makes Unix sockets and connects to them. */
#include "cli/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

static int address_of(const char *what, const char *path, struct sockaddr_un *out, struct error *e)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof out->sun_path)
        return error_set(e, ERROR_USAGE, "%s: the path of a Unix socket has 1 to %zu bytes", what,
                         sizeof out->sun_path - 1);
    strcpy(out->sun_path, path);
    return 0;
}

int unix_socket_make(const char *what, const char *path, int *fd, struct error *e)
{
    struct sockaddr_un a;
    if (address_of(what, path, &a, e))
        return -1;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t before = umask(0177);
    const int bound = bind(*fd, (const struct sockaddr *)&a, sizeof a);
    const int why = errno;
    umask(before);
    return bound ? error_set(e, ERROR_FILE, "%s: no socket can be made at %s: %s%s", what, path,
                             strerror(why),
                             why == EADDRINUSE ? " (if no run uses it, remove the file)" : "")
                 : 0;
}

int unix_socket_connect(const char *what, const char *path, u64 seconds, int *fd, struct error *e)
{
    const struct timeval limit = {.tv_sec = (time_t)seconds};
    struct sockaddr_un a;
    if (address_of(what, path, &a, e))
        return -1;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd >= 0 && !setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) &&
        !setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) &&
        !connect(*fd, (const struct sockaddr *)&a, sizeof a))
        return 0;
    return errno;
}
