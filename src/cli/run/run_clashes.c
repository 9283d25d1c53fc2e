/* SPDX-License-Identifier: Apache-2.0 */
/* Checks what the VMs of one machine may not share: names, disks that are written, exchange
 * folders. */
#include "cli/run/run.h"

#include "base/text.h"

#include <stdlib.h>
#include <sys/stat.h>

#define PATH_ROOM 4096u
#define NAME_ROOM 256u

/* The file or place that a path leads to, whatever its name. */
struct place {
    bool named;
    dev_t device; /* of the file; of its folder if there is no such file yet */
    ino_t inode;
    char last[NAME_ROOM]; /* its name in the folder; empty if the file exists */
};

#define READ_MAX 6u /* files of a VM that are read whole */

struct places {
    struct place disks[VM_DISKS_MAX], read[READ_MAX], owner_dir, serial, firmware_vars;
    const char *read_path[READ_MAX];
};

static struct place place_of(const char *path)
{
    struct place p = {.named = false};
    struct stat s;
    char folder[PATH_ROOM];
    if (!path)
        return p;
    if (!stat(path, &s)) {
        const bool block = S_ISBLK(s.st_mode);
        return (struct place){true, block ? s.st_rdev : s.st_dev, block ? 0 : s.st_ino, ""};
    }
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    size_t start = size;
    while (start && path[start - 1] != '/')
        start--;
    if (start >= sizeof folder || size - start >= sizeof p.last)
        return p; /* opening it will fail */
    snprintf(folder, sizeof folder, "%.*s", start ? (int)start : 1, start ? path : ".");
    if (stat(folder, &s))
        return p;
    p = (struct place){true, s.st_dev, s.st_ino, ""};
    memcpy(p.last, path + start, size - start);
    return p;
}

static bool same(const struct place *a, const struct place *b)
{
    return a->named && b->named && a->device == b->device && a->inode == b->inode &&
           !strcmp(a->last, b->last);
}

static int clash(const struct run_options *o, u32 first, u32 second, const char *what,
                 const char *value, const char *right, struct error *e)
{
    return error_set(e, ERROR_USAGE, "vms[%u] and vms[%u] have the same %s, %s; %s", first, second,
                     what, value ? value : o->vms[second].name, right);
}

static bool writes(const struct run_disk_options *d)
{
    return !d->read_only && !d->snapshot;
}

/* Returns the first disk of `b` that is also a disk of `a` and that one of them writes. For one VM
 * (a == b), returns the first disk that it has twice. Returns NULL if there is none. */
static const struct run_disk_options *shared_disk(const struct run_vm_options *a,
                                                  const struct places *at_a,
                                                  const struct run_vm_options *b,
                                                  const struct places *at_b)
{
    for (u32 j = 0; j < b->disk_count; j++)
        for (u32 i = 0; i < (a == b ? j : a->disk_count); i++)
            if ((writes(&a->disks[i]) || writes(&b->disks[j])) &&
                same(&at_a->disks[i], &at_b->disks[j]))
                return &b->disks[j];
    return NULL;
}

static int check_vm(const struct run_options *o, u32 i, const struct places *p, struct error *e)
{
    const struct run_vm_options *v = &o->vms[i];
    const struct run_disk_options *twice = shared_disk(v, p, v, p);
    return twice ? error_set(e, ERROR_USAGE,
                             "%s has the disk %s twice, and writes it; give a copy, or ',readonly' "
                             "or ',snapshot' behind both",
                             v->name, twice->path)
                 : 0;
}

/* Returns the file of `b` that is where the serial port of `a` leads, which would empty it; NULL:
 * there is none. */
static const char *emptied_file(const struct places *at_a, const struct run_vm_options *b,
                                const struct places *at_b)
{
    for (u32 i = 0; at_a->serial.named && i < READ_MAX; i++)
        if (same(&at_a->serial, &at_b->read[i]))
            return at_b->read_path[i];
    for (u32 i = 0; at_a->serial.named && i < b->disk_count; i++)
        if (same(&at_a->serial, &at_b->disks[i]))
            return b->disks[i].path;
    return NULL;
}

