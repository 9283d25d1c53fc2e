/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the values of options: numbers, sizes, bytes and names, each in one way wherever it
 * occurs. */
#include "base/bytes.h"
#include "base/encoding.h"
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define NAMES_MAX 300u
#define HEX_MAX   64u /* bytes */

bool option_digits(const char *text, u64 *out, const char **end)
{
    const bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hexadecimal ? text + 2 : text;
    const size_t count = strspn(digits, hexadecimal ? "0123456789abcdefABCDEF" : "0123456789");
    char *stop;
    errno = 0;
    *out = strtoull(digits, &stop, hexadecimal ? 16 : 10);
    *end = digits + count;
    return count && !errno && stop == *end;
}

const char *option_path(const char *text, char *path, size_t room)
{
    size_t size = 0;
    while (*text && (*text != ',' || text[1] == ',')) {
        text += *text == ',';
        if (size + 1 < room)
            path[size++] = *text;
        text++;
    }
    path[size] = 0;
    return text;
}

static int wrong_number(const struct option_row *row, const char *name, const char *text,
                        struct error *e)
{
    if (row->min)
        return error_set(e, ERROR_USAGE,
                         "%s '%.80s': expected a number from %" PRIu64 " to %" PRIu64, name, text,
                         row->min, row->max);
    return error_set(e, ERROR_USAGE, "%s '%.80s': expected a number of at most %" PRIu64, name,
                     text, row->max);
}

static int read_number(const struct option_row *row, const char *name, const char *text, u64 *out,
                       struct error *e)
{
    const char *end;
    const bool good = option_digits(text, out, &end) && !*end;
    return good && *out >= row->min && *out <= row->max ? 0 : wrong_number(row, name, text, e);
}

/* Writes a size as a person does: "512M", "2G", "64K". */
static const char *size_text(u64 size, char out[24])
{
    const char unit = size % GIB(1) == 0 ? 'G' : size % MIB(1) == 0 ? 'M' : 'K';
    const u64 bytes = unit == 'G' ? GIB(1) : unit == 'M' ? MIB(1) : KIB(1);
    snprintf(out, 24, "%" PRIu64 "%c", size / bytes, unit);
    return out;
}

static int read_size(const struct option_row *row, const char *name, const char *text, u64 *out,
                     struct error *e)
{
    char least[24], most[24], step[24];
    const char *end;
    u64 unit = MIB(1), count;
    bool good = option_digits(text, &count, &end);
    if (good && *end) {
        unit = *end == 'K' ? KIB(1) : *end == 'M' ? MIB(1) : *end == 'G' ? GIB(1) : 0;
        good = unit && !end[1];
    }
    if (good && count <= row->max / unit && count * unit >= row->min &&
        !(row->step && count * unit % row->step)) {
        *out = count * unit;
        return 0;
    }
    return error_set(e, ERROR_USAGE,
                     "%s '%.80s': expected a number of MiB, or with K, M or G, from %s to %s%s%s",
                     name, text, size_text(row->min, least), size_text(row->max, most),
                     row->step ? " in steps of " : "", row->step ? size_text(row->step, step) : "");
}

/* Checks digits as files have them, too: `xxd -p` breaks them into lines. */
static int check_hex(const struct option_row *row, const char *name, const char *text,
                     struct error *e)
{
    u8 bytes[HEX_MAX];
    size_t size;
    const bool digits = text_decode_hex(text, strlen(text), bytes, sizeof bytes, &size);
    if (digits && (size == row->max || (row->min && size == row->min)))
        return 0;
    if (row->min)
        return error_set(e, ERROR_USAGE,
                         "%s '%.140s': expected %" PRIu64 " or %" PRIu64 " hexadecimal digits",
                         name, text, 2 * row->min, 2 * row->max);
    return error_set(e, ERROR_USAGE, "%s '%.140s': expected %" PRIu64 " hexadecimal digits", name,
                     text, 2 * row->max);
}

/* --- Choices ---------------------------------------------------------------------------------- */

/* Gets the i-th choice of a row. Returns false if there are no more. */
static bool choice_of(const struct option_row *row, size_t i, struct option_choice *out)
{
    if (row->choices)
        *out = row->choices[i];
    else
        *out = (struct option_choice){row->choice_at(i), i, false};
    return out->name != NULL;
}

