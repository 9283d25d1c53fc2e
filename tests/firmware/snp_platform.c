/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP's platform commands [snp 3.3, 9]: what SNP_INIT asks of the cores, what it takes to shut
 * down, TCBs and their floor, images, features.
 */
#include "snp_rig.h"

/* --- SNP_INIT --------------------------------------------------------------------------------- */

/* Cores that say what SNP_INIT wants to hear, but for one register of the last. */
static struct {
    u32 msr;
    u64 value;
} odd;

static bool read_msr(void *context, u32 core, u32 msr, u64 *value)
{
    (void)context;
    switch (msr) {
    case 0xc0010010: /* SYSCFG: SNP_EN, VMPL_EN */
        *value = BIT(24) | BIT(25);
        break;
    case 0xc0010117: /* VM_HSAVE_PA */
        *value = 0;
        break;
    case 0xc0010132:
        *value = AT_RMP;
        break;
    case 0xc0010133:
        *value = AT_RMP + rmp_table_size(RIG_MEMORY) - 1;
        break;
    default:
        return false;
    }
    if (msr == odd.msr && core == RIG_CORES - 1)
        *value = odd.value;
    return true;
}

static void rig_with_cores(struct rig *r)
{
    snp_rig_create(r, "milan-1.58");
    r->config.processor = (struct firmware_processor){.read_msr = read_msr};
    rig_restart(r);
    odd.msr = 0;
}

static void wbinvd(struct rig *r)
{
    for (u32 core = 0; core < RIG_CORES; core++)
        firmware_wbinvd(r->fw, core);
}

static void init_asks_every_core(void **state)
{
    (void)state;
    static const struct {
        u32 msr;
        u64 value;
    } rows[] = {
        {0xc0010010, BIT(25)},         {0xc0010010, BIT(24)},        {0xc0010117, 0x1000},
        {0xc0010132, AT_RMP - MIB(1)}, {0xc0010133, RIG_MEMORY - 1},
    };
    struct rig r;
    rig_with_cores(&r);
    wbinvd(&r);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        odd.msr = rows[i].msr;
        odd.value = rows[i].value;
        assert_status(SIMPLE(&r, SNP_INIT), INVALID_CONFIG);
        assert_rule(&r, "on core 1");
    }
    odd.msr = 0;
    assert_status(SIMPLE(&r, SNP_INIT), SUCCESS);
    rig_destroy(&r);
}

static void init_wants_the_caches_written_back(void **state)
{
    (void)state;
    struct rig r;
    rig_with_cores(&r);
    assert_status(SIMPLE(&r, SNP_INIT), WBINVD_REQUIRED);
    firmware_wbinvd(r.fw, 0);
    assert_status(SIMPLE(&r, SNP_INIT), WBINVD_REQUIRED);
    assert_rule(&r, "cores 0x2 have not executed WBINVD");
    firmware_wbinvd(r.fw, 1);
    assert_status(SIMPLE(&r, SNP_INIT), SUCCESS);
    assert_status(SIMPLE(&r, SNP_DF_FLUSH), WBINVD_REQUIRED); /* they count anew */
    rig_destroy(&r);
}

static u32 start_ex(struct rig *r, u32 flags, u64 list, u16 max_asid)
{
    struct snp_init_ex in = {.flags = flags, .list_paddr = list, .max_snp_asid = max_asid};
    return COMMAND(r, SNP_INIT_EX, in);
}

static u32 shutdown_ex(struct rig *r, u32 flags)
{
    struct snp_shutdown_ex in = {8, flags};
    return COMMAND(r, SNP_SHUTDOWN_EX, in);
}

static void put_list(struct rig *r, u64 at, u64 base, u32 pages)
{
    struct {
        struct snp_range_list head;
        struct snp_range range;
    } list = {{1, 0}, {base, pages, 0}};
    rig_put(r, at, &list, sizeof list);
}

