/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PC's board: the devices of board/map.h on their buses, connected to each other, to a clock and
 * to guest memory. It does not know the processors or the hypervisor. They read and write through
 * this interface and ask it for interrupts; struct board_events reports to them what happens on the
 * board.
 */
#ifndef SOFTSEV_BOARD_BOARD_H
#define SOFTSEV_BOARD_BOARD_H

#include "base/base.h"
#include "base/random.h"
#include "device/backend.h"
#include "device/dma.h"
#include "device/iommu.h"

#define BOARD_FIRMWARE_LINE_MAX 160u /* characters in a line of firmware's log */
#define BOARD_DISKS_MAX         8u   /* disks: the functions of one PCI device */

struct archive; /* base/archive.h */
struct board;
struct lapic; /* device/lapic.h */

/* Events that the board passes on to its owner. Each may be NULL. */
struct board_events {
    void (*power_off)(void *context);
    void (*reset)(void *context);
    void (*debug_exit)(void *context, u32 value); /* a write to BOARD_DEBUG_EXIT */
    void (*nmi)(void *context, u32 cpu);
    void (*init)(void *context, u32 cpu);
    void (*startup)(void *context, u32 cpu, u8 vector); /* code starts at vector << 12 */
    /* A line of a DEBUG firmware's log, printable and without double quotes; long lines come in
     * parts. */
    void (*firmware_line)(void *context, const char *line);
    void *context;
};

struct board_config {
    u64 now_ns;
    u64 memory_size; /* bytes of RAM, as reported in the RTC's memory */
    u64 rtc_seconds; /* time since 1970, at now_ns */
    u32 cpus;        /* 1 to LAPIC_CPUS_MAX; processor n has APIC ID n */
    /* Firmware starts the processors: the board then has a log port and a bridge, and firmware
     * assigns the PCI addresses. Otherwise the board assigns them. */
    bool firmware;
    bool virtio_console;
    const struct random_source *random; /* of the virtio entropy source; NULL: there is none */
    bool testdev;                       /* the device for hypervisor tests: device/testdev.h */
    bool secure_processor;              /* device/psp.h, with `mailbox` behind it */
    bool iommu;                         /* device/iommu.h; it reaches memory by `iommu_dma` */
    struct dma_port dma, iommu_dma;
    struct mailbox_backend mailbox;
    struct board_events events;
    struct console_backend console; /* for the UART */
    struct console_backend channel; /* for the virtio console */
    struct net_backend net;         /* no function: no network card */
    struct flash_backend flash;     /* no bytes: no flash that can be written */
    u64 flash_address;
    struct block_backend disks[BOARD_DISKS_MAX];
    u32 disk_count;
};

/* Returns NULL if there is no memory or two devices claim one address. */
struct board *board_create(const struct board_config *config);
void board_destroy(struct board *b); /* NULL does nothing */
/* Adds an item of fw_cfg. An item without a name has the given key; an item
 * with a name is in the directory. `data` must outlive the board. Returns false if there is no
 * room. */
bool board_add_item(struct board *b, u16 key, const char *name, const void *data, u64 size);

/* Returns how many buffers host software has set up for the IOMMU to write; 0 without an IOMMU. */
u32 board_iommu_buffers(const struct board *b, struct iommu_buffer out[IOMMU_BUFFERS]);

/* Moves the state of all devices. A load goes into a board that was made with the same
 * configuration. */
void board_archive(struct board *b, struct archive *a);

/* Sets the machine's clock and runs what is due. Time never goes back. */
void board_set_time(struct board *b, u64 now_ns);
/* Returns the time of the next event; ~0: none. */
u64 board_next_event_ns(const struct board *b);

/* Access ports, and addresses without RAM, as processor `cpu` does: 1 to 8 bytes within a page. An
 * address without a device reads as ones. */
u64 board_port_read(struct board *b, u64 port, u32 size);
void board_port_write(struct board *b, u64 port, u32 size, u64 value);
u64 board_memory_read(struct board *b, u32 cpu, u64 address, u32 size);
void board_memory_write(struct board *b, u32 cpu, u64 address, u32 size, u64 value);

/* Returns true if the address is in the window of the processor's local APIC, which takes
 * precedence over RAM. */
bool board_is_lapic(const struct board *b, u32 cpu, u64 address);

struct lapic *board_lapic(struct board *b, u32 cpu);
/* Return whether an interrupt waits for the processor, and the vector when the processor takes
 * it. */
bool board_interrupt_pending(struct board *b, u32 cpu);
u8 board_interrupt_acknowledge(struct board *b, u32 cpu);

/* Send input to the UART and to the virtio console. Return how many bytes were taken. */
size_t board_console_input(struct board *b, const u8 *data, size_t size);
size_t board_channel_input(struct board *b, const u8 *data, size_t size);
/* Sends a frame to the network card. Returns false if its driver has no room for it now. */
bool board_net_input(struct board *b, const void *frame, size_t size);
/* Presses the power button once. */
void board_press_power_button(struct board *b);

#endif
