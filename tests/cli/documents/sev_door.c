/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/sev: every command on a platform with SNP and on one without, with descriptors that may
 * write and that may not, with good and bad pointers and lengths. The tables are typed from the
 * specification pages [sev 4.3, 4.4, 9.1; snp 3.3, 10.2], not from the code.
 */
#include "abi/sev_cert.h"
#include "abi/snp.h"
#include "door/sev.h"
#include "hypervisor/psp.h"
#include "hypervisor/vm.h"
#include "machine/machine.h"
#include "protocol/protocol.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define ISSUE 0xc0105300u

enum {
    FACTORY_RESET,
    PLATFORM_STATUS,
    PEK_GEN,
    PEK_CSR,
    PDH_GEN,
    PDH_CERT_EXPORT,
    PEK_CERT_IMPORT,
    GET_ID,
    GET_ID2,
    SNP_PLATFORM_STATUS,
    SNP_COMMIT,
    SNP_SET_CONFIG,
    SNP_VLEK_LOAD,
};

/* The program's memory: 64 KiB at an address. */
#define BASE    0x7f0000000000ull
#define SIZE    0x10000u
#define CMD     BASE            /* what the ioctl points at */
#define USER    (BASE + 0x100)  /* what that points at */
#define FIRST   (BASE + 0x1000) /* what that points at */
#define SECOND  (BASE + 0x6000)
#define OUTSIDE (BASE + SIZE)
#define NONE    0xaaaaaaaau /* error as it was handed in: the firmware was not asked */

struct rig {
    struct crypto *crypto;
    struct machine *machine;
    struct hypervisor *hv;
    struct sev_door *door;
    struct door_file file;
    struct door_caller caller;
    u8 memory[SIZE];
    u8 store[FIRMWARE_STORE_MAX];
    size_t store_size;
    u32 error; /* of the last ioctl */
};

static enum firmware_store_answer store_load(void *context, void *out, size_t size, size_t *got)
{
    const struct rig *r = context;
    (void)size;
    memcpy(out, r->store, r->store_size);
    *got = r->store_size;
    return r->store_size ? FIRMWARE_STORE_LOADED : FIRMWARE_STORE_ABSENT;
}

static bool store_save(void *context, const void *data, size_t size)
{
    struct rig *r = context;
    if (size)
        memcpy(r->store, data, size);
    r->store_size = size;
    return true;
}

static bool caller_read(void *context, u64 address, void *out, size_t size)
{
    const struct rig *r = context;
    if (address < BASE || !range_fits(address - BASE, size, SIZE))
        return false;
    memcpy(out, r->memory + (address - BASE), size);
    return true;
}

static bool caller_write(void *context, u64 address, const void *data, size_t size)
{
    struct rig *r = context;
    if (address < BASE || !range_fits(address - BASE, size, SIZE))
        return false;
    memcpy(r->memory + (address - BASE), data, size);
    return true;
}

static void power_on(struct rig *r)
{
    struct error e = {.code = ERROR_NONE};
    struct machine_config config = {
        .memory_size = MIB(32),
        .cores = 1,
        .crypto = r->crypto,
        .store = {store_load, store_save, r},
        .fuses = {1, 2, 3},
    };
    r->machine = machine_create(&config, &e);
    assert_non_null(r->machine);
    r->hv = hypervisor_create(machine_host(r->machine), &e);
    assert_non_null(r->hv);
}

static void power_off(struct rig *r)
{
    sev_door_destroy(r->door);
    hypervisor_destroy(r->hv);
    machine_destroy(r->machine);
}

static void open_door(struct rig *r, bool snp)
{
    struct error e = {.code = ERROR_NONE};
    r->door = sev_door_create(r->hv, snp, &e);
    assert_non_null(r->door);
    r->file = sev_door_file(r->door);
}

static struct rig *make(bool snp)
{
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->crypto = crypto_create("door", 4);
    r->caller = (struct door_caller){caller_read, caller_write, r};
    power_on(r);
    open_door(r, snp);
    return r;
}

