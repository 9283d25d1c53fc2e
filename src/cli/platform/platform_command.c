/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev platform: a platform without a guest. Each action powers the secure processor on with the
 * state directory as its flash, sends it commands through the mailbox, and powers it off.
 */
#include "cli/platform/platform.h"
#include "cli/identity/profile.h"
#include "cli/platform/platform_table.h"
#include "cli/policy.h"

#include "base/bytes.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CERT_FILE_MAX  KIB(64)
#define POLICY_DEFAULT 1u /* NODBG */

/* --- The machine ------------------------------------------------------------------------------ */

static void progress(const char *what)
{
    fprintf(stderr, "softsev platform: %s\n", what);
}

int platform_command(struct platform *p, u32 id, void *buffer, size_t size, struct error *e)
{
    memory_write(p->memory, AT_COMMAND, KEY_RAW, buffer, size);
    u32 status = firmware_mailbox(p->firmware, id, AT_COMMAND);
    memory_read(p->memory, AT_COMMAND, KEY_RAW, buffer, size);
    if (status == SEV_STATUS_SUCCESS)
        return 0;
    error_set(e, ERROR_FIRMWARE, "%s: %s: %s", sev_command_name(id), sev_status_name(status),
              firmware_rule(p->firmware));
    if (status != SEV_STATUS_SECURE_DATA_INVALID && status != SEV_STATUS_HWERROR_PLATFORM)
        return -1;
    if (status == SEV_STATUS_SECURE_DATA_INVALID)
        e->code = ERROR_STATE;
    return state_explain(p->on.state, e);
}

static int simple(struct platform *p, u32 id, struct error *e)
{
    u8 none[1];
    return platform_command(p, id, none, 0, e);
}

/* Actions that write nothing of the platform, unless it is new or was reset. */
#define LOOKING                                                                                    \
    (BIT(PLATFORM_STATUS) | BIT(PLATFORM_EXPORT) | BIT(PLATFORM_CERTS) | BIT(PLATFORM_ID) |        \
     BIT(PLATFORM_PEK_CSR) | BIT(PLATFORM_MEASURE))

static int open_platform(struct platform *p, u8 action, struct error *e)
{
    struct state_request request = {.directory = p->directory,
                                    .seed = p->seed,
                                    .reset = action == PLATFORM_RESET,
                                    .keeps_part =
                                        action != PLATFORM_INIT && action != PLATFORM_RESET,
                                    .looks = (LOOKING & BIT(action)) != 0,
                                    .progress = progress};
    if (p->profile_name && cli_profile_find(p->profile_name, &request.profile, e))
        return -1;
    p->crypto = crypto_create(p->seed, p->seed ? strlen(p->seed) : 0);
    if (!p->crypto)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    return state_platform_open(&request, p->crypto, &p->on, e);
}

static int power_on(struct platform *p, struct error *e)
{
    struct random_source random = crypto_random_source(p->crypto);
    p->memory = memory_create(
        &(struct memory_config){.size = PLATFORM_MEMORY, .asids = 1, .random = &random});
    struct firmware_config config = {
        .memory = p->memory,
        .crypto = p->crypto,
        .profile = p->on.profile,
        .store = state_store(p->on.state),
        .asid_min = 1,
        .asid_max = 1,
        .cores = 1,
        .committed = p->on.committed,
        .commit = state_commit,
        .commit_context = p->on.state,
    };
    memcpy(config.fuses, p->on.identity.fuses, sizeof config.fuses);
    p->firmware = p->memory ? firmware_create(&config) : NULL;
    crypto_wipe(&config, sizeof config);
    return p->firmware
               ? 0
               : error_set(e, ERROR_MEMORY, "out of memory: the platform cannot be powered on");
}

static void power_off(struct platform *p)
{
    firmware_destroy(p->firmware);
    memory_destroy(p->memory);
    state_platform_close(&p->on);
    crypto_destroy(p->crypto);
}

