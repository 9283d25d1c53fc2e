/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trace says in total: counts and machine times by event, VM, firmware command, page state
 * change and world switch. Every table is bounded; what does not fit is counted in one last row.
 */
#ifndef SOFTSEV_VIEW_SUMMARY_H
#define SOFTSEV_VIEW_SUMMARY_H

#include "view/event.h"

enum view_section_id {
    VIEW_EVENTS,   /* "switch VMEXIT" */
    VIEW_COMMANDS, /* firmware commands */
    VIEW_VMS,      /* events that belong to a VM */
    VIEW_EXITS,    /* VMEXIT by exit code */
    VIEW_VCS,      /* #VC by error code */
    VIEW_REQUESTS, /* VMGEXIT by what the guest asks for */
    VIEW_PAGES,    /* changes of a page's state, by who made them */
    VIEW_FLIPS,    /* changes of a frame's view, from one key to another */
    VIEW_OWNER,    /* the owner's decisions, in their order */
    VIEW_SECTIONS,
};

#define VIEW_ROWS_MAX 256u

struct view_row {
    char label[VIEW_VALUE_MAX];
    u64 count;
    /* Commands with a status other than SUCCESS, instructions with a result other than 0. */
    u64 refused;
    u64 pages; /* of 4 KiB */
    u64 first_ns, last_ns;
    /* Of exits: the machine time from the core's last exit to this one, which is the hypervisor's
     * work and then the guest's. */
    u64 spent_ns;
};

struct view_table {
    u32 count;
    struct view_row rows[VIEW_ROWS_MAX];
};

#define VIEW_JOINS_MAX 4096u

/* The VM that a VMCB or an ASID belongs to. */
struct view_join {
    u64 number; /* address of a VMCB, or an ASID */
    char vm[64];
    bool vmcb;
};

struct view_summary {
    u64 lines, events;
    /* Number of lines that are not events; line number of the first, from 1. */
    u64 strange, strange_line;
    u64 first_ns, last_ns;
    struct view_table tables[VIEW_SECTIONS];
    u64 exit_ns[64]; /* machine time of each core's last exit */
    struct view_join joins[VIEW_JOINS_MAX];
    u32 join_count;
};

extern const char *const view_section_names[VIEW_SECTIONS]; /* "events", "commands", ... */

/* Takes a line without its newline. */
void view_summary_line(struct view_summary *s, const char *line, size_t size);
/* Puts the rows of each table but the owner's into order: the most frequent first. */
void view_summary_sort(struct view_summary *s);

#endif
