/* SPDX-License-Identifier: Apache-2.0 */
/* The processor state and the tables for a guest's first instruction [cpu 9.2]. */
#include "abi/x86.h"
#include "image/internal.h"
#include "image/measure.h"

#define SELECTOR_CODE  0x10u
#define SELECTOR_DATA  0x18u
#define SEGMENT_CODE64 0xa9bu /* P, code, readable, accessed; L, G */
#define SEGMENT_CODE32 0xc9bu
#define SEGMENT_DATA   0xc93u

#define PAGE_TABLES_SIZE 0x6000u

/* Converts a flat segment's attributes from the VMCB's format to a descriptor. */
static u64 descriptor(u32 attributes)
{
    return 0xffffull | (u64)(attributes & 0xff) << 40 | 0xfull << 48 |
           (u64)(attributes >> 8 & 0xf) << 52;
}

static int start_gdt(struct image_plan *plan, u64 at, u32 code, struct error *error)
{
    u8 *gdt = plan_own(plan, PAGE_SIZE, error);
    if (!gdt)
        return -1;
    store_le64(gdt + SELECTOR_CODE, descriptor(code));
    store_le64(gdt + SELECTOR_DATA, descriptor(SEGMENT_DATA));
    struct vmcb_save *r = &plan->registers;
    r->gdtr = (struct vmcb_segment){.base = at, .limit = SELECTOR_DATA + 7};
    r->cs = (struct vmcb_segment){SELECTOR_CODE, (u16)code, 0xffffffff, 0};
    r->ds = (struct vmcb_segment){SELECTOR_DATA, SEGMENT_DATA, 0xffffffff, 0};
    r->es = r->ss = r->fs = r->gs = r->ds;
    r->ldtr = (struct vmcb_segment){0, 0x82, 0xffff, 0};
    r->tr = (struct vmcb_segment){0, 0x8b, 0xffff, 0};
    r->idtr = (struct vmcb_segment){0, 0, 0, 0};
    r->rflags = RFLAGS_ONE;
    r->rsp = LAYOUT_STACK_END;
    r->g_pat = PAT_RESET;
    r->dr6 = DR6_RESET;
    r->dr7 = DR7_RESET;
    return plan_add(plan, "gdt", at, PAGE_SIZE, gdt, PAGE_SIZE, error);
}

/* Fills in the PML4, the PDPT and four page directories: the first 4 GiB in 2 MiB pages. Under SEV
 * all of it is private: the C-bit is set everywhere, as in the kernel's own tables. */
static void start_fill_tables(u8 *tables, u64 c_bit)
{
    const u64 table = PTE_P | PTE_RW | c_bit, leaf = table | PTE_PS;
    store_le64(tables, (LAYOUT_PAGE_TABLES + PAGE_SIZE) | table);
    for (u32 i = 0; i < 4; i++)
        store_le64(tables + PAGE_SIZE + 8 * (size_t)i,
                   (LAYOUT_PAGE_TABLES + (2 + i) * PAGE_SIZE) | table);
    for (u32 i = 0; i < 4 * 512; i++)
        store_le64(tables + 2 * (size_t)PAGE_SIZE + 8 * (size_t)i, (u64)i * MIB(2) | leaf);
}

int start_64bit(struct image_plan *plan, u64 rip, struct error *error)
{
    u8 *tables = plan_own(plan, PAGE_TABLES_SIZE, error);
    if (!tables || start_gdt(plan, LAYOUT_GDT, SEGMENT_CODE64, error))
        return -1;
    /* With vTOM the address says which memory is private, and the C-bit is reserved. */
    const bool tom = plan->sev_features & SEV_FEATURE_VTOM;
    const u64 c_bit = plan->mode != IMAGE_NONE && !tom ? BIT(C_BIT) : 0;
    start_fill_tables(tables, c_bit);
    struct vmcb_save *r = &plan->registers;
    r->rip = rip;
    r->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    r->cr3 = LAYOUT_PAGE_TABLES | c_bit;
    r->cr4 = CR4_PAE;
    r->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME;
    return plan_add(plan, "page_tables", LAYOUT_PAGE_TABLES, PAGE_TABLES_SIZE, tables,
                    PAGE_TABLES_SIZE, error);
}

int start_32bit(struct image_plan *plan, u64 gdt, u64 eip, u64 esp, struct error *error)
{
    if (start_gdt(plan, gdt, SEGMENT_CODE32, error))
        return -1;
    struct vmcb_save *r = &plan->registers;
    r->rip = eip;
    r->rsp = esp;
    r->cr0 = CR0_PE | CR0_ET;
    r->efer = EFER_SVME;
    return 0;
}

/* --- The registers as a page, for SEV-ES ------------------------------------------------------ */

#define XCR0_RESET 1u /* x87 */
#define VTOM_UNIT  MIB(2)

