/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of a new virtual processor as each hypervisor measures them [sev 10; snp 5.7; cpu 4.2],
 * and the CPUID signatures of QEMU's CPU models.
 */
#include "image/measure.h"

#include "abi/part.h"
#include "abi/x86.h"

#define BSP_EIP 0xfffffff0u

/* The differences between hypervisors. */
struct flavour {
    u16 cs, ss, tr;  /* attributes */
    u16 ap_cs;       /* attributes of CS in all processors but the first */
    bool rdx_is_cpu; /* RDX holds the CPU's signature ... */
    u32 rdx;         /* ... or this value */
    u64 pat;
    u32 mxcsr;
    u16 fcw;
    u64 rsi, stack; /* first processor: RSI; RSP and RBP */
    u32 ap_start;   /* start of the others, in real mode; 0: the firmware's reset address */
};

// clang-format off
static const struct flavour flavours[MEASURE_VMM_COUNT] = {
    [MEASURE_VMM_QEMU]     = {0x9b, 0x93, 0x8b, 0x9b, true,  0,     PAT_RESET,  0x1f80, 0x37f, 0,      0,      0},
    [MEASURE_VMM_QEMU_OLD] = {0x9b, 0x93, 0x8b, 0x9b, true,  0,     PAT_RESET,  0,      0,     0,      0,      0},
    [MEASURE_VMM_EC2]      = {0x9a, 0x92, 0x83, 0x9b, false, 0x600, PAT_RESET,  0,      0,     0,      0,      0},
    [MEASURE_VMM_EC2_OLD]  = {0x9a, 0x92, 0x83, 0x9b, false, 0,     PAT_RESET,  0,      0,     0,      0,      0},
    [MEASURE_VMM_GCE]      = {0x9b, 0x93, 0x8b, 0x9b, false, 0x600, 0x00070106, 0,      0,     0,      0,      0},
    [MEASURE_VMM_KRUN]     = {0x9a, 0x92, 0x83, 0x9a, false, 0,     PAT_RESET,  0,      0,     0x7000, 0x8ff0, 0x91000},
    [MEASURE_VMM_KRUN_OLD] = {0x9a, 0x92, 0x83, 0x9a, false, 0,     PAT_RESET,  0,      0,     0,      0,      0},
};

#define VMM_NAME(id, name, help) [MEASURE_VMM_##id] = name,
static const char *const vmm_names[MEASURE_VMM_COUNT] = {MEASURE_VMMS(VMM_NAME)};
#undef VMM_NAME

/* QEMU's models, then the parts that softsev's own machines are. */
#define PART_MODEL(id, name, family, model, stepping, brand) {name, family, model, stepping},
static const struct {
    const char *name;
    u32 family, model, stepping;
} models[] = {
    {"EPYC",          23, 1,  2},
    {"EPYC-v1",       23, 1,  2},
    {"EPYC-v2",       23, 1,  2},
    {"EPYC-v3",       23, 1,  2},
    {"EPYC-v4",       23, 1,  2},
    {"EPYC-IBPB",     23, 1,  2},
    {"EPYC-Rome",     23, 49, 0},
    {"EPYC-Rome-v1",  23, 49, 0},
    {"EPYC-Rome-v2",  23, 49, 0},
    {"EPYC-Rome-v3",  23, 49, 0},
    {"EPYC-Milan",    25, 1,  1},
    {"EPYC-Milan-v1", 25, 1,  1},
    {"EPYC-Milan-v2", 25, 1,  1},
    {"EPYC-Genoa",    25, 17, 0},
    {"EPYC-Genoa-v1", 25, 17, 0},
    {"EPYC-Turin",    26, 0,  0},
    {"EPYC-Turin-v1", 26, 0,  0},
    {"EPYC-Turin-v2", 26, 0,  0},
    PARTS(PART_MODEL)
};
#undef PART_MODEL
// clang-format on

bool measure_vmm_by_name(const char *name, enum measure_vmm *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(vmm_names); i++)
        if (!strcmp(name, vmm_names[i])) {
            *out = (enum measure_vmm)i;
            return true;
        }
    return false;
}

const char *measure_vmm_name(enum measure_vmm vmm)
{
    return (unsigned)vmm < MEASURE_VMM_COUNT ? vmm_names[vmm] : NULL;
}

bool measure_signature_by_name(const char *name, u32 *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(models); i++)
        if (!strcmp(name, models[i].name)) {
            *out = part_signature(models[i].family, models[i].model, models[i].stepping);
            return true;
        }
    return false;
}

const char *measure_signature_name(size_t n)
{
    return n < ARRAY_SIZE(models) ? models[n].name : NULL;
}

void measure_vmsa(enum measure_vmm vmm, u32 eip, u32 signature, u64 features, struct vmsa *out)
{
    const struct flavour *f = &flavours[vmm];
    const bool first = eip == BSP_EIP;
    const struct vmcb_segment data = {.attributes = 0x93, .limit = 0xffff},
                              table = {.limit = 0xffff};
    memset(out, 0, sizeof *out);
    out->es = out->ss = out->ds = out->fs = out->gs = data;
    out->ss.attributes = f->ss;
    out->cs = (struct vmcb_segment){.selector = 0xf000,
                                    .attributes = first ? f->cs : f->ap_cs,
                                    .limit = 0xffff,
                                    .base = eip & 0xffff0000};
    out->gdtr = out->idtr = out->ldtr = out->tr = table;
    out->ldtr.attributes = 0x82;
    out->tr.attributes = f->tr;
    out->efer = 0x1000; /* SVME */
    out->cr4 = 0x40;    /* MCE */
    out->cr0 = 0x10;    /* ET */
    out->dr7 = DR7_RESET;
    out->dr6 = DR6_RESET;
    out->rflags = 2;
    out->rip = eip & 0xffff;
    out->g_pat = f->pat;
    out->rdx = f->rdx_is_cpu ? signature : f->rdx;
    if (first) {
        out->rsi = f->rsi;
        out->rsp = out->rbp = f->stack;
    } else if (f->ap_start) {
        out->cs.selector = (u16)(f->ap_start >> 4);
        out->cs.base = f->ap_start;
        out->rip = 0;
    }
    out->sev_features = features;
    out->xcr0 = 1;
    out->mxcsr = f->mxcsr;
    out->x87_fcw = f->fcw;
}