static void listed_pages_are_fixed(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    put_list(&r, AT_LIST, AT_PAGE + 8, 1);
    assert_status(start_ex(&r, 3, AT_LIST, 0), INVALID_ADDRESS);
    put_list(&r, AT_RMP, AT_PAGE, 2); /* where the table will be: read before that */
    assert_status(start_ex(&r, 3, AT_RMP, 0), SUCCESS);
    assert_int_equal(rmp_state(r.memory, AT_PAGE), RMP_HV_FIXED);
    assert_int_equal(rmp_state(r.memory, AT_PAGE_2), RMP_HV_FIXED);
    assert_int_equal(rmp_state(r.memory, AT_REQUEST), RMP_HYPERVISOR);
    assert_int_equal(rmp_state(r.memory, AT_RMP), RMP_FIRMWARE);
    rig_destroy(&r);
}

/* Linux lists every range that its memory map shows as reserved, so the RMP's own, too, and what
 * lies beyond memory [host 1.5]. */
static void the_list_may_contain_the_rmp(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan-1.58");
    for (u32 i = 0; i < 2; i++) { /* the second time the RMP exists already */
        put_list(&r, AT_LIST, AT_RMP - PAGE_SIZE, 0x10000);
        assert_status(start_ex(&r, 3, AT_LIST, 0), SUCCESS);
        assert_int_equal(rmp_state(r.memory, AT_RMP - 2 * PAGE_SIZE), RMP_HYPERVISOR);
        assert_int_equal(rmp_state(r.memory, AT_RMP - PAGE_SIZE), RMP_HV_FIXED);
        assert_int_equal(rmp_state(r.memory, AT_RMP), RMP_FIRMWARE);
        assert_int_equal(rmp_state(r.memory, r.config.rmp_end), RMP_FIRMWARE);
        assert_int_equal(rmp_state(r.memory, r.config.rmp_end + 1), RMP_HV_FIXED);
        assert_false(rmp_host_may_write(r.memory, AT_RMP, 1));
        snp_flush(&r);
        assert_status(shutdown_ex(&r, 0), SUCCESS);
    }
    rig_destroy(&r);
}

static void init_ex_refuses_what_is_not_offered(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan"); /* no CIPHERTEXT_HIDING_DRAM, and SEV-TIO nowhere */
    assert_status(start_ex(&r, 1 | 1 << 3, 0, 2), INVALID_PARAM);
    assert_status(start_ex(&r, 1 | 1 << 4, 0, 0), INVALID_PARAM);
    assert_status(start_ex(&r, 1 | 1 << 5, 0, 0), INVALID_PARAM);
    rig_destroy(&r);
    snp_rig_create(&r, "milan-1.52"); /* no RAPL_DIS */
    assert_status(start_ex(&r, 1 | 1 << 2, 0, 0), INVALID_PARAM);
    rig_destroy(&r);
    snp_rig_create(&r, "milan-1.58");
    assert_status(start_ex(&r, 1 | 1 << 3, 0, 0), INVALID_PARAM);
    assert_status(start_ex(&r, 1 | 1 << 3, 0, RIG_ASID_MIN), INVALID_PARAM);
    assert_status(start_ex(&r, 1 | 1 << 3 | 1 << 2, 0, 2), SUCCESS);
    rig_destroy(&r);
}

/* With CIPHERTEXT_HIDING_DRAM the ASIDs up to MAX_SNP_ASID are SNP's, those above it SEV-ES's
 * [snp 3.3]. */
static void hidden_ciphertext_divides_the_asids(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan-1.58");
    assert_status(start_ex(&r, 1 | 1 << 3, 0, 2), SUCCESS);
    snp_page(&r, MIB(2), (struct rmp_entry){.assigned = true, .immutable = true, .large = true});
    snp_firmware_page(&r, AT_BUFFER); /* what legacy commands write */
    struct sev_init init = {.options = 1, .tmr_paddr = MIB(2), .tmr_len = (u32)MIB(1)};
    assert_status(COMMAND(&r, INIT, init), INVALID_LENGTH); /* under SNP it has 2 MiB */
    init.tmr_len = (u32)MIB(2);
    assert_status(COMMAND(&r, INIT, init), SUCCESS);
    snp_flush(&r);
    snp_create_guest(&r, AT_GCTX);
    assert_status(snp_launch_policy(&r, AT_GCTX, RIG_POLICY), SUCCESS);
    assert_status(snp_activate_guest(&r, AT_GCTX, 3), INVALID_ASID);
    u32 es = rig_launch(&r, SEV_POLICY_ES);
    assert_status(rig_activate(&r, es, 2), INVALID_ASID);
    assert_rule(&r, "has ASIDs 3 to 4");
    assert_status(rig_activate(&r, es, 3), SUCCESS);
    assert_status(snp_activate_guest(&r, AT_GCTX, 2), SUCCESS);
    rig_destroy(&r);
}

