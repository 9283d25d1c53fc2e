/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC [82093AA data sheet]: index register at 0, data at 10h.
 *
 *   entry: 63..56 destination | 16 mask | 15 level | 14 remote IRR | 13 active low | 12 status
 *          11 logical | 10..8 delivery mode | 7..0 vector
 */
#include "device/ioapic.h"

#define REGISTER_SELECT   0x00
#define REGISTER_DATA     0x10
#define INDEX_ID          0x00
#define INDEX_VERSION     0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_ENTRIES     0x10
#define VERSION           0x11

#define ENTRY_STATUS     BIT(12)
#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_LEVEL      BIT(15)
#define ENTRY_MASKED     BIT(16)
#define ENTRY_READ_ONLY  (ENTRY_STATUS | ENTRY_REMOTE_IRR)
#define ENTRY_WRITABLE   (0xff0000000001ffffull & ~ENTRY_READ_ONLY)

/* Sends an entry's message, in the format of message-signalled interrupts. */
static void ioapic_send(struct ioapic *io, u64 entry)
{
    u64 address = 0xfee00000 | (BITS(entry, 63, 56) << 12) | (BITS(entry, 11, 11) << 2);
    u32 data = (u32)(BITS(entry, 10, 0) & 0x7ff);
    if (entry & ENTRY_LEVEL)
        data |= 1u << 15 | 1u << 14;
    msi_send(&io->output, address, data);
}

/* Fires a level-triggered pin that is high and not in service. */
static void ioapic_check_level(struct ioapic *io, u32 pin)
{
    u64 *entry = &io->entries[pin];
    if (!(io->lines & (1u << pin)) || !(*entry & ENTRY_LEVEL))
        return;
    if (*entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR))
        return;
    *entry |= ENTRY_REMOTE_IRR;
    ioapic_send(io, *entry);
}

void ioapic_set_pin(void *ioapic, u32 pin, bool level)
{
    struct ioapic *io = ioapic;
    if (pin >= IOAPIC_PINS)
        return;
    bool rising = level && !(io->lines & (1u << pin));
    io->lines = level ? io->lines | (1u << pin) : io->lines & ~(1u << pin);
    u64 entry = io->entries[pin];
    if (entry & ENTRY_LEVEL)
        ioapic_check_level(io, pin);
    else if (rising && !(entry & ENTRY_MASKED))
        ioapic_send(io, entry);
}

void ioapic_end_of_interrupt(struct ioapic *io, u8 vector)
{
    for (u32 pin = 0; pin < IOAPIC_PINS; pin++) {
        u64 *entry = &io->entries[pin];
        if ((*entry & 0xff) != vector || !(*entry & ENTRY_LEVEL))
            continue;
        *entry &= ~ENTRY_REMOTE_IRR;
        ioapic_check_level(io, pin);
    }
}

static u32 ioapic_read_register(const struct ioapic *io)
{
    if (io->select == INDEX_ID || io->select == INDEX_ARBITRATION)
        return (u32)io->id << 24;
    if (io->select == INDEX_VERSION)
        return (IOAPIC_PINS - 1) << 16 | VERSION;
    u32 pin = (io->select - INDEX_ENTRIES) / 2u;
    if (io->select < INDEX_ENTRIES || pin >= IOAPIC_PINS)
        return 0;
    return (u32)(io->entries[pin] >> ((io->select & 1) * 32));
}

static void ioapic_write_entry(struct ioapic *io, u32 pin, bool high, u32 value)
{
    u64 old = io->entries[pin];
    u64 entry = high ? (old & 0xffffffff) | ((u64)value << 32) : (old & 0xffffffff00000000) | value;
    entry = (entry & ENTRY_WRITABLE) | (old & ENTRY_READ_ONLY);
    /* An edge-triggered pin has no end of interrupt: software uses this to clear a stuck remote
     * IRR. */
    if (!(entry & ENTRY_LEVEL))
        entry &= ~ENTRY_REMOTE_IRR;
    io->entries[pin] = entry;
    ioapic_check_level(io, pin);
}

static void ioapic_write_register(struct ioapic *io, u32 value)
{
    if (io->select == INDEX_ID) {
        io->id = (u8)BITS(value, 27, 24);
        return;
    }
    u32 pin = (io->select - INDEX_ENTRIES) / 2u;
    if (io->select >= INDEX_ENTRIES && pin < IOAPIC_PINS)
        ioapic_write_entry(io, pin, io->select & 1, value);
}

static u64 ioapic_read(struct device *device, u64 offset, u32 size)
{
    (void)size;
    const struct ioapic *io = CONTAINER_OF(device, struct ioapic, window);
    if (offset == REGISTER_SELECT)
        return io->select;
    return offset == REGISTER_DATA ? ioapic_read_register(io) : 0;
}

static void ioapic_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct ioapic *io = CONTAINER_OF(device, struct ioapic, window);
    if (offset == REGISTER_SELECT)
        io->select = (u8)value;
    else if (offset == REGISTER_DATA && size == 4)
        ioapic_write_register(io, (u32)value);
}

void ioapic_init(struct ioapic *io, struct msi_port output)
{
    *io = (struct ioapic){
        .window = {"ioapic", IOAPIC_BASE, IOAPIC_SIZE, 4, ioapic_read, ioapic_write},
        .output = output,
    };
    for (u32 pin = 0; pin < IOAPIC_PINS; pin++)
        io->entries[pin] = ENTRY_MASKED;
}
