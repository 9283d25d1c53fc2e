/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets: `$` data `#` and two digits of a checksum. Each is acknowledged with `+`, or `-` asks
 * for it once more, until the client turns that off. A byte 03h between packets is Ctrl-C.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "debug/internal.h"

#define CTRL_C 3

static const char digits[] = "0123456789abcdef";

/* --- Replies ---------------------------------------------------------------------------------- */

static void put(struct reply *r, char byte)
{
    if (r->size < sizeof r->bytes)
        r->bytes[r->size++] = byte;
    else
        r->full = true;
}

void reply_text(struct reply *r, const char *text)
{
    while (*text)
        put(r, *text++);
}

void reply_number(struct reply *r, u64 value)
{
    char text[20];
    snprintf(text, sizeof text, "%llx", (unsigned long long)value);
    reply_text(r, text);
}

void reply_hex(struct reply *r, const void *data, size_t size)
{
    for (const u8 *p = data; size; p++, size--) {
        put(r, digits[*p >> 4]);
        put(r, digits[*p & 15]);
    }
}

size_t reply_binary(struct reply *r, const void *data, size_t size)
{
    const u8 *p = data;
    size_t done = 0;
    for (; done < size && r->size + 2 <= sizeof r->bytes; done++) {
        const bool escape = p[done] == '#' || p[done] == '$' || p[done] == '}' || p[done] == '*';
        if (escape)
            put(r, '}');
        put(r, (char)(escape ? p[done] ^ 0x20 : p[done]));
    }
    return done;
}

void reply_error(struct reply *r, u8 number)
{
    r->size = 0;
    reply_text(r, "E");
    reply_hex(r, &number, 1);
}

/* --- Sending ---------------------------------------------------------------------------------- */

void packet_send(struct gdb *g)
{
    char frame[GDB_PACKET_MAX + 4] = "$";
    const size_t size = g->reply.size;
    u8 sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = (u8)(sum + (u8)g->reply.bytes[i]);
    memcpy(frame + 1, g->reply.bytes, size);
    frame[size + 1] = '#';
    frame[size + 2] = digits[sum >> 4];
    frame[size + 3] = digits[sum & 15];
    g->target.send(g->target.context, frame, size + 4);
}

static void acknowledge(const struct gdb *g, const char *with)
{
    if (!g->no_ack)
        g->target.send(g->target.context, with, 1);
}

void gdb_print(struct gdb *gdb, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    gdb->reply = (struct reply){.size = 0};
    reply_text(&gdb->reply, "O");
    reply_hex(&gdb->reply, text, min_u64(n > 0 ? (u64)n : 0, sizeof text - 1));
    packet_send(gdb);
}

/* --- Receiving -------------------------------------------------------------------------------- */

static void packet_complete(struct gdb *g)
{
    if (g->sum != g->given || g->packet_long) {
        acknowledge(g, "-");
        return;
    }
    acknowledge(g, "+");
    g->packet[g->packet_size] = 0;
    g->reply.size = 0;
    g->reply.full = false;
    if (command_run(g))
        packet_send(g);
    g->no_ack |= g->drop_ack;
}

static void packet_begin(struct gdb *g)
{
    g->phase = IN_PACKET;
    g->packet_size = 0;
    g->packet_long = false;
    g->sum = g->given = 0;
}

/* Returns the value of a hexadecimal digit; other characters make every checksum wrong. */
static u8 digit(struct gdb *g, u8 byte)
{
    const char *at = byte ? strchr(digits, byte | 0x20) : NULL;
    g->packet_long |= !at;
    return at ? (u8)(at - digits) : 0;
}

static void feed_between(struct gdb *g, u8 byte)
{
    if (g->running) {
        if (byte == CTRL_C)
            g->target.interrupt(g->target.context);
    } else if (byte == '$') {
        packet_begin(g);
    } else if (byte == '-' && !g->no_ack) {
        packet_send(g);
    }
}

static void feed_byte(struct gdb *g, u8 byte)
{
    switch (g->phase) {
    case WAIT_PACKET:
        feed_between(g, byte);
        break;
    case IN_PACKET:
        if (byte == '#') {
            g->phase = FIRST_DIGIT;
        } else if (byte == '$') { /* the previous packet was cut off */
            packet_begin(g);
        } else {
            g->sum = (u8)(g->sum + byte);
            g->packet_long |= g->packet_size == GDB_PACKET_MAX;
            if (!g->packet_long)
                g->packet[g->packet_size++] = (char)byte;
        }
        break;
    case FIRST_DIGIT:
        g->given = (u8)(digit(g, byte) << 4);
        g->phase = SECOND_DIGIT;
        break;
    case SECOND_DIGIT:
        g->given |= digit(g, byte);
        g->phase = WAIT_PACKET;
        packet_complete(g);
        break;
    }
}

void gdb_feed(struct gdb *gdb, const u8 *data, size_t size)
{
    for (size_t i = 0; i < size && !gdb->ended; i++)
        feed_byte(gdb, data[i]);
}

/* --- The session ------------------------------------------------------------------------------ */

struct gdb *gdb_open(const struct gdb_target *target, const struct gdb_stop *first)
{
    struct gdb *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->target = *target;
    g->last = *first;
    g->general = g->resumed = first->thread;
    return g;
}

void gdb_close(struct gdb *gdb)
{
    free(gdb);
}

size_t gdb_state_size(void)
{
    return sizeof(struct gdb);
}

void gdb_save(const struct gdb *gdb, void *out)
{
    memcpy(out, gdb, sizeof *gdb);
}

void gdb_restore(struct gdb *gdb, const void *in)
{
    const struct gdb_target target = gdb->target;
    memcpy(gdb, in, sizeof *gdb);
    gdb->target = target;
}

bool gdb_target_runs(const struct gdb *gdb)
{
    return gdb->running;
}

bool gdb_ended(const struct gdb *gdb)
{
    return gdb->ended;
}

void gdb_stopped(struct gdb *gdb, const struct gdb_stop *stop)
{
    gdb->last = *stop;
    gdb->general = gdb->resumed = stop->thread;
    if (!gdb->running)
        return;
    gdb->running = false;
    gdb->reply.size = 0;
    command_stop_reply(gdb);
    packet_send(gdb);
}

void gdb_exited(struct gdb *gdb, u8 status)
{
    if (!gdb->running || gdb->ended)
        return;
    gdb->running = false;
    gdb->ended = true;
    gdb->reply.size = 0;
    reply_text(&gdb->reply, "W");
    reply_hex(&gdb->reply, &status, 1);
    packet_send(gdb);
}
