/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an SNP guest asks of its hypervisor: pages that change hands by the MSR and by lists, the
 * GHCB's registration, messages for the firmware, and what becomes of a guest that touches pages in
 * another state. The host is made of arrays; its RMP has the rules that matter here.
 */
#include "ghcb_rig.h"

#define GHCB_GPA     MIB(6)          /* shared from the start: no piece covers it */
#define REQUEST      (MIB(6) + 4096) /* likewise */
#define RESPONSE     (MIB(6) + 8192)
#define DATA         (MIB(6) + 12288)
#define CERTIFICATES (PAGE_SIZE + 100) /* bytes of the table */
#define LARGE        MIB(2)            /* 2 MiB of the guest's own */
#define SMALL        MIB(4)            /* one page of its own */

static int setup_with(void **state, u64 features, u32 tsc_khz)
{
    struct bench *b = bench_create();
    memset(b->bytes, 0x5a, CERTIFICATES);
    b->vmsas[0].sev_features = SEV_FEATURE_SNP | features;
    b->plan = (struct image_plan){.memory_size = GUEST_MEMORY,
                                  .mode = IMAGE_SEV_SNP,
                                  .runnable = true,
                                  .vmsas = {&b->vmsas[0]},
                                  .vmsa_count = 1,
                                  .piece_count = 2};
    b->plan.pieces[0] = (struct image_piece){
        .name = "large", .gpa = LARGE, .size = MIB(2), .page_type = SNP_PAGE_ZERO};
    b->plan.pieces[1] = (struct image_piece){
        .name = "small", .gpa = SMALL, .size = PAGE_SIZE, .page_type = SNP_PAGE_ZERO};
    struct vm_config config = {.name = "vm",
                               .plan = &b->plan,
                               .cpus = 2,
                               .tsc_khz = tsc_khz,
                               .certificates = b->bytes,
                               .certificates_size = CERTIFICATES};
    assert_int_equal(platform_init_snp(b->hv, &b->error), 0);
    b->vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(b->vm);
    assert_int_equal(vm_snp_launch_start(b->vm, &b->error), 0);
    assert_int_equal(vm_snp_launch_update(b->vm, &b->error), 0);
    assert_int_equal(vm_snp_launch_finish(b->vm, NULL, NULL, false, NULL, &b->error), 0);
    *state = b;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 0, 0);
}

static int setup_secure_tsc(void **state)
{
    return setup_with(state, SEV_FEATURE_SECURE_TSC | SEV_FEATURE_DEBUG_VIRT, 2500000);
}

/* Sends the page as it is now, from a processor that has registered it. */
static u64 send(struct bench *b)
{
    assert_int_equal(msr_protocol(b, GHCB_GPA | GHCB_MSR_REGISTER_REQUEST),
                     GHCB_GPA | GHCB_MSR_REGISTER);
    return deliver(b, GHCB_GPA);
}

static struct rmp_update *entry(struct bench *b, u64 gpa)
{
    u64 left;
    return &b->host.rmp[vm_spa(b->vm, gpa, &left) / PAGE_SIZE];
}

/* The nested leaf for an address, and whether it is one of 4 KiB. */
static bool is_split(struct bench *b, u64 gpa)
{
    u64 table = b->vm->npt.root, e = 0;
    for (u32 shift = 39; shift > 12; shift -= 9) {
        memcpy(&e, b->host.memory + table + (gpa >> shift & 511) * 8, 8);
        assert_true(e & PTE_P);
        if (e & PTE_PS)
            return false;
        table = e & PTE_ADDRESS;
    }
    u64 left;
    memcpy(&e, b->host.memory + table + (gpa >> 12 & 511) * 8, 8);
    assert_int_equal(e & PTE_ADDRESS, vm_spa(b->vm, gpa, &left));
    return true;
}

/* --- Pages, by the MSR ------------------------------------------------------------------------ */

static u64 change(struct bench *b, u64 gpa, u64 operation)
{
    return msr_protocol(b, gpa | operation << 52 | GHCB_MSR_PAGE_STATE_REQUEST);
}

#define DONE GHCB_MSR_PAGE_STATE

static void sizes_of_tables_and_rmp_agree_after_the_launch(void **state)
{
    struct bench *b = *state;
    assert_int_equal(entry(b, LARGE)->page_size, 1);
    assert_false(is_split(b, LARGE));
    assert_int_equal(entry(b, SMALL)->page_size, 0);
    assert_int_equal(entry(b, SMALL)->asid, vm_asid(b->vm));
    assert_int_equal(entry(b, SMALL)->gpa, SMALL);
    assert_true(is_split(b, SMALL));
    assert_false(entry(b, SMALL + PAGE_SIZE)->assigned);
}

