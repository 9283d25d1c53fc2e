/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-ES guests on a host made of arrays: what is launched, what the VMCB says, how each GHCB
 * request is answered and which ones are refused with which error.
 */
#include "ghcb_rig.h"

#define GHCB_GPA 0x5000u

static int setup(void **state)
{
    struct bench *b = bench_create();
    b->plan = (struct image_plan){
        .memory_size = GUEST_MEMORY, .mode = IMAGE_SEV_ES, .runnable = true, .vmsa_count = 1};
    b->plan.pieces[0] = (struct image_piece){"piece", MIB(4), PAGE_SIZE, b->bytes, PAGE_SIZE, 0};
    b->plan.piece_count = 1;
    memset(b->bytes, 0x11, sizeof b->bytes);
    memset(&b->vmsas[0], 0x22, sizeof b->vmsas[0]);
    b->vmsas[0].sev_features = 0;
    b->plan.vmsas[0] = &b->vmsas[0];
    struct vm_config config = {
        .name = "vm", .plan = &b->plan, .policy = 5, .console = {bench_output, b}};
    assert_int_equal(platform_init_es(b->hv, &b->error), 0);
    b->vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(b->vm);
    assert_int_equal(vm_launch_start(b->vm, NULL, 0, NULL, 0, &b->error), 0);
    assert_int_equal(vm_launch_update(b->vm, &b->error), 0);
    assert_int_equal(vm_launch_update_vmsa(b->vm, &b->error), 0);
    assert_int_equal(vm_launch_finish(b->vm, &b->error), 0);
    *state = b;
    return 0;
}

static u64 send(struct bench *b)
{
    return deliver(b, GHCB_GPA);
}

/* --- Launch and VMCB -------------------------------------------------------------------------- */

static void registers_are_launched_after_all_data(void **state)
{
    struct bench *b = *state;
    static const u32 order[] = {
        SEV_CMD_INIT,         SEV_CMD_DF_FLUSH,           SEV_CMD_LAUNCH_START,
        SEV_CMD_ACTIVATE,     SEV_CMD_LAUNCH_UPDATE_DATA, SEV_CMD_LAUNCH_UPDATE_VMSA,
        SEV_CMD_LAUNCH_FINISH};
    assert_int_equal(b->host.command_count, ARRAY_SIZE(order));
    for (u32 i = 0; i < ARRAY_SIZE(order); i++)
        assert_int_equal(b->host.commands[i], order[i]);
    assert_int_equal(b->host.launched_size, 2 * PAGE_SIZE);
    assert_memory_equal(b->host.launched, b->bytes, PAGE_SIZE);
    assert_memory_equal(b->host.launched + PAGE_SIZE, &b->vmsas[0], PAGE_SIZE);
}

static bool passed_through(struct bench *b, u32 msr)
{
    u32 bit = (msr >= 0xc0010000 ? 2u : msr >= 0xc0000000 ? 1u : 0u) * 0x4000 + (msr & 0x1fff) * 2;
    return !(b->host.memory[b->vm->msrpm_spa + bit / 8] >> bit % 8 & 3);
}

static void the_vmcb_is_one_of_a_sev_es_guest(void **state)
{
    struct bench *b = *state;
    run_exit(b, EXIT_INTR, 0, 0);
    const struct vmcb_control *k = &b->host.seen.control;
    assert_int_equal(k->np_control, NP_ENABLE | NP_SEV | NP_SEV_ES);
    assert_int_equal(k->lbr_control, 1);
    assert_in_range(k->asid, 1, 9); /* the host gives 10 and up to guests without SEV-ES */
    assert_int_equal(k->ghcb_gpa, 2ull << 48 | 1ull << 32 | 51u << 24 | 1);
    assert_memory_equal(b->host.memory + k->vmsa, &b->vmsas[0], PAGE_SIZE);
    assert_true(passed_through(b, MSR_EFER) && passed_through(b, MSR_GHCB));
    assert_false(passed_through(b, MSR_APIC_BASE));
    assert_false(k->intercept_3 & INTERCEPT3_RDTSC);
    assert_int_equal(k->intercept_exceptions, 0);
    assert_false(k->intercept_cr_read | k->intercept_cr_write);
}

