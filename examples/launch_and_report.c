/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a VMM author: launches an SNP guest step by step, then plays its kernel: reads the secrets
 * page, seals a request with the VMPCK, and gets an attestation report through the host, which
 * cannot read either message. Writes report.bin if a name is given.
 *
 *   cc launch_and_report.c $(pkg-config --cflags --libs softsev) -o launch_and_report
 *   ./launch_and_report report.bin
 */
#include <softsev/abi/report.h>
#include <softsev/abi/snp.h>
#include <softsev/base/bytes.h>
#include <softsev/guest/guest.h>
#include <softsev/hypervisor/vm.h>
#include <softsev/image/image.h>
#include <softsev/machine/guest.h>
#include <softsev/machine/machine.h>

#include <stdio.h>

static const uint8_t code[SOFTSEV_PAGE_SIZE] = {0xf4, 0xeb, 0xfd}; /* hlt; jmp to it */
static const struct softsev_vmsa processor = {.sev_features = SOFTSEV_SEV_FEATURE_SNP};

/* What is launched, in this order: a page of the guest's own, one of zeros, and two that the
 * firmware fills. */
static void make_plan(struct softsev_image_plan *plan)
{
    *plan = (struct softsev_image_plan){.memory_size = SOFTSEV_MIB(2),
                                        .mode = SOFTSEV_IMAGE_SEV_SNP,
                                        .vmsas = {&processor},
                                        .vmsa_count = 1,
                                        .piece_count = 4};
    plan->pieces[0] = (struct softsev_image_piece){
        "code", 0x1000, SOFTSEV_PAGE_SIZE, code, SOFTSEV_PAGE_SIZE, SOFTSEV_SNP_PAGE_NORMAL};
    plan->pieces[1] = (struct softsev_image_piece){"zeros", 0x2000, SOFTSEV_PAGE_SIZE,
                                                   NULL,    0,      SOFTSEV_SNP_PAGE_ZERO};
    plan->pieces[2] = (struct softsev_image_piece){"secrets", 0x3000, SOFTSEV_PAGE_SIZE,
                                                   NULL,      0,      SOFTSEV_SNP_PAGE_SECRETS};
    plan->pieces[3] = (struct softsev_image_piece){"cpuid", 0x4000, SOFTSEV_PAGE_SIZE,
                                                   NULL,    0,      SOFTSEV_SNP_PAGE_CPUID};
}

static uint64_t carry(void *vm, const uint8_t request[SOFTSEV_PAGE_SIZE],
                      uint8_t response[SOFTSEV_PAGE_SIZE])
{
    return SOFTSEV_GUEST_EXITINFO2(0, softsev_vm_guest_request(vm, request, response));
}

/* The guest's part. It has its private memory and a host that carries its messages. */
static int ask(const struct softsev_guest_memory *memory, struct softsev_vm *vm,
               struct softsev_snp_report *out)
{
    struct softsev_snp_secrets_page secrets;
    struct softsev_guest_channel channel;
    const struct softsev_guest_carrier carrier = {carry, vm};
    const struct softsev_snp_report_req request = {.report_data = "a nonce of the verifier's",
                                                   .vmpl = 0};
    struct softsev_snp_report_rsp answer;
    if (!softsev_guest_read(memory, 0x3000, SOFTSEV_GUEST_PRIVATE, &secrets, sizeof secrets) ||
        !softsev_guest_channel_open(&secrets, 0, &channel) ||
        softsev_guest_report(&channel, &carrier, &request, &answer, NULL) != SOFTSEV_GUEST_OK ||
        answer.status)
        return -1;
    *out = answer.report;
    return 0;
}

static int launch(struct softsev_vm *vm, struct softsev_error *e)
{
    return softsev_vm_snp_launch_start(vm, e) || softsev_vm_snp_launch_update(vm, e) ||
                   softsev_vm_snp_launch_finish(vm, NULL, NULL, false, NULL, e)
               ? -1
               : 0;
}

static int print(const struct softsev_snp_report *r, const struct softsev_image_plan *plan,
                 const char *path)
{
    uint8_t digest[48];
    char reported[97], expected[97];
    softsev_image_snp_digest(plan, digest);
    softsev_hex_encode(expected, digest, sizeof digest);
    softsev_hex_encode(reported, r->measurement, sizeof r->measurement);
    printf("expected %s\nreported %s\n", expected, reported);
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (path && (!f || fwrite(r, sizeof *r, 1, f) != 1 || fclose(f)))
        return 1;
    return memcmp(digest, r->measurement, sizeof digest) != 0;
}

int main(int argc, char **argv)
{
    struct softsev_error e = {.code = SOFTSEV_ERROR_NONE};
    struct softsev_crypto *crypto = softsev_crypto_create(NULL, 0);
    struct softsev_machine_config config = {
        .memory_size = SOFTSEV_MIB(32), .cores = 1, .crypto = crypto};
    struct softsev_image_plan plan;
    struct softsev_snp_report report;
    int result = 1;
    make_plan(&plan);
    softsev_crypto_random(crypto, config.fuses, sizeof config.fuses);
    struct softsev_machine *machine = softsev_machine_create(&config, &e);
    struct softsev_hypervisor *hv =
        machine ? softsev_hypervisor_create(softsev_machine_host(machine), &e) : NULL;
    struct softsev_vm_config guest = {
        .name = "guest", .plan = &plan, .snp_policy = SOFTSEV_SNP_POLICY_QEMU_DEFAULT};
    struct softsev_vm *vm =
        hv && !softsev_platform_init_snp(hv, &e) ? softsev_vm_create(hv, &guest, &e) : NULL;
    if (vm && !launch(vm, &e)) {
        const struct softsev_guest_memory memory = {.host = softsev_machine_host(machine),
                                                    .nested_cr3 = softsev_vm_nested_tables(vm),
                                                    .asid = softsev_vm_asid(vm),
                                                    .snp = true};
        result = ask(&memory, vm, &report) ? 1 : print(&report, &plan, argc > 1 ? argv[1] : NULL);
    }
    if (e.code)
        fprintf(stderr, "%s\n", e.text);
    if (vm)
        softsev_vm_destroy(vm);
    if (hv)
        softsev_hypervisor_destroy(hv);
    if (machine)
        softsev_machine_destroy(machine);
    softsev_crypto_destroy(crypto);
    return result;
}
