/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an SNP guest without firmware has in addition to its files: secrets and CPUID pages and the
 * CC blob that points to them [cpu 9.2], the rest of its RAM as pages of zeros, and the digest of
 * all of these [snp 5.3].
 */
#include "abi/snp.h"
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "image/internal.h"
#include "image/measure.h"

#define SETUP_CC_BLOB   7u
#define CC_BLOB_MAGIC   0x45444d41u /* "AMDE" */
#define CC_BLOB_VERSION 1u

u64 snp_area(u64 acpi)
{
    return acpi - SNP_AREA_SIZE;
}

u64 snp_blob(u64 acpi)
{
    return acpi - PAGE_SIZE;
}

static int add_typed(struct image_plan *plan, const char *name, u64 gpa, enum snp_page_type type,
                     struct error *error)
{
    if (plan_add(plan, name, gpa, PAGE_SIZE, NULL, 0, error))
        return -1;
    plan->pieces[plan->piece_count - 1].page_type = type;
    return 0;
}

int snp_add_area(struct image_plan *plan, u64 acpi, struct error *error)
{
    u64 secrets = snp_area(acpi), cpuid = secrets + PAGE_SIZE;
    u8 *blob = plan_own(plan, PAGE_SIZE, error);
    if (!blob)
        return -1;
    store_le32(blob, CC_BLOB_MAGIC);
    store_le16(blob + 4, CC_BLOB_VERSION);
    store_le64(blob + 8, secrets);
    store_le32(blob + 16, PAGE_SIZE);
    store_le64(blob + 24, cpuid);
    store_le32(blob + 32, PAGE_SIZE);
    return add_typed(plan, "secrets", secrets, SNP_PAGE_SECRETS, error) ||
                   add_typed(plan, "cpuid", cpuid, SNP_PAGE_CPUID, error) ||
                   plan_add(plan, "cc_blob", snp_blob(acpi), PAGE_SIZE, blob, PAGE_SIZE, error)
               ? -1
               : 0;
}

/* Adds the node: {u64 next, u32 type, u32 length, then the blob's address}. */
int snp_add_setup_data(struct image_plan *plan, u64 acpi, struct error *error)
{
    u8 *node = plan_own(plan, PAGE_SIZE, error);
    if (!node)
        return -1;
    store_le32(node + 8, SETUP_CC_BLOB);
    store_le32(node + 12, 4);
    store_le32(node + 16, (u32)snp_blob(acpi));
    return plan_add(plan, "setup_data", LAYOUT_SETUP_DATA, PAGE_SIZE, node, PAGE_SIZE, error);
}

/* --- The rest of RAM -------------------------------------------------------------------------- */

static int add_zeros(struct image_plan *plan, u64 gpa, u64 end, struct error *error)
{
    if (gpa >= end)
        return 0;
    if (plan->piece_count == IMAGE_PIECES_MAX)
        return error_set(error, ERROR_FILE, "ram: more than %u parts to load", IMAGE_PIECES_MAX);
    plan->pieces[plan->piece_count++] = (struct image_piece){
        .name = "ram", .gpa = gpa, .size = end - gpa, .page_type = SNP_PAGE_ZERO};
    return 0;
}

/* Returns the lowest of the first `count` pieces that ends above `gpa`, or NULL if there is
 * none. */
static const struct image_piece *next_piece(const struct image_plan *plan, u32 count, u64 gpa)
{
    const struct image_piece *next = NULL;
    for (u32 i = 0; i < count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        if (p->gpa + p->size > gpa && (!next || p->gpa < next->gpa))
            next = p;
    }
    return next;
}

static int fill_gaps(struct image_plan *plan, u32 count, u64 gpa, u64 end, struct error *error)
{
    while (gpa < end) {
        const struct image_piece *next = next_piece(plan, count, gpa);
        u64 stop = next ? min_u64(next->gpa, end) : end;
        if (add_zeros(plan, gpa, stop, error))
            return -1;
        gpa = next ? max_u64(next->gpa + next->size, stop) : end;
    }
    return 0;
}

/* Adds the rest of RAM. The display's window below C0000h stays with the host: the guest has no
 * memory there. */
