/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's folder of attestation reports, /sys/kernel/config/tsm/report, over a guest's driver
 * [snp 10.1]: mkdir makes a request, inblob takes 64 bytes, outblob and auxblob give the report and
 * its certificates.
 *
 * What a program writes is looked at when it opens a file of the request next, and a report is made
 * when outblob or auxblob is opened; the kernel does both at write and read. So errors show at
 * open, and all that was written through one descriptor counts as one write.
 */
#ifndef SOFTSEV_DOOR_TSM_H
#define SOFTSEV_DOOR_TSM_H

#include "door/sev_guest.h"

struct tsm;

#define TSM_REQUESTS_MAX 64u /* folders at one time; then ENOSPC */

/* Returns NULL if there is no memory. `guest` stays the caller's. Below VMPL0, Linux also shows the
 * files of services (SVSM); a report that is asked of a service is refused here. */
struct tsm *tsm_create(struct sev_guest *guest, bool below_vmpl0);
void tsm_destroy(struct tsm *t); /* NULL does nothing */

/* Returns the folder. It is valid as long as `t`. */
struct door_folder tsm_folder(struct tsm *t);

#endif
