/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small host for the bare machine: speaks on the serial port, takes timer interrupts, starts the
 * second core, enters a guest by VMRUN, asks the secure processor for its state, and powers off.
 * Each step says what it saw, in one line.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL       0x3f8
#define PM_CONTROL   0x604 /* of the board's power management, with S5 as type 5 */
#define POWER_OFF    (5u << 10 | 1u << 13)
#define PCI_ADDRESS  0xcf8
#define PCI_DATA     0xcfc
#define PSP_IDENTITY 0x14ca1022u

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

#define PSP_COMMAND     0x10980
#define PSP_LOW         0x109e0
#define PSP_HIGH        0x109e4
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

/* --- Instructions ----------------------------------------------------------------------------- */

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static volatile uint32_t *memory32(uint64_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

static void pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* --- The serial port -------------------------------------------------------------------------- */

static void say(const char *text)
{
    while (*text)
        out8(SERIAL, (uint8_t)*text++);
}

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

static void power_off(void)
{
    out16(PM_CONTROL, POWER_OFF);
    for (;;)
        __asm__ volatile("hlt");
}

void host_fault(void)
{
    say("host: an exception that nobody expects\n");
    power_off();
}

/* --- Interrupts ------------------------------------------------------------------------------- */

static void set_gate(unsigned vector, void (*handler)(void))
{
    const uint64_t at = (uint64_t)(uintptr_t)handler;
    idt[vector][0] = (at & 0xffff) | 8u << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
    idt[vector][1] = at >> 32;
}

static void set_interrupts(void)
{
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table = {sizeof idt - 1, (uint64_t)(uintptr_t)idt};
    for (unsigned vector = 0; vector < 32; vector++)
        set_gate(vector, on_fault);
    set_gate(TIMER_VECTOR, on_timer);
    __asm__ volatile("lidt %0" : : "m"(table));
    out8(0x21, 0xff); /* the 8259s stay silent */
    out8(0xa1, 0xff);
    *memory32(APIC + APIC_SPURIOUS) = 0x1ff;
}

static void timer_start(uint32_t ticks, uint32_t mode)
{
    *memory32(APIC + APIC_DIVIDE) = 0xb; /* by one */
    *memory32(APIC + APIC_LVT_TIMER) = TIMER_VECTOR | mode;
    *memory32(APIC + APIC_COUNT) = ticks;
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
    *memory32(APIC + APIC_ICR_HIGH) = apic_id << 24;
    *memory32(APIC + APIC_ICR) = command;
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
    const uint64_t tables = (uint64_t)(uintptr_t)page_tables;
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
    put64(0x578, (uint64_t)(uintptr_t)guest);
    put64(0x5d8, (uint64_t)(uintptr_t)save_area + sizeof save_area);
    put64(0x668, 0x0007040600070406); /* PAT */
}

static void run_guest(void)
{
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SVME);
    write_msr(MSR_HSAVE, (uint64_t)(uintptr_t)save_area);
    set_guest();
    world_switch(vmcb);
    if (get64(0x070) != EXIT_VMMCALL)
        say_line("the guest left by another exit: ", get64(0x070));
    say_line("the guest's RAX at VMMCALL: ", get64(0x5f8));
    /* An interrupt for the host takes the guest off the core, and comes with STGI. */
    const uint32_t before = timer_count;
    put64(0x578, (uint64_t)(uintptr_t)guest_loop);
    timer_start(100000, 0);
    world_switch(vmcb);
    if (get64(0x070) != EXIT_INTR)
        say_line("the guest left by another exit: ", get64(0x070));
    say_line("interrupts while a guest ran: ", timer_count - before);
}

/* --- The secure processor --------------------------------------------------------------------- */

static uint32_t pci_read(uint32_t slot, uint32_t offset)
{
    out32(PCI_ADDRESS, 0x80000000u | slot << 11 | offset);
    return in32(PCI_DATA);
}

static void ask_secure_processor(void)
{
    uint32_t slot = 0;
    while (slot < 32 && pci_read(slot, 0) != PSP_IDENTITY)
        slot++;
    if (slot == 32) {
        say("host: no secure processor\n");
        return;
    }
    out32(PCI_ADDRESS, 0x80000000u | slot << 11 | 4);
    out32(PCI_DATA, 6); /* memory, bus master */
    const uint64_t bar = pci_read(slot, 0x18) & ~0xfu;
    *memory32(bar + PSP_LOW) = (uint32_t)(uintptr_t)command_page;
    *memory32(bar + PSP_HIGH) = 0;
    *memory32(bar + PSP_COMMAND) = PLATFORM_STATUS << 16;
    while (!(*memory32(bar + PSP_COMMAND) >> 31))
        pause();
    say_line("status of PLATFORM_STATUS: ", *memory32(bar + PSP_COMMAND) & 0xffff);
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
