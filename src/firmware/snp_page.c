/* SPDX-License-Identifier: Apache-2.0 */
/* Page states: the checks and changes that all SNP commands share, and the commands that only
 * change page states [snp 3.3, 4.4]. */
#include "firmware/internal.h"

#include <inttypes.h>
#include <stdio.h>

/* Writes the names of the states: "Firmware or Metadata". */
static void states_text(char *out, size_t size, u32 states)
{
    size_t used = 0;
    out[0] = 0;
    for (u32 state = 0; state < RMP_STATE_COUNT && used < size; state++)
        if (states & 1u << state)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? " or " : "",
                                     rmp_state_name((enum rmp_state)state));
}

enum sev_status page_check(struct call *c, const char *what, u64 paddr, bool large, u32 states,
                           struct rmp_entry *entry)
{
    u64 spa = real_address(c->fw, paddr), size = large ? RMP_LARGE_SIZE : PAGE_SIZE;
    struct rmp_entry local;
    entry = entry ? entry : &local;
    enum sev_status status = check_range(c, what, paddr, size, (u32)size);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    bool covered = rmp_get(c->fw->memory, spa, entry);
    enum rmp_state state = covered ? rmp_entry_state(entry) : RMP_DEFAULT;
    if (states & 1u << state) {
        RULE_CHECK(c, entry->large == large, INVALID_PAGE_SIZE,
                   "%s 0x%" PRIx64 " is a page of %s, not of %s", what, spa,
                   entry->large ? "2 MiB" : "4 KiB", large ? "2 MiB" : "4 KiB");
        return SEV_STATUS_SUCCESS;
    }
    char wanted[100];
    states_text(wanted, sizeof wanted, states);
    return refuse(c, SEV_STATUS_INVALID_PAGE_STATE, "%s 0x%" PRIx64 " is %s, not %s", what, spa,
                  rmp_state_name(state), wanted);
}

enum sev_status page_check_owned(struct call *c, const char *what, u64 paddr, bool large,
                                 u32 states, struct rmp_entry *entry)
{
    /* Checks the owner before the size, so that another guest's page reveals nothing more. */
    u64 spa = real_address(c->fw, paddr);
    enum sev_status status = check_range(c, what, paddr, large ? RMP_LARGE_SIZE : PAGE_SIZE,
                                         large ? (u32)RMP_LARGE_SIZE : PAGE_SIZE);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    rmp_get(c->fw->memory, spa, entry);
    RULE_CHECK(c, !(states & 1u << rmp_entry_state(entry)) || entry->asid == c->context.asid,
               INVALID_PAGE_OWNER, "%s 0x%" PRIx64 " belongs to ASID %u, the guest has %u", what,
               spa, entry->asid, c->context.asid);
    return page_check(c, what, paddr, large, states, entry);
}

enum sev_status page_check_answer(struct call *c, const char *what, u64 paddr, u32 len)
{
    u64 spa = real_address(c->fw, paddr);
    enum sev_status status = check_range(c, what, paddr, len, 1);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, (spa & PAGE_MASK) + len <= PAGE_SIZE, INVALID_ADDRESS,
               "%s: 0x%" PRIx64 " and %u bytes cross a page", what, spa, len);
    if (c->fw->snp.state == SNP_PSTATE_UNINIT || !c->fw->snp.rmp_init)
        return SEV_STATUS_SUCCESS;
    return page_check(c, what, ALIGN_DOWN(spa, PAGE_SIZE), false, PAGE(FIRMWARE), NULL);
}

void page_set(struct call *c, u64 paddr, const struct rmp_entry *entry)
{
    struct firmware *fw = c->fw;
    u64 spa = real_address(fw, paddr);
    if (trace_wants(fw->trace, TRACE_PAGE))
        trace_event(fw->trace, TRACE_PAGE, "RMP",
                    "spa=0x%" PRIx64 " from=%s to=%s asid=%u gpa=0x%" PRIx64 " size=%s by=%s", spa,
                    rmp_state_name(rmp_state(fw->memory, spa)),
                    rmp_state_name(rmp_entry_state(entry)), entry->asid, entry->gpa,
                    entry->large ? "2M" : "4K", c->command->name);
    rmp_set(fw->memory, spa, entry);
}

void page_answer(struct call *c, u64 paddr, const void *data, u32 len)
{
    u64 spa = real_address(c->fw, paddr), page = ALIGN_DOWN(spa, PAGE_SIZE);
    memory_write(c->fw->memory, spa, KEY_RAW, data, len);
    if (rmp_state(c->fw->memory, page) == RMP_FIRMWARE)
        page_set(c, page, &RECLAIM_PAGE);
}

/* --- SNP_PAGE_RECLAIM, SNP_PAGE_UNSMASH ------------------------------------------------------- */

