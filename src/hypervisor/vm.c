/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a VM, and the turns of all VMs' processors. */
#include "hypervisor/vm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "hypervisor/internal.h"

#define QUANTUM_NS 1000000ull /* machine time: at most a million instructions */

/* --- The host --------------------------------------------------------------------------------- */

/* Sets up each core as a host kernel does once: memory encryption on, SMM locked, SVM on, a save
 * area for host state. */
static bool host_enable_svm(struct hypervisor *hv)
{
    struct host *h = hv->host;
    u64 v = 0;
    hv->command_spa = frames_take_pages(&hv->frames, 8);
    if (hv->command_spa == FRAME_NONE || host_cores(h) > CORES_MAX)
        return false;
    for (u32 core = 0; core < host_cores(h); core++) {
        u64 hsave = frames_take_pages(&hv->frames, 1);
        if (hsave == FRAME_NONE)
            return false;
        if (host_rdmsr(h, core, MSR_SYSCFG, &v))
            host_wrmsr(h, core, MSR_SYSCFG, v | SYSCFG_MEM_ENCRYPT);
        if (host_rdmsr(h, core, MSR_HWCR, &v))
            host_wrmsr(h, core, MSR_HWCR, v | HWCR_SMM_LOCK);
        if (!host_rdmsr(h, core, MSR_EFER, &v) || !host_wrmsr(h, core, MSR_EFER, v | EFER_SVME) ||
            !host_wrmsr(h, core, MSR_VM_HSAVE_PA, hsave))
            return false;
        host_device_assist(h, core, true);
    }
    return true;
}

/* ASIDs are 1 to asid_end - 1; the low ones are also the numbers of keys. */
static bool find_asids(struct hypervisor *hv)
{
    u32 svm[4], sev[4];
    host_cpuid(hv->host, 0, 0x8000000a, 0, svm);
    host_cpuid(hv->host, 0, 0x8000001f, 0, sev);
    hv->asid_last = sev[2];
    hv->asid_first = sev[3] ? sev[3] : 1;
    hv->asid_end = svm[1] > sev[2] ? svm[1] : sev[2] + 1;
    hv->asids = calloc(hv->asid_end / 64 + 1, sizeof *hv->asids);
    return hv->asids;
}

struct hypervisor *hypervisor_create(struct host *host, struct error *error)
{
    struct hypervisor *hv = calloc(1, sizeof *hv);
    if (!hv || !frames_create(&hv->frames, host_memory_size(host))) {
        error_set(error, ERROR_MEMORY, "hypervisor: no memory");
        hypervisor_destroy(hv);
        return NULL;
    }
    hv->host = host;
    hv->tmr_spa = FRAME_NONE;
    if (!host_enable_svm(hv)) {
        error_set(error, ERROR_INTERNAL,
                  "hypervisor: this machine's processor has no SVM to turn on");
        hypervisor_destroy(hv);
        return NULL;
    }
    if (!find_asids(hv)) {
        error_set(error, ERROR_MEMORY, "hypervisor: no memory");
        hypervisor_destroy(hv);
        return NULL;
    }
    return hv;
}

void hypervisor_destroy(struct hypervisor *hv)
{
    if (!hv)
        return;
    while (hv->vm_count)
        vm_destroy(hv->vms[hv->vm_count - 1].vm);
    frames_destroy(&hv->frames);
    free(hv->vms);
    free(hv->asids);
    free(hv);
}

u32 hypervisor_asids(const struct hypervisor *hv, bool registers_encrypted)
{
    return registers_encrypted ? hv->asid_first - 1 : hv->asid_last + 1 - hv->asid_first;
}

/* --- Guest memory as the host accesses it ----------------------------------------------------- */

u64 vm_flash_address(const struct vm *vm)
{
    return vm->config.plan->flash_gpa - vm->config.flash.size;
}

