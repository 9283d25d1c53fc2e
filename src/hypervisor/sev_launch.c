/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of an encrypted guest, in the specification's order: START, ACTIVATE, UPDATE_DATA,
 * UPDATE_VMSA, MEASURE, SECRET, FINISH [sev 5.2, 5.4]. The hypervisor passes bytes between the
 * owner and the firmware; it cannot interpret them.
 */
#include "abi/sev.h"
#include "hypervisor/internal.h"

static int launch_command(struct vm *vm, u32 command, void *buffer, size_t size,
                          struct error *error)
{
    return psp_check(psp_command(vm->hv, command, buffer, size), command, error);
}

int vm_launch_start(struct vm *vm, const void *owner_certificate, size_t certificate_size,
                    const void *session, size_t session_size, struct error *error)
{
    struct hypervisor *hv = vm->hv;
    if (vm->config.plan->mode == IMAGE_NONE || vm_is_snp(vm) || vm->encrypted ||
        vm->state != VM_LOADING)
        return error_set(error, ERROR_INTERNAL,
                         "%s: not an encrypted guest that waits for its launch", vm->config.name);
    if (certificate_size > PAGE_SIZE || session_size > PAGE_SIZE)
        return error_set(error, ERROR_FILE,
                         "%s: the owner's certificate or session is larger than a page",
                         vm->config.name);
    struct sev_start start = {.policy = vm->config.policy};
    if (certificate_size) {
        start.dh_cert_paddr = psp_data(hv, 0);
        start.dh_cert_len = (u32)certificate_size;
        start.session_paddr = psp_data(hv, PAGE_SIZE);
        start.session_len = (u32)session_size;
        host_write(hv->host, start.dh_cert_paddr, owner_certificate, certificate_size);
        host_write(hv->host, start.session_paddr, session, session_size);
    }
    if (launch_command(vm, SEV_CMD_LAUNCH_START, &start, sizeof start, error))
        return -1;
    vm->handle = start.handle;
    vm->encrypted = true;
    struct sev_activate activate = {vm->handle, vm->asid};
    return launch_command(vm, SEV_CMD_ACTIVATE, &activate, sizeof activate, error);
}

/* Issues one command for each range that is contiguous in host memory. */
static int launch_piece(struct vm *vm, const struct image_piece *piece, struct error *error)
{
    u64 at = 0, left = 0;
    if (vm_place_piece(vm, piece, error))
        return -1;
    while (at < piece->size) {
        struct sev_launch_range range = {.handle = vm->handle,
                                         .paddr = vm_spa(vm, piece->gpa + at, &left)};
        u64 size = min_u64(left, piece->size - at), next_left;
        while (at + size < piece->size && size < MIB(512) &&
               vm_spa(vm, piece->gpa + at + size, &next_left) == range.paddr + size)
            size += min_u64(next_left, piece->size - at - size);
        range.len = (u32)size;
        if (launch_command(vm, SEV_CMD_LAUNCH_UPDATE_DATA, &range, sizeof range, error))
            return -1;
        at += size;
    }
    guest_pages_launched(vm, piece->gpa, piece->size);
    return 0;
}

int vm_launch_update(struct vm *vm, struct error *error)
{
    const struct image_plan *plan = vm->config.plan;
    for (u32 i = 0; i < plan->piece_count; i++) {
        if (launch_piece(vm, &plan->pieces[i], error))
            return -1;
    }
    return 0;
}

int vm_launch_update_vmsa(struct vm *vm, struct error *error)
{
    const struct image_plan *plan = vm->config.plan;
    if (!vm_is_es(vm) || plan->vmsa_count != vm->cpu_count)
        return error_set(error, ERROR_INTERNAL, "%s: %u processors, and registers of %u to launch",
                         vm->config.name, vm->cpu_count, plan->vmsa_count);
    for (u32 i = 0; i < vm->cpu_count; i++) {
        struct sev_launch_range range = {
            .handle = vm->handle, .paddr = vm->cpus[i].vmsa_spa, .len = sizeof(struct vmsa)};
        if (!host_write(vm->hv->host, range.paddr, plan->vmsas[i], sizeof(struct vmsa)))
            return error_set(error, ERROR_INTERNAL, "%s: no memory for the VMSA", vm->config.name);
        if (launch_command(vm, SEV_CMD_LAUNCH_UPDATE_VMSA, &range, sizeof range, error))
            return -1;
    }
    return 0;
}

int vm_launch_measure(struct vm *vm, u8 measure[48], struct error *error)
{
    struct sev_launch_range range = {
        .handle = vm->handle, .paddr = psp_data(vm->hv, 0), .len = SEV_MEASURE_SIZE};
    if (launch_command(vm, SEV_CMD_LAUNCH_MEASURE, &range, sizeof range, error))
        return -1;
    host_read(vm->hv->host, range.paddr, measure, SEV_MEASURE_SIZE);
    return 0;
}

int vm_launch_secret(struct vm *vm, const u8 header[52], const void *data, size_t size,
                     struct error *error)
{
    const struct image_plan *plan = vm->config.plan;
    u64 left;
    if (!plan->secret_size || size > plan->secret_size || size > IMAGE_SECRET_MAX)
        return error_set(error, ERROR_USAGE,
                         "%s: no room for a secret of %zu bytes; there are %llu", vm->config.name,
                         size, (unsigned long long)plan->secret_size);
    struct sev_packet packet = {
        .handle = vm->handle,
        .hdr_paddr = psp_data(vm->hv, 0),
        .hdr_len = SEV_PACKET_HEADER_SIZE,
        .guest_paddr = vm_spa(vm, plan->secret_gpa, &left),
        .guest_len = (u32)size,
        .trans_paddr = psp_data(vm->hv, PAGE_SIZE),
        .trans_len = (u32)size,
    };
    if (left < size)
        return error_set(error, ERROR_MEMORY, "%s: the secret's place is not contiguous in memory",
                         vm->config.name);
    host_write(vm->hv->host, packet.hdr_paddr, header, SEV_PACKET_HEADER_SIZE);
    host_write(vm->hv->host, packet.trans_paddr, data, size);
    return launch_command(vm, SEV_CMD_LAUNCH_SECRET, &packet, sizeof packet, error);
}

int vm_launch_finish(struct vm *vm, struct error *error)
{
    struct sev_handle finish = {vm->handle};
    if (launch_command(vm, SEV_CMD_LAUNCH_FINISH, &finish, sizeof finish, error))
        return -1;
    vm->state = VM_RUNNABLE;
    return 0;
}

void launch_undo(struct vm *vm)
{
    struct sev_handle handle = {vm->handle};
    if (!vm->encrypted)
        return;
    /* An error here cannot be reported to anyone: the guest is gone in any case, and the firmware
     * traces what it refused. */
    psp_command(vm->hv, SEV_CMD_DEACTIVATE, &handle, sizeof handle);
    psp_command(vm->hv, SEV_CMD_DECOMMISSION, &handle, sizeof handle);
    psp_flush(vm->hv, NULL);
    vm->encrypted = false;
}
