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

/* Options that do not apply to a guest of softsev run without a flash image. */
#define BEHIND_FIRMWARE                                                                            \
    OWNER_FIRMWARE, OWNER_HASHES, OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE, OWNER_IMAGE_HASH,    \
        OWNER_IMAGE_ONLY
/* Options that say what explain expects of a report. */
#define EXPECTED                                                                                   \
    OWNER_DIGEST, OWNER_POLICY, OWNER_SVN, OWNER_HOST_DATA, OWNER_REPORT_DATA, OWNER_ID_BLOCK,     \
        OWNER_ID_AUTH

static const struct option_group groups[] = {
    [OWNER_GROUP_FILES] = {NULL, "options", "Steps and files"},
    [OWNER_GROUP_LAUNCH] = {"launch", "what is launched", "What is launched"},
    [OWNER_GROUP_DEMANDS] = {"policy", "what the report must say", "What the report must say"},
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
    [OWNER_VERIFY] = {"verify", .help = "check a platform's certificates, or a guest's report"},
    [OWNER_SESSION] = {"session",
        .help = "SEV, SEV-ES: verify a platform, make a session to launch with"},
    [OWNER_MEASURE] = {"measure",
        .help = "compute a launch digest, or check a launch's measurement"},
    [OWNER_SEAL_SECRET] = {"secret", .help = "SEV, SEV-ES: seal a secret for the measured guest"},
    [OWNER_SAY_HELLO] = {"hello",
        .help = "SNP: make the nonce that the agent in the guest must answer"},
    [OWNER_ANSWER] = {"answer",
        .help = "SNP: verify the agent's evidence, seal a secret for it alone"},
    [OWNER_SIGN_ID_BLOCK] = {"id-block",
        .help = "SNP: sign what the firmware may launch for this owner"},
    [OWNER_EXPLAIN] = {"explain",
        .help = "list what an honest host launches; say why a report differs"},
    [OWNER_SHOW] = {"show", .help = "print every field of a report, without verifying it"},
};

