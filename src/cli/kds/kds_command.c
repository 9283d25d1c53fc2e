/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev kds: the key distribution service for the chip of a state directory and for chips of
 * seeds. The directory is only read, so that a platform may run in it meanwhile.
 */
#include "kds/kds.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/identity/profile.h"
#include "cli/kds/kds_table.h"
#include "cli/log.h"
#include "files/files.h"
#include "state/state.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CHIPS_MAX 64u
#define PEM_MAX   KIB(64)
#define DELAY_MAX 600000ul /* ms */
#define EVERY_MAX 1000000ul

struct chip {
    u8 fuses[32], id[64];
};

struct service {
    /* options */
    const char *directory, *tls_cert, *tls_key;
    char default_directory[400];
    const char *seeds[CHIPS_MAX - 1];
    size_t seed_count;
    bool json, quiet;
    struct kds_config config;
    /* what is served */
    struct chip chips[CHIPS_MAX];
    u32 chip_count;
    char certificate[PEM_MAX], key[PEM_MAX];
    struct crypto *crypto;
    struct authority *authority;
    struct kds *kds;
    struct cli_log log; /* requests: on standard output with --json, otherwise on standard error */
};

/* --- The book --------------------------------------------------------------------------------- */

static bool find_chip(void *context, const struct authority_product *product, const u8 *chip_id,
                      u8 fuses[32])
{
    const struct service *s = context;
    for (u32 i = 0; i < s->chip_count; i++) {
        if (memcmp(s->chips[i].id, chip_id, product->chip_id_size))
            continue;
        memcpy(fuses, s->chips[i].fuses, 32);
        return true;
    }
    return false;
}

static const char *find_product_name(void *context, const struct authority_product *product)
{
    (void)context;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++)
        if (p->product_name && !strcmp(p->product, product->name))
            return p->product_name;
    return product->name;
}

static int add_chip(struct service *s, const u8 fuses[32], struct error *e)
{
    struct chip *c = &s->chips[s->chip_count++];
    memcpy(c->fuses, fuses, sizeof c->fuses);
    return identity_chip_id(fuses, c->id)
               ? 0
               : error_set(e, ERROR_INTERNAL, "the chip's id cannot be derived");
}

static void progress(const char *what)
{
    fprintf(stderr, "softsev kds: %s\n", what);
}

/* Makes a platform in a directory without one, as `softsev platform init` does. */
static int make_platform(const struct service *s, struct error *e)
{
    struct state_identity identity;
    struct state *state = state_open(s->directory, NULL, e);
    int result = state ? state_identity_open(state, s->crypto, NULL, progress, &identity, e) : -1;
    crypto_wipe(&identity, sizeof identity);
    state_close(state);
    return result;
}

static int read_fuses(const struct service *s, const struct state *state, u8 fuses[32],
                      struct error *e)
{
    size_t got;
    if (state_read(state, STATE_FUSES, fuses, 32, &got, e) == STATE_READ && got == 32)
        return 0;
    return e->code ? -1
                   : error_set(e, ERROR_STATE, "the state directory %s has no fuses of 32 bytes",
                               s->directory);
}

static int open_book(struct service *s, struct error *e)
{
    char path[500];
    u8 fuses[32];
    s->crypto = crypto_create(NULL, 0);
    if (!s->crypto)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    snprintf(path, sizeof path, "%s/cek", s->directory);
    if (access(path, F_OK) && errno == ENOENT && make_platform(s, e))
        return -1;
    struct state *state = state_open_reading(s->directory, e);
    int result = state ? read_fuses(s, state, fuses, e) : -1;
    if (!result)
        s->authority = state_authority_open(state, s->crypto, NULL, e);
    state_close(state);
    if (result || !s->authority || add_chip(s, fuses, e))
        return -1;
    for (u32 i = 0; i < s->seed_count; i++) {
        state_seed_fuses(s->seeds[i], strlen(s->seeds[i]), fuses);
        if (add_chip(s, fuses, e))
            return -1;
    }
    crypto_wipe(fuses, sizeof fuses);
    return 0;
}

/* --- What it says ----------------------------------------------------------------------------- */

static int say(struct service *s, json_t *j, struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    if (cli_print_json(j) && file_flush(stdout, "standard output", s->quiet ? &why : e))
        return 0;
    return s->quiet
               ? 0
               : error_set(e, ERROR_FILE, "standard output cannot be written: %s", strerror(errno));
}

/* Prints the address as the first line of the output, for which scripts wait. */
static int say_address(struct service *s, struct error *e)
{
    char url[200];
    const char *listen = s->config.listen;
    snprintf(url, sizeof url, "%s://%.*s:%u", s->tls_cert ? "https" : "http",
             (int)(strrchr(listen, ':') - listen), listen, kds_port(s->kds));
    if (s->json)
        return say(s,
                   json_pack("{s:s, s:s, s:i, s:i}", "event", "listening", "url", url, "port",
                             (int)kds_port(s->kds), "chips", (int)s->chip_count),
                   e);
    printf("listening at %s\n", url);
    return file_flush(stdout, "standard output", e) ? 0 : -1;
}

/* Logs a request. The method and the address may be anything. */
static void log_request(void *context, const char *method, const char *url, u32 status)
{
    struct service *s = context;
    char clean_method[64], clean_url[300], line[CLI_LOG_LINE];
    if (s->quiet)
        return;
    if (s->json) {
        snprintf(clean_method, sizeof clean_method, "%s", method);
        json_t *j = json_pack("{s:s, s:o, s:o, s:i}", "event", "request", "method",
                              cli_json_text(clean_method), "url", cli_json_text(url), "status",
                              (int)status);
        size_t size = json_dumpb(j, line, sizeof line - 1, JSON_COMPACT);
        json_decref(j);
        if (size < sizeof line) /* always: an address in JSON takes less */
            line[size++] = '\n';
        cli_log_write(&s->log, line, size);
        return;
    }
    text_escape(clean_method, sizeof clean_method, method);
    text_escape(clean_url, sizeof clean_url, url);
    int size = snprintf(line, sizeof line, "%u %s %s\n", status, clean_method, clean_url);
    cli_log_write(&s->log, line, (size_t)size);
}

