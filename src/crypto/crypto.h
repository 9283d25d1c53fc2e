/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few primitives the platform needs, on OpenSSL 3. Knows no SEV beyond its number encodings.
 *
 * Conventions: sizes are in the types or in bytes; a function returns true on success and leaves
 * its outputs undefined on failure; `void` cannot fail: if memory is out, it says so on standard
 * error and ends the program with ERROR_MEMORY. Keys are plain bytes; whoever holds a secret wipes
 * it with crypto_wipe(). One `struct crypto` a party (platform, owner, authority): it owns an
 * OpenSSL library context, and where it was made with a seed, every random byte, signature nonce
 * and generated key drawn through it repeats.
 */
#ifndef SOFTSEV_CRYPTO_CRYPTO_H
#define SOFTSEV_CRYPTO_CRYPTO_H

#include "base/base.h"
#include "base/error.h"
#include "base/random.h"

struct crypto;

/* `seed` NULL: the system's randomness. Otherwise a seeded RAND provider of this context alone.
 * NULL if OpenSSL refuses (out of memory, no default provider). */
struct crypto *crypto_create(const void *seed, size_t seed_size);
void crypto_destroy(struct crypto *c);
void crypto_random(struct crypto *c, void *out, size_t size);
struct random_source crypto_random_source(struct crypto *c);
/* Starts the random bytes of a context that was made with a seed over, from another one. */
void crypto_reseed(struct crypto *c, const void *seed, size_t seed_size);

void crypto_wipe(void *secret, size_t size);
bool crypto_equal(const void *a, const void *b, size_t size); /* constant time */

/* --- Hashes and MACs ------------------------------------------------------------------------- */

void crypto_sha256(const void *data, size_t size, u8 out[32]);
void crypto_sha384(const void *data, size_t size, u8 out[48]);
void crypto_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                        u8 out[32]);

struct crypto_piece {
    const void *data; /* may be NULL where size is 0 */
    size_t size;      /* bytes */
};

/* Of a message that lies in pieces. */
void crypto_hmac_sha256_pieces(const void *key, size_t key_size, const struct crypto_piece *pieces,
                               size_t count, u8 out[32]);

/* A running SHA-256; create/clone/destroy because OpenSSL's context is opaque. NULL: no memory. */
struct crypto_sha256;
struct crypto_sha256 *crypto_sha256_start(void);
void crypto_sha256_update(struct crypto_sha256 *h, const void *data, size_t size);
/* The digest so far; the running hash goes on. */
void crypto_sha256_peek(const struct crypto_sha256 *h, u8 out[32]);
void crypto_sha256_free(struct crypto_sha256 *h);

/* SHA-384 of many short messages, each by itself: what OpenSSL prepares for one is kept. NULL: no
 * memory. */
struct crypto_sha384;
struct crypto_sha384 *crypto_sha384_create(void);
void crypto_sha384_run(struct crypto_sha384 *h, const void *data, size_t size, u8 out[48]);
void crypto_sha384_free(struct crypto_sha384 *h);

/* SEV's counter-mode KDF [sev 7.3]: HMAC-SHA-256(key,
 * LE32(i) || label || 0 || context || LE32(bits)). */
void crypto_sev_kdf(const void *key, size_t key_size, const char *label, const void *context,
                    size_t context_size, void *out, size_t out_size);

/* AES-128-CTR with a 128-bit big-endian counter [sev 7.1]; in place allowed. */
void crypto_aes128_ctr(const u8 key[16], const u8 iv[16], const void *in, void *out, size_t size);

/* AES-256-GCM with a 12-byte IV and a 16-byte tag [snp 6.1]; in place allowed. Open: false if the
 * tag is wrong, `out` is zero then. */
void crypto_aes256_gcm_seal(const u8 key[32], const u8 iv[12], const void *aad, size_t aad_size,
                            const void *in, void *out, size_t size, u8 tag[16]);
bool crypto_aes256_gcm_open(const u8 key[32], const u8 iv[12], const void *aad, size_t aad_size,
                            const void *in, void *out, size_t size, const u8 tag[16]);

/* --- The memory controller's page cipher ------------------------------------------------------ */

/* AES-128-XTS over 16-byte blocks, unit = 4 KiB frame, unit number = the frame's system address >>
 * 12. One object a key; no allocation after it is made. `tweak_key` is the machine's tweak
 * secret. */
struct page_cipher;
struct page_cipher *page_cipher_create(const u8 key[16], const u8 tweak_key[16]);
void page_cipher_free(struct page_cipher *c); /* wipes the key; NULL is allowed */
void page_encrypt(struct page_cipher *c, u64 frame_number, const u8 in[4096], u8 out[4096]);
void page_decrypt(struct page_cipher *c, u64 frame_number, const u8 in[4096], u8 out[4096]);

/* --- Elliptic curves: NIST P-384, coordinates and scalars as 48 bytes, LITTLE-endian, the way
 * SEV's certificates store them (the remaining bytes of a 72-byte field are the caller's)
 * ------------- */

