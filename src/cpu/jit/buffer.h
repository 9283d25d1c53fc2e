/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for emitted code: one memory file, mapped twice. It is written through one mapping and
 * executed through the other; neither is ever writable and executable.
 */
#ifndef SOFTSEV_CPU_JIT_BUFFER_H
#define SOFTSEV_CPU_JIT_BUFFER_H

#include "base/base.h"

struct code_buffer {
    u8 *write, *run; /* the same bytes */
    size_t size;
};

/* False: the host does not allow it. Pages cost nothing until they are written. */
bool code_buffer_create(struct code_buffer *b, size_t size);
void code_buffer_destroy(struct code_buffer *b);
/* Makes the processor forget instructions that it may have fetched before they were changed. */
void code_buffer_changed(void);

static inline const u8 *code_run(const struct code_buffer *b, const u8 *write)
{
    return b->run + (write - b->write);
}

static inline u8 *code_write(const struct code_buffer *b, const u8 *run)
{
    return b->write + (run - b->run);
}

#endif
