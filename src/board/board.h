/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PC's board: the devices of board/map.h on their buses, wired to each other, to a clock and to a
 * port into memory. It knows neither the processors nor who runs them. They read and write through
 * it, ask it for interrupts, and hear of what leaves it by struct board_events.
 */
#ifndef SOFTSEV_BOARD_BOARD_H
#define SOFTSEV_BOARD_BOARD_H

#include "base/base.h"
#include "device/backend.h"
#include "device/dma.h"

#define BOARD_FIRMWARE_LINE_MAX 160u /* characters of a line of firmware's log */

struct board;
struct lapic; /* device/lapic.h */

/* What happens on the board and is not the board's to decide. Each may be NULL. */
struct board_events {
    void (*power_off)(void *context);
    void (*reset)(void *context);
    void (*debug_exit)(void *context, u32 value); /* a write to BOARD_DEBUG_EXIT */
    void (*nmi)(void *context, u32 cpu);
    void (*init)(void *context, u32 cpu);
    void (*startup)(void *context, u32 cpu, u8 vector); /* code starts at vector << 12 */
    /* A line of a DEBUG firmware's log, printable and without double quotes; long ones come in
     * parts. */
    void (*firmware_line)(void *context, const char *line);
    void *context;
};

struct board_config {
    u64 now_ns;
    u64 memory_size; /* bytes of RAM, as the RTC's memory tells it */
    u64 rtc_seconds; /* since 1970, at now_ns */
    u32 cpus;        /* 1 to LAPIC_CPUS_MAX; processor n has APIC ID n */
    /* Firmware starts the processors: it finds fw_cfg, a log port and a bridge, and gives PCI its
     * addresses. Without, they have them. */
    bool firmware;
    bool virtio_console;
    struct dma_port dma;
    struct board_events events;
    struct console_backend console; /* the UART's */
    struct console_backend channel; /* the virtio console's */
    struct block_backend disk;      /* no sectors: no disk */
};

/* NULL: no memory, or two devices want one address. */
struct board *board_create(const struct board_config *config);
void board_destroy(struct board *b); /* NULL: nothing */
/* With firmware: an item of fw_cfg. Without a name it has the key; with one it is in the directory.
 * `data` must outlive the board. False: no room. */
bool board_add_item(struct board *b, u16 key, const char *name, const void *data, u64 size);

/* The machine's clock; does what is due by it. Time never goes back. */
void board_set_time(struct board *b, u64 now_ns);
/* When something is due next; ~0: never. */
u64 board_next_event_ns(const struct board *b);

/* Ports, and memory without RAM, as processor `cpu` reaches them; 1 to 8 bytes, in a page. What
 * nobody answers reads as ones. */
u64 board_port_read(struct board *b, u64 port, u32 size);
void board_port_write(struct board *b, u64 port, u32 size, u64 value);
u64 board_memory_read(struct board *b, u32 cpu, u64 address, u32 size);
void board_memory_write(struct board *b, u32 cpu, u64 address, u32 size, u64 value);

/* Whether the address is in the window of the processor's local APIC, which lies before RAM. */
bool board_is_lapic(const struct board *b, u32 cpu, u64 address);

struct lapic *board_lapic(struct board *b, u32 cpu);
/* Whether an interrupt waits for the processor, and its vector as it takes it. */
bool board_interrupt_pending(struct board *b, u32 cpu);
u8 board_interrupt_acknowledge(struct board *b, u32 cpu);

/* Input for the UART and the virtio console: how many bytes were taken. */
size_t board_console_input(struct board *b, const u8 *data, size_t size);
size_t board_channel_input(struct board *b, const u8 *data, size_t size);

#endif
