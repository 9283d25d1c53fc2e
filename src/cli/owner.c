/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner: the guest owner's side as programs that work on files, so that it can be on another
 * computer with only bytes passing between. Each action is one decision of owner/owner.h.
 */
#include "cli/owner.h"
#include "cli/cli.h"
#include "cli/run.h"

#include "base/bytes.h"
#include "image/image.h"

#include <jansson.h>

static struct crypto *start_crypto(const char *const *options, struct error *e)
{
    const char *seed = options[OWNER_SEED];
    struct crypto *c = crypto_create(seed, seed ? strlen(seed) : 0);
    if (!c)
        error_set(e, ERROR_INTERNAL, "OpenSSL cannot be set up");
    return c;
}

static int read_certificates(const char *const *options, struct sev_platform_chain *chain,
                             struct amd_chain *root, struct error *e)
{
    return owner_read_chain(options[OWNER_CHAIN], chain, e) ||
                   owner_read_root(options[OWNER_ROOT], root, e)
               ? -1
               : 0;
}

/* --- Which options go together ------------------------------------------------------------------------- */

#define B(option) OWNER_BIT(OWNER_##option)
#define GUEST     OWNER_GUEST

#define DEMANDS                                                                                    \
    (B(DIGEST) | B(REPORT_DATA) | B(HOST_DATA) | B(CHIP_ID) | B(MIN_TCB) | B(MIN_SVN) | B(VMPL) |  \
     B(ID_KEY) | B(AUTHOR_KEY) | B(ID_BLOCK) | B(ID_AUTH) | B(ALLOW_DEBUG) | B(ALLOW_MA) | B(API))

#define EXPECTED                                                                                   \
    (B(REPORT) | B(DIGEST) | B(POLICY) | B(SVN) | B(HOST_DATA) | B(REPORT_DATA) | B(ID_BLOCK) |    \
     B(ID_AUTH))

/* Of legacy reports alone, of both kinds, and of SNP's alone. */
#define LEGACY (B(CHAIN) | B(NONCE) | B(POLICY) | B(LAUNCH))
#define BOTH   (B(DIGEST) | B(ALLOW_DEBUG))
#define SNP    (B(CERTS) | B(CRL) | B(KDS) | B(PRODUCT) | B(KDS_WAIT) | B(TIME) | (DEMANDS & ~BOTH))
#define VERIFY (B(ROOT) | B(REPORT) | LEGACY | BOTH | SNP | GUEST | B(JSON))

/* --- verify ----------------------------------------------------------------------------------------- */

/* Its size says which kind it is; of another size it is the kind that the options are of. */
static int verify_report(const char *const *options, struct error *e)
{
    struct run_file f;
    if (owner_read_report(options[OWNER_REPORT], &f, e))
        return -1;
    bool legacy = f.size == sizeof(struct sev_attestation_report) ||
                  (f.size != SNP_REPORT_SIZE && options[OWNER_CHAIN]);
    int result = owner_refuse(options, legacy ? SNP : LEGACY,
                              legacy ? "is of SNP reports; this is a legacy one"
                                     : "is of legacy reports (208 bytes); this is not one",
                              e);
    if (!result && legacy && !options[OWNER_CHAIN])
        result = error_set(e, ERROR_USAGE, "a legacy report (208 bytes) needs --chain");
    if (!result)
        result =
            legacy ? owner_check_legacy_report(options, &f, e) : owner_check_report(options, &f, e);
    run_free_file(&f);
    return result;
}

/* "CEK certificate, signed by ASK: signature does not verify": the check is what stands before the colon. */
static int refuse_chain(const char *const *options, const struct error *why, struct error *e)
{
    const char *colon = strstr(why->text, ": ");
    size_t name = colon ? (size_t)(colon - why->text) : 0;
    error_set(e, why->code, "%s", why->text);
    if (options[OWNER_JSON] && colon)
        cli_tell_json(json_pack("{s:b, s:s%, s:o}", "verified", 0, "check", why->text, name, "why",
                                cli_json_text(colon + 2)),
                      e);
    return -1;
}

