/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the command line and the machine file (JSON) of `softsev run` into what is to be run. */
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/run/run.h"
#include "cli/run/run_table.h"
#include "cli/policy.h"

#include "abi/snp.h"
#include "abi/vmsa.h"
#include "cli/settings.h"
#include "cli/unix_socket.h"

#include <jansson.h>
#include <stdlib.h>

#define MEMORY_DEFAULT     MIB(512)
#define POLICY_SEV         1u /* NODBG */
#define POLICY_SEV_ES      5u /* the same, and SEV-ES required */
#define OWNER_WAIT_DEFAULT 300u

/* --- One VM ----------------------------------------------------------------------------------- */

/* Makes room for all VMs at once. They cannot move later, because their names lie inside. */
static int make_vms(struct run_options *o, size_t count, struct error *e)
{
    if (count > RUN_VMS_MAX)
        return error_set(e, ERROR_USAGE, "%zu VMs; a machine has 1 to %d", count, RUN_VMS_MAX);
    o->vms = calloc(count, sizeof *o->vms);
    return o->vms ? 0 : error_set(e, ERROR_MEMORY, "no memory for %zu VMs", count);
}

/* Chooses the policy: the one that was given, or the default of the mode. */
static int choose_policy(struct run_vm_options *v, const struct options *given, struct error *e)
{
    const u64 standard = v->mode == IMAGE_SEV_SNP  ? SNP_POLICY_QEMU_DEFAULT
                         : v->mode == IMAGE_SEV_ES ? POLICY_SEV_ES
                                                   : POLICY_SEV;
    v->policy = options_number(given, RUN_POLICY, standard);
    if (v->mode == IMAGE_SEV_SNP)
        v->snp_policy = v->policy;
    return policy_check(given->table->members ? "'policy'" : "--policy", v->policy, v->mode, e);
}

/* Checks the files that the run writes to the exchange folder, or takes from it. */
static int check_exchange(const struct options *given, const struct options *others,
                          struct error *e)
{
    static const char *const names[] = {"chain",
                                        "platform.json",
                                        "measurement.b64",
                                        "secret-header.b64",
                                        "secret-payload.b64",
                                        "evidence.b64",
                                        "answer.b64"};
    char path[500];
    for (size_t i = 0; given->text[RUN_OWNER_DIR] && i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof path, "%s/%s", given->text[RUN_OWNER_DIR], names[i]);
        if (options_check_output(given, RUN_OWNER_DIR, path, others, e))
            return -1;
    }
    return 0;
}

static int choose_features(struct run_vm_options *v, const struct options *given, struct error *e)
{
    const char *text = given->text[RUN_FEATURES];
    const bool snp = v->mode == IMAGE_SEV_SNP;
    v->sev_features = settings_features_of(text, options_number(given, RUN_FEATURES, 0), snp);
    v->tsc_khz = (u32)options_number(given, RUN_TSC_FREQUENCY, 0);
    const char *wrong = image_sev_features_wrong(v->sev_features, v->mode);
    if (wrong)
        return error_set(e, ERROR_USAGE, "guest-features '%s' of %s: %s", text, v->name, wrong);
    if (v->tsc_khz && !(v->sev_features & SEV_FEATURE_SECURE_TSC))
        return error_set(e, ERROR_USAGE, "tsc-frequency of %s needs guest-features secure-tsc",
                         v->name);
    return 0;
}

static int choose_disks(struct run_vm_options *v, const struct options *given, struct error *e)
{
    for (size_t i = 0; i < given->list_count; i++) {
        if (given->list_id[i] != RUN_DISK)
            continue;
        if (v->disk_count == VM_DISKS_MAX - (v->cloud_init ? 1 : 0))
            return error_set(e, ERROR_USAGE, "%s: more than %u disks%s; a VM has at most %u",
                             v->name, VM_DISKS_MAX, v->cloud_init ? ", cloud-init's included" : "",
                             VM_DISKS_MAX);
        if (run_parse_disk(given->list[i], &v->disks[v->disk_count++], e))
            return -1;
    }
    return 0;
}

