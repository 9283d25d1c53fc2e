/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch plan: what an honest hypervisor launches, computed only from files and a machine
 * description. It is an ordered list of {address, bytes}, with the registers of the first
 * processor. The hypervisor launches the list; the owner hashes it to know which measurement to
 * expect. Pure: no I/O; the files are hostile.
 */
#ifndef SOFTSEV_IMAGE_IMAGE_H
#define SOFTSEV_IMAGE_IMAGE_H

#include "abi/vmcb.h"
#include "abi/vmsa.h"
#include "base/base.h"
#include "base/error.h"

struct image_file {
    const char *name; /* for messages */
    const void *data; /* NULL: none */
    size_t size;
};

/* How much of a guest is hidden from its host. Each mode includes the protection of the mode
 * before. */
enum image_mode {
    IMAGE_NONE,
    IMAGE_SEV, /* memory: page tables with the C-bit, space for the owner's secret if requested */
    IMAGE_SEV_ES,  /* also registers: each processor's are launched as a page */
    IMAGE_SEV_SNP, /* also integrity: pages have types, the firmware fills in some of them */
};

struct image_description {
    u64 memory_size; /* bytes of guest RAM, a multiple of 2 MiB */
    /* Bytes at the end of the RAM below 4 GiB that the board's firmware keeps for itself (a host's
     * RMP), a multiple of 4 KiB. The e820 map shows them as reserved. */
    u64 reserved_size;
    u32 cpus; /* virtual processors, 1 to IMAGE_CPUS_MAX; 0: one */
    enum image_mode mode;
    bool secret;              /* the owner will send a secret: leave space for it */
    struct image_file kernel; /* bzImage, ELF64, or an ELF32 with a multiboot 1 header */
    struct image_file initrd; /* bzImage: initramfs; multiboot: first module */
    const char *command_line; /* NULL: empty */
    struct image_file
        /* A flash image that ends at 4 GiB. It starts instead of the kernel, and gets the other
         * files by fw_cfg. */
        firmware;
    bool iommu; /* without firmware: the board has an IOMMU, which the ACPI tables describe */
    bool kernel_hashes; /* with firmware: the hashes of kernel, initrd, command line [sev 12.1] */
    u64 sev_features;   /* of SEV-ES and SNP guests, with the SNP bit as the mode says */
    u32 cpu_signature;  /* CPUID Fn0000_0001 EAX, which firmware starts with; 0: the default part's
                         */
};

/* Checks that firmware finds a kernel in a file: an empty one is none. 0 if there is no file. */
int image_check_kernel(const struct image_file *kernel, struct error *error);
/* Checks that a flash image can start a kernel that it gets by fw_cfg: OVMF, which is known by its
 * tables, starts EFI programs and bzImages. */
int image_check_started(const struct image_file *firmware, const struct image_file *kernel,
                        struct error *error);
/* Checks that a file is the variables of such firmware, and that this firmware can use them: they
 * stand below it in one flash of whole MiB. */
int image_check_variables(const struct image_file *variables, const struct image_file *firmware,
                          struct error *error);
/* "none", "sev", "sev-es", "sev-snp". */
const char *image_mode_name(enum image_mode mode);
/* Returns why no guest of this mode can have these SEV_FEATURES, or NULL if one can. */
const char *image_sev_features_wrong(u64 features, enum image_mode mode);

/* One launched range. Bytes after `data_size` are zeros. It is private memory under SEV, measured
 * in the order of the list. */
struct image_piece {
    const char *name; /* "kernel", "boot_params", ... */
    u64 gpa;          /* a multiple of 16; of 4 KiB, except for a hash table */
    u64 size;         /* bytes, a multiple of 16 */
    const u8 *data;   /* points into the description's files or to a buffer of the plan */
    u64 data_size;
    /* SNP: enum snp_page_type; 0: NORMAL. SECRETS and CPUID pages have no data. */
    u32 page_type;
};

