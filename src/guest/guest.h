/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest messages as seen from inside a guest: what a kernel does with the VMPCKs of its secrets
 * page, and the table of certificates that comes with an extended report [snp 6]. Pure: the caller
 * carries the sealed pages. The agent that runs inside guests uses this room, too.
 */
#ifndef SOFTSEV_GUEST_GUEST_H
#define SOFTSEV_GUEST_GUEST_H

#include "abi/snp.h"

/* --- A channel: one VMPCK and its counter ----------------------------------------------------- */

struct guest_channel {
    u8 vmpck[SNP_VMPCK_SIZE];
    u8 number;  /* number of the VMPCK, 0 to 3 */
    u64 seqno;  /* sequence number of the last answer; 0: none yet */
    bool wiped; /* the key is given up after a wrong answer, as Linux does */
};

/* The counter as Linux keeps it in the secrets page is 32 bits wide; the last request has
 * FFFFFFFDh. */
#define GUEST_SEQNO_LIMIT 0xffffffffull

/* Opens the channel of VMPCK `number`, with the counter from the guest's area of the secrets page
 * [snp 5.5]. Returns false if there is no such VMPCK, or if it is all zero. */
bool guest_channel_open(const struct snp_secrets_page *secrets, u32 number,
                        struct guest_channel *out);
/* Writes the counter back to the page, and zeros over the VMPCK if the key was given up. */
void guest_channel_store(const struct guest_channel *channel, struct snp_secrets_page *secrets);
/* Gives up the key. A guest that loses count loses its key: another request under the same IV would
 * reveal its plaintext [snp 6.1]. */
void guest_channel_wipe(struct guest_channel *channel);
/* Overwrites copies of secrets pages and derived keys with zeros; no compiler may leave this
 * out. */
void guest_wipe(void *secret, size_t size);

/* --- The envelope ----------------------------------------------------------------------------- */

/* Seals a request of up to SNP_MSG_PAYLOAD_MAX bytes into a page. The counter does not move: a
 * request that was not carried is sealed again in the same way. */
void guest_message_seal(const struct guest_channel *channel, enum snp_msg_type type, u8 version,
                        const void *payload, size_t payload_size, u8 page[PAGE_SIZE]);

/* Opens the answer and advances the counter. Returns the payload's size. Returns -1 and wipes the
 * channel if the page is not an answer to this request. `payload` has SNP_MSG_PAYLOAD_MAX bytes. */
s32 guest_message_open(struct guest_channel *channel, enum snp_msg_type request_type, u8 version,
                       const u8 page[PAGE_SIZE], void *payload);

/* --- Requests --------------------------------------------------------------------------------- */

/* SW_EXITINFO2 of a guest request: the firmware's status in bits 31:0, the hypervisor's error in
 * bits 63:32 [snp 6.3]. */
#define GUEST_EXITINFO2(vmm, fw) ((u64)(vmm) << 32 | (u32)(fw))
enum guest_vmm_error {
    GUEST_VMM_INVALID_LEN = 1, /* too few pages for the certificates */
    GUEST_VMM_BUSY = 2,        /* send the same message again later */
    GUEST_VMM_GENERIC = -1,
};

/* Sends a message to the firmware through the hypervisor, which is not trusted. Returns
 * SW_EXITINFO2. */
struct guest_carrier {
    u64 (*carry)(void *context, const u8 request[PAGE_SIZE], u8 response[PAGE_SIZE]);
    void *context;
};

// clang-format off
#define GUEST_RESULTS(X) \
    X(OK,         "ok")                                                                           \
    X(NO_KEY,     "the VMPCK is empty or was given up")                                           \
    X(NO_COUNT,   "the VMPCK's message counter is at its end")                                    \
    X(REFUSED,    "the firmware or the hypervisor refused the message; the VMPCK is given up")    \
    X(AGAIN,      "the hypervisor did not carry the message; the VMPCK stays good")               \
    X(BAD_ANSWER, "the answer is not one to this request; the VMPCK is given up")
// clang-format on
#define GUEST_ENUM_RESULT(name, text) GUEST_##name,
enum guest_result { GUEST_RESULTS(GUEST_ENUM_RESULT) GUEST_RESULT_COUNT };
#undef GUEST_ENUM_RESULT