static int run_verify(const char *const *options, struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    struct sev_platform_chain chain;
    struct amd_chain root;
    char root_id[33], pdh[65];
    u8 digest[32];
    if (options[OWNER_REPORT])
        return verify_report(options, e);
    if (!options[OWNER_CHAIN])
        return error_set(e, ERROR_USAGE, "verify needs --chain or --report");
    if (owner_refuse(options, VERIFY & ~(B(CHAIN) | B(ROOT) | B(JSON)),
                     "is of reports: give --report", e))
        return -1;
    if (read_certificates(options, &chain, &root, e))
        return -1;
    if (owner_verify_platform(&chain, &root, &why))
        return refuse_chain(options, &why, e);
    hex_encode(root_id, root.ark.header.key_id, sizeof root.ark.header.key_id);
    crypto_sha256(&chain.pdh, sizeof chain.pdh, digest);
    hex_encode(pdh, digest, sizeof digest);
    if (options[OWNER_JSON])
        return cli_tell_json(json_pack("{s:b, s:s, s:s, s:i, s:i}", "verified", 1, "root_id",
                                       root_id, "pdh_sha256", pdh, "api_major",
                                       (int)chain.pdh.api_major, "api_minor",
                                       (int)chain.pdh.api_minor),
                             e);
    printf("ARK  signed by itself: trusted, id %s\n"
           "ASK  signed by ARK: verifies\n"
           "CEK  signed by ASK: verifies\n"
           "PEK  signed by CEK: verifies\n"
           "OCA  signed by itself: verifies\n"
           "PEK  signed by OCA: verifies\n"
           "PDH  signed by PEK: verifies; SHA-256 %s\n",
           root_id, pdh);
    return 0;
}

/* --- session ---------------------------------------------------------------------------------------- */

static int write_session(const char *const *options, const struct owner *o, struct error *e)
{
    const char *folder = options[OWNER_OUT_DIR];
    char state[500];
    snprintf(state, sizeof state, "%s/owner.state", folder);
    return owner_write_base64(folder, "godh.b64", &o->godh, sizeof o->godh, e) ||
                   owner_write_base64(folder, "session.b64", &o->session, sizeof o->session, e) ||
                   owner_write(folder, "tk.bin", &o->keys, sizeof o->keys, true, e) ||
                   owner_write_state(state, o, e)
               ? -1
               : 0;
}

static int run_session(const char *const *options, struct error *e)
{
    struct sev_platform_chain chain;
    struct amd_chain root;
    struct owner o;
    u64 policy = 1;
    if ((options[OWNER_POLICY] &&
         owner_number("policy", options[OWNER_POLICY], UINT32_MAX, &policy, e)) ||
        read_certificates(options, &chain, &root, e))
        return -1;
    struct crypto *c = start_crypto(options, e);
    if (!c)
        return -1;
    int result =
        owner_start(c, &chain, &root, (u32)policy, &o, e) || write_session(options, &o, e) ? -1 : 0;
    owner_wipe(&o);
    crypto_destroy(c);
    if (!result)
        printf("%s: godh.b64 and session.b64 for the host; tk.bin and owner.state are secret\n",
               options[OWNER_OUT_DIR]);
    return result;
}

/* --- measure ---------------------------------------------------------------------------------------- */

static int parse_api(const char *what, const char *text, struct owner_launch *out, struct error *e)
{
    unsigned major, minor;
    char rest;
    if (sscanf(text, "%3u.%3u%c", &major, &minor, &rest) != 2 || major > 255 || minor > 255)
        return error_set(e, ERROR_USAGE, "%s '%s': two numbers with a point between, such as 1.55",
                         what, text);
    out->api_major = (u8)major;
    out->api_minor = (u8)minor;
    return 0;
}

/* An integer member of 0 to 255. */
static bool parse_byte(json_t *object, const char *key, u8 *out)
{
    const json_t *j = json_object_get(object, key);
    json_int_t v = json_integer_value(j);
    *out = (u8)v;
    return json_is_integer(j) && v >= 0 && v <= 255;
}

