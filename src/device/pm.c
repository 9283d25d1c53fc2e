/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI fixed hardware [ACPI 6, 4.8]: events, control and the power management timer. */
#include "device/pm.h"

#define PM_STATUS      0
#define PM_ENABLE      2
#define TMR_STS        0x0001
#define GBL_STS        0x0020
#define PWRBTN_STS     0x0100
#define SLPBTN_STS     0x0200
#define RTC_STS        0x0400
#define WAK_STS        0x8000
#define STATUS_ALL     (TMR_STS | 0x0010 | GBL_STS | PWRBTN_STS | SLPBTN_STS | RTC_STS | WAK_STS)
#define ENABLE_ALL     (TMR_STS | GBL_STS | PWRBTN_STS | SLPBTN_STS | RTC_STS)
#define CONTROL_SCI_EN 0x0001
#define CONTROL_KEPT   0x1c02 /* BM_RLD and SLP_TYP */
#define CONTROL_SLP_EN 0x2000
#define TIMER_BITS     24
#define NS_PER_S       1000000000u

static u64 pm_ticks(const struct pm *pm)
{
    return (u64)((u128)timer_now(pm->timers) * PM_TIMER_HZ / NS_PER_S);
}

/* Updates TMR_STS, which is set whenever the timer's highest bit changes. */
static void pm_catch_up(struct pm *pm)
{
    u64 carries = pm_ticks(pm) >> (TIMER_BITS - 1);
    if (carries != pm->carry_seen)
        pm->status |= TMR_STS;
    pm->carry_seen = carries;
}

static void pm_update(struct pm *pm)
{
    pm_catch_up(pm);
    irq_set(&pm->sci, pm->status & pm->enable & ENABLE_ALL);
    if (pm->enable & TMR_STS) {
        u128 next = (u128)(pm->carry_seen + 1) << (TIMER_BITS - 1);
        timer_arm(pm->timers, &pm->overflow,
                  (u64)((next * NS_PER_S + PM_TIMER_HZ - 1) / PM_TIMER_HZ));
    } else {
        timer_disarm(pm->timers, &pm->overflow);
    }
}

static void pm_fire(struct timer *timer, u64 when_ns)
{
    (void)when_ns;
    pm_update(CONTAINER_OF(timer, struct pm, overflow));
}

/* Writes the block as sixteen bytes, so that accesses of any size and offset work. */
static void pm_image(struct pm *pm, u8 image[PM_PORTS])
{
    pm_catch_up(pm);
    memset(image, 0, PM_PORTS);
    store_le16(image + PM_STATUS, pm->status);
    store_le16(image + PM_ENABLE, pm->enable);
    store_le16(image + PM_CONTROL, pm->control | CONTROL_SCI_EN);
    store_le32(image + PM_TIMER, (u32)(pm_ticks(pm) & (BIT(TIMER_BITS) - 1)));
    store_le16(image + PM_GPE0 + 2, pm->gpe_enable);
}

static u64 pm_read(struct device *device, u64 offset, u32 size)
{
    struct pm *pm = CONTAINER_OF(device, struct pm, ports);
    u8 image[PM_PORTS + 8] = {0};
    pm_image(pm, image);
    return bus_truncate(load_le64(image + offset), size);
}

static void pm_write_control(struct pm *pm, u16 value)
{
    pm->control = value & CONTROL_KEPT;
    bool off = (value & CONTROL_SLP_EN) && BITS(value, 12, 10) == PM_SLEEP_S5;
    if (off && pm->power_off)
        pm->power_off(pm->ctx);
}

static void pm_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct pm *pm = CONTAINER_OF(device, struct pm, ports);
    u8 image[PM_PORTS + 8] = {0};
    pm_image(pm, image);
    store_le16(image + PM_STATUS, 0); /* writing ones clears status bits */
    for (u32 i = 0; i < size; i++)
        image[offset + i] = (u8)(value >> (8 * i));
    pm->status &= (u16)~load_le16(image + PM_STATUS);
    pm->enable = load_le16(image + PM_ENABLE) & ENABLE_ALL;
    pm->gpe_enable = load_le16(image + PM_GPE0 + 2);
    if (offset < PM_CONTROL + 2 && offset + size > PM_CONTROL)
        pm_write_control(pm, load_le16(image + PM_CONTROL));
    pm_update(pm);
}

void pm_init(struct pm *pm, u64 port, struct timer_queue *timers, struct irq_line sci,
             void (*power_off)(void *ctx), void *ctx)
{
    *pm = (struct pm){
        .ports = {"acpi-pm", port, PM_PORTS, 4, pm_read, pm_write},
        .timers = timers,
        .overflow = {.fire = pm_fire},
        .sci = sci,
        .power_off = power_off,
        .ctx = ctx,
    };
}

void pm_press_power_button(struct pm *pm)
{
    pm->status |= PWRBTN_STS;
    pm_update(pm);
}
