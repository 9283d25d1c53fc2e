/* SPDX-License-Identifier: Apache-2.0 */
/* softsev profiles --cpu: a CPU model, register by register, and what its part has besides. */
#include "cli/profiles/profiles.h"

#include "abi/x86.h"
#include "cli/cli.h"
#include "cpu/model.h"

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

/* Returns whether the part has a feature that the cores lack. */
static bool is_lacking(const struct cpu_model *m, size_t n)
{
    const struct cpu_feature *f = cpu_feature_at(n);
    return !f->implemented && f->since < PART_COUNT &&
           (m->part == PART_COUNT || f->since <= m->part);
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
        if (cpu_model_shows(m, i))
            printf(" %s", f->name);
    putchar('\n');
}

static void print_model(const struct cpu_model *m)
{
    printf("%s: CPUID 1 EAX %#x, \"%s\"\n", cpu_part_name(m->part), m->signature,
           cpu_part_brand(m->part));
    printf("addresses: %u bits physical, %u virtual; C-bit %u\n", PHYSICAL_BITS, VIRTUAL_BITS,
           C_BIT);
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
    putchar('\n');
}

static json_t *json_names(const struct cpu_model *m, size_t first, bool lacking)
{
    json_t *names = json_array();
    for (size_t i = first; cpu_feature_at(i) && (lacking || i == first || !is_first(i)); i++)
        if (lacking ? is_lacking(m, i) : cpu_model_shows(m, i))
            json_array_append_new(names, json_string(cpu_feature_at(i)->name));
    return names;
}

/* The names of a register's features, shown or not. */
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
                          json_names(m, i, false), "all", json_all(i)));
    }
    return leaves;
}

int profiles_print_cpu(const char *text, bool json, struct error *e)
{
    struct cpu_model m;
    struct error why = {.code = ERROR_NONE};
    if (cpu_model_parse(text, &m, &why))
        return error_set(e, why.code, "--cpu %s", why.text);
    if (json)
        return cli_tell_json(json_pack("{s:s, s:I, s:s, s:o, s:o}", "cpu", cpu_part_name(m.part),
                                       "signature", (json_int_t)m.signature, "brand",
                                       cpu_part_brand(m.part), "leaves", json_leaves(&m), "lacking",
                                       json_names(&m, 0, true)),
                             e);
    print_model(&m);
    return 0;
}
