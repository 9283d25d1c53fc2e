/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `softsev owner` share: the options, and the files that go over the wire. */
#ifndef SOFTSEV_CLI_OWNER_H
#define SOFTSEV_CLI_OWNER_H

#include "base/error.h"
#include "crypto/crypto.h"
#include "image/measure.h"
#include "owner/hint.h"
#include "owner/id_block.h"
#include "owner/owner.h"
#include "owner/report.h"

#include <stdio.h>

// clang-format off
#define OWNER_OPTIONS(X) \
    X(CHAIN,       "chain",         true,  "FILE    PDH, PEK, OCA, CEK: what the platform says of itself") \
    X(ROOT,        "root",          true,  "FILE    ASK, ARK (a report's: X.509): whom the owner trusts") \
    X(REPORT,      "report",        true,  "FILE    an attestation report: SNP's, or legacy with --chain") \
    X(CERTS,       "certs",         true,  "PATHS   its certificates (VCEK or VLEK, ASK)") \
    X(CRL,         "crl",           true,  "PATHS   revocation lists; none: with --kds, without") \
    X(KDS,         "kds",           true,  "URL     key server that has VCEK, chain and list") \
    X(PRODUCT,     "product",       true,  "NAME    Milan, ...: where the report does not say it") \
    X(KDS_WAIT,    "kds-wait",      true,  "SECONDS at most, if it says 429 (60)") \
    X(REPORT_DATA, "report-data",   true,  "HEX     what the guest put into the report") \
    X(HOST_DATA,   "host-data",     true,  "HEX     what the host put into it at launch") \
    X(CHIP_ID,     "chip-id",       true,  "HEX     the chip it must be from") \
    X(MIN_TCB,     "min-tcb",       true,  "NUMBERS lowest TCB, such as 3.0.8.115 (bl.tee.snp.ucode)") \
    X(MIN_SVN,     "min-svn",       true,  "NUMBER  lowest GUEST_SVN") \
    X(VMPL,        "vmpl",          true,  "NUMBER  highest VMPL that may have asked for it (0)") \
    X(SVN,         "svn",           true,  "NUMBER  GUEST_SVN (0)") \
    X(FAMILY_ID,   "family-id",     true,  "HEX     16 bytes of the owner's own (0)") \
    X(IMAGE_ID,    "image-id",      true,  "HEX     the same (0)") \
    X(ID_KEY_FILE, "id-key-file",   true,  "FILE    private key on P-384 that signs the block, PEM") \
    X(AUTHOR_FILE, "author-key-file", true, "FILE    the one that signs the ID key") \
    X(NEW_ID_KEY,  "new-id-key",    false, "        make one: DIR/id-key.pem") \
    X(NEW_AUTHOR,  "new-author-key", false, "        make one: DIR/author-key.pem") \
    X(ID_BLOCK,    "id-block",      true,  "FILE    the ID block it must have been launched with") \
    X(ID_AUTH,     "id-auth",       true,  "FILE    with its authentication page") \
    X(ID_KEY,      "id-key",        true,  "HEX     digest of the ID key") \
    X(AUTHOR_KEY,  "author-key",    true,  "HEX     digest of the author key") \
    X(ALLOW_DEBUG, "allow-debug",   false, "        accept a guest that its host may debug") \
    X(ALLOW_MA,    "allow-migration", false, "        accept one with a migration agent") \
    X(TIME,        "time",          true,  "SECONDS Unix time for the certificates (now; 0: any)") \
    X(STATE,       "state",         true,  "FILE    the owner's state between the steps; secret") \
    X(POLICY,      "policy",        true,  "NUMBER  guest policy (SEV: 1; SNP: 0x30000)") \
    X(OUT_DIR,     "out-dir",       true,  "DIR     folder for what is written") \
    X(SEED,        "seed",          true,  "TEXT    all randomness from it; for tests") \
    X(TK,          "tk",            true,  "FILE    instead of --state: TEK, TIK; with --policy") \
    X(API,         "api",           true,  "A.B     API version of the platform's firmware") \
    X(BUILD,       "build",         true,  "NUMBER  its build") \
    X(PLATFORM,    "platform",      true,  "FILE    instead of both: platform.json of softsev run") \
    X(MEASUREMENT, "measurement",   true,  "BASE64  what was measured: MEASURE and MNONCE, 48 bytes") \
    X(NONCE,       "nonce",         true,  "BASE64  its MNONCE; measure prints what is expected") \
    X(DIGEST,      "digest",        true,  "HEX     SHA-256 of all that was launched (SNP: its digest)") \
    X(LAUNCH,      "launch",        true,  "FILE    instead: the launched bytes in order") \
    X(KERNEL,      "kernel",        true,  "FILE    instead: the kernel of softsev run") \
    X(INITRD,      "initrd",        true,  "FILE    its initramfs") \
    X(APPEND,      "append",        true,  "TEXT    its command line") \
    X(MEMORY,      "memory",        true,  "SIZE    its memory, MiB or with K, M, G (512)") \
    X(HOLE,        "owner-secret",  false, "        launched with --owner-secret: room for it") \
    X(FIRMWARE,    "firmware",      true,  "FILE    a flash image, such as OVMF's") \
    X(HASHES,      "kernel-hashes", false, "        with --firmware: hash the three above") \
    X(MODE,        "mode",          true,  "MODE    sev, sev-es or snp (sev)") \
    X(VCPUS,       "vcpus",         true,  "NUMBER  virtual processors (1)") \
    X(VCPU_TYPE,   "vcpu-type",     true,  "NAME    QEMU's CPU model, or CPUID 1 EAX as number") \
    X(VMM_TYPE,    "vmm-type",      true,  "NAME    qemu, qemu-old, ec2, ec2-old, gce, krun, krun-old") \
    X(FEATURES,    "guest-features", true, "NUMBER  SEV_FEATURES (snp: 1, sev-es: 0)") \
    X(IMAGE_HASH,  "ovmf-hash",     true,  "HEX     snp: digest after the flash image's pages") \
    X(IMAGE_ONLY,  "ovmf-only",     false, "        snp: stop there and print that digest") \
    X(DIFF,        "diff",          true,  "FILE    what explain has printed for another launch") \
    X(DUMP,        "dump",          true,  "FILE    write the launched bytes in order") \
    X(SECRET,      "secret",        true,  "FILE    the secret") \
    X(EVIDENCE,    "evidence",      true,  "FILE    what the agent in the guest has sent") \
    X(FORM,        "form",          true,  "FORM    archive (for softsev run: /secret/secret) or raw") \
    X(GUID,        "guid",          true,  "GUID    instead: an entry in OVMF's table of secrets") \
    X(JSON,        "json",          false, "        the result as one line of JSON")
