/* SPDX-License-Identifier: Apache-2.0 */
/* The identity of a machine's platform: a chip, its firmware and its manufacturer, kept in a state
 * directory or made from a seed. */
#ifndef SOFTSEV_CLI_IDENTITY_PLATFORM_H
#define SOFTSEV_CLI_IDENTITY_PLATFORM_H

#include "base/error.h"
#include "state/state.h"

struct authority;
struct cpu_model;
struct machine_config;

struct cli_platform {
    struct state_platform on; /* its state NULL: seeded, nothing is kept */
    struct authority *authority;
    char directory[STATE_DIRECTORY_MAX];
};

struct cli_platform_request {
    const char *state;                      /* of --state; NULL: the default directory */
    const char *seed;                       /* of --seed; without --state nothing is kept */
    const struct firmware_profile *profile; /* NULL: the last one, or the newest of --cpu's part */
    const char *cpu_text;                   /* of --cpu; NULL: not given */
    const struct cpu_model *cpu;            /* the same as a model */
    void (*progress)(const char *what);     /* called before a step that takes seconds */
};

/* Powers the platform on. The part that --cpu names must be the platform's. `out` needs
 * cli_platform_close() even after -1. */
int cli_platform_open(const struct cli_platform_request *request, struct crypto *c,
                      struct cli_platform *out, struct error *e);
void cli_platform_close(struct cli_platform *p);
/* Makes the machine's secure processor that chip. */
void cli_platform_configure(const struct cli_platform *p, struct machine_config *config);

#endif
