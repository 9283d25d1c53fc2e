/* SPDX-License-Identifier: Apache-2.0 */
/* A hypervisor on a host made of arrays, with a plan to fill and a VM to make of it. */
#ifndef SOFTSEV_TESTS_HYPERVISOR_RIG_H
#define SOFTSEV_TESTS_HYPERVISOR_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host.h"

struct bench {
    struct host host;
    struct error error;
    struct hypervisor *hv;
    struct image_plan plan;
    struct vmsa vmsas[3];
    u8 bytes[3 * PAGE_SIZE]; /* of what is launched */
    struct vm *vm;
    char output[100]; /* what the serial port has said */
    size_t output_size;
    struct ghcb page; /* the request; then the answer */
    struct vmcb next; /* controls with which the next VMRUN comes back */
};

static inline struct bench *bench_create(void)
{
    struct bench *b = calloc(1, sizeof *b);
    b->host.memory = calloc(1, HOST_MEMORY);
    b->host.trace.clock = &b->host.clock;
    b->hv = hypervisor_create(&b->host, &b->error);
    assert_non_null(b->hv);
    return b;
}

/* No page may stay assigned. */
static int bench_teardown(void **state)
{
    struct bench *b = *state;
    hypervisor_destroy(b->hv);
    for (u64 i = 0; i < HOST_MEMORY / PAGE_SIZE; i++)
        assert_false(b->host.rmp[i].assigned);
    free(b->host.memory);
    free(b);
    return 0;
}

/* A console's output. */
static inline void bench_output(void *context, const u8 *data, size_t size)
{
    struct bench *b = context;
    for (size_t i = 0; i < size && b->output_size < sizeof b->output - 1; i++)
        b->output[b->output_size++] = (char)data[i];
}

#endif
