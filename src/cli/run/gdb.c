/* SPDX-License-Identifier: Apache-2.0 */
/* Lets GDB debug the first VM of a run: its virtual processors, whether they run or sleep. */
#include "cli/run/gdb.h"

#include "abi/sev.h"
#include "abi/snp.h"

#include <inttypes.h>

#include <stdlib.h>

/* --- The VM's processors ---------------------------------------------------------------------- */

struct vm *gdb_vm(const struct run_gdb *g)
{
    return g->run->vms[0].vm;
}

static u32 cores(const struct run_gdb *g)
{
    return host_cores(machine_host(g->run->machine));
}

bool gdb_cpu_runs(const struct run_gdb *g, u32 cpu, u32 *core)
{
    const u64 vmcb = vm_vmcb(gdb_vm(g), cpu);
    for (*core = 0; *core < cores(g); ++*core) {
        if (machine_debug_running(g->run->machine, *core) == vmcb)
            return true;
    }
    return false;
}

static struct vm_debug_cpu asked(struct run_gdb *g, u32 cpu)
{
    struct vm_debug_cpu c;
    bool busy = false;
    for (u32 core = 0; core < cores(g); core++)
        busy |= machine_debug_running(g->run->machine, core) != 0;
    vm_debug_cpu(gdb_vm(g), cpu, busy, &c);
    return c;
}

static bool sleeping_registers(struct run_gdb *g, u32 cpu, struct debug_registers *out)
{
    struct machine *m = g->run->machine;
    const struct vm_debug_cpu c = asked(g, cpu);
    struct debug_view v;
    u64 vmsa;
    bool es;
    memset(out, 0, sizeof *out);
    if (*c.state == 'w') /* it has no registers yet */
        return true;
    if (!debug_view_of_vmcb(m, c.vmcb_spa, &v, &es, &vmsa))
        return false;
    if (es)
        return debug_read_vmsa(m, vmsa, v.asid, out);
    memcpy(out->gpr, c.gpr, sizeof out->gpr);
    memcpy(out->dr, c.dr, sizeof out->dr);
    memcpy(out->fx, c.fx, sizeof out->fx);
    out->xcr0 = c.xcr0;
    if (!debug_read_save(m, c.vmcb_spa, &out->save))
        return false;
    out->gpr[0] = out->save.rax;
    out->gpr[4] = out->save.rsp;
    return true;
}

static u32 subject_count(void *context)
{
    const struct run_gdb *g = context;
    return vm_debug_cpus(gdb_vm(g));
}

static void subject_describe(void *context, u32 cpu, char *out, size_t size)
{
    struct run_gdb *g = context;
    u32 core;
    snprintf(out, size, "processor %u of %s: %s", cpu, g->run->vms[0].options->name,
             gdb_cpu_runs(g, cpu, &core) ? "runs" : asked(g, cpu).state);
}

static bool subject_get(void *context, u32 cpu, struct debug_registers *out)
{
    struct run_gdb *g = context;
    u32 core;
    if (!gdb_cpu_runs(g, cpu, &core))
        return sleeping_registers(g, cpu, out);
    machine_debug_get(g->run->machine, core, out);
    return true;
}

/* Writes the registers of the processor that has stopped. No other can be written: its registers
 * belong to the hypervisor, or to its VMSA. */
static bool subject_set(void *context, u32 cpu, const struct debug_registers *in)
{
    const struct run_gdb *g = context;
    u32 core;
    return gdb_cpu_runs(g, cpu, &core) && machine_debug_set(g->run->machine, core, in);
}

static bool subject_view(void *context, u32 cpu, struct debug_view *out)
{
    struct run_gdb *g = context;
    struct debug_registers r;
    u64 vmsa;
    bool es;
    if (!subject_get(g, cpu, &r) ||
        !debug_view_of_vmcb(g->run->machine, vm_vmcb(gdb_vm(g), cpu), out, &es, &vmsa))
        return false;
    debug_view_paging(out, &r.save);
    return true;
}

static u64 subject_name(void *context, u32 cpu)
{
    return vm_vmcb(gdb_vm(context), cpu);
}

static u32 subject_in_core(void *context, u32 core)
{
    const struct run_gdb *g = context;
    const u64 vmcb = machine_debug_running(g->run->machine, core);
    for (u32 i = 0; i < vm_debug_cpus(gdb_vm(g)); i++)
        if (vm_vmcb(gdb_vm(g), i) == vmcb)
            return i;
    return 0;
}

static u64 subject_ghcb(void *context, u32 cpu)
{
    return asked(context, cpu).ghcb_gpa;
}

/* --- What happens ----------------------------------------------------------------------------- */

static void subject_tell(void *context, const char *what)
{
    run_step(((struct run_gdb *)context)->run, "debugger", "%s", what);
}

static void subject_end(void *context)
{
    ((struct run_gdb *)context)->run->quit = true;
}

static void subject_served(void *context, u64 ns)
{
    ((struct run_gdb *)context)->run->wall_start_ns += ns;
}

static void subject_goes_on(void *context, bool step)
{
    struct run_gdb *g = context;
    g->stepping = step;
    g->direction = FORWARD;
    if (g->history)
        history_resume(g);
}

static void subject_reverse(void *context, bool one_instruction)
{
    struct run_gdb *g = context;
    g->direction = one_instruction ? BACK_STEP : BACK_RUN;
}

/* Forgets the past: GDB's change was not part of the run so far, and going back over it would lose
 * it. */
static void subject_changed(void *context)
{
    struct run_gdb *g = context;
    if (g->history)
        history_restarts(g);
}