int snp_add_ram(struct image_plan *plan, struct error *error)
{
    u32 count = plan->piece_count;
    if (fill_gaps(plan, count, 0, LAYOUT_LOW_END, error) ||
        fill_gaps(plan, count, LAYOUT_ROM, plan_low_end(plan), error))
        return -1;
    return plan->memory_size > BOARD_LOW_RAM_END
               ? add_zeros(plan, BOARD_HIGH_RAM,
                           BOARD_HIGH_RAM + plan->memory_size - BOARD_LOW_RAM_END, error)
               : 0;
}

/* --- The digest ------------------------------------------------------------------------------- */

static const char *type_name(u32 type)
{
    switch (type) {
#define TYPE_NAME(name, value)                                                                     \
    case value:                                                                                    \
        return #name;
        SNP_PAGE_TYPES(TYPE_NAME)
#undef TYPE_NAME
    default:
        return "?";
    }
}

static bool is_measured(u32 type)
{
    return type == SNP_PAGE_NORMAL || type == SNP_PAGE_VMSA;
}

struct chain {
    struct crypto_sha384 *sha384;
    u8 *digest;
};

/* Extends the digest by a page. NULL `page`: the contents are not measured. */
static void extend(const struct chain *c, u32 type, u64 gpa, const u8 *page)
{
    struct snp_page_info info = {.length = sizeof info, .page_type = (u8)type, .gpa = gpa};
    memcpy(info.digest_current, c->digest, SNP_DIGEST_SIZE);
    if (page)
        crypto_sha384_run(c->sha384, page, PAGE_SIZE, info.contents);
    crypto_sha384_run(c->sha384, &info, sizeof info, c->digest);
}

/* Returns a page of a piece: in the piece's data, or a copy that is filled up with zeros at the end
 * of the data. */
static const u8 *page_of(const struct image_piece *p, u64 at, u8 copy[PAGE_SIZE])
{
    if (at + PAGE_SIZE <= p->data_size)
        return p->data + at;
    memset(copy, 0, PAGE_SIZE);
    if (at < p->data_size)
        memcpy(copy, p->data + at, p->data_size - at);
    return copy;
}

static void extend_piece(const struct chain *c, const struct image_piece *p, u32 type)
{
    u8 copy[PAGE_SIZE];
    for (u64 at = 0; at < p->size; at += PAGE_SIZE)
        extend(c, type, p->gpa + at, is_measured(type) ? page_of(p, at, copy) : NULL);
}

static void report(const struct measure_sink *sink, const struct image_piece *p, u32 type,
                   const u8 digest[SNP_DIGEST_SIZE])
{
    struct measure_record r = {.name = p->name,
                               .type = type_name(type),
                               .gpa = p->gpa,
                               .size = p->size,
                               .digest_size = SNP_DIGEST_SIZE};
    if (!sink || !sink->record)
        return;
    if (is_measured(type) && p->data_size)
        crypto_sha384(p->data, p->data_size, r.contents);
    memcpy(r.digest, digest, SNP_DIGEST_SIZE);
    sink->record(sink->context, &r);
}

static void measure_pieces(const struct chain *c, const struct image_plan *plan,
                           const struct measure_sink *sink)
{
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        u32 type = p->page_type ? p->page_type : SNP_PAGE_NORMAL;
        extend_piece(c, p, type);
        report(sink, p, type, c->digest);
    }
    for (u32 i = 0; i < plan->vmsa_count; i++) {
        const struct image_piece vmsa = {.name = "VMSA",
                                         .gpa = SNP_VMSA_GPA,
                                         .size = PAGE_SIZE,
                                         .data = (const u8 *)plan->vmsas[i],
                                         .data_size = PAGE_SIZE};
        extend_piece(c, &vmsa, SNP_PAGE_VMSA);
        report(sink, &vmsa, SNP_PAGE_VMSA, c->digest);
    }
}

/* If there is no memory for a hash, the digest stays zero, which no guest has. */
void measure_snp_plan(const struct image_plan *plan, const struct measure_sink *sink,
                      u8 digest[MEASURE_DIGEST_MAX])
{
    const struct chain c = {crypto_sha384_create(), digest};
    memset(digest, 0, SNP_DIGEST_SIZE);
    if (c.sha384)
        measure_pieces(&c, plan, sink);
    crypto_sha384_free(c.sha384);
}

void image_snp_digest(const struct image_plan *plan, u8 digest[48])
{
    measure_snp_plan(plan, NULL, digest);
}
