/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of files that SEV users have, and the marks that each is recognised by; see
 * recognise.h. */
#include "base/recognise.h"

/* Bytes at an offset, in a file of `size` bytes, or of any size if it is 0. The first row that fits
 * wins. */
struct mark {
    const char *name;
    enum recognised_as as;
    size_t size, at;
    size_t length;
    const char *bytes;
};

#define TABLE "a table of certificates of an extended report"

/* A string literal and its length without the NUL. */
#define BYTES(text) sizeof(text) - 1, text

#define VCEK_GUID        "\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd"
#define VLEK_GUID        "\xa8\x07\x4b\xc2\xa2\x5a\x48\x3e\xaa\xe6\x39\xc0\x45\xa0\xb8\xa1"
#define ASK_GUID         "\x4a\xb7\xb3\x79\xbb\xac\x4f\xe4\xa0\x2f\x05\xae\xf3\x27\xc7\x82"
#define CAPSULE_GUID     "\xbd\x86\x66\x3b\x76\x0d\x30\x40\xb7\x0e\xb5\x51\x9e\x2f\xc5\xa0"
#define FMP_CAPSULE_GUID "\xed\xd5\xcb\x6d\x2d\xe8\x44\x4c\xbd\xa1\x71\x94\x19\x9a\xd9\x2a"
#define ARK_GUID         "\xc0\xb4\x06\xa4\xa8\x03\x49\x52\x97\x43\x3f\xb6\x01\x4c\xd0\xae"
#define CRL_GUID         "\x92\xf8\x1b\xc3\x58\x11\x4d\x3d\x97\xff\xd1\x9f\x88\xdc\x67\xea"

// clang-format off
/* A table of certificates by its first entry, whole or not [snp 6.3]. */
static const struct mark tables[] = {
    {TABLE, AS_TABLE, 0, 0, BYTES(VCEK_GUID)},
    {TABLE, AS_TABLE, 0, 0, BYTES(VLEK_GUID)},
    {TABLE, AS_TABLE, 0, 0, BYTES(ASK_GUID)},
    {TABLE, AS_TABLE, 0, 0, BYTES(ARK_GUID)},
    {TABLE, AS_TABLE, 0, 0, BYTES(CRL_GUID)},
};

static const struct mark marks[] = {
    /* An SNP report has 1184 bytes: its signature's algorithm is 1, a legacy report's is 2 [snp 7, sev 7.8]. */
    {"an SNP report",                             AS_OTHER, 1184, 0x34, BYTES("\x01\0\0\0")},
    {"a legacy attestation report",               AS_OTHER,  208, 0x34, BYTES("\x02\x10\0\0\x02\0\0\0")},
    {"the firmware's answer with an SNP report, which begins at byte 32", AS_OTHER, 0, 0, BYTES("\0\0\0\0\xa0\x04\0\0")},
    {"an HCL report of Azure, whose SNP report begins at byte 32", AS_OTHER, 0, 0, BYTES("HCLA")},
    {"a quote of Intel's TDX",                    AS_OTHER, 0, 0, BYTES("\x04\0\x02\0\x81\0\0\0")},
    /* SEV's own certificates: the version, then at 8 the usage of the first [sev 8.1, 8.3, 8.5]. */
    {"a SEV chain (PDH, PEK, OCA, CEK)",          AS_OTHER, 8336, 8, BYTES("\x03\x10\0\0")},
    {"a SEV chain with ASK and ARK",              AS_OTHER, 8336 + 3200, 8, BYTES("\x03\x10\0\0")},
    {"a SEV chain with ASK and ARK",              AS_OTHER, 8336 + 1664, 8, BYTES("\x03\x10\0\0")},
    {"a PDH without PEK, OCA and CEK",            AS_OTHER, 2084, 8, BYTES("\x03\x10\0\0")},
    {"PEK, OCA and CEK without the PDH",          AS_OTHER, 6252, 8, BYTES("\x02\x10\0\0")},
    {"a PEK, or the request to sign one",         AS_OTHER, 2084, 8, BYTES("\x02\x10\0\0")},
    {"an OCA",                                    AS_OTHER, 2084, 8, BYTES("\x01\x10\0\0")},
    {"a CEK",                                     AS_OTHER, 2084, 8, BYTES("\x04\x10\0\0")},
    {"AMD's SEV root (ASK, ARK)",                 AS_OTHER, 3200, 0x24, BYTES("\x13\0\0\0")},
    {"AMD's SEV root (ASK, ARK)",                 AS_OTHER, 1664, 0x24, BYTES("\x13\0\0\0")},
    /* What a guest is made of. */
    {"an EFI capsule",                            AS_OTHER, 0, 0, BYTES(CAPSULE_GUID)},
    {"an EFI capsule",                            AS_OTHER, 0, 0, BYTES(FMP_CAPSULE_GUID)},
    {"an IGVM file",                              AS_OTHER, 0, 0, BYTES("IGVM")},
    {"an ELF file",                               AS_OTHER, 0, 0, BYTES("\x7f" "ELF")},
    {"a Linux kernel (bzImage)",                  AS_OTHER, 0, 0x202, BYTES("HdrS")},
    {"a PE program",                              AS_OTHER, 0, 0, BYTES("MZ")},
    {"a cpio archive",                            AS_OTHER, 0, 0, BYTES("07070")},
    {"a disk image (qcow2)",                      AS_OTHER, 0, 0, BYTES("QFI\xfb")},
    {"a file that gzip has compressed",           AS_WRAPPED, 0, 0, BYTES("\x1f\x8b")},
    {"a file that xz has compressed",             AS_WRAPPED, 0, 0, BYTES("\xfd" "7zXZ")},
    {"a file that zstd has compressed",           AS_WRAPPED, 0, 0, BYTES("\x28\xb5\x2f\xfd")},
    {"a ZIP archive",                             AS_WRAPPED, 0, 0, BYTES("PK\x03\x04")},
    {"a tar archive",                             AS_WRAPPED, 0, 257, BYTES("ustar")},
    {"text in UTF-16; UTF-8 or ASCII is needed",  AS_WRAPPED, 0, 0, BYTES("\xff\xfe")},
    {"text in UTF-16; UTF-8 or ASCII is needed",  AS_WRAPPED, 0, 0, BYTES("\xfe\xff")},
    {"text with a byte order mark, which must go", AS_WRAPPED, 0, 0, BYTES("\xef\xbb\xbf")},
};

