/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and revocation lists from files and folders: DER, PEM, or the table of certificates
 * that comes with an extended report, each also as base64 or hexadecimal digits. A file that may be
 * a list and cannot be read is an error. In a folder of certificates other files are passed over;
 * in a folder of lists every file must be read, or be something else for certain.
 */
#include "cli/owner/owner_cli.h"
#include "files/files.h"

#include "base/encoding.h"
#include "base/recognise.h"
#include "guest/guest.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PATH_ROOM 4096u

/* A bound above any file of certificates and lists. A file that the owner names may be a pipe. */
static const struct file_rule named_rule = {.size_max = MIB(16), .stream_max = MIB(16)},
                              folder_rule = {.size_max = MIB(16)};

/* What one option collects. */
struct collecting {
    struct crypto_certificates *certificates; /* NULL: lists alone are wanted */
    struct crypto_crls *lists;
    const char *wanted; /* "an X.509 certificate" */
    struct error *error;
};

static size_t count_of(const struct collecting *c)
{
    return (c->certificates ? c->certificates->count : 0) + c->lists->count;
}

/* --- One file --------------------------------------------------------------------------------- */

static int read_table(const struct collecting *c, const char *path, const struct file_data *f)
{
    struct guest_certificate entries[GUEST_CERTIFICATES_MAX];
    const s32 count = guest_certificates_read(f->data, f->size, entries);
    if (count < 0)
        return error_set(
            c->error, ERROR_FILE,
            "%s: not a valid table of certificates: it has no end, an entry outside of "
            "it, or more than %u entries",
            path, GUEST_CERTIFICATES_MAX);
    s32 known = 0;
    for (s32 i = 0; i < count; i++) {
        known += entries[i].kind != GUEST_CERTIFICATE_OTHER;
        struct error why = {.code = ERROR_NONE};
        const struct guest_certificate *entry = &entries[i];
        if (entry->kind != GUEST_CERTIFICATE_OTHER && !entry->size)
            return error_set(c->error, ERROR_FILE, "%s: the %s in its table has no bytes", path,
                             guest_certificate_name(entry->kind));
        if (entry->kind != GUEST_CERTIFICATE_OTHER &&
            crypto_x509_read(entry->data, entry->size, c->certificates, c->lists, &why))
            return error_set(c->error, why.code, "%s: %s in its table: %s", path,
                             guest_certificate_name(entry->kind), why.text);
    }
    return known ? 0
                 : error_set(c->error, ERROR_FILE,
                             "%s: none of the %d entries of this table of certificates is a VCEK, "
                             "VLEK, ASK, ARK or CRL",
                             path, count);
}

static int read_x509(const struct collecting *c, const char *path, const struct file_data *f)
{
    struct error why = {.code = ERROR_NONE};
    if (!crypto_x509_read(f->data, f->size, c->certificates, c->lists, &why))
        return 0;
    return error_set(c->error, why.code, "%s: %s", path, why.text);
}

/* Replaces a text by the bytes that it says, if these are certificates, a list or a table. */
static int undo_text(const struct collecting *c, const char *path, struct file_data *f)
{
    bool (*const decoders[])(const void *, size_t, void *, size_t, size_t *) = {text_decode_hex,
                                                                                text_decode_base64};
    u8 *bytes = malloc(f->size + 1);
    if (!bytes)
        return error_set(c->error, ERROR_MEMORY, "%s: no memory for its %zu bytes", path, f->size);
    for (size_t i = 0; i < ARRAY_SIZE(decoders); i++) {
        size_t size = 0;
        if (!decoders[i](f->data, f->size, bytes, f->size, &size))
            continue;
        const enum recognised_as as = recognise(bytes, size).as;
        if (as != AS_X509 && as != AS_TABLE)
            continue;
        memcpy(f->data, bytes, size);
        f->size = size;
        break;
    }
    free(bytes);
    return 0;
}

/* Reads a file and says what it is. */
static int read_file(const struct collecting *c, const char *path, const struct file_rule *rule,
                     struct file_data *f, struct recognised *what)
{
    if (file_read(path, rule, f, c->error))
        return -1;
    if (undo_text(c, path, f)) {
        file_free(f);
        return -1;
    }
    *what = recognise(f->data, f->size);
    return 0;
}

