/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The basics that every room uses: fixed-width integers, bit helpers and a few compile-time checks.
 * softsev runs on little-endian 64-bit hosts only; this file asserts that, once.
 */
#ifndef SOFTSEV_BASE_BASE_H
#define SOFTSEV_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 s128;

_Static_assert(sizeof(void *) == 8, "softsev needs a 64-bit host");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "softsev needs a little-endian host");

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096u
#define PAGE_MASK  0xfffull

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)

#define BIT(n) (1ull << (n))
/* Bits high..low of a value, both ends included, as the manuals write them: BITS(v, 11, 6). */
#define BITS(value, high, low) (((u64)(value) >> (low)) & (~0ull >> (63 - ((high) - (low)))))

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)                ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)                  ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Structs of fixed-width fields have the manuals' layouts; these two macros check size and
 * offsets. */
#define ABI_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has the wrong size")
#define ABI_OFFSET(type, field, offset)                                                            \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " is misplaced")

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN               __attribute__((noreturn))
#define UNUSED                 __attribute__((unused))
#define LIKELY(x)              __builtin_expect(!!(x), 1)
#define UNLIKELY(x)            __builtin_expect(!!(x), 0)

static inline u64 min_u64(u64 a, u64 b)
{
    return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
    return a > b ? a : b;
}

/* True if [start, start + size) lies in [0, limit) without wrapping. */
static inline bool range_fits(u64 start, u64 size, u64 limit)
{
    return start <= limit && size <= limit - start;
}

/* Returns true if all bytes are zero. Takes the same time for any content. */
static inline bool all_zero(const void *bytes, size_t size)
{
    const u8 *p = (const u8 *)bytes; /* C++ wants the cast */
    u8 any = 0;
    for (size_t i = 0; i < size; i++)
        any |= p[i];
    return !any;
}

/* Little-endian integers in byte strings, at any alignment. */
static inline u16 load_le16(const void *p)
{
    u16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline u32 load_le32(const void *p)
{
    u32 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline u64 load_le64(const void *p)
{
    u64 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_le16(void *p, u16 v)
{
    memcpy(p, &v, sizeof v);
}

static inline void store_le32(void *p, u32 v)
{
    memcpy(p, &v, sizeof v);
}

static inline void store_le64(void *p, u64 v)
{
    memcpy(p, &v, sizeof v);
}

#endif