/* --- Command line ----------------------------------------------------------------------------- */

/* Takes a number up to `max` that ends at one of `ends` or with the text. */
static bool take_number(const char **text, unsigned long max, u32 *out)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    unsigned long value = strtoul(*text, &end, 10);
    *text = end;
    *out = (u32)value;
    return value && value <= max;
}

/* Takes one fault from the front of the text: NAME or NAME=MS, with :N. */
static bool take_fault(const char **text, struct kds_injection *out)
{
    static const char *const names[KDS_FAULTS] = {[KDS_FAULT_429] = "429",
                                                  [KDS_FAULT_404] = "404",
                                                  [KDS_FAULT_500] = "500",
                                                  [KDS_FAULT_WRONG] = "wrong",
                                                  [KDS_FAULT_DELAY] = "delay"};
    size_t size = strcspn(*text, ":=,");
    for (u32 i = 0; i < KDS_FAULTS; i++) {
        if (strlen(names[i]) != size || memcmp(names[i], *text, size))
            continue;
        *text += size;
        out->every[i] = 1;
        if (i == KDS_FAULT_DELAY &&
            (*(*text)++ != '=' || !take_number(text, DELAY_MAX, &out->delay_ms)))
            return false;
        if (**text != ':')
            return true;
        (*text)++;
        return take_number(text, EVERY_MAX, &out->every[i]);
    }
    return false;
}

static int parse_faults(const char *text, struct kds_injection *out, struct error *e)
{
    for (const char *at = text;; at++) {
        if (!take_fault(&at, out) || (*at && *at != ','))
            return error_set(e, ERROR_USAGE,
                             "--inject '%s': expected 429, 404, 500, wrong or delay=MS (at most "
                             "%lu), separated by commas, each with or without :N",
                             text, DELAY_MAX);
        if (!*at)
            return 0;
    }
}

static int take_options(struct service *s, const struct options *o, struct error *e)
{
    struct kds_config *c = &s->config;
    c->listen = o->text[KDS_LISTEN] ? o->text[KDS_LISTEN] : LISTEN_AT;
    c->csp_id = o->text[KDS_CSP] ? o->text[KDS_CSP] : CLI_CSP;
    c->terms.kds_url = o->text[KDS_URL];
    s->directory = o->text[KDS_STATE];
    s->tls_cert = o->text[KDS_TLS_CERT];
    s->tls_key = o->text[KDS_TLS_KEY];
    s->json = o->text[KDS_JSON];
    s->quiet = o->text[KDS_QUIET];
    for (; s->seed_count < o->list_count; s->seed_count++)
        s->seeds[s->seed_count] = o->list[s->seed_count];
    if (o->text[KDS_INJECT] && parse_faults(o->text[KDS_INJECT], &c->injection, e))
        return -1;
    if (s->directory)
        return 0;
    s->directory = s->default_directory;
    return state_default(s->default_directory, sizeof s->default_directory, e);
}

static int read_pem(const char *path, char *out, struct error *e)
{
    const struct file_rule pem = {.size_max = PEM_MAX - 1, .stream_max = PEM_MAX - 1};
    struct file_data data;
    if (file_read(path, &pem, &data, e))
        return -1;
    memcpy(out, data.data, data.size + 1);
    const bool empty = !data.size;
    file_free(&data);
    return empty ? error_set(e, ERROR_FILE, "%s is empty; it should hold PEM", path) : 0;
}

static int open_service(struct service *s, struct error *e)
{
    struct kds_config *c = &s->config;
    if (s->tls_cert &&
        (read_pem(s->tls_cert, s->certificate, e) || read_pem(s->tls_key, s->key, e)))
        return -1;
    if (open_book(s, e))
        return -1;
    c->crypto = s->crypto;
    c->authority = s->authority;
    c->terms.not_before = authority_issue_time((s64)time(NULL));
    c->book = (struct kds_book){find_chip, find_product_name, s};
    c->tls_certificate = s->tls_cert ? s->certificate : NULL;
    c->tls_key = s->tls_key ? s->key : NULL;
    c->log = log_request;
    c->log_context = s;
    s->kds = kds_create(c, e);
    return s->kds ? 0 : -1;
}

/* Serves until a signal ends it. */
static int serve(struct service *s, struct error *e)
{
    cli_hold_ends();
    cli_log_open(&s->log, s->json ? STDOUT_FILENO : STDERR_FILENO, s->json);
    if (kds_start(s->kds, e) || say_address(s, e))
        return -1;
    cli_wait_for_end();
    return 0;
}

static void close_service(struct service *s)
{
    kds_free(s->kds);
    cli_log_close(&s->log);
    authority_free(s->authority);
    if (s->crypto)
        crypto_destroy(s->crypto);
    crypto_wipe(s, sizeof *s);
    free(s);
}

int cli_kds(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int result = 0;
    if (!options_open(&cli_kds_table, argc, argv, &given, &result))
        return result;
    struct service *s = calloc(1, sizeof *s);
    if (s)
        s->log.own = -1; /* not open yet */
    if (!s) {
        error_set(&e, ERROR_MEMORY, "out of memory");
        return cli_fail("kds", &e);
    }
    if (take_options(s, &given, &e) || open_service(s, &e) || serve(s, &e))
        result = cli_fail("kds", &e);
    close_service(s);
    return result;
}
