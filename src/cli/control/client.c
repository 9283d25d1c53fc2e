/* SPDX-License-Identifier: Apache-2.0 */
/* softsev control: asks a run over its control socket, and prints the answer. */
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/options.h"
#include "cli/unix_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX   MIB(4) /* of a run with 4096 guests it has less than 1 MiB */
#define WAIT_DEFAULT 60u

enum control_option { CONTROL_VM = 1, CONTROL_WAIT, CONTROL_JSON };

// clang-format off
static const struct option_action actions[] = {
    [CONTROL_STATUS] = {"status", "print the state of the run and of each guest",
        .man = "Prints whether the run is paused, its machine time and process, and of each guest "
        "its state, mode, processors, memory, the time that it ran, and how often it rebooted.",
        .operands = 1, .operand = "unix:PATH"},
    [CONTROL_PAUSE] = {"pause", "stop all guests; machine time stands still",
        .man = "Stops all guests between two of their instructions.\n"
        "Machine time stands still, and a guest does not notice.",
        .operands = 1, .operand = "unix:PATH"},
    [CONTROL_RESUME] = {"resume", "let the guests go on",
        .man = "Lets the guests go on after\n.Cm pause .",
        .operands = 1, .operand = "unix:PATH"},
    [CONTROL_POWER_BUTTON] = {"power-button", "press a guest's power button",
        .man = "Presses the guest's ACPI power button.\n"
        "A guest with a program for it, such as systemd-logind or acpid, shuts down in order; "
        "others ignore it.", .operands = 1, .operand = "unix:PATH"},
    [CONTROL_RESET] = {"reset", "reset a guest",
        .man = "Resets the guest's machine.\nIt starts again as after its own reboot; an encrypted "
        "guest, and any with\n.Ic softsev run --no-reboot ,\nends.",
        .operands = 1, .operand = "unix:PATH"},
    [CONTROL_SNAPSHOT] = {"snapshot", "take a snapshot of the whole machine",
        .man = "Takes a snapshot of the whole machine, into the file that\n"
        ".Ic softsev run --snapshot\nnamed.\nThe run goes on.",
        .operands = 1, .operand = "unix:PATH"},
    [CONTROL_QUIT] = {"quit", "end the run",
        .man = "Ends the run, as Ctrl-A x does: guests do not shut down.",
        .operands = 1, .operand = "unix:PATH"},
};

static const struct option_row rows[] = {
    [CONTROL_VM] = {"vm", OPTION_TEXT, "NAME", "which guest (default: the only one)",
        .man = "The name of the guest that is meant.\nDefault: the only one.",
        .actions = BIT(CONTROL_POWER_BUTTON) | BIT(CONTROL_RESET)},
    [CONTROL_WAIT] = {"wait", OPTION_NUMBER, "SECONDS",
        "longest wait for an answer, such as during a launch (default 60)",
        .man = "How long to wait for the answer: a run answers as soon as its guests are launched."
        "\nDefault 60.", .min = 1, .max = 86400},
    [CONTROL_JSON] = {"json", OPTION_FLAG, NULL, "print the answer as it came, a JSON line",
        .man = "Print the answer as it came, a line of JSON."},
};
// clang-format on

const struct option_table cli_control_table = {
    .command = "control",
    .title = "pause, reset or end a run, or ask how it is",
    .usage = "softsev control COMMAND unix:PATH [OPTIONS]",
    .about = "Speaks with a run that was started with `softsev run --control unix:PATH`.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .actions = actions,
    .action_count = ARRAY_SIZE(actions),
};

/* --- Asking ----------------------------------------------------------------------------------- */

static int cannot(const char *path, int why, struct error *e)
{
    if (why == EAGAIN || why == EWOULDBLOCK || why == EINPROGRESS)
        return error_set(e, ERROR_FILE, "%s: no answer in time; --wait waits longer", path);
    return error_set(e, ERROR_FILE, "%s: %s%s", path, strerror(why),
                     why == ECONNREFUSED || why == ENOENT ? "; no run has this control socket"
                                                          : "");
}

static int connect_to(const char *path, u64 seconds, int *fd, struct error *e)
{
    const size_t prefix = strlen(UNIX_PREFIX);
    if (!strncmp(path, UNIX_PREFIX, prefix))
        path += prefix;
    const int why = unix_socket_connect("the control socket", path, seconds, fd, e);
    return why > 0 ? cannot(path, why, e) : why;
}

