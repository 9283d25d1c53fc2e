/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that starts in firmware: a flash image that ends at 4 GiB, launched as public hypervisors
 * launch it; the registers of the processors after reset; and the items that firmware requests from
 * its host by fw_cfg [cpu 9.4].
 */
#include "abi/x86.h"
#include "image/internal.h"
#include "image/measure.h"

#define BSP_EIP 0xfffffff0u

/* Keys of fw_cfg [QEMU docs/specs/fw_cfg]. */
enum item_key {
    ITEM_FILE = 0,
    ITEM_RAM_SIZE = 0x03,
    ITEM_CPUS = 0x05,
    ITEM_KERNEL_SIZE = 0x08,
    ITEM_INITRD_SIZE = 0x0b,
    ITEM_MAX_CPUS = 0x0f,
    ITEM_KERNEL = IMAGE_ITEM_KERNEL,
    ITEM_INITRD = 0x12,
    ITEM_COMMAND_SIZE = 0x14,
    ITEM_COMMAND = 0x15,
    ITEM_SETUP_SIZE = 0x17,
    ITEM_SETUP = 0x18,
};

/* --- Items ------------------------------------------------------------------------------------ */

static int add_item(struct image_plan *plan, u16 key, const char *name, const void *data, u64 size,
                    struct error *error)
{
    if (plan->item_count == IMAGE_ITEMS_MAX)
        return error_set(error, ERROR_INTERNAL, "image: more than %u items", IMAGE_ITEMS_MAX);
    plan->items[plan->item_count++] = (struct image_item){key, name, data, size};
    return 0;
}

static int add_number(struct image_plan *plan, enum item_key key, u64 value, u32 size,
                      struct error *error)
{
    u8 *bytes = plan_own(plan, sizeof value, error);
    if (!bytes)
        return -1;
    store_le64(bytes, value);
    return add_item(plan, (u16)key, NULL, bytes, size, error);
}

static int add_blob(struct image_plan *plan, enum item_key size_key, enum item_key key,
                    const void *data, u64 size, struct error *error)
{
    if (size > UINT32_MAX)
        return error_set(error, ERROR_FILE, "image: a file of 4 GiB or more for fw_cfg");
    return add_number(plan, size_key, size, 4, error) ||
                   add_item(plan, (u16)key, NULL, data, size, error)
               ? -1
               : 0;
}

/* Adds the kernel as two items, the kernel and its setup part. Firmware joins them again, and
 * starts any EFI program. */
static int add_kernel(struct image_plan *plan, const struct image_description *d,
                      struct error *error)
{
    const char *command = d->command_line ? d->command_line : "";
    const u8 *file = d->kernel.data;
    if (!file && (d->initrd.data || *command))
        return error_set(error, ERROR_USAGE,
                         "initramfs and command line are for a kernel: give one with --kernel");
    if (!file)
        return 0;
    u64 setup = linux_setup_size(&d->kernel);
    return add_blob(plan, ITEM_SETUP_SIZE, ITEM_SETUP, file, setup, error) ||
                   add_blob(plan, ITEM_KERNEL_SIZE, ITEM_KERNEL, file + setup,
                            d->kernel.size - setup, error) ||
                   add_blob(plan, ITEM_COMMAND_SIZE, ITEM_COMMAND, command, strlen(command) + 1,
                            error) ||
                   (d->initrd.data && add_blob(plan, ITEM_INITRD_SIZE, ITEM_INITRD, d->initrd.data,
                                               d->initrd.size, error))
               ? -1
               : 0;
}

/* --- RAM -------------------------------------------------------------------------------------- */

#define E820_ENTRY 20u

static int add_e820(struct image_plan *plan, struct error *error)
{
    u64 high = plan->memory_size - plan->reserved_size - plan_low_end(plan);
    u8 *table = plan_own(plan, 2 * E820_ENTRY, error);
    if (!table)
        return -1;
    plan_e820(plan, 0, plan_low_end(plan), IMAGE_E820_RAM);
    plan_e820(plan, BOARD_HIGH_RAM, BOARD_HIGH_RAM + high, IMAGE_E820_RAM);
    struct writer w = writer_of(table, 2 * E820_ENTRY);
    for (u32 i = 0; i < plan->e820_count; i++) {
        write_u64(&w, plan->e820[i].start);
        write_u64(&w, plan->e820[i].size);
        write_u32(&w, plan->e820[i].type);
    }
    return add_item(plan, ITEM_FILE, "etc/e820", table, w.at, error);
}

/* --- ACPI: the tables, and a script that tells firmware how to place them --------------------- */

