/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor on a host made of a few arrays: which mailbox commands it issues in which order,
 * what its tables map, how it answers exits. The host here knows no processor: each test says what
 * the next VMRUN comes back with.
 */
#include "rig.h"

/* --- A guest ---------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct bench *b = bench_create();
    for (size_t i = 0; i < sizeof b->bytes; i++)
        b->bytes[i] = (u8)(i * 7 + i / 256);
    b->plan = (struct image_plan){.memory_size = GUEST_MEMORY, .mode = IMAGE_SEV, .runnable = true};
    /* One piece across the boundary of two chunks, one whose end is zeros. */
    b->plan.pieces[0] = (struct image_piece){"first",  MIB(2) - PAGE_SIZE, 3 * PAGE_SIZE,
                                             b->bytes, sizeof b->bytes,    0};
    b->plan.pieces[1] = (struct image_piece){"second", MIB(4), 2 * PAGE_SIZE, b->bytes, 100, 0};
    b->plan.piece_count = 2;
    b->plan.registers.rip = 0x1000;
    b->plan.registers.efer = EFER_SVME | EFER_LME | EFER_LMA;
    b->plan.registers.cs.attributes = SEG_L;
    *state = b;
    return 0;
}

static struct vm *make(struct bench *b, bool sev)
{
    struct vm_config config = {
        .name = "vm", .plan = &b->plan, .policy = 1, .console = {bench_output, b}};
    b->plan.mode = sev ? IMAGE_SEV : IMAGE_NONE;
    b->vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(b->vm);
    return b->vm;
}

static void make_and_load(struct bench *b)
{
    make(b, false);
    assert_int_equal(vm_load(b->vm, &b->error), 0);
}

/* --- Launch ----------------------------------------------------------------------------------- */

static void a_launch_is_in_the_specifications_order(void **state)
{
    struct bench *b = *state;
    u8 measure[48], header[52] = {0}, secret[32] = {0};
    static const u32 order[] = {
        SEV_CMD_INIT,           SEV_CMD_DF_FLUSH,           SEV_CMD_LAUNCH_START,
        SEV_CMD_ACTIVATE,       SEV_CMD_LAUNCH_UPDATE_DATA, SEV_CMD_LAUNCH_UPDATE_DATA,
        SEV_CMD_LAUNCH_MEASURE, SEV_CMD_LAUNCH_SECRET,      SEV_CMD_LAUNCH_FINISH,
        SEV_CMD_DEACTIVATE,     SEV_CMD_DECOMMISSION,       SEV_CMD_DF_FLUSH,
    };
    assert_int_equal(platform_init(b->hv, &b->error), 0);
    assert_int_equal(b->host.wbinvds, 1);
    b->plan.secret_gpa = MIB(6);
    b->plan.secret_size = KIB(16);
    make(b, true);
    assert_int_equal(vm_launch_start(b->vm, "c", 1, "s", 1, &b->error), 0);
    assert_int_equal(vm_launch_update(b->vm, &b->error), 0);
    assert_int_equal(vm_launch_measure(b->vm, measure, &b->error), 0);
    assert_int_equal(vm_get_state(b->vm), VM_LOADING);
    assert_int_equal(vm_launch_secret(b->vm, header, secret, sizeof secret, &b->error), 0);
    assert_int_equal(vm_launch_finish(b->vm, &b->error), 0);
    assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
    vm_destroy(b->vm);
    assert_int_equal(b->host.command_count, ARRAY_SIZE(order));
    for (u32 i = 0; i < ARRAY_SIZE(order); i++)
        assert_int_equal(b->host.commands[i], order[i]);
}

static void what_is_launched_is_the_plans_bytes_in_order(void **state)
{
    struct bench *b = *state;
    make(b, true);
    assert_int_equal(vm_launch_start(b->vm, NULL, 0, NULL, 0, &b->error), 0);
    assert_int_equal(vm_launch_update(b->vm, &b->error), 0);
    assert_int_equal(b->host.launched_size, 5 * PAGE_SIZE);
    assert_memory_equal(b->host.launched, b->bytes, 3 * PAGE_SIZE);
    assert_memory_equal(b->host.launched + 3 * PAGE_SIZE, b->bytes, 100);
    for (size_t i = 3 * PAGE_SIZE + 100; i < b->host.launched_size; i++)
        assert_int_equal(b->host.launched[i], 0);
}

