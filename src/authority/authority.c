/* SPDX-License-Identifier: Apache-2.0 */
/* A manufacturer in software: its RSA keys, their certificates in AMD's binary form, and its
 * signature on a chip's CEK. */
#include "authority/internal.h"

#include "base/bytes.h"

#include <stdlib.h>

/* A key's id: eleven letters that name the key, then five bytes that differ from key to key. */
#define ID_NAME_SIZE 11u
static const char ark_name[ID_NAME_SIZE + 1] = "softsev ARK";
static const char ask_name[ID_NAME_SIZE + 1] = "softsev ASK";

static void make_id(const char *name, const struct rsa_public *key, u8 id[16])
{
    u8 digest[32];
    crypto_sha256(key->modulus, key->bits / 8, digest);
    memcpy(id, name, ID_NAME_SIZE);
    memcpy(id + ID_NAME_SIZE, digest, 16 - ID_NAME_SIZE);
}

static bool make_certificates(struct crypto *c, struct authority *a)
{
    struct rsa_public ark, ask;
    u8 ark_id[16], ask_id[16];
    crypto_rsa_public(a->ark_key, &ark);
    crypto_rsa_public(a->ask_key, &ask);
    make_id(ark_name, &ark, ark_id);
    make_id(ask_name, &ask, ask_id);
    amd_cert_init(&a->chain.ark, SEV_USAGE_ARK, ark_id, ark_id, &ark);
    amd_cert_init(&a->chain.ask, SEV_USAGE_ASK, ask_id, ark_id, &ask);
    return amd_cert_sign(c, &a->chain.ark, a->ark_key) &&
           amd_cert_sign(c, &a->chain.ask, a->ark_key);
}

/* Derives secrets from the ARK's private key: the key of the salts, and the ASVK if the file has
 * none. */
static bool derive(struct authority *a)
{
    u8 der[4096], secret[32], seed[32];
    size_t size = crypto_rsa_export(a->ark_key, der, sizeof der);
    crypto_sha256(der, size, secret);
    crypto_sev_kdf(secret, sizeof secret, "softsev-authority-salts", NULL, 0, a->salt_key,
                   sizeof a->salt_key);
    crypto_sev_kdf(secret, sizeof secret, "softsev-authority-sticks", NULL, 0, a->stick_key,
                   sizeof a->stick_key);
    crypto_sev_kdf(secret, sizeof secret, "softsev-authority-asvk", NULL, 0, seed, sizeof seed);
    a->salts = size ? crypto_create(seed, sizeof seed) : NULL;
    if (a->salts && !a->asvk_key)
        a->asvk_key = crypto_rsa_generate(a->salts, a->chain.ark.header.modulus_bits);
    crypto_wipe(der, sizeof der);
    crypto_wipe(secret, sizeof secret);
    crypto_wipe(seed, sizeof seed);
    return a->salts && a->asvk_key;
}

struct authority *authority_create(struct crypto *c, u32 bits)
{
    struct authority *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->ark_key = crypto_rsa_generate(c, bits);
    a->ask_key = crypto_rsa_generate(c, bits);
    if (!a->ark_key || !a->ask_key || !make_certificates(c, a) || !derive(a)) {
        authority_free(a);
        return NULL;
    }
    return a;
}

void authority_free(struct authority *a)
{
    if (!a)
        return;
    crypto_rsa_free(a->ark_key);
    crypto_rsa_free(a->ask_key);
    crypto_rsa_free(a->asvk_key);
    crypto_destroy(a->salts);
    crypto_wipe(a, sizeof *a);
    free(a);
}

/*
 * The export format: magic, version, then items, each with its size and that many bytes: the
 * private keys of ARK and ASK (PKCS#8), the certificates of ASK and ARK, and from version 2 on the
 * private key of the ASVK. A file of version 1 is read too: its ASVK derives from the ARK's key,
 * just as a new one does.
 */
#define EXPORT_MAGIC        0x4854554156455353ull /* "SSEVAUTH" */
#define EXPORT_VERSION      2u
#define EXPORT_WITHOUT_ASVK 1u

static void write_key(struct writer *w, const struct rsa_private *key)
{
    u8 der[4096];
    size_t size = crypto_rsa_export(key, der, sizeof der);
    write_u32(w, (u32)size);
    write_bytes(w, der, size);
    crypto_wipe(der, sizeof der);
}

static void write_cert(struct writer *w, const struct amd_cert *cert)
{
    write_u32(w, cert->size);
    write_bytes(w, cert->bytes, cert->size);
}

