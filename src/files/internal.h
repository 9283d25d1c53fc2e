/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing share: the names that errors show. */
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

#endif
