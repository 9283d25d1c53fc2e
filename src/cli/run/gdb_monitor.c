/* SPDX-License-Identifier: Apache-2.0 */
/* GDB's `monitor` commands: what a debugger inside the guest could not show, because it belongs to
 * the host or is visible to nobody on real hardware. */
#include "cli/run/gdb_session.h"

#include "abi/ghcb.h"
#include "abi/rmp.h"
#include "base/clock.h"
#include "cli/options.h"
#include "machine/writers.h"
#include "memory/frame.h"

#include <inttypes.h>

#define SHOWN 32u /* bytes that are shown of a frame */
#define NAMED "0x%016" PRIx64

/* --- registers -------------------------------------------------------------------------------- */

static void show_segment(struct gdb_ask *a, const char *name, const struct vmcb_segment *s)
{
    gdb_print(a->gdb, "%-5s %04x attributes %03x limit %08x base " NAMED "\n", name, s->selector,
              s->attributes, s->limit, s->base);
}

static void show_segments(struct gdb_ask *a, const struct vmcb_save *s)
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

static void show_registers(struct gdb_ask *a)
{
    struct debug_registers r;
    const struct gdb_subject *subject = a->session->subject;
    if (!subject->get(a->session->context, a->cpu, &r)) {
        gdb_print(a->gdb, "this processor's registers cannot be read\n");
        return;
    }
    const struct vmcb_save *s = &r.save;
    subject->place(a->session->context, a->gdb, a->cpu);
    show_segments(a, s);
    gdb_print(a->gdb, "cr0   %08" PRIx64 " cr4 %08" PRIx64 " efer %08" PRIx64 " cpl %u\n", s->cr0,
              s->cr4, s->efer, s->cpl);
    gdb_print(a->gdb, "cr2   " NAMED " cr3 " NAMED "\n", s->cr2, s->cr3);
    gdb_print(a->gdb, "dr6   %08" PRIx64 " dr7 %08" PRIx64 " rflags %08" PRIx64 " rip " NAMED "\n",
              s->dr6, s->dr7, s->rflags, s->rip);
}

/* --- walk, frame, rmp ------------------------------------------------------------------------- */

static const char *key_text(const struct gdb_ask *a, bool private)
{
    return !a->view.sev ? "not encrypted" : private ? "private" : "shared";
}

/* Names the addresses before the nested tables: "guest", or "system" if there are no nested
 * tables. */
static const char *space(const struct gdb_ask *a)
{
    return a->view.flat ? "system" : "guest";
}

static void show_walk(struct gdb_ask *a)
{
    struct debug_walk w;
    debug_walk(a->machine, &a->view, a->address, &w);
    for (u32 i = 0; i < w.depth; i++)
        gdb_print(a->gdb, "table %u: entry at %s " NAMED " is " NAMED "\n", i + 1, space(a),
                  w.entry_gpa[i], w.entry[i]);
    if (!w.depth && !w.wrong)
        gdb_print(a->gdb, "paging is off\n");
    if (w.wrong)
        gdb_print(a->gdb, "%s\n", w.wrong);
    else
        gdb_print(a->gdb, "%s " NAMED ", a page of %" PRIu64 " KiB, %s; system " NAMED "\n",
                  space(a), w.gpa, w.page_size >> 10, key_text(a, w.private), w.spa);
}

static void show_bytes(struct gdb_ask *a, const char *what, const u8 *bytes, size_t size)
{
    char hex[2 * SHOWN + 1];
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    gdb_print(a->gdb, "%-22s %s\n", what, hex);
}

/* Finds the system address that the command is about, and prints it. */
static bool find_frame(struct gdb_ask *a, u64 *spa)
{
    u8 byte;
    *spa = debug_read_physical(a->machine, &a->view, a->address, true, &byte, 1);
    if (*spa == ~0ull)
        gdb_print(a->gdb, "no memory at %s " NAMED "\n", space(a), a->address);
    return *spa != ~0ull;
}

/* Shows the bytes under a key. */
static void show_keyed(struct gdb_ask *a, u64 spa, u32 asid, size_t size)
{
    u8 bytes[SHOWN];
    char key[40];
    snprintf(key, sizeof key, "by the key of asid %u", asid);
    if (debug_read_system(a->machine, spa, asid, bytes, size))
        show_bytes(a, key, bytes, size);
}

/* Returns the key of the guest whose page a host's address leads to; 0: none. */
static u32 owner_of(struct gdb_ask *a, u64 spa)
{
    struct rmp_entry e;
    const u32 key = debug_frame_key(a->machine, spa);
    if (a->view.sev)
        return a->view.asid;
    if (key && key < KEY_GONE)
        return key;
    return debug_rmp(a->machine, spa, &e) && e.assigned ? e.asid : 0;
}

static void show_frame(struct gdb_ask *a)
{
    u8 bytes[SHOWN];
    u64 spa;
    const size_t size = min_u64(SHOWN, PAGE_SIZE - (a->address & PAGE_MASK));
    if (!find_frame(a, &spa))
        return;
    if (!a->view.flat)
        gdb_print(a->gdb, "guest " NAMED " is system " NAMED "\n", a->address, spa);
    if (owner_of(a, spa))
        show_keyed(a, spa, owner_of(a, spa), size);
    if (debug_read_system(a->machine, spa, KEY_RAW, bytes, size))
        show_bytes(a, "as the host sees it", bytes, size);
}

