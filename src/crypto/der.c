/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of DER; see der.h. */
#include "crypto/der.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define UTC_TIME         0x17
#define GENERALIZED_TIME 0x18

size_t der_open(struct writer *w, u8 tag)
{
    write_u8(w, tag);
    write_u8(w, 0); /* the length, when it is known */
    return w->at;
}

void der_close(struct writer *w, size_t mark)
{
    if (w->bad)
        return;
    const size_t size = w->at - mark;
    const size_t more = size < 0x80 ? 0 : size <= 0xff ? 1 : 2; /* length octets beyond the first */
    u8 *content = w->data + mark;
    write_zeros(w, more);
    w->bad |= size > 0xffff;
    if (w->bad)
        return;
    memmove(content + more, content, size);
    content[-1] = (u8)(more ? 0x80 + more : size);
    if (more == 2)
        content[0] = (u8)(size >> 8);
    if (more)
        content[more - 1] = (u8)size;
}

void der_value(struct writer *w, u8 tag, const void *content, size_t size)
{
    size_t mark = der_open(w, tag);
    write_bytes(w, content, size);
    der_close(w, mark);
}

void der_text(struct writer *w, u8 tag, const char *text)
{
    der_value(w, tag, text, strlen(text));
}

void der_true(struct writer *w)
{
    der_value(w, DER_BOOLEAN, "\xff", 1);
}

void der_number(struct writer *w, const void *little_endian, size_t size)
{
    const u8 *digits = little_endian;
    while (size > 1 && !digits[size - 1])
        size--;
    size_t mark = der_open(w, DER_INTEGER);
    if (!size || digits[size - 1] >= 0x80)
        write_u8(w, 0); /* the sign */
    while (size)
        write_u8(w, digits[--size]);
    der_close(w, mark);
}

void der_integer(struct writer *w, u64 value)
{
    u8 digits[8];
    store_le64(digits, value);
    der_number(w, digits, sizeof digits);
}

void der_bits(struct writer *w, const void *bits, size_t size, u8 unused)
{
    size_t mark = der_open(w, DER_BIT_STRING);
    write_u8(w, unused);
    write_bytes(w, bits, size);
    der_close(w, mark);
}

/* Writes groups of seven bits, with the top bit set in all but the last. */
static void write_arc(struct writer *w, u64 arc)
{
    u32 shift = 0;
    while (shift < 56 && arc >> (shift + 7))
        shift += 7;
    for (; shift; shift -= 7)
        write_u8(w, (u8)(0x80 | (arc >> shift & 0x7f)));
    write_u8(w, (u8)(arc & 0x7f));
}

void der_oid(struct writer *w, const char *dotted)
{
    size_t mark = der_open(w, 0x06);
    char *rest;
    u64 first = strtoull(dotted, &rest, 10);
    for (bool joined = false; *rest == '.'; joined = true) {
        u64 arc = strtoull(rest + 1, &rest, 10);
        write_arc(w, joined ? arc : 40 * first + arc);
    }
    der_close(w, mark);
}

void der_time(struct writer *w, s64 time)
{
    struct tm t;
    const time_t at = (time_t)time;
    char text[80];
    if (at < 0 || !gmtime_r(&at, &t) || t.tm_year > 9999 - 1900) {
        w->bad = true;
        return;
    }
    const bool utc = t.tm_year < 2050 - 1900;
    snprintf(text, sizeof text, utc ? "%02d%02d%02d%02d%02d%02dZ" : "%04d%02d%02d%02d%02d%02dZ",
             utc ? t.tm_year % 100 : t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
             t.tm_sec);
    der_text(w, utc ? UTC_TIME : GENERALIZED_TIME, text);
}
