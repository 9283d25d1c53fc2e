/* SPDX-License-Identifier: Apache-2.0 */
/* The configfs folder of attestation reports: its requests, their files, and what is in them. */
#define _GNU_SOURCE
#include "door/tsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SIZE     256u
#define INBLOB_SIZE   64u
#define TEXT_MAX      32u
#define PRIVLEVEL_MAX 3u
#define PROVIDER      "sev_guest"

/* --- A request -------------------------------------------------------------------------------- */

/* A file that a program may be writing to. */
struct inbox {
    int fd; /* the file; -1: it was never opened for writing */
    u8 taken[INBLOB_SIZE + 1];
    size_t taken_size; /* 0: nothing was written yet */
};

struct request {
    char name[NAME_SIZE]; /* "" if there is none */
    struct inbox inblob, privlevel, service, service_terms;
    u8 in[INBLOB_SIZE + 1];
    size_t in_size; /* INBLOB_SIZE + 1 if too much was written */
    u32 level;
    bool bad_level;     /* the last text written is not a level */
    bool wants_service; /* the program asked for a report of a service; there is none */
    u64 write_generation, read_generation;
    bool made; /* `report` is valid, for read_generation */
    u8 report[sizeof(struct snp_report)];
    u8 certificates[SNP_CERTS_MAX];
    u32 certificates_size;
};

struct tsm {
    struct sev_guest *guest;
    bool below_vmpl0; /* the guest's kernel runs below VMPL0 */
    struct request *requests[TSM_REQUESTS_MAX];
};

struct tsm *tsm_create(struct sev_guest *guest, bool below_vmpl0)
{
    struct tsm *t = calloc(1, sizeof *t);
    if (t) {
        t->guest = guest;
        t->below_vmpl0 = below_vmpl0;
    }
    return t;
}

static void request_free(struct request *r)
{
    const int files[] = {r->inblob.fd, r->privlevel.fd, r->service.fd, r->service_terms.fd};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (files[i] >= 0)
            close(files[i]);
    free(r);
}

void tsm_destroy(struct tsm *t)
{
    for (u32 i = 0; t && i < TSM_REQUESTS_MAX; i++)
        if (t->requests[i])
            request_free(t->requests[i]);
    free(t);
}

/* --- What was written ------------------------------------------------------------------------- */

/* Takes new bytes from the inbox, at most `INBLOB_SIZE + 1`. Returns false if there are none. */
static bool inbox_changed(struct inbox *box)
{
    u8 now[sizeof box->taken];
    ssize_t size = box->fd < 0 ? 0 : pread(box->fd, now, sizeof now, 0);
    if (size <= 0 || ((size_t)size == box->taken_size && !memcmp(now, box->taken, box->taken_size)))
        return false;
    memcpy(box->taken, now, (size_t)size);
    box->taken_size = (size_t)size;
    return true;
}

/* Parses a number as the kernel does: decimal, or with 0x or 0 before it, and with a newline after
 * it. */
static bool parse_level(const struct inbox *box, u32 floor, u32 *out)
{
    char text[TEXT_MAX] = {0}, *end;
    if (box->taken_size >= sizeof text)
        return false;
    memcpy(text, box->taken, box->taken_size);
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    unsigned long value = strtoul(text, &end, 0);
    if (*end == '\n')
        end++;
    *out = (u32)value;
    return !errno && end == text + box->taken_size && value >= floor && value <= PRIVLEVEL_MAX;
}

static void take_writes(struct tsm *t, struct request *r)
{
    u32 level;
    if (inbox_changed(&r->inblob)) {
        memcpy(r->in, r->inblob.taken, r->inblob.taken_size);
        r->in_size = r->inblob.taken_size;
        r->write_generation++;
    }
    if (inbox_changed(&r->service)) {
        r->wants_service = true;
        r->write_generation++;
    }
    if (inbox_changed(&r->service_terms))
        r->write_generation++;
    if (inbox_changed(&r->privlevel)) {
        r->bad_level = !parse_level(&r->privlevel, sev_guest_vmpck(t->guest), &level);
        if (!r->bad_level) {
            r->level = level;
            r->write_generation++;
        }
    }
}

/* --- The report ------------------------------------------------------------------------------- */

/* Returns the table's size up to the end of its last object, as the kernel counts it. */
static u32 table_size(const u8 *table)
{
    struct guest_certificate list[GUEST_CERTIFICATES_MAX];
    u32 size = 0;
    s32 count = guest_certificates_read(table, SNP_CERTS_MAX, list);
    for (s32 i = 0; i < count; i++) {
        u32 end = (u32)((const u8 *)list[i].data - table + (ptrdiff_t)list[i].size);
        size = (u32)max_u64(size, end);
    }
    return size;
}

