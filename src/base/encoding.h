/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as text: hexadecimal digits and base64 [RFC 4648 4]. All decoding is here. White space
 * (blanks, tabs, line breaks of either kind) may stand anywhere. Base64 must have its padding, and
 * the unused bits of a last digit must be zero. A text with anything else in it is rejected.
 */
#ifndef SOFTSEV_BASE_ENCODING_H
#define SOFTSEV_BASE_ENCODING_H

#include "base/base.h"

/* Decodes the whole text. Returns false if it has another form, or more than `room` bytes. `out`
 * may be the text's own place. */
bool text_decode_hex(const void *text, size_t length, void *out, size_t room, size_t *size);
bool text_decode_base64(const void *text, size_t length, void *out, size_t room, size_t *size);

/* Decodes a string of hexadecimal digits that holds exactly `size` bytes. Returns false for any
 * other string. */
bool text_decode_hex_exactly(const char *text, void *out, size_t size);

/* Returns the length of the base64 of `size` bytes, with the NUL. */
static inline size_t text_base64_size(size_t size)
{
    return (size + 2) / 3 * 4 + 1;
}
/* Writes one line of base64 and a NUL: text_base64_size(size) characters. */
void text_encode_base64(char *out, const void *data, size_t size);

#endif