int platform_start(struct platform *p, struct error *e)
{
    struct sev_init in = {.options = 0};
    return platform_command(p, SEV_CMD_INIT, &in, sizeof in, e);
}

/* Exports PDH and chain, with the CEK that the authority has signed in place of the firmware's
 * unsigned one. */
static int export_chain(struct platform *p, struct sev_platform_chain *out, struct error *e)
{
    struct sev_pdh_cert_export in = {.pdh_paddr = AT_FIRST,
                                     .pdh_len = SEV_CERT_SIZE,
                                     .chain_paddr = AT_SECOND,
                                     .chain_len = SEV_CERT_CHAIN_SIZE};
    if (platform_command(p, SEV_CMD_PDH_CERT_EXPORT, &in, sizeof in, e))
        return -1;
    memory_read(p->memory, AT_FIRST, KEY_RAW, &out->pdh, sizeof out->pdh);
    memory_read(p->memory, AT_SECOND, KEY_RAW, &out->chain, sizeof out->chain);
    if (!sev_cert_same_key(&out->chain.cek, &p->on.identity.cek))
        return error_set(e, ERROR_STATE,
                         "the state directory is corrupt: the signed CEK is another chip's");
    out->chain.cek = p->on.identity.cek;
    struct cert_verdict verdict = chain_verify(out, &p->on.identity.root);
    return cert_verdict_error(&verdict, ERROR_STATE, e);
}

/* --- Files ------------------------------------------------------------------------------------ */

static int read_cert(const char *path, struct sev_cert *out, struct error *e)
{
    const struct file_rule cert = {.size_max = CERT_FILE_MAX, .stream_max = CERT_FILE_MAX};
    struct file_data data;
    if (file_read(path, &cert, &data, e))
        return -1;
    const bool good = data.size == sizeof *out;
    if (good)
        memcpy(out, data.data, sizeof *out);
    else
        error_set(e, ERROR_FILE, "%s is not a SEV certificate: it has %zu bytes, not %zu", path,
                  data.size, sizeof *out);
    file_free(&data);
    return good ? 0 : -1;
}

static int write_out(const struct platform *p, const void *data, size_t size, struct error *e)
{
    return file_write(p->out, data, size, false, e) ? 0 : -1;
}

/* --- Actions ---------------------------------------------------------------------------------- */

struct report {
    struct sev_platform_status status;
    u8 chip_id[SEV_CHIP_ID_SIZE];
    u32 chip_id_size;
    char chip_id_hex[2 * SEV_CHIP_ID_SIZE + 1];
    char tcb[CLI_TCB_TEXT]; /* reported; of a part with SNP */
};

static int read_report(struct platform *p, struct report *r, struct error *e)
{
    struct sev_buffer id = {.paddr = AT_FIRST, .len = SEV_CHIP_ID_SIZE};
    if (platform_command(p, SEV_CMD_PLATFORM_STATUS, &r->status, sizeof r->status, e) ||
        platform_command(p, SEV_CMD_GET_ID, &id, sizeof id, e))
        return -1;
    r->chip_id_size = id.len <= SEV_CHIP_ID_SIZE ? id.len : SEV_CHIP_ID_SIZE;
    memory_read(p->memory, AT_FIRST, KEY_RAW, r->chip_id, r->chip_id_size);
    hex_encode(r->chip_id_hex, r->chip_id, r->chip_id_size);
    cli_tcb_text(p->on.profile, firmware_reported_tcb(p->firmware), r->tcb);
    return 0;
}

static int print_json(const struct platform *p, const struct report *r, struct error *e)
{
    const struct sev_platform_status *s = &r->status;
    const bool snp = p->on.profile->report_version;
    json_t *j = json_pack("{s:o, s:s, s:i, s:i, s:i, s:s, s:s, s:i, s:s, s:i, s:s*}", "directory",
                          cli_json_text(p->directory), "profile", p->on.profile->name, "api_major",
                          (int)s->api_major, "api_minor", (int)s->api_minor, "build", (int)s->build,
                          "state", sev_pstate_name(s->state), "owner",
                          s->owner & SEV_PLATFORM_OWNED ? "external" : "self", "guests",
                          (int)s->guest_count, "chip_id", r->chip_id_hex, "report_version",
                          (int)p->on.profile->report_version, "reported_tcb", snp ? r->tcb : NULL);
    return cli_tell_json(j, e);
}