static void drop(struct rig *r)
{
    power_off(r);
    crypto_destroy(r->crypto);
    free(r);
}

static u8 *at(struct rig *r, u64 address)
{
    return r->memory + (address - BASE);
}

static s64 issue(struct rig *r, u32 command, bool writable, u64 data)
{
    store_le32(at(r, CMD), command);
    store_le64(at(r, CMD) + 4, data);
    store_le32(at(r, CMD) + 12, NONE);
    s64 result = r->file.ioctl(r->file.context, &r->caller, writable, ISSUE, CMD);
    r->error = load_le32(at(r, CMD) + 12);
    assert_int_equal(load_le32(at(r, CMD)), command);
    return result;
}

static void put_blob(struct rig *r, u32 index, u64 address, u32 length)
{
    store_le64(at(r, USER) + 12 * index, address);
    store_le32(at(r, USER) + 12 * index + 8, length);
}

static u32 length_of(struct rig *r, u32 index)
{
    return load_le32(at(r, USER) + 12 * index + 8);
}

static u32 state_of(struct rig *r)
{
    assert_int_equal(issue(r, PLATFORM_STATUS, false, USER), 0);
    return at(r, USER)[2];
}

/* --- Tables ----------------------------------------------------------------------------------- */

struct row {
    u32 command;
    bool writable;
    u64 data;
    s64 result;
    u32 error;
};

static void check_rows(struct rig *r, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        memset(r->memory, 0, sizeof r->memory);
        s64 result = issue(r, rows[i].command, rows[i].writable, rows[i].data);
        if (result != rows[i].result || r->error != rows[i].error)
            fail_msg("row %zu, command %u: %lld, error %xh", i, rows[i].command, (long long)result,
                     r->error);
    }
}

// clang-format off
/* `data` points at zeros. The platform is initialised, with SNP. */
static const struct row rows_any[] = {
    {PLATFORM_STATUS,     false, USER,    0,       SEV_STATUS_SUCCESS},
    {PDH_CERT_EXPORT,     false, USER,    -EIO,    SEV_STATUS_INVALID_LENGTH}, /* a query */
    {GET_ID,              false, USER,    0,       SEV_STATUS_SUCCESS},
    {GET_ID2,             false, USER,    -EIO,    SEV_STATUS_INVALID_LENGTH},
    {SNP_PLATFORM_STATUS, false, USER,    0,       SEV_STATUS_SUCCESS},
    {SNP_COMMIT,          false, 0,       0,       SEV_STATUS_SUCCESS},
    /* need a descriptor that may write */
    {FACTORY_RESET,       false, 0,       -EPERM,  NONE},
    {PEK_GEN,             false, 0,       -EPERM,  NONE},
    {PEK_CSR,             false, USER,    -EPERM,  NONE},
    {PDH_GEN,             false, 0,       -EPERM,  NONE},
    {PEK_CERT_IMPORT,     false, USER,    -EPERM,  NONE},
    {SNP_SET_CONFIG,      false, USER,    -EPERM,  NONE},
    {SNP_VLEK_LOAD,       false, USER,    -EPERM,  NONE},
    {PEK_CSR,             true,  USER,    -EIO,    SEV_STATUS_INVALID_LENGTH},
    {PEK_CERT_IMPORT,     true,  USER,    -EINVAL, NONE}, /* no certificates */
    {SNP_SET_CONFIG,      true,  USER,    0,       SEV_STATUS_SUCCESS}, /* back to committed */
    {SNP_VLEK_LOAD,       true,  USER,    -EINVAL, NONE}, /* len is not 16 */
    {PEK_GEN,             true,  0,       0,       SEV_STATUS_SUCCESS},
    {PDH_GEN,             true,  0,       0,       SEV_STATUS_SUCCESS},
    /* no memory there */
    {PLATFORM_STATUS,     true,  0,       -EFAULT, SEV_STATUS_SUCCESS},
    {PEK_CSR,             true,  0,       -EFAULT, NONE},
    {PDH_CERT_EXPORT,     true,  0,       -EFAULT, NONE},
    {PEK_CERT_IMPORT,     true,  OUTSIDE, -EFAULT, NONE},
    {GET_ID,              true,  OUTSIDE, -EFAULT, SEV_STATUS_SUCCESS},
    {GET_ID2,             true,  OUTSIDE, -EFAULT, NONE},
    {SNP_PLATFORM_STATUS, true,  OUTSIDE, -EFAULT, SEV_STATUS_SUCCESS},
    {SNP_PLATFORM_STATUS, true,  0,       -EINVAL, NONE},
    {SNP_SET_CONFIG,      true,  0,       -EINVAL, NONE},
    {SNP_SET_CONFIG,      true,  OUTSIDE, -EFAULT, NONE},
    {SNP_VLEK_LOAD,       true,  0,       -EINVAL, NONE},
    {SNP_VLEK_LOAD,       true,  OUTSIDE, -EFAULT, NONE},
    /* no such command */
    {13,                  true,  USER,    -EINVAL, NONE},
    {0xffffffff,          true,  USER,    -EINVAL, NONE},
};

