/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cases of `softsev fixtures` for SEV without SNP: a platform's chain of certificates, its attestation report and
 * a launch's measurement, made by the firmware, and wrong in one way each [sev 7.5, 7.8, 8].
 */
#include "cli/fixtures.h"

#include "abi/sev.h"
#include "state/state.h"
#include "hypervisor/psp.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/machine.h"
#include "protocol/protocol.h"

/* What a profile's platform gave out. */
struct platform_set {
    struct fixtures *all;
    const struct firmware_profile *profile;
    struct crypto *crypto;
    struct machine *machine;
    struct hypervisor *hv;
    struct sev_platform_chain chain;
    struct sev_attestation_report report; /* for a nonce of its own */
    struct session_keys keys;
    struct sev_measure measure;
    struct sev_cert godh;
    struct sev_session session;
    u8 digest[32];
    u32 policy;
};

/* --- The platform ---------------------------------------------------------------------------------------- */

static int power_on(struct platform_set *s, struct error *e)
{
    struct machine_config config = {.memory_size = MIB(64), .cores = 1, .profile = s->profile};
    char seed[200];
    snprintf(seed, sizeof seed, "fixtures sev %s %s", s->profile->name, s->all->seed);
    s->crypto = config.crypto = crypto_create(seed, strlen(seed));
    if (!s->crypto)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    fixtures_fuses(s->all, s->profile, config.fuses);
    s->machine = machine_create(&config, e);
    s->hv = s->machine ? hypervisor_create(machine_host(s->machine), e) : NULL;
    return s->hv ? platform_init(s->hv, e) : -1;
}

/* The CEK as the manufacturer certifies it takes the place of the chip's own. */
static int export_chain(struct platform_set *s, struct error *e)
{
    struct platform_chain c;
    if (platform_export(s->hv, &c, e))
        return -1;
    memcpy(&s->chain.pdh, c.pdh, sizeof s->chain.pdh);
    memcpy(&s->chain.chain, c.chain, sizeof s->chain.chain);
    return authority_sign_cek(s->crypto, s->all->authority, &s->chain.chain.cek)
               ? 0
               : error_set(e, ERROR_INTERNAL, "%s: the CEK cannot be signed", s->profile->name);
}

static int make_session(struct platform_set *s, struct error *e)
{
    struct ec_private mine;
    bool good = crypto_ec_generate(s->crypto, &mine) &&
                session_make(s->crypto, &mine, &s->chain.pdh, s->policy, &s->keys, &s->session);
    sev_cert_init(&s->godh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, s->profile->api_major,
                  s->profile->api_minor, &mine.public);
    crypto_wipe(&mine, sizeof mine);
    return good ? 0 : error_set(e, ERROR_INTERNAL, "no session with %s", s->profile->name);
}

/* The PEK's report, for a nonce that an owner would have chosen. */
static int attest(struct platform_set *s, const struct vm *vm, struct error *e)
{
    struct sev_attestation in = {
        .handle = vm_handle(vm), .paddr = psp_data(s->hv, 0), .len = sizeof s->report};
    crypto_random(s->crypto, in.mnonce, sizeof in.mnonce);
    u32 status = psp_command(s->hv, SEV_CMD_ATTESTATION, &in, sizeof in);
    if (psp_check(status, SEV_CMD_ATTESTATION, e))
        return -1;
    psp_data_read(s->hv, 0, &s->report, sizeof s->report);
    return 0;
}

static int launch(struct platform_set *s, struct error *e)
{
    static const u8 bytes[PAGE_SIZE] = {0xf4, 0xeb, 0xfd}; /* hlt; jmp to it */
    struct image_plan plan = {.memory_size = MIB(2), .mode = IMAGE_SEV, .runnable = true};
    plan.pieces[plan.piece_count++] = (struct image_piece){
        .name = "guest", .gpa = 0x1000, .size = PAGE_SIZE, .data = bytes, .data_size = PAGE_SIZE};
    const struct vm_config config = {.name = "guest", .plan = &plan, .policy = s->policy};
    struct vm *vm = vm_create(s->hv, &config, e);
    int result =
        vm && !image_digest(&plan, s->digest, e) &&
                !vm_launch_start(vm, &s->godh, sizeof s->godh, &s->session, sizeof s->session, e) &&
                !vm_launch_update(vm, e) && !vm_launch_measure(vm, (u8 *)&s->measure, e) &&
                !attest(s, vm, e)
            ? 0
            : -1;
    if (vm)
        vm_destroy(vm);
    return result;
}

/* --- Cases ------------------------------------------------------------------------------------------------- */

static json_t *begin_case(struct platform_set *s, const char *name, const char *kind,
                          const char *why, bool accept, const char *check)
{
    char full[100];
    snprintf(full, sizeof full, "%s/%s", s->profile->name, name);
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", full, "kind", kind, "why", why,
                          "profile", s->profile->name, "expect", accept ? "accept" : "reject",
                          "check", check);
    json_array_append_new(s->all->cases, j);
    s->all->count++;
    return j;
}

