/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP_PAGE_SWAP_OUT and _IN. A page leaves memory sealed with the guest's offline key. Its metadata
 * entry, in a metadata page or at the root in the context, lets the page in again, but only once
 * [snp 3.3].
 */
#include "firmware/internal.h"

#include <inttypes.h>

struct swap {
    bool large, root;
    enum snp_swap_type type;
    u64 size;
    struct rmp_entry page, mdata; /* RMP entries of the guest's page and of the metadata page */
};

#define SWAP_OUT_FLAGS (SNP_PAGE_LARGE | SNP_SWAP_TYPE(3) | SNP_SWAP_ROOT_MDATA_EN)
#define SWAP_IN_FLAGS  (SWAP_OUT_FLAGS | SNP_SWAP_IN_PLACE)

static enum sev_status check_flags(struct call *c, u64 known)
{
    u64 flags = c->in.snp_page_swap.flags;
    u32 type = (u32)BITS(flags, 2, 1);
    RULE_CHECK(c, !(flags & ~known), INVALID_PARAM, "reserved flags are set");
    RULE_CHECK(c, type <= SNP_SWAP_VMSA, INVALID_PARAM, "there is no page type %u", type);
    RULE_CHECK(c, !(flags & SNP_PAGE_LARGE) || type == SNP_SWAP_DATA, INVALID_PAGE_SIZE,
               "only a data page can have 2 MiB");
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_page_swap_out_parameters(struct call *c)
{
    return check_flags(c, SWAP_OUT_FLAGS);
}

enum sev_status snp_page_swap_in_parameters(struct call *c)
{
    RULE_CHECK(c, !c->in.snp_page_swap.software_data, INVALID_PARAM, "reserved bytes are set");
    return check_flags(c, SWAP_IN_FLAGS);
}

static struct swap swap_of(const struct call *c)
{
    u64 flags = c->in.snp_page_swap.flags;
    bool large = flags & SNP_PAGE_LARGE;
    return (struct swap){
        .large = large,
        .root = flags & SNP_SWAP_ROOT_MDATA_EN,
        .type = (enum snp_swap_type)BITS(flags, 2, 1),
        .size = large ? RMP_LARGE_SIZE : PAGE_SIZE,
    };
}

/* Checks that the page is a metadata page of this guest: its gPA field is the context's address. */
static enum sev_status check_metadata_page(struct call *c, const char *what, u64 paddr,
                                           struct rmp_entry *e)
{
    enum sev_status status = page_check(c, what, paddr, false, PAGE(METADATA), e);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, e->gpa == c->gctx, INVALID_PAGE_OWNER, "%s is the guest's of context 0x%" PRIx64,
               what, e->gpa);
    return SEV_STATUS_SUCCESS;
}

static enum sev_status check_mdata(struct call *c, struct swap *s)
{
    u64 paddr = c->in.snp_page_swap.mdata_paddr;
    if (s->root)
        return SEV_STATUS_SUCCESS;
    RULE_CHECK(c, !(paddr & (SNP_MDATA_ENTRY_SIZE - 1)), INVALID_ADDRESS,
               "metadata entry 0x%" PRIx64 " is not a multiple of 64", paddr);
    return check_metadata_page(c, "metadata page", ALIGN_DOWN(paddr, PAGE_SIZE), &s->mdata);
}

static void mdata_get(struct call *c, const struct swap *s, struct snp_mdata_entry *out)
{
    if (s->root)
        *out = c->context.id.root_mdata;
    else
        memory_read(c->fw->memory, real_address(c->fw, c->in.snp_page_swap.mdata_paddr),
                    KEY_FIRMWARE, out, sizeof *out);
}

static void mdata_put(struct call *c, const struct swap *s, const struct snp_mdata_entry *entry)
{
    if (s->root)
        c->context.id.root_mdata = *entry;
    else
        memory_write(c->fw->memory, real_address(c->fw, c->in.snp_page_swap.mdata_paddr),
                     KEY_FIRMWARE, entry, sizeof *entry);
}

