/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile SNP guest: values in the GHCB MSR, lists of page state changes, guest requests, faults.
 * Whatever they are, the hypervisor answers or ends the guest, and what it notes of each page is
 * what the RMP has.
 *
 *   records: u8 kind modulo 4; then
 *   0   u64 for the MSR
 *   1   u8 place of the list in the buffer, in units of eight bytes, u16 current, u16 end, u32
 * reserved, u8 entries, u64 each 2   u8 event, u64 info 1, info 2, RAX, RBX 3   u64 fault bits, u64
 * guest address: a nested page fault
 */
#include "../hypervisor/host.h"

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define GHCB_GPA MIB(6) /* shared from the start */
#define RECORDS  64u

static const u32 codes[] = {GHCB_EVENT_GUEST_REQUEST, GHCB_EVENT_EXTENDED_GUEST_REQUEST,
                            GHCB_EVENT_APIC_IDS,      GHCB_EVENT_RUN_VMPL,
                            GHCB_EVENT_AP_CREATION,   GHCB_EVENT_FEATURES,
                            GHCB_EVENT_HV_DOORBELL,   GHCB_EVENT_SECURE_AVIC};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static struct vmcb_control next;

static void guest_exits(struct host *h, struct vmcb *v)
{
    (void)h;
    v->control.exit_code = next.exit_code;
    v->control.exit_info_1 = next.exit_info_1;
    v->control.exit_info_2 = next.exit_info_2;
    if (next.exit_code == EXIT_VMGEXIT)
        v->control.ghcb_gpa = next.ghcb_gpa;
}

static void run(struct host *h, struct vm *vm, struct vmcb_control control)
{
    next = control;
    vcpu_run(&vm->cpus[0], h->now + 1000);
}

static void vmgexit(struct host *h, struct vm *vm, u64 msr)
{
    run(h, vm, (struct vmcb_control){.exit_code = EXIT_VMGEXIT, .ghcb_gpa = msr});
}

/* The page's place may have become private, or another may be registered: the guest ends then. */
static void send(struct host *h, struct vm *vm, struct ghcb *page)
{
    page->version = 2;
    ghcb_set_valid(page, GHCB_BIT(exit_code));
    ghcb_set_valid(page, GHCB_BIT(exit_info_1));
    ghcb_set_valid(page, GHCB_BIT(exit_info_2));
    vmgexit(h, vm, GHCB_GPA | GHCB_MSR_REGISTER_REQUEST);
    if (vm_write(vm, GHCB_GPA, page, sizeof *page))
        vmgexit(h, vm, GHCB_GPA);
}

static void send_list(struct host *h, struct vm *vm, struct reader *in)
{
    struct ghcb page = {.exit_code = GHCB_EVENT_PAGE_STATE};
    size_t at = read_u8(in) * 8u;
    page.scratch = GHCB_GPA + GHCB_BUFFER_OFFSET + at;
    ghcb_set_valid(&page, GHCB_BIT(scratch));
    u8 head[8];
    read_bytes(in, head, sizeof head);
    if (at + sizeof head <= sizeof page.buffer)
        memcpy(page.buffer + at, head, sizeof head);
    u32 entries = read_u8(in);
    for (at += 8; entries-- && at + 8 <= sizeof page.buffer; at += 8)
        store_le64(page.buffer + at, read_u64(in));
    send(h, vm, &page);
}

static void send_event(struct host *h, struct vm *vm, struct reader *in)
{
    struct ghcb page = {.exit_code = codes[read_u8(in) % ARRAY_SIZE(codes)]};
    page.exit_info_1 = read_u64(in);
    page.exit_info_2 = read_u64(in);
    page.rax = read_u64(in);
    page.rbx = read_u64(in);
    ghcb_set_valid(&page, GHCB_BIT(rax));
    ghcb_set_valid(&page, GHCB_BIT(rbx));
    send(h, vm, &page);
}

