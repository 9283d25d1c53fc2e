/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GHCB: how a SEV-ES or SNP guest and its hypervisor communicate after VMGEXIT. It consists of
 * the shared page, the protocol in the MSR, and the events that have no intercept [GHCB
 * specification 56421; cpu 7].
 */
#ifndef SOFTSEV_ABI_GHCB_H
#define SOFTSEV_ABI_GHCB_H

#include "base/base.h"

/* The shared page. A field is valid only if the valid bitmap has its bit, number `offset / 8`. */
struct ghcb {
    u8 reserved_000[0xcb];
    u8 cpl;
    u8 reserved_0cc[0x140 - 0xcc];
    u64 xss;
    u8 reserved_148[0x160 - 0x148];
    u64 dr7;
    u8 reserved_168[0x178 - 0x168];
    u64 rip;
    u8 reserved_180[0x1d8 - 0x180];
    u64 rsp;
    u8 reserved_1e0[0x1f8 - 0x1e0];
    u64 rax;
    u8 reserved_200[0x308 - 0x200];
    u64 rcx, rdx, rbx;
    u64 reserved_320;
    u64 rbp, rsi, rdi;
    u64 r8_15[8];
    u8 reserved_380[0x390 - 0x380];
    u64 exit_code, exit_info_1, exit_info_2, scratch; /* SW_EXITCODE, SW_EXITINFO1, ... */
    u8 reserved_3b0[0x3e8 - 0x3b0];
    u64 xcr0;
    u8 valid[16];
    u64 x87_state_gpa;
    u8 reserved_408[0x800 - 0x408];
    u8 buffer[0x7f0];
    u8 reserved_ff0[10];
    u16 version;
    u32 usage;
};
// clang-format off
ABI_OFFSET(struct ghcb, cpl,           0x0cb);
ABI_OFFSET(struct ghcb, xss,           0x140);
ABI_OFFSET(struct ghcb, dr7,           0x160);
ABI_OFFSET(struct ghcb, rip,           0x178);
ABI_OFFSET(struct ghcb, rsp,           0x1d8);
ABI_OFFSET(struct ghcb, rax,           0x1f8);
ABI_OFFSET(struct ghcb, rcx,           0x308);
ABI_OFFSET(struct ghcb, rbp,           0x328);
ABI_OFFSET(struct ghcb, r8_15,         0x340);
ABI_OFFSET(struct ghcb, exit_code,     0x390);
ABI_OFFSET(struct ghcb, scratch,       0x3a8);
ABI_OFFSET(struct ghcb, xcr0,          0x3e8);
ABI_OFFSET(struct ghcb, valid,         0x3f0);
ABI_OFFSET(struct ghcb, x87_state_gpa, 0x400);
ABI_OFFSET(struct ghcb, buffer,        0x800);
ABI_OFFSET(struct ghcb, version,       0xffa);
ABI_OFFSET(struct ghcb, usage,         0xffc);
ABI_SIZE(struct ghcb, 4096);
// clang-format on

#define GHCB_BUFFER_OFFSET 0x800u
#define GHCB_BUFFER_SIZE   0x7f0u
#define GHCB_USAGE         0u

/* The bit of a field in the valid bitmap. */
#define GHCB_BIT(field) (offsetof(struct ghcb, field) / 8)

static inline bool ghcb_valid(const struct ghcb *g, size_t bit)
{
    return g->valid[bit / 8] >> (bit % 8) & 1;
}

static inline void ghcb_set_valid(struct ghcb *g, size_t bit)
{
    g->valid[bit / 8] = (u8)(g->valid[bit / 8] | 1u << (bit % 8));
}

/* The low half of SW_EXITINFO1 in a response. For MALFORMED, SW_EXITINFO2 has the reason. */
enum ghcb_result { GHCB_OK = 0, GHCB_EXCEPTION = 1, GHCB_MALFORMED = 2 };

enum ghcb_error {
    GHCB_ERROR_NOT_REGISTERED = 1,
    GHCB_ERROR_USAGE = 2,
    GHCB_ERROR_SCRATCH = 3,
    GHCB_ERROR_MISSING_INPUT = 4,
    GHCB_ERROR_INPUT = 5,
    GHCB_ERROR_EVENT = 6,
};

/* --- The MSR protocol: bits 11:0 of C001_0130 are one of these, the rest its data [cpu 7.1] --- */

#define GHCB_MSR_INFO(value) ((u32)BITS(value, 11, 0))
#define GHCB_MSR_DATA(value) BITS(value, 63, 12)

enum ghcb_msr {
    GHCB_MSR_PAGE = 0x000, /* the value is the GHCB's address */
    GHCB_MSR_SEV_INFO = 0x001,
    GHCB_MSR_SEV_INFO_REQUEST = 0x002,
    GHCB_MSR_JUMP_TABLE = 0x003,
    GHCB_MSR_CPUID_REQUEST = 0x004,
    GHCB_MSR_CPUID = 0x005,
    GHCB_MSR_RESET_HOLD_REQUEST = 0x006,
    GHCB_MSR_RESET_HOLD = 0x007,
    GHCB_MSR_PREFERRED_REQUEST = 0x010,
    GHCB_MSR_PREFERRED = 0x011,
    GHCB_MSR_REGISTER_REQUEST = 0x012,
    GHCB_MSR_REGISTER = 0x013,
    GHCB_MSR_PAGE_STATE_REQUEST = 0x014,
    GHCB_MSR_PAGE_STATE = 0x015,
    GHCB_MSR_RUN_VMPL_REQUEST = 0x016,
    GHCB_MSR_RUN_VMPL = 0x017,
    GHCB_MSR_FEATURES_REQUEST = 0x080,
    GHCB_MSR_FEATURES = 0x081,
    GHCB_MSR_TERMINATE = 0x100,
};

