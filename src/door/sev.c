/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/sev as Linux's driver has it. The driver's own part is small: permissions, the commands for
 * which it initialises the platform and shuts it down again, lengths, and errno. Everything else is
 * the firmware's answer, which is passed on with EIO [sev 9.1, snp 10.2].
 */
#include "door/sev.h"

#include "abi/sev_cert.h"
#include "abi/snp.h"
#include "hypervisor/psp.h"
#include "hypervisor/vm.h"

#include <errno.h>
#include <stdlib.h>

#define SEV_ISSUE_CMD  0xc0105300u
#define BLOB_MAX       0x4000u /* the driver's limit of what it copies in or out */
#define ALLOCATION_MAX MIB(4)  /* what Linux's page allocator has in one piece */
#define LINUX_ENOTSUPP 524     /* has no name outside the kernel */

/* Commands of SEV_ISSUE_CMD. */
enum {
    SEV_FACTORY_RESET,
    SEV_PLATFORM_STATUS,
    SEV_PEK_GEN,
    SEV_PEK_CSR,
    SEV_PDH_GEN,
    SEV_PDH_CERT_EXPORT,
    SEV_PEK_CERT_IMPORT,
    SEV_GET_ID, /* deprecated */
    SEV_GET_ID2,
    SNP_PLATFORM_STATUS,
    SNP_COMMIT,
    SNP_SET_CONFIG,
    SNP_VLEK_LOAD,
};

/* The places of a command's buffers in the mailbox's data. Data that is longer than its place is
 * longer than any certificate. */
#define AT_FIRST    0u
#define AT_SECOND   (3 * PAGE_SIZE)
#define FIRST_SIZE  (AT_SECOND - AT_FIRST)
#define SECOND_SIZE (PSP_DATA_SIZE - AT_SECOND)

/* The structures that programs pass. Unlike the firmware's buffers, they have no padding and no
 * reserved words. */
struct SEV_PACKED issue_cmd {
    u32 cmd;
    u64 data;
    u32 error;
};
ABI_SIZE(struct issue_cmd, 16);

struct SEV_PACKED user_blob {
    u64 address;
    u32 length;
};
ABI_SIZE(struct user_blob, 12);

struct SEV_PACKED user_blobs {
    struct user_blob first, second;
};
ABI_SIZE(struct user_blobs, 24);

struct sev_door {
    struct hypervisor *hv;
    bool snp,
        /* as the driver remembers it: a platform with guests counts as initialised, too */
        initialised;
    u8 api_major, api_minor;
};

struct call {
    struct sev_door *d;
    struct door_caller *caller;
    struct issue_cmd *cmd;
    bool writable;
    bool borrowed; /* initialised for this call only */
};

/* --- Towards the firmware --------------------------------------------------------------------- */

static s64 command(struct call *c, u32 id, void *buffer, size_t size)
{
    c->cmd->error = psp_command(c->d->hv, id, buffer, size);
    return c->cmd->error == SEV_STATUS_SUCCESS ? 0 : -EIO;
}

/* Runs INIT, and once more if the store is damaged: hardware discards the store at the first INIT
 * [sev 4.3]. */
static int init(struct sev_door *d, struct error *e)
{
    struct error first = {.code = ERROR_NONE};
    int result = platform_init_es(d->hv, &first);
    if (result && first.code == ERROR_STATE) {
        first = (struct error){.code = ERROR_NONE};
        result = platform_init_es(d->hv, &first);
    }
    if (result)
        *e = first;
    d->initialised = !result;
    return result;
}

/* Initialises the platform for a single command that needs it. */
static s64 borrow(struct call *c)
{
    struct error e;
    if (c->d->initialised)
        return 0;
    if (init(c->d, &e)) {
        c->cmd->error = SEV_STATUS_INVALID_PLATFORM_STATE;
        return -EIO;
    }
    c->borrowed = true;
    return 0;
}