/* The notes and the RMP agree, and nothing but the guest's own memory is the guest's. */
static void check_pages(const struct host *h, const struct vm *vm)
{
    u64 guests = 0, noted = vm->snp.vmsa_count;
    for (u64 page = 0; page < HOST_MEMORY / PAGE_SIZE; page++)
        if (h->rmp[page].assigned && h->rmp[page].asid)
            guests += h->rmp[page].page_size ? 512 : 1;
    for (u64 i = 0; i < vm->chunk_count * 512; i++) {
        const struct rmp_update *e = &h->rmp[vm->chunks[i / 512] / PAGE_SIZE + i % 512];
        const struct rmp_update *large = &h->rmp[vm->chunks[i / 512] / PAGE_SIZE];
        noted += vm->snp.pages[i] != VM_PAGE_HOST;
        if (vm->snp.pages[i] == VM_PAGE_LARGE)
            require(large->assigned && large->page_size && !vm->snp.split[i / 512]);
        else
            require(e->assigned == (vm->snp.pages[i] == VM_PAGE_PRIVATE) && !e->page_size);
        if (vm->snp.pages[i] == VM_PAGE_PRIVATE)
            require(vm->snp.split[i / 512] && e->gpa == i * PAGE_SIZE && e->asid == vm->asid);
    }
    require(guests == noted);
}

static struct vm *make(struct host *h, struct hypervisor *hv, const struct image_plan *plan)
{
    static const u8 certificates[PAGE_SIZE + 1];
    struct error e = {.code = ERROR_NONE};
    struct vm_config config = {.name = "vm",
                               .plan = plan,
                               .certificates = certificates,
                               .certificates_size = sizeof certificates};
    require(!platform_init_snp(hv, &e));
    struct vm *vm = vm_create(hv, &config, &e);
    require(vm && !vm_snp_launch_start(vm, &e) && !vm_snp_launch_update(vm, &e) &&
            !vm_snp_launch_finish(vm, NULL, NULL, false, NULL, &e));
    h->guest = guest_exits;
    return vm;
}

static void step(struct host *h, struct vm *vm, struct reader *in)
{
    u64 info;
    switch (read_u8(in) % 4) {
    case 0:
        vmgexit(h, vm, read_u64(in));
        break;
    case 1:
        send_list(h, vm, in);
        break;
    case 2:
        send_event(h, vm, in);
        break;
    default:
        info = read_u64(in) | NPF_RMP;
        run(h, vm,
            (struct vmcb_control){
                .exit_code = EXIT_NPF, .exit_info_1 = info, .exit_info_2 = read_u64(in)});
        break;
    }
    check_pages(h, vm);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct host h;
    static struct vmsa vmsa;
    struct reader in = reader_of(data, size);
    struct error e = {.code = ERROR_NONE};
    struct image_plan *plan = calloc(1, sizeof *plan);
    if (!h.memory)
        h.memory = calloc(1, HOST_MEMORY);
    require(h.memory && plan);
    memset(h.rmp, 0, sizeof h.rmp);
    h.command_count = 0;
    h.now = 0;
    h.trace.clock = &h.clock;
    *plan = (struct image_plan){.memory_size = GUEST_MEMORY,
                                .mode = IMAGE_SEV_SNP,
                                .runnable = true,
                                .vmsas = {&vmsa},
                                .vmsa_count = 1,
                                .piece_count = 2};
    plan->pieces[0] = (struct image_piece){
        .name = "large", .gpa = MIB(2), .size = MIB(2), .page_type = SNP_PAGE_ZERO};
    plan->pieces[1] = (struct image_piece){
        .name = "small", .gpa = MIB(4), .size = PAGE_SIZE, .page_type = SNP_PAGE_ZERO};
    struct hypervisor *hv = hypervisor_create(&h, &e);
    require(hv);
    struct vm *vm = make(&h, hv, plan);
    for (u32 i = 0; i < RECORDS && reader_left(&in) && vm_get_state(vm) == VM_RUNNABLE; i++)
        step(&h, vm, &in);
    hypervisor_destroy(hv);
    for (u64 page = 0; page < HOST_MEMORY / PAGE_SIZE; page++)
        require(!h.rmp[page].assigned);
    free(plan);
    return 0;
}
