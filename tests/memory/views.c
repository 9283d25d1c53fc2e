/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and views: what each reader sees, what flipping costs, what leaves with a key. */
#include "memory/memory.h"
#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define FRAMES 16u

static const u8 key_a[16] = "key of guest A.", key_b[16] = "key of guest B.";

struct fixture {
    struct memory *memory;
    struct memory_listener listener;
    u64 lost_frame, written_frame, marked_frame;
    u32 lost, all_lost, written, written_offset, written_size, marked;
};

/* A known tweak key, so that a test can compute ciphertext itself. */
static void fill_counting(void *context, void *out, size_t count)
{
    u8 *next = context, *p = out;
    while (count--)
        *p++ = (*next)++;
}

static void on_lost(void *context, u64 frame)
{
    struct fixture *f = context;
    f->lost++;
    f->lost_frame = frame;
}

static void on_mappings_lost(void *context)
{
    struct fixture *f = context;
    f->all_lost++;
}

static void on_code_written(void *context, u64 frame, u32 offset, u32 size)
{
    struct fixture *f = context;
    f->written++;
    f->written_frame = frame;
    f->written_offset = offset;
    f->written_size = size;
}

static void on_code_marked(void *context, u64 frame)
{
    struct fixture *f = context;
    f->marked++;
    f->marked_frame = frame;
}

static int setup(void **state)
{
    static struct fixture fixture;
    u8 next = 0;
    struct random_source random = {.fill = fill_counting, .context = &next};
    struct memory_config config = {.size = FRAMES * PAGE_SIZE, .asids = 8, .random = &random};
    fixture = (struct fixture){.memory = memory_create(&config)};
    fixture.listener = (struct memory_listener){.frame_lost = on_lost,
                                                .mappings_lost = on_mappings_lost,
                                                .code_written = on_code_written,
                                                .code_marked = on_code_marked,
                                                .context = &fixture};
    memory_listen(fixture.memory, &fixture.listener);
    *state = &fixture;
    return !(memory_key_load(fixture.memory, 1, key_a) &&
             memory_key_load(fixture.memory, 2, key_b));
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    memory_destroy(f->memory);
    return 0;
}

static void pattern(u8 *out, size_t size, u8 seed)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (u8)(seed + i * 7);
}

static void a_guest_reads_what_it_wrote(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 out[6000], in[6000];
    pattern(in, sizeof in, 3);
    assert_true(memory_write(m, 100, 1, in, sizeof in));
    assert_true(memory_read(m, 100, 1, out, sizeof out));
    assert_memory_equal(in, out, sizeof in);
}

static void the_host_reads_the_ciphertext_that_xts_gives(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 in[PAGE_SIZE], raw[PAGE_SIZE], want[PAGE_SIZE];
    u8 tweak[16];
    for (u8 i = 0; i < 16; i++)
        tweak[i] = i; /* the first 16 random bytes of the machine */
    pattern(in, sizeof in, 9);
    memory_write(m, 5 * PAGE_SIZE, 1, in, sizeof in);
    memory_read(m, 5 * PAGE_SIZE, KEY_RAW, raw, sizeof raw);
    struct page_cipher *cipher = page_cipher_create(key_a, tweak);
    page_encrypt(cipher, 5, in, want);
    page_cipher_free(cipher);
    assert_memory_equal(raw, want, sizeof raw);
    assert_memory_not_equal(raw, in, 16);
}

static void another_guests_key_gives_garbage(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 in[64], out[64];
    pattern(in, sizeof in, 1);
    memory_write(m, 0, 1, in, sizeof in);
    memory_read(m, 0, 2, out, sizeof out);
    for (size_t i = 0; i < sizeof in; i += 16)
        assert_memory_not_equal(in + i, out + i, 16);
    memory_read(m, 0, 1, out, sizeof out); /* nothing was lost by looking */
    assert_memory_equal(in, out, sizeof in);
}

