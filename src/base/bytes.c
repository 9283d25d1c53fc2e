/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded little-endian cursors; see bytes.h. */
#include "base/bytes.h"

struct reader reader_of(const void *data, size_t size)
{
    return (struct reader){.data = data, .size = size};
}

size_t reader_left(const struct reader *r)
{
    return r->size - r->at;
}

void reader_seek(struct reader *r, size_t at)
{
    if (at > r->size)
        r->bad = true;
    else
        r->at = at;
}

const u8 *read_view(struct reader *r, size_t count)
{
    if (r->bad || count > reader_left(r)) {
        r->bad = true;
        return NULL;
    }
    const u8 *p = r->data + r->at;
    r->at += count;
    return p;
}

void reader_skip(struct reader *r, size_t count)
{
    read_view(r, count);
}

void read_bytes(struct reader *r, void *out, size_t count)
{
    const u8 *p = read_view(r, count);
    if (p)
        memcpy(out, p, count);
    else
        memset(out, 0, count);
}

u8 read_u8(struct reader *r)
{
    u8 v;
    read_bytes(r, &v, sizeof v);
    return v;
}

u16 read_u16(struct reader *r)
{
    u16 v;
    read_bytes(r, &v, sizeof v);
    return v;
}

u32 read_u32(struct reader *r)
{
    u32 v;
    read_bytes(r, &v, sizeof v);
    return v;
}

u64 read_u64(struct reader *r)
{
    u64 v;
    read_bytes(r, &v, sizeof v);
    return v;
}

struct writer writer_of(void *data, size_t size)
{
    return (struct writer){.data = data, .size = size};
}

static u8 *writer_room(struct writer *w, size_t count)
{
    if (w->bad || count > w->size - w->at) {
        w->bad = true;
        return NULL;
    }
    u8 *p = w->data + w->at;
    w->at += count;
    return p;
}

void write_bytes(struct writer *w, const void *data, size_t count)
{
    u8 *p = writer_room(w, count);
    if (p && count)
        memcpy(p, data, count);
}

void write_zeros(struct writer *w, size_t count)
{
    u8 *p = writer_room(w, count);
    if (p)
        memset(p, 0, count);
}

void write_u8(struct writer *w, u8 v)
{
    write_bytes(w, &v, sizeof v);
}

void write_u16(struct writer *w, u16 v)
{
    write_bytes(w, &v, sizeof v);
}

void write_u32(struct writer *w, u32 v)
{
    write_bytes(w, &v, sizeof v);
}

void write_u64(struct writer *w, u64 v)
{
    write_bytes(w, &v, sizeof v);
}

void hex_encode(char *out, const void *data, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    const u8 *p = data;
    for (size_t i = 0; i < count; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = 0;
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(void *out, size_t count, const char *text)
{
    u8 *p = out;
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return false;
        *p++ = (u8)(high << 4 | low);
        text += 2;
    }
    return *text == 0;
}