/* Fills in a VM from options that are already checked. */
static int fill_vm(struct run_vm_options *v, u32 number, const struct options *given,
                   struct error *e)
{
    const char *const *text = given->text;
    snprintf(v->default_name, sizeof v->default_name, "vm%u", number);
    v->name = text[RUN_NAME] ? text[RUN_NAME] : v->default_name;
    v->kernel = text[RUN_KERNEL];
    v->initrd = text[RUN_INITRD];
    v->append = text[RUN_APPEND];
    v->firmware = text[RUN_FIRMWARE];
    v->firmware_vars = text[RUN_FIRMWARE_VARS];
    v->secret = text[RUN_OWNER_SECRET];
    v->owner_dir = text[RUN_OWNER_DIR];
    v->owner_root = text[RUN_OWNER_ROOT];
    v->memory = options_number(given, RUN_MEMORY, MEMORY_DEFAULT);
    v->cpus = (u32)options_number(given, RUN_CPUS, 1);
    v->mode = (enum image_mode)options_choice(given, RUN_MODE);
    v->kernel_hashes = text[RUN_KERNEL_HASHES];
    v->virtio_console = text[RUN_VIRTIO_CONSOLE];
    v->virtio_rng = text[RUN_VIRTIO_RNG];
    v->serial = text[RUN_SERIAL];
    v->cloud_init = text[RUN_CLOUD_INIT];
    v->testdev = options_choice(given, RUN_DEVICE) == RUN_TESTDEV;
    v->strict = text[RUN_STRICT];
    v->tamper = text[RUN_TAMPER];
    const char *guid = text[RUN_OWNER_SECRET_GUID];
    if (settings_guid("--secret-guid", guid ? guid : SETTINGS_GUID_PASSPHRASE, v->secret_guid, e))
        return -1;
    return run_check_name(v->name, e) || choose_disks(v, given, e) ||
                   (text[RUN_NET] && net_parse(text[RUN_NET], &v->net, e)) ||
                   choose_policy(v, given, e) || check_exchange(given, given, e) ||
                   choose_features(v, given, e)
               ? -1
               : 0;
}

/* --- The machine file ------------------------------------------------------------------------- */

/* Reads one VM of the machine file. `machine` has the options that stand beside the file on the
 * command line. */
static int machine_vm(struct run_options *o, json_t *object, const struct options *machine,
                      struct error *e)
{
    struct options given;
    struct run_vm_options *v = &o->vms[o->vm_count++];
    if (!json_is_object(object))
        return error_set(e, ERROR_USAGE, "each VM should be an object");
    return options_from_json(&cli_run_vm_table, object, &given, e) ||
                   fill_vm(v, o->vm_count, &given, e) ||
                   options_check_outputs(machine, &given, e) ||
                   options_check_outputs(&given, machine, e) || check_exchange(&given, machine, e)
               ? -1
               : 0;
}

static int check_machine(const char *path, json_t *root, struct error *e)
{
    const json_t *vms = json_object_get(root, "vms");
    if (!json_is_array(vms) || !json_array_size(vms))
        return error_set(e, ERROR_USAGE, "%s: should be {\"vms\": [{\"kernel\": ...}, ...]}", path);
    if (json_object_size(root) == 1)
        return 0;
    for (void *i = json_object_iter(root); i; i = json_object_iter_next(root, i))
        if (strcmp(json_object_iter_key(i), "vms"))
            return error_set(e, ERROR_USAGE, "%s: there is no member '%.80s' beside 'vms'", path,
                             json_object_iter_key(i));
    return 0;
}

