/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share: the names that errors show, and the lock on disks. */
#ifndef SOFTSEV_FILES_INTERNAL_H
#define SOFTSEV_FILES_INTERNAL_H

#include "files/files.h"

/* A file's name in errors: `where`/`name`, or `name` alone if `where` is NULL. */
struct file_shown {
    char text[300];
};
struct file_shown file_shown(const char *where, const char *name);

/* Returns "a folder", "a pipe", ... for a mode from stat. */
const char *file_kind(unsigned mode);

/* Locks an open disk image; files.h says against whom. */
enum file_answer file_lock_disk(int fd, const char *shown, bool writes, struct error *e);

#endif
