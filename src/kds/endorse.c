/* SPDX-License-Identifier: Apache-2.0 */
/* Answers with certificates of a chip or a provider: VCEK, VLEK, hashsticks, CEK; and the cache of
 * recent certificates. */
#include "kds/internal.h"

#include "base/bytes.h"

#include <jansson.h>

static bool decode_hex(struct piece text, u8 *out, size_t size)
{
    if (text.size != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        const int high = hex_digit(text.at[2 * i]), low = hex_digit(text.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (u8)(high * 16 + low);
    }
    return true;
}

/* --- VCEK and VLEK ---------------------------------------------------------------------------- */

static struct cached *cache_slot(const struct request *r, const u8 chip_id[64])
{
    struct {
        u64 product, vlek, tcb;
        u8 chip_id[64];
    } key = {(u64)(r->product - authority_products), r->vlek, r->tcb, {0}};
    u8 hash[32];
    memcpy(key.chip_id, chip_id, sizeof key.chip_id);
    crypto_sha256(&key, sizeof key, hash);
    return &r->kds->cache[load_le32(hash) % CACHE_ENTRIES];
}

/* Makes the certificate. */
static size_t endorse(const struct request *r, const u8 fuses[32], const char *csp_id, u8 *der)
{
    const struct kds_config *c = &r->kds->config;
    if (r->vlek)
        return authority_vlek(c->authority, r->product, csp_id, r->tcb, &c->terms, der,
                              CACHE_DER_MAX);
    return authority_vcek(c->authority, r->product,
                          c->book.product_name(c->book.context, r->product), fuses, r->tcb,
                          &c->terms, der, CACHE_DER_MAX);
}

/* Answers with the certificate. `chip_id`: 64 bytes, zero beyond the product's size; all zero for a
 * VLEK. */
static void give_endorsement(struct request *r, const u8 chip_id[64], const u8 fuses[32])
{
    struct cached *slot = cache_slot(r, chip_id);
    bool hit = slot->product == r->product && slot->vlek == r->vlek && slot->tcb == r->tcb &&
               !memcmp(slot->chip_id, chip_id, sizeof slot->chip_id);
    if (!hit) {
        slot->product = NULL;
        size_t size = endorse(r, fuses, r->kds->config.csp_id, slot->der);
        if (!size) {
            kds_refuse(r->out, 500, "the certificate cannot be made");
            return;
        }
        slot->product = r->product;
        slot->vlek = r->vlek;
        slot->tcb = r->tcb;
        slot->size = (u16)size;
        memcpy(slot->chip_id, chip_id, sizeof slot->chip_id);
    }
    kds_give(r->out, TYPE_DER, slot->der, slot->size);
}

/* Answers with a correctly signed certificate of another chip or provider. */
static void give_wrong(struct request *r, const u8 fuses[32])
{
    u8 der[CACHE_DER_MAX], other_fuses[32];
    memcpy(other_fuses, fuses, sizeof other_fuses);
    other_fuses[31] ^= 1;
    size_t size = endorse(r, other_fuses, "another provider", der);
    crypto_wipe(other_fuses, sizeof other_fuses);
    if (size)
        kds_give(r->out, TYPE_DER, der, size);
    else
        kds_refuse(r->out, 500, "the certificate cannot be made");
}

static bool find_chip(struct request *r, struct piece text, u8 chip_id[64], u8 fuses[32])
{
    const struct kds_book *book = &r->kds->config.book;
    memset(chip_id, 0, 64);
    return decode_hex(text, chip_id, r->product->chip_id_size) &&
           book->chip(book->context, r->product, chip_id, fuses);
}

void kds_answer_vcek(struct request *r, bool wrong)
{
    u8 chip_id[64] = {0}, fuses[32];
    const size_t digits = 2 * r->product->chip_id_size;
    if (!decode_hex(r->what, chip_id, r->product->chip_id_size)) {
        /* An id of another part's size is a valid id: AMD's service answers that it knows no such
         * chip. */
        bool other = decode_hex(r->what, chip_id, 64) || decode_hex(r->what, chip_id, 8);
        kds_refuse(r->out, other ? 404 : 400,
                   "'%.*s' is neither cert_chain nor crl nor a chip's id: that of a %s has %zu "
                   "hexadecimal digits, "
                   "this has %zu characters",
                   SHOW(r->what), r->product->name, digits, r->what.size);
        return;
    }
    if (!kds_parse_tcb(r))
        return;
    if (!find_chip(r, r->what, chip_id, fuses))
        kds_refuse(
            r->out, 404,
            "there is no %s with this id: known are the chip of the state directory and those "
            "of --seed",
            r->product->name);
    else if (wrong)
        give_wrong(r, fuses);
    else
        give_endorsement(r, chip_id, fuses);
    crypto_wipe(fuses, sizeof fuses);
}

void kds_answer_vlek(struct request *r, bool wrong)
{
    static const u8 none[64];
    if (!kds_parse_tcb(r))
        return;
    if (wrong)
        give_wrong(r, none);
    else
        give_endorsement(r, none, none);
}

/* --- Hashsticks ------------------------------------------------------------------------------- */

static json_t *wrap_stick(struct request *r, struct piece id)
{
    struct snp_wrapped_vlek wrapped;
    u8 chip_id[64], fuses[32], iv[12], stick[SNP_VLEK_STICK_SIZE];
    char hex[2 * sizeof wrapped + 1];
    if (!find_chip(r, id, chip_id, fuses))
        return json_string("not found");
    authority_vlek_stick(r->kds->config.authority, r->product, r->kds->config.csp_id, stick);
    crypto_random(r->kds->config.crypto, iv, sizeof iv);
    vlek_wrap(fuses, r->tcb, iv, stick, &wrapped);
    hex_encode(hex, &wrapped, sizeof wrapped);
    crypto_wipe(stick, sizeof stick);
    crypto_wipe(fuses, sizeof fuses);
    return json_string(hex);
}

/* Answers {"hwids":["..."]} with {"results":[{"...":"..."}]}. Returns NULL if it refused the
 * request. */
static json_t *wrap_sticks(struct request *r, const json_t *asked)
{
    const json_t *ids = json_object_get(asked, "hwids");
    if (!json_is_array(ids) || !json_array_size(ids) || json_array_size(ids) > KDS_HWIDS_MAX) {
        kds_refuse(r->out, 400, "the body must be {\"hwids\":[\"...\"]} with 1 to %u ids",
                   KDS_HWIDS_MAX);
        return NULL;
    }
    json_t *results = json_array();
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        const char *text = json_string_value(id);
        if (!text || json_string_length(id) > 128) {
            kds_refuse(r->out, 400, "hwids[%zu] is not a text of at most 128 characters", i);
            json_decref(results);
            return NULL;
        }
        json_t *one = json_object();
        json_object_set_new(one, text, wrap_stick(r, (struct piece){text, strlen(text)}));
        json_array_append_new(results, one);
    }
    return json_pack("{s:o}", "results", results);
}

