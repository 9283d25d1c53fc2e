/* SPDX-License-Identifier: Apache-2.0 */
/* What the numbers in a trace are called, and where the specification explains an event. */
#include "view/event.h"

#include "abi/vmcb.h"

#include <inttypes.h>
#include <stdio.h>

struct number_name {
    u64 number;
    const char *name;
};

/* [cpu 3.4] */
static const struct number_name exits[] = {
    {EXIT_INTR, "INTR"},
    {EXIT_NMI, "NMI"},
    {EXIT_SMI, "SMI"},
    {EXIT_INIT, "INIT"},
    {EXIT_VINTR, "VINTR"},
    {EXIT_CR0_SEL_WRITE, "CR0_SEL_WRITE"},
    {EXIT_IDTR_READ, "IDTR_READ"},
    {EXIT_GDTR_READ, "GDTR_READ"},
    {EXIT_LDTR_READ, "LDTR_READ"},
    {EXIT_TR_READ, "TR_READ"},
    {EXIT_IDTR_WRITE, "IDTR_WRITE"},
    {EXIT_GDTR_WRITE, "GDTR_WRITE"},
    {EXIT_LDTR_WRITE, "LDTR_WRITE"},
    {EXIT_TR_WRITE, "TR_WRITE"},
    {EXIT_RDTSC, "RDTSC"},
    {EXIT_RDPMC, "RDPMC"},
    {EXIT_PUSHF, "PUSHF"},
    {EXIT_POPF, "POPF"},
    {EXIT_CPUID, "CPUID"},
    {EXIT_RSM, "RSM"},
    {EXIT_IRET, "IRET"},
    {EXIT_INTN, "INTn"},
    {EXIT_INVD, "INVD"},
    {EXIT_PAUSE, "PAUSE"},
    {EXIT_HLT, "HLT"},
    {EXIT_INVLPG, "INVLPG"},
    {EXIT_INVLPGA, "INVLPGA"},
    {EXIT_IOIO, "IOIO"},
    {EXIT_MSR, "MSR"},
    {EXIT_TASK_SWITCH, "task switch"},
    {EXIT_FERR_FREEZE, "FERR_FREEZE"},
    {EXIT_SHUTDOWN, "SHUTDOWN"},
    {EXIT_VMRUN, "VMRUN"},
    {EXIT_VMMCALL, "VMMCALL"},
    {EXIT_VMLOAD, "VMLOAD"},
    {EXIT_VMSAVE, "VMSAVE"},
    {EXIT_STGI, "STGI"},
    {EXIT_CLGI, "CLGI"},
    {EXIT_SKINIT, "SKINIT"},
    {EXIT_RDTSCP, "RDTSCP"},
    {EXIT_ICEBP, "ICEBP"},
    {EXIT_WBINVD, "WBINVD"},
    {EXIT_MONITOR, "MONITOR"},
    {EXIT_MWAIT, "MWAIT"},
    {EXIT_MWAIT_CONDITIONAL, "MWAIT, armed"},
    {EXIT_XSETBV, "XSETBV"},
    {EXIT_RDPRU, "RDPRU"},
    {EXIT_EFER_WRITE_TRAP, "EFER write trap"},
    {EXIT_INVLPGB, "INVLPGB"},
    {EXIT_INVLPGB_ILLEGAL, "INVLPGB, illegal"},
    {EXIT_INVPCID, "INVPCID"},
    {EXIT_MCOMMIT, "MCOMMIT"},
    {EXIT_TLBSYNC, "TLBSYNC"},
    {EXIT_BUSLOCK, "BUSLOCK"},
    {EXIT_IDLE_HLT, "IDLE_HLT"},
    {EXIT_NPF, "NPF"},
    {EXIT_AVIC_INCOMPLETE_IPI, "AVIC incomplete IPI"},
    {EXIT_AVIC_NO_ACCELERATION, "AVIC no acceleration"},
    {EXIT_VMGEXIT, "VMGEXIT"},
    {EXIT_PAGE_NOT_VALIDATED, "PAGE_NOT_VALIDATED"},
    {EXIT_INVALID, "INVALID"},
    {EXIT_BUSY, "BUSY"},
    {EXIT_IDLE_REQUIRED, "IDLE_REQUIRED"},
};

/* Codes that only a GHCB has [cpu 7.4]. */
static const struct number_name synthetic[] = {
    {0x80000001, "MMIO read"},         {0x80000002, "MMIO write"},
    {0x80000003, "NMI complete"},      {0x80000004, "AP reset hold"},
    {0x80000005, "AP jump table"},     {0x80000010, "page state change"},
    {0x80000011, "SNP guest request"}, {0x80000012, "extended guest request"},
    {0x80000013, "AP creation"},       {0x80000014, "#HV doorbell page"},
    {0x80000015, "#HV IPI"},           {0x80000016, "#HV timer"},
    {0x80000017, "APIC ID list"},      {0x80000018, "run VMPL"},
    {0x8000fffd, "HV features"},       {0x8000fffe, "termination"},
    {0x8000ffff, "unsupported event"},
};

/* Bits 11:0 of the GHCB MSR [cpu 7.1]. */
static const struct number_name msr_protocol[] = {
    {0x002, "MSR: SEV information"}, {0x004, "MSR: CPUID"},
    {0x006, "MSR: AP reset hold"},   {0x010, "MSR: preferred GHCB"},
    {0x012, "MSR: register GHCB"},   {0x014, "MSR: page state change"},
    {0x016, "MSR: run VMPL"},        {0x080, "MSR: HV features"},
    {0x100, "MSR: terminate"},
};