static void set_path(const struct platform_set *s, json_t *j, const char *key, const char *file)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", s->profile->name, file);
    json_object_set_new(j, key, json_string(path));
}

struct chain_case {
    const char *name, *why, *check;
    void (*change)(struct platform_set *s, struct sev_platform_chain *c);
    bool other_root;
    s32 size;
};

static void pek_by_oca(struct platform_set *s, struct sev_platform_chain *c)
{
    (void)s;
    for (size_t i = 0; i < 2; i++)
        if (c->chain.pek.signatures[i].usage == SEV_USAGE_OCA)
            c->chain.pek.signatures[i].ec.r[3] ^= 1;
}

static void pek_by_cek(struct platform_set *s, struct sev_platform_chain *c)
{
    (void)s;
    for (size_t i = 0; i < 2; i++)
        if (c->chain.pek.signatures[i].usage == SEV_USAGE_CEK)
            c->chain.pek.signatures[i].ec.s[5] ^= 1;
}

static void pdh_signature(struct platform_set *s, struct sev_platform_chain *c)
{
    (void)s;
    c->pdh.signatures[0].ec.r[0] ^= 1;
}

/* An OCA of somebody else, good in itself. */
static void other_oca(struct platform_set *s, struct sev_platform_chain *c)
{
    sev_cert_init(&c->chain.oca, SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA256, s->profile->api_major,
                  s->profile->api_minor, &s->all->other_key.public);
    sev_cert_sign(s->crypto, &c->chain.oca, 0, SEV_USAGE_OCA, &s->all->other_key);
}

static void oca_signature(struct platform_set *s, struct sev_platform_chain *c)
{
    (void)s;
    c->chain.oca.signatures[0].ec.r[1] ^= 1;
}

static void cek_signature(struct platform_set *s, struct sev_platform_chain *c)
{
    (void)s;
    c->chain.cek.signatures[0].rsa[7] ^= 1;
    c->chain.cek.signatures[1].rsa[7] ^= 1;
}

/* A CEK that nobody certified, and a PEK that it signed: a platform without manufacturer. */
static void other_cek(struct platform_set *s, struct sev_platform_chain *c)
{
    sev_cert_init(&c->chain.cek, SEV_USAGE_CEK, SEV_ALGORITHM_ECDSA_SHA256, 0, 14,
                  &s->all->other_key.public);
    authority_sign_cek(s->crypto, s->all->other, &c->chain.cek);
    sev_cert_sign(s->crypto, &c->chain.pek, 1, SEV_USAGE_CEK, &s->all->other_key);
}

static void other_pdh(struct platform_set *s, struct sev_platform_chain *c)
{
    sev_cert_init(&c->pdh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, s->profile->api_major,
                  s->profile->api_minor, &s->all->other_key.public);
    sev_cert_sign(s->crypto, &c->pdh, 0, SEV_USAGE_PEK, &s->all->other_key);
}

static void pek_is_pdh(struct platform_set *s, struct sev_platform_chain *c)
{
    (void)s;
    c->chain.pek.usage = SEV_USAGE_PDH;
}

static void off_curve(struct platform_set *s, struct sev_platform_chain *c)
{
    (void)s;
    c->pdh.ec.qy[0] ^= 1;
}

// clang-format off
static const struct chain_case chains[] = {
    {"chain-valid", "everything is as it should be", "ok", NULL, false, 0},
    {"chain-pek-by-oca", "the PEK's signature by the OCA is changed", "PEK certificate, signed by OCA", pek_by_oca, false, 0},
    {"chain-pek-by-cek", "the PEK's signature by the CEK is changed", "PEK certificate, signed by CEK", pek_by_cek, false, 0},
    {"chain-pdh", "the PDH's signature is changed", "PDH certificate, signed by PEK", pdh_signature, false, 0},
    {"chain-other-pdh", "a PDH signed by another PEK", "PDH certificate, signed by PEK", other_pdh, false, 0},
    {"chain-other-oca", "another owner's OCA", "PEK certificate, signed by OCA", other_oca, false, 0},
    {"chain-oca", "the OCA's signature by itself is changed", "OCA certificate, signed by itself", oca_signature, false, 0},
    {"chain-cek", "the CEK's signature is changed", "CEK certificate, signed by ASK", cek_signature, false, 0},
    {"chain-other-cek", "a CEK that another manufacturer signed", "CEK certificate, signed by ASK", other_cek, false, 0},
    {"chain-other-root", "another manufacturer is trusted", "CEK certificate, signed by ASK", NULL, true, 0},
    {"chain-pek-usage", "the PEK says that it is a PDH", "PEK", pek_is_pdh, false, 0},
    {"chain-off-curve", "the PDH's key is not on its curve", "PDH", off_curve, false, 0},
    {"chain-truncated", "the last byte is missing", "size", NULL, false, -1},
};
// clang-format on

