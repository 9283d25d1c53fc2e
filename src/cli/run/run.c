/* SPDX-License-Identifier: Apache-2.0 */
/* `softsev run`: makes a machine, starts its platform, launches guests with their owner, runs them,
 * and prints a summary. */
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/run/run.h"
#include "cli/run/snapshot.h"
#include "files/files.h"

#include <stdlib.h>
#include <time.h>

/* In addition to the guests' memory: buffers and the firmware's memory; and for each guest tables,
 * VMCBs and maps. Nested tables also grow with the guest's memory. */
#define HOST_MEMORY    MIB(32)
#define HOST_MEMORY_VM KIB(256)
#define FLASH_UNIT     MIB(2)

/* The signature in a plan whose description names no processor. */
#define BOARD_SIGNATURE part_signature(0x19, 1, 1)

static bool any_sev(const struct run_options *o)
{
    for (u32 i = 0; i < o->vm_count; i++)
        if (o->vms[i].mode != IMAGE_NONE)
            return true;
    return false;
}

/* --- Files and plans -------------------------------------------------------------------------- */

static struct image_file image_file(const struct cli_file *f)
{
    return (struct image_file){f->name, f->data, f->size};
}

struct image_description run_describe(const struct run_vm *v)
{
    return (struct image_description){
        .memory_size = v->options->memory,
        .cpus = v->options->cpus,
        .mode = v->options->mode,
        .secret =
            (v->options->owner_dir || v->options->secret) && v->options->mode != IMAGE_SEV_SNP,
        .kernel = image_file(&v->kernel),
        .initrd = image_file(&v->initrd),
        .command_line = v->options->append,
        .firmware = image_file(&v->firmware),
        .kernel_hashes = v->options->kernel_hashes,
        .sev_features = v->options->sev_features,
        .cpu_signature = v->run->cpu.signature,
    };
}

static const u8 *change_bit(struct run_vm *v, const void *data, u64 size)
{
    v->tampered = malloc(size);
    if (v->tampered) {
        memcpy(v->tampered, data, size);
        v->tampered[size / 2] ^= 1;
    }
    return v->tampered;
}

/* Changes the kernel as a malicious host might do between the files and the launch (--tamper). The
 * owner plans from the files and notices. */
static int tamper(struct run_vm *v, struct error *e)
{
    for (u32 i = 0; i < v->plan->piece_count; i++) {
        struct image_piece *p = &v->plan->pieces[i];
        if (!strcmp(p->name, "kernel") && !(p->data = change_bit(v, p->data, p->data_size)))
            return error_set(e, ERROR_MEMORY, "out of memory");
    }
    for (u32 i = 0; i < v->plan->item_count; i++) {
        struct image_item *item = &v->plan->items[i];
        if (item->key == IMAGE_ITEM_KERNEL && item->size &&
            !(item->data = change_bit(v, item->data, item->size)))
            return error_set(e, ERROR_MEMORY, "out of memory");
    }
    return 0;
}

static int make_plan(struct run_vm *v, struct error *e)
{
    struct image_description d = run_describe(v);
    v->plan = image_build(&d, e);
    if (!v->plan)
        return -1;
    return v->options->tamper ? tamper(v, e) : 0;
}

static int open_disks(struct run_vm *v, struct error *e)
{
    for (u32 i = 0; i < v->options->disk_count; i++)
        if ((v->run->options.incoming ? run_expect_disk : run_open_disk)(&v->options->disks[i],
                                                                         &v->disks[i], e))
            return -1;
    return 0;
}

static int open_vm(struct run *r, struct run_vm *v, const struct run_vm_options *o, struct error *e)
{
    v->run = r;
    v->options = o;
    if (cli_read_image(o->kernel, o->memory, &v->kernel, e) ||
        cli_read_image(o->initrd, o->memory, &v->initrd, e) ||
        cli_read_image(o->firmware, max_u64(o->memory, CLI_FIRMWARE_MAX), &v->firmware, e) ||
        cli_read_small(o->secret, &v->secret, e) || open_disks(v, e) || run_seed_open(v, e) ||
        run_flash_open(v, e) || run_serial_open(v, e) || run_net_open(v, e))
        return -1;
    const struct image_file firmware = image_file(&v->firmware), kernel = image_file(&v->kernel);
    return image_check_started(&firmware, &kernel, e) || make_plan(v, e) ? -1 : 0;
}

