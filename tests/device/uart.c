/* SPDX-License-Identifier: Apache-2.0 */
/* The UART: how a driver finds out that it is a 16550A, bytes in both directions,
 * and its interrupts. */
#include "device/uart.h"
#include "common.h"

#define COM1 UART_COM1_PORT
enum { DATA = COM1, IER, IIR, LCR, MCR, LSR, MSR, SCR };

struct desk {
    struct world world;
    struct uart uart;
    char out[64];
};

static void desk_output(void *ctx, const u8 *bytes, u64 count)
{
    struct desk *d = ctx;
    size_t length = strlen(d->out);
    memcpy(d->out + length, bytes, count);
    d->out[length + count] = 0;
}

static void desk_init(struct desk *d)
{
    memset(d, 0, sizeof *d);
    world_init(&d->world);
    uart_init(&d->uart, COM1, lines_line(&d->world.lines, 4),
              (struct console_backend){desk_output, d});
    assert_true(bus_add(&d->world.ports, &d->uart.ports));
}

/* The order and the tests of a driver that knows every 8250 descendant. */
static void a_driver_recognises_a_16550a(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct world *w = &d.world;
    outb(w, IER, 0);
    outb(w, 0x80, 0xff);
    assert_int_equal(inb(w, IER) & 0x0f, 0);
    outb(w, IER, 0x0f);
    assert_int_equal(inb(w, IER), 0x0f); /* and none of the bits 7..4 of other chips */
    outb(w, IER, 0);
    outb(w, MCR, 0x10 | 0x0a); /* loopback, OUT2, RTS: seen as DCD and CTS */
    assert_int_equal(inb(w, MSR) & 0xf0, 0x90);
    outb(w, MCR, 0);
    outb(w, IIR, 0x01);
    assert_int_equal(inb(w, IIR) >> 6, 3); /* working FIFOs: 16550A */
    outb(w, IIR, 0x21 | 0x80);
    assert_int_equal(inb(w, IIR) & 0x20, 0); /* no 64-byte FIFO: not a 16750 */
    outb(w, LCR, 0xbf);
    assert_int_not_equal(inb(w, IIR), 0); /* no EFR there: not a 16650 */
    outb(w, LCR, 0x03);
    outb(w, IER, 0x40);
    assert_int_equal(inb(w, IER) & 0x40, 0); /* no UUE: not an XScale */
    outb(w, SCR, 0x5a);
    assert_int_equal(inb(w, SCR), 0x5a);
    /* An idle line, the interrupt for an empty transmitter whenever it is switched on. */
    assert_int_equal(inb(w, LSR), 0x60);
    for (u32 i = 0; i < 2; i++) {
        outb(w, IER, 0x02);
        assert_int_equal(inb(w, IIR) & 0x0f, 0x02);
        outb(w, IER, 0);
        assert_int_equal(inb(w, IIR) & 0x0f, 0x01);
    }
}

static void the_divisor_hides_behind_dlab(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    outb(&d.world, LCR, 0x83);
    bus_write(&d.world.ports, DATA, 2, 0x0c12);
    assert_int_equal(inb(&d.world, DATA), 0x12);
    assert_int_equal(inb(&d.world, IER), 0x0c);
    outb(&d.world, LCR, 0x03);
    assert_int_equal(inb(&d.world, IER), 0);
    assert_string_equal(d.out, "");
}

static void output_is_out_at_once_and_interrupts_for_more(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct world *w = &d.world;
    outb(w, MCR, 0x0b);
    outb(w, IER, 0x02);
    assert_true(w->lines.level[4]);
    assert_int_equal(inb(w, IIR) & 0x0f, 0x02); /* reading it acknowledges */
    assert_false(w->lines.level[4]);
    outb(w, DATA, 'o');
    assert_true(w->lines.level[4]); /* empty again: an interrupt again */
    outb(w, DATA, 'k');
    assert_string_equal(d.out, "ok");
    assert_int_equal(inb(w, LSR), 0x60);
}

static void out2_connects_the_interrupt(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    outb(&d.world, IER, 0x02);
    assert_false(d.world.lines.level[4]);
    outb(&d.world, MCR, 0x08);
    assert_true(d.world.lines.level[4]);
}

static void input_waits_in_the_fifo(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct world *w = &d.world;
    assert_int_equal(uart_room(&d.uart), 1); /* no FIFO yet */
    outb(w, MCR, 0x0b);
    outb(w, IIR, 0xc7); /* FIFO, trigger at 14 */
    outb(w, IER, 0x01);
    for (u8 i = 0; i < 14; i++) {
        assert_int_equal(inb(w, IIR), i ? 0xcc : 0xc1); /* below the trigger: the time-out */
        assert_true(uart_receive(&d.uart, (u8)('a' + i)));
        assert_true(w->lines.level[4]);
    }
    assert_int_equal(inb(w, IIR), 0xc4);
    assert_true(uart_receive(&d.uart, 'y') && uart_receive(&d.uart, 'z'));
    assert_false(uart_receive(&d.uart, '!')); /* full: not taken, nothing lost */
    assert_int_equal(inb(w, LSR), 0x61);
    for (u8 i = 0; i < 14; i++)
        assert_int_equal(inb(w, DATA), 'a' + i);
    assert_int_equal(inb(w, DATA), 'y');
    assert_true(w->lines.level[4]);
    assert_int_equal(inb(w, DATA), 'z');
    assert_false(w->lines.level[4]);
    assert_int_equal(inb(w, LSR), 0x60);
}

static void loopback_returns_bytes_and_prints_none(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct world *w = &d.world;
    outb(w, MCR, 0x10);
    outb(w, DATA, 'x');
    outb(w, DATA, 'y'); /* without a FIFO there is room for one */
    assert_int_equal(inb(w, LSR), 0x63);
    assert_int_equal(inb(w, LSR), 0x61);
    assert_int_equal(inb(w, DATA), 'x');
    assert_string_equal(d.out, "");
    assert_false(uart_receive(&d.uart, 'z'));
}

static void modem_changes_leave_deltas(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d);
    struct world *w = &d.world;
    assert_int_equal(inb(w, MSR), 0xb0); /* CTS, DSR and DCD: somebody is there */
    outb(w, MCR, 0x10);                  /* loopback with all outputs off */
    assert_int_equal(inb(w, MSR), 0x0b);
    outb(w, MCR, 0x14); /* OUT1 is RI, which counts when it ends */
    assert_int_equal(inb(w, MSR), 0x40);
    outb(w, MCR, 0x10);
    assert_int_equal(inb(w, MSR), 0x04);
    assert_int_equal(inb(w, MSR), 0x00);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_driver_recognises_a_16550a),
        cmocka_unit_test(the_divisor_hides_behind_dlab),
        cmocka_unit_test(output_is_out_at_once_and_interrupts_for_more),
        cmocka_unit_test(out2_connects_the_interrupt),
        cmocka_unit_test(input_waits_in_the_fifo),
        cmocka_unit_test(loopback_returns_bytes_and_prints_none),
        cmocka_unit_test(modem_changes_leave_deltas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
