/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds out why a measurement is not the expected one. Looks for a different launch of the same
 * files that gives it: one that ended early, or with another number of processors, hypervisor,
 * processor model, feature word or kernel hashes. Digests do not collide, so a launch that matches
 * is the reason.
 */
#ifndef SOFTSEV_OWNER_HINT_H
#define SOFTSEV_OWNER_HINT_H

#include "image/measure.h"

#define HINT_VCPUS_MAX 64u /* processors that are tried */
#define HINT_TEXT_MAX  400u

struct hint_question {
    const struct measure_description *expected;
    /* Returns true if this digest is the one that was measured. */
    bool (*matches)(void *context, const u8 digest[MEASURE_DIGEST_MAX]);
    void *context;
};

/* Writes one line, such as "2 processors, not 1". Returns false if there is no such launch; `text`
 * then says what was tried. Takes about a second. */
bool hint_search(const struct hint_question *q, char text[HINT_TEXT_MAX]);

#endif