void kds_answer_sticks(struct request *r)
{
    json_error_t why;
    if (!kds_parse_tcb(r))
        return;
    json_t *asked = json_loadb(r->body, r->body_size, 0, &why);
    if (!asked) {
        kds_refuse(r->out, 400, "the body is no JSON: %s", why.text);
        return;
    }
    json_t *results = wrap_sticks(r, asked);
    json_decref(asked);
    if (!results)
        return;
    size_t size = json_dumpb(results, (char *)r->out->body, KDS_BODY_MAX, JSON_COMPACT);
    json_decref(results);
    if (!size || size > KDS_BODY_MAX) {
        kds_refuse(r->out, 400, "the answer would be too long; ask for fewer hwids");
        return;
    }
    r->out->status = 200;
    r->out->content_type = TYPE_JSON;
    r->out->size = size;
}

/* --- The legacy chip key ---------------------------------------------------------------------- */

/* Answers with the signed CEK of the chip with this id, as SEV's own tools ask for it. */
void kds_answer_cek(struct request *r)
{
    u8 chip_id[64], fuses[32];
    struct ec_private key;
    struct sev_cert cek;
    r->product = &authority_products[0]; /* a product with ids of full length */
    if (!find_chip(r, r->what, chip_id, fuses)) {
        kds_refuse(r->out, r->what.size == 128 ? 404 : 400,
                   "there is no chip with this id; ids have 128 hexadecimal digits");
        return;
    }
    bool good = identity_cek(fuses, &key);
    crypto_wipe(fuses, sizeof fuses);
    if (good) {
        sev_cert_init(&cek, SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA256, 0, 14, &key.public);
        good = authority_sign_cek(r->kds->config.crypto, r->kds->config.authority, &cek);
    }
    crypto_wipe(&key, sizeof key);
    if (good)
        kds_give(r->out, TYPE_DER, &cek, sizeof cek);
    else
        kds_refuse(r->out, 500, "the certificate cannot be made");
}
