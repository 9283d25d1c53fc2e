/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SEV firmware's mailbox: command ids, command buffers, status codes, platform and guest
 * states, policy bits [sev 2, 3, 4.1, 5.2, 6]. Certificates, sessions and packets are in
 * abi/sev_cert.h. Buffers are packed, and copied in and out by value.
 */
#ifndef SOFTSEV_ABI_SEV_H
#define SOFTSEV_ABI_SEV_H

#include "base/base.h"

/* Command ids, and the sizes of their buffers in bytes [sev 3]. */
// clang-format off
#define SEV_COMMANDS(X) \
    X(INIT,                0x01, 0x14) \
    X(SHUTDOWN,            0x02, 0)    \
    X(PLATFORM_RESET,      0x03, 0)    \
    X(PLATFORM_STATUS,     0x04, 0x0c) \
    X(PEK_GEN,             0x05, 0)    \
    X(PEK_CSR,             0x06, 0x0c) \
    X(PEK_CERT_IMPORT,     0x07, 0x1c) \
    X(PDH_CERT_EXPORT,     0x08, 0x1c) \
    X(PDH_GEN,             0x09, 0)    \
    X(DF_FLUSH,            0x0a, 0)    \
    X(DOWNLOAD_FIRMWARE,   0x0b, 0x0c) \
    X(GET_ID,              0x0c, 0x0c) \
    X(INIT_EX,             0x0d, 0x24) \
    X(NOP,                 0x0e, 0)    \
    X(RING_BUFFER,         0x0f, 0x28) \
    X(DECOMMISSION,        0x20, 0x04) \
    X(ACTIVATE,            0x21, 0x08) \
    X(DEACTIVATE,          0x22, 0x04) \
    X(GUEST_STATUS,        0x23, 0x0d) \
    X(COPY,                0x24, 0x18) \
    X(ACTIVATE_EX,         0x25, 0x18) \
    X(LAUNCH_START,        0x30, 0x24) \
    X(LAUNCH_UPDATE_DATA,  0x31, 0x14) \
    X(LAUNCH_UPDATE_VMSA,  0x32, 0x14) \
    X(LAUNCH_MEASURE,      0x33, 0x14) \
    X(LAUNCH_SECRET,       0x34, 0x34) \
    X(LAUNCH_FINISH,       0x35, 0x04) \
    X(ATTESTATION,         0x36, 0x24) \
    X(SEND_START,          0x40, 0x44) \
    X(SEND_UPDATE_DATA,    0x41, 0x34) \
    X(SEND_UPDATE_VMSA,    0x42, 0x34) \
    X(SEND_FINISH,         0x43, 0x04) \
    X(SEND_CANCEL,         0x44, 0x04) \
    X(RECEIVE_START,       0x50, 0x24) \
    X(RECEIVE_UPDATE_DATA, 0x51, 0x34) \
    X(RECEIVE_UPDATE_VMSA, 0x52, 0x34) \
    X(RECEIVE_FINISH,      0x53, 0x04) \
    X(DBG_DECRYPT,         0x60, 0x1c) \
    X(DBG_ENCRYPT,         0x61, 0x1c) \
    X(SWAP_OUT,            0x70, 0x28) \
    X(SWAP_IN,             0x71, 0x20)

