/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Reverse Map Table: its place, its entries, the states of a page, and the results of RMPUPDATE
 * and related instructions [snp 4, cpu 8.1]. The entry here is the architecture's view of it. Its
 * layout in DRAM is softsev's own (hardware calls it non-architectural); only rmp_entry_pack and
 * rmp_entry_unpack know it.
 */
#ifndef SOFTSEV_ABI_RMP_H
#define SOFTSEV_ABI_RMP_H

#include "base/base.h"

/* --- Where it is ------------------------------------------------------------------------------ */

#define RMP_ALIGNMENT   KIB(8)  /* of RMP_BASE and RMP_END + 1 [snp 4.1] */
#define RMP_BOOKKEEPING 0x4000u /* bytes before the first entry: the processor's own counters */
#define RMP_ENTRY_SIZE  16u     /* one entry for each 4 KiB page, from address 0 */
#define RMP_LARGE_SIZE  MIB(2)
#define RMP_LARGE_PAGES 512u

/* Returns the size of a table that covers memory up to `top`, in bytes. */
static inline u64 rmp_table_size(u64 top)
{
    return ALIGN_UP(RMP_BOOKKEEPING + (top >> PAGE_SHIFT) * RMP_ENTRY_SIZE, RMP_ALIGNMENT);
}

/* --- One entry -------------------------------------------------------------------------------- */

#define RMP_VMPLS 4u

/* Permissions of one VMPL [cpu 8.1]. */
#define RMP_READ           0x01u
#define RMP_WRITE          0x02u
#define RMP_EXECUTE_USER   0x04u
#define RMP_EXECUTE_SYSTEM 0x08u
#define RMP_SHADOW_STACK   0x10u
#define RMP_ALL            0x0fu /* VMPL0 of a page that becomes Guest-Valid */

struct rmp_entry {
    bool assigned;
    bool large; /* 2 MiB */
    bool immutable;
    bool validated;
    bool vmsa;
    u32 asid;
    u64 gpa;                   /* bits 50:12 */
    u8 permissions[RMP_VMPLS]; /* RMP_READ ... */
};

/*
 * Low quadword, high quadword:
 *
 *   63 62        61   60    51 50        12 11 3   2         1     0        39:32.. reserved, 31:0
 *   0  validated vmsa   ASID     gPA 50:12    0  immutable large assigned   permissions
 *                                                                              of VMPL3..VMPL0
 */
static inline void rmp_entry_pack(const struct rmp_entry *e, u64 raw[2])
{
    raw[0] = (u64)e->assigned | (u64)e->large << 1 | (u64)e->immutable << 2 |
             (e->gpa & (BITS(~0ull, 50, 12) << 12)) | (u64)(e->asid & 0x3ff) << 51 |
             (u64)e->vmsa << 61 | (u64)e->validated << 62;
    raw[1] = load_le32(e->permissions);
}

static inline void rmp_entry_unpack(struct rmp_entry *e, const u64 raw[2])
{
    e->assigned = raw[0] & BIT(0);
    e->large = raw[0] & BIT(1);
    e->immutable = raw[0] & BIT(2);
    e->validated = raw[0] & BIT(62);
    e->vmsa = raw[0] & BIT(61);
    e->asid = (u32)BITS(raw[0], 60, 51);
    e->gpa = BITS(raw[0], 50, 12) << 12;
    store_le32(e->permissions, (u32)raw[1]);
}

/* --- Page states [snp 4.4] -------------------------------------------------------------------- */

// clang-format off
#define RMP_STATES(X) \
    X(DEFAULT,       "Default")       /* not covered, or no RMP */ \
    X(HYPERVISOR,    "Hypervisor")    \
    X(HV_FIXED,      "HV-Fixed")      \
    X(RECLAIM,       "Reclaim")       \
    X(FIRMWARE,      "Firmware")      \
    X(CONTEXT,       "Context")       \
    X(METADATA,      "Metadata")      \
    X(PRE_GUEST,     "Pre-Guest")     \
    X(PRE_SWAP,      "Pre-Swap")      \
    X(GUEST_INVALID, "Guest-Invalid") \
    X(GUEST_VALID,   "Guest-Valid")
// clang-format on

#define RMP_ENUM_STATE(name, text) RMP_##name,
enum rmp_state { RMP_STATES(RMP_ENUM_STATE) RMP_STATE_COUNT };
#undef RMP_ENUM_STATE

static inline enum rmp_state rmp_entry_state(const struct rmp_entry *e)
{
    if (!e->assigned)
        return e->immutable ? RMP_HV_FIXED : RMP_HYPERVISOR;
    if (e->asid && e->immutable)
        return e->validated ? RMP_PRE_SWAP : RMP_PRE_GUEST;
    if (e->asid)
        return e->validated ? RMP_GUEST_VALID : RMP_GUEST_INVALID;
    if (!e->immutable)
        return RMP_RECLAIM;
    if (e->gpa)
        return RMP_METADATA;
    return e->vmsa ? RMP_CONTEXT : RMP_FIRMWARE;
}

#define RMP_STATE_NAME(name, text)                                                                 \
    case RMP_##name:                                                                               \
        return text;

static inline const char *rmp_state_name(enum rmp_state state)
{
    switch (state) {
        RMP_STATES(RMP_STATE_NAME)
    default:
        return "?";
    }
}
#undef RMP_STATE_NAME

/* Returns true if the host may write pages in this state [snp 4.4]. */
static inline bool rmp_state_is_host_writable(enum rmp_state state)
{
    return state == RMP_DEFAULT || state == RMP_HYPERVISOR || state == RMP_HV_FIXED;
}

/* --- The instructions [snp 4.3, cpu 8.2] ------------------------------------------------------ */

/* Results in EAX. */
enum rmp_result {
    RMP_SUCCESS = 0,
    RMP_FAIL_INPUT = 1,
    RMP_FAIL_PERMISSION = 2,
    RMP_FAIL_INUSE = 3,
    RMP_FAIL_OVERLAP = 4,
    RMP_FAIL_SIZEMISMATCH = 6,
    RMP_FAIL_NOT_LARGE = 7, /* PSMASH of a page that is not an assigned 2 MiB page */
};

/* The operand that RMPUPDATE reads and RMPREAD writes. */
struct __attribute__((packed)) rmp_update {
    u64 gpa;
    u8 assigned;  /* bit 0 */
    u8 page_size; /* bit 0: 2 MiB; RMPREAD also bit 1: some page of the region is assigned */
    u8 immutable; /* bit 0 */
    u8 reserved_0b;
    u32 asid;
};
ABI_SIZE(struct rmp_update, 16);
ABI_OFFSET(struct rmp_update, asid, 12);

#endif
