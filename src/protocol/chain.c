/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of certificates. A chain is a list of links, each with one certificate and its signer.
 * Verification walks the list and stops at the first link that fails.
 */
#include "protocol/internal.h"

enum link { LINK_ARK, LINK_ASK, LINK_CEK, LINK_PEK_BY_CEK, LINK_OCA, LINK_PEK_BY_OCA, LINK_PDH };

static const struct {
    const char *subject, *issuer;
} link_names[] = {
    [LINK_ARK] = {"ARK", "itself"}, [LINK_ASK] = {"ASK", "ARK"},
    [LINK_CEK] = {"CEK", "ASK"},    [LINK_PEK_BY_CEK] = {"PEK", "CEK"},
    [LINK_OCA] = {"OCA", "itself"}, [LINK_PEK_BY_OCA] = {"PEK", "OCA"},
    [LINK_PDH] = {"PDH", "PEK"},
};

static struct cert_verdict verdict_of(enum link link, bool form, enum cert_check check)
{
    return (struct cert_verdict){
        .check = check,
        .subject = link_names[link].subject,
        .issuer = form ? NULL : link_names[link].issuer,
    };
}

/* Checks the certificate's form, then its signature. */
static struct cert_verdict check_sev(enum link link, const struct sev_cert *cert,
                                     enum sev_usage usage, const struct sev_cert *issuer)
{
    enum cert_check form = sev_cert_check(cert, usage);
    return form != CERT_OK ? verdict_of(link, true, form)
                           : verdict_of(link, false, sev_cert_verify(cert, issuer));
}

static struct cert_verdict check_cek(const struct sev_cert *cek, const struct amd_cert *ask)
{
    enum cert_check form = sev_cert_check(cek, SEV_USAGE_CEK);
    return form != CERT_OK ? verdict_of(LINK_CEK, true, form)
                           : verdict_of(LINK_CEK, false, sev_cert_verify_amd(cek, ask));
}

static struct cert_verdict check_amd(enum link link, const struct amd_cert *cert,
                                     enum sev_usage usage, const struct amd_cert *issuer)
{
    return cert->header.usage != (u32)usage
               ? verdict_of(link, true, CERT_USAGE)
               : verdict_of(link, false, amd_cert_verify(cert, issuer));
}

static struct cert_verdict check_link(enum link link, const struct sev_platform_chain *p,
                                      const struct amd_chain *root)
{
    switch (link) {
    case LINK_ARK:
        return check_amd(link, &root->ark, SEV_USAGE_ARK, &root->ark);
    case LINK_ASK:
        return check_amd(link, &root->ask, SEV_USAGE_ASK, &root->ark);
    case LINK_CEK:
        return check_cek(&p->chain.cek, &root->ask);
    case LINK_PEK_BY_CEK:
        return check_sev(link, &p->chain.pek, SEV_USAGE_PEK, &p->chain.cek);
    case LINK_OCA:
        return check_sev(link, &p->chain.oca, SEV_USAGE_OCA, &p->chain.oca);
    case LINK_PEK_BY_OCA:
        return check_sev(link, &p->chain.pek, SEV_USAGE_PEK, &p->chain.oca);
    case LINK_PDH:
        break;
    }
    return check_sev(LINK_PDH, &p->pdh, SEV_USAGE_PDH, &p->chain.pek);
}

static struct cert_verdict walk(const enum link *links, size_t count,
                                const struct sev_platform_chain *chain,
                                const struct amd_chain *root)
{
    struct cert_verdict v = {.check = CERT_OK};
    for (size_t i = 0; i < count && v.check == CERT_OK; i++)
        v = check_link(links[i], chain, root);
    return v;
}

struct cert_verdict chain_verify_root(const struct amd_chain *root)
{
    static const enum link links[] = {LINK_ARK, LINK_ASK};
    return walk(links, ARRAY_SIZE(links), NULL, root);
}

struct cert_verdict chain_verify_owner(const struct sev_platform_chain *chain)
{
    static const enum link links[] = {LINK_OCA, LINK_PEK_BY_OCA, LINK_PDH};
    return walk(links, ARRAY_SIZE(links), chain, NULL);
}

struct cert_verdict chain_verify_chip(const struct sev_platform_chain *chain,
                                      const struct amd_chain *root)
{
    static const enum link links[] = {LINK_ARK, LINK_ASK, LINK_CEK, LINK_PEK_BY_CEK, LINK_PDH};
    return walk(links, ARRAY_SIZE(links), chain, root);
}

struct cert_verdict chain_verify(const struct sev_platform_chain *chain,
                                 const struct amd_chain *root)
{
    static const enum link links[] = {LINK_ARK, LINK_ASK,        LINK_CEK, LINK_PEK_BY_CEK,
                                      LINK_OCA, LINK_PEK_BY_OCA, LINK_PDH};
    return walk(links, ARRAY_SIZE(links), chain, root);
}

struct cert_verdict chain_verify_domain(const struct sev_platform_chain *chain,
                                        const struct sev_cert *domain)
{
    struct cert_verdict v = chain_verify_owner(chain);
    if (v.check == CERT_OK && !sev_cert_same_key(&chain->chain.oca, domain))
        v = verdict_of(LINK_OCA, true, CERT_OWNER);
    return v;
}
