/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `softsev owner`: one table, of which each action allows and needs some. */
#include "cli/owner.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
    const char *name;
    bool has_value;
    const char *help;
} rows[] = {
#define OWNER_ROW(id, option, value, text)                                                         \
    [OWNER_##id] = {.name = option, .has_value = value, .help = text},
    OWNER_OPTIONS(OWNER_ROW)
#undef OWNER_ROW
};

void owner_print_options(FILE *out, u64 which)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (which & OWNER_BIT(i))
            fprintf(out, "  --%-15s %s\n", rows[i].name, rows[i].help);
}

int owner_refuse(const char *const *options, u64 which, const char *why, struct error *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (which & OWNER_BIT(i) && options[i])
            return error_set(e, ERROR_USAGE, "--%s %s", rows[i].name, why);
    return 0;
}

static int find(const char *argument, size_t name_size)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strlen(rows[i].name) == name_size && !strncmp(rows[i].name, argument, name_size))
            return (int)i;
    return -1;
}

/* --NAME VALUE, --NAME=VALUE or --FLAG. Returns how many arguments it was, -1 on an error. */
static int parse_one(const struct owner_action *action, int argc, char **argv,
                     const char *options[OWNER_OPTION_COUNT], struct error *e)
{
    if (strncmp(argv[0], "--", 2))
        return error_set(e, ERROR_USAGE, "'%s' is one argument too many", argv[0]);
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    int i = find(name, equals ? (size_t)(equals - name) : strlen(name));
    if (i < 0 || !(action->allows & OWNER_BIT(i)))
        return error_set(e, ERROR_USAGE,
                         "%s takes no option '%s'; `softsev owner %s --help` lists them",
                         action->name, argv[0], action->name);
    if (options[i])
        return error_set(e, ERROR_USAGE, "--%s is given twice", rows[i].name);
    bool follows = rows[i].has_value && !equals;
    if ((follows && argc < 2) || (!rows[i].has_value && equals))
        return error_set(e, ERROR_USAGE, "--%s %s", rows[i].name,
                         follows ? "wants a value" : "takes no value");
    options[i] = follows ? argv[1] : equals ? equals + 1 : "";
    return follows ? 2 : 1;
}

int owner_parse(const struct owner_action *action, int argc, char **argv,
                const char *options[OWNER_OPTION_COUNT], struct error *e)
{
    for (int at = 0; at < argc;) {
        int used = parse_one(action, argc - at, argv + at, options, e);
        if (used < 0)
            return -1;
        at += used;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if ((action->needs & OWNER_BIT(i)) && !options[i])
            return error_set(e, ERROR_USAGE, "%s needs --%s", action->name, rows[i].name);
    return 0;
}

int owner_number(const char *option, const char *text, u64 max, u64 *out, struct error *e)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (errno || end == text || *text == '-' || *end || v > max)
        return error_set(e, ERROR_USAGE, "--%s '%s': a number of at most %llu", option, text,
                         (unsigned long long)max);
    *out = v;
    return 0;
}

int owner_hex(const char *option, const char *text, void *out, size_t size, struct error *e)
{
    if (!text || hex_decode(out, size, text))
        return 0;
    return error_set(e, ERROR_USAGE, "--%s '%s': %zu hexadecimal digits", option, text, 2 * size);
}
