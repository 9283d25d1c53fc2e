/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and derivations of the secret exchange, and the agent's end against a counterpart written
 * here. */
#include "base/bytes.h"
#include "guest/secret_exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* RFC 5869, test cases 1 and 3. */
static void hkdf_is_the_standards(void **state)
{
    u8 ikm[22], salt[13], info[10], want[42], out[42];
    (void)state;
    memset(ikm, 0x0b, sizeof ikm);
    assert_true(hex_decode(salt, sizeof salt, "000102030405060708090a0b0c"));
    assert_true(hex_decode(info, sizeof info, "f0f1f2f3f4f5f6f7f8f9"));
    assert_true(
        hex_decode(want, sizeof want,
                   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208"
                   "d5b887185865"));
    secret_hkdf_sha256(salt, sizeof salt, ikm, sizeof ikm, info, sizeof info, out, sizeof out);
    assert_memory_equal(out, want, sizeof want);
    assert_true(
        hex_decode(want, sizeof want,
                   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395"
                   "faa4b61a96c8"));
    secret_hkdf_sha256("", 0, ikm, sizeof ikm, "", 0, out, sizeof out);
    assert_memory_equal(out, want, sizeof want);
}

static void frames_are_bounded(void **state)
{
    u8 frame[64];
    size_t size = secret_frame_write(SECRET_HELLO, "0123", 4, frame, sizeof frame), payload;
    (void)state;
    assert_int_equal(size, 20);
    assert_memory_equal(frame,
                        "SSX1\1\0\0\0\4\0\0\0\0\0\0\0"
                        "0123",
                        20);
    assert_int_equal(secret_frame_size(frame), 20);
    assert_ptr_equal(secret_frame_payload(frame, 20, SECRET_HELLO, &payload), frame + 16);
    assert_int_equal(payload, 4);
    assert_null(secret_frame_payload(frame, 20, SECRET_DONE, &payload));
    assert_null(secret_frame_payload(frame, 19, SECRET_HELLO, &payload));
    assert_null(secret_frame_payload(frame, 21, SECRET_HELLO, &payload));
    assert_null(secret_frame_payload(frame, 3, SECRET_HELLO, &payload));
    assert_int_equal(secret_frame_write(SECRET_HELLO, "0123", 4, frame, 19), 0);
    store_le32(frame + 8, SECRET_FRAME_MAX - 15);
    assert_int_equal(secret_frame_size(frame), 0);
    store_le32(frame + 8, 0xfffffff0);
    assert_int_equal(secret_frame_size(frame), 0);
    store_le32(frame + 8, 4);
    frame[12] = 1;
    assert_int_equal(secret_frame_size(frame), 0);
    frame[12] = 0;
    frame[0] = 'T';
    assert_int_equal(secret_frame_size(frame), 0);
}

struct bench {
    struct crypto *crypto;
    struct secret_agent agent;
    u8 nonce[SECRET_NONCE_SIZE], report_data[64];
    struct snp_report report;
    u8 evidence[4096], sealed[4096];
    size_t evidence_size, sealed_size;
};

static const u8 secret[] = "for the guest alone";

static void start(struct bench *b)
{
    u8 frame[64];
    memset(b, 0, sizeof *b);
    b->crypto = crypto_create("guest_secret", 12);
    memset(b->nonce, 0x4e, sizeof b->nonce);
    size_t size = secret_frame_write(SECRET_HELLO, b->nonce, sizeof b->nonce, frame, sizeof frame);
    assert_true(secret_agent_start(&b->agent, b->crypto, frame, size, b->report_data));
    b->report.version = 3;
    memcpy(b->report.report_data, b->report_data, 64);
    b->evidence_size =
        secret_agent_evidence(&b->agent, &b->report, NULL, 0, b->evidence, sizeof b->evidence);
    assert_true(b->evidence_size);
}

/* What an honest owner would send. */
static void seal(struct bench *b)
{
    struct secret_evidence e;
    struct ec_private mine;
    struct secret_key key;
    assert_true(secret_evidence_read(b->evidence, b->evidence_size, &e));
    assert_true(crypto_ec_generate(b->crypto, &mine));
    const struct secret_transcript t = {b->nonce, &e.key, &mine.public, &e.report};
    assert_true(secret_derive(&mine, &e.key, &t, &key));
    b->sealed_size =
        secret_sealed_write(&key, &mine.public, secret, sizeof secret, b->sealed, sizeof b->sealed);
    assert_true(b->sealed_size);
}

