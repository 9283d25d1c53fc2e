/* SPDX-License-Identifier: Apache-2.0 */
/* Shared declarations of the image room's files: the plan's builders, and one function for each
 * kind of file. */
#ifndef SOFTSEV_IMAGE_INTERNAL_H
#define SOFTSEV_IMAGE_INTERNAL_H

#include "base/bytes.h"
#include "board/acpi.h"
#include "board/map.h"
#include "image/image.h"

/* Low memory of a guest that starts without firmware. All of it is below 640 KiB; the rest stays
 * RAM. */
#define LAYOUT_ZERO_PAGE   0x0000u
#define LAYOUT_GDT         0x1000u
#define LAYOUT_PAGE_TABLES 0x2000u /* six pages: 4 GiB in 2 MiB steps */
#define LAYOUT_BOOT_PARAMS 0x8000u
#define LAYOUT_COMMAND     0x9000u
#define LAYOUT_INFO        0xa000u /* multiboot information, or PVH's start information */
#define LAYOUT_SETUP_DATA  0xb000u /* SNP: the node that points to the CC blob */
#define LAYOUT_STACK_END   0x20000u
#define LAYOUT_STACK_SIZE  0x4000u
/* An image that needs the first 128 KiB starts in 32-bit mode: it has no page tables, and the
 * loader's other pages move up by this much, the stack to where the page tables would end. */
#define LAYOUT_MOVED      0x90000u
#define LAYOUT_STUB       0x9e000u /* only for parked processors: see start_parking */
#define LAYOUT_JUMP_TABLE 0x9f000u
#define LAYOUT_LOW_END    0xa0000u
#define LAYOUT_ROM        0xc0000u
#define LAYOUT_RSDP       0xe0000u /* from here on software looks for an RSDP [ACPI 5.2.5.1] */
#define LAYOUT_ROM_END    0x100000u

/* --- plan.c ----------------------------------------------------------------------------------- */

/* The end of the RAM below the PCI window, as far as software may use it. */
u64 plan_low_end(const struct image_plan *plan);
/* Returns a zeroed buffer that lives as long as the plan; NULL and an error if there is no
 * memory. */
u8 *plan_own(struct image_plan *plan, size_t size, struct error *error);
/* Says that something reaches up to `end`, beyond the RAM below the PCI window. Returns -1. */
int plan_too_small(const struct image_plan *plan, const char *name, u64 end, struct error *error);
/* Adds a piece. `size` is rounded up to whole pages. Returns -1 if it does not fit in RAM or
 * overlaps another piece. */
int plan_add(struct image_plan *plan, const char *name, u64 gpa, u64 size, const void *data,
             u64 data_size, struct error *error);
void plan_e820(struct image_plan *plan, u64 start, u64 end, enum image_e820_type type);
/* Fills the e820 map. RAM is below 640 KiB, from 1 MiB up, and above 4 GiB. The last pages [acpi,
 * low end) are ACPI tables; under SNP the pages from snp_area up to these are reserved. */
void plan_e820_board(struct image_plan *plan, u64 acpi);

/* --- start.c: registers and tables of the first instruction ----------------------------------- */

/* Adds the GDT page and identity page tables of the first 4 GiB as pieces, and sets the registers
 * for a 64-bit start. */
int start_64bit(struct image_plan *plan, u64 rip, struct error *error);
/* Adds the GDT as a piece, and sets the registers for 32-bit protected mode without paging. */
int start_32bit(struct image_plan *plan, u64 gdt, u64 eip, u64 esp, struct error *error);
/* Converts these registers to a VMSA. `gpr` is in the order of the encodings, without RAX and
 * RSP. */
void start_fill_vmsa(const struct vmcb_save *r, const u64 gpr[16], struct vmsa *out);
/* Makes the VMSAs of all processors. The first one's comes from the plan's registers, which must be
 * complete. */
int start_vmsas(struct image_plan *plan, struct error *error);
/* SEV-ES with several processors: adds the stub that holds all but the first processor, and after
 * it the page for the jump table, as pieces [cpu 9.3]. Does nothing for other guests. */
int start_parking(struct image_plan *plan, struct error *error);

/* --- One function for each kind of file ------------------------------------------------------- */

bool linux_recognise(const struct image_file *file);
/* Returns the number of bytes before the part that goes to the kernel's address. Returns 0 for a
 * file of another kind, or one that has no more than those bytes. */
