/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row for each command, typed from the specification, and what the tables of SEV's and of SNP's
 * commands are both compared with.
 */
#ifndef SOFTSEV_TESTS_FIRMWARE_EXPECTATION_H
#define SOFTSEV_TESTS_FIRMWARE_EXPECTATION_H

#include "rig.h"

struct expectation {
    u32 id;
    const char *name;
    u32 size;
    const char *platform; /* letters of the states that allow it; "!": this firmware lacks it */
    const char *guest;    /* letters of the guest's; NULL: it names no guest */
    u32 guest_at;         /* where the buffer names the guest */
    u8 since;             /* API minor */
    /* What it answers where the states allow it, to the buffer of the test's try_command(). */
    enum sev_status answer;
};

struct expectations {
    const struct expectation *rows;
    size_t count;
};

static inline const struct expectation *expected_of(struct expectations all, u32 id)
{
    for (size_t i = 0; i < all.count; i++)
        if (all.rows[i].id == id)
            return &all.rows[i];
    return NULL;
}

/* Compares rows and firmware over these ids: the same commands, names, sizes and versions. */
static inline void check_names_and_sizes(struct expectations all, u32 from, u32 to,
                                         const char *(*name_of)(u32 id))
{
    for (u32 id = from; id < to; id++) {
        const struct expectation *x = expected_of(all, id);
        const struct command *c = command_find(id);
        assert_int_equal(x != NULL, c != NULL);
        if (!x)
            continue;
        assert_string_equal(name_of(id), x->name);
        assert_string_equal(c->name, x->name);
        assert_int_equal(c->size, x->size);
        assert_int_equal(c->since, x->since);
    }
}

static inline void check_buffers_outside_memory(struct expectations all, struct rig *r)
{
    for (size_t i = 0; i < all.count; i++) {
        const struct expectation *x = &all.rows[i];
        if (!x->size || *x->platform == '!')
            continue;
        assert_status(firmware_mailbox(r->fw, x->id, RIG_MEMORY - x->size + 1), INVALID_ADDRESS);
        assert_status(firmware_mailbox(r->fw, x->id, ~0ull), INVALID_ADDRESS);
    }
}

#endif
