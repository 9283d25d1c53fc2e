/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on a running guest's memory by whoever owns the machine, with everything a host has:
 * reading, DMA, another guest's key, moved and replayed ciphertext, the memory after the guest is
 * gone. The guests are a few instructions each: they write a pattern into a private page and watch
 * it; what they see when it changes leaves by the debug-exit port.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/host.h"
#include "machine/machine.h"

#define LOAD 0x200000u
/* the page of the pattern; the guest watches its second block */
#define PRIVATE 0x400000u
#define PATTERN "not for the host" /* one cipher block, written twice */

/*
 *   mov $PATTERN address, %rsi ; mov $PRIVATE, %edi ; movsq x4 (two equal blocks)
 *   1: mov PRIVATE+16, %rax ; cmp PRIVATE, %rax ; je 1b
 *   out %eax, $0xf4 ; hlt
 */
static const u8 program[] = {
    0xbe, 0x40, 0x00, 0x20, 0x00,                   /* mov $0x200040, %esi */
    0xbf, 0x00, 0x00, 0x40, 0x00,                   /* mov $0x400000, %edi */
    0x48, 0xa5, 0x48, 0xa5, 0x48, 0xa5, 0x48, 0xa5, /* movsq, four times */
    0x48, 0x8b, 0x04, 0x25, 0x10, 0x00, 0x40, 0x00, /* 1: mov 0x400010, %rax */
    0x48, 0x3b, 0x04, 0x25, 0x00, 0x00, 0x40, 0x00, /* cmp 0x400000, %rax */
    0x74, 0xee,                                     /* je 1b */
    0xe7, 0xf4, 0xf4,                               /* out %eax, $0xf4; hlt */
};

struct bench {
    u8 elf[0x200];
    struct crypto *crypto;
    struct machine *machine;
    struct host *host;
    struct hypervisor *hv;
    struct image_plan *plan;
    struct vm *vm[2];
};

static void make_elf(u8 elf[0x200])
{
    memset(elf, 0, 0x200);
    memcpy(elf, "\177ELF\2\1\1", 7);
    store_le16(elf + 16, 2);
    store_le16(elf + 18, 62);
    store_le64(elf + 24, LOAD);
    store_le64(elf + 32, 64);
    store_le16(elf + 54, 56);
    store_le16(elf + 56, 1);
    store_le32(elf + 64, 1);
    store_le64(elf + 72, 0x100);
    store_le64(elf + 88, LOAD);
    store_le64(elf + 96, 0x100);
    store_le64(elf + 104, 0x100);
    memcpy(elf + 0x100, program, sizeof program);
    memcpy(elf + 0x140, PATTERN PATTERN, 32);
}

static struct vm *launch(struct bench *b, const char *name, struct error *e)
{
    struct vm_config config = {.name = name, .plan = b->plan, .policy = 1};
    u8 measure[48];
    struct vm *vm = vm_create(b->hv, &config, e);
    assert_non_null(vm);
    assert_int_equal(vm_launch_start(vm, NULL, 0, NULL, 0, e), 0);
    assert_int_equal(vm_launch_update(vm, e), 0);
    assert_int_equal(vm_launch_measure(vm, measure, e), 0);
    assert_int_equal(vm_launch_finish(vm, e), 0);
    return vm;
}

static void run_for(struct bench *b, u64 ns)
{
    hypervisor_run(b->hv, host_time_ns(b->host) + ns);
}

