/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that turns everything it has on an SNP guest: writes and DMA, nested tables, RMPUPDATE,
 * old ciphertext, another guest's pages. The guest watches a page of its own and terminates itself,
 * with a reason of its own, if it ever reads something else there. That must not happen: each
 * attack ends by an event that is named here, or does nothing.
 */
#include "abi/snp.h"
#include "abi/rmp.h"
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
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GUEST_LOAD   0x200000u
#define GUEST_MEMORY MIB(16)
#define WATCHED      0x600000u /* the guest's page, at the start of 2 MiB of RAM */
#define COUNTER      0x602000u /* rounds in which it was as it should be */
#define DRAM         MIB(64)
#define SLICE_NS     5000000u

/* Fills the watched page, then compares and counts; a difference: terminate, set 2, reason 7. */
extern const u8 attack_guest[], attack_guest_end[];
__asm__(".pushsection .rodata\n"
        "attack_guest:\n"
        "    mov $0x600000, %edi\n"
        "    mov $512, %ecx\n"
        "    movabs $0x0123456789abcdef, %rax\n"
        "    rep stosq\n"
        "1:  mov $0x600000, %edi\n"
        "    mov $512, %ecx\n"
        "    repe scasq\n"
        "    jne 2f\n"
        "    incl 0x602000\n"
        "    jmp 1b\n"
        "2:  mov $0xc0010130, %ecx\n"
        "    mov $0x72100, %eax\n"
        "    xor %edx, %edx\n"
        "    wrmsr\n"
        "    .byte 0xf3, 0x0f, 0x01, 0xd9\n" /* vmgexit */
        "    hlt\n"
        "attack_guest_end:\n"
        ".popsection\n");

struct fixture {
    struct crypto *crypto;
    struct machine *machine;
    struct host *host;
    struct hypervisor *hv;
    struct image_plan *plan;
    struct vm *vm, *other;
    u64 page; /* where the host has the watched page */
};

/* --- Two guests ------------------------------------------------------------------------------- */

static size_t make_elf(u8 *out)
{
    size_t code = (size_t)(attack_guest_end - attack_guest);
    memset(out, 0, 120);
    memcpy(out, "\177ELF\2\1\1", 7);
    store_le16(out + 16, 2);
    store_le16(out + 18, 62);
    store_le64(out + 24, GUEST_LOAD);
    store_le64(out + 32, 64);
    store_le16(out + 54, 56);
    store_le16(out + 56, 1);
    store_le32(out + 64, 1);
    store_le64(out + 72, 120);
    store_le64(out + 80, GUEST_LOAD);
    store_le64(out + 88, GUEST_LOAD);
    store_le64(out + 96, code);
    store_le64(out + 104, code);
    memcpy(out + 120, attack_guest, code);
    return 120 + code;
}

static struct vm *launch(struct fixture *f)
{
    struct vm_config config = {
        .name = "guest", .plan = f->plan, .snp_policy = SNP_POLICY_QEMU_DEFAULT};
    struct error e = {.code = ERROR_NONE};
    struct vm *vm = vm_create(f->hv, &config, &e);
    assert_non_null(vm);
    assert_true(!vm_snp_launch_start(vm, &e) && !vm_snp_launch_update(vm, &e) &&
                !vm_snp_launch_finish(vm, NULL, NULL, false, NULL, &e));
    return vm;
}

/* Where the nested tables have an address: the entry of 2 MiB, in host memory, and what it says. */
static u64 nested_entry(struct fixture *f, const struct vm *vm, u64 gpa, u64 *entry)
{
    u64 table = vm_nested_tables(vm), at = 0;
    for (u32 shift = 39; shift >= 21; shift -= 9) {
        at = table + (gpa >> shift & 511) * 8;
        assert_true(host_read(f->host, at, entry, sizeof *entry) && (*entry & PTE_P));
        table = *entry & PTE_ADDRESS;
    }
    assert_true(*entry & PTE_PS);
    return at;
}

static void run(struct fixture *f)
{
    hypervisor_run(f->hv, host_time_ns(f->host) + SLICE_NS);
}

