/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of the members of a launch description, as `softsev with --guest` takes it. */
#ifndef SOFTSEV_CLI_GUEST_TABLE_H
#define SOFTSEV_CLI_GUEST_TABLE_H

#include "cli/options.h"

enum guest_member {
    GUEST_FIRMWARE = 1,
    GUEST_KERNEL,
    GUEST_INITRD,
    GUEST_APPEND,
    GUEST_KERNEL_HASHES,
    GUEST_MEMORY,
    GUEST_VCPUS,
    GUEST_VCPU_TYPE,
    GUEST_VMM_TYPE,
    GUEST_FEATURES,
    GUEST_POLICY,
    GUEST_ID_BLOCK,
    GUEST_ID_AUTH,
    GUEST_AUTHOR_KEY,
    GUEST_HOST_DATA,
    GUEST_VMPL,
    GUEST_VMPCK,
    GUEST_NO_CERTIFICATES,
};

#endif
