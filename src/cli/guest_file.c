/* SPDX-License-Identifier: Apache-2.0 */
/* Launch descriptions: members by a table, files, and the plan of the launch; see guest_file.h. */
#include "cli/guest_file.h"

#include "base/bytes.h"
#include "cli/owner.h"
#include "cli/settings.h"

#include <stdlib.h>

#define MEMORY_IMAGE   MIB(64) /* enough for the sections of a flash image */
#define MEMORY_KERNEL  MIB(512)
#define MEMORY_PAYLOAD MIB(2)
#define MEMORY_HOST    MIB(32) /* command buffers, context and tables of pages */
#define FEATURES_SNP   1u

/* --- Members ------------------------------------------------------------------------------------------ */

#define SET_PATH(field)                                                                            \
    static int set_##field(struct guest_file *g, const char *value, struct error *e)               \
    {                                                                                              \
        (void)e;                                                                                   \
        free(g->field);                                                                            \
        g->field = settings_copy(value);                                                           \
        return 0;                                                                                  \
    }
SET_PATH(firmware)
SET_PATH(kernel)
SET_PATH(initrd)
SET_PATH(append)
SET_PATH(id_block_path)
SET_PATH(id_auth_path)

#define SET_FLAG(field)                                                                            \
    static int set_##field(struct guest_file *g, const char *value, struct error *e)               \
    {                                                                                              \
        (void)value;                                                                               \
        (void)e;                                                                                   \
        g->field = true;                                                                           \
        return 0;                                                                                  \
    }
SET_FLAG(kernel_hashes)
SET_FLAG(author_key)
SET_FLAG(no_certificates)

static int set_memory(struct guest_file *g, const char *value, struct error *e)
{
    if (settings_memory(value, &g->memory, e))
        return -1;
    return g->memory >= MIB(2) && g->memory % MIB(2) == 0
               ? 0
               : error_set(e, ERROR_USAGE, "memory '%s': 2 MiB to 512 GiB in steps of 2 MiB",
                           value);
}

static int set_vcpus(struct guest_file *g, const char *value, struct error *e)
{
    u64 count;
    if (settings_number(value, IMAGE_VMSAS_MAX, &count) || !count)
        return error_set(e, ERROR_USAGE, "vcpus '%s': 1 to %u", value, IMAGE_VMSAS_MAX);
    g->vcpus = (u32)count;
    return 0;
}

static int set_vcpu_type(struct guest_file *g, const char *value, struct error *e)
{
    u64 signature;
    g->signature_given = true;
    if (measure_signature_by_name(value, &g->signature))
        return 0;
    if (settings_number(value, UINT32_MAX, &signature))
        return error_set(e, ERROR_USAGE,
                         "vcpu-type '%s': one of QEMU's models, such as EPYC-Milan, or CPUID 1 EAX "
                         "as a number",
                         value);
    g->signature = (u32)signature;
    return 0;
}

static int set_vmm_type(struct guest_file *g, const char *value, struct error *e)
{
    if (measure_vmm_by_name(value, &g->vmm))
        return 0;
    char names[100] = "";
    for (u32 i = 0; i < MEASURE_VMM_COUNT; i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "",
                 measure_vmm_name((enum measure_vmm)i));
    }
    return error_set(e, ERROR_USAGE, "vmm-type '%s': one of %s", value, names);
}

static int set_number(const char *member, const char *value, u64 *out, struct error *e)
{
    return settings_number(value, UINT64_MAX, out)
               ? error_set(e, ERROR_USAGE, "%s '%s': a 64-bit number, such as \"0x30000\"", member,
                           value)
               : 0;
}

static int set_features(struct guest_file *g, const char *value, struct error *e)
{
    if (set_number("guest-features", value, &g->features, e))
        return -1;
    return g->features & FEATURES_SNP
               ? 0
               : error_set(e, ERROR_USAGE, "guest-features '%s': an SNP guest has bit 0", value);
}

static int set_policy(struct guest_file *g, const char *value, struct error *e)
{
    return set_number("policy", value, &g->policy, e);
}

static int set_host_data(struct guest_file *g, const char *value, struct error *e)
{
    g->has_host_data = true;
    return hex_decode(g->host_data, sizeof g->host_data, value)
               ? 0
               : error_set(e, ERROR_USAGE, "host-data '%.80s': 32 bytes as 64 hexadecimal digits",
                           value);
}