/* SEV-ES and SNP guests share the ASIDs below the minimum, not one of them at a time. */
static void an_asid_is_one_guests_of_either_kind(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    snp_page(&r, MIB(2), (struct rmp_entry){.assigned = true, .immutable = true, .large = true});
    snp_firmware_page(&r, AT_BUFFER);
    struct sev_init init = {.options = 1, .tmr_paddr = MIB(2), .tmr_len = (u32)MIB(2)};
    assert_status(COMMAND(&r, INIT, init), SUCCESS);
    snp_flush(&r);
    u32 es = rig_launch(&r, SEV_POLICY_ES);
    assert_status(rig_activate(&r, es, SNP_ASID), ASID_OWNED);
    assert_rule(&r, "bound to an SNP guest");
    assert_status(rig_activate(&r, es, 3), SUCCESS);
    snp_create_guest(&r, AT_GCTX_2);
    assert_status(snp_launch_policy(&r, AT_GCTX_2, RIG_POLICY), SUCCESS);
    assert_status(snp_activate_guest(&r, AT_GCTX_2, 3), ASID_OWNED);
    assert_rule(&r, "bound to an SEV-ES guest");
    assert_status(snp_activate_guest(&r, AT_GCTX_2, SNP_ASID), ASID_OWNED);
    assert_status(snp_activate_guest(&r, AT_GCTX_2, RIG_ASID_MIN), INVALID_ASID);
    assert_status(snp_activate_guest(&r, AT_GCTX_2, 4), SUCCESS);
    assert_status(snp_activate_guest(&r, AT_GCTX_2, 1), ACTIVE);
    rig_destroy(&r);
}

static void without_an_rmp_nothing_of_guests_works(void **state)
{
    (void)state;
    static const u32 needs[] = {
        SEV_CMD_SNP_DECOMMISSION,  SEV_CMD_SNP_ACTIVATE,      SEV_CMD_SNP_GUEST_STATUS,
        SEV_CMD_SNP_GCTX_CREATE,   SEV_CMD_SNP_GUEST_REQUEST, SEV_CMD_SNP_LAUNCH_START,
        SEV_CMD_SNP_LAUNCH_UPDATE, SEV_CMD_SNP_LAUNCH_FINISH, SEV_CMD_SNP_DBG_DECRYPT,
        SEV_CMD_SNP_DBG_ENCRYPT,   SEV_CMD_SNP_PAGE_SWAP_OUT, SEV_CMD_SNP_PAGE_SWAP_IN,
        SEV_CMD_SNP_PAGE_MOVE,     SEV_CMD_SNP_PAGE_MD_INIT,  SEV_CMD_SNP_PAGE_SET_STATE,
        SEV_CMD_SNP_PAGE_RECLAIM,  SEV_CMD_SNP_PAGE_UNSMASH,  SEV_CMD_SNP_ACTIVATE_EX,
        SEV_CMD_SNP_HV_REPORT_REQ,
    };
    struct rig r;
    snp_rig_create(&r, "milan-1.58");
    assert_status(start_ex(&r, 0, 0, 0), SUCCESS);
    for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
        u8 buffer[0x40] = {0};
        assert_status(rig_command(&r, needs[i], buffer, sizeof buffer), RMP_INIT_REQUIRED);
    }
    struct snp_platform_status status;
    assert_status(snp_address(&r, SEV_CMD_SNP_PLATFORM_STATUS, AT_STATUS), SUCCESS);
    rig_get(&r, AT_STATUS, &status, sizeof status);
    assert_int_equal(status.state, 1);
    assert_int_equal(status.flags_03 & 1, 0);
    rig_destroy(&r);
}

