/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of devices, as an archive saves and loads it: what the guest and time have changed, not
 * how a device is wired. A load goes into a device that was made and wired in the same way. Lines
 * are not moved: both ends of each have their levels in their own state.
 */
#ifndef SOFTSEV_DEVICE_ARCHIVE_H
#define SOFTSEV_DEVICE_ARCHIVE_H

#include "base/archive.h"

struct debug_console;
struct fw_cfg;
struct ioapic;
struct lapic;
struct pci;
struct pci_function;
struct pflash;
struct pic;
struct pit;
struct pm;
struct reset;
struct rtc;
struct testdev;
struct timer;
struct timer_queue;
struct uart;
struct virtio;
struct virtio_blk;

/* A queue before its timers. Timers that fire at one time keep their order. */
void timer_queue_archive(struct timer_queue *q, struct archive *a);
void timer_archive(struct timer *t, struct timer_queue *q, struct archive *a);

void fw_cfg_archive(struct fw_cfg *f, struct archive *a);
void ioapic_archive(struct ioapic *io, struct archive *a);
void lapic_archive(struct lapic *l, struct archive *a);
void pci_archive(struct pci *p, struct archive *a); /* all functions that are on the bus */
void pflash_archive(struct pflash *p, struct archive *a);
void pic_archive(struct pic *p, struct archive *a);
void pit_archive(struct pit *p, struct archive *a);
void pm_archive(struct pm *pm, struct archive *a);
void reset_archive(struct reset *r, struct archive *a);
void rtc_archive(struct rtc *r, struct archive *a);
void testdev_archive(struct testdev *t, struct archive *a);
void uart_archive(struct uart *u, struct archive *a);
/* What is not in the PCI function, which pci_archive() moves. */
void virtio_archive(struct virtio *v, struct archive *a);
void virtio_blk_archive(struct virtio_blk *b, struct archive *a);

#endif
