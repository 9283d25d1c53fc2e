/* SPDX-License-Identifier: Apache-2.0 */
/* SNP launches: policy, every page type, the launch digest against public values, ID block,
 * secrets, CPUID. */
#include "snp_rig.h"
#include "needs.h"

/* --- Policy ----------------------------------------------------------------------------------- */

static void policies_are_refused_by_the_rule_they_break(void **state)
{
    (void)state;
    static const struct {
        u64 policy;
        enum sev_status status;
        const char *rule;
    } rows[] = {
        {0x10000, SEV_STATUS_INVALID_PARAM, "bit 17"},
        {0x30000 | BIT(26), SEV_STATUS_INVALID_PARAM, "reserved bits"},
        {0x30000 | BIT(63), SEV_STATUS_INVALID_PARAM, "reserved bits"},
        {0x30000 | BIT(25), SEV_STATUS_INVALID_PARAM, "reserved bits"}, /* before API 1.58 */
        {0x30138, SEV_STATUS_POLICY_FAILURE, "asks for API 1.56, firmware is 1.55"},
        {0x30200, SEV_STATUS_POLICY_FAILURE, "asks for API 2.0"},
        {0x30000 | SNP_POLICY_MEM_AES_256_XTS, SEV_STATUS_POLICY_FAILURE, "AES-256-XTS"},
        {0x30000 | SNP_POLICY_RAPL_DIS, SEV_STATUS_POLICY_FAILURE, "RAPL_DIS"},
        {0x30000 | SNP_POLICY_CIPHERTEXT_HIDING, SEV_STATUS_POLICY_FAILURE, "CIPHERTEXT_HIDING"},
        {0x30137 | SNP_POLICY_DEBUG | SNP_POLICY_SINGLE_SOCKET | SNP_POLICY_MIGRATE_MA |
             SNP_POLICY_CXL_ALLOW,
         SEV_STATUS_SUCCESS, ""},
    };
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_start(&r);
    snp_create_guest(&r, AT_GCTX);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(snp_launch_policy(&r, AT_GCTX, rows[i].policy), rows[i].status);
        assert_rule(&r, rows[i].rule);
    }
    rig_destroy(&r);
}

static void smt_must_be_allowed_where_it_is_on(void **state)
{
    (void)state;
    struct rig r;
    rig_create(&r);
    r.config.smt = true;
    rig_restart(&r);
    snp_start(&r);
    snp_create_guest(&r, AT_GCTX);
    assert_status(snp_launch_policy(&r, AT_GCTX, SNP_POLICY_ONE), POLICY_FAILURE);
    assert_status(snp_launch_policy(&r, AT_GCTX, SNP_POLICY_ONE | SNP_POLICY_SMT), SUCCESS);
    rig_destroy(&r);
}

/* --- Pages and their digest ------------------------------------------------------------------- */

static u32 launch_at(struct rig *r, u32 type, u64 gpa)
{
    snp_pre_guest(r, AT_PAGE, SNP_ASID, gpa);
    u32 status = snp_update(r, AT_GCTX, type, AT_PAGE);
    if (status == SEV_STATUS_SUCCESS)
        assert_int_equal(rmp_state(r->memory, AT_PAGE), RMP_GUEST_VALID);
    return status;
}