static void show_rmp(struct gdb_ask *a)
{
    struct rmp_entry e;
    u64 spa;
    if (!find_frame(a, &spa))
        return;
    if (!debug_rmp(a->machine, spa, &e)) {
        gdb_print(a->gdb, "%s " NAMED " has no RMP entry: SNP is off\n", space(a), a->address);
        return;
    }
    gdb_print(a->gdb,
              "system " NAMED ": %s, asid %u, guest " NAMED ", %s, %s%s\n"
              "permissions of VMPL0 to 3: %02x %02x %02x %02x\n",
              spa, rmp_state_name(rmp_entry_state(&e)), e.asid, e.gpa, e.large ? "2 MiB" : "4 KiB",
              e.validated ? "validated" : "not validated", e.vmsa ? ", a VMSA" : "",
              e.permissions[0], e.permissions[1], e.permissions[2], e.permissions[3]);
}

/* --- ghcb ------------------------------------------------------------------------------------- */

static void show_ghcb(struct gdb_ask *a)
{
    struct ghcb page;
    const u64 msr = a->session->subject->ghcb(a->session->context, a->cpu);
    if (!msr) {
        gdb_print(a->gdb, "no guest with a GHCB is here\n");
        return;
    }
    gdb_print(a->gdb, "GHCB MSR at the last exit " NAMED "\n", msr);
    if (msr & PAGE_MASK) {
        gdb_print(a->gdb, "a request of the MSR protocol, or its answer\n");
        return;
    }
    if (debug_read_physical(a->machine, &a->view, msr, false, &page, sizeof page) == ~0ull) {
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

/* --- writer, launch --------------------------------------------------------------------------- */

/* Shows the last writer of a frame. A program's store is noted only after another party wrote to
 * the frame. So the first of several stores has a time and an address, and the last has none. */
static void show_writer(struct gdb_ask *a)
{
    struct debug_writer w;
    u64 spa;
    if (!find_frame(a, &spa))
        return;
    gdb_print(a->gdb, "system " NAMED ": ", spa);
    if (!debug_writer(a->machine, spa, &w)) {
        gdb_print(a->gdb, "nobody has written there since the machine was made\n");
        return;
    }
    const u64 s = w.time_ns / CLOCK_HZ, ns = w.time_ns % CLOCK_HZ;
    if (w.party == WRITER_PROGRAM && w.guest)
        gdb_print(a->gdb, "the guest of asid %u wrote last, on core %u: ", w.asid, w.core);
    else
        gdb_print(a->gdb, "%s wrote last: ", debug_party_name(w.party));
    if (w.party == WRITER_PROGRAM)
        gdb_print(a->gdb, "stores since %" PRIu64 ".%09" PRIu64 " s, the first at rip " NAMED "\n",
                  s, ns, w.rip);
    else if (w.party == WRITER_FIRMWARE)
        gdb_print(a->gdb, "command 0x%02x at %" PRIu64 ".%09" PRIu64 " s\n", w.command, s, ns);
    else
        gdb_print(a->gdb, "at %" PRIu64 ".%09" PRIu64 " s\n", s, ns);
}

static void show_launches(struct gdb_ask *a)
{
    launch_log_print(a->session->launches, a->gdb);
}

/* --- The table -------------------------------------------------------------------------------- */

static void show_help(struct gdb_ask *a);

static const struct gdb_command common[] = {
    {"help", NULL, "this list", show_help},
    {"registers", NULL, "system registers, and where they are", show_registers},
    {"walk", "LINEAR", "the tables' entries, and where they lead", show_walk},
    {"frame", "GPA", "bytes as the guest and as the host sees them", show_frame},
    {"rmp", "GPA", "the page's entry of the Reverse Map Table", show_rmp},
    {"writer", "GPA", "who wrote to the page last, when and how", show_writer},
    {"ghcb", NULL, "the last request of a SEV-ES or SNP guest", show_ghcb},
    {"launch", NULL, "the launch commands so far, with their statuses", show_launches},
};

static const struct gdb_command *command_at(const struct gdb_session *s, size_t i)
{
    if (i < ARRAY_SIZE(common))
        return &common[i];
    i -= ARRAY_SIZE(common);
    return i < s->subject->command_count ? &s->subject->commands[i] : NULL;
}

static void show_help(struct gdb_ask *a)
{
    const struct gdb_command *c;
    for (size_t i = 0; (c = command_at(a->session, i)); i++)
        gdb_print(a->gdb, "monitor %-9s %-7s %s\n", c->name, c->argument ? c->argument : "",
                  c->help);
    gdb_print(a->gdb, "Addresses are 0x and hexadecimal digits, or decimal; GPA is a physical "
                      "address of the guest, or of the host if that runs, without C-bit.\n");
}

/* Takes the argument. Returns false if the text is not this command with its argument. */
static bool matches(const char *text, const struct gdb_command *c, struct gdb_ask *a)
{
    const size_t length = strlen(c->name);
    const char *end = text + length;
    if (strncmp(text, c->name, length))
        return false;
    if (!c->argument)
        return !*end;
    a->word = end + (*end == ' ');
    if (*c->argument >= 'a') /* words to choose from */
        return !*end || *end == ' ';
    return *end == ' ' && option_digits(a->word, &a->address, &end) && !*end;
}

void gdb_monitor(void *session, struct gdb *gdb, u32 thread, const char *command)
{
    struct gdb_session *s = session;
    struct gdb_ask a = {.session = s, .gdb = gdb, .machine = s->machine, .cpu = thread - 1};
    const struct gdb_command *c;
    for (size_t i = 0; (c = command_at(s, i)); i++) {
        if (!matches(command, c, &a))
            continue;
        if (s->subject->view(s->context, a.cpu, &a.view))
            c->run(&a);
        else
            gdb_print(gdb, "this processor's registers cannot be read\n");
        return;
    }
    gdb_print(gdb, "no such command, or its argument is wrong; `monitor help` lists them\n");
}
