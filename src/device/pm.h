/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI power management in fixed hardware: PM1a event and control blocks, the 3.579545 MHz timer
 * and a general-purpose event block with nothing in it. The machine is always in ACPI mode (SCI_EN
 * = 1).
 *
 *   +0 PM1_STS  +2 PM1_EN  +4 PM1_CNT  +8 PM_TMR  +0C..0F GPE0 (status 2 bytes, enable 2 bytes)
 */
#ifndef SOFTSEV_DEVICE_PM_H
#define SOFTSEV_DEVICE_PM_H

#include "device/bus.h"
#include "device/irq.h"
#include "device/timer.h"

#define PM_TIMER_HZ 3579545ull
#define PM_PORTS    16
#define PM_EVENT    0 /* offsets of the register blocks, for the FADT */
#define PM_CONTROL  4
#define PM_TIMER    8
#define PM_GPE0     12
#define PM_SLEEP_S5 5 /* SLP_TYP for soft off, as in the DSDT's \_S5 */

struct pm {
    struct device ports;
    struct timer_queue *timers;
    struct timer overflow; /* armed while TMR_EN is set */
    struct irq_line sci;
    void (*power_off)(void *ctx);
    void *ctx;
    u16 status, enable, control;
    u16 gpe_enable;
    u64 carry_seen; /* timer carries already reported in TMR_STS */
};

void pm_init(struct pm *pm, u64 port, struct timer_queue *timers, struct irq_line sci,
             void (*power_off)(void *ctx), void *ctx);
void pm_press_power_button(struct pm *pm);

#endif
