/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a subcommand reads as a whole; see input.h. */
#include "cli/input.h"
#include "files/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_MAX GIB(2)
#define PIPE_MAX  MIB(64)

static int read_file(const char *path, const struct file_rule *rule, struct cli_file *out,
                     struct error *e)
{
    *out = (struct cli_file){0};
    if (!path)
        return 0;
    struct file_data content;
    if (file_read(path, rule, &content, e))
        return -1;
    *out = (struct cli_file){.data = content.data, .size = content.size};
    out->name = malloc(strlen(path) + 1);
    if (!out->name) {
        cli_free_file(out);
        return error_set(e, ERROR_MEMORY, "%s: out of memory", path);
    }
    strcpy(out->name, path);
    return 0;
}

int cli_read_image(const char *path, u64 memory, struct cli_file *out, struct error *e)
{
    const struct file_rule rule = {.size_max = min_u64(memory, IMAGE_MAX), .stream_max = PIPE_MAX};
    struct error why = {.code = ERROR_NONE};
    if (!read_file(path, &rule, out, &why))
        return 0;
    struct stat s;
    const bool large =
        memory < IMAGE_MAX && !stat(path, &s) && S_ISREG(s.st_mode) && (u64)s.st_size > memory;
    return large ? error_set(e, ERROR_MEMORY, "the guest's memory is too small: %s", why.text)
                 : error_set(e, why.code, "%s", why.text);
}

int cli_read_file(const char *path, struct cli_file *out, struct error *e)
{
    return cli_read_image(path, IMAGE_MAX, out, e);
}

int cli_read_small(const char *path, struct cli_file *out, struct error *e)
{
    return read_file(path, &(struct file_rule){.size_max = CLI_SMALL, .stream_max = PIPE_MAX}, out,
                     e);
}

int cli_read_exchange(const char *path, struct cli_file *out, struct error *e)
{
    return read_file(path, &(struct file_rule){.size_max = CLI_SMALL, .no_link = true}, out, e);
}

void cli_free_file(struct cli_file *f)
{
    file_free(&(struct file_data){.data = f->data, .size = f->size});
    free(f->name);
    *f = (struct cli_file){0};
}
