/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live migration of a guest to another run of softsev: --incoming at the target, the control
 * socket's "migrate" at the source. The source sends pages between two slices of its guests.
 */
#include "cli/identity/platform.h"
#include "cli/run/run.h"
#include "cli/run/run_link.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define PAGES_OF_STEP 256u
/* Of the host's clock: for so long pages go before guests run again. */
#define STEP_NS 10000000ull

struct run_migration {
    struct run_vm *guest;
    struct run_link link;
    struct vm_sending *sending; /* NULL: it has ended */
    struct migrate_counters counters;
    struct error error; /* why it failed */
};

static u64 pages_of(const struct migrate_counters *c)
{
    return c->private_pages + c->shared_pages;
}

/* Tells the rule by which this end's firmware refused, and then the other end. */
static void explain(struct run *r, struct run_link *l, struct error *e)
{
    const struct migrate_link link = run_link_of(l);
    if (e->code == ERROR_FIRMWARE)
        run_with_rule(r, e);
    if (l->fd >= 0)
        migrate_refuse(&link, e->text);
}

/* --- Disks ------------------------------------------------------------------------------------ */

static int give_disks(void *context, struct error *e)
{
    struct run_vm *v = context;
    for (u32 i = 0; i < v->options->disk_count; i++)
        if (run_give_disk(&v->options->disks[i], &v->disks[i], e))
            return -1;
    return 0;
}

static int take_disks(void *context, struct error *e)
{
    struct run_vm *v = context;
    for (u32 i = 0; i < v->options->disk_count; i++)
        if (run_take_disk(&v->options->disks[i], &v->disks[i], e))
            return -1;
    return 0;
}

/* --- The source ------------------------------------------------------------------------------- */

static struct run_migration *begin(struct run *r, struct run_vm *v, const char *to, struct error *e)
{
    struct run_migration *m = calloc(1, sizeof *m);
    if (!m) {
        error_set(e, ERROR_MEMORY, "no memory for a migration");
        return NULL;
    }
    m->guest = v;
    m->link.fd = -1;
    const struct migrate_link link = run_link_of(&m->link);
    if (!migrate_check(v->vm, e) && !run_link_connect(&m->link, to, e) &&
        (m->sending = vm_send_start(v->vm, &link, e)))
        return m;
    explain(r, &m->link, e);
    run_link_close(&m->link);
    free(m);
    return NULL;
}

bool run_migrate_start(struct run *r, struct run_vm *v, const char *to, char wrong[400])
{
    struct error e = {.code = ERROR_NONE};
    run_migrate_close(r);
    r->migration = begin(r, v, to, &e);
    if (!r->migration) {
        snprintf(wrong, 400, "%.399s", e.text);
        return false;
    }
    run_step(r, "firmware", "SEND_START: %s may go to the platform behind %s", v->options->name,
             to);
    return true;
}

bool run_migrate_is_on(const struct run *r)
{
    return r->migration && r->migration->sending;
}

/* Ends it, whatever came of it. A guest that has not moved goes on. */
static void finish(struct run *r, struct run_migration *m, bool good)
{
    const char *name = m->guest->options->name;
    const bool moved = vm_get_state(m->guest->vm) == VM_MOVED;
    vm_send_counters(m->sending, &m->counters);
    if (!moved)
        explain(r, &m->link, &m->error);
    vm_send_end(m->sending);
    m->sending = NULL;
    run_link_close(&m->link);
    const struct migrate_counters *c = &m->counters;
    if (good)
        run_step(r, "firmware",
                 "SEND_FINISH: %s has moved: %u rounds, %" PRIu64 " private and %" PRIu64
                 " shared pages, %.1f MiB; it stood still for %.3f ms of machine time",
                 name, c->rounds, c->private_pages, c->shared_pages,
                 (double)c->bytes / (double)MIB(1), (double)c->downtime_ns / 1e6);
    else if (moved)
        run_step(r, "hypervisor", "%s has moved, and the target does not answer: %s", name,
                 m->error.text);
    else
        run_step(r, "firmware", "SEND_CANCEL: %s stays here: %s", name, m->error.text);
}

