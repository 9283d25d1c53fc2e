/* SPDX-License-Identifier: Apache-2.0 */
/* Commands through the mailbox that do next to nothing (PLATFORM_STATUS, SNP_PLATFORM_STATUS)
 * against the smallest call of the kernel below us: what a program that asks real firmware pays
 * first. */
#include "../tests/firmware/snp_rig.h"
#include "bench.h"

#include <unistd.h>

#define COMMANDS 100000u

static void status(void *context)
{
    struct rig *r = context;
    for (u32 i = 0; i < COMMANDS; i++)
        if (firmware_mailbox(r->fw, SEV_CMD_PLATFORM_STATUS, AT_BUFFER))
            exit(1);
}

static void snp_status(void *context)
{
    struct rig *r = context;
    for (u32 i = 0; i < COMMANDS; i++)
        if (firmware_mailbox(r->fw, SEV_CMD_SNP_PLATFORM_STATUS, AT_BUFFER))
            exit(1);
}

static void call_kernel(void *context)
{
    for (u32 i = 0; i < COMMANDS; i++)
        if (getppid() < 0)
            exit(1);
    (void)context;
}

static void compare(struct rig *r, const char *name, void (*ours)(void *))
{
    double our_time, peers;
    bench_alternate(8, ours, call_kernel, r, &our_time, &peers);
    printf("%-26s %5.2fx the rate of getppid(); %.2f million commands a second\n", name,
           peers / our_time, COMMANDS / our_time / 1e6);
}

int main(void)
{
    static struct rig r;
    rig_create(&r);
    r.trace.enabled = 0;
    compare(&r, "PLATFORM_STATUS", status);
    struct snp_address at = {AT_STATUS};
    rig_put(&r, AT_BUFFER, &at, sizeof at);
    compare(&r, "SNP_PLATFORM_STATUS", snp_status);
    rig_destroy(&r);
    return 0;
}
