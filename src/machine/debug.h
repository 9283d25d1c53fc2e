/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the owner of the simulation can see and do, and no host of real hardware can: stop a
 * guest between two instructions, read its registers, and read and write its memory in plaintext.
 * Nothing here moves a frame to another view, changes a page table or takes machine time.
 */
#ifndef SOFTSEV_MACHINE_DEBUG_H
#define SOFTSEV_MACHINE_DEBUG_H

#include "cpu/debugger.h"

struct machine;
struct rmp_entry;
struct vmsa;

void machine_debug_attach(struct machine *m, struct cpu_debugger *d); /* NULL: detaches it */
void machine_debug_changed(struct machine *m);
/* Returns the address of the VMCB that this core is running, between VMRUN and #VMEXIT; 0: none. */
u64 machine_debug_running(const struct machine *m, u32 core);
void machine_debug_world(const struct machine *m, u32 core, struct debug_world *out);
/* Returns the machine time of a stopped core's next instruction; see cpu_debug_time(). */
u64 machine_debug_time(const struct machine *m, u32 core, bool watched);
void machine_debug_get(const struct machine *m, u32 core, struct debug_registers *out);
bool machine_debug_set(struct machine *m, u32 core, const struct debug_registers *in);

/* The translation of addresses: a guest's controls, and the registers that paging depends on. */
struct debug_view {
    bool sev;
    /* There are no nested tables: guest addresses are those of the system, or a host's. */
    bool flat;
    u32 asid;
    u64 nested_cr3;
    u64 virtual_tom; /* 0: the C-bit decides */
    u64 cr0, cr3, cr4, efer;
};

/* Reads the guest that a VMCB runs. Sets `es` if its registers are in the VMSA at *vmsa_spa.
 * Returns false if there is no such page. */
bool debug_view_of_vmcb(struct machine *m, u64 vmcb_spa, struct debug_view *out, bool *es,
                        u64 *vmsa_spa);
/* What a core's addresses mean, before debug_view_paging(). */
void debug_view_of_world(const struct debug_world *w, struct debug_view *out);
void debug_view_paging(struct debug_view *v, const struct vmcb_save *save);
/* Reads the registers of a processor that does not run: from its VMSA, as the guest wrote them. */
bool debug_read_vmsa(struct machine *m, u64 spa, u32 asid, struct debug_registers *out);
/* Reads the part that VMCB and VMSA have in common of a VMCB's save area. */
bool debug_read_save(struct machine *m, u64 vmcb_spa, struct vmcb_save *out);

#define DEBUG_WALK_MAX 4u

/* The walk of a linear address: the guest's tables, then the nested ones for the last step. */
struct debug_walk {
    u32 depth; /* entries read; 0: paging is off */
    u64 entry_gpa[DEBUG_WALK_MAX], entry[DEBUG_WALK_MAX];
    u64 gpa;
    u64 page_size; /* of the guest's page */
    bool private;
    u64 spa;
    const char *wrong; /* why it ends early; NULL: it does not */
};

bool debug_walk(struct machine *m, const struct debug_view *v, u64 linear, struct debug_walk *out);
/* Access memory as the guest's software sees it. A range may cross pages. Return false if one of
 * its pages is not there; then nothing is written. */
bool debug_read(struct machine *m, const struct debug_view *v, u64 linear, void *out, size_t size);
bool debug_write(struct machine *m, const struct debug_view *v, u64 linear, const void *data,
                 size_t size);
/* Reads guest physical memory; `private` is the C-bit. Returns the system address, or ~0 if nothing
 * is there. The range must not cross a page. */
u64 debug_read_physical(struct machine *m, const struct debug_view *v, u64 gpa, bool private,
                        void *out, size_t size);
/* Reads system memory: raw, as the host sees it, or through the key of an ASID. */
bool debug_read_system(struct machine *m, u64 spa, u32 asid, void *out, size_t size);
/* Returns the key whose view a frame is in: KEY_RAW, an ASID, KEY_FIRMWARE or KEY_GONE. */
u16 debug_frame_key(struct machine *m, u64 spa);
/* Returns false if there is no RMP, or it does not cover the page. */
bool debug_rmp(struct machine *m, u64 spa, struct rmp_entry *out);

#endif
