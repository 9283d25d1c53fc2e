/* SPDX-License-Identifier: Apache-2.0 */
/* Trace events and their text and JSON forms; see trace.h. */
#include "base/trace.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

const char *const trace_category_names[TRACE_CATEGORIES] = {
    [TRACE_COMMAND] = "command", [TRACE_SWITCH] = "switch", [TRACE_KEY] = "key",
    [TRACE_VIEW] = "view",       [TRACE_PAGE] = "page",     [TRACE_VM] = "vm",
    [TRACE_OWNER] = "owner",     [TRACE_DEVICE] = "device",
};

void trace_add_sink(struct trace *t, struct trace_sink *sink)
{
    sink->next = t->sinks;
    t->sinks = sink;
}

void trace_event(struct trace *t, enum trace_category category, const char *name,
                 const char *format, ...)
{
    if (!trace_wants(t, category))
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct trace_event event = {
        .category = category,
        .time_ns = t->clock ? t->clock->now : 0,
        .name = name,
        .text = text,
    };
    for (struct trace_sink *s = t->sinks; s; s = s->next)
        s->event(s->context, &event);
}

bool trace_parse_categories(const char *text, u32 *mask)
{
    u32 found = 0;
    if (!*text)
        return false;
    while (*text) {
        size_t n = strcspn(text, ",");
        bool known = n == 3 && !strncmp(text, "all", 3);
        if (known)
            found = (1u << TRACE_CATEGORIES) - 1;
        for (unsigned i = 0; i < TRACE_CATEGORIES && !known; i++) {
            known =
                strlen(trace_category_names[i]) == n && !strncmp(text, trace_category_names[i], n);
            if (known)
                found |= 1u << i;
        }
        if (!known)
            return false;
        text += n;
        if (*text == ',' && *++text == 0)
            return false;
    }
    *mask = found;
    return true;
}

static size_t clamp_length(int n, size_t size)
{
    if (n < 0)
        return 0;
    return (size_t)n < size ? (size_t)n : size - 1;
}

size_t trace_format_text(char *out, size_t size, const struct trace_event *event)
{
    int n = snprintf(out, size, "%12" PRIu64 " %-7s %s%s%s\n", event->time_ns,
                     trace_category_names[event->category], event->name, *event->text ? " " : "",
                     event->text);
    size_t length = clamp_length(n, size);
    for (size_t i = 0; i + 1 < length; i++) /* a name in the text may come from a file */
        if ((u8)out[i] < ' ' || out[i] == 0x7f)
            out[i] = '?';
    return length;
}

static size_t json_raw(char *out, size_t size, size_t at, const char *text)
{
    while (*text && at + 1 < size)
        out[at++] = *text++;
    return at;
}

#define PAIR_ROOM 8u /* what a pair needs besides its texts: ,"":"" */
#define END_ROOM  4u /* what ends a line: "}, a newline and a NUL */

size_t trace_format_json(char *out, size_t size, const struct trace_event *event)
{
    size_t at = clamp_length(
        snprintf(out, size, "{\"time_ns\":%" PRIu64 ",\"category\":\"%s\",\"event\":\"%s\"",
                 event->time_ns, trace_category_names[event->category], event->name),
        size);
    for (const char *p = event->text; *p;) {
        size_t key = strcspn(p, "= ");
        const char *value = p + key + (p[key] == '=');
        bool quoted = *value == '"';
        value += quoted;
        size_t length = strcspn(value, quoted ? "\"" : " ");
        if (at + PAIR_ROOM + key + END_ROOM >= size)
            break; /* the line is full, and still ends as valid JSON */
        at = json_raw(out, size, at, ",\"");
        at = text_json(out, size - PAIR_ROOM - END_ROOM, at, p, key);
        at = json_raw(out, size, at, "\":\"");
        at = text_json(out, size - END_ROOM, at, value, length);
        at = json_raw(out, size, at, "\"");
        p = value + length;
        p += *p == '"';
        p += *p == ' ';
    }
    at = json_raw(out, size, at, "}\n");
    out[at] = 0;
    return at;
}
