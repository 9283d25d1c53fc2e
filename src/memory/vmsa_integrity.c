/* SPDX-License-Identifier: Apache-2.0 */
/* Check values of VMSAs, kept where only the memory controller can reach them [cpu 6.10]. */
#include "memory/internal.h"

#define CHECKED_SIZE 0xfc0u

static u64 mix(u64 value, u64 word)
{
    value = (value ^ word) * 0xff51afd7ed558ccdull;
    return value ^ value >> 32;
}

/* Returns the check value of a VMSA, never 0. It has to detect changes by an attacker who can
 * neither read nor choose the bytes, so it only needs to spread changes. Every step is one-to-one:
 * a change of one word always changes the value. Four independent sums keep the multiplier busy,
 * because this runs at every exit. */
static u64 value_of(const u8 *bytes)
{
    u64 sum[4] = {1, 2, 3, 4};
    for (u32 i = 0; i < CHECKED_SIZE; i += 32)
        for (u32 n = 0; n < 4; n++)
            sum[n] = mix(sum[n], load_le64(bytes + i + 8 * n));
    u64 value = mix(mix(mix(sum[0], sum[1]), sum[2]), sum[3]);
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