/* The self-check vectors of [snp 5.3], which sev-snp-measure gives too. */
static void the_digest_is_that_of_the_public_calculators(void **state)
{
    (void)state;
    static const u8 zeros[PAGE_SIZE];
    static const struct {
        u32 type;
        u64 gpa;
        const char *digest;
    } steps[] = {
        {SNP_PAGE_NORMAL, 0xfffff000,
         "46c510442a54cc32344cef32e14dc3d6312fc4a010780dd11fd33204df5550590356b069e6c6ca5bbfca71561"
         "f370399"},
        {SNP_PAGE_ZERO, 0x800000,
         "58bcd0444a7ed18b2f83cdbec58255f3e4e9439735fc13bcb00ad80b5c9ec9b21abecc3fa389c02781e68496e"
         "720bc70"},
        {SNP_PAGE_SECRETS, 0x80d000,
         "4a1be0fd7e5f2abff17ed5d7f59e9258f6ae28795b4093a13a13cccd42dae7a314536932ab943d68f2240073a"
         "3c8748b"},
        {SNP_PAGE_CPUID, 0x80e000,
         "680559cbc8a791969911e957369343df96022341d7443bc553e300411c68f043c6ab1eb6b66c15f4f1878431e"
         "e74fad6"},
        {SNP_PAGE_VMSA, 0xfffffffff000,
         "4c90879aaf9e2f685c31471820e0c07e5552557b47f7ecf184b1a37f6b2d4c26b36b62ead75a54f5bb67b3c5c"
         "9c95890"},
    };
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        rig_put(&r, AT_PAGE, zeros, sizeof zeros);
        assert_status(launch_at(&r, steps[i].type, steps[i].gpa), SUCCESS);
        snp_digest_is(&r, steps[i].digest);
    }
    rig_destroy(&r);
}

static void a_launched_page_holds_what_its_type_says(void **state)
{
    (void)state;
    u8 data[PAGE_SIZE], out[PAGE_SIZE], zeros[PAGE_SIZE] = {0};
    memset(data, 0x77, sizeof data);
    store_le64(data + 0x3b0, 1); /* SEV_FEATURES */
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    for (u32 type = SNP_PAGE_NORMAL; type <= SNP_PAGE_UNMEASURED; type++) {
        rig_put(&r, AT_PAGE, data, sizeof data);
        assert_status(launch_at(&r, type, 0x1000), SUCCESS);
        assert_true(memory_peek(r.memory, AT_PAGE, SNP_ASID, out, sizeof out));
        assert_memory_equal(out, type == SNP_PAGE_ZERO ? zeros : data, sizeof out);
        rig_get(&r, AT_PAGE, out, sizeof out); /* the host sees neither */
        assert_memory_not_equal(out, data, sizeof out);
        struct rmp_entry e;
        rmp_get(r.memory, AT_PAGE, &e);
        assert_int_equal(e.vmsa, type == SNP_PAGE_VMSA);
        assert_int_equal(e.permissions[0], 0xf);
        assert_int_equal(e.permissions[1], 0);
    }
    rig_destroy(&r);
}

/* GUEST_TSC_SCALE, at 2f0, is 8.32 fixed point of the frequency the launch asked for [cpu 4.1]. */
static void a_vmsa_with_secure_tsc_gets_its_scale(void **state)
{
    (void)state;
    u8 data[PAGE_SIZE] = {0}, out[PAGE_SIZE];
    store_le64(data + 0x3b0, BIT(0) | BIT(9)); /* SNP, SecureTSC */
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    rig_put(&r, AT_PAGE, data, sizeof data);
    assert_status(launch_at(&r, SNP_PAGE_VMSA, 0xfffffffff000), SUCCESS);
    assert_true(memory_peek(r.memory, AT_PAGE, SNP_ASID, out, sizeof out));
    store_le64(data + 0x2f0, 1ull << 32);
    assert_memory_equal(out, data, sizeof out);
    rig_destroy(&r);
}

static void the_secrets_page_is_the_specifications(void **state)
{
    (void)state;
    struct snp_secrets_page s;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_start(&r);
    snp_create_guest(&r, AT_GCTX);
    struct snp_launch_start in = {.gctx_paddr = AT_GCTX, .policy = RIG_POLICY, .gosvw = {1, 2, 3}};
    assert_status(COMMAND(&r, SNP_LAUNCH_START, in), SUCCESS);
    assert_status(snp_activate_guest(&r, AT_GCTX, SNP_ASID), SUCCESS);
    assert_status(launch_at(&r, SNP_PAGE_SECRETS, 0x80d000), SUCCESS);
    assert_true(memory_peek(r.memory, AT_PAGE, SNP_ASID, &s, sizeof s));
    assert_true(s.version >= 2);
    assert_int_equal(s.fms, 0x00a00f11); /* CPUID Fn1 EAX of the Milan persona [snp 1] */
    assert_memory_equal(s.gosvw, in.gosvw, 16);
    assert_memory_equal(s.vmpck, snp_look(&r, AT_GCTX).id.vmpck, sizeof s.vmpck);
    assert_memory_not_equal(s.vmpck[0], s.vmpck[1], 32);
    assert_memory_equal(s.vmsa_tweak_bitmap + 5, "\x80\x00\x88", 3); /* RIP, RSP, RAX [cpu 6.9] */
    assert_true(all_zero(s.guest_area_0a0, sizeof s.guest_area_0a0));
    assert_true(all_zero(s.guest_area_140, sizeof s.guest_area_140));
    rig_destroy(&r);
}

