/* SPDX-License-Identifier: Apache-2.0 */
/* softsev migrate: asks a run over its control socket to send a guest away, and waits for that. */
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

#define ANSWER_MAX   KIB(16)
#define WAIT_DEFAULT 60u

enum migrate_option { MIGRATE_VM = 1, MIGRATE_WAIT, MIGRATE_JSON };

// clang-format off
static const struct option_row rows[] = {
    [MIGRATE_VM] = {"vm", OPTION_TEXT, "NAME", "which guest (default: the only one)",
        .man = "The name of the guest that goes.\nDefault: the only one."},
    [MIGRATE_WAIT] = {"wait", OPTION_NUMBER, "SECONDS",
        "longest wait for the next word of the run (default 60)",
        .man = "How long to wait for the next word of the run, which tells of its progress.\n"
        "Default 60.", .min = 1, .max = 86400},
    [MIGRATE_JSON] = {"json", OPTION_FLAG, NULL, "print the answers as they came, JSON lines",
        .man = "Print the answers as they came, lines of JSON; all but the last have\n"
        ".Cm progress ."},
};
// clang-format on

const struct option_table cli_migrate_table = {
    .command = "migrate",
    .title = "move a guest to another platform while it runs",
    .usage = "softsev migrate CONTROL-SOCKET unix:PATH [OPTIONS]",
    .about = "Asks a run that has a control socket to send its SEV or SEV-ES guest\n"
             "to another, which waits with `softsev run --incoming unix:PATH`.",
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .operands = 2,
};

/* --- Asking ----------------------------------------------------------------------------------- */

static int cannot(const char *path, int why, struct error *e)
{
    if (why == EAGAIN || why == EWOULDBLOCK || why == EINPROGRESS)
        return error_set(e, ERROR_FILE, "%s: no word in time; --wait waits longer", path);
    return error_set(e, ERROR_FILE, "%s: %s%s", path, strerror(why),
                     why == ECONNREFUSED || why == ENOENT ? "; no run has this control socket"
                                                          : "");
}

static int send_request(int fd, const char *path, const struct options *given, struct error *e)
{
    json_t *request = json_pack("{s:s, s:o}", "command", control_names[CONTROL_MIGRATE], "to",
                                cli_json_text(given->operands[1]));
    if (given->text[MIGRATE_VM])
        json_object_set_new(request, "vm", cli_json_text(given->text[MIGRATE_VM]));
    char line[CONTROL_LINE_MAX + 1];
    const size_t size = json_dumpb(request, line, CONTROL_LINE_MAX, JSON_COMPACT);
    json_decref(request);
    if (size > CONTROL_LINE_MAX)
        return error_set(e, ERROR_USAGE, "the guest's name or the target's path is too long");
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

/* --- Answers ---------------------------------------------------------------------------------- */

static intmax_t number(const json_t *object, const char *name)
{
    return (intmax_t)json_integer_value(json_object_get(object, name));
}

static void print_progress(const json_t *answer)
{
    fprintf(stderr, "softsev migrate: %" PRIdMAX " rounds done, %" PRIdMAX " pages, %.1f MiB\n",
            number(answer, "rounds"), number(answer, "pages"),
            (double)number(answer, "bytes") / (double)MIB(1));
}

static void print_end(const json_t *answer)
{
    const json_t *source = json_object_get(answer, "source"),
                 *target = json_object_get(answer, "target");
    printf("moved: %" PRIdMAX " rounds, %" PRIdMAX " private and %" PRIdMAX
           " shared pages, %.1f MiB\n",
           number(answer, "rounds"), number(answer, "private_pages"),
           number(answer, "shared_pages"), (double)number(answer, "bytes") / (double)MIB(1));
    printf("the guest stood still for %.3f ms of machine time; %" PRIdMAX " pages went then\n",
           (double)number(answer, "downtime_ns") / 1e6, number(answer, "last_pages"));
    printf("source: handle %" PRIdMAX " is gone, %" PRIdMAX " guests are left\n",
           number(source, "handle"), number(source, "guests"));
    printf("target: handle %" PRIdMAX ", %" PRIdMAX " guests\n", number(target, "handle"),
           number(target, "guests"));
}

/* Returns true if this was the last answer. */
static bool take_answer(const char *line, const char *path, bool as_json, struct error *e)
{
    json_error_t problem;
    json_t *answer = json_loads(line, 0, &problem);
    const bool goes_on = json_is_true(json_object_get(answer, "progress"));
    const char *wrong = json_string_value(json_object_get(answer, "error"));
    if (!json_is_object(answer))
        error_set(e, ERROR_FILE, "%s: whoever answered is no run of softsev", path);
    else if (!json_is_true(json_object_get(answer, "ok")))
        error_set(e, ERROR_FIRMWARE, "%s: %s", path, wrong ? wrong : "?");
    else if (as_json)
        puts(line);
    else if (goes_on)
        print_progress(answer);
    else
        print_end(answer);
    json_decref(answer);
    return e->code || !goes_on;
}

static int receive_answers(int fd, const char *path, bool as_json, struct error *e)
{
    char text[ANSWER_MAX];
    size_t size = 0;
    for (;;) {
        char *end = memchr(text, '\n', size);
        if (end) {
            *end = '\0';
            if (take_answer(text, path, as_json, e))
                return e->code ? -1 : 0;
            size -= (size_t)(end + 1 - text);
            memmove(text, end + 1, size);
            continue;
        }
        if (size == sizeof text)
            return error_set(e, ERROR_FILE, "%s: the answer is too long for a run's", path);
        const ssize_t got = recv(fd, text + size, sizeof text - size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cannot(path, errno, e);
        if (!got)
            return error_set(e, ERROR_FILE, "%s: the run ended before it answered", path);
        size += (size_t)got;
    }
}

int cli_migrate(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct options given;
    int status, fd = -1;
    if (!options_open(&cli_migrate_table, argc, argv, &given, &status))
        return status;
    if (given.operand_count != 2) {
        error_set(&e, ERROR_USAGE,
                  "two sockets are needed: softsev migrate CONTROL-SOCKET unix:PATH");
        return cli_fail("migrate", &e);
    }
    const char *path = given.operands[0];
    const size_t prefix = strlen(UNIX_PREFIX);
    if (!strncmp(path, UNIX_PREFIX, prefix))
        path += prefix;
    const int why = unix_socket_connect(
        "the control socket", path, options_number(&given, MIGRATE_WAIT, WAIT_DEFAULT), &fd, &e);
    if (why > 0)
        cannot(path, why, &e);
    else if (!why && !send_request(fd, path, &given, &e))
        receive_answers(fd, path, given.text[MIGRATE_JSON], &e);
    if (fd >= 0)
        close(fd);
    return e.code ? cli_fail("migrate", &e) : ERROR_NONE;
}
