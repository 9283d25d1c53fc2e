/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev fixtures: attestation reports, chains and measurements, valid and wrong in each single way, with a manifest
 * that says what a correct verifier makes of each. Everything follows from the seed.
 */
#include "cli/fixtures.h"

#include "base/bytes.h"
#include "cli/cli.h"
#include "cli/platform.h"
#include "cli/settings.h"
#include "state/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEED_DEFAULT "softsev"
#define OUT_MAX      300u /* characters */

/* --- Options ------------------------------------------------------------------------------------------------ */

enum fixtures_option { FIXTURES_OUT = 1, FIXTURES_PROFILE, FIXTURES_SEED };

/* The profiles, and all of them. */
static const char *profile_at(size_t i)
{
    return i ? settings_profile_at(i - 1) : "all";
}

// clang-format off
static const struct option_row rows[] = {
    [FIXTURES_OUT] = {"out", OPTION_FOLDER, "DIR", "a new folder, or one of an earlier run", "A new folder, or one of an earlier run.", .required = 1},
    [FIXTURES_PROFILE] = {"profile", OPTION_CHOICE, "NAME", "one of `softsev profiles`, or all (default all)",
        "One of those that\n.Ql softsev profiles\nlists, or\n.Cm all .\nDefault\n.Cm all .", .choice_at = profile_at, .standard = 0},
    [FIXTURES_SEED] = {"seed", OPTION_TEXT, "TEXT", "the same seed gives the same files (default " SEED_DEFAULT ")",
        "The same seed gives the same files.\nDefault " SEED_DEFAULT "."},
};
// clang-format on

const struct option_table cli_fixtures_table = {
    .command = "fixtures",
    .title = "valid and wrong reports, for authors of verifiers",
    .usage = "softsev fixtures --out DIR [OPTIONS]",
    .about = "Writes attestation reports with their certificates, valid and wrong in each\n"
             "single way, and manifest.json: what a correct verifier must say about each.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
};

/* --- Shared by the cases ------------------------------------------------------------------------------------ */

int fixtures_write(const struct fixtures *f, const struct firmware_profile *profile,
                   const char *name, const void *data, size_t size, struct error *e)
{
    char path[500];
    snprintf(path, sizeof path, "%s/%s/%s", f->out, profile->name, name);
    return file_write(path, data, size, false, e) ? 0 : -1;
}

void fixtures_fuses(const struct fixtures *f, const struct firmware_profile *profile, u8 fuses[32])
{
    char seed[200];
    int size = snprintf(seed, sizeof seed, "fixtures %s %s", profile->name, f->seed);
    state_seed_fuses(seed, min_u64((u64)size, sizeof seed - 1), fuses);
}

json_t *fixtures_hex(const void *data, size_t size)
{
    char text[257];
    hex_encode(text, data, min_u64(size, sizeof text / 2));
    return json_string(text);
}

/* --- A set -------------------------------------------------------------------------------------------------- */

static int begin(struct fixtures *f, struct error *e)
{
    char seed[200];
    if (!file_make_folder(f->out, e))
        return -1;
    if (access(f->out, W_OK | X_OK)) /* said before the keys are made, and not after */
        return error_set(e, ERROR_FILE, "%s: %s", f->out, strerror(errno));
    snprintf(seed, sizeof seed, "fixtures %s", f->seed);
    f->crypto = crypto_create(seed, strlen(seed));
    f->cases = json_array();
    if (!f->crypto || !f->cases)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    fputs("softsev fixtures: making a manufacturer's keys (RSA 4096): this takes some seconds\n",
          stderr);
    f->authority = authority_create(f->crypto, AUTHORITY_BITS_DEFAULT);
    f->other = authority_create(f->crypto, 2048); /* made faster; nothing is said of its size */
    if (!f->authority || !f->other || !crypto_ec_generate(f->crypto, &f->id_key) ||
        !crypto_ec_generate(f->crypto, &f->author_key) ||
        !crypto_ec_generate(f->crypto, &f->other_key))
        return error_set(e, ERROR_INTERNAL, "OpenSSL cannot make the keys");
    return 0;
}

static void end(struct fixtures *f)
{
    authority_free(f->authority);
    authority_free(f->other);
    crypto_destroy(f->crypto);
    json_decref(f->cases);
}

static int write_snp(struct fixtures *f, const struct firmware_profile *profile, struct error *e)
{
    struct fixtures_platform p = {
        .all = f, .profile = profile, .product = authority_product_find(profile->product)};
    if (!p.product)
        return error_set(e, ERROR_INTERNAL, "%s: no product %s", profile->name, profile->product);
    fixtures_fuses(f, profile, p.fuses);
    int result =
        fixtures_launch(&p, e) || fixtures_write_certs(&p, e) || fixtures_write_cases(f, &p, e) ? -1
                                                                                                : 0;
    crypto_wipe(p.fuses, sizeof p.fuses);
    return result;
}

static int write_profile(struct fixtures *f, const struct firmware_profile *profile,
                         struct error *e)
{
    char folder[400];
    snprintf(folder, sizeof folder, "%s/%s", f->out, profile->name);
    if (!file_make_folder(folder, e) || fixtures_write_sev(f, profile, e))
        return -1;
    return profile->report_version ? write_snp(f, profile, e) : 0;
}

static int write_manifest(struct fixtures *f, struct error *e)
{
    json_t *j = json_pack("{s:i, s:s, s:s, s:O}", "format", 1, "made_by", "softsev fixtures",
                          "seed", f->seed, "cases", f->cases);
    char *text = j ? json_dumps(j, JSON_INDENT(1)) : NULL;
    char path[500];
    snprintf(path, sizeof path, "%s/manifest.json", f->out);
    if (!text)
        error_set(e, ERROR_MEMORY, "out of memory for the manifest");
    const bool good = text && file_write(path, text, strlen(text), false, e);
    free(text);
    json_decref(j);
    return good ? 0 : -1;
}

/* Of one profile; NULL: of all. */
static int write_all(struct fixtures *f, const struct firmware_profile *one, struct error *e)
{
    if (begin(f, e))
        return -1;
    for (const struct firmware_profile *p = one ? one : firmware_profiles; p->name; p++) {
        if (write_profile(f, p, e))
            return -1;
        if (one)
            break;
    }
    return write_manifest(f, e);
}

int cli_fixtures(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_fixtures_table, argc, argv, &given, &status))
        return status;
    const u64 choice = options_choice(&given, FIXTURES_PROFILE);
    const char *seed = given.text[FIXTURES_SEED];
    struct fixtures f = {.out = given.text[FIXTURES_OUT], .seed = seed ? seed : SEED_DEFAULT};
    if (strlen(f.out) > OUT_MAX) {
        error_set(&e, ERROR_USAGE, "--out: the name is too long");
        return cli_fail("fixtures", &e);
    }
    if (write_all(&f, choice ? &firmware_profiles[choice - 1] : NULL, &e))
        cli_fail("fixtures", &e);
    else
        printf("%s: %zu cases, and manifest.json\n", f.out, f.count);
    end(&f);
    return (int)e.code;
}
