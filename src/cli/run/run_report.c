/* SPDX-License-Identifier: Apache-2.0 */
/* What the program tells a person, or a program as JSON lines: steps and who took them, consoles,
 * events, the summary. */
#include "cli/cli.h"
#include "cli/run/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "abi/vmcb.h"
#include "base/bytes.h"
#include "crypto/crypto.h"

/* Ends unfinished console lines, so that a step stands on a line of its own. */
static void end_lines(struct run *r)
{
    for (u32 i = 0; i < r->vm_count; i++) {
        if (r->vms[i].line_open)
            fputs("\n", stdout);
        r->vms[i].line_open = false;
    }
}

/* Traces an owner's decision. The owner is no part of the machine, but its decisions should stand
 * among the machine's events. */
static void trace_owner(struct run *r, const char *step)
{
    char text[600];
    snprintf(text, sizeof text, "%s", step);
    for (char *p = text; *p; p++) /* a quotation mark would end the value */
        *p = *p == '"' ? '\'' : *p;
    if (r->machine)
        trace_event(machine_trace(r->machine), TRACE_OWNER, "STEP", "text=\"%s\"", text);
}

void run_step(struct run *r, const char *who, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!strcmp(who, "owner"))
        trace_owner(r, text);
    if (r->options.quiet && !r->options.json)
        return;
    if (!r->options.json)
        end_lines(r);
    run_print_step(r->options.json, who, text);
}

/* --- Consoles --------------------------------------------------------------------------------- */

/* Prints console output. With several VMs, each line begins with its VM's name. */
static void console_text(struct run_vm *v, const u8 *data, size_t size)
{
    struct run *r = v->run;
    if (r->vm_count == 1) {
        fwrite(data, 1, size, stdout);
        v->line_open = size && data[size - 1] != '\n';
        return;
    }
    for (size_t i = 0; i < size; i++) {
        if (!v->line_open) {
            end_lines(r);
            printf("[%s] ", v->options->name);
            v->line_open = true;
        }
        putchar(data[i]);
        v->line_open = data[i] != '\n';
    }
}

void run_console_output(void *context, const u8 *data, size_t size)
{
    struct run_vm *v = context;
    v->console_bytes += size;
    run_panic_watch(&v->panic, data, size);
    if (!v->run->options.json) {
        console_text(v, data, size);
        fflush(stdout);
        return;
    }
    run_print_console(v->options->name, data, size);
}

/* --- The host looks at a guest ---------------------------------------------------------------- */

static bool printable(const u8 *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    return true;
}

/* Prints what the host reads at a guest address, and the same as text if it is text. */
static void show_page(struct run *r, struct run_vm *v, const char *kind, u64 gpa, const char *note)
{
    u8 bytes[16];
    char hex[33], text[24] = "";
    if (!vm_host_view(v->vm, gpa, bytes, sizeof bytes))
        return;
    hex_encode(hex, bytes, sizeof bytes);
    if (printable(bytes, sizeof bytes))
        snprintf(text, sizeof text, " \"%.16s\"", (const char *)bytes);
    run_step(r, "host", "looks at %s's memory at %#" PRIx64 " (%s): %s%s%s", v->options->name, gpa,
             kind, hex, text, note);
}

static void show_command_line(struct run *r, struct run_vm *v, const struct image_piece *p)
{
    char note[80] = "";
    if (v->plan->mode != IMAGE_NONE && p->data_size > 16)
        snprintf(note, sizeof note, ", where the guest has \"%.16s\"", (const char *)p->data);
    show_page(r, v, v->plan->mode != IMAGE_NONE ? "private" : "not encrypted", p->gpa, note);
    if (v->plan->mode == IMAGE_SEV_SNP)
        run_step(r, "host", "writes to it: %s",
                 vm_host_can_write(v->vm, p->gpa) ? "done"
                                                  : "refused, the RMP says whose page it is");
}

void run_show_views(struct run *r, struct run_vm *v, bool now)
{
    u64 shared = vm_shared_page(v->vm);
    u8 bytes[16];
    bool text = shared && vm_host_view(v->vm, shared, bytes, sizeof bytes) &&
                printable(bytes, sizeof bytes);
    if (v->views_shown || !(now || text))
        return;
    v->views_shown = true;
    for (u32 i = 0; i < v->plan->piece_count; i++)
        if (!strcmp(v->plan->pieces[i].name, "command_line"))
            show_command_line(r, v, &v->plan->pieces[i]);
    if (shared)
        show_page(r, v, "shared: a virtio buffer", shared, "");
}

/* --- The summary ------------------------------------------------------------------------------ */

static const char *const state_names[] = {
    [VM_LOADING] = "not launched",    [VM_RUNNABLE] = "stopped while running",
    [VM_POWERED_OFF] = "powered off", [VM_RESET] = "reset",
    [VM_DEBUG_EXIT] = "debug exit",   [VM_MOVED] = "moved",
    [VM_CRASHED] = "crashed",
};
#define REASON_MAX 256u /* bytes of the reason why a VM ended */
static const char *const phase_names[RUN_PHASES] = {"files", "platform", "launch", "guest"};

