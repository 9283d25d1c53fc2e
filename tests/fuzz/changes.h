/* SPDX-License-Identifier: Apache-2.0 */
/* An input of a fuzz target as a list of changes to structures that a guest or a host writes. */
#ifndef SOFTSEV_TESTS_FUZZ_CHANGES_H
#define SOFTSEV_TESTS_FUZZ_CHANGES_H

#include "base/base.h"

struct input {
    const u8 *data;
    size_t size;
};

/* The next byte; 0 at the end. */
static inline u32 take(struct input *in)
{
    if (!in->size)
        return 0;
    in->size--;
    return *in->data++;
}

struct change {
    u32 offset;
    u8 value;
};

/* The next of `*left` changes; false: there is none. */
static inline bool take_change(struct input *in, u32 *left, struct change *c)
{
    if (!*left || in->size < 3)
        return false;
    --*left;
    c->offset = take(in);
    c->offset |= take(in) << 8;
    c->value = (u8)take(in);
    return true;
}

/* Launches the guest of the VMCB with a VMSA whose beginning is the save area. */
static inline void launch_with_vmsa(struct guest *g)
{
    struct vmsa s = {.mxcsr = 0x1f80, .x87_fcw = 0x37f};
    struct vmcb_control *k = &g->vmcb.control;
    memcpy(&s, &g->vmcb.save, VMSA_COMMON_SIZE);
    k->np_control |= NP_SEV_ES;
    k->lbr_control |= LBR_VIRTUALIZATION;
    k->vmsa ^= VMSA;
    memory_write(g->memory, VMSA, g->key, &s, sizeof s);
    memory_vmsa_seal(g->memory, VMSA, g->key);
}

#endif