/* Two guests of one image, both past their writing, both watching. */
static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct error e = {.code = ERROR_NONE};
    struct machine_config config = {.memory_size = MIB(64), .cores = 1};
    b->crypto = config.crypto = crypto_create("isolation", 9);
    crypto_random(b->crypto, config.fuses, sizeof config.fuses);
    b->machine = machine_create(&config, &e);
    assert_non_null(b->machine);
    b->host = machine_host(b->machine);
    b->hv = hypervisor_create(b->host, &e);
    assert_non_null(b->hv);
    assert_int_equal(platform_init(b->hv, &e), 0);
    make_elf(b->elf);
    struct image_description d = {.memory_size = MIB(8), .mode = IMAGE_SEV};
    d.kernel = (struct image_file){"guest", b->elf, sizeof b->elf};
    b->plan = image_build(&d, &e);
    assert_non_null(b->plan);
    b->vm[0] = launch(b, "alice", &e);
    b->vm[1] = launch(b, "bob", &e);
    run_for(b, 5000000);
    assert_int_equal(vm_get_state(b->vm[0]), VM_RUNNABLE);
    assert_int_equal(vm_get_state(b->vm[1]), VM_RUNNABLE);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    hypervisor_destroy(b->hv);
    image_free(b->plan);
    machine_destroy(b->machine);
    crypto_destroy(b->crypto);
    free(b);
    return 0;
}

/* The attacker knows where things are: guests get their memory in one piece, in order of creation.
 * What it lies at in the machine is found by looking for the page that the guest's key opens. */
static u64 find_pattern(struct bench *b, u32 asid)
{
    u8 bytes[16];
    for (u64 spa = 0; spa < host_memory_size(b->host); spa += PAGE_SIZE)
        if (memory_peek(machine_memory(b->machine), spa, (memory_key)asid, bytes, sizeof bytes) &&
            !memcmp(bytes, PATTERN, sizeof bytes))
            return spa;
    fail_msg("the guest wrote nothing");
    return 0;
}

/* No 8 bytes of the pattern anywhere in `bytes`. */
static void assert_nothing_of_it(const u8 *bytes, size_t size)
{
    for (size_t i = 0; i + 8 <= size; i++) {
        assert_memory_not_equal(bytes + i, PATTERN, 8);
        assert_memory_not_equal(bytes + i, &PATTERN[8], 8);
    }
}

static void the_host_reads_ciphertext(void **state)
{
    struct bench *b = *state;
    u8 page[PAGE_SIZE];
    assert_true(vm_host_view(b->vm[0], PRIVATE, page, sizeof page));
    assert_nothing_of_it(page, sizeof page);
    run_for(b, 1000000); /* looking did no harm */
    assert_int_equal(vm_get_state(b->vm[0]), VM_RUNNABLE);
}

static void the_program_itself_is_ciphertext_after_its_launch(void **state)
{
    struct bench *b = *state;
    u8 page[PAGE_SIZE];
    assert_true(vm_host_view(b->vm[0], LOAD, page, sizeof page));
    assert_memory_not_equal(page, program, sizeof program);
    assert_nothing_of_it(page, sizeof page);
}

static void a_device_reads_ciphertext(void **state)
{
    struct bench *b = *state;
    u8 page[PAGE_SIZE];
    assert_true(host_dma_read(b->host, find_pattern(b, vm_asid(b->vm[0])), page, sizeof page));
    assert_nothing_of_it(page, sizeof page);
}

static void another_guests_key_opens_nothing(void **state)
{
    struct bench *b = *state;
    u8 page[PAGE_SIZE];
    u64 spa = find_pattern(b, vm_asid(b->vm[0]));
    assert_true(memory_read(machine_memory(b->machine), spa, (memory_key)vm_asid(b->vm[1]), page,
                            sizeof page));
    assert_nothing_of_it(page, sizeof page);
}

static void equal_plaintext_of_two_guests_is_unequal_ciphertext(void **state)
{
    struct bench *b = *state;
    u8 one[16], other[16];
    assert_true(vm_host_view(b->vm[0], PRIVATE, one, sizeof one));
    assert_true(vm_host_view(b->vm[1], PRIVATE, other, sizeof other));
    assert_memory_not_equal(one, other, sizeof one);
}

static void equal_blocks_of_one_page_are_unequal_ciphertext(void **state)
{
    struct bench *b = *state;
    u8 page[32];
    assert_true(vm_host_view(b->vm[0], PRIVATE, page, sizeof page));
    assert_memory_not_equal(page, page + 16, 16);
}

