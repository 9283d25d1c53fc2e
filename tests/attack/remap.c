/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that turns its own structures on its guests: nested tables that map one guest's page into
 * another, a VMCB with another guest's ASID, ciphertext with a bit changed. Two guests run; each
 * keeps telling on its console whether its pages P and Q still hold what it wrote (a capital
 * letter) or something else.
 */
#include "abi/vmcb.h"
#include "abi/x86.h"
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/host.h"
#include "machine/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define GUEST_LOAD   0x200000u
#define GUEST_MEMORY MIB(8)
#define DRAM         MIB(64)
#define SLICE_NS     5000000u
#define WORDS        (PAGE_SIZE / 8)

/* P is at 6 MiB, Q behind it, and a counter of rounds behind that. */
extern const u8 attack_guest[], attack_guest_end[];
__asm__(".pushsection .rodata\n"
        "attack_guest:\n"
        "    mov $0x600000, %edi\n"
        "    call 5f\n"
        "    call 5f\n"
        "1:  mov $0x600000, %esi\n"
        "    mov $'P', %bl\n"
        "    call 6f\n"
        "    mov $'Q', %bl\n"
        "    call 6f\n"
        "    incl 0x602000\n"
        "    mov $100000, %ecx\n"
        "2:  loop 2b\n"
        "    jmp 1b\n"
        /* Fills a page at RDI. */
        "5:  mov $512, %ecx\n"
        "    movabs $0x0123456789abcdef, %rax\n"
        "3:  mov %rax, (%rdi)\n"
        "    add $8, %rdi\n"
        "    imul $0x5851f42d, %rax, %rax\n"
        "    inc %rax\n"
        "    loop 3b\n"
        "    ret\n"
        /* Compares one at RSI and prints BL, as a small letter if it differs. */
        "6:  mov $512, %ecx\n"
        "    movabs $0x0123456789abcdef, %rax\n"
        "4:  cmp %rax, (%rsi)\n"
        "    je 7f\n"
        "    or $0x20, %bl\n"
        "7:  add $8, %rsi\n"
        "    imul $0x5851f42d, %rax, %rax\n"
        "    inc %rax\n"
        "    loop 4b\n"
        "    mov $0x3f8, %edx\n"
        "    mov %bl, %al\n"
        "    out %al, %dx\n"
        "    ret\n"
        "attack_guest_end:\n"
        ".popsection\n");

struct guest {
    struct vm *vm;
    char p, q; /* what it last said of each */
    u64 page;  /* where the host has its P */
    u32 asid;
};

struct fixture {
    struct crypto *crypto;
    struct machine *machine;
    struct host *host;
    struct memory *memory;
    struct hypervisor *hv;
    struct image_plan *plan;
    struct guest a, b;
};

static u8 pattern[PAGE_SIZE];

/* --- Two guests ------------------------------------------------------------------------------- */

static void fill_pattern(void)
{
    u64 v = 0x0123456789abcdef;
    for (u32 i = 0; i < WORDS; i++, v = v * 0x5851f42d + 1)
        store_le64(pattern + 8 * (size_t)i, v);
}

/* An ELF64 file around the program above. */
static size_t make_elf(u8 *out)
{
    size_t code = (size_t)(attack_guest_end - attack_guest);
    static const u8 identity[16] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    memset(out, 0, 120);
    memcpy(out, identity, sizeof identity);
    store_le16(out + 16, 2);
    store_le16(out + 18, 62);
    store_le32(out + 20, 1);
    store_le64(out + 24, GUEST_LOAD);
    store_le64(out + 32, 64);
    store_le16(out + 52, 64);
    store_le16(out + 54, 56);
    store_le16(out + 56, 1);
    store_le32(out + 64, 1); /* PT_LOAD */
    store_le32(out + 68, 7);
    store_le64(out + 72, 120);
    store_le64(out + 80, GUEST_LOAD);
    store_le64(out + 88, GUEST_LOAD);
    store_le64(out + 96, code);
    store_le64(out + 104, code);
    memcpy(out + 120, attack_guest, code);
    return 120 + code;
}