static void a_refusal_names_command_and_status(void **state)
{
    struct bench *b = *state;
    b->host.refuse = SEV_CMD_LAUNCH_START;
    make(b, true);
    assert_int_equal(vm_launch_start(b->vm, NULL, 0, NULL, 0, &b->error), -1);
    assert_int_equal(b->error.code, ERROR_FIRMWARE);
    assert_non_null(strstr(b->error.text, "LAUNCH_START"));
    assert_non_null(strstr(b->error.text, "POLICY_FAILURE"));
    vm_destroy(b->vm); /* never launched: nothing to undo */
    assert_int_equal(b->host.command_count, 1);
}

static void encrypted_and_plain_guests_have_asids_of_their_own(void **state)
{
    struct bench *b = *state;
    u32 one = vm_asid(make(b, true)), two = vm_asid(make(b, true));
    assert_in_range(one, 10, 20);
    assert_in_range(two, 10, 20);
    assert_int_not_equal(one, two);
    assert_in_range(vm_asid(make(b, false)), 21, 23);
}

/* A plain guest has no key: it takes what no encrypted guest can have first. */
static void plain_guests_take_asids_of_others_last(void **state)
{
    struct bench *b = *state;
    struct vm vm = {.hv = b->hv, .config = {.name = "vm", .plan = &b->plan}};
    b->plan.mode = IMAGE_NONE;
    static const u32 order[] = {21, 22, 23, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    for (u32 i = 0; i < ARRAY_SIZE(order); i++) {
        assert_int_equal(vm_take_asid(&vm, &b->error), 0);
        assert_int_equal(vm.asid, order[i]);
    }
    b->plan.mode = IMAGE_SEV;
    for (u32 asid = 11; asid <= 20; asid++)
        assert_int_equal(vm_take_asid(&vm, &b->error), 0);
    assert_int_equal(vm_take_asid(&vm, &b->error), -1);
    assert_non_null(strstr(b->error.text, "9 for SEV-ES and SNP, 11 for SEV"));
    vm.asid = 15;
    vm_give_asid(&vm);
    assert_int_equal(vm_take_asid(&vm, &b->error), 0);
    assert_int_equal(vm.asid, 15);
}

static void too_many_guests_are_refused_by_memory(void **state)
{
    struct bench *b = *state;
    struct vm_config config = {.name = "vm", .plan = &b->plan};
    u32 made = 0;
    while (vm_create(b->hv, &config, &b->error))
        made++;
    assert_int_equal(made, 3); /* 32 MiB less what the tables take */
    assert_int_equal(b->error.code, ERROR_MEMORY);
    vm_destroy(b->hv->vms[0].vm);
    b->error.code = ERROR_NONE;
    assert_non_null(vm_create(b->hv, &config, &b->error)); /* what was given back is there again */
}

/* --- Tables ----------------------------------------------------------------------------------- */

/* The walk of the processor: the SPA of a guest address, or FRAME_NONE. */
static u64 walk(struct bench *b, u64 gpa)
{
    u64 entry = b->vm->npt.root;
    for (u32 shift = 39; shift >= 21; shift -= 9) {
        entry = load_le64(b->host.memory + (entry & PTE_ADDRESS) + (gpa >> shift & 511) * 8);
        if (!(entry & PTE_P))
            return FRAME_NONE;
        assert_true((entry & PTE_US) && (entry & PTE_RW));
    }
    assert_true(entry & PTE_PS);
    return (entry & PTE_ADDRESS) + gpa % MIB(2);
}

static void nested_tables_map_ram_and_nothing_else(void **state)
{
    struct bench *b = *state;
    u64 left;
    make(b, false);
    for (u64 gpa = 0; gpa < GUEST_MEMORY; gpa += 0x7f000)
        assert_int_equal(walk(b, gpa), vm_spa(b->vm, gpa, &left));
    assert_int_equal(walk(b, GUEST_MEMORY), FRAME_NONE);
    assert_int_equal(walk(b, BOARD_LAPIC), FRAME_NONE);
    assert_int_equal(walk(b, BOARD_HIGH_RAM), FRAME_NONE);
    assert_int_equal(vm_spa(b->vm, GUEST_MEMORY, &left), FRAME_NONE);
}

static void guests_share_no_memory_with_each_other_or_the_tables(void **state)
{
    struct bench *b = *state;
    struct vm *one = make(b, false), *two = make(b, false);
    for (u64 i = 0; i < one->chunk_count; i++) {
        for (u64 j = 0; j < two->chunk_count; j++)
            assert_int_not_equal(one->chunks[i], two->chunks[j]);
        for (u32 j = 0; j < two->npt.page_count; j++)
            assert_int_not_equal(ALIGN_DOWN(two->npt.pages[j], (u64)MIB(2)), one->chunks[i]);
    }
}

/* --- Exits ------------------------------------------------------------------------------------ */

static void run_once(struct bench *b, void (*guest)(struct host *h, struct vmcb *vmcb))
{
    b->host.guest = guest;
    vcpu_run(&b->vm->cpus[0], b->host.now + 1000);
    b->host.guest = NULL;
}

static void guest_out(struct host *h, struct vmcb *v)
{
    (void)h;
    v->save.rax = 'x';
    v->control.exit_code = EXIT_IOIO;
    v->control.exit_info_1 = (u64)BOARD_UART_PORT << IOIO_PORT_SHIFT | 1u << IOIO_SIZE_SHIFT;
    v->control.exit_info_2 = v->save.rip + 1;
}

static void a_port_write_reaches_the_console_and_moves_rip(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_out);
    assert_string_equal(b->output, "x");
    assert_int_equal(b->vm->cpus[0].vmcb.save.rip, 0x1001);
}

