/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/sev-guest and the folder of reports of a launched guest, called as the supervisor calls
 * them: sizes, error numbers, what is written where and what is lost, as Linux's driver has them
 * [snp 10.1].
 */
#define _GNU_SOURCE
#include "guest_rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* --- A caller: one stretch of memory ---------------------------------------------------------- */

#define CALLER_BASE 0x10000u
#define AT_IO       0x10000u
#define AT_REQUEST  0x10100u
#define AT_RESPONSE 0x11000u
#define AT_CERTS    0x12000u

static u8 memory[0x8000];

static u8 *memory_at(u64 address, size_t size)
{
    if (address < CALLER_BASE || !range_fits(address - CALLER_BASE, size, sizeof memory))
        return NULL;
    return memory + (address - CALLER_BASE);
}

static bool memory_out(void *context, u64 address, void *out, size_t size)
{
    const u8 *at = memory_at(address, size);
    (void)context;
    if (at)
        memcpy(out, at, size);
    return at;
}

static bool memory_in(void *context, u64 address, const void *data, size_t size)
{
    u8 *at = memory_at(address, size);
    (void)context;
    if (at)
        memcpy(at, data, size);
    return at;
}

static struct door_caller caller = {memory_out, memory_in, NULL};

static void put(u64 address, const void *data, size_t size)
{
    assert_true(door_write(&caller, address, data, size));
}

/* An ioctl whose structures lie where they should; what came back is in `io`. */
static s64 call(struct rig *r, u32 number, struct snp_guest_request_ioctl *io)
{
    struct door_file file = sev_guest_file(r->guest.driver);
    put(AT_IO, io, sizeof *io);
    s64 result = file.ioctl(file.context, &caller, true, number, AT_IO);
    assert_true(door_read(&caller, AT_IO, io, sizeof *io));
    return result;
}

#define UNTOUCHED 0x1122334455667788ull

static struct snp_guest_request_ioctl plain_io(void)
{
    return (struct snp_guest_request_ioctl){
        .msg_version = 1, .req_data = AT_REQUEST, .resp_data = AT_RESPONSE, .exitinfo2 = UNTOUCHED};
}

static struct snp_secrets_page secrets_of(struct rig *r)
{
    struct snp_secrets_page page;
    struct guest_memory own = {machine_host(r->machine), vm_nested_tables(r->guest.vm),
                               vm_asid(r->guest.vm), true, 0};
    assert_true(guest_read(&own, vm_secrets_page(r->guest.vm), GUEST_PRIVATE, &page, sizeof page));
    return page;
}

static u32 counter(struct rig *r, u32 vmpck)
{
    return load_le32(secrets_of(r).guest_area_0a0 + 4 * vmpck);
}

static bool vmpck_lost(struct rig *r, u32 vmpck)
{
    static const u8 zeros[SNP_VMPCK_SIZE];
    return !memcmp(secrets_of(r).vmpck[vmpck], zeros, sizeof zeros);
}

/* --- SNP_GET_REPORT --------------------------------------------------------------------------- */

static void a_report(void **state)
{
    struct rig r = {.hv = NULL};
    struct snp_report_req request = {.vmpl = 2, .key_sel = SNP_KEY_SEL_VCEK};
    struct snp_guest_request_ioctl io = plain_io();
    struct snp_report_rsp rsp;
    (void)state;
    rig_launch(&r, "{}");
    memset(request.report_data, 0xc3, sizeof request.report_data);
    put(AT_REQUEST, &request, sizeof request);
    memset(memory + (AT_RESPONSE - CALLER_BASE), 0xee, PAGE_SIZE);
    assert_int_equal(call(&r, SNP_GET_REPORT, &io), 0);
    assert_int_equal(io.exitinfo2, UNTOUCHED); /* written only where it is not 0 */
    assert_true(door_read(&caller, AT_RESPONSE, &rsp, sizeof rsp));
    assert_int_equal(rsp.status, 0);
    assert_int_equal(rsp.report_size, sizeof rsp.report);
    assert_memory_equal(rsp.report.report_data, request.report_data, 64);
    assert_int_equal(rsp.report.vmpl, 2);
    /* 4000 bytes are the answer's, zeros behind it; the next are not touched. */
    const u8 *at = memory + (AT_RESPONSE - CALLER_BASE);
    assert_int_equal(at[sizeof rsp] | at[3999], 0);
    assert_int_equal(at[4000], 0xee);
    assert_int_equal(counter(&r, 0), 2);
    rig_end(&r);
}

