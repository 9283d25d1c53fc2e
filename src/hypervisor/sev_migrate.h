/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live migration of a SEV or SEV-ES guest to another platform [sev 5.4, 7.7]. The two hypervisors
 * speak over a link; private pages and registers pass between the two firmwares, under keys that no
 * hypervisor knows. The guest runs at the source until the last round. Then one of the two ends has
 * it: the source goes on if anything fails before it has told the target to go.
 *
 *   target                          source
 *   PLATFORM: certificates    ->
 *                             <-    CONFIGURATION: what the VM is made of
 *   READY                     ->
 *                             <-    START: session            SEND_START | RECEIVE_START, ACTIVATE
 *   READY                     ->
 *                             <-    PAGE_*, then ROUND, until little is written between two rounds
 *   READY (after each ROUND)  ->
 *                             <-    the guest stands still: PAGE_*, VMSA, STATE, END, RELEASED
 *   RECEIVED                  ->                              RECEIVE_FINISH
 *                             <-    GO: the guest is the target's
 *   RUNNING                   ->                              SEND_FINISH
 *
 * Any end may send REFUSED, with its reason, instead of what is expected.
 */
#ifndef SOFTSEV_HYPERVISOR_SEV_MIGRATE_H
#define SOFTSEV_HYPERVISOR_SEV_MIGRATE_H

#include "hypervisor/vm.h"

#define MIGRATE_AMD_CERTS_MAX 3200u /* ASK and ARK with keys of 4096 bits */

/* The connection to the other end. Both functions move all bytes, or return -1 and an error. */
struct migrate_link {
    int (*send)(void *context, const void *data, size_t size, struct error *error);
    int (*receive)(void *context, void *data, size_t size, struct error *error);
    void *context;
};

/* What must not be open at both ends: disks that the guest writes. The source gives them away
 * before the target takes them; it takes them back if the target fails. */
struct migrate_ends {
    int (*give)(void *context, struct error *error);
    int (*take)(void *context, struct error *error);
    void *context;
};

struct migrate_counters {
    u32 rounds; /* the last one, without the guest, included */
    u64 private_pages, shared_pages, zero_pages, last_pages, bytes;
    u64 downtime_ns;                  /* of machine time: the guest stood still at the source */
    u32 source_guests, target_guests; /* of the two platforms, afterwards */
    u32 source_handle, target_handle; /* the guest's, at the two firmwares */
};

/* --- The source ------------------------------------------------------------------------------- */

struct vm_sending;

/* Begins: reads the target's certificates, and asks the firmware to send the guest there. The
 * guest goes on. Returns NULL if it cannot go. */
struct vm_sending *vm_send_start(struct vm *vm, const struct migrate_link *link,
                                 struct error *error);
/* Sends up to `pages` pages, between two slices of the guest. Returns 0 if it should be called
 * again, 1 if it is time for vm_send_last, or -1. */
int vm_send_pages(struct vm_sending *s, u32 pages, struct error *error);
/* Sends the rest, while the guest stands still. Afterwards it is VM_MOVED; after -1 it may go on
 * unless it is VM_MOVED. */
int vm_send_last(struct vm_sending *s, const struct migrate_ends *ends, struct error *error);
void vm_send_counters(const struct vm_sending *s, struct migrate_counters *out);
/* Frees it; if the guest has not gone, tells the firmware that it stays (SEND_CANCEL). */
void vm_send_end(struct vm_sending *s);

/* --- The target ------------------------------------------------------------------------------- */

/* The target's certificates: PDH; PEK, OCA, CEK; ASK and ARK. */
struct migrate_certificates {
    struct platform_chain chain;
    u8 amd[MIGRATE_AMD_CERTS_MAX];
    u32 amd_size;
};

/* Receives a guest into a VM that was created and not launched. It may run afterwards. After -1
 * the VM can only be destroyed. */
int vm_receive(struct vm *vm, const struct migrate_link *link,
               const struct migrate_certificates *certificates, const struct migrate_ends *ends,
               struct migrate_counters *out, struct error *error);

/* --- Both ------------------------------------------------------------------------------------- */

/* Tells the other end why this one ends, if the link still works. */
void migrate_refuse(const struct migrate_link *link, const char *why);
/* Refuses a VM that cannot be moved: it is not a SEV or SEV-ES guest. */
int migrate_check(const struct vm *vm, struct error *error);

#endif