static void the_save_area_is_neither_believed_nor_written(void **state)
{
    struct bench *b = *state;
    static const struct vmcb_save nothing;
    run_exit(b, EXIT_INTR, 0, 0);
    assert_int_equal(b->vm->cpus[0].vmcb.save.rip, 0);
    assert_int_equal(b->vm->cpus[0].vmcb.save.efer, 0);
    assert_int_equal(b->host.seen.save.rip, nothing.rip);
    assert_int_equal(b->host.seen.save.rsp, nothing.rsp);
}

static void the_platform_gets_memory_for_sev_es_and_gives_it_back(void **state)
{
    struct bench *b = *state;
    u64 before = frames_free_bytes(&b->hv->frames);
    assert_int_equal(b->hv->tmr_spa % SEV_TMR_SIZE, 0);
    assert_int_equal(platform_shutdown(b->hv, &b->error), 0);
    assert_int_equal(frames_free_bytes(&b->hv->frames), before + MIB(2));
}

/* --- The MSR protocol ------------------------------------------------------------------------- */

static void the_msr_protocol_answers_what_it_knows(void **state)
{
    struct bench *b = *state;
    u32 cpuid[4];
    cpuid_answer(&b->vm->cpus[0], 0x8000001f, 0, cpuid);
    const struct {
        u64 request, answer;
    } rows[] = {
        {0x002, 2ull << 48 | 1ull << 32 | 51u << 24 | 1},
        {0x8000001full << 32 | 0x004, (u64)cpuid[0] << 32 | 0x005},
        {0x8000001full << 32 | 1u << 30 | 0x004, (u64)cpuid[1] << 32 | 1u << 30 | 0x005},
        {0x8000001full << 32 | 3u << 30 | 0x004, (u64)cpuid[3] << 32 | 3u << 30 | 0x005},
        {0x80000000ull << 32 | 1u << 12 | 0x004, 0x80000000ull << 32 | 1u << 12 | 0x004},
        {0x080, 0x081},
        {0x010, 0x010}, /* SNP's; unanswered */
        {0x012 | 5u << 12, 0x012 | 5u << 12},
        {0x014 | 1ull << 52, 0x014 | 1ull << 52},
        {0xf00, 0xf00},
        {0xfff, 0xfff},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(msr_protocol(b, rows[i].request), rows[i].answer);
    assert_true(cpuid[0] & BIT(3));
    assert_string_equal(end_of(b), "");
}

static void terminating_guests_are_quoted(void **state)
{
    struct bench *b = *state;
    msr_protocol(b, 0x100 | 1u << 12 | 2u << 16);
    assert_non_null(strstr(end_of(b), "PVALIDATE failed (set 1, reason 2, raw 0x21100)"));
}

static void reasons_nobody_knows_are_given_as_numbers(void **state)
{
    struct bench *b = *state;
    msr_protocol(b, 0x100 | 15u << 12 | 255u << 16);
    assert_non_null(strstr(end_of(b), "(set 15, reason 255"));
}

/* --- Requests in the page --------------------------------------------------------------------- */

static void cpuid_by_page_is_cpuid(void **state)
{
    struct bench *b = *state;
    u32 want[4];
    cpuid_answer(&b->vm->cpus[0], 1, 0, want);
    ask(b, EXIT_CPUID, 0, 0);
    SET(b, rax, 1);
    SET(b, rcx, 0);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.rax, want[0]);
    assert_int_equal(b->page.rbx, want[1]);
    assert_int_equal(b->page.rcx, want[2]);
    assert_int_equal(b->page.rdx, want[3]);
    assert_true(ghcb_valid(&b->page, GHCB_BIT(rbx)) && ghcb_valid(&b->page, GHCB_BIT(rdx)));
    assert_false(ghcb_valid(&b->page, GHCB_BIT(exit_code))); /* the request's flags are gone */
}

