/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor: softsev's own code in the role of the untrusted host. It accesses the machine
 * only through machine/host.h. A `struct hypervisor` owns the host's memory, the firmware's mailbox
 * and any number of VMs, which share the cores in turns. A VM is made from an image plan, launched
 * step by step in the specification's order, and run.
 */
#ifndef SOFTSEV_HYPERVISOR_VM_H
#define SOFTSEV_HYPERVISOR_VM_H

#include "base/base.h"
#include "base/error.h"

struct archive;       /* base/archive.h */
struct host;          /* machine/host.h */
struct image_plan;    /* image/image.h */
struct random_source; /* base/random.h */
struct hypervisor;
struct snp_report; /* abi/report.h */
struct vm;

/* --- The host --------------------------------------------------------------------------------- */

/* Turns SVM on: sets EFER.SVME and VM_HSAVE_PA, and SYSCFG and HWCR as SEV requires. Returns NULL
 * if there is no memory or no SVM. */
struct hypervisor *hypervisor_create(struct host *host, struct error *error);
void hypervisor_destroy(struct hypervisor *hv);
/* How many encrypted guests there can be at once: those of SEV-ES and SNP together, or of SEV. */
u32 hypervisor_asids(const struct hypervisor *hv, bool registers_encrypted);

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
/* Initialises the platform with SEV-ES, which takes 1 MiB of memory for the firmware. */
int platform_init_es(struct hypervisor *hv, struct error *error);
int platform_get_status(struct hypervisor *hv, struct platform_status *out, struct error *error);
int platform_export(struct hypervisor *hv, struct platform_chain *out, struct error *error);
/* Shuts down SEV and SEV-ES only; SNP stays initialised. */
int platform_shutdown_sev(struct hypervisor *hv, struct error *error);
int platform_shutdown(struct hypervisor *hv, struct error *error);

/* --- A VM ------------------------------------------------------------------------------------- */

struct vm_console {
    void (*write)(void *context, const u8 *data, size_t size);
    void *context;
};

#define VM_DISKS_MAX 8u

struct vm_disk {
    u64 size; /* bytes, a multiple of 512 */
    bool (*read)(void *context, u64 offset, void *out, size_t size);
    bool (*write)(void *context, u64 offset, const void *data, size_t size); /* NULL: read-only */
    void *context;
};

/* A network card; without `send` there is none. */
struct vm_net {
    void (*send)(void *context, const void *frame, size_t size); /* a frame from the guest */
    void *context;
    u8 mac[6];
};

/* Firmware's variables: a flash that ends where the plan's firmware begins. The guest writes it. */
struct vm_flash {
    u8 *bytes; /* NULL: none; they stay until vm_destroy */
    u64 size;  /* a multiple of 4 KiB */
    void (*changed)(void *context);
    void *context;
};

struct vm_config {
    const char *name;
    const struct image_plan *plan; /* stays until vm_destroy */
    u32 policy;                    /* [sev 6]; used if the guest is encrypted */
    u64 snp_policy;                /* [snp 5.1] */
    u32 tsc_khz;                   /* secure TSC: how fast it counts; 0: as the host's */
    bool any_features;             /* launches SEV_FEATURES that this hypervisor does not serve */
    u32 cpus;                      /* virtual processors, as in the plan; 0: the plan's number */
    struct vm_console console;
    struct vm_disk disks[VM_DISKS_MAX];
    u32 disk_count;
    struct vm_net net;
    struct vm_flash flash;              /* not of an SNP guest */
    const struct random_source *random; /* of a virtio entropy source; NULL: there is none */
    bool virtio_console;                /* adds a second console on virtio to the UART */
    bool testdev;              /* adds the device for hypervisor tests, QEMU's pc-testdev */
    struct vm_console channel; /* output of the virtio console, if not to `console` */
    const void
        *certificates; /* SNP: the table that comes with extended reports [snp 6.3]; NULL: none */
    size_t certificates_size; /* bytes; the table stays until vm_destroy */
    u64 rtc_seconds;          /* the time of day at machine time 0, seconds since 1970 */
    /* SNP: refuses page state changes and GHCB addresses that the GHCB specification forbids
     * although KVM with QEMU accepts them. */
    bool strict;
    /* Called with each answer of CPUID to this guest, and with each entry of an SNP guest's CPUID
     * page; it may change the answer. May be NULL. */
    void (*cpuid)(void *context, u32 leaf, u32 subleaf, u32 out[4]);
    void *cpuid_context;
};

