/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the firmware's files share. A command runs in five steps [sev 5.5]: parameters, lengths, policy,
 * active, run; the dispatcher (mailbox.c) takes them from the command's row (command.c). A step that
 * refuses says the rule it refuses by; only `run` changes anything.
 */
#ifndef SOFTSEV_FIRMWARE_INTERNAL_H
#define SOFTSEV_FIRMWARE_INTERNAL_H

#include "firmware/firmware.h"

#include "protocol/protocol.h"

struct guest {
    u32 handle; /* 0: the context is free */
    enum sev_gstate state;
    u32 asid; /* 0: not active */
    u32 policy;
    u8 vek[16];                   /* memory key */
    struct session_keys session;  /* TEK, TIK */
    struct crypto_sha256 *digest; /* running, in LUPDATE only */
    u8 ld[32];                    /* finished launch digest */
    u8 measure[32];               /* of the last LAUNCH_MEASURE; secret packets are bound to it */
};

/* What outlives power-off [sev 4.2]. CEK is not here: it derives from the fuses. */
struct identity {
    bool present;
    bool owned; /* externally: the private OCA key is not ours */
    struct ec_private oca_key, pek_key, pdh_key;
    struct sev_cert oca, pek, pdh;
};

struct firmware {
    struct memory *memory;
    struct crypto *crypto;
    struct trace *trace;
    const struct firmware_profile *profile;
    struct firmware_store store;
    u64 c_bit;
    u32 asid_min, asid_max;
    u64 cores_mask;
    bool no_wbinvd;
    u8 *ark; /* NULL: none */
    size_t ark_size;

    /* the chip */
    struct ec_private cek_key;
    struct sev_cert cek; /* unsigned */
    u8 chip_id[SEV_CHIP_ID_SIZE];
    u8 store_key[16], store_mac_key[32];

    struct identity identity;
    /* volatile platform context */
    enum sev_pstate state;
    u32 options;
    u64 tmr_base, tmr_size; /* size 0: none */
    u64 nv_paddr;           /* where INIT_EX's store is */
    bool nv_area;
    u64 wbinvd_cores; /* cores that did WBINVD since the indicator was cleared */
    u8 *asid_dirty;   /* per ASID: needs WBINVD and DF_FLUSH before use */
    u32 last_handle;
    struct guest guests[FIRMWARE_GUESTS];

    u8 packet[KIB(16)]; /* payload of secret and migration packets while a command runs */
    u8 blob[FIRMWARE_STORE_MAX];
    char rule[200]; /* that refused the last command */
};

/* --- One command --------------------------------------------------------------------------------- */

union command_buffer {
    struct sev_init init;
    struct sev_init_ex init_ex;
    struct sev_platform_status platform_status;
    struct sev_buffer buffer;
    struct sev_pek_cert_import pek_cert_import;
    struct sev_pdh_cert_export pdh_cert_export;
    struct sev_handle handle;
    struct sev_activate activate;
    struct sev_activate_ex activate_ex;
    struct sev_guest_status guest_status;
    struct sev_copy copy;
    struct sev_start start;
    struct sev_launch_range range;
    struct sev_packet packet;
    struct sev_attestation attestation;
    struct sev_send_start send_start;
    struct sev_debug debug;
    u8 bytes[0x44];
};

struct call {
    struct firmware *fw;
    const struct command *command;
    struct guest *guest; /* that the handle names; NULL if the command has none */
    union command_buffer in;
    char detail[200]; /* for the trace: " key=value" pairs */
};

typedef enum sev_status command_step(struct call *c);

#define PSTATE(name) (1u << SEV_PSTATE_##name)
#define GSTATE(name) (1u << SEV_GSTATE_##name)

enum command_flags {
    HANDLE = 1,          /* names a guest: checked with its state */
    HANDLE_OPTIONAL = 2, /* 0 is allowed; the guest's state does not matter */
    NEEDS_ACTIVE = 4,
};

struct command {
    const char *name;    /* NULL: no such id */
    u8 size;             /* bytes of the buffer; 0: none */
    u8 handle_at;        /* offset of the handle */
    u8 pstates, gstates; /* bit per state it is allowed in */
    u8 flags;
    u32 policy_clear, policy_set;             /* bits that must be 0, bits that must be 1 */
    command_step *parameters, *lengths, *run; /* NULL: nothing to check; run NULL: UNSUPPORTED */
};

/* NULL: no such id. */
const struct command *command_find(u32 id);

enum sev_status refuse(struct call *c, enum sev_status status, const char *rule, ...)
    PRINTF_LIKE(3, 4);