size_t authority_export(const struct authority *a, void *out, size_t size)
{
    struct writer w = writer_of(out, size);
    write_u64(&w, EXPORT_MAGIC);
    write_u32(&w, EXPORT_VERSION);
    write_key(&w, a->ark_key);
    write_key(&w, a->ask_key);
    write_cert(&w, &a->chain.ask);
    write_cert(&w, &a->chain.ark);
    write_key(&w, a->asvk_key);
    return w.bad ? 0 : w.at;
}

static struct rsa_private *read_key(struct reader *r)
{
    u32 size = read_u32(r);
    const u8 *der = read_view(r, size);
    return der ? crypto_rsa_import(der, size) : NULL;
}

static enum cert_check read_cert(struct reader *r, struct amd_cert *cert)
{
    u32 size = read_u32(r);
    const u8 *bytes = read_view(r, size);
    enum cert_check check = bytes ? amd_cert_parse(bytes, size, cert) : CERT_LENGTH;
    return check == CERT_OK && cert->size != size ? CERT_LENGTH : check;
}

static bool key_is(const struct rsa_private *key, const struct amd_cert *cert)
{
    struct rsa_public mine, theirs;
    crypto_rsa_public(key, &mine);
    amd_cert_public(cert, &theirs);
    return mine.bits == theirs.bits && !memcmp(mine.modulus, theirs.modulus, mine.bits / 8);
}

static int read_authority(struct reader *r, struct authority *a, struct error *e)
{
    if (read_u64(r) != EXPORT_MAGIC)
        return error_set(e, ERROR_STATE, "not an authority's file");
    u32 version = read_u32(r);
    if (version != EXPORT_VERSION && version != EXPORT_WITHOUT_ASVK)
        return error_set(e, ERROR_STATE,
                         "an authority's file of version %u; this program knows versions %u and %u",
                         version, EXPORT_WITHOUT_ASVK, EXPORT_VERSION);
    a->ark_key = read_key(r);
    a->ask_key = read_key(r);
    if (!a->ark_key || !a->ask_key)
        return error_set(e, ERROR_STATE, "a private key does not parse");
    struct cert_verdict v = {.subject = "ASK", .check = read_cert(r, &a->chain.ask)};
    if (v.check == CERT_OK)
        v = (struct cert_verdict){.subject = "ARK", .check = read_cert(r, &a->chain.ark)};
    if (cert_verdict_error(&v, ERROR_STATE, e))
        return -1;
    a->older = version == EXPORT_WITHOUT_ASVK;
    if (!a->older && !(a->asvk_key = read_key(r)))
        return error_set(e, ERROR_STATE, "a private key does not parse");
    if (r->bad || reader_left(r))
        return error_set(e, ERROR_STATE, "cut short, or bytes left over");
    v = chain_verify_root(&a->chain);
    if (cert_verdict_error(&v, ERROR_STATE, e))
        return -1;
    if (!key_is(a->ark_key, &a->chain.ark) || !key_is(a->ask_key, &a->chain.ask))
        return error_set(e, ERROR_STATE, "keys and certificates do not belong together");
    return derive(a) ? 0 : error_set(e, ERROR_INTERNAL, "the ASVK cannot be made");
}

struct authority *authority_import(const void *data, size_t size, struct error *e)
{
    struct reader r = reader_of(data, size);
    struct authority *a = calloc(1, sizeof *a);
    if (!a) {
        error_set(e, ERROR_MEMORY, "out of memory");
    } else if (read_authority(&r, a, e)) {
        authority_free(a);
        a = NULL;
    }
    return a;
}

bool authority_is_older(const struct authority *a)
{
    return a->older;
}

const struct amd_chain *authority_chain(const struct authority *a)
{
    return &a->chain;
}

size_t authority_root_file(const struct authority *a, void *out, size_t size)
{
    struct writer w = writer_of(out, size);
    write_bytes(&w, a->chain.ask.bytes, a->chain.ask.size);
    write_bytes(&w, a->chain.ark.bytes, a->chain.ark.size);
    return w.bad ? 0 : w.at;
}

bool authority_sign_cek(struct crypto *c, const struct authority *a, struct sev_cert *cek)
{
    return sev_cert_check(cek, SEV_USAGE_CEK) == CERT_OK &&
           sev_cert_sign_rsa(c, cek, 0, SEV_USAGE_ASK, a->ask_key);
}
