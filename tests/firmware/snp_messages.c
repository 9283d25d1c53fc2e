/* SPDX-License-Identifier: Apache-2.0 */
/* Guest messages: the envelope and everything wrong with it, reports of every profile, derived
 * keys, migration. */
#include "snp_rig.h"

/* --- The envelope ----------------------------------------------------------------------------- */

static void a_message_that_is_wrong_anywhere_fails_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        u32 at, value, size; /* of the page, before it is sealed, or after where `late` */
        bool late;
        const char *rule;
    } rows[] = {
        {0x00, 0xff, 1, true, "tag is wrong"},
        {0x10, 1, 1, true, "reserved bytes"},
        {0x1f, 1, 1, true, "reserved bytes"},
        {0x20, 2, 1, false, "number on VMPCK0 is 2, expected is 1"},
        {0x20, 0, 1, false, "number on VMPCK0 is 0"},
        {0x27, 1, 1, false, "expected is 1"},
        {0x28, 1, 1, false, "reserved bytes"},
        {0x30, 0, 1, false, "ALGO"},
        {0x30, 2, 1, false, "ALGO"},
        {0x31, 2, 1, false, "header has version 2"},
        {0x32, 0x40, 1, false, "header has version 1 and 0x40 bytes"},
        {0x34, 0, 1, false, "type 0 is not a request"},
        {0x34, 6, 1, false, "type 6 is not a request"},
        {0x34, 19, 1, false, "type 19 is not a request"},
        {0x34, 255, 1, false, "type 255 is not a request"},
        {0x35, 0, 1, false, "no version 0"},
        {0x35, 2, 1, false, "REPORT_REQ has no version 2"},
        {0x36, 0x5f, 2, false, "not 95"},
        {0x36, 0xffff, 2, true, "not 65535"},
        {0x38, 1, 1, false, "reserved bytes"},
        {0x3c, 4, 1, true, "no VMPCK4"},
        {0x3c, 1, 1, true, "not sealed with VMPCK1"},
        {0x3d, 1, 1, false, "reserved bytes"},
        {0x5f, 1, 1, false, "reserved bytes"},
        {0x60, 0xaa, 1, true, "tag is wrong"},
        {0xbf, 0xaa, 1, true, "tag is wrong"},
    };
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    struct snp_context before = snp_look(&r, AT_GCTX);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sealed m = {.header = snp_header(SNP_MSG_REPORT_REQ, 0x60, 0, 1)};
        if (!rows[i].late)
            memcpy((u8 *)&m + rows[i].at, &rows[i].value, rows[i].size);
        snp_seal(before.id.vmpck[0], &m);
        if (rows[i].late)
            memcpy((u8 *)&m + rows[i].at, &rows[i].value, rows[i].size);
        assert_status(snp_send(&r, AT_GCTX, &m), INVALID_PARAM);
        if (!strstr(r.line, rows[i].rule))
            print_message("# row %zu: %s\n", i, r.line);
        assert_rule(&r, rows[i].rule);
        struct snp_context after = snp_look(&r, AT_GCTX);
        assert_memory_equal(&after, &before, sizeof after);
        assert_int_equal(rmp_state(r.memory, AT_RESPONSE), RMP_FIRMWARE);
    }
    rig_destroy(&r);
}

static void each_key_counts_for_itself_and_a_replay_is_refused(void **state)
{
    (void)state;
    struct rig r;
    u8 out[SNP_MSG_PAYLOAD_MAX];
    struct snp_report_req in = {.vmpl = 3};
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    for (u8 vmpck = 0; vmpck < 4; vmpck++)
        for (u64 i = 1; i <= 3; i++) {
            snp_ask_as(&r, AT_GCTX, SNP_MSG_REPORT_REQ, 1, vmpck, &in, sizeof in, out);
            assert_int_equal(load_le32(out), 0);
            assert_int_equal(snp_look(&r, AT_GCTX).id.seqno[vmpck], 2 * i);
        }
    struct sealed m = {.header = snp_header(SNP_MSG_REPORT_REQ, 0x60, 0, 5)};
    snp_seal(snp_look(&r, AT_GCTX).id.vmpck[0], &m);
    assert_status(snp_send(&r, AT_GCTX, &m), INVALID_PARAM);
    assert_rule(&r, "is 5, expected is 7");
    rig_destroy(&r);
}

static void a_counter_at_its_end_is_aead_oflow(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    struct snp_context g = snp_look(&r, AT_GCTX);
    g.id.seqno[0] = ~0ull - 1;
    snp_context_save(r.fw, &g);
    struct sealed m = {.header = snp_header(SNP_MSG_REPORT_REQ, 0x60, 0, ~0ull)};
    snp_seal(g.id.vmpck[0], &m);
    assert_status(snp_send(&r, AT_GCTX, &m), AEAD_OFLOW);
    rig_destroy(&r);
}

