/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's secret as a cpio archive in the "newc" format, which the kernel unpacks as one more
 * initramfs segment. */
#include <stdio.h>

#include "base/bytes.h"
#include "image/internal.h"

#define NEWC_HEADER 110u

static void pad(struct writer *w, u32 alignment)
{
    write_zeros(w, -w->at & (alignment - 1));
}

/* Writes an entry: the magic, then 13 fields of eight hex digits: inode, mode, uid, gid, links,
 * time, size, device (major, minor), special device (major, minor), name size with its NUL,
 * checksum (0). */
static void newc_entry(struct writer *w, const char *name, u32 inode, u32 mode, const void *data,
                       size_t size)
{
    char header[NEWC_HEADER + 1];
    size_t name_size = strlen(name) + 1;
    snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
             inode, mode, 0u, 0u, 1u, 0u, (unsigned)size, 0u, 0u, 0u, 0u, (unsigned)name_size, 0u);
    write_bytes(w, header, NEWC_HEADER);
    write_bytes(w, name, name_size);
    pad(w, 4);
    write_bytes(w, data, size);
    pad(w, 4);
}

size_t image_secret_archive(const void *secret, size_t secret_size, u8 *out, size_t size)
{
    struct writer w = writer_of(out, min_u64(size, IMAGE_SECRET_MAX));
    if (secret_size > IMAGE_SECRET_MAX)
        return 0;
    newc_entry(&w, "secret", 1, 040700, "", 0);
    newc_entry(&w, "secret/secret", 2, 0100400, secret, secret_size);
    newc_entry(&w, "TRAILER!!!", 0, 0, "", 0);
    pad(&w, 16);
    return w.bad ? 0 : w.at;
}
