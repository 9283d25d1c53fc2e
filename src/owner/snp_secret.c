/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence of an SNP guest against the owner's policy, and the secret sealed to the key that its
 * report binds. */
#include "owner/snp_secret.h"

#include <stdlib.h>

size_t owner_snp_hello(struct crypto *crypto, u8 nonce[SECRET_NONCE_SIZE], void *out, size_t size)
{
    crypto_random(crypto, nonce, SECRET_NONCE_SIZE);
    return secret_frame_write(SECRET_HELLO, nonce, SECRET_NONCE_SIZE, out, size);
}

size_t owner_snp_refusal(enum report_check check, void *out, size_t size)
{
    const char *name = report_check_name(check);
    return secret_frame_write(SECRET_REFUSED, name, strlen(name), out, size);
}

/* The owner's own certificates, and those of the evidence, if it has any. */
struct certificate_list {
    struct crypto_certificates all;
    size_t own; /* the first `own` are the owner's */
};

static void release(struct certificate_list *p)
{
    for (size_t i = p->own; i < p->all.count; i++)
        crypto_certificate_free(p->all.list[i]);
    free(p->all.list);
}

/* Takes what the guest sent if it is a certificate. If one is missing, the chain is refused as
 * incomplete. */
static bool collect(const struct snp_secret_request *r, const struct secret_evidence *evidence,
                    struct certificate_list *p)
{
    const struct crypto_certificates *own = &r->certificates.given;
    const size_t room = own->count + evidence->certificate_count;
    *p = (struct certificate_list){.own = own->count,
                                   .all.list = calloc(room + 1, sizeof *p->all.list)};
    if (!p->all.list)
        return false;
    for (; p->all.count < own->count; p->all.count++)
        p->all.list[p->all.count] = own->list[p->all.count];
    for (u32 i = 0; i < evidence->certificate_count; i++) {
        const struct crypto_piece *der = &evidence->certificates[i];
        struct crypto_certificate *c = crypto_certificate_read(der->data, der->size);
        if (c)
            p->all.list[p->all.count++] = c;
    }
    return true;
}

static enum report_check verify(const struct snp_secret_request *r,
                                const struct secret_evidence *evidence, struct error *e)
{
    struct certificate_list list;
    u8 report_data[64];
    struct report_certificates certificates = r->certificates;
    struct report_policy policy = r->policy;
    if (!collect(r, evidence, &list)) {
        error_set(e, ERROR_MEMORY, "no memory for the evidence's certificates");
        return REPORT_CHECK_CHAIN;
    }
    certificates.given = list.all;
    secret_report_data(r->nonce, &evidence->key, report_data);
    policy.report_data = report_data;
    enum report_check check =
        owner_verify_report(&evidence->report, sizeof evidence->report, &certificates, &policy, e);
    release(&list);
    return check;
}

size_t owner_seal_snp_secret(struct crypto *crypto, const struct snp_secret_request *request,
                             void *out, size_t size, enum report_check *check, struct error *e)
{
    struct secret_evidence evidence;
    struct ec_private mine;
    struct secret_key key;
    size_t written = 0;
    *check = REPORT_OK;
    if (!secret_evidence_read(request->evidence, request->evidence_size, &evidence)) {
        error_set(e, ERROR_MEASUREMENT, "what the guest sent is not evidence");
        return 0;
    }
    *check = verify(request, &evidence, e);
    if (*check != REPORT_OK)
        return 0;
    const struct secret_transcript t = {request->nonce, &evidence.key, &mine.public,
                                        &evidence.report};
    if (!crypto_ec_generate(crypto, &mine)) {
        error_set(e, ERROR_INTERNAL, "OpenSSL cannot make a key");
        return 0;
    }
    if (secret_derive(&mine, &evidence.key, &t, &key))
        written = secret_sealed_write(&key, &mine.public, request->secret, request->secret_size,
                                      out, size);
    else
        error_set(e, ERROR_MEASUREMENT, "the guest's key is not a point of the curve");
    crypto_wipe(&mine, sizeof mine);
    crypto_wipe(&key, sizeof key);
    if (!written)
        error_set(e, ERROR_USAGE, "a secret of %zu bytes is larger than %u", request->secret_size,
                  (u32)SECRET_SIZE_MAX);
    return written;
}
