/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a migration, which both ends take for hostile: a kind, a size, and bytes. All
 * numbers are little-endian. */
#ifndef SOFTSEV_HYPERVISOR_SEV_MESSAGE_H
#define SOFTSEV_HYPERVISOR_SEV_MESSAGE_H

#include "abi/sev.h"
#include "base/archive.h"
#include "hypervisor/internal.h"
#include "hypervisor/sev_migrate.h"

#define MIGRATE_MAGIC   0x4d56455354464f53ull /* "SOFTSEVM" */
#define MIGRATE_VERSION 1u

#define MIGRATE_WHY_MAX     400u
#define MIGRATE_STATE_MAX   KIB(16) /* of one message */
#define MIGRATE_STATE_TOTAL MIB(64)
#define MIGRATE_HEADER_SIZE 8u
#define MIGRATE_BODY_MAX    KIB(16)

/* What a message holds, after kind and size; see the structures below. */
enum migrate_kind {
    MIGRATE_PLATFORM = 1,
    MIGRATE_CONFIGURATION, /* part of an archive */
    MIGRATE_READY,
    MIGRATE_REFUSED, /* text */
    MIGRATE_START,
    MIGRATE_PAGE_PRIVATE,
    MIGRATE_PAGE_SHARED,
    MIGRATE_PAGE_ZERO, /* gpa u64 */
    MIGRATE_ROUND,     /* number u32 */
    MIGRATE_VMSA,
    MIGRATE_STATE, /* part of an archive */
    MIGRATE_END,   /* machine time u64, ns */
    MIGRATE_RELEASED,
    MIGRATE_RECEIVED,
    MIGRATE_GO,
    MIGRATE_RUNNING,
    MIGRATE_KINDS
};

struct __attribute__((packed)) migrate_platform {
    u64 magic;
    u32 version;
    u8 pdh[PLATFORM_PDH_SIZE];
    u8 chain[PLATFORM_CHAIN_SIZE];
    u32 amd_size;
    u8 amd[MIGRATE_AMD_CERTS_MAX];
};

struct __attribute__((packed)) migrate_start {
    u32 policy;
    u8 pdh[PLATFORM_PDH_SIZE];
    u8 session[SEV_SESSION_SIZE];
};

/* PAGE_PRIVATE, and VMSA with a processor's number as `where`. */
struct __attribute__((packed)) migrate_packet {
    u64 where;
    u8 header[SEV_PACKET_HEADER_SIZE];
    u8 data[PAGE_SIZE];
};

struct __attribute__((packed)) migrate_page {
    u64 gpa;
    u8 data[PAGE_SIZE];
};

struct __attribute__((packed)) migrate_running {
    u32 guests, handle;
};

/* One end of a migration. */
struct migration {
    struct vm *vm;
    struct migrate_link link;
    u64 bytes;              /* sent */
    enum migrate_kind kind; /* of the message that was received */
    u32 size;
    u8 in[MIGRATE_BODY_MAX];
    u8 out[MIGRATE_HEADER_SIZE + MIGRATE_BODY_MAX];
};

int message_send(struct migration *m, enum migrate_kind kind, const void *body, size_t size,
                 struct error *error);
/* Receives a message: its kind, and a body of a size that this kind may have. REFUSED is an error.
 */
int message_receive(struct migration *m, struct error *error);
/* Receives a message that must be of this kind. */
int message_expect(struct migration *m, enum migrate_kind kind, struct error *error);
const char *message_name(enum migrate_kind kind);

/* An archive whose bytes go in messages of one kind. */
struct message_stream {
    struct migration *migration;
    enum migrate_kind kind;
    bool loads;
    u64 total;
    size_t count, at; /* bytes in `bytes`, and how many were taken */
    u8 bytes[MIGRATE_STATE_MAX];
};
struct archive_stream message_stream(struct message_stream *s, struct migration *m,
                                     enum migrate_kind kind, bool loads);
/* The message that was received last is the first of a stream that loads. */
void message_stream_first(struct message_stream *s);
/* Sends what is left; or checks that the archive has ended where the message does. */
int message_stream_end(struct message_stream *s, struct error *error);

/* What both ends must agree on. */
void migrate_configuration(struct vm *vm, struct archive *a);

#endif
