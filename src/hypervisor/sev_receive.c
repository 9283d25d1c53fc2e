/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of a migration. Whoever connects is hostile: the firmware opens no packet that another
 * firmware has not sealed in this session; everything else is checked here.
 */
#include <stdlib.h>

#include "hypervisor/sev_message.h"

#define TIME_MAX BIT(62) /* ns: a machine time that leaves room for all that follows */

struct receiving {
    struct migration m;
    u32 registers; /* a bit for each processor whose VMSA has come */
    struct migrate_counters *counters;
    struct message_stream stream;
};

static int command(struct receiving *r, u32 id, void *buffer, size_t size, struct error *error)
{
    return psp_check(psp_command(r->m.vm->hv, id, buffer, size), id, error);
}

/* --- The beginning ---------------------------------------------------------------------------- */

static int send_platform(struct receiving *r, const struct migrate_certificates *c,
                         struct error *error)
{
    struct migrate_platform body = {
        .magic = MIGRATE_MAGIC, .version = MIGRATE_VERSION, .amd_size = c->amd_size};
    memcpy(body.pdh, c->chain.pdh, sizeof body.pdh);
    memcpy(body.chain, c->chain.chain, sizeof body.chain);
    memcpy(body.amd, c->amd, sizeof body.amd);
    return message_send(&r->m, MIGRATE_PLATFORM, &body, sizeof body, error);
}

static int receive_configuration(struct receiving *r, struct error *error)
{
    struct archive a =
        archive_loading(message_stream(&r->stream, &r->m, MIGRATE_CONFIGURATION, true), error);
    migrate_configuration(r->m.vm, &a);
    return a.failed || message_stream_end(&r->stream, error)
               ? -1
               : message_send(&r->m, MIGRATE_READY, NULL, 0, error);
}

/* RECEIVE_START and ACTIVATE: from here on there is a guest, which launch_undo() removes. */
static int receive_start(struct receiving *r, struct error *error)
{
    struct vm *vm = r->m.vm;
    struct hypervisor *hv = vm->hv;
    struct migrate_start body;
    if (message_expect(&r->m, MIGRATE_START, error))
        return -1;
    memcpy(&body, r->m.in, sizeof body);
    struct sev_start in = {.policy = body.policy,
                           .dh_cert_paddr = psp_data(hv, 0),
                           .dh_cert_len = sizeof body.pdh,
                           .session_paddr = psp_data(hv, PAGE_SIZE),
                           .session_len = sizeof body.session};
    if (body.policy != vm->config.policy)
        return error_set(error, ERROR_USAGE, "%s: the guest's policy is %#x, not %#x",
                         vm->config.name, body.policy, vm->config.policy);
    psp_data_write(hv, 0, body.pdh, sizeof body.pdh);
    psp_data_write(hv, PAGE_SIZE, body.session, sizeof body.session);
    if (command(r, SEV_CMD_RECEIVE_START, &in, sizeof in, error))
        return -1;
    vm->handle = in.handle;
    vm->encrypted = true;
    struct sev_activate activate = {vm->handle, vm->asid};
    return command(r, SEV_CMD_ACTIVATE, &activate, sizeof activate, error)
               ? -1
               : message_send(&r->m, MIGRATE_READY, NULL, 0, error);
}

/* Pages that are never sent must read as zeros on the bus. */
static int clear_memory(struct vm *vm, struct error *error)
{
    static const u8 zeros[PAGE_SIZE];
    u8 bytes[PAGE_SIZE];
    u64 left;
    for (u64 i = 0; i < vm->page_count; i++) {
        const u64 spa = vm_spa(vm, guest_page_address(vm, i), &left);
        if (!host_read(vm->hv->host, spa, bytes, sizeof bytes) ||
            (memcmp(bytes, zeros, sizeof bytes) &&
             !host_write(vm->hv->host, spa, zeros, sizeof zeros)))
            return error_set(error, ERROR_INTERNAL, "%s: its memory cannot be cleared",
                             vm->config.name);
    }
    return 0;
}