/* --- SNP_SHUTDOWN_EX -------------------------------------------------------------------------- */

static void shutdown_comes_after_guests_and_flushes(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    assert_status(shutdown_ex(&r, 0), SUCCESS); /* nothing to do */
    snp_to_launch(&r, RIG_POLICY);
    assert_status(shutdown_ex(&r, 0), ACTIVE);
    assert_status(snp_address(&r, SEV_CMD_SNP_DECOMMISSION, AT_GCTX), SUCCESS);
    assert_int_equal(rmp_state(r.memory, AT_GCTX), RMP_FIRMWARE);
    assert_status(shutdown_ex(&r, 0), DFFLUSH_REQUIRED);
    assert_status(SIMPLE(&r, SNP_DF_FLUSH), WBINVD_REQUIRED);
    snp_flush(&r);
    assert_status(shutdown_ex(&r, 4), INVALID_PARAM);
    assert_status(shutdown_ex(&r, 1), SUCCESS);
    assert_true(rmp_enabled(r.memory));
    assert_status(SIMPLE(&r, SNP_INIT), SUCCESS);
    snp_flush(&r);
    assert_status(shutdown_ex(&r, 3), SUCCESS);
    assert_false(rmp_enabled(r.memory));
    rig_destroy(&r);
    snp_rig_create(&r, "milan-1.52"); /* without X86_SNP_SHUTDOWN */
    assert_status(shutdown_ex(&r, 2), INVALID_PARAM);
    rig_destroy(&r);
}

/* --- The IOMMU's pages [host 1.7] ------------------------------------------------------------- */

#define AT_LOG   0x80000u
#define AT_STORE 0x90000u

static struct firmware_iommu_buffer iommu_buffers[2];
static u32 iommu_count;

static u32 read_iommu(void *context, struct firmware_iommu_buffer out[FIRMWARE_IOMMU_BUFFERS])
{
    (void)context;
    memcpy(out, iommu_buffers, sizeof iommu_buffers);
    return iommu_count;
}

static void rig_with_iommu(struct rig *r, const char *profile)
{
    const struct firmware_iommu iommu = {.buffers = read_iommu};
    snp_rig_create(r, profile);
    firmware_connect_iommu(r->fw, &iommu);
    iommu_buffers[0] = (struct firmware_iommu_buffer){"event log", AT_LOG, 2 * PAGE_SIZE};
    iommu_buffers[1] = (struct firmware_iommu_buffer){"completion store", AT_STORE, PAGE_SIZE};
    iommu_count = 2;
}

static void iommu_pages_are(struct rig *r, enum rmp_state state)
{
    assert_int_equal(rmp_state(r->memory, AT_LOG - PAGE_SIZE), RMP_HYPERVISOR);
    assert_int_equal(rmp_state(r->memory, AT_LOG), state);
    assert_int_equal(rmp_state(r->memory, AT_LOG + PAGE_SIZE), state);
    assert_int_equal(rmp_state(r->memory, AT_LOG + 2 * PAGE_SIZE), RMP_HYPERVISOR);
    assert_int_equal(rmp_state(r->memory, AT_STORE), state);
}