/* Message-level: an error inside the sealed answer costs nothing. */
static void a_request_that_the_firmware_declines(void **state)
{
    struct rig r = {.hv = NULL};
    struct snp_report_req request = {.key_sel = SNP_KEY_SEL_VLEK};
    struct snp_guest_request_ioctl io = plain_io();
    u32 status;
    (void)state;
    rig_launch(&r, "{}");
    put(AT_REQUEST, &request, sizeof request);
    assert_int_equal(call(&r, SNP_GET_REPORT, &io), 0);
    assert_true(door_read(&caller, AT_RESPONSE, &status, sizeof status));
    assert_int_equal(status, SEV_STATUS_INVALID_KEY);
    request = (struct snp_report_req){.vmpl = 4};
    put(AT_REQUEST, &request, sizeof request);
    assert_int_equal(call(&r, SNP_GET_REPORT, &io), 0);
    assert_true(door_read(&caller, AT_RESPONSE, &status, sizeof status));
    assert_int_equal(status, SEV_STATUS_INVALID_PARAM);
    assert_int_equal(counter(&r, 0), 4);
    assert_false(vmpck_lost(&r, 0));
    rig_end(&r);
}

static void addresses_and_versions_are_checked(void **state)
{
    struct rig r = {.hv = NULL};
    struct snp_guest_request_ioctl io;
    struct door_file file;
    u64 none = 0x500;
    (void)state;
    rig_launch(&r, "{}");
    file = sev_guest_file(r.guest.driver);
    assert_string_equal(file.path, "/dev/sev-guest");
    assert_int_equal(file.ioctl(file.context, &caller, true, SNP_GET_REPORT, none), -EFAULT);
    io = plain_io();
    io.msg_version = 0;
    assert_int_equal(call(&r, SNP_GET_REPORT, &io), -EINVAL);
    assert_int_equal(io.exitinfo2, UNTOUCHED);
    io = plain_io();
    assert_int_equal(call(&r, 0xc0205303, &io), -ENOTTY);
    assert_int_equal(io.exitinfo2, 0xff);
    for (u32 number = SNP_GET_REPORT; number <= SNP_GET_EXT_REPORT; number++) {
        io = plain_io();
        io.req_data = 0;
        assert_int_equal(call(&r, number, &io), -EINVAL);
        assert_int_equal(io.exitinfo2, 0xff);
        io = plain_io();
        io.resp_data = 0;
        assert_int_equal(call(&r, number, &io), -EINVAL);
        io = plain_io();
        io.req_data = none;
        assert_int_equal(call(&r, number, &io), -EFAULT);
        assert_int_equal(counter(&r, 0), 2 * (number - SNP_GET_REPORT));
        io = plain_io();
        io.resp_data = none; /* the message is gone all the same */
        memset(memory + (AT_REQUEST - CALLER_BASE), 0, 0x100);
        assert_int_equal(call(&r, number, &io), -EFAULT);
        assert_int_equal(counter(&r, 0), 2 * (number - SNP_GET_REPORT + 1));
    }
    rig_end(&r);
}

/* Command-level: a version that the firmware has not. The key is lost, the others are not. */
static void a_refused_message_costs_the_key(void **state)
{
    struct rig r = {.hv = NULL};
    struct snp_report_req request = {.vmpl = 1};
    struct snp_guest_request_ioctl io = plain_io();
    (void)state;
    rig_launch(&r, "{\"vmpl\": 0, \"vmpck\": 1}");
    put(AT_REQUEST, &request, sizeof request);
    io.msg_version = 9;
    assert_int_equal(call(&r, SNP_GET_REPORT, &io), -EIO);
    assert_int_equal(io.exitinfo2, SEV_STATUS_INVALID_PARAM);
    assert_true(vmpck_lost(&r, 1));
    assert_false(vmpck_lost(&r, 0));
    io = plain_io();
    assert_int_equal(call(&r, SNP_GET_REPORT, &io), -ENOTTY);
    assert_int_equal(io.exitinfo2, 0xff);
    rig_end(&r);
}