static void request_and_response_are_pages_in_their_place(void **state)
{
    (void)state;
    struct rig r;
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    struct snp_guest_request in = {AT_GCTX, AT_REQUEST + 8, AT_RESPONSE};
    assert_status(COMMAND(&r, SNP_GUEST_REQUEST, in), INVALID_ADDRESS);
    in = (struct snp_guest_request){AT_GCTX, AT_REQUEST, AT_RESPONSE + 8};
    assert_status(COMMAND(&r, SNP_GUEST_REQUEST, in), INVALID_ADDRESS);
    in = (struct snp_guest_request){AT_GCTX, AT_REQUEST, AT_PAGE};
    assert_status(COMMAND(&r, SNP_GUEST_REQUEST, in), INVALID_PAGE_STATE);
    in = (struct snp_guest_request){AT_GCTX, AT_REQUEST, AT_RESPONSE};
    assert_status(COMMAND(&r, SNP_GUEST_REQUEST, in), INVALID_PARAM); /* zeros are no message */
    rig_destroy(&r);
}

/* --- Reports ---------------------------------------------------------------------------------- */

static u32 ask_report(struct rig *r, u8 vmpck, u32 vmpl, u32 key_sel, struct snp_report *report)
{
    struct snp_report_req in = {.vmpl = vmpl, .key_sel = key_sel};
    struct snp_report_rsp out;
    memset(in.report_data, 0xda, sizeof in.report_data);
    assert_int_equal(snp_ask_as(r, AT_GCTX, SNP_MSG_REPORT_REQ, 1, vmpck, &in, sizeof in, &out),
                     0x4c0);
    assert_int_equal(out.report_size, out.status ? 0 : SNP_REPORT_SIZE);
    *report = out.report;
    return out.status;
}

static bool signed_by_vcek(struct rig *r, const struct snp_report *report)
{
    struct ec_private vcek;
    assert_true(identity_vcek(r->config.fuses, report->reported_tcb, &vcek));
    return snp_report_verify(report, &vcek.public);
}

static void check_profile_report(const struct firmware_profile *p, const struct snp_report *report)
{
    u8 ff[32];
    memset(ff, 0xff, sizeof ff);
    assert_int_equal(report->version, p->report_version);
    assert_int_equal(report->cpuid_family, p->report_version >= 3 ? p->family : 0);
    assert_int_equal(report->cpuid_model, p->report_version >= 3 ? p->model : 0);
    assert_int_equal(report->cpuid_stepping, p->report_version >= 3 ? p->stepping : 0);
    assert_int_equal(report->current_mit_vector, p->report_version >= 5 ? p->mitigations : 0);
    assert_int_equal(report->launch_mit_vector, report->current_mit_vector);
    assert_int_equal(report->current_minor, p->api_minor);
    assert_int_equal(report->committed_build, p->build);
    assert_int_equal(report->current_tcb, p->tcb);
    assert_true(report->reported_tcb == p->tcb && report->committed_tcb == p->tcb &&
                report->launch_tcb == p->tcb);
    assert_int_equal(report->policy, RIG_POLICY);
    assert_memory_equal(report->report_id_ma, ff, 32);
    assert_false(all_zero(report->report_id, 32));
    assert_false(all_zero(report->chip_id, 8));
    assert_int_equal(all_zero(report->chip_id + 8, 56), p->chip_id_size == 8);
    assert_true(all_zero(report->reserved_18b, 21) && all_zero(report->reserved_208, 152) &&
                !report->reserved_4c && !report->reserved_1eb && !report->reserved_1ef);
    assert_true(!(report->platform_info >> 8));
    assert_int_equal(report->key_info, 0);
}

static void every_profiles_report_has_its_version_layout_and_signature(void **state)
{
    (void)state;
    for (const struct firmware_profile *p = firmware_profiles; p->name; p++) {
        struct rig r;
        struct snp_report report;
        if (!p->report_version)
            continue;
        snp_rig_create(&r, p->name);
        snp_to_running(&r, RIG_POLICY);
        assert_int_equal(ask_report(&r, 0, 1, 0, &report), 0);
        check_profile_report(p, &report);
        assert_int_equal(report.vmpl, 1);
        assert_int_equal(report.report_data[63], 0xda);
        assert_true(signed_by_vcek(&r, &report));
        assert_true(all_zero(report.signature.reserved_90, 368));
        assert_int_equal(p->tcb & snp_tcb_reserved(p->tcb_layout), 0);
        assert_int_equal(p->tcb_layout, snp_tcb_layout_of_part(p->family, p->model));
        rig_destroy(&r);
    }
}