static void the_iommus_pages_are_the_firmwares_meanwhile(void **state)
{
    (void)state;
    static const struct {
        const char *profile;
        u32 flags;
        enum rmp_state after;
    } rows[] = {
        {"milan", 1, RMP_RECLAIM},
        {"milan", 0, RMP_FIRMWARE}, /* without IOMMU_SNP_SHUTDOWN it still uses them */
        {"milan-1.52", 1, RMP_HYPERVISOR},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct rig r;
        rig_with_iommu(&r, rows[i].profile);
        assert_false(firmware_iommu_may_write(r.fw, AT_LOG, 16));
        snp_start(&r);
        iommu_pages_are(&r, RMP_FIRMWARE);
        assert_true(firmware_iommu_may_write(r.fw, AT_LOG + PAGE_SIZE - 8, 16));
        assert_true(firmware_iommu_may_write(r.fw, AT_STORE + 0xff8, 8));
        assert_false(firmware_iommu_may_write(r.fw, AT_STORE + 0xff9, 8));
        assert_false(firmware_iommu_may_write(r.fw, AT_LOG - 1, 2));
        assert_false(firmware_iommu_may_write(r.fw, ~0ull, 16));
        assert_status(shutdown_ex(&r, rows[i].flags), SUCCESS);
        iommu_pages_are(&r, rows[i].after);
        assert_int_equal(firmware_iommu_may_write(r.fw, AT_LOG, 16), !rows[i].flags);
        assert_status(start_ex(&r, 0, 0, 0), SUCCESS); /* the RMP goes on, from any of these */
        iommu_pages_are(&r, RMP_FIRMWARE);
        rig_destroy(&r);
    }
}

/* What the IOMMU writes must not become a context, a metadata page or a guest's. */
static void no_command_takes_a_page_of_the_iommu(void **state)
{
    (void)state;
    struct rig r;
    rig_with_iommu(&r, "milan-1.58");
    snp_start(&r);
    assert_status(snp_address(&r, SEV_CMD_SNP_GCTX_CREATE, AT_STORE), INVALID_ADDRESS);
    assert_rule(&r, "is the IOMMU's");
    assert_status(snp_address(&r, SEV_CMD_SNP_PAGE_RECLAIM, AT_LOG + PAGE_SIZE), INVALID_ADDRESS);
    assert_status(snp_address(&r, SEV_CMD_SNP_PLATFORM_STATUS, AT_LOG), INVALID_ADDRESS);
    iommu_pages_are(&r, RMP_FIRMWARE);
    rig_destroy(&r);
}

static void init_refuses_an_iommu_that_is_set_up_wrongly(void **state)
{
    (void)state;
    static const struct {
        u64 address, size;
    } rows[] = {
        {RIG_MEMORY - PAGE_SIZE, 2 * PAGE_SIZE},
        {RIG_MEMORY, PAGE_SIZE},
        {~0ull << 12, PAGE_SIZE},
        {PAGE_SIZE, ~0ull << 12},
        {AT_RMP, PAGE_SIZE},
        {AT_LOG, MIB(7)},
        {AT_LOG + 8, PAGE_SIZE},
    };
    struct rig r;
    rig_with_iommu(&r, "milan");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        iommu_buffers[1].address = rows[i].address;
        iommu_buffers[1].size = rows[i].size;
        assert_status(SIMPLE(&r, SNP_INIT), INVALID_CONFIG);
        assert_rule(&r, "the IOMMU's completion store");
        assert_false(rmp_enabled(r.memory));
    }
    iommu_count = 1;
    snp_start(&r);
    assert_status(shutdown_ex(&r, 3), SUCCESS); /* with the RMP everything ends */
    assert_false(firmware_iommu_may_write(r.fw, AT_LOG, 16));
    snp_start(&r);
    assert_status(shutdown_ex(&r, 1), SUCCESS);
    snp_pre_guest(&r, AT_LOG, 1, AT_LOG); /* the host has given a page away */
    assert_status(start_ex(&r, 0, 0, 0), INVALID_CONFIG);
    assert_rule(&r, "event log is Pre-Guest");
    rig_destroy(&r);
}

/* --- TCB -------------------------------------------------------------------------------------- */

static bool commit_works;
static struct firmware_committed committed;

static bool keep(void *context, const struct firmware_committed *next)
{
    (void)context;
    if (commit_works)
        committed = *next;
    return commit_works;
}

static u32 config(struct rig *r, u64 tcb)
{
    struct snp_config in = {.reported_tcb = tcb};
    return COMMAND(r, SNP_CONFIG, in);
}

