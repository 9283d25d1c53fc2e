/* SPDX-License-Identifier: Apache-2.0 */
/* Trace events: categories, and the text and JSON forms of one event. */
#include "base/text.h"
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct recorder {
    char text[200], json[200];
    unsigned events;
};

static void record(void *context, const struct trace_event *event)
{
    struct recorder *r = context;
    trace_format_text(r->text, sizeof r->text, event);
    trace_format_json(r->json, sizeof r->json, event);
    r->events++;
}

static void one_event_in_two_forms(void **state)
{
    (void)state;
    struct clock clock = {.now = 42};
    struct recorder recorder = {.events = 0};
    struct trace_sink sink = {.event = record, .context = &recorder};
    struct trace trace = {.enabled = 1u << TRACE_COMMAND, .clock = &clock};
    trace_add_sink(&trace, &sink);
    trace_event(&trace, TRACE_COMMAND, "LAUNCH_START", "status=%s why=\"%s\"", "POLICY_FAILURE",
                "a \\ b");
    assert_string_equal(recorder.text,
                        "          42 command LAUNCH_START status=POLICY_FAILURE why=\"a \\ b\"\n");
    assert_string_equal(recorder.json,
                        "{\"time_ns\":42,\"category\":\"command\",\"event\":\"LAUNCH_START\","
                        "\"status\":\"POLICY_FAILURE\",\"why\":\"a \\\\ b\"}\n");
    trace_event(&trace, TRACE_KEY, "LOAD", "asid=%d", 1);
    assert_int_equal(recorder.events, 1);
}

static void a_small_buffer_is_not_overrun(void **state)
{
    (void)state;
    struct trace_event event = {
        .category = TRACE_VM, .name = "X", .text = "key=value and=\"more than fits\""};
    char out[40];
    for (size_t size = 1; size <= sizeof out; size++) {
        memset(out, 'z', sizeof out);
        size_t n = trace_format_json(out, size, &event);
        assert_true(n < size);
        assert_int_equal(out[n], 0);
        for (size_t i = size; i < sizeof out; i++)
            assert_int_equal(out[i], 'z');
    }
}

/* Names in an event may be anybody's bytes. */
static void what_is_not_text_is_no_harm(void **state)
{
    (void)state;
    struct trace_event event = {
        .category = TRACE_VM, .name = "X", .text = "a=\x1b[31m b=\"\xff\xc3\xa9\x09\""};
    char out[200];
    trace_format_text(out, sizeof out, &event);
    assert_string_equal(out, "           0 vm      X a=?[31m b=\"\xff\xc3\xa9?\"\n");
    trace_format_json(out, sizeof out, &event);
    assert_string_equal(out,
                        "{\"time_ns\":0,\"category\":\"vm\",\"event\":\"X\",\"a\":\"\\u001b[31m\","
                        "\"b\":\"\xef\xbf\xbd\xc3\xa9\\u0009\"}\n");
}

static void a_line_that_is_too_long_ends_as_json(void **state)
{
    (void)state;
    char text[400], out[300];
    struct trace_event event = {.category = TRACE_VM, .name = "X", .text = text};
    for (size_t length = 1; length < 150; length++) {
        memset(text, 0xff, sizeof text);
        memcpy(text, "k=", 2);
        memcpy(text + 2 + length, " second=2", 10);
        size_t n = trace_format_json(out, sizeof out, &event);
        assert_true(n >= 3 && n < sizeof out);
        assert_string_equal(out + n - 3, "\"}\n");
        for (size_t i = 0; i < n;) {
            size_t sequence = text_sequence(out + i, n - i);
            assert_true(sequence);
            i += sequence;
        }
    }
}

static void categories(void **state)
{
    (void)state;
    u32 mask = 0;
    assert_true(trace_parse_categories("command,view", &mask));
    assert_int_equal(mask, 1u << TRACE_COMMAND | 1u << TRACE_VIEW);
    assert_true(trace_parse_categories("all", &mask));
    assert_int_equal(mask, (1u << TRACE_CATEGORIES) - 1);
    assert_false(trace_parse_categories("command,", &mask));
    assert_false(trace_parse_categories("comm", &mask));
    assert_int_equal(mask, (1u << TRACE_CATEGORIES) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_in_two_forms),
        cmocka_unit_test(a_small_buffer_is_not_overrun),
        cmocka_unit_test(what_is_not_text_is_no_harm),
        cmocka_unit_test(a_line_that_is_too_long_ends_as_json),
        cmocka_unit_test(categories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
