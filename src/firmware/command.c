/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands: what each command needs before it runs [sev 3, 4.1, 5.2, 15; snp 3.2]. A
 * row without a function is a command of the interface that this firmware does not have.
 */
#include "firmware/internal.h"

#define U   PSTATE(UNINIT)
#define I   PSTATE(INIT)
#define W   PSTATE(WORKING)
#define ANY (U | I | W)

#define LUPDATE GSTATE(LUPDATE)
#define LSECRET GSTATE(LSECRET)
#define RUNNING GSTATE(RUNNING)
#define SUPDATE GSTATE(SUPDATE)
#define RUPDATE GSTATE(RUPDATE)
#define SENT    GSTATE(SENT)
/* the guest may have its key in a slot */
#define LIVING (LUPDATE | LSECRET | RUNNING | SUPDATE | RUPDATE)

/* SNP's platform and guest states. */
#define SU        SNP_PSTATE(UNINIT)
#define SI        SNP_PSTATE(INIT)
#define GI        SNP_GSTATE(INIT)
#define GL        SNP_GSTATE(LAUNCH)
#define GR        SNP_GSTATE(RUNNING)
#define SNP_GUEST (SNP | GCTX | NEEDS_RMP)

#define ROW(id, buffer_size, ...) [SEV_CMD_##id] = {.name = #id, .size = (buffer_size), __VA_ARGS__}
#define STRUCT(type)              sizeof(struct type)

