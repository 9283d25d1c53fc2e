/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's three decisions (trust the platform, trust the launch, give the secret) and the state
 * between them. */
#include "owner/owner.h"

#include "abi/sev.h"
#include "base/bytes.h"

int owner_verify_platform(const struct sev_platform_chain *chain, const struct amd_chain *root,
                          struct error *e)
{
    struct cert_verdict verdict = chain_verify(chain, root);
    return cert_verdict_error(&verdict, ERROR_MEASUREMENT, e);
}

int owner_start(struct crypto *c, const struct sev_platform_chain *chain,
                const struct amd_chain *root, u32 policy, struct owner *out, struct error *e)
{
    struct ec_private key;
    memset(out, 0, sizeof *out);
    if (owner_verify_platform(chain, root, e))
        return -1;
    bool good = crypto_ec_generate(c, &key);
    if (good) {
        out->policy = policy;
        crypto_sha256(&chain->pdh, sizeof chain->pdh, out->platform);
        /* Made as virtee's tools make it: API 0.0, unsigned [sev 8.2]. */
        sev_cert_init(&out->godh, SEV_USAGE_PDH, SEV_ALGORITHM_ECDH_SHA256, 0, 0, &key.public);
        good = session_make(c, &key, &chain->pdh, policy, &out->keys, &out->session);
    }
    crypto_wipe(&key, sizeof key);
    if (!good) {
        owner_wipe(out);
        return error_set(e, ERROR_INTERNAL, "OpenSSL cannot make the owner's key or session");
    }
    return 0;
}

