/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev owner hello, softsev owner answer: the owner's end of the secret exchange with the agent
 * in an SNP guest (guest/secret_exchange.h), on files that somebody carries to the host and back.
 */
#include "cli/owner/owner_cli.h"
#include "cli/input.h"

#include "base/bytes.h"
#include "owner/snp_secret.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define STATE_MAGIC "softsev hello 1\n"

/* The state of a HELLO that waits for its answer. */
struct hello {
    u8 magic[16];
    u8 nonce[SECRET_NONCE_SIZE];
};

/* --- hello ------------------------------------------------------------------------------------ */

int owner_hello(const struct options *options, struct error *e)
{
    struct hello h = {.magic = {0}};
    u8 frame[SECRET_FRAME_HEADER + SECRET_NONCE_SIZE];
    const char *folder = options->text[OWNER_OUT_DIR], *seed = options->text[OWNER_SEED];
    struct crypto *c = crypto_create(seed, seed ? strlen(seed) : 0);
    if (!c)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    memcpy(h.magic, STATE_MAGIC, sizeof h.magic);
    size_t size = owner_snp_hello(c, h.nonce, frame, sizeof frame);
    crypto_destroy(c);
    struct file_set set = {.parts = NULL};
    owner_add_secret(options, &set, "hello.state", &h, sizeof h);
    owner_add_base64(&set, "hello.b64", frame, size);
    if (owner_write_out(options, &set, e))
        return -1;
    printf("%s: hello.b64 for the host; hello.state is for one answer\n", folder);
    return 0;
}

static int read_hello(const char *path, struct hello *out, struct error *e)
{
    struct cli_file f;
    if (cli_read_small(path, &f, e))
        return -1;
    bool good = f.size == sizeof *out && !memcmp(f.data, STATE_MAGIC, sizeof out->magic);
    if (good)
        memcpy(out, f.data, sizeof *out);
    cli_free_file(&f);
    return good ? 0
                : error_set(e, ERROR_FILE, "%s: not a state file of `softsev owner hello`", path);
}

/* --- answer ----------------------------------------------------------------------------------- */

struct answer {
    struct hello hello;
    u8 evidence[SECRET_FRAME_MAX];
    size_t evidence_size;
    struct snp_report report;
    struct cli_file secret;
    struct owner_demands demands;
    struct report_certificates certificates;
    u8 frame[SECRET_FRAME_MAX];
    size_t frame_size;
};

static int read_evidence(const char *path, struct answer *a, struct error *e)
{
    struct secret_evidence evidence;
    if (owner_read_some(path, "an evidence frame of softsev-agent", a->evidence, sizeof a->evidence,
                        &a->evidence_size, e))
        return -1;
    if (!secret_evidence_read(a->evidence, a->evidence_size, &evidence))
        return error_set(e, ERROR_FILE, "%s: not evidence of softsev-agent, which is base64", path);
    a->report = evidence.report;
    return 0;
}

static int read_all(const struct options *options, struct answer *a, struct error *e)
{
    if (read_hello(options->text[OWNER_STATE], &a->hello, e) ||
        read_evidence(options->text[OWNER_EVIDENCE], a, e) ||
        cli_read_small(options->text[OWNER_SECRET], &a->secret, e))
        return -1;
    if (a->secret.size > SECRET_SIZE_MAX)
        return error_set(e, ERROR_FILE, "%s: a secret of %zu bytes; at most 16 KiB are carried",
                         a->secret.name, a->secret.size);
    return owner_parse_demands(options, &a->demands, e) ||
                   owner_collect(options, &a->report, &a->certificates, e)
               ? -1
               : 0;
}

static enum report_check seal(struct crypto *c, struct answer *a, struct error *e)
{
    enum report_check check;
    const struct snp_secret_request request = {
        .nonce = a->hello.nonce,
        .evidence = a->evidence,
        .evidence_size = a->evidence_size,
        .certificates = a->certificates,
        .policy = a->demands.policy,
        .secret = a->secret.data,
        .secret_size = a->secret.size,
    };
    a->frame_size = owner_seal_snp_secret(c, &request, a->frame, sizeof a->frame, &check, e);
    return check;
}

/* Writes the answer. Removes the nonce first: whoever sees two answers to one nonce may have asked
 * twice. */
static int write_answer(const struct options *options, const struct answer *a, struct error *e)
{
    const char *state = options->text[OWNER_STATE];
    struct file_set set = {.parts = NULL};
    owner_add_base64(&set, "answer.b64", a->frame, a->frame_size);
    int result = set.no_memory ? 0 : options_check_set(options, OWNER_OUT_DIR, &set, e);
    if (!result && unlink(state))
        result = error_set(e, ERROR_FILE, "%s cannot be removed: %s", state, strerror(errno));
    if (!result)
        return owner_write_out(options, &set, e);
    file_set_free(&set);
    return result;
}

static int answer(const struct options *options, struct answer *a, struct error *e)
{
    struct error why = {.code = ERROR_NONE};
    const char *seed = options->text[OWNER_SEED];
    struct crypto *c = crypto_create(seed, seed ? strlen(seed) : 0);
    if (!c)
        return error_set(e, ERROR_MEMORY, "out of memory: OpenSSL cannot be set up");
    enum report_check check = seal(c, a, &why);
    crypto_destroy(c);
    if (!check && !a->frame_size) /* no verdict: a key that is none, or our own trouble */
        return error_set(e, why.code, "%s", why.text);
    if (check)
        a->frame_size = owner_snp_refusal(check, a->frame, sizeof a->frame);
    if (write_answer(options, a, e))
        return -1;
    if (check)
        return owner_refuse_snp_report(options, check, why.text, &a->report, e);
    owner_print_report(options, &a->report);
    if (!options->text[OWNER_JSON])
        printf("%s: answer.b64 for the host\n", options->text[OWNER_OUT_DIR]);
    return 0;
}

int owner_answer(const struct options *options, struct error *e)
{
    struct answer *a = calloc(1, sizeof *a);
    if (!a)
        return error_set(e, ERROR_MEMORY, "no memory for an answer");
    int result = read_all(options, a, e) || answer(options, a, e) ? -1 : 0;
    crypto_wipe(a->secret.data, a->secret.size);
    cli_free_file(&a->secret);
    report_certificates_free(&a->certificates);
    crypto_wipe(a, sizeof *a);
    free(a);
    return result;
}
