/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables in a flash image that ends at 4 GiB [sev 11; snp 5.7], the table of kernel hashes
 * [sev 12.1], and the table of secrets [sev 12.2].
 */
#include "base/bytes.h"
#include "base/recognise.h"
#include "crypto/crypto.h"
#include "image/internal.h"

#define GUID_SIZE        16u
#define FOOTER_FROM_END  48u
#define ENTRY_OVERHEAD   18u /* GUID and length */
#define METADATA_HEADER  16u
#define HASH_TABLE_BYTES 168u
#define HASH_ENTRY_BYTES 50u
#define SECRET_OVERHEAD  20u /* GUID and length, of the table of secrets and of its entries */

/* GUIDs as stored: the first three groups are little-endian. */
static const u8 guid_footer[GUID_SIZE] = {0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
                                          0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d};
static const u8 guid_hash_area[GUID_SIZE] = {0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b,
                                             0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54};
static const u8 guid_reset_block[GUID_SIZE] = {0xde, 0x71, 0xf7, 0x00, 0x7e, 0x1a, 0xcb, 0x4f,
                                               0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e};
static const u8 guid_metadata[GUID_SIZE] = {0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47,
                                            0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc};
static const u8 guid_secret_area[GUID_SIZE] = {0x61, 0xb3, 0x2e, 0x4c, 0x9b, 0x7d, 0xc3, 0x4c,
                                               0x80, 0x81, 0x12, 0x7c, 0x90, 0xd3, 0xd2, 0x94};
static const u8 guid_secret_table[GUID_SIZE] = {0x42, 0xf5, 0x74, 0x1e, 0xdd, 0x71, 0x66, 0x4d,
                                                0x96, 0x3e, 0xef, 0x42, 0x87, 0xff, 0x17, 0x3b};
static const u8 guid_hash_table[GUID_SIZE] = {0x06, 0xd6, 0x38, 0x94, 0x22, 0x4f, 0xc9, 0x4c,
                                              0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21};
static const u8 guid_hash_cmdline[GUID_SIZE] = {0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c,
                                                0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a};
static const u8 guid_hash_initrd[GUID_SIZE] = {0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b,
                                               0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d};
static const u8 guid_hash_kernel[GUID_SIZE] = {0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42,
                                               0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b};

/* Returns the data of a table entry, or NULL if there is none. The table ends at the footer and is
 * walked downwards. */
static const u8 *ovmf_entry(const struct image_file *file, const u8 guid[GUID_SIZE], u32 want_size)
{
    const u8 *f = file->data;
    if (file->size < FOOTER_FROM_END + 2 ||
        memcmp(f + file->size - FOOTER_FROM_END, guid_footer, GUID_SIZE))
        return NULL;
    size_t end = file->size - FOOTER_FROM_END + GUID_SIZE;
    u32 total = load_le16(f + end - ENTRY_OVERHEAD);
    if (total < ENTRY_OVERHEAD || total > end)
        return NULL;
    size_t low = end - total, at = end - ENTRY_OVERHEAD;
    while (at - low >= ENTRY_OVERHEAD) {
        u32 size = load_le16(f + at - ENTRY_OVERHEAD);
        if (size < ENTRY_OVERHEAD || size > at - low)
            return NULL;
        if (!memcmp(f + at - GUID_SIZE, guid, GUID_SIZE))
            return size - ENTRY_OVERHEAD >= want_size ? f + at - size : NULL;
        at -= size;
    }
    return NULL;
}

static void hash_entry(struct writer *w, const u8 guid[GUID_SIZE], const void *data, size_t size)
{
    u8 digest[32];
    crypto_sha256(data, size, digest);
    write_bytes(w, guid, GUID_SIZE);
    write_u16(w, HASH_ENTRY_BYTES);
    write_bytes(w, digest, sizeof digest);
}

