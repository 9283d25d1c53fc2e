/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A debugger of a run, whichever machine it has: a GDB on a socket, its points in the cores, and
 * the session. The machine stops inside of a core, between two instructions, and GDB is served from
 * there: no machine time passes, and nothing of the stop can be seen in the machine or in a trace.
 * Only if no processor runs is a stop between two slices. While the machine runs, the socket is
 * looked at as often as the keyboard.
 */
#ifndef SOFTSEV_CLI_RUN_GDB_SESSION_H
#define SOFTSEV_CLI_RUN_GDB_SESSION_H

#include "base/error.h"
#include "debug/gdb.h"
#include "machine/debug.h"

#include <sys/types.h>

struct machine;

/* --- Where GDBs connect, and the one that has (gdb_socket.c) ---------------------------------- */

struct gdb_socket {
    int listener, client; /* -1: none */
    char name[140];       /* what GDB's `target remote` takes */
    const char *path;     /* of a Unix socket, to be removed; NULL: none */
};

/* Takes an address, :PORT, HOST:PORT or unix:PATH. Connections are refused until there is somebody
 * to answer: a GDB that waits longer than two seconds gives up. */
int gdb_socket_open(struct gdb_socket *s, const char *address, struct error *e);
int gdb_socket_listen(struct gdb_socket *s, struct error *e);
void gdb_socket_accept(struct gdb_socket *s); /* without waiting; a client may be there then */
/* Returns what has come, -1 if nothing has, and 0 if the client is gone. */
ssize_t gdb_socket_receive(struct gdb_socket *s, u8 *out, size_t size);
void gdb_socket_send(struct gdb_socket *s, const void *data, size_t size);
void gdb_socket_drop(struct gdb_socket *s); /* the client */
void gdb_socket_close(struct gdb_socket *s);

/* --- Whom GDB debugs -------------------------------------------------------------------------- */

/* The processors, from 0; GDB's threads are these, from 1. Members from `goes_on` on may be NULL.
 */
struct gdb_subject {
    u32 (*count)(void *context);
    void (*describe)(void *context, u32 cpu, char *out, size_t size);
    /* False: it has no registers that can be read, or that can be written now. */
    bool (*get)(void *context, u32 cpu, struct debug_registers *out);
    bool (*set)(void *context, u32 cpu, const struct debug_registers *in);
    bool (*view)(void *context, u32 cpu, struct debug_view *out); /* what its addresses mean */
    u64 (*name)(void *context, u32 cpu);                          /* in struct cpu_debugger */
    u32 (*in_core)(void *context, u32 core);                      /* the processor that it runs */
    /* The GHCB MSR at the last exit; 0: it has none. */
    u64 (*ghcb)(void *context, u32 cpu);
    /* Says to `monitor registers` where they are, and what a host would see of them. */
    void (*place)(void *context, struct gdb *gdb, u32 cpu);
    void (*tell)(void *context, const char *what); /* the user, of GDB's coming and going */
    void (*end)(void *context);                    /* GDB ends the run */
    void (*served)(void *context, u64 ns);         /* so long the machine stood still */
    /* The machine goes on; `step`: by one instruction of some processor. */
    void (*goes_on)(void *context, bool step);
    void (*reverse)(void *context, bool one_instruction);
    void (*changed)(void *context); /* GDB has changed registers or memory */
    void (*left)(void *context);    /* the session is over */
    /* A core has stopped. False: GDB is not to know; *stop may change. */
    bool (*stopped)(void *context, u32 core, enum debug_why why, struct gdb_stop *stop);
    /* GDB was served. True: it is to be told of another stop. */
    bool (*again)(void *context, struct gdb_stop *stop);
    const struct gdb_command *commands; /* of `monitor`, beside those of all machines */
    size_t command_count;
};

struct gdb_session {
    const struct gdb_subject *subject;
    void *context; /* the subject's */
    struct machine *machine;
    struct gdb_socket socket;
    struct cpu_debugger debugger;
    struct gdb *gdb; /* NULL until the machine first stops for the client */
    bool serving;    /* the machine is stopped */
    struct launch_log *launches;
};

/* Takes the address. */
int gdb_session_open(struct gdb_session *s, const struct gdb_subject *subject, void *context,
                     const char *address, struct error *e);
/* Before the machine runs: notes its firmware's launch commands, and who writes to its memory. */
int gdb_session_machine(struct gdb_session *s, struct machine *m, struct error *e);
/* Takes hold of the cores; with `wait`, waits for GDB. The socket listens already. */
void gdb_session_start(struct gdb_session *s, bool wait);
/* Looks at the socket. `idle`: no processor has run since the last time, but some could. */
void gdb_session_look(struct gdb_session *s, bool idle);
/* Tells GDB the status with which the run has ended. */
void gdb_session_close(struct gdb_session *s, int status);

/* GDB's form of registers (gdb_registers.c). From: false if a register changed that cannot be
 * written. */
void gdb_registers_to(const struct debug_registers *in, struct gdb_registers *out);
bool gdb_registers_from(const struct gdb_registers *in, struct debug_registers *inout);

/* --- `monitor` (gdb_monitor.c) ---------------------------------------------------------------- */

/* What a command works on. */
struct gdb_ask {
    struct gdb_session *session;
    struct gdb *gdb;
    struct machine *machine;
    u32 cpu;
    u64 address;      /* of a command that wants one */
    const char *word; /* ... or a word */
    struct debug_view view;
};

/* Without an argument if `argument` is NULL; with a word in lower case, with an address. */
struct gdb_command {
    const char *name, *argument, *help;
    void (*run)(struct gdb_ask *a);
};

void gdb_monitor(void *session, struct gdb *gdb, u32 thread, const char *command);

/* --- The firmware's launch commands, for `monitor launch` (gdb_launches.c) -------------------- */

struct trace;
/* Listens to a machine's events; of an earlier machine nothing is kept. NULL: out of memory. */
struct launch_log *launch_log_create(struct trace *trace);
void launch_log_free(struct launch_log *l);
void launch_log_print(const struct launch_log *l, struct gdb *gdb);

#endif
