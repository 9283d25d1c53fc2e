/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's terminal: raw while guests run, put back afterwards. Keys are read often, but reach a
 * guest only between two slices of machine time. Also recordings of input.
 */
#include "cli/options.h"
#include "cli/run/run.h"

#include "base/bytes.h"
#include "files/files.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE    1 /* Ctrl-A */
#define TYPED_MAX 4096u

/* Of a serial line with 115,200 baud. Whole files at once would run over what a guest's terminal
 * holds. */
#define LINE_BYTES_HZ 11520u
#define REPLAY_MAX    GIB(2)

/* In a recording: what the line has instead of the console's bytes, or before a frame's. */
static const char *const input_words[] = {
    [INPUT_CONSOLE] = "",
    [INPUT_FRAME] = "net ",
    [INPUT_POWER_BUTTON] = "power-button",
    [INPUT_RESET] = "reset",
};

struct run_terminal {
    bool raw, ended, escape;
    u8 typed[TYPED_MAX]; /* input that no guest has got yet */
    size_t count;
    u64 given_ns; /* machine time of the last input of a guest */
};

struct run_terminal *run_terminal_open(void)
{
    struct run_terminal *t = calloc(1, sizeof *t);
    struct termios before, raw;
    if (!t || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before))
        return t;
    raw = before;
    raw.c_iflag &= (tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    run_signals_terminal(&before, &raw);
    t->raw = true;
    return t;
}

void run_terminal_close(struct run_terminal *t)
{
    if (t && t->raw)
        run_signals_terminal_done();
    free(t);
}

bool run_terminal_has_input(const struct run_terminal *t)
{
    return t && t->count;
}

bool run_terminal_is_interactive(const struct run_terminal *t)
{
    return t && t->raw;
}

/* --- Keys ------------------------------------------------------------------------------------- */

static u64 machine_ns(const struct run *r)
{
    return host_time_ns(machine_host(r->machine));
}

/* Notes what a guest has got, if that is recorded. */
static void record(struct run *r, u64 ns, u32 index, enum run_input_kind kind, const u8 *bytes,
                   size_t count)
{
    if (!r->record)
        return;
    fprintf(r->record, "%" PRIu64 " %u %s", ns, index, input_words[kind]);
    for (size_t i = 0; i < count; i++)
        fprintf(r->record, "%02x", bytes[i]);
    fputc('\n', r->record);
}

/* Gives console input to a guest and records it with the machine time, so that the run can be
 * repeated. Returns how many bytes the guest had room for. */
size_t run_input_console(struct run *r, u32 index, const u8 *bytes, size_t count)
{
    size_t taken = vm_console_input(r->vms[index].vm, bytes, count);
    if (taken)
        record(r, machine_ns(r), index, INPUT_CONSOLE, bytes, taken);
    return taken;
}

/* Gives keyboard input to a guest. A guest whose serial port is elsewhere has no keyboard. */
static size_t give_guest(struct run *r, u32 index, const u8 *bytes, size_t count)
{
    return r->vms[index].serial ? count : run_input_console(r, index, bytes, count);
}

bool run_input_frame(struct run *r, u32 index, const u8 *frame, size_t size)
{
    const u64 ns = machine_ns(r); /* taken first, because giving a frame takes machine time */
    if (!vm_net_input(r->vms[index].vm, frame, size))
        return false;
    record(r, ns, index, INPUT_FRAME, frame, size);
    return true;
}

void run_input_button(struct run *r, u32 index, enum run_input_kind which)
{
    record(r, machine_ns(r), index, which, NULL, 0);
    (which == INPUT_RESET ? vm_reset : vm_power_button)(r->vms[index].vm);
}

static bool key_quits(u8 key)
{
    return key == 'x' || key == 'X';
}

static size_t give_keyboard(void *run, const u8 *bytes, size_t count)
{
    struct run *r = run;
    return give_guest(r, r->keyboard, bytes, count);
}

static void key_after_escape(void *run, u8 key)
{
    struct run *r = run;
    if (key_quits(key)) {
        r->quit = true;
    } else if (key == 'n' || key == 'N') {
        r->keyboard = (r->keyboard + 1) % r->vm_count;
        run_step(r, "console", "keyboard goes to %s", r->vms[r->keyboard].options->name);
    } else if (key == 's' || key == 'S') {
        r->snapshot_asked = true;
    } else if (key == ESCAPE) {
        give_guest(r, r->keyboard, &key, 1);
    }
}

/* Returns how many bytes from `at` on are for the guest, at most `room`. */
static size_t plain_bytes(const struct run_terminal *t, size_t at, size_t room)
{
    size_t end = at;
    while (end < t->count && end - at < room && !(t->raw && t->typed[end] == ESCAPE))
        end++;
    return end - at;
}