static void ports_by_page_reach_the_devices(void **state)
{
    struct bench *b = *state;
    ask(b, EXIT_IOIO, (u64)BOARD_UART_PORT << IOIO_PORT_SHIFT | 1u << IOIO_SIZE_SHIFT, 0);
    SET(b, rax, 0xffffff00 | 'x');
    assert_int_equal(send(b), GHCB_OK);
    assert_string_equal(b->output, "x");
    assert_false(ghcb_valid(&b->page, GHCB_BIT(rax)));
    ask(b, EXIT_IOIO,
        (u64)(BOARD_UART_PORT + 5) << IOIO_PORT_SHIFT | 1u << IOIO_SIZE_SHIFT | IOIO_IN, 0);
    assert_int_equal(send(b), GHCB_OK);
    assert_true(ghcb_valid(&b->page, GHCB_BIT(rax)));
    assert_int_equal(b->page.rax, 0x60); /* line status: transmitter empty; nothing else */
}

#define STRING_OUT                                                                                 \
    ((u64)BOARD_UART_PORT << IOIO_PORT_SHIFT | 1u << IOIO_SIZE_SHIFT | IOIO_STRING | IOIO_REP)

static void string_output_takes_its_bytes_from_the_buffer(void **state)
{
    struct bench *b = *state;
    ask(b, EXIT_IOIO, STRING_OUT, 5);
    memcpy(b->page.buffer + 7, "hello", 5);
    SET(b, scratch, GHCB_GPA + GHCB_BUFFER_OFFSET + 7);
    assert_int_equal(send(b), GHCB_OK);
    assert_string_equal(b->output, "hello");
}

static void string_input_puts_its_bytes_into_the_buffer_alone(void **state)
{
    struct bench *b = *state;
    ask(b, EXIT_IOIO,
        (u64)(BOARD_UART_PORT + 5) << IOIO_PORT_SHIFT | 1u << IOIO_SIZE_SHIFT | IOIO_STRING |
            IOIO_IN,
        3);
    SET(b, scratch, GHCB_GPA + GHCB_BUFFER_OFFSET + GHCB_BUFFER_SIZE - 3);
    assert_int_equal(send(b), GHCB_OK);
    assert_memory_equal(b->page.buffer + GHCB_BUFFER_SIZE - 4, "\0\x60\x60\x60", 4);
    assert_int_equal(b->page.version, 2);
}

static void version_1_may_keep_its_buffer_elsewhere(void **state)
{
    struct bench *b = *state;
    ask(b, EXIT_IOIO, STRING_OUT, 2);
    b->page.version = 1;
    vm_write(b->vm, 0x7ffe, "ok", 2);
    SET(b, scratch, 0x7ffe);
    assert_int_equal(send(b), GHCB_OK);
    assert_string_equal(b->output, "ok");
}

/* As much as KVM takes: 16 pages, wherever they begin. */
static void version_1_may_use_sixteen_pages(void **state)
{
    struct bench *b = *state;
    const u64 line_status = (u64)(BOARD_UART_PORT + 5) << IOIO_PORT_SHIFT;
    u8 last[2];
    for (u32 more = 0; more < 2; more++) {
        ask(b, EXIT_IOIO, line_status | 1u << IOIO_SIZE_SHIFT | IOIO_STRING | IOIO_IN,
            16 * PAGE_SIZE + more);
        b->page.version = 1;
        SET(b, scratch, 0x10800);
        assert_int_equal(send(b), more ? GHCB_MALFORMED : GHCB_OK);
        vm_read(b->vm, 0x10800 + 16 * PAGE_SIZE - 1, last, sizeof last);
        assert_memory_equal(last, "\x60\0", 2);
    }
    assert_int_equal(b->page.exit_info_2, GHCB_ERROR_SCRATCH);
}

static void devices_in_memory_are_read_and_written(void **state)
{
    struct bench *b = *state;
    ask(b, GHCB_EVENT_MMIO_WRITE, BOARD_IOAPIC, 4);
    store_le32(b->page.buffer, 1); /* select the version register */
    SET(b, scratch, GHCB_GPA + GHCB_BUFFER_OFFSET);
    assert_int_equal(send(b), GHCB_OK);
    ask(b, GHCB_EVENT_MMIO_READ, BOARD_IOAPIC + 0x10, 4);
    SET(b, scratch, GHCB_GPA + GHCB_BUFFER_OFFSET + 8);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.buffer[8], 0x11);
    assert_int_equal(b->page.buffer[12], 0);
}

