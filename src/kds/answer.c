/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out which request it is, reads its TCB, and makes faults on purpose; see kds.h. */
#include "kds/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* --- Answers ---------------------------------------------------------------------------------- */

void kds_refuse(struct http_response *out, u32 status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf((char *)out->body, 1000, format, arguments);
    va_end(arguments);
    size_t size = n < 0 ? 0 : n > 999 ? 999 : (size_t)n;
    out->body[size++] = '\n';
    for (size_t i = 0; i + 1 < size; i++) /* the message quotes the request */
        if (out->body[i] < ' ' || out->body[i] > '~')
            out->body[i] = '?';
    out->status = status;
    out->content_type = TYPE_TEXT;
    out->size = size;
}

void kds_give(struct http_response *out, const char *type, const void *data, size_t size)
{
    memcpy(out->body, data, size);
    out->status = 200;
    out->content_type = type;
    out->size = size;
}

/* --- Addresses -------------------------------------------------------------------------------- */

static bool piece_is(struct piece p, const char *text)
{
    return p.size == strlen(text) && !memcmp(p.at, text, p.size);
}

/* Takes the text before the first of `separators` off the front; takes all of it if there is
 * none. */
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

/* --- The TCB in a query ----------------------------------------------------------------------- */

enum spl { SPL_FMC, SPL_BL, SPL_TEE, SPL_SNP, SPL_UCODE, SPLS };
static const char *const spl_names[SPLS] = {"fmcSPL", "blSPL", "teeSPL", "snpSPL", "ucodeSPL"};

/* Parses a decimal number of 0 to 255, with or without leading zeros. */
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
        kds_refuse(r->out, 400, "'%.*s' is not a part of the TCB of a %s", SHOW(name),
                   r->product->name);
    else if (*seen & BIT(i))
        kds_refuse(r->out, 400, "%s is there twice", spl_names[i]);
    else if (!parse_spl(rest, &value[i]))
        kds_refuse(r->out, 400, "%s is '%.*s'; it must be a number of 0 to 255", spl_names[i],
                   SHOW(rest));
    else
        *seen |= (u32)BIT(i);
    return i < SPLS && (*seen & BIT(i)) && r->out->status == 0;
}

