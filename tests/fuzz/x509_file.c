/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of certificates and revocation lists: they are read, or refused with a sentence of one
 * line; and a list that stands before whatever the file is never gets lost.
 */
#include "base/recognise.h"
#include "crypto/crypto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

struct counts {
    bool read;
    size_t certificates, lists;
};

static struct counts read_file(const u8 *data, size_t size, bool lists_alone)
{
    struct crypto_certificates certificates = {.count = 0};
    struct crypto_crls lists = {.count = 0};
    struct error e = {.code = ERROR_NONE};
    struct counts n = {
        .read = !crypto_x509_read(data, size, lists_alone ? NULL : &certificates, &lists, &e)};
    n.certificates = certificates.count;
    n.lists = lists.count;
    if (n.read != (e.code == ERROR_NONE) || n.read != !*e.text || strchr(e.text, '\n'))
        abort();
    for (size_t i = 0; i < lists.count; i++)
        for (size_t k = 0; k < certificates.count; k++)
            if (!crypto_crl_unusable(lists.list[i]) &&
                crypto_crl_names(lists.list[i], certificates.list[k]))
                (void)(crypto_crl_signed_by(lists.list[i], certificates.list[k]) &&
                       crypto_crl_revokes(lists.list[i], certificates.list[k]) &&
                       crypto_crl_newer(lists.list[i], lists.list[0]));
    crypto_certificates_free(&certificates);
    crypto_crls_free(&lists);
    return n;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    const struct counts all = read_file(data, size, false), lists = read_file(data, size, true);
    if (all.read != lists.read || (all.read && all.lists != lists.lists) || lists.certificates)
        abort();
    /* What has an entry is never taken for something else. */
    if (all.read && all.certificates + all.lists && recognise(data, size).as != AS_X509)
        abort();
    return 0;
}
