/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of certificates and revocation lists: whatever is in them is read or refused by its place.
 * Damage of every byte of a list leads to an error, or to a list that is there and does not verify;
 * never to a file without it.
 */
#include "base/recognise.h"
#include "crypto/crypto.h"
#include "crypto/der.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define TIME 1704067200ll

static struct crypto *crypto;
static struct rsa_private *key;
static u8 certificate[4096], list[4096];
static size_t certificate_size, list_size;
static char certificate_pem[8192], list_pem[8192];

static int make(void **state)
{
    (void)state;
    static const u8 salt[32] = {7};
    crypto = crypto_create("x509 files", 10);
    key = crypto_rsa_generate(crypto, 2048);
    struct rsa_public public;
    crypto_rsa_public(key, &public);
    const struct x509_signer signer = {.crypto = crypto, .salt_key = salt, .key = key};
    const struct x509_certificate c = {.serial = 1,
                                       .issuer = {.common = "one"},
                                       .subject = {.common = "one"},
                                       .not_before = TIME,
                                       .not_after = TIME + 1000,
                                       .rsa = &public};
    const u64 serials[] = {2};
    const struct x509_list l = {.issuer = {.common = "one"},
                                .this_update = TIME,
                                .next_update = TIME + 1000,
                                .revoked = serials,
                                .revoked_count = 1};
    certificate_size = crypto_x509_certificate(&signer, &c, certificate, sizeof certificate);
    list_size = crypto_x509_list(&signer, &l, list, sizeof list);
    size_t a = crypto_pem("CERTIFICATE", certificate, certificate_size, certificate_pem,
                          sizeof certificate_pem);
    size_t b = crypto_pem("X509 CRL", list, list_size, list_pem, sizeof list_pem);
    return certificate_size && list_size && a && b ? 0 : -1;
}

static int unmake(void **state)
{
    (void)state;
    crypto_rsa_free(key);
    crypto_destroy(crypto);
    return 0;
}

struct counts {
    size_t certificates, lists;
    bool read;
    char why[500];
};

static struct counts read_file(const void *data, size_t size)
{
    struct crypto_certificates certificates = {.count = 0};
    struct crypto_crls lists = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    struct counts n = {.read = !crypto_x509_read(data, size, &certificates, &lists, &e)};
    n.certificates = certificates.count;
    n.lists = lists.count;
    assert_int_equal(n.read, e.code == ERROR_NONE);
    assert_int_equal(n.read, !*e.text);
    snprintf(n.why, sizeof n.why, "%s", e.text);
    crypto_certificates_free(&certificates);
    crypto_crls_free(&lists);
    assert_null(lists.list);
    return n;
}

static struct counts read_text(const char *format, const char *a, const char *b)
{
    char text[20000];
    int size = snprintf(text, sizeof text, format, a, b);
    assert_in_range(size, 0, sizeof text - 1);
    return read_file(text, (size_t)size);
}

static void assert_counts(struct counts n, size_t certificates, size_t lists)
{
    if (!n.read)
        print_message("# %s\n", n.why);
    assert_true(n.read);
    assert_int_equal(n.certificates, certificates);
    assert_int_equal(n.lists, lists);
}

#define assert_refused(n, text)                                                                    \
    do {                                                                                           \
        struct counts got = n;                                                                     \
        assert_false(got.read);                                                                    \
        if (!strstr(got.why, text))                                                                \
            print_message("# %s\n", got.why);                                                      \
        assert_non_null(strstr(got.why, text));                                                    \
    } while (0)

static void every_form_is_read(void **state)
{
    (void)state;
    char crlf[8192];
    size_t n = 0;
    for (const char *p = list_pem; *p; p++) {
        if (*p == '\n')
            crlf[n++] = '\r';
        crlf[n++] = *p;
    }
    assert_counts(read_file(certificate, certificate_size), 1, 0);
    assert_counts(read_file(list, list_size), 0, 1);
    assert_counts(read_file(crlf, n), 0, 1);
    assert_counts(read_text("%s%s", certificate_pem, list_pem), 1, 1);
    assert_counts(read_text("\xef\xbb\xbf%s\n\n%s", list_pem, certificate_pem), 1, 1);
    assert_counts(
        read_text("Certificate:\n    Serial: 1\n%s\nthe list:\n%s# end", certificate_pem, list_pem),
        1, 1);
    assert_counts(read_text("-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC "
                            "PARAMETERS-----\n%s%s",
                            certificate_pem, list_pem),
                  1, 1);
    assert_counts(read_file("", 0), 0, 0);
    assert_counts(read_text("nothing %s%s", "", ""), 0, 0);
}