static void tell_of_view(void *context, const char *text)
{
    run_step(context, "view", "%s", text);
}

static int open_view(struct run *r, struct error *e)
{
    if (r->options.view)
        r->view = live_view_open(r->options.view, tell_of_view, r, e);
    return r->options.view && !r->view ? -1 : 0;
}

static int open_files(struct run *r, struct error *e)
{
    if (r->options.cpu_text)
        r->cpu = r->options.cpu;
    if (run_pid_open(r, e))
        return -1;
    r->vms = calloc(r->options.vm_count, sizeof *r->vms);
    if (!r->vms)
        return error_set(e, ERROR_MEMORY, "no memory for %u VMs", r->options.vm_count);
    for (u32 i = 0; i < r->options.vm_count; i++, r->vm_count++)
        if (open_vm(r, &r->vms[i], &r->options.vms[i], e)) {
            r->vm_count++;
            return -1;
        }
    r->tracing = (struct run_trace){.path = r->options.trace_file,
                                    .categories = r->options.trace,
                                    .json = r->options.json,
                                    .hashes = r->options.trace_hash};
    if (run_trace_open(&r->tracing, e))
        return -1;
    return run_dump_open(r, e) || run_map_open(r, e) || run_input_open(r, e) ||
                   run_gdb_open(r, e) || run_control_open(r, e) || open_view(r, e)
               ? -1
               : 0;
}

/* --- The machine ------------------------------------------------------------------------------ */

static int make_guest(struct run_vm *v, struct error *e)
{
    struct run *r = v->run;
    size_t table_size;
    const void *table = run_snp_table(r, &table_size);
    struct vm_config config = {
        .name = v->options->name,
        .plan = v->plan,
        .policy = (u32)v->options->policy,
        .snp_policy = v->options->snp_policy,
        .tsc_khz = v->options->tsc_khz,
        .cpus = v->options->cpus,
        .console = {run_uart_output, v},
        .channel = {run_console_output, v},
        .disk_count = v->options->disk_count,
        .net = run_net_card(v),
        .flash = run_flash_of(v),
        .random = v->options->virtio_rng ? &r->device_random : NULL,
        .virtio_console = v->options->virtio_console,
        .testdev = v->options->testdev,
        .strict = v->options->strict,
        .cpuid = run_hide_features,
        .cpuid_context = &r->cpu,
        .rtc_seconds = (u64)r->options.time_seconds,
        .certificates = table,
        .certificates_size = table_size,
    };
    for (u32 i = 0; i < v->options->disk_count; i++) {
        const struct run_disk_file *d = &v->disks[i];
        config.disks[i] = (struct vm_disk){d->size, d->read, d->write, d->context};
    }
    run_seed_add(v, &config);
    if (run_secret_open(v, &config, e))
        return -1;
    v->vm = vm_create(r->hv, &config, e);
    if (!v->vm)
        return -1;
    if (r->options.incoming)
        return 0;
    if (v->run->resumed && !v->run->resumed_whole)
        return 0; /* its state is loaded when all guests are there */
    return v->options->mode != IMAGE_NONE ? run_launch(v, e) : vm_load(v->vm, e);
}

/* Checks before the first launch that there are ASIDs for all guests: a launch may wait long for an
 * owner. */
static int check_asids(const struct run *r, struct error *e)
{
    u32 used[2] = {0, 0};
    for (u32 i = 0; i < r->vm_count; i++) {
        const struct run_vm_options *o = r->vms[i].options;
        const bool registers = o->mode != IMAGE_SEV;
        const u32 most = hypervisor_asids(r->hv, registers);
        if (o->mode != IMAGE_NONE && ++used[registers] > most)
            return error_set(e, ERROR_MEMORY,
                             "%s: no ASID is left for it; this processor has %u for guests with %s",
                             o->name, most, registers ? "SEV-ES and SNP" : "SEV");
    }
    return 0;
}

