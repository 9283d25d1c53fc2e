/* SPDX-License-Identifier: Apache-2.0 */
/* A request and its response; see kds.h. */
#include "kds/internal.h"

#include "base/bytes.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TYPE_DER  "application/octet-stream"
#define TYPE_PEM  "application/x-pem-file"
#define TYPE_LIST "application/pkix-crl"
#define TYPE_JSON "application/json"
#define TYPE_TEXT "text/plain; charset=utf-8"

/* A request taken apart; the texts are parts of the URL, not ended by NUL. */
struct piece {
    const char *at;
    size_t size;
};

struct request {
    struct kds *kds;
    bool get, post;
    bool vlek;
    const struct authority_product *product;
    struct piece what, query; /* the last part of the path; what follows '?' */
    u64 tcb;
    const void *body;
    size_t body_size;
    struct kds_response *out;
};

/* --- Answers ------------------------------------------------------------------------------------------ */

/* A refusal says in a sentence what was wrong and what would be right. */
static void refuse(struct kds_response *out, u32 status, const char *format, ...) PRINTF_LIKE(3, 4);
static void refuse(struct kds_response *out, u32 status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf((char *)out->body, 1000, format, arguments);
    va_end(arguments);
    size_t size = n < 0 ? 0 : n > 999 ? 999 : (size_t)n;
    out->body[size++] = '\n';
    for (size_t i = 0; i + 1 < size; i++) /* it quotes the request */
        if (out->body[i] < ' ' || out->body[i] > '~')
            out->body[i] = '?';
    out->status = status;
    out->content_type = TYPE_TEXT;
    out->size = size;
}

static void give(struct kds_response *out, const char *type, const void *data, size_t size)
{
    memcpy(out->body, data, size);
    out->status = 200;
    out->content_type = type;
    out->size = size;
}

/* For %.*s: never more than a line has room for. */
#define SHOW(piece) (int)((piece).size < 160 ? (piece).size : 160), (piece).at

/* --- Addresses ---------------------------------------------------------------------------------------- */

static bool piece_is(struct piece p, const char *text)
{
    return p.size == strlen(text) && !memcmp(p.at, text, p.size);
}

/* What is before the first of `separators` comes off the front; all if there is none. */
static struct piece take(struct piece *from, const char *separators)
{
    size_t n = 0;
    while (n < from->size && !strchr(separators, from->at[n]))
        n++;
    struct piece out = {from->at, n};
    size_t skip = n < from->size ? n + 1 : n;
    from->at += skip;
    from->size -= skip;
    return out;
}

static u32 hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? (u32)(c - '0')
           : c >= 'a' && c <= 'f' ? (u32)(c - 'a' + 10)
           : c >= 'A' && c <= 'F' ? (u32)(c - 'A' + 10)
                                  : 16;
}

static bool decode_hex(struct piece text, u8 *out, size_t size)
{
    if (text.size != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        u32 high = hex_digit(text.at[2 * i]), low = hex_digit(text.at[2 * i + 1]);
        if (high > 15 || low > 15)
            return false;
        out[i] = (u8)(high << 4 | low);
    }
    return true;
}

/* --- The TCB in a query ------------------------------------------------------------------------------- */

enum spl { SPL_FMC, SPL_BL, SPL_TEE, SPL_SNP, SPL_UCODE, SPLS };
static const char *const spl_names[SPLS] = {"fmcSPL", "blSPL", "teeSPL", "snpSPL", "ucodeSPL"};

/* A decimal number of 0 to 255, padded with zeros or not. */
static bool parse_spl(struct piece text, u8 *out)
{
    u32 value = 0;
    for (size_t i = 0; i < text.size && value <= 255; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (u32)(text.at[i] - '0');
    }
    *out = (u8)value;
    return text.size && text.size <= 10 && value <= 255;
}

static bool parse_one(struct request *r, struct piece parameter, u8 value[SPLS], u32 *seen)
{
    struct piece rest = parameter, name = take(&rest, "=");
    u32 i = 0;
    while (i < SPLS && !piece_is(name, spl_names[i]))
        i++;
    if (i == SPLS || (i == SPL_FMC && r->product->layout != SNP_TCB_TURIN))
        refuse(r->out, 400, "'%.*s' is no part of the TCB of a %s", SHOW(name), r->product->name);
    else if (*seen & BIT(i))
        refuse(r->out, 400, "%s is there twice", spl_names[i]);
    else if (!parse_spl(rest, &value[i]))
        refuse(r->out, 400, "%s is '%.*s'; it must be a number of 0 to 255", spl_names[i],
               SHOW(rest));
    else
        *seen |= (u32)BIT(i);
    return i < SPLS && (*seen & BIT(i)) && r->out->status == 0;
}

