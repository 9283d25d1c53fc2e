/* SPDX-License-Identifier: Apache-2.0 */
/* Saves and loads the state of devices. What is loaded is hostile: whatever leads a device into its
 * arrays, or divides, is checked here. */
#include "device/archive.h"

#include "device/fw_cfg.h"
#include "device/internal.h"
#include "device/ioapic.h"
#include "device/pflash.h"
#include "device/pic.h"
#include "device/pit.h"
#include "device/pm.h"
#include "device/reset.h"
#include "device/rtc.h"
#include "device/testdev.h"
#include "device/uart.h"
#include "device/virtio_blk.h"

#define TIME_LIMIT BIT(62) /* ns: machine times are below */

static void archive_time(struct archive *a, u64 *ns)
{
    archive_u64_below(a, ns, TIME_LIMIT, "a time");
}

/* --- Timers ----------------------------------------------------------------------------------- */

void timer_queue_archive(struct timer_queue *q, struct archive *a)
{
    archive_section(a, "timers", 1);
    archive_u64(a, &q->next_order);
}

void timer_archive(struct timer *t, struct timer_queue *q, struct archive *a)
{
    bool armed = t->armed;
    u64 when_ns = t->when_ns, order = t->order;
    archive_bool(a, &armed);
    archive_u64(a, &when_ns);
    archive_u64(a, &order);
    if (a->loading && !a->failed)
        timer_restore(q, t, armed, when_ns, order);
}

/* --- Interrupt controllers -------------------------------------------------------------------- */

#define APIC_BASE_BITS 0x000fffffffffff00ull

void lapic_archive(struct lapic *l, struct archive *a)
{
    archive_section(a, "lapic", 1);
    timer_archive(&l->timer, l->timers, a);
    archive_u64(a, &l->base_msr);
    archive_check(a, !(l->base_msr & ~APIC_BASE_BITS), "the APIC's base");
    archive_u64(a, &l->tsc_offset);
    archive_u8(a, &l->xapic_id);
    archive_u8(a, &l->tpr);
    u32 *const values[] = {&l->ldr,      &l->dfr,     &l->svr,      &l->esr,
                           &l->esr_next, &l->icr_low, &l->icr_high, &l->divide};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        archive_u32(a, values[i]);
    archive_u32s(a, l->lvt, LAPIC_LVTS);
    archive_u32s(a, l->irr, ARRAY_SIZE(l->irr));
    archive_u32s(a, l->isr, ARRAY_SIZE(l->isr));
    archive_u32s(a, l->tmr, ARRAY_SIZE(l->tmr));
    archive_u32(a, &l->initial_count);
    archive_time(a, &l->timer_start_ns);
    archive_bool(a, &l->expired);
    archive_u64(a, &l->deadline_tsc);
    archive_bool(a, &l->lint_level[0]);
    archive_bool(a, &l->lint_level[1]);
}

void ioapic_archive(struct ioapic *io, struct archive *a)
{
    archive_section(a, "ioapic", 1);
    archive_u8(a, &io->id);
    archive_u8(a, &io->select);
    archive_u64s(a, io->entries, IOAPIC_PINS);
    archive_u32(a, &io->lines);
}

static void pic_chip_archive(struct pic_chip *c, struct archive *a)
{
    u8 *const bytes[] = {&c->irr,  &c->imr,  &c->isr,    &c->lines,
                         &c->elcr, &c->base, &c->lowest, &c->init_step};
    bool *const flags[] = {&c->icw4_needed,  &c->auto_eoi,       &c->rotate_on_auto_eoi,
                           &c->special_mask, &c->special_nested, &c->read_isr,
                           &c->poll,         &c->single};
    for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
        archive_u8(a, bytes[i]);
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        archive_bool(a, flags[i]);
    archive_check(a, c->lowest < 8 && c->init_step <= 4, "an 8259's priority or initialisation");
}

void pic_archive(struct pic *p, struct archive *a)
{
    archive_section(a, "pic", 1);
    pic_chip_archive(&p->chips[0], a);
    pic_chip_archive(&p->chips[1], a);
    archive_bool(a, &p->output_level);
}

/* --- Time ------------------------------------------------------------------------------------- */

#define COUNT_MAX 65536u

static bool count_is_right(u32 count)
{
    return count && count <= COUNT_MAX;
}

static void pit_counter_archive(struct pit_counter *c, struct archive *a)
{
    bool *const flags[] = {&c->bcd,          &c->gate,       &c->loaded,    &c->started,
                           &c->next_pending, &c->write_high, &c->read_high, &c->status_latched};
    archive_u8(a, &c->mode);
    archive_u8(a, &c->access);
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        archive_bool(a, flags[i]);
    archive_u32(a, &c->reload);
    archive_time(a, &c->start_tick);
    archive_time(a, &c->held_ticks);
    archive_u32(a, &c->next_reload);
    archive_time(a, &c->next_tick);
    archive_u8(a, &c->write_low);
    archive_u8(a, &c->latched);
    archive_u16(a, &c->count_latch);
    archive_u8(a, &c->status_latch);
    archive_check(a,
                  c->mode <= 5 && c->access <= 3 && c->latched <= 2 && count_is_right(c->reload) &&
                      (!c->next_pending || count_is_right(c->next_reload)),
                  "a counter of the 8254");
}

void pit_archive(struct pit *p, struct archive *a)
{
    archive_section(a, "pit", 1);
    timer_archive(&p->timer, p->timers, a);
    for (u32 i = 0; i < PIT_COUNTERS; i++)
        pit_counter_archive(&p->counters[i], a);
    archive_u8(a, &p->control_bits);
}