static void hear(void *context, const u8 *data, size_t size)
{
    struct guest *g = context;
    for (size_t i = 0; i < size; i++) {
        if ((data[i] | 0x20) == 'p')
            g->p = (char)data[i];
        else
            g->q = (char)data[i];
    }
}

static struct vm *launch(struct fixture *f, struct guest *g)
{
    struct vm_config config = {.name = "guest", .plan = f->plan, .policy = 1, .console = {hear, g}};
    struct error e = {.code = ERROR_NONE};
    struct vm *vm = vm_create(f->hv, &config, &e);
    u8 measure[48];
    assert_non_null(vm);
    assert_true(!vm_launch_start(vm, NULL, 0, NULL, 0, &e) && !vm_launch_update(vm, &e) &&
                !vm_launch_measure(vm, measure, &e) && !vm_launch_finish(vm, &e));
    return vm;
}

static void run(struct fixture *f)
{
    f->a.p = f->a.q = f->b.p = f->b.q = 0;
    assert_true(hypervisor_run(f->hv, host_time_ns(f->host) + 4 * SLICE_NS));
}

static void assert_says(const struct guest *g, const char *pq)
{
    assert_int_equal(g->p, pq[0]);
    assert_int_equal(g->q, pq[1]);
}

/* The tester's knowledge, which no host has: where a key shows the pattern. */
static u64 find_pattern(struct fixture *f, memory_key key)
{
    u8 page[PAGE_SIZE];
    for (u64 spa = 0; spa < DRAM; spa += PAGE_SIZE)
        if (memory_peek(f->memory, spa, key, page, sizeof page) &&
            !memcmp(page, pattern, sizeof page))
            return spa;
    fail_msg("no page shows the pattern under key %u", key);
    return 0;
}

static void start(struct fixture *f, struct guest *g)
{
    g->vm = launch(f, g);
    g->asid = vm_asid(g->vm);
}

static int setup(void **state)
{
    static struct fixture fixture;
    static u8 elf[1024];
    struct fixture *f = *state = &fixture;
    struct error e = {.code = ERROR_NONE};
    size_t size = make_elf(elf);
    fixture = (struct fixture){.crypto = crypto_create("attack", 6)};
    struct machine_config config = {.memory_size = DRAM, .cores = 1, .crypto = f->crypto};
    crypto_random(f->crypto, config.fuses, sizeof config.fuses);
    f->machine = machine_create(&config, &e);
    assert_non_null(f->machine);
    f->host = machine_host(f->machine);
    f->memory = machine_memory(f->machine);
    f->hv = hypervisor_create(f->host, &e);
    assert_non_null(f->hv);
    assert_int_equal(platform_init(f->hv, &e), 0);
    fill_pattern();
    struct image_description d = {
        .memory_size = GUEST_MEMORY, .mode = IMAGE_SEV, .kernel = {"guest", elf, size}};
    f->plan = image_build(&d, &e);
    assert_non_null(f->plan);
    start(f, &f->a);
    start(f, &f->b);
    run(f);
    f->a.page = find_pattern(f, (memory_key)f->a.asid);
    f->b.page = find_pattern(f, (memory_key)f->b.asid);
    assert_says(&f->a, "PQ");
    assert_says(&f->b, "PQ");
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    hypervisor_destroy(f->hv);
    machine_destroy(f->machine);
    image_free(f->plan);
    crypto_destroy(f->crypto);
    return 0;
}

/* --- Writing ---------------------------------------------------------------------------------- */

static void one_bit_of_ciphertext_is_sixteen_bytes_of_garbage(void **state)
{
    struct fixture *f = *state;
    u8 byte, page[PAGE_SIZE];
    host_read(f->host, f->a.page + 100, &byte, 1);
    byte ^= 4;
    host_write(f->host, f->a.page + 100, &byte, 1);
    run(f);
    assert_says(&f->a, "pQ");
    memory_peek(f->memory, f->a.page, (memory_key)f->a.asid, page, sizeof page);
    for (size_t i = 0; i < PAGE_SIZE; i += 16)
        assert_int_equal(memcmp(page + i, pattern + i, 16) != 0, i == 96);
}