/* Returns SEV information. The MSR also holds it before the guest writes the MSR. */
static inline u64 ghcb_msr_sev_info(u16 version_max, u16 version_min, u8 c_bit)
{
    return (u64)version_max << 48 | (u64)version_min << 32 | (u64)c_bit << 24 | GHCB_MSR_SEV_INFO;
}

#define GHCB_MSR_CPUID_FUNCTION(value)       ((u32)BITS(value, 63, 32))
#define GHCB_MSR_CPUID_REGISTER(value)       ((u32)BITS(value, 31, 30)) /* EAX EBX ECX EDX */
#define GHCB_MSR_PAGE_STATE_FRAME(value)     BITS(value, 51, 12)
#define GHCB_MSR_PAGE_STATE_OPERATION(value) ((u32)BITS(value, 55, 52))
#define GHCB_MSR_TERMINATE_SET(value)        ((u32)BITS(value, 15, 12))
#define GHCB_MSR_TERMINATE_REASON(value)     ((u32)BITS(value, 23, 16))
#define GHCB_NO_FRAME                        BITS(~0ull, 51, 0) /* "none", or "refused" */

/* --- Events beyond the intercepts: values of SW_EXITCODE [cpu 7.4] ---------------------------- */

#define GHCB_EVENT_MMIO_READ              0x80000001u
#define GHCB_EVENT_MMIO_WRITE             0x80000002u
#define GHCB_EVENT_NMI_COMPLETE           0x80000003u
#define GHCB_EVENT_RESET_HOLD             0x80000004u
#define GHCB_EVENT_JUMP_TABLE             0x80000005u
#define GHCB_EVENT_PAGE_STATE             0x80000010u
#define GHCB_EVENT_GUEST_REQUEST          0x80000011u
#define GHCB_EVENT_EXTENDED_GUEST_REQUEST 0x80000012u
#define GHCB_EVENT_AP_CREATION            0x80000013u
#define GHCB_EVENT_HV_DOORBELL            0x80000014u
#define GHCB_EVENT_HV_IPI                 0x80000015u
#define GHCB_EVENT_HV_TIMER               0x80000016u
#define GHCB_EVENT_APIC_IDS               0x80000017u
#define GHCB_EVENT_RUN_VMPL               0x80000018u
#define GHCB_EVENT_SECURE_AVIC            0x8000001au
#define GHCB_EVENT_FEATURES               0x8000fffdu
#define GHCB_EVENT_TERMINATE              0x8000fffeu
#define GHCB_EVENT_UNSUPPORTED            0x8000ffffu

#define GHCB_JUMP_TABLE_SET 0u
#define GHCB_JUMP_TABLE_GET 1u

/* Page state change: a header and up to 253 entries in the shared buffer. */
struct ghcb_page_state_header {
    u16 current, end; /* entry numbers; `end` is the last entry */
    u32 reserved;
};
ABI_SIZE(struct ghcb_page_state_header, 8);

#define GHCB_PAGE_STATE_ENTRIES 253u

/* One entry of a page state change. */
#define GHCB_PAGE_STATE_CURRENT(entry)   ((u32)BITS(entry, 11, 0))
#define GHCB_PAGE_STATE_FRAME(entry)     BITS(entry, 51, 12)
#define GHCB_PAGE_STATE_OPERATION(entry) ((u32)BITS(entry, 55, 52))
#define GHCB_PAGE_STATE_LARGE            BIT(56)

enum ghcb_page_state {
    GHCB_PAGE_PRIVATE = 1,
    GHCB_PAGE_SHARED = 2,
    GHCB_PAGE_SMASH = 3,
    GHCB_PAGE_UNSMASH = 4,
};

/* Returns the bytes of a list whose last entry is `end`. */
static inline u64 ghcb_page_state_size(u16 end)
{
    return sizeof(struct ghcb_page_state_header) + 8 * ((u64)end + 1);
}

#define GHCB_PAGE_STATE_BAD_HEADER (BIT(32) | 1)
#define GHCB_PAGE_STATE_BAD_ENTRY  (BIT(32) | 2)
#define GHCB_PAGE_STATE_ERROR      (0x100ull << 32)

/* Guest requests: SW_EXITINFO2 has the hypervisor's errors in the high half and the firmware's
 * status in the low half. */
#define GHCB_VMM_INVALID_LENGTH (1ull << 32)

/* AP creation: fields of SW_EXITINFO1 [cpu 7.5]. */
#define GHCB_AP_OPERATION(info) ((u32)BITS(info, 15, 0))
#define GHCB_AP_VMPL(info)      ((u32)BITS(info, 19, 16))
#define GHCB_AP_APIC_ID(info)   ((u32)BITS(info, 63, 32))

enum ghcb_ap_operation { GHCB_AP_CREATE_ON_INIT = 0, GHCB_AP_CREATE = 1, GHCB_AP_DESTROY = 2 };

/* Hypervisor features [cpu 7.6]. */
#define GHCB_FEATURE_SNP                  BIT(0)
#define GHCB_FEATURE_AP_CREATION          BIT(1)
#define GHCB_FEATURE_RESTRICTED_INJECTION BIT(2)
#define GHCB_FEATURE_INJECTION_TIMER      BIT(3)
#define GHCB_FEATURE_APIC_IDS             BIT(4)
#define GHCB_FEATURE_MULTI_VMPL           BIT(5)

#endif
