/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that a machine can be: server processors by generation, the oldest first, with the
 * family, model and stepping of CPUID Fn0000_0001 EAX and the name in Fn8000_0002 to 4. */
#ifndef SOFTSEV_ABI_PART_H
#define SOFTSEV_ABI_PART_H

#include "base/base.h"

// clang-format off
#define PARTS(X)                                                              \
    X(NAPLES, "naples", 0x17, 0x01, 2, "AMD EPYC 7601 32-Core Processor")     \
    X(ROME,   "rome",   0x17, 0x31, 0, "AMD EPYC 7742 64-Core Processor")     \
    X(MILAN,  "milan",  0x19, 0x01, 1, "AMD EPYC 7763 64-Core Processor")     \
    X(GENOA,  "genoa",  0x19, 0x11, 1, "AMD EPYC 9654 96-Core Processor")     \
    X(TURIN,  "turin",  0x1a, 0x02, 1, "AMD EPYC 9755 128-Core Processor")
// clang-format on

#define PART_ENUM(id, name, family, model, stepping, brand) PART_##id,
enum part { PARTS(PART_ENUM) PART_COUNT };
#undef PART_ENUM

/* Returns CPUID Fn0000_0001 EAX. */
static inline u32 part_signature(u32 family, u32 model, u32 stepping)
{
    const u32 extended = family > 15 ? family - 15 : 0, base = family > 15 ? 15 : family;
    return extended << 20 | (model >> 4 & 15) << 16 | base << 8 | (model & 15) << 4 |
           (stepping & 15);
}

/* Returns the part of a family and model; the low four bits of a model are of a revision.
 * PART_COUNT: none. */
static inline enum part part_of(u32 family, u32 model)
{
#define PART_MATCH(id, name, family_, model_, stepping, brand)                                     \
    if (family == (family_) && model >> 4 == (model_) >> 4)                                        \
        return PART_##id;
    PARTS(PART_MATCH)
#undef PART_MATCH
    return PART_COUNT;
}

static inline enum part part_of_signature(u32 signature)
{
    return part_of((signature >> 8 & 15) + (signature >> 20 & 0xff),
                   (signature >> 4 & 15) | (signature >> 12 & 0xf0));
}

#endif
