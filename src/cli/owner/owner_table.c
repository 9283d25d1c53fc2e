/* SPDX-License-Identifier: Apache-2.0 */
/* The actions and options of `softsev owner`, and which of them go together. */
#include "cli/owner/owner_table.h"

#include "cli/cli.h"
#include "cli/settings.h"
#include "image/image.h"
#include "image/measure.h"

#define TIME_MAX                                                                                   \
    253402300799u /* the end of the year 9999, with which the time of certificates ends */
#define KDS_WAIT_MAX 86400u
#define VMPL_MAX     3u

#define A(action) (1u << OWNER_##action)
#define IDS       OPTION_IDS
#define SIGN      A(SIGN_ID_BLOCK)
#define FILES                                                                                      \
    (A(VERIFY) | A(MEASURE) | A(ANSWER) | SIGN |                                                   \
     A(EXPLAIN))                        /* they may know a launch by its files */
#define REPORTS (A(VERIFY) | A(ANSWER)) /* they verify SNP reports */
#define CHAINS  (A(VERIFY) | A(SESSION))

/* What a guest of softsev run without a flash image does not have. */
#define BEHIND_FIRMWARE                                                                            \
    OWNER_FIRMWARE, OWNER_HASHES, OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE, OWNER_IMAGE_HASH,    \
        OWNER_IMAGE_ONLY
/* What explain expects of a report. */
#define EXPECTED                                                                                   \
    OWNER_DIGEST, OWNER_POLICY, OWNER_SVN, OWNER_HOST_DATA, OWNER_REPORT_DATA, OWNER_ID_BLOCK,     \
        OWNER_ID_AUTH

static const struct option_group groups[] = {
    [OWNER_GROUP_FILES] = {NULL, "takes", "Steps and files"},
    [OWNER_GROUP_LAUNCH] = {"launch", "what is launched", "What is launched"},
    [OWNER_GROUP_DEMANDS] = {"policy", "what can be demanded of a report",
                             "What is demanded of a report"},
};

/* Seconds since 1970, or "any". */
static bool parse_time(const char *text, u64 *out)
{
    const char *end;
    *out = 0;
    return !strcmp(text, "any") || (option_digits(text, out, &end) && !*end && *out <= TIME_MAX);
}

static const struct option_choice forms[] = {
    {"archive", OWNER_FORM_ARCHIVE, false}, {"raw", OWNER_FORM_RAW, false}, {NULL, 0, false}};

// clang-format off
static const struct option_action actions[] = {
    [OWNER_VERIFY] = {"verify", .help = "does this chain, or this report, lead to the root I trust?"},
    [OWNER_SESSION] = {"session", .help = "verify, then make a key and a session for it"},
    [OWNER_MEASURE] = {"measure", .help = "does the measurement belong to what should have been launched?"},
    [OWNER_SEAL_SECRET] = {"secret", .help = "after that: seal a secret for the guest"},
    [OWNER_SAY_HELLO] = {"hello", .help = "SNP: a nonce for the agent in the guest, which asks for the secret"},
    [OWNER_ANSWER] = {"answer", .help = "SNP: verify what the agent has sent, seal a secret for it alone"},
    [OWNER_SIGN_ID_BLOCK] = {"id-block", .help = "SNP: sign what may be launched, for the firmware to enforce"},
    [OWNER_EXPLAIN] = {"explain", .help = "what an honest host launches, by pieces; why a report differs"},
};