/* Milan: microcode DBh, SNP 18h, TEE 0, boot loader 4. */
static void a_tcb_is_compared_by_its_components(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_start(&r);
    assert_status(config(&r, 0xdb18000000000005), INVALID_PARAM);
    assert_status(config(&r, 0x0119000000000004), INVALID_PARAM);
    assert_rule(&r, "a component above the committed TCB's");
    assert_status(config(&r, 0xdb18000000010004), INVALID_PARAM); /* no component there */
    assert_status(config(&r, 0x7308000000000003), SUCCESS);
    assert_true(firmware_reported_tcb(r.fw) == 0x7308000000000003);
    assert_status(config(&r, 0), SUCCESS); /* back to the committed one */
    assert_true(firmware_reported_tcb(r.fw) == 0xdb18000000000004);
    rig_destroy(&r);
}

static void a_commit_is_kept_before_it_counts(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    r.config.committed = (struct firmware_committed){0x7308000000000003, 1, 52, 4};
    r.config.commit = keep;
    rig_restart(&r);
    snp_start(&r);
    assert_true(firmware_reported_tcb(r.fw) == 0x7308000000000003);
    assert_status(config(&r, 0xdb18000000000004), INVALID_PARAM); /* not committed yet */
    struct snp_commit in = {4};
    commit_works = false;
    assert_status(COMMAND(&r, SNP_COMMIT, in), HWERROR_PLATFORM);
    assert_true(firmware_reported_tcb(r.fw) == 0x7308000000000003);
    commit_works = true;
    assert_status(COMMAND(&r, SNP_COMMIT, in), SUCCESS);
    assert_true(firmware_reported_tcb(r.fw) == 0xdb18000000000004);
    assert_true(committed.tcb == 0xdb18000000000004 && committed.major == 1 &&
                committed.minor == 55 && committed.build == 25);
    rig_destroy(&r);
}

/* [snp 9]: what is committed is never above what runs. */
static void older_firmware_does_not_power_on(void **state)
{
    (void)state;
    struct rig r;
    struct snp_report_rsp out;
    snp_rig_create(&r, "milan");
    r.config.committed = (struct firmware_committed){0xdb19000000000004, 1, 58, 1};
    assert_null(firmware_create(&r.config));
    /* The same TCB, in a later build: both may run, and what runs is committed. */
    r.config.committed = (struct firmware_committed){0xdb18000000000004, 1, 55, 29};
    rig_restart(&r);
    snp_to_running(&r, RIG_POLICY);
    snp_firmware_page(&r, AT_STATUS);
    struct snp_hv_report_req in = {.len = 24, .gctx_paddr = AT_GCTX, .report_paddr = AT_STATUS};
    assert_status(COMMAND(&r, SNP_HV_REPORT_REQ, in), SUCCESS);
    rig_get(&r, AT_STATUS, &out, sizeof out);
    assert_int_equal(out.report.current_build, 25);
    assert_int_equal(out.report.committed_build, 25);
    rig_destroy(&r);
}

static u32 download(struct rig *r, u8 svn, u8 minor, u8 build, u32 flags)
{
    u8 image[0x200] = {0};
    memcpy(image + 0x10, "$PS1", 4);
    image[0x4c] = svn;
    image[0x60] = build;
    image[0x61] = minor;
    image[0x62] = 1;
    store_le32(image + 0x6c, sizeof image);
    rig_put(r, AT_PACKET, image, sizeof image);
    struct snp_download_firmware_ex in = {
        .len = 24, .fw_paddr = AT_PACKET, .fw_len = sizeof image, .flags = flags};
    return COMMAND(r, SNP_DOWNLOAD_FIRMWARE_EX, in);
}

static void an_older_image_is_refused(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan"); /* 1.55.25, SNP SPL 18h */
    assert_status(download(&r, 0x17, 55, 25, 0), BAD_SVN);
    assert_status(download(&r, 0x18, 55, 24, 0), BAD_VERSION);
    assert_status(download(&r, 0x18, 54, 99, 0), BAD_VERSION);
    assert_status(download(&r, 0x18, 55, 25, 2), INVALID_PARAM);
    assert_status(download(&r, 0x18, 55, 25, 1), SUCCESS);
    assert_status(download(&r, 0x19, 58, 1, 0), SUCCESS);
    rig_destroy(&r);
}

/* --- SNP_VLEK_LOAD, SNP_FEATURE_INFO, SNP_VERIFY_MITIGATION ----------------------------------- */