void ovmf_hash_table(const struct image_file *kernel, const struct image_file *initrd,
                     const char *command_line, u8 out[OVMF_HASH_TABLE_SIZE])
{
    const char *command = command_line ? command_line : "";
    struct writer w = writer_of(out, OVMF_HASH_TABLE_SIZE);
    write_bytes(&w, guid_hash_table, GUID_SIZE);
    write_u16(&w, HASH_TABLE_BYTES);
    hash_entry(&w, guid_hash_cmdline, command, strlen(command) + 1);
    hash_entry(&w, guid_hash_initrd, initrd->data ? initrd->data : "", initrd->size);
    hash_entry(&w, guid_hash_kernel, kernel->data, kernel->size);
    write_zeros(&w, OVMF_HASH_TABLE_SIZE - HASH_TABLE_BYTES);
}

int ovmf_hash_area(const struct image_file *file, u64 *gpa, struct error *error)
{
    const u8 *area = ovmf_entry(file, guid_hash_area, 8);
    const u32 size = area ? load_le32(area + 4) : 0;
    *gpa = area ? load_le32(area) : 0;
    if (!*gpa)
        return error_set(error, ERROR_FILE,
                         "%s: has no place for kernel hashes; an AmdSev build of OVMF has one",
                         file->name);
    if (*gpa % 16 == 0 && size >= OVMF_HASH_TABLE_SIZE && *gpa + size <= GIB(4) - file->size)
        return 0;
    return error_set(error, ERROR_FILE,
                     "%s: wants kernel hashes in %#x bytes at %#llx; right are at least %u bytes "
                     "at a multiple of 16, in memory below the image",
                     file->name, size, (unsigned long long)*gpa, OVMF_HASH_TABLE_SIZE);
}

size_t image_secret_table(const u8 guid[16], const void *secret, size_t secret_size, u8 *out,
                          size_t size)
{
    struct writer w = writer_of(out, min_u64(size, IMAGE_SECRET_MAX));
    if (secret_size > IMAGE_SECRET_MAX)
        return 0;
    write_bytes(&w, guid_secret_table, GUID_SIZE);
    write_u32(&w, (u32)secret_size + 2 * SECRET_OVERHEAD);
    write_bytes(&w, guid, GUID_SIZE);
    write_u32(&w, (u32)secret_size + SECRET_OVERHEAD);
    write_bytes(&w, secret, secret_size);
    return w.bad ? 0 : w.at;
}

int ovmf_add_secret_area(struct image_plan *plan, const struct image_file *file,
                         struct error *error)
{
    const u8 *area = ovmf_entry(file, guid_secret_area, 8);
    u64 base = area ? load_le32(area) : 0, size = area ? load_le32(area + 4) : 0;
    if (!size)
        return error_set(error, ERROR_FILE,
                         "%s: has no place for an owner's secret; an AmdSev build of OVMF has one",
                         file->name);
    if (!base || base % 16 || size % 16 || !range_fits(base, size, plan_low_end(plan)))
        return error_set(
            error, ERROR_FILE,
            "%s: wants the owner's secret in %#llx bytes at %#llx; right are multiples "
            "of 16 in guest memory, which ends at %#llx",
            file->name, (unsigned long long)size, (unsigned long long)base,
            (unsigned long long)plan_low_end(plan));
    plan->secret_gpa = base;
    plan->secret_size = min_u64(size, IMAGE_SECRET_MAX);
    return 0;
}

bool ovmf_reset_vector(const struct image_file *file, u32 *eip)
{
    const u8 *block = ovmf_entry(file, guid_reset_block, 4);
    *eip = block ? load_le32(block) : 0;
    return *eip != 0;
}

