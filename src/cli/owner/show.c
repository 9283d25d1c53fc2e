/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner show: prints every field of an SNP or a legacy report by its name. Verifies
 * nothing: whoever gave the file may have written anything.
 */
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/owner/owner_cli.h"

#include "abi/report.h"
#include "abi/sev_cert.h"
#include "base/bytes.h"

#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>

/* Where fields go: lines of text, or members of an object. */
struct show {
    json_t *object; /* NULL: text */
};

/* Adds a field as text. */
static void add_text(struct show *s, const char *name, const char *text)
{
    if (s->object)
        json_object_set_new(s->object, name, json_string(text));
    else
        printf("%-22s %s\n", name, text);
}

static void add_number(struct show *s, const char *name, u64 value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    if (s->object)
        json_object_set_new(s->object, name, json_integer((json_int_t)value));
    else
        add_text(s, name, text);
}

/* Adds bytes; `note` describes the value that means "none". */
static void add_bytes(struct show *s, const char *name, const u8 *bytes, size_t size,
                      const char *note)
{
    char text[OWNER_VALUE_MAX];
    hex_encode(text, bytes, size);
    if (s->object || !*note)
        add_text(s, name, text);
    else
        printf("%-22s %s (%s)\n", name, text, note);
}

/* --- Words of numbers ------------------------------------------------------------------------- */

struct bit_name {
    u64 bit;
    const char *name;
};

static const struct bit_name policy_bits[] = {
    {SNP_POLICY_SMT, "SMT"},
    {SNP_POLICY_MIGRATE_MA, "MIGRATE_MA"},
    {SNP_POLICY_DEBUG, "DEBUG"},
    {SNP_POLICY_SINGLE_SOCKET, "SINGLE_SOCKET"},
    {SNP_POLICY_CXL_ALLOW, "CXL_ALLOW"},
    {SNP_POLICY_MEM_AES_256_XTS, "MEM_AES_256_XTS"},
    {SNP_POLICY_RAPL_DIS, "RAPL_DIS"},
    {SNP_POLICY_CIPHERTEXT_HIDING, "CIPHERTEXT_HIDING_DRAM"},
    {SNP_POLICY_PAGE_SWAP_DISABLE, "PAGE_SWAP_DISABLE"},
};
static const struct bit_name platform_bits[] = {
    {SNP_PLATFORM_SMT_EN, "SMT_EN"},
    {SNP_PLATFORM_TSME_EN, "TSME_EN"},
    {SNP_PLATFORM_ECC_EN, "ECC_EN"},
    {SNP_PLATFORM_RAPL_DIS, "RAPL_DIS"},
    {SNP_PLATFORM_CIPHERTEXT_HIDING_DRAM_EN, "CIPHERTEXT_HIDING_DRAM_EN"},
    {SNP_PLATFORM_ALIAS_CHECK_COMPLETE, "ALIAS_CHECK_COMPLETE"},
    {SNP_PLATFORM_IOMMU_WRITE_SAFE, "IOMMU_WRITE_SAFE"},
    {SNP_PLATFORM_TIO_EN, "TIO_EN"},
};
static const struct bit_name sev_policy_bits[] = {
    {SEV_POLICY_NODBG, "NODBG"},   {SEV_POLICY_NOKS, "NOKS"},     {SEV_POLICY_ES, "ES"},
    {SEV_POLICY_NOSEND, "NOSEND"}, {SEV_POLICY_DOMAIN, "DOMAIN"}, {SEV_POLICY_SEV, "SEV"},
};

/* Writes "0x30000 (first, SMT)"; `first` may be empty. */
static void bits_text(u64 value, const char *first, const struct bit_name *bits, size_t count,
                      char out[OWNER_VALUE_MAX])
{
    const char *before = *first ? ", " : "";
    size_t used = (size_t)snprintf(out, OWNER_VALUE_MAX, "0x%" PRIx64 " (%s", value, first);
    for (size_t i = 0; i < count; i++) {
        if (!(value & bits[i].bit))
            continue;
        used += (size_t)snprintf(out + used, OWNER_VALUE_MAX - used, "%s%s", before, bits[i].name);
        before = ", ";
    }
    if (!*before)
        out[used - 2] = '\0'; /* no word was added: remove " (" */
    else
        snprintf(out + used, OWNER_VALUE_MAX - used, ")");
}

void owner_policy_text(u64 policy, char out[OWNER_VALUE_MAX])
{
    char api[24];
    snprintf(api, sizeof api, "ABI %u.%u", (u8)(policy >> 8), (u8)policy);
    bits_text(policy, api, policy_bits, ARRAY_SIZE(policy_bits), out);
}