/* PEM, by what stands in a line of dashes anywhere in the file, lists first. Beside a key there may be a list. */
static const struct mark labels[] = {
    {"a revocation list in PEM",                  AS_X509,  0, 0, BYTES("BEGIN X509 CRL")},
    {"a revocation list in PEM",                  AS_X509,  0, 0, BYTES("END X509 CRL")},
    {"a certificate request in PEM",              AS_X509,  0, 0, BYTES("BEGIN CERTIFICATE REQUEST")},
    {"a certificate in PEM",                      AS_X509,  0, 0, BYTES("BEGIN CERTIFICATE")},
    {"a certificate in PEM",                      AS_X509,  0, 0, BYTES("END CERTIFICATE")},
    {"a private key in PEM",                      AS_X509,  0, 0, BYTES("PRIVATE KEY-----")},
    {"a public key in PEM",                       AS_X509,  0, 0, BYTES("PUBLIC KEY-----")},
    {"a file in PEM",                             AS_X509,  0, 0, BYTES("-----BEGIN ")},
};
// clang-format on

static bool fits(const struct mark *m, const u8 *data, size_t size)
{
    return (!m->size || m->size == size) && range_fits(m->at, m->length, size) &&
           !memcmp(data + m->at, m->bytes, m->length);
}

static bool contains(const struct mark *m, const u8 *data, size_t size)
{
    for (size_t at = 0; range_fits(at, m->length, size); at++)
        if (data[at] == (u8)m->bytes[0] && !memcmp(data + at, m->bytes, m->length))
            return true;
    return false;
}

#define TABLE_ENTRY 24u /* bytes: GUID, offset, length */

/* Recognises a whole table whatever its entries are: they end with one of zeros, and what each
 * stands for lies after that. */
static bool is_table(const u8 *data, size_t size)
{
    static const u8 last[TABLE_ENTRY];
    size_t end = 0;
    while (range_fits(end, TABLE_ENTRY, size) && memcmp(data + end, last, TABLE_ENTRY))
        end += TABLE_ENTRY;
    if (!end || !range_fits(end, TABLE_ENTRY, size))
        return false;
    for (size_t at = 0; at < end; at += TABLE_ENTRY) {
        const u32 offset = load_le32(data + at + 16), length = load_le32(data + at + 20);
        if (offset < end + TABLE_ENTRY || !range_fits(offset, length, size))
            return false;
    }
    return true;
}

/* Recognises DER by its first bytes: a SEQUENCE of many bytes that begins with a SEQUENCE
 * (certificates and lists) or with a number (keys). */
