/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP guests launched on a whole machine without a processor running for them: the digest that the
 * firmware reports against the specification pages' own values and against one computed here, page
 * states before and after, refusals in words, and the legacy modes beside SNP on one machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "abi/sev.h"
#include "abi/snp.h"
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "guest/guest.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/host.h"
#include "machine/machine.h"
#include "memory/rmp.h"
#include "small_elf.h"

#define MACHINE_MEMORY MIB(64)
#define GUEST_MEMORY   MIB(16)

struct bench {
    struct crypto *crypto;
    struct machine *machine;
    struct hypervisor *hv;
    struct error error;
    struct image_plan plan;
    struct vmsa vmsa;
    u8 bytes[5 * PAGE_SIZE];
    u8 *large; /* 2 MiB */
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct machine_config config = {.memory_size = MACHINE_MEMORY, .cores = 2};
    b->crypto = config.crypto = crypto_create("snp launch", 10);
    crypto_random(b->crypto, config.fuses, sizeof config.fuses);
    b->machine = machine_create(&config, &b->error);
    assert_non_null(b->machine);
    b->hv = hypervisor_create(machine_host(b->machine), &b->error);
    assert_non_null(b->hv);
    b->large = malloc(MIB(2));
    for (size_t i = 0; i < sizeof b->bytes; i++)
        b->bytes[i] = (u8)(i * 11 + i / 256);
    for (size_t i = 0; i < MIB(2); i++)
        b->large[i] = (u8)(i * 3 + i / 4096);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    hypervisor_destroy(b->hv);
    machine_destroy(b->machine);
    crypto_destroy(b->crypto);
    free(b->large);
    free(b);
    return 0;
}

static void check(const struct bench *b, int result)
{
    if (result)
        print_message("# %s\n", b->error.text);
    assert_int_equal(result, 0);
}

#define OK(call) check(b, (call))

/* Refused, and the error says `why`. */
static void refused(struct bench *b, int result, const char *why)
{
    assert_int_equal(result, -1);
    if (!strstr(b->error.text, why))
        print_message("# %s\n", b->error.text);
    assert_non_null(strstr(b->error.text, why));
    b->error = (struct error){.code = ERROR_NONE};
}

/* --- Plans ------------------------------------------------------------------------------------ */

static void add(struct bench *b, u64 gpa, u64 size, u32 type, const u8 *data, u64 data_size)
{
    b->plan.pieces[b->plan.piece_count++] = (struct image_piece){.name = "piece",
                                                                 .gpa = gpa,
                                                                 .size = size,
                                                                 .data = data,
                                                                 .data_size = data_size,
                                                                 .page_type = type};
}

/* The self-check vectors of [snp 5.3], one after the other. */
static void plan_of_the_specification(struct bench *b)
{
    b->plan = (struct image_plan){.memory_size = GUEST_MEMORY,
                                  .mode = IMAGE_SEV_SNP,
                                  .flash_gpa = 0xfffff000,
                                  .flash_size = PAGE_SIZE,
                                  .vmsas = {&b->vmsa},
                                  .vmsa_count = 1};
    add(b, 0xfffff000, PAGE_SIZE, SNP_PAGE_NORMAL, NULL, 0);
    add(b, 0x800000, PAGE_SIZE, SNP_PAGE_ZERO, NULL, 0);
    add(b, 0x80d000, PAGE_SIZE, SNP_PAGE_SECRETS, NULL, 0);
    add(b, 0x80e000, PAGE_SIZE, SNP_PAGE_CPUID, NULL, 0);
}

/* Every type, pages of both sizes, and a piece across the boundary of 2 MiB. */
static void plan_of_all_kinds(struct bench *b)
{
    b->plan = (struct image_plan){
        .memory_size = GUEST_MEMORY, .mode = IMAGE_SEV_SNP, .vmsas = {&b->vmsa}, .vmsa_count = 1};
    b->vmsa.rip = 0x1234;
    b->vmsa.sev_features = 1;
    add(b, MIB(2) - PAGE_SIZE, 5 * PAGE_SIZE, 0, b->bytes, 4 * PAGE_SIZE + 100);
    add(b, MIB(4), MIB(2) + PAGE_SIZE, SNP_PAGE_NORMAL, b->large, MIB(2));
    add(b, MIB(8), MIB(4), SNP_PAGE_ZERO, NULL, 0);
    add(b, MIB(12), PAGE_SIZE, SNP_PAGE_SECRETS, NULL, 0);
    add(b, MIB(12) + PAGE_SIZE, PAGE_SIZE, SNP_PAGE_CPUID, NULL, 0);
    add(b, MIB(12) + 2 * PAGE_SIZE, PAGE_SIZE, SNP_PAGE_UNMEASURED, b->bytes, PAGE_SIZE);
}