static void an_unknown_msr_is_a_gp_in_the_answer(void **state)
{
    struct bench *b = *state;
    ask(b, EXIT_MSR, 0, 0);
    SET(b, rcx, 0x12345678);
    assert_int_equal(send(b), GHCB_EXCEPTION);
    assert_int_equal(b->page.exit_info_2, 0x80000b0d);
    run_exit(b, EXIT_INTR, 0, 0);
    assert_int_equal(b->host.seen.control.event_inject, 0); /* told once, not injected too */
}

static void msrs_are_written_and_read(void **state)
{
    struct bench *b = *state;
    ask(b, EXIT_MSR, 1, 0);
    SET(b, rcx, 0x250);
    SET(b, rax, 0x01020304);
    SET(b, rdx, 0x05060708);
    assert_int_equal(send(b), GHCB_OK);
    assert_false(ghcb_valid(&b->page, GHCB_BIT(rax)));
    ask(b, EXIT_MSR, 0, 0);
    SET(b, rcx, 0x250);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.rax, 0x01020304);
    assert_int_equal(b->page.rdx, 0x05060708);
}

static void what_is_small_is_answered(void **state)
{
    struct bench *b = *state;
    ask(b, EXIT_DR_WRITE + 7, 0, 0);
    SET(b, rax, 0x455);
    assert_int_equal(send(b), GHCB_OK);
    ask(b, EXIT_DR_READ + 7, 0, 0);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.rax, 0x455);
    ask(b, EXIT_RDTSC, 0, 0);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.rax | b->page.rdx << 32, b->host.now);
    ask(b, EXIT_WBINVD, 0, 0);
    assert_int_equal(send(b), GHCB_OK);
    ask(b, EXIT_VMMCALL, 0, 0);
    SET(b, rax, 5);
    assert_int_equal(send(b), GHCB_MALFORMED); /* who calls? */
    assert_int_equal(b->page.exit_info_2, GHCB_ERROR_MISSING_INPUT);
    ask(b, EXIT_VMMCALL, 0, 0);
    SET(b, rax, 5);
    SET(b, cpl, 3);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.rax, (u64)-1000);
    ask(b, EXIT_RDPMC, 0, 0);
    SET(b, rcx, 0);
    assert_int_equal(send(b), GHCB_EXCEPTION);
    ask(b, EXIT_MONITOR, 0, 0);
    SET(b, rax, 0);
    SET(b, rcx, 0);
    SET(b, rdx, 0);
    assert_int_equal(send(b), GHCB_EXCEPTION);
    assert_int_equal(b->page.exit_info_2, 0x80000306); /* #UD */
}

static void the_jump_table_is_kept_for_the_guest(void **state)
{
    struct bench *b = *state;
    ask(b, GHCB_EVENT_JUMP_TABLE, GHCB_JUMP_TABLE_GET, 0);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, 0);
    ask(b, GHCB_EVENT_JUMP_TABLE, GHCB_JUMP_TABLE_SET, 0x9000);
    assert_int_equal(send(b), GHCB_OK);
    ask(b, GHCB_EVENT_JUMP_TABLE, GHCB_JUMP_TABLE_GET, 0);
    assert_int_equal(send(b), GHCB_OK);
    assert_int_equal(b->page.exit_info_2, 0x9000);
}

/* --- Requests that are not as they should be -------------------------------------------------- */

