/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of an SNP guest: GCTX_CREATE, LAUNCH_START, ACTIVATE, a LAUNCH_UPDATE for each page of
 * the plan and for each VMSA, LAUNCH_FINISH. Also the messages that the host passes between guest
 * and firmware [snp 5.2, 6].
 */
#include "abi/snp.h"
#include "hypervisor/internal.h"

static int snp_command(struct vm *vm, u32 command, void *buffer, size_t size, struct error *error)
{
    return psp_check(psp_command(vm->hv, command, buffer, size), command, error);
}

static int rmp_error(const struct vm *vm, const char *what, u64 gpa, u32 result,
                     struct error *error)
{
    return error_set(error, ERROR_INTERNAL, "%s: RMPUPDATE of %s at %#llx: %s (%u)",
                     vm->config.name, what, (unsigned long long)gpa, snp_rmp_result_name(result),
                     result);
}

/* --- SNP_LAUNCH_START ------------------------------------------------------------------------- */

/* Takes the context page and two pages for messages. The second of these stays a Firmware page [snp
 * 1]. */
static int take_pages(struct vm *vm, struct error *error)
{
    struct hypervisor *hv = vm->hv;
    u64 context = frames_take_pages(&hv->frames, 1), message = frames_take_pages(&hv->frames, 2);
    vm->snp.gctx_spa = context == FRAME_NONE ? 0 : context;
    vm->snp.message_spa = message == FRAME_NONE ? 0 : message;
    if (context == FRAME_NONE || message == FRAME_NONE)
        return error_set(error, ERROR_MEMORY, "%s: no memory for its context", vm->config.name);
    if (!snp_pages_give(hv, context, PAGE_SIZE) ||
        !snp_pages_give(hv, message + PAGE_SIZE, PAGE_SIZE))
        return error_set(error, ERROR_INTERNAL, "%s: the RMP keeps its context page",
                         vm->config.name);
    return 0;
}

int vm_snp_launch_start(struct vm *vm, struct error *error)
{
    if (!vm_is_snp(vm) || vm->snp.gctx_spa || vm->state != VM_LOADING)
        return error_set(error, ERROR_INTERNAL, "%s: not an SNP guest that waits for its launch",
                         vm->config.name);
    if (!vm->hv->snp)
        return error_set(error, ERROR_INTERNAL, "%s: SNP is not initialised", vm->config.name);
    if (take_pages(vm, error))
        return -1;
    const u64 policy = vm->config.snp_policy;
    struct snp_address create = {vm->snp.gctx_spa};
    const bool secure_tsc = vm_sev_features(vm) & SEV_FEATURE_SECURE_TSC;
    struct snp_launch_start start = {.gctx_paddr = vm->snp.gctx_spa,
                                     .policy = policy,
                                     .desired_tsc_khz = secure_tsc ? vm_tsc_khz(vm) : 0};
    struct snp_activate activate = {vm->snp.gctx_spa, vm->asid};
    if (snp_command(vm, SEV_CMD_SNP_GCTX_CREATE, &create, sizeof create, error))
        return -1;
    vm->snp.created = true;
    if (snp_command(vm, SEV_CMD_SNP_LAUNCH_START, &start, sizeof start, error))
        return -1;
    return snp_command(vm, SEV_CMD_SNP_ACTIVATE, &activate, sizeof activate, error);
}

/* --- SNP_LAUNCH_UPDATE ------------------------------------------------------------------------ */

static int launch_page(struct vm *vm, u64 spa, u32 type, bool large, struct error *error)
{
    struct snp_launch_update update = {
        .gctx_paddr = vm->snp.gctx_spa,
        .flags = (u32)(SNP_LAUNCH_UPDATE_TYPE(type) | (large ? SNP_PAGE_LARGE : 0)),
        .paddr = spa,
    };
    return snp_command(vm, SEV_CMD_SNP_LAUNCH_UPDATE, &update, sizeof update, error);
}

/* Writes a piece to memory. The firmware fills pages of some types itself; the hypervisor fills the
 * CPUID page, and the firmware checks it. */
