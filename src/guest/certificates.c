/* SPDX-License-Identifier: Apache-2.0 */
/* The table of certificates that the host hands out beside an extended report [snp 6.3]. */
#include "guest/guest.h"

#include "base/bytes.h"

#define ENTRY_SIZE 24u /* GUID, u32 offset, u32 length */

struct kind {
    const char *name;
    u8 guid[16];
};

#define KIND(id, text, ...) [GUEST_CERTIFICATE_##id] = {text, {__VA_ARGS__}},
static const struct kind kinds[GUEST_CERTIFICATE_OTHER] = {GUEST_CERTIFICATES(KIND)};
#undef KIND

const char *guest_certificate_name(enum guest_certificate_kind kind)
{
    return (unsigned)kind < ARRAY_SIZE(kinds) ? kinds[kind].name : "other";
}

static enum guest_certificate_kind kind_of(const u8 guid[16])
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        if (!memcmp(kinds[i].guid, guid, sizeof kinds[i].guid))
            return (enum guest_certificate_kind)i;
    return GUEST_CERTIFICATE_OTHER;
}

size_t guest_certificates_write(const struct guest_certificate *certificates, size_t count,
                                void *out, size_t size)
{
    size_t entries = 1, needed = 0;
    for (size_t i = 0; i < count; i++) {
        entries += certificates[i].size != 0;
        needed += certificates[i].size;
    }
    needed += entries * ENTRY_SIZE;
    if (needed > size)
        return needed;
    struct writer w = writer_of(out, size);
    u32 at = (u32)(entries * ENTRY_SIZE);
    for (size_t i = 0; i < count; i++) {
        const struct guest_certificate *c = &certificates[i];
        if (!c->size)
            continue;
        write_bytes(&w, (unsigned)c->kind < ARRAY_SIZE(kinds) ? kinds[c->kind].guid : c->guid, 16);
        write_u32(&w, at);
        write_u32(&w, (u32)c->size);
        at += (u32)c->size;
    }
    write_zeros(&w, ENTRY_SIZE);
    for (size_t i = 0; i < count; i++)
        write_bytes(&w, certificates[i].data, certificates[i].size);
    return needed;
}

s32 guest_certificates_read(const void *table, size_t size,
                            struct guest_certificate out[GUEST_CERTIFICATES_MAX])
{
    static const u8 end[ENTRY_SIZE];
    struct reader r = reader_of(table, size);
    for (u32 count = 0; count <= GUEST_CERTIFICATES_MAX; count++) {
        const u8 *entry = read_view(&r, ENTRY_SIZE);
        if (!entry)
            return -1;
        if (!memcmp(entry, end, ENTRY_SIZE))
            return (s32)count;
        u32 offset = load_le32(entry + 16), length = load_le32(entry + 20);
        if (count == GUEST_CERTIFICATES_MAX || !range_fits(offset, length, size))
            return -1;
        struct guest_certificate *c = &out[count];
        *c = (struct guest_certificate){
            .kind = kind_of(entry), .data = (const u8 *)table + offset, .size = length};
        memcpy(c->guid, entry, sizeof c->guid);
    }
    return -1;
}
