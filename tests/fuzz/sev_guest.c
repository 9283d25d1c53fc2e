/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile programs at /dev/sev-guest, and a host that answers as it likes. The input is a list of
 * calls: the ioctl's number, what the host does, its exitinfo2, how large its answer is, the
 * ioctl's structure, and 128 bytes of the program's memory that lies behind it.
 *
 *   host  bit 0  the answer is sealed with the right key and fits the request; else the input's
 * bytes are the answer
 */
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "door/sev_guest.h"
#include "machine/machine.h"
#include "memory/memory.h"

#include <stdlib.h>

static size_t table(void *context, u8 out[SNP_CERTS_MAX])
{
    (void)context;
    memset(out, 0, 5000);
    return 5000;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define ASID       3u
#define AT_TABLES  0x10000u /* four pages */
#define AT_SECRETS 0x20000u
#define CALLS      16u
#define CALLER_AT  0x1000u

struct host {
    struct guest_memory memory;
    struct crypto *crypto;
    struct machine *machine;
};

struct input {
    struct reader r;
    u8 flags;
    u64 exitinfo2;
    u16 answer_size;
    u8 caller[0x6000];
};

/* Made once; nothing of it but the secrets page changes. Guest address 0 is the secrets page. */
static struct host *host(void)
{
    static struct host h;
    static const u8 key[16] = {1};
    struct error e = {.code = ERROR_NONE};
    if (h.machine)
        return &h;
    h.crypto = crypto_create("fuzz", 4);
    h.machine = machine_create(
        &(struct machine_config){
            .memory_size = MIB(2), .cores = 1, .crypto = h.crypto, .fuses = {1}},
        &e);
    struct memory *m = h.machine ? machine_memory(h.machine) : NULL;
    if (!m || !memory_key_load(m, ASID, key))
        abort();
    for (u64 i = 0; i < 4; i++) {
        u64 entry = (i < 3 ? AT_TABLES + (i + 1) * PAGE_SIZE : AT_SECRETS) | 7;
        memory_write(m, AT_TABLES + i * PAGE_SIZE, KEY_RAW, &entry, sizeof entry);
    }
    h.memory = (struct guest_memory){machine_host(h.machine), AT_TABLES, ASID, false, 0};
    return &h;
}

static bool caller_read(void *context, u64 address, void *out, size_t size)
{
    const struct input *in = context;
    if (address < CALLER_AT || !range_fits(address - CALLER_AT, size, sizeof in->caller))
        return false;
    memcpy(out, in->caller + (address - CALLER_AT), size);
    return true;
}

static bool caller_write(void *context, u64 address, const void *data, size_t size)
{
    struct input *in = context;
    if (address < CALLER_AT || !range_fits(address - CALLER_AT, size, sizeof in->caller))
        return false;
    memcpy(in->caller + (address - CALLER_AT), data, size);
    return true;
}

static u64 carry(void *context, const u8 request[PAGE_SIZE], u8 response[PAGE_SIZE])
{
    static const u8 vmpck[SNP_VMPCK_SIZE] = {7};
    struct input *in = context;
    struct snp_msg_header h;
    u8 payload[SNP_MSG_PAYLOAD_MAX] = {0}, iv[12];
    memcpy(&h, request, sizeof h);
    if (!(in->flags & 1)) {
        read_bytes(&in->r, response, min_u64(PAGE_SIZE, reader_left(&in->r)));
        return in->exitinfo2;
    }
    h.seqno++;
    h.type++;
    h.size = (u16)min_u64(in->answer_size, sizeof payload);
    snp_msg_iv(h.seqno, iv);
    crypto_aes256_gcm_seal(vmpck, iv, (u8 *)&h + SNP_MSG_AAD_OFFSET, SNP_MSG_AAD_SIZE, payload,
                           response + sizeof h, h.size, h.tag);
    memcpy(response, &h, sizeof h);
    return in->exitinfo2;
}

static struct snp_secrets_page secrets_of(struct host *h)
{
    struct snp_secrets_page page;
    if (!guest_read(&h->memory, 0, GUEST_PRIVATE, &page, sizeof page))
        abort();
    return page;
}

static void one_call(struct host *h, struct sev_guest *g, struct input *in)
{
    struct door_caller caller = {caller_read, caller_write, in};
    struct door_file file = sev_guest_file(g);
    u32 request = read_u32(&in->r);
    in->flags = read_u8(&in->r);
    in->exitinfo2 = read_u64(&in->r);
    in->answer_size = read_u16(&in->r);
    read_bytes(&in->r, in->caller, 32 + 128);
    struct snp_secrets_page before = secrets_of(h);
    s64 result = file.ioctl(file.context, &caller, true, request, CALLER_AT);
    struct snp_secrets_page after = secrets_of(h);
    u32 count = load_le32(after.guest_area_0a0) - load_le32(before.guest_area_0a0);
    bool lost = memcmp(before.vmpck, after.vmpck, sizeof before.vmpck) != 0;
    /* Only whole messages count, and one that went wrong takes the key with it. */
    if (result > 0 || (count != 0 && count != 2) || (!result && (lost || count != 2)))
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct input in;
    struct host *h = host();
    struct error e = {.code = ERROR_NONE};
    struct snp_secrets_page secrets = {.version = 3, .vmpck = {{7}}};
    memset(&in, 0, sizeof in);
    in.r = reader_of(data, size);
    if (!guest_write(&h->memory, 0, GUEST_PRIVATE, &secrets, sizeof secrets))
        abort();
    struct sev_guest *g = sev_guest_create(
        &(struct sev_guest_config){
            .carrier = {carry, &in}, .memory = h->memory, .table = {size % 2 ? table : NULL, NULL}},
        &e);
    if (!g)
        abort();
    for (u32 i = 0; i < CALLS && reader_left(&in.r); i++)
        one_call(h, g, &in);
    sev_guest_destroy(g);
    return 0;
}
