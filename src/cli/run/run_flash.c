/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flash in which a guest's firmware keeps its variables. It is read into memory; the file is
 * replaced as a whole, so that it always has all of an earlier state or of a later one. Firmware
 * writes its flash byte by byte, and is left alone until it has been quiet for a while.
 */
#include "cli/run/run.h"
#include "files/files.h"
#include "image/image.h"

#include <stdlib.h>

#define QUIET_NS       CLOCK_HZ
#define SIZE_MAX_FLASH MIB(16)

struct run_flash {
    struct file_data file;
    bool changed, dirty; /* since the last look; since the last write */
    u64 changed_ns;      /* of the host's clock */
};

static void on_change(void *context)
{
    struct run_flash *f = context;
    f->changed = f->dirty = true;
}

int run_flash_open(struct run_vm *v, struct error *e)
{
    const struct file_rule rule = {.size_max = SIZE_MAX_FLASH};
    const char *path = v->options->firmware_vars;
    struct error why = {.code = ERROR_NONE};
    if (!path)
        return 0;
    struct run_flash *f = v->flash = calloc(1, sizeof *f);
    if (!f)
        return error_set(e, ERROR_MEMORY, "no memory for --firmware-vars");
    if (file_read(path, &rule, &f->file, &why))
        return error_set(e, why.code, "--firmware-vars: %s", why.text);
    const struct image_file vars = {path, f->file.data, f->file.size},
                            code = {v->firmware.name, v->firmware.data, v->firmware.size};
    return image_check_variables(&vars, &code, e);
}

struct vm_flash run_flash_of(struct run_vm *v)
{
    struct run_flash *f = v->flash;
    return f ? (struct vm_flash){f->file.data, f->file.size, on_change, f}
             : (struct vm_flash){.bytes = NULL};
}

static bool write_file(struct run_vm *v, struct error *e)
{
    struct run_flash *f = v->flash;
    f->dirty = !file_write(v->options->firmware_vars, f->file.data, f->file.size, true, e);
    return !f->dirty;
}

void run_flash_look(struct run_vm *v)
{
    struct run_flash *f = v->flash;
    struct error later = {.code = ERROR_NONE};
    if (!f || !f->dirty)
        return;
    const u64 now = run_clock_ns();
    if (f->changed)
        f->changed_ns = now;
    f->changed = false;
    if (now - f->changed_ns < QUIET_NS)
        return;
    write_file(v, &later);
    f->changed_ns = now; /* after an error: again in a while */
}

int run_flash_close(struct run_vm *v, struct error *e)
{
    struct run_flash *f = v->flash;
    if (!f)
        return 0;
    const bool good = !f->dirty || write_file(v, e);
    file_free(&f->file);
    free(f);
    v->flash = NULL;
    return good ? 0 : -1;
}
