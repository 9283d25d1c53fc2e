/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace events: one stable line for every command, world switch, key load, view flip and page state
 * change. The text after the name is `key=value` pairs separated by one space; a value that has a
 * space is quoted with "". Readers (text, JSON, a test's comparison, a running hash) are sinks.
 */
#ifndef SOFTSEV_BASE_TRACE_H
#define SOFTSEV_BASE_TRACE_H

#include "base/base.h"
#include "base/clock.h"

enum trace_category {
    TRACE_COMMAND, /* a firmware command and its status, with the rule that refused it */
    TRACE_SWITCH,  /* VMRUN and #VMEXIT */
    TRACE_KEY,     /* a key enters or leaves a slot of the memory controller */
    TRACE_VIEW,    /* a frame switches to another view */
    TRACE_PAGE,    /* a page is launched, shared, made private */
    TRACE_VM,      /* life cycle of a VM */
    TRACE_OWNER,   /* decisions of the guest owner */
    TRACE_DEVICE,  /* interrupts, DMA, resets */
    TRACE_CATEGORIES,
};

struct trace_event {
    enum trace_category category;
    u64 time_ns;      /* machine clock */
    const char *name; /* SNP_LAUNCH_UPDATE, VMEXIT, FLIP, ... */
    const char *text; /* key=value pairs; "" if none */
};

struct trace_sink {
    void (*event)(void *context, const struct trace_event *event);
    void *context;
    struct trace_sink *next;
};

struct trace {
    u32 enabled; /* a bit per category; a disabled category costs one test */
    const struct clock *clock;
    struct trace_sink *sinks;
};

extern const char *const trace_category_names[TRACE_CATEGORIES]; /* "command", "switch", ... */

static inline bool trace_wants(const struct trace *t, enum trace_category category)
{
    return t && (t->enabled & (1u << category));
}

void trace_event(struct trace *t, enum trace_category category, const char *name,
                 const char *format, ...) PRINTF_LIKE(4, 5);
void trace_add_sink(struct trace *t, struct trace_sink *sink);

/* Parses "command,key" or "all" into a mask. Returns false if a word names no category. */
bool trace_parse_categories(const char *text, u32 *mask);

/* Format one event as a text line or as one line with a JSON object; both end in a newline and a
 * NUL. Return the length, truncated to size - 1. JSON is valid even if truncated, provided there is
 * room for the event's name. */
size_t trace_format_text(char *out, size_t size, const struct trace_event *event);
size_t trace_format_json(char *out, size_t size, const struct trace_event *event);

#endif
