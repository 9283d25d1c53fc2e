/* SPDX-License-Identifier: Apache-2.0 */
/* The debugger of `softsev run`, as its files share it: a socket for GDB, and the first VM. */
#ifndef SOFTSEV_CLI_RUN_GDB_H
#define SOFTSEV_CLI_RUN_GDB_H

#include "cli/run/gdb_session.h"
#include "cli/run/run.h"
#include "hypervisor/vm_debug.h"

struct run_gdb {
    struct run *run;
    struct gdb_subject subject;
    struct gdb_session session;
    /* Time travel (gdb_history.c). `history` is NULL if the run cannot go back. */
    struct history *history;
    enum { FORWARD, BACK_STEP, BACK_RUN } direction; /* how GDB asked to go on */
    bool stepping;                                   /* GDB waits for the end of a step */
    bool history_made;
    u64 moment_ns; /* of the last moment */
    bool muted;
    int outputs[2]; /* the real standard output and error while they are muted */
};

/* --- Time travel (gdb_history.c) -------------------------------------------------------------- */

/* Forks the process that debugs, and returns in that process only. */
int history_open(struct run_gdb *g, struct error *e);
/* Call it when the guest goes on for the first time since GDB connected or changed the guest: this
 * is the earliest point that can be reached. Returns true in a process that has travelled back to
 * this point and must stop; *stop then says how. */
bool history_begins(struct run_gdb *g, struct gdb_stop *stop);
void history_grows(struct run_gdb *g); /* call it between two slices */
/* Goes back by one instruction or to the previous point; another process takes over there. Returns
 * false if there is nothing to go back to. */
bool history_travel(struct run_gdb *g, bool one_instruction);
/* Call it when a core has stopped. Returns true if GDB must be told; *stop may change. */
bool history_stopped(struct run_gdb *g, u32 core, enum debug_why why, struct gdb_stop *stop);
void history_resume(struct run_gdb *g);
void history_restarts(struct run_gdb *g); /* call it when GDB changes the guest or has gone */
void history_ends(struct run_gdb *g);     /* call it when the run has ended */

struct vm *gdb_vm(const struct run_gdb *g);
/* Returns true if the processor is in the middle of a VMRUN; *core is where. */
bool gdb_cpu_runs(const struct run_gdb *g, u32 cpu, u32 *core);

#endif