#define TABLES_FILE  "etc/acpi/tables"
#define RSDP_FILE    "etc/acpi/rsdp"
#define COMMAND_SIZE 128u
#define FILE_SIZE    56u
#define LOADER_MAX   16u
#define ZONE_HIGH    1u
#define ZONE_F       2u /* the last 64 KiB below 1 MiB, where software looks for an RSDP */

enum loader_command { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };

struct loader {
    struct writer script;
    u8 *tables, *rsdp;
};

static void loader_file(struct writer *w, const char *name)
{
    write_bytes(w, name, strlen(name));
    write_zeros(w, FILE_SIZE - strlen(name));
}

static size_t loader_begin(struct writer *w, enum loader_command command, const char *file)
{
    size_t at = w->at;
    write_u32(w, command);
    loader_file(w, file);
    return at;
}

static void loader_end(struct writer *w, size_t begin)
{
    write_zeros(w, begin + COMMAND_SIZE - w->at);
}

static void loader_allocate(struct loader *l, const char *file, u32 alignment, u8 zone)
{
    size_t at = loader_begin(&l->script, LOADER_ALLOCATE, file);
    write_u32(&l->script, alignment);
    write_u8(&l->script, zone);
    loader_end(&l->script, at);
}

/* Adds a pointer: the value there is an offset into the tables, and becomes an address. */
static void loader_pointer(struct loader *l, const char *file, size_t offset, u8 size)
{
    size_t at = loader_begin(&l->script, LOADER_ADD_POINTER, file);
    loader_file(&l->script, TABLES_FILE);
    write_u32(&l->script, (u32)offset);
    write_u8(&l->script, size);
    loader_end(&l->script, at);
}

/* Adds a checksum. The sum includes the byte that will hold it, so that byte must be zero first. */
static void loader_checksum(struct loader *l, const char *file, u8 *bytes, size_t at, size_t start,
                            size_t size)
{
    size_t begin = loader_begin(&l->script, LOADER_ADD_CHECKSUM, file);
    bytes[at] = 0;
    write_u32(&l->script, (u32)at);
    write_u32(&l->script, (u32)start);
    write_u32(&l->script, (u32)size);
    loader_end(&l->script, begin);
}

static void loader_table_checksum(struct loader *l, size_t table)
{
    loader_checksum(l, TABLES_FILE, l->tables, table + 9, table, load_le32(l->tables + table + 4));
}

static void loader_write(struct loader *l, const struct acpi_places *p)
{
    loader_allocate(l, RSDP_FILE, 16, ZONE_F);
    loader_allocate(l, TABLES_FILE, 64, ZONE_HIGH);
    loader_pointer(l, RSDP_FILE, 24, 8);             /* XSDT */
    loader_pointer(l, TABLES_FILE, p->xsdt + 36, 8); /* FADT, MADT */
    loader_pointer(l, TABLES_FILE, p->xsdt + 44, 8);
    loader_pointer(l, TABLES_FILE, p->fadt + 36, 4); /* FACS, DSDT */
    loader_pointer(l, TABLES_FILE, p->fadt + 40, 4);
    loader_pointer(l, TABLES_FILE, p->fadt + 140, 8);
    loader_table_checksum(l, p->fadt);
    loader_table_checksum(l, p->xsdt);
    loader_checksum(l, RSDP_FILE, l->rsdp, 8, 0, 20);
    loader_checksum(l, RSDP_FILE, l->rsdp, 32, 0, ACPI_RSDP_SIZE);
}

static int add_acpi(struct image_plan *plan, struct error *error)
{
    const size_t script_size = LOADER_MAX * COMMAND_SIZE;
    u8 *tables = plan_own(plan, ACPI_SIZE_MAX, error), *rsdp, *script;
    if (!tables || !(rsdp = plan_own(plan, ACPI_RSDP_SIZE, error)) ||
        !(script = plan_own(plan, script_size, error)))
        return -1;
    struct acpi_places places = {.low_ram = plan_low_end(plan)};
    size_t size = acpi_build(tables, ACPI_SIZE_MAX, 0, plan->cpus, false, &places);
    if (!size)
        return error_set(error, ERROR_INTERNAL, "image: ACPI tables do not fit their area");
    memcpy(rsdp, tables, ACPI_RSDP_SIZE);
    memset(tables, 0, ACPI_RSDP_SIZE);
    struct loader l = {writer_of(script, script_size), tables, rsdp};
    loader_write(&l, &places);
    return add_item(plan, ITEM_FILE, RSDP_FILE, rsdp, ACPI_RSDP_SIZE, error) ||
                   add_item(plan, ITEM_FILE, TABLES_FILE, tables, size, error) ||
                   add_item(plan, ITEM_FILE, "etc/table-loader", script, l.script.at, error)
               ? -1
               : 0;
}