static void
equal_plaintext_elsewhere_is_other_ciphertext_and_moved_ciphertext_is_garbage(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 in[PAGE_SIZE] = {0}, raw_3[PAGE_SIZE], raw_4[PAGE_SIZE], out[PAGE_SIZE];
    memory_write(m, 3 * PAGE_SIZE, 1, in, sizeof in);
    memory_write(m, 4 * PAGE_SIZE, 1, in, sizeof in);
    memory_read(m, 3 * PAGE_SIZE, KEY_RAW, raw_3, sizeof raw_3);
    memory_read(m, 4 * PAGE_SIZE, KEY_RAW, raw_4, sizeof raw_4);
    for (size_t i = 0; i < PAGE_SIZE; i += 16) {
        assert_memory_not_equal(raw_3 + i, raw_4 + i, 16);
        if (i)
            assert_memory_not_equal(raw_3, raw_3 + i, 16); /* and no block repeats in the frame */
    }
    memory_write(m, 4 * PAGE_SIZE, KEY_RAW, raw_3, sizeof raw_3);
    memory_read(m, 4 * PAGE_SIZE, 1, out, sizeof out);
    assert_memory_not_equal(out, in, 16);
    /* replayed at its place: decrypts */
    memory_write(m, 3 * PAGE_SIZE, KEY_RAW, raw_3, sizeof raw_3);
    memory_read(m, 3 * PAGE_SIZE, 1, out, sizeof out);
    assert_memory_equal(out, in, sizeof in);
}

static void writing_ciphertext_spoils_sixteen_bytes(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 in[64], out[64], byte;
    pattern(in, sizeof in, 4);
    memory_write(m, 0, 1, in, sizeof in);
    memory_read(m, 20, KEY_RAW, &byte, 1);
    byte ^= 1;
    memory_write(m, 20, KEY_RAW, &byte, 1);
    memory_read(m, 0, 1, out, sizeof out);
    assert_memory_equal(in, out, 16);
    assert_memory_not_equal(in + 16, out + 16, 16);
    assert_memory_equal(in + 32, out + 32, 32);
}

static void when_a_key_leaves_its_slot_the_ciphertext_stays_and_the_key_is_gone(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 in[32], raw[32], out[32];
    pattern(in, sizeof in, 8);
    memory_write(m, 0, 1, in, sizeof in);
    memory_peek(m, 0, KEY_RAW, raw, sizeof raw);
    assert_int_equal(memory_private_frames(m, 1), 1);
    memory_key_unload(m, 1);
    assert_int_equal(memory_private_frames(m, 1), 0);
    memory_read(m, 0, 1, out, sizeof out);
    assert_memory_equal(out, raw, sizeof raw); /* an empty slot does not decrypt */
    memory_key_load(m, 1, key_b);
    memory_read(m, 0, 1, out, sizeof out);
    assert_memory_not_equal(out, in, 16);
    memory_key_unload(m, 1);
    memory_key_load(m, 1, key_a);
    memory_read(m, 0, 1, out, sizeof out);
    assert_memory_equal(out, in, sizeof in);
}

static void peeking_leaves_the_frame_in_its_view(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 in[40], raw[40], peeked[40];
    pattern(in, sizeof in, 2);
    memory_write(m, PAGE_SIZE - 20, 1, in, sizeof in);
    u64 flips = memory_statistics(m).flips;
    memory_peek(m, PAGE_SIZE - 20, KEY_RAW, peeked, sizeof peeked);
    assert_int_equal(memory_statistics(m).flips, flips);
    memory_read(m, PAGE_SIZE - 20, KEY_RAW, raw, sizeof raw);
    assert_memory_equal(raw, peeked, sizeof raw);
    memory_peek(m, PAGE_SIZE - 20, 1, peeked, sizeof peeked);
    assert_memory_equal(in, peeked, sizeof in);
}

static void the_firmwares_view_is_nobody_elses(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 in[16] = "context page", out[16];
    memory_write(m, 0, KEY_FIRMWARE, in, sizeof in);
    memory_peek(m, 0, KEY_RAW, out, sizeof out);
    assert_memory_not_equal(in, out, sizeof in);
    memory_peek(m, 0, 1, out, sizeof out);
    assert_memory_not_equal(in, out, sizeof in);
    memory_read(m, 0, KEY_FIRMWARE, out, sizeof out);
    assert_memory_equal(in, out, sizeof in);
}

struct measured {
    u8 bytes[2 * PAGE_SIZE];
    size_t size;
};

