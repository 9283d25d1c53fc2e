/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor. It owns the platform's keys and the guests' memory keys, and runs the
 * mailbox commands of abi/sev.h. It reaches DRAM through memory.h, gets random bytes through
 * crypto.h and its persistent store through the two functions that it is given; it does no I/O of
 * its own.
 */
#ifndef SOFTSEV_FIRMWARE_FIRMWARE_H
#define SOFTSEV_FIRMWARE_FIRMWARE_H

#include "abi/report.h"
#include "abi/sev.h"
#include "base/trace.h"
#include "crypto/crypto.h"
#include "memory/memory.h"

struct firmware;

/* One chip generation and its firmware: data only, one row for each. */
struct firmware_profile {
    const char *name;
    u8 api_major, api_minor,
        build; /* as PLATFORM_STATUS reports them; the measurement covers them */

    /* SNP fields. A part without SNP has report_version 0 and knows no SNP commands. */
    const char *product;        /* in certificate names and KDS addresses: "Milan" */
    const char *product_name;   /* the product name extension of a VCEK: "Milan-B1" */
    u8 family, model, stepping; /* as in a report: extended fields already added */
    u8 report_version;          /* 2, 3 or 5 */
    u8 chip_id_size;            /* 64, or 8 */
    enum snp_tcb_layout tcb_layout;
    u64 tcb;           /* of this firmware */
    u32 features;      /* SNP_FEATURE_INFO 0, ECX; 0: the command does not exist */
    u64 mitigations;   /* known vectors; all are in force from reset on */
    u64 platform_info; /* PLATFORM_INFO of the board, without the bits that commands set */
};

extern const struct firmware_profile firmware_profiles[]; /* the last row has no name */
#define FIRMWARE_PROFILE_DEFAULT (&firmware_profiles[0])
/* Returns NULL if no profile has that name. */
const struct firmware_profile *firmware_profile_find(const char *name);

/* The result of loading the store. A new store is made only if the old one is known to be absent;
 * the firmware deletes or replaces an existing store only on PLATFORM_RESET. */
enum firmware_store_answer {
    FIRMWARE_STORE_LOADED,
    FIRMWARE_STORE_ABSENT,
    FIRMWARE_STORE_UNREADABLE, /* a store may exist, and may be valid */
    FIRMWARE_STORE_DAMAGED,    /* a store exists, but is not what was saved */
    FIRMWARE_STORE_NO_MEMORY,
};

/* The backend that keeps the store (one blob, encrypted under the chip's own key) between runs. */
struct firmware_store {
    /* Reads the blob, at most `size` bytes, into `out` and its size into `*got`. */
    enum firmware_store_answer (*load)(void *context, void *out, size_t size, size_t *got);
    /* Replaces the blob completely or not at all; size 0 deletes it. Returns false if the blob
     * could not be kept. */
    bool (*save)(void *context, const void *data, size_t size);
    void *context;
};

/* The contents of the anti-rollback store [snp 9]. */
struct firmware_committed {
    u64 tcb;
    u8 major, minor, build;
};

/* Requests of the secure processor to the cores. NULL functions mean a platform without cores. */
struct firmware_processor {
    bool (*read_msr)(void *context, u32 core, u32 msr, u64 *value);
    void (*cpuid)(void *context, u32 leaf, u32 subleaf,
                  u32 out[4]); /* EAX EBX ECX EDX of the host */
    void *context;
};

/* The IOMMU, whose registers the firmware reads at SNP_INIT: the memory that it writes by itself.
 */
#define FIRMWARE_IOMMU_BUFFERS 4u
struct firmware_iommu_buffer {
    const char *name;
    u64 address, size; /* bytes, whole pages */
};
struct firmware_iommu {
    /* Returns how many buffers there are. */
    u32 (*buffers)(void *context, struct firmware_iommu_buffer out[FIRMWARE_IOMMU_BUFFERS]);
    void *context;
};

#define FIRMWARE_STORE_MAX KIB(32) /* bytes of a store blob; fits in INIT_EX's area */
/* The least number of contexts: there is one for each ASID at least. One more guest gets
 * RESOURCE_LIMIT. */
#define FIRMWARE_GUESTS 256u

struct firmware_config {
    struct memory *memory;
    struct crypto *crypto;
    struct trace *trace;                    /* may be NULL */
    const struct firmware_profile *profile; /* NULL: the default profile */
    struct firmware_store store;            /* functions may be NULL: then nothing is kept */
    u8 fuses[32]; /* secret of the chip; CEK, chip id, store's key derive from it [sev 7.10] */
    u64 c_bit;    /* mask; cleared in every address [sev 1.4] */
    u32 asid_min; /* CPUID 8000001Fh EDX: the lowest ASID of a guest without SEV-ES */
    u32 asid_max; /* CPUID 8000001Fh ECX */
    u32 cores;    /* number of cores that report WBINVD; at most 64 */
    bool
        /* Assume WBINVD was done: for a platform whose cores cannot report it [sev 5.3]. */
        no_wbinvd;
    /* Root of trust for SEND_START under POLICY.SEV: an ARK in AMD certificate form. NULL: no
     * platform is accepted as genuine. */
    const void *ark;
    size_t ark_size;

    /* SNP fields. */
    struct firmware_processor processor;
    u64 rmp_base, rmp_end; /* used without read_msr: values of RMP_BASE and RMP_END; 0: no RMP */
    bool smt;              /* for PLATFORM_INFO and POLICY.SMT */
    struct firmware_committed
        committed; /* what `commit` kept last; zero: the profile's own versions */
    /* Stores the new minimum for SNP_COMMIT, before it takes effect; false refuses the command. May
     * be NULL. */
    bool (*commit)(void *context, const struct firmware_committed *committed);
    void *commit_context;
};

/* Returns NULL if memory is out, if `fuses` gives no key, or if the committed TCB is above the
 * profile's (such firmware does not power on). Copies everything except memory, crypto and trace,
 * which stay the caller's. */
struct firmware *firmware_create(const struct firmware_config *config);
/* Unloads the guests' keys and wipes every secret. */
void firmware_destroy(struct firmware *fw);

struct archive; /* base/archive.h */
/* All that it holds beside what is in DRAM: secrets, so seal it. The archive fails while a guest is
 * being launched. A load needs the keys of the memory controller, and the same profile and fuses;
 * if the archive then has failed, the firmware can only be destroyed. */
void firmware_archive(struct firmware *fw, struct archive *a);

/* Runs one command to its end and returns the status code [sev 2]. Outputs are in the command's
 * buffer. */
u32 firmware_mailbox(struct firmware *fw, u32 command, u64 buffer_spa);

/* Connects an IOMMU to the platform, which has none at first. */
void firmware_connect_iommu(struct firmware *fw, const struct firmware_iommu *iommu);
/* Returns true if the range belongs to the firmware for the IOMMU to write. */
bool firmware_iommu_may_write(const struct firmware *fw, u64 spa, u64 size);

/* Records that a core has executed WBINVD [sev 5.3]. */
void firmware_wbinvd(struct firmware *fw, u32 core);

/* Returns the TCB that the platform reports now; the VCEK of that TCB (identity_vcek) signs
 * reports. Returns 0 without SNP. */
u64 firmware_reported_tcb(const struct firmware *fw);
/* Returns true if a VLEK for the reported TCB is loaded. It then signs guests' reports, unless they
 * ask for the VCEK. */
bool firmware_has_vlek(const struct firmware *fw);

/* Returns the rule that refused the last command, "" if it was not refused. For the error messages
 * of the machine's owner. */
const char *firmware_rule(const struct firmware *fw);

#endif
