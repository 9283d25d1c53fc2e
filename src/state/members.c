/* SPDX-License-Identifier: Apache-2.0 */
/* The files that belong to a platform, and what the absence of each means. */
#include "state/internal.h"

#include "crypto/crypto.h"

#include <stdlib.h>

#define HAS(file) (1u << STATE_##file)
#define HAS_KEYS  (1u << STATE_FILES) /* a store with keys in it */

/* A file is made once, in the order store (without keys), profile, committed, fuses, authority,
 * CEK; then the firmware puts its keys into the store. */
static const struct member {
    const char *name;
    u32 beside;    /* beside one of these its absence is damage; otherwise it was never made */
    bool since_v2; /* ... unless version 1 of the directory made it only on demand */
    /* what to do about it, around the directory's name; NULL: the common advice */
    const char *remedy, *remedy_end;
} members[STATE_FILES] = {
    [STATE_FUSES] = {"fuses", .beside = HAS(AUTHORITY) | HAS(CEK) | HAS_KEYS},
    [STATE_STORE] = {"store", .beside = HAS(FUSES), .remedy = "`softsev platform reset --state ",
                     .remedy_end = "` gives it up, and the next start makes new keys"},
    [STATE_AUTHORITY] = {"authority", .beside = HAS(CEK) | HAS_KEYS},
    /* never damage: chip and authority are enough to sign the same key again */
    [STATE_CEK] = {"cek", .remedy = "remove it, and the next start of ",
                   .remedy_end = " signs the CEK anew"},
    [STATE_PROFILE] = {"profile", .beside = HAS(FUSES), .since_v2 = true,
                       .remedy = "`softsev platform status --profile NAME --state ",
                       .remedy_end = "` says again which firmware it has"},
    [STATE_COMMITTED] = {"committed", .beside = HAS(FUSES), .since_v2 = true},
};

const char *state_file_name(enum state_file file)
{
    return members[file].name;
}

int state_corrupt(const struct state *s, enum state_file file, const char *wrong, struct error *e)
{
    const struct member *m = &members[file];
    const u32 both = HAS(STORE) | HAS(PROFILE);
    /* The other one's advice was followed already, or would lead back here. */
    if (both & 1u << file && (s->pass | s->missing) & (both & ~(1u << file)))
        return error_set(e, ERROR_STATE,
                         "the state directory is corrupt: %s/%s %s; `softsev platform reset "
                         "--profile NAME --state %s` gives the keys up and says again which "
                         "firmware it has",
                         s->directory, m->name, wrong, s->directory);
    if (m->remedy)
        return error_set(e, ERROR_STATE, "the state directory is corrupt: %s/%s %s; %s%s%s",
                         s->directory, m->name, wrong, m->remedy, s->directory, m->remedy_end);
    return error_set(e, ERROR_STATE,
                     "the state directory is corrupt: %s/%s %s; put a good copy in its place, or "
                     "remove the directory to start anew",
                     s->directory, m->name, wrong);
}

static int find_present(const struct state *s, u32 *present, struct error *e)
{
    u8 *content = malloc(STATE_FILE_MAX);
    if (!content)
        return error_set(e, ERROR_MEMORY, "state directory %s: out of memory", s->directory);
    int result = 0;
    for (int i = 0; i < STATE_FILES && !result; i++) {
        struct error why = {.code = ERROR_NONE};
        size_t size;
        enum state_answer answer =
            state_read(s, (enum state_file)i, content, STATE_FILE_MAX, &size, &why);
        const bool passes = answer == STATE_DAMAGED && (s->pass & 1u << i);
        if (answer == STATE_READ || passes)
            *present |= 1u << i;
        if (i == STATE_STORE && (passes || (size && !state_store_is_empty(content, size))))
            *present |= HAS_KEYS;
        if (answer > STATE_ABSENT && !passes)
            result = error_set(e, why.code, "%s", why.text);
        crypto_wipe(content, size);
    }
    free(content);
    return result;
}

static bool is_lost(const struct state *s, int file, u32 present)
{
    const struct member *m = &members[file];
    return !(present & 1u << file) && !(s->pass & 1u << file) && (present & m->beside) &&
           !(m->since_v2 && s->version < 2);
}

/* Reports files that only a copy brings back before files that can be given up: otherwise the keys
 * would be lost for nothing. */
int state_check_members(struct state *s, struct error *e)
{
    u32 present = 0;
    int first = STATE_FILES;
    s->missing = 0;
    if (find_present(s, &present, e))
        return -1;
    for (int i = 0; i < STATE_FILES; i++) {
        if (!is_lost(s, i, present))
            continue;
        s->missing |= 1u << i;
        if (first == STATE_FILES || (members[first].remedy && !members[i].remedy))
            first = i;
    }
    return first == STATE_FILES
               ? 0
               : state_corrupt(s, (enum state_file)first,
                               "is missing, and what was made with it is there", e);
}
