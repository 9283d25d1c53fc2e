/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: blocks, links, exact counts, self-modifying code, strings, faults. */
#include "harness.h"

#include <stdarg.h>
#include <cmocka.h>

#define RUN(h, text) harness_code((h), ASM(text), &done)

static u64 done;

static int setup(void **state)
{
    static struct harness h;
    *state = &h;
    return !harness_create(&h);
}

static int teardown(void **state)
{
    harness_destroy(*state);
    return 0;
}

static struct harness *begin(void **state, enum harness_mode mode)
{
    struct harness *h = *state;
    harness_reset(h, mode);
    return h;
}

static void a_snippet_runs_to_its_hlt(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    u64 exit = RUN(h, "mov eax, 5; lea rbx, [rax + 7]");
    assert_int_equal(exit, EXIT_HLT);
    assert_int_equal(h->cpu->arch.r[RBX], 12);
    assert_int_equal(h->cpu->arch.rip, HARNESS_CODE + 9);
    assert_int_equal(done, 2); /* HLT was intercepted: it does not count */
}

static void a_loop_counts_every_instruction(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    RUN(h, "   mov ecx, 1000\n"
           "2: add rax, rcx\n"
           "   dec ecx\n"
           "   jnz 2b");
    assert_int_equal(h->cpu->arch.r[RAX], 500500);
    assert_int_equal(done, 1 + 3 * 1000);
}

static void the_budget_ends_at_any_instruction(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    harness_write_code(h, HARNESS_CODE, ASM("2: inc eax; inc ebx; inc ecx; jmp 2b"));
    u64 total = 0;
    for (u64 budget = 1; budget < 100; budget++) {
        total += budget;
        assert_int_equal(harness_run(h, budget, &done), EXIT_INTR);
        assert_int_equal(done, budget);
        assert_int_equal(h->cpu->arch.r[RAX], (total + 3) / 4);
        assert_int_equal(h->cpu->arch.r[RBX], (total + 2) / 4);
        assert_int_equal(h->cpu->arch.r[RCX], (total + 1) / 4);
    }
}

static void calls_and_returns_find_their_way(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    RUN(h, "   mov ecx, 100\n"
           "2: call 3f\n"
           "   dec ecx\n"
           "   jnz 2b\n"
           "   hlt\n"
           "3: inc rax\n"
           "   ret");
    assert_int_equal(h->cpu->arch.r[RAX], 100);
    assert_int_equal(h->cpu->arch.r[RSP], HARNESS_STACK);
    assert_int_equal(done, 1 + 100 * 5);
}

static void a_fault_gives_back_what_was_not_done(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    harness_page(h, HARNESS_DATA, 0);
    u64 exit = RUN(h, "inc eax; mov ebx, 0x200000; mov [rbx + 8], eax; inc eax; inc eax");
    harness_page(h, HARNESS_DATA, PTE_P | PTE_RW | PTE_US);
    assert_int_equal(exit, EXIT_EXCEPTION + VECTOR_PF);
    assert_int_equal(h->cpu->guest.exit_info_2, HARNESS_DATA + 8);
    assert_int_equal(h->cpu->arch.rip, HARNESS_CODE + 7);
    assert_int_equal(h->cpu->arch.r[RAX], 1);
    assert_int_equal(done, 2);
}

static void code_that_changes_itself_is_decoded_again(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    for (u32 i = 0; i < 3; i++) {
        harness_reset(h, HARNESS_64);
        RUN(h, "mov ebx, 0x10000\n" /* HARNESS_CODE */
               "mov al, 9\n"
               "mov [rbx + 11], al\n" /* the immediate of the next instruction */
               "mov cl, 1");
        assert_int_equal(h->cpu->arch.r[RCX], 9);
        assert_int_equal(done, 4);
    }
}

static void a_patched_jump_target_is_seen(void **state)
{
    /* The function is called twice; in between its INC EAX becomes DEC EAX. */
    struct harness *h = begin(state, HARNESS_64);
    RUN(h, "   call 2f\n"
           "   lea rbx, [rip + 2f]\n"
           "   mov byte ptr [rbx + 1], 0xc8\n"
           "   call 2f\n"
           "   hlt\n"
           "2: inc eax\n"
           "   ret");
    assert_int_equal(h->cpu->arch.r[RAX], 0);
    assert_int_equal(done, 8);
}

