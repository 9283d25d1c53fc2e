/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest owner on another computer. A folder carries the exchange: one file in one direction at a
 * time, in the formats that `softsev owner` and public tools write and read. Whoever copies the
 * files is trusted no more than the host. A file counts as soon as it is complete, so copies should
 * be put in place by renaming.
 */
#include "cli/owner/owner_cli.h"
#include "cli/run/run.h"
#include "guest/secret_exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 20000000 /* the host's time between two looks at the folder */

static int path_of(const struct run_vm *v, const char *name, char path[500], struct error *e)
{
    if ((size_t)snprintf(path, 500, "%s/%s", v->options->owner_dir, name) < 500)
        return 0;
    return error_set(e, ERROR_USAGE, "%s: the path is too long", v->options->owner_dir);
}

/* Looks for a file once. Returns 0 if it is there and complete. With `size` 0 it may have any size
 * up to `room`. */
static int look(const char *path, const char *name, u8 *out, size_t room, size_t *size,
                struct error *e)
{
    struct cli_file f;
    if (access(path, F_OK))
        return error_set(e, ERROR_MEASUREMENT, "the owner has sent no %s", name);
    if (cli_read_exchange(path, &f, e))
        return -1;
    return *size ? owner_take_exactly(path, &f, name, out, *size, e)
                 : owner_take_some(path, &f, name, out, room, size, e);
}

static int give_up(const struct run_vm *v, const struct error *why, struct error *e)
{
    if (run_signals_ending())
        return error_set(e, why->code, "%s: %s yet; ended by %s", v->options->owner_dir, why->text,
                         run_signals_name());
    return error_set(e, why->code == ERROR_USAGE ? ERROR_FILE : why->code,
                     "%s: %s after %" PRIu64 " s", v->options->owner_dir, why->text,
                     v->run->options.owner_wait_seconds);
}

static int wait_for(const struct run_vm *v, const char *name, void *out, size_t room, size_t *size,
                    struct error *e)
{
    char path[500];
    const size_t wanted = *size;
    const struct run_options *o = &v->run->options;
    u64 until = run_clock_ns() + o->owner_wait_seconds * 1000000000ull;
    if (path_of(v, name, path, e))
        return -1;
    for (;;) {
        struct error why = {.code = ERROR_NONE};
        *size = wanted;
        if (!look(path, name, out, room, size, &why))
            return 0;
        if (run_clock_ns() >= until || run_signals_ending())
            return give_up(v, &why, e);
        run_signals_wait(-1, LOOK_NS);
    }
}

static int wait_exactly(const struct run_vm *v, const char *name, void *out, size_t size,
                        struct error *e)
{
    return wait_for(v, name, out, size, &size, e);
}

/* Removes the files of an earlier launch: they belong to another measurement or another report. */
static int forget(const struct run_vm *v, const char *const *names, size_t count, struct error *e)
{
    char path[500];
    for (size_t i = 0; i < count; i++) {
        if (path_of(v, names[i], path, e))
            return -1;
        if (unlink(path) && errno != ENOENT && errno != ENOTDIR)
            return error_set(e, ERROR_FILE, "%s cannot be removed: %s", path, strerror(errno));
    }
    return 0;
}

int run_remote_session(struct run_vm *v, const struct sev_platform_chain *chain,
                       const struct platform_status *s, struct owner *out, struct error *e)
{
    static const char *const earlier[] = {"measurement.b64", "secret-header.b64",
                                          "secret-payload.b64"};
    const char *folder = v->options->owner_dir;
    char text[100];
    int length = snprintf(text, sizeof text, "{\"api\":\"%u.%u\",\"build\":%u,\"policy\":%u}\n",
                          s->api_major, s->api_minor, s->build, (u32)v->options->policy);
    struct file_set set = {.parts = NULL};
    if (forget(v, earlier, ARRAY_SIZE(earlier), e))
        return -1;
    file_set_add(&set, "chain", chain, sizeof *chain, false);
    file_set_add(&set, "platform.json", text, (size_t)length, false);
    if (owner_write_set(folder, &set, e))
        return -1;
    run_step(v->run, "hypervisor", "certificates for %s's owner in %s; waits for the session",
             v->options->name, folder);
    if (wait_exactly(v, "godh.b64", &out->godh, sizeof out->godh, e) ||
        wait_exactly(v, "session.b64", &out->session, sizeof out->session, e))
        return -1;
    run_step(v->run, "owner", "elsewhere: has sent key and session");
    return 0;
}

int run_remote_secret(struct run_vm *v, struct error *e)
{
    struct sev_packet_header header;
    u8 data[OWNER_SECRET_MAX];
    size_t size = 0;
    if (owner_write_base64(v->options->owner_dir, "measurement.b64", v->measure, sizeof v->measure,
                           e))
        return -1;
    run_step(v->run, "hypervisor", "measurement for the owner in %s; waits for the secret",
             v->options->owner_dir);
    if (wait_exactly(v, "secret-header.b64", &header, sizeof header, e) ||
        wait_for(v, "secret-payload.b64", data, sizeof data, &size, e))
        return -1;
    run_step(v->run, "owner", "elsewhere: has sent a secret of %zu sealed bytes", size);
    return vm_launch_secret(v->vm, (const u8 *)&header, data, size, e);
}

/* --- SNP: an exchange with an agent in a guest that runs meanwhile; nothing here waits -------- */

int run_remote_begin(const struct run_vm *v, struct error *e)
{
    static const char *const earlier[] = {"evidence.b64", "answer.b64"};
    const char *folder = v->options->owner_dir;
    return !file_make_folder(folder, e) ? -1 : forget(v, earlier, ARRAY_SIZE(earlier), e);
}

int run_remote_evidence(const struct run_vm *v, const u8 *frame, size_t size, struct error *e)
{
    return owner_write_base64(v->options->owner_dir, "evidence.b64", frame, size, e);
}

int run_remote_frame(const struct run_vm *v, const char *name, u64 until_ns, u8 *frame,
                     size_t *size, struct error *e)
{
    char path[500];
    struct error why = {.code = ERROR_NONE};
    *size = 0;
    if (path_of(v, name, path, e))
        return -1;
    if (!look(path, name, frame, SECRET_FRAME_MAX, size, &why)) {
        if (*size >= SECRET_FRAME_HEADER && secret_frame_size(frame) == *size)
            return unlink(path)
                       ? error_set(e, ERROR_FILE, "%s cannot be removed: %s", path, strerror(errno))
                       : 0;
        error_set(&why, ERROR_FILE, "%s is not a message of the agent's exchange", name);
    }
    *size = 0;
    return run_clock_ns() < until_ns ? 0 : give_up(v, &why, e);
}
