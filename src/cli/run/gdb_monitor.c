/* SPDX-License-Identifier: Apache-2.0 */
/* GDB's `monitor`: what no debugger of a guest could ask for, because it is the host's, or
 * nobody's. */
#include "cli/run/gdb.h"

#include "abi/ghcb.h"
#include "abi/rmp.h"
#include "abi/sev.h"
#include "abi/snp.h"
#include "base/bytes.h"
#include "cli/options.h"

#include <inttypes.h>

#define SHOWN 32u /* bytes of a frame */
#define NAMED "0x%016" PRIx64

/* What a command works on. */
struct ask {
    struct run_gdb *g;
    struct gdb *gdb;
    struct machine *machine;
    u32 cpu;
    u64 address;
    struct debug_view view;
};

static const struct run_vm_options *vm_options(const struct ask *a)
{
    return a->g->run->vms[0].options;
}

/* --- registers -------------------------------------------------------------------------------- */

static void show_segment(struct ask *a, const char *name, const struct vmcb_segment *s)
{
    gdb_print(a->gdb, "%-5s %04x attributes %03x limit %08x base " NAMED "\n", name, s->selector,
              s->attributes, s->limit, s->base);
}

static void show_segments(struct ask *a, const struct vmcb_save *s)
{
    const struct {
        const char *name;
        const struct vmcb_segment *segment;
    } rows[] = {
        {"cs", &s->cs}, {"ss", &s->ss}, {"ds", &s->ds},     {"es", &s->es},     {"fs", &s->fs},
        {"gs", &s->gs}, {"tr", &s->tr}, {"ldtr", &s->ldtr}, {"gdtr", &s->gdtr}, {"idtr", &s->idtr},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        show_segment(a, rows[i].name, rows[i].segment);
}

/* Where a real host would look for them, and what it would see there. */
static void show_place(struct ask *a)
{
    struct debug_view v;
    u64 vmsa, vmcb = vm_vmcb(gdb_vm(a->g), a->cpu);
    u32 core;
    bool es = false;
    debug_view_of_vmcb(a->machine, vmcb, &v, &es, &vmsa);
    gdb_print(a->gdb, "VMCB at " NAMED ", asid %u, nested tables at " NAMED "\n", vmcb, v.asid,
              v.nested_cr3);
    if (es)
        gdb_print(a->gdb, "VMSA at " NAMED ": a host sees ciphertext there\n", vmsa);
    gdb_print(a->gdb, "%s\n",
              gdb_cpu_runs(a->g, a->cpu, &core) ? "these are the core's, inside of VMRUN"
              : es                              ? "these are the VMSA's, of the last exit"
                                                : "these are the VMCB's, of the last exit");
}

static void show_registers(struct ask *a)
{
    struct debug_registers r;
    if (!gdb_cpu_registers(a->g, a->cpu, &r)) {
        gdb_print(a->gdb, "this processor's registers cannot be read\n");
        return;
    }
    const struct vmcb_save *s = &r.save;
    show_place(a);
    show_segments(a, s);
    gdb_print(a->gdb, "cr0   %08" PRIx64 " cr4 %08" PRIx64 " efer %08" PRIx64 " cpl %u\n", s->cr0,
              s->cr4, s->efer, s->cpl);
    gdb_print(a->gdb, "cr2   " NAMED " cr3 " NAMED "\n", s->cr2, s->cr3);
    gdb_print(a->gdb, "dr6   %08" PRIx64 " dr7 %08" PRIx64 " rflags %08" PRIx64 " rip " NAMED "\n",
              s->dr6, s->dr7, s->rflags, s->rip);
}

/* --- walk, frame, rmp ------------------------------------------------------------------------- */

static const char *key_text(const struct ask *a, bool private)
{
    return !a->view.sev ? "not encrypted" : private ? "private" : "shared";
}

static void show_walk(struct ask *a)
{
    struct debug_walk w;
    debug_walk(a->machine, &a->view, a->address, &w);
    for (u32 i = 0; i < w.depth; i++)
        gdb_print(a->gdb, "table %u: entry at guest " NAMED " is " NAMED "\n", i + 1,
                  w.entry_gpa[i], w.entry[i]);
    if (!w.depth && !w.wrong)
        gdb_print(a->gdb, "paging is off\n");
    if (w.wrong)
        gdb_print(a->gdb, "%s\n", w.wrong);
    else
        gdb_print(a->gdb, "guest " NAMED ", a page of %" PRIu64 " KiB, %s; system " NAMED "\n",
                  w.gpa, w.page_size >> 10, key_text(a, w.private), w.spa);
}

static void show_bytes(struct ask *a, const char *what, const u8 *bytes, size_t size)
{
    char hex[2 * SHOWN + 1];
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    gdb_print(a->gdb, "%-22s %s\n", what, hex);
}

static void show_frame(struct ask *a)
{
    u8 bytes[SHOWN];
    const size_t size = min_u64(SHOWN, PAGE_SIZE - (a->address & PAGE_MASK));
    const u64 spa = debug_read_physical(a->machine, &a->view, a->address, true, bytes, size);
    if (spa == VM_NOWHERE) {
        gdb_print(a->gdb, "no memory at guest " NAMED "\n", a->address);
        return;
    }
    gdb_print(a->gdb, "guest " NAMED " is system " NAMED "\n", a->address, spa);
    if (a->view.sev) {
        char key[40];
        snprintf(key, sizeof key, "by the key of asid %u", a->view.asid);
        show_bytes(a, key, bytes, size);
    }
    if (debug_read_system(a->machine, spa, 0, bytes, size))
        show_bytes(a, "as the host sees it", bytes, size);
}

static void show_rmp(struct ask *a)
{
    struct rmp_entry e;
    u8 byte;
    const u64 spa = debug_read_physical(a->machine, &a->view, a->address, true, &byte, 1);
    if (spa == VM_NOWHERE || !debug_rmp(a->machine, spa, &e)) {
        gdb_print(a->gdb,
                  spa == VM_NOWHERE ? "no memory at guest " NAMED "\n"
                                    : "guest " NAMED " has no RMP entry: SNP is off\n",
                  a->address);
        return;
    }
    gdb_print(a->gdb,
              "system " NAMED ": %s, asid %u, guest " NAMED ", %s, %s%s\n"
              "permissions of VMPL0 to 3: %02x %02x %02x %02x\n",
              spa, rmp_state_name(rmp_entry_state(&e)), e.asid, e.gpa, e.large ? "2 MiB" : "4 KiB",
              e.validated ? "validated" : "not validated", e.vmsa ? ", a VMSA" : "",
              e.permissions[0], e.permissions[1], e.permissions[2], e.permissions[3]);
}

/* --- ghcb, policy ----------------------------------------------------------------------------- */

static void show_ghcb(struct ask *a)
{
    struct ghcb page;
    const u64 msr = gdb_cpu(a->g, a->cpu).ghcb_gpa;
    if (!msr) {
        gdb_print(a->gdb, "this guest has no GHCB\n");
        return;
    }
    gdb_print(a->gdb, "GHCB MSR at the last exit " NAMED "\n", msr);
    if (msr & PAGE_MASK) {
        gdb_print(a->gdb, "a request of the MSR protocol, or its answer\n");
        return;
    }
    if (debug_read_physical(a->machine, &a->view, msr, false, &page, sizeof page) == VM_NOWHERE) {
        gdb_print(a->gdb, "no memory there\n");
        return;
    }
    gdb_print(a->gdb,
              "version %u, usage %u, SW_EXITCODE " NAMED "\nSW_EXITINFO1 " NAMED
              " SW_EXITINFO2 " NAMED " SW_SCRATCH " NAMED "\n",
              page.version, page.usage, page.exit_code, page.exit_info_1, page.exit_info_2,
              page.scratch);
    gdb_print(a->gdb,
              "rax " NAMED " rbx " NAMED "\nrcx " NAMED " rdx " NAMED " (a host sees this page)\n",
              page.rax, page.rbx, page.rcx, page.rdx);
}

static void show_policy(struct ask *a)
{
    const struct run_vm_options *o = vm_options(a);
    const bool snp = o->mode == IMAGE_SEV_SNP;
    const bool debugs = snp ? o->policy & SNP_POLICY_DEBUG : !(o->policy & SEV_POLICY_NODBG);
    if (o->mode == IMAGE_NONE)
        gdb_print(a->gdb, "this guest is not encrypted and has no policy\n");
    else
        gdb_print(a->gdb, "policy 0x%" PRIx64 ": the firmware %s a host that wants to debug\n",
                  o->policy, debugs ? "would help" : "refuses");
}

/* --- The table -------------------------------------------------------------------------------- */

static void show_help(struct ask *a);

static const struct {
    const char *name, *argument, *help;
    void (*run)(struct ask *a);
} rows[] = {
    {"help", NULL, "this list", show_help},
    {"registers", NULL, "system registers, and where they are", show_registers},
    {"walk", "LINEAR", "the tables' entries, and where they lead", show_walk},
    {"frame", "GPA", "bytes as the guest and as the host sees them", show_frame},
    {"rmp", "GPA", "the page's entry of the Reverse Map Table", show_rmp},
    {"ghcb", NULL, "the last request of a SEV-ES or SNP guest", show_ghcb},
    {"policy", NULL, "the guest policy; it does not bind this debugger", show_policy},
};

static void show_help(struct ask *a)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        gdb_print(a->gdb, "monitor %-9s %-7s %s\n", rows[i].name,
                  rows[i].argument ? rows[i].argument : "", rows[i].help);
    gdb_print(a->gdb, "Addresses are 0x and hexadecimal digits, or decimal; GPA is a guest "
                      "physical address without C-bit.\n");
}

/* Returns false if the text is not that command with its argument. */
static bool matches(const char *text, size_t row, u64 *address)
{
    const size_t length = strlen(rows[row].name);
    const char *end = text + length;
    if (strncmp(text, rows[row].name, length))
        return false;
    if (!rows[row].argument)
        return !*end;
    return *end == ' ' && option_digits(end + 1, address, &end) && !*end;
}

void gdb_monitor(void *run_gdb, struct gdb *gdb, u32 thread, const char *command)
{
    struct run_gdb *g = run_gdb;
    struct ask a = {.g = g, .gdb = gdb, .machine = g->run->machine, .cpu = thread - 1};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!matches(command, i, &a.address))
            continue;
        if (gdb_cpu_view(g, a.cpu, &a.view))
            rows[i].run(&a);
        else
            gdb_print(gdb, "this processor's registers cannot be read\n");
        return;
    }
    gdb_print(gdb, "no such command, or its argument is wrong; `monitor help` lists them\n");
}
