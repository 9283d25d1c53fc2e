/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile snapshot: the archive of a machine with one guest, with some of its bytes changed. What
 * is loaded is refused, or it runs for a moment; nothing leads out of bounds.
 *
 *   u8 kind: bit 0: a SEV guest; bit 1: only the chip's secrets, without their seal
 *   records of 5 bytes: u32 offset, u8 value. The offset counts modulo the archive's size or, if
 * bit 31 is set, back from its end, where the hypervisor's part is.
 */
#include "base/archive.h"

#include "../small_elf.h"
#include "crypto/crypto.h"
#include "firmware/firmware.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/host.h"
#include "machine/machine.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
/* The program's, which is not here. */
int cli_fail(const char *command, const struct error *error);

#define MEMORY      MIB(16)
#define GUEST       MIB(2)
#define ARCHIVE_MAX MIB(4)
#define RECORDS     64u
#define TAIL        12000u /* bytes of the hypervisor's part */
#define MOMENT_NS   200000ull

static const u8 key[32] = {1};

int cli_fail(const char *command, const struct error *error)
{
    (void)command;
    (void)error;
    abort();
}

struct buffer {
    u8 *data;
    size_t size, at;
};

static int put(void *context, void *data, size_t size, struct error *e)
{
    struct buffer *b = context;
    if (size > ARCHIVE_MAX - b->size)
        return error_set(e, ERROR_INTERNAL, "the archive is too large");
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

static int get(void *context, void *data, size_t size, struct error *e)
{
    struct buffer *b = context;
    if (size > b->size - b->at)
        return error_set(e, ERROR_FILE, "the end");
    memcpy(data, b->data + b->at, size);
    b->at += size;
    return 0;
}

/* --- A machine with a guest ------------------------------------------------------------------- */

struct rig {
    struct crypto *crypto;
    struct machine *machine;
    struct hypervisor *hv;
    struct image_plan *plan;
    struct vm *vm;
    struct error error;
    u8 elf[SMALL_ELF_SIZE];
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void rig_create(struct rig *r, bool sev)
{
    *r = (struct rig){.crypto = crypto_create("archive", 7)};
    must(r->crypto);
    struct machine_config machine = {
        .memory_size = MEMORY, .cores = 1, .crypto = r->crypto, .fuses = {1}};
    r->machine = machine_create(&machine, &r->error);
    must(r->machine);
    r->hv = hypervisor_create(machine_host(r->machine), &r->error);
    small_elf(r->elf, MIB(1), MIB(1), 0x1000);
    memcpy(r->elf + 0x100, "\xb0\x61\x66\xba\xf8\x03\xee\xeb\xf7", 9); /* 1: says 'a', jmp 1b */
    const struct image_description d = {.memory_size = GUEST,
                                        .cpus = 1,
                                        .mode = sev ? IMAGE_SEV : IMAGE_NONE,
                                        .kernel = {"kernel", r->elf, sizeof r->elf}};
    r->plan = image_build(&d, &r->error);
    must(r->hv && r->plan);
    const struct vm_config config = {.name = "vm", .plan = r->plan, .policy = 1, .cpus = 1};
    r->vm = vm_create(r->hv, &config, &r->error);
    must(r->vm);
}

static void rig_launch(struct rig *r, bool sev)
{
    u8 measure[48];
    must(sev ? !platform_init(r->hv, &r->error) &&
                   !vm_launch_start(r->vm, NULL, 0, NULL, 0, &r->error) &&
                   !vm_launch_update(r->vm, &r->error) &&
                   !vm_launch_measure(r->vm, measure, &r->error) &&
                   !vm_launch_finish(r->vm, &r->error)
             : !vm_load(r->vm, &r->error));
    hypervisor_run(r->hv, host_time_ns(machine_host(r->machine)) + MOMENT_NS);
    must(vm_get_state(r->vm) == VM_RUNNABLE);
}

static void rig_destroy(struct rig *r)
{
    hypervisor_destroy(r->hv);
    image_free(r->plan);
    machine_destroy(r->machine);
    crypto_destroy(r->crypto);
}

static void state_archive(struct rig *r, bool sev, bool secrets, struct archive *a)
{
    if (secrets) {
        memory_secrets_archive(machine_memory(r->machine), a);
        firmware_archive(machine_firmware(r->machine), a);
        return;
    }
    machine_archive(r->machine, sev ? key : NULL, a);
    hypervisor_archive(r->hv, a);
}

/* The archive that is changed; made once for each kind. */
static const struct buffer *whole(bool sev, bool secrets)
{
    static struct buffer kinds[2][2];
    struct buffer *b = &kinds[sev][secrets];
    struct rig r;
    if (b->data)
        return b;
    b->data = malloc(ARCHIVE_MAX);
    must(b->data);
    rig_create(&r, sev);
    rig_launch(&r, sev);
    struct archive a = archive_saving((struct archive_stream){put, b}, &r.error);
    hypervisor_settle(r.hv);
    state_archive(&r, sev, secrets, &a);
    must(!a.failed);
    rig_destroy(&r);
    return b;
}

static void load(const struct buffer *from, bool sev, bool secrets)
{
    struct buffer b = *from;
    struct rig r;
    rig_create(&r, sev);
    struct archive a = archive_loading((struct archive_stream){get, &b}, &r.error);
    state_archive(&r, sev, secrets, &a);
    must(a.failed == (r.error.code != ERROR_NONE));
    if (!a.failed && !secrets)
        hypervisor_run(r.hv, min_u64(host_time_ns(machine_host(r.machine)), BIT(61)) + MOMENT_NS);
    rig_destroy(&r);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct reader r = reader_of(data, size);
    const u8 kind = read_u8(&r);
    const bool sev = kind & 1, secrets = kind & 2;
    const struct buffer *from = whole(sev, secrets);
    struct buffer changed = {.data = malloc(from->size), .size = from->size};
    must(changed.data);
    memcpy(changed.data, from->data, from->size);
    for (u32 i = 0; i < RECORDS && reader_left(&r) >= 5; i++) {
        const u32 at = read_u32(&r);
        const size_t place =
            at & BIT(31) ? changed.size - 1 - at % min_u64(changed.size, TAIL) : at % changed.size;
        changed.data[place] = read_u8(&r);
    }
    load(&changed, sev, secrets);
    free(changed.data);
    return 0;
}