/* What the platform says; the measurement proves it. */
static int parse_platform(const char *path, json_t *j, struct owner_launch *out, struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    const char *api = json_string_value(json_object_get(j, "api"));
    bool good = api || (parse_byte(j, "api_major", &out->api_major) &&
                        parse_byte(j, "api_minor", &out->api_minor));
    if (!good || !parse_byte(j, "build", &out->build))
        return error_set(e, ERROR_FILE,
                         "%s: should be {\"api\": \"1.55\", \"build\": 25}, as `softsev run "
                         "--owner-dir` writes it, or what `softsev platform status --json` prints",
                         path);
    if (!api || !parse_api("api", api, out, &why))
        return 0;
    return error_set(e, ERROR_FILE, "%s: %s", path, why.text);
}

static int read_platform(const char *path, struct owner_launch *out, struct error *e)
{
    struct run_file f;
    json_error_t problem;
    if (run_read_file(path, &f, e))
        return -1;
    json_t *j = json_loadb((const char *)f.data, f.size, JSON_REJECT_DUPLICATES, &problem);
    int result = j ? parse_platform(path, j, out, e)
                   : error_set(e, ERROR_FILE, "%s:%d: %s", path, problem.line, problem.text);
    json_decref(j);
    run_free_file(&f);
    return result;
}

/* Version and build of the platform's firmware. */
static int parse_firmware(const char *const *options, struct owner_launch *out, struct error *e)
{
    u64 build;
    if (options[OWNER_PLATFORM])
        return owner_refuse(options, B(API) | B(BUILD), "is instead of --platform", e) ||
                       read_platform(options[OWNER_PLATFORM], out, e)
                   ? -1
                   : 0;
    if (!options[OWNER_API] || !options[OWNER_BUILD])
        return error_set(e, ERROR_USAGE, "measure needs --%s, or --platform",
                         options[OWNER_API] ? "build" : "api");
    if (parse_api("--api", options[OWNER_API], out, e) ||
        owner_number("build", options[OWNER_BUILD], 255, &build, e))
        return -1;
    out->build = (u8)build;
    return 0;
}

/* The owner from its state, or for those who made the session elsewhere from its keys. */
static int open_owner(const char *const *options, struct owner *o, struct error *e)
{
    u64 policy = 0;
    const char *state = options[OWNER_STATE], *tk = options[OWNER_TK],
               *number = options[OWNER_POLICY];
    if (!state == !tk || (tk && !number))
        return error_set(e, ERROR_USAGE, "measure needs --state, or --tk with --policy");
    if (number && owner_number("policy", number, UINT32_MAX, &policy, e))
        return -1;
    if (state && owner_read_state(state, o, e))
        return -1;
    if (state && number && o->policy != policy)
        return error_set(e, ERROR_USAGE, "--policy 0x%x: the session in %s has policy 0x%x",
                         (u32)policy, state, o->policy);
    if (tk) {
        memset(o, 0, sizeof *o);
        o->policy = (u32)policy;
        return owner_read_tk(tk, &o->keys, e);
    }
    return 0;
}

static int print_expected(const char *const *options, const struct owner *o,
                          const struct owner_launch *launch, struct error *e)
{
    struct sev_measure m;
    char text[65];
    if (owner_decode_base64("--nonce", options[OWNER_NONCE], m.mnonce, sizeof m.mnonce, e))
        return -1;
    owner_expect(o, launch, m.mnonce, m.measure);
    owner_encode_base64(text, &m, sizeof m);
    if (options[OWNER_JSON])
        return cli_tell_json(json_pack("{s:s}", "expected", text), e);
    puts(text);
    return 0;
}

struct measured {
    const struct owner *owner;
    struct owner_launch launch;
    struct sev_measure got;
};

static bool is_measured(void *context, const u8 digest[MEASURE_DIGEST_MAX])
{
    struct measured *m = context;
    u8 measure[32];
    memcpy(m->launch.digest, digest, sizeof m->launch.digest);
    owner_expect(m->owner, &m->launch, m->got.mnonce, measure);
    return !memcmp(measure, m->got.measure, sizeof measure);
}