enum sev_status snp_page_reclaim(struct call *c)
{
    u64 paddr = c->in.snp_address.paddr;
    bool large = paddr & SNP_PAGE_LARGE;
    u64 page = paddr & ~(u64)SNP_PAGE_LARGE;
    struct rmp_entry e;
    enum sev_status status = page_check(
        c, "page", page, large,
        PAGE(FIRMWARE) | PAGE(METADATA) | PAGE(RECLAIM) | PAGE(PRE_GUEST) | PAGE(PRE_SWAP), &e);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    note(c, " spa=0x%" PRIx64 " from=%s", real_address(c->fw, page),
         rmp_state_name(rmp_entry_state(&e)));
    if (e.asid)
        e.immutable = false;
    else
        e = (struct rmp_entry){.assigned = true, .large = large};
    page_set(c, page, &e);
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_page_unsmash(struct call *c)
{
    u64 page = c->in.snp_address.paddr & ~(u64)SNP_PAGE_LARGE, spa = real_address(c->fw, page);
    struct rmp_entry e;
    enum sev_status status = check_range(c, "page", page, RMP_LARGE_SIZE, (u32)RMP_LARGE_SIZE);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    note(c, " spa=0x%" PRIx64, spa);
    RULE_CHECK(c, rmp_get(c->fw->memory, spa, &e) && e.assigned && e.asid && !e.immutable,
               INVALID_PAGE_STATE, "the page is %s, not Guest-Invalid or Guest-Valid",
               rmp_state_name(rmp_state(c->fw->memory, spa)));
    RULE_CHECK(c, !e.large, INVALID_PAGE_SIZE, "the page is one of 2 MiB already");
    RULE_CHECK(c, rmp_unsmash(c->fw->memory, spa), INVALID_PAGE_STATE,
               "the 512 entries are not alike with contiguous gPAs that start at 2 MiB");
    return SEV_STATUS_SUCCESS;
}

/* --- SNP_PAGE_MOVE, SNP_PAGE_MD_INIT ---------------------------------------------------------- */

enum sev_status snp_page_move_parameters(struct call *c)
{
    const struct snp_page_move *in = &c->in.snp_page_move;
    RULE_CHECK(c, !(in->flags & ~(u32)SNP_PAGE_LARGE) && !in->reserved_0c, INVALID_PARAM,
               "reserved bits are set");
    return SEV_STATUS_SUCCESS;
}

/* Moves plaintext from one place to another, one frame at a time, and leaves nothing at the
 * source. */
static void move_plaintext(struct firmware *fw, u64 from, u64 to, u64 size, memory_key key)
{
    static const u8 zeros[PAGE_SIZE];
    u8 bytes[PAGE_SIZE];
    for (u64 at = 0; at < size; at += PAGE_SIZE) {
        memory_read(fw->memory, from + at, key, bytes, sizeof bytes);
        memory_write(fw->memory, to + at, key, bytes, sizeof bytes);
        memory_write(fw->memory, from + at, KEY_RAW, zeros, sizeof zeros);
    }
    crypto_wipe(bytes, sizeof bytes);
}

enum sev_status snp_page_move(struct call *c)
{
    const struct snp_page_move *in = &c->in.snp_page_move;
    bool large = in->flags & SNP_PAGE_LARGE;
    struct rmp_entry source, target;
    enum sev_status status =
        page_check_owned(c, "source", in->src_paddr, large,
                         PAGE(PRE_SWAP) | PAGE(GUEST_VALID) | PAGE(GUEST_INVALID), &source);
    if (status == SEV_STATUS_SUCCESS)
        status = page_check_owned(c, "destination", in->dst_paddr, large, PAGE(PRE_GUEST), &target);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, source.gpa == target.gpa, INVALID_PARAM,
               "the destination is for gPA 0x%" PRIx64 ", the source is gPA 0x%" PRIx64, target.gpa,
               source.gpa);
    move_plaintext(c->fw, real_address(c->fw, in->src_paddr), real_address(c->fw, in->dst_paddr),
                   large ? RMP_LARGE_SIZE : PAGE_SIZE, (memory_key)c->context.asid);
    source.immutable = false;
    page_set(c, in->dst_paddr, &source);
    page_set(c, in->src_paddr,
             &(struct rmp_entry){.assigned = true, .immutable = true, .large = large});
    return SEV_STATUS_SUCCESS;
}

/* Makes a metadata page. Its gPA field names its guest by the address of the context page, which is
 * never zero. */
enum sev_status snp_page_md_init(struct call *c)
{
    static const u8 zeros[PAGE_SIZE];
    u64 paddr = c->in.snp_gctx_page.paddr;
    enum sev_status status = page_check(c, "page", paddr, false, PAGE(FIRMWARE), NULL);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    memory_write(c->fw->memory, real_address(c->fw, paddr), KEY_FIRMWARE, zeros, sizeof zeros);
    page_set(c, paddr, &(struct rmp_entry){.assigned = true, .immutable = true, .gpa = c->gctx});
    return SEV_STATUS_SUCCESS;
}