size_t run_line_room(u64 given_ns, u64 now)
{
    u64 ns = min_u64(now - given_ns, INPUT_LINE_MAX * CLOCK_HZ / LINE_BYTES_HZ);
    return (size_t)(ns * LINE_BYTES_HZ / CLOCK_HZ);
}

void run_terminal_pass(struct run_terminal *t, const struct run_keys *to, u64 now)
{
    size_t at = 0, room = t && t->count ? run_line_room(t->given_ns, now) : 0;
    while (room && at < t->count) {
        bool escape = t->raw && t->typed[at] == ESCAPE;
        if (t->escape || escape) {
            if (t->escape)
                to->command(to->context, t->typed[at]);
            t->escape = !t->escape;
            at++;
            continue;
        }
        size_t count = plain_bytes(t, at, room);
        size_t taken = to->give(to->context, t->typed + at, count);
        at += taken;
        room -= taken;
        if (taken < count)
            break; /* the rest waits until the guest has room */
    }
    if (at) {
        t->given_ns = now;
        memmove(t->typed, t->typed + at, t->count - at);
        t->count -= at;
    }
}

void run_terminal_give(struct run_terminal *t, struct run *r)
{
    const struct run_keys keys = {give_keyboard, key_after_escape, r};
    run_terminal_pass(t, &keys, machine_ns(r));
}

/* Returns true if Ctrl-A x is among what was typed. */
static bool typed_quits(const struct run_terminal *t)
{
    bool escape = t->escape;
    for (size_t i = 0; t->raw && i < t->count; i++) {
        if (escape && key_quits(t->typed[i]))
            return true;
        escape = !escape && t->typed[i] == ESCAPE;
    }
    return false;
}

static bool listen_to_keys(struct run_terminal *t, bool deaf, u64 wait_ns)
{
    if (t && t->raw && t->count == TYPED_MAX)
        t->count = 0; /* a guest that reads no input must not keep Ctrl-A from working */
    bool open = t && !t->ended && !deaf && t->count < TYPED_MAX;
    if (!open && !wait_ns)
        return false;
    if (!run_signals_wait(open ? STDIN_FILENO : -1, wait_ns) || !open)
        return false;
    ssize_t got = read(STDIN_FILENO, t->typed + t->count, TYPED_MAX - t->count);
    t->ended = got <= 0;
    t->count += got > 0 ? (size_t)got : 0;
    return typed_quits(t);
}

bool run_terminal_look(struct run_terminal *t, bool deaf, struct net_polls *polls, u64 wait_ns)
{
    if (!polls)
        return listen_to_keys(t, deaf, wait_ns);
    run_signals_watch_list(polls->fds, polls->count);
    const bool quits = listen_to_keys(t, deaf, wait_ns);
    run_signals_watch_list(NULL, 0);
    /* The wait may have ended before it looked at these descriptors. */
    poll(polls->fds + RUN_WAIT_OWN, polls->count - RUN_WAIT_OWN, 0);
    return quits;
}

/* --- Recordings -------------------------------------------------------------------------------
 *
 *   softsev recording 1
 *   TIME VM HEX          console input of the VM, given at that machine time in nanoseconds
 *   TIME VM net HEX      a frame for its network card
 *   TIME VM power-button, TIME VM reset
 *   end
 */

#define RECORDING_BEGIN "softsev recording 1\n"
#define RECORDING_END   "end\n"

static int bad_recording(const struct run *r, const char *wrong, struct error *e)
{
    return error_set(e, ERROR_FILE, "%s, line %" PRIu64 ": %s", r->options.replay, r->replay_line,
                     wrong);
}

static int replay_first(struct run *r, struct error *e)
{
    char line[sizeof RECORDING_BEGIN + 1];
    r->replay_line = 1;
    if (fgets(line, sizeof line, r->replay) && !strcmp(line, RECORDING_BEGIN))
        return 0;
    return error_set(e, ERROR_FILE,
                     "%s: this is not a recording of `softsev run --record`: its first line is not "
                     "\"softsev recording 1\"",
                     r->options.replay);
}

/* Takes decimal digits and a blank. */
static bool take_number(const char **text, u64 *out)
{
    const char *end;
    const bool good = strspn(*text, "0123456789") && option_digits(*text, out, &end) &&
                      end == *text + strspn(*text, "0123456789") && *end == ' ';
    *text = good ? end + 1 : *text;
    return good;
}

#define NOT_INPUT "this is not \"TIME VM HEX\" of a VM that there is"

static enum run_input_kind take_kind(const char **line)
{
    const size_t net = strlen(input_words[INPUT_FRAME]);
    if (!strcmp(*line, input_words[INPUT_POWER_BUTTON]))
        return INPUT_POWER_BUTTON;
    if (!strcmp(*line, input_words[INPUT_RESET]))
        return INPUT_RESET;
    if (strncmp(*line, input_words[INPUT_FRAME], net))
        return INPUT_CONSOLE;
    *line += net;
    return INPUT_FRAME;
}

