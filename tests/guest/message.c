/* SPDX-License-Identifier: Apache-2.0 */
/* Guest messages against the specification's vector, answers that are wrong in each single way,
 * certificate tables. */
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "guest/guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* --- The envelope ----------------------------------------------------------------------------- */

static struct snp_secrets_page secrets_page(void)
{
    struct snp_secrets_page page = {.version = 3};
    for (u8 i = 0; i < SNP_VMPCK_SIZE; i++)
        page.vmpck[0][i] = i;
    memset(page.vmpck[2], 0x22, SNP_VMPCK_SIZE);
    return page;
}

static struct guest_channel channel_of(u32 number)
{
    struct snp_secrets_page page = secrets_page();
    struct guest_channel c;
    assert_true(guest_channel_open(&page, number, &c));
    return c;
}

static void a_request_is_the_specifications_vector(void **state)
{
    static const char *const tag = "0f354f26b13f7433d3674d8eebcaf847";
    static const char *const aad = "0101600005016000";
    static const char *const sealed =
        "e22d803ca0aaea00420d0fc830cc86c4dc70dd3d68bd7d05560647e5013b996fccddd2ea048788e8f0f437f862"
        "242ea7c0e4fcb7d1456ca0bbb1da492b891678bcafa49213c0f2445044cd48be94fd5eb5f3e8b761e80896f353"
        "185b4abd740d";
    struct guest_channel c = channel_of(0);
    struct snp_report_req request = {.vmpl = 0};
    u8 page[PAGE_SIZE], want[PAGE_SIZE] = {0};
    (void)state;
    for (u8 i = 0; i < sizeof request.report_data; i++)
        request.report_data[i] = i;
    guest_message_seal(&c, SNP_MSG_REPORT_REQ, 1, &request, sizeof request, page);
    assert_true(hex_decode(want, 16, tag));
    want[0x20] = 1; /* MSG_SEQNO */
    assert_true(hex_decode(want + 0x30, 8, aad));
    assert_true(hex_decode(want + 0x60, 96, sealed));
    assert_memory_equal(page, want, sizeof page);
}

/* What the firmware would answer, sealed by hand. */
static void seal_answer(struct snp_msg_header h, const u8 key[32], const void *payload,
                        u8 page[PAGE_SIZE])
{
    u8 iv[12];
    memset(page, 0, PAGE_SIZE);
    snp_msg_iv(h.seqno, iv);
    crypto_aes256_gcm_seal(key, iv, (u8 *)&h + 0x30, 0x30, payload, page + sizeof h,
                           h.size <= SNP_MSG_PAYLOAD_MAX ? h.size : SNP_MSG_PAYLOAD_MAX, h.tag);
    memcpy(page, &h, sizeof h);
}

static struct snp_msg_header answer_header(void)
{
    return (struct snp_msg_header){.seqno = 2,
                                   .algo = 1,
                                   .header_version = 1,
                                   .header_size = 0x60,
                                   .type = SNP_MSG_KEY_RSP,
                                   .version = 1,
                                   .size = 0x40};
}

static void an_answer_moves_the_counter(void **state)
{
    struct guest_channel c = channel_of(0);
    u8 page[PAGE_SIZE], payload[SNP_MSG_PAYLOAD_MAX] = {0}, out[SNP_MSG_PAYLOAD_MAX];
    (void)state;
    payload[0x20] = 0x5a;
    seal_answer(answer_header(), c.vmpck, payload, page);
    assert_int_equal(guest_message_open(&c, SNP_MSG_KEY_REQ, 1, page, out), 0x40);
    assert_memory_equal(out, payload, 0x40);
    assert_int_equal(c.seqno, 2);
    assert_false(c.wiped);
    guest_message_seal(&c, SNP_MSG_KEY_REQ, 1, payload, 0x20, page);
    assert_int_equal(load_le64(page + 0x20), 3);
}

static void reserved_bytes_of_an_answer_do_not_matter(void **state)
{
    struct guest_channel c = channel_of(0);
    struct snp_msg_header h = answer_header();
    u8 page[PAGE_SIZE], payload[0x40] = {0}, out[SNP_MSG_PAYLOAD_MAX];
    (void)state;
    h.reserved_28 = 7;
    h.reserved_3d[3] = 9;
    seal_answer(h, c.vmpck, payload, page);
    assert_int_equal(guest_message_open(&c, SNP_MSG_KEY_REQ, 1, page, out), 0x40);
}

