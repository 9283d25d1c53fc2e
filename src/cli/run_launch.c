/* SPDX-License-Identifier: Apache-2.0 */
/* The launch of encrypted guests: bytes between the hypervisor and the guest owner, who share
 * nothing else. */
#include "cli/run.h"

int run_identity(struct run *r, struct machine_config *config, struct error *e)
{
    (void)r;
    (void)config;
    return error_set(e, ERROR_INTERNAL, "--mode sev: not yet");
}

void run_close_identity(struct run *r)
{
    (void)r;
}

int run_platform(struct run *r, struct error *e)
{
    (void)r;
    return error_set(e, ERROR_INTERNAL, "--mode sev: not yet");
}

int run_launch(struct run_vm *v, struct error *e)
{
    (void)v;
    return error_set(e, ERROR_INTERNAL, "--mode sev: not yet");
}
