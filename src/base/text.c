/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 and escapes; see text.h. */
#include "base/text.h"

#include <stdio.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* By the first byte of a sequence: how many bytes follow, and the range of the second one. The
 * range excludes overlong forms, surrogates and code points beyond U+10FFFF. */
static const struct {
    u8 first, last, more, low, high;
} sequences[] = {
    {0x00, 0x7f, 0, 0, 0},       {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf},
    {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf},
    {0xf0, 0xf0, 3, 0x90, 0xbf}, {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

size_t text_sequence(const char *text, size_t size)
{
    const u8 *p = (const u8 *)text;
    for (size_t i = 0; size && i < ARRAY_SIZE(sequences); i++) {
        if (p[0] < sequences[i].first || p[0] > sequences[i].last)
            continue;
        size_t more = sequences[i].more;
        if (size <= more || (more && (p[1] < sequences[i].low || p[1] > sequences[i].high)))
            return 0;
        for (size_t k = 2; k <= more; k++)
            if (p[k] < 0x80 || p[k] > 0xbf)
                return 0;
        return more + 1;
    }
    return 0;
}

/* Appends all of a string or nothing. */
static bool append(char *out, size_t size, size_t *at, const char *piece, size_t count)
{
    if (*at + count >= size)
        return false;
    memcpy(out + *at, piece, count);
    *at += count;
    return true;
}

void text_escape(char *out, size_t size, const char *text)
{
    size_t at = 0;
    for (bool fits = true; *text && fits; text++) {
        char piece[5] = {*text};
        if (*text == '\\')
            snprintf(piece, sizeof piece, "\\\\");
        else if (*text < ' ' || *text > '~')
            snprintf(piece, sizeof piece, "\\x%02x", (unsigned)(u8)*text);
        fits = append(out, size, &at, piece, strlen(piece));
    }
    out[at] = 0;
}

/* Terminals obey the controls of ASCII, and those that UTF-8 has as C2 80 to C2 9F. */
static bool is_control(const u8 *sequence, size_t size)
{
    return (size == 1 && (sequence[0] < ' ' || sequence[0] == 0x7f)) ||
           (size == 2 && sequence[0] == 0xc2 && sequence[1] < 0xa0);
}

void text_sentence(char *out, size_t size, const char *text)
{
    size_t at = 0, left = strlen(text);
    for (bool fits = true; left && fits;) {
        char escape[5];
        const size_t n = text_sequence(text, left);
        const bool raw = n && !is_control((const u8 *)text, n);
        snprintf(escape, sizeof escape, "\\x%02x", (unsigned)(u8)*text);
        fits = append(out, size, &at, raw ? text : escape, raw ? n : 4);
        text += raw ? n : 1;
        left -= raw ? n : 1;
    }
    out[at] = 0;
}

void text_utf8(char *out, size_t size, const char *text)
{
    size_t at = 0, left = strlen(text);
    for (bool fits = true; left && fits;) {
        size_t n = text_sequence(text, left);
        fits = append(out, size, &at, n ? text : REPLACEMENT, n ? n : 3);
        text += n ? n : 1;
        left -= n ? n : 1;
    }
    out[at] = 0;
}

size_t text_json(char *out, size_t size, size_t at, const char *text, size_t count)
{
    for (bool fits = true; count && fits;) {
        char escape[8] = "";
        size_t n = text_sequence(text, count);
        u8 c = (u8)*text;
        if (c == '"' || c == '\\')
            snprintf(escape, sizeof escape, "\\%c", c);
        else if (c < ' ')
            snprintf(escape, sizeof escape, "\\u%04x", c);
        else if (!n)
            snprintf(escape, sizeof escape, "%s", REPLACEMENT);
        fits = *escape ? append(out, size, &at, escape, strlen(escape))
                       : append(out, size, &at, text, n);
        text += n ? n : 1;
        count -= n ? n : 1;
    }
    return at;
}