static int make_guests(struct run *r, struct error *e)
{
    if (check_asids(r, e))
        return -1;
    for (u32 i = 0; i < r->vm_count; i++) {
        if (run_signals_ending())
            return error_set(e, ERROR_INTERNAL, "a signal came before all guests were launched");
        if (make_guest(&r->vms[i], e))
            return -1;
    }
    return run_incoming(r, e);
}

/* --- Running ---------------------------------------------------------------------------------- */

/* The host's time between two looks at what the guests wrote. */
#define SEEN_NS 20000000ull

/* Shows once what the host sees of a guest, and passes on what waits for a guest. */
static int look_at_guests(struct run *r, struct error *e)
{
    u64 now = run_clock_ns();
    if (r->options.clock == RUN_CLOCK_WALL && now - r->seen_ns < SEEN_NS)
        return 0;
    r->seen_ns = now;
    for (u32 i = 0; i < r->vm_count; i++) {
        run_show_views(r, &r->vms[i], vm_get_state(r->vms[i].vm) != VM_RUNNABLE);
        run_flash_look(&r->vms[i]);
        if (run_secret_pump(&r->vms[i], e))
            return -1;
    }
    return 0;
}

/* Starts plain guests again that have reset their machine. An encrypted guest cannot start again:
 * its memory and registers would have to be measured again, with its owner. */
static int reboot_guests(struct run *r, bool *alive, struct error *e)
{
    for (u32 i = 0; i < r->vm_count; i++) {
        struct run_vm *v = &r->vms[i];
        if (vm_get_state(v->vm) != VM_RESET || v->options->mode != IMAGE_NONE ||
            r->options.no_reboot || *v->panic.text)
            continue;
        vm_destroy(v->vm);
        v->vm = NULL;
        host_spend(machine_host(r->machine), COST_RESET_NS);
        if (make_guest(v, e))
            return -1;
        run_gdb_rebooted(r);
        v->reboots++;
        *alive = true;
    }
    return 0;
}

/* What came from outside while the guests ran. */
static void give_input(struct run *r)
{
    run_terminal_give(r->terminal, r);
    run_serial_give(r);
    run_net_give(r);
}

static int run_guests(struct run *r, struct error *e)
{
    struct host *host = machine_host(r->machine);
    u64 limit = r->options.limit_given ? r->options.limit_ns : UINT64_MAX;
    bool alive = true;
    int result = 0;
    if (run_gdb_start(r, e) || run_daemon_launched(r, e))
        return -1;
    r->terminal = r->options.gdb_reverse ? NULL : run_terminal_open();
    run_clock_start(r);
    while (!result && alive && !r->quit && host_time_ns(host) < limit) {
        alive = run_slice(r, run_snapshot_limit(r, limit));
        run_snapshot_look(r);
        run_gdb_slice(r);
        if (!r->paused)
            give_input(r);
        run_migrate_step(r);
        run_control_give(r);
        result = look_at_guests(r, e) || run_input_replay(r, e) || reboot_guests(r, &alive, e);
    }
    run_terminal_close(r->terminal);
    r->terminal = NULL;
    for (u32 i = 0; i < r->vm_count; i++)
        run_panic_line_ends(&r->vms[i].panic);
    for (u32 i = 0; !result && i < r->vm_count; i++)
        run_show_views(r, &r->vms[i], true);
    return result ? -1 : 0;
}

/* Returns a hint for a guest that crashed: a triple fault before the first output is how a kernel
 * ends that does not know that its memory is encrypted. */
