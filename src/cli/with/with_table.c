/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `softsev with`. */
#include "cli/with/with_table.h"
#include "cli/identity/profile.h"

#include "cli/cli.h"
#include "cli/settings.h"

// clang-format off
static const struct option_row rows[] = {
    [WITH_STATE] = {"state", OPTION_FOLDER, "DIR",
        "folder of the platform (default: $SOFTSEV_STATE, or\n~/.local/state/softsev)",
        .man = "The folder that the platform is kept in; see\n.Xr softsev 1 .\n"
        "A missing platform is made (the manufacturer's RSA keys take some seconds)."},
    [WITH_SEED] = {"seed", OPTION_TEXT, "TEXT",
        "take all randomness from TEXT: the same platform\neverywhere",
        .man = "Take all randomness from this text: it gives the same platform on every computer."},
    [WITH_PROFILE] = {"profile", OPTION_CHOICE, "NAME",
        "part and firmware, which `softsev profiles` lists;\nkept for the next time",
        "The part and its firmware; kept for the next time.\n.Nm softsev profiles\nlists them.\n"
        ".Nm\ncannot change what CPUID tells the program.\nA line on standard error says so when "
        "the computer's processor is an SNP part of another product than the profile's:\n"
        "a tool that reads CPUID, such as snphost, would misread the TCB.",
        .choice_at = cli_profile_at},
    [WITH_GUEST] = {"guest", OPTION_FILE, "FILE",
        "launch the SNP guest of this file and run the program\n"
        "as if inside: /dev/sev-guest, configfs-tsm",
        .man = "Launches an SNP guest as the file describes it, and runs the program as if it "
        "were inside: the program also finds\n.Pa /dev/sev-guest\nand\n"
        ".Pa /sys/kernel/config/tsm/report .\nSee\n.Sx GUESTS ."},
    [WITH_CSP] = {"csp", OPTION_PARSED, "NAME",
        "cloud provider whose VLEK the host gives out once one\nis loaded (default " CLI_CSP ")",
        "The cloud provider whose VLEK the host gives out with reports once one is loaded; see\n"
        ".Xr softsev-kds 1 .\nDefault " CLI_CSP ".",
        .parse = cli_csp, .should = CLI_CSP_SHOULD, .needs = OPTION_IDS(WITH_GUEST)},
    [WITH_TRACE] = {"trace", OPTION_PARSED, "WORDS",
        "print events: all, or a list of command, switch, key,\nview, page, vm, owner, device",
        "Print events: all, or some of command, switch, key, view, page, vm, owner, device, "
        "separated by commas.",
        .parse = settings_trace, .should = SETTINGS_TRACE, .words = SETTINGS_TRACE_WORDS},
    [WITH_TRACE_FILE] = {"trace-file", OPTION_FILE, "FILE",
        "write events to FILE instead of standard error",
        "Write events to this file instead of standard error.", .output = true,
        .needs = OPTION_IDS(WITH_TRACE)},
    [WITH_JSON] = {"json", OPTION_FLAG, NULL, "print events as lines of JSON",
        "Print events as lines of JSON.", .needs = OPTION_IDS(WITH_TRACE)},
};
// clang-format on

const struct option_table cli_with_table = {
    .command = "with",
    .title = "run a program as on a computer with SEV: it finds /dev/sev",
    .usage = "softsev with [OPTIONS] -- COMMAND [ARGUMENTS]",
    .about = "Runs any program, static or dynamic, without privileges, as on a computer with\n"
             "SEV: it finds the device file /dev/sev. The exit code is the program's, or 127\n"
             "if the program cannot be run.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .rest = true,
};
