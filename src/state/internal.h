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
    int folder, lock;        /* file descriptors, -1: not open */
    bool reading;            /* open for reading only */
    bool damaged_store_pass; /* the checks at opening let a damaged store pass */
    struct file_hook hook;
    const struct firmware_profile *profile; /* the firmware whose floor is kept */
    struct error refusal;                   /* why the firmware's store or floor last failed */
    u8 frame[FRAME_MAX];                    /* the frame that is being written */
};

extern const char *const state_file_names[STATE_FILES];

#endif