/* Without SNP: two commands are passed to the firmware all the same, two are not. */
static const struct row rows_without_snp[] = {
    {PLATFORM_STATUS,     false, USER,    0,       SEV_STATUS_SUCCESS},
    {SNP_PLATFORM_STATUS, false, USER,    0,       SEV_STATUS_SUCCESS},
    {SNP_COMMIT,          false, 0,       0,       SEV_STATUS_SUCCESS},
    {SNP_SET_CONFIG,      true,  USER,    -ENODEV, NONE},
    {SNP_SET_CONFIG,      false, USER,    -ENODEV, NONE},
    {SNP_VLEK_LOAD,       true,  USER,    -ENODEV, NONE},
};
// clang-format on

static void every_command_has_its_errno(void **state)
{
    (void)state;
    struct rig *r = make(true);
    check_rows(r, rows_any, ARRAY_SIZE(rows_any));
    assert_int_equal(state_of(r), SEV_PSTATE_INIT);
    drop(r);
}

static void without_snp(void **state)
{
    (void)state;
    struct rig *r = make(false);
    check_rows(r, rows_without_snp, ARRAY_SIZE(rows_without_snp));
    drop(r);
}

static void other_ioctls(void **state)
{
    (void)state;
    struct rig *r = make(true);
    assert_int_equal(r->file.ioctl(r->file.context, &r->caller, true, 0xc0205300, CMD), -EINVAL);
    assert_int_equal(r->file.ioctl(r->file.context, &r->caller, true, 0x5301, CMD), -EINVAL);
    assert_int_equal(r->file.ioctl(r->file.context, &r->caller, true, ISSUE, 0), -EFAULT);
    assert_int_equal(r->file.ioctl(r->file.context, &r->caller, true, ISSUE, OUTSIDE - 15),
                     -EFAULT);
    assert_int_equal(r->file.ioctl(r->file.context, &r->caller, true, ISSUE, ~0ull - 3), -EFAULT);
    drop(r);
}

/* --- Lengths ---------------------------------------------------------------------------------- */

