/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One x86-64 core with SVM and SEV. The host side sees the architecture, not the engine: it writes
 * a VMCB into memory, calls VMRUN with its address and finds an exit code there afterwards.
 */
#ifndef SOFTSEV_CPU_CPU_H
#define SOFTSEV_CPU_CPU_H

#include "base/base.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/trace.h"
#include "cpu/model.h"

struct cpu;
struct device_access; /* base/device_access.h */
struct memory;
struct rmp_update; /* abi/rmp.h */

/* How a core executes its guests' instructions. Both engines do exactly the same, instruction by
 * instruction; only their speed differs. */
enum cpu_engine {
    CPU_ENGINE_AUTO,        /* the JIT, where this build and this host have one */
    CPU_ENGINE_INTERPRETER, /* decoded blocks, run by handlers in C */
    CPU_ENGINE_JIT,         /* the same, and blocks that run often are translated */
};

struct cpu_config {
    u32 id; /* APIC id of the core */
    struct memory *memory;
    struct clock *clock;
    struct trace *trace;
    const struct random_source *random; /* RDRAND */
    /* CPUID 8000001F EDX: the first ASID of a guest without SEV-ES; 0 means 1. ECX is the memory's
     * highest ASID. */
    u32 asid_min;
    const struct cpu_model *model; /* copied; NULL: everything that the core implements */
    u32 cores;                     /* of the machine, for CPUID; 0: this one alone */
    enum cpu_engine engine;
    u32 jit_threshold; /* executions after which a block is translated; 0: the default */
    u32 jit_bytes;     /* of translated code that the core keeps; 0: the default */
};

/* Causes of #VC: exit codes below 100h, a private page that is not validated, and the nested fault
 * of a device access. */
#define CPU_VC_NOT_VALIDATED 0xfe
#define CPU_VC_MMIO          0xff
#define CPU_VC_CAUSES        0x100

struct cpu_statistics {
    u64 instructions; /* retired in guests; each iteration of a REP counts one */
    u64 blocks_decoded, instructions_decoded;
    u64 blocks_translated; /* by the JIT */
    u64 tlb_fills, tlb_flushes;
    u64 code_invalidations;
    u64 exceptions, interrupts; /* delivered inside guests */
    u64 event_ns; /* machine time that deliveries took, a board's answers, changes of the RMP */
    u64 vc[CPU_VC_CAUSES]; /* #VC in place of exits of SEV-ES guests */
};

struct cpu *cpu_create(const struct cpu_config *config); /* NULL: out of memory */
void cpu_destroy(struct cpu *c);

/* Runs the guest until #VMEXIT (VMRUN [APM2 15.5]). At machine time `deadline_ns` a physical
 * interrupt becomes pending for the host. False: #GP, and nothing happened. */
bool cpu_vmrun(struct cpu *c, u64 vmcb_spa, u64 deadline_ns);
bool cpu_vmload(struct cpu *c, u64 vmcb_spa);
bool cpu_vmsave(struct cpu *c, u64 vmcb_spa);

/* Registers that VMRUN does not switch: after an exit they hold what the guest left (see host_gpr()
 * in machine/host.h). */
u64 *cpu_gpr(struct cpu *c); /* 16; RAX and RSP are in the VMCB after an exit */
u64 *cpu_dr(struct cpu *c);  /* DR0..DR3 */
u64 *cpu_xcr0(struct cpu *c);
/* Save and restore the state components of the mask (abi/x86.h XSTATE_...) as an XSAVE image; x87
 * and SSE are the 64-bit FXSAVE image, the others have the places of the standard form. False: the
 * core has no such component, or the image is too small; nothing happens. */
bool cpu_xsave(const struct cpu *c, u64 components, void *image, size_t size);
bool cpu_xrstor(struct cpu *c, u64 components, const void *image, size_t size);

/* Execute RDMSR, WRMSR and CPUID for the host on this core. False: #GP. */
bool cpu_host_rdmsr(struct cpu *c, u32 msr, u64 *value);
bool cpu_host_wrmsr(struct cpu *c, u32 msr, u64 value);
void cpu_host_cpuid(struct cpu *c, u32 leaf, u32 subleaf, u32 out[4]);
void cpu_wbinvd(struct cpu *c);

/* Execute RMPUPDATE, PSMASH and RMPREAD for the host [snp 4.3, cpu 8.2]. Return EAX, an enum
 * rmp_result. */
u32 cpu_rmpupdate(struct cpu *c, u64 spa, const struct rmp_update *state);
u32 cpu_psmash(struct cpu *c, u64 spa);
u32 cpu_rmpread(struct cpu *c, u64 spa, struct rmp_update *out);

/* Let the core finish a guest's instructions that access devices; see host_device_assist() and the
 * functions after it in machine/host.h. */
void cpu_device_assist(struct cpu *c, bool on);
bool cpu_device_access(const struct cpu *c, struct device_access *out);
void cpu_device_answer(struct cpu *c, u64 value);

struct archive; /* base/archive.h */
/* Between two VMRUNs: the core's MSRs and statistics. All else that it holds is lost, also when the
 * archive is saved; the host loads it again. The archive fails for a core on a board. */
void cpu_archive(struct cpu *c, struct archive *a);

struct cpu_statistics cpu_statistics(const struct cpu *c);

/* Returns the engine that runs: CPU_ENGINE_INTERPRETER or CPU_ENGINE_JIT, never CPU_ENGINE_AUTO.
 * The JIT is absent on hosts other than x86-64, under sanitizers, and where the host does
 * not allow executable memory. */
enum cpu_engine cpu_engine(const struct cpu *c);

#endif
