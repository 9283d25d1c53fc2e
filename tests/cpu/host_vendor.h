/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cores do as AMD's processors do, on every host. Where the tests compare them with the
 * processor below and that is another vendor's, a table in host_vendor.c names each difference
 * between the vendors. AMD's processors have no such table: there every difference is a fault.
 */
#ifndef SOFTSEV_TESTS_HOST_VENDOR_H
#define SOFTSEV_TESTS_HOST_VENDOR_H

#include "cpu/internal.h"

/* One state of a comparison. What a test does not have is NULL. */
struct vendor_state {
    u64 *gpr, *flags;
    u64 *vector, *address; /* VENDOR_NO_FAULT if none; of #PF */
    u8 *fx;                /* FXSAVE64; with VEX an XSAVE image */
    u8 *memory;
    u64 memory_at, memory_size; /* the stack pointer's value for memory[0]; bytes */
};

#define VENDOR_NO_FAULT 255

struct vendor_case {
    const struct insn *in;
    struct vendor_state before, host, core;
};

/* A difference. adapt() turns the core's outcome, which is AMD's, into the other vendor's, if the
 * case shows the difference. Everything that it leaves alone is compared as it is. */
struct vendor_row {
    const char *instructions, *amd, *other, *source;
    void (*adapt)(struct vendor_case *k);
};

/* The rows for a vendor, by CPUID's twelve characters. */
const struct vendor_row *vendor_rows(const char *vendor, u32 *count);
void vendor_adapt_to(const char *vendor, struct vendor_case *k);
/* Applies the rows of the processor that the test runs on. */
void vendor_adapt(struct vendor_case *k);
/* SHLD and SHRD of 16 bits by more than 16: all flags are undefined [APM3 SHLD]. */
bool vendor_long_double_shift(const struct insn *in, u64 rcx);

#endif
