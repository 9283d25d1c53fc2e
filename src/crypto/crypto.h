/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few primitives that the platform needs, on OpenSSL 3. They know nothing of SEV except its
 * number encodings.
 *
 * Conventions: sizes are in the types or in bytes. A function returns true on success and leaves
 * its outputs undefined on failure. A `void` function cannot fail: if memory is out, it reports
 * that on standard error and ends the program with ERROR_MEMORY. Keys are plain bytes; the holder
 * of a secret wipes it with crypto_wipe(). Each party (platform, owner, authority) has one `struct
 * crypto`, which owns an OpenSSL library context. If it was made with a seed, every random byte,
 * signature nonce and generated key drawn through it is the same in every run.
 */
#ifndef SOFTSEV_CRYPTO_CRYPTO_H
#define SOFTSEV_CRYPTO_CRYPTO_H

#include "base/base.h"
#include "base/error.h"
#include "base/random.h"

struct crypto;

/* Makes a context. Without a `seed` (NULL) it uses the system's randomness; otherwise it has a
 * seeded RAND provider of its own. Returns NULL if OpenSSL refuses (memory is out, or it has no
 * default provider). */
struct crypto *crypto_create(const void *seed, size_t seed_size);
void crypto_destroy(struct crypto *c);
void crypto_random(struct crypto *c, void *out, size_t size);
struct random_source crypto_random_source(struct crypto *c);
/* Restarts the random bytes of a seeded context with another seed. */
void crypto_reseed(struct crypto *c, const void *seed, size_t seed_size);
/* How far a seeded context's stream has come since its seed, and a way back there; 0 and nothing
 * without a seed. */
u64 crypto_position(const struct crypto *c);
void crypto_set_position(struct crypto *c, u64 position);

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

/* Computes the HMAC of a message that lies in several pieces of memory. */
void crypto_hmac_sha256_pieces(const void *key, size_t key_size, const struct crypto_piece *pieces,
                               size_t count, u8 out[32]);

/* A running SHA-256. OpenSSL's context is opaque, so it has create, clone and destroy functions;
 * the first two return NULL if memory is out. */
struct crypto_sha256;
struct crypto_sha256 *crypto_sha256_start(void);
void crypto_sha256_update(struct crypto_sha256 *h, const void *data, size_t size);
/* Returns the digest so far; the running hash continues. */
void crypto_sha256_peek(const struct crypto_sha256 *h, u8 out[32]);
void crypto_sha256_free(struct crypto_sha256 *h);

/* SHA-384 of many short, separate messages: it keeps what OpenSSL prepares for a hash. NULL if
 * memory is out. */
struct crypto_sha384;
struct crypto_sha384 *crypto_sha384_create(void);
void crypto_sha384_run(struct crypto_sha384 *h, const void *data, size_t size, u8 out[48]);
void crypto_sha384_free(struct crypto_sha384 *h);

/* Derives a key with SEV's counter-mode KDF [sev 7.3]: HMAC-SHA-256(key, LE32(i) || label || 0 ||
 * context || LE32(bits)). */
void crypto_sev_kdf(const void *key, size_t key_size, const char *label, const void *context,
                    size_t context_size, void *out, size_t out_size);

/* Encrypts or decrypts with AES-128-CTR and a 128-bit big-endian counter [sev 7.1]; in place
 * allowed. */
void crypto_aes128_ctr(const u8 key[16], const u8 iv[16], const void *in, void *out, size_t size);

/* Seal and open with AES-256-GCM, a 12-byte IV and a 16-byte tag [snp 6.1]; in place allowed.
 * crypto_aes256_gcm_open returns false and zeros `out` if the tag is wrong. */
void crypto_aes256_gcm_seal(const u8 key[32], const u8 iv[12], const void *aad, size_t aad_size,
                            const void *in, void *out, size_t size, u8 tag[16]);
bool crypto_aes256_gcm_open(const u8 key[32], const u8 iv[12], const void *aad, size_t aad_size,
                            const void *in, void *out, size_t size, const u8 tag[16]);

/* --- The memory controller's page cipher ------------------------------------------------------ */

/* AES-128-XTS over 16-byte blocks. The unit is a 4 KiB frame, and the unit number is the frame's
 * system address >> 12. There is one object for each key; its use allocates nothing. `tweak_key` is
 * the machine's tweak secret. */
struct page_cipher;
struct page_cipher *page_cipher_create(const u8 key[16], const u8 tweak_key[16]);
void page_cipher_free(struct page_cipher *c); /* wipes the key; NULL is allowed */
void page_encrypt(struct page_cipher *c, u64 frame_number, const u8 in[4096], u8 out[4096]);
void page_decrypt(struct page_cipher *c, u64 frame_number, const u8 in[4096], u8 out[4096]);

/* --- Elliptic curves: NIST P-384 -------------------------------------------------------------- */

