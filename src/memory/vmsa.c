/* SPDX-License-Identifier: Apache-2.0 */
/* Check values of VMSAs, kept where only the memory controller reaches them [cpu 6.10]. */
#include "memory/internal.h"

#define CHECKED_SIZE 0xfc0u

/* Against changes by somebody who can neither read the bytes nor choose them: it has to spread, no
 * more. Never 0. */
static u64 value_of(const u8 *bytes)
{
    u64 value = 0x9e3779b97f4a7c15ull;
    for (u32 i = 0; i < CHECKED_SIZE; i += 8) {
        value = (value ^ load_le64(bytes + i)) * 0xff51afd7ed558ccdull;
        value ^= value >> 32;
    }
    return value ? value : 1;
}

static bool page_value(struct memory *m, u64 spa, memory_key key, u64 *value)
{
    u8 bytes[PAGE_SIZE];
    if (spa & PAGE_MASK || !memory_read(m, spa, key, bytes, sizeof bytes))
        return false;
    *value = value_of(bytes);
    return true;
}

void memory_vmsa_seal(struct memory *m, u64 spa, memory_key key)
{
    u64 value;
    if (page_value(m, spa, key, &value))
        m->vmsa_values[spa >> PAGE_SHIFT] = value;
}

bool memory_vmsa_intact(struct memory *m, u64 spa, memory_key key)
{
    u64 value;
    return page_value(m, spa, key, &value) && m->vmsa_values[spa >> PAGE_SHIFT] == value;
}
