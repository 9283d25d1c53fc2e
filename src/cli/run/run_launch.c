/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch of encrypted guests: the platform's identity, and the exchange between the hypervisor
 * and the guest owner. They share nothing but the bytes that pass between them; the owner makes its
 * own plan of the image from the files.
 */
#include "cli/cli.h"
#include "cli/identity/platform.h"
#include "cli/identity/profile.h"
#include "cli/owner/owner_cli.h"
#include "cli/run/run.h"

#include <stdlib.h>

#include "authority/authority.h"
#include "base/bytes.h"
#include "owner/owner.h"

static void progress(const char *what)
{
    fprintf(stderr, "softsev run: %s\n", what);
}

int run_identity(struct run *r, struct machine_config *config, struct error *e)
{
    const struct run_options *o = &r->options;
    const struct cli_platform_request request = {.state = o->state,
                                                 .seed = o->seed,
                                                 .cpu_text = o->cpu_text,
                                                 .cpu = &o->cpu,
                                                 .progress = progress};
    r->identity = calloc(1, sizeof *r->identity);
    if (!r->identity)
        return error_set(e, ERROR_MEMORY, "out of memory");
    if (cli_platform_open(&request, r->crypto, r->identity, e))
        return -1;
    cli_platform_configure(r->identity, config);
    return 0;
}

void run_close_identity(struct run *r)
{
    if (r->identity)
        cli_platform_close(r->identity);
    free(r->identity);
}

int run_with_rule(const struct run *r, struct error *e)
{
    cli_add_rule(r->machine, e);
    return r->identity ? state_explain(r->identity->on.state, e) : -1;
}

static bool any_mode(const struct run *r, enum image_mode mode)
{
    for (u32 i = 0; i < r->vm_count; i++)
        if (r->vms[i].options->mode == mode)
            return true;
    return false;
}

int run_platform(struct run *r, struct error *e)
{
    const struct cli_platform *id = r->identity;
    struct platform_status s;
    bool es = any_mode(r, IMAGE_SEV_ES);
    if (any_mode(r, IMAGE_SEV_SNP) &&
        run_snp_platform(r, id->authority, id->on.profile, id->on.identity.fuses, e))
        return -1;
    if (r->resumed || (!es && !any_mode(r, IMAGE_SEV)))
        return 0;
    if ((es ? platform_init_es : platform_init)(r->hv, e) || platform_get_status(r->hv, &s, e))
        return run_with_rule(r, e);
    run_step(r, "firmware", "INIT%s: SEV API %u.%u build %u, identity %s%s",
             es ? " with SEV-ES" : "", s.api_major, s.api_minor, s.build,
             id->on.state ? (id->on.identity.made ? "made in " : "loaded from ")
                          : "made from the seed",
             id->on.state ? id->directory : "");
    run_step(r, "authority",
             "the manufacturer, in software: ARK signs ASK, ASK signs this chip's CEK");
    return 0;
}

/* --- The launch ------------------------------------------------------------------------------- */

static const char *short_hex(const u8 bytes[32], char text[24])
{
    hex_encode(text, bytes, 8);
    strcpy(text + 16, "...");
    return text;
}

int run_export_chain(struct run *r, struct sev_platform_chain *out, struct error *e)
{
    struct platform_chain bytes;
    if (platform_export(r->hv, &bytes, e))
        return run_with_rule(r, e);
    memcpy(&out->pdh, bytes.pdh, sizeof out->pdh);
    memcpy(&out->chain, bytes.chain, sizeof out->chain);
    out->chain.cek = r->identity->on.identity.cek;
    return 0;
}

static int owner_meets_platform(struct run_vm *v, struct owner *owner, struct error *e)
{
    struct run *r = v->run;
    struct sev_platform_chain chain;
    struct platform_status s;
    struct amd_chain root = r->identity->on.identity.root;
    if (run_export_chain(r, &chain, e))
        return -1;
    if (v->options->owner_dir)
        return platform_get_status(r->hv, &s, e) ? run_with_rule(r, e)
                                                 : run_remote_session(v, &chain, &s, owner, e);
    if ((v->options->owner_root && owner_read_root(v->options->owner_root, &root, e)) ||
        owner_start(r->owner_crypto, &chain, &root, (u32)v->options->policy, owner, e))
        return -1;
    run_step(
        r, "owner",
        "certificates verified: PDH <- PEK <- OCA, PEK <- CEK <- ASK <- ARK, the root one trusts");
    run_step(r, "owner", "ephemeral key and session made for %s: wrapped TEK and TIK, policy %#x",
             v->options->name, (u32)v->options->policy);
    return 0;
}

/* Launches the processors' registers. From here on they are as secret as memory. */
static int hypervisor_launches_registers(struct run_vm *v, struct error *e)
{
    if (v->plan->mode != IMAGE_SEV_ES)
        return 0;
    if (vm_launch_update_vmsa(v->vm, e))
        return run_with_rule(v->run, e);
    run_step(
        v->run, "hypervisor",
        "LAUNCH_UPDATE_VMSA: the registers of %u processor%s, encrypted and measured with the rest",
        v->options->cpus, v->options->cpus == 1 ? "" : "s");
    return 0;
}