static struct recognised recognise_der(const u8 *data)
{
    const u8 *content = data + 2 + (data[1] & 0x7f);
    if (content[0] == 0x30)
        return (struct recognised){AS_X509, "a certificate or a revocation list in DER"};
    return content[0] == 0x02 ? (struct recognised){AS_OTHER, "a key in DER"}
                              : (struct recognised){AS_X509, "a file in DER"};
}

/* The characters of a text, counted by what they can be part of. */
struct letters {
    size_t count; /* without white space */
    size_t hex, base64, url, colons, quotes, padding;
    u8 first, second;
};

static bool is_white(u8 c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void count_letter(struct letters *l, u8 c)
{
    const u8 low = c | 0x20;
    const bool digit = c >= '0' && c <= '9', letter = low >= 'a' && low <= 'z';
    l->first = l->count == 0 ? c : l->first;
    l->second = l->count == 1 ? c : l->second;
    l->count++;
    l->hex += digit || (letter && low <= 'f');
    l->base64 += digit || letter || c == '+' || c == '/';
    l->url += c == '-' || c == '_';
    l->colons += c == ':';
    l->quotes += c == '"' || c == '\'';
    l->padding += c == '=';
}

/* Returns false for what is no text. NULs at the end are what C programs leave there. */
static bool count_letters(const u8 *data, size_t size, struct letters *l)
{
    *l = (struct letters){.count = 0};
    for (size_t i = 0; i < size; i++) {
        if (is_white(data[i]))
            continue;
        if (data[i] < ' ' || data[i] == 0x7f || data[i] == 0xff)
            return false;
        count_letter(l, data[i]);
    }
    return true;
}

/* Names a text that only nearly has a form that is read, and what keeps it from that. */
static const char *near_form(const struct letters *l, bool nuls)
{
    const bool base64 = l->base64 + l->padding == l->count;
    if (nuls && base64)
        return "a text that ends with NUL bytes, which must go";
    if (l->first == '0' && (l->second | 0x20) == 'x' && l->hex == l->count - 1)
        return "a text of hexadecimal digits after 0x, which must go";
    if (l->colons && l->hex + l->colons == l->count)
        return "a text of hexadecimal digits with colons, which must go";
    if (l->quotes && l->base64 + l->padding + l->quotes == l->count)
        return "a text in quotes, which must go";
    if (l->hex == l->count && l->count % 2)
        return "a text of hexadecimal digits, one of which is missing";
    if (base64 && l->hex < l->count && l->count % 4)
        return "a text in base64 that was cut or lacks its padding (=)";
    if (l->url && l->base64 + l->padding + l->url == l->count)
        return "a text in base64 for URLs; it must have + and / in place of - and _";
    return NULL;
}

/* Recognises a text by the characters in it. */
static struct recognised recognise_text(const u8 *data, size_t size)
{
    struct letters l;
    size_t end = size;
    while (end && !data[end - 1])
        end--;
    if (!count_letters(data, end, &l) || size - end > end)
        return (struct recognised){AS_UNKNOWN, RECOGNISED_UNKNOWN};
    if (!l.count)
        return (struct recognised){AS_UNKNOWN, "an empty file"};
    const char *near = near_form(&l, end < size);
    if (near)
        return (struct recognised){AS_WRAPPED, near};
    if (end < size)
        return (struct recognised){AS_UNKNOWN, RECOGNISED_UNKNOWN};
    if (l.hex == l.count)
        return (struct recognised){AS_UNKNOWN, "a text of hexadecimal digits"};
    if (l.base64 + l.padding == l.count)
        return (struct recognised){AS_UNKNOWN, "a text in base64"};
    return l.first == '{' || l.first == '[' ? (struct recognised){AS_OTHER, "a JSON file"}
                                            : (struct recognised){AS_OTHER, "a text"};
}

struct recognised recognise(const void *data, size_t size)
{
    const u8 *bytes = data;
    /* Before PEM, which a table may hold. */
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
        if (fits(&tables[i], bytes, size))
            return (struct recognised){tables[i].as, tables[i].name};
    if (is_table(bytes, size))
        return (struct recognised){AS_TABLE, TABLE};
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        if (contains(&labels[i], bytes, size))
            return (struct recognised){labels[i].as, labels[i].name};
    if (size > 6 && bytes[0] == 0x30 && bytes[1] > 0x80 && bytes[1] <= 0x84)
        return recognise_der(bytes);
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
        if (fits(&marks[i], bytes, size))
            return (struct recognised){marks[i].as, marks[i].name};
    return recognise_text(bytes, size);
}
