/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates and revocation lists of `softsev fixtures`, good and wrong in one way each. */
#include "cli/fixtures.h"

#include "cli/platform.h"

#define CERTS_NAME(id, name) [CERTS_##id] = name,
static const char *const certs_names[] = {FIXTURES_CERTS(CERTS_NAME)};
#define LIST_NAME(id, name) [LIST_##id] = name,
static const char *const list_names[] = {FIXTURES_LISTS(LIST_NAME)};

const char *fixtures_certs_name(enum fixtures_certs kind)
{
    return certs_names[kind];
}

const char *fixtures_list_name(enum fixtures_list kind)
{
    return list_names[kind];
}

static int write_pem(const struct fixtures_platform *p, const char *folder, const char *name,
                     const char *label, const u8 *der, size_t size, struct error *e)
{
    char pem[2 * AUTHORITY_CERT_MAX], file[100];
    size_t pem_size = size ? crypto_pem(label, der, size, pem, sizeof pem) : 0;
    snprintf(file, sizeof file, "%s%s%s.pem", folder, *folder ? "/" : "", name);
    return pem_size ? fixtures_write(p->all, p->profile, file, pem, pem_size, e)
                    : error_set(e, ERROR_INTERNAL, "%s cannot be made", file);
}

static int write_ark(const struct fixtures_platform *p, const char *folder,
                     const struct authority *a, struct error *e)
{
    u8 der[AUTHORITY_CERT_MAX];
    size_t size = authority_certificate(
        a, p->product, AUTHORITY_ARK, &(struct authority_terms){.not_before = 0}, der, sizeof der);
    return write_pem(p, folder, "ark", "CERTIFICATE", der, size, e);
}

/* --- VCEK and VLEK ---------------------------------------------------------------------------------------- */

/* What the kind's certificate says; the key is the one that signs, whatever is said. */
static bool describe(const struct fixtures_platform *p, enum fixtures_certs kind,
                     struct authority_endorsement *what, struct authority_terms *terms,
                     u8 chip_id[64])
{
    struct ec_private key;
    u8 stick[SNP_VLEK_STICK_SIZE];
    bool vlek = kind == CERTS_VLEK;
    memcpy(chip_id, p->chip_id, 64);
    if (kind == CERTS_OTHER_CHIP)
        chip_id[0] ^= 1;
    *what = (struct authority_endorsement){
        .product = p->product,
        .product_name = vlek ? NULL : p->profile->product_name,
        .tcb = kind == CERTS_LOW_TCB || kind == CERTS_OTHER_TCB ? p->low_tcb : p->tcb,
        .chip_id = vlek ? NULL : chip_id,
        .csp_id = vlek ? FIXTURES_CSP : NULL,
        .octet_string = kind == CERTS_OCTET_STRING,
    };
    *terms = (struct authority_terms){
        .not_after = kind == CERTS_EXPIRED ? FIXTURES_TIME - 86400 : 0,
        .not_before = kind == CERTS_FUTURE ? FIXTURES_TIME + 30ll * 86400 : 0};
    authority_vlek_stick(p->all->authority, p->product, FIXTURES_CSP, stick);
    bool good = vlek ? identity_vlek(stick, p->tcb, &key)
                     : identity_vcek(p->fuses, kind == CERTS_LOW_TCB ? p->low_tcb : p->tcb, &key);
    what->key = key.public;
    crypto_wipe(&key, sizeof key);
    crypto_wipe(stick, sizeof stick);
    return good;
}

static int write_endorsement(const struct fixtures_platform *p, enum fixtures_certs kind,
                             const struct authority *a, struct error *e)
{
    struct authority_endorsement what;
    struct authority_terms terms;
    u8 der[AUTHORITY_CERT_MAX], chip_id[64];
    const char *folder = certs_names[kind];
    size_t size = describe(p, kind, &what, &terms, chip_id)
                      ? authority_endorse(a, &what, &terms, der, sizeof der)
                      : 0;
    if (kind == CERTS_CHANGED && size)
        der[size - 1] ^= 1;
    return write_pem(p, folder, kind == CERTS_VLEK ? "vlek" : "vcek", "CERTIFICATE", der, size, e);
}

static const struct authority_product *other_product(const struct authority_product *product)
{
    return product == &authority_products[0] ? &authority_products[1] : &authority_products[0];
}

