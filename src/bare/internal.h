/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the bare machine: the machine, and what its cores are wired to. */
#ifndef SOFTSEV_BARE_INTERNAL_H
#define SOFTSEV_BARE_INTERNAL_H

#include "bare/bare.h"
#include "board/board.h"
#include "cpu/bare.h"
#include "machine/host.h"
#include "machine/machine.h"

struct bare_core {
    struct bare *bare;
    u32 index;
    struct cpu *cpu;
    bool halted;  /* in HLT; an interrupt, an NMI or INIT wakes it */
    bool deaf;    /* in HLT with interrupts off: an interrupt does not wake it */
    bool waiting; /* for STARTUP */
    bool nmi;     /* an NMI has come since it halted */
    bool init;    /* INIT has come and is not carried out yet */
    u32 startup;  /* STARTUP has come: its vector, with bit 8 set */
};

struct bare {
    struct bare_config config;
    struct host *host;
    struct image_plan *plan;
    struct board *board;
    struct bare_core cores[IMAGE_CPUS_MAX];
    u32 count;
    u32 turn;        /* the core that runs next */
    u64 deadline_ns; /* of the core that runs */
    struct bare_core *running;
    bool (*stop)(void *context); /* asked after each turn; NULL: never */
    void *stop_context;
    struct bare_summary summary;
};

/* Ends the machine; the first reason counts. */
void bare_end(struct bare *b, enum bare_state state, const char *format, ...) PRINTF_LIKE(3, 4);
/* Returns true if a core is out of HLT and out of its wait for STARTUP, or will be at once. */
bool bare_can_run(const struct bare_core *c);

/* --- wires.c ---------------------------------------------------------------------------------- */

/* Connects the board to the machine's memory, and the cores to the board. */
int bare_wire(struct bare *b, struct error *error);
/* Tells a core whether an interrupt is pending. */
void bare_pin(struct bare_core *c);

#endif
