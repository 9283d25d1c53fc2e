/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that uses /dev/sev in any way: the input is a script of records over a small memory of
 * its own.
 *
 *   FFh a16 n8       n bytes follow, written at address a of the program's memory
 *   FEh              SEV_ISSUE_CMD's argument is where the program has no memory
 *   FDh r32          an ioctl with another number
 *   c f n8           command c (of 16) with n bytes as its structure. f: 1 the descriptor may
 * write; 2 pointers in the structure lead into the program's memory; 4 the structure is where there
 * is none
 *
 * What must hold: an errno or success; a descriptor that may not write changes nothing; SNP stays
 * as it was.
 */
#include "abi/snp.h"
#include "base/bytes.h"
#include "door/sev.h"
#include "hypervisor/psp.h"
#include "hypervisor/vm.h"
#include "key_store.h"
#include "machine/machine.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define BASE        0x10000ull
#define MEMORY_SIZE 0x10000u
#define USER        (BASE + 0x100)
#define FIRST       (BASE + 0x1000)
#define SECOND      (BASE + 0x6000)
#define ISSUE       0xc0105300u
#define NONE        0xaaaaaaaau
#define CALLS_MAX   24u
#define ENOTSUPP    524 /* Linux's own */

#define FLAG_WRITABLE 1u
#define FLAG_POINTERS 2u
#define FLAG_NOWHERE  4u

struct program {
    u8 memory[MEMORY_SIZE];
    struct hypervisor *hv;
    struct door_file file;
    struct door_caller caller;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool caller_read(void *context, u64 address, void *out, size_t size)
{
    const struct program *p = context;
    if (address < BASE || !range_fits(address - BASE, size, MEMORY_SIZE))
        return false;
    memcpy(out, p->memory + (address - BASE), size);
    return true;
}

static bool caller_write(void *context, u64 address, const void *data, size_t size)
{
    struct program *p = context;
    if (address < BASE || !range_fits(address - BASE, size, MEMORY_SIZE))
        return false;
    memcpy(p->memory + (address - BASE), data, size);
    return true;
}

static s64 call(struct program *p, bool writable, u32 request, u64 argument)
{
    s64 result = p->file.ioctl(p->file.context, &p->caller, writable, request, argument);
    must(result == 0 || (result < 0 && result >= -ENOTSUPP));
    return result;
}

static void issue(struct program *p, u32 command, u32 flags, struct reader *r)
{
    static const u16 writers =
        1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 6 | 1u << 11 | 1u << 12;
    u8 size = read_u8(r);
    u8 *user = p->memory + (USER - BASE), *cmd = p->memory;
    read_bytes(r, user, size);
    if (flags & FLAG_POINTERS) {
        store_le64(user + (command == 12 ? 8 : 0), FIRST);
        if (command == 5 || command == 6)
            store_le64(user + 12, SECOND);
    }
    store_le32(cmd, command);
    store_le64(cmd + 4, flags & FLAG_NOWHERE ? BASE + MEMORY_SIZE - 3 : USER);
    store_le32(cmd + 12, NONE);
    s64 result = call(p, flags & FLAG_WRITABLE, ISSUE, BASE);
    u32 error = load_le32(cmd + 12);
    must(result != -EIO || (error != SEV_STATUS_SUCCESS && error != NONE));
    must(result || error == SEV_STATUS_SUCCESS);
    if (writers >> command & 1 && !(flags & FLAG_WRITABLE))
        must(result == -EPERM && error == NONE);
}

static void step(struct program *p, struct reader *r)
{
    u8 op = read_u8(r);
    if (op == 0xff) {
        u16 address = read_u16(r);
        u8 size = read_u8(r);
        read_bytes(r, p->memory + min_u64(address, MEMORY_SIZE - 256), size);
    } else if (op == 0xfe) {
        must(call(p, true, ISSUE, BASE + MEMORY_SIZE - 15) == -EFAULT);
    } else if (op == 0xfd) {
        u32 request = read_u32(r);
        if (request != ISSUE)
            must(call(p, true, request, BASE) == -EINVAL);
    } else {
        u8 flags = read_u8(r);
        issue(p, op % 16, flags, r);
    }
}

static struct hypervisor *make_platform(void)
{
    struct error e = {.code = ERROR_NONE};
    struct machine_config config = {.memory_size = MIB(16),
                                    .cores = 1,
                                    .crypto = crypto_create("fuzz", 4),
                                    .store = first_keys,
                                    .fuses = {1}};
    struct machine *machine = machine_create(&config, &e);
    must(machine);
    return hypervisor_create(machine_host(machine), &e);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    /* Made once, and on and off for each script: memory and keys take longer than all the rest. */
    static struct hypervisor *hv;
    struct error e = {.code = ERROR_NONE};
    struct reader r = reader_of(data, size);
    struct program *p = calloc(1, sizeof *p);
    if (!hv)
        hv = make_platform();
    must(p && hv);
    p->hv = hv;
    struct sev_door *door = sev_door_create(hv, true, &e);
    must(door);
    p->file = sev_door_file(door);
    p->caller = (struct door_caller){caller_read, caller_write, p};
    for (u32 i = 0; i < CALLS_MAX && reader_left(&r); i++)
        step(p, &r);
    struct snp_platform_status status;
    must(psp_snp_status(hv, &status) == SEV_STATUS_SUCCESS && status.state == SNP_PSTATE_INIT);
    sev_door_destroy(door);
    free(p);
    return 0;
}
