/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and JSON members as values; see settings.h. */
#include "cli/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

char *settings_copy(const char *text)
{
    char *out = text ? malloc(strlen(text) + 1) : NULL;
    if (out)
        strcpy(out, text);
    return out;
}

int settings_number(const char *text, u64 max, u64 *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (errno || end == text || *text == '-' || v > max)
        return -1;
    u64 unit = *end == 'K' ? KIB(1) : *end == 'M' ? MIB(1) : *end == 'G' ? GIB(1) : 1;
    if (unit != 1)
        end++;
    if (*end || v > max / unit)
        return -1;
    *out = v * unit;
    return 0;
}

int settings_memory(const char *text, u64 *out, struct error *e)
{
    if (settings_number(text, GIB(512), out))
        return error_set(e, ERROR_USAGE, "memory '%s': a number of MiB, or with K, M, G", text);
    if (*out < MIB(1) && !strpbrk(text, "KMG"))
        *out = MIB(*out);
    return 0;
}

int settings_value(const char *file, const char *key, const json_t *value, bool flag,
                   char number[SETTINGS_NUMBER_SIZE], const char **text, struct error *e)
{
    *text = NULL;
    if (flag && json_is_boolean(value)) {
        *text = json_is_true(value) ? "" : NULL;
        return 0;
    }
    if (json_is_integer(value) && !flag) {
        snprintf(number, SETTINGS_NUMBER_SIZE, "%lld", (long long)json_integer_value(value));
        *text = number;
        return 0;
    }
    if (!json_is_string(value) || flag)
        return error_set(e, ERROR_USAGE, "%s: '%s' should be %s", file, key,
                         flag ? "true or false" : "a text or a number");
    *text = json_string_value(value);
    return 0;
}
