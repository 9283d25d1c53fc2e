/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and revocation lists from files and folders, DER or PEM. */
#include "cli/owner.h"
#include "cli/run.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FOLDER_FILE_MAX KIB(64) /* larger files in a folder are no certificates */

void owner_free_pile(struct owner_pile *p)
{
    for (size_t i = 0; i < p->count; i++)
        crypto_certificate_free(p->list[i]);
    for (size_t i = 0; i < p->crl_count; i++)
        crypto_crl_free(p->crls[i]);
}

size_t owner_add_bytes(struct owner_pile *p, const void *data, size_t size)
{
    size_t added =
        crypto_certificates_read(data, size, p->list + p->count, OWNER_CERTIFICATES_MAX - p->count);
    p->count += added;
    return added;
}

static int add_file(const char *path, struct owner_pile *p, struct error *e)
{
    struct run_file f;
    if (run_read_small(path, &f, e))
        return -1;
    owner_add_bytes(p, f.data, f.size);
    run_free_file(&f);
    return 0;
}

static int add_crl(const char *path, struct owner_pile *p, struct error *e)
{
    struct run_file f;
    if (run_read_small(path, &f, e))
        return -1;
    p->crl_count += crypto_crls_read(f.data, f.size, p->crls + p->crl_count,
                                     OWNER_CERTIFICATES_MAX - p->crl_count);
    run_free_file(&f);
    return 0;
}

typedef int add_function(const char *path, struct owner_pile *p, struct error *e);

/* Other files in the folder are none of our business. */
static int add_folder(const char *path, add_function *add, struct owner_pile *p, struct error *e)
{
    DIR *folder = opendir(path);
    int result = folder ? 0 : error_set(e, ERROR_FILE, "%s: %s", path, strerror(errno));
    for (struct dirent *entry; folder && !result && (entry = readdir(folder));) {
        char file[4096];
        struct stat s;
        size_t length = (size_t)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (length < sizeof file && !stat(file, &s) && S_ISREG(s.st_mode) &&
            s.st_size < (off_t)FOLDER_FILE_MAX)
            result = add(file, p, e);
    }
    if (folder)
        closedir(folder);
    return result;
}

static int add_paths(struct owner_pile *p, const char *option, const char *paths, const char *kind,
                     add_function *add, struct error *e)
{
    char path[4096];
    while (paths && *paths) {
        struct stat s;
        size_t length = strcspn(paths, ",");
        if (!length || length >= sizeof path)
            return error_set(e, ERROR_USAGE, "--%s '%s': files or folders with commas between",
                             option, paths);
        memcpy(path, paths, length);
        path[length] = 0;
        paths += length + (paths[length] == ',');
        size_t before = p->count + p->crl_count;
        if (!stat(path, &s) && S_ISDIR(s.st_mode) ? add_folder(path, add, p, e) : add(path, p, e))
            return -1;
        if (p->count + p->crl_count == before)
            return error_set(e, ERROR_FILE, "%s: no X.509 %s in DER or PEM", path, kind);
    }
    return 0;
}

int owner_add_files(struct owner_pile *p, const char *option, const char *paths, struct error *e)
{
    return add_paths(p, option, paths, "certificate", add_file, e);
}

int owner_add_crls(struct owner_pile *p, const char *paths, struct error *e)
{
    return add_paths(p, "crl", paths, "revocation list", add_crl, e);
}
