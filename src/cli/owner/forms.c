/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads files that come in more than one form: reports, chains, sessions and ID blocks are raw,
 * base64 or hexadecimal digits; a chain is one file or two, as QEMU gives it. An error about
 * another file says what that file is.
 */
#include "cli/owner/owner_cli.h"
#include "cli/input.h"

#include "base/recognise.h"
#include "base/encoding.h"

#include <stdlib.h>
#include <unistd.h>

/* --- Text ------------------------------------------------------------------------------------- */

int owner_decode_base64(const char *what, const char *text, void *out, size_t size, struct error *e)
{
    size_t have;
    return text_decode_base64(text, strlen(text), out, size, &have) && have == size
               ? 0
               : error_set(e, ERROR_USAGE, "%s should be %zu bytes as base64", what, size);
}

static bool is_one_of(size_t size, const size_t *sizes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sizes[i] == size)
            return true;
    return !count && size;
}

/* Decodes a text that says as many bytes as one of the sizes; no sizes: any number. Returns 0 for
 * all else. Hexadecimal digits are base64, too: they are tried first. */
static size_t decode(const struct cli_file *f, u8 *out, const size_t *sizes, size_t count)
{
    size_t size;
    if ((text_decode_hex(f->data, f->size, out, f->size, &size) && is_one_of(size, sizes, count)) ||
        (text_decode_base64(f->data, f->size, out, f->size, &size) &&
         is_one_of(size, sizes, count)))
        return size;
    return 0;
}

/* Replaces a text by the bytes that it says. */
static int undo_text(struct cli_file *f, const size_t *sizes, size_t count, struct error *e)
{
    const size_t room = f->size;
    u8 *decoded = malloc(room + 1);
    if (!decoded)
        return error_set(e, ERROR_MEMORY, "no memory for a file of %zu bytes", room);
    const size_t size = decode(f, decoded, sizes, count);
    if (size) {
        crypto_wipe(f->data, room);
        memcpy(f->data, decoded, size);
        f->size = size;
    }
    crypto_wipe(decoded, room);
    free(decoded);
    return 0;
}

/* Reads a file that may be text. */
static int read_either(const char *path, const size_t *sizes, size_t count, struct cli_file *f,
                       struct error *e)
{
    if (cli_read_small(path, f, e))
        return -1;
    if (!undo_text(f, sizes, count, e))
        return 0;
    cli_free_file(f);
    return -1;
}

/* Sets the error "FILE: this is A, not B" if the kind of the file is known. */
static int refuse_kind(const char *path, const struct cli_file *f, const char *wanted,
                       struct error *e)
{
    const struct recognised what = recognise(f->data, f->size);
    return what.as == AS_UNKNOWN
               ? 0
               : error_set(e, ERROR_FILE, "%s: this is %s, not %s", path, what.name, wanted);
}

int owner_take_exactly(const char *path, struct cli_file *f, const char *wanted, void *out,
                       size_t size, struct error *e)
{
    int result = undo_text(f, &size, 1, e);
    if (!result && f->size == size)
        memcpy(out, f->data, size);
    else if (!result && !(result = refuse_kind(path, f, wanted, e)))
        result =
            error_set(e, ERROR_FILE, "%s: %s has %zu bytes, raw or as base64; this file has %zu",
                      path, wanted, size, f->size);
    crypto_wipe(f->data, f->size);
    cli_free_file(f);
    return result;
}

int owner_read_exactly(const char *path, const char *wanted, void *out, size_t size,
                       struct error *e)
{
    struct cli_file f;
    return cli_read_small(path, &f, e) || owner_take_exactly(path, &f, wanted, out, size, e) ? -1
                                                                                             : 0;
}

int owner_take_some(const char *path, struct cli_file *f, const char *wanted, void *out,
                    size_t room, size_t *size, struct error *e)
{
    const bool good = text_decode_base64(f->data, f->size, out, room, size) && *size;
    int result = good ? 0 : refuse_kind(path, f, wanted, e);
    if (!good && !result)
        result = error_set(e, ERROR_FILE, "%s: %s should be base64 of 1 to %zu bytes", path, wanted,
                           room);
    cli_free_file(f);
    return result;
}

int owner_read_some(const char *path, const char *wanted, void *out, size_t room, size_t *size,
                    struct error *e)
{
    struct cli_file f;
    return cli_read_small(path, &f, e) || owner_take_some(path, &f, wanted, out, room, size, e) ? -1
                                                                                                : 0;
}

/* --- Reports ---------------------------------------------------------------------------------- */

/* Reads a report. Damage of a file that may be a report is reported by verify, not here. */
int owner_read_report(const char *path, struct cli_file *f, struct error *e)
{
    static const size_t sizes[] = {SNP_REPORT_SIZE, sizeof(struct sev_attestation_report)};
    if (read_either(path, sizes, ARRAY_SIZE(sizes), f, e))
        return -1;
    if (is_one_of(f->size, sizes, ARRAY_SIZE(sizes)) || !refuse_kind(path, f, "a report", e))
        return 0;
    cli_free_file(f);
    return -1;
}

/* --- Chains ----------------------------------------------------------------------------------- */

#define CERT       sizeof(struct sev_cert)
#define CERT_CHAIN sizeof(struct sev_cert_chain)
#define CHAIN      sizeof(struct sev_platform_chain)

