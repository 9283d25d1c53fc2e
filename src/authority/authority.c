/* SPDX-License-Identifier: Apache-2.0 */
/* A manufacturer in software: two RSA keys, their certificates,
 * and the signature on a chip's CEK. */
#include "authority/authority.h"

#include "base/bytes.h"

#include <stdlib.h>

struct authority {
    struct rsa_private *ark_key, *ask_key;
    struct amd_chain chain;
};

/* A key's id: who it is in letters, then what tells it from the next one's. Eleven letters,
 * five bytes. */
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

struct authority *authority_create(struct crypto *c, u32 bits)
{
    struct authority *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->ark_key = crypto_rsa_generate(c, bits);
    a->ask_key = crypto_rsa_generate(c, bits);
    if (!a->ark_key || !a->ask_key || !make_certificates(c, a)) {
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
    free(a);
}

/*
 * Exported: magic, version, then four items, each a size and that many bytes: the ARK's and the
 * ASK's private key (PKCS#8), the ASK's and the ARK's certificate.
 */
#define EXPORT_MAGIC   0x4854554156455353ull /* "SSEVAUTH" */
#define EXPORT_VERSION 1u

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
    if (version != EXPORT_VERSION)
        return error_set(e, ERROR_STATE,
                         "an authority's file of version %u; this program knows version %u",
                         version, EXPORT_VERSION);
    a->ark_key = read_key(r);
    a->ask_key = read_key(r);
    if (!a->ark_key || !a->ask_key)
        return error_set(e, ERROR_STATE, "a private key does not parse");
    struct cert_verdict v = {.subject = "ASK", .check = read_cert(r, &a->chain.ask)};
    if (v.check == CERT_OK)
        v = (struct cert_verdict){.subject = "ARK", .check = read_cert(r, &a->chain.ark)};
    if (cert_verdict_error(&v, ERROR_STATE, e))
        return -1;
    if (r->bad || reader_left(r))
        return error_set(e, ERROR_STATE, "cut short, or bytes left over");
    v = chain_verify_root(&a->chain);
    if (cert_verdict_error(&v, ERROR_STATE, e))
        return -1;
    if (!key_is(a->ark_key, &a->chain.ark) || !key_is(a->ask_key, &a->chain.ask))
        return error_set(e, ERROR_STATE, "keys and certificates do not belong together");
    return 0;
}

struct authority *authority_import(const void *data, size_t size, struct error *e)
{
    struct reader r = reader_of(data, size);
    struct authority *a = calloc(1, sizeof *a);
    if (!a) {
        error_set(e, ERROR_INTERNAL, "out of memory");
    } else if (read_authority(&r, a, e)) {
        authority_free(a);
        a = NULL;
    }
    return a;
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
