/* SPDX-License-Identifier: Apache-2.0 */
/* Shared declarations of the hypervisor's files: the host's frames, and a VM with its processors
 * and board. */
#ifndef SOFTSEV_HYPERVISOR_INTERNAL_H
#define SOFTSEV_HYPERVISOR_INTERNAL_H

#include "abi/ghcb.h"
#include "abi/rmp.h"
#include "abi/vmcb.h"
#include "abi/x86.h"
#include "base/archive.h"
#include "board/board.h"
#include "board/map.h"
#include "device/lapic.h"
#include "hypervisor/psp.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/host.h"

#define CHUNK_SIZE MIB(2)
/* The largest scratch area that a guest of GHCB version 1 may use outside its GHCB; KVM accepts the
 * same size. */
#define GHCB_SCRATCH_MAX (16 * PAGE_SIZE)
#define CORES_MAX        64

/* --- frames.c: which host memory is in use ---------------------------------------------------- */

#define FRAME_NONE (~0ull)

struct frames {
    u64 chunks;      /* number of 2 MiB chunks in DRAM */
    u8 *state;       /* per chunk: free, whole (a guest's), or split into pages */
    u64 (*pages)[8]; /* per chunk, if split: a bit per page in use */
};

bool frames_create(struct frames *f, u64 memory_size);
void frames_destroy(struct frames *f);
u64 frames_take_chunk(struct frames *f);            /* SPA, or FRAME_NONE */
u64 frames_take_top(struct frames *f, u64 chunks);  /* contiguous, as high as possible */
u64 frames_take_pages(struct frames *f, u32 count); /* contiguous, up to 64; SPA or FRAME_NONE */
void frames_give_chunk(struct frames *f, u64 spa);
void frames_give_pages(struct frames *f, u64 spa, u32 count);
u64 frames_free_bytes(const struct frames *f); /* in whole chunks */
bool frames_knows(u8 state);                   /* of a chunk that was loaded */
bool frames_split(const struct frames *f, u64 chunk);

/* --- npt.c: nested page tables ---------------------------------------------------------------- */

/* The root, the upper tables, and one directory for each GiB of 512 GiB and of the window. */
#define NPT_PAGES 1100u

struct npt {
    u64 root;   /* SPA */
    u64 *pages; /* SPAs of all tables */
    u32 page_count, page_max;
};

/* Creates nested tables for a guest of `chunks` times 2 MiB. Each chunk may be split later. */
bool npt_create(struct npt *n, struct host *host, struct frames *frames, u64 chunks);
/* Maps 2 MiB at a guest address. Returns false if there is no memory for tables. */
bool npt_map(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa);
/* Maps 2 MiB as npt_map does, but read-only: a write by the guest exits. */
bool npt_map_rom(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa);
/* Marks 2 MiB as device memory: accesses fault, and the guest resolves them itself (#VC). */
bool npt_mark_mmio(struct npt *n, struct host *host, struct frames *frames, u64 gpa);
/* Splits a mapping of 2 MiB into 512 leaves of 4 KiB. Does nothing if it is split already. */
bool npt_split(struct npt *n, struct host *host, struct frames *frames, u64 gpa);
/* Returns the SPA of the 512 leaves of 2 MiB, which it splits first. */
u64 npt_leaves(struct npt *n, struct host *host, struct frames *frames, u64 gpa);
/* Maps 4 KiB of what is mapped or was, read-only; FRAME_NONE: unmaps it. */
bool npt_set_rom_page(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa);
void npt_destroy(struct npt *n, struct frames *frames);

/* --- The VM ----------------------------------------------------------------------------------- */

#define MTRR_COUNT (16 + 11)

