/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core on a bare machine: no hypervisor stands above it. It runs its host's code, executes the
 * SVM and RMP instructions itself, and is wired to a board, which has the devices, the local APICs
 * and the time. A core that nobody wired has its hypervisor outside (cpu/cpu.h).
 */
#ifndef SOFTSEV_CPU_BARE_H
#define SOFTSEV_CPU_BARE_H

#include "abi/vmcb.h"
#include "cpu/cpu.h"

/*
 * What the core asks of its board, in the middle of an instruction; any member may be NULL. The
 * machine clock is exact meanwhile. A wire may advance it: that is how long the access took. It
 * may call cpu_pin_...(), cpu_yield() and cpu_shorten() for this core, and pins of others, but must
 * not run a core.
 */
struct cpu_wires {
    /* One access to a port, to a physical address without RAM, or to the page of the local APIC. A
     * read sets a->value. `probe` is never set. */
    void (*access)(void *context, u32 core, struct device_access *a);
    u8 (*acknowledge)(void *context, u32 core); /* the core takes the interrupt: its vector */
    /* CR8 and the local APIC's task priority (bits 7:4 of TPR) are one register. */
    u64 (*read_tpr)(void *context, u32 core);
    void (*write_tpr)(void *context, u32 core, u64 cr8);
    /* MSRs that the core does not have, and MSR_APIC_BASE, whose reserved bits are checked already.
     * False: not the board's, or not this value. A read must not change a pin. */
    bool (*read_msr)(void *context, u32 core, u32 msr, u64 *value);
    bool (*write_msr)(void *context, u32 core, u32 msr, u64 value);
    void (*wbinvd)(void *context, u32 core); /* the firmware must learn of it */
    void *context;
    u32 cpuid_1_ecx; /* shown in CPUID 1 ECX: features of the board's local APICs */
};

/* Wires the core to a board, in its state after a reset; NULL unwires it. Returns false if out of
 * memory. */
bool cpu_wire(struct cpu *c, const struct cpu_wires *wires);

enum cpu_stop {
    CPU_STOP_TIME,     /* the deadline has come */
    CPU_STOP_HALT,     /* HLT, and nothing is pending that ends it */
    CPU_STOP_SHUTDOWN, /* a triple fault: only a reset, INIT or NMI ends it */
    CPU_STOP_YIELD,    /* cpu_yield() */
    CPU_STOP_INIT,     /* took INIT, and waits for cpu_start_up() */
};

/* Runs the core, host or guest, until machine time `deadline_ns` or until the board has to act. A
 * stop that lasts (HALT, SHUTDOWN, INIT) comes again, with no instruction done, until something
 * ends it. */
enum cpu_stop cpu_run_bare(struct cpu *c, u64 deadline_ns);

/* Stops after this instruction. Call it inside a wire. */
void cpu_yield(struct cpu *c);
/* Makes this the deadline, if it is earlier. Call it inside a wire. */
void cpu_shorten(struct cpu *c, u64 deadline_ns);

/* Set the pins, inside a wire or between runs. The core sees them right after the instruction. INTR
 * is a level; NMI and INIT are edges, which wait until the core can take them. */
void cpu_pin_interrupt(struct cpu *c, bool level);
void cpu_pin_nmi(struct cpu *c);
void cpu_pin_init(struct cpu *c);
/* SIPI: starts a core that is in its state after a reset or INIT, in real mode at vector << 12. */
void cpu_start_up(struct cpu *c, u8 vector);

/* Puts the core into its state at power-on [APM2 14.1.3]. */
void cpu_reset(struct cpu *c);
/* Loads a state, as a board that is its own boot loader does. Its EFER need not have SVME. */
void cpu_load_state(struct cpu *c, const struct vmcb_save *s, const u64 gpr[16]);

/* Returns true if the core takes interrupts as far as RFLAGS.IF says: one would end its HLT. */
bool cpu_takes_interrupts(const struct cpu *c);
/* Returns true while a guest of this core's host runs in it. */
bool cpu_in_guest(const struct cpu *c);
const u64 *cpu_registers(const struct cpu *c, u64 *rip); /* for messages about where it stopped */

#endif
