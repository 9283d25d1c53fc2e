/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's end of the secret exchange with an SNP guest of `softsev run`. The agent in the guest
 * asks over the guest's virtio console, which the host carries. The owner verifies its report and
 * seals the secret, or names the check that failed. An owner elsewhere does that with `softsev
 * owner hello` and `answer`, by files in --owner-dir.
 */
#include "cli/run/run.h"

#include <stdlib.h>

#include "cli/owner/owner_cli.h"
#include "owner/snp_secret.h"

#define HELLO_FILE  "hello.b64"
#define ANSWER_FILE "answer.b64"

struct run_secret {
    u8 nonce[SECRET_NONCE_SIZE];
    u8 in[SECRET_FRAME_MAX];
    size_t in_size;
    u8 out[SECRET_FRAME_MAX]; /* the frame that waits for room in the guest */
    size_t out_size, out_at;
    bool asked, given, done;
    const char *wanted; /* the file that an owner elsewhere must send next; NULL: none */
    u64 until_ns;       /* when it must be there, on the host's clock */
    struct error refusal;
    struct error trouble; /* an error of an owner's files; it ends the run */
};

static bool is_remote(const struct run_vm *v)
{
    return v->options->owner_dir;
}

static void want(struct run_vm *v, const char *name)
{
    v->exchange->wanted = name;
    v->exchange->until_ns = run_clock_ns() + v->run->options.owner_wait_seconds * 1000000000ull;
}

/* --- Frames ----------------------------------------------------------------------------------- */

static void say_hello(struct run_vm *v)
{
    struct run_secret *x = v->exchange;
    x->asked = true;
    x->given = x->done = false;
    x->refusal = (struct error){.code = ERROR_NONE};
    x->out_at = x->out_size = 0;
    run_step(v->run, "guest", "the agent inside asks for the owner's secret");
    if (!is_remote(v)) {
        x->out_size = owner_snp_hello(v->run->owner_crypto, x->nonce, x->out, sizeof x->out);
        return;
    }
    if (run_remote_begin(v, &x->trouble))
        return;
    run_step(v->run, "hypervisor", "waits for " HELLO_FILE " of the owner in %s",
             v->options->owner_dir);
    want(v, HELLO_FILE);
}

static void forward_evidence(struct run_vm *v, size_t size)
{
    struct run_secret *x = v->exchange;
    if (run_remote_evidence(v, x->in, size, &x->trouble))
        return;
    run_step(v->run, "hypervisor",
             "the agent's key and report for the owner in %s; waits for " ANSWER_FILE,
             v->options->owner_dir);
    want(v, ANSWER_FILE);
}

/* Takes the name of the check that failed from an owner elsewhere. The host could write such a name
 * itself, so it is only shown. */
static void take_refusal(struct run_vm *v, const u8 *why, size_t size)
{
    char name[40];
    size_t n = min_u64(size, sizeof name - 1);
    for (size_t i = 0; i < n; i++)
        name[i] = why[i] < ' ' || why[i] > '~' ? '?' : (char)why[i];
    name[n] = 0;
    run_step(v->run, "owner", "elsewhere: nothing for this guest: %s", name);
    error_set(&v->exchange->refusal, ERROR_MEASUREMENT, "%s", name);
}

static bool take_from_owner(struct run_vm *v, bool hello)
{
    struct run_secret *x = v->exchange;
    size_t size;
    const u8 *why = secret_frame_payload(x->out, x->out_size, SECRET_REFUSED, &size);
    if (hello)
        return secret_frame_payload(x->out, x->out_size, SECRET_HELLO, &size);
    if (why)
        take_refusal(v, why, size);
    x->given = secret_frame_payload(x->out, x->out_size, SECRET_SECRET, &size);
    if (x->given)
        run_step(v->run, "owner", "elsewhere: has sent a secret, sealed to the agent's key");
    return why || x->given;
}

/* Looks once at the folder of an owner elsewhere. */
static int look(struct run_vm *v, struct error *e)
{
    struct run_secret *x = v->exchange;
    const char *name = x->wanted;
    if (!name || x->out_at < x->out_size)
        return 0;
    x->out_at = 0;
    if (run_remote_frame(v, name, x->until_ns, x->out, &x->out_size, e))
        return -1;
    if (!x->out_size)
        return 0;
    x->wanted = NULL;
    if (take_from_owner(v, !strcmp(name, HELLO_FILE)))
        return 0;
    x->out_size = 0;
    return error_set(e, ERROR_FILE, "%s: %s is not what `softsev owner` writes under that name",
                     v->options->owner_dir, name);
}

