/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests in a GHCB: the page is copied once, checked, and answered [cpu 7.2-7.4]. A request for
 * an instruction goes to the handler of the plain exit; the fields that the guest flagged as valid
 * become the registers, and every other register reads as zero. The page is hostile: a malformed
 * request gets the specification's error answer.
 */
#include "hypervisor/internal.h"

struct vmgexit {
    struct vcpu *cpu;
    struct vm *vm;
    struct ghcb page; /* the guest's page at the exit; then the answer */
    u8 valid[16];     /* the fields that the guest flagged as valid */
    u64 gpa;
    u64 info_2;  /* answer: SW_EXITINFO2 */
    u32 outputs; /* answer: one bit per general register */
    /* The area that SW_SCRATCH points to: in `page`, or for version 1 a copy in hv->scratch. */
    u8 *scratch;
    u64 scratch_size;
    bool scratch_changed;
};

/* In the order of the registers' encodings. */
static const u16 gpr_offset[GPRS] = {
    offsetof(struct ghcb, rax),        offsetof(struct ghcb, rcx),
    offsetof(struct ghcb, rdx),        offsetof(struct ghcb, rbx),
    offsetof(struct ghcb, rsp),        offsetof(struct ghcb, rbp),
    offsetof(struct ghcb, rsi),        offsetof(struct ghcb, rdi),
    offsetof(struct ghcb, r8_15),      offsetof(struct ghcb, r8_15) + 8,
    offsetof(struct ghcb, r8_15) + 16, offsetof(struct ghcb, r8_15) + 24,
    offsetof(struct ghcb, r8_15) + 32, offsetof(struct ghcb, r8_15) + 40,
    offsetof(struct ghcb, r8_15) + 48, offsetof(struct ghcb, r8_15) + 56,
};

static bool flagged(const struct vmgexit *r, size_t bit)
{
    return r->valid[bit / 8] >> bit % 8 & 1;
}

/* Loads the page's general registers into the virtual processor. Returns false if one of them is
 * not valid. */
static bool load(struct vmgexit *r, u32 registers)
{
    for (u32 i = 0; i < GPRS; i++) {
        if (!(registers >> i & 1))
            continue;
        if (!flagged(r, gpr_offset[i] / 8))
            return false;
        vcpu_set(r->cpu, i, load_le64((const u8 *)&r->page + gpr_offset[i]));
    }
    return true;
}

static void store(struct vmgexit *r, u32 registers)
{
    for (u32 i = 0; i < GPRS; i++) {
        if (registers >> i & 1) {
            store_le64((u8 *)&r->page + gpr_offset[i], vcpu_get(r->cpu, i));
            ghcb_set_valid(&r->page, gpr_offset[i] / 8);
        }
    }
}

/* --- The scratch area ------------------------------------------------------------------------- */

/* Finds the scratch area in the page's buffer. A guest of version 1 may also use other RAM of its
 * own. */
static enum ghcb_error find_scratch(struct vmgexit *r, u64 size)
{
    u64 at = r->page.scratch;
    u8 *outside = r->vm->hv->scratch;
    if (!flagged(r, GHCB_BIT(scratch)))
        return GHCB_ERROR_MISSING_INPUT;
    r->scratch_size = size;
    if (at >= r->gpa && at - r->gpa < PAGE_SIZE) {
        if (at - r->gpa < GHCB_BUFFER_OFFSET ||
            !range_fits(at - r->gpa - GHCB_BUFFER_OFFSET, size, GHCB_BUFFER_SIZE))
            return GHCB_ERROR_SCRATCH;
        r->scratch = r->page.buffer + (at - r->gpa - GHCB_BUFFER_OFFSET);
        return 0;
    }
    if (r->page.version != 1 || size > GHCB_SCRATCH_MAX || !vm_read(r->vm, at, outside, size))
        return GHCB_ERROR_SCRATCH;
    r->scratch = outside;
    return 0;
}