/* --- Remapping and running -------------------------------------------------------------------- */

/* Where in the host's own memory the nested leaf for 2 MiB at `spa` is. */
static u64 find_leaf(struct fixture *f, u64 spa)
{
    u8 page[PAGE_SIZE];
    for (u64 at = 0; at < DRAM; at += PAGE_SIZE) {
        memory_peek(f->memory, at, KEY_RAW, page, sizeof page);
        for (size_t i = 0; i < PAGE_SIZE; i += 8) {
            u64 entry = load_le64(page + i);
            if ((entry & ~0xfffull) == spa && (entry & (PTE_P | PTE_PS)) == (PTE_P | PTE_PS))
                return at + i;
        }
    }
    fail_msg("no nested leaf for %#llx", (unsigned long long)spa);
    return 0;
}

static void set_leaf(struct fixture *f, u64 at, u64 spa)
{
    u64 entry;
    host_read(f->host, at, &entry, sizeof entry);
    entry = (entry & 0xfff) | spa;
    host_write(f->host, at, &entry, sizeof entry);
}

/* The processor would go on using what it has in its TLB: a look at the pages throws them out. */
static void flush(struct fixture *f)
{
    u8 byte;
    for (u32 i = 0; i < 3; i++) {
        host_read(f->host, f->a.page + i * PAGE_SIZE, &byte, 1);
        host_read(f->host, f->b.page + i * PAGE_SIZE, &byte, 1);
    }
}

static void a_page_of_another_guest_mapped_by_the_host_is_garbage(void **state)
{
    struct fixture *f = *state;
    u64 a = ALIGN_DOWN(f->a.page, MIB(2)), b = ALIGN_DOWN(f->b.page, MIB(2));
    u64 leaf_a = find_leaf(f, a), leaf_b = find_leaf(f, b);
    set_leaf(f, leaf_a, b);
    set_leaf(f, leaf_b, a);
    flush(f);
    run(f);
    assert_says(&f->a, "pq");
    assert_says(&f->b, "pq");
    set_leaf(f, leaf_a, a);
    set_leaf(f, leaf_b, b);
    flush(f);
    run(f);
    assert_says(&f->a, "PQ");
    assert_says(&f->b, "PQ");
}

static u64 find_vmcb(struct fixture *f, u32 asid)
{
    struct vmcb v;
    for (u64 at = 0; at < DRAM; at += PAGE_SIZE) {
        memory_peek(f->memory, at, KEY_RAW, &v, sizeof v);
        if (v.control.asid == asid && v.control.np_control == (NP_ENABLE | NP_SEV))
            return at;
    }
    fail_msg("no VMCB for ASID %u", asid);
    return 0;
}

/* A's memory and registers, B's key: what runs is garbage, and not what A has. */
static void a_guest_run_under_anothers_asid_goes_nowhere(void **state)
{
    struct fixture *f = *state;
    u64 at = find_vmcb(f, f->a.asid);
    struct vmcb v;
    host_read(f->host, at, &v, sizeof v);
    v.control.asid = f->b.asid;
    v.control.tlb_control = TLB_FLUSH_ALL;
    host_write(f->host, at, &v, sizeof v);
    u64 rip = v.save.rip;
    for (u32 i = 0; i < 100; i++) {
        assert_true(host_vmrun(f->host, 0, at, host_time_ns(f->host) + SLICE_NS));
        host_read(f->host, at, &v, sizeof v);
        assert_false(v.control.exit_code == EXIT_IOIO && v.save.rip >= rip - 64 &&
                     v.save.rip < rip + 64);
        if (v.control.exit_code ==
            EXIT_SHUTDOWN) /* shutdown: not even its page tables made sense */
            return;
    }
    fail_msg("garbage has run 100 times, last exit %#llx", (unsigned long long)v.control.exit_code);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_bit_of_ciphertext_is_sixteen_bytes_of_garbage),
        TEST(a_page_of_another_guest_mapped_by_the_host_is_garbage),
        TEST(a_guest_run_under_anothers_asid_goes_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
