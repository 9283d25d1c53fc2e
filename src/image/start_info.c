/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a 32-bit image learns from its loader: the information of Multiboot 1 in EBX, with a magic
 * number in EAX [Multiboot Specification 0.6.96, 3.3], or the start information of a PVH guest in
 * EBX [Xen docs/misc/pvh]. Each is one page, with its lists after the structure.
 */
#include "base/bytes.h"
#include "image/internal.h"

#define MULTIBOOT_LOADER    0x2badb002u
#define MULTIBOOT_MEMORY    BIT(0)
#define MULTIBOOT_CMDLINE   BIT(2)
#define MULTIBOOT_MODULES   BIT(3)
#define MULTIBOOT_MEMMAP    BIT(6)
#define MULTIBOOT_INFO_SIZE 116u
#define MULTIBOOT_MODULE    16u
#define MULTIBOOT_ENTRY     24u

#define PVH_MAGIC     0x336ec578u
#define PVH_INFO_SIZE 56u
#define PVH_MODULE    32u
#define PVH_ENTRY     24u

/* Module and map follow the structure. */
static void multiboot_fill(const struct image_plan *plan, const struct start_places *p, u8 *info)
{
    u32 flags = MULTIBOOT_MEMORY | MULTIBOOT_CMDLINE | MULTIBOOT_MEMMAP;
    u8 *module = info + MULTIBOOT_INFO_SIZE, *map = module + MULTIBOOT_MODULE;
    store_le32(info + 4, LAYOUT_LOW_END / 1024);
    store_le32(info + 8, (u32)((plan_low_end(plan) - LAYOUT_ROM_END) / 1024));
    store_le32(info + 16, (u32)p->command_line);
    if (p->module_size) {
        flags |= MULTIBOOT_MODULES;
        store_le32(info + 20, 1);
        store_le32(info + 24, (u32)(p->info + (u64)(module - info)));
        store_le32(module, (u32)p->module);
        store_le32(module + 4, (u32)(p->module + p->module_size));
        store_le32(module + 8, (u32)p->command_line);
    }
    store_le32(info, flags);
    store_le32(info + 44, plan->e820_count * MULTIBOOT_ENTRY);
    store_le32(info + 48, (u32)(p->info + (u64)(map - info)));
    for (u32 i = 0; i < plan->e820_count; i++, map += MULTIBOOT_ENTRY) {
        store_le32(map, MULTIBOOT_ENTRY - 4);
        store_le64(map + 4, plan->e820[i].start);
        store_le64(map + 12, plan->e820[i].size);
        store_le32(map + 20, plan->e820[i].type);
    }
}

static void pvh_fill(const struct image_plan *plan, const struct start_places *p, u8 *info)
{
    u8 *module = info + PVH_INFO_SIZE, *map = module + PVH_MODULE;
    store_le32(info, PVH_MAGIC);
    store_le32(info + 4, 1); /* version: with a memory map */
    if (p->module_size) {
        store_le32(info + 12, 1);
        store_le64(info + 16, p->info + (u64)(module - info));
        store_le64(module, p->module);
        store_le64(module + 8, p->module_size);
    }
    store_le64(info + 24, p->command_line);
    store_le64(info + 32, p->rsdp);
    store_le64(info + 40, p->info + (u64)(map - info));
    store_le32(info + 48, plan->e820_count);
    for (u32 i = 0; i < plan->e820_count; i++, map += PVH_ENTRY) {
        store_le64(map, plan->e820[i].start);
        store_le64(map + 8, plan->e820[i].size);
        store_le32(map + 16, plan->e820[i].type);
    }
}

int start_info_add(struct image_plan *plan, enum start_protocol protocol,
                   const struct start_places *places, struct error *error)
{
    u8 *info = plan_own(plan, PAGE_SIZE, error);
    if (!info)
        return -1;
    bool multiboot = protocol == START_MULTIBOOT;
    (multiboot ? multiboot_fill : pvh_fill)(plan, places, info);
    plan->registers.rax = multiboot ? MULTIBOOT_LOADER : 0;
    plan->gpr[3] = places->info; /* RBX */
    return plan_add(plan, multiboot ? "multiboot_info" : "pvh_info", places->info, PAGE_SIZE, info,
                    PAGE_SIZE, error);
}
