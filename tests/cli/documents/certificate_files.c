/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and revocation lists in files and folders. A list that is given counts, or the
 * command says which file it could not use: however many there are, however large the file,
 * whatever stands beside them.
 */
#include "authority/authority.h"
#include "base/bytes.h"
#include "base/encoding.h"
#include "cli/owner/owner_cli.h"
#include "guest/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "output.h"

static char folder[] = "/tmp/softsev-certificates-XXXXXX";
static u8 list[AUTHORITY_CERT_MAX], ask[AUTHORITY_CERT_MAX];
static size_t list_size, ask_size;
static char list_pem[2 * AUTHORITY_CERT_MAX], ask_pem[2 * AUTHORITY_CERT_MAX];

static int make(void **state)
{
    (void)state;
    struct crypto *crypto = crypto_create("pile", 4);
    struct authority *a = authority_create(crypto, 2048);
    const struct authority_product *milan = authority_product_find("Milan");
    const struct authority_terms terms = {.not_before = 0};
    list_size = authority_crl(a, milan, 1u << AUTHORITY_ASK, &terms, list, sizeof list);
    ask_size = authority_certificate(a, milan, AUTHORITY_ASK, &terms, ask, sizeof ask);
    bool good = crypto_pem("X509 CRL", list, list_size, list_pem, sizeof list_pem) &&
                crypto_pem("CERTIFICATE", ask, ask_size, ask_pem, sizeof ask_pem);
    authority_free(a);
    crypto_destroy(crypto);
    return good && mkdtemp(folder) && !chdir(folder) ? 0 : -1;
}

static int unmake(void **state)
{
    (void)state;
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") || system(command) ? -1 : 0;
}

/* --crl or --certs, and what came of it. */
struct added {
    int result;
    size_t certificates, lists;
    char why[500];
};

static struct added add(bool lists_alone, const char *paths)
{
    struct crypto_certificates certificates = {.count = 0};
    struct crypto_crls lists = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    struct added a = {
        .result = lists_alone ? owner_add_crls(&lists, paths, &e)
                              : owner_add_certificates(&certificates, &lists, "certs", paths, &e)};
    a.certificates = certificates.count;
    a.lists = lists.count;
    snprintf(a.why, sizeof a.why, "%s", e.text);
    assert_int_equal(!a.result, e.code == ERROR_NONE);
    assert_true(!a.result || e.code == ERROR_FILE || e.code == ERROR_USAGE);
    crypto_certificates_free(&certificates);
    crypto_crls_free(&lists);
    return a;
}

static void assert_added(struct added a, size_t certificates, size_t lists)
{
    if (a.result)
        print_message("# %s\n", a.why);
    assert_int_equal(a.result, 0);
    assert_int_equal(a.certificates, certificates);
    assert_int_equal(a.lists, lists);
}