/* --- Pages and registers ---------------------------------------------------------------------- */

/* Returns the system address of a page that the source names. */
static int find_page(const struct receiving *r, u64 gpa, u64 *spa, struct error *error)
{
    u64 left;
    *spa = gpa % PAGE_SIZE ? FRAME_NONE : vm_spa(r->m.vm, gpa, &left);
    return *spa != FRAME_NONE
               ? 0
               : error_set(error, ERROR_FILE, "a page for guest address %#llx, where no page is",
                           (unsigned long long)gpa);
}

static int open_packet(struct receiving *r, u32 id, const struct migrate_packet *body, u64 spa,
                       struct error *error)
{
    struct hypervisor *hv = r->m.vm->hv;
    struct sev_packet packet = {.handle = r->m.vm->handle,
                                .hdr_paddr = psp_data(hv, 0),
                                .hdr_len = SEV_PACKET_HEADER_SIZE,
                                .guest_paddr = spa,
                                .guest_len = PAGE_SIZE,
                                .trans_paddr = psp_data(hv, PAGE_SIZE),
                                .trans_len = PAGE_SIZE};
    psp_data_write(hv, 0, body->header, sizeof body->header);
    psp_data_write(hv, PAGE_SIZE, body->data, sizeof body->data);
    return command(r, id, &packet, sizeof packet, error);
}

static int take_private(struct receiving *r, struct error *error)
{
    struct migrate_packet body;
    u64 spa;
    memcpy(&body, r->m.in, sizeof body);
    r->counters->private_pages++;
    return find_page(r, body.where, &spa, error) ||
                   open_packet(r, SEV_CMD_RECEIVE_UPDATE_DATA, &body, spa, error)
               ? -1
               : 0;
}

/* A shared page, or one of zeros. */
static int take_page(struct receiving *r, struct error *error)
{
    struct migrate_page body = {.gpa = 0};
    u64 spa;
    memcpy(&body, r->m.in, r->m.size);
    *(r->m.kind == MIGRATE_PAGE_ZERO ? &r->counters->zero_pages : &r->counters->shared_pages) += 1;
    if (find_page(r, body.gpa, &spa, error))
        return -1;
    return host_write(r->m.vm->hv->host, spa, body.data, sizeof body.data)
               ? 0
               : error_set(error, ERROR_INTERNAL, "a page cannot be written");
}

static int take_round(struct receiving *r, struct error *error)
{
    r->counters->rounds++;
    return message_send(&r->m, MIGRATE_READY, NULL, 0, error);
}

static int take_vmsa(struct receiving *r, struct error *error)
{
    struct vm *vm = r->m.vm;
    struct migrate_packet body;
    memcpy(&body, r->m.in, sizeof body);
    if (!vm_is_es(vm) || body.where >= vm->cpu_count)
        return error_set(error, ERROR_FILE,
                         "registers of processor %llu; %s has encrypted ones of "
                         "%u",
                         (unsigned long long)body.where, vm->config.name,
                         vm_is_es(vm) ? vm->cpu_count : 0);
    r->registers |= 1u << body.where;
    return open_packet(r, SEV_CMD_RECEIVE_UPDATE_VMSA, &body, vm->cpus[body.where].vmsa_spa, error);
}

typedef int take_message(struct receiving *r, struct error *error);

static int receive_pages(struct receiving *r, struct error *error)
{
    static take_message *const takes[MIGRATE_KINDS] = {
        [MIGRATE_PAGE_PRIVATE] = take_private,
        [MIGRATE_PAGE_SHARED] = take_page,
        [MIGRATE_PAGE_ZERO] = take_page,
        [MIGRATE_ROUND] = take_round,
        [MIGRATE_VMSA] = take_vmsa,
    };
    for (;;) {
        if (message_receive(&r->m, error))
            return -1;
        if (r->m.kind == MIGRATE_STATE)
            return 0;
        if (!takes[r->m.kind])
            return error_set(error, ERROR_FILE, "message %s; a page, a VMSA or STATE is expected",
                             message_name(r->m.kind));
        if (takes[r->m.kind](r, error))
            return -1;
    }
}