/* Prints the measurement in hex. An SNP launch digest has 48 bytes; LAUNCH_MEASURE gives 32 and a
 * nonce, which is left out. */
static void measurement_text(const struct run_vm *v, char hex[97])
{
    hex_encode(hex, v->measure, v->plan->mode == IMAGE_SEV_SNP ? 48 : 32);
}

static void pages_text(const struct run_vm *v, const struct vm_summary *s, u64 private_pages)
{
    if (s->snp)
        printf("  pages         %" PRIu64 " private, %" PRIu64 " shared, %" PRIu64
               " VMSA; changed: %" PRIu64 " to private, %" PRIu64 " to shared\n",
               s->private_pages, s->shared_pages, s->vmsa_pages, s->changes_to_private,
               s->changes_to_shared);
    else
        printf("  pages         %" PRIu64 " private of %" PRIu64
               "; the others are shared or were never touched\n",
               private_pages, v->plan->memory_size / PAGE_SIZE);
}

bool run_panicked(const struct run_vm *v, enum vm_state state)
{
    return *v->panic.text && state != VM_POWERED_OFF && state != VM_DEBUG_EXIT;
}

const char *run_ending_name(const struct run_vm *v, enum vm_state state)
{
    return run_panicked(v, state) ? "panicked" : state_names[state];
}

/* Returns how a VM ended, and writes the reason. An empty reason: the state says it all. */
static const char *ending_of(const struct run_vm *v, const struct vm_summary *s, char *reason,
                             size_t size)
{
    const bool panicked = run_panicked(v, s->state);
    snprintf(reason, size, "%s%s", panicked ? "kernel panicked: " : "",
             panicked ? v->panic.text : s->reason);
    return run_ending_name(v, s->state);
}

static void summary_vm_text(struct run_vm *v, const struct vm_summary *s, u64 private_pages)
{
    char hex[97], reason[REASON_MAX];
    const char *state = ending_of(v, s, reason, sizeof reason);
    const bool why = s->state == VM_CRASHED || run_panicked(v, s->state);
    printf("%s: %s%s%s\n", v->options->name, state, why ? ": " : "", why ? reason : "");
    if (v->plan->mode != IMAGE_NONE) {
        measurement_text(v, hex);
        printf("  measurement   %s\n", hex);
        pages_text(v, s, private_pages);
    }
    if (v->reboots)
        printf("  reboots       %" PRIu32 "; what follows is since the last\n", v->reboots);
    printf("  guest time    %.3f s\n", (double)s->guest_ns / 1e9);
    printf("  exits        ");
    for (u32 i = 0; i < s->exit_kinds; i++)
        printf(" %s %" PRIu64, s->exits[i].name, s->exits[i].count);
    printf("\n");
    if (s->vmgexit_kinds)
        printf("  vmgexits     ");
    for (u32 i = 0; i < s->vmgexit_kinds; i++)
        if (s->vmgexits[i].count)
            printf(" %s %" PRIu64, s->vmgexits[i].name, s->vmgexits[i].count);
    if (s->vmgexit_kinds)
        printf("\n");
}

static json_t *counts_json(const struct vm_exit_count *counts, u32 kinds)
{
    json_t *object = json_object();
    for (u32 i = 0; i < kinds; i++)
        json_object_set_new(object, counts[i].name, json_integer((json_int_t)counts[i].count));
    return object;
}

static json_t *summary_vm_json(struct run_vm *v, const struct vm_summary *s, u64 private_pages)
{
    char hex[97] = "", reason[REASON_MAX];
    const char *state = ending_of(v, s, reason, sizeof reason);
    if (v->plan->mode != IMAGE_NONE)
        measurement_text(v, hex);
    json_t *vm = json_pack(
        "{s:o, s:s, s:o, s:s, s:I, s:I, s:o, s:I}", "vm", cli_json_text(v->options->name), "state",
        state, "reason", cli_json_text(reason), "measurement", hex, "private_pages",
        (json_int_t)private_pages, "guest_ns", (json_int_t)s->guest_ns, "exits",
        counts_json(s->exits, s->exit_kinds), "debug_exit_code", (json_int_t)s->debug_exit_code);
    json_object_set_new(vm, "reboots", json_integer(v->reboots));
    if (s->snp)
        json_object_set_new(
            vm, "pages",
            json_pack("{s:I, s:I, s:I, s:I, s:I}", "private", (json_int_t)s->private_pages,
                      "shared", (json_int_t)s->shared_pages, "vmsa", (json_int_t)s->vmsa_pages,
                      "to_private", (json_int_t)s->changes_to_private, "to_shared",
                      (json_int_t)s->changes_to_shared));
    if (s->vmgexit_kinds)
        json_object_set_new(vm, "vmgexits", counts_json(s->vmgexits, s->vmgexit_kinds));
    return vm;
}