static int set_level(const char *member, const char *value, u32 *out, struct error *e)
{
    u64 level;
    if (settings_number(value, SNP_VMPCKS - 1, &level))
        return error_set(e, ERROR_USAGE, "%s '%s': 0 to 3", member, value);
    *out = (u32)level;
    return 0;
}

static int set_vmpl(struct guest_file *g, const char *value, struct error *e)
{
    return set_level("vmpl", value, &g->vmpl, e);
}

static int set_vmpck(struct guest_file *g, const char *value, struct error *e)
{
    g->vmpck_given = true;
    return set_level("vmpck", value, &g->vmpck, e);
}

struct member {
    const char *name;
    int (*set)(struct guest_file *g, const char *value, struct error *e);
    bool flag; /* true or false */
    const char *help;
};

// clang-format off
static const struct member members[] = {
    {"firmware",        set_firmware,        false, "flash image that ends at 4 GiB, such as OVMF's"},
    {"kernel",          set_kernel,          false, "bzImage or ELF; with firmware: what is hashed"},
    {"initrd",          set_initrd,          false, "its initramfs"},
    {"append",          set_append,          false, "its command line"},
    {"kernel-hashes",   set_kernel_hashes,   true,  "with firmware: a page with the hashes of those three"},
    {"memory",          set_memory,          false, "guest memory, MiB or with K, M, G"},
    {"vcpus",           set_vcpus,           false, "virtual processors (1)"},
    {"vcpu-type",       set_vcpu_type,       false, "QEMU's CPU model, or CPUID 1 EAX (EPYC-Milan)"},
    {"vmm-type",        set_vmm_type,        false, "whose registers they begin with (qemu)"},
    {"guest-features",  set_features,        false, "SEV_FEATURES (1)"},
    {"policy",          set_policy,          false, "guest policy (0x30000)"},
    {"id-block",        set_id_block_path,   false, "file, 96 bytes or their base64"},
    {"id-auth",         set_id_auth_path,    false, "file, 4096 bytes or their base64"},
    {"author-key",      set_author_key,      true,  "the author key in it counts"},
    {"host-data",       set_host_data,       false, "32 bytes in hexadecimal"},
    {"vmpl",            set_vmpl,            false, "level that the guest's kernel runs at (0)"},
    {"vmpck",           set_vmpck,           false, "key that its driver uses (that of its vmpl)"},
    {"no-certificates", set_no_certificates, true,  "the host hands none out with extended reports"},
};
// clang-format on

void guest_file_print_members(FILE *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        fprintf(out, "  %-16s %s\n", members[i].name, members[i].help);
}

/* --- The text ----------------------------------------------------------------------------------------- */

static int set_member(struct guest_file *g, const char *name, const char *key, const json_t *value,
                      struct error *e)
{
    char number[SETTINGS_NUMBER_SIZE];
    const char *text;
    struct error why = {.code = ERROR_NONE};
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        if (strcmp(members[i].name, key))
            continue;
        if (settings_value(name, key, value, members[i].flag, number, &text, e))
            return -1;
        if (!text || !members[i].set(g, text, &why))
            return 0;
        return error_set(e, why.code, "%s: %s", name, why.text);
    }
    return error_set(e, ERROR_USAGE, "%s: there is no member '%.80s'; softsev-with(1) lists them",
                     name, key);
}

/* Members that make sense only together. */
static int check_members(const struct guest_file *g, const char *name, struct error *e)
{
    if (!g->id_block_path != !g->id_auth_path)
        return error_set(e, ERROR_USAGE, "%s: 'id-block' and 'id-auth' go together", name);
    if (g->author_key && !g->id_auth_path)
        return error_set(e, ERROR_USAGE, "%s: 'author-key' needs 'id-block' and 'id-auth'", name);
    if (g->kernel_hashes && (!g->firmware || !g->kernel))
        return error_set(e, ERROR_USAGE, "%s: 'kernel-hashes' needs 'firmware' and 'kernel'", name);
    if (g->firmware && g->kernel && !g->kernel_hashes)
        return error_set(e, ERROR_USAGE,
                         "%s: 'kernel' beside 'firmware' is launched by its hash only: add "
                         "\"kernel-hashes\": true",
                         name);
    if ((g->initrd || g->append) && !g->kernel)
        return error_set(e, ERROR_USAGE, "%s: '%s' needs 'kernel'", name,
                         g->initrd ? "initrd" : "append");
    if (g->vmpck_given && g->vmpck < g->vmpl)
        return error_set(e, ERROR_USAGE, "%s: software at VMPL%u has no VMPCK%u", name, g->vmpl,
                         g->vmpck);
    return 0;
}

