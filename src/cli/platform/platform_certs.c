/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev platform certs: a folder of certificates under the names that verifiers look for. SNP's
 * lie in it as PEM (and in der/ as DER), each once, because tools take every file in it whose name
 * they know; SEV's own chain is in sev/.
 */
#include "authority/authority.h"
#include "cli/platform/platform.h"
#include "cli/identity/profile.h"

#include <stdio.h>
#include <time.h>

/* What is written of SNP. */
struct certs {
    struct platform *p;
    const struct authority *authority;
    const struct authority_product *product;
    struct authority_terms terms; /* of the manufacturer's own certificates */
    struct file_set *set;
};

static int add_both(const struct certs *c, const char *name, const char *label, const u8 *der,
                    size_t size, struct error *e)
{
    char pem[2 * AUTHORITY_CERT_MAX], file[40];
    size_t pem_size = size ? crypto_pem(label, der, size, pem, sizeof pem) : 0;
    if (!pem_size)
        return error_set(e, ERROR_INTERNAL, "the certificate %s cannot be made", name);
    snprintf(file, sizeof file, "%s.pem", name);
    file_set_add(c->set, file, pem, pem_size, false);
    snprintf(file, sizeof file, "der/%s.der", name);
    file_set_add(c->set, file, der, size, false);
    return 0;
}

static int add_manufacturer(const struct certs *c, const char *name, enum authority_role role,
                            struct error *e)
{
    u8 der[AUTHORITY_CERT_MAX];
    size_t size = authority_certificate(c->authority, c->product, role, &c->terms, der, sizeof der);
    return add_both(c, name, "CERTIFICATE", der, size, e);
}

static struct authority_terms issued_now(const struct certs *c)
{
    struct authority_terms terms = c->terms;
    terms.not_before = authority_issue_time((s64)time(NULL));
    return terms;
}

static int add_endorsement(const struct certs *c, u64 tcb, struct error *e)
{
    const struct platform *p = c->p;
    const struct authority_terms terms = issued_now(c);
    u8 der[AUTHORITY_CERT_MAX];
    size_t size =
        p->vlek ? authority_vlek(c->authority, c->product, p->vlek, tcb, &terms, der, sizeof der)
                : authority_vcek(c->authority, c->product, p->on.profile->product_name,
                                 p->on.identity.fuses, tcb, &terms, der, sizeof der);
    return add_both(c, p->vlek ? "vlek" : "vcek", "CERTIFICATE", der, size, e);
}

static int add_list(const struct certs *c, struct error *e)
{
    u8 der[AUTHORITY_CERT_MAX];
    const struct authority_terms terms = issued_now(c);
    size_t size = authority_crl(c->authority, c->product, 0, &terms, der, sizeof der);
    return add_both(c, "crl", "X509 CRL", der, size, e);
}

static int add_snp(struct platform *p, const struct authority *authority, struct file_set *set,
                   struct error *e)
{
    struct certs c = {.p = p,
                      .authority = authority,
                      .product = authority_product_find(p->on.profile->product),
                      .terms = {.kds_url = p->kds_url},
                      .set = set};
    u64 tcb = firmware_reported_tcb(p->firmware);
    if (p->tcb && cli_tcb_parse(p->on.profile, p->tcb, "--tcb", &tcb, e))
        return -1;
    return add_manufacturer(&c, "ark", AUTHORITY_ARK, e) ||
                   add_manufacturer(&c, p->vlek ? "asvk" : "ask",
                                    p->vlek ? AUTHORITY_ASVK : AUTHORITY_ASK, e) ||
                   add_endorsement(&c, tcb, e) || add_list(&c, e)
               ? -1
               : 0;
}

/* Adds that files which tools would take, although nobody asked for them now, must be gone. */
static void add_removals(const struct platform *p, struct file_set *set)
{
    static const char *const vcek[] = {"ask.pem", "vcek.pem", "der/ask.der", "der/vcek.der"};
    static const char *const vlek[] = {"asvk.pem", "vlek.pem", "der/asvk.der", "der/vlek.der"};
    const bool snp = p->on.profile->report_version;
    for (size_t i = 0; i < ARRAY_SIZE(vcek); i++) {
        if (!snp || p->vlek)
            file_set_add(set, vcek[i], NULL, 0, false);
        if (!snp || !p->vlek)
            file_set_add(set, vlek[i], NULL, 0, false);
    }
}

static int add_all(struct platform *p, struct file_set *set, struct error *e)
{
    if (platform_add_chain(p, "sev/", set, e))
        return -1;
    add_removals(p, set);
    if (!p->on.profile->report_version)
        return 0;
    struct authority *authority = state_authority_open(p->on.state, p->crypto, NULL, e);
    int result = authority ? add_snp(p, authority, set, e) : -1;
    authority_free(authority);
    return result;
}

int platform_certs(struct platform *p, struct error *e)
{
    if (!p->on.profile->report_version && (p->tcb || p->vlek))
        return error_set(e, ERROR_USAGE, "%s is a %s: it has no SNP, so no %s", p->on.profile->name,
                         p->on.profile->product, p->tcb ? "--tcb" : "--vlek");
    struct file_set set = {.parts = NULL};
    int result = add_all(p, &set, e) || !file_set_write(p->out, &set, e) ? -1 : 0;
    file_set_free(&set);
    return result;
}
