/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mailbox driver: command buffers in host memory, one command at a time, and the platform
 * commands that host software issues [sev 1, 4].
 */
#include "abi/sev.h"
#include "abi/snp.h"
#include "hypervisor/internal.h"

#define COMMAND_PAGES (1 + PSP_DATA_SIZE / PAGE_SIZE)

u64 psp_data(const struct hypervisor *hv, size_t offset)
{
    return hv->command_spa + PAGE_SIZE + offset;
}

bool psp_data_read(struct hypervisor *hv, size_t offset, void *out, size_t size)
{
    return range_fits(offset, size, PSP_DATA_SIZE) &&
           host_read(hv->host, psp_data(hv, offset), out, size);
}

bool psp_data_write(struct hypervisor *hv, size_t offset, const void *data, size_t size)
{
    return range_fits(offset, size, PSP_DATA_SIZE) &&
           host_write(hv->host, psp_data(hv, offset), data, size);
}

u32 psp_refusal(const struct hypervisor *hv, u32 *command)
{
    *command = hv->refused_command;
    return hv->refusal;
}

/* Returns the range of guest memory that a legacy command writes in place; size 0: none. */
static u64 psp_guest_range(u32 command, const void *buffer, u64 *size)
{
    struct sev_launch_range range;
    struct sev_packet packet;
    *size = 0;
    if (command == SEV_CMD_LAUNCH_UPDATE_DATA || command == SEV_CMD_LAUNCH_UPDATE_VMSA) {
        memcpy(&range, buffer, sizeof range);
        *size = range.len;
        return range.paddr;
    }
    if (command == SEV_CMD_LAUNCH_SECRET || command == SEV_CMD_RECEIVE_UPDATE_DATA ||
        command == SEV_CMD_RECEIVE_UPDATE_VMSA) {
        memcpy(&packet, buffer, sizeof packet);
        *size = packet.guest_len;
        return packet.guest_paddr;
    }
    return 0;
}

/* Returns how many of the host's pages a legacy command may write: the buffer, and the pages of
 * psp_data if the answer does not fit in the buffer. */
static u64 psp_own_pages(u32 command)
{
    switch (command) {
    case SEV_CMD_PEK_CSR:
    case SEV_CMD_PDH_CERT_EXPORT:
    case SEV_CMD_GET_ID:
    case SEV_CMD_LAUNCH_MEASURE:
    case SEV_CMD_ATTESTATION:
    case SEV_CMD_SEND_START:
    case SEV_CMD_SEND_UPDATE_DATA:
    case SEV_CMD_SEND_UPDATE_VMSA:
    case SEV_CMD_DBG_DECRYPT:
    case SEV_CMD_DBG_ENCRYPT:
        return COMMAND_PAGES;
    default:
        return 1;
    }
}

static u32 psp_mailbox(struct hypervisor *hv, u32 command, u64 spa, void *buffer, size_t size)
{
    if (size && !host_write(hv->host, spa, buffer, size))
        return SEV_STATUS_INVALID_ADDRESS;
    u32 status = host_mailbox(hv->host, command, size ? spa : 0);
    if (status != SEV_STATUS_SUCCESS) {
        hv->refused_command = command;
        hv->refusal = status;
    }
    if (size)
        host_read(hv->host, spa, buffer, size);
    return status;
}

/* Runs a legacy command. While SNP is on, these commands write only to Firmware pages, so the pages
 * are lent for the time of the command [snp 2.2]. SNP commands accept any page as their buffer. */
static u32 psp_legacy(struct hypervisor *hv, u32 command, void *buffer, size_t size)
{
    u64 guest_size, guest = psp_guest_range(command, buffer, &guest_size);
    u64 own_size = psp_own_pages(command) * PAGE_SIZE;
    if (!host_write(hv->host, hv->command_spa, buffer, size) ||
        !snp_pages_give(hv, hv->command_spa, own_size))
        return SEV_STATUS_INVALID_PAGE_STATE;
    u32 status = SEV_STATUS_INVALID_PAGE_STATE;
    if (snp_pages_give(hv, guest, guest_size)) {
        status = host_mailbox(hv->host, command, hv->command_spa);
        host_read(hv->host, hv->command_spa, buffer, size);
        snp_pages_take(hv, guest, guest_size);
    }
    snp_pages_take(hv, hv->command_spa, own_size);
    return status;
}

u32 psp_command(struct hypervisor *hv, u32 command, void *buffer, size_t size)
{
    bool legacy = command < SEV_CMD_SNP_INIT;
    if (legacy && hv->snp && size)
        return psp_legacy(hv, command, buffer, size);
    u64 spa = legacy || !hv->snp_spa ? hv->command_spa : hv->snp_spa;
    return psp_mailbox(hv, command, spa, buffer, size);
}

