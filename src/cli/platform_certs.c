/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev platform certs: a folder of certificates under the names that verifiers look for. SNP's lie in it as PEM (and
 * in der/ as DER), each once, because tools take every file in it whose name they know; SEV's own chain is in sev/.
 */
#include "authority/authority.h"
#include "cli/platform.h"

#include <stdio.h>
#include <time.h>

/* What is written of SNP. */
struct certs {
    struct platform *p;
    const struct authority *authority;
    const struct authority_product *product;
    struct authority_terms terms; /* of the manufacturer's own certificates */
    char folder[450], der_folder[460];
};

static int write_both(const struct certs *c, const char *name, const char *label, const u8 *der,
                      size_t size, struct error *e)
{
    char pem[2 * AUTHORITY_CERT_MAX], file[40];
    size_t pem_size = size ? crypto_pem(label, der, size, pem, sizeof pem) : 0;
    if (!pem_size)
        return error_set(e, ERROR_INTERNAL, "the certificate %s cannot be made", name);
    snprintf(file, sizeof file, "%s.pem", name);
    if (platform_write_file(c->folder, file, pem, pem_size, e))
        return -1;
    snprintf(file, sizeof file, "%s.der", name);
    return platform_write_file(c->der_folder, file, der, size, e);
}

static int write_manufacturer(const struct certs *c, const char *name, enum authority_role role,
                              struct error *e)
{
    u8 der[AUTHORITY_CERT_MAX];
    size_t size = authority_certificate(c->authority, c->product, role, &c->terms, der, sizeof der);
    return write_both(c, name, "CERTIFICATE", der, size, e);
}

static struct authority_terms issued_now(const struct certs *c)
{
    struct authority_terms terms = c->terms;
    terms.not_before = authority_issue_time((s64)time(NULL));
    return terms;
}

static int write_endorsement(const struct certs *c, u64 tcb, struct error *e)
{
    const struct platform *p = c->p;
    const struct authority_terms terms = issued_now(c);
    u8 der[AUTHORITY_CERT_MAX];
    size_t size =
        p->vlek ? authority_vlek(c->authority, c->product, p->vlek, tcb, &terms, der, sizeof der)
                : authority_vcek(c->authority, c->product, p->profile->product_name,
                                 p->identity.fuses, tcb, &terms, der, sizeof der);
    return write_both(c, p->vlek ? "vlek" : "vcek", "CERTIFICATE", der, size, e);
}

static int write_list(const struct certs *c, struct error *e)
{
    u8 der[AUTHORITY_CERT_MAX];
    const struct authority_terms terms = issued_now(c);
    size_t size = authority_crl(c->authority, c->product, 0, &terms, der, sizeof der);
    return write_both(c, "crl", "X509 CRL", der, size, e);
}

static int write_snp(struct platform *p, const struct authority *authority, struct error *e)
{
    struct certs c = {.p = p,
                      .authority = authority,
                      .product = authority_product_find(p->profile->product),
                      .terms = {.kds_url = p->kds_url}};
    u64 tcb = firmware_reported_tcb(p->firmware);
    snprintf(c.folder, sizeof c.folder, "%s", p->out);
    snprintf(c.der_folder, sizeof c.der_folder, "%s/der", c.folder);
    if (p->tcb && cli_tcb_parse(p->profile, p->tcb, "--tcb", &tcb, e))
        return -1;
    return platform_make_folder(c.der_folder, e) ||
                   write_manufacturer(&c, "ark", AUTHORITY_ARK, e) ||
                   write_manufacturer(&c, p->vlek ? "asvk" : "ask",
                                      p->vlek ? AUTHORITY_ASVK : AUTHORITY_ASK, e) ||
                   write_endorsement(&c, tcb, e) || write_list(&c, e)
               ? -1
               : 0;
}

/* What tools would take although it is not asked for now. */
static void remove_others(const struct platform *p)
{
    static const char *const names[] = {"ask.pem",      "vcek.pem",    "asvk.pem",
                                        "vlek.pem",     "der/ask.der", "der/vcek.der",
                                        "der/asvk.der", "der/vlek.der"};
    char path[500];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof path, "%s/%s", p->out, names[i]);
        remove(path);
    }
}

int platform_certs(struct platform *p, struct error *e)
{
    char sev[460];
    const bool snp = p->profile->report_version;
    if (!snp && (p->tcb || p->vlek))
        return error_set(e, ERROR_USAGE, "%s is a %s: it has no SNP, so no %s", p->profile->name,
                         p->profile->product, p->tcb ? "--tcb" : "--vlek");
    if ((size_t)snprintf(sev, sizeof sev, "%s/sev", p->out) >= 440)
        return error_set(e, ERROR_USAGE, "--out: the name is too long");
    if (platform_make_folder(p->out, e) || platform_write_chain(p, sev, e))
        return -1;
    remove_others(p);
    if (!snp)
        return 0;
    struct authority *authority = cli_authority_open(p->state, p->crypto, NULL, e);
    int result = authority ? write_snp(p, authority, e) : -1;
    authority_free(authority);
    return result;
}
