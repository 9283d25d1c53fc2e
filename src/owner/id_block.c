/* SPDX-License-Identifier: Apache-2.0 */
/* ID blocks signed, checked, and compared with reports; see id_block.h. */
#include "owner/id_block.h"

#include "base/bytes.h"
#include "protocol/protocol.h"

static int check_policy(u64 policy, enum error_code code, struct error *e)
{
    if ((policy & SNP_POLICY_ONE) && !(policy & SNP_POLICY_RESERVED))
        return 0;
    return error_set(e, code,
                     "guest policy 0x%llx: bit 17 must be one, bits 63:26 zero, such as 0x30000",
                     (unsigned long long)policy);
}

int id_block_sign(struct crypto *c, struct snp_id_block *block, const struct ec_private *id_key,
                  const struct ec_private *author, struct snp_id_auth *auth, struct error *e)
{
    block->version = 1;
    *auth = (struct snp_id_auth){.id_key_algo = SNP_KEY_ALGO_ECDSA_P384_SHA384,
                                 .auth_key_algo = author ? SNP_KEY_ALGO_ECDSA_P384_SHA384 : 0};
    if (check_policy(block->policy, ERROR_USAGE, e))
        return -1;
    snp_public_key_put(&auth->id_key, &id_key->public);
    bool good = snp_sign(c, id_key, block, sizeof *block, &auth->id_block_signature);
    if (author) {
        snp_public_key_put(&auth->author_key, &author->public);
        good = good &&
               snp_sign(c, author, &auth->id_key, sizeof auth->id_key, &auth->id_key_signature);
    }
    return good ? 0 : error_set(e, ERROR_INTERNAL, "OpenSSL does not sign with these keys");
}

void id_block_key_digest(const struct snp_public_key *key, u8 digest[48])
{
    crypto_sha384(key, sizeof *key, digest);
}

bool id_block_has_author(const struct snp_id_auth *auth)
{
    return !all_zero(&auth->author_key, sizeof auth->author_key);
}

/* --- Check ------------------------------------------------------------------------------------ */

static int check_form(const struct snp_id_block *b, const struct snp_id_auth *a, struct error *e)
{
    bool author = id_block_has_author(a);
    if (b->version != 1)
        return error_set(e, ERROR_FILE, "an ID block of version %u; 1 is known", b->version);
    if (a->id_key_algo != SNP_KEY_ALGO_ECDSA_P384_SHA384)
        return error_set(e, ERROR_FILE, "ID_KEY_ALGO is %u; 1, ECDSA P-384 with SHA-384, is known",
                         a->id_key_algo);
    if (author && a->auth_key_algo != SNP_KEY_ALGO_ECDSA_P384_SHA384)
        return error_set(e, ERROR_FILE,
                         "AUTH_KEY_ALGO is %u; 1, ECDSA P-384 with SHA-384, is known",
                         a->auth_key_algo);
    if (!all_zero(a->reserved_008, sizeof a->reserved_008) ||
        !all_zero(a->reserved_644, sizeof a->reserved_644) ||
        !all_zero(a->reserved_c84, sizeof a->reserved_c84))
        return error_set(e, ERROR_FILE, "the ID auth page has reserved bytes that are not zero");
    return 0;
}

/* Checks the signature of `size` bytes at `message` by a key of the page. */
static int check_signature(const char *what, const struct snp_public_key *by, const void *message,
                           size_t size, const struct snp_signature *signature, struct error *e)
{
    struct ec_public key;
    struct ec_signature s;
    if (!snp_public_key_get(by, &key))
        return error_set(e, ERROR_MEASUREMENT,
                         "%s: the key is not a point of P-384 (curve 2) in 48 of 72 bytes, "
                         "little-endian",
                         what);
    if (!snp_signature_get(signature, &s) ||
        !all_zero(signature->reserved_90, sizeof signature->reserved_90))
        return error_set(e, ERROR_MEASUREMENT,
                         "%s: R and S have to be 48 of 72 bytes, little-endian, zeros behind them",
                         what);
    if (!snp_verify(&key, message, size, signature))
        return error_set(e, ERROR_MEASUREMENT, "%s does not verify", what);
    return 0;
}

int id_block_check(const void *block, size_t block_size, const void *auth, size_t auth_size,
                   struct error *e)
{
    struct snp_id_block b;
    struct snp_id_auth a;
    if (block_size != sizeof b || auth_size != sizeof a)
        return error_set(e, ERROR_FILE,
                         "an ID block has %zu bytes and its auth page %zu; these have %zu and %zu",
                         sizeof b, sizeof a, block_size, auth_size);
    memcpy(&b, block, sizeof b);
    memcpy(&a, auth, sizeof a);
    if (check_form(&b, &a, e) || check_policy(b.policy, ERROR_FILE, e) ||
        check_signature("the ID block's signature by the ID key", &a.id_key, &b, sizeof b,
                        &a.id_block_signature, e))
        return -1;
    if (!id_block_has_author(&a))
        return 0;
    return check_signature("the ID key's signature by the author key", &a.author_key, &a.id_key,
                           sizeof a.id_key, &a.id_key_signature, e);
}

/* --- Compare ---------------------------------------------------------------------------------- */

static int compare_bytes(const char *field, const void *report, const void *block, size_t size,
                         struct error *e)
{
    char have[97], want[97];
    if (!memcmp(report, block, size))
        return 0;
    hex_encode(have, report, size);
    hex_encode(want, block, size);
    return error_set(e, ERROR_MEASUREMENT, "%s: the report has %s, the ID block %s", field, have,
                     want);
}

static int compare_number(const char *field, u64 report, u64 block, struct error *e)
{
    if (report == block)
        return 0;
    return error_set(e, ERROR_MEASUREMENT, "%s: the report has 0x%llx, the ID block 0x%llx", field,
                     (unsigned long long)report, (unsigned long long)block);
}

/* A launch may omit the author key (AUTH_KEY_EN) but cannot replace it. */
static int compare_author(const struct snp_report *r, const struct snp_id_auth *auth,
                          struct error *e)
{
    u8 digest[48] = {0};
    if (!(r->key_info & SNP_KEY_INFO_AUTHOR_KEY_EN))
        return id_block_has_author(auth)
                   ? error_set(e, ERROR_MEASUREMENT,
                               "author key: the guest was launched without (AUTH_KEY_EN)")
                   : 0;
    id_block_key_digest(&auth->author_key, digest);
    return compare_bytes("author key digest", r->author_key_digest, digest, sizeof digest, e);
}

int id_block_compare(const struct snp_report *r, const struct snp_id_block *b,
                     const struct snp_id_auth *auth, struct error *e)
{
    u8 id_key[48];
    id_block_key_digest(&auth->id_key, id_key);
    return compare_bytes("ID key digest", r->id_key_digest, id_key, sizeof id_key, e) ||
                   compare_author(r, auth, e) ||
                   compare_bytes("measurement", r->measurement, b->ld, sizeof b->ld, e) ||
                   compare_number("policy", r->policy, b->policy, e) ||
                   compare_number("guest SVN", r->guest_svn, b->guest_svn, e) ||
                   compare_bytes("family id", r->family_id, b->family_id, 16, e) ||
                   compare_bytes("image id", r->image_id, b->image_id, 16, e)
               ? -1
               : 0;
}