/* Builds the authenticated data of a page: the whole entry except the tag. */
static void mdata_aad(const struct snp_mdata_entry *entry, struct snp_mdata_entry *aad)
{
    *aad = *entry;
    memset(aad->tag, 0, sizeof aad->tag);
}

static u64 info_of(const struct swap *s)
{
    u64 info = SNP_MDATA_VALID | (s->large ? SNP_MDATA_LARGE : 0);
    if (s->type == SNP_SWAP_METADATA)
        return info | SNP_MDATA_METADATA;
    return info | (s->page.validated ? SNP_MDATA_VALIDATED : 0) |
           (s->page.vmsa ? SNP_MDATA_VMSA : 0) | (s->page.gpa & ~PAGE_MASK);
}

/* --- Out -------------------------------------------------------------------------------------- */

static enum sev_status check_leaving(struct call *c, struct swap *s)
{
    const struct snp_page_swap *in = &c->in.snp_page_swap;
    if (s->type == SNP_SWAP_METADATA)
        return check_metadata_page(c, "source", in->src_paddr, &s->page);
    enum sev_status status =
        page_check_owned(c, "source", in->src_paddr, s->large, PAGE(PRE_SWAP), &s->page);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    RULE_CHECK(c, s->page.vmsa == (s->type == SNP_SWAP_VMSA), INVALID_PARAM, "the page is %s VMSA",
               s->page.vmsa ? "a" : "no");
    return SEV_STATUS_SUCCESS;
}

enum sev_status snp_page_swap_out(struct call *c)
{
    const struct snp_page_swap *in = &c->in.snp_page_swap;
    struct firmware *fw = c->fw;
    struct swap s = swap_of(c);
    struct rmp_entry target;
    enum sev_status status = check_leaving(c, &s);
    if (status == SEV_STATUS_SUCCESS)
        status = page_check(c, "destination", in->dst_paddr, s.large, PAGE(FIRMWARE), &target);
    if (status == SEV_STATUS_SUCCESS)
        status = check_mdata(c, &s);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    u64 src = real_address(fw, in->src_paddr), dst = real_address(fw, in->dst_paddr);
    RULE_CHECK(c, src != dst, INVALID_ADDRESS, "source and destination are one page");
    RULE_CHECK(c, s.root || src != ALIGN_DOWN(real_address(fw, in->mdata_paddr), PAGE_SIZE),
               INVALID_ADDRESS, "a metadata page cannot hold its own entry");
    RULE_CHECK(c, c->context.id.oek_iv != ~0ull, AEAD_OFLOW,
               "the offline key's counter is at its end");
    struct snp_mdata_entry entry = {.software_data = in->software_data,
                                    .iv = ++c->context.id.oek_iv,
                                    .info = info_of(&s)},
                           aad;
    memcpy(entry.permissions, s.page.permissions, sizeof entry.permissions);
    u8 iv[12];
    snp_msg_iv(entry.iv, iv);
    mdata_aad(&entry, &aad);
    memory_read(fw->memory, src,
                s.type == SNP_SWAP_METADATA ? KEY_FIRMWARE : (memory_key)c->context.asid, fw->swap,
                s.size);
    crypto_aes256_gcm_seal(c->context.id.oek, iv, &aad, sizeof aad, fw->swap, fw->swap, s.size,
                           entry.tag);
    memory_write(fw->memory, dst, KEY_RAW, fw->swap, s.size);
    mdata_put(c, &s, &entry);
    page_set(c, dst, &(struct rmp_entry){.assigned = true, .large = s.large});
    page_set(c, src, &(struct rmp_entry){.assigned = true, .immutable = true, .large = s.large});
    return SEV_STATUS_SUCCESS;
}

/* --- In --------------------------------------------------------------------------------------- */