static void a_report_is_for_a_vmpl_that_the_key_may_speak_for(void **state)
{
    (void)state;
    struct rig r;
    struct snp_report report;
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    for (u8 vmpck = 0; vmpck < 4; vmpck++)
        for (u32 vmpl = 0; vmpl < 6; vmpl++)
            assert_int_equal(ask_report(&r, vmpck, vmpl, 0, &report),
                             vmpl >= vmpck && vmpl < 4 ? 0 : 0x16);
    assert_int_equal(ask_report(&r, 2, 1, 0, &report), 0x16);
    assert_rule(&r, "status=SUCCESS");
    assert_rule(&r, "answer=INVALID_PARAM rule=\"VMPCK2 speaks for VMPL2 to VMPL3, not for 1\"");
    assert_string_equal(firmware_rule(r.fw), ""); /* the command was not refused */
    assert_int_equal(ask_report(&r, 0, 0, 3, &report), 0x16);
    assert_rule(&r, "rule=\"KEY_SEL is 3");
    assert_int_equal(ask_report(&r, 0, 0, 4, &report), 0x16);
    assert_rule(&r, "rule=\"the request has reserved bits set");
    assert_int_equal(ask_report(&r, 0, 0, SNP_KEY_SEL_VLEK, &report), 0x27);
    assert_rule(&r, "answer=INVALID_KEY rule=\"KEY_SEL wants the VLEK, none is loaded\"");
    assert_int_equal(ask_report(&r, 0, 0, 0, &report), 0);
    assert_null(strstr(r.line, "rule"));
    rig_destroy(&r);
}

static void load_vlek(struct rig *r, u64 tcb, u8 stick[SNP_VLEK_STICK_SIZE])
{
    struct snp_wrapped_vlek w;
    u8 iv[12] = {1};
    memset(stick, 0x42, SNP_VLEK_STICK_SIZE);
    vlek_wrap(r->config.fuses, tcb, iv, stick, &w);
    rig_put(r, AT_LIST, &w, sizeof w);
    struct snp_vlek_load in = {.len = 16, .paddr = AT_LIST};
    assert_status(COMMAND(r, SNP_VLEK_LOAD, in), SUCCESS);
}

static void a_vlek_signs_where_it_is_loaded_and_goes_with_its_tcb(void **state)
{
    (void)state;
    struct rig r;
    struct snp_report report;
    struct ec_private vlek;
    u8 stick[SNP_VLEK_STICK_SIZE];
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    u64 tcb = firmware_reported_tcb(r.fw);
    load_vlek(&r, tcb, stick);
    assert_int_equal(ask_report(&r, 0, 0, 0, &report), 0);
    assert_int_equal(report.key_info, SNP_KEY_INFO_SIGNING_KEY(1));
    assert_true(identity_vlek(stick, tcb, &vlek) && snp_report_verify(&report, &vlek.public));
    assert_int_equal(ask_report(&r, 0, 0, SNP_KEY_SEL_VCEK, &report), 0);
    assert_true(signed_by_vcek(&r, &report));
    struct snp_config config = {.reported_tcb = tcb - 1};
    assert_status(COMMAND(&r, SNP_CONFIG, config), SUCCESS);
    assert_rule(&r, "vlek=dropped");
    assert_int_equal(ask_report(&r, 0, 0, SNP_KEY_SEL_VLEK, &report), 0x27);
    assert_int_equal(ask_report(&r, 0, 0, 0, &report), 0);
    assert_int_equal(report.reported_tcb, tcb - 1);
    assert_true(signed_by_vcek(&r, &report)); /* by the VCEK of that TCB */
    rig_destroy(&r);
}

static u32 ask_key(struct rig *r, const struct snp_key_req *in, u8 key[32])
{
    struct snp_key_rsp out;
    assert_int_equal(snp_ask_as(r, AT_GCTX, SNP_MSG_KEY_REQ, 2, 0, in, sizeof *in, &out), 0x40);
    memcpy(key, out.key, 32);
    assert_true(!out.status || all_zero(out.key, 32));
    return out.status;
}

static void masks_hide_chip_id_and_chip_key(void **state)
{
    (void)state;
    struct rig r;
    struct snp_report report;
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    struct snp_config config = {.flags = SNP_CONFIG_MASK_CHIP_ID};
    assert_status(COMMAND(&r, SNP_CONFIG, config), SUCCESS);
    assert_int_equal(ask_report(&r, 0, 0, 0, &report), 0);
    assert_true(all_zero(report.chip_id, 64) && signed_by_vcek(&r, &report));
    config.flags = SNP_CONFIG_MASK_CHIP_KEY;
    assert_status(COMMAND(&r, SNP_CONFIG, config), SUCCESS);
    assert_int_equal(ask_report(&r, 0, 0, 0, &report), 0);
    assert_true(all_zero(&report.signature, sizeof report.signature));
    assert_int_equal(report.key_info, 1u << 1 | 7u << 2);
    /* The VLEK is no chip's key: it signs, and keys derive from it. */
    u8 stick[SNP_VLEK_STICK_SIZE], key[32], vlek_key[32];
    struct snp_key_req plain = {.vmpl = 0};
    assert_int_equal(ask_key(&r, &plain, key), 0x27);
    assert_rule(&r, "the VCEK is masked by MASK_CHIP_KEY");
    load_vlek(&r, firmware_reported_tcb(r.fw), stick);
    assert_int_equal(ask_report(&r, 0, 0, 0, &report), 0);
    assert_int_equal(report.key_info, 1u << 1 | 1u << 2);
    assert_int_equal(ask_key(&r, &plain, vlek_key), 0);
    config.flags = 0;
    assert_status(COMMAND(&r, SNP_CONFIG, config), SUCCESS);
    plain.select = SNP_KEY_SEL(SNP_KEY_SEL_VCEK);
    assert_int_equal(ask_key(&r, &plain, key), 0);
    assert_memory_not_equal(key, vlek_key, 32);
    rig_destroy(&r);
}

