/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of this room share. */
#ifndef SOFTSEV_AUTHORITY_INTERNAL_H
#define SOFTSEV_AUTHORITY_INTERNAL_H

#include "authority/authority.h"

struct authority {
    struct rsa_private *ark_key, *ask_key, *asvk_key;
    struct amd_chain chain;
    bool older;           /* imported from an export without ASVK */
    struct crypto *salts; /* makes salts of X.509 signatures; see struct x509_signer */
    u8 salt_key[32], stick_key[32];
};

#endif
