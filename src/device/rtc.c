/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MC146818 [Motorola data sheet]. The time registers are computed from the machine clock when
 * they are read; a write to them changes the offset between the two.
 */
#include "device/rtc.h"

#define RTC_PORT        0x70
#define NS_PER_S        1000000000ull
#define SECONDS_PER_DAY 86400
#define UPDATE_NS       244000 /* UIP is set this long before the registers change */

enum rtc_register {
    RTC_SECOND = 0x00,
    RTC_SECOND_ALARM = 0x01,
    RTC_MINUTE = 0x02,
    RTC_MINUTE_ALARM = 0x03,
    RTC_HOUR = 0x04,
    RTC_HOUR_ALARM = 0x05,
    RTC_WEEKDAY = 0x06,
    RTC_DAY = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_A = 0x0a,
    RTC_B = 0x0b,
    RTC_C = 0x0c,
    RTC_D = 0x0d,
    RTC_CENTURY = 0x32,
};

#define A_UIP     0x80
#define A_RATE    0x0f
#define A_DEFAULT 0x26 /* 32768 Hz crystal, 1024 Hz periodic */
#define B_SET     0x80
#define B_PIE     0x40
#define B_AIE     0x20
#define B_UIE     0x10
#define B_BINARY  0x04
#define B_24H     0x02
#define C_IRQF    0x80
#define C_PF      0x40
#define C_AF      0x20
#define C_UF      0x10
#define D_VALID   0x80
#define HOUR_PM   0x80
#define ALARM_ANY 0xc0 /* an alarm byte with both bits set matches everything */

struct rtc_date {
    s64 year;
    u32 month, day; /* both start at 1 */
};

/* Returns the days since 1970-01-01 in the Gregorian calendar. Years start in March, so that leap
 * days come last. */