static void give_back(struct call *c)
{
    struct error e = {.code = ERROR_NONE};
    if (c->borrowed && platform_shutdown_sev(c->d->hv, &e) == 0)
        c->d->initialised = false;
}

static bool read_user(struct call *c, void *out, size_t size)
{
    return door_read(c->caller, c->cmd->data, out, size);
}

static bool write_user(struct call *c, const void *data, size_t size)
{
    return door_write(c->caller, c->cmd->data, data, size);
}

/* Copies to the program what the firmware has written at a place. */
static bool write_blob(struct call *c, size_t at, u64 address, u32 length)
{
    u8 blob[SECOND_SIZE];
    return length <= sizeof blob && psp_data_read(c->d->hv, at, blob, length) &&
           door_write(c->caller, address, blob, length);
}

/* Copies from the program as much as has room: the firmware refuses a larger length anyway. */
static s64 read_blob(struct call *c, const struct user_blob *user, size_t at, size_t room)
{
    u8 blob[BLOB_MAX];
    if (!user->address || !user->length || user->length > sizeof blob)
        return -EINVAL;
    if (!door_read(c->caller, user->address, blob, user->length))
        return -EFAULT;
    psp_data_write(c->d->hv, at, blob, min_u64(user->length, room));
    return 0;
}

/* --- Commands --------------------------------------------------------------------------------- */

static s64 factory_reset(struct call *c)
{
    struct sev_platform_status status = {0};
    struct error e = {.code = ERROR_NONE};
    s64 result = command(c, SEV_CMD_PLATFORM_STATUS, &status, sizeof status);
    if (result)
        return result;
    if (status.state == SEV_PSTATE_WORKING)
        return -EBUSY;
    if (status.state == SEV_PSTATE_INIT && platform_shutdown_sev(c->d->hv, &e))
        return -EIO;
    c->d->initialised = false;
    return command(c, SEV_CMD_PLATFORM_RESET, NULL, 0);
}

static s64 platform_status(struct call *c)
{
    struct sev_platform_status status = {0};
    s64 result = command(c, SEV_CMD_PLATFORM_STATUS, &status, sizeof status);
    return result || write_user(c, &status, sizeof status) ? result : -EFAULT;
}

static s64 generate(struct call *c)
{
    s64 result = borrow(c);
    return result ? result
                  : command(c, c->cmd->cmd == SEV_PEK_GEN ? SEV_CMD_PEK_GEN : SEV_CMD_PDH_GEN, NULL,
                            0);
}

/* Runs a command that returns one blob or its length: PEK_CSR or GET_ID2. */
static s64 one_blob(struct call *c, u32 id, struct user_blob *user)
{
    bool wanted = user->address && user->length;
    struct sev_buffer buffer = {.paddr = wanted ? psp_data(c->d->hv, AT_FIRST) : 0,
                                .len = wanted ? (u32)min_u64(user->length, FIRST_SIZE) : 0};
    s64 result = command(c, id, &buffer, sizeof buffer);
    user->length = buffer.len;
    if (!write_user(c, user, sizeof *user))
        return -EFAULT;
    if (!result && wanted && !write_blob(c, AT_FIRST, user->address, buffer.len))
        return -EFAULT;
    return result;
}

static s64 pek_csr(struct call *c)
{
    struct user_blob user;
    if (!read_user(c, &user, sizeof user))
        return -EFAULT;
    if (user.address && user.length > BLOB_MAX)
        return -EFAULT;
    s64 result = borrow(c);
    return result ? result : one_blob(c, SEV_CMD_PEK_CSR, &user);
}