static void collect(void *context, const void *bytes, size_t size)
{
    struct measured *measured = context;
    assert_true(measured->size + size <= sizeof measured->bytes);
    memcpy(measured->bytes + measured->size, bytes, size);
    measured->size += size;
}

static void launch_measures_raw_bytes_and_makes_them_the_guests(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    static u8 in[PAGE_SIZE + 48], out[PAGE_SIZE + 48];
    struct measured measured = {.size = 0};
    pattern(in, sizeof in, 5);
    memory_write(m, 2 * PAGE_SIZE, KEY_RAW, in, sizeof in);
    struct memory_statistics before = memory_statistics(m);
    assert_true(memory_launch(m, 2 * PAGE_SIZE, sizeof in, 1, collect, &measured));
    /* the part, not the frame */
    assert_int_equal(memory_statistics(m).decryptions, before.decryptions + 1);
    assert_int_equal(measured.size, sizeof in);
    assert_memory_equal(measured.bytes, in, sizeof in);
    memory_read(m, 2 * PAGE_SIZE, 1, out, sizeof out);
    assert_memory_equal(in, out, sizeof in);
    memory_read(m, 2 * PAGE_SIZE, KEY_RAW, out, sizeof out);
    assert_memory_not_equal(in, out, 16);
}

static void launching_a_page_again_measures_its_ciphertext(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    static u8 in[PAGE_SIZE], raw[PAGE_SIZE];
    struct measured first = {.size = 0}, second = {.size = 0};
    memory_write(m, 0, KEY_RAW, in, sizeof in);
    memory_launch(m, 0, PAGE_SIZE, 1, collect, &first);
    memory_peek(m, 0, KEY_RAW, raw, sizeof raw);
    memory_launch(m, 0, PAGE_SIZE, 1, collect, &second);
    assert_memory_equal(first.bytes, in, PAGE_SIZE);
    assert_memory_equal(second.bytes, raw, PAGE_SIZE);
}

static void cores_are_told_before_a_frame_changes_hands(void **state)
{
    struct fixture *f = *state;
    u8 byte = 1;
    assert_non_null(memory_map(f->memory, 6, 1));
    memory_write(f->memory, 6 * PAGE_SIZE, 1, &byte, 1); /* same view: nothing to tell */
    assert_int_equal(f->lost, 0);
    memory_read(f->memory, 6 * PAGE_SIZE, KEY_RAW, &byte, 1);
    assert_int_equal(f->lost, 1);
    assert_int_equal(f->lost_frame, 6);
    memory_read(f->memory, 6 * PAGE_SIZE, 1, &byte, 1); /* told once; nobody maps it now */
    assert_int_equal(f->lost, 1);
    assert_non_null(memory_map(f->memory, 6, 1));
    f->all_lost = 0;
    memory_key_unload(f->memory, 1); /* many may go: first all mappings, then each frame */
    assert_int_equal(f->all_lost, 1);
    assert_int_equal(f->lost, 2);
    assert_int_equal(f->lost_frame, 6);
}

static void writes_to_code_are_reported(void **state)
{
    struct fixture *f = *state;
    u8 data[8] = {0};
    memory_map(f->memory, 7, KEY_RAW);
    memory_mark_code(f->memory, 7, true);
    memory_write(f->memory, 7 * PAGE_SIZE + 100, KEY_RAW, data, sizeof data);
    assert_int_equal(f->written, 1);
    assert_int_equal(f->written_frame, 7);
    assert_int_equal(f->written_offset, 100);
    assert_int_equal(f->written_size, 8);
}

