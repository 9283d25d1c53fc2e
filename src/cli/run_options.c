/* SPDX-License-Identifier: Apache-2.0 */
/* The command line and the machine file (JSON) of `softsev run`. */
#include "cli/run.h"
#include "abi/snp.h"
#include "cli/settings.h"

#include <stdlib.h>

#define MEMORY_DEFAULT MIB(512)
#define POLICY_DEFAULT 1ull /* NODBG */
#define POLICY_ES      4u

/* --- One VM's settings, by name: the options and the machine file's members are the same ------ */

static int set_memory(struct run_vm_options *v, const char *value, struct error *e)
{
    return settings_memory(value, &v->memory, e);
}

static int set_cpus(struct run_vm_options *v, const char *value, struct error *e)
{
    u64 cpus;
    if (settings_number(value, VM_CPUS_MAX, &cpus) || !cpus)
        return error_set(e, ERROR_USAGE, "cpus '%s': a number from 1 to %u", value, VM_CPUS_MAX);
    v->cpus = (u32)cpus;
    return 0;
}

static int set_mode(struct run_vm_options *v, const char *value, struct error *e)
{
    static const char *const modes[] = {[IMAGE_NONE] = "none",
                                        [IMAGE_SEV] = "sev",
                                        [IMAGE_SEV_ES] = "sev-es",
                                        [IMAGE_SEV_SNP] = "sev-snp"};
    for (u32 i = 0; i < ARRAY_SIZE(modes); i++)
        if (!strcmp(value, modes[i])) {
            v->mode = (enum image_mode)i;
            return 0;
        }
    return error_set(e, ERROR_USAGE, "mode '%s': none, sev, sev-es or sev-snp", value);
}

static int set_policy(struct run_vm_options *v, const char *value, struct error *e)
{
    if (settings_number(value, UINT64_MAX, &v->policy))
        return error_set(e, ERROR_USAGE, "policy '%s': a number", value);
    v->policy_given = true;
    return 0;
}

#define SET_TEXT(field)                                                                            \
    static int set_##field(struct run_vm_options *v, const char *value, struct error *e)           \
    {                                                                                              \
        (void)e;                                                                                   \
        free(v->field);                                                                            \
        v->field = settings_copy(value);                                                           \
        return 0;                                                                                  \
    }
SET_TEXT(name)
SET_TEXT(kernel)
SET_TEXT(initrd)
SET_TEXT(append)
SET_TEXT(firmware)
SET_TEXT(secret)
SET_TEXT(disk)
SET_TEXT(owner_dir)
SET_TEXT(owner_root)

static int set_kernel_hashes(struct run_vm_options *v, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    v->kernel_hashes = true;
    return 0;
}

static int set_read_only(struct run_vm_options *v, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    v->disk_read_only = true;
    return 0;
}

static int set_virtio_console(struct run_vm_options *v, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    v->virtio_console = true;
    return 0;
}

static int set_tamper(struct run_vm_options *v, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    v->tamper = true;
    return 0;
}

struct setting {
    const char *name;
    int (*set)(struct run_vm_options *v, const char *value, struct error *e);
    bool flag; /* takes no value */
    const char *help;
};

// clang-format off
static const struct setting settings[] = {
    {"kernel",         set_kernel,         false, "FILE    bzImage, ELF or multiboot kernel"},
    {"initrd",         set_initrd,         false, "FILE    initramfs, or a multiboot module"},
    {"append",         set_append,         false, "TEXT    the kernel's command line"},
    {"firmware",       set_firmware,       false, "FILE    a flash image (OVMF's) that starts the kernel"},
    {"kernel-hashes",  set_kernel_hashes,  true,  "        measure the first three with it: it refuses others"},
    {"memory",         set_memory,         false, "SIZE    guest memory, MiB or with K, M, G (512)"},
    {"cpus",           set_cpus,           false, "NUMBER  virtual processors, 1 to 8 (1)"},
    {"mode",           set_mode,           false, "MODE    none, sev, sev-es or sev-snp (none)"},
    {"policy",         set_policy,         false, "NUMBER  guest policy (sev: 1, sev-es: 5, sev-snp: 0x30000)"},
    {"owner-secret",   set_secret,         false, "FILE    what the owner seals for the guest (/secret/secret)"},
    {"owner-root",     set_owner_root,     false, "FILE    whom the owner trusts (this platform's maker)"},
    {"owner-dir",      set_owner_dir,      false, "DIR     instead: an owner elsewhere; files go through here"},
    {"disk",           set_disk,           false, "FILE    a raw disk image, as virtio disk"},
    {"disk-read-only", set_read_only,      true,  "        the guest cannot change it"},
    {"virtio-console", set_virtio_console, true,  "        a second console, /dev/hvc0 in the guest"},
    {"tamper",         set_tamper,         true,  "        an evil host: one bit of the kernel is wrong"},
    {"name",           set_name,           false, "NAME    what to call the VM"},
};
// clang-format on

