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
    [PLATFORM_INIT] = {"init", "make the platform if there is none, then as status",
        .man = "Make the platform if there is none (the manufacturer's RSA keys take some "
        "seconds), power it on, and print what it is."},
    [PLATFORM_STATUS] = {"status", "power it on, verify its certificates, print what it is",
        .man = "Power the platform on, verify its certificates, and print what it is."},
    [PLATFORM_EXPORT] = {"export", "write SEV certificates into --out: chain, root, NAME.cert",
        .man = "Write the certificates of SEV and SEV-ES into the folder\n.Fl -out :\n.Pa chain\n"
        "(PDH, PEK, OCA, CEK; the layout that sevctl exports),\n.Pa root\n"
        "(ASK, ARK; what an owner is told to trust), and each as\n.Pa NAME.cert ."},
    [PLATFORM_CERTS] = {"certs", "write SNP certificates into --out: ark, ask, vcek or vlek, crl",
        .man = "Write what verifiers of SNP reports read into the folder\n.Fl -out :\n"
        ".Pa ark.pem , ask.pem , vcek.pem\nand the revocation list\n.Pa crl.pem ,\n"
        "each also as DER in\n.Pa der/ .\nWith\n.Fl -vlek\n.Pa asvk.pem\nand\n.Pa vlek.pem\n"
        "take the place of\n.Pa ask.pem\nand\n.Pa vcek.pem ,\n"
        "because tools prefer a VLEK where there is one.\nWhat\n.Cm export\nwrites is in\n"
        ".Pa sev/ .\nMade again in the same year, a certificate is the same to the byte."},
    [PLATFORM_ID] = {"id", "print the chip id, or write its bytes to --out",
        .man = "Print the chip id, or write its bytes to\n.Fl -out ."},
    [PLATFORM_PDH_GEN] = {"pdh-gen", "make a new PDH (key for sessions)",
        .man = "Make a new PDH, the key that sessions are agreed on with."},
    [PLATFORM_PEK_GEN] = {"pek-gen", "make new OCA, PEK and PDH: the platform owns itself again",
        .man = "Make new OCA, PEK and PDH: the platform owns itself again."},
    [PLATFORM_PEK_CSR] = {"pek-csr", "write the PEK's signing request to --out",
        .man = "Write the PEK's signing request to\n.Fl -out ."},
    [PLATFORM_CERT_IMPORT] = {"cert-import", "take the owner who signed the PEK: --pek and --oca",
        .man = "Take an owner:\n.Fl -pek\nis the signing request as the owner signed it,\n"
        ".Fl -oca\nthe owner's certificate."},
    [PLATFORM_MEASURE] = {"measure", "launch the bytes of --launch, print their measurement",
        .man = "Launch the bytes of\n.Fl -launch\nin order (LAUNCH_START, LAUNCH_UPDATE_DATA, "
        "LAUNCH_MEASURE) under the owner's session in the folder\n.Fl -session\nand\n"
        ".Fl -policy ,\nand print the measurement as base64.\nNothing runs.\nWith\n.Fl -out ,\n"
        "write the firmware's attestation report of it (ATTESTATION, with the measurement's "
        "MNONCE) there."},
    [PLATFORM_RESET] = {"reset", "forget OCA, PEK and PDH, even damaged ones; keep chip and CEK",
        .man = "Forget OCA, PEK and PDH.\nChip and CEK stay.\n"
        "This is also how a damaged or lost\n.Pa store\n"
        "is given up: nothing else deletes or replaces it."},
};

