/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace events: every command, world switch, key load, view flip and page state change is one
 * stable line. The text after the name is `key=value` pairs separated by one space; a value with a
 * space is quoted with "". Readers (text, JSON, a test's comparison, a running hash) are sinks.
 */
#ifndef SOFTSEV_BASE_TRACE_H
#define SOFTSEV_BASE_TRACE_H

#include "base/base.h"
#include "base/clock.h"

enum trace_category {
    TRACE_COMMAND, /* a firmware command and its status, with the rule that refused */
    TRACE_SWITCH,  /* VMRUN and #VMEXIT */
    TRACE_KEY,     /* a key enters or leaves a slot of the memory controller */
    TRACE_VIEW,    /* a frame is flipped to another view */
    TRACE_PAGE,    /* a page is launched, shared, made private */
    TRACE_VM,      /* life cycle of a VM */
    TRACE_OWNER,   /* what the guest owner decides */
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
    u32 enabled; /* bit per category; a disabled category costs one test */
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

/* "command,key" or "all" into a mask; false if a word is no category. */
bool trace_parse_categories(const char *text, u32 *mask);

/* One event as a text line or as one JSON object on a line (both end in a newline and a NUL);
 * returns the length, truncated to size - 1. JSON is valid even then, if there is room for the
 * event's name. */
size_t trace_format_text(char *out, size_t size, const struct trace_event *event);
size_t trace_format_json(char *out, size_t size, const struct trace_event *event);

#endif