static int place_piece(struct vm *vm, const struct image_piece *piece, u32 type,
                       struct error *error)
{
    struct snp_cpuid_page cpuid;
    switch (type) {
    case SNP_PAGE_NORMAL:
    case SNP_PAGE_UNMEASURED:
        return vm_place_piece(vm, piece, error);
    case SNP_PAGE_CPUID:
        snp_cpuid_fill(vm, &cpuid);
        return vm_write(vm, piece->gpa, &cpuid, sizeof cpuid)
                   ? 0
                   : error_set(error, ERROR_MEMORY, "%s: %s does not fit guest memory",
                               vm->config.name, piece->name);
    case SNP_PAGE_SECRETS:
        vm->snp.secrets_gpa = piece->gpa;
        return 0;
    case SNP_PAGE_ZERO:
        return 0;
    default:
        return error_set(error, ERROR_INTERNAL, "%s: %s has page type %u, which no piece can have",
                         vm->config.name, piece->name, type);
    }
}

/* Launches a piece, 2 MiB at a time where the piece covers 2 MiB. The firmware measures each 4 KiB
 * separately in both cases. */
static int launch_piece(struct vm *vm, const struct image_piece *piece, struct error *error)
{
    u32 type = piece->page_type ? piece->page_type : SNP_PAGE_NORMAL;
    bool may_be_large = type != SNP_PAGE_SECRETS && type != SNP_PAGE_CPUID;
    u64 left;
    if (piece->gpa % PAGE_SIZE)
        return error_set(error, ERROR_INTERNAL, "%s: %s does not begin at a page", vm->config.name,
                         piece->name);
    if (place_piece(vm, piece, type, error))
        return -1;
    for (u64 gpa = piece->gpa, end = piece->gpa + piece->size; gpa < end;) {
        bool large = may_be_large && gpa % CHUNK_SIZE == 0 && end - gpa >= CHUNK_SIZE &&
                     snp_region_is(vm, gpa, VM_PAGE_HOST);
        u64 spa = vm_spa(vm, gpa, &left);
        u32 result = snp_page_offer(vm, gpa, large);
        if (result != RMP_SUCCESS)
            return rmp_error(vm, piece->name, gpa, result, error);
        if (launch_page(vm, spa, type, large, error)) {
            snp_page_withdraw(vm, gpa, large);
            return -1;
        }
        gpa += large ? CHUNK_SIZE : PAGE_SIZE;
    }
    return 0;
}

/* Launches the registers of a processor: a page that belongs to the guest, at an address that the
 * guest cannot reach. */
static int launch_vmsa(struct vm *vm, u64 spa, const struct vmsa *registers, struct error *error)
{
    struct rmp_update offer = {
        .gpa = SNP_VMSA_GPA, .assigned = 1, .immutable = 1, .asid = vm->asid};
    if (!host_write(vm->hv->host, spa, registers, sizeof *registers))
        return error_set(error, ERROR_INTERNAL, "%s: no memory for a VMSA", vm->config.name);
    u32 result = snp_rmpupdate(vm->hv, spa, offer);
    if (result != RMP_SUCCESS)
        return rmp_error(vm, "VMSA", SNP_VMSA_GPA, result, error);
    if (launch_page(vm, spa, SNP_PAGE_VMSA, false, error)) {
        snp_pages_take(vm->hv, spa, PAGE_SIZE);
        return -1;
    }
    vm->snp.vmsas[vm->snp.vmsa_count++] = spa;
    return 0;
}

int vm_snp_launch_update(struct vm *vm, struct error *error)
{
    const struct image_plan *plan = vm->config.plan;
    for (u32 i = 0; i < plan->piece_count; i++)
        if (launch_piece(vm, &plan->pieces[i], error))
            return -1;
    if (plan->vmsa_count > vm->cpu_count)
        return error_set(error, ERROR_INTERNAL, "%s: registers of %u processors, it has %u",
                         vm->config.name, plan->vmsa_count, vm->cpu_count);
    for (u32 i = 0; i < plan->vmsa_count; i++)
        if (launch_vmsa(vm, vm->cpus[i].vmsa_spa, plan->vmsas[i], error))
            return -1;
    return 0;
}

/* --- SNP_LAUNCH_FINISH ------------------------------------------------------------------------ */