static s64 make_report(struct tsm *t, struct request *r)
{
    struct snp_report_req request = {.vmpl = r->level};
    struct snp_report_rsp answer;
    u8 payload[SNP_REPORT_RESP_SIZE];
    u32 size = SNP_CERTS_MAX;
    u64 exitinfo2 = SNP_GUEST_NO_CALL;
    if (r->bad_level || r->wants_service || r->in_size != INBLOB_SIZE)
        return -EINVAL;
    if (r->made && r->read_generation == r->write_generation)
        return 0;
    r->made = false;
    memcpy(request.report_data, r->in, sizeof request.report_data);
    s64 result =
        sev_guest_ext_report(t->guest, 1, &request, payload, r->certificates, &size, &exitinfo2);
    if (result)
        return result;
    memcpy(&answer, payload, sizeof answer);
    if (answer.status == SEV_STATUS_INVALID_PARAM || answer.status == SEV_STATUS_INVALID_KEY)
        return -EINVAL;
    if (answer.status || answer.report_size != sizeof answer.report)
        return -ENXIO;
    memcpy(r->report, &answer.report, sizeof r->report);
    r->certificates_size = table_size(r->certificates);
    r->read_generation = r->write_generation;
    r->made = true;
    return 0;
}

/* --- What an open file has -------------------------------------------------------------------- */

/* Writes the contents of the file that the program gets, unless it has them already: somebody may
 * be reading it. */
static s64 give(int file, const void *data, size_t size)
{
    u8 now[256];
    struct stat st;
    if (fstat(file, &st) == 0 && st.st_size == (off_t)size && size <= sizeof now &&
        pread(file, now, size, 0) == (ssize_t)size && !memcmp(now, data, size))
        return 0;
    if (ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size)
        return -EIO;
    return 0;
}

static s64 give_text(int file, const char *format, ...) PRINTF_LIKE(2, 3);
static s64 give_text(int file, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return give(file, text, (size_t)size);
}

/* Gives the program an empty file to write to, because writing the same bytes again must count as
 * another write. */
static s64 give_inbox(int file, struct inbox *box)
{
    int fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || ftruncate(fd, 0)) {
        s64 result = -errno;
        if (fd >= 0)
            close(fd);
        return result;
    }
    if (box->fd >= 0)
        close(box->fd);
    *box = (struct inbox){.fd = fd};
    return 0;
}

/* --- The files -------------------------------------------------------------------------------- */

static s64 open_inblob(struct tsm *t, struct request *r, int file)
{
    (void)t;
    return give_inbox(file, &r->inblob);
}

static s64 open_privlevel(struct tsm *t, struct request *r, int file)
{
    (void)t;
    return give_inbox(file, &r->privlevel);
}

static s64 open_outblob(struct tsm *t, struct request *r, int file)
{
    s64 result = make_report(t, r);
    return result ? result : give(file, r->report, sizeof r->report);
}

static s64 open_auxblob(struct tsm *t, struct request *r, int file)
{
    s64 result = make_report(t, r);
    return result ? result : give(file, r->certificates, r->certificates_size);
}

static s64 open_provider(struct tsm *t, struct request *r, int file)
{
    (void)t;
    (void)r;
    return give_text(file, "%s\n", PROVIDER);
}

static s64 open_generation(struct tsm *t, struct request *r, int file)
{
    (void)t;
    return give_text(file, "%llu\n", (unsigned long long)r->write_generation);
}

static s64 open_floor(struct tsm *t, struct request *r, int file)
{
    (void)r;
    return give_text(file, "%u\n", sev_guest_vmpck(t->guest));
}

/* Opens service_provider. Under an SVSM, a report may be asked of a service at another VMPL; here
 * no service answers. */
static s64 open_service(struct tsm *t, struct request *r, int file)
{
    (void)t;
    return give_inbox(file, &r->service);
}

static s64 open_service_terms(struct tsm *t, struct request *r, int file)
{
    (void)t;
    return give_inbox(file, &r->service_terms);
}

static s64 open_manifest(struct tsm *t, struct request *r, int file)
{
    s64 result = make_report(t, r);
    return result ? result : give(file, "", 0);
}

struct attribute {
    const char *name;
    bool write; /* write-only; otherwise read-only */
    bool above; /* only shown to a kernel below VMPL0, as Linux does */
    u32 size;   /* the size that stat shows: a page for texts, 0 for bytes */
    s64 (*open)(struct tsm *t, struct request *r, int file);
};