static const struct setting *setting_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (!strcmp(settings[i].name, name))
            return &settings[i];
    return NULL;
}

/* --- The machine file ------------------------------------------------------------------------- */

static int machine_member(struct run_vm_options *v, const char *key, json_t *value, struct error *e)
{
    const struct setting *s = setting_of(key);
    char number[SETTINGS_NUMBER_SIZE];
    const char *text;
    if (!s)
        return error_set(e, ERROR_USAGE, "a VM has no setting '%s'; softsev-run(1) lists them",
                         key);
    if (settings_value("a VM", key, value, s->flag, number, &text, e))
        return -1;
    return text ? s->set(v, text, e) : 0;
}

static struct run_vm_options *add_vm(struct run_options *o, struct error *e)
{
    if (o->vm_count == RUN_VMS_MAX) {
        error_set(e, ERROR_USAGE, "more than %u VMs", RUN_VMS_MAX);
        return NULL;
    }
    struct run_vm_options *v = &o->vms[o->vm_count++];
    *v = (struct run_vm_options){.memory = MEMORY_DEFAULT, .cpus = 1, .policy = POLICY_DEFAULT};
    return v;
}

static int machine_vm(struct run_options *o, json_t *object, struct error *e)
{
    const char *key;
    json_t *value;
    struct run_vm_options *v = add_vm(o, e);
    if (!v)
        return -1;
    if (!json_is_object(object))
        return error_set(e, ERROR_USAGE, "a VM should be an object");
    json_object_foreach(object, key, value)
    {
        if (machine_member(v, key, value, e))
            return -1;
    }
    return 0;
}

static int parse_machine(struct run_options *o, const char *path, struct error *e)
{
    json_error_t problem;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    if (!root && problem.line < 1)
        return error_set(e, ERROR_FILE, "machine file: %s", problem.text);
    if (!root)
        return error_set(e, ERROR_USAGE, "machine file %s:%d: %s", path, problem.line,
                         problem.text);
    json_t *vms = json_object_get(root, "vms"), *vm;
    size_t i;
    int result = 0;
    struct error why = {.code = ERROR_NONE};
    if (!json_is_array(vms) || !json_array_size(vms))
        result =
            error_set(e, ERROR_USAGE, "%s: should be {\"vms\": [{\"kernel\": ...}, ...]}", path);
    else
        json_array_foreach(vms, i, vm)
        {
            if (!result && machine_vm(o, vm, &why))
                result = error_set(e, why.code, "%s: vms[%zu]: %s", path, i, why.text);
        }
    json_decref(root);
    return result;
}

/* --- The command line ------------------------------------------------------------------------- */

static int option_state(struct run_options *o, const char *value, struct error *e)
{
    (void)e;
    free(o->state);
    o->state = settings_copy(value);
    return 0;
}

static int option_seed(struct run_options *o, const char *value, struct error *e)
{
    (void)e;
    free(o->seed);
    o->seed = settings_copy(value);
    return 0;
}

static int option_trace(struct run_options *o, const char *value, struct error *e)
{
    if (!trace_parse_categories(value, &o->trace))
        return error_set(e, ERROR_USAGE,
                         "trace '%s': all, or some of command, switch, key, view, page, vm, "
                         "owner, device with commas between",
                         value);
    return 0;
}