static void malformed_requests_get_the_specifications_errors(void **state)
{
    struct bench *b = *state;
    enum { BUFFER = GHCB_GPA + GHCB_BUFFER_OFFSET };
    static const u64 in_8 = (u64)0x60 << IOIO_PORT_SHIFT | 1u << IOIO_SIZE_SHIFT | IOIO_IN;
    const struct {
        u64 code, info_1, info_2, scratch; /* scratch 0: not flagged */
        enum ghcb_error error;
    } rows[] = {
        {EXIT_CPUID, 0, 0, 0, GHCB_ERROR_MISSING_INPUT},
        {EXIT_MSR, 0, 0, 0, GHCB_ERROR_MISSING_INPUT},
        {EXIT_IOIO, in_8 & ~IOIO_IN, 0, 0, GHCB_ERROR_MISSING_INPUT},
        {EXIT_IOIO, in_8 & ~(7u << IOIO_SIZE_SHIFT), 0, 0, GHCB_ERROR_INPUT},
        {EXIT_IOIO, in_8 | 7u << IOIO_SIZE_SHIFT, 0, 0, GHCB_ERROR_INPUT},
        {EXIT_IOIO, in_8 | IOIO_STRING, 1, 0, GHCB_ERROR_MISSING_INPUT},
        {EXIT_IOIO, in_8 | IOIO_STRING, 1, BUFFER - 1, GHCB_ERROR_SCRATCH},
        {EXIT_IOIO, in_8 | IOIO_STRING, 2, BUFFER + GHCB_BUFFER_SIZE - 1, GHCB_ERROR_SCRATCH},
        {EXIT_IOIO, in_8 | IOIO_STRING, GHCB_BUFFER_SIZE + 1, BUFFER, GHCB_ERROR_SCRATCH},
        {EXIT_IOIO, in_8 | IOIO_STRING, ~0ull, BUFFER, GHCB_ERROR_SCRATCH},
        {EXIT_IOIO, in_8 | IOIO_STRING, 1, 0x7000, GHCB_ERROR_SCRATCH}, /* not in version 2 */
        {GHCB_EVENT_MMIO_READ, BOARD_IOAPIC, 3, BUFFER, GHCB_ERROR_INPUT},
        {GHCB_EVENT_MMIO_READ, BOARD_IOAPIC, 16, BUFFER, GHCB_ERROR_INPUT},
        {GHCB_EVENT_MMIO_READ, BOARD_IOAPIC, 4, ~0ull, GHCB_ERROR_SCRATCH},
        {GHCB_EVENT_MMIO_WRITE, BOARD_IOAPIC, 8, BUFFER + GHCB_BUFFER_SIZE - 4, GHCB_ERROR_SCRATCH},
        {GHCB_EVENT_JUMP_TABLE, 2, 0, 0, GHCB_ERROR_INPUT},
        {GHCB_EVENT_JUMP_TABLE, 0, 0x123, 0, GHCB_ERROR_INPUT},
        {GHCB_EVENT_PAGE_STATE, 0, 0, BUFFER, GHCB_ERROR_EVENT}, /* SNP's */
        {GHCB_EVENT_GUEST_REQUEST, 0, 0, 0, GHCB_ERROR_EVENT},
        {EXIT_HLT, 0, 0, 0, GHCB_ERROR_EVENT}, /* never asked for: an exit of its own */
        {EXIT_CPUID | BIT(32), 0, 0, 0, GHCB_ERROR_EVENT},
        {~0ull, 0, 0, 0, GHCB_ERROR_EVENT},
    };
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        ask(b, rows[i].code, rows[i].info_1, rows[i].info_2);
        if (rows[i].scratch)
            SET(b, scratch, rows[i].scratch);
        b->page.rax = b->page.rcx = 1; /* there, but not flagged */
        assert_int_equal(send(b), GHCB_MALFORMED);
        assert_int_equal(b->page.exit_info_2, rows[i].error);
    }
    assert_int_equal(b->vm->vmgexits[VMGEXIT_REFUSED], ARRAY_SIZE(rows));
    assert_string_equal(end_of(b), "");
    assert_int_equal(b->output_size, 0);
}

static void a_page_of_another_use_or_without_a_code_is_malformed(void **state)
{
    struct bench *b = *state;
    ask(b, EXIT_WBINVD, 0, 0);
    b->page.usage = 1;
    assert_int_equal(send(b), GHCB_MALFORMED);
    assert_int_equal(b->page.exit_info_2, GHCB_ERROR_USAGE);
    memset(&b->page, 0, sizeof b->page);
    assert_int_equal(send(b), GHCB_MALFORMED);
    assert_int_equal(b->page.exit_info_2, GHCB_ERROR_MISSING_INPUT);
}