static bool subject_stopped(void *context, u32 core, enum debug_why why, struct gdb_stop *stop)
{
    struct run_gdb *g = context;
    return !g->history || history_stopped(g, core, why, stop);
}

/* Goes back in time if GDB asked for it. Returns true if GDB must be told of another stop: that the
 * beginning is reached, from where nothing leads back. */
static bool subject_again(void *context, struct gdb_stop *stop)
{
    struct run_gdb *g = context;
    if (!g->history)
        return false;
    if (g->direction == FORWARD)
        return history_begins(g, stop);
    *stop =
        (struct gdb_stop){.thread = stop->thread, .signal = GDB_SIGNAL_TRAP, .at_beginning = true};
    return !history_travel(g, g->direction == BACK_STEP);
}

/* --- `monitor` -------------------------------------------------------------------------------- */

/* Says where a real host would look for the registers, and what it would see there. */
static void subject_place(void *context, struct gdb *gdb, u32 cpu)
{
    struct run_gdb *g = context;
    struct debug_view v;
    u64 vmsa, vmcb = vm_vmcb(gdb_vm(g), cpu);
    u32 core;
    bool es = false;
    debug_view_of_vmcb(g->run->machine, vmcb, &v, &es, &vmsa);
    gdb_print(gdb, "VMCB at 0x%016" PRIx64 ", asid %u, nested tables at 0x%016" PRIx64 "\n", vmcb,
              v.asid, v.nested_cr3);
    if (es)
        gdb_print(gdb, "VMSA at 0x%016" PRIx64 ": a host sees ciphertext there\n", vmsa);
    gdb_print(gdb, "%s\n",
              gdb_cpu_runs(g, cpu, &core) ? "these are the core's, inside of VMRUN"
              : es                        ? "these are the VMSA's, of the last exit"
                                          : "these are the VMCB's, of the last exit");
}

static void show_policy(struct gdb_ask *a)
{
    const struct run_gdb *g = a->session->context;
    const struct run_vm_options *o = g->run->vms[0].options;
    const bool snp = o->mode == IMAGE_SEV_SNP;
    const bool debugs = snp ? o->policy & SNP_POLICY_DEBUG : !(o->policy & SEV_POLICY_NODBG);
    if (o->mode == IMAGE_NONE)
        gdb_print(a->gdb, "this guest is not encrypted and has no policy\n");
    else
        gdb_print(a->gdb, "policy 0x%" PRIx64 ": the firmware %s a host that wants to debug\n",
                  o->policy, debugs ? "would help" : "refuses");
}

static const struct gdb_command commands[] = {
    {"policy", NULL, "the guest policy; it does not bind this debugger", show_policy},
};

static const struct gdb_subject subject = {
    .count = subject_count,
    .describe = subject_describe,
    .get = subject_get,
    .set = subject_set,
    .view = subject_view,
    .name = subject_name,
    .in_core = subject_in_core,
    .ghcb = subject_ghcb,
    .place = subject_place,
    .tell = subject_tell,
    .end = subject_end,
    .served = subject_served,
    .goes_on = subject_goes_on,
    .changed = subject_changed,
    .left = subject_changed,
    .stopped = subject_stopped,
    .again = subject_again,
    .commands = commands,
    .command_count = ARRAY_SIZE(commands),
};

/* --- For the run ------------------------------------------------------------------------------ */

int run_gdb_open(struct run *r, struct error *e)
{
    if (!r->options.gdb)
        return 0;
    r->gdb = calloc(1, sizeof *r->gdb);
    if (!r->gdb)
        return error_set(e, ERROR_MEMORY, "no memory for the debugger");
    r->gdb->run = r;
    r->gdb->subject = subject;
    r->gdb->subject.reverse = r->options.gdb_reverse ? subject_reverse : NULL;
    return gdb_session_open(&r->gdb->session, &r->gdb->subject, r->gdb, r->options.gdb, e);
}

int run_gdb_machine(struct run *r, struct error *e)
{
    return r->gdb ? gdb_session_machine(&r->gdb->session, r->machine, e) : 0;
}

/* Finds the processors' VMCBs: a plain guest that has reset its machine has new ones. */
static void find_processors(struct run_gdb *g)
{
    struct cpu_debugger *d = &g->session.debugger;
    d->vmcb_count = (u32)min_u64(vm_debug_cpus(gdb_vm(g)), DEBUG_PROCESSORS_MAX);
    for (u32 i = 0; i < d->vmcb_count; i++)
        d->vmcbs[i] = vm_vmcb(gdb_vm(g), i);
}

int run_gdb_start(struct run *r, struct error *e)
{
    struct run_gdb *g = r->gdb;
    if (!g)
        return 0;
    if (gdb_socket_listen(&g->session.socket, e) || (r->options.gdb_reverse && history_open(g, e)))
        return -1;
    find_processors(g);
    gdb_session_start(&g->session, r->options.gdb_wait);
    return 0;
}

void run_gdb_look(struct run *r, bool idle)
{
    if (r->gdb)
        gdb_session_look(&r->gdb->session, idle && vm_get_state(gdb_vm(r->gdb)) == VM_RUNNABLE);
}

void run_gdb_slice(struct run *r)
{
    if (r->gdb && r->gdb->history)
        history_grows(r->gdb);
}

void run_gdb_rebooted(struct run *r)
{
    if (r->gdb)
        find_processors(r->gdb);
}

void run_gdb_close(struct run *r, int status)
{
    struct run_gdb *g = r->gdb;
    if (!g)
        return;
    if (g->history)
        history_ends(g);
    gdb_session_close(&g->session, status);
    free(g);
    r->gdb = NULL;
}