static void vmpl_permissions_are_measured_and_set(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    snp_pre_guest(&r, AT_PAGE, SNP_ASID, 0x5000);
    struct snp_launch_update in = {.gctx_paddr = AT_GCTX,
                                   .flags = SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_ZERO),
                                   .paddr = AT_PAGE,
                                   .vmpl1_permissions = 0xf,
                                   .vmpl2_permissions = 3,
                                   .vmpl3_permissions = 1};
    assert_status(COMMAND(&r, SNP_LAUNCH_UPDATE, in), SUCCESS);
    struct rmp_entry e;
    rmp_get(r.memory, AT_PAGE, &e);
    assert_true(e.permissions[1] == 0xf && e.permissions[2] == 3 && e.permissions[3] == 1);
    u8 record[0x70] = {0}, digest[48];
    record[0x60] = 0x70;
    record[0x62] = SNP_PAGE_ZERO;
    record[0x65] = 0xf;
    record[0x66] = 3;
    record[0x67] = 1;
    store_le64(record + 0x68, 0x5000);
    crypto_sha384(record, sizeof record, digest);
    assert_memory_equal(digest, snp_look(&r, AT_GCTX).id.ld, 48);
    in.vmpl2_permissions = 0x10;
    assert_status(COMMAND(&r, SNP_LAUNCH_UPDATE, in), INVALID_PARAM);
    rig_destroy(&r);
}

static void a_large_page_is_measured_as_512_small_ones(void **state)
{
    (void)state;
    struct rig r;
    struct snp_context small;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    for (u64 i = 0; i < 512; i++) {
        snp_pre_guest(&r, AT_LARGE + i * PAGE_SIZE, SNP_ASID, MIB(2) + i * PAGE_SIZE);
        assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_NORMAL, AT_LARGE + i * PAGE_SIZE), SUCCESS);
    }
    small = snp_look(&r, AT_GCTX);
    rig_destroy(&r);

    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    snp_page(
        &r, AT_LARGE,
        (struct rmp_entry){
            .assigned = true, .immutable = true, .large = true, .asid = SNP_ASID, .gpa = MIB(2)});
    assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_NORMAL, AT_LARGE), INVALID_PAGE_SIZE);
    struct snp_launch_update in = {.gctx_paddr = AT_GCTX,
                                   .paddr = AT_LARGE,
                                   .flags =
                                       SNP_PAGE_LARGE | SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_NORMAL)};
    assert_status(COMMAND(&r, SNP_LAUNCH_UPDATE, in), SUCCESS);
    assert_memory_equal(snp_look(&r, AT_GCTX).id.ld, small.id.ld, 48);
    assert_int_equal(rmp_state(r.memory, AT_LARGE + MIB(1)), RMP_GUEST_VALID);
    in.flags = SNP_PAGE_LARGE | SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_VMSA);
    assert_status(COMMAND(&r, SNP_LAUNCH_UPDATE, in), INVALID_PAGE_SIZE);
    rig_destroy(&r);
}