/* State that a VMCB does not hold (x87, SSE, XCR0) has its reset values [cpu 4.2]. */
void start_fill_vmsa(const struct vmcb_save *r, const u64 gpr[16], struct vmsa *out)
{
    *out = (struct vmsa){
        .es = r->es,
        .cs = r->cs,
        .ss = r->ss,
        .ds = r->ds,
        .fs = r->fs,
        .gs = r->gs,
        .gdtr = r->gdtr,
        .ldtr = r->ldtr,
        .idtr = r->idtr,
        .tr = r->tr,
        .cpl = r->cpl,
        .efer = r->efer,
        .cr0 = r->cr0,
        .cr2 = r->cr2,
        .cr3 = r->cr3,
        .cr4 = r->cr4,
        .dr6 = r->dr6,
        .dr7 = r->dr7,
        .rflags = r->rflags,
        .rip = r->rip,
        .rsp = r->rsp,
        .rax = r->rax,
        .rcx = gpr[1],
        .rdx = gpr[2],
        .rbx = gpr[3],
        .rbp = gpr[5],
        .rsi = gpr[6],
        .rdi = gpr[7],
        .g_pat = r->g_pat,
        .xcr0 = XCR0_RESET,
        .mxcsr = MXCSR_RESET,
        .x87_fcw = X87_CONTROL_RESET,
    };
    memcpy(out->r8_15, &gpr[8], sizeof out->r8_15);
}

/* --- Processors that wait for another to start them ------------------------------------------- */

/* Real mode code, at offset 0 of its segment. Repeats the AP reset hold by the MSR protocol until
 * the answer says that STARTUP has come; then jumps far through the table [cpu 7.1, 7.8]. */
static const u8 parking_stub[] = {
    0x66, 0xb9, 0x30, 0x01, 0x01, 0xc0,       /* again: mov ecx, C001_0130: the GHCB MSR */
    0x66, 0xb8, 0x06, 0x00, 0x00, 0x00,       /* mov eax, 6: AP reset hold */
    0x66, 0x31, 0xd2,                         /* xor edx, edx */
    0x0f, 0x30,                               /* wrmsr */
    0xf3, 0x0f, 0x01, 0xd9,                   /* vmgexit */
    0x0f, 0x32,                               /* rdmsr */
    0x66, 0x89, 0xc3,                         /* mov ebx, eax */
    0x66, 0x81, 0xe3, 0xff, 0x0f, 0x00, 0x00, /* and ebx, FFF */
    0x66, 0x83, 0xfb, 0x07,                   /* cmp ebx, 7 */
    0x75, 0xd9,                               /* jne again */
    0x66, 0xc1, 0xe8, 0x0c,                   /* shr eax, 12 */
    0x66, 0x09, 0xd0,                         /* or eax, edx */
    0x74, 0xd0,                               /* jz again */
    0x2e, 0xff, 0x2e, 0x00, 0x10,             /* jmp far cs:[1000]: the jump table */
};
_Static_assert(LAYOUT_JUMP_TABLE - LAYOUT_STUB == 0x1000, "the stub knows where the table is");

int start_parking(struct image_plan *plan, struct error *error)
{
    if (plan->mode != IMAGE_SEV_ES || plan->cpus == 1)
        return 0;
    plan->jump_table_gpa = LAYOUT_JUMP_TABLE;
    return plan_add(plan, "parking_stub", LAYOUT_STUB, LAYOUT_LOW_END - LAYOUT_STUB, parking_stub,
                    sizeof parking_stub, error);
}

static void parked_vmsa(struct vmsa *out)
{
    measure_vmsa(MEASURE_VMM_QEMU, LAYOUT_STUB, 0, 0, out);
    out->cs.selector = LAYOUT_STUB >> 4;
    out->cs.base = LAYOUT_STUB;
    out->rip = 0;
}

/* Returns the address from which on vTOM makes memory shared: the end of RAM, so that the guest
 * starts with private memory alone, as without vTOM. The guest lowers it by MSR [cpu 5.7]. */
static u64 top_of_memory(const struct image_plan *plan)
{
    return ALIGN_UP(plan_low_end(plan), VTOM_UNIT);
}

int start_vmsas(struct image_plan *plan, struct error *error)
{
    struct vmsa *vmsas = (struct vmsa *)(void *)plan_own(plan, plan->cpus * sizeof *vmsas, error);
    if (!vmsas)
        return -1;
    /* An SNP guest launches only the first processor's VMSA; the guest makes the others itself. */
    u32 count = plan->mode == IMAGE_SEV_SNP ? 1 : plan->cpus;
    for (u32 i = 0; i < count; i++) {
        if (i)
            parked_vmsa(&vmsas[i]);
        else
            start_fill_vmsa(&plan->registers, plan->gpr, vmsas);
        vmsas[i].sev_features = plan->sev_features;
        vmsas[i].virtual_tom = plan->sev_features & SEV_FEATURE_VTOM ? top_of_memory(plan) : 0;
        plan->vmsas[plan->vmsa_count++] = &vmsas[i];
    }
    return 0;
}
