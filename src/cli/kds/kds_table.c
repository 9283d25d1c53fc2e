/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `softsev kds`. */
#include "cli/kds/kds_table.h"
#include "cli/identity/profile.h"

#include "cli/cli.h"
#include "cli/settings.h"

// clang-format off
static const struct option_row rows[] = {
    [KDS_LISTEN] = {"listen", OPTION_TEXT, "ADDRESS:PORT",
        "where to listen (default " LISTEN_AT "); port 0: any\nfree one",
        .man = "Where to listen; port 0 is any free one.\nDefault " LISTEN_AT "."},
    [KDS_STATE] = {"state", OPTION_FOLDER, "DIR",
        "folder of the platform to serve (default:\n$SOFTSEV_STATE, or ~/.local/state/softsev)",
        .man = "The folder of the platform whose chip and manufacturer are served; see\n"
        ".Xr softsev 1 ."},
    [KDS_SEED] = {"seed", OPTION_TEXT, "TEXT", "serve the chip of this seed, too; may be repeated",
        "Serve the chip that this seed gives, too; may be repeated.", .list = true},
    [KDS_CSP] = {"csp", OPTION_PARSED, "NAME",
        "cloud provider that VLEKs are for (default " CLI_CSP ")",
        "The cloud provider that VLEKs are for.\nDefault " CLI_CSP ".", .parse = cli_csp,
        .should = CLI_CSP_SHOULD},
    [KDS_URL] = {"kds-url", OPTION_TEXT, "URL",
        "base of the addresses of revocation lists in\n"
        "certificates (default http://softsev.invalid)",
        .man = "Base of the addresses of revocation lists in certificates.\n"
        "Default http://softsev.invalid."},
    [KDS_INJECT] = {"inject", OPTION_TEXT, "FAULTS",
        "fail on purpose: 429, 404, 500, delay=MS, wrong\n"
        "(another chip's certificate), separated by commas;\n"
        "FAULT:N: every Nth request. 429:3,delay=200",
        .man = "Fail on purpose, by a list of faults separated by commas:\n.Cm 429\n"
        "(with Retry-After),\n.Cm 404 ,\n.Cm 500 ,\n.Cm wrong\n"
        "(the certificate of another chip or provider, properly signed),\n.Cm delay=MS .\nWith\n"
        ".Cm :N\nafter a fault, only every Nth request fails.\nExample: 429:3,delay=200,wrong:10."},
    [KDS_TLS_CERT] = {"tls-cert", OPTION_FILE, "FILE", "serve HTTPS with this certificate (PEM)",
        "PEM file of the server's certificate; the service is HTTPS then.",
        .needs = OPTION_IDS(KDS_TLS_KEY)},
    [KDS_TLS_KEY] = {"tls-key", OPTION_FILE, "FILE", "its private key (PEM)",
        "PEM file of the certificate's private key.",
        .needs = OPTION_IDS(KDS_TLS_CERT)},
    [KDS_JSON] = {"json", OPTION_FLAG, NULL, "print what happens as JSON lines",
        .man = "Print what happens as JSON lines: {\"event\":\"listening\"}, then "
        "{\"event\":\"request\"} for each request."},
    [KDS_QUIET] = {"quiet", OPTION_FLAG, NULL, "print no line for each request",
        .man = "Print no line for each request."},
};
// clang-format on

const struct option_table cli_kds_table = {
    .command = "kds",
    .title = "the manufacturer's key server, which gives out certificates",
    .usage = "softsev kds [OPTIONS]",
    .about = "The manufacturer's key distribution service (KDS) over HTTP: VCEKs, VLEKs,\n"
             "certificate chains and revocation lists. Its first line says where it listens.\n"
             "SIGTERM and SIGINT end it.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
};
