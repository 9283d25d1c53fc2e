/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the hypervisor share: the host's frames, a VM with its processors and its
 * board. */
#ifndef SOFTSEV_HYPERVISOR_INTERNAL_H
#define SOFTSEV_HYPERVISOR_INTERNAL_H

#include "abi/ghcb.h"
#include "abi/rmp.h"
#include "abi/vmcb.h"
#include "abi/x86.h"
#include "board/board.h"
#include "board/map.h"
#include "device/lapic.h"
#include "hypervisor/psp.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/host.h"

#define CHUNK_SIZE MIB(2)
/* What a guest of GHCB version 1 may use as a scratch area elsewhere: as much as KVM takes. */
#define GHCB_SCRATCH_MAX (16 * PAGE_SIZE)
#define VMS_MAX          64
#define CORES_MAX        64

/* --- frames.c: which of the host's memory is in use ------------------------------------------- */

#define FRAME_NONE (~0ull)

struct frames {
    u64 chunks;      /* of 2 MiB in DRAM */
    u8 *state;       /* per chunk: free, whole (a guest's), or split into pages */
    u64 (*pages)[8]; /* per chunk, if split: a bit per page in use */
};

bool frames_create(struct frames *f, u64 memory_size);
void frames_destroy(struct frames *f);
u64 frames_take_chunk(struct frames *f);            /* SPA, or FRAME_NONE */
u64 frames_take_top(struct frames *f, u64 chunks);  /* contiguous, as high as there are any */
u64 frames_take_pages(struct frames *f, u32 count); /* contiguous, up to 64; SPA or FRAME_NONE */
void frames_give_chunk(struct frames *f, u64 spa);
void frames_give_pages(struct frames *f, u64 spa, u32 count);
u64 frames_free_bytes(const struct frames *f); /* in whole chunks */

/* --- npt.c: nested page tables ---------------------------------------------------------------- */

/* root, upper tables and one directory a GiB for 512 GiB and the window */
#define NPT_PAGES 1100u

struct npt {
    u64 root;   /* SPA */
    u64 *pages; /* SPAs of all tables */
    u32 page_count, page_max;
};

/* For a guest of `chunks` times 2 MiB, each of which may be split. */
bool npt_create(struct npt *n, struct host *host, struct frames *frames, u64 chunks);
/* Maps 2 MiB at a guest address; false: no memory for tables. */
bool npt_map(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa);
/* The same, and writes leave the guest. */
bool npt_map_rom(struct npt *n, struct host *host, struct frames *frames, u64 gpa, u64 spa);
/* Accesses to these 2 MiB fault as device accesses that the guest resolves itself (#VC). */
bool npt_mark_mmio(struct npt *n, struct host *host, struct frames *frames, u64 gpa);
/* 2 MiB that are mapped become 512 leaves of 4 KiB; nothing if they are that already. */
bool npt_split(struct npt *n, struct host *host, struct frames *frames, u64 gpa);
void npt_destroy(struct npt *n, struct frames *frames);

/* --- The VM ----------------------------------------------------------------------------------- */

#define MTRR_COUNT (16 + 11)

struct vcpu {
    struct vm *vm;
    u32 index;           /* its place in the VM, and its APIC ID */
    u32 core;            /* of the machine; one for all processors of a VM */
    struct lapic *lapic; /* on the board */
    u64 vmcb_spa;
    u64 vmsa_spa; /* SEV-ES: where its registers are, which we cannot read; else 0 */
    /* As last read; `save_changed` says that the save area must go back. Of a SEV-ES guest the save
     * area is only what it let us know: by write traps, in its GHCB, or IF [cpu 4.4]. */
    struct vmcb vmcb;
    bool save_changed;
    bool halted;
    bool yields;     /* it spins: the others' turn */
    bool completing; /* its instruction waits to be finished by the core: nothing comes between */
    bool waiting;    /* for another processor to start it */
    bool init;       /* INIT has come, and is not carried out yet */
    u32 startup;     /* STARTUP has come: its vector, with bit 8 set */
    u64 created;     /* SNP: SPA of the VMSA that the guest made for it, or 0 */
    u8 creation;     /* ... and what is still to be done about it: enum startup_creation */
    u64 hold;        /* SEV-ES: waits for STARTUP as it asked to (startup.c); 0: no */
    u64 exception;   /* EVENTINJ of an exception we raise; 0: none */
    bool nmi;        /* one has come, or more: hardware keeps one */
    u64 ghcb_gpa;    /* SNP: the page it may ask in, once that is registered */
    bool ghcb_registered;
    /* By the NMI that it handles: until its IRET is through, whose exit said where it is; a SEV-ES
     * guest says NMI complete. */
    bool nmi_blocked, iret_seen;
    u64 iret_rip;
    u64 gpr[16], dr[4], xcr0, tsc_aux; /* while another VM has the core; SEV-ES: of its GHCB */
    u8 fx[XSTATE_LEGACY_SIZE];
    u64 mtrr[MTRR_COUNT], mtrr_default;
    u64 kvm_clock; /* MSR 4B564D01 */
};