static int hypervisor_launches(struct run_vm *v, const struct owner *owner, struct error *e)
{
    struct run *r = v->run;
    u64 bytes = 0;
    for (u32 i = 0; i < v->plan->piece_count; i++)
        bytes += v->plan->pieces[i].size;
    if (vm_launch_start(v->vm, &owner->godh, sizeof owner->godh, &owner->session,
                        sizeof owner->session, e))
        return run_with_rule(r, e);
    run_step(r, "hypervisor",
             "LAUNCH_START, ACTIVATE: the key of %s is in the memory controller's slot of ASID %u",
             v->options->name, vm_asid(v->vm));
    u64 before = run_clock_ns();
    if (vm_launch_update(v->vm, e))
        return run_with_rule(r, e);
    double seconds = (double)(run_clock_ns() - before) / 1e9;
    run_step(r, "hypervisor",
             "LAUNCH_UPDATE_DATA: %u pieces, %.1f MiB in %.3f s (kernel, initramfs, boot "
             "parameters, command line, page tables with the C-bit, ACPI)",
             v->plan->piece_count, (double)bytes / (double)MIB(1), seconds);
    if (hypervisor_launches_registers(v, e))
        return -1;
    if (vm_launch_measure(v->vm, v->measure, e))
        return run_with_rule(r, e);
    char text[24];
    run_step(r, "firmware", "LAUNCH_MEASURE: %s", short_hex(v->measure, text));
    return 0;
}

/* Checks the launch as the owner. The owner knows files, a version and 48 bytes of measurement; the
 * digest in it tells whether the guest is the right one. */
static int owner_checks(struct run_vm *v, struct owner *owner, struct error *e)
{
    struct run *r = v->run;
    struct platform_status s;
    struct sev_measure got;
    struct image_description d = run_describe(v);
    struct image_plan *plan = image_build(&d, e);
    if (!plan || platform_get_status(r->hv, &s, e)) {
        image_free(plan);
        return -1;
    }
    struct owner_launch launch = {s.api_major, s.api_minor, s.build, {0}};
    const int digested = image_digest(plan, launch.digest, e);
    image_free(plan);
    memcpy(&got, v->measure, sizeof got);
    if (digested || owner_check_launch(owner, &launch, &got, e))
        return -1;
    char text[24];
    run_step(r, "owner", "expected measurement computed from the files alone (digest %s): equal",
             short_hex(launch.digest, text));
    return 0;
}

/* Writes the secret in the form that the guest will find: an archive for its initramfs, or a table
 * for its firmware. Returns its size, or 0 and an error. */
static size_t form_secret(const struct run_vm *v, u8 out[IMAGE_SECRET_MAX], struct error *e)
{
    const struct cli_file *s = &v->secret;
    const u64 room = v->plan->secret_size;
    const bool table = v->options->firmware;
    size_t size = table ? image_secret_table(v->options->secret_guid, s->data, s->size, out, room)
                        : image_secret_archive(s->data, s->size, out, room);
    if (!size && table)
        error_set(
            e, ERROR_USAGE,
            "%s: a secret of %zu bytes; the firmware has room for at most %llu with its table",
            s->name, s->size, (unsigned long long)room);
    else if (!size)
        error_set(e, ERROR_USAGE,
                  "%s: a secret of %zu bytes; one launch carries at most 16 KiB with its archive",
                  s->name, s->size);
    return size;
}

static int owner_sends_secret(struct run_vm *v, const struct owner *owner, struct error *e)
{
    struct run *r = v->run;
    u8 plain[IMAGE_SECRET_MAX], sealed[IMAGE_SECRET_MAX];
    struct sev_packet_header header;
    if (!v->secret.data)
        return 0;
    size_t size = form_secret(v, plain, e);
    if (!size)
        return -1;
    int result = owner_seal(r->owner_crypto, owner, plain, size, &header, sealed, e);
    crypto_wipe(plain, sizeof plain);
    if (result)
        return -1;
    run_step(r, "owner", "secret of %zu bytes sealed for this guest alone", v->secret.size);
    if (vm_launch_secret(v->vm, (const u8 *)&header, sealed, owner_sealed_size(size), e))
        return run_with_rule(r, e);
    run_step(r, "hypervisor", "LAUNCH_SECRET: carried to the firmware, unread");
    return 0;
}

/* Lets the owner decide. If it refuses, the launch ends here. */
static int owner_decides(struct run_vm *v, struct owner *owner, struct error *e)
{
    if (v->options->owner_dir)
        return run_remote_secret(v, e) ? run_with_rule(v->run, e) : 0;
    return owner_checks(v, owner, e) || owner_sends_secret(v, owner, e) ? -1 : 0;
}

int run_launch(struct run_vm *v, struct error *e)
{
    struct run *r = v->run;
    struct owner owner = {0};
    int result = -1;
    if (v->options->mode == IMAGE_SEV_SNP)
        return run_snp_launch(v, e);
    if (!owner_meets_platform(v, &owner, e) && !hypervisor_launches(v, &owner, e) &&
        !owner_decides(v, &owner, e)) {
        result = vm_launch_finish(v->vm, e) ? run_with_rule(r, e) : 0;
        if (!result)
            run_step(r, "hypervisor", "LAUNCH_FINISH, VMRUN");
    }
    owner_wipe(&owner);
    return result;
}