struct wrong {
    const char *name;
    struct snp_msg_header header;
};

#define WRONG(what, ...)                                                                           \
    {                                                                                              \
        what, .header = {                                                                          \
            .seqno = 2,                                                                            \
            .algo = 1,                                                                             \
            .header_version = 1,                                                                   \
            .header_size = 0x60,                                                                   \
            .type = SNP_MSG_KEY_RSP,                                                               \
            .version = 1,                                                                          \
            .size = 0x40,                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static void a_wrong_answer_costs_the_key(void **state)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
    static const struct wrong wrongs[] = {
        WRONG("the request's own number", .seqno = 1),
        WRONG("the number of a later answer", .seqno = 4),
        WRONG("no number", .seqno = 0),
        WRONG("another algorithm", .algo = 2),
        WRONG("another header version", .header_version = 2),
        WRONG("another header size", .header_size = 0x61),
        WRONG("the request's own type", .type = SNP_MSG_KEY_REQ),
        WRONG("another answer's type", .type = SNP_MSG_REPORT_RSP),
        WRONG("another version", .version = 2),
        WRONG("another key's number", .vmpck = 1),
        WRONG("too large", .size = SNP_MSG_PAYLOAD_MAX + 1),
    };
#pragma GCC diagnostic pop
    static const u8 zeros[SNP_VMPCK_SIZE];
    u8 page[PAGE_SIZE], payload[SNP_MSG_PAYLOAD_MAX] = {0}, out[SNP_MSG_PAYLOAD_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
        struct guest_channel c = channel_of(0);
        seal_answer(wrongs[i].header, c.vmpck, payload, page);
        print_message("# %s\n", wrongs[i].name);
        assert_int_equal(guest_message_open(&c, SNP_MSG_KEY_REQ, 1, page, out), -1);
        assert_true(c.wiped);
        assert_memory_equal(c.vmpck, zeros, sizeof zeros);
        seal_answer(answer_header(), zeros, payload, page);
        assert_int_equal(guest_message_open(&c, SNP_MSG_KEY_REQ, 1, page, out), -1);
    }
}

static void a_changed_bit_costs_the_key(void **state)
{
    static const u16 places[] = {0, 0x0f, 0x38, 0x5f, 0x60, 0x9f};
    u8 page[PAGE_SIZE], payload[0x40] = {0}, out[SNP_MSG_PAYLOAD_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        struct guest_channel c = channel_of(0);
        seal_answer(answer_header(), c.vmpck, payload, page);
        page[places[i]] ^= 0x10;
        assert_int_equal(guest_message_open(&c, SNP_MSG_KEY_REQ, 1, page, out), -1);
        assert_true(c.wiped);
    }
}

/* --- The channel and the secrets page --------------------------------------------------------- */

static void a_channel_comes_from_the_secrets_page(void **state)
{
    struct snp_secrets_page page = secrets_page();
    static const u8 zeros[SNP_VMPCK_SIZE];
    struct guest_channel c;
    (void)state;
    assert_false(guest_channel_open(&page, 1, &c)); /* empty */
    assert_false(guest_channel_open(&page, 4, &c));
    page.guest_area_0a0[8] = 6; /* the counter of VMPCK2 */
    page.guest_area_0a0[9] = 1;
    assert_true(guest_channel_open(&page, 2, &c));
    assert_int_equal(c.number, 2);
    assert_int_equal(c.seqno, 0x106);
    c.seqno += 2;
    guest_channel_store(&c, &page);
    assert_int_equal(load_le32(page.guest_area_0a0 + 8), 0x108);
    assert_int_equal(page.vmpck[2][0], 0x22);
    guest_channel_wipe(&c);
    guest_channel_store(&c, &page);
    assert_memory_equal(page.vmpck[2], zeros, sizeof zeros);
    assert_false(guest_channel_open(&page, 2, &c));
    assert_true(guest_channel_open(&page, 0, &c));
}

/* --- Requests through a carrier --------------------------------------------------------------- */

struct carrier {
    u64 exitinfo2;
    u32 calls;
    u8 type, version; /* of the last request */
    u16 size;
    u32 answer_size;
    u8 key[32];
};

static u64 carry(void *context, const u8 request[PAGE_SIZE], u8 response[PAGE_SIZE])
{
    struct carrier *c = context;
    u8 payload[SNP_MSG_PAYLOAD_MAX] = {0};
    struct snp_msg_header h;
    memcpy(&h, request, sizeof h);
    c->calls++;
    c->type = h.type;
    c->version = h.version;
    c->size = h.size;
    h.seqno++;
    h.type++;
    h.size = (u16)c->answer_size;
    if (!c->exitinfo2)
        seal_answer(h, c->key, payload, response);
    return c->exitinfo2;
}

static void a_request_finds_its_answer(void **state)
{
    struct guest_channel channel = channel_of(0);
    struct carrier c = {.answer_size = sizeof(struct snp_report_rsp)};
    struct guest_carrier carrier = {carry, &c};
    struct snp_report_rsp report;
    struct snp_key_rsp key;
    struct snp_tsc_info_rsp tsc;
    u64 info = 1;
    (void)state;
    memcpy(c.key, channel.vmpck, sizeof c.key);
    assert_int_equal(
        guest_report(&channel, &carrier, &(struct snp_report_req){.vmpl = 0}, &report, &info),
        GUEST_OK);
    assert_int_equal(info, 0);
    assert_int_equal(c.type, SNP_MSG_REPORT_REQ);
    c.answer_size = sizeof key;
    assert_int_equal(
        guest_derived_key(&channel, &carrier, 1, &(struct snp_key_req){.vmpl = 0}, &key, NULL),
        GUEST_OK);
    assert_int_equal(c.size, 0x20);
    assert_int_equal(
        guest_derived_key(&channel, &carrier, 2, &(struct snp_key_req){.vmpl = 0}, &key, NULL),
        GUEST_OK);
    assert_int_equal(c.size, 0x28);
    assert_int_equal(c.version, 2);
    c.answer_size = sizeof tsc;
    assert_int_equal(guest_tsc_info(&channel, &carrier, &tsc, NULL), GUEST_OK);
    assert_int_equal(c.size, 128);
    assert_int_equal(channel.seqno, 8);
    c.answer_size = sizeof tsc - 1;
    assert_int_equal(guest_tsc_info(&channel, &carrier, &tsc, NULL), GUEST_BAD_ANSWER);
    assert_int_equal(guest_tsc_info(&channel, &carrier, &tsc, NULL), GUEST_NO_KEY);
    assert_int_equal(c.calls, 5);
}

static void what_a_refusal_costs(void **state)
{
    struct guest_channel channel = channel_of(0);
    struct carrier c = {.exitinfo2 = GUEST_EXITINFO2(GUEST_VMM_BUSY, 0)};
    struct guest_carrier carrier = {carry, &c};
    struct snp_tsc_info_rsp tsc;
    u64 info;
    (void)state;
    assert_int_equal(guest_tsc_info(&channel, &carrier, &tsc, &info), GUEST_AGAIN);
    assert_int_equal(info, 0x200000000ull);
    c.exitinfo2 = GUEST_EXITINFO2(GUEST_VMM_INVALID_LEN, 0);
    assert_int_equal(guest_tsc_info(&channel, &carrier, &tsc, &info), GUEST_AGAIN);
    assert_false(channel.wiped);
    c.exitinfo2 = GUEST_EXITINFO2(0, 0x16);
    assert_int_equal(guest_tsc_info(&channel, &carrier, &tsc, &info), GUEST_REFUSED);
    assert_int_equal(info, 0x16);
    assert_true(channel.wiped);
    assert_non_null(strstr(guest_result_text(GUEST_REFUSED), "refused"));
}

static void a_counter_ends_at_32_bits(void **state)
{
    struct guest_channel channel = channel_of(0);
    struct carrier c = {.answer_size = sizeof(struct snp_tsc_info_rsp)};
    struct guest_carrier carrier = {carry, &c};
    struct snp_tsc_info_rsp tsc;
    (void)state;
    memcpy(c.key, channel.vmpck, sizeof c.key);
    channel.seqno = 0xfffffffc;
    assert_int_equal(guest_tsc_info(&channel, &carrier, &tsc, NULL), GUEST_OK);
    assert_int_equal(channel.seqno, 0xfffffffe);
    assert_int_equal(guest_tsc_info(&channel, &carrier, &tsc, NULL), GUEST_NO_COUNT);
    assert_int_equal(c.calls, 1);
    assert_false(channel.wiped);
}

/* --- Certificates ----------------------------------------------------------------------------- */

static void a_table_of_certificates(void **state)
{
    static const struct guest_certificate in[] = {
        {.kind = GUEST_CERTIFICATE_VCEK, .data = "vcek", .size = 4},
        {.kind = GUEST_CERTIFICATE_CRL, .data = "", .size = 0},
        {.kind = GUEST_CERTIFICATE_ARK, .data = "the root", .size = 8},
        {.kind = GUEST_CERTIFICATE_OTHER, .guid = {1, 2, 3}, .data = "x", .size = 1},
    };
    struct guest_certificate out[GUEST_CERTIFICATES_MAX];
    u8 table[200], vcek[16], ark[16];
    (void)state;
    size_t size = guest_certificates_write(in, ARRAY_SIZE(in), table, sizeof table);
    assert_int_equal(size, 4 * 24 + 4 + 8 + 1);
    assert_true(hex_decode(vcek, 16, "63da758de6644564adc5f4b93be8accd"));
    assert_true(hex_decode(ark, 16, "c0b406a4a803495297433fb6014cd0ae"));
    assert_memory_equal(table, vcek, 16);
    assert_int_equal(load_le32(table + 16), 96);
    assert_int_equal(load_le32(table + 20), 4);
    assert_memory_equal(table + 24, ark, 16);
    assert_memory_equal(table + 96, "vcekthe rootx", 13);
    assert_int_equal(guest_certificates_read(table, size, out), 3);
    assert_int_equal(out[1].kind, GUEST_CERTIFICATE_ARK);
    assert_memory_equal(out[1].data, "the root", 8);
    assert_int_equal(out[2].kind, GUEST_CERTIFICATE_OTHER);
    assert_int_equal(out[2].guid[2], 3);
    assert_int_equal(guest_certificates_write(in, ARRAY_SIZE(in), table, size - 1), size);
    assert_string_equal(guest_certificate_name(GUEST_CERTIFICATE_ASK), "ASK");
}

static void a_broken_table_is_refused(void **state)
{
    struct guest_certificate out[GUEST_CERTIFICATES_MAX];
    u8 table[24 * 40] = {0};
    (void)state;
    assert_int_equal(guest_certificates_read(table, 24, out), 0);
    assert_int_equal(guest_certificates_read(table, 23, out), -1); /* no room for the end */
    table[0] = 1;
    assert_int_equal(guest_certificates_read(table, 24, out), -1); /* no end */
    store_le32(table + 16, 48);
    store_le32(table + 20, 8);
    assert_int_equal(guest_certificates_read(table, 56, out), 1);
    assert_int_equal(guest_certificates_read(table, 55, out), -1); /* an object outside */
    store_le32(table + 16, 0xfffffff8);
    assert_int_equal(guest_certificates_read(table, 56, out), -1); /* it would wrap */
    for (u32 i = 0; i < 40; i++)
        table[i * 24] = 1;
    store_le32(table + 16, 0);
    assert_int_equal(guest_certificates_read(table, sizeof table, out), -1); /* too many */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_the_specifications_vector),
        cmocka_unit_test(an_answer_moves_the_counter),
        cmocka_unit_test(reserved_bytes_of_an_answer_do_not_matter),
        cmocka_unit_test(a_wrong_answer_costs_the_key),
        cmocka_unit_test(a_changed_bit_costs_the_key),
        cmocka_unit_test(a_channel_comes_from_the_secrets_page),
        cmocka_unit_test(a_request_finds_its_answer),
        cmocka_unit_test(what_a_refusal_costs),
        cmocka_unit_test(a_counter_ends_at_32_bits),
        cmocka_unit_test(a_table_of_certificates),
        cmocka_unit_test(a_broken_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
