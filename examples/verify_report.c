/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a verifier author: is this report genuine, and of the guest that I want? The root is what one trusts; whatever
 * came with the report is not.
 *
 *   cc verify_report.c $(pkg-config --cflags --libs --static softsev) -o verify_report
 *   ./verify_report report.bin ark.pem ask.pem vcek.pem
 */
#include "base/bytes.h"
#include "owner/report.h"

#include <stdio.h>
#include <time.h>

#define FILE_MAX 16384

static size_t read_file(const char *path, void *out)
{
    FILE *f = fopen(path, "rb");
    size_t size = f ? fread(out, 1, FILE_MAX, f) : 0;
    if (f)
        fclose(f);
    return size;
}

int main(int argc, char **argv)
{
    u8 report[FILE_MAX], file[FILE_MAX];
    struct crypto_certificate *roots[4], *given[8];
    struct error e = {.code = ERROR_NONE};
    if (argc < 4) {
        fprintf(stderr, "usage: %s REPORT ARK CERTIFICATE...\n", argv[0]);
        return 2;
    }
    size_t size = read_file(argv[1], report);
    struct report_certificates certificates = {.given = given, .roots = roots};
    certificates.root_count = crypto_certificates_read(file, read_file(argv[2], file), roots, 4);
    for (int i = 3; i < argc; i++)
        certificates.given_count += crypto_certificates_read(file, read_file(argv[i], file),
                                                             given + certificates.given_count,
                                                             8 - certificates.given_count);
    /* What the guest is to be goes here too: .measurement, .report_data, .minimum_tcb, ... */
    const struct report_policy policy = {.time = (s64)time(NULL), .maximum_vmpl = 0};
    enum report_check check = owner_verify_report(report, size, &certificates, &policy, &e);
    if (check)
        printf("refused by the check %s: %s\n", report_check_name(check), e.text);
    else
        puts("verifies");
    for (size_t i = 0; i < certificates.root_count; i++)
        crypto_certificate_free(roots[i]);
    for (size_t i = 0; i < certificates.given_count; i++)
        crypto_certificate_free(given[i]);
    return check == REPORT_OK ? 0 : (int)e.code;
}
