/* SPDX-License-Identifier: Apache-2.0 */
/* AMD's certificate format for ARK and ASK [sev 8.5]. */
#include "protocol/internal.h"

#include "base/bytes.h"

static u32 field_bytes(const struct amd_cert_header *h)
{
    return h->modulus_bits / 8;
}

static const u8 *exponent_of(const struct amd_cert *cert)
{
    return cert->bytes + sizeof cert->header;
}

static const u8 *modulus_of(const struct amd_cert *cert)
{
    return exponent_of(cert) + field_bytes(&cert->header);
}

/* Returns the size of everything before the signature; an unsigned certificate ends there. */
static u32 signed_size(const struct amd_cert_header *h)
{
    return (u32)sizeof *h + 2 * field_bytes(h);
}

static bool is_signed(const struct amd_cert *cert)
{
    return cert->size > signed_size(&cert->header);
}

static enum cert_check check_header(const struct amd_cert_header *h)
{
    if (h->version != SEV_CERT_VERSION)
        return CERT_VERSION;
    if (h->usage != SEV_USAGE_ARK && h->usage != SEV_USAGE_ASK)
        return CERT_USAGE;
    if ((h->modulus_bits != 2048 && h->modulus_bits != 4096) || h->exponent_bits != h->modulus_bits)
        return CERT_KEY_SIZE;
    return CERT_OK;
}

static enum cert_check check_key(const struct amd_cert *cert)
{
    const u8 *exponent = exponent_of(cert);
    u32 size = field_bytes(&cert->header);
    u8 more = 0;
    for (u32 i = 4; i < size; i++)
        more |= exponent[i];
    if (load_le32(exponent) != 65537 || more)
        return CERT_EXPONENT;
    return modulus_of(cert)[size - 1] & 0x80 ? CERT_OK : CERT_KEY_SIZE;
}

enum cert_check amd_cert_parse(const void *data, size_t size, struct amd_cert *out)
{
    struct reader r = reader_of(data, size);
    memset(out, 0, sizeof *out);
    read_bytes(&r, &out->header, sizeof out->header);
    if (r.bad)
        return CERT_LENGTH;
    enum cert_check check = check_header(&out->header);
    if (check != CERT_OK)
        return check;
    out->size = AMD_CERT_SIZE(out->header.modulus_bits);
    if (size == AMD_CERT_SIZE_UNSIGNED && out->header.modulus_bits == 2048 &&
        out->header.usage == SEV_USAGE_ARK)
        out->size = AMD_CERT_SIZE_UNSIGNED;
    reader_seek(&r, 0);
    read_bytes(&r, out->bytes, out->size);
    return r.bad ? CERT_LENGTH : check_key(out);
}

void amd_cert_public(const struct amd_cert *cert, struct rsa_public *out)
{
    memset(out, 0, sizeof *out);
    out->bits = cert->header.modulus_bits;
    memcpy(out->exponent, exponent_of(cert), field_bytes(&cert->header));
    memcpy(out->modulus, modulus_of(cert), field_bytes(&cert->header));
}

void amd_cert_init(struct amd_cert *out, enum sev_usage usage, const u8 key_id[16],
                   const u8 certifying_id[16], const struct rsa_public *key)
{
    memset(out, 0, sizeof *out);
    out->header.version = SEV_CERT_VERSION;
    memcpy(out->header.key_id, key_id, 16);
    memcpy(out->header.certifying_id, certifying_id, 16);
    out->header.usage = usage;
    out->header.exponent_bits = key->bits;
    out->header.modulus_bits = key->bits;
    out->size = AMD_CERT_SIZE(key->bits);
    struct writer w = writer_of(out->bytes, out->size);
    write_bytes(&w, &out->header, sizeof out->header);
    write_bytes(&w, key->exponent, key->bits / 8);
    write_bytes(&w, key->modulus, key->bits / 8);
}

bool amd_cert_sign(struct crypto *c, struct amd_cert *cert, const struct rsa_private *key)
{
    u32 size = signed_size(&cert->header);
    return crypto_rsa_pss_sign(c, key, rsa_hash(cert->header.modulus_bits), cert->bytes, size,
                               cert->bytes + size);
}

enum cert_check amd_cert_verify(const struct amd_cert *child, const struct amd_cert *parent)
{
    struct rsa_public key;
    if (memcmp(child->header.certifying_id, parent->header.key_id, 16))
        return CERT_ISSUER;
    if (child->header.modulus_bits != parent->header.modulus_bits)
        return CERT_KEY_SIZE;
    if (!is_signed(child))
        return child == parent ? CERT_OK : CERT_UNSIGNED;
    amd_cert_public(parent, &key);
    u32 size = signed_size(&child->header);
    return crypto_rsa_pss_verify(&key, rsa_hash(key.bits), child->bytes, size, child->bytes + size)
               ? CERT_OK
               : CERT_SIGNATURE;
}

struct cert_verdict amd_chain_parse(const void *data, size_t size, struct amd_chain *out)
{
    const u8 *bytes = data;
    struct cert_verdict v = {.subject = "ASK"};
    v.check = amd_cert_parse(bytes, size, &out->ask);
    if (v.check == CERT_OK && out->ask.header.usage != SEV_USAGE_ASK)
        v.check = CERT_USAGE;
    if (v.check != CERT_OK)
        return v;
    v.subject = "ARK";
    v.check = amd_cert_parse(bytes + out->ask.size, size - out->ask.size, &out->ark);
    if (v.check == CERT_OK && out->ark.header.usage != SEV_USAGE_ARK)
        v.check = CERT_USAGE;
    if (v.check == CERT_OK && out->ask.size + out->ark.size != size)
        v.check = CERT_LENGTH;
    return v;
}