static void a_page_becomes_shared_and_private_again(void **state)
{
    struct bench *b = *state;
    assert_int_equal(change(b, SMALL, GHCB_PAGE_SHARED), DONE);
    assert_false(entry(b, SMALL)->assigned);
    assert_int_equal(change(b, SMALL, GHCB_PAGE_SHARED), DONE);
    assert_int_equal(change(b, SMALL, GHCB_PAGE_PRIVATE), DONE);
    assert_true(entry(b, SMALL)->assigned);
    assert_false(entry(b, SMALL)->immutable);
    u32 updates = b->host.rmpupdates;
    assert_int_equal(change(b, SMALL, GHCB_PAGE_PRIVATE), DONE);
    assert_int_equal(b->host.rmpupdates, updates); /* what is validated stays so */
    assert_int_equal(b->host.seen.control.tlb_control, TLB_FLUSH_ASID);
    assert_int_equal(b->vm->cpus[1].vmcb.control.tlb_control, TLB_FLUSH_ASID);
}

static void a_page_out_of_two_megabytes_splits_them(void **state)
{
    struct bench *b = *state;
    assert_int_equal(change(b, LARGE + 5 * PAGE_SIZE, GHCB_PAGE_SHARED), DONE);
    assert_int_equal(b->host.psmashes, 1);
    assert_true(is_split(b, LARGE + 5 * PAGE_SIZE));
    assert_false(entry(b, LARGE + 5 * PAGE_SIZE)->assigned);
    assert_true(entry(b, LARGE)->assigned && entry(b, LARGE + 6 * PAGE_SIZE)->assigned);
    assert_int_equal(entry(b, LARGE + 6 * PAGE_SIZE)->gpa, LARGE + 6 * PAGE_SIZE);
    assert_int_equal(change(b, LARGE + 6 * PAGE_SIZE, GHCB_PAGE_SHARED), DONE);
    assert_int_equal(b->host.psmashes, 1);
}

static void impossible_changes_are_refused(void **state)
{
    struct bench *b = *state;
    b->vm->config.strict = true;
    static const struct {
        u64 gpa, operation;
    } bad[] = {{SMALL, 0},
               {SMALL, GHCB_PAGE_SMASH}, /* hints are for lists */
               {SMALL, 5},
               {SMALL, 0x11}, /* a reserved bit */
               {GUEST_MEMORY, GHCB_PAGE_SHARED},
               {GIB(5), GHCB_PAGE_PRIVATE},
               {0xfee00000, GHCB_PAGE_PRIVATE}};
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        u64 answer = change(b, bad[i].gpa, bad[i].operation);
        assert_int_equal(GHCB_MSR_INFO(answer), GHCB_MSR_PAGE_STATE);
        assert_true(answer >> 32);
        assert_string_equal(end_of(b), "");
    }
}

/* --- Lists ------------------------------------------------------------------------------------ */

static void list(struct bench *b, u16 current, u16 end, const u64 *entries, u32 count)
{
    ask(b, GHCB_EVENT_PAGE_STATE, 0, 0);
    SET(b, scratch, GHCB_GPA + GHCB_BUFFER_OFFSET);
    store_le16(b->page.buffer, current);
    store_le16(b->page.buffer + 2, end);
    for (u32 i = 0; i < count; i++)
        store_le64(b->page.buffer + 8 + 8 * (size_t)i, entries[i]);
}

#define ENTRY(gpa, operation) ((gpa) | (u64)(operation) << 52)

static void a_list_is_worked_through(void **state)
{
    struct bench *b = *state;
    const u64 entries[] = {
        ENTRY(SMALL, GHCB_PAGE_SHARED),
        ENTRY(LARGE, GHCB_PAGE_SHARED) | GHCB_PAGE_STATE_LARGE,
        ENTRY(LARGE, GHCB_PAGE_PRIVATE) | GHCB_PAGE_STATE_LARGE,
        ENTRY(LARGE, GHCB_PAGE_SMASH) | GHCB_PAGE_STATE_LARGE,
        ENTRY(SMALL + PAGE_SIZE, GHCB_PAGE_PRIVATE),
    };
    list(b, 0, 4, entries, 5);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, 0);
    assert_int_equal(load_le16(b->page.buffer), 5);
    assert_int_equal(load_le16(b->page.buffer + 2), 4);
    assert_int_equal(load_le64(b->page.buffer + 8), entries[0] | 1);
    assert_int_equal(load_le64(b->page.buffer + 16), entries[1] | 512);
    assert_false(entry(b, SMALL)->assigned);
    assert_true(entry(b, SMALL + PAGE_SIZE)->assigned);
    assert_int_equal(entry(b, LARGE)->page_size, 1);
    assert_false(is_split(b, LARGE));
    assert_int_equal(b->host.psmashes, 0);
}

