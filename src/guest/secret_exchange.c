/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the secret exchange, what both ends derive, and the agent's end; see
 * secret_exchange.h. */
#include "guest/secret_exchange.h"

#include "base/bytes.h"
#include "guest/guest.h"

#define MAGIC      "SSX1"
#define LABEL_DATA "softsev secret exchange 1: report"
#define LABEL_KEY  "softsev secret exchange 1: key"
#define POINT_SIZE 96u

/* --- Frames ----------------------------------------------------------------------------------- */

size_t secret_frame_size(const u8 header[SECRET_FRAME_HEADER])
{
    u32 payload = load_le32(header + 8);
    if (memcmp(header, MAGIC, 4) || load_le32(header + 12) ||
        payload > SECRET_FRAME_MAX - SECRET_FRAME_HEADER)
        return 0;
    return SECRET_FRAME_HEADER + payload;
}

const u8 *secret_frame_payload(const void *frame, size_t size, enum secret_frame type,
                               size_t *payload_size)
{
    const u8 *f = frame;
    if (size < SECRET_FRAME_HEADER || secret_frame_size(f) != size || load_le32(f + 4) != type)
        return NULL;
    *payload_size = size - SECRET_FRAME_HEADER;
    return f + SECRET_FRAME_HEADER;
}

size_t secret_frame_write(enum secret_frame type, const void *payload, size_t payload_size,
                          void *out, size_t size)
{
    u8 header[SECRET_FRAME_HEADER] = {0};
    if (payload_size > SECRET_FRAME_MAX - sizeof header || payload_size + sizeof header > size)
        return 0;
    memcpy(header, MAGIC, 4);
    store_le32(header + 4, type);
    store_le32(header + 8, (u32)payload_size);
    if (payload_size)
        memmove((u8 *)out + sizeof header, payload, payload_size);
    memcpy(out, header, sizeof header);
    return sizeof header + payload_size;
}

/* --- Both ends -------------------------------------------------------------------------------- */

static void write_point(struct writer *w, const struct ec_public *p)
{
    write_bytes(w, p->x, sizeof p->x);
    write_bytes(w, p->y, sizeof p->y);
}

static void read_point(struct reader *r, struct ec_public *p)
{
    read_bytes(r, p->x, sizeof p->x);
    read_bytes(r, p->y, sizeof p->y);
}

void secret_report_data(const u8 nonce[SECRET_NONCE_SIZE], const struct ec_public *agent,
                        u8 out[64])
{
    u8 text[sizeof LABEL_DATA + SECRET_NONCE_SIZE + POINT_SIZE];
    struct writer w = writer_of(text, sizeof text);
    write_bytes(&w, LABEL_DATA, sizeof LABEL_DATA);
    write_bytes(&w, nonce, SECRET_NONCE_SIZE);
    write_point(&w, agent);
    memset(out, 0, 64);
    crypto_sha384(text, sizeof text, out);
}

static void hash_transcript(const struct secret_transcript *t, u8 out[48])
{
    u8 text[sizeof LABEL_KEY + SECRET_NONCE_SIZE + 2 * POINT_SIZE + sizeof *t->report];
    struct writer w = writer_of(text, sizeof text);
    write_bytes(&w, LABEL_KEY, sizeof LABEL_KEY);
    write_bytes(&w, t->nonce, SECRET_NONCE_SIZE);
    write_point(&w, t->agent);
    write_bytes(&w, t->report, sizeof *t->report);
    write_point(&w, t->owner);
    crypto_sha384(text, sizeof text, out);
}

void secret_hkdf_sha256(const void *salt, size_t salt_size, const void *ikm, size_t ikm_size,
                        const void *info, size_t info_size, void *out, size_t size)
{
    u8 prk[32], block[32];
    crypto_hmac_sha256(salt, salt_size, ikm, ikm_size, prk);
    for (u8 i = 1; size; i++) {
        const struct crypto_piece pieces[] = {
            {block, i == 1 ? 0 : sizeof block}, {info, info_size}, {&i, 1}};
        crypto_hmac_sha256_pieces(prk, sizeof prk, pieces, ARRAY_SIZE(pieces), block);
        size_t part = min_u64(size, sizeof block);
        memcpy(out, block, part);
        out = (u8 *)out + part;
        size -= part;
    }
    crypto_wipe(prk, sizeof prk);
    crypto_wipe(block, sizeof block);
}

bool secret_derive(const struct ec_private *mine, const struct ec_public *theirs,
                   const struct secret_transcript *t, struct secret_key *out)
{
    u8 z[48], both[sizeof out->key + sizeof out->iv];
    if (!crypto_ecdh(mine, theirs, z))
        return false;
    hash_transcript(t, out->transcript);
    secret_hkdf_sha256(out->transcript, sizeof out->transcript, z, sizeof z, LABEL_KEY,
                       sizeof LABEL_KEY, both, sizeof both);
    memcpy(out->key, both, sizeof out->key);
    memcpy(out->iv, both + sizeof out->key, sizeof out->iv);
    crypto_wipe(z, sizeof z);
    crypto_wipe(both, sizeof both);
    return true;
}

