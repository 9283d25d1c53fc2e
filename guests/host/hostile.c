/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile host for the bare machine, without a kernel: it launches SNP guests through the secure
 * processor's mailbox and attacks them from ring 0, with the instructions and registers that a real
 * host has. Each attack says in one line whether it breaks the guest, or what stops it, in the
 * words of `softsev attack list`. With `storm=N` on its command line it then throws random
 * commands, register writes and instructions at the machine.
 */
#include "abi/rmp.h"
#include "abi/sev.h"
#include "abi/snp.h"
#include "abi/vmsa.h"
#include "abi/x86.h"
#include "machine.h"

#define ASID          1u
#define FAULT_RMP     BIT(31) /* of #PF's error code and of EXITINFO1 */
#define GHCB_SEV_INFO 2u      /* what the guest asks for at a checkpoint */

/* Each guest has 2 MiB of memory for itself: once one page of such a region is a guest's, the
 * host's mapping of 2 MiB cannot be written through any more. */
#define REGION(n) (MIB(16) + (u64)(n)*MIB(2))
#define REGIONS   20u
enum { PAGE_ZERO, PAGE_CODE, PAGE_FIRST, PAGE_SECOND, PAGE_VMSA, PAGE_CONTEXT, PAGE_OTHER, PAGES };
#define LEAF7_EBX_AVX512F (u32) BIT(16) /* no processor here has it */
#define SECRET            0x5ec2e7c0ffee1234ull

extern const u8 victim[], victim_end[];
bool survives(void (*f)(u64, u64), u64 a, u64 b);
void on_survivable(void);
void world_switch_es(void *vmcb, void *save_area);
void host_main(const u32 *multiboot);
void host_other(void);
void host_fault(void);
extern volatile u64 resume, fault_code;
extern volatile u32 timer_count;

volatile u64 resume, fault_code;
volatile u32 timer_count;
static u64 idt[32][2];
static u64 psp; /* the registers */
static _Alignas(4096) u8 vmcb_page[4096], save_area[4096], buffer[4096], iopm[12288], msrpm[8192];
static _Alignas(4096) u64 nested[4][512]; /* PML4, and the three levels below */
static u64 storm_state;

/* --- What a compiler may call ----------------------------------------------------------------- */

void *memset(void *to, int byte, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((volatile u8 *)to)[i] = (u8)byte;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
    return to;
}

/* --- Instructions ----------------------------------------------------------------------------- */

static u32 rmpupdate(u64 page, const struct rmp_update *state)
{
    u64 result = page;
    __asm__ volatile(".byte 0xf2, 0x0f, 0x01, 0xfe" /* RMPUPDATE */
                     : "+a"(result)
                     : "c"(state)
                     : "cc", "memory");
    return (u32)result;
}

static void write16(u64 address, u64 value)
{
    *(volatile u16 *)(uintptr_t)address = (u16)value;
}

/* --- The serial port -------------------------------------------------------------------------- */

static void say_hex(u64 value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        if (!shift || value >> shift)
            out8(SERIAL, (u8) "0123456789abcdef"[value >> shift & 15]);
}

static NORETURN void give_up(const char *what, u64 value)
{
    say("host: ");
    say(what);
    say(": 0x");
    say_hex(value);
    say("\n");
    power_off();
}

void host_fault(void)
{
    give_up("an exception that nobody expects; error code", fault_code);
}

void host_other(void)
{
    for (;;)
        __asm__ volatile("hlt");
}

static void set_exceptions(void)
{
    for (u32 i = 0; i < ARRAY_SIZE(idt); i++)
        set_gate(idt[i], on_survivable);
    load_gates(idt, sizeof idt);
}

/* --- The secure processor --------------------------------------------------------------------- */

static void find_psp(void)
{
    psp = psp_find();
    if (!psp)
        give_up("no secure processor", psp);
}

static u32 submit(u32 id, u64 page)
{
    return psp_submit(psp, id, page);
}