static void guest_in_32(struct host *h, struct vmcb *v)
{
    (void)h;
    v->save.rax = ~0ull;
    v->control.exit_code = EXIT_IOIO;
    v->control.exit_info_1 = 0xcf8ull << IOIO_PORT_SHIFT | 4u << IOIO_SIZE_SHIFT | IOIO_IN;
    v->control.exit_info_2 = v->save.rip + 1;
}

static void a_32_bit_port_read_clears_the_upper_half_of_rax(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_in_32);
    assert_int_equal(b->vm->cpus[0].vmcb.save.rax >> 32, 0);
}

static void guest_rdmsr(struct host *h, struct vmcb *v)
{
    h->gpr[1] = 0x12345678;
    v->control.exit_code = EXIT_MSR;
    v->control.next_rip = v->save.rip + 2;
}

static void an_unknown_msr_is_gp_at_the_same_instruction(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_rdmsr);
    assert_int_equal(b->vm->cpus[0].vmcb.save.rip, 0x1000);
    run_once(b, NULL);
    assert_int_equal(b->host.seen.control.event_inject, VECTOR_GP |
                                                            EVENT_EXCEPTION << EVENT_TYPE_SHIFT |
                                                            EVENT_ERROR_CODE | EVENT_VALID);
}

static void guest_clears_svme(struct host *h, struct vmcb *v)
{
    h->gpr[1] = MSR_EFER;
    h->gpr[2] = 0;
    v->save.rax = EFER_LME | EFER_SCE;
    v->control.exit_code = EXIT_MSR;
    v->control.exit_info_1 = 1;
    v->control.next_rip = v->save.rip + 2;
}

static void a_guest_cannot_clear_svme(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_clears_svme);
    run_once(b, NULL);
    assert_true(b->host.seen.save.efer & EFER_SVME);
    assert_true(b->host.seen.save.efer & EFER_SCE);
}

static void guest_hlt_for_good(struct host *h, struct vmcb *v)
{
    (void)h;
    v->save.rflags = RFLAGS_ONE;
    v->control.exit_code = EXIT_HLT;
    v->control.next_rip = v->save.rip + 1;
}