static int option_trace_file(struct run_options *o, const char *value, struct error *e)
{
    (void)e;
    free(o->trace_file);
    o->trace_file = settings_copy(value);
    return 0;
}

static int option_trace_hash(struct run_options *o, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    o->trace_hash = true;
    return 0;
}

static int option_dump(struct run_options *o, const char *value, struct error *e)
{
    (void)e;
    free(o->dump);
    o->dump = settings_copy(value);
    return 0;
}

static int option_record(struct run_options *o, const char *value, struct error *e)
{
    (void)e;
    free(o->record);
    o->record = settings_copy(value);
    return 0;
}

static int option_replay(struct run_options *o, const char *value, struct error *e)
{
    (void)e;
    free(o->replay);
    o->replay = settings_copy(value);
    return 0;
}

static int option_json(struct run_options *o, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    o->json = true;
    return 0;
}

static int option_quiet(struct run_options *o, const char *value, struct error *e)
{
    (void)value;
    (void)e;
    o->quiet = true;
    return 0;
}

static int option_time(struct run_options *o, const char *value, struct error *e)
{
    o->time_given = true;
    if (settings_number(value, UINT32_MAX, &o->time_seconds))
        return error_set(e, ERROR_USAGE, "time '%s': seconds since 1970", value);
    return 0;
}

static int option_limit(struct run_options *o, const char *value, struct error *e)
{
    u64 seconds;
    if (settings_number(value, 1000000, &seconds))
        return error_set(e, ERROR_USAGE, "limit '%s': seconds of machine time", value);
    o->limit_ns = seconds * CLOCK_HZ;
    return 0;
}

static int option_owner_wait(struct run_options *o, const char *value, struct error *e)
{
    if (settings_number(value, 1000000, &o->owner_wait_seconds))
        return error_set(e, ERROR_USAGE, "owner-wait '%s': seconds", value);
    return 0;
}

struct option_row {
    const char *name;
    int (*set)(struct run_options *o, const char *value, struct error *e);
    bool flag;
    const char *help;
};

// clang-format off
static const struct option_row options[] = {
    {"machine",    parse_machine,     false, "FILE    several VMs: {\"vms\": [{\"kernel\": ...}, ...]}"},
    {"state",      option_state,      false, "DIR     the platform's identity and store"},
    {"seed",       option_seed,       false, "TEXT    all randomness from it: runs equal to the byte"},
    {"time",       option_time,       false, "SECONDS the clock of day at the start, since 1970"},
    {"trace",      option_trace,      false, "WORDS   events: all, or some of command,switch,key,view,\n"
                                              "                            page,vm,owner,device"},
    {"trace-file", option_trace_file, false, "FILE    ... into a file instead of standard error"},
    {"trace-hash", option_trace_hash, true,  "        say the SHA-256 of all events at the end"},
    {"record",     option_record,     false, "FILE    write down console input and when it came"},
    {"replay",     option_replay,     false, "FILE    console input from such a file, at the same times"},
    {"dump",       option_dump,       false, "FILE    at the end: DRAM as a probe on the bus reads it"},
    {"json",       option_json,       true,  "        steps, events, consoles and summary as JSON lines"},
    {"quiet",      option_quiet,      true,  "        the guests' consoles and nothing else"},
    {"owner-wait", option_owner_wait, false, "SECONDS at most, for each step of an owner elsewhere (300)"},
    {"limit",      option_limit,      false, "SECONDS stop after so much machine time"},
};
// clang-format on

void run_print_help(FILE *out)
{
    fputs("usage: softsev run --kernel FILE [OPTIONS]\n"
          "       softsev run --machine FILE [OPTIONS]\n\n"
          "Boots a guest on a machine with SEV. Ctrl-A x leaves, Ctrl-A n: next console.\n\n"
          "a VM (also the members of a machine file's \"vms\"):\n",
          out);
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        fprintf(out, "  --%-15s %s\n", settings[i].name, settings[i].help);
    fputs("\nthe machine:\n", out);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        fprintf(out, "  --%-15s %s\n", options[i].name, options[i].help);
}

