/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IOMMU's registers, its command buffer and its event log [host 3.3, 3.4]. Both rings lie in
 * memory that the host may fill with anything; one write of the tail executes at most one ring of
 * commands.
 */
#include "device/iommu.h"

#define ENTRY_SIZE 16u
#define RING_POWER 8u /* the least power of two that a length field may hold */

#define BASE_MASK  (BITS(~0ull, 51, 12) << 12)
#define LENGTH_AT  56u
#define RING_MASK  (BASE_MASK | 0xfull << LENGTH_AT)
#define INDEX_MASK 0x7fff0ull /* a head or a tail: an offset in the largest ring */

#define CONTROL_ENABLE           BIT(0)
#define CONTROL_EVENT_LOG        BIT(2)
#define CONTROL_EVENT_INTERRUPT  BIT(3)
#define CONTROL_WAIT_INTERRUPT   BIT(4)
#define CONTROL_COMMAND_BUFFER   BIT(12)
#define CONTROL_GUEST_LOG        BIT(28)
#define CONTROL_INTERRUPT_X2APIC BIT(51)

#define STATUS_EVENT_OVERFLOW  BIT(0)
#define STATUS_EVENT_INTERRUPT BIT(1)
#define STATUS_WAIT_INTERRUPT  BIT(2)
#define STATUS_EVENT_RUNS      BIT(3)
#define STATUS_COMMAND_RUNS    BIT(4)
#define STATUS_GUEST_LOG_RUNS  BIT(8)

enum command {
    COMPLETION_WAIT = 1,
    INVALIDATE_ALL = 8, /* the last; those between, too, have nothing to do here */
};
#define WAIT_STORE        BIT(0)
#define WAIT_INTERRUPT    BIT(1)
#define WAIT_ADDRESS_MASK (BITS(~0ull, 51, 3) << 3)
#define OPCODE_AT         60u

enum event { EVENT_ILLEGAL_COMMAND = 5, EVENT_COMMAND_HARDWARE = 6 };

/* Offset, value after reset, bits that software may write, bits that it clears by writing ones. */
static const struct row {
    u32 offset;
    u64 reset, writable, clearable;
} rows[IOMMU_REGISTER_COUNT] = {
    [IOMMU_DEVICE_TABLE] = {0x00, 0, BASE_MASK | 0x1ff, 0},
    [IOMMU_COMMAND_BASE] = {0x08, 0, RING_MASK, 0},
    [IOMMU_EVENT_BASE] = {0x10, 0, RING_MASK, 0},
    [IOMMU_CONTROL] = {0x18, 0, ~0ull, 0},
    [IOMMU_STORE_BASE] = {0x20, 0, BASE_MASK | 3, 0},
    [IOMMU_STORE_LIMIT] = {0x28, 0, BASE_MASK, 0},
    [IOMMU_FEATURE] = {0x30, IOMMU_FEATURES, 0, 0},
    [IOMMU_GUEST_LOG] = {0xe0, 0, RING_MASK, 0},
    [IOMMU_GUEST_LOG_TAIL] = {0xe8, 0, BITS(~0ull, 51, 3) << 3, 0},
    [IOMMU_INTERRUPT] = {0x170, 0, ~0ull, 0},
    [IOMMU_PPR_INTERRUPT] = {0x178, 0, ~0ull, 0},
    [IOMMU_GUEST_INTERRUPT] = {0x180, 0, ~0ull, 0},
    [IOMMU_COMMAND_HEAD] = {0x2000, 0, INDEX_MASK, 0},
    [IOMMU_COMMAND_TAIL] = {0x2008, 0, INDEX_MASK, 0},
    [IOMMU_EVENT_HEAD] = {0x2010, 0, INDEX_MASK, 0},
    [IOMMU_EVENT_TAIL] = {0x2018, 0, INDEX_MASK, 0},
    [IOMMU_STATUS] = {0x2020, 0, 0,
                      STATUS_EVENT_OVERFLOW | STATUS_EVENT_INTERRUPT | STATUS_WAIT_INTERRUPT},
};

/* --- Rings ------------------------------------------------------------------------------------ */

static u64 ring_address(u64 base)
{
    return base & BASE_MASK;
}

/* Lengths below 256 entries are reserved; they count as 256. */
static u64 ring_size(u64 base)
{
    const u64 power = BITS(base, LENGTH_AT + 3, LENGTH_AT);
    return (u64)ENTRY_SIZE << max_u64(power, RING_POWER);
}

static u64 ring_next(u64 base, u64 index)
{
    return (index + ENTRY_SIZE) & (ring_size(base) - 1);
}

static bool enabled(const struct iommu *m, u64 what)
{
    const u64 wanted = CONTROL_ENABLE | what;
    return (m->registers[IOMMU_CONTROL] & wanted) == wanted;
}