static void a_page_must_be_the_guests_and_in_its_launch(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_NORMAL, AT_PAGE), INVALID_PAGE_STATE);
    assert_rule(&r, "is Hypervisor, not Pre-Guest");
    snp_pre_guest(&r, AT_PAGE, SNP_ASID + 1, 0x1000);
    assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_NORMAL, AT_PAGE), INVALID_PAGE_OWNER);
    assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_NORMAL, AT_PAGE + 8), INVALID_ADDRESS);
    assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_NORMAL, AT_RMP), INVALID_ADDRESS);
    assert_status(launch_at(&r, SNP_PAGE_NORMAL, 0x1000), SUCCESS);
    assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_NORMAL, AT_PAGE), INVALID_PAGE_STATE);
    u8 before[48];
    memcpy(before, snp_look(&r, AT_GCTX).id.ld, 48);
    struct snp_launch_update in = {.gctx_paddr = AT_GCTX,
                                   .paddr = AT_PAGE,
                                   .flags = SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_ZERO) |
                                            SNP_LAUNCH_UPDATE_IMI_PAGE};
    assert_status(COMMAND(&r, SNP_LAUNCH_UPDATE, in), INVALID_PARAM);
    assert_rule(&r, "IMI_PAGE in a launch without IMI_EN");
    assert_memory_equal(before, snp_look(&r, AT_GCTX).id.ld, 48);
    rig_destroy(&r);
}

static void pages_wait_for_activation(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_inactive(&r, RIG_POLICY);
    assert_status(launch_at(&r, SNP_PAGE_NORMAL, 0), INACTIVE);
    rig_destroy(&r);
}

/* --- CPUID page ------------------------------------------------------------------------------- */

static void host_cpuid(void *context, u32 leaf, u32 subleaf, u32 out[4])
{
    (void)context;
    (void)subleaf;
    memset(out, 0, 16);
    if (leaf == 0)
        out[0] = 0xd, out[1] = 0x68747541;
    else if (leaf == 1)
        out[0] = 0x00a00f11, out[2] = 0x3, out[3] = 0x178bfbff;
    else if (leaf == 0x8000001f)
        out[0] = 0x1f, out[1] = 51;
}

static void a_cpuid_page_that_claims_too_much_comes_back_corrected(void **state)
{
    (void)state;
    static struct snp_cpuid_page page, back;
    struct rig r;
    rig_create(&r);
    r.config.processor.cpuid = host_cpuid;
    rig_restart(&r);
    snp_to_launch(&r, RIG_POLICY);
    page = (struct snp_cpuid_page){.count = 5};
    page.entries[0] = (struct snp_cpuid_entry){.eax_in = 0, .eax = 0xd, .ebx = 0x68747541};
    page.entries[1] = (struct snp_cpuid_entry){.eax_in = 1,
                                               .eax = 0x800f12,
                                               .ebx = 0x10800,
                                               .ecx = 0x3 | BIT(31) | BIT(24),
                                               .edx = 0x178bfbff};
    page.entries[2] =
        (struct snp_cpuid_entry){.eax_in = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b};
    page.entries[3] = (struct snp_cpuid_entry){.eax_in = 0x14, .ebx = 5}; /* no row: must be zero */
    page.entries[4] =
        (struct snp_cpuid_entry){.eax_in = 0x8000001f, .eax = 0x3f, .ebx = 47 | 1 << 6};
    snp_pre_guest(&r, AT_PAGE, SNP_ASID, 0x80e000);
    rig_put(&r, AT_PAGE, &page, sizeof page);
    assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_CPUID, AT_PAGE), INVALID_PARAM);
    assert_int_equal(rmp_state(r.memory, AT_PAGE), RMP_PRE_GUEST);
    rig_get(&r, AT_PAGE, &back, sizeof back); /* in plaintext */
    assert_int_equal(back.entries[1].ecx, 0x3 | 1u << 31);
    assert_int_equal(back.entries[1].eax, 0x800f12);
    assert_int_equal(back.entries[2].ebx, 0x4b4d564b);
    assert_int_equal(back.entries[3].ebx, 0);
    assert_int_equal(back.entries[4].eax, 0x1f);
    assert_int_equal(back.entries[4].ebx, 51 | 1 << 6);
    assert_true(all_zero(snp_look(&r, AT_GCTX).id.ld, 48));
    /* What came back passes. */
    assert_status(snp_update(&r, AT_GCTX, SNP_PAGE_CPUID, AT_PAGE), SUCCESS);
    assert_true(memory_peek(r.memory, AT_PAGE, SNP_ASID, &page, sizeof page));
    assert_memory_equal(&page, &back, sizeof page);
    rig_destroy(&r);
}

