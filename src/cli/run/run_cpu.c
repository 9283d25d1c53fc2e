/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a CPU model to guests: hides features, and refuses a model without a feature that a
 * guest needs. */
#include "cli/run/run.h"

void run_hide_features(void *model, u32 leaf, u32 subleaf, u32 out[4])
{
    for (u32 reg = 0; reg < 4; reg++)
        out[reg] &= ~cpu_model_hides(model, leaf, subleaf, reg);
}

/* Returns the first feature that guests of a mode need and that the model hides; NULL: none. */
static const char *missing_feature(const struct cpu_model *m, enum image_mode mode)
{
    static const struct {
        enum image_mode mode; /* the lowest mode that needs it */
        const char *name;
    } needs[] = {
        {IMAGE_NONE, "svm"},      {IMAGE_NONE, "npt"},        {IMAGE_SEV, "sev"},
        {IMAGE_SEV_ES, "sev-es"}, {IMAGE_SEV_SNP, "sev-snp"},
    };
    for (size_t k = 0; k < ARRAY_SIZE(needs) && needs[k].mode <= mode; k++)
        for (size_t i = 0; cpu_feature_at(i); i++)
            if (!strcmp(cpu_feature_at(i)->name, needs[k].name) && !cpu_model_shows(m, i))
                return needs[k].name;
    return NULL;
}

int run_check_cpu(const struct run_options *o, struct error *e)
{
    const char *missing;
    if (!o->cpu_text)
        return 0;
    for (u32 i = 0; i < o->vm_count; i++)
        if ((missing = missing_feature(&o->cpu, o->vms[i].mode)))
            return error_set(e, ERROR_USAGE,
                             "--cpu %s: this model does not show %s, which %s needs for mode %s",
                             o->cpu_text, missing, o->vms[i].name, image_mode_name(o->vms[i].mode));
    return 0;
}
