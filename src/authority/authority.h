/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manufacturer's part, in software: makes a root (ARK), a signing key for chips (ASK) and one
 * for cloud providers (ASVK) of its own, and certifies CEKs, VCEKs and VLEKs. Names and ids spell
 * out that they are software's; nothing here carries an id or a name of AMD's.
 *
 * RSA keys of 4096 bits match the Rome to Turin profiles (RSA-PSS SHA-384) and take a second or two
 * to make; 2048 bits match Naples (SHA-256). Keys are made once and kept by the caller: export,
 * import.
 */
#ifndef SOFTSEV_AUTHORITY_AUTHORITY_H
#define SOFTSEV_AUTHORITY_AUTHORITY_H

#include "protocol/protocol.h"

struct authority;

#define AUTHORITY_BITS_DEFAULT 4096u
#define AUTHORITY_EXPORT_MAX   12288u /* bytes */

/* Fresh RSA keys of `bits` (2048 or 4096) and their certificates. NULL: OpenSSL refused. */
struct authority *authority_create(struct crypto *c, u32 bits);
void authority_free(struct authority *a); /* wipes; NULL is allowed */

/* Private keys and certificates as bytes to keep secret; 0 if `size` is too small. */
size_t authority_export(const struct authority *a, void *out, size_t size);
/* NULL and an error: the bytes are not an authority's, or keys and certificates do not belong
 * together. An older version's export is taken too (that takes as long as making a key); exporting
 * it again gives the new form. */
struct authority *authority_import(const void *data, size_t size, struct error *e);
/* Imported from an older version's export. */
bool authority_is_older(const struct authority *a);

const struct amd_chain *authority_chain(const struct authority *a);
/* ASK then ARK, the file that owners are told to trust [sev 8.3]. Returns its size;
 * 0 if it does not fit. */
size_t authority_root_file(const struct authority *a, void *out, size_t size);

/* Signs a chip's certificate (slot 1 of [sev 8.2], usage 0013h) in place: what the key server hands
 * out. False if it is not a CEK. */
bool authority_sign_cek(struct crypto *c, const struct authority *a, struct sev_cert *cek);

/* --- SNP: X.509 certificates and revocation lists [snp 8.1] ----------------------------------- */

/* A generation of parts, as certificates and the key server's addresses name it. The manufacturer
 * has one ARK, one ASK and one ASVK key; each product has certificates of its own over them. */
struct authority_product {
    const char *name;                        /* "Milan" */
    u32 ark_serial, ask_serial, asvk_serial; /* of their certificates */
    enum snp_tcb_layout layout;
    size_t chip_id_size; /* bytes of hwID: 64, or 8 */
};

extern const struct authority_product authority_products[]; /* ends with a row without a name */
/* By name, in any case of letters; NULL: there is none. */
const struct authority_product *authority_product_find(const char *name);

enum authority_role { AUTHORITY_ARK, AUTHORITY_ASK, AUTHORITY_ASVK, AUTHORITY_ROLES };

#define AUTHORITY_CERT_MAX 4096u /* bytes of DER: a certificate or a list */
#define AUTHORITY_CSP_MAX  100u  /* characters of a cloud provider's id */
#define AUTHORITY_KDS_URL  "http://softsev.invalid"
#define AUTHORITY_EPOCH                                                                            \
    1704067200ll /* 2024-01-01: the manufacturer's own certificates begin here */

/* What certificates say beside keys and names. All zero is good for ARK, ASK and ASVK. */
struct authority_terms {
    /* Unix time; 0: AUTHORITY_EPOCH. A VCEK's or VLEK's validity begins a day earlier */
    s64 not_before;
    s64 not_after;       /* 0: 25 years later, a VCEK's or VLEK's 7 */
    const char *kds_url; /* base of the distribution points; NULL: AUTHORITY_KDS_URL */
    u32 list_number;     /* CRL number of a revocation list; 0: 1 */
    bool delta;          /* a list that says what is new since number 1, as nobody should take it */
};

/* The time to put into terms for what is issued at `now`: the beginning of that year (UTC, years of
 * 365.25 days). So whoever issues the same certificate in one year issues the same bytes. */
s64 authority_issue_time(s64 now);

/*
 * The functions below put DER (or PEM, without a NUL) into `out` and return its size; 0 if OpenSSL
 * refuses, a time is out of range or it does not fit. What they make is a function of the
 * authority's keys and their arguments alone: the same on each call, even the signatures.
 */
size_t authority_certificate(const struct authority *a, const struct authority_product *product,
                             enum authority_role role, const struct authority_terms *terms,
                             void *out, size_t size);
/* PEM: ASK (or ASVK), then ARK, as the key server gives them. */
size_t authority_chain_pem(const struct authority *a, const struct authority_product *product,
                           bool vlek, const struct authority_terms *terms, void *out, size_t size);

/* What is certified of a chip (VCEK) or of a cloud provider (VLEK). */
struct authority_endorsement {
    const struct authority_product *product;
    const char *product_name; /* the extension: "Milan-B1"; NULL: the product's, as in VLEKs */
    u64 tcb;
    const u8 *chip_id;  /* product->chip_id_size bytes; NULL: a VLEK */
    const char *csp_id; /* of a VLEK: printable ASCII */
    bool
        octet_string; /* hwID is an OCTET STRING of the id, where AMD writes the bytes themselves */
    struct ec_public key;
};
size_t authority_endorse(const struct authority *a, const struct authority_endorsement *what,
                         const struct authority_terms *terms, void *out, size_t size);

/* A cloud provider's hashstick for a product, from which its VLEKs derive (identity_vlek). */
void authority_vlek_stick(const struct authority *a, const struct authority_product *product,
                          const char *csp_id, u8 stick[SNP_VLEK_STICK_SIZE]);

/* The certificate of a chip's VCEK for a TCB, and of a provider's VLEK: keys derived
 * (identity_vcek, identity_vlek) and endorsed. `product_name` as above. */
size_t authority_vcek(const struct authority *a, const struct authority_product *product,
                      const char *product_name, const u8 fuses[32], u64 tcb,
                      const struct authority_terms *terms, void *out, size_t size);
size_t authority_vlek(const struct authority *a, const struct authority_product *product,
                      const char *csp_id, u64 tcb, const struct authority_terms *terms, void *out,
                      size_t size);

/* The product's revocation list, signed by its ARK; `revoked`: bit per enum authority_role. It says
 * that the next one comes at terms->not_after; 0: after two years. */
size_t authority_crl(const struct authority *a, const struct authority_product *product,
                     u32 revoked, const struct authority_terms *terms, void *out, size_t size);

#endif