static void one_blob(void **state)
{
    (void)state;
    static const struct {
        u32 command, needed;
        u64 address;
        u32 length;
        s64 result;
        u32 error;
    } rows[] = {
        {PEK_CSR, SEV_CERT_SIZE, 0, SEV_CERT_SIZE, -EIO, SEV_STATUS_INVALID_LENGTH},
        {PEK_CSR, SEV_CERT_SIZE, FIRST, 0, -EIO, SEV_STATUS_INVALID_LENGTH},
        {PEK_CSR, SEV_CERT_SIZE, FIRST, SEV_CERT_SIZE - 1, -EIO, SEV_STATUS_INVALID_LENGTH},
        {PEK_CSR, SEV_CERT_SIZE, FIRST, SEV_CERT_SIZE, 0, SEV_STATUS_SUCCESS},
        {PEK_CSR, SEV_CERT_SIZE, FIRST, 0x4000, 0, SEV_STATUS_SUCCESS},
        {PEK_CSR, 0x4001, FIRST, 0x4001, -EFAULT, NONE},
        {PEK_CSR, SEV_CERT_SIZE, OUTSIDE - SEV_CERT_SIZE + 1, SEV_CERT_SIZE, -EFAULT,
         SEV_STATUS_SUCCESS},
        {GET_ID2, 64, FIRST, 63, -EIO, SEV_STATUS_INVALID_LENGTH},
        {GET_ID2, 64, FIRST, 64, 0, SEV_STATUS_SUCCESS},
        {GET_ID2, 64, FIRST, 0x400000, 0, SEV_STATUS_SUCCESS},
        {GET_ID2, 0x400001, FIRST, 0x400001, -ENOMEM, NONE},
        {GET_ID2, 64, OUTSIDE, 64, -EFAULT, SEV_STATUS_SUCCESS},
    };
    struct rig *r = make(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        memset(r->memory, 0x55, sizeof r->memory);
        put_blob(r, 0, rows[i].address, rows[i].length);
        s64 result = issue(r, rows[i].command, true, USER);
        if (result != rows[i].result || r->error != rows[i].error ||
            length_of(r, 0) != rows[i].needed)
            fail_msg("row %zu: %lld, error %xh, length %u", i, (long long)result, r->error,
                     length_of(r, 0));
        /* A refused command writes no blob, an allowed one no more than that. */
        assert_int_equal(at(r, FIRST)[result ? 0 : rows[i].needed], 0x55);
        assert_true(result || at(r, FIRST)[0] != 0x55 || at(r, FIRST)[1] != 0x55);
    }
    drop(r);
}

static void export(struct rig *r, u32 pdh, u32 chain, s64 result)
{
    put_blob(r, 0, FIRST, pdh);
    put_blob(r, 1, SECOND, chain);
    assert_int_equal(issue(r, PDH_CERT_EXPORT, true, USER), result);
    if (result == -EIO)
        assert_int_equal(r->error, SEV_STATUS_INVALID_LENGTH);
    if (result != -EFAULT) {
        assert_int_equal(length_of(r, 0), SEV_CERT_SIZE);
        assert_int_equal(length_of(r, 1), SEV_CERT_CHAIN_SIZE);
    }
}

static void certificates(void **state)
{
    (void)state;
    struct rig *r = make(true);
    export(r, SEV_CERT_SIZE - 1, SEV_CERT_CHAIN_SIZE, -EIO);
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE - 1, -EIO);
    export(r, SEV_CERT_SIZE, 0, -EIO);
    export(r, 0x4001, SEV_CERT_CHAIN_SIZE, -EFAULT);
    export(r, SEV_CERT_SIZE, 0x4001, -EFAULT);
    export(r, 0x4000, 0x4000, 0);
    struct sev_platform_chain chain;
    memcpy(&chain.pdh, at(r, FIRST), sizeof chain.pdh);
    memcpy(&chain.chain, at(r, SECOND), sizeof chain.chain);
    assert_int_equal(sev_cert_verify(&chain.pdh, &chain.chain.pek), CERT_OK);
    assert_int_equal(sev_cert_verify(&chain.chain.pek, &chain.chain.oca), CERT_OK);
    assert_int_equal(sev_cert_verify(&chain.chain.pek, &chain.chain.cek), CERT_OK);
    drop(r);
}

/* --- An owner takes the platform -------------------------------------------------------------- */

