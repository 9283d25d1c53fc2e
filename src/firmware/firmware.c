/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware object: profiles, creation, destruction. */
#include "firmware/internal.h"

#include <stdlib.h>

/* API numbers are those of the parts' firmware; a build number is one of many. */
// clang-format off
const struct firmware_profile firmware_profiles[] = {
    {.name = "milan",  .api_major = 1, .api_minor = 55, .build = 25}, /* the default: first row */
    {.name = "naples", .api_major = 0, .api_minor = 17, .build = 48},
    {.name = "rome",   .api_major = 0, .api_minor = 24, .build = 15},
    {.name = "genoa",  .api_major = 1, .api_minor = 55, .build = 39},
    {.name = NULL},
};
// clang-format on

const struct firmware_profile *firmware_profile_find(const char *name)
{
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

static bool copy_root(struct firmware *fw, const struct firmware_config *config)
{
    if (!config->ark)
        return true;
    fw->ark = malloc(config->ark_size ? config->ark_size : 1);
    if (!fw->ark)
        return false;
    memcpy(fw->ark, config->ark, config->ark_size);
    fw->ark_size = config->ark_size;
    return true;
}

struct firmware *firmware_create(const struct firmware_config *config)
{
    struct firmware *fw = calloc(1, sizeof *fw);
    if (!fw)
        return NULL;
    fw->memory = config->memory;
    fw->crypto = config->crypto;
    fw->trace = config->trace;
    fw->profile = config->profile ? config->profile : FIRMWARE_PROFILE_DEFAULT;
    fw->store = config->store;
    fw->c_bit = config->c_bit;
    fw->asid_min = config->asid_min;
    fw->asid_max = (u32)min_u64(config->asid_max, memory_asids(config->memory));
    fw->cores_mask = config->cores >= 64 ? ~0ull : BIT(config->cores) - 1;
    fw->no_wbinvd = config->no_wbinvd;
    fw->asid_dirty = calloc((size_t)fw->asid_max + 1, 1);
    if (fw->asid_dirty && copy_root(fw, config) && chip_derive(fw, config->fuses))
        return fw;
    firmware_destroy(fw);
    return NULL;
}

void firmware_destroy(struct firmware *fw)
{
    if (!fw)
        return;
    if (fw->asid_dirty)
        guests_erase_all(fw);
    free(fw->asid_dirty);
    free(fw->ark);
    crypto_wipe(fw, sizeof *fw);
    free(fw);
}
