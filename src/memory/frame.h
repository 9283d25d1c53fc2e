/* SPDX-License-Identifier: Apache-2.0 */
/* Whole frames of memory: clears them under a key, and says in whose view a frame is. */
#ifndef SOFTSEV_MEMORY_FRAME_H
#define SOFTSEV_MEMORY_FRAME_H

#include "memory/memory.h"

/* Makes whole frames zeros under a key. Returns false if they are not whole or not inside DRAM. */
bool memory_clear(struct memory *m, u64 spa, u64 size, memory_key key);

/* Returns the key in whose view the frame is, KEY_GONE for a key that was unloaded. */
#define KEY_GONE 0xfffe
memory_key memory_view(const struct memory *m, u64 frame);

#endif