struct vcpu {
    struct vm *vm;
    u32 index;           /* its place in the VM, and its APIC ID */
    u32 core;            /* the machine's core that runs it; all processors of a VM share one */
    struct lapic *lapic; /* on the board */
    u64 vmcb_spa;
    u64 vmsa_spa; /* SEV-ES: SPA of its encrypted registers; else 0 */
    /* The VMCB as last read; `save_changed` says that the save area must be written back. The save
     * area of a SEV-ES guest holds only what the guest discloses: by write traps, in its GHCB,
     * or IF [cpu 4.4]. */
    struct vmcb vmcb;
    bool save_changed;
    bool halted;
    bool yields;     /* it spins: another processor runs next */
    bool completing; /* the core must finish its instruction before anything else happens */
    bool waiting;    /* waits for another processor to start it */
    bool init;       /* INIT was received but not carried out yet */
    u32 startup;     /* STARTUP was received: its vector, with bit 8 set */
    u64 created;     /* SNP: SPA of the VMSA that the guest made for it, or 0 */
    u8 creation;     /* what is still to be done with that VMSA: enum startup_creation */
    u64 hold;        /* SEV-ES: waits for STARTUP, in the way it asked for (startup.c); 0: no */
    u64 exception;   /* EVENTINJ of an exception that the hypervisor raises; 0: none */
    bool nmi;        /* at least one NMI is pending: hardware keeps one */
    u64 ghcb_gpa;    /* SNP: the GHCB's address, once it is registered */
    bool ghcb_registered;
    /* The processor handles an NMI. A new one is blocked until the handler's IRET has retired; the
     * exit at that IRET gave its address. A SEV-ES guest reports the end by an NMI complete
     * event. */
    bool nmi_blocked, iret_seen;
    u64 iret_rip;
    u64 gpr[16], dr[4], xcr0, tsc_aux; /* while another VM has the core; SEV-ES: from its GHCB */
    u8 xsave[XSTATE_SIZE];             /* likewise: x87 and vectors */
    u64 mtrr[MTRR_COUNT], mtrr_default;
    u64 kvm_clock; /* MSR 4B564D01 */
};

/* SNP: the RMP's state of a 4 KiB page of guest memory. The hypervisor keeps a copy, as every host
 * does. */
enum vm_page {
    VM_PAGE_HOST,    /* the hypervisor's: shared */
    VM_PAGE_PRIVATE, /* assigned to the guest, with its own entry */
    VM_PAGE_LARGE,   /* assigned to the guest as part of 2 MiB */
};

struct vm_snp {
    u64 gctx_spa;    /* context page; 0: none */
    bool created;    /* GCTX_CREATE succeeded: the page is a context page */
    u64 message_spa; /* a page for requests, then a Firmware page for answers; 0: none */
    u64 secrets_gpa; /* where the firmware wrote the guest's keys; 0: nowhere */
    u8 *pages;       /* enum vm_page of each 4 KiB of RAM and flash, in the order of `chunks` */
    u8 *split;       /* per chunk: its nested tables have leaves of 4 KiB */
    u64 flash_gpa;   /* start of the chunks after those of RAM */
    u64 flash_chunks;
    u64 vmsas[IMAGE_VMSAS_MAX]; /* SPAs of the launched VMSAs */
    u32 vmsa_count;
};

struct vm {
    struct hypervisor *hv;
    struct vm_config config;
    struct vm_snp snp;
    enum vm_state state;
    char reason[200];
    u32 debug_exit_code;
    bool terminated; /* the guest ended itself through the GHCB protocol */
    u32 terminate_set, terminate_reason;
    bool encrypted; /* launched by the firmware, with a handle and an ASID */
    u32 handle, asid;
    u64 *chunks; /* SPA of each 2 MiB of RAM, in the order of guest addresses */
    u64 chunk_count;
    bool flash_hidden; /* reads of the flash that the guest writes have to exit */
    struct npt npt;
    u8 *pages; /* SEV, SEV-ES: PAGE_ bits of each 4 KiB of RAM and flash; NULL: not kept */
    u64 page_count;
    bool migration_ready;    /* the guest has told of all its shared pages */
    u64 iopm_spa, msrpm_spa; /* shared by all its processors */
    struct vcpu cpus[VM_CPUS_MAX];
    u32 cpu_count;
    u32 turn;       /* the processor that runs next */
    u64 jump_table; /* SEV-ES: the table with the start address of each processor; 0: none */
    struct board *board;
    u64 dma_page; /* where a device last moved data; 0: nowhere yet */
    u64 exits[VM_EXIT_KINDS];
    u64 vmgexits[VM_VMGEXIT_KINDS];
    u64 page_changes[2]; /* SNP: to private, to shared */
    u64 guest_ns;
};

