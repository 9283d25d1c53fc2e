/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner: the guest owner's side as programs that work on files, so that it can be on
 * another computer with only bytes passing between. Each action is one decision of owner/owner.h.
 */
#include "cli/owner/owner_cli.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/policy.h"
#include "cli/settings.h"

#include "base/bytes.h"
#include "base/encoding.h"
#include "image/image.h"

#include <jansson.h>

#define POLICY_DEFAULT 1u /* NODBG */

static struct crypto *start_crypto(const struct options *options, struct error *e)
{
    const char *seed = options->text[OWNER_SEED];
    struct crypto *c = crypto_create(seed, seed ? strlen(seed) : 0);
    if (!c)
        error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    return c;
}

static int read_certificates(const struct options *options, struct sev_platform_chain *chain,
                             struct amd_chain *root, struct error *e)
{
    return owner_read_chain(options->text[OWNER_CHAIN], chain, e) ||
                   owner_read_root(options->text[OWNER_ROOT], root, e)
               ? -1
               : 0;
}

/* --- verify ----------------------------------------------------------------------------------- */

/* Tells the kind of a report by its size; a report of any other size is of the kind that the
 * options are for. */
static int verify_report(const struct options *options, struct error *e)
{
    struct cli_file f;
    if (owner_read_report(options->text[OWNER_REPORT], &f, e))
        return -1;
    bool legacy = f.size == sizeof(struct sev_attestation_report) ||
                  (f.size != SNP_REPORT_SIZE && options->text[OWNER_CHAIN]);
    int result = legacy
                     ? options_refuse(options, OPTION_IDS(OWNER_SNP_ALONE),
                                      "belongs to an SNP report; this is a legacy one", e)
                     : options_refuse(options, OPTION_IDS(OWNER_LEGACY_ALONE),
                                      "belongs to a legacy report (208 bytes); this is not one", e);
    if (!result && legacy && !options->text[OWNER_CHAIN])
        result = error_set(e, ERROR_USAGE, "a legacy report (208 bytes) needs --chain");
    if (!result)
        result =
            legacy ? owner_check_legacy_report(options, &f, e) : owner_check_report(options, &f, e);
    cli_free_file(&f);
    return result;
}

/* Refuses a chain: "CEK certificate, signed by ASK: signature does not verify". The text before the
 * colon names the check. */
static int refuse_chain(const struct options *options, const struct error *why, struct error *e)
{
    const char *colon = strstr(why->text, ": ");
    size_t name = colon ? (size_t)(colon - why->text) : 0;
    error_set(e, why->code, "%s", why->text);
    if (options->text[OWNER_JSON] && colon)
        cli_tell_json(json_pack("{s:b, s:s%, s:o}", "verified", 0, "check", why->text, name, "why",
                                cli_json_text(colon + 2)),
                      e);
    return -1;
}

