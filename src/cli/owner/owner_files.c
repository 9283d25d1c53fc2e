/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of `softsev owner`, in the forms that other tools of the field write and read: chains as
 * sevctl exports them, sessions, keys and packets as QEMU and libvirt take them [sev 7.4, 8.3].
 */
#include "cli/owner/owner_cli.h"
#include "cli/input.h"
#include "cli/policy.h"
#include "files/files.h"

#include "abi/sev.h"
#include "base/bytes.h"
#include "base/encoding.h"

#include <stdlib.h>

#define SEV_API_MAJOR_MAX 1u /* of all firmware that was published */

int owner_read_state(const char *path, struct owner *out, struct error *e)
{
    struct cli_file f;
    struct error why = {.code = ERROR_NONE};
    if (cli_read_small(path, &f, e))
        return -1;
    int result = owner_load(f.data, f.size, out, &why);
    crypto_wipe(f.data, f.size);
    cli_free_file(&f);
    return result ? error_set(e, why.code, "%s: %s", path, why.text) : 0;
}

int owner_read_tk(const char *path, struct session_keys *out, struct error *e)
{
    return owner_read_exactly(path, "a file of TEK and TIK", out, sizeof *out, e);
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
    const size_t text_size = text_base64_size(size);
    char *text = malloc(text_size);
    if (text)
        text_encode_base64(text, data, size);
    file_set_add(set, name, text, text_size - 1, false);
    set->no_memory |= !text;
    free(text);
}

void owner_add_secret(const struct options *options, struct file_set *set, const char *name,
                      const void *data, size_t size)
{
    if (options->text[OWNER_REPLACE])
        file_set_add(set, name, data, size, true);
    else
        file_set_add_new_secret(set, name, data, size, "move it away first, or give --replace");
}

int owner_write_set(const char *folder, struct file_set *set, struct error *e)
{
    bool good = file_set_write(folder, set, e);
    file_set_free(set);
    return good ? 0 : -1;
}

int owner_write_out(const struct options *options, struct file_set *set, struct error *e)
{
    if (!set->no_memory && options_check_set(options, OWNER_OUT_DIR, set, e)) {
        file_set_free(set);
        return -1;
    }
    return owner_write_set(options->text[OWNER_OUT_DIR], set, e);
}

int owner_write_base64(const char *folder, const char *name, const void *data, size_t size,
                       struct error *e)
{
    struct file_set set = {.parts = NULL};
    owner_add_base64(&set, name, data, size);
    return owner_write_set(folder, &set, e);
}

/* --- Values ----------------------------------------------------------------------------------- */

int owner_hex(const char *option, const char *text, void *out, size_t size, struct error *e)
{
    if (!text || text_decode_hex_exactly(text, out, size))
        return 0;
    return error_set(e, ERROR_USAGE, "--%s '%s': expected %zu hexadecimal digits", option, text,
                     2 * size);
}

enum image_mode owner_mode(const struct options *options)
{
    return options->text[OWNER_MODE] ? (enum image_mode)options_choice(options, OWNER_MODE)
                                     : IMAGE_NONE;
}

int owner_sev_policy(const struct options *options, u32 *out, struct error *e)
{
    const u64 policy = options_number(options, OWNER_POLICY, *out);
    if (!options->text[OWNER_POLICY])
        return 0;
    if (policy_check("--policy", policy, owner_mode(options), e))
        return -1;
    if (sev_policy_api_major((u32)policy) > SEV_API_MAJOR_MAX)
        return error_set(e, ERROR_USAGE,
                         "--policy 0x%llx: asks for firmware of API %u.%u or later, which there is "
                         "not; the policy of an SNP guest (0x30000) is another",
                         (unsigned long long)policy, sev_policy_api_major((u32)policy),
                         sev_policy_api_minor((u32)policy));
    *out = (u32)policy;
    return 0;
}
