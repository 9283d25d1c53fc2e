/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a fuzz target's corpus in the ordinary tests: each file of the folder, and a few thousand
 * mutations of it by a fixed generator, so that the run is the same every time.
 */
#include "base/base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define INPUT_MAX     65536u
#define MUTATIONS     300u
#define MUTATED_BYTES 4u

static u64 next_random(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A copy of exactly `size` bytes, so that a sanitizer sees reads past the end. */
static void run_copy(const u8 *data, size_t size)
{
    u8 *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_mutations(u8 *data, size_t size)
{
    u64 state = 0x9e3779b97f4a7c15ull ^ size;
    u8 changed[INPUT_MAX];
    for (u32 i = 0; i < MUTATIONS && size; i++) {
        memcpy(changed, data, size);
        for (u32 k = 0; k < MUTATED_BYTES; k++)
            changed[next_random(&state) % size] = (u8)next_random(&state);
        run_copy(changed, i % 4 ? size : (size_t)(next_random(&state) % size));
    }
}

static bool replay_file(const char *folder, const char *name)
{
    char path[1024];
    static u8 data[INPUT_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    run_copy(data, size);
    run_mutations(data, size);
    return true;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (!folder) {
        fprintf(stderr, "usage: replay CORPUS-FOLDER (which must exist)\n");
        return 2;
    }
    unsigned files = 0;
    bool ok = true;
    run_copy((const u8 *)"", 0);
    for (struct dirent *e = readdir(folder); e && ok; e = readdir(folder))
        if (e->d_name[0] != '.')
            ok = replay_file(argv[1], e->d_name) && ++files;
    closedir(folder);
    printf("1..1\n%s 1 - %u inputs and %u mutations of each\n", ok && files ? "ok" : "not ok",
           files, MUTATIONS);
    return ok && files ? 0 : 1;
}