static void an_instruction_in_two_pages_runs(void **state)
{
    /* ADD has three bytes in each page. */
    struct code code = ASM("mov ecx, 10; 2: .byte 0x48, 0x05, 1, 0, 0, 0; dec ecx; jnz 2b; hlt");
    struct harness *h = begin(state, HARNESS_64);
    u64 at = HARNESS_CODE + PAGE_SIZE - 8;
    harness_write_code(h, at, code);
    h->cpu->arch.rip = at;
    assert_int_equal(harness_run(h, 1000, &done), EXIT_HLT);
    assert_int_equal(h->cpu->arch.r[RAX], 10);
    assert_int_equal(done, 31);
    static const u8 two[] = {2};
    harness_write(h, at + 8, two, 1); /* in the second page: its block must go */
    harness_reset(h, HARNESS_64);
    h->cpu->arch.rip = at;
    harness_run(h, 1000, &done);
    assert_int_equal(h->cpu->arch.r[RAX], 10 * 0x201);
}

static void rep_movs_crosses_pages_and_counts(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    u8 from[9000], to[9000];
    for (u32 i = 0; i < sizeof from; i++)
        from[i] = (u8)(i * 7);
    harness_write(h, HARNESS_DATA + 100, from, sizeof from);
    h->cpu->arch.r[RSI] = HARNESS_DATA + 100;
    h->cpu->arch.r[RDI] = HARNESS_DATA + 0x10000;
    h->cpu->arch.r[RCX] = sizeof from;
    RUN(h, "rep movsb");
    harness_read(h, HARNESS_DATA + 0x10000, to, sizeof to);
    assert_memory_equal(from, to, sizeof to);
    assert_int_equal(h->cpu->arch.r[RCX], 0);
    assert_int_equal(h->cpu->arch.r[RSI], HARNESS_DATA + 100 + sizeof from);
    assert_int_equal(done, sizeof from);
}

static void rep_stos_stops_at_the_deadline_and_goes_on(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    harness_write_code(h, HARNESS_CODE, ASM("rep stosb; hlt"));
    h->cpu->arch.r[RDI] = HARNESS_DATA;
    h->cpu->arch.r[RCX] = 1000;
    assert_int_equal(harness_run(h, 300, &done), EXIT_INTR);
    assert_int_equal(done, 300);
    assert_int_equal(h->cpu->arch.r[RCX], 700);
    assert_int_equal(h->cpu->arch.rip, HARNESS_CODE);
    assert_int_equal(harness_run(h, 700, &done), EXIT_INTR);
    assert_int_equal(done, 700);
    assert_int_equal(h->cpu->arch.r[RCX], 0);
    assert_int_equal(h->cpu->arch.rip, HARNESS_CODE + 2);
    assert_int_equal(harness_run(h, 700, &done), EXIT_HLT);
    assert_int_equal(done, 0);
}

static void rep_movs_stops_at_the_fault(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    harness_page(h, HARNESS_DATA + 0x3000, 0);
    h->cpu->arch.r[RSI] = HARNESS_DATA;
    h->cpu->arch.r[RDI] = HARNESS_DATA + 0x2ff0;
    h->cpu->arch.r[RCX] = 5;
    u64 exit = RUN(h, "rep movsq");
    harness_page(h, HARNESS_DATA + 0x3000, PTE_P | PTE_RW | PTE_US);
    assert_int_equal(exit, EXIT_EXCEPTION + VECTOR_PF);
    assert_int_equal(h->cpu->arch.r[RCX], 3);
    assert_int_equal(h->cpu->arch.r[RDI], HARNESS_DATA + 0x3000);
    assert_int_equal(done, 2);
}

static void an_overlapping_rep_movs_repeats_the_pattern(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    static const u8 pattern[3] = {1, 2, 3};
    u8 to[30];
    harness_write(h, HARNESS_DATA, pattern, 3);
    h->cpu->arch.r[RSI] = HARNESS_DATA;
    h->cpu->arch.r[RDI] = HARNESS_DATA + 3;
    h->cpu->arch.r[RCX] = 27;
    RUN(h, "rep movsb");
    harness_read(h, HARNESS_DATA, to, 30);
    for (u32 i = 0; i < 30; i++)
        assert_int_equal(to[i], i % 3 + 1);
}

static void repne_scas_finds_a_byte(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    static const char text[] = "where is the needle?";
    harness_write(h, HARNESS_DATA, text, sizeof text);
    h->cpu->arch.r[RDI] = HARNESS_DATA;
    h->cpu->arch.r[RCX] = ~0ull;
    h->cpu->arch.r[RAX] = 'n';
    RUN(h, "repne scasb");
    assert_int_equal(h->cpu->arch.r[RDI], HARNESS_DATA + 14);
    assert_int_equal(done, 14);
    assert_true(flags_get(h->cpu) & RFLAGS_ZF);
}

static void rip_relative_operands_follow_the_block(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    RUN(h, "   nop\n"
           "   inc dword ptr [rip + 2f]\n"
           "   mov eax, [rip + 2f]\n"
           "   hlt\n"
           "2: .long 41");
    assert_int_equal(h->cpu->arch.r[RAX], 42);
}

