/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware's data in a state directory: its store, the name of its profile, and the floor that
 * SNP_COMMIT raises. */
#include "state/internal.h"

#include "base/bytes.h"
#include "crypto/crypto.h"

#define NO_KEYS "no keys" /* what the store's file has when there is no store */

/* --- The store -------------------------------------------------------------------------------- */

bool state_store_is_empty(const void *content, size_t size)
{
    return size == strlen(NO_KEYS) && !memcmp(content, NO_KEYS, size);
}

static enum firmware_store_answer store_load(void *context, void *out, size_t size, size_t *got)
{
    static const enum firmware_store_answer answers[] = {
        [STATE_READ] = FIRMWARE_STORE_LOADED,           [STATE_ABSENT] = FIRMWARE_STORE_ABSENT,
        [STATE_UNREADABLE] = FIRMWARE_STORE_UNREADABLE, [STATE_DAMAGED] = FIRMWARE_STORE_DAMAGED,
        [STATE_NO_MEMORY] = FIRMWARE_STORE_NO_MEMORY,
    };
    struct state *s = context;
    s->refusal = (struct error){.code = ERROR_NONE};
    enum state_answer answer = state_read(s, STATE_STORE, out, size, got, &s->refusal);
    if (answer != STATE_READ || !state_store_is_empty(out, *got))
        return answers[answer];
    *got = 0;
    return FIRMWARE_STORE_ABSENT;
}

static bool store_save(void *context, const void *data, size_t size)
{
    struct state *s = context;
    s->refusal = (struct error){.code = ERROR_NONE};
    return state_write(s, STATE_STORE, size ? data : NO_KEYS, size ? size : strlen(NO_KEYS),
                       &s->refusal) == 0;
}

struct firmware_store state_store(struct state *s)
{
    return (struct firmware_store){.load = store_load, .save = store_save, .context = s};
}

int state_explain(const struct state *s, struct error *e)
{
    size_t used = strlen(e->text);
    if (s && s->refusal.code && e->code) {
        snprintf(e->text + used, sizeof e->text - used, ": %s", s->refusal.text);
        e->code = s->refusal.code;
    } else if (s && e->code == ERROR_STATE) {
        snprintf(e->text + used, sizeof e->text - used,
                 ": %s/%s; `softsev platform reset --state %s` gives it up, and the next start "
                 "makes new keys",
                 s->directory, state_file_name(STATE_STORE), s->directory);
    }
    return -1;
}

/* --- Profile and floor ------------------------------------------------------------------------ */

/* 00h product[16]   10h TCB u64   18h major   19h minor   1Ah build */
#define COMMITTED_SIZE    0x1bu
#define COMMITTED_PRODUCT 16u

static void product_name(const struct firmware_profile *profile, char out[COMMITTED_PRODUCT])
{
    memset(out, 0, COMMITTED_PRODUCT);
    memcpy(out, profile->product, strlen(profile->product));
}

int state_committed(struct state *s, const struct firmware_profile *profile,
                    struct firmware_committed *out, struct error *e)
{
    u8 data[COMMITTED_SIZE];
    char product[COMMITTED_PRODUCT], kept[COMMITTED_PRODUCT];
    size_t got;
    *out = (struct firmware_committed){.tcb = 0};
    s->profile = profile;
    if (!profile->report_version)
        return 0;
    enum state_answer answer = state_read(s, STATE_COMMITTED, data, sizeof data, &got, e);
    if (answer != STATE_READ)
        return answer == STATE_ABSENT ? 0 : -1;
    struct reader r = reader_of(data, got);
    read_bytes(&r, kept, sizeof kept);
    struct firmware_committed floor = {.tcb = read_u64(&r)};
    floor.major = read_u8(&r);
    floor.minor = read_u8(&r);
    floor.build = read_u8(&r);
    if (r.bad)
        return error_set(e, ERROR_STATE,
                         "the state directory is corrupt: %s/%s has %zu bytes, not %u",
                         s->directory, state_file_name(STATE_COMMITTED), got, COMMITTED_SIZE);
    product_name(profile, product);
    if (memcmp(product, kept, sizeof product)) /* another product was committed */
        return 0;
    if (!snp_tcb_at_most(floor.tcb, profile->tcb))
        return error_set(
            e, ERROR_FIRMWARE,
            "firmware %s (TCB %016llx) is older than the %u.%u build %u (TCB %016llx) that "
            "SNP_COMMIT has kept in %s: there is no way back",
            profile->name, (unsigned long long)profile->tcb, floor.major, floor.minor, floor.build,
            (unsigned long long)floor.tcb, s->directory);
    *out = floor;
    return 0;
}

