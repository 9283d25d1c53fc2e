/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of SNP guests by `softsev run`: the hypervisor's commands, and the firmware's report
 * on the guest. The owner compares the report's measurement with the one that it has computed from
 * the files.
 */
#include "cli/owner/owner_cli.h"
#include "cli/run/run.h"

#include <stdlib.h>

#include "abi/linux_sev_guest.h"
#include "abi/snp.h"
#include "authority/authority.h"
#include "base/bytes.h"
#include "guest/guest.h"
#include "owner/report.h"

/* --- The chip's certificates, as the manufacturer's key server has them ----------------------- */

enum { ARK, ASK, VCEK, CERTIFICATES };

struct run_snp {
    u8 der[CERTIFICATES][AUTHORITY_CERT_MAX];
    size_t size[CERTIFICATES];
    u8 table[SNP_CERTS_MAX]; /* the certificate table that comes with extended reports */
    size_t table_size;
};

static bool make_table(struct run_snp *s)
{
    static const enum guest_certificate_kind kinds[] = {[ARK] = GUEST_CERTIFICATE_ARK,
                                                        [ASK] = GUEST_CERTIFICATE_ASK,
                                                        [VCEK] = GUEST_CERTIFICATE_VCEK};
    struct guest_certificate table[CERTIFICATES];
    for (u32 i = 0; i < CERTIFICATES; i++) {
        table[i] =
            (struct guest_certificate){.kind = kinds[i], .data = s->der[i], .size = s->size[i]};
        if (!s->size[i])
            return false;
    }
    s->table_size = guest_certificates_write(table, CERTIFICATES, s->table, sizeof s->table);
    return s->table_size <= sizeof s->table;
}

/* Makes the certificates, issued as of the beginning of the year in which the machine's clock
 * starts. */
static bool make_certificates(struct run *r, const struct authority *a,
                              const struct firmware_profile *p, const u8 fuses[32],
                              struct run_snp *s)
{
    const struct authority_terms own = {.not_before = 0},
                                 terms = {.not_before =
                                              authority_issue_time(r->options.time_seconds)};
    const struct authority_product *product = authority_product_find(p->product);
    u64 tcb = firmware_reported_tcb(machine_firmware(r->machine));
    if (!product)
        return false;
    s->size[ARK] =
        authority_certificate(a, product, AUTHORITY_ARK, &own, s->der[ARK], AUTHORITY_CERT_MAX);
    s->size[ASK] =
        authority_certificate(a, product, AUTHORITY_ASK, &own, s->der[ASK], AUTHORITY_CERT_MAX);
    s->size[VCEK] = authority_vcek(a, product, p->product_name, fuses, tcb, &terms, s->der[VCEK],
                                   AUTHORITY_CERT_MAX);
    return make_table(s);
}

const void *run_snp_table(const struct run *r, size_t *size)
{
    *size = r->snp ? r->snp->table_size : 0;
    return r->snp ? r->snp->table : NULL;
}

/* --- The platform ----------------------------------------------------------------------------- */

int run_snp_platform(struct run *r, const struct authority *a, const struct firmware_profile *p,
                     const u8 fuses[32], struct error *e)
{
    struct snp_platform_status s;
    if (!p->report_version)
        return error_set(e, ERROR_USAGE,
                         "%s is a %s: it has no SNP; `softsev platform init --profile milan` with "
                         "the same --state makes it a part that has",
                         p->name, p->product);
    r->snp = calloc(1, sizeof *r->snp);
    if (!r->snp || !make_certificates(r, a, p, fuses, r->snp))
        return error_set(e, ERROR_INTERNAL, "the VCEK's certificates cannot be made");
    if (r->resumed) /* its state says that it is initialised */
        return 0;
    if (platform_init_snp(r->hv, e) || platform_get_snp_status(r->hv, &s, e))
        return run_with_rule(r, e);
    run_step(
        r, "firmware",
        "SNP_INIT_EX: SNP API %u.%u build %u, TCB %016llx; the RMP says of every page whose it is",
        s.api_major, s.api_minor, s.build, (unsigned long long)s.reported_tcb);
    run_step(r, "authority",
             "the manufacturer, in software: ARK signs ASK, ASK signs this chip's VCEK");
    return 0;
}

/* --- The launch ------------------------------------------------------------------------------- */