/* Names a cause of #VC: an event that a SEV-ES guest sees instead of its host. */
static const char *vc_name(u32 cause, char number[8])
{
    static const char *const names[CPU_VC_CAUSES] = {
        [EXIT_DR_READ + 7] = "dr7_read",
        [EXIT_DR_WRITE + 7] = "dr7_write",
        [EXIT_RDTSC] = "rdtsc",
        [EXIT_RDPMC] = "rdpmc",
        [EXIT_CPUID] = "cpuid",
        [EXIT_INVD] = "invd",
        [EXIT_IOIO] = "io",
        [EXIT_MSR] = "msr",
        [EXIT_VMMCALL] = "vmmcall",
        [EXIT_RDTSCP] = "rdtscp",
        [EXIT_WBINVD] = "wbinvd",
        [CPU_VC_NOT_VALIDATED] = "not_validated",
        [CPU_VC_MMIO] = "mmio",
    };
    if (names[cause])
        return names[cause];
    snprintf(number, 8, "0x%x", cause);
    return number;
}

static bool vc_seen(const struct cpu_statistics *s)
{
    for (u32 i = 0; i < CPU_VC_CAUSES; i++)
        if (s->vc[i])
            return true;
    return false;
}

static void summary_vc_text(const struct cpu_statistics *s)
{
    char number[8];
    if (!vc_seen(s))
        return;
    printf("  #VC          ");
    for (u32 i = 0; i < CPU_VC_CAUSES; i++)
        if (s->vc[i])
            printf(" %s %" PRIu64, vc_name(i, number), s->vc[i]);
    printf("\n");
}

static json_t *summary_vc_json(const struct cpu_statistics *s)
{
    char number[8];
    json_t *object = json_object();
    for (u32 i = 0; i < CPU_VC_CAUSES; i++)
        if (s->vc[i])
            json_object_set_new(object, vc_name(i, number), json_integer((json_int_t)s->vc[i]));
    return object;
}

static void summary_machine_text(struct run *r, const struct machine_statistics *m,
                                 const char *hash)
{
    u64 ns = r->phase_ns[PHASE_GUEST] ? r->phase_ns[PHASE_GUEST] : 1;
    printf("machine: %" PRIu64 " instructions (%.0f million a second), ", m->cpu.instructions,
           (double)m->cpu.instructions * 1e3 / (double)ns);
    printf("%" PRIu64 " pages touched, %" PRIu64 " view flips, %" PRIu64 " exceptions, %" PRIu64
           " interrupts\n",
           m->memory.frames_touched, m->memory.flips, m->cpu.exceptions, m->cpu.interrupts);
    summary_vc_text(&m->cpu);
    printf("  engine        %s, %" PRIu64 " blocks decoded, %" PRIu64 " translated\n",
           run_engine_name(machine_engine(r->machine)), m->cpu.blocks_decoded,
           m->cpu.blocks_translated);
    printf("  time         ");
    for (u32 i = 0; i < RUN_PHASES; i++)
        printf(" %s %.3f s", phase_names[i], (double)r->phase_ns[i] / 1e9);
    printf("\n");
    if (*hash)
        printf("  trace         sha256 %s\n", hash);
}

static void summary_machine_json(struct run *r, const struct machine_statistics *m, json_t *vms,
                                 const char *hash)
{
    json_t *phases = json_object();
    for (u32 i = 0; i < RUN_PHASES; i++)
        json_object_set_new(phases, phase_names[i], json_integer((json_int_t)r->phase_ns[i]));
    run_print_json(
        json_pack("{s:s, s:O, s:o, s:I, s:s, s:I, s:I, s:o, s:s}", "event", "summary", "vms", vms,
                  "phases_ns", phases, "instructions", (json_int_t)m->cpu.instructions, "engine",
                  run_engine_name(machine_engine(r->machine)), "flips", (json_int_t)m->memory.flips,
                  "touched_pages", (json_int_t)m->memory.frames_touched, "vc",
                  summary_vc_json(&m->cpu), "trace_sha256", hash));
}

void run_summary(struct run *r)
{
    struct machine_statistics m = machine_statistics(r->machine);
    bool text = !r->options.quiet && !r->options.json;
    char hash[65];
    json_t *vms = json_array();
    run_trace_hash(&r->tracing, hash);
    if (text) {
        end_lines(r);
        printf("\n");
    }
    for (u32 i = 0; i < r->vm_count; i++) {
        struct vm_summary s;
        vm_get_summary(r->vms[i].vm, &s);
        const bool plain = r->vms[i].options->mode == IMAGE_NONE;
        u64 private_pages =
            plain ? 0 : memory_private_frames(machine_memory(r->machine), vm_asid(r->vms[i].vm));
        if (r->options.json)
            json_array_append_new(vms, summary_vm_json(&r->vms[i], &s, private_pages));
        else if (text)
            summary_vm_text(&r->vms[i], &s, private_pages);
    }
    if (r->options.json)
        summary_machine_json(r, &m, vms, hash);
    else if (text)
        summary_machine_text(r, &m, hash);
    json_decref(vms);
}
