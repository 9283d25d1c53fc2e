/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that a client sends to the control socket of a run. */
#include "cli/control.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void one(const char *line, size_t size)
{
    struct control_request q;
    char wrong[200] = "";
    const bool good = control_parse(line, size, &q, wrong);
    if (good == (*wrong != '\0') || q.command >= CONTROL_COMMANDS || !memchr(q.vm, 0, sizeof q.vm))
        abort();
    control_free(&q);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const u8 *end = data + size;
    while (data < end) {
        const u8 *line_end = memchr(data, '\n', (size_t)(end - data));
        if (!line_end)
            line_end = end;
        one((const char *)data, (size_t)(line_end - data));
        data = line_end < end ? line_end + 1 : end;
    }
    return 0;
}