/* --- Events for instructions ------------------------------------------------------------------ */

static enum ghcb_error do_nothing(struct vmgexit *r)
{
    (void)r;
    return 0;
}

static enum ghcb_error do_undefined(struct vmgexit *r)
{
    exits_undefined(r->cpu);
    return 0;
}

static enum ghcb_error do_protected(struct vmgexit *r)
{
    exits_protected(r->cpu);
    return 0;
}

/* Leaf D depends on XCR0, so the guest must provide XCR0. */
static enum ghcb_error do_cpuid(struct vmgexit *r)
{
    if ((u32)vcpu_get(r->cpu, RAX) == 0xd && !flagged(r, GHCB_BIT(xcr0)))
        return GHCB_ERROR_MISSING_INPUT;
    if (flagged(r, GHCB_BIT(xcr0)))
        r->cpu->xcr0 = r->page.xcr0;
    exits_cpuid(r->cpu);
    return 0;
}

static enum ghcb_error do_msr(struct vmgexit *r)
{
    bool write = r->page.exit_info_1 & 1;
    if (r->page.exit_info_1 > 1)
        return GHCB_ERROR_INPUT;
    if (write && !load(r, BIT(RAX) | BIT(RDX)))
        return GHCB_ERROR_MISSING_INPUT;
    r->outputs = write ? 0 : r->outputs;
    exits_msr(r->cpu);
    return 0;
}

/* VMMCALL also requires the CPL. Arguments that are not valid read as zero. */
static enum ghcb_error do_vmmcall(struct vmgexit *r)
{
    if (!flagged(r, GHCB_BIT(cpl)))
        return GHCB_ERROR_MISSING_INPUT;
    for (u32 reg = RCX; reg <= RBX; reg++)
        load(r, 1u << reg);
    r->cpu->vmcb.save.cpl = r->page.cpl;
    exits_vmmcall(r->cpu);
    return 0;
}

static enum ghcb_error do_time(struct vmgexit *r)
{
    u64 now = host_time_ns(r->vm->hv->host);
    vcpu_set(r->cpu, RAX, now & 0xffffffff);
    vcpu_set(r->cpu, RDX, now >> 32);
    vcpu_set(r->cpu, RCX, 0); /* for RDTSCP: TSC_AUX is in the VMSA, if the guest has it at all */
    return 0;
}

static enum ghcb_error do_dr7_read(struct vmgexit *r)
{
    vcpu_set(r->cpu, RAX, r->cpu->vmcb.save.dr7);
    return 0;
}

static enum ghcb_error do_dr7_write(struct vmgexit *r)
{
    r->cpu->vmcb.save.dr7 = vcpu_get(r->cpu, RAX);
    return 0;
}

/* --- Ports ------------------------------------------------------------------------------------ */

/* INS and OUTS: the elements are in the scratch area; the guest updates its memory and registers
 * itself. */
static enum ghcb_error do_string_io(struct vmgexit *r, u64 port, u32 size)
{
    struct vm *vm = r->vm;
    bool in = r->page.exit_info_1 & IOIO_IN;
    u64 count = r->page.exit_info_2;
    vm->vmgexits[VMGEXIT_STRING_IO]++;
    vm->vmgexits[VMGEXIT_IO]--;
    r->outputs = 0;
    if (count > GHCB_SCRATCH_MAX / size)
        return GHCB_ERROR_SCRATCH;
    enum ghcb_error error = find_scratch(r, count * size);
    for (u64 i = 0; !error && i < count; i++) {
        u8 bytes[4] = {0}, *element = r->scratch + i * size;
        exits_spend_port(r->cpu);
        if (in) {
            store_le32(bytes, (u32)board_port_read(vm->board, port, size));
            memcpy(element, bytes, size);
            r->scratch_changed = true;
        } else {
            memcpy(bytes, element, size);
            board_port_write(vm->board, port, size, load_le32(bytes));
        }
    }
    return error;
}

