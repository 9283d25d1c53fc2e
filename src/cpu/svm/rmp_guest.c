/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVALIDATE, RMPADJUST and RMPQUERY: an SNP guest's instructions on the RMP entries of its own
 * pages [APM3; cpu 8.2]. Each checks its operands, translates the address as a read of one byte,
 * checks the entry and only then changes it. A failure that the guest can repair is a code in EAX;
 * a failure that only the host can repair is a nested page fault.
 */
#include "cpu/mmu/mmu.h"
#include "cpu/svm/world_switch.h"

#include <inttypes.h>

struct target {
    struct translation t;
    struct rmp_entry e;
    u64 spa;
    bool want_large;
};

/* Raises #UD in a guest without SNP, #GP below kernel privilege. */
static void check_privilege(struct cpu *c)
{
    if (!c->guest.snp)
        cpu_raise_ud(c);
    if (c->arch.cpl != 0)
        cpu_raise_gp(c, 0);
}

/* Sets the flags of the result. CF belongs to PVALIDATE. The manual does not define the other
 * flags; softsev sets them as TEST EAX, EAX would. */
void rmp_result_put(struct cpu *c, enum rmp_result result, bool unchanged)
{
    static const u32 odd_parity = 1u << RMP_FAIL_INPUT | 1u << RMP_FAIL_PERMISSION |
                                  1u << RMP_FAIL_OVERLAP | 1u << RMP_FAIL_NOT_LARGE;
    c->arch.r[RAX] = result;
    flags_set(c, (unchanged ? RFLAGS_CF : 0) | (result == RMP_SUCCESS ? RFLAGS_ZF : 0) |
                     (odd_parity >> result & 1 ? 0 : RFLAGS_PF));
}

static void entry_fault(struct cpu *c, const struct target *t, u64 bits) NORETURN;
static void entry_fault(struct cpu *c, const struct target *t, u64 bits)
{
    u64 enc = t->t.key == KEY_RAW ? 0 : NPF_ENC;
    cpu_exit(c, EXIT_NPF, NPF_PRESENT | NPF_USER | NPF_FINAL | NPF_RMP | enc | bits, t->t.gpa);
}

/* Finds the RMP entry of a page of this guest, of any size, validated or not. Exits with a nested
 * page fault if it is no such page: the host has to repair that. */
static void find_page(struct cpu *c, const struct insn *in, bool large, struct target *t)
{
    u64 linear = linear_address(c, in->segment, operand_offset(c, in), 1, false);
    struct access access = {.unchecked = true, .context = TLB_KERNEL};
    struct access_fault f;
    if (c->arch.rflags & RFLAGS_AC)
        access.context = TLB_KERNEL_AC;
    if (!mmu_translate(c, linear, access, &t->t, &f))
        mmu_raise(c, &f, &access);
    t->t.gpa &= ~PAGE_MASK;
    t->spa = t->t.frame << PAGE_SHIFT;
    t->want_large = large;
    bool covered = rmp_get(c->memory, t->spa, &t->e);
    if (t->t.key == KEY_RAW || !covered || !t->e.assigned || t->e.asid != c->guest.control.asid ||
        t->e.gpa != t->t.gpa || t->e.immutable)
        entry_fault(c, t, 0);
}

/* Checks the size of the page. A 4 KiB request on a 2 MiB entry exits, and the host smashes the
 * entry. A 2 MiB request on a 4 KiB entry returns false, and the guest repeats it in 4 KiB
 * pages. */
static bool sizes_match(struct cpu *c, const struct target *t)
{
    if (t->e.large && !t->want_large)
        entry_fault(c, t, NPF_SIZEM);
    if (t->want_large && (!t->e.large || t->t.gpa & (RMP_LARGE_SIZE - 1)))
        return false;
    if (t->e.large != t->t.nested_large)
        entry_fault(c, t, 0);
    return true;
}

static bool aligned(const struct cpu *c, const struct insn *in, bool large)
{
    return !large || !(gpr_read(c, RAX, in->addrsize) & (RMP_LARGE_SIZE - 1));
}

/* Returns true if the page holds the VMSA of the running virtual CPU. */
static bool in_use(const struct cpu *c, const struct target *t)
{
    return c->guest.control.vmsa >= t->spa &&
           c->guest.control.vmsa - t->spa < (t->e.large ? RMP_LARGE_SIZE : PAGE_SIZE);
}