static void a_list_goes_on_where_it_stopped(void **state)
{
    struct bench *b = *state;
    b->vm->config.strict = true;
    const u64 entries[] = {ENTRY(SMALL, GHCB_PAGE_SHARED), ENTRY(SMALL, GHCB_PAGE_PRIVATE),
                           ENTRY(GIB(7), GHCB_PAGE_SHARED), ENTRY(SMALL, GHCB_PAGE_SHARED)};
    list(b, 1, 3, entries, 4);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_BAD_ENTRY);
    assert_int_equal(load_le16(b->page.buffer), 2);
    assert_true(entry(b, SMALL)->assigned);
    list(b, 3, 2, entries, 4); /* nothing left to do */
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, 0);
    assert_true(entry(b, SMALL)->assigned);
}

/* Bits 11:0 of an entry: how many of its pages are done already. */
static void an_entry_goes_on_at_its_page(void **state)
{
    struct bench *b = *state;
    const u64 large = ENTRY(LARGE, GHCB_PAGE_SHARED) | GHCB_PAGE_STATE_LARGE;
    u64 entries[] = {ENTRY(SMALL, GHCB_PAGE_SHARED) | 1, large | 512, large | 510};
    list(b, 0, 2, entries, 3);
    send(b);
    assert_int_equal(b->page.exit_info_2, 0);
    assert_int_equal(load_le64(b->page.buffer + 8 + 16), large | 512);
    assert_true(entry(b, SMALL)->assigned && entry(b, LARGE + 509 * PAGE_SIZE)->assigned);
    assert_false(entry(b, LARGE + 510 * PAGE_SIZE)->assigned);
    assert_false(entry(b, LARGE + 511 * PAGE_SIZE)->assigned);
    entries[0] = ENTRY(SMALL, GHCB_PAGE_SHARED) | 2;
    list(b, 0, 0, entries, 1);
    send(b);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_BAD_ENTRY);
}

/* The list was sound, what it asked for could not be done: not the guest's mistake. */
static void an_entry_that_the_rmp_refuses_is_another_error(void **state)
{
    struct bench *b = *state;
    const u64 one = ENTRY(SMALL + PAGE_SIZE, GHCB_PAGE_PRIVATE);
    entry(b, SMALL)->page_size = 1;
    list(b, 0, 0, &one, 1);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_ERROR);
    assert_int_equal(load_le16(b->page.buffer), 0);
    entry(b, SMALL)->page_size = 0;
    list(b, 0, 0, &one, 1);
    send(b);
    assert_int_equal(b->page.exit_info_2, 0);
    assert_int_equal(load_le16(b->page.buffer), 1);
}

/* KVM looks at the indices of the header and at operation, size and address of an entry, and takes
 * operations that it does not know for done; QEMU ignores what has no memory and is to be
 * shared. */
static void a_list_is_judged_as_kvm_does_unless_strict(void **state)
{
    struct bench *b = *state;
    const u64 entries[] = {
        ENTRY(SMALL, GHCB_PAGE_SHARED) | BIT(57) | BIT(63),
        ENTRY(SMALL + PAGE_SIZE, 0),
        ENTRY(SMALL + PAGE_SIZE, 9),
        ENTRY(GIB(7), GHCB_PAGE_SHARED),
        ENTRY(SMALL + 2 * PAGE_SIZE, GHCB_PAGE_SHARED),
        ENTRY(GIB(7), GHCB_PAGE_PRIVATE),
    };
    list(b, 0, 5, entries, 6);
    store_le32(b->page.buffer + 4, 0x5e5e5e5e);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_ERROR);
    assert_int_equal(load_le16(b->page.buffer), 5); /* private needs memory */
    assert_false(entry(b, SMALL)->assigned);
    assert_false(entry(b, SMALL + PAGE_SIZE)->assigned);
    assert_false(entry(b, SMALL + 2 * PAGE_SIZE)->assigned);
    b->vm->config.strict = true;
    for (u16 i = 0; i < 4; i++) {
        list(b, i, i, entries, 6);
        send(b);
        assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_BAD_ENTRY);
    }
}