/* Of two cores that have decoded from a frame, one may be the only one left. */
static void a_frame_holds_code_as_long_as_any_core_says_so(void **state)
{
    struct fixture *f = *state;
    u8 data[8] = {0};
    memory_map(f->memory, 7, KEY_RAW);
    assert_false(memory_holds_code(f->memory, 7));
    memory_mark_code(f->memory, 7, true);
    assert_int_equal(f->marked, 1);
    assert_int_equal(f->marked_frame, 7);
    memory_mark_code(f->memory, 7, true);
    assert_int_equal(f->marked, 1); /* stores come by memory_code_write already */
    memory_mark_code(f->memory, 7, false);
    assert_true(memory_holds_code(f->memory, 7));
    memory_write(f->memory, 7 * PAGE_SIZE, KEY_RAW, data, sizeof data);
    memory_code_write(f->memory, 7, 8, 2);
    assert_int_equal(f->written, 2);
    assert_int_equal(f->written_offset, 8);
    memory_mark_code(f->memory, 7, false);
    assert_false(memory_holds_code(f->memory, 7));
    memory_mark_code(f->memory, 7, true);
    assert_int_equal(f->marked, 2);
    memory_read(f->memory, 7 * PAGE_SIZE, 1, data,
                sizeof data); /* another view: all of it is gone */
    assert_false(memory_holds_code(f->memory, 7));
    assert_false(memory_holds_code(f->memory, FRAMES));
}

static void nothing_outside_dram(void **state)
{
    struct memory *m = ((struct fixture *)*state)->memory;
    u8 data[16] = {0};
    u64 end = FRAMES * PAGE_SIZE;
    assert_false(memory_read(m, end - 8, KEY_RAW, data, sizeof data));
    assert_false(memory_write(m, ~0ull - 4, 1, data, sizeof data));
    assert_false(memory_peek(m, end, KEY_RAW, data, 1));
    assert_false(memory_launch(m, end - PAGE_SIZE, 2 * PAGE_SIZE, 1, collect, NULL));
    assert_null(memory_map(m, FRAMES, KEY_RAW));
    assert_true(memory_read(m, end, KEY_RAW, data, 0));
    assert_false(memory_key_load(m, 0, key_a));
    assert_false(memory_key_load(m, 9, key_a));
    assert_false(memory_key_load(m, 1, key_b)); /* taken */
}

static void a_sealed_vmsa_is_intact_until_its_bytes_change(void **state)
{
    struct fixture *f = *state;
    struct memory *m = f->memory;
    u8 raw[PAGE_SIZE], byte = 7;
    u64 spa = 3 * PAGE_SIZE;
    assert_true(memory_write(m, spa, 1, "registers", 9));
    assert_false(memory_vmsa_intact(m, spa, 1));
    memory_vmsa_seal(m, spa, 1);
    assert_true(memory_vmsa_intact(m, spa, 1));
    assert_false(memory_vmsa_intact(m, spa, 2));
    assert_true(memory_read(m, spa, KEY_RAW, raw, sizeof raw)); /* a look is no change */
    assert_true(memory_vmsa_intact(m, spa, 1));
    assert_true(memory_write(m, spa + 0xfbf, 1, &byte, 1));
    assert_false(memory_vmsa_intact(m, spa, 1));
    assert_true(memory_write(m, spa, KEY_RAW, raw, sizeof raw));
    assert_true(memory_vmsa_intact(m, spa, 1));
    assert_true(memory_write(m, spa + 0xfc0, 1, &byte, 1)); /* behind what is covered */
    assert_true(memory_vmsa_intact(m, spa, 1));
    assert_false(memory_vmsa_intact(m, spa + 16, 1));
    memory_vmsa_seal(m, FRAMES * PAGE_SIZE, 1);
    assert_false(memory_vmsa_intact(m, FRAMES * PAGE_SIZE, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_guest_reads_what_it_wrote),
        TEST(the_host_reads_the_ciphertext_that_xts_gives),
        TEST(another_guests_key_gives_garbage),
        TEST(equal_plaintext_elsewhere_is_other_ciphertext_and_moved_ciphertext_is_garbage),
        TEST(writing_ciphertext_spoils_sixteen_bytes),
        TEST(when_a_key_leaves_its_slot_the_ciphertext_stays_and_the_key_is_gone),
        TEST(peeking_leaves_the_frame_in_its_view),
        TEST(the_firmwares_view_is_nobody_elses),
        TEST(launch_measures_raw_bytes_and_makes_them_the_guests),
        TEST(launching_a_page_again_measures_its_ciphertext),
        TEST(cores_are_told_before_a_frame_changes_hands),
        TEST(writes_to_code_are_reported),
        TEST(a_frame_holds_code_as_long_as_any_core_says_so),
        TEST(a_sealed_vmsa_is_intact_until_its_bytes_change),
        TEST(nothing_outside_dram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
