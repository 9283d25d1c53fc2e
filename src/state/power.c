/* SPDX-License-Identifier: Apache-2.0 */
/* Opens all that a platform is powered on with, before anything starts. */
#include "crypto/crypto.h"
#include "state/internal.h"

static int check_seed(const struct state_request *request, const struct state_identity *identity,
                      struct error *e)
{
    u8 fuses[32];
    if (!request->seed || request->any_seed || identity->made)
        return 0;
    state_seed_fuses(request->seed, strlen(request->seed), fuses);
    const bool same = crypto_equal(fuses, identity->fuses, sizeof fuses);
    crypto_wipe(fuses, sizeof fuses);
    return same ? 0
                : error_set(e, ERROR_USAGE, "the platform in %s was made from another seed",
                            request->directory);
}

/* Completes a directory of version 1, in which a profile or a floor that is absent was never
 * made. From then on such an absence is damage. */
static int bring_up_to_date(struct state *s, const struct state_identity *identity, struct error *e)
{
    if (s->reading || s->version != 1 || state_make_members(s, e))
        return s->reading || s->version != 1 ? 0 : -1;
    s->version = 2;
    return state_write(s, STATE_FUSES, identity->fuses, sizeof identity->fuses, e);
}

/* Refuses to turn a platform into another part silently: its chip id and certificates would be of
 * that part from then on. */
static int check_part(const struct state_request *request, struct state *s, struct error *e)
{
    char product[STATE_PRODUCT_MAX] = "";
    if (!request->profile || !request->keeps_part)
        return 0;
    state_product(s, product);
    if (!*product || !strcmp(product, request->profile->product))
        return 0;
    return error_set(e, ERROR_USAGE,
                     "the platform in %s is a %s, and %s is firmware of a %s; `softsev platform "
                     "init --profile %s --state %s` makes another part of it",
                     request->directory, product, request->profile->name, request->profile->product,
                     request->profile->name, request->directory);
}

int state_platform_open(const struct state_request *request, struct crypto *c,
                        struct state_platform *out, struct error *e)
{
    const u32 pass =
        (request->reset ? 1u << STATE_STORE : 0) | (request->profile ? 1u << STATE_PROFILE : 0);
    *out = (struct state_platform){.state = NULL};
    out->state = state_open_how(&(struct state){.looks = request->looks, .pass = pass},
                                request->directory, e);
    if (!out->state ||
        state_identity_open(out->state, c, request->seed, request->progress, &out->identity, e) ||
        check_seed(request, &out->identity, e) || check_part(request, out->state, e) ||
        state_profile(out->state, request->profile, &out->profile, e) ||
        state_committed(out->state, out->profile, &out->committed, e) ||
        bring_up_to_date(out->state, &out->identity, e))
        return -1;
    return 0;
}

void state_platform_close(struct state_platform *p)
{
    state_close(p->state);
    crypto_wipe(p, sizeof *p);
}