void note(struct call *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* The only places where states change; the trace line shows it. */
void set_pstate(struct call *c, enum sev_pstate state);
void set_gstate(struct call *c, struct guest *g, enum sev_gstate state);

/* [paddr, paddr + len) lies in DRAM and not in the TMR, and starts at a multiple of `align`. */
enum sev_status check_range(struct call *c, const char *what, u64 paddr, u64 len, u32 align);
enum sev_status read_range(struct call *c, const char *what, u64 paddr, void *out, u32 len);
enum sev_status write_range(struct call *c, const char *what, u64 paddr, const void *data, u32 len);
/* An output length of `have` bytes where `need` are written; sets `*have` to `need` if it is too small. */
bool length_suffices(u32 *have, u32 need);

static inline u64 real_address(const struct firmware *fw, u64 paddr)
{
    return paddr & ~fw->c_bit;
}

/* --- Guests and ASIDs (context.c) ------------------------------------------------------------------ */

struct guest *guest_find(struct firmware *fw, u32 handle);
/* A fresh context with a handle, in UNINIT; NULL: none is free. */
struct guest *guest_create(struct firmware *fw);
void guest_erase(struct firmware *fw, struct guest *g);
void guest_wipe_session(struct guest *g);
u32 guest_count(const struct firmware *fw);
void guests_erase_all(struct firmware *fw);
/* Every ASID needs WBINVD and DF_FLUSH again [sev 5.3]. */
void asids_mark_dirty(struct firmware *fw);
memory_key guest_key(const struct guest *g);
/* What must hold between two commands. */
bool firmware_sound(const struct firmware *fw);

/* --- Identity (identity.c) and its store (store.c) ------------------------------------------------ */

/* What derives from the fuses [sev 7.10]. */
bool chip_derive(struct firmware *fw, const u8 fuses[32]);
/* A self-owned platform: OCA, PEK and PDH anew. False if OpenSSL refuses, as below. */
bool identity_make(struct firmware *fw, struct identity *id);
bool identity_make_pdh(struct firmware *fw, struct identity *id);
/* Takes the owner's OCA and its signature on the PEK; the private OCA key is gone, the PDH is new. */
bool identity_take_owner(struct firmware *fw, struct identity *id, const struct sev_cert *oca,
                         const struct sev_cert_signature *oca_signature);

enum store_result { STORE_EMPTY, STORE_LOADED, STORE_CORRUPT };
enum store_result store_load(struct firmware *fw, struct identity *id);
bool store_save(struct firmware *fw, const struct identity *id);
/* Deletes the store, wherever it is. */
bool store_delete(struct firmware *fw);
/* The blob alone. Seal returns its size, 0 if `size` is too small. */
size_t store_seal(struct firmware *fw, const struct identity *id, void *out, size_t size);
enum store_result store_open(struct firmware *fw, const void *blob, size_t size,
                             struct identity *id);

/* --- Steps of commands -------------------------------------------------------------------------- */

command_step init, init_lengths, init_ex, init_ex_lengths, shutdown_platform, platform_reset,
    platform_status, pek_gen, pek_csr, pek_csr_lengths, pek_cert_import, pek_cert_import_parameters,
    pek_cert_import_lengths, pdh_cert_export, pdh_cert_export_lengths, pdh_gen, df_flush,
    download_firmware, download_firmware_lengths, get_id, get_id_lengths, nop;
command_step decommission, activate, activate_ex, deactivate, guest_status;
command_step launch_start, launch_start_lengths, launch_update_data, launch_update_data_lengths,
    launch_update_vmsa, launch_update_vmsa_lengths, launch_measure, launch_measure_lengths,
    launch_secret, launch_finish, attestation, attestation_lengths, packet_lengths;
command_step send_start, send_start_lengths, send_update_data, send_update_vmsa,
    send_update_lengths, send_finish, send_cancel, receive_start, receive_start_lengths,
    receive_update_data, receive_update_vmsa, receive_finish;
command_step dbg_decrypt, dbg_encrypt, debug_lengths, copy, copy_lengths;

/* Shared by LAUNCH_START and RECEIVE_START: what policy and key sharing ask before a context is made,
 * and the making of it. `keys` NULL: transport keys that nobody knows. */
enum sev_status start_check(struct call *c);
enum sev_status start_open_session(struct call *c, struct session_keys *keys);
enum sev_status start_guest(struct call *c, enum sev_gstate state, const struct session_keys *keys);
/* Payload and header of a packet, read in; its ranges are checked. */
enum sev_status packet_read(struct call *c, struct sev_packet_header *header);

#endif
