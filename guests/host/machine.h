/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host without a kernel finds on the bare machine: ports, MSRs, the serial port, the switch
 * that turns it off, and the secure processor's mailbox.
 */
#ifndef GUESTS_HOST_MACHINE_H
#define GUESTS_HOST_MACHINE_H

#include <stdint.h>

#define SERIAL      0x3f8
#define PM_CONTROL  0x604 /* of the board's power management, with S5 as type 5 */
#define POWER_OFF   (5u << 10 | 1u << 13)
#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc
#define PCI_SLOTS   32u

#define PSP_IDENTITY 0x14ca1022u
#define PSP_BAR      0x18
#define PSP_COMMAND  0x10980
#define PSP_LOW      0x109e0
#define PSP_HIGH     0x109e4
#define PSP_DONE     (1u << 31)

/* --- Instructions ----------------------------------------------------------------------------- */

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline void pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

static inline uint64_t address_of(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static inline volatile uint32_t *at32(uint64_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

/* --- Exceptions and interrupts ---------------------------------------------------------------- */

static inline void set_gate(uint64_t gate[2], void (*handler)(void))
{
    const uint64_t at = (uint64_t)(uintptr_t)handler;
    gate[0] = (at & 0xffff) | 8u << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
    gate[1] = at >> 32;
}

/* Takes a table of gates; the 8259s stay silent. */
static inline void load_gates(const void *gates, uint16_t size)
{
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } table = {(uint16_t)(size - 1), address_of(gates)};
    __asm__ volatile("lidt %0" : : "m"(table));
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
}

/* --- The serial port, and the end ------------------------------------------------------------- */

static inline void say(const char *text)
{
    while (*text)
        out8(SERIAL, (uint8_t)*text++);
}

static inline _Noreturn void power_off(void)
{
    out16(PM_CONTROL, POWER_OFF);
    for (;;)
        __asm__ volatile("hlt");
}

/* --- The secure processor --------------------------------------------------------------------- */

static inline uint32_t pci_read(uint32_t slot, uint32_t offset)
{
    out32(PCI_ADDRESS, 0x80000000u | slot << 11 | offset);
    return in32(PCI_DATA);
}

/* Returns the address of its registers; 0: there is none. */
static inline uint64_t psp_find(void)
{
    uint32_t slot = 0;
    while (slot < PCI_SLOTS && pci_read(slot, 0) != PSP_IDENTITY)
        slot++;
    if (slot == PCI_SLOTS)
        return 0;
    out32(PCI_ADDRESS, 0x80000000u | slot << 11 | 4);
    out32(PCI_DATA, 6); /* memory, bus master */
    return pci_read(slot, PSP_BAR) & ~0xfu;
}

/* Runs one command to its end. Returns the status. */
static inline uint32_t psp_submit(uint64_t psp, uint32_t command, uint64_t buffer)
{
    *at32(psp + PSP_LOW) = (uint32_t)buffer;
    *at32(psp + PSP_HIGH) = (uint32_t)(buffer >> 32);
    *at32(psp + PSP_COMMAND) = command << 16;
    while (!(*at32(psp + PSP_COMMAND) & PSP_DONE))
        pause();
    return *at32(psp + PSP_COMMAND) & 0xffff;
}

#endif
