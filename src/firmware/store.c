/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The persistent store: one blob, encrypted and authenticated under keys of this chip, in the
 * backend that firmware_create() was given (INIT: the flash) or in the host's buffer (INIT_EX) [sev
 * 4.2].
 *
 *   00h magic[8]   08h version u32   0Ch payload size u32   10h IV[16]   20h payload   then MAC[32]
 *
 * The MAC covers everything before it. Payload, encrypted: flags u32, the private keys OCA, PEK,
 * PDH (scalar and point, 144 bytes each), then their certificates.
 */
#include "firmware/internal.h"

#include "base/bytes.h"

#define STORE_VERSION  1u
#define STORE_HEADER   0x20u
#define STORE_IV_AT    0x10u
#define STORE_MAC_SIZE 32u
#define STORE_OWNED    1u
#define STORE_PAYLOAD  (4u + 3u * 144u + 3u * SEV_CERT_SIZE)

static const u8 store_magic[8] = {'S', 'E', 'V', 'S', 'T', 'O', 'R', 'E'};

_Static_assert(STORE_HEADER + STORE_PAYLOAD + STORE_MAC_SIZE <= FIRMWARE_STORE_MAX,
               "the store does not fit its area");

/* --- The blob --------------------------------------------------------------------------------- */

static void write_key(struct writer *w, const struct ec_private *key)
{
    write_bytes(w, key->d, sizeof key->d);
    write_bytes(w, key->public.x, sizeof key->public.x);
    write_bytes(w, key->public.y, sizeof key->public.y);
}

static void read_key(struct reader *r, struct ec_private *key)
{
    read_bytes(r, key->d, sizeof key->d);
    read_bytes(r, key->public.x, sizeof key->public.x);
    read_bytes(r, key->public.y, sizeof key->public.y);
}

size_t store_seal(struct firmware *fw, const struct identity *id, void *out, size_t size)
{
    u8 iv[16];
    crypto_random(fw->crypto, iv, sizeof iv);
    struct writer w = writer_of(out, size);
    write_bytes(&w, store_magic, sizeof store_magic);
    write_u32(&w, STORE_VERSION);
    write_u32(&w, STORE_PAYLOAD);
    write_bytes(&w, iv, sizeof iv);
    write_u32(&w, id->owned ? STORE_OWNED : 0);
    write_key(&w, &id->oca_key);
    write_key(&w, &id->pek_key);
    write_key(&w, &id->pdh_key);
    write_bytes(&w, &id->oca, sizeof id->oca);
    write_bytes(&w, &id->pek, sizeof id->pek);
    write_bytes(&w, &id->pdh, sizeof id->pdh);
    if (w.bad || size - w.at < STORE_MAC_SIZE)
        return 0;
    u8 *payload = w.data + STORE_HEADER;
    crypto_aes128_ctr(fw->store_key, iv, payload, payload, STORE_PAYLOAD);
    u8 mac[STORE_MAC_SIZE];
    crypto_hmac_sha256(fw->store_mac_key, sizeof fw->store_mac_key, w.data, w.at, mac);
    write_bytes(&w, mac, sizeof mac);
    return w.at;
}

static bool certificates_sound(const struct identity *id)
{
    return sev_cert_check(&id->oca, SEV_USAGE_OCA) == CERT_OK &&
           sev_cert_check(&id->pek, SEV_USAGE_PEK) == CERT_OK &&
           sev_cert_check(&id->pdh, SEV_USAGE_PDH) == CERT_OK;
}

static bool read_payload(const u8 *payload, struct identity *id)
{
    struct reader r = reader_of(payload, STORE_PAYLOAD);
    u32 flags = read_u32(&r);
    *id = (struct identity){.present = true, .owned = flags & STORE_OWNED};
    read_key(&r, &id->oca_key);
    read_key(&r, &id->pek_key);
    read_key(&r, &id->pdh_key);
    read_bytes(&r, &id->oca, sizeof id->oca);
    read_bytes(&r, &id->pek, sizeof id->pek);
    read_bytes(&r, &id->pdh, sizeof id->pdh);
    return !r.bad && !(flags & ~STORE_OWNED) && certificates_sound(id);
}

