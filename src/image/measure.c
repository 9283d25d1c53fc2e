/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch digests of flash images. SEV and SEV-ES hash a stream of bytes [sev 7.5, 10, 12.1]. SNP
 * extends a digest with one PAGE_INFO for each page [snp 5.3], in the order of KVM and QEMU [snp
 * 5.7].
 */
#include "image/measure.h"

#include "abi/snp.h"
#include "crypto/crypto.h"
#include "image/internal.h"

#define BSP_EIP            0xfffffff0u
#define METADATA_PAGES_MAX (MIB(64) / PAGE_SIZE)

struct measurement {
    const struct measure_description *d;
    const struct measure_sink *sink;
    struct crypto_sha256 *stream; /* SEV, SEV-ES */
    u8 digest[SNP_DIGEST_SIZE];   /* SNP */
    bool stopped;                 /* the sink ended the walk */
};

static void report(const struct measurement *m, struct measure_record *r)
{
    r->digest_size = measure_digest_size(m->d->mode);
    if (m->sink && m->sink->record)
        m->sink->record(m->sink->context, r);
}

/* --- SEV and SEV-ES: a stream ----------------------------------------------------------------- */

static void stream_add(struct measurement *m, const char *name, const char *type, u64 gpa,
                       const void *data, size_t size)
{
    struct measure_record r = {.name = name, .type = type, .gpa = gpa, .size = size};
    crypto_sha256_update(m->stream, data, size);
    if (m->sink && m->sink->record) {
        crypto_sha256(data, size, r.contents);
        crypto_sha256_peek(m->stream, r.digest);
    }
    report(m, &r);
}

static int stream_hashes(struct measurement *m, struct error *error)
{
    u8 table[OVMF_HASH_TABLE_SIZE];
    u64 gpa;
    if (!m->d->kernel_hashes)
        return 0;
    if (ovmf_hash_area(&m->d->firmware, &gpa, error))
        return -1;
    ovmf_hash_table(&m->d->kernel, &m->d->initrd, m->d->command_line, table);
    stream_add(m, "kernel hashes", "DATA", gpa, table, sizeof table);
    return 0;
}

/* --- SNP: a chain of pages -------------------------------------------------------------------- */

struct page {
    const char *name, *type_name;
    u8 type;
    u64 gpa;
    const void *data; /* NULL: the contents are not measured */
};

static void chain_page(struct measurement *m, const struct page *p)
{
    struct snp_page_info info = {.length = sizeof info, .page_type = p->type, .gpa = p->gpa};
    struct measure_record r = {
        .name = p->name, .type = p->type_name, .gpa = p->gpa, .size = PAGE_SIZE};
    memcpy(info.digest_current, m->digest, sizeof info.digest_current);
    if (p->data)
        crypto_sha384(p->data, PAGE_SIZE, info.contents);
    crypto_sha384(&info, sizeof info, m->digest);
    memcpy(r.contents, info.contents, sizeof info.contents);
    memcpy(r.digest, m->digest, sizeof m->digest);
    report(m, &r);
    const struct measure_page page = {p->name, p->type, p->gpa, p->data};
    if (m->sink && m->sink->page && !m->stopped)
        m->stopped = !m->sink->page(m->sink->context, &page);
}

static void chain_unread(struct measurement *m, struct page p, u64 size)
{
    for (u64 end = p.gpa + size; p.gpa < end; p.gpa += PAGE_SIZE)
        chain_page(m, &p);
}

static void chain_image(struct measurement *m)
{
    const struct image_file *f = &m->d->firmware;
    struct page p = {"flash", "NORMAL", SNP_PAGE_NORMAL, GIB(4) - f->size, f->data};
    for (size_t at = 0; at < f->size; at += PAGE_SIZE, p.gpa += PAGE_SIZE) {
        p.data = (const u8 *)f->data + at;
        chain_page(m, &p);
    }
}

struct section {
    u64 gpa, size;
    u32 type;
};

