/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tools such as snphost read CPUID to learn how a TCB_VERSION is laid out and which address has the
 * certificates. softsev with cannot change what CPUID answers, so it says at once when the answer
 * is another SNP part than the platform. A processor that is no SNP part needs no line: such a tool
 * says itself that it knows no such part.
 */
#include "abi/report.h"
#include "cli/with/with.h"
#include "firmware/firmware.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct with_processor with_processor_below(void)
{
    struct with_processor p = {.amd = false};
#if defined(__x86_64__)
    u32 a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d))
        return p;
    p.amd = b == signature_AMD_ebx && c == signature_AMD_ecx && d == signature_AMD_edx;
    __get_cpuid(1, &a, &b, &c, &d);
    p.family = (a >> 8 & 0xf) + (a >> 20 & 0xff);
    p.model = (a >> 4 & 0xf) | (a >> 12 & 0xf0);
#endif
    return p;
}

/* Returns the first profile of a product: the one that the product's name alone means. */
static const struct firmware_profile *profile_of(const char *product)
{
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++)
        if (!strcmp(p->product, product))
            return p;
    return NULL;
}

bool with_processor_differs(const struct with_processor *below,
                            const struct firmware_profile *profile, char line[WITH_PROCESSOR_LINE])
{
    const char *product = below->amd ? snp_product_of(below->family, below->model) : NULL;
    if (!product || !strcmp(product, profile->product))
        return false;
    snprintf(line, WITH_PROCESSOR_LINE,
             "the platform is a %s, but CPUID tells the program of a %s; a tool that reads it "
             "expects --profile %s",
             profile->product, product, profile_of(product)->name);
    return true;
}
