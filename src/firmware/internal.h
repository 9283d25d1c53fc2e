/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations that the files of this room share. A command runs in five steps [sev 5.5]:
 * parameters, lengths, policy, active, run. The dispatcher (mailbox.c) takes them from the
 * command's row (command.c). A step that refuses names the rule that was broken; only `run` changes
 * anything.
 */
#ifndef SOFTSEV_FIRMWARE_INTERNAL_H
#define SOFTSEV_FIRMWARE_INTERNAL_H

#include "firmware/firmware.h"

#include "abi/snp.h"
#include "memory/rmp.h"
#include "protocol/protocol.h"

struct guest {
    u32 handle; /* 0: the context is free */
    enum sev_gstate state;
    u32 asid; /* 0: not active */
    u32 policy;
    u8 vek[16];                   /* memory key */
    struct session_keys session;  /* TEK, TIK */
    struct crypto_sha256 *digest; /* running; in LUPDATE only */
    u8 ld[32];                    /* finished launch digest */
    u8 measure[32];               /* of the last LAUNCH_MEASURE; secret packets are bound to it */
};

/* State that survives power-off [sev 4.2]. The CEK is not part of it: it derives from the fuses. */
struct identity {
    bool present;
    bool owned; /* externally owned: the private OCA key is not here */
    struct ec_private oca_key, pek_key, pdh_key;
    struct sev_cert oca, pek, pdh;
};

/* --- SNP: a guest lives in its context page, in DRAM, in the firmware's view ------------------ */

#define SNP_CONTEXT_MAGIC 0x54584354534e5053ull

/* The part of a guest that migrates: the payload of EXPORT and ABSORB, in softsev's own layout
 * (version 1). */
struct snp_identity {
    u64 policy;
    u8 ld[SNP_DIGEST_SIZE], imd[SNP_DIGEST_SIZE];
    u8 id_key_digest[48], author_key_digest[48];
    u8 family_id[16], image_id[16];
    u8 host_data[32], report_id[32], gosvw[16];
    u8 vmpck[SNP_VMPCKS][SNP_VMPCK_SIZE];
    u64 seqno[SNP_VMPCKS]; /* of the last response with each key */
    u8 oek[32], vmrk[32];
    u64 oek_iv; /* of the last page swapped out */
    struct snp_mdata_entry root_mdata;
    u32 guest_svn, desired_tsc_khz;
    u64 launch_mit_vector;
    u8 id_block_en, author_key_en, vcek_dis, imi_en;
    u32 reserved;
};

/* The layout of a context page. It is softsev's own; the host sees only ciphertext. */
struct snp_context {
    u64 magic;
    u64 self;  /* the page's own address: a copy elsewhere is not a context */
    u32 state; /* enum snp_gstate */
    u32 asid;  /* 0: not active */
    u8 vek[16];
    u64 ma_gctx; /* the migration agent's page; 0: none */
    u8 report_id_ma[32];
    u64 launch_tcb;
    struct snp_identity id;
};
_Static_assert(sizeof(struct snp_context) <= PAGE_SIZE, "a context fits its page");

struct snp_platform {
    enum snp_pstate state;
    bool rmp_init; /* the RMP has been initialised since power-on */
    bool rapl_dis, ciphertext_hiding, mask_chip_id, mask_chip_key;
    u32 asid_max; /* SNP guests use ASIDs 1 to this */
    u32 guest_count;
    u64 *asid_owner; /* context page of each ASID; 0: none */
    struct firmware_committed committed;
    u64 reported_tcb;
    u64 mitigations; /* vectors that were verified */
    bool vlek_loaded, vcek_made;
    u64 vcek_tcb; /* the TCB that `vcek` was made for */
    struct ec_private vcek, vlek;
};

/* Buffers of the IOMMU. */
struct iommu_pages {
    u32 count;
    struct firmware_iommu_buffer buffers[FIRMWARE_IOMMU_BUFFERS];
};

struct firmware {
    struct memory *memory;
    struct crypto *crypto;
    struct crypto_sha384 *sha384;
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
    u8 fuses[32];
    u8 chip_id[SEV_CHIP_ID_SIZE];
    u8 store_key[16], store_mac_key[32];

