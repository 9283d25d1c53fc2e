/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEV-ES [APM2 15.35; cpu 4, 6]: what the VMSA holds, which exits the host sees and which become
 * #VC, what the host finds in core and VMCB afterwards, and that a VMSA which changed outside does
 * not run.
 */
#include "cpu/svm/vmsa_switch.h"
#include "cpu/exec/x87.h"
#include "guest.h"

#define VMSA 0x9000ull

struct es {
    struct guest *g;
    struct vmsa s;
};

/* The state of the VMCB that the other tests run, now in a VMSA. */
static struct es es_create(void)
{
    struct es e = {.g = guest_create(true)};
    struct vmcb_control *k = &e.g->vmcb.control;
    memcpy(&e.s, &e.g->vmcb.save, VMSA_COMMON_SIZE);
    e.s.xcr0 = 1;
    e.s.mxcsr = 0x1f80;
    e.s.x87_fcw = 0x37f;
    e.s.x87_ftw = 0; /* all empty */
    memset(&e.g->vmcb.save, 0xa5, sizeof e.g->vmcb.save);
    k->np_control |= NP_SEV_ES;
    k->lbr_control = LBR_VIRTUALIZATION;
    k->vmsa = VMSA;
    return e;
}

static u64 es_run(struct es *e)
{
    struct guest *g = e->g;
    assert_true(memory_write(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb));
    assert_true(cpu_vmrun(g->cpu, VMCB, g->clock.now + 100000));
    assert_true(memory_read(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb));
    assert_true(memory_peek(g->memory, VMSA, g->key, &e->s, sizeof e->s));
    return g->vmcb.control.exit_code;
}

/* As LAUNCH_UPDATE_VMSA leaves it. */
static void es_launch(struct es *e)
{
    assert_true(memory_write(e->g->memory, VMSA, e->g->key, &e->s, sizeof e->s));
    memory_vmsa_seal(e->g->memory, VMSA, e->g->key);
}

static u64 es_code(struct es *e, struct code code)
{
    guest_write_code(e->g, e->s.rip, code);
    guest_write_code(e->g, e->s.rip + code.size, ASM("hlt"));
    es_launch(e);
    return es_run(e);
}
#define ES_RUN(e, text) es_code((e), ASM(text))

/* The vector whose handler halted. */
static u64 es_delivered(const struct es *e)
{
    assert_int_equal(e->g->vmcb.control.exit_code, EXIT_HLT);
    u64 rip = e->s.rip - 1;
    assert_true(rip >= HANDLERS && rip < HANDLERS + 4096 && rip % 16 == 0);
    return (rip - HANDLERS) / 16;
}

static u64 vc_code(struct es *e)
{
    assert_int_equal(es_delivered(e), VECTOR_VC);
    return guest_read64(e->g, STACK - 48);
}

static u64 vc_rip(struct es *e)
{
    return guest_read64(e->g, STACK - 40);
}

/* --- State ------------------------------------------------------------------------------------ */

/* Offsets as the manual has them, by encoding of the register. */
static const u16 gpr_offsets[16] = {0x1f8, 0x308, 0x310, 0x318, 0x1d8, 0x328, 0x330, 0x338,
                                    0x340, 0x348, 0x350, 0x358, 0x360, 0x368, 0x370, 0x378};

static u64 image64(const struct es *e, u32 offset)
{
    return load_le64((const u8 *)&e->s + offset);
}

static void general_registers_come_from_the_vmsa_and_go_back(void **state)
{
    (void)state;
    struct es e = es_create();
    for (u32 r = 0; r < 16; r++)
        store_le64((u8 *)&e.s + gpr_offsets[r], 0x1234567800000000ull + 0x1010 * r);
    assert_int_equal(ES_RUN(&e, ".set at, 0x20000\n"
                                ".irp r, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi,"
                                "        r8, r9, r10, r11, r12, r13, r14, r15\n"
                                "    mov [at], \\r; inc \\r\n"
                                "    .set at, at + 8\n"
                                ".endr"),
                     EXIT_HLT);
    for (u32 r = 0; r < 16; r++) {
        assert_int_equal(guest_read64(e.g, DATA + 8 * r), 0x1234567800000000ull + 0x1010 * r);
        assert_int_equal(image64(&e, gpr_offsets[r]), 0x1234567800000000ull + 0x1010 * r + 1);
    }
    guest_destroy(e.g);
}

static void xmm_registers_come_from_the_vmsa_and_go_back(void **state)
{
    (void)state;
    struct es e = es_create();
    for (u32 r = 0; r < 16; r++)
        memset((u8 *)&e.s + 0x470 + 16 * r, (int)(r + 1), 16);
    assert_int_equal(ES_RUN(&e, ".set at, 0x20000\n"
                                ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
                                "    movups [at], xmm\\n; paddb xmm\\n, xmm\\n\n"
                                "    .set at, at + 16\n"
                                ".endr"),
                     EXIT_HLT);
    for (u32 r = 0; r < 16; r++) {
        assert_int_equal(guest_read64(e.g, DATA + 16 * r + 8), 0x0101010101010101ull * (r + 1));
        assert_int_equal(image64(&e, 0x470 + 16 * r), 0x0202020202020202ull * (r + 1));
    }
    guest_destroy(e.g);
}

