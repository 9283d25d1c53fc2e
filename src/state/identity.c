/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform's identity in a state directory: the fuses of its chip, the authority that made it,
 * and the certificate that the authority gave its CEK. Each is made once and kept.
 */
#include "authority/authority.h"
#include "state/internal.h"

#include <stdlib.h>

/* The API version in the key server's certificates [sev 8.2]. */
#define CEK_API_MAJOR 0
#define CEK_API_MINOR 14

void state_seed_fuses(const void *seed, size_t seed_size, u8 fuses[32])
{
    crypto_sev_kdf(seed, seed_size, "softsev-fuses", NULL, 0, fuses, 32);
}

static int open_fuses(struct state *s, struct crypto *c, const char *seed,
                      struct state_identity *out, struct error *e)
{
    size_t got;
    enum state_answer answer = state_read(s, STATE_FUSES, out->fuses, sizeof out->fuses, &got, e);
    if (answer > STATE_ABSENT)
        return -1;
    if (got == sizeof out->fuses)
        return 0;
    if (answer == STATE_READ)
        return state_corrupt(s, STATE_FUSES, "does not have 32 bytes", e);
    if (state_make_members(s, e))
        return -1;
    if (seed)
        state_seed_fuses(seed, strlen(seed), out->fuses);
    else
        crypto_random(c, out->fuses, sizeof out->fuses);
    out->made = true;
    return state_write(s, STATE_FUSES, out->fuses, sizeof out->fuses, e);
}

/* Writes the authority's keys, always in the current form. */
static int keep_authority(struct state *s, const struct authority *a, struct error *e)
{
    u8 keys[AUTHORITY_EXPORT_MAX];
    size_t size = authority_export(a, keys, sizeof keys);
    int result = size ? state_write(s, STATE_AUTHORITY, keys, size, e)
                      : error_set(e, ERROR_INTERNAL, "the authority's keys do not fit their file");
    crypto_wipe(keys, sizeof keys);
    return result;
}

static struct authority *make_authority(struct state *s, struct crypto *c,
                                        void (*progress)(const char *what), struct error *e)
{
    if (state_check_members(s, e))
        return NULL;
    if (progress)
        progress("making the manufacturer's keys (ARK, ASK, ASVK: RSA 4096), once: this takes a "
                 "few seconds");
    struct authority *a = authority_create(c, AUTHORITY_BITS_DEFAULT);
    if (!a)
        error_set(e, ERROR_INTERNAL, "OpenSSL cannot make the manufacturer's keys");
    if (a && keep_authority(s, a, e)) {
        authority_free(a);
        a = NULL;
    }
    return a;
}

struct authority *state_authority_open(struct state *s, struct crypto *c,
                                       void (*progress)(const char *what), struct error *e)
{
    u8 keys[AUTHORITY_EXPORT_MAX];
    size_t size;
    enum state_answer answer = state_read(s, STATE_AUTHORITY, keys, sizeof keys, &size, e);
    if (answer == STATE_ABSENT)
        return make_authority(s, c, progress, e);
    if (answer != STATE_READ)
        return NULL;
    struct error why = {.code = ERROR_NONE};
    struct authority *a = authority_import(keys, size, &why);
    crypto_wipe(keys, sizeof keys);
    if (!a)
        error_set(e, ERROR_STATE, "the state directory is corrupt: %s/%s: %s", s->directory,
                  state_file_name(STATE_AUTHORITY), why.text);
    if (a && authority_is_older(a) && !state_is_reading(s) && keep_authority(s, a, e)) {
        authority_free(a);
        a = NULL;
    }
    return a;
}

static int sign_cek(struct crypto *c, const struct authority *a, struct state_identity *out,
                    struct error *e)
{
    struct ec_private key;
    bool ok = identity_cek(out->fuses, &key);
    if (ok) {
        sev_cert_init(&out->cek, SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA256, CEK_API_MAJOR,
                      CEK_API_MINOR, &key.public);
        ok = authority_sign_cek(c, a, &out->cek);
    }
    crypto_wipe(&key, sizeof key);
    return ok ? 0 : error_set(e, ERROR_INTERNAL, "the CEK cannot be derived or signed");
}

static int make_cek(struct state *s, struct crypto *c, const struct authority *a,
                    struct state_identity *out, struct error *e)
{
    return sign_cek(c, a, out, e) ? -1 : state_write(s, STATE_CEK, &out->cek, sizeof out->cek, e);
}

int state_identity_from_seed(struct crypto *c, const struct authority *a, const char *seed,
                             struct state_identity *out, struct error *e)
{
    *out = (struct state_identity){.made = true, .root = *authority_chain(a)};
    state_seed_fuses(seed, strlen(seed), out->fuses);
    return sign_cek(c, a, out, e);
}

/* Returns the file's signed CEK; makes it if there is none. */
static int open_cek(struct state *s, struct crypto *c, const struct authority *a,
                    struct state_identity *out, struct error *e)
{
    size_t got;
    enum state_answer answer = state_read(s, STATE_CEK, &out->cek, sizeof out->cek, &got, e);
    if (answer == STATE_ABSENT)
        return make_cek(s, c, a, out, e);
    if (answer != STATE_READ)
        return -1;
    if (got == sizeof out->cek &&
        sev_cert_verify_amd(&out->cek, &authority_chain(a)->ask) == CERT_OK)
        return 0;
    return state_corrupt(s, STATE_CEK, "is not signed by its authority", e);
}

int state_identity_open(struct state *s, struct crypto *c, const char *seed,
                        void (*progress)(const char *what), struct state_identity *out,
                        struct error *e)
{
    *out = (struct state_identity){.made = false};
    if (state_check_members(s, e) || open_fuses(s, c, seed, out, e))
        return -1;
    struct authority *a = state_authority_open(s, c, progress, e);
    if (!a)
        return -1;
    out->root = *authority_chain(a);
    int result = open_cek(s, c, a, out, e);
    authority_free(a);
    return result;
}
