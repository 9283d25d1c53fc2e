/* SPDX-License-Identifier: Apache-2.0 */
/* Input and output of Linux's sev-guest driver: the ioctls of /dev/sev-guest [snp 10.1]. */
#ifndef SOFTSEV_ABI_LINUX_SEV_GUEST_H
#define SOFTSEV_ABI_LINUX_SEV_GUEST_H

#include "abi/snp.h"

/* _IOWR('S', n, struct snp_guest_request_ioctl) */
#define SNP_GET_REPORT      0xc0205300u
#define SNP_GET_DERIVED_KEY 0xc0205301u
#define SNP_GET_EXT_REPORT  0xc0205302u

struct snp_guest_request_ioctl {
    u8 msg_version; /* must not be 0 */
    u8 reserved_01[7];
    u64 req_data; /* addresses of the structures below */
    u64 resp_data;
    u64 exitinfo2; /* fw_error in the low half, vmm_error in the high half */
};
ABI_SIZE(struct snp_guest_request_ioctl, 32);
ABI_OFFSET(struct snp_guest_request_ioctl, exitinfo2, 0x18);

/* exitinfo2 if no message was sent. */
#define SNP_GUEST_NO_CALL 0xffu

#define SNP_REPORT_RESP_SIZE      4000u /* the answer's payload, then zeros */
#define SNP_DERIVED_KEY_REQ_SIZE  SNP_KEY_REQ_V1_SIZE
#define SNP_DERIVED_KEY_RESP_SIZE 64u

struct snp_ext_report_req {
    struct snp_report_req data;
    u64 certs_address;
    u32 certs_len; /* whole pages; set to the needed size if it is too small */
    u32 padding;
};
ABI_SIZE(struct snp_ext_report_req, 112);
ABI_OFFSET(struct snp_ext_report_req, certs_address, 0x60);

#define SNP_CERTS_MAX KIB(16)

#endif
