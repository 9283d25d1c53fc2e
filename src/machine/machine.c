/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the machine's parts in the order of their dependencies; see machine.h. */
#include "abi/x86.h"
#include "machine/internal.h"

#include "crypto/crypto.h"

#include <inttypes.h>
#include <stdlib.h>

/* Returns the processor model of the firmware's part. */
static struct cpu_model default_model(const struct machine_config *config)
{
    const struct firmware_profile *p = config->profile ? config->profile : FIRMWARE_PROFILE_DEFAULT;
    struct cpu_model model;
    cpu_model_of_part(part_of(p->family, p->model), &model);
    return model;
}

static bool cores_create(struct machine *m, const struct machine_config *machine)
{
    struct host *h = &m->host;
    const struct cpu_model model = machine->cpu ? *machine->cpu : default_model(machine);
    const u32 count = machine->cores;
    for (u32 i = 0; i < count; i++) {
        struct cpu_config config = {
            .id = i,
            .memory = h->memory,
            .clock = &h->clock,
            .trace = &h->trace,
            .random = &m->random,
            .asid_min = MACHINE_ASID_MIN,
            .model = &model,
            .cores = count,
            .engine = machine->engine,
        };
        h->cores[i] = cpu_create(&config);
        if (!h->cores[i])
            return false;
        h->core_count++;
    }
    return true;
}

/* Functions by which the secure processor queries the cores over the fabric. */
static bool read_msr(void *context, u32 core, u32 msr, u64 *value)
{
    struct host *h = context;
    return core < h->core_count && cpu_host_rdmsr(h->cores[core], msr, value);
}

static void read_cpuid(void *context, u32 leaf, u32 subleaf, u32 out[4])
{
    struct host *h = context;
    cpu_host_cpuid(h->cores[0], leaf, subleaf, out);
}

static bool parts_create(struct machine *m, const struct machine_config *config)
{
    struct host *h = &m->host;
    struct memory_config memory = {
        .size = config->memory_size,
        .asids = MACHINE_ASID_MAX,
        .aliased = config->memory_aliased,
        .trace = &h->trace,
        .random = &m->random,
    };
    h->memory = memory_create(&memory);
    if (!h->memory || !cores_create(m, config))
        return false;
    struct firmware_config firmware = {
        .memory = h->memory,
        .crypto = config->crypto,
        .trace = &h->trace,
        .profile = config->profile,
        .store = config->store,
        .c_bit = BIT(C_BIT),
        .asid_min = MACHINE_ASID_MIN,
        .asid_max = MACHINE_ASID_MAX,
        .cores = config->cores,
        .ark = config->ark,
        .ark_size = config->ark_size,
        .processor = {.read_msr = read_msr, .cpuid = read_cpuid, .context = h},
        .smt = config->smt,
        .committed = config->committed,
        .commit = config->commit,
        .commit_context = config->commit_context,
    };
    memcpy(firmware.fuses, config->fuses, sizeof firmware.fuses);
    h->firmware = firmware_create(&firmware);
    crypto_wipe(&firmware, sizeof firmware);
    return h->firmware;
}

struct machine *machine_create(const struct machine_config *config, struct error *error)
{
    if (config->cores < 1 || config->cores > CORES_MAX) {
        error_set(error, ERROR_USAGE, "%u cores asked for; a machine has 1 to %d", config->cores,
                  CORES_MAX);
        return NULL;
    }
    if (config->memory_aliased && config->memory_size & (config->memory_size - 1)) {
        error_set(error, ERROR_USAGE, "aliased memory has a power of two of bytes, not %" PRIu64,
                  config->memory_size);
        return NULL;
    }
    struct machine *m = calloc(1, sizeof *m);
    if (m) {
        m->random = crypto_random_source(config->crypto);
        m->host.trace =
            (struct trace){.enabled = config->trace_categories, .clock = &m->host.clock};
        if (parts_create(m, config))
            return m;
    }
    error_set(error, ERROR_MEMORY,
              "this computer has no room for a machine with %" PRIu64 " MiB of memory",
              config->memory_size >> 20);
    machine_destroy(m);
    return NULL;
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    firmware_destroy(m->host.firmware);
    for (u32 i = 0; i < m->host.core_count; i++)
        cpu_destroy(m->host.cores[i]);
    memory_destroy(m->host.memory);
    free(m->host.writers);
    free(m);
}

struct host *machine_host(struct machine *m)
{
    return &m->host;
}

struct trace *machine_trace(struct machine *m)
{
    return &m->host.trace;
}

void machine_trace_begin(struct machine *m)
{
    const struct host *h = &m->host;
    trace_event(&m->host.trace, TRACE_VM, "MACHINE", "memory=0x%" PRIx64 " asids=%u cores=%u",
                memory_size(h->memory), memory_asids(h->memory), h->core_count);
}

void machine_trace_end(struct machine *m)
{
    trace_event(&m->host.trace, TRACE_VM, "MACHINE_ENDS", "%s", "");
}

struct memory *machine_memory(struct machine *m)
{
    return m->host.memory;
}

struct cpu *machine_core(struct machine *m, u32 core)
{
    return m->host.cores[core];
}

struct firmware *machine_firmware(struct machine *m)
{
    return m->host.firmware;
}

static void cpu_statistics_add(struct cpu_statistics *sum, const struct cpu_statistics *one)
{
    sum->instructions += one->instructions;
    sum->blocks_decoded += one->blocks_decoded;
    sum->blocks_translated += one->blocks_translated;
    sum->instructions_decoded += one->instructions_decoded;
    sum->tlb_fills += one->tlb_fills;
    sum->tlb_flushes += one->tlb_flushes;
    sum->code_invalidations += one->code_invalidations;
    sum->exceptions += one->exceptions;
    sum->interrupts += one->interrupts;
    sum->event_ns += one->event_ns;
    for (u32 i = 0; i < CPU_VC_CAUSES; i++)
        sum->vc[i] += one->vc[i];
}

enum cpu_engine machine_engine(const struct machine *m)
{
    return cpu_engine(m->host.cores[0]);
}

struct machine_statistics machine_statistics(const struct machine *m)
{
    struct machine_statistics s = {
        .memory = memory_statistics(m->host.memory),
        .dma_read_bytes = m->host.dma_read_bytes,
        .dma_written_bytes = m->host.dma_written_bytes,
    };
    for (u32 i = 0; i < m->host.core_count; i++) {
        struct cpu_statistics one = cpu_statistics(m->host.cores[i]);
        cpu_statistics_add(&s.cpu, &one);
    }
    return s;
}
