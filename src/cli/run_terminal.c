/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of whoever runs the guests: raw while they run, put back afterwards. Input is taken
 * only when asked for, between two slices of machine time.
 */
#include "cli/run.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE 1 /* Ctrl-A */

struct run_terminal {
    bool raw, ended, escape;
    struct termios before;
};

struct run_terminal *run_terminal_open(void)
{
    struct run_terminal *t = calloc(1, sizeof *t);
    struct termios raw;
    if (!t || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &t->before))
        return t;
    raw = t->before;
    raw.c_iflag &= (tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    t->raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    return t;
}

void run_terminal_close(struct run_terminal *t)
{
    if (t && t->raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
    free(t);
}

bool run_terminal_is_interactive(const struct run_terminal *t)
{
    return t && t->raw;
}

static void key_after_escape(struct run *r, u8 key)
{
    if (key == 'x' || key == 'X') {
        r->quit = true;
    } else if (key == 'n' || key == 'N') {
        r->keyboard = (r->keyboard + 1) % r->vm_count;
        run_step(r, "console", "keyboard goes to %s", r->vms[r->keyboard].options->name);
    } else if (key == ESCAPE) {
        vm_console_input(r->vms[r->keyboard].vm, &key, 1);
    }
}

static void give(struct run_terminal *t, struct run *r, const u8 *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (t->escape) {
            t->escape = false;
            key_after_escape(r, bytes[i]);
        } else if (bytes[i] == ESCAPE && t->raw) {
            t->escape = true;
        } else {
            vm_console_input(r->vms[r->keyboard].vm, &bytes[i], 1);
        }
    }
}

void run_terminal_poll(struct run_terminal *t, struct run *r, int wait_ms)
{
    u8 bytes[256];
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (!t || t->ended)
        return;
    if (poll(&in, 1, wait_ms) <= 0)
        return;
    ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got > 0)
        give(t, r, bytes, (size_t)got);
    else
        t->ended = true;
}