const char *options_choice_name(const struct option_row *row, u64 value)
{
    struct option_choice c;
    for (size_t i = 0; choice_of(row, i, &c); i++)
        if (c.value == value && !c.alias)
            return c.name;
    return NULL;
}

/* Writes the names of a row's choices: "none, sev, sev-es or sev-snp". */
static void choice_names(const struct option_row *row, char out[NAMES_MAX])
{
    struct option_choice c, next;
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; choice_of(row, i, &c); i++) {
        if (c.alias)
            continue;
        size_t after = i + 1;
        while (choice_of(row, after, &next) && next.alias)
            after++;
        const bool last = !choice_of(row, after, &next);
        used += (size_t)snprintf(out + used, NAMES_MAX - used, "%s%s",
                                 !used  ? ""
                                 : last ? " or "
                                        : ", ",
                                 c.name);
        used = min_u64(used, NAMES_MAX - 1);
    }
}

static const char *choice_name_at(const void *row, size_t i)
{
    struct option_choice c;
    return choice_of(row, i, &c) ? c.name : NULL;
}

static int read_choice(const struct option_row *row, const char *name, const char *text, u64 *out,
                       struct error *e)
{
    struct option_choice c;
    char names[NAMES_MAX];
    for (size_t i = 0; choice_of(row, i, &c); i++) {
        if (strcmp(c.name, text))
            continue;
        *out = c.value;
        return 0;
    }
    choice_names(row, names);
    const char *near = options_nearest(text, choice_name_at, row);
    return error_set(e, ERROR_USAGE, "%s '%.80s': expected %s%s%s%s", name, text, names,
                     near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

int option_value(const struct option_row *row, const char *name, const char *text, u64 *number,
                 struct error *e)
{
    switch (row->kind) {
    case OPTION_FLAG:
        return 0;
    case OPTION_TEXT:
        return *text || row->empty
                   ? 0
                   : error_set(e, ERROR_USAGE, "%s needs a value, not an empty one: %s", name,
                               row->value);
    case OPTION_FILE:
    case OPTION_FOLDER:
        return *text ? 0
                     : error_set(e, ERROR_USAGE, "%s needs the name of a %s, not an empty one",
                                 name, row->kind == OPTION_FILE ? "file" : "folder");
    case OPTION_NUMBER:
        return read_number(row, name, text, number, e);
    case OPTION_SIZE:
        return read_size(row, name, text, number, e);
    case OPTION_HEX:
        return check_hex(row, name, text, e);
    case OPTION_CHOICE:
        return read_choice(row, name, text, number, e);
    case OPTION_PARSED:
        break;
    }
    return row->parse(text, number)
               ? 0
               : error_set(e, ERROR_USAGE, "%s '%.80s': expected %s", name, text, row->should);
}

/* --- Nearest names ---------------------------------------------------------------------------- */

#define WORD_MAX 40u

/* Returns how many letters must be inserted, removed or changed to turn `a` into `b`. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], size = strlen(b);
    for (size_t k = 0; k <= size; k++)
        row[k] = k;
    for (size_t i = 0; a[i]; i++) {
        size_t before = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < size; k++) {
            size_t change = before + (a[i] != b[k]);
            before = row[k + 1];
            row[k + 1] = min_u64(change, min_u64(before, row[k]) + 1);
        }
    }
    return row[size];
}

const char *options_nearest(const char *word, const char *(*name_at)(const void *list, size_t i),
                            const void *list)
{
    const char *best = NULL, *name;
    const size_t size = strlen(word);
    size_t least = max_u64(size / 3, 1); /* a word with more wrong letters is another word */
    if (size > WORD_MAX)
        return NULL;
    for (size_t i = 0; (name = name_at(list, i)); i++) {
        if (strlen(name) > WORD_MAX)
            continue;
        const bool part = size >= 3 && strstr(name, word);
        const size_t d = part ? 1 : distance(word, name);
        if (d > least || (best && d == least))
            continue;
        best = name;
        least = d;
    }
    return best;
}
