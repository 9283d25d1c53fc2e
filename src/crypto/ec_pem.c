/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys on P-384 in files: the PEM or DER that OpenSSL's tools write and read. */
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define PEM_MAX 65536u /* the largest file that is read, in bytes */

/* Never asks for a passphrase: there may be no terminal. */
static int no_passphrase(char *out, int size, int writing, void *asked)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

/* Decodes a key. Skips parameters before the key, which `openssl ecparam` writes. */
static EVP_PKEY *decode(const void *data, size_t size, bool *encrypted)
{
    const u8 *at = data, *end = at + size;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)size);
    if (key && at != end) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    BIO *bio = key ? NULL : BIO_new_mem_buf(data, (int)size);
    if (bio)
        key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, encrypted);
    BIO_free(bio);
    return key;
}

static bool is_end_of_line(char c)
{
    return c == '\n' || c == '\r';
}

/* Returns whether a line of a PEM text begins a private key of any kind. */
static bool begins_key(const char *line, size_t size)
{
    static const char begin[] = "-----BEGIN ", key[] = "PRIVATE KEY-----";
    const size_t begin_size = sizeof begin - 1, key_size = sizeof key - 1;
    while (size && (line[size - 1] == ' ' || line[size - 1] == '\t'))
        size--;
    return size >= begin_size + key_size && !memcmp(line, begin, begin_size) &&
           !memcmp(line + size - key_size, key, key_size);
}

/* Returns how many private keys a text begins, whole or not. */
static u32 count_keys(const char *text, size_t size)
{
    u32 count = 0;
    for (size_t at = 0, end; at < size; at = end + 1) {
        for (end = at; end < size && !is_end_of_line(text[end]);)
            end++;
        count += begins_key(text + at, end - at);
    }
    return count;
}

static bool take_scalar(const EVP_PKEY *key, struct ec_private *out)
{
    BIGNUM *d = NULL;
    u8 scalar[48];
    bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
                BN_bn2lebinpad(d, scalar, sizeof scalar) == sizeof scalar &&
                crypto_ec_from_scalar(scalar, out);
    crypto_wipe(scalar, sizeof scalar);
    BN_clear_free(d);
    return good;
}

/* Checks that the point in the file belongs to the private number. */
static bool has_its_point(const EVP_PKEY *key, const struct ec_public *public)
{
    EVP_PKEY *wanted = ec_make_key(NULL, public, NULL);
    const bool good = wanted && EVP_PKEY_eq(key, wanted) == 1;
    EVP_PKEY_free(wanted);
    return good;
}

const char *crypto_ec_private_read(const void *data, size_t size, struct ec_private *out)
{
    char group[32] = "";
    const char *wrong = NULL;
    bool encrypted = false;
    library_start();
    EVP_PKEY *key = size <= PEM_MAX ? decode(data, size, &encrypted) : NULL;
    if (key && count_keys(data, size) > 1)
        wrong = "more than one private key, and nothing says which is meant; give a file with one";
    else if (encrypted)
        wrong = "the key is encrypted; `openssl pkey` decrypts it";
    else if (!key)
        wrong = "no private key in PEM or DER";
    else if (!EVP_PKEY_is_a(key, "EC") ||
             EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1 ||
             strcmp(group, "secp384r1") != 0)
        wrong = "the key is not on P-384 (secp384r1)";
    else if (!take_scalar(key, out))
        wrong = "its private number is not one of P-384";
    else if (!has_its_point(key, &out->public))
        wrong = "its public point does not belong to its private number";
    if (wrong)
        crypto_wipe(out, sizeof *out);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return wrong;
}

size_t crypto_ec_private_pem(const struct ec_private *key, char *out, size_t size)
{
    char *text;
    library_start();
    EVP_PKEY *pkey = ec_make_key(NULL, &key->public, key->d);
    BIO *bio = BIO_new(BIO_s_secmem());
    long count = 0;
    if (pkey && bio && PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1)
        count = BIO_get_mem_data(bio, &text);
    if (count > 0 && (size_t)count < size) {
        memcpy(out, text, (size_t)count);
        out[count] = '\0';
    } else {
        count = 0;
    }
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return (size_t)count;
}