#define IMAGE_PIECES_MAX 48
#define IMAGE_CPUS_MAX   8
#define IMAGE_VMSAS_MAX  IMAGE_CPUS_MAX

enum image_e820_type { IMAGE_E820_RAM = 1, IMAGE_E820_RESERVED = 2, IMAGE_E820_ACPI = 3 };

struct image_e820 {
    u64 start, size;
    u32 type;
};

/* An item that firmware, or a program without firmware, requests from its host by fw_cfg [cpu 9.4].
 * It is not measured, so nobody should rely on it. */
struct image_item {
    u16 key;          /* of fw_cfg; 0: the next free key, with the name in the directory */
    const char *name; /* NULL: none */
    const void *data;
    u64 size;
};

#define IMAGE_ITEMS_MAX   24
#define IMAGE_ITEM_KERNEL 0x11u /* the item's key */

struct image_plan {
    u64 memory_size;
    u64 reserved_size;
    u32 cpus; /* 0: not known, the hypervisor's configuration decides */
    bool iommu;
    enum image_mode mode;
    u64 sev_features;                            /* of every VMSA */
    struct image_piece pieces[IMAGE_PIECES_MAX]; /* in launch order */
    u32 piece_count;
    struct image_e820 e820[8];
    u32 e820_count;
    struct vmcb_save registers;  /* including RAX and RSP */
    u64 gpr[16];                 /* registers that VMRUN does not switch; order as in host_gpr */
    u64 secret_gpa, secret_size; /* space for the owner's secret; size 0: none */
    u64 flash_gpa, flash_size;   /* a firmware image is not in RAM */
    struct image_item items[IMAGE_ITEMS_MAX];
    u32 item_count;
    bool runnable;             /* false: only launched; no processor can run it */
    struct plan_buffer *owned; /* buffers that the plan allocated for pieces: a list */
    /* SEV-ES and SNP: one page per processor, launched after the pieces and measured with them. */
    const struct vmsa *vmsas[IMAGE_CPUS_MAX];
    u32 vmsa_count;
    /* SEV-ES with several processors and no firmware: all but the first start in a stub. The stub
     * holds them until STARTUP, then jumps to the address in this page, which the guest fills
     * in. 0: no such page [cpu 9.3]. */
    u64 jump_table_gpa;
};

/* The largest secret: one LAUNCH_SECRET [sev 5.4]. */
#define IMAGE_SECRET_MAX KIB(16)

/* Returns NULL and an error if a file is malformed or memory is too small for it. The description's
 * files must stay until the plan is freed. */
struct image_plan *image_build(const struct image_description *d, struct error *error);
void image_free(struct image_plan *plan);

/* Computes the launch digest: SHA-256 of the pieces in order, then of the VMSAs [sev 7.5, 10].
 * Returns -1 if there is no memory. */
int image_digest(const struct image_plan *plan, u8 digest[32], struct error *error);
/* Computes the launch digest of an SNP plan: SHA-384 over one record per page, first of the pieces
 * in order, then of the VMSAs [snp 5.3]. */
void image_snp_digest(const struct image_plan *plan, u8 digest[48]);
/* Writes every launched byte in launch order. Stops and returns false if `write` returns false. */
bool image_dump(const struct image_plan *plan,
                bool (*write)(void *context, const void *data, size_t size), void *context);

/* Writes the owner's secret in the form in which the guest gets it: an uncompressed newc archive
 * with one directory and one file, /secret/secret, zero-padded to a multiple of 16 [cpu 9.3].
 * Returns the archive's size, or 0 if it is larger than `size`. */
size_t image_secret_archive(const void *secret, size_t secret_size, u8 *out, size_t size);
/* Writes the owner's secret in the form in which firmware gets it: OVMF's table of secrets with one
 * entry [sev 12.2]. `guid` is the entry's, as stored. Returns the table's size, or 0 if it is
 * larger than `size`. */
size_t image_secret_table(const u8 guid[16], const void *secret, size_t secret_size, u8 *out,
                          size_t size);

#endif