int guest_file_parse(const char *name, const char *text, size_t size, struct guest_file *out,
                     struct error *e)
{
    json_error_t problem;
    const char *key;
    json_t *value;
    int result = 0;
    *out = (struct guest_file){
        .vcpus = 1, .features = FEATURES_SNP, .policy = SNP_POLICY_QEMU_DEFAULT};
    measure_signature_by_name("EPYC-Milan", &out->signature);
    guest_file_payload(out->payload);
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        return error_set(e, ERROR_USAGE, "%s:%d: %s", name, problem.line, problem.text);
    if (!json_is_object(root))
        result = error_set(e, ERROR_USAGE,
                           "%s: should be one object, such as {\"firmware\": \"OVMF.fd\"}", name);
    else
        json_object_foreach(root, key, value)
        {
            if (!result)
                result = set_member(out, name, key, value, e);
        }
    json_decref(root);
    if (!result)
        result = check_members(out, name, e);
    if (!out->vmpck_given)
        out->vmpck = out->vmpl;
    return result;
}

/* --- Files -------------------------------------------------------------------------------------------- */

/* Raw, or base64 with white space around it. */
static int read_exact(const char *path, void *out, size_t size, struct error *e)
{
    struct run_file f;
    if (run_read_file(path, &f, e))
        return -1;
    int result = 0;
    f.data[f.size] = 0;
    if (f.size == size)
        memcpy(out, f.data, size);
    else if (owner_decode_base64(path, (const char *)f.data, out, size, &(struct error){0}))
        result = error_set(e, ERROR_FILE, "%s: neither %zu bytes nor their base64", path, size);
    run_free_file(&f);
    return result;
}

static int read_files(struct guest_file *g, struct error *e)
{
    if (run_read_file(g->firmware, &g->firmware_file, e) ||
        run_read_file(g->kernel, &g->kernel_file, e) ||
        run_read_file(g->initrd, &g->initrd_file, e))
        return -1;
    if (g->firmware && !g->firmware_file.size)
        return error_set(e, ERROR_FILE, "%s: is empty", g->firmware);
    g->has_id_block = g->id_block_path;
    if (!g->has_id_block)
        return 0;
    return read_exact(g->id_block_path, &g->id_block, sizeof g->id_block, e) ||
                   read_exact(g->id_auth_path, &g->id_auth, sizeof g->id_auth, e)
               ? -1
               : 0;
}

int guest_file_load(const char *path, struct guest_file *out, struct error *e)
{
    struct run_file text;
    *out = (struct guest_file){.vcpus = 1};
    if (run_read_file(path, &text, e))
        return -1;
    int result =
        text.size > GUEST_FILE_MAX
            ? error_set(e, ERROR_USAGE, "%s: %zu bytes are no launch description", path, text.size)
            : guest_file_parse(path, (const char *)text.data, text.size, out, e);
    run_free_file(&text);
    return result ? -1 : read_files(out, e);
}

void guest_file_free(struct guest_file *g)
{
    char *texts[] = {g->firmware, g->kernel,        g->initrd,
                     g->append,   g->id_block_path, g->id_auth_path};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    run_free_file(&g->firmware_file);
    run_free_file(&g->kernel_file);
    run_free_file(&g->initrd_file);
    *g = (struct guest_file){.vcpus = 0};
}

/* --- The plan ------------------------------------------------------------------------------------------ */

static struct image_file image_of(const struct run_file *f)
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
    return measure_to_plan(&d, g->memory ? g->memory : memory, e);
}

static struct image_plan *plan_kernel(const struct guest_file *g, struct error *e)
{
    const struct image_description d = {
        .memory_size = g->memory ? g->memory : MEMORY_KERNEL,
        .mode = IMAGE_SEV_SNP,
        .kernel = image_of(&g->kernel_file),
        .initrd = image_of(&g->initrd_file),
        .command_line = g->append,
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
