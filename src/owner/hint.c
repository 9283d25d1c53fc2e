/* SPDX-License-Identifier: Apache-2.0 */
/* The search for the launch that a measurement belongs to; see hint.h. */
#include "owner/hint.h"

#include "abi/snp.h"

#include <stdarg.h>
#include <stdio.h>

/* The feature words that are tried: none, SNP alone, SNP with vTOM, ReflectVC, RestrictedInjection,
 * DebugSwap or SecureTSC, and some of these together. Bit 0 is SNP's own. */
static const u64 features[] = {0, 0x20, 0x02, 0x04, 0x08, 0x28, 0x200, 0x220};

/* What is hashed of a kernel. */
// clang-format off
#define HASHES(X) \
    X(ASKED,     "") \
    X(WITH,      "with kernel hashes") \
    X(NONE,      "without kernel hashes") \
    X(NO_INITRD, "kernel hashes without an initrd") \
    X(NO_APPEND, "kernel hashes with an empty command line") \
    X(KERNEL,    "kernel hashes of the kernel alone")
// clang-format on
#define HASHES_ENUM(id, text) HASHES_##id,
enum hashes { HASHES(HASHES_ENUM) HASHES_COUNT };
#define HASHES_TEXT(id, text) [HASHES_##id] = text,
static const char *const hashes_text[] = {HASHES(HASHES_TEXT)};

struct search {
    const struct hint_question *q;
    struct measure_description d; /* the launch that is tried */
    enum hashes hashes;
    u32 records, vmsas; /* seen of it so far */
    bool found, early;  /* early: the launch ended before the processors' records, or among them */
    struct measure_record at;
    u32 found_records, found_vmsas;
    u32 launches;
};

static void look(void *context, const struct measure_record *r)
{
    struct search *s = context;
    bool vmsa = !strcmp(r->type, "VMSA");
    s->records++;
    s->vmsas += vmsa;
    if (s->found || !(vmsa || s->early) || !s->q->matches(s->q->context, r->digest))
        return;
    s->found = true;
    s->at = *r;
    s->found_records = s->records;
    s->found_vmsas = s->vmsas;
}

/* Returns false if these files have no such launch. */
static bool try_launch(struct search *s)
{
    u8 digest[MEASURE_DIGEST_MAX];
    struct error unused = {.code = ERROR_NONE};
    s->records = s->vmsas = 0;
    s->launches++;
    return measure_launch(&s->d, &(struct measure_sink){.record = look, .context = s}, digest,
                          &unused) == 0;
}

/* --- What may be different -------------------------------------------------------------------- */

static bool set_hashes(struct search *s, enum hashes kind)
{
    const struct measure_description *e = s->q->expected;
    s->hashes = kind;
    s->d.kernel_hashes = kind == HASHES_ASKED ? e->kernel_hashes : kind != HASHES_NONE;
    s->d.kernel = e->kernel;
    s->d.initrd = e->initrd;
    s->d.command_line = e->command_line;
    if (kind == HASHES_NO_INITRD || kind == HASHES_KERNEL)
        s->d.initrd = (struct image_file){.name = e->initrd.name};
    if (kind == HASHES_NO_APPEND || kind == HASHES_KERNEL)
        s->d.command_line = NULL;
    if (kind == HASHES_WITH)
        return !e->kernel_hashes && e->kernel.data;
    return kind == HASHES_ASKED || e->kernel_hashes;
}

static u64 feature_word(const struct measure_description *e, size_t i)
{
    return features[i] | (e->mode == MEASURE_SNP ? SEV_FEATURE_SNP : 0);
}

static u32 differences(const struct search *s)
{
    const struct measure_description *e = s->q->expected;
    return (u32)(s->hashes != HASHES_ASKED) + (u32)(s->d.vmm != e->vmm) +
           (u32)(s->d.signature != e->signature) + (u32)(s->d.features != e->features);
}

/* Skips launches with more differences than asked for: their turn comes later, so that the simplest
 * reason is found first. */
static bool try_if(struct search *s, u32 wanted)
{
    if (differences(s) == wanted)
        try_launch(s);
    return s->found;
}

static bool try_features(struct search *s, u32 wanted)
{
    const struct measure_description *e = s->q->expected;
    s->d.features = e->features;
    if (try_if(s, wanted))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        s->d.features = feature_word(e, i);
        if (s->d.features != e->features && try_if(s, wanted))
            return true;
    }
    return false;
}