static int parse_option(struct run_options *o, const char *name, const char *value, int *used,
                        struct error *e)
{
    const struct setting *s = setting_of(name);
    const struct option_row *row = NULL;
    for (size_t i = 0; !s && i < ARRAY_SIZE(options); i++)
        if (!strcmp(options[i].name, name))
            row = &options[i];
    if (!s && !row)
        return error_set(e, ERROR_USAGE, "there is no option --%s; `softsev run --help` lists them",
                         name);
    bool flag = s ? s->flag : row->flag;
    if (!flag && !value)
        return error_set(e, ERROR_USAGE, "--%s wants a value", name);
    *used = flag ? 1 : 2;
    if (row)
        return row->set(o, value, e);
    if (!o->vm_count && !add_vm(o, e))
        return -1;
    return s->set(&o->vms[0], value, e);
}

/* What was not said follows from what was. */
static int choose_policies(struct run_options *o, struct error *e)
{
    for (u32 i = 0; i < o->vm_count; i++) {
        struct run_vm_options *v = &o->vms[i];
        if (v->mode == IMAGE_SEV_SNP) {
            v->snp_policy = v->policy_given ? v->policy : SNP_POLICY_QEMU_DEFAULT;
            continue;
        }
        if (v->policy > UINT32_MAX)
            return error_set(e, ERROR_USAGE, "policy %#llx of %s: a 32-bit number",
                             (unsigned long long)v->policy, v->name);
        if (v->mode == IMAGE_SEV_ES && !v->policy_given)
            v->policy |= POLICY_ES;
    }
    return 0;
}

static void name_vms(struct run_options *o)
{
    char name[16];
    for (u32 i = 0; i < o->vm_count; i++) {
        snprintf(name, sizeof name, "vm%u", i + 1);
        if (!o->vms[i].name)
            o->vms[i].name = settings_copy(name);
    }
}

int run_parse(int argc, char **argv, struct run_options *o, struct error *e)
{
    *o = (struct run_options){.owner_wait_seconds = 300};
    for (int i = 1, used = 1; i < argc; i += used) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            o->help = true;
            return 0;
        }
        if (strncmp(argv[i], "--", 2))
            return error_set(e, ERROR_USAGE, "'%s' is no option; `softsev run --help` lists them",
                             argv[i]);
        if (parse_option(o, argv[i] + 2, i + 1 < argc ? argv[i + 1] : NULL, &used, e))
            return -1;
    }
    name_vms(o);
    if (choose_policies(o, e))
        return -1;
    if (!o->vm_count)
        return error_set(e, ERROR_USAGE, "nothing to run: give --kernel or --machine");
    for (u32 i = 0; i < o->vm_count; i++)
        if (!o->vms[i].kernel && !o->vms[i].firmware)
            return error_set(e, ERROR_USAGE, "%s has no kernel", o->vms[i].name);
    for (u32 i = 0; i < o->vm_count; i++)
        if (o->vms[i].kernel_hashes && !o->vms[i].firmware)
            return error_set(e, ERROR_USAGE,
                             "%s: --kernel-hashes are for a firmware to compare: give --firmware",
                             o->vms[i].name);
    for (u32 i = 0; i < o->vm_count; i++)
        if (o->vms[i].owner_dir && (o->vms[i].secret || o->vms[i].owner_root))
            return error_set(e, ERROR_USAGE,
                             "%s: with --owner-dir secret and root are the owner's own",
                             o->vms[i].name);
    return 0;
}

void run_free_options(struct run_options *o)
{
    for (u32 i = 0; i < o->vm_count; i++) {
        struct run_vm_options *v = &o->vms[i];
        char *texts[] = {v->name,   v->kernel, v->initrd,    v->append,    v->firmware,
                         v->secret, v->disk,   v->owner_dir, v->owner_root};
        for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
            free(texts[k]);
    }
    free(o->state);
    free(o->seed);
    free(o->trace_file);
    free(o->dump);
    free(o->record);
    free(o->replay);
}