struct ec_public {
    u8 x[48], y[48];
};

struct ec_private {
    u8 d[48];
    struct ec_public public;
};

struct ec_signature {
    u8 r[48], s[48];
};

bool crypto_ec_generate(struct crypto *c, struct ec_private *out);
/* From a scalar in 1..n-1 (little-endian); false if it is out of range. */
bool crypto_ec_from_scalar(const u8 d[48], struct ec_private *out);
/* From a file of OpenSSL's: PKCS#8 or SEC 1, PEM or DER, not encrypted. NULL: it is read; else what
 * is wrong with it. */
const char *crypto_ec_private_read(const void *data, size_t size, struct ec_private *out);
#define CRYPTO_EC_PEM_MAX 512u /* characters, with the NUL */
/* PKCS#8 in PEM. Returns the characters before the NUL; 0 if it does not fit. */
size_t crypto_ec_private_pem(const struct ec_private *key, char *out, size_t size);
/* SEV's CEK derivation [sev 7.10]: (r mod (n-1)) + 1 of a little-endian integer. */
bool crypto_ec_from_wide(const void *r, size_t size, struct ec_private *out);
bool crypto_ec_on_curve(const struct ec_public *p);

enum crypto_hash { CRYPTO_SHA256, CRYPTO_SHA384 };

bool crypto_ecdsa_sign(struct crypto *c, const struct ec_private *key, enum crypto_hash hash,
                       const void *message, size_t size, struct ec_signature *out);
bool crypto_ecdsa_verify(const struct ec_public *key, enum crypto_hash hash, const void *message,
                         size_t size, const struct ec_signature *signature);
/* The shared secret: X coordinate, 48 bytes, BIG-endian [sev 7.3].
 * False if `theirs` is not on the curve. */
bool crypto_ecdh(const struct ec_private *mine, const struct ec_public *theirs, u8 z[48]);

/* Public point of a scalar on secp256k1, big-endian, for the chip id [sev 7.10]. */
bool crypto_secp256k1_public(const u8 d[32], u8 x[32], u8 y[32]);

/* --- RSA-PSS, MGF1 with the same hash, salt as long as the hash [sev 7.1] --------------------- */

#define CRYPTO_RSA_MAX 512 /* bytes: 4096 bits */

struct rsa_public {
    u32 bits;                    /* 2048 or 4096 */
    u8 modulus[CRYPTO_RSA_MAX];  /* little-endian */
    u8 exponent[CRYPTO_RSA_MAX]; /* little-endian */
};

struct rsa_private; /* opaque: an OpenSSL key */

struct rsa_private *crypto_rsa_generate(struct crypto *c, u32 bits);
void crypto_rsa_free(struct rsa_private *key);
void crypto_rsa_public(const struct rsa_private *key, struct rsa_public *out);
/* DER (PKCS#8) in and out, for the authority's key files. Export returns the size,
 * 0 if it does not fit. */
size_t crypto_rsa_export(const struct rsa_private *key, void *out, size_t size);
struct rsa_private *crypto_rsa_import(const void *der, size_t size);
/* Signature as a little-endian integer of bits/8 bytes. */
bool crypto_rsa_pss_sign(struct crypto *c, const struct rsa_private *key, enum crypto_hash hash,
                         const void *message, size_t size, u8 *signature);
bool crypto_rsa_pss_verify(const struct rsa_public *key, enum crypto_hash hash, const void *message,
                           size_t size, const u8 *signature);

/* --- X.509 certificates, read (outside bytes) ------------------------------------------------- */

struct crypto_certificate;

/* One in DER and nothing after it. NULL: it is none, or no memory. */
struct crypto_certificate *crypto_certificate_read(const void *der, size_t size);
void crypto_certificate_free(struct crypto_certificate *c); /* NULL is allowed */
bool crypto_certificate_equal(const struct crypto_certificate *a,
                              const struct crypto_certificate *b);
/* Its issuer's name is the name of `issuer`. */
bool crypto_certificate_names(const struct crypto_certificate *c,
                              const struct crypto_certificate *issuer);
/* RSASSA-PSS, SHA-384, salt of 48 bytes; no other signature counts [snp 8.1]. */
bool crypto_certificate_signed_by(const struct crypto_certificate *c,
                                  const struct crypto_certificate *issuer);
/* basicConstraints and keyUsage allow it to sign certificates, with so many signers between it and
 * the last one. */
bool crypto_certificate_may_sign(const struct crypto_certificate *c, long signers_below);
/* Returns true and the id of an extension that is critical, but is not basicConstraints or
 * keyUsage. */
bool crypto_certificate_unknown_critical(const struct crypto_certificate *c, char *oid,
                                         size_t size);
bool crypto_certificate_valid_at(const struct crypto_certificate *c, s64 time); /* Unix time */
/* The common name, cut to `size` with its NUL; what is not printable ASCII is '?'. */
void crypto_certificate_subject(const struct crypto_certificate *c, char *out, size_t size);
/* False: its key is not on P-384. */
bool crypto_certificate_ec_key(const struct crypto_certificate *c, struct ec_public *out);
/* How many extensions have this id ("1.3.6..."): 0, 1, 2 for more. With 1, what is in extnValue, a
 * view. */