static const struct option_row rows[] = {
    [OWNER_CHAIN] = {"chain", OPTION_FILE, "FILE", "PDH, PEK, OCA, CEK: the platform's certificates",
        "The platform's certificates PDH, PEK, OCA, CEK, raw or as base64; or two files with a comma between, QEMU's\n.Cm pdh\nand\n.Cm cert-chain .", .actions = CHAINS, .required = A(SESSION)},
    [OWNER_ROOT] = {"root", OPTION_FILE, "FILE", "ASK, ARK (X.509 for SNP) that the owner trusts",
        "Whom the owner trusts: ASK and ARK; for SNP reports X.509 certificates.", .actions = CHAINS | A(ANSWER), .required = CHAINS | A(ANSWER)},
    [OWNER_REPORT] = {"report", OPTION_FILE, "FILE", "an SNP report, or with --chain a legacy one",
        "An attestation report: SNP's, or with\n.Fl -chain\na legacy one.", .actions = A(VERIFY) | A(EXPLAIN)},
    [OWNER_CERTS] = {"certs", OPTION_FILE, "PATHS", "its certificates (VCEK or VLEK, ASK)",
        "The report's certificates (VCEK or VLEK, ASK): files or folders with commas between; DER, PEM, or the table of certificates of an\nextended report.\nLists among them count, too.", .actions = REPORTS},
    [OWNER_CRL] = {"crl", OPTION_FILE, "PATHS", "revocation lists; none: with --kds, without",
        "Revocation lists: files or folders with commas between, DER or PEM.\nThey count only if they are their issuer's, complete and in time.\n"
        "Of several by one issuer the highest CRL number counts; one that cannot be read is an error.\n"
        ".Cm none :\nwith\n.Fl -kds ,\nask for no list.", .actions = REPORTS},
    [OWNER_KDS] = {"kds", OPTION_TEXT, "URL", "key server that has VCEK, chain and list",
        "A key server with the addresses of AMD's, for the VCEK, the chain and the list.", .actions = REPORTS},
    [OWNER_PRODUCT] = {"product", OPTION_TEXT, "NAME", "Milan, ...: where the report does not say it",
        "The product, such as Milan, that a report of version 2 does not say.", .actions = REPORTS, .needs = IDS(OWNER_KDS)},
    [OWNER_KDS_WAIT] = {"kds-wait", OPTION_NUMBER, "SECONDS", "at most, while the server is too busy (default 60)",
        "How long answers 429 and 503 are waited for, all together.\nDefault 60.", .max = KDS_WAIT_MAX, .actions = REPORTS, .needs = IDS(OWNER_KDS)},
    [OWNER_TIME] = {"time", OPTION_PARSED, "SECONDS", "Unix time for the certificates, or any (now)",
        "The Unix time at which the certificates must be valid; with\n.Cm any\ntheir validity is not checked.\nDefault: now.",
        .parse = parse_time, .should = "seconds since 1970, at most 253402300799 (the end of 9999), or any", .actions = REPORTS},
    [OWNER_STATE] = {"state", OPTION_FILE, "FILE", "the owner's state between the steps; secret",
        "The owner's state between the steps; secret.", .actions = A(MEASURE) | A(SEAL_SECRET) | A(ANSWER), .required = A(SEAL_SECRET) | A(ANSWER)},
    [OWNER_TK] = {"tk", OPTION_FILE, "FILE", "instead of --state: TEK, TIK; with --policy",
        "Instead of\n.Fl -state :\nTEK and TIK of a session made elsewhere; with\n.Fl -policy .", .actions = A(MEASURE),
        .needs = IDS(OWNER_POLICY), .excludes = IDS(OWNER_STATE)},
    [OWNER_API] = {"api", OPTION_PARSED, "A.B", "API version of the platform's firmware",
        "API version of the platform's firmware; of a report the lowest.", .parse = settings_api, .should = SETTINGS_API,
        .actions = A(MEASURE) | REPORTS},
    [OWNER_BUILD] = {"build", OPTION_NUMBER, "NUMBER", "its build", "The firmware's build.", .max = 255, .actions = A(MEASURE), .needs = IDS(OWNER_API)},
    [OWNER_PLATFORM] = {"platform", OPTION_FILE, "FILE", "instead of both: platform.json of softsev run",
        "Instead of both: the\n.Pa platform.json\nthat\n.Ic softsev run Fl -owner-dir\nwrites, or what\n"
        ".Ic softsev platform status Fl -json\nprints.\nThe measurement proves what it says.", .actions = A(MEASURE),
        .excludes = IDS(OWNER_API, OWNER_BUILD)},
    [OWNER_MEASUREMENT] = {"measurement", OPTION_TEXT, "BASE64", "what was measured: MEASURE and MNONCE, 48 bytes",
        "What was measured: MEASURE and MNONCE, 48 bytes.", .actions = A(MEASURE) | A(SEAL_SECRET)},
    [OWNER_NONCE] = {"nonce", OPTION_TEXT, "BASE64", "its MNONCE; measure prints what is expected",
        "The MNONCE of a measurement, which\n.Cm measure\nprints, or of a legacy report.", .actions = A(VERIFY) | A(MEASURE)},
    [OWNER_POLICY] = {"policy", OPTION_NUMBER, "NUMBER", "guest policy (default: SEV 1, SNP 0x30000)",
        "The guest policy; of a legacy report exactly this one.\nDefault of\n.Cm session :\n1, of\n.Cm id-block :\n0x30000.", .max = UINT64_MAX,
        .actions = A(VERIFY) | A(SESSION) | A(MEASURE) | SIGN | A(EXPLAIN)},
    [OWNER_OUT_DIR] = {"out-dir", OPTION_FOLDER, "DIR", "folder for what is written", "The folder for what is written; it is made if it is missing.",
        .actions = A(SESSION) | A(SEAL_SECRET) | A(SAY_HELLO) | A(ANSWER) | SIGN, .required = A(SESSION) | A(SEAL_SECRET) | A(SAY_HELLO) | A(ANSWER) | SIGN},
    [OWNER_SEED] = {"seed", OPTION_TEXT, "TEXT", "all randomness from it; for tests", "All randomness from it; for tests.",
        .actions = A(SESSION) | A(SEAL_SECRET) | A(SAY_HELLO) | A(ANSWER) | SIGN},
    [OWNER_REPLACE] = {"replace", OPTION_FLAG, NULL, "give up the secrets that DIR has of an earlier one",
        "Give up the secrets that the folder has of an earlier session\n.Pq Pa owner.state , tk.bin ,\nnonce\n.Pq Pa hello.state\nor key.\n"
        "Otherwise they are not replaced: a guest that was launched with them would be lost.", .actions = A(SESSION) | A(SAY_HELLO) | SIGN},
    [OWNER_SVN] = {"svn", OPTION_NUMBER, "NUMBER", "GUEST_SVN (default 0)", "GUEST_SVN.\nDefault of\n.Cm id-block :\n0.", .max = UINT32_MAX,
        .actions = SIGN | A(EXPLAIN)},
    [OWNER_FAMILY_ID] = {"family-id", OPTION_HEX, "HEX", "16 bytes of the owner's own (default 0)", "16 bytes of the owner's own.\nDefault 0.", .max = 16,
        .actions = SIGN},
    [OWNER_IMAGE_ID] = {"image-id", OPTION_HEX, "HEX", "the same (default 0)", "16 more bytes of the owner's own.\nDefault 0.", .max = 16, .actions = SIGN},
    [OWNER_ID_KEY_FILE] = {"id-key-file", OPTION_FILE, "FILE", "private key on P-384 that signs the block, PEM",
        "The private key on P-384 that signs the block, PEM or DER, as openssl writes it.", .actions = SIGN, .excludes = IDS(OWNER_NEW_ID_KEY)},
    [OWNER_AUTHOR_FILE] = {"author-key-file", OPTION_FILE, "FILE", "the one that signs the ID key", "The private key that signs the ID key.", .actions = SIGN,
        .excludes = IDS(OWNER_NEW_AUTHOR)},
    [OWNER_NEW_ID_KEY] = {"new-id-key", OPTION_FLAG, NULL, "make one: DIR/id-key.pem", "Make an ID key, as\n.Pa id-key.pem .", .actions = SIGN},
    [OWNER_NEW_AUTHOR] = {"new-author-key", OPTION_FLAG, NULL, "make one: DIR/author-key.pem", "Make an author key, as\n.Pa author-key.pem .", .actions = SIGN},
    [OWNER_SECRET] = {"secret", OPTION_FILE, "FILE", "the secret", "The secret.", .actions = A(SEAL_SECRET) | A(ANSWER), .required = A(SEAL_SECRET) | A(ANSWER)},
    [OWNER_EVIDENCE] = {"evidence", OPTION_FILE, "FILE", "what the agent in the guest has sent",
        "What the agent in the guest has sent: its key, a report that binds it, certificates.", .actions = A(ANSWER), .required = A(ANSWER)},
    [OWNER_FORM] = {"form", OPTION_CHOICE, "FORM", "archive (for softsev run: /secret/secret) or raw",
        ".Cm archive\nmakes the secret the file\n.Pa /secret/secret\nof a guest that softsev runs;\n.Cm raw\nleaves it as it is.\nDefault\n.Cm archive .",
        .choices = forms, .standard = OWNER_FORM_ARCHIVE, .actions = A(SEAL_SECRET), .excludes = IDS(OWNER_GUID)},
    [OWNER_GUID] = {"guid", OPTION_TEXT, "GUID", "instead: an entry in OVMF's table of secrets",
        "Instead: make it an entry of OVMF's table of secrets, as a guest with\n.Ic softsev run Fl -firmware\ntakes it.", .actions = A(SEAL_SECRET)},
    [OWNER_DIFF] = {"diff", OPTION_FILE, "FILE", "what explain has printed for another launch",
        "Compare with what\n.Cm explain\nprinted for another launch, as text or JSON; exit code 4 if they differ.", .actions = A(EXPLAIN),
        .excludes = IDS(OWNER_REPORT)},
    [OWNER_DUMP] = {"dump", OPTION_FILE, "FILE", "write the launched bytes in order", "Write the launched bytes in order.", .output = true, .actions = A(EXPLAIN),
        .excludes = IDS(OWNER_REPORT, OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE, OWNER_FEATURES, OWNER_IMAGE_HASH, OWNER_IMAGE_ONLY)},
    [OWNER_JSON] = {"json", OPTION_FLAG, NULL, "the result as one line of JSON", "The result as one line of JSON.",
        .actions = A(VERIFY) | A(MEASURE) | A(ANSWER) | SIGN | A(EXPLAIN)},

    [OWNER_DIGEST] = {"digest", OPTION_HEX, "HEX", "SHA-256 of all that was launched (SNP: its digest)",
        "SHA-256 of all that was launched; of an SNP guest its launch digest.", .min = 32, .max = 48, .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .excludes = IDS(OWNER_GUEST)},
    [OWNER_LAUNCH] = {"launch", OPTION_FILE, "FILE", "instead: the launched bytes in order", "Instead: the launched bytes in order.",
        .group = OWNER_GROUP_LAUNCH, .actions = A(VERIFY) | A(MEASURE), .excludes = IDS(OWNER_DIGEST, OWNER_GUEST)},
    [OWNER_KERNEL] = {"kernel", OPTION_FILE, "FILE", "instead: the kernel of softsev run",
        "Instead: the kernel of\n.Ic softsev run ,\nor with\n.Fl -firmware\nand\n.Fl -kernel-hashes\nthe one that is hashed.", .group = OWNER_GROUP_LAUNCH,
        .actions = FILES},
    [OWNER_INITRD] = {"initrd", OPTION_FILE, "FILE", "its initramfs", "The kernel's initramfs.", .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs = IDS(OWNER_KERNEL)},
    [OWNER_APPEND] = {"append", OPTION_TEXT, "TEXT", "its command line", "The kernel's command line.", .empty = true, .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs = IDS(OWNER_KERNEL)},
    [OWNER_MEMORY] = {"memory", OPTION_SIZE, "SIZE", "its memory: MiB, or with K, M or G (default 512M)",
        "Memory of the guest that\n.Ic softsev run\nstarts without\n.Fl -firmware :\nMiB, or with K, M or G.\nDefault 512M.", .min = MIB(1), .max = GIB(512),
        .group = OWNER_GROUP_LAUNCH, .actions = FILES, .needs = IDS(OWNER_KERNEL), .excludes = IDS(BEHIND_FIRMWARE)},
    [OWNER_HOLE] = {"owner-secret", OPTION_FLAG, NULL, "launched with --owner-secret: room for it",
        "The guest was launched with\n.Fl -owner-secret ,\nfor which the launch has room.\nWith\n.Fl -firmware\nthe place for a secret is not measured.", .group = OWNER_GROUP_LAUNCH, .actions = A(VERIFY) | A(MEASURE) | A(EXPLAIN),
        .needs = IDS(OWNER_KERNEL)},
    [OWNER_FIRMWARE] = {"firmware", OPTION_FILE, "FILE", "a flash image, such as OVMF's", "A flash image, such as OVMF's.", .group = OWNER_GROUP_LAUNCH,
        .actions = FILES},
    [OWNER_HASHES] = {"kernel-hashes", OPTION_FLAG, NULL, "with --firmware: hash kernel, initrd, command line",
        "With\n.Fl -firmware :\nhashes of kernel, initramfs and command line are launched too.", .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs = IDS(OWNER_FIRMWARE, OWNER_KERNEL)},
    [OWNER_MODE] = {"mode", OPTION_CHOICE, "MODE", "sev, sev-es or sev-snp (default sev)",
        ".Cm sev , sev-es\nor\n.Cm sev-snp .\nDefault\n.Cm sev .", .choices = settings_encrypted_modes, .standard = IMAGE_SEV, .group = OWNER_GROUP_LAUNCH,
        .actions = FILES, .needs_one = IDS(OWNER_KERNEL, OWNER_FIRMWARE)},
    [OWNER_VCPUS] = {"vcpus", OPTION_NUMBER, "NUMBER", "virtual processors (default 1)",
        "Virtual processors; of a guest of\n.Ic softsev run\nits\n.Fl -cpus ,\nin every mode.\nDefault 1.", .min = 1, .max = MEASURE_VCPUS_MAX,
        .group = OWNER_GROUP_LAUNCH, .actions = FILES, .needs_one = IDS(OWNER_KERNEL, OWNER_FIRMWARE)},
    [OWNER_VCPU_TYPE] = {"vcpu-type", OPTION_PARSED, "NAME", "QEMU's CPU model, or CPUID 1 EAX as a number",
        "QEMU's CPU model, or CPUID leaf 1 EAX as a number.\nOther hypervisors show it in no register, so that it does not change what they launch.", .parse = settings_vcpu_type, .should = SETTINGS_VCPU_TYPE, .words = SETTINGS_VCPU_WORDS, .group = OWNER_GROUP_LAUNCH,
        .actions = FILES, .needs = IDS(OWNER_FIRMWARE)},
    [OWNER_CPU] = {"cpu", OPTION_PARSED, "NAME", "instead: the --cpu of softsev run, such as genoa",
        "Instead of\n.Fl -vcpu-type :\nthe processor as\n.Ic softsev run --cpu\nnames it.\nFeatures that follow the name change no register that is measured.",
        .parse = settings_cpu, .should = SETTINGS_CPU, .words = SETTINGS_CPU_WORDS, .group = OWNER_GROUP_LAUNCH,
        .actions = FILES, .needs = IDS(OWNER_FIRMWARE), .excludes = IDS(OWNER_VCPU_TYPE)},
    [OWNER_VMM_TYPE] = {"vmm-type", OPTION_CHOICE, "NAME", "qemu, qemu-old, ec2, ec2-old, gce, krun, krun-old",
        "Who launches:\n.Cm qemu , qemu-old , ec2 , ec2-old , gce , krun\nor\n.Cm krun-old .\nDefault\n.Cm qemu .", .choice_at = settings_vmm_at,
        .standard = MEASURE_VMM_QEMU, .group = OWNER_GROUP_LAUNCH, .actions = FILES, .needs = IDS(OWNER_FIRMWARE)},
    [OWNER_FEATURES] = {"guest-features", OPTION_PARSED, "NAMES", "SEV_FEATURES (default: sev-snp 1, sev-es 0)",
        "SEV_FEATURES: names and numbers with commas between, as of\n.Xr softsev-run 1 .\nA number alone is taken as it is; with names the SNP bit is added under\n.Cm sev-snp .\nDefault 1 for\n.Cm sev-snp ,\n0 for\n.Cm sev-es .",
        .parse = settings_guest_features, .should = SETTINGS_FEATURES, .words = SETTINGS_FEATURE_WORDS, .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs_one = IDS(OWNER_KERNEL, OWNER_FIRMWARE)},
    [OWNER_IMAGE_HASH] = {"ovmf-hash", OPTION_HEX, "HEX", "sev-snp: digest after the flash image's pages",
        "Under\n.Cm sev-snp :\nthe digest after the flash image's pages, which are then not hashed.", .max = 48, .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs = IDS(OWNER_FIRMWARE)},
    [OWNER_IMAGE_ONLY] = {"ovmf-only", OPTION_FLAG, NULL, "sev-snp: stop there and print that digest",
        "Under\n.Cm sev-snp :\nstop after the flash image's pages.", .group = OWNER_GROUP_LAUNCH, .actions = A(MEASURE) | A(EXPLAIN), .needs = IDS(OWNER_FIRMWARE),
        .excludes = IDS(OWNER_KERNEL, OWNER_INITRD, OWNER_APPEND, OWNER_HASHES, OWNER_VCPUS, OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE, OWNER_FEATURES,
                        OWNER_IMAGE_HASH)},

    [OWNER_REPORT_DATA] = {"report-data", OPTION_HEX, "HEX", "what the guest put into the report", "What the guest put into the report, 64 bytes.", .max = 64,
        .group = OWNER_GROUP_DEMANDS, .actions = A(VERIFY) | A(EXPLAIN)},
    [OWNER_HOST_DATA] = {"host-data", OPTION_HEX, "HEX", "what the host put into it at launch", "What the host put into it at launch, 32 bytes.", .max = 32,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS | A(EXPLAIN)},
    [OWNER_CHIP_ID] = {"chip-id", OPTION_HEX, "HEX", "the chip it must be from", "The chip that it must be from, 64 bytes, or 8 of a part with short ids, such as Turin.", .min = 8, .max = 64,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_MIN_TCB] = {"min-tcb", OPTION_TEXT, "NUMBERS", "lowest TCB, such as 3.0.8.115 (bl.tee.snp.ucode)",
        "The lowest TCB, such as 3.0.8.115: boot loader, TEE, SNP, microcode; of a Turin FMC before them.", .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_MIN_SVN] = {"min-svn", OPTION_NUMBER, "NUMBER", "lowest GUEST_SVN (default 0)", "The lowest GUEST_SVN.\nDefault 0.", .max = UINT32_MAX,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_VMPL] = {"vmpl", OPTION_NUMBER, "NUMBER", "highest VMPL that may have asked for it (default 0)",
        "The highest VMPL that may have asked for it.\nDefault 0.", .max = VMPL_MAX, .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ID_BLOCK] = {"id-block", OPTION_FILE, "FILE", "the ID block it must have been launched with",
        "The ID block that the guest must have been launched with.", .group = OWNER_GROUP_DEMANDS, .actions = REPORTS | A(EXPLAIN), .needs = IDS(OWNER_ID_AUTH)},
    [OWNER_ID_AUTH] = {"id-auth", OPTION_FILE, "FILE", "with its authentication page", "Its authentication page.", .group = OWNER_GROUP_DEMANDS,
        .actions = REPORTS | A(EXPLAIN), .needs = IDS(OWNER_ID_BLOCK)},
    [OWNER_ID_KEY] = {"id-key", OPTION_HEX, "HEX", "digest of the ID key", "The digest of the ID key, 48 bytes.", .max = 48, .group = OWNER_GROUP_DEMANDS,
        .actions = REPORTS},
    [OWNER_AUTHOR_KEY] = {"author-key", OPTION_HEX, "HEX", "digest of the author key", "The digest of the author key, 48 bytes; zeros: there must be no author key.", .max = 48,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ALLOW_DEBUG] = {"allow-debug", OPTION_FLAG, NULL, "accept a guest that its host may debug", "Accept a guest that its host may debug.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ALLOW_MA] = {"allow-migration", OPTION_FLAG, NULL, "accept one with a migration agent", "Accept a guest with a migration agent.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ACCEPT_VERSION] = {"accept-unknown-version", OPTION_FLAG, NULL, "judge a version after 5 as far as 5 goes",
        "Accept a report of a version after 5, which is not known, judged as far as version 5 goes.\nThe output says so.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ACCEPT_MASKED] = {"accept-masked-chip-id", OPTION_FLAG, NULL, "accept one that hides its chip's id",
        "Accept a report that hides its chip's id (MASK_CHIP_ID): its signature alone ties it to the VCEK.\nThe output says so.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS, .excludes = IDS(OWNER_CHIP_ID)},
};

#define ES_SNP (BIT(IMAGE_SEV_ES) | BIT(IMAGE_SEV_SNP))

static const struct option_rule rules[] = {
    /* What is launched, for every action that may know it by its files. */
    {.relation = OPTION_NEEDS, .subjects = IDS(OWNER_KERNEL), .with = IDS(OWNER_FIRMWARE), .others = IDS(OWNER_HASHES),
     .why = "beside a flash image a kernel is measured by its hash, or not at all"},
    {.relation = OPTION_ONLY, .subjects = IDS(OWNER_VCPUS), .with = IDS(OWNER_FIRMWARE), .others = IDS(OWNER_MODE), .values = ES_SNP,
     .why = "SEV measures no virtual processors"},
    {.relation = OPTION_ONLY, .subjects = IDS(OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE, OWNER_FEATURES), .others = IDS(OWNER_MODE), .values = ES_SNP,
     .why = "SEV measures no virtual processors"},
    {.relation = OPTION_ONLY, .subjects = IDS(OWNER_IMAGE_HASH, OWNER_IMAGE_ONLY), .others = IDS(OWNER_MODE), .values = BIT(IMAGE_SEV_SNP),
     .why = "only SNP has a digest after the image"},
    {.relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_HOLE), .others = IDS(BEHIND_FIRMWARE),
     .why = "the place that firmware has for a secret is not measured"},
    {.relation = OPTION_ONLY, .subjects = IDS(OWNER_HOLE), .others = IDS(OWNER_MODE), .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES),
     .why = "the launch of an SNP guest carries no secret"},
    {.actions = A(EXPLAIN), .relation = OPTION_ONLY, .subjects = IDS(OWNER_DUMP), .with = IDS(OWNER_FIRMWARE), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV), .why = "with processors' pages it is no list of bytes"},

    /* verify: a chain alone, an SNP report, or with --chain a legacy one. */
    {.actions = A(VERIFY), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_CHAIN), .others = IDS(OWNER_SNP_ALONE, OWNER_IMAGE_HASH),
     .why = "--chain is of legacy reports, the other of SNP reports"},
    {.actions = A(VERIFY), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_NONCE, OWNER_POLICY, OWNER_LAUNCH, OWNER_HOLE), .others = IDS(OWNER_SNP_ALONE, OWNER_IMAGE_HASH),
     .why = "the one is of legacy reports, the other of SNP reports"},
    {.actions = A(VERIFY), .relation = OPTION_NEEDS_ONE, .others = IDS(OWNER_CHAIN, OWNER_REPORT)},
    {.actions = A(VERIFY), .relation = OPTION_NEEDS,
     .subjects = IDS(OWNER_SNP_ALONE, OWNER_NONCE, OWNER_POLICY, OWNER_LAUNCH, OWNER_DIGEST, OWNER_ALLOW_DEBUG, OWNER_KERNEL, OWNER_FIRMWARE),
     .others = IDS(OWNER_REPORT), .why = "it is of reports"},
    {.actions = A(VERIFY), .relation = OPTION_NEEDS, .subjects = IDS(OWNER_NONCE, OWNER_POLICY, OWNER_LAUNCH, OWNER_HOLE), .others = IDS(OWNER_CHAIN),
     .why = "it is of legacy reports"},

    {.actions = A(VERIFY), .relation = OPTION_ONLY, .subjects = IDS(OWNER_KERNEL, OWNER_FIRMWARE), .with = IDS(OWNER_CHAIN), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES), .why = "SNP's reports come without --chain"},
    {.actions = A(VERIFY), .relation = OPTION_ONLY, .subjects = IDS(OWNER_KERNEL, OWNER_FIRMWARE), .without = IDS(OWNER_CHAIN), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "a legacy report comes with --chain"},

    /* measure: a measurement is compared, one is computed, or with --mode alone the digest is printed. */
    {.actions = A(MEASURE), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_MEASUREMENT), .others = IDS(OWNER_NONCE)},
    {.actions = A(MEASURE), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_IMAGE_ONLY), .others = IDS(OWNER_MEASUREMENT, OWNER_NONCE,
     OWNER_STATE, OWNER_TK, OWNER_POLICY, OWNER_API, OWNER_BUILD, OWNER_PLATFORM), .why = "it is of a part of an SNP launch"},
    {.actions = A(MEASURE), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_IMAGE_HASH), .others = IDS(OWNER_MEASUREMENT, OWNER_NONCE,
     OWNER_STATE, OWNER_TK, OWNER_POLICY, OWNER_API, OWNER_BUILD, OWNER_PLATFORM), .why = "SNP measures nothing before a guest runs"},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE, .without = IDS(OWNER_MODE), .others = IDS(OWNER_MEASUREMENT, OWNER_NONCE),
     .why = "or --mode, to print the launch digest of files"},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE,
     .subjects = IDS(OWNER_STATE, OWNER_TK, OWNER_POLICY, OWNER_API, OWNER_BUILD, OWNER_PLATFORM, OWNER_DIGEST, OWNER_LAUNCH),
     .others = IDS(OWNER_MEASUREMENT, OWNER_NONCE), .why = "with --mode alone the launch digest of files is printed"},
    {.actions = A(MEASURE), .relation = OPTION_ONLY, .subjects = IDS(OWNER_MEASUREMENT, OWNER_NONCE), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES), .why = "SNP measures nothing before a guest runs: its reports prove the digest"},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE, .subjects = IDS(OWNER_MEASUREMENT, OWNER_NONCE), .others = IDS(OWNER_STATE, OWNER_TK)},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE, .subjects = IDS(OWNER_MEASUREMENT, OWNER_NONCE), .others = IDS(OWNER_API, OWNER_PLATFORM)},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS, .subjects = IDS(OWNER_API), .others = IDS(OWNER_BUILD)},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE, .others = IDS(OWNER_DIGEST, OWNER_LAUNCH, OWNER_KERNEL, OWNER_FIRMWARE),
     .why = "what was launched"},

    /* answer, id-block: SNP's alone. */
    {.actions = A(ANSWER) | SIGN, .relation = OPTION_ONLY, .subjects = IDS(OWNER_KERNEL, OWNER_FIRMWARE), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "reports and ID blocks are SNP's"},
    {.actions = A(ANSWER), .relation = OPTION_NEEDS_ONE, .others = IDS(OWNER_DIGEST, OWNER_KERNEL, OWNER_FIRMWARE, OWNER_ID_BLOCK),
     .why = "what was launched; a secret is not for any guest"},
    {.actions = SIGN, .relation = OPTION_NEEDS_ONE, .others = IDS(OWNER_DIGEST, OWNER_KERNEL, OWNER_FIRMWARE), .why = "what may be launched"},
    {.actions = SIGN, .relation = OPTION_NEEDS_ONE, .others = IDS(OWNER_ID_KEY_FILE, OWNER_NEW_ID_KEY),
     .why = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 makes a key too"},

    /* explain: a launch by its files, or a report. */
    {.actions = A(EXPLAIN), .relation = OPTION_NEEDS,
     .subjects = IDS(EXPECTED), .others = IDS(OWNER_REPORT), .why = "it is what is expected of a report"},
    {.actions = A(EXPLAIN), .relation = OPTION_NEEDS_ONE, .without = IDS(OWNER_REPORT), .others = IDS(OWNER_KERNEL, OWNER_FIRMWARE)},
    {.actions = A(EXPLAIN), .relation = OPTION_ONLY, .subjects = IDS(OWNER_KERNEL, OWNER_FIRMWARE), .with = IDS(OWNER_REPORT), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "the report is an SNP guest's"},
    {.actions = A(EXPLAIN), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_IMAGE_ONLY), .others = IDS(OWNER_REPORT, EXPECTED),
     .why = "a report measures the whole launch"},
    {.actions = A(EXPLAIN), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_HOLE), .others = IDS(OWNER_REPORT, EXPECTED),
     .why = "the launch of an SNP guest carries no secret"},
    {.actions = A(EXPLAIN), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_DIFF, OWNER_DUMP), .others = IDS(EXPECTED),
     .why = "the one is of files, the other of a report"},
};
// clang-format on

const struct option_table cli_owner_table = {
    .command = "owner",
    .title = "the guest owner: verify, measure, seal a secret for the right guest",
    .usage = "softsev owner ACTION [OPTIONS]    softsev owner ACTION --help",
    .about = "The guest owner's side: verify a platform or guest, then give it a secret.\n"
             "The actions stand in the order of a launch.",
    .groups = groups,
    .group_count = ARRAY_SIZE(groups),
    .rows = rows,
    .count = OWNER_IDS,
    .actions = actions,
    .action_count = ARRAY_SIZE(actions),
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
