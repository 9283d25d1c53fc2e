/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol in the GHCB MSR: requests that a guest makes before it has a GHCB page, and its
 * termination request [cpu 7.1]. An unknown request leaves the MSR unchanged, and no guest takes
 * that for an answer.
 */
#include "hypervisor/internal.h"

static u64 sev_information(struct vcpu *c, u64 value)
{
    (void)c;
    (void)value;
    return ghcb_msr_sev_info(GHCB_VERSION_MAX, GHCB_VERSION_MIN, C_BIT);
}

/* Returns one register of subleaf 0 of a leaf. */
static u64 cpuid_register(struct vcpu *c, u64 value)
{
    u32 out[4], reg = GHCB_MSR_CPUID_REGISTER(value);
    if (BITS(value, 29, 12))
        return value;
    cpuid_answer(c, GHCB_MSR_CPUID_FUNCTION(value), 0, out);
    return (u64)out[reg] << 32 | (u64)reg << 30 | GHCB_MSR_CPUID;
}

static u64 features(struct vcpu *c, u64 value)
{
    (void)value;
    return ghcb_features(c->vm) << 12 | GHCB_MSR_FEATURES;
}

static u64 preferred_page(struct vcpu *c, u64 value)
{
    (void)c;
    (void)value;
    return GHCB_NO_FRAME << 12 | GHCB_MSR_PREFERRED; /* any frame will do */
}

/* Answers a request to run a VMPL. It fails for any VMPL but 0, which is the one that asks. */
static u64 run_vmpl(struct vcpu *c, u64 value)
{
    (void)c;
    return (u64)(BITS(value, 39, 32) != 0) << 32 | GHCB_MSR_RUN_VMPL;
}

static u64 reset_hold(struct vcpu *c, u64 value)
{
    startup_hold(c, 0);
    return value; /* no answer until STARTUP */
}

static u64 terminate(struct vcpu *c, u64 value)
{
    ghcb_terminate(c->vm, GHCB_MSR_TERMINATE_SET(value), GHCB_MSR_TERMINATE_REASON(value), value);
    return value;
}

static const struct {
    enum ghcb_msr request;
    u64 (*handle)(struct vcpu *c, u64 value); /* returns the MSR's new value */
    bool snp;                                 /* SNP guests only */
} rows[] = {
    {GHCB_MSR_SEV_INFO_REQUEST, sev_information, false},
    {GHCB_MSR_CPUID_REQUEST, cpuid_register, false},
    {GHCB_MSR_RESET_HOLD_REQUEST, reset_hold, false},
    {GHCB_MSR_PREFERRED_REQUEST, preferred_page, true},
    {GHCB_MSR_REGISTER_REQUEST, ghcb_msr_register, true},
    {GHCB_MSR_PAGE_STATE_REQUEST, ghcb_msr_page_state, true},
    {GHCB_MSR_RUN_VMPL_REQUEST, run_vmpl, true},
    {GHCB_MSR_FEATURES_REQUEST, features, false},
    {GHCB_MSR_TERMINATE, terminate, false},
};

void ghcb_msr_handle(struct vcpu *c, u64 value)
{
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].request == GHCB_MSR_INFO(value) && (!rows[i].snp || vm_is_snp(c->vm))) {
            c->vm->vmgexits[VMGEXIT_MSR_PROTOCOL]++;
            c->vmcb.control.ghcb_gpa = rows[i].handle(c, value);
            return;
        }
    }
    c->vm->vmgexits[VMGEXIT_REFUSED]++;
    trace_event(host_trace(c->vm->hv->host), TRACE_VM, "GHCB_MSR_UNKNOWN", "vm=%s value=%#llx",
                c->vm->config.name, (unsigned long long)value);
}

/* --- Termination ------------------------------------------------------------------------------ */

/* Set 0 is defined by the specification, set 1 by Linux. */
static const char *const reasons[2][13] = {
    {"for no reason it gives", "the GHCB protocol versions offered do not suit it",
     "it does not know the SNP features that are on"},
    {"its GHCB could not be registered", "a page state change failed", "PVALIDATE failed",
     "it does not run at VMPL 0", "its CPUID page is not sound", "CPUID came from the hypervisor",
     "it found no secrets page", "it found no SVSM", "an SVSM is there and yet it runs at VMPL 0",
     "the SVSM's calling area is misaligned", "it could not set up Secure TSC",
     "the SVSM's calling area could not be moved", "it could not set up Secure AVIC"},
};

void ghcb_terminate(struct vm *vm, u32 set, u32 reason, u64 raw)
{
    vm->terminated = true;
    vm->terminate_set = set;
    vm->terminate_reason = reason;
    const char *text =
        set < ARRAY_SIZE(reasons) && reason < ARRAY_SIZE(reasons[0]) ? reasons[set][reason] : NULL;
    vm_end(vm, VM_CRASHED, "the guest terminated itself: %s (set %u, reason %u, raw %#llx)",
           text ? text : "a reason of its own", set, reason, (unsigned long long)raw);
}
