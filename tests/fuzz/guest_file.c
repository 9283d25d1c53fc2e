/* SPDX-License-Identifier: Apache-2.0 */
/* Launch descriptions: parsed, and where they name no file, made into a launch. */
#include "cli/guest/guest_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct guest_file g;
    struct error e = {.code = ERROR_NONE};
    if (size > GUEST_FILE_MAX)
        return 0;
    int result = guest_file_parse("description", (const char *)data, size, &g, &e);
    require((result == 0) == (e.code == ERROR_NONE) && memchr(e.text, 0, sizeof e.text));
    if (!result) {
        require(g.vcpus >= 1 && g.vcpus <= IMAGE_VMSAS_MAX && g.vmpl < 4 && g.vmpck < 4 &&
                g.vmpck >= g.vmpl && (unsigned)g.vmm < MEASURE_VMM_COUNT);
        struct image_plan *plan = g.firmware || g.kernel ? NULL : guest_file_plan(&g, &e);
        require(!plan || plan->vmsa_count == g.vcpus);
        require(g.firmware || g.kernel || plan || e.code != ERROR_NONE);
        image_free(plan);
    }
    guest_file_free(&g);
    return 0;
}
