/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SNP_LAUNCH_UPDATE of many 4 KiB pages against OpenSSL's SHA-384 of the same amount: each page,
 * and for each the 112 bytes that go into the launch digest [snp 5.4].
 */
#include "../tests/firmware/snp_rig.h"
#include "bench.h"

#include <openssl/evp.h>

#define PAGES 512u /* from AT_LARGE on */

struct work {
    struct rig rig;
    u8 *plain;
};

/* As a hypervisor leaves them: its own plaintext in pages that it has made the guest's. */
static void prepare(struct work *w, u8 fill)
{
    memset(w->plain, fill, PAGES * PAGE_SIZE);
    for (u64 i = 0; i < PAGES; i++) {
        u64 spa = AT_LARGE + (i << PAGE_SHIFT);
        snp_page(&w->rig, spa, (struct rmp_entry){.assigned = false});
        memory_write(w->rig.memory, spa, KEY_RAW, w->plain + (i << PAGE_SHIFT), PAGE_SIZE);
        snp_pre_guest(&w->rig, spa, SNP_ASID, i << PAGE_SHIFT);
    }
}

static void launch(void *context)
{
    struct work *w = context;
    for (u64 i = 0; i < PAGES; i++)
        if (snp_update(&w->rig, AT_GCTX, SNP_PAGE_NORMAL, AT_LARGE + (i << PAGE_SHIFT)))
            exit(1);
}

static void hash(void *context)
{
    struct work *w = context;
    u8 digest[48];
    static const struct snp_page_info info;
    for (u64 i = 0; i < PAGES; i++)
        if (EVP_Digest(w->plain + (i << PAGE_SHIFT), PAGE_SIZE, digest, NULL, EVP_sha384(), NULL) !=
                1 ||
            EVP_Digest(&info, sizeof info, digest, NULL, EVP_sha384(), NULL) != 1)
            exit(1);
}

int main(void)
{
    static struct work w;
    double ours = 1e9, peers = 1e9;
    w.plain = malloc(PAGES * PAGE_SIZE);
    if (!w.plain)
        return 1;
    rig_create(&w.rig);
    w.rig.trace.enabled = 0;
    snp_to_launch(&w.rig, RIG_POLICY);
    for (u8 round = 0; round < 20; round++) {
        double one, other;
        prepare(&w, round);
        bench_alternate(1, launch, hash, &w, &one, &other);
        ours = one < ours ? one : ours;
        peers = other < peers ? other : peers;
    }
    printf("SNP_LAUNCH_UPDATE          %5.2fx OpenSSL's SHA-384 of the same amount (goal: at least "
           "0.7x); %.0f MB/s",
           peers / ours, PAGES * PAGE_SIZE / ours / 1e6);
    int status = bench_verdict(peers / ours, 0.7);
    rig_destroy(&w.rig);
    free(w.plain);
    return status;
}
