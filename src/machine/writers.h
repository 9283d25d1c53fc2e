/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who wrote last to a frame of memory: the party, when and how. Nothing is noted unless a debugger
 * asks for it. Of a program's stores, only the first after another party's write is noted: later
 * ones run at full speed, and have neither time nor address.
 */
#ifndef SOFTSEV_MACHINE_WRITERS_H
#define SOFTSEV_MACHINE_WRITERS_H

#include "base/base.h"

struct machine;

enum debug_party {
    WRITER_CORE,     /* the core itself: VMCB, VMSA, host save area */
    WRITER_PROGRAM,  /* software on a core, in host mode or in a guest */
    WRITER_HOST,     /* the hypervisor outside the cores, or whatever loaded the host */
    WRITER_DEVICE,   /* DMA */
    WRITER_FIRMWARE, /* a command of the secure processor */
    WRITER_DEBUGGER,
    WRITERS,
};

struct debug_writer {
    enum debug_party party;
    u64 time_ns;
    bool guest;     /* of WRITER_PROGRAM: in a guest, not in host mode */
    u32 core, asid; /* of WRITER_PROGRAM */
    u64 rip;        /* of WRITER_PROGRAM */
    u32 command;    /* of WRITER_FIRMWARE */
};

/* Begins to note who writes. Call it before the machine runs. Returns false if out of memory. */
bool debug_note_writers(struct machine *m);
/* Returns false if nobody has written to the frame of this system address. */
bool debug_writer(const struct machine *m, u64 spa, struct debug_writer *out);
const char *debug_party_name(enum debug_party party);

#endif
