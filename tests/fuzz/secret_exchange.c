/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of the secret exchange as both ends take them apart. The first byte says what the rest is:
 * 0 a frame as it comes; 1 to 5 the payload of a frame of that type.
 */
#include "guest/secret_exchange.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool inside(const u8 *frame, size_t size, const void *data, size_t data_size)
{
    return range_fits((u64)((const u8 *)data - frame), data_size, size);
}

static void take_apart(struct crypto *crypto, const u8 *frame, size_t size)
{
    static struct secret_agent agent;
    struct secret_evidence evidence;
    struct secret_sealed sealed;
    u8 report_data[64], out[64];
    bool started = secret_agent_start(&agent, crypto, frame, size, report_data);
    bool is_evidence = secret_evidence_read(frame, size, &evidence);
    bool is_sealed = secret_sealed_read(frame, size, &sealed);
    require(started + is_evidence + is_sealed <= 1);
    for (u32 i = 0; is_evidence && i < evidence.certificate_count; i++)
        require(inside(frame, size, evidence.certificates[i].data, evidence.certificates[i].size));
    require(!is_sealed || inside(frame, size, sealed.data, sealed.size));
    require(secret_agent_open(&agent, frame, size, out, sizeof out) < 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static u8 frame[SECRET_FRAME_MAX];
    struct crypto *crypto = crypto_create("fuzz", 4);
    if (size && data[0] && data[0] <= SECRET_DONE) {
        size_t whole =
            secret_frame_write((enum secret_frame)data[0], data + 1, size - 1, frame, sizeof frame);
        require(!whole || secret_frame_size(frame) == whole);
        take_apart(crypto, frame, whole);
    } else if (size > 1) {
        take_apart(crypto, data + 1, size - 1);
    }
    crypto_destroy(crypto);
    return 0;
}