static bool commands_run(const struct iommu *m)
{
    return enabled(m, CONTROL_COMMAND_BUFFER) && !m->halted;
}

/* --- The message and the event log ------------------------------------------------------------ */

/* Sends the message of register 170h: bit 2 logical destination, 31:8 and 63:56 destination, 39:32
 * vector, 40 delivery mode. The local APICs here have ids of 8 bits. */
static void send_message(struct iommu *m)
{
    const u64 r = m->registers[IOMMU_INTERRUPT];
    if (m->registers[IOMMU_CONTROL] & CONTROL_INTERRUPT_X2APIC)
        msi_send(&m->pci.pci->msi, 0xfee00000ull | BITS(r, 15, 8) << 12 | (r & BIT(2)),
                 (u32)(BITS(r, 39, 32) | BITS(r, 40, 40) << 8));
}

static void raise_status(struct iommu *m, u64 bit, u64 control)
{
    m->registers[IOMMU_STATUS] |= bit;
    if (m->registers[IOMMU_CONTROL] & control)
        send_message(m);
}

/* Appends an event about the command at `address`. A full log stops until software clears the
 * overflow. */
static void log_event(struct iommu *m, enum event code, u64 address)
{
    u64 *r = m->registers, base = r[IOMMU_EVENT_BASE];
    const u64 next = ring_next(base, r[IOMMU_EVENT_TAIL]);
    u8 entry[ENTRY_SIZE];
    if (!enabled(m, CONTROL_EVENT_LOG) || r[IOMMU_STATUS] & STATUS_EVENT_OVERFLOW)
        return;
    store_le64(entry, (u64)code << OPCODE_AT);
    store_le64(entry + 8, address);
    if (next == r[IOMMU_EVENT_HEAD] ||
        !dma_write(&m->dma, ring_address(base) + r[IOMMU_EVENT_TAIL], entry, sizeof entry)) {
        raise_status(m, STATUS_EVENT_OVERFLOW, CONTROL_EVENT_INTERRUPT);
        return;
    }
    r[IOMMU_EVENT_TAIL] = next;
    raise_status(m, STATUS_EVENT_INTERRUPT, CONTROL_EVENT_INTERRUPT);
}

/* --- Commands --------------------------------------------------------------------------------- */

/* Executes COMPLETION_WAIT: all commands before it are complete already. */
static bool completion_wait(struct iommu *m, u64 low, u64 high)
{
    u8 data[8];
    store_le64(data, high);
    if (low & WAIT_STORE && !dma_write(&m->dma, low & WAIT_ADDRESS_MASK, data, sizeof data))
        return false;
    if (low & WAIT_INTERRUPT)
        raise_status(m, STATUS_WAIT_INTERRUPT, CONTROL_WAIT_INTERRUPT);
    return true;
}

/* Executes the command at `address`; a wrong one halts the buffer. Nothing is cached here, so there
 * is nothing to invalidate. */
static void execute(struct iommu *m, u64 address)
{
    u8 bytes[ENTRY_SIZE];
    enum event wrong = EVENT_COMMAND_HARDWARE;
    if (dma_read(&m->dma, address, bytes, sizeof bytes)) {
        const u64 low = load_le64(bytes), opcode = low >> OPCODE_AT;
        if (opcode > COMPLETION_WAIT && opcode <= INVALIDATE_ALL)
            return;
        if (opcode == COMPLETION_WAIT && completion_wait(m, low, load_le64(bytes + 8)))
            return;
        if (opcode != COMPLETION_WAIT)
            wrong = EVENT_ILLEGAL_COMMAND;
    }
    m->halted = true;
    log_event(m, wrong, address);
}

/* Executes what lies between head and tail. The head of a halted buffer stays at the command that
 * is wrong. */
static void run_commands(struct iommu *m)
{
    u64 *r = m->registers;
    const u64 base = r[IOMMU_COMMAND_BASE], mask = ring_size(base) - 1;
    r[IOMMU_COMMAND_HEAD] &= mask;
    r[IOMMU_COMMAND_TAIL] &= mask;
    while (commands_run(m) && r[IOMMU_COMMAND_HEAD] != r[IOMMU_COMMAND_TAIL]) {
        execute(m, ring_address(base) + r[IOMMU_COMMAND_HEAD]);
        if (!m->halted)
            r[IOMMU_COMMAND_HEAD] = ring_next(base, r[IOMMU_COMMAND_HEAD]);
    }
}

/* --- Registers -------------------------------------------------------------------------------- */

static enum iommu_register find(u64 offset)
{
    u32 n = 0;
    while (n < IOMMU_REGISTER_COUNT && rows[n].offset != ALIGN_DOWN(offset, 8ull))
        n++;
    return (enum iommu_register)n;
}