// clang-format on

#define OWNER_ENUM(id, name, has_value, help) OWNER_##id,
enum owner_option { OWNER_OPTIONS(OWNER_ENUM) OWNER_OPTION_COUNT };
#undef OWNER_ENUM

#define OWNER_BIT(option) BIT(option)
_Static_assert(OWNER_OPTION_COUNT <= 64, "options are bits of a word");
#define OWNER_B(option) OWNER_BIT(OWNER_##option)
/* What says which guest was launched. */
#define OWNER_GUEST                                                                                \
    (OWNER_B(KERNEL) | OWNER_B(INITRD) | OWNER_B(APPEND) | OWNER_B(MEMORY) | OWNER_B(HOLE) |       \
     OWNER_B(FIRMWARE) | OWNER_B(HASHES) | OWNER_B(MODE) | OWNER_B(VCPUS) | OWNER_B(VCPU_TYPE) |   \
     OWNER_B(VMM_TYPE) | OWNER_B(FEATURES) | OWNER_B(IMAGE_HASH) | OWNER_B(IMAGE_ONLY))

struct owner_action {
    const char *name;
    int (*run)(const char *const *options, struct error *e);
    u64 needs, allows; /* options, as bits */
    u64 elsewhere;     /* of those allowed: the help of explain lists them */
    u64 demands;       /* `--help policy` lists them */
    const char *help;
};

/* --- owner_options.c ------------------------------------------------------------------------------ */

/* Values by enum owner_option; a flag that is set has the value "". */
int owner_parse(const struct owner_action *action, int argc, char **argv,
                const char *options[OWNER_OPTION_COUNT], struct error *e);
/* An error that names the first option of `which` that was given, and says `why`: none is silently without effect. */
int owner_refuse(const char *const *options, u64 which, const char *why, struct error *e);
void owner_print_options(FILE *out, u64 which);
int owner_number(const char *option, const char *text, u64 max, u64 *out, struct error *e);
/* Exactly `size` bytes as hexadecimal digits; without a text, nothing. */
int owner_hex(const char *option, const char *text, void *out, size_t size, struct error *e);

/* --- owner_files.c: what is read and written ------------------------------------------------------- */

/* Exactly `size` bytes of base64 text; white space at the end is allowed. */
int owner_decode_base64(const char *what, const char *text, void *out, size_t size,
                        struct error *e);
/* 1 to `room` bytes, how many the text says. */
int owner_decode_base64_some(const char *what, const char *text, void *out, size_t room,
                             size_t *size, struct error *e);
/* out: owner_base64_size(size) bytes, with its NUL. */
void owner_encode_base64(char *out, const void *data, size_t size);
static inline size_t owner_base64_size(size_t size)
{
    return (size + 2) / 3 * 4 + 1;
}

int owner_read_chain(const char *path, struct sev_platform_chain *out, struct error *e);
int owner_read_root(const char *path, struct amd_chain *out, struct error *e);
int owner_read_state(const char *path, struct owner *out, struct error *e);
int owner_write_state(const char *path, const struct owner *o, struct error *e);
int owner_read_tk(const char *path, struct session_keys *out, struct error *e);

/* A file of that name in the folder, which is made if it is missing; readable by its owner alone if `secret`. */
int owner_write(const char *folder, const char *name, const void *data, size_t size, bool secret,
                struct error *e);
int owner_write_base64(const char *folder, const char *name, const void *data, size_t size,
                       struct error *e);