static void one_page_is_judged_as_kvm_does_unless_strict(void **state)
{
    struct bench *b = *state;
    const u64 shared = (u64)GHCB_PAGE_SHARED << 52, error = GHCB_PAGE_STATE_ERROR >> 32 << 32;
    const u64 nowhere = GIB(7) | shared | GHCB_MSR_PAGE_STATE_REQUEST;
    assert_int_equal(msr_protocol(b, nowhere), GHCB_MSR_PAGE_STATE);
    assert_int_equal(msr_protocol(b, SMALL | 3ull << 52 | GHCB_MSR_PAGE_STATE_REQUEST),
                     GHCB_MSR_PAGE_STATE | error);
    assert_int_equal(msr_protocol(b, SMALL | shared | BIT(60) | GHCB_MSR_PAGE_STATE_REQUEST),
                     GHCB_MSR_PAGE_STATE);
    assert_int_equal(msr_protocol(b, SMALL | GHCB_MSR_REGISTER_REQUEST), SMALL | GHCB_MSR_REGISTER);
    b->vm->config.strict = true;
    assert_int_equal(msr_protocol(b, nowhere), GHCB_MSR_PAGE_STATE | error);
}

static void broken_lists_are_refused(void **state)
{
    struct bench *b = *state;
    b->vm->config.strict = true;
    const u64 odd = ENTRY(LARGE + PAGE_SIZE, GHCB_PAGE_SHARED) | GHCB_PAGE_STATE_LARGE;
    const u64 reserved = ENTRY(SMALL, GHCB_PAGE_SHARED) | BIT(57);
    list(b, 0, 0, &odd, 1);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_BAD_ENTRY);
    list(b, 0, 0, &reserved, 1);
    send(b);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_BAD_ENTRY);
    list(b, 0, 253, NULL, 0);
    send(b);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_BAD_HEADER);
    list(b, 0, 0, &odd, 1);
    b->page.buffer[4] = 1;
    send(b);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_BAD_HEADER);
    list(b, 0, 4, NULL, 0); /* five entries, room for four */
    memcpy(b->page.buffer + GHCB_BUFFER_SIZE - 40, b->page.buffer, 8);
    SET(b, scratch, GHCB_GPA + 0xff0 - 40);
    send(b);
    assert_int_equal(b->page.exit_info_2, GHCB_PAGE_STATE_BAD_HEADER);
    list(b, 0, 0, NULL, 0);
    SET(b, scratch, GHCB_GPA + 0xff0 - 4);
    assert_int_equal(send(b), GHCB_MALFORMED);
    assert_int_equal(b->page.exit_info_2, GHCB_ERROR_SCRATCH);
}

/* --- The GHCB's place ------------------------------------------------------------------------- */

static void features_are_told(void **state)
{
    struct bench *b = *state;
    u64 features = GHCB_FEATURE_SNP | GHCB_FEATURE_AP_CREATION | GHCB_FEATURE_APIC_IDS;
    assert_int_equal(msr_protocol(b, GHCB_MSR_FEATURES_REQUEST) & (features << 12 | 0xfff),
                     features << 12 | GHCB_MSR_FEATURES);
    ask(b, GHCB_EVENT_FEATURES, 0, 0);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2 & features, features);
    assert_int_equal(msr_protocol(b, GHCB_MSR_PREFERRED_REQUEST),
                     0xfffffffffffff000ull | GHCB_MSR_PREFERRED);
    assert_int_equal(msr_protocol(b, GHCB_MSR_RUN_VMPL_REQUEST), GHCB_MSR_RUN_VMPL);
    assert_int_equal(msr_protocol(b, 1ull << 32 | GHCB_MSR_RUN_VMPL_REQUEST),
                     1ull << 32 | GHCB_MSR_RUN_VMPL);
}

static void a_private_page_is_not_registered_by_a_strict_host(void **state)
{
    struct bench *b = *state;
    b->vm->config.strict = true;
    assert_int_equal(msr_protocol(b, SMALL | GHCB_MSR_REGISTER_REQUEST),
                     0xfffffffffffff000ull | GHCB_MSR_REGISTER);
    assert_int_equal(msr_protocol(b, GIB(9) | GHCB_MSR_REGISTER_REQUEST),
                     0xfffffffffffff000ull | GHCB_MSR_REGISTER);
}

