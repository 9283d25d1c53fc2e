/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host made of a few arrays, for tests of the hypervisor: it knows no processor and no firmware.
 * Each test says what the next VMRUN comes back with; the mailbox notes what it is asked and
 * agrees.
 */
#ifndef SOFTSEV_TESTS_HYPERVISOR_HOST_H
#define SOFTSEV_TESTS_HYPERVISOR_HOST_H

#include <stdlib.h>

#include "abi/rmp.h"
#include "abi/sev.h"
#include "abi/snp.h"
#include "hypervisor/internal.h"

#define HOST_MEMORY       MIB(32)
#define GUEST_MEMORY      MIB(8)
#define COMMANDS_MAX      64
#define HOST_GUEST_HANDLE 77

struct host {
    u8 *memory;
    u64 gpr[16], dr[4], xcr0;
    u64 efer, hsave, now;
    u32 signature; /* of CPUID leaf 1 */
    u32 commands[COMMANDS_MAX];
    u32 command_count, wbinvds;
    u8 launched[MIB(2)]; /* what LAUNCH_UPDATE_DATA covered, in order */
    size_t launched_size;
    u32 refuse;          /* a command that fails */
    u32 desired_tsc_khz; /* of SNP_LAUNCH_START */
    struct trace trace;
    struct clock clock;
    /* The next VMRUN: changes the VMCB as a guest would. */
    void (*guest)(struct host *h, struct vmcb *vmcb);
    u32 vmruns;
    struct vmcb seen;                               /* as it was at VMRUN */
    struct rmp_update rmp[HOST_MEMORY / PAGE_SIZE]; /* a large page has one entry, its first */
    u32 rmpupdates, psmashes;
    bool assists, asks; /* an instruction asks for this access to a device ... */
    struct device_access access;
    u64 answer; /* ... and has got this */
    u32 answers;
    u32 guest_status; /* what SNP_GUEST_REQUEST comes back with */
};

/* --- host.h, in arrays ------------------------------------------------------------------------ */

u64 host_memory_size(const struct host *h)
{
    (void)h;
    return HOST_MEMORY;
}

bool host_read(struct host *h, u64 spa, void *out, size_t size)
{
    if (!range_fits(spa, size, HOST_MEMORY))
        return false;
    memcpy(out, h->memory + spa, size);
    return true;
}

bool host_write(struct host *h, u64 spa, const void *data, size_t size)
{
    if (!range_fits(spa, size, HOST_MEMORY))
        return false;
    memcpy(h->memory + spa, data, size);
    return true;
}

bool host_dma_read(struct host *h, u64 spa, void *out, size_t size)
{
    return host_read(h, spa, out, size);
}

bool host_dma_write(struct host *h, u64 spa, const void *data, size_t size)
{
    return host_write(h, spa, data, size);
}

u32 host_cores(const struct host *h)
{
    (void)h;
    return 1;
}

u64 *host_gpr(struct host *h, u32 core)
{
    (void)core;
    return h->gpr;
}

u64 *host_dr(struct host *h, u32 core)
{
    (void)core;
    return h->dr;
}

u64 *host_xcr0(struct host *h, u32 core)
{
    (void)core;
    return &h->xcr0;
}

bool host_xsave(const struct host *h, u32 core, u64 components, void *image, size_t size)
{
    (void)h;
    (void)core;
    (void)components;
    memset(image, 0, size);
    return true;
}

bool host_xrstor(struct host *h, u32 core, u64 components, const void *image, size_t size)
{
    (void)h;
    (void)core;
    (void)components;
    (void)image;
    (void)size;
    return true;
}

bool host_vmrun(struct host *h, u32 core, u64 vmcb_spa, u64 deadline_ns)
{
    (void)core;
    struct vmcb vmcb;
    memcpy(&vmcb, h->memory + vmcb_spa, sizeof vmcb);
    h->seen = vmcb;
    h->vmruns++;
    vmcb.control.event_inject = 0;
    vmcb.control.exit_int_info = 0;
    if (h->guest) {
        h->now += 100;
        h->guest(h, &vmcb);
    } else {
        h->now = max_u64(h->now, deadline_ns);
        vmcb.control.exit_code = EXIT_INTR;
    }
    memcpy(h->memory + vmcb_spa, &vmcb, sizeof vmcb);
    return true;
}

bool host_vmload(struct host *h, u32 core, u64 vmcb_spa)
{
    (void)h;
    (void)core;
    (void)vmcb_spa;
    return true;
}

bool host_vmsave(struct host *h, u32 core, u64 vmcb_spa)
{
    return host_vmload(h, core, vmcb_spa);
}

void host_device_assist(struct host *h, u32 core, bool on)
{
    (void)core;
    h->assists = on;
}

bool host_device_access(const struct host *h, u32 core, struct device_access *out)
{
    (void)core;
    *out = h->access;
    return h->asks;
}

void host_device_answer(struct host *h, u32 core, u64 value)
{
    (void)core;
    h->answer = value;
    h->answers++;
    h->asks = false;
}

void host_wbinvd(struct host *h, u32 core)
{
    (void)core;
    h->wbinvds++;
}

bool host_rdmsr(struct host *h, u32 core, u32 msr, u64 *value)
{
    (void)core;
    *value = msr == MSR_EFER ? h->efer : 0;
    return true;
}

bool host_wrmsr(struct host *h, u32 core, u32 msr, u64 value)
{
    (void)core;
    if (msr == MSR_EFER)
        h->efer = value;
    if (msr == MSR_VM_HSAVE_PA)
        h->hsave = value;
    return true;
}