static u32 command(u32 id, const void *data, size_t size)
{
    memset(buffer, 0, sizeof buffer);
    memcpy(buffer, data, size);
    return submit(id, address_of(buffer));
}

static void must(u32 id, const void *data, size_t size)
{
    const u32 status = command(id, data, size);
    if (status)
        give_up("a command that should succeed is refused", (u64)id << 32 | status);
}

/* The RMP is where the BIOS has put it, and zero. VM_HSAVE_PA stays 0 until SNP is there. */
static void start_platform(void)
{
    const struct snp_init_ex init = {.flags = SNP_INIT_RMP};
    const struct sev_init legacy = {0};
    write_msr(MSR_SYSCFG, read_msr(MSR_SYSCFG) | SYSCFG_SNP_EN | SYSCFG_VMPL_EN | SYSCFG_MFDM);
    __asm__ volatile("wbinvd");
    must(SEV_CMD_SNP_INIT_EX, &init, sizeof init);
    must(SEV_CMD_INIT, &legacy, sizeof legacy);
    __asm__ volatile("wbinvd");
    must(SEV_CMD_SNP_DF_FLUSH, NULL, 0);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SVME);
    write_msr(MSR_VM_HSAVE_PA, address_of(save_area));
}

/* --- The guest -------------------------------------------------------------------------------- */

static u64 page_of(u32 region, u32 page)
{
    return REGION(region) + (u64)page * PAGE_SIZE;
}

static void give_page(u64 page, u64 gpa, u32 asid)
{
    const struct rmp_update state = {.gpa = gpa, .assigned = 1, .immutable = 1, .asid = asid};
    const u32 result = rmpupdate(page, &state);
    if (result)
        give_up("RMPUPDATE fails", result);
}

/* Registers of a processor in real mode that starts at 1000h, with its stack at the end of page
 * 0. */
static void set_vmsa(struct vmsa *v)
{
    const struct vmcb_segment data = {0, 0x93, 0xffff, 0};
    memset(v, 0, sizeof *v);
    v->es = v->ss = v->ds = v->fs = v->gs = data;
    v->cs = (struct vmcb_segment){0, 0x9b, 0xffff, 0};
    v->gdtr = v->idtr = (struct vmcb_segment){0, 0, 0xffff, 0};
    v->ldtr = (struct vmcb_segment){0, 0x82, 0xffff, 0};
    v->tr = (struct vmcb_segment){0, 0x8b, 0xffff, 0};
    v->efer = EFER_SVME;
    v->cr0 = 0x10;
    v->dr6 = 0xffff0ff0;
    v->dr7 = 0x400;
    v->rflags = 2;
    v->rip = 0x1000;
    v->rsp = 0xff0;
    v->g_pat = 0x0007040600070406;
    v->r8_15[4] = SECRET;
    v->sev_features = SEV_FEATURE_SNP;
    v->xcr0 = 1;
    v->mxcsr = 0x1f80;
    v->x87_fcw = 0x37f;
}

/* Everything is written before the first page changes hands. */
static void fill_memory(u32 region)
{
    memset((void *)(uintptr_t)REGION(region), 0, PAGES * PAGE_SIZE);
    memcpy((void *)(uintptr_t)page_of(region, PAGE_CODE), victim, (size_t)(victim_end - victim));
    *at32(page_of(region, PAGE_ZERO) + 29 * 4) = 0x1080; /* #VC leads to the code's offset 80h */
    write16(page_of(region, PAGE_FIRST), 0xaaaa);
    write16(page_of(region, PAGE_SECOND), 0xbbbb);
    set_vmsa((void *)(uintptr_t)page_of(region, PAGE_VMSA));
}

static void launch_update(u32 region, u32 page, u32 type, u64 gpa)
{
    const struct snp_launch_update update = {.gctx_paddr = page_of(region, PAGE_CONTEXT),
                                             .flags = SNP_LAUNCH_UPDATE_TYPE(type),
                                             .paddr = page_of(region, page)};
    give_page(update.paddr, gpa, ASID + region);
    must(SEV_CMD_SNP_LAUNCH_UPDATE, &update, sizeof update);
}

