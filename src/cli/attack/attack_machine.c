/* SPDX-License-Identifier: Apache-2.0 */
/* Machines for the attacks; see attack_lab.h. */
#include "cli/attack/attack_lab.h"
#include "cli/identity/profile.h"

#include "cli/cli.h"
#include "crypto/crypto.h"
#include "machine/machine.h"

#define LAB_MEMORY MIB(64)
#define LAB_SEED   "attacks"

static void off(void *context)
{
    struct cli_attack_lab *lab = context;
    machine_destroy(lab->machine);
    crypto_destroy(lab->platform);
    lab->machine = NULL;
    lab->platform = NULL;
}

static struct host *on(void *context, const char *profile, bool aliased, struct error *e)
{
    struct cli_attack_lab *lab = context;
    struct machine_config config = {.memory_size = LAB_MEMORY, .cores = 1};
    config.memory_aliased = aliased;
    if (profile && cli_profile_find(profile, &config.profile, e))
        return NULL;
    lab->platform = config.crypto = crypto_create(LAB_SEED, sizeof LAB_SEED);
    if (!lab->platform) {
        error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
        return NULL;
    }
    crypto_random(lab->platform, config.fuses, sizeof config.fuses);
    lab->machine = machine_create(&config, e);
    crypto_wipe(config.fuses, sizeof config.fuses);
    if (!lab->machine) {
        off(lab);
        return NULL;
    }
    return machine_host(lab->machine);
}

int cli_attack_open(struct cli_attack_lab *lab, struct error *e)
{
    *lab = (struct cli_attack_lab){.machines = {on, off, lab}};
    lab->owner = crypto_create(LAB_SEED "' owner", sizeof LAB_SEED);
    return lab->owner ? 0 : error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
}

void cli_attack_close(struct cli_attack_lab *lab)
{
    if (lab->owner)
        crypto_destroy(lab->owner);
    lab->owner = NULL;
}
