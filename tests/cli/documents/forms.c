/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One content in every form in which people have it: raw, base64 and hexadecimal digits, in one
 * line or many, with either kind of line break. Whatever else it is, it is called by its name.
 */
#include "owner_rig.h"

#include "base/encoding.h"
#include "cli/run/run.h"

enum form { RAW, ONE_LINE, LINES_OF_76, CRLF, BLANKS_BEFORE, HEX, HEX_LINES, FORMS };

/* Breaks a text into lines. Returns its length. */
static size_t wrap(const char *text, size_t width, const char *end, char *out)
{
    size_t n = 0;
    for (size_t at = 0, length = strlen(text); at < length; at += width)
        n += (size_t)sprintf(out + n, "%.*s%s", (int)width, text + at, end);
    return n;
}

static void write_form(const char *path, enum form form, const void *data, size_t size)
{
    static char text[80000], lines[120000];
    size_t n = size;
    if (form == RAW) {
        write_file(path, data, size);
        return;
    }
    if (form >= HEX)
        hex_encode(text, data, size);
    else
        text_encode_base64(text, data, size);
    if (form == ONE_LINE || form == HEX)
        n = wrap(text, sizeof text, "", lines);
    else if (form == BLANKS_BEFORE)
        n = (size_t)sprintf(lines, "\n \t%s\n", text);
    else
        n = wrap(text, form == LINES_OF_76 ? 76 : 64, form == CRLF ? "\r\n" : "\n", lines);
    write_file(path, lines, n);
}

static void assert_refused(int result, const struct error *e, const char *why)
{
    if (!result || !strstr(e->text, why))
        print_message("# %d %s\n", result, e->text);
    assert_int_equal(result, -1);
    assert_non_null(strstr(e->text, why));
}

static void files_of_a_size_have_every_form(void **state)
{
    (void)state;
    u8 data[96], out[96];
    struct error e = {.code = ERROR_NONE};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (u8)(i * 91);
    for (int form = RAW; form < FORMS; form++) {
        write_form("block", (enum form)form, data, sizeof data);
        memset(out, 0, sizeof out);
        assert_int_equal(owner_read_exactly("block", "an ID block", out, sizeof out, &e), 0);
        assert_memory_equal(out, data, sizeof out);
        write_form("block", (enum form)form, data, sizeof data - 1);
        struct error why = {.code = ERROR_NONE};
        assert_refused(owner_read_exactly("block", "an ID block", out, sizeof out, &why), &why,
                       "block: an ID block has 96 bytes, raw or as base64; this file has");
    }
    struct error why = {.code = ERROR_NONE};
    write_file("block", "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n", 58);
    assert_refused(owner_read_exactly("block", "an ID block", out, sizeof out, &why), &why,
                   "block: this is a certificate in PEM, not an ID block");
}