static void answer_evidence(struct run_vm *v, size_t size)
{
    struct run_secret *x = v->exchange;
    struct report_certificates certificates = {.given = {.count = 0}};
    enum report_check check = REPORT_OK;
    u8 digest[48];
    x->out_at = x->out_size = 0;
    if (!run_snp_expect(v, digest, &x->refusal) && !run_snp_trust(v, &certificates, &x->refusal)) {
        const struct snp_secret_request request = {
            .nonce = x->nonce,
            .evidence = x->in,
            .evidence_size = size,
            .certificates = certificates,
            .policy = run_snp_demands(v, digest),
            .secret = v->secret.data,
            .secret_size = v->secret.size,
        };
        struct error why = {.code = ERROR_NONE};
        x->out_size = owner_seal_snp_secret(v->run->owner_crypto, &request, x->out, sizeof x->out,
                                            &check, &why);
        if (why.code)
            error_set(&x->refusal, why.code, "%s%s%s", check ? report_check_name(check) : "",
                      check ? ": " : "", why.text);
    }
    report_certificates_free(&certificates);
    x->given = x->out_size;
    crypto_wipe(x->nonce, sizeof x->nonce); /* a nonce is good for one answer */
    if (x->given)
        run_step(v->run, "owner",
                 "the guest's own report verified, with its fresh key in it; secret of %zu bytes "
                 "sealed to that key",
                 v->secret.size);
    else
        run_step(v->run, "owner", "nothing for this guest: %s", x->refusal.text);
    if (!x->given)
        x->out_size = owner_snp_refusal(check, x->out, sizeof x->out);
}

/* Handles one frame, the first bytes of `in`. Drops a frame that does not fit the state of the
 * exchange. */
static void take_frame(struct run_vm *v, size_t size)
{
    struct run_secret *x = v->exchange;
    switch (load_le32(x->in + 4)) {
    case SECRET_READY:
        say_hello(v);
        break;
    case SECRET_EVIDENCE:
        if (x->asked && !x->wanted)
            (is_remote(v) ? forward_evidence : answer_evidence)(v, size);
        x->asked = false;
        break;
    case SECRET_DONE:
        x->done = x->given;
        if (x->done)
            run_step(v->run, "guest", "the agent has the secret");
        break;
    default:
        break;
    }
}

/* Collects frames from the guest's output, which may be anything: skips each byte that begins no
 * frame. */
static void on_output(void *context, const u8 *data, size_t size)
{
    struct run_vm *v = context;
    struct run_secret *x = v->exchange;
    for (size_t i = 0; i < size; i++) {
        if (x->in_size < sizeof x->in)
            x->in[x->in_size++] = data[i];
        if (x->in_size < SECRET_FRAME_HEADER)
            continue;
        size_t whole = secret_frame_size(x->in);
        if (!whole) {
            memmove(x->in, x->in + 1, --x->in_size);
        } else if (x->in_size == whole) {
            take_frame(v, whole);
            x->in_size = 0;
        }
    }
}

/* --- For run.c -------------------------------------------------------------------------------- */

int run_secret_open(struct run_vm *v, struct vm_config *config, struct error *e)
{
    if (v->options->mode != IMAGE_SEV_SNP || (!v->options->secret && !is_remote(v)))
        return 0;
    if (v->secret.size > SECRET_SIZE_MAX)
        return error_set(e, ERROR_USAGE, "%s: a secret of %zu bytes; at most 16 KiB are carried",
                         v->secret.name, v->secret.size);
    v->exchange = calloc(1, sizeof *v->exchange);
    if (!v->exchange)
        return error_set(e, ERROR_MEMORY, "no memory for the owner's exchange");
    config->virtio_console = true;
    config->channel = (struct vm_console){on_output, v};
    return 0;
}

int run_secret_pump(struct run_vm *v, struct error *e)
{
    struct run_secret *x = v->exchange;
    if (!x)
        return 0;
    if (x->trouble.code != ERROR_NONE)
        return error_set(e, x->trouble.code, "%s", x->trouble.text);
    if (look(v, e))
        return -1;
    if (x->out_at < x->out_size)
        x->out_at += vm_channel_input(v->vm, x->out + x->out_at, x->out_size - x->out_at);
    return 0;
}

bool run_secret_waits(const struct run_vm *v)
{
    return v->exchange && v->exchange->wanted;
}

int run_secret_close(struct run_vm *v, struct error *e)
{
    const struct run_secret *x = v->exchange;
    if (!x || x->done)
        return 0;
    if (x->refusal.code != ERROR_NONE)
        return error_set(e, ERROR_MEASUREMENT, "the owner refuses %s: %s", v->options->name,
                         x->refusal.text);
    return error_set(e, ERROR_GUEST,
                     "%s: no agent in the guest has taken the owner's secret; softsev-agent in its "
                     "initramfs does, over /dev/hvc0",
                     v->options->name);
}
