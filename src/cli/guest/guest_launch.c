/* SPDX-License-Identifier: Apache-2.0 */
/* The launch of a description's guest through the hypervisor [snp 5.2], then its kernel's part; see
 * guest_launch.h. */
#include "cli/guest/guest_launch.h"

#include "abi/rmp.h"

int guest_launch_load(struct guest_launch *g, const char *path, struct error *e)
{
    *g = (struct guest_launch){.vm = NULL};
    if (guest_file_load(path, &g->file, e))
        return -1;
    g->plan = guest_file_plan(&g->file, e);
    return g->plan ? 0 : -1;
}

static int launch(struct guest_launch *g, struct hypervisor *hv, struct error *e)
{
    const struct guest_file *f = &g->file;
    const struct vm_config config = {
        .name = "guest", .plan = g->plan, .snp_policy = f->policy, .cpus = g->plan->vmsa_count};
    g->vm = vm_create(hv, &config, e);
    if (!g->vm || vm_snp_launch_start(g->vm, e) || vm_snp_launch_update(g->vm, e))
        return -1;
    return vm_snp_launch_finish(g->vm, f->has_id_block ? &f->id_block : NULL,
                                f->has_id_block ? &f->id_auth : NULL, f->author_key,
                                f->has_host_data ? f->host_data : NULL, e);
}

static u64 carry(void *context, const u8 request[PAGE_SIZE], u8 response[PAGE_SIZE])
{
    return GUEST_EXITINFO2(0, vm_guest_request(context, request, response));
}

/* Hands the secrets page to a kernel that does not run at VMPL0, without the keys of the levels
 * above: what an SVSM does before it starts a kernel. */
static int hand_over_secrets(const struct guest_launch *g, const struct guest_memory *kernel,
                             struct error *e)
{
    struct guest_memory above = *kernel;
    struct snp_secrets_page page;
    u64 gpa = vm_secrets_page(g->vm);
    above.vmpl = 0;
    if (!kernel->vmpl)
        return 0;
    bool ok = guest_read(&above, gpa, GUEST_PRIVATE, &page, sizeof page);
    guest_wipe(page.vmpck, kernel->vmpl * sizeof page.vmpck[0]);
    ok = ok && guest_write(&above, gpa, GUEST_PRIVATE, &page, sizeof page) &&
         guest_rmpadjust(&above, gpa, kernel->vmpl, RMP_READ | RMP_WRITE);
    guest_wipe(&page, sizeof page);
    return ok ? 0
              : error_set(e, ERROR_INTERNAL, "the secrets page cannot be given to VMPL%u",
                          kernel->vmpl);
}

int guest_launch_start(struct guest_launch *g, struct hypervisor *hv, struct host *host,
                       const struct sev_guest_table *table, struct error *e)
{
    if (launch(g, hv, e))
        return -1;
    static const struct sev_guest_table nothing;
    const struct guest_memory memory = {.host = host,
                                        .nested_cr3 = vm_nested_tables(g->vm),
                                        .asid = vm_asid(g->vm),
                                        .snp = true,
                                        .vmpl = (u8)g->file.vmpl};
    const struct sev_guest_config config = {
        .carrier = {carry, g->vm},
        .memory = memory,
        .secrets_gpa = vm_secrets_page(g->vm),
        .vmpck = g->file.vmpck,
        .table = table && !g->file.no_certificates ? *table : nothing,
    };
    if (hand_over_secrets(g, &memory, e))
        return -1;
    g->driver = sev_guest_create(&config, e);
    g->tsm = g->driver ? tsm_create(g->driver, memory.vmpl != 0) : NULL;
    if (g->driver && !g->tsm)
        return error_set(e, ERROR_MEMORY, "no memory for the folder of reports");
    return g->tsm ? 0 : -1;
}

void guest_launch_end(struct guest_launch *g)
{
    tsm_destroy(g->tsm);
    sev_guest_destroy(g->driver);
    vm_destroy(g->vm);
    image_free(g->plan);
    guest_file_free(&g->file);
    *g = (struct guest_launch){.vm = NULL};
}
