/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation reports through the mailbox, from the guest's sealed request to its opened answer,
 * against OpenSSL's own ECDSA signatures on P-384 over as many bytes with a key that stays in
 * place.
 */
#include "../tests/firmware/snp_rig.h"
#include "bench.h"

#include <openssl/ec.h>
#include <openssl/evp.h>

#define REPORTS 200u

struct work {
    struct rig rig;
    EVP_PKEY *key;
};

static void ask(void *context)
{
    struct work *w = context;
    struct snp_report_req in = {.vmpl = 0};
    struct snp_report_rsp out;
    for (u32 i = 0; i < REPORTS; i++) {
        in.report_data[0] = (u8)i;
        snp_ask(&w->rig, SNP_MSG_REPORT_REQ, &in, sizeof in, &out);
        if (out.status || out.report.report_data[0] != (u8)i)
            exit(1);
    }
}

static void sign(void *context)
{
    struct work *w = context;
    static const u8 report[SNP_REPORT_SIGNED_SIZE];
    u8 signature[128];
    for (u32 i = 0; i < REPORTS; i++) {
        size_t size = sizeof signature;
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        if (!md || EVP_DigestSignInit(md, NULL, EVP_sha384(), NULL, w->key) != 1 ||
            EVP_DigestSign(md, signature, &size, report, sizeof report) != 1)
            exit(1);
        EVP_MD_CTX_free(md);
    }
}

int main(void)
{
    static struct work w;
    rig_create(&w.rig);
    w.rig.trace.enabled = 0;
    w.key = EVP_EC_gen("P-384");
    snp_to_running(&w.rig, RIG_POLICY);
    double ours, peers;
    bench_alternate(8, ask, sign, &w, &ours, &peers);
    printf("SNP reports                %5.2fx OpenSSL's ECDSA P-384 signatures (goal: at least "
           "0.7x); %.0f a second",
           peers / ours, REPORTS / ours);
    int status = bench_verdict(peers / ours, 0.7);
    EVP_PKEY_free(w.key);
    rig_destroy(&w.rig);
    return status;
}
