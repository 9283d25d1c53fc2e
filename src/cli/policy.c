/* SPDX-License-Identifier: Apache-2.0 */
/* Guest policies, checked before anything is launched or measured; see policy.h. */
#include "cli/policy.h"

#include "abi/sev.h"
#include "abi/snp.h"

#define SEV_POLICY_RESERVED 0xffc0u /* [sev 6] */

static int check_sev_policy(const char *what, u64 policy, enum image_mode mode, struct error *e)
{
    const u32 es = (u32)policy ^ SEV_POLICY_ES;
    if (policy > UINT32_MAX)
        return error_set(e, ERROR_USAGE, "%s '0x%llx': the policy of such a guest has 32 bits",
                         what, (unsigned long long)policy);
    if (policy & SEV_POLICY_RESERVED)
        return error_set(e, ERROR_USAGE, "%s 0x%llx: bits 15:6 must be zero, as in 0x%llx", what,
                         (unsigned long long)policy,
                         (unsigned long long)(policy & ~(u64)SEV_POLICY_RESERVED));
    if (mode == IMAGE_SEV_ES && !(policy & SEV_POLICY_ES))
        return error_set(e, ERROR_USAGE,
                         "%s 0x%llx: bit 2 (ES) must be one under sev-es, as in 0x%x", what,
                         (unsigned long long)policy, es);
    if (mode == IMAGE_SEV && (policy & SEV_POLICY_ES))
        return error_set(e, ERROR_USAGE,
                         "%s 0x%llx: bit 2 (ES) must be zero under sev, as in 0x%x; a guest that "
                         "needs it has mode sev-es",
                         what, (unsigned long long)policy, es);
    return 0;
}

int policy_check(const char *what, u64 policy, enum image_mode mode, struct error *e)
{
    if (mode != IMAGE_SEV_SNP)
        return check_sev_policy(what, policy, mode, e);
    if ((policy & SNP_POLICY_ONE) && !(policy & SNP_POLICY_RESERVED))
        return 0;
    return error_set(e, ERROR_USAGE,
                     "%s 0x%llx: bit 17 must be one under sev-snp, and bits 63:26 zero, such as "
                     "0x30000",
                     what, (unsigned long long)policy);
}
