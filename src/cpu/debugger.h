/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A debugger's hold on the cores. No hardware has this: the core itself compares addresses with a
 * list that only the owner of the simulation sees, and stops between two instructions, inside
 * VMRUN or, on a bare machine, wherever a core is. So neither memory nor debug registers nor
 * machine time change, and no world switch takes place. While an instruction is stepped or data is
 * watched, the core runs one instruction at a time; a code breakpoint slows only the page that it
 * is in.
 */
#ifndef SOFTSEV_CPU_DEBUGGER_H
#define SOFTSEV_CPU_DEBUGGER_H

#include "abi/vmcb.h"
#include "base/base.h"

struct cpu;

#define DEBUG_POINTS_MAX     64u
#define DEBUG_PROCESSORS_MAX 8u
#define DEBUG_WATCH_MAX      PAGE_SIZE /* bytes that one point may watch */

/* The name of a debugged processor: the address of its VMCB, or a core of a bare machine. */
#define DEBUG_CORE(core) ((u64)(core) + 1)
/* The worlds of a bare machine's core. */
#define DEBUG_HOST  BIT(0)
#define DEBUG_GUEST BIT(1)

enum debug_point_kind { DEBUG_CODE, DEBUG_WRITE, DEBUG_READ, DEBUG_ACCESS };

/* A breakpoint at a linear address, or a watchpoint on `size` bytes there. */
struct debug_point {
    enum debug_point_kind kind;
    u64 linear, size;
    u32 tag; /* the debugger's own */
};

enum debug_why { DEBUG_STEPPED, DEBUG_INTERRUPTED, DEBUG_HIT, DEBUG_REACHED };

/* What to stop for, and whom to tell. Call cpu_debug_changed() after a change of the first part. */
struct cpu_debugger {
    struct debug_point points[DEBUG_POINTS_MAX];
    u32 point_count;
    u64 vmcbs[DEBUG_PROCESSORS_MAX]; /* the debugged processors: addresses of their VMCBs */
    u32 vmcb_count;
    bool bare;      /* all cores are debugged instead, in host mode and in their guests */
    u64 worlds;     /* the worlds in which points count, if `bare` */
    u64 step;       /* the name of the processor that stops after one instruction; 0: none */
    bool interrupt; /* the first debugged processor that runs stops before its next instruction */
    /* The first debugged processor stops whose next instruction is at this machine time or later;
     * 0: none. */
    u64 until_ns;
    bool trail; /* begun_ns is when the last instruction began; as slow as watching data */
    bool leave; /* set while stopped: the guest exits as at its deadline, at this instruction */

    /* Called with the core between two instructions; the guest goes on when it returns. `hit` is
     * the point of DEBUG_HIT, else NULL. A stop at a code breakpoint is before the instruction, a
     * stop at a watchpoint after it. No two stops have one machine time. */
    void (*stopped)(void *context, u32 core, enum debug_why why, const struct debug_point *hit);
    void *context;

    /* Used by the core only. */
    bool step_begun, passing;
    u64 step_rip, step_world, passed_rip, passed_name;
    u64 begun_ns, begun_rip, begun_name;
    bool done; /* it has retired */
    u64 held;  /* instructions until the deadline, beyond `until_ns` */
    bool due;  /* `until_ns` has come */
    struct debug_point watched;
    bool watch_hit;
};

/* The registers of a guest's processor, as a VMCB's save area and the core hold them. */
struct debug_registers {
    struct vmcb_save save;
    u64 gpr[16]; /* RAX and RSP too */
    u64 dr[4], xcr0, cr8;
    u8 fx[512]; /* the 64-bit FXSAVE image */
};

/* The world that a core executes: the host's, or that of a guest between VMRUN and #VMEXIT. */
struct debug_world {
    bool guest; /* all that follows is the guest's */
    bool nested, sev, es, snp;
    u32 asid, vmpl;
    u64 vmcb_spa, vmsa_spa, nested_cr3, ghcb_gpa;
    u64 virtual_tom; /* 0: the C-bit decides */
    u64 host_rip;    /* where #VMEXIT leads */
};

void cpu_debug_attach(struct cpu *c, struct cpu_debugger *d); /* NULL: detaches it */
void cpu_debug_changed(struct cpu *c);
/* Returns the machine time of the core's next instruction; for a watchpoint's hit, of the one that
 * accessed the data. Only while stopped. */
u64 cpu_debug_time(const struct cpu *c, bool watched);
/* Returns the address of the VMCB between VMRUN and #VMEXIT; 0: no guest runs. */
u64 cpu_debug_running(const struct cpu *c);
void cpu_debug_world(const struct cpu *c, struct debug_world *out);
/* Read and write registers, between VMRUN and #VMEXIT or on a bare machine. cpu_debug_set() takes
 * the general registers, RIP, RFLAGS, the bases of FS and GS and the FXSAVE image; it returns
 * false, and changes nothing, if a value cannot be in its register. */
void cpu_debug_get(const struct cpu *c, struct debug_registers *out);
bool cpu_debug_set(struct cpu *c, const struct debug_registers *in);

#endif
