/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of SNP guests by `softsev run`: what the hypervisor issues, and the report that the firmware gives of the
 * guest, whose measurement the owner has computed from the files.
 */
#include "cli/run.h"

#include "abi/snp.h"
#include "base/bytes.h"

int run_snp_platform(struct run *r, struct error *e)
{
    struct snp_platform_status s;
    if (platform_init_snp(r->hv, e) || platform_get_snp_status(r->hv, &s, e))
        return run_with_rule(r, e);
    run_step(
        r, "firmware",
        "SNP_INIT_EX: SNP API %u.%u build %u, TCB %016llx; the RMP says of every page whose it is",
        s.api_major, s.api_minor, s.build, (unsigned long long)s.reported_tcb);
    return 0;
}

/* "3500 NORMAL, 127000 ZERO, 1 SECRETS, 1 CPUID, 1 VMSA" */
static void count_pages(const struct image_plan *plan, char *out, size_t size)
{
#define TYPE_NAME(name, value) [value] = #name,
    static const char *const names[] = {SNP_PAGE_TYPES(TYPE_NAME)};
#undef TYPE_NAME
    u64 counts[ARRAY_SIZE(names)] = {0};
    size_t used = 0;
    for (u32 i = 0; i < plan->piece_count; i++) {
        u32 type = plan->pieces[i].page_type ? plan->pieces[i].page_type : SNP_PAGE_NORMAL;
        counts[type] += plan->pieces[i].size / PAGE_SIZE;
    }
    counts[SNP_PAGE_VMSA] = plan->vmsa_count;
    for (u32 type = 1; type < ARRAY_SIZE(names) && used < size; type++)
        if (counts[type])
            used += (size_t)snprintf(out + used, size - used, "%s%llu %s", used ? ", " : "",
                                     (unsigned long long)counts[type], names[type]);
}

static int hypervisor_launches(struct run_vm *v, struct error *e)
{
    struct run *r = v->run;
    char counts[120] = "";
    if (vm_snp_launch_start(v->vm, e))
        return run_with_rule(r, e);
    run_step(r, "hypervisor",
             "GCTX_CREATE, LAUNCH_START, ACTIVATE: %s has a context page that only the firmware "
             "reads, policy "
             "%#llx, and its key in the slot of ASID %u",
             v->options->name, (unsigned long long)v->options->snp_policy, vm_asid(v->vm));
    u64 before = run_clock_ns();
    if (vm_snp_launch_update(v->vm, e))
        return run_with_rule(r, e);
    count_pages(v->plan, counts, sizeof counts);
    run_step(r, "hypervisor",
             "LAUNCH_UPDATE: pages %s in %.3f s; the RMP keeps them from everybody else", counts,
             (double)(run_clock_ns() - before) / 1e9);
    if (vm_snp_launch_finish(v->vm, NULL, NULL, false, NULL, e))
        return run_with_rule(r, e);
    run_step(r, "hypervisor", "LAUNCH_FINISH");
    return 0;
}

/* The host asks, so that everybody sees it; the guest's own requests are sealed. */
static int firmware_reports(struct run_vm *v, struct error *e)
{
    struct run *r = v->run;
    struct snp_report report;
    u8 digest[48];
    char text[33];
    if (vm_report(v->vm, &report, e))
        return run_with_rule(r, e);
    memcpy(v->measure, report.measurement, sizeof v->measure);
    hex_encode(text, report.measurement, 8);
    run_step(r, "firmware", "HV_REPORT_REQ: a report, version %u, of measurement %s...",
             report.version, text);
    struct image_description d = run_describe(v);
    struct image_plan *plan = image_build(&d, e);
    if (!plan)
        return -1;
    image_snp_digest(plan, digest);
    image_free(plan);
    if (memcmp(digest, report.measurement, sizeof digest)) {
        hex_encode(text, digest, 8);
        return error_set(
            e, ERROR_MEASUREMENT,
            "the owner refuses %s: its files give the measurement %s..., the report says "
            "otherwise: something else was launched",
            v->options->name, text);
    }
    run_step(r, "owner", "expected measurement computed from the files alone: equal");
    return 0;
}

int run_snp_launch(struct run_vm *v, struct error *e)
{
    return hypervisor_launches(v, e) || firmware_reports(v, e) ? -1 : 0;
}
