/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev kds: the key distribution service for the chip of a state directory and for chips of seeds. The directory is
 * only read, so that a platform may run in it meanwhile.
 */
#include "kds/kds.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/state.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CHIPS_MAX 64u
#define PEM_MAX   KIB(64)
#define DELAY_MAX 600000ul /* ms */
#define EVERY_MAX 1000000ul
#define LISTEN_AT "127.0.0.1:8080"

struct chip {
    u8 fuses[32], id[64];
};

struct service {
    /* options */
    const char *directory, *tls_cert, *tls_key;
    char default_directory[400];
    const char *seeds[CHIPS_MAX - 1];
    u32 seed_count;
    bool json, quiet;
    struct kds_config config;
    /* what is served */
    struct chip chips[CHIPS_MAX];
    u32 chip_count;
    char certificate[PEM_MAX], key[PEM_MAX];
    struct crypto *crypto;
    struct authority *authority;
    struct kds *kds;
};

/* --- The book ----------------------------------------------------------------------------------------- */

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

/* A directory without a platform gets one, as from `softsev platform init`. */
static int make_platform(const struct service *s, struct error *e)
{
    struct cli_identity identity;
    struct cli_state *state = cli_state_open(s->directory, NULL, e);
    int result = state ? cli_identity_open(state, s->crypto, NULL, 0, progress, &identity, e) : -1;
    crypto_wipe(&identity, sizeof identity);
    cli_state_close(state);
    return result;
}

static int open_book(struct service *s, struct error *e)
{
    char path[500];
    u8 fuses[32];
    size_t got = 0;
    s->crypto = crypto_create(NULL, 0);
    if (!s->crypto)
        return error_set(e, ERROR_INTERNAL, "OpenSSL cannot be set up");
    snprintf(path, sizeof path, "%s/cek", s->directory);
    if (access(path, F_OK) && errno == ENOENT && make_platform(s, e))
        return -1;
    struct cli_state *state = cli_state_open_reading(s->directory, e);
    int result = state ? cli_state_read(state, STATE_FUSES, fuses, sizeof fuses, &got, e) : -1;
    if (!result)
        s->authority = cli_authority_open(state, s->crypto, NULL, e);
    cli_state_close(state);
    if (result || !s->authority || add_chip(s, fuses, e))
        return -1;
    for (u32 i = 0; i < s->seed_count; i++) {
        cli_identity_seed_fuses(s->seeds[i], strlen(s->seeds[i]), fuses);
        if (add_chip(s, fuses, e))
            return -1;
    }
    crypto_wipe(fuses, sizeof fuses);
    return 0;
}

/* --- What it says ------------------------------------------------------------------------------------- */

static int say(struct service *s, json_t *j, struct error *e)
{
    bool good = cli_print_json(j) && fflush(stdout) == 0;
    return good || s->quiet ? 0 : error_set(e, ERROR_FILE, "standard output cannot be written");
}

/* The first line of the output: scripts wait for it. */
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
    if (printf("listening at %s\n", url) > 0 && fflush(stdout) == 0)
        return 0;
    return error_set(e, ERROR_FILE, "standard output cannot be written");
}

/* The method and the address are whatever somebody has sent. */
static void log_request(void *context, const char *method, const char *url, u32 status)
{
    struct service *s = context;
    struct error e = {.code = ERROR_NONE};
    char clean_method[64], clean_url[300];
    if (s->quiet)
        return;
    if (s->json) {
        say(s,
            json_pack("{s:s, s:o, s:o, s:i}", "event", "request", "method", cli_json_text(method),
                      "url", cli_json_text(url), "status", (int)status),
            &e);
        return;
    }
    text_escape(clean_method, sizeof clean_method, method);
    text_escape(clean_url, sizeof clean_url, url);
    fprintf(stderr, "%u %s %s\n", status, clean_method, clean_url);
}

/* --- Command line ------------------------------------------------------------------------------------- */

static void print_help(FILE *out)
{
    fputs("usage: softsev kds [OPTIONS]\n\n"
          "The manufacturer's key distribution service over HTTP: VCEKs, VLEKs, chains,\n"
          "revocation lists. Its first line says where it listens. SIGTERM and SIGINT end\n"
          "it.\n\n"
          "options:\n"
          "  --listen ADDRESS:PORT  (" LISTEN_AT "); port 0: any free one\n"
          "  --state DIR            whose chip and authority ($SOFTSEV_STATE, or\n"
          "                         ~/.local/state/softsev)\n"
          "  --seed TEXT            also the chip that this seed gives; may be repeated\n"
          "  --csp NAME             the cloud provider of VLEKs (" CLI_CSP ")\n"
          "  --kds-url URL          base of the addresses in certificates\n"
          "  --inject FAULTS        429, 404, 500, delay=MS, wrong (somebody else's\n"
          "                         certificate), with commas between; :N behind one:\n"
          "                         each Nth request. 429:3,delay=200,wrong:10\n"
          "  --tls-cert FILE   --tls-key FILE   PEM: HTTPS\n"
          "  --json                 what happens as JSON lines\n"
          "  --quiet                no line for each request\n",
          out);
}

