/* SPDX-License-Identifier: Apache-2.0 */
/* Opens all that a platform is powered on with, before anything starts. */
#include "crypto/crypto.h"
#include "state/state.h"

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

int state_platform_open(const struct state_request *request, struct crypto *c,
                        struct state_platform *out, struct error *e)
{
    *out = (struct state_platform){.state = NULL};
    out->state = request->reset ? state_open_to_reset(request->directory, e)
                                : state_open(request->directory, NULL, e);
    if (!out->state ||
        state_identity_open(out->state, c, request->seed, request->progress, &out->identity, e) ||
        check_seed(request, &out->identity, e) ||
        state_profile(out->state, request->profile, &out->profile, e) ||
        state_committed(out->state, out->profile, &out->committed, e))
        return -1;
    return 0;
}

void state_platform_close(struct state_platform *p)
{
    state_close(p->state);
    crypto_wipe(p, sizeof *p);
}