static void there_is_no_most(void **state)
{
    (void)state;
    const size_t one = strlen(list_pem), other = strlen(certificate_pem);
    char *many = malloc(200 * (one + other) + MIB(1));
    assert_non_null(many);
    size_t n = 0;
    for (int i = 0; i < 200; i++) {
        memcpy(many + n, list_pem, one);
        memcpy(many + n + one, certificate_pem, other);
        n += one + other;
    }
    memset(many + n, '#', MIB(1));
    assert_counts(read_file(many, n + MIB(1)), 200, 200);
    free(many);
}

static void what_cannot_be_read_is_named(void **state)
{
    (void)state;
    char mixed[20000];
    size_t pem = strlen(certificate_pem);
    memcpy(mixed, certificate_pem, pem);
    memcpy(mixed + pem, list, list_size);
    assert_refused(read_file(mixed, pem + list_size),
                   "entry 2 (of an unknown kind): bytes that are not text");
    memcpy(mixed, list, list_size);
    memcpy(mixed + list_size, list_pem, strlen(list_pem));
    assert_refused(read_file(mixed, list_size + strlen(list_pem)), "nothing after it");
    assert_refused(read_file(list, list_size - 1), "whole");
    mixed[list_size] = 0;
    assert_refused(read_file(mixed, list_size + 1), "nothing after it");
    assert_refused(read_text("%s-----BEGIN X509 CRL-----\nMIIB\n%s", certificate_pem, ""),
                   "entry 2 (X509 CRL): it has no line -----END");
    assert_refused(read_text("%s-----BEGIN X509 CRL-----\nMIIB\n%s", certificate_pem, list_pem),
                   "entry 2 (X509 CRL): it has no line -----END");
    assert_refused(read_text("%s-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n%s",
                             certificate_pem, ""),
                   "entry 2 (X509 CRL): it is damaged");
    assert_refused(
        read_text("%s-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n%s", certificate_pem, ""),
        "entry 2 (PKCS7): neither CERTIFICATE nor X509 CRL");
    assert_refused(read_text("%s----BEGIN X509 CRL-----\n%s", certificate_pem, ""),
                   "entry 2 (of an unknown kind)");
    assert_refused(read_text("%s%s", certificate_pem, strchr(list_pem, '\n')), "entry 2");
    const char *body = strchr(list_pem, '\n') + 1;
    snprintf(mixed, sizeof mixed, "%.*s", (int)(strstr(body, "-----END") - body), body);
    assert_refused(read_text("%s%s", certificate_pem, mixed), "entry 2");
}

/* The file begins with a list that stays whole. Another one after it is cut at each byte. */
static void a_cut_file_does_not_lose_a_list(void **state)
{
    (void)state;
    char file[20000];
    const size_t one = strlen(list_pem);
    snprintf(file, sizeof file, "%s%s", list_pem, list_pem);
    for (size_t n = one + 1; n < 2 * one; n++) {
        struct counts c = read_file(file, n);
        assert_true(!c.read || c.lists == 2);
        assert_true(!c.read || n + 1 == 2 * one); /* without its last line break */
    }
    for (size_t n = 1; n < list_size; n++)
        assert_false(read_file(list, n).read && n > 2);
}

static void a_damaged_file_does_not_lose_a_list(void **state)
{
    (void)state;
    static const u8 damage[] = {0x01, 0x20, 0x80};
    char file[20000];
    size_t intact = 0;
    int size = snprintf(file, sizeof file, "%s%s", certificate_pem, list_pem);
    for (size_t i = strlen(certificate_pem); i < (size_t)size - 1; i++)
        for (size_t d = 0; d < ARRAY_SIZE(damage); d++) {
            file[i] = (char)(file[i] ^ damage[d]);
            struct counts c = read_file(file, (size_t)size);
            assert_true(!c.read || (c.lists == 1 && c.certificates == 1));
            intact += c.read;
            file[i] = (char)(file[i] ^ damage[d]);
        }
    for (size_t i = 0; i < list_size; i++)
        for (size_t d = 0; d < ARRAY_SIZE(damage); d++) {
            list[i] ^= damage[d];
            struct counts c = read_file(list, list_size);
            assert_true(!c.read || c.lists == 1);
            list[i] ^= damage[d];
        }
    assert_true(intact > 0); /* damage inside of a signature is not the reader's to see */
}