/* Sizes of a chain's file. ASK and ARK may follow the chain; they are not trusted from here. */
static const size_t chain_sizes[] = {CHAIN, CHAIN + 2 * AMD_CERT_SIZE(2048),
                                     CHAIN + 2 * AMD_CERT_SIZE(4096), CERT, CERT_CHAIN};

static const char *usage_name(u32 usage)
{
    static const struct {
        u32 usage;
        const char *name;
    } names[] = {{SEV_USAGE_PDH, "PDH"},
                 {SEV_USAGE_PEK, "PEK"},
                 {SEV_USAGE_OCA, "OCA"},
                 {SEV_USAGE_CEK, "CEK"}};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].usage == usage)
            return names[i].name;
    return NULL;
}

/* Checks the order of the certificates, when all four are there. */
static int check_order(const char *path, const struct sev_platform_chain *chain, struct error *e)
{
    const u32 usages[] = {chain->pdh.usage, chain->chain.pek.usage, chain->chain.oca.usage,
                          chain->chain.cek.usage};
    const u32 all[] = {SEV_USAGE_PDH, SEV_USAGE_PEK, SEV_USAGE_OCA, SEV_USAGE_CEK};
    u32 found = 0;
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 4; k++)
            found |= usages[i] == all[k] ? 1u << k : 0;
    if (found != 0xf || !memcmp(usages, all, sizeof all))
        return 0;
    return error_set(e, ERROR_FILE,
                     "%s: the certificates are %s, %s, %s, %s; a chain is PDH, PEK, OCA, CEK", path,
                     usage_name(usages[0]), usage_name(usages[1]), usage_name(usages[2]),
                     usage_name(usages[3]));
}

static int refuse_chain_file(const char *path, const struct cli_file *f, struct error *e)
{
    if (f->size == CERT || f->size == CERT_CHAIN)
        return error_set(e, ERROR_FILE,
                         "%s: this is %s of a chain; give PDH and the rest together: --chain "
                         "PDH-FILE,CERT-CHAIN-FILE",
                         path, f->size == CERT ? "one certificate" : "PEK, OCA and CEK");
    if (refuse_kind(path, f, "a chain (PDH, PEK, OCA, CEK)", e))
        return -1;
    return error_set(e, ERROR_FILE,
                     "%s: a chain (PDH, PEK, OCA, CEK) has %zu bytes, this file has %zu", path,
                     CHAIN, f->size);
}

static int read_whole(const char *path, struct sev_platform_chain *out, struct error *e)
{
    struct cli_file f;
    if (read_either(path, chain_sizes, ARRAY_SIZE(chain_sizes), &f, e))
        return -1;
    int result = 0;
    if (f.size < CHAIN || !is_one_of(f.size, chain_sizes, ARRAY_SIZE(chain_sizes)))
        result = refuse_chain_file(path, &f, e);
    else
        memcpy(out, f.data, CHAIN);
    cli_free_file(&f);
    return result;
}

/* Reads QEMU's `pdh` and `cert-chain`, in either order. */
static int read_parts(const char *const paths[2], struct sev_platform_chain *out, struct error *e)
{
    u8 have = 0;
    int result = 0;
    for (size_t i = 0; i < 2 && !result; i++) {
        struct cli_file f;
        if (read_either(paths[i], chain_sizes, ARRAY_SIZE(chain_sizes), &f, e))
            return -1;
        if (f.size == CERT)
            memcpy(&out->pdh, f.data, CERT);
        else if (f.size == CERT_CHAIN)
            memcpy(&out->chain, f.data, CERT_CHAIN);
        else
            result =
                error_set(e, ERROR_FILE,
                          "%s: of two files of a chain one is the PDH (%zu bytes) and one PEK, "
                          "OCA and CEK (%zu); this file has %zu",
                          paths[i], CERT, CERT_CHAIN, f.size);
        have |= f.size == CERT ? 1 : 2;
        cli_free_file(&f);
    }
    if (!result && have != 3)
        result = error_set(e, ERROR_FILE, "%s, %s: both are the same part of a chain", paths[0],
                           paths[1]);
    return result;
}

int owner_read_chain(const char *path, struct sev_platform_chain *out, struct error *e)
{
    const char *comma = strchr(path, ',');
    char first[4096];
    if (!comma || !access(path, F_OK))
        return read_whole(path, out, e) || check_order(path, out, e) ? -1 : 0;
    if (comma == path || !comma[1] || (size_t)(comma - path) >= sizeof first ||
        strchr(comma + 1, ','))
        return error_set(
            e, ERROR_USAGE,
            "--chain '%s': expected a file, or two separated by a comma: the PDH and the rest",
            path);
    memcpy(first, path, (size_t)(comma - path));
    first[comma - path] = '\0';
    const char *const paths[2] = {first, comma + 1};
    return read_parts(paths, out, e) || check_order(path, out, e) ? -1 : 0;
}

int owner_read_root(const char *path, struct amd_chain *out, struct error *e)
{
    struct cli_file f;
    struct error why = {.code = ERROR_NONE};
    if (read_either(path, NULL, 0, &f, e))
        return -1;
    struct cert_verdict verdict = amd_chain_parse(f.data, f.size, out);
    int result = cert_verdict_error(&verdict, ERROR_FILE, &why);
    if (result && !refuse_kind(path, &f, "AMD's SEV root (ASK, ARK)", e))
        error_set(e, ERROR_FILE, "%s: %s", path, why.text);
    cli_free_file(&f);
    return result;
}