static const char *signing_key(u32 key_info)
{
    switch (key_info >> 2 & 7) {
    case SNP_SIGNED_BY_VCEK:
        return "VCEK";
    case SNP_SIGNED_BY_VLEK:
        return "VLEK";
    case SNP_SIGNED_BY_NONE:
        return "none";
    default:
        return "unknown";
    }
}

/* --- An SNP report ---------------------------------------------------------------------------- */

static void add_tcb(struct show *s, const char *name, const struct snp_report *r, u64 value)
{
    const enum snp_tcb_layout layout =
        snp_tcb_layout_of_part(r->version > 2 ? r->cpuid_family : 0x19, r->cpuid_model);
    const struct snp_tcb t = snp_tcb_unpack(layout, value);
    char text[OWNER_VALUE_MAX], fmc[24] = "";
    if (layout == SNP_TCB_TURIN)
        snprintf(fmc, sizeof fmc, "FMC %u, ", t.fmc);
    if (layout == SNP_TCB_UNKNOWN)
        snprintf(text, sizeof text, "0x%016" PRIx64 " (a part whose layout is not known)", value);
    else
        snprintf(text, sizeof text,
                 "0x%016" PRIx64 " (%sboot loader %u, TEE %u, SNP %u, microcode %u)", value, fmc,
                 t.boot_loader, t.tee, t.snp, t.microcode);
    add_text(s, name, text);
}

static void add_build(struct show *s, const char *name, u8 major, u8 minor, u8 build)
{
    char text[40];
    snprintf(text, sizeof text, "%u.%u build %u", major, minor, build);
    add_text(s, name, text);
}

/* Says whether all bytes that mean nothing in this version are zero, as they should be. */
static void add_reserved(struct show *s, const struct snp_report *r)
{
    const struct {
        size_t from, to;
        u32 versions; /* those before this one; 0: all */
    } ranges[] = {
        {offsetof(struct snp_report, reserved_4c), offsetof(struct snp_report, report_data), 0},
        {offsetof(struct snp_report, cpuid_family), offsetof(struct snp_report, reserved_18b), 3},
        {offsetof(struct snp_report, reserved_18b), offsetof(struct snp_report, chip_id), 0},
        {offsetof(struct snp_report, reserved_1eb), offsetof(struct snp_report, committed_build),
         0},
        {offsetof(struct snp_report, reserved_1ef), offsetof(struct snp_report, launch_tcb), 0},
        {offsetof(struct snp_report, launch_mit_vector), offsetof(struct snp_report, reserved_208),
         4},
        {offsetof(struct snp_report, reserved_208), offsetof(struct snp_report, signature), 0},
    };
    const u8 *bytes = (const u8 *)r;
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        for (size_t at = ranges[i].from; at < ranges[i].to; at++)
            if (bytes[at] && (!ranges[i].versions || r->version < ranges[i].versions)) {
                char text[60];
                snprintf(text, sizeof text, "not zero, first at byte 0x%zx", at);
                add_text(s, "reserved", text);
                return;
            }
    add_text(s, "reserved", "zero");
}

static void add_part(struct show *s, const struct snp_report *r)
{
    char text[80];
    const char *product = snp_product_of(r->cpuid_family, r->cpuid_model);
    if (r->version < 3)
        return;
    snprintf(text, sizeof text, "family 0x%x, model 0x%x, stepping %u (%s)", r->cpuid_family,
             r->cpuid_model, r->cpuid_stepping, product ? product : "not known");
    add_text(s, "part", text);
}

static void show_head(struct show *s, const struct snp_report *r)
{
    char text[OWNER_VALUE_MAX];
    add_number(s, "version", r->version);
    if (r->version < SNP_REPORT_VERSION_FIRST || r->version > SNP_REPORT_VERSION_LAST)
        add_text(s, "layout", "not known; read as version 5");
    add_number(s, "guest SVN", r->guest_svn);
    owner_policy_text(r->policy, text);
    add_text(s, "policy", text);
    add_bytes(s, "family id", r->family_id, sizeof r->family_id, "");
    add_bytes(s, "image id", r->image_id, sizeof r->image_id, "");
    if (r->vmpl == SNP_VMPL_OF_HOST)
        add_text(s, "VMPL", "none: the host asked for the report");
    else
        add_number(s, "VMPL", r->vmpl);
    add_number(s, "signature algorithm", r->signature_algorithm);
    bits_text(r->platform_info, "", platform_bits, ARRAY_SIZE(platform_bits), text);
    add_text(s, "platform info", text);
    snprintf(text, sizeof text, "0x%x (signed by %s%s%s)", r->key_info, signing_key(r->key_info),
             r->key_info & SNP_KEY_INFO_AUTHOR_KEY_EN ? ", AUTHOR_KEY_EN" : "",
             r->key_info & SNP_KEY_INFO_MASK_CHIP_KEY ? ", MASK_CHIP_KEY" : "");
    add_text(s, "key info", text);
}

