/* SPDX-License-Identifier: Apache-2.0 */
/* Text that somebody else wrote, made fit to be printed: for people, and as JSON. */
#ifndef SOFTSEV_BASE_TEXT_H
#define SOFTSEV_BASE_TEXT_H

#include "base/base.h"

/* Returns the length of the UTF-8 sequence that `text` begins with, 1 to 4; 0: it is none. */
size_t text_sequence(const char *text, size_t size);

/* Copies text for a line that people read: printable ASCII stays, other bytes become \xNN, a
 * backslash becomes two. What does not fit into `size` bytes, with its NUL, is left out. */
void text_escape(char *out, size_t size, const char *text);

/* Copies text so that it is UTF-8: a byte that is not becomes U+FFFD. Needs three bytes for each,
 * and a NUL; what does not fit is left out. */
#define TEXT_UTF8_SIZE(length) (3 * (length) + 1)
void text_utf8(char *out, size_t size, const char *text);

/* Appends `count` bytes to `out`, which has `at`, as the content of a JSON string: valid UTF-8,
 * escaped. Returns the new length; what does not fit into `size` bytes is left out. */
size_t text_json(char *out, size_t size, size_t at, const char *text, size_t count);

#endif
