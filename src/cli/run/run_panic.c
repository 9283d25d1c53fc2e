/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the panic of a Linux kernel in its console output. */
#include "cli/run/session.h"

#include <stdio.h>

/* Returns what follows the time and, with CONFIG_PRINTK_CALLER, the task at the start of a kernel
 * message: "[ 1.234567][ T1] ". */
static const char *after_stamp(const char *line)
{
    const char *p = line;
    while (*p == '[') {
        p += 1 + strspn(p + 1, " .0123456789TC");
        if (*p++ != ']')
            return line;
    }
    return p == line ? line : p + (*p == ' ');
}

/* Notes the line in which a Linux kernel announces its panic. The words count only there: programs
 * and other messages of kernels may contain them, too. */
void run_panic_line_ends(struct run_panic *w)
{
    static const char words[] = "Kernel panic - not syncing: ";
    w->line[w->line_size] = 0;
    const char *text = after_stamp(w->line);
    if (!*w->text && !strncmp(text, words, sizeof words - 1))
        snprintf(w->text, sizeof w->text, "%.*s", (int)sizeof w->text - 1,
                 text[sizeof words - 1] ? text + sizeof words - 1 : "?");
}

void run_panic_watch(struct run_panic *w, const u8 *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const bool ends = data[i] == '\r' || data[i] == '\n';
        if (ends)
            run_panic_line_ends(w);
        if (ends)
            w->line_size = 0;
        else if (w->line_size < sizeof w->line - 1)
            w->line[w->line_size++] = data[i] < ' ' || data[i] > '~' ? '?' : (char)data[i];
    }
}