static void x87_state_comes_from_the_vmsa_and_goes_back(void **state)
{
    (void)state;
    struct es e = es_create();
    u8 *image = (u8 *)&e.s;
    store_le16(image + 0x40c, BIT(3));  /* FTW: physical register 3 is in use */
    store_le16(image + 0x40e, 3 << 11); /* FSW: and is ST(0) */
    store_le16(image + 0x410, 0x27f);   /* FCW */
    store_le64(image + 0x420, 0xc000000000000000ull);
    store_le16(image + 0x460, 0x4000); /* 3.0 */
    store_le32(image + 0x408, 0x9fc0); /* MXCSR */
    assert_int_equal(ES_RUN(&e, "fld st(0); fld1; fnstcw [0x20000]; stmxcsr [0x20008]; fxch st(2); "
                                "fstp tbyte ptr [0x20010]"),
                     EXIT_HLT);
    assert_int_equal(guest_read64(e.g, DATA) & 0xffff, 0x27f);
    assert_int_equal(guest_read64(e.g, DATA + 8) & 0xffff, 0x9fc0);
    assert_int_equal(guest_read64(e.g, DATA + 16), 0xc000000000000000ull);
    /* TOP went 3, 2, 1 and back to 2; 1.0 is where 3.0 was, register 2 holds the copy of 3.0. */
    assert_int_equal(load_le16(image + 0x40e) >> 11 & 7, 2);
    assert_int_equal(load_le16(image + 0x40c), BIT(2) | BIT(3));
    assert_int_equal(load_le64(image + 0x420), 0xc000000000000000ull); /* ST(0) */
    assert_int_equal(load_le16(image + 0x460), 0x4000);
    assert_int_equal(load_le64(image + 0x420 + 8), 0x8000000000000000ull); /* ST(1) */
    assert_int_equal(load_le16(image + 0x460 + 2), 0x3fff);
    assert_int_equal(load_le16(image + 0x410), 0x27f);
    guest_destroy(e.g);
}

/* RDMSR of each where the VMSA has its value, WRMSR of the next one. */
static void msrs_come_from_the_vmsa_and_go_back(void **state)
{
    (void)state;
    static const struct {
        u32 msr, offset, size;
    } rows[] = {
        {MSR_STAR, 0x200, 8},         {MSR_LSTAR, 0x208, 8},          {MSR_CSTAR, 0x210, 8},
        {MSR_SFMASK, 0x218, 4},       {MSR_KERNEL_GS_BASE, 0x220, 8}, {MSR_SYSENTER_CS, 0x228, 8},
        {MSR_SYSENTER_ESP, 0x230, 8}, {MSR_SYSENTER_EIP, 0x238, 8},   {MSR_FS_BASE, 0x48, 8},
        {MSR_GS_BASE, 0x58, 8},       {MSR_TSC_AUX, 0x2ec, 4},        {MSR_DEBUGCTL, 0x270, 8},
        {MSR_SPEC_CTRL, 0x2e0, 8},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct es e = es_create();
        u8 *image = (u8 *)&e.s;
        e.s.rcx = rows[i].msr;
        store_le32(image + rows[i].offset, 2);
        assert_int_equal(ES_RUN(&e, "rdmsr; mov ebx, eax; inc eax; wrmsr"), EXIT_HLT);
        if (e.s.rbx != 2 || load_le32(image + rows[i].offset) != 3)
            fail_msg("MSR 0x%x: %llu", rows[i].msr, (unsigned long long)e.s.rbx);
        guest_destroy(e.g);
    }
}

/* What a HLT does not change is as it was: every other byte of the page. */
static void an_exit_changes_only_its_fields_of_the_vmsa(void **state)
{
    (void)state;
    struct es e = es_create();
    e.s.cr2 = 0x1234;
    e.s.pkru = 0x55;
    e.s.tlb_id = 0x77;
    memset(e.s.ymm_high, 0x99, sizeof e.s.ymm_high);
    memset(e.s.dr, 0x44, sizeof e.s.dr);
    e.s.ldtr.selector = 0x18;
    e.s.cr4 |= CR4_MCE;
    guest_write_code(e.g, CODE, ASM("hlt"));
    es_launch(&e);
    struct vmsa expected = e.s;
    assert_int_equal(es_run(&e), EXIT_HLT);
    expected.rip = CODE + 1;
    expected.guest_exit_code = EXIT_HLT;
    expected.guest_next_rip = CODE + 1;
    for (size_t i = 0; i < sizeof expected; i++)
        if (((u8 *)&expected)[i] != ((u8 *)&e.s)[i])
            fail_msg("byte 0x%zx is 0x%x, not 0x%x", i, ((u8 *)&e.s)[i], ((u8 *)&expected)[i]);
    guest_destroy(e.g);
}

