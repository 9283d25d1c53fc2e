/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a trace back to events; see event.h. */
#include "view/event.h"

#include <stdio.h>

/* --- Lines ------------------------------------------------------------------------------------ */

/* The rest of a line that is being read. */
struct rest {
    const char *at, *end;
};

static bool take_char(struct rest *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static void skip_blanks(struct rest *r)
{
    while (take_char(r, ' '))
        ;
}

static bool take_time(struct rest *r, u64 *out)
{
    const char *start = r->at;
    u64 value = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        const u64 digit = (u64)(*r->at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = 10 * value + digit;
    }
    *out = value;
    return r->at != start;
}

static bool find_category(const char *name, size_t size, enum trace_category *out)
{
    for (u32 i = 0; i < TRACE_CATEGORIES; i++) {
        if (strlen(trace_category_names[i]) != size || memcmp(trace_category_names[i], name, size))
            continue;
        *out = (enum trace_category)i;
        return true;
    }
    return false;
}

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool set_name(struct view_event *e, const char *name, size_t size)
{
    if (!size || size >= sizeof e->name)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!is_name_char(name[i]))
            return false;
    memcpy(e->name, name, size);
    e->name[size] = 0;
    return true;
}

static size_t word_size(const struct rest *r)
{
    size_t n = 0;
    while (r->at + n < r->end && r->at[n] != ' ')
        n++;
    return n;
}

/* "        1500 page    RMPUPDATE core=0 spa=0x1000" */
static bool read_text(struct rest r, struct view_event *e)
{
    skip_blanks(&r);
    if (!take_time(&r, &e->time_ns) || !take_char(&r, ' '))
        return false;
    skip_blanks(&r);
    size_t n = word_size(&r);
    if (!find_category(r.at, n, &e->category))
        return false;
    r.at += n;
    skip_blanks(&r);
    n = word_size(&r);
    if (!set_name(e, r.at, n))
        return false;
    r.at += n;
    take_char(&r, ' ');
    const size_t size = (size_t)(r.end - r.at);
    memcpy(e->text, r.at, size); /* shorter than the line, which is shorter than the text */
    e->text[size] = 0;
    return true;
}

/* --- JSON: one object, whose values are texts except for the time ----------------------------- */

static bool take_hex4(struct rest *r, u32 *out)
{
    *out = 0;
    for (u32 i = 0; i < 4; i++, r->at++) {
        if (r->at == r->end)
            return false;
        const char c = *r->at, lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *out = *out << 4 | (u32)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *out = *out << 4 | (u32)(lower - 'a' + 10);
        else
            return false;
    }
    return true;
}

/* The writer escapes quotation marks, backslashes and control characters. None of them may stand in
 * the text form, in which they become marks. */
static bool take_escape(struct rest *r, char *out)
{
    u32 code;
    if (r->at == r->end)
        return false;
    const char c = *r->at++;
    if (c == 'u' && !take_hex4(r, &code))
        return false;
    *out = c == '"' ? '\'' : c == '\\' || c == '/' ? c : '?';
    return true;
}

static bool take_string(struct rest *r, char *out, size_t room, size_t *size)
{
    *size = 0;
    if (!take_char(r, '"'))
        return false;
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if (c == '\\' && !take_escape(r, &c))
            return false;
        if (*size + 1 >= room)
            return false;
        out[(*size)++] = c;
    }
    out[*size] = 0;
    return take_char(r, '"');
}

/* Appends a pair to the text in the form that trace_event() writes. */
static bool append_pair(struct view_event *e, const char *key, const char *value)
{
    const size_t at = strlen(e->text);
    const char *quote = strchr(value, ' ') ? "\"" : "";
    const int n = snprintf(e->text + at, sizeof e->text - at, "%s%s%s%s%s%s", at ? " " : "", key,
                           *value ? "=" : "", quote, value, quote);
    return n >= 0 && (size_t)n < sizeof e->text - at;
}

struct json_head {
    bool time, category, name;
};

