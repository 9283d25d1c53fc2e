/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SNP attestation report, versions 2 to 5, and its TCB_VERSION in two layouts [snp 7]. One
 * structure serves all versions: fields that a version does not have are zero. Version 4 is not
 * published, but some of Google's Milan hosts make it. It is read as a version 3 that may have
 * mitigation vectors.
 */
#ifndef SOFTSEV_ABI_REPORT_H
#define SOFTSEV_ABI_REPORT_H

#include "base/base.h"

/* --- TCB_VERSION: eight bytes, laid out by the CPU's family and not by the report's version --- */

enum snp_tcb_layout {
    SNP_TCB_MILAN, /* families up to 19h: boot loader, TEE, 0, 0, 0, 0, SNP, microcode */
    SNP_TCB_TURIN, /* family 1Ah up to model 4Fh: FMC, boot loader, TEE, SNP, 0, 0, 0, microcode */
    SNP_TCB_UNKNOWN, /* later parts: Venice (1Ah, from model 50h), families from 1Bh */
};

struct snp_tcb {
    u8 fmc; /* in Turin's layout only */
    u8 boot_loader, tee, snp, microcode;
};

static inline enum snp_tcb_layout snp_tcb_layout_of_part(u8 family, u8 model)
{
    if (family > 0x1a || (family == 0x1a && model >= 0x50))
        return SNP_TCB_UNKNOWN;
    return family == 0x1a ? SNP_TCB_TURIN : SNP_TCB_MILAN;
}

/* Returns the product name of an SNP part, as in certificates and KDS addresses; NULL if no SNP
 * part is known by this family and model [snp 7]. */