/* Another measurement than that of the files: which launch would have it? */
static int refuse(const char *const *options, const struct owner *o,
                  const struct owner_launch *launch, const struct sev_measure *got,
                  const struct error *why, struct error *e)
{
    struct measured m = {o, *launch, *got};
    char hint[HINT_TEXT_MAX];
    struct error unused = {.code = ERROR_NONE};
    if ((options[OWNER_FIRMWARE] || options[OWNER_KERNEL]) && why->code == ERROR_MEASUREMENT &&
        !owner_hint(options, is_measured, &m, hint, &unused))
        error_set(e, why->code, "%s (%.200s)", why->text, hint);
    else
        error_set(e, why->code, "%s", why->text);
    if (options[OWNER_JSON] && why->code == ERROR_MEASUREMENT)
        cli_tell_json(json_pack("{s:b, s:o}", "matches", 0, "why", cli_json_text(e->text)), e);
    return -1;
}

/* The verdict goes into the state, whichever it is: a refusal takes back an earlier agreement. */
static int check(const char *const *options, struct owner *o, const struct owner_launch *launch,
                 struct error *e)
{
    struct sev_measure got;
    if (owner_decode_base64("--measurement", options[OWNER_MEASUREMENT], &got, sizeof got, e))
        return -1;
    struct error why = {.code = ERROR_NONE};
    int result = owner_check_launch(o, launch, &got, &why);
    if (options[OWNER_STATE] && owner_write_state(options[OWNER_STATE], o, e))
        return -1;
    if (result)
        return refuse(options, o, launch, &got, &why, e);
    if (options[OWNER_JSON])
        return cli_tell_json(json_pack("{s:b}", "matches", 1), e);
    puts("the measurement matches");
    return 0;
}

static int run_measure(const char *const *options, struct error *e)
{
    struct owner_launch launch;
    struct owner o;
    if (!options[OWNER_MEASUREMENT] && !options[OWNER_NONCE] && options[OWNER_MODE])
        return owner_print_digest(options, e);
    if (!options[OWNER_MEASUREMENT] == !options[OWNER_NONCE])
        return error_set(e, ERROR_USAGE, "measure needs --measurement or --nonce");
    if (parse_firmware(options, &launch, e) || owner_launch_digest(options, launch.digest, e) ||
        open_owner(options, &o, e))
        return -1;
    int result = options[OWNER_NONCE] ? print_expected(options, &o, &launch, e)
                                      : check(options, &o, &launch, e);
    owner_wipe(&o);
    return result;
}

/* --- secret ------------------------------------------------------------------------------------------ */

/* 8-4-4-4-12 digits; the first three groups are stored little-endian. */
static bool parse_guid(const char *text, u8 out[16])
{
    static const u8 order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    char digits[33];
    u8 bytes[16];
    size_t n = 0;
    if (strlen(text) != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text[i] == '-'))
            return false;
        if (!dash)
            digits[n++] = text[i];
    }
    digits[n] = '\0';
    if (!hex_decode(bytes, 16, digits))
        return false;
    for (size_t i = 0; i < 16; i++)
        out[i] = bytes[order[i]];
    return true;
}

/* OVMF's table with one entry [sev 12.2]. */
static size_t form_table(const char *guid, const void *secret, size_t size, u8 *out, size_t room,
                         struct error *e)
{
    u8 table_guid[16], entry_guid[16];
    parse_guid("1e74f542-71dd-4d66-963e-ef4287ff173b", table_guid);
    if (!parse_guid(guid, entry_guid)) {
        error_set(e, ERROR_USAGE, "--guid '%s': such as 736869e5-84f0-4973-92ec-06879ce3da0b",
                  guid);
        return 0;
    }
    struct writer w = writer_of(out, room);
    write_bytes(&w, table_guid, sizeof table_guid);
    write_u32(&w, (u32)size + 40);
    write_bytes(&w, entry_guid, sizeof entry_guid);
    write_u32(&w, (u32)size + 20);
    write_bytes(&w, secret, size);
    return w.bad ? 0 : w.at;
}

