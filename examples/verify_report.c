/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a verifier author: is this report genuine, and of the guest that I want? The root is what one
 * trusts; whatever came with the report is not.
 *
 *   cc verify_report.c $(pkg-config --cflags --libs softsev) -o verify_report
 *   ./verify_report report.bin ark.pem ask.pem vcek.pem
 */
#include <softsev/base/bytes.h>
#include <softsev/owner/report.h>

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
    uint8_t report[FILE_MAX], file[FILE_MAX];
    struct softsev_report_certificates certificates = {.given = {.count = 0}};
    struct softsev_error e = {.code = SOFTSEV_ERROR_NONE};
    if (argc < 4) {
        fprintf(stderr, "usage: %s REPORT ARK CERTIFICATE...\n", argv[0]);
        return 2;
    }
    size_t size = read_file(argv[1], report);
    for (int i = 2; i < argc; i++) {
        struct softsev_crypto_certificates *to = i == 2 ? &certificates.roots : &certificates.given;
        if (softsev_crypto_x509_read(file, read_file(argv[i], file), to, &certificates.lists, &e)) {
            fprintf(stderr, "%s: %s\n", argv[i], e.text);
            return (int)e.code;
        }
    }
    /* What the guest is to be goes here too: .measurement, .report_data, .minimum_tcb, ... */
    const int64_t now = (int64_t)time(NULL);
    const struct softsev_report_policy policy = {.time = &now, .maximum_vmpl = 0};
    enum softsev_report_check check =
        softsev_owner_verify_report(report, size, &certificates, &policy, &e);
    if (check)
        printf("refused by the check %s: %s\n", softsev_report_check_name(check), e.text);
    else
        puts("verifies");
    softsev_report_certificates_free(&certificates);
    return check == SOFTSEV_REPORT_OK ? 0 : (int)e.code;
}