/* Returns true for the flash that the guest writes while reads of it should exit, too. */
static bool is_flash_device(const struct vm *vm, u64 gpa)
{
    const u64 start = vm_flash_address(vm);
    return vm->flash_hidden && gpa >= start && gpa - start < vm->config.flash.size;
}

u64 vm_chunk(const struct vm *vm, u64 gpa)
{
    u64 low = min_u64(vm->chunk_count * CHUNK_SIZE, BOARD_LOW_RAM_END), offset = gpa;
    if (is_flash_device(vm, gpa))
        return FRAME_NONE;
    if (gpa < GIB(4) && gpa >= vm->snp.flash_gpa && vm->snp.flash_chunks)
        return vm->chunk_count + (gpa - vm->snp.flash_gpa) / CHUNK_SIZE;
    if (gpa >= BOARD_HIGH_RAM)
        offset = gpa - BOARD_HIGH_RAM + BOARD_LOW_RAM_END;
    else if (gpa >= low)
        return FRAME_NONE;
    return offset / CHUNK_SIZE < vm->chunk_count ? offset / CHUNK_SIZE : FRAME_NONE;
}

u64 vm_spa(const struct vm *vm, u64 gpa, u64 *left)
{
    u64 chunk = vm_chunk(vm, gpa);
    *left = chunk == FRAME_NONE ? 0 : CHUNK_SIZE - gpa % CHUNK_SIZE;
    if (vm->flash_hidden && gpa < vm_flash_address(vm))
        *left = min_u64(*left, vm_flash_address(vm) - gpa);
    return chunk == FRAME_NONE ? FRAME_NONE : vm->chunks[chunk] + gpa % CHUNK_SIZE;
}

static bool vm_copy(struct vm *vm, u64 gpa, u8 *out, const u8 *in, size_t size,
                    bool (*read)(struct host *, u64, void *, size_t),
                    bool (*write)(struct host *, u64, const void *, size_t))
{
    while (size) {
        u64 left, spa = vm_spa(vm, gpa, &left);
        size_t part = min_u64(size, left);
        if (!part ||
            !(out ? read(vm->hv->host, spa, out, part) : write(vm->hv->host, spa, in, part)))
            return false;
        if (out)
            out += part;
        else
            in += part;
        gpa += part;
        size -= part;
    }
    return true;
}

bool vm_read(struct vm *vm, u64 gpa, void *out, size_t size)
{
    guest_pages_note(vm, gpa, size, PAGE_USED);
    return vm_copy(vm, gpa, out, NULL, size, host_read, NULL);
}

bool vm_write(struct vm *vm, u64 gpa, const void *data, size_t size)
{
    guest_pages_note(vm, gpa, size, PAGE_USED | PAGE_DIRTY);
    return vm_copy(vm, gpa, NULL, data, size, NULL, host_write);
}

bool vm_host_view(struct vm *vm, u64 gpa, void *out, size_t size)
{
    return vm_copy(vm, gpa, out, NULL, size, host_read, NULL);
}

bool vm_host_can_write(struct vm *vm, u64 gpa)
{
    u8 byte;
    return vm_copy(vm, gpa, &byte, NULL, 1, host_read, NULL) &&
           vm_copy(vm, gpa, NULL, &byte, 1, NULL, host_write);
}

/* --- Creating and destroying a VM ------------------------------------------------------------- */

/* Puts the contents of the flash that the guest writes into memory. */
static bool place_flash(struct vm *vm)
{
    const struct vm_flash *f = &vm->config.flash;
    return !f->bytes || vm_write(vm, vm_flash_address(vm), f->bytes, f->size);
}

/* Maps the flash as read-only memory while it shows its contents. A SEV-ES guest always reads
 * memory, as on QEMU: it does not access by VMGEXIT what it knows as read-only memory [edk2
 * OvmfPkg, QemuFlashFvbServicesRuntimeDxe]. */
