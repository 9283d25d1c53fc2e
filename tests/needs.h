/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test needs from outside the tree: public vectors, Debian's firmware images, a program, a
 * processor. A test names its needs in its head, and they are looked for before it begins: skip()
 * leaves by longjmp, so whatever the test held by then would be lost. Nothing else may call skip()
 * (tools/check_tree.py), and a test finds no file but those that its head names.
 */
#ifndef SOFTSEV_TESTS_NEEDS_H
#define SOFTSEV_TESTS_NEEDS_H

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include <cmocka.h>

#define NEEDS_FILES_MAX 12

struct needs {
    const char *vectors[NEEDS_FILES_MAX];
    struct {
        const char *name, *sha256; /* no hash: any version serves */
    } images[2];
    const char *program;
    bool (*host)(void); /* whether the computer can run the test */
};

/*
 * A test, where its head would stand:
 *     test_that_needs(a_chain_verifies, .vectors = {"sev/rome/pek.cert"})
 *     {
 */
#define test_that_needs(f, ...)                                                                    \
    static void f##_if_it_can_be(void **state);                                                    \
    static void f(void **state)                                                                    \
    {                                                                                              \
        static const struct needs needs = {__VA_ARGS__};                                           \
        needs_run(&needs, f##_if_it_can_be, state);                                                \
    }                                                                                              \
    static void f##_if_it_can_be(void **state)

/* Where the program was started: some tests work in another folder. */
static char needs_start[4000];
static const struct needs *needs_current;

__attribute__((constructor)) static void needs_remember_start(void)
{
    if (!getcwd(needs_start, sizeof needs_start))
        abort();
}

/* Finds a file in the first of some folders that has it; NULL: none has. The next call ends the
 * path's life. */
static inline const char *needs_find(const char *const folders[], size_t count, const char *name)
{
    static char path[5000];
    for (size_t i = 0; i < count; i++) {
        if (!folders[i])
            continue;
        bool absolute = folders[i][0] == '/';
        snprintf(path, sizeof path, "%s%s%s/%s", absolute ? "" : needs_start, absolute ? "" : "/",
                 folders[i], name);
        if (access(path, R_OK) == 0)
            return path;
    }
    return NULL;
}

static inline const char *needs_find_vector(const char *name)
{
    const char *const folders[] = {getenv("SOFTSEV_VECTORS"), "../shared/vectors",
                                   "../../shared/vectors", "out/vectors", "../out/vectors"};
    return needs_find(folders, ARRAY_SIZE(folders), name);
}

static inline const char *needs_find_image(const char *name)
{
    const char *out = getenv("OUT");
    char oracles[4096];
    snprintf(oracles, sizeof oracles, "%s/oracles", out ? out : "out");
    const char *const folders[] = {getenv("SOFTSEV_ORACLES"), oracles, "../out/oracles"};
    return needs_find(folders, ARRAY_SIZE(folders), name);
}

/* Reads a whole file of at most `size` bytes; returns how many there were. */
static inline size_t needs_read(const char *path, void *out, size_t size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t count = fread(out, 1, size, f);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    return count;
}

static inline bool needs_image_is(const char *path, const char *sha256)
{
    static u8 bytes[MIB(8)];
    u8 digest[32];
    char text[65];
    if (!path || !sha256)
        return path;
    size_t size = needs_read(path, bytes, sizeof bytes);
    assert_int_equal(EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return strcmp(text, sha256) == 0;
}

static inline bool needs_program_is_there(const char *program)
{
    char command[200];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", program);
    return system(command) == 0;
}

/* Prints the first need that is not met; returns false if all are. */
static inline bool needs_something(const struct needs *n)
{
    for (size_t i = 0; i < ARRAY_SIZE(n->vectors) && n->vectors[i]; i++) {
        if (needs_find_vector(n->vectors[i]))
            continue;
        print_message("# no vector %s\n", n->vectors[i]);
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(n->images) && n->images[i].name; i++) {
        if (needs_image_is(needs_find_image(n->images[i].name), n->images[i].sha256))
            continue;
        print_message("# no image %s%s\n", n->images[i].name,
                      n->images[i].sha256 ? " of that version" : "");
        return true;
    }
    if (n->program && !needs_program_is_there(n->program)) {
        print_message("# no %s\n", n->program);
        return true;
    }
    if (n->host && !n->host()) {
        print_message("# not on this computer\n");
        return true;
    }
    return false;
}

static inline void needs_run(const struct needs *n, void (*run)(void **state), void **state)
{
    if (needs_something(n))
        skip();
    needs_current = n;
    run(state);
    needs_current = NULL;
}

/* The path of a vector that the running test needs by its head. */
static inline const char *vector_path(const char *name)
{
    bool named = false;
    for (size_t i = 0; needs_current && i < ARRAY_SIZE(needs_current->vectors); i++)
        if (needs_current->vectors[i] && !strcmp(needs_current->vectors[i], name))
            named = true;
    if (!named)
        print_message("# %s is not in the test's head\n", name);
    assert_true(named);
    return needs_find_vector(name);
}

static inline size_t vector_load(const char *name, void *out, size_t size)
{
    return needs_read(vector_path(name), out, size);
}

/* The path of an image that the running test needs by its head. */
static inline const char *image_path(const char *name)
{
    bool named = false;
    for (size_t i = 0; needs_current && i < ARRAY_SIZE(needs_current->images); i++)
        if (needs_current->images[i].name && !strcmp(needs_current->images[i].name, name))
            named = true;
    if (!named)
        print_message("# %s is not in the test's head\n", name);
    assert_true(named);
    return needs_find_image(name);
}

static inline size_t image_load(const char *name, void *out, size_t size)
{
    return needs_read(image_path(name), out, size);
}

#endif