static void thirty_two_bit_code_runs(void **state)
{
    struct harness *h = begin(state, HARNESS_32);
    const u32 zero = 0;
    harness_write(h, HARNESS_DATA, &zero, sizeof zero);
    harness_code(h,
                 ASM32("   mov ecx, 10\n"
                       "2: add [0x200000], ecx\n"
                       "   loop 2b\n"
                       "   call 3f\n"
                       "3: pop eax"),
                 &done);
    u32 sum;
    harness_read(h, HARNESS_DATA, &sum, 4);
    assert_int_equal(h->cpu->arch.r[RAX], HARNESS_CODE + 18);
    assert_int_equal(h->cpu->arch.r[RSP], HARNESS_STACK);
    assert_int_equal(sum, 55);
}

static void real_mode_code_runs(void **state)
{
    struct harness *h = begin(state, HARNESS_16);
    harness_code(h, ASM16("mov ax, 0x1234; push ax; pop bx; call 2f; 2: pop cx"), &done);
    assert_int_equal(h->cpu->arch.r[RBX], 0x1234);
    assert_int_equal(h->cpu->arch.r[RCX], 8);
}

static void a_code_segment_may_start_anywhere(void **state)
{
    struct harness *h = begin(state, HARNESS_16);
    const struct code end = ASM16(".byte 0x81, 0xc3, 1, 0; hlt"); /* ADD BX, 1 in four bytes */
    u8 code[80];
    memset(code, 0x40, 70); /* inc ax: more than a block, over a page end of memory but not of IP */
    for (u32 i = 70; i < 80; i += 5)
        memcpy(code + i, end.bytes, end.size);
    for (u32 start = 0; start < 80; start++) {
        harness_reset(h, HARNESS_16);
        u64 base = start ? HARNESS_CODE + PAGE_SIZE - start : HARNESS_CODE + 32;
        h->cpu->arch.rip =
            start ? 0x130 : 0; /* 0: the block's end has the RIP of its own page offset */
        h->cpu->arch.seg[SEG_CS].base = base - h->cpu->arch.rip;
        segment_update(h->cpu);
        harness_write(h, base, code, sizeof code);
        assert_int_equal(harness_run(h, 1000, &done), EXIT_HLT);
        assert_int_equal(h->cpu->arch.r[RAX], 70);
        assert_int_equal(h->cpu->arch.r[RBX], 1);
        assert_int_equal(done, 71);
    }
}

/* The offset is 0 in both segments. */
static void one_offset_in_two_code_segments_is_two_places(void **state)
{
    struct harness *h = begin(state, HARNESS_16);
    harness_write_code(h, HARNESS_CODE, ASM16("inc ax; ljmp 0x1100, 0"));
    harness_write_code(h, HARNESS_CODE + 0x1000, ASM16("inc bx; hlt"));
    assert_int_equal(harness_run(h, 1000, &done), EXIT_HLT);
    assert_int_equal(h->cpu->arch.r[RAX], 1);
    assert_int_equal(h->cpu->arch.r[RBX], 1);
    assert_int_equal(done, 3);
}

/* The kernel's code has run just before, at the same address. */
static void a_user_whose_alignment_is_checked_cannot_run_the_kernels_code(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    struct cpu *c = h->cpu;
    harness_page(h, HARNESS_DATA, PTE_P | PTE_RW);
    harness_write_code(h, HARNESS_DATA, ASM("inc eax; hlt"));
    c->arch.rip = HARNESS_DATA;
    assert_int_equal(harness_run(h, 1000, NULL), EXIT_HLT);
    c->arch.cpl = 3;
    c->arch.cr0 |= CR0_AM;
    c->arch.rflags |= RFLAGS_AC;
    cpu_update_mode(c);
    c->arch.rip = HARNESS_DATA;
    u64 exit = harness_run(h, 1000, NULL);
    harness_page(h, HARNESS_DATA, PTE_P | PTE_RW | PTE_US);
    assert_int_equal(exit, EXIT_EXCEPTION + VECTOR_PF);
    assert_int_equal(c->arch.r[RAX], 1);
}

/* Two frames at one address, one after the other: a move to CR3 forgets the first one. */
static void code_in_another_frame_is_found_after_a_move_to_cr3(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    struct cpu *c = h->cpu;
    harness_write_code(h, HARNESS_DATA, ASM("mov eax, 1; jmp rbx"));
    harness_write_code(h, HARNESS_DATA + PAGE_SIZE, ASM("mov eax, 2; hlt"));
    c->arch.r[RSI] = HARNESS_DATA;
    c->arch.r[RDI] = harness_page_entry(HARNESS_DATA);
    RUN(h, "   lea rbx, [rip + 2f]\n"
           "   jmp rsi\n"
           "2: add qword ptr [rdi], 0x1000\n" /* the entry of HARNESS_DATA */
           "   mov rax, cr3\n"
           "   mov cr3, rax\n"
           "   jmp rsi");
    harness_page(h, HARNESS_DATA, PTE_P | PTE_RW | PTE_US);
    assert_int_equal(c->arch.r[RAX], 2);
}

