/* SPDX-License-Identifier: Apache-2.0 */
/* A Linux kernel made byte by byte, for tests of launch plans. */
#ifndef SOFTSEV_TESTS_IMAGE_KERNEL_H
#define SOFTSEV_TESTS_IMAGE_KERNEL_H

#include "image/internal.h"

#define SETUP_SECTORS 4u
#define SETUP_SIZE    ((SETUP_SECTORS + 1) * 512u)
#define PAYLOAD       20000u

struct kernel {
    u8 bytes[SETUP_SIZE + PAYLOAD];
};

/* A bzImage header as the boot protocol describes it, with a payload of 5Ah. */
static inline void make_kernel(struct kernel *k)
{
    memset(k, 0, sizeof *k);
    memset(k->bytes + SETUP_SIZE, 0x5a, PAYLOAD);
    k->bytes[0x1f1] = SETUP_SECTORS;
    store_le16(k->bytes + 0x1fe, 0xaa55);
    k->bytes[0x200] = 0xeb;
    k->bytes[0x201] = 0x6a;
    memcpy(k->bytes + 0x202, "HdrS", 4);
    store_le16(k->bytes + 0x206, 0x20f);
    store_le32(k->bytes + 0x22c, 0x7fffffff);
    store_le16(k->bytes + 0x236, 1);
    store_le32(k->bytes + 0x238, 2047);
    store_le64(k->bytes + 0x258, 0x1000000);
    store_le32(k->bytes + 0x260, 0x2000000);
}

static inline struct image_description describe(const struct kernel *k)
{
    struct image_description d = {
        .memory_size = MIB(256), .mode = IMAGE_SEV, .command_line = "quiet"};
    d.kernel = (struct image_file){"vmlinuz", k->bytes, sizeof k->bytes};
    return d;
}

static inline const struct image_piece *piece(const struct image_plan *plan, const char *name)
{
    for (u32 i = 0; i < plan->piece_count; i++)
        if (!strcmp(plan->pieces[i].name, name))
            return &plan->pieces[i];
    return NULL;
}

#endif
