/* SPDX-License-Identifier: Apache-2.0 */
/* The IDs of the options of `softsev run`; those of a VM come first. */
#ifndef SOFTSEV_CLI_RUN_TABLE_H
#define SOFTSEV_CLI_RUN_TABLE_H

#include "cli/options.h"

enum run_option {
    RUN_KERNEL = 1,
    RUN_INITRD,
    RUN_APPEND,
    RUN_FIRMWARE,
    RUN_KERNEL_HASHES,
    RUN_MEMORY,
    RUN_CPUS,
    RUN_MODE,
    RUN_POLICY,
    RUN_FEATURES,
    RUN_TSC_FREQUENCY,
    RUN_OWNER_SECRET,
    RUN_OWNER_SECRET_GUID,
    RUN_OWNER_ROOT,
    RUN_OWNER_DIR,
    RUN_DISK,
    RUN_NET,
    RUN_SERIAL,
    RUN_VIRTIO_CONSOLE,
    RUN_VIRTIO_RNG,
    RUN_DEVICE,
    RUN_STRICT,
    RUN_TAMPER,
    RUN_NAME,
    RUN_VM_IDS, /* from here on: options of the machine */
    RUN_MACHINE = RUN_VM_IDS,
    RUN_CPU,
    RUN_STATE,
    RUN_SEED,
    RUN_TIME,
    RUN_TRACE,
    RUN_TRACE_FILE,
    RUN_TRACE_HASH,
    RUN_RECORD,
    RUN_REPLAY,
    RUN_DUMP,
    RUN_MAP,
    RUN_JSON,
    RUN_QUIET,
    RUN_OWNER_WAIT,
    RUN_LIMIT,
    RUN_CLOCK,
    RUN_ENGINE,
    RUN_NO_REBOOT,
    RUN_GDB,
    RUN_GDB_WAIT,
    RUN_VIEW,
    RUN_VIEW_KEEP,
    RUN_GDB_REVERSE,
    RUN_IDS,
};

#endif
