/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of `softsev owner` share: its options, and the files that the
 * parties exchange. */
#ifndef SOFTSEV_CLI_OWNER_H
#define SOFTSEV_CLI_OWNER_H

#include "base/error.h"
#include "cli/owner/forms.h"
#include "cli/owner/owner_table.h"
#include "crypto/crypto.h"
#include "files/files.h"
#include "image/image.h"
#include "image/measure.h"
#include "owner/hint.h"
#include "owner/id_block.h"
#include "owner/owner.h"
#include "owner/report.h"

#include <stdio.h>

struct cli_file;

/* --- owner_files.c: what is read and written -------------------------------------------------- */

int owner_read_state(const char *path, struct owner *out, struct error *e);
int owner_write_state(const char *path, const struct owner *o, struct error *e);
int owner_read_tk(const char *path, struct session_keys *out, struct error *e);

/* Adds a file with the data as base64 to a set. */
void owner_add_base64(struct file_set *set, const char *name, const void *data, size_t size);
/* Adds a secret that cannot be made again. It replaces no other unless --replace is given. */
void owner_add_secret(const struct options *options, struct file_set *set, const char *name,
                      const void *data, size_t size);
/* Writes the set into the folder, which is made if it is missing, as a whole or not at all. Frees
 * the set. */
int owner_write_set(const char *folder, struct file_set *set, struct error *e);
/* Writes the files into --out-dir, unless one of them is an input. */
int owner_write_out(const struct options *options, struct file_set *set, struct error *e);
/* Writes one file with the data as base64. */
int owner_write_base64(const char *folder, const char *name, const void *data, size_t size,
                       struct error *e);

/* Returns the value of --mode, or IMAGE_NONE if it is not given: then any mode is possible. */
enum image_mode owner_mode(const struct options *options);
/* Reads --policy of a guest without SNP, which has 32 bits. Leaves `*out` alone if it is not
 * given. */
int owner_sev_policy(const struct options *options, u32 *out, struct error *e);
/* Parses exactly `size` bytes of hexadecimal digits. Does nothing without a text. */
int owner_hex(const char *option, const char *text, void *out, size_t size, struct error *e);

/* --- owner_image.c: what should have been launched -------------------------------------------- */

struct owner_contributions {
    enum measure_mode mode;
    struct measure_record *records;
    size_t count, room;
    bool failed; /* out of memory on the way */
    u8 digest[MEASURE_DIGEST_MAX];
};

/* Measures the files of a guest, and writes their bytes with --dump. The caller frees `out`. */
int owner_measure_files(const struct options *options, struct owner_contributions *out,
                        struct error *e);
void owner_free_contributions(struct owner_contributions *c);
/* Searches for another launch of these files whose digest matches() accepts, and describes it in
 * one line. */
typedef bool owner_matches(void *context, const u8 digest[MEASURE_DIGEST_MAX]);
int owner_hint(const struct options *options, owner_matches *matches, void *context,
               char text[HINT_TEXT_MAX], struct error *e);
/* Computes the launch digest from --digest, --launch or the files of a guest; not for SNP. */
int owner_launch_digest(const struct options *options, u8 digest[32], struct error *e);

/* --- owner_explain.c -------------------------------------------------------------------------- */

/* Prints the digest of the guest's files alone. */
int owner_print_digest(const struct options *options, struct error *e);
/* Prints every contribution with the running digest; with --diff the differences from another
 * launch. */
int owner_explain(const struct options *options, struct error *e);

/* --- show.c ----------------------------------------------------------------------------------- */

#define OWNER_VALUE_MAX 300u /* characters of a report's field, as text */

/* Prints every field of a report. Nothing is verified. */
int owner_show(const struct options *options, struct error *e);
/* Writes a policy as text: "0x30000 (ABI 0.0, SMT)". */
void owner_policy_text(u64 policy, char out[OWNER_VALUE_MAX]);

/* --- certificates.c, owner_kds.c: certificates and revocation lists --------------------------- */

/* Reads certificates and revocation lists from files and folders, separated by commas. A NULL text
 * adds none. */
int owner_add_certificates(struct crypto_certificates *to, struct crypto_crls *lists,
                           const char *option, const char *paths, struct error *e);
/* Reads the lists of --crl, and no certificates. */
int owner_add_crls(struct crypto_crls *to, const char *paths, struct error *e);

/* Fetches from --kds: the VCEK (for a VLEK only its chain), the chain, and the list unless --crl
 * forbids it. */
int owner_fetch(const struct options *options, const struct snp_report *r,
                struct report_certificates *to, struct error *e);

/* --- owner_id_block.c ------------------------------------------------------------------------- */

/* id-block: signs what may be launched. */
int owner_make_id_block(const struct options *options, struct error *e);
/* verify --report --id-block --id-auth; both raw or base64. */
int owner_read_id_block(const struct options *options, struct snp_id_block *block,
                        struct snp_id_auth *auth, struct error *e);

/* --- owner_compare.c -------------------------------------------------------------------------- */

/* explain --report: what a report says and what was expected, field by field, and why the
 * measurement differs. */
int owner_compare_report(const struct options *options, struct error *e);

/* --- owner_report.c, owner_legacy.c ----------------------------------------------------------- */

struct owner_demands {
    struct report_policy policy; /* points into what follows */
    s64 time;
    u64 guest_policy;
    struct snp_tcb tcb;
    struct snp_id_block id_block;
    struct snp_id_auth id_auth;
    u8 measurement[48], report_data[64], host_data[32], chip_id[64], id_key[48], author_key[48];
};

/* Reads the options that say what an SNP report must hold. */
int owner_parse_demands(const struct options *options, struct owner_demands *w, struct error *e);
/* Collects the certificates and lists of the options and, with --kds, those that the server has for
 * this report; NULL: there is no report. */
int owner_collect(const struct options *options, const struct snp_report *r,
                  struct report_certificates *to, struct error *e);
/* Prints the verdict on a valid report. */
void owner_print_report(const struct options *options, const struct snp_report *r);
/* Returns true if a struct snp_report has this measurement; an owner_matches. */
bool owner_is_reported(void *report, const u8 digest[MEASURE_DIGEST_MAX]);

/* Reports a refusal: prints the verdict for --json, and sets the error, which names the check
 * once. `matches`, unless NULL, tells whether a digest is the reported one, for the hint. */
int owner_refuse_report(const struct options *options, const char *check, const char *why,
                        owner_matches *matches, void *report, struct error *e);

/* Does the same for an SNP report. */
int owner_refuse_snp_report(const struct options *options, enum report_check check, const char *why,
                            struct snp_report *r, struct error *e);

/* verify --report: names the check that failed. */
int owner_check_report(const struct options *options, const struct cli_file *report,
                       struct error *e);
/* verify --chain --report: does the same for a legacy report. */
int owner_check_legacy_report(const struct options *options, const struct cli_file *report,
                              struct error *e);

/* --- owner_answer.c: the owner of an SNP guest elsewhere -------------------------------------- */

int owner_hello(const struct options *options, struct error *e);
int owner_answer(const struct options *options, struct error *e);

#endif
