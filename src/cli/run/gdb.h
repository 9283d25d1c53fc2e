/* SPDX-License-Identifier: Apache-2.0 */
/* The debugger of `softsev run`, shared by its files: GDB, and the first VM. */
#ifndef SOFTSEV_CLI_RUN_GDB_H
#define SOFTSEV_CLI_RUN_GDB_H

#include "cli/run/gdb_session.h"
#include "cli/run/run.h"
#include "hypervisor/vm_debug.h"

struct run_gdb {
    struct run *run;
    struct gdb_subject subject;
    struct gdb_session session;
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
/* Returns true if the processor is in the middle of a VMRUN; *core is where. */
bool gdb_cpu_runs(const struct run_gdb *g, u32 cpu, u32 *core);

#endif
