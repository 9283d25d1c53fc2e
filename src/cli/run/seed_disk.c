/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FAT12 [Microsoft, FAT: General Overview of On-Disk Format, 1.03]: a boot sector, two tables of
 * clusters, the root directory, and the files one after another. Names with more than 8 and 3
 * characters stand in extra entries before that of the file, the last part first.
 */
#include "cli/run/seed_disk.h"

#include <stdlib.h>

#define SECTOR         512u
#define CLUSTER        2048u
#define ROOT_ENTRIES   64u
#define ENTRY          32u
#define TABLES         2u
#define CLUSTERS_LEAST 32u
#define CLUSTER_FIRST  2u
#define CHAIN_END      0xfffu
#define MEDIA          0xf8u
#define DATE_1980      0x21u /* January 1st: the first day that there is */

#define ATTRIBUTE_READ_ONLY 0x01u
#define ATTRIBUTE_LABEL     0x08u
#define ATTRIBUTE_LONG_NAME 0x0fu
#define LONG_NAME_LAST      0x40u
#define LONG_NAME_PART      13u

_Static_assert(SEED_FILES_MAX *SEED_FILE_SIZE_MAX / CLUSTER + SEED_FILES_MAX < 4085,
               "FAT12 has fewer than 4085 clusters");
_Static_assert(SEED_FILES_MAX * 3 + 1 <= ROOT_ENTRIES, "a file takes three entries of the root");

struct layout {
    u32 clusters, table_sectors, data_sector, sectors;
};

static u32 clusters_of(size_t size)
{
    return (u32)((size + CLUSTER - 1) / CLUSTER);
}

static struct layout lay_out(const struct seed_file *files, u32 count)
{
    struct layout l = {.clusters = 0};
    for (u32 i = 0; i < count; i++)
        l.clusters += clusters_of(files[i].size);
    l.clusters = (u32)max_u64(l.clusters, CLUSTERS_LEAST);
    l.table_sectors = ((l.clusters + CLUSTER_FIRST) * 3 / 2 + SECTOR) / SECTOR;
    l.data_sector = 1 + TABLES * l.table_sectors + ROOT_ENTRIES * ENTRY / SECTOR;
    l.sectors = l.data_sector + l.clusters * (CLUSTER / SECTOR);
    return l;
}

/* FNV-1a over the files: a number that changes with them. */
static u32 serial_number(const struct seed_file *files, u32 count)
{
    u32 h = 2166136261u;
    for (u32 i = 0; i < count; i++)
        for (size_t j = 0; j < files[i].size; j++)
            h = (h ^ files[i].data[j]) * 16777619u;
    return h;
}

static void boot_sector(u8 *b, const struct layout *l, const char label[12], u32 serial)
{
    memcpy(b, "\xeb\x3c\x90SOFTSEV ", 11); /* a jump past the fields, and who made it */
    store_le16(b + 11, SECTOR);
    b[13] = CLUSTER / SECTOR;
    store_le16(b + 14, 1); /* sectors before the tables */
    b[16] = TABLES;
    store_le16(b + 17, ROOT_ENTRIES);
    store_le16(b + 19, (u16)l->sectors);
    b[21] = MEDIA;
    store_le16(b + 22, (u16)l->table_sectors);
    store_le16(b + 24, 32); /* sectors a track, and heads: nobody looks */
    store_le16(b + 26, 64);
    b[36] = 0x80;
    b[38] = 0x29; /* the three fields below are there */
    store_le32(b + 39, serial);
    memcpy(b + 43, label, 11);
    memcpy(b + 54, "FAT12   ", 8);
    store_le16(b + 510, 0xaa55);
}

/* Two entries of 12 bits share three bytes. */
static void set_next(u8 *table, u32 cluster, u32 next)
{
    u8 *at = table + cluster * 3 / 2;
    const u16 old = load_le16(at);
    store_le16(at, (u16)(cluster & 1 ? (old & 0x000f) | next << 4 : (old & 0xf000) | next));
}

/* A file's clusters stand side by side. */
static void chain(u8 *table, u32 first, u32 count)
{
    for (u32 i = 0; i < count; i++)
        set_next(table, first + i, i + 1 < count ? first + i + 1 : CHAIN_END);
}

static u8 name_sum(const char short_name[11])
{
    u8 sum = 0;
    for (u32 i = 0; i < 11; i++)
        sum = (u8)((sum >> 1 | sum << 7) + (u8)short_name[i]);
    return sum;
}

/* Characters `from` to `from` + 12 of the name, then a zero, then ones. */
static void long_name_entry(u8 *e, const struct seed_file *f, u32 part, bool last)
{
    static const u8 places[LONG_NAME_PART] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    const size_t length = strlen(f->name);
    e[0] = (u8)((part + 1) | (last ? LONG_NAME_LAST : 0));
    e[11] = ATTRIBUTE_LONG_NAME;
    e[13] = name_sum(f->short_name);
    for (u32 i = 0; i < LONG_NAME_PART; i++) {
        const size_t at = part * LONG_NAME_PART + i;
        store_le16(e + places[i], at < length ? (u16)(u8)f->name[at] : at == length ? 0 : 0xffff);
    }
}

static void short_entry(u8 *e, const char name[11], u8 attribute, u32 cluster, size_t size)
{
    memcpy(e, name, 11);
    e[11] = attribute;
    store_le16(e + 16, DATE_1980); /* made, read, written */
    store_le16(e + 18, DATE_1980);
    store_le16(e + 24, DATE_1980);
    store_le16(e + 26, (u16)cluster);
    store_le32(e + 28, (u32)size);
}

static u8 *file_entries(u8 *e, const struct seed_file *f, u32 cluster)
{
    const u32 parts = (u32)((strlen(f->name) + LONG_NAME_PART - 1) / LONG_NAME_PART);
    for (u32 part = parts; part-- > 0; e += ENTRY)
        long_name_entry(e, f, part, part == parts - 1);
    short_entry(e, f->short_name, ATTRIBUTE_READ_ONLY, f->size ? cluster : 0, f->size);
    return e + ENTRY;
}

u8 *seed_disk_make(const char label[12], const struct seed_file *files, u32 count, size_t *size)
{
    const struct layout l = lay_out(files, count);
    u8 *disk = calloc(l.sectors, SECTOR);
    if (!disk)
        return NULL;
    u8 *table = disk + SECTOR, *entry = table + TABLES * l.table_sectors * SECTOR;
    u32 cluster = CLUSTER_FIRST;
    boot_sector(disk, &l, label, serial_number(files, count));
    set_next(table, 0, 0xf00 | MEDIA);
    set_next(table, 1, CHAIN_END);
    short_entry(entry, label, ATTRIBUTE_LABEL, 0, 0);
    entry += ENTRY;
    for (u32 i = 0; i < count; i++) {
        const u32 clusters = clusters_of(files[i].size);
        entry = file_entries(entry, &files[i], cluster);
        chain(table, cluster, clusters);
        if (clusters)
            memcpy(disk + (size_t)l.data_sector * SECTOR +
                       (size_t)(cluster - CLUSTER_FIRST) * CLUSTER,
                   files[i].data, files[i].size);
        cluster += clusters;
    }
    memcpy(table + l.table_sectors * SECTOR, table, l.table_sectors * SECTOR);
    *size = (size_t)l.sectors * SECTOR;
    return disk;
}
