/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev host` share: what was asked for, and what is running. */
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
    const char *gdb, *view, *map; /* where a debugger, a browser, the map go; NULL: nowhere */
    bool gdb_wait, view_keep;
    s64 time_seconds;
    u64 limit_ns;
    enum run_clock clock;
    enum cpu_engine engine;
};

#define HOST_LINE_MAX 512u /* bytes of a console line in which --expect is looked for */

/* What the board's devices lead to (host_devices.c). They outlive a reset of the board. */
struct host_devices {
    struct run_disk_file disks[BARE_DISKS_MAX];
    struct net *net;           /* NULL: none */
    struct run_serial *serial; /* NULL: the UART is on standard output */
    struct crypto *crypto;     /* of the entropy source */
    struct random_source random;
    struct net_polls polls; /* what network and serial port wait for */
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
    bool quit; /* a signal came, or what --expect waits for */
    u32 reboots;
    u64 began_ns, wall_ns;  /* of this computer's clock */
    u64 wall_start_ns;      /* of this computer's clock, at machine time 0 */
    u64 looked_ns;          /* of this computer's clock, at the keyboard */
    struct gdb_session gdb; /* if options.gdb */
    struct live_view *view; /* NULL: nobody looks */
    FILE *map;              /* where the map goes at the end; NULL: nowhere */
};

/* What is to be run. */
int host_parse(const struct options *given, struct host_options *o, struct error *e);
void host_free_options(struct host_options *o);

/* --- host_devices.c --------------------------------------------------------------------------- */

int host_devices_open(struct host_run *r, struct error *e);
int host_devices_close(struct host_run *r, struct error *e); /* -1: a file is not whole */
/* Connects a new board to them. */
void host_devices_connect(struct host_run *r, struct bare_config *config);
/* Whether input may come from outside, or has come and waits for the machine. */
bool host_devices_live(const struct host_run *r);
bool host_devices_wait(const struct host_run *r);
/* Looks at keyboard, serial port and network; waits up to `wait_ns` if there is nothing. Changes no
 * machine. */
void host_devices_look(struct host_run *r, u64 wait_ns);
/* Gives the machine what has come, between two slices. */
void host_devices_give(struct host_run *r);

/* --- host_clock.c ----------------------------------------------------------------------------- */

void host_clock_start(struct host_run *r);
/* After boot(): connects the new machine. */
void host_clock_watch(struct host_run *r);
/* Runs the machine for a while, and sleeps if machine time goes by the wall and all cores idle.
 * Returns false if the machine has ended. */
bool host_slice(struct host_run *r, u64 limit_ns);

/* --- host_gdb.c: the cores as GDB's threads --------------------------------------------------- */

/* All do nothing without --gdb. */
int host_gdb_open(struct host_run *r, struct error *e); /* takes the address */
/* The machine, or after a reset another one, is there. */
int host_gdb_machine(struct host_run *r, struct error *e);
/* The host is loaded: listens; with --gdb-wait, waits for GDB. */
int host_gdb_start(struct host_run *r, struct error *e);
void host_gdb_again(struct host_run *r); /* the host is loaded again, after a reset */
void host_gdb_look(struct host_run *r, bool idle);
void host_gdb_close(struct host_run *r, int status);

/* --- host_report.c ---------------------------------------------------------------------------- */

/* One step and who does it: "board       ...", or a JSON line. */
void host_step(struct host_run *r, const char *who, const char *format, ...) PRINTF_LIKE(3, 4);
void host_console_output(void *host_run, const u8 *data, u64 size);
void host_summarise(struct host_run *r);

#endif
