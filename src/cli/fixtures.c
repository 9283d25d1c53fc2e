/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev fixtures: attestation reports, chains and measurements, valid and wrong in each single way, with a manifest
 * that says what a correct verifier makes of each. Everything follows from the seed.
 */
#include "cli/fixtures.h"

#include "base/bytes.h"
#include "cli/cli.h"
#include "cli/platform.h"
#include "cli/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEED_DEFAULT "softsev"

struct options {
    const char *out, *seed, *profile;
};

static void print_help(FILE *out)
{
    fputs("usage: softsev fixtures --out DIR [OPTIONS]\n\n"
          "Writes attestation reports with their certificates, valid and wrong in each\n"
          "single way, and manifest.json: what a correct verifier must say about each.\n\n"
          "  --out DIR         a new folder, or one of an earlier run\n"
          "  --profile NAME    one of `softsev profiles`, or all (all)\n"
          "  --seed TEXT       the same seed gives the same files (" SEED_DEFAULT ")\n",
          out);
}

static int parse(int argc, char **argv, struct options *o, struct error *e)
{
    const struct {
        const char *name, **value;
    } known[] = {{"--out", &o->out}, {"--seed", &o->seed}, {"--profile", &o->profile}};
    for (int i = 1; i < argc; i++) {
        bool found = false;
        for (size_t k = 0; k < ARRAY_SIZE(known) && !found; k++) {
            const size_t length = strlen(known[k].name);
            if (strncmp(argv[i], known[k].name, length) ||
                (argv[i][length] && argv[i][length] != '='))
                continue;
            found = true;
            if (!argv[i][length] && i + 1 == argc)
                return error_set(e, ERROR_USAGE, "%s wants a value", argv[i]);
            *known[k].value = argv[i][length] ? argv[i] + length + 1 : argv[++i];
        }
        if (!found)
            return error_set(e, ERROR_USAGE,
                             "there is no option '%s'; `softsev fixtures --help` lists them",
                             argv[i]);
    }
    return o->out && strlen(o->out) > 300 ? error_set(e, ERROR_USAGE, "--out: the name is too long")
                                          : 0;
}

/* --- Shared by the cases ------------------------------------------------------------------------------------ */

int fixtures_write(const struct fixtures *f, const struct firmware_profile *profile,
                   const char *name, const void *data, size_t size, struct error *e)
{
    char folder[400];
    snprintf(folder, sizeof folder, "%s/%s", f->out, profile->name);
    return platform_write_file(folder, name, data, size, e);
}

void fixtures_fuses(const struct fixtures *f, const struct firmware_profile *profile, u8 fuses[32])
{
    char seed[200];
    int size = snprintf(seed, sizeof seed, "fixtures %s %s", profile->name, f->seed);
    cli_identity_seed_fuses(seed, min_u64((u64)size, sizeof seed - 1), fuses);
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
    if (platform_make_folder(f->out, e))
        return -1;
    if (access(f->out, W_OK | X_OK)) /* said before the keys are made, and not after */
        return error_set(e, ERROR_FILE, "%s: %s", f->out, strerror(errno));
    snprintf(seed, sizeof seed, "fixtures %s", f->seed);
    f->crypto = crypto_create(seed, strlen(seed));
    f->cases = json_array();
    if (!f->crypto || !f->cases)
        return error_set(e, ERROR_INTERNAL, "OpenSSL cannot be set up");
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
    if (platform_make_folder(folder, e) || fixtures_write_sev(f, profile, e))
        return -1;
    return profile->report_version ? write_snp(f, profile, e) : 0;
}

static int write_manifest(struct fixtures *f, struct error *e)
{
    json_t *j = json_pack("{s:i, s:s, s:s, s:O}", "format", 1, "made_by", "softsev fixtures",
                          "seed", f->seed, "cases", f->cases);
    char *text = j ? json_dumps(j, JSON_INDENT(1)) : NULL;
    int result = text ? platform_write_file(f->out, "manifest.json", text, strlen(text), e)
                      : error_set(e, ERROR_MEMORY, "no memory for the manifest");
    free(text);
    json_decref(j);
    return result;
}

static int write_all(struct fixtures *f, const char *name, struct error *e)
{
    const struct firmware_profile *one = NULL;
    if (name && strcmp(name, "all") && cli_profile_find(name, &one, e))
        return -1;
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
    struct options o = {.seed = SEED_DEFAULT};
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(stdout);
            return ERROR_NONE;
        }
    if (parse(argc, argv, &o, &e))
        return cli_fail("fixtures", &e);
    if (!o.out) {
        error_set(&e, ERROR_USAGE, "no folder for the files: give --out DIR");
        return cli_fail("fixtures", &e);
    }
    struct fixtures f = {.out = o.out, .seed = o.seed};
    if (write_all(&f, o.profile, &e))
        cli_fail("fixtures", &e);
    else
        printf("%s: %zu cases, and manifest.json\n", f.out, f.count);
    end(&f);
    return (int)e.code;
}
