/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP on the platform: the place of the RMP, the setup of every core before SNP_INIT_EX, the
 * flushes after it [snp 2.2, 3.3, 4.1], and pages that are lent to the firmware [snp 4.4].
 */
#include "abi/snp.h"
#include "hypervisor/internal.h"

#define SNP_PAGES   4u /* the command's buffer, two pages that it points to, one for answers */
#define ANSWER_PAGE 2u

u64 snp_data(const struct hypervisor *hv, u32 page)
{
    return hv->snp_spa + (1 + (u64)page) * PAGE_SIZE;
}

const char *snp_rmp_result_name(u32 result)
{
    static const char *const names[] = {
        [RMP_SUCCESS] = "SUCCESS",
        [RMP_FAIL_INPUT] = "FAIL_INPUT",
        [RMP_FAIL_PERMISSION] = "FAIL_PERMISSION",
        [RMP_FAIL_INUSE] = "FAIL_INUSE",
        [RMP_FAIL_OVERLAP] = "FAIL_OVERLAP",
        [RMP_FAIL_SIZEMISMATCH] = "FAIL_SIZEMISMATCH",
        [RMP_FAIL_NOT_LARGE] = "FAIL_NOT_LARGE",
    };
    return result < ARRAY_SIZE(names) && names[result] ? names[result] : "?";
}

u32 snp_rmpupdate(struct hypervisor *hv, u64 spa, struct rmp_update state)
{
    return host_rmpupdate(hv->host, 0, spa, &state);
}

/* --- Pages lent to the firmware --------------------------------------------------------------- */

static bool is_large(u64 spa, u64 size)
{
    return spa % RMP_LARGE_SIZE == 0 && size >= RMP_LARGE_SIZE;
}

bool snp_pages_give(struct hypervisor *hv, u64 spa, u64 size)
{
    u64 end = ALIGN_UP(spa + size, PAGE_SIZE), first = ALIGN_DOWN(spa, PAGE_SIZE);
    for (u64 at = first; size && at < end;) {
        bool large = is_large(at, end - at);
        struct rmp_update firmware = {.assigned = 1, .immutable = 1, .page_size = large};
        if (snp_rmpupdate(hv, at, firmware) != RMP_SUCCESS) {
            snp_pages_take(hv, first, at - first);
            return false;
        }
        at += large ? RMP_LARGE_SIZE : PAGE_SIZE;
    }
    return true;
}

/* Returns pages to the host. They may also be Reclaim pages, or pages of a guest that are no longer
 * immutable. */
bool snp_pages_take(struct hypervisor *hv, u64 spa, u64 size)
{
    u64 end = ALIGN_UP(spa + size, PAGE_SIZE);
    bool ok = true;
    for (u64 at = ALIGN_DOWN(spa, PAGE_SIZE); size && at < end;) {
        bool large = is_large(at, end - at);
        struct snp_address page = {at | (large ? SNP_PAGE_LARGE : 0)};
        psp_command(hv, SEV_CMD_SNP_PAGE_RECLAIM, &page, sizeof page);
        ok = snp_rmpupdate(hv, at, (struct rmp_update){.page_size = large}) == RMP_SUCCESS && ok;
        at += large ? RMP_LARGE_SIZE : PAGE_SIZE;
    }
    return ok;
}

/* --- SNP_INIT_EX ------------------------------------------------------------------------------ */

/* Writes an MSR unless it has the value already: the MSR may be locked, because SNP_EN stays set
 * after a shutdown [cpu 2.1]. */
static bool write_msr(struct hypervisor *hv, u32 core, u32 msr, u64 value)
{
    u64 now;
    return host_rdmsr(hv->host, core, msr, &now) &&
           (now == value || host_wrmsr(hv->host, core, msr, value));
}

static bool write_everywhere(struct hypervisor *hv, u32 msr, u64 value)
{
    bool ok = true;
    for (u32 core = 0; core < host_cores(hv->host); core++)
        ok = write_msr(hv, core, msr, value) && ok;
    return ok;
}

/* Places the RMP: it covers all of DRAM and lies as high in DRAM as possible. */
static int place_rmp(struct hypervisor *hv, struct error *error)
{
    u64 size = rmp_table_size(host_memory_size(hv->host));
    if (!hv->rmp_chunks) {
        u64 chunks = ALIGN_UP(size, CHUNK_SIZE) / CHUNK_SIZE;
        u64 spa = frames_take_top(&hv->frames, chunks);
        if (spa == FRAME_NONE)
            return error_set(error, ERROR_MEMORY,
                             "hypervisor: no %llu MiB in one piece for the RMP; give the machine "
                             "more memory",
                             (unsigned long long)(chunks * CHUNK_SIZE >> 20));
        hv->rmp_spa = spa;
        hv->rmp_chunks = chunks;
    }
    if (!write_everywhere(hv, MSR_RMP_BASE, hv->rmp_spa) ||
        !write_everywhere(hv, MSR_RMP_END, hv->rmp_spa + size - 1))
        return error_set(error, ERROR_INTERNAL,
                         "hypervisor: this machine's processor has no RMP to place");
    return 0;
}