int owner_digest(const struct crypto_piece *pieces, size_t count, u8 digest[32], struct error *e)
{
    struct crypto_sha256 *h = crypto_sha256_start();
    if (!h)
        return error_set(e, ERROR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        crypto_sha256_update(h, pieces[i].data, pieces[i].size);
    crypto_sha256_peek(h, digest);
    crypto_sha256_free(h);
    return 0;
}

void owner_expect(const struct owner *o, const struct owner_launch *launch, const u8 mnonce[16],
                  u8 measure[32])
{
    struct measurement m = {
        .api_major = launch->api_major,
        .api_minor = launch->api_minor,
        .build = launch->build,
        .policy = o->policy,
    };
    memcpy(m.digest, launch->digest, sizeof m.digest);
    memcpy(m.mnonce, mnonce, sizeof m.mnonce);
    measurement_compute(&m, o->keys.tik, measure);
}

/* The policy may require a minimum firmware version [sev 6]. The firmware checks that too, but the
 * owner does not rely on it. */
static bool api_is_enough(const struct owner *o, const struct owner_launch *launch)
{
    u8 major = sev_policy_api_major(o->policy), minor = sev_policy_api_minor(o->policy);
    return launch->api_major > major || (launch->api_major == major && launch->api_minor >= minor);
}

int owner_check_launch(struct owner *o, const struct owner_launch *launch,
                       const struct sev_measure *got, struct error *e)
{
    u8 expected[32];
    o->checked = false;
    if (!api_is_enough(o, launch))
        return error_set(e, ERROR_MEASUREMENT,
                         "platform API %u.%u is older than the policy's %u.%u", launch->api_major,
                         launch->api_minor, sev_policy_api_major(o->policy),
                         sev_policy_api_minor(o->policy));
    owner_expect(o, launch, got->mnonce, expected);
    if (!crypto_equal(expected, got->measure, sizeof expected)) {
        char want[65], have[65];
        hex_encode(want, expected, sizeof expected);
        hex_encode(have, got->measure, sizeof got->measure);
        return error_set(e, ERROR_MEASUREMENT,
                         "measurement does not match: the platform says %s, the files give %s for "
                         "API %u.%u build %u, policy 0x%x",
                         have, want, launch->api_major, launch->api_minor, launch->build,
                         o->policy);
    }
    o->launch = *got;
    o->checked = true;
    return 0;
}

int owner_seal(struct crypto *c, const struct owner *o, const void *secret, size_t size,
               struct sev_packet_header *header, u8 *data, struct error *e)
{
    if (!o->checked)
        return error_set(e, ERROR_MEASUREMENT,
                         "no launch has been verified yet: no secret is sealed");
    if (!size || size > OWNER_SECRET_MAX)
        return error_set(e, ERROR_USAGE, "a secret of %zu bytes; one packet carries 1 to %u", size,
                         (unsigned)OWNER_SECRET_MAX);
    u8 iv[16];
    size_t sealed = owner_sealed_size(size);
    crypto_random(c, iv, sizeof iv);
    memmove(data, secret, size);
    memset(data + size, 0, sealed - size);
    struct packet_binding binding = {
        .kind = PACKET_SECRET,
        .guest_length = (u32)sealed,
        .trans_length = (u32)sealed,
        .measure = o->launch.measure,
    };
    packet_seal(&o->keys, &binding, iv, data, data, sealed, header);
    return 0;
}

/*
 * The saved form: magic, version, policy, TEK, TIK, platform, GODH, session, checked (0 or 1),
 * measurement, and SHA-256 of all before it. The hash tells a damaged file from a file of another
 * kind; it protects nothing.
 */
#define SAVE_MAGIC   0x52454e574f565353ull /* "SSVOWNER" */
#define SAVE_VERSION 1u
_Static_assert(OWNER_SAVE_SIZE == 8 + 4 + 4 + sizeof(struct session_keys) + 32 +
                                      sizeof(struct sev_cert) + sizeof(struct sev_session) + 1 +
                                      sizeof(struct sev_measure) + 32,
               "OWNER_SAVE_SIZE is what owner_save writes");

void owner_save(const struct owner *o, u8 out[OWNER_SAVE_SIZE])
{
    struct writer w = writer_of(out, OWNER_SAVE_SIZE);
    write_u64(&w, SAVE_MAGIC);
    write_u32(&w, SAVE_VERSION);
    write_u32(&w, o->policy);
    write_bytes(&w, &o->keys, sizeof o->keys);
    write_bytes(&w, o->platform, sizeof o->platform);
    write_bytes(&w, &o->godh, sizeof o->godh);
    write_bytes(&w, &o->session, sizeof o->session);
    write_u8(&w, o->checked);
    write_bytes(&w, &o->launch, sizeof o->launch);
    crypto_sha256(out, w.at, out + w.at);
}

static int check_saved(const u8 *data, size_t size, struct error *e)
{
    u8 digest[32];
    if (size < 12 || load_le64(data) != SAVE_MAGIC)
        return error_set(e, ERROR_FILE, "not an owner's state");
    if (load_le32(data + 8) != SAVE_VERSION)
        return error_set(e, ERROR_FILE,
                         "an owner's state of version %u; this program knows version %u",
                         load_le32(data + 8), SAVE_VERSION);
    if (size != OWNER_SAVE_SIZE)
        return error_set(e, ERROR_FILE, "an owner's state of %zu bytes; it has %u", size,
                         OWNER_SAVE_SIZE);
    crypto_sha256(data, size - sizeof digest, digest);
    if (memcmp(digest, data + size - sizeof digest, sizeof digest))
        return error_set(e, ERROR_FILE, "a damaged owner's state: its checksum is wrong");
    return 0;
}

int owner_load(const void *data, size_t size, struct owner *out, struct error *e)
{
    memset(out, 0, sizeof *out);
    if (check_saved(data, size, e))
        return -1;
    struct reader r = reader_of(data, size);
    reader_skip(&r, 12);
    out->policy = read_u32(&r);
    read_bytes(&r, &out->keys, sizeof out->keys);
    read_bytes(&r, out->platform, sizeof out->platform);
    read_bytes(&r, &out->godh, sizeof out->godh);
    read_bytes(&r, &out->session, sizeof out->session);
    u8 checked = read_u8(&r);
    read_bytes(&r, &out->launch, sizeof out->launch);
    struct cert_verdict verdict = {.check = sev_cert_check(&out->godh, SEV_USAGE_PDH),
                                   .subject = "GODH"};
    if (checked > 1)
        error_set(e, ERROR_FILE, "a damaged owner's state: neither checked nor unchecked");
    else if (!cert_verdict_error(&verdict, ERROR_FILE, e)) {
        out->checked = checked;
        return 0;
    }
    owner_wipe(out);
    return -1;
}

void owner_wipe(struct owner *o)
{
    crypto_wipe(o, sizeof *o);
}