enum vm_state {
    VM_LOADING, /* created, not yet launched */
    VM_RUNNABLE,
    VM_POWERED_OFF,
    VM_RESET,      /* the guest asked for a reset */
    VM_DEBUG_EXIT, /* the guest wrote to the debug-exit port */
    VM_MOVED,      /* it runs on another platform now (hypervisor/sev_migrate.h) */
    VM_CRASHED,    /* triple fault, invalid VMCB, an exit that cannot be emulated, halted forever */
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
    bool terminated; /* by the GHCB protocol, with this set and reason [cpu 7.1] */
    u32 terminate_set, terminate_reason;
    u64 guest_ns; /* machine time spent in VMRUN: instructions, events, world switches */
    struct vm_exit_count exits[VM_EXIT_KINDS];
    u32 exit_kinds;
    struct vm_exit_count vmgexits[VM_VMGEXIT_KINDS]; /* SEV-ES: requests by VMGEXIT */
    u32 vmgexit_kinds;                               /* 0: not a SEV-ES guest */
    bool snp;                                        /* the counts below are valid */
    u64 private_pages, shared_pages,
        vmsa_pages; /* now; VMSAs that the guest made are counted as private too */
    u64 changes_to_private, changes_to_shared; /* pages that it asked to change */
};

/* Creates a VM with memory (host frames), nested tables, VMCBs and devices. Returns NULL if there
 * is too little memory. */
struct vm *vm_create(struct hypervisor *hv, const struct vm_config *config, struct error *error);
/* Frees the VM's memory. Runs DEACTIVATE and DECOMMISSION first if it was launched encrypted. */
void vm_destroy(struct vm *vm);

/* Loads a plain guest: copies the plan's pieces into memory. */
int vm_load(struct vm *vm, struct error *error);
/* Launch an encrypted guest, in this order [sev 5.2]. Each step is a function of its own because
 * the guest owner answers between the steps. */
int vm_launch_start(struct vm *vm, const void *owner_certificate, size_t certificate_size,
                    const void *session, size_t session_size,
                    struct error *error);                 /* LAUNCH_START and ACTIVATE */
int vm_launch_update(struct vm *vm, struct error *error); /* LAUNCH_UPDATE_DATA for the plan */
/* SEV-ES: runs LAUNCH_UPDATE_VMSA, after all data. From here on the host cannot access the guest's
 * registers. */
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
/* Does the same, but returns as soon as all processors are halted. `next_ns` is then the machine
 * time of the next timer; it is 0 if some processor can still run. */
bool hypervisor_run_busy(struct hypervisor *hv, u64 until_ns, u64 *next_ns);
/* Asks `stop` after every exit: if it returns true, hypervisor_run and hypervisor_run_busy return
 * at once. `stop` must not change the machine: a run from a seed stays the same however often it
 * looks at the host's clock or keyboard. */
void hypervisor_set_stop(struct hypervisor *hv, bool (*stop)(void *context), void *context);

/* Sends bytes to the guest's UART; the next call of hypervisor_run delivers them. Returns how many
 * bytes fit. */
size_t vm_console_input(struct vm *vm, const u8 *data, size_t size);
/* Sends bytes to the guest's virtio console, between two calls of hypervisor_run. Returns how many
 * bytes fit into the driver's buffers; 0 without a driver. */
size_t vm_channel_input(struct vm *vm, const u8 *data, size_t size);
/* Sends an Ethernet frame to the guest, between two calls of hypervisor_run. Returns false if the
 * driver has no room for it now: the caller keeps the frame. */
bool vm_net_input(struct vm *vm, const void *frame, size_t size);
/* Press the guest's buttons, between two calls of hypervisor_run: the power button, which a guest
 * may ignore, and reset, which ends the VM as its own reset does. */