static int chain_hashes(struct measurement *m, const struct section *s, struct error *error)
{
    u8 page[PAGE_SIZE] = {0}, table[OVMF_HASH_TABLE_SIZE];
    const struct measure_description *d = m->d;
    u64 area;
    if (!d->kernel_hashes) {
        chain_unread(m, (struct page){"kernel hashes", "ZERO", SNP_PAGE_ZERO, s->gpa, NULL},
                     s->size);
        return 0;
    }
    if (ovmf_hash_area(&d->firmware, &area, error))
        return -1;
    u64 offset = area & PAGE_MASK;
    if (s->size != PAGE_SIZE || offset > PAGE_SIZE - sizeof table)
        return error_set(error, ERROR_FILE,
                         "%s: its section for kernel hashes is not one page around 0x%llx",
                         d->firmware.name, (unsigned long long)area);
    ovmf_hash_table(&d->kernel, &d->initrd, d->command_line, table);
    memcpy(page + offset, table, sizeof table);
    chain_page(m, &(struct page){"kernel hashes", "NORMAL", SNP_PAGE_NORMAL, s->gpa, page});
    return 0;
}

static int chain_section(struct measurement *m, const struct section *s, struct error *error)
{
    bool gce = m->d->vmm == MEASURE_VMM_GCE;
    switch (s->type) {
    case OVMF_SEC_MEMORY:
        chain_unread(
            m,
            gce ? (struct page){"SEC memory", "UNMEASURED", SNP_PAGE_UNMEASURED, s->gpa, NULL}
                : (struct page){"SEC memory", "ZERO", SNP_PAGE_ZERO, s->gpa, NULL},
            s->size);
        return 0;
    case OVMF_SECRETS:
        chain_unread(m, (struct page){"secrets", "SECRETS", SNP_PAGE_SECRETS, s->gpa, NULL},
                     s->size);
        return 0;
    case OVMF_CPUID:
        chain_unread(m, (struct page){"CPUID", "CPUID", SNP_PAGE_CPUID, s->gpa, NULL}, s->size);
        return 0;
    case OVMF_SVSM_CAA:
        chain_unread(m, (struct page){"SVSM calling area", "ZERO", SNP_PAGE_ZERO, s->gpa, NULL},
                     s->size);
        return 0;
    case OVMF_KERNEL_HASHES:
        return chain_hashes(m, s, error);
    default:
        return error_set(error, ERROR_FILE, "%s: a metadata section of unknown type %u",
                         m->d->firmware.name, s->type);
    }
}

static int check_section(const struct image_file *file, const struct section *s, u64 *pages,
                         struct error *error)
{
    bool single = s->type == OVMF_SECRETS || s->type == OVMF_CPUID;
    *pages += s->size / PAGE_SIZE;
    if (!s->size || s->size % PAGE_SIZE || s->gpa % PAGE_SIZE || s->gpa + s->size > GIB(4) ||
        (single && s->size != PAGE_SIZE) || *pages > METADATA_PAGES_MAX)
        return error_set(error, ERROR_FILE,
                         "%s: a metadata section of type %u has %llu bytes at 0x%llx; sections are "
                         "whole pages below 4 GiB, at most 64 MiB in all",
                         file->name, s->type, (unsigned long long)s->size,
                         (unsigned long long)s->gpa);
    return 0;
}

/* A page is launched once, so sections overlap neither each other nor the image. */
static int check_places(const struct image_file *file, const struct section *sections, u32 count,
                        struct error *error)
{
    const struct section *s = &sections[count - 1];
    for (u32 i = 0; i < count - 1; i++)
        if (s->gpa < sections[i].gpa + sections[i].size && sections[i].gpa < s->gpa + s->size)
            return error_set(error, ERROR_FILE,
                             "%s: its metadata sections at 0x%llx and 0x%llx overlap", file->name,
                             (unsigned long long)sections[i].gpa, (unsigned long long)s->gpa);
    if (s->gpa + s->size <= GIB(4) - file->size)
        return 0;
    return error_set(error, ERROR_FILE,
                     "%s: its metadata section at 0x%llx lies over the image itself", file->name,
                     (unsigned long long)s->gpa);
}

/* Adds the metadata sections. EC2 launches the CPUID page after all others: `last` is the second
 * pass. */