    struct identity identity;
    /* volatile platform context */
    enum sev_pstate state;
    u32 options;
    u64 tmr_base, tmr_size; /* size 0: none */
    u64 nv_paddr;           /* address of INIT_EX's store */
    bool nv_area;
    u64 wbinvd_cores; /* cores that executed WBINVD since the indicator was cleared */
    u8 *asid_dirty;   /* for each ASID: it needs WBINVD and DF_FLUSH before use */
    u32 last_handle;
    struct guest *guests;
    u32 guest_slots;

    struct firmware_processor processor;
    u32 cores;
    u64 rmp_base, rmp_end;
    bool smt;
    bool (*commit)(void *context, const struct firmware_committed *committed);
    void *commit_context;
    struct snp_platform snp;
    struct firmware_iommu iommu;
    struct iommu_pages iommu_pages; /* held since SNP_INIT */
    u8 *swap;                       /* 2 MiB buffer for pages being swapped in or out */

    u8 packet[KIB(16)]; /* payload of secret and migration packets while a command runs */
    u8 blob[FIRMWARE_STORE_MAX];
    char rule[200]; /* the rule that refused the last command */
};

/* --- One command ------------------------------------------------------------------------------ */

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
    struct snp_init_ex snp_init_ex;
    struct snp_shutdown_ex snp_shutdown_ex;
    struct snp_address snp_address;
    struct snp_feature_info snp_feature_info;
    struct snp_config snp_config;
    struct snp_commit snp_commit;
    struct snp_download_firmware_ex snp_download;
    struct snp_vlek_load snp_vlek_load;
    struct snp_verify_mitigation snp_verify_mitigation;
    struct snp_activate snp_activate;
    struct snp_activate_ex snp_activate_ex;
    struct snp_gctx_page snp_gctx_page;
    struct snp_guest_request snp_guest_request;
    struct snp_hv_report_req snp_hv_report_req;
    struct snp_launch_start snp_launch_start;
    struct snp_launch_update snp_launch_update;
    struct snp_launch_finish snp_launch_finish;
    struct snp_debug snp_debug;
    struct snp_page_move snp_page_move;
    struct snp_page_swap snp_page_swap;
    struct snp_page_set_state snp_page_set_state;
    u8 bytes[0x44];
};

struct call {
    struct firmware *fw;
    const struct command *command;
    struct guest *guest; /* the guest that the handle names; NULL if the command has none */
    u64 gctx;            /* SNP: address of the guest's context page; 0: none, or no longer one */
    struct snp_context context; /* a copy; written back if the command succeeds */
    union command_buffer in;
    char detail[420]; /* for the trace: " key=value" pairs */
};

typedef enum sev_status command_step(struct call *c);

#define PSTATE(name)     (1u << SEV_PSTATE_##name)
#define GSTATE(name)     (1u << SEV_GSTATE_##name)
#define SNP_PSTATE(name) (1u << SNP_PSTATE_##name)
#define SNP_GSTATE(name) (1u << SNP_GSTATE_##name)

enum command_flags {
    HANDLE = 1,          /* the command names a guest, whose state is checked */
    HANDLE_OPTIONAL = 2, /* 0 is allowed; the guest's state does not matter */
    NEEDS_ACTIVE = 4,
    SNP = 8,            /* states are those of SNP; the buffer is only read */
    GCTX = 16,          /* the command names an SNP guest by its context page */
    NEEDS_RMP = 32,     /* RMP_INIT_REQUIRED if the RMP is not initialised */
    WRITES_BUFFER = 64, /* a legacy command with outputs in its buffer */
};

struct command {
    const char *name; /* NULL: no such command */
    u8 size;          /* bytes of the buffer; 0: none */
    u8 handle_at;     /* offset of the handle or of the context page's address */
    /* Minor API number that introduced the command: 1.x for SNP commands, 0.x for the others; 0:
     * always there. */
    u8 since;
    u8 pstates, gstates; /* one bit for each allowed state */
    u8 flags;
    u32 policy_clear, policy_set;             /* bits that must be 0, bits that must be 1 */
    command_step *parameters, *lengths, *run; /* a NULL check is skipped; run NULL: UNSUPPORTED */
};

