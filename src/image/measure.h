/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch digests of flash images as public hypervisors launch them: the image, its metadata
 * sections or table of kernel hashes, and a VMSA for each virtual processor [sev 7.5, 10-12;
 * snp 5.3, 5.7]. Every contribution can be seen as it is added. Pure: no I/O; the files are
 * hostile.
 */
#ifndef SOFTSEV_IMAGE_MEASURE_H
#define SOFTSEV_IMAGE_MEASURE_H

#include "abi/vmsa.h"
#include "image/image.h"

/* SEV and SEV-ES: SHA-256 of all bytes. SNP: a chain of SHA-384 over page records. */
enum measure_mode { MEASURE_SEV, MEASURE_SEV_ES, MEASURE_SNP };

#define MEASURE_DIGEST_MAX 48u

static inline size_t measure_digest_size(enum measure_mode mode)
{
    return mode == MEASURE_SNP ? 48 : 32;
}

/* Who launches: they differ in the registers of a new processor and in the order of sections. */
// clang-format off
#define MEASURE_VMMS(X) \
    X(QEMU,     "qemu",     "QEMU on Linux 6.10 or newer: FPU control words as after reset") \
    X(QEMU_OLD, "qemu-old", "QEMU with the older KVM interface: FPU control words are zero") \
    X(EC2,      "ec2",      "Amazon EC2; the CPUID page is last") \
    X(EC2_OLD,  "ec2-old",  "the same with RDX zero, as virtee's calculator has it") \
    X(GCE,      "gce",      "Google Compute Engine; SEC memory is unmeasured") \
    X(KRUN,     "krun",     "libkrun") \
    X(KRUN_OLD, "krun-old", "the same without its registers, as virtee's SNP calculator has it")
// clang-format on

#define MEASURE_ENUM_VMM(id, name, help) MEASURE_VMM_##id,
enum measure_vmm { MEASURE_VMMS(MEASURE_ENUM_VMM) MEASURE_VMM_COUNT };
#undef MEASURE_ENUM_VMM

/* By the names above; false: there is none. */
bool measure_vmm_by_name(const char *name, enum measure_vmm *out);
const char *measure_vmm_name(enum measure_vmm vmm);

/* CPUID Fn0000_0001 EAX of QEMU's CPU models ("EPYC-Milan", "EPYC-Rome-v2"). */
bool measure_signature_by_name(const char *name, u32 *out);
/* The n-th name; NULL after the last. */
const char *measure_signature_name(size_t n);
u32 measure_signature(u32 family, u32 model, u32 stepping);

struct measure_description {
    enum measure_mode mode;
    struct image_file firmware;
    bool kernel_hashes; /* of the next three */
    struct image_file kernel, initrd;
    const char *command_line; /* NULL: empty */
    /* SNP: the digest after the image's own pages, if that is known; the image is then not hashed,
     * only its tables are read. NULL: hash it. */
    const u8 *image_digest;
    bool image_only; /* SNP: stop after the image's own pages */
    /* Not for MEASURE_SEV: */
    u32 vcpus;
    u32 signature; /* CPUID Fn0000_0001 EAX, where the hypervisor puts it into RDX */
    enum measure_vmm vmm;
    u64 features; /* SEV_FEATURES: bit 0 in every SNP guest, mostly none in SEV-ES */
};

#define MEASURE_VCPUS_MAX 4096u

/* One contribution: a range in SEV and SEV-ES, a page in SNP. */
struct measure_record {
    const char *name; /* what it is: "flash", "SEC memory", "VMSA", ... */
    const char *type; /* how it is launched: "DATA", "NORMAL", "ZERO", ... */
    u64 gpa, size;    /* a VMSA of SEV-ES has no address of its own: 0 */
    size_t digest_size;
    u8 contents[MEASURE_DIGEST_MAX]; /* digest of the bytes; zero if they are not measured */
    u8 digest[MEASURE_DIGEST_MAX];   /* of the launch so far */
};

/* SNP: a page as it is launched. A VMSA has address SNP_VMSA_GPA. */
struct measure_page {
    const char *name; /* as in the record */
    u32 type;         /* enum snp_page_type */
    u64 gpa;
    const void *data; /* PAGE_SIZE bytes, good until the function returns; NULL: none, or zeros */
};

struct measure_sink {
    void (*record)(void *context, const struct measure_record *record); /* NULL: nobody looks */
    void *context;
    bool (*page)(void *context, const struct measure_page *page); /* NULL; false ends the walk */
};

/* -1 and an error: the image has not the tables that are needed, or they are wrong. */
int measure_launch(const struct measure_description *d, const struct measure_sink *sink,
                   u8 digest[MEASURE_DIGEST_MAX], struct error *error);

/* The same launch as a plan: every page in the order of the digest, then the VMSAs; SNP only. The
 * description's files must stay until image_free(). NULL and an error: as measure_launch(), more
 * than IMAGE_VMSAS_MAX processors, or `memory_size` (bytes of guest RAM, a multiple of 2 MiB) is
 * too small for the image's sections. */
struct image_plan *measure_to_plan(const struct measure_description *d, u64 memory_size,
                                   struct error *error);

/* An SNP plan, a record a piece: `contents` is then SHA-384 of its data, zero if that is not
 * measured. */
void measure_snp_plan(const struct image_plan *plan, const struct measure_sink *sink,
                      u8 digest[MEASURE_DIGEST_MAX]);

/* The registers of a processor that begins at `eip` in real mode: FFFFFFF0h, or where the image's
 * reset block sends the others. */
void measure_vmsa(enum measure_vmm vmm, u32 eip, u32 signature, u64 features, struct vmsa *out);

#endif
