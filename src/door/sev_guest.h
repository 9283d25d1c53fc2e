/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A launched guest's kernel, as far as attestation goes: its VMPCK and message counter in the
 * secrets page, messages sealed and opened, and what Linux's sev-guest driver makes of all that at
 * /dev/sev-guest [snp 10.1]. The host's part is the certificate table of extended reports.
 */
#ifndef SOFTSEV_DOOR_SEV_GUEST_H
#define SOFTSEV_DOOR_SEV_GUEST_H

#include "abi/linux_sev_guest.h"
#include "door/door.h"
#include "guest/guest.h"
#include "machine/guest.h"

/* What the host hands out beside an extended report, asked at each as KVM asks its VMM: writes a
 * table (guest_certificates_write) into `out` and returns its size; 0: nothing. */
struct sev_guest_table {
    size_t (*write)(void *context, u8 out[SNP_CERTS_MAX]); /* NULL: nothing, ever */
    void *context;
};

struct sev_guest_config {
    struct guest_carrier carrier; /* the host's way to the firmware */
    struct guest_memory memory;   /* the guest's own, at its kernel's VMPL */
    u64 secrets_gpa;              /* where the launch has put its secrets page */
    u32 vmpck;                    /* which key: the driver's vmpck_id; by default the VMPL */
    struct sev_guest_table table;
};

struct sev_guest;

/* NULL and an error: the secrets page cannot be read or has no such VMPCK. The configuration is
 * copied. */
struct sev_guest *sev_guest_create(const struct sev_guest_config *config, struct error *error);
void sev_guest_destroy(struct sev_guest *g); /* NULL is allowed */
u32 sev_guest_vmpck(const struct sev_guest *g);

/* One extended report request as the driver makes it: `answer` gets the payload, zeros behind it.
 * `certificates` gets `*certificates_size` bytes, whole pages, zeros behind the table; size 0: not
 * wanted. Returns 0, or a negative errno as the driver's ioctl gives it: -EIO with `*exitinfo2`
 * saying who refused, and where the certificates need more room with `*certificates_size` what they
 * need; -ENOTTY once the VMPCK is lost. */
s64 sev_guest_ext_report(struct sev_guest *g, u8 msg_version, const struct snp_report_req *request,
                         u8 answer[SNP_REPORT_RESP_SIZE], void *certificates,
                         u32 *certificates_size, u64 *exitinfo2);

/* /dev/sev-guest; good as long as `g`. */
struct door_file sev_guest_file(struct sev_guest *g);

#endif
