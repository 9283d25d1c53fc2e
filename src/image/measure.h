/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch digests of flash images as public hypervisors launch them: the image, its metadata
 * sections or its table of kernel hashes, and a VMSA for each virtual processor [sev 7.5, 10-12;
 * snp 5.3, 5.7]. The caller can watch each contribution. Pure: no I/O; the files are hostile.
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

/* The launching hypervisor: they differ in the registers of a new processor and in the order of
 * sections. */
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

/* Finds a hypervisor by the names above. Returns false if there is none with that name. */
bool measure_vmm_by_name(const char *name, enum measure_vmm *out);
const char *measure_vmm_name(enum measure_vmm vmm);

/* Finds CPUID Fn0000_0001 EAX of a QEMU CPU model ("EPYC-Milan", "EPYC-Rome-v2"). */
bool measure_signature_by_name(const char *name, u32 *out);
/* Returns the n-th name, or NULL after the last. */
const char *measure_signature_name(size_t n);

struct measure_description {
    enum measure_mode mode;
    struct image_file firmware;
    bool kernel_hashes; /* hashes of the next three fields */
    struct image_file kernel, initrd;
    const char *command_line; /* NULL: empty */
    /* SNP: the digest after the image's own pages, if the caller knows it; the image is then not
     * hashed, only its tables are read. NULL: hash the image. */
    const u8 *image_digest;
    bool image_only; /* SNP: stop after the image's own pages */
    /* The fields from here on do not apply to MEASURE_SEV. */
    u32 vcpus;
    u32 signature; /* CPUID Fn0000_0001 EAX, if the hypervisor puts it into RDX */
    enum measure_vmm vmm;
    u64 features; /* SEV_FEATURES: bit 0 is set in every SNP guest, rarely in SEV-ES */
};

#define MEASURE_VCPUS_MAX 4096u

/* One contribution: a range in SEV and SEV-ES, a page in SNP. */
struct measure_record {
    const char *name; /* a name such as "flash", "SEC memory", "VMSA" */
    const char *type; /* the launch type: "DATA", "NORMAL", "ZERO", ... */
    u64 gpa, size;    /* 0: a SEV-ES VMSA has no address of its own */
    size_t digest_size;
    u8 contents[MEASURE_DIGEST_MAX]; /* digest of the bytes; zero if they are not measured */
    u8 digest[MEASURE_DIGEST_MAX];   /* launch digest so far */
};

/* SNP: a page as it is launched. A VMSA has the address SNP_VMSA_GPA. */
struct measure_page {
    const char *name; /* as in the record */
    u32 type;         /* enum snp_page_type */
    u64 gpa;
    const void *data; /* PAGE_SIZE bytes, valid until the function returns; NULL: none, or zeros */
};

struct measure_sink {
    void (*record)(void *context, const struct measure_record *record); /* may be NULL */
    void *context;
    bool (*page)(void *context, const struct measure_page *page); /* may be NULL; false: stop */
};

/* Returns -1 and an error if the image lacks tables that are needed, or they are malformed. */
int measure_launch(const struct measure_description *d, const struct measure_sink *sink,
                   u8 digest[MEASURE_DIGEST_MAX], struct error *error);

/* Returns the same launch as a plan: every page in the order of the digest, then the VMSAs; SNP
 * only. The description's files must stay until image_free(). Returns NULL and an error for the
 * causes of measure_launch(), for more than IMAGE_VMSAS_MAX processors, or if `memory_size` (bytes
 * of guest RAM, a multiple of 2 MiB) is too small for the image's sections. */
struct image_plan *measure_to_plan(const struct measure_description *d, u64 memory_size,
                                   struct error *error);

/* Measures an SNP plan with one record per piece. `contents` is then the SHA-384 of the piece's
 * data, or zero if the data is not measured. */
void measure_snp_plan(const struct image_plan *plan, const struct measure_sink *sink,
                      u8 digest[MEASURE_DIGEST_MAX]);

/* Fills in the registers of a processor that starts at `eip` in real mode. `eip` is FFFFFFF0h for
 * the first processor; for the others it is in the image's reset block. */
void measure_vmsa(enum measure_vmm vmm, u32 eip, u32 signature, u64 features, struct vmsa *out);

#endif
