/* SPDX-License-Identifier: Apache-2.0 */
/* Untrusted text, made safe to print, for people and as JSON. */
#ifndef SOFTSEV_BASE_TEXT_H
#define SOFTSEV_BASE_TEXT_H

#include "base/base.h"

/* Returns the length (1 to 4) of the UTF-8 sequence that `text` begins with; 0 if it begins with
 * none. */
size_t text_sequence(const char *text, size_t size);

/* Copies text for a line that people read: printable ASCII stays, other bytes become \xNN, a
 * backslash is doubled. Drops what does not fit into `size` bytes with the NUL. */
void text_escape(char *out, size_t size, const char *text);

/* Copies a sentence that may quote somebody else's text: UTF-8 stays, control characters and
 * invalid bytes become \xNN, so that nothing in it moves a terminal's cursor. Drops what does not
 * fit. */
#define TEXT_SENTENCE_SIZE(length) (4 * (length) + 1)
void text_sentence(char *out, size_t size, const char *text);

/* Copies text as UTF-8: each invalid byte becomes U+FFFD. Needs three bytes for each byte of the
 * text, and a NUL; drops what does not fit. */
#define TEXT_UTF8_SIZE(length) (3 * (length) + 1)
void text_utf8(char *out, size_t size, const char *text);

/* Appends `count` bytes as the content of a JSON string (valid UTF-8, escaped) to `out`, which
 * holds `at` bytes. Returns the new length; drops what does not fit into `size` bytes. */
size_t text_json(char *out, size_t size, size_t at, const char *text, size_t count);

#endif