/* Reads a file that may hold certificates or lists, and takes nothing from any other file. */
static int read_recognised(const struct collecting *c, const char *path, const struct file_data *f,
                           const struct recognised *what)
{
    if (what->as == AS_TABLE)
        return read_table(c, path, f);
    return what->as == AS_X509 ? read_x509(c, path, f) : 0;
}

/* Adds a file that the owner has named. */
static int add_file(const struct collecting *c, const char *path)
{
    struct file_data f;
    struct recognised what;
    if (read_file(c, path, &named_rule, &f, &what))
        return -1;
    const size_t before = count_of(c);
    int result = read_recognised(c, path, &f, &what);
    if (!result && count_of(c) == before)
        result = error_set(c->error, ERROR_FILE, "%s: this is %s, not %s in DER or PEM", path,
                           what.name, c->wanted);
    file_free(&f);
    return result;
}

/* --- A folder --------------------------------------------------------------------------------- */

static int add_from_folder(const struct collecting *c, const char *path)
{
    struct stat s;
    struct file_data f;
    struct recognised what;
    const bool lists = !c->certificates;
    if (stat(path, &s))
        return error_set(c->error, ERROR_FILE, "%s: %s", path, strerror(errno));
    if (!S_ISREG(s.st_mode))
        return lists ? error_set(c->error, ERROR_FILE,
                                 "%s: not a regular file: what is in it would not be read", path)
                     : 0;
    if (read_file(c, path, &folder_rule, &f, &what))
        return -1;
    int result = read_recognised(c, path, &f, &what);
    if ((what.as == AS_UNKNOWN || what.as == AS_WRAPPED) && lists)
        result =
            error_set(c->error, ERROR_FILE,
                      "%s: this is %s: if a revocation list is in it, it cannot be read; if not, "
                      "name the lists instead of their folder",
                      path, what.name);
    file_free(&f);
    return result;
}

/* Reads a folder in the order of the names, so that the first error is always the same one. */
static int add_folder(const struct collecting *c, const char *path)
{
    struct dirent **entries;
    const size_t before = count_of(c);
    int count = scandir(path, &entries, NULL, alphasort), result = 0;
    if (count < 0)
        return error_set(c->error, ERROR_FILE, "%s: %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        char file[PATH_ROOM];
        const char *name = entries[i]->d_name;
        if (result || !strcmp(name, ".") || !strcmp(name, ".."))
            ;
        else if ((size_t)snprintf(file, sizeof file, "%s/%s", path, name) >= sizeof file)
            result = error_set(c->error, ERROR_FILE, "%s: its path is too long", name);
        else
            result = add_from_folder(c, file);
        free(entries[i]);
    }
    free(entries);
    if (!result && count_of(c) == before)
        result = error_set(c->error, ERROR_FILE, "%s: in this folder is not %s in DER or PEM", path,
                           c->wanted);
    return result;
}

/* --- An option -------------------------------------------------------------------------------- */

static int add_paths(const struct collecting *c, const char *option, const char *paths)
{
    char path[PATH_ROOM];
    for (bool more = paths != NULL; more;) {
        struct stat s;
        size_t length = strcspn(paths, ",");
        if (!length || length >= sizeof path)
            return error_set(c->error, ERROR_USAGE,
                             "--%s '%s': expected files or folders, separated by commas", option,
                             paths);
        memcpy(path, paths, length);
        path[length] = 0;
        more = paths[length] == ',';
        paths += length + more;
        if (!stat(path, &s) && S_ISDIR(s.st_mode) ? add_folder(c, path) : add_file(c, path))
            return -1;
    }
    return 0;
}

int owner_add_certificates(struct crypto_certificates *to, struct crypto_crls *lists,
                           const char *option, const char *paths, struct error *e)
{
    const struct collecting c = {to, lists, "a certificate", e};
    return add_paths(&c, option, paths);
}

int owner_add_crls(struct crypto_crls *to, const char *paths, struct error *e)
{
    const struct collecting c = {NULL, to, "a revocation list", e};
    return add_paths(&c, "crl", paths);
}