static s64 pdh_cert_export(struct call *c)
{
    struct user_blobs user;
    if (!c->d->initialised && !c->writable)
        return -EPERM;
    s64 result = borrow(c);
    if (result)
        return result;
    if (!read_user(c, &user, sizeof user))
        return -EFAULT;
    bool wanted = user.first.address && user.first.length && user.second.address;
    if (wanted && (user.first.length > BLOB_MAX || user.second.length > BLOB_MAX))
        return -EFAULT;
    struct sev_pdh_cert_export export = {0};
    if (wanted)
        export = (struct sev_pdh_cert_export){
            .pdh_paddr = psp_data(c->d->hv, AT_FIRST),
            .pdh_len = (u32)min_u64(user.first.length, FIRST_SIZE),
            .chain_paddr = psp_data(c->d->hv, AT_SECOND),
            .chain_len = (u32)min_u64(user.second.length, SECOND_SIZE),
        };
    result = command(c, SEV_CMD_PDH_CERT_EXPORT, &export, sizeof export);
    user.first.length = export.pdh_len;
    user.second.length = export.chain_len;
    if (!write_user(c, &user, sizeof user))
        return -EFAULT;
    if (!result && wanted &&
        (!write_blob(c, AT_FIRST, user.first.address, export.pdh_len) ||
         !write_blob(c, AT_SECOND, user.second.address, export.chain_len)))
        return -EFAULT;
    return result;
}

static s64 pek_cert_import(struct call *c)
{
    struct user_blobs user;
    if (!read_user(c, &user, sizeof user))
        return -EFAULT;
    s64 result = read_blob(c, &user.first, AT_FIRST, FIRST_SIZE);
    if (!result)
        result = read_blob(c, &user.second, AT_SECOND, SECOND_SIZE);
    if (!result)
        result = borrow(c);
    if (result)
        return result;
    struct sev_pek_cert_import import = {.pek_paddr = psp_data(c->d->hv, AT_FIRST),
                                         .pek_len = user.first.length,
                                         .oca_paddr = psp_data(c->d->hv, AT_SECOND),
                                         .oca_len = user.second.length};
    return command(c, SEV_CMD_PEK_CERT_IMPORT, &import, sizeof import);
}

static bool has_get_id(const struct sev_door *d)
{
    return d->api_major || d->api_minor >= 16;
}

/* Runs GET_ID in its deprecated form, which has room for two sockets. Fills in those that exist. */
static s64 get_id(struct call *c)
{
    struct sev_buffer buffer = {.paddr = psp_data(c->d->hv, AT_FIRST), .len = 2 * SEV_CHIP_ID_SIZE};
    if (!has_get_id(c->d))
        return -LINUX_ENOTSUPP;
    s64 result = command(c, SEV_CMD_GET_ID, &buffer, sizeof buffer);
    return result || write_blob(c, AT_FIRST, c->cmd->data, buffer.len) ? result : -EFAULT;
}

static s64 get_id2(struct call *c)
{
    struct user_blob user;
    if (!has_get_id(c->d))
        return -LINUX_ENOTSUPP;
    if (!read_user(c, &user, sizeof user))
        return -EFAULT;
    if (user.address && user.length > ALLOCATION_MAX)
        return -ENOMEM;
    return one_blob(c, SEV_CMD_GET_ID, &user);
}

static s64 snp_platform_status(struct call *c)
{
    struct snp_platform_status status;
    if (!c->cmd->data)
        return -EINVAL;
    c->cmd->error = psp_snp_status(c->d->hv, &status);
    if (c->cmd->error != SEV_STATUS_SUCCESS)
        return -EIO;
    return write_user(c, &status, sizeof status) ? 0 : -EFAULT;
}

static s64 snp_commit(struct call *c)
{
    struct snp_commit commit = {.len = sizeof commit};
    return command(c, SEV_CMD_SNP_COMMIT, &commit, sizeof commit);
}

static s64 snp_set_config(struct call *c)
{
    struct snp_config config;
    if (!c->cmd->data)
        return -EINVAL;
    if (!read_user(c, &config, sizeof config))
        return -EFAULT;
    return command(c, SEV_CMD_SNP_CONFIG, &config, sizeof config);
}