// clang-format off
static const struct attribute attributes[] = {
    {"inblob",                   true,  false, 0,         open_inblob},
    {"outblob",                  false, false, 0,         open_outblob},
    {"auxblob",                  false, false, 0,         open_auxblob},
    {"provider",                 false, false, PAGE_SIZE, open_provider},
    {"generation",               false, false, PAGE_SIZE, open_generation},
    {"privlevel",                true,  false, PAGE_SIZE, open_privlevel},
    {"privlevel_floor",          false, false, PAGE_SIZE, open_floor},
    {"service_provider",         true,  true,  PAGE_SIZE, open_service},
    {"service_guid",             true,  true,  PAGE_SIZE, open_service_terms},
    {"service_manifest_version", true,  true,  PAGE_SIZE, open_service_terms},
    {"manifestblob",             false, true,  0,         open_manifest},
};
// clang-format on

static bool is_visible(const struct tsm *t, const struct attribute *a)
{
    return !a->above || t->below_vmpl0;
}

/* --- Paths ------------------------------------------------------------------------------------ */

/* The object that a path names: the folder, a request in it, or a file of a request. Errors are the
 * kernel's: -ENOENT and -ENOTDIR. */
struct place {
    struct request **slot; /* NULL: the folder itself */
    const struct attribute *attribute;
};

static struct request **find_request(struct tsm *t, const char *name, size_t size)
{
    for (u32 i = 0; i < TSM_REQUESTS_MAX; i++)
        if (t->requests[i] && strlen(t->requests[i]->name) == size &&
            !memcmp(t->requests[i]->name, name, size))
            return &t->requests[i];
    return NULL;
}

static s64 find(struct tsm *t, const char *path, struct place *out)
{
    size_t size = strcspn(path, "/");
    *out = (struct place){NULL, NULL};
    if (!*path)
        return 0;
    out->slot = find_request(t, path, size);
    if (!out->slot)
        return -ENOENT;
    if (!path[size] || !path[size + 1])
        return 0;
    const char *file = path + size + 1;
    size = strcspn(file, "/");
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
        if (is_visible(t, &attributes[i]) && strlen(attributes[i].name) == size &&
            !memcmp(attributes[i].name, file, size))
            out->attribute = &attributes[i];
    if (!out->attribute)
        return -ENOENT;
    return file[size] ? -ENOTDIR : 0;
}

static s64 tsm_stat(void *context, const char *path, u64 *size)
{
    struct place place;
    s64 result = find(context, path, &place);
    if (result)
        return result;
    *size = place.attribute ? place.attribute->size : 0;
    if (!place.attribute)
        return S_IFDIR | 0755;
    return S_IFREG | (place.attribute->write ? 0200 : 0444);
}

static const char *tsm_name(void *context, const char *path, u32 number)
{
    (void)path;
    for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
        if (is_visible(context, &attributes[i]) && number-- == 0)
            return attributes[i].name;
    return NULL;
}

static s64 tsm_open(void *context, const char *path, bool write, int file)
{
    struct tsm *t = context;
    struct place place;
    s64 result = find(t, path, &place);
    if (result)
        return result;
    if (!place.attribute || place.attribute->write != write)
        return write && !place.attribute ? -EISDIR : -EACCES;
    take_writes(t, *place.slot);
    return place.attribute->open(t, *place.slot, file);
}

static s64 tsm_make(void *context, const char *path)
{
    struct tsm *t = context;
    struct place place;
    s64 result = find(t, path, &place);
    if (!result)
        return -EEXIST;
    if (strchr(path, '/'))
        return place.slot ? -EPERM : result; /* a request contains no folders */
    if (strlen(path) >= NAME_SIZE)
        return -ENAMETOOLONG;
    for (u32 i = 0; i < TSM_REQUESTS_MAX; i++) {
        if (t->requests[i])
            continue;
        struct request *r = t->requests[i] = calloc(1, sizeof *r);
        if (!r)
            return -ENOMEM;
        memcpy(r->name, path, strlen(path));
        r->inblob.fd = r->privlevel.fd = r->service.fd = r->service_terms.fd = -1;
        return 0;
    }
    return -ENOSPC;
}

static s64 tsm_remove(void *context, const char *path)
{
    struct place place;
    s64 result = find(context, path, &place);
    if (result)
        return result;
    if (!place.slot || place.attribute)
        return place.slot ? -ENOTDIR : -EPERM;
    request_free(*place.slot);
    *place.slot = NULL;
    return 0;
}

struct door_folder tsm_folder(struct tsm *t)
{
    return (struct door_folder){
        .path = "/sys/kernel/config/tsm/report",
        .make = tsm_make,
        .remove = tsm_remove,
        .open = tsm_open,
        .stat = tsm_stat,
        .name = tsm_name,
        .context = t,
    };
}
