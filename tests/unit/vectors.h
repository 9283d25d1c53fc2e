/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public test vectors, read from a folder outside the project: $SOFTSEV_VECTORS, or
 * ../shared/vectors as seen from the project's root or from a build folder in it. Where a file is
 * absent, the test is skipped.
 */
#ifndef SOFTSEV_TESTS_VECTORS_H
#define SOFTSEV_TESTS_VECTORS_H

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static inline FILE *vector_open(const char *name)
{
    const char *folders[] = {getenv("SOFTSEV_VECTORS"), "../shared/vectors",
                             "../../shared/vectors"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        char path[4096];
        if (!folders[i])
            continue;
        snprintf(path, sizeof path, "%s/%s", folders[i], name);
        FILE *f = fopen(path, "rb");
        if (f)
            return f;
    }
    return NULL;
}

/* Reads up to `size` bytes and returns how many there were;
 * skips the test if there is no such file. */
static inline size_t vector_load(const char *name, void *out, size_t size)
{
    FILE *f = vector_open(name);
    if (!f) {
        print_message("# no vector %s\n", name);
        skip();
        return 0;
    }
    size_t count = fread(out, 1, size, f);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    return count;
}

#endif
