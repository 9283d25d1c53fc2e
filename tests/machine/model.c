/* SPDX-License-Identifier: Apache-2.0 */
/* A machine is one part: its cores' CPUID is of the part that its firmware's reports name, unless
 * somebody chose another model. */
#include "abi/part.h"
#include "crypto/crypto.h"
#include "machine/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static u32 signature_of(const struct firmware_profile *profile, const struct cpu_model *model)
{
    struct error e = {0};
    u32 out[4], other[4];
    struct crypto *crypto = crypto_create("machine_model", 13);
    struct machine *m = machine_create(&(struct machine_config){.memory_size = MIB(8),
                                                                .cores = 2,
                                                                .cpu = model,
                                                                .crypto = crypto,
                                                                .profile = profile,
                                                                .fuses = {1}},
                                       &e);
    if (!m)
        fail_msg("%s", e.text);
    host_cpuid(machine_host(m), 1, 1, 0, out);
    assert_int_equal(out[1] >> 16 & 0xff, 2);
    host_cpuid(machine_host(m), 1, 0x80000001, 0, other);
    assert_int_equal(out[0], other[0]);
    machine_destroy(m);
    crypto_destroy(crypto);
    return out[0];
}

static void every_profile_is_the_part_of_its_reports(void **state)
{
    (void)state;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++) {
        const enum part part = part_of(p->family, p->model);
        const u32 signature = signature_of(p, NULL);
        assert_true(part < PART_COUNT);
        if (p->report_version) /* otherwise the profile has no stepping */
            assert_int_equal(signature, part_signature(p->family, p->model, p->stepping));
        else
            assert_int_equal(signature >> 4, part_signature(p->family, p->model, 0) >> 4);
    }
}

static void a_chosen_model_counts(void **state)
{
    (void)state;
    struct cpu_model genoa;
    cpu_model_of_part(PART_GENOA, &genoa);
    assert_int_equal(signature_of(NULL, &genoa), 0x00a10f11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_is_the_part_of_its_reports),
        cmocka_unit_test(a_chosen_model_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
