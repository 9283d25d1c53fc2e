/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reports of `softsev fixtures`: a whole machine with a profile's firmware, guests launched on it through the
 * hypervisor, and what each gets when it asks for a report, under every configuration of the platform.
 */
#include "cli/fixtures.h"

#include "cli/guest_launch.h"
#include "hypervisor/psp.h"
#include "hypervisor/vm.h"
#include "machine/machine.h"
#include "owner/id_block.h"

#define MEMORY MIB(256)

struct machine_set {
    struct crypto *crypto;
    struct machine *machine;
    struct hypervisor *hv;
    struct guest_launch guests[FIXTURES_GUESTS];
};

static int power_on(struct fixtures_platform *p, struct machine_set *m, struct error *e)
{
    struct machine_config config = {
        .memory_size = MEMORY, .cores = 1, .profile = p->profile, .smt = true};
    char seed[200];
    snprintf(seed, sizeof seed, "fixtures %s %s", p->profile->name, p->all->seed);
    m->crypto = config.crypto = crypto_create(seed, strlen(seed));
    if (!m->crypto)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    memcpy(config.fuses, p->fuses, sizeof config.fuses);
    m->machine = machine_create(&config, e);
    m->hv = m->machine ? hypervisor_create(machine_host(m->machine), e) : NULL;
    return m->hv ? platform_init_snp(m->hv, e) : -1;
}

static void power_off(struct machine_set *m)
{
    for (size_t i = 0; i < FIXTURES_GUESTS; i++)
        guest_launch_end(&m->guests[i]);
    hypervisor_destroy(m->hv);
    machine_destroy(m->machine);
    crypto_destroy(m->crypto);
}

/* --- Launches ------------------------------------------------------------------------------------------- */

static int sign_block(struct fixtures_platform *p, struct machine_set *m, enum fixtures_guest kind,
                      struct guest_file *f, struct error *e)
{
    const struct fixtures *all = p->all;
    image_snp_digest(m->guests[kind].plan, f->id_block.ld);
    f->id_block.policy = f->policy;
    f->id_block.guest_svn = 2;
    memcpy(f->id_block.family_id, "softsev fixtures", 16);
    memcpy(f->id_block.image_id, p->profile->name, strlen(p->profile->name));
    f->has_id_block = kind != GUEST_NO_BLOCK;
    f->author_key = f->has_id_block && kind != GUEST_NO_AUTHOR;
    if (id_block_sign(m->crypto, &f->id_block, &all->id_key,
                      kind == GUEST_NO_AUTHOR ? NULL : &all->author_key, &f->id_auth, e))
        return -1;
    if (kind != GUEST_NORMAL)
        return 0;
    p->block = p->other_block = f->id_block;
    p->auth = f->id_auth;
    p->other_block.image_id[15] ^= 1;
    return id_block_sign(m->crypto, &p->other_block, &all->id_key, &all->author_key, &p->other_auth,
                         e);
}

static int launch(struct fixtures_platform *p, struct machine_set *m, enum fixtures_guest kind,
                  struct error *e)
{
    struct guest_launch *g = &m->guests[kind];
    struct guest_file *f = &g->file;
    if (guest_file_parse("fixtures", "{}", 2, f, e))
        return -1;
    guest_file_payload(f->payload);
    if (kind == GUEST_OTHER)
        f->payload[64] ^= 1;
    f->policy = SNP_POLICY_QEMU_DEFAULT | (kind == GUEST_DEBUG ? SNP_POLICY_DEBUG : 0) |
                (kind == GUEST_MIGRATION ? SNP_POLICY_MIGRATE_MA : 0);
    f->has_host_data = true;
    memcpy(f->host_data, p->host_data, sizeof f->host_data);
    g->plan = guest_file_plan(f, e);
    if (!g->plan || sign_block(p, m, kind, f, e))
        return -1;
    return guest_launch_start(g, m->hv, machine_host(m->machine), NULL, e);
}

/* --- Reports ---------------------------------------------------------------------------------------------- */