static void flags_survive_every_combination(void **state)
{
    struct harness *h = begin(state, HARNESS_64);
    for (u64 i = 0; i < 64; i++) {
        u64 v = (i & 1 ? RFLAGS_CF : 0) | (i & 2 ? RFLAGS_PF : 0) | (i & 4 ? RFLAGS_AF : 0) |
                (i & 8 ? RFLAGS_ZF : 0) | (i & 16 ? RFLAGS_SF : 0) | (i & 32 ? RFLAGS_OF : 0);
        flags_set(h->cpu, v);
        assert_int_equal(flags_get(h->cpu), v);
    }
}

static void a_block_shows_all_flags_at_a_fault(void **state)
{
    /* ADD's flags are dead (SUB follows) but for the load between them, which faults. */
    struct harness *h = begin(state, HARNESS_64);
    harness_page(h, HARNESS_DATA, 0);
    h->cpu->arch.r[RBX] = HARNESS_DATA;
    h->cpu->arch.r[RAX] = ~0ull;
    RUN(h, "add rax, 1; mov ecx, [rbx]; sub rcx, rdx");
    harness_page(h, HARNESS_DATA, PTE_P | PTE_RW | PTE_US);
    assert_int_equal(flags_get(h->cpu), RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF);
}

/* As AMD's processors do: the manual leaves the results undefined. */
static void long_double_shifts_of_words_go_on_with_the_second_operand(void **state)
{
    static const u16 a = 0x1234, b = 0x5679;
    struct code code = ASM("shld ax, bx, 1; shrd dx, bx, cl; shrd [rsi], bx, 1");
    u8 bytes[14];
    assert_int_equal(code.size, sizeof bytes);
    memcpy(bytes, code.bytes, sizeof bytes);
    for (u32 count = 16; count < 32; count++) {
        u32 n = count - 16, left = (u16)(b << n | b >> (16 - n)),
            right = (u16)(b >> n | b << (16 - n));
        struct harness *h = begin(state, HARNESS_64);
        bytes[4] = bytes[13] = (u8)count; /* the immediate operands */
        harness_write(h, HARNESS_DATA, &a, sizeof a);
        h->cpu->arch.r[RAX] = h->cpu->arch.r[RDX] = 0xffff0000u | a;
        h->cpu->arch.r[RBX] = 0xffff0000u | b;
        h->cpu->arch.r[RCX] = count;
        h->cpu->arch.r[RSI] = HARNESS_DATA;
        harness_code(h, (struct code){bytes, code.size}, &done);
        u16 stored;
        harness_read(h, HARNESS_DATA, &stored, sizeof stored);
        assert_int_equal(h->cpu->arch.r[RAX], 0xffff0000u | left);
        assert_int_equal(h->cpu->arch.r[RDX], 0xffff0000u | right);
        assert_int_equal(stored, right);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snippet_runs_to_its_hlt),
        cmocka_unit_test(a_loop_counts_every_instruction),
        cmocka_unit_test(the_budget_ends_at_any_instruction),
        cmocka_unit_test(calls_and_returns_find_their_way),
        cmocka_unit_test(a_fault_gives_back_what_was_not_done),
        cmocka_unit_test(code_that_changes_itself_is_decoded_again),
        cmocka_unit_test(a_patched_jump_target_is_seen),
        cmocka_unit_test(an_instruction_in_two_pages_runs),
        cmocka_unit_test(rep_movs_crosses_pages_and_counts),
        cmocka_unit_test(rep_stos_stops_at_the_deadline_and_goes_on),
        cmocka_unit_test(rep_movs_stops_at_the_fault),
        cmocka_unit_test(an_overlapping_rep_movs_repeats_the_pattern),
        cmocka_unit_test(repne_scas_finds_a_byte),
        cmocka_unit_test(rip_relative_operands_follow_the_block),
        cmocka_unit_test(thirty_two_bit_code_runs),
        cmocka_unit_test(real_mode_code_runs),
        cmocka_unit_test(a_code_segment_may_start_anywhere),
        cmocka_unit_test(one_offset_in_two_code_segments_is_two_places),
        cmocka_unit_test(a_user_whose_alignment_is_checked_cannot_run_the_kernels_code),
        cmocka_unit_test(code_in_another_frame_is_found_after_a_move_to_cr3),
        cmocka_unit_test(flags_survive_every_combination),
        cmocka_unit_test(a_block_shows_all_flags_at_a_fault),
        cmocka_unit_test(long_double_shifts_of_words_go_on_with_the_second_operand),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
