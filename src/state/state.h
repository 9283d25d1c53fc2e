/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: what a platform keeps between two runs, and who the platform is. One file
 * for the chip's fuses, one for the firmware's store, one for the authority's keys and
 * certificates, one for the CEK that it signed, one for the firmware profile, one for the
 * anti-rollback floor. Each file is replaced as a whole: a process killed at any moment leaves the
 * old content or the new one. A file is made only if it is known to be absent; nothing that cannot
 * be read, or is damaged, is replaced or deleted unless the user resets the platform. One process
 * at a time has the directory; others may read it meanwhile.
 */
#ifndef SOFTSEV_STATE_STATE_H
#define SOFTSEV_STATE_STATE_H

#include "base/error.h"
#include "files/files.h"
#include "firmware/firmware.h"
#include "protocol/protocol.h"

struct authority;
struct state;

/* --- The directory (folder.c) ----------------------------------------------------------------- */

#define STATE_DIRECTORY_MAX 400u /* bytes of its path, with the NUL */

/* Makes the directory if it is missing, locks it and checks every file. It must belong to this user
 * or to root, and nobody else may write into it. NULL and ERROR_LOCKED (another process has it),
 * ERROR_STATE (a file is damaged), ERROR_FILE (something cannot be opened, read or made),
 * ERROR_MEMORY. `hook` may be NULL. */
struct state *state_open(const char *directory, const struct file_hook *hook, struct error *e);
/* The same, but a damaged store is let pass: for whoever deletes it with PLATFORM_RESET. */
struct state *state_open_to_reset(const char *directory, struct error *e);
/* For reading only, next to whatever process has it: no lock, nothing made or cleaned up.
 * ERROR_STATE if there is no platform in it. */
struct state *state_open_reading(const char *directory, struct error *e);
bool state_is_reading(const struct state *s);
void state_close(struct state *s);

/* Checks that there is a platform in the directory. -1 and ERROR_STATE: there is none; ERROR_FILE:
 * that is not known. */
int state_need_platform(const char *directory, struct error *e);

/* $SOFTSEV_STATE, or softsev/ in $XDG_STATE_HOME or ~/.local/state.
 * Returns -1 if none of them is set. */
int state_default(char *out, size_t size, struct error *e);

/* --- Its files (files.c) ---------------------------------------------------------------------- */

enum state_file {
    STATE_FUSES,     /* the chip's secret */
    STATE_STORE,     /* the firmware's blob */
    STATE_AUTHORITY, /* the authority's export */
    STATE_CEK,       /* signed by it */
    STATE_PROFILE,   /* name of the firmware that was powered on last */
    STATE_COMMITTED, /* what SNP_COMMIT kept */
    STATE_FILES,
};

#define STATE_FILE_MAX KIB(64)

/* What became of a file. All but the first two come with a sentence in `struct error`. */
enum state_answer {
    STATE_READ,
    STATE_ABSENT,     /* it is known that there is none */
    STATE_UNREADABLE, /* it may be there, and it may be good */
    STATE_DAMAGED,    /* it is there, and it is not what was written */
    STATE_NO_MEMORY,
};

/* Reads a whole file of at most `size` bytes; *got is 0 unless the answer is STATE_READ. */
enum state_answer state_read(const struct state *s, enum state_file file, void *out, size_t size,
                             size_t *got, struct error *e);
/* Replaces a file, or makes it. */
int state_write(struct state *s, enum state_file file, const void *data, size_t size,
                struct error *e);
/* Deletes a file; it is no error if there is none. */
int state_delete(struct state *s, enum state_file file, struct error *e);

/* --- The firmware's part (firmware.c) --------------------------------------------------------- */

/* The firmware's store in this directory. Good as long as `s` is. */
struct firmware_store state_store(struct state *s);
/* Adds to an error why the store or the floor could not be read or kept, if that is what the
 * firmware refused for: the firmware's status does not tell. Always returns -1. */
int state_explain(const struct state *s, struct error *e);

/* The firmware to power on: `chosen`, which is kept for the next time; NULL: last time's, at first
 * the default. Otherwise as state_committed(). `s` NULL: nothing is kept. */
int state_profile(struct state *s, const struct firmware_profile *chosen,
                  const struct firmware_profile **out, struct error *e);

/* The anti-rollback floor [snp 9] for firmware_config.committed, zero if SNP_COMMIT never ran for
 * this product. ERROR_FIRMWARE: it is above this firmware. After that, state_commit with the state
 * as its context is what firmware_config.commit wants. */
int state_committed(struct state *s, const struct firmware_profile *profile,
                    struct firmware_committed *out, struct error *e);
bool state_commit(void *state, const struct firmware_committed *committed);

/* --- Who the platform is (identity.c) --------------------------------------------------------- */

struct state_identity {
    bool made; /* the fuses are new */
    u8 fuses[32];
    struct amd_chain root; /* ASK and ARK */
    struct sev_cert cek;   /* signed by the ASK */
};

/* Reads the platform's identity and the authority's part; makes what is missing, once. New fuses
 * come from `seed`, or if that is NULL from `c`. `progress` (may be NULL) is told before something
 * that takes seconds. */
int state_identity_open(struct state *s, struct crypto *c, const char *seed,
                        void (*progress)(const char *what), struct state_identity *out,
                        struct error *e);
/* The authority of the directory: made if there is none, but not in a directory open for reading.
 * The caller frees it. */
struct authority *state_authority_open(struct state *s, struct crypto *c,
                                       void (*progress)(const char *what), struct error *e);
/* The fuses that a seed gives. */
void state_seed_fuses(const void *seed, size_t seed_size, u8 fuses[32]);

/* --- Power-on (power.c) ----------------------------------------------------------------------- */

/* What somebody wants to power on. */
struct state_request {
    const char *directory;
    const char *seed; /* of the fuses, if they are made now; NULL: they are random */
    bool any_seed;    /* fuses that are there may come from another seed */
    bool reset;       /* a damaged store is let pass */
    const struct firmware_profile *profile; /* NULL: last time's */
    void (*progress)(const char *what);     /* may be NULL */
};

/* A platform's lasting half: what a machine or a firmware is configured with. */
struct state_platform {
    struct state *state;
    struct state_identity identity;
    const struct firmware_profile *profile;
    struct firmware_committed committed;
};

/* Opens the directory and all that power-on needs. -1: `out` still wants state_platform_close(). */
int state_platform_open(const struct state_request *request, struct crypto *c,
                        struct state_platform *out, struct error *e);
/* Closes the directory and wipes the secrets. */
void state_platform_close(struct state_platform *p);

#endif