static void kinds_of_files_are_recognised(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        const char *bytes;
        size_t count;
        size_t at;
        enum recognised_as as;
        const char *name;
    } rows[] = {
        {1184, "\1\0\0\0", 4, 0x34, AS_OTHER, "SNP report"},
        {1216, "\0\0\0\0\xa0\x04\0\0", 8, 0, AS_OTHER, "begins at byte 32"},
        {208, "\x02\x10\0\0\x02\0\0\0", 8, 0x34, AS_OTHER, "legacy"},
        {8336, "\3\x10\0\0", 4, 8, AS_OTHER, "SEV chain"},
        {2084, "\3\x10\0\0", 4, 8, AS_OTHER, "PDH"},
        {6252, "\2\x10\0\0", 4, 8, AS_OTHER, "without the PDH"},
        {3200, "\x13\0\0\0", 4, 0x24, AS_OTHER, "SEV root"},
        {5000, "IGVM", 4, 0, AS_OTHER, "IGVM"},
        {5000,
         "\x7f"
         "ELF",
         4, 0, AS_OTHER, "ELF"},
        {5000, "HdrS", 4, 0x202, AS_OTHER, "Linux"},
        {5000, "\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd", 16, 0, AS_TABLE,
         "table"},
        {5000, "\x77", 1, 0, AS_UNKNOWN, "of an unknown kind"},
        {9, "{\"a\": 1}\n", 9, 0, AS_OTHER, "JSON"},
        {13, "a text: here\n", 13, 0, AS_OTHER, "a text"},
        {8, "AAaa09+=", 8, 0, AS_UNKNOWN, "base64"},
        {8, "AAaa09\r\n", 8, 0, AS_UNKNOWN, "hexadecimal"},
        {3, " \r\n", 3, 0, AS_UNKNOWN, "empty"},
        {0, "", 0, 0, AS_UNKNOWN, "empty"},
        {5000, "HCLA", 4, 0, AS_OTHER, "HCL report of Azure, whose SNP report begins at byte 32"},
        {5000, "\4\0\2\0\x81\0\0\0", 8, 0, AS_OTHER, "TDX"},
        {5000, "PK\3\4", 4, 0, AS_WRAPPED, "ZIP"},
        {5000, "\xfe\xff", 2, 0, AS_WRAPPED, "UTF-16"},
        {8,
         "\xef\xbb\xbf"
         "AAaa\n",
         8, 0, AS_WRAPPED, "byte order mark"},
        {8, "AAaz", 4, 0, AS_WRAPPED, "NUL"},
        {8, "abcd", 4, 0, AS_WRAPPED, "NUL"},
        {8, "0x00aaff", 8, 0, AS_WRAPPED, "0x"},
        {8, "00:aa:ff", 8, 0, AS_WRAPPED, "colons"},
        {8, "\"AAaa0=\"", 8, 0, AS_WRAPPED, "quotes"},
        {7, "00aaff0", 7, 0, AS_WRAPPED, "one of which is missing"},
        {7, "AAaz09+", 7, 0, AS_WRAPPED, "padding"},
        {8, "AAaz_9-=", 8, 0, AS_WRAPPED, "for URLs"},
        {8, "\0\0\0\0\0\0\0\0", 8, 0, AS_UNKNOWN, "of an unknown kind"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u8 *data = calloc(1, rows[i].size + 1);
        assert_non_null(data);
        memcpy(data + rows[i].at, rows[i].bytes, rows[i].count);
        const struct recognised r = recognise(data, rows[i].size);
        if (r.as != rows[i].as || !strstr(r.name, rows[i].name))
            print_message("# row %zu: %s\n", i, r.name);
        assert_int_equal(r.as, rows[i].as);
        assert_non_null(strstr(r.name, rows[i].name));
        free(data);
    }
    assert_int_equal(recognise("-----BEGIN PRIVATE KEY-----", 27).as, AS_X509); /* and a list? */
    assert_int_equal(recognise(certificate, certificate_size).as, AS_X509);
    assert_int_equal(recognise(list, list_size).as, AS_X509);
    assert_int_equal(recognise(list_pem, strlen(list_pem)).as, AS_X509);
    assert_int_equal(recognise(list_pem + 40, strlen(list_pem) - 40).as, AS_X509);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(there_is_no_most),
        cmocka_unit_test(what_cannot_be_read_is_named),
        cmocka_unit_test(a_cut_file_does_not_lose_a_list),
        cmocka_unit_test(a_damaged_file_does_not_lose_a_list),
        cmocka_unit_test(kinds_of_files_are_recognised),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