static void set_nested(u32 region)
{
    memset(nested, 0, sizeof nested);
    for (u32 i = 0; i < 3; i++)
        nested[i][0] = address_of(nested[i + 1]) | 7;
    for (u32 i = PAGE_ZERO; i <= PAGE_SECOND; i++)
        nested[3][i] = page_of(region, i) | 7;
}

static struct vmcb_control *control(void)
{
    return (struct vmcb_control *)(void *)vmcb_page;
}

static void set_vmcb(u32 region)
{
    struct vmcb_control *c = control();
    memset(vmcb_page, 0, sizeof vmcb_page);
    c->intercept_3 = (u32)(INTERCEPT3_HLT | INTERCEPT3_SHUTDOWN | INTERCEPT3_INTR);
    c->intercept_4 = (u32)INTERCEPT4_VMRUN;
    c->asid = ASID + region;
    c->tlb_control = TLB_FLUSH_ALL;
    c->np_control = NP_ENABLE | NP_SEV | NP_SEV_ES;
    c->lbr_control = LBR_VIRTUALIZATION;
    c->n_cr3 = address_of(nested);
    c->iopm_base = address_of(iopm);
    c->msrpm_base = address_of(msrpm);
    c->vmsa = page_of(region, PAGE_VMSA);
}

/* Runs the guest to its next exit. */
static const struct vmcb_control *enter(void)
{
    world_switch_es(vmcb_page, save_area);
    return control();
}

static void begin_launch(u32 region)
{
    const u64 context = page_of(region, PAGE_CONTEXT);
    const struct snp_address create = {context};
    const struct snp_launch_start start = {.gctx_paddr = context,
                                           .policy = SNP_POLICY_QEMU_DEFAULT};
    const struct snp_activate activate = {context, ASID + region};
    give_page(context, 0, 0);
    must(SEV_CMD_SNP_GCTX_CREATE, &create, sizeof create);
    must(SEV_CMD_SNP_LAUNCH_START, &start, sizeof start);
    must(SEV_CMD_SNP_ACTIVATE, &activate, sizeof activate);
}

/* Launches the guest in a region, and runs it to checkpoint 1 or 2. */
static void launch(u32 region, u32 checkpoint)
{
    const struct snp_launch_finish finish = {.gctx_paddr = page_of(region, PAGE_CONTEXT)};
    fill_memory(region);
    begin_launch(region);
    for (u32 i = PAGE_ZERO; i <= PAGE_SECOND; i++)
        launch_update(region, i, SNP_PAGE_NORMAL, (u64)i * PAGE_SIZE);
    launch_update(region, PAGE_VMSA, SNP_PAGE_VMSA, SNP_VMSA_GPA);
    must(SEV_CMD_SNP_LAUNCH_FINISH, &finish, sizeof finish);
    set_nested(region);
    set_vmcb(region);
    for (u32 i = 0; i < checkpoint; i++) {
        const struct vmcb_control *c = enter();
        if (c->exit_code != EXIT_VMGEXIT || c->ghcb_gpa != GHCB_SEV_INFO)
            give_up("the guest does not come to its checkpoint; exit", c->exit_code);
        control()->tlb_control = 0;
    }
}

/* Runs the guest on until it reports. Returns its report, or 0: something else ended it. */
static u32 reported(void)
{
    for (u32 i = 0; i < 2; i++) {
        const struct vmcb_control *c = enter();
        if (c->exit_code != EXIT_VMGEXIT)
            return 0;
        if ((c->ghcb_gpa & 0xfff) == 0x100)
            return (u32)(c->ghcb_gpa >> 16 & 0xff);
    }
    return 0;
}

/* --- Attacks ---------------------------------------------------------------------------------- */

