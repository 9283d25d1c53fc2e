/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SNP firmware's mailbox: command ids and buffers, guest policy, launch pages and their
 * measurement, ID block, secrets and CPUID pages, guest messages [snp 3, 5, 6]. sev.h has the
 * statuses, rmp.h the page states, and report.h the attestation report. Buffers are packed, and
 * copied in and out by value.
 */
#ifndef SOFTSEV_ABI_SNP_H
#define SOFTSEV_ABI_SNP_H

#include "abi/report.h"
#include "abi/sev.h"
#include "base/base.h"

/* Command ids, and the sizes of their buffers in bytes [snp 3.2]. */
// clang-format off
#define SNP_COMMANDS(X) \
    X(SNP_INIT,                 0x81, 0)    \
    X(SNP_SHUTDOWN,             0x82, 0)    \
    X(SNP_PLATFORM_STATUS,      0x83, 0x08) \
    X(SNP_DF_FLUSH,             0x84, 0)    \
    X(SNP_INIT_EX,              0x85, 0x40) \
    X(SNP_SHUTDOWN_EX,          0x86, 0x08) \
    X(SNP_DECOMMISSION,         0x90, 0x08) \
    X(SNP_ACTIVATE,             0x91, 0x0c) \
    X(SNP_GUEST_STATUS,         0x92, 0x10) \
    X(SNP_GCTX_CREATE,          0x93, 0x08) \
    X(SNP_GUEST_REQUEST,        0x94, 0x18) \
    X(SNP_ACTIVATE_EX,          0x95, 0x20) \
    X(SNP_HV_REPORT_REQ,        0x96, 0x18) \
    X(SNP_LAUNCH_START,         0xa0, 0x30) \
    X(SNP_LAUNCH_UPDATE,        0xa1, 0x20) \
    X(SNP_LAUNCH_FINISH,        0xa2, 0x40) \
    X(SNP_DBG_DECRYPT,          0xb0, 0x18) \
    X(SNP_DBG_ENCRYPT,          0xb1, 0x18) \
    X(SNP_VERIFY_MITIGATION,    0xb2, 0x40) \
    X(SNP_PAGE_SWAP_OUT,        0xc0, 0x30) \
    X(SNP_PAGE_SWAP_IN,         0xc1, 0x30) \
    X(SNP_PAGE_MOVE,            0xc2, 0x20) \
    X(SNP_PAGE_MD_INIT,         0xc3, 0x10) \
    X(SNP_PAGE_SET_STATE,       0xc6, 0x10) \
    X(SNP_PAGE_RECLAIM,         0xc7, 0x08) \
    X(SNP_PAGE_UNSMASH,         0xc8, 0x08) \
    X(SNP_CONFIG,               0xc9, 0x40) \
    X(SNP_DOWNLOAD_FIRMWARE_EX, 0xca, 0x18) \
    X(SNP_COMMIT,               0xcb, 0x04) \
    X(SNP_VLEK_LOAD,            0xcd, 0x10) \
    X(SNP_FEATURE_INFO,         0xce, 0x10) \
    X(TIO_STATUS,               0xd0, 0)    \
    X(TIO_INIT,                 0xd1, 0)    \
    X(TIO_DEV_CREATE,           0xd2, 0)    \
    X(TIO_DEV_RECLAIM,          0xd3, 0)    \
    X(TIO_DEV_CONNECT,          0xd4, 0)    \
    X(TIO_DEV_DISCONNECT,       0xd5, 0)

/* Platform states and guest states [snp 3.1]. */
#define SNP_PSTATES(X) X(UNINIT, 0) X(INIT, 1)
#define SNP_GSTATES(X) X(INIT, 0) X(LAUNCH, 1) X(RUNNING, 2)
// clang-format on

#define SNP_ENUM_COMMAND(name, id, size) SEV_CMD_##name = id,
#define SNP_ENUM_PSTATE(name, value)     SNP_PSTATE_##name = value,
#define SNP_ENUM_GSTATE(name, value)     SNP_GSTATE_##name = value,
/* SEV_CMD_SNP_LAUNCH_START and so on: SEV and SNP commands share one mailbox and one range of
 * ids. */
enum snp_command { SNP_COMMANDS(SNP_ENUM_COMMAND) };
enum snp_pstate { SNP_PSTATES(SNP_ENUM_PSTATE) };
enum snp_gstate { SNP_GSTATES(SNP_ENUM_GSTATE) };
#undef SNP_ENUM_COMMAND
#undef SNP_ENUM_PSTATE
#undef SNP_ENUM_GSTATE

