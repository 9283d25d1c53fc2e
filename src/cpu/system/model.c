/* SPDX-License-Identifier: Apache-2.0 */
/* CPU models, made from the rows of cpuid_features.def; see cpu/model.h. */
#include "cpu/model.h"

enum { EAX, EBX, ECX, EDX };
#define PART_NEVER PART_COUNT
#define HAS        true, false, false
#define LACKS      false, false, false
#define EXEMPT     true, true, false
#define VIRTUAL    false, false, true

#define FEATURE(name, leaf, subleaf, reg, bit, since, core)                                        \
    {name, leaf, subleaf, reg, bit, PART_##since, core},
static const struct cpu_feature features[] = {
#include "cpu/system/cpuid_features.def"
};
#undef FEATURE
_Static_assert(ARRAY_SIZE(features) <= CPU_FEATURES_MAX, "a model has a bit for each feature");

#define PART_ROW(id, name, family, model, stepping, brand) {name, family, model, stepping},
static const struct {
    const char *name;
    u32 family, model, stepping;
} parts[] = {PARTS(PART_ROW)};
#undef PART_ROW

#define PART_BRAND(id, name, family, model, stepping, brand) brand,
static const char *const brands[] = {PARTS(PART_BRAND) "softsev SEV processor in software"};
#undef PART_BRAND

/* 8000_0001 EDX repeats these bits of leaf 1: 0 to 9, 12 to 17, MMX and FXSR [APM3 E.4.2]. */
#define REPEATED 0x0183f3ffu

#define NAME_MAX 40u

static void show(struct cpu_model *m, size_t n, bool on)
{
    const u64 bit = BIT(n % 64);
    m->shown[n / 64] = on ? m->shown[n / 64] | bit : m->shown[n / 64] & ~bit;
}

void cpu_model_of_part(enum part part, struct cpu_model *out)
{
    const enum part looks = part == PART_COUNT ? PART_MILAN : part;
    *out = (struct cpu_model){.part = part,
                              .signature = part_signature(parts[looks].family, parts[looks].model,
                                                          parts[looks].stepping)};
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        const struct cpu_feature *f = &features[i];
        const bool of_part = part == PART_COUNT || f->exempt || f->since <= part;
        show(out, i, (f->implemented && of_part) || f->is_virtual);
    }
}

const char *cpu_part_name(enum part part)
{
    return part < PART_COUNT ? parts[part].name : CPU_MODEL_MAX;
}

const char *cpu_part_brand(enum part part)
{
    return brands[part < PART_COUNT ? part : PART_COUNT];
}

const struct cpu_feature *cpu_feature_at(size_t n)
{
    return n < ARRAY_SIZE(features) ? &features[n] : NULL;
}

bool cpu_model_shows(const struct cpu_model *m, size_t n)
{
    return m->shown[n / 64] >> n % 64 & 1;
}

static bool is_of(const struct cpu_feature *f, u32 leaf, u32 subleaf, u32 reg)
{
    return f->leaf == leaf && f->subleaf == subleaf && f->reg == reg;
}

u32 cpu_model_bits(const struct cpu_model *m, u32 leaf, u32 subleaf, u32 reg)
{
    u32 bits = 0;
    for (size_t i = 0; i < ARRAY_SIZE(features); i++)
        if (is_of(&features[i], leaf, subleaf, reg) && features[i].implemented &&
            cpu_model_shows(m, i))
            bits |= 1u << features[i].bit;
    return bits | (leaf == 0x80000001 && reg == EDX ? cpu_model_bits(m, 1, 0, EDX) & REPEATED : 0);
}

u32 cpu_model_hides(const struct cpu_model *m, u32 leaf, u32 subleaf, u32 reg)
{
    u32 bits = 0;
    for (size_t i = 0; i < ARRAY_SIZE(features); i++)
        if (is_of(&features[i], leaf, subleaf, reg) && !cpu_model_shows(m, i))
            bits |= 1u << features[i].bit;
    return bits | (leaf == 0x80000001 && reg == EDX ? cpu_model_hides(m, 1, 0, EDX) & REPEATED : 0);
}

/* --- Models as texts -------------------------------------------------------------------------- */

/* Changes one feature, or those of a group. */
static int change(struct cpu_model *m, bool on, const char *name, struct error *error)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        const struct cpu_feature *f = &features[i];
        const bool one = !strcmp(f->name, name);
        const bool group = f->exempt && !strcmp(name, CPU_GROUP_EXEMPT);
        if (!one && !group)
            continue;
        if (on && !f->implemented && !f->is_virtual)
            return error_set(error, ERROR_USAGE, "+%s: these cores do not implement it", name);
        /* What the part itself says of a weakness stays true without the group. */
        show(m, i, on || (group && !one && m->part != PART_COUNT && f->since <= m->part));
        known = true;
    }
    return known ? 0
                 : error_set(error, ERROR_USAGE,
                             "%s: there is no such feature; `softsev profiles --cpu %s` lists them",
                             name, cpu_part_name(m->part));
}

/* Takes the word up to a comma or the end; false: it is longer than any name. */
static bool take_word(const char **text, char word[NAME_MAX])
{
    const size_t size = strcspn(*text, ",");
    if (size >= NAME_MAX)
        return false;
    memcpy(word, *text, size);
    word[size] = 0;
    *text += size;
    return true;
}

int cpu_model_change(struct cpu_model *m, const char *text, struct error *error)
{
    while (*text) {
        char word[NAME_MAX];
        const char *all = ++text; /* after the comma */
        if (!take_word(&text, word) || (word[0] != '-' && word[0] != '+'))
            return error_set(error, ERROR_USAGE,
                             "'%.60s': after a comma should be a feature, with - to hide it or + "
                             "to show it",
                             all);
        if (change(m, word[0] == '+', word + 1, error))
            return -1;
    }
    return 0;
}

int cpu_model_parse(const char *text, struct cpu_model *out, struct error *error)
{
    const char *rest = text;
    char name[NAME_MAX];
    const bool fits = take_word(&rest, name);
    for (u32 part = 0; fits && part <= PART_COUNT; part++)
        if (!strcmp(name, cpu_part_name((enum part)part))) {
            cpu_model_of_part((enum part)part, out);
            return cpu_model_change(out, rest, error);
        }
    return error_set(error, ERROR_USAGE,
                     "'%.60s': a model is naples, rome, milan, genoa, turin or max, then -FEATURE "
                     "or +FEATURE with commas between",
                     text);
}