void host_cpuid(struct host *h, u32 core, u32 leaf, u32 subleaf, u32 out[4])
{
    (void)core;
    memset(out, 0, 16);
    if (leaf == 1)
        out[0] = h->signature;
    if (leaf == 0x8000001d && subleaf == 3)
        out[0] = 0x163; /* an L3 */
    if (leaf == 0x8000001f) {
        out[0] =
            1u << 1 | 1u << 8 | 1u << 12 | 1u << 14; /* SEV, secure TSC, injection, debug swap */
        out[1] = 51;
        out[2] = 20;
        out[3] = 10;
    }
    if (leaf == 0x8000000a)
        out[1] = 24;
    if (leaf == 0x80000001)
        out[2] = 4;
}

/* Of the rules only those that its tests need: sizes agree, and what is somebody's is not given to
 * another. */
u32 host_rmpupdate(struct host *h, u32 core, u64 spa, const struct rmp_update *state)
{
    (void)core;
    u64 page = spa / PAGE_SIZE, pages = state->page_size ? 512 : 1;
    if (spa % (pages * PAGE_SIZE) || spa >= HOST_MEMORY)
        return RMP_FAIL_INPUT;
    for (u64 i = 0; i < pages; i++)
        if (h->rmp[page + i].assigned && (i || h->rmp[page].page_size != state->page_size))
            return RMP_FAIL_OVERLAP;
    if (h->rmp[page - page % 512].page_size && page % 512)
        return RMP_FAIL_OVERLAP;
    h->rmp[page] = *state;
    if (!state->assigned)
        h->rmp[page] = (struct rmp_update){0};
    h->rmpupdates++;
    return RMP_SUCCESS;
}

u32 host_psmash(struct host *h, u32 core, u64 spa)
{
    (void)core;
    u64 page = spa / PAGE_SIZE;
    if (spa % RMP_LARGE_SIZE || !h->rmp[page].page_size)
        return RMP_FAIL_NOT_LARGE;
    h->rmp[page].page_size = 0;
    for (u64 i = 1; i < 512; i++) {
        h->rmp[page + i] = h->rmp[page];
        h->rmp[page + i].gpa += i * PAGE_SIZE;
    }
    h->psmashes++;
    return RMP_SUCCESS;
}

u32 host_rmpread(struct host *h, u32 core, u64 spa, struct rmp_update *out)
{
    (void)core;
    *out = h->rmp[spa / PAGE_SIZE];
    return RMP_SUCCESS;
}

u64 host_time_ns(const struct host *h)
{
    return h->now;
}

void host_idle_until(struct host *h, u64 time_ns)
{
    h->now = max_u64(h->now, time_ns);
}

void host_spend(struct host *h, u64 ns)
{
    h->now += ns;
}

struct trace *host_trace(struct host *h)
{
    return &h->trace;
}

/* SEND_UPDATE and RECEIVE_UPDATE: this firmware seals by a mask. */
static u32 host_packet(struct host *h, u32 command, const u8 *buffer)
{
    const bool sends = command == SEV_CMD_SEND_UPDATE_DATA || command == SEV_CMD_SEND_UPDATE_VMSA;
    struct sev_packet p;
    memcpy(&p, buffer, sizeof p);
    if (!range_fits(p.guest_paddr, p.guest_len, HOST_MEMORY) ||
        !range_fits(p.trans_paddr, p.guest_len, HOST_MEMORY))
        return SEV_STATUS_INVALID_ADDRESS;
    for (u32 i = 0; i < p.guest_len; i++) {
        u8 *guest = h->memory + p.guest_paddr + i, *packet = h->memory + p.trans_paddr + i;
        if (sends)
            *packet = *guest ^ 0x5a;
        else
            *guest = *packet ^ 0x5a;
    }
    return SEV_STATUS_SUCCESS;
}

u32 host_mailbox(struct host *h, u32 command, u64 buffer_spa)
{
    u8 *buffer = h->memory + buffer_spa;
    struct sev_launch_range range;
    if (h->command_count < COMMANDS_MAX)
        h->commands[h->command_count++] = command;
    if (command == h->refuse)
        return SEV_STATUS_POLICY_FAILURE;
    if (command == SEV_CMD_SNP_GUEST_REQUEST)
        return h->guest_status;
    if (command == SEV_CMD_SNP_LAUNCH_START)
        h->desired_tsc_khz = ((struct snp_launch_start *)(void *)buffer)->desired_tsc_khz;
    if (command == SEV_CMD_SEND_UPDATE_DATA || command == SEV_CMD_SEND_UPDATE_VMSA ||
        command == SEV_CMD_RECEIVE_UPDATE_DATA || command == SEV_CMD_RECEIVE_UPDATE_VMSA)
        return host_packet(h, command, buffer);
    if (command == SEV_CMD_SEND_START)
        store_le32(buffer + offsetof(struct sev_send_start, policy), 1);
    if (command == SEV_CMD_LAUNCH_START || command == SEV_CMD_RECEIVE_START)
        store_le32(buffer, HOST_GUEST_HANDLE);
    if (command == SEV_CMD_LAUNCH_UPDATE_DATA || command == SEV_CMD_LAUNCH_UPDATE_VMSA) {
        memcpy(&range, buffer, sizeof range);
        if (range.handle != HOST_GUEST_HANDLE || h->launched_size + range.len > sizeof h->launched)
            return SEV_STATUS_INVALID_GUEST;
        memcpy(h->launched + h->launched_size, h->memory + range.paddr, range.len);
        h->launched_size += range.len;
    }
    return SEV_STATUS_SUCCESS;
}

#endif