static void a_page_outside_ram_ends_the_guest(void **state)
{
    struct bench *b = *state;
    msr_protocol(b, GUEST_MEMORY);
    assert_non_null(strstr(end_of(b), "no RAM"));
}

static void events_by_which_a_guest_gives_up_end_it(void **state)
{
    struct bench *b = *state;
    ask(b, GHCB_EVENT_UNSUPPORTED, 0x4d, 0);
    send(b);
    assert_non_null(strstr(end_of(b), "#VC 0x4d"));
}

/* --- Exits of their own ----------------------------------------------------------------------- */

static void a_device_access_is_marked_and_tried_again(void **state)
{
    struct bench *b = *state;
    run_exit(b, EXIT_NPF, NPF_USER | NPF_FINAL, BOARD_LAPIC + 0x30);
    assert_string_equal(end_of(b), "");
    u64 entry = b->vm->npt.root;
    for (u32 shift = 39; shift >= 21; shift -= 9)
        entry = load_le64(b->host.memory + (entry & PTE_ADDRESS & ~BIT(50)) +
                          (BOARD_LAPIC >> shift & 511) * 8);
    assert_true((entry & PTE_P) && (entry & PTE_PS) && (entry & BIT(50)));
    run_exit(b, EXIT_NPF, NPF_USER | NPF_FINAL | NPF_ENC, BOARD_PCI_WINDOW);
    assert_string_equal(end_of(b), ""); /* the guest's handler judges that */
}

static void what_should_be_vc_in_the_guest_is_no_exit(void **state)
{
    struct bench *b = *state;
    run_exit(b, EXIT_CPUID, 0, 0);
    assert_non_null(strstr(end_of(b), "0x72"));
}

static void write_traps_tell_the_control_registers(void **state)
{
    struct bench *b = *state;
    run_exit(b, EXIT_CR_WRITE_TRAP + 4, CR4_OSXSAVE, 0);
    assert_int_equal(b->vm->cpus[0].vmcb.save.cr4, CR4_OSXSAVE);
    run_exit(b, EXIT_EFER_WRITE_TRAP, EFER_NXE, 0);
    assert_int_equal(b->vm->cpus[0].vmcb.save.efer, EFER_NXE);
    run_exit(b, EXIT_CR_WRITE_TRAP + 8, 7, 0);
    assert_int_equal(lapic_cr8(b->vm->cpus[0].lapic), 7);
}

static void interrupts_wait_for_if_as_the_vmcb_tells_it(void **state)
{
    struct bench *b = *state;
    run_exit(b, EXIT_INTR, 0, 0);
    lapic_raise(b->vm->cpus[0].lapic, 0x55, false);
    b->next.control.interrupt_shadow = INTERRUPT_SHADOW_MASK; /* IF, at the exit */
    run_exit(b, EXIT_VINTR, 0, 0);
    assert_int_equal(b->host.seen.control.event_inject, 0);
    assert_true(b->host.seen.control.intercept_3 & INTERCEPT3_VINTR);
    run_exit(b, EXIT_INTR, 0, 0);
    assert_int_equal(b->host.seen.control.event_inject, 0x55 | EVENT_VALID);
}

static void hlt_waits_if_interrupts_are_on_and_ends_the_guest_otherwise(void **state)
{
    struct bench *b = *state;
    b->next.control.interrupt_shadow = INTERRUPT_SHADOW_MASK;
    run_exit(b, EXIT_HLT, 0, 0);
    assert_false(vcpu_can_run(&b->vm->cpus[0]));
    lapic_raise(b->vm->cpus[0].lapic, 0x55, false);
    assert_true(vcpu_can_run(&b->vm->cpus[0]));
    b->next.control.interrupt_shadow = 0;
    run_exit(b, EXIT_HLT, 0, 0);
    assert_non_null(strstr(end_of(b), "interrupts off"));
}