static bool parse_tcb(struct request *r)
{
    const bool turin = r->product->layout == SNP_TCB_TURIN;
    u8 value[SPLS] = {0};
    u32 seen = 0;
    for (struct piece query = r->query; query.size;)
        if (!parse_one(r, take(&query, "&"), value, &seen))
            return false;
    for (u32 i = turin ? SPL_FMC : SPL_BL; i < SPLS; i++) {
        if (seen & BIT(i))
            continue;
        refuse(r->out, 400, "%s is missing; a %s needs ?%sblSPL=..&teeSPL=..&snpSPL=..&ucodeSPL=..",
               spl_names[i], r->product->name, turin ? "fmcSPL=..&" : "");
        return false;
    }
    r->tcb = snp_tcb_pack(r->product->layout, (struct snp_tcb){.fmc = value[SPL_FMC],
                                                               .boot_loader = value[SPL_BL],
                                                               .tee = value[SPL_TEE],
                                                               .snp = value[SPL_SNP],
                                                               .microcode = value[SPL_UCODE]});
    return true;
}

/* --- VCEK and VLEK ------------------------------------------------------------------------------------ */

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

/* The certificate, made now. */
static size_t endorse(const struct request *r, const u8 *chip_id, const u8 fuses[32],
                      const char *csp_id, u8 *der)
{
    const struct kds_config *c = &r->kds->config;
    u8 stick[SNP_VLEK_STICK_SIZE];
    struct ec_private key;
    struct authority_endorsement what = {.product = r->product, .tcb = r->tcb};
    bool good;
    if (r->vlek) {
        what.csp_id = csp_id;
        authority_vlek_stick(c->authority, r->product, csp_id, stick);
        good = identity_vlek(stick, r->tcb, &key);
        crypto_wipe(stick, sizeof stick);
    } else {
        what.chip_id = chip_id;
        what.product_name = c->book.product_name(c->book.context, r->product);
        good = identity_vcek(fuses, r->tcb, &key);
    }
    what.key = key.public;
    crypto_wipe(&key, sizeof key);
    return good ? authority_endorse(c->authority, &what, &c->terms, der, CACHE_DER_MAX) : 0;
}

/* `chip_id`: 64 bytes, zero beyond the product's; all zero for a VLEK. */
static void give_endorsement(struct request *r, const u8 chip_id[64], const u8 fuses[32])
{
    struct cached *slot = cache_slot(r, chip_id);
    bool hit = slot->product == r->product && slot->vlek == r->vlek && slot->tcb == r->tcb &&
               !memcmp(slot->chip_id, chip_id, sizeof slot->chip_id);
    if (!hit) {
        slot->product = NULL;
        size_t size = endorse(r, chip_id, fuses, r->kds->config.csp_id, slot->der);
        if (!size) {
            refuse(r->out, 500, "the certificate cannot be made");
            return;
        }
        slot->product = r->product;
        slot->vlek = r->vlek;
        slot->tcb = r->tcb;
        slot->size = (u16)size;
        memcpy(slot->chip_id, chip_id, sizeof slot->chip_id);
    }
    give(r->out, TYPE_DER, slot->der, slot->size);
}

/* Signed as it should be, but somebody else's. */
static void give_wrong(struct request *r, const u8 chip_id[64], const u8 fuses[32])
{
    u8 der[CACHE_DER_MAX], other_id[64], other_fuses[32];
    memcpy(other_id, chip_id, sizeof other_id);
    other_id[r->product->chip_id_size - 1] ^= 1;
    memcpy(other_fuses, fuses, sizeof other_fuses);
    other_fuses[0] ^= 1;
    size_t size = endorse(r, other_id, other_fuses, "another provider", der);
    crypto_wipe(other_fuses, sizeof other_fuses);
    if (size)
        give(r->out, TYPE_DER, der, size);
    else
        refuse(r->out, 500, "the certificate cannot be made");
}

static bool find_chip(struct request *r, struct piece text, u8 chip_id[64], u8 fuses[32])
{
    const struct kds_book *book = &r->kds->config.book;
    memset(chip_id, 0, 64);
    return decode_hex(text, chip_id, r->product->chip_id_size) &&
           book->chip(book->context, r->product, chip_id, fuses);
}

