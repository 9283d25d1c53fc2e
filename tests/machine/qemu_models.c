/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUID pages that QEMU launches for its EPYC models, on every part with SNP: the firmware
 * takes them in SNP_LAUNCH_UPDATE [host 6.4]. QEMU's model gives the numbers of the last leaves and
 * the caches, KVM lets no feature through that the host lacks, and QEMU adds what belongs to the
 * virtual machine.
 */
#include "abi/rmp.h"
#include "abi/snp.h"
#include "abi/x86.h"
#include "crypto/crypto.h"
#include "machine/host.h"
#include "machine/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct qemu_model {
    const char *name;
    u32 level, extended_level, last_subleaf_7, signature;
};

static const struct qemu_model models[] = {
    {"EPYC-v1", 0xd, 0x8000001f, 0, 0x00800f12},
    {"EPYC-v4", 0xd, 0x8000001f, 0, 0x00800f12},
    {"EPYC-v4,level=0xc", 0xc, 0x8000001f, 0, 0x00800f12},
    {"EPYC-Rome-v4", 0xd, 0x8000001f, 0, 0x00830f10},
    {"EPYC-Milan-v1", 0xd, 0x8000001f, 0, 0x00a00f11},
    {"EPYC-Milan-v2", 0xd, 0x80000021, 0, 0x00a00f11},
    {"EPYC-Genoa-v1", 0xd, 0x80000022, 1, 0x00a10f10}, /* AVX512_BF16 is in subleaf 1 */
    {"EPYC-Turin-v1", 0xd, 0x80000022, 1, 0x00b00f00},
};

static const char *const cpus[] = {"milan", "genoa", "turin", "max", "milan,-xsave"};

/* One leaf as KVM's supported CPUID and QEMU make it: the processor's bits, and the virtual
 * machine's own. */
static struct snp_cpuid_entry leaf_of(struct host *h, const struct qemu_model *q, u32 leaf, u32 sub)
{
    u32 out[4];
    host_cpuid(h, 0, leaf, sub, out);
    switch (leaf) {
    case 0:
        out[0] = q->level;
        break;
    case 1:
        out[0] = q->signature;
        out[1] = 0x04040800; /* four processors */
        out[2] |= BIT(31) | BIT(21) | (out[2] & BIT(26) ? (u32)BIT(27) : 0);
        out[3] |= BIT(28) | BIT(9);
        break;
    case 5:
        out[2] = 3; /* MWAIT extensions, though MWAIT is not offered */
        break;
    case 6:
        out[0] = 4; /* ARAT */
        break;
    case 7:
        out[0] = sub ? out[0] : q->last_subleaf_7;
        break;
    case 0xd:
        out[1] = sub < 2 ? 0x240 : out[1];
        break;
    case 0x80000000:
        out[0] = q->extended_level;
        break;
    case 0x80000001:
        out[0] = q->signature;
        out[2] = (out[2] & ~(u32)BIT(2)) | 2; /* no SVM; several processors */
        break;
    case 0x80000008:
        out[0] = 0x3030;
        out[2] = 0x2003;
        break;
    case 0x8000000a:
        out[0] = out[1] = out[3] = 0; /* without SVM */
        break;
    case 0x8000001e:
        out[1] = out[2] = 3;
        break;
    case 0x8000001f:
        out[0] = 0x1a;
        out[1] = 51 | 1 << 6;
        out[2] = out[3] = 0;
        break;
    }
    return (struct snp_cpuid_entry){.eax_in = leaf,
                                    .ecx_in = sub,
                                    .xcr0_in = leaf == 0xd,
                                    .eax = out[0],
                                    .ebx = out[1],
                                    .ecx = out[2],
                                    .edx = out[3]};
}

static u32 last_subleaf(u32 leaf)
{
    return leaf == 7 ? 1 : leaf == 0xb ? 2 : leaf == 0xd ? 9 : leaf == 0x8000001d ? 4 : 0;
}

static u32 fill(struct host *h, const struct qemu_model *q, struct snp_cpuid_entry entries[64])
{
    u32 count = 0;
    const u32 first[] = {0, 0x80000000}, last[] = {q->level, q->extended_level};
    for (u32 range = 0; range < 2; range++) {
        for (u32 leaf = first[range]; leaf <= last[range]; leaf++) {
            for (u32 sub = 0; sub <= last_subleaf(leaf); sub++) {
                struct snp_cpuid_entry e = leaf_of(h, q, leaf, sub);
                if (!(e.eax | e.ebx | e.ecx | e.edx))
                    continue; /* KVM needs no entry for zeros */
                assert_in_range(count, 0, 63);
                entries[count++] = e;
            }
        }
    }
    return count;
}

/* --- A machine with one guest in launch ------------------------------------------------------- */

#define MEMORY     MIB(8)
#define AT_RMP     MIB(7)
#define AT_BUFFER  0x1000u
#define AT_CONTEXT 0x2000u
#define AT_PAGE    0x10000u /* a new page for each attempt */
#define ASID       1u

struct rig {
    struct crypto *crypto;
    struct machine *machine;
    struct host *host;
    u64 page;
};

static u32 command(struct rig *r, u32 id, const void *buffer, size_t size)
{
    assert_true(host_write(r->host, AT_BUFFER, buffer, size));
    return host_mailbox(r->host, id, AT_BUFFER);
}

#define COMMAND(r, id, ...) command(r, SEV_CMD_##id, &(__VA_ARGS__), sizeof(__VA_ARGS__))