static int write_signer(const struct fixtures_platform *p, enum fixtures_certs kind,
                        const struct authority *a, struct error *e)
{
    const struct authority_product *product =
        kind == CERTS_OTHER_PRODUCT ? other_product(p->product) : p->product;
    const bool asvk = kind == CERTS_VLEK || kind == CERTS_VCEK_BY_ASVK;
    const struct authority_terms terms = {
        .not_after = kind == CERTS_EXPIRED_ASK ? FIXTURES_TIME - 86400 : 0};
    u8 der[AUTHORITY_CERT_MAX];
    size_t size = authority_certificate(a, product, asvk ? AUTHORITY_ASVK : AUTHORITY_ASK, &terms,
                                        der, sizeof der);
    if (kind == CERTS_CHANGED_ASK && size)
        der[size - 1] ^= 1;
    return write_pem(p, certs_names[kind], asvk ? "asvk" : "ask", "CERTIFICATE", der, size, e);
}

static int write_folder(const struct fixtures_platform *p, enum fixtures_certs kind,
                        struct error *e)
{
    const struct authority *a = kind == CERTS_OTHER_ROOT ? p->all->other : p->all->authority;
    char folder[500];
    snprintf(folder, sizeof folder, "%s/%s/%s", p->all->out, p->profile->name, certs_names[kind]);
    if (!file_make_folder(folder, e) || write_ark(p, certs_names[kind], a, e) ||
        write_endorsement(p, kind, a, e))
        return -1;
    return kind == CERTS_NO_ASK ? 0 : write_signer(p, kind, a, e);
}

/* --- Lists ------------------------------------------------------------------------------------------------ */

/* One list in PEM. Returns its size; 0: it cannot be made. */
static size_t make_list(const struct fixtures_platform *p, enum fixtures_list kind, u32 number,
                        bool revoked, char *pem, size_t room)
{
    /* Good for as long as the ARK, so that a set of fixtures does not grow old. */
    const struct authority_terms terms = {.not_after = kind == LIST_EXPIRED
                                                           ? FIXTURES_TIME - 86400
                                                           : AUTHORITY_EPOCH + 24ll * 31557600,
                                          .list_number = number,
                                          .delta = kind == LIST_DELTA};
    const struct authority *a = kind == LIST_OTHER ? p->all->other : p->all->authority;
    u8 der[AUTHORITY_CERT_MAX];
    size_t size =
        authority_crl(a, p->product, revoked ? 1u << AUTHORITY_ASK : 0, &terms, der, sizeof der);
    return size ? crypto_pem("X509 CRL", der, size, pem, room) : 0;
}

/* The newest list comes first, for those who read no further. */
static int write_list(const struct fixtures_platform *p, enum fixtures_list kind, struct error *e)
{
    char pem[2][2 * AUTHORITY_CERT_MAX], both[4 * AUTHORITY_CERT_MAX], file[100];
    const bool two = kind == LIST_NEWER || kind == LIST_OLDER;
    const u32 number = two || kind == LIST_DELTA ? 2 : 1;
    size_t first = make_list(p, kind, number, kind == LIST_REVOKED || kind == LIST_NEWER, pem[0],
                             sizeof pem[0]);
    size_t second = two ? make_list(p, kind, 1, kind == LIST_OLDER, pem[1], sizeof pem[1]) : 0;
    snprintf(file, sizeof file, "%s.pem", list_names[kind]);
    if (!first || (two && !second))
        return error_set(e, ERROR_INTERNAL, "%s cannot be made", file);
    memcpy(both, pem[0], first);
    memcpy(both + first, pem[1], second);
    return fixtures_write(p->all, p->profile, file, both, first + second, e);
}

int fixtures_write_certs(const struct fixtures_platform *p, struct error *e)
{
    char folder[500];
    snprintf(folder, sizeof folder, "%s/%s/trust", p->all->out, p->profile->name);
    if (!file_make_folder(folder, e) || write_ark(p, "trust", p->all->authority, e))
        return -1;
    for (unsigned kind = 0; kind < FIXTURES_CERTS_COUNT; kind++)
        if (write_folder(p, (enum fixtures_certs)kind, e))
            return -1;
    for (unsigned kind = 0; kind < FIXTURES_LISTS_COUNT; kind++)
        if (write_list(p, (enum fixtures_list)kind, e))
            return -1;
    return 0;
}
