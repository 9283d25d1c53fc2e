/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core in an archive, between two VMRUNs of a host that is a program outside of the core. What
 * such a core has of its own are MSRs: guests' registers are in VMCBs and VMSAs, and the host loads
 * all others before it runs a guest. So both the core that goes on and the one that is loaded lose
 * their registers, translations and decoded code, and are the same afterwards.
 *
 * The members of struct cpu, one by one:
 *
 *   msr                  saved; the host has set them
 *   arch.efer, arch.pat  saved; the host's own
 *   arch, the rest       not saved: what a guest left there is loaded again before a guest runs (by
 *                        VMRUN, VMLOAD or the host itself), and no host here changes its own
 *   host, guest          not saved: they hold something between VMRUN and #VMEXIT only
 *   bare                 of a core on a board, which is not archived
 *   engine.statistics    saved as far as they count what software did, not how the engine did it
 *   engine, the rest     dropped: TLBs, blocks, translated code, answers of devices
 *   id, model            the same on both sides, or the load fails
 *   the others           made by cpu_create() from the configuration
 */
#include "base/archive.h"
#include "cpu/internal.h"

static void forget_registers(struct cpu *c)
{
    struct arch *r = &c->arch;
    memset(r->r, 0, sizeof r->r);
    memset(r->dr, 0, sizeof r->dr);
    memset(r->vector, 0, sizeof r->vector);
    r->x87 = (struct x87){.control = X87_CONTROL_RESET, .tag = 0xffff};
    r->mxcsr = MXCSR_RESET;
    r->xcr0 = XSTATE_X87;
    r->pkru = 0;
    r->cr2 = 0;
    r->tsc_aux = 0;
    c->guest = (struct running_guest){.running = false};
}

static void forget_translations(struct cpu *c)
{
    mmu_flush_worlds(c);
    blocks_forget_addresses(c);
    c->engine.translated = (struct translated_under){0};
    c->engine.retranslate = true;
    cpu_device_assist(c, c->engine.device.assist);
    c->engine.device.open = false;
}

static void msrs_archive(struct cpu *c, struct archive *a)
{
    u64 *const here[] = {&c->arch.efer,     &c->arch.pat,     &c->msr.vm_hsave_pa, &c->msr.vm_cr,
                         &c->msr.syscfg,    &c->msr.hwcr,     &c->msr.rmp_base,    &c->msr.rmp_end,
                         &c->msr.apic_base, &c->msr.tsc_ratio};
    u64 loaded[ARRAY_SIZE(here)];
    for (u32 i = 0; i < ARRAY_SIZE(here); i++) {
        loaded[i] = *here[i];
        archive_u64(a, &loaded[i]);
    }
    archive_check(a, !(loaded[0] & ~(u64)EFER_SVME), "EFER");
    archive_check(a, pat_valid(loaded[1]), "PAT");
    archive_check(
        a, !(loaded[2] & PAGE_MASK) && range_fits(loaded[2], PAGE_SIZE, memory_size(c->memory)),
        "VM_HSAVE_PA");
    archive_check(a, !(loaded[9] & ~BITS(~0ull, 39, 0)), "TSC_RATIO");
    for (u32 i = 0; i < ARRAY_SIZE(here) && !a->failed; i++)
        *here[i] = loaded[i];
}

static void statistics_archive(struct cpu_statistics *s, struct archive *a)
{
    archive_u64(a, &s->instructions);
    archive_u64(a, &s->exceptions);
    archive_u64(a, &s->interrupts);
    archive_u64(a, &s->event_ns);
    archive_u64s(a, s->vc, ARRAY_SIZE(s->vc));
}

void cpu_archive(struct cpu *c, struct archive *a)
{
    archive_section(a, "core", 1);
    if (c->bare.wired || c->guest.running) {
        archive_fail(a, ERROR_USAGE, "a core that runs code of a board's is not archived");
        return;
    }
    archive_same(a, c->id, "its number");
    archive_same(a, c->model.signature, "its processor's signature");
    forget_registers(c);
    forget_translations(c);
    msrs_archive(c, a);
    statistics_archive(&c->engine.statistics, a);
}
