/* SPDX-License-Identifier: Apache-2.0 */
/* A client of NBD, the protocol by which qemu-nbd, qemu-storage-daemon and nbdkit serve disks in
 * other formats. One request at a time; a server that is slow or lies harms nobody. */
#ifndef SOFTSEV_CLI_RUN_NBD_H
#define SOFTSEV_CLI_RUN_NBD_H

#include "base/error.h"

#define NBD_PREFIX "nbd:unix:"

struct nbd {
    int fd; /* -1: none */
    u64 size;
    bool read_only, can_flush;
    u64 cookie;
};

/* Opens the default export of the server at a Unix socket; `path` is for errors alone if `fd` is
 * connected already (-1: it is not). */
int nbd_open(struct nbd *n, const char *path, int fd, struct error *e);
void nbd_close(struct nbd *n); /* does nothing to one that is not open */
/* Read and write within the size; false: the server says no, or is gone. */
bool nbd_read(struct nbd *n, u64 offset, void *out, size_t size);
bool nbd_write(struct nbd *n, u64 offset, const void *data, size_t size);

#endif