/* Status codes, the low 16 bits of CmdResp [sev 2]. */
#define SEV_STATUSES(X) \
    X(SUCCESS,                0x00) \
    X(INVALID_PLATFORM_STATE, 0x01) \
    X(INVALID_GUEST_STATE,    0x02) \
    X(INVALID_CONFIG,         0x03) \
    X(INVALID_LENGTH,         0x04) \
    X(ALREADY_OWNED,          0x05) \
    X(INVALID_CERTIFICATE,    0x06) \
    X(POLICY_FAILURE,         0x07) \
    X(INACTIVE,               0x08) \
    X(INVALID_ADDRESS,        0x09) \
    X(BAD_SIGNATURE,          0x0a) \
    X(BAD_MEASUREMENT,        0x0b) \
    X(ASID_OWNED,             0x0c) \
    X(INVALID_ASID,           0x0d) \
    X(WBINVD_REQUIRED,        0x0e) \
    X(DFFLUSH_REQUIRED,       0x0f) \
    X(INVALID_GUEST,          0x10) \
    X(INVALID_COMMAND,        0x11) \
    X(ACTIVE,                 0x12) \
    X(HWERROR_PLATFORM,       0x13) \
    X(HWERROR_UNSAFE,         0x14) \
    X(UNSUPPORTED,            0x15) \
    X(INVALID_PARAM,          0x16) \
    X(RESOURCE_LIMIT,         0x17) \
    X(SECURE_DATA_INVALID,    0x18) \
    X(INVALID_PAGE_SIZE,      0x19) \
    X(INVALID_PAGE_STATE,     0x1a) \
    X(INVALID_MDATA_ENTRY,    0x1b) \
    X(INVALID_PAGE_OWNER,     0x1c) \
    X(AEAD_OFLOW,             0x1d) \
    X(RB_MODE_EXITED,         0x1f) \
    X(RMP_INIT_REQUIRED,      0x20) \
    X(BAD_SVN,                0x21) \
    X(BAD_VERSION,            0x22) \
    X(SHUTDOWN_REQUIRED,      0x23) \
    X(UPDATE_FAILED,          0x24) \
    X(RESTORE_REQUIRED,       0x25) \
    X(RMP_INIT_FAILED,        0x26) \
    X(INVALID_KEY,            0x27) \
    X(SHUTDOWN_INCOMPLETE,    0x28) \
    X(INCORRECT_BUFFER_LENGTH,      0x30) \
    X(EXPAND_BUFFER_LENGTH_REQUEST, 0x31) \
    X(SPDM_REQUEST,           0x32) \
    X(SPDM_ERROR,             0x33) \
    X(ERR_IN_DEV_CONN,        0x35) \
    X(INVALID_DEV_CTX,        0x36) \
    X(INVALID_TDI_CTX,        0x37) \
    X(INVALID_TDI,            0x38) \
    X(RECLAIM_REQUIRED,       0x39) \
    X(IN_USE,                 0x3a) \
    X(INVALID_DEV_STATE,      0x3b) \
    X(INVALID_TDI_STATE,      0x3c) \
    X(DEV_CERT_CHANGED,       0x3d) \
    X(RESYNC_REQ,             0x3e) \
    X(RESPONSE_TOO_LARGE,     0x3f)

/* Platform states [sev 4.1] and guest states [sev 5.2]. */
#define SEV_PSTATES(X) X(UNINIT, 0) X(INIT, 1) X(WORKING, 2)
#define SEV_GSTATES(X) \
    X(UNINIT, 0) X(LUPDATE, 1) X(LSECRET, 2) X(RUNNING, 3) X(SUPDATE, 4) X(RUPDATE, 5) X(SENT, 6)
// clang-format on

#define SEV_ENUM_COMMAND(name, id, size) SEV_CMD_##name = id,
#define SEV_ENUM_STATUS(name, code)      SEV_STATUS_##name = code,
#define SEV_ENUM_PSTATE(name, value)     SEV_PSTATE_##name = value,
#define SEV_ENUM_GSTATE(name, value)     SEV_GSTATE_##name = value,
enum sev_command { SEV_COMMANDS(SEV_ENUM_COMMAND) };
enum sev_status { SEV_STATUSES(SEV_ENUM_STATUS) };
enum sev_pstate { SEV_PSTATES(SEV_ENUM_PSTATE) };
enum sev_gstate { SEV_GSTATES(SEV_ENUM_GSTATE) };
#undef SEV_ENUM_COMMAND
#undef SEV_ENUM_STATUS
#undef SEV_ENUM_PSTATE
#undef SEV_ENUM_GSTATE

#define SEV_NAME(name, value)                                                                      \
    case value:                                                                                    \
        return #name;
#define SEV_COMMAND_NAME(name, id, size) SEV_NAME(name, id)

/* Return names for messages, or "?" for a number that has none. */
static inline const char *sev_command_name(u32 id)
{
    switch (id) {
        SEV_COMMANDS(SEV_COMMAND_NAME)
    default:
        return "?";
    }
}

static inline const char *sev_status_name(u32 status)
{
    switch (status) {
        SEV_STATUSES(SEV_NAME)
    default:
        return "?";
    }
}

static inline const char *sev_pstate_name(u32 state)
{
    switch (state) {
        SEV_PSTATES(SEV_NAME)
    default:
        return "?";
    }
}

static inline const char *sev_gstate_name(u32 state)
{
    switch (state) {
        SEV_GSTATES(SEV_NAME)
    default:
        return "?";
    }
}
#undef SEV_NAME
#undef SEV_COMMAND_NAME

/*
 * Guest policy [sev 6]
 *
 *   31     24 23     16 15         6  5      4      3     2   1     0
 *   API_MINOR API_MAJOR  reserved   SEV DOMAIN NOSEND  ES NOKS NODBG
 */