static void a_cpuid_page_has_at_most_64_entries(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    u32 count = 65;
    rig_put(&r, AT_PAGE, &count, sizeof count);
    assert_status(launch_at(&r, SNP_PAGE_CPUID, 0), INVALID_PARAM);
    rig_destroy(&r);
}

/* --- LAUNCH_FINISH ---------------------------------------------------------------------------- */

struct owner {
    struct ec_private id, author;
    struct snp_id_block block;
    struct snp_id_auth auth;
};

static void owner_make(struct rig *r, struct owner *o)
{
    *o = (struct owner){.block = {.version = 1,
                                  .guest_svn = 7,
                                  .policy = RIG_POLICY,
                                  .family_id = "family",
                                  .image_id = "image"},
                        .auth = {.id_key_algo = 1, .auth_key_algo = 1}};
    struct snp_context g = snp_look(r, AT_GCTX);
    memcpy(o->block.ld, g.id.ld, 48);
    assert_true(crypto_ec_generate(r->crypto, &o->id) && crypto_ec_generate(r->crypto, &o->author));
    snp_public_key_put(&o->auth.id_key, &o->id.public);
    snp_public_key_put(&o->auth.author_key, &o->author.public);
}

static u32 finish_with(struct rig *r, struct owner *o, u64 flags)
{
    assert_true(
        snp_sign(r->crypto, &o->id, &o->block, sizeof o->block, &o->auth.id_block_signature));
    rig_put(r, AT_ID_BLOCK, &o->block, sizeof o->block);
    rig_put(r, AT_ID_AUTH, &o->auth, sizeof o->auth);
    struct snp_launch_finish in = {.gctx_paddr = AT_GCTX,
                                   .id_block_paddr = AT_ID_BLOCK,
                                   .id_auth_paddr = AT_ID_AUTH,
                                   .flags = flags,
                                   .host_data = {0xcc}};
    return COMMAND(r, SNP_LAUNCH_FINISH, in);
}

static void an_id_block_is_checked_in_the_specifications_order(void **state)
{
    (void)state;
    struct rig r;
    struct owner o, bad;
    const u64 both = SNP_LAUNCH_FINISH_ID_BLOCK_EN | SNP_LAUNCH_FINISH_AUTH_KEY_EN;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    assert_status(launch_at(&r, SNP_PAGE_ZERO, 0x1000), SUCCESS);
    owner_make(&r, &o);
    assert_true(snp_sign(r.crypto, &o.author, &o.auth.id_key, sizeof o.auth.id_key,
                         &o.auth.id_key_signature));
    bad = o, bad.block.ld[0] ^= 1, bad.block.policy ^= BIT(19);
    assert_status(finish_with(&r, &bad, both), BAD_MEASUREMENT);
    bad = o, bad.block.policy ^= BIT(19);
    assert_status(finish_with(&r, &bad, both), POLICY_FAILURE);
    bad = o, bad.id = o.author;
    assert_status(finish_with(&r, &bad, both), BAD_SIGNATURE);
    assert_rule(&r, "the ID block is not signed by the ID key");
    bad = o, bad.auth.id_key_signature.s[0] ^= 1;
    assert_status(finish_with(&r, &bad, both), BAD_SIGNATURE);
    assert_rule(&r, "the ID key is not signed by the author key");
    bad = o, bad.block.version = 2;
    assert_status(finish_with(&r, &bad, both), INVALID_PARAM);
    bad = o, bad.auth.id_key_algo = 2;
    assert_status(finish_with(&r, &bad, both), INVALID_PARAM);
    bad = o, bad.auth.reserved_644[0] = 1;
    assert_status(finish_with(&r, &bad, both), INVALID_PARAM);
    bad = o, bad.auth.id_key.reserved_94[0x36f] = 1, bad.block.ld[0] ^= 1;
    assert_status(finish_with(&r, &bad, both), INVALID_PARAM);
    bad = o, bad.auth.author_key.reserved_94[0] = 1;
    assert_status(finish_with(&r, &bad, both), INVALID_PARAM);
    bad = o, bad.auth.id_key_signature.reserved_90[367] = 1;
    assert_status(finish_with(&r, &bad, both), INVALID_PARAM);
    assert_rule(&r, "reserved bytes");
    bad = o, bad.auth.id_key.curve = 1;
    assert_status(finish_with(&r, &bad, both), BAD_SIGNATURE);
    assert_int_equal(snp_look(&r, AT_GCTX).state, SNP_GSTATE_LAUNCH);
    assert_status(finish_with(&r, &o, both), SUCCESS);
    struct snp_context g = snp_look(&r, AT_GCTX);
    u8 digest[48];
    crypto_sha384(&o.auth.id_key, 0x404, digest);
    assert_memory_equal(g.id.id_key_digest, digest, 48);
    crypto_sha384(&o.auth.author_key, 0x404, digest);
    assert_memory_equal(g.id.author_key_digest, digest, 48);
    assert_int_equal(g.id.guest_svn, 7);
    assert_int_equal(g.id.host_data[0], 0xcc);
    assert_int_equal(g.state, SNP_GSTATE_RUNNING);
    rig_destroy(&r);
}