/* Returns one line that explains the result. */
const char *guest_result_text(enum guest_result result);

/* Makes one request. The answer's payload must have at least `answer_size` bytes; the rest is
 * dropped. `answer` is written only with GUEST_OK. `exitinfo2` (may be NULL) is the carrier's; 0
 * with GUEST_OK. */
enum guest_result guest_ask(struct guest_channel *channel, const struct guest_carrier *carrier,
                            enum snp_msg_type type, u8 version, const void *payload,
                            size_t payload_size, void *answer, size_t answer_size, u64 *exitinfo2);

/* Ask for an attestation report, a derived key, TSC information [snp 6.2]. The firmware's verdict
 * on the request is in the answer's `status`; the other fields are valid only if that is 0.
 * `version` of a key request: 1, or 2 with the launch mitigation vector. */
enum guest_result guest_report(struct guest_channel *channel, const struct guest_carrier *carrier,
                               const struct snp_report_req *request, struct snp_report_rsp *answer,
                               u64 *exitinfo2);
enum guest_result guest_derived_key(struct guest_channel *channel,
                                    const struct guest_carrier *carrier, u8 version,
                                    const struct snp_key_req *request, struct snp_key_rsp *answer,
                                    u64 *exitinfo2);
enum guest_result guest_tsc_info(struct guest_channel *channel, const struct guest_carrier *carrier,
                                 struct snp_tsc_info_rsp *answer, u64 *exitinfo2);

/* --- The certificate table of extended reports [snp 6.3] -------------------------------------- */

/* Kinds of certificates and their GUIDs, as they are printed. */
// clang-format off
#define GUEST_CERTIFICATES(X) \
    X(VCEK, "VCEK", 0x63,0xda,0x75,0x8d, 0xe6,0x64, 0x45,0x64, 0xad,0xc5, 0xf4,0xb9,0x3b,0xe8,0xac,0xcd) \
    X(VLEK, "VLEK", 0xa8,0x07,0x4b,0xc2, 0xa2,0x5a, 0x48,0x3e, 0xaa,0xe6, 0x39,0xc0,0x45,0xa0,0xb8,0xa1) \
    X(ASK,  "ASK",  0x4a,0xb7,0xb3,0x79, 0xbb,0xac, 0x4f,0xe4, 0xa0,0x2f, 0x05,0xae,0xf3,0x27,0xc7,0x82) \
    X(ARK,  "ARK",  0xc0,0xb4,0x06,0xa4, 0xa8,0x03, 0x49,0x52, 0x97,0x43, 0x3f,0xb6,0x01,0x4c,0xd0,0xae) \
    X(CRL,  "CRL",  0x92,0xf8,0x1b,0xc3, 0x58,0x11, 0x4d,0x3d, 0x97,0xff, 0xd1,0x9f,0x88,0xdc,0x67,0xea)
// clang-format on
#define GUEST_ENUM_CERTIFICATE(name, ...) GUEST_CERTIFICATE_##name,
enum guest_certificate_kind { GUEST_CERTIFICATES(GUEST_ENUM_CERTIFICATE) GUEST_CERTIFICATE_OTHER };
#undef GUEST_ENUM_CERTIFICATE

struct guest_certificate {
    enum guest_certificate_kind kind; /* an ASVK counts as an ASK */
    u8 guid[16]; /* as in the table; written for GUEST_CERTIFICATE_OTHER only */
    const void *data;
    size_t size; /* bytes; 0: the table is written without it */
};

#define GUEST_CERTIFICATES_MAX 32u

/* Returns "VCEK", ..., or "other". */
const char *guest_certificate_name(enum guest_certificate_kind kind);
/* Writes the table, its end entry of zeros, and then the objects. Returns the bytes needed; writes
 * nothing if that is more than `size`. */
size_t guest_certificates_write(const struct guest_certificate *certificates, size_t count,
                                void *out, size_t size);
/* Reads a table, which comes from the host and is hostile. `out` has views into `table`, at most
 * GUEST_CERTIFICATES_MAX. Returns their number. Returns -1 if the table has no end, too many
 * entries, or an object outside of it. */
s32 guest_certificates_read(const void *table, size_t size,
                            struct guest_certificate out[GUEST_CERTIFICATES_MAX]);

#endif
