/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: what a platform keeps between two runs, and its identity. It has one file
 * each for the chip's fuses, the firmware's store, the authority's keys and certificates, the CEK
 * that the authority signed, the firmware profile, and the anti-rollback floor. Each file is
 * replaced as a whole: if a process is killed, the file has the old content or the new one. A file
 * is made only if it is known never to have been made: absence beside what was made with it is
 * damage (members.c). A file that is unreadable or damaged is neither replaced nor deleted unless
 * the user resets the platform. One process at a time holds the directory; others may read it
 * meanwhile.
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

/* Makes the directory if it is missing, locks it and checks every file. The directory must belong
 * to this user or to root, and nobody else may be able to write into it. On failure returns NULL
 * and ERROR_LOCKED (another process holds it), ERROR_STATE (a file is damaged), ERROR_FILE
 * (something cannot be opened, read or made) or ERROR_MEMORY. `hook` may be NULL. */
struct state *state_open(const char *directory, const struct file_hook *hook, struct error *e);
/* Opens the directory as state_open() does, but accepts a damaged or missing store: the caller
 * gives it up with PLATFORM_RESET. */
struct state *state_open_to_reset(const char *directory, struct error *e);
/* Opens the directory for reading only, even while another process holds it: takes no lock, makes
 * nothing, cleans nothing up. ERROR_STATE if it holds no platform. */
struct state *state_open_reading(const char *directory, struct error *e);
bool state_is_reading(const struct state *s);
void state_close(struct state *s);

/* Checks that the directory holds a platform. -1 and ERROR_STATE: it holds none; ERROR_FILE: that
 * cannot be determined. */
int state_need_platform(const char *directory, struct error *e);

/* Finds the default directory: $SOFTSEV_STATE, or softsev/ in $XDG_STATE_HOME or ~/.local/state.
 * Returns -1 if none of these variables is set. */
int state_default(char *out, size_t size, struct error *e);

/* --- Its files (files.c) ---------------------------------------------------------------------- */

enum state_file {
    STATE_FUSES,     /* the chip's secret */
    STATE_STORE,     /* the firmware's blob, or that there is none */
    STATE_AUTHORITY, /* the authority's export */
    STATE_CEK,       /* signed by the authority */
    STATE_PROFILE,   /* name of the firmware that was powered on last */
    STATE_COMMITTED, /* the floor that SNP_COMMIT raised */
    STATE_FILES,
};

#define STATE_FILE_MAX KIB(64)

/* The result of reading a file. All but the first two come with a sentence in `struct error`. */
enum state_answer {
    STATE_READ,
    STATE_ABSENT,     /* the file is known not to exist */
    STATE_UNREADABLE, /* the file may exist, and may be good */
    STATE_DAMAGED,    /* the file exists, but is not what was written */
    STATE_NO_MEMORY,
};

/* Reads a whole file of at most `size` bytes; *got is 0 unless the answer is STATE_READ. */
enum state_answer state_read(const struct state *s, enum state_file file, void *out, size_t size,
                             size_t *got, struct error *e);
/* Replaces a file, or makes it. */
int state_write(struct state *s, enum state_file file, const void *data, size_t size,
                struct error *e);

/* --- The firmware's part (firmware.c) --------------------------------------------------------- */

/* Returns the firmware's store in this directory. Valid as long as `s` is. */
struct firmware_store state_store(struct state *s);
/* Adds to an error why the store or the floor could not be read or written, if the firmware refused
 * for that reason: the firmware's status does not say so. Always returns -1. */
int state_explain(const struct state *s, struct error *e);

/* Chooses the firmware to power on: `chosen`, which is kept for the next time; NULL: the last one,
 * at first the default. Otherwise does what state_committed() does. `s` NULL: nothing is kept. */
int state_profile(struct state *s, const struct firmware_profile *chosen,
                  const struct firmware_profile **out, struct error *e);

/* Reads the anti-rollback floor [snp 9] for firmware_config.committed; it is zero if SNP_COMMIT
 * never ran for this product. ERROR_FIRMWARE: the floor is above this firmware. After that,
 * firmware_config.commit can be state_commit, with the state as its context. */
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
 * come from `seed`, or from `c` if `seed` is NULL. `progress` (may be NULL) is called before a step
 * that takes seconds. */
int state_identity_open(struct state *s, struct crypto *c, const char *seed,
                        void (*progress)(const char *what), struct state_identity *out,
                        struct error *e);
/* Returns the directory's authority; makes it if there is none, unless the directory is open for
 * reading only. The caller frees it. */
struct authority *state_authority_open(struct state *s, struct crypto *c,
                                       void (*progress)(const char *what), struct error *e);
/* Derives the fuses from a seed. */
void state_seed_fuses(const void *seed, size_t seed_size, u8 fuses[32]);
/* Makes an identity that is not kept: fuses from the seed, and a CEK that is signed now. */
int state_identity_from_seed(struct crypto *c, const struct authority *a, const char *seed,
                             struct state_identity *out, struct error *e);
/* Returns the authority of all platforms that are made from a seed and not kept: its keys come from
 * words that everybody knows, and are the same everywhere. They are kept in a cache, softsev/seeded
 * in $XDG_CACHE_HOME or ~/.cache, which nothing else reads; if it cannot be used, they are made
 * anew, after `progress` has said why. The caller frees it. */
struct authority *state_authority_of_seeds(void (*progress)(const char *what), struct error *e);

/* --- Power-on (power.c) ----------------------------------------------------------------------- */

/* A request to power on a platform. */
struct state_request {
    const char *directory;
    const char *seed; /* for new fuses; NULL: they are random */
    bool any_seed;    /* existing fuses may come from another seed */
    bool reset;       /* accept a damaged or missing store */
    bool looks;       /* a directory that cannot be written is opened for reading only */
    const struct firmware_profile *profile; /* NULL: the last one */
    bool keeps_part;                        /* refuse a profile of another part */
    void (*progress)(const char *what);     /* may be NULL */
};

/* The lasting part of a platform: what a machine or a firmware is configured with. */
struct state_platform {
    struct state *state;
    struct state_identity identity;
    const struct firmware_profile *profile;
    struct firmware_committed committed;
};

/* Opens the directory and all that power-on needs. After -1 too, `out` needs
 * state_platform_close(). */
int state_platform_open(const struct state_request *request, struct crypto *c,
                        struct state_platform *out, struct error *e);
/* Closes the directory and wipes the secrets. */
void state_platform_close(struct state_platform *p);

#endif