static void a_page_that_is_not_registered_ends_the_guest(void **state)
{
    struct bench *b = *state;
    msr_protocol(b, GHCB_GPA | GHCB_MSR_REGISTER_REQUEST);
    msr_protocol(b, REQUEST);
    assert_non_null(strstr(end_of(b), "which this processor has not registered"));
}

static void a_registered_page_that_became_private_ends_the_guest(void **state)
{
    struct bench *b = *state;
    msr_protocol(b, GHCB_GPA | GHCB_MSR_REGISTER_REQUEST);
    assert_int_equal(change(b, GHCB_GPA, GHCB_PAGE_PRIVATE), DONE);
    msr_protocol(b, GHCB_GPA);
    assert_non_null(strstr(end_of(b), "private"));
}

/* --- Messages --------------------------------------------------------------------------------- */

static u32 requests(const struct bench *b)
{
    u32 n = 0;
    for (u32 i = 0; i < b->host.command_count; i++)
        n += b->host.commands[i] == SEV_CMD_SNP_GUEST_REQUEST;
    return n;
}

static void a_message_goes_to_the_firmware_and_its_status_back(void **state)
{
    struct bench *b = *state;
    b->host.command_count = 0;
    ask(b, GHCB_EVENT_GUEST_REQUEST, REQUEST, RESPONSE);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, 0);
    assert_int_equal(requests(b), 1);
    b->host.guest_status = SEV_STATUS_INVALID_PARAM;
    ask(b, GHCB_EVENT_GUEST_REQUEST, REQUEST, RESPONSE);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, SEV_STATUS_INVALID_PARAM);
}

static void messages_are_in_shared_pages(void **state)
{
    struct bench *b = *state;
    static const u64 bad[][2] = {{SMALL, RESPONSE},   {REQUEST, SMALL},        {REQUEST, REQUEST},
                                 {REQUEST + 8, DATA}, {REQUEST, RESPONSE + 1}, {GIB(6), RESPONSE},
                                 {REQUEST, ~4095ull}};
    b->host.command_count = 0;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        ask(b, GHCB_EVENT_GUEST_REQUEST, bad[i][0], bad[i][1]);
        assert_int_equal(send(b), GHCB_MALFORMED);
        assert_int_equal(b->page.exit_info_2, GHCB_ERROR_INPUT);
    }
    assert_int_equal(requests(b), 0);
}

static void set_message_type(struct bench *b, u8 type)
{
    vm_write(b->vm, REQUEST + offsetof(struct snp_msg_header, type), &type, 1);
}

static void ask_extended(struct bench *b, u64 data, u64 pages)
{
    set_message_type(b, SNP_MSG_REPORT_REQ);
    ask(b, GHCB_EVENT_EXTENDED_GUEST_REQUEST, REQUEST, RESPONSE);
    SET(b, rax, data);
    SET(b, rbx, pages);
}

static void certificates_come_with_an_extended_request(void **state)
{
    struct bench *b = *state;
    u8 got[2 * PAGE_SIZE];
    b->host.command_count = 0;
    ask_extended(b, DATA, 1);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, 1ull << 32);
    assert_int_equal(b->page.rbx, 2);
    assert_int_equal(requests(b), 0); /* the message keeps its number */
    ask_extended(b, DATA, 2);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, 0);
    assert_int_equal(requests(b), 1);
    vm_read(b->vm, DATA, got, sizeof got);
    assert_memory_equal(got, b->bytes, CERTIFICATES);
    assert_int_equal(got[CERTIFICATES], 0);
    ask_extended(b, SMALL, 2);
    assert_int_equal(send(b), GHCB_MALFORMED);
    ask_extended(b, ~0xfffull, ~0ull);
    assert_int_equal(send(b), GHCB_MALFORMED);
}

/* Other messages have no certificates, and so no place for them. */
static void an_extended_request_for_no_report_needs_no_registers(void **state)
{
    struct bench *b = *state;
    set_message_type(b, SNP_MSG_TSC_INFO_REQ);
    b->host.command_count = 0;
    ask(b, GHCB_EVENT_EXTENDED_GUEST_REQUEST, REQUEST, RESPONSE);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, 0);
    assert_int_equal(requests(b), 1);
    set_message_type(b, SNP_MSG_REPORT_REQ);
    ask(b, GHCB_EVENT_EXTENDED_GUEST_REQUEST, REQUEST, RESPONSE);
    assert_int_equal(send(b), GHCB_MALFORMED);
    assert_int_equal(b->page.exit_info_2, GHCB_ERROR_MISSING_INPUT);
}