bool kds_parse_tcb(struct request *r)
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
        kds_refuse(r->out, 400,
                   "%s is missing; a %s needs ?%sblSPL=..&teeSPL=..&snpSPL=..&ucodeSPL=..",
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

/* --- Which request it is ---------------------------------------------------------------------- */

static const char unknown_path[] =
    "there is nothing at this address; there are "
    "/vcek/v1/PRODUCT/{cert_chain,crl,HWID?blSPL=..&teeSPL=..&snpSPL=..&"
    "ucodeSPL=..}, /vlek/v1/PRODUCT/{cert_chain,crl,cert?..,hash_sticks?..} and /cek/id/ID";

static bool need_method(struct request *r, bool good, const char *allow)
{
    if (good)
        return true;
    r->out->allow = allow;
    kds_refuse(r->out, 405, "this address answers %s", allow);
    return false;
}

static void answer_product(struct request *r, bool wrong)
{
    const struct published *p = &r->kds->published[r->product - authority_products];
    if (r->vlek && piece_is(r->what, "hash_sticks")) {
        if (need_method(r, r->post, "POST"))
            kds_answer_sticks(r);
        return;
    }
    if (!need_method(r, r->get, "GET, HEAD"))
        return;
    if (piece_is(r->what, "cert_chain"))
        kds_give(r->out, TYPE_PEM, p->chain[r->vlek], p->chain_size[r->vlek]);
    else if (piece_is(r->what, "crl"))
        kds_give(r->out, TYPE_LIST, p->list, p->list_size);
    else if (!r->vlek)
        kds_answer_vcek(r, wrong);
    else if (piece_is(r->what, "cert"))
        kds_answer_vlek(r, wrong);
    else
        kds_refuse(r->out, 404, "%s", unknown_path);
}

/* Answers /vcek/v1/Milan/WHAT?QUERY. */
static void answer(struct request *r, const char *url, bool wrong)
{
    struct piece rest = {url, strlen(url)}, path = take(&rest, "?");
    char name[32] = "";
    r->query = rest;
    struct piece root = take(&path, "/"), kind = take(&path, "/"), version = take(&path, "/");
    if (!root.size && piece_is(kind, "cek") && piece_is(version, "id")) {
        r->what = path;
        if (need_method(r, r->get, "GET, HEAD"))
            kds_answer_cek(r);
        return;
    }
    struct piece product = take(&path, "/");
    r->vlek = piece_is(kind, "vlek");
    r->what = path;
    if (root.size || (!r->vlek && !piece_is(kind, "vcek")) || !piece_is(version, "v1") ||
        !r->what.size || memchr(r->what.at, '/', r->what.size)) {
        kds_refuse(r->out, 404, "%s", unknown_path);
        return;
    }
    if (product.size < sizeof name)
        memcpy(name, product.at, product.size);
    r->product = authority_product_find(name);
    if (!r->product || strlen(name) != product.size)
        kds_refuse(r->out, 404, "there is no product '%.*s'; there are Milan, Genoa and Turin",
                   SHOW(product));
    else
        answer_product(r, wrong);
}

/* --- Faults ----------------------------------------------------------------------------------- */

static bool due(const struct kds *k, enum kds_fault fault)
{
    u32 every = k->config.injection.every[fault];
    return every && k->requests % every == 0;
}

static bool inject(struct kds *k, struct http_response *out)
{
    if (due(k, KDS_FAULT_DELAY))
        out->delay_ms = k->config.injection.delay_ms;
    if (due(k, KDS_FAULT_429)) {
        out->retry_after_seconds = KDS_RETRY_AFTER_SECONDS;
        kds_refuse(out, 429, "too many requests (injected); come again in %u seconds",
                   KDS_RETRY_AFTER_SECONDS);
    } else if (due(k, KDS_FAULT_404)) {
        kds_refuse(out, 404, "not found (injected)");
    } else if (due(k, KDS_FAULT_500)) {
        kds_refuse(out, 500, "something is broken (injected)");
    } else {
        return false;
    }
    return true;
}

void kds_answer(struct kds *k, const char *method, const char *url, const void *body, size_t size,
                struct http_response *out)
{
    struct request r = {.kds = k, .out = out, .body = body, .body_size = size};
    *out = (struct http_response){.body = out->body};
    r.get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
    r.post = !strcmp(method, "POST");
    k->requests++;
    if (inject(k, out))
        return;
    if (strlen(url) > HTTP_URL_MAX)
        kds_refuse(out, 414, "the address has more than %u characters", HTTP_URL_MAX);
    else if (size > HTTP_REQUEST_MAX)
        kds_refuse(out, 413, "the body has more than %u bytes", (unsigned)HTTP_REQUEST_MAX);
    else
        answer(&r, url, due(k, KDS_FAULT_WRONG));
}

/* --- Over HTTP -------------------------------------------------------------------------------- */

static void carry(void *context, const struct http_request *request, struct http_response *out)
{
    struct kds *k = context;
    kds_answer(k, request->method, request->url, request->body, request->body_size, out);
    if (k->config.log)
        k->config.log(k->config.log_context, request->method, request->url, out->status);
}

int kds_start(struct kds *k, struct error *error)
{
    const struct kds_config *c = &k->config;
    const struct http_config config = {
        .listen = c->listen,
        .tls_certificate = c->tls_certificate,
        .tls_key = c->tls_key,
        .request_seconds = c->request_seconds,
        .response_max = KDS_BODY_MAX,
        .answer = carry,
        .context = k,
    };
    k->server = http_start(&config, error);
    return k->server ? 0 : -1;
}

u16 kds_port(const struct kds *k)
{
    return k->server ? http_port(k->server) : 0;
}

void kds_stop(struct kds *k)
{
    http_stop(k->server);
    k->server = NULL;
}

/* --- Creating and freeing the service --------------------------------------------------------- */

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
