/* SPDX-License-Identifier: Apache-2.0 */
/* The actions and options of `softsev platform`. */
#include "cli/platform/platform_table.h"
#include "cli/identity/profile.h"

#include "cli/cli.h"
#include "cli/settings.h"

#define A(action) (1u << PLATFORM_##action)
#define REPORTING (A(INIT) | A(STATUS) | A(PDH_GEN) | A(PEK_GEN) | A(CERT_IMPORT))

// clang-format off
static const struct option_action actions[] = {
    [PLATFORM_INIT] = {"init", "make the platform if it is new, power it on, say what it is",
        .man = "Make the platform if it is new (the manufacturer's RSA keys take some seconds), power it on, and say what it is."},
    [PLATFORM_STATUS] = {"status", "power it on, verify its chain, say what it is", .man = "Power it on, verify its chain, and say what it is."},
    [PLATFORM_EXPORT] = {"export", "SEV's certificates into --out: chain, root (ASK, ARK), NAME.cert",
        .man = "Write certificates into the folder\n.Fl -out :\n.Pa chain\n(PDH, PEK, OCA, CEK; the layout that sevctl exports),\n.Pa root\n"
        "(ASK, ARK; what an owner is told to trust), and each as\n.Pa NAME.cert ."},
    [PLATFORM_CERTS] = {"certs", "SNP's into --out: ark, ask, vcek or vlek, crl; SEV's: out/sev",
        .man = "Write what verifiers of SNP reports read into the folder\n.Fl -out :\n.Pa ark.pem , ask.pem , vcek.pem\n"
        "and the revocation list\n.Pa crl.pem ,\neach also as DER in\n.Pa der/ .\nWith\n.Fl -vlek\n.Pa asvk.pem\nand\n.Pa vlek.pem\n"
        "take the place of\n.Pa ask.pem\nand\n.Pa vcek.pem ,\nbecause tools prefer a VLEK where there is one.\nWhat\n.Cm export\n"
        "writes is in\n.Pa sev/ .\nMade again in the same year, a certificate is the same to the byte."},
    [PLATFORM_ID] = {"id", "print the chip id, or write its bytes to --out", .man = "Print the chip id, or write its bytes to\n.Fl -out ."},
    [PLATFORM_PDH_GEN] = {"pdh-gen", "a new PDH", .man = "Make a new PDH."},
    [PLATFORM_PEK_GEN] = {"pek-gen", "new OCA, PEK and PDH; the platform owns itself again",
        .man = "Make new OCA, PEK and PDH; the platform owns itself again."},
    [PLATFORM_PEK_CSR] = {"pek-csr", "write the PEK's signing request to --out", .man = "Write the PEK's signing request to\n.Fl -out ."},
    [PLATFORM_CERT_IMPORT] = {"cert-import", "take an owner: --pek, the signed request, and --oca",
        .man = "Take an owner:\n.Fl -pek\nis the signed request,\n.Fl -oca\nthe owner's certificate."},
    [PLATFORM_MEASURE] = {"measure", "launch --launch under --session, print what is measured",
        .man = "Launch the bytes of\n.Fl -launch\nin order (LAUNCH_START, LAUNCH_UPDATE_DATA, LAUNCH_MEASURE) under the owner's session in the folder\n"
        ".Fl -session\nand\n.Fl -policy ,\nand print the measurement as base64.\nNothing runs.\nWith\n.Fl -out ,\n"
        "write the firmware's attestation report of it (ATTESTATION, with the measurement's MNONCE) there."},
    [PLATFORM_RESET] = {"reset", "forget OCA, PEK and PDH, damaged or lost ones too; chip, CEK stay",
        .man = "Forget OCA, PEK and PDH.\nChip and CEK stay.\nThis is also how a damaged or lost\n.Pa store\nis given up: nothing else "
               "deletes or replaces it."},
};

