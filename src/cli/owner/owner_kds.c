/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches from a key server what a report needs: VCEK, chain and revocation list [snp 8.2]. Asks
 * only the named server and follows no redirection; the answers are as hostile as any file.
 * Servers throttle: after 429 and 503 the request is repeated, at the time that the server names
 * and within a bound.
 */
#include "cli/owner/owner_cli.h"

#include "base/bytes.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define ANSWER_MAX        MIB(1)
#define URL_MAX           1024u
#define WAIT_DEFAULT      60 /* seconds, all waits together */
#define WAIT_FIRST        1  /* where the server names no time; doubled each time */
#define CONNECT_TIMEOUT_S 10L
#define ANSWER_TIMEOUT_S  60L

/* libcurl is loaded when a server is asked: loading it takes longer than the rest of most
 * commands. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
struct library {
    void *handle;
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *curl);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    void (*easy_reset)(CURL *curl);
    void (*easy_cleanup)(CURL *curl);
    const char *(*easy_strerror)(CURLcode code);
};

static int load(struct library *l, struct error *e)
{
    const struct {
        const char *name;
        void *function; /* the place for its address */
    } names[] = {
        {"curl_easy_init", &l->easy_init},         {"curl_easy_setopt", &l->easy_setopt},
        {"curl_easy_perform", &l->easy_perform},   {"curl_easy_getinfo", &l->easy_getinfo},
        {"curl_easy_reset", &l->easy_reset},       {"curl_easy_cleanup", &l->easy_cleanup},
        {"curl_easy_strerror", &l->easy_strerror},
    };
    l->handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!l->handle)
        return error_set(e, ERROR_INTERNAL, "--kds needs libcurl (Debian: libcurl4): %s",
                         dlerror());
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        void *address = dlsym(l->handle, names[i].name);
        if (!address)
            return error_set(e, ERROR_INTERNAL, "libcurl has no %s", names[i].name);
        memcpy(names[i].function, &address, sizeof address);
    }
    return 0;
}

struct server {
    struct library library;
    CURL *curl;
    char base[URL_MAX];
    u64 wait; /* seconds that are left for waiting */
};

struct answer {
    u8 data[ANSWER_MAX];
    size_t size;
    long code, retry_after;
};

static size_t take(char *data, size_t one, size_t count, void *context)
{
    struct answer *a = context;
    size_t size = one * count;
    if (size > sizeof a->data - a->size)
        return 0; /* curl ends with CURLE_WRITE_ERROR */
    memcpy(a->data + a->size, data, size);
    a->size += size;
    return size;
}

static int ask_once(struct server *s, const char *url, struct answer *a, struct error *e)
{
    const struct library *l = &s->library;
    char why[CURL_ERROR_SIZE] = "";
    curl_off_t retry = 0;
    a->size = 0;
    a->code = 0;
    l->easy_reset(s->curl);
    l->easy_setopt(s->curl, CURLOPT_URL, url);
    l->easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    l->easy_setopt(s->curl, CURLOPT_FOLLOWLOCATION, 0L);
    l->easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
    l->easy_setopt(s->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    l->easy_setopt(s->curl, CURLOPT_TIMEOUT, ANSWER_TIMEOUT_S);
    l->easy_setopt(s->curl, CURLOPT_ERRORBUFFER, why);
    l->easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take);
    l->easy_setopt(s->curl, CURLOPT_WRITEDATA, a);
    CURLcode result = l->easy_perform(s->curl);
    l->easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &a->code);
    l->easy_getinfo(s->curl, CURLINFO_RETRY_AFTER, &retry);
    a->retry_after = (long)retry;
    if (result == CURLE_OK)
        return 0;
    if (result == CURLE_WRITE_ERROR)
        return error_set(e, ERROR_FILE, "%s: the answer is longer than %u bytes", url,
                         (unsigned)ANSWER_MAX);
    return error_set(e, ERROR_FILE, "%s: %s", url, *why ? why : l->easy_strerror(result));
}

static const char *meaning(long code)
{
    switch (code) {
    case 400:
        return ": the server does not understand this address";
    case 404:
        return ": the server knows no such product, chip or TCB";
    default:
        return code >= 300 && code < 400 ? ": redirections are not followed" : "";
    }
}

/* Repeats a request until it is answered or the time for waiting is over. */
static int ask(struct server *s, const char *url, struct answer *a, struct error *e)
{
    for (u64 next = WAIT_FIRST;; next *= 2) {
        if (ask_once(s, url, a, e))
            return -1;
        if (a->code == 200)
            return 0;
        if (a->code != 429 && a->code != 503)
            return error_set(e, ERROR_FILE, "%s: the answer is %ld%s", url, a->code,
                             meaning(a->code));
        u64 wait = a->retry_after > 0 ? (u64)a->retry_after : next;
        if (wait > s->wait)
            return error_set(e, ERROR_FILE,
                             "%s: the answer is %ld: too busy; it wants %llu s more, %llu are left "
                             "of --kds-wait",
                             url, a->code, (unsigned long long)wait, (unsigned long long)s->wait);
        fprintf(stderr, "softsev owner: %s: the answer is %ld; asked again in %llu s\n", url,
                a->code, (unsigned long long)wait);
        s->wait -= wait;
        nanosleep(&(struct timespec){.tv_sec = (time_t)wait}, NULL);
    }
}

