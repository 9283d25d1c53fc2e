/* SPDX-License-Identifier: Apache-2.0 */
/* What the room's files share: an open state directory. */
#ifndef SOFTSEV_STATE_INTERNAL_H
#define SOFTSEV_STATE_INTERNAL_H

#include "state/state.h"

#define FRAME_HEADER 0x20u
#define FRAME_HASH   32u
#define FRAME_MAX    (FRAME_HEADER + STATE_FILE_MAX + FRAME_HASH)

struct state {
    char directory[STATE_DIRECTORY_MAX];
    int folder, lock;        /* file descriptors, -1: not open */
    bool reading;            /* only */
    bool damaged_store_pass; /* of the checks at the opening */
    struct file_hook hook;
    const struct firmware_profile *profile; /* whose floor is kept */
    struct error refusal;                   /* why the firmware's store or floor failed last */
    u8 frame[FRAME_MAX];                    /* being written */
};

extern const char *const state_file_names[STATE_FILES];

#endif