static const struct option_row rows[] = {
    [OWNER_CHAIN] = {"chain", OPTION_FILE, "FILE",
        "the platform's certificates: PDH, PEK, OCA, CEK",
        "The platform's certificates PDH, PEK, OCA, CEK, raw or as base64; or two files separated "
        "by a comma, QEMU's\n.Cm pdh\nand\n.Cm cert-chain .", .actions = CHAINS,
        .required = A(SESSION)},
    [OWNER_ROOT] = {"root", OPTION_FILE, "FILE",
        "root that the owner trusts: ASK, ARK (SNP: X.509)",
        "The root certificates that the owner trusts: ASK and ARK; for SNP reports as X.509.",
        .actions = CHAINS | A(ANSWER), .required = CHAINS | A(ANSWER)},
    [OWNER_REPORT] = {"report", OPTION_FILE, "FILE",
        "attestation report of SNP, or with --chain of SEV",
        "An attestation report: of SNP, or with\n.Fl -chain\na legacy one, of SEV or SEV-ES.",
        .actions = A(VERIFY) | A(EXPLAIN) | A(SHOW), .required = A(SHOW)},
    [OWNER_CERTS] = {"certs", OPTION_FILE, "PATHS", "the report's certificates: VCEK or VLEK, ASK",
        "The report's certificates (VCEK or VLEK, ASK): files or folders, separated by commas; "
        "DER, PEM, or the table of certificates of an extended report.\n"
        "Revocation lists among them count, too.", .actions = REPORTS},
    [OWNER_CRL] = {"crl", OPTION_FILE, "PATHS", "revocation lists; none: ask --kds for no list",
        "Revocation lists: files or folders, separated by commas; DER or PEM.\n"
        "A list counts only if its issuer signed it, it is complete and not expired.\nOf several "
        "lists of one issuer the one with the highest CRL number counts; a list that cannot be "
        "read is an error.\n.Cm none :\nwith\n.Fl -kds ,\nask for no list.", .actions = REPORTS},
    [OWNER_KDS] = {"kds", OPTION_TEXT, "URL", "key server to ask for VCEK, chain and list",
        "A key server to ask for the VCEK, the chain and the revocation list; its addresses are "
        "laid out as AMD's.", .actions = REPORTS},
    [OWNER_PRODUCT] = {"product", OPTION_TEXT, "NAME",
        "product, such as Milan, if the report has none",
        "The product, such as Milan; a report of version 2 does not say it.", .actions = REPORTS,
        .needs = IDS(OWNER_KDS)},
    [OWNER_KDS_WAIT] = {"kds-wait", OPTION_NUMBER, "SECONDS",
        "longest wait for a busy key server (default 60)",
        "How long to ask again, in all, while the server answers 429 or 503.\nDefault 60.",
        .max = KDS_WAIT_MAX, .actions = REPORTS, .needs = IDS(OWNER_KDS)},
    [OWNER_TIME] = {"time", OPTION_PARSED, "SECONDS",
        "time to check validity at, or any (default: now)",
        "The time at which the certificates must be valid, in seconds since 1970; with\n.Cm any\n"
        "their period of validity is not checked.\nDefault: now.",
        .parse = parse_time, .should = "seconds since 1970, at most 253402300799 (the end of "
        "9999), or any", .actions = REPORTS},
    [OWNER_STATE] = {"state", OPTION_FILE, "FILE",
        "the owner's state file of session or hello; secret",
        "The owner's state between the steps, which\n.Cm session\nor\n.Cm hello\n"
        "wrote; keep it secret.", .actions = A(MEASURE) | A(SEAL_SECRET) | A(ANSWER),
        .required = A(SEAL_SECRET) | A(ANSWER)},
    [OWNER_TK] = {"tk", OPTION_FILE, "FILE", "instead of --state: TEK and TIK; with --policy",
        "Instead of\n.Fl -state :\nTEK and TIK of a session made elsewhere; with\n.Fl -policy .",
        .actions = A(MEASURE),
        .needs = IDS(OWNER_POLICY), .excludes = IDS(OWNER_STATE)},
    [OWNER_API] = {"api", OPTION_PARSED, "A.B", "API version of the platform's firmware",
        "API version of the platform's firmware; for an SNP report the lowest to accept.",
        .parse = settings_api, .should = SETTINGS_API,
        .actions = A(MEASURE) | REPORTS},
    [OWNER_BUILD] = {"build", OPTION_NUMBER, "NUMBER", "build of the platform's firmware",
        "Build of the platform's firmware.", .max = 255, .actions = A(MEASURE),
        .needs = IDS(OWNER_API)},
    [OWNER_PLATFORM] = {"platform", OPTION_FILE, "FILE",
        "instead of --api and --build: platform.json of run",
        "Instead of\n.Fl -api\nand\n.Fl -build :\nthe\n.Pa platform.json\nthat\n"
        ".Ic softsev run Fl -owner-dir\nwrites, or what\n.Ic softsev platform status Fl -json\n"
        "prints.\nThe measurement proves what it says.", .actions = A(MEASURE),
        .excludes = IDS(OWNER_API, OWNER_BUILD)},
    [OWNER_MEASUREMENT] = {"measurement", OPTION_TEXT, "BASE64",
        "the measurement: MEASURE and MNONCE, 48 bytes",
        "The measurement that the host got: MEASURE and MNONCE, 48 bytes.",
        .actions = A(MEASURE) | A(SEAL_SECRET)},
    [OWNER_NONCE] = {"nonce", OPTION_TEXT, "BASE64",
        "MNONCE of a measurement or legacy report, 16 bytes",
        "The MNONCE, 16 bytes: of a legacy report, or of a measurement, which\n.Cm measure\n"
        "then computes and prints.", .actions = A(VERIFY) | A(MEASURE)},
    [OWNER_POLICY] = {"policy", OPTION_NUMBER, "NUMBER",
        "guest policy; verify: exactly this one\n(session: default 1, id-block: 0x30000)",
        "The guest policy; a report must have exactly this one.\nDefault for\n.Cm session\n"
        "1, for\n.Cm id-block\n0x30000.", .max = UINT64_MAX,
        .actions = A(VERIFY) | A(SESSION) | A(MEASURE) | SIGN | A(EXPLAIN)},
    [OWNER_OUT_DIR] = {"out-dir", OPTION_FOLDER, "DIR", "folder for what is written",
        "The folder for what is written; it is made if it is missing.",
        .actions = A(SESSION) | A(SEAL_SECRET) | A(SAY_HELLO) | A(ANSWER) | SIGN,
        .required = A(SESSION) | A(SEAL_SECRET) | A(SAY_HELLO) | A(ANSWER) | SIGN},
    [OWNER_SEED] = {"seed", OPTION_TEXT, "TEXT", "take all randomness from TEXT; only for tests",
        "Take all randomness from this text; only for tests.",
        .actions = A(SESSION) | A(SEAL_SECRET) | A(SAY_HELLO) | A(ANSWER) | SIGN},
    [OWNER_REPLACE] = {"replace", OPTION_FLAG, NULL, "overwrite secrets of an earlier run in DIR",
        "Overwrite the secrets of an earlier run in the folder: a session\n"
        ".Pq Pa owner.state , tk.bin ,\na nonce\n.Pq Pa hello.state\nor a key.\nWithout this "
        "option they are kept, and the command fails: a guest that was launched with them would "
        "be lost.", .actions = A(SESSION) | A(SAY_HELLO) | SIGN},
    [OWNER_SVN] = {"svn", OPTION_NUMBER, "NUMBER", "GUEST_SVN (default 0)",
        "GUEST_SVN.\nDefault for\n.Cm id-block\n0.", .max = UINT32_MAX,
        .actions = SIGN | A(EXPLAIN)},
    [OWNER_FAMILY_ID] = {"family-id", OPTION_HEX, "HEX",
        "FAMILY_ID: 16 bytes of the owner's choice (default 0)",
        "FAMILY_ID: 16 bytes of the owner's choice.\nDefault 0.", .max = 16,
        .actions = SIGN},
    [OWNER_IMAGE_ID] = {"image-id", OPTION_HEX, "HEX", "IMAGE_ID: 16 more bytes (default 0)",
        "IMAGE_ID: 16 more bytes of the owner's choice.\nDefault 0.", .max = 16, .actions = SIGN},
    [OWNER_ID_KEY_FILE] = {"id-key-file", OPTION_FILE, "FILE",
        "P-384 private key that signs the block, PEM",
        "The P-384 private key that signs the block, PEM or DER, as openssl writes it.",
        .actions = SIGN, .excludes = IDS(OWNER_NEW_ID_KEY)},
    [OWNER_AUTHOR_FILE] = {"author-key-file", OPTION_FILE, "FILE",
        "P-384 private key that signs the ID key, PEM",
        "The P-384 private key that signs the ID key, PEM or DER.", .actions = SIGN,
        .excludes = IDS(OWNER_NEW_AUTHOR)},
    [OWNER_NEW_ID_KEY] = {"new-id-key", OPTION_FLAG, NULL, "make an ID key: DIR/id-key.pem",
        "Make an ID key and write it as\n.Pa id-key.pem .", .actions = SIGN},
    [OWNER_NEW_AUTHOR] = {"new-author-key", OPTION_FLAG, NULL,
        "make an author key: DIR/author-key.pem", "Make an author key and write it as\n"
        ".Pa author-key.pem .", .actions = SIGN},
    [OWNER_SECRET] = {"secret", OPTION_FILE, "FILE", "the secret to seal", "The secret to seal.",
        .actions = A(SEAL_SECRET) | A(ANSWER), .required = A(SEAL_SECRET) | A(ANSWER)},
    [OWNER_EVIDENCE] = {"evidence", OPTION_FILE, "FILE",
        "what the agent in the guest sent (evidence.b64)",
        "What the agent in the guest sent: its key, a report that binds the key, certificates.",
        .actions = A(ANSWER), .required = A(ANSWER)},
    [OWNER_FORM] = {"form", OPTION_CHOICE, "FORM",
        "archive (/secret/secret in a guest of softsev run) or\nraw (default archive)",
        "How the guest gets the secret:\n.Cm archive\nas the file\n.Pa /secret/secret\n"
        "of a guest that\n.Ic softsev run\nlaunched,\n.Cm raw\nas the bytes alone.\nDefault\n"
        ".Cm archive .",
        .choices = forms, .standard = OWNER_FORM_ARCHIVE, .actions = A(SEAL_SECRET),
        .excludes = IDS(OWNER_GUID)},
    [OWNER_GUID] = {"guid", OPTION_TEXT, "GUID",
        "instead of --form: entry in OVMF's table of secrets",
        "Instead of\n.Fl -form :\n"
        "make the secret an entry of OVMF's table of secrets, as a guest with\n"
        ".Ic softsev run Fl -firmware\ntakes it.", .actions = A(SEAL_SECRET)},
    [OWNER_DIFF] = {"diff", OPTION_FILE, "FILE",
        "compare with what explain printed for another launch",
        "Compare with what\n.Cm explain\n"
        "printed for another launch, as text or JSON; exit code 4 if they differ.",
        .actions = A(EXPLAIN),
        .excludes = IDS(OWNER_REPORT)},
    [OWNER_DUMP] = {"dump", OPTION_FILE, "FILE", "write the launched bytes in order",
        "Write the launched bytes in order.", .output = true, .actions = A(EXPLAIN),
        .excludes = IDS(OWNER_REPORT, OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE, OWNER_FEATURES,
        OWNER_IMAGE_HASH, OWNER_IMAGE_ONLY)},
    [OWNER_JSON] = {"json", OPTION_FLAG, NULL, "print the result as one line of JSON",
        "Print the result as one line of JSON.",
        .actions = A(VERIFY) | A(MEASURE) | A(ANSWER) | SIGN | A(EXPLAIN) | A(SHOW)},

    [OWNER_DIGEST] = {"digest", OPTION_HEX, "HEX",
        "SHA-256 of the launched bytes (SNP: launch digest)",
        "SHA-256 of the launched bytes; for an SNP guest its launch digest.", .min = 32, .max = 48,
        .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .excludes = IDS(OWNER_GUEST)},
    [OWNER_LAUNCH] = {"launch", OPTION_FILE, "FILE",
        "instead of --digest: the launched bytes, in order",
        "Instead of\n.Fl -digest :\nthe launched bytes, in order.",
        .group = OWNER_GROUP_LAUNCH, .actions = A(VERIFY) | A(MEASURE),
        .excludes = IDS(OWNER_DIGEST, OWNER_GUEST)},
    [OWNER_KERNEL] = {"kernel", OPTION_FILE, "FILE",
        "instead of --digest: the kernel of softsev run",
        "Instead of\n.Fl -digest :\nthe kernel that\n.Ic softsev run\nlaunches, or with\n"
        ".Fl -firmware\nand\n.Fl -kernel-hashes\nthe kernel that is hashed.",
        .group = OWNER_GROUP_LAUNCH,
        .actions = FILES},
    [OWNER_INITRD] = {"initrd", OPTION_FILE, "FILE", "the kernel's initramfs",
        "The kernel's initramfs.", .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs = IDS(OWNER_KERNEL)},
    [OWNER_APPEND] = {"append", OPTION_TEXT, "TEXT", "the kernel's command line",
        "The kernel's command line.", .empty = true, .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs = IDS(OWNER_KERNEL)},
    [OWNER_MEMORY] = {"memory", OPTION_SIZE, "SIZE",
        "guest memory: MiB, or with K, M or G (default 512M)",
        "Memory of the guest that\n.Ic softsev run\nstarts without\n.Fl -firmware :\n"
        "MiB, or with K, M or G, in steps of 2M.\nDefault 512M.", .min = MIB(2), .max = GIB(512),
        .step = MIB(2),
        .group = OWNER_GROUP_LAUNCH, .actions = FILES, .needs = IDS(OWNER_KERNEL),
        .excludes = IDS(BEHIND_FIRMWARE)},
    [OWNER_HOLE] = {"owner-secret", OPTION_FLAG, NULL,
        "the launch has room for a secret, as run makes it",
        "The guest was launched by\n.Ic softsev run Fl -owner-secret ,\n"
        "which leaves room for the secret.\nWith\n.Fl -firmware\n"
        "the place for a secret is not measured.", .group = OWNER_GROUP_LAUNCH,
        .actions = A(VERIFY) | A(MEASURE) | A(EXPLAIN),
        .needs = IDS(OWNER_KERNEL)},
    [OWNER_FIRMWARE] = {"firmware", OPTION_FILE, "FILE",
        "instead of --digest: flash image, such as OVMF's",
        "Instead of\n.Fl -digest :\nthe flash image, such as OVMF's, that is launched.",
        .group = OWNER_GROUP_LAUNCH,
        .actions = FILES},
    [OWNER_HASHES] = {"kernel-hashes", OPTION_FLAG, NULL,
        "with --firmware: hash kernel, initrd, command line",
        "With\n.Fl -firmware :\n"
        "the hashes of kernel, initramfs and command line are launched, too.",
        .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs = IDS(OWNER_FIRMWARE, OWNER_KERNEL)},
    [OWNER_MODE] = {"mode", OPTION_CHOICE, "MODE", "sev, sev-es or sev-snp (default sev)",
        "The guest's mode:\n.Cm sev , sev-es\nor\n.Cm sev-snp .\nDefault\n.Cm sev .",
        .choices = settings_encrypted_modes, .standard = IMAGE_SEV, .group = OWNER_GROUP_LAUNCH,
        .actions = FILES, .needs_one = IDS(OWNER_KERNEL, OWNER_FIRMWARE)},
    [OWNER_VCPUS] = {"vcpus", OPTION_NUMBER, "NUMBER",
        "virtual processors (default 1)",
        "Virtual processors: what\n.Ic softsev run\ngets as\n.Fl -cpus .\nDefault 1.", .min = 1,
        .max = MEASURE_VCPUS_MAX,
        .group = OWNER_GROUP_LAUNCH, .actions = FILES, .needs_one = IDS(OWNER_KERNEL,
        OWNER_FIRMWARE)},
    [OWNER_VCPU_TYPE] = {"vcpu-type", OPTION_PARSED, "NAME",
        "QEMU's CPU model, or CPUID 1 EAX as a number",
        "QEMU's CPU model, or CPUID leaf 1 EAX as a number.\nQEMU starts a processor with it in a "
        "register; other hypervisors do not, so that it does not change what they launch.",
        .parse = settings_vcpu_type, .should = SETTINGS_VCPU_TYPE,
        .words = SETTINGS_VCPU_WORDS, .group = OWNER_GROUP_LAUNCH,
        .actions = FILES, .needs = IDS(OWNER_FIRMWARE)},
    [OWNER_CPU] = {"cpu", OPTION_PARSED, "NAME", "instead of --vcpu-type: --cpu of softsev run",
        "Instead of\n.Fl -vcpu-type :\nthe processor as\n.Ic softsev run --cpu\n"
        "names it, such as genoa.\nFeatures after the name change no measured register.",
        .parse = settings_cpu, .should = SETTINGS_CPU, .words = SETTINGS_CPU_WORDS,
        .group = OWNER_GROUP_LAUNCH,
        .actions = FILES, .needs = IDS(OWNER_FIRMWARE), .excludes = IDS(OWNER_VCPU_TYPE)},
    [OWNER_VMM_TYPE] = {"vmm-type", OPTION_CHOICE, "NAME",
        "qemu, qemu-old, ec2, ec2-old, gce, krun, krun-old",
        "The hypervisor that launches:\n.Cm qemu , qemu-old , ec2 , ec2-old , gce , krun\nor\n"
        ".Cm krun-old .\nDefault\n.Cm qemu .", .choice_at = settings_vmm_at,
        .standard = MEASURE_VMM_QEMU, .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs = IDS(OWNER_FIRMWARE)},
    [OWNER_FEATURES] = {"guest-features", OPTION_PARSED, "NAMES",
        "SEV_FEATURES (default: sev-snp 1, sev-es 0)",
        "SEV_FEATURES: names and numbers, separated by commas, as\n.Xr softsev-run 1\n"
        "takes them.\nA single number is taken as it is; to names the SNP bit is added under\n"
        ".Cm sev-snp .\nDefault 1 for\n.Cm sev-snp ,\n0 for\n.Cm sev-es .",
        .parse = settings_guest_features, .should = SETTINGS_FEATURES,
        .words = SETTINGS_FEATURE_WORDS, .group = OWNER_GROUP_LAUNCH, .actions = FILES,
        .needs_one = IDS(OWNER_KERNEL, OWNER_FIRMWARE)},
    [OWNER_IMAGE_HASH] = {"ovmf-hash", OPTION_HEX, "HEX",
        "sev-snp: the digest that --ovmf-only printed",
        "Under\n.Cm sev-snp :\nthe digest after the flash image's pages, which\n.Fl -ovmf-only\n"
        "prints; the pages themselves are not hashed then.", .max = 48, .group = OWNER_GROUP_LAUNCH,
        .actions = FILES,
        .needs = IDS(OWNER_FIRMWARE)},
    [OWNER_IMAGE_ONLY] = {"ovmf-only", OPTION_FLAG, NULL,
        "sev-snp: print the digest after the image's pages",
        "Under\n.Cm sev-snp :\nstop after the flash image's pages and print the digest, for\n"
        ".Fl -ovmf-hash .", .group = OWNER_GROUP_LAUNCH, .actions = A(MEASURE) | A(EXPLAIN),
        .needs = IDS(OWNER_FIRMWARE),
        .excludes = IDS(OWNER_KERNEL, OWNER_INITRD, OWNER_APPEND, OWNER_HASHES, OWNER_VCPUS,
        OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE, OWNER_FEATURES,
                        OWNER_IMAGE_HASH)},

    [OWNER_REPORT_DATA] = {"report-data", OPTION_HEX, "HEX",
        "REPORT_DATA that the guest asked for, 64 bytes",
        "REPORT_DATA, which the guest chose when it asked for the report, 64 bytes.", .max = 64,
        .group = OWNER_GROUP_DEMANDS, .actions = A(VERIFY) | A(EXPLAIN)},
    [OWNER_HOST_DATA] = {"host-data", OPTION_HEX, "HEX",
        "HOST_DATA that the host gave at launch, 32 bytes",
        "HOST_DATA, which the host gave at launch, 32 bytes.", .max = 32,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS | A(EXPLAIN)},
    [OWNER_CHIP_ID] = {"chip-id", OPTION_HEX, "HEX",
        "id of the chip that signed, 64 bytes (Turin: 8)", "The id of the chip that must have "
        "signed the report: 64 bytes, or 8 where a part has short ids, such as Turin.", .min = 8,
        .max = 64,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_MIN_TCB] = {"min-tcb", OPTION_TEXT, "NUMBERS",
        "lowest TCB, such as 3.0.8.115",
        "The lowest TCB, such as 3.0.8.115: boot loader, TEE, SNP, microcode.\n"
        "For Turin five numbers, FMC first; a part without FMC takes four.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_MIN_SVN] = {"min-svn", OPTION_NUMBER, "NUMBER", "lowest GUEST_SVN (default 0)",
        "The lowest GUEST_SVN.\nDefault 0.", .max = UINT32_MAX,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_VMPL] = {"vmpl", OPTION_NUMBER, "NUMBER",
        "highest VMPL that may have asked for the report\n(default 0)",
        "The highest VMPL that may have asked for the report.\nDefault 0.", .max = VMPL_MAX,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ID_BLOCK] = {"id-block", OPTION_FILE, "FILE",
        "ID block that the guest was launched with",
        "The ID block that the guest must have been launched with.", .group = OWNER_GROUP_DEMANDS,
        .actions = REPORTS | A(EXPLAIN), .needs = IDS(OWNER_ID_AUTH)},
    [OWNER_ID_AUTH] = {"id-auth", OPTION_FILE, "FILE", "the ID block's authentication page",
        "The ID block's authentication page.", .group = OWNER_GROUP_DEMANDS,
        .actions = REPORTS | A(EXPLAIN), .needs = IDS(OWNER_ID_BLOCK)},
    [OWNER_ID_KEY] = {"id-key", OPTION_HEX, "HEX", "digest of the ID key",
        "The digest of the ID key, 48 bytes.", .max = 48, .group = OWNER_GROUP_DEMANDS,
        .actions = REPORTS},
    [OWNER_AUTHOR_KEY] = {"author-key", OPTION_HEX, "HEX",
        "digest of the author key; zeros: none is allowed",
        "The digest of the author key, 48 bytes; zeros: there must be no author key.", .max = 48,
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ALLOW_DEBUG] = {"allow-debug", OPTION_FLAG, NULL,
        "accept a guest that its host may debug", "Accept a guest that its host may debug.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ALLOW_MA] = {"allow-migration", OPTION_FLAG, NULL,
        "accept a guest with a migration agent", "Accept a guest with a migration agent.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ACCEPT_VERSION] = {"accept-unknown-version", OPTION_FLAG, NULL,
        "accept report versions after 5; check what 5 has",
        "Accept a report of a version after 5, which softsev does not know, and check the fields "
        "of version 5.\nThe output says so.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS},
    [OWNER_ACCEPT_MASKED] = {"accept-masked-chip-id", OPTION_FLAG, NULL,
        "accept a report that hides its chip's id",
        "Accept a report that hides its chip's id (MASK_CHIP_ID): only its signature ties it to "
        "the VCEK then.\nThe output says so.",
        .group = OWNER_GROUP_DEMANDS, .actions = REPORTS, .excludes = IDS(OWNER_CHIP_ID)},
};

#define ES_SNP (BIT(IMAGE_SEV_ES) | BIT(IMAGE_SEV_SNP))

static const struct option_rule rules[] = {
    /* The launched files, for every action that takes them. */
    {.relation = OPTION_NEEDS, .subjects = IDS(OWNER_KERNEL), .with = IDS(OWNER_FIRMWARE),
        .others = IDS(OWNER_HASHES),
     .why = "with a flash image a kernel is measured by its hash, or not at all"},
    {.relation = OPTION_ONLY, .subjects = IDS(OWNER_VCPUS), .with = IDS(OWNER_FIRMWARE),
        .others = IDS(OWNER_MODE), .values = ES_SNP,
     .why = "SEV measures no virtual processors"},
    {.relation = OPTION_ONLY, .subjects = IDS(OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE,
        OWNER_FEATURES), .others = IDS(OWNER_MODE), .values = ES_SNP,
     .why = "SEV measures no virtual processors"},
    {.relation = OPTION_ONLY, .subjects = IDS(OWNER_IMAGE_HASH, OWNER_IMAGE_ONLY),
        .others = IDS(OWNER_MODE), .values = BIT(IMAGE_SEV_SNP),
     .why = "only SNP has a digest after the image"},
    {.relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_HOLE), .others = IDS(BEHIND_FIRMWARE),
     .why = "the place that firmware has for a secret is not measured"},
    {.relation = OPTION_ONLY, .subjects = IDS(OWNER_HOLE), .others = IDS(OWNER_MODE),
        .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES),
     .why = "the launch of an SNP guest carries no secret"},
    {.actions = A(EXPLAIN), .relation = OPTION_ONLY, .subjects = IDS(OWNER_DUMP),
        .with = IDS(OWNER_FIRMWARE), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV), .why = "in the other modes registers are launched too, which are "
        "no bytes of a file"},

    /* verify: a chain alone, an SNP report, or with --chain a legacy one. */
    {.actions = A(VERIFY), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_CHAIN),
        .others = IDS(OWNER_SNP_ALONE, OWNER_IMAGE_HASH),
     .why = "--chain belongs to a legacy report, the other to an SNP report"},
    {.actions = A(VERIFY), .relation = OPTION_EXCLUDES,
        .subjects = IDS(OWNER_NONCE, OWNER_LAUNCH, OWNER_HOLE),
        .others = IDS(OWNER_SNP_ALONE, OWNER_IMAGE_HASH),
     .why = "the first belongs to a legacy report, the second to an SNP report"},
    {.actions = A(VERIFY), .relation = OPTION_NEEDS_ONE, .others = IDS(OWNER_CHAIN, OWNER_REPORT)},
    {.actions = A(VERIFY), .relation = OPTION_NEEDS,
     .subjects = IDS(OWNER_SNP_ALONE, OWNER_NONCE, OWNER_POLICY, OWNER_LAUNCH, OWNER_DIGEST,
     OWNER_ALLOW_DEBUG, OWNER_KERNEL, OWNER_FIRMWARE),
     .others = IDS(OWNER_REPORT), .why = "it says what a report must hold"},
    {.actions = A(VERIFY), .relation = OPTION_NEEDS, .subjects = IDS(OWNER_NONCE, OWNER_LAUNCH,
        OWNER_HOLE), .others = IDS(OWNER_CHAIN),
     .why = "it belongs to a legacy report"},

    {.actions = A(VERIFY), .relation = OPTION_ONLY, .subjects = IDS(OWNER_KERNEL, OWNER_FIRMWARE),
        .with = IDS(OWNER_CHAIN), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES), .why = "SNP's reports come without --chain"},
    {.actions = A(VERIFY), .relation = OPTION_ONLY, .subjects = IDS(OWNER_KERNEL, OWNER_FIRMWARE),
        .without = IDS(OWNER_CHAIN), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "a legacy report comes with --chain"},

    /* measure: a measurement is compared, one is computed,
    or with --mode alone the digest is printed. */
    {.actions = A(MEASURE), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_MEASUREMENT),
        .others = IDS(OWNER_NONCE)},
    {.actions = A(MEASURE), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_IMAGE_ONLY),
        .others = IDS(OWNER_MEASUREMENT, OWNER_NONCE,
     OWNER_STATE, OWNER_TK, OWNER_POLICY, OWNER_API, OWNER_BUILD, OWNER_PLATFORM),
     .why = "--ovmf-only prints the digest of a part of an SNP launch"},
    {.actions = A(MEASURE), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_IMAGE_HASH),
        .others = IDS(OWNER_MEASUREMENT, OWNER_NONCE,
     OWNER_STATE, OWNER_TK, OWNER_POLICY, OWNER_API, OWNER_BUILD, OWNER_PLATFORM),
     .why = "SNP measures nothing before a guest runs"},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE, .without = IDS(OWNER_MODE),
        .others = IDS(OWNER_MEASUREMENT, OWNER_NONCE),
     .why = "or give --mode, to print the launch digest of files"},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE,
     .subjects = IDS(OWNER_STATE, OWNER_TK, OWNER_POLICY, OWNER_API, OWNER_BUILD, OWNER_PLATFORM,
     OWNER_DIGEST, OWNER_LAUNCH),
     .others = IDS(OWNER_MEASUREMENT, OWNER_NONCE), .why = "with --mode alone the launch digest "
        "of files is printed"},
    {.actions = A(MEASURE), .relation = OPTION_ONLY, .subjects = IDS(OWNER_MEASUREMENT,
        OWNER_NONCE), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES), .why = "SNP measures nothing before a guest "
        "runs: its reports prove the digest"},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE,
        .subjects = IDS(OWNER_MEASUREMENT, OWNER_NONCE), .others = IDS(OWNER_STATE, OWNER_TK)},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE,
        .subjects = IDS(OWNER_MEASUREMENT, OWNER_NONCE), .others = IDS(OWNER_API, OWNER_PLATFORM)},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS, .subjects = IDS(OWNER_API),
        .others = IDS(OWNER_BUILD)},
    {.actions = A(MEASURE), .relation = OPTION_NEEDS_ONE,
        .others = IDS(OWNER_DIGEST, OWNER_LAUNCH, OWNER_KERNEL, OWNER_FIRMWARE),
     .why = "they say what was launched"},

    /* answer, id-block: SNP's alone. */
    {.actions = A(ANSWER) | SIGN, .relation = OPTION_ONLY,
        .subjects = IDS(OWNER_KERNEL, OWNER_FIRMWARE), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "only SNP has such reports and ID blocks"},
    {.actions = A(ANSWER), .relation = OPTION_NEEDS_ONE,
        .others = IDS(OWNER_DIGEST, OWNER_KERNEL, OWNER_FIRMWARE, OWNER_ID_BLOCK),
     .why = "they say which guest may have the secret"},
    {.actions = SIGN, .relation = OPTION_NEEDS_ONE, .others = IDS(OWNER_DIGEST, OWNER_KERNEL,
        OWNER_FIRMWARE), .why = "they say what may be launched"},
    {.actions = SIGN, .relation = OPTION_NEEDS_ONE, .others = IDS(OWNER_ID_KEY_FILE,
        OWNER_NEW_ID_KEY),
     .why = "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384` makes a key, too"},

    /* explain: a launch by its files, or a report. */
    {.actions = A(EXPLAIN), .relation = OPTION_NEEDS,
     .subjects = IDS(EXPECTED), .others = IDS(OWNER_REPORT),
     .why = "it says what a report must hold"},
    {.actions = A(EXPLAIN), .relation = OPTION_NEEDS_ONE, .without = IDS(OWNER_REPORT),
        .others = IDS(OWNER_KERNEL, OWNER_FIRMWARE)},
    {.actions = A(EXPLAIN), .relation = OPTION_ONLY, .subjects = IDS(OWNER_KERNEL, OWNER_FIRMWARE),
        .with = IDS(OWNER_REPORT), .others = IDS(OWNER_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "only an SNP guest has such a report"},
    {.actions = A(EXPLAIN), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_IMAGE_ONLY),
        .others = IDS(OWNER_REPORT, EXPECTED),
     .why = "a report measures the whole launch"},
    {.actions = A(EXPLAIN), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_HOLE),
        .others = IDS(OWNER_REPORT, EXPECTED),
     .why = "the launch of an SNP guest carries no secret"},
    {.actions = A(EXPLAIN), .relation = OPTION_EXCLUDES, .subjects = IDS(OWNER_DIFF, OWNER_DUMP),
        .others = IDS(EXPECTED),
     .why = "the first is about files, the second about a report"},
};
// clang-format on

const struct option_table cli_owner_table = {
    .command = "owner",
    .title = "the guest owner: verify a guest, give it a secret",
    .usage = "softsev owner ACTION [OPTIONS]    softsev owner ACTION --help",
    .about = "The guest owner's side: verify a platform or guest, then give it a secret.\n"
             "SEV and SEV-ES: session, measure, secret. SNP: id-block, hello, answer.",
    .groups = groups,
    .group_count = ARRAY_SIZE(groups),
    .rows = rows,
    .count = OWNER_IDS,
    .actions = actions,
    .action_count = ARRAY_SIZE(actions),
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
