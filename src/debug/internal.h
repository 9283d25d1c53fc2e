/* SPDX-License-Identifier: Apache-2.0 */
/* Shared declarations of the files of this room. */
#ifndef SOFTSEV_DEBUG_INTERNAL_H
#define SOFTSEV_DEBUG_INTERNAL_H

#include "debug/gdb.h"

/* A reply that grows in a bounded buffer. What does not fit is cut, and `full` says so. */
struct reply {
    char bytes[GDB_PACKET_MAX];
    size_t size;
    bool full;
};

void reply_text(struct reply *r, const char *text);
void reply_number(struct reply *r, u64 value); /* hexadecimal, without leading zeros */
void reply_hex(struct reply *r, const void *data, size_t size);
/* Appends bytes with the protocol's escapes. Returns how many of them fit. */
size_t reply_binary(struct reply *r, const void *data, size_t size);
void reply_error(struct reply *r, u8 number);

/* --- registers.c ------------------------------------------------------------------------------ */

#define TARGET_XML_MAX KIB(16)

struct register_place {
    u32 offset, size; /* in struct gdb_registers */
};

/* Finds a register by its number. Returns false if there is none. */
bool register_find(u32 number, struct register_place *out);
/* Writes the target description. Returns its size. */
size_t target_xml(char *out, size_t size);

/* --- commands.c ------------------------------------------------------------------------------- */

struct gdb {
    struct gdb_target target;
    struct gdb_stop last; /* the answer to `?` */
    bool running, no_ack, ended;
    bool drop_ack;      /* QStartNoAckMode: after its own answer */
    u32 general;        /* the thread of registers and memory */
    u32 resumed;        /* the thread of the old `s` */
    struct reply reply; /* the last packet, for a repetition */
    /* the packet that is being received */
    enum { WAIT_PACKET, IN_PACKET, FIRST_DIGIT, SECOND_DIGIT } phase;
    char packet[GDB_PACKET_MAX + 1];
    size_t packet_size;
    bool packet_long;
    u8 sum, given;
};

/* Runs the command in `packet`. Returns true if `reply` is to be sent. */
bool command_run(struct gdb *g);
void command_stop_reply(struct gdb *g);
void packet_send(struct gdb *g);

#endif