/* SNP: what the RMP says of a 4 KiB page of a guest's memory; kept beside it, as every host
 * does. */
enum vm_page {
    VM_PAGE_HOST,    /* the hypervisor's: shared */
    VM_PAGE_PRIVATE, /* assigned to the guest, an entry of its own */
    VM_PAGE_LARGE,   /* assigned to the guest as part of 2 MiB */
};

struct vm_snp {
    u64 gctx_spa;    /* context page; 0: none */
    bool created;    /* it is one: GCTX_CREATE succeeded */
    u64 message_spa; /* a page for requests, then one, always Firmware, for answers; 0: none */
    u64 secrets_gpa; /* the page the firmware put the guest's keys into; 0: none */
    u8 *pages;       /* enum vm_page of each 4 KiB of RAM and flash, in the order of `chunks` */
    u8 *split;       /* per chunk: nested tables have leaves of 4 KiB */
    u64 flash_gpa;   /* where the chunks behind RAM's are */
    u64 flash_chunks;
    u64 vmsas[IMAGE_VMSAS_MAX]; /* SPA of those that are launched */
    u32 vmsa_count;
};

struct vm {
    struct hypervisor *hv;
    struct vm_config config;
    struct vm_snp snp;
    enum vm_state state;
    char reason[200];
    u32 debug_exit_code;
    bool terminated; /* by itself, through the GHCB protocol */
    u32 terminate_set, terminate_reason;
    bool encrypted; /* made by the firmware, with a handle and an ASID */
    u32 handle, asid;
    u64 *chunks; /* SPA of each 2 MiB of RAM, in order of guest addresses */
    u64 chunk_count;
    struct npt npt;
    u64 iopm_spa, msrpm_spa; /* one of each for all its processors */
    struct vcpu cpus[VM_CPUS_MAX];
    u32 cpu_count;
    u32 turn;       /* the processor that is next */
    u64 jump_table; /* SEV-ES: where processors that start find their address; 0: none */
    struct board *board;
    u64 dma_page; /* where a device last moved data; 0: nowhere yet */
    u64 exits[VM_EXIT_KINDS];
    u64 vmgexits[VM_VMGEXIT_KINDS];
    u64 page_changes[2]; /* SNP: to private, to shared */
    u64 guest_ns;
};

struct hypervisor {
    struct host *host;
    struct frames frames;
    u32 refused_command, refusal; /* the last that was not SUCCESS */
    u8 scratch[GHCB_SCRATCH_MAX]; /* of the VMGEXIT at work, where that lies outside its page */
    u64 command_spa;              /* the mailbox's buffer, and what its pointers point at */
    u64 tmr_spa; /* the firmware's own memory while SEV-ES is on; FRAME_NONE: none */
    bool snp;    /* SNP_INIT_EX ran */
    u64 snp_spa; /* four pages: SNP's commands, what they point at, an answer; 0: none */
    u64 rmp_spa; /* the table, in chunks of its own */
    u64 rmp_chunks;
    struct vm *vms[VMS_MAX];
    u32 vm_count;
    struct vcpu *loaded[CORES_MAX]; /* whose registers each core holds */
    u32 turn;
    bool (*stop)(void *context); /* asked after each exit; NULL: nobody wants to end the run */
    void *stop_context;
    u32 asid_first, asid_last; /* for guests without SEV-ES; those with it have the ones below */
};

