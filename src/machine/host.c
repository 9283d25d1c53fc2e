/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the host's ring 0; see host.h. Every physical access here uses the raw view. */
#include "machine/internal.h"

#include "memory/rmp.h"

u64 host_memory_size(const struct host *h)
{
    return memory_size(h->memory);
}

bool host_read(struct host *h, u64 spa, void *out, size_t size)
{
    return memory_read(h->memory, spa, KEY_RAW, out, size);
}

/* Writes under a party's name. */
static bool write_as(struct host *h, enum debug_party party, u64 spa, const void *data, size_t size)
{
    const enum debug_party before = h->writing;
    h->writing = party;
    const bool good = memory_write(h->memory, spa, KEY_RAW, data, size);
    h->writing = before;
    return good;
}

/* Returns true if the host's software and its devices may write there. */
static bool may_write(const struct host *h, u64 spa, size_t size)
{
    return range_fits(spa, size, memory_addresses(h->memory)) &&
           rmp_host_may_write(h->memory, spa, size);
}

/* A write to a page that the RMP does not assign to the host is a page fault for the host and an
 * aborted transfer for its devices. */
bool host_write(struct host *h, u64 spa, const void *data, size_t size)
{
    return may_write(h, spa, size) && write_as(h, WRITER_HOST, spa, data, size);
}

bool host_dma_read(struct host *h, u64 spa, void *out, size_t size)
{
    h->dma_read_bytes += size;
    return host_read(h, spa, out, size);
}

bool host_dma_write(struct host *h, u64 spa, const void *data, size_t size)
{
    h->dma_written_bytes += size;
    return may_write(h, spa, size) && write_as(h, WRITER_DEVICE, spa, data, size);
}

bool host_iommu_write(struct host *h, u64 spa, const void *data, size_t size)
{
    if (!firmware_iommu_may_write(h->firmware, spa, size))
        return host_dma_write(h, spa, data, size);
    h->dma_written_bytes += size;
    return write_as(h, WRITER_DEVICE, spa, data, size);
}

u32 host_cores(const struct host *h)
{
    return h->core_count;
}

u64 *host_gpr(struct host *h, u32 core)
{
    return cpu_gpr(h->cores[core]);
}

u64 *host_dr(struct host *h, u32 core)
{
    return cpu_dr(h->cores[core]);
}

u64 *host_xcr0(struct host *h, u32 core)
{
    return cpu_xcr0(h->cores[core]);
}

bool host_xsave(const struct host *h, u32 core, u64 components, void *image, size_t size)
{
    return cpu_xsave(h->cores[core], components, image, size);
}

bool host_xrstor(struct host *h, u32 core, u64 components, const void *image, size_t size)
{
    return cpu_xrstor(h->cores[core], components, image, size);
}

bool host_vmrun(struct host *h, u32 core, u64 vmcb_spa, u64 deadline_ns)
{
    bool ran = cpu_vmrun(h->cores[core], vmcb_spa, deadline_ns);
    h->clock.now += COST_EXIT_NS;
    return ran;
}

bool host_vmload(struct host *h, u32 core, u64 vmcb_spa)
{
    return cpu_vmload(h->cores[core], vmcb_spa);
}

bool host_vmsave(struct host *h, u32 core, u64 vmcb_spa)
{
    return cpu_vmsave(h->cores[core], vmcb_spa);
}

void host_device_assist(struct host *h, u32 core, bool on)
{
    cpu_device_assist(h->cores[core], on);
}

bool host_device_access(const struct host *h, u32 core, struct device_access *out)
{
    return cpu_device_access(h->cores[core], out);
}

void host_device_answer(struct host *h, u32 core, u64 value)
{
    cpu_device_answer(h->cores[core], value);
}

void host_wbinvd(struct host *h, u32 core)
{
    cpu_wbinvd(h->cores[core]);
    firmware_wbinvd(h->firmware, core);
}

bool host_rdmsr(struct host *h, u32 core, u32 msr, u64 *value)
{
    return cpu_host_rdmsr(h->cores[core], msr, value);
}

bool host_wrmsr(struct host *h, u32 core, u32 msr, u64 value)
{
    return cpu_host_wrmsr(h->cores[core], msr, value);
}

void host_cpuid(struct host *h, u32 core, u32 leaf, u32 subleaf, u32 out[4])
{
    cpu_host_cpuid(h->cores[core], leaf, subleaf, out);
}

u32 host_rmpupdate(struct host *h, u32 core, u64 spa, const struct rmp_update *state)
{
    h->clock.now += COST_RMPUPDATE_NS;
    return cpu_rmpupdate(h->cores[core], spa, state);
}

u32 host_psmash(struct host *h, u32 core, u64 spa)
{
    h->clock.now += COST_RMPUPDATE_NS;
    return cpu_psmash(h->cores[core], spa);
}

u32 host_rmpread(struct host *h, u32 core, u64 spa, struct rmp_update *out)
{
    return cpu_rmpread(h->cores[core], spa, out);
}

u64 host_time_ns(const struct host *h)
{
    return h->clock.now;
}

void host_idle_until(struct host *h, u64 time_ns)
{
    h->clock.now = max_u64(h->clock.now, time_ns);
}

void host_spend(struct host *h, u64 ns)
{
    h->clock.now += ns;
}

u32 host_mailbox(struct host *h, u32 command, u64 buffer_spa)
{
    const enum debug_party before = h->writing;
    h->writing = WRITER_FIRMWARE;
    h->command = command;
    const u32 status = firmware_mailbox(h->firmware, command, buffer_spa);
    h->writing = before;
    return status;
}

struct trace *host_trace(struct host *h)
{
    return &h->trace;
}
