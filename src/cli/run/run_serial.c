/* SPDX-License-Identifier: Apache-2.0 */
/* VMs' serial ports that lead to a file or a socket. Input reaches a guest between two slices, and
 * is recorded as the keyboard's is. */
#include "cli/run/run.h"
#include "cli/run/serial.h"

int run_serial_open(struct run_vm *v, struct error *e)
{
    const int result = run_serial_create(v->options->serial, &v->serial, e);
    v->run->serial_count += v->serial ? 1 : 0;
    return result;
}

int run_serial_close(struct run_vm *v, struct error *e)
{
    const int result = run_serial_destroy(v->serial, e);
    v->serial = NULL;
    return result;
}

void run_uart_output(void *context, const u8 *data, size_t size)
{
    struct run_vm *v = context;
    if (!v->serial) {
        run_console_output(v, data, size);
        return;
    }
    v->console_bytes += size;
    run_panic_watch(&v->panic, data, size);
    run_serial_send(v->serial, data, size);
}

bool run_serial_has_input(const struct run *r)
{
    for (u32 i = 0; r->serial_count && i < r->vm_count; i++)
        if (r->vms[i].serial && run_serial_typed(r->vms[i].serial))
            return true;
    return false;
}

static size_t give(void *context, const u8 *bytes, size_t count)
{
    struct run_vm *v = context;
    return run_input_console(v->run, (u32)(v - v->run->vms), bytes, count);
}

void run_serial_give(struct run *r)
{
    const u64 now = host_time_ns(machine_host(r->machine));
    for (u32 i = 0; r->serial_count && i < r->vm_count; i++) {
        const struct run_keys keys = {.give = give, .context = &r->vms[i]};
        if (r->vms[i].serial)
            run_serial_pass(r->vms[i].serial, &keys, now);
    }
}

void run_serial_prepare(struct run *r)
{
    for (u32 i = 0; r->serial_count && i < r->vm_count; i++)
        if (r->vms[i].serial)
            run_serial_poll(r->vms[i].serial, &r->polls);
}

/* A replay drops the input of serial ports: the recording has its own. */
void run_serial_serve(struct run *r)
{
    for (u32 i = 0; r->serial_count && i < r->vm_count; i++)
        if (r->vms[i].serial)
            run_serial_polled(r->vms[i].serial, &r->polls, r->replay);
}