/* A VM in the hypervisor's list. The list is walked at every turn, so it holds what the walk needs
 * of a VM whose processors are all halted: such a VM costs one comparison. */
struct vm_slot {
    struct vm *vm;
    /* Machine time of its board's next event, if all its processors sleep; else 0. */
    u64 idle_until;
};

struct hypervisor {
    struct host *host;
    struct frames frames;
    u32 refused_command, refusal; /* the last command that failed, and its status */
    u8 scratch[GHCB_SCRATCH_MAX]; /* of a VMGEXIT whose scratch area is outside the GHCB */
    u64 command_spa;              /* the mailbox's command buffer and the data that it points to */
    u64 tmr_spa; /* the firmware's own memory while SEV-ES is on; FRAME_NONE: none */
    bool snp;    /* SNP_INIT_EX ran */
    u64 snp_spa; /* four pages: SNP commands, the data they point to, an answer; 0: none */
    u64 rmp_spa; /* the RMP, in chunks of its own */
    u64 rmp_chunks;
    struct vm_slot *vms;
    u32 vm_count, vm_room;
    u64 *asids;                     /* a bit for each ASID in use */
    u32 asid_end;                   /* CPUID 8000_000A EBX: the first number that is no ASID */
    struct vcpu *loaded[CORES_MAX]; /* the processor whose registers each core holds */
    u32 turn;
    bool (*stop)(void *context); /* asked after each exit; NULL: the run never stops early */
    void *stop_context;
    u32 asid_first, asid_last; /* for guests without SEV-ES; SEV-ES guests use the ASIDs below */
};

u64 vm_chunk(const struct vm *vm, u64 gpa); /* index in `chunks`; FRAME_NONE: no RAM there */
/* Translates a guest address to a system address. `left` is the number of bytes up to the end of
 * the 2 MiB; 0 means that there is no RAM. */
u64 vm_spa(const struct vm *vm, u64 gpa, u64 *left);
u64 vm_flash_address(const struct vm *vm); /* of the flash that the guest writes */
/* Reads of that flash give its contents from now on, or have to ask the device. */
void vm_flash_shows(struct vm *vm, bool contents);
bool vm_read(struct vm *vm, u64 gpa, void *out, size_t size);
bool vm_write(struct vm *vm, u64 gpa, const void *data, size_t size);
void vm_end(struct vm *vm, enum vm_state state, const char *format, ...) PRINTF_LIKE(3, 4);
/* Creates the processors, their VMCBs and the maps they share. Returns false if there is no memory
 * for them. */
bool vcpus_create(struct vm *vm);
void vcpus_destroy(struct vm *vm);
int vm_board_create(struct vm *vm, struct error *error);
void vm_board_destroy(struct vm *vm);
void vm_board_set_time(struct vm *vm); /* sets the board's time, runs due timers */
int vm_take_asid(struct vm *vm, struct error *error);
void vm_give_asid(struct vm *vm);
void vm_wake(struct vm *vm); /* looks at it at the next turn: something came from outside */

/* --- guest_pages.c: which pages of a SEV or SEV-ES guest are private ---------------------------
 */

#define PAGE_TOLD_PRIVATE 0x01u /* the guest says so by hypercall */
#define PAGE_TOLD_SHARED  0x02u
#define PAGE_TOLD         (PAGE_TOLD_PRIVATE | PAGE_TOLD_SHARED)
#define PAGE_USED         0x04u /* the host has read or written it for the guest */
#define PAGE_DIRTY        0x08u /* written since a migration has sent it */