static void show_guest(struct show *s, const struct snp_report *r)
{
    u8 none[32];
    memset(none, 0xff, sizeof none);
    add_bytes(s, "report data", r->report_data, sizeof r->report_data, "");
    add_bytes(s, "measurement", r->measurement, sizeof r->measurement, "");
    add_bytes(s, "host data", r->host_data, sizeof r->host_data, "");
    add_bytes(s, "ID key", r->id_key_digest, sizeof r->id_key_digest,
              all_zero(r->id_key_digest, sizeof r->id_key_digest) ? "no ID block" : "");
    add_bytes(s, "author key", r->author_key_digest, sizeof r->author_key_digest,
              all_zero(r->author_key_digest, sizeof r->author_key_digest) ? "none" : "");
    add_bytes(s, "report id", r->report_id, sizeof r->report_id, "");
    add_bytes(s, "report id of MA", r->report_id_ma, sizeof r->report_id_ma,
              memcmp(r->report_id_ma, none, sizeof none) ? "" : "no migration agent");
}

static void show_platform(struct show *s, const struct snp_report *r)
{
    char text[24];
    add_part(s, r);
    add_bytes(s, "chip id", r->chip_id, sizeof r->chip_id,
              all_zero(r->chip_id, sizeof r->chip_id) ? "hidden by the platform" : "");
    add_tcb(s, "current TCB", r, r->current_tcb);
    add_tcb(s, "reported TCB", r, r->reported_tcb);
    add_tcb(s, "committed TCB", r, r->committed_tcb);
    add_tcb(s, "launch TCB", r, r->launch_tcb);
    add_build(s, "current firmware", r->current_major, r->current_minor, r->current_build);
    add_build(s, "committed firmware", r->committed_major, r->committed_minor, r->committed_build);
    if (r->version > 3) {
        snprintf(text, sizeof text, "0x%" PRIx64, r->launch_mit_vector);
        add_text(s, "launch mitigations", text);
        snprintf(text, sizeof text, "0x%" PRIx64, r->current_mit_vector);
        add_text(s, "current mitigations", text);
    }
    add_reserved(s, r);
    add_bytes(s, "signature R", r->signature.r, 48, "");
    add_bytes(s, "signature S", r->signature.s, 48, "");
}

/* --- A legacy report -------------------------------------------------------------------------- */

static void show_legacy(struct show *s, const struct sev_attestation_report *r)
{
    char text[OWNER_VALUE_MAX], api[24];
    snprintf(api, sizeof api, "API %u.%u", sev_policy_api_major(r->policy),
             sev_policy_api_minor(r->policy));
    bits_text(r->policy, api, sev_policy_bits, ARRAY_SIZE(sev_policy_bits), text);
    add_text(s, "version", "legacy, of SEV or SEV-ES");
    add_text(s, "policy", text);
    add_bytes(s, "launch digest", r->launch_digest, sizeof r->launch_digest, "");
    add_bytes(s, "nonce", r->mnonce, sizeof r->mnonce, "");
    snprintf(text, sizeof text, "0x%x%s", r->signature_usage,
             r->signature_usage == SEV_USAGE_PEK ? " (PEK)" : "");
    add_text(s, "signed by", text);
    snprintf(text, sizeof text, "0x%x%s", r->signature_algorithm,
             r->signature_algorithm == SEV_ALGORITHM_ECDSA_SHA256 ? " (ECDSA with SHA-256)" : "");
    add_text(s, "signature algorithm", text);
    add_bytes(s, "signature R", r->signature.r, 48, "");
    add_bytes(s, "signature S", r->signature.s, 48, "");
}

int owner_show(const struct options *options, struct error *e)
{
    struct show s = {.object = options->text[OWNER_JSON] ? json_object() : NULL};
    struct sev_attestation_report legacy;
    struct snp_report report;
    struct cli_file f;
    int result = 0;
    if (owner_read_report(options->text[OWNER_REPORT], &f, e)) {
        json_decref(s.object);
        return -1;
    }
    if (f.size == sizeof report) {
        memcpy(&report, f.data, sizeof report);
        show_head(&s, &report);
        show_guest(&s, &report);
        show_platform(&s, &report);
    } else if (f.size == sizeof legacy) {
        memcpy(&legacy, f.data, sizeof legacy);
        show_legacy(&s, &legacy);
    } else {
        result =
            error_set(e, ERROR_FILE, "%s: a report has %zu bytes, a legacy one %zu, this file %zu",
                      options->text[OWNER_REPORT], sizeof report, sizeof legacy, f.size);
    }
    cli_free_file(&f);
    if (!result && s.object)
        return cli_tell_json(s.object, e);
    json_decref(s.object);
    return result;
}