int items_add_machine(struct image_plan *plan, struct error *error)
{
    return add_number(plan, ITEM_CPUS, plan->cpus, 2, error) ||
                   add_number(plan, ITEM_MAX_CPUS, plan->cpus, 2, error) ||
                   add_number(plan, ITEM_RAM_SIZE, plan->memory_size - plan->reserved_size, 8,
                              error)
               ? -1
               : 0;
}

static int add_items(struct image_plan *plan, const struct image_description *d,
                     struct error *error)
{
    return items_add_machine(plan, error) || add_e820(plan, error) || add_acpi(plan, error) ||
                   add_kernel(plan, d, error)
               ? -1
               : 0;
}

/* --- Registers after reset -------------------------------------------------------------------- */

static u32 signature_of(const struct image_description *d)
{
    return d->cpu_signature ? d->cpu_signature : BOARD_CPU_SIGNATURE;
}

/* Sets the registers after reset [APM2 14.1.3]. The VMSA of KVM and QEMU, which is measured,
 * differs in CR0 and CR4: there the kernel starts with its own values. */
static void reset_registers(struct image_plan *plan, const struct image_description *d)
{
    struct vmsa v;
    measure_vmsa(MEASURE_VMM_QEMU, BSP_EIP, signature_of(d), 0, &v);
    plan->registers = (struct vmcb_save){
        .es = v.es,
        .cs = v.cs,
        .ss = v.ss,
        .ds = v.ds,
        .fs = v.fs,
        .gs = v.gs,
        .gdtr = v.gdtr,
        .ldtr = v.ldtr,
        .idtr = v.idtr,
        .tr = v.tr,
        .efer = v.efer,
        .cr4 = 0,
        .cr0 = CR0_CD | CR0_NW | CR0_ET,
        .dr7 = v.dr7,
        .dr6 = v.dr6,
        .rflags = v.rflags,
        .rip = v.rip,
        .g_pat = v.g_pat,
    };
    plan->gpr[2] = v.rdx;
}

/* SEV-ES: adds the VMSAs. The first processor starts at the reset vector, the others where the
 * image's reset block says. */
static int add_vmsas(struct image_plan *plan, const struct image_description *d,
                     struct error *error)
{
    u32 eip = BSP_EIP;
    struct vmsa *vmsas = (struct vmsa *)(void *)plan_own(plan, plan->cpus * sizeof *vmsas, error);
    if (!vmsas)
        return -1;
    for (u32 i = 0; i < plan->cpus; i++) {
        if (i && !ovmf_reset_vector(&d->firmware, &eip))
            return error_set(error, ERROR_FILE, OVMF_NO_RESET_BLOCK, d->firmware.name);
        measure_vmsa(MEASURE_VMM_QEMU, eip, signature_of(d), plan->sev_features, &vmsas[i]);
        plan->vmsas[plan->vmsa_count++] = &vmsas[i];
    }
    return 0;
}

/* --- The plan --------------------------------------------------------------------------------- */

static int add_snp(struct image_plan *plan, const struct image_description *d, struct error *error)
{
    const struct measure_description launch = {
        .mode = MEASURE_SNP,
        .firmware = d->firmware,
        .kernel_hashes = d->kernel_hashes,
        .kernel = d->kernel,
        .initrd = d->initrd,
        .command_line = d->command_line,
        .vcpus = plan->cpus,
        .signature = signature_of(d),
        .vmm = MEASURE_VMM_QEMU,
        .features = plan->sev_features,
    };
    return launch_fill(plan, &launch, error);
}

int firmware_plan(struct image_plan *plan, const struct image_description *d, struct error *error)
{
    bool snp = plan->mode == IMAGE_SEV_SNP;
    if (ovmf_check(&d->firmware, snp ? PAGE_SIZE : 16, error))
        return -1;
    if (d->kernel_hashes && !d->kernel.data)
        return error_set(error, ERROR_USAGE, "kernel hashes need a kernel (--kernel)");
    if (d->secret && ovmf_add_secret_area(plan, &d->firmware, error))
        return -1;
    if (plan->sev_features & SEV_FEATURE_VTOM)
        return error_set(error, ERROR_USAGE,
                         "vtom is for a kernel that is launched directly: the page tables of "
                         "firmware have C-bits, which vTOM reserves");
    plan->flash_size = d->firmware.size;
    plan->flash_gpa = GIB(4) - d->firmware.size;
    reset_registers(plan, d);
    if (snp ? add_snp(plan, d, error) : ovmf_add_pieces(plan, d, error))
        return -1;
    if (plan->mode == IMAGE_SEV_ES && add_vmsas(plan, d, error))
        return -1;
    return add_items(plan, d, error);
}
