/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of the actions and options of `softsev owner`. */
#ifndef SOFTSEV_CLI_OWNER_TABLE_H
#define SOFTSEV_CLI_OWNER_TABLE_H

#include "cli/options.h"

enum owner_action {
    OWNER_VERIFY,
    OWNER_SESSION,
    OWNER_MEASURE,
    OWNER_SEAL_SECRET,
    OWNER_SAY_HELLO,
    OWNER_ANSWER,
    OWNER_SIGN_ID_BLOCK,
    OWNER_EXPLAIN,
    OWNER_SHOW,
};

enum owner_option {
    OWNER_CHAIN = 1,
    OWNER_ROOT,
    OWNER_REPORT,
    OWNER_CERTS,
    OWNER_CRL,
    OWNER_KDS,
    OWNER_PRODUCT,
    OWNER_KDS_WAIT,
    OWNER_TIME,
    OWNER_STATE,
    OWNER_TK,
    OWNER_API,
    OWNER_BUILD,
    OWNER_PLATFORM,
    OWNER_MEASUREMENT,
    OWNER_NONCE,
    OWNER_POLICY,
    OWNER_OUT_DIR,
    OWNER_SEED,
    OWNER_REPLACE,
    OWNER_SVN,
    OWNER_FAMILY_ID,
    OWNER_IMAGE_ID,
    OWNER_ID_KEY_FILE,
    OWNER_AUTHOR_FILE,
    OWNER_NEW_ID_KEY,
    OWNER_NEW_AUTHOR,
    OWNER_SECRET,
    OWNER_EVIDENCE,
    OWNER_FORM,
    OWNER_GUID,
    OWNER_DIFF,
    OWNER_DUMP,
    OWNER_JSON,
    /* what is launched */
    OWNER_DIGEST,
    OWNER_LAUNCH,
    OWNER_KERNEL,
    OWNER_INITRD,
    OWNER_APPEND,
    OWNER_MEMORY,
    OWNER_HOLE,
    OWNER_FIRMWARE,
    OWNER_HASHES,
    OWNER_MODE,
    OWNER_VCPUS,
    OWNER_VCPU_TYPE,
    OWNER_CPU,
    OWNER_VMM_TYPE,
    OWNER_FEATURES,
    OWNER_IMAGE_HASH,
    OWNER_IMAGE_ONLY,
    /* what is demanded of a report */
    OWNER_REPORT_DATA,
    OWNER_HOST_DATA,
    OWNER_CHIP_ID,
    OWNER_MIN_TCB,
    OWNER_MIN_SVN,
    OWNER_VMPL,
    OWNER_ID_BLOCK,
    OWNER_ID_AUTH,
    OWNER_ID_KEY,
    OWNER_AUTHOR_KEY,
    OWNER_ALLOW_DEBUG,
    OWNER_ALLOW_MA,
    OWNER_ACCEPT_VERSION,
    OWNER_ACCEPT_MASKED,
    OWNER_IDS,
};

/* Groups of its help. */
enum owner_group { OWNER_GROUP_FILES, OWNER_GROUP_LAUNCH, OWNER_GROUP_DEMANDS };

/* Values of --form. */
enum owner_form { OWNER_FORM_ARCHIVE, OWNER_FORM_RAW };

/* Options that describe the launched guest by its files. */
#define OWNER_GUEST                                                                                \
    OWNER_KERNEL, OWNER_INITRD, OWNER_APPEND, OWNER_MEMORY, OWNER_HOLE, OWNER_FIRMWARE,            \
        OWNER_HASHES, OWNER_MODE, OWNER_VCPUS, OWNER_VCPU_TYPE, OWNER_CPU, OWNER_VMM_TYPE,         \
        OWNER_FEATURES, OWNER_IMAGE_HASH, OWNER_IMAGE_ONLY
/* Options for SNP reports alone: demands, and where certificates come from. */
#define OWNER_SNP_ALONE                                                                            \
    OWNER_CERTS, OWNER_CRL, OWNER_KDS, OWNER_PRODUCT, OWNER_KDS_WAIT, OWNER_TIME,                  \
        OWNER_REPORT_DATA, OWNER_HOST_DATA, OWNER_CHIP_ID, OWNER_MIN_TCB, OWNER_MIN_SVN,           \
        OWNER_VMPL, OWNER_ID_BLOCK, OWNER_ID_AUTH, OWNER_ID_KEY, OWNER_AUTHOR_KEY, OWNER_ALLOW_MA, \
        OWNER_ACCEPT_VERSION, OWNER_ACCEPT_MASKED, OWNER_API
/* Of a legacy report alone. */
#define OWNER_LEGACY_ALONE OWNER_CHAIN, OWNER_NONCE, OWNER_LAUNCH

#endif