void vm_flash_shows(struct vm *vm, bool contents)
{
    const u64 start = vm_flash_address(vm);
    u64 left;
    if (vm_is_es(vm))
        return;
    vm->flash_hidden = !contents;
    bool good = !contents || place_flash(vm);
    for (u64 at = 0; good && at < vm->config.flash.size; at += PAGE_SIZE)
        good = npt_set_rom_page(&vm->npt, vm->hv->host, &vm->hv->frames, start + at,
                                vm_spa(vm, start + at, &left));
    snp_flush_tlbs(vm);
    if (!good)
        vm_end(vm, VM_CRASHED, "no nested page tables for the flash at guest address %#llx",
               (unsigned long long)start);
}

/* Takes memory of its own for a flash image, which ends at 4 GiB. An SNP guest may write its flash:
 * it is private memory, and read-only nested tables would only end the guest. */
static int vm_take_flash(struct vm *vm, struct error *error)
{
    const struct image_plan *plan = vm->config.plan;
    vm->snp.flash_gpa = ALIGN_DOWN(vm_flash_address(vm), CHUNK_SIZE);
    for (u64 gpa = vm->snp.flash_gpa; plan->flash_size && gpa < GIB(4); gpa += CHUNK_SIZE) {
        u64 spa = frames_take_chunk(&vm->hv->frames);
        if (spa == FRAME_NONE)
            return error_set(error, ERROR_MEMORY, "%s: no memory for its flash image",
                             vm->config.name);
        vm->chunks[vm->chunk_count + vm->snp.flash_chunks++] = spa;
        if (!(vm_is_snp(vm) ? npt_map : npt_map_rom)(&vm->npt, vm->hv->host, &vm->hv->frames, gpa,
                                                     spa))
            return error_set(error, ERROR_MEMORY, "%s: no memory for nested page tables",
                             vm->config.name);
    }
    return place_flash(vm)
               ? 0
               : error_set(error, ERROR_MEMORY, "%s: no memory for its variables", vm->config.name);
}

static int vm_take_memory(struct vm *vm, struct error *error)
{
    u64 want = vm->config.plan->memory_size / CHUNK_SIZE;
    u64 all = want + (vm->config.plan->flash_size + vm->config.flash.size) / CHUNK_SIZE + 2;
    vm->chunks = calloc(all, sizeof *vm->chunks);
    if (!vm->chunks || !npt_create(&vm->npt, vm->hv->host, &vm->hv->frames, all))
        return error_set(error, ERROR_MEMORY, "%s: no memory for its tables", vm->config.name);
    if (frames_free_bytes(&vm->hv->frames) < vm->config.plan->memory_size)
        return error_set(
            error, ERROR_MEMORY,
            "%s: wants %llu MiB, the host has %llu MiB left; give the machine more memory",
            vm->config.name, (unsigned long long)(vm->config.plan->memory_size >> 20),
            (unsigned long long)(frames_free_bytes(&vm->hv->frames) >> 20));
    for (u64 i = 0; i < want; i++) {
        u64 offset = i * CHUNK_SIZE, spa = frames_take_chunk(&vm->hv->frames);
        u64 gpa = offset < BOARD_LOW_RAM_END ? offset : offset - BOARD_LOW_RAM_END + BOARD_HIGH_RAM;
        if (spa == FRAME_NONE)
            return error_set(error, ERROR_MEMORY, "%s: the host ran out of memory",
                             vm->config.name);
        vm->chunks[vm->chunk_count++] = spa;
        if (!npt_map(&vm->npt, vm->hv->host, &vm->hv->frames, gpa, spa))
            return error_set(error, ERROR_MEMORY, "%s: no memory for nested page tables",
                             vm->config.name);
    }
    if (vm_take_flash(vm, error))
        return -1;
    if (!guest_pages_create(vm))
        return error_set(error, ERROR_MEMORY, "%s: no memory for its pages' states",
                         vm->config.name);
    return vm_is_snp(vm) && !snp_pages_create(vm)
               ? error_set(error, ERROR_MEMORY, "%s: no memory for its page states",
                           vm->config.name)
               : 0;
}