/* Writes how many pages of each type are launched: "3500 NORMAL, 127000 ZERO, 1 SECRETS, 1 CPUID, 1
 * VMSA". */
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
             "reads, policy %#llx, and its key in the slot of ASID %u",
             v->options->name, (unsigned long long)v->options->snp_policy, vm_asid(v->vm));
    u64 before = run_clock_ns();
    if (vm_snp_launch_update(v->vm, e))
        return run_with_rule(r, e);
    count_pages(v->plan, counts, sizeof counts);
    run_step(
        r, "hypervisor",
        "LAUNCH_UPDATE: pages %s in %.3f s; from here on the RMP keeps the host from writing them",
        counts, (double)(run_clock_ns() - before) / 1e9);
    if (vm_snp_launch_finish(v->vm, NULL, NULL, false, NULL, e))
        return run_with_rule(r, e);
    run_step(r, "hypervisor", "LAUNCH_FINISH");
    return 0;
}

/* --- The owner -------------------------------------------------------------------------------- */

int run_snp_expect(const struct run_vm *v, u8 digest[48], struct error *e)
{
    struct image_description d = run_describe(v);
    struct image_plan *plan = image_build(&d, e);
    if (!plan)
        return -1;
    image_snp_digest(plan, digest);
    image_free(plan);
    return 0;
}

int run_snp_trust(const struct run_vm *v, struct report_certificates *to, struct error *e)
{
    const struct run_snp *s = v->run->snp;
    const char *root = v->options->owner_root;
    if (crypto_x509_read(s->der[VCEK], s->size[VCEK], &to->given, &to->lists, e) ||
        crypto_x509_read(s->der[ASK], s->size[ASK], &to->given, &to->lists, e))
        return -1;
    return root ? owner_add_certificates(&to->roots, &to->lists, "owner-root", root, e)
                : crypto_x509_read(s->der[ARK], s->size[ARK], &to->roots, &to->lists, e);
}

struct report_policy run_snp_demands(const struct run_vm *v, const u8 digest[48])
{
    /* If the machine has a clock of its own (--time, --seed), it says nothing about the owner's
     * time. */
    const struct run_options *o = &v->run->options;
    return (struct report_policy){
        .time = o->time_given || o->seed ? NULL : &o->time_seconds,
        .measurement = digest,
        .allow_debug = v->options->snp_policy & SNP_POLICY_DEBUG,
        .allow_migration = v->options->snp_policy & SNP_POLICY_MIGRATE_MA,
    };
}

static int owner_verifies(struct run_vm *v, const struct snp_report *report, struct error *e)
{
    struct report_certificates certificates = {.given = {.count = 0}};
    u8 digest[48];
    int result = run_snp_expect(v, digest, e) || run_snp_trust(v, &certificates, e) ? -1 : 0;
    struct report_policy policy = run_snp_demands(v, digest);
    policy.maximum_vmpl = SNP_VMPL_OF_HOST;
    struct error why = {.code = ERROR_NONE};
    enum report_check check =
        result ? REPORT_OK
               : owner_verify_report(report, sizeof *report, &certificates, &policy, &why);
    if (check)
        result = error_set(e, why.code, "%s: %s", report_check_name(check), why.text);
    report_certificates_free(&certificates);
    return result;
}

/* Asks for a report at the host's request, so that the run can show it: the guest's own requests
 * are sealed. */
static int firmware_reports(struct run_vm *v, struct error *e)
{
    struct run *r = v->run;
    struct snp_report report;
    char text[17];
    if (vm_report(v->vm, &report, e))
        return run_with_rule(r, e);
    memcpy(v->measure, report.measurement, sizeof v->measure);
    hex_encode(text, report.measurement, 8);
    run_step(r, "firmware",
             "HV_REPORT_REQ: a report of version %u, signed by the VCEK: measurement %s...",
             report.version, text);
    if (v->options->owner_dir) {
        run_step(r, "owner", "elsewhere: waits for the report that the guest itself asks for");
        return 0;
    }
    if (owner_verifies(v, &report, e))
        return -1;
    run_step(r, "owner",
             "report verified: VCEK <- ASK <- ARK, the root one trusts; its measurement is the one "
             "computed from the files alone: equal");
    return 0;
}

int run_snp_launch(struct run_vm *v, struct error *e)
{
    return hypervisor_launches(v, e) || firmware_reports(v, e) ? -1 : 0;
}