// clang-format off
static const struct command commands[] = {
    ROW(INIT,                STRUCT(sev_init), .pstates = U, .lengths = init_lengths, .run = init),
    ROW(SHUTDOWN,            0, .pstates = ANY, .run = shutdown_platform),
    ROW(PLATFORM_RESET,      0, .pstates = U, .run = platform_reset),
    ROW(PLATFORM_STATUS,     STRUCT(sev_platform_status), .flags = WRITES_BUFFER, .pstates = ANY, .run = platform_status),
    ROW(PEK_GEN,             0, .pstates = I, .run = pek_gen),
    ROW(PEK_CSR,             STRUCT(sev_buffer), .flags = WRITES_BUFFER, .pstates = I | W, .lengths = pek_csr_lengths, .run = pek_csr),
    ROW(PEK_CERT_IMPORT,     STRUCT(sev_pek_cert_import), .pstates = I, .parameters = pek_cert_import_parameters,
                             .lengths = pek_cert_import_lengths, .run = pek_cert_import),
    ROW(PDH_CERT_EXPORT,     STRUCT(sev_pdh_cert_export), .flags = WRITES_BUFFER, .pstates = I | W, .lengths = pdh_cert_export_lengths,
                             .run = pdh_cert_export),
    ROW(PDH_GEN,             0, .pstates = I | W, .run = pdh_gen),
    ROW(DF_FLUSH,            0, .pstates = I | W, .run = df_flush),
    ROW(DOWNLOAD_FIRMWARE,   STRUCT(sev_buffer), .pstates = U, .lengths = download_firmware_lengths,
                             .run = download_firmware),
    ROW(GET_ID,              STRUCT(sev_buffer), .flags = WRITES_BUFFER, .pstates = ANY, .lengths = get_id_lengths, .run = get_id),
    ROW(INIT_EX,             STRUCT(sev_init_ex), .pstates = U, .lengths = init_ex_lengths, .run = init_ex),
    ROW(NOP,                 0, .pstates = ANY, .run = nop),
    ROW(RING_BUFFER,         STRUCT(sev_ring_buffer), .pstates = ANY, .since = 24),

    ROW(DECOMMISSION,        STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = LIVING | SENT, .run = decommission),
    ROW(ACTIVATE,            STRUCT(sev_activate), .pstates = W, .flags = HANDLE, .gstates = LIVING, .run = activate),
    ROW(DEACTIVATE,          STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = LIVING | SENT, .run = deactivate),
    ROW(GUEST_STATUS,        STRUCT(sev_guest_status), .pstates = W, .flags = HANDLE | WRITES_BUFFER, .gstates = LIVING | SENT,
                             .run = guest_status),
    ROW(COPY,                STRUCT(sev_copy), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = RUNNING | SUPDATE,
                             .lengths = copy_lengths, .run = copy),
    ROW(ACTIVATE_EX,         STRUCT(sev_activate_ex), .pstates = W, .flags = HANDLE, .handle_at = 4, .gstates = LIVING,
                             .run = activate_ex),

    ROW(LAUNCH_START,        STRUCT(sev_start), .pstates = I | W, .flags = HANDLE_OPTIONAL | WRITES_BUFFER, .lengths = launch_start_lengths,
                             .run = launch_start),
    ROW(LAUNCH_UPDATE_DATA,  STRUCT(sev_launch_range), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LUPDATE,
                             .lengths = launch_update_data_lengths, .run = launch_update_data),
    ROW(LAUNCH_UPDATE_VMSA,  STRUCT(sev_launch_range), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LUPDATE,
                             .policy_set = SEV_POLICY_ES, .lengths = launch_update_vmsa_lengths, .run = launch_update_vmsa),
    ROW(LAUNCH_MEASURE,      STRUCT(sev_launch_range), .pstates = W, .flags = HANDLE | WRITES_BUFFER, .gstates = LUPDATE,
                             .lengths = launch_measure_lengths, .run = launch_measure),
    ROW(LAUNCH_SECRET,       STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LSECRET,
                             .lengths = packet_lengths, .run = launch_secret),
    ROW(LAUNCH_FINISH,       STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = LSECRET, .run = launch_finish),
    ROW(ATTESTATION,         STRUCT(sev_attestation), .pstates = W, .flags = HANDLE | WRITES_BUFFER, .gstates = LSECRET | RUNNING | SUPDATE,
                             .lengths = attestation_lengths, .run = attestation),

    ROW(SEND_START,          STRUCT(sev_send_start), .pstates = W, .flags = HANDLE | WRITES_BUFFER, .gstates = RUNNING,
                             .policy_clear = SEV_POLICY_NOSEND, .lengths = send_start_lengths, .run = send_start),
    ROW(SEND_UPDATE_DATA,    STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE | WRITES_BUFFER, .gstates = SUPDATE,
                             .lengths = send_update_lengths, .run = send_update_data),
    ROW(SEND_UPDATE_VMSA,    STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE | WRITES_BUFFER, .gstates = SUPDATE,
                             .policy_set = SEV_POLICY_ES, .lengths = send_vmsa_lengths, .run = send_update_vmsa),
    ROW(SEND_FINISH,         STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = SUPDATE, .run = send_finish),
    ROW(SEND_CANCEL,         STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = SUPDATE, .run = send_cancel),

    ROW(RECEIVE_START,       STRUCT(sev_start), .pstates = I | W, .flags = HANDLE_OPTIONAL | WRITES_BUFFER, .lengths = receive_start_lengths,
                             .run = receive_start),
    ROW(RECEIVE_UPDATE_DATA, STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = RUPDATE,
                             .lengths = packet_lengths, .run = receive_update_data),
    ROW(RECEIVE_UPDATE_VMSA, STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = RUPDATE,
                             .policy_set = SEV_POLICY_ES, .lengths = receive_vmsa_lengths, .run = receive_update_vmsa),
    ROW(RECEIVE_FINISH,      STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = RUPDATE, .run = receive_finish),

    ROW(DBG_DECRYPT,         STRUCT(sev_debug), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LIVING,
                             .policy_clear = SEV_POLICY_NODBG, .lengths = debug_lengths, .run = dbg_decrypt),
    ROW(DBG_ENCRYPT,         STRUCT(sev_debug), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LIVING,
                             .policy_clear = SEV_POLICY_NODBG, .lengths = debug_lengths, .run = dbg_encrypt),
    ROW(SWAP_OUT,            STRUCT(sev_swap_out), .pstates = W, .flags = HANDLE, .gstates = RUNNING),
    ROW(SWAP_IN,             STRUCT(sev_swap_in), .pstates = W, .flags = HANDLE, .gstates = RUNNING),

    ROW(SNP_INIT,            0, .flags = SNP, .pstates = SU, .run = snp_init),
    ROW(SNP_SHUTDOWN,        0, .flags = SNP, .pstates = SU | SI, .run = snp_shutdown),
    ROW(SNP_PLATFORM_STATUS, STRUCT(snp_address), .flags = SNP, .pstates = SU | SI, .run = snp_platform_status),
    ROW(SNP_DF_FLUSH,        0, .flags = SNP, .pstates = SI, .run = snp_df_flush),
    ROW(SNP_INIT_EX,         STRUCT(snp_init_ex), .flags = SNP, .pstates = SU, .since = 52,
                             .parameters = snp_init_ex_parameters, .run = snp_init_ex),
    ROW(SNP_SHUTDOWN_EX,     STRUCT(snp_shutdown_ex), .flags = SNP, .pstates = SU | SI,
                             .parameters = snp_shutdown_ex_parameters, .run = snp_shutdown_ex),
    ROW(SNP_CONFIG,          STRUCT(snp_config), .flags = SNP, .pstates = SI, .parameters = snp_config_parameters,
                             .run = snp_config),
    ROW(SNP_DOWNLOAD_FIRMWARE_EX, STRUCT(snp_download_firmware_ex), .flags = SNP, .pstates = SU | SI,
                             .parameters = snp_download_firmware_ex_parameters, .run = snp_download_firmware_ex),
    ROW(SNP_COMMIT,          STRUCT(snp_commit), .flags = SNP, .pstates = SU | SI, .parameters = snp_commit_parameters,
                             .run = snp_commit),
    ROW(SNP_VLEK_LOAD,       STRUCT(snp_vlek_load), .flags = SNP, .pstates = SI, .parameters = snp_vlek_load_parameters,
                             .run = snp_vlek_load),
    ROW(SNP_FEATURE_INFO,    STRUCT(snp_feature_info), .flags = SNP, .pstates = SU | SI,
                             .parameters = snp_feature_info_parameters, .run = snp_feature_info),
    ROW(SNP_VERIFY_MITIGATION, STRUCT(snp_verify_mitigation), .flags = SNP, .pstates = SI, .since = 58,
                             .parameters = snp_verify_mitigation_parameters, .run = snp_verify_mitigation),

    ROW(SNP_DECOMMISSION,    STRUCT(snp_address), .flags = SNP_GUEST, .pstates = SI, .gstates = GI | GL | GR,
                             .run = snp_decommission),
    ROW(SNP_ACTIVATE,        STRUCT(snp_activate), .flags = SNP_GUEST, .pstates = SI, .gstates = GL | GR,
                             .run = snp_activate),
    ROW(SNP_GUEST_STATUS,    STRUCT(snp_gctx_page), .flags = SNP_GUEST, .pstates = SI, .gstates = GI | GL | GR,
                             .run = snp_guest_status),
    ROW(SNP_GCTX_CREATE,     STRUCT(snp_address), .flags = SNP | NEEDS_RMP, .pstates = SI, .run = snp_gctx_create),
    ROW(SNP_GUEST_REQUEST,   STRUCT(snp_guest_request), .flags = SNP_GUEST, .pstates = SI, .gstates = GR,
                             .run = snp_guest_request),
    ROW(SNP_ACTIVATE_EX,     STRUCT(snp_activate_ex), .flags = SNP_GUEST, .handle_at = 8, .pstates = SI, .gstates = GL | GR,
                             .parameters = snp_activate_ex_parameters, .run = snp_activate_ex),
    ROW(SNP_HV_REPORT_REQ,   STRUCT(snp_hv_report_req), .flags = SNP_GUEST, .handle_at = 8, .pstates = SI, .gstates = GR,
                             .parameters = snp_hv_report_req_parameters, .run = snp_hv_report_req),

    ROW(SNP_LAUNCH_START,    STRUCT(snp_launch_start), .flags = SNP_GUEST, .pstates = SI, .gstates = GI,
                             .parameters = snp_launch_start_parameters, .run = snp_launch_start),
    ROW(SNP_LAUNCH_UPDATE,   STRUCT(snp_launch_update), .flags = SNP_GUEST | NEEDS_ACTIVE, .pstates = SI, .gstates = GL,
                             .parameters = snp_launch_update_parameters, .run = snp_launch_update),
    ROW(SNP_LAUNCH_FINISH,   STRUCT(snp_launch_finish), .flags = SNP_GUEST, .pstates = SI, .gstates = GL,
                             .parameters = snp_launch_finish_parameters, .run = snp_launch_finish),

    ROW(SNP_DBG_DECRYPT,     STRUCT(snp_debug), .flags = SNP_GUEST | NEEDS_ACTIVE, .pstates = SI, .gstates = GL | GR,
                             .policy_set = SNP_POLICY_DEBUG, .run = snp_dbg_decrypt),
    ROW(SNP_DBG_ENCRYPT,     STRUCT(snp_debug), .flags = SNP_GUEST | NEEDS_ACTIVE, .pstates = SI, .gstates = GL | GR,
                             .policy_set = SNP_POLICY_DEBUG, .run = snp_dbg_encrypt),
    ROW(SNP_PAGE_SWAP_OUT,   STRUCT(snp_page_swap), .flags = SNP_GUEST | NEEDS_ACTIVE, .pstates = SI, .gstates = GL | GR,
                             .policy_clear = SNP_POLICY_PAGE_SWAP_DISABLE, .parameters = snp_page_swap_out_parameters,
                             .run = snp_page_swap_out),
    ROW(SNP_PAGE_SWAP_IN,    STRUCT(snp_page_swap), .flags = SNP_GUEST | NEEDS_ACTIVE, .pstates = SI, .gstates = GL | GR,
                             .policy_clear = SNP_POLICY_PAGE_SWAP_DISABLE, .parameters = snp_page_swap_in_parameters,
                             .run = snp_page_swap_in),
    ROW(SNP_PAGE_MOVE,       STRUCT(snp_page_move), .flags = SNP_GUEST | NEEDS_ACTIVE, .pstates = SI, .gstates = GL | GR,
                             .policy_clear = SNP_POLICY_PAGE_SWAP_DISABLE, .parameters = snp_page_move_parameters,
                             .run = snp_page_move),
    ROW(SNP_PAGE_MD_INIT,    STRUCT(snp_gctx_page), .flags = SNP_GUEST, .pstates = SI, .gstates = GI | GL | GR,
                             .run = snp_page_md_init),
    ROW(SNP_PAGE_SET_STATE,  STRUCT(snp_page_set_state), .flags = SNP | NEEDS_RMP, .pstates = SI,
                             .parameters = snp_page_set_state_parameters, .run = snp_page_set_state),
    ROW(SNP_PAGE_RECLAIM,    STRUCT(snp_address), .flags = SNP | NEEDS_RMP, .pstates = SI, .run = snp_page_reclaim),
    ROW(SNP_PAGE_UNSMASH,    STRUCT(snp_address), .flags = SNP | NEEDS_RMP, .pstates = SI, .run = snp_page_unsmash),

    ROW(TIO_STATUS,          0, .flags = SNP, .pstates = SI),
    ROW(TIO_INIT,            0, .flags = SNP, .pstates = SI),
    ROW(TIO_DEV_CREATE,      0, .flags = SNP, .pstates = SI),
    ROW(TIO_DEV_RECLAIM,     0, .flags = SNP, .pstates = SI),
    ROW(TIO_DEV_CONNECT,     0, .flags = SNP, .pstates = SI),
    ROW(TIO_DEV_DISCONNECT,  0, .flags = SNP, .pstates = SI),
};
// clang-format on

#define FITS(name, id, buffer_size)                                                                \
    _Static_assert((buffer_size) <= sizeof(union command_buffer), #name " does not fit");
SEV_COMMANDS(FITS)
SNP_COMMANDS(FITS)

const struct command *command_find(u32 id)
{
    return id < ARRAY_SIZE(commands) && commands[id].name ? &commands[id] : NULL;
}
