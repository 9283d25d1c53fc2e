/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal and base64 text; see encoding.h. Keys are decoded here, so no table is indexed by
 * input. */
#include "base/encoding.h"

static bool is_white(u8 c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int hex_value(u8 c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int base64_value(u8 c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool text_decode_hex(const void *text, size_t length, void *out, size_t room, size_t *size)
{
    const u8 *in = text;
    u8 *bytes = out;
    size_t digits = 0;
    u8 high = 0;
    for (size_t i = 0; i < length; i++) {
        if (is_white(in[i]))
            continue;
        int value = hex_value(in[i]);
        if (value < 0 || digits / 2 >= room)
            return false;
        if (digits % 2)
            bytes[digits / 2] = (u8)(high | value);
        else
            high = (u8)(value << 4);
        digits++;
    }
    *size = digits / 2;
    return digits % 2 == 0;
}

/* The state of a text: its digits, the bits that do not make a byte yet, and the padding. */
struct base64 {
    size_t digits, padding, size;
    u32 bits;
};

static bool take(struct base64 *b, u8 c, u8 *out, size_t room)
{
    int value = base64_value(c);
    if (c == '=')
        return ++b->padding <= 2;
    if (value < 0 || b->padding)
        return false;
    const size_t place = b->digits++ % 4; /* four digits are three bytes */
    b->bits = (b->bits << 6 | (u32)value) & 0xfff;
    if (!place)
        return true;
    if (b->size >= room)
        return false;
    out[b->size++] = (u8)(b->bits >> (6 - 2 * place));
    return true;
}

bool text_decode_base64(const void *text, size_t length, void *out, size_t room, size_t *size)
{
    const u8 *in = text;
    struct base64 b = {0};
    for (size_t i = 0; i < length; i++)
        if (!is_white(in[i]) && !take(&b, in[i], out, room))
            return false;
    *size = b.size;
    const size_t last = b.digits % 4;
    const u32 unused = last == 2 ? 0xf : last == 3 ? 0x3 : 0;
    return last != 1 && b.padding == (4 - last) % 4 && !(b.bits & unused);
}

bool text_decode_hex_exactly(const char *text, void *out, size_t size)
{
    size_t have;
    return text_decode_hex(text, strlen(text), out, size, &have) && have == size;
}

void text_encode_base64(char *out, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const u8 *in = data;
    for (size_t at = 0; at < size; at += 3) {
        const size_t left = size - at;
        const u32 bits =
            (u32)in[at] << 16 | (left > 1 ? (u32)in[at + 1] << 8 : 0) | (left > 2 ? in[at + 2] : 0);
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    *out = '\0';
}
