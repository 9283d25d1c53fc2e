/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A launch description (JSON): what `--guest FILE` launches as an SNP guest, with no processor to
 * run it. `{}` is one: a page of our own that halts.
 */
#ifndef SOFTSEV_CLI_GUEST_FILE_H
#define SOFTSEV_CLI_GUEST_FILE_H

#include "abi/snp.h"
#include "cli/input.h"
#include "cli/options.h"
#include "image/measure.h"

struct json_t; /* jansson's */

struct guest_file {
    struct json_t *json;  /* the description; it has the texts */
    struct options given; /* its members */
    const char *firmware, *kernel, *initrd, *append, *id_block_path, *id_auth_path; /* NULL: none */
    bool kernel_hashes, author_key, no_certificates;
    bool has_id_block, has_host_data, has_memory;
    u64 memory; /* bytes; unless has_memory it is what the image needs */
    u32 vcpus, signature;
    enum measure_vmm vmm;
    u64 features, policy;
    u8 host_data[32];
    u32 vmpl, vmpck;
    /* Contents, once guest_file_load() has read them. */
    struct cli_file firmware_file, kernel_file, initrd_file;
    struct snp_id_block id_block;
    struct snp_id_auth id_auth;
    u8 payload[PAGE_SIZE]; /* the image where none is named */
};

#define GUEST_FILE_MAX KIB(64) /* bytes of a description */

/* Parses the text of a description; `name` is for messages. Opens no file. Returns -1 and an error
 * that names the member and says what would be right. Call guest_file_free() in either case. */
int guest_file_parse(const char *name, const char *text, size_t size, struct guest_file *out,
                     struct error *e);
/* Reads a description and the files that it names (relative to the working folder, as a machine
 * file's). */
int guest_file_load(const char *path, struct guest_file *out, struct error *e);
void guest_file_free(struct guest_file *g);

/* Makes the plan of the launch from a description that was loaded. It is valid as long as `g`.
 * Returns NULL and an error if the files do not fit. */
struct image_plan *guest_file_plan(const struct guest_file *g, struct error *e);

/* Returns how many bytes of DRAM a machine needs for a guest of this plan, in addition to its
 * own. */
u64 guest_file_machine_memory(const struct image_plan *plan);

/* Writes the image for a description that names none: a flash image of one page with OVMF's tables,
 * which asks for a secrets and a CPUID page and halts [snp 5.7]. */
void guest_file_payload(u8 out[PAGE_SIZE]);

#endif
