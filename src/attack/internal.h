/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the attacks share: the victims, the experiment that one of them takes part in,
 * and the host's tools. */
#ifndef SOFTSEV_ATTACK_INTERNAL_H
#define SOFTSEV_ATTACK_INTERNAL_H

#include "abi/sev_cert.h"
#include "abi/vmcb.h"
#include "abi/vmsa.h"
#include "attack/attack.h"
#include "crypto/crypto.h"
#include "hypervisor/psp.h"
#include "hypervisor/vm.h"
#include "machine/host.h"
#include "protocol/protocol.h"

/* --- victim.c: guests of a few instructions --------------------------------------------------- */

enum victim {
    VICTIM_REGISTERS, /* keeps a secret in R12, and looks whether it is still there */
    VICTIM_PAGES,     /* two pages of its own; looks whether the first is still the first */
    VICTIM_STATE,     /* overwrites a page; looks whether it is the new one */
    VICTIM_BLOCKS,    /* calls one of two functions, each in a page of its own */
    VICTIM_HOLE,      /* has a place for a secret, and publishes the page behind it */
    VICTIM_FEATURE,   /* asks CPUID whether the processor has AES instructions */
    VICTIM_INTERRUPT, /* waits with RAX zero: denied; int 80h would return a value there */
    VICTIM_EXCEPTION, /* as a SEV guest's kernel, asks the host for CPUID in its #VC handler */
    VICTIM_CAREFUL,   /* the same, where RIP is at a CPUID */
    VICTIMS
};

#define VICTIM_LOAD   0x200000u
#define VICTIM_MEMORY MIB(12)
#define VICTIM_SECRET 0x5ec2e7c0ffee1234ull /* in R12 */
#define VICTIM_FIRST  MIB(4)                /* two pages, each at the beginning of its 2 MiB */
#define VICTIM_SECOND MIB(6)
#define VICTIM_BLOCK  (VICTIM_LOAD + PAGE_SIZE) /* two pages of its image */

/* What a victim says in the end. */
enum told {
    TOLD_WELL = 1,
    TOLD_MISLED = 2,
    TOLD_GARBAGE = 3,
    TOLD_NOT_VALIDATED = 4, /* #VC 404h */
    TOLD_NO_SECRET = 5,
    TOLD_NOTICED = 7, /* an event without its cause */
};

/* An ELF file; its size. */
#define VICTIM_ELF_MAX KIB(16)
size_t victim_elf(enum victim victim, enum image_mode mode, u8 out[VICTIM_ELF_MAX]);

/* --- experiment.c: a machine, a hypervisor, one victim ---------------------------------------- */

struct experiment {
    const struct attack *attack;
    enum image_mode mode;
    bool attacked; /* or left alone */
    const struct attack_machines *machines;
    struct host *host;
    struct hypervisor *hv;
    struct vm *vm;
    u8 elf[VICTIM_ELF_MAX];
    struct image_plan *honest; /* what the owner expects */
    struct image_plan plan;    /* what is launched; the pieces' bytes are the other's */
    struct vmsa vmsa;          /* the registers of both, with the attack's SEV_FEATURES */
    void (*cpuid)(void *context, u32 leaf, u32 subleaf, u32 out[4]);
    bool lies; /* it may now */
    u32 lie_count;
    /* The owner. */
    struct crypto *crypto;
    struct session_keys keys;
    struct sev_measure measure;
    bool measured_well; /* the owner saw the measurement that it expects; mode none: nobody asks */
    struct attack_result *result;
};

bool experiment_is_es(const struct experiment *b);
bool experiment_is_snp(const struct experiment *b);
u32 experiment_policy(const struct experiment *b);
/* Switches a machine on and makes the plans. */
int experiment_open(struct experiment *b, struct error *error);
void experiment_close(struct experiment *b);
/* SNP_INIT and INIT, as the mode wants them. */
int experiment_platform(struct experiment *b, struct error *error);
/* The launch of `plan` up to the measurement; then FINISH. The owner looks at SEV's measurement
 * before that, at SNP's, which is in a report, after it. */
int experiment_launch_measured(struct experiment *b, struct error *error);
int experiment_launch_finish(struct experiment *b, struct error *error);
int experiment_launch(struct experiment *b, struct error *error); /* all three */
/* Until the victim has passed its `count`th checkpoint, and not further than it waits there. */
int experiment_run_to(struct experiment *b, u64 count, struct error *error);
/* To the victim's end, if it reaches one. What it said, or 0: it ended otherwise. */
u32 experiment_run_on(struct experiment *b);

int experiment_outcome(struct experiment *b, enum attack_verdict verdict, enum attack_event event,
                       const char *format, ...) PRINTF_LIKE(4, 5);
/* What has not become an outcome, because the guest ended otherwise than any attack explains. */
void experiment_outcome_status(struct experiment *b,
                               u32 status); /* the firmware's, of that outcome */
int experiment_unexplained(struct experiment *b, u32 told, struct error *error);
/* The victim is as it would be without the attack (`event` stopped it), or it is misled. */
int experiment_judge(struct experiment *b, enum attack_event event, const char *why,
                     struct error *error);

/* --- experiment_owner.c: who is attacked ------------------------------------------------------ */

/* SEV and SEV-ES: a session for the platform. */
int owner_session(struct experiment *b, struct sev_cert *godh, struct sev_session *session,
                  struct error *error);
/* Whether the launch's measurement is that of the honest plan. */
int owner_looks(struct experiment *b, struct error *error);
/* A secret for the guest that was measured. */
void owner_seals(struct experiment *b, const void *secret, u8 *data, size_t size,
                 struct sev_packet_header *header);

/* --- tools.c: what a malicious host does with a guest that it runs ---------------------------- */

/* One VMRUN for a few microseconds, with an event injected (0: none), and with translations flushed
 * if asked for. The VMCB as VMRUN left it. */
bool tool_vmrun(struct experiment *b, u64 event, bool flush, struct vmcb *out);
/* The same VMCB with the guest's request answered, in its GHCB MSR. */
bool tool_answer(struct experiment *b, u64 value);
/* The exit that the guest made last. */
void tool_last_exit(struct experiment *b, struct vmcb_control *out);
bool tool_fault_of_rmp(const struct vmcb_control *control);
/* Exchanges the nested leaves, of 2 MiB, of two guest addresses. False: there are none. */
bool tool_exchange(struct experiment *b, u64 gpa, u64 other);
/* 8 bytes, anywhere in a range. */
bool tool_finds(const u8 *bytes, size_t size, u64 value);

/* --- The attacks ------------------------------------------------------------------------------ */

int play_registers_read(struct experiment *b, struct error *error);
int play_registers_write(struct experiment *b, struct error *error);
int play_remap(struct experiment *b, struct error *error);
int play_remap_assigned(struct experiment *b, struct error *error);
int play_replay(struct experiment *b, struct error *error);
int play_move(struct experiment *b, struct error *error);
int play_alias(struct experiment *b, struct error *error);
int play_alias_checked(struct experiment *b, struct error *error);
int play_permute(struct experiment *b, struct error *error);
int play_secret(struct experiment *b, struct error *error);
int alone_with_secret(struct experiment *b, struct error *error);
int play_cpuid(struct experiment *b, struct error *error);
int play_cpuid_later(struct experiment *b, struct error *error);
int play_interrupt(struct experiment *b, struct error *error);
int play_vc(struct experiment *b, struct error *error);

#endif