/* Old firmware failed here by mistake [snp 5.2]. */
static void an_id_block_without_an_author_is_enough(void **state)
{
    (void)state;
    struct rig r;
    struct owner o;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    owner_make(&r, &o);
    memset(&o.auth.author_key, 0, sizeof o.auth.author_key);
    o.auth.auth_key_algo = 0;
    assert_status(finish_with(&r, &o, SNP_LAUNCH_FINISH_ID_BLOCK_EN), SUCCESS);
    assert_true(all_zero(snp_look(&r, AT_GCTX).id.author_key_digest, 48));
    rig_destroy(&r);
}

/* --- A whole image ---------------------------------------------------------------------------- */

static u8 image[MIB(8)];

static void launch_bytes(struct rig *r, u32 type, u64 gpa, const void *bytes)
{
    rig_put(r, AT_PAGE, bytes, PAGE_SIZE);
    assert_status(launch_at(r, type, gpa), SUCCESS);
}

/* The metadata sections in their order [snp 5.7]. */
static void launch_sections(struct rig *r, size_t size)
{
    static const u8 guid[16] = {0x66, 0x65, 0x88, 0xdc, 0x4a, 0x98, 0x98, 0x47,
                                0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc};
    static const u8 zeros[PAGE_SIZE];
    size_t at = size - 0x30 - 16;
    while (at > size - 0x1000 && memcmp(image + at, guid, 16))
        at--;
    assert_memory_equal(image + at, guid, 16);
    const u8 *meta = image + size - load_le32(image + at - 6);
    assert_memory_equal(meta, "ASEV", 4);
    u32 count = load_le32(meta + 12);
    for (u32 i = 0; i < count; i++) {
        u32 gpa = load_le32(meta + 16 + 12 * i), bytes = load_le32(meta + 20 + 12 * i),
            type = load_le32(meta + 24 + 12 * i);
        u32 page = type == 2 ? SNP_PAGE_SECRETS : type == 3 ? SNP_PAGE_CPUID : SNP_PAGE_ZERO;
        for (u32 done = 0; done < bytes; done += PAGE_SIZE)
            launch_bytes(r, page, gpa + done, zeros);
    }
}

static void put_segment(u8 *at, u16 selector, u16 attributes, u32 limit, u64 base)
{
    store_le16(at, selector);
    store_le16(at + 2, attributes);
    store_le32(at + 4, limit);
    store_le64(at + 8, base);
}

