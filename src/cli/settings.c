/* SPDX-License-Identifier: Apache-2.0 */
/* Values that options of several subcommands have; see settings.h. */
#include "cli/settings.h"

#include "abi/vmsa.h"
#include "base/bytes.h"
#include "base/trace.h"
#include "image/image.h"
#include "image/measure.h"

#define ENCRYPTED_MODES                                                                            \
    {"sev", IMAGE_SEV, false}, {"sev-es", IMAGE_SEV_ES, false}, {"sev-snp", IMAGE_SEV_SNP, false}, \
        {"es", IMAGE_SEV_ES, true}, {"seves", IMAGE_SEV_ES, true},                                 \
    {                                                                                              \
        "snp", IMAGE_SEV_SNP, true                                                                 \
    }
#define MODE_NONE                                                                                  \
    {                                                                                              \
        "none", IMAGE_NONE, false                                                                  \
    }
#define MODE_ALL                                                                                   \
    {                                                                                              \
        "all", SETTINGS_ALL_MODES, false                                                           \
    }

/* CPUID leaf 1 EAX: families, models and stepping; the other bits are reserved. */
#define SIGNATURE 0x0fff0fffull

_Static_assert(SETTINGS_ALL_MODES > IMAGE_SEV_SNP, "the value of `all` is no mode's");

const struct option_choice settings_modes[] = {MODE_NONE, ENCRYPTED_MODES, {NULL, 0, false}};
const struct option_choice settings_encrypted_modes[] = {ENCRYPTED_MODES, {NULL, 0, false}};
const struct option_choice settings_all_modes[] = {
    MODE_NONE, ENCRYPTED_MODES, MODE_ALL, {NULL, 0, false}};

bool settings_trace(const char *text, u64 *mask)
{
    u32 categories = 0;
    const bool good = trace_parse_categories(text, &categories);
    *mask = categories;
    return good;
}

bool settings_vcpu_type(const char *text, u64 *signature)
{
    u32 known;
    const char *end;
    if (measure_signature_by_name(text, &known)) {
        *signature = known;
        return true;
    }
    return option_digits(text, signature, &end) && !*end && !(*signature & ~SIGNATURE);
}

/* Returns whether a text is made of ",-NAME" and ",+NAME"; no name is measured. */
static bool are_features(const char *text)
{
    while (*text == ',' && (text[1] == '-' || text[1] == '+') && text[2] && text[2] != ',')
        text += 2 + strcspn(text + 2, ",");
    return !*text;
}

bool settings_cpu(const char *text, u64 *signature)
{
    char name[40];
    const size_t size = strcspn(text, ",");
    u32 known;
    if (size >= sizeof name)
        return false;
    memcpy(name, text, size);
    name[size] = 0;
    const bool good = measure_signature_by_name(strcmp(name, "max") ? name : "milan", &known);
    *signature = good ? known : 0;
    return good && are_features(text + size);
}

/* Returns the feature with this name, or 0 if there is none. */
static u64 feature_by_name(const char *name, size_t size)
{
    static const struct {
        const char *name;
        u64 bit;
    } names[] = {
#define FEATURE_NAME(id, name, cpuid) {name, SEV_FEATURE_##id},
        SEV_FEATURES(FEATURE_NAME)
#undef FEATURE_NAME
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i].name) == size && !memcmp(names[i].name, name, size))
            return names[i].bit;
    return 0;
}

bool settings_guest_features(const char *text, u64 *features)
{
    *features = 0;
    for (;; text++) {
        const size_t size = strcspn(text, ",");
        const char *end;
        u64 one = feature_by_name(text, size);
        if (!one && (!option_digits(text, &one, &end) || end != text + size))
            return false;
        *features |= one;
        text += size;
        if (!*text)
            return true;
    }
}

u64 settings_features_of(const char *text, u64 features, bool snp)
{
    u64 number;
    const char *end;
    const bool exact = text && option_digits(text, &number, &end) && !*end;
    return features | (snp && !exact ? SEV_FEATURE_SNP : 0);
}

bool settings_api(const char *text, u64 *version)
{
    u64 major, minor;
    const char *end;
    if (!option_digits(text, &major, &end) || *end != '.' ||
        !option_digits(end + 1, &minor, &end) || *end || major > 255 || minor > 255)
        return false;
    *version = major << 8 | minor;
    return true;
}

int settings_guid(const char *name, const char *text, u8 out[16], struct error *e)
{
    static const u8 order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    char digits[33];
    u8 bytes[16];
    size_t n = 0;
    bool good = strlen(text) == 36;
    for (size_t i = 0; good && i < 36; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        good = dash == (text[i] == '-');
        if (!dash)
            digits[n++] = text[i];
    }
    digits[n] = '\0';
    if (!good || !hex_decode(bytes, 16, digits))
        return error_set(e, ERROR_USAGE,
                         "%s '%s': expected a GUID such as " SETTINGS_GUID_PASSPHRASE, name, text);
    for (size_t i = 0; i < 16; i++)
        out[i] = bytes[order[i]];
    return 0;
}

const char *settings_vmm_at(size_t i)
{
    return i < MEASURE_VMM_COUNT ? measure_vmm_name((enum measure_vmm)i) : NULL;
}