static void a_guest_without_vcek_has_none_to_sign_with(void **state)
{
    (void)state;
    struct rig r;
    struct snp_report report;
    snp_rig_create(&r, "milan");
    snp_to_launch(&r, RIG_POLICY);
    struct snp_launch_finish in = {.gctx_paddr = AT_GCTX, .flags = SNP_LAUNCH_FINISH_VCEK_DIS};
    assert_status(COMMAND(&r, SNP_LAUNCH_FINISH, in), SUCCESS);
    snp_firmware_page(&r, AT_RESPONSE);
    assert_int_equal(ask_report(&r, 0, 0, 0, &report), 0x27);
    assert_rule(&r, "which the launch has disabled");
    assert_int_equal(ask_report(&r, 0, 0, 1, &report), 0x27);
    struct snp_hv_report_req host = {.len = 24, .gctx_paddr = AT_GCTX, .report_paddr = AT_STATUS};
    snp_firmware_page(&r, AT_STATUS);
    assert_status(COMMAND(&r, SNP_HV_REPORT_REQ, host), SUCCESS);
    assert_rule(&r, "answer=INVALID_KEY rule=\"KEY_SEL wants the VCEK");
    rig_destroy(&r);
}

static void the_host_may_ask_for_a_report_too(void **state)
{
    (void)state;
    struct rig r;
    struct snp_report_rsp out;
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    snp_firmware_page(&r, AT_STATUS);
    struct snp_hv_report_req in = {.len = 24, .gctx_paddr = AT_GCTX, .report_paddr = AT_STATUS};
    assert_status(COMMAND(&r, SNP_HV_REPORT_REQ, in), SUCCESS);
    rig_get(&r, AT_STATUS, &out, sizeof out);
    assert_int_equal(rmp_state(r.memory, AT_STATUS), RMP_RECLAIM);
    assert_true(!out.status && out.report.vmpl == 0xffffffff &&
                all_zero(out.report.report_data, 64));
    assert_true(signed_by_vcek(&r, &out.report));
    rig_destroy(&r);
}

/* --- Derived keys ----------------------------------------------------------------------------- */

static void a_derived_key_depends_on_what_is_selected_and_on_nothing_else(void **state)
{
    (void)state;
    struct rig r;
    u8 base[32], key[32];
    snp_rig_create(&r, "milan-1.58");
    snp_to_running(&r, RIG_POLICY);
    struct snp_key_req plain = {.vmpl = 0}, in = plain;
    assert_int_equal(ask_key(&r, &plain, base), 0);
    assert_int_equal(ask_key(&r, &plain, key), 0);
    assert_memory_equal(key, base, 32);
    in.tcb = 4; /* not selected */
    assert_int_equal(ask_key(&r, &in, key), 0);
    assert_memory_equal(key, base, 32);
    for (unsigned bit = 0; bit < 7; bit++) {
        in = (struct snp_key_req){.fields = BIT(bit)};
        assert_int_equal(ask_key(&r, &in, key), 0);
        assert_memory_not_equal(key, base, 32);
    }
    in = (struct snp_key_req){.vmpl = 1};
    assert_int_equal(ask_key(&r, &in, key), 0);
    assert_memory_not_equal(key, base, 32);
    in = (struct snp_key_req){.select = SNP_KEY_ROOT_VMRK};
    u8 vmrk[32], vmrk_after[32];
    assert_int_equal(ask_key(&r, &in, vmrk), 0);
    assert_memory_not_equal(vmrk, base, 32);
    /* The VCEK goes with the reported TCB, the guest's own root key does not. */
    struct snp_config config = {.reported_tcb = firmware_reported_tcb(r.fw) - 1};
    assert_status(COMMAND(&r, SNP_CONFIG, config), SUCCESS);
    assert_int_equal(ask_key(&r, &plain, key), 0);
    assert_memory_not_equal(key, base, 32);
    assert_int_equal(ask_key(&r, &in, vmrk_after), 0);
    assert_memory_equal(vmrk, vmrk_after, 32);
    rig_destroy(&r);
}

