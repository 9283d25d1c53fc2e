/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MC146818 clock with 128 bytes of CMOS memory at ports 70/71. Its time is a start time plus
 * the machine clock; alarm, update-ended and periodic interrupts use interrupt 8.
 */
#ifndef SOFTSEV_DEVICE_RTC_H
#define SOFTSEV_DEVICE_RTC_H

#include "device/bus.h"
#include "device/irq.h"
#include "device/timer.h"

struct rtc {
    struct device ports;
    struct timer_queue *timers;
    struct timer second;   /* armed while update or alarm interrupts are enabled */
    struct timer periodic; /* armed while periodic interrupts are enabled */
    struct irq_line irq;
    s64 offset_s;    /* Unix time at machine clock 0 */
    u64 stopped_ns;  /* SET: the time at which software stopped the clock */
    u64 seen_second; /* the last second whose update is in register C */
    u8 index;
    u8 cmos[128];
};

/* Initialises the clock. `start_s` is the Unix time at machine clock zero. Memory sizes are stored
 * where firmware looks for them. */
void rtc_init(struct rtc *r, struct timer_queue *timers, struct irq_line irq, s64 start_s);
void rtc_set_memory(struct rtc *r, u64 below_4g_bytes, u64 above_4g_bytes);

#endif
