/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing share: names in errors. */
#ifndef SOFTSEV_FILES_INTERNAL_H
#define SOFTSEV_FILES_INTERNAL_H

#include "files/files.h"

/* A file's name in errors: `where`/`name`, or `name` alone where `where` is NULL. */
struct file_shown {
    char text[300];
};
struct file_shown file_shown(const char *where, const char *name);

/* "a folder", "a pipe", ... of a mode as stat gives it. */
const char *file_kind(unsigned mode);

#endif
