/* SPDX-License-Identifier: Apache-2.0 */
/* A trace in total; see summary.h. */
#include "view/summary.h"

#include <stdio.h>
#include <stdlib.h>

const char *const view_section_names[VIEW_SECTIONS] = {
    [VIEW_EVENTS] = "events",     [VIEW_COMMANDS] = "commands", [VIEW_VMS] = "vms",
    [VIEW_EXITS] = "exits",       [VIEW_VCS] = "vcs",           [VIEW_REQUESTS] = "vmgexits",
    [VIEW_PAGES] = "page_states", [VIEW_FLIPS] = "views",       [VIEW_OWNER] = "owner",
};

#define LARGE_PAGES 512u

static struct view_row *find_row(struct view_table *t, const char *label)
{
    for (u32 i = 0; i < t->count; i++)
        if (!strcmp(t->rows[i].label, label))
            return &t->rows[i];
    if (t->count == VIEW_ROWS_MAX - 1)
        label = "(all others)";
    struct view_row *row = &t->rows[t->count < VIEW_ROWS_MAX ? t->count++ : VIEW_ROWS_MAX - 1];
    if (!*row->label)
        snprintf(row->label, sizeof row->label, "%s", label);
    return row;
}

static struct view_row *count(struct view_summary *s, enum view_section_id id, const char *label,
                              const struct view_event *e)
{
    struct view_row *row = find_row(&s->tables[id], label);
    u64 result = 0;
    char status[VIEW_VALUE_MAX];
    view_number(e, "result", &result);
    row->refused += result || view_is(e, "refused", "") ||
                    (view_value(e, "status", status) && strcmp(status, "SUCCESS"));
    if (!row->count++)
        row->first_ns = e->time_ns;
    row->last_ns = e->time_ns;
    return row;
}

/* --- Which VM an event belongs to ------------------------------------------------------------- */

static struct view_join *find_join(struct view_summary *s, u64 number, bool vmcb)
{
    for (u32 i = 0; i < s->join_count; i++)
        if (s->joins[i].number == number && s->joins[i].vmcb == vmcb)
            return &s->joins[i];
    return NULL;
}

/* Records the VM that a number belongs to from now on. ASIDs, and pages of VMCBs, are used
 * again. */
static void note_join(struct view_summary *s, u64 number, bool vmcb, const char *vm)
{
    struct view_join *j = find_join(s, number, vmcb);
    if (!j && s->join_count < VIEW_JOINS_MAX)
        j = &s->joins[s->join_count++];
    if (!j)
        return;
    *j = (struct view_join){.number = number, .vmcb = vmcb};
    snprintf(j->vm, sizeof j->vm, "%.63s", vm);
}

static bool vm_of(struct view_summary *s, const struct view_event *e, char vm[VIEW_VALUE_MAX])
{
    u64 asid = 0, vmcb = 0;
    const bool has_asid = view_number(e, "asid", &asid) && asid;
    const bool has_vmcb = view_number(e, "vmcb", &vmcb);
    if (view_value(e, "vm", vm)) {
        if (has_asid)
            note_join(s, asid, false, vm);
        if (has_vmcb)
            note_join(s, vmcb, true, vm);
        return true;
    }
    const struct view_join *j = has_vmcb ? find_join(s, vmcb, true) : NULL;
    if (!j && has_asid)
        j = find_join(s, asid, false);
    if (j)
        snprintf(vm, VIEW_VALUE_MAX, "%s", j->vm);
    else if (has_asid)
        snprintf(vm, VIEW_VALUE_MAX, "asid %u", (u32)min_u64(asid, UINT32_MAX));
    return j || has_asid;
}

/* --- Events by category ----------------------------------------------------------------------- */

static void count_switch(struct view_summary *s, const struct view_event *e)
{
    char name[VIEW_VALUE_MAX];
    u64 core = 0;
    view_switch_name(e, name);
    if (!strcmp(e->name, "VC")) {
        count(s, VIEW_VCS, name, e);
        return;
    }
    if (!strcmp(e->name, "VMGEXIT")) {
        count(s, VIEW_REQUESTS, name, e);
        return;
    }
    struct view_row *row = count(s, VIEW_EXITS, name, e);
    view_number(e, "core", &core);
    if (core >= ARRAY_SIZE(s->exit_ns))
        return;
    row->spent_ns += e->time_ns - min_u64(e->time_ns, s->exit_ns[core]);
    s->exit_ns[core] = e->time_ns;
}

static u64 pages_of(const struct view_event *e)
{
    u64 size;
    if (view_number(e, "size", &size))
        return size >> PAGE_SHIFT;
    return view_is(e, "size", "2M") ? LARGE_PAGES : 1;
}

static void count_change(struct view_summary *s, const struct view_event *e)
{
    char label[VIEW_VALUE_MAX], from[VIEW_VALUE_MAX], to[VIEW_VALUE_MAX];
    const enum view_section_id id = e->category == TRACE_VIEW ? VIEW_FLIPS : VIEW_PAGES;
    view_value(e, "from", from);
    if (!view_value(e, "to", to))
        view_value(e, "state", to);
    snprintf(label, sizeof label, "%s %.40s%s%.40s", e->name, from, *from ? " > " : "", to);
    count(s, id, label, e)->pages += pages_of(e);
}

static void count_event(struct view_summary *s, const struct view_event *e)
{
    char label[VIEW_VALUE_MAX];
    snprintf(label, sizeof label, "%s %s", trace_category_names[e->category], e->name);
    count(s, VIEW_EVENTS, label, e);
    if (vm_of(s, e, label))
        count(s, VIEW_VMS, label, e);
    if (e->category == TRACE_COMMAND)
        count(s, VIEW_COMMANDS, e->name, e);
    else if (e->category == TRACE_SWITCH)
        count_switch(s, e);
    else if (e->category == TRACE_PAGE || e->category == TRACE_VIEW)
        count_change(s, e);
    else if (e->category == TRACE_OWNER && view_value(e, "text", label))
        count(s, VIEW_OWNER, label, e);
}

void view_summary_line(struct view_summary *s, const char *line, size_t size)
{
    struct view_event e;
    s->lines++;
    if (!view_read_line(line, size, &e)) {
        if (!s->strange++)
            s->strange_line = s->lines;
        return;
    }
    if (!s->events++)
        s->first_ns = e.time_ns;
    s->last_ns = max_u64(s->last_ns, e.time_ns);
    count_event(s, &e);
}

static int compare_rows(const void *a, const void *b)
{
    const struct view_row *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return strcmp(x->label, y->label);
}

void view_summary_sort(struct view_summary *s)
{
    for (u32 i = 0; i < VIEW_SECTIONS; i++)
        if (i != VIEW_OWNER)
            qsort(s->tables[i].rows, s->tables[i].count, sizeof(struct view_row), compare_rows);
}
