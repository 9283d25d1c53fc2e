/* SPDX-License-Identifier: Apache-2.0 */
/* Launch descriptions: their members, files, and the plan of the launch; see guest_file.h. */
#include "cli/guest/guest_file.h"

#include "base/bytes.h"
#include "base/encoding.h"
#include "cli/cli.h"
#include "cli/guest/guest_table.h"
#include "cli/owner/forms.h"

#include <jansson.h>

#define MEMORY_IMAGE   MIB(64) /* enough for the sections of a flash image */
#define MEMORY_KERNEL  MIB(512)
#define MEMORY_PAYLOAD MIB(2)
#define MEMORY_HOST    MIB(32) /* command buffers, context and tables of pages */
#define FEATURES_SNP   1u

/* --- The text --------------------------------------------------------------------------------- */

/* The members, which go together. */
static int fill(struct guest_file *g, const struct options *o, struct error *e)
{
    const char *const *text = o->text;
    g->firmware = text[GUEST_FIRMWARE];
    g->kernel = text[GUEST_KERNEL];
    g->initrd = text[GUEST_INITRD];
    g->append = text[GUEST_APPEND];
    g->id_block_path = text[GUEST_ID_BLOCK];
    g->id_auth_path = text[GUEST_ID_AUTH];
    g->kernel_hashes = text[GUEST_KERNEL_HASHES];
    g->author_key = text[GUEST_AUTHOR_KEY];
    g->no_certificates = text[GUEST_NO_CERTIFICATES];
    g->has_memory = text[GUEST_MEMORY];
    g->memory = options_number(o, GUEST_MEMORY, 0);
    g->vcpus = (u32)options_number(o, GUEST_VCPUS, 1);
    g->signature = (u32)options_number(o, GUEST_VCPU_TYPE, g->signature);
    g->vmm = (enum measure_vmm)options_choice(o, GUEST_VMM_TYPE);
    g->features = options_number(o, GUEST_FEATURES, FEATURES_SNP);
    g->policy = options_number(o, GUEST_POLICY, SNP_POLICY_QEMU_DEFAULT);
    g->vmpl = (u32)options_number(o, GUEST_VMPL, 0);
    g->vmpck = (u32)options_number(o, GUEST_VMPCK, g->vmpl);
    g->has_host_data = text[GUEST_HOST_DATA];
    if (g->has_host_data)
        text_decode_hex_exactly(text[GUEST_HOST_DATA], g->host_data, sizeof g->host_data);
    if (g->vmpck < g->vmpl)
        return error_set(e, ERROR_USAGE, "software at VMPL%u has no VMPCK%u", g->vmpl, g->vmpck);
    return 0;
}

int guest_file_parse(const char *name, const char *text, size_t size, struct guest_file *out,
                     struct error *e)
{
    json_error_t problem;
    struct error why = {.code = ERROR_NONE};
    *out = (struct guest_file){.vcpus = 1};
    measure_signature_by_name("EPYC-Milan", &out->signature);
    guest_file_payload(out->payload);
    out->json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (!out->json)
        return error_set(e, ERROR_USAGE, "%s:%d: %s", name, problem.line, problem.text);
    if (!json_is_object(out->json))
        return error_set(e, ERROR_USAGE,
                         "%s: should be one object, such as {\"firmware\": \"OVMF.fd\"}", name);
    if (options_from_json(&cli_guest_table, out->json, &out->given, &why) ||
        fill(out, &out->given, &why))
        return error_set(e, why.code, "%s: %s", name, why.text);
    return 0;
}

/* --- Files ------------------------------------------------------------------------------------ */

