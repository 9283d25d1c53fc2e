/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flash image's SNP launch as a plan. The walk that measures the image also lists its pages, so
 * the launched pages are the measured ones [snp 5.7].
 */
#include <stdlib.h>

#include "abi/snp.h"
#include "image/internal.h"
#include "image/measure.h"

struct builder {
    const struct measure_description *d;
    struct image_plan *plan;
    struct error *error;
};

/* Returns true if the page continues the last piece, both in guest memory and in the file. */
static bool extends(const struct image_piece *last, const struct measure_page *page)
{
    const u8 *end = last->data ? last->data + last->data_size : NULL;
    return last->name == page->name && last->page_type == page->type &&
           last->gpa + last->size == page->gpa && end == (const u8 *)page->data;
}

static bool inside_file(const struct image_file *file, const void *data)
{
    return (const u8 *)data >= (const u8 *)file->data &&
           (const u8 *)data < (const u8 *)file->data + file->size;
}

/* Copies pages that are not in the file: their buffers are only valid during the walk. */
static const void *keep(struct builder *b, const void *data)
{
    if (!data || inside_file(&b->d->firmware, data))
        return data;
    u8 *own = plan_own(b->plan, PAGE_SIZE, b->error);
    if (own)
        memcpy(own, data, PAGE_SIZE);
    return own;
}

static bool add_vmsa(struct builder *b, const struct measure_page *page)
{
    struct image_plan *plan = b->plan;
    const void *own = keep(b, page->data);
    if (own)
        plan->vmsas[plan->vmsa_count++] = own;
    return own;
}

static bool add_page(void *context, const struct measure_page *page)
{
    struct builder *b = context;
    struct image_plan *plan = b->plan;
    if (page->type == SNP_PAGE_VMSA)
        return add_vmsa(b, page);
    struct image_piece *last = plan->piece_count ? &plan->pieces[plan->piece_count - 1] : NULL;
    if (last && extends(last, page)) {
        last->size += PAGE_SIZE;
        last->data_size += page->data ? PAGE_SIZE : 0;
        return true;
    }
    const void *data = keep(b, page->data);
    u64 data_size = page->data ? PAGE_SIZE : 0;
    if (page->data && !data)
        return false;
    if (page->gpa < plan->flash_gpa) {
        if (plan_add(plan, page->name, page->gpa, PAGE_SIZE, data, data_size, b->error))
            return false;
    } else if (plan->piece_count == IMAGE_PIECES_MAX) {
        error_set(b->error, ERROR_FILE, "%s: more than %u parts to load", b->d->firmware.name,
                  IMAGE_PIECES_MAX);
        return false;
    } else {
        plan->pieces[plan->piece_count++] =
            (struct image_piece){page->name, page->gpa, PAGE_SIZE, data, data_size, 0};
    }
    plan->pieces[plan->piece_count - 1].page_type = page->type;
    return true;
}

/* Checks for a piece that exceeds memory or overlaps another piece. */
static int check_pieces(const struct image_plan *plan, struct error *error)
{
    for (u32 i = 0; i < plan->piece_count; i++) {
        const struct image_piece *p = &plan->pieces[i];
        if (p->gpa < plan->flash_gpa && p->gpa + p->size > plan_low_end(plan))
            return plan_too_small(plan, p->name, p->gpa + p->size, error);
        for (u32 k = 0; k < i; k++)
            if (p->gpa < plan->pieces[k].gpa + plan->pieces[k].size &&
                plan->pieces[k].gpa < p->gpa + p->size)
                return error_set(error, ERROR_FILE,
                                 "%s: wants guest memory at %#llx, where %s lies", p->name,
                                 (unsigned long long)p->gpa, plan->pieces[k].name);
    }
    return 0;
}

static int check_description(const struct measure_description *d, u64 memory_size,
                             struct error *error)
{
    if (d->mode != MEASURE_SNP || d->image_digest || d->image_only)
        return error_set(error, ERROR_INTERNAL, "image: only a whole SNP launch has a plan");
    if (d->vcpus > IMAGE_VMSAS_MAX)
        return error_set(error, ERROR_USAGE, "%u virtual processors; a guest here has 1 to %u",
                         d->vcpus, IMAGE_VMSAS_MAX);
    if (memory_size < MIB(2) || memory_size % MIB(2) || memory_size > GIB(512))
        return error_set(error, ERROR_USAGE,
                         "memory of a guest is 2 MiB to 512 GiB in steps of 2 MiB, not %llu bytes",
                         (unsigned long long)memory_size);
    return 0;
}

int launch_fill(struct image_plan *plan, const struct measure_description *d, struct error *error)
{
    u8 digest[MEASURE_DIGEST_MAX];
    struct builder b = {d, plan, error};
    struct measure_sink sink = {.page = add_page, .context = &b};
    plan->flash_size = d->firmware.size;
    plan->flash_gpa = GIB(4) - d->firmware.size;
    return measure_launch(d, &sink, digest, error) || check_pieces(plan, error) ? -1 : 0;
}

struct image_plan *measure_to_plan(const struct measure_description *d, u64 memory_size,
                                   struct error *error)
{
    if (check_description(d, memory_size, error))
        return NULL;
    struct image_plan *plan = calloc(1, sizeof *plan);
    if (!plan) {
        error_set(error, ERROR_MEMORY, "image: no memory for a plan");
        return NULL;
    }
    plan->memory_size = memory_size;
    plan->mode = IMAGE_SEV_SNP;
    plan->sev_features = d->features;
    if (launch_fill(plan, d, error)) {
        image_free(plan);
        return NULL;
    }
    return plan;
}