static const struct option_row rows[] = {
    [PLATFORM_STATE] = {"state", OPTION_FOLDER, "DIR", "where it is kept ($SOFTSEV_STATE, or ~/.local/state/softsev)",
        .man = "Where the platform is kept; see\n.Xr softsev 1 ."},
    [PLATFORM_SEED] = {"seed", OPTION_TEXT, "TEXT", "all randomness from it: the same platform everywhere",
        .man = "All randomness from it: the same platform on every computer."},
    [PLATFORM_PROFILE] = {"profile", OPTION_CHOICE, "NAME", "part and firmware (`softsev profiles`); kept for later",
        "Part and firmware, one of those that\n.Cm softsev profiles\nlists.\n"
        "It is kept for the next time; at first it is the default.\nFirmware older than what SNP_COMMIT has kept is refused.",
        .choice_at = cli_profile_at},
    [PLATFORM_OUT] = {"out", OPTION_FILE, "PATH", "what is written: a file, for export and certs a folder", "What is written: for\n.Cm export\nand\n.Cm certs\na folder, otherwise a file.", .output = true,
        .actions = A(EXPORT) | A(CERTS) | A(ID) | A(PEK_CSR) | A(MEASURE), .required = A(EXPORT) | A(CERTS) | A(PEK_CSR)},
    [PLATFORM_PEK] = {"pek", OPTION_FILE, "FILE", "the PEK's signed request", "The PEK's signed request.", .actions = A(CERT_IMPORT), .required = A(CERT_IMPORT)},
    [PLATFORM_OCA] = {"oca", OPTION_FILE, "FILE", "the owner's certificate", "The owner's certificate.", .actions = A(CERT_IMPORT), .required = A(CERT_IMPORT)},
    [PLATFORM_TCB] = {"tcb", OPTION_TEXT, "TCB", "of the VCEK or VLEK, such as 4.0.24.219 (the reported one)",
        "The TCB that the VCEK or VLEK is for, such as 4.0.24.219 (boot loader, TEE, SNP, microcode; on a Turin FMC before them) or 0x and\n"
        "the number itself.\nDefault: the one that the platform reports.", .actions = A(CERTS)},
    [PLATFORM_VLEK] = {"vlek", OPTION_PARSED, "CSP", "a VLEK for this cloud provider, not a VCEK", "A VLEK for the cloud provider of this name, not a VCEK.",
        .parse = cli_csp, .should = CLI_CSP_SHOULD, .actions = A(CERTS)},
    [PLATFORM_KDS_URL] = {"kds-url", OPTION_TEXT, "URL", "base of the addresses in certificates",
        "Base of the addresses of revocation lists in the certificates.", .actions = A(CERTS)},
    [PLATFORM_LAUNCH] = {"launch", OPTION_FILE, "FILE", "the bytes to launch, in order", "The bytes to launch, in order.",
        .actions = A(MEASURE), .required = A(MEASURE)},
    [PLATFORM_SESSION] = {"session", OPTION_FOLDER, "DIR", "the owner's session: godh.b64, session.b64",
        "The owner's session:\n.Pa godh.b64\nand\n.Pa session.b64\nof\n.Ic softsev owner session .", .actions = A(MEASURE)},
    [PLATFORM_POLICY] = {"policy", OPTION_NUMBER, "NUMBER", "guest policy (default 1: no debugging)", "Guest policy.\nDefault 1, no debugging.",
        .max = UINT32_MAX, .actions = A(MEASURE)},
    [PLATFORM_JSON] = {"json", OPTION_FLAG, NULL, "the report as one line of JSON", "The report as one line of JSON.",
        .actions = REPORTING | A(ID) | A(MEASURE)},
};

static const struct option_rule rules[] = {
    {.actions = A(ID), .relation = OPTION_EXCLUDES, .subjects = OPTION_IDS(PLATFORM_JSON), .others = OPTION_IDS(PLATFORM_OUT),
     .why = "the file has the bytes, and nothing is printed"},
};
// clang-format on

const struct option_table cli_platform_table = {
    .command = "platform",
    .title = "a platform's identity, certificates and owner",
    .usage = "softsev platform ACTION [OPTIONS]    softsev platform ACTION --help",
    .about = "A platform's identity and certificates, without a guest.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .actions = actions,
    .action_count = ARRAY_SIZE(actions),
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