static const char *crash_hint(const struct run_vm *v, const struct vm_summary *s)
{
    static const char *const hints[] = {
        [IMAGE_NONE] = "",
        [IMAGE_SEV] = "; it had said nothing: is this a kernel with support for AMD SEV "
                      "(CONFIG_AMD_MEM_ENCRYPT)?",
        [IMAGE_SEV_ES] = "; it had said nothing: is this a kernel with support for AMD SEV-ES "
                         "(CONFIG_AMD_MEM_ENCRYPT, Linux 5.10 or later)?",
        [IMAGE_SEV_SNP] = "; it had said nothing: is this a kernel with support for AMD SEV-SNP "
                          "(CONFIG_AMD_MEM_ENCRYPT, Linux 5.19 or later)?",
    };
    return v->console_bytes || strncmp(s->reason, "triple fault", 12) ? ""
                                                                      : hints[v->options->mode];
}

static int panic_of_guest(struct run_vm *v, struct error *e)
{
    const enum vm_state state = vm_get_state(v->vm);
    const bool ended = state != VM_RUNNABLE || !v->run->quit;
    return ended && run_panicked(v, state)
               ? error_set(e, ERROR_PANIC, "%s: its kernel panicked: %s", v->options->name,
                           v->panic.text)
               : 0;
}

static int result_of_guest(struct run_vm *v, struct error *e)
{
    const char *name = v->options->name;
    struct vm_summary s;
    vm_get_summary(v->vm, &s);
    if (s.state == VM_CRASHED)
        return error_set(e, ERROR_GUEST, "%s: %s%s", name, s.reason, crash_hint(v, &s));
    if (s.state == VM_RUNNABLE && !v->run->quit)
        return error_set(e, ERROR_GUEST, "%s: still running after --limit", name);
    if (s.state == VM_RESET && v->options->mode != IMAGE_NONE)
        run_step(v->run, "hypervisor",
                 "%s has reset its machine, and ends: an encrypted guest is launched anew, with "
                 "its owner",
                 name);
    return 0;
}

/* Returns the run's result. A panic is reported first: that another VM was still running often
 * follows from it. */
static int result_of_guests(struct run *r, struct error *e)
{
    for (u32 i = 0; i < r->vm_count; i++)
        if (panic_of_guest(&r->vms[i], e))
            return -1;
    for (u32 i = 0; i < r->vm_count; i++)
        if (result_of_guest(&r->vms[i], e))
            return -1;
    for (u32 i = 0; !r->quit && i < r->vm_count; i++)
        if (run_secret_close(&r->vms[i], e))
            return -1;
    return 0;
}

/* --- All of it -------------------------------------------------------------------------------- */

/* Makes a stream of random numbers each for platform, owner and guests: none can guess another's
 * numbers from its own. */
static int make_crypto(struct run *r)
{
    u8 seeds[3][32];
    const char *seed = r->options.seed;
    static const char *const labels[3] = {"softsev-platform", "softsev-owner", "softsev-device"};
    for (u32 i = 0; seed && i < ARRAY_SIZE(labels); i++)
        crypto_sev_kdf(seed, strlen(seed), labels[i], NULL, 0, seeds[i], sizeof seeds[i]);
    r->crypto = crypto_create(seed ? seeds[0] : NULL, sizeof seeds[0]);
    r->owner_crypto = crypto_create(seed ? seeds[1] : NULL, sizeof seeds[1]);
    r->device_crypto = crypto_create(seed ? seeds[2] : NULL, sizeof seeds[2]);
    if (!r->crypto || !r->owner_crypto || !r->device_crypto)
        return -1;
    r->device_random = crypto_random_source(r->device_crypto);
    return 0;
}

/* Restarts the platform's stream, from which the identity of a new folder is drawn: what follows is
 * then the same whatever ran before. */
static void restart_stream(struct run *r)
{
    u8 fresh[32];
    const char *seed = r->options.seed;
    if (!seed)
        return;
    crypto_sev_kdf(seed, strlen(seed), "softsev-machine", NULL, 0, fresh, sizeof fresh);
    crypto_reseed(r->crypto, fresh, sizeof fresh);
}

