/* SPDX-License-Identifier: Apache-2.0 */
/* softsev with: when it says that CPUID tells a program of another part than the platform's. */
#include "cli/with/with.h"
#include "firmware/firmware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DIFFERS(platform, below, profile)                                                          \
    "the platform is a " platform ", but CPUID tells the program of a " below                      \
    "; a tool that reads it expects --profile " profile

static void a_part_that_tools_would_take_for_the_platform_is_said(void **state)
{
    (void)state;
    static const struct {
        struct with_processor below;
        const char *profile, *line; /* NULL: nothing is said */
    } cases[] = {
        {{true, 0x19, 0x01}, "milan", NULL},
        {{true, 0x19, 0x01}, "milan-1.51", NULL},
        {{true, 0x19, 0x01}, "genoa", DIFFERS("Genoa", "Milan", "milan")},
        {{true, 0x19, 0x11}, "milan", DIFFERS("Milan", "Genoa", "genoa")},
        {{true, 0x19, 0xa0}, "genoa-1.55", NULL},
        {{true, 0x19, 0xa0}, "turin", DIFFERS("Turin", "Genoa", "genoa")},
        {{true, 0x1a, 0x02}, "turin-1.58", NULL},
        {{true, 0x1a, 0x11}, "milan", DIFFERS("Milan", "Turin", "turin")},
        {{true, 0x1a, 0x02}, "rome", DIFFERS("Rome", "Turin", "turin")},
        /* No SNP part, so no tool takes it for one: Rome, Ryzens, Intel's. */
        {{true, 0x17, 0x31}, "milan", NULL},
        {{true, 0x19, 0x21}, "milan", NULL},
        {{true, 0x1a, 0x44}, "milan", NULL},
        {{false, 6, 167}, "milan", NULL},
        {{false, 0x19, 0x11}, "milan", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct firmware_profile *profile = firmware_profile_find(cases[i].profile);
        char line[WITH_PROCESSOR_LINE] = "";
        bool said = with_processor_differs(&cases[i].below, profile, line);
        assert_int_equal(said, cases[i].line != NULL);
        if (said)
            assert_string_equal(line, cases[i].line);
    }
}

/* As Linux says it in /proc/cpuinfo. */
static void the_processor_below_is_the_kernels(void **state)
{
    (void)state;
    struct with_processor below = with_processor_below();
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[4096], vendor[16] = "";
    unsigned family = 0, model = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) && *line != '\n') {
        sscanf(line, "vendor_id : %15s", vendor);
        sscanf(line, "cpu family : %u", &family);
        sscanf(line, "model : %u", &model);
    }
    fclose(f);
    assert_int_equal(below.amd, !strcmp(vendor, "AuthenticAMD"));
    assert_int_equal(below.family, family);
    assert_int_equal(below.model, model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_that_tools_would_take_for_the_platform_is_said),
        cmocka_unit_test(the_processor_below_is_the_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