static void a_key_request_beyond_the_guests_own_is_refused(void **state)
{
    (void)state;
    struct rig r;
    u8 key[32], out[64];
    snp_rig_create(&r, "milan-1.58");
    snp_to_running(&r, RIG_POLICY);
    const struct {
        struct snp_key_req in;
        const char *rule;
    } rows[] = {
        {{.select = 8}, "reserved bits"},
        {{.select = 3u << 1}, "KEY_SEL is 3"},
        {{.reserved_04 = 1}, "reserved bits"},
        {{.fields = BIT(7)}, "reserved bits"},
        {{.vmpl = 4}, "speaks for VMPL0 to VMPL3, not for 4"},
        {{.guest_svn = 1}, "GUEST_SVN 1 is above the ID block's 0"},
        {{.tcb = 5}, "a component above"}, /* the integer is far below */
        {{.launch_mit_vector = 2}, "LAUNCH_MIT_VECTOR 0x2 has bits beyond the guest's 0x1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(ask_key(&r, &rows[i].in, key), 0x16);
        assert_rule(&r, rows[i].rule);
    }
    struct snp_key_req vlek = {.select = SNP_KEY_SEL(SNP_KEY_SEL_VLEK)};
    assert_int_equal(ask_key(&r, &vlek, key), 0x27);
    /* Linux's ioctl sends the short form, whatever version it names [snp 1]. */
    struct snp_key_req plain = {.vmpl = 0};
    assert_int_equal(snp_ask_as(&r, AT_GCTX, SNP_MSG_KEY_REQ, 2, 0, &plain, 0x20, out), 0x40);
    assert_int_equal(load_le32(out), 0);
    assert_int_equal(snp_ask_as(&r, AT_GCTX, SNP_MSG_KEY_REQ, 1, 0, &plain, 0x20, out), 0x40);
    assert_int_equal(load_le32(out), 0);
    rig_destroy(&r);
}

/* 20h bytes in version 1, 28h in version 2, or 20h there too; nothing between [snp 1, 6.2]. */
static void a_key_request_has_one_of_two_sizes(void **state)
{
    (void)state;
    static const struct {
        u8 version;
        u16 size;
        bool right;
    } rows[] = {{1, 0x20, true},  {2, 0x20, true},  {2, 0x28, true},  {1, 0x28, false},
                {1, 0x21, false}, {2, 0x24, false}, {2, 0x29, false}, {2, 0x1f, false}};
    struct rig r;
    snp_rig_create(&r, "milan-1.58");
    snp_to_running(&r, RIG_POLICY);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct snp_context g = snp_look(&r, AT_GCTX);
        struct sealed m = {.header =
                               snp_header(SNP_MSG_KEY_REQ, rows[i].size, 0, g.id.seqno[0] + 1)};
        m.header.version = rows[i].version;
        snp_seal(g.id.vmpck[0], &m);
        assert_int_equal(snp_send(&r, AT_GCTX, &m),
                         rows[i].right ? SEV_STATUS_SUCCESS : SEV_STATUS_INVALID_PARAM);
    }
    rig_destroy(&r);
    snp_rig_create(&r, "milan-1.52"); /* which knows no version 2 */
    snp_to_running(&r, RIG_POLICY);
    struct sealed m = {.header = snp_header(SNP_MSG_KEY_REQ, 0x28, 0, 1)};
    m.header.version = 2;
    snp_seal(snp_look(&r, AT_GCTX).id.vmpck[0], &m);
    assert_status(snp_send(&r, AT_GCTX, &m), INVALID_PARAM);
    assert_rule(&r, "KEY_REQ has no version 2");
    rig_destroy(&r);
}

/* --- CPUID, TSC ------------------------------------------------------------------------------- */

static void tsc_and_cpuid_answers(void **state)
{
    (void)state;
    struct rig r;
    u8 zeros[128] = {0}, out[SNP_MSG_PAYLOAD_MAX];
    struct snp_tsc_info_rsp tsc;
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    assert_int_equal(snp_ask(&r, SNP_MSG_TSC_INFO_REQ, zeros, 128, &tsc), 128);
    assert_true(tsc.status == 0 && tsc.tsc_scale == 1ull << 32 && tsc.tsc_offset == 0);
    zeros[5] = 1;
    assert_int_equal(snp_ask(&r, SNP_MSG_TSC_INFO_REQ, zeros, 128, &tsc), 128);
    assert_int_equal(tsc.status, 0x16);
    struct {
        u32 count, a;
        u64 b;
        struct snp_cpuid_entry entry;
    } cpuid = {.count = 1, .entry = {.eax_in = 0x14, .eax = 1}};
    assert_int_equal(snp_ask(&r, SNP_MSG_CPUID_REQ, &cpuid, sizeof cpuid, out), 64);
    assert_int_equal(load_le32(out), 0x16);
    assert_int_equal(load_le32(out + 16 + 24), 0); /* corrected */
    cpuid.entry.eax = 0;
    assert_int_equal(snp_ask(&r, SNP_MSG_CPUID_REQ, &cpuid, sizeof cpuid, out), 64);
    assert_int_equal(load_le32(out), 0);
    cpuid.b = 1;
    assert_int_equal(snp_ask(&r, SNP_MSG_CPUID_REQ, &cpuid, sizeof cpuid, out), 64);
    assert_int_equal(load_le32(out), 0x16);
    assert_rule(&r, "reserved bits");
    cpuid.b = 0;
    cpuid.count = 2;
    assert_int_equal(snp_ask(&r, SNP_MSG_CPUID_REQ, &cpuid, sizeof cpuid, out), 16);
    assert_int_equal(load_le32(out), 0x16);
    rig_destroy(&r);
}

