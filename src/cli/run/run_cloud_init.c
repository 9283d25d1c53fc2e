/* SPDX-License-Identifier: Apache-2.0 */
/* The disk from which cloud-init in a guest takes its configuration: the files of a folder, in a
 * file system that is labelled CIDATA [cloud-init, datasource NoCloud]. */
#include "cli/run/run.h"
#include "cli/run/seed_disk.h"
#include "files/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#define LABEL "CIDATA     "

static const struct seed_row {
    const char *name, *short_name;
    bool needed;
} rows[SEED_FILES_MAX] = {
    {"user-data", "USER-D~1   ", true},
    {"meta-data", "META-D~1   ", true},
    {"network-config", "NETWOR~1   ", false},
    {"vendor-data", "VENDOR~1   ", false},
};

struct run_seed {
    u8 *bytes;
    size_t size;
};

static bool is_known(const char *name)
{
    for (u32 i = 0; i < SEED_FILES_MAX; i++)
        if (!strcmp(name, rows[i].name))
            return true;
    return name[0] == '.' || name[strlen(name) - 1] == '~'; /* an editor's */
}

/* A file under a wrong name would be without effect, and nobody would say so. */
static int check_names(const char *path, struct error *e)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int result = 0;
    if (!folder)
        return error_set(e, ERROR_FILE, "--cloud-init: %s: %s", path, strerror(errno));
    while (!result && (entry = readdir(folder)))
        if (!is_known(entry->d_name))
            result = error_set(e, ERROR_FILE,
                               "--cloud-init: %s/%.80s: cloud-init reads user-data, meta-data, "
                               "network-config and vendor-data, and nothing else",
                               path, entry->d_name);
    closedir(folder);
    return result;
}

/* Returns 1 if there is no such file. */
static int read_file(const char *folder, const struct seed_row *row, struct file_data *out,
                     struct error *e)
{
    const struct file_rule rule = {.size_max = SEED_FILE_SIZE_MAX};
    struct error why = {.code = ERROR_NONE};
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", folder, row->name) >= (int)sizeof path)
        return error_set(e, ERROR_FILE, "--cloud-init: the path is too long");
    switch (file_read(path, &rule, out, &why)) {
    case FILE_READ:
        return 0;
    case FILE_ABSENT:
        return row->needed
                   ? error_set(e, ERROR_FILE,
                               "--cloud-init: %s is missing; cloud-init needs user-data and "
                               "meta-data, and an empty file is enough",
                               path)
                   : 1;
    default:
        return error_set(e, why.code, "--cloud-init: %s", why.text);
    }
}

static int make_disk(struct run_seed *seed, const char *folder, struct file_data *data,
                     struct error *e)
{
    struct seed_file files[SEED_FILES_MAX];
    u32 count = 0;
    for (u32 i = 0; i < SEED_FILES_MAX; i++) {
        const int result = read_file(folder, &rows[i], &data[i], e);
        if (result < 0)
            return -1;
        if (!result)
            files[count++] =
                (struct seed_file){rows[i].name, rows[i].short_name, data[i].data, data[i].size};
    }
    seed->bytes = seed_disk_make(LABEL, files, count, &seed->size);
    return seed->bytes ? 0 : error_set(e, ERROR_MEMORY, "no memory for --cloud-init");
}

int run_seed_open(struct run_vm *v, struct error *e)
{
    struct file_data data[SEED_FILES_MAX] = {{.data = NULL}};
    const char *folder = v->options->cloud_init;
    if (!folder)
        return 0;
    v->seed = calloc(1, sizeof *v->seed);
    if (!v->seed)
        return error_set(e, ERROR_MEMORY, "no memory for --cloud-init");
    const int result = check_names(folder, e) || make_disk(v->seed, folder, data, e) ? -1 : 0;
    for (u32 i = 0; i < SEED_FILES_MAX; i++)
        file_free(&data[i]);
    return result;
}

static bool read_seed(void *context, u64 offset, void *out, size_t size)
{
    const struct run_seed *seed = context;
    if (!range_fits(offset, size, seed->size))
        return false;
    memcpy(out, seed->bytes + offset, size);
    return true;
}

void run_seed_add(struct run_vm *v, struct vm_config *config)
{
    if (v->seed)
        config->disks[config->disk_count++] =
            (struct vm_disk){.size = v->seed->size, .read = read_seed, .context = v->seed};
}

void run_seed_close(struct run_vm *v)
{
    if (v->seed)
        free(v->seed->bytes);
    free(v->seed);
    v->seed = NULL;
}
