/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ties machine time to the wall's clock, slice by slice, and reads the keyboard between two slices.
 * With the wall's clock, machine time is what the wall says, and the program sleeps while all cores
 * idle. With the virtual clock, only instructions and fixed costs move machine time, and idle time
 * is skipped unless somebody sits at the keyboard, or the host has a network.
 */
#include "cli/host/host.h"

#include "base/clock.h"

/* Of this computer's time, between two looks for a browser while all cores idle. */
#define VIEW_LOOK_NS 20000000ull

static u64 machine_ns(const struct host_run *r)
{
    return host_time_ns(machine_host(r->machine));
}

static u64 wall_ns(const struct host_run *r)
{
    return run_clock_ns() - r->wall_start_ns;
}

static u64 busy_ns(const struct host_run *r)
{
    struct bare_summary s;
    bare_get_summary(r->bare, &s);
    return s.busy_ns;
}

static void listen(struct host_run *r, u64 wait_ns)
{
    r->quit |= run_terminal_look(r->terminal, false, NULL, wait_ns);
}

/* Returns true if the run must end. The machine asks after every turn, because a host may stay in
 * one slice for long. */
static bool stops(void *context)
{
    struct host_run *r = context;
    const u64 now = run_clock_ns();
    if (now - r->looked_ns >= RUN_LOOK_NS) {
        r->looked_ns = now;
        listen(r, 0);
        host_gdb_look(r, false);
    }
    live_view_look(r->view);
    r->quit |= run_signals_ending();
    return r->quit;
}

void host_clock_watch(struct host_run *r)
{
    bare_set_stop(r->bare, stops, r);
}

void host_clock_start(struct host_run *r)
{
    r->wall_start_ns = run_clock_ns() - machine_ns(r);
    if (r->options.limit_given)
        run_limit_output(r->options.clock, r->options.limit_ns);
}

/* Runs one slice of virtual time. If the machine was slower than the wall, it does not catch up. */
static bool slice_virtual(struct host_run *r, u64 limit_ns)
{
    const u64 before = busy_ns(r);
    const bool alive = bare_run(r->bare, min_u64(limit_ns, machine_ns(r) + RUN_VIRTUAL_SLICE_NS));
    const u64 wall = wall_ns(r), now = machine_ns(r);
    if (wall > now)
        r->wall_start_ns += wall - now;
    const bool paced = run_terminal_is_interactive(r->terminal) || host_devices_live(r);
    const bool idle = alive && paced && busy_ns(r) == before;
    host_devices_look(r, idle && now > wall ? now - wall : 0);
    return alive;
}

static bool slice_by_wall(struct host_run *r, u64 limit_ns)
{
    u64 next_ns;
    host_idle_until(machine_host(r->machine), min_u64(limit_ns, wall_ns(r)));
    const bool alive =
        bare_run_busy(r->bare, min_u64(limit_ns, machine_ns(r) + RUN_WALL_SLICE_NS), &next_ns);
    const u64 until = min_u64(next_ns, limit_ns), wall = wall_ns(r);
    const u64 sleep = alive && until > wall ? until - wall : 0;
    const bool typed = run_terminal_has_input(r->terminal) || host_devices_wait(r);
    host_devices_look(r, min_u64(sleep, typed     ? RUN_WALL_SLICE_NS
                                        : r->view ? VIEW_LOOK_NS
                                                  : RUN_SLEEP_MAX_NS));
    return alive;
}

/* --- Keys ------------------------------------------------------------------------------------- */

/* A host whose serial port is elsewhere has no keyboard. */
static size_t give(void *context, const u8 *bytes, size_t count)
{
    struct host_run *r = context;
    return r->devices.serial ? count : bare_console_input(r->bare, bytes, count);
}

static void command(void *context, u8 key)
{
    struct host_run *r = context;
    const u8 escape = 1; /* Ctrl-A twice sends one */
    if (key == 'x' || key == 'X')
        r->quit = true;
    else if (key == escape)
        give(r, &escape, 1);
}

bool host_slice(struct host_run *r, u64 limit_ns)
{
    const struct run_keys keys = {give, command, r};
    const u64 before = busy_ns(r);
    const bool alive = r->options.clock == RUN_CLOCK_WALL ? slice_by_wall(r, limit_ns)
                                                          : slice_virtual(r, limit_ns);
    host_gdb_look(r, alive && busy_ns(r) == before);
    live_view_look(r->view);
    if (alive) {
        run_terminal_pass(r->terminal, &keys, machine_ns(r));
        host_devices_give(r);
    }
    r->quit |= run_signals_ending();
    return alive;
}
