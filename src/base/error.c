/* SPDX-License-Identifier: Apache-2.0 */
/* One-line errors with an exit code; see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *e, enum error_code code, const char *format, ...)
{
    if (!e || e->code != ERROR_NONE)
        return -1;
    va_list args;
    va_start(args, format);
    e->code = code;
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    return -1;
}
