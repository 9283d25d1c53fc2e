/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over PCI [virtio 1.2, 4.1]: one BAR with four groups of registers, a capability for each
 * group, and one more capability that gives access to them through configuration space.
 */
#include "device/internal.h"

#define CAPABILITY_VENDOR 0x09
#define REGISTERS_BAR     4
#define MSIX_BAR          1
#define COMMON_OFFSET     0x0000
#define COMMON_SIZE       0x38
#define ISR_OFFSET        0x1000
#define CONFIG_OFFSET     0x2000
#define NOTIFY_OFFSET     0x3000
#define REGION_SIZE       0x1000
#define REGISTERS_SIZE    0x4000
#define NOTIFY_MULTIPLIER 4
#define VENDOR_RED_HAT    0x1af4
#define DEVICE_ID_BASE    0x1040

enum virtio_capability_type {
    CAPABILITY_COMMON = 1,
    CAPABILITY_NOTIFY = 2,
    CAPABILITY_ISR = 3,
    CAPABILITY_CONFIG = 4,
    CAPABILITY_WINDOW = 5,
};

/* Offsets in the capability, after id and next. */
#define CAP_BAR    4
#define CAP_OFFSET 8
#define CAP_LENGTH 12
#define CAP_DATA   16
#define CAP_SIZE   16

enum virtio_common {
    COMMON_OFFERED_SELECT = 0x00,
    COMMON_OFFERED = 0x04,
    COMMON_ACCEPTED_SELECT = 0x08,
    COMMON_ACCEPTED = 0x0c,
    COMMON_CONFIG_VECTOR = 0x10,
    COMMON_QUEUES = 0x12,
    COMMON_STATUS = 0x14,
    COMMON_GENERATION = 0x15,
    COMMON_QUEUE_SELECT = 0x16,
    COMMON_QUEUE_SIZE = 0x18,
    COMMON_QUEUE_VECTOR = 0x1a,
    COMMON_QUEUE_ENABLE = 0x1c,
    COMMON_QUEUE_NOTIFY = 0x1e,
    COMMON_QUEUE_DESCRIPTORS = 0x20,
    COMMON_QUEUE_AVAILABLE = 0x28,
    COMMON_QUEUE_USED = 0x30,
};

bool virtio_is_running(const struct virtio *v)
{
    return (v->status & VIRTIO_STATUS_DRIVER_OK) && !(v->status & VIRTIO_STATUS_NEEDS_RESET) &&
           pci_is_master(&v->pci);
}

void virtio_interrupt(struct virtio *v, u16 vector, u8 reason)
{
    if (pci_msix_enabled(&v->pci)) {
        if (vector != VIRTIO_NO_VECTOR)
            pci_msix_send(&v->pci, vector);
        return;
    }
    v->isr |= reason;
    pci_set_intx(&v->pci, true);
}

void virtio_config_changed(struct virtio *v)
{
    v->config_generation++;
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        virtio_interrupt(v, v->config_vector, VIRTIO_ISR_CONFIG);
}