/* --- SNP_GET_DERIVED_KEY ---------------------------------------------------------------------- */

static s64 derived_key(struct rig *r, u8 version, struct snp_key_req request, u8 key[32])
{
    struct snp_guest_request_ioctl io = plain_io();
    struct snp_key_rsp rsp;
    io.msg_version = version;
    put(AT_REQUEST, &request, SNP_KEY_REQ_V1_SIZE);
    s64 result = call(r, SNP_GET_DERIVED_KEY, &io);
    assert_true(door_read(&caller, AT_RESPONSE, &rsp, sizeof rsp));
    memcpy(key, rsp.key, 32);
    return result ? result : (s64)rsp.status;
}

static void derived_keys(void **state)
{
    struct rig r = {.hv = NULL};
    u8 one[32], again[32], other[32];
    (void)state;
    rig_launch(&r, "{}");
    memset(memory + (AT_RESPONSE - CALLER_BASE), 0xee, PAGE_SIZE);
    assert_int_equal(derived_key(&r, 1, (struct snp_key_req){.vmpl = 0}, one), 0);
    assert_int_equal(memory[AT_RESPONSE - CALLER_BASE + 64], 0xee);
    assert_int_equal(derived_key(&r, 2, (struct snp_key_req){.vmpl = 0}, again), 0);
    assert_memory_equal(one, again, 32);
    assert_int_equal(derived_key(&r, 1, (struct snp_key_req){.vmpl = 1}, other), 0);
    assert_memory_not_equal(one, other, 32);
    assert_int_equal(derived_key(&r, 1, (struct snp_key_req){.guest_svn = 5}, other),
                     SEV_STATUS_INVALID_PARAM);
    rig_end(&r);
}

/* --- SNP_GET_EXT_REPORT ----------------------------------------------------------------------- */

static u8 blob[5000];
static const struct guest_certificate certificates[] = {
    {.kind = GUEST_CERTIFICATE_VCEK, .data = "the vcek", .size = 8},
    {.kind = GUEST_CERTIFICATE_ARK, .data = blob, .size = sizeof blob},
};

static s64 ext_report(struct rig *r, u64 address, u32 length, struct snp_guest_request_ioctl *io,
                      u32 *length_after)
{
    struct snp_ext_report_req request = {.certs_address = address, .certs_len = length};
    *io = plain_io();
    put(AT_REQUEST, &request, sizeof request);
    s64 result = call(r, SNP_GET_EXT_REPORT, io);
    assert_true(door_read(&caller, AT_REQUEST, &request, sizeof request));
    *length_after = request.certs_len;
    return result;
}

static void extended_reports(void **state)
{
    struct rig r = {.hv = NULL};
    struct guest_certificate list[GUEST_CERTIFICATES_MAX];
    struct snp_guest_request_ioctl io;
    u32 after, status;
    const u8 *table = memory + (AT_CERTS - CALLER_BASE);
    (void)state;
    rig_check(&r, rig_load(&r, "{}"));
    rig_check(&r, rig_start(&r, certificates, ARRAY_SIZE(certificates)));
    /* How much is needed is told, and the message's number used up. */
    for (u32 length = 0; length <= PAGE_SIZE; length += PAGE_SIZE) {
        assert_int_equal(ext_report(&r, length ? AT_CERTS : 0, length, &io, &after), -EIO);
        assert_int_equal(io.exitinfo2, 0x100000000ull);
        assert_int_equal(after, 2 * PAGE_SIZE);
    }
    assert_int_equal(counter(&r, 0), 4);
    memset(memory + (AT_CERTS - CALLER_BASE), 0xee, 4 * PAGE_SIZE);
    assert_int_equal(ext_report(&r, AT_CERTS, 3 * PAGE_SIZE, &io, &after), 0);
    assert_int_equal(io.exitinfo2, UNTOUCHED);
    assert_int_equal(after, 3 * PAGE_SIZE);
    assert_int_equal(guest_certificates_read(table, 3 * PAGE_SIZE, list), 2);
    assert_memory_equal(list[0].data, "the vcek", 8);
    assert_int_equal(list[1].size, sizeof blob);
    assert_int_equal(table[3 * PAGE_SIZE - 1], 0);
    assert_int_equal(table[3 * PAGE_SIZE], 0xee);
    assert_true(door_read(&caller, AT_RESPONSE, &status, sizeof status));
    assert_int_equal(status, 0);
    assert_int_equal(counter(&r, 0), 6);
    /* What the host hands out now, not what it had at the launch. */
    r.certificate_count = 1;
    assert_int_equal(ext_report(&r, AT_CERTS, PAGE_SIZE, &io, &after), 0);
    assert_int_equal(guest_certificates_read(table, PAGE_SIZE, list), 1);
    assert_memory_equal(list[0].data, "the vcek", 8);
    rig_end(&r);
}

