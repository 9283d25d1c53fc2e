/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile peer of a migration, on a host made of arrays. The first byte says who is hostile, the
 * rest is what it sends.
 *
 *   even   the source: the target receives a guest that may be nonsense, and runs it for a while
 *   odd    the target: the source must have its guest unless it has told the target to go
 */
#include "../hypervisor/host.h"

#include "base/bytes.h"
#include "hypervisor/sev_message.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define FUZZ_GUEST_MEMORY MIB(2)

static void require(bool holds)
{
    if (!holds)
        abort();
}

struct peer {
    struct reader in;
    bool went; /* GO was sent */
};

static int peer_send(void *context, const void *data, size_t size, struct error *e)
{
    struct peer *p = context;
    require(size >= MIGRATE_HEADER_SIZE && size <= MIGRATE_HEADER_SIZE + MIGRATE_BODY_MAX);
    require(load_le32((const u8 *)data + 4) == size - MIGRATE_HEADER_SIZE);
    p->went |= load_le32(data) == MIGRATE_GO;
    (void)e;
    return 0;
}

static int peer_receive(void *context, void *data, size_t size, struct error *e)
{
    struct peer *p = context;
    if (reader_left(&p->in) < size)
        return error_set(e, ERROR_FILE, "the other end is gone");
    read_bytes(&p->in, data, size);
    return 0;
}

static int agree(void *context, struct error *e)
{
    (void)context;
    (void)e;
    return 0;
}

static const struct migrate_ends ends = {agree, agree, NULL};

static struct vm *make(struct hypervisor *hv, struct image_plan *plan, const struct vmsa *vmsa,
                       u8 mode)
{
    struct error e = {.code = ERROR_NONE};
    *plan = (struct image_plan){.memory_size = FUZZ_GUEST_MEMORY,
                                .mode = mode & 2 ? IMAGE_SEV_ES : IMAGE_SEV,
                                .runnable = true};
    plan->vmsas[0] = vmsa;
    plan->vmsa_count = mode & 2 ? 1 : 0;
    const struct vm_config config = {.name = "vm", .plan = plan, .policy = 1};
    struct vm *vm = vm_create(hv, &config, &e);
    require(vm);
    return vm;
}

static void be_target(struct vm *vm, const struct migrate_link *link)
{
    static const struct migrate_certificates certificates = {.amd_size = 1664};
    struct error e = {.code = ERROR_NONE};
    struct migrate_counters counters;
    if (vm_receive(vm, link, &certificates, &ends, &counters, &e)) {
        require(e.code != ERROR_NONE && vm_get_state(vm) == VM_LOADING);
        return;
    }
    require(vm_get_state(vm) == VM_RUNNABLE && vm->encrypted);
    for (u32 i = 0; i < 4 && vm_get_state(vm) == VM_RUNNABLE; i++)
        hypervisor_run(vm->hv, host_time_ns(vm->hv->host) + 1000000);
}

static void be_source(struct vm *vm, const struct migrate_link *link, const struct peer *p)
{
    struct error e = {.code = ERROR_NONE};
    u8 secret[64] = "launched";
    require(!vm_launch_start(vm, NULL, 0, NULL, 0, &e) && !vm_launch_finish(vm, &e));
    require(vm_write(vm, 0x5000, secret, sizeof secret));
    struct vm_sending *s = vm_send_start(vm, link, &e);
    int sent = s ? 0 : -1;
    while (!sent)
        sent = vm_send_pages(s, 100, &e);
    if (sent > 0)
        sent = vm_send_last(s, &ends, &e);
    vm_send_end(s);
    require(sent || p->went);
    require(vm_get_state(vm) == (p->went ? VM_MOVED : VM_RUNNABLE));
    require(sent || vm_get_state(vm) == VM_MOVED);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct host host;
    static struct image_plan plan;
    static struct vmsa vmsa;
    struct error e = {.code = ERROR_NONE};
    struct peer p = {.in = reader_of(data, size)};
    const struct migrate_link link = {peer_send, peer_receive, &p};
    const u8 mode = read_u8(&p.in);
    u8 *memory = host.memory ? host.memory : calloc(1, HOST_MEMORY);
    require(memory);
    memset(&host, 0, sizeof host);
    host.memory = memory;
    host.trace.clock = &host.clock;
    struct hypervisor *hv = hypervisor_create(&host, &e);
    require(hv && !platform_init_es(hv, &e));
    struct vm *vm = make(hv, &plan, &vmsa, mode);
    if (mode & 1)
        be_source(vm, &link, &p);
    else
        be_target(vm, &link);
    hypervisor_destroy(hv);
    return 0;
}