static s64 import(struct rig *r, const struct sev_cert *pek, u32 pek_size,
                  const struct sev_cert *oca, u32 oca_size)
{
    memcpy(at(r, FIRST), pek, sizeof *pek);
    memcpy(at(r, SECOND), oca, sizeof *oca);
    put_blob(r, 0, FIRST, pek_size);
    put_blob(r, 1, SECOND, oca_size);
    return issue(r, PEK_CERT_IMPORT, true, USER);
}

static void ownership(void **state)
{
    (void)state;
    struct rig *r = make(true);
    struct sev_cert pek, oca;
    struct ec_private key;
    put_blob(r, 0, FIRST, SEV_CERT_SIZE);
    assert_int_equal(issue(r, PEK_CSR, true, USER), 0);
    memcpy(&pek, at(r, FIRST), sizeof pek);
    assert_true(crypto_ec_generate(r->crypto, &key));
    sev_cert_init(&oca, SEV_USAGE_OCA, SEV_ALGORITHM_ECDSA_SHA256, 0, 0, &key.public);
    assert_true(sev_cert_sign(r->crypto, &oca, 0, SEV_USAGE_OCA, &key));
    assert_int_equal(import(r, &pek, SEV_CERT_SIZE, &oca, SEV_CERT_SIZE), -EIO);
    assert_int_equal(r->error, SEV_STATUS_BAD_SIGNATURE);
    assert_true(sev_cert_sign(r->crypto, &pek, 0, SEV_USAGE_OCA, &key));
    assert_int_equal(import(r, &pek, SEV_CERT_SIZE - 1, &oca, SEV_CERT_SIZE), -EIO);
    assert_int_equal(r->error, SEV_STATUS_INVALID_LENGTH);
    assert_int_equal(import(r, &pek, SEV_CERT_SIZE, &oca, 0x4000), -EIO);
    assert_int_equal(r->error, SEV_STATUS_INVALID_LENGTH);
    assert_int_equal(import(r, &pek, SEV_CERT_SIZE, &oca, 0x4001), -EINVAL);
    assert_int_equal(import(r, &oca, SEV_CERT_SIZE, &oca, SEV_CERT_SIZE), -EIO);
    assert_int_equal(r->error, SEV_STATUS_INVALID_CERTIFICATE);
    assert_int_equal(import(r, &pek, SEV_CERT_SIZE, &oca, SEV_CERT_SIZE), 0);
    assert_int_equal(issue(r, PLATFORM_STATUS, false, USER), 0);
    assert_int_equal(at(r, USER)[3], 1); /* owned */
    assert_int_equal(import(r, &pek, SEV_CERT_SIZE, &oca, SEV_CERT_SIZE), -EIO);
    assert_int_equal(r->error, SEV_STATUS_ALREADY_OWNED);
    drop(r);
}

/* --- The driver initialises for a command and shuts down again -------------------------------- */

static void borrowed(void **state)
{
    (void)state;
    struct rig *r = make(true);
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
    u8 pdh[64];
    memcpy(pdh, at(r, FIRST) + 0x14, sizeof pdh);
    assert_int_equal(issue(r, FACTORY_RESET, true, 0), 0);
    assert_int_equal(r->error, SEV_STATUS_SUCCESS);
    assert_int_equal(state_of(r), SEV_PSTATE_UNINIT);
    assert_int_equal(issue(r, FACTORY_RESET, true, 0), 0);
    /* Who may not write may not have it initialised. */
    assert_int_equal(issue(r, PDH_CERT_EXPORT, false, USER), -EPERM);
    assert_int_equal(r->error, NONE);
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
    assert_memory_not_equal(pdh, at(r, FIRST) + 0x14, sizeof pdh);
    memcpy(pdh, at(r, FIRST) + 0x14, sizeof pdh);
    assert_int_equal(state_of(r), SEV_PSTATE_UNINIT);
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
    assert_memory_equal(pdh, at(r, FIRST) + 0x14, sizeof pdh);
    static const u32 commands[] = {PEK_GEN, PDH_GEN};
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        assert_int_equal(issue(r, commands[i], true, 0), 0);
        assert_int_equal(state_of(r), SEV_PSTATE_UNINIT);
        export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
        assert_memory_not_equal(pdh, at(r, FIRST) + 0x14, sizeof pdh);
        memcpy(pdh, at(r, FIRST) + 0x14, sizeof pdh);
    }
    put_blob(r, 0, FIRST, SEV_CERT_SIZE);
    assert_int_equal(issue(r, PEK_CSR, true, USER), 0);
    assert_int_equal(state_of(r), SEV_PSTATE_UNINIT);
    /* SNP has stayed as it was all the time. */
    assert_int_equal(issue(r, SNP_PLATFORM_STATUS, false, USER), 0);
    assert_int_equal(at(r, USER)[2], SNP_PSTATE_INIT);
    drop(r);
}

