/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manufacturer's part, in software. It makes its own root (ARK), a signing key for chips (ASK)
 * and one for cloud providers (ASVK), and certifies CEKs, VCEKs and VLEKs. Names and ids state that
 * they belong to software; no id or name here is AMD's.
 *
 * RSA keys of 4096 bits match the Rome to Turin profiles (RSA-PSS SHA-384) and take a second or two
 * to make; keys of 2048 bits match Naples (SHA-256). Keys are made once; the caller keeps them with
 * export and import.
 */
#ifndef SOFTSEV_AUTHORITY_AUTHORITY_H
#define SOFTSEV_AUTHORITY_AUTHORITY_H

#include "protocol/protocol.h"

struct authority;

#define AUTHORITY_BITS_DEFAULT 4096u
#define AUTHORITY_EXPORT_MAX   12288u /* bytes */

/* Makes new RSA keys of `bits` (2048 or 4096) and their certificates. Returns NULL if OpenSSL
 * refuses. */
struct authority *authority_create(struct crypto *c, u32 bits);
void authority_free(struct authority *a); /* wipes the keys; NULL is allowed */

/* Writes private keys and certificates as bytes, which must be kept secret. Returns 0 if `size` is
 * too small. */
size_t authority_export(const struct authority *a, void *out, size_t size);
/* Reads an export. Returns NULL and an error if the bytes are not an authority's, or if keys and
 * certificates do not belong together. It also reads an older version's export, which takes as long
 * as making a key; exporting that again gives the new form. */
struct authority *authority_import(const void *data, size_t size, struct error *e);
/* Returns true if the authority was imported from an older version's export. */
bool authority_is_older(const struct authority *a);

const struct amd_chain *authority_chain(const struct authority *a);
/* Writes ASK, then ARK: the file that owners are told to trust [sev 8.3]. Returns its size; 0 if it
 * does not fit. */
size_t authority_root_file(const struct authority *a, void *out, size_t size);

/* Signs a chip's certificate in place (slot 1 of [sev 8.2], usage 0013h); the key server hands out
 * the result. Returns false if the certificate is not a CEK. */
bool authority_sign_cek(struct crypto *c, const struct authority *a, struct sev_cert *cek);

/* --- SNP: X.509 certificates and revocation lists [snp 8.1] ----------------------------------- */

/* A product: one generation of parts, as named in certificates and in the key server's addresses.
 * The manufacturer has one ARK key, one ASK key and one ASVK key; each product has its own
 * certificates for these keys. */
struct authority_product {
    const char *name;                        /* "Milan" */
    u32 ark_serial, ask_serial, asvk_serial; /* serial numbers of the certificates */
    enum snp_tcb_layout layout;
    size_t chip_id_size; /* bytes of hwID: 64, or 8 */
};

extern const struct authority_product authority_products[]; /* the last row has no name */
/* Finds a product by name, in upper or lower case. Returns NULL if there is none. */
const struct authority_product *authority_product_find(const char *name);

enum authority_role { AUTHORITY_ARK, AUTHORITY_ASK, AUTHORITY_ASVK, AUTHORITY_ROLES };

#define AUTHORITY_CERT_MAX 4096u /* bytes of DER: a certificate or a list */
#define AUTHORITY_CSP_MAX  100u  /* characters of a cloud provider's id */
#define AUTHORITY_KDS_URL  "http://softsev.invalid"
#define AUTHORITY_EPOCH    1704067200ll /* 2024-01-01: start of the manufacturer's certificates */

/* Contents of a certificate besides keys and names. All zero is valid for ARK, ASK and ASVK. */
struct authority_terms {
    /* Unix time; 0: AUTHORITY_EPOCH. The validity of a VCEK or VLEK begins a day earlier. */
    s64 not_before;
    s64 not_after;       /* 0: 25 years later; 7 years for a VCEK or VLEK */
    const char *kds_url; /* base of the distribution points; NULL: AUTHORITY_KDS_URL */
    u32 list_number;     /* CRL number of a revocation list; 0: 1 */
    bool delta;          /* a delta list: changes since number 1; verifiers should reject it */
};

/* Returns the time to put into the terms of a certificate issued at `now`: the beginning of that
 * year (UTC, years of 365.25 days). So a certificate that is issued twice in one year has the same
 * bytes. */
s64 authority_issue_time(s64 now);

/*
 * The functions below put DER (or PEM, without a NUL) into `out` and return its size; 0 if OpenSSL
 * refuses, a time is out of range or it does not fit. Their output depends only on the authority's
 * keys and on the arguments: it is the same on each call, including the signatures.
 */
size_t authority_certificate(const struct authority *a, const struct authority_product *product,
                             enum authority_role role, const struct authority_terms *terms,
                             void *out, size_t size);
/* Writes PEM: ASK (or ASVK), then ARK, as the key server serves them. */
size_t authority_chain_pem(const struct authority *a, const struct authority_product *product,
                           bool vlek, const struct authority_terms *terms, void *out, size_t size);

/* The data that is certified about a chip (VCEK) or a cloud provider (VLEK). */
struct authority_endorsement {
    const struct authority_product *product;
    const char *product_name; /* the extension: "Milan-B1"; NULL: the product's name, as in VLEKs */
    u64 tcb;
    const u8 *chip_id;  /* product->chip_id_size bytes; NULL: a VLEK */
    const char *csp_id; /* for a VLEK: printable ASCII */
    bool octet_string;  /* hwID is an OCTET STRING of the id; AMD's is the bare id */
    struct ec_public key;
};
size_t authority_endorse(const struct authority *a, const struct authority_endorsement *what,
                         const struct authority_terms *terms, void *out, size_t size);

/* Derives a cloud provider's hashstick for a product. Its VLEKs derive from the hashstick
 * (identity_vlek). */
void authority_vlek_stick(const struct authority *a, const struct authority_product *product,
                          const char *csp_id, u8 stick[SNP_VLEK_STICK_SIZE]);

/* Derive (identity_vcek, identity_vlek) and certify a chip's VCEK for a TCB, or a provider's VLEK.
 * `product_name` as above. */
size_t authority_vcek(const struct authority *a, const struct authority_product *product,
                      const char *product_name, const u8 fuses[32], u64 tcb,
                      const struct authority_terms *terms, void *out, size_t size);
size_t authority_vlek(const struct authority *a, const struct authority_product *product,
                      const char *csp_id, u64 tcb, const struct authority_terms *terms, void *out,
                      size_t size);

/* Makes the product's revocation list, signed by its ARK; `revoked` has one bit for each enum
 * authority_role. The next list is announced for terms->not_after; 0: two years later. */
size_t authority_crl(const struct authority *a, const struct authority_product *product,
                     u32 revoked, const struct authority_terms *terms, void *out, size_t size);

#endif
