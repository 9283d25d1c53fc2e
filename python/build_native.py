# SPDX-License-Identifier: Apache-2.0
"""Makes the module softsev._native: the part of the installed headers that the package uses.

The compiler fills in every layout and number from the headers ("..."), so this file cannot disagree
with them. SOFTSEV_STATIC=1 puts the library into the module; otherwise it is loaded.
"""
import os
import shlex
import subprocess

from cffi import FFI

HEADERS = ("abi/report.h", "abi/snp.h", "base/error.h", "base/trace.h", "crypto/crypto.h",
           "guest/guest.h", "hypervisor/vm.h", "image/image.h", "image/measure.h",
           "machine/guest.h", "machine/machine.h", "owner/report.h", "version.h")

DECLARATIONS = """
#define SOFTSEV_VERSION_MAJOR ...
#define SOFTSEV_VERSION_MINOR ...
#define SOFTSEV_VERSION_PATCH ...
#define SOFTSEV_SNP_VMPL_OF_HOST ...
#define SOFTSEV_IMAGE_PIECES_MAX ...

struct softsev_error { int code; char text[500]; ...; };
struct softsev_crypto;
struct softsev_crypto *softsev_crypto_create(const void *seed, size_t size);
void softsev_crypto_destroy(struct softsev_crypto *);
void softsev_crypto_random(struct softsev_crypto *, void *out, size_t size);

/* --- Reports --- */
enum softsev_snp_tcb_layout { SOFTSEV_SNP_TCB_MILAN, SOFTSEV_SNP_TCB_TURIN, ... };
struct softsev_snp_tcb { uint8_t fmc, boot_loader, tee, snp, microcode; ...; };
enum softsev_snp_tcb_layout softsev_snp_tcb_layout_of_part(uint8_t family, uint8_t model);
struct softsev_snp_tcb softsev_snp_tcb_unpack(enum softsev_snp_tcb_layout, uint64_t tcb);
struct softsev_snp_report {
    uint32_t version, guest_svn;
    uint64_t policy;
    uint8_t family_id[16], image_id[16];
    uint32_t vmpl;
    uint64_t current_tcb, platform_info;
    uint32_t key_info;
    uint8_t report_data[64], measurement[48], host_data[32], id_key_digest[48];
    uint8_t author_key_digest[48], report_id[32], report_id_ma[32];
    uint64_t reported_tcb;
    uint8_t cpuid_family, cpuid_model, cpuid_stepping;
    uint8_t chip_id[64];
    uint64_t committed_tcb;
    uint8_t current_build, current_minor, current_major;
    uint64_t launch_tcb, launch_mit_vector, current_mit_vector;
    ...;
};
struct softsev_crypto_certificates { size_t count; ...; };
struct softsev_crypto_crls { size_t count; ...; };
int softsev_crypto_x509_read(const void *data, size_t size, struct softsev_crypto_certificates *,
                             struct softsev_crypto_crls *, struct softsev_error *);
struct softsev_report_certificates {
    struct softsev_crypto_certificates given, roots;
    struct softsev_crypto_crls lists;
    ...;
};
void softsev_report_certificates_free(struct softsev_report_certificates *);
struct softsev_report_policy {
    const int64_t *time;
    const uint8_t *measurement, *report_data, *host_data, *chip_id;
    const uint8_t *id_key_digest, *author_key_digest;
    const uint64_t *guest_policy;
    const struct softsev_snp_tcb *minimum_tcb;
    uint32_t minimum_tcb_numbers;
    uint8_t minimum_api_major, minimum_api_minor;
    uint32_t minimum_svn, maximum_vmpl;
    bool allow_debug, allow_migration, refuse_smt, accept_unknown_version, accept_masked_chip_id;
    ...;
};
enum softsev_report_check { SOFTSEV_REPORT_OK, ... };
const char *softsev_report_check_name(enum softsev_report_check);
enum softsev_report_check softsev_owner_verify_report(const void *, size_t,
    const struct softsev_report_certificates *, const struct softsev_report_policy *,
    struct softsev_error *);

/* --- Digests --- */
struct softsev_image_file { const char *name; const void *data; size_t size; ...; };
enum softsev_image_mode { SOFTSEV_IMAGE_SEV, SOFTSEV_IMAGE_SEV_ES, SOFTSEV_IMAGE_SEV_SNP, ... };
struct softsev_image_description {
    uint64_t memory_size;
    uint32_t cpus;
    enum softsev_image_mode mode;
    bool secret;
    struct softsev_image_file kernel, initrd, firmware;
    const char *command_line;
    bool kernel_hashes;
    uint64_t sev_features;
    ...;
};
struct softsev_vmsa { uint64_t sev_features; ...; };
struct softsev_image_piece {
    const char *name;
    uint64_t gpa, size;
    const uint8_t *data;
    uint64_t data_size;
    uint32_t page_type;
    ...;
};
struct softsev_image_plan {
    uint64_t memory_size;
    enum softsev_image_mode mode;
    struct softsev_image_piece pieces[...];
    uint32_t piece_count;
    const struct softsev_vmsa *vmsas[...];
    uint32_t vmsa_count;
    ...;
};
struct softsev_image_plan *softsev_image_build(const struct softsev_image_description *,
                                               struct softsev_error *);
void softsev_image_free(struct softsev_image_plan *);
int softsev_image_digest(const struct softsev_image_plan *, uint8_t digest[32],
                         struct softsev_error *);
void softsev_image_snp_digest(const struct softsev_image_plan *, uint8_t digest[48]);
enum softsev_measure_mode { SOFTSEV_MEASURE_SEV, SOFTSEV_MEASURE_SEV_ES, SOFTSEV_MEASURE_SNP };
enum softsev_measure_vmm { SOFTSEV_MEASURE_VMM_COUNT, ... };
bool softsev_measure_vmm_by_name(const char *, enum softsev_measure_vmm *);
bool softsev_measure_signature_by_name(const char *, uint32_t *);
struct softsev_measure_description {
    enum softsev_measure_mode mode;
    struct softsev_image_file firmware, kernel, initrd;
    bool kernel_hashes;
    const char *command_line;
    uint32_t vcpus, signature;
    enum softsev_measure_vmm vmm;
    uint64_t features;
    ...;
};
int softsev_measure_launch(const struct softsev_measure_description *, const void *sink,
                           uint8_t digest[48], struct softsev_error *);

/* --- The machine --- */
struct softsev_machine;
struct softsev_host;
struct softsev_trace { ...; };
struct softsev_firmware_profile { const char *name; ...; };
const struct softsev_firmware_profile *softsev_firmware_profile_find(const char *);
struct softsev_machine_config {
    uint64_t memory_size;
    uint32_t cores, trace_categories;
    struct softsev_crypto *crypto;
    const struct softsev_firmware_profile *profile;
    uint8_t fuses[32];
    ...;
};
struct softsev_machine *softsev_machine_create(const struct softsev_machine_config *,
                                               struct softsev_error *);
void softsev_machine_destroy(struct softsev_machine *);
struct softsev_host *softsev_machine_host(struct softsev_machine *);
struct softsev_trace *softsev_machine_trace(struct softsev_machine *);
bool softsev_trace_parse_categories(const char *, uint32_t *);
enum softsev_trace_category { SOFTSEV_TRACE_CATEGORIES, ... };
extern const char *const softsev_trace_category_names[];
struct softsev_trace_event {
    enum softsev_trace_category category;
    uint64_t time_ns;
    const char *name, *text;
    ...;
};
struct softsev_trace_sink {
    void (*event)(void *context, const struct softsev_trace_event *);
    void *context;
    ...;
};
void softsev_trace_add_sink(struct softsev_trace *, struct softsev_trace_sink *);
extern "Python" void softsev_python_event(void *, const struct softsev_trace_event *);

struct softsev_hypervisor;
struct softsev_vm;
struct softsev_vm_config {
    const char *name;
    const struct softsev_image_plan *plan;
    uint64_t snp_policy;
    ...;
};
struct softsev_hypervisor *softsev_hypervisor_create(struct softsev_host *,
                                                     struct softsev_error *);
void softsev_hypervisor_destroy(struct softsev_hypervisor *);
int softsev_platform_init_snp(struct softsev_hypervisor *, struct softsev_error *);
struct softsev_vm *softsev_vm_create(struct softsev_hypervisor *, const struct softsev_vm_config *,
                                     struct softsev_error *);
void softsev_vm_destroy(struct softsev_vm *);
int softsev_vm_snp_launch_start(struct softsev_vm *, struct softsev_error *);
int softsev_vm_snp_launch_update(struct softsev_vm *, struct softsev_error *);
int softsev_vm_snp_launch_finish(struct softsev_vm *, const void *, const void *, bool,
                                 const uint8_t *host_data, struct softsev_error *);
bool softsev_vm_host_view(struct softsev_vm *, uint64_t gpa, void *out, size_t size);
uint32_t softsev_vm_guest_request(struct softsev_vm *, const uint8_t *, uint8_t *);
uint64_t softsev_vm_secrets_page(const struct softsev_vm *);
uint64_t softsev_vm_nested_tables(const struct softsev_vm *);
uint32_t softsev_vm_asid(const struct softsev_vm *);

/* --- Software in the guest --- */
enum softsev_guest_sharing { SOFTSEV_GUEST_PRIVATE, SOFTSEV_GUEST_SHARED };
struct softsev_guest_memory {
    struct softsev_host *host;
    uint64_t nested_cr3;
    uint32_t asid;
    bool snp;
    uint8_t vmpl;
    ...;
};
bool softsev_guest_read(const struct softsev_guest_memory *, uint64_t gpa,
                        enum softsev_guest_sharing, void *, size_t);
bool softsev_guest_write(const struct softsev_guest_memory *, uint64_t gpa,
                         enum softsev_guest_sharing, const void *, size_t);
struct softsev_snp_secrets_page { ...; };
struct softsev_guest_channel { ...; };
bool softsev_guest_channel_open(const struct softsev_snp_secrets_page *, uint32_t,
                                struct softsev_guest_channel *);
struct softsev_guest_carrier { uint64_t (*carry)(void *, const uint8_t *, uint8_t *);
                               void *context; ...; };
extern "Python" uint64_t softsev_python_carry(void *, const uint8_t *, uint8_t *);
struct softsev_snp_report_req { uint8_t report_data[64]; uint32_t vmpl; ...; };
struct softsev_snp_report_rsp { uint32_t status; struct softsev_snp_report report; ...; };
enum softsev_guest_result { SOFTSEV_GUEST_OK, ... };
const char *softsev_guest_result_text(enum softsev_guest_result);
enum softsev_guest_result softsev_guest_report(struct softsev_guest_channel *,
    const struct softsev_guest_carrier *, const struct softsev_snp_report_req *,
    struct softsev_snp_report_rsp *, uint64_t *);
"""


def flags():
    static = os.environ.get("SOFTSEV_STATIC") == "1"
    words = shlex.split(subprocess.run(["pkg-config", "--cflags", "--libs",
                                        *(["--static"] if static else []), "softsev"], check=True,
                                       text=True, capture_output=True).stdout)
    if static:
        words = ["-l:libsoftsev.a" if word == "-lsoftsev" else word for word in words]
    return {"extra_compile_args": [w for w in words if w.startswith(("-I", "-D"))],
            "extra_link_args": [w for w in words if not w.startswith(("-I", "-D"))]}


ffi = FFI()
ffi.cdef(DECLARATIONS)
ffi.set_source("softsev._native", "".join(f"#include <softsev/{name}>\n" for name in HEADERS),
               **flags())
