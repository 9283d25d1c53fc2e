/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor: it owns the platform's keys and the guests' memory keys, and does what the
 * mailbox commands of abi/sev.h say. It reaches DRAM through memory.h, random bytes through
 * crypto.h and its persistent store through the two functions it is given; it does no I/O of its
 * own.
 */
#ifndef SOFTSEV_FIRMWARE_FIRMWARE_H
#define SOFTSEV_FIRMWARE_FIRMWARE_H

#include "abi/report.h"
#include "abi/sev.h"
#include "base/trace.h"
#include "crypto/crypto.h"
#include "memory/memory.h"

struct firmware;

/* A part and its firmware: data only, one row each. */
struct firmware_profile {
    const char *name;
    u8 api_major, api_minor,
        build; /* as PLATFORM_STATUS reports them; the measurement covers them */

    /* Of SNP; a part without has report_version 0 and knows none of its commands. */
    const char *product;        /* in certificates' names and KDS addresses: "Milan" */
    const char *product_name;   /* the extension of a VCEK: "Milan-B1" */
    u8 family, model, stepping; /* as a report says them: extended fields added */
    u8 report_version;          /* 2, 3 or 5 */
    u8 chip_id_size;            /* 64, or 8 */
    enum snp_tcb_layout tcb_layout;
    u64 tcb;           /* of this firmware */
    u32 features;      /* SNP_FEATURE_INFO 0, ECX; 0: the command does not exist */
    u64 mitigations;   /* vectors it knows; all are in force from reset on */
    u64 platform_info; /* PLATFORM_INFO of the board, apart from what commands switch on */
};

extern const struct firmware_profile firmware_profiles[]; /* ends with a row without a name */
#define FIRMWARE_PROFILE_DEFAULT (&firmware_profiles[0])
/* NULL if there is none of that name. */
const struct firmware_profile *firmware_profile_find(const char *name);

/* What became of a store that was to be loaded. Only one that is known to be absent is made anew;
 * the firmware never deletes or replaces another one unless PLATFORM_RESET asks for it. */
enum firmware_store_answer {
    FIRMWARE_STORE_LOADED,
    FIRMWARE_STORE_ABSENT,
    FIRMWARE_STORE_UNREADABLE, /* it may be there, and it may be good */
    FIRMWARE_STORE_DAMAGED,    /* it is there, and it is not what was saved */
    FIRMWARE_STORE_NO_MEMORY,
};

/* Where the store (one blob, encrypted under the chip's own key) is kept between two runs. */
struct firmware_store {
    /* Puts the blob, which has at most `size` bytes, into `out` and its size into `*got`. */
    enum firmware_store_answer (*load)(void *context, void *out, size_t size, size_t *got);
    /* Replaces the blob, all or nothing; size 0 deletes it. False: it could not be kept. */
    bool (*save)(void *context, const void *data, size_t size);
    void *context;
};

/* What the anti-rollback store keeps [snp 9]. */
struct firmware_committed {
    u64 tcb;
    u8 major, minor, build;
};

/* What the secure processor asks the cores; NULL functions: a platform without cores. */
struct firmware_processor {
    bool (*read_msr)(void *context, u32 core, u32 msr, u64 *value);
    void (*cpuid)(void *context, u32 leaf, u32 subleaf,
                  u32 out[4]); /* EAX EBX ECX EDX of the host */
    void *context;
};

#define FIRMWARE_STORE_MAX KIB(32) /* bytes of a store blob; also what fits INIT_EX's area */
#define FIRMWARE_GUESTS    256u    /* contexts; then RESOURCE_LIMIT */

struct firmware_config {
    struct memory *memory;
    struct crypto *crypto;
    struct trace *trace;                    /* may be NULL */
    const struct firmware_profile *profile; /* NULL: the default */
    struct firmware_store store;            /* functions may be NULL: nothing is kept */
    u8 fuses[32]; /* the chip's secret: CEK, chip id and the store's key derive from it [sev
                   * 7.10] */
    u64 c_bit;    /* mask; cleared in every address [sev 1.4] */
    u32 asid_min; /* CPUID 8000001Fh EDX: the lowest ASID of a guest without SEV-ES */
    u32 asid_max; /* CPUID 8000001Fh ECX */
    u32 cores;    /* how many report WBINVD; at most 64 */
    bool
        /* take WBINVD for granted: for a platform whose cores cannot report it [sev 5.3] */
        no_wbinvd;
    /* The root of trust for SEND_START under POLICY.SEV: an ARK in AMD certificate form; NULL: no
     * platform is genuine. */
    const void *ark;
    size_t ark_size;

    /* SNP. */
    struct firmware_processor processor;
    u64 rmp_base, rmp_end; /* where there is no read_msr: as RMP_BASE and RMP_END say; 0: no RMP */
    bool smt;              /* PLATFORM_INFO and POLICY.SMT */
    struct firmware_committed
        committed; /* what `commit` kept last; zero: the profile's own numbers */
    /* SNP_COMMIT: keeps the new floor before it counts; false refuses the command. May be NULL. */
    bool (*commit)(void *context, const struct firmware_committed *committed);
    void *commit_context;
};

/* NULL: out of memory, `fuses` gives no key, or the committed TCB is above the profile's: such
 * firmware does not power on. Everything is copied; memory, crypto and trace stay the caller's. */
struct firmware *firmware_create(const struct firmware_config *config);
/* Unloads the guests' keys and wipes every secret. */
void firmware_destroy(struct firmware *fw);

/* Runs one command to its end: the status code [sev 2]. Outputs are in the command's buffer. */
u32 firmware_mailbox(struct firmware *fw, u32 command, u64 buffer_spa);

/* A core has executed WBINVD [sev 5.3]. */
void firmware_wbinvd(struct firmware *fw, u32 core);

/* The TCB that the platform advertises now: its VCEK (identity_vcek) is what signs reports. 0: no
 * SNP. */
u64 firmware_reported_tcb(const struct firmware *fw);
/* Whether a VLEK for that TCB is loaded, with which guests' reports are signed unless they ask for
 * the VCEK. */
bool firmware_has_vlek(const struct firmware *fw);

/* The rule that refused the last command, "" if it was not refused: for error messages of whoever
 * owns the machine. */
const char *firmware_rule(const struct firmware *fw);

#endif
