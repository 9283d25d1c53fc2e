/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a launched guest's kernel that attestation needs: its VMPCK and message counter in
 * the secrets page, messages that are sealed and opened, and /dev/sev-guest as Linux's sev-guest
 * driver serves it [snp 10.1]. The host's part is the certificate table of extended reports.
 */
#ifndef SOFTSEV_DOOR_SEV_GUEST_H
#define SOFTSEV_DOOR_SEV_GUEST_H

#include "abi/linux_sev_guest.h"
#include "door/door.h"
#include "guest/guest.h"
#include "machine/guest.h"

/* The certificate table that the host adds to an extended report. It is asked for at each request,
 * as KVM asks its VMM: `write` writes a table (guest_certificates_write) and returns its size, or 0
 * for none. */
struct sev_guest_table {
    size_t (*write)(void *context, u8 out[SNP_CERTS_MAX]); /* NULL: there is never a table */
    void *context;
};

struct sev_guest_config {
    struct guest_carrier carrier; /* the host's way to the firmware */
    struct guest_memory memory;   /* the guest's memory, at its kernel's VMPL */
    u64 secrets_gpa;              /* guest address of the secrets page, from the launch */
    /* Number of the key, as the driver's vmpck_id; by default the VMPL. */
    u32 vmpck;
    struct sev_guest_table table;
};

struct sev_guest;

/* Returns NULL and an error if the secrets page cannot be read or has no such VMPCK. Copies the
 * configuration. */
struct sev_guest *sev_guest_create(const struct sev_guest_config *config, struct error *error);
void sev_guest_destroy(struct sev_guest *g); /* NULL does nothing */
u32 sev_guest_vmpck(const struct sev_guest *g);

/* Makes an extended report request as the driver does. `answer` gets the payload, padded with
 * zeros. `certificates` gets `*certificates_size` bytes, whole pages, also padded; size 0: no table
 * is wanted. Returns 0, or a negative errno as the driver's ioctl does: -EIO if the request was
 * refused, with the reason in `*exitinfo2`, and with the size needed in `*certificates_size` if the
 * table needs more room; -ENOTTY if the VMPCK is lost. */
s64 sev_guest_ext_report(struct sev_guest *g, u8 msg_version, const struct snp_report_req *request,
                         u8 answer[SNP_REPORT_RESP_SIZE], void *certificates,
                         u32 *certificates_size, u64 *exitinfo2);

/* Returns /dev/sev-guest. It is valid as long as `g`. */
struct door_file sev_guest_file(struct sev_guest *g);

#endif
