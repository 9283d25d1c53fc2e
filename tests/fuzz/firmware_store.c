/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware's store. An even first byte: the rest is the blob as it lies in the flash. An odd
 * one: two bytes of offset and bytes that replace the payload's there before it is sealed again, as
 * if the chip's own key had leaked; whatever is taken then must be usable.
 */
#include "firmware/internal.h"

#include "base/bytes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define HEADER_SIZE 0x20u
#define IV_AT       0x10u
#define MAC_SIZE    32u

struct flash {
    u8 bytes[FIRMWARE_STORE_MAX];
    size_t size;
};

static enum firmware_store_answer load(void *context, void *out, size_t size, size_t *got)
{
    struct flash *f = context;
    *got = (size_t)min_u64(f->size, size);
    memcpy(out, f->bytes, *got);
    return f->size ? FIRMWARE_STORE_LOADED : FIRMWARE_STORE_ABSENT;
}

static bool save(void *context, const void *data, size_t size)
{
    struct flash *f = context;
    if (size)
        memcpy(f->bytes, data, size);
    f->size = size;
    return true;
}

/* The good store, made once. */
static struct flash good;

static void change_payload(struct firmware *fw, struct flash *f, struct reader *r)
{
    size_t payload_size = f->size - HEADER_SIZE - MAC_SIZE;
    u8 *payload = f->bytes + HEADER_SIZE;
    crypto_aes128_ctr(fw->store_key, f->bytes + IV_AT, payload, payload, payload_size);
    size_t at = read_u16(r) % payload_size;
    read_bytes(r, payload + at, (size_t)min_u64(reader_left(r), payload_size - at));
    crypto_aes128_ctr(fw->store_key, f->bytes + IV_AT, payload, payload, payload_size);
    crypto_hmac_sha256(fw->store_mac_key, sizeof fw->store_mac_key, f->bytes,
                       HEADER_SIZE + payload_size, payload + payload_size);
}

/* INIT refuses a bad store and leaves it alone; a reset lets it start anew. */
static void power_on(struct firmware *fw, const struct flash *f)
{
    static struct flash before;
    before = *f;
    u32 status = firmware_mailbox(fw, SEV_CMD_INIT, 0);
    if (status == SEV_STATUS_SECURE_DATA_INVALID || status == SEV_STATUS_HWERROR_PLATFORM) {
        if (f->size != before.size || memcmp(f->bytes, before.bytes, f->size) ||
            firmware_mailbox(fw, SEV_CMD_PLATFORM_RESET, 0) || f->size)
            abort();
        status = firmware_mailbox(fw, SEV_CMD_INIT, 0);
    }
    if (status != SEV_STATUS_SUCCESS)
        abort();
    firmware_mailbox(fw, SEV_CMD_PDH_GEN, 0);
    struct sev_pdh_cert_export export = {.pdh_paddr = 0x1000,
                                         .pdh_len = SEV_CERT_SIZE,
                                         .chain_paddr = 0x2000,
                                         .chain_len = SEV_CERT_CHAIN_SIZE};
    memory_write(fw->memory, 0, KEY_RAW, &export, sizeof export);
    if (firmware_mailbox(fw, SEV_CMD_PDH_CERT_EXPORT, 0) != SEV_STATUS_SUCCESS)
        abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u8 zeros[0x100];
    struct flash *flash = calloc(1, sizeof *flash);
    struct crypto *crypto = crypto_create("fuzz", 4);
    struct random_source random = crypto_random_source(crypto);
    struct memory *m =
        memory_create(&(struct memory_config){.size = KIB(64), .asids = 1, .random = &random});
    struct firmware *fw = firmware_create(
        &(struct firmware_config){.memory = m,
                                  .crypto = crypto,
                                  .store = {.load = load, .save = save, .context = flash},
                                  .fuses = {1},
                                  .asid_min = 1,
                                  .asid_max = 1});
    if (!fw || !flash)
        abort();
    if (!good.size) {
        firmware_mailbox(fw, SEV_CMD_INIT, 0);
        good = *flash;
        firmware_mailbox(fw, SEV_CMD_SHUTDOWN, 0);
        memory_write(m, 0, KEY_RAW, zeros, sizeof zeros);
    }
    *flash = good;
    struct reader r = reader_of(data, size);
    if (read_u8(&r) & 1)
        change_payload(fw, flash, &r);
    else
        save(flash, data + (size ? 1 : 0),
             (size_t)min_u64(size ? size - 1 : 0, sizeof flash->bytes));
    power_on(fw, flash);
    firmware_destroy(fw);
    memory_destroy(m);
    crypto_destroy(crypto);
    free(flash);
    return 0;
}