static void the_vmsa_of_a_processor_as_linux_makes_it_runs(void **state)
{
    (void)state;
    struct es e = es_create();
    struct vmsa *s = &e.s;
    memset(s, 0, sizeof *s);
    s->cs = (struct vmcb_segment){(u16)(CODE >> 4), 0x9a, 0xffff, CODE};
    s->ds = s->es = s->fs = s->gs = s->ss = (struct vmcb_segment){0, 0x92, 0xffff, 0};
    s->ldtr = (struct vmcb_segment){0, 0x82, 0xffff, 0};
    s->tr = (struct vmcb_segment){0, 0x83, 0xffff, 0};
    s->gdtr.limit = s->idtr.limit = 0xffff;
    s->cr0 = 0x60000010;
    s->cr4 = CR4_MCE;
    s->efer = EFER_SVME;
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
    s->rflags = 2;
    s->g_pat = 0x0007040600070406ull;
    s->xcr0 = 1;
    s->mxcsr = 0x1f80;
    s->x87_ftw = 0x5555;
    s->x87_fcw = 0x40;
    guest_write_code(e.g, CODE, ASM16("mov ax, cs; hlt"));
    es_launch(&e);
    assert_int_equal(es_run(&e), EXIT_HLT);
    assert_int_equal(e.s.rax, CODE >> 4);
    assert_int_equal(e.s.rip, 3);
    assert_int_equal(e.s.x87_ftw, 0x55); /* a bit for each register */
    guest_destroy(e.g);
}

/* --- What the host finds ---------------------------------------------------------------------- */

static void the_host_finds_no_register_of_the_guest(void **state)
{
    (void)state;
    struct es e = es_create();
    struct guest *g = e.g;
    for (u32 r = 0; r < 16; r++)
        if (r != RSP)
            store_le64((u8 *)&e.s + gpr_offsets[r], 0x5ec2e75ec2e7ull);
    memset(e.s.xmm, 0x5e, sizeof e.s.xmm);
    memset(e.s.ymm_high, 0x5e, sizeof e.s.ymm_high);
    e.s.xcr0 = 7;
    memset(e.s.x87_mantissa, 0x5e, sizeof e.s.x87_mantissa);
    e.s.x87_ftw = 0xff;
    e.s.x87_rip = e.s.x87_dp = e.s.lstar = e.s.gs.base = e.s.kernel_gs_base = 0x5ec2e7;
    e.s.tsc_aux = 0x5ec2e7;
    struct vmcb before = g->vmcb;
    assert_int_equal(ES_RUN(&e, "nop"), EXIT_HLT);
    assert_int_equal(e.s.rbx, 0x5ec2e75ec2e7ull);
    for (u32 r = 0; r < REGS; r++)
        assert_int_equal(g->cpu->arch.r[r], 0);
    assert_memory_equal(&g->vmcb.save, &before.save, sizeof before.save);
    assert_int_equal(g->vmcb.control.next_rip, 0);
    assert_int_equal(g->vmcb.control.fetched_count, 0);
    struct guest *fresh = guest_create(false);
    u8 image[832], clean[832];
    const u64 all = XSTATE_X87 | XSTATE_SSE | XSTATE_AVX;
    assert_true(cpu_xsave(g->cpu, all, image, sizeof image));
    assert_true(cpu_xsave(fresh->cpu, all, clean, sizeof clean));
    assert_memory_equal(image, clean, sizeof image);
    assert_int_equal(*cpu_xcr0(g->cpu), 1); /* the host's */
    assert_int_equal(e.s.xcr0, 7);
    assert_int_equal(load_le64(e.s.ymm_high[15] + 8), 0x5e5e5e5e5e5e5e5eull);
    static const u32 msrs[] = {MSR_LSTAR, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_TSC_AUX};
    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
        u64 value = 1;
        assert_true(cpu_host_rdmsr(g->cpu, msrs[i], &value));
        assert_int_equal(value, 0);
    }
    assert_true(cpu_vmsave(g->cpu, VMCB));
    assert_true(memory_read(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb));
    assert_int_equal(g->vmcb.save.gs.base, 0);
    guest_destroy(fresh);
    guest_destroy(g);
}

static void the_host_writes_no_register_of_the_guest(void **state)
{
    (void)state;
    struct es e = es_create();
    for (u32 r = 0; r < 16; r++)
        e.g->cpu->arch.r[r] = 0xbad;
    u8 image[512];
    memset(image, 0, sizeof image);
    memset(image + 160, 0xbb, 256);
    cpu_xrstor(e.g->cpu, XSTATE_X87 | XSTATE_SSE, image, XSTATE_LEGACY_SIZE);
    *cpu_xcr0(e.g->cpu) = 3; /* the host's stays the host's, the guest's is the VMSA's */
    assert_int_equal(ES_RUN(&e, "nop"), EXIT_HLT);
    assert_int_equal(e.s.xcr0, 1);
    assert_int_equal(*cpu_xcr0(e.g->cpu), 3);
    assert_int_equal(e.s.rbx, 0);
    assert_int_equal(e.s.rax, 0);
    assert_int_equal(load_le64(e.s.xmm[1]), 0);
    guest_destroy(e.g);
}

static void the_vmcb_says_whether_the_guest_takes_interrupts(void **state)
{
    (void)state;
    struct es e = es_create();
    ES_RUN(&e, "nop");
    assert_int_equal(e.g->vmcb.control.interrupt_shadow, 0);
    e.s.rip = CODE;
    ES_RUN(&e, "sti; nop");
    assert_int_equal(e.g->vmcb.control.interrupt_shadow, INTERRUPT_SHADOW_MASK);
    e.s.rip = CODE;
    e.s.rflags = RFLAGS_ONE;
    ES_RUN(&e, "sti"); /* and HLT, which ends the shadow */
    assert_int_equal(e.g->vmcb.control.interrupt_shadow, INTERRUPT_SHADOW_MASK);
    assert_int_equal(e.s.rip, CODE + 2);
    guest_destroy(e.g);
}