/* --- The end ---------------------------------------------------------------------------------- */

/* Loads the state, whose first message has come already. */
static int receive_state(struct receiving *r, struct error *error)
{
    struct vm *vm = r->m.vm;
    if (vm_is_es(vm) && r->registers != (1u << vm->cpu_count) - 1)
        return error_set(error, ERROR_FILE, "%s: the registers of a processor have not come",
                         vm->config.name);
    struct archive a =
        archive_loading(message_stream(&r->stream, &r->m, MIGRATE_STATE, true), error);
    message_stream_first(&r->stream);
    vm_archive(vm, &a);
    const enum vm_state state = vm->state;
    vm->state = VM_LOADING;
    if (a.failed || message_stream_end(&r->stream, error))
        return -1;
    return state == VM_RUNNABLE
               ? 0
               : error_set(error, ERROR_FILE, "%s: the guest has ended at the source",
                           vm->config.name);
}

/* Machine time goes on from where it stood at the source, so that the guest's clocks do. It never
 * goes back: if this machine has run for longer, the guest sees that much time pass. */
static int receive_time(struct receiving *r, struct error *error)
{
    struct host *host = r->m.vm->hv->host;
    if (message_expect(&r->m, MIGRATE_END, error))
        return -1;
    u64 ns;
    memcpy(&ns, r->m.in, sizeof ns);
    if (ns > TIME_MAX)
        return error_set(error, ERROR_FILE, "the source's machine time is %llu ns",
                         (unsigned long long)ns);
    if (ns > host_time_ns(host))
        host_idle_until(host, ns);
    return 0;
}

static int take_over(struct receiving *r, const struct migrate_ends *ends, struct error *error)
{
    struct vm *vm = r->m.vm;
    struct sev_handle handle = {vm->handle};
    struct platform_status status;
    if (message_expect(&r->m, MIGRATE_RELEASED, error) || ends->take(ends->context, error) ||
        command(r, SEV_CMD_RECEIVE_FINISH, &handle, sizeof handle, error) ||
        platform_get_status(vm->hv, &status, error) ||
        message_send(&r->m, MIGRATE_RECEIVED, NULL, 0, error) ||
        message_expect(&r->m, MIGRATE_GO, error))
        return -1;
    const struct migrate_running running = {status.guest_count, vm->handle};
    r->counters->target_guests = running.guests;
    r->counters->target_handle = running.handle;
    vm->state = VM_RUNNABLE;
    trace_event(host_trace(vm->hv->host), TRACE_VM, "RECEIVED", "vm=%s handle=%u asid=%u",
                vm->config.name, vm->handle, vm->asid);
    /* The guest runs here now; that the source cannot be told changes nothing. */
    message_send(&r->m, MIGRATE_RUNNING, &running, sizeof running,
                 &(struct error){.code = ERROR_NONE});
    return 0;
}

int vm_receive(struct vm *vm, const struct migrate_link *link,
               const struct migrate_certificates *certificates, const struct migrate_ends *ends,
               struct migrate_counters *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    if (migrate_check(vm, error))
        return -1;
    if (vm->state != VM_LOADING || vm->encrypted)
        return error_set(error, ERROR_INTERNAL, "%s: not a VM that waits for its guest",
                         vm->config.name);
    struct receiving *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(error, ERROR_MEMORY, "%s: no memory to receive it", vm->config.name);
    r->m.vm = vm;
    r->m.link = *link;
    r->counters = out;
    const int result = send_platform(r, certificates, error) || clear_memory(vm, error) ||
                               receive_configuration(r, error) || receive_start(r, error) ||
                               receive_pages(r, error) || receive_state(r, error) ||
                               receive_time(r, error) || take_over(r, ends, error)
                           ? -1
                           : 0;
    out->bytes = r->m.bytes;
    free(r);
    return result;
}