void run_migrate_step(struct run *r)
{
    struct run_migration *m = r->migration;
    if (!run_migrate_is_on(r))
        return;
    const struct migrate_ends ends = {give_disks, take_disks, m->guest};
    const u64 until = run_clock_ns() + STEP_NS;
    int sent = 0;
    if (vm_get_state(m->guest->vm) != VM_RUNNABLE)
        sent = error_set(&m->error, ERROR_GUEST, "the guest has ended");
    while (!sent && run_clock_ns() < until)
        sent = vm_send_pages(m->sending, PAGES_OF_STEP, &m->error);
    if (sent > 0)
        sent = vm_send_last(m->sending, &ends, &m->error) ? -1 : 1;
    if (sent)
        finish(r, m, sent > 0);
}

enum run_migrate_answer run_migrate_tell(const struct run *r, json_t *answer, char wrong[400])
{
    const struct run_migration *m = r->migration;
    struct migrate_counters c = {0};
    if (!m)
        return MIGRATE_FAILED;
    if (m->sending)
        vm_send_counters(m->sending, &c);
    else
        c = m->counters;
    json_object_set_new(answer, "rounds", json_integer(c.rounds));
    json_object_set_new(answer, "pages", json_integer((json_int_t)pages_of(&c)));
    json_object_set_new(answer, "bytes", json_integer((json_int_t)c.bytes));
    if (m->sending)
        return MIGRATE_GOES_ON;
    if (m->error.code) {
        snprintf(wrong, 400, "%.399s", m->error.text);
        return MIGRATE_FAILED;
    }
    json_object_set_new(answer, "private_pages", json_integer((json_int_t)c.private_pages));
    json_object_set_new(answer, "shared_pages", json_integer((json_int_t)c.shared_pages));
    json_object_set_new(answer, "last_pages", json_integer((json_int_t)c.last_pages));
    json_object_set_new(answer, "downtime_ns", json_integer((json_int_t)c.downtime_ns));
    json_object_set_new(answer, "source",
                        json_pack("{s:I, s:I}", "guests", (json_int_t)c.source_guests, "handle",
                                  (json_int_t)c.source_handle));
    json_object_set_new(answer, "target",
                        json_pack("{s:I, s:I}", "guests", (json_int_t)c.target_guests, "handle",
                                  (json_int_t)c.target_handle));
    return MIGRATE_DONE;
}

void run_migrate_close(struct run *r)
{
    struct run_migration *m = r->migration;
    if (!m)
        return;
    if (m->sending) {
        error_set(&m->error, ERROR_INTERNAL, "the run ends");
        finish(r, m, false);
    }
    free(m);
    r->migration = NULL;
}

/* --- The target ------------------------------------------------------------------------------- */

static void tell_of_wait(void *run)
{
    struct run *r = run;
    run_step(r, "hypervisor", "%s waits for its guest at %s", r->vms[0].options->name,
             r->options.incoming);
}

static int certificates_of(struct run *r, struct migrate_certificates *out, struct error *e)
{
    const struct amd_chain *root = &r->identity->on.identity.root;
    struct sev_platform_chain chain;
    if (run_export_chain(r, &chain, e))
        return -1;
    memcpy(out->chain.pdh, &chain.pdh, sizeof out->chain.pdh);
    memcpy(out->chain.chain, &chain.chain, sizeof out->chain.chain);
    if (root->ask.size + root->ark.size > sizeof out->amd)
        return error_set(e, ERROR_INTERNAL, "the manufacturer's certificates are too large");
    memcpy(out->amd, root->ask.bytes, root->ask.size);
    memcpy(out->amd + root->ask.size, root->ark.bytes, root->ark.size);
    out->amd_size = (u32)(root->ask.size + root->ark.size);
    return 0;
}

int run_incoming(struct run *r, struct error *e)
{
    struct run_vm *v = &r->vms[0];
    struct run_link l;
    struct migrate_certificates certificates = {.amd_size = 0};
    struct migrate_counters c;
    if (!r->options.incoming)
        return 0;
    if (certificates_of(r, &certificates, e) ||
        run_link_accept(&l, r->options.incoming, tell_of_wait, r, e))
        return -1;
    const struct migrate_link link = run_link_of(&l);
    const struct migrate_ends ends = {give_disks, take_disks, v};
    const int result = vm_receive(v->vm, &link, &certificates, &ends, &c, e);
    if (result)
        explain(r, &l, e);
    run_link_close(&l);
    if (result)
        return -1;
    run_step(r, "firmware",
             "RECEIVE_FINISH: %s came with %" PRIu64 " private and %" PRIu64
             " shared pages; handle %u, ASID %u, machine time %.6f s",
             v->options->name, c.private_pages, c.shared_pages, c.target_handle, vm_asid(v->vm),
             (double)host_time_ns(machine_host(r->machine)) / 1e9);
    return 0;
}
