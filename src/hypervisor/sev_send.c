/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of a migration. Which pages the guest writes while others go is in the dirty bits of
 * its nested tables, whose leaves are split to 4 KiB for this; what the host writes for the guest
 * is noted in vm->pages.
 */
#include <stdlib.h>

#include "hypervisor/sev_message.h"

#define PAGES_PER_CHUNK (CHUNK_SIZE / PAGE_SIZE)
#define LAST_PAGES_MAX  128u /* so few pages go while the guest stands still ... */
#define ROUNDS_MAX      16u  /* ... unless it writes faster than they are sent */

struct vm_sending {
    struct migration m;
    bool begun; /* SEND_START succeeded, and neither SEND_FINISH nor SEND_CANCEL followed */
    u64 next;   /* the page to look at */
    struct migrate_counters counters;
    struct message_stream stream;
};

static int command(struct vm_sending *s, u32 id, void *buffer, size_t size, struct error *error)
{
    return psp_check(psp_command(s->m.vm->hv, id, buffer, size), id, error);
}

static u32 guests_of(struct hypervisor *hv)
{
    struct platform_status status = {0};
    platform_get_status(hv, &status, &(struct error){.code = ERROR_NONE});
    return status.guest_count;
}

/* --- Which pages the guest has written -------------------------------------------------------- */

/* Notes the pages whose leaves are dirty, and makes the leaves clean. Returns false if there is no
 * memory for tables. */
static bool collect_chunk(struct vm *vm, u64 chunk)
{
    struct hypervisor *hv = vm->hv;
    const u64 first = chunk * PAGES_PER_CHUNK;
    u64 leaves[PAGES_PER_CHUNK];
    const u64 table = npt_leaves(&vm->npt, hv->host, &hv->frames, guest_page_address(vm, first));
    if (table == FRAME_NONE || !host_read(hv->host, table, leaves, sizeof leaves))
        return false;
    for (u64 i = 0; i < PAGES_PER_CHUNK; i++) {
        vm->pages[first + i] |= leaves[i] & PTE_D ? PAGE_DIRTY : 0;
        leaves[i] &= ~PTE_D;
    }
    return host_write(hv->host, table, leaves, sizeof leaves);
}

/* Returns how many pages are to be sent. A flash is read-only for the guest. */
static int collect(struct vm_sending *s, u64 *count, struct error *error)
{
    struct vm *vm = s->m.vm;
    for (u64 i = 0; i < vm->chunk_count; i++)
        if (!collect_chunk(vm, i))
            return error_set(error, ERROR_MEMORY, "%s: no memory for nested page tables of 4 KiB",
                             vm->config.name);
    snp_flush_tlbs(vm);
    *count = 0;
    for (u64 i = 0; i < vm->page_count; i++)
        *count += (vm->pages[i] & PAGE_DIRTY) != 0;
    s->next = 0;
    return 0;
}

/* --- Pages ------------------------------------------------------------------------------------ */

static bool is_zero(const u8 *bytes, size_t size)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Seals guest memory or a VMSA for the target's firmware, and sends it. */
static int send_packet(struct vm_sending *s, u32 id, enum migrate_kind kind, u64 spa, u64 where,
                       struct error *error)
{
    struct hypervisor *hv = s->m.vm->hv;
    struct migrate_packet body = {.where = where};
    struct sev_packet packet = {.handle = s->m.vm->handle,
                                .hdr_paddr = psp_data(hv, 0),
                                .hdr_len = SEV_PACKET_HEADER_SIZE,
                                .guest_paddr = spa,
                                .guest_len = PAGE_SIZE,
                                .trans_paddr = psp_data(hv, PAGE_SIZE),
                                .trans_len = PAGE_SIZE};
    if (command(s, id, &packet, sizeof packet, error))
        return -1;
    psp_data_read(hv, 0, body.header, sizeof body.header);
    psp_data_read(hv, PAGE_SIZE, body.data, sizeof body.data);
    return message_send(&s->m, kind, &body, sizeof body, error);
}

/* A page that reads as zeros on the bus was never written under the guest's key. The target's
 * memory begins as zeros. */
static int send_page(struct vm_sending *s, u64 page, struct error *error)
{
    struct vm *vm = s->m.vm;
    struct migrate_page body = {.gpa = guest_page_address(vm, page)};
    u64 left;
    const u64 spa = vm_spa(vm, body.gpa, &left);
    if (spa == FRAME_NONE || !host_read(vm->hv->host, spa, body.data, sizeof body.data))
        return error_set(error, ERROR_INTERNAL, "%s: no memory at guest address %#llx",
                         vm->config.name, (unsigned long long)body.gpa);
    if (is_zero(body.data, sizeof body.data)) {
        s->counters.zero_pages++;
        return s->counters.rounds
                   ? message_send(&s->m, MIGRATE_PAGE_ZERO, &body.gpa, sizeof body.gpa, error)
                   : 0;
    }
    if (guest_page_is_shared(vm, page)) {
        s->counters.shared_pages++;
        return message_send(&s->m, MIGRATE_PAGE_SHARED, &body, sizeof body, error);
    }
    s->counters.private_pages++;
    return send_packet(s, SEV_CMD_SEND_UPDATE_DATA, MIGRATE_PAGE_PRIVATE, spa, body.gpa, error);
}

