/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev with` share: a machine that is on while a program runs, and the doors
 * to it. */
#ifndef SOFTSEV_CLI_WITH_H
#define SOFTSEV_CLI_WITH_H

#include <stdio.h>

#include "cli/cli.h"
#include "state/state.h"
#include "door/door.h"
#include "door/sev.h"
#include "hypervisor/vm.h"
#include "machine/machine.h"

#define WITH_FOLDERS_MAX 4

struct guest_launch;
struct options;
struct with_table;

struct with {
    /* options */
    const char *directory, *seed, *profile_name, *trace_file;
    char default_directory[400];
    u32 trace; /* categories */
    bool json;
    char **command;
    const char *guest_path; /* its description; NULL: none */
    const char *csp;        /* whose VLEKs the host hands out */
    const struct options *given;
    /* the machine */
    struct state_platform on;
    struct crypto *crypto;
    /* bytes; who needs more than a platform adds to it before the machine is made */
    u64 memory_size;
    struct machine *machine;
    struct hypervisor *hv;
    struct sev_door *sev;
    struct guest_launch *guest; /* NULL: none */
    struct with_table *table;   /* what comes with its extended reports */
    FILE *trace_out;
    _Atomic bool signalled;
    bool trace_ended; /* a signal came while nobody read the trace */
    struct trace_sink sink;
    /* the doors: rows are added once the platform is up */
    struct door_file files[DOOR_FILES_MAX + 1];
    struct door_folder folders[WITH_FOLDERS_MAX + 1];
};

/* --- A guest that the program is inside of (with_guest.c); each does nothing without --guest */

/* Loads description and images. Call it before the machine is made, which needs memory for them. */
int with_guest_load(struct with *w, struct error *e);
/* Launches the guest and adds its doors. Call it once the platform is up. */
int with_guest_start(struct with *w, struct error *e);
/* Ends the guest. Call it while the platform is still up. */
void with_guest_end(struct with *w);

/* Adds a row. Paths stay the caller's. */
void with_add_file(struct with *w, struct door_file file);
void with_add_folder(struct with *w, struct door_folder folder);

/* --- with_processor.c: the processor that the program's CPUID tells of ------------------------ */

#define WITH_PROCESSOR_LINE 300

struct with_processor {
    bool amd;
    u32 family, model;
};

struct with_processor with_processor_below(void);
/* Returns true, and a line for the user, if a program that reads CPUID takes the platform for a
 * part that it is not. */
bool with_processor_differs(const struct with_processor *below,
                            const struct firmware_profile *profile, char line[WITH_PROCESSOR_LINE]);

#endif
