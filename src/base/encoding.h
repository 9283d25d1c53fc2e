/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as text: hexadecimal digits and base64 [RFC 4648 4], the one place where they are read.
 * White space (blanks, tabs, line breaks of either kind) may stand anywhere; base64 keeps its
 * padding, and the bits that a last digit does not use must be zero. Whatever else is in the text
 * makes it no text form.
 */
#ifndef SOFTSEV_BASE_ENCODING_H
#define SOFTSEV_BASE_ENCODING_H

#include "base/base.h"

/* Decodes the whole text. False: it is something else, or more than `room` bytes. `out` may be
 * where the text is. */
bool text_decode_hex(const void *text, size_t length, void *out, size_t room, size_t *size);
bool text_decode_base64(const void *text, size_t length, void *out, size_t room, size_t *size);

/* Decodes a string of either form that says exactly `size` bytes. Returns false if it says anything
 * else. */
bool text_decode_exactly(const void *text, size_t length, void *out, size_t size);

/* Characters of the base64 of `size` bytes, with the NUL. */
static inline size_t text_base64_size(size_t size)
{
    return (size + 2) / 3 * 4 + 1;
}
/* Writes one line of base64 and a NUL: text_base64_size(size) characters. */
void text_encode_base64(char *out, const void *data, size_t size);

#endif
