/* SPDX-License-Identifier: Apache-2.0 */
/* The debugger of `softsev run`, shared by its files: a GDB on a socket, and the first VM. */
#ifndef SOFTSEV_CLI_RUN_GDB_H
#define SOFTSEV_CLI_RUN_GDB_H

#include "cli/run/run.h"
#include "debug/gdb.h"
#include "hypervisor/vm_debug.h"
#include "machine/debug.h"

/* Where GDBs connect, and the one that has (gdb_socket.c). */
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

struct run_gdb {
    struct run *run;
    struct gdb_socket socket;
    struct cpu_debugger debugger;
    struct gdb *gdb; /* the session; NULL until the target first stops for the client */
    bool serving;    /* the target is stopped */
    /* Time travel (gdb_history.c); history NULL: the run goes one way. */
    struct history *history;
    enum { FORWARD, BACK_STEP, BACK_RUN } wish; /* what GDB has just asked for */
    bool stepping;                              /* GDB waits for the end of a step */
    bool history_made;
    u64 moment_ns; /* of the last moment */
    bool muted;
    int outputs[2]; /* while muted: the real ones */
};

/* --- Time travel (gdb_history.c) -------------------------------------------------------------- */

/* Makes the process that debugs; it returns in that one alone. */
int history_open(struct run_gdb *g, struct error *e);
/* The guest goes on for the first time since GDB came, or since GDB changed it: the time before
 * cannot be reached. Returns true in a process that has travelled to here and is to stop; *stop is
 * how. */
bool history_begins(struct run_gdb *g, struct gdb_stop *stop);
void history_grows(struct run_gdb *g); /* between two slices */
/* Goes back by an instruction or to the point before, in another process. Returns false if there is
 * nothing to go back to. */
bool history_travel(struct run_gdb *g, bool one_instruction);
/* A core has stopped. Returns true if GDB is to know; *stop may change. */
bool history_stopped(struct run_gdb *g, u32 core, enum debug_why why, struct gdb_stop *stop);
void history_resume(struct run_gdb *g);
void history_restarts(struct run_gdb *g); /* GDB changes the guest, or has gone */
void history_ends(struct run_gdb *g);     /* the run has ended */

struct vm *gdb_vm(const struct run_gdb *g);
/* The registers of a virtual processor, running or not; false: it has none that can be read. */
bool gdb_cpu_registers(struct run_gdb *g, u32 cpu, struct debug_registers *out);
/* What a processor's addresses mean. */
bool gdb_cpu_view(struct run_gdb *g, u32 cpu, struct debug_view *out);
struct vm_debug_cpu gdb_cpu(struct run_gdb *g, u32 cpu);
/* Returns true if the processor is in the middle of a VMRUN; *core is where. */
bool gdb_cpu_runs(const struct run_gdb *g, u32 cpu, u32 *core);

/* GDB's form of registers (gdb_registers.c). From: false if a register changed that cannot be
 * written. */
void gdb_registers_to(const struct debug_registers *in, struct gdb_registers *out);
bool gdb_registers_from(const struct gdb_registers *in, struct debug_registers *inout);

/* A `monitor` command (gdb_monitor.c). */
void gdb_monitor(void *run_gdb, struct gdb *gdb, u32 thread, const char *command);

#endif