bool vm_is_es(const struct vm *vm)
{
    return vm->config.plan->mode >= IMAGE_SEV_ES;
}

bool vm_is_snp(const struct vm *vm)
{
    return vm->config.plan->mode == IMAGE_SEV_SNP;
}

static bool take_free_asid(struct vm *vm, u32 first, u32 end)
{
    u64 *used = vm->hv->asids;
    for (u32 asid = first; asid < end; asid++) {
        if (used[asid / 64] & BIT(asid % 64))
            continue;
        used[asid / 64] |= BIT(asid % 64);
        vm->asid = asid;
        return true;
    }
    return false;
}

void vm_give_asid(struct vm *vm)
{
    if (vm->asid)
        vm->hv->asids[vm->asid / 64] &= ~BIT(vm->asid % 64);
    vm->asid = 0;
}

/* Takes an ASID. SEV-ES and SNP guests have the ASIDs below CPUID 8000_001F EDX, SEV guests have
 * EDX to ECX [sev 5.3]. A plain guest takes an ASID above these, which no encrypted guest can have;
 * if there is none, one of SEV-ES, then one of SEV. */
int vm_take_asid(struct vm *vm, struct error *error)
{
    const struct hypervisor *hv = vm->hv;
    const enum image_mode mode = vm->config.plan->mode;
    const bool plain = mode == IMAGE_NONE;
    if ((plain && take_free_asid(vm, hv->asid_last + 1, hv->asid_end)) ||
        (mode != IMAGE_SEV && take_free_asid(vm, 1, hv->asid_first)) ||
        (mode <= IMAGE_SEV && take_free_asid(vm, hv->asid_first, hv->asid_last + 1)))
        return 0;
    return error_set(error, ERROR_MEMORY,
                     "%s: every ASID for such guests is in use; this processor has %u for SEV-ES "
                     "and SNP, %u for SEV",
                     vm->config.name, hypervisor_asids(hv, true), hypervisor_asids(hv, false));
}

/* Takes the processors. All run on one core, which keeps the decoded code that they share; the VMs
 * are spread over the cores. */
static int vm_take_processors(struct vm *vm, struct error *error)
{
    const struct image_plan *plan = vm->config.plan;
    u32 cpus = vm->config.cpus ? vm->config.cpus : plan->cpus ? plan->cpus : 1;
    if (cpus > VM_CPUS_MAX)
        return error_set(error, ERROR_USAGE, "%s: %u processors asked for; a VM has 1 to %u",
                         vm->config.name, cpus, VM_CPUS_MAX);
    if (plan->cpus && cpus != plan->cpus)
        return error_set(error, ERROR_USAGE, "%s: %u processors asked for, its image has %u",
                         vm->config.name, cpus, plan->cpus);
    vm->cpu_count = cpus;
    vm->jump_table = plan->jump_table_gpa;
    for (u32 i = 0; i < vm->cpu_count; i++) {
        struct vcpu *c = &vm->cpus[i];
        c->vm = vm;
        c->index = i;
        c->core = vm->hv->vm_count % host_cores(vm->hv->host);
        c->waiting = i > 0 && !plan->jump_table_gpa;
    }
    return 0;
}

/* Returns false if there is no memory for one more VM in the list. */
static bool list_grow(struct hypervisor *hv)
{
    if (hv->vm_count < hv->vm_room)
        return true;
    const u32 room = hv->vm_room ? 2 * hv->vm_room : 16;
    struct vm_slot *slots = realloc(hv->vms, room * sizeof *slots);
    if (!slots)
        return false;
    hv->vms = slots;
    hv->vm_room = room;
    return true;
}

