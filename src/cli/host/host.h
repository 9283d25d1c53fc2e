/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of `softsev host`: the options and the running machine. */
#ifndef SOFTSEV_CLI_HOST_H
#define SOFTSEV_CLI_HOST_H

#include "bare/bare.h"
#include "cli/identity/platform.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/run/disk.h"
#include "cli/run/gdb_session.h"
#include "cli/run/picture.h"
#include "cli/run/serial.h"
#include "cli/run/session.h"
#include "machine/host.h"
#include "machine/machine.h"

/* Ids of the options. */
enum host_option {
    HOST_KERNEL = 1,
    HOST_INITRD,
    HOST_APPEND,
    HOST_MEMORY,
    HOST_CPUS,
    HOST_DISK,
    HOST_NET,
    HOST_SERIAL,
    HOST_VIRTIO_RNG,
    HOST_DEVICE,
    HOST_CPU,
    HOST_PROFILE,
    HOST_STATE,
    HOST_SEED,
    HOST_TIME,
    HOST_LIMIT,
    HOST_EXPECT,
    HOST_CLOCK,
    HOST_ENGINE,
    HOST_NO_REBOOT,
    HOST_TRACE,
    HOST_TRACE_FILE,
    HOST_TRACE_HASH,
    HOST_JSON,
    HOST_QUIET,
    HOST_GDB,
    HOST_GDB_WAIT,
    HOST_VIEW,
    HOST_VIEW_KEEP,
    HOST_MAP,
    HOST_IDS,
};

struct host_options {
    const char *kernel, *initrd, *append, *cpu_text, *state, *seed, *expect, *serial;
    struct run_disk_options disks[BARE_DISKS_MAX];
    u32 disk_count;
    struct net_options net;
    const struct firmware_profile *profile; /* NULL: the platform's */
    struct cpu_model cpu;                   /* if cpu_text */
    u64 memory;                             /* bytes */
    u32 cpus, trace;
    bool virtio_rng, testdev, json, quiet, no_reboot, limit_given;
    const char *gdb, *view, *map; /* addresses for GDB and browser, file of the map; NULL: none */
    bool gdb_wait, view_keep;
    s64 time_seconds;
    u64 limit_ns;
    enum run_clock clock;
    enum cpu_engine engine;
};

#define HOST_LINE_MAX 512u /* bytes of a console line in which --expect is looked for */

/* The files and sockets behind the board's devices (host_devices.c). A reset of the board keeps
 * them. */
struct host_devices {
    struct run_disk_file disks[BARE_DISKS_MAX];
    struct net *net;           /* NULL: none */
    struct run_serial *serial; /* NULL: the UART is on standard output */
    struct crypto *crypto;     /* of the entropy source */
    struct random_source random;
    struct net_polls polls; /* the descriptors that network and serial port wait for */
};

struct host_run {
    struct host_options options;
    struct cli_file kernel, initrd;
    struct crypto *crypto;
    struct cli_platform platform;
    struct machine *machine;
    struct bare *bare;
    struct host_devices devices;
    struct run_trace tracing;
    struct run_panic panic;
    struct run_terminal *terminal;
    char line[HOST_LINE_MAX]; /* the console's last line */
    size_t line_size;
    bool line_open, expected;
    bool quit; /* a signal came, or the console showed the line of --expect */
    u32 reboots;
    u64 began_ns, wall_ns;  /* of this computer's clock */
    u64 wall_start_ns;      /* of this computer's clock, at machine time 0 */
    u64 looked_ns;          /* of this computer's clock, at the keyboard */
    struct gdb_session gdb; /* if options.gdb */
    struct live_view *view; /* NULL: nobody looks */
    FILE *map;              /* where the map goes at the end; NULL: nowhere */
};

/* Options */
int host_parse(const struct options *given, struct host_options *o, struct error *e);
void host_free_options(struct host_options *o);

/* --- host_devices.c --------------------------------------------------------------------------- */

int host_devices_open(struct host_run *r, struct error *e);
int host_devices_close(struct host_run *r, struct error *e); /* -1: a file is not whole */
/* Connects a new board to the open files and sockets. */
void host_devices_connect(struct host_run *r, struct bare_config *config);
/* Return true if input may come from outside (live), or has come and waits for the machine
 * (wait). */
bool host_devices_live(const struct host_run *r);
bool host_devices_wait(const struct host_run *r);
/* Receives from keyboard, serial port and network; waits up to `wait_ns` if nothing is there.
 * Changes no machine. */
void host_devices_look(struct host_run *r, u64 wait_ns);
/* Gives the received input to the machine, between two slices. */
void host_devices_give(struct host_run *r);

/* --- host_clock.c ----------------------------------------------------------------------------- */

void host_clock_start(struct host_run *r);
/* Connects the new machine; called after boot(). */
void host_clock_watch(struct host_run *r);
/* Runs the machine for one slice. With the wall's clock, sleeps if all cores idle. Returns false if
 * the machine has ended. */
bool host_slice(struct host_run *r, u64 limit_ns);

/* --- host_gdb.c: the cores as GDB's threads --------------------------------------------------- */

/* All these functions do nothing without --gdb. */
int host_gdb_open(struct host_run *r, struct error *e); /* takes the address */
/* Connects the debugger to the machine, or after a reset to the next one. */
int host_gdb_machine(struct host_run *r, struct error *e);
/* Listens, once the host is loaded; with --gdb-wait, waits for GDB. */
int host_gdb_start(struct host_run *r, struct error *e);
void host_gdb_again(struct host_run *r); /* called when a reset has loaded the host again */
void host_gdb_look(struct host_run *r, bool idle);
void host_gdb_close(struct host_run *r, int status);

/* --- host_report.c ---------------------------------------------------------------------------- */

/* Prints one step and who does it: "board       ...", or a JSON line. */
void host_step(struct host_run *r, const char *who, const char *format, ...) PRINTF_LIKE(3, 4);
void host_console_output(void *host_run, const u8 *data, u64 size);
void host_summarise(struct host_run *r);

#endif