/* --- Migration -------------------------------------------------------------------------------- */

/* AT_GCTX is a running agent; AT_GCTX_2 a guest bound to it, launched. */
static void with_agent(struct rig *r)
{
    snp_rig_create(r, "milan");
    snp_to_running(r, RIG_POLICY);
    snp_create_guest(r, AT_GCTX_2);
    struct snp_launch_start in = {.gctx_paddr = AT_GCTX_2,
                                  .policy = RIG_POLICY | SNP_POLICY_MIGRATE_MA,
                                  .ma_gctx_paddr = AT_GCTX,
                                  .flags = SNP_LAUNCH_START_MA_EN};
    assert_status(COMMAND(r, SNP_LAUNCH_START, in), SUCCESS);
}

static void a_guest_moves_to_another_context_through_its_agent(void **state)
{
    (void)state;
    struct rig r;
    u8 out[SNP_MSG_PAYLOAD_MAX], message[SNP_MSG_PAYLOAD_MAX] = {0};
    with_agent(&r);
    struct snp_vmrk_req vmrk = {.gctx_paddr = AT_GCTX_2, .vmrk = {7, 7}};
    snp_ask(&r, SNP_MSG_VMRK_REQ, &vmrk, sizeof vmrk, out);
    assert_int_equal(load_le32(out), 0);
    struct snp_export_req export = {.gctx_paddr = AT_GCTX_2};
    assert_int_equal(snp_ask(&r, SNP_MSG_EXPORT_REQ, &export, sizeof export, out), 0x20);
    assert_int_equal(load_le32(out), 0x16); /* not running yet */
    assert_rule(&r, "rule=\"the target is in state LAUNCH, not RUNNING\"");
    assert_status(snp_finish(&r, AT_GCTX_2), SUCCESS);
    struct snp_context source = snp_look(&r, AT_GCTX_2);
    u32 size = snp_ask(&r, SNP_MSG_EXPORT_REQ, &export, sizeof export, out);
    assert_int_equal(load_le32(out), 0);
    assert_int_equal(source.id.vmrk[1], 7);
    struct snp_import_req import = {
        .gctx_paddr = AT_MDATA, .ctx_size = size - 0x20, .ctx_version = 1};
    memcpy(message, &import, sizeof import);
    memcpy(message + 0x20, out + 0x20, size - 0x20);
    snp_create_guest(&r, AT_MDATA);
    /* Policies that no launch here would be given. */
    store_le64(message + 0x20, RIG_POLICY | SNP_POLICY_MIGRATE_MA | 0x200);
    snp_ask(&r, SNP_MSG_IMPORT_REQ, message, (u16)size, out);
    assert_int_equal(load_le32(out), 0x16);
    assert_rule(&r, "the policy asks for API 2.0, firmware is 1.55");
    store_le64(message + 0x20, SNP_POLICY_MIGRATE_MA);
    snp_ask(&r, SNP_MSG_IMPORT_REQ, message, (u16)size, out);
    assert_int_equal(load_le32(out), 0x16);
    assert_rule(&r, "bit 17");
    store_le64(message + 0x20, RIG_POLICY | SNP_POLICY_MIGRATE_MA);
    snp_ask(&r, SNP_MSG_IMPORT_REQ, message, (u16)size, out);
    assert_int_equal(load_le32(out), 0);
    struct snp_context target = snp_look(&r, AT_MDATA);
    assert_memory_equal(&target.id, &source.id, sizeof target.id);
    assert_int_equal(target.state, SNP_GSTATE_RUNNING);
    assert_memory_not_equal(target.vek, source.vek, 16);
    snp_ask(&r, SNP_MSG_IMPORT_REQ, message, (u16)size, out);
    assert_int_equal(load_le32(out), 0x16); /* it is running now */
    assert_status(snp_activate_guest(&r, AT_MDATA, 3), SUCCESS);
    rig_destroy(&r);
}

static void only_the_agent_of_a_guest_may_touch_it(void **state)
{
    (void)state;
    struct rig r;
    u8 out[SNP_MSG_PAYLOAD_MAX];
    with_agent(&r);
    assert_status(snp_finish(&r, AT_GCTX_2), SUCCESS);
    /* The guest asks for its agent's context, and for one that is none. */
    struct snp_export_req in = {.gctx_paddr = AT_GCTX};
    assert_int_equal(snp_ask_as(&r, AT_GCTX_2, SNP_MSG_EXPORT_REQ, 1, 0, &in, sizeof in, out),
                     0x20);
    assert_int_equal(load_le32(out), 0x16);
    assert_rule(&r, "not bound to this migration agent");
    in.gctx_paddr = AT_PAGE;
    snp_ask(&r, SNP_MSG_EXPORT_REQ, &in, sizeof in, out);
    assert_int_equal(load_le32(out), 0x16);
    assert_rule(&r, "is Hypervisor, not Context");
    in.gctx_paddr = AT_GCTX; /* itself */
    snp_ask(&r, SNP_MSG_EXPORT_REQ, &in, sizeof in, out);
    assert_int_equal(load_le32(out), 0x16);
    struct snp_report_req request = {.vmpl = 0};
    struct snp_report_rsp report;
    snp_ask_as(&r, AT_GCTX_2, SNP_MSG_REPORT_REQ, 1, 0, &request, sizeof request, &report);
    assert_memory_equal(report.report.report_id_ma, snp_look(&r, AT_GCTX).id.report_id, 32);
    rig_destroy(&r);
}

