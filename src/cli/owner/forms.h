/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are read in more than one form: raw, or as text. */
#ifndef SOFTSEV_CLI_OWNER_FORMS_H
#define SOFTSEV_CLI_OWNER_FORMS_H

#include "base/base.h"
#include "base/error.h"

struct cli_file;
struct sev_platform_chain;
struct amd_chain;

/* Decodes exactly `size` bytes of base64 (base/encoding.h). */
int owner_decode_base64(const char *what, const char *text, void *out, size_t size,
                        struct error *e);
/* Reads a file of exactly `size` bytes, raw or as text. `wanted` says what it should be, for
 * example "an ID block". */
int owner_read_exactly(const char *path, const char *wanted, void *out, size_t size,
                       struct error *e);
/* Reads a file of base64: 1 to `room` bytes. */
int owner_read_some(const char *path, const char *wanted, void *out, size_t room, size_t *size,
                    struct error *e);
/* Do the same with a file that was read already, and free it. */
int owner_take_exactly(const char *path, struct cli_file *f, const char *wanted, void *out,
                       size_t size, struct error *e);
int owner_take_some(const char *path, struct cli_file *f, const char *wanted, void *out,
                    size_t room, size_t *size, struct error *e);
/* Reads a report of 1184 or 208 bytes. Accepts a file of another size unless it is certainly
 * something else: verify then refuses it. */
int owner_read_report(const char *path, struct cli_file *f, struct error *e);
/* Reads a chain from one file, or from two separated by a comma: PDH, and PEK with OCA and CEK. */
int owner_read_chain(const char *path, struct sev_platform_chain *out, struct error *e);
int owner_read_root(const char *path, struct amd_chain *out, struct error *e);

#endif
