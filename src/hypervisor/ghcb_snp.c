/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that only SNP guests make: GHCB registration, page state changes, messages for the
 * firmware, the list of APIC IDs [cpu 7.1, 7.4; snp 6.3]. Lists and addresses come from the guest,
 * are hostile, and are read once.
 */
#include "abi/snp.h"
#include "hypervisor/internal.h"

/* --- Page state changes ----------------------------------------------------------------------- */

static bool has_memory(const struct vm *vm, u64 gpa)
{
    u64 left;
    return vm_spa(vm, gpa, &left) != FRAME_NONE;
}

/* Reports a request that the specification forbids. Returns true if it is refused. Without `strict`
 * the answer is that of a real host: KVM ignores reserved bits and reports unknown operations as
 * done; QEMU ignores a request to share a page without memory. */
static bool unusual(const struct vcpu *c, u64 value, const char *what)
{
    const struct vm *vm = c->vm;
    trace_event(host_trace(vm->hv->host), TRACE_VM, "GHCB_UNUSUAL",
                "vm=%s value=%#llx what=\"%s\"%s", vm->config.name, (unsigned long long)value, what,
                vm->config.strict ? " refused" : "");
    return vm->config.strict;
}

static bool operation_known(u32 operation)
{
    return operation >= GHCB_PAGE_PRIVATE && operation <= GHCB_PAGE_UNSMASH;
}

/* Changes one page, or 2 MiB. Returns false if there is no such memory or the RMP refuses. */
static bool change_page(struct vcpu *c, u64 gpa, u32 operation, bool large)
{
    struct vm *vm = c->vm;
    bool shared = operation == GHCB_PAGE_SHARED;
    if (!shared && operation != GHCB_PAGE_PRIVATE)
        return true; /* hints, and operations that KVM treats as hints */
    if (!has_memory(vm, gpa))
        return shared;
    bool ok = shared ? snp_page_shared(vm, gpa, large) : snp_page_private(vm, gpa, large);
    snp_flush_tlbs(vm);
    if (ok)
        vm->page_changes[shared] += large ? CHUNK_SIZE / PAGE_SIZE : 1;
    trace_event(host_trace(vm->hv->host), TRACE_PAGE, "STATE", "vm=%s gpa=%#llx size=%s to=%s%s",
                vm->config.name, (unsigned long long)gpa, large ? "2M" : "4K",
                shared ? "shared" : "private", ok ? "" : " refused");
    return ok;
}

u64 ghcb_msr_page_state(struct vcpu *c, u64 value)
{
    u64 gpa = GHCB_MSR_PAGE_STATE_FRAME(value) << PAGE_SHIFT;
    u32 operation = GHCB_MSR_PAGE_STATE_OPERATION(value);
    bool refused = BITS(value, 63, 56) && unusual(c, value, "reserved bits");
    refused |= !has_memory(c->vm, gpa) && unusual(c, value, "no memory there");
    bool ok = !refused && (operation == GHCB_PAGE_PRIVATE || operation == GHCB_PAGE_SHARED) &&
              change_page(c, gpa, operation, false);
    return GHCB_MSR_PAGE_STATE | (ok ? 0 : GHCB_PAGE_STATE_ERROR >> 32 << 32);
}

static u32 entry_pages(u64 entry)
{
    return entry & GHCB_PAGE_STATE_LARGE ? CHUNK_SIZE / PAGE_SIZE : 1;
}

/* Changes the pages of one entry. Bits 11:0 count the pages that are done already; the rest of 2
 * MiB is changed page by page. Returns SW_EXITINFO2. */
static u64 change_entry(struct vcpu *c, u64 entry)
{
    u64 gpa = GHCB_PAGE_STATE_FRAME(entry) << PAGE_SHIFT;
    u32 operation = GHCB_PAGE_STATE_OPERATION(entry);
    u32 done = GHCB_PAGE_STATE_CURRENT(entry), pages = entry_pages(entry);
    bool refused = BITS(entry, 63, 57) && unusual(c, entry, "reserved bits");
    refused |= !operation_known(operation) && unusual(c, entry, "unknown operation");
    refused |= !has_memory(c->vm, gpa) && unusual(c, entry, "no memory there");
    if (refused || done > pages || (pages > 1 && gpa % CHUNK_SIZE))
        return GHCB_PAGE_STATE_BAD_ENTRY;
    if (!done)
        return change_page(c, gpa, operation, pages > 1) ? 0 : GHCB_PAGE_STATE_ERROR;
    for (; done < pages; done++)
        if (!change_page(c, gpa + done * PAGE_SIZE, operation, false))
            return GHCB_PAGE_STATE_ERROR;
    return 0;
}

u64 ghcb_page_state_list(struct vcpu *c, u8 *list, u64 size)
{
    u16 current = load_le16(list), end = load_le16(list + 2);
    u32 reserved = load_le32(list + 4);
    bool refused = reserved && unusual(c, reserved, "reserved bytes of the list's header");
    if (refused || end >= GHCB_PAGE_STATE_ENTRIES || ghcb_page_state_size(end) > size)
        return GHCB_PAGE_STATE_BAD_HEADER;
    for (; current <= end; current++) {
        u8 *at = list + ghcb_page_state_size(current) - 8;
        u64 entry = load_le64(at), error = change_entry(c, entry);
        store_le16(list, current);
        if (error)
            return error;
        store_le64(at, (entry & ~BITS(~0ull, 11, 0)) | entry_pages(entry));
    }
    store_le16(list, current);
    return 0;
}

/* --- The GHCB itself -------------------------------------------------------------------------- */

