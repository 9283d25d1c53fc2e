/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a machine's events as lines of a file, and hashes them all. */
#include "cli/cli.h"
#include "cli/run/session.h"

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "files/files.h"

#include <errno.h>

static void print(void *context, const struct trace_event *event)
{
    struct run_trace *t = context;
    char line[1200];
    if (!(t->categories & 1u << event->category))
        return;
    if (t->json)
        trace_format_json(line, sizeof line, event);
    else
        trace_format_text(line, sizeof line, event);
    if (fputs(line, t->out) < 0 && !t->error)
        t->error = errno;
}

static void into_hash(void *context, const struct trace_event *event)
{
    char line[1200];
    size_t size = trace_format_text(line, sizeof line, event);
    crypto_sha256_update(context, line, size);
}

int run_trace_open(struct run_trace *t, struct error *e)
{
    t->out = stderr;
    if (t->path && !(t->out = file_create(t->path, false, e)))
        return -1;
    run_signals_output(t->path ? t->out : NULL);
    if (t->hashes && !(t->hash = crypto_sha256_start()))
        cli_end_without_memory();
    return 0;
}

void run_trace_start(struct run_trace *t, struct trace *trace)
{
    if (t->categories) {
        t->print_sink = (struct trace_sink){.event = print, .context = t};
        trace_add_sink(trace, &t->print_sink);
    }
    if (t->hash) {
        t->hash_sink = (struct trace_sink){.event = into_hash, .context = t->hash};
        trace_add_sink(trace, &t->hash_sink);
    }
}

void run_trace_restart(struct run_trace *t)
{
    if (!t->hash)
        return;
    crypto_sha256_free(t->hash);
    t->hash = crypto_sha256_start();
    if (!t->hash)
        cli_end_without_memory();
    t->hash_sink.context = t->hash;
}

void run_trace_hash(const struct run_trace *t, char hex[65])
{
    u8 digest[32];
    hex[0] = 0;
    if (!t->hash)
        return;
    crypto_sha256_peek(t->hash, digest);
    hex_encode(hex, digest, sizeof digest);
}

int run_trace_close(struct run_trace *t, struct error *e)
{
    run_signals_output_closes(t->path ? t->out : NULL);
    bool good = !t->path || !t->out || file_close(t->out, t->path, e);
    t->out = NULL;
    crypto_sha256_free(t->hash);
    t->hash = NULL;
    if (t->error && !t->path)
        good = error_set(e, ERROR_FILE, "standard error (--trace) cannot be written: %s",
                         strerror(t->error)) == 0;
    return good ? 0 : -1;
}