/* Sends up to `limit` pages from where it stands. Returns how many are sent; -1 after an error. */
static s64 send_dirty(struct vm_sending *s, u64 limit, struct error *error)
{
    struct vm *vm = s->m.vm;
    u64 sent = 0;
    for (; s->next < vm->page_count && sent < limit; s->next++) {
        if (!(vm->pages[s->next] & PAGE_DIRTY))
            continue;
        vm->pages[s->next] &= (u8)~PAGE_DIRTY;
        if (send_page(s, s->next, error))
            return -1;
        sent++;
    }
    return (s64)sent;
}

/* --- The beginning ---------------------------------------------------------------------------- */

static int send_configuration(struct vm_sending *s, struct error *error)
{
    struct archive a =
        archive_saving(message_stream(&s->stream, &s->m, MIGRATE_CONFIGURATION, false), error);
    migrate_configuration(s->m.vm, &a);
    return a.failed || message_stream_end(&s->stream, error) ? -1 : 0;
}

/* Asks the firmware, which checks the target's certificates as the guest's policy demands. */
static int send_start(struct vm_sending *s, const struct migrate_platform *target,
                      struct error *error)
{
    struct vm *vm = s->m.vm;
    struct hypervisor *hv = vm->hv;
    struct platform_chain own;
    struct migrate_start body;
    if (platform_export(hv, &own, error))
        return -1;
    struct sev_send_start in = {.handle = vm->handle,
                                .pdh_paddr = psp_data(hv, 0),
                                .pdh_len = sizeof target->pdh,
                                .plat_certs_paddr = psp_data(hv, PAGE_SIZE),
                                .plat_certs_len = sizeof target->chain,
                                .amd_certs_paddr = psp_data(hv, 3 * PAGE_SIZE),
                                .amd_certs_len = target->amd_size,
                                .session_paddr = psp_data(hv, 4 * PAGE_SIZE),
                                .session_len = sizeof body.session};
    psp_data_write(hv, 0, target->pdh, sizeof target->pdh);
    psp_data_write(hv, PAGE_SIZE, target->chain, sizeof target->chain);
    psp_data_write(hv, 3 * PAGE_SIZE, target->amd, sizeof target->amd);
    if (command(s, SEV_CMD_SEND_START, &in, sizeof in, error))
        return -1;
    s->begun = true;
    body.policy = in.policy;
    memcpy(body.pdh, own.pdh, sizeof body.pdh);
    psp_data_read(hv, 4 * PAGE_SIZE, body.session, sizeof body.session);
    return message_send(&s->m, MIGRATE_START, &body, sizeof body, error);
}

static int meet(struct vm_sending *s, struct error *error)
{
    struct migrate_platform target;
    if (message_expect(&s->m, MIGRATE_PLATFORM, error))
        return -1;
    memcpy(&target, s->m.in, sizeof target);
    if (target.magic != MIGRATE_MAGIC)
        return error_set(error, ERROR_FILE, "the other end is no softsev that waits for a guest");
    if (target.version != MIGRATE_VERSION)
        return error_set(error, ERROR_FILE, "the other end speaks version %u, not %u",
                         target.version, MIGRATE_VERSION);
    if (target.amd_size > sizeof target.amd)
        return error_set(error, ERROR_FILE, "the target's ASK and ARK have %u bytes, not up to %zu",
                         target.amd_size, sizeof target.amd);
    if (send_configuration(s, error) || message_expect(&s->m, MIGRATE_READY, error))
        return -1;
    return send_start(s, &target, error) || message_expect(&s->m, MIGRATE_READY, error) ? -1 : 0;
}

/* Makes all leaves clean, and all pages dirty. */
static int begin_rounds(struct vm_sending *s, struct error *error)
{
    struct vm *vm = s->m.vm;
    u64 count;
    if (collect(s, &count, error))
        return -1;
    for (u64 i = 0; i < vm->page_count; i++)
        vm->pages[i] |= PAGE_DIRTY;
    return 0;
}

struct vm_sending *vm_send_start(struct vm *vm, const struct migrate_link *link,
                                 struct error *error)
{
    if (migrate_check(vm, error))
        return NULL;
    if (vm->state != VM_RUNNABLE) {
        error_set(error, ERROR_USAGE, "%s does not run", vm->config.name);
        return NULL;
    }
    struct vm_sending *s = calloc(1, sizeof *s);
    if (!s) {
        error_set(error, ERROR_MEMORY, "%s: no memory to send it", vm->config.name);
        return NULL;
    }
    s->m.vm = vm;
    s->m.link = *link;
    if (!meet(s, error) && !begin_rounds(s, error))
        return s;
    vm_send_end(s);
    return NULL;
}