/* With a guest the firmware is in WORKING, and the driver counts that as initialised. */
static void with_a_guest(void **state)
{
    (void)state;
    struct rig *r = make(true);
    struct sev_start start = {.policy = 1};
    assert_int_equal(psp_command(r->hv, SEV_CMD_LAUNCH_START, &start, sizeof start),
                     SEV_STATUS_SUCCESS);
    assert_int_equal(state_of(r), SEV_PSTATE_WORKING);
    assert_int_equal(load_le32(at(r, USER) + 8), 1);
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
    assert_int_equal(issue(r, PDH_GEN, true, 0), 0);
    assert_int_equal(issue(r, FACTORY_RESET, true, 0), -EBUSY);
    assert_int_equal(issue(r, PEK_GEN, true, 0), -EIO);
    assert_int_equal(r->error, SEV_STATUS_INVALID_PLATFORM_STATE);
    memset(at(r, FIRST), 1, SEV_CERT_SIZE);
    put_blob(r, 0, FIRST, SEV_CERT_SIZE);
    put_blob(r, 1, FIRST, SEV_CERT_SIZE);
    assert_int_equal(issue(r, PEK_CERT_IMPORT, true, USER), -EIO);
    assert_int_equal(r->error, SEV_STATUS_INVALID_PLATFORM_STATE);
    assert_int_equal(state_of(r), SEV_PSTATE_WORKING);
    struct sev_handle guest = {start.handle};
    assert_int_equal(psp_command(r->hv, SEV_CMD_DECOMMISSION, &guest, sizeof guest),
                     SEV_STATUS_SUCCESS);
    assert_int_equal(state_of(r), SEV_PSTATE_INIT);
    drop(r);
}

/* Off and on again: what the platform keeps is what it was. */
static void kept(void **state)
{
    (void)state;
    struct rig *r = make(true);
    u8 pdh[64];
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
    memcpy(pdh, at(r, FIRST) + 0x14, sizeof pdh);
    power_off(r);
    power_on(r);
    open_door(r, true);
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
    assert_memory_equal(pdh, at(r, FIRST) + 0x14, sizeof pdh);
    power_off(r);
    /* A store that was damaged is left alone, although the driver tries INIT twice. */
    struct error e = {.code = ERROR_NONE};
    r->store[r->store_size - 1] ^= 1;
    power_on(r);
    r->door = sev_door_create(r->hv, true, &e);
    assert_null(r->door);
    assert_int_equal(e.code, ERROR_STATE);
    power_off(r);
    r->store[r->store_size - 1] ^= 1;
    power_on(r);
    open_door(r, true);
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
    assert_memory_equal(pdh, at(r, FIRST) + 0x14, sizeof pdh);
    drop(r);
}

/* The driver is unloaded and loaded again; the machine stays on, with SYSCFG and the RMP's place
 * locked. */
