/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the requests of a control socket, which whoever may connect to it has written. */
#include "cli/control.h"

#include "base/text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

const char *const control_names[CONTROL_COMMANDS] = {
    [CONTROL_STATUS] = "status", [CONTROL_PAUSE] = "pause",
    [CONTROL_RESUME] = "resume", [CONTROL_POWER_BUTTON] = "power-button",
    [CONTROL_RESET] = "reset",   [CONTROL_SNAPSHOT] = "snapshot",
    [CONTROL_QUIT] = "quit",     [CONTROL_MIGRATE] = "migrate",
};

static bool refuse(char wrong[200], const char *text)
{
    snprintf(wrong, 200, "%s", text);
    return false;
}

static bool take_command(const json_t *value, struct control_request *out, char wrong[200])
{
    static const char right[] =
        "\"command\" should be one of status, pause, resume, power-button, reset, snapshot, "
        "quit, migrate";
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < ARRAY_SIZE(control_names); i++)
        if (!strcmp(name, control_names[i])) {
            out->command = (enum control_command)i;
            return true;
        }
    return refuse(wrong, right);
}

static bool takes_vm(enum control_command command)
{
    return command == CONTROL_POWER_BUTTON || command == CONTROL_RESET ||
           command == CONTROL_MIGRATE;
}

static bool take_vm(const json_t *value, struct control_request *out, char wrong[200])
{
    const char *name = json_string_value(value);
    if (!takes_vm(out->command))
        return refuse(wrong, "\"vm\" goes with power-button, reset and migrate alone: the "
                             "others are for the whole machine");
    if (!name || !*name || strlen(name) >= sizeof out->vm)
        return refuse(wrong, "\"vm\" should be the name of a guest");
    strcpy(out->vm, name);
    return true;
}

static bool take_to(const json_t *value, struct control_request *out, char wrong[200])
{
    const char *place = json_string_value(value);
    if (out->command != CONTROL_MIGRATE)
        return !value || refuse(wrong, "\"to\" goes with migrate alone");
    if (!place || !*place || strlen(place) >= sizeof out->to)
        return refuse(wrong, "\"to\" should be where the target waits, unix:PATH");
    strcpy(out->to, place);
    return true;
}

/* The id goes back as it came, so it should be small. */
static bool take_id(json_t *value, struct control_request *out, char wrong[200])
{
    if (!json_is_integer(value) &&
        !(json_is_string(value) && json_string_length(value) <= CONTROL_ID_MAX))
        return refuse(wrong, "\"id\" should be an integer or a text of at most 64 bytes");
    out->id = json_incref(value);
    return true;
}

static bool check_members(const json_t *request, char wrong[200])
{
    const size_t known = (size_t)(json_object_get(request, "command") != NULL) +
                         (json_object_get(request, "vm") != NULL) +
                         (json_object_get(request, "to") != NULL) +
                         (json_object_get(request, "id") != NULL);
    return json_object_size(request) == known ||
           refuse(wrong, "a request has no members but \"command\", \"vm\", \"to\" and "
                         "\"id\"");
}

static bool parse_object(const json_t *request, struct control_request *out, char wrong[200])
{
    json_t *id = json_object_get(request, "id"), *vm = json_object_get(request, "vm");
    return (!id || take_id(id, out, wrong)) &&
           take_command(json_object_get(request, "command"), out, wrong) &&
           check_members(request, wrong) && (!vm || take_vm(vm, out, wrong)) &&
           take_to(json_object_get(request, "to"), out, wrong);
}

bool control_parse(const char *line, size_t size, struct control_request *out, char wrong[200])
{
    *out = (struct control_request){.command = CONTROL_STATUS};
    if (size > CONTROL_LINE_MAX)
        return refuse(wrong, "the line is too long: a request has at most 4096 bytes");
    json_error_t problem;
    json_t *request = json_loadb(line, size, JSON_REJECT_DUPLICATES, &problem);
    const bool good = json_is_object(request) ? parse_object(request, out, wrong)
                                              : refuse(wrong, "this is not a JSON object such as "
                                                              "{\"command\": \"status\"}");
    json_decref(request);
    return good;
}

void control_free(struct control_request *request)
{
    json_decref(request->id);
    request->id = NULL;
}