static void extend(u8 digest[48], u32 type, u64 gpa, const u8 *page)
{
    struct snp_page_info info = {.length = sizeof info, .page_type = (u8)type, .gpa = gpa};
    memcpy(info.digest_current, digest, 48);
    if (page)
        crypto_sha384(page, PAGE_SIZE, info.contents);
    crypto_sha384(&info, sizeof info, digest);
}

static void expect_digest(const struct bench *b, u8 digest[48])
{
    memset(digest, 0, 48);
    for (u32 i = 0; i < b->plan.piece_count; i++) {
        const struct image_piece *p = &b->plan.pieces[i];
        u32 type = p->page_type ? p->page_type : SNP_PAGE_NORMAL;
        for (u64 at = 0; at < p->size; at += PAGE_SIZE) {
            u8 page[PAGE_SIZE] = {0};
            if (at < p->data_size)
                memcpy(page, p->data + at, min_u64(PAGE_SIZE, p->data_size - at));
            extend(digest, type, p->gpa + at, type == SNP_PAGE_NORMAL ? page : NULL);
        }
    }
    extend(digest, SNP_PAGE_VMSA, SNP_VMSA_GPA, (const u8 *)&b->vmsa);
}

/* --- Launches --------------------------------------------------------------------------------- */

static struct vm *create(struct bench *b, u64 policy)
{
    struct vm_config config = {.name = "guest", .plan = &b->plan, .snp_policy = policy};
    struct vm *vm = vm_create(b->hv, &config, &b->error);
    if (!vm)
        print_message("# %s\n", b->error.text);
    assert_non_null(vm);
    return vm;
}

static struct vm *launch(struct bench *b, const u8 host_data[32])
{
    struct vm *vm = create(b, SNP_POLICY_ONE | SNP_POLICY_SMT);
    OK(vm_snp_launch_start(vm, &b->error));
    OK(vm_snp_launch_update(vm, &b->error));
    OK(vm_snp_launch_finish(vm, NULL, NULL, false, host_data, &b->error));
    return vm;
}

/* What the guest would do with its own secrets page, which only the owner of the machine can read
 * here. */
static struct snp_report report(struct bench *b, struct vm *vm)
{
    struct snp_secrets_page secrets;
    struct guest_channel channel;
    struct snp_report_req request = {.report_data = {7}};
    struct snp_report_rsp *answer;
    u8 page[PAGE_SIZE], out[PAGE_SIZE], payload[SNP_MSG_PAYLOAD_MAX];
    struct rmp_entry e;
    bool found = false;
    for (u64 spa = 0; spa < MACHINE_MEMORY && !found; spa += PAGE_SIZE) {
        found = rmp_get(machine_memory(b->machine), spa, &e) && e.asid == vm_asid(vm) &&
                e.gpa == vm_secrets_page(vm);
        if (found)
            memory_peek(machine_memory(b->machine), spa, (memory_key)e.asid, &secrets,
                        sizeof secrets);
    }
    assert_true(found);
    assert_true(guest_channel_open(&secrets, 0, &channel));
    guest_message_seal(&channel, SNP_MSG_REPORT_REQ, 1, &request, sizeof request, page);
    assert_int_equal(vm_guest_request(vm, page, out), SEV_STATUS_SUCCESS);
    assert_int_equal(guest_message_open(&channel, SNP_MSG_REPORT_REQ, 1, out, payload),
                     sizeof *answer);
    answer = (struct snp_report_rsp *)(void *)payload;
    assert_int_equal(answer->status, 0);
    return answer->report;
}

static void test_vectors(void **state)
{
    struct bench *b = *state;
    char text[97];
    OK(platform_init_snp(b->hv, &b->error));
    plan_of_the_specification(b);
    struct vm *vm = launch(b, NULL);
    assert_int_equal(vm_secrets_page(vm), 0x80d000);
    struct snp_report r = report(b, vm);
    hex_encode(text, r.measurement, 48);
    assert_string_equal(
        text,
        "4c90879aaf9e2f685c31471820e0c07e5552557b47f7ecf184b1a37f6b2d4c26b36b62ead75a54f5bb67b3c5c9"
        "c95890");
}