/* What the guest will find; 0 on an error. */
static size_t form_secret(const char *const *options, const struct run_file *f,
                          u8 out[OWNER_SECRET_MAX], struct error *e)
{
    const char *form = options[OWNER_FORM], *guid = options[OWNER_GUID];
    size_t size = 0;
    if (form && guid) {
        error_set(e, ERROR_USAGE, "either --form or --guid");
    } else if (guid) {
        size = form_table(guid, f->data, f->size, out, OWNER_SECRET_MAX, e);
    } else if (!form || !strcmp(form, "archive")) {
        size = image_secret_archive(f->data, f->size, out, OWNER_SECRET_MAX);
    } else if (strcmp(form, "raw")) {
        error_set(e, ERROR_USAGE, "--form '%s': archive or raw", form);
    } else if (f->size <= OWNER_SECRET_MAX) {
        size = f->size;
        memcpy(out, f->data, size);
    }
    if (!size)
        error_set(e, ERROR_FILE,
                  "%s: %zu bytes; a packet carries at most %u with what is around them", f->name,
                  f->size, (unsigned)OWNER_SECRET_MAX);
    return size;
}

static int seal(const char *const *options, const struct owner *o, const void *plain, size_t size,
                struct error *e)
{
    struct sev_packet_header header;
    u8 data[OWNER_SECRET_MAX];
    struct crypto *c = start_crypto(options, e);
    if (!c)
        return -1;
    int result = owner_seal(c, o, plain, size, &header, data, e);
    crypto_destroy(c);
    if (result ||
        owner_write_base64(options[OWNER_OUT_DIR], "secret-header.b64", &header, sizeof header,
                           e) ||
        owner_write_base64(options[OWNER_OUT_DIR], "secret-payload.b64", data,
                           owner_sealed_size(size), e))
        return -1;
    printf("%s: secret-header.b64 and secret-payload.b64 for the host\n", options[OWNER_OUT_DIR]);
    return 0;
}

static int check_same_launch(const char *const *options, const struct owner *o, struct error *e)
{
    struct sev_measure got;
    if (!options[OWNER_MEASUREMENT])
        return 0;
    if (owner_decode_base64("--measurement", options[OWNER_MEASUREMENT], &got, sizeof got, e))
        return -1;
    if (!o->checked || crypto_equal(&got, &o->launch, sizeof got))
        return 0;
    return error_set(e, ERROR_MEASUREMENT,
                     "this is not the measurement that `softsev owner measure` verified");
}

static int run_secret(const char *const *options, struct error *e)
{
    struct owner o;
    struct run_file f;
    u8 plain[OWNER_SECRET_MAX];
    if (owner_read_state(options[OWNER_STATE], &o, e))
        return -1;
    int result =
        check_same_launch(options, &o, e) || run_read_file(options[OWNER_SECRET], &f, e) ? -1 : 0;
    if (!result) {
        size_t size = form_secret(options, &f, plain, e);
        result = size ? seal(options, &o, plain, size, e) : -1;
        crypto_wipe(plain, sizeof plain);
        crypto_wipe(f.data, f.size);
        run_free_file(&f);
    }
    owner_wipe(&o);
    return result;
}

/* --- Actions ------------------------------------------------------------------------------------------ */

