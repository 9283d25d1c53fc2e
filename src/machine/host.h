/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of what host software can do on the machine: what ring 0 of a real host has, and no
 * more. The hypervisor room sees the machine through this header only. Physical memory reads as the
 * bus shows it (ciphertext where a guest owns the page); guest registers are where VMRUN leaves
 * them: in the VMCB, and, for guests without SEV-ES, in the core's registers after the exit.
 */
#ifndef SOFTSEV_MACHINE_HOST_H
#define SOFTSEV_MACHINE_HOST_H

#include "base/base.h"
#include "base/device_access.h"
#include "base/trace.h"

struct rmp_update; /* abi/rmp.h */

struct host; /* one machine seen from its host's ring 0 */

/* --- Physical memory, in the host's own view. False: outside DRAM, or, for a write, not the host's
 * by the RMP */

u64 host_memory_size(const struct host *h);
bool host_read(struct host *h, u64 spa, void *out, size_t size);
bool host_write(struct host *h, u64 spa, const void *data, size_t size);
/* A device's access by the IOMMU's leave; the same view as the host's, counted apart. */
bool host_dma_read(struct host *h, u64 spa, void *out, size_t size);
bool host_dma_write(struct host *h, u64 spa, const void *data, size_t size);

/* --- The cores -------------------------------------------------------------------------------- */

u32 host_cores(const struct host *h);
/* Registers that VMRUN does not switch: what the guest left in them is what the host finds, and
 * what the host writes is what the guest finds (plain and SEV guests). The sixteen are in the order
 * of their encodings: 0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, ...; RAX and RSP live in the VMCB.
 * host_dr: DR0..DR3. */
u64 *host_gpr(struct host *h, u32 core);
u64 *host_dr(struct host *h, u32 core);
/* x87, SSE and XCR0 are not switched either: a host that runs several virtual CPUs on one core
 * saves and restores them by XSAVE images, of which it names the components and the size
 * (cpu/cpu.h), and XCR0. */
bool host_xsave(const struct host *h, u32 core, u64 components, void *image, size_t size);
bool host_xrstor(struct host *h, u32 core, u64 components, const void *image, size_t size);

/* VMRUN of the VMCB at `vmcb_spa`: returns at the next #VMEXIT, with the exit in the VMCB. At
 * machine time `deadline_ns` an external interrupt arrives for the host: with INTERCEPT3_INTR set
 * that is EXIT_INTR at an exact instruction count. The switch itself costs COST_EXIT_NS. False:
 * VMRUN raised #GP (EFER.SVME clear, bad address, no VM_HSAVE_PA). */
bool host_vmrun(struct host *h, u32 core, u64 vmcb_spa, u64 deadline_ns);
bool host_vmload(struct host *h, u32 core, u64 vmcb_spa);
bool host_vmsave(struct host *h, u32 core, u64 vmcb_spa);
/* Instructions of a guest without SEV-ES that touch devices: string I/O that is intercepted, and
 * data accesses without a nested page. A real host emulates the instruction; this one may let the
 * core finish it, once assist is on. After such an exit (IOIO with IOIO_STRING, NPF)
 * host_device_access() says what the instruction wants of the device; false: it is no such access.
 * The host does it, gives what was read (anything for a write), and leaves RIP alone: VMRUN goes on
 * with the instruction, which may exit again for its next access. Nothing else may be injected
 * before it is through. */
void host_device_assist(struct host *h, u32 core, bool on);
bool host_device_access(const struct host *h, u32 core, struct device_access *out);
void host_device_answer(struct host *h, u32 core, u64 value);
void host_wbinvd(struct host *h, u32 core);
/* False: #GP. SYSCFG, EFER, VM_HSAVE_PA, VM_CR, HWCR, TSC ... */
bool host_rdmsr(struct host *h, u32 core, u32 msr, u64 *value);
bool host_wrmsr(struct host *h, u32 core, u32 msr, u64 value);
void host_cpuid(struct host *h, u32 core, u32 leaf, u32 subleaf, u32 out[4]); /* EAX EBX ECX EDX */

/* --- SNP: the host's instructions on the Reverse Map Table [snp 4.3, cpu 8.2] ----------------- */

/* Each gives EAX: an enum rmp_result. RMPUPDATE, PSMASH and RMPREAD need SYSCFG.SNP_EN and the
 * table of RMP_BASE and RMP_END; without, RMP_FAIL_INPUT. */
u32 host_rmpupdate(struct host *h, u32 core, u64 spa, const struct rmp_update *state);
u32 host_psmash(struct host *h, u32 core, u64 spa);
u32 host_rmpread(struct host *h, u32 core, u64 spa, struct rmp_update *out);

/* --- Time ------------------------------------------------------------------------------------- */

u64 host_time_ns(const struct host *h);
/* Idle until `time_ns` (every virtual CPU is halted); never moves backwards. */
void host_idle_until(struct host *h, u64 time_ns);
/* A cost of something the host did for the guest: one of base/clock.h. */
void host_spend(struct host *h, u64 ns);

/* --- The firmware's mailbox [sev 1] ----------------------------------------------------------- */

/* Issues one command; `buffer_spa` 0 for none. Returns the status code (low 16 bits of CmdResp). */
u32 host_mailbox(struct host *h, u32 command, u64 buffer_spa);

struct trace *host_trace(struct host *h);

#endif
