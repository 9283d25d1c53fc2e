/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small host for the bare machine: speaks on the serial port, takes timer interrupts, starts the
 * second core, enters a guest by VMRUN, asks the secure processor for its state, and powers off.
 * Each step says what it saw, in one line.
 */
#include "machine.h"

#include <stddef.h>

#define APIC           0xfee00000u
#define APIC_SPURIOUS  0x0f0
#define APIC_ICR       0x300
#define APIC_ICR_HIGH  0x310
#define APIC_LVT_TIMER 0x320
#define APIC_COUNT     0x380
#define APIC_DIVIDE    0x3e0
#define IPI_INIT       0x4500
#define IPI_STARTUP    0x4600
#define TIMER_VECTOR   32
#define TIMER_PERIODIC 0x20000u
#define TIMER_MASKED   0x10000u

#define MSR_EFER  0xc0000080u
#define MSR_HSAVE 0xc0010117u
#define EFER_SVME (1u << 12)

#define EXIT_INTR    0x60
#define EXIT_VMMCALL 0x81

#define TRAMPOLINE 0x8000u /* the page from which the other core starts */

#define PLATFORM_STATUS 4u

extern const uint8_t trampoline[], trampoline_end[], guest[], guest_loop[];
extern uint64_t page_tables[];
extern void on_timer(void), on_fault(void);
void world_switch(void *vmcb);
void host_main(void);
void host_other(void);
void host_fault(void);
extern volatile uint32_t timer_count;

volatile uint32_t timer_count;
static volatile uint32_t other_runs;
static uint64_t idt[64][2];
static _Alignas(4096) uint8_t vmcb[4096], save_area[4096], command_page[4096];

/* --- What it says ----------------------------------------------------------------------------- */

static void say_number(uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        out8(SERIAL, (uint8_t)digits[--count]);
}

static void say_line(const char *what, uint64_t value)
{
    say("host: ");
    say(what);
    say_number(value);
    say("\n");
}

void host_fault(void)
{
    say("host: an exception that nobody expects\n");
    power_off();
}

/* --- Interrupts ------------------------------------------------------------------------------- */

static void set_interrupts(void)
{
    for (unsigned vector = 0; vector < 32; vector++)
        set_gate(idt[vector], on_fault);
    set_gate(idt[TIMER_VECTOR], on_timer);
    load_gates(idt, sizeof idt);
    *at32(APIC + APIC_SPURIOUS) = 0x1ff;
}

static void timer_start(uint32_t ticks, uint32_t mode)
{
    *at32(APIC + APIC_DIVIDE) = 0xb; /* by one */
    *at32(APIC + APIC_LVT_TIMER) = TIMER_VECTOR | mode;
    *at32(APIC + APIC_COUNT) = ticks;
}

/* HLT until the timer has come five times. */
static void take_timer_interrupts(void)
{
    timer_start(1000000, TIMER_PERIODIC);
    while (timer_count < 5)
        __asm__ volatile("sti; hlt; cli");
    timer_start(0, TIMER_MASKED);
    say_line("timer interrupts: ", timer_count);
}

/* --- The other core --------------------------------------------------------------------------- */

void host_other(void)
{
    other_runs = 1;
    for (;;)
        __asm__ volatile("hlt");
}

static void send(uint32_t apic_id, uint32_t command)
{
    *at32(APIC + APIC_ICR_HIGH) = apic_id << 24;
    *at32(APIC + APIC_ICR) = command;
}

static void start_other_core(void)
{
    for (size_t i = 0; &trampoline[i] < trampoline_end; i++)
        ((volatile uint8_t *)(uintptr_t)TRAMPOLINE)[i] = trampoline[i];
    send(1, IPI_INIT);
    send(1, IPI_STARTUP | TRAMPOLINE >> 12);
    for (uint32_t i = 0; i < 100000 && !other_runs; i++)
        pause();
    say_line("other cores: ", other_runs);
}

/* --- A guest ---------------------------------------------------------------------------------- */

static void put32(uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(vmcb + offset) = value;
}

static void put64(uint32_t offset, uint64_t value)
{
    *(volatile uint64_t *)(vmcb + offset) = value;
}

static uint64_t get64(uint32_t offset)
{
    return *(volatile uint64_t *)(vmcb + offset);
}

static void set_segment(uint32_t offset, uint16_t selector, uint16_t attributes)
{
    put32(offset, selector | (uint32_t)attributes << 16);
    put32(offset + 4, 0xffffffff);
}

static uint64_t control_register(unsigned number)
{
    uint64_t value;
    if (number == 0)
        __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    else
        __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

/* The guest has the host's own paging, and behind it the host's tables once more as nested ones. */
static void set_guest(void)
{
    const uint64_t tables = address_of(page_tables);
    put32(0x00c, 1);          /* intercepts INTR */
    put32(0x010, 1 | 1 << 1); /* VMRUN, VMMCALL */
    put32(0x058, 1);          /* ASID */
    put32(0x060, 1u << 24);   /* V_INTR_MASKING */
    put64(0x090, 1);          /* nested paging */
    put64(0x0b0, tables);
    set_segment(0x400, 16, 0xc93); /* ES */
    set_segment(0x410, 8, 0xa9b);  /* CS */
    set_segment(0x420, 16, 0xc93); /* SS */
    set_segment(0x430, 16, 0xc93); /* DS */
    put64(0x4d0, read_msr(MSR_EFER));
    put64(0x548, control_register(4));
    put64(0x550, tables);
    put64(0x558, control_register(0));
    put64(0x560, 0x400);      /* DR7 */
    put64(0x568, 0xffff0ff0); /* DR6 */
    put64(0x570, 2);          /* RFLAGS */
    put64(0x578, address_of(guest));
    put64(0x5d8, address_of(save_area) + sizeof save_area);
    put64(0x668, 0x0007040600070406); /* PAT */
}

static void run_guest(void)
{
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SVME);
    write_msr(MSR_HSAVE, address_of(save_area));
    set_guest();
    world_switch(vmcb);
    if (get64(0x070) != EXIT_VMMCALL)
        say_line("the guest left by another exit: ", get64(0x070));
    say_line("the guest's RAX at VMMCALL: ", get64(0x5f8));
    /* An interrupt for the host takes the guest off the core, and comes with STGI. */
    const uint32_t before = timer_count;
    put64(0x578, address_of(guest_loop));
    timer_start(100000, 0);
    world_switch(vmcb);
    if (get64(0x070) != EXIT_INTR)
        say_line("the guest left by another exit: ", get64(0x070));
    say_line("interrupts while a guest ran: ", timer_count - before);
}

/* --- The secure processor --------------------------------------------------------------------- */

static void ask_secure_processor(void)
{
    const uint64_t psp = psp_find();
    if (!psp) {
        say("host: no secure processor\n");
        return;
    }
    const uint32_t status = psp_submit(psp, PLATFORM_STATUS, address_of(command_page));
    say_line("status of PLATFORM_STATUS: ", status);
    say_line("major version of the SEV API: ", command_page[0]);
}

void host_main(void)
{
    say("host: runs\n");
    set_interrupts();
    take_timer_interrupts();
    start_other_core();
    run_guest();
    ask_secure_processor();
    power_off();
}