static enum ghcb_error do_io(struct vmgexit *r)
{
    u64 info = r->page.exit_info_1;
    u32 size = (u32)(info >> IOIO_SIZE_SHIFT & 7);
    if (size != 1 && size != 2 && size != 4)
        return GHCB_ERROR_INPUT;
    if (info & IOIO_STRING)
        return do_string_io(r, info >> IOIO_PORT_SHIFT & 0xffff, size);
    if (!(info & IOIO_IN) && !load(r, BIT(RAX)))
        return GHCB_ERROR_MISSING_INPUT;
    r->outputs = info & IOIO_IN ? r->outputs : 0;
    exits_spend_port(r->cpu);
    exits_io_register(r->cpu);
    return 0;
}

/* --- Memory-mapped registers ------------------------------------------------------------------ */

static enum ghcb_error find_mmio(struct vmgexit *r)
{
    u64 size = r->page.exit_info_2;
    if (size != 1 && size != 2 && size != 4 && size != 8)
        return GHCB_ERROR_INPUT;
    return find_scratch(r, size);
}

static enum ghcb_error do_mmio_read(struct vmgexit *r)
{
    u8 bytes[8];
    enum ghcb_error error = find_mmio(r);
    if (error)
        return error;
    store_le64(bytes, mmio_read(r->cpu, r->page.exit_info_1, (u32)r->scratch_size));
    memcpy(r->scratch, bytes, r->scratch_size);
    r->scratch_changed = true;
    return 0;
}

static enum ghcb_error do_mmio_write(struct vmgexit *r)
{
    u8 bytes[8] = {0};
    enum ghcb_error error = find_mmio(r);
    if (error)
        return error;
    memcpy(bytes, r->scratch, r->scratch_size);
    mmio_write(r->cpu, r->page.exit_info_1, (u32)r->scratch_size, load_le64(bytes));
    return 0;
}

/* --- Events without an instruction ------------------------------------------------------------ */

static enum ghcb_error do_nmi_complete(struct vmgexit *r)
{
    r->cpu->nmi_blocked = false;
    return 0;
}

static enum ghcb_error do_reset_hold(struct vmgexit *r)
{
    startup_hold(r->cpu, r->gpa); /* INFO2 becomes 1 with STARTUP */
    return 0;
}

static enum ghcb_error do_jump_table(struct vmgexit *r)
{
    if (r->page.exit_info_1 == GHCB_JUMP_TABLE_GET) {
        r->info_2 = r->vm->jump_table;
        return 0;
    }
    if (r->page.exit_info_1 != GHCB_JUMP_TABLE_SET || r->page.exit_info_2 & PAGE_MASK)
        return GHCB_ERROR_INPUT;
    r->vm->jump_table = r->page.exit_info_2;
    return 0;
}

static enum ghcb_error do_features(struct vmgexit *r)
{
    r->info_2 = ghcb_features(r->vm);
    return 0;
}

static enum ghcb_error do_run_vmpl(struct vmgexit *r)
{
    return r->page.exit_info_1 ? GHCB_ERROR_INPUT : 0; /* only 0 exists */
}

/* --- SNP -------------------------------------------------------------------------------------- */

/* The list's header gives its length, which the buffer limits. */
static enum ghcb_error do_page_state(struct vmgexit *r)
{
    enum ghcb_error error = find_scratch(r, sizeof(struct ghcb_page_state_header));
    if (error)
        return error;
    if (r->scratch == r->vm->hv->scratch)
        return GHCB_ERROR_SCRATCH;
    u64 room = GHCB_BUFFER_SIZE - (u64)(r->scratch - r->page.buffer);
    r->scratch_size = room;
    r->info_2 = ghcb_page_state_list(r->cpu, r->scratch, room);
    r->scratch_changed = true;
    return 0;
}

static enum ghcb_error do_guest_request(struct vmgexit *r)
{
    return ghcb_guest_request(r->cpu, r->page.exit_info_1, r->page.exit_info_2, &r->info_2);
}