#define SNP_COMMAND_NAME(name, id, size)                                                           \
    case id:                                                                                       \
        return #name;
#define SNP_STATE_NAME(name, value)                                                                \
    case value:                                                                                    \
        return #name;

/* Return names for messages, or "?" for a number that has none. */
static inline const char *snp_command_name(u32 id)
{
    switch (id) {
        SNP_COMMANDS(SNP_COMMAND_NAME)
    default:
        return "?";
    }
}

static inline const char *snp_pstate_name(u32 state)
{
    switch (state) {
        SNP_PSTATES(SNP_STATE_NAME)
    default:
        return "?";
    }
}

static inline const char *snp_gstate_name(u32 state)
{
    switch (state) {
        SNP_GSTATES(SNP_STATE_NAME)
    default:
        return "?";
    }
}
#undef SNP_COMMAND_NAME
#undef SNP_STATE_NAME

/*
 * Guest policy [snp 5.1]
 *
 *   63    26    25    24    23   22  21    20     19        18      17  16  15        8 7         0
 *   zero    SWAP_DIS HIDE RAPL_DIS XTS CXL SINGLE DEBUG MIGRATE_MA  one SMT  ABI_MAJOR   ABI_MINOR
 */
#define SNP_POLICY_ABI_MINOR         0x00ffull
#define SNP_POLICY_ABI_MAJOR         0xff00ull
#define SNP_POLICY_SMT               BIT(16)
#define SNP_POLICY_ONE               BIT(17)
#define SNP_POLICY_MIGRATE_MA        BIT(18)
#define SNP_POLICY_DEBUG             BIT(19)
#define SNP_POLICY_SINGLE_SOCKET     BIT(20)
#define SNP_POLICY_CXL_ALLOW         BIT(21)
#define SNP_POLICY_MEM_AES_256_XTS   BIT(22)
#define SNP_POLICY_RAPL_DIS          BIT(23)
#define SNP_POLICY_CIPHERTEXT_HIDING BIT(24)
#define SNP_POLICY_PAGE_SWAP_DISABLE BIT(25)
#define SNP_POLICY_RESERVED          (~0ull << 26)
#define SNP_POLICY_QEMU_DEFAULT      0x30000ull

#define SNP_PACKED __attribute__((packed))

/* --- Platform commands [snp 3.3] -------------------------------------------------------------- */

#define SNP_INIT_RMP                  BIT(0)
#define SNP_INIT_LIST_PADDR_EN        BIT(1)
#define SNP_INIT_RAPL_DIS             BIT(2)
#define SNP_INIT_CIPHERTEXT_HIDING_EN BIT(3)
#define SNP_INIT_TIO_EN               BIT(4)

struct SNP_PACKED snp_init_ex {
    u32 flags;
    u32 reserved_04;
    u64 list_paddr; /* struct snp_range_list */
    u16 max_snp_asid;
    u8 reserved_12[46];
};
ABI_SIZE(struct snp_init_ex, 0x40);
ABI_OFFSET(struct snp_init_ex, list_paddr, 0x08);

/* A header, then `count` ranges, in at most one page. */
struct SNP_PACKED snp_range_list {
    u32 count;
    u32 reserved_04;
};
ABI_SIZE(struct snp_range_list, 8);

struct SNP_PACKED snp_range {
    u64 base;
    u32 pages;
    u32 reserved_0c;
};
ABI_SIZE(struct snp_range, 16);

#define SNP_SHUTDOWN_IOMMU BIT(0)
#define SNP_SHUTDOWN_X86   BIT(1)

struct SNP_PACKED snp_shutdown_ex {
    u32 len;
    u32 flags;
};
ABI_SIZE(struct snp_shutdown_ex, 8);

/* The buffer of SNP_PLATFORM_STATUS, SNP_GCTX_CREATE, SNP_DECOMMISSION, SNP_PAGE_RECLAIM and
 * SNP_PAGE_UNSMASH: one address. For SNP_PAGE_RECLAIM and SNP_PAGE_UNSMASH, bit 0 is the page's
 * size. */
struct SNP_PACKED snp_address {
    u64 paddr;
};
ABI_SIZE(struct snp_address, 8);

#define SNP_PAGE_LARGE BIT(0)