/* Returns NULL if there is no such id. */
const struct command *command_find(u32 id);

enum sev_status refuse(struct call *c, enum sev_status status, const char *rule, ...)
    PRINTF_LIKE(3, 4);
void note(struct call *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* Records the status inside an answer, with the rule of refuse() if it refuses. The command itself
 * has succeeded. */
void note_answer(struct call *c, u32 status);
/* All state changes go through these functions, so that the trace line shows them. */
void set_pstate(struct call *c, enum sev_pstate state);
void set_gstate(struct call *c, struct guest *g, enum sev_gstate state);

/* Checks that [paddr, paddr + len) lies in DRAM and outside the TMR, and starts at a multiple of
 * `align`. */
enum sev_status check_range(struct call *c, const char *what, u64 paddr, u64 len, u32 align);
enum sev_status read_range(struct call *c, const char *what, u64 paddr, void *out, u32 len);
enum sev_status write_range(struct call *c, const char *what, u64 paddr, const void *data, u32 len);
/* Checks a range that a legacy command writes: once SNP is initialised, its pages must be Firmware
 * pages [snp 2.2]. */
enum sev_status check_output(struct call *c, const char *what, u64 paddr, u64 len, u32 align);
/* Returns true if `have` bytes are enough for an output of `need` bytes. Otherwise sets `*have` to
 * `need`. */
bool length_suffices(u32 *have, u32 need);

static inline u64 real_address(const struct firmware *fw, u64 paddr)
{
    return paddr & ~fw->c_bit;
}

/* --- Guests and ASIDs (context.c) ------------------------------------------------------------- */

struct guest *guest_find(struct firmware *fw, u32 handle);
/* Returns a new context with a handle, in UNINIT; NULL if none is free. */
struct guest *guest_create(struct firmware *fw);
void guest_erase(struct firmware *fw, struct guest *g);
void guest_wipe_session(struct guest *g);
u32 guest_count(const struct firmware *fw);
void guests_erase_all(struct firmware *fw);
/* Marks every ASID as needing WBINVD and DF_FLUSH again [sev 5.3]. */
void asids_mark_dirty(struct firmware *fw);
/* Checks that every core has executed WBINVD since the indicator was cleared. */
enum sev_status check_wbinvd(struct call *c);
memory_key guest_key(const struct guest *g);
/* Checks what must hold between two commands. */
bool firmware_sound(const struct firmware *fw);

/* --- Identity (identity.c) and its store (store.c) -------------------------------------------- */

/* Derives the keys that depend on the fuses [sev 7.10]. */
bool chip_derive(struct firmware *fw, const u8 fuses[32]);
/* Makes a self-owned platform: new OCA, PEK and PDH. The functions here return false if OpenSSL
 * refuses. */
bool identity_make(struct firmware *fw, struct identity *id);
bool identity_make_pdh(struct firmware *fw, struct identity *id);
/* Takes the owner's OCA and its signature on the PEK, drops the private OCA key and makes a new
 * PDH. */
bool identity_take_owner(struct firmware *fw, struct identity *id, const struct sev_cert *oca,
                         const struct sev_cert_signature *oca_signature);

/* Loads the identity from the store. Sets `*id` only for FIRMWARE_STORE_LOADED. */
enum firmware_store_answer store_load(struct firmware *fw, struct identity *id);
bool store_save(struct firmware *fw, const struct identity *id);
/* store_delete deletes the store in use; the other function deletes that store and the one in
 * flash. */
bool store_delete(struct firmware *fw);
bool store_delete_all(struct firmware *fw);
/* Work on the blob alone. store_seal returns its size, or 0 if `size` is too small. */
size_t store_seal(struct firmware *fw, const struct identity *id, void *out, size_t size);
enum firmware_store_answer store_open(struct firmware *fw, const void *blob, size_t size,
                                      struct identity *id);

/* --- Steps of commands ------------------------------------------------------------------------ */

command_step init, init_lengths, init_ex, init_ex_lengths, shutdown_platform, platform_reset,
    platform_status, pek_gen, pek_csr, pek_csr_lengths, pek_cert_import, pek_cert_import_parameters,
    pek_cert_import_lengths, pdh_cert_export, pdh_cert_export_lengths, pdh_gen, df_flush,
    download_firmware, download_firmware_lengths, get_id, get_id_lengths, nop;
command_step decommission, activate, activate_ex, deactivate, guest_status;
command_step launch_start, launch_start_lengths, launch_update_data, launch_update_data_lengths,
    launch_update_vmsa, launch_update_vmsa_lengths, launch_measure, launch_measure_lengths,
    launch_secret, launch_finish, attestation, attestation_lengths, packet_lengths;
command_step send_start, send_start_lengths, send_update_data, send_update_vmsa,
    send_update_lengths, send_vmsa_lengths, receive_vmsa_lengths, send_finish, send_cancel,
    receive_start, receive_start_lengths, receive_update_data, receive_update_vmsa, receive_finish;
command_step dbg_decrypt, dbg_encrypt, debug_lengths, copy, copy_lengths;

/* Shared by LAUNCH_START and RECEIVE_START: checks what policy and key sharing require before a
 * context is made, then makes it. If `keys` is NULL, the transport keys are random and nobody knows
 * them. */
enum sev_status start_check(struct call *c);
enum sev_status start_open_session(struct call *c, struct session_keys *keys);
enum sev_status start_guest(struct call *c, enum sev_gstate state, const struct session_keys *keys);
/* Shared by LAUNCH_SECRET and RECEIVE_UPDATE: reads a packet, opens it, and writes its plaintext
 * into the guest, at an address that is a multiple of `align` bytes. */
enum sev_status packet_to_guest(struct call *c, enum packet_kind kind, u32 align);

/* --- SNP (snp_*.c) ---------------------------------------------------------------------------- */

#define RULE_CHECK(c, condition, status, ...)                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return refuse(c, SEV_STATUS_##status, __VA_ARGS__);                                    \
    } while (0)

