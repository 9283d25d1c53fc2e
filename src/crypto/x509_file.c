/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of certificates and revocation lists: one in DER, or blocks of PEM with text between them
 * [RFC 7468]. A list that is not read revokes nothing, so anything in a file that might be a list
 * must be readable: a block that cannot be read, bytes that are not text and the rest of a cut
 * block are errors that name the entry.
 */
#include "crypto/internal.h"

#include "base/encoding.h"
#include "crypto/der.h"

#include <openssl/err.h>
#include <stdio.h>

#define LABEL_MAX 40u

struct x509_reading {
    const u8 *data;
    size_t size, at;
    u32 entry; /* number of the entry that was begun last, from 1 */
    struct crypto_certificates *certificates;
    struct crypto_crls *lists;
    struct error *error;
};

static int refuse(struct x509_reading *r, const char *what, const char *why)
{
    return error_set(r->error, ERROR_FILE, "entry %u (%s): %s", r->entry, what, why);
}

static int no_memory(struct x509_reading *r)
{
    return error_set(r->error, ERROR_MEMORY, "no memory for a certificate or a revocation list");
}

/* Makes room for one more pointer. Returns NULL if memory is out. */
static void *grow(void *list, size_t count)
{
    return count & (count - 1) ? list : realloc(list, (count ? 2 * count : 1) * sizeof(void *));
}

/* Adds a certificate. Returns false if memory is out; the certificate then stays the caller's. */
static bool add_certificate(struct crypto_certificates *to, struct crypto_certificate *c)
{
    struct crypto_certificate **list = grow(to->list, to->count);
    if (!list)
        return false;
    to->list = list;
    to->list[to->count++] = c;
    return true;
}

static bool add_list(struct crypto_crls *to, struct crypto_crl *c)
{
    struct crypto_crl **list = grow(to->list, to->count);
    if (!list)
        return false;
    to->list = list;
    to->list[to->count++] = c;
    return true;
}

/* --- One entry -------------------------------------------------------------------------------- */

enum entry { ENTRY_DAMAGED, ENTRY_TAKEN, ENTRY_NO_MEMORY };

static enum entry take_certificate(struct x509_reading *r, const u8 *der, size_t size)
{
    struct crypto_certificate *c = crypto_certificate_read(der, size);
    if (!c)
        return last_error_is_memory() ? ENTRY_NO_MEMORY : ENTRY_DAMAGED;
    if (r->certificates && add_certificate(r->certificates, c))
        return ENTRY_TAKEN;
    crypto_certificate_free(c);
    return r->certificates ? ENTRY_NO_MEMORY : ENTRY_TAKEN;
}

static enum entry take_list(struct x509_reading *r, const u8 *der, size_t size)
{
    struct crypto_crl *c = crypto_crl_read(der, size);
    if (!c)
        return last_error_is_memory() ? ENTRY_NO_MEMORY : ENTRY_DAMAGED;
    if (add_list(r->lists, c))
        return ENTRY_TAKEN;
    crypto_crl_free(c);
    return ENTRY_NO_MEMORY;
}

static int read_der(struct x509_reading *r)
{
    enum entry entry = take_certificate(r, r->data, r->size);
    if (entry == ENTRY_DAMAGED)
        entry = take_list(r, r->data, r->size);
    if (entry == ENTRY_DAMAGED)
        return error_set(r->error, ERROR_FILE,
                         "neither a certificate nor a revocation list in DER, whole and with "
                         "nothing after it");
    return entry == ENTRY_TAKEN ? 0 : no_memory(r);
}

/* --- PEM -------------------------------------------------------------------------------------- */

static const struct {
    const char *label;
    enum entry (*take)(struct x509_reading *r, const u8 *der, size_t size);
} kinds[] = {
    {"CERTIFICATE", take_certificate},
    {"X509 CERTIFICATE", take_certificate},
    {"X509 CRL", take_list},
};

/* Returns true for blocks that people keep in the same file and that cannot hold a list. */
static bool is_key(const char *label)
{
    static const char *const ends[] = {"PRIVATE KEY", "PUBLIC KEY", "PARAMETERS",
                                       "CERTIFICATE REQUEST"};
    const size_t length = strlen(label);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
        if (length >= strlen(ends[i]) && !strcmp(label + length - strlen(ends[i]), ends[i]))
            return true;
    return false;
}

/* Returns the next line without its end and trailing blanks. Returns false if there is none. */
static bool next_line(struct x509_reading *r, const char **line, size_t *length)
{
    if (r->at == r->size)
        return false;
    const u8 *from = r->data + r->at, *end = memchr(from, '\n', r->size - r->at);
    size_t n = end ? (size_t)(end - from) : r->size - r->at;
    r->at += n + (end != NULL);
    while (n && strchr(" \t\r", from[n - 1]) && from[n - 1])
        n--;
    *line = (const char *)from;
    *length = n;
    return true;
}