/* Only reports come with certificates: other messages need no pages for them. */
static enum ghcb_error do_extended_guest_request(struct vmgexit *r)
{
    if (!ghcb_asks_for_report(r->vm, r->page.exit_info_1)) {
        r->outputs = 0;
        return do_guest_request(r);
    }
    if (!load(r, BIT(RAX) | BIT(RBX)))
        return GHCB_ERROR_MISSING_INPUT;
    u64 pages = vcpu_get(r->cpu, RBX);
    enum ghcb_error error =
        ghcb_extended_guest_request(r->cpu, r->page.exit_info_1, r->page.exit_info_2,
                                    vcpu_get(r->cpu, RAX), &pages, &r->info_2);
    vcpu_set(r->cpu, RBX, pages);
    return error;
}

static enum ghcb_error do_apic_ids(struct vmgexit *r)
{
    u64 pages = vcpu_get(r->cpu, RAX);
    enum ghcb_error error = ghcb_apic_ids(r->cpu, r->page.exit_info_1, &pages);
    vcpu_set(r->cpu, RAX, pages);
    return error;
}

static enum ghcb_error do_ap_creation(struct vmgexit *r)
{
    u64 info = r->page.exit_info_1;
    if (GHCB_AP_OPERATION(info) != GHCB_AP_DESTROY && !load(r, BIT(RAX)))
        return GHCB_ERROR_MISSING_INPUT;
    return startup_create(r->vm, info, r->page.exit_info_2, vcpu_get(r->cpu, RAX));
}

static enum ghcb_error do_terminate(struct vmgexit *r)
{
    u64 info = r->page.exit_info_1;
    ghcb_terminate(r->vm, (u32)BITS(info, 3, 0), (u32)BITS(info, 11, 4), r->page.exit_info_2);
    return 0;
}

static enum ghcb_error do_unsupported(struct vmgexit *r)
{
    vm_end(r->vm, VM_CRASHED, "the guest met #VC %#llx and does not know what to do with it",
           (unsigned long long)r->page.exit_info_1);
    return 0;
}

/* --- The table -------------------------------------------------------------------------------- */

#define R(reg) (1u << (reg))

struct row {
    u64 code;
    enum vmgexit_kind kind;
    u32 inputs, outputs; /* general registers: required in the request; valid in the answer */
    enum ghcb_error (*handle)(struct vmgexit *r);
};

// clang-format off
static const struct row rows[] = {
    {EXIT_IOIO,               VMGEXIT_IO,           0,                        R(RAX),                            do_io},
    {GHCB_EVENT_MMIO_READ,    VMGEXIT_MMIO,         0,                        0,                                 do_mmio_read},
    {GHCB_EVENT_MMIO_WRITE,   VMGEXIT_MMIO,         0,                        0,                                 do_mmio_write},
    {EXIT_MSR,                VMGEXIT_MSR,          R(RCX),                   R(RAX) | R(RDX),                   do_msr},
    {EXIT_CPUID,              VMGEXIT_CPUID,        R(RAX) | R(RCX),          R(RAX) | R(RBX) | R(RCX) | R(RDX), do_cpuid},
    {EXIT_DR_READ + 7,        VMGEXIT_DR7,          0,                        R(RAX),                            do_dr7_read},
    {EXIT_DR_WRITE + 7,       VMGEXIT_DR7,          R(RAX),                   0,                                 do_dr7_write},
    {EXIT_RDTSC,              VMGEXIT_TIME,         0,                        R(RAX) | R(RDX),                   do_time},
    {EXIT_RDTSCP,             VMGEXIT_TIME,         0,                        R(RAX) | R(RCX) | R(RDX),          do_time},
    {EXIT_RDPMC,              VMGEXIT_OTHER,        R(RCX),                   0,                                 do_protected},
    {EXIT_INVD,               VMGEXIT_OTHER,        0,                        0,                                 do_nothing},
    {EXIT_WBINVD,             VMGEXIT_OTHER,        0,                        0,                                 do_nothing},
    {EXIT_VMMCALL,            VMGEXIT_OTHER,        R(RAX),                   R(RAX),                            do_vmmcall},
    {EXIT_MONITOR,            VMGEXIT_OTHER,        R(RAX) | R(RCX) | R(RDX), 0,                                 do_undefined},
    {EXIT_MWAIT,              VMGEXIT_OTHER,        R(RAX) | R(RCX),          0,                                 do_undefined},
    {GHCB_EVENT_NMI_COMPLETE, VMGEXIT_NMI_COMPLETE, 0,                        0,                                 do_nmi_complete},
    {GHCB_EVENT_RESET_HOLD,   VMGEXIT_OTHER,        0,                        0,                                 do_reset_hold},
    {GHCB_EVENT_JUMP_TABLE,   VMGEXIT_JUMP_TABLE,   0,                        0,                                 do_jump_table},
    {GHCB_EVENT_FEATURES,     VMGEXIT_OTHER,        0,                        0,                                 do_features},
    {GHCB_EVENT_TERMINATE,    VMGEXIT_OTHER,        0,                        0,                                 do_terminate},
    {GHCB_EVENT_UNSUPPORTED,  VMGEXIT_OTHER,        0,                        0,                                 do_unsupported},
};