/* --- owner_image.c: what should have been launched -------------------------------------------------- */

struct owner_contributions {
    enum measure_mode mode;
    struct measure_record *records;
    size_t count, room;
    bool failed; /* out of memory on the way */
    u8 digest[MEASURE_DIGEST_MAX];
};

/* From the files of a guest, and with --dump their bytes. The caller frees. */
int owner_measure_files(const char *const *options, struct owner_contributions *out,
                        struct error *e);
void owner_free_contributions(struct owner_contributions *c);
/* What other launch of these files has the digest that is_it() knows; one line for a person. */
typedef bool owner_is_it(void *context, const u8 digest[MEASURE_DIGEST_MAX]);
int owner_hint(const char *const *options, owner_is_it *is_it, void *context,
               char text[HINT_TEXT_MAX], struct error *e);
/* By --digest, --launch, or the files of a guest. SNP has no place for it. */
int owner_launch_digest(const char *const *options, u8 digest[32], struct error *e);

/* --- owner_explain.c --------------------------------------------------------------------------------- */

/* The digest of the guest's files alone. */
int owner_print_digest(const char *const *options, struct error *e);
/* Every contribution with the running digest; with --diff what is different from another launch. */
int owner_explain(const char *const *options, struct error *e);

/* --- owner_pile.c, owner_kds.c: certificates and revocation lists --------------------------------- */

#define OWNER_CERTIFICATES_MAX 32u

struct owner_pile {
    struct crypto_certificate *list[OWNER_CERTIFICATES_MAX];
    struct crypto_crl *crls[OWNER_CERTIFICATES_MAX];
    size_t count, crl_count;
};

/* Certificates in files and folders with commas between; a NULL text adds none. */
int owner_add_files(struct owner_pile *p, const char *option, const char *paths, struct error *e);
int owner_add_crls(struct owner_pile *p, const char *paths, struct error *e);
/* Returns how many certificates there were. */
size_t owner_add_bytes(struct owner_pile *p, const void *data, size_t size);
void owner_free_pile(struct owner_pile *p);

/* From --kds: the VCEK (of a VLEK, only its chain), the chain, and unless --crl says otherwise the list. */
int owner_fetch(const char *const *options, const struct snp_report *r, struct owner_pile *p,
                struct error *e);

/* --- owner_id_block.c ------------------------------------------------------------------------------- */

/* id-block: signs what may be launched. */
int owner_make_id_block(const char *const *options, struct error *e);
/* verify --report --id-block --id-auth; both raw or base64. */
int owner_read_id_block(const char *const *options, struct snp_id_block *block,
                        struct snp_id_auth *auth, struct error *e);

/* --- owner_compare.c -------------------------------------------------------------------------------- */

/* explain --report: what a report says and what was expected, field by field, and why the measurement differs. */
int owner_compare_report(const char *const *options, struct error *e);

/* --- owner_report.c, owner_legacy.c --------------------------------------------------------------------------------- */

struct owner_wishes {
    struct report_policy policy; /* points into what follows */
    struct snp_tcb tcb;
    struct snp_id_block id_block;
    struct snp_id_auth id_auth;
    u8 measurement[48], report_data[64], host_data[32], chip_id[64], id_key[48], author_key[48];
};

/* What the options demand of an SNP report. */
int owner_parse_wishes(const char *const *options, struct owner_wishes *w, struct error *e);
/* Certificates and lists of the options and, with --kds, what its server has for this report; NULL: it is none. */
int owner_collect(const char *const *options, const struct snp_report *r, struct owner_pile *given,
                  struct owner_pile *roots, struct error *e);
struct report_certificates owner_certificates(const struct owner_pile *given,
                                              const struct owner_pile *roots);
/* The verdict on a good one. */
void owner_print_report(const char *const *options, const struct snp_report *r);
/* An owner_is_it of reports: a struct snp_report has that measurement. */
bool owner_is_reported(void *report, const u8 digest[MEASURE_DIGEST_MAX]);

/* A report that was refused: the verdict for --json, and the error, which names the check once. `is_it`, unless NULL,
 * knows which launch of the owner's files would have had that report. */
int owner_refuse_report(const char *const *options, const char *check, const char *why,
                        owner_is_it *is_it, void *report, struct error *e);

/* The same of an SNP report. */
int owner_refuse_snp_report(const char *const *options, enum report_check check, const char *why,
                            struct snp_report *r, struct error *e);

struct run_file;

/* verify --report: names the check that failed. */
int owner_check_report(const char *const *options, const struct run_file *report, struct error *e);
/* verify --chain --report: the same of a legacy report. */
int owner_check_legacy_report(const char *const *options, const struct run_file *report,
                              struct error *e);

/* 1184 or 208 bytes, raw or as hexadecimal digits. Any other size is left to be refused by its name. */
int owner_read_report(const char *path, struct run_file *f, struct error *e);

/* --- owner_answer.c: the owner of an SNP guest elsewhere ------------------------------------------- */

int owner_hello(const char *const *options, struct error *e);
int owner_answer(const char *const *options, struct error *e);

#endif
