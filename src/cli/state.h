/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: what a platform keeps between two runs. One file for the chip's fuses, one for the firmware's
 * store, one for the authority's keys and certificates, one for the CEK that it signed, one for the firmware profile,
 * one for the anti-rollback floor. Each file is replaced as a whole (temporary file, fsync, rename, fsync of the
 * directory): a process killed at any moment leaves the old content or the new one. One process at a time has the
 * directory; others may read it meanwhile.
 */
#ifndef SOFTSEV_CLI_STATE_H
#define SOFTSEV_CLI_STATE_H

#include "base/error.h"
#include "firmware/firmware.h"
#include "protocol/protocol.h"

struct authority;
struct cli_state;

/* Called before each step of a write with its name; a test's place to end the process. */
struct cli_state_hook {
    void (*step)(void *context, const char *name);
    void *context;
};

/* Makes the directory if it is missing, locks it and checks every file. NULL and ERROR_LOCKED,
 * ERROR_STATE or ERROR_FILE. `hook` may be NULL. */
struct cli_state *cli_state_open(const char *directory, const struct cli_state_hook *hook,
                                 struct error *e);
/* For reading only, next to whatever process has it: no lock, nothing made or cleaned up. ERROR_STATE if there is no
 * platform in it. */
struct cli_state *cli_state_open_reading(const char *directory, struct error *e);
bool cli_state_is_reading(const struct cli_state *s);
void cli_state_close(struct cli_state *s);

/* $SOFTSEV_STATE, or softsev/ in $XDG_STATE_HOME or ~/.local/state.
 * Returns -1 if none of them is set. */
int cli_state_default(char *out, size_t size, struct error *e);

enum cli_state_file {
    STATE_FUSES,     /* the chip's secret */
    STATE_STORE,     /* the firmware's blob */
    STATE_AUTHORITY, /* the authority's export */
    STATE_CEK,       /* signed by it */
    STATE_PROFILE,   /* name of the firmware that was powered on last */
    STATE_COMMITTED, /* what SNP_COMMIT kept */
    STATE_FILES,
};

#define STATE_FILE_MAX KIB(64)

/* Whole contents; *got is 0 if the file is missing. */
int cli_state_read(struct cli_state *s, enum cli_state_file file, void *out, size_t size,
                   size_t *got, struct error *e);
/* Size 0 deletes. */
int cli_state_write(struct cli_state *s, enum cli_state_file file, const void *data, size_t size,
                    struct error *e);

/* The firmware's store in this directory. Good as long as `s` is. */
struct firmware_store cli_state_store(struct cli_state *s);

/* --- The firmware ------------------------------------------------------------------------------ */

/* The firmware to power on: the one of that name, which is kept for the next time; `name` NULL: last time's, at first
 * the default. ERROR_USAGE: there is no such profile; otherwise as cli_state_committed(). `s` NULL: nothing is kept. */
int cli_state_profile(struct cli_state *s, const char *name, const struct firmware_profile **out,
                      struct error *e);

/* The anti-rollback floor [snp 9] for firmware_config.committed, zero if SNP_COMMIT never ran for this product.
 * ERROR_FIRMWARE: it is above this firmware. After that, cli_state_commit with the state as its context is what
 * firmware_config.commit wants. */
int cli_state_committed(struct cli_state *s, const struct firmware_profile *profile,
                        struct firmware_committed *out, struct error *e);
bool cli_state_commit(void *state, const struct firmware_committed *committed);

/* --- Who the platform is ---------------------------------------------------------------------- */

struct cli_identity {
    bool made; /* the fuses are new */
    u8 fuses[32];
    struct amd_chain root; /* ASK and ARK */
    struct sev_cert cek;   /* signed by the ASK */
};

/* Reads the platform's identity and the authority's part; makes what is missing, once. New fuses
 * come from `seed`, or if that is NULL from `c`. `progress` (may be NULL) is told before something
 * that takes seconds. */
int cli_identity_open(struct cli_state *s, struct crypto *c, const void *seed, size_t seed_size,
                      void (*progress)(const char *what), struct cli_identity *out,
                      struct error *e);
/* The authority of the directory: made if there is none, but not in a directory open for reading. The caller frees it. */
struct authority *cli_authority_open(struct cli_state *s, struct crypto *c,
                                     void (*progress)(const char *what), struct error *e);
/* The fuses that a seed gives. */
void cli_identity_seed_fuses(const void *seed, size_t seed_size, u8 fuses[32]);

#endif