/* --- Rounds ----------------------------------------------------------------------------------- */

static int end_round(struct vm_sending *s, struct error *error)
{
    const u32 number = ++s->counters.rounds;
    return message_send(&s->m, MIGRATE_ROUND, &number, sizeof number, error) ||
                   message_expect(&s->m, MIGRATE_READY, error)
               ? -1
               : 0;
}

int vm_send_pages(struct vm_sending *s, u32 pages, struct error *error)
{
    u64 written;
    if (send_dirty(s, pages, error) < 0)
        return -1;
    if (s->next < s->m.vm->page_count)
        return 0;
    if (end_round(s, error) || collect(s, &written, error))
        return -1;
    return written <= LAST_PAGES_MAX || s->counters.rounds >= ROUNDS_MAX;
}

/* --- The end ---------------------------------------------------------------------------------- */

static int send_registers(struct vm_sending *s, struct error *error)
{
    struct vm *vm = s->m.vm;
    for (u32 i = 0; vm_is_es(vm) && i < vm->cpu_count; i++) {
        host_spend(vm->hv->host, COST_COMMAND_NS);
        if (send_packet(s, SEV_CMD_SEND_UPDATE_VMSA, MIGRATE_VMSA, vm->cpus[i].vmsa_spa, i, error))
            return -1;
    }
    return 0;
}

static int send_state(struct vm_sending *s, struct error *error)
{
    struct vm *vm = s->m.vm;
    struct archive a =
        archive_saving(message_stream(&s->stream, &s->m, MIGRATE_STATE, false), error);
    vm_archive(vm, &a);
    if (a.failed || message_stream_end(&s->stream, error))
        return -1;
    const u64 now = host_time_ns(vm->hv->host);
    return message_send(&s->m, MIGRATE_END, &now, sizeof now, error);
}

/* Sends everything that is left. The secure processor takes its time for each page that goes while
 * the guest stands still; before, it works beside the guest. */
static int send_rest(struct vm_sending *s, struct error *error)
{
    u64 count;
    if (collect(s, &count, error))
        return -1;
    const s64 sent = send_dirty(s, UINT64_MAX, error);
    if (sent < 0)
        return -1;
    s->counters.last_pages = (u64)sent;
    host_spend(s->m.vm->hv->host, (u64)sent * COST_COMMAND_NS);
    return end_round(s, error) || send_registers(s, error) || send_state(s, error) ? -1 : 0;
}

/* Hands the guest over. It is the target's from the moment at which GO is sent: nobody but the
 * target may run it then, whatever becomes of the target. */
static int hand_over(struct vm_sending *s, struct error *error)
{
    struct vm *vm = s->m.vm;
    struct sev_handle handle = {vm->handle};
    struct migrate_running running;
    struct error why = {.code = ERROR_NONE};
    if (message_send(&s->m, MIGRATE_RELEASED, NULL, 0, error) ||
        message_expect(&s->m, MIGRATE_RECEIVED, error) ||
        message_send(&s->m, MIGRATE_GO, NULL, 0, error))
        return -1;
    vm_end(vm, VM_MOVED, "it moved to another platform");
    s->begun = false;
    if (command(s, SEV_CMD_SEND_FINISH, &handle, sizeof handle, error))
        return -1;
    if (message_expect(&s->m, MIGRATE_RUNNING, &why))
        return error_set(error, ERROR_FILE, "%s went to the target, which was lost since: %s",
                         vm->config.name, why.text);
    memcpy(&running, s->m.in, sizeof running);
    s->counters.target_guests = running.guests;
    s->counters.target_handle = running.handle;
    return 0;
}

int vm_send_last(struct vm_sending *s, const struct migrate_ends *ends, struct error *error)
{
    struct vm *vm = s->m.vm;
    const u64 stopped = host_time_ns(vm->hv->host);
    s->counters.source_handle = vm->handle;
    if (send_rest(s, error) || ends->give(ends->context, error))
        return -1;
    int result = hand_over(s, error);
    s->counters.downtime_ns = host_time_ns(vm->hv->host) - stopped;
    if (vm->state == VM_MOVED) {
        launch_undo(vm);
        s->counters.source_guests = guests_of(vm->hv);
    } else if (ends->take(ends->context, error)) {
        vm_end(vm, VM_CRASHED, "its disks, which were given to a target, cannot be taken back");
    }
    return result;
}

void vm_send_counters(const struct vm_sending *s, struct migrate_counters *out)
{
    *out = s->counters;
    out->bytes = s->m.bytes;
}

void vm_send_end(struct vm_sending *s)
{
    struct sev_handle handle;
    if (!s)
        return;
    handle.handle = s->m.vm->handle;
    if (s->begun)
        psp_command(s->m.vm->hv, SEV_CMD_SEND_CANCEL, &handle, sizeof handle);
    free(s);
}