static int send_request(int fd, const char *path, const struct options *given, struct error *e)
{
    json_t *request = json_pack("{s:s}", "command", control_names[given->action]);
    if (given->text[CONTROL_VM])
        json_object_set_new(request, "vm", cli_json_text(given->text[CONTROL_VM]));
    char line[CONTROL_LINE_MAX + 1];
    const size_t size = json_dumpb(request, line, CONTROL_LINE_MAX, JSON_COMPACT);
    json_decref(request);
    if (size > CONTROL_LINE_MAX)
        return error_set(e, ERROR_USAGE, "--vm: the name is too long");
    line[size] = '\n';
    for (size_t at = 0; at <= size;) {
        const ssize_t sent = send(fd, line + at, size + 1 - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return cannot(path, errno, e);
        at += (size_t)sent;
    }
    return 0;
}

/* Receives a line; the caller frees it. */
static int receive_line(int fd, const char *path, char **out, struct error *e)
{
    size_t size = 0;
    *out = malloc(ANSWER_MAX + 1);
    if (!*out)
        return error_set(e, ERROR_MEMORY, "out of memory");
    while (size < ANSWER_MAX) {
        const ssize_t got = recv(fd, *out + size, ANSWER_MAX - size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cannot(path, errno, e);
        if (!got)
            return error_set(e, ERROR_FILE, "%s: the run ended before it answered", path);
        char *end = memchr(*out + size, '\n', (size_t)got);
        size += (size_t)got;
        if (end) {
            *end = '\0';
            return 0;
        }
    }
    return error_set(e, ERROR_FILE, "%s: the answer is too long for a run's", path);
}

/* --- Printing --------------------------------------------------------------------------------- */

static double seconds(const json_t *object, const char *name)
{
    return (double)json_integer_value(json_object_get(object, name)) / 1e9;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "?";
}

static void print_status(const json_t *answer)
{
    const json_t *vm;
    size_t i;
    printf("%s, machine time %.3f s, process %" PRIdMAX "\n", text_of(answer, "state"),
           seconds(answer, "machine_ns"),
           (intmax_t)json_integer_value(json_object_get(answer, "pid")));
    json_array_foreach(json_object_get(answer, "vms"), i, vm)
    {
        const char *reason = text_of(vm, "reason");
        const intmax_t reboots = json_integer_value(json_object_get(vm, "reboots"));
        printf("%s: %s%s%s, mode %s, guest time %.3f s", text_of(vm, "vm"), text_of(vm, "state"),
               *reason ? ": " : "", reason, text_of(vm, "mode"), seconds(vm, "guest_ns"));
        if (reboots)
            printf(", %" PRIdMAX " reboots", reboots);
        printf("\n");
    }
}

static int print_answer(const char *line, const char *path, const struct options *given,
                        struct error *e)
{
    json_error_t problem;
    json_t *answer = json_loads(line, 0, &problem);
    int result = 0;
    if (!json_is_object(answer))
        result = error_set(e, ERROR_FILE, "%s: whoever answered is no run of softsev", path);
    else if (!json_is_true(json_object_get(answer, "ok")))
        result = error_set(e, ERROR_USAGE, "%s: %s", path, text_of(answer, "error"));
    else if (given->text[CONTROL_JSON])
        puts(line);
    else if (given->action == CONTROL_STATUS)
        print_status(answer);
    json_decref(answer);
    return result;
}

int cli_control(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status, fd = -1;
    char *line = NULL;
    if (!options_open(&cli_control_table, argc, argv, &given, &status))
        return status;
    if (given.operand_count != 1) {
        error_set(&e, ERROR_USAGE, "%s takes one socket: softsev control %s unix:PATH",
                  control_names[given.action], control_names[given.action]);
        return cli_fail("control", &e);
    }
    const char *path = given.operands[0];
    if (!connect_to(path, options_number(&given, CONTROL_WAIT, WAIT_DEFAULT), &fd, &e) &&
        !send_request(fd, path, &given, &e) && !receive_line(fd, path, &line, &e))
        print_answer(line, path, &given, &e);
    free(line);
    if (fd >= 0)
        close(fd);
    return e.code ? cli_fail("control", &e) : ERROR_NONE;
}