/* Coordinates and scalars are 48 bytes, LITTLE-endian, as in SEV's certificates (the caller handles
 * the other bytes of a 72-byte field). */

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
/* Makes a key from a scalar in 1..n-1 (little-endian); returns false if it is out of range. */
bool crypto_ec_from_scalar(const u8 d[48], struct ec_private *out);
/* Reads a key from a file of OpenSSL's: PKCS#8 or SEC 1, PEM or DER, not encrypted. Returns NULL on
 * success, otherwise a text that says what is wrong with the file. */
const char *crypto_ec_private_read(const void *data, size_t size, struct ec_private *out);
#define CRYPTO_EC_PEM_MAX 512u /* characters, including the NUL */
/* Writes PKCS#8 in PEM. Returns the characters before the NUL; 0 if it does not fit. */
size_t crypto_ec_private_pem(const struct ec_private *key, char *out, size_t size);
/* Derives a key as SEV derives the CEK [sev 7.10]: (r mod (n-1)) + 1, where r is a little-endian
 * integer. */
bool crypto_ec_from_wide(const void *r, size_t size, struct ec_private *out);
bool crypto_ec_on_curve(const struct ec_public *p);

enum crypto_hash { CRYPTO_SHA256, CRYPTO_SHA384 };

bool crypto_ecdsa_sign(struct crypto *c, const struct ec_private *key, enum crypto_hash hash,
                       const void *message, size_t size, struct ec_signature *out);
bool crypto_ecdsa_verify(const struct ec_public *key, enum crypto_hash hash, const void *message,
                         size_t size, const struct ec_signature *signature);
/* Computes the shared secret: the X coordinate, 48 bytes, BIG-endian [sev 7.3]. Returns false if
 * `theirs` is not on the curve. */
bool crypto_ecdh(const struct ec_private *mine, const struct ec_public *theirs, u8 z[48]);

/* Computes the public point of a scalar on secp256k1, big-endian, for the chip id [sev 7.10]. */
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
/* Export to and import from DER (PKCS#8), for the authority's key files. crypto_rsa_export returns
 * the size, 0 if it does not fit. */
size_t crypto_rsa_export(const struct rsa_private *key, void *out, size_t size);
struct rsa_private *crypto_rsa_import(const void *der, size_t size);
/* Make and verify a signature, a little-endian integer of bits/8 bytes. */
bool crypto_rsa_pss_sign(struct crypto *c, const struct rsa_private *key, enum crypto_hash hash,
                         const void *message, size_t size, u8 *signature);
bool crypto_rsa_pss_verify(const struct rsa_public *key, enum crypto_hash hash, const void *message,
                           size_t size, const u8 *signature);

/* --- Reading X.509 certificates (untrusted bytes) --------------------------------------------- */

struct crypto_certificate;

/* Reads one certificate in DER with nothing after it. Returns NULL if it is not a certificate, or
 * if memory is out. */
struct crypto_certificate *crypto_certificate_read(const void *der, size_t size);
void crypto_certificate_free(struct crypto_certificate *c); /* NULL is allowed */
bool crypto_certificate_equal(const struct crypto_certificate *a,
                              const struct crypto_certificate *b);
/* Returns true if the issuer's name in `c` is the subject's name in `issuer`. */
bool crypto_certificate_names(const struct crypto_certificate *c,
                              const struct crypto_certificate *issuer);
/* Verifies the signature. It must be RSASSA-PSS with SHA-384 and a salt of 48 bytes [snp 8.1]. */
bool crypto_certificate_signed_by(const struct crypto_certificate *c,
                                  const struct crypto_certificate *issuer);
/* Returns true if basicConstraints and keyUsage allow the certificate to sign others, with
 * `signers_below` signers between it and the last certificate. */
bool crypto_certificate_may_sign(const struct crypto_certificate *c, long signers_below);
/* Returns true, and the id of the extension, if a critical extension is neither basicConstraints
 * nor keyUsage. */
bool crypto_certificate_unknown_critical(const struct crypto_certificate *c, char *oid,
                                         size_t size);
bool crypto_certificate_valid_at(const struct crypto_certificate *c, s64 time); /* Unix time */
/* Writes the common name, cut to `size` including the NUL, with '?' for every character that is not
 * printable ASCII. */
void crypto_certificate_subject(const struct crypto_certificate *c, char *out, size_t size);
/* Returns false if the certificate's key is not on P-384. */
bool crypto_certificate_ec_key(const struct crypto_certificate *c, struct ec_public *out);
/* Returns how many extensions have this id ("1.3.6..."): 0, 1, or 2 for more than one. If there is
 * one, `data` points to the contents of its extnValue inside the certificate. */
int crypto_certificate_extension(const struct crypto_certificate *c, const char *oid,
                                 const u8 **data, size_t *size);
/* Returns the size; 0 if it does not fit. */
size_t crypto_certificate_der(const struct crypto_certificate *c, void *out, size_t size);