static s64 rtc_days_from_date(struct rtc_date d)
{
    s64 year = d.year - (d.month <= 2);
    s64 era = (year >= 0 ? year : year - 399) / 400;
    s64 year_of_era = year - era * 400;
    s64 day_of_year = (153 * ((s64)d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + (s64)d.day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static struct rtc_date rtc_date_from_days(s64 days)
{
    days += 719468;
    s64 era = (days >= 0 ? days : days - 146096) / 146097;
    s64 day_of_era = days - era * 146097;
    s64 year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    s64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    s64 month = (5 * day_of_year + 2) / 153; /* 0: March */
    return (struct rtc_date){
        .year = era * 400 + year_of_era + (month >= 10),
        .month = (u32)(month < 10 ? month + 3 : month - 9),
        .day = (u32)(day_of_year - (153 * month + 2) / 5 + 1),
    };
}

static u8 rtc_encode(const struct rtc *r, u32 value)
{
    return (u8)((r->cmos[RTC_B] & B_BINARY) ? value : (value / 10 << 4 | value % 10));
}

static u32 rtc_decode(const struct rtc *r, u8 value)
{
    return (r->cmos[RTC_B] & B_BINARY) ? value : (value >> 4) * 10u + (value & 15);
}

static u8 rtc_encode_hour(const struct rtc *r, u32 hour)
{
    if (r->cmos[RTC_B] & B_24H)
        return rtc_encode(r, hour);
    u32 twelve = hour % 12 ? hour % 12 : 12;
    return (u8)(rtc_encode(r, twelve) | (hour >= 12 ? HOUR_PM : 0));
}

static u32 rtc_decode_hour(const struct rtc *r, u8 value)
{
    if (r->cmos[RTC_B] & B_24H)
        return rtc_decode(r, value);
    return rtc_decode(r, value & 0x7f) % 12 + (value & HOUR_PM ? 12 : 0);
}

static u64 rtc_now_ns(const struct rtc *r)
{
    return (r->cmos[RTC_B] & B_SET) ? r->stopped_ns : timer_now(r->timers);
}

static s64 rtc_now_s(const struct rtc *r)
{
    return r->offset_s + (s64)(rtc_now_ns(r) / NS_PER_S);
}

/* Writes the time into the registers. */
static void rtc_show_time(struct rtc *r)
{
    s64 now = rtc_now_s(r);
    s64 days = (now >= 0 ? now : now - (SECONDS_PER_DAY - 1)) / SECONDS_PER_DAY;
    u32 second = (u32)(now - days * SECONDS_PER_DAY);
    struct rtc_date date = rtc_date_from_days(days);
    r->cmos[RTC_SECOND] = rtc_encode(r, second % 60);
    r->cmos[RTC_MINUTE] = rtc_encode(r, second / 60 % 60);
    r->cmos[RTC_HOUR] = rtc_encode_hour(r, second / 3600);
    r->cmos[RTC_WEEKDAY] = rtc_encode(r, (u32)(((days + 4) % 7 + 7) % 7 + 1)); /* 1: Sunday */
    r->cmos[RTC_DAY] = rtc_encode(r, date.day);
    r->cmos[RTC_MONTH] = rtc_encode(r, date.month);
    r->cmos[RTC_YEAR] = rtc_encode(r, (u32)(date.year % 100));
    r->cmos[RTC_CENTURY] = rtc_encode(r, (u32)(date.year / 100 % 100));
}

/* Sets the clock from the registers. Invalid values give an arbitrary time but no fault. */
static void rtc_take_time(struct rtc *r)
{
    struct rtc_date date = {
        .year = rtc_decode(r, r->cmos[RTC_CENTURY]) * 100 + rtc_decode(r, r->cmos[RTC_YEAR]),
        .month = (rtc_decode(r, r->cmos[RTC_MONTH]) + 11) % 12 + 1,
        .day = rtc_decode(r, r->cmos[RTC_DAY]),
    };
    s64 time = rtc_days_from_date(date) * SECONDS_PER_DAY;
    time += rtc_decode_hour(r, r->cmos[RTC_HOUR]) * 3600;
    time += rtc_decode(r, r->cmos[RTC_MINUTE]) * 60 + rtc_decode(r, r->cmos[RTC_SECOND]);
    r->offset_s = time - (s64)(rtc_now_ns(r) / NS_PER_S);
}

static void rtc_update_irq(struct rtc *r)
{
    /* The flags in C have the same bit positions as their enables in B. */
    u8 wanted = r->cmos[RTC_C] & r->cmos[RTC_B] & (B_PIE | B_AIE | B_UIE);
    if (wanted)
        r->cmos[RTC_C] |= C_IRQF;
    irq_set(&r->irq, wanted);
}

static bool rtc_alarm_matches(const struct rtc *r)
{
    static const u8 registers[] = {RTC_SECOND, RTC_MINUTE, RTC_HOUR};
    for (u32 i = 0; i < ARRAY_SIZE(registers); i++) {
        u8 alarm = r->cmos[registers[i] + 1];
        if ((alarm & ALARM_ANY) != ALARM_ANY && alarm != r->cmos[registers[i]])
            return false;
    }
    return true;
}

/* Handles the end of an update cycle, if one has ended since the last call. */
static void rtc_catch_up(struct rtc *r)
{
    u64 second = rtc_now_ns(r) / NS_PER_S;
    if (second == r->seen_second || (r->cmos[RTC_B] & B_SET))
        return;
    r->seen_second = second;
    rtc_show_time(r);
    r->cmos[RTC_C] |= C_UF | (rtc_alarm_matches(r) ? C_AF : 0);
}

static u64 rtc_period_ns(const struct rtc *r)
{
    u32 rate = r->cmos[RTC_A] & A_RATE;
    if (rate == 0)
        return 0;
    if (rate <= 2)
        rate += 7; /* 256 and 128 Hz */
    return (NS_PER_S << (rate - 1)) / 32768;
}

static void rtc_schedule(struct rtc *r)
{
    u64 now = timer_now(r->timers);
    u8 b = r->cmos[RTC_B];
    if ((b & (B_AIE | B_UIE)) && !(b & B_SET))
        timer_arm(r->timers, &r->second, (now / NS_PER_S + 1) * NS_PER_S);
    else
        timer_disarm(r->timers, &r->second);
    u64 period = rtc_period_ns(r);
    if ((b & B_PIE) && period)
        timer_arm(r->timers, &r->periodic, (now / period + 1) * period);
    else
        timer_disarm(r->timers, &r->periodic);
}

static void rtc_second_fire(struct timer *timer, u64 when_ns)
{
    (void)when_ns;
    struct rtc *r = CONTAINER_OF(timer, struct rtc, second);
    rtc_catch_up(r);
    rtc_update_irq(r);
    rtc_schedule(r);
}

static void rtc_periodic_fire(struct timer *timer, u64 when_ns)
{
    (void)when_ns;
    struct rtc *r = CONTAINER_OF(timer, struct rtc, periodic);
    r->cmos[RTC_C] |= C_PF;
    rtc_update_irq(r);
    rtc_schedule(r);
}

static bool rtc_is_time(u8 index)
{
    return index == RTC_SECOND || index == RTC_MINUTE || index == RTC_CENTURY ||
           (index >= RTC_HOUR && index <= RTC_YEAR && index != RTC_HOUR_ALARM);
}

static u8 rtc_read_a(const struct rtc *r)
{
    bool updating =
        !(r->cmos[RTC_B] & B_SET) && timer_now(r->timers) % NS_PER_S >= NS_PER_S - UPDATE_NS;
    return r->cmos[RTC_A] | (updating ? A_UIP : 0);
}

static u8 rtc_read_c(struct rtc *r)
{
    rtc_catch_up(r);
    rtc_update_irq(r);
    u8 value = r->cmos[RTC_C];
    r->cmos[RTC_C] = 0;
    rtc_update_irq(r);
    return value;
}

static u64 rtc_read(struct device *device, u64 offset, u32 size)
{
    (void)size;
    struct rtc *r = CONTAINER_OF(device, struct rtc, ports);
    if (offset == 0)
        return ~0ull; /* the index is write-only */
    if (r->index == RTC_A)
        return rtc_read_a(r);
    if (r->index == RTC_C)
        return rtc_read_c(r);
    if (rtc_is_time(r->index) && !(r->cmos[RTC_B] & B_SET))
        rtc_show_time(r);
    return r->cmos[r->index];
}

static void rtc_write_b(struct rtc *r, u8 value)
{
    bool was_set = r->cmos[RTC_B] & B_SET;
    rtc_catch_up(r);
    if ((value & B_SET) && !was_set) {
        rtc_show_time(r);
        r->stopped_ns = timer_now(r->timers);
    }
    if (value & B_SET)
        value &= (u8)~B_UIE; /* as in the data sheet: SET clears UIE */
    r->cmos[RTC_B] = value;
    if (was_set && !(value & B_SET)) /* the new format bits apply now */
        rtc_take_time(r);
    rtc_update_irq(r);
    rtc_schedule(r);
}

static void rtc_write_register(struct rtc *r, u8 value)
{
    switch (r->index) {
    case RTC_A:
        r->cmos[RTC_A] = value & 0x7f;
        rtc_schedule(r);
        return;
    case RTC_B:
        rtc_write_b(r, value);
        return;
    case RTC_C:
    case RTC_D:
        return;
    default:
        break;
    }
    bool running = !(r->cmos[RTC_B] & B_SET);
    if (rtc_is_time(r->index) && running)
        rtc_show_time(r);
    r->cmos[r->index] = value;
    if (rtc_is_time(r->index) && running)
        rtc_take_time(r);
}

static void rtc_write(struct device *device, u64 offset, u32 size, u64 value)
{
    (void)size;
    struct rtc *r = CONTAINER_OF(device, struct rtc, ports);
    if (offset == 0)
        r->index = value & 0x7f; /* bit 7 would mask NMIs */
    else
        rtc_write_register(r, (u8)value);
}

void rtc_init(struct rtc *r, struct timer_queue *timers, struct irq_line irq, s64 start_s)
{
    *r = (struct rtc){
        .ports = {"rtc", RTC_PORT, 2, 1, rtc_read, rtc_write},
        .timers = timers,
        .second = {.fire = rtc_second_fire},
        .periodic = {.fire = rtc_periodic_fire},
        .irq = irq,
        .offset_s = start_s,
    };
    r->cmos[RTC_A] = A_DEFAULT;
    r->cmos[RTC_B] = B_24H;
    r->cmos[RTC_D] = D_VALID;
}

void rtc_set_memory(struct rtc *r, u64 below_4g_bytes, u64 above_4g_bytes)
{
    u64 extended_kib =
        below_4g_bytes > MIB(1) ? min_u64((below_4g_bytes - MIB(1)) >> 10, 0xffff) : 0;
    u64 above_16m =
        below_4g_bytes > MIB(16) ? min_u64((below_4g_bytes - MIB(16)) >> 16, 0xffff) : 0;
    store_le16(&r->cmos[0x15], 640); /* base memory, KiB */
    store_le16(&r->cmos[0x17], (u16)extended_kib);
    store_le16(&r->cmos[0x30], (u16)extended_kib);
    store_le16(&r->cmos[0x34], (u16)above_16m); /* units of 64 KiB */
    store_le16(&r->cmos[0x5b], (u16)(above_4g_bytes >> 16));
    r->cmos[0x5d] = (u8)(above_4g_bytes >> 32);
}
