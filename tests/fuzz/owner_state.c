/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's state file: as it comes, and with its checksum put right,
 * so that what is behind it is reached. */
#include "owner/owner.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void load(const u8 *data, size_t size)
{
    struct owner o;
    struct error e = {.code = ERROR_NONE};
    u8 again[OWNER_SAVE_SIZE];
    if (owner_load(data, size, &o, &e)) {
        if (e.code != ERROR_FILE || !e.text[0])
            abort();
        return;
    }
    owner_save(&o, again);
    if (size != sizeof again || memcmp(again, data, size))
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    u8 fixed[OWNER_SAVE_SIZE];
    load(data, size);
    if (size != sizeof fixed)
        return 0;
    memcpy(fixed, data, size);
    crypto_sha256(fixed, size - 32, fixed + size - 32);
    load(fixed, size);
    return 0;
}
