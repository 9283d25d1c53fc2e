/* SPDX-License-Identifier: Apache-2.0 */
/* A platform made of the protocol's pieces, to be judged, and to be damaged first. */
#ifndef SOFTSEV_TESTS_PLATFORM_RIG_H
#define SOFTSEV_TESTS_PLATFORM_RIG_H

#include "protocol/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct platform {
    struct crypto *crypto, *owner_crypto;
    struct rsa_private *ark_key, *ask_key;
    struct amd_chain root;
    struct ec_private cek, oca, pek, pdh;
    struct sev_platform_chain chain;
};

static const u8 ark_id[16] = "test ark", ask_id[16] = "test ask";

static int make_platform(void **state)
{
    static struct platform p;
    struct rsa_public public;
    p.crypto = crypto_create("platform", 8);
    p.owner_crypto = crypto_create("owner", 5);
    p.ark_key = crypto_rsa_generate(p.crypto, 2048);
    p.ask_key = crypto_rsa_generate(p.crypto, 2048);
    crypto_rsa_public(p.ark_key, &public);
    amd_cert_init(&p.root.ark, SEV_USAGE_ARK, ark_id, ark_id, &public);
    crypto_rsa_public(p.ask_key, &public);
    amd_cert_init(&p.root.ask, SEV_USAGE_ASK, ask_id, ark_id, &public);
    assert_true(amd_cert_sign(p.crypto, &p.root.ark, p.ark_key) &&
                amd_cert_sign(p.crypto, &p.root.ask, p.ark_key));
    assert_true(crypto_ec_generate(p.crypto, &p.cek) && crypto_ec_generate(p.crypto, &p.oca) &&
                crypto_ec_generate(p.crypto, &p.pek) && crypto_ec_generate(p.crypto, &p.pdh));
    struct sev_cert_chain *c = &p.chain.chain;
    sev_cert_init(&c->cek, SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA256, 1, 55, &p.cek.public);
    sev_cert_init(&c->oca, SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA256, 1, 55, &p.oca.public);
    sev_cert_init(&c->pek, SEV_USAGE_PEK, SEV_ALGORITHM_ECDSA_SHA256, 1, 55, &p.pek.public);
    sev_cert_init(&p.chain.pdh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 1, 55, &p.pdh.public);
    assert_true(sev_cert_sign_rsa(p.crypto, &c->cek, 0, SEV_USAGE_ASK, p.ask_key) &&
                sev_cert_sign(p.crypto, &c->oca, 0, SEV_USAGE_OCA, &p.oca) &&
                sev_cert_sign(p.crypto, &c->pek, 0, SEV_USAGE_OCA, &p.oca) &&
                sev_cert_sign(p.crypto, &c->pek, 1, SEV_USAGE_CEK, &p.cek) &&
                sev_cert_sign(p.crypto, &p.chain.pdh, 0, SEV_USAGE_PEK, &p.pek));
    *state = &p;
    return 0;
}

static int free_platform(void **state)
{
    struct platform *p = *state;
    crypto_rsa_free(p->ark_key);
    crypto_rsa_free(p->ask_key);
    crypto_destroy(p->crypto);
    crypto_destroy(p->owner_crypto);
    return 0;
}

#endif
