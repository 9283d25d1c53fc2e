/* SPDX-License-Identifier: Apache-2.0 */
/* A source of random bytes. The caller passes it in, so that a run with a fixed seed repeats. */
#ifndef SOFTSEV_BASE_RANDOM_H
#define SOFTSEV_BASE_RANDOM_H

#include "base/base.h"

struct random_source {
    void (*fill)(void *context, void *out, size_t count); /* cannot fail */
    void *context;
};

static inline void random_fill(const struct random_source *r, void *out, size_t count)
{
    r->fill(r->context, out, count);
}

#endif
