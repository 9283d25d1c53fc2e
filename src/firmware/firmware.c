/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware object: profiles, creation, destruction. */
#include "firmware/internal.h"

#include <stdlib.h>

/* The API numbers are those of each part's published firmware; the build number is one of
 * several. */
// clang-format off
#define MILAN .product = "Milan", .product_name = "Milan-B1", .family = 0x19, .model = 0x01, .stepping = 1, \
              .chip_id_size = 64, .tcb_layout = SNP_TCB_MILAN
#define GENOA .product = "Genoa", .product_name = "Genoa-B1", .family = 0x19, .model = 0x11, .stepping = 1, \
              .chip_id_size = 64, .tcb_layout = SNP_TCB_MILAN
#define TURIN .product = "Turin", .product_name = "Turin-B1", .family = 0x1a, .model = 0x02, .stepping = 1, \
              .chip_id_size = 8, .tcb_layout = SNP_TCB_TURIN
#define ECC   SNP_PLATFORM_ECC_EN
#define ALIAS SNP_PLATFORM_ALIAS_CHECK_COMPLETE
#define FEATURES_55 (SNP_FEATURE_ECX_VLEK | SNP_FEATURE_ECX_X86_SHUTDOWN | SNP_FEATURE_ECX_RAPL_DIS)
#define FEATURES_58 (FEATURES_55 | SNP_FEATURE_ECX_CIPHERTEXT_HIDING | SNP_FEATURE_ECX_VERIFY_MITIGATION)

const struct firmware_profile firmware_profiles[] = {
    {.name = "milan",  .api_major = 1, .api_minor = 55, .build = 25, MILAN, .report_version = 3, /* the default: first row */
     .tcb = 0xdb18000000000004, .features = FEATURES_55, .platform_info = ECC | ALIAS},
    {.name = "naples", .api_major = 0, .api_minor = 17, .build = 48, .product = "Naples", .family = 0x17, .model = 0x01},
    {.name = "rome",   .api_major = 0, .api_minor = 24, .build = 15, .product = "Rome",   .family = 0x17, .model = 0x31},
    {.name = "genoa",  .api_major = 1, .api_minor = 55, .build = 39, GENOA, .report_version = 3,
     .tcb = 0x541700000000000a, .features = FEATURES_55, .platform_info = ECC | ALIAS},
    {.name = "turin",  .api_major = 1, .api_minor = 55, .build = 61, TURIN, .report_version = 5,
     .tcb = 0x4700000002000100, .features = FEATURES_58 & ~SNP_FEATURE_ECX_VERIFY_MITIGATION, .mitigations = 0,
     .platform_info = ECC | ALIAS | SNP_PLATFORM_IOMMU_WRITE_SAFE},
    {.name = "milan-1.51", .api_major = 1, .api_minor = 51, .build = 3, MILAN, .report_version = 2,
     .tcb = 0x7306000000000002},
    {.name = "milan-1.52", .api_major = 1, .api_minor = 52, .build = 4, MILAN, .report_version = 2,
     .tcb = 0x7308000000000003},
    {.name = "milan-1.55", .api_major = 1, .api_minor = 55, .build = 29, MILAN, .report_version = 3,
     .tcb = 0xdb18000000000004, .features = FEATURES_55, .platform_info = ECC | ALIAS},
    {.name = "milan-1.58", .api_major = 1, .api_minor = 58, .build = 1, MILAN, .report_version = 5,
     .tcb = 0xdb19000000000004, .features = FEATURES_58, .mitigations = 1, .platform_info = ECC | ALIAS},
    {.name = "genoa-1.55", .api_major = 1, .api_minor = 55, .build = 43, GENOA, .report_version = 5,
     .tcb = 0x541900000000000a, .features = FEATURES_55, .mitigations = 1, .platform_info = ECC | ALIAS},
    {.name = "turin-1.58", .api_major = 1, .api_minor = 58, .build = 1, TURIN, .report_version = 5,
     .tcb = 0x4700000003000100, .features = FEATURES_58, .mitigations = 1,
     .platform_info = ECC | ALIAS | SNP_PLATFORM_IOMMU_WRITE_SAFE},
    {.name = NULL},
};
// clang-format on

const struct firmware_profile *firmware_profile_find(const char *name)
{
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

static bool copy_root(struct firmware *fw, const struct firmware_config *config)
{
    if (!config->ark)
        return true;
    fw->ark = malloc(config->ark_size ? config->ark_size : 1);
    if (!fw->ark)
        return false;
    memcpy(fw->ark, config->ark, config->ark_size);
    fw->ark_size = config->ark_size;
    return true;
}

struct firmware *firmware_create(const struct firmware_config *config)
{
    struct firmware *fw = calloc(1, sizeof *fw);
    if (!fw)
        return NULL;
    fw->memory = config->memory;
    fw->crypto = config->crypto;
    fw->trace = config->trace;
    fw->profile = config->profile ? config->profile : FIRMWARE_PROFILE_DEFAULT;
    fw->store = config->store;
    fw->c_bit = config->c_bit;
    fw->asid_min = config->asid_min;
    fw->asid_max = (u32)min_u64(config->asid_max, memory_asids(config->memory));
    fw->cores_mask = config->cores >= 64 ? ~0ull : BIT(config->cores) - 1;
    fw->no_wbinvd = config->no_wbinvd;
    fw->asid_dirty = calloc((size_t)fw->asid_max + 1, 1);
    fw->guest_slots = (u32)max_u64(fw->asid_max, FIRMWARE_GUESTS);
    fw->guests = calloc(fw->guest_slots, sizeof *fw->guests);
    fw->sha384 = crypto_sha384_create();
    if (fw->guests && fw->asid_dirty && fw->sha384 && copy_root(fw, config) &&
        chip_derive(fw, config->fuses) && snp_create(fw, config))
        return fw;
    firmware_destroy(fw);
    return NULL;
}

void firmware_destroy(struct firmware *fw)
{
    if (!fw)
        return;
    if (fw->asid_dirty && fw->guests)
        guests_erase_all(fw);
    snp_destroy(fw);
    crypto_sha384_free(fw->sha384);
    free(fw->guests);
    free(fw->asid_dirty);
    free(fw->ark);
    crypto_wipe(fw, sizeof *fw);
    free(fw);
}