/* Ranges of 16 or 32 codes: a register or a vector. */
static const struct {
    u64 first, count;
    const char *format;
} ranges[] = {
    {EXIT_CR_READ, 16, "CR%u read"},      {EXIT_CR_WRITE, 16, "CR%u write"},
    {EXIT_DR_READ, 16, "DR%u read"},      {EXIT_DR_WRITE, 16, "DR%u write"},
    {EXIT_EXCEPTION, 32, "exception %u"}, {EXIT_CR_WRITE_TRAP, 16, "CR%u write trap"},
};

static const char *find(const struct number_name *names, size_t count, u64 number)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].number == number)
            return names[i].name;
    return NULL;
}

void view_exit_name(u64 code, char out[VIEW_VALUE_MAX])
{
    const char *name = find(exits, ARRAY_SIZE(exits), code);
    if (!name)
        name = find(synthetic, ARRAY_SIZE(synthetic), code);
    snprintf(out, VIEW_VALUE_MAX, "0x%" PRIx64, code);
    if (name)
        snprintf(out, VIEW_VALUE_MAX, "%s", name);
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        if (code - ranges[i].first < ranges[i].count)
            snprintf(out, VIEW_VALUE_MAX, ranges[i].format, (u32)(code - ranges[i].first));
}

void view_switch_name(const struct view_event *e, char out[VIEW_VALUE_MAX])
{
    u64 number;
    if (view_number(e, "code", &number)) {
        view_exit_name(number, out);
        return;
    }
    snprintf(out, VIEW_VALUE_MAX, "%s", e->name);
    if (!view_number(e, "msr", &number))
        return;
    const char *name = find(msr_protocol, ARRAY_SIZE(msr_protocol), number & 0xfff);
    snprintf(out, VIEW_VALUE_MAX, "MSR: 0x%03x", (u32)(number & 0xfff));
    if (name)
        snprintf(out, VIEW_VALUE_MAX, "%s", name);
}

/* --- Sections --------------------------------------------------------------------------------- */

/* Sections by the event's name; the first row that fits counts. A star stands for the rest of a
 * name. */
static const struct {
    const char *name, *section;
} sections[] = {
    {"SNP_INIT*", "[snp 3.3]"},
    {"SNP_SHUTDOWN*", "[snp 3.3]"},
    {"SNP_PLATFORM_STATUS", "[snp 3.3]"},
    {"SNP_DF_FLUSH", "[snp 3.3]"},
    {"SNP_GCTX_CREATE", "[snp 3.3]"},
    {"SNP_ACTIVATE*", "[snp 3.3]"},
    {"SNP_DECOMMISSION", "[snp 3.3]"},
    {"SNP_LAUNCH_*", "[snp 5.2]"},
    {"SNP_PAGE_*", "[snp 4.4]"},
    {"SNP_GUEST_REQUEST", "[snp 6.1]"},
    {"SNP_HV_REPORT_REQ", "[snp 7]"},
    {"SNP_*", "[snp 3.2]"},
    {"LAUNCH_MEASURE", "[sev 7.5]"},
    {"LAUNCH_SECRET", "[sev 7.6]"},
    {"LAUNCH_*", "[sev 5.4]"},
    {"SEND_*", "[sev 7.7]"},
    {"RECEIVE_*", "[sev 7.7]"},
    {"ATTESTATION", "[sev 7.8]"},
    {"ACTIVATE*", "[sev 5.3]"},
    {"DEACTIVATE", "[sev 5.3]"},
    {"DECOMMISSION", "[sev 5.3]"},
    {"DF_FLUSH", "[sev 5.3]"},
    {"GUEST_STATUS", "[sev 5.2]"},
    {"DBG_*", "[sev 5.4]"},
    {"VMEXIT", "[cpu 4.4]"},
    {"INVALID", "[cpu 4.5]"},
    {"VC", "[cpu 6.2]"},
    {"VMGEXIT", "[cpu 6.4]"},
    {"LOAD", "[sev 5.3]"},
    {"UNLOAD", "[sev 5.3]"},
    {"FLIP", "[cpu 5.3]"},
    {"PLACE", "[cpu 5.3]"},
    {"RMP", "[snp 4.4]"},
    {"RMP_*", "[snp 4.1]"},
    {"RMPUPDATE", "[cpu 8.2]"},
    {"RMPADJUST", "[cpu 8.2]"},
    {"PSMASH", "[cpu 8.2]"},
    {"PVALIDATE", "[cpu 8.2]"},
    {"STATE", "[cpu 7.4]"},
    {"AP_CREATION", "[cpu 7.5]"},
    {"GHCB_*", "[cpu 7.2]"},
    {"STARTUP", "[cpu 7.8]"},
    {"RELEASED", "[cpu 7.8]"},
    {"CREATED", "[cpu 3.1]"},
    {"PROCESSOR", "[cpu 3.1]"},
};

static bool fits(const char *pattern, const char *name)
{
    const size_t n = strcspn(pattern, "*");
    return !strncmp(pattern, name, n) && (pattern[n] == '*' || !name[n]);
}

const char *view_section(const struct view_event *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
        if (fits(sections[i].name, e->name))
            return sections[i].section;
    return e->category == TRACE_COMMAND ? "[sev 4.3]" : NULL;
}
