/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of a recorded trace, in both forms that base/trace.h writes, back to events. A trace is
 * a file that anybody may have written: every length is bounded, and no line is believed to be
 * whole.
 */
#ifndef SOFTSEV_VIEW_EVENT_H
#define SOFTSEV_VIEW_EVENT_H

#include "base/trace.h"

#define VIEW_LINE_MAX  2048u /* bytes of a line; longer ones are no events */
#define VIEW_NAME_MAX  32u
#define VIEW_VALUE_MAX 128u /* bytes of a value that is compared or shown, with the NUL */

struct view_event {
    enum trace_category category;
    u64 time_ns;
    char name[VIEW_NAME_MAX];
    char text[VIEW_LINE_MAX]; /* key=value pairs, as in the text form */
};

/* Reads a line without its newline. Returns false if it is no event. */
bool view_read_line(const char *line, size_t size, struct view_event *out);
/* Copies an event that was just traced. */
void view_take_event(const struct trace_event *from, struct view_event *out);

/* Copies the value of a key, without quotation marks and cut to the room. Returns false, and an
 * empty text, if the event does not have the key. */
bool view_value(const struct view_event *e, const char *key, char out[VIEW_VALUE_MAX]);
/* Reads the value of a key as a decimal or 0x number. Returns false if there is none. */
bool view_number(const struct view_event *e, const char *key, u64 *out);
/* Returns true if the key has this value. */
bool view_is(const struct view_event *e, const char *key, const char *value);

/* --- What names and numbers mean (names.c) ---------------------------------------------------- */

/* Gets the name of an exit code, as the manual has it. */
void view_exit_name(u64 code, char out[VIEW_VALUE_MAX]);
/* Gets the name of the exit, #VC or request in an event of the category `switch`. */
void view_switch_name(const struct view_event *e, char out[VIEW_VALUE_MAX]);
/* Returns the section of the specification that explains an event, in the form that this tree
 * cites; NULL: none. */
const char *view_section(const struct view_event *e);

#endif
