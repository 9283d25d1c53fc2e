/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices behind QEMU's qtest protocol: reads lines like `inb 0x61` or `clock_step 1000` and
 * answers `OK 0x..`, so that one script can be played to QEMU and to us and the answers compared.
 */
#include "device/gsi.h"
#include "device/ioapic.h"
#include "device/pci.h"
#include "device/pic.h"
#include "device/pit.h"
#include "device/pm.h"
#include "device/rtc.h"
#include "device/uart.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct board {
    struct clock clock;
    struct timer_queue timers;
    struct bus ports, memory;
    struct uart uart;
    struct pic pic;
    struct pit pit;
    struct rtc rtc;
    struct ioapic ioapic;
    struct gsi gsi;
    struct pm pm;
    struct pci pci;
};

static void board_init(struct board *b, s64 start_s)
{
    timer_queue_init(&b->timers, &b->clock);
    bus_init(&b->ports, "ports");
    bus_init(&b->memory, "memory");
    b->gsi = (struct gsi){&b->pic, &b->ioapic};
    pic_init(&b->pic, (struct irq_line){0});
    ioapic_init(&b->ioapic, (struct msi_port){0});
    uart_init(&b->uart, UART_COM1_PORT, gsi_line(&b->gsi, UART_COM1_IRQ),
              (struct console_backend){0});
    pit_init(&b->pit, &b->timers, gsi_line(&b->gsi, 0));
    rtc_init(&b->rtc, &b->timers, gsi_line(&b->gsi, 8), start_s);
    pm_init(&b->pm, 0x600, &b->timers, gsi_line(&b->gsi, 9), NULL, NULL);
    bool good =
        pic_attach(&b->pic, &b->ports) && pit_attach(&b->pit, &b->ports) &&
        bus_add(&b->ports, &b->uart.ports) && bus_add(&b->ports, &b->rtc.ports) &&
        bus_add(&b->ports, &b->pm.ports) && bus_add(&b->memory, &b->ioapic.window) &&
        pci_init(&b->pci, &b->ports, &b->memory, (struct msi_port){0}, PCI_HOST_I440FX, NULL);
    if (!good)
        abort();
}

static void board_step(struct board *b, u64 ns)
{
    u64 end = b->clock.now + ns;
    while (timer_next(&b->timers) <= end) {
        b->clock.now = max_u64(b->clock.now, timer_next(&b->timers));
        timer_run(&b->timers, b->clock.now);
    }
    b->clock.now = end;
}

/* b, w, l and q name the size of an access. */
static u32 access_size(char letter)
{
    const char *letters = "bwlq", *at = strchr(letters, letter);
    return at && *at ? 1u << (at - letters) : 0;
}

static void command(struct board *b, const char *line)
{
    char name[16];
    u64 address = 0, value = 0;
    int words = sscanf(line, "%15s %" SCNi64 " %" SCNi64, name, (s64 *)&address, (s64 *)&value);
    u32 size = words > 0 ? access_size(name[strlen(name) - 1]) : 0;
    if (words == 2 && !strcmp(name, "clock_step")) {
        board_step(b, address);
        printf("OK\n");
    } else if (words == 2 && !strncmp(name, "in", 2) && size) {
        printf("OK 0x%04" PRIx64 "\n", bus_read(&b->ports, address, size));
    } else if (words == 3 && !strncmp(name, "out", 3) && size) {
        bus_write(&b->ports, address, size, value);
        printf("OK\n");
    } else if (words == 2 && !strncmp(name, "read", 4) && size) {
        printf("OK 0x%016" PRIx64 "\n", bus_read(&b->memory, address, size));
    } else if (words == 3 && !strncmp(name, "write", 5) && size) {
        bus_write(&b->memory, address, size, value);
        printf("OK\n");
    } else {
        printf("FAIL\n");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct board board;
    char line[200];
    board_init(&board, argc > 1 ? strtoll(argv[1], NULL, 10) : 0);
    while (fgets(line, sizeof line, stdin))
        command(&board, line);
    return 0;
}