static void apic_ids_are_listed(void **state)
{
    struct bench *b = *state;
    u32 got[3];
    ask(b, GHCB_EVENT_APIC_IDS, DATA, 0);
    SET(b, rax, 0);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.rax, 1);
    ask(b, GHCB_EVENT_APIC_IDS, DATA, 0);
    SET(b, rax, 1);
    assert_int_equal(send(b), GHCB_OK);
    vm_read(b->vm, DATA, got, sizeof got);
    assert_int_equal(got[0], 2);
    assert_int_equal(got[1], 0);
    assert_int_equal(got[2], 1);
}

static void what_is_not_offered_is_no_event(void **state)
{
    struct bench *b = *state;
    static const u32 codes[] = {GHCB_EVENT_HV_DOORBELL, GHCB_EVENT_HV_IPI, GHCB_EVENT_HV_TIMER,
                                GHCB_EVENT_SECURE_AVIC};
    for (u32 i = 0; i < ARRAY_SIZE(codes); i++) {
        ask(b, codes[i], 0, 0);
        assert_int_equal(send(b), GHCB_MALFORMED);
        assert_int_equal(b->page.exit_info_2, GHCB_ERROR_EVENT);
    }
    ask(b, GHCB_EVENT_RUN_VMPL, 1, 0);
    assert_int_equal(send(b), GHCB_MALFORMED);
}

/* --- Faults ----------------------------------------------------------------------------------- */

static void four_kilobytes_validated_out_of_two_megabytes_split_them(void **state)
{
    struct bench *b = *state;
    run_exit(b, EXIT_NPF, NPF_PRESENT | NPF_USER | NPF_RMP | NPF_ENC | NPF_FINAL | NPF_SIZEM,
             LARGE + 3 * PAGE_SIZE);
    assert_string_equal(end_of(b), "");
    assert_int_equal(b->host.psmashes, 1);
    assert_true(is_split(b, LARGE));
    assert_true(entry(b, LARGE + 3 * PAGE_SIZE)->assigned);
}

static void a_page_in_the_wrong_state_ends_the_guest(void **state)
{
    struct bench *b = *state;
    run_exit(b, EXIT_NPF, NPF_PRESENT | NPF_USER | NPF_RMP | NPF_WRITE | NPF_ENC | NPF_FINAL,
             GHCB_GPA);
    assert_string_equal(end_of(b), "the guest wrote to guest address 0x600000 as private memory, "
                                   "which is shared (fault 0x580000007)");
}

static void a_shared_write_to_a_private_page_ends_the_guest(void **state)
{
    struct bench *b = *state;
    run_exit(b, EXIT_NPF, NPF_PRESENT | NPF_USER | NPF_RMP | NPF_WRITE | NPF_FINAL, SMALL);
    assert_non_null(strstr(end_of(b), "0x400000 as shared memory, which is private"));
}

/* --- AP creation ------------------------------------------------------------------------------ */

#define VMSA_GPA (LARGE + PAGE_SIZE)

static u64 create(struct bench *b, u64 info, u64 gpa, u64 features)
{
    ask(b, GHCB_EVENT_AP_CREATION, info, gpa);
    SET(b, rax, features);
    return send(b);
}

static void send_icr(struct bench *b, u32 low)
{
    lapic_write(b->vm->cpus[0].lapic, 0x310, 1u << 24);
    lapic_write(b->vm->cpus[0].lapic, 0x300, low);
}

static u64 vmsa_of_second(struct bench *b)
{
    vcpu_run(&b->vm->cpus[1], b->host.now + 1000);
    return b->host.seen.control.vmsa;
}

static void a_processor_begins_with_the_registers_that_the_guest_made(void **state)
{
    struct bench *b = *state;
    struct vcpu *c = &b->vm->cpus[1];
    u64 left, own = c->vmcb.control.vmsa;
    send_icr(b, 0x4500);
    send_icr(b, 0x4610);
    assert_false(vcpu_can_run(c)); /* it has none yet */
    assert_int_equal(create(b, 1ull << 32 | GHCB_AP_CREATE, VMSA_GPA, b->vmsas[0].sev_features),
                     GHCB_OK);
    assert_true(vcpu_can_run(c));
    assert_int_equal(vmsa_of_second(b), vm_spa(b->vm, VMSA_GPA, &left));
    c->ghcb_registered = true; /* its GHCB outlives its registers */
    c->vmcb.control.ghcb_gpa = PAGE_SIZE;
    assert_int_equal(create(b, 1ull << 32 | GHCB_AP_DESTROY, 0, 0), GHCB_OK);
    send_icr(b, 0x4610);
    assert_false(vcpu_can_run(c));
    assert_int_not_equal(c->vmcb.control.vmsa, own);
    assert_int_equal(
        create(b, 1ull << 32 | GHCB_AP_CREATE, VMSA_GPA + PAGE_SIZE, b->vmsas[0].sev_features),
        GHCB_OK);
    assert_true(vcpu_can_run(c));
    assert_int_equal(vmsa_of_second(b), vm_spa(b->vm, VMSA_GPA + PAGE_SIZE, &left));
    assert_true(c->ghcb_registered);
    assert_int_equal(b->host.seen.control.ghcb_gpa, PAGE_SIZE);
}

