/* SPDX-License-Identifier: Apache-2.0 */
/* softsev with --guest: a guest launched beside the platform's own door, and what a program inside
 * it would find. */
#include "cli/with/with.h"
#include "cli/identity/profile.h"

#include <stdlib.h>
#include <time.h>

#include "authority/authority.h"
#include "cli/guest/guest_launch.h"
#include "cli/options.h"

int with_guest_load(struct with *w, struct error *e)
{
    if (!w->guest_path)
        return 0;
    if (!w->on.profile->report_version)
        return error_set(
            e, ERROR_USAGE,
            "%s is a %s: it has no SNP, so no guest; --profile milan makes it a part that has",
            w->on.profile->name, w->on.profile->product);
    w->guest = calloc(1, sizeof *w->guest);
    if (!w->guest)
        return error_set(e, ERROR_MEMORY, "no memory for a guest");
    if (guest_launch_load(w->guest, w->guest_path, e) ||
        options_check_outputs(w->given, &w->guest->file.given, e))
        return -1;
    w->memory_size += guest_file_machine_memory(w->guest->plan);
    return 0;
}

/* --- What the host hands out beside extended reports: VCEK, ASK, ARK, or VLEK, ASVK, ARK ------ */

/* Made anew when the platform signs with another key: an honest host keeps its certificates in step
 * with what it tells its chip to report. */
struct with_table {
    const struct with *with;
    bool made, vlek;
    u64 tcb;
    size_t size;
    u8 bytes[SNP_CERTS_MAX];
};

static size_t make_key(const struct with_table *t, const struct authority *a,
                       const struct authority_product *product, u8 der[AUTHORITY_CERT_MAX])
{
    const struct with *w = t->with;
    const struct authority_terms terms = {.not_before = authority_issue_time((s64)time(NULL))};
    if (t->vlek)
        return authority_vlek(a, product, w->csp, t->tcb, &terms, der, AUTHORITY_CERT_MAX);
    return authority_vcek(a, product, w->on.profile->product_name, w->on.identity.fuses, t->tcb,
                          &terms, der, AUTHORITY_CERT_MAX);
}

static int make_table(struct with_table *t, struct error *e)
{
    enum { KEY, SIGNER, ROOT, COUNT };
    const struct with *w = t->with;
    const struct authority_product *product = authority_product_find(w->on.profile->product);
    const struct authority_terms terms = {.not_before = 0};
    const enum authority_role signer = t->vlek ? AUTHORITY_ASVK : AUTHORITY_ASK;
    u8 der[COUNT][AUTHORITY_CERT_MAX];
    struct guest_certificate list[COUNT] = {
        {.kind = t->vlek ? GUEST_CERTIFICATE_VLEK : GUEST_CERTIFICATE_VCEK, .data = der[KEY]},
        {.kind = GUEST_CERTIFICATE_ASK, .data = der[SIGNER]},
        {.kind = GUEST_CERTIFICATE_ARK, .data = der[ROOT]}};
    struct authority *a = state_authority_open(w->on.state, w->crypto, NULL, e);
    if (!a)
        return -1;
    list[KEY].size = make_key(t, a, product, der[KEY]);
    list[SIGNER].size =
        authority_certificate(a, product, signer, &terms, der[SIGNER], AUTHORITY_CERT_MAX);
    list[ROOT].size =
        authority_certificate(a, product, AUTHORITY_ARK, &terms, der[ROOT], AUTHORITY_CERT_MAX);
    authority_free(a);
    for (u32 i = 0; i < COUNT; i++)
        if (!list[i].size)
            return error_set(e, ERROR_INTERNAL, "the certificate %s cannot be made",
                             guest_certificate_name(list[i].kind));
    t->size = guest_certificates_write(list, COUNT, t->bytes, sizeof t->bytes);
    return t->size <= sizeof t->bytes
               ? 0
               : error_set(e, ERROR_INTERNAL, "the certificates of a report are %zu bytes",
                           t->size);
}

static int update_table(struct with_table *t, struct error *e)
{
    const struct firmware *fw = machine_firmware(t->with->machine);
    u64 tcb = firmware_reported_tcb(fw);
    bool vlek = firmware_has_vlek(fw);
    if (t->made && t->tcb == tcb && t->vlek == vlek)
        return 0;
    t->tcb = tcb;
    t->vlek = vlek;
    t->made = !make_table(t, e);
    return t->made ? 0 : -1;
}

static size_t write_table(void *context, u8 out[SNP_CERTS_MAX])
{
    struct with_table *t = context;
    struct error unused = {.code = ERROR_NONE};
    if (update_table(t, &unused))
        return 0;
    memcpy(out, t->bytes, t->size);
    return t->size;
}

/* --- The launch, once the platform is up ------------------------------------------------------ */

int with_guest_start(struct with *w, struct error *e)
{
    if (!w->guest)
        return 0;
    w->table = calloc(1, sizeof *w->table);
    if (!w->table)
        return error_set(e, ERROR_MEMORY, "no memory for certificates");
    w->table->with = w;
    const struct sev_guest_table table = {write_table, w->table};
    if (update_table(w->table, e))
        return -1;
    if (guest_launch_start(w->guest, w->hv, machine_host(w->machine), &table, e))
        return cli_add_rule(w->machine, e);
    with_add_file(w, sev_guest_file(w->guest->driver));
    with_add_folder(w, tsm_folder(w->guest->tsm));
    return 0;
}

void with_guest_end(struct with *w)
{
    if (w->guest)
        guest_launch_end(w->guest);
    free(w->guest);
    free(w->table);
    w->guest = NULL;
    w->table = NULL;
}