int ovmf_metadata(const struct image_file *file, struct reader *sections, u32 *count,
                  struct error *error)
{
    const u8 *entry = ovmf_entry(file, guid_metadata, 4), *f = file->data;
    u32 from_end = entry ? load_le32(entry) : 0;
    if (!entry)
        return error_set(error, ERROR_FILE, "%s: has no metadata for SNP; newer builds of OVMF do",
                         file->name);
    if (from_end < METADATA_HEADER || from_end > file->size)
        return error_set(error, ERROR_FILE, "%s: its metadata would lie outside of it", file->name);
    const u8 *at = f + file->size - from_end;
    u32 length = load_le32(at + 4), n = load_le32(at + 12);
    if (memcmp(at, "ASEV", 4) || load_le32(at + 8) != 1)
        return error_set(error, ERROR_FILE, "%s: its metadata is not of version 1", file->name);
    if (length < METADATA_HEADER || length > from_end ||
        n > (length - METADATA_HEADER) / OVMF_SECTION_SIZE)
        return error_set(error, ERROR_FILE, "%s: its metadata says %u sections in %u bytes",
                         file->name, n, length);
    if (n > OVMF_SECTIONS_MAX)
        return error_set(error, ERROR_FILE, "%s: its metadata has %u sections; at most %u are read",
                         file->name, n, OVMF_SECTIONS_MAX);
    *sections = reader_of(at + METADATA_HEADER, length - METADATA_HEADER);
    *count = n;
    return 0;
}

static int ovmf_add_hashes(struct image_plan *plan, const struct image_description *d,
                           struct error *error)
{
    u64 base;
    if (ovmf_hash_area(&d->firmware, &base, error))
        return -1;
    if (base + OVMF_HASH_TABLE_SIZE > plan_low_end(plan))
        return plan_too_small(plan, "kernel hashes", base + OVMF_HASH_TABLE_SIZE, error);
    u8 *table = plan_own(plan, OVMF_HASH_TABLE_SIZE, error);
    if (!table)
        return -1;
    ovmf_hash_table(&d->kernel, &d->initrd, d->command_line, table);
    plan->pieces[plan->piece_count++] = (struct image_piece){
        "kernel_hashes", base, OVMF_HASH_TABLE_SIZE, table, OVMF_HASH_TABLE_SIZE, 0};
    return 0;
}

/* --- What is no flash image ------------------------------------------------------------------- */

#define VOLUME_GUID_AT      0x10u /* in the header of a firmware volume */
#define VOLUME_SIGNATURE_AT 0x28u
#define RESET_CODE          16u /* bytes at the end, where processors start */

/* The file system of a volume with UEFI's variables. */
static const u8 guid_variables[GUID_SIZE] = {0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c,
                                             0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50};

/* What is right in the place of a file of another kind; the names are those of base/recognise.c. */
static const struct {
    const char *name, *right;
} other_kinds[] = {
    {"an IGVM file", "the flash image inside it, such as OVMF.fd"},
    {"a disk image (qcow2)", "what `qemu-img convert -O raw` makes of it"},
    {"a Linux kernel (bzImage)", "a flash image; a kernel goes to --kernel"},
    {"a PE program", "a flash image; a kernel goes to --kernel"},
    {"a cpio archive", "a flash image; an initramfs goes to --initrd"},
    {"an EFI capsule", "the flash image that it updates"},
    {"a file that gzip has compressed", "the flash image inside it: decompress it first"},
    {"a file that xz has compressed", "the flash image inside it: decompress it first"},
    {"a file that zstd has compressed", "the flash image inside it: decompress it first"},
    {"a ZIP archive", "the flash image inside it: unpack it first"},
    {"a tar archive", "the flash image inside it: unpack it first"},
};

/* A flash image may hold anything, PEM in a TLS library too, so its own marks count first. */
static bool has_marks(const struct image_file *file)
{
    const u8 *f = file->data;
    return (file->size >= FOOTER_FROM_END &&
            !memcmp(f + file->size - FOOTER_FROM_END, guid_footer, GUID_SIZE)) ||
           (file->size >= VOLUME_SIGNATURE_AT + 4 && !memcmp(f + VOLUME_SIGNATURE_AT, "_FVH", 4));
}

static int check_kind(const struct image_file *file, struct error *error)
{
    const struct recognised kind = recognise(file->data, file->size);
    const char *right = "a flash image, such as OVMF.fd";
    if (!strcmp(kind.name, RECOGNISED_UNKNOWN))
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(other_kinds); i++)
        if (!strcmp(kind.name, other_kinds[i].name))
            right = other_kinds[i].right;
    return error_set(error, ERROR_FILE, "%s: %s; right is %s", file->name, kind.name, right);
}