/* Gives the machine the processor model of its platform, unless --cpu has chosen one. Plans again
 * the registers that hold another part's signature. */
static int settle_cpu(struct run *r, struct machine_config *config, struct error *e)
{
    const struct firmware_profile *p = config->profile ? config->profile : FIRMWARE_PROFILE_DEFAULT;
    const u32 planned = r->cpu.signature ? r->cpu.signature : BOARD_SIGNATURE;
    if (!r->options.cpu_text)
        cpu_model_of_part(part_of(p->family, p->model), &r->cpu);
    config->cpu = &r->cpu;
    for (u32 i = 0; i < r->vm_count && planned != r->cpu.signature; i++) {
        struct run_vm *v = &r->vms[i];
        image_free(v->plan);
        free(v->tampered);
        v->plan = NULL;
        v->tampered = NULL;
        if (make_plan(v, e))
            return -1;
    }
    return 0;
}

static int make_machine(struct run *r, struct error *e)
{
    const struct run_options *o = &r->options;
    if (make_crypto(r))
        return error_set(e, ERROR_INTERNAL, "OpenSSL cannot be used");
    struct machine_config config = {
        .memory_size = HOST_MEMORY,
        .cores = 1,
        .trace_categories =
            o->trace_hash || o->view ? ~0u : o->trace | (o->gdb ? 1u << TRACE_COMMAND : 0),
        .engine = o->engine,
        .crypto = r->crypto,
    };
    for (u32 i = 0; i < r->vm_count; i++)
        config.memory_size +=
            o->vms[i].memory +
            ALIGN_UP(r->vms[i].plan->flash_size + run_flash_of(&r->vms[i]).size, FLASH_UNIT);
    if (r->vm_count > 1)
        config.memory_size += ALIGN_UP(r->vm_count * HOST_MEMORY_VM, MIB(2));
    /* Any chip will do if nobody asks the secure processor for anything. */
    crypto_random(r->crypto, config.fuses, sizeof config.fuses);
    if ((any_sev(o) && run_identity(r, &config, e)) || settle_cpu(r, &config, e)) {
        crypto_wipe(config.fuses, sizeof config.fuses);
        return -1;
    }
    restart_stream(r);
    r->machine = machine_create(&config, e);
    crypto_wipe(config.fuses, sizeof config.fuses);
    if (!r->machine)
        return -1;
    if (run_check_engine(o->engine, machine_engine(r->machine), e))
        return -1;
    if (!r->resumed)
        run_trace_start(&r->tracing, machine_trace(r->machine));
    if (r->view)
        live_view_start(r->view, r->machine);
    if (run_gdb_machine(r, e))
        return -1;
    if (!r->resumed)
        machine_trace_begin(r->machine);
    r->hv = hypervisor_create(machine_host(r->machine), e);
    return r->hv ? 0 : -1;
}

/* Loads the machine's state. What is traced begins here. */
static int resume(struct run *r, struct error *e)
{
    if (snapshot_load(r->resumed, r, e))
        return -1;
    r->resumed_whole = true;
    run_trace_start(&r->tracing, machine_trace(r->machine));
    return 0;
}

static void phase(struct run *r, enum run_phase which, u64 *since)
{
    u64 now = run_clock_ns();
    r->phase_ns[which] += now - *since;
    *since = now;
}

static int run_all(struct run *r, struct error *e)
{
    u64 since = run_clock_ns();
    if (open_files(r, e))
        return -1;
    phase(r, PHASE_FILES, &since);
    if (make_machine(r, e) || (any_sev(&r->options) && run_platform(r, e)))
        return -1;
    phase(r, PHASE_PLATFORM, &since);
    if (make_guests(r, e) || (r->resumed && resume(r, e)))
        return -1;
    phase(r, PHASE_LAUNCH, &since);
    if (run_guests(r, e))
        return -1;
    phase(r, PHASE_GUEST, &since);
    run_summary(r);
    live_view_end(r->view, r->options.view_keep);
    if (run_dump_memory(r, e) || run_map_write(r, e))
        return -1;
    return result_of_guests(r, e);
}