static enum sev_status check_arriving(struct call *c, struct swap *s)
{
    u64 paddr = c->in.snp_page_swap.dst_paddr;
    if (s->type == SNP_SWAP_METADATA)
        return page_check(c, "destination", paddr, false, PAGE(FIRMWARE), &s->page);
    return page_check_owned(c, "destination", paddr, s->large, PAGE(PRE_GUEST), &s->page);
}

static enum sev_status check_entry(struct call *c, const struct swap *s,
                                   const struct snp_mdata_entry *e)
{
    RULE_CHECK(c, e->info & SNP_MDATA_VALID, INVALID_MDATA_ENTRY,
               "the metadata entry is not valid");
    enum snp_swap_type type = e->info & SNP_MDATA_METADATA ? SNP_SWAP_METADATA
                              : e->info & SNP_MDATA_VMSA   ? SNP_SWAP_VMSA
                                                           : SNP_SWAP_DATA;
    RULE_CHECK(c, type == s->type, INVALID_MDATA_ENTRY,
               "the metadata entry is for a page of type %u", type);
    RULE_CHECK(c, s->large == ((e->info & SNP_MDATA_LARGE) != 0), INVALID_PAGE_SIZE,
               "the metadata entry is for a page of another size");
    RULE_CHECK(c, type == SNP_SWAP_METADATA || (e->info & ~PAGE_MASK) == s->page.gpa, INVALID_PARAM,
               "the metadata entry is for gPA 0x%" PRIx64 ", the destination is gPA 0x%" PRIx64,
               (u64)(e->info & ~PAGE_MASK), s->page.gpa);
    return SEV_STATUS_SUCCESS;
}

static struct rmp_entry arrived(const struct call *c, const struct swap *s,
                                const struct snp_mdata_entry *e)
{
    if (s->type == SNP_SWAP_METADATA)
        return (struct rmp_entry){.assigned = true, .immutable = true, .gpa = c->gctx};
    struct rmp_entry page = s->page;
    page.immutable = false;
    page.validated = e->info & SNP_MDATA_VALIDATED;
    page.vmsa = e->info & SNP_MDATA_VMSA;
    memcpy(page.permissions, e->permissions, sizeof page.permissions);
    return page;
}

enum sev_status snp_page_swap_in(struct call *c)
{
    const struct snp_page_swap *in = &c->in.snp_page_swap;
    struct firmware *fw = c->fw;
    struct swap s = swap_of(c);
    struct snp_mdata_entry entry, aad;
    bool in_place = in->flags & SNP_SWAP_IN_PLACE;
    u64 src_paddr = in_place ? in->dst_paddr : in->src_paddr;
    enum sev_status status = check_range(c, "source", src_paddr, s.size, (u32)s.size);
    if (status == SEV_STATUS_SUCCESS)
        status = check_arriving(c, &s);
    if (status == SEV_STATUS_SUCCESS)
        status = check_mdata(c, &s);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    mdata_get(c, &s, &entry);
    status = check_entry(c, &s, &entry);
    if (status != SEV_STATUS_SUCCESS)
        return status;
    u8 iv[12];
    snp_msg_iv(entry.iv, iv);
    mdata_aad(&entry, &aad);
    memory_read(fw->memory, real_address(fw, src_paddr), KEY_RAW, fw->swap, s.size);
    RULE_CHECK(c,
               crypto_aes256_gcm_open(c->context.id.oek, iv, &aad, sizeof aad, fw->swap, fw->swap,
                                      s.size, entry.tag),
               BAD_MEASUREMENT, "the page is not the one that this metadata entry let out");
    memory_write(fw->memory, real_address(fw, in->dst_paddr),
                 s.type == SNP_SWAP_METADATA ? KEY_FIRMWARE : (memory_key)c->context.asid, fw->swap,
                 s.size);
    crypto_wipe(fw->swap, s.size);
    const struct rmp_entry page = arrived(c, &s, &entry);
    page_set(c, in->dst_paddr, &page);
    mdata_put(c, &s, &(struct snp_mdata_entry){.info = 0});
    return SEV_STATUS_SUCCESS;
}
