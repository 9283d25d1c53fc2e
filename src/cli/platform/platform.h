/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev platform` share: a platform that is powered on for one action. */
#ifndef SOFTSEV_CLI_PLATFORM_H
#define SOFTSEV_CLI_PLATFORM_H

#include "cli/cli.h"
#include "state/state.h"
#include "files/files.h"

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
    struct crypto *crypto;
    struct state_platform on;
    struct memory *memory;
    struct firmware *firmware;
};

/* Runs one command. The buffer is copied to memory and back. */
int platform_command(struct platform *p, u32 id, void *buffer, size_t size, struct error *e);
int platform_start(struct platform *p, struct error *e); /* INIT */

/* Adds the chain of certificates of SEV to a set, as `export` writes it. `folder` stands before the
 * names: "" or "sev/". */
int platform_add_chain(struct platform *p, const char *folder, struct file_set *set,
                       struct error *e);

/* `certs`: what verifiers of SNP reports and of legacy chains read. */
int platform_certs(struct platform *p, struct error *e);
/* `measure`: launches the bytes of a file under an owner's session and prints what the firmware
 * measured. */
int platform_measure(struct platform *p, struct error *e);

#endif