static void an_agent_runs_and_has_none_itself(void **state)
{
    (void)state;
    struct rig r;
    with_agent(&r); /* AT_GCTX_2 is bound to AT_GCTX, and not running yet */
    snp_create_guest(&r, AT_MDATA);
    struct snp_launch_start in = {.gctx_paddr = AT_MDATA,
                                  .policy = RIG_POLICY,
                                  .ma_gctx_paddr = AT_GCTX_2,
                                  .flags = SNP_LAUNCH_START_MA_EN};
    assert_status(COMMAND(&r, SNP_LAUNCH_START, in), POLICY_FAILURE);
    in.policy |= SNP_POLICY_MIGRATE_MA;
    assert_status(COMMAND(&r, SNP_LAUNCH_START, in), INVALID_GUEST_STATE);
    assert_status(snp_finish(&r, AT_GCTX_2), SUCCESS);
    assert_status(COMMAND(&r, SNP_LAUNCH_START, in), INVALID_GUEST);
    assert_rule(&r, "has a migration agent itself");
    in.ma_gctx_paddr = AT_MDATA;
    assert_status(COMMAND(&r, SNP_LAUNCH_START, in), INVALID_GUEST);
    assert_rule(&r, "not its own migration agent");
    in.ma_gctx_paddr = AT_GCTX;
    assert_status(COMMAND(&r, SNP_LAUNCH_START, in), SUCCESS);
    rig_destroy(&r);
}

static void reserved_bits_of_an_export_count(void **state)
{
    (void)state;
    struct rig r;
    u8 out[SNP_MSG_PAYLOAD_MAX];
    with_agent(&r);
    assert_status(snp_finish(&r, AT_GCTX_2), SUCCESS);
    for (u32 row = 0; row < 3; row++) {
        struct snp_export_req in = {
            .gctx_paddr = AT_GCTX_2, .flags = row == 1 ? 2 : 0, .reserved_0c = row == 2};
        snp_ask(&r, SNP_MSG_EXPORT_REQ, &in, sizeof in, out);
        assert_int_equal(load_le32(out), row ? 0x16 : 0);
    }
    rig_destroy(&r);
}

static void a_guest_from_an_image_absorbs_an_identity(void **state)
{
    (void)state;
    struct rig r;
    u8 out[SNP_MSG_PAYLOAD_MAX],
        message[sizeof(struct snp_import_req) + sizeof(struct snp_identity)] = {0};
    snp_rig_create(&r, "milan");
    snp_start(&r);
    snp_create_guest(&r, AT_GCTX);
    struct snp_launch_start in = {
        .gctx_paddr = AT_GCTX, .policy = RIG_POLICY, .flags = SNP_LAUNCH_START_IMI_EN};
    assert_status(COMMAND(&r, SNP_LAUNCH_START, in), SUCCESS);
    assert_status(snp_finish(&r, AT_GCTX), SUCCESS);
    snp_firmware_page(&r, AT_RESPONSE);
    struct snp_context before = snp_look(&r, AT_GCTX);
    struct snp_identity other = before.id;
    memset(other.ld, 0x11, sizeof other.ld);
    struct snp_import_req head = {.ctx_size = sizeof other, .ctx_version = 1};
    memcpy(message, &head, sizeof head);
    memcpy(message + 0x20, &other, sizeof other);
    snp_ask(&r, SNP_MSG_ABSORB_NOMA_REQ, message, sizeof message, out);
    assert_int_equal(load_le32(out), 0);
    struct snp_context after = snp_look(&r, AT_GCTX);
    assert_int_equal(after.id.ld[0], 0x11);
    assert_int_equal(after.id.seqno[0], 2);
    head.gctx_paddr = AT_GCTX; /* reserved here */
    memcpy(message, &head, sizeof head);
    snp_ask(&r, SNP_MSG_ABSORB_NOMA_REQ, message, sizeof message, out);
    assert_int_equal(load_le32(out), 0x16);
    head.gctx_paddr = 0;
    memcpy(message, &head, sizeof head);
    other.imd[0] ^= 1; /* of another image */
    memcpy(message + 0x20, &other, sizeof other);
    snp_ask(&r, SNP_MSG_ABSORB_NOMA_REQ, message, sizeof message, out);
    assert_int_equal(load_le32(out), 0x16);
    rig_destroy(&r);
}

