/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded little-endian cursors over bytes from outside. A cursor that would pass its end turns bad
 * and stays bad: reads return zero, writes are dropped, so that one check at the end is enough.
 */
#ifndef SOFTSEV_BASE_BYTES_H
#define SOFTSEV_BASE_BYTES_H

#include "base/base.h"

struct reader {
    const u8 *data;
    size_t size, at; /* bytes */
    bool bad;        /* a read passed the end */
};

struct writer {
    u8 *data;
    size_t size, at; /* bytes */
    bool bad;        /* a write passed the end */
};

struct reader reader_of(const void *data, size_t size);
size_t reader_left(const struct reader *r);
void reader_seek(struct reader *r, size_t at); /* absolute; bad if past the end */
void reader_skip(struct reader *r, size_t count);
u8 read_u8(struct reader *r);
u16 read_u16(struct reader *r);
u32 read_u32(struct reader *r);
u64 read_u64(struct reader *r);
void read_bytes(struct reader *r, void *out, size_t count); /* zero-filled if short */
/* Returns a view of the next `count` bytes, without a copy; NULL if there are fewer, and the cursor
 * turns bad. */
const u8 *read_view(struct reader *r, size_t count);

struct writer writer_of(void *data, size_t size);
void write_u8(struct writer *w, u8 v);
void write_u16(struct writer *w, u16 v);
void write_u32(struct writer *w, u32 v);
void write_u64(struct writer *w, u64 v);
void write_bytes(struct writer *w, const void *data, size_t count);
void write_zeros(struct writer *w, size_t count);

/* Hexadecimal text. hex_encode() writes 2*count characters and a NUL. hex_decode() accepts exactly
 * 2*count hexadecimal digits followed by the end of the string, and returns false for any other
 * text. */
void hex_encode(char *out, const void *data, size_t count);
bool hex_decode(void *out, size_t count, const char *text);
/* Returns the value of a hexadecimal digit of either case, or -1. */
int hex_digit(char c);

#endif