static void give_page(struct rig *r, u64 spa, u32 asid)
{
    const struct rmp_update page = {
        .assigned = 1, .immutable = 1, .asid = asid, .gpa = asid ? spa : 0};
    assert_int_equal(host_rmpupdate(r->host, 0, spa, &page), RMP_SUCCESS);
}

static void set_bits(struct rig *r, u32 msr, u64 bits)
{
    u64 value;
    assert_true(host_rdmsr(r->host, 0, msr, &value));
    assert_true(host_wrmsr(r->host, 0, msr, value | bits));
}

static void rig_start(struct rig *r, const char *cpu_text)
{
    struct error e = {0};
    struct cpu_model cpu;
    *r = (struct rig){.crypto = crypto_create("qemu_models", 11), .page = AT_PAGE};
    assert_int_equal(cpu_model_parse(cpu_text, &cpu, &e), 0);
    r->machine = machine_create(
        &(struct machine_config){
            .memory_size = MEMORY, .cores = 1, .cpu = &cpu, .crypto = r->crypto, .fuses = {1}},
        &e);
    if (!r->machine)
        fail_msg("%s", e.text);
    r->host = machine_host(r->machine);
    set_bits(r, MSR_RMP_BASE, AT_RMP);
    set_bits(r, MSR_RMP_END, AT_RMP + rmp_table_size(MEMORY) - 1);
    set_bits(r, MSR_SYSCFG, SYSCFG_MFDM | SYSCFG_SNP_EN | SYSCFG_VMPL_EN);
    host_wbinvd(r->host, 0);
    assert_int_equal(COMMAND(r, SNP_INIT_EX, (struct snp_init_ex){.flags = SNP_INIT_RMP}), 0);
    host_wbinvd(r->host, 0);
    assert_int_equal(host_mailbox(r->host, SEV_CMD_SNP_DF_FLUSH, 0), 0);
    give_page(r, AT_CONTEXT, 0);
    assert_int_equal(COMMAND(r, SNP_GCTX_CREATE, (struct snp_address){AT_CONTEXT}), 0);
    assert_int_equal(COMMAND(r, SNP_LAUNCH_START,
                             (struct snp_launch_start){.gctx_paddr = AT_CONTEXT,
                                                       .policy = SNP_POLICY_QEMU_DEFAULT}),
                     0);
    assert_int_equal(COMMAND(r, SNP_ACTIVATE, (struct snp_activate){AT_CONTEXT, ASID}), 0);
}

static void rig_end(struct rig *r)
{
    machine_destroy(r->machine);
    crypto_destroy(r->crypto);
}

/* Launches a CPUID page. Returns the status; after a refusal the page has what would pass. */
static u32 launch(struct rig *r, struct snp_cpuid_page *page)
{
    const struct snp_launch_update in = {.gctx_paddr = AT_CONTEXT,
                                         .flags = SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_CPUID),
                                         .paddr = r->page};
    assert_true(host_write(r->host, r->page, page, sizeof *page));
    give_page(r, r->page, ASID);
    const u32 status = COMMAND(r, SNP_LAUNCH_UPDATE, in);
    if (status)
        assert_true(host_read(r->host, r->page, page, sizeof *page));
    r->page += PAGE_SIZE;
    return status;
}

/* --- The tests -------------------------------------------------------------------------------- */

static struct snp_cpuid_page page;

static void the_firmware_takes_qemus_pages(void **state)
{
    (void)state;
    for (size_t c = 0; c < ARRAY_SIZE(cpus); c++) {
        struct rig r;
        rig_start(&r, cpus[c]);
        for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
            page = (struct snp_cpuid_page){0};
            page.count = fill(r.host, &models[i], page.entries);
            if (launch(&r, &page))
                fail_msg("%s on %s: %s", models[i].name, cpus[c],
                         firmware_rule(machine_firmware(r.machine)));
        }
        rig_end(&r);
    }
}

/* The numbers of the last leaves are bounded, and what lies between is still judged. */
static void larger_numbers_are_corrected(void **state)
{
    (void)state;
    static const struct {
        u32 leaf, subleaf, claimed, corrected;
    } rows[] = {
        {0, 0, 0xe, 0xd}, {0, 0, ~0u, 0xd},      {7, 0, 3, 2},   {0x80000000, 0, ~0u, 0x80000026},
        {7, 1, 0x20, 0},  {0x80000022, 0, 1, 0}, {0xe, 0, 1, 0}, {0x10, 0, 2, 0},
    };
    struct rig r;
    rig_start(&r, "milan");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        u32 out[4];
        host_cpuid(r.host, 0, rows[i].leaf, rows[i].subleaf, out);
        page = (struct snp_cpuid_page){.count = 1};
        page.entries[0] = (struct snp_cpuid_entry){.eax_in = rows[i].leaf,
                                                   .ecx_in = rows[i].subleaf,
                                                   .eax = rows[i].claimed,
                                                   .ebx = out[1],
                                                   .ecx = out[2],
                                                   .edx = out[3]};
        assert_int_equal(launch(&r, &page), SEV_STATUS_INVALID_PARAM);
        assert_true(page.entries[0].eax == rows[i].corrected);
        assert_int_equal(launch(&r, &page), SEV_STATUS_SUCCESS);
    }
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_firmware_takes_qemus_pages),
        cmocka_unit_test(larger_numbers_are_corrected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