void rtc_archive(struct rtc *r, struct archive *a)
{
    u64 offset = (u64)r->offset_s;
    archive_section(a, "rtc", 1);
    timer_archive(&r->second, r->timers, a);
    timer_archive(&r->periodic, r->timers, a);
    archive_u64(a, &offset);
    archive_check(a, offset + BIT(42) < BIT(43), "the time of day");
    if (a->loading && !a->failed)
        r->offset_s = (s64)offset;
    archive_time(a, &r->stopped_ns);
    archive_u64(a, &r->seen_second);
    archive_u8(a, &r->index);
    archive_check(a, r->index < sizeof r->cmos, "the index of CMOS memory");
    archive_bytes(a, r->cmos, sizeof r->cmos);
}

void pm_archive(struct pm *pm, struct archive *a)
{
    archive_section(a, "pm", 1);
    timer_archive(&pm->overflow, pm->timers, a);
    archive_u16(a, &pm->status);
    archive_u16(a, &pm->enable);
    archive_u16(a, &pm->control);
    archive_u16(a, &pm->gpe_enable);
    archive_time(a, &pm->carry_seen);
}

/* --- Ports ------------------------------------------------------------------------------------ */

void uart_archive(struct uart *u, struct archive *a)
{
    u8 *const bytes[] = {&u->ier,       &u->lcr, &u->mcr, &u->lsr_errors,
                         &u->msr_delta, &u->scr, &u->fcr, &u->msr_lines};
    archive_section(a, "uart", 1);
    for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
        archive_u8(a, bytes[i]);
    archive_u16(a, &u->divisor);
    archive_bytes(a, u->fifo, sizeof u->fifo);
    archive_u32_below(a, &u->fifo_at, UART_FIFO_SIZE, "a place in the FIFO");
    archive_u32_below(a, &u->fifo_count, UART_FIFO_SIZE + 1, "the number of bytes in the FIFO");
    archive_bool(a, &u->transmit_pending);
    archive_bool(a, &u->level);
    archive_u64(a, &u->bytes_out);
    archive_u64(a, &u->bytes_in);
}

void reset_archive(struct reset *r, struct archive *a)
{
    archive_section(a, "reset", 1);
    archive_u8(a, &r->control_value);
    archive_u8(a, &r->port92_value);
}

void testdev_archive(struct testdev *t, struct archive *a)
{
    archive_section(a, "testdev", 1);
    archive_bytes(a, t->value, sizeof t->value);
    archive_bytes(a, t->memory, sizeof t->memory);
}

void fw_cfg_archive(struct fw_cfg *f, struct archive *a)
{
    archive_section(a, "fw_cfg", 1);
    archive_same(a, f->item_count, "the number of items");
    archive_u16(a, &f->selected);
    archive_u64_below(a, &f->at, BIT(48), "the position in an item");
    archive_u32(a, &f->dma_high);
}

/* The contents are the host's. */
void pflash_archive(struct pflash *p, struct archive *a)
{
    archive_section(a, "pflash", 1);
    archive_u8(a, &p->shows);
    archive_u8(a, &p->expects);
    archive_u8(a, &p->status);
}

/* --- Virtio ----------------------------------------------------------------------------------- */

static bool vector_is_right(const struct virtio *v, u16 vector)
{
    return vector == VIRTIO_NO_VECTOR || vector < v->pci.msix.count;
}

static void virtqueue_archive(struct virtqueue *q, struct archive *a)
{
    archive_u16(a, &q->size);
    archive_bool(a, &q->enabled);
    archive_u16(a, &q->msix_vector);
    archive_u64(a, &q->descriptors);
    archive_u64(a, &q->available);
    archive_u64(a, &q->used);
    archive_u16(a, &q->next_available);
    archive_u16(a, &q->next_used);
    const u64 size = q->size;
    archive_check(a,
                  size && !(size & (size - 1)) && size <= q->size_max &&
                      vector_is_right(q->device, q->msix_vector),
                  "a queue's size or vector");
    archive_check(a,
                  !q->enabled || (range_fits(q->descriptors, 16 * size, UINT64_MAX) &&
                                  range_fits(q->available, 4 + 2 * size, UINT64_MAX) &&
                                  range_fits(q->used, 4 + 8 * size, UINT64_MAX)),
                  "a queue's place");
}

void virtio_archive(struct virtio *v, struct archive *a)
{
    const u32 queues = v->type->queue_count;
    archive_section(a, v->type->name, 1);
    archive_same(a, v->features_offered, "the set of features that it offers");
    archive_bytes(a, v->config, v->type->config_size);
    archive_u64(a, &v->features_accepted);
    archive_u32(a, &v->offered_select);
    archive_u32(a, &v->accepted_select);
    archive_u8(a, &v->status);
    archive_u8(a, &v->isr);
    archive_u8(a, &v->config_generation);
    archive_u16(a, &v->config_vector);
    archive_u16(a, &v->queue_select);
    archive_u32_below(a, &v->paused, 1u << queues, "the set of queues that have paused");
    archive_check(a,
                  !(v->status & VIRTIO_STATUS_FEATURES_OK) ||
                      !(v->features_accepted & ~v->features_offered),
                  "a feature that was not offered");
    archive_check(a, vector_is_right(v, v->config_vector), "a vector");
    for (u32 i = 0; i < queues; i++)
        virtqueue_archive(&v->queues[i], a);
}

void virtio_blk_archive(struct virtio_blk *b, struct archive *a)
{
    archive_section(a, "disk", 1);
    archive_same(a, b->backend.size_sectors, "the number of sectors");
    archive_same(a, b->backend.read_only, "whether it is read-only");
    virtio_archive(&b->virtio, a);
    archive_u64(a, &b->requests);
    archive_u64(a, &b->sectors_read);
    archive_u64(a, &b->sectors_written);
}