static bool header_right(const u8 *blob, size_t size)
{
    struct reader r = reader_of(blob, size);
    const u8 *magic = read_view(&r, sizeof store_magic);
    u32 version = read_u32(&r), payload = read_u32(&r);
    return !r.bad && !memcmp(magic, store_magic, sizeof store_magic) && version == STORE_VERSION &&
           payload == STORE_PAYLOAD && size >= STORE_HEADER + STORE_PAYLOAD + STORE_MAC_SIZE;
}

enum firmware_store_answer store_open(struct firmware *fw, const void *blob, size_t size,
                                      struct identity *id)
{
    const u8 *bytes = blob;
    if (!header_right(bytes, size))
        return FIRMWARE_STORE_DAMAGED;
    u8 mac[STORE_MAC_SIZE], payload[STORE_PAYLOAD];
    crypto_hmac_sha256(fw->store_mac_key, sizeof fw->store_mac_key, bytes,
                       STORE_HEADER + STORE_PAYLOAD, mac);
    if (!crypto_equal(mac, bytes + STORE_HEADER + STORE_PAYLOAD, sizeof mac))
        return FIRMWARE_STORE_DAMAGED;
    crypto_aes128_ctr(fw->store_key, bytes + STORE_IV_AT, bytes + STORE_HEADER, payload,
                      sizeof payload);
    /* The MAC is valid, so this chip sealed the blob. If its keys cannot be checked now because
     * memory is out, the store may still be valid. */
    bool good = read_payload(payload, id);
    crypto_wipe(payload, sizeof payload);
    if (!good)
        crypto_wipe(id, sizeof *id);
    return good ? FIRMWARE_STORE_LOADED : FIRMWARE_STORE_UNREADABLE;
}

/* --- Where it is ------------------------------------------------------------------------------ */

/* Reads the store from the host's area. Linux does not clear the area when its file is missing, so
 * bytes without softsev's magic count as no store [sev 4.2]. */
static enum firmware_store_answer load_nv_area(struct firmware *fw, struct identity *id)
{
    if (!memory_read(fw->memory, fw->nv_paddr, KEY_RAW, fw->blob, sizeof fw->blob))
        return FIRMWARE_STORE_UNREADABLE;
    if (memcmp(fw->blob, store_magic, sizeof store_magic))
        return FIRMWARE_STORE_ABSENT;
    return store_open(fw, fw->blob, sizeof fw->blob, id);
}

enum firmware_store_answer store_load(struct firmware *fw, struct identity *id)
{
    size_t size = 0;
    if (fw->nv_area)
        return load_nv_area(fw, id);
    if (!fw->store.load)
        return FIRMWARE_STORE_ABSENT;
    enum firmware_store_answer answer =
        fw->store.load(fw->store.context, fw->blob, sizeof fw->blob, &size);
    if (answer != FIRMWARE_STORE_LOADED)
        return answer;
    return size > sizeof fw->blob ? FIRMWARE_STORE_DAMAGED : store_open(fw, fw->blob, size, id);
}

bool store_save(struct firmware *fw, const struct identity *id)
{
    size_t size = store_seal(fw, id, fw->blob, sizeof fw->blob);
    if (fw->nv_area)
        return memory_write(fw->memory, fw->nv_paddr, KEY_RAW, fw->blob, size);
    return !fw->store.save || fw->store.save(fw->store.context, fw->blob, size);
}

static bool delete_flash(struct firmware *fw)
{
    return !fw->store.save || fw->store.save(fw->store.context, NULL, 0);
}

bool store_delete_all(struct firmware *fw)
{
    return (!fw->nv_area || store_delete(fw)) && delete_flash(fw);
}

bool store_delete(struct firmware *fw)
{
    if (!fw->nv_area)
        return delete_flash(fw);
    memset(fw->blob, 0, sizeof fw->blob);
    return memory_write(fw->memory, fw->nv_paddr, KEY_RAW, fw->blob, sizeof fw->blob);
}