/* Returns true if the memory is shared: the host and its devices may access it. */
bool vm_is_shared(const struct vm *vm, u64 gpa)
{
    u64 left, index;
    if (vm_spa(vm, gpa, &left) == FRAME_NONE)
        return false;
    if (!vm_is_snp(vm))
        return true;
    index = snp_page_index(vm, gpa, &left);
    return vm->snp.pages[index] == VM_PAGE_HOST;
}

u64 ghcb_msr_register(struct vcpu *c, u64 value)
{
    u64 frame = GHCB_MSR_DATA(value);
    bool shared = vm_is_shared(c->vm, frame << PAGE_SHIFT);
    bool ok = shared || !unusual(c, value, "a GHCB that is not in a shared page");
    if (ok) {
        c->ghcb_registered = true;
        c->ghcb_gpa = frame << PAGE_SHIFT;
    }
    return (ok ? frame : GHCB_NO_FRAME) << PAGE_SHIFT | GHCB_MSR_REGISTER;
}

const char *ghcb_page_wrong(const struct vcpu *c, u64 gpa)
{
    u64 left;
    if (vm_spa(c->vm, gpa, &left) == FRAME_NONE)
        return "where there is no RAM";
    if (!vm_is_snp(c->vm))
        return NULL;
    if (!c->ghcb_registered || c->ghcb_gpa != gpa)
        return "which this processor has not registered";
    return vm_is_shared(c->vm, gpa) ? NULL : "which is private to the guest";
}

/* --- Messages for the firmware ---------------------------------------------------------------- */

static bool is_message_page(const struct vm *vm, u64 gpa)
{
    return !(gpa & PAGE_MASK) && vm_is_shared(vm, gpa);
}

/* Reads the request's type from its header, which is not encrypted; the firmware checks the
 * rest. */
bool ghcb_asks_for_report(struct vm *vm, u64 request_gpa)
{
    struct snp_msg_header header;
    return is_message_page(vm, request_gpa) && vm_read(vm, request_gpa, &header, sizeof header) &&
           header.type == SNP_MSG_REPORT_REQ;
}

enum ghcb_error ghcb_guest_request(struct vcpu *c, u64 request_gpa, u64 response_gpa, u64 *info_2)
{
    u8 request[PAGE_SIZE], response[PAGE_SIZE];
    if (!is_message_page(c->vm, request_gpa) || !is_message_page(c->vm, response_gpa) ||
        request_gpa == response_gpa || !vm_read(c->vm, request_gpa, request, sizeof request))
        return GHCB_ERROR_INPUT;
    host_spend(c->vm->hv->host, COST_REQUEST_NS);
    u32 status = vm_guest_request(c->vm, request, response);
    if (status == SEV_STATUS_SUCCESS && !vm_write(c->vm, response_gpa, response, sizeof response))
        return GHCB_ERROR_INPUT;
    *info_2 = status;
    return 0;
}

/* Writes the certificate table. `pages` is the number of pages that the guest provides; if they are
 * too few, it becomes the number needed. Without certificates the table has only its end mark. */
static enum ghcb_error put_certificates(struct vm *vm, u64 data_gpa, u64 *pages, bool *fit)
{
    static const u8 end[24];
    const u8 *data = vm->config.certificates ? vm->config.certificates : end;
    u64 size = vm->config.certificates ? vm->config.certificates_size : sizeof end;
    u64 needed = vm->config.certificates ? ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT : 0;
    *fit = *pages >= needed;
    if (!*fit) {
        *pages = needed;
        return 0;
    }
    if (!*pages)
        return 0;
    for (u64 at = 0; at < size; at += PAGE_SIZE)
        if (data_gpa & PAGE_MASK || !vm_is_shared(vm, data_gpa + at) ||
            !vm_write(vm, data_gpa + at, data + at, min_u64(PAGE_SIZE, size - at)))
            return GHCB_ERROR_INPUT;
    return 0;
}

enum ghcb_error ghcb_extended_guest_request(struct vcpu *c, u64 request_gpa, u64 response_gpa,
                                            u64 data_gpa, u64 *pages, u64 *info_2)
{
    bool fit;
    enum ghcb_error error = put_certificates(c->vm, data_gpa, pages, &fit);
    if (error)
        return error;
    if (!fit) {
        *info_2 = GHCB_VMM_INVALID_LENGTH;
        return 0;
    }
    return ghcb_guest_request(c, request_gpa, response_gpa, info_2);
}

u64 ghcb_features(const struct vm *vm)
{
    return vm_is_snp(vm) ? GHCB_FEATURE_SNP | GHCB_FEATURE_AP_CREATION | GHCB_FEATURE_APIC_IDS : 0;
}

/* --- APIC IDs --------------------------------------------------------------------------------- */

/* Writes a u32 count, then that many IDs. `pages` as above. */
enum ghcb_error ghcb_apic_ids(struct vcpu *c, u64 gpa, u64 *pages)
{
    u8 list[4 + 4 * VM_CPUS_MAX] = {0};
    bool fit = *pages >= 1;
    *pages = 1;
    if (!fit)
        return 0;
    store_le32(list, c->vm->cpu_count);
    for (u32 i = 0; i < c->vm->cpu_count; i++)
        store_le32(list + 4 + 4 * (size_t)i, c->vm->cpus[i].lapic->id);
    if (gpa & PAGE_MASK || !vm_is_shared(c->vm, gpa) || !vm_write(c->vm, gpa, list, sizeof list))
        return GHCB_ERROR_INPUT;
    return 0;
}
