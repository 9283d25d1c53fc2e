/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest with a GHCB, as its hypervisor sees it, on a host made of arrays: the test says what the
 * next VMRUN comes back with, by the MSR or in the page.
 */
#ifndef SOFTSEV_TESTS_HYPERVISOR_GHCB_RIG_H
#define SOFTSEV_TESTS_HYPERVISOR_GHCB_RIG_H

#include "rig.h"

static struct vmcb *next_exit; /* of the bench that runs, for the host's guest */

/* The controls that a processor writes; and a save area of rubbish that nobody should look at. */
static void guest_exits(struct host *h, struct vmcb *v)
{
    (void)h;
    v->control.exit_code = next_exit->control.exit_code;
    v->control.exit_info_1 = next_exit->control.exit_info_1;
    v->control.exit_info_2 = next_exit->control.exit_info_2;
    v->control.interrupt_shadow = next_exit->control.interrupt_shadow;
    v->control.exit_int_info = next_exit->control.exit_int_info;
    if (next_exit->control.exit_code == EXIT_VMGEXIT)
        v->control.ghcb_gpa = next_exit->control.ghcb_gpa;
    memset(&v->save, 0x99, sizeof v->save);
}

static void run_exit(struct bench *b, u64 code, u64 info_1, u64 info_2)
{
    b->next.control.exit_code = code;
    b->next.control.exit_info_1 = info_1;
    b->next.control.exit_info_2 = info_2;
    next_exit = &b->next;
    b->host.guest = guest_exits;
    vcpu_run(&b->vm->cpus[0], b->host.now + 1000);
    b->host.guest = NULL;
}

static inline u64 msr_protocol(struct bench *b, u64 value)
{
    b->next.control.ghcb_gpa = value;
    run_exit(b, EXIT_VMGEXIT, 0, 0);
    return b->vm->cpus[0].vmcb.control.ghcb_gpa;
}

#define SET(b, field, value)                                                                       \
    do {                                                                                           \
        (b)->page.field = (value);                                                                 \
        ghcb_set_valid(&(b)->page, GHCB_BIT(field));                                               \
    } while (0)

static void ask(struct bench *b, u64 code, u64 info_1, u64 info_2)
{
    memset(&b->page, 0, sizeof b->page);
    b->page.version = 2;
    SET(b, exit_code, code);
    SET(b, exit_info_1, info_1);
    SET(b, exit_info_2, info_2);
}

/* Sends the page as it is now. */
static u64 deliver(struct bench *b, u64 ghcb_gpa)
{
    vm_write(b->vm, ghcb_gpa, &b->page, sizeof b->page);
    b->next.control.ghcb_gpa = ghcb_gpa;
    run_exit(b, EXIT_VMGEXIT, 0, 0);
    vm_read(b->vm, ghcb_gpa, &b->page, sizeof b->page);
    assert_true(ghcb_valid(&b->page, GHCB_BIT(exit_info_1)));
    assert_true(ghcb_valid(&b->page, GHCB_BIT(exit_info_2)));
    return b->page.exit_info_1;
}

static inline const char *end_of(struct bench *b)
{
    static struct vm_summary s;
    vm_get_summary(b->vm, &s);
    return s.state == VM_CRASHED ? s.reason : "";
}

#endif
