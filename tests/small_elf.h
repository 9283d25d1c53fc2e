/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest kernel that is one: an ELF64 with one segment, 100h bytes of the file at 100h. */
#ifndef SOFTSEV_TESTS_SMALL_ELF_H
#define SOFTSEV_TESTS_SMALL_ELF_H

#include "base/bytes.h"

#define SMALL_ELF_SIZE 0x200u

static inline void small_elf(u8 elf[SMALL_ELF_SIZE], u64 address, u64 entry, u64 memory_size)
{
    memset(elf, 0, SMALL_ELF_SIZE);
    memcpy(elf, "\177ELF\2\1\1", 7);
    store_le16(elf + 16, 2);
    store_le16(elf + 18, 62);
    store_le64(elf + 24, entry);
    store_le64(elf + 32, 64);
    store_le16(elf + 54, 56);
    store_le16(elf + 56, 1);
    store_le32(elf + 64, 1);
    store_le64(elf + 64 + 8, 0x100);
    store_le64(elf + 64 + 24, address);
    store_le64(elf + 64 + 32, 0x100);
    store_le64(elf + 64 + 40, memory_size);
}

#endif
