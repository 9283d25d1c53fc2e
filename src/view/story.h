/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events for the page that shows a run (page/): each as a JSON array of time, category, name, text,
 * section of the specification, label, and what it changes in the map of memory. The page applies
 * the changes and knows no event's meaning for memory.
 */
#ifndef SOFTSEV_VIEW_STORY_H
#define SOFTSEV_VIEW_STORY_H

#include "view/map.h"

/* Bytes that are enough for any event: each byte of its text may become six. */
#define VIEW_STORY_MAX (6 * VIEW_LINE_MAX + KIB(2))

struct view_story {
    struct view_map map;
    char *out; /* of the event that is being written */
    size_t size;
    bool any; /* a change was written */
};

void view_story_init(struct view_story *s);
void view_story_free(struct view_story *s);
/* Writes an event into `out`, without a NUL, and applies it to the map. Returns the length. Never
 * writes `<`, so that a text cannot end the element of a page that it stands in. */
size_t view_story_event(struct view_story *s, const struct view_event *e, char out[VIEW_STORY_MAX]);

/* --- The page --------------------------------------------------------------------------------- */

/* What the page is made of, embedded when the program was built. Texts end with NUL. */
extern const char view_page_html[], view_page_css[], view_page_js[];

#endif