static int chain_sections(struct measurement *m, bool last, struct error *error)
{
    struct reader r;
    struct section sections[OVMF_SECTIONS_MAX];
    u32 count;
    u64 pages = 0;
    bool ec2 = m->d->vmm == MEASURE_VMM_EC2 || m->d->vmm == MEASURE_VMM_EC2_OLD, hashes = false;
    if (ovmf_metadata(&m->d->firmware, &r, &count, error))
        return -1;
    for (u32 i = 0; i < count; i++) {
        struct section *s = &sections[i];
        s->gpa = read_u32(&r);
        s->size = read_u32(&r);
        s->type = read_u32(&r);
        if (check_section(&m->d->firmware, s, &pages, error) ||
            check_places(&m->d->firmware, sections, i + 1, error))
            return -1;
        hashes = hashes || s->type == OVMF_KERNEL_HASHES;
        if ((ec2 && s->type == OVMF_CPUID) == last && chain_section(m, s, error))
            return -1;
    }
    if (m->d->kernel_hashes && !hashes)
        return error_set(error, ERROR_FILE,
                         "%s: has no section for kernel hashes; an AmdSev build of OVMF has one",
                         m->d->firmware.name);
    return ec2 && !last ? chain_sections(m, true, error) : 0;
}

/* --- Both ------------------------------------------------------------------------------------- */

static int add_processors(struct measurement *m, struct error *error)
{
    const struct measure_description *d = m->d;
    bool snp = d->mode == MEASURE_SNP;
    struct vmsa page;
    u32 ap = 0;
    if (d->vcpus > 1 && !ovmf_reset_vector(&d->firmware, &ap))
        return error_set(error, ERROR_FILE, OVMF_NO_RESET_BLOCK, d->firmware.name);
    for (u32 i = 0; i < d->vcpus; i++) {
        measure_vmsa(d->vmm, i ? ap : BSP_EIP, d->signature, d->features, &page);
        if (snp)
            chain_page(m, &(struct page){"VMSA", "VMSA", SNP_PAGE_VMSA, SNP_VMSA_GPA, &page});
        else
            stream_add(m, "VMSA", "VMSA", 0, &page, sizeof page);
    }
    return 0;
}

static int measure_stream(struct measurement *m, struct error *error)
{
    const struct image_file *f = &m->d->firmware;
    m->stream = crypto_sha256_start();
    if (!m->stream)
        return error_set(error, ERROR_MEMORY, "no memory for a hash");
    stream_add(m, "flash", "DATA", GIB(4) - f->size, f->data, f->size);
    int result = stream_hashes(m, error);
    if (!result && m->d->mode == MEASURE_SEV_ES)
        result = add_processors(m, error);
    crypto_sha256_peek(m->stream, m->digest);
    crypto_sha256_free(m->stream);
    return result;
}

static int measure_chain(struct measurement *m, struct error *error)
{
    if (m->d->image_digest)
        memcpy(m->digest, m->d->image_digest, sizeof m->digest);
    else
        chain_image(m);
    if (m->d->image_only)
        return 0;
    if (chain_sections(m, false, error) || add_processors(m, error))
        return -1;
    return m->stopped ? error_set(error, ERROR_INTERNAL, "image: the walk of the launch was ended")
                      : 0;
}

int measure_launch(const struct measure_description *d, const struct measure_sink *sink,
                   u8 digest[MEASURE_DIGEST_MAX], struct error *error)
{
    struct measurement m = {.d = d, .sink = sink};
    bool snp = d->mode == MEASURE_SNP;
    if (ovmf_check(&d->firmware, snp ? PAGE_SIZE : 16, error) ||
        image_check_initrd(&d->initrd, error))
        return -1;
    if (d->kernel_hashes && !d->kernel.data)
        return error_set(error, ERROR_USAGE, "kernel hashes need a kernel (--kernel)");
    if (d->mode != MEASURE_SEV && !d->image_only && (!d->vcpus || d->vcpus > MEASURE_VCPUS_MAX))
        return error_set(error, ERROR_USAGE, "%u virtual processors; a launch has 1 to %u",
                         d->vcpus, MEASURE_VCPUS_MAX);
    if ((unsigned)d->vmm >= MEASURE_VMM_COUNT)
        return error_set(error, ERROR_USAGE, "no such hypervisor");
    if (snp ? measure_chain(&m, error) : measure_stream(&m, error))
        return -1;
    memset(digest, 0, MEASURE_DIGEST_MAX);
    memcpy(digest, m.digest, measure_digest_size(d->mode));
    return 0;
}
