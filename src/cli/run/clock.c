/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ties machine time to the wall's clock, slice by slice. With the wall's clock, machine time is
 * what the wall says: the program sleeps while all guests idle, and a guest that is slower than the
 * wall finds that time has passed. With the virtual clock, only instructions and fixed costs move
 * machine time, idle time is skipped, and a run can be repeated.
 */
#include "cli/run/run.h"

#include <time.h>

/* The host's time between two looks at the folder of an owner elsewhere, or for a browser. */
#define OWNER_LOOK_NS 20000000ull

u64 run_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * CLOCK_HZ + (u64)t.tv_nsec;
}

/* Returns the machine time that the wall's clock asks for. */
static u64 wall_ns(const struct run *r)
{
    return run_clock_ns() - r->wall_start_ns;
}

static u64 machine_ns(const struct run *r)
{
    return host_time_ns(machine_host(r->machine));
}

/* Returns true if the run must end. The hypervisor asks after every exit, because a guest may keep
 * the host in one slice for long. */
static bool stops(void *context)
{
    struct run *r = context;
    u64 now = run_clock_ns();
    if (now - r->looked_ns >= RUN_LOOK_NS) {
        r->looked_ns = now;
        r->quit |= run_terminal_look(r->terminal, r->replay, NULL, 0);
        run_gdb_look(r, false);
    }
    live_view_look(r->view);
    r->quit |= run_signals_ending();
    return r->quit;
}

void run_clock_resume(struct run *r)
{
    r->wall_start_ns = run_clock_ns() - machine_ns(r);
}

void run_clock_start(struct run *r)
{
    run_clock_resume(r);
    hypervisor_set_stop(r->hv, stops, r);
    if (r->options.limit_given)
        run_limit_output(r->options.clock, r->options.limit_ns);
}

static u64 guests_time(const struct run *r)
{
    u64 sum = 0;
    for (u32 i = 0; i < r->vm_count; i++)
        sum += vm_guest_time(r->vms[i].vm);
    return sum;
}

static bool waits_for_owner(const struct run *r)
{
    for (u32 i = 0; i < r->vm_count; i++)
        if (run_secret_waits(&r->vms[i]))
            return true;
    return false;
}

/* Looks at keyboard, serial ports, networks and the control socket; waits up to `wait_ns` if there
 * is nothing. */
static void look(struct run *r, u64 wait_ns)
{
    if (run_migrate_is_on(r))
        wait_ns = 0;
    const bool more = (r->net_count || r->serial_count || r->control) &&
                      net_polls_reserve(&r->polls, RUN_WAIT_OWN);
    if (more) {
        run_serial_prepare(r);
        run_control_prepare(r);
        run_net_prepare(r, &wait_ns);
    }
    r->quit |= run_terminal_look(r->terminal, r->replay, more ? &r->polls : NULL, wait_ns);
    if (more) {
        run_serial_serve(r);
        run_control_serve(r);
        run_net_serve(r);
    }
}

/* No guest runs, and no machine time passes; whoever paused the run may want to go on. */
static bool slice_paused(struct run *r)
{
    look(r, r->view ? OWNER_LOOK_NS : RUN_SLEEP_MAX_NS);
    return true;
}

/* Where a person is at the keyboard, a guest waits for its owner elsewhere, or a network is open,
 * idle time passes as it does for them. Time in which the guests were slower than the wall is not
 * made up for. */
static bool slice_virtual(struct run *r, u64 limit_ns)
{
    u64 before = guests_time(r);
    bool alive = hypervisor_run(r->hv, min_u64(limit_ns, machine_ns(r) + RUN_VIRTUAL_SLICE_NS));
    u64 wall = wall_ns(r), now = machine_ns(r);
    if (wall > now)
        r->wall_start_ns += wall - now;
    bool paced =
        run_terminal_is_interactive(r->terminal) || waits_for_owner(r) || run_net_is_live(r);
    bool waits = alive && paced && guests_time(r) == before && now > wall;
    look(r, waits ? now - wall : 0);
    return alive;
}

static bool slice_by_wall(struct run *r, u64 limit_ns)
{
    u64 next_ns;
    host_idle_until(machine_host(r->machine), min_u64(limit_ns, wall_ns(r)));
    bool alive =
        hypervisor_run_busy(r->hv, min_u64(limit_ns, machine_ns(r) + RUN_WALL_SLICE_NS), &next_ns);
    u64 until = min_u64(next_ns, limit_ns), wall = wall_ns(r);
    u64 sleep = alive && until > wall ? until - wall : 0;
    const bool typed = run_terminal_has_input(r->terminal) || run_serial_has_input(r);
    sleep = min_u64(sleep, typed                           ? RUN_WALL_SLICE_NS
                           : waits_for_owner(r) || r->view ? OWNER_LOOK_NS
                                                           : RUN_SLEEP_MAX_NS);
    look(r, sleep);
    return alive;
}

/* A signal ends the run even while all guests sleep and nothing exits. */
bool run_slice(struct run *r, u64 limit_ns)
{
    const u64 before = guests_time(r);
    bool alive = r->paused                            ? slice_paused(r)
                 : r->options.clock == RUN_CLOCK_WALL ? slice_by_wall(r, limit_ns)
                                                      : slice_virtual(r, limit_ns);
    run_gdb_look(r, guests_time(r) == before);
    live_view_look(r->view);
    r->quit |= run_signals_ending();
    return alive;
}