/* flags_03 */
#define SNP_STATUS_RMP_INIT             BIT(0)
#define SNP_STATUS_ALIAS_CHECK_COMPLETE BIT(1)
#define SNP_STATUS_TIO_EN               BIT(3)
/* flags_08 */
#define SNP_STATUS_MASK_CHIP_ID          BIT(0)
#define SNP_STATUS_MASK_CHIP_KEY         BIT(1)
#define SNP_STATUS_VLEK_EN               BIT(2)
#define SNP_STATUS_FEATURE_INFO          BIT(3)
#define SNP_STATUS_RAPL_DIS              BIT(4)
#define SNP_STATUS_CIPHERTEXT_HIDING_CAP BIT(5)
#define SNP_STATUS_CIPHERTEXT_HIDING_EN  BIT(6)

/* The output of SNP_PLATFORM_STATUS. */
struct SNP_PACKED snp_platform_status {
    u8 api_major;
    u8 api_minor;
    u8 state; /* enum snp_pstate */
    u8 flags_03;
    u32 build;
    u32 flags_08;
    u32 guest_count;
    u64 current_tcb;
    u64 reported_tcb;
};
ABI_SIZE(struct snp_platform_status, 32);
ABI_OFFSET(struct snp_platform_status, current_tcb, 0x10);

struct SNP_PACKED snp_feature_info {
    u32 len;
    u32 ecx_in;
    u64 paddr; /* 16 bytes: EAX, EBX, ECX, EDX */
};
ABI_SIZE(struct snp_feature_info, 16);

/* Bits of subfunction 0 of CPUID Fn8000_0024. */
#define SNP_FEATURE_EBX_TIO               BIT(1)
#define SNP_FEATURE_ECX_VLEK              BIT(0)
#define SNP_FEATURE_ECX_X86_SHUTDOWN      BIT(1)
#define SNP_FEATURE_ECX_RAPL_DIS          BIT(2)
#define SNP_FEATURE_ECX_CIPHERTEXT_HIDING BIT(3)
#define SNP_FEATURE_ECX_AES_256_XTS       BIT(4)
#define SNP_FEATURE_ECX_CXL_ALLOW         BIT(5)
#define SNP_FEATURE_ECX_VERIFY_MITIGATION BIT(13)

#define SNP_CONFIG_MASK_CHIP_ID  BIT(0)
#define SNP_CONFIG_MASK_CHIP_KEY BIT(1)

struct SNP_PACKED snp_config {
    u64 reported_tcb;
    u32 flags;
    u8 reserved_0c[52];
};
ABI_SIZE(struct snp_config, 0x40);

struct SNP_PACKED snp_commit {
    u32 len;
};
ABI_SIZE(struct snp_commit, 4);

#define SNP_DOWNLOAD_COMMIT BIT(0)

struct SNP_PACKED snp_download_firmware_ex {
    u32 len;
    u32 reserved_04;
    u64 fw_paddr;
    u32 fw_len;
    u32 flags;
};
ABI_SIZE(struct snp_download_firmware_ex, 0x18);

struct SNP_PACKED snp_vlek_load {
    u32 len;
    u8 wrapped_version; /* must be 0 */
    u8 reserved_05[3];
    u64 paddr; /* struct snp_wrapped_vlek */
};
ABI_SIZE(struct snp_vlek_load, 16);

#define SNP_VLEK_STICK_SIZE 384u

/* A hashstick, encrypted for one chip. */
struct SNP_PACKED snp_wrapped_vlek {
    u8 iv[12];
    u8 reserved_0c[4];
    u8 ciphertext[SNP_VLEK_STICK_SIZE];
    u64 tcb;
    u8 reserved_198[8];
    u8 tag[16];
};
ABI_SIZE(struct snp_wrapped_vlek, 432);
ABI_OFFSET(struct snp_wrapped_vlek, tcb, 0x190);
ABI_OFFSET(struct snp_wrapped_vlek, tag, 0x1a0);

#define SNP_MITIGATION_STATUS       0
#define SNP_MITIGATION_VERIFY       1
#define SNP_MITIGATION_DST_PADDR_EN BIT(0)
#define SNP_MITIGATION_SRC_PADDR_EN BIT(1)

struct SNP_PACKED snp_verify_mitigation {
    u32 len;
    u16 subcommand;
    u16 reserved_06;
    u64 vector;
    u32 flags;
    u32 reserved_14;
    u64 src_paddr;
    u64 dst_paddr;
    u8 reserved_28[24];
};
ABI_SIZE(struct snp_verify_mitigation, 0x40);