static void an_nmi_waits_until_the_last_one_is_complete(void **state)
{
    struct bench *b = *state;
    const u64 nmi = VECTOR_NMI | EVENT_NMI << EVENT_TYPE_SHIFT | EVENT_VALID;
    b->vm->cpus[0].nmi = true;
    run_exit(b, EXIT_INTR, 0, 0);
    assert_int_equal(b->host.seen.control.event_inject, nmi);
    b->vm->cpus[0].nmi = true;
    run_exit(b, EXIT_INTR, 0, 0);
    assert_int_equal(b->host.seen.control.event_inject, 0);
    ask(b, GHCB_EVENT_NMI_COMPLETE, 0, 0);
    assert_int_equal(send(b), GHCB_OK);
    run_exit(b, EXIT_INTR, 0, 0);
    assert_int_equal(b->host.seen.control.event_inject, nmi);
}

static void an_interrupted_int_instruction_is_not_injected(void **state)
{
    struct bench *b = *state;
    b->next.control.exit_int_info = 0x80 | EVENT_SOFTWARE << EVENT_TYPE_SHIFT | EVENT_VALID;
    run_exit(b, EXIT_INTR, 0, 0);
    b->next.control.exit_int_info = 0;
    run_exit(b, EXIT_INTR, 0, 0);
    assert_int_equal(b->host.seen.control.event_inject, 0);
}

static void requests_are_counted_by_kind(void **state)
{
    struct bench *b = *state;
    struct vm_summary s;
    msr_protocol(b, 0x002);
    ask(b, EXIT_IOIO, STRING_OUT, 0);
    SET(b, scratch, GHCB_GPA + GHCB_BUFFER_OFFSET);
    send(b);
    ask(b, EXIT_WBINVD, 0, 0);
    send(b);
    vm_get_summary(b->vm, &s);
    assert_int_equal(s.vmgexit_kinds, VMGEXIT_KINDS);
    for (u32 i = 0; i < s.vmgexit_kinds; i++)
        assert_int_equal(s.vmgexits[i].count, !strcmp(s.vmgexits[i].name, "msr_protocol") ||
                                                  !strcmp(s.vmgexits[i].name, "string_io") ||
                                                  !strcmp(s.vmgexits[i].name, "other"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(registers_are_launched_after_all_data),
        TEST(the_vmcb_is_one_of_a_sev_es_guest),
        TEST(the_save_area_is_neither_believed_nor_written),
        TEST(the_platform_gets_memory_for_sev_es_and_gives_it_back),
        TEST(the_msr_protocol_answers_what_it_knows),
        TEST(terminating_guests_are_quoted),
        TEST(reasons_nobody_knows_are_given_as_numbers),
        TEST(cpuid_by_page_is_cpuid),
        TEST(ports_by_page_reach_the_devices),
        TEST(string_output_takes_its_bytes_from_the_buffer),
        TEST(string_input_puts_its_bytes_into_the_buffer_alone),
        TEST(version_1_may_keep_its_buffer_elsewhere),
        TEST(version_1_may_use_sixteen_pages),
        TEST(devices_in_memory_are_read_and_written),
        TEST(an_unknown_msr_is_a_gp_in_the_answer),
        TEST(msrs_are_written_and_read),
        TEST(what_is_small_is_answered),
        TEST(the_jump_table_is_kept_for_the_guest),
        TEST(malformed_requests_get_the_specifications_errors),
        TEST(a_page_of_another_use_or_without_a_code_is_malformed),
        TEST(a_page_outside_ram_ends_the_guest),
        TEST(events_by_which_a_guest_gives_up_end_it),
        TEST(a_device_access_is_marked_and_tried_again),
        TEST(what_should_be_vc_in_the_guest_is_no_exit),
        TEST(write_traps_tell_the_control_registers),
        TEST(interrupts_wait_for_if_as_the_vmcb_tells_it),
        TEST(hlt_waits_if_interrupts_are_on_and_ends_the_guest_otherwise),
        TEST(an_nmi_waits_until_the_last_one_is_complete),
        TEST(an_interrupted_int_instruction_is_not_injected),
        TEST(requests_are_counted_by_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
