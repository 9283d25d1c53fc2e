/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SNP report and the certificates that came with it: the first 1184 bytes are the report, what
 * follows is DER or PEM of certificates and revocation lists, which is also all that is trusted.
 * Whatever it is, verification ends in a named check with a sentence of one line, or in none.
 */
#include <stdlib.h>

#include "owner/report.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const size_t report_size = size < SNP_REPORT_SIZE ? size : SNP_REPORT_SIZE;
    struct report_certificates all = {.given = {.count = 0}};
    struct error unread = {.code = ERROR_NONE};
    if ((crypto_x509_read(data + report_size, size - report_size, &all.given, &all.lists,
                          &unread) == 0) != (unread.code == ERROR_NONE) ||
        strchr(unread.text, '\n'))
        abort();
    const struct report_certificates certificates = {all.given, all.given, all.lists};
    struct crypto_certificate *const *list = all.given.list;
    struct crypto_crl *const *crls = all.lists.list;
    const size_t count = all.given.count, crl_count = all.lists.count;
    static const s64 times[] = {1700000000, 1767225600}; /* of the corpus's certificates */
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        const struct report_policy policy = {.time = &times[i], .accept_unknown_version = i > 0};
        struct error e = {.code = ERROR_NONE};
        enum report_check check =
            owner_verify_report(data, report_size, &certificates, &policy, &e);
        if ((check == REPORT_OK) != (e.code == ERROR_NONE) || strchr(e.text, '\n'))
            abort();
    }
    for (size_t i = 0; i < count; i++) {
        struct report_endorsement endorsement;
        struct error unused = {.code = ERROR_NONE};
        char name[20];
        crypto_certificate_subject(list[i], name, sizeof name);
        (void)report_endorsement_read(list[i], &endorsement, &unused);
        for (size_t j = 0; j < crl_count; j++)
            if (crypto_crl_names(crls[j], list[i]) && crypto_crl_signed_by(crls[j], list[i]) &&
                !crypto_crl_unusable(crls[j]))
                (void)(crypto_crl_valid_at(crls[j], times[0]) &&
                       crypto_crl_revokes(crls[j], list[i]));
    }
    report_certificates_free(&all);
    return 0;
}
