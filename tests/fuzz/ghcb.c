/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile SEV-ES guest: any value in the GHCB MSR, any page behind it. Whatever they hold, the
 * hypervisor answers in the page or ends the guest, and touches nothing of the page that is not an
 * answer's.
 *
 *   records of 81 bytes: kind; then
 *   even   u64 for the MSR
 *   odd    u8 code (an event by number, or above them a u64 at the end), u64 info 1, info 2,
 * scratch, RAX, RCX, RDX, 16 valid bits' bytes, u8 version, u8 filler of the buffer, u64 another
 * code
 */
#include "../hypervisor/host.h"

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define GHCB_GPA 0x5000u
#define RECORDS  64u

static const u32 codes[] = {EXIT_DR_READ + 7,
                            EXIT_DR_WRITE + 7,
                            EXIT_RDTSC,
                            EXIT_RDPMC,
                            EXIT_CPUID,
                            EXIT_INVD,
                            EXIT_IOIO,
                            EXIT_MSR,
                            EXIT_VMMCALL,
                            EXIT_RDTSCP,
                            EXIT_WBINVD,
                            EXIT_MONITOR,
                            EXIT_MWAIT,
                            GHCB_EVENT_MMIO_READ,
                            GHCB_EVENT_MMIO_WRITE,
                            GHCB_EVENT_NMI_COMPLETE,
                            GHCB_EVENT_RESET_HOLD,
                            GHCB_EVENT_JUMP_TABLE,
                            GHCB_EVENT_PAGE_STATE,
                            GHCB_EVENT_GUEST_REQUEST,
                            GHCB_EVENT_FEATURES,
                            GHCB_EVENT_TERMINATE,
                            GHCB_EVENT_UNSUPPORTED};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static u64 next_msr;

static void guest_exits(struct host *h, struct vmcb *v)
{
    (void)h;
    v->control.exit_code = EXIT_VMGEXIT;
    v->control.exit_info_1 = v->control.exit_info_2 = 0;
    v->control.ghcb_gpa = next_msr;
}

static void run(struct host *h, struct vm *vm, u64 msr)
{
    next_msr = msr;
    vcpu_run(&vm->cpus[0], h->now + 1000);
}

static void take_page(struct reader *in, struct ghcb *page)
{
    u8 code = read_u8(in);
    memset(page, 0, sizeof *page);
    page->exit_info_1 = read_u64(in);
    page->exit_info_2 = read_u64(in);
    page->scratch = read_u64(in);
    page->rax = read_u64(in);
    page->rcx = read_u64(in);
    page->rdx = read_u64(in);
    read_bytes(in, page->valid, sizeof page->valid);
    page->version = read_u8(in);
    memset(page->buffer, read_u8(in), sizeof page->buffer);
    page->exit_code = read_u64(in);
    if (code < ARRAY_SIZE(codes))
        page->exit_code = codes[code];
}

static void check_answer(const struct ghcb *asked, const struct ghcb *got)
{
    require(ghcb_valid(got, GHCB_BIT(exit_info_1)) && ghcb_valid(got, GHCB_BIT(exit_info_2)));
    require(got->exit_info_1 <= GHCB_MALFORMED);
    if (got->exit_info_1 == GHCB_MALFORMED)
        require(got->exit_info_2 >= GHCB_ERROR_NOT_REGISTERED &&
                got->exit_info_2 <= GHCB_ERROR_EVENT);
    if (got->exit_info_1 == GHCB_EXCEPTION)
        require(got->exit_info_2 == 0x80000b0d || got->exit_info_2 == 0x80000306);
    require(got->version == asked->version && got->usage == asked->usage);
    require(!memcmp(got->reserved_000, asked->reserved_000, sizeof got->reserved_000));
    require(!memcmp(got->reserved_408, asked->reserved_408, sizeof got->reserved_408));
    require(!memcmp(got->reserved_ff0, asked->reserved_ff0, sizeof got->reserved_ff0));
}

static void request(struct host *h, struct vm *vm, struct reader *in)
{
    struct ghcb asked, got;
    take_page(in, &asked);
    vm_write(vm, GHCB_GPA, &asked, sizeof asked);
    run(h, vm, GHCB_GPA);
    require(vm_read(vm, GHCB_GPA, &got, sizeof got));
    /* A clock page may lie over the GHCB: the guest asked for it. */
    if (asked.exit_code != EXIT_MSR)
        check_answer(&asked, &got);
}

static struct vm *make(struct host *h, struct hypervisor *hv, const struct image_plan *plan)
{
    struct error e = {.code = ERROR_NONE};
    struct vm_config config = {.name = "vm", .plan = plan, .policy = 5};
    struct vm *vm = vm_create(hv, &config, &e);
    require(vm && !vm_launch_start(vm, NULL, 0, NULL, 0, &e) && !vm_launch_update_vmsa(vm, &e) &&
            !vm_launch_finish(vm, &e));
    h->guest = guest_exits;
    return vm;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct host h;
    static struct vmsa vmsa;
    struct reader in = reader_of(data, size);
    struct image_plan *plan = calloc(1, sizeof *plan);
    struct error e = {.code = ERROR_NONE};
    if (!h.memory)
        h.memory = calloc(1, HOST_MEMORY);
    require(h.memory && plan);
    h.command_count = 0;
    h.launched_size = 0;
    h.now = 0;
    h.trace.clock = &h.clock;
    *plan = (struct image_plan){
        .memory_size = GUEST_MEMORY, .mode = IMAGE_SEV_ES, .runnable = true, .vmsa_count = 1};
    plan->vmsas[0] = &vmsa;
    struct hypervisor *hv = hypervisor_create(&h, &e);
    require(hv);
    struct vm *vm = make(&h, hv, plan);
    for (u32 i = 0; i < RECORDS && reader_left(&in) && vm_get_state(vm) == VM_RUNNABLE; i++) {
        if (read_u8(&in) & 1)
            request(&h, vm, &in);
        else
            run(&h, vm, read_u64(&in));
    }
    hypervisor_destroy(hv);
    free(plan);
    return 0;
}