/* Events that only SNP guests have. */
static const struct row snp_rows[] = {
    {GHCB_EVENT_PAGE_STATE,             VMGEXIT_PAGE_STATE,    0,               0,      do_page_state},
    {GHCB_EVENT_GUEST_REQUEST,          VMGEXIT_GUEST_REQUEST, 0,               0,      do_guest_request},
    {GHCB_EVENT_EXTENDED_GUEST_REQUEST, VMGEXIT_GUEST_REQUEST, 0,               R(RBX), do_extended_guest_request},
    {GHCB_EVENT_APIC_IDS,               VMGEXIT_OTHER,         R(RAX),          R(RAX), do_apic_ids},
    {GHCB_EVENT_AP_CREATION,            VMGEXIT_AP_CREATION,   0,               0,      do_ap_creation},
    {GHCB_EVENT_RUN_VMPL,               VMGEXIT_OTHER,         0,               0,      do_run_vmpl},
};

static const char *const kind_names[VMGEXIT_KINDS] = {
    [VMGEXIT_MSR_PROTOCOL] = "msr_protocol", [VMGEXIT_CPUID] = "cpuid", [VMGEXIT_IO] = "io",
    [VMGEXIT_STRING_IO] = "string_io",       [VMGEXIT_MMIO] = "mmio",   [VMGEXIT_MSR] = "msr",
    [VMGEXIT_TIME] = "time",                 [VMGEXIT_DR7] = "dr7",     [VMGEXIT_NMI_COMPLETE] = "nmi_complete",
    [VMGEXIT_JUMP_TABLE] = "jump_table",     [VMGEXIT_OTHER] = "other", [VMGEXIT_REFUSED] = "refused",
    [VMGEXIT_PAGE_STATE] = "page_state",     [VMGEXIT_GUEST_REQUEST] = "guest_request",
    [VMGEXIT_AP_CREATION] = "ap_creation",
};
// clang-format on

const char *ghcb_kind_name(u32 kind)
{
    return kind_names[kind];
}

static const struct row *find_row(const struct vm *vm, u64 code)
{
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].code == code)
            return &rows[i];
    for (u32 i = 0; vm_is_snp(vm) && i < ARRAY_SIZE(snp_rows); i++)
        if (snp_rows[i].code == code)
            return &snp_rows[i];
    return NULL;
}

/* --- Request and answer ----------------------------------------------------------------------- */

