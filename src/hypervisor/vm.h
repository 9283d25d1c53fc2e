/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor: our code, running as the party that nobody trusts. It reaches the machine through
 * machine/host.h alone. One `struct hypervisor` owns the host's memory, the firmware's mailbox and
 * any number of VMs that take turns on one core; a VM is made from an image plan, launched step by
 * step in the specification's order, and run.
 */
#ifndef SOFTSEV_HYPERVISOR_VM_H
#define SOFTSEV_HYPERVISOR_VM_H

#include "base/base.h"
#include "base/error.h"

struct host;       /* machine/host.h */
struct image_plan; /* image/image.h */
struct hypervisor;
struct snp_report; /* abi/report.h */
struct vm;

/* --- The host --------------------------------------------------------------------------------- */

/* Turns SVM on (EFER.SVME, VM_HSAVE_PA; SYSCFG and HWCR as SEV wants them). NULL: no memory, no
 * SVM. */
struct hypervisor *hypervisor_create(struct host *host, struct error *error);
void hypervisor_destroy(struct hypervisor *hv);

/* --- The platform: the mailbox commands of host software [sev 4] ------------------------------ */

#define PLATFORM_PDH_SIZE   2084u
#define PLATFORM_CHAIN_SIZE 6252u /* PEK, OCA, CEK */

struct platform_status {
    u8 api_major, api_minor, build, state;
    bool owned, es;
    u32 guest_count;
};

struct platform_chain {
    u8 pdh[PLATFORM_PDH_SIZE];
    u8 chain[PLATFORM_CHAIN_SIZE];
};

int platform_init(struct hypervisor *hv, struct error *error);
/* With SEV-ES, which takes 1 MiB of memory for the firmware. */
int platform_init_es(struct hypervisor *hv, struct error *error);
int platform_get_status(struct hypervisor *hv, struct platform_status *out, struct error *error);
int platform_export(struct hypervisor *hv, struct platform_chain *out, struct error *error);
/* Of SEV and SEV-ES alone; SNP stays initialised. */
int platform_shutdown_sev(struct hypervisor *hv, struct error *error);
int platform_shutdown(struct hypervisor *hv, struct error *error);

/* --- A VM ------------------------------------------------------------------------------------- */

struct vm_console {
    void (*write)(void *context, const u8 *data, size_t size);
    void *context;
};

struct vm_disk {
    u64 size; /* bytes, a multiple of 512; 0: no disk */
    bool (*read)(void *context, u64 offset, void *out, size_t size);
    bool (*write)(void *context, u64 offset, const void *data, size_t size); /* NULL: read-only */
    void *context;
};

struct vm_config {
    const char *name;
    const struct image_plan *plan; /* stays until vm_destroy */
    u32 policy;                    /* [sev 6]; used where the guest is encrypted */
    u64 snp_policy;                /* [snp 5.1] */
    u32 cpus;                      /* virtual processors, as many as the plan has; 0: that many */
    struct vm_console console;
    struct vm_disk disk;
    bool virtio_console;       /* a second console on virtio, beside the UART */
    struct vm_console channel; /* what goes out by it, where that is not the console's */
    const void
        *certificates; /* SNP: the table that comes with extended reports [snp 6.3]; NULL: none */
    size_t certificates_size; /* bytes; the table stays until vm_destroy */
    u64 rtc_seconds;          /* the clock of day at machine time 0, seconds since 1970 */
    /* SNP: refuses page state changes and GHCB addresses that the GHCB specification forbids and
     * KVM with QEMU lets pass. */
    bool strict;
    /* Sees, and may change, what CPUID is to answer this guest, an SNP guest's CPUID page too;
     * NULL: nobody does. */
    void (*cpuid)(void *context, u32 leaf, u32 subleaf, u32 out[4]);
    void *cpuid_context;
};

enum vm_state {
    VM_LOADING, /* made; not yet launched */
    VM_RUNNABLE,
    VM_POWERED_OFF,
    VM_RESET,      /* the guest asked for a reset */
    VM_DEBUG_EXIT, /* wrote to the debug-exit port */
    VM_CRASHED,    /* triple fault, invalid VMCB, nothing we can emulate, halted for good */
};

#define VM_CPUS_MAX      8
#define VM_EXIT_KINDS    16
#define VM_VMGEXIT_KINDS 16

struct vm_exit_count {
    const char *name;
    u64 count;
};

struct vm_summary {
    enum vm_state state;
    char reason[200]; /* one line, for VM_CRASHED */
    u32 debug_exit_code;
    bool terminated; /* by the GHCB protocol's termination, with this set and reason [cpu 7.1] */
    u32 terminate_set, terminate_reason;
    u64 guest_ns; /* machine time spent by VMRUN: instructions, events, world switches */
    struct vm_exit_count exits[VM_EXIT_KINDS];
    u32 exit_kinds;
    struct vm_exit_count
        vmgexits[VM_VMGEXIT_KINDS]; /* SEV-ES: what the guest asked for by VMGEXIT */
    u32 vmgexit_kinds;              /* 0: not such a guest */
    bool snp;                       /* the next count, too */
    u64 private_pages, shared_pages,
        vmsa_pages; /* now; VMSAs of its own making are private pages too */
    u64 changes_to_private, changes_to_shared; /* pages that it asked to change hands */
};