void virtio_break(struct virtio *v)
{
    if (v->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    v->status |= VIRTIO_STATUS_NEEDS_RESET;
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        virtio_interrupt(v, v->config_vector, VIRTIO_ISR_CONFIG);
}

void virtio_continue(struct virtio *v)
{
    u32 paused = v->paused;
    v->paused = 0;
    for (u32 i = 0; paused && i < v->type->queue_count; i++) {
        if ((paused >> i & 1) && virtio_is_running(v))
            v->type->notify(v, i);
    }
}

static void virtio_reset(struct virtio *v)
{
    v->features_accepted = 0;
    v->offered_select = v->accepted_select = 0;
    v->status = v->isr = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    v->queue_select = 0;
    v->paused = 0;
    for (u32 i = 0; i < v->type->queue_count; i++)
        v->queues[i] = (struct virtqueue){
            .device = v,
            .size_max = v->type->queue_size,
            .size = v->type->queue_size,
            .msix_vector = VIRTIO_NO_VECTOR,
        };
    pci_set_intx(&v->pci, false);
}

/* Returns the selected queue, or NULL if it does not exist: its registers then read as zero. */
static struct virtqueue *virtio_selected(struct virtio *v)
{
    return v->queue_select < v->type->queue_count ? &v->queues[v->queue_select] : NULL;
}

/* ---- common registers ---- */

static u32 virtio_feature_word(u64 features, u32 select)
{
    return select < 2 ? (u32)(features >> (32 * select)) : 0;
}

static u64 virtio_common_read(struct virtio *v, u64 offset, u32 size)
{
    u8 image[COMMON_SIZE + 8] = {0};
    const struct virtqueue *q = virtio_selected(v);
    store_le32(image + COMMON_OFFERED_SELECT, v->offered_select);
    store_le32(image + COMMON_OFFERED, virtio_feature_word(v->features_offered, v->offered_select));
    store_le32(image + COMMON_ACCEPTED_SELECT, v->accepted_select);
    store_le32(image + COMMON_ACCEPTED,
               virtio_feature_word(v->features_accepted, v->accepted_select));
    store_le16(image + COMMON_CONFIG_VECTOR, v->config_vector);
    store_le16(image + COMMON_QUEUES, (u16)v->type->queue_count);
    image[COMMON_STATUS] = v->status;
    image[COMMON_GENERATION] = v->config_generation;
    store_le16(image + COMMON_QUEUE_SELECT, v->queue_select);
    if (q) {
        store_le16(image + COMMON_QUEUE_SIZE, q->size);
        store_le16(image + COMMON_QUEUE_VECTOR, q->msix_vector);
        store_le16(image + COMMON_QUEUE_ENABLE, q->enabled);
        store_le16(image + COMMON_QUEUE_NOTIFY, v->queue_select);
        store_le64(image + COMMON_QUEUE_DESCRIPTORS, q->descriptors);
        store_le64(image + COMMON_QUEUE_AVAILABLE, q->available);
        store_le64(image + COMMON_QUEUE_USED, q->used);
    }
    return bus_truncate(load_le64(image + offset), size);
}

/* Returns true if the features can be accepted: a subset of the offer, with VERSION_1. Features are
 * fixed once FEATURES_OK is accepted. */
static bool virtio_features_fit(const struct virtio *v)
{
    return !(v->features_accepted & ~v->features_offered) &&
           (v->features_accepted & VIRTIO_F_VERSION_1);
}

static void virtio_write_status(struct virtio *v, u8 value)
{
    if (value == 0) {
        virtio_reset(v);
        return;
    }
    u8 old = v->status;
    if (!(old & VIRTIO_STATUS_FEATURES_OK) && !virtio_features_fit(v))
        value &= (u8) ~(VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
    /* The driver can only set bits; only a reset clears them. */
    v->status = old | (value & (u8)~VIRTIO_STATUS_NEEDS_RESET);
    bool started = v->status & ~old & VIRTIO_STATUS_DRIVER_OK;
    for (u32 i = 0; started && i < v->type->queue_count; i++)
        v->type->notify(v, i);
}

static void virtio_write_accepted(struct virtio *v, u32 value)
{
    if ((v->status & VIRTIO_STATUS_FEATURES_OK) || v->accepted_select >= 2)
        return;
    u32 shift = 32 * v->accepted_select;
    v->features_accepted &= ~(0xffffffffull << shift);
    v->features_accepted |= (u64)value << shift;
}

/* Returns the vector, or "no vector" if it does not exist. */
static u16 virtio_vector(const struct virtio *v, u64 value)
{
    return value < v->pci.msix.count ? (u16)value : VIRTIO_NO_VECTOR;
}

static void virtio_write_queue_size(struct virtqueue *q, u64 value)
{
    bool power_of_two = value && !(value & (value - 1));
    if (power_of_two && value <= q->size_max)
        q->size = (u16)value;
}

/* Enables a queue, unless a ring wraps around the end of the address space. */
static void virtio_enable_queue(struct virtqueue *q, u64 value)
{
    u64 size = q->size;
    bool fits = range_fits(q->descriptors, 16 * size, UINT64_MAX) &&
                range_fits(q->available, 4 + 2 * size, UINT64_MAX) &&
                range_fits(q->used, 4 + 8 * size, UINT64_MAX);
    q->enabled = value == 1 && fits;
}

static void virtio_write_half(u64 *field, u64 offset, u32 size, u64 value)
{
    if (size == 8 && offset % 8 == 0)
        *field = value;
    else if (size == 4)
        *field = offset % 8 ? (*field & 0xffffffff) | value << 32
                            : (*field & 0xffffffff00000000) | value;
}

static void virtio_write_queue(struct virtio *v, u64 offset, u32 size, u64 value)
{
    struct virtqueue *q = virtio_selected(v);
    if (!q)
        return;
    if (offset == COMMON_QUEUE_VECTOR) {
        q->msix_vector = virtio_vector(v, value);
        return;
    }
    if (q->enabled)
        return; /* the other fields are fixed once the queue is enabled */
    if (offset == COMMON_QUEUE_SIZE)
        virtio_write_queue_size(q, value);
    else if (offset == COMMON_QUEUE_ENABLE)
        virtio_enable_queue(q, value);
    else if (offset >= COMMON_QUEUE_USED)
        virtio_write_half(&q->used, offset, size, value);
    else if (offset >= COMMON_QUEUE_AVAILABLE)
        virtio_write_half(&q->available, offset, size, value);
    else if (offset >= COMMON_QUEUE_DESCRIPTORS)
        virtio_write_half(&q->descriptors, offset, size, value);
}

static void virtio_common_write(struct virtio *v, u64 offset, u32 size, u64 value)
{
    switch (offset) {
    case COMMON_OFFERED_SELECT:
        v->offered_select = (u32)value;
        break;
    case COMMON_ACCEPTED_SELECT:
        v->accepted_select = (u32)value;
        break;
    case COMMON_ACCEPTED:
        virtio_write_accepted(v, (u32)value);
        break;
    case COMMON_CONFIG_VECTOR:
        v->config_vector = virtio_vector(v, value);
        break;
    case COMMON_STATUS:
        virtio_write_status(v, (u8)value);
        break;
    case COMMON_QUEUE_SELECT:
        v->queue_select = (u16)value;
        break;
    default:
        virtio_write_queue(v, offset, size, value);
        break;
    }
}

/* ---- the BAR ---- */

static u64 virtio_config_read(const struct virtio *v, u64 offset, u32 size)
{
    u64 value = 0;
    for (u32 i = 0; i < size && offset + i < v->type->config_size; i++)
        value |= (u64)v->config[offset + i] << (8 * i);
    return value;
}

static u64 virtio_isr_read(struct virtio *v)
{
    u8 isr = v->isr;
    v->isr = 0;
    pci_set_intx(&v->pci, false);
    return isr;
}

static u64 virtio_read(struct device *device, u64 offset, u32 size)
{
    struct pci_function *f = CONTAINER_OF(device, struct pci_bar, region)->function;
    struct virtio *v = CONTAINER_OF(f, struct virtio, pci);
    u64 within = offset % REGION_SIZE;
    switch (offset - within) {
    case COMMON_OFFSET:
        return within < COMMON_SIZE ? virtio_common_read(v, within, size) : 0;
    case ISR_OFFSET:
        return within == 0 ? virtio_isr_read(v) : 0;
    case CONFIG_OFFSET:
        return virtio_config_read(v, within, size);
    default:
        return 0;
    }
}

static void virtio_write(struct device *device, u64 offset, u32 size, u64 value)
{
    struct pci_function *f = CONTAINER_OF(device, struct pci_bar, region)->function;
    struct virtio *v = CONTAINER_OF(f, struct virtio, pci);
    u64 within = offset % REGION_SIZE;
    switch (offset - within) {
    case COMMON_OFFSET:
        if (within < COMMON_SIZE)
            virtio_common_write(v, within, size, value);
        break;
    case CONFIG_OFFSET:
        if (v->type->config_write && range_fits(within, size, v->type->config_size))
            v->type->config_write(v, (u32)within, size, value);
        break;
    case NOTIFY_OFFSET:
        if (within / NOTIFY_MULTIPLIER < v->type->queue_count && virtio_is_running(v))
            v->type->notify(v, (u32)(within / NOTIFY_MULTIPLIER));
        break;
    default:
        break;
    }
}

/* ---- the window through configuration space ---- */

/* Returns the register to which the window points, if the driver has set valid values. */
static bool virtio_window_target(const struct virtio *v, u32 *offset, u32 *size)
{
    const u8 *window = v->pci.space + v->window_capability;
    *offset = load_le32(window + CAP_OFFSET);
    *size = load_le32(window + CAP_LENGTH);
    bool size_good = *size == 1 || *size == 2 || *size == 4;
    return window[CAP_BAR] == REGISTERS_BAR && size_good && *offset % *size == 0 &&
           range_fits(*offset, *size, REGISTERS_SIZE);
}

static bool virtio_window_touched(const struct virtio *v, u32 offset, u32 size)
{
    u32 data = v->window_capability + CAP_DATA;
    return offset < data + 4 && offset + size > data;
}

static void virtio_before_read(struct pci_function *f, u32 offset, u32 size)
{
    struct virtio *v = CONTAINER_OF(f, struct virtio, pci);
    u32 target, width;
    if (!virtio_window_touched(v, offset, size) || !virtio_window_target(v, &target, &width))
        return;
    u64 value = virtio_read(&f->bars[REGISTERS_BAR].region, target, width);
    store_le32(f->space + v->window_capability + CAP_DATA, (u32)bus_truncate(value, width));
}

static void virtio_after_write(struct pci_function *f, u32 offset, u32 size)
{
    struct virtio *v = CONTAINER_OF(f, struct virtio, pci);
    u32 target, width;
    if (!virtio_window_touched(v, offset, size) || !virtio_window_target(v, &target, &width))
        return;
    u64 value = load_le32(f->space + v->window_capability + CAP_DATA);
    virtio_write(&f->bars[REGISTERS_BAR].region, target, width, bus_truncate(value, width));
}

/* ---- making one ---- */

static u8 virtio_add_capability(struct virtio *v, enum virtio_capability_type type, u32 offset,
                                u32 length, u32 extra_size, u32 extra)
{
    u8 body[CAP_SIZE + 4 - 2] = {0}; /* without id and next */
    body[0] = (u8)(CAP_SIZE + extra_size);
    body[1] = (u8)type;
    body[CAP_BAR - 2] = length ? REGISTERS_BAR : 0;
    store_le32(body + CAP_OFFSET - 2, offset);
    store_le32(body + CAP_LENGTH - 2, length);
    store_le32(body + CAP_DATA - 2, extra);
    return pci_add_capability(&v->pci, CAPABILITY_VENDOR, body, CAP_SIZE - 2 + extra_size);
}

static bool virtio_add_capabilities(struct virtio *v)
{
    v->window_capability = virtio_add_capability(v, CAPABILITY_WINDOW, 0, 0, 4, 0);
    if (!v->window_capability)
        return false;
    u8 *writable = v->pci.writable + v->window_capability;
    writable[CAP_BAR] = 0xff;
    memset(writable + CAP_OFFSET, 0xff, 12); /* offset, length, data */
    return virtio_add_capability(v, CAPABILITY_COMMON, COMMON_OFFSET, REGION_SIZE, 0, 0) &&
           virtio_add_capability(v, CAPABILITY_ISR, ISR_OFFSET, REGION_SIZE, 0, 0) &&
           virtio_add_capability(v, CAPABILITY_CONFIG, CONFIG_OFFSET, REGION_SIZE, 0, 0) &&
           virtio_add_capability(v, CAPABILITY_NOTIFY, NOTIFY_OFFSET, REGION_SIZE, 4,
                                 NOTIFY_MULTIPLIER) &&
           pci_add_msix(&v->pci, MSIX_BAR, v->type->queue_count + 1);
}

bool virtio_init(struct virtio *v, const struct virtio_type *type, u64 features, u8 *config,
                 struct dma_port dma)
{
    *v = (struct virtio){
        .type = type,
        .dma = dma,
        .config = config,
        .features_offered =
            features | VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_INDIRECT_DESC,
    };
    struct pci_identity id = {
        .vendor = VENDOR_RED_HAT,
        .device = (u16)(DEVICE_ID_BASE + type->id),
        .subsystem_vendor = VENDOR_RED_HAT,
        .subsystem = 0x1100,
        .class_code = type->class_code,
        .revision = 1,
    };
    pci_function_init(&v->pci, type->name, &id);
    pci_set_bar(&v->pci, REGISTERS_BAR, PCI_BAR_MEMORY64, true, REGISTERS_SIZE, virtio_read,
                virtio_write);
    v->pci.before_read = virtio_before_read;
    v->pci.after_write = virtio_after_write;
    if (!virtio_add_capabilities(v))
        return false;
    virtio_reset(v);
    return true;
}
