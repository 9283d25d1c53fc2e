/* SPDX-License-Identifier: Apache-2.0 */
/* A small FAT file system in memory, with files in its root: cloud-init's seed disk. */
#ifndef SOFTSEV_CLI_RUN_SEED_DISK_H
#define SOFTSEV_CLI_RUN_SEED_DISK_H

#include "base/base.h"

#define SEED_FILES_MAX     4u
#define SEED_FILE_SIZE_MAX MIB(1)
#define SEED_NAME_MAX      26u

struct seed_file {
    const char *name;       /* up to SEED_NAME_MAX characters of ASCII */
    const char *short_name; /* the same in 8 and 3 capital letters, filled with blanks */
    const u8 *data;
    size_t size; /* up to SEED_FILE_SIZE_MAX */
};

/* Makes the file system; equal files give equal bytes. The caller frees it. NULL: no memory.
 * `*size` is a multiple of 512. */
u8 *seed_disk_make(const char label[12], const struct seed_file *files, u32 count, size_t *size);

#endif