static void answer_vcek(struct request *r, bool wrong)
{
    u8 chip_id[64] = {0}, fuses[32];
    const size_t digits = 2 * r->product->chip_id_size;
    if (!decode_hex(r->what, chip_id, r->product->chip_id_size)) {
        refuse(r->out, 400,
               "'%.*s' is neither cert_chain nor crl nor a chip's id: that of a %s has %zu "
               "hexadecimal digits, "
               "this has %zu characters",
               SHOW(r->what), r->product->name, digits, r->what.size);
        return;
    }
    if (!parse_tcb(r))
        return;
    if (!find_chip(r, r->what, chip_id, fuses))
        refuse(r->out, 404,
               "there is no %s with this id: known are the chip of the state directory and those "
               "of --seed",
               r->product->name);
    else if (wrong)
        give_wrong(r, chip_id, fuses);
    else
        give_endorsement(r, chip_id, fuses);
    crypto_wipe(fuses, sizeof fuses);
}

static void answer_vlek(struct request *r, bool wrong)
{
    static const u8 none[64];
    if (!parse_tcb(r))
        return;
    if (wrong)
        give_wrong(r, none, none);
    else
        give_endorsement(r, none, none);
}

/* --- Hashsticks --------------------------------------------------------------------------------------- */

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

/* {"hwids":["..."]} to {"results":[{"...":"..."}]}; NULL: it is refused. */
static json_t *wrap_sticks(struct request *r, const json_t *asked)
{
    const json_t *ids = json_object_get(asked, "hwids");
    if (!json_is_array(ids) || !json_array_size(ids) || json_array_size(ids) > KDS_HWIDS_MAX) {
        refuse(r->out, 400, "the body must be {\"hwids\":[\"...\"]} with 1 to %u ids",
               KDS_HWIDS_MAX);
        return NULL;
    }
    json_t *results = json_array();
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        const char *text = json_string_value(id);
        if (!text || json_string_length(id) > 128) {
            refuse(r->out, 400, "hwids[%zu] is no text of at most 128 characters", i);
            json_decref(results);
            return NULL;
        }
        json_t *one = json_object();
        json_object_set_new(one, text, wrap_stick(r, (struct piece){text, strlen(text)}));
        json_array_append_new(results, one);
    }
    return json_pack("{s:o}", "results", results);
}

static void answer_sticks(struct request *r)
{
    json_error_t why;
    if (!parse_tcb(r))
        return;
    json_t *asked = json_loadb(r->body, r->body_size, 0, &why);
    if (!asked) {
        refuse(r->out, 400, "the body is no JSON: %s", why.text);
        return;
    }
    json_t *results = wrap_sticks(r, asked);
    json_decref(asked);
    if (!results)
        return;
    size_t size = json_dumpb(results, (char *)r->out->body, KDS_BODY_MAX, JSON_COMPACT);
    json_decref(results);
    if (!size || size > KDS_BODY_MAX) {
        refuse(r->out, 400, "the answer would be too long; ask for fewer hwids");
        return;
    }
    r->out->status = 200;
    r->out->content_type = TYPE_JSON;
    r->out->size = size;
}

/* --- The legacy chip key ------------------------------------------------------------------------------ */