static void creation_at_init_waits_for_init_and_startup(void **state)
{
    struct bench *b = *state;
    struct vcpu *c = &b->vm->cpus[1];
    assert_int_equal(
        create(b, 1ull << 32 | GHCB_AP_CREATE_ON_INIT, VMSA_GPA, b->vmsas[0].sev_features),
        GHCB_OK);
    assert_false(vcpu_can_run(c));
    send_icr(b, 0x4500);
    assert_false(vcpu_can_run(c));
    send_icr(b, 0x4610);
    assert_true(vcpu_can_run(c));
    u64 left;
    assert_int_equal(vmsa_of_second(b), vm_spa(b->vm, VMSA_GPA, &left));
}

static void processors_that_cannot_be_created_are_refused(void **state)
{
    struct bench *b = *state;
    u64 features = b->vmsas[0].sev_features, second = 1ull << 32 | GHCB_AP_CREATE;
    const struct {
        u64 info, gpa, features;
    } rows[] = {
        {2ull << 32 | GHCB_AP_CREATE, VMSA_GPA, features}, /* no such processor */
        {second + 2, VMSA_GPA, features},                  /* nor operation */
        {second | 1u << 16, VMSA_GPA, features},           /* nor VMPL */
        {second, VMSA_GPA + 16, features},
        {second, LARGE, features}, /* at a boundary of 2 MiB */
        {second, GIB(9) + PAGE_SIZE, features},
        {second, REQUEST, features},           /* shared */
        {second, VMSA_GPA, features ^ BIT(3)}, /* other features than the first processor's */
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(create(b, rows[i].info, rows[i].gpa, rows[i].features), GHCB_MALFORMED);
        assert_int_equal(b->page.exit_info_2, GHCB_ERROR_INPUT);
        assert_false(vcpu_can_run(&b->vm->cpus[1]));
    }
    ask(b, GHCB_EVENT_AP_CREATION, second, VMSA_GPA); /* without RAX */
    assert_int_equal(send(b), GHCB_MALFORMED);
    assert_int_equal(b->page.exit_info_2, GHCB_ERROR_MISSING_INPUT);
}

static void registers_that_vmrun_refuses_are_named_as_the_guests(void **state)
{
    struct bench *b = *state;
    assert_int_equal(create(b, 1ull << 32 | GHCB_AP_CREATE, VMSA_GPA, b->vmsas[0].sev_features),
                     GHCB_OK);
    assert_true(vcpu_can_run(&b->vm->cpus[1]));
    b->next.control.exit_code = EXIT_INVALID;
    b->host.guest = guest_exits;
    vcpu_run(&b->vm->cpus[1], b->host.now + 1000);
    b->host.guest = NULL;
    assert_string_equal(end_of(b),
                        "VMRUN refused processor 1 with the registers that the guest made for it");
}

static void a_guest_that_destroys_its_last_processor_ends(void **state)
{
    struct bench *b = *state;
    assert_int_equal(create(b, GHCB_AP_DESTROY, 0, 0), GHCB_OK);
    assert_false(vcpu_can_run(&b->vm->cpus[0]));
    assert_non_null(strstr(end_of(b), "halted for good: every processor was destroyed"));
}

/* --- SEV_FEATURES ----------------------------------------------------------------------------- */

static bool passed_through(struct bench *b, u32 msr)
{
    u32 bit = 2 * 0x4000 + (msr & 0x1fff) * 2;
    return !(b->host.memory[b->vm->msrpm_spa + bit / 8] >> bit % 8 & 3);
}

static void a_guest_without_features_has_the_hosts_tsc(void **state)
{
    struct bench *b = *state;
    assert_int_equal(b->host.desired_tsc_khz, 0);
    assert_false(passed_through(b, MSR_GUEST_TSC_FREQ));
    assert_int_equal(b->vm->cpus[0].vmcb.control.intercept_dr_write, BIT(7));
}