/* The HEX of console input, or of a frame; NULL: it is right. */
static const char *wrong_bytes(const char *hex, struct run_input *in)
{
    const size_t digits = strlen(hex);
    if (digits > 2 * (size_t)(in->kind == INPUT_FRAME ? NET_FRAME_MAX : INPUT_LINE_MAX))
        return "HEX is too long: a line has at most 256 bytes of input, or a frame of 1514";
    in->count = digits / 2;
    return digits && digits % 2 == 0 && hex_decode(in->bytes, in->count, hex) ? NULL : NOT_INPUT;
}

/* "TIME VM HEX" behind a time; NULL: it is right. */
static const char *wrong_input(const struct run *r, const char *line, u64 before,
                               struct run_input *in)
{
    u64 ns, vm;
    char *end = strchr(line, '\n');
    if (!end)
        return feof(r->replay) ? "the recording is cut short inside this line"
                               : "the line is too long: it has at most 256 bytes of input, "
                                 "or a frame of 1514";
    *end = 0;
    if (!take_number(&line, &ns) || ns == UINT64_MAX)
        return "this is not \"TIME VM HEX\": TIME should be nanoseconds of machine time, below "
               "18446744073709551615";
    if (ns < before)
        return "TIME is before that of the line above";
    if (!take_number(&line, &vm) || vm >= r->vm_count)
        return NOT_INPUT;
    in->ns = ns;
    in->vm = (u32)vm;
    in->kind = take_kind(&line);
    if (in->kind == INPUT_FRAME && !r->vms[vm].options->net.on)
        return "this is a frame for a VM without --net user";
    return in->kind == INPUT_POWER_BUTTON || in->kind == INPUT_RESET ? NULL : wrong_bytes(line, in);
}

/* Reads the next line of a recording. At its end, the next input has a time that never comes. */
static int replay_next(struct run *r, struct error *e)
{
    char line[64 + 2 * NET_FRAME_MAX];
    struct run_input *in = &r->input;
    const u64 before = r->replay_line > 1 ? in->ns : 0;
    in->ns = UINT64_MAX;
    r->replay_line++;
    if (!fgets(line, sizeof line, r->replay))
        return bad_recording(r, "the recording is cut short: its last line should be \"end\"", e);
    if (!strcmp(line, RECORDING_END))
        return fgetc(r->replay) == EOF ? 0
                                       : bad_recording(r, "the recording goes on after its end", e);
    const char *wrong = wrong_input(r, line, before, in);
    return wrong ? bad_recording(r, wrong, e) : 0;
}

/* Checks a recording to its end before anything starts. A recording from a pipe is only read when
 * it is due. */
static int replay_check(struct run *r, struct error *e)
{
    if (fseek(r->replay, 0, SEEK_SET))
        return 0;
    if (replay_first(r, e))
        return -1;
    do {
        if (replay_next(r, e))
            return -1;
    } while (r->input.ns != UINT64_MAX);
    rewind(r->replay);
    return 0;
}

static int replay_open(struct run *r, struct error *e)
{
    const struct file_rule recording = {.size_max = REPLAY_MAX, .stream_max = REPLAY_MAX};
    const char *path = r->options.replay;
    u64 size;
    int fd;
    if (file_open(path, &recording, &fd, &size, e))
        return -1;
    r->replay = fdopen(fd, "r");
    if (r->replay)
        return replay_check(r, e) || replay_first(r, e) || replay_next(r, e) ? -1 : 0;
    close(fd);
    return error_set(e, ERROR_MEMORY, "%s: out of memory", path);
}

int run_input_open(struct run *r, struct error *e)
{
    const struct run_options *o = &r->options;
    r->input.ns = UINT64_MAX;
    if (o->record) {
        r->record = file_create(o->record, false, e);
        if (!r->record)
            return -1;
        run_signals_output(r->record);
        fputs(RECORDING_BEGIN, r->record);
    }
    return o->replay ? replay_open(r, e) : 0;
}

int run_input_close(struct run *r, struct error *e)
{
    if (r->record)
        fputs(RECORDING_END, r->record);
    run_signals_output_closes(r->record);
    const bool good = !r->record || file_close(r->record, r->options.record, e);
    if (r->replay)
        fclose(r->replay);
    r->record = r->replay = NULL;
    return good ? 0 : -1;
}

static void replay_input(struct run *r, const struct run_input *in)
{
    if (in->kind == INPUT_CONSOLE)
        run_input_console(r, in->vm, in->bytes, in->count);
    else if (in->kind == INPUT_FRAME)
        run_input_frame(r, in->vm, in->bytes, in->count);
    else
        run_input_button(r, in->vm, in->kind);
}

int run_input_replay(struct run *r, struct error *e)
{
    while (r->input.ns <= machine_ns(r)) {
        replay_input(r, &r->input);
        if (replay_next(r, e))
            return -1;
    }
    return 0;
}