void vm_power_button(struct vm *vm);
void vm_reset(struct vm *vm);
enum vm_state vm_get_state(const struct vm *vm);
void vm_get_summary(const struct vm *vm, struct vm_summary *out);
u64 vm_guest_time(const struct vm *vm); /* the summary's `guest_ns` */
/* Reads guest memory as the host sees it: a private page gives ciphertext. Returns false if there
 * is no RAM at the address. */
bool vm_host_view(struct vm *vm, u64 gpa, void *out, size_t size);
/* Returns true if the host can write at a guest address. Writes back the byte that it reads there;
 * the RMP refuses this for an SNP guest's private page. */
bool vm_host_can_write(struct vm *vm, u64 gpa);
/* Returns the guest physical address that a device used last (a shared page); 0: none yet. */
u64 vm_shared_page(const struct vm *vm);

/* --- SNP -------------------------------------------------------------------------------------- */

/* Sets the RMP's place (as a BIOS does) and SYSCFG on all cores, runs SNP_INIT_EX and the flushes.
 * Call it before platform_init if you want both. */
int platform_init_snp(struct hypervisor *hv, struct error *error);
struct snp_platform_status;
int platform_get_snp_status(struct hypervisor *hv, struct snp_platform_status *out,
                            struct error *error);

/* Launch an SNP guest, in this order [snp 5.2]. The policy is the config's `snp_policy`. Its
 * processors do not run during the launch. */
int vm_snp_launch_start(struct vm *vm,
                        struct error *error); /* GCTX_CREATE, LAUNCH_START, ACTIVATE */
int vm_snp_launch_update(struct vm *vm,
                         struct error *error); /* every page of the plan, then the VMSAs */
/* `id_block` (96 bytes) and `id_auth` (4096 bytes) may be NULL for none; NULL `host_data` means
 * zeros. */
int vm_snp_launch_finish(struct vm *vm, const void *id_block, const void *id_auth, bool author_key,
                         const u8 host_data[32], struct error *error);
/* Gets the firmware's report on the guest at the host's request (SNP_HV_REPORT_REQ). */
int vm_report(struct vm *vm, struct snp_report *out, struct error *error);
/* Runs SNP_GUEST_REQUEST with a message that the guest has sealed; `response` is the firmware's
 * sealed answer. Returns the firmware's status. The host cannot read either message. */
u32 vm_guest_request(struct vm *vm, const u8 request[4096], u8 response[4096]);
/* Returns the guest address of the secrets page that the launch placed; 0: none. */
u64 vm_secrets_page(const struct vm *vm);
/* Returns the system address of the guest's nested page tables: N_CR3 of its VMCBs. */
u64 vm_nested_tables(const struct vm *vm);

/* --- State ------------------------------------------------------------------------------------ */

/* Moves one VM's state as the hypervisor holds it: processors, board, what is known of its pages.
 * Its memory, nested tables, ASID and handle are not moved; nor are the registers of a SEV-ES or
 * SNP guest, which are in its VMSAs. Call it between two calls of hypervisor_run. A load goes into
 * a VM that was created with the same configuration. */
void vm_archive(struct vm *vm, struct archive *a);
/* Brings the registers of all processors from the cores to where VMRUN takes them from. Call it
 * before the machine's memory is saved (machine_archive() in machine/machine.h). */
void hypervisor_settle(struct hypervisor *hv);
/* All that the hypervisor holds of all VMs, and where they lie. The machine is archived before. A
 * load goes into a hypervisor with the same VMs, none of them launched; if the archive then has
 * failed, it can only be destroyed. */
void hypervisor_archive(struct hypervisor *hv, struct archive *a);

/* --- Where the host has put a guest's memory (system addresses; VM_NOWHERE: nowhere) ---------- */

#define VM_NOWHERE (~0ull)

u64 vm_memory_at(const struct vm *vm, u64 gpa);
u64 vm_vmcb(const struct vm *vm, u32 cpu);
u64 vm_vmsa(const struct vm *vm, u32 cpu); /* of a SEV-ES or SNP guest, as launched */
u32 vm_handle(const struct vm *vm);        /* the firmware's handle of a SEV or SEV-ES guest */

#endif