int crypto_certificate_extension(const struct crypto_certificate *c, const char *oid,
                                 const u8 **data, size_t *size);
/* Returns the size; 0 if it does not fit. */
size_t crypto_certificate_der(const struct crypto_certificate *c, void *out, size_t size);

/* --- X.509 revocation lists, read (outside bytes) --------------------------------------------- */

struct crypto_crl;

/* As crypto_certificate_read. */
struct crypto_crl *crypto_crl_read(const void *der, size_t size);
void crypto_crl_free(struct crypto_crl *c); /* NULL is allowed */
bool crypto_crl_names(const struct crypto_crl *c, const struct crypto_certificate *issuer);
/* As crypto_certificate_signed_by; the issuer's keyUsage has to allow it. */
bool crypto_crl_signed_by(const struct crypto_crl *c, const struct crypto_certificate *issuer);
/* Why a verifier cannot go by this list: it is a delta, restricted or indirect, or has a critical
 * extension; NULL: it can. */
const char *crypto_crl_unusable(const struct crypto_crl *c);
/* Both have a CRL number, and that of `a` is the higher one. */
bool crypto_crl_newer(const struct crypto_crl *a, const struct crypto_crl *b);
bool crypto_crl_equal(const struct crypto_crl *a, const struct crypto_crl *b);
/* From thisUpdate to nextUpdate; a list without the latter is never valid. */
bool crypto_crl_valid_at(const struct crypto_crl *c, s64 time);
/* By serial number; the list has to be the certificate's issuer's. */
bool crypto_crl_revokes(const struct crypto_crl *c, const struct crypto_certificate *certificate);

/* --- Files of both (outside bytes) ------------------------------------------------------------ */

/* All zero before the first is read; each grows as files are read into it. */
struct crypto_certificates {
    struct crypto_certificate **list;
    size_t count;
};

struct crypto_crls {
    struct crypto_crl **list;
    size_t count;
};

/* Adds all that a file holds: one certificate or list in DER, or any number of them in PEM with
 * text between. -1: an entry cannot be read, which the error names; what was read before it was
 * added. `certificates` NULL: they are checked and passed over. */
int crypto_x509_read(const void *data, size_t size, struct crypto_certificates *certificates,
                     struct crypto_crls *lists, struct error *e);
void crypto_certificates_free(struct crypto_certificates *c);
void crypto_crls_free(struct crypto_crls *c);

/* --- X.509 certificates and revocation lists, made -------------------------------------------- */

/* In this order; what is NULL is left out. The country is a PrintableString, the others
 * UTF8Strings. */
struct x509_name {
    const char *unit, *country, *locality, *state, *organization, *common;
};

struct x509_extension {
    const char *oid; /* "2.5.29.15" */
    bool critical;
    const void *value; /* what is in extnValue, as it is */
    size_t size;
};

/* Signed with RSASSA-PSS: SHA-384, MGF1 with SHA-384, a salt of 48 bytes, all three explicit
 * [snp 8.1]. */
struct x509_certificate {
    u64 serial;
    struct x509_name issuer, subject;
    s64 not_before, not_after;    /* Unix time, from 1970 to the end of 9999 */
    const struct rsa_public *rsa; /* the subject's key: this, or if it is NULL */
    const struct ec_public *ec;   /* this one on P-384 */
    const struct x509_extension *extensions;
    size_t extension_count;
};

struct x509_list {
    struct x509_name issuer;
    s64 this_update, next_update; /* Unix time */
    const u64 *revoked;           /* serial numbers, revoked at this_update */
    size_t revoked_count;
    const struct x509_extension *extensions;
    size_t extension_count;
};

/* Who signs. The salt of a signature is a function of `salt_key` and of what is signed, so that the
 * same certificate made again is the same to the byte. */
struct x509_signer {
    struct crypto *crypto; /* made with a seed; it is seeded anew for each signature */
    const u8 *salt_key;    /* 32 bytes, a secret as the key itself */
    const struct rsa_private *key;
    bool trailer; /* PSS parameters with the trailer field, although 1 is its default */
};

/* DER into `out`; return its size, 0 if it does not fit, a time is out of range or OpenSSL
 * refuses. */
size_t crypto_x509_certificate(const struct x509_signer *signer,
                               const struct x509_certificate *what, void *out, size_t size);
size_t crypto_x509_list(const struct x509_signer *signer, const struct x509_list *what, void *out,
                        size_t size);
/* A key's identifier: SHA-1 of its BIT STRING [RFC 5280 4.2.1.2]. */
void crypto_x509_key_id(const struct rsa_public *key, u8 id[20]);

/* DER as PEM: `label` is "CERTIFICATE", "X509 CRL", ... Returns its size (no NUL is written), 0 if
 * it does not fit. */
size_t crypto_pem(const char *label, const void *der, size_t der_size, char *out, size_t size);

#endif