static inline const char *snp_product_of(u32 family, u32 model)
{
    static const struct {
        u8 family, first, last;
        const char *product;
    } parts[] = {
        {0x19, 0x00, 0x0f, "Milan"},
        {0x19, 0x10, 0x1f, "Genoa"},
        {0x19, 0xa0, 0xaf, "Genoa"}, /* Bergamo and Siena */
        {0x1a, 0x00, 0x1f, "Turin"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        if (family == parts[i].family && model >= parts[i].first && model <= parts[i].last)
            return parts[i].product;
    return NULL;
}

static inline struct snp_tcb snp_tcb_unpack(enum snp_tcb_layout layout, u64 tcb)
{
    u8 b[8];
    store_le64(b, tcb);
    const struct snp_tcb turin = {b[0], b[1], b[2], b[3], b[7]};
    const struct snp_tcb milan = {0, b[0], b[1], b[6], b[7]};
    return layout == SNP_TCB_TURIN ? turin : milan;
}

static inline u64 snp_tcb_pack(enum snp_tcb_layout layout, struct snp_tcb t)
{
    u8 turin[8] = {t.fmc, t.boot_loader, t.tee, t.snp, 0, 0, 0, t.microcode};
    u8 milan[8] = {t.boot_loader, t.tee, 0, 0, 0, 0, t.snp, t.microcode};
    return load_le64(layout == SNP_TCB_TURIN ? turin : milan);
}

/* Returns the bytes of a layout that are not part of any component. */
static inline u64 snp_tcb_reserved(enum snp_tcb_layout layout)
{
    const struct snp_tcb all = {0xff, 0xff, 0xff, 0xff, 0xff};
    return ~snp_tcb_pack(layout, all);
}

/* Returns true if every component of `a` is at most its counterpart in `b`; works for both
 * layouts. */
static inline bool snp_tcb_at_most(u64 a, u64 b)
{
    for (unsigned shift = 0; shift < 64; shift += 8)
        if ((u8)(a >> shift) > (u8)(b >> shift))
            return false;
    return true;
}

/* --- The report ------------------------------------------------------------------------------- */

#define SNP_REPORT_VERSION_FIRST 2u
#define SNP_REPORT_VERSION_LAST  5u /* the latest known version */

#define SNP_REPORT_SIZE        0x4a0u
#define SNP_REPORT_SIGNED_SIZE 0x2a0u /* bytes that the signature covers */
#define SNP_SIGNATURE_SIZE     0x200u

#define SNP_SIGNATURE_ECDSA_P384_SHA384 1u

/* A signature: R and S, little-endian, 48 bytes extended to 72. The ID authentication page has this
 * form too. */
struct __attribute__((packed)) snp_signature {
    u8 r[72];
    u8 s[72];
    u8 reserved_90[368];
};
ABI_SIZE(struct snp_signature, SNP_SIGNATURE_SIZE);

/* PLATFORM_INFO */
#define SNP_PLATFORM_SMT_EN                    BIT(0)
#define SNP_PLATFORM_TSME_EN                   BIT(1)
#define SNP_PLATFORM_ECC_EN                    BIT(2)
#define SNP_PLATFORM_RAPL_DIS                  BIT(3)
#define SNP_PLATFORM_CIPHERTEXT_HIDING_DRAM_EN BIT(4)
#define SNP_PLATFORM_ALIAS_CHECK_COMPLETE      BIT(5)
#define SNP_PLATFORM_IOMMU_WRITE_SAFE          BIT(6)
#define SNP_PLATFORM_TIO_EN                    BIT(7)

/* KEY_INFO: bit 0 AUTHOR_KEY_EN, bit 1 MASK_CHIP_KEY, bits 4:2 SIGNING_KEY. */
#define SNP_KEY_INFO_AUTHOR_KEY_EN    BIT(0)
#define SNP_KEY_INFO_MASK_CHIP_KEY    BIT(1)
#define SNP_KEY_INFO_SIGNING_KEY(key) ((u32)(key) << 2)
enum snp_signing_key { SNP_SIGNED_BY_VCEK = 0, SNP_SIGNED_BY_VLEK = 1, SNP_SIGNED_BY_NONE = 7 };

#define SNP_VMPL_OF_HOST 0xffffffffu /* a report that the hypervisor asked for */

struct __attribute__((packed)) snp_report {
    u32 version;
    u32 guest_svn;
    u64 policy;
    u8 family_id[16];
    u8 image_id[16];
    u32 vmpl;
    u32 signature_algorithm;
    u64 current_tcb;
    u64 platform_info;
    u32 key_info;
    u32 reserved_4c;
    u8 report_data[64];
    u8 measurement[48];
    u8 host_data[32];
    u8 id_key_digest[48];
    u8 author_key_digest[48];
    u8 report_id[32];
    u8 report_id_ma[32]; /* all FFh: no migration agent */
    u64 reported_tcb;
    u8 cpuid_family, cpuid_model, cpuid_stepping; /* from version 3 */
    u8 reserved_18b[21];
    u8 chip_id[64];
    u64 committed_tcb;
    u8 current_build, current_minor, current_major;
    u8 reserved_1eb;
    u8 committed_build, committed_minor, committed_major;
    u8 reserved_1ef;
    u64 launch_tcb;
    u64 launch_mit_vector;  /* from version 5; version 4 may have it */
    u64 current_mit_vector; /* from version 5; version 4 may have it */
    u8 reserved_208[152];
    struct snp_signature signature;
};
ABI_SIZE(struct snp_report, SNP_REPORT_SIZE);
ABI_OFFSET(struct snp_report, vmpl, 0x30);
ABI_OFFSET(struct snp_report, current_tcb, 0x38);
ABI_OFFSET(struct snp_report, key_info, 0x48);
ABI_OFFSET(struct snp_report, report_data, 0x50);
ABI_OFFSET(struct snp_report, measurement, 0x90);
ABI_OFFSET(struct snp_report, host_data, 0xc0);
ABI_OFFSET(struct snp_report, id_key_digest, 0xe0);
ABI_OFFSET(struct snp_report, author_key_digest, 0x110);
ABI_OFFSET(struct snp_report, report_id, 0x140);
ABI_OFFSET(struct snp_report, report_id_ma, 0x160);
ABI_OFFSET(struct snp_report, reported_tcb, 0x180);
ABI_OFFSET(struct snp_report, cpuid_family, 0x188);
ABI_OFFSET(struct snp_report, chip_id, 0x1a0);
ABI_OFFSET(struct snp_report, committed_tcb, 0x1e0);
ABI_OFFSET(struct snp_report, current_build, 0x1e8);
ABI_OFFSET(struct snp_report, committed_build, 0x1ec);
ABI_OFFSET(struct snp_report, launch_tcb, 0x1f0);
ABI_OFFSET(struct snp_report, launch_mit_vector, 0x1f8);
ABI_OFFSET(struct snp_report, signature, 0x2a0);

#endif