static void extended_reports_check_their_buffer(void **state)
{
    struct rig r = {.hv = NULL};
    struct snp_guest_request_ioctl io;
    u32 after;
    (void)state;
    rig_launch(&r, "{\"no-certificates\": true}");
    assert_int_equal(ext_report(&r, AT_CERTS, 5 * PAGE_SIZE, &io, &after), -EINVAL);
    assert_int_equal(ext_report(&r, AT_CERTS, 100, &io, &after), -EINVAL);
    assert_int_equal(ext_report(&r, ~0ull - 10, PAGE_SIZE, &io, &after), -EFAULT);
    assert_int_equal(ext_report(&r, BIT(63), PAGE_SIZE, &io, &after), -EFAULT);
    assert_int_equal(io.exitinfo2, 0xff);
    assert_int_equal(counter(&r, 0), 0);
    /* Without certificates there are zeros. */
    memset(memory + (AT_CERTS - CALLER_BASE), 0xee, PAGE_SIZE);
    assert_int_equal(ext_report(&r, AT_CERTS, PAGE_SIZE, &io, &after), 0);
    assert_int_equal(memory[AT_CERTS - CALLER_BASE], 0);
    assert_int_equal(ext_report(&r, 0, 0, &io, &after), 0);
    rig_end(&r);
}

/* --- The folder of reports -------------------------------------------------------------------- */

static struct door_folder folder;

