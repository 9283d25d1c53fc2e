/* SPDX-License-Identifier: Apache-2.0 */
/* The guests' networks: each VM has its own. Frames reach a guest only between two slices of
 * machine time; those from a guest go out at once. */
#include "cli/run/run.h"

static void on_send(void *context, const void *frame, size_t size)
{
    struct run_vm *v = context;
    if (v->net)
        net_send(v->net, frame, size);
}

int run_net_open(struct run_vm *v, struct error *e)
{
    struct run *r = v->run;
    struct error why = {.code = ERROR_NONE};
    if (!v->options->net.on || r->options.replay)
        return 0;
    v->net = net_create(&v->options->net, run_clock_ns, &why);
    if (!v->net)
        return error_set(e, why.code, "%s: %s", v->options->name, why.text);
    r->net_count++;
    return 0;
}

void run_net_close(struct run *r)
{
    for (u32 i = 0; i < r->vm_count; i++)
        net_destroy(r->vms[i].net);
    net_polls_free(&r->polls);
}

struct vm_net run_net_card(struct run_vm *v)
{
    struct vm_net card = {.context = v};
    if (v->options->net.on)
        card.send = on_send;
    net_card_address((u32)(v - v->run->vms), card.mac);
    return card;
}

bool run_net_is_live(const struct run *r)
{
    return r->net_count;
}

void run_net_prepare(struct run *r, u64 *wait_ns)
{
    for (u32 i = 0; r->net_count && i < r->vm_count; i++)
        if (r->vms[i].net)
            net_prepare(r->vms[i].net, &r->polls, wait_ns);
}

void run_net_serve(struct run *r)
{
    for (u32 i = 0; r->net_count && i < r->vm_count; i++)
        if (r->vms[i].net)
            net_serve(r->vms[i].net, &r->polls);
}

void run_net_give(struct run *r)
{
    for (u32 i = 0; r->net_count && i < r->vm_count; i++) {
        struct run_vm *v = &r->vms[i];
        const bool runs = v->net && vm_get_state(v->vm) == VM_RUNNABLE;
        const void *frame;
        size_t size;
        while (v->net && (frame = net_frame(v->net, &size))) {
            if (runs && !run_input_frame(r, i, frame, size))
                break;
            net_next(v->net);
        }
    }
}