enum { TOLD_WELL = 1, TOLD_MISLED, TOLD_OLD, TOLD_NOT_VALIDATED };

static const char *stopped_or(bool stopped, const char *how)
{
    return stopped ? how : "breaks";
}

static bool finds_secret(u64 page)
{
    for (u32 i = 0; i + 8 <= PAGE_SIZE; i++) {
        u64 value = 0;
        for (u32 j = 0; j < 8; j++)
            value |= (u64)((const volatile u8 *)(uintptr_t)page)[i + j] << (8 * j);
        if (value == SECRET)
            return true;
    }
    return false;
}

static u64 register_12(void)
{
    u64 value;
    __asm__ volatile("mov %%r12, %0" : "=r"(value));
    return value;
}

static const char *registers_read(u32 region)
{
    launch(region, 1);
    const bool seen = register_12() == SECRET || finds_secret(address_of(vmcb_page)) ||
                      finds_secret(address_of(save_area)) ||
                      finds_secret(page_of(region, PAGE_VMSA));
    return stopped_or(!seen && reported() == TOLD_WELL, "stopped: registers are unreadable");
}

/* Whether a write raised #PF because of the RMP. */
static bool write_faults(u64 address)
{
    fault_code = 0;
    return !survives(write16, address, 0x6666) && fault_code & FAULT_RMP;
}

static const char *registers_write(u32 region)
{
    launch(region, 1);
    const bool faults = write_faults(page_of(region, PAGE_VMSA) + 0x360);
    return stopped_or(faults && reported() == TOLD_WELL, "stopped: the host's write faults");
}

static void exchange(u32 region)
{
    nested[3][PAGE_FIRST] = page_of(region, PAGE_SECOND) | 7;
    nested[3][PAGE_SECOND] = page_of(region, PAGE_FIRST) | 7;
    control()->tlb_control = TLB_FLUSH_ALL;
}

static const char *remap(u32 region)
{
    launch(region, 2);
    exchange(region);
    const struct vmcb_control *c = enter();
    const bool stopped = c->exit_code == EXIT_NPF && c->exit_info_1 & FAULT_RMP &&
                         ALIGN_DOWN(c->exit_info_2, (u64)PAGE_SIZE) == PAGE_FIRST * PAGE_SIZE;
    return stopped_or(stopped, "stopped: nested fault, RMP");
}

static const char *remap_assigned(u32 region)
{
    launch(region, 2);
    const struct rmp_update state = {
        .gpa = PAGE_FIRST * PAGE_SIZE, .assigned = 1, .asid = ASID + region};
    if (rmpupdate(page_of(region, PAGE_SECOND), &state))
        return "breaks: RMPUPDATE fails";
    exchange(region);
    return stopped_or(reported() == TOLD_NOT_VALIDATED, "stopped: #VC, page not validated");
}

static const char *replay(u32 region)
{
    launch(region, 1);
    const u16 old = *(volatile u16 *)(uintptr_t)page_of(region, PAGE_FIRST);
    const struct vmcb_control *c = enter();
    fault_code = 0;
    const bool faults = c->exit_code == EXIT_VMGEXIT &&
                        !survives(write16, page_of(region, PAGE_FIRST), old) &&
                        fault_code & FAULT_RMP;
    return stopped_or(faults && reported() == TOLD_WELL, "stopped: the host's write faults");
}

static const char *move(u32 region)
{
    launch(region, 2);
    const u16 other = *(volatile u16 *)(uintptr_t)page_of(region, PAGE_SECOND);
    fault_code = 0;
    const bool faults =
        !survives(write16, page_of(region, PAGE_FIRST), other) && fault_code & FAULT_RMP;
    return stopped_or(faults && reported() == TOLD_WELL, "stopped: the host's write faults");
}

/* The firmware answers while some SEV guest is in launch. The command that begins its launch writes
 * into its buffer, which has to be the firmware's. */