static u32 load_vlek(struct rig *r, u64 tcb, u32 flip)
{
    struct snp_wrapped_vlek w;
    const u8 iv[12] = {1}, stick[SNP_VLEK_STICK_SIZE] = {2};
    vlek_wrap(r->config.fuses, tcb, iv, stick, &w);
    if (flip < sizeof w)
        ((u8 *)&w)[flip] ^= 1;
    rig_put(r, AT_LIST, &w, sizeof w);
    struct snp_vlek_load in = {.len = 16, .paddr = AT_LIST};
    return COMMAND(r, SNP_VLEK_LOAD, in);
}

static void a_hashstick_is_authentic_and_for_the_reported_tcb(void **state)
{
    (void)state;
    static const u32 covered[] = {0, 0x10, 0x18f, 0x190, 0x1a0},
                     reserved[] = {0xc, 0xf, 0x198, 0x19f};
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_start(&r);
    u64 tcb = firmware_reported_tcb(r.fw);
    for (size_t i = 0; i < ARRAY_SIZE(covered); i++)
        assert_status(load_vlek(&r, tcb, covered[i]), BAD_MEASUREMENT);
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
        assert_status(load_vlek(&r, tcb, reserved[i]), INVALID_PARAM);
    assert_status(load_vlek(&r, tcb - 1, ~0u), INVALID_PARAM);
    assert_status(load_vlek(&r, tcb, ~0u), SUCCESS);
    rig_destroy(&r);
}

/* By offset, as the specification numbers them. */
static void statuses_lie_where_they_should(void **state)
{
    (void)state;
    struct rig r;
    u8 s[64];
    snp_rig_create(&r, "milan-1.58");
    memset(s, 0xaa, sizeof s);
    rig_put(&r, AT_STATUS, s, sizeof s);
    assert_status(snp_address(&r, SEV_CMD_SNP_PLATFORM_STATUS, AT_STATUS), SUCCESS);
    rig_get(&r, AT_STATUS, s, sizeof s);
    assert_memory_equal(s, ((u8[]){1, 58, 0, 2, 1, 0, 0, 0}), 8); /* UNINIT, aliases looked for */
    assert_int_equal(load_le32(s + 8), 1 << 3 | 1 << 5); /* FEATURE_INFO, hiding possible */
    assert_int_equal(s[32], 0xaa);                       /* 32 bytes */
    assert_status(start_ex(&r, 1 | 1 << 2 | 1 << 3, 0, 3), SUCCESS);
    snp_flush(&r);
    snp_create_guest(&r, AT_GCTX);
    assert_status(snp_launch_policy(&r, AT_GCTX, RIG_POLICY), SUCCESS);
    assert_status(snp_activate_guest(&r, AT_GCTX, 3), SUCCESS);
    struct snp_config in = {.reported_tcb = 0xdb18000000000003, .flags = 3};
    assert_status(COMMAND(&r, SNP_CONFIG, in), SUCCESS);
    assert_status(load_vlek(&r, 0xdb18000000000003, ~0u), SUCCESS);
    snp_firmware_page(&r, AT_STATUS);
    assert_status(snp_address(&r, SEV_CMD_SNP_PLATFORM_STATUS, AT_STATUS), SUCCESS);
    rig_get(&r, AT_STATUS, s, sizeof s);
    assert_memory_equal(s, ((u8[]){1, 58, 1, 3, 1, 0, 0, 0}), 8);
    assert_int_equal(load_le32(s + 8), 0x7f);
    assert_int_equal(load_le32(s + 0xc), 1);
    assert_true(load_le64(s + 0x10) == 0xdb19000000000004);
    assert_true(load_le64(s + 0x18) == 0xdb18000000000003);

    snp_firmware_page(&r, AT_STATUS);
    struct snp_gctx_page guest = {AT_GCTX, AT_STATUS};
    assert_status(COMMAND(&r, SNP_GUEST_STATUS, guest), SUCCESS);
    rig_get(&r, AT_STATUS, s, sizeof s);
    assert_true(load_le64(s) == RIG_POLICY);
    assert_int_equal(load_le32(s + 8), 3);
    assert_int_equal(s[0xc], 1);
    assert_true(all_zero(s + 0xd, 0x13));
    rig_destroy(&r);
}