/* A frame has its place, or is not written at all. */
static void a_secret_has_its_size(void **state)
{
    static const u8 long_secret[SECRET_SIZE_MAX + 1];
    static u8 frame[SECRET_FRAME_MAX];
    const size_t head = SECRET_FRAME_HEADER + 96 + 16 + 4; /* point, tag, size */
    const struct secret_key key = {.iv = {1}};
    const struct ec_public point = {.x = {1}};
    struct secret_sealed sealed;
    (void)state;
    memset(frame, 0xee, sizeof frame);
    assert_int_equal(secret_sealed_write(&key, &point, secret, 5, frame, head + 4), 0);
    assert_int_equal(frame[SECRET_FRAME_HEADER], 0xee);
    assert_int_equal(secret_sealed_write(&key, &point, secret, 5, frame, head + 5), head + 5);
    assert_true(secret_sealed_read(frame, head + 5, &sealed));
    assert_int_equal(sealed.size, 5);
    assert_int_equal(
        secret_sealed_write(&key, &point, long_secret, SECRET_SIZE_MAX + 1, frame, sizeof frame),
        0);
    size_t size =
        secret_sealed_write(&key, &point, long_secret, SECRET_SIZE_MAX, frame, sizeof frame);
    assert_int_equal(size, head + SECRET_SIZE_MAX);
    assert_true(secret_sealed_read(frame, size, &sealed));
    store_le32(frame + head - 4, SECRET_SIZE_MAX + 1);
    assert_false(secret_sealed_read(frame, size, &sealed));
    assert_int_equal(secret_frame_write(SECRET_HELLO, long_secret, SECRET_FRAME_MAX - 15, frame,
                                        2 * SECRET_FRAME_MAX),
                     0);
}

static s64 opened(struct bench *b)
{
    u8 out[64] = {0};
    s64 size = secret_agent_open(&b->agent, b->sealed, b->sealed_size, out, sizeof out);
    if (size >= 0)
        assert_memory_equal(out, secret, sizeof secret);
    return size;
}

static void a_secret_comes_through(void **state)
{
    struct bench b;
    struct secret_evidence e;
    u8 text[33 + 1 + 32 + 96], want[48];
    (void)state;
    start(&b);
    /* REPORT_DATA by hand. */
    assert_true(secret_evidence_read(b.evidence, b.evidence_size, &e));
    memcpy(text, "softsev secret exchange 1: report", 34);
    memcpy(text + 34, b.nonce, 32);
    memcpy(text + 66, &e.key, 96);
    crypto_sha384(text, sizeof text, want);
    assert_memory_equal(b.report_data, want, 48);
    assert_int_equal(b.report_data[48] | b.report_data[63], 0);
    seal(&b);
    assert_int_equal(opened(&b), sizeof secret);
    assert_int_equal(opened(&b), -1); /* the key was for once */
    crypto_destroy(b.crypto);
}

static void a_changed_frame_gives_nothing(void **state)
{
    struct bench b;
    (void)state;
    for (size_t at = 0; at < 16 + 96 + 16 + 4 + sizeof secret; at += 7) {
        start(&b);
        seal(&b);
        b.sealed[at] ^= 0x20;
        assert_int_equal(opened(&b), -1);
        crypto_destroy(b.crypto);
    }
    start(&b);
    seal(&b);
    b.sealed_size--;
    assert_int_equal(opened(&b), -1);
    crypto_destroy(b.crypto);
}

/* Each thing that was said is part of the key. */
static void another_transcript_gives_nothing(void **state)
{
    struct bench b;
    (void)state;
    start(&b);
    seal(&b);
    b.agent.report.measurement[0] ^= 1;
    assert_int_equal(opened(&b), -1);
    crypto_destroy(b.crypto);
    start(&b);
    seal(&b);
    b.agent.nonce[31] ^= 1;
    assert_int_equal(opened(&b), -1);
    crypto_destroy(b.crypto);
}

static void evidence_that_is_none(void **state)
{
    struct bench b;
    struct secret_evidence e;
    u8 frame[64];
    (void)state;
    start(&b);
    for (size_t size = 0; size < b.evidence_size; size += 61)
        assert_false(secret_evidence_read(b.evidence, size, &e));
    b.evidence[b.evidence_size - 4] = 1; /* a table that is not there */
    assert_false(secret_evidence_read(b.evidence, b.evidence_size, &e));
    assert_int_equal(secret_agent_evidence(&b.agent, &b.report, NULL, 0, b.evidence, 100), 0);
    assert_int_equal(secret_agent_evidence(&b.agent, &b.report, NULL, 0, b.evidence, 3), 0);
    size_t size = secret_frame_write(SECRET_HELLO, b.nonce, 31, frame, sizeof frame);
    assert_false(secret_agent_start(&b.agent, b.crypto, frame, size, b.report_data));
    crypto_destroy(b.crypto);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hkdf_is_the_standards),
        cmocka_unit_test(frames_are_bounded),
        cmocka_unit_test(a_secret_has_its_size),
        cmocka_unit_test(a_secret_comes_through),
        cmocka_unit_test(a_changed_frame_gives_nothing),
        cmocka_unit_test(another_transcript_gives_nothing),
        cmocka_unit_test(evidence_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
