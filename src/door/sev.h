/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/sev: the device file of Linux's driver for the secure processor, for programs that manage a
 * platform [sev 9.1, snp 10.2]. One ioctl, SEV_ISSUE_CMD, with thirteen commands.
 */
#ifndef SOFTSEV_DOOR_SEV_H
#define SOFTSEV_DOOR_SEV_H

#include "door/door.h"

struct hypervisor;
struct sev_door;

#define SEV_DOOR_PATH "/dev/sev"

/* Does what the driver does when it is loaded: SNP_INIT_EX if `snp`, then INIT with SEV-ES, and the
 * flushes. The hypervisor stays the caller's and may launch guests. Returns NULL and an error if
 * the firmware refuses or there is no memory. */
struct sev_door *sev_door_create(struct hypervisor *hv, bool snp, struct error *error);
/* Shuts the platform down. */
void sev_door_destroy(struct sev_door *d);
struct door_file sev_door_file(struct sev_door *d);

#endif
