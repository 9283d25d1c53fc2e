/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the output of --json: one object a line. */
#include "cli/cli.h"

#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct json_t *cli_json_text(const char *text)
{
    size_t size = TEXT_UTF8_SIZE(strlen(text));
    char *clean = malloc(size);
    if (!clean)
        cli_end_without_memory();
    text_utf8(clean, size, text);
    json_t *j = json_string(clean);
    free(clean);
    return j;
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        cli_end_without_memory();
    return memory;
}

void cli_json_start(void)
{
    json_set_alloc_funcs(allocate, free);
}

void cli_end_without_memory(void)
{
    fputs("softsev: out of memory\n", stderr);
    exit(ERROR_MEMORY);
}

bool cli_print_json(struct json_t *j)
{
    bool good = j && json_dumpf(j, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(j);
    return good;
}

int cli_tell_json(struct json_t *j, struct error *e)
{
    return cli_print_json(j)
               ? 0
               : error_set(e, ERROR_FILE, "standard output cannot be written: %s", strerror(errno));
}
