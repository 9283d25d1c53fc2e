/* SPDX-License-Identifier: Apache-2.0 */
/* Tells what a file is, by its first bytes and its size, for the error about a file in the wrong
 * place. */
#ifndef SOFTSEV_BASE_RECOGNISE_H
#define SOFTSEV_BASE_RECOGNISE_H

#include "base/base.h"

enum recognised_as {
    AS_UNKNOWN,
    AS_X509,    /* PEM or DER that may hold a certificate or a revocation list, whole or damaged */
    AS_TABLE,   /* the table of certificates that comes with an extended report */
    AS_WRAPPED, /* a form that nothing here reads, but a certificate or a list may be inside */
    AS_OTHER,   /* certainly something else */
};

#define RECOGNISED_UNKNOWN "of an unknown kind"

struct recognised {
    enum recognised_as as;
    const char *name; /* "a certificate in PEM", ...; "of an unknown kind" */
};

struct recognised recognise(const void *data, size_t size);

#endif