/* --- Reading X.509 revocation lists (untrusted bytes) ----------------------------------------- */

struct crypto_crl;

/* Reads a list as crypto_certificate_read reads a certificate. */
struct crypto_crl *crypto_crl_read(const void *der, size_t size);
void crypto_crl_free(struct crypto_crl *c); /* NULL is allowed */
bool crypto_crl_names(const struct crypto_crl *c, const struct crypto_certificate *issuer);
/* Verifies the signature as crypto_certificate_signed_by does; the issuer's keyUsage must allow it
 * to sign lists. */
bool crypto_crl_signed_by(const struct crypto_crl *c, const struct crypto_certificate *issuer);
/* Returns why a verifier cannot use this list: it is a delta, restricted or indirect, or it has a
 * critical extension. Returns NULL if the list can be used. */
const char *crypto_crl_unusable(const struct crypto_crl *c);
/* Returns true if both lists have a CRL number and that of `a` is higher. */
bool crypto_crl_newer(const struct crypto_crl *a, const struct crypto_crl *b);
bool crypto_crl_equal(const struct crypto_crl *a, const struct crypto_crl *b);
/* Returns true from thisUpdate to nextUpdate; a list without nextUpdate is never valid. */
bool crypto_crl_valid_at(const struct crypto_crl *c, s64 time);
/* Returns true if the list has the certificate's serial number. The list must come from the
 * certificate's issuer. */
bool crypto_crl_revokes(const struct crypto_crl *c, const struct crypto_certificate *certificate);

/* --- Files of certificates and revocation lists (untrusted bytes) ----------------------------- */

/* Growing lists: all zero before the first file is read; every file that is read adds to them. */
struct crypto_certificates {
    struct crypto_certificate **list;
    size_t count;
};

struct crypto_crls {
    struct crypto_crl **list;
    size_t count;
};

/* Adds everything that a file holds: one certificate or list in DER, or any number of them in PEM
 * with text between. If `certificates` is NULL, certificates are checked but not kept. Returns -1
 * if an entry cannot be read; the error names the entry, and the entries before it have been
 * added. */
int crypto_x509_read(const void *data, size_t size, struct crypto_certificates *certificates,
                     struct crypto_crls *lists, struct error *e);
void crypto_certificates_free(struct crypto_certificates *c);
void crypto_crls_free(struct crypto_crls *c);

/* --- Making X.509 certificates and revocation lists ------------------------------------------- */

/* The parts of a name, in this order; NULL parts are left out. The country is a PrintableString,
 * the others are UTF8Strings. */
struct x509_name {
    const char *unit, *country, *locality, *state, *organization, *common;
};

struct x509_extension {
    const char *oid; /* "2.5.29.15" */
    bool critical;
    const void *value; /* contents of extnValue, unchanged */
    size_t size;
};

/* A certificate, signed with RSASSA-PSS: SHA-384, MGF1 with SHA-384, a salt of 48 bytes, all three
 * explicit [snp 8.1]. */
struct x509_certificate {
    u64 serial;
    struct x509_name issuer, subject;
    s64 not_before, not_after;    /* Unix time, from 1970 to the end of 9999 */
    const struct rsa_public *rsa; /* the subject's key; NULL: it is `ec` */
    const struct ec_public *ec;   /* on P-384 */
    const struct x509_extension *extensions;
    size_t extension_count;
};

struct x509_list {
    struct x509_name issuer;
    s64 this_update, next_update; /* Unix time */
    const u64 *revoked;           /* serial numbers; all are revoked at this_update */
    size_t revoked_count;
    const struct x509_extension *extensions;
    size_t extension_count;
};

/* The signer. The salt of a signature depends only on `salt_key` and on the signed bytes, so that
 * making the same certificate again gives the same bytes. */
struct x509_signer {
    struct crypto *crypto; /* made with a seed; seeded again for each signature */
    const u8 *salt_key;    /* 32 bytes; as secret as the key itself */
    const struct rsa_private *key;
    bool trailer; /* PSS parameters have the trailer field, although 1 is its default */
};

/* Write DER into `out` and return its size; 0 if it does not fit, a time is out of range or OpenSSL
 * refuses. */
size_t crypto_x509_certificate(const struct x509_signer *signer,
                               const struct x509_certificate *what, void *out, size_t size);
size_t crypto_x509_list(const struct x509_signer *signer, const struct x509_list *what, void *out,
                        size_t size);
/* Computes a key's identifier: SHA-1 of its BIT STRING [RFC 5280 4.2.1.2]. */
void crypto_x509_key_id(const struct rsa_public *key, u8 id[20]);

/* Writes DER as PEM; `label` is "CERTIFICATE", "X509 CRL", ... Returns the size (no NUL is
 * written), 0 if it does not fit. */
size_t crypto_pem(const char *label, const void *der, size_t der_size, char *out, size_t size);

#endif
