/* SPDX-License-Identifier: Apache-2.0 */
/* Moves values to a stream and back, and says in which section a value is wrong. */
#include "base/archive.h"

#include <stdarg.h>
#include <stdio.h>

/* Before each section, so that a load that has lost its place fails there. */
#define SECTION_MARK 0x6e6f6974u /* "tion" */

struct archive archive_saving(struct archive_stream stream, struct error *error)
{
    return (struct archive){.stream = stream, .error = error};
}

struct archive archive_loading(struct archive_stream stream, struct error *error)
{
    return (struct archive){.loading = true, .stream = stream, .error = error};
}

void archive_fail(struct archive *a, enum error_code code, const char *format, ...)
{
    if (a->failed)
        return;
    a->failed = true;
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(a->error, code, "%s%s%s", a->section, a->section[0] ? ": " : "", text);
}

bool archive_check(struct archive *a, bool right, const char *what)
{
    if (a->loading && !right)
        archive_fail(a, ERROR_FILE, "%s is not possible", what);
    return !a->failed;
}

static void move(struct archive *a, void *data, size_t size)
{
    if (a->failed || !size)
        return;
    if (a->stream.move(a->stream.context, data, size, a->error)) {
        a->failed = true;
        return;
    }
    a->moved += size;
}

void archive_bytes(struct archive *a, void *data, size_t size)
{
    move(a, data, size);
}

/* Moves a number of `size` bytes; returns `value` again, or the one that was loaded. */
static u64 number(struct archive *a, u64 value, size_t size)
{
    u8 bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (u8)(value >> 8 * i);
    move(a, bytes, size);
    if (!a->loading || a->failed)
        return value;
    u64 loaded = 0;
    for (size_t i = 0; i < size; i++)
        loaded |= (u64)bytes[i] << 8 * i;
    return loaded;
}

void archive_u8(struct archive *a, u8 *value)
{
    *value = (u8)number(a, *value, 1);
}

void archive_u16(struct archive *a, u16 *value)
{
    *value = (u16)number(a, *value, 2);
}

void archive_u32(struct archive *a, u32 *value)
{
    *value = (u32)number(a, *value, 4);
}

void archive_u64(struct archive *a, u64 *value)
{
    *value = number(a, *value, 8);
}

void archive_bool(struct archive *a, bool *value)
{
    const u64 loaded = number(a, *value, 1);
    if (archive_check(a, loaded <= 1, "a flag other than 0 and 1"))
        *value = loaded;
}

void archive_u32s(struct archive *a, u32 *values, size_t count)
{
    for (size_t i = 0; i < count && !a->failed; i++)
        archive_u32(a, &values[i]);
}

void archive_u64s(struct archive *a, u64 *values, size_t count)
{
    for (size_t i = 0; i < count && !a->failed; i++)
        archive_u64(a, &values[i]);
}

void archive_u64_below(struct archive *a, u64 *value, u64 limit, const char *what)
{
    const u64 loaded = number(a, *value, 8);
    if (archive_check(a, loaded < limit, what))
        *value = loaded;
}

void archive_u32_below(struct archive *a, u32 *value, u32 limit, const char *what)
{
    const u64 loaded = number(a, *value, 4);
    if (archive_check(a, loaded < limit, what))
        *value = (u32)loaded;
}

void archive_same(struct archive *a, u64 value, const char *what)
{
    const u64 loaded = number(a, value, 8);
    if (a->loading && !a->failed && loaded != value)
        archive_fail(a, ERROR_FILE, "%s is %llu, not %llu", what, (unsigned long long)loaded,
                     (unsigned long long)value);
}

void archive_section(struct archive *a, const char *name, u32 version)
{
    if (a->failed)
        return;
    memset(a->section, 0, sizeof a->section);
    snprintf(a->section, sizeof a->section, "%s", name);
    char found[ARCHIVE_NAME_MAX + 1] = {0};
    memcpy(found, a->section, sizeof found);
    const u64 mark = number(a, SECTION_MARK, 4);
    move(a, found, ARCHIVE_NAME_MAX);
    const u64 loaded = number(a, version, 4);
    if (a->failed || !a->loading)
        return;
    if (mark != SECTION_MARK || memcmp(found, a->section, ARCHIVE_NAME_MAX) != 0)
        archive_fail(a, ERROR_FILE, "this part does not begin where it should");
    else if (loaded != version)
        archive_fail(a, ERROR_FILE, "version %llu of this part is not known; %u is",
                     (unsigned long long)loaded, version);
}