/* Ends the machine, which is traced too, and closes the files that were written. A file that is not
 * complete is an error even if the guests ended well. */
static int run_close(struct run *r, struct error *e)
{
    run_migrate_close(r);
    if (r->machine)
        machine_trace_end(r->machine);
    hypervisor_destroy(r->hv);
    live_view_no_machine(r->view);
    machine_destroy(r->machine);
    live_view_close(r->view);
    r->view = NULL;
    r->hv = NULL;
    r->machine = NULL;
    bool good = !run_trace_close(&r->tracing, e);
    for (u32 i = 0; i < r->vm_count; i++)
        good = !run_serial_close(&r->vms[i], e) && !run_flash_close(&r->vms[i], e) && good;
    if (r->dump) /* the run has ended before there was anything to write */
        fclose(r->dump);
    if (r->map)
        fclose(r->map);
    r->dump = r->map = NULL;
    good = !run_output_close("run", e) && good;
    return run_input_close(r, e) || !good ? -1 : 0;
}

static void run_free(struct run *r)
{
    run_control_close(r);
    run_pid_close(r);
    run_close_identity(r);
    free(r->snp);
    crypto_destroy(r->crypto);
    crypto_destroy(r->owner_crypto);
    crypto_destroy(r->device_crypto);
    run_net_close(r);
    for (u32 i = 0; i < r->vm_count; i++) {
        struct run_vm *v = &r->vms[i];
        image_free(v->plan);
        for (u32 j = 0; j < VM_DISKS_MAX; j++)
            run_close_disk(&v->disks[j]);
        run_seed_close(v);
        free(v->tampered);
        free(v->exchange);
        crypto_wipe(v->secret.data, v->secret.size);
        cli_free_file(&v->kernel);
        cli_free_file(&v->initrd);
        cli_free_file(&v->firmware);
        cli_free_file(&v->secret);
    }
    run_free_options(&r->options);
    free(r->vms);
    free(r);
}

static int exit_status(const struct run *r)
{
    for (u32 i = 0; i < r->vm_count; i++) {
        struct vm_summary s;
        if (!r->vms[i].vm)
            continue;
        vm_get_summary(r->vms[i].vm, &s);
        if (s.state == VM_DEBUG_EXIT)
            return run_debug_exit_status(s.debug_exit_code);
    }
    return ERROR_NONE;
}

/* Chooses the wall's clock, unless the run must be repeatable. */
static void choose_clock(struct run_options *o)
{
    bool repeats = o->seed || o->record || o->replay;
    if (o->clock == RUN_CLOCK_UNSAID)
        o->clock = repeats ? RUN_CLOCK_VIRTUAL : RUN_CLOCK_WALL;
}

int cli_run(int argc, char **argv)
{
    return run_main(argc, argv, NULL);
}

int run_main(int argc, char **argv, struct snapshot *resumed)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status;
    if (!options_open(&cli_run_table, argc, argv, &given, &status))
        return status;
    struct run *r = calloc(1, sizeof *r);
    if (!r)
        cli_end_without_memory();
    r->daemon_fd = r->pid_fd = -1;
    r->given = given;
    r->resumed = resumed;
    int result = run_parse(&given, &r->options, &e) || run_daemon_start(r, &e) ? -1 : 0;
    if (!result) {
        if (!r->options.time_given)
            r->options.time_seconds = r->options.seed ? RUN_SEEDED_TIME : (s64)time(NULL);
        choose_clock(&r->options);
        run_signals_start();
        result = run_all(r, &e);
    }
    status = exit_status(r);
    if (run_close(r, &e))
        result = -1;
    if (!result && !run_signals_status() && run_snapshot_end(r, &e))
        result = -1;
    if (result)
        status = cli_fail("run", &e);
    run_gdb_close(r, run_signals_status() ? run_signals_status() : status);
    run_free(r);
    return run_signals_status() ? run_signals_status() : status;
}
