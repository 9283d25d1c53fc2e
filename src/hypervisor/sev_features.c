/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV_FEATURES of a guest: what its processor and this hypervisor must have for them [cpu 1.2, 2.2,
 * 6.4-6.11]. They are in the launched VMSAs, so the hypervisor cannot change them afterwards.
 */
#include "abi/snp.h"
#include "hypervisor/internal.h"

#define TSC_KHZ 1000000u /* the machine's clock: 1 GHz */

struct feature {
    u64 bit;
    const char *name;
    u32 cpuid; /* the bit of CPUID 8000_001F EAX */
};

#define FEATURE_ROW(id, name, cpuid) {SEV_FEATURE_##id, name, cpuid},
static const struct feature features[] = {SEV_FEATURES(FEATURE_ROW)};
#undef FEATURE_ROW

/* Returns why this hypervisor does not serve a feature that a processor may have, or NULL. */
static const char *unserved(u64 bit)
{
    switch (bit) {
    case SEV_FEATURE_RESTRICTED_INJECTION:
        return "it needs a page for #HV events, which this hypervisor does not offer";
    case SEV_FEATURE_ALTERNATE_INJECTION:
        return "it needs an SVSM that injects the guest's interrupts";
    case SEV_FEATURE_REFLECT_VC:
        return "the exit of a reflected #VC is not published";
    default:
        return NULL;
    }
}

u64 vm_sev_features(const struct vm *vm)
{
    const struct image_plan *plan = vm->config.plan;
    return plan->vmsa_count ? plan->vmsas[0]->sev_features : 0;
}

u32 vm_tsc_khz(const struct vm *vm)
{
    return vm->config.tsc_khz && vm_sev_features(vm) & SEV_FEATURE_SECURE_TSC ? vm->config.tsc_khz
                                                                              : TSC_KHZ;
}

int vm_check_sev_features(const struct vm *vm, struct error *error)
{
    const u64 wanted = vm_sev_features(vm) & ~(u64)SEV_FEATURE_SNP;
    u32 sev[4];
    if (!wanted || !vm->config.plan->runnable)
        return 0;
    host_cpuid(vm->hv->host, 0, 0x8000001f, 0, sev);
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        const struct feature *f = &features[i];
        if (!(wanted & f->bit))
            continue;
        if (unserved(f->bit) && !vm->config.any_features)
            return error_set(error, ERROR_USAGE, "%s: guest feature %s: %s", vm->config.name,
                             f->name, unserved(f->bit));
        if (!(sev[0] & BIT(f->cpuid)))
            return error_set(error, ERROR_USAGE,
                             "%s: guest feature %s: this processor does not have it (CPUID "
                             "8000_001F EAX bit %u is clear)",
                             vm->config.name, f->name, f->cpuid);
    }
    return 0;
}