static bool try_signatures(struct search *s, u32 wanted)
{
    const struct measure_description *e = s->q->expected;
    const char *name;
    u32 last = e->signature;
    s->d.signature = e->signature;
    if (try_features(s, wanted))
        return true;
    for (size_t i = 0; (name = measure_signature_name(i)); i++) {
        if (!measure_signature_by_name(name, &s->d.signature) || s->d.signature == last ||
            s->d.signature == e->signature)
            continue; /* versions of a model follow each other */
        last = s->d.signature;
        if (try_features(s, wanted))
            return true;
    }
    return false;
}

static bool try_vmms(struct search *s, u32 wanted)
{
    for (unsigned vmm = 0; vmm < MEASURE_VMM_COUNT; vmm++) {
        s->d.vmm = (enum measure_vmm)vmm;
        if (try_signatures(s, wanted))
            return true;
    }
    return false;
}

static bool try_all(struct search *s, u32 wanted)
{
    for (unsigned kind = 0; kind < HASHES_COUNT; kind++)
        if (set_hashes(s, (enum hashes)kind) && try_vmms(s, wanted))
            return true;
    return false;
}

/* --- Words ------------------------------------------------------------------------------------ */

static void say(char text[HINT_TEXT_MAX], const char *format, ...) PRINTF_LIKE(2, 3);

static void say(char text[HINT_TEXT_MAX], const char *format, ...)
{
    size_t used = strlen(text);
    va_list list;
    if (used && used + 2 < HINT_TEXT_MAX)
        memcpy(text + used, ", ", 3);
    used = strlen(text);
    va_start(list, format);
    vsnprintf(text + used, HINT_TEXT_MAX - used, format, list);
    va_end(list);
}

static const char *signature_name(u32 signature)
{
    const char *name;
    u32 one;
    for (size_t i = 0; (name = measure_signature_name(i)); i++)
        if (measure_signature_by_name(name, &one) && one == signature)
            return name;
    return "unnamed";
}

static void describe(const struct search *s, char text[HINT_TEXT_MAX])
{
    const struct measure_description *e = s->q->expected;
    if (s->hashes != HASHES_ASKED)
        say(text, "%s", hashes_text[s->hashes]);
    if (s->d.vmm != e->vmm)
        say(text, "--vmm-type %s, not %s", measure_vmm_name(s->d.vmm), measure_vmm_name(e->vmm));
    if (s->d.signature != e->signature)
        say(text, "--vcpu-type %s (0x%x), not 0x%x", signature_name(s->d.signature), s->d.signature,
            e->signature);
    if (s->d.features != e->features)
        say(text, "--guest-features 0x%llx, not 0x%llx", (unsigned long long)s->d.features,
            (unsigned long long)e->features);
    if (s->found_vmsas != e->vcpus && e->mode != MEASURE_SEV)
        say(text, "%u processor%s, not %u", s->found_vmsas, s->found_vmsas == 1 ? "" : "s",
            e->vcpus);
}

static void describe_early(const struct search *s, char text[HINT_TEXT_MAX])
{
    say(text, "the launch ended after %u contributions, with %s at 0x%llx (%s)", s->found_records,
        s->at.name, (unsigned long long)s->at.gpa, s->at.type);
}

/* --- The search ------------------------------------------------------------------------------- */

/* SNP: the image's own pages are hashed once, as every launch begins with them. */
static bool hash_image(struct search *s, u8 digest[MEASURE_DIGEST_MAX])
{
    struct error unused = {.code = ERROR_NONE};
    struct measure_description d = s->d;
    if (d.mode != MEASURE_SNP || d.image_digest)
        return true;
    d.image_only = true;
    s->d.image_digest = digest;
    return measure_launch(&d, NULL, digest, &unused) == 0;
}

bool hint_search(const struct hint_question *q, char text[HINT_TEXT_MAX])
{
    struct search s = {.q = q, .d = *q->expected, .early = true};
    u8 image[MEASURE_DIGEST_MAX];
    text[0] = '\0';
    s.d.vcpus = HINT_VCPUS_MAX;
    if (!try_launch(&s)) {
        s.d.vcpus = 1; /* an image without a reset block */
        try_launch(&s);
    }
    if (s.found && s.found_vmsas) {
        describe(&s, text);
        return true;
    }
    if (s.found) {
        describe_early(&s, text);
        return true;
    }
    s.early = q->expected->mode == MEASURE_SEV;
    const u32 most =
        q->expected->mode == MEASURE_SNP ? 4 : 2; /* SEV-ES hashes the image each time */
    for (u32 wanted = 1; !s.found && wanted <= most && hash_image(&s, image); wanted++)
        try_all(&s, wanted);
    if (s.found)
        describe(&s, text);
    else
        say(text,
            "none of %u other launches of these files gives it (up to %u processors, each "
            "hypervisor, processor model, feature word, set of kernel hashes): look for another "
            "flash image, kernel, initrd or command line",
            s.launches, HINT_VCPUS_MAX);
    return s.found;
}
