/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that `softsev run` (with softsev's hypervisor) and `softsev host` (without it)
 * share: signals, events, option values, a kernel's panic. */
#ifndef SOFTSEV_CLI_RUN_SESSION_H
#define SOFTSEV_CLI_RUN_SESSION_H

#include "base/error.h"
#include "base/trace.h"
#include "cli/options.h"
#include "cpu/cpu.h"
#include "cli/identity/cpu_choice.h" /* cli_cpu_parse() reads --cpu */

#include <stdio.h>

struct crypto_sha256;

/* --- Words of options ------------------------------------------------------------------------- */

/* The clock that machine time follows (clock.c). */
enum run_clock { RUN_CLOCK_UNSAID, RUN_CLOCK_VIRTUAL, RUN_CLOCK_WALL };

/* The devices that --device adds to a machine. */
enum run_device { RUN_NO_DEVICE, RUN_TESTDEV };

extern const struct option_choice run_clocks[], run_engines[], run_devices[];

/* Parses a time of day, for an option of the kind OPTION_PARSED. */
bool run_parse_time(const char *text, u64 *out);
/* The guest's paravirtual clock counts seconds in 32 bits. */
#define RUN_TIME_SHOULD                                                                            \
    "seconds since 1970, at most 4294967295 (in 2106): the guest's paravirtual clock has 32 bits"
/* 2026-01-01: the time of a seeded run without --time, which must not ask the host. */
#define RUN_SEEDED_TIME 1767225600u

/* --- Events (run_trace.c) --------------------------------------------------------------------- */

struct run_trace {
    const char *path; /* of --trace-file; NULL: standard error */
    u32 categories;   /* categories that are printed */
    bool json, hashes;
    FILE *out;
    int error; /* errno of the first event that could not be written; 0: none */
    struct trace_sink print_sink, hash_sink;
    struct crypto_sha256 *hash;
};

int run_trace_open(struct run_trace *t, struct error *e);
/* Connects the sinks to a machine's events. */
void run_trace_start(struct run_trace *t, struct trace *trace);
/* Begins the hash anew: what came before is not in it. */
void run_trace_restart(struct run_trace *t);
/* Writes the hash of all events so far; empty without --trace-hash. */
void run_trace_hash(const struct run_trace *t, char hex[65]);
/* Returns -1 if an event could not be written. */
int run_trace_close(struct run_trace *t, struct error *e);

/* --- A kernel's panic (run_panic.c) ----------------------------------------------------------- */

/* The part of a console line in which a panic is looked for, in bytes: time stamp, words, text. */
#define RUN_PANIC_LINE_MAX 200u

struct run_panic {
    char text[120];                /* what the kernel said when it panicked; empty: no panic */
    char line[RUN_PANIC_LINE_MAX]; /* the beginning of the console's last line */
    size_t line_size;
};

void run_panic_watch(struct run_panic *w, const u8 *data, size_t size);
/* Call it at the end of the run: the console's last line is complete then. */
void run_panic_line_ends(struct run_panic *w);

/* --- Signals (run_signals.c) ------------------------------------------------------------------ */

struct termios;
/* Installs the handlers. The first SIGTERM, SIGINT, SIGHUP or SIGPIPE is noted; the second ends the
 * program at once. */
void run_signals_start(void);
/* Once the file is open: after a signal nothing waits for a reader of it, if it is a pipe or a
 * device, and of standard output and error. What cannot be written is lost. NULL: nothing. */
void run_signals_output(FILE *file);
void run_signals_output_closes(FILE *file); /* before it is closed */
/* Standard output and error are about to lead elsewhere. */
void run_signals_outputs_leave(void);
/* Sets a limit on the host's clock, after which nothing waits for a reader of standard output and
 * error any longer, as after a signal. Output that cannot be written then is lost. */
void run_signals_limit(u64 ns);
/* Returns the name of the signal that asked for an end: "SIGTERM". */
const char *run_signals_name(void);
bool run_signals_ending(void);
bool run_signals_reader_gone(void); /* the signal was SIGPIPE */
int run_signals_status(void); /* the exit status: 128 plus the signal's number; 0: no signal came */
/* Makes the terminal raw. It is put back when a signal ends or stops the program. */
void run_signals_terminal(const struct termios *before, const struct termios *raw);
void run_signals_terminal_done(void);
/* Waits until `fd` (-1: none) can be read, a signal asks for an end, or the time is over. Returns
 * true if `fd` can be read. */
bool run_signals_wait(int fd, u64 ns);
/* Makes each wait end also when this descriptor can be read; -1: none. */
void run_signals_watch(int fd);
/* Makes each wait end also when one of these descriptors has its event. The caller leaves the first
 * RUN_WAIT_OWN entries to the wait. NULL: none. */
#define RUN_WAIT_OWN 2u
struct pollfd;
void run_signals_watch_list(struct pollfd *fds, size_t count);

/* --- The terminal (terminal.c) ---------------------------------------------------------------- */

struct run_terminal;
struct run_terminal *run_terminal_open(void);
void run_terminal_close(struct run_terminal *t); /* puts the terminal back into its old mode */
bool run_terminal_is_interactive(const struct run_terminal *t);
bool run_terminal_has_input(const struct run_terminal *t); /* input that no machine has got yet */
struct net_polls;
/* Takes what was typed, unless `deaf`, and looks at the descriptors of `polls` behind the first
 * RUN_WAIT_OWN; NULL: there are none. Waits up to `wait_ns` if there is nothing; a signal that ends
 * the run also ends the wait. Changes no machine. Returns true for Ctrl-A x. */
bool run_terminal_look(struct run_terminal *t, bool deaf, struct net_polls *polls, u64 wait_ns);

/* The receiver of keys. */
struct run_keys {
    /* Returns how many bytes it had room for. */
    size_t (*give)(void *context, const u8 *bytes, size_t count);
    void (*command)(void *context, u8 key); /* the key after Ctrl-A */
    void *context;
};
/* Passes on what was typed at the speed of a serial line. `now_ns` is machine time. */
void run_terminal_pass(struct run_terminal *t, const struct run_keys *to, u64 now_ns);
/* How many bytes have come over a serial line since `given_ns`; at most a line of a recording. */
size_t run_line_room(u64 given_ns, u64 now_ns);

/* --- Output, and the end of a run (run_output.c) ---------------------------------------------- */

struct json_t;
void run_print_json(struct json_t *object); /* prints a line and flushes it */
/* Prints one step and who takes it: "firmware    ...", or a JSON line. */
void run_print_step(bool json, const char *who, const char *text);
/* Prints a console's bytes as JSON lines. Bytes that are not text become question marks, because
 * JSON holds UTF-8 only. */
void run_print_console(const char *machine, const u8 *data, size_t size);
/* Flushes standard output at the end. Returns -1 if not all was written, unless a signal asked for
 * an early end. */
int run_output_close(const char *command, struct error *e);
const char *run_engine_name(enum cpu_engine engine);
/* Returns -1 and an error if --engine asked for an engine that this computer does not have. */
int run_check_engine(enum cpu_engine asked, enum cpu_engine runs, struct error *e);
/* Returns the exit status for a guest that wrote `code` to the debug-exit port, as test kernels
 * expect it. */
int run_debug_exit_status(u32 code);

/* --- Slices of machine time (clock.c, cli/host/host_clock.c) ---------------------------------- */

#define RUN_VIRTUAL_SLICE_NS 20000000ull /* machine time; recordings depend on it */
#define RUN_WALL_SLICE_NS    2000000ull  /* machine time between two looks at the wall's clock */
/* The host's time between two looks at the keyboard within a slice, and the longest sleep. */
#define RUN_LOOK_NS      50000000ull
#define RUN_SLEEP_MAX_NS 3600000000000ull
/* Makes the limit of a run hold even if nobody reads its output. Only for the wall's clock: virtual
 * time waits for a reader. */
void run_limit_output(enum run_clock clock, u64 limit_ns);

/* --- The host's clock ------------------------------------------------------------------------- */

u64 run_clock_ns(void); /* monotonic, nanoseconds */

#endif