/* Reports on a platform after INIT. Without a chain that verifies up to the root there is no
 * report. */
static int report(struct platform *p, struct error *e)
{
    struct report r;
    struct sev_platform_chain chain;
    if (read_report(p, &r, e) || export_chain(p, &chain, e))
        return -1;
    if (p->json)
        return print_json(p, &r, e);
    printf("directory  %s\n"
           "firmware   API %u.%u build %u, %s\n"
           "state      %s\n"
           "owner      %s\n",
           p->directory, r.status.api_major, r.status.api_minor, r.status.build,
           p->on.profile->name, sev_pstate_name(r.status.state),
           r.status.owner & SEV_PLATFORM_OWNED ? "external (the OCA is somebody else's)" : "self");
    if (p->on.profile->report_version)
        printf("snp        %s, reports of version %u, reported TCB %s\n",
               p->on.profile->product_name, p->on.profile->report_version, r.tcb);
    printf("chip id    %.64s\n", r.chip_id_hex);
    if (r.chip_id_size > 32)
        printf("           %s\n", r.chip_id_hex + 64);
    puts("chain      ARK, ASK, CEK, PEK, PDH and OCA verify");
    return 0;
}

static int run_init(struct platform *p, struct error *e)
{
    return platform_start(p, e) ? -1 : report(p, e);
}

static void add_file(struct file_set *set, const char *folder, const char *name, const void *data,
                     size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s%s", folder, name);
    file_set_add(set, path, data, size, false);
}

int platform_add_chain(struct platform *p, const char *folder, struct file_set *set,
                       struct error *e)
{
    struct sev_platform_chain c;
    if (export_chain(p, &c, e))
        return -1;
    const struct amd_chain *root = &p->on.identity.root;
    u8 root_file[2 * AMD_CERT_SIZE_MAX];
    memcpy(root_file, root->ask.bytes, root->ask.size);
    memcpy(root_file + root->ask.size, root->ark.bytes, root->ark.size);
    add_file(set, folder, "root", root_file, root->ask.size + root->ark.size);
    add_file(set, folder, "pdh.cert", &c.pdh, sizeof c.pdh);
    add_file(set, folder, "pek.cert", &c.chain.pek, sizeof c.chain.pek);
    add_file(set, folder, "oca.cert", &c.chain.oca, sizeof c.chain.oca);
    add_file(set, folder, "cek.cert", &c.chain.cek, sizeof c.chain.cek);
    add_file(set, folder, "ask.cert", root->ask.bytes, root->ask.size);
    add_file(set, folder, "ark.cert", root->ark.bytes, root->ark.size);
    add_file(set, folder, "chain", &c, sizeof c);
    return 0;
}

static int run_export(struct platform *p, struct error *e)
{
    struct file_set set = {.parts = NULL};
    if (platform_start(p, e) || platform_add_chain(p, "", &set, e))
        return -1;
    const bool good = file_set_write(p->out, &set, e);
    file_set_free(&set);
    return good ? 0 : -1;
}

static int run_certs(struct platform *p, struct error *e)
{
    return platform_start(p, e) ? -1 : platform_certs(p, e);
}

static int run_reset(struct platform *p, struct error *e)
{
    return simple(p, SEV_CMD_PLATFORM_RESET, e);
}

static int run_pek_gen(struct platform *p, struct error *e)
{
    return platform_start(p, e) || simple(p, SEV_CMD_PEK_GEN, e) ? -1 : report(p, e);
}

static int run_pdh_gen(struct platform *p, struct error *e)
{
    return platform_start(p, e) || simple(p, SEV_CMD_PDH_GEN, e) ? -1 : report(p, e);
}

