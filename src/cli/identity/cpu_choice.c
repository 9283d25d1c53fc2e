/* SPDX-License-Identifier: Apache-2.0 */
/* CPU models by name; see cpu_choice.h. */
#include "cli/identity/cpu_choice.h"

#include "image/measure.h"

#define NAME_MAX 40u

/* Reads a name of QEMU's, which is of a part with a stepping of its own, and what follows it. */
static int parse_qemu(const char *text, struct cpu_model *out, struct error *e)
{
    const size_t size = strcspn(text, ",");
    char name[NAME_MAX] = "";
    u32 signature;
    memcpy(name, text, min_u64(size, sizeof name - 1));
    if (size >= sizeof name || !measure_signature_by_name(name, &signature))
        return error_set(e, ERROR_USAGE,
                         "'%.60s': QEMU's names that are known are EPYC, EPYC-Rome, EPYC-Milan, "
                         "EPYC-Genoa, EPYC-Turin and their versions, such as EPYC-Milan-v2",
                         text);
    cpu_model_of_part(part_of_signature(signature), out);
    out->signature = signature;
    return cpu_model_change(out, text + size, e);
}

int cli_cpu_parse(const char *text, struct cpu_model *out, struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    const bool qemu = !strncmp(text, "EPYC", 4);
    if (!(qemu ? parse_qemu : cpu_model_parse)(text, out, &why))
        return 0;
    return error_set(e, why.code, "--cpu %s", why.text);
}