#define SEV_POLICY_NODBG     0x01u /* debug commands are refused */
#define SEV_POLICY_NOKS      0x02u /* the memory key is not shared with another guest */
#define SEV_POLICY_ES        0x04u /* SEV-ES guest */
#define SEV_POLICY_NOSEND    0x08u /* the guest must not be sent */
#define SEV_POLICY_DOMAIN    0x10u /* the guest may be sent only to platforms of the same owner */
#define SEV_POLICY_SEV       0x20u /* the guest may be sent only to genuine SEV platforms */
#define SEV_POLICY_API_MAJOR 0x00ff0000u
#define SEV_POLICY_API_MINOR 0xff000000u

static inline u8 sev_policy_api_major(u32 policy)
{
    return (u8)BITS(policy, 23, 16);
}

static inline u8 sev_policy_api_minor(u32 policy)
{
    return (u8)BITS(policy, 31, 24);
}

/* Sizes that the length query returns [sev 4.4]. */
#define SEV_CERT_SIZE          0x824u
#define SEV_CERT_CHAIN_SIZE    0x186cu /* PEK, OCA, CEK */
#define SEV_CHIP_ID_SIZE       0x40u   /* one socket */
#define SEV_MEASURE_SIZE       0x30u   /* MEASURE[32], MNONCE[16] */
#define SEV_ATTESTATION_SIZE   0xd0u
#define SEV_SESSION_SIZE       0x80u
#define SEV_PACKET_HEADER_SIZE 0x34u
#define SEV_TMR_SIZE           MIB(1)  /* also its alignment [sev 4.3] */
#define SEV_NV_SIZE            KIB(32) /* INIT_EX */

/* --- Command buffers [sev 3] ------------------------------------------------------------------ */

#define SEV_PACKED __attribute__((packed))

#define SEV_OPTIONS_ES 1u /* in INIT, INIT_EX and in PLATFORM_STATUS.config */

struct SEV_PACKED sev_init {
    u32 options;
    u32 reserved_04;
    u64 tmr_paddr;
    u32 tmr_len;
};
ABI_SIZE(struct sev_init, 0x14);
ABI_OFFSET(struct sev_init, tmr_paddr, 0x08);

struct SEV_PACKED sev_init_ex {
    u32 length; /* size of this structure: 24h */
    u32 options;
    u64 tmr_paddr;
    u32 tmr_len;
    u32 reserved_14;
    u64 nv_paddr;
    u32 nv_len;
};
ABI_SIZE(struct sev_init_ex, 0x24);
ABI_OFFSET(struct sev_init_ex, nv_paddr, 0x18);

#define SEV_PLATFORM_OWNED 1u

struct SEV_PACKED sev_platform_status {
    u8 api_major;
    u8 api_minor;
    u8 state;  /* enum sev_pstate */
    u8 owner;  /* bit 0: externally owned */
    u8 config; /* bit 0: SEV-ES */
    u8 reserved_05[2];
    u8 build;
    u32 guest_count;
};
ABI_SIZE(struct sev_platform_status, 0x0c);
ABI_OFFSET(struct sev_platform_status, build, 0x07);

/* The buffer of PEK_CSR, DOWNLOAD_FIRMWARE and GET_ID. */
struct SEV_PACKED sev_buffer {
    u64 paddr;
    u32 len;
};
ABI_SIZE(struct sev_buffer, 0x0c);

struct SEV_PACKED sev_pek_cert_import {
    u64 pek_paddr;
    u32 pek_len;
    u32 reserved_0c;
    u64 oca_paddr;
    u32 oca_len;
};
ABI_SIZE(struct sev_pek_cert_import, 0x1c);
ABI_OFFSET(struct sev_pek_cert_import, oca_paddr, 0x10);

struct SEV_PACKED sev_pdh_cert_export {
    u64 pdh_paddr;
    u32 pdh_len;
    u32 reserved_0c;
    u64 chain_paddr;
    u32 chain_len;
};
ABI_SIZE(struct sev_pdh_cert_export, 0x1c);
ABI_OFFSET(struct sev_pdh_cert_export, chain_paddr, 0x10);

struct SEV_PACKED sev_ring_buffer {
    u64 low_command_paddr, low_status_paddr, high_command_paddr, high_status_paddr;
    u8 low_pages, high_pages;
    u16 low_threshold, high_threshold;
    u16 flags;
};
ABI_SIZE(struct sev_ring_buffer, 0x28);
ABI_OFFSET(struct sev_ring_buffer, flags, 0x26);

/* The buffer of DECOMMISSION, DEACTIVATE, LAUNCH_FINISH, SEND_FINISH, SEND_CANCEL and
 * RECEIVE_FINISH. */
struct SEV_PACKED sev_handle {
    u32 handle;
};
ABI_SIZE(struct sev_handle, 0x04);