static int setup(void **state)
{
    static u8 elf[512];
    struct fixture *f = *state = calloc(1, sizeof *f);
    struct error e = {.code = ERROR_NONE};
    size_t size = make_elf(elf);
    u64 entry;
    f->crypto = crypto_create("attack", 6);
    struct machine_config config = {.memory_size = DRAM, .cores = 1, .crypto = f->crypto};
    crypto_random(f->crypto, config.fuses, sizeof config.fuses);
    f->machine = machine_create(&config, &e);
    assert_non_null(f->machine);
    f->host = machine_host(f->machine);
    f->hv = hypervisor_create(f->host, &e);
    assert_non_null(f->hv);
    assert_int_equal(platform_init_snp(f->hv, &e), 0);
    struct image_description d = {
        .memory_size = GUEST_MEMORY, .mode = IMAGE_SEV_SNP, .kernel = {"guest", elf, size}};
    f->plan = image_build(&d, &e);
    assert_non_null(f->plan);
    f->vm = launch(f);
    f->other = launch(f);
    nested_entry(f, f->vm, WATCHED, &entry);
    f->page = entry & PTE_ADDRESS;
    run(f);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    hypervisor_destroy(f->hv);
    image_free(f->plan);
    machine_destroy(f->machine);
    crypto_destroy(f->crypto);
    free(f);
    return 0;
}

/* --- What came of it -------------------------------------------------------------------------- */

/* The tester's knowledge, which no host has. */
static u32 rounds(struct fixture *f)
{
    u32 n = 0;
    memory_peek(machine_memory(f->machine), f->page + COUNTER - WATCHED, (memory_key)vm_asid(f->vm),
                &n, sizeof n);
    return n;
}

static void assert_goes_on(struct fixture *f)
{
    u32 before = rounds(f);
    run(f);
    assert_int_equal(vm_get_state(f->vm), VM_RUNNABLE);
    assert_true(rounds(f) > before);
}

static const char *end_of(struct fixture *f)
{
    static struct vm_summary s;
    run(f);
    vm_get_summary(f->vm, &s);
    assert_int_equal(s.state, VM_CRASHED);
    return s.reason;
}

/* By a nested page fault whose code has the RMP's bit and that of a private access. */
static void assert_stopped_by_the_rmp(struct fixture *f)
{
    const char *why = end_of(f), *code = strstr(why, "fault 0x");
    if (!code)
        print_message("# %s\n", why);
    assert_non_null(code);
    u64 info = strtoull(code + 6, NULL, 16);
    assert_int_equal(info & (NPF_RMP | NPF_ENC), NPF_RMP | NPF_ENC);
    assert_int_equal(vm_get_state(f->other), VM_RUNNABLE);
}

static u32 assign(struct fixture *f, u64 spa, u32 asid, u64 gpa)
{
    const struct rmp_update state = {
        .gpa = gpa, .assigned = asid != 0, .page_size = 1, .asid = asid};
    return host_rmpupdate(f->host, 0, spa, &state);
}

static void point_at(struct fixture *f, u64 spa)
{
    u64 entry, at = nested_entry(f, f->vm, WATCHED, &entry);
    entry = (entry & ~(u64)PTE_ADDRESS) | spa;
    assert_true(host_write(f->host, at, &entry, sizeof entry));
}

/* --- The attacks ------------------------------------------------------------------------------ */

/* Corrupting a page: refused, by the host's own page fault; a device's write goes nowhere. */
static void writing_to_a_private_page(void **state)
{
    struct fixture *f = *state;
    static const u8 junk[64] = {1, 2, 3};
    assert_false(host_write(f->host, f->page, junk, sizeof junk));
    assert_false(host_write(f->host, f->page + 100, junk, 1));
    assert_false(host_dma_write(f->host, f->page, junk, sizeof junk));
    assert_goes_on(f);
}

/* SEVered: the guest's address on another page of its own. The entry there names another guest
 * address. */
static void remapping_within_the_guest(void **state)
{
    struct fixture *f = *state;
    u64 entry;
    nested_entry(f, f->vm, WATCHED - MIB(2), &entry);
    point_at(f, entry & PTE_ADDRESS);
    assert_stopped_by_the_rmp(f);
}