static bool take_member(struct rest *r, struct view_event *e, struct json_head *head)
{
    char key[64], value[VIEW_LINE_MAX];
    size_t key_size, size;
    if (!take_string(r, key, sizeof key, &key_size) || !take_char(r, ':'))
        return false;
    if (!strcmp(key, "time_ns") && !head->time)
        return head->time = take_time(r, &e->time_ns);
    if (!take_string(r, value, sizeof value, &size))
        return false;
    if (!strcmp(key, "category") && !head->category)
        return head->category = find_category(value, size, &e->category);
    if (!strcmp(key, "event") && !head->name)
        return head->name = set_name(e, value, size);
    return append_pair(e, key, value);
}

static bool read_json(struct rest r, struct view_event *e)
{
    struct json_head head = {.time = false};
    e->text[0] = 0;
    if (!take_char(&r, '{'))
        return false;
    do {
        if (!take_member(&r, e, &head))
            return false;
    } while (take_char(&r, ','));
    return take_char(&r, '}') && r.at == r.end && head.time && head.category && head.name;
}

/* Makes bytes that would end a text or move a cursor visible, as trace_format_text() does. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((u8)*text < ' ' || *text == 0x7f)
            *text = '?';
}

bool view_read_line(const char *line, size_t size, struct view_event *out)
{
    if (size && line[size - 1] == '\r')
        size--;
    const struct rest r = {line, line + size};
    if (!size || size >= VIEW_LINE_MAX || memchr(line, 0, size))
        return false;
    const bool good = *line == '{' ? read_json(r, out) : read_text(r, out);
    if (good)
        clean(out->text);
    return good;
}

void view_take_event(const struct trace_event *from, struct view_event *out)
{
    out->category = from->category;
    out->time_ns = from->time_ns;
    snprintf(out->name, sizeof out->name, "%s", from->name);
    snprintf(out->text, sizeof out->text, "%s", from->text);
    clean(out->text);
}

/* --- Pairs ------------------------------------------------------------------------------------ */

/* Returns the start of a key's value, and its size; NULL: the event does not have the key. */
static const char *find_value(const struct view_event *e, const char *key, size_t *size)
{
    const size_t key_size = strlen(key);
    for (const char *p = e->text; *p;) {
        const size_t n = strcspn(p, "= ");
        const char *value = p + n + (p[n] == '=');
        const bool quoted = *value == '"';
        value += quoted;
        const size_t value_size = strcspn(value, quoted ? "\"" : " ");
        if (n == key_size && !memcmp(p, key, n)) {
            *size = value_size;
            return value;
        }
        p = value + value_size;
        p += *p == '"';
        p += *p == ' ';
    }
    return NULL;
}

bool view_value(const struct view_event *e, const char *key, char out[VIEW_VALUE_MAX])
{
    size_t size = 0;
    const char *value = find_value(e, key, &size);
    size = value ? (size_t)min_u64(size, VIEW_VALUE_MAX - 1) : 0;
    if (value)
        memcpy(out, value, size);
    out[size] = 0;
    return value;
}

bool view_number(const struct view_event *e, const char *key, u64 *out)
{
    size_t size;
    const char *p = find_value(e, key, &size);
    if (!p || !size)
        return false;
    const bool hex = size > 2 && p[0] == '0' && p[1] == 'x';
    u64 value = 0;
    for (size_t i = hex ? 2 : 0; i < size; i++) {
        const char lower = (char)(p[i] | 0x20);
        const u64 digit = p[i] >= '0' && p[i] <= '9'            ? (u64)(p[i] - '0')
                          : hex && lower >= 'a' && lower <= 'f' ? (u64)(lower - 'a' + 10)
                                                                : 16;
        if (digit == 16 || value > (UINT64_MAX - digit) / (hex ? 16 : 10))
            return false;
        value = value * (hex ? 16 : 10) + digit;
    }
    *out = value;
    return true;
}

bool view_is(const struct view_event *e, const char *key, const char *value)
{
    size_t size;
    const char *p = find_value(e, key, &size);
    return p && size == strlen(value) && !memcmp(p, value, size);
}