/* A volume of variables is at the beginning. */
static bool has_variables(const struct image_file *file)
{
    return file->size >= VOLUME_GUID_AT + GUID_SIZE &&
           !memcmp((const u8 *)file->data + VOLUME_GUID_AT, guid_variables, GUID_SIZE);
}

int image_check_variables(const struct image_file *variables, const struct image_file *firmware,
                          struct error *error)
{
    if (!has_variables(variables) || variables->size % PAGE_SIZE)
        return error_set(error, ERROR_FILE,
                         "%s: not the variables of firmware; right is a copy of OVMF_VARS.fd",
                         variables->name);
    if (has_variables(firmware))
        return error_set(error, ERROR_FILE,
                         "%s has variables of its own inside, and uses no others; right is "
                         "OVMF_CODE.fd",
                         firmware->name);
    if ((variables->size + firmware->size) % MIB(1))
        return error_set(error, ERROR_FILE,
                         "%s (%zu bytes) and %s (%zu bytes) are no whole MiB together: they do not "
                         "come from one build",
                         firmware->name, firmware->size, variables->name, variables->size);
    return 0;
}

/* Refuses an image without code where processors start: variables alone, or blank flash. */
static int check_reset_code(const struct image_file *file, struct error *error)
{
    const u8 *f = file->data, *last = f + file->size - RESET_CODE;
    for (u32 i = 1; i < RESET_CODE; i++)
        if (last[i] != last[0])
            return 0;
    if (last[0] != 0 && last[0] != 0xff)
        return 0;
    if (has_variables(file))
        return error_set(error, ERROR_FILE,
                         "%s: the variables of firmware (OVMF_VARS) without its code; right is "
                         "OVMF.fd or OVMF_CODE.fd",
                         file->name);
    return error_set(error, ERROR_FILE,
                     "%s: its last %u bytes, where processors start, are all %02X: there is no "
                     "code; right is a flash image, such as OVMF.fd",
                     file->name, RESET_CODE, last[0]);
}

int ovmf_check(const struct image_file *file, u32 unit, struct error *error)
{
    if (!has_marks(file) && check_kind(file, error))
        return -1;
    if (!file->size || file->size % unit || file->size > MIB(64))
        return error_set(error, ERROR_FILE,
                         "%s: %zu bytes; a flash image has up to 64 MiB in multiples of %u",
                         file->name, file->size, unit);
    return check_reset_code(file, error);
}

int image_check_kernel(const struct image_file *kernel, struct error *error)
{
    return !kernel->data || kernel->size
               ? 0
               : error_set(error, ERROR_FILE,
                           "%s: is empty: firmware would find no kernel, and start something else",
                           kernel->name);
}

int image_check_started(const struct image_file *firmware, const struct image_file *kernel,
                        struct error *error)
{
    if (!firmware->data || !kernel->data)
        return 0;
    if (image_check_kernel(kernel, error))
        return -1;
    const bool efi = kernel->size >= 2 && !memcmp(kernel->data, "MZ", 2);
    if (efi || linux_recognise(kernel) || !has_marks(firmware))
        return 0;
    const struct recognised kind = recognise(kernel->data, kernel->size);
    return error_set(error, ERROR_FILE,
                     "%s: %s, which OVMF cannot start: it starts a bzImage or an EFI program, such "
                     "as a unified kernel image; an ELF file starts without --firmware",
                     kernel->name, kind.as == AS_UNKNOWN ? "unknown" : kind.name);
}

int ovmf_add_pieces(struct image_plan *plan, const struct image_description *d, struct error *error)
{
    const struct image_file *file = &d->firmware;
    plan->pieces[plan->piece_count++] =
        (struct image_piece){"flash", plan->flash_gpa, file->size, file->data, file->size, 0};
    return d->kernel_hashes ? ovmf_add_hashes(plan, d, error) : 0;
}
