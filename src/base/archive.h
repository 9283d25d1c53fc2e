/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State that goes into a file or to another machine, and comes back. Each struct that has such
 * state has one function that names its members in order; it serves both ways, so that saving and
 * loading cannot differ. What is loaded is hostile: a value is checked where it is named.
 *
 * An archive that has failed stays failed. It then moves nothing and leaves all values as they are,
 * so that one check at the end is enough; but a loop must end by itself. All numbers are
 * little-endian.
 */
#ifndef SOFTSEV_BASE_ARCHIVE_H
#define SOFTSEV_BASE_ARCHIVE_H

#include "base/base.h"
#include "base/error.h"

/* The longest name of a section, without its NUL. */
#define ARCHIVE_NAME_MAX 23u

/* Where the bytes go, or come from. */
struct archive_stream {
    /* Moves all bytes, or returns -1 with an error. A load may change `data` even then. */
    int (*move)(void *context, void *data, size_t size, struct error *error);
    void *context;
};

struct archive {
    bool loading;
    bool failed;
    struct archive_stream stream;
    struct error *error;                /* set when `failed` becomes true */
    u64 moved;                          /* bytes, of the stream */
    char section[ARCHIVE_NAME_MAX + 1]; /* for errors; "" outside of all sections */
};

/* The caller keeps `error`, whose code is ERROR_NONE now. */
struct archive archive_saving(struct archive_stream stream, struct error *error);
struct archive archive_loading(struct archive_stream stream, struct error *error);

/* Fails: the state cannot be saved, or what was loaded is wrong. `format` says what is wrong; the
 * error says in which section. The first failure wins. */
void archive_fail(struct archive *a, enum error_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Fails, unless `right`, when loading: "LAPIC: `what` is not possible". For checks of values that
 * have been moved. Returns true if the archive has not failed. */
bool archive_check(struct archive *a, bool right, const char *what);

/* A section begins with its name and version; a load fails if others stand there. Sections do not
 * nest. The version changes whenever the meaning or the order of what follows does. */
void archive_section(struct archive *a, const char *name, u32 version);

/* Move one value. A bool is one byte; any but 0 and 1 fails. */
void archive_bytes(struct archive *a, void *data, size_t size);
void archive_bool(struct archive *a, bool *value);
void archive_u8(struct archive *a, u8 *value);
void archive_u16(struct archive *a, u16 *value);
void archive_u32(struct archive *a, u32 *value);
void archive_u64(struct archive *a, u64 *value);
/* Move `count` values of an array. */
void archive_u32s(struct archive *a, u32 *values, size_t count);
void archive_u64s(struct archive *a, u64 *values, size_t count);

/* Move a number that must be below `limit`, such as an index or an enumeration's value: what
 * archive_check says of others. For an enum, copy it to a u32 and back. */
void archive_u32_below(struct archive *a, u32 *value, u32 limit, const char *what);
void archive_u64_below(struct archive *a, u64 *value, u64 limit, const char *what);

/* Move an enum, whose type may have any size, through a u32. */
#define archive_enum(a, lvalue, limit, what)                                                       \
    do {                                                                                           \
        u32 archive_number_ = (u32)(lvalue);                                                       \
        archive_u32_below((a), &archive_number_, (limit), (what));                                 \
        if ((a)->loading && !(a)->failed)                                                          \
            (lvalue) = archive_number_;                                                            \
    } while (0)

/* Moves a number that both sides must have, such as a size that was chosen when the machine was
 * built. A load that finds another one fails, and says both: "the memory's size is 512, not 1024".
 */
void archive_same(struct archive *a, u64 value, const char *what);

#endif
