/* SPDX-License-Identifier: Apache-2.0 */
/* A debugger's bytes. Lines become packets with their checksums; a line that begins with `~` goes
 * in as it is. The target has 64 bytes of memory at 0 and stops whenever it runs. */
#include "debug/gdb.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct toy {
    struct gdb_registers registers;
    u8 memory[64];
};

static u32 threads(void *context)
{
    (void)context;
    return 2;
}

static void describe(void *context, u32 thread, char *out, size_t size)
{
    (void)context;
    if (!thread || thread > 2 || !size)
        abort();
    *out = 0;
}

static bool get(void *context, u32 thread, struct gdb_registers *out)
{
    *out = ((struct toy *)context)->registers;
    return thread == 1;
}

static bool set(void *context, u32 thread, const struct gdb_registers *in)
{
    ((struct toy *)context)->registers = *in;
    return thread == 1;
}

static bool get_memory(void *context, u32 thread, u64 address, void *out, size_t size)
{
    struct toy *t = context;
    (void)thread;
    if (!range_fits(address, size, sizeof t->memory))
        return false;
    memcpy(out, t->memory + address, size);
    return true;
}

static bool set_memory(void *context, u32 thread, u64 address, const void *data, size_t size)
{
    struct toy *t = context;
    (void)thread;
    if (!range_fits(address, size, sizeof t->memory))
        return false;
    memcpy(t->memory + address, data, size);
    return true;
}

static bool point(void *context, const struct gdb_point *p)
{
    (void)context;
    if (p->type >= GDB_POINT_TYPES)
        abort();
    return p->size;
}

static void reverse(void *context, bool one_instruction)
{
    (void)context;
    (void)one_instruction;
}

static void resume(void *context, u32 step)
{
    (void)context;
    if (step > 2)
        abort();
}

static void nothing(void *context)
{
    (void)context;
}

static void monitor(void *context, struct gdb *gdb, u32 thread, const char *command)
{
    (void)context;
    if (!thread || thread > 2)
        abort();
    gdb_print(gdb, "%s", command);
}

static void send_out(void *context, const void *data, size_t size)
{
    (void)context;
    if (size > GDB_PACKET_MAX + 4 || (size && !data))
        abort();
}

static void feed_packet(struct gdb *g, const u8 *line, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    u8 sum = 0, tail[3] = {'#', 0, 0};
    for (size_t i = 0; i < size; i++)
        sum = (u8)(sum + line[i]);
    tail[1] = (u8)digits[sum >> 4];
    tail[2] = (u8)digits[sum & 15];
    gdb_feed(g, (const u8 *)"$", 1);
    gdb_feed(g, line, size);
    gdb_feed(g, tail, sizeof tail);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct toy toy = {.memory = {0}};
    const struct gdb_stop stop = {.thread = 1, .signal = GDB_SIGNAL_TRAP};
    const struct gdb_target target = {threads, describe, get,      set,     get_memory, set_memory,
                                      point,   point,    resume,   reverse, nothing,    nothing,
                                      nothing, monitor,  send_out, &toy};
    struct gdb *g = gdb_open(&target, &stop);
    const u8 *end = data + size;
    while (g && data < end) {
        const u8 *line_end = memchr(data, '\n', (size_t)(end - data));
        if (!line_end)
            line_end = end;
        if (*data == '~')
            gdb_feed(g, data + 1, (size_t)(line_end - data - 1));
        else
            feed_packet(g, data, (size_t)(line_end - data));
        if (gdb_target_runs(g))
            gdb_stopped(g, &stop);
        data = line_end < end ? line_end + 1 : end;
    }
    gdb_close(g);
    return 0;
}