/* KVM's hypercalls: number in RAX, arguments in RBX, RCX, RDX; the answer in RAX [cpu 9.8]. */
#define HYPERCALL_MAP_GPA_RANGE   12u
#define HYPERCALL_RANGE_ENCRYPTED BIT(4)
#define HYPERCALL_UNKNOWN         (-1000)
#define HYPERCALL_INVALID         (-22)
#define HYPERCALL_NOT_ALLOWED     (-1)

bool guest_pages_create(struct vm *vm);
u64 guest_page_address(const struct vm *vm, u64 page); /* of an index in vm->pages */
u64 guest_page_index(const struct vm *vm, u64 gpa);    /* FRAME_NONE: no memory, or not kept */
bool guest_page_is_shared(const struct vm *vm, u64 page);
void guest_pages_note(struct vm *vm, u64 gpa, u64 size, u8 what); /* sets bits */
void guest_pages_launched(struct vm *vm, u64 gpa, u64 size); /* private: nothing else is known */
/* Records what the guest says by hypercall. Returns the hypercall's answer. */
s64 guest_pages_tell(struct vm *vm, u64 gpa, u64 count, u64 attributes);

/* --- vcpu.c: one processor of a VM, and its turn on its core ---------------------------------- */

/* Runs until `deadline_ns` at the latest and handles the exit that ends it. */
void vcpu_run(struct vcpu *c, u64 deadline_ns);
/* Ends the VM if none of its processors can ever run again. `what` describes what the last one did;
 * it becomes part of the reason. */
void vcpu_check_alive(struct vcpu *c, const char *what);
bool vcpu_can_run(struct vcpu *c); /* not halted, or about to be woken */
/* Read and write the general registers while the processor has its core. RAX and RSP are in the
 * VMCB. */
u64 vcpu_get(struct vcpu *c, u32 reg);
void vcpu_set(struct vcpu *c, u32 reg, u64 value);
void vcpu_advance(struct vcpu *c, u64 next_rip); /* moves RIP past the instruction that exited */
void vcpu_raise(struct vcpu *c, enum vector vector, bool has_code, u32 code);
bool vm_is_es(const struct vm *vm); /* the host cannot read its registers: SEV-ES and SNP */
bool vm_is_snp(const struct vm *vm);
u64 vm_sev_features(const struct vm *vm); /* of the VMSAs that are launched; 0: there are none */
/* Refuses features that the processor lacks or that this hypervisor does not serve. */
int vm_check_sev_features(const struct vm *vm, struct error *error);
u32 vm_tsc_khz(const struct vm *vm);  /* how fast the guest's TSC counts */
bool vcpu_xcr0_is_right(u64 xcr0);    /* it may be a guest's */
void vcpu_write_vmcb(struct vcpu *c); /* what the hypervisor has changed, to memory */
/* Moves its state; it must not be in the middle of an instruction. */
void vcpu_archive(struct vcpu *c, struct archive *a);
/* Saves the registers that only the core holds to where the next VMRUN takes them from. */
void vcpu_leave_core(struct vcpu *c);

#define STARTUP_CREATIONS 4u /* values of vcpu.creation */

/* --- startup.c: how all processors but the first start ---------------------------------------- */

void startup_power_on(struct vcpu *c); /* for a plain or SEV guest */
void startup_init(struct vcpu *c);     /* INIT and STARTUP from a local APIC */
void startup_vector(struct vcpu *c, u8 vector);
void startup_progress(struct vcpu *c);           /* carries out a pending INIT or STARTUP */
void startup_hold(struct vcpu *c, u64 ghcb_gpa); /* AP reset hold; 0: by MSR protocol */
/* Handles SNP AP creation with the VMSA at `gpa` [cpu 7.5]. Returns the error for SW_EXITINFO1. */
enum ghcb_error startup_create(struct vm *vm, u64 info, u64 gpa, u64 features);

