/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that no output overwrites an input; see options.h. */
#include "cli/options.h"

#include "files/files.h"

#include <sys/stat.h>

#define PATH_ROOM 4096u

/* Returns true if two paths of files that do not exist yet have the same name in the same
 * folder. */
static bool one_new_file(const char *a, const char *b)
{
    const char *paths[] = {a, b}, *names[2];
    struct stat folders[2];
    for (size_t i = 0; i < 2; i++) {
        char folder[PATH_ROOM];
        const char *slash = strrchr(paths[i], '/');
        names[i] = slash ? slash + 1 : paths[i];
        snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - paths[i]) + 1 : 1,
                 slash ? paths[i] : ".");
        if (stat(folder, &folders[i]))
            return false;
    }
    return !strcmp(names[0], names[1]) && folders[0].st_dev == folders[1].st_dev &&
           folders[0].st_ino == folders[1].st_ino;
}

bool option_one_file(const char *a, const char *b)
{
    struct stat x, y;
    const bool there = stat(a, &x) == 0;
    if (there != (stat(b, &y) == 0))
        return false;
    if (!there)
        return !strcmp(a, b) || one_new_file(a, b);
    return S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Returns true if a value names the file, alone or in a list separated by commas. */
static bool names_file(const char *value, const char *path)
{
    char first[PATH_ROOM];
    if (option_one_file(value, path))
        return true;
    option_path(value, first, sizeof first);
    if (*first && option_one_file(first, path))
        return true;
    while (strchr(value, ',')) {
        char piece[PATH_ROOM];
        const size_t size = strcspn(value, ",");
        if (size && size < sizeof piece) {
            memcpy(piece, value, size);
            piece[size] = 0;
            if (option_one_file(piece, path))
                return true;
        }
        value += size + 1;
        if (!strchr(value, ','))
            return option_one_file(value, path);
    }
    return false;
}

/* Returns the operand that names the file; NULL: none does. What follows the subcommand's own
 * options belongs to another program. */
static const char *naming_operand(const struct options *o, const char *path)
{
    for (int i = 0; !o->table->rest && i < o->operand_count; i++)
        if (option_one_file(o->operands[i], path))
            return o->operands[i];
    return NULL;
}

static bool is_file(const struct options *o, u8 id)
{
    return o->text[id] && o->table->rows[id].kind == OPTION_FILE;
}

/* Returns the option other than `self` that names the file; 0: none. */
static u8 naming_option(const struct options *o, const char *path, u8 self)
{
    for (u8 id = 1; id < o->table->count; id++)
        if (id != self && is_file(o, id) && !o->table->rows[id].list &&
            names_file(o->text[id], path))
            return id;
    for (size_t i = 0; i < o->list_count; i++)
        if (is_file(o, o->list_id[i]) && names_file(o->list[i], path))
            return o->list_id[i];
    return 0;
}

int options_check_output(const struct options *o, u8 id, const char *path,
                         const struct options *inputs, struct error *e)
{
    char name[OPTION_NAME_MAX], other_name[OPTION_NAME_MAX];
    const u8 other = naming_option(inputs, path, inputs == o ? id : 0);
    if (!other && naming_operand(inputs, path))
        return error_set(e, ERROR_USAGE,
                         "%s: %s would be overwritten, which is read; give another name",
                         options_name(o->table, id, name), path);
    if (!other)
        return 0;
    return error_set(
        e, ERROR_USAGE, "%s cannot be given with %s: %s would be overwritten; give another name",
        options_name(o->table, id, name), options_name(inputs->table, other, other_name), path);
}

int options_check_outputs(const struct options *o, const struct options *inputs, struct error *e)
{
    for (u8 id = 1; id < o->table->count; id++)
        if (is_file(o, id) && o->table->rows[id].output && !o->table->rows[id].list &&
            options_check_output(o, id, o->text[id], inputs, e))
            return -1;
    return 0;
}

int options_check_set(const struct options *o, u8 folder, const struct file_set *set,
                      struct error *e)
{
    char path[PATH_ROOM];
    for (size_t i = 0; i < set->count; i++) {
        snprintf(path, sizeof path, "%s/%s", o->text[folder], set->parts[i].name);
        if (options_check_output(o, folder, path, o, e))
            return -1;
    }
    return 0;
}

int options_check_files(const struct options *o, struct error *e)
{
    if (options_check_outputs(o, o, e))
        return -1;
    for (u8 id = 1; id < o->table->count; id++)
        if (is_file(o, id) && o->table->rows[id].output && !file_check_output(o->text[id], e))
            return -1;
    return 0;
}
