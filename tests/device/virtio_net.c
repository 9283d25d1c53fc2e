/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio network card, driven through its registers as a driver does it: frames both ways, and
 * packets and buffers that break the rules.
 */
#include "device/virtio_net.h"
#include "common.h"

#define BAR    0xd0000000ull
#define CONFIG (BAR + 0x2000)
#define NOTIFY (BAR + 0x3000)

/* Where the driver keeps things in guest memory. */
#define RING(q) (0x1000u * (q))
#define AVAIL   0x0800u
#define USED    0x0c00u
#define BUFFER  0x8000u

#define NEXT  1
#define WRITE 2

#define HEADER   VIRTIO_NET_HEADER_SIZE
#define FRAME    NET_BACKEND_FRAME_MAX
#define RECEIVE  0
#define TRANSMIT 1

struct desk {
    struct world world;
    struct pci pci;
    struct guest guest;
    struct virtio_net net;
    u8 sent[FRAME];
    u64 sent_size;
    u32 sent_count;
};

static struct desk desk;

static void on_send(void *ctx, const u8 *frame, u64 size)
{
    struct desk *d = ctx;
    assert_true(size <= FRAME);
    memcpy(d->sent, frame, size);
    d->sent_size = size;
    d->sent_count++;
}

static u64 get(struct desk *d, u64 address, u32 size)
{
    return bus_read(&d->world.memory, address, size);
}

static void put(struct desk *d, u64 address, u32 size, u64 value)
{
    bus_write(&d->world.memory, address, size, value);
}

static struct desk *desk_init(void)
{
    struct desk *d = &desk;
    const struct net_backend backend = {on_send, d, {0x52, 0x54, 0, 0x12, 0x34, 0x56}};
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    assert_true(pci_init(&d->pci, &d->world.ports, &d->world.memory, (struct msi_port){0},
                         PCI_HOST_I440FX, NULL));
    assert_true(virtio_net_init(&d->net, guest_dma(&d->guest), backend));
    assert_true(
        pci_add(&d->pci, &d->net.virtio.pci, PCI_DEVFN(1, 0), lines_line(&d->world.lines, 17)));
    assert_true(pci_assign_bar(&d->net.virtio.pci, 4, BAR));
    bus_write(&d->pci.config, 0x0804, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    return d;
}

/* Goes from reset to DRIVER_OK with all features; two queues of 16. */
static struct desk *driven(void)
{
    struct desk *d = desk_init();
    put(d, BAR + 0x14, 1, 3);
    for (u32 i = 0; i < 2; i++) {
        put(d, BAR + 0x00, 4, i);
        put(d, BAR + 0x08, 4, i);
        put(d, BAR + 0x0c, 4, get(d, BAR + 0x04, 4));
    }
    put(d, BAR + 0x14, 1, 0x0b);
    for (u32 q = 0; q < 2; q++) {
        put(d, BAR + 0x16, 2, q);
        put(d, BAR + 0x18, 2, 16);
        put(d, BAR + 0x20, 8, RING(q));
        put(d, BAR + 0x28, 8, RING(q) + AVAIL);
        put(d, BAR + 0x30, 8, RING(q) + USED);
        put(d, BAR + 0x1c, 2, 1);
    }
    put(d, BAR + 0x14, 1, 0x0f);
    return d;
}

static void descriptor(struct desk *d, u32 queue, u32 index, u64 gpa, u32 size, u16 flags)
{
    u8 *at = d->guest.bytes + RING(queue) + index * 16ull;
    store_le64(at, gpa);
    store_le32(at + 8, size);
    store_le16(at + 12, flags);
    store_le16(at + 14, (u16)(index + 1));
}

static void offer(struct desk *d, u32 queue, u16 head)
{
    u8 *avail = d->guest.bytes + RING(queue) + AVAIL;
    const u16 index = load_le16(avail + 2);
    store_le16(avail + 4 + 2 * (index % 16), head);
    store_le16(avail + 2, (u16)(index + 1));
    put(d, NOTIFY + 4 * queue, 2, queue);
}

static u16 used(struct desk *d, u32 queue)
{
    return load_le16(d->guest.bytes + RING(queue) + USED + 2);
}

static u32 used_length(struct desk *d, u32 queue, u32 slot)
{
    return load_le32(d->guest.bytes + RING(queue) + USED + 4 + 8 * slot + 4);
}

static bool broken(struct desk *d)
{
    return get(d, BAR + 0x14, 1) & VIRTIO_STATUS_NEEDS_RESET;
}

static void the_configuration_has_address_and_link(void **state)
{
    (void)state;
    struct desk *d = desk_init();
    assert_int_equal(bus_read(&d->pci.config, 0x800, 4), 0x10411af4);
    assert_int_equal(get(d, CONFIG, 4), 0x12005452);
    assert_int_equal(get(d, CONFIG + 4, 4), 0x00015634);
    put(d, BAR, 4, 0);
    assert_int_equal(get(d, BAR + 4, 4), BIT(5) | BIT(16) | BIT(28)); /* no offloads */
    put(d, BAR, 4, 1);
    assert_int_equal(get(d, BAR + 4, 4), 3); /* VERSION_1, ACCESS_PLATFORM */
}

/* Sends header and frame from two buffers. */
static void transmit(struct desk *d, u32 size)
{
    descriptor(d, TRANSMIT, 0, BUFFER, HEADER, NEXT);
    descriptor(d, TRANSMIT, 1, BUFFER + HEADER, size, 0);
    offer(d, TRANSMIT, 0);
}

static void a_frame_goes_out(void **state)
{
    (void)state;
    struct desk *d = driven();
    for (u32 i = 0; i < FRAME; i++)
        d->guest.bytes[BUFFER + HEADER + i] = (u8)(i * 7);
    static const u32 sizes[] = {14, 60, FRAME};
    for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
        transmit(d, sizes[i]);
        assert_int_equal(d->sent_count, i + 1);
        assert_int_equal(d->sent_size, sizes[i]);
        assert_memory_equal(d->sent, d->guest.bytes + BUFFER + HEADER, sizes[i]);
        assert_int_equal(used(d, TRANSMIT), i + 1);
    }
    assert_true(d->world.lines.level[17]);
    assert_int_equal(d->net.frames_out, 3);
}

