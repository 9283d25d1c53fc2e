/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev platform` share: a platform that is powered on for one action. */
#ifndef SOFTSEV_CLI_PLATFORM_H
#define SOFTSEV_CLI_PLATFORM_H

#include "cli/cli.h"
#include "cli/state.h"

/* Where the mailbox's buffers are in the small memory of a platform without guests. */
#define PLATFORM_MEMORY KIB(64)
#define AT_COMMAND      0x0000u
#define AT_FIRST        0x1000u /* PDH, PEK, chip id; an owner's certificate */
#define AT_SECOND       0x2000u /* PEK, OCA, CEK; an OCA; a session */
#define AT_DATA         0x8000u /* what is launched, a piece at a time */
#define DATA_MAX        KIB(32)

struct platform {
    /* options */
    const char *directory, *seed, *out, *pek, *oca, *launch, *session;
    const char *profile_name, *tcb, *vlek, *kds_url;
    char default_directory[400];
    u32 policy; /* of what is measured */
    bool json;
    /* the machine */
    struct cli_state *state;
    struct crypto *crypto;
    const struct firmware_profile *profile;
    struct memory *memory;
    struct firmware *firmware;
    struct cli_identity identity;
};

/* One command: the buffer goes to memory and comes back. */
int platform_command(struct platform *p, u32 id, void *buffer, size_t size, struct error *e);
int platform_start(struct platform *p, struct error *e); /* INIT */

int platform_write_file(const char *folder, const char *name, const void *data, size_t size,
                        struct error *e);
int platform_write_path(const char *path, const void *data, size_t size, struct error *e);
int platform_make_folder(const char *path, struct error *e);
/* The chain of certificates of SEV into a folder, as `export` does. */
int platform_write_chain(struct platform *p, const char *folder, struct error *e);

/* `certs`: what verifiers of SNP reports and of legacy chains read. */
int platform_certs(struct platform *p, struct error *e);
/* `measure`: launches the bytes of a file under an owner's session and prints what the firmware measured. */
int platform_measure(struct platform *p, struct error *e);

#endif
