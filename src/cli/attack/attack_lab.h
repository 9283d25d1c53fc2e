/* SPDX-License-Identifier: Apache-2.0 */
/* Machines for the attacks of src/attack: small ones, switched on for one launch, each like the one
 * before. */
#ifndef SOFTSEV_CLI_ATTACK_H
#define SOFTSEV_CLI_ATTACK_H

#include "attack/attack.h"

struct cli_attack_lab {
    struct crypto *owner, *platform;
    struct machine *machine;
    struct attack_machines machines;
};

int cli_attack_open(struct cli_attack_lab *lab, struct error *e);
void cli_attack_close(struct cli_attack_lab *lab);

#endif