static int check_serial(const struct run_options *o, const struct places *p, u32 i, u32 j,
                        struct error *e)
{
    const char *path = emptied_file(&p[i], &o->vms[j], &p[j]);
    return path ? error_set(e, ERROR_USAGE,
                            "vms[%u]: 'serial' would overwrite %s, a file of vms[%u]; give another "
                            "name",
                            i, path, j)
                : 0;
}

static int check_pair(const struct run_options *o, const struct places *p, u32 i, u32 j,
                      struct error *e)
{
    const struct run_vm_options *a = &o->vms[i], *b = &o->vms[j];
    if (!strcmp(a->name, b->name))
        return clash(o, i, j, "name", NULL, "give each its own 'name'", e);
    const struct run_disk_options *shared = shared_disk(a, &p[i], b, &p[j]);
    if (shared)
        return clash(o, i, j, "disk", shared->path,
                     "each needs a copy of its own, or ',readonly' or ',snapshot' behind both", e);
    if (same(&p[i].serial, &p[j].serial))
        return clash(o, i, j, "'serial'", b->serial, "each needs one of its own", e);
    if (check_serial(o, p, i, j, e) || check_serial(o, p, j, i, e))
        return -1;
    if (same(&p[i].firmware_vars, &p[j].firmware_vars))
        return clash(o, i, j, "'firmware-vars'", b->firmware_vars, "each needs a copy of its own",
                     e);
    if (same(&p[i].owner_dir, &p[j].owner_dir))
        return clash(o, i, j, "'owner-dir'", b->owner_dir, "each needs one of its own", e);
    return 0;
}

static void find_places(const struct run_vm_options *v, struct places *p)
{
    const char *const read[READ_MAX] = {v->kernel, v->initrd,     v->firmware,
                                        v->secret, v->owner_root, v->firmware_vars};
    struct stat s;
    p->owner_dir = place_of(v->owner_dir);
    p->firmware_vars = place_of(v->firmware_vars);
    /* Any number of VMs may write to a device, such as /dev/null. */
    if (v->serial && strcmp(v->serial, "stdio") && (stat(v->serial, &s) || !S_ISCHR(s.st_mode)))
        p->serial = place_of(v->serial);
    for (u32 i = 0; i < READ_MAX; i++) {
        p->read_path[i] = read[i];
        p->read[i] = place_of(read[i]);
    }
    for (u32 i = 0; i < v->disk_count; i++)
        p->disks[i] = place_of(run_disk_place(&v->disks[i]));
}

int run_check_clashes(const struct run_options *o, struct error *e)
{
    int result = 0;
    struct places *places = calloc(o->vm_count, sizeof *places);
    if (!places)
        return error_set(e, ERROR_MEMORY, "no memory for %u VMs", o->vm_count);
    for (u32 i = 0; i < o->vm_count && !result; i++) {
        find_places(&o->vms[i], &places[i]);
        result = check_vm(o, i, &places[i], e);
    }
    for (u32 j = 1; j < o->vm_count && !result; j++)
        for (u32 i = 0; i < j && !result; i++)
            result = check_pair(o, places, i, j, e);
    free(places);
    return result;
}

/* Checks a VM's name, which is printed at the start of each console line and in errors. */
int run_check_name(const char *name, struct error *e)
{
    const size_t size = TEXT_SENTENCE_SIZE(strlen(name));
    char *clean = malloc(size);
    if (!clean)
        return error_set(e, ERROR_MEMORY, "out of memory");
    text_sentence(clean, size, name);
    const bool good = !strcmp(clean, name);
    free(clean);
    return good ? 0
                : error_set(e, ERROR_USAGE,
                            "the VM's name '%.80s' should have no control characters and be UTF-8",
                            name);
}
