/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: creates memory, cores and the secure processor and connects them. The machine's
 * owner (the command line, a test) uses this header; software that runs on the machine uses host.h
 * or guest.h.
 */
#ifndef SOFTSEV_MACHINE_MACHINE_H
#define SOFTSEV_MACHINE_MACHINE_H

#include "base/base.h"
#include "base/error.h"
#include "base/trace.h"
#include "cpu/cpu.h"
#include "firmware/firmware.h"
#include "memory/memory.h"

struct host;
struct machine;

struct machine_config {
    u64 memory_size;     /* bytes of DRAM */
    bool memory_aliased; /* memory ignores an address bit (memory/memory.h); needs a power of two */
    u32 cores;           /* 1 to 64 */
    const struct cpu_model *cpu;            /* NULL: the part of the profile */
    u32 trace_categories;                   /* one bit per enum trace_category */
    enum cpu_engine engine;                 /* of all cores */
    struct crypto *crypto;                  /* source of random numbers; must outlive it */
    const struct firmware_profile *profile; /* NULL: the default */
    struct firmware_store store;            /* the firmware's persistent store */
    u8 fuses[32];                           /* the chip's secret */
    /* SNP; as in struct firmware_config, see firmware/firmware.h. */
    const void *ark; /* root of trust for migration partners; NULL: none is genuine */
    size_t ark_size;
    bool smt;
    struct firmware_committed committed;
    bool (*commit)(void *context, const struct firmware_committed *committed);
    void *commit_context;
};

/* ASIDs, on which the machine's parts must agree. */
#define MACHINE_ASID_MIN 100 /* first ASID of a guest without SEV-ES */
#define MACHINE_ASID_MAX 509

/* Returns NULL and sets *error if there is no memory for that much DRAM or the configuration is
 * bad. */
struct machine *machine_create(const struct machine_config *config, struct error *error);
void machine_destroy(struct machine *m);

struct host *machine_host(struct machine *m);
struct trace *machine_trace(struct machine *m);
/* Trace what the machine is, once its sinks are connected; and trace that its end begins, in which
 * guests' memory is given back. */
void machine_trace_begin(struct machine *m);
void machine_trace_end(struct machine *m);
struct memory *machine_memory(struct machine *m);
struct firmware *machine_firmware(struct machine *m);
/* Returns a core, for a machine whose cores run their host's code themselves (cpu/bare.h). */
struct cpu *machine_core(struct machine *m, u32 core);

struct archive; /* base/archive.h */
/* The whole machine, between two VMRUNs; the hypervisor settles first (hypervisor/vm.h). `key`, of
 * 32 bytes, derives from the platform's fuses and seals what only the chip knows; NULL: there is no
 * platform, and no key and no state of the firmware is in the archive. To save changes the machine,
 * too: no translation is left, and all frames are as a probe reads them. A load goes into a machine
 * with the same configuration; one of another platform fails. If the archive then has failed, the
 * machine can only be destroyed. */
void machine_archive(struct machine *m, const u8 *key, struct archive *a);

struct machine_statistics {
    struct memory_statistics memory;
    struct cpu_statistics cpu; /* sum of all cores */
    u64 dma_read_bytes, dma_written_bytes;
};

/* Returns the engine that the cores use. */
enum cpu_engine machine_engine(const struct machine *m);
struct machine_statistics machine_statistics(const struct machine *m);

#endif