/* --- SNP_PAGE_SET_STATE and the list of SNP_INIT_EX ------------------------------------------- */

enum sev_status range_list_read(struct call *c, u64 paddr, struct range_list *list)
{
    struct snp_range_list head = {.count = 0};
    list->count = 0;
    enum sev_status status = read_range(c, "range list", paddr, &head, sizeof head);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, head.count <= RANGES_MAX && !head.reserved_04, INVALID_PARAM,
               "a range list has at most %zu ranges, this one %u", RANGES_MAX, head.count);
    status = read_range(c, "range list", paddr + sizeof head, list->ranges,
                        head.count * (u32)sizeof *list->ranges);
    if (status == SEV_STATUS_SUCCESS)
        list->count = head.count;
    return status;
}

/* Returns the end of the range, cut at the end of memory: every page beyond it is in Default state
 * and stays so. */
static u64 covered_end(const struct firmware *fw, const struct snp_range *r)
{
    u64 base = real_address(fw, r->base), end = base + (u64)r->pages * PAGE_SIZE;
    return min_u64(end, memory_size(fw->memory));
}

/* Checks that the page at `at` is in one of the states. If it belongs to a 2 MiB page, the range
 * must contain all of that page. */
static enum sev_status check_listed(struct call *c, const struct snp_range *r, u64 at, u32 states)
{
    struct firmware *fw = c->fw;
    struct rmp_entry e;
    enum rmp_state state = rmp_get(fw->memory, at, &e) ? rmp_entry_state(&e) : RMP_DEFAULT;
    RULE_CHECK(c, states & 1u << state, INVALID_PAGE_STATE, "listed page 0x%" PRIx64 " is %s", at,
               rmp_state_name(state));
    u64 first = ALIGN_DOWN(at, RMP_LARGE_SIZE);
    RULE_CHECK(c,
               !e.large || (first >= real_address(fw, r->base) &&
                            first + RMP_LARGE_SIZE <= covered_end(fw, r)),
               INVALID_PAGE_SIZE, "listed page 0x%" PRIx64 " is part of one of 2 MiB", at);
    return SEV_STATUS_SUCCESS;
}

enum sev_status range_list_check(struct call *c, const struct range_list *list, bool large,
                                 u32 states)
{
    struct firmware *fw = c->fw;
    enum sev_status status = SEV_STATUS_SUCCESS;
    for (u32 i = 0; i < list->count && status == SEV_STATUS_SUCCESS; i++) {
        const struct snp_range *r = &list->ranges[i];
        u64 base = real_address(fw, r->base), end = covered_end(fw, r);
        RULE_CHECK(c, !(base & ((large ? RMP_LARGE_SIZE : PAGE_SIZE) - 1)) && base < BIT(52),
                   INVALID_ADDRESS, "range %u starts at 0x%" PRIx64, i, base);
        RULE_CHECK(c, !r->reserved_0c, INVALID_PARAM, "range %u has reserved bits set", i);
        if (base < end && states) /* addresses without memory have no states */
            status = check_range(c, "listed range", base, end - base, PAGE_SIZE);
        for (u64 at = base; states && at < end && status == SEV_STATUS_SUCCESS; at += PAGE_SIZE)
            status = check_listed(c, r, at, states);
    }
    return status;
}

void range_list_fix(struct call *c, const struct range_list *list)
{
    struct firmware *fw = c->fw;
    const struct rmp_entry fixed = {.immutable = true};
    for (u32 i = 0; i < list->count; i++)
        for (u64 at = real_address(fw, list->ranges[i].base);
             at < covered_end(fw, &list->ranges[i]); at += PAGE_SIZE)
            /* A page beyond the table is the host's anyway. */
            if (rmp_covered(fw->memory, at) && !rmp_is_table(fw->memory, at, PAGE_SIZE))
                page_set(c, at, &fixed);
}

enum sev_status snp_page_set_state_parameters(struct call *c)
{
    const struct snp_page_set_state *in = &c->in.snp_page_set_state;
    RULE_CHECK(c, in->len == sizeof *in, INVALID_LENGTH, "LEN is %u, not %zu", in->len, sizeof *in);
    RULE_CHECK(c, !in->reserved_04, INVALID_PARAM, "reserved bits are set");
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_page_set_state(struct call *c)
{
    struct range_list list;
    enum sev_status status = range_list_read(c, c->in.snp_page_set_state.list_paddr, &list);
    if (status == SEV_STATUS_SUCCESS)
        status = range_list_check(c, &list, true, PAGE(FIRMWARE) | PAGE(DEFAULT));
    if (status == SEV_STATUS_SUCCESS)
        range_list_fix(c, &list);
    return status;
}
