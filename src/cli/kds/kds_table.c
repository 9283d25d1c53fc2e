/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `softsev kds`. */
#include "cli/kds/kds_table.h"
#include "cli/identity/profile.h"

#include "cli/cli.h"
#include "cli/settings.h"

// clang-format off
static const struct option_row rows[] = {
    [KDS_LISTEN] = {"listen", OPTION_TEXT, "ADDRESS:PORT", "(default " LISTEN_AT "); port 0: any free one",
        .man = LISTEN_AT " if not given; port 0 is any free one."},
    [KDS_STATE] = {"state", OPTION_FOLDER, "DIR", "whose chip and authority ($SOFTSEV_STATE, or\n~/.local/state/softsev)",
        .man = "Whose chip and authority; see\n.Xr softsev 1 ."},
    [KDS_SEED] = {"seed", OPTION_TEXT, "TEXT", "also the chip that this seed gives; may be repeated",
        "Also the chip that this seed gives; may be repeated.", .list = true},
    [KDS_CSP] = {"csp", OPTION_PARSED, "NAME", "the cloud provider of VLEKs (default " CLI_CSP ")",
        "The cloud provider that VLEKs are for.\nDefault " CLI_CSP ".", .parse = cli_csp, .should = CLI_CSP_SHOULD},
    [KDS_URL] = {"kds-url", OPTION_TEXT, "URL", "base of the addresses in certificates",
        .man = "Base of the addresses of revocation lists in certificates; http://softsev.invalid if not given."},
    [KDS_INJECT] = {"inject", OPTION_TEXT, "FAULTS", "429, 404, 500, delay=MS, wrong (somebody else's\ncertificate), with commas between; :N after one:\neach Nth request. 429:3,delay=200,wrong:10",
        .man = "What goes wrong on purpose, separated by commas:\n.Cm 429\n(with Retry-After),\n.Cm 404 ,\n.Cm 500 ,\n.Cm wrong\n"
        "(the certificate of another chip or provider, properly signed),\n.Cm delay=MS .\nWith\n.Cm :N\n"
        "after it, each Nth request only: 429:3,delay=200,wrong:10."},
    [KDS_TLS_CERT] = {"tls-cert", OPTION_FILE, "FILE", "PEM; with --tls-key: HTTPS", "PEM file of the certificate; the service is HTTPS then.",
        .needs = OPTION_IDS(KDS_TLS_KEY)},
    [KDS_TLS_KEY] = {"tls-key", OPTION_FILE, "FILE", "PEM; its private key", "PEM file of its private key.",
        .needs = OPTION_IDS(KDS_TLS_CERT)},
    [KDS_JSON] = {"json", OPTION_FLAG, NULL, "what happens as JSON lines",
        .man = "What happens as JSON lines: {\"event\":\"listening\"}, then one {\"event\":\"request\"} each."},
    [KDS_QUIET] = {"quiet", OPTION_FLAG, NULL, "no line for each request", .man = "No line for each request."},
};
// clang-format on

const struct option_table cli_kds_table = {
    .command = "kds",
    .title = "the manufacturer's key distribution service",
    .usage = "softsev kds [OPTIONS]",
    .about = "The manufacturer's key distribution service over HTTP: VCEKs, VLEKs, chains,\n"
             "revocation lists. Its first line says where it listens. SIGTERM and SIGINT end\n"
             "it.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
};