static int run_verify(const struct options *options, struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    struct sev_platform_chain chain;
    struct amd_chain root;
    char root_id[33], pdh[65];
    u8 digest[32];
    if (options->text[OWNER_REPORT])
        return verify_report(options, e);
    if (read_certificates(options, &chain, &root, e))
        return -1;
    if (owner_verify_platform(&chain, &root, &why))
        return refuse_chain(options, &why, e);
    hex_encode(root_id, root.ark.header.key_id, sizeof root.ark.header.key_id);
    crypto_sha256(&chain.pdh, sizeof chain.pdh, digest);
    hex_encode(pdh, digest, sizeof digest);
    if (options->text[OWNER_JSON])
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

/* --- session ---------------------------------------------------------------------------------- */

static int write_session(const struct options *options, const struct owner *o, struct error *e)
{
    struct file_set set = {.parts = NULL};
    u8 saved[OWNER_SAVE_SIZE];
    owner_save(o, saved);
    owner_add_base64(&set, "godh.b64", &o->godh, sizeof o->godh);
    owner_add_base64(&set, "session.b64", &o->session, sizeof o->session);
    owner_add_secret(options, &set, "tk.bin", &o->keys, sizeof o->keys);
    owner_add_secret(options, &set, "owner.state", saved, sizeof saved);
    crypto_wipe(saved, sizeof saved);
    return owner_write_out(options, &set, e);
}

static int run_session(const struct options *options, struct error *e)
{
    struct sev_platform_chain chain;
    struct amd_chain root;
    struct owner o;
    u32 policy = POLICY_DEFAULT;
    if (owner_sev_policy(options, &policy, e) || read_certificates(options, &chain, &root, e))
        return -1;
    struct crypto *c = start_crypto(options, e);
    if (!c)
        return -1;
    int result =
        owner_start(c, &chain, &root, policy, &o, e) || write_session(options, &o, e) ? -1 : 0;
    owner_wipe(&o);
    crypto_destroy(c);
    if (!result)
        printf("%s: godh.b64 and session.b64 for the host; tk.bin and owner.state are secret\n",
               options->text[OWNER_OUT_DIR]);
    return result;
}

/* --- measure ---------------------------------------------------------------------------------- */

static void set_api(struct owner_launch *out, u64 version)
{
    out->api_major = (u8)(version >> 8);
    out->api_minor = (u8)version;
}

/* Reads an integer member from 0 to 255. */
static bool parse_byte(json_t *object, const char *key, u8 *out)
{
    const json_t *j = json_object_get(object, key);
    json_int_t v = json_integer_value(j);
    *out = (u8)v;
    return json_is_integer(j) && v >= 0 && v <= 255;
}

/* Reads what the platform says of itself. The measurement proves it. */
static int parse_platform(const char *path, json_t *j, struct owner_launch *out, struct error *e)
{
    u64 version;
    const char *api = json_string_value(json_object_get(j, "api"));
    bool good = api || (parse_byte(j, "api_major", &out->api_major) &&
                        parse_byte(j, "api_minor", &out->api_minor));
    if (!good || !parse_byte(j, "build", &out->build))
        return error_set(e, ERROR_FILE,
                         "%s: should be {\"api\": \"1.55\", \"build\": 25}, as `softsev run "
                         "--owner-dir` writes it, or what `softsev platform status --json` prints",
                         path);
    if (api && !settings_api(api, &version))
        return error_set(e, ERROR_FILE, "%s: api '%s': expected " SETTINGS_API, path, api);
    if (api)
        set_api(out, version);
    return 0;
}

static int read_platform(const char *path, struct owner_launch *out, struct error *e)
{
    struct cli_file f;
    json_error_t problem;
    if (cli_read_small(path, &f, e))
        return -1;
    json_t *j = json_loadb((const char *)f.data, f.size, JSON_REJECT_DUPLICATES, &problem);
    int result = j ? parse_platform(path, j, out, e)
                   : error_set(e, ERROR_FILE, "%s:%d: %s", path, problem.line, problem.text);
    json_decref(j);
    cli_free_file(&f);
    return result;
}

/* Reads version and build of the platform's firmware. */
static int parse_firmware(const struct options *options, struct owner_launch *out, struct error *e)
{
    if (options->text[OWNER_PLATFORM])
        return read_platform(options->text[OWNER_PLATFORM], out, e);
    set_api(out, options->number[OWNER_API]);
    out->build = (u8)options->number[OWNER_BUILD];
    return 0;
}

/* Opens an owner from its state, or from the keys of a session that was made elsewhere. */
static int open_owner(const struct options *options, struct owner *o, struct error *e)
{
    u32 policy = 0;
    const char *state = options->text[OWNER_STATE], *tk = options->text[OWNER_TK];
    if (owner_sev_policy(options, &policy, e))
        return -1;
    if (state && owner_read_state(state, o, e))
        return -1;
    if (state && options->text[OWNER_POLICY] && o->policy != policy)
        return error_set(e, ERROR_USAGE, "--policy 0x%x: the session in %s has policy 0x%x", policy,
                         state, o->policy);
    if (state) {
        char what[300];
        snprintf(what, sizeof what, "the policy of the session in %.200s,", state);
        return policy_check(what, o->policy, owner_mode(options), e);
    }
    if (tk) {
        memset(o, 0, sizeof *o);
        o->policy = policy;
        return owner_read_tk(tk, &o->keys, e);
    }
    return 0;
}

static int print_expected(const struct options *options, const struct owner *o,
                          const struct owner_launch *launch, struct error *e)
{
    struct sev_measure m;
    char text[65];
    if (owner_decode_base64("--nonce", options->text[OWNER_NONCE], m.mnonce, sizeof m.mnonce, e))
        return -1;
    owner_expect(o, launch, m.mnonce, m.measure);
    text_encode_base64(text, &m, sizeof m);
    if (options->text[OWNER_JSON])
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

/* Refuses a measurement that differs from that of the files, and looks for the launch that has
 * it. */
static int refuse(const struct options *options, const struct owner *o,
                  const struct owner_launch *launch, const struct sev_measure *got,
                  const struct error *why, struct error *e)
{
    struct measured m = {o, *launch, *got};
    char hint[HINT_TEXT_MAX];
    struct error unused = {.code = ERROR_NONE};
    if ((options->text[OWNER_FIRMWARE] || options->text[OWNER_KERNEL]) &&
        why->code == ERROR_MEASUREMENT && !owner_hint(options, is_measured, &m, hint, &unused))
        error_set(e, why->code, "%s (%.200s)", why->text, hint);
    else
        error_set(e, why->code, "%s", why->text);
    if (options->text[OWNER_JSON] && why->code == ERROR_MEASUREMENT)
        cli_tell_json(json_pack("{s:b, s:o}", "matches", 0, "why", cli_json_text(e->text)), e);
    return -1;
}

/* Checks a measurement and keeps the verdict in the state: a refusal takes back an earlier
 * agreement. */
static int check(const struct options *options, struct owner *o, const struct owner_launch *launch,
                 struct error *e)
{
    struct sev_measure got;
    if (owner_decode_base64("--measurement", options->text[OWNER_MEASUREMENT], &got, sizeof got, e))
        return -1;
    struct error why = {.code = ERROR_NONE};
    int result = owner_check_launch(o, launch, &got, &why);
    if (options->text[OWNER_STATE] && owner_write_state(options->text[OWNER_STATE], o, e))
        return -1;
    if (result)
        return refuse(options, o, launch, &got, &why, e);
    if (options->text[OWNER_JSON])
        return cli_tell_json(json_pack("{s:b}", "matches", 1), e);
    puts("the measurement matches");
    return 0;
}

static int run_measure(const struct options *options, struct error *e)
{
    struct owner_launch launch;
    struct owner o;
    if (!options->text[OWNER_MEASUREMENT] && !options->text[OWNER_NONCE])
        return owner_print_digest(options, e);
    if (parse_firmware(options, &launch, e) || open_owner(options, &o, e))
        return -1;
    int result = owner_launch_digest(options, launch.digest, e) ? -1
                 : options->text[OWNER_NONCE] ? print_expected(options, &o, &launch, e)
                                              : check(options, &o, &launch, e);
    owner_wipe(&o);
    return result;
}

/* --- secret ----------------------------------------------------------------------------------- */

/* Writes the secret in the form that the guest will find. Returns its size; 0 on an error. */
static size_t form_secret(const struct options *options, const struct cli_file *f,
                          u8 out[OWNER_SECRET_MAX], struct error *e)
{
    u8 guid[16];
    size_t size = 0;
    if (options->text[OWNER_GUID]) {
        if (settings_guid("--guid", options->text[OWNER_GUID], guid, e))
            return 0;
        size = image_secret_table(guid, f->data, f->size, out, OWNER_SECRET_MAX);
    } else if (options_choice(options, OWNER_FORM) == OWNER_FORM_ARCHIVE) {
        size = image_secret_archive(f->data, f->size, out, OWNER_SECRET_MAX);
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

static int seal(const struct options *options, const struct owner *o, const void *plain,
                size_t size, struct error *e)
{
    struct sev_packet_header header;
    u8 data[OWNER_SECRET_MAX];
    struct crypto *c = start_crypto(options, e);
    if (!c)
        return -1;
    int result = owner_seal(c, o, plain, size, &header, data, e);
    crypto_destroy(c);
    if (result)
        return -1;
    struct file_set set = {.parts = NULL};
    owner_add_base64(&set, "secret-header.b64", &header, sizeof header);
    owner_add_base64(&set, "secret-payload.b64", data, owner_sealed_size(size));
    if (owner_write_out(options, &set, e))
        return -1;
    printf("%s: secret-header.b64 and secret-payload.b64 for the host\n",
           options->text[OWNER_OUT_DIR]);
    return 0;
}

static int check_same_launch(const struct options *options, const struct owner *o, struct error *e)
{
    struct sev_measure got;
    if (!options->text[OWNER_MEASUREMENT])
        return 0;
    if (owner_decode_base64("--measurement", options->text[OWNER_MEASUREMENT], &got, sizeof got, e))
        return -1;
    if (!o->checked || crypto_equal(&got, &o->launch, sizeof got))
        return 0;
    return error_set(e, ERROR_MEASUREMENT,
                     "this is not the measurement that `softsev owner measure` verified");
}

static int run_secret(const struct options *options, struct error *e)
{
    struct owner o;
    struct cli_file f;
    u8 plain[OWNER_SECRET_MAX];
    if (owner_read_state(options->text[OWNER_STATE], &o, e))
        return -1;
    int result =
        check_same_launch(options, &o, e) || cli_read_small(options->text[OWNER_SECRET], &f, e) ? -1
                                                                                                : 0;
    if (!result) {
        size_t size = form_secret(options, &f, plain, e);
        result = size ? seal(options, &o, plain, size, e) : -1;
        crypto_wipe(plain, sizeof plain);
        crypto_wipe(f.data, f.size);
        cli_free_file(&f);
    }
    owner_wipe(&o);
    return result;
}

/* --- Actions ---------------------------------------------------------------------------------- */

static int (*const actions[])(const struct options *options, struct error *e) = {
    [OWNER_VERIFY] = run_verify,
    [OWNER_SESSION] = run_session,
    [OWNER_MEASURE] = run_measure,
    [OWNER_SEAL_SECRET] = run_secret,
    [OWNER_SAY_HELLO] = owner_hello,
    [OWNER_ANSWER] = owner_answer,
    [OWNER_SIGN_ID_BLOCK] = owner_make_id_block,
    [OWNER_EXPLAIN] = owner_explain,
    [OWNER_SHOW] = owner_show,
};

int cli_owner(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_owner_table, argc, argv, &given, &status))
        return status;
    return actions[given.action](&given, &e) ? cli_fail("owner", &e) : ERROR_NONE;
}