static const struct option_row rows[] = {
    [PLATFORM_STATE] = {"state", OPTION_FOLDER, "DIR",
        "folder of the platform (default: $SOFTSEV_STATE, or\n~/.local/state/softsev)",
        .man = "The folder that the platform is kept in; see\n.Xr softsev 1 ."},
    [PLATFORM_SEED] = {"seed", OPTION_TEXT, "TEXT",
        "take all randomness from TEXT: the same platform everywhere",
        .man = "Take all randomness from this text: it gives the same platform on every computer."},
    [PLATFORM_PROFILE] = {"profile", OPTION_CHOICE, "NAME",
        "part and firmware, which `softsev profiles` lists; kept",
        "Part and firmware, one of those that\n.Cm softsev profiles\nlists.\n"
        "The state folder keeps the choice for the next time.\n"
        "Firmware older than what SNP_COMMIT has committed is refused.",
        .choice_at = cli_profile_at},
    [PLATFORM_OUT] = {"out", OPTION_FILE, "PATH",
        "where to write: a folder for export and certs, else a file", "Where to write: for\n"
        ".Cm export\nand\n.Cm certs\na folder, otherwise a file.", .output = true,
        .actions = A(EXPORT) | A(CERTS) | A(ID) | A(PEK_CSR) | A(MEASURE),
        .required = A(EXPORT) | A(CERTS) | A(PEK_CSR)},
    [PLATFORM_PEK] = {"pek", OPTION_FILE, "FILE", "the PEK's request, signed by the owner",
        "The PEK's signing request, signed by the owner.", .actions = A(CERT_IMPORT),
        .required = A(CERT_IMPORT)},
    [PLATFORM_OCA] = {"oca", OPTION_FILE, "FILE", "the owner's certificate",
        "The owner's certificate.", .actions = A(CERT_IMPORT), .required = A(CERT_IMPORT)},
    [PLATFORM_TCB] = {"tcb", OPTION_TEXT, "TCB",
        "TCB of the VCEK or VLEK, such as 4.0.24.219 (default: the\nreported one)",
        "The TCB that the VCEK or VLEK is for, such as 4.0.24.219 (boot loader, TEE, SNP, "
        "microcode; on a Turin FMC before them), or the 64-bit number in hexadecimal, 0x before "
        "it.\nDefault: the one that the platform reports.", .actions = A(CERTS)},
    [PLATFORM_VLEK] = {"vlek", OPTION_PARSED, "CSP",
        "write a VLEK for this cloud provider, not a VCEK",
        "Write a VLEK for the cloud provider of this name, not a VCEK.",
        .parse = cli_csp, .should = CLI_CSP_SHOULD, .actions = A(CERTS)},
    [PLATFORM_KDS_URL] = {"kds-url", OPTION_TEXT, "URL",
        "base of the addresses of revocation lists in certificates",
        "Base of the addresses of revocation lists in the certificates.", .actions = A(CERTS)},
    [PLATFORM_LAUNCH] = {"launch", OPTION_FILE, "FILE", "the bytes to launch, in order",
        "The bytes to launch, in order.",
        .actions = A(MEASURE), .required = A(MEASURE)},
    [PLATFORM_SESSION] = {"session", OPTION_FOLDER, "DIR",
        "the owner's session: godh.b64, session.b64",
        "The owner's session:\n.Pa godh.b64\nand\n.Pa session.b64\nof\n.Ic softsev owner session .",
        .actions = A(MEASURE)},
    [PLATFORM_POLICY] = {"policy", OPTION_NUMBER, "NUMBER",
        "guest policy (default 1: no debugging)", "Guest policy.\nDefault 1, no debugging.",
        .max = UINT32_MAX, .actions = A(MEASURE)},
    [PLATFORM_JSON] = {"json", OPTION_FLAG, NULL, "print one line of JSON",
        "Print one line of JSON.",
        .actions = REPORTING | A(ID) | A(MEASURE)},
};

static const struct option_rule rules[] = {
    {.actions = A(ID), .relation = OPTION_EXCLUDES, .subjects = OPTION_IDS(PLATFORM_JSON),
        .others = OPTION_IDS(PLATFORM_OUT),
     .why = "with --out nothing is printed"},
};
// clang-format on

const struct option_table cli_platform_table = {
    .command = "platform",
    .title = "make a platform; show and export its identity and certificates",
    .usage = "softsev platform ACTION [OPTIONS]    softsev platform ACTION --help",
    .about = "The host's side without a guest: a platform's identity, certificates and owner.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .actions = actions,
    .action_count = ARRAY_SIZE(actions),
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
