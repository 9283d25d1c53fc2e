/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets GDB debug a bare machine. GDB's threads are the cores. A core that is in a guest shows the
 * guest's registers and memory, so steps lead from the host's VMRUN into the guest, and from there
 * back into the host. The machine stands still between two instructions of one core, so all cores'
 * registers can be read and written.
 */
#include "cli/host/host.h"

#include <inttypes.h>

#define NAMED "0x%016" PRIx64

static u32 subject_count(void *context)
{
    return ((struct host_run *)context)->options.cpus;
}

/* "host" or "sev-snp guest, asid 1, VMPL0, VMCB at 0x1000". */
static void name_world(const struct debug_world *w, char *out, size_t size)
{
    const char *mode = w->snp ? "sev-snp" : w->es ? "sev-es" : w->sev ? "sev" : "plain";
    char vmpl[24] = "";
    if (w->snp)
        snprintf(vmpl, sizeof vmpl, ", VMPL%u", w->vmpl);
    if (w->guest)
        snprintf(out, size, "%s guest, asid %u%s, VMCB at 0x%" PRIx64, mode, w->asid, vmpl,
                 w->vmcb_spa);
    else
        snprintf(out, size, "host");
}

static void subject_describe(void *context, u32 cpu, char *out, size_t size)
{
    const struct host_run *r = context;
    struct debug_world w;
    char world[100];
    machine_debug_world(r->machine, cpu, &w);
    name_world(&w, world, sizeof world);
    snprintf(out, size, "core %u, %s: %s", cpu, world, bare_core_state(r->bare, cpu));
}

static bool subject_get(void *context, u32 cpu, struct debug_registers *out)
{
    machine_debug_get(((struct host_run *)context)->machine, cpu, out);
    return true;
}

static bool subject_set(void *context, u32 cpu, const struct debug_registers *in)
{
    return machine_debug_set(((struct host_run *)context)->machine, cpu, in);
}

static bool subject_view(void *context, u32 cpu, struct debug_view *out)
{
    const struct host_run *r = context;
    struct debug_registers registers;
    struct debug_world w;
    machine_debug_world(r->machine, cpu, &w);
    machine_debug_get(r->machine, cpu, &registers);
    debug_view_of_world(&w, out);
    debug_view_paging(out, &registers.save);
    return true;
}

static u64 subject_name(void *context, u32 cpu)
{
    (void)context;
    return DEBUG_CORE(cpu);
}

static u32 subject_in_core(void *context, u32 core)
{
    (void)context;
    return core;
}

static u64 subject_ghcb(void *context, u32 cpu)
{
    struct debug_world w;
    machine_debug_world(((struct host_run *)context)->machine, cpu, &w);
    return w.ghcb_gpa;
}

/* --- What happens ----------------------------------------------------------------------------- */

static void subject_tell(void *context, const char *what)
{
    host_step(context, "debugger", "%s", what);
}

static void subject_end(void *context)
{
    ((struct host_run *)context)->quit = true;
}

static void subject_served(void *context, u64 ns)
{
    ((struct host_run *)context)->wall_start_ns += ns;
}

/* --- `monitor` -------------------------------------------------------------------------------- */

static void subject_place(void *context, struct gdb *gdb, u32 cpu)
{
    struct debug_world w;
    char world[100];
    machine_debug_world(((struct host_run *)context)->machine, cpu, &w);
    name_world(&w, world, sizeof world);
    gdb_print(gdb, "these are core %u's: %s\n", cpu, world);
    if (!w.guest)
        return;
    if (w.nested)
        gdb_print(gdb, "nested tables at " NAMED "; ", w.nested_cr3);
    gdb_print(gdb, "#VMEXIT leads to the host's rip " NAMED "\n", w.host_rip);
    if (w.es)
        gdb_print(gdb, "VMSA at " NAMED ": a host sees ciphertext there\n", w.vmsa_spa);
}

static void show_info(struct gdb_ask *a)
{
    const struct host_run *r = a->session->context;
    char text[200];
    for (u32 i = 0; i < r->options.cpus; i++) {
        subject_describe(a->session->context, i, text, sizeof text);
        gdb_print(a->gdb, "%s\n", text);
    }
}

static const struct {
    const char *word, *text;
    u64 worlds;
} worlds[] = {
    {"host", "in host mode alone", DEBUG_HOST},
    {"guest", "in guests alone", DEBUG_GUEST},
    {"both", "in host mode and in guests", DEBUG_HOST | DEBUG_GUEST},
};

static void choose_world(struct gdb_ask *a)
{
    struct cpu_debugger *d = &a->session->debugger;
    bool known = !*a->word;
    for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
        if (strcmp(a->word, worlds[i].word) != 0)
            continue;
        d->worlds = worlds[i].worlds;
        machine_debug_changed(a->machine);
        known = true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(worlds); i++)
        if (d->worlds == worlds[i].worlds)
            gdb_print(a->gdb, "%sbreakpoints and watchpoints count %s\n",
                      known ? "" : "no such world; ", worlds[i].text);
}

static const struct gdb_command commands[] = {
    {"info", NULL, "which world each core is in", show_info},
    {"world", "host|guest|both", "where breakpoints and watchpoints count", choose_world},
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
    .commands = commands,
    .command_count = ARRAY_SIZE(commands),
};

/* --- For the run ------------------------------------------------------------------------------ */

int host_gdb_open(struct host_run *r, struct error *e)
{
    if (!r->options.gdb)
        return 0;
    r->gdb.debugger.bare = true;
    r->gdb.debugger.worlds = DEBUG_HOST | DEBUG_GUEST;
    return gdb_session_open(&r->gdb, &subject, r, r->options.gdb, e);
}

int host_gdb_machine(struct host_run *r, struct error *e)
{
    return r->options.gdb ? gdb_session_machine(&r->gdb, r->machine, e) : 0;
}

int host_gdb_start(struct host_run *r, struct error *e)
{
    if (!r->options.gdb)
        return 0;
    if (gdb_socket_listen(&r->gdb.socket, e))
        return -1;
    gdb_session_start(&r->gdb, r->options.gdb_wait);
    return 0;
}

void host_gdb_again(struct host_run *r)
{
    if (r->options.gdb)
        machine_debug_attach(r->machine, &r->gdb.debugger);
}

void host_gdb_look(struct host_run *r, bool idle)
{
    if (r->options.gdb)
        gdb_session_look(&r->gdb, idle);
}

void host_gdb_close(struct host_run *r, int status)
{
    if (r->gdb.subject)
        gdb_session_close(&r->gdb, status);
}