/* --- exits.c, and the functions it uses ------------------------------------------------------- */

void exits_handle(struct vcpu *c);
/* Carry out an instruction for the guest. A plain exit and a GHCB request both end here: a GHCB's
 * values stand in for the registers and for the exit's information. */
void exits_cpuid(struct vcpu *c);
void exits_msr(struct vcpu *c);
void exits_vmmcall(struct vcpu *c);
void exits_undefined(struct vcpu *c);
void exits_protected(struct vcpu *c);
void exits_nothing(struct vcpu *c);
void exits_io_register(struct vcpu *c); /* IN, OUT */
void exits_spend_port(struct vcpu *c);  /* adds the time of one port access */
u64 mmio_read(struct vcpu *c, u64 gpa, u32 size);
void mmio_write(struct vcpu *c, u64 gpa, u32 size, u64 value);
const char *exits_kind_name(u32 kind);
u32 exits_kinds(const struct vm *vm);

void cpuid_answer(struct vcpu *c, u32 leaf, u32 subleaf, u32 out[4]);
bool vcpu_msr_read(struct vcpu *c, u32 msr, u64 *value); /* false: #GP */
bool vcpu_msr_write(struct vcpu *c, u32 msr, u64 value);
void vcpu_msr_reset(struct vcpu *c);
extern const u32 msr_passed_through[];
extern const u32 msr_passed_through_count;

extern const u32 msr_passed_through_es[]; /* in addition to the MSRs above */
extern const u32 msr_passed_through_es_count;

/* --- ghcb.c, ghcb_msr.c: requests of a SEV-ES guest by VMGEXIT -------------------------------- */

/* The kinds by which the requests are counted. */
enum vmgexit_kind {
    VMGEXIT_MSR_PROTOCOL,
    VMGEXIT_CPUID,
    VMGEXIT_IO,
    VMGEXIT_STRING_IO,
    VMGEXIT_MMIO,
    VMGEXIT_MSR,
    VMGEXIT_TIME,
    VMGEXIT_DR7,
    VMGEXIT_NMI_COMPLETE,
    VMGEXIT_JUMP_TABLE,
    VMGEXIT_PAGE_STATE,
    VMGEXIT_GUEST_REQUEST,
    VMGEXIT_AP_CREATION,
    VMGEXIT_OTHER,
    VMGEXIT_REFUSED, /* answered as malformed */
    VMGEXIT_KINDS
};
_Static_assert(VMGEXIT_KINDS <= VM_VMGEXIT_KINDS, "the summary has too few places");

#define GHCB_VERSION_MIN 1u
#define GHCB_VERSION_MAX 2u

void ghcb_handle(struct vcpu *c);
void ghcb_msr_handle(struct vcpu *c, u64 value);
void ghcb_terminate(struct vm *vm, u32 set, u32 reason, u64 raw);
const char *ghcb_kind_name(u32 kind);

/* --- ghcb_snp.c: requests that only SNP guests make ------------------------------------------- */

/* Returns true if the address is RAM that the host and its devices may use. An SNP guest's private
 * memory is not. */
bool vm_is_shared(const struct vm *vm, u64 gpa);
/* Returns why a GHCB cannot be at that address, or NULL if it can. */
const char *ghcb_page_wrong(const struct vcpu *c, u64 gpa);
u64 ghcb_msr_page_state(struct vcpu *c, u64 value); /* returns the MSR's new value */
u64 ghcb_msr_register(struct vcpu *c, u64 value);
/* Processes a list of page state changes in place. Returns SW_EXITINFO2. */
u64 ghcb_page_state_list(struct vcpu *c, u8 *list, u64 size);
bool ghcb_asks_for_report(struct vm *vm, u64 request_gpa);
enum ghcb_error ghcb_guest_request(struct vcpu *c, u64 request_gpa, u64 response_gpa, u64 *info_2);
enum ghcb_error ghcb_extended_guest_request(struct vcpu *c, u64 request_gpa, u64 response_gpa,
                                            u64 data_gpa, u64 *pages, u64 *info_2);