static void halting_with_interrupts_off_ends_the_guest_with_a_word(void **state)
{
    struct bench *b = *state;
    struct vm_summary s;
    make_and_load(b);
    run_once(b, guest_hlt_for_good);
    vm_get_summary(b->vm, &s);
    assert_int_equal(s.state, VM_CRASHED);
    assert_non_null(strstr(s.reason, "interrupts off"));
}

/* --- Instructions that the core goes on with -------------------------------------------------- */

/* Exits for one access; once that is answered, the instruction is through. */
static void guest_asks(struct host *h, struct vmcb *v, u64 code, struct device_access a)
{
    if (h->answers) {
        v->control.exit_code = EXIT_INTR;
        return;
    }
    h->asks = true;
    h->access = a;
    v->control.exit_code = code;
    v->control.exit_info_1 = NPF_USER | NPF_FINAL | (a.write ? NPF_WRITE : 0);
    v->control.exit_info_2 = a.address;
}

static void guest_loads_from_ioapic(struct host *h, struct vmcb *v)
{
    guest_asks(h, v, EXIT_NPF, (struct device_access){.address = BOARD_IOAPIC + 0x10, .size = 4});
}

/* An NMI that has come meanwhile waits: the core still has the instruction. */
static void a_device_answers_and_nothing_comes_between(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    struct vcpu *c = &b->vm->cpus[0];
    assert_true(b->host.assists);
    mmio_write(c, BOARD_IOAPIC, 4, 1); /* select the version register */
    b->host.guest = guest_loads_from_ioapic;
    vcpu_run(c, b->host.now + 50);
    assert_int_equal(b->host.vmruns, 2);
    assert_int_equal(b->host.answer & 0xff, 0x11);
    assert_int_equal(c->vmcb.save.rip, 0x1000);
    b->host.answers = 0;
    c->nmi = true;
    c->completing = true;
    vcpu_run(c, b->host.now + 50);
    assert_int_equal(b->host.vmruns, 4);
    assert_int_equal(b->host.seen.control.event_inject, 0);
    vcpu_run(c, b->host.now + 50);
    assert_int_equal(b->host.seen.control.event_inject & 0xff, VECTOR_NMI);
}

/* The interrupt is often the answer to the access: it must not wait for the next exit. */
static void an_interrupt_comes_right_after_the_device_access(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    struct vcpu *c = &b->vm->cpus[0];
    c->completing = true;
    b->host.answers = 1;
    b->host.guest = guest_loads_from_ioapic;
    lapic_raise(c->lapic, 0x55, false);
    u64 before = b->host.now;
    vcpu_run(c, before + 1000000);
    assert_int_equal(b->host.seen.control.event_inject, 0);
    assert_true(b->host.now - before <= 100); /* back at once */
}

static void guest_touches_device_as_private(struct host *h, struct vmcb *v)
{
    guest_loads_from_ioapic(h, v);
    v->control.exit_info_1 |= NPF_ENC;
}

static void the_c_bit_of_an_access_to_a_device_means_nothing(void **state)
{
    struct bench *b = *state;
    make(b, true);
    assert_int_equal(vm_launch_start(b->vm, NULL, 0, NULL, 0, &b->error), 0);
    assert_int_equal(vm_launch_finish(b->vm, &b->error), 0);
    mmio_write(&b->vm->cpus[0], BOARD_IOAPIC, 4, 1);
    run_once(b, guest_touches_device_as_private);
    assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
    assert_int_equal(b->host.answer & 0xff, 0x11);
}

static void guest_writes_a_string(struct host *h, struct vmcb *v)
{
    guest_asks(
        h, v, EXIT_IOIO,
        (struct device_access){
            .address = BOARD_UART_PORT, .size = 1, .port = true, .write = true, .value = 's'});
    v->control.exit_info_1 = (u64)BOARD_UART_PORT << IOIO_PORT_SHIFT | 1u << IOIO_SIZE_SHIFT |
                             4u << IOIO_ASIZE_SHIFT | IOIO_STRING | IOIO_REP;
}