/* What joins the addresses and numbers of the machine's events with this VM and its processors. */
static void trace_created(const struct vm *vm)
{
    struct trace *trace = host_trace(vm->hv->host);
    trace_event(trace, TRACE_VM, "CREATED", "vm=%s asid=%u mode=%s memory=%#llx cpus=%u",
                vm->config.name, vm->asid, image_mode_name(vm->config.plan->mode),
                (unsigned long long)vm->config.plan->memory_size, vm->cpu_count);
    for (u32 i = 0; i < vm->cpu_count; i++)
        trace_event(trace, TRACE_VM, "PROCESSOR", "vm=%s cpu=%u asid=%u vmcb=%#llx vmsa=%#llx",
                    vm->config.name, i, vm->asid, (unsigned long long)vm->cpus[i].vmcb_spa,
                    (unsigned long long)vm->cpus[i].vmsa_spa);
}

struct vm *vm_create(struct hypervisor *hv, const struct vm_config *config, struct error *error)
{
    struct vm *vm = list_grow(hv) ? calloc(1, sizeof *vm) : NULL;
    if (!vm) {
        error_set(error, ERROR_MEMORY, "%s: no memory for another VM", config->name);
        return NULL;
    }
    vm->hv = hv;
    vm->config = *config;
    if (config->flash.bytes && (vm_is_snp(vm) || !config->plan->flash_size))
        error_set(error, ERROR_USAGE, "%s: a flash for variables needs firmware, and no SNP guest",
                  config->name);
    else if (!config->plan->runnable && !vm_is_snp(vm))
        error_set(error, ERROR_USAGE, "%s: this image can be measured, not run", config->name);
    else if (!vm_check_sev_features(vm, error) && !vm_take_processors(vm, error) &&
             !vm_take_asid(vm, error) && !vm_take_memory(vm, error) &&
             !vm_board_create(vm, error)) {
        if (vcpus_create(vm)) {
            hv->vms[hv->vm_count++] = (struct vm_slot){.vm = vm};
            trace_created(vm);
            return vm;
        }
        error_set(error, ERROR_MEMORY, "%s: no memory for its processors", config->name);
    }
    vm_destroy(vm);
    return NULL;
}

void vm_destroy(struct vm *vm)
{
    if (!vm)
        return;
    struct hypervisor *hv = vm->hv;
    launch_undo(vm);
    snp_launch_undo(vm);
    snp_pages_destroy(vm);
    vcpus_destroy(vm);
    vm_board_destroy(vm);
    npt_destroy(&vm->npt, &hv->frames);
    for (u64 i = 0; i < vm->chunk_count + vm->snp.flash_chunks; i++)
        frames_give_chunk(&hv->frames, vm->chunks[i]);
    vm_give_asid(vm);
    for (u32 i = 0; i < hv->vm_count; i++) {
        if (hv->vms[i].vm == vm) {
            memmove(&hv->vms[i], &hv->vms[i + 1], (hv->vm_count - i - 1) * sizeof hv->vms[0]);
            hv->vm_count--;
        }
    }
    free(vm->chunks);
    free(vm->pages);
    free(vm);
}

/* Writes a piece's bytes, then its zeros, as the guest will see them. */
int vm_place_piece(struct vm *vm, const struct image_piece *piece, struct error *error)
{
    static const u8 zeros[PAGE_SIZE];
    if (piece->data_size && !vm_write(vm, piece->gpa, piece->data, piece->data_size))
        return error_set(error, ERROR_MEMORY, "%s: %s does not fit guest memory", vm->config.name,
                         piece->name);
    for (u64 at = piece->data_size; at < piece->size;) {
        size_t part = min_u64(piece->size - at, sizeof zeros);
        if (!vm_write(vm, piece->gpa + at, zeros, part))
            return error_set(error, ERROR_MEMORY, "%s: %s does not fit guest memory",
                             vm->config.name, piece->name);
        at += part;
    }
    return 0;
}