u64 vm_chunk(const struct vm *vm, u64 gpa); /* index in `chunks`; FRAME_NONE: no RAM there */
/* Guest address to the host's; 0 bytes left: no RAM there. `left` is what remains of the 2 MiB. */
u64 vm_spa(const struct vm *vm, u64 gpa, u64 *left);
bool vm_read(struct vm *vm, u64 gpa, void *out, size_t size);
bool vm_write(struct vm *vm, u64 gpa, const void *data, size_t size);
void vm_end(struct vm *vm, enum vm_state state, const char *format, ...) PRINTF_LIKE(3, 4);
/* The processors with their VMCBs and what they share; the devices. False: no memory for them. */
bool vcpus_create(struct vm *vm);
void vcpus_destroy(struct vm *vm);
int vm_board_create(struct vm *vm, struct error *error);
void vm_board_destroy(struct vm *vm);
void vm_board_set_time(struct vm *vm); /* the machine's clock, and what is due by it */

/* --- vcpu.c: one processor of a VM, its turn on its core -------------------------------------- */

/* Runs until `deadline_ns` at the latest and handles the exit that ends it. */
void vcpu_run(struct vcpu *c, u64 deadline_ns);
/* Ends the VM, and says why, if no processor of it can ever run again: `format` tells what the last
 * one did. */
void vcpu_check_alive(struct vcpu *c, const char *what);
bool vcpu_can_run(struct vcpu *c); /* not halted, or something wakes it now */
/* The general registers while it has its core. RAX and RSP live in the VMCB. */
u64 vcpu_get(struct vcpu *c, u32 reg);
void vcpu_set(struct vcpu *c, u32 reg, u64 value);
void vcpu_advance(struct vcpu *c, u64 next_rip); /* past the instruction that exited */
void vcpu_raise(struct vcpu *c, enum vector vector, bool has_code, u32 code);
bool vm_is_es(const struct vm *vm); /* its registers are its own: SEV-ES and SNP */
bool vm_is_snp(const struct vm *vm);
/* What only the core holds of its registers goes where the next VMRUN takes it from. */
void vcpu_leave_core(struct vcpu *c);

/* --- startup.c: how processors but the first one start ---------------------------------------- */

void startup_power_on(struct vcpu *c); /* of a plain or SEV guest */
void startup_init(struct vcpu *c);     /* INIT and STARTUP from a local APIC */
void startup_vector(struct vcpu *c, u8 vector);
void startup_progress(struct vcpu *c);           /* carries out what has come */
void startup_hold(struct vcpu *c, u64 ghcb_gpa); /* AP reset hold; 0: by the MSR protocol */
/* SNP: AP creation with the VMSA at `gpa` [cpu 7.5]; what SW_EXITINFO1 says. */
enum ghcb_error startup_create(struct vm *vm, u64 info, u64 gpa, u64 features);

/* --- exits.c, and what it leans on ------------------------------------------------------------ */

void exits_handle(struct vcpu *c);
/* What an instruction wants of us, whichever door it comes by: a plain exit, or a GHCB whose values
 * stand in for the registers and the exit's information. */
void exits_cpuid(struct vcpu *c);
void exits_msr(struct vcpu *c);
void exits_vmmcall(struct vcpu *c);
void exits_undefined(struct vcpu *c);
void exits_protected(struct vcpu *c);
void exits_nothing(struct vcpu *c);
void exits_io_register(struct vcpu *c); /* IN, OUT */
void exits_spend_port(struct vcpu *c);  /* the time of one port access */
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

extern const u32 msr_passed_through_es[]; /* besides those */
extern const u32 msr_passed_through_es_count;

/* --- ghcb.c, ghcb_msr.c: what a SEV-ES guest asks by VMGEXIT ---------------------------------- */

/* What its requests are counted as. */
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

/* --- ghcb_snp.c: what only SNP guests ask ----------------------------------------------------- */