/* The first processor's registers, typed from [snp 5.7]. */
static void make_vmsa(u8 vmsa[PAGE_SIZE], u32 fms)
{
    static const u16 data_segments[] = {0x00, 0x20, 0x30, 0x40, 0x50};
    memset(vmsa, 0, PAGE_SIZE);
    for (size_t i = 0; i < ARRAY_SIZE(data_segments); i++)
        put_segment(vmsa + data_segments[i], 0, 0x93, 0xffff, 0);
    put_segment(vmsa + 0x10, 0xf000, 0x9b, 0xffff, 0xffff0000);
    put_segment(vmsa + 0x60, 0, 0, 0xffff, 0);
    put_segment(vmsa + 0x80, 0, 0, 0xffff, 0);
    put_segment(vmsa + 0x70, 0, 0x82, 0xffff, 0);
    put_segment(vmsa + 0x90, 0, 0x8b, 0xffff, 0);
    store_le64(vmsa + 0xd0, 0x1000);
    store_le64(vmsa + 0x148, 0x40);
    store_le64(vmsa + 0x158, 0x10);
    store_le64(vmsa + 0x160, 0x400);
    store_le64(vmsa + 0x168, 0xffff0ff0);
    store_le64(vmsa + 0x170, 2);
    store_le64(vmsa + 0x178, 0xfff0);
    store_le64(vmsa + 0x268, 0x0007040600070406);
    store_le64(vmsa + 0x310, fms);
    store_le64(vmsa + 0x3b0, 1);
    store_le64(vmsa + 0x3e8, 1);
    store_le32(vmsa + 0x408, 0x1f80);
    store_le16(vmsa + 0x410, 0x37f);
}

/* Golden digests: sev-snp-measure and the sev crate agree on them; one virtual CPU, EPYC-Milan. */
static void ovmf_has_the_digest_of_the_public_calculators(const char *name, const char *digest)
{
    struct rig r;
    u8 vmsa[PAGE_SIZE];
    size_t size = image_load(name, image, sizeof image);
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    for (size_t at = 0; at < size; at += PAGE_SIZE)
        launch_bytes(&r, SNP_PAGE_NORMAL, GIB(4) - size + at, image + at);
    launch_sections(&r, size);
    make_vmsa(vmsa, 0x00a00f11);
    launch_bytes(&r, SNP_PAGE_VMSA, 0xfffffffff000, vmsa);
    snp_digest_is(&r, digest);
    rig_destroy(&r);
}

test_that_needs(ovmf_2022_11,
                .images = {{"OVMF.fd",
                            "7b456907dd0786d415999e801a1ac4637b8ed4d7cf5378cfc6edbe5e574dd773"}})
{
    (void)state;
    ovmf_has_the_digest_of_the_public_calculators(
        "OVMF.fd", "80479ca85a2b182c026f6a3a2f2b180ab968d84b17540dd30de39039e70b8c0c33ead2cae6d34e3"
                   "7750035fcff60bfc8");
}

test_that_needs(ovmf_amdsev,
                .images = {{"OVMF.amdsev.fd",
                            "3e4fd0b3fe3b2dbe481c3d9e99418a034174f26cbe1f55aa212b0f18c12d2d6f"}})
{
    (void)state;
    ovmf_has_the_digest_of_the_public_calculators(
        "OVMF.amdsev.fd", "4a7f0dc0ad7c8fc19a056d1f78c6ccc2dda5c69aef1b063650d94598084b89a89a5e295a"
                          "ceb08223b8ddd027620dbe66");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_are_refused_by_the_rule_they_break),
        cmocka_unit_test(smt_must_be_allowed_where_it_is_on),
        cmocka_unit_test(the_digest_is_that_of_the_public_calculators),
        cmocka_unit_test(a_launched_page_holds_what_its_type_says),
        cmocka_unit_test(a_vmsa_with_secure_tsc_gets_its_scale),
        cmocka_unit_test(the_secrets_page_is_the_specifications),
        cmocka_unit_test(vmpl_permissions_are_measured_and_set),
        cmocka_unit_test(a_large_page_is_measured_as_512_small_ones),
        cmocka_unit_test(a_page_must_be_the_guests_and_in_its_launch),
        cmocka_unit_test(pages_wait_for_activation),
        cmocka_unit_test(a_cpuid_page_that_claims_too_much_comes_back_corrected),
        cmocka_unit_test(a_cpuid_page_has_at_most_64_entries),
        cmocka_unit_test(an_id_block_is_checked_in_the_specifications_order),
        cmocka_unit_test(an_id_block_without_an_author_is_enough),
        cmocka_unit_test(ovmf_2022_11),
        cmocka_unit_test(ovmf_amdsev),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
