/* SPDX-License-Identifier: Apache-2.0 */
/* Files as disks of a machine, whoever runs on it. */
#ifndef SOFTSEV_CLI_RUN_DISK_H
#define SOFTSEV_CLI_RUN_DISK_H

#include "base/error.h"

#include <stddef.h>

/* A disk that was asked for; changes to a snapshot end with the run. */
struct run_disk_options {
    char *path;
    bool read_only, snapshot;
};

/* An open disk. */
struct run_disk_file {
    u64 size; /* bytes, a multiple of 512 */
    bool (*read)(void *context, u64 offset, void *out, size_t size);
    bool (*write)(void *context, u64 offset, const void *data, size_t size); /* NULL: read-only */
    void *context;                                                           /* NULL: not open */
};

/* Parses "FILE[,readonly][,snapshot]". The caller frees the path, even after an error. */
int run_parse_disk(const char *text, struct run_disk_options *out, struct error *e);
int run_open_disk(const struct run_disk_options *o, struct run_disk_file *out, struct error *e);
/* The same for a disk that another run still has: it is measured, and opened by run_take_disk(). */
int run_expect_disk(const struct run_disk_options *o, struct run_disk_file *out, struct error *e);
/* Give a disk that the guest writes to another run, and take one from there. Both do nothing to a
 * disk that is only read. */
int run_give_disk(const struct run_disk_options *o, struct run_disk_file *disk, struct error *e);
int run_take_disk(const struct run_disk_options *o, struct run_disk_file *disk, struct error *e);
const char *run_disk_place(const struct run_disk_options *o); /* its file, or its server's socket */
void run_close_disk(struct run_disk_file *disk); /* does nothing to one that is not open */

#endif