static void test_all_kinds(void **state)
{
    struct bench *b = *state;
    u8 digest[48], host_data[32] = {9, 8, 7}, seen[16];
    OK(platform_init_snp(b->hv, &b->error));
    plan_of_all_kinds(b);
    struct vm *vm = launch(b, host_data);
    struct snp_report r = report(b, vm);
    expect_digest(b, digest);
    assert_memory_equal(r.measurement, digest, 48);
    image_snp_digest(&b->plan, digest);
    assert_memory_equal(r.measurement, digest, 48);
    assert_memory_equal(r.host_data, host_data, 32);
    assert_int_equal(r.policy, SNP_POLICY_ONE | SNP_POLICY_SMT);
    assert_int_equal(r.report_data[0], 7);
    /* What the host sees of it is not what it launched. */
    assert_true(vm_host_view(vm, MIB(4), seen, sizeof seen));
    assert_memory_not_equal(seen, b->large, sizeof seen);
    assert_false(vm_host_can_write(vm, MIB(4)));
    assert_true(vm_host_can_write(vm, MIB(14))); /* nobody's yet */
}

static u32 count_state(struct bench *b, enum rmp_state wanted)
{
    u32 n = 0;
    for (u64 spa = 0; spa < MACHINE_MEMORY; spa += PAGE_SIZE)
        n += rmp_state(machine_memory(b->machine), spa) == wanted;
    return n;
}

/* Launch and end leave nothing behind: the host has every page again. */
static void test_end(void **state)
{
    struct bench *b = *state;
    struct snp_platform_status s;
    OK(platform_init_snp(b->hv, &b->error));
    u32 hypervisor = count_state(b, RMP_HYPERVISOR), firmware = count_state(b, RMP_FIRMWARE);
    plan_of_all_kinds(b);
    for (int i = 0; i < 3; i++) {
        struct vm *vm = launch(b, NULL);
        assert_int_equal(count_state(b, RMP_GUEST_VALID), 5 + 513 + 1024 + 3 + 1);
        assert_int_equal(count_state(b, RMP_CONTEXT), 1);
        OK(platform_get_snp_status(b->hv, &s, &b->error));
        assert_int_equal(s.guest_count, 1);
        assert_int_equal(s.state, SNP_PSTATE_INIT);
        vm_destroy(vm);
        assert_int_equal(count_state(b, RMP_HYPERVISOR), hypervisor);
        assert_int_equal(count_state(b, RMP_FIRMWARE), firmware);
    }
    OK(platform_get_snp_status(b->hv, &s, &b->error));
    assert_int_equal(s.guest_count, 0);
}

/* --- Images that we load ourselves ------------------------------------------------------------ */

/* All RAM is the guest's and valid, but for the display's window; the owner's digest is the
 * firmware's. */
static void test_image(void **state)
{
    struct bench *b = *state;
    u8 elf[0x200], digest[48];
    small_elf(elf, MIB(2), MIB(2), 0x100);
    elf[0x100] = 0xf4;
    struct image_description d = {
        .memory_size = GUEST_MEMORY, .mode = IMAGE_SEV_SNP, .kernel = {"guest", elf, sizeof elf}};
    struct image_plan *plan = image_build(&d, &b->error);
    assert_non_null(plan);
    b->plan = *plan;
    b->plan.owned = NULL;
    OK(platform_init_snp(b->hv, &b->error));
    struct vm *vm = launch(b, NULL);
    assert_int_equal(vm_get_state(vm), VM_RUNNABLE);
    assert_int_equal(count_state(b, RMP_GUEST_VALID), (GUEST_MEMORY - 0x20000) / PAGE_SIZE + 1);
    image_snp_digest(plan, digest);
    assert_memory_equal(report(b, vm).measurement, digest, 48);
    vm_destroy(vm);
    image_free(plan);
    d.secret = true;
    assert_null(image_build(&d, &b->error));
    assert_non_null(strstr(b->error.text, "SNP has no LAUNCH_SECRET"));
}