/* --- Automatic exits and #VC ------------------------------------------------------------------ */

/* [cpu 6.1], typed from its table. */
static void the_automatic_exits_are_those_of_the_manual(void **state)
{
    (void)state;
    static const u16 automatic[] = {0x52, 0x60, 0x61, 0x62, 0x63, 0x64, 0x77, 0x78, 0x7f,  0x8f,
                                    0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,  0x99,
                                    0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa5, 0xa6, 0x400, 0x403};
    for (u32 code = 0; code < 0x420; code++) {
        bool listed = false;
        for (size_t i = 0; i < ARRAY_SIZE(automatic); i++)
            listed |= automatic[i] == code;
        if (exit_automatic(code, 0) != listed)
            fail_msg("exit 0x%x", code);
    }
    assert_false(exit_automatic(EXIT_NPF, NPF_PRESENT | NPF_RSV | NPF_USER));
}

static void an_intercept_that_is_not_automatic_is_vc_with_its_code(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u32 before; /* size of the instructions before the one that exits */
        u8 word;
        u64 bit, exit;
    } rows[] = {
        {ASM("cpuid"), 0, 3, INTERCEPT3_CPUID, 0x72},
        {ASM("rdtsc"), 0, 3, INTERCEPT3_RDTSC, 0x6e},
        {ASM("rdpmc"), 0, 3, INTERCEPT3_RDPMC, 0x6f},
        {ASM("pushfq"), 0, 3, INTERCEPT3_PUSHF, 0x70},
        {ASM("popfq"), 0, 3, INTERCEPT3_POPF, 0x71},
        {ASM("iretq"), 0, 3, INTERCEPT3_IRET, 0x74},
        {ASM("int 0x80"), 0, 3, INTERCEPT3_INTN, 0x75},
        {ASM("invd"), 0, 3, INTERCEPT3_INVD, 0x76},
        {ASM("invlpg [0x20000]"), 0, 3, INTERCEPT3_INVLPG, 0x79},
        {ASM("invlpga"), 0, 3, INTERCEPT3_INVLPGA, 0x7a},
        {ASM("in al, 0x60"), 0, 3, INTERCEPT3_IOIO, 0x7b},
        {ASM("out 0x60, eax"), 0, 3, INTERCEPT3_IOIO, 0x7b},
        {ASM("mov dx, 0x60; rep outsb"), 4, 3, INTERCEPT3_IOIO, 0x7b},
        {ASM("mov ecx, 0x10; rdmsr"), 5, 3, INTERCEPT3_MSR, 0x7c},
        {ASM("mov ecx, 0xc0000080; wrmsr"), 5, 3, INTERCEPT3_MSR, 0x7c},
        {ASM("sidt [0x20000]"), 0, 3, INTERCEPT3_IDTR_READ, 0x66},
        {ASM("sgdt [0x20000]"), 0, 3, INTERCEPT3_GDTR_READ, 0x67},
        {ASM("sldt eax"), 0, 3, INTERCEPT3_LDTR_READ, 0x68},
        {ASM("ltr ax"), 0, 3, INTERCEPT3_TR_WRITE, 0x6d},
        {ASM("vmrun"), 0, 4, INTERCEPT4_VMRUN, 0x80},
        {ASM("vmmcall"), 0, 4, INTERCEPT4_VMMCALL, 0x81},
        {ASM("vmload"), 0, 4, INTERCEPT4_VMLOAD, 0x82},
        {ASM("clgi"), 0, 4, INTERCEPT4_CLGI, 0x85},
        {ASM("rdtscp"), 0, 4, INTERCEPT4_RDTSCP, 0x87},
        {ASM("int1"), 0, 4, INTERCEPT4_ICEBP, 0x88},
        {ASM("wbinvd"), 0, 4, INTERCEPT4_WBINVD, 0x89},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct es e = es_create();
        memory_write(e.g->memory, IOPM + 0x60 / 8, KEY_RAW, "\x01", 1);
        memory_write(e.g->memory, MSRPM + 0x10 * 2 / 8, KEY_RAW, "\x01", 1);
        memory_write(e.g->memory, MSRPM + 0x800 + 0x80 * 2 / 8, KEY_RAW, "\x02", 1);
        e.s.rcx = 1;
        struct vmcb_control *k = &e.g->vmcb.control;
        *(rows[i].word == 3 ? &k->intercept_3 : &k->intercept_4) |= (u32)rows[i].bit;
        es_code(&e, rows[i].code);
        if (es_delivered(&e) != VECTOR_VC || vc_code(&e) != rows[i].exit ||
            vc_rip(&e) != CODE + rows[i].before)
            fail_msg("row %zu: vector %llu code 0x%llx rip 0x%llx", i,
                     (unsigned long long)es_delivered(&e),
                     (unsigned long long)guest_read64(e.g, STACK - 48),
                     (unsigned long long)vc_rip(&e));
        assert_int_equal(k->exit_info_1, 0);
        guest_destroy(e.g);
    }
}