static enum ghcb_error execute(struct vmgexit *r)
{
    struct vmcb_control *control = &r->cpu->vmcb.control;
    if (r->page.usage != GHCB_USAGE)
        return GHCB_ERROR_USAGE;
    if (!flagged(r, GHCB_BIT(exit_code)) || !flagged(r, GHCB_BIT(exit_info_1)) ||
        !flagged(r, GHCB_BIT(exit_info_2)))
        return GHCB_ERROR_MISSING_INPUT;
    const struct row *row = find_row(r->vm, r->page.exit_code);
    if (!row)
        return GHCB_ERROR_EVENT;
    memset(r->cpu->gpr, 0, sizeof r->cpu->gpr);
    if (!load(r, row->inputs))
        return GHCB_ERROR_MISSING_INPUT;
    r->outputs = row->outputs;
    r->vm->vmgexits[row->kind]++;
    control->exit_info_1 = r->page.exit_info_1;
    control->exit_info_2 = r->page.exit_info_2;
    return row->handle(r);
}

static void refuse(struct vmgexit *r, enum ghcb_error error)
{
    r->vm->vmgexits[VMGEXIT_REFUSED]++;
    r->page.exit_info_1 = GHCB_MALFORMED;
    r->page.exit_info_2 = error;
    trace_event(host_trace(r->vm->hv->host), TRACE_VM, "GHCB_REFUSED", "vm=%s code=%#llx error=%u",
                r->vm->config.name, (unsigned long long)r->page.exit_code, error);
}

static void answer(struct vmgexit *r, enum ghcb_error error)
{
    u64 *exception = &r->cpu->exception;
    memset(r->page.valid, 0, sizeof r->page.valid);
    if (error) {
        refuse(r, error);
    } else if (*exception) {
        r->page.exit_info_1 = GHCB_EXCEPTION;
        r->page.exit_info_2 = *exception;
    } else {
        r->page.exit_info_1 = GHCB_OK;
        r->page.exit_info_2 = r->info_2;
        store(r, r->outputs);
    }
    *exception = 0;
    ghcb_set_valid(&r->page, GHCB_BIT(exit_info_1));
    ghcb_set_valid(&r->page, GHCB_BIT(exit_info_2));
    if (r->scratch_changed && !error)
        vm_write(r->vm, r->page.scratch, r->scratch, r->scratch_size);
    vm_write(r->vm, r->gpa, &r->page, offsetof(struct ghcb, x87_state_gpa));
}

void ghcb_handle(struct vcpu *c)
{
    struct vm *vm = c->vm;
    u64 value = c->vmcb.control.ghcb_gpa;
    if (value & PAGE_MASK) {
        trace_event(host_trace(vm->hv->host), TRACE_SWITCH, "VMGEXIT",
                    "vm=%s cpu=%u asid=%u vmcb=%#llx msr=%#llx", vm->config.name, c->index,
                    vm->asid, (unsigned long long)c->vmcb_spa, (unsigned long long)value);
        ghcb_msr_handle(c, value);
        return;
    }
    struct vmgexit r = {.cpu = c, .vm = vm, .gpa = value};
    const char *wrong = ghcb_page_wrong(c, value);
    if (wrong || !vm_read(vm, value, &r.page, sizeof r.page)) {
        vm->vmgexits[VMGEXIT_REFUSED]++;
        vm_end(vm, VM_CRASHED, "VMGEXIT with a GHCB at %#llx, %s", (unsigned long long)value,
               wrong ? wrong : "which cannot be read");
        return;
    }
    memcpy(r.valid, r.page.valid, sizeof r.valid);
    trace_event(host_trace(vm->hv->host), TRACE_SWITCH, "VMGEXIT",
                "vm=%s cpu=%u asid=%u vmcb=%#llx ghcb=%#llx code=%#llx info1=%#llx info2=%#llx",
                vm->config.name, c->index, vm->asid, (unsigned long long)c->vmcb_spa,
                (unsigned long long)value, (unsigned long long)r.page.exit_code,
                (unsigned long long)r.page.exit_info_1, (unsigned long long)r.page.exit_info_2);
    answer(&r, execute(&r));
}
