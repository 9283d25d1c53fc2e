/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels and flash images from outside. The first byte says what the file is given as; a plan that
 * comes out must keep the promises of image.h: pieces inside memory, apart from each other, no
 * larger than their data says.
 */
#include <stdlib.h>

#include "abi/snp.h"
#include "image/internal.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define AS_SEV      BIT(0)
#define AS_SECRET   BIT(1)
#define AS_FIRMWARE BIT(2)
#define AS_HASHES   BIT(3)
#define AS_INITRD   BIT(4)
#define AS_SNP      BIT(5)

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool count_bytes(void *context, const void *data, size_t size)
{
    volatile const u8 *bytes = data;
    u64 *total = context;
    if (size)
        (void)(bytes[0] + bytes[size - 1]);
    *total += size;
    return true;
}

static void check(const struct image_plan *plan)
{
    u64 total = 0, dumped = 0;
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        require(p->page_type <= SNP_PAGE_CPUID && p->size && p->size % 16 == 0 &&
                p->gpa % 16 == 0 && p->data_size <= p->size);
        total += p->size;
        if (plan->flash_size)
            continue;
        require(p->gpa % PAGE_SIZE == 0 && range_fits(p->gpa, p->size, plan->memory_size));
        for (u32 j = 0; j < i; j++) {
            const struct image_piece *o = &plan->pieces[j];
            require(p->gpa + p->size <= o->gpa || o->gpa + o->size <= p->gpa);
        }
    }
    require(plan->secret_gpa % 16 == 0 && plan->secret_size % 16 == 0 &&
            plan->secret_size <= IMAGE_SECRET_MAX &&
            range_fits(plan->secret_gpa, plan->secret_size, plan->memory_size));
    if (plan->mode == IMAGE_SEV_SNP && plan->runnable)
        require(total == plan->memory_size - (LAYOUT_ROM - LAYOUT_LOW_END));
    total += (u64)plan->vmsa_count * PAGE_SIZE;
    require(image_dump(plan, count_bytes, &dumped) && dumped == total);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (size < 1)
        return 0;
    const u8 as = data[0];
    const struct image_file file = {"file", data + 1, size - 1};
    struct image_description d = {
        .memory_size = MIB(64),
        .mode = as & AS_SNP   ? IMAGE_SEV_SNP
                : as & AS_SEV ? IMAGE_SEV
                              : IMAGE_NONE,
        .secret = as & AS_SECRET,
        .kernel = file,
        .command_line = "console=ttyS0",
        .kernel_hashes = as & AS_HASHES,
    };
    if (as & AS_FIRMWARE)
        d.firmware = file;
    if (as & AS_INITRD)
        d.initrd = file;
    struct error error = {.code = ERROR_NONE};
    struct image_plan *plan = image_build(&d, &error);
    require((plan != NULL) == (error.code == ERROR_NONE));
    if (plan)
        check(plan);
    image_free(plan);
    return 0;
}