int vm_snp_launch_finish(struct vm *vm, const void *id_block, const void *id_auth, bool author_key,
                         const u8 host_data[32], struct error *error)
{
    struct hypervisor *hv = vm->hv;
    struct snp_launch_finish finish = {.gctx_paddr = vm->snp.gctx_spa};
    if (id_block && id_auth) {
        finish.flags =
            (u32)(SNP_LAUNCH_FINISH_ID_BLOCK_EN | (author_key ? SNP_LAUNCH_FINISH_AUTH_KEY_EN : 0));
        finish.id_block_paddr = snp_data(hv, 0);
        finish.id_auth_paddr = snp_data(hv, 1);
        if (!host_write(hv->host, finish.id_block_paddr, id_block, sizeof(struct snp_id_block)) ||
            !host_write(hv->host, finish.id_auth_paddr, id_auth, sizeof(struct snp_id_auth)))
            return error_set(error, ERROR_INTERNAL, "%s: no memory for its ID block",
                             vm->config.name);
    }
    if (host_data)
        memcpy(finish.host_data, host_data, sizeof finish.host_data);
    if (snp_command(vm, SEV_CMD_SNP_LAUNCH_FINISH, &finish, sizeof finish, error))
        return -1;
    if (vm->config.plan->runnable)
        vm->state = VM_RUNNABLE;
    return 0;
}

u64 vm_secrets_page(const struct vm *vm)
{
    return vm->snp.secrets_gpa;
}

/* --- Messages --------------------------------------------------------------------------------- */

u32 vm_guest_request(struct vm *vm, const u8 request[4096], u8 response[4096])
{
    struct hypervisor *hv = vm->hv;
    u64 answer = vm->snp.message_spa + PAGE_SIZE;
    struct snp_guest_request message = {vm->snp.gctx_spa, vm->snp.message_spa, answer};
    if (!vm->snp.created || !host_write(hv->host, vm->snp.message_spa, request, PAGE_SIZE))
        return SEV_STATUS_INVALID_GUEST;
    u32 status = psp_command(hv, SEV_CMD_SNP_GUEST_REQUEST, &message, sizeof message);
    if (status == SEV_STATUS_SUCCESS)
        host_read(hv->host, answer, response, PAGE_SIZE);
    return status;
}

int vm_report(struct vm *vm, struct snp_report *out, struct error *error)
{
    struct hypervisor *hv = vm->hv;
    u64 answer = snp_data(hv, 2);
    struct snp_report_rsp response = {.status = 0};
    struct snp_hv_report_req request = {
        .len = sizeof request, .gctx_paddr = vm->snp.gctx_spa, .report_paddr = answer};
    if (!vm->snp.created || !snp_pages_give(hv, answer, PAGE_SIZE))
        return error_set(error, ERROR_INTERNAL, "%s: not an SNP guest that was launched",
                         vm->config.name);
    u32 status = psp_command(hv, SEV_CMD_SNP_HV_REPORT_REQ, &request, sizeof request);
    if (status == SEV_STATUS_SUCCESS)
        host_read(hv->host, answer, &response, sizeof response);
    snp_pages_take(hv, answer, PAGE_SIZE);
    if (psp_check(status, SEV_CMD_SNP_HV_REPORT_REQ, error))
        return -1;
    if (response.status)
        return error_set(error, ERROR_FIRMWARE, "the firmware gives no report of %s: status %u",
                         vm->config.name, response.status);
    *out = response.report;
    return 0;
}

/* --- The end ---------------------------------------------------------------------------------- */

void snp_launch_undo(struct vm *vm)
{
    struct hypervisor *hv = vm->hv;
    struct vm_snp *snp = &vm->snp;
    struct snp_address context = {snp->gctx_spa};
    /* An error here cannot be reported to anyone; the firmware traces what it refused. */
    if (snp->created)
        psp_command(hv, SEV_CMD_SNP_DECOMMISSION, &context, sizeof context);
    for (u32 i = 0; i < snp->vmsa_count; i++)
        snp_rmpupdate(hv, snp->vmsas[i], (struct rmp_update){0});
    if (snp->gctx_spa) {
        snp_pages_take(hv, snp->gctx_spa, PAGE_SIZE);
        frames_give_pages(&hv->frames, snp->gctx_spa, 1);
    }
    if (snp->message_spa) {
        snp_pages_take(hv, snp->message_spa + PAGE_SIZE, PAGE_SIZE);
        frames_give_pages(&hv->frames, snp->message_spa, 2);
    }
    if (snp->created)
        psp_snp_flush(hv, NULL);
    snp->gctx_spa = snp->message_spa = 0;
    snp->created = false;
    snp->vmsa_count = 0;
}