static void control_and_debug_registers_and_exceptions_are_vc(void **state)
{
    (void)state;
    const struct {
        struct code code;
        size_t word;
        u32 bit;
        u64 exit;
    } rows[] = {
        {ASM("mov rbx, cr0"), offsetof(struct vmcb_control, intercept_cr_read), 0, 0x00},
        {ASM("mov cr3, rcx"), offsetof(struct vmcb_control, intercept_cr_write), 3, 0x13},
        {ASM("mov rax, dr7"), offsetof(struct vmcb_control, intercept_dr_read), 7, 0x27},
        {ASM("mov dr7, rax"), offsetof(struct vmcb_control, intercept_dr_write), 7, 0x37},
        {ASM("ud2"), offsetof(struct vmcb_control, intercept_exceptions), 6, 0x46},
        {ASM("int3"), offsetof(struct vmcb_control, intercept_exceptions), 3, 0x43},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct es e = es_create();
        ((u8 *)&e.g->vmcb.control)[rows[i].word] |= (u8)BIT(rows[i].bit);
        es_code(&e, rows[i].code);
        assert_int_equal(vc_code(&e), rows[i].exit);
        assert_int_equal(vc_rip(&e), CODE);
        guest_destroy(e.g);
    }
}

/* Privilege comes before the intercept: the #VC stands where the exit would. */
static void an_exception_with_priority_over_the_intercept_stays_one(void **state)
{
    (void)state;
    struct es e = es_create();
    e.g->vmcb.control.intercept_3 |= (u32)(INTERCEPT3_MSR | INTERCEPT3_RDPMC);
    e.s.cpl = 3;
    e.s.cs = segment_64(SEL_USER64 | 3, 0xafb);
    e.s.ss = segment_64(SEL_USER_DATA | 3, 0xcf3);
    ES_RUN(&e, "rdmsr");
    assert_int_equal(es_delivered(&e), VECTOR_GP);
    guest_destroy(e.g);
}

static void vmmcall_that_is_not_intercepted_is_ud(void **state)
{
    (void)state;
    struct es e = es_create();
    ES_RUN(&e, "vmmcall");
    assert_int_equal(es_delivered(&e), VECTOR_UD);
    guest_destroy(e.g);
}

static void a_fault_on_the_way_to_the_vc_handler_is_a_double_fault(void **state)
{
    (void)state;
    struct es e = es_create();
    e.g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CPUID;
    e.g->vmcb.control.intercept_exceptions = (u32)(BIT(VECTOR_VC) | BIT(VECTOR_DF));
    guest_write64(e.g, IDT + 16 * VECTOR_VC, 0);
    ES_RUN(&e, "cpuid");
    assert_int_equal(es_delivered(&e), VECTOR_DF);
    e.s.rip = CODE;
    e.s.rsp = STACK;
    e.s.idtr.limit = 0x7f; /* #DF cannot be delivered either */
    e.g->vmcb.control.intercept_exceptions = ~0u;
    assert_int_equal(ES_RUN(&e, "cpuid"), EXIT_SHUTDOWN);
    assert_int_equal(e.s.rip, CODE);
    guest_destroy(e.g);
}

