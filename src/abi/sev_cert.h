/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data that platform, guest owner and manufacturer exchange under SEV: certificates, session,
 * packet header, measurement and attestation report [sev 7, 8]. All integers are little-endian.
 * Every field lies on its natural boundary, so the structs need no packing. They are copied in and
 * out by value.
 */
#ifndef SOFTSEV_ABI_SEV_CERT_H
#define SOFTSEV_ABI_SEV_CERT_H

#include "base/base.h"

/* The purpose of a key; in a signature, that of the signing key [sev 8.1]. */
enum sev_usage {
    SEV_USAGE_ARK = 0x0000,
    SEV_USAGE_ASK = 0x0013,
    SEV_USAGE_NONE = 0x1000, /* an empty signature slot; 0 would mean ARK */
    SEV_USAGE_OCA = 0x1001,
    SEV_USAGE_PEK = 0x1002,
    SEV_USAGE_PDH = 0x1003,
    SEV_USAGE_CEK = 0x1004,
};

enum sev_algorithm {
    SEV_ALGORITHM_NONE = 0x000,
    SEV_ALGORITHM_RSA_SHA256 = 0x001,
    SEV_ALGORITHM_ECDSA_SHA256 = 0x002,
    SEV_ALGORITHM_ECDH_SHA256 = 0x003,
    SEV_ALGORITHM_RSA_SHA384 = 0x101,
    SEV_ALGORITHM_ECDSA_SHA384 = 0x102,
    SEV_ALGORITHM_ECDH_SHA384 = 0x103,
};

enum sev_curve {
    SEV_CURVE_P256 = 1,
    SEV_CURVE_P384 = 2,
};

#define SEV_CERT_VERSION 1u

struct sev_ec_public {
    u32 curve;
    u8 qx[72], qy[72]; /* little-endian; P-384 uses 48 bytes of each */
    u8 reserved_094[0x404 - 0x94];
};
ABI_OFFSET(struct sev_ec_public, qy, 0x4c);
ABI_SIZE(struct sev_ec_public, 0x404);

struct sev_rsa_public {
    u32 modulus_bits;
    u8 exponent[512], modulus[512]; /* little-endian */
};
ABI_OFFSET(struct sev_rsa_public, modulus, 0x204);
ABI_SIZE(struct sev_rsa_public, 0x404);

struct sev_ec_signature {
    u8 r[72], s[72]; /* little-endian */
};
ABI_SIZE(struct sev_ec_signature, 144);

struct sev_cert_signature {
    u32 usage;     /* of the signing key */
    u32 algorithm; /* of the signing key */
    union {
        struct sev_ec_signature ec; /* the rest is zero */
        u8 rsa[512];                /* little-endian, in the first bytes */
        u8 bytes[512];
    };
};
ABI_SIZE(struct sev_cert_signature, 0x208);

/* The certificate of a PEK, PDH, OCA, CEK or GODH, and the PEK's signing request. Both signatures
 * cover [0, signatures). */
struct sev_cert {
    u32 version;
    u8 api_major, api_minor;
    u8 reserved_006[2];
    u32 usage;
    u32 algorithm;
    union {
        struct sev_ec_public ec;
        struct sev_rsa_public rsa;
    };
    struct sev_cert_signature signatures[2];
};
ABI_OFFSET(struct sev_cert, usage, 0x08);
ABI_OFFSET(struct sev_cert, ec, 0x10);
ABI_OFFSET(struct sev_cert, signatures, 0x414);
ABI_SIZE(struct sev_cert, 0x824);

#define SEV_CERT_SIGNED_SIZE 0x414u /* bytes */

/* Written by PDH_CERT_EXPORT besides the PDH, and read as SEND_START's plat_certs [sev 8.3]. */
struct sev_cert_chain {
    struct sev_cert pek, oca, cek;
};
ABI_SIZE(struct sev_cert_chain, 0x186c);

/* The file that sevctl exports [sev 8.3]. */
struct sev_platform_chain {
    struct sev_cert pdh;
    struct sev_cert_chain chain;
};
ABI_SIZE(struct sev_platform_chain, 8336);

/* An ARK or ASK: this header, then exponent, modulus and signature of modulus_bits / 8 bytes each
 * [sev 8.5]. */
struct amd_cert_header {
    u32 version;
    u8 key_id[16];
    u8 certifying_id[16];
    u32 usage;
    u8 reserved_28[16];
    u32 exponent_bits; /* size of the exponent field: equal to modulus_bits */
    u32 modulus_bits;  /* 2048 or 4096 */
};
ABI_OFFSET(struct amd_cert_header, certifying_id, 0x14);
ABI_OFFSET(struct amd_cert_header, usage, 0x24);
ABI_OFFSET(struct amd_cert_header, exponent_bits, 0x38);
ABI_SIZE(struct amd_cert_header, 0x40);

#define AMD_CERT_SIZE(bits) (0x40u + 3u * (bits) / 8u) /* 832 or 1600 bytes */
/* size of AMD's Naples ARK as first published: without signature [sev 8.5] */
#define AMD_CERT_SIZE_UNSIGNED 576u
#define AMD_CERT_SIZE_MAX      1600u

/* A session: transport keys, wrapped for the other side's Diffie-Hellman key [sev 7.4]. */
struct sev_session {
    u8 nonce[16];
    u8 wrap_tk[32]; /* TEK and TIK, encrypted with the KEK */
    u8 wrap_iv[16];
    u8 wrap_mac[32];
    u8 policy_mac[32];
};
ABI_OFFSET(struct sev_session, policy_mac, 0x60);
ABI_SIZE(struct sev_session, 0x80);

/* The output of LAUNCH_MEASURE [sev 7.5]. */
struct sev_measure {
    u8 measure[32];
    u8 mnonce[16];
};
ABI_SIZE(struct sev_measure, 0x30);

/* The packet header of LAUNCH_SECRET, SEND_UPDATE and RECEIVE_UPDATE [sev 7.6, 7.7]. */
struct sev_packet_header {
    u32 flags; /* SEV_PACKET_... */
    u8 iv[16];
    u8 mac[32];
};
ABI_SIZE(struct sev_packet_header, 0x34);

#define SEV_PACKET_COMPRESSED 1u

/* The answer to ATTESTATION; the PEK signs [0, signature_usage) [sev 7.8]. */
struct sev_attestation_report {
    u8 mnonce[16];
    u8 launch_digest[32];
    u32 policy;
    u32 signature_usage;
    u32 signature_algorithm;
    u32 reserved_3c;
    struct sev_ec_signature signature;
};
ABI_OFFSET(struct sev_attestation_report, signature_usage, 0x34);
ABI_OFFSET(struct sev_attestation_report, signature, 0x40);
ABI_SIZE(struct sev_attestation_report, 0xd0);

#endif
