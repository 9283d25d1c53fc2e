/* SPDX-License-Identifier: Apache-2.0 */
/* Routes devices' interrupt numbers to the two kinds of interrupt controller. */
#include "device/gsi.h"

#include "device/ioapic.h"
#include "device/pic.h"

#define GSI_ISA 16

void gsi_set(void *gsi, u32 number, bool level)
{
    struct gsi *g = gsi;
    if (g->pic && number < GSI_ISA)
        pic_set_line(g->pic, number, level);
    if (g->ioapic && number < IOAPIC_PINS)
        ioapic_set_pin(g->ioapic, number == 0 ? 2 : number, level);
}

struct irq_line gsi_line(struct gsi *gsi, u32 number)
{
    return (struct irq_line){.set = gsi_set, .ctx = gsi, .line = number};
}
