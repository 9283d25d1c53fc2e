/* SPDX-License-Identifier: Apache-2.0 */
/* Powers on the platform that a command line names; see platform.h. */
#include "cli/identity/platform.h"

#include "authority/authority.h"
#include "machine/machine.h"

/* Returns the newest profile of the part that --cpu names; NULL: it names none. */
static const struct firmware_profile *profile_of_cpu(const struct cli_platform_request *q)
{
    for (const struct firmware_profile *p = firmware_profiles; q->cpu_text && p->name; p++)
        if (part_of(p->family, p->model) == q->cpu->part)
            return p;
    return NULL;
}

/* Checks that --cpu and the profile are the same part: reports and CPUID must agree. */
static int check_cpu(const struct cli_platform_request *q, const struct firmware_profile *p,
                     struct error *e)
{
    const enum part part = part_of(p->family, p->model);
    if (!q->cpu_text || q->cpu->part == part || q->cpu->part == PART_COUNT)
        return 0;
    return error_set(e, ERROR_USAGE,
                     "--cpu %s: this platform is a %s; `softsev platform init --profile %s` with "
                     "another --state makes one, or --seed without --state",
                     q->cpu_text, p->product, cpu_part_name(q->cpu->part));
}

/* Derives everything from the seed, so that two runs are equal whatever ran before. Nothing is
 * kept: no later run without a seed gets a chip whose keys the seed reveals. */
static int open_seeded(const struct cli_platform_request *q, struct crypto *c,
                       struct cli_platform *p, struct error *e)
{
    const struct firmware_profile *chosen = q->profile ? q->profile : profile_of_cpu(q);
    p->authority = state_authority_of_seeds(q->progress, e);
    return !p->authority ||
                   state_identity_from_seed(c, p->authority, q->seed, &p->on.identity, e) ||
                   state_profile(NULL, chosen, &p->on.profile, e)
               ? -1
               : 0;
}

static int open_kept(const struct cli_platform_request *q, struct crypto *c, struct cli_platform *p,
                     struct error *e)
{
    const struct state_request request = {.directory = p->directory,
                                          .seed = q->seed,
                                          .any_seed = true,
                                          .profile = q->profile,
                                          .progress = q->progress};
    if (state_platform_open(&request, c, &p->on, e))
        return -1;
    p->authority = state_authority_open(p->on.state, c, NULL, e);
    return p->authority ? 0 : -1;
}

int cli_platform_open(const struct cli_platform_request *q, struct crypto *c,
                      struct cli_platform *p, struct error *e)
{
    const bool seeded = q->seed && !q->state;
    if (q->state && strlen(q->state) >= sizeof p->directory)
        return error_set(e, ERROR_USAGE, "--state: the name is too long");
    if (q->state)
        strcpy(p->directory, q->state);
    else if (!seeded && state_default(p->directory, sizeof p->directory, e))
        return -1;
    if (seeded ? open_seeded(q, c, p, e) : open_kept(q, c, p, e))
        return -1;
    return check_cpu(q, p->on.profile, e);
}

void cli_platform_close(struct cli_platform *p)
{
    state_platform_close(&p->on);
    authority_free(p->authority);
}

void cli_platform_configure(const struct cli_platform *p, struct machine_config *config)
{
    config->profile = p->on.profile;
    if (p->on.state) {
        config->store = state_store(p->on.state);
        config->commit = state_commit;
        config->commit_context = p->on.state;
        config->committed = p->on.committed;
    }
    memcpy(config->fuses, p->on.identity.fuses, sizeof config->fuses);
    config->ark = p->on.identity.root.ark.bytes;
    config->ark_size = p->on.identity.root.ark.size;
}