static u64 value_of(const struct iommu *m, enum iommu_register n)
{
    u64 value = m->registers[n];
    if (n != IOMMU_STATUS)
        return value;
    value |=
        enabled(m, CONTROL_EVENT_LOG) && !(value & STATUS_EVENT_OVERFLOW) ? STATUS_EVENT_RUNS : 0;
    value |= commands_run(m) ? STATUS_COMMAND_RUNS : 0;
    value |= enabled(m, CONTROL_GUEST_LOG) ? STATUS_GUEST_LOG_RUNS : 0;
    return value;
}

/* A write of a ring's base empties the ring. */
static void register_written(struct iommu *m, enum iommu_register n)
{
    u64 *r = m->registers;
    switch (n) {
    case IOMMU_COMMAND_BASE:
        r[IOMMU_COMMAND_HEAD] = r[IOMMU_COMMAND_TAIL] = 0;
        break;
    case IOMMU_EVENT_BASE:
        r[IOMMU_EVENT_HEAD] = r[IOMMU_EVENT_TAIL] = 0;
        break;
    case IOMMU_EVENT_HEAD:
    case IOMMU_EVENT_TAIL:
        r[n] &= ring_size(r[IOMMU_EVENT_BASE]) - 1;
        break;
    case IOMMU_CONTROL:
        m->halted = m->halted && enabled(m, CONTROL_COMMAND_BUFFER);
        run_commands(m);
        break;
    case IOMMU_COMMAND_HEAD:
    case IOMMU_COMMAND_TAIL:
        run_commands(m);
        break;
    default:
        break;
    }
}

/* Registers may be accessed by halves or bytes; an access that crosses two of them reads as
 * zero. */
static u64 iommu_read(struct device *device, u64 offset, u32 size)
{
    const struct iommu *m = CONTAINER_OF(device, struct iommu, mmio);
    const enum iommu_register n = find(offset);
    const u32 at = offset % 8;
    if (n == IOMMU_REGISTER_COUNT || at + size > 8)
        return 0;
    return bus_truncate(value_of(m, n) >> (8 * at), size);
}

static void iommu_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct iommu *m = CONTAINER_OF(device, struct iommu, mmio);
    const enum iommu_register n = find(offset);
    const u32 at = offset % 8;
    if (n == IOMMU_REGISTER_COUNT || at + size > 8)
        return;
    const u64 written = bus_truncate(~0ull, size) << (8 * at), bits = value << (8 * at);
    const u64 set = rows[n].writable & written, clear = rows[n].clearable & written;
    m->registers[n] = ((m->registers[n] & ~set) | (bits & set)) & ~(bits & clear);
    register_written(m, n);
}

u32 iommu_buffers(const struct iommu *m, struct iommu_buffer out[IOMMU_BUFFERS])
{
    const u64 *r = m->registers;
    const u64 log = ring_address(r[IOMMU_EVENT_BASE]);
    const u64 base = r[IOMMU_STORE_BASE] & BASE_MASK, limit = r[IOMMU_STORE_LIMIT] & BASE_MASK;
    u32 count = 0;
    if (log)
        out[count++] = (struct iommu_buffer){"event log", log, ring_size(r[IOMMU_EVENT_BASE])};
    if (base && base <= limit)
        out[count++] = (struct iommu_buffer){"completion store", base, limit - base + PAGE_SIZE};
    return count;
}

/* --- The PCI function ------------------------------------------------------------------------- */

/* The capability after its two header bytes: type and features, base address (bit 0: enabled, so
 * locked), range, address sizes. All of it is read-only. */
#define CAPABILITY_SECURE 0x0f
#define CAPABILITY_TYPE   (3u | 1u << 3 | 1u << 11) /* an IOMMU, revision 1, with IOMMU_FEATURE */

bool iommu_init(struct iommu *m, u64 base, struct dma_port dma)
{
    static const struct pci_identity id = {0x1022, 0x149e, 0x1022, 0x149e, 0x080600, 0};
    *m = (struct iommu){.dma = dma};
    pci_function_init(&m->pci, "iommu", &id);
    for (u32 n = 0; n < IOMMU_REGISTER_COUNT; n++)
        m->registers[n] = rows[n].reset;
    m->mmio = (struct device){"iommu", base, IOMMU_SIZE, 8, iommu_read, iommu_write};
    u8 body[18] = {0};
    store_le16(body, CAPABILITY_TYPE);
    store_le64(body + 2, base | 1);
    store_le32(body + 14, IOMMU_ADDRESS_SIZES);
    return pci_add_capability(&m->pci, CAPABILITY_SECURE, body, sizeof body) == IOMMU_CAPABILITY;
}

bool iommu_attach(struct iommu *m, struct pci *pci, u8 devfn)
{
    return pci_add(pci, &m->pci, devfn, (struct irq_line){0}) && bus_add(pci->memory, &m->mmio);
}
