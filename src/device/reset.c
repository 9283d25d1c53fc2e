/* SPDX-License-Identifier: Apache-2.0 */
/* The reset registers. */
#include "device/reset.h"

#define KEYBOARD_PORT 0x64
#define KEYBOARD_PULSE_FIRST                                                                       \
    0xf0 /* F0 to FF pulse output lines: line 0, which is the reset, if bit 0 is clear */
#define PORT92                 0x92
#define PORT92_RESET           0x01
#define PORT92_A20             0x02
#define RESET_CONTROL_PORT     0xcf9
#define RESET_CONTROL_CPU      0x04 /* a rising edge resets */
#define RESET_CONTROL_WRITABLE 0x0e

static void reset_now(struct reset *r)
{
    if (r->reset)
        r->reset(r->ctx);
}

static u64 reset_keyboard_read(struct device *device, u64 offset, u32 size)
{
    (void)device, (void)offset, (void)size;
    return ~0ull;
}

static void reset_keyboard_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)offset, (void)size;
    if (value >= KEYBOARD_PULSE_FIRST && !(value & 1))
        reset_now(CONTAINER_OF(device, struct reset, keyboard));
}

static u64 reset_port92_read(struct device *device, u64 offset, u32 size)
{
    (void)offset, (void)size;
    return CONTAINER_OF(device, struct reset, port92)->port92_value;
}

static void reset_port92_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)offset, (void)size;
    struct reset *r = CONTAINER_OF(device, struct reset, port92);
    bool rising = (value & PORT92_RESET) && !(r->port92_value & PORT92_RESET);
    r->port92_value = (u8)(value | PORT92_A20); /* A20 is always on */
    if (rising)
        reset_now(r);
}

static u64 reset_control_read(struct device *device, u64 offset, u32 size)
{
    (void)offset, (void)size;
    return CONTAINER_OF(device, struct reset, control)->control_value;
}

static void reset_control_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)offset, (void)size;
    struct reset *r = CONTAINER_OF(device, struct reset, control);
    bool rising = (value & RESET_CONTROL_CPU) && !(r->control_value & RESET_CONTROL_CPU);
    r->control_value = (u8)(value & RESET_CONTROL_WRITABLE);
    if (rising)
        reset_now(r);
}

void reset_init(struct reset *r, void (*reset)(void *ctx), void *ctx)
{
    *r = (struct reset){
        .keyboard = {"keyboard", KEYBOARD_PORT, 1, 1, reset_keyboard_read, reset_keyboard_write},
        .port92 = {"port92", PORT92, 1, 1, reset_port92_read, reset_port92_write},
        .control = {"reset", RESET_CONTROL_PORT, 1, 1, reset_control_read, reset_control_write},
        .reset = reset,
        .ctx = ctx,
        .port92_value = PORT92_A20,
    };
}

bool reset_attach(struct reset *r, struct bus *ports)
{
    if (!bus_find(ports, RESET_CONTROL_PORT) && !bus_add(ports, &r->control))
        return false;
    return bus_add(ports, &r->keyboard) && bus_add(ports, &r->port92);
}
