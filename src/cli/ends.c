/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that serve until somebody ends them. */
#include "cli/cli.h"

#include <signal.h>

static void ends(sigset_t *out)
{
    sigemptyset(out);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGINT);
}

void cli_hold_ends(void)
{
    sigset_t set;
    ends(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void cli_wait_for_end(void)
{
    sigset_t set;
    int got;
    ends(&set);
    sigwait(&set, &got);
}
