/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a test that calls subcommands, and what they print, caught in one. */
#ifndef SOFTSEV_TESTS_CLI_OUTPUT_H
#define SOFTSEV_TESTS_CLI_OUTPUT_H

#include "base/base.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static inline size_t read_file(const char *path, void *out, size_t size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, size, f);
    fclose(f);
    return n;
}

static inline void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

/* Runs a subcommand with its standard output in a file. */
static inline int run_into(const char *path, int (*command)(int argc, char **argv), int argc,
                           char **argv)
{
    fflush(stdout);
    int old = dup(STDOUT_FILENO), caught = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(caught, STDOUT_FILENO);
    int result = command(argc, argv);
    fflush(stdout);
    dup2(old, STDOUT_FILENO);
    close(old);
    close(caught);
    return result;
}

#endif