/* --- Refusals --------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    struct bench *b = *state;
    plan_of_all_kinds(b);
    struct vm *vm = create(b, SNP_POLICY_ONE | SNP_POLICY_SMT);
    refused(b, vm_snp_launch_start(vm, &b->error), "SNP is not initialised");
    vm_destroy(vm);
    OK(platform_init_snp(b->hv, &b->error));

    vm = create(b, SNP_POLICY_ONE | SNP_POLICY_SMT | 0x6300);
    refused(b, vm_snp_launch_start(vm, &b->error), "SNP_LAUNCH_START: POLICY_FAILURE");
    assert_int_equal(count_state(b, RMP_CONTEXT), 1);
    vm_destroy(vm);
    assert_int_equal(count_state(b, RMP_CONTEXT), 0);

    vm = create(b, SNP_POLICY_ONE | SNP_POLICY_SMT);
    OK(vm_snp_launch_start(vm, &b->error));
    refused(b, vm_snp_launch_start(vm, &b->error), "waits for its launch");
    OK(vm_snp_launch_update(vm, &b->error));
    struct snp_id_block block = {.version = 1};
    struct snp_id_auth auth = {.id_key_algo = 1};
    refused(b, vm_snp_launch_finish(vm, &block, &auth, false, NULL, &b->error),
            "SNP_LAUNCH_FINISH: BAD_MEASUREMENT");
    vm_destroy(vm);
    assert_int_equal(count_state(b, RMP_GUEST_VALID), 0);
    assert_int_equal(count_state(b, RMP_PRE_GUEST), 0);
}

/* A page launched twice is not the host's to offer a second time. */
static void test_overlap(void **state)
{
    struct bench *b = *state;
    OK(platform_init_snp(b->hv, &b->error));
    plan_of_all_kinds(b);
    add(b, MIB(4), PAGE_SIZE, SNP_PAGE_ZERO, NULL, 0);
    struct vm *vm = create(b, SNP_POLICY_ONE | SNP_POLICY_SMT);
    OK(vm_snp_launch_start(vm, &b->error));
    refused(b, vm_snp_launch_update(vm, &b->error), "RMPUPDATE of piece at 0x400000");
    vm_destroy(vm);
    assert_int_equal(count_state(b, RMP_GUEST_VALID), 0);
}

/* --- Beside the other modes ------------------------------------------------------------------- */

static struct vm *launch_legacy(struct bench *b, struct image_plan *plan, u32 policy)
{
    struct vm_config config = {.name = "legacy", .plan = plan, .policy = policy};
    u8 measure[48] = {0}, none[48] = {0};
    struct vm *vm = vm_create(b->hv, &config, &b->error);
    assert_non_null(vm);
    OK(vm_launch_start(vm, NULL, 0, NULL, 0, &b->error));
    OK(vm_launch_update(vm, &b->error));
    if (plan->mode == IMAGE_SEV_ES)
        OK(vm_launch_update_vmsa(vm, &b->error));
    OK(vm_launch_measure(vm, measure, &b->error));
    assert_memory_not_equal(measure, none, 48);
    OK(vm_launch_finish(vm, &b->error));
    return vm;
}

static void test_side_by_side(void **state)
{
    struct bench *b = *state;
    struct platform_status s;
    struct platform_chain *chain = calloc(1, sizeof *chain);
    u8 digest[48];
    OK(platform_init_snp(b->hv, &b->error));
    OK(platform_init_es(b->hv, &b->error));
    OK(platform_export(b->hv, chain, &b->error));
    u32 hypervisor = count_state(b, RMP_HYPERVISOR);
    struct image_plan sev = {.memory_size = MIB(8), .mode = IMAGE_SEV, .runnable = true}, es;
    sev.pieces[sev.piece_count++] = (struct image_piece){.name = "large",
                                                         .gpa = MIB(2),
                                                         .size = MIB(2) + 4096,
                                                         .data = b->large,
                                                         .data_size = MIB(2)};
    es = sev;
    es.mode = IMAGE_SEV_ES;
    es.vmsas[es.vmsa_count++] = &b->vmsa;
    plan_of_all_kinds(b);
    struct vm *vms[3] = {launch_legacy(b, &sev, 0), launch_legacy(b, &es, SEV_POLICY_ES),
                         launch(b, NULL)};
    OK(platform_get_status(b->hv, &s, &b->error));
    assert_int_equal(s.guest_count, 2);
    assert_true(s.es);
    expect_digest(b, digest);
    assert_memory_equal(report(b, vms[2]).measurement, digest, 48);
    for (u32 i = 0; i < 3; i++)
        vm_destroy(vms[i]);
    assert_int_equal(count_state(b, RMP_HYPERVISOR), hypervisor);
    OK(platform_shutdown(b->hv, &b->error));
    free(chain);
}

/* The order that the firmware demands, told by it. */
static void test_order(void **state)
{
    struct bench *b = *state;
    OK(platform_init(b->hv, &b->error));
    refused(b, platform_init_snp(b->hv, &b->error), "SNP_INIT_EX: INVALID_PLATFORM_STATE");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_vectors),  TEST(test_all_kinds), TEST(test_end),          TEST(test_image),
        TEST(test_refusals), TEST(test_overlap),   TEST(test_side_by_side), TEST(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
