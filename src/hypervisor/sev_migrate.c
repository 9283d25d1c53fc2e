/* SPDX-License-Identifier: Apache-2.0 */
/* What source and target of a migration must agree on. */
#include "hypervisor/sev_message.h"

#include <stdio.h>

int migrate_check(const struct vm *vm, struct error *error)
{
    if (vm->config.plan->mode == IMAGE_NONE)
        return error_set(error, ERROR_USAGE,
                         "%s: a plain guest is not moved; right are --mode sev and sev-es",
                         vm->config.name);
    if (vm_is_snp(vm))
        return error_set(error, ERROR_USAGE,
                         "%s: an SNP guest is not moved: that needs a migration agent, a guest of "
                         "its own that softsev does not have; right are --mode sev and sev-es",
                         vm->config.name);
    if (vm->config.flash.bytes)
        return error_set(error, ERROR_USAGE,
                         "%s: a guest with a file of firmware's variables is not moved: the file "
                         "would stay",
                         vm->config.name);
    return 0;
}

/* --- What the two VMs are made of ------------------------------------------------------------- */

static const char *mode_name(u32 mode)
{
    return mode <= IMAGE_SEV_SNP ? image_mode_name((enum image_mode)mode) : "unknown";
}

static void mode_archive(const struct vm *vm, struct archive *a)
{
    u32 mode = vm->config.plan->mode;
    archive_u32(a, &mode);
    if (a->loading && !a->failed && mode != vm->config.plan->mode)
        archive_fail(a, ERROR_USAGE, "the guest's mode is %s, not %s", mode_name(mode),
                     image_mode_name(vm->config.plan->mode));
}

static void disks_archive(const struct vm *vm, struct archive *a)
{
    archive_same(a, vm->config.disk_count, "the number of disks");
    for (u32 i = 0; i < vm->config.disk_count; i++) {
        archive_same(a, vm->config.disks[i].size, "a disk's size");
        archive_same(a, vm->config.disks[i].write != NULL, "whether a disk is written");
    }
}

/* The processor as the machine has it: a guest keeps what it has once found there. Bits that follow
 * a control register do not count. */
static void processor_archive(const struct vm *vm, struct archive *a)
{
    static const struct {
        u32 leaf, subleaf, mask[4];
    } leaves[] = {
        {0, 0, {~0u, ~0u, ~0u, ~0u}},          {1, 0, {~0u, 0xff00, ~(1u << 27), ~0u}},
        {7, 0, {~0u, ~0u, ~(1u << 4), ~0u}},   {0xd, 0, {~0u, 0, ~0u, ~0u}},
        {0xd, 1, {~0u, 0, ~0u, ~0u}},          {0x80000001, 0, {~0u, ~0u, ~0u, ~0u}},
        {0x80000007, 0, {~0u, ~0u, ~0u, ~0u}}, {0x80000008, 0, {~0u, ~0u, ~0u, ~0u}},
        {0x8000001f, 0, {~0u, ~0u, 0, 0}},
    };
    static const char *const names[4] = {"EAX", "EBX", "ECX", "EDX"};
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        u32 out[4];
        char what[60];
        host_cpuid(vm->hv->host, 0, leaves[i].leaf, leaves[i].subleaf, out);
        for (u32 j = 0; j < 4; j++) {
            snprintf(what, sizeof what, "the processor's CPUID leaf %08X_%X %s", leaves[i].leaf,
                     leaves[i].subleaf, names[j]);
            archive_same(a, out[j] & leaves[i].mask[j], what);
        }
    }
}

void migrate_configuration(struct vm *vm, struct archive *a)
{
    const struct image_plan *plan = vm->config.plan;
    archive_section(a, "configuration", MIGRATE_VERSION);
    mode_archive(vm, a);
    archive_same(a, plan->memory_size, "the guest's memory");
    archive_same(a, vm->cpu_count, "the number of processors");
    archive_same(a, vm->config.policy, "the guest's policy");
    archive_same(a, plan->flash_size, "the size of the firmware");
    archive_same(a, vm_sev_features(vm), "SEV_FEATURES");
    archive_same(a, vm_tsc_khz(vm), "the TSC's frequency");
    archive_same(a, vm->config.virtio_console, "whether there is a virtio console");
    archive_same(a, vm->config.random != NULL, "whether there is an entropy source");
    archive_same(a, vm->config.net.send != NULL, "whether there is a network card");
    archive_same(a, vm->config.testdev, "whether there is a test device");
    disks_archive(vm, a);
    processor_archive(vm, a);
}