/* The clock page says how many nanoseconds a number of ticks is. */
static void a_secure_tsc_has_the_frequency_that_was_asked_for(void **state)
{
    struct bench *b = *state;
    u8 page[32];
    assert_int_equal(b->host.desired_tsc_khz, 2500000);
    assert_true(passed_through(b, MSR_GUEST_TSC_FREQ));
    assert_int_equal(b->vm->cpus[0].vmcb.control.intercept_dr_write, 0);
    assert_int_equal(b->vm->cpus[0].vmcb.control.intercept_dr_read, 0);
    assert_true(vcpu_msr_write(&b->vm->cpus[0], 0x4b564d01, DATA | 1));
    assert_true(vm_read(b->vm, DATA, page, sizeof page));
    const s8 shift = (s8)page[28];
    const u64 ticks = 2500000000;
    const u64 scaled = shift < 0 ? ticks >> -shift : ticks << shift;
    const u64 ns = (u64)((u128)scaled * load_le32(page + 24) >> 32);
    assert_in_range(ns, 999999990, 1000000000);
}

static void features_that_cannot_be_served_are_refused_in_words(void **state)
{
    struct bench *b = *state;
    static const struct {
        u64 features;
        const char *error;
    } rows[] = {
        {SEV_FEATURE_RESTRICTED_INJECTION, "two: guest feature restricted-injection: it needs"},
        {SEV_FEATURE_REFLECT_VC, "two: guest feature reflect-vc: the exit"},
        {SEV_FEATURE_VMSA_REG_PROT, "two: guest feature vmsa-reg-prot: this processor does not"},
        {SEV_FEATURE_SECURE_TSC | SEV_FEATURE_SECURE_AVIC, "two: guest feature secure-avic: this"},
    };
    struct vmsa vmsa = {.sev_features = 0};
    struct image_plan plan = b->plan;
    plan.vmsas[0] = &vmsa;
    const struct vm_config config = {.name = "two", .plan = &plan, .cpus = 1};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct error error = {.code = ERROR_NONE};
        vmsa.sev_features = SEV_FEATURE_SNP | rows[i].features;
        assert_null(vm_create(b->hv, &config, &error));
        assert_int_equal(error.code, ERROR_USAGE);
        assert_memory_equal(error.text, rows[i].error, strlen(rows[i].error));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(sizes_of_tables_and_rmp_agree_after_the_launch),
        TEST(a_page_becomes_shared_and_private_again),
        TEST(a_page_out_of_two_megabytes_splits_them),
        TEST(impossible_changes_are_refused),
        TEST(a_list_is_worked_through),
        TEST(a_list_goes_on_where_it_stopped),
        TEST(an_entry_goes_on_at_its_page),
        TEST(an_entry_that_the_rmp_refuses_is_another_error),
        TEST(a_list_is_judged_as_kvm_does_unless_strict),
        TEST(one_page_is_judged_as_kvm_does_unless_strict),
        TEST(broken_lists_are_refused),
        TEST(features_are_told),
        TEST(a_private_page_is_not_registered_by_a_strict_host),
        TEST(a_page_that_is_not_registered_ends_the_guest),
        TEST(a_registered_page_that_became_private_ends_the_guest),
        TEST(a_message_goes_to_the_firmware_and_its_status_back),
        TEST(messages_are_in_shared_pages),
        TEST(certificates_come_with_an_extended_request),
        TEST(an_extended_request_for_no_report_needs_no_registers),
        TEST(apic_ids_are_listed),
        TEST(what_is_not_offered_is_no_event),
        TEST(four_kilobytes_validated_out_of_two_megabytes_split_them),
        TEST(a_page_in_the_wrong_state_ends_the_guest),
        TEST(a_shared_write_to_a_private_page_ends_the_guest),
        TEST(a_processor_begins_with_the_registers_that_the_guest_made),
        TEST(creation_at_init_waits_for_init_and_startup),
        TEST(processors_that_cannot_be_created_are_refused),
        TEST(registers_that_vmrun_refuses_are_named_as_the_guests),
        TEST(a_guest_that_destroys_its_last_processor_ends),
        TEST(a_guest_without_features_has_the_hosts_tsc),
        cmocka_unit_test_setup_teardown(a_secure_tsc_has_the_frequency_that_was_asked_for,
                                        setup_secure_tsc, bench_teardown),
        TEST(features_that_cannot_be_served_are_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
