/* SPDX-License-Identifier: Apache-2.0 */
/* The processor state and the tables of a guest's first instruction [cpu 9.2]. */
#include "abi/x86.h"
#include "image/internal.h"

#define SELECTOR_CODE  0x10u
#define SELECTOR_DATA  0x18u
#define SEGMENT_CODE64 0xa9bu /* P, code, readable, accessed; L, G */
#define SEGMENT_CODE32 0xc9bu
#define SEGMENT_DATA   0xc93u

#define PAGE_TABLES_SIZE 0x6000u

/* A flat descriptor from the VMCB's form of its attributes. */
static u64 descriptor(u32 attributes)
{
    return 0xffffull | (u64)(attributes & 0xff) << 40 | 0xfull << 48 |
           (u64)(attributes >> 8 & 0xf) << 52;
}

static int start_gdt(struct image_plan *plan, u32 code, struct error *error)
{
    u8 *gdt = plan_own(plan, PAGE_SIZE, error);
    if (!gdt)
        return -1;
    store_le64(gdt + SELECTOR_CODE, descriptor(code));
    store_le64(gdt + SELECTOR_DATA, descriptor(SEGMENT_DATA));
    struct vmcb_save *r = &plan->registers;
    r->gdtr = (struct vmcb_segment){.base = LAYOUT_GDT, .limit = SELECTOR_DATA + 7};
    r->cs = (struct vmcb_segment){SELECTOR_CODE, (u16)code, 0xffffffff, 0};
    r->ds = (struct vmcb_segment){SELECTOR_DATA, SEGMENT_DATA, 0xffffffff, 0};
    r->es = r->ss = r->fs = r->gs = r->ds;
    r->ldtr = (struct vmcb_segment){0, 0x82, 0xffff, 0};
    r->tr = (struct vmcb_segment){0, 0x8b, 0xffff, 0};
    r->idtr = (struct vmcb_segment){0, 0, 0, 0};
    r->rflags = RFLAGS_ONE;
    r->rsp = LAYOUT_STACK_END;
    r->g_pat = 0x0007040600070406ull;
    r->dr6 = 0xffff0ff0;
    r->dr7 = 0x400;
    return plan_add(plan, "gdt", LAYOUT_GDT, PAGE_SIZE, gdt, PAGE_SIZE, error);
}

/* PML4, PDPT, four page directories: the first 4 GiB, 2 MiB pages. Under SEV all of it is private:
 * with the C-bit everywhere, as the kernel's own tables have it. */
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
    if (!tables || start_gdt(plan, SEGMENT_CODE64, error))
        return -1;
    const u64 c_bit = plan->mode != IMAGE_NONE ? BIT(BOARD_C_BIT) : 0;
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

int start_32bit(struct image_plan *plan, u64 eip, struct error *error)
{
    if (start_gdt(plan, SEGMENT_CODE32, error))
        return -1;
    struct vmcb_save *r = &plan->registers;
    r->rip = eip;
    r->cr0 = CR0_PE | CR0_ET;
    r->efer = EFER_SVME;
    return 0;
}

/* --- The same as a page, for SEV-ES ------------------------------------------------------------- */

#define MXCSR_RESET 0x1f80u
#define FCW_FNINIT  0x37fu
#define XCR0_RESET  1u /* x87 */

/* What a VMCB does not hold (x87, SSE, XCR0) is as reset leaves it [cpu 4.2]. */
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
        .x87_fcw = FCW_FNINIT,
    };
    memcpy(out->r8_15, &gpr[8], sizeof out->r8_15);
}

int start_vmsa(struct image_plan *plan, struct error *error)
{
    struct vmsa *vmsa = (struct vmsa *)(void *)plan_own(plan, sizeof *vmsa, error);
    if (!vmsa)
        return -1;
    start_fill_vmsa(&plan->registers, plan->gpr, vmsa);
    vmsa->sev_features = plan->mode == IMAGE_SEV_SNP ? SEV_FEATURE_SNP : 0;
    plan->vmsas[plan->vmsa_count++] = vmsa;
    return 0;
}
