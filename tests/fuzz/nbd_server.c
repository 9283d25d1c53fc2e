/* SPDX-License-Identifier: Apache-2.0 */
/* An NBD server's bytes: the handshake, then what it answers to a read, a write, a flush. They wait
 * in a socket, and nothing comes after them. */
#include "cli/run/nbd.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX KIB(64) /* fits into a socket */

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static u8 block[4096];
    struct error e = {.code = ERROR_NONE};
    struct nbd n;
    int ends[2];
    size = (size_t)min_u64(size, INPUT_MAX);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    if (send(ends[0], data, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size && size)
        abort();
    shutdown(ends[0], SHUT_WR);
    const bool good = !nbd_open(&n, "fuzz", ends[1], &e);
    if (good == (e.code != ERROR_NONE))
        abort();
    if (good && nbd_read(&n, 0, block, sizeof block) && nbd_write(&n, 512, block, sizeof block))
        nbd_read(&n, 0, block, 512);
    nbd_close(&n);
    close(ends[0]);
    return 0;
}
