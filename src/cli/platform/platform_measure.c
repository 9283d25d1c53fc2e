/* SPDX-License-Identifier: Apache-2.0 */
/*
 * softsev platform measure: LAUNCH_START to LAUNCH_MEASURE over the bytes of a file, in order,
 * without a guest that would run them, and the firmware's attestation report of it [sev 5.4]. What
 * is measured does not depend on addresses [sev 7.5], so the pieces take turns at one place in
 * memory.
 */
#include "cli/owner/forms.h"
#include "cli/platform/platform.h"
#include "cli/input.h"

#include "base/encoding.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* Reads the first of these files that exists, raw or as text: QEMU's and libvirt's names, then
 * sev-tool's. */
static int read_any(const char *folder, const char *const names[2], const char *wanted, void *out,
                    size_t size, struct error *e)
{
    char path[2][500];
    for (size_t i = 0; i < 2; i++)
        if ((size_t)snprintf(path[i], sizeof path[i], "%s/%s", folder, names[i]) >= sizeof path[i])
            return error_set(e, ERROR_USAGE, "%s: the path is too long", folder);
    const bool second = access(path[0], F_OK) && !access(path[1], F_OK);
    return owner_read_exactly(path[second], wanted, out, size, e);
}

static int read_session(const char *folder, struct sev_cert *godh, struct sev_session *session,
                        struct error *e)
{
    static const char *const keys[] = {"godh.b64", "godh.cert"}, *const sessions[] = {
                                                                     "session.b64",
                                                                     "launch_blob.bin"};
    return read_any(folder, keys, "the owner's key", godh, sizeof *godh, e) ||
                   read_any(folder, sessions, "a session", session, sizeof *session, e)
               ? -1
               : 0;
}

/* Makes the guest's context, with the owner's session if there is one, and loads its key. */
static int start(struct platform *p, u32 *handle, struct error *e)
{
    struct sev_cert godh;
    struct sev_session session;
    struct sev_start in = {.policy = p->policy};
    if (p->session) {
        if (read_session(p->session, &godh, &session, e))
            return -1;
        memory_write(p->memory, AT_FIRST, KEY_RAW, &godh, sizeof godh);
        memory_write(p->memory, AT_SECOND, KEY_RAW, &session, sizeof session);
        in.dh_cert_paddr = AT_FIRST;
        in.dh_cert_len = sizeof godh;
        in.session_paddr = AT_SECOND;
        in.session_len = sizeof session;
    }
    u8 nothing[1];
    firmware_wbinvd(p->firmware, 0);
    if (platform_command(p, SEV_CMD_DF_FLUSH, nothing, 0, e) ||
        platform_command(p, SEV_CMD_LAUNCH_START, &in, sizeof in, e))
        return -1;
    *handle = in.handle;
    struct sev_activate activate = {.handle = in.handle, .asid = 1};
    return platform_command(p, SEV_CMD_ACTIVATE, &activate, sizeof activate, e);
}

static int update(struct platform *p, u32 handle, const struct cli_file *file, struct error *e)
{
    for (size_t at = 0; at < file->size; at += DATA_MAX) {
        struct sev_launch_range in = {
            .handle = handle,
            .paddr = AT_DATA,
            .len = (u32)min_u64(DATA_MAX, file->size - at),
        };
        memory_write(p->memory, AT_DATA, KEY_RAW, file->data + at, in.len);
        if (platform_command(p, SEV_CMD_LAUNCH_UPDATE_DATA, &in, sizeof in, e))
            return -1;
    }
    return 0;
}

/* Gets the PEK's report on the same launch, for the measurement's MNONCE. */
static int attest(struct platform *p, u32 handle, const u8 mnonce[16], struct error *e)
{
    struct sev_attestation_report report;
    struct sev_attestation in = {.handle = handle, .paddr = AT_FIRST, .len = sizeof report};
    memcpy(in.mnonce, mnonce, sizeof in.mnonce);
    if (platform_command(p, SEV_CMD_ATTESTATION, &in, sizeof in, e))
        return -1;
    memory_read(p->memory, AT_FIRST, KEY_RAW, &report, sizeof report);
    return file_write(p->out, &report, sizeof report, false, e) ? 0 : -1;
}

static int measure(struct platform *p, u32 handle, struct error *e)
{
    u8 measurement[48];
    char text[65];
    struct sev_launch_range in = {.handle = handle, .paddr = AT_FIRST, .len = sizeof measurement};
    if (platform_command(p, SEV_CMD_LAUNCH_MEASURE, &in, sizeof in, e))
        return -1;
    memory_read(p->memory, AT_FIRST, KEY_RAW, measurement, sizeof measurement);
    text_encode_base64(text, measurement, sizeof measurement);
    printf(p->json ? "{\"measurement\":\"%s\"}\n" : "%s\n", text);
    return p->out ? attest(p, handle, measurement + 32, e) : 0;
}

int platform_measure(struct platform *p, struct error *e)
{
    struct cli_file file;
    u32 handle;
    if (cli_read_file(p->launch, &file, e))
        return -1;
    int result = 0;
    if (file.size == 0 || file.size % 16)
        result = error_set(e, ERROR_FILE, "%s: %zu bytes; what is launched has a multiple of 16",
                           p->launch, file.size);
    if (!result)
        result = platform_start(p, e) || start(p, &handle, e) || update(p, handle, &file, e) ||
                         measure(p, handle, e)
                     ? -1
                     : 0;
    cli_free_file(&file);
    return result;
}