static int ask(const struct fixtures_platform *p, struct machine_set *m, enum fixtures_guest kind,
               u32 vmpl, struct snp_report *out, struct error *e)
{
    struct snp_report_req request = {.vmpl = vmpl};
    struct snp_report_rsp answer;
    u8 payload[SNP_REPORT_RESP_SIZE];
    u32 none = 0;
    u64 exitinfo2 = 0;
    memcpy(request.report_data, p->report_data, sizeof request.report_data);
    s64 result =
        sev_guest_ext_report(m->guests[kind].driver, 1, &request, payload, NULL, &none, &exitinfo2);
    memcpy(&answer, payload, sizeof answer);
    if (result || answer.status)
        return error_set(e, ERROR_FIRMWARE, "%s: no report: status 0x%x", p->profile->name,
                         result ? (u32)exitinfo2 : answer.status);
    *out = answer.report;
    return 0;
}

static int configure(struct machine_set *m, u64 tcb, u32 flags, struct error *e)
{
    struct snp_config in = {.reported_tcb = tcb, .flags = flags};
    return psp_check(psp_command(m->hv, SEV_CMD_SNP_CONFIG, &in, sizeof in), SEV_CMD_SNP_CONFIG, e);
}

static int load_vlek(const struct fixtures_platform *p, struct machine_set *m, struct error *e)
{
    struct snp_wrapped_vlek wrapped;
    struct snp_vlek_load in = {.len = sizeof in, .paddr = psp_data(m->hv, 0)};
    u8 stick[SNP_VLEK_STICK_SIZE], iv[12];
    authority_vlek_stick(p->all->authority, p->product, FIXTURES_CSP, stick);
    crypto_random(m->crypto, iv, sizeof iv);
    vlek_wrap(p->fuses, p->tcb, iv, stick, &wrapped);
    crypto_wipe(stick, sizeof stick);
    if (!psp_data_write(m->hv, 0, &wrapped, sizeof wrapped))
        return error_set(e, ERROR_INTERNAL, "no place for the VLEK's hashstick");
    return psp_check(psp_command(m->hv, SEV_CMD_SNP_VLEK_LOAD, &in, sizeof in),
                     SEV_CMD_SNP_VLEK_LOAD, e);
}

static bool has_vlek(const struct fixtures_platform *p)
{
    return p->profile->features & SNP_FEATURE_ECX_VLEK;
}

static int set_config(const struct fixtures_platform *p, struct machine_set *m,
                      enum fixtures_config config, struct error *e)
{
    switch (config) {
    case CONFIG_LOW_TCB:
        return configure(m, p->low_tcb, 0, e);
    case CONFIG_MASK_CHIP_ID:
        return configure(m, p->tcb, SNP_CONFIG_MASK_CHIP_ID, e);
    case CONFIG_MASK_CHIP_KEY:
        return configure(m, p->tcb, SNP_CONFIG_MASK_CHIP_KEY, e);
    case CONFIG_VLEK:
        return configure(m, p->tcb, 0, e) || (has_vlek(p) && load_vlek(p, m, e)) ? -1 : 0;
    default:
        return configure(m, p->tcb, 0, e);
    }
}

static int ask_all(struct fixtures_platform *p, struct machine_set *m, struct error *e)
{
    for (unsigned config = 0; config < FIXTURES_CONFIGS; config++) {
        if (set_config(p, m, (enum fixtures_config)config, e))
            return -1;
        for (unsigned kind = 0; kind < FIXTURES_GUESTS; kind++)
            if (ask(p, m, (enum fixtures_guest)kind, 0, &p->reports[kind][config], e))
                return -1;
        if (config == CONFIG_DEFAULT && ask(p, m, GUEST_NORMAL, 1, &p->vmpl1, e))
            return -1;
    }
    return 0;
}

int fixtures_launch(struct fixtures_platform *p, struct error *e)
{
    struct machine_set m = {.hv = NULL};
    struct snp_tcb low = snp_tcb_unpack(p->profile->tcb_layout, p->profile->tcb);
    low.microcode--;
    p->tcb = p->profile->tcb;
    p->low_tcb = snp_tcb_pack(p->profile->tcb_layout, low);
    for (size_t i = 0; i < sizeof p->report_data; i++)
        p->report_data[i] = (u8)(0xa0 + i);
    for (size_t i = 0; i < sizeof p->host_data; i++)
        p->host_data[i] = (u8)(0x40 + i);
    int result = identity_chip_id(p->fuses, p->chip_id)
                     ? power_on(p, &m, e)
                     : error_set(e, ERROR_INTERNAL, "the chip has no id");
    for (unsigned kind = 0; kind < FIXTURES_GUESTS && !result; kind++)
        result = launch(p, &m, (enum fixtures_guest)kind, e);
    result = result || ask_all(p, &m, e) ? -1 : 0;
    power_off(&m);
    return result;
}
