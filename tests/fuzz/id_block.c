/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ID block (96 bytes) with its authentication page, then a report: whatever it is, the checks
 * end with a sentence of one line or with none, and a block that is changed after it was found good
 * is good no longer.
 */
#include <stdlib.h>

#include "owner/id_block.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct snp_id_block block;
    struct snp_id_auth auth;
    struct snp_report report = {.version = 0};
    struct error e = {.code = ERROR_NONE};
    const size_t block_size = size < sizeof block ? size : sizeof block;
    const u8 *page = data + block_size;
    const size_t page_size = size - block_size < sizeof auth ? size - block_size : sizeof auth;
    int result = id_block_check(data, block_size, page, page_size, &e);
    must((result == 0) == (e.code == ERROR_NONE) && !strchr(e.text, '\n'));
    if (block_size < sizeof block || page_size < sizeof auth)
        return 0;
    memcpy(&block, data, sizeof block);
    memcpy(&auth, page, sizeof auth);
    if (result == 0) {
        struct snp_id_block changed = block;
        struct error why = {.code = ERROR_NONE};
        changed.guest_svn++;
        must(id_block_check(&changed, sizeof changed, &auth, sizeof auth, &why) != 0);
    }
    const size_t left = size - block_size - page_size;
    memcpy(&report, page + page_size, left < sizeof report ? left : sizeof report);
    e.code = ERROR_NONE;
    result = id_block_compare(&report, &block, &auth, &e);
    must((result == 0) == (e.code == ERROR_NONE));
    return 0;
}