// clang-format off
static const struct owner_action actions[] = {
    {"verify",  run_verify,    B(ROOT), VERIFY, GUEST, DEMANDS | B(NONCE) | B(POLICY) | B(LAUNCH),
     "is this chain, or this report, a platform's, up to the root I trust?"},
    {"session", run_session,   B(CHAIN) | B(ROOT) | B(OUT_DIR), B(CHAIN) | B(ROOT) | B(POLICY) | B(OUT_DIR) | B(SEED), 0, 0,
     "verify, then make a key and a session for it"},
    {"measure", run_measure,   0,
     B(STATE) | B(TK) | B(POLICY) | B(API) | B(BUILD) | B(PLATFORM) | B(MEASUREMENT) | B(NONCE) | B(DIGEST) | B(LAUNCH) | GUEST | B(JSON), GUEST, 0,
     "does the measurement belong to what should have been launched?"},
    {"secret",  run_secret,    B(STATE) | B(SECRET) | B(OUT_DIR),
     B(STATE) | B(SECRET) | B(OUT_DIR) | B(MEASUREMENT) | B(FORM) | B(GUID) | B(SEED), 0, 0,
     "after that: seal a secret for the guest"},
    {"hello",   owner_hello,   B(OUT_DIR), B(OUT_DIR) | B(SEED), 0, 0,
     "SNP: a nonce for the agent in the guest, who asks for the secret"},
    {"answer",  owner_answer,  B(STATE) | B(EVIDENCE) | B(SECRET) | B(ROOT) | B(OUT_DIR),
     B(STATE) | B(EVIDENCE) | B(SECRET) | B(ROOT) | B(OUT_DIR) | B(SEED) | B(JSON) | (SNP & ~B(REPORT_DATA)) | BOTH | GUEST, GUEST,
     DEMANDS & ~B(REPORT_DATA),
     "SNP: verify what the agent has sent, and seal a secret for it alone"},
    {"id-block", owner_make_id_block, B(OUT_DIR),
     B(OUT_DIR) | B(DIGEST) | B(POLICY) | B(SVN) | B(FAMILY_ID) | B(IMAGE_ID) | B(ID_KEY_FILE) | B(AUTHOR_FILE) | B(NEW_ID_KEY) |
     B(NEW_AUTHOR) | B(SEED) | B(JSON) | GUEST, GUEST, 0,
     "SNP: sign what may be launched, for the firmware to enforce"},
    {"explain", owner_explain, 0, GUEST | B(DUMP) | B(DIFF) | B(JSON) | EXPECTED, 0, EXPECTED,
     "what an honest host launches, piece by piece; why a report differs"},
};
// clang-format on

static void print_help(FILE *out)
{
    fputs("usage: softsev owner ACTION [OPTIONS]    softsev owner ACTION --help\n\n"
          "The guest owner, who trusts nobody who has not proved himself.\n\nactions, in the order "
          "of a launch:\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        fprintf(out, "  %-9s %s\n", actions[i].name, actions[i].help);
}

static void print_action_help(const struct owner_action *a, const char *topic)
{
    printf("usage: softsev owner %s [OPTIONS]\n\n%s\n\n", a->name, a->help);
    if (a->demands && topic && !strcmp(topic, "policy")) {
        puts("of a report can be demanded:");
        owner_print_options(stdout, a->demands);
        if (a->run == run_verify)
            puts("of a legacy one: --nonce, --policy (exactly), --digest, --launch or the files,\n"
                 "and NODBG unless --allow-debug");
        return;
    }
    if (a->needs)
        puts("needs:");
    owner_print_options(stdout, a->needs);
    puts("takes:");
    owner_print_options(stdout, a->allows & ~a->needs & ~a->elsewhere & ~a->demands);
    if (a->demands)
        printf("what is demanded of a report: `softsev owner %s --help policy`\n", a->name);
    if (a->elsewhere)
        puts("and what is launched, as in `softsev owner explain --help`");
}

static const struct owner_action *find_action(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (!strcmp(actions[i].name, name))
            return &actions[i];
    return NULL;
}

int cli_owner(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    const char *name = argc > 1 ? argv[1] : "";
    const struct owner_action *action = find_action(name);
    if (argc < 2 || !strcmp(name, "--help") || !strcmp(name, "-h")) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? ERROR_USAGE : ERROR_NONE;
    }
    if (!action) {
        error_set(&e, ERROR_USAGE, "there is no action '%s'; `softsev owner --help` lists them",
                  name);
        return cli_fail("owner", &e);
    }
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_action_help(action, i + 1 < argc ? argv[i + 1] : NULL);
            return ERROR_NONE;
        }
    }
    const char *options[OWNER_OPTION_COUNT] = {NULL};
    if (owner_parse(action, argc - 2, argv + 2, options, &e) || action->run(options, &e))
        return cli_fail("owner", &e);
    return ERROR_NONE;
}