/* The address is RAM that the host and its devices may use: not an SNP guest's own. */
bool vm_is_shared(const struct vm *vm, u64 gpa);
/* Why a GHCB cannot be at that address; NULL: it can. */
const char *ghcb_page_wrong(const struct vcpu *c, u64 gpa);
u64 ghcb_msr_page_state(struct vcpu *c, u64 value); /* give the MSR's new value */
u64 ghcb_msr_register(struct vcpu *c, u64 value);
/* Works through a list in place. Gives SW_EXITINFO2. */
u64 ghcb_page_state_list(struct vcpu *c, u8 *list, u64 size);
bool ghcb_asks_for_report(struct vm *vm, u64 request_gpa);
enum ghcb_error ghcb_guest_request(struct vcpu *c, u64 request_gpa, u64 response_gpa, u64 *info_2);
enum ghcb_error ghcb_extended_guest_request(struct vcpu *c, u64 request_gpa, u64 response_gpa,
                                            u64 data_gpa, u64 *pages, u64 *info_2);
enum ghcb_error ghcb_apic_ids(struct vcpu *c, u64 gpa, u64 *pages);
u64 ghcb_features(const struct vm *vm);

/* --- sev_launch.c ----------------------------------------------------------------------------- */

int vm_place_piece(struct vm *vm, const struct image_piece *piece, struct error *error);
void launch_undo(struct vm *vm); /* DEACTIVATE, DECOMMISSION; nothing if it was not launched */

/* --- psp.c: the mailbox ----------------------------------------------------------------------- */

/* Besides psp.h. */
int psp_flush(struct hypervisor *hv, struct error *error); /* WBINVD everywhere, DF_FLUSH */

/* --- snp_platform.c: pages that change hands between host and firmware ------------------------ */

/* Hypervisor pages to Firmware ones and back, in pieces of 2 MiB where they fit. False: the RMP
 * says no. */
bool snp_pages_give(struct hypervisor *hv, u64 spa, u64 size);
bool snp_pages_take(struct hypervisor *hv, u64 spa, u64 size);
u32 snp_rmpupdate(struct hypervisor *hv, u64 spa, struct rmp_update state); /* enum rmp_result */
const char *snp_rmp_result_name(u32 result);
u64 snp_data(const struct hypervisor *hv,
             u32 page); /* pages 0 and 1: read by commands; 2: an answer */
int psp_snp_shutdown(struct hypervisor *hv, struct error *error); /* nothing if SNP is not on */
int psp_snp_flush(struct hypervisor *hv, struct error *error); /* WBINVD everywhere, SNP_DF_FLUSH */

/* --- snp_launch.c, snp_cpuid.c ---------------------------------------------------------------- */

struct snp_cpuid_page;
void snp_launch_undo(struct vm *vm); /* DECOMMISSION, its pages the host's again */
/* What CPUID answers this guest, as a page of its own. */
void snp_cpuid_fill(struct vm *vm, struct snp_cpuid_page *out);

/* --- snp_page.c: pages that change hands between host and guest ------------------------------- */

bool snp_pages_create(struct vm *vm);  /* all of them the host's */
void snp_pages_destroy(struct vm *vm); /* and back to the host */
void snp_pages_count(const struct vm *vm, struct vm_summary *out);
/* The page in `vm->snp.pages`; 0 of `left` pages: no memory there. */
u64 snp_page_index(const struct vm *vm, u64 gpa, u64 *left);
/* Whether all 2 MiB at a 2 MiB-aligned guest address are in one state. */
bool snp_region_is(const struct vm *vm, u64 gpa, enum vm_page state);
/* Host to Pre-Guest, for the launch, and back where the launch does not take it. Gives an enum
 * rmp_result. */
u32 snp_page_offer(struct vm *vm, u64 gpa, bool large);
void snp_page_withdraw(struct vm *vm, u64 gpa, bool large);
/* Page state changes of a guest: 4 KiB, or 2 MiB at once. False: no such memory, or the RMP says
 * no. */
bool snp_page_private(struct vm *vm, u64 gpa, bool large);
bool snp_page_shared(struct vm *vm, u64 gpa, bool large);
/* 2 MiB become 512 pages in RMP and nested tables. */
bool snp_page_smash(struct vm *vm, u64 gpa);
/* What the RMP refused the guest: true if that is mended and the guest goes on, or if the VM has
 * ended. */
bool snp_page_fault(struct vcpu *c, u64 gpa, u64 info);
/* All processors see new nested tables from their next VMRUN on. */
void snp_flush_tlbs(struct vm *vm);

#endif