static void string_io_is_an_access_to_a_port(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_writes_a_string);
    assert_string_equal(b->output, "s");
    assert_int_equal(b->vm->cpus[0].vmcb.save.rip, 0x1000);
}

static void string_io_of_an_encrypted_guest_ends_it(void **state)
{
    struct bench *b = *state;
    struct vm_summary s;
    make(b, true);
    assert_int_equal(vm_launch_start(b->vm, NULL, 0, NULL, 0, &b->error), 0);
    assert_int_equal(vm_launch_finish(b->vm, &b->error), 0);
    run_once(b, guest_writes_a_string);
    vm_get_summary(b->vm, &s);
    assert_int_equal(s.state, VM_CRASHED);
    assert_non_null(strstr(s.reason, "cannot be read"));
    assert_int_equal(b->output_size, 0);
}

static void guest_writes_to_flash(struct host *h, struct vmcb *v)
{
    guest_asks(h, v, EXIT_NPF,
               (struct device_access){
                   .address = GIB(4) - PAGE_SIZE, .size = 4, .write = true, .value = 0x5a5a5a5a});
    v->control.exit_info_1 |= NPF_PRESENT;
}

static void guest_fetches_from_nowhere_in_flash(struct host *h, struct vmcb *v)
{
    h->answers = 0;
    guest_writes_to_flash(h, v);
    v->control.exit_info_1 |= NPF_TABLE;
}

static void flash_keeps_what_it_holds(void **state)
{
    struct bench *b = *state;
    b->plan.flash_size = MIB(2);
    b->plan.flash_gpa = GIB(4) - MIB(2);
    b->plan.pieces[1] =
        (struct image_piece){"flash", GIB(4) - PAGE_SIZE, PAGE_SIZE, b->bytes, PAGE_SIZE, 0};
    make_and_load(b);
    u64 entry = b->vm->npt.root;
    for (u32 shift = 39; shift >= 21; shift -= 9)
        entry =
            load_le64(b->host.memory + (entry & PTE_ADDRESS) + ((GIB(4) - 1) >> shift & 511) * 8);
    assert_true((entry & PTE_P) && (entry & PTE_PS) && !(entry & PTE_RW));
    run_once(b, guest_writes_to_flash);
    assert_int_equal(vm_get_state(b->vm), VM_RUNNABLE);
    assert_int_equal(b->host.answers, 1);
    assert_int_equal(mmio_read(&b->vm->cpus[0], GIB(4) - PAGE_SIZE, 4), load_le32(b->bytes));
    run_once(b, guest_fetches_from_nowhere_in_flash);
    assert_int_equal(vm_get_state(b->vm), VM_CRASHED);
}

static void keep_event(void *context, const struct trace_event *event)
{
    char *kept = context;
    if (!strcmp(event->name, "FIRMWARE"))
        snprintf(kept + strlen(kept), 200, "%s;", event->text);
}

static void lines_of_firmware_go_to_the_trace(void **state)
{
    struct bench *b = *state;
    static char kept[600];
    struct trace_sink sink = {.event = keep_event, .context = kept};
    b->plan.flash_size = MIB(2);
    b->plan.flash_gpa = GIB(4) - MIB(2);
    b->plan.piece_count = 1;
    b->host.trace.enabled = 1u << TRACE_DEVICE;
    trace_add_sink(&b->host.trace, &sink);
    make_and_load(b);
    struct board *board = b->vm->board;
    assert_int_equal(board_port_read(board, 0x402, 1), 0xe9);
    for (const char *c = "PEI\r\n\n\"\x1b"; *c; c++)
        board_port_write(board, 0x402, 1, (u8)*c);
    assert_string_equal(kept, "vm=vm text=\"PEI\";");
    for (u32 i = 0; i < BOARD_FIRMWARE_LINE_MAX; i++)
        board_port_write(board, 0x402, 1, 'x');
    assert_non_null(strstr(kept, ";vm=vm text=\"'?xxx"));
    assert_null(strchr(strchr(strchr(kept, ';') + 1, ';') + 1, ';'));
}