/* --- EVIDENCE: point, report, u32 size, table of certificates --------------------------------- */

bool secret_evidence_read(const void *frame, size_t size, struct secret_evidence *out)
{
    size_t payload_size = 0;
    const u8 *payload = secret_frame_payload(frame, size, SECRET_EVIDENCE, &payload_size);
    struct reader r = reader_of(payload, payload_size);
    struct guest_certificate list[GUEST_CERTIFICATES_MAX];
    *out = (struct secret_evidence){.certificate_count = 0};
    if (!payload)
        return false;
    read_point(&r, &out->key);
    read_bytes(&r, &out->report, sizeof out->report);
    u32 table_size = read_u32(&r);
    const u8 *table = read_view(&r, table_size);
    if (r.bad || reader_left(&r))
        return false;
    s32 count = table_size ? guest_certificates_read(table, table_size, list) : 0;
    for (s32 i = 0; i < count; i++)
        out->certificates[i] = (struct crypto_piece){list[i].data, list[i].size};
    out->certificate_count = count < 0 ? 0 : (u32)count;
    return count >= 0;
}
_Static_assert(GUEST_CERTIFICATES_MAX <= SECRET_CERTIFICATES_MAX, "a table has its place");

/* --- SECRET: point, tag, u32 size, ciphertext ------------------------------------------------- */

bool secret_sealed_read(const void *frame, size_t size, struct secret_sealed *out)
{
    size_t payload_size = 0;
    const u8 *payload = secret_frame_payload(frame, size, SECRET_SECRET, &payload_size);
    struct reader r = reader_of(payload, payload_size);
    if (!payload)
        return false;
    read_point(&r, &out->key);
    read_bytes(&r, out->tag, sizeof out->tag);
    out->size = read_u32(&r);
    out->data = read_view(&r, out->size);
    return !r.bad && !reader_left(&r) && out->size <= SECRET_SIZE_MAX;
}

size_t secret_sealed_write(const struct secret_key *key, const struct ec_public *owner,
                           const void *secret, size_t secret_size, void *out, size_t size)
{
    u8 tag[16], *payload = (u8 *)out + SECRET_FRAME_HEADER;
    size_t head = POINT_SIZE + sizeof tag + 4;
    if (secret_size > SECRET_SIZE_MAX || size < SECRET_FRAME_HEADER + head + secret_size)
        return 0;
    struct writer w = writer_of(payload, head);
    crypto_aes256_gcm_seal(key->key, key->iv, key->transcript, sizeof key->transcript, secret,
                           payload + head, secret_size, tag);
    write_point(&w, owner);
    write_bytes(&w, tag, sizeof tag);
    write_u32(&w, (u32)secret_size);
    return secret_frame_write(SECRET_SECRET, payload, head + secret_size, out, size);
}

/* --- The agent -------------------------------------------------------------------------------- */

bool secret_agent_start(struct secret_agent *a, struct crypto *crypto, const void *frame,
                        size_t size, u8 report_data[64])
{
    size_t payload_size = 0;
    const u8 *nonce = secret_frame_payload(frame, size, SECRET_HELLO, &payload_size);
    if (!nonce || payload_size != SECRET_NONCE_SIZE || !crypto_ec_generate(crypto, &a->key))
        return false;
    memcpy(a->nonce, nonce, sizeof a->nonce);
    secret_report_data(a->nonce, &a->key.public, report_data);
    return true;
}

size_t secret_agent_evidence(struct secret_agent *a, const struct snp_report *report,
                             const void *table, size_t table_size, void *out, size_t size)
{
    u8 *payload = (u8 *)out + SECRET_FRAME_HEADER;
    if (size < SECRET_FRAME_HEADER)
        return 0;
    struct writer w = writer_of(payload, size - SECRET_FRAME_HEADER);
    a->report = *report;
    write_point(&w, &a->key.public);
    write_bytes(&w, report, sizeof *report);
    write_u32(&w, (u32)table_size);
    write_bytes(&w, table, table_size);
    return w.bad ? 0 : secret_frame_write(SECRET_EVIDENCE, payload, w.at, out, size);
}

s64 secret_agent_open(struct secret_agent *a, const void *frame, size_t size, void *out,
                      size_t out_size)
{
    struct secret_sealed sealed;
    struct secret_key key;
    const struct secret_transcript t = {a->nonce, &a->key.public, &sealed.key, &a->report};
    bool good = secret_sealed_read(frame, size, &sealed) && sealed.size <= out_size &&
                secret_derive(&a->key, &sealed.key, &t, &key);
    good = good && crypto_aes256_gcm_open(key.key, key.iv, key.transcript, sizeof key.transcript,
                                          sealed.data, out, sealed.size, sealed.tag);
    crypto_wipe(&key, sizeof key);
    crypto_wipe(&a->key, sizeof a->key);
    return good ? (s64)sealed.size : -1;
}
