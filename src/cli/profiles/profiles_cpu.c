/* SPDX-License-Identifier: Apache-2.0 */
/* softsev profiles --cpu: a CPU model, register by register, and what its part has besides. */
#include "cli/profiles/profiles.h"

#include "abi/x86.h"
#include "cli/cli.h"
#include "cli/identity/cpu_choice.h"

#include <jansson.h>
#include <stdio.h>

static const char *const registers[] = {"EAX", "EBX", "ECX", "EDX"};

/* Returns whether a feature is the first one of its register in the table. */
static bool is_first(size_t n)
{
    const struct cpu_feature *f = cpu_feature_at(n), *before = n ? cpu_feature_at(n - 1) : NULL;
    return !before || before->leaf != f->leaf || before->subleaf != f->subleaf ||
           before->reg != f->reg;
}

/* Returns whether the part has a feature that is never shown, because the cores lack it. */
static bool is_lacking(const struct cpu_model *m, size_t n)
{
    const struct cpu_feature *f = cpu_feature_at(n);
    return !f->implemented && !f->is_virtual && f->since < PART_COUNT &&
           (m->part == PART_COUNT || f->since <= m->part);
}

static bool is_shown_by_core(const struct cpu_model *m, size_t n)
{
    return cpu_model_shows(m, n) && cpu_feature_at(n)->implemented;
}

static bool is_added_for_guests(const struct cpu_model *m, size_t n)
{
    return cpu_model_shows(m, n) && cpu_feature_at(n)->is_virtual;
}

/* Returns whether a feature's register also repeats bits of leaf 1. */
static bool is_in_repeating(const struct cpu_feature *f)
{
    return f->leaf == 0x80000001 && f->reg == 3;
}

static void print_leaf(const struct cpu_model *m, size_t first)
{
    const struct cpu_feature *f = cpu_feature_at(first);
    const u32 bits = cpu_model_bits(m, f->leaf, f->subleaf, f->reg);
    if (!bits)
        return;
    printf("%04X_%04X.%u %s %08x", f->leaf >> 16, f->leaf & 0xffff, f->subleaf, registers[f->reg],
           bits);
    for (size_t i = first; (f = cpu_feature_at(i)) && (i == first || !is_first(i)); i++)
        if (is_shown_by_core(m, i))
            printf(" %s", f->name);
    puts(is_in_repeating(cpu_feature_at(first)) ? ", and again the bits of leaf 1" : "");
}

/* Prints the differences between the cores' CPUID and that of a guest of softsev run. */
static void print_guest(const struct cpu_model *m)
{
    printf("\nin a guest of softsev run, the hypervisor\n  adds:");
    for (size_t i = 0; cpu_feature_at(i); i++)
        if (is_added_for_guests(m, i))
            printf(" %s", cpu_feature_at(i)->name);
    puts(" (no tsc-deadline under sev-snp)\n  takes away: svm and leaf 8000_000A; of leaf "
         "8000_001F all but what the guest's mode is\n    made of: sev, sev-es, sev-snp, "
         "sme-coherent, under sev-snp coherency-sfw-no");
}

static void print_model(const struct cpu_model *m)
{
    printf("%s: CPUID 1 EAX %#x, \"%s\"\n", cpu_part_name(m->part), m->signature,
           cpu_part_brand(m->part));
    printf("addresses: %u bits physical, %u virtual; C-bit %u\nfeature bits that the cores show "
           "their host:\n",
           PHYSICAL_BITS, VIRTUAL_BITS, C_BIT);
    for (size_t i = 0; cpu_feature_at(i); i++)
        if (is_first(i))
            print_leaf(m, i);
    printf("exempt (no workaround needed here, whatever the part):");
    for (size_t i = 0; cpu_feature_at(i); i++)
        if (cpu_feature_at(i)->exempt && cpu_model_shows(m, i))
            printf(" %s", cpu_feature_at(i)->name);
    printf("\nnot implemented, so never shown:");
    for (size_t i = 0; cpu_feature_at(i); i++)
        if (is_lacking(m, i))
            printf(" %s", cpu_feature_at(i)->name);
    print_guest(m);
}

/* Lists the names of the features, of one register or of all, for which `is` returns true. */
static json_t *json_names(const struct cpu_model *m, size_t first, bool all,
                          bool (*is)(const struct cpu_model *, size_t))
{
    json_t *names = json_array();
    for (size_t i = first; cpu_feature_at(i) && (all || i == first || !is_first(i)); i++)
        if (is(m, i))
            json_array_append_new(names, json_string(cpu_feature_at(i)->name));
    return names;
}

/* Lists the names of a register's features, shown or not. */
static json_t *json_all(size_t first)
{
    json_t *names = json_array();
    for (size_t i = first; cpu_feature_at(i) && (i == first || !is_first(i)); i++)
        json_array_append_new(names, json_string(cpu_feature_at(i)->name));
    return names;
}

static json_t *json_leaves(const struct cpu_model *m)
{
    json_t *leaves = json_array();
    for (size_t i = 0; cpu_feature_at(i); i++) {
        const struct cpu_feature *f = cpu_feature_at(i);
        if (is_first(i))
            json_array_append_new(
                leaves,
                json_pack("{s:I, s:i, s:s, s:I, s:o, s:o}", "leaf", (json_int_t)f->leaf, "subleaf",
                          (int)f->subleaf, "register", registers[f->reg], "value",
                          (json_int_t)cpu_model_bits(m, f->leaf, f->subleaf, f->reg), "features",
                          json_names(m, i, false, is_shown_by_core), "all", json_all(i)));
    }
    return leaves;
}

int profiles_print_cpu(const char *text, bool json, struct error *e)
{
    struct cpu_model m;
    if (cli_cpu_parse(text, &m, e))
        return -1;
    if (json)
        return cli_tell_json(json_pack("{s:s, s:I, s:s, s:o, s:o, s:o}", "cpu",
                                       cpu_part_name(m.part), "signature", (json_int_t)m.signature,
                                       "brand", cpu_part_brand(m.part), "leaves", json_leaves(&m),
                                       "guest_adds", json_names(&m, 0, true, is_added_for_guests),
                                       "lacking", json_names(&m, 0, true, is_lacking)),
                             e);
    print_model(&m);
    return 0;
}
