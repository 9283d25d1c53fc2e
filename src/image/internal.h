/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the image room share: the plan's builders and one function a kind of file. */
#ifndef SOFTSEV_IMAGE_INTERNAL_H
#define SOFTSEV_IMAGE_INTERNAL_H

#include "base/bytes.h"
#include "board/acpi.h"
#include "board/map.h"
#include "image/image.h"

/* Low memory of a guest that we load ourselves; all of it below 640 KiB, the rest stays RAM. */
#define LAYOUT_ZERO_PAGE   0x0000u
#define LAYOUT_GDT         0x1000u
#define LAYOUT_PAGE_TABLES 0x2000u /* six pages: 4 GiB in 2 MiB steps */
#define LAYOUT_BOOT_PARAMS 0x8000u
#define LAYOUT_COMMAND     0x9000u
#define LAYOUT_INFO        0xa000u /* multiboot information */
#define LAYOUT_SETUP_DATA  0xb000u /* SNP: the node that points at the CC blob */
#define LAYOUT_STACK_END   0x20000u
#define LAYOUT_STUB        0x9e000u /* only where processors need it: see start_parking */
#define LAYOUT_JUMP_TABLE  0x9f000u
#define LAYOUT_LOW_END     0xa0000u
#define LAYOUT_ROM         0xc0000u
#define LAYOUT_ROM_END     0x100000u

/* --- plan.c ----------------------------------------------------------------------------------- */

u64 plan_low_end(const struct image_plan *plan); /* end of RAM below the PCI window */
/* A zeroed buffer that lives as long as the plan; NULL (and an error) if there is none. */
u8 *plan_own(struct image_plan *plan, size_t size, struct error *error);
/* `size` is rounded up to whole pages; -1: does not fit RAM or overlaps a piece. */
int plan_add(struct image_plan *plan, const char *name, u64 gpa, u64 size, const void *data,
             u64 data_size, struct error *error);
void plan_e820(struct image_plan *plan, u64 start, u64 end, enum image_e820_type type);
/* RAM below 640 KiB and from 1 MiB up, the last pages [acpi, low end) as ACPI tables, and under SNP
 * those of snp_gpa before them reserved; the rest above 4 GiB. */
void plan_e820_board(struct image_plan *plan, u64 acpi);

/* --- start.c: registers and tables of the first instruction ----------------------------------- */

/* GDT page and identity page tables of the first 4 GiB, as pieces, and registers of a 64-bit
 * start. */
int start_64bit(struct image_plan *plan, u64 rip, struct error *error);
/* The GDT as a piece, and registers of 32-bit protected mode without paging. */
int start_32bit(struct image_plan *plan, u64 eip, struct error *error);
/* Those registers in the form of a VMSA; `gpr` in the order of the encodings, without RAX and
 * RSP. */
void start_fill_vmsa(const struct vmcb_save *r, const u64 gpr[16], struct vmsa *out);
/* The VMSAs of all processors; that of the first is from the plan's registers, which are
 * complete. */
int start_vmsas(struct image_plan *plan, struct error *error);
/* SEV-ES with several processors: the stub that holds all but the first one, and the page for the
 * jump table behind it, as pieces [cpu 9.3]. Nothing for other guests. */
int start_parking(struct image_plan *plan, struct error *error);

/* --- one function a kind of file -------------------------------------------------------------- */

bool linux_recognise(const struct image_file *file);
/* Bytes before the part that goes to the kernel's address; 0: not such a file, or no more than
 * that. */
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

/* SEV and SEV-ES: the image, and the table of hashes if it is wanted, as pieces. */
int ovmf_add_pieces(struct image_plan *plan, const struct image_description *d,
                    struct error *error);
/* SNP: pieces and VMSAs of a flash image, as launch_list.c has them. */
struct measure_description;
int launch_fill(struct image_plan *plan, const struct measure_description *d, struct error *error);

enum ovmf_section_type {
    OVMF_SEC_MEMORY = 1,
    OVMF_SECRETS = 2,
    OVMF_CPUID = 3,
    OVMF_SVSM_CAA = 4,
    OVMF_KERNEL_HASHES = 0x10,
};

int ovmf_check(const struct image_file *file, u32 unit, struct error *error); /* its size */
void ovmf_hash_table(const struct image_file *kernel, const struct image_file *initrd,
                     const char *command_line, u8 out[OVMF_HASH_TABLE_SIZE]);
bool ovmf_hash_area(const struct image_file *file, u64 *gpa);    /* false: it has none */
bool ovmf_reset_vector(const struct image_file *file, u32 *eip); /* false: it has none */
/* Sections of SNP's metadata: `count` times {u32 gpa, size, type}. */
int ovmf_metadata(const struct image_file *file, struct reader *sections, u32 *count,
                  struct error *error);

/* --- snp.c: what an SNP guest has besides ----------------------------------------------------- */

/* secrets, CPUID, CC blob; right before the ACPI tables */
#define SNP_AREA_SIZE (3 * PAGE_SIZE)

/* Where they are, for a plan whose ACPI tables are at `acpi`. The CC blob is the last page. */
u64 snp_area(u64 acpi);
u64 snp_blob(u64 acpi);
/* Secrets page, CPUID page, CC blob. */
int snp_add_area(struct image_plan *plan, u64 acpi, struct error *error);
/* Linux: the setup_data node by which a kernel finds the CC blob. */
int snp_add_setup_data(struct image_plan *plan, u64 acpi, struct error *error);
/* All RAM that no piece covers, launched as zeros: nothing in such a guest validates its own
 * [cpu 9.5]. */
int snp_add_ram(struct image_plan *plan, struct error *error);

#endif
