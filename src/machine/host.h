/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that host software can do on the machine: what ring 0 of a real host can do, and no
 * more. The hypervisor room uses the machine only through this header. Physical memory reads as the
 * bus shows it (ciphertext if a guest owns the page). Guest registers are where VMRUN leaves them:
 * in the VMCB and, for guests without SEV-ES, in the core's registers after the exit.
 */
#ifndef SOFTSEV_MACHINE_HOST_H
#define SOFTSEV_MACHINE_HOST_H

#include "base/base.h"
#include "base/device_access.h"
#include "base/trace.h"

struct rmp_update; /* abi/rmp.h */

struct host; /* a machine as its host's ring 0 sees it */

/* --- Physical memory, in the host's own view -------------------------------------------------- */

/* Reads and writes return false outside DRAM; writes also if the RMP refuses them. */
u64 host_memory_size(const struct host *h);
bool host_read(struct host *h, u64 spa, void *out, size_t size);
bool host_write(struct host *h, u64 spa, const void *data, size_t size);
/* Device accesses that the IOMMU allows; they see the same memory as the host and are counted
 * separately. */
bool host_dma_read(struct host *h, u64 spa, void *out, size_t size);
bool host_dma_write(struct host *h, u64 spa, const void *data, size_t size);
/* A write of the IOMMU itself, to its log or for a command: under SNP it may also write the pages
 * that the firmware holds for it. */
bool host_iommu_write(struct host *h, u64 spa, const void *data, size_t size);

/* --- The cores -------------------------------------------------------------------------------- */

u32 host_cores(const struct host *h);
/* Registers that VMRUN does not switch: the host finds what the guest left in them, and the guest
 * finds what the host wrote (plain and SEV guests). The sixteen registers are in the order of their
 * encodings: 0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, ...; RAX and RSP are in the VMCB. host_dr:
 * DR0..DR3. */
u64 *host_gpr(struct host *h, u32 core);
u64 *host_dr(struct host *h, u32 core);
u64 *host_xcr0(struct host *h, u32 core);
/* VMRUN does not switch x87, SSE and XCR0 either. A host that runs several virtual CPUs on one core
 * saves and restores XCR0, and the other state in XSAVE images; it chooses their components and
 * size (cpu/cpu.h). */
bool host_xsave(const struct host *h, u32 core, u64 components, void *image, size_t size);
bool host_xrstor(struct host *h, u32 core, u64 components, const void *image, size_t size);

/* Runs VMRUN on the VMCB at `vmcb_spa`. Returns at the next #VMEXIT, with the exit in the VMCB. At
 * machine time `deadline_ns` an external interrupt arrives for the host: if INTERCEPT3_INTR is set,
 * this is an EXIT_INTR at an exact instruction count. The world switch costs COST_EXIT_NS. Returns
 * false if VMRUN raised #GP (EFER.SVME clear, bad address, no VM_HSAVE_PA). */
bool host_vmrun(struct host *h, u32 core, u64 vmcb_spa, u64 deadline_ns);
bool host_vmload(struct host *h, u32 core, u64 vmcb_spa);
bool host_vmsave(struct host *h, u32 core, u64 vmcb_spa);
/* Device instructions of a guest without SEV-ES: intercepted string I/O, and data accesses to
 * addresses without a nested page. A real host emulates the instruction; this host may let the core
 * finish it, once assist is on. After such an exit (IOIO with IOIO_STRING, NPF)
 * host_device_access() returns the access that the instruction makes, or false if there is none.
 * The host carries it out, passes on the value read (any value for a write), and leaves RIP alone:
 * VMRUN continues the instruction, which may exit again for its next access. The host must inject
 * nothing before the instruction is finished. */
void host_device_assist(struct host *h, u32 core, bool on);
bool host_device_access(const struct host *h, u32 core, struct device_access *out);
void host_device_answer(struct host *h, u32 core, u64 value);
void host_wbinvd(struct host *h, u32 core);
/* Return false for #GP. SYSCFG, EFER, VM_HSAVE_PA, VM_CR, HWCR, TSC ... */
bool host_rdmsr(struct host *h, u32 core, u32 msr, u64 *value);
bool host_wrmsr(struct host *h, u32 core, u32 msr, u64 value);
void host_cpuid(struct host *h, u32 core, u32 leaf, u32 subleaf, u32 out[4]); /* EAX EBX ECX EDX */

/* --- SNP: the host's instructions on the Reverse Map Table [snp 4.3, cpu 8.2] ----------------- */

/* Each returns EAX, an enum rmp_result. RMPUPDATE, PSMASH and RMPREAD need SYSCFG.SNP_EN and the
 * table of RMP_BASE and RMP_END; otherwise they return RMP_FAIL_INPUT. */
u32 host_rmpupdate(struct host *h, u32 core, u64 spa, const struct rmp_update *state);
u32 host_psmash(struct host *h, u32 core, u64 spa);
u32 host_rmpread(struct host *h, u32 core, u64 spa, struct rmp_update *out);

/* --- Time ------------------------------------------------------------------------------------- */

u64 host_time_ns(const struct host *h);
/* Idles until `time_ns`, when every virtual CPU is halted. Time never goes back. */
void host_idle_until(struct host *h, u64 time_ns);
/* Adds the cost of work that the host did for the guest: one of base/clock.h. */
void host_spend(struct host *h, u64 ns);

/* --- The firmware's mailbox [sev 1] ----------------------------------------------------------- */

/* Issues one command; `buffer_spa` 0 for none. Returns the status code (low 16 bits of CmdResp). */
u32 host_mailbox(struct host *h, u32 command, u64 buffer_spa);

struct trace *host_trace(struct host *h);

#endif