/* Creates the SNP platform as it is at power-on. Returns false if memory is out. */
bool snp_create(struct firmware *fw, const struct firmware_config *config);
void snp_destroy(struct firmware *fw);
/* Checks what must hold between two commands. */
bool snp_sound(const struct firmware *fw);

/* Reads the context page at `gctx` into `out`; refuses with INVALID_GUEST. */
enum sev_status snp_context_load(struct call *c, const char *what, u64 gctx,
                                 struct snp_context *out);
void snp_context_save(struct firmware *fw, const struct snp_context *context);
/* Returns the context of the SNP guest that holds the ASID; 0: none. */
u64 snp_asid_owner(const struct firmware *fw, u32 asid);
void snp_mix_keys(struct firmware *fw, struct snp_context *g);
/* Checks a guest's policy: its fixed bits, and what it requires of this platform. */
enum sev_status snp_policy_form(struct call *c, u64 policy);
enum sev_status snp_policy_met(struct call *c, u64 policy);

/* Page functions. `page_check` checks that a page of 4 KiB (2 MiB if `large`) is in one of the
 * states (one bit for each enum rmp_state). */
enum sev_status page_check(struct call *c, const char *what, u64 paddr, bool large, u32 states,
                           struct rmp_entry *entry);
/* Checks a guest's page: as page_check, and the page's ASID must be the guest's. */
enum sev_status page_check_owned(struct call *c, const char *what, u64 paddr, bool large,
                                 u32 states, struct rmp_entry *entry);
/* Checks the place where a command puts `len` bytes of an answer: it must lie in one page, a
 * Firmware page once SNP is initialised. */
enum sev_status page_check_answer(struct call *c, const char *what, u64 paddr, u32 len);
/* Writes the answer and gives the page to the host: Firmware becomes Reclaim. */
void page_answer(struct call *c, u64 paddr, const void *data, u32 len);
/* Changes a page's RMP entry and traces the change. */
void page_set(struct call *c, u64 paddr, const struct rmp_entry *entry);
#define PAGE(state)   (1u << RMP_##state)
#define FIRMWARE_PAGE ((struct rmp_entry){.assigned = true, .immutable = true})
#define RECLAIM_PAGE  ((struct rmp_entry){.assigned = true})

