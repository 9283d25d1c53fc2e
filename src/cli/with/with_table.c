/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `softsev with`. */
#include "cli/with/with_table.h"
#include "cli/identity/profile.h"

#include "cli/cli.h"
#include "cli/settings.h"

// clang-format off
static const struct option_row rows[] = {
    [WITH_STATE] = {"state", OPTION_FOLDER, "DIR", "where the platform is kept ($SOFTSEV_STATE, or\n~/.local/state/softsev)",
        .man = "Where the platform is kept; see\n.Xr softsev 1 .\n"
        "It is made if it is new (the manufacturer's RSA keys take some seconds)."},
    [WITH_SEED] = {"seed", OPTION_TEXT, "TEXT", "all randomness from it: the same platform everywhere",
        .man = "All randomness from it: the same platform on every computer."},
    [WITH_PROFILE] = {"profile", OPTION_CHOICE, "NAME", "part and firmware (`softsev profiles`); kept for later",
        "The part and its firmware; kept for the next time.\n.Nm softsev profiles\nlists them.\n.Nm\n"
        "cannot change what CPUID tells the program.\n"
        "A line on standard error says so when the computer's processor is an SNP part of another product than the profile's:\n"
        "a tool that reads CPUID, such as snphost, would misread the TCB.", .choice_at = cli_profile_at},
    [WITH_GUEST] = {"guest", OPTION_FILE, "FILE", "with a launched SNP guest that the program is inside\nof: /dev/sev-guest and configfs-tsm; softsev-with(1)",
        .man = "Launches an SNP guest as the file describes it, and runs the program as if inside: it finds\n.Pa /dev/sev-guest\nand\n"
        ".Pa /sys/kernel/config/tsm/report\ntoo.\nSee\n.Sx GUESTS ."},
    [WITH_CSP] = {"csp", OPTION_PARSED, "NAME", "whose VLEK comes with reports once one is loaded\n(default " CLI_CSP ")",
        "The cloud provider whose VLEK the host hands out with reports once one is loaded, as of\n.Xr softsev-kds 1\n(" CLI_CSP ").",
        .parse = cli_csp, .should = CLI_CSP_SHOULD, .needs = OPTION_IDS(WITH_GUEST)},
    [WITH_TRACE] = {"trace", OPTION_PARSED, "WORDS", "print events: all, or some of command,switch,key,\nview,page,vm,owner,device",
        "Print events: all, or some of command, switch, key, view, page, vm, owner, device, with commas between.",
        .parse = settings_trace, .should = SETTINGS_TRACE, .words = SETTINGS_TRACE_WORDS},
    [WITH_TRACE_FILE] = {"trace-file", OPTION_FILE, "FILE", "... into a file instead of standard error",
        "Events into a file instead of standard error.", .output = true, .needs = OPTION_IDS(WITH_TRACE)},
    [WITH_JSON] = {"json", OPTION_FLAG, NULL, "... as lines of JSON", "Events as lines of JSON.", .needs = OPTION_IDS(WITH_TRACE)},
};
// clang-format on

const struct option_table cli_with_table = {
    .command = "with",
    .title = "run a program that finds a SEV platform's device files",
    .usage = "softsev with [OPTIONS] -- COMMAND [ARGUMENTS]",
    .about = "Runs any program, static or not, without privilege, so that it finds the device\n"
             "file of a SEV platform: /dev/sev. Exits as the program does; 127 if it cannot\n"
             "be run.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .rest = true,
};