static s64 snp_vlek_load(struct call *c)
{
    struct snp_vlek_load load;
    if (!c->cmd->data)
        return -EINVAL;
    if (!read_user(c, &load, sizeof load))
        return -EFAULT;
    if (load.len != sizeof load || load.wrapped_version)
        return -EINVAL;
    struct user_blob wrapped = {load.paddr, sizeof(struct snp_wrapped_vlek)};
    s64 result = read_blob(c, &wrapped, AT_FIRST, FIRST_SIZE);
    load.paddr = psp_data(c->d->hv, AT_FIRST);
    return result ? result : command(c, SEV_CMD_SNP_VLEK_LOAD, &load, sizeof load);
}

/* --- The ioctl -------------------------------------------------------------------------------- */

// clang-format off
static const struct {
    s64 (*run)(struct call *c);
    bool write; /* only on a descriptor that is open for writing: EPERM */
    bool snp;   /* only while SNP is initialised: ENODEV */
} commands[] = {
    /*                       run                  write  snp */
    [SEV_FACTORY_RESET]    = {factory_reset,       true,  false},
    [SEV_PLATFORM_STATUS]  = {platform_status,     false, false},
    [SEV_PEK_GEN]          = {generate,            true,  false},
    [SEV_PEK_CSR]          = {pek_csr,             true,  false},
    [SEV_PDH_GEN]          = {generate,            true,  false},
    [SEV_PDH_CERT_EXPORT]  = {pdh_cert_export,     false, false},
    [SEV_PEK_CERT_IMPORT]  = {pek_cert_import,     true,  false},
    [SEV_GET_ID]           = {get_id,              false, false},
    [SEV_GET_ID2]          = {get_id2,             false, false},
    [SNP_PLATFORM_STATUS]  = {snp_platform_status, false, false},
    [SNP_COMMIT]           = {snp_commit,          false, false},
    [SNP_SET_CONFIG]       = {snp_set_config,      true,  true},
    [SNP_VLEK_LOAD]        = {snp_vlek_load,       true,  true},
};
// clang-format on

static s64 run(struct call *c)
{
    if (c->cmd->cmd >= ARRAY_SIZE(commands))
        return -EINVAL;
    if (commands[c->cmd->cmd].snp && !c->d->snp)
        return -ENODEV;
    if (commands[c->cmd->cmd].write && !c->writable)
        return -EPERM;
    s64 result = commands[c->cmd->cmd].run(c);
    give_back(c);
    return result;
}

static s64 sev_ioctl(void *context, struct door_caller *caller, bool writable, u32 request,
                     u64 argument)
{
    struct issue_cmd cmd;
    if (request != SEV_ISSUE_CMD)
        return -EINVAL;
    if (!door_read(caller, argument, &cmd, sizeof cmd))
        return -EFAULT;
    struct call c = {.d = context, .caller = caller, .cmd = &cmd, .writable = writable};
    s64 result = run(&c);
    return door_write(caller, argument, &cmd, sizeof cmd) ? result : -EFAULT;
}

/* --- The driver is loaded and unloaded -------------------------------------------------------- */

struct sev_door *sev_door_create(struct hypervisor *hv, bool snp, struct error *error)
{
    struct platform_status status;
    struct sev_door *d = calloc(1, sizeof *d);
    if (!d) {
        error_set(error, ERROR_MEMORY, "out of memory");
        return NULL;
    }
    *d = (struct sev_door){.hv = hv, .snp = snp};
    if (platform_get_status(hv, &status, error) || (snp && platform_init_snp(hv, error)) ||
        init(d, error)) {
        free(d);
        return NULL;
    }
    d->api_major = status.api_major;
    d->api_minor = status.api_minor;
    return d;
}

void sev_door_destroy(struct sev_door *d)
{
    struct error e = {.code = ERROR_NONE};
    if (d)
        platform_shutdown(d->hv, &e);
    free(d);
}

struct door_file sev_door_file(struct sev_door *d)
{
    return (struct door_file){.path = SEV_DOOR_PATH, .ioctl = sev_ioctl, .context = d};
}