int vm_load(struct vm *vm, struct error *error)
{
    const struct image_plan *plan = vm->config.plan;
    if (plan->mode != IMAGE_NONE || vm->state != VM_LOADING)
        return error_set(error, ERROR_INTERNAL, "%s: not a plain guest that waits for its image",
                         vm->config.name);
    for (u32 i = 0; i < plan->piece_count; i++) {
        if (vm_place_piece(vm, &plan->pieces[i], error))
            return -1;
    }
    vm->state = VM_RUNNABLE;
    trace_event(host_trace(vm->hv->host), TRACE_VM, "LOADED", "vm=%s pieces=%u", vm->config.name,
                plan->piece_count);
    return 0;
}

void vm_end(struct vm *vm, enum vm_state state, const char *format, ...)
{
    if (vm->state != VM_RUNNABLE)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(vm->reason, sizeof vm->reason, format, arguments);
    va_end(arguments);
    vm->state = state;
    trace_event(host_trace(vm->hv->host), TRACE_VM, "ENDED", "vm=%s why=\"%s\"", vm->config.name,
                vm->reason);
}

/* --- Turns ------------------------------------------------------------------------------------ */

/* Returns the time of the next event of any board. Call it only when all VMs are idle or ended. */
static u64 hypervisor_next_timer(const struct hypervisor *hv)
{
    u64 next = TIMER_NONE;
    for (u32 i = 0; i < hv->vm_count; i++) {
        if (hv->vms[i].idle_until)
            next = min_u64(next, hv->vms[i].idle_until);
    }
    return next;
}

void vm_wake(struct vm *vm)
{
    struct hypervisor *hv = vm->hv;
    for (u32 i = 0; i < hv->vm_count; i++) {
        if (hv->vms[i].vm == vm)
            hv->vms[i].idle_until = 0;
    }
}

/* Returns the VM's next processor in turn, or NULL if all are halted. */
static struct vcpu *vm_pick(struct vm *vm)
{
    for (u32 i = 0; i < vm->cpu_count; i++) {
        struct vcpu *c = &vm->cpus[(vm->turn + i) % vm->cpu_count];
        if (vcpu_can_run(c))
            return c;
    }
    return NULL;
}

/* Returns the VM's next processor, or NULL if it has none or has ended. If all of them sleep,
 * nothing but its board, or vm_wake(), can change that. */
static struct vcpu *slot_pick(struct vm_slot *slot)
{
    struct vm *vm = slot->vm;
    slot->idle_until = 0;
    if (vm->state != VM_RUNNABLE)
        return NULL;
    vm_board_set_time(vm);
    struct vcpu *c = vm->state == VM_RUNNABLE ? vm_pick(vm) : NULL;
    if (!c && vm->state == VM_RUNNABLE)
        slot->idle_until = board_next_event_ns(vm->board);
    return c;
}

/* Returns the next processor of the next VM that can run, or NULL if all are halted. `alive` counts
 * the VMs that have not ended. The returned processor keeps its turn until it runs. */
static struct vcpu *hypervisor_pick(struct hypervisor *hv, u32 *alive)
{
    struct vcpu *found = NULL;
    const u64 now = host_time_ns(hv->host);
    u32 at = hv->turn < hv->vm_count ? hv->turn : 0;
    *alive = 0;
    for (u32 i = 0; i < hv->vm_count; i++, at = at + 1 < hv->vm_count ? at + 1 : 0) {
        struct vm_slot *slot = &hv->vms[at];
        if (slot->idle_until > now) {
            ++*alive;
            continue;
        }
        struct vcpu *c = slot_pick(slot);
        *alive += slot->vm->state == VM_RUNNABLE;
        if (c && !found) {
            found = c;
            hv->turn = at;
        }
    }
    return found;
}

static bool hypervisor_stops(const struct hypervisor *hv)
{
    return hv->stop && hv->stop(hv->stop_context);
}

void hypervisor_set_stop(struct hypervisor *hv, bool (*stop)(void *context), void *context)
{
    hv->stop = stop;
    hv->stop_context = context;
}