/* The same by an agent, for a guest bound to it. */
static void an_agent_absorbs_for_its_guest(void **state)
{
    (void)state;
    struct rig r;
    u8 out[SNP_MSG_PAYLOAD_MAX],
        message[sizeof(struct snp_import_req) + sizeof(struct snp_identity)] = {0};
    snp_rig_create(&r, "milan");
    snp_to_running(&r, RIG_POLICY);
    snp_create_guest(&r, AT_GCTX_2);
    struct snp_launch_start in = {.gctx_paddr = AT_GCTX_2,
                                  .policy = RIG_POLICY | SNP_POLICY_MIGRATE_MA,
                                  .ma_gctx_paddr = AT_GCTX,
                                  .flags = SNP_LAUNCH_START_MA_EN | SNP_LAUNCH_START_IMI_EN};
    assert_status(COMMAND(&r, SNP_LAUNCH_START, in), SUCCESS);
    assert_status(snp_activate_guest(&r, AT_GCTX_2, 3), SUCCESS);
    /* A page of the image extends both digests, another the launch digest alone [snp 5.3]. */
    struct snp_launch_update page = {.gctx_paddr = AT_GCTX_2,
                                     .flags = SNP_LAUNCH_UPDATE_TYPE(SNP_PAGE_ZERO) |
                                              (u32)SNP_LAUNCH_UPDATE_IMI_PAGE,
                                     .paddr = AT_PAGE};
    snp_pre_guest(&r, AT_PAGE, 3, 0x1000);
    assert_status(COMMAND(&r, SNP_LAUNCH_UPDATE, page), SUCCESS);
    struct snp_context g = snp_look(&r, AT_GCTX_2);
    assert_memory_equal(g.id.imd, g.id.ld, 48);
    snp_pre_guest(&r, AT_PAGE_2, 3, 0x2000);
    assert_status(snp_update(&r, AT_GCTX_2, SNP_PAGE_ZERO, AT_PAGE_2), SUCCESS);
    assert_status(snp_finish(&r, AT_GCTX_2), SUCCESS);
    struct snp_context before = snp_look(&r, AT_GCTX_2);
    assert_memory_equal(before.id.imd, g.id.imd, 48);
    assert_memory_not_equal(before.id.ld, g.id.ld, 48);

    struct snp_identity other = before.id;
    memset(other.vmrk, 0x33, sizeof other.vmrk);
    struct snp_import_req head = {
        .gctx_paddr = AT_GCTX_2, .ctx_size = sizeof other, .ctx_version = 1};
    memcpy(message, &head, sizeof head);
    memcpy(message + 0x20, &other, sizeof other);
    snp_ask(&r, SNP_MSG_ABSORB_NOMA_REQ, message, sizeof message, out);
    assert_int_equal(load_le32(out), 0x16);
    snp_ask(&r, SNP_MSG_ABSORB_REQ, message, sizeof message, out);
    assert_int_equal(load_le32(out), 0);
    assert_int_equal(snp_look(&r, AT_GCTX_2).id.vmrk[31], 0x33);
    assert_int_equal(snp_look(&r, AT_GCTX_2).asid, 3);
    /* EXPORT of such a guest says that it is one. */
    struct snp_export_req export = {.gctx_paddr = AT_GCTX_2};
    snp_ask(&r, SNP_MSG_EXPORT_REQ, &export, sizeof export, out);
    assert_int_equal(load_le32(out), 0x16);
    assert_rule(&r, "IMI_EN is 0, the target's 1");
    export.flags = 1;
    snp_ask(&r, SNP_MSG_EXPORT_REQ, &export, sizeof export, out);
    assert_int_equal(load_le32(out), 0);
    rig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_is_wrong_anywhere_fails_and_changes_nothing),
        cmocka_unit_test(each_key_counts_for_itself_and_a_replay_is_refused),
        cmocka_unit_test(a_counter_at_its_end_is_aead_oflow),
        cmocka_unit_test(request_and_response_are_pages_in_their_place),
        cmocka_unit_test(every_profiles_report_has_its_version_layout_and_signature),
        cmocka_unit_test(a_report_is_for_a_vmpl_that_the_key_may_speak_for),
        cmocka_unit_test(a_vlek_signs_where_it_is_loaded_and_goes_with_its_tcb),
        cmocka_unit_test(masks_hide_chip_id_and_chip_key),
        cmocka_unit_test(a_guest_without_vcek_has_none_to_sign_with),
        cmocka_unit_test(the_host_may_ask_for_a_report_too),
        cmocka_unit_test(a_derived_key_depends_on_what_is_selected_and_on_nothing_else),
        cmocka_unit_test(a_key_request_beyond_the_guests_own_is_refused),
        cmocka_unit_test(a_key_request_has_one_of_two_sizes),
        cmocka_unit_test(tsc_and_cpuid_answers),
        cmocka_unit_test(a_guest_moves_to_another_context_through_its_agent),
        cmocka_unit_test(only_the_agent_of_a_guest_may_touch_it),
        cmocka_unit_test(an_agent_runs_and_has_none_itself),
        cmocka_unit_test(reserved_bits_of_an_export_count),
        cmocka_unit_test(a_guest_from_an_image_absorbs_an_identity),
        cmocka_unit_test(an_agent_absorbs_for_its_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
