/* SPDX-License-Identifier: Apache-2.0 */
/* What the options would write over; see options.h. */
#include "cli/options.h"

#include "files/files.h"

#include <sys/stat.h>

/* Whether two paths are one file. A device or pipe may be named twice: writing loses nothing that
 * it has. */
static bool one_file(const char *a, const char *b)
{
    struct stat x, y;
    const bool there = stat(a, &x) == 0;
    if (there != (stat(b, &y) == 0))
        return false;
    if (!there)
        return !strcmp(a, b);
    return S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_file(const struct options *o, u8 id)
{
    return o->text[id] && o->table->rows[id].kind == OPTION_FILE && !o->table->rows[id].list;
}

static int refuse(const struct options *o, u8 id, u8 other, struct error *e)
{
    char why[400];
    snprintf(why, sizeof why, "%s would be overwritten; give another name", o->text[id]);
    const struct option_complaint c = {
        .relation = OPTION_EXCLUDES, .subject = id, .others = OPTION_IDS(other), .why = why};
    return options_complain(o, &c, e);
}

int options_check_files(const struct options *o, struct error *e)
{
    for (u8 id = 1; id < o->table->count; id++) {
        if (!is_file(o, id) || !o->table->rows[id].output)
            continue;
        for (u8 other = 1; other < o->table->count; other++)
            if (other != id && is_file(o, other) && one_file(o->text[id], o->text[other]))
                return refuse(o, id, other, e);
        for (size_t i = 0; i < o->list_count; i++)
            if (o->table->rows[o->list_id[i]].kind == OPTION_FILE &&
                one_file(o->text[id], o->list[i]))
                return refuse(o, id, o->list_id[i], e);
        if (!file_check_output(o->text[id], e))
            return -1;
    }
    return 0;
}