enum ghcb_error ghcb_apic_ids(struct vcpu *c, u64 gpa, u64 *pages);
u64 ghcb_features(const struct vm *vm);

/* --- sev_launch.c ----------------------------------------------------------------------------- */

int vm_place_piece(struct vm *vm, const struct image_piece *piece, struct error *error);
void launch_undo(struct vm *vm); /* DEACTIVATE, DECOMMISSION; does nothing if it was not launched */

/* --- psp.c: the mailbox ----------------------------------------------------------------------- */

/* The mailbox functions that are not in psp.h. */
int psp_flush(struct hypervisor *hv, struct error *error); /* WBINVD, DF_FLUSH */

/* --- snp_platform.c: pages that move between host and firmware -------------------------------- */

/* Turn Hypervisor pages into Firmware pages and back, 2 MiB at a time where possible. Return false
 * if the RMP refuses. */
bool snp_pages_give(struct hypervisor *hv, u64 spa, u64 size);
bool snp_pages_take(struct hypervisor *hv, u64 spa, u64 size);
u32 snp_rmpupdate(struct hypervisor *hv, u64 spa, struct rmp_update state); /* an enum rmp_result */
const char *snp_rmp_result_name(u32 result);
u64 snp_data(const struct hypervisor *hv,
             u32 page); /* pages 0 and 1: input of commands; 2: an answer */
int psp_snp_shutdown(struct hypervisor *hv, struct error *error); /* does nothing if SNP is off */
int psp_snp_flush(struct hypervisor *hv, struct error *error);    /* WBINVD, SNP_DF_FLUSH */

/* --- snp_launch.c, snp_cpuid.c ---------------------------------------------------------------- */

struct snp_cpuid_page;
void snp_launch_undo(struct vm *vm); /* DECOMMISSION; returns its pages to the host */
/* Fills the guest's CPUID page with what CPUID answers to this guest. */
void snp_cpuid_fill(struct vm *vm, struct snp_cpuid_page *out);

/* --- snp_page.c: pages that move between host and guest --------------------------------------- */

bool snp_pages_create(struct vm *vm);  /* all pages start as the host's */
void snp_pages_destroy(struct vm *vm); /* returns all pages to the host */
void snp_pages_count(const struct vm *vm, struct vm_summary *out);
/* Returns the page's index in `vm->snp.pages`. `left` is the number of pages from there on; 0 means
 * that there is no memory. */
u64 snp_page_index(const struct vm *vm, u64 gpa, u64 *left);
/* Returns true if all of the 2 MiB at an aligned guest address are in one state. */
bool snp_region_is(const struct vm *vm, u64 gpa, enum vm_page state);
/* Offer turns a host page into a Pre-Guest page for the launch and returns an enum rmp_result.
 * Withdraw undoes this if the launch refuses the page. */
u32 snp_page_offer(struct vm *vm, u64 gpa, bool large);
void snp_page_withdraw(struct vm *vm, u64 gpa, bool large);
/* Carry out a guest's page state change of 4 KiB or 2 MiB. Return false if there is no such memory
 * or the RMP refuses. */
bool snp_page_private(struct vm *vm, u64 gpa, bool large);
bool snp_page_shared(struct vm *vm, u64 gpa, bool large);
/* Splits 2 MiB into 512 pages, in the RMP and in the nested tables. */
bool snp_page_smash(struct vm *vm, u64 gpa);
/* Handles an access of the guest that the RMP refused. Returns true if the cause is fixed and the
 * guest goes on, or if the VM has ended. */
bool snp_page_fault(struct vcpu *c, u64 gpa, u64 info);
/* Makes all processors use the new nested tables from their next VMRUN on. */
void snp_flush_tlbs(struct vm *vm);

#endif
