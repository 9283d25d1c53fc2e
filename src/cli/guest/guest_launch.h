/* SPDX-License-Identifier: Apache-2.0 */
/* A launched SNP guest without a processor, and the doors to it: from its description to
 * /dev/sev-guest. */
#ifndef SOFTSEV_CLI_GUEST_LAUNCH_H
#define SOFTSEV_CLI_GUEST_LAUNCH_H

#include "cli/guest/guest_file.h"
#include "door/sev_guest.h"
#include "door/tsm.h"
#include "hypervisor/vm.h"
#include "machine/host.h"

struct guest_launch {
    struct guest_file file;
    struct image_plan *plan;
    struct vm *vm;
    struct sev_guest *driver;
    struct tsm *tsm;
};

/* Loads the description and makes the plan, before there is a machine. Call guest_launch_end() in
 * either case. */
int guest_launch_load(struct guest_launch *g, const char *path, struct error *e);
/* Launches it on a machine that has SNP on (platform_init_snp). `table` is what comes with extended
 * reports unless the description says no-certificates; NULL: nothing. */
int guest_launch_start(struct guest_launch *g, struct hypervisor *hv, struct host *host,
                       const struct sev_guest_table *table, struct error *e);
/* Ends the guest. Call it before the hypervisor is destroyed. */
void guest_launch_end(struct guest_launch *g);

/* A program finds sev_guest_file(g->driver) and tsm_folder(g->tsm). */

#endif