/* A range list of the host. It is read once, so that the list that is checked is the list that is
 * used. */
#define RANGES_MAX ((PAGE_SIZE - sizeof(struct snp_range_list)) / sizeof(struct snp_range))
struct range_list {
    u32 count;
    struct snp_range ranges[RANGES_MAX];
};
/* Reads a range list; sets the count to 0 on failure. */
enum sev_status range_list_read(struct call *c, u64 paddr, struct range_list *list);
/* Checks that every page is in one of `states` (0: any state) and is not the firmware's own, and
 * that ranges start at 2 MiB boundaries if `large`. */
enum sev_status range_list_check(struct call *c, const struct range_list *list, bool large,
                                 u32 states);
/* Changes the listed pages to HV-Fixed, but for those of the RMP. */
void range_list_fix(struct call *c, const struct range_list *list);

/* The pages of the IOMMU (snp_iommu.c). iommu_read checks them: in memory, outside of the RMP that
 * will be at [rmp_base, rmp_end], and, if that is not cleared, in a state that can become Firmware.
 */
enum sev_status iommu_read(struct call *c, u64 rmp_base, u64 rmp_end, bool clear,
                           struct iommu_pages *out);
void iommu_take(struct call *c, const struct iommu_pages *pages);
void iommu_give_back(struct call *c);
bool iommu_meets(const struct firmware *fw, u64 spa, u64 size);

/* Returns the signing key that a request selects; refuses with 16h or 27h if there is none [snp
 * 6.2]. */
enum sev_status snp_select_key(struct call *c, u32 key_sel, enum snp_signing_key *which,
                               const struct ec_private **key);
/* Checks the CPUID page against the host's CPUID. Returns false if it had to correct the page; the
 * page then has values that would pass. */
bool snp_cpuid_check(const struct firmware *fw, struct snp_cpuid_entry *entries, u32 count,
                     const char **why);
u32 snp_fms(const struct firmware_profile *p);
/* Returns a guest's TSC_SCALE, 8.32 fixed point. */
u64 snp_tsc_scale(const struct snp_context *g);
/* Makes the signed report of the call's guest; returns the status of the message. */
enum sev_status snp_report_make(struct call *c, u32 vmpl, u32 key_sel, const u8 data[64],
                                struct snp_report *report);

/* One guest message: request payload in, response payload out. The answer's status is the first
 * word of `out`; a handler that refuses gives the reason with refuse(). */
struct message {
    const u8 *in;
    u32 in_size;
    u8 version, vmpck;
    u8 *out; /* SNP_MSG_PAYLOAD_MAX bytes, zeros at first */
    u32 out_size;
};
typedef u32 message_handler(struct call *c, struct message *m);
message_handler message_cpuid, message_key, message_report, message_export, message_import,
    message_absorb, message_vmrk, message_absorb_noma, message_tsc_info;

command_step snp_init, snp_init_ex, snp_init_ex_parameters, snp_shutdown, snp_shutdown_ex,
    snp_shutdown_ex_parameters, snp_platform_status, snp_df_flush, snp_feature_info,
    snp_feature_info_parameters, snp_config, snp_config_parameters, snp_commit,
    snp_commit_parameters, snp_download_firmware_ex, snp_download_firmware_ex_parameters,
    snp_vlek_load, snp_vlek_load_parameters, snp_verify_mitigation,
    snp_verify_mitigation_parameters;
command_step snp_decommission, snp_activate, snp_activate_ex, snp_activate_ex_parameters,
    snp_guest_status, snp_gctx_create, snp_guest_request, snp_hv_report_req,
    snp_hv_report_req_parameters;
command_step snp_launch_start, snp_launch_start_parameters, snp_launch_update,
    snp_launch_update_parameters, snp_launch_finish, snp_launch_finish_parameters;
command_step snp_dbg_decrypt, snp_dbg_encrypt, snp_page_swap_out, snp_page_swap_out_parameters,
    snp_page_swap_in, snp_page_swap_in_parameters, snp_page_move, snp_page_move_parameters,
    snp_page_md_init, snp_page_set_state, snp_page_set_state_parameters, snp_page_reclaim,
    snp_page_unsmash;

#endif