static int run_pek_csr(struct platform *p, struct error *e)
{
    struct sev_buffer in = {.paddr = AT_FIRST, .len = SEV_CERT_SIZE};
    if (platform_start(p, e) || platform_command(p, SEV_CMD_PEK_CSR, &in, sizeof in, e))
        return -1;
    struct sev_cert csr;
    memory_read(p->memory, AT_FIRST, KEY_RAW, &csr, sizeof csr);
    return write_out(p, &csr, sizeof csr, e);
}

static int run_cert_import(struct platform *p, struct error *e)
{
    struct sev_cert pek, oca;
    if (read_cert(p->pek, &pek, e) || read_cert(p->oca, &oca, e) || platform_start(p, e))
        return -1;
    memory_write(p->memory, AT_FIRST, KEY_RAW, &pek, sizeof pek);
    memory_write(p->memory, AT_SECOND, KEY_RAW, &oca, sizeof oca);
    struct sev_pek_cert_import in = {.pek_paddr = AT_FIRST,
                                     .pek_len = SEV_CERT_SIZE,
                                     .oca_paddr = AT_SECOND,
                                     .oca_len = SEV_CERT_SIZE};
    return platform_command(p, SEV_CMD_PEK_CERT_IMPORT, &in, sizeof in, e) ? -1 : report(p, e);
}

static int run_id(struct platform *p, struct error *e)
{
    struct report r;
    if (read_report(p, &r, e))
        return -1;
    if (p->out)
        return write_out(p, r.chip_id, r.chip_id_size, e);
    printf(p->json ? "{\"chip_id\":\"%s\"}\n" : "%s\n", r.chip_id_hex);
    return 0;
}

static int (*const actions[])(struct platform *p, struct error *e) = {
    [PLATFORM_INIT] = run_init,
    [PLATFORM_STATUS] = run_init,
    [PLATFORM_EXPORT] = run_export,
    [PLATFORM_CERTS] = run_certs,
    [PLATFORM_ID] = run_id,
    [PLATFORM_PDH_GEN] = run_pdh_gen,
    [PLATFORM_PEK_GEN] = run_pek_gen,
    [PLATFORM_PEK_CSR] = run_pek_csr,
    [PLATFORM_CERT_IMPORT] = run_cert_import,
    [PLATFORM_MEASURE] = platform_measure,
    [PLATFORM_RESET] = run_reset,
};

/* --- Command line ----------------------------------------------------------------------------- */

static int take_options(struct platform *p, const struct options *o, struct error *e)
{
    p->directory = o->text[PLATFORM_STATE];
    p->seed = o->text[PLATFORM_SEED];
    p->out = o->text[PLATFORM_OUT];
    p->pek = o->text[PLATFORM_PEK];
    p->oca = o->text[PLATFORM_OCA];
    p->launch = o->text[PLATFORM_LAUNCH];
    p->session = o->text[PLATFORM_SESSION];
    p->policy = (u32)options_number(o, PLATFORM_POLICY, POLICY_DEFAULT);
    p->profile_name = o->text[PLATFORM_PROFILE];
    p->tcb = o->text[PLATFORM_TCB];
    p->vlek = o->text[PLATFORM_VLEK];
    p->kds_url = o->text[PLATFORM_KDS_URL];
    p->json = o->text[PLATFORM_JSON];
    if (policy_check("--policy", p->policy, IMAGE_NONE, e))
        return -1;
    if (p->directory)
        return 0;
    p->directory = p->default_directory;
    return state_default(p->default_directory, sizeof p->default_directory, e);
}

int cli_platform(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int result = 0;
    if (!options_open(&cli_platform_table, argc, argv, &given, &result))
        return result;
    struct platform p = {.directory = NULL};
    const bool makes = given.action == PLATFORM_INIT; /* the state directory may be empty */
    if (take_options(&p, &given, &e) || (!makes && state_need_platform(p.directory, &e)) ||
        open_platform(&p, given.action, &e) || power_on(&p, &e) || actions[given.action](&p, &e))
        result = cli_fail("platform", &e);
    power_off(&p);
    return result;
}
