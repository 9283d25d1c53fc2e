/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published attacks of a malicious host on its guests, each played against a small guest in
 * every mode. The host uses what a host has (machine/host.h) and what a hypervisor knows (where it
 * put things). Each run says what it observed: whether the attack broke the guest, and if not,
 * which event stopped it.
 */
#ifndef SOFTSEV_ATTACK_ATTACK_H
#define SOFTSEV_ATTACK_ATTACK_H

#include "base/base.h"
#include "base/error.h"
#include "image/image.h"

#define ATTACK_MODES 4u /* enum image_mode */

enum attack_verdict {
    ATTACK_BREAKS,  /* the host got what it should not get */
    ATTACK_STOPPED, /* it did not, by the event */
    ATTACK_NO_USE,  /* the attack gains nothing: the guest ends */
};

/* What the host, the owner or the guest saw. */
enum attack_event {
    ATTACK_EVENT_NONE,
    ATTACK_HOST_READS,       /* plaintext, where the guest keeps a secret */
    ATTACK_GUEST_MISLED,     /* the guest went on with a state that the host had changed */
    ATTACK_GARBAGE,          /* the guest reads bytes that nobody wrote */
    ATTACK_NOTICED,          /* the guest sees that the event has no cause, and terminates itself */
    ATTACK_UNREADABLE,       /* the host finds ciphertext, and nothing in its registers */
    ATTACK_WRITE_FAULTS,     /* the RMP refuses the host's write */
    ATTACK_NESTED_FAULT,     /* #VMEXIT(NPF) with the RMP bit */
    ATTACK_NOT_VALIDATED,    /* #VC "page not validated" in the guest */
    ATTACK_VMRUN_REFUSES,    /* VMEXIT_INVALID: the VMSA has changed */
    ATTACK_MEASUREMENT,      /* the measurement differs, so the owner refuses */
    ATTACK_FIRMWARE_REFUSES, /* a command; `status` says how */
    ATTACK_CPUID_FROM_PAGE,  /* the guest does not ask the host: it has a CPUID page */
    ATTACK_CPUID_REFUSED,    /* the firmware refuses the CPUID page; `status` */
    ATTACK_INJECTION_REFUSED, /* VMEXIT_INVALID: the event may not be injected */
    ATTACK_INJECTION_IGNORED, /* VMRUN takes it, the guest never gets it */
    ATTACK_NO_HANDLER,        /* the guest has no handler for such an event and shuts down */
    ATTACK_EVENTS
};

struct attack_outcome {
    enum attack_verdict verdict;
    enum attack_event event;
    u32 status; /* the firmware's status if it refuses, otherwise 0 */
};

struct experiment; /* src/attack/internal.h */

struct attack {
    const char *name;
    const char *title;
    const char *source; /* who published it, and when */
    const char *host;   /* what the host does */
    bool aliased; /* the attacked run is on a machine with two addresses for each byte of memory */
    const char *profile; /* firmware that it needs; NULL: the default */
    struct attack_outcome expected[ATTACK_MODES];
    /* Used by the files of this room only. */
    u32 victim;
    u64 features; /* SEV_FEATURES of an SNP guest, besides SNP */
    int (*play)(struct experiment *experiment, struct error *error);
    /* Runs the guest without the attack; NULL: launches and runs it. */
    int (*alone)(struct experiment *experiment, struct error *error);
};

extern const struct attack attacks[];
extern const u32 attack_count;

/* A source of machines. Each call of `on` returns a machine that was just switched on, with that
 * firmware (NULL: the default) and, if asked for, with a second address for each byte of its
 * memory. Returns NULL and an error if there is no machine. */
struct attack_machines {
    struct host *(*on)(void *context, const char *profile, bool aliased, struct error *error);
    void (*off)(void *context);
    void *context;
};

struct crypto;

struct attack_result {
    struct attack_outcome seen;
    char told[200]; /* one line: what was observed */
};

/* Runs the victim twice, each time on a machine of its own: left alone, which must end well, and
 * attacked. Returns -1 if one of the runs failed by itself: the guest did not run, or the attack
 * did not take place. That is never an outcome. */
int attack_run(const struct attack *attack, enum image_mode mode,
               const struct attack_machines *machines, struct crypto *owner,
               struct attack_result *result, struct error *error);
bool attack_as_expected(const struct attack *attack, enum image_mode mode,
                        const struct attack_result *result);

const struct attack *attack_find(const char *name); /* NULL: there is none */
const char *attack_verdict_name(enum attack_verdict verdict);
const char *attack_event_name(enum attack_event event);
/* Writes the outcome as a phrase: "stopped: the RMP refuses the host's write". */
void attack_outcome_text(const struct attack_outcome *outcome, char text[120]);

#endif