/* Instructions that are done when the host hears of them. */
static void an_exit_that_completes_its_instruction_leaves_rip_behind_it(void **state)
{
    (void)state;
    const struct {
        struct code code;
        u32 intercept_3, intercept_4;
        u64 exit, info_1;
    } rows[] = {
        {ASM("hlt"), 0, 0, 0x78, 0},
        {ASM("pause"), (u32)INTERCEPT3_PAUSE, 0, 0x77, 0},
        {ASM("vmgexit"), 0, 0, 0x403, 0},
        {ASM("repne; vmmcall"), 0, (u32)INTERCEPT4_VMMCALL, 0x403, 0},
        {ASM("mov cr0, rbx"), 0, (u32)INTERCEPT4_CR_WRITE(0), 0x90, 0x80050031},
        {ASM("mov cr4, rdi"), 0, (u32)INTERCEPT4_CR_WRITE(4), 0x94, 0x6a0},
        {ASM("mov cr8, rsi"), 0, (u32)INTERCEPT4_CR_WRITE(8), 0x98, 9},
        {ASM("wrmsr"), 0, (u32)INTERCEPT4_EFER_WRITE, 0x8f, 0x1d01 | BIT(14)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct es e = es_create();
        e.s.rbx = 0x80050031;
        e.s.rdi = 0x6a0;
        e.s.rsi = 9;
        e.s.rcx = MSR_EFER;
        e.s.rax = 0xd01 | BIT(14);
        e.g->vmcb.control.intercept_3 |= rows[i].intercept_3;
        e.g->vmcb.control.intercept_4 |= rows[i].intercept_4;
        assert_int_equal(es_code(&e, rows[i].code), rows[i].exit);
        assert_int_equal(e.g->vmcb.control.exit_info_1, rows[i].info_1);
        assert_int_equal(e.s.rip, CODE + rows[i].code.size);
        assert_int_equal(e.s.guest_exit_code, rows[i].exit);
        assert_int_equal(e.s.guest_exit_info_1, rows[i].info_1);
        if (rows[i].exit == 0x90)
            assert_int_equal(e.s.cr0, 0x80050031);
        if (rows[i].exit == 0x94)
            assert_int_equal(e.s.cr4, 0x6a0);
        if (rows[i].exit == 0x8f) /* SVME was written as 0 and stays */
            assert_int_equal(e.s.efer, 0xd01 | BIT(14) | EFER_SVME);
        assert_int_equal(e.g->clock.now, 1);
        guest_destroy(e.g);
    }
}

static void vmgexit_outside_sev_es_is_vmmcall(void **state)
{
    (void)state;
    struct guest *g = guest_create(true);
    g->vmcb.control.intercept_4 |= (u32)INTERCEPT4_VMMCALL;
    assert_int_equal(RUN(g, "vmgexit"), EXIT_VMMCALL);
    assert_int_equal(g->vmcb.save.rip, CODE);
    guest_destroy(g);
}

static void a_nested_fault_is_vc_only_with_a_reserved_bit(void **state)
{
    (void)state;
    struct es e = es_create();
    host_write64(e.g, NPT + 0x3000 + 8 * (DATA >> 12), BIT(50) | PTE_P | PTE_RW | PTE_US);
    ES_RUN(&e, "movabs eax, [0x20010]");
    assert_int_equal(vc_code(&e), 0x400);
    assert_int_equal(cpu_statistics(e.g->cpu).vc[CPU_VC_MMIO], 1);
    assert_int_equal(vc_rip(&e), CODE);
    guest_destroy(e.g);

    e = es_create();
    host_write64(e.g, NPT + 0x3000 + 8 * (DATA >> 12), 0);
    assert_int_equal(ES_RUN(&e, "movabs eax, [0x20010]"), EXIT_NPF);
    assert_int_equal(e.g->vmcb.control.exit_info_1, NPF_USER | NPF_FINAL | NPF_ENC);
    assert_int_equal(e.g->vmcb.control.exit_info_2, DATA + 16);
    assert_int_equal(e.g->vmcb.control.fetched_count, 0);
    assert_int_equal(e.s.rip, CODE);
    assert_int_equal(e.s.guest_exit_info_2, DATA + 16);
    host_write64(e.g, NPT + 0x3000 + 8 * (DATA >> 12),
                 (GUEST_BASE + DATA) | PTE_P | PTE_RW | PTE_US);
    assert_int_equal(es_run(&e), EXIT_HLT); /* the host repairs it, the guest goes on */
    guest_destroy(e.g);
}

/* --- MSRs ------------------------------------------------------------------------------------- */

static void the_ghcb_msr_is_shared_with_the_vmcb_and_never_intercepted(void **state)
{
    (void)state;
    struct es e = es_create();
    u8 ones[0x2000];
    memset(ones, 0xff, sizeof ones);
    memory_write(e.g->memory, MSRPM, KEY_RAW, ones, sizeof ones);
    e.g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_MSR;
    e.g->vmcb.control.ghcb_gpa = 0x0002000133000001ull;
    /* mov ecx, c0010130; rdmsr; mov ebx, edx; mov esi, eax; mov eax, 6; xor edx, edx; wrmsr;
     * vmgexit */
    ES_RUN(&e, "mov ecx, 0xc0010130; rdmsr; mov ebx, edx; mov esi, eax; mov eax, 6; xor edx, edx; "
               "wrmsr; vmgexit");
    assert_int_equal(e.g->vmcb.control.exit_code, EXIT_VMGEXIT);
    assert_int_equal(e.s.rbx, 0x00020001);
    assert_int_equal(e.s.rsi, 0x33000001);
    assert_int_equal(e.g->vmcb.control.ghcb_gpa, 6);
    u64 value;
    assert_false(cpu_host_rdmsr(e.g->cpu, MSR_GHCB, &value));
    guest_destroy(e.g);
    struct guest *g = guest_create(true);
    RUN(g, "mov ecx, 0xc0010130; rdmsr");
    assert_int_equal(delivered(g), VECTOR_GP);
    guest_destroy(g);
}

static void sev_status_and_cpuid_say_sev_es(void **state)
{
    (void)state;
    struct es e = es_create();
    ES_RUN(&e, "mov ecx, 0xc0010131; rdmsr"); /* SEV_STATUS */
    assert_int_equal(e.s.rax, SEV_STATUS_SEV | SEV_STATUS_ES);
    u32 out[4];
    cpu_host_cpuid(e.g->cpu, 0x8000001f, 0, out);
    assert_int_equal(out[0] & 0x1b, 0x1b); /* SME, SEV, SEV-ES, SEV-SNP */
    guest_destroy(e.g);
}

/* --- Refusals --------------------------------------------------------------------------------- */

static void vmrun_refuses_what_sev_es_forbids(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        u64 value;
    } bad[] = {
        {offsetof(struct vmcb_control, lbr_control), 0},
        {offsetof(struct vmcb_control, np_control), NP_ENABLE | NP_SEV_ES},
        {offsetof(struct vmcb_control, np_control), NP_SEV | NP_SEV_ES},
        {offsetof(struct vmcb_control, vmsa), VMSA + 16},
        {offsetof(struct vmcb_control, vmsa), MIB(16)},
        {offsetof(struct vmcb_control, vmsa), ~0ull << 12},
        {offsetof(struct vmcb_control, vmsa), VMSA | BIT(51)},
        {offsetof(struct vmcb_control, vmsa), VMSA + 0x1000}, /* never launched */
        {offsetof(struct vmcb_control, event_inject), EVENT_VALID | 0x80 | EVENT_SOFTWARE << 8},
        {offsetof(struct vmcb_control, event_inject), EVENT_VALID | 3 | EVENT_EXCEPTION << 8},
        {offsetof(struct vmcb_control, event_inject), EVENT_VALID | 4 | EVENT_EXCEPTION << 8},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct es e = es_create();
        es_launch(&e);
        memcpy((u8 *)&e.g->vmcb.control + bad[i].offset, &bad[i].value, 8);
        struct vmsa before = e.s;
        if (es_run(&e) != EXIT_INVALID)
            fail_msg("row %zu was accepted", i);
        assert_memory_equal(&e.s, &before, sizeof before);
        guest_destroy(e.g);
    }
}

