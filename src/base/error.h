/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong, in one line for a person and one code for a program. The codes are the exit
 * codes of the command line and are documented there. Rooms with a vocabulary of their own
 * (firmware statuses, exit codes of the CPU) translate at their door.
 */
#ifndef SOFTSEV_BASE_ERROR_H
#define SOFTSEV_BASE_ERROR_H

#include "base/base.h"

enum error_code {
    ERROR_NONE = 0,
    ERROR_INTERNAL = 1,    /* our own mistake, or the operating system refused something basic */
    ERROR_USAGE = 2,       /* command line or machine file */
    ERROR_FILE = 3,        /* a file cannot be read or written, or is not what it should be */
    ERROR_MEASUREMENT = 4, /* the owner refused: measurement, chain or session does not verify */
    ERROR_FIRMWARE = 5,    /* the firmware refused a command (policy, state, ...) */
    ERROR_MEMORY = 6,      /* too little memory for what was asked */
    ERROR_STATE = 7,       /* the state directory is corrupt */
    ERROR_LOCKED = 8,      /* the state directory is in use by another process */
    ERROR_GUEST = 9,       /* the guest ended abnormally: triple fault, halted for good, ... */
    ERROR_PANIC = 10,      /* the guest's Linux kernel panicked */
};

struct error {
    enum error_code code;
    char text[500]; /* one line: what was wrong, where, and what would be right */
};

/* Sets code and text (the first error wins) and returns -1,
 * so that `return error_set(...)` reads well. */
int error_set(struct error *e, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
