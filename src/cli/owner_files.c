/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of `softsev owner`, in the forms that other tools of the field write and read: chains as sevctl
 * exports them, sessions, keys and packets as QEMU and libvirt take them [sev 7.4, 8.3].
 */
#include "cli/owner.h"
#include "cli/run.h"
#include "files/files.h"

#include "base/bytes.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define BASE64_MAX 45056u /* characters: a frame of 32 KiB */

int owner_decode_base64(const char *what, const char *text, void *out, size_t size, struct error *e)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    u8 decoded[BASE64_MAX];
    size_t used = strspn(text, digits), padding = size % 3 ? 3 - size % 3 : 0;
    bool good = used == owner_base64_size(size) - 1 && used <= sizeof decoded &&
                text[used + strspn(text + used, " \r\n")] == '\0' &&
                strcspn(text, "=") == used - padding &&
                EVP_DecodeBlock(decoded, (const u8 *)text, (int)used) == (int)(size + padding);
    if (good)
        memcpy(out, decoded, size);
    crypto_wipe(decoded, sizeof decoded);
    return good ? 0 : error_set(e, ERROR_USAGE, "%s should be %zu bytes as base64", what, size);
}

int owner_decode_base64_some(const char *what, const char *text, void *out, size_t room,
                             size_t *size, struct error *e)
{
    size_t digits = strcspn(text, " \r\n"), padding = 0;
    while (padding < 2 && padding < digits && text[digits - 1 - padding] == '=')
        padding++;
    *size = digits / 4 * 3 - min_u64(padding, digits / 4 * 3);
    struct error unused = {.code = ERROR_NONE};
    if (*size && *size <= room && !owner_decode_base64(what, text, out, *size, &unused))
        return 0;
    return error_set(e, ERROR_FILE, "%s should be base64 of 1 to %zu bytes", what, room);
}

void owner_encode_base64(char *out, const void *data, size_t size)
{
    EVP_EncodeBlock((u8 *)out, data, (int)size);
}

static int read_exactly(const char *path, const char *what, void *out, size_t size, struct error *e)
{
    struct run_file f;
    if (run_read_small(path, &f, e))
        return -1;
    int result = 0;
    if (f.size != size)
        result = error_set(e, ERROR_FILE, "%s: %s has %zu bytes, this file has %zu", path, what,
                           size, f.size);
    else
        memcpy(out, f.data, size);
    crypto_wipe(f.data, f.size);
    run_free_file(&f);
    return result;
}

/* Also the longer file that has ASK and ARK behind the platform's four; they are not trusted from here. */
int owner_read_chain(const char *path, struct sev_platform_chain *out, struct error *e)
{
    struct run_file f;
    if (run_read_small(path, &f, e))
        return -1;
    int result = 0;
    if (f.size != sizeof *out && f.size != sizeof *out + 2 * AMD_CERT_SIZE(2048) &&
        f.size != sizeof *out + 2 * AMD_CERT_SIZE(4096))
        result = error_set(e, ERROR_FILE,
                           "%s: a chain (PDH, PEK, OCA, CEK) has %zu bytes, this file has %zu",
                           path, sizeof *out, f.size);
    else
        memcpy(out, f.data, sizeof *out);
    run_free_file(&f);
    return result;
}

int owner_read_root(const char *path, struct amd_chain *out, struct error *e)
{
    struct run_file f;
    if (run_read_small(path, &f, e))
        return -1;
    struct cert_verdict verdict = amd_chain_parse(f.data, f.size, out);
    run_free_file(&f);
    struct error why = {.code = ERROR_NONE};
    if (cert_verdict_error(&verdict, ERROR_FILE, &why))
        return error_set(e, ERROR_FILE, "%s: %s", path, why.text);
    return 0;
}

int owner_read_state(const char *path, struct owner *out, struct error *e)
{
    struct run_file f;
    struct error why = {.code = ERROR_NONE};
    if (run_read_small(path, &f, e))
        return -1;
    int result = owner_load(f.data, f.size, out, &why);
    crypto_wipe(f.data, f.size);
    run_free_file(&f);
    return result ? error_set(e, why.code, "%s: %s", path, why.text) : 0;
}

int owner_read_tk(const char *path, struct session_keys *out, struct error *e)
{
    return read_exactly(path, "a file of TEK and TIK", out, sizeof *out, e);
}

int owner_write_state(const char *path, const struct owner *o, struct error *e)
{
    u8 saved[OWNER_SAVE_SIZE];
    owner_save(o, saved);
    bool good = file_write(path, saved, sizeof saved, true, e);
    crypto_wipe(saved, sizeof saved);
    return good ? 0 : -1;
}

void owner_add_base64(struct file_set *set, const char *name, const void *data, size_t size)
{
    const size_t text_size = owner_base64_size(size);
    char *text = malloc(text_size);
    if (text)
        owner_encode_base64(text, data, size);
    file_set_add(set, name, text, text_size - 1, false);
    set->no_memory |= !text;
    free(text);
}

int owner_write_set(const char *folder, struct file_set *set, struct error *e)
{
    bool good = file_set_write(folder, set, e);
    file_set_free(set);
    return good ? 0 : -1;
}

int owner_write_base64(const char *folder, const char *name, const void *data, size_t size,
                       struct error *e)
{
    struct file_set set = {.parts = NULL};
    owner_add_base64(&set, name, data, size);
    return owner_write_set(folder, &set, e);
}

/* --- Values ------------------------------------------------------------------------------------------- */

int owner_hex(const char *option, const char *text, void *out, size_t size, struct error *e)
{
    if (!text || hex_decode(out, size, text))
        return 0;
    return error_set(e, ERROR_USAGE, "--%s '%s': %zu hexadecimal digits", option, text, 2 * size);
}

int owner_sev_policy(const struct options *options, u32 *out, struct error *e)
{
    const u64 policy = options_number(options, OWNER_POLICY, *out);
    if (policy > UINT32_MAX)
        return error_set(e, ERROR_USAGE, "--policy '%s': the policy of such a guest has 32 bits",
                         options->text[OWNER_POLICY]);
    *out = (u32)policy;
    return 0;
}