static void firmware_finds_items_and_its_board(void **state)
{
    struct bench *b = *state;
    b->plan.flash_size = MIB(2);
    b->plan.flash_gpa = GIB(4) - MIB(2);
    b->plan.piece_count = 1;
    b->plan.items[0] = (struct image_item){0, "etc/e820", b->bytes, 20};
    b->plan.items[1] = (struct image_item){0x15, NULL, "quiet", 6};
    b->plan.item_count = 2;
    make_and_load(b);
    struct board *board = b->vm->board;
    board_port_write(board, 0x510, 2, 0x15);
    assert_int_equal(board_port_read(board, 0x511, 1), 'q');
    board_port_write(board, 0x510, 2, 0x19);
    assert_int_equal(board_port_read(board, 0x511, 1), 0); /* one file, big-endian */
    board_port_write(board, 0xcf8, 4, 0x80000000);
    assert_int_equal(board_port_read(board, 0xcfc, 4), 0x12378086);
    board_port_write(board, 0xcf8, 4, 0x80000b40); /* function 3 of slot 1: where the timer is */
    assert_int_equal(board_port_read(board, 0xcfc, 4), BOARD_PM_PORT | 1);
}

/* A kernel that is loaded directly finds the ranges as firmware sets them; firmware finds them
 * off. */
static void memory_type_ranges_are_off_after_a_reset(void **state)
{
    struct bench *b = *state;
    u64 value = 1;
    make_and_load(b);
    assert_true(vcpu_msr_read(&b->vm->cpus[0], 0x2ff, &value));
    assert_int_equal(value, 0xc06);
    vm_destroy(b->vm);
    b->plan.flash_size = MIB(2);
    b->plan.flash_gpa = GIB(4) - MIB(2);
    b->plan.piece_count = 1;
    make_and_load(b);
    for (u32 msr = 0x250; msr <= 0x26f; msr++) {
        if (vcpu_msr_read(&b->vm->cpus[0], msr, &value))
            assert_int_equal(value, 0);
    }
    assert_true(vcpu_msr_read(&b->vm->cpus[0], 0x2ff, &value));
    assert_int_equal(value, 0);
}

static u64 exit_code, exit_rip;
static u8 exit_shadow;

static void guest_exits_there(struct host *h, struct vmcb *v)
{
    (void)h;
    v->control.exit_code = exit_code;
    v->control.interrupt_shadow = exit_shadow;
    v->save.rip = exit_rip;
}

static u64 injected(struct bench *b, u64 code, u64 rip, u8 shadow)
{
    exit_code = code;
    exit_rip = rip;
    exit_shadow = shadow;
    run_once(b, guest_exits_there);
    u64 event = b->host.seen.control.event_inject;
    return event & EVENT_VALID ? event & 0xff : 0;
}

/* While one NMI is handled another is kept, no more, until the IRET has retired [APM2 8.2.3]. */
static void an_nmi_waits_for_the_one_before_it(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    struct vcpu *c = &b->vm->cpus[0];
    c->nmi = true;
    assert_int_equal(injected(b, EXIT_INTR, 0x1000, 0), VECTOR_NMI);
    assert_true(b->host.seen.control.intercept_3 & INTERCEPT3_IRET);
    c->nmi = true;
    assert_int_equal(injected(b, EXIT_INTR, 0x1004, 0), 0);
    assert_int_equal(injected(b, EXIT_IRET, 0x1008, 0), 0);
    assert_int_equal(injected(b, EXIT_INTR, 0x1008, 0), 0); /* it is still to retire */
    assert_false(b->host.seen.control.intercept_3 & INTERCEPT3_IRET);
    assert_int_equal(injected(b, EXIT_INTR, 0x1000, 0), 0);
    assert_int_equal(injected(b, EXIT_INTR, 0x1000, 0), VECTOR_NMI);
    assert_int_equal(injected(b, EXIT_INTR, 0x1000, 0), 0);
}