/* A number up to `max` that ends at one of `ends` or with the text. */
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

/* One fault off the front: NAME, NAME=MS, with :N. */
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
                             "--inject '%s': 429, 404, 500, wrong or delay=MS (at most %lu), each "
                             "with :N or not, a "
                             "comma between two",
                             text, DELAY_MAX);
        if (!*at)
            return 0;
    }
}

static int take_option(struct service *s, int option, struct error *e)
{
    struct kds_config *c = &s->config;
    const struct {
        int option;
        const char **value;
    } values[] = {{'l', &c->listen},        {'s', &s->directory}, {'c', &c->csp_id},
                  {'k', &c->terms.kds_url}, {'C', &s->tls_cert},  {'K', &s->tls_key}};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        if (values[i].option != option)
            continue;
        *values[i].value = optarg;
        return 0;
    }
    if (option == 'i')
        return parse_faults(optarg, &c->injection, e);
    if (s->seed_count == ARRAY_SIZE(s->seeds))
        return error_set(e, ERROR_USAGE, "--seed: at most %zu", ARRAY_SIZE(s->seeds));
    s->seeds[s->seed_count++] = optarg;
    return 0;
}

static int parse_options(struct service *s, int argc, char **argv, struct error *e)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"state", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'r'},
        {"csp", required_argument, NULL, 'c'},
        {"kds-url", required_argument, NULL, 'k'},
        {"inject", required_argument, NULL, 'i'},
        {"tls-cert", required_argument, NULL, 'C'},
        {"tls-key", required_argument, NULL, 'K'},
        {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    opterr = 0;
    optind = 1;
    for (int o; (o = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (o == ':' || o == '?')
            return error_set(e, ERROR_USAGE, "option '%s' %s; `softsev kds --help` lists them",
                             argv[optind - 1], o == ':' ? "needs a value" : "does not exist");
        s->json |= o == 'j';
        s->quiet |= o == 'q';
        if (o != 'j' && o != 'q' && take_option(s, o, e))
            return -1;
    }
    if (optind < argc)
        return error_set(e, ERROR_USAGE, "'%s' is one argument too many", argv[optind]);
    if (!s->tls_cert != !s->tls_key)
        return error_set(e, ERROR_USAGE, "--tls-cert and --tls-key go together");
    if (s->directory)
        return 0;
    s->directory = s->default_directory;
    return cli_state_default(s->default_directory, sizeof s->default_directory, e);
}

static int read_pem(const char *path, char *out, struct error *e)
{
    FILE *f = fopen(path, "rb");
    size_t size = f ? fread(out, 1, PEM_MAX, f) : 0;
    if (f)
        fclose(f);
    if (!size)
        return error_set(e, ERROR_FILE, "%s cannot be read: %s", path,
                         f ? "it is empty" : strerror(errno));
    if (size == PEM_MAX)
        return error_set(e, ERROR_FILE, "%s is too large for a PEM file", path);
    out[size] = 0;
    return 0;
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

/* Until a signal says that it is enough; the server's threads have them blocked. */
static int serve(struct service *s, struct error *e)
{
    sigset_t ends;
    int got;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (kds_start(s->kds, e) || say_address(s, e))
        return -1;
    sigwait(&ends, &got);
    return 0;
}

static void close_service(struct service *s)
{
    kds_free(s->kds);
    authority_free(s->authority);
    if (s->crypto)
        crypto_destroy(s->crypto);
    crypto_wipe(s, sizeof *s);
    free(s);
}

int cli_kds(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(stdout);
            return ERROR_NONE;
        }
    }
    struct error e = {.code = ERROR_NONE};
    struct service *s = calloc(1, sizeof *s);
    if (!s) {
        error_set(&e, ERROR_INTERNAL, "out of memory");
        return cli_fail("kds", &e);
    }
    s->config.listen = LISTEN_AT;
    s->config.csp_id = CLI_CSP;
    int result = 0;
    if (parse_options(s, argc, argv, &e) || open_service(s, &e) || serve(s, &e))
        result = cli_fail("kds", &e);
    close_service(s);
    return result;
}
