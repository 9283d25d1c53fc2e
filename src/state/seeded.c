/* SPDX-License-Identifier: Apache-2.0 */
/* The authority of platforms that are made from a seed and not kept; see state.h. */
#include "authority/authority.h"
#include "crypto/crypto.h"
#include "state/internal.h"

#include <stdlib.h>

/* The words from which its keys are made. The cache also gets a chip from them, which nobody
 * uses. */
#define WORDS "the manufacturer of seeded platforms"

static struct crypto *known_stream(struct error *e)
{
    u8 seed[32];
    crypto_sev_kdf(WORDS, strlen(WORDS), "softsev-authority", NULL, 0, seed, sizeof seed);
    struct crypto *c = crypto_create(seed, sizeof seed);
    if (!c)
        error_set(e, ERROR_INTERNAL, "OpenSSL cannot be used");
    return c;
}

static int cache_directory(char *out, size_t size, struct error *e)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = -1;
    if (xdg && *xdg)
        length = snprintf(out, size, "%s/softsev/seeded", xdg);
    else if (home && *home)
        length = snprintf(out, size, "%s/.cache/softsev/seeded", home);
    return length > 0 && (size_t)length < size
               ? 0
               : error_set(e, ERROR_USAGE,
                           "neither XDG_CACHE_HOME nor HOME says where to keep them");
}

/* Reads the cache; several runs may do so at once. Returns NULL if there is nothing to read yet. */
static struct authority *read_cache(const char *directory, struct crypto *c)
{
    struct error ignored = {.code = ERROR_NONE};
    struct state *s = state_open_reading(directory, &ignored);
    struct authority *a = NULL;
    u8 probe[AUTHORITY_EXPORT_MAX];
    size_t size;
    if (s && state_read(s, STATE_AUTHORITY, probe, sizeof probe, &size, &ignored) == STATE_READ)
        a = state_authority_open(s, c, NULL, &ignored);
    crypto_wipe(probe, sizeof probe);
    state_close(s);
    return a;
}

static struct authority *make_cache(const char *directory, struct crypto *c,
                                    void (*progress)(const char *what), struct error *e)
{
    struct state_identity unused;
    struct authority *a = NULL;
    struct state *s = state_open(directory, NULL, e);
    if (s && !state_identity_open(s, c, WORDS, progress, &unused, e))
        a = state_authority_open(s, c, NULL, e);
    state_close(s);
    return a;
}

static struct authority *make_uncached(struct crypto *c, const struct error *why,
                                       void (*progress)(const char *what), struct error *e)
{
    char text[sizeof why->text + 160];
    snprintf(text, sizeof text,
             "making the manufacturer's keys of seeded platforms (RSA 4096) for this run alone, "
             "which takes a few seconds: %s",
             why->text);
    if (progress)
        progress(text);
    struct authority *made = authority_create(c, AUTHORITY_BITS_DEFAULT);
    u8 keys[AUTHORITY_EXPORT_MAX];
    const size_t size = made ? authority_export(made, keys, sizeof keys) : 0;
    authority_free(made); /* its keys hang on `c`; those that are read do not */
    struct authority *a = size ? authority_import(keys, size, e) : NULL;
    crypto_wipe(keys, sizeof keys);
    if (!size)
        error_set(e, ERROR_INTERNAL, "OpenSSL cannot make the manufacturer's keys");
    return a;
}

struct authority *state_authority_of_seeds(void (*progress)(const char *what), struct error *e)
{
    char directory[STATE_DIRECTORY_MAX];
    struct error why = {.code = ERROR_NONE};
    struct authority *a = NULL;
    struct crypto *c = known_stream(e);
    if (!c)
        return NULL;
    if (!cache_directory(directory, sizeof directory, &why)) {
        a = read_cache(directory, c);
        if (!a)
            a = make_cache(directory, c, progress, &why);
    }
    crypto_destroy(c);
    if (!a && (c = known_stream(e))) {
        a = make_uncached(c, &why, progress, e);
        crypto_destroy(c);
    }
    return a;
}