static int parse_machine(struct run_options *o, const struct options *machine, struct error *e)
{
    const char *path = machine->text[RUN_MACHINE];
    json_error_t problem;
    struct error why = {.code = ERROR_NONE};
    json_t *vm;
    size_t i;
    struct cli_file f;
    if (cli_read_small(path, &f, &why))
        return error_set(e, why.code, "machine file: %s", why.text);
    o->machine = json_loadb((const char *)f.data, f.size, JSON_REJECT_DUPLICATES, &problem);
    cli_free_file(&f);
    if (!o->machine)
        return error_set(e, ERROR_USAGE, "machine file %s:%d: %s", path, problem.line,
                         problem.text);
    if (check_machine(path, o->machine, e))
        return -1;
    if (make_vms(o, json_array_size(json_object_get(o->machine, "vms")), &why))
        return error_set(e, why.code, "%s: %s", path, why.text);
    json_array_foreach(json_object_get(o->machine, "vms"), i, vm)
    {
        if (machine_vm(o, vm, machine, &why))
            return error_set(e, why.code, "%s: vms[%zu]: %s", path, i, why.text);
    }
    return run_check_clashes(o, &why) ? error_set(e, why.code, "%s: %s", path, why.text) : 0;
}

/* --- The command line ------------------------------------------------------------------------- */

static int check_wait(const struct run_options *o, const struct options *given, struct error *e)
{
    if (!given->text[RUN_OWNER_WAIT])
        return 0;
    for (u32 i = 0; i < o->vm_count; i++)
        if (o->vms[i].owner_dir)
            return 0;
    return error_set(e, ERROR_USAGE, "--owner-wait: no VM of %s has an 'owner-dir'",
                     given->text[RUN_MACHINE]);
}

/* Refuses for --gdb-reverse what several processes of one run would share or could not repeat. */
static int check_reverse_vm(const struct run_vm_options *v, struct error *e)
{
    if (v->owner_dir)
        return error_set(e, ERROR_USAGE,
                         "--gdb-reverse: the owner of %s is elsewhere and answers once; give it "
                         "'owner-secret'",
                         v->name);
    if ((v->serial && strcmp(v->serial, "stdio")) || v->net.on)
        return error_set(e, ERROR_USAGE,
                         "--gdb-reverse: %s should have no network and no serial port but standard "
                         "output: what has left the machine cannot be taken back",
                         v->name);
    if (v->firmware_vars)
        return error_set(e, ERROR_USAGE,
                         "--gdb-reverse: %s should have no firmware-vars: what is written cannot "
                         "be taken back",
                         v->name);
    for (u32 j = 0; j < v->disk_count; j++)
        if (!v->disks[j].read_only)
            return error_set(e, ERROR_USAGE,
                             "--gdb-reverse: the disk '%s' should be readonly: what is written "
                             "cannot be taken back",
                             v->disks[j].path);
    return 0;
}

static int check_reverse(struct run_options *o, struct error *e)
{
    if (!o->gdb_reverse)
        return 0;
    if (o->engine == CPU_ENGINE_JIT)
        return error_set(e, ERROR_USAGE,
                         "--gdb-reverse: --engine should be interpreter: translated code cannot be "
                         "kept with an earlier state");
    o->engine = CPU_ENGINE_INTERPRETER;
    for (u32 i = 0; i < o->vm_count; i++)
        if (check_reverse_vm(&o->vms[i], e))
            return -1;
    return 0;
}

