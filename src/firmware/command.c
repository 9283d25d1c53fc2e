/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands: what each needs before it runs [sev 3, 4.1, 5.2, 15]. A row without a function
 * is a command of the interface that this firmware does not have.
 */
#include "firmware/internal.h"

#define U                         PSTATE(UNINIT)
#define I                         PSTATE(INIT)
#define W                         PSTATE(WORKING)
#define ANY                       (U | I | W)

#define LUPDATE                   GSTATE(LUPDATE)
#define LSECRET                   GSTATE(LSECRET)
#define RUNNING                   GSTATE(RUNNING)
#define SUPDATE                   GSTATE(SUPDATE)
#define RUPDATE                   GSTATE(RUPDATE)
#define SENT                      GSTATE(SENT)
#define LIVING                    (LUPDATE | LSECRET | RUNNING | SUPDATE | RUPDATE) /* may have its key in a slot */

#define ROW(id, buffer_size, ...) [SEV_CMD_##id] = {.name = #id, .size = (buffer_size), __VA_ARGS__}
#define STRUCT(type)              sizeof(struct type)

// clang-format off
static const struct command commands[] = {
    ROW(INIT,                STRUCT(sev_init), .pstates = U, .lengths = init_lengths, .run = init),
    ROW(SHUTDOWN,            0, .pstates = ANY, .run = shutdown_platform),
    ROW(PLATFORM_RESET,      0, .pstates = U, .run = platform_reset),
    ROW(PLATFORM_STATUS,     STRUCT(sev_platform_status), .pstates = ANY, .run = platform_status),
    ROW(PEK_GEN,             0, .pstates = I, .run = pek_gen),
    ROW(PEK_CSR,             STRUCT(sev_buffer), .pstates = I | W, .lengths = pek_csr_lengths, .run = pek_csr),
    ROW(PEK_CERT_IMPORT,     STRUCT(sev_pek_cert_import), .pstates = I, .parameters = pek_cert_import_parameters,
                             .lengths = pek_cert_import_lengths, .run = pek_cert_import),
    ROW(PDH_CERT_EXPORT,     STRUCT(sev_pdh_cert_export), .pstates = I | W, .lengths = pdh_cert_export_lengths,
                             .run = pdh_cert_export),
    ROW(PDH_GEN,             0, .pstates = I | W, .run = pdh_gen),
    ROW(DF_FLUSH,            0, .pstates = I | W, .run = df_flush),
    ROW(DOWNLOAD_FIRMWARE,   STRUCT(sev_buffer), .pstates = U, .lengths = download_firmware_lengths,
                             .run = download_firmware),
    ROW(GET_ID,              STRUCT(sev_buffer), .pstates = ANY, .lengths = get_id_lengths, .run = get_id),
    ROW(INIT_EX,             STRUCT(sev_init_ex), .pstates = U, .lengths = init_ex_lengths, .run = init_ex),
    ROW(NOP,                 0, .pstates = ANY, .run = nop),
    ROW(RING_BUFFER,         STRUCT(sev_ring_buffer), .pstates = ANY),

    ROW(DECOMMISSION,        STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = LIVING | SENT, .run = decommission),
    ROW(ACTIVATE,            STRUCT(sev_activate), .pstates = W, .flags = HANDLE, .gstates = LIVING, .run = activate),
    ROW(DEACTIVATE,          STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = LIVING | SENT, .run = deactivate),
    ROW(GUEST_STATUS,        STRUCT(sev_guest_status), .pstates = W, .flags = HANDLE, .gstates = LIVING | SENT,
                             .run = guest_status),
    ROW(COPY,                STRUCT(sev_copy), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = RUNNING | SUPDATE,
                             .lengths = copy_lengths, .run = copy),
    ROW(ACTIVATE_EX,         STRUCT(sev_activate_ex), .pstates = W, .flags = HANDLE, .handle_at = 4, .gstates = LIVING,
                             .run = activate_ex),

    ROW(LAUNCH_START,        STRUCT(sev_start), .pstates = I | W, .flags = HANDLE_OPTIONAL, .lengths = launch_start_lengths,
                             .run = launch_start),
    ROW(LAUNCH_UPDATE_DATA,  STRUCT(sev_launch_range), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LUPDATE,
                             .lengths = launch_update_data_lengths, .run = launch_update_data),
    ROW(LAUNCH_UPDATE_VMSA,  STRUCT(sev_launch_range), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LUPDATE,
                             .policy_set = SEV_POLICY_ES, .lengths = launch_update_vmsa_lengths, .run = launch_update_vmsa),
    ROW(LAUNCH_MEASURE,      STRUCT(sev_launch_range), .pstates = W, .flags = HANDLE, .gstates = LUPDATE,
                             .lengths = launch_measure_lengths, .run = launch_measure),
    ROW(LAUNCH_SECRET,       STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LSECRET,
                             .lengths = packet_lengths, .run = launch_secret),
    ROW(LAUNCH_FINISH,       STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = LSECRET, .run = launch_finish),
    ROW(ATTESTATION,         STRUCT(sev_attestation), .pstates = W, .flags = HANDLE, .gstates = LSECRET | RUNNING | SUPDATE,
                             .lengths = attestation_lengths, .run = attestation),

    ROW(SEND_START,          STRUCT(sev_send_start), .pstates = W, .flags = HANDLE, .gstates = RUNNING,
                             .policy_clear = SEV_POLICY_NOSEND, .lengths = send_start_lengths, .run = send_start),
    ROW(SEND_UPDATE_DATA,    STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = SUPDATE,
                             .lengths = send_update_lengths, .run = send_update_data),
    ROW(SEND_UPDATE_VMSA,    STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = SUPDATE,
                             .policy_set = SEV_POLICY_ES, .lengths = send_update_lengths, .run = send_update_vmsa),
    ROW(SEND_FINISH,         STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = SUPDATE, .run = send_finish),
    ROW(SEND_CANCEL,         STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = SUPDATE, .run = send_cancel),

    ROW(RECEIVE_START,       STRUCT(sev_start), .pstates = I | W, .flags = HANDLE_OPTIONAL, .lengths = receive_start_lengths,
                             .run = receive_start),
    ROW(RECEIVE_UPDATE_DATA, STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = RUPDATE,
                             .lengths = packet_lengths, .run = receive_update_data),
    ROW(RECEIVE_UPDATE_VMSA, STRUCT(sev_packet), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = RUPDATE,
                             .policy_set = SEV_POLICY_ES, .lengths = packet_lengths, .run = receive_update_vmsa),
    ROW(RECEIVE_FINISH,      STRUCT(sev_handle), .pstates = W, .flags = HANDLE, .gstates = RUPDATE, .run = receive_finish),

    ROW(DBG_DECRYPT,         STRUCT(sev_debug), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LIVING,
                             .policy_clear = SEV_POLICY_NODBG, .lengths = debug_lengths, .run = dbg_decrypt),
    ROW(DBG_ENCRYPT,         STRUCT(sev_debug), .pstates = W, .flags = HANDLE | NEEDS_ACTIVE, .gstates = LIVING,
                             .policy_clear = SEV_POLICY_NODBG, .lengths = debug_lengths, .run = dbg_encrypt),
    ROW(SWAP_OUT,            STRUCT(sev_swap_out), .pstates = W, .flags = HANDLE, .gstates = RUNNING),
    ROW(SWAP_IN,             STRUCT(sev_swap_in), .pstates = W, .flags = HANDLE, .gstates = RUNNING),
};
// clang-format on

#define FITS(name, id, buffer_size)                                                                \
    _Static_assert((buffer_size) <= sizeof(union command_buffer), #name " does not fit");
SEV_COMMANDS(FITS)

const struct command *command_find(u32 id)
{
    return id < ARRAY_SIZE(commands) && commands[id].name ? &commands[id] : NULL;
}