static int write_roots(struct platform_set *s, struct error *e)
{
    u8 root[2 * AMD_CERT_SIZE_MAX];
    size_t size = authority_root_file(s->all->authority, root, sizeof root);
    if (fixtures_write(s->all, s->profile, "sev-root.bin", root, size, e))
        return -1;
    size = authority_root_file(s->all->other, root, sizeof root);
    return fixtures_write(s->all, s->profile, "sev-root-other.bin", root, size, e);
}

static int write_chains(struct platform_set *s, struct error *e)
{
    char file[100];
    for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
        const struct chain_case *k = &chains[i];
        struct sev_platform_chain c = s->chain;
        if (k->change)
            k->change(s, &c);
        snprintf(file, sizeof file, "%s.bin", k->name);
        if (fixtures_write(s->all, s->profile, file, &c, (size_t)((s32)sizeof c + k->size), e))
            return -1;
        json_t *j = begin_case(s, k->name, "sev-chain", k->why, !strcmp(k->check, "ok"), k->check);
        set_path(s, j, "chain", file);
        set_path(s, j, "root", k->other_root ? "sev-root-other.bin" : "sev-root.bin");
    }
    return 0;
}

/* --- Measurements ------------------------------------------------------------------------------------------ */

enum change { MEASURED, DIGEST, POLICY, TIK, NONCE, API, BUILD };

static void write_measurement(struct platform_set *s, const char *name, const char *why,
                              enum change what)
{
    struct session_keys keys = s->keys;
    struct sev_measure m = s->measure;
    u8 digest[32];
    memcpy(digest, s->digest, sizeof digest);
    digest[0] ^= what == DIGEST;
    keys.tik[0] ^= what == TIK;
    m.mnonce[0] ^= what == NONCE;
    json_t *j = begin_case(s, name, "sev-measurement", why, what == MEASURED,
                           what == MEASURED ? "ok" : "measurement");
    json_object_set_new(j, "api_major", json_integer(s->profile->api_major));
    json_object_set_new(j, "api_minor", json_integer(s->profile->api_minor + (what == API)));
    json_object_set_new(j, "build", json_integer(s->profile->build + (what == BUILD)));
    json_object_set_new(j, "policy", json_integer(s->policy ^ (what == POLICY)));
    json_object_set_new(j, "digest", fixtures_hex(digest, sizeof digest));
    json_object_set_new(j, "tik", fixtures_hex(keys.tik, sizeof keys.tik));
    json_object_set_new(j, "measure", fixtures_hex(m.measure, sizeof m.measure));
    json_object_set_new(j, "mnonce", fixtures_hex(m.mnonce, sizeof m.mnonce));
}

static void write_measurements(struct platform_set *s)
{
    write_measurement(s, "measurement-valid", "everything is as it should be", MEASURED);
    write_measurement(s, "measurement-digest", "other bytes were launched", DIGEST);
    write_measurement(s, "measurement-policy", "launched under another policy", POLICY);
    write_measurement(s, "measurement-tik", "made for another session", TIK);
    write_measurement(s, "measurement-mnonce", "the nonce is changed", NONCE);
    write_measurement(s, "measurement-api", "another API version of the firmware", API);
    write_measurement(s, "measurement-build", "another build of the firmware", BUILD);
}

/* --- Reports ----------------------------------------------------------------------------------------------- */

/* And the report of a second guest, whose policy has no NODBG. */
static int write_reports(struct platform_set *s, struct error *e)
{
    struct platform_set debug = *s;
    debug.policy = 0;
    const struct fixtures_legacy legacy = {s->profile, s->crypto, &s->report, &debug.report,
                                           s->digest};
    int result =
        make_session(&debug, e) || launch(&debug, e) || fixtures_write_legacy(s->all, &legacy, e)
            ? -1
            : 0;
    crypto_wipe(&debug.keys, sizeof debug.keys);
    return result;
}

int fixtures_write_sev(struct fixtures *f, const struct firmware_profile *profile, struct error *e)
{
    struct platform_set s = {.all = f, .profile = profile, .policy = 1};
    int result = power_on(&s, e) || export_chain(&s, e) || make_session(&s, e) || launch(&s, e) ||
                         write_roots(&s, e) || write_chains(&s, e)
                     ? -1
                     : 0;
    if (!result) {
        write_measurements(&s);
        result = write_reports(&s, e);
    }
    hypervisor_destroy(s.hv);
    machine_destroy(s.machine);
    crypto_destroy(s.crypto);
    crypto_wipe(&s.keys, sizeof s.keys);
    return result;
}
