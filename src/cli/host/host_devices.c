/* SPDX-License-Identifier: Apache-2.0 */
/* Connects the board's disks, network card, entropy source and serial port to files and sockets.
 * Input reaches the machine only between two slices of machine time. */
#include "cli/host/host.h"

#include "crypto/crypto.h"

/* --- Opening ---------------------------------------------------------------------------------- */

static int open_random(struct host_run *r, struct error *e)
{
    struct host_devices *d = &r->devices;
    const char *text = r->options.seed;
    u8 seed[32];
    if (text)
        crypto_sev_kdf(text, strlen(text), "softsev-device", NULL, 0, seed, sizeof seed);
    d->crypto = crypto_create(text ? seed : NULL, sizeof seed);
    if (!d->crypto)
        return error_set(e, ERROR_INTERNAL, "OpenSSL cannot be used");
    d->random = crypto_random_source(d->crypto);
    return 0;
}

int host_devices_open(struct host_run *r, struct error *e)
{
    const struct host_options *o = &r->options;
    struct host_devices *d = &r->devices;
    for (u32 i = 0; i < o->disk_count; i++)
        if (run_open_disk(&o->disks[i], &d->disks[i], e))
            return -1;
    if (o->net.on && !(d->net = net_create(&o->net, run_clock_ns, e)))
        return -1;
    if (o->virtio_rng && open_random(r, e))
        return -1;
    return run_serial_create(o->serial, &d->serial, e);
}

int host_devices_close(struct host_run *r, struct error *e)
{
    struct host_devices *d = &r->devices;
    for (u32 i = 0; i < r->options.disk_count; i++)
        run_close_disk(&d->disks[i]);
    net_destroy(d->net);
    net_polls_free(&d->polls);
    crypto_destroy(d->crypto);
    const int result = run_serial_destroy(d->serial, e);
    *d = (struct host_devices){0};
    return result;
}

/* --- The board's side ------------------------------------------------------------------------- */

static bool on_read(void *context, u64 sector, void *out, u64 count)
{
    const struct run_disk_file *d = context;
    return d->read(d->context, sector * SECTOR_SIZE, out, count * SECTOR_SIZE);
}

static bool on_write(void *context, u64 sector, const void *data, u64 count)
{
    const struct run_disk_file *d = context;
    return d->write && d->write(d->context, sector * SECTOR_SIZE, data, count * SECTOR_SIZE);
}

static void on_send(void *context, const u8 *frame, u64 size)
{
    net_send(context, frame, size);
}

void host_devices_connect(struct host_run *r, struct bare_config *config)
{
    struct host_devices *d = &r->devices;
    config->disk_count = r->options.disk_count;
    for (u32 i = 0; i < config->disk_count; i++)
        config->disks[i] = (struct block_backend){.read = on_read,
                                                  .write = on_write,
                                                  .size_sectors = d->disks[i].size / SECTOR_SIZE,
                                                  .read_only = !d->disks[i].write,
                                                  .ctx = &d->disks[i]};
    config->net = (struct net_backend){.send = d->net ? on_send : NULL, .ctx = d->net};
    net_card_address(0, config->net.mac);
    config->random = d->crypto ? &d->random : NULL;
}

/* --- Input ------------------------------------------------------------------------------------ */

bool host_devices_live(const struct host_run *r)
{
    return r->devices.net;
}

bool host_devices_wait(const struct host_run *r)
{
    return r->devices.serial && run_serial_typed(r->devices.serial);
}

void host_devices_look(struct host_run *r, u64 wait_ns)
{
    struct host_devices *d = &r->devices;
    const bool more = (d->net || d->serial) && net_polls_reserve(&d->polls, RUN_WAIT_OWN);
    if (more && d->serial)
        run_serial_poll(d->serial, &d->polls);
    if (more && d->net)
        net_prepare(d->net, &d->polls, &wait_ns);
    r->quit |= run_terminal_look(r->terminal, false, more ? &d->polls : NULL, wait_ns);
    if (more && d->serial)
        run_serial_polled(d->serial, &d->polls, false);
    if (more && d->net)
        net_serve(d->net, &d->polls);
}

static size_t give_serial(void *context, const u8 *bytes, size_t count)
{
    return bare_console_input(((struct host_run *)context)->bare, bytes, count);
}

void host_devices_give(struct host_run *r)
{
    struct host_devices *d = &r->devices;
    const struct run_keys keys = {.give = give_serial, .context = r};
    const void *frame;
    size_t size;
    if (d->serial)
        run_serial_pass(d->serial, &keys, host_time_ns(machine_host(r->machine)));
    while (d->net && (frame = net_frame(d->net, &size)) && bare_net_input(r->bare, frame, size))
        net_next(d->net);
}
