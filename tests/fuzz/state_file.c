/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of the state directory. The first byte's low bits say which; its high bit says that a
 * right checksum is put behind the rest.
 */
#include "state/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static char folder[] = "/tmp/softsev-fuzz-XXXXXX";
static const char *const names[STATE_FILES] = {"fuses", "store",   "authority",
                                               "cek",   "profile", "committed"};

static void remove_folder(void)
{
    char path[64];
    for (int i = 0; i < STATE_FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/lock", folder);
    unlink(path);
    rmdir(folder);
}

static void write_file(const char *path, const u8 *data, size_t size, bool checksum)
{
    u8 hash[32];
    crypto_sha256(data, size, hash);
    FILE *f = fopen(path, "wb");
    if (!f || fchmod(fileno(f), 0600) || fwrite(data, 1, size, f) != size)
        abort();
    if (checksum && fwrite(hash, 1, sizeof hash, f) != sizeof hash)
        abort();
    fclose(f);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static bool made;
    if (!made) {
        if (!mkdtemp(folder))
            abort();
        atexit(remove_folder);
        struct error first = {.code = ERROR_NONE};
        state_close(state_open(folder, NULL, &first));
        made = true;
    }
    if (!size)
        return 0;
    enum state_file file = (enum state_file)((data[0] & 0x7f) % STATE_FILES);
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, names[file]);
    write_file(path, data + 1, size - 1, data[0] & 0x80);
    struct error e = {.code = ERROR_NONE};
    struct state *s = state_open(folder, NULL, &e);
    if (!s && e.code != ERROR_STATE)
        abort();
    u8 content[STATE_FILE_MAX];
    size_t got = 0;
    if (s && (state_read(s, file, content, sizeof content, &got, &e) != STATE_READ ||
              got > sizeof content))
        abort();
    const struct firmware_profile *profile;
    struct firmware_committed floor;
    struct error e2 = {.code = ERROR_NONE}, e3 = {.code = ERROR_NONE};
    if (s && state_profile(s, NULL, &profile, &e2) && e2.code != ERROR_STATE &&
        e2.code != ERROR_FIRMWARE)
        abort();
    if (s && !state_committed(s, FIRMWARE_PROFILE_DEFAULT, &floor, &e3) &&
        !snp_tcb_at_most(floor.tcb, FIRMWARE_PROFILE_DEFAULT->tcb))
        abort();
    state_close(s);
    unlink(path);
    return 0;
}