static void a_packet_that_is_none_is_dropped(void **state)
{
    (void)state;
    struct desk *d = driven();
    transmit(d, 13);
    transmit(d, FRAME + 1);
    d->guest.bytes[BUFFER] = 1; /* asks for a checksum */
    transmit(d, 60);
    d->guest.bytes[BUFFER] = 0;
    d->guest.bytes[BUFFER + 1] = 1; /* asks for segments */
    transmit(d, 60);
    descriptor(d, TRANSMIT, 0, BUFFER, HEADER - 1, 0);
    offer(d, TRANSMIT, 0);
    descriptor(d, TRANSMIT, 0, BUFFER, 100, WRITE);
    offer(d, TRANSMIT, 0);
    descriptor(d, TRANSMIT, 0, 0xffff00000000, 100, 0); /* no memory */
    offer(d, TRANSMIT, 0);
    assert_int_equal(d->sent_count, 0);
    assert_int_equal(d->net.frames_refused, 7);
    assert_int_equal(used(d, TRANSMIT), 7); /* the driver has all of them back */
    assert_false(broken(d));
}

static void a_frame_comes_in_when_there_is_a_buffer(void **state)
{
    (void)state;
    static u8 frame[FRAME + 1];
    struct desk *d = driven();
    for (u32 i = 0; i < sizeof frame; i++)
        frame[i] = (u8)(i * 11);
    assert_false(virtio_net_receive(&d->net, frame, 60));
    descriptor(d, RECEIVE, 0, BUFFER, HEADER, WRITE | NEXT);
    descriptor(d, RECEIVE, 1, BUFFER + HEADER, FRAME, WRITE);
    descriptor(d, RECEIVE, 2, BUFFER + 0x1000, HEADER + FRAME, WRITE);
    offer(d, RECEIVE, 0);
    offer(d, RECEIVE, 2);
    memset(d->guest.bytes + BUFFER, 0xee, 0x2000);
    assert_true(virtio_net_receive(&d->net, frame, 60));
    assert_int_equal(used(d, RECEIVE), 1);
    assert_int_equal(used_length(d, RECEIVE, 0), HEADER + 60);
    assert_int_equal(load_le64(d->guest.bytes + BUFFER), 0);
    assert_int_equal(load_le32(d->guest.bytes + BUFFER + 8), 0x10000); /* one buffer */
    assert_memory_equal(d->guest.bytes + BUFFER + HEADER, frame, 60);
    assert_int_equal(d->guest.bytes[BUFFER + HEADER + 60], 0xee);
    assert_true(d->world.lines.level[17]);
    assert_true(virtio_net_receive(&d->net, frame, FRAME + 1)); /* dropped */
    assert_int_equal(used(d, RECEIVE), 1);
    assert_true(virtio_net_receive(&d->net, frame, FRAME));
    assert_memory_equal(d->guest.bytes + BUFFER + 0x1000 + HEADER, frame, FRAME);
    assert_false(virtio_net_receive(&d->net, frame, 60));
    assert_int_equal(d->net.frames_in, 2);
    assert_false(broken(d));
}

