/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a VMM author: launches an SNP guest step by step, then plays its kernel: reads the secrets page, seals a request
 * with the VMPCK, and gets an attestation report through the host, which cannot read either message. Writes report.bin
 * if a name is given.
 *
 *   cc launch_and_report.c $(pkg-config --cflags --libs --static softsev) -o launch_and_report
 *   ./launch_and_report report.bin
 */
#include "abi/report.h"
#include "abi/snp.h"
#include "base/bytes.h"
#include "guest/guest.h"
#include "hypervisor/vm.h"
#include "image/image.h"
#include "machine/guest.h"
#include "machine/machine.h"

#include <stdio.h>

static const u8 code[PAGE_SIZE] = {0xf4, 0xeb, 0xfd}; /* hlt; jmp to it */
static const struct vmsa processor = {.sev_features = SEV_FEATURE_SNP};

/* What is launched, in this order: a page of the guest's own, one of zeros, and two that the firmware fills. */
static void make_plan(struct image_plan *plan)
{
    *plan = (struct image_plan){.memory_size = MIB(2),
                                .mode = IMAGE_SEV_SNP,
                                .vmsas = {&processor},
                                .vmsa_count = 1,
                                .piece_count = 4};
    plan->pieces[0] =
        (struct image_piece){"code", 0x1000, PAGE_SIZE, code, PAGE_SIZE, SNP_PAGE_NORMAL};
    plan->pieces[1] = (struct image_piece){"zeros", 0x2000, PAGE_SIZE, NULL, 0, SNP_PAGE_ZERO};
    plan->pieces[2] = (struct image_piece){"secrets", 0x3000, PAGE_SIZE, NULL, 0, SNP_PAGE_SECRETS};
    plan->pieces[3] = (struct image_piece){"cpuid", 0x4000, PAGE_SIZE, NULL, 0, SNP_PAGE_CPUID};
}

static u64 carry(void *vm, const u8 request[PAGE_SIZE], u8 response[PAGE_SIZE])
{
    return GUEST_EXITINFO2(0, vm_guest_request(vm, request, response));
}

/* The guest's part. It has its private memory and a host that carries its messages. */
static int ask(const struct guest_memory *memory, struct vm *vm, struct snp_report *out)
{
    struct snp_secrets_page secrets;
    struct guest_channel channel;
    const struct guest_carrier carrier = {carry, vm};
    const struct snp_report_req request = {.report_data = "a nonce of the verifier's", .vmpl = 0};
    struct snp_report_rsp answer;
    if (!guest_read(memory, 0x3000, GUEST_PRIVATE, &secrets, sizeof secrets) ||
        !guest_channel_open(&secrets, 0, &channel) ||
        guest_report(&channel, &carrier, &request, &answer, NULL) != GUEST_OK || answer.status)
        return -1;
    *out = answer.report;
    return 0;
}

static int launch(struct vm *vm, struct error *e)
{
    return vm_snp_launch_start(vm, e) || vm_snp_launch_update(vm, e) ||
                   vm_snp_launch_finish(vm, NULL, NULL, false, NULL, e)
               ? -1
               : 0;
}

static int print(const struct snp_report *r, const struct image_plan *plan, const char *path)
{
    u8 digest[48];
    char reported[97], expected[97];
    image_snp_digest(plan, digest);
    hex_encode(expected, digest, sizeof digest);
    hex_encode(reported, r->measurement, sizeof r->measurement);
    printf("expected %s\nreported %s\n", expected, reported);
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (path && (!f || fwrite(r, sizeof *r, 1, f) != 1 || fclose(f)))
        return 1;
    return memcmp(digest, r->measurement, sizeof digest) != 0;
}

int main(int argc, char **argv)
{
    struct error e = {.code = ERROR_NONE};
    struct crypto *crypto = crypto_create(NULL, 0);
    struct machine_config config = {.memory_size = MIB(32), .cores = 1, .crypto = crypto};
    struct image_plan plan;
    struct snp_report report;
    int result = 1;
    make_plan(&plan);
    crypto_random(crypto, config.fuses, sizeof config.fuses);
    struct machine *machine = machine_create(&config, &e);
    struct hypervisor *hv = machine ? hypervisor_create(machine_host(machine), &e) : NULL;
    struct vm_config guest = {
        .name = "guest", .plan = &plan, .snp_policy = SNP_POLICY_QEMU_DEFAULT};
    struct vm *vm = hv && !platform_init_snp(hv, &e) ? vm_create(hv, &guest, &e) : NULL;
    if (vm && !launch(vm, &e)) {
        const struct guest_memory memory = {.host = machine_host(machine),
                                            .nested_cr3 = vm_nested_tables(vm),
                                            .asid = vm_asid(vm),
                                            .snp = true};
        result = ask(&memory, vm, &report) ? 1 : print(&report, &plan, argc > 1 ? argv[1] : NULL);
    }
    if (e.code)
        fprintf(stderr, "%s\n", e.text);
    if (vm)
        vm_destroy(vm);
    if (hv)
        hypervisor_destroy(hv);
    if (machine)
        machine_destroy(machine);
    crypto_destroy(crypto);
    return result;
}