static void an_nmi_waits_for_the_end_of_a_shadow(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    struct vcpu *c = &b->vm->cpus[0];
    assert_int_equal(injected(b, EXIT_INTR, 0x1000, INTERRUPT_SHADOW), 0);
    c->nmi = true;
    u64 before = b->host.now;
    assert_int_equal(injected(b, EXIT_INTR, 0x1001, 0), 0);
    assert_true(b->host.now - before <= 100); /* back at once */
    assert_int_equal(injected(b, EXIT_INTR, 0x1001, 0), VECTOR_NMI);
}

static void guest_with_if_clear(struct host *h, struct vmcb *v)
{
    (void)h;
    v->save.rflags = RFLAGS_ONE;
    v->control.exit_code = EXIT_INTR;
}

static void guest_opens_window(struct host *h, struct vmcb *v)
{
    (void)h;
    v->save.rflags = RFLAGS_ONE | RFLAGS_IF;
    v->control.exit_code = EXIT_VINTR;
}

static void an_interrupt_waits_for_the_window_and_is_injected_then(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_with_if_clear);
    lapic_raise(b->vm->cpus[0].lapic, 0x55, false);
    run_once(b, guest_opens_window);
    assert_int_equal(b->host.seen.control.event_inject, 0);
    assert_true(b->host.seen.control.v_intr & V_INTR_IRQ);
    assert_true(b->host.seen.control.intercept_3 & INTERCEPT3_VINTR);
    run_once(b, NULL);
    assert_int_equal(b->host.seen.control.event_inject, 0x55 | EVENT_VALID);
    assert_false(b->host.seen.control.intercept_3 & INTERCEPT3_VINTR);
}

static void guest_exits_during_delivery(struct host *h, struct vmcb *v)
{
    (void)h;
    v->control.exit_code = EXIT_INTR;
    v->control.exit_int_info = 0x77 | EVENT_VALID;
}

static void an_event_that_an_exit_interrupted_is_injected_again(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_exits_during_delivery);
    run_once(b, NULL);
    assert_int_equal(b->host.seen.control.event_inject, 0x77 | EVENT_VALID);
    run_once(b, NULL);
    assert_int_equal(b->host.seen.control.event_inject, 0);
}

static void guest_exits_in_int80(struct host *h, struct vmcb *v)
{
    (void)h;
    v->control.exit_code = EXIT_INTR;
    v->control.exit_int_info = 0x80 | EVENT_SOFTWARE << EVENT_TYPE_SHIFT | EVENT_VALID;
}

/* RIP is still at the INT, and nRIP, which an injection would need, does not come with such an
 * exit. */
static void an_int_that_an_exit_interrupted_comes_again_by_itself(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_exits_in_int80);
    run_once(b, NULL);
    assert_int_equal(b->host.seen.control.event_inject, 0);
}

static void guest_steps_over_cpuid(struct host *h, struct vmcb *v)
{
    h->gpr[1] = 0;
    v->control.exit_code = EXIT_CPUID;
    v->control.next_rip = v->save.rip + 2;
    v->save.rflags = RFLAGS_ONE | RFLAGS_TF | RFLAGS_RF;
    v->save.dr6 = 0xffff0ff0;
}

/* An instruction that is done for a guest ends as it would by itself. */
static void a_single_step_traps_behind_an_instruction_done_by_the_host(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    run_once(b, guest_steps_over_cpuid);
    run_once(b, NULL);
    assert_int_equal(b->host.seen.control.event_inject,
                     VECTOR_DB | EVENT_EXCEPTION << EVENT_TYPE_SHIFT | EVENT_VALID);
    assert_int_equal(b->host.seen.save.dr6, 0xffff0ff0 | DR6_BS);
    assert_int_equal(b->host.seen.save.rflags, RFLAGS_ONE | RFLAGS_TF);
}

static void guest_asks_cpuid(struct host *h, struct vmcb *v)
{
    h->gpr[1] = 0;
    v->control.exit_code = EXIT_CPUID;
    v->control.next_rip = v->save.rip + 2;
}

