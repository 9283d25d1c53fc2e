/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the machine, shared by the files of this room. */
#ifndef SOFTSEV_MACHINE_INTERNAL_H
#define SOFTSEV_MACHINE_INTERNAL_H

#include "machine/host.h"
#include "machine/machine.h"
#include "machine/writers.h"

#define CORES_MAX 64

struct host {
    struct memory *memory;
    struct firmware *firmware;
    struct cpu *cores[CORES_MAX];
    u32 core_count;
    struct clock clock;
    struct trace trace;
    u64 dma_read_bytes, dma_written_bytes;
    enum debug_party writing; /* through memory_write(), now */
    u32 command;              /* of WRITER_FIRMWARE */
    struct writers *writers;  /* NULL: nobody wants to know who writes */
};

struct machine {
    struct host host;
    struct random_source random;
};

#endif