static void loaded_again(void **state)
{
    (void)state;
    struct rig *r = make(true);
    sev_door_destroy(r->door);
    open_door(r, true);
    assert_int_equal(issue(r, SNP_PLATFORM_STATUS, false, USER), 0);
    assert_int_equal(at(r, USER)[2], SNP_PSTATE_INIT);
    export(r, SEV_CERT_SIZE, SEV_CERT_CHAIN_SIZE, 0);
    drop(r);
}

/* --- SNP -------------------------------------------------------------------------------------- */

static void snp_configuration(void **state)
{
    (void)state;
    struct rig *r = make(true);
    struct snp_platform_status before, after;
    assert_int_equal(issue(r, SNP_PLATFORM_STATUS, false, USER), 0);
    memcpy(&before, at(r, USER), sizeof before);
    assert_int_equal(before.state, SNP_PSTATE_INIT);
    assert_int_equal(before.reported_tcb, before.current_tcb);
    struct snp_config config = {.reported_tcb = before.current_tcb - (1ull << 56),
                                .flags = SNP_CONFIG_MASK_CHIP_ID};
    memcpy(at(r, USER), &config, sizeof config);
    assert_int_equal(issue(r, SNP_SET_CONFIG, true, USER), 0);
    assert_int_equal(issue(r, SNP_PLATFORM_STATUS, false, USER), 0);
    memcpy(&after, at(r, USER), sizeof after);
    assert_int_equal(after.reported_tcb, config.reported_tcb);
    assert_int_equal(after.flags_08 & SNP_STATUS_MASK_CHIP_ID, SNP_STATUS_MASK_CHIP_ID);
    assert_int_equal(issue(r, SNP_COMMIT, false, 0), 0);
    assert_int_equal(issue(r, SNP_PLATFORM_STATUS, false, USER), 0);
    memcpy(&after, at(r, USER), sizeof after);
    assert_int_equal(after.reported_tcb, before.current_tcb);
    config.reported_tcb = before.current_tcb + (1ull << 56); /* above what is committed */
    memcpy(at(r, USER), &config, sizeof config);
    assert_int_equal(issue(r, SNP_SET_CONFIG, true, USER), -EIO);
    assert_int_equal(r->error, SEV_STATUS_INVALID_PARAM);
    config = (struct snp_config){.reserved_0c = {1}};
    memcpy(at(r, USER), &config, sizeof config);
    assert_int_equal(issue(r, SNP_SET_CONFIG, true, USER), -EIO);
    assert_int_equal(r->error, SEV_STATUS_INVALID_PARAM);
    drop(r);
}

static void snp_vlek(void **state)
{
    (void)state;
    static const struct {
        struct snp_vlek_load load;
        s64 result;
        u32 error;
    } rows[] = {
        {{.len = 15, .paddr = FIRST}, -EINVAL, NONE},
        {{.len = 16, .wrapped_version = 1, .paddr = FIRST}, -EINVAL, NONE},
        {{.len = 16, .paddr = 0}, -EINVAL, NONE},
        {{.len = 16, .paddr = OUTSIDE - 431}, -EFAULT, NONE},
        {{.len = 16, .paddr = FIRST}, -EIO, SEV_STATUS_BAD_MEASUREMENT},
    };
    struct rig *r = make(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        memcpy(at(r, USER), &rows[i].load, sizeof rows[i].load);
        assert_int_equal(issue(r, SNP_VLEK_LOAD, true, USER), rows[i].result);
        assert_int_equal(r->error, rows[i].error);
    }
    drop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_its_errno),
        cmocka_unit_test(without_snp),
        cmocka_unit_test(other_ioctls),
        cmocka_unit_test(one_blob),
        cmocka_unit_test(certificates),
        cmocka_unit_test(ownership),
        cmocka_unit_test(borrowed),
        cmocka_unit_test(with_a_guest),
        cmocka_unit_test(kept),
        cmocka_unit_test(loaded_again),
        cmocka_unit_test(snp_configuration),
        cmocka_unit_test(snp_vlek),
    };
    return cmocka_run_group_tests_name("sev_door", tests, NULL, NULL);
}
