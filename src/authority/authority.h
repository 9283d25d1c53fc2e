/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manufacturer's part, in software: makes a root (ARK) and a signing key (ASK) of its own and
 * signs the chip's CEK. Its ids spell out that they are software's; nothing here carries an id of
 * AMD's.
 *
 * RSA keys of 4096 bits match the Rome to Turin profiles (RSA-PSS SHA-384) and take a second or two
 * to make; 2048 bits match Naples (SHA-256). Keys are made once and kept by the caller: export,
 * import.
 */
#ifndef SOFTSEV_AUTHORITY_AUTHORITY_H
#define SOFTSEV_AUTHORITY_AUTHORITY_H

#include "protocol/protocol.h"

struct authority;

#define AUTHORITY_BITS_DEFAULT 4096u
#define AUTHORITY_EXPORT_MAX   8192u /* bytes */

/* Two fresh RSA keys of `bits` (2048 or 4096) and their certificates. NULL: OpenSSL refused. */
struct authority *authority_create(struct crypto *c, u32 bits);
void authority_free(struct authority *a); /* wipes; NULL is allowed */

/* Private keys and certificates as bytes to keep secret; 0 if `size` is too small. */
size_t authority_export(const struct authority *a, void *out, size_t size);
/* NULL and an error: the bytes are not an authority's,
 * or keys and certificates do not belong together. */
struct authority *authority_import(const void *data, size_t size, struct error *e);

const struct amd_chain *authority_chain(const struct authority *a);
/* ASK then ARK, the file that owners are told to trust [sev 8.3]. Returns its size;
 * 0 if it does not fit. */
size_t authority_root_file(const struct authority *a, void *out, size_t size);

/* Signs a chip's certificate (slot 1 of [sev 8.2], usage 0013h) in place: what the key server hands
 * out. False if it is not a CEK. */
bool authority_sign_cek(struct crypto *c, const struct authority *a, struct sev_cert *cek);

#endif