static void change(struct cpu *c, const char *name, const struct target *t)
{
    rmp_set(c->memory, t->spa, &t->e);
    if (trace_wants(c->trace, TRACE_PAGE))
        trace_event(c->trace, TRACE_PAGE, name,
                    "core=%u asid=%u vmpl=%u gpa=0x%" PRIx64 " spa=0x%" PRIx64
                    " size=%s state=%s vmsa=%d permissions=%x:%x:%x:%x",
                    c->id, c->guest.control.asid, c->guest.vmpl, t->e.gpa, t->spa,
                    t->e.large ? "2M" : "4K", rmp_state_name(rmp_entry_state(&t->e)), t->e.vmsa,
                    t->e.permissions[0], t->e.permissions[1], t->e.permissions[2],
                    t->e.permissions[3]);
}

void exec_pvalidate(struct cpu *c, const struct insn *in)
{
    bool large = c->arch.r[RCX] & 1, validate = c->arch.r[RDX] & 1;
    struct target t;
    check_privilege(c);
    if (c->guest.vmpl != 0)
        cpu_raise_gp(c, 0);
    if (!aligned(c, in, large)) {
        rmp_result_put(c, RMP_FAIL_INPUT, false);
        return;
    }
    find_page(c, in, large, &t);
    if (!sizes_match(c, &t)) {
        rmp_result_put(c, RMP_FAIL_SIZEMISMATCH, false);
        return;
    }
    if (in_use(c, &t)) {
        rmp_result_put(c, RMP_FAIL_INUSE, false);
        return;
    }
    bool changes = t.e.validated != validate;
    t.e.validated = validate;
    if (changes)
        change(c, "PVALIDATE", &t);
    rmp_result_put(c, RMP_SUCCESS, !changes);
}

/* Checks what RDX asks for; does not look at the entry yet. */
static enum rmp_result check_target(const struct cpu *c, const struct insn *in, u32 vmpl,
                                    bool large)
{
    if (!aligned(c, in, large) || vmpl >= RMP_VMPLS)
        return RMP_FAIL_INPUT;
    return vmpl <= c->guest.vmpl ? RMP_FAIL_PERMISSION : RMP_SUCCESS;
}

static void check_validated(struct cpu *c, const struct insn *in, const struct target *t)
{
    if (t->e.validated)
        return;
    c->arch.cr2 = linear_address(c, in->segment, operand_offset(c, in), 1, false);
    vmsa_raise_vc(c, EXIT_PAGE_NOT_VALIDATED);
}

void exec_rmpadjust(struct cpu *c, const struct insn *in)
{
    bool large = c->arch.r[RCX] & 1;
    u32 vmpl = (u8)c->arch.r[RDX];
    u8 permissions = (u8)(c->arch.r[RDX] >> 8);
    struct target t;
    check_privilege(c);
    enum rmp_result result = check_target(c, in, vmpl, large);
    if (result == RMP_SUCCESS) {
        find_page(c, in, large, &t);
        check_validated(c, in, &t);
        if (!sizes_match(c, &t))
            result = RMP_FAIL_SIZEMISMATCH;
        else if (permissions & ~t.e.permissions[c->guest.vmpl])
            result = RMP_FAIL_PERMISSION;
        else if (in_use(c, &t))
            result = RMP_FAIL_INUSE;
    }
    if (result == RMP_SUCCESS) {
        t.e.permissions[vmpl] = permissions;
        if (c->guest.vmpl == 0)
            t.e.vmsa = c->arch.r[RDX] >> 16 & 1;
        change(c, "RMPADJUST", &t);
    }
    rmp_result_put(c, result, false);
}

/* The VMPL is read from RDX, as in RMPADJUST, and the answer goes there too; one source has the
 * VMPL in RCX [cpu 12]. */
#define QUERY_VMPL RDX

void exec_rmpquery(struct cpu *c, const struct insn *in)
{
    u32 vmpl = (u8)c->arch.r[QUERY_VMPL];
    struct target t;
    check_privilege(c);
    if (vmpl >= RMP_VMPLS || vmpl < c->guest.vmpl) {
        rmp_result_put(c, vmpl >= RMP_VMPLS ? RMP_FAIL_INPUT : RMP_FAIL_PERMISSION, false);
        return;
    }
    find_page(c, in, false, &t);
    check_validated(c, in, &t);
    c->arch.r[RDX] = vmpl | (u64)t.e.permissions[vmpl] << 8 | (u64)t.e.vmsa << 16;
    c->arch.r[RCX] = t.e.large;
    rmp_result_put(c, RMP_SUCCESS, false);
}