static u32 ask(struct bench *b, u32 leaf, u32 reg)
{
    u32 out[4];
    cpuid_answer(&b->vm->cpus[0], leaf, 0, out);
    return out[reg];
}

static void cpuid_shows_a_guest_no_svm_and_sev_only_if_it_has_it(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    assert_false(ask(b, 0x80000001, 2) & 4);
    assert_true(ask(b, 1, 2) & BIT(31));
    assert_int_equal(ask(b, 0x8000001f, 0), 0);
    assert_int_equal(ask(b, 0x40000000, 1), load_le32("KVMK"));
    b->vm->cpus[0].vmcb.save.rax = 0x40000000;
    run_once(b, guest_asks_cpuid);
    assert_int_equal(b->vm->cpus[0].vmcb.save.rip, 0x1002);
    make(b, true);
    assert_true(ask(b, 0x8000001f, 0) & 2);
    assert_int_equal(ask(b, 0x8000001f, 1) & 63, 51);
}

static void two_guests_take_turns(void **state)
{
    struct bench *b = *state;
    make_and_load(b);
    struct vm *one = b->vm;
    make_and_load(b);
    assert_true(hypervisor_run(b->hv, 10000000));
    struct vm_summary first, second;
    vm_get_summary(one, &first);
    vm_get_summary(b->vm, &second);
    assert_int_equal(first.guest_ns, 5000000);
    assert_int_equal(second.guest_ns, 5000000);
}

static void guest_with_a_code_nobody_asked_for(struct host *h, struct vmcb *v)
{
    (void)h;
    v->control.exit_code = 0x5d;
}

static void an_unexpected_exit_ends_the_guest_with_its_number(void **state)
{
    struct bench *b = *state;
    struct vm_summary s;
    make_and_load(b);
    run_once(b, guest_with_a_code_nobody_asked_for);
    vm_get_summary(b->vm, &s);
    assert_int_equal(s.state, VM_CRASHED);
    assert_non_null(strstr(s.reason, "0x5d"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_launch_is_in_the_specifications_order),
        TEST(what_is_launched_is_the_plans_bytes_in_order),
        TEST(a_refusal_names_command_and_status),
        TEST(encrypted_and_plain_guests_have_asids_of_their_own),
        TEST(plain_guests_take_asids_of_others_last),
        TEST(too_many_guests_are_refused_by_memory),
        TEST(nested_tables_map_ram_and_nothing_else),
        TEST(guests_share_no_memory_with_each_other_or_the_tables),
        TEST(a_port_write_reaches_the_console_and_moves_rip),
        TEST(a_32_bit_port_read_clears_the_upper_half_of_rax),
        TEST(an_unknown_msr_is_gp_at_the_same_instruction),
        TEST(a_guest_cannot_clear_svme),
        TEST(halting_with_interrupts_off_ends_the_guest_with_a_word),
        TEST(a_device_answers_and_nothing_comes_between),
        TEST(an_interrupt_comes_right_after_the_device_access),
        TEST(the_c_bit_of_an_access_to_a_device_means_nothing),
        TEST(string_io_is_an_access_to_a_port),
        TEST(string_io_of_an_encrypted_guest_ends_it),
        TEST(flash_keeps_what_it_holds),
        TEST(lines_of_firmware_go_to_the_trace),
        TEST(firmware_finds_items_and_its_board),
        TEST(memory_type_ranges_are_off_after_a_reset),
        TEST(an_nmi_waits_for_the_one_before_it),
        TEST(an_nmi_waits_for_the_end_of_a_shadow),
        TEST(an_interrupt_waits_for_the_window_and_is_injected_then),
        TEST(an_event_that_an_exit_interrupted_is_injected_again),
        TEST(an_int_that_an_exit_interrupted_comes_again_by_itself),
        TEST(a_single_step_traps_behind_an_instruction_done_by_the_host),
        TEST(cpuid_shows_a_guest_no_svm_and_sev_only_if_it_has_it),
        TEST(two_guests_take_turns),
        TEST(an_unexpected_exit_ends_the_guest_with_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
