/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the attacks: the victims, the experiment with one victim, and the host's
 * tools. */
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
    VICTIM_REGISTERS, /* keeps a secret in R12 and checks that it is still there */
    VICTIM_PAGES,     /* has two pages, and checks that the first is still the first */
    VICTIM_STATE,     /* overwrites a page and checks that the new content is there */
    VICTIM_BLOCKS,    /* calls one of two functions, each in a page of its own */
    VICTIM_HOLE,      /* has a place for a secret, and publishes the page after it */
    VICTIM_FEATURE,   /* asks CPUID whether the processor has MONITOR and MWAIT */
    VICTIM_INTERRUPT, /* waits with RAX zero; int 80h would return a value there */
    VICTIM_EXCEPTION, /* asks the host for CPUID in its #VC handler, as a SEV guest's kernel does */
    VICTIM_CAREFUL,   /* the same, but only if RIP points at a CPUID instruction */
    VICTIMS
};

#define VICTIM_LOAD   0x200000u
#define VICTIM_MEMORY MIB(12)
#define VICTIM_SECRET 0x5ec2e7c0ffee1234ull /* in R12 */
#define VICTIM_FIRST  MIB(4)                /* two pages, each at the beginning of its 2 MiB */
#define VICTIM_SECOND MIB(6)
#define VICTIM_BLOCK  (VICTIM_LOAD + PAGE_SIZE) /* two pages of its image */

/* What a victim reports when it ends. */
enum told {
    TOLD_WELL = 1,
    TOLD_MISLED = 2,
    TOLD_GARBAGE = 3,
    TOLD_NOT_VALIDATED = 4, /* #VC 404h */
    TOLD_NO_SECRET = 5,
    TOLD_NOTICED = 7, /* an event without its cause */
};

/* Writes the victim as an ELF file and returns its size in bytes. */
#define VICTIM_ELF_MAX KIB(16)
size_t victim_elf(enum victim victim, enum image_mode mode, u8 out[VICTIM_ELF_MAX]);

/* --- experiment.c: a machine, a hypervisor, one victim ---------------------------------------- */

struct experiment {
    const struct attack *attack;
    enum image_mode mode;
    bool attacked; /* false: it is left alone */
    const struct attack_machines *machines;
    struct host *host;
    struct hypervisor *hv;
    struct vm *vm;
    u8 elf[VICTIM_ELF_MAX];
    struct image_plan *honest; /* what the owner expects */
    struct image_plan plan;    /* what is launched; shares the bytes of the honest plan's pieces */
    struct vmsa vmsa;          /* the registers of both, with the attack's SEV_FEATURES */
    void (*cpuid)(void *context, u32 leaf, u32 subleaf, u32 out[4]);
    bool lies; /* the host may lie now */
    u32 lie_count;
    /* The owner. */
    struct crypto *crypto;
    struct session_keys keys;
    struct sev_measure measure;
    bool measured_well; /* the measurement is what the owner expects; always true in mode none */
    struct attack_result *result;
};

bool experiment_is_es(const struct experiment *b);
bool experiment_is_snp(const struct experiment *b);
u32 experiment_policy(const struct experiment *b);
/* Switches a machine on and makes the plans. */
int experiment_open(struct experiment *b, struct error *error);
void experiment_close(struct experiment *b);
/* Runs SNP_INIT and INIT, as the mode requires. */
int experiment_platform(struct experiment *b, struct error *error);
/* Launch `plan`: up to the measurement, then FINISH, or both. The owner checks SEV's measurement
 * before FINISH. SNP's is in a report, which the owner checks after FINISH. */
int experiment_launch_measured(struct experiment *b, struct error *error);
int experiment_launch_finish(struct experiment *b, struct error *error);
int experiment_launch(struct experiment *b, struct error *error); /* all three */
/* Runs until the victim has passed its `count`th checkpoint, and stops while it waits there. */
int experiment_run_to(struct experiment *b, u64 count, struct error *error);
/* Runs to the victim's end. Returns what the victim reported, or 0 if it ended in another way. */
u32 experiment_run_on(struct experiment *b);

int experiment_outcome(struct experiment *b, enum attack_verdict verdict, enum attack_event event,
                       const char *format, ...) PRINTF_LIKE(4, 5);
/* Fails the experiment: the guest ended in a way that no attack explains. */
void experiment_outcome_status(struct experiment *b, u32 status); /* the firmware's status */
int experiment_unexplained(struct experiment *b, u32 told, struct error *error);
/* Lets the victim run on and judges the attack: the victim ends as it would without the attack,
 * because `event` stopped it, or it is misled. */
int experiment_judge(struct experiment *b, enum attack_event event, const char *why,
                     struct error *error);

/* --- experiment_owner.c: who is attacked ------------------------------------------------------ */

/* Makes a session for the platform; for SEV and SEV-ES. */
int owner_session(struct experiment *b, struct sev_cert *godh, struct sev_session *session,
                  struct error *error);
/* Checks that the launch's measurement is that of the honest plan. */
int owner_looks(struct experiment *b, struct error *error);
/* Seals a secret for the guest that was measured. */
void owner_seals(struct experiment *b, const void *secret, u8 *data, size_t size,
                 struct sev_packet_header *header);

/* --- tools.c: what a malicious host does with a guest that it runs ---------------------------- */

/* Does one VMRUN for a few microseconds. Injects an event (0: none), and flushes translations if
 * asked for. `*out` is the VMCB as VMRUN left it. */
bool tool_vmrun(struct experiment *b, u64 event, bool flush, struct vmcb *out);
/* Answers the guest's request in the GHCB MSR of that VMCB. */
bool tool_answer(struct experiment *b, u64 value);
/* Returns the guest's last exit. */
void tool_last_exit(struct experiment *b, struct vmcb_control *out);
bool tool_fault_of_rmp(const struct vmcb_control *control);
/* Exchanges the 2 MiB nested leaves of two guest addresses. Returns false if there are none. */
bool tool_exchange(struct experiment *b, u64 gpa, u64 other);
/* Returns true if these 8 bytes are anywhere in the range. */
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
