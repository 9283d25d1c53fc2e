/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU models: which part the cores are, and which of its features CPUID shows. A model shows what
 * the part has and the cores implement; a feature that they lack is never shown. What a model hides
 * the cores still execute, as processors do whose CPUID bits are masked.
 */
#ifndef SOFTSEV_CPU_MODEL_H
#define SOFTSEV_CPU_MODEL_H

#include "abi/part.h"
#include "base/base.h"
#include "base/error.h"

#define CPU_FEATURES_MAX 256u /* rows of cpuid_features.def */

struct cpu_model {
    enum part part; /* PART_COUNT: no part but everything that the cores implement */
    u32 signature;  /* CPUID Fn0000_0001 EAX */
    u64 shown[CPU_FEATURES_MAX / 64];
};

/* The model that stands for everything that the cores implement, and the group of the bits by which
 * a processor says that it needs no workaround for a weakness that its part may have. */
#define CPU_MODEL_MAX    "max"
#define CPU_GROUP_EXEMPT "exempt"

/* Makes a part's model; PART_COUNT makes `max`. */
void cpu_model_of_part(enum part part, struct cpu_model *out);
/* Reads "milan", or "milan,-umip,+auto-ibrs,-exempt": a part or `max`, then features to hide or to
 * show. Returns -1 and an error that names what is wrong. */
int cpu_model_parse(const char *text, struct cpu_model *out, struct error *error);
/* Changes a model by the rest of such a text: ",-umip,+auto-ibrs", or "". Each word
 * begins with a comma. */
int cpu_model_change(struct cpu_model *m, const char *text, struct error *error);
const char *cpu_part_name(enum part part);  /* "max" for PART_COUNT */
const char *cpu_part_brand(enum part part); /* CPUID Fn8000_0002 to 4 */

struct cpu_feature {
    const char *name;
    u32 leaf, subleaf;
    u8 reg, bit;      /* 0 to 3: EAX EBX ECX EDX */
    enum part since;  /* the first part that has it; PART_COUNT: none has */
    bool implemented; /* by the cores */
    bool exempt;      /* of the group CPU_GROUP_EXEMPT */
    bool is_virtual;  /* the cores lack it, and their hypervisor shows it to guests */
};

/* Returns the n-th feature, or NULL after the last. */
const struct cpu_feature *cpu_feature_at(size_t n);
bool cpu_model_shows(const struct cpu_model *m, size_t n);
/* Returns a register of a leaf as the cores show it, as far as it consists of features. */
u32 cpu_model_bits(const struct cpu_model *m, u32 leaf, u32 subleaf, u32 reg);
/* Returns the bits of features that the model hides, so that a hypervisor may not show them. */
u32 cpu_model_hides(const struct cpu_model *m, u32 leaf, u32 subleaf, u32 reg);

#endif
