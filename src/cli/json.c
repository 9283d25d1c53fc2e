/* SPDX-License-Identifier: Apache-2.0 */
/* What --json prints: one object a line. */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>

bool cli_print_json(struct json_t *j)
{
    bool good = j && json_dumpf(j, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF;
    json_decref(j);
    return good;
}

int cli_tell_json(struct json_t *j, struct error *e)
{
    return cli_print_json(j) ? 0 : error_set(e, ERROR_FILE, "standard output cannot be written");
}