struct SNP_PACKED snp_mitigation_result {
    u64 verified;
    u64 supported;
    u32 failure;
};
ABI_SIZE(struct snp_mitigation_result, 0x14);

/* --- Guests [snp 3.3, 5.2] -------------------------------------------------------------------- */

struct SNP_PACKED snp_activate {
    u64 gctx_paddr;
    u32 asid;
};
ABI_SIZE(struct snp_activate, 12);

struct SNP_PACKED snp_activate_ex {
    u32 len;
    u32 reserved_04;
    u64 gctx_paddr;
    u32 asid;
    u32 num_ids;
    u64 ids_paddr;
};
ABI_SIZE(struct snp_activate_ex, 0x20);

/* The buffer of SNP_GUEST_STATUS and SNP_PAGE_MD_INIT: a guest and a page. */
struct SNP_PACKED snp_gctx_page {
    u64 gctx_paddr;
    u64 paddr;
};
ABI_SIZE(struct snp_gctx_page, 0x10);

/* The output of SNP_GUEST_STATUS. */
struct SNP_PACKED snp_guest_status {
    u64 policy;
    u32 asid; /* 0: not active */
    u8 state; /* enum snp_gstate */
    u8 reserved_0d[19];
};
ABI_SIZE(struct snp_guest_status, 0x20);

struct SNP_PACKED snp_guest_request {
    u64 gctx_paddr;
    u64 request_paddr;
    u64 response_paddr;
};
ABI_SIZE(struct snp_guest_request, 0x18);

struct SNP_PACKED snp_hv_report_req {
    u32 len;
    u32 key_sel;
    u64 gctx_paddr;
    u64 report_paddr;
};
ABI_SIZE(struct snp_hv_report_req, 0x18);

#define SNP_LAUNCH_START_MA_EN  BIT(0)
#define SNP_LAUNCH_START_IMI_EN BIT(1)

struct SNP_PACKED snp_launch_start {
    u64 gctx_paddr;
    u64 policy;
    u64 ma_gctx_paddr;
    u32 flags;
    u32 desired_tsc_khz;
    u8 gosvw[16];
};
ABI_SIZE(struct snp_launch_start, 0x30);

// clang-format off
#define SNP_PAGE_TYPES(X) X(NORMAL, 1) X(VMSA, 2) X(ZERO, 3) X(UNMEASURED, 4) X(SECRETS, 5) X(CPUID, 6)
// clang-format on
#define SNP_ENUM_PAGE(name, value) SNP_PAGE_##name = value,
enum snp_page_type { SNP_PAGE_TYPES(SNP_ENUM_PAGE) };
#undef SNP_ENUM_PAGE

/* Flags: bit 0 SNP_PAGE_LARGE, bits 3:1 the page type, bit 4 IMI_PAGE. */
#define SNP_LAUNCH_UPDATE_TYPE(type) ((u32)(type) << 1)
#define SNP_LAUNCH_UPDATE_IMI_PAGE   BIT(4)
#define SNP_VMSA_GPA                 0xfffffffff000ull /* gPA in measurements by KVM and EC2 */

struct SNP_PACKED snp_launch_update {
    u64 gctx_paddr;
    u32 flags;
    u32 reserved_0c;
    u64 paddr;
    u8 reserved_18;
    u8 vmpl1_permissions, vmpl2_permissions, vmpl3_permissions;
    u32 reserved_1c;
};
ABI_SIZE(struct snp_launch_update, 0x20);

#define SNP_LAUNCH_FINISH_ID_BLOCK_EN BIT(0)
#define SNP_LAUNCH_FINISH_AUTH_KEY_EN BIT(1)
#define SNP_LAUNCH_FINISH_VCEK_DIS    BIT(2)

struct SNP_PACKED snp_launch_finish {
    u64 gctx_paddr;
    u64 id_block_paddr;
    u64 id_auth_paddr;
    u64 flags;
    u8 host_data[32];
};
ABI_SIZE(struct snp_launch_finish, 0x40);

struct SNP_PACKED snp_debug {
    u64 gctx_paddr;
    u64 src_paddr;
    u64 dst_paddr;
};
ABI_SIZE(struct snp_debug, 0x18);