static void reports_have_every_form(void **state)
{
    (void)state;
    struct snp_report r = {.version = 3, .signature_algorithm = 1, .measurement = {9, 8, 7}};
    struct sev_attestation_report l = {.policy = 5};
    struct cli_file f;
    struct error e = {.code = ERROR_NONE};
    for (int form = RAW; form < FORMS; form++) {
        write_form("report", (enum form)form, &r, sizeof r);
        assert_int_equal(owner_read_report("report", &f, &e), 0);
        assert_int_equal(f.size, sizeof r);
        assert_memory_equal(f.data, &r, sizeof r);
        cli_free_file(&f);
        write_form("report", (enum form)form, &l, sizeof l);
        assert_int_equal(owner_read_report("report", &f, &e), 0);
        assert_int_equal(f.size, sizeof l);
        cli_free_file(&f);
    }
    static const struct {
        const char *text, *why;
    } others[] = {
        {"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n",
         "this is a certificate in PEM, not a report"},
        {"-----BEGIN X509 CRL-----\n", "this is a revocation list in PEM, not a report"},
        {"{\"report\": 1}", "this is a JSON file, not a report"},
        {"\x7f"
         "ELF",
         "this is an ELF file, not a report"},
        {"0x0300aa\n",
         "this is a text of hexadecimal digits after 0x, which must go, not a report"},
        {"AwAAAAA", "lacks its padding (=), not a report"},
        {"HCLA\2", "an HCL report of Azure, whose SNP report begins at byte 32, not a report"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct error why = {.code = ERROR_NONE};
        write_file("report", others[i].text, strlen(others[i].text));
        assert_refused(owner_read_report("report", &f, &why), &why, others[i].why);
        assert_null(f.data);
    }
    struct error why = {.code = ERROR_NONE};
    write_file("report", &chain, sizeof chain);
    assert_refused(owner_read_report("report", &f, &why), &why, "this is a SEV chain");
    write_file("report", &r, sizeof r - 1); /* damage is verify's to name */
    assert_int_equal(owner_read_report("report", &f, &e), 0);
    cli_free_file(&f);
}

static void a_chain_comes_in_one_file_or_in_two(void **state)
{
    (void)state;
    u8 root[2 * AMD_CERT_SIZE_MAX];
    const size_t root_size = read_file("root", root, sizeof root);
    for (int form = RAW; form < FORMS; form++) {
        write_form("whole", (enum form)form, &chain, sizeof chain);
        write_form("pdh", (enum form)form, &chain.pdh, sizeof chain.pdh);
        write_form("cert-chain", (enum form)form, &chain.chain, sizeof chain.chain);
        write_form("the-root", (enum form)form, root, root_size);
        assert_int_equal(owner("verify --chain whole --root the-root"), 0);
        assert_int_equal(owner("verify --chain pdh,cert-chain --root the-root"), 0);
        assert_int_equal(owner("verify --chain cert-chain,pdh --root root"), 0);
        assert_int_equal(owner("verify --chain pdh --root root"), ERROR_FILE);
        assert_string_equal(last_error, "pdh: this is one certificate of a chain; give PDH and the "
                                        "rest together: --chain PDH-FILE,CERT-CHAIN-FILE");
        assert_int_equal(owner("verify --chain cert-chain --root root"), ERROR_FILE);
        assert_string_equal(last_error,
                            "cert-chain: this is PEK, OCA and CEK of a chain; give PDH and the "
                            "rest together: --chain PDH-FILE,CERT-CHAIN-FILE");
        assert_int_equal(owner("verify --chain pdh,pdh --root root"), ERROR_FILE);
        assert_int_equal(owner("verify --chain pdh,whole --root root"), ERROR_FILE);
    }
    const struct sev_cert reordered[] = {chain.chain.pek, chain.chain.oca, chain.chain.cek,
                                         chain.pdh};
    write_file("whole", reordered, sizeof reordered);
    assert_int_equal(owner("verify --chain whole --root root"), ERROR_FILE);
    assert_string_equal(last_error, "whole: the certificates are PEK, OCA, CEK, PDH; a chain is "
                                    "PDH, PEK, OCA, CEK");
    assert_int_equal(owner("verify --chain root --root root"), ERROR_FILE);
    assert_string_equal(last_error, "root: this is AMD's SEV root (ASK, ARK), not a chain (PDH, "
                                    "PEK, OCA, CEK)");
    assert_int_equal(owner("verify --chain chain --root chain"), ERROR_FILE);
    assert_string_equal(last_error,
                        "chain: this is a SEV chain (PDH, PEK, OCA, CEK), not AMD's SEV root "
                        "(ASK, ARK)");
}

static void arguments_in_base64_may_have_blanks(void **state)
{
    (void)state;
    u8 out[16];
    struct error e = {.code = ERROR_NONE};
    assert_int_equal(owner_decode_base64("x", " 4TLjHk3BGvXrL97o\nbVyP0Q== ", out, 16, &e), 0);
    assert_int_equal(out[0], 0xe1);
    assert_int_equal(owner_decode_base64("x", "4TLjHk3BGvXrL97obVyP0Q", out, 16, &e), -1);
    assert_string_equal(e.text, "x should be 16 bytes as base64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_a_size_have_every_form),
        cmocka_unit_test(reports_have_every_form),
        cmocka_unit_test(a_chain_comes_in_one_file_or_in_two),
        cmocka_unit_test(arguments_in_base64_may_have_blanks),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