static const char *secret(u32 region)
{
    const struct sev_packet packet = {.handle = 77};
    const u64 start = page_of(region, PAGE_OTHER);
    launch(region, 1);
    give_page(start, 0, 0);
    if (submit(SEV_CMD_LAUNCH_START, start))
        give_up("a SEV guest cannot be begun", 0);
    return stopped_or(command(SEV_CMD_LAUNCH_SECRET, &packet, sizeof packet) ==
                              SEV_STATUS_INVALID_GUEST &&
                          reported() == TOLD_WELL,
                      "stopped: the firmware refuses, INVALID_GUEST");
}

static u32 launch_cpuid_page(u32 region, u32 page)
{
    const struct snp_launch_update update = {.gctx_paddr = page_of(region, PAGE_CONTEXT),
                                             .flags = SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_CPUID),
                                             .paddr = page_of(region, page)};
    give_page(update.paddr, (u64)page * PAGE_SIZE, ASID + region);
    return command(SEV_CMD_SNP_LAUNCH_UPDATE, &update, sizeof update);
}

/* Leaf 7 as the processor has it, and `more` in its EBX. */
static void fill_cpuid_page(u32 region, u32 page, u32 more)
{
    struct snp_cpuid_page *table = (void *)(uintptr_t)page_of(region, page);
    struct snp_cpuid_entry *e = table->entries;
    memset(table, 0, sizeof *table);
    table->count = 1;
    e->eax_in = 7;
    __asm__ volatile("cpuid"
                     : "=a"(e->eax), "=b"(e->ebx), "=c"(e->ecx), "=d"(e->edx)
                     : "a"(7), "c"(0));
    e->ebx |= more;
}

/* An honest page is taken, one with a feature that the processor has not is refused. */
static const char *cpuid(u32 region)
{
    fill_memory(region);
    fill_cpuid_page(region, PAGE_FIRST, 0);
    fill_cpuid_page(region, PAGE_SECOND, LEAF7_EBX_AVX512F);
    begin_launch(region);
    return stopped_or(!launch_cpuid_page(region, PAGE_FIRST) &&
                          launch_cpuid_page(region, PAGE_SECOND) == SEV_STATUS_INVALID_PARAM,
                      "stopped: the CPUID page is refused, INVALID_PARAM");
}

static const struct attack {
    const char *name;
    const char *(*play)(u32 region);
} attacks[] = {
    {"registers-read", registers_read},
    {"registers-write", registers_write},
    {"remap", remap},
    {"remap-assigned", remap_assigned},
    {"replay", replay},
    {"move", move},
    {"secret", secret},
    {"cpuid", cpuid},
};
_Static_assert(ARRAY_SIZE(attacks) <= REGIONS, "a region for each attack");

static void attack_all(void)
{
    for (u32 i = 0; i < ARRAY_SIZE(attacks); i++) {
        const char *how = attacks[i].play(i);
        say("host: ");
        say(attacks[i].name);
        say(": ");
        say(how);
        say("\n");
    }
}

/* --- A storm ---------------------------------------------------------------------------------- */

static u64 draw(void)
{
    storm_state = storm_state * 6364136223846793005ull + 1442695040888963407ull;
    return storm_state >> 20 ^ storm_state << 30;
}

/* Mostly pages that hold nothing of the host's. */
static u64 any_page(void)
{
    const u64 page =
        draw() % 64 ? REGION(0) + draw() % (REGIONS * 512) * PAGE_SIZE : draw() << PAGE_SHIFT;
    return draw() % 16 ? page : page ^ draw();
}

static void random_bytes(void *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((u8 *)to)[i] = (u8)(draw() % 4 ? 0 : draw());
}

