/* SPDX-License-Identifier: Apache-2.0 */
/* softsev with --guest: a guest launched beside the platform's own door, and what a program inside it would find. */
#include "cli/with.h"

#include <stdlib.h>
#include <time.h>

#include "authority/authority.h"
#include "cli/guest_launch.h"

int with_guest_load(struct with *w, struct error *e)
{
    if (!w->guest_path)
        return 0;
    if (!w->profile->report_version)
        return error_set(
            e, ERROR_USAGE,
            "%s is a %s: it has no SNP, so no guest; --profile milan makes it a part that has",
            w->profile->name, w->profile->product);
    w->guest = calloc(1, sizeof *w->guest);
    if (!w->guest)
        return error_set(e, ERROR_MEMORY, "no memory for a guest");
    if (guest_launch_load(w->guest, w->guest_path, e))
        return -1;
    w->memory_size += guest_file_machine_memory(w->guest->plan);
    return 0;
}

/* --- What the host hands out beside extended reports: VCEK, ASK, ARK -------------------------------------- */

struct bundle {
    struct guest_certificate list[3];
    u8 der[3][AUTHORITY_CERT_MAX];
};

static void add(struct bundle *b, u32 n, enum guest_certificate_kind kind, size_t size)
{
    b->list[n] = (struct guest_certificate){.kind = kind, .data = b->der[n], .size = size};
}

static size_t make_vcek(const struct with *w, const struct authority *a,
                        const struct authority_product *product, u8 der[AUTHORITY_CERT_MAX])
{
    u64 tcb = firmware_reported_tcb(machine_firmware(w->machine));
    const struct authority_terms terms = {.not_before = authority_issue_time((s64)time(NULL))};
    return authority_vcek(a, product, w->profile->product_name, w->identity.fuses, tcb, &terms, der,
                          AUTHORITY_CERT_MAX);
}

static int make_bundle(const struct with *w, struct bundle *b, struct error *e)
{
    const struct authority_product *product = authority_product_find(w->profile->product);
    const struct authority_terms terms = {.not_before = 0};
    struct authority *a = cli_authority_open(w->state, w->crypto, NULL, e);
    if (!a)
        return -1;
    add(b, 0, GUEST_CERTIFICATE_VCEK, make_vcek(w, a, product, b->der[0]));
    add(b, 1, GUEST_CERTIFICATE_ASK,
        authority_certificate(a, product, AUTHORITY_ASK, &terms, b->der[1], sizeof b->der[1]));
    add(b, 2, GUEST_CERTIFICATE_ARK,
        authority_certificate(a, product, AUTHORITY_ARK, &terms, b->der[2], sizeof b->der[2]));
    authority_free(a);
    for (u32 i = 0; i < ARRAY_SIZE(b->list); i++)
        if (!b->list[i].size)
            return error_set(e, ERROR_INTERNAL, "the certificate %s cannot be made",
                             guest_certificate_name(b->list[i].kind));
    return 0;
}

/* --- The launch, once the platform is up ------------------------------------------------------------------- */

int with_guest_start(struct with *w, struct error *e)
{
    struct bundle bundle;
    if (!w->guest)
        return 0;
    if (make_bundle(w, &bundle, e) || guest_launch_start(w->guest, w->hv, machine_host(w->machine),
                                                         bundle.list, ARRAY_SIZE(bundle.list), e))
        return -1;
    with_add_file(w, sev_guest_file(w->guest->driver));
    with_add_folder(w, tsm_folder(w->guest->tsm));
    return 0;
}

void with_guest_end(struct with *w)
{
    if (w->guest)
        guest_launch_end(w->guest);
    free(w->guest);
    w->guest = NULL;
}
