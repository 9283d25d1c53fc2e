/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debugger of a run of any machine: a socket for GDB, GDB's points in the cores, and the
 * session. The machine stops inside a core, between two instructions, and GDB is served from there:
 * no machine time passes, and neither the machine nor a trace shows the stop. Only if no processor
 * runs is the stop between two slices. While the machine runs, the socket is looked at as often as
 * the keyboard.
 */
#ifndef SOFTSEV_CLI_RUN_GDB_SESSION_H
#define SOFTSEV_CLI_RUN_GDB_SESSION_H

#include "base/error.h"
#include "debug/gdb.h"
#include "machine/debug.h"

#include <sys/types.h>

struct machine;

/* --- The socket to which GDB connects (gdb_socket.c) ------------------------------------------ */

struct gdb_socket {
    int listener, client; /* -1: none */
    char name[140];       /* what GDB's `target remote` takes */
    const char *path;     /* of a Unix socket, to be removed; NULL: none */
};

/* Takes an address: :PORT, HOST:PORT or unix:PATH. Connections are refused until
 * gdb_socket_listen(), when somebody can answer: GDB gives up after two seconds without an
 * answer. */
int gdb_socket_open(struct gdb_socket *s, const char *address, struct error *e);
int gdb_socket_listen(struct gdb_socket *s, struct error *e);
void gdb_socket_accept(struct gdb_socket *s); /* does not wait; sets `client` */
/* Returns the number of bytes that came, -1 if none came, and 0 if the client is gone. */
ssize_t gdb_socket_receive(struct gdb_socket *s, u8 *out, size_t size);
void gdb_socket_send(struct gdb_socket *s, const void *data, size_t size);
void gdb_socket_drop(struct gdb_socket *s); /* closes the connection */
void gdb_socket_close(struct gdb_socket *s);

/* --- The machine that GDB debugs -------------------------------------------------------------- */

/* The processors, numbered from 0; GDB's threads are the same, from 1. Members from `goes_on` on
 * may be NULL. */
struct gdb_subject {
    u32 (*count)(void *context);
    void (*describe)(void *context, u32 cpu, char *out, size_t size);
    /* Read and write registers. Return false if there are none that can be read, or written now. */
    bool (*get)(void *context, u32 cpu, struct debug_registers *out);
    bool (*set)(void *context, u32 cpu, const struct debug_registers *in);
    /* The translation of its addresses. */
    bool (*view)(void *context, u32 cpu, struct debug_view *out);
    /* Its name in struct cpu_debugger. */
    u64 (*name)(void *context, u32 cpu);
    /* The processor that a core runs. */
    u32 (*in_core)(void *context, u32 core);
    /* Returns the GHCB MSR at the last exit; 0: it has none. */
    u64 (*ghcb)(void *context, u32 cpu);
    /* Prints for `monitor registers` where the registers are and what a host would see of them. */
    void (*place)(void *context, struct gdb *gdb, u32 cpu);
    void (*tell)(void *context, const char *what); /* tells the user that GDB has come or gone */
    void (*end)(void *context);                    /* GDB ends the run */
    void (*served)(void *context, u64 ns);         /* the machine stood still for this time */
    /* Called when the machine goes on; `step`: by one instruction of some processor. */
    void (*goes_on)(void *context, bool step);
    void (*reverse)(void *context, bool one_instruction);
    void (*changed)(void *context); /* GDB has changed registers or memory */
    void (*left)(void *context);    /* the session is over */
    /* Called when a core has stopped. Returns false if GDB must not be told; *stop may change. */
    bool (*stopped)(void *context, u32 core, enum debug_why why, struct gdb_stop *stop);
    /* Called when GDB was served. Returns true if GDB must be told of another stop. */
    bool (*again)(void *context, struct gdb_stop *stop);
    const struct gdb_command *commands; /* `monitor` commands besides those of all machines */
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

/* Opens the session's address. */
int gdb_session_open(struct gdb_session *s, const struct gdb_subject *subject, void *context,
                     const char *address, struct error *e);
/* Begins to note the firmware's launch commands and who writes to memory. Call it before the
 * machine runs. */
int gdb_session_machine(struct gdb_session *s, struct machine *m, struct error *e);
/* Attaches to the cores. With `wait`, waits for GDB. The socket listens already. */
void gdb_session_start(struct gdb_session *s, bool wait);
/* Looks at the socket. `idle`: no processor has run since the last time, but some could. */
void gdb_session_look(struct gdb_session *s, bool idle);
/* Tells GDB the status with which the run ended. */
void gdb_session_close(struct gdb_session *s, int status);

/* Convert registers to GDB's form and back (gdb_registers.c). gdb_registers_from() returns false if
 * a register changed that cannot be written. */
void gdb_registers_to(const struct debug_registers *in, struct gdb_registers *out);
bool gdb_registers_from(const struct gdb_registers *in, struct debug_registers *inout);

/* --- `monitor` (gdb_monitor.c) ---------------------------------------------------------------- */

/* What a command gets: the session, a processor, an argument. */
struct gdb_ask {
    struct gdb_session *session;
    struct gdb *gdb;
    struct machine *machine;
    u32 cpu;
    u64 address;      /* the argument of a command that takes an address */
    const char *word; /* the argument of a command that takes a word */
    struct debug_view view;
};

/* A command. It takes no argument if `argument` is NULL, a word if that is in lower case, otherwise
 * an address. */
struct gdb_command {
    const char *name, *argument, *help;
    void (*run)(struct gdb_ask *a);
};

void gdb_monitor(void *session, struct gdb *gdb, u32 thread, const char *command);

/* --- The firmware's launch commands, for `monitor launch` (gdb_launches.c) -------------------- */

struct trace;
/* Listens to a machine's events. Keeps nothing of an earlier machine. Returns NULL if out of
 * memory. */
struct launch_log *launch_log_create(struct trace *trace);
void launch_log_free(struct launch_log *l);
void launch_log_print(const struct launch_log *l, struct gdb *gdb);

#endif
