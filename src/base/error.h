/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error: one line for a person and one code for a program. The codes are the exit codes of the
 * command line, which documents them. Rooms with their own codes (firmware statuses, exit codes of
 * the CPU) translate them before they return.
 */
#ifndef SOFTSEV_BASE_ERROR_H
#define SOFTSEV_BASE_ERROR_H

#include "base/base.h"

enum error_code {
    ERROR_NONE = 0,
    ERROR_INTERNAL = 1,    /* a bug in softsev, or the operating system refused something basic */
    ERROR_USAGE = 2,       /* command line or machine file */
    ERROR_FILE = 3,        /* a file cannot be read or written, or has the wrong content */
    ERROR_MEASUREMENT = 4, /* the owner refused: measurement, chain or session does not verify */
    ERROR_FIRMWARE = 5,    /* the firmware refused a command (policy, state, ...) */
    ERROR_MEMORY = 6,      /* too little memory for the request */
    ERROR_STATE = 7,       /* the state directory is corrupt */
    ERROR_LOCKED = 8,      /* the state directory is in use by another process */
    ERROR_GUEST = 9,       /* the guest ended abnormally: triple fault, halted for good, ... */
    ERROR_PANIC = 10,      /* the guest's Linux kernel panicked */
};

struct error {
    enum error_code code;
    char text[500]; /* one line: what is wrong, where, and what would be right */
};

/* Sets code and text (the first error wins). Returns -1, so that a caller can write `return
 * error_set(...)`. */
int error_set(struct error *e, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
