/* SPDX-License-Identifier: Apache-2.0 */
/* Which SEV_FEATURES a guest can have, whoever launches it [cpu 2.2, 6.8]. */
#include "image/image.h"

#define FEATURE_BIT(id, name, cpuid) | SEV_FEATURE_##id
#define DEFINED                      (0 SEV_FEATURES(FEATURE_BIT))

#define INJECTION (SEV_FEATURE_RESTRICTED_INJECTION | SEV_FEATURE_ALTERNATE_INJECTION)
/* What a SEV-ES guest may have without SNP. */
#define OF_SEV_ES                                                                                  \
    (SEV_FEATURE_DEBUG_VIRT | SEV_FEATURE_PREVENT_HOST_IBS | SEV_FEATURE_VMGEXIT_PARAMETER)

const char *image_sev_features_wrong(u64 features, enum image_mode mode)
{
    const bool snp = features & SEV_FEATURE_SNP;
    if (mode < IMAGE_SEV_ES)
        return features ? "only SEV-ES and SNP guests have a VMSA, which holds them" : NULL;
    if (features & ~(u64)DEFINED)
        return "bits 17 to 20 and those from 22 on are reserved";
    if (snp != (mode == IMAGE_SEV_SNP))
        return snp ? "snp (bit 0) is for --mode sev-snp" : "an SNP guest has snp (bit 0)";
    if (!snp && features & ~(u64)OF_SEV_ES)
        return "without SNP there are debug-swap, prevent-host-ibs and vmgexit-parameter";
    if ((features & INJECTION) == INJECTION)
        return "restricted-injection and alternate-injection exclude each other";
    return NULL;
}