/* --- Measurement [snp 5.3] -------------------------------------------------------------------- */

#define SNP_DIGEST_SIZE 48u

/* The data that is hashed for each page: its SHA-384 is the new launch digest. */
struct SNP_PACKED snp_page_info {
    u8 digest_current[SNP_DIGEST_SIZE];
    u8 contents[SNP_DIGEST_SIZE]; /* SHA-384 of a NORMAL or VMSA page; otherwise zero */
    u16 length;                   /* always 70h */
    u8 page_type;
    u8 imi_page; /* bit 0 */
    u8 reserved_64;
    u8 vmpl1_permissions, vmpl2_permissions, vmpl3_permissions;
    u64 gpa;
};
ABI_SIZE(struct snp_page_info, 0x70);
ABI_OFFSET(struct snp_page_info, length, 0x60);
ABI_OFFSET(struct snp_page_info, gpa, 0x68);

/* --- ID block and its authentication [snp 5.6] ------------------------------------------------ */

struct SNP_PACKED snp_id_block {
    u8 ld[SNP_DIGEST_SIZE];
    u8 family_id[16];
    u8 image_id[16];
    u32 version; /* always 1 */
    u32 guest_svn;
    u64 policy;
};
ABI_SIZE(struct snp_id_block, 96);
ABI_OFFSET(struct snp_id_block, version, 0x50);

#define SNP_CURVE_P384                 2u
#define SNP_KEY_ALGO_ECDSA_P384_SHA384 1u

/* A public key. Coordinates are little-endian, 48 bytes extended to 72. Digests and signatures
 * cover all 404h bytes. */
struct SNP_PACKED snp_public_key {
    u32 curve;
    u8 qx[72];
    u8 qy[72];
    u8 reserved_94[0x370];
};
ABI_SIZE(struct snp_public_key, 0x404);

struct SNP_PACKED snp_id_auth {
    u32 id_key_algo;
    u32 auth_key_algo;
    u8 reserved_008[0x38];
    struct snp_signature id_block_signature; /* by the ID key */
    struct snp_public_key id_key;
    u8 reserved_644[0x3c];
    struct snp_signature id_key_signature; /* by the author key */
    struct snp_public_key author_key;
    u8 reserved_c84[0x37c];
};
ABI_SIZE(struct snp_id_auth, 4096);
ABI_OFFSET(struct snp_id_auth, id_block_signature, 0x40);
ABI_OFFSET(struct snp_id_auth, id_key, 0x240);
ABI_OFFSET(struct snp_id_auth, id_key_signature, 0x680);
ABI_OFFSET(struct snp_id_auth, author_key, 0x880);

/* --- CPUID page and secrets page [snp 5.4, 5.5] ----------------------------------------------- */

#define SNP_CPUID_ENTRIES 64u

struct SNP_PACKED snp_cpuid_entry {
    u32 eax_in, ecx_in;
    u64 xcr0_in, xss_in;
    u32 eax, ebx, ecx, edx;
    u64 reserved_28;
};
ABI_SIZE(struct snp_cpuid_entry, 48);

struct SNP_PACKED snp_cpuid_page {
    u32 count;
    u32 reserved_04;
    u64 reserved_08;
    struct snp_cpuid_entry entries[SNP_CPUID_ENTRIES];
    u8 reserved_c10[1008];
};
ABI_SIZE(struct snp_cpuid_page, 4096);

#define SNP_VMPCKS     4u
#define SNP_VMPCK_SIZE 32u

struct SNP_PACKED snp_secrets_page {
    u32 version;
    u32 flags; /* bit 0 IMI_EN */
    u32 fms;   /* CPUID Fn1 EAX */
    u32 reserved_00c;
    u8 gosvw[16];
    u8 vmpck[SNP_VMPCKS][SNP_VMPCK_SIZE];
    u8 guest_area_0a0[96];
    u8 vmsa_tweak_bitmap[64];
    u8 guest_area_140[32];
    u32 tsc_factor;
    u32 reserved_164;
    u64 launch_mit_vector;
    u8 reserved_170[0xe90];
};
ABI_SIZE(struct snp_secrets_page, 4096);
ABI_OFFSET(struct snp_secrets_page, vmpck, 0x20);
ABI_OFFSET(struct snp_secrets_page, vmsa_tweak_bitmap, 0x100);
ABI_OFFSET(struct snp_secrets_page, tsc_factor, 0x160);

