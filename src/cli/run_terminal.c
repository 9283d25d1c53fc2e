/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of whoever runs the guests: raw while they run, put back afterwards. Input is taken
 * only when asked for, between two slices of machine time.
 */
#include "cli/run.h"

#include "base/bytes.h"
#include "files/files.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE     1 /* Ctrl-A */
#define REPLAY_MAX GIB(2)

struct run_terminal {
    bool raw, ended, escape;
    struct termios before;
};

/* A signal that ends the program while the terminal is raw: noted, and raised again once it is put back. */
static volatile sig_atomic_t ending_signal;

static void note_signal(int number)
{
    ending_signal = number;
}

static const int ending_signals[] = {SIGTERM, SIGHUP, SIGINT};

static void set_handlers(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    for (size_t i = 0; i < ARRAY_SIZE(ending_signals); i++)
        sigaction(ending_signals[i], &action, NULL);
}

struct run_terminal *run_terminal_open(void)
{
    struct run_terminal *t = calloc(1, sizeof *t);
    struct termios raw;
    if (!t || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &t->before))
        return t;
    raw = t->before;
    raw.c_iflag &= (tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    set_handlers(note_signal);
    t->raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    return t;
}

void run_terminal_close(struct run_terminal *t)
{
    if (t && t->raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
        set_handlers(SIG_DFL);
        if (ending_signal)
            raise((int)ending_signal);
    }
    free(t);
}

bool run_terminal_is_interactive(const struct run_terminal *t)
{
    return t && t->raw;
}

/* Input as the guest gets it: noted with the machine time, so that a run can be repeated. */
static void give_guest(struct run *r, u32 index, const u8 *bytes, size_t count)
{
    vm_console_input(r->vms[index].vm, bytes, count);
    if (!r->record)
        return;
    fprintf(r->record, "%" PRIu64 " %u ", host_time_ns(machine_host(r->machine)), index);
    for (size_t i = 0; i < count; i++)
        fprintf(r->record, "%02x", bytes[i]);
    fputc('\n', r->record);
}

static void key_after_escape(struct run *r, u8 key)
{
    if (key == 'x' || key == 'X') {
        r->quit = true;
    } else if (key == 'n' || key == 'N') {
        r->keyboard = (r->keyboard + 1) % r->vm_count;
        run_step(r, "console", "keyboard goes to %s", r->vms[r->keyboard].options->name);
    } else if (key == ESCAPE) {
        give_guest(r, r->keyboard, &key, 1);
    }
}

static void give(struct run_terminal *t, struct run *r, const u8 *bytes, size_t count)
{
    size_t first = 0;
    for (size_t i = 0; i < count; i++) {
        if (!t->escape && !(bytes[i] == ESCAPE && t->raw))
            continue;
        if (i > first)
            give_guest(r, r->keyboard, bytes + first, i - first);
        first = i + 1;
        if (t->escape)
            key_after_escape(r, bytes[i]);
        t->escape = !t->escape;
    }
    if (count > first)
        give_guest(r, r->keyboard, bytes + first, count - first);
}

/* The next line of a recording; none is left: a time that never comes. */
static int replay_next(struct run *r, struct error *e)
{
    char line[64 + 2 * INPUT_LINE_MAX], hex[2 * INPUT_LINE_MAX + 1];
    struct run_input *in = &r->input;
    unsigned long long ns;
    in->ns = UINT64_MAX;
    if (!fgets(line, sizeof line, r->replay))
        return 0;
    if (sscanf(line, "%llu %u %512s", &ns, &in->vm, hex) != 3 || in->vm >= r->vm_count ||
        strlen(hex) % 2 || !hex_decode(in->bytes, strlen(hex) / 2, hex))
        return error_set(e, ERROR_FILE, "%s: a line is not \"TIME VM HEX\"", r->options.replay);
    in->ns = ns;
    in->count = strlen(hex) / 2;
    return 0;
}

int run_input_open(struct run *r, struct error *e)
{
    const struct run_options *o = &r->options;
    r->input.ns = UINT64_MAX;
    const struct file_rule recording = {.size_max = REPLAY_MAX, .stream_max = REPLAY_MAX};
    u64 size;
    int fd;
    if (o->record && !(r->record = file_create(o->record, false, e)))
        return -1;
    if (!o->replay)
        return 0;
    if (file_open(o->replay, &recording, &fd, &size, e))
        return -1;
    r->replay = fdopen(fd, "r");
    if (r->replay)
        return replay_next(r, e);
    close(fd);
    return error_set(e, ERROR_MEMORY, "%s: out of memory", o->replay);
}

int run_input_close(struct run *r, struct error *e)
{
    const bool good = !r->record || file_close(r->record, r->options.record, e);
    if (r->replay)
        fclose(r->replay);
    r->record = r->replay = NULL;
    return good ? 0 : -1;
}

int run_input_replay(struct run *r, struct error *e)
{
    while (r->input.ns <= host_time_ns(machine_host(r->machine))) {
        give_guest(r, r->input.vm, r->input.bytes, r->input.count);
        if (replay_next(r, e))
            return -1;
    }
    return 0;
}

void run_terminal_poll(struct run_terminal *t, struct run *r, int wait_ms)
{
    u8 bytes[256];
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    r->quit |= ending_signal != 0;
    if (!t || t->ended || r->replay)
        return;
    if (poll(&in, 1, wait_ms) <= 0)
        return;
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got > 0)
        give(t, r, bytes, (size_t)got);
    else
        t->ended = true;
}
