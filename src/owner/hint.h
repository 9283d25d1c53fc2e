/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why is this measurement not the one that was expected? Looks for another launch of the same files
 * that gives it: a launch that ended early, other numbers of processors, hypervisors, processor
 * models, feature words, kernel hashes. Digests do not collide, so what is found is the reason, or
 * would have to be.
 */
#ifndef SOFTSEV_OWNER_HINT_H
#define SOFTSEV_OWNER_HINT_H

#include "image/measure.h"

#define HINT_VCPUS_MAX 64u /* processors that are tried */
#define HINT_TEXT_MAX  400u

struct hint_question {
    const struct measure_description *expected;
    /* Is this digest the one that was measured? */
    bool (*is_it)(void *context, const u8 digest[MEASURE_DIGEST_MAX]);
    void *context;
};

/* One line: "2 processors, not 1", ... False: no such launch; `text` then says what was tried.
 * Takes about a second. */
bool hint_search(const struct hint_question *q, char text[HINT_TEXT_MAX]);

#endif
