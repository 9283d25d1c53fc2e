/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner of an attacked guest: a session, the measurement of an honest launch, a secret. The
 * owner already knows the platform, because these attacks are not about certificates.
 */
#include "attack/internal.h"

#include "abi/report.h"

int owner_session(struct experiment *b, struct sev_cert *godh, struct sev_session *session,
                  struct error *error)
{
    struct platform_chain chain;
    struct sev_cert pdh;
    struct ec_private key;
    if (platform_export(b->hv, &chain, error))
        return -1;
    memcpy(&pdh, chain.pdh, sizeof pdh);
    bool ok = crypto_ec_generate(b->crypto, &key);
    if (ok) {
        sev_cert_init(godh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 0, 0, &key.public);
        ok = session_make(b->crypto, &key, &pdh, experiment_policy(b), &b->keys, session);
    }
    crypto_wipe(&key, sizeof key);
    return ok ? 0 : error_set(error, ERROR_INTERNAL, "the owner's session cannot be made");
}

static int looks_at_report(struct experiment *b, struct error *error)
{
    struct snp_report report;
    u8 digest[48];
    if (vm_report(b->vm, &report, error))
        return -1;
    image_snp_digest(b->honest, digest);
    b->measured_well = !memcmp(digest, report.measurement, sizeof digest);
    return 0;
}

int owner_looks(struct experiment *b, struct error *error)
{
    struct platform_status s;
    u8 expected[32];
    if (experiment_is_snp(b))
        return looks_at_report(b, error);
    if (platform_get_status(b->hv, &s, error))
        return -1;
    struct measurement m = {.api_major = s.api_major,
                            .api_minor = s.api_minor,
                            .build = s.build,
                            .policy = experiment_policy(b)};
    if (image_digest(b->honest, m.digest, error))
        return -1;
    memcpy(m.mnonce, b->measure.mnonce, sizeof m.mnonce);
    measurement_compute(&m, b->keys.tik, expected);
    b->measured_well = !memcmp(expected, b->measure.measure, sizeof expected);
    return 0;
}

void owner_seals(struct experiment *b, const void *secret, u8 *data, size_t size,
                 struct sev_packet_header *header)
{
    u8 iv[16];
    struct packet_binding binding = {.kind = PACKET_SECRET,
                                     .guest_length = (u32)size,
                                     .trans_length = (u32)size,
                                     .measure = b->measure.measure};
    crypto_random(b->crypto, iv, sizeof iv);
    packet_seal(&b->keys, &binding, iv, secret, data, size, header);
}