/* --- Page commands [snp 3.3] ------------------------------------------------------------------ */

struct SNP_PACKED snp_page_move {
    u64 gctx_paddr;
    u32 flags; /* bit 0 SNP_PAGE_LARGE */
    u32 reserved_0c;
    u64 src_paddr;
    u64 dst_paddr;
};
ABI_SIZE(struct snp_page_move, 0x20);

/* Flags: bit 0 SNP_PAGE_LARGE, bits 2:1 type. */
#define SNP_SWAP_TYPE(type)    ((u64)(type) << 1)
#define SNP_SWAP_IN_PLACE      BIT(3) /* SWAP_IN only */
#define SNP_SWAP_ROOT_MDATA_EN BIT(4)
enum snp_swap_type { SNP_SWAP_DATA = 0, SNP_SWAP_METADATA = 1, SNP_SWAP_VMSA = 2 };

struct SNP_PACKED snp_page_swap {
    u64 gctx_paddr;
    u64 src_paddr;
    u64 dst_paddr;
    u64 mdata_paddr;
    u64 software_data; /* SWAP_OUT; reserved in SWAP_IN */
    u64 flags;
};
ABI_SIZE(struct snp_page_swap, 0x30);

#define SNP_MDATA_ENTRY_SIZE 64u

/* info */
#define SNP_MDATA_VALID     BIT(0)
#define SNP_MDATA_VALIDATED BIT(1)
#define SNP_MDATA_VMSA      BIT(2)
#define SNP_MDATA_METADATA  BIT(3)
#define SNP_MDATA_LARGE     BIT(4)

struct SNP_PACKED snp_mdata_entry {
    u64 software_data;
    u64 iv;
    u8 tag[16];
    u64 info; /* bits as above; 63:12 gPA */
    u8 permissions[4];
    u8 reserved_2c[4];
    u8 reserved_30[16];
};
ABI_SIZE(struct snp_mdata_entry, SNP_MDATA_ENTRY_SIZE);

struct SNP_PACKED snp_page_set_state {
    u32 len;
    u32 reserved_04;
    u64 list_paddr;
};
ABI_SIZE(struct snp_page_set_state, 0x10);

/* --- Guest messages [snp 6] ------------------------------------------------------------------- */

#define SNP_MSG_HEADER_SIZE      0x60u
#define SNP_MSG_PAYLOAD_MAX      4000u
#define SNP_MSG_HEADER_VERSION   1u
#define SNP_MSG_ALGO_AES_256_GCM 1u
#define SNP_MSG_AAD_OFFSET       0x30u /* the authenticated part of the header: 30h to 5Fh */
#define SNP_MSG_AAD_SIZE         0x30u

struct SNP_PACKED snp_msg_header {
    u8 tag[16];
    u8 tag_high[16]; /* zero */
    u64 seqno;
    u64 reserved_28;
    u8 algo;
    u8 header_version;
    u16 header_size;
    u8 type;
    u8 version;
    u16 size; /* size of the payload */
    u32 reserved_38;
    u8 vmpck;
    u8 reserved_3d[35];
};
ABI_SIZE(struct snp_msg_header, SNP_MSG_HEADER_SIZE);
ABI_OFFSET(struct snp_msg_header, seqno, 0x20);
ABI_OFFSET(struct snp_msg_header, algo, 0x30);
ABI_OFFSET(struct snp_msg_header, vmpck, 0x3c);

/* Makes the 12-byte IV of a message: its sequence number, little-endian, then zeros. */
static inline void snp_msg_iv(u64 seqno, u8 iv[12])
{
    memset(iv, 0, 12);
    store_le64(iv, seqno);
}

// clang-format off
#define SNP_MSGS(X) /* a response's type is its request's plus one */ \
    X(CPUID_REQ, 1) X(CPUID_RSP, 2) X(KEY_REQ, 3) X(KEY_RSP, 4) X(REPORT_REQ, 5) X(REPORT_RSP, 6) \
    X(EXPORT_REQ, 7) X(EXPORT_RSP, 8) X(IMPORT_REQ, 9) X(IMPORT_RSP, 10) X(ABSORB_REQ, 11) X(ABSORB_RSP, 12) \
    X(VMRK_REQ, 13) X(VMRK_RSP, 14) X(ABSORB_NOMA_REQ, 15) X(ABSORB_NOMA_RSP, 16) X(TSC_INFO_REQ, 17) X(TSC_INFO_RSP, 18)
