/* SPDX-License-Identifier: Apache-2.0 */
/* Notes who writes to each frame; see writers.h. */
#include "machine/writers.h"

#include "machine/internal.h"

#include <stdlib.h>

/* The last writer of one frame. */
struct note {
    u64 time_ns, rip;
    u32 asid, number; /* of the core, or of the command */
    u8 party;
    bool guest, any;
};

struct writers {
    struct memory_witness witness;
    const struct host *host;
    struct note notes[]; /* one for each frame */
};

static bool same_program(const struct note *a, const struct note *b)
{
    return a->any && a->party == WRITER_PROGRAM && b->party == WRITER_PROGRAM &&
           a->guest == b->guest && a->asid == b->asid && a->number == b->number;
}

/* Records a store. A program stores fast once it was recorded, so any other writer that follows it
 * asks for the program's next store. */
static void written(void *context, u64 frame, const struct memory_store *store)
{
    struct writers *w = context;
    struct note *n = &w->notes[frame];
    struct note now = {.time_ns = w->host->clock.now,
                       .number = w->host->command,
                       .party = (u8)w->host->writing,
                       .any = true};
    if (store)
        now = (struct note){.time_ns = store->time_ns,
                            .rip = store->rip,
                            .asid = store->asid,
                            .number = store->core,
                            .party = WRITER_PROGRAM,
                            .guest = store->guest,
                            .any = true};
    if (same_program(n, &now))
        return;
    if (n->any && n->party == WRITER_PROGRAM)
        memory_ask_stores(w->host->memory, frame);
    *n = now;
}

bool debug_note_writers(struct machine *m)
{
    struct host *h = &m->host;
    const u64 frames = memory_size(h->memory) >> PAGE_SHIFT;
    if (h->writers)
        return true;
    h->writers = calloc(1, sizeof *h->writers + frames * sizeof h->writers->notes[0]);
    if (!h->writers)
        return false;
    h->writers->host = h;
    h->writers->witness = (struct memory_witness){written, h->writers};
    memory_set_witness(h->memory, &h->writers->witness);
    return true;
}

bool debug_writer(const struct machine *m, u64 spa, struct debug_writer *out)
{
    const struct host *h = &m->host;
    if (!h->writers || spa >= memory_size(h->memory))
        return false;
    const struct note *n = &h->writers->notes[spa >> PAGE_SHIFT];
    *out = (struct debug_writer){.party = (enum debug_party)n->party,
                                 .time_ns = n->time_ns,
                                 .guest = n->guest,
                                 .core = n->number,
                                 .asid = n->asid,
                                 .rip = n->rip,
                                 .command = n->number};
    return n->any;
}

const char *debug_party_name(enum debug_party party)
{
    static const char *const names[WRITERS] = {
        [WRITER_CORE] = "the core itself, at a world switch",
        [WRITER_PROGRAM] = "the host's software",
        [WRITER_HOST] = "the hypervisor, or the host's loader",
        [WRITER_DEVICE] = "a device's DMA",
        [WRITER_FIRMWARE] = "the firmware",
        [WRITER_DEBUGGER] = "the debugger",
    };
    return names[party];
}
