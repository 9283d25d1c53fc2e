/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's decoder of instructions on devices: bytes that a guest chose.
 * The first says the mode. */
#include <stdlib.h>

#include "hypervisor/mmio.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool is_width(u32 size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u32 bits[] = {16, 32, 64, 64};
    struct mmio_instruction m;
    u64 flags = 0;
    if (size < 1)
        return 0;
    u32 count = (u32)min_u64(size - 1, 15);
    if (!mmio_decode(data + 1, count, bits[data[0] & 3], &m))
        return 0;
    require(m.length >= 1 && m.length <= count);
    require(is_width(m.size) && is_width(m.to_size) && is_width(m.address_size) && m.reg < 16);
    require(!m.high || (m.reg < 4 && m.to_size == 1));
    if (m.kind == MMIO_ALU)
        mmio_compute(m.alu, m.size, ~0ull, m.value, &flags);
    return 0;
}
