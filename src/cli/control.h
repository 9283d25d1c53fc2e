/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is spoken on the control socket of a run: lines of JSON. A request is an object
 * {"command": NAME, "vm": NAME, "id": ANY}; the answer is {"ok": true, ...} or {"ok": false,
 * "error": TEXT}, with the request's id if it had one.
 */
#ifndef SOFTSEV_CLI_CONTROL_H
#define SOFTSEV_CLI_CONTROL_H

#include "base/base.h"

struct json_t; /* jansson's */

#define CONTROL_LINE_MAX 4096u /* bytes of a request, without the end of the line */
#define CONTROL_ID_MAX   64u   /* bytes of an id that is a text */

enum control_command {
    CONTROL_STATUS,
    CONTROL_PAUSE,
    CONTROL_RESUME,
    CONTROL_POWER_BUTTON,
    CONTROL_RESET,
    CONTROL_SNAPSHOT,
    CONTROL_QUIT,
    CONTROL_MIGRATE,
    CONTROL_COMMANDS
};

extern const char *const control_names[CONTROL_COMMANDS];

struct control_request {
    enum control_command command;
    char vm[256];      /* of which guest; empty: not said */
    char to[256];      /* the target of a migration; empty: not said */
    struct json_t *id; /* NULL: none */
};

/* Parses a request. False: `wrong` says what would be right, and `out` may still have an id.
 * control_free() frees `out` in both cases. */
bool control_parse(const char *line, size_t size, struct control_request *out, char wrong[200]);
void control_free(struct control_request *request);

#endif