static void assert_refused(struct added a, const char *file, const char *why)
{
    assert_int_equal(a.result, -1);
    if (!strstr(a.why, file) || !strstr(a.why, why))
        print_message("# %s\n", a.why);
    assert_non_null(strstr(a.why, file));
    assert_non_null(strstr(a.why, why));
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void files_are_read_whole(void **state)
{
    (void)state;
    char *many = malloc(100 * sizeof list_pem);
    assert_non_null(many);
    *many = '\0';
    for (int i = 0; i < 100; i++)
        strcat(many, list_pem);
    write_text("many.pem", many);
    free(many);
    write_text("list.pem", list_pem);
    write_file("list.der", list, list_size);
    write_text("ask.pem", ask_pem);
    assert_added(add(true, "many.pem"), 0, 100);
    assert_added(add(true, "many.pem,list.der,list.pem"), 0, 102);
    assert_added(add(false, "ask.pem,ask.pem"), 2, 0);
    assert_added(add(false, "ask.pem,list.der"), 1, 1);
    static const char *const with_empty_names[] = {"ask.pem,", ",ask.pem", "ask.pem,,ask.pem", ","};
    for (size_t i = 0; i < ARRAY_SIZE(with_empty_names); i++)
        assert_refused(add(false, with_empty_names[i]), "--certs", "separated by commas");
    assert_refused(add(true, "ask.pem"), "ask.pem", "a certificate in PEM, not a revocation list");
    assert_refused(add(true, "none.pem"), "none.pem", "");
    write_text("report.hex", "0102030405060708");
    assert_refused(add(true, "report.hex"), "report.hex",
                   "a text of hexadecimal digits, not a revocation list");
    assert_refused(add(false, "report.hex"), "report.hex",
                   "a text of hexadecimal digits, not a certificate");
    write_text("empty", "");
    assert_refused(add(false, "empty"), "empty", "an empty file, not a certificate");
    assert_int_equal(truncate("empty", (off_t)MIB(16) + 1), 0);
    assert_refused(add(true, "empty"), "empty", "at most 16 MiB");
}

/* One file after the other in a folder that has a good list already. */
static void a_folder_of_lists_has_no_file_that_is_not_read(void **state)
{
    (void)state;
    static u8 large[KIB(80) + sizeof list_pem];
    assert_int_equal(mkdir("crls", 0755), 0);
    write_text("crls/a.pem", list_pem);
    assert_added(add(true, "crls"), 0, 1);

    memset(large, '#', sizeof large);
    memcpy(large, list_pem, strlen(list_pem));
    large[strlen(list_pem)] = '\n';
    write_file("crls/b", large, KIB(80));
    assert_added(add(true, "crls"), 0, 2);

    static const struct {
        const char *text; /* NULL: a part of the list in DER */
        size_t size;
        const char *why; /* NULL: passed over */
    } files[] = {
        {"", 0, "an empty file"},
        {list_pem, 400, "it has no line -----END"},
        {list_pem + 40, 500, "a text in base64"},
        {NULL, 400, "whole and with nothing after it"},
        {"\x01\x02\x03\x04\x05\x06", 6, "of an unknown kind"},
        {"MIIC+ab/\nMIIC", 13, "whole and with nothing after it"},
        {"AAIC+ab/\nMIIC", 13, "base64"},
        {"MIIC-ab_", 8, "base64 for URLs"}, /* a list may be in each of these */
        {"\"MIIC\"\n", 7, "in quotes"},
        {"PK\3\4....", 8, "a ZIP archive"},
        {"\x1f\x8b\b\0....", 8, "gzip has compressed"},
        {"What these files are.\n", 22, NULL},
        {"{\"a\": 1}", 8, NULL},
        {"-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----\n", 59, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        const void *data = files[i].text ? (const void *)files[i].text : list;
        write_file("crls/c", data, files[i].size);
        if (files[i].why)
            assert_refused(add(true, "crls"), "crls/c", files[i].why);
        else
            assert_added(add(true, "crls"), 0, 2);
    }
    assert_int_equal(unlink("crls/c"), 0);
    assert_int_equal(mkdir("crls/c", 0755), 0);
    assert_refused(add(true, "crls"), "crls/c", "not a regular file");
    assert_int_equal(rmdir("crls/c"), 0);
    assert_int_equal(symlink("nowhere", "crls/c"), 0);
    assert_refused(add(true, "crls"), "crls/c", "");
    assert_int_equal(unlink("crls/c"), 0);
    assert_int_equal(mkfifo("crls/c", 0644), 0);
    assert_refused(add(true, "crls"), "crls/c", "not a regular file");
    assert_int_equal(unlink("crls/c"), 0);
    write_text("crls/c", ask_pem);
    assert_added(add(true, "crls"), 0, 2);
}

static void write_text_form(const char *path, bool hex, const u8 *data, size_t size)
{
    static char text[2 * AUTHORITY_CERT_MAX + 1], lines[3 * AUTHORITY_CERT_MAX];
    if (hex)
        hex_encode(text, data, size);
    else
        text_encode_base64(text, data, size);
    size_t n = 0;
    for (size_t at = 0; text[at]; at++)
        n += (size_t)sprintf(lines + n, at % 60 == 59 ? "%c\r\n" : "%c", text[at]);
    write_file(path, lines, n);
}

/* A list that lies there as text counts as if it lay there in DER. */
static void text_says_the_same_as_its_bytes(void **state)
{
    (void)state;
    assert_int_equal(mkdir("texts", 0755), 0);
    for (int hex = 0; hex < 2; hex++) {
        write_text_form("texts/ask", hex, ask, ask_size);
        write_text_form("texts/list", hex, list, list_size);
        assert_added(add(false, "texts"), 1, 1);
        assert_added(add(false, "texts/ask"), 1, 0);
        assert_added(add(true, "texts/list"), 0, 1);
        assert_added(add(true, "texts"), 0, 1);
        write_text_form("texts/list", hex, (const u8 *)list_pem, strlen(list_pem));
        assert_added(add(false, "texts"), 1, 1);
        write_text_form("texts/list", hex, list, list_size - 1);
        assert_refused(add(false, "texts"), "texts/list", "whole");
        assert_refused(add(true, "texts"), "texts/list", "whole");
    }
}

static void a_folder_of_certificates_may_have_other_files(void **state)
{
    (void)state;
    static u8 report[1184] = {3};
    assert_int_equal(mkdir("certs", 0755), 0);
    assert_int_equal(mkdir("certs/more", 0755), 0);
    write_text("certs/ask.pem", ask_pem);
    write_file("certs/report.bin", report, sizeof report);
    write_text("certs/README", "Certificates.\n");
    write_file("certs/noise", "\x01\x02\x03", 3);
    write_file("certs/list.der", list, list_size); /* counts where it lies */
    assert_added(add(false, "certs"), 1, 1);
    write_file("certs/list.der", list, list_size - 1);
    assert_refused(add(false, "certs"), "certs/list.der", "whole");
    assert_int_equal(unlink("certs/list.der"), 0);
    assert_int_equal(unlink("certs/ask.pem"), 0);
    assert_refused(add(false, "certs"), "certs", "in this folder is not a certificate");
}

/* The table that comes with an extended report, as hosts and configfs-tsm give it. */
static void a_table_of_certificates_is_read(void **state)
{
    (void)state;
    u8 table[2 * PAGE_SIZE];
    const struct guest_certificate entries[] = {
        {.kind = GUEST_CERTIFICATE_ASK, .data = ask, .size = ask_size},
        {.kind = GUEST_CERTIFICATE_CRL, .data = list, .size = list_size},
        {.kind = GUEST_CERTIFICATE_OTHER, .guid = {1}, .data = "anything", .size = 8}};
    size_t size = guest_certificates_write(entries, ARRAY_SIZE(entries), table, sizeof table);
    assert_in_range(size, 1, sizeof table);
    write_file("table", table, size);
    assert_added(add(false, "table"), 1, 1);
    assert_added(add(true, "table"), 0, 1);
    write_file("table", table, size - 9);
    assert_refused(add(false, "table"), "table", "an entry outside of it");
    table[load_le32(table + 24 + 16) + 4] ^= 0x40; /* inside of the list's head */
    write_file("table", table, size);
    assert_refused(add(false, "table"), "table", "CRL in its table");
}

/* Entries come in any order, and in PEM where a host has them so. */
static void a_table_may_begin_with_any_entry(void **state)
{
    (void)state;
    static const u8 unknown[16] = {0x9f, 0x41, 0x16, 0xcd};
    u8 table[6 * PAGE_SIZE];
    char text[2 * sizeof table + 1];
    struct guest_certificate entries[] = {
        {.kind = GUEST_CERTIFICATE_OTHER, .data = "-----BEGIN CERTIFICATE-----", .size = 27},
        {.kind = GUEST_CERTIFICATE_ASK, .data = ask_pem, .size = strlen(ask_pem)},
        {.kind = GUEST_CERTIFICATE_CRL, .data = list_pem, .size = strlen(list_pem)}};
    memcpy(entries[0].guid, unknown, sizeof unknown);
    size_t size = guest_certificates_write(entries, ARRAY_SIZE(entries), table, sizeof table);
    assert_in_range(size, 1, sizeof table);
    write_file("any-table", table, size);
    assert_added(add(false, "any-table"), 1, 1);
    hex_encode(text, table, size);
    write_text("any-table.txt", text);
    assert_added(add(false, "any-table.txt"), 1, 1);
    size = guest_certificates_write(entries + 1, 2, table, sizeof table);
    write_file("any-table", table, size);
    assert_added(add(false, "any-table"), 1, 1);
    size = guest_certificates_write(entries + 2, 1, table, sizeof table);
    write_file("any-table", table, size);
    assert_added(add(true, "any-table"), 0, 1);
    write_file("any-table", table, size - 9);
    assert_refused(add(true, "any-table"), "any-table", "an entry outside of it");
    size = guest_certificates_write(entries, 1, table, sizeof table);
    write_file("any-table", table, size);
    assert_refused(add(false, "any-table"), "any-table",
                   "none of the 1 entries of this table of certificates is a VCEK");
    size = guest_certificates_write(entries + 1, 2, table, sizeof table);
    store_le32(table + 24 + 20, 0); /* a list that is not there must not pass for none */
    write_file("any-table", table, size);
    assert_refused(add(false, "any-table"), "any-table", "the CRL in its table has no bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_whole),
        cmocka_unit_test(a_folder_of_lists_has_no_file_that_is_not_read),
        cmocka_unit_test(text_says_the_same_as_its_bytes),
        cmocka_unit_test(a_folder_of_certificates_may_have_other_files),
        cmocka_unit_test(a_table_of_certificates_is_read),
        cmocka_unit_test(a_table_may_begin_with_any_entry),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
