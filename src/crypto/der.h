/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of ASN.1 values in DER, one after the other into a bounded buffer. As with every writer,
 * a value that does not fit marks the writer as bad, so one check at the end is enough.
 */
#ifndef SOFTSEV_CRYPTO_DER_H
#define SOFTSEV_CRYPTO_DER_H

#include "base/bytes.h"

#define DER_BOOLEAN           0x01
#define DER_INTEGER           0x02
#define DER_BIT_STRING        0x03
#define DER_OCTET_STRING      0x04
#define DER_NULL              0x05
#define DER_UTF8_STRING       0x0c
#define DER_PRINTABLE_STRING  0x13
#define DER_IA5_STRING        0x16
#define DER_SEQUENCE          0x30
#define DER_SET               0x31
#define DER_CONTEXT(n)        (0x80 | (n)) /* [n] IMPLICIT of a primitive type */
#define DER_CONTEXT_HOLDER(n) (0xa0 | (n)) /* [n] EXPLICIT, or IMPLICIT of a constructed type */

/* Open a value and close it: what is written in between is the value's content. der_close takes the
 * return value of der_open. */
size_t der_open(struct writer *w, u8 tag);
void der_close(struct writer *w, size_t mark);

void der_value(struct writer *w, u8 tag, const void *content, size_t size);
void der_text(struct writer *w, u8 tag, const char *text);
void der_true(struct writer *w);
void der_integer(struct writer *w, u64 value);
/* Writes an INTEGER from the bytes of an unsigned number, little-endian. */
void der_number(struct writer *w, const void *little_endian, size_t size);
/* Writes a BIT STRING; its last octet has `unused` bits that do not count. */
void der_bits(struct writer *w, const void *bits, size_t size, u8 unused);
void der_oid(struct writer *w, const char *dotted); /* "1.3.6.1.4.1..." */
/* Writes a Unix time: UTCTime up to 2049, GeneralizedTime after that [RFC 5280 4.1.2.5]. A time
 * before 1970 or after 9999 marks the writer as bad. */
void der_time(struct writer *w, s64 time);

#endif