/* The signed CEK of a chip under its id, as SEV's own tools ask for it. */
static void answer_cek(struct request *r)
{
    u8 chip_id[64], fuses[32];
    struct ec_private key;
    struct sev_cert cek;
    r->product = &authority_products[0]; /* one with whole ids */
    if (!find_chip(r, r->what, chip_id, fuses)) {
        refuse(r->out, r->what.size == 128 ? 404 : 400,
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
        give(r->out, TYPE_DER, &cek, sizeof cek);
    else
        refuse(r->out, 500, "the certificate cannot be made");
}

/* --- Which request it is ------------------------------------------------------------------------------ */

static const char unknown_path[] =
    "there is nothing at this address; there are "
    "/vcek/v1/PRODUCT/{cert_chain,crl,HWID?blSPL=..&teeSPL=..&snpSPL=..&"
    "ucodeSPL=..}, /vlek/v1/PRODUCT/{cert_chain,crl,cert?..,hash_sticks?..} and /cek/id/ID";

static bool need_method(struct request *r, bool good, const char *allow)
{
    if (good)
        return true;
    r->out->allow = allow;
    refuse(r->out, 405, "this address answers %s", allow);
    return false;
}

static void answer_product(struct request *r, bool wrong)
{
    const struct published *p = &r->kds->published[r->product - authority_products];
    if (r->vlek && piece_is(r->what, "hash_sticks")) {
        if (need_method(r, r->post, "POST"))
            answer_sticks(r);
        return;
    }
    if (!need_method(r, r->get, "GET, HEAD"))
        return;
    if (piece_is(r->what, "cert_chain"))
        give(r->out, TYPE_PEM, p->chain[r->vlek], p->chain_size[r->vlek]);
    else if (piece_is(r->what, "crl"))
        give(r->out, TYPE_LIST, p->list, p->list_size);
    else if (!r->vlek)
        answer_vcek(r, wrong);
    else if (piece_is(r->what, "cert"))
        answer_vlek(r, wrong);
    else
        refuse(r->out, 404, "%s", unknown_path);
}

/* /vcek/v1/Milan/WHAT?QUERY */
static void answer(struct request *r, const char *url, bool wrong)
{
    struct piece rest = {url, strlen(url)}, path = take(&rest, "?");
    char name[32] = "";
    r->query = rest;
    struct piece root = take(&path, "/"), kind = take(&path, "/"), version = take(&path, "/");
    if (!root.size && piece_is(kind, "cek") && piece_is(version, "id")) {
        r->what = path;
        if (need_method(r, r->get, "GET, HEAD"))
            answer_cek(r);
        return;
    }
    struct piece product = take(&path, "/");
    r->vlek = piece_is(kind, "vlek");
    r->what = path;
    if (root.size || (!r->vlek && !piece_is(kind, "vcek")) || !piece_is(version, "v1") ||
        !r->what.size || memchr(r->what.at, '/', r->what.size)) {
        refuse(r->out, 404, "%s", unknown_path);
        return;
    }
    if (product.size < sizeof name)
        memcpy(name, product.at, product.size);
    r->product = authority_product_find(name);
    if (!r->product || strlen(name) != product.size)
        refuse(r->out, 404, "there is no product '%.*s'; there are Milan, Genoa and Turin",
               SHOW(product));
    else
        answer_product(r, wrong);
}

/* --- Faults ------------------------------------------------------------------------------------------- */

static bool due(const struct kds *k, enum kds_fault fault)
{
    u32 every = k->config.injection.every[fault];
    return every && k->requests % every == 0;
}

static bool inject(struct kds *k, struct kds_response *out)
{
    if (due(k, KDS_FAULT_DELAY))
        out->delay_ms = k->config.injection.delay_ms;
    if (due(k, KDS_FAULT_429)) {
        out->retry_after_seconds = KDS_RETRY_AFTER_SECONDS;
        refuse(out, 429, "too many requests (injected); come again in %u seconds",
               KDS_RETRY_AFTER_SECONDS);
    } else if (due(k, KDS_FAULT_404)) {
        refuse(out, 404, "not found (injected)");
    } else if (due(k, KDS_FAULT_500)) {
        refuse(out, 500, "something is broken (injected)");
    } else {
        return false;
    }
    return true;
}

void kds_answer(struct kds *k, const char *method, const char *url, const void *body, size_t size,
                struct kds_response *out)
{
    struct request r = {.kds = k, .out = out, .body = body, .body_size = size};
    *out = (struct kds_response){.body = out->body};
    r.get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
    r.post = !strcmp(method, "POST");
    k->requests++;
    if (inject(k, out))
        return;
    if (strlen(url) > KDS_URL_MAX)
        refuse(out, 414, "the address has more than %u characters", KDS_URL_MAX);
    else if (size > KDS_REQUEST_MAX)
        refuse(out, 413, "the body has more than %u bytes", (unsigned)KDS_REQUEST_MAX);
    else
        answer(&r, url, due(k, KDS_FAULT_WRONG));
}

/* --- Made and freed ----------------------------------------------------------------------------------- */

static bool publish(struct kds *k, const struct authority_product *product, struct published *p)
{
    const struct kds_config *c = &k->config;
    const struct authority_terms own = {.kds_url = c->terms.kds_url};
    for (int vlek = 0; vlek <= 1; vlek++) {
        p->chain_size[vlek] = authority_chain_pem(c->authority, product, vlek, &own, p->chain[vlek],
                                                  sizeof p->chain[vlek]);
        if (!p->chain_size[vlek])
            return false;
    }
    p->list_size = authority_crl(c->authority, product, 0, &c->terms, p->list, sizeof p->list);
    return p->list_size;
}

struct kds *kds_create(const struct kds_config *config, struct error *error)
{
    if (strlen(config->csp_id) > AUTHORITY_CSP_MAX || !*config->csp_id) {
        error_set(error, ERROR_USAGE, "the cloud provider's id must have 1 to %u characters",
                  AUTHORITY_CSP_MAX);
        return NULL;
    }
    struct kds *k = calloc(1, sizeof *k);
    bool good = k && (k->cache = calloc(CACHE_ENTRIES, sizeof *k->cache));
    if (good)
        k->config = *config;
    for (size_t i = 0; good && authority_products[i].name; i++)
        good = i < KDS_PRODUCTS_MAX && publish(k, &authority_products[i], &k->published[i]);
    if (good)
        return k;
    error_set(error, ERROR_INTERNAL, "the chains of certificates cannot be made");
    kds_free(k);
    return NULL;
}

void kds_free(struct kds *k)
{
    if (!k)
        return;
    kds_stop(k);
    free(k->cache);
    free(k);
}