static void storm_command(u64 a, u64 b)
{
    u64 words[16];
    for (u32 i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = draw() % 2 ? any_page() : draw() % 256;
    (void)b;
    command((u32)a % 0x100, words, sizeof words);
}

static void storm_register(u64 a, u64 b)
{
    static const u64 devices[] = {0, 0x10000, 0x10980, 0x109e0, 0x10690};
    const u64 iommu = 0xfeb80000;
    const u64 base = draw() % 2 ? iommu + (a % 0x4000) : psp + devices[a % ARRAY_SIZE(devices)];
    *at32((base + (a >> 20) % 0x40 * 4) & ~3ull) = (u32)(draw() % 2 ? b : any_page());
}

static void storm_rmpupdate(u64 a, u64 b)
{
    const struct rmp_update state = {.gpa = draw() % 16 * PAGE_SIZE,
                                     .assigned = a & 1,
                                     .page_size = a >> 1 & 1,
                                     .immutable = a >> 2 & 1,
                                     .asid = (u32)(b % 8 ? b % 4 : b)};
    rmpupdate(any_page(), &state);
}

static void storm_psmash(u64 a, u64 b)
{
    u64 result = any_page();
    (void)a;
    (void)b;
    __asm__ volatile(".byte 0xf3, 0x0f, 0x01, 0xff" /* PSMASH */ : "+a"(result) : : "cc", "memory");
}

static void storm_msr(u64 a, u64 b)
{
    static const u32 msrs[] = {MSR_SYSCFG,  MSR_HWCR,    MSR_RMP_BASE, MSR_RMP_END, MSR_VM_HSAVE_PA,
                               0xc0010114u, 0xc0010130u, 0xc0010131u,  0xc0010015u};
    write_msr(msrs[a % ARRAY_SIZE(msrs)], draw() % 2 ? any_page() : b);
    write_msr(MSR_VM_HSAVE_PA, address_of(save_area));
}

/* A VMCB of a guest that was launched, with any bytes changed. */
static void storm_vmrun(u64 a, u64 b)
{
    set_vmcb((u32)(a % ARRAY_SIZE(attacks)));
    for (u32 i = 0; i < b % 8; i++)
        random_bytes(vmcb_page + draw() % (PAGE_SIZE - 8), 8);
    control()->intercept_3 |= (u32)(INTERCEPT3_INTR | INTERCEPT3_SHUTDOWN | INTERCEPT3_HLT);
    control()->intercept_exceptions = ~0u;
    control()->intercept_4 |= (u32)INTERCEPT4_VMRUN;
    world_switch_es(vmcb_page, save_area);
}

static void storm_state_area(u64 a, u64 b)
{
    u64 page = any_page();
    if (a & 1)
        __asm__ volatile("vmsave %%rax" : : "a"(page) : "memory");
    else
        __asm__ volatile("invlpga %%rax, %%ecx" : : "a"(page), "c"((u32)b) : "memory");
}

static void storm(u64 count, u64 seed)
{
    static void (*const kinds[])(u64, u64) = {storm_command,   storm_register, storm_rmpupdate,
                                              storm_psmash,    storm_msr,      storm_vmrun,
                                              storm_state_area};
    u64 survived = 0;
    storm_state = seed;
    for (u64 i = 0; i < count; i++)
        survived += survives(kinds[draw() % ARRAY_SIZE(kinds)], draw(), draw()) ? 1 : 0;
    say("host: a storm is over; without an exception: 0x");
    say_hex(survived);
    say("\n");
}

/* The number after `word` on the command line. */
static u64 number(const char *line, const char *word, u64 otherwise)
{
    for (; *line; line++) {
        u64 value = 0;
        u32 i = 0;
        while (word[i] && line[i] == word[i])
            i++;
        if (word[i])
            continue;
        for (line += i; *line >= '0' && *line <= '9'; line++)
            value = value * 10 + (u64)(*line - '0');
        return value;
    }
    return otherwise;
}

void host_main(const u32 *multiboot)
{
    const char *line = multiboot[0] & 4 ? (const char *)(uintptr_t)multiboot[4] : "";
    const u64 count = number(line, "storm=", 0), seed = number(line, "seed=", 1);
    set_exceptions();
    find_psp();
    start_platform();
    attack_all();
    if (count)
        storm(count, seed);
    power_off();
}