static void a_buffer_that_cannot_hold_a_frame_breaks_the_device(void **state)
{
    (void)state;
    static const u8 frame[60];
    static const struct {
        u64 gpa;
        u32 size;
        u16 flags;
    } wrong[] = {
        {BUFFER, HEADER + FRAME - 1, WRITE},
        {BUFFER, HEADER + FRAME, 0},
        {0xffff00000000, HEADER + FRAME, WRITE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct desk *d = driven();
        descriptor(d, RECEIVE, 0, wrong[i].gpa, wrong[i].size, wrong[i].flags);
        offer(d, RECEIVE, 0);
        assert_false(virtio_net_receive(&d->net, frame, sizeof frame));
        assert_true(broken(d));
        assert_int_equal(used(d, RECEIVE), 0);
        assert_false(virtio_net_receive(&d->net, frame, sizeof frame));
    }
}

static void nothing_moves_without_a_driver(void **state)
{
    (void)state;
    static const u8 frame[60];
    struct desk *d = desk_init();
    assert_false(virtio_net_receive(&d->net, frame, sizeof frame));
    put(d, NOTIFY + 4, 2, 1);
    assert_int_equal(d->sent_count, 0);
    d = driven();
    descriptor(d, RECEIVE, 0, BUFFER, HEADER + FRAME, WRITE);
    offer(d, RECEIVE, 0);
    bus_write(&d->pci.config, 0x0804, 2, PCI_COMMAND_MEMORY); /* no longer a bus master */
    assert_false(virtio_net_receive(&d->net, frame, sizeof frame));
    assert_int_equal(used(d, RECEIVE), 0);
}

static void a_ring_that_claims_more_than_it_holds_breaks_the_device(void **state)
{
    (void)state;
    struct desk *d = driven();
    for (u32 i = 0; i < 16; i++) {
        descriptor(d, TRANSMIT, i, BUFFER, HEADER + 60, 0);
        store_le16(d->guest.bytes + RING(TRANSMIT) + AVAIL + 4 + 2 * i, (u16)i);
    }
    store_le16(d->guest.bytes + RING(TRANSMIT) + AVAIL + 2, 16);
    put(d, NOTIFY + 4, 2, 1);
    assert_int_equal(d->sent_count, 16);
    store_le16(d->guest.bytes + RING(TRANSMIT) + AVAIL + 2, 33); /* more than the ring holds */
    put(d, NOTIFY + 4, 2, 1);
    assert_int_equal(d->sent_count, 16);
    assert_true(broken(d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configuration_has_address_and_link),
        cmocka_unit_test(a_frame_goes_out),
        cmocka_unit_test(a_packet_that_is_none_is_dropped),
        cmocka_unit_test(a_frame_comes_in_when_there_is_a_buffer),
        cmocka_unit_test(a_buffer_that_cannot_hold_a_frame_breaks_the_device),
        cmocka_unit_test(nothing_moves_without_a_driver),
        cmocka_unit_test(a_ring_that_claims_more_than_it_holds_breaks_the_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