/* Gives it memory (host frames), nested tables, a VMCB and devices. NULL: too little memory. */
struct vm *vm_create(struct hypervisor *hv, const struct vm_config *config, struct error *error);
/* DEACTIVATE and DECOMMISSION if it was launched encrypted; frees its memory. */
void vm_destroy(struct vm *vm);

/* A plain guest: the plan's pieces copied into memory. */
int vm_load(struct vm *vm, struct error *error);
/* An encrypted guest, in this order [sev 5.2]. Each step is one function because the guest owner
 * answers in between. */
int vm_launch_start(struct vm *vm, const void *owner_certificate, size_t certificate_size,
                    const void *session, size_t session_size,
                    struct error *error);                 /* LAUNCH_START and ACTIVATE */
int vm_launch_update(struct vm *vm, struct error *error); /* LAUNCH_UPDATE_DATA over the plan */
/* SEV-ES: LAUNCH_UPDATE_VMSA, after all data; its registers are the guest's own from here on. */
int vm_launch_update_vmsa(struct vm *vm, struct error *error);
int vm_launch_measure(struct vm *vm, u8 measure[48], struct error *error);
int vm_launch_secret(struct vm *vm, const u8 header[52], const void *data, size_t size,
                     struct error *error);
int vm_launch_finish(struct vm *vm, struct error *error);
u32 vm_asid(const struct vm *vm);

/* Runs all VMs in turns of a fixed quantum until every one has ended, or machine time reaches
 * `until_ns`. Skips the time in which all processors are halted. Returns true while at least one VM
 * can still run. */
bool hypervisor_run(struct hypervisor *hv, u64 until_ns);
/* Does the same, but returns as soon as all processors are halted: `next_ns` is then the machine
 * time at which a timer goes off, and 0 if some processor could still run. */
bool hypervisor_run_busy(struct hypervisor *hv, u64 until_ns, u64 *next_ns);
/* Asks `stop` after every exit: if it returns true, hypervisor_run and hypervisor_run_busy return
 * at once. `stop` must not change the machine: a run from a seed stays the same however often it
 * looks at the host's clock or keyboard. */
void hypervisor_set_stop(struct hypervisor *hv, bool (*stop)(void *context), void *context);

/* Bytes for the guest's UART, taken at the next call of hypervisor_run. Returns how many found
 * room. */
size_t vm_console_input(struct vm *vm, const u8 *data, size_t size);
/* Bytes into the guest by its virtio console, between two calls of hypervisor_run. Returns how many
 * its driver had room for; without a driver none. */
size_t vm_channel_input(struct vm *vm, const u8 *data, size_t size);
enum vm_state vm_get_state(const struct vm *vm);
void vm_get_summary(const struct vm *vm, struct vm_summary *out);
u64 vm_guest_time(const struct vm *vm); /* the summary's `guest_ns` */
/* What the host sees at a guest address: ciphertext where the page is the guest's own. False: no
 * RAM there. */
bool vm_host_view(struct vm *vm, u64 gpa, void *out, size_t size);
/* Whether the host's write to a guest address gets through: the byte that it sees there, written
 * back. An SNP guest's own page refuses it. */
bool vm_host_can_write(struct vm *vm, u64 gpa);
/* Guest physical address the device side was last seen using (a shared page); 0: none yet. */
u64 vm_shared_page(const struct vm *vm);

/* --- SNP -------------------------------------------------------------------------------------- */

/* The RMP's place (what a BIOS chooses), SYSCFG on all cores, SNP_INIT_EX and flushes; before
 * platform_init where both are wanted. */
int platform_init_snp(struct hypervisor *hv, struct error *error);
struct snp_platform_status;
int platform_get_snp_status(struct hypervisor *hv, struct snp_platform_status *out,
                            struct error *error);

/* An SNP guest in this order [snp 5.2]; policy is the config's `snp_policy`. No processor runs for
 * it. */
int vm_snp_launch_start(struct vm *vm,
                        struct error *error); /* GCTX_CREATE, LAUNCH_START, ACTIVATE */
int vm_snp_launch_update(struct vm *vm,
                         struct error *error); /* every page of the plan, then the VMSAs */
/* `id_block` (96 bytes) and `id_auth` (4096) may be NULL: none; `host_data` NULL: zeros. */
int vm_snp_launch_finish(struct vm *vm, const void *id_block, const void *id_auth, bool author_key,
                         const u8 host_data[32], struct error *error);
/* What the firmware says of the guest when the host asks (SNP_HV_REPORT_REQ). */
int vm_report(struct vm *vm, struct snp_report *out, struct error *error);
/* SNP_GUEST_REQUEST: a message that the guest has sealed, and the firmware's sealed answer. Returns
 * the firmware's status; what the host carries it cannot read. */
u32 vm_guest_request(struct vm *vm, const u8 request[4096], u8 response[4096]);
/* Where the launch has put the guest's secrets page (guest address); 0: none. */
u64 vm_secrets_page(const struct vm *vm);
/* System address of its nested page tables: N_CR3 of its VMCBs. */
u64 vm_nested_tables(const struct vm *vm);

/* --- Where the host has put a guest's things (system addresses; VM_NOWHERE: there is none) ---- */

#define VM_NOWHERE (~0ull)

u64 vm_memory_at(const struct vm *vm, u64 gpa);
u64 vm_vmcb(const struct vm *vm, u32 cpu);
u64 vm_vmsa(const struct vm *vm, u32 cpu); /* of a SEV-ES or SNP guest, as launched */
u32 vm_handle(const struct vm *vm);        /* the firmware's, of a SEV or SEV-ES guest */

#endif