/* The same onto another guest's page, whose ASID is not this one's. */
static void remapping_to_another_guest(void **state)
{
    struct fixture *f = *state;
    u64 entry;
    nested_entry(f, f->other, WATCHED, &entry);
    point_at(f, entry & PTE_ADDRESS);
    assert_stopped_by_the_rmp(f);
}

/* And onto a page of the host's, filled with what it wants. */
static void remapping_to_the_hosts_memory(void **state)
{
    struct fixture *f = *state;
    u64 spa = MIB(40);
    struct rmp_update e;
    assert_int_equal(host_rmpread(f->host, 0, spa, &e), RMP_SUCCESS);
    assert_false(e.assigned);
    point_at(f, spa);
    assert_stopped_by_the_rmp(f);
}

/* A page taken away: RMPUPDATE may do that at any time, and the guest's next access leaves it. */
static void taking_a_page_away(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(assign(f, f->page, 0, 0), RMP_SUCCESS);
    assert_stopped_by_the_rmp(f);
}

static void giving_a_page_to_another_guest(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(assign(f, f->page, 0, 0), RMP_SUCCESS);
    assert_int_equal(assign(f, f->page, vm_asid(f->other), WATCHED), RMP_SUCCESS);
    assert_stopped_by_the_rmp(f);
}

/* Replay: old ciphertext, written while the page is the host's, and the page given back as it was.
 * It is no longer validated, so the guest's access is #VC 404h inside it; a guest without a handler
 * ends by triple fault. */
static void replaying_old_ciphertext(void **state)
{
    struct fixture *f = *state;
    static u8 old[PAGE_SIZE];
    u64 before = machine_statistics(f->machine).cpu.vc[CPU_VC_NOT_VALIDATED];
    assert_true(host_read(f->host, f->page, old, sizeof old));
    assert_int_equal(assign(f, f->page, 0, 0), RMP_SUCCESS);
    assert_true(host_write(f->host, f->page, old, sizeof old));
    assert_int_equal(assign(f, f->page, vm_asid(f->vm), WATCHED), RMP_SUCCESS);
    assert_non_null(strstr(end_of(f), "triple fault"));
    assert_int_equal(machine_statistics(f->machine).cpu.vc[CPU_VC_NOT_VALIDATED], before + 1);
}

/* Swapping two pages keeps each ciphertext; the entries still say where each belongs. */
static void swapping_two_pages(void **state)
{
    struct fixture *f = *state;
    u64 entry, other, at = nested_entry(f, f->vm, WATCHED - MIB(2), &other);
    nested_entry(f, f->vm, WATCHED, &entry);
    assert_true(host_write(f->host, at, &entry, sizeof entry));
    point_at(f, other & PTE_ADDRESS);
    assert_stopped_by_the_rmp(f);
}

/* The host has no way to the validated bit, and what it assigns is not validated. */
static void the_rmp_itself(void **state)
{
    struct fixture *f = *state;
    u64 base = 0, end = 0;
    static const u8 entry[16] = {0};
    assert_true(host_rdmsr(f->host, 0, MSR_RMP_BASE, &base));
    assert_true(host_rdmsr(f->host, 0, MSR_RMP_END, &end));
    assert_true(base && end > base);
    assert_false(host_write(f->host, base + RMP_BOOKKEEPING + f->page / PAGE_SIZE * 16, entry, 16));
    assert_false(host_wrmsr(f->host, 0, MSR_RMP_BASE, MIB(40)));
    assert_goes_on(f);
}

/* The control: the guest does notice, where nothing stops the host. */
static void the_guest_would_notice(void **state)
{
    struct fixture *f = *state;
    static const u8 junk[16] = {1};
    memory_write(machine_memory(f->machine), f->page, KEY_RAW, junk, sizeof junk);
    assert_non_null(strstr(end_of(f), "set 2, reason 7"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(writing_to_a_private_page),
        TEST(remapping_within_the_guest),
        TEST(remapping_to_another_guest),
        TEST(remapping_to_the_hosts_memory),
        TEST(taking_a_page_away),
        TEST(giving_a_page_to_another_guest),
        TEST(replaying_old_ciphertext),
        TEST(swapping_two_pages),
        TEST(the_rmp_itself),
        TEST(the_guest_would_notice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
