/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal and base64 text, and what a file is recognised as: what is decoded is encoded to the
 * same digits. */
#include "base/bytes.h"
#include "base/recognise.h"
#include "base/encoding.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static size_t without_blanks(const u8 *text, size_t size, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n", text[i]) || !text[i])
            out[n++] = (char)text[i];
    return n;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const struct recognised what = recognise(data, size);
    u8 *bytes = malloc(size + 1);
    char *digits = malloc(2 * size + 8), *again = malloc(2 * size + 8);
    size_t count = 0;
    if (!what.name || !*what.name || !bytes || !digits || !again)
        abort();
    const size_t n = without_blanks(data, size, digits);
    if (text_decode_base64(data, size, bytes, size, &count)) {
        text_encode_base64(again, bytes, count);
        if (strlen(again) != n || memcmp(again, digits, n))
            abort();
        if (count && text_decode_base64(data, size, bytes, count - 1, &count))
            abort();
    }
    if (text_decode_hex(data, size, bytes, size, &count)) {
        hex_encode(again, bytes, count);
        for (size_t i = 0; i < n; i++)
            if (again[i] != (digits[i] >= 'A' && digits[i] <= 'F' ? digits[i] + 32 : digits[i]))
                abort();
        if (strlen(again) != n)
            abort();
    }
    free(again);
    free(digits);
    free(bytes);
    return 0;
}
