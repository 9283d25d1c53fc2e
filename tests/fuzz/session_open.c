/* SPDX-License-Identifier: Apache-2.0 */
/* What a host hands to LAUNCH_START: the owner's certificate, session and policy,
 * opened with the scalar 3. */
#include "base/bytes.h"
#include "protocol/protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u8 three[48] = {3};
    struct ec_private mine;
    struct sev_cert theirs;
    struct sev_session session, again;
    struct session_keys keys;
    struct reader r = reader_of(data, size);
    read_bytes(&r, &theirs, sizeof theirs);
    read_bytes(&r, &session, sizeof session);
    u32 policy = read_u32(&r);
    if (!crypto_ec_from_scalar(three, &mine))
        abort();
    (void)sev_cert_check(&theirs, SEV_USAGE_PDH);
    if (session_open(&mine, &theirs, &session, policy, &keys) != SESSION_OK)
        return 0;
    /* What opens is what wrapping these keys again gives. */
    struct ec_public key;
    u8 z[48];
    if (!sev_cert_public(&theirs, &key) || !crypto_ecdh(&mine, &key, z))
        abort();
    session_wrap(z, sizeof z, session.nonce, session.wrap_iv, &keys, policy, &again);
    if (memcmp(&session, &again, sizeof session))
        abort();
    return 0;
}
