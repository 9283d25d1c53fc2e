/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine without softsev's hypervisor: its cores run their host's code themselves, on one board.
 * The host's kernel comes from an image plan, and the machine is in the state that a BIOS leaves
 * [host 2.1]. The cores take turns by machine time, so a run can be repeated. A reset, or a core's
 * shutdown, ends the bare machine: its owner makes another, on a new machine.
 */
#ifndef SOFTSEV_BARE_BARE_H
#define SOFTSEV_BARE_BARE_H

#include "base/base.h"
#include "base/error.h"
#include "base/random.h"
#include "device/backend.h"
#include "image/image.h"

#define BARE_DISKS_MAX 8u

struct bare;
struct machine; /* machine/machine.h */

struct bare_config {
    struct machine *machine; /* outlives the bare machine */
    /* Kernel, initrd and command line; the files stay until bare_destroy(). Memory and processors
     * are the machine's. */
    struct image_description image;
    u64 rtc_seconds; /* the time of day at machine time 0, seconds since 1970 */
    bool testdev;    /* adds the device for hypervisor tests, QEMU's pc-testdev */
    struct console_backend console;
    struct block_backend disks[BARE_DISKS_MAX];
    u32 disk_count;
    struct net_backend net;             /* no function: no network card */
    const struct random_source *random; /* of a virtio entropy source; NULL: there is none */
};

enum bare_state {
    BARE_RUNNING,
    BARE_POWERED_OFF,
    BARE_RESET, /* the host asked for a reset, or one of its cores has shut down */
    BARE_DEBUG_EXIT,
    BARE_CRASHED, /* no core can ever run again */
};

struct bare_summary {
    enum bare_state state;
    char reason[120];    /* one line; empty while it runs */
    bool shutdown;       /* of BARE_RESET: by a triple fault */
    u32 debug_exit_code; /* of BARE_DEBUG_EXIT */
    u64 busy_ns;         /* machine time in which a core ran */
    u64 port_accesses, memory_accesses, interrupts;
};

/* RAM is below the window of PCI, in one piece. */
#define BARE_MEMORY_MAX GIB(3)

/* Makes the board and loads the kernel. Returns NULL and an error if a file is malformed or memory
 * is too small for it. */
struct bare *bare_create(const struct bare_config *config, struct error *error);
void bare_destroy(struct bare *b); /* NULL does nothing */

/* Runs the cores in turns until the machine ends or machine time reaches `until_ns`. Skips the time
 * in which all cores are halted. Returns true while it has not ended. */
bool bare_run(struct bare *b, u64 until_ns);
/* Does the same, but returns as soon as all cores are halted. `next_ns` is then the machine time of
 * the next event; 0: some core can still run. */
bool bare_run_busy(struct bare *b, u64 until_ns, u64 *next_ns);
/* Asks `stop` after every turn: if it returns true, the run returns at once. `stop` must not change
 * the machine. */
void bare_set_stop(struct bare *b, bool (*stop)(void *context), void *context);

/* Ends the turn, so that `stop` is asked right after this instruction. Call it inside a back
 * end. */
void bare_end_turn(struct bare *b);

/* Sends bytes to the UART between two runs. Returns how many were taken. */
size_t bare_console_input(struct bare *b, const u8 *data, size_t size);
/* Sends a frame to the network card between two runs. Returns false if its driver has no room for
 * it now. */
bool bare_net_input(struct bare *b, const void *frame, size_t size);

/* What a core does: "runs", "halted", "waits for STARTUP". */
const char *bare_core_state(const struct bare *b, u32 core);

void bare_get_summary(const struct bare *b, struct bare_summary *out);

#endif
