/* SPDX-License-Identifier: Apache-2.0 */
/* `softsev owner` as a person calls it, in a folder with a platform's chain and root. */
#ifndef SOFTSEV_TESTS_CLI_OWNER_RIG_H
#define SOFTSEV_TESTS_CLI_OWNER_RIG_H

#include "authority/authority.h"
#include "cli/cli.h"
#include "cli/owner/owner_cli.h"

#include "base/bytes.h"
#include "output.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/softsev-owner-XXXXXX";
static char last_error[500], said[4000];
static struct ec_private pdh, pek;
static struct sev_platform_chain chain;

/* The program's own; here it is remembered. */
int cli_fail(const char *command, const struct error *error)
{
    assert_string_equal(command, "owner");
    assert_null(strchr(error->text, '\n'));
    snprintf(last_error, sizeof last_error, "%s", error->text);
    return (int)error->code;
}

/* Runs `softsev owner` with words separated by single spaces;
 * standard output is caught in `said`. */
static int owner(const char *words)
{
    char line[2000], *argv[40] = {(char *)"owner"}, *rest = line;
    int argc = 1;
    snprintf(line, sizeof line, "%s", words);
    for (char *word; (word = strtok_r(rest, " ", &rest));)
        argv[argc++] = word;
    int result = run_into("said", cli_owner, argc, argv);
    said[read_file("said", said, sizeof said - 1)] = 0;
    return result;
}

/* chain, other-chain (an OCA of nobody), root, in a folder that is the current one. */
static int make_files(void **state)
{
    (void)state;
    struct crypto *c = crypto_create("platform", 8);
    struct authority *a = authority_create(c, 2048);
    struct ec_private cek, oca;
    u8 root[2 * AMD_CERT_SIZE_MAX];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_true(crypto_ec_generate(c, &cek) && crypto_ec_generate(c, &oca) &&
                crypto_ec_generate(c, &pek) && crypto_ec_generate(c, &pdh));
    struct sev_cert_chain *s = &chain.chain;
    sev_cert_init(&s->cek, SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA256, 1, 55, &cek.public);
    sev_cert_init(&s->oca, SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA256, 1, 55, &oca.public);
    sev_cert_init(&s->pek, SEV_USAGE_PEK, SEV_ALGORITHM_ECDSA_SHA256, 1, 55, &pek.public);
    sev_cert_init(&chain.pdh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 1, 55, &pdh.public);
    assert_true(authority_sign_cek(c, a, &s->cek) &&
                sev_cert_sign(c, &s->oca, 0, SEV_USAGE_OCA, &oca) &&
                sev_cert_sign(c, &s->pek, 0, SEV_USAGE_OCA, &oca) &&
                sev_cert_sign(c, &s->pek, 1, SEV_USAGE_CEK, &cek) &&
                sev_cert_sign(c, &chain.pdh, 0, SEV_USAGE_PEK, &pek));
    write_file("chain", &chain, sizeof chain);
    write_file("root", root, authority_root_file(a, root, sizeof root));
    struct sev_platform_chain other = chain;
    other.chain.oca.signatures[0].ec.r[0] ^= 1;
    write_file("other-chain", &other, sizeof other);
    write_file("launched", "abc", 3);
    write_file("passphrase", "open sesame", 11);
    authority_free(a);
    crypto_destroy(c);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

#endif