static void feature_info_is_subfunction_zero(void **state)
{
    (void)state;
    struct rig r;
    u8 out[16];
    snp_rig_create(&r, "milan-1.58");
    struct snp_feature_info in = {.len = 16, .paddr = AT_STATUS};
    assert_status(COMMAND(&r, SNP_FEATURE_INFO, in), SUCCESS);
    rig_get(&r, AT_STATUS, out, sizeof out);
    assert_int_equal(load_le32(out) | load_le32(out + 4) | load_le32(out + 12), 0);
    /* VLEK, X86_SNP_SHUTDOWN, RAPL_DIS, CIPHERTEXT_HIDING_DRAM, VERIFY_MITIGATION */
    assert_int_equal(load_le32(out + 8), 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 13);
    in.ecx_in = 1;
    assert_status(COMMAND(&r, SNP_FEATURE_INFO, in), INVALID_PARAM);
    in = (struct snp_feature_info){.len = 16, .paddr = AT_STATUS + 4};
    assert_status(COMMAND(&r, SNP_FEATURE_INFO, in), INVALID_ADDRESS);
    in.paddr = AT_STATUS + PAGE_SIZE - 8;
    assert_status(COMMAND(&r, SNP_FEATURE_INFO, in), INVALID_ADDRESS);
    assert_rule(&r, "cross a page");
    rig_destroy(&r);
}

static void mitigations_are_verified_by_vector(void **state)
{
    (void)state;
    struct rig r;
    struct snp_mitigation_result out;
    snp_rig_create(&r, "milan-1.58");
    snp_start(&r);
    snp_firmware_page(&r, AT_STATUS);
    struct snp_verify_mitigation in = {
        .len = 0x40, .subcommand = 1, .vector = 3, .flags = 1, .dst_paddr = AT_STATUS};
    assert_status(COMMAND(&r, SNP_VERIFY_MITIGATION, in), INVALID_PARAM);
    assert_rule(&r, "beyond the supported 0x1");
    in.subcommand = 2;
    assert_status(COMMAND(&r, SNP_VERIFY_MITIGATION, in), INVALID_PARAM);
    in.subcommand = 1, in.vector = 1;
    assert_status(COMMAND(&r, SNP_VERIFY_MITIGATION, in), SUCCESS);
    rig_get(&r, AT_STATUS, &out, sizeof out);
    assert_true(out.verified == 1 && out.supported == 1 && out.failure == 0);
    rig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_asks_every_core),
        cmocka_unit_test(init_wants_the_caches_written_back),
        cmocka_unit_test(listed_pages_are_fixed),
        cmocka_unit_test(the_list_may_contain_the_rmp),
        cmocka_unit_test(init_ex_refuses_what_is_not_offered),
        cmocka_unit_test(hidden_ciphertext_divides_the_asids),
        cmocka_unit_test(an_asid_is_one_guests_of_either_kind),
        cmocka_unit_test(without_an_rmp_nothing_of_guests_works),
        cmocka_unit_test(shutdown_comes_after_guests_and_flushes),
        cmocka_unit_test(the_iommus_pages_are_the_firmwares_meanwhile),
        cmocka_unit_test(no_command_takes_a_page_of_the_iommu),
        cmocka_unit_test(init_refuses_an_iommu_that_is_set_up_wrongly),
        cmocka_unit_test(a_tcb_is_compared_by_its_components),
        cmocka_unit_test(a_commit_is_kept_before_it_counts),
        cmocka_unit_test(older_firmware_does_not_power_on),
        cmocka_unit_test(an_older_image_is_refused),
        cmocka_unit_test(a_hashstick_is_authentic_and_for_the_reported_tcb),
        cmocka_unit_test(statuses_lie_where_they_should),
        cmocka_unit_test(feature_info_is_subfunction_zero),
        cmocka_unit_test(mitigations_are_verified_by_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
