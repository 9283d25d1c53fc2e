/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flash images from outside, measured for every mode. The first byte chooses mode, hypervisor and
 * hashes; the end of the image, where its tables are, is the rest of the input, behind as many
 * zeros as make whole pages.
 */
#include <stdlib.h>

#include "image/measure.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define AS_HASHES BIT(6)
#define AS_MANY   BIT(7)

struct seen {
    u64 records;
    u8 digest[MEASURE_DIGEST_MAX];
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void see(void *context, const struct measure_record *r)
{
    struct seen *s = context;
    s->records++;
    require(r->size && r->gpa + r->size > r->gpa && r->name && r->type);
    memcpy(s->digest, r->digest, sizeof s->digest);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static u8 image[16384];
    if (size < 1 || size - 1 > sizeof image)
        return 0;
    const size_t whole = size == 1 ? PAGE_SIZE : ALIGN_UP(size - 1, (size_t)PAGE_SIZE);
    memset(image, 0, whole);
    memcpy(image + whole - (size - 1), data + 1, size - 1);
    struct measure_description d = {
        .mode = (enum measure_mode)(data[0] % 3),
        .firmware = {"image", image, whole},
        .kernel_hashes = data[0] & AS_HASHES,
        .kernel = {"kernel", "k", 1},
        .vcpus = data[0] & AS_MANY ? 3 : 1,
        .vmm = (enum measure_vmm)((data[0] >> 2 & 15) % MEASURE_VMM_COUNT),
    };
    struct seen seen = {0};
    struct error error = {.code = ERROR_NONE};
    u8 digest[MEASURE_DIGEST_MAX], again[MEASURE_DIGEST_MAX];
    int result =
        measure_launch(&d, &(struct measure_sink){.record = see, .context = &seen}, digest, &error);
    require((result == 0) == (error.code == ERROR_NONE));
    if (result)
        return 0;
    require(seen.records && !memcmp(seen.digest, digest, sizeof digest));
    struct image_plan *plan = d.mode == MEASURE_SNP ? measure_to_plan(&d, MIB(32), &error) : NULL;
    for (u32 i = 0; plan && i < plan->piece_count; i++)
        require(plan->pieces[i].gpa + plan->pieces[i].size <= GIB(4) && plan->pieces[i].page_type &&
                plan->pieces[i].data_size <= plan->pieces[i].size);
    image_free(plan);
    error.code = ERROR_NONE;
    require(measure_launch(&d, NULL, again, &error) == 0 && !memcmp(again, digest, sizeof digest));
    return 0;
}