/* Returns 0 on success; otherwise -1, and the error names the command and the status. */
int psp_check(u32 status, u32 command, struct error *error)
{
    if (status == SEV_STATUS_SUCCESS)
        return 0;
    enum error_code code = status == SEV_STATUS_SECURE_DATA_INVALID ? ERROR_STATE : ERROR_FIRMWARE;
    return error_set(error, code, "the firmware refused %s: %s (%02Xh)",
                     command < SEV_CMD_SNP_INIT ? sev_command_name(command)
                                                : snp_command_name(command),
                     sev_status_name(status), status);
}

static int psp_run(struct hypervisor *hv, u32 command, void *buffer, size_t size,
                   struct error *error)
{
    return psp_check(psp_command(hv, command, buffer, size), command, error);
}

/* Flushes every core's caches, then the data fabric: this makes ASIDs usable after INIT and
 * reusable after DEACTIVATE [sev 5.3]. */
int psp_flush(struct hypervisor *hv, struct error *error)
{
    for (u32 core = 0; core < host_cores(hv->host); core++)
        host_wbinvd(hv->host, core);
    return psp_run(hv, SEV_CMD_DF_FLUSH, NULL, 0, error);
}

/* Takes the firmware's memory for SEV-ES (TMR): 1 MiB, aligned to 1 MiB, at the start of a chunk.
 * With SNP it is the whole chunk, as Firmware pages [snp 2.2]. */
static int psp_take_tmr(struct hypervisor *hv, struct sev_init *init, struct error *error)
{
    if (hv->tmr_spa == FRAME_NONE)
        hv->tmr_spa = frames_take_chunk(&hv->frames);
    if (hv->tmr_spa == FRAME_NONE)
        return error_set(error, ERROR_MEMORY, "hypervisor: no memory for the firmware's TMR");
    if (hv->snp && !snp_pages_give(hv, hv->tmr_spa, CHUNK_SIZE))
        return error_set(error, ERROR_INTERNAL, "hypervisor: the RMP keeps the TMR's pages");
    init->options = SEV_OPTIONS_ES;
    init->tmr_paddr = hv->tmr_spa;
    init->tmr_len = (u32)(hv->snp ? CHUNK_SIZE : SEV_TMR_SIZE);
    return 0;
}

static void psp_give_tmr(struct hypervisor *hv)
{
    if (hv->tmr_spa == FRAME_NONE)
        return;
    if (hv->snp)
        snp_pages_take(hv, hv->tmr_spa, CHUNK_SIZE);
    frames_give_chunk(&hv->frames, hv->tmr_spa);
    hv->tmr_spa = FRAME_NONE;
}

int platform_init(struct hypervisor *hv, struct error *error)
{
    struct sev_init init = {0};
    return psp_run(hv, SEV_CMD_INIT, &init, sizeof init, error) ? -1 : psp_flush(hv, error);
}

int platform_init_es(struct hypervisor *hv, struct error *error)
{
    struct sev_init init = {0};
    if (psp_take_tmr(hv, &init, error))
        return -1;
    if (psp_run(hv, SEV_CMD_INIT, &init, sizeof init, error)) {
        psp_give_tmr(hv);
        return -1;
    }
    return psp_flush(hv, error);
}

int platform_shutdown_sev(struct hypervisor *hv, struct error *error)
{
    if (psp_run(hv, SEV_CMD_SHUTDOWN, NULL, 0, error))
        return -1;
    psp_give_tmr(hv);
    return 0;
}

int platform_shutdown(struct hypervisor *hv, struct error *error)
{
    return platform_shutdown_sev(hv, error) || psp_snp_shutdown(hv, error) ? -1 : 0;
}

int platform_get_status(struct hypervisor *hv, struct platform_status *out, struct error *error)
{
    struct sev_platform_status s = {0};
    if (psp_run(hv, SEV_CMD_PLATFORM_STATUS, &s, sizeof s, error))
        return -1;
    *out = (struct platform_status){
        .api_major = s.api_major,
        .api_minor = s.api_minor,
        .build = s.build,
        .state = s.state,
        .owned = s.owner & SEV_PLATFORM_OWNED,
        .es = s.config & SEV_OPTIONS_ES,
        .guest_count = s.guest_count,
    };
    return 0;
}

int platform_export(struct hypervisor *hv, struct platform_chain *out, struct error *error)
{
    struct sev_pdh_cert_export e = {
        .pdh_paddr = psp_data(hv, 0),
        .pdh_len = PLATFORM_PDH_SIZE,
        .chain_paddr = psp_data(hv, PAGE_SIZE),
        .chain_len = PLATFORM_CHAIN_SIZE,
    };
    if (psp_run(hv, SEV_CMD_PDH_CERT_EXPORT, &e, sizeof e, error))
        return -1;
    host_read(hv->host, psp_data(hv, 0), out->pdh, sizeof out->pdh);
    host_read(hv->host, psp_data(hv, PAGE_SIZE), out->chain, sizeof out->chain);
    return 0;
}