#define PROFILE_NAME_MAX 32u

int state_profile(struct state *s, const struct firmware_profile *chosen,
                  const struct firmware_profile **out, struct error *e)
{
    char kept[PROFILE_NAME_MAX] = "";
    size_t got = 0;
    struct error why = {.code = ERROR_NONE};
    enum state_answer answer =
        s ? state_read(s, STATE_PROFILE, kept, sizeof kept - 1, &got, &why) : STATE_ABSENT;
    if (answer > STATE_ABSENT && !(answer == STATE_DAMAGED && chosen))
        return error_set(e, why.code, "%s", why.text);
    *out = chosen ? chosen : got ? firmware_profile_find(kept) : FIRMWARE_PROFILE_DEFAULT;
    if (!*out)
        return error_set(
            e, ERROR_STATE,
            "%s/%s names a firmware that this softsev does not have; `softsev platform status "
            "--profile NAME --state %s` gives the platform another",
            s->directory, state_file_name(STATE_PROFILE), s->directory);
    if (!s)
        return 0;
    struct firmware_committed floor; /* do not keep firmware that cannot start */
    if (state_committed(s, *out, &floor, e))
        return -1;
    if (!strcmp((*out)->name, kept) || (!chosen && s->reading))
        return 0;
    return state_write(s, STATE_PROFILE, (*out)->name, strlen((*out)->name), e);
}

void state_product(const struct state *s, char out[STATE_PRODUCT_MAX])
{
    char name[PROFILE_NAME_MAX] = "";
    u8 floor[COMMITTED_SIZE];
    size_t got;
    struct error unused = {.code = ERROR_NONE};
    if (state_read(s, STATE_PROFILE, name, sizeof name - 1, &got, &unused) == STATE_READ) {
        const struct firmware_profile *p = firmware_profile_find(name);
        snprintf(out, STATE_PRODUCT_MAX, "%s", p ? p->product : "");
    } else if (state_read(s, STATE_COMMITTED, floor, sizeof floor, &got, &unused) == STATE_READ) {
        snprintf(out, STATE_PRODUCT_MAX, "%.*s", (int)COMMITTED_PRODUCT, (const char *)floor);
    } else {
        *out = 0;
    }
}

static int make_absent(struct state *s, enum state_file file, const void *data, size_t size,
                       struct error *e)
{
    u8 kept[STATE_FILE_MAX];
    size_t got;
    struct error why = {.code = ERROR_NONE};
    const enum state_answer answer = state_read(s, file, kept, sizeof kept, &got, &why);
    crypto_wipe(kept, got);
    if (answer == STATE_ABSENT)
        return state_write(s, file, data, size, e);
    return answer == STATE_READ || (answer == STATE_DAMAGED && (s->pass & 1u << file))
               ? 0
               : error_set(e, why.code, "%s", why.text);
}

/* Nothing is committed of a product without a name. */
int state_make_members(struct state *s, struct error *e)
{
    static const u8 nothing[COMMITTED_SIZE];
    const char *name = FIRMWARE_PROFILE_DEFAULT->name;
    return make_absent(s, STATE_STORE, NO_KEYS, strlen(NO_KEYS), e) ||
                   make_absent(s, STATE_PROFILE, name, strlen(name), e) ||
                   make_absent(s, STATE_COMMITTED, nothing, sizeof nothing, e)
               ? -1
               : 0;
}

bool state_commit(void *state, const struct firmware_committed *committed)
{
    struct state *s = state;
    char product[COMMITTED_PRODUCT];
    u8 data[COMMITTED_SIZE];
    s->refusal = (struct error){.code = ERROR_NONE};
    struct writer w = writer_of(data, sizeof data);
    product_name(s->profile, product);
    write_bytes(&w, product, sizeof product);
    write_u64(&w, committed->tcb);
    write_u8(&w, committed->major);
    write_u8(&w, committed->minor);
    write_u8(&w, committed->build);
    return !w.bad && state_write(s, STATE_COMMITTED, data, w.at, &s->refusal) == 0;
}
