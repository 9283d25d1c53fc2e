/* SPDX-License-Identifier: Apache-2.0 */
/* An open state directory, shared by the files of this room. */
#ifndef SOFTSEV_STATE_INTERNAL_H
#define SOFTSEV_STATE_INTERNAL_H

#include "state/state.h"

#define FRAME_HEADER 0x20u
#define FRAME_HASH   32u
#define FRAME_MAX    (FRAME_HEADER + STATE_FILE_MAX + FRAME_HASH)

struct state {
    char directory[STATE_DIRECTORY_MAX];
    int folder, lock; /* file descriptors, -1: not open */
    bool reading;     /* open for reading only */
    bool looks;       /* may be opened for reading only where it cannot be written */
    u32 pass;         /* bits of the files that may be damaged or missing: they are made anew */
    u32 missing;      /* bits of the files that were made once and are not there */
    u32 version; /* of the fuses' frame: 1 if the directory is older than the table of members */
    struct file_hook hook;
    const struct firmware_profile *profile; /* the firmware whose floor is kept */
    struct error refusal;                   /* why the firmware's store or floor last failed */
    u8 frame[FRAME_MAX];                    /* the frame that is being written */
};

/* --- members.c -------------------------------------------------------------------------------- */

const char *state_file_name(enum state_file file);
/* Says what is wrong with a file, and what the user can do. Always returns -1. */
int state_corrupt(const struct state *s, enum state_file file, const char *wrong, struct error *e);
/* Refuses a directory in which a file is missing that was there once. */
int state_check_members(struct state *s, struct error *e);

/* --- files.c, firmware.c, folder.c ------------------------------------------------------------ */

/* Opens a directory; `how` has reading, looks, pass and hook. */
struct state *state_open_how(const struct state *how, const char *directory, struct error *e);
/* Reads a file as state_read() does, and returns the version of its frame. */
enum state_answer state_read_frame(const struct state *s, enum state_file file, void *out,
                                   size_t size, size_t *got, u32 *version, struct error *e);
/* Returns true if the file says that there are no keys: at first, and after PLATFORM_RESET. */
bool state_store_is_empty(const void *content, size_t size);
/* Finds the platform's product from its profile, or if that is lost from its floor; "" if neither
 * tells. */
#define STATE_PRODUCT_MAX 17u
void state_product(const struct state *s, char out[STATE_PRODUCT_MAX]);
/* Writes the files that belong beside a platform's fuses. Keeps those that exist. */
int state_make_members(struct state *s, struct error *e);

#endif
