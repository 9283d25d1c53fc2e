/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of packets. An unknown command has an empty answer, as the protocol wants it. */
#include <stdlib.h>

#include "debug/internal.h"

#include "base/bytes.h"

enum error_number { WRONG_FORM = 1, NO_THREAD, NO_MEMORY_THERE, REFUSED };

/* --- Parsing ---------------------------------------------------------------------------------- */

/* Takes a hexadecimal number of 1 to 16 digits. */
static bool take_number(const char **at, u64 *out)
{
    u32 n = 0;
    *out = 0;
    for (; hex_digit(**at) >= 0 && n < 17; n++)
        *out = *out << 4 | (u64)hex_digit(*(*at)++);
    return n > 0 && n <= 16;
}

static bool take(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

/* Takes `size` bytes, two digits each. */
static bool take_bytes(const char **at, void *out, size_t size)
{
    for (u8 *p = out; size; size--) {
        const int high = hex_digit(**at), low = high < 0 ? -1 : hex_digit((*at)[1]);
        if (low < 0)
            return false;
        *p++ = (u8)(high << 4 | low);
        *at += 2;
    }
    return true;
}

/* Takes a thread: a number, 0 for any, -1 for all. The latter two give 0. */
static bool take_thread(const char **at, u32 *out)
{
    u64 n;
    *out = 0;
    if (take(at, '-'))
        return take(at, '1');
    if (!take_number(at, &n) || n > GDB_THREADS_MAX)
        return false;
    *out = (u32)n;
    return true;
}

static bool thread_exists(const struct gdb *g, u32 thread)
{
    return thread && thread <= g->target.threads(g->target.context);
}

static bool ok(struct gdb *g, bool good, enum error_number otherwise)
{
    if (good)
        reply_text(&g->reply, "OK");
    else
        reply_error(&g->reply, (u8)otherwise);
    return true;
}

static bool wrong(struct gdb *g)
{
    return ok(g, false, WRONG_FORM);
}

/* --- Stops, and going on ---------------------------------------------------------------------- */

static const char *const point_reasons[GDB_POINT_TYPES] = {
    [GDB_SOFTWARE] = "swbreak", [GDB_HARDWARE] = "hwbreak", [GDB_WRITE] = "watch",
    [GDB_READ] = "rwatch",      [GDB_ACCESS] = "awatch",
};

void command_stop_reply(struct gdb *g)
{
    const u8 signal = (u8)g->last.signal;
    reply_text(&g->reply, "T");
    reply_hex(&g->reply, &signal, 1);
    reply_text(&g->reply, "thread:");
    reply_number(&g->reply, g->last.thread);
    reply_text(&g->reply, ";");
    if (g->last.at_beginning)
        reply_text(&g->reply, "replaylog:begin;");
    if (!g->last.at_point)
        return;
    reply_text(&g->reply, point_reasons[g->last.point.type]);
    reply_text(&g->reply, ":");
    if (g->last.point.type >= GDB_WRITE)
        reply_number(&g->reply, g->last.point.address);
    reply_text(&g->reply, ";");
}

static bool why_stopped(struct gdb *g, const char *at)
{
    (void)at;
    command_stop_reply(g);
    return true;
}

static bool resume(struct gdb *g, u32 step)
{
    if (step && !thread_exists(g, step))
        return ok(g, false, NO_THREAD);
    g->running = true;
    g->target.resume(g->target.context, step);
    return false;
}

static bool reverse(struct gdb *g, bool one_instruction)
{
    if (!g->target.reverse)
        return true; /* an empty answer means "unknown" */
    g->running = true;
    g->target.reverse(g->target.context, one_instruction);
    return false;
}

static bool reverse_step(struct gdb *g, const char *at)
{
    return *at ? wrong(g) : reverse(g, true);
}

static bool reverse_continue(struct gdb *g, const char *at)
{
    return *at ? wrong(g) : reverse(g, false);
}

/* The old commands with an address to go on at are not served: GDB writes RIP instead. */
static bool old_continue(struct gdb *g, const char *at)
{
    return *at ? wrong(g) : resume(g, 0);
}

static bool old_step(struct gdb *g, const char *at)
{
    return *at ? wrong(g) : resume(g, g->resumed ? g->resumed : g->last.thread);
}

static bool vcont_what(struct gdb *g, const char *at)
{
    (void)at;
    reply_text(&g->reply, "vCont;c;C;s;S");
    return true;
}

/* Resumes the target. All processors go on together, whatever the actions say; the first step
 * counts. A signal has no meaning for a processor. */
static bool vcont(struct gdb *g, const char *at)
{
    u32 step = 0;
    while (take(&at, ';')) {
        const char action = *at;
        u64 signal;
        u32 thread = 0;
        if (action)
            at++;
        if (!strchr("cCsS", action) || !action ||
            ((action == 'C' || action == 'S') && !take_number(&at, &signal)) ||
            (take(&at, ':') && !take_thread(&at, &thread)))
            return wrong(g);
        if (!step && (action == 's' || action == 'S'))
            step = thread ? thread : g->last.thread;
    }
    return *at ? wrong(g) : resume(g, step);
}

static bool detach(struct gdb *g, const char *at)
{
    (void)at;
    g->ended = true;
    g->target.detach(g->target.context);
    return ok(g, true, REFUSED);
}

static bool kill_old(struct gdb *g, const char *at)
{
    (void)at;
    g->ended = true;
    g->target.kill(g->target.context);
    return false;
}

static bool kill_target(struct gdb *g, const char *at)
{
    kill_old(g, at);
    return ok(g, true, REFUSED);
}

/* --- Registers and memory --------------------------------------------------------------------- */

static bool read_registers(struct gdb *g, const char *at)
{
    struct gdb_registers r;
    struct register_place p;
    (void)at;
    if (!g->target.get_registers(g->target.context, g->general, &r))
        return ok(g, false, REFUSED);
    for (u32 i = 0; register_find(i, &p); i++)
        reply_hex(&g->reply, (const u8 *)&r + p.offset, p.size);
    return true;
}

static bool write_registers(struct gdb *g, const char *at)
{
    struct gdb_registers r = {.rip = 0};
    struct register_place p;
    for (u32 i = 0; register_find(i, &p); i++)
        if (!take_bytes(&at, (u8 *)&r + p.offset, p.size))
            return wrong(g);
    return *at ? wrong(g)
               : ok(g, g->target.set_registers(g->target.context, g->general, &r), REFUSED);
}

static bool read_register(struct gdb *g, const char *at)
{
    struct gdb_registers r;
    struct register_place p;
    u64 n;
    if (!take_number(&at, &n) || *at || n > UINT32_MAX || !register_find((u32)n, &p))
        return wrong(g);
    if (!g->target.get_registers(g->target.context, g->general, &r))
        return ok(g, false, REFUSED);
    reply_hex(&g->reply, (const u8 *)&r + p.offset, p.size);
    return true;
}

static bool write_register(struct gdb *g, const char *at)
{
    struct gdb_registers r;
    struct register_place p;
    u64 n;
    if (!take_number(&at, &n) || !take(&at, '=') || n > UINT32_MAX || !register_find((u32)n, &p))
        return wrong(g);
    if (!g->target.get_registers(g->target.context, g->general, &r))
        return ok(g, false, REFUSED);
    if (!take_bytes(&at, (u8 *)&r + p.offset, p.size) || *at)
        return wrong(g);
    return ok(g, g->target.set_registers(g->target.context, g->general, &r), REFUSED);
}

/* Reads as much as there is: a client may ask for more than the end of a mapping. */
static bool read_memory(struct gdb *g, const char *at)
{
    u8 bytes[GDB_PACKET_MAX / 2];
    u64 address, size, done = 0;
    if (!take_number(&at, &address) || !take(&at, ',') || !take_number(&at, &size) || *at)
        return wrong(g);
    size = min_u64(size, sizeof bytes);
    while (done < size) {
        const u64 part = min_u64(size - done, PAGE_SIZE - ((address + done) & PAGE_MASK));
        if (!g->target.read(g->target.context, g->general, address + done, bytes + done, part))
            break;
        done += part;
    }
    if (size && !done)
        return ok(g, false, NO_MEMORY_THERE);
    reply_hex(&g->reply, bytes, done);
    return true;
}

static bool take_range(const char **at, u64 *address, u64 *size, u64 most)
{
    return take_number(at, address) && take(at, ',') && take_number(at, size) && take(at, ':') &&
           *size <= most;
}

static bool put_bytes(struct gdb *g, u64 address, const u8 *bytes, u64 size)
{
    return ok(g,
              !size || g->target.write(g->target.context, g->general, address, bytes, (size_t)size),
              NO_MEMORY_THERE);
}

static bool write_memory(struct gdb *g, const char *at)
{
    u8 bytes[GDB_PACKET_MAX / 2];
    u64 address, size;
    if (!take_range(&at, &address, &size, sizeof bytes) || !take_bytes(&at, bytes, size) || *at)
        return wrong(g);
    return put_bytes(g, address, bytes, size);
}

static bool write_binary(struct gdb *g, const char *at)
{
    u8 bytes[GDB_PACKET_MAX];
    u64 address, size;
    const char *const end = g->packet + g->packet_size;
    if (!take_range(&at, &address, &size, sizeof bytes))
        return wrong(g);
    for (u64 i = 0; i < size; i++) {
        const bool escaped = at < end && *at == '}';
        at += escaped;
        if (at >= end)
            return wrong(g);
        bytes[i] = (u8)(*at++ ^ (escaped ? 0x20 : 0));
    }
    return at != end ? wrong(g) : put_bytes(g, address, bytes, size);
}

/* --- Points ----------------------------------------------------------------------------------- */

static bool take_point(const char *at, struct gdb_point *out)
{
    u64 type;
    if (!take_number(&at, &type) || type >= GDB_POINT_TYPES || !take(&at, ',') ||
        !take_number(&at, &out->address) || !take(&at, ',') || !take_number(&at, &out->size) || *at)
        return false;
    out->type = (enum gdb_point_type)type;
    return true;
}

static bool insert_point(struct gdb *g, const char *at)
{
    struct gdb_point p;
    return take_point(at, &p) ? ok(g, g->target.insert(g->target.context, &p), REFUSED) : wrong(g);
}

static bool remove_point(struct gdb *g, const char *at)
{
    struct gdb_point p;
    return take_point(at, &p) ? ok(g, g->target.remove(g->target.context, &p), REFUSED) : wrong(g);
}

/* --- Threads ---------------------------------------------------------------------------------- */

static bool choose_general(struct gdb *g, const char *at)
{
    u32 thread;
    if (!take_thread(&at, &thread) || *at)
        return wrong(g);
    if (!thread)
        thread = g->last.thread;
    if (thread_exists(g, thread))
        g->general = thread;
    return ok(g, thread_exists(g, thread), NO_THREAD);
}

static bool choose_resumed(struct gdb *g, const char *at)
{
    u32 thread;
    if (!take_thread(&at, &thread) || *at)
        return wrong(g);
    if (!thread || thread_exists(g, thread))
        g->resumed = thread;
    return ok(g, g->resumed == thread, NO_THREAD);
}

static bool thread_lives(struct gdb *g, const char *at)
{
    u32 thread;
    return ok(g, take_thread(&at, &thread) && !*at && thread_exists(g, thread), NO_THREAD);
}

static bool thread_list(struct gdb *g, const char *at)
{
    (void)at;
    for (u32 i = 1; thread_exists(g, i); i++) {
        reply_text(&g->reply, i > 1 ? "," : "m");
        reply_number(&g->reply, i);
    }
    return true;
}

static bool thread_list_end(struct gdb *g, const char *at)
{
    (void)at;
    reply_text(&g->reply, "l");
    return true;
}

static bool thread_text(struct gdb *g, const char *at)
{
    char text[80] = "";
    u32 thread;
    if (!take_thread(&at, &thread) || *at || !thread_exists(g, thread))
        return ok(g, false, NO_THREAD);
    g->target.describe(g->target.context, thread, text, sizeof text);
    reply_hex(&g->reply, text, strlen(text));
    return true;
}

static bool current_thread(struct gdb *g, const char *at)
{
    if (*at) /* another command that begins with these letters */
        return true;
    reply_text(&g->reply, "QC");
    reply_number(&g->reply, g->last.thread);
    return true;
}

/* --- The rest --------------------------------------------------------------------------------- */

static bool supported(struct gdb *g, const char *at)
{
    (void)at;
    reply_text(&g->reply, "PacketSize=");
    reply_number(&g->reply, GDB_PACKET_MAX);
    reply_text(&g->reply,
               ";QStartNoAckMode+;qXfer:features:read+;vContSupported+;swbreak+;hwbreak+");
    if (g->target.reverse)
        reply_text(&g->reply, ";ReverseStep+;ReverseContinue+");
    return true;
}

static bool no_acknowledgements(struct gdb *g, const char *at)
{
    g->drop_ack |= !*at;
    return *at ? wrong(g) : ok(g, true, REFUSED);
}

/* Answers "1": the target existed before the client, so the client detaches when it quits. */
static bool attached(struct gdb *g, const char *at)
{
    (void)at;
    reply_text(&g->reply, "1");
    return true;
}

static bool description(struct gdb *g, const char *at)
{
    char xml[TARGET_XML_MAX];
    u64 offset, size;
    const size_t all = target_xml(xml, sizeof xml);
    if (!take_number(&at, &offset) || !take(&at, ',') || !take_number(&at, &size) || *at)
        return wrong(g);
    offset = min_u64(offset, all);
    size = min_u64(size, all - offset);
    reply_text(&g->reply, "l");
    if (reply_binary(&g->reply, xml + offset, size) < all - offset)
        g->reply.bytes[0] = 'm';
    return true;
}

static bool monitor(struct gdb *g, const char *at)
{
    char text[256];
    const size_t size = strlen(at) / 2;
    if (size >= sizeof text || !take_bytes(&at, text, size) || *at)
        return wrong(g);
    text[size] = 0;
    g->target.monitor(g->target.context, g, g->general, text);
    g->reply.size = 0;
    return ok(g, true, REFUSED);
}

struct command {
    const char *name;
    bool (*run)(struct gdb *g, const char *rest);
};

/* The table of commands. A longer name stands before a shorter one that it begins with. */
static const struct command commands[] = {
    {"qSupported", supported},
    {"QStartNoAckMode", no_acknowledgements},
    {"qXfer:features:read:target.xml:", description},
    {"qAttached", attached},
    {"qfThreadInfo", thread_list},
    {"qsThreadInfo", thread_list_end},
    {"qThreadExtraInfo,", thread_text},
    {"qC", current_thread},
    {"qRcmd,", monitor},
    {"vCont?", vcont_what},
    {"vCont", vcont},
    {"vKill", kill_target},
    {"?", why_stopped},
    {"g", read_registers},
    {"G", write_registers},
    {"p", read_register},
    {"P", write_register},
    {"m", read_memory},
    {"M", write_memory},
    {"X", write_binary},
    {"Z", insert_point},
    {"z", remove_point},
    {"bs", reverse_step},
    {"bc", reverse_continue},
    {"c", old_continue},
    {"s", old_step},
    {"Hg", choose_general},
    {"Hc", choose_resumed},
    {"T", thread_lives},
    {"D", detach},
    {"k", kill_old},
};

bool command_run(struct gdb *g)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const size_t length = strlen(commands[i].name);
        if (!strncmp(g->packet, commands[i].name, length))
            return commands[i].run(g, g->packet + length);
    }
    return true;
}