// clang-format on
#define SNP_ENUM_MSG(name, value) SNP_MSG_##name = value,
enum snp_msg_type { SNP_MSGS(SNP_ENUM_MSG) };
#undef SNP_ENUM_MSG

/* The key that signs a report or is the root of a derived key. */
enum snp_key_sel { SNP_KEY_SEL_VLEK_OR_VCEK = 0, SNP_KEY_SEL_VCEK = 1, SNP_KEY_SEL_VLEK = 2 };

struct SNP_PACKED snp_report_req {
    u8 report_data[64];
    u32 vmpl;
    u32 key_sel; /* bits 1:0 */
    u8 reserved_48[24];
};
ABI_SIZE(struct snp_report_req, 0x60);

struct SNP_PACKED snp_report_rsp {
    u32 status;
    u32 report_size;
    u8 reserved_08[24];
    struct snp_report report;
};
ABI_SIZE(struct snp_report_rsp, 0x4c0);

#define SNP_KEY_ROOT_VMRK       BIT(0)
#define SNP_KEY_SEL(select)     ((u32)(select) << 1)
#define SNP_KEY_MIX_POLICY      BIT(0)
#define SNP_KEY_MIX_IMAGE_ID    BIT(1)
#define SNP_KEY_MIX_FAMILY_ID   BIT(2)
#define SNP_KEY_MIX_MEASUREMENT BIT(3)
#define SNP_KEY_MIX_GUEST_SVN   BIT(4)
#define SNP_KEY_MIX_TCB         BIT(5)
#define SNP_KEY_MIX_MIT_VECTOR  BIT(6) /* version 2 */

struct SNP_PACKED snp_key_req {
    u32 select; /* bit 0 SNP_KEY_ROOT_VMRK, bits 2:1 enum snp_key_sel */
    u32 reserved_04;
    u64 fields; /* SNP_KEY_MIX_... */
    u32 vmpl;
    u32 guest_svn;
    u64 tcb;
    u64 launch_mit_vector; /* version 2 */
};
ABI_SIZE(struct snp_key_req, 0x28);
#define SNP_KEY_REQ_V1_SIZE 0x20u

struct SNP_PACKED snp_key_rsp {
    u32 status;
    u8 reserved_04[28];
    u8 key[32];
};
ABI_SIZE(struct snp_key_rsp, 0x40);

struct SNP_PACKED snp_cpuid_rsp {
    u32 status;
    u32 count;
    u64 reserved_08;
    struct snp_cpuid_entry entries[SNP_CPUID_ENTRIES];
};
ABI_SIZE(struct snp_cpuid_rsp, 16 + 48 * SNP_CPUID_ENTRIES);

struct SNP_PACKED snp_export_req {
    u64 gctx_paddr;
    u32 flags; /* bit 0 IMI_EN */
    u32 reserved_0c;
};
ABI_SIZE(struct snp_export_req, 16);

struct SNP_PACKED snp_export_rsp {
    u32 status;
    u32 ctx_size;
    u32 ctx_version;
    u8 reserved_0c[20]; /* the context follows */
};
ABI_SIZE(struct snp_export_rsp, 0x20);

/* The request of IMPORT, ABSORB and ABSORB_NOMA. */
struct SNP_PACKED snp_import_req {
    u64 gctx_paddr; /* zero in ABSORB_NOMA */
    u32 ctx_size;
    u32 ctx_version;
    u8 reserved_10[16]; /* the context follows */
};
ABI_SIZE(struct snp_import_req, 0x20);

/* The answer to IMPORT, ABSORB, ABSORB_NOMA and VMRK. */
struct SNP_PACKED snp_status_rsp {
    u32 status;
    u8 reserved_04[12];
};
ABI_SIZE(struct snp_status_rsp, 16);

struct SNP_PACKED snp_vmrk_req {
    u64 gctx_paddr;
    u8 reserved_08[24];
    u8 vmrk[32];
};
ABI_SIZE(struct snp_vmrk_req, 0x40);

#define SNP_TSC_INFO_REQ_SIZE 128u

struct SNP_PACKED snp_tsc_info_rsp {
    u32 status;
    u32 reserved_04;
    u64 tsc_scale;
    u64 tsc_offset;
    u32 tsc_factor;
    u8 reserved_1c[100];
};
ABI_SIZE(struct snp_tsc_info_rsp, 128);

#endif
