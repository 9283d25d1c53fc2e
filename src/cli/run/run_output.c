/* SPDX-License-Identifier: Apache-2.0 */
/* Output and exit status of a run, for `softsev run` and `softsev host`. */
#include "cli/cli.h"
#include "cli/run/session.h"
#include "files/files.h"

#include <jansson.h>

void run_print_json(json_t *object)
{
    cli_print_json(object);
    fflush(stdout);
}

void run_print_step(bool json, const char *who, const char *text)
{
    if (json) {
        run_print_json(json_pack("{s:s, s:o, s:o}", "event", "step", "who", cli_json_text(who),
                                 "text", cli_json_text(text)));
        return;
    }
    printf("%-10s  %s\n", who, text);
    fflush(stdout);
}

void run_print_console(const char *machine, const u8 *data, size_t size)
{
    char text[256];
    for (size_t at = 0; at < size;) {
        size_t n = min_u64(size - at, sizeof text);
        for (size_t i = 0; i < n; i++)
            text[i] = data[at + i] < 0x80 ? (char)data[at + i] : '?';
        run_print_json(json_pack("{s:s, s:o, s:s%}", "event", "console", "vm",
                                 cli_json_text(machine), "text", text, n));
        at += n;
    }
}

int run_output_close(const char *command, struct error *e)
{
    if (!run_signals_status())
        return file_flush(stdout, "standard output", e) ? 0 : -1;
    if ((fflush(stdout) || ferror(stdout)) && !run_signals_reader_gone())
        fprintf(stderr, "softsev %s: the end of the output is lost: nobody reads standard output\n",
                command);
    return 0;
}

const char *run_engine_name(enum cpu_engine engine)
{
    return engine == CPU_ENGINE_JIT ? "jit" : "interpreter";
}

int run_check_engine(enum cpu_engine asked, enum cpu_engine runs, struct error *e)
{
    return asked == CPU_ENGINE_JIT && runs != asked
               ? error_set(e, ERROR_INTERNAL,
                           "--engine jit: this build has none, or the host allows no executable "
                           "memory; without the option, the interpreter runs")
               : 0;
}

int run_debug_exit_status(u32 code)
{
    return (int)(code << 1 & 0xff) | 1;
}

void run_limit_output(enum run_clock clock, u64 limit_ns)
{
    if (clock == RUN_CLOCK_WALL)
        run_signals_limit(limit_ns + CLOCK_HZ);
}
