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
#define LAYOUT_INFO        0xa000u /* multiboot information */
#define LAYOUT_SETUP_DATA  0xb000u /* SNP: the node that points to the CC blob */
#define LAYOUT_STACK_END   0x20000u
#define LAYOUT_STUB        0x9e000u /* only for parked processors: see start_parking */
#define LAYOUT_JUMP_TABLE  0x9f000u
#define LAYOUT_LOW_END     0xa0000u
#define LAYOUT_ROM         0xc0000u
#define LAYOUT_ROM_END     0x100000u

/* --- plan.c ----------------------------------------------------------------------------------- */

u64 plan_low_end(const struct image_plan *plan); /* end of RAM below the PCI window */
/* Returns a zeroed buffer that lives as long as the plan; NULL and an error if there is no
 * memory. */
u8 *plan_own(struct image_plan *plan, size_t size, struct error *error);
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
int start_32bit(struct image_plan *plan, u64 eip, struct error *error);
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
bool elf_recognise(const struct image_file *file);
int elf_plan(struct image_plan *plan, const struct image_description *d, struct error *error);
int firmware_plan(struct image_plan *plan, const struct image_description *d, struct error *error);

/* --- ovmf.c: the tables of a flash image ------------------------------------------------------ */

#define OVMF_HASH_TABLE_SIZE 176u
#define OVMF_SECTION_SIZE    12u
#define OVMF_NO_HASH_AREA    "%s: has no place for kernel hashes; an AmdSev build of OVMF has one"
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

int ovmf_check(const struct image_file *file, u32 unit, struct error *error); /* checks its size */
void ovmf_hash_table(const struct image_file *kernel, const struct image_file *initrd,
                     const char *command_line, u8 out[OVMF_HASH_TABLE_SIZE]);
bool ovmf_hash_area(const struct image_file *file, u64 *gpa);    /* false: the image has none */
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