static void moved_ciphertext_does_not_decrypt(void **state)
{
    struct bench *b = *state;
    u8 block[16];
    struct vm_summary s;
    u64 spa = find_pattern(b, vm_asid(b->vm[0]));
    assert_true(host_read(b->host, spa, block, sizeof block));
    assert_true(host_write(b->host, spa + 16, block, sizeof block));
    run_for(b, 5000000);
    vm_get_summary(b->vm[0], &s);
    assert_int_equal(s.state, VM_DEBUG_EXIT); /* the guest saw something else than its pattern */
    assert_int_not_equal(s.debug_exit_code, load_le32(PATTERN));
    assert_int_equal(vm_get_state(b->vm[1]), VM_RUNNABLE);
}

static void replayed_ciphertext_at_its_own_place_does(void **state)
{
    struct bench *b = *state;
    u8 page[32];
    u64 spa = find_pattern(b, vm_asid(b->vm[0]));
    /* Plain SEV has no integrity: what was there before may be put back. That is known, and stays
     * so. */
    assert_true(host_read(b->host, spa, page, sizeof page));
    assert_true(host_write(b->host, spa, page, sizeof page));
    run_for(b, 5000000);
    assert_int_equal(vm_get_state(b->vm[0]), VM_RUNNABLE);
}

static void what_the_host_writes_is_garbage_to_the_guest(void **state)
{
    struct bench *b = *state;
    struct vm_summary s;
    assert_true(
        host_write(b->host, find_pattern(b, vm_asid(b->vm[0])) + 16, "from the host!!!", 16));
    run_for(b, 5000000);
    vm_get_summary(b->vm[0], &s);
    assert_int_equal(s.state, VM_DEBUG_EXIT);
    assert_int_not_equal(s.debug_exit_code, load_le32("from"));
}

static void after_deactivate_the_key_is_gone_and_the_page_stays_ciphertext(void **state)
{
    struct bench *b = *state;
    u8 before[16], after[16];
    u32 asid = vm_asid(b->vm[0]);
    u64 spa = find_pattern(b, asid);
    assert_true(host_read(b->host, spa, before, sizeof before));
    vm_destroy(b->vm[0]);
    assert_false(memory_key_loaded(machine_memory(b->machine), asid));
    assert_true(host_read(b->host, spa, after, sizeof after));
    assert_memory_equal(before, after, sizeof after);
    assert_true(
        memory_read(machine_memory(b->machine), spa, (memory_key)asid, after, sizeof after));
    assert_nothing_of_it(after, sizeof after);
}

static void a_new_guest_in_the_same_asid_has_another_key(void **state)
{
    struct bench *b = *state;
    struct error e = {.code = ERROR_NONE};
    u8 old[16], now[16];
    u32 asid = vm_asid(b->vm[0]);
    u64 spa = find_pattern(b, asid);
    assert_true(host_read(b->host, spa, old, sizeof old));
    vm_destroy(b->vm[0]);
    b->vm[0] = launch(b, "carol", &e);
    assert_int_equal(vm_asid(b->vm[0]), asid);
    run_for(b, 5000000);
    assert_int_equal(find_pattern(b, asid), spa);
    assert_true(host_read(b->host, spa, now, sizeof now));
    assert_memory_not_equal(old, now, sizeof now);
}

#define ATTACK(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK(the_host_reads_ciphertext),
        ATTACK(the_program_itself_is_ciphertext_after_its_launch),
        ATTACK(a_device_reads_ciphertext),
        ATTACK(another_guests_key_opens_nothing),
        ATTACK(equal_plaintext_of_two_guests_is_unequal_ciphertext),
        ATTACK(equal_blocks_of_one_page_are_unequal_ciphertext),
        ATTACK(moved_ciphertext_does_not_decrypt),
        ATTACK(replayed_ciphertext_at_its_own_place_does),
        ATTACK(what_the_host_writes_is_garbage_to_the_guest),
        ATTACK(after_deactivate_the_key_is_gone_and_the_page_stays_ciphertext),
        ATTACK(a_new_guest_in_the_same_asid_has_another_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