/* Runs one turn. Returns false if the run must end. */
static bool hypervisor_run_turn(struct hypervisor *hv, struct vcpu *c, u64 end_ns)
{
    struct vm *vm = c->vm;
    hv->turn = (hv->turn + 1) % hv->vm_count;
    vm->turn = (c->index + 1) % vm->cpu_count;
    c->yields = false;
    while (vm->state == VM_RUNNABLE && !c->yields && vcpu_can_run(c) &&
           host_time_ns(hv->host) < end_ns) {
        vcpu_run(c, min_u64(end_ns, board_next_event_ns(vm->board)));
        if (hypervisor_stops(hv))
            return false;
    }
    return true;
}

bool hypervisor_run_busy(struct hypervisor *hv, u64 until_ns, u64 *next_ns)
{
    u32 alive = 0;
    *next_ns = 0;
    for (;;) {
        struct vcpu *c = hypervisor_pick(hv, &alive);
        u64 now = host_time_ns(hv->host);
        if (!alive || now >= until_ns)
            break;
        if (!c)
            *next_ns = hypervisor_next_timer(hv);
        if (!c || !hypervisor_run_turn(hv, c, min_u64(until_ns, now + QUANTUM_NS)))
            break;
    }
    return alive != 0;
}

/* Waking the host for a timer costs time: otherwise a timer with a tiny period would fire forever
 * while no time passes. */
bool hypervisor_run(struct hypervisor *hv, u64 until_ns)
{
    u64 next_ns;
    bool alive;
    while ((alive = hypervisor_run_busy(hv, until_ns, &next_ns)) && next_ns &&
           !hypervisor_stops(hv)) {
        host_idle_until(hv->host, min_u64(until_ns, next_ns));
        if (next_ns < until_ns)
            host_spend(hv->host, COST_WAKE_NS);
    }
    return alive;
}

/* --- What other code may know about a VM ------------------------------------------------------ */

enum vm_state vm_get_state(const struct vm *vm)
{
    return vm->state;
}

u32 vm_asid(const struct vm *vm)
{
    return vm->asid;
}

u64 vm_nested_tables(const struct vm *vm)
{
    return vm->npt.root;
}

u64 vm_memory_at(const struct vm *vm, u64 gpa)
{
    u64 left;
    return vm_spa(vm, gpa, &left);
}

u64 vm_vmcb(const struct vm *vm, u32 cpu)
{
    return cpu < vm->cpu_count ? vm->cpus[cpu].vmcb_spa : VM_NOWHERE;
}

u64 vm_vmsa(const struct vm *vm, u32 cpu)
{
    return cpu < vm->cpu_count && vm->cpus[cpu].vmsa_spa ? vm->cpus[cpu].vmsa_spa : VM_NOWHERE;
}

u32 vm_handle(const struct vm *vm)
{
    return vm->handle;
}

u64 vm_shared_page(const struct vm *vm)
{
    return vm->dma_page;
}

u64 vm_guest_time(const struct vm *vm)
{
    return vm->guest_ns;
}

void vm_get_summary(const struct vm *vm, struct vm_summary *out)
{
    memset(out, 0, sizeof *out);
    out->state = vm->state;
    memcpy(out->reason, vm->reason, sizeof out->reason);
    out->debug_exit_code = vm->debug_exit_code;
    out->terminated = vm->terminated;
    out->terminate_set = vm->terminate_set;
    out->terminate_reason = vm->terminate_reason;
    out->guest_ns = vm->guest_ns;
    out->exit_kinds = exits_kinds(vm);
    for (u32 i = 0; i < out->exit_kinds; i++)
        out->exits[i] = (struct vm_exit_count){exits_kind_name(i), vm->exits[i]};
    if (vm_is_snp(vm))
        snp_pages_count(vm, out);
    out->vmgexit_kinds = vm_is_es(vm) ? VMGEXIT_KINDS : 0;
    for (u32 i = 0; i < out->vmgexit_kinds; i++)
        out->vmgexits[i] = (struct vm_exit_count){ghcb_kind_name(i), vm->vmgexits[i]};
}
