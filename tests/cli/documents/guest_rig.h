/* SPDX-License-Identifier: Apache-2.0 */
/* A machine with SNP on, and guests launched from the texts of their descriptions. */
#ifndef SOFTSEV_TESTS_CLI_GUEST_RIG_H
#define SOFTSEV_TESTS_CLI_GUEST_RIG_H

#include "cli/guest/guest_launch.h"
#include "base/bytes.h"
#include "crypto/crypto.h"
#include "machine/machine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct rig {
    struct crypto *crypto;
    struct machine *machine;
    struct hypervisor *hv;
    struct guest_launch guest;
    struct error error;
    const struct guest_certificate *certificates; /* the table of extended reports */
    size_t certificate_count;
};

static inline size_t rig_table(void *rig, u8 out[SNP_CERTS_MAX])
{
    const struct rig *r = rig;
    return guest_certificates_write(r->certificates, r->certificate_count, out, SNP_CERTS_MAX);
}

static inline void rig_check(struct rig *r, int result)
{
    if (result)
        print_message("# %s\n", r->error.text);
    assert_int_equal(result, 0);
}

/* The file is gone when this returns; what it names must be there. */
static inline int rig_load(struct rig *r, const char *description)
{
    char path[] = "/tmp/softsev-guest-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, description, strlen(description)), strlen(description));
    close(fd);
    r->error = (struct error){.code = ERROR_NONE};
    int result = guest_launch_load(&r->guest, path, &r->error);
    unlink(path);
    return result;
}

static inline int rig_start(struct rig *r, const struct guest_certificate *certificates,
                            size_t count)
{
    struct machine_config config = {
        .memory_size = guest_file_machine_memory(r->guest.plan), .cores = 1, .fuses = {3}};
    r->crypto = config.crypto = crypto_create("cli_guest", 9);
    r->machine = machine_create(&config, &r->error);
    assert_non_null(r->machine);
    r->hv = hypervisor_create(machine_host(r->machine), &r->error);
    assert_non_null(r->hv);
    rig_check(r, platform_init_snp(r->hv, &r->error));
    r->certificates = certificates;
    r->certificate_count = count;
    const struct sev_guest_table table = {rig_table, r};
    return guest_launch_start(&r->guest, r->hv, machine_host(r->machine), count ? &table : NULL,
                              &r->error);
}

static inline void rig_launch(struct rig *r, const char *description)
{
    rig_check(r, rig_load(r, description));
    rig_check(r, rig_start(r, NULL, 0));
}

static inline void rig_end(struct rig *r)
{
    guest_launch_end(&r->guest);
    hypervisor_destroy(r->hv);
    machine_destroy(r->machine);
    if (r->crypto)
        crypto_destroy(r->crypto);
    *r = (struct rig){.hv = NULL};
}

#endif
