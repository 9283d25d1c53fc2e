/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a launch description: the same words as options have, with the same meaning. */
#include "cli/guest/guest_table.h"

#include "cli/cli.h"
#include "cli/settings.h"
#include "image/image.h"
#include "image/measure.h"

#define VMPL_MAX 3u

static bool parse_features(const char *text, u64 *out)
{
    const bool good = settings_guest_features(text, out);
    *out = settings_features_of(text, *out, true);
    return good && *out & SEV_FEATURE_SNP && !image_sev_features_wrong(*out, IMAGE_SEV_SNP);
}

// clang-format off
static const struct option_row rows[] = {
    [GUEST_FIRMWARE] = {"firmware", OPTION_FILE, "FILE",
        "flash image that ends at 4 GiB, such as OVMF's",
        .man = "Flash image that ends at 4 GiB, such as OVMF's."},
    [GUEST_KERNEL] = {"kernel", OPTION_FILE, "FILE",
        "bzImage or ELF; with firmware: what is hashed",
        .man = "Without\n.Cm firmware :\nthe kernel that is launched, as\n.Xr softsev-run 1\n"
        "launches it.\nWith\n.Cm firmware :\nthe kernel that\n.Cm kernel-hashes\nhashes."},
    [GUEST_INITRD] = {"initrd", OPTION_FILE, "FILE", "its initramfs", "The kernel's initramfs.",
        .needs = OPTION_IDS(GUEST_KERNEL)},
    [GUEST_APPEND] = {"append", OPTION_TEXT, "TEXT", "its command line",
        "The kernel's command line.", .empty = true, .needs = OPTION_IDS(GUEST_KERNEL)},
    [GUEST_KERNEL_HASHES] = {"kernel-hashes", OPTION_FLAG, NULL,
        "with firmware: launch hashes of kernel, initrd, append",
        "true: launch a page with the hashes of kernel, initramfs and command line, if the image "
        "has a place for it.", .needs = OPTION_IDS(GUEST_FIRMWARE, GUEST_KERNEL)},
    [GUEST_MEMORY] = {"memory", OPTION_SIZE, "SIZE", "guest memory: MiB, or with K, M or G",
        "Guest memory: MiB, or with K, M or G; a multiple of 2 MiB.\n"
        "Default: what the image needs.", .min = MIB(2), .max = GIB(512),
        .step = MIB(2)},
    [GUEST_VCPUS] = {"vcpus", OPTION_NUMBER, "NUMBER", "virtual processors (default 1)",
        "Virtual processors.\nDefault 1.",
        .min = 1, .max = IMAGE_VMSAS_MAX},
    [GUEST_VCPU_TYPE] = {"vcpu-type", OPTION_PARSED, "NAME",
        "QEMU's CPU model, or CPUID 1 EAX (default EPYC-Milan)",
        "Processor model, as\n.Ic softsev owner measure\ntakes it.\nDefault EPYC-Milan.",
        .parse = settings_vcpu_type, .should = SETTINGS_VCPU_TYPE},
    [GUEST_VMM_TYPE] = {"vmm-type", OPTION_CHOICE, "NAME",
        "hypervisor that sets the first registers (default qemu)",
        "The hypervisor that sets the processors' first registers, as\n.Ic softsev owner measure\n"
        "takes it.\nDefault qemu.", .choice_at = settings_vmm_at,
        .standard = MEASURE_VMM_QEMU},
    [GUEST_FEATURES] = {"guest-features", OPTION_PARSED, "NAMES", "SEV_FEATURES (default 1)",
        "SEV_FEATURES: names or a number, as\n.Xr softsev-run 1\ntakes them.\nDefault 1.",
        .parse = parse_features, .should = "a 64-bit number with bit 0, which an SNP guest has, "
        "or names such as secure-tsc"},
    [GUEST_POLICY] = {"policy", OPTION_NUMBER, "NUMBER", "guest policy (default 0x30000)",
        "Guest policy.\nDefault 0x30000.",
        .max = UINT64_MAX},
    [GUEST_ID_BLOCK] = {"id-block", OPTION_FILE, "FILE", "file of the ID block: 96 bytes or base64",
        "File of the ID block, raw or base64.",
        .needs = OPTION_IDS(GUEST_ID_AUTH)},
    [GUEST_ID_AUTH] = {"id-auth", OPTION_FILE, "FILE",
        "file of its authentication page: 4096 bytes or base64",
        "File of the ID block's authentication page, raw or base64.",
        .needs = OPTION_IDS(GUEST_ID_BLOCK)},
    [GUEST_AUTHOR_KEY] = {"author-key", OPTION_FLAG, NULL, "the author key in that page counts",
        "true: the author key in the authentication page counts.",
        .needs = OPTION_IDS(GUEST_ID_BLOCK, GUEST_ID_AUTH)},
    [GUEST_HOST_DATA] = {"host-data", OPTION_HEX, "HEX", "HOST_DATA: 32 bytes in hexadecimal",
        "HOST_DATA of the launch: 32 bytes in hexadecimal.", .max = 32},
    [GUEST_VMPL] = {"vmpl", OPTION_NUMBER, "NUMBER", "VMPL of the guest's kernel (default 0)",
        "The VMPL that the guest's kernel runs at.\nDefault 0.", .max = VMPL_MAX},
    [GUEST_VMPCK] = {"vmpck", OPTION_NUMBER, "NUMBER",
        "VMPCK that its driver uses (default: that of its VMPL)",
        "The VMPCK, the key for messages to the firmware, that its driver uses.\n"
        "Default: that of its VMPL.", .max = VMPL_MAX},
    [GUEST_NO_CERTIFICATES] = {"no-certificates", OPTION_FLAG, NULL,
        "the host gives out no certificates with extended reports",
        .man = "true: the host gives out no certificates with extended reports.\nOtherwise it "
        "gives out VCEK, ASK and ARK for the TCB that the platform reports at the time; once a "
        "VLEK is loaded, VLEK, ASVK and ARK."},
};

static const struct option_rule rules[] = {
    {.relation = OPTION_NEEDS, .subjects = OPTION_IDS(GUEST_KERNEL),
        .with = OPTION_IDS(GUEST_FIRMWARE),
     .others = OPTION_IDS(GUEST_KERNEL_HASHES), .why = "with firmware only the kernel's hash is "
        "launched; add \"kernel-hashes\": true"},
    {.relation = OPTION_NEEDS, .subjects = OPTION_IDS(GUEST_VCPU_TYPE, GUEST_VMM_TYPE),
     .with = OPTION_IDS(GUEST_KERNEL), .others = OPTION_IDS(GUEST_FIRMWARE),
     .why = "without firmware a kernel begins as `softsev run` launches it"},
};
// clang-format on

const struct option_table cli_guest_table = {
    .command = "a launch description",
    .members = true,
    .rows = rows,
    .count = ARRAY_SIZE(rows),
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