static void vmrun_refuses_features_that_do_not_work_here(void **state)
{
    (void)state;
    for (u32 bit = 0; bit < 64; bit++) {
        struct es e = es_create();
        e.s.sev_features = BIT(bit);
        bool works = BIT(bit) & (SEV_FEATURE_DEBUG_VIRT | SEV_FEATURE_PREVENT_HOST_IBS |
                                 SEV_FEATURE_VMGEXIT_PARAMETER);
        assert_int_equal(ES_RUN(&e, "nop"), works ? EXIT_HLT : EXIT_INVALID);
        assert_true(e.g->vmcb.control.guest_sev_features == BIT(bit)); /* told either way */
        guest_destroy(e.g);
    }
}

static void state_is_checked_in_the_vmsa_not_in_the_vmcb(void **state)
{
    (void)state;
    struct es e = es_create();
    e.s.efer = EFER_LME;
    es_launch(&e);
    memcpy(&e.g->vmcb.save.efer, &(u64){EFER_SVME}, 8);
    assert_int_equal(es_run(&e), EXIT_INVALID);
    guest_destroy(e.g);
}

/* --- Integrity -------------------------------------------------------------------------------- */

static void a_vmsa_that_the_host_changed_does_not_run(void **state)
{
    (void)state;
    static const u16 offsets[] = {0, 0x178, 0x1f8, 0x3b0, 0x470, 0xfbf};
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        struct es e = es_create();
        assert_int_equal(ES_RUN(&e, "nop"), EXIT_HLT);
        guest_write_code(e.g, e.s.rip, ASM("hlt"));
        u8 byte;
        memory_read(e.g->memory, VMSA + offsets[i], KEY_RAW, &byte, 1);
        byte ^= 1;
        memory_write(e.g->memory, VMSA + offsets[i], KEY_RAW, &byte, 1);
        assert_int_equal(es_run(&e), EXIT_INVALID);
        byte ^= 1;
        memory_write(e.g->memory, VMSA + offsets[i], KEY_RAW, &byte, 1);
        assert_int_equal(es_run(&e), EXIT_HLT); /* put back, it runs */
        guest_destroy(e.g);
    }
}

static void an_older_vmsa_does_not_run(void **state)
{
    (void)state;
    struct es e = es_create();
    u8 old[PAGE_SIZE], now[PAGE_SIZE];
    guest_write_code(e.g, CODE, ASM("hlt; hlt; hlt"));
    es_launch(&e);
    memory_read(e.g->memory, VMSA, KEY_RAW, old, sizeof old); /* looking is no change */
    assert_int_equal(es_run(&e), EXIT_HLT);
    memory_read(e.g->memory, VMSA, KEY_RAW, now, sizeof now);
    memory_write(e.g->memory, VMSA, KEY_RAW, old, sizeof old);
    assert_int_equal(es_run(&e), EXIT_INVALID);
    memory_write(e.g->memory, VMSA, KEY_RAW, now, sizeof now);
    assert_int_equal(es_run(&e), EXIT_HLT);
    assert_int_equal(e.s.rip, CODE + 2);
    guest_destroy(e.g);
}

static void a_vmsa_does_not_run_in_another_frame_or_under_another_key(void **state)
{
    (void)state;
    struct es e = es_create();
    guest_write_code(e.g, CODE, ASM("hlt; hlt; hlt"));
    es_launch(&e);
    u8 raw[PAGE_SIZE];
    memory_read(e.g->memory, VMSA, KEY_RAW, raw, sizeof raw);
    memory_write(e.g->memory, VMSA + 0x1000, KEY_RAW, raw, sizeof raw);
    e.g->vmcb.control.vmsa = VMSA + 0x1000;
    assert_int_equal(es_run(&e), EXIT_INVALID);
    e.g->vmcb.control.vmsa = VMSA;
    e.g->vmcb.control.asid = 2;
    assert_true(memory_key_load(e.g->memory, 2, (const u8 *)"key of ASID two"));
    assert_int_equal(es_run(&e), EXIT_INVALID);
    guest_destroy(e.g);
}

/* --- Events from the host --------------------------------------------------------------------- */