/* --- Addresses -------------------------------------------------------------------------------- */

static bool is_name(const char *text)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    return length && length < 32 && !text[length];
}

/* Returns the product. Family and model name it from version 3 on; before, only Turin's short chip
 * ID shows it [snp 7]. */
static const char *product_of(const struct snp_report *r)
{
    static const u8 zeros[56];
    if (r->version < 3)
        return memcmp(r->chip_id + 8, zeros, sizeof zeros) ? NULL : "Turin";
    return snp_product_of(r->cpuid_family, r->cpuid_model);
}

static void vcek_url(const struct server *s, const char *product, const struct snp_report *r,
                     char url[URL_MAX + 256])
{
    bool turin = !strcasecmp(product, "Turin");
    struct snp_tcb t = snp_tcb_unpack(turin ? SNP_TCB_TURIN : SNP_TCB_MILAN, r->reported_tcb);
    char id[129], fmc[16] = "";
    hex_encode(id, r->chip_id, turin ? 8 : 64);
    if (turin)
        snprintf(fmc, sizeof fmc, "fmcSPL=%02u&", t.fmc);
    snprintf(url, URL_MAX + 256,
             "%s/vcek/v1/%s/%s?%sblSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u", s->base,
             product, id, fmc, t.boot_loader, t.tee, t.snp, t.microcode);
}

/* --- What is fetched -------------------------------------------------------------------------- */

/* What an answer must hold. */
struct expected {
    size_t certificates, lists;
    const char *text;
};

static const struct expected one_certificate = {1, 0, "1 X.509 certificate"},
                             two_certificates = {2, 0, "2 X.509 certificates"},
                             one_list = {0, 1, "a revocation list"};

static int fetch(struct server *s, const char *url, const struct expected *expected,
                 struct report_certificates *to, struct error *e)
{
    struct answer *a = malloc(sizeof *a);
    struct error why = {.code = ERROR_NONE};
    const size_t certificates = to->given.count, lists = to->lists.count;
    if (!a)
        return error_set(e, ERROR_MEMORY, "no memory for an answer");
    int result = ask(s, url, a, e);
    if (!result && crypto_x509_read(a->data, a->size, &to->given, &to->lists, &why))
        result =
            error_set(e, why.code, "%s: the answer is not %s: %s", url, expected->text, why.text);
    else if (!result && (to->given.count - certificates != expected->certificates ||
                         to->lists.count - lists != expected->lists))
        result = error_set(e, ERROR_FILE, "%s: the answer is not %s", url, expected->text);
    free(a);
    return result;
}

static int fetch_all(struct server *s, const struct options *options, const struct snp_report *r,
                     const char *product, struct report_certificates *to, struct error *e)
{
    char url[URL_MAX + 256];
    bool vlek = BITS(r->key_info, 4, 2) == SNP_SIGNED_BY_VLEK;
    if (!vlek && all_zero(r->chip_id, sizeof r->chip_id))
        return error_set(e, ERROR_MEASUREMENT,
                         "the report hides its chip's id: no key server can know its VCEK");
    if (!vlek) {
        vcek_url(s, product, r, url);
        if (fetch(s, url, &one_certificate, to, e))
            return -1;
    }
    snprintf(url, sizeof url, "%s/%s/v1/%s/cert_chain", s->base, vlek ? "vlek" : "vcek", product);
    if (fetch(s, url, &two_certificates, to, e))
        return -1;
    if (options->text[OWNER_CRL])
        return 0;
    snprintf(url, sizeof url, "%s/%s/v1/%s/crl", s->base, vlek ? "vlek" : "vcek", product);
    return fetch(s, url, &one_list, to, e);
}

int owner_fetch(const struct options *options, const struct snp_report *r,
                struct report_certificates *to, struct error *e)
{
    struct server s = {.wait = options_number(options, OWNER_KDS_WAIT, WAIT_DEFAULT)};
    const char *url = options->text[OWNER_KDS], *product = options->text[OWNER_PRODUCT];
    size_t length = strlen(url);
    if ((strncmp(url, "http://", 7) && strncmp(url, "https://", 8)) || length >= sizeof s.base)
        return error_set(e, ERROR_USAGE, "--kds '%s': expected a URL such as http://127.0.0.1:8080",
                         url);
    if (!product)
        product = product_of(r);
    if (!product)
        return error_set(e, ERROR_USAGE,
                         "the report does not name its product: --product Milan or Genoa");
    if (!is_name(product))
        return error_set(e, ERROR_USAGE, "--product '%s': expected a name such as Milan", product);
    memcpy(s.base, url, length + 1);
    while (length && s.base[length - 1] == '/')
        s.base[--length] = '\0';
    if (load(&s.library, e))
        return -1;
    s.curl = s.library.easy_init();
    if (!s.curl)
        return error_set(e, ERROR_INTERNAL, "libcurl cannot be set up");
    int result = fetch_all(&s, options, r, product, to, e);
    s.library.easy_cleanup(s.curl);
    return result;
}