/* Parses "-----BEGIN LABEL-----". Returns false if the line is not a boundary. */
static bool boundary(const char *line, size_t length, const char *word, char label[LABEL_MAX])
{
    const size_t before = strlen(word);
    if (length < before + 5 || memcmp(line, word, before) ||
        memcmp(line + length - 5, "-----", 5) || length - before - 5 >= LABEL_MAX)
        return false;
    memcpy(label, line + before, length - before - 5);
    label[length - before - 5] = '\0';
    return true;
}

static bool line_contains(const char *line, size_t length, const char *word)
{
    for (size_t at = 0; range_fits(at, strlen(word), length); at++)
        if (!memcmp(line + at, word, strlen(word)))
            return true;
    return false;
}

/* Returns what is wrong with a line outside all blocks; NULL if it is text. */
static const char *stray(const char *line, size_t length)
{
    static const char *const remains[] = {"BEGIN X509 CRL",  "END X509 CRL", "BEGIN CERTIFICATE",
                                          "END CERTIFICATE", "-----BEGIN",   "-----END"};
    size_t digits = 0;
    for (size_t i = 0; i < length; i++) {
        const u8 c = (u8)line[i], low = c | 0x20;
        if ((c < ' ' && !strchr("\t\r\f\v", c)) || !c || c == 0x7f)
            return "bytes that are not text come before it or at the end of the file";
        digits += (c >= '0' && c <= '9') || (low >= 'a' && low <= 'z') || c == '+' || c == '/';
    }
    for (size_t i = 0; i < ARRAY_SIZE(remains); i++)
        if (line_contains(line, length, remains[i]))
            return "the line of dashes before or after it is damaged";
    if (length && line[0] == '-')
        return "it was cut or damaged in a line of dashes";
    return length >= 60 && digits == length ? "its first line is missing" : NULL;
}

/* Reads the base64 up to the END line. */
static int read_block(struct x509_reading *r, const char *label)
{
    const size_t from = r->at;
    const char *line;
    char end[LABEL_MAX];
    size_t length, until = from, size, which = 0;
    bool ended = false;
    while (!ended && next_line(r, &line, &length)) {
        ended = boundary(line, length, "-----END ", end);
        if (!ended && line_contains(line, length, "-----"))
            break;
        until = ended ? until : r->at;
    }
    if (!ended || strcmp(label, end))
        return refuse(r, label, "it has no line -----END ...-----: the file was cut or damaged");
    while (which < ARRAY_SIZE(kinds) && strcmp(kinds[which].label, label))
        which++;
    if (which == ARRAY_SIZE(kinds))
        return is_key(label) ? 0 : refuse(r, label, "neither CERTIFICATE nor X509 CRL");
    u8 *der = malloc(until - from + 1);
    if (!der)
        return no_memory(r);
    enum entry entry = text_decode_base64(r->data + from, until - from, der, until - from, &size)
                           ? kinds[which].take(r, der, size)
                           : ENTRY_DAMAGED;
    free(der);
    if (entry == ENTRY_NO_MEMORY)
        return no_memory(r);
    return entry == ENTRY_TAKEN ? 0 : refuse(r, label, "it is damaged");
}

static int read_pem(struct x509_reading *r)
{
    const char *line;
    size_t length;
    char label[LABEL_MAX];
    while (next_line(r, &line, &length)) {
        if (boundary(line, length, "-----BEGIN ", label)) {
            r->entry++;
            if (read_block(r, label))
                return -1;
            continue;
        }
        const char *why = stray(line, length);
        if (why) {
            r->entry++;
            return refuse(r, "of an unknown kind", why);
        }
    }
    return 0;
}

/* --- A file ----------------------------------------------------------------------------------- */

int crypto_x509_read(const void *data, size_t size, struct crypto_certificates *certificates,
                     struct crypto_crls *lists, struct error *e)
{
    struct x509_reading r = {
        .data = data, .size = size, .certificates = certificates, .lists = lists, .error = e};
    library_start();
    if (size >= 3 && !memcmp(data, "\xef\xbb\xbf", 3)) /* some editors begin UTF-8 with it */
        r.at = 3;
    const bool der = size > 2 && r.data[0] == DER_SEQUENCE && r.data[1] >= 0x80;
    int result = der ? read_der(&r) : read_pem(&r);
    ERR_clear_error();
    return result;
}

void crypto_certificates_free(struct crypto_certificates *c)
{
    for (size_t i = 0; i < c->count; i++)
        crypto_certificate_free(c->list[i]);
    free(c->list);
    *c = (struct crypto_certificates){0};
}

void crypto_crls_free(struct crypto_crls *c)
{
    for (size_t i = 0; i < c->count; i++)
        crypto_crl_free(c->list[i]);
    free(c->list);
    *c = (struct crypto_crls){0};
}