static void events_that_may_be_injected_are_delivered(void **state)
{
    (void)state;
    static const struct {
        u64 event;
        u8 vector;
    } rows[] = {
        {0x41 | EVENT_INTR << 8, 0x41},
        {2 | EVENT_NMI << 8, VECTOR_NMI},
        {VECTOR_GP | EVENT_EXCEPTION << 8 | EVENT_ERROR_CODE, VECTOR_GP},
        {VECTOR_VC | EVENT_EXCEPTION << 8 | EVENT_ERROR_CODE | 0x81ull << 32, VECTOR_VC},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct es e = es_create();
        e.g->vmcb.control.event_inject = rows[i].event | EVENT_VALID;
        ES_RUN(&e, "nop");
        assert_int_equal(es_delivered(&e), rows[i].vector);
        assert_int_equal(e.g->vmcb.control.event_inject, 0);
        guest_destroy(e.g);
    }
}

#define INTERRUPTED                                                                                \
    (EVENT_VALID | VECTOR_VC | EVENT_EXCEPTION << 8 | EVENT_ERROR_CODE | 0x72ull << 32)

/* The #VC handler's stack is not there: the host learns what was underway, and brings it again, or
 * leaves it to the instruction to raise #VC again, as KVM does. */
static void interrupted_vc(u64 injected)
{
    struct es e = es_create();
    u64 entry = NPT + 0x3000 + 8 * ((STACK - 1) >> 12), all = PTE_P | PTE_RW | PTE_US;
    e.g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_CPUID;
    host_write64(e.g, entry, 0);
    assert_int_equal(ES_RUN(&e, "cpuid"), EXIT_NPF);
    assert_int_equal(e.g->vmcb.control.exit_int_info, INTERRUPTED);
    assert_int_equal(e.s.guest_exit_int_info, INTERRUPTED);
    host_write64(e.g, entry, (GUEST_BASE + ((STACK - 1) & ~PAGE_MASK)) | all);
    e.g->vmcb.control.event_inject = injected;
    es_run(&e);
    assert_int_equal(vc_code(&e), 0x72);
    assert_int_equal(vc_rip(&e), CODE);
    guest_destroy(e.g);
}

static void a_vc_that_a_nested_fault_interrupts_comes_again(void **state)
{
    (void)state;
    interrupted_vc(INTERRUPTED);
    interrupted_vc(0);
}

static void vintr_tells_the_host_when_the_guest_takes_interrupts(void **state)
{
    (void)state;
    struct es e = es_create();
    e.g->vmcb.control.v_intr |= (u32)(V_INTR_IRQ | V_INTR_IGNORE_TPR);
    e.g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_VINTR;
    assert_int_equal(ES_RUN(&e, "sti; nop; nop"), EXIT_VINTR);
    assert_int_equal(e.s.rip, CODE + 2);
    assert_int_equal(e.g->vmcb.control.interrupt_shadow, INTERRUPT_SHADOW_MASK);
    guest_destroy(e.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(general_registers_come_from_the_vmsa_and_go_back),
        cmocka_unit_test(xmm_registers_come_from_the_vmsa_and_go_back),
        cmocka_unit_test(x87_state_comes_from_the_vmsa_and_goes_back),
        cmocka_unit_test(msrs_come_from_the_vmsa_and_go_back),
        cmocka_unit_test(an_exit_changes_only_its_fields_of_the_vmsa),
        cmocka_unit_test(the_vmsa_of_a_processor_as_linux_makes_it_runs),
        cmocka_unit_test(the_host_finds_no_register_of_the_guest),
        cmocka_unit_test(the_host_writes_no_register_of_the_guest),
        cmocka_unit_test(the_vmcb_says_whether_the_guest_takes_interrupts),
        cmocka_unit_test(the_automatic_exits_are_those_of_the_manual),
        cmocka_unit_test(an_intercept_that_is_not_automatic_is_vc_with_its_code),
        cmocka_unit_test(control_and_debug_registers_and_exceptions_are_vc),
        cmocka_unit_test(an_exception_with_priority_over_the_intercept_stays_one),
        cmocka_unit_test(vmmcall_that_is_not_intercepted_is_ud),
        cmocka_unit_test(a_fault_on_the_way_to_the_vc_handler_is_a_double_fault),
        cmocka_unit_test(an_exit_that_completes_its_instruction_leaves_rip_behind_it),
        cmocka_unit_test(vmgexit_outside_sev_es_is_vmmcall),
        cmocka_unit_test(a_nested_fault_is_vc_only_with_a_reserved_bit),
        cmocka_unit_test(the_ghcb_msr_is_shared_with_the_vmcb_and_never_intercepted),
        cmocka_unit_test(sev_status_and_cpuid_say_sev_es),
        cmocka_unit_test(vmrun_refuses_what_sev_es_forbids),
        cmocka_unit_test(vmrun_refuses_features_that_do_not_work_here),
        cmocka_unit_test(state_is_checked_in_the_vmsa_not_in_the_vmcb),
        cmocka_unit_test(a_vmsa_that_the_host_changed_does_not_run),
        cmocka_unit_test(an_older_vmsa_does_not_run),
        cmocka_unit_test(a_vmsa_does_not_run_in_another_frame_or_under_another_key),
        cmocka_unit_test(events_that_may_be_injected_are_delivered),
        cmocka_unit_test(a_vc_that_a_nested_fault_interrupts_comes_again),
        cmocka_unit_test(vintr_tells_the_host_when_the_guest_takes_interrupts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
