/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a subcommand reads as a whole. */
#ifndef SOFTSEV_CLI_INPUT_H
#define SOFTSEV_CLI_INPUT_H

#include "base/error.h"

/* A file's name and whole content. */
struct cli_file {
    char *name;
    u8 *data; /* NULL: none */
    size_t size;
};

/* Reads the whole content of an image (kernel, initrd, firmware): a file of at most 2 GiB, or a
 * pipe that gives at most 64 MiB. A NULL path gives an empty file; otherwise `data` is not NULL,
 * and data[size] is 0. -1: it cannot be read. */
int cli_read_file(const char *path, struct cli_file *out, struct error *e);
/* Does the same for an image of a guest with that much memory: a larger file is not read at all.
 * Firmware, which lies outside the guest's memory, may have CLI_FIRMWARE_MAX bytes. */
#define CLI_FIRMWARE_MAX MIB(64)
int cli_read_image(const char *path, u64 memory, struct cli_file *out, struct error *e);
/* Does the same for a small file: a report, key, certificate or text. */
#define CLI_SMALL MIB(1)
int cli_read_small(const char *path, struct cli_file *out, struct error *e);
/* Does the same for a file that another party puts into an exchange folder. Refuses links and
 * pipes. */
int cli_read_exchange(const char *path, struct cli_file *out, struct error *e);
/* Wipes and frees the content. */
void cli_free_file(struct cli_file *f);

#endif