static int read_files(struct guest_file *g, struct error *e)
{
    const u64 memory = g->has_memory ? g->memory : MEMORY_KERNEL;
    if (cli_read_image(g->firmware, max_u64(memory, CLI_FIRMWARE_MAX), &g->firmware_file, e) ||
        cli_read_image(g->kernel, memory, &g->kernel_file, e) ||
        cli_read_image(g->initrd, memory, &g->initrd_file, e))
        return -1;
    if (g->firmware && !g->firmware_file.size)
        return error_set(e, ERROR_FILE, "%s: is empty", g->firmware);
    if (g->kernel && !g->kernel_file.size)
        return error_set(e, ERROR_FILE, "%s: is empty", g->kernel);
    g->has_id_block = g->id_block_path;
    if (!g->has_id_block)
        return 0;
    return owner_read_exactly(g->id_block_path, "an ID block", &g->id_block, sizeof g->id_block,
                              e) ||
                   owner_read_exactly(g->id_auth_path, "an ID auth page", &g->id_auth,
                                      sizeof g->id_auth, e)
               ? -1
               : 0;
}

int guest_file_load(const char *path, struct guest_file *out, struct error *e)
{
    struct cli_file text;
    *out = (struct guest_file){.vcpus = 1};
    if (cli_read_small(path, &text, e))
        return -1;
    int result = text.size > GUEST_FILE_MAX
                     ? error_set(e, ERROR_USAGE,
                                 "%s: a launch description has at most %u bytes, this file has %zu",
                                 path, (u32)GUEST_FILE_MAX, text.size)
                     : guest_file_parse(path, (const char *)text.data, text.size, out, e);
    cli_free_file(&text);
    return result ? -1 : read_files(out, e);
}

void guest_file_free(struct guest_file *g)
{
    json_decref(g->json);
    cli_free_file(&g->firmware_file);
    cli_free_file(&g->kernel_file);
    cli_free_file(&g->initrd_file);
    *g = (struct guest_file){.vcpus = 0};
}

/* --- The plan --------------------------------------------------------------------------------- */

static struct image_file image_of(const struct cli_file *f)
{
    return (struct image_file){f->name, f->data, f->size};
}

static struct image_plan *plan_flash(const struct guest_file *g, const struct image_file *flash,
                                     u64 memory, struct error *e)
{
    const struct measure_description d = {
        .mode = MEASURE_SNP,
        .firmware = *flash,
        .kernel_hashes = g->kernel_hashes,
        .kernel = image_of(&g->kernel_file),
        .initrd = image_of(&g->initrd_file),
        .command_line = g->append,
        .vcpus = g->vcpus,
        .signature = g->signature,
        .vmm = g->vmm,
        .features = g->features,
    };
    return measure_to_plan(&d, g->has_memory ? g->memory : memory, e);
}

static struct image_plan *plan_kernel(const struct guest_file *g, struct error *e)
{
    const struct image_description d = {
        .memory_size = g->has_memory ? g->memory : MEMORY_KERNEL,
        .cpus = g->vcpus,
        .mode = IMAGE_SEV_SNP,
        .kernel = image_of(&g->kernel_file),
        .initrd = image_of(&g->initrd_file),
        .command_line = g->append,
        .sev_features = g->features,
    };
    return image_build(&d, e);
}

static bool has_secrets(const struct image_plan *plan)
{
    for (u32 i = 0; i < plan->piece_count; i++)
        if (plan->pieces[i].page_type == SNP_PAGE_SECRETS)
            return true;
    return false;
}

struct image_plan *guest_file_plan(const struct guest_file *g, struct error *e)
{
    const struct image_file own = {"the built-in guest", g->payload, sizeof g->payload};
    struct image_file flash = image_of(&g->firmware_file);
    struct image_plan *plan;
    if (g->firmware)
        plan = plan_flash(g, &flash, MEMORY_IMAGE, e);
    else if (g->kernel)
        plan = plan_kernel(g, e);
    else
        plan = plan_flash(g, &own, MEMORY_PAYLOAD, e);
    if (plan && !has_secrets(plan)) {
        error_set(e, ERROR_FILE,
                  "%s: its launch has no secrets page, and without one a guest cannot ask for "
                  "reports",
                  g->firmware ? g->firmware : g->kernel);
        image_free(plan);
        plan = NULL;
    }
    return plan;
}

u64 guest_file_machine_memory(const struct image_plan *plan)
{
    return ALIGN_UP(plan->memory_size, MIB(2)) + ALIGN_UP(plan->flash_size, MIB(2)) + MEMORY_HOST;
}
