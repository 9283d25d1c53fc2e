/* SPDX-License-Identifier: Apache-2.0 */
/* The words after GDB's `monitor`, one command a line, for a machine of 8 MiB in host mode. */
#include "cli/cli.h"
#include "cli/run/gdb_session.h"

#include "crypto/crypto.h"
#include "machine/machine.h"
#include "machine/writers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The program's, which is not here; no command calls it. */
int cli_fail(const char *command, const struct error *error)
{
    (void)command;
    (void)error;
    abort();
}

static bool get(void *context, u32 cpu, struct debug_registers *out)
{
    (void)context;
    (void)cpu;
    memset(out, 0, sizeof *out);
    return true;
}

static bool view(void *context, u32 cpu, struct debug_view *out)
{
    (void)context;
    (void)cpu;
    *out = (struct debug_view){.flat = true};
    return true;
}

static u64 ghcb(void *context, u32 cpu)
{
    (void)context;
    return cpu ? 0 : 0x3000;
}

static void place(void *context, struct gdb *gdb, u32 cpu)
{
    (void)context;
    gdb_print(gdb, "processor %u\n", cpu);
}

static void send_out(void *context, const void *data, size_t size)
{
    (void)context;
    if (size > GDB_PACKET_MAX + 4 || (size && !data))
        abort();
}

static void choose(struct gdb_ask *a)
{
    gdb_print(a->gdb, "%s\n", a->word);
}

static const struct gdb_command commands[] = {{"choose", "one|two", "a word", choose}};

static const struct gdb_subject subject = {
    .get = get,
    .view = view,
    .ghcb = ghcb,
    .place = place,
    .commands = commands,
    .command_count = ARRAY_SIZE(commands),
};

/* One machine for all inputs: no command changes it. */
static struct gdb_session *session(void)
{
    static struct gdb_session s;
    struct error e = {0};
    if (s.machine)
        return &s;
    struct crypto *crypto = crypto_create("gdb_monitor", 11);
    struct machine *m = crypto ? machine_create(&(struct machine_config){.memory_size = MIB(8),
                                                                         .cores = 1,
                                                                         .crypto = crypto,
                                                                         .fuses = {1}},
                                                &e)
                               : NULL;
    s.subject = &subject;
    if (!m || gdb_session_machine(&s, m, &e))
        abort();
    machine_trace(m)->enabled = 1u << TRACE_COMMAND;
    trace_event(machine_trace(m), TRACE_COMMAND, "LAUNCH_START", "status=SUCCESS handle=1");
    return &s;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const struct gdb_target target = {.send = send_out};
    const struct gdb_stop stop = {.thread = 1, .signal = GDB_SIGNAL_TRAP};
    struct gdb_session *s = session();
    struct gdb *gdb = gdb_open(&target, &stop);
    const u8 *end = data + size;
    while (gdb && data < end) {
        char line[300];
        const u8 *line_end = memchr(data, '\n', (size_t)(end - data));
        if (!line_end)
            line_end = end;
        const size_t n = (size_t)min_u64((u64)(line_end - data), sizeof line - 1);
        memcpy(line, data, n);
        line[n] = 0;
        gdb_monitor(s, gdb, 1, line);
        data = line_end < end ? line_end + 1 : end;
    }
    gdb_close(gdb);
    return 0;
}