/* Prepares the cores. SYSCFG is written last, because it locks itself [cpu 2.1]. VM_HSAVE_PA must
 * be zero while SNP_INIT_EX runs. */
static int prepare_cores(struct hypervisor *hv, u64 hsave[CORES_MAX], struct error *error)
{
    u64 syscfg = 0;
    for (u32 core = 0; core < host_cores(hv->host); core++) {
        if (!host_rdmsr(hv->host, core, MSR_VM_HSAVE_PA, &hsave[core]) ||
            !host_wrmsr(hv->host, core, MSR_VM_HSAVE_PA, 0) ||
            !host_rdmsr(hv->host, core, MSR_SYSCFG, &syscfg) ||
            !write_msr(hv, core, MSR_SYSCFG, syscfg | SYSCFG_MFDM | SYSCFG_SNP_EN | SYSCFG_VMPL_EN))
            return error_set(error, ERROR_INTERNAL, "hypervisor: core %u cannot turn SNP on", core);
        host_wbinvd(hv->host, core);
    }
    return 0;
}

static int init_firmware(struct hypervisor *hv, struct error *error)
{
    struct snp_init_ex init = {.flags = SNP_INIT_RMP};
    u64 hsave[CORES_MAX] = {0};
    if (prepare_cores(hv, hsave, error))
        return -1;
    u32 command = SEV_CMD_SNP_INIT_EX;
    u32 status = psp_command(hv, command, &init, sizeof init);
    if (status == SEV_STATUS_INVALID_COMMAND) { /* firmware before API 1.52 [snp 2.2] */
        command = SEV_CMD_SNP_INIT;
        status = psp_command(hv, command, NULL, 0);
    }
    hv->snp = status == SEV_STATUS_SUCCESS;
    for (u32 core = 0; core < host_cores(hv->host); core++)
        if (!host_wrmsr(hv->host, core, MSR_VM_HSAVE_PA, hsave[core]))
            return error_set(error, ERROR_INTERNAL, "hypervisor: VM_HSAVE_PA is refused");
    return psp_check(status, command, error) || psp_snp_flush(hv, error) ? -1 : 0;
}

int platform_init_snp(struct hypervisor *hv, struct error *error)
{
    if (hv->snp)
        return 0;
    if (!hv->snp_spa) {
        u64 spa = frames_take_pages(&hv->frames, SNP_PAGES);
        if (spa == FRAME_NONE)
            return error_set(error, ERROR_MEMORY, "hypervisor: no memory for SNP's commands");
        hv->snp_spa = spa;
    }
    return place_rmp(hv, error) || init_firmware(hv, error) ? -1 : 0;
}

int psp_snp_flush(struct hypervisor *hv, struct error *error)
{
    for (u32 core = 0; core < host_cores(hv->host); core++)
        host_wbinvd(hv->host, core);
    return psp_check(psp_command(hv, SEV_CMD_SNP_DF_FLUSH, NULL, 0), SEV_CMD_SNP_DF_FLUSH, error);
}

/* Shuts SNP down. The RMP stays in place and enabled: SYSCFG is locked until the next reset. */
int psp_snp_shutdown(struct hypervisor *hv, struct error *error)
{
    struct snp_shutdown_ex shutdown = {.len = sizeof shutdown, .flags = SNP_SHUTDOWN_IOMMU};
    if (!hv->snp)
        return 0;
    u32 status = psp_command(hv, SEV_CMD_SNP_SHUTDOWN_EX, &shutdown, sizeof shutdown);
    if (status == SEV_STATUS_DFFLUSH_REQUIRED) {
        if (psp_snp_flush(hv, error))
            return -1;
        status = psp_command(hv, SEV_CMD_SNP_SHUTDOWN_EX, &shutdown, sizeof shutdown);
    }
    if (psp_check(status, SEV_CMD_SNP_SHUTDOWN_EX, error))
        return -1;
    hv->snp = false;
    return 0;
}

/* Gets the SNP platform status. Before SNP is initialised, any page can take the answer; afterwards
 * the page must be a Firmware page, and it is returned to the host after the command. */
u32 psp_snp_status(struct hypervisor *hv, struct snp_platform_status *out)
{
    u64 spa = snp_data(hv, ANSWER_PAGE);
    struct snp_address address = {spa};
    if (!hv->snp) {
        address.paddr = psp_data(hv, 0);
    } else if (!snp_pages_give(hv, spa, PAGE_SIZE)) {
        return SEV_STATUS_INVALID_PAGE_STATE;
    }
    u32 status = psp_command(hv, SEV_CMD_SNP_PLATFORM_STATUS, &address, sizeof address);
    if (status == SEV_STATUS_SUCCESS)
        host_read(hv->host, address.paddr, out, sizeof *out);
    if (hv->snp)
        snp_pages_take(hv, spa, PAGE_SIZE);
    return status;
}

int platform_get_snp_status(struct hypervisor *hv, struct snp_platform_status *out,
                            struct error *error)
{
    if (!hv->snp)
        return error_set(error, ERROR_INTERNAL, "hypervisor: SNP is not initialised");
    return psp_check(psp_snp_status(hv, out), SEV_CMD_SNP_PLATFORM_STATUS, error);
}
