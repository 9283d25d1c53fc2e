/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor: it owns the platform's keys and the guests' memory keys, and does what the
 * mailbox commands of abi/sev.h say. It reaches DRAM through memory.h, random bytes through crypto.h and
 * its persistent store through the two functions it is given; it does no I/O of its own.
 */
#ifndef SOFTSEV_FIRMWARE_FIRMWARE_H
#define SOFTSEV_FIRMWARE_FIRMWARE_H

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
};

extern const struct firmware_profile firmware_profiles[]; /* ends with a row without a name */
#define FIRMWARE_PROFILE_DEFAULT (&firmware_profiles[0])
/* NULL if there is none of that name. */
const struct firmware_profile *firmware_profile_find(const char *name);

/* Where the store (one blob, encrypted under the chip's own key) is kept between two runs. */
struct firmware_store {
    /* Puts up to `size` bytes of the blob into `out`; returns its size, 0 if there is none. */
    size_t (*load)(void *context, void *out, size_t size);
    /* Replaces the blob, all or nothing; size 0 deletes it. False: it could not be kept. */
    bool (*save)(void *context, const void *data, size_t size);
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
    u8 fuses
        [32];  /* the chip's secret: CEK, chip id and the store's key derive from it [sev 7.10] */
    u64 c_bit; /* mask; cleared in every address [sev 1.4] */
    u32 asid_min; /* CPUID 8000001Fh EDX: the lowest ASID of a guest without SEV-ES */
    u32 asid_max; /* CPUID 8000001Fh ECX */
    u32 cores;    /* how many report WBINVD; at most 64 */
    bool
        no_wbinvd; /* take WBINVD for granted: for a platform whose cores cannot report it [sev 5.3] */
    /* The root of trust for SEND_START under POLICY.SEV: an ARK in AMD certificate form; NULL: no platform is genuine. */
    const void *ark;
    size_t ark_size;
};

/* NULL: out of memory, or `fuses` gives no key. Everything is copied; memory, crypto and trace stay the caller's. */
struct firmware *firmware_create(const struct firmware_config *config);
/* Unloads the guests' keys and wipes every secret. */
void firmware_destroy(struct firmware *fw);

/* Runs one command to its end: the status code [sev 2]. Outputs are in the command's buffer. */
u32 firmware_mailbox(struct firmware *fw, u32 command, u64 buffer_spa);

/* A core has executed WBINVD [sev 5.3]. */
void firmware_wbinvd(struct firmware *fw, u32 core);

/* The rule that refused the last command, "" if it was not refused: for error messages of whoever owns the machine. */
const char *firmware_rule(const struct firmware *fw);

#endif
