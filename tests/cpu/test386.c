/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test386.asm, a ROM that tests a 32-bit processor from reset through real, protected and
 * virtual-8086 mode, and prints what thousands of instructions computed. Wanted in SOFTSEV_ORACLES:
 * test386.bin, assembled with OUT_PORT 0xE9, and test386-EE-reference.txt; skipped without them.
 */
#include "guest.h"
#include "needs.h"

#include <stdio.h>

#define POST_PORT 0x190
#define OUT_PORT  0xe9

#define TEST386 .images = {{"test386.bin", NULL}, {"test386-EE-reference.txt", NULL}}

static u8 *oracle(const char *name, size_t *size)
{
    u8 *bytes = malloc(MIB(8));
    *size = image_load(name, bytes, MIB(8));
    return bytes;
}

/* The processor's state after reset, with the ROM below 1 MiB. */
static void reset(struct guest *g, const u8 *rom, size_t size)
{
    static u8 zero[0x100000];
    guest_write(g, 0, zero, sizeof zero); /* under SEV, memory that nobody wrote is noise */
    guest_write(g, 0x100000 - size, rom, size);
    u8 ones[0x3000];
    memset(ones, 0xff, sizeof ones);
    assert_true(memory_write(g->memory, IOPM, KEY_RAW, ones, sizeof ones));
    struct vmcb_save *s = &g->vmcb.save;
    g->vmcb.control.intercept_3 |= (u32)INTERCEPT3_IOIO;
    s->efer = EFER_SVME;
    s->cr0 = CR0_ET;
    s->cr3 = s->cr4 = 0;
    s->cs = (struct vmcb_segment){0xf000, 0x9b, 0xffff, 0xf0000};
    s->ss = s->ds = s->es = s->fs = s->gs = (struct vmcb_segment){0, 0x93, 0xffff, 0};
    s->gdtr = s->idtr = (struct vmcb_segment){.limit = 0xffff};
    s->tr = (struct vmcb_segment){0, 0x8b, 0xffff, 0};
    s->rip = 0xfff0;
    s->rsp = 0;
    assert_true(memory_write(g->memory, VMCB, KEY_RAW, &g->vmcb, sizeof g->vmcb));
    assert_true(cpu_vmload(g->cpu, VMCB));
}

/* Runs to the final HLT; collects what was printed and returns the last diagnostic code. */
static int run(struct guest *g, u8 *printed, size_t room, size_t *count)
{
    struct vmcb *v = &g->vmcb;
    int post = -1;
    for (*count = 0;;) {
        memory_write(g->memory, VMCB, KEY_RAW, v, sizeof *v);
        assert_true(cpu_vmrun(g->cpu, VMCB, g->clock.now + 100000000));
        memory_read(g->memory, VMCB, KEY_RAW, v, sizeof *v);
        if (v->control.exit_code != EXIT_IOIO)
            return post;
        u64 port = v->control.exit_info_1 >> IOIO_PORT_SHIFT & 0xffff;
        if (v->control.exit_info_1 & IOIO_IN)
            v->save.rax |= 0xff;
        else if (port == POST_PORT)
            post = (int)(v->save.rax & 0xff);
        else if (port == OUT_PORT && *count < room)
            printed[(*count)++] = (u8)v->save.rax;
        v->save.rip = v->control.exit_info_2;
    }
}

static void check(bool sev)
{
    size_t rom_size, wanted_size, count;
    u8 *rom = oracle("test386.bin", &rom_size);
    u8 *wanted = oracle("test386-EE-reference.txt", &wanted_size);
    u8 *printed = malloc(MIB(8));
    struct guest *g = guest_create(sev);
    reset(g, rom, rom_size);
    assert_int_equal(run(g, printed, MIB(8), &count), 0xff);
    assert_int_equal(count, wanted_size);
    assert_memory_equal(printed, wanted, wanted_size);
    guest_destroy(g);
    free(printed);
    free(wanted);
    free(rom);
}

test_that_needs(test386_prints_what_it_prints_on_a_processor, TEST386)
{
    (void)state;
    check(false);
}

test_that_needs(test386_runs_the_same_in_encrypted_memory, TEST386)
{
    (void)state;
    check(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test386_prints_what_it_prints_on_a_processor),
        cmocka_unit_test(test386_runs_the_same_in_encrypted_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