struct SEV_PACKED sev_activate {
    u32 handle;
    u32 asid;
};
ABI_SIZE(struct sev_activate, 0x08);

struct SEV_PACKED sev_activate_ex {
    u32 ex_len;
    u32 handle;
    u32 asid;
    u32 num_ids;
    u64 ids_paddr;
};
ABI_SIZE(struct sev_activate_ex, 0x18);
ABI_OFFSET(struct sev_activate_ex, handle, 0x04);

struct SEV_PACKED sev_guest_status {
    u32 handle;
    u32 policy;
    u32 asid;
    u8 state; /* enum sev_gstate */
};
ABI_SIZE(struct sev_guest_status, 0x0d);

struct SEV_PACKED sev_copy {
    u32 handle;
    u32 len;
    u64 src_paddr;
    u64 dst_paddr;
};
ABI_SIZE(struct sev_copy, 0x18);

/* The buffer of LAUNCH_START and RECEIVE_START. */
struct SEV_PACKED sev_start {
    u32 handle; /* in: guest whose key is shared, or 0; out: the new guest */
    u32 policy;
    u64 dh_cert_paddr;
    u32 dh_cert_len;
    u32 reserved_14;
    u64 session_paddr;
    u32 session_len;
};
ABI_SIZE(struct sev_start, 0x24);
ABI_OFFSET(struct sev_start, session_paddr, 0x18);

/* The buffer of LAUNCH_UPDATE_DATA, LAUNCH_UPDATE_VMSA and LAUNCH_MEASURE. */
struct SEV_PACKED sev_launch_range {
    u32 handle;
    u32 reserved_04;
    u64 paddr;
    u32 len;
};
ABI_SIZE(struct sev_launch_range, 0x14);
ABI_OFFSET(struct sev_launch_range, paddr, 0x08);

/* The buffer of LAUNCH_SECRET, SEND_UPDATE_* and RECEIVE_UPDATE_*. */
struct SEV_PACKED sev_packet {
    u32 handle;
    u32 reserved_04;
    u64 hdr_paddr;
    u32 hdr_len;
    u32 reserved_14;
    u64 guest_paddr;
    u32 guest_len;
    u32 reserved_24;
    u64 trans_paddr;
    u32 trans_len;
};
ABI_SIZE(struct sev_packet, 0x34);
ABI_OFFSET(struct sev_packet, hdr_paddr, 0x08);
ABI_OFFSET(struct sev_packet, guest_paddr, 0x18);
ABI_OFFSET(struct sev_packet, trans_paddr, 0x28);

struct SEV_PACKED sev_attestation {
    u32 handle;
    u32 reserved_04;
    u64 paddr;
    u8 mnonce[16];
    u32 len;
};
ABI_SIZE(struct sev_attestation, 0x24);
ABI_OFFSET(struct sev_attestation, mnonce, 0x10);

struct SEV_PACKED sev_send_start {
    u32 handle;
    u32 policy; /* out */
    u64 pdh_paddr;
    u32 pdh_len;
    u32 reserved_14;
    u64 plat_certs_paddr; /* PEK, OCA, CEK of the target */
    u32 plat_certs_len;
    u32 reserved_24;
    u64 amd_certs_paddr; /* ASK, ARK */
    u32 amd_certs_len;
    u32 reserved_34;
    u64 session_paddr;
    u32 session_len;
};
ABI_SIZE(struct sev_send_start, 0x44);
ABI_OFFSET(struct sev_send_start, plat_certs_paddr, 0x18);
ABI_OFFSET(struct sev_send_start, amd_certs_paddr, 0x28);
ABI_OFFSET(struct sev_send_start, session_paddr, 0x38);

/* The buffer of DBG_DECRYPT and DBG_ENCRYPT. */
struct SEV_PACKED sev_debug {
    u32 handle;
    u32 reserved_04;
    u64 src_paddr;
    u64 dst_paddr;
    u32 len;
};
ABI_SIZE(struct sev_debug, 0x1c);
ABI_OFFSET(struct sev_debug, src_paddr, 0x08);

struct SEV_PACKED sev_swap_out {
    u32 handle;
    u32 flags;
    u64 src_paddr;
    u64 dst_paddr;
    u64 mdata_paddr;
    u64 software_data;
};
ABI_SIZE(struct sev_swap_out, 0x28);

struct SEV_PACKED sev_swap_in {
    u32 handle;
    u32 flags;
    u64 src_paddr;
    u64 dst_paddr;
    u64 mdata_paddr;
};
ABI_SIZE(struct sev_swap_in, 0x20);

#endif