static void fill_machine(struct run_options *o, const struct options *given)
{
    const char *const *text = given->text;
    o->state = text[RUN_STATE];
    o->seed = text[RUN_SEED];
    o->trace_file = text[RUN_TRACE_FILE];
    o->dump = text[RUN_DUMP];
    o->map = text[RUN_MAP];
    o->view = text[RUN_VIEW];
    o->view_keep = text[RUN_VIEW_KEEP];
    o->record = text[RUN_RECORD];
    o->replay = text[RUN_REPLAY];
    o->trace = (u32)options_number(given, RUN_TRACE, 0);
    o->trace_hash = text[RUN_TRACE_HASH];
    o->json = text[RUN_JSON];
    o->quiet = text[RUN_QUIET];
    o->time_given = text[RUN_TIME];
    o->time_seconds = (s64)options_number(given, RUN_TIME, 0);
    o->no_reboot = text[RUN_NO_REBOOT];
    o->incoming = text[RUN_INCOMING];
    o->control = text[RUN_CONTROL];
    o->daemonize = text[RUN_DAEMONIZE];
    o->pid_file = text[RUN_PID_FILE];
    o->snapshot = text[RUN_SNAPSHOT];
    o->snapshot_at = options_number(given, RUN_SNAPSHOT_AT, 0);
    o->gdb = text[RUN_GDB];
    o->gdb_wait = text[RUN_GDB_WAIT];
    o->gdb_reverse = text[RUN_GDB_REVERSE];
    o->clock = (enum run_clock)options_number(given, RUN_CLOCK, RUN_CLOCK_UNSAID);
    o->engine = (enum cpu_engine)options_number(given, RUN_ENGINE, CPU_ENGINE_AUTO);
    o->limit_given = text[RUN_LIMIT];
    o->limit_ns = options_number(given, RUN_LIMIT, 0) * CLOCK_HZ;
    o->owner_wait_seconds = options_number(given, RUN_OWNER_WAIT, OWNER_WAIT_DEFAULT);
}

/* Refuses a network with a seed: a seed makes runs equal, but what comes from a network differs
 * each time. */
static int check_networks(const struct run_options *o, struct error *e)
{
    for (u32 i = 0; i < o->vm_count; i++)
        if (o->vms[i].net.on && o->seed && !o->record && !o->replay)
            return error_set(e, ERROR_USAGE,
                             "%s: --seed cannot be given with --net user: what comes from a "
                             "network does not repeat; add --record, and --replay for the same run "
                             "again",
                             o->vms[i].name);
    return 0;
}

/* What a guest has written to a disk that forgets it is not in a snapshot of the machine. */
static int check_snapshot(const struct run_options *o, struct error *e)
{
    for (u32 i = 0; o->snapshot && i < o->vm_count; i++)
        for (u32 j = 0; j < o->vms[i].disk_count; j++)
            if (o->vms[i].disks[j].snapshot)
                return error_set(e, ERROR_USAGE,
                                 "%s: --snapshot cannot be given with the disk %s,snapshot, whose "
                                 "changes end with this run; a copy of the disk would do",
                                 o->vms[i].name, o->vms[i].disks[j].path);
    return 0;
}

static int check_socket(const char *option, const char *place, struct error *e)
{
    const size_t prefix = strlen(UNIX_PREFIX);
    return !place || (!strncmp(place, UNIX_PREFIX, prefix) && place[prefix])
               ? 0
               : error_set(e, ERROR_USAGE, "--%s '%.80s': expected unix:PATH", option, place);
}

int run_parse(const struct options *given, struct run_options *o, struct error *e)
{
    *o = (struct run_options){.vm_count = 0};
    fill_machine(o, given);
    o->cpu_text = given->text[RUN_CPU];
    if (check_socket("control", o->control, e) || check_socket("incoming", o->incoming, e) ||
        (o->cpu_text && cli_cpu_parse(o->cpu_text, &o->cpu, e)))
        return -1;
    if (given->text[RUN_MACHINE])
        return parse_machine(o, given, e) || check_wait(o, given, e) || run_check_cpu(o, e) ||
                       check_networks(o, e) || check_snapshot(o, e) || check_reverse(o, e)
                   ? -1
                   : 0;
    if (make_vms(o, 1, e))
        return -1;
    o->vm_count = 1;
    return fill_vm(o->vms, o->vm_count, given, e) || run_check_clashes(o, e) ||
                   run_check_cpu(o, e) || check_networks(o, e) || check_snapshot(o, e) ||
                   check_reverse(o, e)
               ? -1
               : 0;
}

void run_free_options(struct run_options *o)
{
    for (u32 i = 0; i < o->vm_count; i++)
        for (u32 j = 0; j < VM_DISKS_MAX; j++)
            free(o->vms[i].disks[j].path);
    free(o->vms);
    json_decref(o->machine);
}