/* A file of its own for each path that was opened last, as the supervisor has it in the mirror. */
static s64 fd_of(const char *path, bool write)
{
    char link[40];
    int file = memfd_create(path, MFD_CLOEXEC);
    s64 result = folder.open(folder.context, path, write, file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (!result)
        result = open(link, write ? O_WRONLY : O_RDONLY);
    close(file);
    return result;
}

static s64 stat_of(const char *path)
{
    u64 size;
    return folder.stat(folder.context, path, &size);
}

static s64 write_file(const char *path, const void *data, size_t size)
{
    s64 fd = fd_of(path, true);
    if (fd < 0)
        return fd;
    assert_int_equal(write((int)fd, data, size), size);
    close((int)fd);
    return 0;
}

/* Bytes read, or what the open said. */
static s64 read_file(const char *path, void *out, size_t size)
{
    s64 fd = fd_of(path, false);
    if (fd < 0)
        return fd;
    ssize_t got = read((int)fd, out, size);
    assert_int_equal(write((int)fd, "x", 1), -1); /* its own, but not to write to */
    close((int)fd);
    return got;
}

static void assert_text(const char *path, const char *expected)
{
    char text[40] = "";
    assert_true(read_file(path, text, sizeof text - 1) >= 0);
    assert_string_equal(text, expected);
}

static void reports_through_the_folder(void **state)
{
    struct rig r = {.hv = NULL};
    struct guest_certificate list[GUEST_CERTIFICATES_MAX];
    struct snp_report report, again;
    u8 in[64], table[SNP_CERTS_MAX];
    (void)state;
    rig_check(&r, rig_load(&r, "{}"));
    rig_check(&r, rig_start(&r, certificates, ARRAY_SIZE(certificates)));
    folder = tsm_folder(r.guest.tsm);
    assert_int_equal(folder.make(folder.context, "r0"), 0);
    assert_text("r0/provider", "sev_guest\n");
    assert_text("r0/generation", "0\n");
    assert_text("r0/privlevel_floor", "0\n");
    memset(in, 0x77, sizeof in);
    assert_int_equal(write_file("r0/inblob", in, sizeof in), 0);
    assert_text("r0/generation", "1\n");
    assert_int_equal(read_file("r0/outblob", &report, sizeof report + 1), sizeof report);
    assert_memory_equal(report.report_data, in, sizeof in);
    assert_int_equal(report.vmpl, 0);
    s64 size = read_file("r0/auxblob", table, sizeof table);
    assert_int_equal(size, 3 * 24 + 8 + sizeof blob);
    assert_int_equal(guest_certificates_read(table, (size_t)size, list), 2);
    /* One report for one generation. */
    assert_int_equal(read_file("r0/outblob", &again, sizeof again), sizeof again);
    assert_memory_equal(&report, &again, sizeof report);
    assert_int_equal(counter(&r, 0), 2);
    assert_int_equal(write_file("r0/privlevel", "3\n", 2), 0);
    assert_int_equal(read_file("r0/outblob", &again, sizeof again), sizeof again);
    assert_int_equal(again.vmpl, 3);
    assert_text("r0/generation", "2\n");
    assert_int_equal(counter(&r, 0), 4);
    /* The same bytes again are another write. */
    assert_int_equal(write_file("r0/inblob", in, sizeof in), 0);
    assert_text("r0/generation", "3\n");
    assert_int_equal(folder.remove(folder.context, "r0"), 0);
    assert_int_equal(fd_of("r0/outblob", false), -ENOENT);
    rig_end(&r);
}

static void what_the_folder_refuses(void **state)
{
    struct rig r = {.hv = NULL};
    u8 in[65] = {0};
    char name[300];
    (void)state;
    rig_launch(&r, "{\"vmpl\": 1}");
    folder = tsm_folder(r.guest.tsm);
    void *c = folder.context;
    assert_int_equal(folder.make(c, ""), -EEXIST);
    assert_int_equal(folder.make(c, "a"), 0);
    assert_int_equal(folder.make(c, "a"), -EEXIST);
    assert_int_equal(folder.make(c, "a/b"), -EPERM);
    assert_int_equal(folder.make(c, "b/c"), -ENOENT);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(folder.make(c, name), -ENAMETOOLONG);
    assert_int_equal(folder.remove(c, ""), -EPERM);
    assert_int_equal(folder.remove(c, "b"), -ENOENT);
    assert_int_equal(folder.remove(c, "a/inblob"), -ENOTDIR);
    assert_int_equal(stat_of(""), S_IFDIR | 0755);
    assert_int_equal(stat_of("a"), S_IFDIR | 0755);
    assert_int_equal(stat_of("a/inblob"), S_IFREG | 0200);
    assert_int_equal(stat_of("a/outblob"), S_IFREG | 0444);
    assert_int_equal(stat_of("a/service_provider"), S_IFREG | 0200);
    assert_int_equal(stat_of("a/manifestblob"), S_IFREG | 0444);
    assert_int_equal(stat_of("a/service"), -ENOENT);
    assert_int_equal(stat_of("a/inblob/x"), -ENOTDIR);
    assert_int_equal(fd_of("a/inblob", false), -EACCES);
    assert_int_equal(fd_of("a/outblob", true), -EACCES);
    assert_int_equal(fd_of("a/outblob", false), -EINVAL); /* nothing to report on */
    assert_int_equal(write_file("a/inblob", in, 63), 0);
    assert_int_equal(fd_of("a/outblob", false), -EINVAL);
    assert_int_equal(write_file("a/inblob", in, 65), 0);
    assert_int_equal(fd_of("a/outblob", false), -EINVAL);
    assert_int_equal(write_file("a/inblob", in, 64), 0);
    assert_text("a/privlevel_floor", "1\n");
    assert_int_equal(fd_of("a/outblob", false), -EINVAL); /* VMPL0 is above the guest */
    static const char *const bad[] = {"0", "4", "-1", "1x", "", "\n", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(write_file("a/privlevel", "1", 1), 0);
        s64 fd = fd_of("a/outblob", false);
        assert_true(fd >= 0);
        close((int)fd);
        assert_int_equal(write_file("a/privlevel", bad[i], strlen(bad[i])), 0);
        fd = fd_of("a/outblob", false);
        if (*bad[i])
            assert_int_equal(fd, -EINVAL);
        else
            close((int)fd); /* nothing was written */
    }
    rig_end(&r);
}

/* What there is to be listed, with the sizes that stat says; at VMPL0 nothing of services. */
static void names_and_sizes_of_files(void **state)
{
    static const char *const texts[] = {"provider", "generation", "privlevel", "privlevel_floor"};
    struct rig r = {.hv = NULL};
    char path[64];
    u64 size;
    u32 count = 0;
    (void)state;
    rig_launch(&r, "{}");
    folder = tsm_folder(r.guest.tsm);
    assert_int_equal(folder.make(folder.context, "a"), 0);
    for (const char *name; (name = folder.name(folder.context, "a", count)); count++) {
        bool text = false;
        snprintf(path, sizeof path, "a/%s", name);
        assert_true(S_ISREG(folder.stat(folder.context, path, &size)));
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
            text = text || !strcmp(name, texts[i]);
        assert_int_equal(size, text ? PAGE_SIZE : 0);
    }
    assert_int_equal(count, 7);
    assert_int_equal(stat_of("a/service_provider"), -ENOENT);
    assert_int_equal(stat_of("a/manifestblob"), -ENOENT);
    rig_end(&r);
}

/* A kernel below VMPL0 may ask for a service's report; nobody is there to give one. */
static void reports_of_services_are_refused(void **state)
{
    struct rig r = {.hv = NULL};
    u8 in[64] = {0};
    (void)state;
    rig_launch(&r, "{\"vmpl\": 1}");
    folder = tsm_folder(r.guest.tsm);
    assert_int_equal(folder.make(folder.context, "a"), 0);
    assert_int_equal(write_file("a/inblob", in, sizeof in), 0);
    assert_int_equal(write_file("a/privlevel", "1", 1), 0);
    assert_int_equal(write_file("a/service_guid", "x", 1), 0);
    s64 fd = fd_of("a/outblob", false);
    assert_true(fd >= 0);
    close((int)fd);
    assert_text("a/generation", "3\n");
    assert_int_equal(write_file("a/service_provider", "svsm\n", 5), 0);
    assert_int_equal(fd_of("a/outblob", false), -EINVAL);
    assert_int_equal(fd_of("a/manifestblob", false), -EINVAL);
    assert_text("a/generation", "4\n");
    rig_end(&r);
}

static void requests_have_a_limit(void **state)
{
    struct rig r = {.hv = NULL};
    char name[16];
    (void)state;
    rig_launch(&r, "{}");
    folder = tsm_folder(r.guest.tsm);
    for (u32 i = 0; i < TSM_REQUESTS_MAX; i++) {
        snprintf(name, sizeof name, "r%u", i);
        assert_int_equal(folder.make(folder.context, name), 0);
    }
    assert_int_equal(folder.make(folder.context, "more"), -ENOSPC);
    assert_int_equal(folder.remove(folder.context, "r7"), 0);
    assert_int_equal(folder.make(folder.context, "more"), 0);
    rig_end(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report),
        cmocka_unit_test(a_request_that_the_firmware_declines),
        cmocka_unit_test(addresses_and_versions_are_checked),
        cmocka_unit_test(a_refused_message_costs_the_key),
        cmocka_unit_test(derived_keys),
        cmocka_unit_test(extended_reports),
        cmocka_unit_test(extended_reports_check_their_buffer),
        cmocka_unit_test(reports_through_the_folder),
        cmocka_unit_test(what_the_folder_refuses),
        cmocka_unit_test(names_and_sizes_of_files),
        cmocka_unit_test(reports_of_services_are_refused),
        cmocka_unit_test(requests_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
