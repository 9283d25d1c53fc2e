/* SPDX-License-Identifier: Apache-2.0 */
/* Events for the page; see story.h. */
#include "view/story.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void put(struct view_story *s, const char *format, ...) PRINTF_LIKE(2, 3);

static void put(struct view_story *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(s->out + s->size, VIEW_STORY_MAX - s->size, format, arguments);
    va_end(arguments);
    s->size += n < 0 ? 0 : (size_t)min_u64((u64)n, VIEW_STORY_MAX - 1 - s->size);
}

static void put_text(struct view_story *s, const char *text)
{
    put(s, "\"");
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, "<");
        s->size = text_json(s->out, VIEW_STORY_MAX, s->size, p, n);
        p += n;
        if (*p == '<')
            put(s, "\\u003c");
        p += *p == '<';
    }
    put(s, "\"");
}

static void on_change(void *story, enum view_change what, u64 first, u64 count, u32 value)
{
    struct view_story *s = story;
    put(s, "%s[%u,%" PRIu64 ",%" PRIu64 ",%u]", s->any ? "," : ",[", (unsigned)what, first, count,
        value);
    s->any = true;
}

void view_story_init(struct view_story *s)
{
    *s = (struct view_story){.any = false};
    view_map_init(&s->map);
    s->map.changed = on_change;
    s->map.context = s;
}

void view_story_free(struct view_story *s)
{
    view_map_free(&s->map);
}

size_t view_story_event(struct view_story *s, const struct view_event *e, char out[VIEW_STORY_MAX])
{
    char label[VIEW_VALUE_MAX] = "";
    const char *section = view_section(e);
    s->out = out;
    s->size = 0;
    s->any = false;
    if (e->category == TRACE_SWITCH)
        view_switch_name(e, label);
    put(s, "[%" PRIu64 ",%u,", e->time_ns, (unsigned)e->category);
    put_text(s, e->name);
    put(s, ",");
    put_text(s, e->text);
    put(s, ",");
    put_text(s, section ? section : "");
    put(s, ",");
    put_text(s, label);
    view_map_event(&s->map, e);
    put(s, s->any ? "]]" : "]");
    return s->size;
}