u64 linux_setup_size(const struct image_file *file);
int linux_plan(struct image_plan *plan, const struct image_description *d, struct error *error);
/* The memory of an ELF file: its segments at their physical addresses, with zeros between them. */
struct elf_image {
    u64 entry, low, high; /* low is a page's start */
    u8 *bytes;            /* high - low; a buffer of the plan */
};
/* Plans an uncompressed Linux (vmlinux) for the 64-bit boot protocol. */
int linux_plan_elf(struct image_plan *plan, const struct image_description *d,
                   const struct elf_image *image, struct error *error);
bool elf_recognise(const struct image_file *file);
int elf_plan(struct image_plan *plan, const struct image_description *d, struct error *error);

/* --- start_info.c: what a 32-bit image learns from its loader --------------------------------- */

/* How an ELF file is started. */
enum start_protocol {
    START_BARE,      /* 64-bit, identity mapped; nothing is passed but SNP's CC blob */
    START_LINUX,     /* Linux's 64-bit boot protocol */
    START_MULTIBOOT, /* 32-bit, Multiboot 1 */
    START_PVH,       /* 32-bit, the start information of Xen's PVH guests */
};

/* Addresses that an image gets in its boot parameters. */
struct start_places {
    u64 info, command_line, rsdp;
    u64 module, module_size; /* size 0: no module */
};

/* Adds the information of Multiboot or PVH as a piece, and sets the registers that lead to it. */
int start_info_add(struct image_plan *plan, enum start_protocol protocol,
                   const struct start_places *places, struct error *error);
int firmware_plan(struct image_plan *plan, const struct image_description *d, struct error *error);
/* Adds the items of fw_cfg that tell of processors and RAM. */
int items_add_machine(struct image_plan *plan, struct error *error);

/* --- ovmf.c: the tables of a flash image ------------------------------------------------------ */

#define OVMF_HASH_TABLE_SIZE 176u
#define OVMF_SECTION_SIZE    12u
#define OVMF_SECTIONS_MAX    32u /* of metadata; a plan holds as many */
#define OVMF_NO_RESET_BLOCK                                                                        \
    "%s: has no reset block, which says where processors but the first begin"

/* SEV and SEV-ES: adds the image, and the table of hashes if requested, as pieces. */
int ovmf_add_pieces(struct image_plan *plan, const struct image_description *d,
                    struct error *error);
/* SNP: adds the pieces and VMSAs of a flash image; see launch_list.c. */
struct measure_description;
int launch_fill(struct image_plan *plan, const struct measure_description *d, struct error *error);

enum ovmf_section_type {
    OVMF_SEC_MEMORY = 1,
    OVMF_SECRETS = 2,
    OVMF_CPUID = 3,
    OVMF_SVSM_CAA = 4,
    OVMF_KERNEL_HASHES = 0x10,
};

/* Refuses a disk image in the place of an initramfs. */
int image_check_initrd(const struct image_file *file, struct error *error);
int ovmf_check(const struct image_file *file, u32 unit,
               struct error *error); /* checks what it is */
void ovmf_hash_table(const struct image_file *kernel, const struct image_file *initrd,
                     const char *command_line, u8 out[OVMF_HASH_TABLE_SIZE]);
/* Finds the area that the image sets aside for the owner's secret, for the plan. It is not
 * launched: LAUNCH_SECRET fills it. */
int ovmf_add_secret_area(struct image_plan *plan, const struct image_file *file,
                         struct error *error);
/* Finds the place of the table of kernel hashes, which is in memory below the image. */
int ovmf_hash_area(const struct image_file *file, u64 *gpa, struct error *error);
bool ovmf_reset_vector(const struct image_file *file, u32 *eip); /* false: the image has none */
/* Finds the sections of SNP's metadata: `count` times {u32 gpa, size, type}. */
int ovmf_metadata(const struct image_file *file, struct reader *sections, u32 *count,
                  struct error *error);

/* --- snp.c: what only an SNP guest has -------------------------------------------------------- */

/* secrets, CPUID, CC blob; directly before the ACPI tables */
#define SNP_AREA_SIZE (3 * PAGE_SIZE)

/* Returns the address of these pages, if the plan's ACPI tables are at `acpi`. The CC blob is the
 * last page. */
u64 snp_area(u64 acpi);
u64 snp_blob(u64 acpi);
/* Adds the secrets page, the CPUID page and the CC blob. */
int snp_add_area(struct image_plan *plan, u64 acpi, struct error *error);
/* Linux: adds the setup_data node by which a kernel finds the CC blob. */
int snp_add_setup_data(struct image_plan *plan, u64 acpi, struct error *error);
/* Adds all RAM that no piece covers, as zeros: nothing in such a guest validates its own memory
 * [cpu 9.5]. */
int snp_add_ram(struct image_plan *plan, struct error *error);

#endif
